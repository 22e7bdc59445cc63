//! Threads for requests that may wait for the disk; each replies by itself.
//!
//! When none of them has ended a request for [`STUCK`], the disk hangs, or many programs wait for it: the pool grows, up
//! to [`THREADS_MAX`], and shrinks again. Beyond [`QUEUE_MAX`] waiting requests whoever brings one runs it itself, so
//! their number, and the memory they take, is bounded.

use crate::model::{Error, Result};
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Most threads that requests which have to wait make the pool grow to.
pub(super) const THREADS_MAX: usize = 64;
/// Most threads of a pool: those beyond are for requests that perhaps need not wait.
const THREADS_MAX_NOW: usize = 2 * THREADS_MAX;
/// Most requests that wait for a thread.
const QUEUE_MAX: usize = 64;
/// How long nothing may end before the pool grows.
const STUCK: Duration = Duration::from_millis(100);
/// How long a thread beyond the usual number waits for work.
const SPARE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    jobs: VecDeque<(Instant, Job)>,
    /// Those that have a thread that is idle or new, and come first.
    now: VecDeque<(Instant, Job)>,
    /// When each request that is being answered began, by its number.
    running: BTreeMap<u64, Instant>,
    number: u64,
    threads: usize,
    idle: usize,
    /// When a request ended last, or there was none.
    progress: Option<Instant>,
    extra: Vec<JoinHandle<()>>,
    stop: bool,
}

impl State {
    /// A request comes: now.
    fn comes(&mut self) -> Instant {
        let now = Instant::now();
        if self.running.is_empty() {
            self.progress = Some(now);
        }
        now
    }
}

struct Shared {
    usual: usize,
    state: Mutex<State>,
    more: Condvar,
}

/// Threads and a queue.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// A pool as who watches over it sees it.
#[derive(Clone)]
pub(super) struct Watched(Arc<Shared>);

impl Watched {
    /// Gives each waiting request a thread when nothing has ended for too long, as far as there may be more. To be called
    /// now and then for some time after each request.
    pub(super) fn relieve(&self) {
        let mut state = self.0.state.lock();
        let is_stuck = state.idle == 0 && state.progress.is_some_and(|at| at.elapsed() > STUCK);
        if is_stuck {
            for _ in 0..state.jobs.len().min(THREADS_MAX.saturating_sub(state.threads)) {
                self.0.grow(&mut state);
            }
        }
    }

    /// For how long the oldest request has been waiting or answered.
    pub(super) fn oldest(&self) -> Duration {
        let state = self.0.state.lock();
        let waiting = state.now.front().into_iter().chain(state.jobs.front()).map(|(since, _)| *since).min();
        let running = state.running.values().min().copied();
        waiting.into_iter().chain(running).min().map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Pool {
    pub(super) fn new(threads: usize) -> Result<Self> {
        let usual = threads.clamp(1, THREADS_MAX);
        let state = Mutex::new(State { threads: usual, ..State::default() });
        let shared = Arc::new(Shared { usual, state, more: Condvar::new() });
        let threads = (0..usual)
            .map(|n| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("fuse-pool-{n}")).spawn(move || work(&shared, false))
            })
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(|error| Error::io("cannot start the threads that serve the kernel", error))?;
        Ok(Self { shared, threads })
    }

    pub(super) fn watched(&self) -> Watched {
        Watched(Arc::clone(&self.shared))
    }

    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.state.lock();
        if state.jobs.len() >= QUEUE_MAX {
            drop(state);
            return job();
        }
        let now = state.comes();
        state.jobs.push_back((now, Box::new(job)));
        drop(state);
        self.shared.more.notify_one();
    }

    /// Runs a request that perhaps needs not wait, and so must not wait for others: on a thread that is idle or new. It
    /// comes back when there is none.
    pub(super) fn run_now<J: FnOnce() + Send + 'static>(&self, job: J) -> std::result::Result<(), J> {
        let mut state = self.shared.state.lock();
        if state.idle <= state.now.len() {
            let threads = state.threads;
            if threads < THREADS_MAX_NOW {
                self.shared.grow(&mut state);
            }
            if state.threads == threads {
                return Err(job);
            }
        }
        let now = state.comes();
        state.now.push_back((now, Box::new(job)));
        drop(state);
        self.shared.more.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let extra = {
            let mut state = self.shared.state.lock();
            state.stop = true;
            std::mem::take(&mut state.extra)
        };
        self.shared.more.notify_all();
        for thread in self.threads.drain(..).chain(extra) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn grow(self: &Arc<Self>, state: &mut State) {
        state.extra.retain(|thread| !thread.is_finished());
        let shared = Arc::clone(self);
        let spawned = std::thread::Builder::new().name("fuse-pool-more".to_owned()).spawn(move || work(&shared, true));
        match spawned {
            Ok(thread) => {
                state.extra.push(thread);
                state.threads += 1;
            }
            Err(error) => {
                tracing::warn!(%error, "no further thread can be started for a mount that waits for its disk")
            }
        }
    }
}

fn work(shared: &Shared, extra: bool) {
    loop {
        let mut state = shared.state.lock();
        let (job, number) = loop {
            let next = state.now.pop_front().or_else(|| state.jobs.pop_front());
            if let Some((_, job)) = next {
                state.number += 1;
                let number = state.number;
                state.running.insert(number, Instant::now());
                break (job, number);
            }
            if state.stop {
                return;
            }
            state.idle += 1;
            let waited_in_vain = if extra {
                shared.more.wait_for(&mut state, SPARE).timed_out()
            } else {
                shared.more.wait(&mut state);
                false
            };
            state.idle -= 1;
            if waited_in_vain && state.jobs.is_empty() && state.now.is_empty() && state.threads > shared.usual {
                state.threads -= 1;
                return;
            }
        };
        drop(state);
        // A panic answers its request with EIO (the reply is dropped) and must not take the thread with it.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
            tracing::error!("a request of the kernel made a worker panic");
        }
        let mut state = shared.state.lock();
        state.running.remove(&number);
        state.progress = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::{Pool, STUCK, THREADS_MAX, THREADS_MAX_NOW};
    use parking_lot::Mutex;
    use std::sync::mpsc;
    use std::sync::{Arc, Barrier};
    use std::time::Duration;

    #[test]
    fn requests_that_wait_do_not_hold_up_those_that_need_not() {
        let pool = Pool::new(2).unwrap();
        let held = Arc::new(Barrier::new(4));
        for _ in 0..3 {
            let held = Arc::clone(&held);
            pool.run(move || {
                held.wait();
            });
        }
        std::thread::sleep(STUCK * 2);
        let (told, hear) = mpsc::channel();
        for n in 0..3 {
            let told = told.clone();
            pool.run(move || told.send(n).unwrap());
        }
        // Also behind one that waits.
        pool.watched().relieve();
        assert!(hear.recv_timeout(Duration::from_secs(10)).is_ok());
        assert!(pool.watched().oldest() >= STUCK);
        held.wait();
        drop(pool);
    }

    #[test]
    fn what_must_not_wait_for_others_gets_a_thread_or_comes_back() {
        let pool = Pool::new(1).unwrap();
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock();
        // Of these one runs, and the others are there before what comes now.
        let (told, hear) = mpsc::channel();
        for _ in 0..5 {
            let (gate, told) = (Arc::clone(&gate), told.clone());
            pool.run(move || {
                told.send(()).unwrap();
                drop(gate.lock());
            });
        }
        assert_eq!(hear.recv_timeout(Duration::from_secs(10)), Ok(()));
        for _ in 1..THREADS_MAX_NOW {
            let (gate, (told, hear)) = (Arc::clone(&gate), mpsc::channel());
            let job = move || {
                told.send(()).unwrap();
                drop(gate.lock());
            };
            assert!(pool.run_now(job).is_ok());
            assert_eq!(hear.recv_timeout(Duration::from_secs(10)), Ok(()));
        }
        assert!(pool.run_now(|| ()).is_err());
        drop(held);
        drop(pool);
    }

    #[test]
    fn the_queue_is_bounded() {
        let pool = Pool::new(1).unwrap();
        let held = Arc::new(Barrier::new(2));
        let first = Arc::clone(&held);
        pool.run(move || {
            first.wait();
        });
        let (told, hear) = mpsc::channel();
        for n in 0..4 * THREADS_MAX {
            let told = told.clone();
            pool.run(move || told.send(n).unwrap());
        }
        assert!(hear.try_iter().count() > 2 * THREADS_MAX, "what finds no room in the queue is run at once");
        held.wait();
        drop((pool, told));
    }
}
