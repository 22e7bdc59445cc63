//! Keeping the number of files that the kernel knows within bounds: each costs memory here, for as long as it does.
//!
//! The kernel forgets by itself only when it is short of memory. So beyond a number it is told to drop names of files that
//! nobody has open, some at a time, and a listing does not make it look at what it lists.

use super::node::{View, What};
use super::{Stale, Vfs};
use crate::vfs::spelling::show;

/// Names dropped at once at most.
const STEP: usize = 8192;

impl Vfs {
    /// Whether the kernel knows as many files as it may.
    pub(super) fn is_crowded(&self) -> bool {
        self.settings.nodes_max.is_some_and(|most| self.nodes.count() >= most)
    }

    /// Has the kernel drop names when it knows too many files.
    pub(super) fn trim(&self) {
        let Some(most) = self.settings.nodes_max else { return };
        let count = self.nodes.count();
        // What it was told before it may not have dropped yet.
        if count <= most || self.stale.len() > STEP {
            return;
        }
        for node in self.nodes.some_idle(count, STEP.min(count - most + most / 16)) {
            let Some(places) = node.places.try_lock() else { continue };
            for (dir, component) in places.names() {
                let parent = self.dir_number(dir, false, View::Live);
                let Some(above) = self.nodes.get(parent) else { continue };
                let root = matches!(*above.what, What::Dir { root: true, .. });
                let name = show(component, false, self.reserved(root)).into_owned();
                self.stale.push(Stale::Name { parent, name });
            }
        }
    }
}
