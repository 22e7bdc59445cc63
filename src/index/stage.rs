//! Committed changes that are not in RocksDB yet: an ordered map that readers walk without a lock.
//!
//! Every value carries the number of the commit that wrote it, so a reader sees whole commits only.

use super::family::Family;
use crate::sys::sync::atomic::{AtomicUsize, Ordering};
use bytes::Bytes;
use crossbeam_skiplist::SkipMap;
use std::cmp::Reverse;
use std::ops::Bound;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StageKey {
    family: Family,
    pub(super) key: Bytes,
    seq: Reverse<u64>,
}

impl StageKey {
    /// Finds what commit `seq` and those before it say of a key.
    pub(super) fn probe(family: Family, key: Bytes, seq: u64) -> Self {
        Self { family, key, seq: Reverse(seq) }
    }
}

/// Rough cost of an entry beside its key and value, in bytes.
const ENTRY_BYTES: usize = 96;

/// A set of commits in memory. A value of `None` is a removal.
#[derive(Default)]
pub(super) struct Stage {
    map: SkipMap<StageKey, Option<Bytes>>,
    bytes: AtomicUsize,
}

impl Stage {
    pub(super) fn insert(&self, family: Family, key: Bytes, seq: u64, value: Option<Bytes>) {
        let size = ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Bytes::len);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.map.insert(StageKey { family, key, seq: Reverse(seq) }, value);
    }

    /// Memory it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// What the probe's commit and those before it say of its key; `None` when they say nothing.
    pub(super) fn get(&self, probe: &StageKey) -> Option<Option<Bytes>> {
        let entry = self.map.lower_bound(Bound::Included(probe))?;
        let found = entry.key();
        (found.family == probe.family && found.key == probe.key).then(|| entry.value().clone())
    }

    /// The first key after `after` (or from it on, when `inclusive`) that the commits up to `seq` touch.
    pub(super) fn next(
        &self,
        family: Family,
        after: &[u8],
        inclusive: bool,
        seq: u64,
    ) -> Option<(Bytes, Option<Bytes>)> {
        let edge = if inclusive { Reverse(u64::MAX) } else { Reverse(0) };
        let from = StageKey { family, key: Bytes::copy_from_slice(after), seq: edge };
        let range = self.map.range((Bound::Excluded(&from), Bound::Unbounded));
        for entry in range {
            let found = entry.key();
            if found.family != family {
                return None;
            }
            if found.seq.0 <= seq {
                return Some((found.key.clone(), entry.value().clone()));
            }
        }
        None
    }

    /// Every key's newest value, once.
    pub(super) fn newest(&self, visit: &mut dyn FnMut(Family, &Bytes, Option<&Bytes>)) {
        let mut last: Option<(Family, Bytes)> = None;
        for entry in &self.map {
            let key = entry.key();
            if last.as_ref().is_some_and(|(family, bytes)| *family == key.family && *bytes == key.key) {
                continue;
            }
            visit(key.family, &key.key, entry.value().as_ref());
            last = Some((key.family, key.key.clone()));
        }
    }
}
