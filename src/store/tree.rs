//! Tree nodes from the index, through a cache: nodes only change by a move, which makes the cache forget them.

use super::Store;
use super::extents::Nodes;
use crate::index::{Family, Node, Read, id_key};
use crate::model::{Error, Result};
use crate::sys::sync::Mutex;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::Arc;

const SHARDS: usize = 16;
const NODES_PER_SHARD: NonZeroUsize = NonZeroUsize::new(512).unwrap();

pub(super) struct NodeCache([Mutex<LruCache<u64, Arc<Node>>>; SHARDS]);

impl NodeCache {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(LruCache::new(NODES_PER_SHARD))))
    }

    fn shard(&self, id: u64) -> &Mutex<LruCache<u64, Arc<Node>>> {
        &self.0[usize::try_from(id % SHARDS as u64).unwrap_or(0)]
    }

    /// Nodes were changed by a repair.
    pub(super) fn clear(&self) {
        self.0.iter().for_each(|shard| shard.lock().clear());
    }

    pub(super) fn forget(&self, id: u64) {
        self.shard(id).lock().pop(&id);
    }
}

impl Nodes for Store {
    fn load(&self, id: u64) -> Result<Arc<Node>> {
        if let Some(node) = self.nodes.shard(id).lock().get(&id) {
            return Ok(Arc::clone(node));
        }
        let moves = self.moves.count();
        let node: Option<Node> = self.index.record(Family::Node, &id_key(id))?;
        let node = node
            .ok_or_else(|| Error::corrupt("cannot read the content's extents", format!("tree node {id} is missing")))?;
        let node = Arc::new(node);
        let mut cached = self.nodes.shard(id).lock();
        // Who moves something counts it before the cache is told to forget it.
        if self.moves.count() == moves {
            cached.put(id, Arc::clone(&node));
        }
        Ok(node)
    }
}
