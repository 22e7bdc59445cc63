//! What lies below the stages: an ordered store of records that takes batches whole.

use super::db::Table;
use super::family::Family;
use super::memory::{Changes, Memory, MemoryWalk, Records};
use super::rocks::{Rocks, RocksFrozen};
use crate::model::{Error, Kind, Result};
use bytes::Bytes;
use rocksdb::{DBRawIterator, WriteBatch};
use std::path::Path;
use std::sync::Arc;

/// RocksDB, or its stand-in for simulations.
pub(super) enum Backend {
    Rocks(Rocks),
    Memory(Memory),
}

/// Changes that are written all together or not at all.
pub(super) enum Batch {
    Rocks(WriteBatch),
    Memory(Changes),
}

/// What the backend held at one moment.
pub(super) enum Frozen<'a> {
    Rocks(RocksFrozen<'a>),
    Memory(Arc<Records>),
}

/// A backend as it is now, or was at a moment.
#[derive(Clone, Copy)]
pub(super) struct Below<'a> {
    pub(super) db: &'a Backend,
    pub(super) frozen: Option<&'a Frozen<'a>>,
}

/// A walk over a family from a lower bound up to an upper bound (exclusive), as of its beginning.
pub(super) enum Walk<'a> {
    Rocks(DBRawIterator<'a>),
    Memory(MemoryWalk),
    /// Nothing more.
    Ended,
}

impl Batch {
    /// What [`Backend::batch_of`] takes.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Rocks(batch) => batch.data(),
            Self::Memory(changes) => changes.bytes(),
        }
    }
}

impl Backend {
    pub(super) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        match self {
            Self::Rocks(db) => db.get(family, key),
            Self::Memory(memory) => Ok(memory.get(family, key)),
        }
    }

    /// Holds what is there now; cheap, and nothing waits for it.
    pub(super) fn freeze(&self) -> Frozen<'_> {
        match self {
            Self::Rocks(db) => Frozen::Rocks(db.freeze()),
            Self::Memory(memory) => Frozen::Memory(memory.freeze()),
        }
    }

    /// As [`Backend::get`], as of then.
    pub(super) fn get_frozen(&self, frozen: &Frozen<'_>, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        match (self, frozen) {
            (Self::Rocks(db), Frozen::Rocks(frozen)) => db.get_frozen(frozen, family, key),
            (_, Frozen::Memory(records)) => Ok(records.get(&(family, Bytes::copy_from_slice(key))).cloned()),
            _ => Err(not_its_own()),
        }
    }

    /// An empty batch.
    pub(super) fn batch(&self) -> Batch {
        match self {
            Self::Rocks(_) => Batch::Rocks(WriteBatch::default()),
            Self::Memory(_) => Batch::Memory(Changes::default()),
        }
    }

    /// A batch from its bytes.
    pub(super) fn batch_of(&self, bytes: &[u8]) -> Result<Batch> {
        match self {
            Self::Rocks(_) => Rocks::batch_of(bytes).map(Batch::Rocks),
            Self::Memory(_) => Changes::of(bytes).map(Batch::Memory),
        }
    }

    /// Adds a record, or its removal, to a batch of this backend.
    pub(super) fn put(&self, batch: &mut Batch, family: Family, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        match (self, batch) {
            (Self::Rocks(db), Batch::Rocks(batch)) => db.put(batch, family, key, value),
            (_, Batch::Memory(changes)) => {
                changes.put(family, key, value);
                Ok(())
            }
            _ => Err(not_its_own()),
        }
    }

    /// Writes a batch; with `sync` it and all before it are durable afterwards.
    pub(super) fn write(&self, batch: Batch, sync: bool) -> Result<()> {
        match (self, batch) {
            (Self::Rocks(db), Batch::Rocks(batch)) => db.write(batch, sync),
            (Self::Memory(memory), Batch::Memory(changes)) => memory.write(&changes, sync),
            _ => Err(not_its_own()),
        }
    }

    /// Whether a write that found the disk full will be followed by none that succeeds.
    pub(super) fn is_final(error: &Error) -> bool {
        super::rocks::begins_no_log(error)
    }

    /// Syncs what was written unsynced.
    pub(super) fn sync_logs(&self) -> Result<()> {
        match self {
            Self::Rocks(db) => db.sync_logs(),
            Self::Memory(memory) => memory.sync_logs(),
        }
    }

    /// Gives back the room of what was deleted.
    pub(super) fn compact(&self) -> Result<()> {
        match self {
            Self::Rocks(db) => db.compact(),
            Self::Memory(memory) => memory.compact(),
        }
    }

    /// See [`super::Index::checkpoint`].
    pub(super) fn checkpoint(&self, dir: &Path) -> Result<()> {
        match self {
            Self::Rocks(db) => db.checkpoint(dir),
            Self::Memory(_) => {
                Err(Error::new(Kind::Unsupported, "cannot make a snapshot of the index").why("it lies in memory"))
            }
        }
    }

    /// Counters as text.
    pub(super) fn statistics(&self) -> String {
        match self {
            Self::Rocks(db) => db.statistics(),
            Self::Memory(_) => String::new(),
        }
    }

    /// The tables that count.
    pub(super) fn tables(&self) -> Result<Vec<Table>> {
        match self {
            Self::Rocks(db) => db.tables(),
            // What counts is in memory.
            Self::Memory(_) => Ok(Vec::new()),
        }
    }

    /// Checks the checksums of all that is on the disk.
    pub(super) fn verify(&self, goes_on: &dyn Fn() -> Result<()>) -> Result<()> {
        match self {
            Self::Rocks(db) => db.verify(goes_on),
            // It was read whole when it was opened.
            Self::Memory(_) => Ok(()),
        }
    }
}

fn not_its_own() -> Error {
    Error::new(Kind::InvalidArgument, "cannot use the index").why("the batch or moment is another backend's")
}

impl<'a> Below<'a> {
    pub(super) const fn now(db: &'a Backend) -> Self {
        Self { db, frozen: None }
    }

    pub(super) fn walk(self, family: Family, lower: &[u8], upper: &[u8]) -> Result<Walk<'a>> {
        let in_memory = |records| Ok(Walk::Memory(MemoryWalk::new(records, family, lower, upper)));
        match (self.db, self.frozen) {
            (Backend::Rocks(db), None) => db.walk(None, family, lower, upper).map(Walk::Rocks),
            (Backend::Rocks(db), Some(Frozen::Rocks(at))) => db.walk(Some(at), family, lower, upper).map(Walk::Rocks),
            (Backend::Memory(memory), None) => in_memory(memory.freeze()),
            (_, Some(Frozen::Memory(records))) => in_memory(Arc::clone(records)),
            _ => Err(not_its_own()),
        }
    }
}

impl Walk<'_> {
    pub(super) fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Rocks(walk) => walk.key(),
            Self::Memory(walk) => walk.key(),
            Self::Ended => None,
        }
    }

    pub(super) fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Rocks(walk) => walk.value(),
            Self::Memory(walk) => walk.value(),
            Self::Ended => None,
        }
    }

    pub(super) fn next(&mut self) {
        match self {
            Self::Rocks(walk) => walk.next(),
            Self::Memory(walk) => walk.next(),
            Self::Ended => {}
        }
    }

    pub(super) fn status(&self) -> Result<()> {
        match self {
            Self::Rocks(walk) => walk.status().map_err(|error| super::rocks::failed("cannot read the index", &error)),
            Self::Memory(_) | Self::Ended => Ok(()),
        }
    }
}
