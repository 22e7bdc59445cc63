//! Work that fails for long: it is told when it begins and when it is over, not each time it is tried; `status` says so
//! meanwhile.

use super::fault::{Disk, Fault, Lasts};
use super::{EIO, ENOSPC, scratch};
use crate::engine::calls::{Call, Kind, Watcher, Watching, fail};
use crate::engine::harness::{
    B, Home, all_versions, fsck, get, key, make_bucket, pattern, purge, put, root, write_file,
};
use keyfold::store::{Complaint, Condition, PutOptions, Store};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(20);

struct Failing {
    store: Arc<Store>,
    disk: Arc<Disk>,
    _watching: Watching,
    _dir: tempfile::TempDir,
}

/// A store with `before` in it, of whose calls some then fail until the disk is healed.
fn failing(before: impl FnOnce(&Arc<Store>), (kind, only): (Kind, &'static str), errno: i32, lasts: Lasts) -> Failing {
    let dir = scratch();
    let mut options = Home::new().options();
    options.settings.commit_interval = Duration::from_millis(100);
    options.settings.memtable_bytes = 64 << 10;
    Store::init(dir.path(), &options).unwrap();
    let store = Store::open(dir.path(), options).unwrap();
    make_bucket(&store, B);
    before(&store);
    store.sync().unwrap();
    let disk = Arc::new(Disk::new(dir.path(), Fault { kind, only, nth: 1, errno, lasts }));
    let watching = Watching::new(dir.path(), Arc::<Disk>::clone(&disk));
    Failing { store, disk, _watching: watching, _dir: dir }
}

impl Failing {
    fn told(&self, work: &str) -> Vec<Complaint> {
        self.store.complaints(None).into_iter().filter(|complaint| complaint.op == work).collect()
    }

    fn is_hindered(&self, work: &str) -> bool {
        self.store.status().unwrap().hindered.iter().any(|hindrance| hindrance.work == work)
    }

    /// Waits until `status` says that work is hindered, or not any more.
    #[track_caller]
    fn until_hindered(&self, work: &str, hindered: bool) {
        let end = Instant::now() + PATIENCE;
        while self.is_hindered(work) != hindered {
            assert!(Instant::now() < end, "{work}: {:?}", self.store.status().unwrap().hindered);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What hindered the work is over, and two lines tell of all of it.
    #[track_caller]
    fn is_over(&self, work: &str) {
        self.until_hindered(work, false);
        let told = self.told(work);
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].what.contains("works again") && told[1].why.contains(&told[0].what), "{told:#?}");
        fsck(&self.store);
        self.store.close().unwrap();
    }
}

#[test]
fn a_disk_that_stays_full_is_told_once_and_when_it_is_over() {
    let failing = failing(|_| (), (Kind::Write, ".log"), ENOSPC, Lasts::Stuck);
    write_file(&failing.store, root(&failing.store), "f", b"acknowledged");
    assert!(failing.store.sync().is_err());
    std::thread::sleep(Duration::from_secs(3));
    assert!(failing.is_hindered("sync"));
    assert!(failing.store.sync().is_err());
    assert_eq!(failing.told("sync").len(), 1, "{:#?}", failing.told("sync"));
    assert_eq!(failing.store.status().unwrap().read_only, None);
    failing.disk.heal();
    failing.is_over("sync");
}

/// RocksDB had writers wait for a flush that found the disk full, and its recovery wait for them.
#[test]
fn writers_and_the_recovery_from_a_full_disk_do_not_wait_for_each_other() {
    let metadata = crate::engine::compare::meta(Some(&"m".repeat(1900)));
    for round in 0..if crate::long() { 100 } else { 6 } {
        let passing = Lasts::For(Duration::from_millis(60));
        let failing = failing(|_| (), (Kind::Create, ".sst"), ENOSPC, passing);
        let options = PutOptions { metadata: metadata.clone(), ..PutOptions::default() };
        for n in 0..120 {
            let put = |_| {
                failing.store.put(B, &key(&format!("{n}")), &mut &pattern(3500, n)[..], &options).map_err(|error| {
                    assert_eq!(error.kind(), keyfold::model::Kind::Full, "round {round}: {error}");
                    std::thread::sleep(Duration::from_millis(20));
                })
            };
            assert!((0..100).map(put).any(|done| done.is_ok()), "round {round}, {n}");
        }
        fsck(&failing.store);
        failing.store.close().unwrap();
    }
}

/// The index's tables cannot be written, for as long as it takes: who waits is told, and it goes on by itself.
#[test]
fn who_waits_for_an_index_that_cannot_write_its_tables_is_told() {
    let failing = failing(|_| (), (Kind::Create, ".sst"), ENOSPC, Lasts::Stuck);
    let put = |n: u64| {
        let began = Instant::now();
        let done = failing.store.put(B, &key(&format!("{n}")), &mut &pattern(3500, n)[..], &PutOptions::default());
        let done = done.and_then(|_| failing.store.sync());
        assert!(began.elapsed() < PATIENCE, "a write waits for ever");
        done
    };
    let refused = (0..500).find_map(|n| put(n).err()).expect("more fits into memory than may");
    assert_eq!(refused.kind(), keyfold::model::Kind::Full, "{refused}");
    let why = |hindered: &keyfold::store::Hindrance| hindered.work == "sync" && hindered.why.contains("No space");
    assert!(failing.store.status().unwrap().hindered.iter().any(why), "{:?}", failing.store.status());
    // A delete shows at once, and says that it is not durable.
    let deleted = failing.store.delete(B, &key("1"), None, Condition::Always);
    assert!(deleted.is_err_and(|error| error.kind() == keyfold::model::Kind::Full));
    assert!(get(&failing.store, "1").is_err());
    failing.disk.heal();
    failing.until_hindered("sync", false);
    put(1000).unwrap();
    assert!(get(&failing.store, "1").is_err() && get(&failing.store, "2").unwrap() == pattern(3500, 2));
    fsck(&failing.store);
    failing.store.close().unwrap();
}

/// There is room for small tables, as they are written, and none for larger ones, as they are merged.
#[derive(Default)]
struct NoRoomToMerge {
    healed: AtomicBool,
    failed: AtomicU32,
}

impl Watcher for NoRoomToMerge {
    fn call(&self, call: &Call<'_>, go: &mut dyn FnMut(u64) -> isize) -> isize {
        let is_table = call.path.extension().is_some_and(|end| end == "sst");
        if is_table && call.kind == Kind::Write && call.at + call.len > 150_000 && !self.healed.load(Ordering::SeqCst) {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return fail(ENOSPC);
        }
        go(u64::MAX)
    }
}

fn tables(dir: &Path) -> usize {
    let files = std::fs::read_dir(dir.join("meta")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "sst")).count()
}

/// RocksDB has writes wait once 36 tables of a family wait to be merged; deletes, which give room back, are writes to it.
#[test]
fn deletes_become_durable_while_the_tables_of_the_index_cannot_be_merged() {
    const OBJECTS: u64 = 6007;
    let dir = scratch();
    let mut options = Home::new().options();
    options.settings.memtable_bytes = 64 << 10;
    Store::init(dir.path(), &options).unwrap();
    let store = Store::open(dir.path(), options).unwrap();
    make_bucket(&store, B);
    let disk = Arc::new(NoRoomToMerge::default());
    let _watching = Watching::new(dir.path(), Arc::<NoRoomToMerge>::clone(&disk));
    let metadata = crate::engine::compare::meta(Some(&"m".repeat(1900)));
    let with = PutOptions { metadata, ..PutOptions::default() };
    // In no order: tables that follow each other need not be merged.
    let names = || (0..OBJECTS).map(|n| key(&format!("{:05}", n * 701 % OBJECTS)));
    for name in names() {
        store.put(B, &name, &mut &b"small"[..], &with).unwrap();
    }
    let most = tables(dir.path());
    assert!(disk.failed.load(Ordering::SeqCst) > 0 && most > 40, "{most} tables");
    for name in names() {
        store.delete(B, &name, None, Condition::Always).unwrap();
    }
    store.sync().unwrap();
    disk.healed.store(true, Ordering::SeqCst);
    let end = Instant::now() + PATIENCE;
    while tables(dir.path()) > most / 2 {
        put(&store, "again", &pattern(3500, 1));
        assert!(Instant::now() < end, "{} tables of {most} are not merged", tables(dir.path()));
        std::thread::sleep(Duration::from_millis(50));
    }
    fsck(&store);
    store.close().unwrap();
}

#[test]
fn a_journal_that_could_not_be_written_is_used_again() {
    let before = |store: &Arc<Store>| drop(put(store, "names its segment", &pattern(9000, 1)));
    let failing = failing(before, (Kind::Write, "journal"), ENOSPC, Lasts::Once);
    put(&failing.store, "small", &pattern(9000, 2));
    assert!(failing.is_hindered("journal"), "{:?}", failing.store.status());
    // All of it is made durable elsewhere, and the journal begins anew.
    put(&failing.store, "large", &pattern(300_000, 3));
    put(&failing.store, "small", &pattern(9000, 4));
    failing.is_over("journal");
}

#[test]
fn room_that_cannot_be_freed_is_told_once_and_when_it_is() {
    let before = |store: &Arc<Store>| drop(put(store, "own", &pattern(5 << 20, 1)));
    let failing = failing(before, (Kind::Unlink, "solo"), EIO, Lasts::Stuck);
    all_versions(&failing.store, B, 9).iter().for_each(|entry| purge(&failing.store, "own", entry.object.version));
    failing.until_hindered("free", true);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(failing.told("free").len(), 1, "{:#?}", failing.told("free"));
    failing.disk.heal();
    failing.is_over("free");
}
