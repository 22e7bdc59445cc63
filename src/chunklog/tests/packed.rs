//! Runs of tiers that compress: on the disk, read in any part, damaged, moved.

use super::super::format::run::{self, RunHead};
use super::super::{ChunkLog, Class, RUN_BYTES_MAX, Run, SegmentState, Tier, TierSettings};
use super::{bytes, get, kind, open, owner, settings};
use crate::model::Kind;
use crate::model::StorageClass::{self, GlacierIr};
use crate::sys::disk::{Disk, MemDisk, OsDisk};
use std::sync::Arc;

const PACKED: Tier = Tier(1);

/// As [`open`], with a tier that compresses.
fn open_packing(disk: Arc<dyn Disk>, epoch: u32) -> ChunkLog {
    let (cold, warm) = StorageClass::ALL.iter().partition(|class| **class == GlacierIr);
    let tier = |classes, compression| TierSettings { classes, compression, ..TierSettings::default() };
    let mut settings = settings(epoch, 8 << 20);
    settings.tiers = vec![tier(warm, 0), tier(cold, 3)];
    ChunkLog::open(disk, settings).unwrap()
}

/// Lines that a compressor likes, and now and then 64 KiB that it does not.
fn text(seed: u64, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 100);
    while out.len() < len {
        match (out.len() / 65_536) % 5 {
            4 => out.extend(bytes(seed, 65_536)),
            _ => out.extend(format!("{seed}: object {} is stored in class GLACIER_IR\n", out.len()).bytes()),
        }
    }
    out.truncate(len);
    out
}

fn put(log: &ChunkLog, tier: Tier, data: &[u8]) -> Run {
    log.append(tier, Class::Hot, &[(owner(1), data)]).unwrap()[0]
}

const SIZES: [usize; 11] = [1, 8, 100, 4096, 65_535, 65_536, 65_537, 131_072, 300_001, 600_000, RUN_BYTES_MAX as usize];

#[test]
fn sc_4_runs_of_all_sizes_take_less_and_read_back_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_packing(Arc::new(OsDisk::new(dir.path())), 1);
    let data: Vec<_> = SIZES.iter().enumerate().map(|(n, len)| text(n as u64, *len)).collect();
    let pieces: Vec<_> = data.iter().enumerate().map(|(n, data)| (owner(n as u64), data.as_slice())).collect();
    let runs = log.append(PACKED, Class::Hot, &pieces).unwrap();
    let plain: u64 = SIZES.iter().map(|len| *len as u64).sum();
    log.close().unwrap();

    let log = open_packing(Arc::new(OsDisk::new(dir.path())), 2);
    assert_eq!(log.tier_of_segment(runs[0].segment), PACKED);
    let fill = log.fill_of(runs[0].segment).unwrap();
    assert_eq!(fill.plain, Some(plain), "what is live is counted in plain bytes");
    assert!(fill.bytes < plain / 2, "{fill:?}");
    for (data, run) in data.iter().zip(&runs) {
        assert!(get(&log, *run).unwrap() == *data && get(&log, *run).unwrap() == *data);
        for (at, len) in [(0, 1), (run.len / 2, run.len / 3), (run.len - 1, 1), (run.len / 3, run.len / 2)] {
            let mut buf = vec![0; len as usize];
            log.read(*run, at, &mut buf).unwrap();
            assert!(buf == data[at as usize..(at + len) as usize], "{run:?} {at} {len}");
        }
    }
    let mut found = Vec::new();
    let scanned = log.scan(runs[0].segment, &mut |run| found.push(run)).unwrap();
    assert!(scanned.sealed && scanned.flaws.is_empty() && found.iter().all(|run| run.bad_frames.is_empty()));
    assert_eq!(found.iter().map(|found| found.run).collect::<Vec<_>>(), runs);
    let scrubbed = log.scrub_segment(runs[0].segment, 0, u64::MAX).unwrap();
    assert!(scrubbed.flaws.is_empty() && scrubbed.bytes >= fill.bytes, "{scrubbed:?}");
}

#[test]
fn a_damaged_frame_costs_its_own_range() {
    let disk = MemDisk::new();
    let data = text(3, 300_000);
    let log = open_packing(Arc::new(disk.clone()), 1);
    let run = put(&log, PACKED, &data);
    log.close().unwrap();
    let file = run.segment.path();
    let all = disk.contents(&file).unwrap();
    let head = RunHead::decode(
        &all[run.offset as usize..],
        &super::super::format::Binder::segment(&super::STORE, run.segment),
        run.segment,
        run.offset,
    )
    .unwrap();
    assert!(head.places.is_packed() && head.places.frame(4).len() as u32 == head.places.plain(4), "noise stays");
    for frame in 0..5_u32 {
        let place = head.places.frame(frame);
        let at = (run.offset + head.head + place.start + place.len() as u32 / 2) as usize;
        disk.tamper(&file, |bytes| bytes[at] ^= 0x10).unwrap();
        let log = open_packing(Arc::new(disk.clone()), 2 + frame);
        for other in 0..5_u32 {
            let (from, to) = ((other * 65_536) as usize, data.len().min((other as usize + 1) * 65_536));
            let mut buf = vec![0; to - from];
            let read = log.read(run, from as u32, &mut buf);
            if other == frame {
                assert_eq!(kind(read), Kind::Corrupt);
            } else {
                assert!(read.is_ok() && buf == data[from..to], "{frame} {other}");
            }
        }
        let mut bad = Vec::new();
        log.scan(run.segment, &mut |found| bad.extend(found.bad_frames)).unwrap();
        assert_eq!(bad, [frame]);
        let scrubbed = log.scrub_segment(run.segment, 0, u64::MAX).unwrap();
        let flaws: Vec<_> = scrubbed.flaws.iter().map(|flaw| (flaw.at, flaw.len)).collect();
        assert_eq!(flaws, [(u64::from(run.offset + head.head + place.start), place.len() as u64)]);
        disk.tamper(&file, |bytes| bytes[at] ^= 0x10).unwrap();
    }
}

#[test]
fn every_flipped_bit_of_a_packed_run_is_noticed() {
    let disk = MemDisk::new();
    let log = open_packing(Arc::new(disk.clone()), 1);
    let data = text(7, 700);
    let run = put(&log, PACKED, &data);
    log.seal_open().unwrap();
    let file = run.segment.path();
    let end = log.fill_of(run.segment).unwrap().bytes as usize - 64 - 32;
    assert!(end < 4096 + 600);
    for bit in run.offset as usize * 8..end * 8 {
        disk.tamper(&file, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)).unwrap();
        let log = open_packing(Arc::new(disk.clone()), 2);
        let mut bad = 0;
        let scanned = log.scan(run.segment, &mut |found| bad += found.bad_frames.len()).unwrap();
        assert!(bad + scanned.flaws.len() > 0, "bit {bit}");
        // What reads, reads right: padding alone is no part of it.
        assert!(get(&log, run).map_or_else(|error| error.kind() == Kind::Corrupt, |read| read == data), "bit {bit}");
        disk.tamper(&file, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)).unwrap();
    }
}

#[test]
fn copies_have_the_compression_of_the_tier_they_come_to() {
    let log = open_packing(Arc::new(MemDisk::new()), 1);
    let data = text(1, 200_000);
    let run = put(&log, Tier(0), &data);
    let copy =
        |tier, run: Run, part| log.copy_runs(tier, Class::Aged(1), &[(run, part)]).unwrap().pop().unwrap().unwrap();
    let packed = copy(PACKED, run, 1000..180_000);
    assert!(get(&log, packed).unwrap() == data[1000..180_000]);
    let back = copy(Tier(0), packed, 0..packed.len);
    assert!(get(&log, back).unwrap() == data[1000..180_000]);
    log.seal_open().unwrap();
    let sizes = [run, packed, back].map(|run| log.fill_of(run.segment).unwrap().bytes);
    assert!(sizes[1] < sizes[0] / 2 && sizes[1] < sizes[2] / 2, "{sizes:?}");
}

#[test]
fn runs_of_a_segment_that_was_cut_off_are_found() {
    let disk = MemDisk::new();
    let log = open_packing(Arc::new(disk.clone()), 1);
    let data: Vec<_> = (0..3).map(|seed| text(seed, 100_000)).collect();
    let runs: Vec<_> = data.iter().map(|data| put(&log, PACKED, data)).collect();
    log.sync().unwrap();
    drop(log);
    // A release without that tier reads as well: a run says of itself what it is.
    let log = open(&disk, 2);
    assert_eq!(log.segments().unwrap()[0].state, SegmentState::Loose);
    disk.tamper(&runs[0].segment.path(), |bytes| bytes[runs[0].offset as usize] ^= 1).unwrap();
    let mut found = Vec::new();
    log.scan(runs[0].segment, &mut |run| found.push(run)).unwrap();
    assert_eq!(found.iter().map(|found| found.run).collect::<Vec<_>>(), runs[1..]);
    assert!(get(&log, runs[2]).unwrap() == data[2]);
}

#[test]
fn the_journal_takes_a_packed_run_as_it_is() {
    let disk = MemDisk::new();
    let log = open_packing(Arc::new(disk.clone()), 1);
    // Only of segments whose names are durable.
    put(&log, PACKED, b"first");
    log.sync().unwrap();
    let data = text(5, 9000);
    let run = put(&log, PACKED, &data);
    let raw = log.raw(&[run]).unwrap();
    assert!(raw[0].bytes.len() < data.len() / 2 && raw[0].bytes.starts_with(run::MAGIC));
    let all = disk.contents(&run.segment.path()).unwrap();
    let at = run.offset as usize;
    assert!(all[at..at + raw[0].bytes.len()] == raw[0].bytes);
}
