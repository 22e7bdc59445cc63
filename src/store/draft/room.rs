//! A write session's share of its bucket's quota.

use super::Draft;
use crate::model::{BucketId, Result};
use crate::store::quota::Room;
use std::sync::Arc;

impl Draft {
    /// Has the bucket's quota admit it at a length of `size` bytes.
    ///
    /// # Errors
    /// [`crate::model::Kind::QuotaExceeded`].
    pub(in crate::store) fn admit(&mut self, size: u64) -> Result<()> {
        if !self.store.quotas.are_set() {
            return Ok(());
        }
        if self.room.is_none()
            && let Some(named) = self.origin.named()
        {
            self.room = self.store.room_at(&named)?;
        }
        match &mut self.room {
            Some(room) => room.grow(&self.store, size),
            None => Ok(()),
        }
    }

    /// Counts it in that bucket, where it will take the place of `replaces` bytes.
    pub(in crate::store) fn counts_in(&mut self, bucket: BucketId, replaces: u64) {
        self.room = Some(Room::new(Arc::clone(&self.store.quotas), bucket, replaces));
    }

    /// Its bytes are published: from now on they are the bucket's.
    pub(super) fn settle_room(&mut self) {
        if let Some(room) = &mut self.room {
            room.published(self.size);
        }
    }
}
