//! Nodes: what the kernel holds a number for.
//!
//! A real thing's number is its inode number (an object's or a directory's), so numbers survive a remount. What only
//! the mount knows (history, past views, control files) has a number with bit 63 set, drawn from what it stands for,
//! so it too is the same after being forgotten.

use super::Attr;
use super::control::ControlNode;
use super::session::Opened;
use crate::model::{ContentId, DirId, Ino, Object, Seq, Timestamp, VersionId};
use crate::store::{Content, FileEntry};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Number of the mount's root.
pub const ROOT: u64 = 1;
/// Set in numbers of what only the mount knows.
const VIRTUAL: u64 = 1 << 63;
const SHARDS: usize = 64;
/// No content: what [`Node::cached`] says before the kernel has read anything.
const NOTHING: u64 = u64::MAX;

/// Which state of the tree a node belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum View {
    /// The present.
    Live,
    /// As it was at an instant; read-only.
    Past(Timestamp),
}

/// What a node stands for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum What {
    /// The directory of buckets.
    Buckets(View),
    /// A directory; `root` when it is a bucket's.
    Dir { dir: DirId, root: bool, view: View },
    /// A present object; where it lies is in [`Node::places`].
    File(Ino),
    /// An object in the past. Its bytes never change: with other bytes, which a purge can bring there, it is another.
    PastFile { dir: DirId, component: Arc<str>, at: Timestamp, content: ContentId },
    /// The body of a directory's own marker (KEY-7).
    MarkerBody { dir: DirId, view: View },
    /// `DIR/.versions`: names with history in these directories (the live one and dead ones of the same path).
    History(Arc<[DirId]>),
    /// `DIR/.versions/NAME`: `part` is the name's part, without `/`.
    Versions { dirs: Arc<[DirId]>, part: Arc<str> },
    /// `DIR/.versions/NAME/ENTRY`. Its bytes never change either: each publication of a session is another.
    Version { dirs: Arc<[DirId]>, component: Arc<str>, version: VersionId, seq: Seq, content: ContentId },
    /// A directory or file of `.keyfold`.
    Control(ControlNode),
}

impl What {
    /// Whether the mount may keep the kernel's cached attributes and names of it until it says otherwise.
    pub(super) const fn is_lasting(&self) -> bool {
        matches!(self, Self::Buckets(_) | Self::Dir { .. } | Self::File(_) | Self::PastFile { .. })
    }

    /// The bytes of a thing that can never have others.
    pub(super) const fn bytes(&self) -> Option<ContentId> {
        match self {
            Self::PastFile { content, .. } | Self::Version { content, .. } => Some(*content),
            _ => None,
        }
    }
}

/// Names a file is known by, and what it was when the last one went.
#[derive(Default)]
pub(super) struct Places {
    pub(super) names: Vec<(DirId, String)>,
    /// What a file was that has no name any more, until the kernel forgets it: who found it by its name may still open
    /// it. For one of the past and of history, while it is open.
    pub(super) last: Option<Box<Ended>>,
    /// What an open file was when it was opened or published last: another door may take it away without a word.
    pub(super) seen: Option<Box<FileEntry>>,
    /// What a directory was that was removed while the kernel knew it.
    pub(super) removed: Option<Box<Attr>>,
}

/// A file at its end.
pub(super) struct Ended {
    pub(super) file: FileEntry,
    /// The last name, of a present file.
    pub(super) place: Option<(DirId, String)>,
    /// Its bytes; `None` when they were gone before, or when its handles keep them.
    pub(super) content: Option<Arc<Content>>,
}

impl Places {
    pub(super) fn add(&mut self, dir: DirId, component: &str) {
        if let Some(at) = self.names.iter().position(|(d, c)| *d == dir && c == component) {
            // The name used last stands first: it is the likeliest to be right.
            self.names.swap(0, at);
        } else {
            self.names.insert(0, (dir, component.to_owned()));
        }
        self.last = None;
    }

    /// The file lost a name; if it was the last one, `ended` is what it was.
    pub(super) fn remove(&mut self, dir: DirId, component: &str, ended: Option<Ended>) {
        self.names.retain(|(d, c)| *d != dir || c != component);
        if self.names.is_empty()
            && let Some(ended) = ended
        {
            self.last = Some(Box::new(ended));
        }
    }

    /// What a file is that no name leads to.
    pub(super) fn nameless(&mut self) -> Option<&mut FileEntry> {
        match &mut self.last {
            Some(last) => Some(&mut last.file),
            None => self.seen.as_deref_mut(),
        }
    }

    /// An open file's object is this now.
    pub(super) fn now_seen(&mut self, object: Object) {
        if let Some(seen) = &mut self.seen {
            seen.object = object;
            seen.draft = false;
        }
    }

    pub(super) fn has(&self, dir: DirId, component: &str) -> bool {
        self.names.iter().any(|(d, c)| *d == dir && c == component)
    }
}

/// A thing the kernel holds a number for.
pub(super) struct Node {
    pub(super) id: u64,
    pub(super) what: What,
    lookups: AtomicU64,
    /// Handles that are open on it.
    pub(super) open: AtomicU64,
    /// The content whose pages the kernel may still hold.
    cached: AtomicU64,
    /// Held while the places are used or changed, so that a rename never passes a publish.
    pub(super) places: Mutex<Places>,
    /// The write session and what readers read. Taken before `places`.
    pub(super) opened: Mutex<Option<Box<Opened>>>,
}

impl Node {
    /// Notes that the kernel's pages are those of `content`; whether they were before.
    pub(super) fn now_cached(&self, content: u64) -> bool {
        self.cached.swap(content, Ordering::Relaxed) == content
    }

    /// Notes that the kernel's pages, if any, are of no known content.
    pub(super) fn not_cached(&self) {
        self.cached.store(NOTHING, Ordering::Relaxed);
    }
}

/// A node that is not forgotten while this is held.
pub(super) struct Held<'a> {
    nodes: &'a Nodes,
    node: Arc<Node>,
}

impl Deref for Held<'_> {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.nodes.forget(self.node.id, 1);
    }
}

/// All nodes the kernel knows.
pub(super) struct Nodes {
    shards: [Mutex<HashMap<u64, Arc<Node>>>; SHARDS],
}

impl Nodes {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(HashMap::new())) }
    }

    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, Arc<Node>>> {
        // Directory and object numbers come from one counter, so the low bits spread well.
        &self.shards[(id % SHARDS as u64) as usize]
    }

    /// The node the kernel calls `id`.
    pub(super) fn get(&self, id: u64) -> Option<Arc<Node>> {
        self.shard(id).lock().get(&id).cloned()
    }

    /// The node of `what`, made when needed and counted as looked up once more.
    pub(super) fn hold(&self, number: u64, what: What) -> Arc<Node> {
        let mut id = number;
        loop {
            let mut shard = self.shard(id).lock();
            match shard.get(&id) {
                Some(node) if node.what == what || id & VIRTUAL == 0 && node.what.bytes() == what.bytes() => {
                    node.lookups.fetch_add(1, Ordering::Relaxed);
                    return Arc::clone(node);
                }
                // Two virtual things drew one number, or an object of the past has other bytes: the later moves on.
                Some(_) => id = (id + 1) | VIRTUAL,
                None => {
                    let node = Arc::new(Node {
                        id,
                        what,
                        lookups: AtomicU64::new(1),
                        open: AtomicU64::new(0),
                        cached: AtomicU64::new(NOTHING),
                        places: Mutex::default(),
                        opened: Mutex::new(None),
                    });
                    shard.insert(id, Arc::clone(&node));
                    return node;
                }
            }
        }
    }

    /// As [`Nodes::hold`], for as long as a handler needs it.
    pub(super) fn held(&self, number: u64, what: What) -> Held<'_> {
        Held { nodes: self, node: self.hold(number, what) }
    }

    /// The kernel dropped `count` of its references.
    pub(super) fn forget(&self, id: u64, count: u64) {
        let mut shard = self.shard(id).lock();
        let Some(node) = shard.get(&id) else { return };
        let before = node.lookups.load(Ordering::Relaxed);
        node.lookups.store(before.saturating_sub(count), Ordering::Relaxed);
        if before <= count && node.open.load(Ordering::Relaxed) == 0 {
            let gone = shard.remove(&id);
            // With what it held of an ended file.
            drop((shard, gone));
        }
    }

    /// A handle on the node was closed.
    pub(super) fn closed(&self, node: &Node) {
        let mut shard = self.shard(node.id).lock();
        let left = node.open.fetch_sub(1, Ordering::Relaxed) - 1;
        if left == 0 && node.lookups.load(Ordering::Relaxed) == 0 {
            let gone = shard.remove(&node.id);
            drop((shard, gone));
        }
    }

    /// Every node, for what must visit them all.
    pub(super) fn all(&self) -> Vec<Arc<Node>> {
        self.shards.iter().flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>()).collect()
    }
}

/// The number of a thing that only the mount knows.
pub(super) fn virtual_number(what: &What) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish() | VIRTUAL
}

#[cfg(test)]
mod tests {
    use super::{Nodes, View, What, virtual_number};
    use crate::model::{DirId, Ino, Timestamp};

    #[test]
    fn a_node_goes_with_the_kernel_s_last_reference() {
        let nodes = Nodes::new();
        nodes.hold(20, What::File(Ino(20)));
        nodes.hold(20, What::File(Ino(20)));
        nodes.forget(20, 1);
        assert!(nodes.get(20).is_some());
        nodes.forget(20, 1);
        assert!(nodes.get(20).is_none());
    }

    #[test]
    fn virtual_things_keep_their_number_and_never_share_one() {
        let nodes = Nodes::new();
        let at = |secs| What::Dir { dir: DirId(20), root: false, view: View::Past(Timestamp::new(secs, 0)) };
        let number = virtual_number(&at(1));
        assert_eq!(number, virtual_number(&at(1)));
        let first = nodes.hold(number, at(1));
        let second = nodes.hold(number, at(2));
        assert_ne!(first.id, second.id);
        assert_eq!(nodes.hold(number, at(2)).id, second.id);
    }
}
