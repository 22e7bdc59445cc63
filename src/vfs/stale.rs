//! What the kernel must be told to drop: queued here, sent by the door's own thread, never inside a handler.

use super::node::{View, What};
use super::spelling::show;
use super::{Node, Vfs};
use crate::model::DirId;
use crate::store::Invalidate;
use crate::sys::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

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

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Stale>,
    closed: bool,
}

/// The queue between the view and the door's notifier.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

impl Queue {
    pub(super) fn push(&self, stale: Stale) {
        let mut waiting = self.waiting.lock();
        if !waiting.closed && waiting.entries.back() != Some(&stale) {
            waiting.entries.push_back(stale);
            self.more.notify_one();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.lock().entries.len()
    }

    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.more.notify_all();
    }
}

/// The door's end of the queue; it does not keep the view alive.
pub struct StaleEntries(Arc<Queue>);

impl StaleEntries {
    /// What became stale, waiting at most `at_most` for it; `None` once nothing will come any more.
    #[must_use]
    pub fn wait(&self, at_most: Duration) -> Option<Vec<Stale>> {
        let mut waiting = self.0.waiting.lock();
        if waiting.entries.is_empty() && !waiting.closed {
            self.0.more.wait_for(&mut waiting, at_most);
        }
        if waiting.entries.is_empty() && waiting.closed {
            return None;
        }
        Some(waiting.entries.drain(..).collect())
    }

    /// Ends the waiting, now and later.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Vfs {
    /// What the kernel must drop, for the door's notifier thread.
    #[must_use]
    pub fn stale_entries(&self) -> StaleEntries {
        StaleEntries(Arc::clone(&self.stale))
    }

    /// Hears of changes that other doors make.
    pub(super) fn listen(self: &Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(self);
        self.store.on_change(Box::new(move |change| {
            if let Some(vfs) = weak.upgrade() {
                vfs.changed_elsewhere(change);
            }
        }));
    }

    /// Waits for no lock that a handler may hold while it calls the store.
    fn changed_elsewhere(&self, change: &Invalidate) {
        if change.component.is_empty() {
            self.node_is_stale(self.dir_number(change.dir, false, View::Live), false);
        } else {
            self.name_may_be_stale(change.dir, &change.component);
        }
        if let Some(ino) = change.ino {
            self.node_is_stale(ino.0, true);
        }
        self.settle(change.dir);
    }

    /// A component came, went or stands for something else.
    fn name_changed(&self, parent: u64, root: bool, component: &str) {
        let reserved = self.reserved(root);
        let part = component.strip_suffix('/').unwrap_or(component);
        // KEY-8: what stands under the part's name and beside it depend on each other.
        for shadowed in [false, true] {
            if shadowed && part.is_empty() {
                continue;
            }
            self.stale.push(Stale::Name { parent, name: show(part, shadowed, reserved).into_owned() });
        }
        self.stale.push(Stale::Node { id: parent, data: false });
    }

    /// A component may lead elsewhere now. Where it leads to what the kernel knows by it, the name is left alone: a
    /// directory whose name is dropped looks removed to whoever works in it.
    pub(super) fn name_may_be_stale(&self, dir: DirId, component: &str) {
        if let Ok(Some(entry)) = self.store.lookup(dir, component) {
            let number = self.entry_number(View::Live, dir, component, &entry);
            let known = self.nodes.get(number).is_some_and(|node| {
                let places = node.places.try_lock();
                places.is_some_and(|places| places.has(dir, component))
            });
            if known {
                self.node_is_stale(number, false);
                self.node_is_stale(self.dir_number(dir, false, View::Live), false);
                return;
            }
        }
        self.name_is_stale(dir, component);
    }

    /// A component changed by this mount in a way the kernel cannot know.
    pub(super) fn name_is_stale(&self, dir: DirId, component: &str) {
        let parent = self.dir_number(dir, false, View::Live);
        if let Some(node) = self.nodes.get(parent) {
            let root = matches!(*node.what, What::Dir { root: true, .. });
            self.name_changed(parent, root, component);
        }
    }

    /// A node's attributes changed by this mount in a way the kernel cannot know.
    pub(super) fn node_is_stale(&self, id: u64, data: bool) {
        if self.nodes.get(id).is_some() {
            self.stale.push(Stale::Node { id, data });
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
