//! Room that comes back: what somebody reads is not freed, and what compaction moves is read and changed as before.

use super::explore::{Reached, body, explore, store, whole};
use super::harness::{B, delete, fsck, get, key, pattern, put, reap, rewrite_file, root, versions, write_file};
use keyfold::model::{Error, Kind, Object, Versioning};
use keyfold::store::{CopyOptions, PosixChange, Session, Store, again};
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Opens the current bytes of a key, lets others go on, and reads all of them.
fn read_slowly(store: &Arc<Store>, name: &str) -> Vec<u8> {
    let is_replaced = |error: &Error| error.kind() == Kind::NoSuchVersion;
    let content = again(|| store.open_content(&store.get(B, &key(name), None)?), is_replaced).unwrap();
    thread::yield_now();
    let mut bytes = vec![0xee; usize::try_from(content.size()).unwrap()];
    for (n, part) in bytes.chunks_mut(2500).enumerate() {
        assert_eq!(content.read_at(n as u64 * 2500, part).unwrap(), part.len());
    }
    bytes
}

#[test]
fn what_is_read_is_not_freed() {
    explore("pins", 1000, || {
        let (_home, store) = store(Versioning::Unversioned);
        let first = write_file(&store, root(&store), "f", &body(2));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..3).for_each(|_| assert!(whole(&read_slowly(&store, "f")) > 0)));
            }
            scope.spawn(|| (2..4).for_each(|n| drop(put(&store, "f", &body(2 * n)))));
            // A session that replaces what it published itself, whose bytes it takes over.
            scope.spawn(|| {
                let (mut draft, mut session) = (store.draft(None).unwrap(), Session::new());
                for n in [10, 12] {
                    draft.truncate(0).unwrap();
                    draft.write_at(0, &body(n)).unwrap();
                    let change = PosixChange::default();
                    store.publish((root(&store), "f"), first.ino, &mut draft, &mut session, &change).unwrap();
                }
                store.seal(session).unwrap();
            });
            scope.spawn(|| {
                for _ in 0..2 {
                    store.reap().unwrap();
                    store.sync().unwrap();
                }
            });
        });
        whole(&read_slowly(&store, "f"));
        delete(&store, "f");
        reap(&store);
        fsck(&store);
        assert_eq!(store.status().unwrap().solos, 0);
    });
}

/// A segment of which little is alive: `kept`, and a content of many extents, `many`.
fn mostly_dead(store: &Arc<Store>) -> (Object, Vec<u8>) {
    let dead = |n: u64| put(store, &format!("dead {n}"), &pattern(20_000, n));
    (0..3).for_each(|n| drop(dead(n)));
    put(store, "kept", &body(2));
    let mut bytes = pattern(12_000, 5);
    let mut many = put(store, "many", &bytes);
    for n in 0..10usize {
        many = rewrite_file(store, root(store), "many", &many, |draft| {
            draft.write_at(n as u64 * 1100, &[n as u8; 500]).unwrap();
        });
        bytes[n * 1100..n * 1100 + 500].fill(n as u8);
    }
    (3..6).for_each(|n| drop(dead(n)));
    for n in 0..6 {
        delete(store, &format!("dead {n}"));
    }
    store.sync().unwrap();
    reap(store);
    // Closes the open segment; the next pass moves.
    store.compact(&mut |_| true).unwrap();
    (many, bytes)
}

#[test]
fn compaction_loses_nothing_of_what_is_read_copied_and_changed_meanwhile() {
    let reached = Reached::new("records that were moved");
    let count = reached.counter();
    explore("compaction", 800, move || {
        let (home, store) = store(Versioning::Unversioned);
        let (object, mut bytes) = mostly_dead(&store);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..2 {
                    let moved = store.compact(&mut |_| true).unwrap();
                    count.fetch_add(usize::try_from(moved.records).unwrap(), Ordering::Relaxed);
                    store.sync().unwrap();
                    reap(&store);
                }
            });
            scope.spawn(|| {
                assert_eq!(whole(&read_slowly(&store, "kept")), 2);
                assert!(read_slowly(&store, "many").len() == 12_000);
            });
            scope.spawn(|| {
                let copy = || store.copy(&store.get(B, &key("many"), None)?, B, &key("copy"), &CopyOptions::default());
                again(copy, |error| error.kind() == Kind::NoSuchVersion).unwrap();
                assert_eq!(read_slowly(&store, "copy").len(), 12_000);
            });
            scope.spawn(|| {
                rewrite_file(&store, root(&store), "many", &object, |draft| {
                    draft.write_at(5000, b"changed while it moves").unwrap();
                });
            });
            scope.spawn(|| {
                put(&store, "new", &body(4));
                put(&store, "kept", &body(2));
            });
        });
        let before = bytes.clone();
        bytes[5000..5022].copy_from_slice(b"changed while it moves");
        let check = |store: &Arc<Store>| {
            let copy = read_slowly(store, "copy");
            assert!(copy == before || copy == bytes);
            assert!(read_slowly(store, "many") == bytes);
            assert_eq!(whole(&read_slowly(store, "kept")), 2);
            assert_eq!(whole(&get(store, "new").unwrap()), 4);
            fsck(store);
        };
        check(&store);
        store.sync().unwrap();
        home.lose_power(1);
        let store = home.open();
        check(&store);
        assert_eq!(versions(&store, "many").len(), 1);
    });
}
