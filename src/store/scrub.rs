//! Scrub: reads all that counts from the disk, past every cache, and says what is not as it was written, and whose it is.
//!
//! A pass is a value that goes on step by step; the one in the background is kept in the index now and then, so that
//! another process goes on with it. Locks: `state`, a leaf; the reaper's, briefly, for a file that is not there.

mod appended;
mod kept;
mod names;
mod pass;

pub use kept::ScrubStatus;
pub(super) use kept::Scrubs;
pub use pass::ScrubPass;

use super::Store;
use crate::chunklog::{Reach, SegmentId, SoloId};
use crate::model::{Error, Kind, Result, Timestamp};
use crate::sys::sync::atomic::Ordering;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Objects named for one finding; others are counted.
const OBJECTS_NAMED: usize = 16;

/// A file that scrub reads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Place {
    Journal,
    /// Name and family of a table of the index.
    Table(String, String),
    Segment(u64),
    Solo(u64),
    /// Name of the index's list of tables, of a log of its, or of the file that names the list.
    Appended(String),
}

impl Place {
    /// The file below the store's directory in which `what` lies.
    fn file(&self, what: &str) -> String {
        match self {
            Self::Journal => "journal".to_owned(),
            Self::Table(name, family) => format!("meta/{name} ({family})"),
            Self::Appended(name) => format!("meta/{name}"),
            Self::Segment(id) => SegmentId(*id).path().display().to_string(),
            Self::Solo(id) if what == "checksums" => SoloId(*id).path().with_extension("sum").display().to_string(),
            Self::Solo(id) => SoloId(*id).path().display().to_string(),
        }
    }
}

/// A place that is not as it was written; whether that is damage shows when it is known what refers to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Suspect {
    place: Place,
    at: u64,
    len: u64,
    what: String,
    why: String,
    reach: Reach,
}

/// An object whose bytes are hurt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScrubObject {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its version; `upload` for a part of a multipart upload.
    pub version: String,
}

/// Damage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScrubFinding {
    /// The file, below the store's directory.
    pub file: String,
    /// The first bad byte in it.
    pub at: u64,
    /// How many bytes from there on cannot be trusted.
    pub len: u64,
    /// What lies there and what is wrong with it.
    pub what: String,
    /// Objects that have bytes there: some of them when there are many. None when no object does.
    pub objects: Vec<ScrubObject>,
    /// Objects beyond these.
    pub more: u64,
}

impl ScrubFinding {
    /// The bad bytes, for people.
    #[must_use]
    pub fn range(&self) -> String {
        let last = self.at.saturating_add(self.len.saturating_sub(1));
        if last == u64::MAX { format!("from byte {}", self.at) } else { format!("bytes {} to {last}", self.at) }
    }

    /// The objects, for people.
    #[must_use]
    pub fn who(&self) -> String {
        let mut names: Vec<String> = self
            .objects
            .iter()
            .map(|object| format!("{}/{} (version {})", object.bucket, object.key, object.version))
            .collect();
        if self.more > 0 {
            names.push(format!("{} more", self.more));
        }
        names.join(", ")
    }

    fn error(&self) -> Error {
        let error = Error::new(Kind::Corrupt, format!("scrub found damage in {}, {}", self.file, self.range()));
        if self.objects.is_empty() {
            let mend = appended::mend(&self.file)
                .unwrap_or("`keyfold fsck` checks what the store knows; take a copy of the store before anything else");
            return error.why(format!("{}; no object's bytes lie there", self.what)).mend(mend);
        }
        let mend = "restore it from a backup or from an older version (`keyfold versions`); look at the disk's health";
        error.why(format!("{}; it hurts {}", self.what, self.who())).mend(mend)
    }
}

/// What whoever paces the background needs to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScrubTurn {
    /// Somebody asked for a pause.
    pub paused: bool,
    /// A pass by hand runs.
    pub by_hand: bool,
    /// A pass has begun and not ended.
    pub begun: bool,
    /// That pass has found something, or was begun because a reader had.
    pub has_found: bool,
    /// A reader has met bytes that fail their checksum, and no pass has found damage yet: one is due.
    pub alarm: bool,
    /// When the last whole pass began.
    pub last: Option<Timestamp>,
}

/// A pass by hand: while it lives, the background waits and no other is begun.
pub struct ScrubByHand {
    store: Arc<Store>,
    pass: ScrubPass,
}

impl Store {
    /// Tells once more what the last whole pass found, since complaints do not outlive a process.
    pub fn recall_scrub(&self) {
        let last = self.scrubs.state.lock().kept.last.clone();
        last.iter().flat_map(|last| &last.findings).for_each(|finding| self.tell_damage(finding));
    }

    /// What the background has to know.
    #[must_use]
    pub fn scrub_turn(&self) -> ScrubTurn {
        let bad_reads = self.log.stats().bad_frames;
        let state = self.scrubs.state.lock();
        let pass = state.kept.pass.as_ref();
        let known = state.kept.last.as_ref().is_some_and(|last| last.found > 0);
        ScrubTurn {
            paused: state.kept.paused,
            by_hand: state.by_hand.is_some(),
            begun: pass.is_some(),
            has_found: pass.is_some_and(|pass| state.alarmed || pass.has_found()),
            alarm: pass.is_none() && !known && bad_reads > state.bad_reads,
            last: state.kept.last.as_ref().map(|last| last.started),
        }
    }

    /// Pauses the background, or lets it go on; outlives the process.
    ///
    /// # Errors
    /// When the store takes no changes.
    pub fn pause_scrub(&self, paused: bool) -> Result<()> {
        self.writable()?;
        self.scrubs.state.lock().kept.paused = paused;
        self.keep_scrub(true)
    }

    /// Goes on with the pass in the background by about `budget` bytes, or begins one. Returns the bytes checked.
    ///
    /// # Errors
    /// When the index cannot be read; the pass is as it was.
    pub fn scrub_in_background(&self, budget: u64) -> Result<u64> {
        let going = self.scrubs.state.lock().kept.pass.clone();
        let mut pass = going.map_or_else(|| self.first_step(), Ok)?;
        let before = pass.bytes;
        let found = self.scrub_step(&mut pass, budget)?;
        found.iter().for_each(|finding| self.tell_damage(finding));
        let (over, bytes) = (pass.is_over(), pass.bytes - before);
        {
            let kept = &mut self.scrubs.state.lock().kept;
            kept.count(bytes, found.len());
            if over {
                kept.pass = None;
                kept.end(pass, self.now());
            } else {
                kept.pass = Some(pass);
            }
        }
        self.keep_scrub(over || !found.is_empty())?;
        Ok(bytes)
    }

    fn first_step(&self) -> Result<ScrubPass> {
        let alarmed = self.scrub_turn().alarm;
        let pass = self.new_scrub_pass()?;
        let mut state = self.scrubs.state.lock();
        (state.bad_reads, state.alarmed) = (self.log.stats().bad_frames, alarmed);
        Ok(pass)
    }

    /// Lets scrub and fsck fail soon: the process is ending. Passes stay as they were.
    pub fn end_checks(&self) {
        self.scrubs.ending.store(true, Ordering::Relaxed);
    }

    /// An error once [`Store::end_checks`] was called.
    pub(super) fn checks_go_on(&self, check: &str) -> Result<()> {
        if self.scrubs.ending.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::StoreUnavailable, format!("{check} did not come to its end"))
                .why("the process that serves the store is ending")
                .mend("run it again"));
        }
        Ok(())
    }

    /// Begins a pass by hand.
    ///
    /// # Errors
    /// [`Kind::Conflict`] while another runs.
    pub fn scrub_by_hand(self: &Arc<Self>) -> Result<ScrubByHand> {
        let pass = self.new_scrub_pass()?;
        let mut state = self.scrubs.state.lock();
        if state.by_hand.is_some() {
            return Err(Error::new(Kind::Conflict, "cannot scrub the store")
                .why("it is being scrubbed by another command")
                .mend("wait for it to end, or interrupt it; `keyfold status` shows how far it is"));
        }
        state.by_hand = Some(pass.progress());
        Ok(ScrubByHand { store: Arc::clone(self), pass })
    }

    /// Complains of a finding, once in the life of this process.
    fn tell_damage(&self, finding: &ScrubFinding) {
        let name = (finding.file.clone(), finding.at, finding.len);
        if self.scrubs.state.lock().told.insert(name) {
            let first = finding.objects.first();
            let bucket = first.map(|object| object.bucket.as_str());
            let path = first.map_or(finding.file.as_str(), |object| object.key.as_str());
            self.complain("scrub", bucket, path, &finding.error());
        }
    }
}

impl ScrubByHand {
    /// Checks about `budget` bytes; returns how many it were and what was found. The end of the pass is kept.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn step(&mut self, budget: u64) -> Result<(u64, Vec<ScrubFinding>)> {
        let before = self.pass.bytes;
        let found = self.store.scrub_step(&mut self.pass, budget)?;
        found.iter().for_each(|finding| self.store.tell_damage(finding));
        let bytes = self.pass.bytes - before;
        {
            let mut state = self.store.scrubs.state.lock();
            state.kept.count(bytes, found.len());
            state.by_hand = Some(self.pass.progress());
            if self.pass.is_over() {
                // It has seen all that the one in the background was to see.
                state.kept.pass = None;
                state.kept.end(self.pass.clone(), self.store.now());
            }
        }
        if self.pass.is_over() {
            self.store.keep_scrub(true)?;
        }
        Ok((bytes, found))
    }

    /// The pass.
    #[must_use]
    pub const fn pass(&self) -> &ScrubPass {
        &self.pass
    }
}

impl Drop for ScrubByHand {
    fn drop(&mut self) {
        self.store.scrubs.state.lock().by_hand = None;
    }
}
