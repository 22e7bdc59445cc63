//! The change feed: every mutation's commit carries a record of it, so no listener can miss one.

use super::Store;
use crate::index::{Change, Family, Read, Tx, id_key, id_of};
use crate::model::{BucketId, DirId, Object, Result};
use crate::sys::sync::{Condvar, Mutex};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Feed {
    newest: Mutex<(u64, bool)>,
    changed: Condvar,
}

impl Feed {
    pub(super) fn notice(&self, seq: u64) {
        let mut newest = self.newest.lock();
        if newest.0 < seq {
            newest.0 = seq;
            self.changed.notify_all();
        }
    }

    pub(super) fn stop(&self) {
        self.newest.lock().1 = true;
        self.changed.notify_all();
    }
}

/// The event of what no door shows: archives of vaults (VAULT-8).
pub(super) const UNTOLD: &str = "";

impl Store {
    /// Adds a change of an object to the transaction.
    /// [`UNTOLD`] is not.
    pub(super) fn announce(&self, tx: &mut Tx<'_>, event: &str, at: (DirId, &str), object: &Object) -> Result<()> {
        if event == UNTOLD {
            return Ok(());
        }
        let (bucket, prefix) = Self::key_prefix(tx, at.0)?;
        let change = self.change(event, bucket, format!("{prefix}{}", at.1), object);
        Self::announce_change(tx, &change);
        Ok(())
    }

    pub(super) fn change(&self, event: &str, bucket: BucketId, key: String, object: &Object) -> Change {
        Change {
            time: self.now(),
            event: event.to_owned(),
            bucket,
            key,
            from: None,
            version: object.version,
            size: object.size,
            etag: object.etag,
        }
    }

    /// Changes of one transaction share its number; the second half of the key tells them apart.
    pub(super) fn announce_change(tx: &mut Tx<'_>, change: &Change) {
        let seq = tx.seq();
        let mut key = id_key(seq).to_vec();
        let mut n = 0u32;
        // No other commit has this number, so only this one's own writes can be in the way.
        while tx.wrote(Family::Log, &[&key[..8], &n.to_be_bytes()].concat()) {
            n += 1;
        }
        key.extend_from_slice(&n.to_be_bytes());
        tx.put(Family::Log, &key, change);
    }

    /// Changes after commit `after`, oldest first: at least `limit` unless there are fewer, and never half of a commit.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn changes(&self, after: u64, limit: usize) -> Result<Vec<(u64, Change)>> {
        let mut out: Vec<(u64, Change)> = Vec::new();
        for found in self.index.scan(Family::Log, &id_key(after + 1), &[0xff; 9])? {
            let (key, value) = found?;
            let seq = key.get(..8).and_then(id_of).unwrap_or(0);
            if out.len() >= limit && out.last().is_some_and(|(last, _)| *last != seq) {
                break;
            }
            match crate::index::decode(&value) {
                Ok(change) => out.push((seq, change)),
                Err(error) => self.spoiled((Family::Log, &key), None, &error),
            }
        }
        Ok(out)
    }

    /// Waits until a commit after `after` exists or the time is up; returns the newest commit's number.
    #[must_use]
    pub fn wait_changes(&self, after: u64, at_most: Duration) -> u64 {
        let mut newest = self.feed.newest.lock();
        if newest.0 <= after && !newest.1 {
            self.feed.changed.wait_for(&mut newest, at_most);
        }
        newest.0
    }
}
