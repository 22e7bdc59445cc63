//! Records that were asked for lately, as RocksDB holds them: directories above all, which every change of a name reads
//! several times. What is absent is left to RocksDB's filters.
//!
//! Only values read from RocksDB come in, so the stages above hide what is newer. A batch is written between
//! [`Cache::begin`] and [`Cache::end`], and its stage is still above until then: no reader is told an old value.

use super::family::Family;
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use bytes::Bytes;
use lru::LruCache;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;

const SHARDS: usize = 16;
/// Records of all shards together, each of up to [`VALUE_MAX`] bytes.
const RECORDS: usize = 32 << 10;
const VALUE_MAX: usize = 512;

/// `None` for a record that was removed after it came in.
type Shard = LruCache<(Family, Bytes), Option<Bytes>>;

pub(super) struct Cache {
    shards: Box<[Mutex<Shard>]>,
    hash: RandomState,
    /// Moves on before and after RocksDB changes.
    changes: AtomicU64,
}

impl Cache {
    pub(super) fn new() -> Self {
        let each = NonZeroUsize::new(RECORDS / SHARDS).unwrap_or(NonZeroUsize::MIN);
        let shards = (0..SHARDS).map(|_| Mutex::new(LruCache::new(each))).collect();
        Self { shards, hash: RandomState::new(), changes: AtomicU64::new(0) }
    }

    fn shard(&self, key: &(Family, Bytes)) -> &Mutex<Shard> {
        &self.shards[self.hash.hash_one(key) as usize % SHARDS]
    }

    /// The record of a key: a kept one, or what `read` finds in RocksDB.
    pub(super) fn get<E>(
        &self,
        key: (Family, Bytes),
        read: impl FnOnce(&[u8]) -> Result<Option<Bytes>, E>,
    ) -> Result<Option<Bytes>, E> {
        let shard = self.shard(&key);
        if let Some(found) = shard.lock().get(&key) {
            return Ok(found.clone());
        }
        let before = self.changes.load(Ordering::SeqCst);
        let found = read(&key.1)?;
        if found.as_ref().is_some_and(|value| value.len() <= VALUE_MAX) {
            let mut shard = shard.lock();
            // A value read before a change may not come in after it.
            if self.changes.load(Ordering::SeqCst) == before {
                shard.put(key, found.clone());
            }
        }
        Ok(found)
    }

    /// RocksDB is about to change.
    pub(super) fn begin(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// RocksDB has changed at the keys that `changed` visits, and holds these values.
    pub(super) fn end(&self, changed: impl FnOnce(&mut dyn FnMut(Family, &Bytes, Option<&Bytes>))) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        changed(&mut |family, key, value| {
            let key = (family, key.clone());
            let mut shard = self.shard(&key).lock();
            match shard.peek_mut(&key) {
                Some(known) if value.is_none_or(|value| value.len() <= VALUE_MAX) => *known = value.cloned(),
                Some(_) => drop(shard.pop(&key)),
                None => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn key(name: &'static str) -> (Family, Bytes) {
        (Family::Dent, Bytes::from_static(name.as_bytes()))
    }

    fn read(cache: &Cache, name: &'static str, value: Option<&'static str>) -> Option<Bytes> {
        let value = value.map(|value| Bytes::from_static(value.as_bytes()));
        cache.get::<Infallible>(key(name), |_| Ok(value)).unwrap()
    }

    #[test]
    fn a_value_read_during_a_change_does_not_stay() {
        let cache = Cache::new();
        let late = cache.get::<Infallible>(key("a"), |_| {
            cache.begin();
            cache.end(|_| {});
            Ok(Some(Bytes::from_static(b"old")))
        });
        assert_eq!(late.unwrap().unwrap(), "old");
        assert_eq!(read(&cache, "a", Some("new")).unwrap(), "new");
        assert_eq!(read(&cache, "b", None), None);
        cache.begin();
        assert_eq!(read(&cache, "b", Some("old")).unwrap(), "old");
        let new = Bytes::from_static(b"new");
        cache.end(|visit| visit(Family::Dent, &key("b").1, Some(&new)));
        assert_eq!(read(&cache, "b", Some("read again")).unwrap(), "new");
    }

    #[test]
    fn what_is_long_is_not_kept() {
        let cache = Cache::new();
        let long = Bytes::from(vec![1; VALUE_MAX + 1]);
        cache.get::<Infallible>(key("a"), |_| Ok(Some(long.clone()))).unwrap();
        assert_eq!(read(&cache, "a", Some("x")).unwrap(), "x");
        cache.end(|visit| visit(Family::Dent, &key("a").1, Some(&long)));
        assert_eq!(read(&cache, "a", Some("y")).unwrap(), "y");
    }
}
