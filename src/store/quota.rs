//! Quotas: how much a bucket may hold, older versions and the parts of uploads in progress included.
//!
//! A change that adds more than fits is refused in its own transaction. A write session is refused at the first write
//! that would not fit: what it will add counts from then on ([`Room`]), so that its publication needs no room any more.

use super::Store;
use super::bucket::find_bucket;
use super::open::Space;
use super::origin::{Named, Origin};
use super::stack::{Current, bucket_of, current, stays};
use crate::index::{Family, Read, Tx, decode, id_of};
use crate::model::{Bucket, BucketId, Error, Kind, Ledger, Object, ObjectKey, Result, Seq, VersionId};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicBool, Ordering};
use std::collections::HashMap;
use std::sync::Arc;

/// What is known of a bucket that has a quota, or into which something is on its way.
#[derive(Default)]
struct Share {
    /// The bucket's name and how many bytes it may hold.
    limit: Option<(String, u64)>,
    /// Bytes that write sessions will add when they are published.
    coming: u64,
}

/// The quotas of all buckets.
#[derive(Default)]
pub(super) struct Quotas {
    /// Whether there is any.
    any: AtomicBool,
    shares: Mutex<HashMap<BucketId, Share>>,
}

impl Quotas {
    pub(super) fn are_set(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Has `now` say what the bucket's quota is, with others kept from saying it meanwhile.
    fn set(&self, id: BucketId, now: impl FnOnce() -> Result<Bucket>) -> Result<()> {
        let mut shares = self.shares.lock();
        let limit = match now() {
            Ok(bucket) => bucket.quota.map(|bytes| (bucket.name.to_string(), bytes)),
            Err(error) if error.kind() == Kind::NoSuchBucket => None,
            Err(error) => return Err(error),
        };
        self.limit(&mut shares, id, limit);
        Ok(())
    }

    fn limit(&self, shares: &mut HashMap<BucketId, Share>, id: BucketId, limit: Option<(String, u64)>) {
        shares.entry(id).or_default().limit = limit;
        tidy(shares, id);
        self.any.store(shares.values().any(|share| share.limit.is_some()), Ordering::Release);
    }

    /// Forgets the quota of a bucket that is gone.
    pub(super) fn forget(&self, id: BucketId) {
        self.limit(&mut self.shares.lock(), id, None);
    }

    /// Refuses a transaction that is about to commit more than fits into a bucket beside what is on its way there. What makes
    /// none larger may go on.
    pub(super) fn judge(&self, tx: &Tx<'_>) -> Result<()> {
        if !self.are_set() {
            return Ok(());
        }
        for key in tx.touched(Family::Usage) {
            let before = tx.before(Family::Usage, &key)?.map_or(Ok(Ledger::default()), |bytes| decode(&bytes))?;
            let after = tx.record::<Ledger>(Family::Usage, &key)?.unwrap_or_default();
            let (before, after) = (before.usage.held(), after.usage.held());
            let shares = self.shares.lock();
            if let Some(share) = id_of(&key).and_then(|id| shares.get(&BucketId(id)))
                && after > before
            {
                share.admit(before, after - before)?;
            }
        }
        Ok(())
    }

    /// Counts `growth` bytes that will come into a bucket, in place of `before`.
    fn admit(&self, bucket: BucketId, held: impl FnOnce() -> Result<u64>, before: u64, growth: u64) -> Result<()> {
        let mut shares = self.shares.lock();
        let share = shares.entry(bucket).or_default();
        // Read with the lock held: what is published meanwhile counts as coming or as there, and not as neither.
        let (held, all) = (held()?, share.coming);
        share.coming = all.saturating_sub(before);
        if growth > before
            && let Err(error) = share.admit(held, growth)
        {
            share.coming = all;
            return Err(error);
        }
        share.coming = share.coming.saturating_add(growth);
        Ok(())
    }

    fn release(&self, bucket: BucketId, coming: u64) {
        if coming == 0 {
            return;
        }
        let mut shares = self.shares.lock();
        if let Some(share) = shares.get_mut(&bucket) {
            share.coming = share.coming.saturating_sub(coming);
        }
        tidy(&mut shares, bucket);
    }

    /// Bytes on their way into a bucket.
    fn coming(&self, bucket: BucketId) -> u64 {
        self.shares.lock().get(&bucket).map_or(0, |share| share.coming)
    }
}

/// Forgets what nothing is known of any more.
fn tidy(shares: &mut HashMap<BucketId, Share>, id: BucketId) {
    if shares.get(&id).is_some_and(|share| share.limit.is_none() && share.coming == 0) {
        shares.remove(&id);
    }
}

impl Share {
    /// Whether `more` bytes fit beside the `held` ones and those that come.
    fn admit(&self, held: u64, more: u64) -> Result<()> {
        let Some((name, bytes)) = &self.limit else { return Ok(()) };
        let known = held.saturating_add(self.coming);
        if known.saturating_add(more) <= *bytes {
            return Ok(());
        }
        Err(Error::new(Kind::QuotaExceeded, format!("cannot store more in the bucket {name}"))
            .why(format!(
                "its quota is {bytes} bytes; it holds {known}, older versions, uploads and what is being written included, \
                 and {more} would come"
            ))
            .mend(format!("delete objects or older versions, or raise it with `keyfold bucket set {name} quota SIZE`")))
    }
}

/// Where a session's bytes will go, as of a commit.
#[derive(Clone, Copy)]
struct Place {
    bucket: BucketId,
    /// Bytes of what a publication takes the place of.
    replaces: u64,
    /// Names that will count the bytes each.
    names: u64,
}

/// What a write session will add to its bucket, which counts as long as this lives and was not published.
pub(super) struct Room {
    quotas: Arc<Quotas>,
    place: Place,
    /// The commit as of which the place was looked up; `None` where it is known once and for all.
    seen: Option<u64>,
    /// Bytes that were promised to come.
    promised: u64,
    /// The version it published last.
    own: Option<(VersionId, Seq)>,
    coming: u64,
}

impl Room {
    /// Of bytes whose place never changes: in that bucket, instead of `replaces` bytes.
    pub(super) fn fixed(quotas: &Arc<Quotas>, bucket: BucketId, replaces: u64) -> Self {
        let place = Place { bucket, replaces, names: 1 };
        Self { quotas: Arc::clone(quotas), place, seen: None, promised: 0, own: None, coming: 0 }
    }

    /// The session is about to be `size` bytes long.
    pub(super) fn grow(&mut self, store: &Store, origin: &Origin, size: u64) -> Result<()> {
        self.look(store, origin)?;
        let Place { bucket, replaces, names } = self.place;
        let growth = size.max(self.promised).saturating_sub(replaces).saturating_mul(names);
        if growth != self.coming {
            self.quotas.admit(bucket, || Ok(store.usage(bucket)?.held()), self.coming, growth)?;
            self.coming = growth;
        }
        Ok(())
    }

    /// Looks again where the bytes will go, if anything was committed since.
    fn look(&mut self, store: &Store, origin: &Origin) -> Result<()> {
        let commits = store.commits();
        if self.seen.is_none_or(|seen| seen == commits) {
            return Ok(());
        }
        if let Some(place) = store.place_of(origin, self.own)? {
            if place.bucket != self.place.bucket {
                self.release();
            }
            self.place = place;
        }
        self.seen = Some(commits);
        Ok(())
    }

    /// So many bytes were promised: they count from the beginning.
    pub(super) const fn promise(&mut self, bytes: u64) {
        self.promised = bytes;
    }

    /// The bytes are the bucket's, or about to be: its counters tell of them from here on.
    pub(super) fn release(&mut self) {
        self.quotas.release(self.place.bucket, self.coming);
        self.coming = 0;
    }

    /// They were published as that version, whose place the next ones take.
    pub(super) fn published(&mut self, object: &Object) {
        self.release();
        self.own = Some((object.version, object.seq));
        // Looked up when more comes.
        self.seen = self.seen.map(|_| 0);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.release();
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

    /// The room that a session's bytes take; `None` while nobody knows where they will go.
    pub(super) fn room_of(&self, origin: &Origin) -> Result<Option<Room>> {
        let seen = Some(self.commits());
        let room = |place| Room { quotas: Arc::clone(&self.quotas), place, seen, promised: 0, own: None, coming: 0 };
        Ok(self.place_of(origin, None)?.map(room))
    }

    /// Where a session's bytes will go; `own` is the version it published last.
    fn place_of(&self, origin: &Origin, own: Option<(VersionId, Seq)>) -> Result<Option<Place>> {
        let Some(named) = origin.named() else { return Ok(None) };
        let found = self.index.at_once(|read| match named {
            Named::In(dir, name) => Ok(Some((bucket_of(read, dir)?, current(read, dir, name)?))),
            Named::Key(bucket, key) => {
                let Some(bucket) = find_bucket(read, bucket)? else { return Ok(None) };
                let Ok(key) = ObjectKey::parse(key) else { return Ok(None) };
                let (parts, name) = key.split();
                let old = Self::walk(read, bucket.root, parts)?.map_or(Ok(None), |dir| current(read, dir, name))?;
                Ok(Some((bucket, old)))
            }
        });
        let (bucket, old) = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            // Its directory is gone, or cannot be read.
            Err(error) if matches!(error.kind(), Kind::NoSuchKey | Kind::NoSuchBucket | Kind::Corrupt) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let old = old.filter(|old| origin.takes_place_of(old.object.ino));
        let names = old.as_ref().map_or(1, Current::nlink) as u64;
        let goes = |old: &Current| {
            let own = own == Some((old.object.version, old.object.seq)) && !old.object.lock.protects(self.now());
            !old.draft && (own || !stays(&bucket, &old.object))
        };
        let replaces = old.filter(goes).map_or(0, |old| old.object.size);
        Ok(Some(Place { bucket: bucket.id, replaces, names }))
    }

    /// Whether any bucket has a quota.
    #[must_use]
    pub fn has_quotas(&self) -> bool {
        self.quotas.are_set()
    }

    /// Room for what a bucket holds: that on the disk, or less where its quota is.
    ///
    /// # Errors
    /// What the disk says.
    pub fn space_of(&self, bucket: &str) -> Result<Space> {
        let space = self.space()?;
        let Some(bucket) = find_bucket(&self.index, bucket)? else { return Ok(space) };
        let Some(quota) = bucket.quota else { return Ok(space) };
        let held = self.usage(bucket.id)?.held().saturating_add(self.quotas.coming(bucket.id));
        let left = quota.saturating_sub(held);
        let free = space.free.min(left);
        // A quota beyond what the disk has promises nothing.
        let total = quota.min(held.saturating_add(space.free)).max(held);
        Ok(Space { total, free, available: space.available.min(left), ..space })
    }
}
