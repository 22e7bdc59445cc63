//! What must not be freed yet: contents that somebody reads, and runs that no content names yet.

use crate::model::ContentId;
use crate::sys::sync::{Condvar, Mutex, RwLock, RwLockReadGuard};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

#[derive(Default)]
struct PinState {
    held: HashMap<ContentId, usize>,
    freeing: HashSet<ContentId>,
    /// Being freed by the commit that takes their last name: until it is over nobody knows whether they are there.
    taking: HashSet<ContentId>,
}

/// Contents in use by readers.
#[derive(Default)]
pub(super) struct Pins {
    state: Mutex<PinState>,
    taken: Condvar,
}

impl Pins {
    /// Keeps a content from being freed; `None` when it is being freed already.
    pub(super) fn pin(self: &Arc<Self>, id: ContentId) -> Option<Pin> {
        // The empty content is never stored, so it is never freed.
        if id != ContentId::EMPTY {
            let mut state = self.state.lock();
            while state.taking.contains(&id) {
                self.taken.wait(&mut state);
            }
            if state.freeing.contains(&id) {
                return None;
            }
            *state.held.entry(id).or_insert(0) += 1;
        }
        Some(Pin { pins: Arc::clone(self), id })
    }

    fn unpin(&self, id: ContentId) {
        let mut state = self.state.lock();
        if let Some(count) = state.held.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                state.held.remove(&id);
            }
        }
    }

    /// Claims a content for freeing; false while somebody reads it.
    pub(super) fn begin_free(&self, id: ContentId) -> bool {
        let mut state = self.state.lock();
        if state.held.contains_key(&id) {
            return false;
        }
        state.freeing.insert(id)
    }

    pub(super) fn end_free(&self, id: ContentId) {
        self.state.lock().freeing.remove(&id);
    }

    /// Claims a content that the caller alone has pinned; who else comes to pin it waits until the claim is dropped.
    fn take(self: &Arc<Self>, id: ContentId) -> Option<Taking> {
        let mut state = self.state.lock();
        if state.held.get(&id) != Some(&1) || state.freeing.contains(&id) {
            return None;
        }
        state.taking.insert(id).then(|| Taking { pins: Arc::clone(self), id })
    }
}

/// A content claimed by the commit that frees it, held until that commit can be seen.
pub(super) struct Taking {
    pins: Arc<Pins>,
    id: ContentId,
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.pins.state.lock().taking.remove(&self.id);
        self.pins.taken.notify_all();
    }
}

/// Keeps a version's bytes from being freed, whatever happens to its name, for as long as this is held.
pub(super) struct Pin {
    pins: Arc<Pins>,
    id: ContentId,
}

impl Pin {
    /// Claims the content, if this is its only pin.
    pub(super) fn take(&self) -> Option<Taking> {
        self.pins.take(self.id)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.unpin(self.id);
    }
}

/// Segments and one-object files that hold data no content names yet, by how many write sessions.
#[derive(Default)]
pub(super) struct Pending {
    files: Mutex<HashMap<u64, usize>>,
    /// Shared from before an append until its segment is noted.
    noting: RwLock<()>,
}

impl Pending {
    /// Held while data is appended and its file noted.
    pub(super) fn noting(&self) -> RwLockReadGuard<'_, ()> {
        self.noting.read_recursive()
    }

    /// Waits until every append so far is noted.
    pub(super) fn settle(&self) {
        drop(self.noting.write());
    }

    pub(super) fn has(&self, file: u64) -> bool {
        self.files.lock().contains_key(&file)
    }

    fn add(&self, file: u64) {
        *self.files.lock().entry(file).or_insert(0) += 1;
    }

    fn remove(&self, file: u64) {
        let mut files = self.files.lock();
        if let Some(count) = files.get_mut(&file) {
            *count -= 1;
            if *count == 0 {
                files.remove(&file);
            }
        }
    }
}

/// The files a write session has put data into since it was last published.
pub(super) struct PendingSet {
    pending: Arc<Pending>,
    files: HashSet<u64>,
}

impl PendingSet {
    pub(super) fn new(pending: &Arc<Pending>) -> Self {
        Self { pending: Arc::clone(pending), files: HashSet::new() }
    }

    pub(super) fn add(&mut self, file: u64) {
        if self.files.insert(file) {
            self.pending.add(file);
        }
    }

    pub(super) fn clear(&mut self) {
        for file in self.files.drain() {
            self.pending.remove(file);
        }
    }
}

impl Drop for PendingSet {
    fn drop(&mut self) {
        self.clear();
    }
}
