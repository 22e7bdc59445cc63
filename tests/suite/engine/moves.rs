//! Bytes that follow their class hinder nobody: not those who need room, not those that can be moved when others cannot.

use super::classes::{at, put_in};
use super::harness::*;
use super::tiers::{text, tiers};
use crate::tamper::tamper;
use keyfold::index::{Family, Read as _};
use keyfold::model::StorageClass::{self, GlacierIr, Standard, StandardIa};
use keyfold::model::{Object, Versioning};
use keyfold::store::{CopyOptions, Mover, PosixChange, PutOptions, Reserve, Session, Step, Store, TierSettings};
use std::io::Read as _;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

/// Bytes that no compressor makes less of.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()
    };
    (0..len.div_ceil(4)).flat_map(|_| next()[..4].to_vec()).take(len).collect()
}

/// Bytes of which a compressor makes about a third.
fn mixed(len: usize, seed: u64) -> Vec<u8> {
    noise(len, seed)
        .chunks(64)
        .flat_map(|chunk| chunk.iter().enumerate().map(|(n, byte)| if n < 16 { *byte } else { b'a' }))
        .collect()
}

fn step_to(store: &Store, name: &str, object: &Object, to: StorageClass) {
    store.transition((root(store), name), at(object), Step { from: None, to, by: Mover::Caller }).unwrap();
}

fn tiered() -> (Home, Arc<Store>) {
    let mut home = Home::new();
    home.tiers = tiers();
    let store = home.open();
    make_bucket(&store, B);
    (home, store)
}

/// The same on a disk whose room is set, 64 MiB of which are the reserve.
fn tiered_in_memory() -> (Home, Arc<Store>) {
    let mut home = Home::simulated();
    (home.tiers, home.reserve) = (tiers(), Reserve::Bytes(64 * MIB));
    let store = home.open();
    make_bucket(&store, B);
    (home, store)
}

#[test]
fn what_is_to_be_moved_takes_no_room_that_is_needed_to_free_some() {
    let (home, store) = tiered_in_memory();
    let moved: Vec<_> = (0..4).map(|n| put_in(&store, &format!("moved {n}"), &noise(12 << 20, n), Standard)).collect();
    (0..60).for_each(|n| drop(put(&store, &format!("f{n}"), &noise(300_000, 100 + n))));
    (0..60).filter(|n| n % 4 > 0).for_each(|n| _ = delete(&store, &format!("f{n}")));
    reap(&store);
    for (n, object) in moved.iter().enumerate() {
        step_to(&store, &format!("moved {n}"), object, GlacierIr);
    }
    store.sync().unwrap();
    let disk = home.disk();
    // Not much more than the reserve.
    disk.set_room(Some(disk.used() + 100 * MIB));
    let before = disk.used();
    let done = store.compact(&mut |_| true).unwrap();
    assert!(done.segments > 0 && done.moved == 0, "{done:?}");
    compact(&store);
    store.sync().unwrap();
    assert!(disk.used() < before - 8 * MIB, "{} of {before}", disk.used());
    // With room it moves, and leaves what is scarce alone all the while.
    disk.set_room(Some(disk.used() + 140 * MIB));
    let mut least = u64::MAX;
    let done = store
        .compact(&mut |_| {
            least = least.min(store.space().unwrap().available);
            true
        })
        .unwrap();
    assert!(done.moved > 0 && least > 32 * MIB, "{done:?}, {least}");
    disk.set_room(Some(disk.used() + 1000 * MIB));
    compact(&store);
    assert_eq!((store.misplaced_bytes().unwrap(), store.status().unwrap().solos), (0, 0));
    (0..4).for_each(|n| assert!(get(&store, &format!("moved {n}")).unwrap() == noise(12 << 20, n)));
    fsck(&store);
}

#[test]
fn what_is_freed_does_not_wait_for_what_is_moved() {
    let (_home, store) = tiered();
    let moved = put_in(&store, "moved", &text(5 << 20, 1), Standard);
    (0..60).for_each(|n| drop(put(&store, &format!("f{n}"), &noise(100_000, n))));
    (0..60).filter(|n| n % 4 > 0).for_each(|n| _ = delete(&store, &format!("f{n}")));
    reap(&store);
    step_to(&store, "moved", &moved, GlacierIr);
    let done = store.compact(&mut |_| true).unwrap();
    assert!(done.segments > 1 && done.moved == 1, "{done:?}");
}

#[test]
fn nothing_moves_while_a_backup_keeps_what_is_freed() {
    let (_home, store) = tiered();
    let moved = put_in(&store, "moved", &text(5 << 20, 1), Standard);
    step_to(&store, "moved", &moved, GlacierIr);
    let held = store.snapshot().unwrap();
    assert_eq!(store.compact(&mut |_| true).unwrap().moved, 0);
    drop(held);
    assert_eq!(store.compact(&mut |_| true).unwrap().moved, 1);
    assert!(get(&store, "moved").unwrap() == text(5 << 20, 1));
}

#[test]
fn a_file_larger_than_the_room_waits_and_the_others_do_not() {
    let (home, store) = tiered_in_memory();
    let large = put_in(&store, "large", &text(90 << 20, 1), Standard);
    let small = put_in(&store, "small", &text(5 << 20, 2), Standard);
    for (name, object) in [("large", &large), ("small", &small)] {
        step_to(&store, name, object, GlacierIr);
    }
    store.sync().unwrap();
    let disk = home.disk();
    disk.set_room(Some(disk.used() + 150 * MIB));
    assert!(store.gc(&mut || true).unwrap() > 0);
    assert_eq!((store.status().unwrap().solos, store.misplaced_bytes().unwrap()), (1, 90 * MIB));
    disk.set_room(Some(disk.used() + 300 * MIB));
    // Nobody has to ask again.
    compact(&store);
    assert_eq!((store.status().unwrap().solos, store.misplaced_bytes().unwrap()), (0, 0));
    assert!(get(&store, "large").unwrap() == text(90 << 20, 1) && get(&store, "small").unwrap() == text(5 << 20, 2));
    fsck(&store);
}

#[test]
fn a_file_that_cannot_be_read_hinders_nothing_and_is_told_once() {
    let (home, store) = tiered();
    let lost = put_in(&store, "lost", &text(5 << 20, 1), Standard);
    step_to(&store, "lost", &lost, GlacierIr);
    store.close().unwrap();
    drop(store);
    let solo =
        super::rebuild::log_files(&home).into_iter().find(|file| file.extension().is_some_and(|end| end == "obj"));
    let solo = solo.unwrap();
    std::fs::remove_file(&solo).unwrap();
    // Neither missing nor damaged: the disk says something else.
    std::fs::create_dir(&solo).unwrap();
    let store = home.open();
    let good = put_in(&store, "good", &text(5 << 20, 2), Standard);
    step_to(&store, "good", &good, GlacierIr);
    (0..60).for_each(|n| drop(put(&store, &format!("f{n}"), &noise(100_000, n))));
    (0..60).filter(|n| n % 4 > 0).for_each(|n| _ = delete(&store, &format!("f{n}")));
    compact(&store);
    assert!(store.garbage().unwrap() < MIB, "{}", store.garbage().unwrap());
    let other = put_in(&store, "other", &text(300_000, 3), Standard);
    step_to(&store, "other", &other, GlacierIr);
    compact(&store);
    assert_eq!(store.misplaced_bytes().unwrap(), 5 * MIB, "what cannot be read stays");
    let told = || store.complaints(None).iter().filter(|complaint| complaint.op == "compact").count();
    assert_eq!(told(), 1, "{:?}", store.complaints(None));
    // It is tried again, and told no more.
    home.clock.advance_millis(2 * 3_600_000);
    store.gc(&mut || true).unwrap();
    assert_eq!(told(), 1);
    assert!(get(&store, "good").unwrap() == text(5 << 20, 2) && get(&store, "other").unwrap() == text(300_000, 3));
}

/// A large file moves slice by slice: what broke off goes on behind what was moved.
#[test]
fn a_large_file_is_moved_however_often_that_is_broken_off() {
    let (home, store) = tiered();
    const LEN: u64 = 300 << 20;
    let mut body = std::io::repeat(b'a').take(LEN);
    let object = store.put(B, &key("large"), &mut body, &PutOptions::default()).unwrap();
    // A second version that shares nearly all of it.
    store.set_versioning(B, Versioning::Enabled).unwrap();
    let newer =
        rewrite_file(&store, root(&store), "large", &object, |draft| draft.write_at(270 << 20, b"bbb").unwrap());
    step_to(&store, "large", &object, GlacierIr);
    step_to(&store, "large", &newer, StandardIa);
    let mut store = store;
    let mut passes = 0;
    while store.status().unwrap().solos > 0 {
        passes += 1;
        assert!(passes < 20, "it begins anew each time");
        // Of 75 steps.
        let mut left = 66;
        let mut some = |_| {
            left -= 1;
            left >= 0
        };
        store.compact(&mut some).unwrap();
        if passes % 2 == 1 {
            fsck(&store);
            store.close().unwrap();
            drop(store);
            store = home.open();
        }
        reap(&store);
    }
    assert!(passes > 1);
    let check = |object: &Object, b_at: Option<usize>| {
        let content = store.open_content(object).unwrap();
        let mut buf = vec![0; 10 << 20];
        for at in (0..LEN).step_by(10 << 20) {
            content.read_at(at, &mut buf).unwrap();
            let here = b_at.and_then(|b| b.checked_sub(at as usize)).filter(|b| *b < buf.len());
            if let Some(b) = here {
                assert_eq!(&buf[b..b + 3], b"bbb");
                buf[b..b + 3].fill(b'a');
            }
            assert!(buf.iter().all(|byte| *byte == b'a'), "{at}");
        }
    };
    let all = versions(&store, "large");
    check(&all[0], Some(270 << 20));
    check(&all[1], None);
    compact(&store);
    assert_eq!(store.misplaced_bytes().unwrap(), 0);
    assert!(store.status().unwrap().segment_bytes < 5 * MIB);
    fsck(&store);
}

/// A class that compresses no more: what is dead in its segments is not worth what is alive in them takes unpacked.
#[test]
fn compaction_makes_nothing_larger() {
    let (mut home, store) = tiered();
    (0..40).for_each(|n| drop(put_in(&store, &format!("f{n}"), &mixed(300_000, n), GlacierIr)));
    (0..40).filter(|n| n % 5 < 2).for_each(|n| _ = delete(&store, &format!("f{n}")));
    store.close().unwrap();
    drop(store);
    home.tiers = vec![TierSettings::default()];
    let store = home.open();
    reap(&store);
    let before = store.status().unwrap().segment_bytes;
    assert!(before < 40 * 300_000 / 2, "{before}");
    compact(&store);
    store.gc(&mut || true).unwrap();
    let after = store.status().unwrap().segment_bytes;
    // But for what the log is told of itself.
    assert!(after < before + 100_000, "{after} of {before}");
    store.close().unwrap();
    drop(store);
    // Compressed, it gives back what is dead.
    home.tiers = tiers();
    let store = home.open();
    store.gc(&mut || true).unwrap();
    let freed = store.status().unwrap().segment_bytes;
    assert!(freed * 5 < before * 4, "{freed} of {before}");
    fsck(&store);
}

#[test]
fn a_copy_on_a_mount_is_asked_about_when_it_can_be_seen() {
    let (_home, store) = tiered();
    let cold = put_in(&store, "cold", &text(300_000, 1), GlacierIr);
    compact(&store);
    let made = put(&store, "copy", b"");
    let mut draft = store.draft(Some(&made)).unwrap();
    let content = Arc::new(store.open_content(&cold).unwrap());
    draft.copy_from(0, &content, 0, content.size()).unwrap();
    // What is asked before is answered.
    compact(&store);
    let mut session = Session::new();
    let at = (root(&store), "copy");
    store.publish(at, made.ino, &mut draft, &mut session, &PosixChange::default()).unwrap();
    store.seal(session).unwrap();
    assert_eq!(store.compact(&mut |_| true).unwrap().moved, 1, "both have it where the first of their classes does");
}

#[test]
fn a_class_that_comes_with_the_bytes_is_asked_about() {
    let (_home, store) = tiered();
    let made = put(&store, "f", b"");
    compact(&store);
    let mut draft = store.draft(Some(&made)).unwrap();
    draft.write_at(0, &text(300_000, 1)).unwrap();
    let mut session = Session::new();
    let at = (root(&store), "f");
    let mut ready = store.ready(&mut draft).unwrap();
    let classed = |object: &mut Object| object.class = GlacierIr;
    store.publish_ready(at, made.ino, &mut draft, &mut ready, &mut session, &PosixChange::default(), classed).unwrap();
    drop(ready);
    store.seal(session).unwrap();
    assert_eq!(store.compact(&mut |_| true).unwrap().moved, 1);
    assert!(get(&store, "f").unwrap() == text(300_000, 1));
}

/// What a crash left without a directory is looked through, since its length says little of what it holds.
#[test]
fn what_a_crash_left_of_compressed_segments_is_freed() {
    let (home, store) = tiered();
    (0..40).for_each(|n| drop(put_in(&store, &format!("f{n}"), &mixed(300_000, n), GlacierIr)));
    store.close().unwrap();
    drop(store);
    for file in super::rebuild::log_files(&home) {
        let bytes = std::fs::read(&file).unwrap();
        // Without the trailer.
        std::fs::write(&file, &bytes[..bytes.len() - 64]).unwrap();
    }
    let store = home.open();
    (0..40).filter(|n| n % 5 < 3).for_each(|n| _ = delete(&store, &format!("f{n}")));
    let before = store.status().unwrap().segment_bytes;
    compact(&store);
    let after = store.status().unwrap().segment_bytes;
    assert!(after * 4 < before * 3, "{after} of {before}");
    (0..40).filter(|n| n % 5 >= 3).for_each(|n| assert!(get(&store, &format!("f{n}")).unwrap() == mixed(300_000, n)));
}

/// Whoever holds bytes by a record that cannot be read may want them where they are.
#[test]
fn what_a_damaged_name_holds_stays_where_it_is() {
    let (home, store) = tiered();
    let shared = put_in(&store, "shared", &text(5 << 20, 1), Standard);
    let how = CopyOptions { class: GlacierIr, ..CopyOptions::default() };
    store.copy(&shared, B, &key("copy"), &how).unwrap();
    put_in(&store, "other", &text(5 << 20, 2), Standard);
    let other = store.get(B, &key("other"), None).unwrap();
    step_to(&store, "other", &other, GlacierIr);
    drop(store);
    home.close();
    tamper(home.dir.path(), |tx| {
        let found = tx.scan(Family::Dent, &[], &[0xff; 1100]).unwrap().map(|found| found.unwrap().0);
        let name = found.collect::<Vec<_>>().into_iter().find(|key| key.ends_with(b"shared")).unwrap();
        tx.put_bytes(Family::Dent, &name, b"spoiled".to_vec());
    });
    let store = home.open();
    compact(&store);
    assert_eq!(store.status().unwrap().solos, 1, "what else there is moves");
    assert!(get(&store, "copy").unwrap() == text(5 << 20, 1) && get(&store, "other").unwrap() == text(5 << 20, 2));
}
