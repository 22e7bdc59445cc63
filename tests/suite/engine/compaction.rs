//! Compaction: room comes back while everything stays readable, to whoever had it open before as well.

use super::harness::{
    B, Home, compact, delete, fsck, get, key, pattern, purge, put, read, reap, rewrite_file, root, versions, write_file,
};
use crate::tamper::tamper;
use keyfold::index::{Family, Read as _, SegRecord};
use keyfold::model::Kind;
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::store::{CopyOptions, PosixChange, Session, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn remove(store: &Store, name: &str) {
    delete(store, name);
}

fn segment_bytes(store: &Store) -> u64 {
    store.status().unwrap().segment_bytes
}

/// Sizes that go into segments, spread as those of files are.
fn size(n: u64) -> usize {
    4097 + (n.wrapping_mul(0x9e37_79b9) >> 7) as usize % [3000, 20_000, 150_000][n as usize % 3]
}

#[test]
fn del_11_after_deleting_nine_tenths_the_files_hold_little_more_than_what_is_alive() {
    let (home, store) = Home::with_bucket(Unversioned);
    const FILES: u64 = 4000;
    let name = |n: u64| n.to_string();
    (0..FILES).for_each(|n| drop(write_file(&store, root(&store), &name(n), &pattern(size(n), n))));
    let kept = |n: &u64| n.wrapping_mul(0x85eb_ca6b) >> 5 & 0xff < 25;
    (0..FILES).filter(|n| !kept(n)).for_each(|n| remove(&store, &name(n)));
    let live: usize = (0..FILES).filter(kept).map(size).sum();
    reap(&store);
    assert!(segment_bytes(&store) > 5 * live as u64, "deleting alone leaves segments that are mostly dead");
    compact(&store);
    let used = segment_bytes(&store);
    assert!(used * 100 <= live as u64 * 115, "{used} bytes for {live}");
    (0..FILES).filter(kept).for_each(|n| assert!(get(&store, &name(n)).unwrap() == pattern(size(n), n)));
    fsck(&store);
    drop(store);
    let store = home.open();
    (0..FILES).filter(kept).for_each(|n| assert!(get(&store, &name(n)).unwrap() == pattern(size(n), n)));
    fsck(&store);
}

/// Something dead around each thing that is alive, in segments of their own.
fn amid_garbage(store: &Arc<Store>, live: impl FnOnce()) {
    (0..12).for_each(|n| drop(put(store, &format!("before {n}"), &pattern(150_000, n))));
    live();
    (0..12).for_each(|n| drop(put(store, &format!("behind {n}"), &pattern(150_000, n))));
    for n in 0..12 {
        for name in [format!("before {n}"), format!("behind {n}")] {
            versions(store, &name).iter().for_each(|old| purge(store, &name, old.version));
        }
    }
}

#[test]
fn what_was_open_before_is_read_and_edited_as_if_nothing_had_moved() {
    let (_home, store) = Home::with_bucket(Enabled);
    let (mut few, mut many) = (pattern(70_000, 1), pattern(300_000, 2));
    let mut objects = Vec::new();
    amid_garbage(&store, || {
        let small = put(&store, "few", &few);
        let mut large = put(&store, "many", &many);
        // A tree of extents.
        for n in 0..200usize {
            let at = n * 1400;
            large = rewrite_file(&store, root(&store), "many", &large, |draft| {
                draft.write_at(at as u64, &[n as u8; 600]).unwrap()
            });
            many[at..at + 600].fill(n as u8);
        }
        objects = vec![small, large];
    });
    let open: Vec<_> = objects.iter().map(|object| Arc::new(store.open_content(object).unwrap())).collect();
    let mut over: Vec<_> = objects.iter().map(|object| store.draft(Some(object)).unwrap()).collect();
    over[0].write_at(60_000, b"written before").unwrap();
    over[1].copy_from(1000, &open[0], 500, 40_000).unwrap();
    over[1].copy_from(200_000, &open[1], 0, 90_000).unwrap();
    let before = segment_bytes(&store);
    compact(&store);
    assert!(segment_bytes(&store) < before / 2, "{} of {before}", segment_bytes(&store));
    for (content, bytes) in open.iter().zip([&few, &many]) {
        let mut seen = vec![0; bytes.len()];
        content.read_at(0, &mut seen).unwrap();
        assert!(seen == *bytes);
    }
    let source = many.clone();
    few[60_000..60_014].copy_from_slice(b"written before");
    many[1000..41_000].copy_from_slice(&pattern(70_000, 1)[500..40_500]);
    many[200_000..290_000].copy_from_slice(&source[..90_000]);
    for ((draft, object), bytes) in over.iter_mut().zip(&objects).zip([&few, &many]) {
        let mut seen = vec![0; bytes.len()];
        draft.read_at(0, &mut seen).unwrap();
        assert!(seen == *bytes, "what a session shows before it is published");
        let name = if bytes.len() == few.len() { "few" } else { "many" };
        let mut session = Session::new();
        store.publish((root(&store), name), object.ino, draft, &mut session, &PosixChange::default()).unwrap();
        store.seal(session).unwrap();
        assert!(get(&store, name).unwrap() == *bytes);
    }
    drop((open, over));
    compact(&store);
    fsck(&store);
    assert!(get(&store, "many").unwrap() == many && read(&store, &objects[1]).unwrap() == source);
}

#[test]
fn a_run_that_many_share_is_copied_once_and_only_what_of_it_is_shown() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let bytes = pattern(200_000, 3);
    amid_garbage(&store, || {
        let object = put(&store, "one", &bytes);
        for n in 0..40 {
            store.copy(&object, B, &key(&format!("copy {n}")), &CopyOptions::default()).unwrap();
        }
        let content = Arc::new(store.open_content(&object).unwrap());
        for n in 0..100u64 {
            let made = put(&store, &format!("part {n}"), b"");
            rewrite_file(&store, root(&store), &format!("part {n}"), &made, |draft| {
                draft.copy_from(0, &content, 50_000 + n, 5000).unwrap();
            });
        }
    });
    let whole = "one".to_owned();
    let names: Vec<String> = (0..40).map(|n| format!("copy {n}")).chain([whole]).collect();
    compact(&store);
    let used = segment_bytes(&store);
    assert!(used < 300_000, "{used}");
    names.iter().for_each(|name| assert!(get(&store, name).unwrap() == bytes));
    fsck(&store);
    names.iter().for_each(|name| remove(&store, name));
    // The parts keep all of the run, until that is in a segment worth compacting.
    amid_garbage(&store, || ());
    compact(&store);
    for n in 0..100usize {
        assert!(get(&store, &format!("part {n}")).unwrap() == bytes[50_000 + n..55_000 + n]);
    }
    fsck(&store);
}

/// Of two that share a run the first is deleted between the copy and its being named, and all else in the copy's segment
/// after that: the second must not be led to a file that is gone.
#[test]
fn a_copy_that_lost_its_first_holder_is_there_for_the_next() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let shared = pattern(150_000, 1);
    let gather = |name: &str, from: &[keyfold::model::Object]| {
        let made = put(&store, name, b"");
        rewrite_file(&store, root(&store), name, &made, |draft| {
            for object in from {
                let content = Arc::new(store.open_content(object).unwrap());
                draft.copy_from(draft.size(), &content, 0, content.size()).unwrap();
            }
        });
    };
    // Something dead in each segment.
    let garbage = |n: u64| drop(put(&store, &format!("garbage {n}"), &pattern(300_000, n)));
    garbage(0);
    let first = put(&store, "first", &shared);
    // More than is copied at once, in one record.
    let parts: Vec<_> = (1..9)
        .map(|n| {
            garbage(n);
            put(&store, &format!("part {n}"), &pattern(600_000, n))
        })
        .collect();
    gather("large", &parts);
    (1..9).for_each(|n| remove(&store, &format!("part {n}")));
    gather("second", &[first]);
    for n in 9..15 {
        garbage(n);
        put(&store, &format!("later {n}"), &pattern(600_000, n));
    }
    (0..15).for_each(|n| remove(&store, &format!("garbage {n}")));
    reap(&store);
    let mut calls = 0;
    while store
        .compact(&mut |_| {
            calls += 1;
            match calls {
                2 => remove(&store, "first"),
                3 => remove(&store, "large"),
                _ => return true,
            }
            reap(&store);
            true
        })
        .unwrap()
        .segments
        > 0
    {
        reap(&store);
    }
    assert!(calls > 3, "{calls} steps");
    assert!(get(&store, "second").unwrap() == shared);
    fsck(&store);
}

#[test]
fn a_file_that_was_open_before_is_read_by_many_at_once() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for round in 0..30 {
        let bytes = pattern(150_000, round);
        let object = put(&store, "f", &bytes);
        let open = store.open_content(&object).unwrap();
        (0..8).for_each(|n| drop(put(&store, &format!("g{n}"), &pattern(150_000, n))));
        (0..8).for_each(|n| remove(&store, &format!("g{n}")));
        compact(&store);
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut seen = vec![0; bytes.len()];
                    start.wait();
                    open.read_at(0, &mut seen).unwrap();
                    assert!(seen == bytes);
                });
            }
        });
    }
}

#[test]
fn fsck_finds_nothing_while_bytes_move() {
    let (_home, store) = Home::with_bucket(Unversioned);
    (0..200).for_each(|n| drop(put(&store, &format!("f{n}"), &pattern(60_000, n))));
    (0..200).filter(|n| n % 3 > 0).for_each(|n| remove(&store, &format!("f{n}")));
    reap(&store);
    std::thread::scope(|scope| {
        let moving = scope.spawn(|| {
            let mut slowly = |_| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                true
            };
            while store.compact(&mut slowly).unwrap().segments > 0 {}
        });
        while !moving.is_finished() {
            fsck(&store);
        }
    });
    fsck(&store);
}

#[test]
fn reclaiming_ends_when_nobody_waits_for_it() {
    let (_home, store) = Home::with_bucket(Unversioned);
    (0..100).for_each(|n| drop(put(&store, &format!("f{n}"), &pattern(60_000, n))));
    (0..100).filter(|n| n % 3 > 0).for_each(|n| remove(&store, &format!("f{n}")));
    let mut asked = 0;
    store
        .gc(&mut || {
            asked += 1;
            false
        })
        .unwrap();
    assert!(asked < 10, "asked {asked} times");
    let (before, said) = (segment_bytes(&store), store.garbage().unwrap());
    let freed = store.gc(&mut || true).unwrap();
    assert!(freed > said / 2 && segment_bytes(&store) < before / 2, "{freed} freed, {said} said");
    (0..100).filter(|n| n % 3 == 0).for_each(|n| assert!(get(&store, &format!("f{n}")).unwrap() == pattern(60_000, n)));
    fsck(&store);
}

/// A pass that was stopped before it copied anything says nothing about what it cannot empty: the next one does it.
#[test]
fn a_pass_that_was_stopped_hinders_no_other() {
    let (_home, store) = Home::with_bucket(Unversioned);
    (0..100).for_each(|n| drop(put(&store, &format!("f{n}"), &pattern(60_000, n))));
    (0..100).filter(|n| n % 3 > 0).for_each(|n| remove(&store, &format!("f{n}")));
    reap(&store);
    let said = store.garbage().unwrap();
    assert!(said > 1 << 20, "{said}");
    assert!(store.compact(&mut |_| false).unwrap().segments > 0);
    assert_eq!(store.garbage().unwrap(), said);
    let freed = store.gc(&mut || true).unwrap();
    assert!(freed > said / 2, "{freed} freed, {said} said");
    fsck(&store);
}

/// What is dead in the segment that is being written comes back too, by one call.
#[test]
fn reclaiming_by_hand_needs_no_second_call() {
    let (_home, store) = Home::with_bucket(Unversioned);
    (0..8).for_each(|n| drop(put(&store, &format!("f{n}"), &pattern(60_000, n))));
    (1..8).for_each(|n| remove(&store, &format!("f{n}")));
    assert!(store.gc(&mut || true).unwrap() > 0);
    assert!(store.gc(&mut || true).unwrap() < 100_000 && segment_bytes(&store) < 300_000, "{}", segment_bytes(&store));
    assert!(get(&store, "f0").unwrap() == pattern(60_000, 0));
}

#[test]
fn a_bad_frame_stays_where_it_is_and_hinders_nobody_else() {
    let (home, store) = Home::with_bucket(Unversioned);
    amid_garbage(&store, || {
        put(&store, "good", &pattern(150_000, 1));
        put(&store, "bad", &[0xa5; 150_000]);
        put(&store, "fine", &pattern(150_000, 2));
    });
    reap(&store);
    drop(store);
    home.close();
    let shard = |path: std::path::PathBuf| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    for file in shard(home.dir.path().join("seg")).flat_map(shard) {
        let mut bytes = std::fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(64).position(|found| found == [0xa5; 64]) {
            bytes[at] = 0;
            std::fs::write(&file, bytes).unwrap();
        }
    }
    let store = home.open();
    compact(&store);
    assert!(store.complaints(None).iter().any(|complaint| complaint.op == "compact"), "{:?}", store.complaints(None));
    assert!(get(&store, "good").unwrap() == pattern(150_000, 1) && get(&store, "fine").unwrap() == pattern(150_000, 2));
    assert_eq!(get(&store, "bad").unwrap_err().kind(), Kind::Corrupt);
    // The frame behind the bad one.
    let content = store.open_content(&store.get(B, &key("bad"), None).unwrap()).unwrap();
    let mut seen = vec![0; 1000];
    content.read_at(140_000, &mut seen).unwrap();
    assert_eq!(seen, [0xa5; 1000]);
}

/// How many hold some runs is not known any more: what refers to them stays, and everything else moves.
#[test]
fn damaged_counts_of_holders_hinder_nobody_else() {
    let (home, store) = Home::with_bucket(Enabled);
    amid_garbage(&store, || {
        (0..4).for_each(|n| drop(put(&store, &format!("f{n}"), &pattern(150_000, n))));
        let made = store.get(B, &key("f1"), None).unwrap();
        rewrite_file(&store, root(&store), "f1", &made, |draft| draft.write_at(70_000, b"edited").unwrap());
    });
    reap(&store);
    drop(store);
    home.close();
    tamper(home.dir.path(), |tx| {
        let found = tx.scan(Family::Refs, b"r", b"s").unwrap().map(|found| found.unwrap().0);
        let found: Vec<_> = found.collect();
        assert!(!found.is_empty());
        found.iter().for_each(|key| tx.put_bytes(Family::Refs, key, b"spoiled".to_vec()));
    });
    let store = home.open();
    let before = segment_bytes(&store);
    compact(&store);
    reap(&store);
    assert!(store.complaints(None).iter().any(|complaint| complaint.op == "compact"), "{:?}", store.complaints(None));
    let copied = store.compact(&mut |_| true).unwrap().copied;
    assert!(segment_bytes(&store) <= before, "{} of {before}", segment_bytes(&store));
    assert_eq!(copied, 0, "what cannot be moved is not copied again and again");
    let mut edited = pattern(150_000, 1);
    edited[70_000..70_006].copy_from_slice(b"edited");
    for n in [0, 2, 3] {
        assert!(get(&store, &format!("f{n}")).unwrap() == pattern(150_000, n));
    }
    assert!(get(&store, "f1").unwrap() == edited);
}

#[test]
fn writers_readers_and_compaction_at_once_lose_nothing() {
    let (_home, store) = Home::with_bucket(Enabled);
    let done = AtomicBool::new(false);
    let body =
        |name: u64, round: u64| pattern(4097 + ((name * 7919 + round * 104_729) % 90_000) as usize, name + round);
    for name in 0..12 {
        put(&store, &name.to_string(), &body(name, 0));
    }
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2u64)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    for round in 1..60 {
                        for name in (writer..12).step_by(2) {
                            let bytes = body(name, round);
                            put(store, &name.to_string(), &bytes);
                            // Edited in its middle: what is around is shared.
                            let old = store.get(B, &key(&name.to_string()), None).unwrap();
                            rewrite_file(store, root(store), &name.to_string(), &old, |draft| {
                                draft.write_at(2000, &bytes[2000..2100]).unwrap();
                            });
                            let all = versions(store, &name.to_string());
                            all.iter().skip(3).for_each(|old| purge(store, &name.to_string(), old.version));
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                reap(&store);
                store.compact(&mut |_| true).unwrap();
            }
        });
        for reader in 0..2u64 {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                let mut round = reader;
                while !done.load(Ordering::Relaxed) {
                    let name = round % 12;
                    round += 1;
                    match get(store, &name.to_string()) {
                        Ok(bytes) => assert!((0..60).any(|round| bytes == body(name, round)), "{name}"),
                        Err(error) => assert_eq!(error.kind(), Kind::NoSuchVersion, "{error}"),
                    }
                }
            });
        }
        let failed = writers.into_iter().filter_map(|writer| writer.join().err()).count();
        done.store(true, Ordering::Relaxed);
        assert_eq!(failed, 0);
    });
    compact(&store);
    for name in 0..12 {
        assert!(get(&store, &name.to_string()).unwrap() == body(name, 59));
    }
    fsck(&store);
}

/// A count that is too low must not cost bytes that something refers to.
#[test]
fn a_segment_whose_counters_contradict_each_other_is_kept() {
    let (home, store) = Home::with_bucket(Unversioned);
    let bytes = pattern(100_000, 1);
    let object = put(&store, "f", &bytes);
    store.copy(&object, B, &key("copy"), &CopyOptions::default()).unwrap();
    let part = Arc::new(store.open_content(&object).unwrap());
    let made = put(&store, "part", b"");
    rewrite_file(&store, root(&store), "part", &made, |draft| {
        draft.copy_from(0, &part, 0, 50_000).unwrap();
    });
    drop(part);
    drop(store);
    home.close();
    tamper(home.dir.path(), |tx| {
        let found: Vec<_> = tx.scan(Family::Seg, b"g", b"h").unwrap().map(|entry| entry.unwrap().0).collect();
        assert!(!found.is_empty());
        for key in &found {
            tx.put(Family::Seg, key, &SegRecord { live_bytes: 0 });
            tx.put_bytes(Family::Gone, &[b"f", key.as_ref()].concat(), Vec::new());
        }
    });
    let store = home.open();
    reap(&store);
    assert!(get(&store, "f").unwrap() == bytes);
    assert!(store.complaints(None).iter().any(|complaint| complaint.op == "free"), "{:?}", store.complaints(None));
}
