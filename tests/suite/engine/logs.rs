//! Power cuts between the syncs of the index's logs, and of its lists of tables: RocksDB goes on to another log and syncs the
//! one before later.

use super::calls::{Call, Kind, Watcher, Watching};
use super::harness::{B, Home, copy, key, make_bucket, pattern};
use keyfold::store::{Options, PutOptions, Store};
use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the disk does with the syncs of one store.
#[derive(Default)]
struct Plan {
    /// Syncs of files with this end by RocksDB's own threads wait.
    hold: Option<&'static str>,
    held: u32,
    /// Where the store is copied to when another thread syncs a log next.
    copy_to: Option<PathBuf>,
    /// Bytes of each log that a sync covered.
    synced: HashMap<PathBuf, u64>,
    /// Whether the lists of tables that were synced were in use already.
    lists: Vec<bool>,
}

struct Disk {
    dir: PathBuf,
    plan: Mutex<Plan>,
}

impl Disk {
    fn plan<T>(&self, act: impl FnOnce(&mut Plan) -> T) -> T {
        act(&mut self.plan.lock().unwrap())
    }
}

fn end_of(path: &Path) -> &str {
    path.extension().and_then(|end| end.to_str()).unwrap_or_default()
}

impl Watcher for Disk {
    fn call(&self, call: &Call<'_>, go: &mut dyn FnMut(u64) -> isize) -> isize {
        if call.kind != Kind::Sync {
            return go(u64::MAX);
        }
        let name = call.path.file_name().unwrap().to_string_lossy();
        if name.starts_with("MANIFEST-") {
            let used = std::fs::read_to_string(call.path.with_file_name("CURRENT")).unwrap();
            self.plan(|plan| plan.lists.push(used.trim() == name));
        }
        let thread = std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
        let own = thread.starts_with("rocksdb");
        if own && self.plan(|plan| plan.hold == Some(end_of(call.path))) {
            self.plan(|plan| plan.held += 1);
            while self.plan(|plan| plan.hold == Some(end_of(call.path))) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        if !own
            && end_of(call.path) == "log"
            && let Some(to) = self.plan(|plan| plan.copy_to.take())
        {
            copy(&self.dir.join("."), &to);
            self.plan(|plan| plan.hold = None);
        }
        let len = call.path.metadata().map_or(0, |meta| meta.len());
        let done = go(u64::MAX);
        if done == 0 {
            self.plan(|plan| plan.synced.insert(call.path.to_owned(), len));
        }
        done
    }
}

fn logs(store: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(store.join("meta")).unwrap().map(|entry| entry.unwrap().path());
    let mut logs: Vec<_> = names.filter(|path| end_of(path) == "log").collect();
    logs.sort();
    logs
}

fn put(store: &Arc<Store>, n: usize, len: usize, options: &PutOptions) {
    store.put(B, &key(&format!("k{n:04}")), &mut &pattern(len, n as u64)[..], options).unwrap();
    // RocksDB changes its logs on threads of its own.
    std::thread::sleep(Duration::from_millis(1));
}

/// A store whose log changes after little, opened a second time so that nothing of its making is in a log.
fn opened(home: &Home) -> (Options, Arc<Store>, Arc<Disk>, Watching) {
    let mut options = home.options();
    options.settings.memtable_bytes = 256 << 10;
    let open = || Store::open(home.dir.path(), options.clone()).unwrap();
    let store = open();
    make_bucket(&store, B);
    store.close().unwrap();
    drop(store);
    let disk = Arc::new(Disk { dir: home.dir.path().to_owned(), plan: Mutex::default() });
    let watching = Watching::new(home.dir.path(), Arc::<Disk>::clone(&disk));
    let store = open();
    (options, store, disk, watching)
}

fn all_are_there(at: &Path, options: Options, answered: usize) {
    let store = Store::open(at, options).unwrap();
    let lost: Vec<_> = (0..answered).filter(|n| store.get(B, &key(&format!("k{n:04}")), None).is_err()).collect();
    assert!(lost.is_empty(), "{} of {answered} answered puts are lost: {lost:?}", lost.len());
    super::harness::fsck(&store);
    store.close().unwrap();
}

/// The end of the older log is lost, all of the newer one is there: RocksDB sees no gap.
#[test]
fn a_hole_between_two_logs_is_filled_from_the_journal() {
    let home = Home::new();
    let (options, store, disk, _watching) = opened(&home);
    disk.plan(|plan| plan.hold = Some("log"));
    let (mut answered, mut after) = (0, 0);
    while after < 10 {
        put(&store, answered, 3500, &PutOptions::default());
        answered += 1;
        after += u32::from(disk.plan(|plan| plan.held > 0));
        assert!(answered < 2000);
    }
    let cut = tempfile::tempdir().unwrap();
    copy(&home.dir.path().join("."), cut.path());
    let older = logs(cut.path()).remove(0);
    assert!(logs(cut.path()).len() > 1);
    let name = home.dir.path().join("meta").join(older.file_name().unwrap());
    let synced = disk.plan(|plan| plan.synced.get(&name).copied().unwrap_or(0));
    assert!(synced < older.metadata().unwrap().len());
    std::fs::OpenOptions::new().write(true).open(&older).unwrap().set_len(synced).unwrap();
    disk.plan(|plan| plan.hold = None);
    store.abandon();
    all_are_there(cut.path(), options, answered);
}

/// The power goes while a round that empties the journal syncs the logs, one after the other.
#[test]
fn the_journal_is_not_given_up_before_the_logs_are_synced() {
    let home = Home::new();
    let (options, store, disk, _watching) = opened(&home);
    disk.plan(|plan| plan.hold = Some("sst"));
    let mut answered = 0;
    // The only flush waits for the disk; then names with much metadata fill another family, and the log changes again.
    let mut rich = PutOptions::default();
    rich.metadata.set_user("k", &"v".repeat(2000)).unwrap();
    for (enough, len, options) in [(2, 3500, &PutOptions::default()), (3, 1, &rich)] {
        while logs(home.dir.path()).len() < enough {
            put(&store, answered, len, options);
            answered += 1;
            assert!(answered < 1000);
        }
    }
    put(&store, answered, 1, &rich);
    answered += 1;
    let cut = tempfile::tempdir().unwrap();
    disk.plan(|plan| plan.copy_to = Some(cut.path().to_owned()));
    store.close().unwrap();
    let middle = logs(cut.path()).remove(1);
    assert_eq!(logs(cut.path()).len(), 3);
    std::fs::OpenOptions::new().write(true).open(&middle).unwrap().set_len(0).unwrap();
    all_are_there(cut.path(), options, answered);
}

/// What is appended to it would be torn by a power cut, and RocksDB opens no list with a torn end.
#[test]
fn a_list_of_tables_in_use_is_not_written_to() {
    let home = Home::new();
    let (options, store, disk, _watching) = opened(&home);
    let changes = || disk.plan(|plan| plan.lists.len());
    let mut answered = 0;
    while changes() < 8 {
        put(&store, answered, 3500, &PutOptions::default());
        answered += 1;
        assert!(answered < 4000, "the list of tables was changed {} times", changes());
    }
    store.close().unwrap();
    drop(store);
    assert_eq!(disk.plan(|plan| plan.lists.iter().filter(|used| **used).count()), 0, "of {}", changes());
    all_are_there(home.dir.path(), options, answered);
}

/// Blocks of a log, in which its records are aligned anew.
const BLOCK: u64 = 32 << 10;

/// The power goes, and on a file system without a journal the last blocks of the log show what lay there before: an older
/// log's records with good checksums, cut where those of the log are cut or elsewhere.
#[test]
fn an_older_log_in_lost_blocks_is_not_read() {
    for (older, newer) in [(900, 900), (2100, 900), (900, 2100)] {
        let home = Home::new();
        let (options, store, disk, _watching) = opened(&home);
        let (meta, mut answered) = (home.dir.path().join("meta"), 0);
        let log = || logs(home.dir.path()).pop().unwrap();
        let mut fill = |store: &Arc<Store>, len| {
            while log().metadata().unwrap().len() < 5 * BLOCK {
                put(store, answered, len, &PutOptions::default());
                answered += 1;
                assert!(answered < 2000);
            }
        };
        fill(&store, older);
        let old = std::fs::read(log()).unwrap();
        store.close().unwrap();
        drop(store);
        disk.plan(|plan| plan.synced.clear());
        let store = Store::open(home.dir.path(), options.clone()).unwrap();
        fill(&store, newer);
        let log = log();
        let synced = disk.plan(|plan| plan.synced[&meta.join(log.file_name().unwrap())]);
        let from = synced.next_multiple_of(BLOCK);
        assert!(from < 3 * BLOCK, "{synced} bytes of the log are synced");
        for lost in [from, from + BLOCK] {
            let cut = tempfile::tempdir().unwrap();
            copy(&home.dir.path().join("."), cut.path());
            let log =
                std::fs::OpenOptions::new().write(true).open(cut.path().join("meta").join(log.file_name().unwrap()));
            log.unwrap().write_all_at(&old[lost as usize..(4 * BLOCK) as usize], lost).unwrap();
            all_are_there(cut.path(), options.clone(), answered);
        }
        store.abandon();
    }
}
