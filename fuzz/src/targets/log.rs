//! Targets for a store whose log says anything: bytes laid over its files, files cut, runs and one-object files of strangers
//! beside them; opened with the index it had, and with one built of the log.

use super::store::{self, look, options};
use super::{cut, number};
use keyfold::chunklog::format::header::{HEADER_BYTES, SegmentHeader};
use keyfold::chunklog::format::run::{HEAD_BYTES_MAX, Payload, RunHead, encode_head};
use keyfold::chunklog::format::{Binder, footer, header, journal, run, sum};
use keyfold::chunklog::{Class, Owner, SegmentId, SoloId, Written};
use keyfold::model::{BucketName, FileKind, ObjectKey, Posix, Result, StorageClass, Timestamp, Versioning};
use keyfold::store::{CopyOptions, Finding, PutOptions, RenameHow, Store};
use keyfold::sys::disk::{Disk, MemDisk};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// The store's id, as its entropy draws it.
const STORE: &[u8; 16] = &[7; 16];
/// Bytes of the disk, so that an offset far away does not become memory.
const ROOM: u64 = 128 << 20;
/// Files of strangers begin with this number.
const STRANGERS: u32 = 0x1000;
const FRAME: usize = 1 << 16;

/// What is done to the log.
#[derive(Clone, Debug)]
pub enum Tamper {
    /// Bytes laid over those of one of its files, in the order of their paths, from a place on. Sealed, the checksum of
    /// what they lie in is set right.
    Lay { file: u8, at: u32, sealed: bool, bytes: Vec<u8> },
    /// A file ends at a place.
    Cut { file: u8, at: u32 },
    /// A run of a stranger; all of them lie in one segment.
    Run(Said, Vec<u8>),
    /// A one-object file of a stranger.
    Solo(Said, Vec<u8>),
}

/// Whose a stranger says that bytes are.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub ino: u64,
    pub seq: u64,
    pub logical: u64,
    pub written: Written,
    pub key: Vec<u8>,
    /// Whether the file has a number as if the store had been opened more often than anybody counts.
    pub far: bool,
}

const LAST: u8 = 1;
const NOTE: u8 = 2;
const FAR: u8 = 4;

/// What bytes say is to be done.
fn tampers(mut data: &[u8]) -> Vec<Tamper> {
    let mut out = Vec::new();
    while !data.is_empty() {
        let kind = number(&mut data, 1) % 5;
        if kind < 3 {
            let (file, at) = (number(&mut data, 1) as u8, number(&mut data, 4) as u32);
            if kind == 2 {
                out.push(Tamper::Cut { file, at });
                continue;
            }
            let len = number(&mut data, 1) as usize;
            out.push(Tamper::Lay { file, at, sealed: kind == 1, bytes: cut(&mut data, len).to_vec() });
            continue;
        }
        let [ino, seq, logical, length, base] = [(); 5].map(|()| number(&mut data, 8));
        let [time, order] = [(); 2].map(|()| number(&mut data, 4) as u32);
        let flags = number(&mut data, 1) as u8;
        let written = Written { length, base, time, order, last: flags & LAST != 0, note: flags & NOTE != 0 };
        let len = number(&mut data, 2) as usize;
        let key = cut(&mut data, len).to_vec();
        let len = number(&mut data, 2) as usize;
        let said = Said { ino, seq, logical, written, key, far: flags & FAR != 0 };
        let bytes = cut(&mut data, len).to_vec();
        out.push(if kind == 3 { Tamper::Run(said, bytes) } else { Tamper::Solo(said, bytes) });
    }
    out
}

/// The bytes that say that.
pub fn untampered(tampers: &[Tamper]) -> Vec<u8> {
    let mut out = Vec::new();
    for tamper in tampers {
        match tamper {
            Tamper::Lay { file, at, sealed, bytes } => {
                out.extend([u8::from(*sealed), *file]);
                out.extend(at.to_le_bytes());
                out.push(bytes.len() as u8);
                out.extend(bytes);
            }
            Tamper::Cut { file, at } => {
                out.extend([2, *file]);
                out.extend(at.to_le_bytes());
            }
            Tamper::Run(said, bytes) | Tamper::Solo(said, bytes) => {
                out.push(if matches!(tamper, Tamper::Run(..)) { 3 } else { 4 });
                let Written { length, base, time, order, last, note } = said.written;
                [said.ino, said.seq, said.logical, length, base].iter().for_each(|n| out.extend(n.to_le_bytes()));
                [time, order].iter().for_each(|n| out.extend(n.to_le_bytes()));
                let flags = [(last, LAST), (note, NOTE), (said.far, FAR)].map(|(set, flag)| u8::from(set) * flag);
                out.push(flags.iter().sum());
                for part in [&said.key, bytes] {
                    out.extend((part.len() as u16).to_le_bytes());
                    out.extend(part);
                }
            }
        }
    }
    out
}

/// A store with runs and a file of their own, whole and with parts that others show, versions, names that moved and went.
static SOUND: LazyLock<MemDisk> = LazyLock::new(|| {
    let disk = MemDisk::new();
    Store::init_on(&disk, store::place(), &options()).expect("a store on an empty disk");
    let store = store::open(&disk).expect("it opens");
    fill(&store).expect("a sound store takes changes");
    store.close().expect("a sound store closes");
    // What the index has of a one-object file is not long, then.
    let said = Said {
        ino: 1 << 20,
        seq: 1 << 20,
        written: Written { length: 70_000, last: true, order: 1, time: store::NOW as u32, ..Written::default() },
        key: b"plain/alone".to_vec(),
        ..Said::default()
    };
    tamper(&disk, &[Tamper::Solo(said, vec![5; 70_000])]);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    Store::rebuild_simulated(&shared, store::place(), options(), false, &mut |_| {}).expect("an index of a sound log");
    // The end is in the journal only.
    let store = store::open(&disk).expect("it opens");
    for key in ["one", "two"] {
        let key = ObjectKey::parse(key).expect("a key");
        store.put("plain", &key, &mut &[6; 5000][..], &PutOptions::default()).expect("a sound store takes changes");
    }
    let cut = disk.crash(0);
    store.close().expect("a sound store closes");
    cut
});

fn fill(store: &Arc<Store>) -> Result<()> {
    let posix = Posix::new(FileKind::Directory, 0o755, 0, 0, Timestamp::new(store::NOW, 0));
    for name in ["plain", "versioned"] {
        store.create_bucket(&BucketName::parse(name)?, &posix)?;
    }
    store.set_versioning("versioned", Versioning::Enabled)?;
    let put = |bucket: &str, key: &str, bytes: &[u8]| {
        store.put(bucket, &ObjectKey::parse(key)?, &mut &*bytes, &PutOptions::default())
    };
    for bucket in ["plain", "versioned"] {
        put(bucket, "a/run", &[1; 10_000])?;
        put(bucket, "a/run", &[2; 70_000])?;
        let gone = put(bucket, "gone", &[3; 5000])?;
        store.copy(&gone, bucket, &ObjectKey::parse("copy")?, &CopyOptions::default())?;
        store.delete(bucket, &ObjectKey::parse("gone")?, None, keyfold::store::Condition::Always)?;
        let root = store.bucket(bucket)?.root;
        store.rename((root, "a/"), (root, "b/"), RenameHow::Replace)?;
    }
    let at = (store.bucket("plain")?.root, "copy");
    let Some(keyfold::store::Entry::File(file)) = store.lookup(at.0, at.1)? else { return Ok(()) };
    let mut draft = store.draft(Some(&file.object))?;
    draft.write_at(4096, &[4; 100])?;
    draft.punch(0, 1000)?;
    let mut session = keyfold::store::Session::new();
    store.publish(at, file.object.ino, &mut draft, &mut session, &Default::default())?;
    store.seal(session)?;
    while store.reap()? {}
    store.sync()
}

/// Files of the log by their paths, and the journal.
fn files(disk: &MemDisk) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("journal")];
    for top in ["seg", "solo"].map(Path::new) {
        for shard in disk.list(top).unwrap_or_default() {
            let dir = top.join(shard.name);
            found.extend(disk.list(&dir).unwrap_or_default().into_iter().map(|file| dir.join(file.name)));
        }
    }
    found.retain(|path| disk.contents(path).is_ok());
    found.sort();
    found
}

fn tamper(disk: &MemDisk, tampers: &[Tamper]) {
    let files = files(disk);
    let mut segment = Vec::new();
    for (n, tamper) in (STRANGERS..).zip(tampers) {
        match tamper {
            Tamper::Lay { file, at, sealed, bytes } => {
                let path = &files[usize::from(*file) % files.len()];
                let _ = disk.tamper(path, |all| {
                    let at = *at as usize % all.len().max(1);
                    let len = bytes.len().min(all.len() - at);
                    all[at..at + len].copy_from_slice(&bytes[..len]);
                    if *sealed {
                        reseal(path, all, at);
                    }
                });
            }
            Tamper::Cut { file, at } => {
                let path = &files[usize::from(*file) % files.len()];
                let _ = disk.tamper(path, |all| all.truncate(*at as usize % all.len().max(1)));
            }
            Tamper::Run(said, bytes) if !bytes.is_empty() => {
                let id = SegmentId::new(1, STRANGERS);
                if segment.is_empty() {
                    let created = Timestamp::new(store::NOW, 0);
                    segment = SegmentHeader {
                        store: *STORE,
                        id,
                        created,
                        class: Class::Hot,
                        storage: StorageClass::Standard,
                        packed: false,
                    }
                    .encode();
                }
                let offset = segment.len() as u32;
                encode_head(
                    &mut segment,
                    &Binder::segment(STORE, id),
                    id,
                    offset,
                    &owner(said),
                    &Payload::plain(bytes),
                );
                segment.extend(bytes);
                segment.resize(segment.len().next_multiple_of(8), 0);
            }
            Tamper::Run(..) => {}
            Tamper::Solo(said, bytes) => {
                let id = SoloId::new(if said.far { u32::MAX } else { 1 }, n);
                let bind = Binder::solo(STORE, id);
                let frame = |(n, bytes): (usize, &[u8])| {
                    let mut hasher = sum::frame_hasher(&bind, n as u64);
                    hasher.update(bytes);
                    hasher.finalize()
                };
                let frames: Vec<u32> = bytes.chunks(FRAME).enumerate().map(frame).collect();
                let sum = sum::encode(
                    &bind,
                    STORE,
                    id,
                    (StorageClass::Standard, Class::Hot),
                    bytes.len() as u64,
                    &owner(said),
                    &frames,
                );
                plant(disk, &id.path(), bytes);
                plant(disk, &id.sum_path(), &sum);
            }
        }
    }
    if !segment.is_empty() {
        plant(disk, &SegmentId::new(1, STRANGERS).path(), &segment);
    }
}

fn owner(said: &Said) -> Owner<'_> {
    Owner { ino: said.ino, seq: said.seq, logical: said.logical, written: said.written, key_tail: &said.key }
}

/// Makes a file, or one that is there another.
fn plant(disk: &MemDisk, path: &Path, bytes: &[u8]) {
    if disk.tamper(path, |all| *all = bytes.to_vec()).is_ok() {
        return;
    }
    let dir = path.parent().unwrap_or(Path::new(""));
    disk.create_dir_all(dir).and_then(|()| disk.create_new(path)).expect("a disk in memory");
    let _ = disk.tamper(path, |all| *all = bytes.to_vec());
    dir.ancestors().for_each(|dir| disk.sync_dir(dir).expect("a disk in memory"));
}

/// Sets the checksum of what lies at a place of a file.
fn reseal(path: &Path, all: &mut [u8], at: usize) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name == "journal" {
        let from = at / 4096 * 4096;
        let total = journal::total(&all[from..]).map_or(0, |total| total as usize);
        if let Some(entry) = all.get_mut(from..from + total) {
            journal::reseal(entry, STORE, from as u32);
        }
    } else if let Some(id) = SegmentId::parse(name) {
        segment(&Binder::segment(STORE, id), id, all, at);
    } else if let Some(id) = SoloId::parse(&name.replace(".sum", ".obj")).filter(|_| name.ends_with(".sum")) {
        sum::reseal(all, &Binder::solo(STORE, id));
    }
}

fn segment(bind: &Binder, id: SegmentId, all: &mut [u8], at: usize) {
    if at < HEADER_BYTES {
        return header::reseal(all);
    }
    // The runs before it are whole, or were sealed.
    let mut from = HEADER_BYTES;
    while from <= at {
        let head = &mut all[from..];
        let len = head.len().min(HEAD_BYTES_MAX);
        match RunHead::decode(&head[..len], bind, id, from as u32) {
            Ok(found) => from += found.total() as usize,
            Err(_) if head.starts_with(run::MAGIC) => {
                run::reseal(&mut head[..len], bind, from as u32);
                break;
            }
            Err(_) => break,
        }
    }
    if let Some(directory) = all.len().checked_sub(footer::TRAILER_BYTES).and_then(|at| {
        let field = all.get(at + 40..at + 44)?;
        Some(u32::from_le_bytes(field.try_into().ok()?))
    }) && let Some(end) = all.get_mut(directory as usize..)
    {
        footer::reseal(end, bind, directory);
    }
}

fn tampered(tampers: &[Tamper]) -> MemDisk {
    let disk = SOUND.crash(0);
    disk.set_room(Some(ROOM));
    tamper(&disk, tampers);
    disk
}

/// Any bytes as what was done to the log, with the index as it was: what is left to find are bytes that are lost.
pub fn log(data: &[u8]) {
    let tampers = tampers(data);
    let disk = tampered(&tampers);
    let Ok(store) = store::open(&disk) else { return };
    store::scrub(&store);
    look(&store);
    let _ = store.compact(&mut |_| true).is_ok();
    store::change(&store);
    // The journal holds records of the index, so sealed anew it says anything of it, too.
    let files = files(&SOUND);
    let forged = |tamper: &Tamper| match tamper {
        Tamper::Lay { file, sealed: true, .. } => files[usize::from(*file) % files.len()] == Path::new("journal"),
        _ => false,
    };
    if !tampers.iter().any(forged) {
        only_losses(&store);
    }
    let _ = store.close();
    stays_within(&disk);
}

/// The same with an index built of that log.
pub fn rebuild(data: &[u8]) {
    let disk = tampered(&tampers(data));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    for dry_run in [true, false] {
        let built = Store::rebuild_simulated(&shared, store::place(), options(), dry_run, &mut |_| {});
        stays_within(&disk);
        if built.is_err() {
            return;
        }
    }
    let store = store::open(&disk).expect("a store with an index that was built");
    only_losses(&store);
    look(&store);
    let _ = store.close();
}

fn only_losses(store: &Arc<Store>) {
    let found = store.fsck(&mut |_| {}).unwrap_or_default();
    assert!(found.iter().all(Finding::is_loss), "{found:#?}");
}

/// Nothing was made beside what a store consists of.
fn stays_within(disk: &MemDisk) {
    const PARTS: &[&str] = &["FORMAT", "LOCK", "journal", "meta", "quarantine", "seg", "solo"];
    for entry in disk.list(Path::new("")).unwrap_or_default() {
        assert!(PARTS.contains(&entry.name.as_str()), "{:?} lies in the store", entry.name);
    }
}
