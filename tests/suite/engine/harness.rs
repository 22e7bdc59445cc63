//! What every engine test needs: a store in a temporary directory, and short ways to use it.

use crate::entropy::Counted;
use keyfold::chunklog::{TierSettings, Zone};
use keyfold::model::{
    Bucket, BucketName, DirId, FileKind, Kind, Object, ObjectKey, Posix, Result, Timestamp, UploadId, VersionId,
    Versioning,
};
use keyfold::store::{
    CompleteOptions, CompletePart, Condition, Draft, Entry, FileEntry, ListRequest, ListVersions, Options, PartInfo,
    PosixChange, Promise, PutOptions, Reserve, Session, Store, UploadOptions, VersionEntry,
};
use keyfold::sys::clock::ManualClock;
use keyfold::sys::disk::MemDisk;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub const B: &str = "bucket";

/// A store that can be opened again.
pub struct Home {
    pub dir: tempfile::TempDir,
    /// Where the store lies instead, in a simulation.
    pub disk: Option<std::sync::Mutex<MemDisk>>,
    /// Disks of its zones, in a simulation that has any.
    pub zones: std::sync::Mutex<Vec<MemDisk>>,
    /// Copies of each file in these and on the store's own disk.
    pub copies: usize,
    pub clock: Arc<ManualClock>,
    /// Bytes of commits in memory, when other than usual.
    pub stage_bytes: Option<usize>,
    /// Closed before the process may end: RocksDB's threads must not outlive `main`.
    opened: std::sync::Mutex<Option<Arc<Store>>>,
    /// What a store leaves free.
    pub reserve: Reserve,
    /// What classes of storage ask for.
    pub tiers: Vec<TierSettings>,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.close();
    }
}

impl Home {
    pub fn new() -> Self {
        let home = Self::somewhere(None);
        Store::init(home.dir.path(), &home.options()).unwrap();
        home
    }

    fn somewhere(disk: Option<MemDisk>) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            disk: disk.map(std::sync::Mutex::new),
            zones: std::sync::Mutex::default(),
            copies: 1,
            clock: Arc::new(ManualClock::at(1_700_000_000)),
            stage_bytes: None,
            opened: std::sync::Mutex::default(),
            reserve: Reserve::Auto,
            tiers: vec![TierSettings::default()],
        }
    }

    /// A store on a simulated disk: no thread, no clock and no randomness but those of the test.
    pub fn simulated() -> Self {
        let disk = MemDisk::new();
        let home = Self::somewhere(Some(disk.clone()));
        Store::init_on(&disk, Path::new("simulated"), &home.options()).unwrap();
        home
    }

    /// The same with zones besides.
    pub fn simulated_with_zones(zones: usize, copies: usize) -> Self {
        let mut home = Self::simulated();
        home.zones = std::sync::Mutex::new((0..zones).map(|_| MemDisk::new()).collect());
        home.copies = copies;
        home
    }

    /// The store on a simulated disk that has one.
    pub fn on(disk: MemDisk) -> Self {
        Self::somewhere(Some(disk))
    }

    pub fn disk(&self) -> MemDisk {
        self.disk.as_ref().unwrap().lock().unwrap().clone()
    }

    /// The machine's power fails, if it is a simulated one.
    pub fn lose_power(&self, seed: u64) {
        for (zone, n) in self.zones.lock().unwrap().iter_mut().zip(1..) {
            let after = zone.crash(seed ^ n);
            after.take_away(zone.is_away());
            *zone = after;
        }
        if let Some(disk) = &self.disk {
            let mut disk = disk.lock().unwrap();
            let after = disk.crash(seed);
            // Also while what is left is brought to order.
            if let Some(one_in) = disk.imagines_cuts() {
                after.imagine_cuts(seed, one_in);
            }
            *disk = after;
        }
    }

    pub fn options(&self) -> Options {
        let mut options = Options { clock: Arc::<ManualClock>::clone(&self.clock), ..Options::system() };
        // Rounds run when somebody waits, so that a crash loses what nobody waited for.
        options.settings.commit_interval = Duration::from_secs(3600);
        options.settings.segment_bytes = 1 << 20;
        options.settings.reserve = self.reserve;
        options.settings.tiers = self.tiers.clone();
        // Compaction comes when a test says so.
        options.settings.compact_rate = 0;
        options.settings.cache_bytes = 8 << 20;
        options.settings.memtable_bytes = 1 << 20;
        if let Some(bytes) = self.stage_bytes {
            options.settings.stage_bytes = bytes;
        }
        let zones = self.zones.lock().unwrap();
        if !zones.is_empty() {
            let zone = |(n, disk): (usize, &MemDisk)| Zone {
                name: format!("z{n}"),
                place: format!("z{n}").into(),
                disk: Arc::new(disk.clone()),
            };
            options.zones = zones.iter().enumerate().map(zone).collect();
            let all =
                TierSettings { zones: (0..=zones.len()).collect(), copies: self.copies, ..TierSettings::default() };
            options.settings.tiers = vec![all];
        }
        if self.disk.is_some() {
            options.workers = false;
            options.entropy = Arc::new(Counted::new());
            // Its log is to change often.
            options.settings.memtable_bytes = 8 << 10;
        }
        options
    }

    pub fn open(&self) -> Arc<Store> {
        self.try_open().unwrap()
    }

    /// The same on a disk that may refuse.
    pub fn try_open(&self) -> Result<Arc<Store>> {
        self.try_open_with(self.options())
    }

    /// The same with other options.
    pub fn open_with(&self, options: Options) -> Arc<Store> {
        self.try_open_with(options).unwrap()
    }

    pub fn try_open_with(&self, options: Options) -> Result<Arc<Store>> {
        self.close();
        let store = match &self.disk {
            None => Store::open(self.dir.path(), options),
            Some(_) => Store::open_simulated(Arc::new(self.disk()), Path::new("simulated"), options),
        }?;
        *self.opened.lock().unwrap() = Some(Arc::clone(&store));
        Ok(store)
    }

    /// Closes what was opened last, if anything is open.
    pub fn close(&self) {
        if let Some(store) = self.opened.lock().unwrap().take() {
            let _ = store.close();
        }
    }

    /// What was opened last was abandoned.
    pub fn forget(&self) {
        self.opened.lock().unwrap().take();
    }

    /// A store with one bucket.
    pub fn with_bucket(versioning: Versioning) -> (Self, Arc<Store>) {
        let home = Self::new();
        let store = home.open();
        make_bucket(&store, B);
        if versioning != Versioning::Unversioned {
            store.set_versioning(B, versioning).unwrap();
        }
        (home, store)
    }

    /// Moves the clock on.
    pub fn later(&self) -> Timestamp {
        use keyfold::sys::clock::Clock as _;
        self.clock.advance_millis(1000);
        self.clock.now()
    }
}

pub fn posix(kind: FileKind) -> Posix {
    Posix::new(kind, 0o644, 1000, 1000, Timestamp::new(1_700_000_000, 0))
}

pub fn make_bucket(store: &Store, name: &str) -> Bucket {
    store.create_bucket(&BucketName::parse(name).unwrap(), &posix(FileKind::Directory)).unwrap()
}

pub fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

pub fn put(store: &Arc<Store>, name: &str, bytes: &[u8]) -> Object {
    put_if(store, name, bytes, Condition::Always).unwrap()
}

pub fn put_if(store: &Arc<Store>, name: &str, bytes: &[u8], condition: Condition) -> Result<Object> {
    store.put(B, &key(name), &mut &bytes[..], &PutOptions { condition, ..PutOptions::default() })
}

pub fn begin_upload(store: &Store, name: &str) -> UploadId {
    store.create_upload(B, &key(name), &UploadOptions::default()).unwrap()
}

pub fn put_part(store: &Arc<Store>, upload: UploadId, number: u32, bytes: &[u8]) -> CompletePart {
    let PartInfo { number, etag, .. } = store.put_part(upload, number, &mut &bytes[..], &Promise::default()).unwrap();
    CompletePart { number, etag, sum: None }
}

/// An object of parts.
pub fn put_in_parts(store: &Arc<Store>, name: &str, parts: &[Vec<u8>]) -> Object {
    let upload = begin_upload(store, name);
    let parts: Vec<_> = parts.iter().zip(1..).map(|(bytes, number)| put_part(store, upload, number, bytes)).collect();
    store.complete_upload(B, upload, &parts, &CompleteOptions::default()).unwrap()
}

pub fn get(store: &Arc<Store>, name: &str) -> Result<Vec<u8>> {
    read(store, &store.get(B, &key(name), None)?)
}

pub fn read(store: &Arc<Store>, object: &Object) -> Result<Vec<u8>> {
    let content = store.open_content(object)?;
    let mut bytes = vec![0xee; usize::try_from(content.size()).unwrap()];
    assert_eq!(content.read_at(0, &mut bytes)?, bytes.len());
    Ok(bytes)
}

pub fn delete(store: &Store, name: &str) -> keyfold::store::Deleted {
    store.delete(B, &key(name), None, Condition::Always).unwrap()
}

pub fn purge(store: &Store, name: &str, version: VersionId) {
    store.delete(B, &key(name), Some(version), Condition::Always).unwrap();
}

/// All versions of a key, newest first.
pub fn versions(store: &Store, name: &str) -> Vec<Object> {
    all_versions(store, B, 1000).into_iter().filter(|entry| entry.key == name).map(|entry| entry.object).collect()
}

/// Every version of a bucket, over pages.
pub fn all_versions(store: &Store, bucket: &str, limit: usize) -> Vec<VersionEntry> {
    let mut request = ListVersions { limit, ..ListVersions::default() };
    let mut out = Vec::new();
    loop {
        let page = store.list_versions(bucket, &request).unwrap();
        assert!(page.versions.len() <= limit);
        out.extend(page.versions);
        match page.next {
            None => return out,
            Some((key, version)) => (request.key_marker, request.version_marker) = (Some(key), version),
        }
    }
}

/// Keys and rolled-up prefixes of a listing over all its pages, in order.
pub fn list(store: &Store, bucket: &str, prefix: &str, delimiter: Option<&str>, limit: usize) -> Vec<String> {
    let delimiter = delimiter.map(str::to_owned);
    let mut request = ListRequest { prefix: prefix.to_owned(), delimiter, after: None, limit };
    let mut out = Vec::new();
    loop {
        let page = store.list(bucket, &request).unwrap();
        let mut names: Vec<String> = page.objects.into_iter().map(|(key, _)| key).chain(page.prefixes).collect();
        assert!(names.len() <= limit);
        names.sort();
        out.extend(names);
        match page.next {
            None => return out,
            next => request.after = next,
        }
    }
}

pub fn root(store: &Store) -> DirId {
    store.bucket(B).unwrap().root
}

pub fn dir(store: &Store, prefix: &str) -> DirId {
    store.resolve_dir(&store.bucket(B).unwrap(), prefix).unwrap().unwrap()
}

pub fn file(store: &Store, dir: DirId, name: &str) -> FileEntry {
    match store.lookup(dir, name).unwrap() {
        Some(Entry::File(file)) => file,
        other => panic!("{name}: {other:?}"),
    }
}

/// Creates a file, writes it and closes it, as a program on the mount does.
pub fn write_file(store: &Arc<Store>, dir: DirId, name: &str, bytes: &[u8]) -> Object {
    let made = store.create_draft(dir, name, &posix(FileKind::File)).unwrap();
    rewrite_file(store, dir, name, &made.object, |draft| draft.write_at(0, bytes).unwrap())
}

/// One write session over a file.
pub fn rewrite_file(
    store: &Arc<Store>,
    dir: DirId,
    name: &str,
    base: &Object,
    edit: impl FnOnce(&mut Draft),
) -> Object {
    let mut draft = store.draft(Some(base)).unwrap();
    edit(&mut draft);
    let mut session = Session::new();
    let object = store.publish((dir, name), base.ino, &mut draft, &mut session, &PosixChange::default()).unwrap();
    store.seal(session).unwrap();
    object
}

pub fn fsck(store: &Arc<Store>) {
    let findings = store.fsck(&mut |_| {}).unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}

/// Segments that bytes of objects may lie in.
pub fn data_segments(store: &Store) -> usize {
    use keyfold::chunklog::Class;
    use keyfold::chunklog::format::header::SegmentHeader;
    let shards = std::fs::read_dir(store.dir().join("seg")).unwrap();
    let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    let is_data = |bytes: &[u8]| !SegmentHeader::decode(bytes).is_ok_and(|header| header.class == Class::Notes);
    files.filter_map(|file| std::fs::read(file.unwrap().path()).ok()).filter(|bytes| is_data(bytes)).count()
}

/// Frees all that can be freed.
pub fn reap(store: &Store) {
    while store.reap().unwrap() {}
}

/// Frees and moves until there is nothing to gain.
pub fn compact(store: &Store) {
    try_compact(store).unwrap();
}

/// The same on a disk that may refuse.
pub fn try_compact(store: &Store) -> Result<()> {
    for _ in 0..20 {
        while store.reap()? {}
        if store.compact(&mut |_| true)?.is_idle() {
            return Ok(());
        }
    }
    panic!("there is always something to compact: {:?}", store.status());
}

#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T>, kind: Kind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

/// Copies a file into a directory, or what is in a directory.
pub fn copy(from: &std::path::Path, to: &std::path::Path) {
    let done = std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// Bytes that differ from place to place.
pub fn pattern(len: usize, seed: u64) -> Vec<u8> {
    (0..len as u64).map(|n| ((n / 251).wrapping_mul(seed | 1).wrapping_add(n) % 255 + 1) as u8).collect()
}
