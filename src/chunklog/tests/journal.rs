//! What the journal made durable comes back, and nothing else.

use super::super::{Journal, RawRun, Zones};
use super::{STORE, bytes, get, holds, open, put};
use crate::sys::clock::ManualClock;
use crate::sys::disk::{Access, Disk, DiskCall, MemDisk};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

const EIO: i32 = 5;

fn open_journal(disk: &MemDisk) -> Journal {
    Journal::open(Arc::new(disk.clone()), STORE, Access::Write).unwrap()
}

fn raw(seed: u64, len: usize) -> RawRun {
    RawRun { segment: super::super::SegmentId(7), offset: 4096, bytes: bytes(seed, len) }
}

#[derive(Clone, Debug)]
enum Step {
    Append(u8, usize, usize),
    Restart,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u8..4, 1usize..9000, 0usize..5).prop_map(|(commits, len, runs)| Step::Append(commits, len, runs)),
        1 => (1u8..4, Just(3 << 20), Just(0)).prop_map(|(commits, len, runs)| Step::Append(commits, len, runs)),
        1 => Just(Step::Restart),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// After any crash the chain is what was appended since the journal began anew, whole and in order, whatever older
    /// entries lie behind it.
    #[test]
    fn the_chain_is_what_was_appended(steps in prop::collection::vec(step(), 1..40), crash in any::<u64>()) {
        let disk = MemDisk::new();
        let mut journal = open_journal(&disk);
        let (mut synced, mut last) = (10, 10);
        let mut kept = Vec::new();
        for (seed, step) in (0u64..).zip(steps) {
            match step {
                Step::Append(commits, len, runs) => {
                    let commit = last + u64::from(commits);
                    let runs: Vec<_> = (0..runs as u64).map(|n| raw(seed + n, 700)).collect();
                    let batch = bytes(seed, len);
                    if journal.append(last, commit, &batch, &[], &runs) {
                        kept.push((last, commit, batch, runs));
                        last = commit;
                    } else {
                        // The caller makes all of it durable elsewhere, this batch included.
                        (synced, last) = (commit, commit);
                        kept.clear();
                        journal.restart();
                    }
                }
                Step::Restart => {
                    synced = last;
                    kept.clear();
                    journal.restart();
                }
                Step::Reopen => {
                    let after = disk.crash(crash ^ seed);
                    let found = open_journal(&after).entries(synced).unwrap();
                    let found: Vec<_> = found.into_iter().map(|e| (e.before, e.commit, e.batch, e.runs)).collect();
                    prop_assert!(found == kept, "{} of {}", found.len(), kept.len());
                }
            }
        }
        let found = open_journal(&disk.crash(crash)).entries(synced).unwrap();
        prop_assert_eq!(found.len(), kept.len());
    }
}

/// Power fails in the middle of an entry's write: those before it stay, it is there whole or not at all.
#[test]
fn a_torn_entry_ends_the_chain() {
    for seed in 0..200 {
        let disk = MemDisk::new();
        let mut journal = open_journal(&disk);
        assert!(journal.append(1, 2, &bytes(1, 5000), &[], &[raw(1, 100)]));
        disk.fail(DiskCall::Sync, 0, 1, EIO);
        assert!(!journal.append(2, 3, &bytes(2, 9000), &[], &[]), "it was not synced");
        let found = open_journal(&disk.crash(seed)).entries(1).unwrap();
        assert!(found[0].batch == bytes(1, 5000) && found[0].runs == [raw(1, 100)]);
        assert!(found.len() == 1 || found.len() == 2 && found[1].batch == bytes(2, 9000));
    }
}

#[test]
fn a_journal_that_failed_is_not_used_again() {
    for call in [DiskCall::Write, DiskCall::Sync, DiskCall::Create, DiskCall::SyncDir] {
        let disk = MemDisk::new();
        let mut journal = open_journal(&disk);
        disk.fail(call, 0, 1, EIO);
        assert!(!journal.append(1, 2, b"batch", &[], &[]));
        assert!(!journal.append(1, 2, b"batch", &[], &[]) && !journal.holds());
        assert!(open_journal(&disk).append(1, 2, b"batch", &[], &[]), "the next opening tries");
    }
}

#[test]
fn every_changed_bit_ends_the_chain() {
    let disk = MemDisk::new();
    let mut journal = open_journal(&disk);
    assert!(journal.append(1, 2, b"first", &[], &[]) && journal.append(2, 3, b"second", &[], &[raw(1, 50)]));
    let whole = disk.contents(Path::new("journal")).unwrap();
    for bit in (4096 * 8..4096 * 8 + 200 * 8).chain([8191 * 8]) {
        disk.tamper(Path::new("journal"), |bytes| {
            bytes.clone_from(&whole);
            bytes[bit / 8] ^= 1 << (bit % 8);
        })
        .unwrap();
        assert_eq!(open_journal(&disk).entries(1).unwrap().len(), 1, "bit {bit}");
    }
    disk.tamper(Path::new("journal"), |bytes| bytes.copy_within(4096..8192, 0)).unwrap();
    assert!(open_journal(&disk).entries(2).unwrap().is_empty(), "an entry in another's place");
    disk.tamper(Path::new("journal"), |bytes| bytes.truncate(100)).unwrap();
    assert!(open_journal(&disk).entries(1).unwrap().is_empty());
}

#[test]
fn a_small_disk_has_no_journal() {
    let disk = MemDisk::new();
    disk.set_room(Some(512 << 20));
    assert!(!open_journal(&disk).append(1, 2, b"batch", &[], &[]));
    assert_eq!(disk.file_len(Path::new("journal")).unwrap(), None);
}

/// Runs that were in the journal when the power went, and in no sync, read again.
#[test]
fn runs_are_restored_to_their_segments() {
    for seed in 0..50 {
        let disk = MemDisk::new();
        let log = open(&disk, 1);
        let first = put(&log, 1, 3000);
        assert!(log.raw(&[first]).is_none(), "its segment's name is not durable");
        log.sync().unwrap();
        let (second, third) = (put(&log, 2, 20_000), put(&log, 3, 65_536));
        let large = put(&log, 4, 65_537);
        assert!(log.raw(&[second, large]).is_none(), "that is too long");
        let raw = log.raw(&[second, third]).unwrap();
        let mut journal = open_journal(&disk);
        assert!(journal.append(1, 2, b"batch", &[second, third], &raw));
        assert_eq!(journal.held(), [second, third]);
        let after = disk.crash(seed);
        let again = open_journal(&after);
        let zones = Zones::home(Arc::new(after.clone()), Arc::new(ManualClock::at(0)), 8);
        assert_eq!(again.restore(&again.entries(1).unwrap(), &zones).unwrap(), Some(second.segment.0));
        let log = open(&after.crash(seed), 2);
        holds(&log, first, 1);
        holds(&log, second, 2);
        holds(&log, third, 3);
        assert!(get(&log, large).is_err() || get(&log, large).unwrap() == bytes(4, 65_537));
        log.delete_segment(second.segment).unwrap();
        again.restore(&again.entries(1).unwrap(), &zones).unwrap();
    }
}

/// A file that somebody made longer: what is behind is neither written nor read.
#[test]
fn a_longer_file_is_used_as_far_as_it_is_ours() {
    let disk = MemDisk::new();
    assert!(open_journal(&disk).append(1, 2, b"first", &[], &[]));
    disk.tamper(Path::new("journal"), |bytes| bytes.resize(8 << 20, 0)).unwrap();
    let mut journal = open_journal(&disk);
    let kept = (2..9).take_while(|last| journal.append(*last, last + 1, &bytes(*last, 1 << 20), &[], &[])).count();
    assert_eq!(open_journal(&disk).entries(2).unwrap().len(), kept);
}
