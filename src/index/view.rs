//! The index as of one commit, for readers who ask it several things.
//!
//! A view looks through the stages that were there when it began, up to its commit. RocksDB below them may get newer
//! records only from a stage that was closed since, so while the active stage is still the view's, all it says is right;
//! after that, what a snapshot of RocksDB says, if it has one.

use super::backend::{Backend, Below, Frozen};
use super::cache::Cache;
use super::db::Layers;
use super::family::Family;
use super::scan::{Layer, Scan};
use super::stage::StageKey;
use super::tx::Read;
use crate::model::Result;
use arc_swap::ArcSwap;
use bytes::Bytes;
use std::cell::Cell;
use std::sync::Arc;

/// Reads that all answer as of one commit: what was moved from one record to another is in one of the two.
pub trait OneCommit: Read {}

/// The index as of one commit.
pub struct View<'a> {
    pub(super) db: &'a Backend,
    pub(super) cache: &'a Cache,
    /// Those of this moment.
    pub(super) now: &'a ArcSwap<Layers>,
    pub(super) layers: Arc<Layers>,
    pub(super) seq: u64,
    /// What RocksDB held when it began.
    pub(super) frozen: Option<Frozen<'a>>,
}

thread_local! {
    static READS: Cell<u64> = const { Cell::new(0) };
}

/// How many records this thread has asked an index for or walked over so far: a measure of what a call costs.
#[must_use]
pub fn reads_of_thread() -> u64 {
    READS.get()
}

pub(super) fn count_read() {
    READS.set(READS.get().wrapping_add(1));
}

impl View<'_> {
    /// Whether RocksDB holds nothing newer.
    pub(super) fn holds(&self) -> bool {
        self.layers.is_active_in(&self.now.load())
    }

    pub(super) fn stage_layers<'s>(&self) -> Vec<Layer<'s>> {
        self.layers.each().map(|stage| Layer::Stage(Arc::clone(stage), self.seq)).collect()
    }

    /// The key is owned, since what the stages hold can only be compared with a key of their kind.
    pub(super) fn get(&self, family: Family, key: Bytes) -> Result<Option<Bytes>> {
        count_read();
        let probe = StageKey::probe(family, key, self.seq);
        match self.layers.each().find_map(|stage| stage.get(&probe)) {
            Some(value) => Ok(value),
            None => self.find_below(family, probe.key),
        }
    }

    fn find_below(&self, family: Family, key: Bytes) -> Result<Option<Bytes>> {
        // What is kept is what RocksDB holds now.
        let newest = |key| self.cache.get((family, key), |key| self.db.get(family, key));
        let Some(frozen) = &self.frozen else { return newest(key) };
        if self.holds() {
            let found = newest(key.clone());
            if self.holds() {
                return found;
            }
        }
        self.db.get_frozen(frozen, family, &key)
    }
}

impl Read for View<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        self.get(family, Bytes::copy_from_slice(key))
    }

    fn scan(&self, family: Family, lower: &[u8], upper: &[u8]) -> Result<Scan<'_>> {
        Scan::new(Below { db: self.db, frozen: self.frozen.as_ref() }, family, lower, upper, self.stage_layers())
    }
}

impl OneCommit for View<'_> {}
