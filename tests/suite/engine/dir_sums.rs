//! Sums of directories: right after every kind of change, by one record to read, through crashes and repairs.

use super::harness::*;
use keyfold::index::reads_of_thread;
use keyfold::model::{DirId, FileKind, Versioning};
use keyfold::store::{RenameHow, Store};
use std::sync::Arc;

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
