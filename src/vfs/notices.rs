//! Notices that wait for the kernel, in a queue that is bounded: the kernel may hang in one of them while others go on
//! changing names.

use super::stale::Stale;
use crate::sys::sync::{Condvar, Mutex};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Notices kept one by one. Of what comes beyond them only the directories and nodes are kept.
pub(super) const ENTRIES_MAX: usize = 65_536;

/// What is to be told.
pub(super) enum Batch {
    /// These.
    Entries(Vec<Stale>),
    /// Whatever the kernel may know in these directories.
    Directories(HashSet<u64>),
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Stale>,
    /// What did not fit: directories of names, and nodes with whether their bytes changed. No more than there are nodes.
    directories: HashSet<u64>,
    nodes: HashMap<u64, bool>,
    /// Directories are next also when other notices wait: neither keeps the other waiting for ever.
    directories_next: bool,
    /// Notices that came before the first of those entries, and before the first of those directories.
    before_entries: u64,
    before_directories: u64,
    /// Notices that ever came, that were taken with all before them, and that the kernel has.
    came: u64,
    taken: u64,
    told: u64,
    attached: bool,
    closed: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.directories.is_empty() && self.nodes.is_empty()
    }

    fn add(&mut self, stale: Stale) {
        if self.entries.back() == Some(&stale) {
            return;
        }
        let before = self.came;
        self.came += 1;
        if self.entries.len() < ENTRIES_MAX {
            if self.entries.is_empty() {
                self.before_entries = before;
            }
            return self.entries.push_back(stale);
        }
        match stale {
            Stale::Name { parent, .. } => {
                if self.directories.is_empty() {
                    self.before_directories = before;
                }
                self.directories.insert(parent);
            }
            Stale::Node { id, data } => *self.nodes.entry(id).or_default() |= data,
        }
    }

    /// Notices that came before all that waits. Nodes wait behind entries only, with which they are taken.
    fn before_all(&self) -> u64 {
        let entries = if self.entries.is_empty() { self.came } else { self.before_entries };
        if self.directories.is_empty() { entries } else { entries.min(self.before_directories) }
    }
}

/// The queue between the view and the door's notifier.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
    told: Condvar,
}

impl Queue {
    pub(super) fn push(&self, stale: Stale) {
        let mut waiting = self.waiting.lock();
        if !waiting.closed {
            waiting.add(stale);
            self.more.notify_one();
        }
    }

    pub(super) fn len(&self) -> usize {
        let waiting = self.waiting.lock();
        waiting.entries.len() + waiting.directories.len() + waiting.nodes.len()
    }

    /// From here on somebody tells the kernel.
    pub(super) fn attach(&self) {
        self.waiting.lock().attached = true;
    }

    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.more.notify_all();
        self.told.notify_all();
    }

    /// What was taken last is told. The next batch, waiting at most `at_most` for one; `None` once nothing will come.
    pub(super) fn next(&self, at_most: Duration) -> Option<Batch> {
        let mut waiting = self.waiting.lock();
        waiting.told = waiting.taken;
        self.told.notify_all();
        if waiting.is_empty() && !waiting.closed {
            self.more.wait_for(&mut waiting, at_most);
        }
        if waiting.is_empty() && waiting.closed {
            return None;
        }
        let directories = !waiting.directories.is_empty() && (waiting.entries.is_empty() || waiting.directories_next);
        waiting.directories_next = !directories;
        let batch = if directories {
            Batch::Directories(std::mem::take(&mut waiting.directories))
        } else {
            let mut entries: Vec<Stale> = waiting.entries.drain(..).collect();
            entries.extend(waiting.nodes.drain().map(|(id, data)| Stale::Node { id, data }));
            Batch::Entries(entries)
        };
        waiting.taken = waiting.before_all();
        Some(batch)
    }

    /// Waits until the kernel has what came before, at most until `end`; whether it has.
    pub(super) fn wait_told(&self, end: Instant) -> bool {
        let mut waiting = self.waiting.lock();
        let came = waiting.came;
        while waiting.told < came && waiting.attached && !waiting.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.told.wait_for(&mut waiting, left);
        }
        true
    }
}
