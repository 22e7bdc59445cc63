//! The index is lost: one is built from the data alone, and shows again what the data tells.

use super::harness::{
    B, Home, compact, delete, dir, fsck, get, key, make_bucket, pattern, posix, put, put_in_parts, read, reap, refused,
    rewrite_file, root, versions, write_file,
};
use super::machine::World;
use super::ops::{KEYS, Op, op};
use keyfold::model::{FileKind, Kind, Versioning};
use keyfold::store::{Condition, CopyOptions, PutOptions, Rebuilt, RenameHow, Store};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longer ones lie in the log.
const INLINE: usize = 4096;

/// Builds the index of a closed store anew, after it was lost.
pub fn rebuilt(home: &Home) -> Rebuilt {
    home.close();
    let _ = std::fs::remove_dir_all(home.dir.path().join("meta"));
    if !log_files(home).is_empty() {
        refused(Store::open(home.dir.path(), home.options()).map(drop), Kind::Corrupt);
    }
    rebuild(home)
}

pub fn rebuild(home: &Home) -> Rebuilt {
    home.close();
    Store::rebuild(home.dir.path(), home.options(), (7, 8), false, &mut |_| {}).unwrap()
}

/// Every file of the log.
pub fn log_files(home: &Home) -> Vec<PathBuf> {
    let below = |dir: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(dir).map_or_else(|_| vec![], |found| found.map(|entry| entry.unwrap().path()).collect())
    };
    let tops = ["seg", "solo"].map(|top| home.dir.path().join(top));
    let mut files: Vec<_> = tops.iter().flat_map(|top| below(top)).flat_map(|shard| below(&shard)).collect();
    files.sort();
    files
}

#[test]
fn what_lies_in_the_log_is_there_again() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    make_bucket(&store, "other-bucket");
    let put_in = |bucket: &str, name: &str, bytes: &[u8]| {
        store.put(bucket, &key(name), &mut &bytes[..], &PutOptions::default()).unwrap();
    };
    put_in(B, "small", b"in the index only");
    put_in(B, "run", &pattern(20_000, 1));
    put_in("other-bucket", "deep/down/solo", &pattern(9 << 20, 2));
    put_in("other-bucket", "deep/down/edited", &pattern(6 << 20, 3));
    let made = write_file(&store, root(&store), "file", &pattern(300_000, 4));
    // Appended, overwritten, cut and grown, punched.
    let made = rewrite_file(&store, root(&store), "file", &made, |draft| {
        draft.write_at(300_000, &pattern(50_000, 5)).unwrap();
        draft.write_at(1000, &pattern(500, 6)).unwrap();
    });
    let made = rewrite_file(&store, root(&store), "file", &made, |draft| {
        draft.truncate(200_000).unwrap();
        draft.truncate(250_000).unwrap();
    });
    rewrite_file(&store, root(&store), "file", &made, |draft| draft.punch(10_000, 5000).unwrap());
    let mut file = pattern(300_000, 4);
    file[1000..1500].copy_from_slice(&pattern(500, 6));
    file[10_000..15_000].fill(0);
    file.truncate(200_000);
    file.resize(250_000, 0);
    // A file of its own that was written over.
    let at = store.place("other-bucket", &key("deep/down/edited")).unwrap().unwrap();
    let object = store.get("other-bucket", &key("deep/down/edited"), None).unwrap();
    rewrite_file(&store, at.0, &at.1, &object, |draft| draft.write_at(1 << 20, b"here").unwrap());
    let mut edited = pattern(6 << 20, 3);
    edited[1 << 20..(1 << 20) + 4].copy_from_slice(b"here");
    // Copies, renames, uploads.
    let run = store.get(B, &key("run"), None).unwrap();
    store.copy(&run, "other-bucket", &key("copied"), &CopyOptions::default()).unwrap();
    write_file(&store, root(&store), ".tmp", &pattern(70_000, 7));
    store.rename((root(&store), ".tmp"), (root(&store), "final"), RenameHow::Replace).unwrap();
    store.make_dir(root(&store), "old/", &posix(FileKind::Directory)).unwrap();
    write_file(&store, dir(&store, "old/"), "in", &pattern(80_000, 8));
    store.rename((root(&store), "old/"), (root(&store), "new/"), RenameHow::Replace).unwrap();
    put_in_parts(&store, "whole", &[pattern(5 << 20, 9), pattern(100_000, 10)]);
    put_in(B, "deleted", &pattern(30_000, 11));
    store.delete(B, &key("deleted"), None, Condition::Always).unwrap();
    put_in(B, "replaced", &pattern(30_000, 12));
    put_in(B, "replaced", &pattern(40_000, 13));
    reap(&store);
    drop(store);

    let told = rebuilt(&home);
    assert!(told.findings.is_empty(), "{told:?}");
    assert_eq!((told.buckets, told.files, told.versions, told.unnamed, told.unclaimed), (2, 9, 0, 0, 0), "{told:?}");
    let store = home.open();
    fsck(&store);
    let in_other = |name: &str| {
        let object = store.get("other-bucket", &key(name), None).unwrap();
        super::harness::read(&store, &object).unwrap()
    };
    assert!(get(&store, "run").unwrap() == pattern(20_000, 1));
    assert!(get(&store, "file").unwrap() == file);
    assert!(in_other("deep/down/solo") == pattern(9 << 20, 2));
    assert!(in_other("deep/down/edited") == edited);
    assert!(in_other("copied") == pattern(20_000, 1));
    assert!(get(&store, "final").unwrap() == pattern(70_000, 7));
    assert!(get(&store, "new/in").unwrap() == pattern(80_000, 8));
    assert!(get(&store, "whole").unwrap() == [pattern(5 << 20, 9), pattern(100_000, 10)].concat());
    assert!(get(&store, "replaced").unwrap() == pattern(40_000, 13));
    for name in ["small", "deleted", ".tmp", "old/in"] {
        refused(store.get(B, &key(name), None), Kind::NoSuchKey);
    }
    let ready = super::harness::file(&store, root(&store), "file").object;
    assert_eq!((ready.posix.uid, ready.posix.gid, ready.ino), (7, 8, made.ino));
    // It goes on, and can be lost again.
    put(&store, "later", &pattern(20_000, 14));
    rewrite_file(&store, root(&store), "file", &ready, |draft| draft.write_at(250_000, &[1; 5000]).unwrap());
    file.extend([1; 5000]);
    reap(&store);
    drop(store);
    let told = rebuilt(&home);
    assert_eq!((told.files, told.unnamed, told.findings.len()), (10, 0, 0), "{told:?}");
    let store = home.open();
    fsck(&store);
    assert!(get(&store, "file").unwrap() == file);
    assert!(get(&store, "later").unwrap() == pattern(20_000, 14));
    assert!(in_other_is(&store, "copied", &pattern(20_000, 1)));
}

fn in_other_is(store: &Arc<Store>, name: &str, bytes: &[u8]) -> bool {
    let object = store.get("other-bucket", &key(name), None).unwrap();
    super::harness::read(store, &object).unwrap() == bytes
}

#[test]
fn older_versions_are_there_again() {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    for seed in 0..3 {
        put(&store, "name", &pattern(20_000, seed));
    }
    put(&store, "once", &pattern(20_000, 7));
    drop(store);
    let told = rebuilt(&home);
    assert_eq!((told.files, told.versions, told.findings.len()), (2, 2, 0), "{told:?}");
    let store = home.open();
    fsck(&store);
    let found: Vec<_> = versions(&store, "name").iter().map(|object| read(&store, object).unwrap()).collect();
    assert!(found == [2, 1, 0].map(|seed| pattern(20_000, seed)), "newest first");
}

/// Copies of runs say what the runs said.
#[test]
fn what_compaction_moved_is_there_again() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let garbage = |when: &str| (0..12).for_each(|n| drop(put(&store, &format!("{when} {n}"), &pattern(150_000, n))));
    garbage("before");
    let mut edited = pattern(70_000, 20);
    let made = write_file(&store, root(&store), "edited", &edited);
    garbage("between");
    rewrite_file(&store, root(&store), "edited", &made, |draft| draft.write_at(9000, &pattern(9000, 21)).unwrap());
    edited[9000..18_000].copy_from_slice(&pattern(9000, 21));
    let plain = put(&store, "plain", &pattern(20_000, 22));
    store.copy(&plain, B, &key("copied"), &CopyOptions::default()).unwrap();
    garbage("behind");
    for when in ["before", "between", "behind"] {
        for n in 0..12 {
            delete(&store, &format!("{when} {n}"));
        }
    }
    let before = store.status().unwrap().segment_bytes;
    compact(&store);
    assert!(store.status().unwrap().segment_bytes < before / 4, "something has moved");
    drop(store);
    let told = rebuilt(&home);
    assert!(told.findings.is_empty() && told.unnamed == 0, "{told:?}");
    let store = home.open();
    fsck(&store);
    assert!(get(&store, "edited").unwrap() == edited);
    assert!(get(&store, "plain").unwrap() == pattern(20_000, 22));
    compact(&store);
    fsck(&store);
    assert!(get(&store, "edited").unwrap() == edited);
}

#[test]
fn what_is_put_into_the_log_before_it_is_published_is_told_once() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let mut bytes = pattern(20_000, 1);
    let made = write_file(&store, root(&store), "file", &bytes);
    rewrite_file(&store, root(&store), "file", &made, |draft| {
        draft.punch(5000, 3000).unwrap();
        store.settle(draft).unwrap();
        store.settle(draft).unwrap();
    });
    bytes[5000..8000].fill(0);
    drop(store);
    let told = rebuilt(&home);
    assert_eq!((told.runs, told.files, told.findings.len()), (3, 1, 0), "bytes, a note, what is gone: {told:?}");
    assert!(get(&home.open(), "file").unwrap() == bytes);
}

#[test]
fn what_only_the_journal_has_is_there_again() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put(&store, "first", &pattern(20_000, 1));
    let before: Vec<_> = log_files(&home).into_iter().map(|path| (std::fs::read(&path).unwrap(), path)).collect();
    put(&store, "second", &pattern(20_000, 2));
    store.abandon();
    home.forget();
    // The power failed: of the segment no more is there than was synced.
    before.iter().for_each(|(bytes, path)| std::fs::write(path, bytes).unwrap());
    let told = rebuilt(&home);
    assert_eq!((told.files, told.findings.len()), (2, 0), "{told:?}");
    let store = home.open();
    fsck(&store);
    assert!(get(&store, "second").unwrap() == pattern(20_000, 2));
}

#[test]
fn what_was_never_completed_does_not_come_before_what_was() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let made = write_file(&store, root(&store), "file", &pattern(20_000, 1));
    // Spilled in pieces, and then the process dies.
    let mut draft = store.draft(Some(&made)).unwrap();
    for n in 0..500 {
        draft.write_at(n * 20_000, &pattern(10_000, n)).unwrap();
    }
    store.sync().unwrap();
    std::mem::forget(draft);
    let (dir, copy) = (home.dir.path().to_owned(), Home::new());
    std::fs::remove_dir_all(copy.dir.path()).unwrap();
    super::harness::copy(&dir, copy.dir.path());
    let told = rebuilt(&copy);
    assert_eq!((told.files, told.versions, told.left_out, told.unnamed), (2, 0, 1, 1), "{told:?}");
    let store = copy.open();
    fsck(&store);
    assert!(get(&store, "file").unwrap() == pattern(20_000, 1));
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    put(&store, "name", &pattern(20_000, 1));
    put(&store, "name", &pattern(30_000, 2));
    let busy = Store::rebuild(home.dir.path(), home.options(), (0, 0), true, &mut |_| {});
    refused(busy.map(drop), Kind::StoreBusy);
    drop(store);
    home.close();
    let told = Store::rebuild(home.dir.path(), home.options(), (0, 0), true, &mut |_| {}).unwrap();
    assert_eq!((told.buckets, told.files, told.versions, told.bytes), (1, 1, 1, 50_000), "{told:?}");
    assert!(told.quarantine.is_none() && !home.dir.path().join("quarantine").exists());
    let store = home.open();
    assert_eq!(versions(&store, "name").len(), 2);
    drop(store);
    // The old index and the journal are kept.
    let told = rebuild(&home);
    assert!(told.quarantine.unwrap().join("meta/CURRENT").exists());
}

/// A random history that ends with everything freed that nothing names.
fn history(ops: &[Op]) -> World {
    let mut world = World::new(Home::new());
    ops.iter().for_each(|op| world.step(op));
    for _ in 0..2 {
        // What is gone is told once that is durable.
        world.store.sync().unwrap();
        reap(&world.store);
    }
    world
}

fn cases(count: u32) -> ProptestConfig {
    let cases = if crate::long() { 40 * count } else { count };
    ProptestConfig { max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Not told to the log: that one of several names of the same bytes is gone for good, that a name whose directory was removed and
/// made anew has its history still, and what a crash took from the index.
fn is_told(op: &Op) -> bool {
    !matches!(op, Op::Purge { .. } | Op::Crash | Op::Undelete(_))
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn every_file_in_the_log_has_its_name_and_its_bytes(
        ops in prop::collection::vec(op().prop_filter("told", is_told), 1..60),
        killed in any::<bool>(),
    ) {
        let mut world = history(&ops);
        if killed {
            Arc::clone(&world.store).abandon();
        }
        world.store = Arc::clone(&world.spare);
        let told = rebuilt(&world.home);
        // A content between two others may be gone with its segment, and what it was written over is not known any more:
        // that is told.
        let harmless = told.findings.iter().all(|finding| finding.invariant == "lost-bytes");
        prop_assert!(harmless && told.unnamed == 0, "{told:?}");
        let store = world.home.open();
        fsck(&store);
        let told_of = |name: &str| told.findings.iter().any(|finding| finding.what.contains(&format!("/{name}: ")));
        for name in KEYS {
            let Some(version) = world.model.current(name).filter(|version| version.bytes.len() > INLINE) else { continue };
            let found = get(&store, name);
            prop_assert!(told_of(name) || found.as_ref().is_ok_and(|bytes| *bytes == *version.bytes), "{name}: {:?}", found.map(|b| b.len()));
        }
    }

    #[test]
    fn a_damaged_log_gives_a_store_that_opens(
        ops in prop::collection::vec(op(), 1..60),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4u8), 0..8),
    ) {
        let mut world = history(&ops);
        world.store = Arc::clone(&world.spare);
        world.home.close();
        for (which, place, how) in damage {
            let files = log_files(&world.home);
            let Some(path) = (!files.is_empty()).then(|| which.get(&files)) else { break };
            let mut bytes = std::fs::read(path).unwrap();
            if bytes.is_empty() {
                continue;
            }
            let at = place.index(bytes.len());
            match how {
                0 => std::fs::remove_file(path).unwrap(),
                1 => {
                    bytes.truncate(at);
                    std::fs::write(path, bytes).unwrap();
                }
                _ => {
                    bytes[at] ^= 0x40;
                    std::fs::write(path, bytes).unwrap();
                }
            }
        }
        let told = rebuild(&world.home);
        let store = world.home.open();
        let findings = store.fsck(&mut |_| {}).unwrap();
        prop_assert!(findings.iter().all(|finding| finding.invariant == "data-reads"), "{findings:#?} {told:?}");
        for bucket in store.buckets().unwrap() {
            for entry in super::harness::all_versions(&store, bucket.name.as_str(), 1000) {
                let _ = read(&store, &entry.object);
            }
        }
    }
}
