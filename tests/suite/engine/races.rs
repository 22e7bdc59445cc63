//! Many threads at once: conditions hold, counters agree, readers see whole objects.

use super::harness::{
    B, Home, begin_upload, delete, fsck, get, key, make_bucket, pattern, posix, put, put_if, put_part, reap, refused,
    root, versions, write_file,
};
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::model::{FileKind, Kind};
use keyfold::store::{CompleteOptions, Condition, Entry, Promise, PutOptions, RenameHow, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[test]
fn cond_6_of_racing_writers_that_want_a_free_key_exactly_one_wins() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for round in 0..10 {
        let wins = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for n in 0..8u8 {
                let (store, wins) = (&store, &wins);
                scope.spawn(move || match put_if(store, &format!("d/{round}"), &[n; 5000], Condition::Absent) {
                    Ok(_) => drop(wins.fetch_add(1, Ordering::SeqCst)),
                    Err(error) => assert_eq!(error.kind(), Kind::PreconditionFailed),
                });
            }
        });
        assert_eq!(wins.into_inner(), 1);
    }
    reap(&store);
    fsck(&store);
}

#[test]
fn ver_16_simultaneous_writers_are_all_kept() {
    let (_home, store) = Home::with_bucket(Enabled);
    std::thread::scope(|scope| {
        (0..4u8).for_each(|n| {
            let store = &store;
            scope.spawn(move || (0..10).for_each(|_| drop(put(store, "f", &[n; 10]))));
        });
    });
    assert_eq!(versions(&store, "f").len(), 40);
    fsck(&store);
}

#[test]
fn read_14_readers_see_one_version_whole() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let body = |n: u8, len: usize| vec![n; len];
    put(&store, "f", &body(1, 60_000));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    match get(&store, "f") {
                        Ok(bytes) => assert!(bytes.iter().all(|byte| *byte == bytes[0]) && bytes.len() % 100 == 0),
                        Err(error) => assert_eq!(error.kind(), Kind::NoSuchVersion, "replaced at this moment"),
                    }
                }
            });
        }
        for n in 0..60u8 {
            put(&store, "f", &body(n, if n % 3 == 0 { 4000 } else { 60_000 + usize::from(n) * 100 }));
        }
        done.store(true, Ordering::Relaxed);
    });
    reap(&store);
    fsck(&store);
}

#[test]
fn renames_creations_and_deletions_in_shared_directories() {
    for versioning in [Unversioned, Enabled] {
        let (_home, store) = Home::with_bucket(versioning);
        let at = root(&store);
        std::thread::scope(|scope| {
            for thread in 0..4usize {
                let store = Arc::clone(&store);
                scope.spawn(move || {
                    for n in 0..80usize {
                        let pick = |salt: usize| ["p/", "q/", "r/"][(n * 7 + thread * 5 + salt) % 3];
                        let bucket = store.bucket(B).unwrap();
                        let name = format!("{}{}", pick(0), n % 3);
                        // What fails does so because another thread was first; what counts is what is left.
                        let place = |prefix: &str| store.resolve_dir(&bucket, prefix).unwrap();
                        match (n + thread) % 7 {
                            0 => drop(put(&store, &name, &pattern(n * 100, 1))),
                            1 => drop(delete(&store, &name)),
                            2 => drop(store.make_dir(at, pick(1), &posix(FileKind::Directory))),
                            3 => drop(store.remove_dir(at, pick(2))),
                            4 => drop(store.rename((at, pick(0)), (at, pick(1)), RenameHow::Replace)),
                            5 => drop(store.rename((at, pick(1)), (at, pick(2)), RenameHow::Exchange)),
                            _ => {
                                if let (Some(a), Some(b)) = (place(pick(0)), place(pick(1))) {
                                    let _ = store.rename((a, "1"), (b, "2"), RenameHow::Replace);
                                    if let Ok(Some(Entry::File(file))) = store.lookup(b, "2") {
                                        let _ = store.link(file.object.ino, (b, "2"), (a, "0"));
                                    }
                                }
                            }
                        }
                    }
                });
            }
        });
        reap(&store);
        fsck(&store);
    }
}

#[test]
fn a_session_whose_file_was_replaced_at_this_moment_goes_on() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let object = write_file(&store, root(&store), "f", &[1; 9000]);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..100).for_each(|_| drop(put(&store, "f", b"small"))));
        let (mut draft, mut session) = (store.draft(None).unwrap(), keyfold::store::Session::new());
        for n in 0..100u64 {
            draft.write_at(n * 50, &[2; 5000]).unwrap();
            let change = keyfold::store::PosixChange::default();
            store.publish((root(&store), "f"), object.ino, &mut draft, &mut session, &change).unwrap();
        }
        store.seal(session).unwrap();
    });
    reap(&store);
    fsck(&store);
    refused(store.get(B, &key("g"), None), Kind::NoSuchKey);
}

/// A body that takes so long that its bucket is deleted, and another of its name made.
struct Outlasting<'a>(&'a Store, &'a [u8]);

impl std::io::Read for Outlasting<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if !self.1.is_empty() {
            self.0.delete_bucket(B).unwrap();
            make_bucket(self.0, B);
        }
        std::mem::take(&mut self.1).read(buf)
    }
}

#[test]
fn bkt_14_a_put_does_not_land_in_another_bucket_of_the_name() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let put = store.put(B, &key("f"), &mut Outlasting(&store, b"for the old one"), &PutOptions::default());
    refused(put, Kind::NoSuchBucket);
    refused(get(&store, "f"), Kind::NoSuchKey);
    reap(&store);
    fsck(&store);
}

/// MPU-3: parts that come at this moment, also the same ones once more, are no reason to refuse.
#[test]
fn mpu_3_an_upload_completes_while_parts_come() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for _ in 0..10 {
        let upload = begin_upload(&store, "f");
        let named = [put_part(&store, upload, 1, b"one")];
        let (begun, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    for (number, bytes) in [(1, b"one"), (2, b"two")] {
                        let put = store.put_part(upload, number, &mut &bytes[..], &Promise::default());
                        assert!(put.is_ok() || put.unwrap_err().kind() == Kind::NoSuchUpload);
                        begun.store(true, Ordering::SeqCst);
                    }
                }
            });
            while !begun.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            let completed = store.complete_upload(B, upload, &named, &CompleteOptions::default());
            ended.store(true, Ordering::SeqCst);
            completed.unwrap();
        });
        assert_eq!(get(&store, "f").unwrap(), b"one");
    }
    reap(&store);
    fsck(&store);
}
