//! Appending, reading, scanning and deleting runs.

use super::super::{ChunkLog, Class, Owner, RUN_BYTES_MAX, Run, RunFound, SegmentId, SegmentState, Tier};
use super::{bytes, get, holds, kind, open, owner, put, settings};
use crate::model::Kind;
use crate::sys::disk::{DiskCall, MemDisk, OsDisk};
use std::sync::Arc;

fn scan(log: &ChunkLog, id: SegmentId) -> (Vec<RunFound>, super::super::Scanned) {
    let mut found = Vec::new();
    let scanned = log.scan(id, &mut |run| found.push(run)).unwrap();
    (found, scanned)
}

const SIZES: [usize; 12] =
    [1, 7, 8, 100, 4096, 16_383, 16_384, 65_535, 65_536, 65_537, 300_001, RUN_BYTES_MAX as usize];

#[test]
fn runs_of_all_sizes_read_back_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let log = ChunkLog::open(Arc::new(OsDisk::new(dir.path())), settings(1, 8 << 20)).unwrap();
    let data: Vec<_> = SIZES.iter().enumerate().map(|(n, len)| bytes(n as u64, *len)).collect();
    let pieces: Vec<_> = data.iter().enumerate().map(|(n, bytes)| (owner(n as u64), bytes.as_slice())).collect();
    let runs = log.append(Tier(0), Class::Hot, &pieces).unwrap();
    log.sync().unwrap();
    log.close().unwrap();

    let log = ChunkLog::open(Arc::new(OsDisk::new(dir.path())), settings(2, 8 << 20)).unwrap();
    for (n, run) in runs.iter().enumerate() {
        holds(&log, *run, n as u64);
        holds(&log, *run, n as u64);
        for (at, len) in [(0, 1), (run.len / 2, run.len / 3), (run.len - 1, 1), (run.len, 0)] {
            let mut buf = vec![0; len as usize];
            log.read(*run, at, &mut buf).unwrap();
            assert!(buf == data[n][at as usize..(at + len) as usize]);
        }
        assert_eq!(kind(log.read(*run, run.len, &mut [0])), Kind::InvalidArgument);
    }
    let (found, scanned) = scan(&log, runs[0].segment);
    assert!(scanned.sealed && scanned.flaws.is_empty() && scanned.class == Some(Class::Hot), "{scanned:?}");
    assert_eq!(found.iter().map(|found| found.run).collect::<Vec<_>>(), runs);
    let whose = &found[3].owner;
    assert_eq!((whose.ino, whose.seq, whose.logical), (3, 4, 21));
    assert_eq!(found[3].owner.key_tail, b"bucket/some/key");
}

#[test]
fn windows_of_a_run_read_right_in_any_order() {
    let log = open(&MemDisk::new(), 1);
    let data = bytes(5, 700_000);
    let run = put(&log, 5, data.len());
    let mut dice = bytes(6, 4000).into_iter().map(usize::from);
    while let (Some(a), Some(b), Some(c), Some(d)) = (dice.next(), dice.next(), dice.next(), dice.next()) {
        let at = (a << 8 | b) * 10;
        let len = (c << 10 | d).min(data.len() - at);
        let mut buf = vec![0; len];
        log.read(run, at as u32, &mut buf).unwrap();
        assert!(buf == data[at..at + len]);
    }
}

/// What was good once may come from the disk again as something else.
#[test]
fn a_frame_is_checked_each_time_it_is_read() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let run = put(&log, 1, 200_000);
    holds(&log, run, 1);
    let middle = u64::from(run.offset) + 100_000;
    disk.tamper(&run.segment.path(), |bytes| bytes[usize::try_from(middle).unwrap()] ^= 1).unwrap();
    let mut buf = vec![0; 200_000];
    assert_eq!(kind(log.read(run, 0, &mut buf)), Kind::Corrupt);
    assert_eq!(kind(log.read(run, 99_000, &mut buf[..2000])), Kind::Corrupt);
    // Of the frame before.
    log.read(run, 1000, &mut buf[..2000]).unwrap();
}

#[test]
fn segments_roll_over_and_small_stores_stay_small() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let run = put(&log, 1, 10);
    assert_eq!(log.segments().unwrap()[0].bytes, 256 << 10);
    let runs: Vec<_> = (2..40).map(|seed| put(&log, seed, 100_000)).collect();
    let infos = log.segments().unwrap();
    assert!((4..6).contains(&infos.len()), "{infos:?}");
    let (last, full) = infos.split_last().unwrap();
    assert_eq!(last.state, SegmentState::Open);
    assert!(full.iter().all(|info| info.state == SegmentState::Sealed && info.bytes < (1 << 20) + 4096));
    assert_eq!(kind(log.delete_segment(last.id)), Kind::Conflict);

    log.seal_open().unwrap();
    assert!(log.segments().unwrap().iter().all(|info| info.state == SegmentState::Sealed));
    assert_eq!(log.stats().tracked, 0);
    holds(&log, run, 1);
    log.delete_segment(run.segment).unwrap();
    log.delete_segment(run.segment).unwrap();
    assert_eq!(kind(get(&log, run)), Kind::Corrupt);
    runs.iter()
        .zip(2..)
        .filter(|(kept, _)| kept.segment != run.segment)
        .for_each(|(run, seed)| holds(&log, *run, seed));
}

#[test]
fn classes_do_not_share_segments() {
    let log = open(&MemDisk::new(), 1);
    let hot = put(&log, 1, 10);
    let held = log.append(Tier(0), Class::Held(9), &[(owner(1), b"kept")]).unwrap()[0];
    assert_ne!(hot.segment, held.segment);
    assert_eq!(scan(&log, held.segment).1.class, Some(Class::Held(9)));
}

#[test]
fn pieces_of_one_append_are_one_write() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    put(&log, 0, 1);
    let before = disk.calls(DiskCall::Write);
    let (a, b, c) = (bytes(1, 100), bytes(2, 200_000), bytes(3, 50_000));
    let runs = log.append(Tier(0), Class::Hot, &[(owner(1), &a), (owner(2), &b), (owner(3), &c)]).unwrap();
    assert_eq!(disk.calls(DiskCall::Write), before + 1);
    runs.iter().zip(1..).for_each(|(run, seed)| holds(&log, *run, seed));
    assert_eq!(runs[1].offset % 8, 0);
}

#[test]
fn pieces_out_of_range_are_refused() {
    let log = open(&MemDisk::new(), 1);
    assert_eq!(kind(log.append(Tier(0), Class::Hot, &[(owner(1), b"")])), Kind::InvalidArgument);
    let long = vec![0; RUN_BYTES_MAX as usize + 1];
    assert_eq!(kind(log.append(Tier(0), Class::Hot, &[(owner(1), &long)])), Kind::InvalidArgument);
    assert_eq!(log.append(Tier(0), Class::Hot, &[]).unwrap(), []);
    let long_key = Owner { key_tail: &[b'k'; 3000], ..owner(1) };
    let run = log.append(Tier(0), Class::Hot, &[(long_key, b"x")]).unwrap()[0];
    assert_eq!(get(&log, run).unwrap(), b"x");
    assert_eq!(scan(&log, run.segment).0[0].owner.key_tail.len(), 1024);
}

/// Flips every bit of a sealed or loose segment in turn: a scan always notices, and a read returns what was written or
/// a clean error.
fn every_flip_is_noticed(seal: bool) {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let runs: Vec<_> = [13usize, 1, 300].iter().zip(1..).map(|(len, seed)| put(&log, seed, *len)).collect();
    log.sync().unwrap();
    if seal {
        log.seal_open().unwrap();
    }
    let (path, id) = (runs[0].segment.path(), runs[0].segment);
    disk.tamper(&path, |bytes| bytes.truncate(if seal { bytes.len() } else { 5400 })).unwrap();
    let whole = disk.contents(&path).unwrap();
    let fresh = open(&disk, 2);
    assert_eq!(scan(&fresh, id).0.len(), 3);
    for bit in 0..whole.len() * 8 {
        // Most of the header is alike: every bit of it is flipped in the tests of the format.
        if (800..4096 * 8 - 64).contains(&bit) {
            continue;
        }
        disk.tamper(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)).unwrap();
        let (found, scanned) = scan(&fresh, id);
        assert!(!scanned.flaws.is_empty() || found.iter().any(|run| !run.bad_frames.is_empty()), "bit {bit}");
        let reader = open(&disk, 3);
        for (run, seed) in runs.iter().zip(1..) {
            match get(&reader, *run) {
                Ok(back) => assert!(back == bytes(seed, run.len as usize), "bit {bit}"),
                Err(error) => assert_eq!(error.kind(), Kind::Corrupt, "bit {bit}"),
            }
        }
        disk.tamper(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)).unwrap();
    }
}

#[test]
fn every_flip_in_a_sealed_segment_is_noticed() {
    every_flip_is_noticed(true);
}

#[test]
fn every_flip_in_a_loose_segment_is_noticed() {
    every_flip_is_noticed(false);
}

#[test]
fn a_bad_frame_costs_only_itself() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let run = put(&log, 1, 200_000);
    log.seal_open().unwrap();
    disk.tamper(&run.segment.path(), |bytes| bytes[8192 + 70_000] ^= 4).unwrap();
    let log = open(&disk, 2);
    let error = get(&log, run).unwrap_err();
    assert_eq!(error.what(), "cannot read segment 00000001-00000001 at offset 4096, frame 1");
    let mut buf = [9; 10];
    assert_eq!(kind(log.read(run, 65_536, &mut buf)), Kind::Corrupt);
    assert_eq!(buf, [0; 10]);
    let mut rest = vec![0; 200_000 - 131_072];
    log.read(run, 131_072, &mut rest).unwrap();
    assert!(rest == bytes(1, 200_000)[131_072..]);
    assert_eq!(scan(&log, run.segment).0[0].bad_frames, [1]);
    assert_eq!(log.stats().bad_frames, 2);
}

#[test]
fn bytes_of_one_run_do_not_pass_for_another() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let same = vec![42; 150_000];
    let put = |class| log.append(Tier(0), class, &[(owner(1), &same)]).unwrap()[0];
    let (a, b, far) = (put(Class::Hot), put(Class::Hot), put(Class::Cold));
    log.seal_open().unwrap();
    let (hot, cold) = (disk.contents(&a.segment.path()).unwrap(), disk.contents(&far.segment.path()).unwrap());
    let (at, to) = (a.offset as usize, b.offset as usize);
    let size = (to - at).min(hot.len() - to);

    disk.tamper(&b.segment.path(), |bytes| bytes[to..to + size].copy_from_slice(&hot[at..at + size])).unwrap();
    assert_eq!(kind(get(&open(&disk, 2), b)), Kind::Corrupt);
    // The same bytes of the same owner at the same offset of another segment.
    disk.tamper(&a.segment.path(), |bytes| bytes[at..to].copy_from_slice(&cold[at..to])).unwrap();
    assert_eq!(kind(get(&open(&disk, 2), a)), Kind::Corrupt);
    // Payload alone, frame 0 over frame 1: equal bytes, so nothing is wrong with them.
    disk.tamper(&far.segment.path(), |bytes| bytes.copy_within(8192..8192 + 65_536, 8192 + 65_536)).unwrap();
    assert!(get(&open(&disk, 2), far).unwrap() == same);
    let shorter = Run { len: 7, ..far };
    assert_eq!(kind(get(&open(&disk, 2), shorter)), Kind::Corrupt);
}

#[test]
fn a_sealed_segment_is_scanned_beyond_a_bad_head() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let runs: Vec<_> = (0..4).map(|seed| put(&log, seed, 100)).collect();
    log.seal_open().unwrap();
    disk.tamper(&runs[1].segment.path(), |bytes| bytes[runs[1].offset as usize] ^= 1).unwrap();
    let (found, scanned) = scan(&open(&disk, 2), runs[0].segment);
    assert_eq!(found.iter().map(|found| found.run).collect::<Vec<_>>(), [runs[0], runs[2], runs[3]]);
    assert_eq!(scanned.flaws.len(), 1, "{scanned:?}");
}

#[test]
fn threads_append_read_and_sync_together() {
    let dir = tempfile::tempdir().unwrap();
    let log = ChunkLog::open(Arc::new(OsDisk::new(dir.path())), settings(1, 2 << 20)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..100 {
                    let seed = thread << 32 | n;
                    let run = put(log, seed, (n as usize * 997) % 90_000 + 1);
                    holds(log, run, seed);
                    match n % 10 {
                        0 => log.sync_of(&[run], &[]).unwrap(),
                        5 => log.sync().unwrap(),
                        _ => {}
                    }
                }
            });
        }
    });
    log.seal_open().unwrap();
    let mut count = 0;
    for info in log.segments().unwrap() {
        assert_eq!(info.state, SegmentState::Sealed);
        let (found, scanned) = scan(&log, info.id);
        assert!(scanned.flaws.is_empty() && found.iter().all(|run| run.bad_frames.is_empty()), "{scanned:?}");
        count += found.len();
    }
    assert_eq!(count, 400);
}

#[test]
fn an_epoch_used_twice_is_refused() {
    let disk = MemDisk::new();
    put(&open(&disk, 1), 1, 10);
    assert_eq!(kind(open(&disk, 1).append(Tier(0), Class::Hot, &[(owner(1), b"x")])), Kind::Io);
}
