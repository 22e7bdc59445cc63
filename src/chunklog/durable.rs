//! Making one file durable: callers share rounds of fdatasync, and the first failure is the file's last word.
//!
//! Locks: `state` only, never held during I/O.

use super::id::FileKey;
use super::zones::Zones;
use crate::model::{Error, Kind, Result};
use crate::sys::disk::DiskFile;
use crate::sys::sync::atomic::{AtomicBool, Ordering};
use crate::sys::sync::{Condvar, Mutex};
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Directories whose own names are known to be durable.
pub(super) type KnownDirs = Mutex<HashSet<PathBuf>>;

/// Whether the disk, or our share of it, has no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether this process, and not the disk, has run out of what it needs: memory, threads, descriptors.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    const EAGAIN: i32 = 11;
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(EAGAIN | ENOMEM | ENFILE | EMFILE))
}

/// Whether something has run out, and the disk is as well as it was.
pub(super) fn is_scarcity(error: &io::Error) -> bool {
    is_full(error) || is_exhausted(error)
}

/// A file written by this process, until all of it is durable.
pub(super) struct Tracked {
    pub(super) key: FileKey,
    pub(super) file: Arc<dyn DiskFile>,
    /// Whether the file's own sync makes its name durable too, as one in several zones does.
    names_itself: bool,
    dead: AtomicBool,
    state: Mutex<State>,
    turn: Condvar,
}

#[derive(Default)]
struct State {
    /// Writes completed, and how many of these a sync has covered.
    written: u64,
    durable: u64,
    syncing: bool,
    /// Places written and covered by no sync yet.
    fresh: Vec<u32>,
    /// Of these, what a sync that runs at this moment covers.
    coming: Vec<u32>,
    /// Places written whose sync failed: they are never durable.
    lost: BTreeSet<u32>,
    failure: Option<Failure>,
    named: bool,
    /// No more writes will come.
    finished: bool,
    /// Removed by its owner: nothing of it needs to be durable.
    gone: bool,
}

#[derive(Clone)]
struct Failure {
    kind: Kind,
    why: String,
}

impl Tracked {
    pub(super) fn new(key: FileKey, file: Arc<dyn DiskFile>, names_itself: bool) -> Self {
        let state = Mutex::new(State::default());
        Self { key, file, names_itself, dead: AtomicBool::new(false), state, turn: Condvar::new() }
    }

    /// Whether a write or sync failed, so that nothing more may be written.
    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Whether its name is durable, and every sync of it so far succeeded.
    pub(super) fn is_named(&self) -> bool {
        let state = self.state.lock();
        state.named && state.failure.is_none()
    }

    /// Notes completed writes at `places`. False when the file failed meanwhile: they will never be durable.
    pub(super) fn wrote(&self, places: impl IntoIterator<Item = u32>) -> bool {
        let mut state = self.state.lock();
        if state.failure.is_some() {
            return false;
        }
        state.written += 1;
        for place in places {
            if state.fresh.last() != Some(&place) {
                state.fresh.push(place);
            }
        }
        true
    }

    /// Notes that a write failed: no more may follow. What was written before is as good as it was.
    pub(super) fn give_up(&self) {
        self.dead.store(true, Ordering::Release);
    }

    /// Notes that a sync failed: what no sync has covered is lost.
    fn fail(&self, state: &mut State, error: &io::Error) {
        self.give_up();
        let fresh = std::mem::take(&mut state.fresh);
        state.lost.extend(fresh);
        if state.failure.is_none() {
            let kind = if is_full(error) { Kind::Full } else { Kind::Io };
            state.failure = Some(Failure { kind, why: error.to_string() });
        }
    }

    /// Makes durable all that was noted before the call, alone or with others in one round. What failed is in
    /// [`Tracked::verdict`].
    pub(super) fn sync(&self, zones: &Zones) {
        let mut state = self.state.lock();
        let target = state.written;
        loop {
            if state.durable >= target || state.gone {
                return;
            }
            if state.syncing {
                self.turn.wait(&mut state);
                continue;
            }
            if state.failure.is_some() {
                return;
            }
            state.syncing = true;
            let (covers, named) = (state.written, state.named);
            state.coming = std::mem::take(&mut state.fresh);
            drop(state);
            let outcome = self.round(zones, named);
            state = self.state.lock();
            state.syncing = false;
            let round = std::mem::take(&mut state.coming);
            match outcome {
                Ok(()) => {
                    state.durable = covers;
                    state.named = true;
                }
                Err(_) if state.gone => {}
                Err(error) => {
                    state.lost.extend(round);
                    self.fail(&mut state, &error);
                }
            }
            self.turn.notify_all();
        }
    }

    fn round(&self, zones: &Zones, named: bool) -> io::Result<()> {
        self.file.sync_data()?;
        if named || self.names_itself {
            return Ok(());
        }
        let path = self.key.path();
        zones.own().sync_names(path.parent().unwrap_or(Path::new("")))
    }

    /// The error of the writes at `places`, or of any write when `None`, if they are lost. Always the same answer
    /// until [`Tracked::settle`].
    pub(super) fn verdict(&self, places: Option<&[u32]>) -> Result<()> {
        let state = self.state.lock();
        let lost = match places {
            Some(places) => places.iter().any(|place| state.lost.contains(place)),
            None => !state.lost.is_empty(),
        };
        match &state.failure {
            Some(failure) if lost => Err(Error::new(failure.kind, format!("{} could not be made durable", self.key))
                .why(failure.why.clone())
                .mend("write the data again: it goes to another file")),
            _ => Ok(()),
        }
    }

    /// Places that can never be durable.
    pub(super) fn lost(&self) -> Vec<u32> {
        self.state.lock().lost.iter().copied().collect()
    }

    /// Places written and covered by no sync yet, or by one that failed.
    pub(super) fn unsynced(&self) -> HashSet<u32> {
        let state = self.state.lock();
        state.fresh.iter().chain(&state.lost).chain(&state.coming).copied().collect()
    }

    /// Forgets a loss, which the owner has made good or refused.
    pub(super) fn settle(&self, place: u32) {
        self.state.lock().lost.remove(&place);
    }

    /// No more writes will come.
    pub(super) fn finish(&self) {
        self.state.lock().finished = true;
    }

    /// Whether no more writes will come.
    pub(super) fn is_finished(&self) -> bool {
        self.state.lock().finished
    }

    /// The file was removed.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        state.gone = true;
        state.lost.clear();
        state.fresh.clear();
        self.turn.notify_all();
    }

    /// Whether there is nothing left to wait for or to report.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.state.lock();
        let quiet = state.durable == state.written || state.failure.is_some();
        state.gone || state.finished && !state.syncing && quiet && state.lost.is_empty()
    }
}
