//! Reading the index, and the transaction that changes it.

use super::backend::Below;
use super::codec::{Record, decode, encode};
use super::family::Family;
use super::keys::RefKey;
use super::scan::{Layer, Scan, Writes};
use super::view::{OneCommit, View};
use crate::model::{Result, Timestamp};
use bytes::Bytes;

/// Anything that answers point reads and ordered walks.
pub trait Read {
    /// The value of a key.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>>;

    /// The keys of `family` from `lower` up to `upper` (exclusive), in order.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn scan(&self, family: Family, lower: &[u8], upper: &[u8]) -> Result<Scan<'_>>;

    /// A record of a key.
    ///
    /// # Errors
    /// When the disk cannot be read or the record is damaged.
    fn record<R: Record>(&self, family: Family, key: &[u8]) -> Result<Option<R>> {
        self.get(family, key)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// How often a thing is shared; things nobody counted are held once.
    ///
    /// # Errors
    /// As [`Read::record`].
    fn refs(&self, key: RefKey) -> Result<u64> {
        Ok(self.record(Family::Refs, &key.bytes())?.unwrap_or(1))
    }

    /// [`Read::scan`] for those who show what there is: blocks of tables that cannot be read are passed by, and
    /// [`Scan::damage`] tells. Never for a decision about what is not there.
    ///
    /// # Errors
    /// As [`Read::scan`], but for damage.
    fn scan_past_damage(&self, family: Family, lower: &[u8], upper: &[u8]) -> Result<Scan<'_>> {
        Ok(self.scan(family, lower, upper)?.past_damage(lower))
    }

    /// Whether any key lies from `lower` up to `upper`.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn any(&self, family: Family, lower: &[u8], upper: &[u8]) -> Result<bool> {
        Ok(self.scan(family, lower, upper)?.next().transpose()?.is_some())
    }
}

/// A transaction: reads see its own writes, and all of them become visible at once or never.
pub struct Tx<'a> {
    pub(super) view: View<'a>,
    pub(super) writes: Writes,
    pub(super) seq: u64,
    pub(super) now: Timestamp,
}

impl Tx<'_> {
    /// The number of this commit: higher than every one before.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The instant its owner said it happens at; the beginning of time while nobody did.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Says at which instant it happens.
    pub const fn happens_at(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Whether this transaction itself wrote or removed a key.
    #[must_use]
    pub fn wrote(&self, family: Family, key: &[u8]) -> bool {
        self.writes.contains_key(&(family, Bytes::copy_from_slice(key)))
    }

    /// Keys of a family that this transaction wrote.
    pub fn added(&self, family: Family) -> impl Iterator<Item = Bytes> {
        let from = (family, Bytes::new());
        let own = self.writes.range(from..).take_while(move |((found, _), _)| *found == family);
        own.filter(|(_, value)| value.is_some()).map(|((_, key), _)| key.clone())
    }

    /// Keys of a family that this transaction wrote or removed.
    pub fn touched(&self, family: Family) -> impl Iterator<Item = Bytes> {
        let from = (family, Bytes::new());
        self.writes.range(from..).take_while(move |((found, _), _)| *found == family).map(|((_, key), _)| key.clone())
    }

    /// The value of a key as it was before this transaction.
    ///
    /// # Errors
    /// As [`Read::get`].
    pub fn before(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        self.view.get(family, Bytes::copy_from_slice(key))
    }

    /// Writes raw bytes.
    pub fn put_bytes(&mut self, family: Family, key: &[u8], value: Vec<u8>) {
        self.writes.insert((family, Bytes::copy_from_slice(key)), Some(value.into()));
    }

    /// Writes a record.
    pub fn put<R: Record>(&mut self, family: Family, key: &[u8], record: &R) {
        self.put_bytes(family, key, encode(record));
    }

    /// Removes a key.
    pub fn delete(&mut self, family: Family, key: &[u8]) {
        self.writes.insert((family, Bytes::copy_from_slice(key)), None);
    }

    /// `more` more holders of a shared thing.
    ///
    /// # Errors
    /// As [`Read::record`].
    pub fn hold(&mut self, key: RefKey, more: u64) -> Result<()> {
        let held = self.refs(key)?;
        self.put(Family::Refs, &key.bytes(), &held.saturating_add(more));
        Ok(())
    }

    /// One holder less; true when that was the last.
    ///
    /// # Errors
    /// As [`Read::record`].
    pub fn release(&mut self, key: RefKey) -> Result<bool> {
        match self.refs(key)? {
            0 | 1 => {
                self.delete(Family::Refs, &key.bytes());
                Ok(true)
            }
            2 => {
                self.delete(Family::Refs, &key.bytes());
                Ok(false)
            }
            held => {
                self.put(Family::Refs, &key.bytes(), &(held - 1));
                Ok(false)
            }
        }
    }
}

impl Read for Tx<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        // A probe key must be owned to be compared.
        let probe = (family, Bytes::copy_from_slice(key));
        match self.writes.get(&probe) {
            Some(value) => Ok(value.clone()),
            None => self.view.get(family, probe.1),
        }
    }

    fn scan(&self, family: Family, lower: &[u8], upper: &[u8]) -> Result<Scan<'_>> {
        let mut layers = vec![Layer::Own(&self.writes)];
        layers.extend(self.view.stage_layers());
        Scan::new(Below::now(self.view.db), family, lower, upper, layers)
    }
}

impl OneCommit for Tx<'_> {}
