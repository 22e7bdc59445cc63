//! The file view: what a mount shows of the store, and what each system call does to it.
//!
//! Knows nothing of the kernel's protocol: its methods take plain numbers and names and return plain attributes, all
//! by `&self`, all on the caller's thread. `fuse` decodes, calls and replies. May not know: RocksDB, segments, HTTP.
//!
//! Locks, in the order they are taken: one node's `opened` (two in the order of their numbers, for a copy), then its
//! `places` (two in the order of their numbers, for a rename). The tables' shards are leaves: nothing is called with
//! one held. The store is called with a node's locks held, also those of another view of it, which is safe because it
//! calls back only through [`Listener`](crate::store::Listener), which here waits for no lock but the queue's.
//!
#![doc = include_str!("../SEMANTICS.md")]

mod attr;
pub mod control;
mod copy;
mod errno;
mod extended;
mod handle;
mod hidden;
mod history;
mod io;
mod listing;
mod lookup;
mod make;
mod node;
mod notices;
mod open;
mod readdir;
mod rename;
mod session;
mod setattr;
pub mod spelling;
mod stale;
mod stalled;
mod tree;
mod trim;
pub mod xattr;

pub use attr::{Attr, Masks};
pub use errno::{Errno, errno};
pub use extended::XattrFlags;
pub use io::Whence;
pub use lookup::{Caller, Keep, Lookup};
pub use make::MakeNode;
pub use node::ROOT;
pub use open::{OpenHow, Opening};
pub use readdir::DirEntry;
pub use rename::RenameHow;
pub use setattr::SetAttr;
pub use stale::{Stale, StaleEntries};

use crate::model::{DirId, Error, Kind, Result, Timestamp};
use crate::store::{Origin, Store};
use crate::sys::sync::atomic::AtomicU64;
use crate::telemetry::Metrics;
use control::Control;
use handle::Handles;
use node::{Node, NodeRef, Nodes, View, What};
use spelling::Reserved;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// When a closed file is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// After `fsync`, `fdatasync` or `O_SYNC`; without them within a second.
    #[default]
    Fsync,
    /// When `close` returns.
    Close,
}

/// What a mount was asked to be.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The bucket and prefix (`""` or `"a/b/"`) that is the mount's root; all buckets without one.
    pub bucket: Option<(String, String)>,
    /// The instant to show, read-only.
    pub as_of: Option<Timestamp>,
    /// Refuse every change.
    pub read_only: bool,
    /// When a closed file is durable.
    pub durability: Durability,
    /// The longest a changed file held open stays unpublished.
    pub publish_interval: Option<Duration>,
    /// Owners and bits to show instead of the stored ones.
    pub masks: Masks,
    /// Names of the hidden directories.
    pub reserved: Reserved,
    /// List the hidden directories.
    pub show_hidden: bool,
    /// Which xattrs `listxattr` shows.
    pub xattr_list: xattr::XattrList,
    /// Files the kernel may know before it is asked to forget some; any number without.
    pub nodes_max: Option<usize>,
}

/// What the mount's root is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Root {
    Buckets,
    Dir(DirId),
}

/// The file view of a store. Shared by the threads that answer the kernel.
pub struct Vfs {
    store: Arc<Store>,
    settings: Settings,
    below_root: Reserved,
    root: Root,
    /// Owner of what nobody made: the store's directory's.
    owner: (u32, u32),
    started: Timestamp,
    nodes: Nodes,
    handles: Handles,
    stale: Arc<notices::Queue>,
    /// Whose changes the view need not hear of.
    origin: Origin,
    /// Commits of others that it began to hear of.
    heard: AtomicU64,
    stalled: stalled::Stalled,
    control: Control,
}

impl Vfs {
    /// A view of `store`.
    ///
    /// # Errors
    /// When the bucket or prefix that should be the root does not exist, or the store cannot be read.
    pub fn new(store: Arc<Store>, metrics: Arc<Metrics>, settings: Settings) -> Result<Arc<Self>> {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata(store.dir()).map_err(|error| Error::io("cannot look at the store", error))?;
        let view = settings.as_of.map_or(View::Live, View::Past);
        let (root, what) = match &settings.bucket {
            None => (Root::Buckets, What::Buckets(view)),
            Some((name, prefix)) => {
                let bucket = store.bucket(name)?;
                let dir = store.resolve_dir(&bucket, prefix)?.ok_or_else(|| {
                    Error::new(Kind::NoSuchKey, format!("cannot mount {name}/{prefix}"))
                        .why("no key begins with that prefix")
                        .mend("make the directory first, or mount the bucket")
                })?;
                (Root::Dir(dir), What::Dir { dir, root: dir == bucket.root, view })
            }
        };
        let queue: Arc<notices::Queue> = Arc::default();
        let vfs = Arc::new_cyclic(|vfs| Self {
            origin: store.listen(Arc::new(stale::Ear { vfs: Weak::clone(vfs), queue: Arc::clone(&queue) })),
            stale: queue,
            heard: AtomicU64::new(0),
            below_root: settings.reserved.below_root(),
            root,
            owner: (meta.uid(), meta.gid()),
            started: store.now(),
            nodes: Nodes::new(),
            handles: Handles::new(),
            stalled: stalled::Stalled::default(),
            control: Control::new(Arc::clone(&store), metrics),
            settings,
            store,
        });
        // The kernel knows the root without looking it up and never forgets it.
        vfs.nodes.hold(ROOT, what);
        Ok(vfs)
    }

    /// The store that is shown.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What the mount was asked to be.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The node behind a number of the kernel's.
    fn node(&self, id: u64) -> std::result::Result<NodeRef, Errno> {
        self.nodes.get(id).ok_or(Errno::ESTALE)
    }

    /// Refuses on a read-only mount.
    fn writable(&self) -> Result<()> {
        if self.settings.read_only || self.settings.as_of.is_some() {
            return Err(Error::new(Kind::ReadOnly, "the mount takes no changes").why("it was mounted read-only"));
        }
        Ok(())
    }

    /// Makes a number of a fault, and a line in the error ring where the number is too little (INTERFACE section 3).
    fn told<T>(
        &self,
        op: &'static str,
        at: impl FnOnce() -> (Option<String>, String),
        outcome: errno::Outcome<T>,
    ) -> std::result::Result<T, Errno> {
        outcome.map_err(|fault| match fault {
            errno::Fault::Bare(errno) => errno,
            errno::Fault::Store(error) => {
                if !errno::explains_itself(error.kind()) {
                    let (bucket, path) = at();
                    self.store.complain(op, bucket.as_deref(), &path, &error);
                }
                errno(error.kind())
            }
        })
    }

    /// The bucket and key of a node, for a complaint.
    fn path(&self, node: &Node) -> (Option<String>, String) {
        let dir_and_name = match &*node.what {
            What::Dir { dir, .. } | What::MarkerBody { dir, .. } => Some((*dir, String::new())),
            What::PastFile { dir, component, .. } => Some((*dir, component.to_string())),
            What::File => {
                let places = node.places.try_lock();
                places.and_then(|places| places.owned_names().next())
            }
            What::History(dirs) => dirs.first().map(|dir| (*dir, String::new())),
            What::Versions { dirs, part: name } | What::Version { dirs, component: name, .. } => {
                dirs.first().map(|dir| (*dir, name.to_string()))
            }
            What::Buckets(_) => None,
            What::Control(control) => {
                let bucket = control.bucket().and_then(|bucket| self.store.bucket_by_id(bucket).ok());
                let name = self.settings.reserved.control_dir().unwrap_or_default().to_owned();
                return (bucket.map(|bucket| bucket.name.to_string()), name);
            }
        };
        let Some((dir, name)) = dir_and_name else { return (None, String::new()) };
        match self.store.path_of(dir) {
            Ok((bucket, prefix)) => (Some(bucket.name.to_string()), format!("{prefix}{name}")),
            Err(_) => (None, name),
        }
    }

    /// The bucket and key of a name in a directory, for a complaint.
    fn path_in(&self, dir: &Node, name: &[u8]) -> (Option<String>, String) {
        let (bucket, prefix) = self.path(dir);
        (bucket, format!("{prefix}{}", String::from_utf8_lossy(name)))
    }
}

impl Drop for Vfs {
    fn drop(&mut self) {
        self.stale.close();
        self.store.unlisten(self.origin);
    }
}
