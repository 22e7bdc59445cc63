//! The log on a disk in memory, and on the machine's.

mod crash;
mod format;
mod journal;
mod losses;
mod packed;
mod refills;
mod runs;
mod solos;
mod zones;

use super::{ChunkLog, Class, Owner, Run, Settings, Tier};
use crate::model::{Kind, Result};
use crate::sys::clock::ManualClock;
use crate::sys::disk::MemDisk;
use std::sync::Arc;

const STORE: [u8; 16] = *b"0123456789abcdef";

fn settings(epoch: u32, segment_bytes: u64) -> Settings {
    let mut settings = Settings::new(STORE, epoch, Arc::new(ManualClock::at(1_795_312_800)));
    settings.segment_bytes = segment_bytes;
    settings
}

fn open(disk: &MemDisk, epoch: u32) -> ChunkLog {
    ChunkLog::open(Arc::new(disk.clone()), settings(epoch, 1 << 20)).unwrap()
}

fn owner(ino: u64) -> Owner<'static> {
    Owner { ino, seq: ino + 1, logical: ino * 7, key_tail: b"bucket/some/key", ..Owner::default() }
}

/// Bytes that differ from place to place and from `seed` to `seed`.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn put(log: &ChunkLog, seed: u64, len: usize) -> Run {
    log.append(Tier(0), Class::Hot, &[(owner(seed), &bytes(seed, len))]).unwrap()[0]
}

fn get(log: &ChunkLog, run: Run) -> Result<Vec<u8>> {
    let mut buf = vec![0; run.len as usize];
    log.read(run, 0, &mut buf).map(|()| buf)
}

/// The run reads as written.
fn holds(log: &ChunkLog, run: Run, seed: u64) {
    assert!(get(log, run).unwrap() == bytes(seed, run.len as usize), "{run:?}");
}

fn kind<T>(result: Result<T>) -> Kind {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error.kind(),
    }
}
