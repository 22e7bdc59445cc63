//! An ordered walk over a family: the transaction's own writes, the stages and RocksDB, merged.

use super::backend::{Below, Walk};
use super::family::Family;
use super::salvage::behind;
use super::stage::Stage;
use crate::model::{Error, Kind, Result};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// A transaction's own writes.
pub(super) type Writes = BTreeMap<(Family, Bytes), Option<Bytes>>;

/// A layer above RocksDB; earlier layers hide later ones.
pub(super) enum Layer<'a> {
    Own(&'a Writes),
    Stage(Arc<Stage>, u64),
}

impl Layer<'_> {
    fn next(&self, family: Family, after: &[u8], inclusive: bool) -> Option<(Bytes, Option<Bytes>)> {
        match self {
            Self::Stage(stage, seq) => stage.next(family, after, inclusive, *seq),
            Self::Own(writes) => {
                let from = (family, Bytes::copy_from_slice(after));
                let bound = if inclusive { Bound::Included(from) } else { Bound::Excluded(from) };
                let ((found, key), value) = writes.range((bound, Bound::Unbounded)).next()?;
                (*found == family).then(|| (key.clone(), value.clone()))
            }
        }
    }
}

type Peek = Option<(Bytes, Option<Bytes>)>;

/// Keys from a lower bound up to an upper bound (exclusive), with their values, in order.
pub struct Scan<'a> {
    db: Below<'a>,
    family: Family,
    upper: Bytes,
    layers: Vec<Layer<'a>>,
    peeks: Vec<Peek>,
    disk: Walk<'a>,
    failed: bool,
    /// Goes on behind what cannot be read, from the last key that could.
    past_damage: Option<Bytes>,
    damage: Option<Error>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        db: Below<'a>,
        family: Family,
        lower: &[u8],
        upper: &[u8],
        layers: Vec<Layer<'a>>,
    ) -> Result<Self> {
        let disk = db.walk(family, lower, upper)?;
        let upper = Bytes::copy_from_slice(upper);
        let mut scan =
            Self { db, family, upper, layers, peeks: Vec::new(), disk, failed: false, past_damage: None, damage: None };
        scan.peeks = scan.layers.iter().map(|layer| layer.next(family, lower, true)).collect();
        scan.peeks.iter_mut().for_each(|peek| clip(peek, &scan.upper));
        Ok(scan)
    }

    /// The same, going on behind tables' blocks that cannot be read.
    pub(super) fn past_damage(mut self, lower: &[u8]) -> Self {
        self.past_damage = Some(Bytes::copy_from_slice(lower));
        self
    }

    /// What could not be read and was passed by.
    #[must_use]
    pub const fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    /// The same, to be kept.
    pub const fn take_damage(&mut self) -> Option<Error> {
        self.damage.take()
    }

    fn smallest(&self) -> Option<Bytes> {
        let layered = self.peeks.iter().flatten().map(|(key, _)| key).min();
        match (layered, self.disk.key()) {
            (Some(key), Some(disk)) if disk < key.as_ref() => Some(Bytes::copy_from_slice(disk)),
            (Some(key), _) => Some(key.clone()),
            (None, disk) => disk.map(Bytes::copy_from_slice),
        }
    }

    /// Takes what all layers say of `key`: the first one that knows it wins.
    fn take(&mut self, key: &Bytes) -> Option<Bytes> {
        let mut said: Option<Option<Bytes>> = None;
        for (layer, peek) in self.layers.iter().zip(self.peeks.iter_mut()) {
            if peek.as_ref().is_some_and(|(found, _)| found == key) {
                let value = peek.take().and_then(|(_, value)| value);
                said.get_or_insert(value);
                *peek = layer.next(self.family, key, false);
                clip(peek, &self.upper);
            }
        }
        if self.disk.key() == Some(key.as_ref()) {
            if said.is_none() {
                said = Some(self.disk.value().map(Bytes::copy_from_slice));
            }
            self.disk.next();
        }
        said.flatten()
    }
}

fn clip(peek: &mut Peek, upper: &Bytes) {
    if peek.as_ref().is_some_and(|(key, _)| key >= upper) {
        *peek = None;
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.failed {
                return None;
            }
            if let Err(error) = self.disk.status() {
                if let Some(last) = &self.past_damage
                    && error.kind() == Kind::Corrupt
                {
                    self.damage = Some(error);
                    // Without it, what is in memory is left.
                    self.disk = match behind(self.db, self.family, last, &self.upper) {
                        Ok(walk) if walk.status().is_ok() => walk,
                        _ => Walk::Ended,
                    };
                    continue;
                }
                self.failed = true;
                return Some(Err(error));
            }
            let key = self.smallest()?;
            super::view::count_read();
            if let Some(last) = &mut self.past_damage {
                *last = key.clone();
            }
            if let Some(value) = self.take(&key) {
                return Some(Ok((key, value)));
            }
        }
    }
}
