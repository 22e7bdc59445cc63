//! What is shown of a file while a change of it waits for the disk.
//!
//! Such a change holds the file's session locked. Whoever asks for attributes meanwhile is told those from before the
//! change, which is right as long as the change has not returned, and waits for no disk.

use super::node::Node;
use super::session::{Opened, Shown};
use crate::sys::sync::{Mutex, try_lock_for};
use std::collections::HashMap;
use std::time::Duration;

/// How long a session that is locked is waited for before it is looked up here.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Files with a change under way that may wait for the disk, by their numbers.
#[derive(Default)]
pub(super) struct Stalled(Mutex<HashMap<u64, Shown>>);

/// A change under way; over when dropped, which comes before the session is unlocked.
pub(super) struct UnderWay<'a> {
    stalled: &'a Stalled,
    id: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.stalled.0.lock().remove(&self.id);
    }
}

impl Stalled {
    /// Notes what a node's session, which is locked, shows until the change is over.
    pub(super) fn begin(&self, id: u64, opened: &Opened) -> UnderWay<'_> {
        self.0.lock().insert(id, opened.shown());
        UnderWay { stalled: self, id }
    }

    /// What a node's session shows; `None` without a session.
    pub(super) fn shown(&self, node: &Node) -> Option<Shown> {
        loop {
            if let Some(slot) = try_lock_for(&node.opened, LOOK_AGAIN) {
                return slot.as_deref().map(Opened::shown);
            }
            if let Some(shown) = self.0.lock().get(&node.id) {
                return Some(*shown);
            }
        }
    }
}
