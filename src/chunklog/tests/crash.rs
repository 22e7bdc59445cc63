//! Power cuts, failing syncs and full disks.

use super::super::{ChunkLog, Class, Owner, Run, SegmentState, SoloId, Tier};
use super::{bytes, get, holds, kind, open, owner, put};
use crate::model::Kind;
use crate::sys::disk::{DiskCall, MemDisk};
use proptest::prelude::*;
use std::collections::HashSet;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// What a sync covered is there after any crash; the rest reads as written or fails cleanly.
    #[test]
    fn a_crash_loses_nothing_that_was_synced(
        steps in proptest::collection::vec((0u8..12, 1usize..150_000), 1..40),
        crash in any::<u64>(),
    ) {
        let disk = MemDisk::new();
        let log = open(&disk, 1);
        let mut runs: Vec<(Run, u64)> = Vec::new();
        let mut solos: Vec<(SoloId, usize)> = Vec::new();
        let mut synced = (0, 0);
        for (seed, (step, len)) in (0u64..).zip(steps) {
            match step {
                0..=6 => runs.push((put(&log, seed, len), seed)),
                7 => {
                    let mut writer = log.solo(Tier(0), Class::Hot).unwrap();
                    writer.write(&bytes(9, len)).unwrap();
                    solos.push((writer.finish(&Owner::default()).unwrap().0, len));
                }
                8 => {
                    log.seal_open().unwrap();
                    synced = (runs.len(), solos.len());
                }
                _ => {
                    log.sync().unwrap();
                    synced = (runs.len(), solos.len());
                }
            }
        }
        let after = disk.crash(crash);
        let log = open(&after, 2);
        for (n, (run, seed)) in runs.iter().enumerate() {
            match get(&log, *run) {
                Ok(back) => prop_assert!(back == bytes(*seed, run.len as usize)),
                Err(error) => prop_assert!(n >= synced.0 && error.kind() == Kind::Corrupt, "run {n}: {error}"),
            }
        }
        for (n, (id, len)) in solos.iter().enumerate() {
            let mut back = vec![0; *len];
            match log.read_solo(*id, 0, &mut back) {
                Ok(()) => prop_assert!(back == bytes(9, *len)),
                Err(error) => prop_assert!(n >= synced.1 && error.kind() == Kind::Corrupt, "solo {n}: {error}"),
            }
        }
        // A walk finds every synced run, in segments cut off by the crash too.
        let mut walked = HashSet::new();
        for info in log.segments().unwrap() {
            log.scan(info.id, &mut |found| {
                if found.bad_frames.is_empty() {
                    walked.insert(found.run);
                }
            }).unwrap();
        }
        for (run, _) in &runs[..synced.0] {
            prop_assert!(walked.contains(run), "{run:?}");
        }
        // The new opening appends elsewhere.
        let fresh = put(&log, 77, 10);
        prop_assert!(runs.iter().all(|(run, _)| run.segment != fresh.segment));
    }
}

#[test]
fn a_failed_sync_is_final_for_what_it_held() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let safe = put(&log, 1, 5000);
    log.sync().unwrap();
    let lost = put(&log, 2, 5000);
    disk.fail(DiskCall::Sync, 0, 1, EIO);
    assert_eq!(kind(log.sync_of(&[lost], &[])), Kind::Io);
    // The disk would answer the next sync with success, and the bytes would be gone.
    for _ in 0..3 {
        assert_eq!(kind(log.sync_of(&[lost], &[])), Kind::Io);
        assert_eq!(kind(log.sync()), Kind::Io);
    }
    log.sync_of(&[safe], &[]).unwrap();
    holds(&log, lost, 2);
    assert_eq!(log.segments().unwrap()[0].state, SegmentState::Failed);

    let anew = put(&log, 2, 5000);
    assert_ne!(anew.segment, lost.segment);
    log.sync_of(&[anew], &[]).unwrap();
    assert_eq!(log.lost().runs, [(lost.segment, lost.offset)]);
    assert_eq!(kind(log.sync()), Kind::Io);
    log.settle(&log.lost());
    log.sync().unwrap();
    for seed in 0..20 {
        let log = open(&disk.crash(seed), 2);
        holds(&log, safe, 1);
        holds(&log, anew, 2);
    }
}

#[test]
fn a_failed_write_is_the_last_of_its_file_and_costs_nothing_beside_it() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let safe = put(&log, 1, 5000);
    log.sync().unwrap();
    let beside = put(&log, 2, 5000);
    disk.fail(DiskCall::Write, 0, 1, EIO);
    assert_eq!(kind(log.append(Tier(0), Class::Hot, &[(owner(3), &bytes(3, 5000))])), Kind::Io);
    let next = put(&log, 4, 5000);
    assert_ne!(next.segment, safe.segment);
    log.sync_of(&[next, beside], &[]).unwrap();
    log.sync().unwrap();
    let after = open(&disk.crash(1), 2);
    for (run, seed) in [(safe, 1), (beside, 2), (next, 4)] {
        holds(&log, run, seed);
        holds(&after, run, seed);
    }
}

#[test]
fn a_directory_that_does_not_sync_fails_its_file() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let run = put(&log, 1, 10);
    disk.fail(DiskCall::SyncDir, 0, 1, EIO);
    assert_eq!(kind(log.sync()), Kind::Io);
    assert_eq!(kind(log.sync_of(&[run], &[])), Kind::Io);
}

#[test]
fn every_caller_of_a_shared_round_hears_of_its_failure() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let runs: Vec<_> = (0..8).map(|seed| put(&log, seed, 100)).collect();
    disk.fail(DiskCall::Sync, 0, 1, EIO);
    std::thread::scope(|scope| {
        for run in runs {
            let log = &log;
            scope.spawn(move || assert_eq!(kind(log.sync_of(&[run], &[])), Kind::Io));
        }
    });
}

#[test]
fn callers_share_rounds() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let run = put(&log, 1, 10);
    log.sync().unwrap();
    let before = disk.calls(DiskCall::Sync);
    for _ in 0..10 {
        log.sync().unwrap();
        log.sync_of(&[run], &[]).unwrap();
    }
    assert_eq!(disk.calls(DiskCall::Sync), before);
}

#[test]
fn a_full_disk_records_nothing_and_recovers() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let mut runs = vec![(put(&log, 0, 1000), 0)];
    disk.set_room(Some(700_000));
    for seed in 1..200 {
        match log.append(Tier(0), Class::Hot, &[(owner(seed), &bytes(seed, 10_000))]) {
            Ok(run) => runs.push((run[0], seed)),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Full);
                break;
            }
        }
    }
    // All of the room was used, not only whole steps of it.
    assert!((60..70).contains(&runs.len()), "{}", runs.len());
    assert_eq!(kind(log.append(Tier(0), Class::Cold, &[(owner(1), &bytes(1, 10_000))])), Kind::Full);
    assert_eq!(kind(log.append(Tier(0), Class::Hot, &[(owner(1), &bytes(1, 10_000))])), Kind::Full);
    log.sync().unwrap();
    disk.set_room(None);
    runs.push((put(&log, 300, 10_000), 300));
    log.seal_open().unwrap();
    runs.iter().for_each(|(run, seed)| holds(&log, *run, *seed));
    let mut found = Vec::new();
    let scanned = log.scan(runs[0].0.segment, &mut |run| found.push(run.run)).unwrap();
    assert!(scanned.sealed && scanned.flaws.is_empty(), "{scanned:?}");
    assert_eq!(found, runs.iter().map(|(run, _)| *run).collect::<Vec<_>>());
}

#[test]
fn room_that_vanishes_under_a_write_costs_only_that_write() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let before = put(&log, 1, 1000);
    disk.fail(DiskCall::Write, 0, 1, ENOSPC);
    assert_eq!(kind(log.append(Tier(0), Class::Hot, &[(owner(2), &bytes(2, 1000))])), Kind::Full);
    let after = put(&log, 3, 1000);
    log.sync().unwrap();
    log.seal_open().unwrap();
    let log = open(&disk.crash(1), 2);
    holds(&log, before, 1);
    holds(&log, after, 3);
    let states: Vec<_> = log.segments().unwrap().iter().map(|info| info.state).collect();
    assert_eq!(states, [SegmentState::Loose, SegmentState::Sealed]);
}

/// Fails each call of each kind in turn: nothing that was reported durable is ever lost.
#[test]
fn a_sweep_of_single_failures_loses_nothing() {
    for call in
        [DiskCall::Create, DiskCall::Write, DiskCall::Sync, DiskCall::SyncDir, DiskCall::Allocate, DiskCall::SetLen]
    {
        for errno in [EIO, ENOSPC] {
            for nth in 0..12 {
                let disk = MemDisk::new();
                let log = open(&disk, 1);
                disk.fail(call, nth, 1, errno);
                let durable = workload(&log);
                disk.heal();
                let after = open(&disk.crash(nth), 2);
                for (run, seed) in durable {
                    holds(&log, run, seed);
                    holds(&after, run, seed);
                }
            }
        }
    }
}

fn workload(log: &ChunkLog) -> Vec<(Run, u64)> {
    let mut durable = Vec::new();
    for round in 0..6u64 {
        let mut group = Vec::new();
        for n in 0..3 {
            let seed = round * 10 + n;
            if let Ok(runs) = log.append(Tier(0), Class::Hot, &[(owner(seed), &bytes(seed, 90_000))]) {
                group.push((runs[0], seed));
            }
        }
        let runs: Vec<_> = group.iter().map(|(run, _)| *run).collect();
        if log.sync_of(&runs, &[]).is_ok() {
            durable.extend(group);
        }
        if round == 3 {
            let _ = log.seal_open();
        }
    }
    durable
}

/// A write that never arrived, between others that were synced: a walk finds what lies behind the hole.
#[test]
fn a_walk_goes_on_behind_a_hole() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let runs: Vec<_> = [100, 70_000, 3000, 200_000].iter().zip(0..).map(|(len, seed)| put(&log, seed, *len)).collect();
    log.sync().unwrap();
    drop(log);
    for hole in 0..3 {
        let disk = disk.crash(0);
        let (from, to) = (runs[hole].offset as usize, runs[hole + 1].offset as usize);
        disk.tamper(&runs[0].segment.path(), |bytes| bytes[from..to].fill(0)).unwrap();
        let mut found = Vec::new();
        let log = open(&disk, 2);
        let scanned = log.scan(runs[0].segment, &mut |run| found.push((run.run, run.searched))).unwrap();
        let left = runs.iter().enumerate().filter(|(n, _)| *n != hole).map(|(n, run)| (*run, n > hole));
        assert_eq!(found, left.collect::<Vec<_>>());
        assert_eq!((scanned.flaws.len(), scanned.sealed), (1, false), "{scanned:?}");
    }
}
