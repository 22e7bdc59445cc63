//! The index from outside: commits, walks across stage and disk, reopening, preconditions under concurrency.

use super::*;
use crate::model::{Error, Kind, ObjectPart, ObjectSums};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn open(dir: &std::path::Path) -> Index {
    Index::open(dir, Settings::default()).unwrap()
}

fn write_out(index: &Index) {
    let _ = index.seal();
    if let Some(sealed) = index.sealed().unwrap() {
        index.write_sealed(sealed, true).unwrap();
    }
}

fn all(index: &Index) -> Vec<(Vec<u8>, Vec<u8>)> {
    let found = index.scan(Family::Dent, &[], &[0xff; 4]).unwrap();
    found.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap()).collect()
}

#[derive(Clone, Debug)]
enum Op {
    Commit(Vec<(u8, Option<u8>)>),
    Abort(u8),
    Seal,
    Write,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => prop::collection::vec((0..12u8, any::<Option<u8>>()), 1..5).prop_map(Op::Commit),
        1 => (0..12u8).prop_map(Op::Abort),
        1 => Just(Op::Seal),
        1 => Just(Op::Write),
        1 => Just(Op::Reopen),
    ]
}

/// Whatever lies in the stage, in the stage being written or below, reads are those of one ordered map, and reopening
/// shows the commits that were written and no other.
fn reads_are_those_of_one_map(ops: Vec<Op>, open: &dyn Fn() -> Index) {
    let mut index = open();
    let mut staged = false;
    let (mut now, mut sealed, mut disk) = (BTreeMap::new(), None::<BTreeMap<_, _>>, BTreeMap::new());
    for op in ops {
        match op {
            Op::Commit(writes) => {
                index
                    .transact(|tx| {
                        for (key, value) in &writes {
                            match value {
                                Some(value) => tx.put_bytes(Family::Dent, &[*key], vec![*value]),
                                None => tx.delete(Family::Dent, &[*key]),
                            }
                        }
                        let (last, value) = writes.last().unwrap();
                        let seen = tx.get(Family::Dent, &[*last]).unwrap().map(|bytes| bytes[0]);
                        assert_eq!(seen, *value, "a transaction sees its own writes");
                        Ok(())
                    })
                    .unwrap();
                staged = true;
                for (key, value) in writes {
                    match value {
                        Some(value) => now.insert(vec![key], vec![value]),
                        None => now.remove(&vec![key]),
                    };
                }
            }
            Op::Abort(key) => {
                let failed: crate::model::Result<((), u64)> = index.transact(|tx| {
                    tx.put_bytes(Family::Dent, &[key], vec![0]);
                    Err(Error::new(Kind::Conflict, "no"))
                });
                assert!(failed.is_err());
            }
            Op::Seal => {
                let _ = index.seal();
                if sealed.is_none() && std::mem::take(&mut staged) {
                    sealed = Some(now.clone());
                }
            }
            Op::Write => {
                write_out(&index);
                disk = sealed.take().unwrap_or_else(|| {
                    staged = false;
                    now.clone()
                });
            }
            Op::Reopen => {
                drop(index);
                index = open();
                now = disk.clone();
                (sealed, staged) = (None, false);
            }
        }
        let want: Vec<(Vec<u8>, Vec<u8>)> = now.clone().into_iter().collect();
        assert_eq!(all(&index), want);
        for key in 0..12u8 {
            let got = index.get(Family::Dent, &[key]).unwrap().map(|bytes| bytes.to_vec());
            assert_eq!(got, now.get(&vec![key]).cloned());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn over_rocksdb_reads_are_those_of_one_map(ops in prop::collection::vec(op(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        reads_are_those_of_one_map(ops, &|| open(dir.path()));
    }

    #[test]
    fn in_memory_reads_are_those_of_one_map(ops in prop::collection::vec(op(), 1..120)) {
        let disk = std::sync::Arc::new(crate::sys::disk::MemDisk::new());
        let settings = Settings { memtable_bytes: 300, ..Settings::default() };
        reads_are_those_of_one_map(ops, &|| Index::in_memory(disk.clone(), settings).unwrap());
    }

    /// No bytes make a decoder panic.
    #[test]
    fn decoders_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let _ = decode::<DentRecord>(&bytes);
        let _ = decode::<VerRecord>(&bytes);
        let _ = decode::<DirRecord>(&bytes);
        let _ = decode::<ContentRecord>(&bytes);
        let _ = decode::<Node>(&bytes);
        let _ = decode::<UploadRecord>(&bytes);
        let _ = decode::<Change>(&bytes);
    }
}

#[test]
fn checksums_of_the_first_version_are_read() {
    // No checksum; one part, number 7 of 5 bytes, without one.
    let sums: ObjectSums = decode(&[1, 0, 1, 7, 5, 0]).unwrap();
    assert_eq!(sums, ObjectSums { parts: vec![ObjectPart { number: 7, size: 5, sum: None }], ..ObjectSums::default() });
    assert_eq!(encode(&sums)[0], 2);
}

#[test]
fn preconditions_hold_under_concurrency() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let winners = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let (index, winners) = (&index, &winners);
            scope.spawn(move || {
                for round in 0..200u8 {
                    let won = index.transact(|tx| {
                        if tx.get(Family::Dent, &[round])?.is_some() {
                            return Ok(false);
                        }
                        tx.put_bytes(Family::Dent, &[round], vec![thread]);
                        Ok(true)
                    });
                    winners.fetch_add(usize::from(won.unwrap().0), std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
        for _ in 0..20 {
            write_out(&index);
        }
    });
    assert_eq!(winners.into_inner(), 200, "each key is won exactly once");
}

#[test]
fn holders_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let key = RefKey::Content(7);
    index
        .transact(|tx| {
            tx.hold(key, 1)?;
            tx.hold(key, 1)?;
            assert_eq!(tx.refs(key)?, 3);
            assert!(!tx.release(key)?);
            assert!(!tx.release(key)?);
            assert!(tx.release(key)?, "the third holder was the last");
            Ok(())
        })
        .unwrap();
}

#[test]
fn records_read_back_and_other_versions_are_refused() {
    let stat = DirStat { live: 3, subdirs: 1, ..DirStat::default() };
    let mut bytes = encode(&stat);
    assert_eq!(decode::<DirStat>(&bytes).unwrap(), stat);
    bytes.push(0);
    assert!(decode::<DirStat>(&bytes).is_err(), "left-over bytes are damage");
    bytes.pop();
    bytes[0] = 9;
    assert_eq!(decode::<DirStat>(&bytes).unwrap_err().kind(), Kind::Corrupt);
    assert!(decode::<DirStat>(&[]).is_err());
}

/// A pair of records of which each commit moves the value to the other.
fn swap(index: &Index, to: u8) {
    let write = |tx: &mut Tx<'_>| {
        tx.put_bytes(Family::Dent, &[to], vec![1]);
        tx.delete(Family::Dent, &[3 - to]);
        Ok(())
    };
    index.transact(write).unwrap();
}

fn look(view: &impl Read, n: u8) -> bool {
    view.get(Family::Dent, &[n]).unwrap().is_some()
}

#[test]
fn reads_at_once_are_of_one_commit_also_when_stages_are_written_between_them() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    swap(&index, 1);
    write_out(&index);
    let (mut runs, mut to) = (0, 1);
    let found = index.at_once(|view| {
        runs += 1;
        let first = look(view, 1);
        for _ in 0..3 {
            to = 3 - to;
            swap(&index, to);
        }
        write_out(&index);
        Ok((first, look(view, 2)))
    });
    assert!(matches!(found.unwrap(), (true, false) | (false, true)));
    assert_eq!(runs, 2, "what a stage that was closed says is not taken");
    let mut runs = 0;
    let found = index.at_once(|view| {
        runs += 1;
        let first = look(view, 1);
        to = 3 - to;
        swap(&index, to);
        Ok(first != look(view, 2))
    });
    assert!(found.unwrap());
    assert_eq!(runs, 1, "commits alone do not make it look again");
}

#[test]
fn a_frozen_view_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let put = |n: u8, value: u8| {
        let write = |tx: &mut Tx<'_>| {
            tx.put_bytes(Family::Dent, &[n], vec![value]);
            Ok(())
        };
        index.transact(write).map(drop)
    };
    (0..3).for_each(|n| put(n, 1).unwrap());
    write_out(&index);
    put(1, 2).unwrap();
    let view = index.frozen();
    for value in 3..6 {
        (0..4).for_each(|n| put(n, value).unwrap());
        write_out(&index);
        // The records kept in memory are the new ones.
        assert_eq!(index.get(Family::Dent, &[0]).unwrap().unwrap(), [value].as_slice());
        let got = |n: u8| Read::get(&view, Family::Dent, &[n]).unwrap().map(|value| value[0]);
        assert_eq!([0, 1, 2, 3].map(got), [Some(1), Some(2), Some(1), None]);
        let walked = view.scan(Family::Dent, &[], &[0xff]).unwrap().map(|pair| pair.unwrap().1[0]);
        assert_eq!(walked.collect::<Vec<_>>(), [1, 2, 1]);
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_transaction_in_a_transaction_is_told_and_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let inner = || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| index.transact(|_| Ok(()))));
    let (told, _) = index.transact(|_| Ok(inner().is_err())).unwrap();
    assert!(told);
    assert!(inner().is_ok(), "after it, others run");
}
