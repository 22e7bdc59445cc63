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
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Number of the mount's root.
pub const ROOT: u64 = 1;
/// Set in numbers of what only the mount knows.
const VIRTUAL: u64 = 1 << 63;
const SHARDS: usize = 64;
/// No content: what [`Node::cached`] says before the kernel has read anything.
const NOTHING: u64 = u64::MAX;
/// Another door changed the bytes since they were read for the last opening.
const ELSEWHERE: u64 = u64::MAX - 1;

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
    /// A present object, whose inode number is the node's; where it lies is in [`Node::places`].
    File,
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
        matches!(self, Self::Buckets(_) | Self::Dir { .. } | Self::File | Self::PastFile { .. })
    }

    /// The bytes of a thing that can never have others.
    pub(super) const fn bytes(&self) -> Option<ContentId> {
        match self {
            Self::PastFile { content, .. } | Self::Version { content, .. } => Some(*content),
            _ => None,
        }
    }
}

/// A [`What`] in one word: the kernel may know millions of files, and each costs memory.
pub(super) struct Stands(Option<Box<What>>);

impl From<What> for Stands {
    fn from(what: What) -> Self {
        Self(Some(what).filter(|what| *what != What::File).map(Box::new))
    }
}

impl Deref for Stands {
    type Target = What;

    fn deref(&self) -> &What {
        self.0.as_deref().unwrap_or(&What::File)
    }
}

/// A name in a directory.
type Name = (DirId, Box<str>);

/// Names a file is known by, the one used last first, and what it was when the last one went. Nearly always one name and
/// nothing else.
#[derive(Default)]
pub(super) struct Places {
    name: Option<Name>,
    rest: Option<Box<Rest>>,
}

/// What few nodes have.
#[derive(Default)]
struct Rest {
    names: Vec<Name>,
    last: Option<Box<Ended>>,
    seen: Option<Box<FileEntry>>,
    removed: Option<Box<Attr>>,
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
    pub(super) fn names(&self) -> impl Iterator<Item = (DirId, &str)> {
        let more = self.rest.iter().flat_map(|rest| rest.names.iter());
        self.name.iter().chain(more).map(|(dir, name)| (*dir, &**name))
    }

    /// As [`Places::names`], to keep.
    pub(super) fn owned_names(&self) -> impl Iterator<Item = (DirId, String)> {
        self.names().map(|(dir, name)| (dir, name.to_owned()))
    }

    pub(super) const fn is_nameless(&self) -> bool {
        self.name.is_none()
    }

    pub(super) fn has(&self, dir: DirId, component: &str) -> bool {
        self.names().any(|name| name == (dir, component))
    }

    pub(super) fn add(&mut self, dir: DirId, component: &str) {
        let is_first = matches!(&self.name, Some((d, c)) if *d == dir && **c == *component);
        if !is_first {
            self.take_away(dir, component);
            if let Some(second) = self.name.replace((dir, component.into())) {
                self.rest.get_or_insert_default().names.insert(0, second);
            }
        }
        self.set_last(None);
    }

    /// The file lost a name; if it was the last one, `ended` is what it was.
    pub(super) fn remove(&mut self, dir: DirId, component: &str, ended: Option<Ended>) {
        self.take_away(dir, component);
        if self.is_nameless() && ended.is_some() {
            self.set_last(ended);
        }
    }

    fn take_away(&mut self, dir: DirId, component: &str) {
        let is_it = |name: &Name| name.0 == dir && *name.1 == *component;
        let was_first = self.name.as_ref().is_some_and(is_it);
        if was_first {
            self.name = None;
        }
        let second = self.change(|rest| {
            rest.names.retain(|name| !is_it(name));
            (was_first && !rest.names.is_empty()).then(|| rest.names.remove(0))
        });
        if let Some(Some(second)) = second {
            self.name = Some(second);
        }
    }

    /// Changes what is there of the rest, and lets it go when nothing is left of it.
    fn change<T>(&mut self, change: impl FnOnce(&mut Rest) -> T) -> Option<T> {
        let rest = self.rest.as_deref_mut()?;
        let changed = change(rest);
        if rest.names.is_empty() && rest.last.is_none() && rest.seen.is_none() && rest.removed.is_none() {
            self.rest = None;
        }
        Some(changed)
    }

    /// What a file was that has no name any more, until the kernel forgets it: who found it by its name may still open
    /// it. For one of the past and of history, while it is open.
    pub(super) fn last(&self) -> Option<&Ended> {
        self.rest.as_ref()?.last.as_deref()
    }

    pub(super) fn set_last(&mut self, last: Option<Ended>) {
        match last {
            Some(last) => self.rest.get_or_insert_default().last = Some(Box::new(last)),
            None => drop(self.change(|rest| rest.last = None)),
        }
    }

    /// What an open file was when it was opened or published last: another door may take it away without a word.
    pub(super) fn seen(&self) -> Option<&FileEntry> {
        self.rest.as_ref()?.seen.as_deref()
    }

    pub(super) fn set_seen(&mut self, seen: Option<FileEntry>) {
        match seen {
            Some(seen) => self.rest.get_or_insert_default().seen = Some(Box::new(seen)),
            None => drop(self.change(|rest| rest.seen = None)),
        }
    }

    /// An open file's object is this now.
    pub(super) fn now_seen(&mut self, object: Object) {
        if let Some(seen) = self.rest.as_mut().and_then(|rest| rest.seen.as_mut()) {
            seen.object = object;
            seen.draft = false;
        }
    }

    /// What a file is that no name leads to.
    pub(super) fn nameless(&mut self) -> Option<&mut FileEntry> {
        let rest = self.rest.as_deref_mut()?;
        match &mut rest.last {
            Some(last) => Some(&mut last.file),
            None => rest.seen.as_deref_mut(),
        }
    }

    /// What a directory was that was removed while the kernel knew it.
    pub(super) fn removed(&self) -> Option<Attr> {
        self.rest.as_ref()?.removed.as_deref().copied()
    }

    pub(super) fn set_removed(&mut self, removed: Attr) {
        self.rest.get_or_insert_default().removed = Some(Box::new(removed));
    }
}

/// A node held. Nobody asks for one weakly, so no word of it counts that: 96 bytes each.
pub(super) type NodeRef = triomphe::Arc<Node>;

/// A thing the kernel holds a number for.
pub(super) struct Node {
    pub(super) id: u64,
    pub(super) what: Stands,
    /// References of the kernel's and of handlers. At the most it can count it stays, and the node with it.
    lookups: AtomicU32,
    /// Handles that are open on it.
    pub(super) open: AtomicU32,
    /// The content whose pages the kernel may still hold.
    cached: AtomicU64,
    /// Held while the places are used or changed, so that a rename never passes a publish.
    pub(super) places: Mutex<Places>,
    /// The write session and what readers read. Taken before `places`.
    pub(super) opened: Mutex<Option<Box<Opened>>>,
}

#[cfg(not(feature = "shuttle"))]
const _: () = assert!(size_of::<Node>() <= 88, "with its count a node fits into 96 bytes");

impl Node {
    /// The number of a present file.
    pub(super) fn ino(&self) -> Option<Ino> {
        (*self.what == What::File).then_some(Ino(self.id))
    }

    /// Notes that the kernel's pages are those of `content`; whether they were before.
    pub(super) fn now_cached(&self, content: u64) -> bool {
        let known = |cached| (cached != ELSEWHERE).then_some(content);
        self.cached.fetch_update(Ordering::AcqRel, Ordering::Acquire, known) == Ok(content)
    }

    /// Another door changed the bytes: who has the file open and reads is to look again.
    pub(super) fn changed_elsewhere(&self) {
        self.cached.store(ELSEWHERE, Ordering::Release);
    }

    /// Whether another door changed the bytes since this was asked last. Who asks reads them anew.
    pub(super) fn was_changed_elsewhere(&self) -> bool {
        self.cached.compare_exchange(ELSEWHERE, NOTHING, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Notes that the kernel's pages, if any, are of no known content.
    pub(super) fn not_cached(&self) {
        let known = |cached| (cached != ELSEWHERE).then_some(NOTHING);
        let _ = self.cached.fetch_update(Ordering::AcqRel, Ordering::Acquire, known);
    }
}

/// A node that is not forgotten while this is held.
pub(super) struct Held<'a> {
    nodes: &'a Nodes,
    node: NodeRef,
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

/// A node found by its number.
struct ById(NodeRef);

impl Borrow<u64> for ById {
    fn borrow(&self) -> &u64 {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

type Shard = Mutex<HashSet<ById>>;

/// All nodes the kernel knows.
pub(super) struct Nodes {
    shards: [Shard; SHARDS],
    count: AtomicUsize,
}

impl Nodes {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Shard::default()), count: AtomicUsize::new(0) }
    }

    fn shard(&self, id: u64) -> &Shard {
        // Directory and object numbers come from one counter, so the low bits spread well.
        &self.shards[(id % SHARDS as u64) as usize]
    }

    /// The node the kernel calls `id`.
    pub(super) fn get(&self, id: u64) -> Option<NodeRef> {
        self.shard(id).lock().get(&id).map(|found| NodeRef::clone(&found.0))
    }

    /// The node of `what`, made when needed and counted as looked up once more.
    pub(super) fn hold(&self, number: u64, what: What) -> NodeRef {
        debug_assert!(what != What::File || number & VIRTUAL == 0);
        let mut id = number;
        loop {
            let mut shard = self.shard(id).lock();
            match shard.get(&id) {
                Some(ById(node)) if *node.what == what || id & VIRTUAL == 0 && node.what.bytes() == what.bytes() => {
                    let before = node.lookups.load(Ordering::Relaxed);
                    node.lookups.store(before.saturating_add(1), Ordering::Relaxed);
                    return NodeRef::clone(node);
                }
                // Two virtual things drew one number, or an object of the past has other bytes: the later moves on.
                Some(_) => id = (id + 1) | VIRTUAL,
                None => {
                    let node = NodeRef::new(Node {
                        id,
                        what: what.into(),
                        lookups: AtomicU32::new(1),
                        open: AtomicU32::new(0),
                        cached: AtomicU64::new(NOTHING),
                        places: Mutex::default(),
                        opened: Mutex::new(None),
                    });
                    shard.insert(ById(NodeRef::clone(&node)));
                    self.count.fetch_add(1, Ordering::Relaxed);
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
        let Some(ById(node)) = shard.get(&id) else { return };
        let before = node.lookups.load(Ordering::Relaxed);
        if before == u32::MAX {
            return;
        }
        let left = before.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        node.lookups.store(left, Ordering::Relaxed);
        if left == 0 && node.open.load(Ordering::Relaxed) == 0 {
            let gone = shard.take(&id);
            self.count.fetch_sub(1, Ordering::Relaxed);
            // With what it held of an ended file.
            drop((shard, gone));
        }
    }

    /// A handle on the node was closed.
    pub(super) fn closed(&self, node: &Node) {
        let mut shard = self.shard(node.id).lock();
        let left = node.open.fetch_sub(1, Ordering::Relaxed) - 1;
        if left == 0 && node.lookups.load(Ordering::Relaxed) == 0 {
            let gone = shard.take(&node.id);
            self.count.fetch_sub(usize::from(gone.is_some()), Ordering::Relaxed);
            drop((shard, gone));
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// At most so many nodes of present files that nobody has open, of one shard after the other.
    pub(super) fn some_idle(&self, turn: usize, most: usize) -> Vec<NodeRef> {
        let idle = |node: &NodeRef| *node.what == What::File && node.open.load(Ordering::Relaxed) == 0;
        let of = |shard: &Shard| shard.lock().iter().map(|found| NodeRef::clone(&found.0)).collect::<Vec<_>>();
        let shards = (0..SHARDS).map(|n| &self.shards[(turn + n) % SHARDS]);
        shards.flat_map(of).filter(idle).take(most).collect()
    }

    /// The nodes of one shard, for what must visit all and hold few; `None` beyond the last.
    pub(super) fn part(&self, part: usize) -> Option<Vec<NodeRef>> {
        Some(self.shards.get(part)?.lock().iter().map(|found| NodeRef::clone(&found.0)).collect())
    }

    /// Every node, for what must visit them all.
    pub(super) fn all(&self) -> Vec<NodeRef> {
        self.shards
            .iter()
            .flat_map(|shard| shard.lock().iter().map(|found| NodeRef::clone(&found.0)).collect::<Vec<_>>())
            .collect()
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
    use crate::model::{DirId, Timestamp};

    #[test]
    fn a_node_goes_with_the_kernel_s_last_reference() {
        let nodes = Nodes::new();
        nodes.hold(20, What::File);
        nodes.hold(20, What::File);
        nodes.forget(20, 1);
        assert!(nodes.get(20).is_some());
        nodes.forget(20, 1);
        assert!(nodes.get(20).is_none());
    }

    /// The kernel may know as many files as there are.
    #[cfg(not(feature = "shuttle"))]
    #[test]
    fn a_node_is_small() {
        assert!(size_of::<super::Node>() <= 96, "{} bytes", size_of::<super::Node>());
    }

    #[test]
    fn the_name_used_last_stands_first() {
        let mut places = super::Places::default();
        let names = |places: &super::Places| places.names().map(|(_, name)| name.to_owned()).collect::<Vec<_>>();
        for name in ["a", "b", "c", "a", "a"] {
            places.add(DirId(1), name);
        }
        assert_eq!(names(&places), ["a", "c", "b"]);
        places.remove(DirId(1), "c", None);
        places.remove(DirId(2), "a", None);
        places.remove(DirId(1), "a", None);
        assert_eq!(names(&places), ["b"]);
        places.remove(DirId(1), "b", None);
        assert!(places.is_nameless() && !places.has(DirId(1), "b") && places.rest.is_none());
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
