//! Open handles: a table from the numbers the kernel hands back to what is open under them.

use super::errno::Errno;
use super::hidden::ControlFile;
use super::node::NodeRef;
use super::readdir::Stream;
use crate::store::Content;
use crate::sys::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sys::sync::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;

const SHARDS: usize = 16;

/// What is open.
pub(super) enum Open {
    /// A present file, whose bytes its node's session knows.
    Live {
        read: bool,
        write: bool,
        append: bool,
        sync: bool,
        exec: bool,
        /// Counts as a writer: it may write, or has cut the file when it was opened.
        writer: bool,
        /// Of a writer: it was closed, and nothing was written through it since. Changed with the node's session locked.
        closed: AtomicBool,
    },
    /// A version, or a file of the past: bytes that never change.
    Fixed(Arc<Content>),
    /// A control file.
    Control(Mutex<ControlFile>),
    /// A directory.
    Dir(Mutex<Stream>),
}

/// An open handle.
pub(super) struct Handle {
    pub(super) node: NodeRef,
    pub(super) open: Open,
}

/// All open handles.
pub(super) struct Handles {
    shards: [RwLock<HashMap<u64, Arc<Handle>>>; SHARDS],
    next: AtomicU64,
}

impl Handles {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()), next: AtomicU64::new(1) }
    }

    fn shard(&self, fh: u64) -> &RwLock<HashMap<u64, Arc<Handle>>> {
        &self.shards[(fh % SHARDS as u64) as usize]
    }

    pub(super) fn add(&self, node: NodeRef, open: Open) -> u64 {
        let fh = self.next.fetch_add(1, Ordering::Relaxed);
        node.open.fetch_add(1, Ordering::Relaxed);
        self.shard(fh).write().insert(fh, Arc::new(Handle { node, open }));
        fh
    }

    pub(super) fn get(&self, fh: u64) -> Result<Arc<Handle>, Errno> {
        self.shard(fh).read().get(&fh).cloned().ok_or(Errno::EBADF)
    }

    pub(super) fn remove(&self, fh: u64) -> Option<Arc<Handle>> {
        self.shard(fh).write().remove(&fh)
    }
}
