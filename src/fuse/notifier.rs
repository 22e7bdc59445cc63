//! Tells the kernel what to drop: a thread of its own, because the kernel may wait here for a handler to finish.

use crate::vfs::{Stale, StaleEntries};
use fuser::{INodeNo, Notifier};
use std::ffi::OsStr;
use std::time::{Duration, Instant};

/// After this long everything is told again, in case a reply on its way crossed it.
const AGAIN: Duration = Duration::from_millis(100);

/// Runs until nothing will come any more.
pub(super) fn run(notifier: &Notifier, mut stale: StaleEntries) {
    let mut again: Vec<(Instant, Stale)> = Vec::new();
    while let Some(entries) = stale.wait(if again.is_empty() { Duration::from_secs(3600) } else { AGAIN }) {
        let now = Instant::now();
        let due = again.partition_point(|(at, _)| now.duration_since(*at) >= AGAIN);
        for (_, entry) in again.drain(..due) {
            tell(notifier, &entry);
        }
        for entry in entries {
            tell(notifier, &entry);
            again.push((now, entry));
        }
    }
}

fn tell(notifier: &Notifier, entry: &Stale) {
    let result = match entry {
        Stale::Name { parent, name } => notifier.inval_entry(INodeNo(*parent), OsStr::new(name)),
        Stale::Node { id, data: true } => notifier.inval_inode(INodeNo(*id), 0, 0),
        // A negative offset leaves the pages alone.
        Stale::Node { id, data: false } => notifier.inval_inode(INodeNo(*id), -1, 0),
    };
    if let Err(error) = result {
        tracing::debug!(?entry, %error, "the kernel did not take a notice");
    }
}
