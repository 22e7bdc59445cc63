//! Sums of directories: right after every kind of change, by one record to read, through crashes and repairs.

use super::harness::*;
use keyfold::index::{Family, Tx, id_key, reads_of_thread};
use keyfold::model::{BucketName, DirId, FileKind, ObjectLock, Retention, RetentionMode, Versioning};
use keyfold::store::{Condition, Options, PutOptions, RenameHow, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Entries, bytes and bytes of older versions below a directory.
fn below(store: &Store, dir: DirId) -> (i64, i64, i64) {
    let sum = store.sum_below(dir).unwrap().unwrap();
    (sum.entries, sum.bytes, sum.noncurrent_bytes)
}

fn at(store: &Store, prefix: &str) -> (i64, i64, i64) {
    below(store, dir(store, prefix))
}

#[test]
fn each_change_counts_in_every_directory_above_it() {
    let (_home, store) = Home::with_bucket(Versioning::Enabled);
    put(&store, "a/b/c/one", &pattern(100, 1));
    put(&store, "a/b/two", &pattern(20, 1));
    assert_eq!([at(&store, "a/"), at(&store, "a/b/"), at(&store, "a/b/c/")], [(2, 120, 0), (2, 120, 0), (1, 100, 0)]);
    put(&store, "a/b/c/one", &pattern(7, 2));
    delete(&store, "a/b/two");
    assert_eq!([at(&store, "a/"), at(&store, "a/b/c/")], [(1, 7, 120), (1, 7, 100)]);
    // A file of the mount counts from when it is published, under each of its names.
    let c = dir(&store, "a/b/c/");
    store.create_draft(c, "draft", &posix(FileKind::File)).unwrap();
    assert_eq!(at(&store, "a/b/c/"), (1, 7, 100));
    let file = write_file(&store, c, "file", &pattern(1000, 3));
    put(&store, "x/y/z", b"zz");
    store.link(file.ino, (c, "file"), (dir(&store, "x/y/"), "twin")).unwrap();
    assert_eq!(
        [at(&store, "a/b/c/"), at(&store, "x/y/"), at(&store, "x/")],
        [(2, 1007, 100), (2, 1002, 0), (2, 1002, 0)]
    );
    let base = super::harness::file(&store, c, "file").object;
    rewrite_file(&store, c, "file", &base, |draft| draft.write_at(1000, b"more").unwrap());
    assert_eq!([at(&store, "a/"), at(&store, "x/")], [(2, 1011, 1120), (2, 1006, 1000)]);
    // A directory takes its sum along, and what was never settled before; its own object is its parent's key.
    put(&store, "a/b/c/late", &pattern(50, 1));
    store.make_dir(root(&store), "made/", &posix(FileKind::Directory)).unwrap();
    put(&store, "made/inside", b"12345");
    store.rename((dir(&store, "a/b/"), "c/"), (dir(&store, "made/"), "c/"), RenameHow::Replace).unwrap();
    put(&store, "made/c/later", &pattern(3, 1));
    let root = root(&store);
    // The directory that is empty now is kept by an object.
    assert_eq!([at(&store, "a/"), at(&store, "a/b/")], [(1, 0, 20), (0, 0, 20)]);
    assert_eq!([at(&store, "made/"), at(&store, "made/c/")], [(5, 1069, 1100), (4, 1064, 1100)]);
    let usage = store.usage(store.bucket(B).unwrap().id).unwrap();
    assert_eq!(below(&store, root), (usage.objects, usage.bytes, usage.noncurrent_bytes));
    store.rename((root, "made/"), (root, "x/"), RenameHow::Exchange).unwrap();
    assert_eq!(at(&store, "x/c/"), (4, 1064, 1100));
    fsck(&store);
    // Directories that go leave their history to those above, and nothing when there is none.
    for key in ["x/c/one", "x/c/late", "x/c/later", "x/c/file", "x/inside"] {
        delete(&store, key);
    }
    assert_eq!(below(&store, root).2, store.usage(store.bucket(B).unwrap().id).unwrap().noncurrent_bytes);
    fsck(&store);
}

#[test]
fn a_plain_bucket_ends_with_nothing_below() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    let deep: String = (0..200).map(|n| format!("d{n}/")).collect();
    for n in 0..5 {
        put(&store, &format!("{deep}f{n}"), &pattern(10, 1));
    }
    assert_eq!([at(&store, "d0/"), at(&store, &deep), below(&store, root(&store))], [(5, 50, 0); 3]);
    put(&store, "beside", b"");
    for n in 0..5 {
        delete(&store, &format!("{deep}f{n}"));
    }
    assert_eq!(below(&store, root(&store)), (1, 0, 0));
    fsck(&store);
}

#[test]
fn a_sum_is_as_few_records_to_read_whatever_lies_below() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    let cost = |act: &dyn Fn()| {
        let before = reads_of_thread();
        act();
        reads_of_thread() - before
    };
    let deep: String = (0..100).map(|n| format!("d{n}/")).collect();
    let grow = |prefix: &str, from: usize, to: usize| {
        for n in from..to {
            put(&store, &format!("{prefix}f{n}"), b"1");
        }
    };
    grow("flat/", 0, 3);
    grow(&deep, 0, 3);
    let few = cost(&|| assert!(at(&store, "flat/").0 > 0));
    grow("flat/", 3, 500);
    store.sum_below(root(&store)).unwrap();
    let many = cost(&|| assert!(at(&store, "flat/").0 > 0));
    assert!(many <= few && many < 20, "{few} {many}");
    assert_eq!([at(&store, "d0/"), at(&store, "flat/")].map(|sum| sum.0), [3, 500]);
}

#[test]
fn sums_are_whole_after_a_crash_and_kept_over_openings() {
    let home = Home::simulated();
    let store = home.open();
    make_bucket(&store, B);
    for n in 0..50 {
        put(&store, &format!("a/b{}/f{n}", n % 3), &pattern(n, 1));
        if n % 7 == 0 {
            store.sum_below(root(&store)).unwrap();
        }
        if n % 11 == 0 {
            store.sync().unwrap();
        }
    }
    store.abandon();
    home.forget();
    home.lose_power(7);
    let store = home.open();
    fsck(&store);
    let usage = store.usage(store.bucket(B).unwrap().id).unwrap();
    assert!(usage.objects >= 45);
    assert_eq!(below(&store, root(&store)), (usage.objects, usage.bytes, 0));
    assert_eq!(at(&store, "a/"), (usage.objects, usage.bytes, 0));
    drop(store);
    let store: Arc<Store> = home.open();
    assert_eq!(at(&store, "a/"), (usage.objects, usage.bytes, 0));
    fsck(&store);
}

/// Opens a store whose index was changed behind its back.
fn tampered(home: &Home, change: impl FnOnce(&mut Tx<'_>)) -> Arc<Store> {
    home.close();
    crate::tamper::tamper(home.dir.path(), change);
    home.open()
}

/// A versioned bucket with some directories, and the sums below its root and below `a/`.
fn some() -> (Home, Arc<Store>, [(i64, i64, i64); 2]) {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    for n in 0..20 {
        put(&store, &format!("a/b{}/f{n}", n % 3), &pattern(n, 1));
        put(&store, &format!("c/f{}", n % 7), &pattern(n, 2));
    }
    let sums = [below(&store, root(&store)), at(&store, "a/")];
    (home, store, sums)
}

#[track_caller]
fn assert_built(store: &Arc<Store>, sums: [(i64, i64, i64); 2]) {
    store.count_once().unwrap();
    assert_eq!([below(store, root(store)), at(store, "a/")], sums);
    fsck(store);
}

const MARK: &[u8] = b"dirsums";

#[test]
fn a_damaged_mark_of_sums_has_them_built_and_keeps_no_store_closed() {
    let (home, store, sums) = some();
    drop(store);
    for bytes in [vec![], vec![7, 7, 7], vec![1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]] {
        let store = tampered(&home, |tx| tx.put_bytes(Family::Sys, MARK, bytes.clone()));
        assert_eq!(store.sum_below(root(&store)).unwrap(), None, "{bytes:?}");
        assert_built(&store, sums);
    }
}

#[test]
fn damaged_sums_are_told_and_never_shown() {
    let (home, store, sums) = some();
    let (a, b) = (dir(&store, "a/"), dir(&store, "a/b1/"));
    drop(store);
    let garbage = |family, dir: DirId| move |tx: &mut Tx<'_>| tx.put_bytes(family, &id_key(dir.0), vec![9, 9]);
    // Who reads it, and who adds to it on the way up.
    for (n, damaged) in [(Family::DirSum, a), (Family::DirSum, b), (Family::DirTally, b)].into_iter().enumerate() {
        let store = tampered(&home, garbage(damaged.0, damaged.1));
        assert!(!store.fsck(&mut |_| {}).unwrap().is_empty(), "{damaged:?}");
        if n != 0 {
            put(&store, "a/b1/f1", &pattern(1, 3));
            delete(&store, "a/b1/f1");
        }
        assert_eq!(store.sum_below(a).unwrap(), None, "{damaged:?}");
        assert!(!store.complaints(None).is_empty());
        // What is written until they are there again counts as well, and no opening believes what is left.
        put(&store, "a/late", b"late");
        drop(store);
        let store = home.open();
        assert_eq!(store.sum_below(a).unwrap(), None, "{damaged:?}");
        store.count_once().unwrap();
        let usage = store.usage(store.bucket(B).unwrap().id).unwrap();
        assert_eq!(below(&store, root(&store)), (usage.objects, usage.bytes, usage.noncurrent_bytes));
        fsck(&store);
        let late = versions(&store, "a/late")[0].version;
        store.delete(B, &key("a/late"), Some(late), Condition::Always).unwrap();
        for object in versions(&store, "a/b1/f1").iter().take(if n == 0 { 0 } else { 2 }) {
            store.delete(B, &key("a/b1/f1"), Some(object.version), Condition::Always).unwrap();
        }
        assert_eq!([below(&store, root(&store)), at(&store, "a/")], sums, "{damaged:?}");
    }
}

/// A transaction that a lock forbids in the end leaves nothing behind, also of what builders were to know.
#[test]
fn sums_are_built_beside_changes_that_come_and_changes_that_are_refused() {
    let home = Home::new();
    let store = home.open();
    store.create_locked_bucket(&BucketName::parse(B).unwrap(), &posix(FileKind::Directory)).unwrap();
    let until = store.now().plus_days(100);
    let locked = PutOptions {
        lock: ObjectLock { retention: Some(Retention { mode: RetentionMode::Compliance, until }), ..ObjectLock::NONE },
        ..PutOptions::default()
    };
    let versions: Vec<_> = (0..20)
        .map(|n| {
            let name = key(&format!("locked/d{n}/only"));
            let object = store.put(B, &name, &mut &b"locked"[..], &locked).unwrap();
            (name, object.version)
        })
        .collect();
    for n in 0..2000 {
        put(&store, &format!("many/d{n}/f"), &pattern(n % 50, 1));
    }
    drop(store);
    let store = tampered(&home, |tx| tx.delete(Family::Sys, MARK));
    let (begun, built) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for from in 0..2 {
            let (store, versions, begun, built) = (&store, &versions, &begun, &built);
            scope.spawn(move || {
                for n in (from..).step_by(2).take_while(|_| !built.load(Ordering::SeqCst)) {
                    let (name, version) = &versions[n % versions.len()];
                    store.delete(B, name, Some(*version), Condition::Always).unwrap_err();
                    put(store, &format!("many/d{}/g{n}", n % 2000), b"more");
                    begun.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while begun.load(Ordering::SeqCst) < 50 {
            std::thread::yield_now();
        }
        let counted = store.count_once();
        built.store(true, Ordering::SeqCst);
        counted.unwrap();
    });
    let usage = store.usage(store.bucket(B).unwrap().id).unwrap();
    assert_eq!(below(&store, root(&store)), (usage.objects, usage.bytes, usage.noncurrent_bytes));
    assert_eq!(at(&store, "locked/d3/"), (1, 6, 0));
    fsck(&store);
}

#[test]
fn a_store_that_is_only_read_tells_what_was_noted_last() {
    let (home, store, sums) = some();
    put(&store, "a/late", b"late");
    home.close();
    drop(store);
    let store = home.open_with(Options { read_only: true, ..home.options() });
    let late = |(entries, bytes, older): (i64, i64, i64)| (entries + 1, bytes + 4, older);
    assert_eq!([below(&store, root(&store)), at(&store, "a/")], sums.map(late));
    // One that is damaged is told of no more than in others.
    let a = dir(&store, "a/");
    home.close();
    drop(store);
    crate::tamper::tamper(home.dir.path(), |tx| tx.put_bytes(Family::DirSum, &id_key(a.0), vec![9]));
    let store = home.open_with(Options { read_only: true, ..home.options() });
    assert_eq!(store.sum_below(a).unwrap(), None);
}

#[test]
fn whoever_asks_sees_what_was_written_before() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    put(&store, "d/first", b"1");
    let top = root(&store);
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let store = &store;
            scope.spawn(move || {
                for n in 1..400 {
                    put(store, &format!("d/w{writer}/f{n}"), b"1");
                    let seen = at(store, &format!("d/w{writer}/")).0;
                    assert!(seen == n, "{seen} of {n}");
                }
            });
        }
        scope.spawn(|| (0..800).for_each(|_| assert!(store.sum_below(top).unwrap().is_some())));
    });
    assert_eq!(below(&store, top).0, 1 + 2 * 399);
}

#[test]
fn another_name_of_a_file_costs_no_look_at_all_the_others() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    let top = root(&store);
    let made = write_file(&store, top, "file", &pattern(100, 1));
    let link = |n: usize| {
        let before = reads_of_thread();
        store.link(made.ino, (top, "file"), (top, &format!("link{n}"))).unwrap();
        reads_of_thread() - before
    };
    let few = (0..5).map(link).max().unwrap();
    let many = (5..500).map(link).max().unwrap();
    assert!(many <= few, "{few} {many}");
    assert_eq!(below(&store, top), (501, 50_100, 0));
    store.remove(top, "file").unwrap();
    assert_eq!(below(&store, top), (500, 50_000, 0));
    fsck(&store);
}
