//! Quotas: how much a bucket may hold, older versions and the parts of uploads in progress included.
//!
//! A change that adds more than fits is refused in its own transaction. A write session is refused at the first write
//! that would not fit: what it will add counts from then on ([`Room`]), so that its publication needs no room any more.

use super::Store;
use super::bucket::find_bucket;
use super::names::readable;
use super::open::Space;
use super::origin::Named;
use super::stack::{bucket_of, current, stays};
use crate::index::{Family, Read, Tx, decode, id_of};
use crate::model::{Bucket, BucketId, Error, Kind, ObjectKey, Result, Usage};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicBool, Ordering};
use std::collections::HashMap;
use std::sync::Arc;

struct Limit {
    /// The bucket's name.
    bucket: String,
    bytes: u64,
    /// Bytes that write sessions will add when they are published.
    coming: u64,
}

/// The quotas of all buckets that have one.
#[derive(Default)]
pub(super) struct Quotas {
    /// Whether there is any.
    any: AtomicBool,
    limits: Mutex<HashMap<BucketId, Limit>>,
}

impl Quotas {
    pub(super) fn are_set(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Has `now` say what the bucket's quota is, with others kept from saying it meanwhile.
    fn set(&self, id: BucketId, now: impl FnOnce() -> Result<Bucket>) -> Result<()> {
        let mut limits = self.limits.lock();
        match now() {
            Ok(Bucket { name, quota: Some(bytes), .. }) => {
                let coming = limits.get(&id).map_or(0, |limit| limit.coming);
                limits.insert(id, Limit { bucket: name.to_string(), bytes, coming });
            }
            Ok(Bucket { quota: None, .. }) => drop(limits.remove(&id)),
            Err(error) if error.kind() == Kind::NoSuchBucket => drop(limits.remove(&id)),
            Err(error) => return Err(error),
        }
        self.any.store(!limits.is_empty(), Ordering::Release);
        Ok(())
    }

    /// Refuses a transaction that is about to commit more than fits into a bucket. What makes none larger may go on.
    pub(super) fn judge(&self, tx: &Tx<'_>) -> Result<()> {
        if !self.are_set() {
            return Ok(());
        }
        for key in tx.touched(Family::Usage) {
            let before = tx.before(Family::Usage, &key)?.map_or(Ok(Usage::default()), |bytes| decode(&bytes))?.held();
            let after = tx.record::<Usage>(Family::Usage, &key)?.unwrap_or_default().held();
            let limits = self.limits.lock();
            if let Some(limit) = id_of(&key).and_then(|id| limits.get(&BucketId(id)))
                && after > before
                && after > limit.bytes
            {
                return Err(limit.exceeded(before, after - before));
            }
        }
        Ok(())
    }

    /// Counts `growth` bytes that will come into a bucket which holds `held`, in place of `before`.
    fn admit(&self, bucket: BucketId, held: u64, before: u64, growth: u64) -> Result<()> {
        let mut limits = self.limits.lock();
        let Some(limit) = limits.get_mut(&bucket) else { return Ok(()) };
        let others = limit.coming.saturating_sub(before);
        let known = held.saturating_add(others);
        if growth > before && known.saturating_add(growth) > limit.bytes {
            return Err(limit.exceeded(known, growth));
        }
        limit.coming = others.saturating_add(growth);
        Ok(())
    }

    fn release(&self, bucket: BucketId, coming: u64) {
        if let Some(limit) = self.limits.lock().get_mut(&bucket) {
            limit.coming = limit.coming.saturating_sub(coming);
        }
    }
}

impl Limit {
    fn exceeded(&self, held: u64, more: u64) -> Error {
        let name = &self.bucket;
        Error::new(Kind::QuotaExceeded, format!("cannot store more in the bucket {name}"))
            .why(format!(
                "its quota is {} bytes; it holds {held}, older versions and uploads included, and {more} would come",
                self.bytes
            ))
            .mend(format!("delete objects or older versions, or raise it with `keyfold bucket set {name} quota SIZE`"))
    }
}

/// What a write session will add to its bucket, which counts as long as this lives and was not published.
pub(super) struct Room {
    quotas: Arc<Quotas>,
    bucket: BucketId,
    /// Bytes of what the publication takes the place of.
    replaces: u64,
    coming: u64,
}

impl Room {
    pub(super) const fn new(quotas: Arc<Quotas>, bucket: BucketId, replaces: u64) -> Self {
        Self { quotas, bucket, replaces, coming: 0 }
    }

    /// The session is about to be `size` bytes long.
    pub(super) fn grow(&mut self, store: &Store, size: u64) -> Result<()> {
        let growth = size.saturating_sub(self.replaces);
        if growth != self.coming {
            self.quotas.admit(self.bucket, store.usage(self.bucket)?.held(), self.coming, growth)?;
            self.coming = growth;
        }
        Ok(())
    }

    /// It was published: the bucket's counters have it, and what comes takes its place.
    pub(super) fn published(&mut self, size: u64) {
        self.quotas.release(self.bucket, self.coming);
        (self.replaces, self.coming) = (size, 0);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.quotas.release(self.bucket, self.coming);
    }
}

impl Store {
    /// Reads all quotas, when the store is opened.
    pub(super) fn load_quotas(&self) -> Result<()> {
        self.buckets()?.into_iter().try_for_each(|bucket| self.quotas.set(bucket.id, || Ok(bucket)))
    }

    /// Sets the most bytes a bucket may hold, or with `None` no limit. What it holds already stays. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn set_quota(&self, bucket: &str, bytes: Option<u64>) -> Result<()> {
        let mut id = None;
        self.change_bucket(bucket, |bucket| {
            bucket.quota = bytes;
            id = Some(bucket.id);
            Ok(())
        })?;
        id.map_or(Ok(()), |id| self.quotas.set(id, || self.bucket_by_id(id)))
    }

    /// Forgets the quota of a bucket that is gone.
    pub(super) fn no_quota(&self, id: BucketId) -> Result<()> {
        if self.quotas.are_set() { self.quotas.set(id, || self.bucket_by_id(id)) } else { Ok(()) }
    }

    /// The room that a session takes which publishes under that name; `None` when nothing has the name any more.
    pub(super) fn room_at(&self, named: &Named<'_>) -> Result<Option<Room>> {
        let found = self.index.at_once(|read| match named {
            Named::In(dir, name) => {
                let Some(bucket) = readable(bucket_of(read, *dir).map(Some))? else { return Ok(None) };
                let old = current(read, *dir, name)?;
                Ok(Some((bucket, old)))
            }
            Named::Key(bucket, key) => {
                let Some(bucket) = find_bucket(read, bucket)? else { return Ok(None) };
                let old = match ObjectKey::parse(key) {
                    Ok(key) => {
                        let (parts, name) = key.split();
                        Self::walk(read, bucket.root, parts)?.map_or(Ok(None), |dir| current(read, dir, name))?
                    }
                    Err(_) => None,
                };
                Ok(Some((bucket, old)))
            }
        })?;
        Ok(found.map(|(bucket, old)| {
            let goes = old.filter(|old| !old.draft && !stays(&bucket, &old.object));
            Room::new(Arc::clone(&self.quotas), bucket.id, goes.map_or(0, |old| old.object.size))
        }))
    }

    /// Room for what a bucket holds: that on the disk, or less where its quota is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn space_of(&self, bucket: &str) -> Result<Space> {
        let space = self.space()?;
        let Some(bucket) = find_bucket(&self.index, bucket)? else { return Ok(space) };
        let Some(quota) = bucket.quota else { return Ok(space) };
        let left = quota.saturating_sub(self.usage(bucket.id)?.held());
        let available = space.available.min(left);
        Ok(Space { total: quota, free: space.free.min(left), available, ..space })
    }
}
