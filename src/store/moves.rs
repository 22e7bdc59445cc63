//! Runs that compaction moves: contents and nodes keep their numbers and get other sources.
//!
//! Whoever makes a content of another's extents keeps them from moving until it is committed; a move commits alone.
//! Readers take no lock: one that finds a file gone looks again where its bytes are, when something has moved since it looked.

use crate::sys::sync::atomic::{AtomicU64, Ordering};
use crate::sys::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How often something has moved since the store was opened, and the right to move. Taken before the index's commit
/// lock.
#[derive(Default)]
pub(super) struct Moves {
    count: AtomicU64,
    right: RwLock<()>,
}

/// Keeps every extent where it is.
pub(super) type Staying<'a> = RwLockReadGuard<'a, ()>;

impl Moves {
    /// Two equal answers: what was read after the first is where it was.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub(super) fn stay(&self) -> Staying<'_> {
        self.right.read()
    }

    /// Waits until moves whose commit can be seen are counted.
    pub(super) fn settle(&self) {
        drop(self.right.write());
    }

    /// The right to commit one move.
    pub(super) fn begin(&self) -> Moving<'_> {
        Moving { moves: self, _right: self.right.write() }
    }
}

pub(super) struct Moving<'a> {
    moves: &'a Moves,
    _right: RwLockWriteGuard<'a, ()>,
}

impl Moving<'_> {
    /// The move can be seen.
    pub(super) fn moved(&self) {
        self.moves.count.fetch_add(1, Ordering::AcqRel);
    }
}
