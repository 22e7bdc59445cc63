//! Compaction without being asked: a thread that looks from time to time, paced so that others hardly notice.

use super::super::Store;
use crate::model::Result;
use crate::sys::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long after one look the next one comes at the earliest.
const LOOK: Duration = Duration::from_secs(5);
/// A look takes at most this part of the time; those for what is to be moved, which go through all names, have their own.
const LOOK_PART: u32 = 50;
/// How long after a pass the next one: the reaper deletes what it emptied.
const PASS: Duration = Duration::from_secs(1);
/// What is left of the rate while others use the store: one part of so many.
const YIELDED: u64 = 4;
/// What the store is asked for, as [`Store::traffic`] counts it, while nobody but compaction uses it: its own commits, and
/// those of the reaper.
const NEARLY_NOTHING: u64 = 32 << 10;
/// Longest rest in which nobody asks whether it goes on.
const REST: Duration = Duration::from_millis(100);
/// How long after a failure.
const FAILED: Duration = Duration::from_secs(30);

/// What keeps the background from compacting.
#[derive(Default)]
pub(in crate::store) struct Brakes {
    paused: AtomicBool,
    /// Whether a pass moves something.
    running: AtomicBool,
    /// Callers who compact by hand and do not want to wait for a paced pass.
    waiting: AtomicUsize,
}

impl Brakes {
    fn are_on(&self) -> bool {
        self.paused.load(Ordering::Relaxed) || self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Keeps the background away until the answer is dropped.
    pub(in crate::store) fn hold(&self) -> Held<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Held(self)
    }
}

pub(in crate::store) struct Held<'a>(&'a Brakes);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Store {
    /// Stops compaction in the background until it is resumed or the store is opened again.
    pub fn pause_compaction(&self, pause: bool) {
        self.brakes.paused.store(pause, Ordering::Relaxed);
    }

    /// What compaction in the background does: `off`, `paused`, `running` or `idle`.
    pub(in crate::store) fn compaction(&self) -> &'static str {
        match &self.brakes {
            _ if self.settings.compact_rate == 0 || self.is_read_only() => "off",
            brakes if brakes.paused.load(Ordering::Relaxed) => "paused",
            brakes if brakes.running.load(Ordering::Relaxed) => "running",
            _ => "idle",
        }
    }

    pub(in crate::store) fn run_compactor(store: &Weak<Self>) {
        let Some(rounds) = store.upgrade().map(|store| Arc::clone(&store.rounds)) else { return };
        let (mut wait, mut seen) = (LOOK, None);
        // When it may be looked again for what is to be moved.
        let mut look = Instant::now();
        while rounds.rest(wait) {
            let Some(store) = store.upgrade() else { return };
            wait = if store.is_scarce() { PASS } else { LOOK };
            let commits = store.commits();
            let moves = look <= Instant::now() && store.may_move();
            if store.brakes.are_on() || (seen == Some(commits) && !moves) {
                continue;
            }
            let began = Instant::now();
            let done = store.tried("compact", store.compact_paced(moves));
            let looked = store.placement.take_looked();
            if moves {
                look = Instant::now() + looked * LOOK_PART;
            }
            match done {
                Some(0) => {
                    seen = Some(commits);
                    wait = wait.max(began.elapsed().saturating_sub(looked) * LOOK_PART);
                }
                Some(_) => wait = PASS,
                None => wait = FAILED,
            }
        }
    }

    /// One pass at the rate of the settings; how many segments, runs and files it was about. Ends when nobody else has the store
    /// any more.
    fn compact_paced(self: &Arc<Self>, moves: bool) -> Result<u64> {
        let (mut traffic, mut own) = (self.traffic(), 0);
        let mut go_on = |bytes: u64| {
            self.brakes.running.store(true, Ordering::Relaxed);
            let before = std::mem::replace(&mut traffic, self.traffic());
            let busy = traffic.saturating_sub(before) > own + NEARLY_NOTHING;
            own = bytes.saturating_mul(2);
            let rate = (self.settings.compact_rate / if busy { YIELDED } else { 1 }).max(1);
            // A disk that is nearly full needs the room at once.
            let micros = if self.is_scarce() { 0 } else { bytes.saturating_mul(1_000_000) / rate };
            let end = Instant::now() + Duration::from_micros(micros);
            loop {
                let left = end.saturating_duration_since(Instant::now());
                if !self.rounds.rest(left.min(REST)) || self.brakes.are_on() || Arc::strong_count(self) == 1 {
                    return false;
                }
                if left <= REST {
                    return true;
                }
            }
        };
        let done = self.pass(self.is_scarce(), moves, &mut go_on);
        self.brakes.running.store(false, Ordering::Relaxed);
        let done = done?;
        if done.segments > 0 {
            tracing::info!(segments = done.segments, copied = done.copied, "compacted");
        }
        if done.moved > 0 {
            tracing::info!(moved = done.moved, copied = done.copied, "moved to other tiers");
        }
        Ok(done.segments + done.moved)
    }
}
