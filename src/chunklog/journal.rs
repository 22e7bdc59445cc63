//! The journal: one file, written over and over, that makes a small durability round one write and one sync.
//!
//! A round that somebody waits for and that moved little would else sync a segment and the index's log, each with its
//! file's metadata. Instead the index's batch and the runs it points at go into the journal, whose blocks are there
//! since it was made; segment and index's log are written as well, and synced later, together for many rounds. From
//! then on the journal begins again at its start.
//!
//! After a crash the entries since that moment are written once more to where they belong. They are found as a chain:
//! each names the commit it follows, and the first follows the last commit the index was synced with.

use super::format::journal::{self, ENTRY_ALIGN, Entry, RawRun};
use super::id::{FileKey, Run, SegmentId};
use super::log::ChunkLog;
use super::scrub::{Flawed, Reach};
use super::zones::Zones;
use crate::model::{Error, Result};
use crate::sys::disk::{Access, Disk, DiskFile};
use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

const FILE: &str = "journal";
/// Bytes of the file, on a disk that has 256 times as many.
const BYTES: u64 = 4 << 20;
/// Runs longer than this are not worth writing twice, nor so many bytes of them at once.
const RUN_BYTES: u32 = 64 << 10;
const RUNS_BYTES: u64 = 256 << 10;

/// The journal of a store. One round at a time uses it.
pub struct Journal {
    disk: Arc<dyn Disk>,
    store: [u8; 16],
    file: Option<Arc<dyn DiskFile>>,
    /// Bytes of the file, at most [`BYTES`]: what is behind is not ours.
    room: u64,
    /// Where the next entry goes.
    at: u64,
    /// Runs in the entries before `at`.
    held: Vec<Run>,
    fault: Option<Fault>,
}

/// Why the journal is out of use.
struct Fault {
    why: String,
    /// A sync failed, and nobody knows what the disk has: this opening of the store does without. After a write that failed,
    /// as on a full disk, it is tried again when the journal begins anew.
    is_final: bool,
}

impl Journal {
    /// The journal on `disk`, which may have none yet. Opened for reading, it only tells its entries.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(disk: Arc<dyn Disk>, store: [u8; 16], access: Access) -> Result<Self> {
        let file = match disk.open(Path::new(FILE), access) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("cannot open the journal", error)),
        };
        let room = match &file {
            Some(file) => file.size().map_err(|error| Error::io("cannot open the journal", error))?.min(BYTES),
            None => 0,
        };
        Ok(Self { disk, store, file, room, at: 0, held: Vec::new(), fault: None })
    }

    /// The entries whose chain begins after commit `synced`. What ends the chain was never acknowledged.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn entries(&self, synced: u64) -> Result<Vec<Entry>> {
        self.chain(Some(synced))
    }

    /// The chain that begins with the first entry, for who has lost the index. Some of it may have been written to where
    /// it belongs; what it says of runs holds nevertheless, since they never change.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn all_entries(&self) -> Result<Vec<Entry>> {
        self.chain(None)
    }

    fn chain(&self, from: Option<u64>) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        let Some(file) = &self.file else { return Ok(found) };
        let failed = |error| {
            Error::io("cannot read the journal", error)
                .mend("move the file `journal` out of the store to open it without the last changes")
        };
        let (mut at, mut last) = (0, from);
        loop {
            let mut fixed = [0; journal::FIXED_BYTES];
            let read = file.read_at(at, &mut fixed).map_err(failed)?;
            let Ok(total) = journal::total(&fixed[..read]) else { return Ok(found) };
            if at + u64::from(total) > self.room {
                return Ok(found);
            }
            let mut bytes = vec![0; total as usize];
            let read = file.read_at(at, &mut bytes).map_err(failed)?;
            match journal::decode(&self.store, at as u32, &bytes[..read]) {
                Ok(entry) if last.is_none_or(|last| entry.before == last) => {
                    (at, last) = (at + u64::from(total), Some(entry.commit));
                    found.push(entry);
                }
                _ => return Ok(found),
            }
        }
    }

    /// Writes the runs of entries to their segments once more, in all zones, and syncs these. A segment that no zone has was
    /// deleted since, or lies in one that is lost: then its runs are kept in the store's own directory. Lost zones are in doubt
    /// from the first number of all these on, on the disk before the entries are spent; the answer, when there are any.
    ///
    /// # Errors
    /// What the store's own disk says; [`Kind::Conflict`](crate::model::Kind::Conflict) when such a segment may lie in a zone that
    /// was left out of the configuration.
    pub fn restore(&self, entries: &[Entry], zones: &Zones) -> Result<Option<u64>> {
        let mut found = BTreeSet::new();
        for (zone, member) in zones.each().filter(|(_, member)| member.is_there()) {
            match restore_to(&*member.disk, entries) {
                Err(error) if zone > 0 => zones.lose(zone, error.reason()),
                restored => found.extend(restored?),
            }
        }
        let runs = || entries.iter().flat_map(|entry| &entry.runs);
        let first = runs().map(|run| run.segment.0).min();
        if let Some(first) = first {
            zones.doubt_lost(first)?;
        }
        zones.keep_at_home(&runs().filter(|run| !found.contains(&run.segment)).collect::<Vec<_>>())?;
        Ok(first)
    }

    /// Makes an entry durable, of a batch and of `runs` as [`ChunkLog::raw`] gave them. False when it does not fit, or the
    /// journal is out of use: nothing was written then.
    pub fn append(&mut self, before: u64, commit: u64, batch: &[u8], runs: &[Run], raw: &[RawRun]) -> bool {
        if self.fault.is_some() {
            return false;
        }
        let total = journal::entry_bytes(batch, raw);
        let written = self.make().and_then(|()| {
            let Some(file) = self.file.as_ref().filter(|_| self.at + total <= self.room) else { return Ok(false) };
            let entry = journal::encode(&self.store, self.at as u32, before, commit, batch, raw);
            file.write_at(self.at, &entry).map_err(Fault::passing)?;
            file.sync_data().map_err(Fault::of_a_sync)?;
            Ok(true)
        });
        match written {
            Ok(true) => {
                self.at += total;
                self.held.extend(runs);
                true
            }
            Ok(false) => false,
            Err(fault) => {
                self.fault = Some(fault);
                false
            }
        }
    }

    /// Makes the file when it is not there in full; never takes the last of a disk.
    fn make(&mut self) -> std::result::Result<(), Fault> {
        if self.file.is_some() && self.room >= BYTES {
            return Ok(());
        }
        let space = self.disk.space().map_err(Fault::passing)?;
        if space.total < 256 * BYTES || space.free < space.total / 32 {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => self.disk.create_new(Path::new(FILE)).map_err(Fault::passing)?,
        };
        // Kept also when the rest fails: the next attempt goes on with it.
        self.file = Some(Arc::clone(&file));
        let zeros = vec![0; BYTES as usize];
        file.write_at(self.room, &zeros[self.room as usize..]).map_err(Fault::passing)?;
        file.sync_data().map_err(Fault::of_a_sync)?;
        self.disk.sync_dir(Path::new("")).map_err(Fault::of_a_sync)?;
        self.room = BYTES;
        Ok(())
    }

    /// Checks the entries that count as the disk has them: each that does not verify, with its place and why. What is
    /// behind a bad one is not looked at, since nobody would find it either.
    #[must_use]
    pub fn scrub(&self) -> Option<Flawed> {
        if self.at == 0 || self.fault.is_some() {
            return None;
        }
        let flawed = |at, why| Flawed { at, len: self.at - at, what: "entries", why, reach: Reach::Nothing };
        let file = match self.disk.open(Path::new(FILE), Access::Direct) {
            Ok(file) => file,
            Err(error) => return Some(flawed(0, error.to_string())),
        };
        let mut at = 0;
        while at < self.at {
            match self.entry(&*file, at) {
                Ok(total) => at += total,
                Err(why) => return Some(flawed(at, why)),
            }
        }
        None
    }

    /// Bytes of the entry at `at`, which must verify.
    fn entry(&self, file: &dyn DiskFile, at: u64) -> std::result::Result<u64, String> {
        let mut fixed = [0; journal::FIXED_BYTES];
        let read = file.read_at(at, &mut fixed).map_err(|error| error.to_string())?;
        let total = journal::total(&fixed[..read]).map_err(|flaw| flaw.to_string())?;
        if at + u64::from(total) > self.room {
            return Err("it reaches beyond the file".to_owned());
        }
        let mut bytes = vec![0; total as usize];
        let read = file.read_at(at, &mut bytes).map_err(|error| error.to_string())?;
        journal::decode(&self.store, at as u32, &bytes[..read]).map_err(|flaw| flaw.to_string())?;
        Ok(u64::from(total))
    }

    /// Whether something in it is not yet synced where it belongs.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.at > 0
    }

    /// The runs that only the journal makes durable.
    #[must_use]
    pub fn held(&self) -> &[Run] {
        &self.held
    }

    /// Begins anew: all it holds is synced where it belongs, and so is the index.
    pub fn restart(&mut self) {
        self.at = 0;
        self.held.clear();
        self.fault = self.fault.take().filter(|fault| fault.is_final);
    }

    /// Why it is out of use at present.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.fault.as_ref().map(|fault| fault.why.as_str())
    }
}

/// Writes the runs of entries to the segments of one disk; those that are there.
fn restore_to(disk: &dyn Disk, entries: &[Entry]) -> Result<BTreeSet<SegmentId>> {
    let mut files = BTreeMap::new();
    for run in entries.iter().flat_map(|entry| &entry.runs) {
        let key = FileKey::Segment(run.segment);
        let failed = |error| Error::io(format!("cannot restore the end of {key}"), error);
        let file = match files.entry(run.segment) {
            Slot::Occupied(file) => file.into_mut(),
            Slot::Vacant(slot) => match disk.open(&key.path(), Access::Write) {
                Ok(file) => slot.insert(file),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            },
        };
        file.write_at(u64::from(run.offset), &run.bytes).map_err(failed)?;
    }
    for (id, file) in &files {
        file.sync_data().map_err(|error| Error::io(format!("cannot restore the end of segment {id}"), error))?;
    }
    Ok(files.into_keys().collect())
}

impl Fault {
    fn passing(error: io::Error) -> Self {
        Self { why: error.to_string(), is_final: false }
    }

    fn of_a_sync(error: io::Error) -> Self {
        Self { why: format!("a sync of it failed: {error}"), is_final: true }
    }
}

impl ChunkLog {
    /// The bytes of runs that a journal may make durable in place of a sync: few of them, in segments whose names are
    /// durable. `None` when any of them is of another kind.
    #[must_use]
    pub fn raw(&self, runs: &[Run]) -> Option<Vec<RawRun>> {
        let small = runs.iter().all(|run| run.len <= RUN_BYTES);
        if !small || runs.iter().map(|run| u64::from(run.len)).sum::<u64>() > RUNS_BYTES {
            return None;
        }
        let raw = |run: &Run| {
            let tracked = Arc::clone(self.0.tracked.lock().get(&FileKey::Segment(run.segment))?);
            if !tracked.is_named() {
                return None;
            }
            let bytes = super::format::run::read_raw(&*tracked.file, run.offset, run.len)?;
            Some(RawRun { segment: run.segment, offset: run.offset, bytes })
        };
        runs.iter().map(raw).collect()
    }
}

const _: () = assert!(BYTES.is_multiple_of(ENTRY_ALIGN));
