//! A write session's share of its bucket's quota.

use super::Draft;
use crate::model::{BucketId, Object, Result};
use crate::store::quota::Room;

impl Draft {
    /// Has the bucket's quota admit it at a length of `size` bytes.
    ///
    /// # Errors
    /// [`crate::model::Kind::QuotaExceeded`].
    pub(super) fn admit(&mut self, size: u64) -> Result<()> {
        if !self.store.quotas.are_set() {
            return Ok(());
        }
        if self.room.is_none() {
            self.room = self.store.room_of(&self.origin)?;
        }
        match &mut self.room {
            Some(room) => room.grow(&self.store, &self.origin, size),
            None => Ok(()),
        }
    }

    /// The same of a body that was promised to have so many bytes: they count until it is there.
    ///
    /// # Errors
    /// As [`Draft::admit`].
    pub(in crate::store) fn expect(&mut self, bytes: u64) -> Result<()> {
        self.admit(0)?;
        if let Some(room) = &mut self.room {
            room.promise(bytes);
        }
        self.admit(0)
    }

    /// Counts it in that bucket, where it will take the place of `replaces` bytes.
    pub(in crate::store) fn counts_in(&mut self, bucket: BucketId, replaces: u64) {
        self.room = Some(Room::fixed(&self.store.quotas, bucket, replaces));
    }

    /// Its bytes are about to be committed, where the bucket's counters are judged.
    pub(in crate::store) fn is_committed(&mut self) {
        if let Some(room) = &mut self.room {
            room.release();
        }
    }

    /// Its bytes are published as that version.
    pub(in crate::store) fn was_published(&mut self, object: &Object) {
        if let Some(room) = &mut self.room {
            room.published(object);
        }
    }
}
