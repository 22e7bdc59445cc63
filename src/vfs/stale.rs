//! What the kernel must be told to drop: queued here, sent by the door's own thread, never inside a handler.

use super::node::{Node, ROOT, View, What};
use super::notices::{Batch, Queue};
use super::spelling::{SELF_BODY, show};
use super::{Root, Vfs};
use crate::model::{DirId, Ino};
use crate::store::{Acting, Changed, Entry, Listener};
use crate::sys::sync::atomic::Ordering;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Names of a directory asked for at once when all of them may be stale.
const PAGE: usize = 1024;

/// Something the kernel may hold that is not so any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stale {
    /// A name in a directory, positive or negative.
    Name {
        /// The directory's number.
        parent: u64,
        /// The name.
        name: String,
    },
    /// A node's attributes, and its pages if `data`.
    Node {
        /// Its number.
        id: u64,
        /// Whether its bytes changed as well.
        data: bool,
    },
}

/// The door's end of the queue; it does not keep the view alive.
pub struct StaleEntries {
    queue: Arc<Queue>,
    vfs: Weak<Vfs>,
    /// Directories of which every name may be stale, and the part of the nodes to go on with: these may have names there.
    known: Option<(HashSet<u64>, usize)>,
    /// The same directories, each with the name to go on after.
    behind: VecDeque<(u64, Option<String>)>,
}

impl StaleEntries {
    /// What became stale, waiting at most `at_most` for it; `None` once nothing will come any more. The kernel has been
    /// told what the call before returned.
    #[must_use]
    pub fn wait(&mut self, at_most: Duration) -> Option<Vec<Stale>> {
        if let Some(stale) = self.of_directories() {
            return Some(stale);
        }
        match self.queue.next(at_most)? {
            Batch::Entries(entries) => Some(entries),
            Batch::Directories(parents) => {
                self.behind.extend(parents.iter().map(|parent| (*parent, None)));
                self.known = Some((parents, 0));
                Some(self.of_directories().unwrap_or_default())
            }
        }
    }

    /// Some of the names that may be stale in whole directories; `None` when that was all.
    fn of_directories(&mut self) -> Option<Vec<Stale>> {
        if self.known.is_none() && self.behind.is_empty() {
            return None;
        }
        let Some(vfs) = self.vfs.upgrade() else {
            (self.known, self.behind) = (None, VecDeque::new());
            return None;
        };
        while let Some((parents, part)) = self.known.take() {
            let Some(stale) = vfs.names_known(&parents, part) else { break };
            self.known = Some((parents, part + 1));
            if !stale.is_empty() {
                return Some(stale);
            }
        }
        let (parent, after) = self.behind.pop_front()?;
        let (stale, last) = vfs.names_there(parent, after.as_deref());
        if last.is_some() {
            self.behind.push_front((parent, last));
        }
        Some(stale)
    }

    /// Ends the waiting, now and later.
    pub fn close(&self) {
        self.queue.close();
    }
}

/// The view's ear.
pub(super) struct Ear {
    pub(super) vfs: Weak<Vfs>,
    pub(super) queue: Arc<Queue>,
}

impl Listener for Ear {
    fn changed(&self, changed: &[Changed]) {
        let Some(vfs) = self.vfs.upgrade() else { return };
        // Before it is asked which nodes there are: one that is held afterwards is held by who sees the count.
        vfs.heard.fetch_add(1, Ordering::AcqRel);
        for change in changed {
            match change {
                Changed::Name { dir, component } => vfs.name_changed_elsewhere(*dir, component),
                Changed::History { dir, component } => vfs.history_changed_elsewhere(*dir, component),
                Changed::Inode { ino, data } => vfs.inode_changed_elsewhere(*ino, *data),
                Changed::Bucket(name) => vfs.bucket_changed_elsewhere(name),
            }
        }
    }

    fn wait_told(&self, end: Instant) -> bool {
        self.queue.wait_told(end)
    }
}

impl Vfs {
    /// What the kernel must drop, for the door's notifier thread.
    #[must_use]
    pub fn stale_entries(self: &Arc<Self>) -> StaleEntries {
        self.stale.attach();
        StaleEntries { queue: Arc::clone(&self.stale), vfs: Arc::downgrade(self), known: None, behind: VecDeque::new() }
    }

    /// What this thread changes from here on is the kernel's own doing, and what else the kernel has to drop on its account
    /// is said here: so this view need not hear of it. `None` for what is done through files that only the mount knows,
    /// of whose effects the kernel has no idea.
    pub(super) fn mine(&self, node: &Node) -> Option<Acting> {
        Self::is_live(node).then(|| self.origin.acts())
    }

    /// Takes no lock: whoever changed it may hold any.
    fn name_changed_elsewhere(&self, dir: DirId, component: &str) {
        let parent = self.dir_number(dir, false, self.view());
        if self.nodes.get(parent).is_none() {
            return;
        }
        if component.is_empty() {
            self.stale.push(Stale::Name { parent, name: SELF_BODY.to_owned() });
        } else if !self.is_past_only(dir, component) {
            self.name_is_stale(dir, component);
        }
    }

    /// Whether a directory is gone that the past, which is shown, still has: whoever works in it stays there.
    fn is_past_only(&self, dir: DirId, component: &str) -> bool {
        self.view() != View::Live
            && component.ends_with('/')
            && matches!(self.store.lookup(dir, component), Ok(None))
            && matches!(self.entry(self.view(), dir, component), Ok(Some(_)))
    }

    fn history_changed_elsewhere(&self, dir: DirId, component: &str) {
        if self.view() != View::Live {
            self.name_changed_elsewhere(dir, component);
        }
    }

    fn inode_changed_elsewhere(&self, ino: Ino, data: bool) {
        let id = self.dir_number(DirId(ino.0), false, self.view());
        let Some(node) = self.nodes.get(id) else { return };
        if data {
            node.changed_elsewhere();
        }
        self.stale.push(Stale::Node { id, data });
    }

    fn bucket_changed_elsewhere(&self, name: &str) {
        if self.root == Root::Buckets {
            self.stale.push(Stale::Name { parent: ROOT, name: name.to_owned() });
            self.stale.push(Stale::Node { id: ROOT, data: false });
        }
    }

    /// The names in these directories that the kernel looked up and may know, of one part of the nodes; `None` beyond the last.
    fn names_known(&self, parents: &HashSet<u64>, part: usize) -> Option<Vec<Stale>> {
        let mut stale = Vec::new();
        for node in self.nodes.part(part)? {
            let names: Vec<_> = match &*node.what {
                // Whoever has them locked is in a request about them, which changes them or looks them up.
                _ if Self::is_live(&node) => node.places.lock().owned_names().collect(),
                What::PastFile { dir, component, .. } if self.view() != View::Live => {
                    vec![(*dir, component.to_string())]
                }
                _ => continue,
            };
            for (dir, component) in names {
                let parent = self.dir_number(dir, false, self.view());
                if parents.contains(&parent) {
                    stale.extend(self.name_now(parent, dir, &component));
                }
            }
        }
        Some(stale)
    }

    /// Names that a directory has now, which the kernel may take for absent, some after `after`; and the last one of them
    /// unless that was all.
    fn names_there(&self, parent: u64, after: Option<&str>) -> (Vec<Stale>, Option<String>) {
        let Some(node) = self.nodes.get(parent) else { return (Vec::new(), None) };
        let mut stale = vec![Stale::Node { id: parent, data: false }];
        match *node.what {
            What::Dir { dir, view, .. } if view == self.view() => {
                let page = self.page(view, dir, after, PAGE).unwrap_or_default();
                let last = (page.len() == PAGE).then(|| page.last().map(|(component, _)| component.clone())).flatten();
                for (component, _) in page {
                    stale.extend(self.name_now(parent, dir, &component));
                }
                stale.push(Stale::Name { parent, name: SELF_BODY.to_owned() });
                (stale, last)
            }
            What::Buckets(View::Live) => {
                let buckets = self.store.buckets().unwrap_or_default();
                stale.extend(buckets.into_iter().map(|bucket| Stale::Name { parent, name: bucket.name.to_string() }));
                (stale, None)
            }
            _ => (stale, None),
        }
    }

    /// What to drop of a component that may lead elsewhere now. A directory that the kernel knows by it is left there: one
    /// whose name is dropped looks removed to whoever works in it.
    fn name_now(&self, parent: u64, dir: DirId, component: &str) -> Vec<Stale> {
        if component.ends_with('/')
            && let Some(number) = self.leads_where_known(dir, component)
        {
            return vec![Stale::Node { id: number, data: false }];
        }
        let root = self.nodes.get(parent).is_some_and(|node| matches!(*node.what, What::Dir { root: true, .. }));
        self.names_of(parent, root, component)
    }

    /// What a component's names are; all of it may be wrong once it came, went or stands for something else.
    fn names_of(&self, parent: u64, root: bool, component: &str) -> Vec<Stale> {
        let reserved = self.reserved(root);
        let part = component.strip_suffix('/').unwrap_or(component);
        // KEY-8: what stands under the part's name and beside it depend on each other.
        let shadowed = [false, true].into_iter().filter(|shadowed| !shadowed || !part.is_empty());
        shadowed.map(|shadowed| Stale::Name { parent, name: show(part, shadowed, reserved).into_owned() }).collect()
    }

    /// A component came, went or stands for something else.
    fn name_changed(&self, parent: u64, root: bool, component: &str) {
        for stale in self.names_of(parent, root, component) {
            self.stale.push(stale);
        }
        self.stale.push(Stale::Node { id: parent, data: false });
    }

    /// The number of what a component leads to, when that is what the kernel knows by it.
    fn leads_where_known(&self, dir: DirId, component: &str) -> Option<u64> {
        let view = self.view();
        let entry: Entry = self.entry(view, dir, component).ok()??;
        let number = self.entry_number(view, dir, component, &entry);
        let node = self.nodes.get(number)?;
        if view != View::Live {
            // Nodes of the past do not tell their names.
            return Some(number);
        }
        let places = node.places.try_lock()?;
        places.has(dir, component).then_some(number)
    }

    /// A component changed in a way the kernel cannot know.
    pub(super) fn name_is_stale(&self, dir: DirId, component: &str) {
        let parent = self.dir_number(dir, false, self.view());
        if let Some(node) = self.nodes.get(parent) {
            let root = matches!(*node.what, What::Dir { root: true, .. });
            self.name_changed(parent, root, component);
        }
    }

    /// KEY-6: directories without a marker vanish with their last entry, and the kernel cannot know.
    pub(super) fn settle(&self, mut dir: DirId) {
        loop {
            let (parent, name) = match self.store.directory(dir) {
                Ok(directory) if directory.alive || directory.parent == dir => return,
                Ok(directory) => (directory.parent, directory.name),
                // Gone without history: only its node knows where it was.
                Err(_) => {
                    let node = self.nodes.get(dir.0);
                    let place =
                        node.and_then(|node| node.places.try_lock().and_then(|places| places.owned_names().next()));
                    let Some(place) = place else { return };
                    place
                }
            };
            self.name_is_stale(parent, &name);
            dir = parent;
        }
    }

    /// Whether a node is of the live tree.
    pub(super) fn is_live(node: &Node) -> bool {
        matches!(*node.what, What::File | What::Dir { view: View::Live, .. } | What::Buckets(View::Live))
    }
}
