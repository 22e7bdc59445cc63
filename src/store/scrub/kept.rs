//! What is known of scrubbing: in memory, and in the index for the next process.

use super::super::Store;
use super::{ScrubFinding, ScrubPass};
use crate::index::{Family, Index, Read, Record};
use crate::model::{Result, Timestamp};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::AtomicBool;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

const KEY: &[u8] = b"scrub";
/// After how many seconds or bytes a pass that goes on is kept.
const KEEP_SECONDS: i64 = 30;
const KEEP_BYTES: u64 = 256 << 20;

/// A pass that came to its end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
    pub(super) bytes: u64,
    pub(super) found: u64,
    pub(super) findings: Vec<ScrubFinding>,
}

/// What is kept in the index.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The pass in the background.
    pub(super) pass: Option<ScrubPass>,
    pub(super) last: Option<Outcome>,
    pub(super) passes: u64,
    pub(super) bytes: u64,
    pub(super) found: u64,
    pub(super) paused: bool,
}

impl Record for Kept {
    const NAME: &'static str = "scrub";
}

#[derive(Default)]
pub(super) struct State {
    pub(super) kept: Kept,
    /// When, and at how many bytes, it was last written.
    pub(super) written: Option<(Timestamp, u64)>,
    /// Findings told by this process.
    pub(super) told: HashSet<(String, u64, u64)>,
    /// Progress of a pass by hand.
    pub(super) by_hand: Option<(u64, u64)>,
    /// Frames that readers had found bad when the last pass began, and whether that pass began because of one.
    pub(super) bad_reads: u64,
    pub(super) alarmed: bool,
}

/// What a store knows of its scrubbing.
pub(in super::super) struct Scrubs {
    pub(super) state: Mutex<State>,
    /// The process is ending: what takes long does not come to its end.
    pub(super) ending: AtomicBool,
}

impl Scrubs {
    /// What an earlier process left.
    pub(in super::super) fn read(index: &Index) -> Self {
        let kept = index.record(Family::Sys, KEY).unwrap_or_else(|error| {
            tracing::warn!(%error, "scrub begins anew");
            None
        });
        let state = Mutex::new(State { kept: kept.unwrap_or_default(), ..State::default() });
        Self { state, ending: AtomicBool::new(false) }
    }
}

/// How scrubbing stands, as `status` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ScrubStatus {
    /// `idle`, `in progress`, `by hand` or `paused`.
    pub state: &'static str,
    /// Of the pass that runs, or will go on: per cent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<u64>,
    /// When the last whole pass began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_started: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_finished: Option<String>,
    /// What it read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_bytes: Option<u64>,
    /// Damage it found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_findings: Option<u64>,
    /// Whole passes over the store so far.
    pub passes: u64,
    /// Bytes read by all passes.
    pub bytes: u64,
    /// Damage found by all passes, the same each time anew.
    pub findings: u64,
}

impl Store {
    /// How scrubbing stands.
    #[must_use]
    pub fn scrub_status(&self) -> ScrubStatus {
        let state = self.scrubs.state.lock();
        let kept = &state.kept;
        let progress = state.by_hand.or_else(|| kept.pass.as_ref().map(ScrubPass::progress));
        let last = kept.last.as_ref();
        ScrubStatus {
            state: match (state.by_hand, kept.paused, &kept.pass) {
                (Some(_), ..) => "by hand",
                (None, true, _) => "paused",
                (None, false, Some(_)) => "in progress",
                (None, false, None) => "idle",
            },
            progress: progress.map(|(bytes, total)| bytes.saturating_mul(100).checked_div(total).unwrap_or(0).min(99)),
            last_started: last.map(|last| last.started.rfc3339()),
            last_finished: last.map(|last| last.finished.rfc3339()),
            last_bytes: last.map(|last| last.bytes),
            last_findings: last.map(|last| last.found),
            passes: kept.passes,
            bytes: kept.bytes,
            findings: kept.found,
        }
    }

    /// Keeps in the index how far the pass in the background has come: now, or when it is time to.
    ///
    /// # Errors
    /// When the store takes no changes; one that is read-only keeps nothing, which is no error.
    pub fn keep_scrub(&self, now: bool) -> Result<()> {
        if self.writable().is_err() {
            return Ok(());
        }
        let at = self.now();
        let kept = {
            let mut state = self.scrubs.state.lock();
            let due = state.written.is_none_or(|(when, bytes)| {
                at.secs.saturating_sub(when.secs) >= KEEP_SECONDS
                    || state.kept.bytes >= bytes.saturating_add(KEEP_BYTES)
            });
            if !now && !due {
                return Ok(());
            }
            state.written = Some((at, state.kept.bytes));
            state.kept.clone()
        };
        self.transact(|tx| {
            tx.put(Family::Sys, KEY, &kept);
            Ok(())
        })
    }
}

impl Kept {
    /// So much was checked and found. What an earlier process kept may say anything.
    pub(super) fn count(&mut self, bytes: u64, found: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.found = self.found.saturating_add(found as u64);
    }

    pub(super) fn end(&mut self, pass: ScrubPass, finished: Timestamp) {
        self.passes = self.passes.saturating_add(1);
        let ScrubPass { started, bytes, found, findings, .. } = pass;
        self.last = Some(Outcome { started, finished, bytes, found, findings });
    }
}
