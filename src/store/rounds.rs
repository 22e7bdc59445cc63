//! Durability rounds: one thread makes commits durable in the only order that is safe.
//!
//! Close the index's stage, sync the chunk log, write the stage to RocksDB with its log synced. Whoever waits for a
//! commit shares the round with all others that wait (group commit). Without waiters a round runs once an interval.
//! A small round that somebody waits for goes through the journal instead, and a later one syncs what it left.

use super::Store;
use crate::chunklog::{Run, SegmentId, SoloId};
use crate::index::{Index, Source};
use crate::model::{Error, Kind, Result, Timestamp};
use crate::sys::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sys::sync::{Condvar, Mutex, MutexGuard, thread};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long, and after how long each time, a commit is tried again that found the disk full.
const FULL_PATIENCE: Duration = Duration::from_secs(2);
const FULL_PAUSE: Duration = Duration::from_millis(50);
/// After how long a round that failed is repeated when nobody waits for it: the first time, and at most.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long a reading of the disk's free space is believed, in milliseconds, and how often: what is let in takes more room
/// than it says.
const SPACE_AGE: i64 = 200;
const SPACE_USES: u32 = 64;

/// What the disk said of its free space, less what was let in since.
#[derive(Clone, Copy)]
struct Reading {
    when: Timestamp,
    bytes: u64,
    uses: u32,
}

impl Reading {
    /// Whether it is believed. One from before the clock was set back is not.
    fn holds(&self, now: Timestamp) -> bool {
        self.when <= now && now.millis() - self.when.millis() < SPACE_AGE && self.uses < SPACE_USES
    }
}

/// Whether rounds write in a wrong order, the index before the data it points at, so that a test of power cuts can show
/// that it would notice. Debug builds only.
fn wrong_order() -> bool {
    cfg!(debug_assertions) && std::env::var_os("KEYFOLD_WRONG_ORDER").is_some()
}

/// Where the bytes of commits lie that no round has made durable yet. A round syncs these and leaves alone what
/// sessions have written and not published, however much that is.
#[derive(Default)]
pub(super) struct Unsynced(Mutex<(Vec<Run>, Vec<SoloId>)>);

impl Unsynced {
    /// Called inside the transaction that names the bytes; one that fails leaves a name too many, which is harmless.
    pub(super) fn note(&self, source: Source) {
        let mut noted = self.0.lock();
        match source {
            Source::Hole | Source::Lost => {}
            Source::Run { segment, offset, len, .. } => {
                noted.0.push(Run { segment: SegmentId(segment), offset, len });
            }
            Source::Solo { id, .. } => noted.1.push(SoloId(id)),
        }
    }

    fn take(&self) -> (Vec<Run>, Vec<SoloId>) {
        std::mem::take(&mut *self.0.lock())
    }
}

#[derive(Default)]
struct State {
    done: u64,
    wanted: u64,
    /// Rounds that failed, and what the last failure was.
    failures: u64,
    failed_up_to: u64,
    problem: Option<(Kind, String)>,
    /// Since when a round has been running, while one is.
    running: Option<Timestamp>,
    stop: bool,
}

pub(super) struct Rounds {
    interval: Duration,
    /// Whether others may free space and run rounds meanwhile.
    workers: bool,
    reserve: u64,
    state: Mutex<State>,
    wake: Condvar,
    finished: Condvar,
    /// Told of rounds that left nothing to later ones.
    settled: Condvar,
    crowded: AtomicBool,
    space: Mutex<Option<Reading>>,
    rounds: AtomicU64,
    wrong_order: bool,
}

impl Rounds {
    pub(super) fn new(interval: Duration, reserve: u64, done: u64, workers: bool) -> Self {
        let state = Mutex::new(State { done, ..State::default() });
        Self {
            interval,
            workers,
            reserve,
            state,
            wake: Condvar::new(),
            finished: Condvar::new(),
            settled: Condvar::new(),
            crowded: AtomicBool::new(false),
            space: Mutex::new(None),
            rounds: AtomicU64::new(0),
            wrong_order: wrong_order(),
        }
    }

    /// Rounds that wrote something since the store was opened.
    pub(super) fn count(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Since when a round has been running.
    pub(super) fn running_since(&self) -> Option<Timestamp> {
        self.state.lock().running
    }

    /// Nobody waits for commits up to `done`: they stay in memory.
    pub(super) fn nothing_to_do(&self, done: u64) {
        self.state.lock().done = done;
    }

    /// Called after each commit: starts a round when more than `much` is staged.
    pub(super) fn notice(&self, index: &Index, much: usize) {
        if index.staged_bytes() > much && !self.crowded.swap(true, Ordering::Relaxed) {
            let _state = self.state.lock();
            self.wake.notify_one();
        }
    }

    /// The last commit that is durable.
    pub(super) fn done(&self) -> u64 {
        self.state.lock().done
    }

    /// Waits while the stage holds `most` bytes and a round may empty it.
    fn make_room(&self, index: &Index, most: usize) {
        if index.staged_bytes() < most {
            return;
        }
        let mut state = self.state.lock();
        let failures = state.failures;
        while index.staged_bytes() >= most && state.failures == failures && !state.stop {
            self.wake.notify_one();
            self.finished.wait_for(&mut state, Duration::from_millis(100));
        }
    }

    /// Refuses `len` bytes of new data when less than the reserve would be free. `free` asks the disk; nothing is
    /// refused without asking. `now` is the instant of the store's clock.
    pub(super) fn room(&self, len: u64, now: Timestamp, free: &dyn Fn() -> Result<u64>) -> Result<()> {
        let needed = self.reserve.saturating_add(len);
        let mut space = self.space.lock();
        let reading = match &mut *space {
            Some(reading) if reading.holds(now) && reading.bytes >= needed => reading,
            space => space.insert(Reading { when: now, bytes: free()?, uses: 0 }),
        };
        let bytes = reading.bytes;
        if bytes >= needed {
            // Until the disk is asked again, what was let in counts as written.
            reading.bytes -= len;
            reading.uses += 1;
            return Ok(());
        }
        Err(Error::new(Kind::Full, "cannot store new data")
            .why(format!(
                "{bytes} bytes are free on the store's disk, without what is still in memory, and {} are kept in reserve",
                self.reserve
            ))
            .mend("delete objects or versions, which always works, or give the disk more room"))
    }

    pub(super) fn reserve_bytes(&self) -> u64 {
        self.reserve
    }

    pub(super) fn stopping(&self) -> bool {
        self.state.lock().stop
    }

    /// Waits until a round has left nothing to later ones, or `at_most`.
    pub(super) fn idle(&self, at_most: Duration) {
        let mut state = self.state.lock();
        if !state.stop {
            self.settled.wait_for(&mut state, at_most);
        }
    }

    /// Waits so long, or until the store stops; whether it goes on.
    pub(super) fn rest(&self, long: Duration) -> bool {
        let end = Instant::now() + long;
        let mut state = self.state.lock();
        while !state.stop && !self.settled.wait_until(&mut state, end).timed_out() {}
        !state.stop
    }

    pub(super) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
        self.finished.notify_all();
        self.settled.notify_all();
    }
}

/// Ends a round that panicked, so that nobody waits for it: who does runs the next one, which says that the store stopped.
struct Unwinding<'a>(&'a Store);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        // What it had taken to sync is not known any more.
        let _ = self.0.stopped.set("a durability round panicked".to_owned());
        self.0.rounds.state.lock().running = None;
        self.0.rounds.finished.notify_all();
    }
}

fn journal_fails(why: &str) -> Error {
    Error::new(Kind::Io, "cannot write the journal, syncs take longer without it").why(why.to_owned())
}

impl Store {
    /// Makes everything acknowledged so far durable.
    ///
    /// # Errors
    /// When the disk refuses; what was not durable before may then be lost with the process.
    pub fn sync(&self) -> Result<()> {
        let ((), seq) = self.index.transact(|_| Ok(()))?;
        self.wait_durable(seq)?;
        self.tell_log(false);
        Ok(())
    }

    /// Called before each commit: waits while the stage is full and a round may empty it. Where no other thread runs
    /// rounds, this one does.
    pub(super) fn make_room(&self) -> Result<()> {
        let most = self.settings.stage_bytes;
        if !self.rounds.workers && self.index.staged_bytes() >= most {
            return self.sync();
        }
        self.rounds.make_room(&self.index, most);
        Ok(())
    }

    /// Returns when commit `seq` is durable: by a round that runs already, or else by one on this thread, since to
    /// wake another costs as much as the disk.
    pub(super) fn wait_durable(&self, seq: u64) -> Result<()> {
        let mut state = self.rounds.state.lock();
        let mut failures = state.failures;
        let mut full_since = None;
        while state.done < seq {
            if state.stop {
                return Err(Error::new(Kind::StoreUnavailable, "cannot make the change durable")
                    .why("the store is being closed"));
            }
            if state.failures != failures && state.failed_up_to >= seq {
                let (kind, why) = state.problem.clone().unwrap_or((Kind::Io, String::new()));
                // The reaper may be about to give room back, and RocksDB writes its tables before it deletes the old.
                let may_pass = kind == Kind::Full && self.rounds.workers && self.stopped.get().is_none();
                if may_pass && full_since.get_or_insert_with(Instant::now).elapsed() < FULL_PATIENCE {
                    failures = state.failures;
                    self.rounds.finished.wait_for(&mut state, FULL_PAUSE);
                    continue;
                }
                return Err(Error::new(kind, "cannot make the change durable").why(why));
            }
            state.wanted = state.wanted.max(seq);
            if state.running.is_some() {
                self.rounds.finished.wait(&mut state);
            } else {
                state = self.round_once(state);
            }
        }
        Ok(())
    }

    /// One round, on the caller's thread. Only one may run at a time. A `swift` one may end with its changes in the
    /// journal only; any other leaves nothing there. Returns the last commit it made durable.
    fn round(&self, swift: bool) -> Result<u64> {
        let seq = self.index.seal();
        let sealed = self.index.sealed()?;
        let mut journal = self.journal.lock();
        if sealed.is_none() && (swift || !journal.holds()) {
            return Ok(seq);
        }
        // Taken after the stage was closed: every commit in it has noted its bytes. They are made durable once for all,
        // so a round whose index write fails and is repeated need not know them any more.
        let (mut runs, solos) = self.unsynced.take();
        let wrong_order = self.rounds.wrong_order;
        let raw = if swift && !wrong_order && solos.is_empty() { self.log.raw(&runs) } else { None };
        let kept = match (&sealed, raw) {
            (Some(sealed), Some(raw)) => journal.append(sealed.before, sealed.commit, sealed.bytes(), &runs, &raw),
            _ => false,
        };
        match journal.problem() {
            _ if kept => self.goes_on_with("journal"),
            Some(why) => self.hindered_in("journal", &journal_fails(why)),
            None => {}
        }
        let index = || {
            let written = match sealed {
                Some(sealed) => self.index.write_sealed(sealed, !kept),
                None => self.index.sync(),
            };
            written.inspect_err(|error| {
                if self.index.has_failed() {
                    let _ = self.stopped.set(format!("the index failed: {error}"));
                }
            })
        };
        let mut data = || {
            if !kept {
                runs.extend(journal.held());
                if let Err(error) = self.log.sync_of(&runs, &solos) {
                    let why = format!("data could not be made durable: {error}");
                    let _ = self.stopped.set(why);
                    return Err(error);
                }
            }
            Ok(())
        };
        if wrong_order {
            index().and_then(|()| data())?;
        } else {
            data().and_then(|()| index())?;
        }
        if !kept {
            journal.restart();
        }
        self.rounds.rounds.fetch_add(1, Ordering::Relaxed);
        Ok(seq)
    }

    /// Runs a round and tells everybody. The lock is free meanwhile; no other round may be running.
    fn round_once<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.rounds.crowded.store(false, Ordering::Relaxed);
        state.running = Some(self.now());
        let wanted = state.wanted;
        // After a failure nothing is left to a later round.
        let swift = state.wanted > state.done && state.problem.is_none() && !state.stop;
        drop(state);
        let unwinding = Unwinding(self);
        let result = if self.stopped.get().is_some() { Ok(0) } else { self.round(swift) };
        let settled = result.is_err() || !self.journal.lock().holds();
        match &result {
            Ok(_) => self.goes_on_with("sync"),
            Err(error) => self.hindered_in("sync", error),
        }
        std::mem::forget(unwinding);
        let mut state = self.rounds.state.lock();
        state.running = None;
        match result {
            Ok(seq) if self.stopped.get().is_none() => {
                state.done = state.done.max(seq);
                state.problem = None;
            }
            Ok(_) => {
                state.failures += 1;
                state.failed_up_to = u64::MAX;
                state.problem = Some((Kind::ReadOnly, self.stopped.get().cloned().unwrap_or_default()));
            }
            Err(error) => {
                state.failures += 1;
                state.failed_up_to = wanted;
                state.problem = Some((error.kind(), error.to_string()));
            }
        }
        self.rounds.finished.notify_all();
        if settled {
            self.rounds.settled.notify_all();
        }
        state
    }

    /// Runs rounds until the store stops; the last one empties the stage.
    pub(super) fn run_rounds(store: &Weak<Self>) {
        let Some(rounds) = store.upgrade().map(|store| Arc::clone(&store.rounds)) else { return };
        let (mut retry, mut pause) = (false, RETRY_PAUSE);
        loop {
            // Waiting must not keep a store that everybody let go.
            let mut state = rounds.state.lock();
            if !state.stop && !retry && !rounds.crowded.load(Ordering::Relaxed) {
                rounds.wake.wait_for(&mut state, rounds.interval);
            }
            drop(state);
            let Some(store) = store.upgrade() else { return };
            let mut state = rounds.state.lock();
            while state.running.is_some() {
                rounds.finished.wait(&mut state);
            }
            state = store.round_once(state);
            // What only reopening mends is not tried again.
            retry = state.problem.is_some() && store.stopped.get().is_none();
            let stop = state.stop;
            drop(state);
            store.tell_log(true);
            if stop {
                return;
            }
            if retry {
                // A disk that refused is asked less and less often. Whoever waits for a commit asks too.
                drop(store);
                rounds.rest(pause);
                pause = (pause * 2).min(RETRY_PAUSE_MAX);
            } else {
                pause = RETRY_PAUSE;
            }
        }
    }

    /// Stops the workers after one last round and completes the log's files. Later calls do nothing.
    ///
    /// # Errors
    /// When the last round fails: what was not durable is lost.
    pub fn close(&self) -> Result<()> {
        let open = self.writable().is_ok();
        if open && let Err(error) = self.write_requests().and_then(|()| self.write_observed()) {
            tracing::warn!(%error, "the last requests are not metered");
        }
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let result = if open { self.sync() } else { Ok(()) };
        self.stop_workers();
        self.tell_log(true);
        result.and(self.seal_log())
    }

    /// Ends as a crash does: what is not durable is lost. For tests.
    #[doc(hidden)]
    pub fn abandon(self: Arc<Self>) {
        self.closed.store(true, Ordering::SeqCst);
        let _ = self.stopped.set("it was abandoned".into());
        self.stop_workers();
    }

    fn stop_workers(&self) {
        self.rounds.stop();
        self.feed.stop();
        let workers = std::mem::take(&mut *self.workers.lock());
        let me = thread::current().id();
        for worker in workers {
            if worker.thread().id() != me && worker.join().is_err() {
                tracing::error!("a worker of the store panicked");
            }
        }
    }

    pub(super) fn spawn(self: &Arc<Self>, name: &str, body: fn(&Weak<Self>)) -> Result<()> {
        let weak = Arc::downgrade(self);
        let worker = thread::Builder::new().name(name.to_owned()).spawn(move || body(&weak));
        self.workers.lock().push(worker.map_err(|error| Error::io("cannot start a worker", error))?);
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let open = self.writable().is_ok();
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        // Nobody can be in a round any more: each holds the store while it works.
        if open {
            drop(self.round_once(self.rounds.state.lock()));
        }
        self.stop_workers();
        self.tell_log(true);
        if let Err(error) = self.seal_log() {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}
