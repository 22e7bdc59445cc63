//! Numbers that are never used twice: inodes, contents, tree nodes, places in the stack of versions.
//!
//! A block of numbers is reserved in the index ahead of use, so a crash skips numbers and never repeats one.

use crate::index::{Family, Tx};
use std::sync::atomic::{AtomicU64, Ordering};

/// The smallest number given out; those below are the mount's own.
const FIRST: u64 = 16;
pub(super) const BLOCK: u64 = 1 << 20;
/// Numbers that may be taken between two commits.
const MARGIN: u64 = 1 << 19;
pub(super) const IDS_KEY: &str = "ids";

pub(super) struct Ids {
    next: AtomicU64,
    reserved: AtomicU64,
}

impl Ids {
    /// Goes on after the numbers that were reserved when the store was last open.
    pub(super) fn new(reserved: Option<u64>) -> Self {
        Self { next: AtomicU64::new(reserved.unwrap_or(FIRST)), reserved: AtomicU64::new(0) }
    }

    /// A new number.
    pub(super) fn take(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives out no number below `first` any more.
    pub(super) fn raise(&self, first: u64) {
        self.next.fetch_max(first, Ordering::Relaxed);
    }

    /// A number that none given out before reaches.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Part of every commit: keeps the reservation ahead of the numbers in use.
    pub(super) fn reserve(&self, tx: &mut Tx<'_>) {
        let next = self.next.load(Ordering::Relaxed);
        if next + MARGIN > self.reserved.load(Ordering::Relaxed) {
            let reserved = next + BLOCK;
            tx.put(Family::Sys, IDS_KEY.as_bytes(), &reserved);
            self.reserved.store(reserved, Ordering::Relaxed);
        }
    }
}
