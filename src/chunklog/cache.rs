//! Bounded caches: recently used handles and tables, in shards so that readers rarely meet.
//!
//! Locks: one shard at a time, never held during I/O.

use super::id::FileKey;
use crate::sys::disk::{Access, Disk, DiskFile};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use lru::LruCache;
use std::hash::{BuildHasher, Hash, RandomState};
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

const SHARDS: usize = 16;

/// Values by key, the least recently used dropped beyond a number.
pub(super) struct Sharded<K, V> {
    shards: Box<[Mutex<LruCache<K, V>>]>,
    hash: RandomState,
}

impl<K: Hash + Eq, V: Clone> Sharded<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        let each = NonZeroUsize::new(capacity.div_ceil(SHARDS)).unwrap_or(NonZeroUsize::MIN);
        let shards = (0..SHARDS).map(|_| Mutex::new(LruCache::new(each))).collect();
        Self { shards, hash: RandomState::new() }
    }

    fn shard(&self, key: &K) -> &Mutex<LruCache<K, V>> {
        &self.shards[self.hash.hash_one(key) as usize % SHARDS]
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.shard(key).lock().get(key).cloned()
    }

    pub(super) fn put(&self, key: K, value: V) {
        let old = self.shard(&key).lock().push(key, value);
        drop(old);
    }

    pub(super) fn remove(&self, key: &K) {
        let old = self.shard(key).lock().pop(key);
        drop(old);
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            shard.lock().clear();
        }
    }
}

/// Open files.
pub(super) struct Handles {
    disk: Arc<dyn Disk>,
    open: Sharded<FileKey, Arc<dyn DiskFile>>,
    /// Counts removals, so that a handle opened before one is not kept after it.
    removals: AtomicU64,
}

impl Handles {
    pub(super) fn new(disk: Arc<dyn Disk>, capacity: usize) -> Self {
        Self { disk, open: Sharded::new(capacity), removals: AtomicU64::new(0) }
    }

    pub(super) fn get(&self, key: FileKey) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.open.get(&key) {
            return Ok(file);
        }
        let before = self.removals.load(Ordering::SeqCst);
        let file = self.disk.open(&key.path(), Access::Read)?;
        let mut shard = self.open.shard(&key).lock();
        if before == self.removals.load(Ordering::SeqCst) {
            let old = shard.push(key, Arc::clone(&file));
            drop(shard);
            drop(old);
        }
        Ok(file)
    }

    pub(super) fn put(&self, key: FileKey, file: Arc<dyn DiskFile>) {
        self.open.put(key, file);
    }

    /// To be called when what is open is not to be used any more.
    pub(super) fn clear(&self) {
        self.removals.fetch_add(1, Ordering::SeqCst);
        self.open.clear();
    }

    /// To be called when the file's name is gone.
    pub(super) fn removed(&self, key: FileKey) {
        self.removals.fetch_add(1, Ordering::SeqCst);
        self.open.remove(&key);
    }
}

/// Tables of checksums, the least recently used dropped beyond a number of bytes.
pub(super) struct Weighed<K: Hash + Eq, V> {
    inner: Mutex<Weights<K, V>>,
    limit: usize,
}

struct Weights<K: Hash + Eq, V> {
    cache: LruCache<K, (V, usize)>,
    total: usize,
}

impl<K: Hash + Eq, V: Clone> Weighed<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { inner: Mutex::new(Weights { cache: LruCache::unbounded(), total: 0 }), limit }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.inner.lock().cache.get(key).map(|(value, _)| value.clone())
    }

    pub(super) fn put(&self, key: K, value: V, bytes: usize) {
        let mut inner = self.inner.lock();
        inner.total += bytes;
        if let Some((_, (_, old))) = inner.cache.push(key, (value, bytes)) {
            inner.total -= old;
        }
        while inner.total > self.limit && inner.cache.len() > 1 {
            if let Some((_, (_, old))) = inner.cache.pop_lru() {
                inner.total -= old;
            }
        }
    }

    pub(super) fn remove(&self, key: &K) {
        let mut inner = self.inner.lock();
        if let Some((_, bytes)) = inner.cache.pop(key) {
            inner.total -= bytes;
        }
    }
}
