//! Scrub: every byte that changes on the disk is found, what it hurts is named, and nothing else is called damage.

mod index;

use super::harness::{B, Home, delete, get, key, make_bucket, purge, put, reap, refused, versions};
use crate::long;
use keyfold::model::{Kind, Versioning};
use keyfold::store::{ScrubFinding, Store};
use keyfold::sys::disk::{Disk, DiskCall, MemDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that no two seeds share and that do not repeat.
fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A pass as a person asks for it; in large steps, or in the smallest.
fn scrub_in(store: &Arc<Store>, step: u64) -> Vec<ScrubFinding> {
    let mut pass = store.scrub_by_hand().unwrap();
    let mut found = Vec::new();
    while !pass.pass().is_over() {
        found.extend(pass.step(step).unwrap().1);
    }
    found
}

fn scrub(store: &Arc<Store>) -> Vec<ScrubFinding> {
    scrub_in(store, 1 << 20)
}

/// What scrub finds on a disk that a power cut has left, where nothing may be found: but for the end of a segment that was
/// being sealed, which no sync had covered.
pub fn after_a_cut(store: &Arc<Store>) -> Vec<ScrubFinding> {
    let mut found = scrub(store);
    found.retain(|finding| {
        !(finding.objects.is_empty() && ["directory", "trailer"].iter().any(|end| finding.what.starts_with(end)))
    });
    found
}

/// Keys and versions that scrub finds hurt.
pub fn hurt(store: &Arc<Store>) -> Vec<(String, String)> {
    scrub(store).into_iter().flat_map(|finding| finding.objects).map(|object| (object.key, object.version)).collect()
}

/// The files below a directory of the disk.
fn files(disk: &MemDisk, dir: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in disk.list(Path::new(dir)).unwrap() {
        let path = format!("{dir}/{}", entry.name);
        if entry.is_dir {
            found.extend(files(disk, &path));
        } else {
            found.push(path.into());
        }
    }
    found.sort();
    found
}

fn flip(disk: &MemDisk, path: &Path, at: usize) {
    disk.tamper(path, |bytes| bytes[at] ^= 1 << (at % 8)).unwrap();
}

/// Where in which file of the log the bytes lie.
fn place(disk: &MemDisk, bytes: &[u8]) -> (PathBuf, usize) {
    let all = [files(disk, "seg"), files(disk, "solo")].concat();
    let found = all.into_iter().find_map(|path| {
        let at = disk.contents(&path).unwrap().windows(bytes.len()).position(|window| window == bytes)?;
        Some((path, at))
    });
    found.expect("no file of the log holds the bytes")
}

fn names(finding: &ScrubFinding) -> Vec<&str> {
    finding.objects.iter().map(|object| object.key.as_str()).collect()
}

fn covers(finding: &ScrubFinding, path: &Path, at: usize) -> bool {
    let within = (at as u64).checked_sub(finding.at).is_some_and(|behind| behind < finding.len);
    finding.file == path.to_str().unwrap() && within
}

/// Objects in runs of all shapes and in a file of their own; every run belongs to one of them. Lengths leave padding.
fn populated() -> (Home, Vec<(String, Vec<u8>)>) {
    let home = Home::simulated();
    let store = home.open();
    make_bucket(&store, B);
    let mut objects = Vec::new();
    for (n, len) in [5001, 4097, 65_536, 65_537, 200_003, 700_001, 5000].into_iter().enumerate() {
        objects.push((format!("dir/object {n}"), pattern(len, n as u64)));
    }
    objects.push(("large".to_owned(), pattern((4 << 20) + 70_001, 99)));
    for (name, bytes) in &objects {
        put(&store, name, bytes);
    }
    store.close().unwrap();
    (home, objects)
}

/// Positions worth a look, sorted: the edges of structures, and some of all others.
fn positions(bytes: &[u8], is_segment: bool, some: usize) -> Vec<usize> {
    let mut all: Vec<usize> = vec![0, 1, bytes.len() - 1];
    if is_segment {
        all.extend([9, 13, 20, 35, 50, 4095, bytes.len() - 64, bytes.len() - 60, bytes.len() - 40, bytes.len() - 65]);
    }
    let mut at = 12_345_678_910_111u64;
    for _ in 0..some {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.push((at >> 24) as usize % bytes.len());
    }
    for magic in bytes.windows(4).enumerate().filter(|(_, window)| *window == b"KFR1").map(|(at, _)| at) {
        // Head, its spare room, key, and the end of what came before.
        all.extend([
            magic,
            magic + 5,
            magic + 9,
            magic + 40,
            magic + 73,
            magic + 100,
            magic + 125,
            magic - 1,
            magic - 7,
        ]);
    }
    all.retain(|at| *at < bytes.len());
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn every_flipped_byte_of_the_log_is_found_and_its_object_named() {
    let (home, objects) = populated();
    let store = home.open();
    let disk = home.disk();
    assert_eq!(scrub(&store), []);
    let paths = [files(&disk, "seg"), files(&disk, "solo")].concat();
    assert!(paths.len() >= 3, "{paths:?}");
    let some = if long() { 4000 } else { 60 };
    let (mut tried, mut named) = (0, 0);
    for path in paths {
        let bytes = disk.contents(&path).unwrap();
        let of_object = |at: usize| {
            objects.iter().find(|(_, body)| {
                let window = &bytes[at.saturating_sub(20)..(at + 20).min(bytes.len())];
                body.windows(window.len()).any(|part| part == window)
            })
        };
        for at in positions(&bytes, path.starts_with("seg"), some) {
            flip(&disk, &path, at);
            let found = scrub_in(&store, if at % 2 == 0 { 1 << 20 } else { 1 });
            let finding = found.iter().find(|finding| covers(finding, &path, at));
            let finding = finding.unwrap_or_else(|| panic!("byte {at} of {path:?} is not found: {found:#?}"));
            if let Some((name, _)) = of_object(at) {
                assert_eq!(names(finding), [name.as_str()], "byte {at} of {path:?}: {finding:#?}");
                named += 1;
            }
            flip(&disk, &path, at);
            tried += 1;
        }
    }
    assert_eq!(scrub(&store), []);
    println!("{tried} bytes flipped, all found; {named} of them in an object, which was named");
    assert!(named * 4 > tried);
}

#[test]
fn what_nothing_refers_to_is_no_damage() {
    let (home, objects) = populated();
    let store = home.open();
    let disk = home.disk();
    let (path, at) = place(&disk, &objects[4].1[100_000..100_100]);
    flip(&disk, &path, at);
    assert_eq!(scrub(&store).len(), 1);
    delete(&store, &objects[4].0);
    reap(&store);
    store.sync().unwrap();
    assert_eq!(scrub(&store), []);
    // What a crash leaves behind the last run that was synced.
    put(&store, "durable", &pattern(9000, 7));
    store.sync().unwrap();
    Arc::clone(&store).abandon();
    let newest = files(&disk, "seg").pop().unwrap();
    disk.tamper(&newest, |bytes| bytes.extend(pattern(5000, 3))).unwrap();
    let store = home.open();
    assert_eq!(scrub(&store), []);
    assert_eq!(get(&store, "durable").unwrap(), pattern(9000, 7));
}

#[test]
fn every_name_and_version_of_the_bytes_is_told() {
    let home = Home::simulated();
    let store = home.open();
    make_bucket(&store, B);
    store.set_versioning(B, Versioning::Enabled).unwrap();
    let body = pattern(300_000, 5);
    let old = put(&store, "a/b", &body);
    put(&store, "a/b", b"newer");
    store.copy(&old, B, &key("copy"), &keyfold::store::CopyOptions::default()).unwrap();
    put(&store, "other", &pattern(300_000, 6));
    store.sync().unwrap();
    let disk = home.disk();
    let (path, at) = place(&disk, &body[200_000..200_050]);
    flip(&disk, &path, at);
    let found = scrub(&store);
    assert_eq!(found.len(), 1, "{found:#?}");
    let told: Vec<_> =
        found[0].objects.iter().map(|o| (o.bucket.as_str(), o.key.as_str(), o.version.clone())).collect();
    let copy = versions(&store, "copy")[0].version.to_string();
    assert_eq!(told, [(B, "copy", copy), (B, "a/b", old.version.to_string())]);
    let complaints = store.complaints(Some(B));
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    assert!(complaints[0].why.contains("a/b") && complaints[0].what.contains(path.to_str().unwrap()));
    // Of a long object only what has bytes in the bad place is hurt.
    purge(&store, "a/b", old.version);
    delete(&store, "copy");
    let copy = versions(&store, "copy").into_iter().find(|version| !version.marker).unwrap();
    purge(&store, "copy", copy.version);
    reap(&store);
    assert_eq!(scrub(&store), []);
}

#[test]
fn a_finding_is_told_once_in_a_process_and_again_by_the_next() {
    let (home, objects) = populated();
    let store = home.open();
    let disk = home.disk();
    let (path, at) = place(&disk, &objects[5].1[..50]);
    flip(&disk, &path, at);
    for _ in 0..3 {
        assert_eq!(scrub(&store).len(), 1);
    }
    assert_eq!(store.complaints(None).len(), 1);
    let status = store.scrub_status();
    assert_eq!((status.passes, status.last_findings, status.findings, status.state), (3, Some(1), 3, "idle"));
    store.close().unwrap();
    drop(store);
    let store = home.open();
    assert_eq!(store.scrub_status().passes, 3);
    store.recall_scrub();
    assert_eq!(store.complaints(None).len(), 1);
    assert_eq!(scrub(&store).len(), 1);
    assert_eq!(store.complaints(None).len(), 1);
    flip(&disk, &path, at);
    assert_eq!(scrub(&store), []);
    assert_eq!(store.scrub_status().last_findings, Some(0));
}

#[test]
fn a_reader_that_meets_damage_makes_a_pass_due() {
    let (home, objects) = populated();
    let store = home.open();
    let disk = home.disk();
    assert_eq!(scrub(&store), []);
    assert!(!store.scrub_turn().alarm);
    let (path, at) = place(&disk, &objects[1].1[..50]);
    flip(&disk, &path, at);
    refused(get(&store, &objects[1].0), Kind::Corrupt);
    assert!(store.scrub_turn().alarm);
    store.scrub_in_background(1).unwrap();
    let turn = store.scrub_turn();
    assert!(turn.begun && turn.has_found && !turn.alarm);
    while store.scrub_turn().begun {
        store.scrub_in_background(1 << 20).unwrap();
    }
    // What is known already makes no further pass due.
    refused(get(&store, &objects[1].0), Kind::Corrupt);
    assert!(!store.scrub_turn().alarm);
}

#[test]
fn a_pass_in_the_background_goes_on_after_a_crash() {
    let (home, objects) = populated();
    let store = home.open();
    let disk = home.disk();
    let half = store.new_scrub_pass().unwrap().progress().1 / 2;
    while store.scrub_in_background(64 << 10).is_ok() && store.scrub_turn().begun {
        if store.scrub_status().bytes > half {
            break;
        }
    }
    store.keep_scrub(true).unwrap();
    store.sync().unwrap();
    let before = store.scrub_status();
    assert_eq!((before.state, before.passes), ("in progress", 0));
    Arc::clone(&store).abandon();
    drop(store);
    // One byte where it was already, one where it is going.
    let (path, at) = place(&disk, &objects[0].1[..50]);
    flip(&disk, &path, at);
    let ahead = place(&disk, &objects[7].1[(4 << 20)..(4 << 20) + 50]);
    flip(&disk, &ahead.0, ahead.1);
    let store = home.open();
    let after = store.scrub_status();
    assert_eq!((after.state, after.progress, after.bytes), ("in progress", before.progress, before.bytes));
    while store.scrub_turn().begun {
        store.scrub_in_background(64 << 10).unwrap();
    }
    let status = store.scrub_status();
    assert_eq!((status.passes, status.last_findings), (1, Some(1)), "{status:?}");
    assert!(store.complaints(None)[0].what.contains("solo/"));
    let found = scrub(&store);
    assert!(found.iter().any(|finding| covers(finding, &path, at)) && found.len() == 2);
}

#[test]
fn what_is_found_is_not_forgotten_by_a_crash_in_the_middle_of_a_pass() {
    let (home, objects) = populated();
    let store = home.open();
    let disk = home.disk();
    for object in [0, 2, 4] {
        let (path, at) = place(&disk, &objects[object].1[..50]);
        flip(&disk, &path, at);
    }
    // The first is told at once, the others when the pass ends.
    while store.scrub_status().bytes < 2 << 20 {
        store.scrub_in_background(1).unwrap();
    }
    assert_eq!(store.complaints(None).len(), 1);
    assert!(store.scrub_turn().has_found);
    store.keep_scrub(true).unwrap();
    store.sync().unwrap();
    Arc::clone(&store).abandon();
    drop(store);
    let store = home.open();
    while store.scrub_turn().begun {
        store.scrub_in_background(1 << 20).unwrap();
    }
    assert_eq!(store.scrub_status().last_findings, Some(3));
}

#[test]
fn what_a_segment_that_is_open_has_synced_is_checked() {
    let home = Home::simulated();
    let store = home.open();
    make_bucket(&store, B);
    let (early, late) = (pattern(70_000, 1), pattern(70_000, 2));
    put(&store, "early", &early);
    store.sync().unwrap();
    let disk = home.disk();
    let (path, at) = place(&disk, &early[40_000..40_050]);
    flip(&disk, &path, at);
    let found = scrub_in(&store, 1);
    assert_eq!(found.iter().map(names).collect::<Vec<_>>(), [["early"]], "{found:#?}");
    flip(&disk, &path, at);
    put(&store, "late", &late);
    store.sync().unwrap();
    assert_eq!(scrub(&store), []);
    let (path, at) = place(&disk, &late[..50]);
    // The head of the second run.
    flip(&disk, &path, at - 100);
    assert_eq!(scrub(&store).iter().map(names).collect::<Vec<_>>(), [["late"]]);
}

#[test]
fn the_journal_is_checked_where_it_counts() {
    let home = Home::simulated();
    let store = home.open();
    make_bucket(&store, B);
    // The first one begins a segment, whose name must be durable too.
    put(&store, "a", &pattern(6000, 1));
    put(&store, "b", &pattern(6000, 2));
    let disk = home.disk();
    let bytes = disk.contents(Path::new("journal")).unwrap();
    let end = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    assert!(end > 6000 && end < 20_000, "{end}");
    for at in [0, 5, 40, 5000, end - 1, end, 1 << 20] {
        flip(&disk, Path::new("journal"), at);
        let found = scrub(&store);
        assert_eq!(found.iter().any(|finding| covers(finding, Path::new("journal"), at)), at < end, "{at}: {found:#?}");
        flip(&disk, Path::new("journal"), at);
    }
    store.close().unwrap();
    drop(store);
    let store = home.open();
    store.sync().unwrap();
    flip(&disk, Path::new("journal"), 100);
    assert_eq!(scrub(&store), []);
}

#[test]
fn files_that_go_meanwhile_are_no_damage_and_those_that_are_lost_are() {
    let (home, objects) = populated();
    let store = home.open();
    let mut pass = store.new_scrub_pass().unwrap();
    while pass.progress().0 < 500_000 {
        assert_eq!(store.scrub_step(&mut pass, 1).unwrap(), []);
    }
    for (name, _) in &objects[..7] {
        delete(&store, name);
    }
    delete(&store, "large");
    reap(&store);
    while !pass.is_over() {
        assert_eq!(store.scrub_step(&mut pass, 1).unwrap(), []);
    }
    drop(store);
    home.close();

    let (home, objects) = populated();
    let store = home.open();
    let disk = home.disk();
    let lost = place(&disk, &objects[7].1[..50]).0;
    let sum = lost.with_extension("sum");
    disk.remove(&sum).unwrap();
    let found = scrub(&store);
    assert_eq!((found.len(), found[0].file.as_str(), names(&found[0])), (1, sum.to_str().unwrap(), vec!["large"]));
    disk.remove(&lost).unwrap();
    let segment = place(&disk, &objects[0].1[..50]).0;
    disk.remove(&segment).unwrap();
    let found = scrub(&store);
    let of = |path: &Path| found.iter().find(|finding| finding.file == path.to_str().unwrap()).map(names).unwrap();
    assert_eq!(of(&lost), ["large"]);
    assert!(of(&segment).contains(&objects[0].0.as_str()));
}

#[test]
fn a_place_that_cannot_be_read_is_a_finding() {
    let (home, _) = populated();
    let store = home.open();
    let disk = home.disk();
    // The first pass also reads what is remembered from then on.
    assert_eq!(scrub(&store), []);
    let before = disk.calls(DiskCall::Read);
    assert_eq!(scrub(&store), []);
    let reads = disk.calls(DiskCall::Read) - before;
    let step = if long() { 1 } else { 9 };
    let mut found = 0;
    for nth in (0..reads).step_by(step) {
        disk.fail(DiskCall::Read, nth, 1, 5);
        found += usize::from(!scrub(&store).is_empty());
        disk.heal();
    }
    let tried = reads.div_ceil(step as u64);
    assert_eq!(found as u64, tried, "of {tried} reads that failed");
}

#[test]
fn one_pass_by_hand_at_a_time() {
    let (home, _) = populated();
    let store = home.open();
    let first = store.scrub_by_hand().unwrap();
    assert!(store.scrub_turn().by_hand);
    assert_eq!(store.scrub_status().state, "by hand");
    refused(store.scrub_by_hand().map(|_| ()), Kind::Conflict);
    drop(first);
    assert_eq!(scrub(&store), []);
    store.pause_scrub(true).unwrap();
    store.sync().unwrap();
    Arc::clone(&store).abandon();
    drop(store);
    let store = home.open();
    assert!(store.scrub_turn().paused);
    assert_eq!(store.scrub_status().state, "paused");
}
