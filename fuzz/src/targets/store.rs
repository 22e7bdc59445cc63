//! Target for a whole store whose index says anything: records planted beside those of a sound store, which is then opened,
//! listed, read, checked and changed. Nothing may panic, end nowhere, or show a name that leads out of its directory.

use keyfold::access::Access;
use keyfold::index::{self, Family, Index, Read};
use keyfold::model::{
    BucketName, ChecksumAlgorithm, DirId, FileKind, Object, ObjectKey, Posix, Timestamp, User, UserName, Versioning,
};
use keyfold::store::{
    Condition, Entry, Finding, ListRequest, ListVersions, Options, Promise, PutOptions, Session, Settings, Store,
    UploadOptions,
};
use keyfold::sys::clock::ManualClock;
use keyfold::sys::disk::MemDisk;
use keyfold::sys::entropy::Entropy;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// A record to plant: family, key, value; without a value one is taken away.
pub type Planted = (Family, Vec<u8>, Option<Vec<u8>>);

pub(super) const NOW: i64 = 1_795_312_800;
/// Entries looked at in one input, and bytes read of each object.
const ENTRIES_MAX: usize = 2000;
const BYTES_MAX: u64 = 8 << 20;
/// Steps of a scrub.
const STEPS_MAX: usize = 64;
const TAKEN_AWAY: u16 = u16::MAX;

/// The records that bytes say: family, length of the key, key, length of the value, value.
pub fn planted(mut data: &[u8]) -> Vec<Planted> {
    let mut out = Vec::new();
    while let [family, key_len, rest @ ..] = data {
        let (key, rest) = rest.split_at(rest.len().min(usize::from(*key_len)));
        let (head, rest) = rest.split_at(rest.len().min(2));
        let len = head.iter().rev().fold(0, |sum, byte| sum << 8 | u16::from(*byte));
        let room = if len == TAKEN_AWAY { 0 } else { usize::from(len) };
        let (value, rest) = rest.split_at(rest.len().min(room));
        let family = Family::ALL[usize::from(*family) % Family::ALL.len()];
        out.push((family, key.to_vec(), (len != TAKEN_AWAY).then(|| value.to_vec())));
        data = rest;
    }
    out
}

/// The bytes that say those records; longer keys and values are left out.
pub fn unplanted(records: &[Planted]) -> Vec<u8> {
    let mut out = Vec::new();
    for (family, key, value) in records {
        let number = Family::ALL.iter().position(|known| known == family).unwrap_or_default();
        let len = value.as_ref().map_or(usize::from(TAKEN_AWAY), Vec::len);
        let (Ok(number), Ok(key_len), Ok(len)) = (u8::try_from(number), u8::try_from(key.len()), u16::try_from(len))
        else {
            continue;
        };
        out.extend([number, key_len]);
        out.extend(key);
        out.extend(len.to_le_bytes());
        out.extend(value.iter().flatten());
    }
    out
}

/// Draws the same each time.
struct Same;

impl Entropy for Same {
    fn fill(&self, bytes: &mut [u8]) -> keyfold::model::Result<()> {
        bytes.fill(7);
        Ok(())
    }
}

pub(super) fn options() -> Options {
    Options {
        settings: Settings { segment_bytes: 1 << 20, ..Settings::default() },
        clock: Arc::new(ManualClock::at(NOW)),
        entropy: Arc::new(Same),
        read_only: false,
        debug_clock: false,
        zones: Vec::new(),
        workers: false,
    }
}

pub(super) fn place() -> &'static Path {
    Path::new("simulated")
}

pub(super) fn open(disk: &MemDisk) -> keyfold::model::Result<Arc<Store>> {
    Store::open_simulated(Arc::new(disk.clone()), place(), options())
}

/// A store with one of each: plain and versioned buckets, inline bytes, runs, a tree of extents, links, a
/// ghost, an upload.
pub(super) static SOUND: LazyLock<MemDisk> = LazyLock::new(|| {
    let disk = MemDisk::new();
    Store::init_on(&disk, place(), &options()).expect("a store on an empty disk");
    let store = open(&disk).expect("a sound store opens");
    fill(&store).expect("a sound store takes changes");
    store.close().expect("a sound store closes");
    // What only the journal has goes to where it belongs.
    open(&disk).and_then(|store| store.close()).expect("a sound store opens again");
    disk
});

fn fill(store: &Arc<Store>) -> keyfold::model::Result<()> {
    let posix = |kind| Posix::new(kind, 0o644, 1000, 100, Timestamp::new(NOW, 0));
    for name in ["plain", "versioned"] {
        store.create_bucket(&BucketName::parse(name)?, &posix(FileKind::Directory))?;
    }
    let (anna, created) = (UserName::parse("anna")?, Timestamp::new(NOW, 0));
    store.add_user(&anna, &User { uid: 1000, gid: 100, makes_buckets: true, created })?;
    Access::new(Arc::clone(store), Arc::new(Same)).create_key(Some(&anna))?;
    store.set_versioning("versioned", Versioning::Enabled)?;
    let put = |bucket: &str, key: &str, bytes: &[u8]| {
        store.put(bucket, &ObjectKey::parse(key)?, &mut &*bytes, &PutOptions::default()).map(drop)
    };
    for bucket in ["plain", "versioned"] {
        put(bucket, "inline", b"a few bytes")?;
        put(bucket, "inline", b"other bytes")?;
        put(bucket, "d/e/run", &[1; 10_000])?;
    }
    store.delete("versioned", &ObjectKey::parse("d/e/run")?, None, Condition::Always)?;
    let root = store.bucket("plain")?.root;
    let draft = store.create_draft(root, "tree", &posix(FileKind::File))?;
    let mut bytes = store.draft(None)?;
    for n in 0..100u64 {
        bytes.write_at(n * 24_576, &[3; 4096])?;
    }
    let mut session = Session::new();
    store.publish((root, "tree"), draft.object.ino, &mut bytes, &mut session, &Default::default())?;
    store.seal(session)?;
    store.create_draft(root, "draft", &posix(FileKind::File))?;
    let file = store.get("plain", &ObjectKey::parse("inline")?, None)?;
    store.link(file.ino, (root, "inline"), (root, "link"))?;
    store.make_dir(root, "made/", &posix(FileKind::Directory))?;
    let key = ObjectKey::parse("upload")?;
    let upload = store.create_upload("plain", &key, &UploadOptions::default())?;
    let promise = Promise { keep: Some(ChecksumAlgorithm::Sha256), ..Promise::default() };
    store.put_part(upload, 1, &mut &[4; 9000][..], &promise)?;
    // A pass of scrub that another process goes on with.
    store.scrub_in_background(1)?;
    store.keep_scrub(true)
}

/// Every record of the sound store.
pub fn sound_records() -> Vec<Planted> {
    let disk = Arc::new(SOUND.crash(0));
    let index = Index::in_memory(disk, index::Settings::default()).expect("the index of a sound store");
    let all = Family::ALL.iter().flat_map(|family| {
        let found = index.scan(*family, &[], &[0xff; 64]).expect("an index in memory");
        let found = found.filter_map(Result::ok).map(|(key, value)| (*family, key.to_vec(), Some(value.to_vec())));
        found.collect::<Vec<_>>()
    });
    all.collect()
}

/// The sound store's disk with the records that bytes say.
fn planted_on(data: &[u8]) -> Option<MemDisk> {
    let disk = SOUND.crash(0);
    let index = Index::in_memory(Arc::new(disk.clone()), index::Settings::default()).ok()?;
    let done = index.transact(|tx| {
        for (family, key, value) in planted(data) {
            match value {
                Some(value) => tx.put_bytes(family, &key, value),
                None => tx.delete(family, &key),
            }
        }
        Ok(())
    });
    let _ = index.seal();
    if let (Ok(_), Ok(Some(sealed))) = (done, index.sealed()) {
        let _ = index.write_sealed(sealed, true);
    }
    Some(disk)
}

/// Any bytes as records of a store.
pub fn store(data: &[u8]) {
    let Some(Ok(store)) = planted_on(data).as_ref().map(open) else { return };
    look(&store);
    change(&store);
    let _ = store.close();
}

/// The same store compacted, scrubbed and repaired: what is left to find are bytes that are lost.
pub fn repair(data: &[u8]) {
    let Some(Ok(store)) = planted_on(data).as_ref().map(open) else { return };
    let _ = store.compact(&mut |_| true).is_ok();
    scrub(&store);
    let _ = store.repair(true, &mut |_| {}).is_ok();
    if store.repair(false, &mut |_| {}).is_ok() {
        let left = store.fsck(&mut |_| {}).unwrap_or_default();
        assert!(left.iter().all(Finding::is_loss), "a repair leaves {left:#?}");
        look(&store);
    }
    let _ = store.close();
}

/// Goes on with the pass that was kept, then a whole one.
pub(super) fn scrub(store: &Arc<Store>) {
    store.recall_scrub();
    let _ = (store.scrub_status(), store.scrub_turn());
    for _ in 0..STEPS_MAX {
        if store.scrub_in_background(1 << 20).is_err() || !store.scrub_turn().begun {
            break;
        }
    }
    if let Ok(mut pass) = store.scrub_by_hand() {
        for _ in 0..STEPS_MAX {
            if pass.step(1 << 20).is_err() || pass.pass().is_over() {
                break;
            }
        }
    }
}

pub(super) fn look(store: &Arc<Store>) {
    let _ = (store.status().is_ok(), store.changes(0, ENTRIES_MAX).is_ok());
    for bucket in store.buckets().unwrap_or_default() {
        let name = bucket.name.as_str();
        let _ = store.usage(bucket.id).is_ok();
        let _ = store.list(name, &ListRequest { limit: ENTRIES_MAX, ..ListRequest::default() }).is_ok();
        let _ = store.list_versions(name, &ListVersions { limit: ENTRIES_MAX, ..ListVersions::default() }).is_ok();
        let _ = store.uploads(name).is_ok();
        walk(store, bucket.root);
    }
    let access = Access::new(Arc::clone(store), Arc::new(Same));
    for (id, _) in access.keys().unwrap_or_default() {
        if let Ok(Some(key)) = access.credential(id.as_str()) {
            let _ = (access.buckets(&key.principal).is_ok(), access.posix(&key.principal).is_ok());
        }
    }
    let _ = (access.users().is_ok(), store.fsck(&mut |_| {}).is_ok());
}

/// Every directory is met once, and every name is one.
fn walk(store: &Arc<Store>, root: DirId) {
    let past = store.as_of(Timestamp::new(NOW, 0));
    let (mut open, mut met, mut budget) = (vec![root], HashSet::from([root]), ENTRIES_MAX);
    while let (Some(dir), Some(left)) = (open.pop(), budget.checked_sub(1)) {
        budget = left;
        let _ = (store.path_of(dir).is_ok(), store.names_with_history(&[dir], None, 100).is_ok());
        let _ = past.entries(dir, None, 100).is_ok();
        for (component, entry) in store.entries(dir, None, 100).unwrap_or_default() {
            assert!(!component.trim_end_matches('/').contains('/'), "{component:?} leads out of its directory");
            match entry {
                Entry::Dir(found) => {
                    assert!(met.insert(found.id), "directory {} is met twice", found.id);
                    open.push(found.id);
                }
                Entry::File(file) => {
                    read(store, &file.object);
                    let _ = store.links(file.object.ino).is_ok();
                }
            }
            for object in store.versions(&[dir], &component).unwrap_or_default() {
                read(store, &object);
            }
        }
    }
}

fn read(store: &Arc<Store>, object: &Object) {
    let Ok(content) = store.open_content(object) else { return };
    let mut at = 0;
    let mut buf = vec![0; 1 << 20];
    while at < content.size().min(BYTES_MAX) {
        match content.read_at(at, &mut buf) {
            Ok(n) if n > 0 => at += n as u64,
            _ => break,
        }
    }
    let _ = content.read_at(content.size().saturating_sub(10), &mut buf[..100]).is_ok();
    let _ = (content.seek_data(0).is_ok(), content.seek_hole(0).is_ok(), content.solo_file().is_some());
}

pub(super) fn change(store: &Arc<Store>) {
    for bucket in store.buckets().unwrap_or_default() {
        for (component, entry) in store.entries(bucket.root, None, 20).unwrap_or_default() {
            match entry {
                Entry::File(file) => {
                    if let Ok(mut draft) = store.draft(Some(&file.object)) {
                        let _ = draft.write_at(draft.size().min(BYTES_MAX) / 2, b"edited");
                        let _ = draft.truncate(draft.size() / 2);
                        let (mut session, at) = (Session::new(), (bucket.root, component.as_str()));
                        let _ = store.publish(at, file.object.ino, &mut draft, &mut session, &Default::default());
                        let _ = store.seal(session);
                    }
                    let _ = store.remove(bucket.root, &component).is_ok();
                }
                Entry::Dir(_) => {
                    let _ = store.remove_dir(bucket.root, &component).is_ok();
                }
            }
        }
    }
    for _ in 0..20 {
        if !store.reap().unwrap_or(false) {
            break;
        }
    }
}
