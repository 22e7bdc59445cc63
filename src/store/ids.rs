//! Numbers that are never used twice: inodes, contents, tree nodes, places in the stack of versions.
//!
//! A block of numbers is reserved in the index ahead of use, so a crash skips numbers and never repeats one.

use crate::index::{Family, Tx};
use crate::model::NUMBER_MAX;
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The smallest number given out; those below are the mount's own.
pub(super) const FIRST: u64 = 16;
pub(super) const BLOCK: u64 = 1 << 20;
/// Numbers that may be taken between two commits.
const MARGIN: u64 = 1 << 19;
pub(super) const IDS_KEY: &str = "ids";

/// The largest number that is believed to be the next: behind a larger one there would soon be none.
pub(super) const NEXT_MAX: u64 = NUMBER_MAX / 4 * 3;

/// More numbers than anybody may have been given out behind the last that is known of.
const UNKNOWN: u64 = 1 << 32;

/// The number to go on with when nobody knows which was the last, and `seen` is the highest that is found.
pub(super) fn beyond(seen: u64) -> u64 {
    seen.max(FIRST).saturating_add(UNKNOWN)
}

pub(super) struct Ids {
    next: AtomicU64,
    reserved: AtomicU64,
    /// Numbers of contents that are not complete yet. Held for no other lock.
    open: Arc<Mutex<BTreeSet<u64>>>,
}

/// The number of a content whose first bytes are in the log, long before it is committed.
pub(super) struct OpenNumber {
    number: u64,
    open: Arc<Mutex<BTreeSet<u64>>>,
}

impl OpenNumber {
    pub(super) const fn get(&self) -> u64 {
        self.number
    }
}

impl Drop for OpenNumber {
    fn drop(&mut self) {
        self.open.lock().remove(&self.number);
    }
}

impl Ids {
    /// Goes on after the numbers that were reserved when the store was last open.
    pub(super) fn new(reserved: Option<u64>) -> Self {
        let next = AtomicU64::new(reserved.unwrap_or(FIRST));
        Self { next, reserved: AtomicU64::new(0), open: Arc::default() }
    }

    /// A new number.
    pub(super) fn take(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives out no number below `first` any more.
    pub(super) fn raise(&self, first: u64) {
        self.next.fetch_max(first, Ordering::Relaxed);
    }

    /// A new number for a content that is committed later: to be dropped when it is, or never will be.
    pub(super) fn take_open(&self) -> OpenNumber {
        let mut open = self.open.lock();
        let number = self.take();
        open.insert(number);
        drop(open);
        OpenNumber { number, open: Arc::clone(&self.open) }
    }

    /// The number behind all that were given out.
    pub(super) fn end(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// A number that none reaches which was given out before, unless it is [open](OpenNumber).
    pub(super) fn next(&self) -> u64 {
        let open = self.open.lock();
        let end = self.end();
        open.first().map_or(end, |first| end.min(*first))
    }

    /// Part of every commit: keeps the reservation ahead of the numbers in use.
    pub(super) fn reserve(&self, tx: &mut Tx<'_>) {
        let next = self.end();
        if next + MARGIN > self.reserved.load(Ordering::Relaxed) {
            let reserved = next + BLOCK;
            tx.put(Family::Sys, IDS_KEY.as_bytes(), &reserved);
            self.reserved.store(reserved, Ordering::Relaxed);
        }
    }
}
