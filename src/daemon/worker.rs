//! A named thread that does one step after another until it is stopped.
//!
//! Locks: `state`, a leaf; no step runs under it.

use crate::model::{Error, Result, Timestamp};
use crate::sys::clock::Clock;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// When the next step is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// After so long, or when the worker is woken.
    For(Duration),
    /// When the worker is woken.
    UntilWoken,
}

/// A step's view of its worker.
pub struct Turn<'a> {
    /// The present instant.
    pub now: Timestamp,
    shared: &'a Shared,
}

impl Turn<'_> {
    /// Whether a long step should come to its end: the worker is to stop or to pause.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let state = self.shared.state.lock();
        state.stop || state.paused
    }
}

#[derive(Default)]
struct State {
    stop: bool,
    paused: bool,
    woken: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The thread. Dropped, it is stopped and waited for.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread; its first step is due at once. `step` is told the clock's instant.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        name: &str,
        clock: Arc<dyn Clock>,
        mut step: impl FnMut(&Turn<'_>) -> Wait + Send + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let body = move || {
            let mut wait = Wait::For(Duration::ZERO);
            while own.until_due(wait) {
                wait = step(&Turn { now: clock.now(), shared: &own });
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        let thread = thread.map_err(|error| Error::io(format!("cannot start the thread {name}"), error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Makes the next step due now.
    pub fn wake(&self) {
        self.waker()();
    }

    /// The same for who does not have the worker.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || {
            shared.state.lock().woken = true;
            shared.changed.notify_all();
        }
    }

    /// Begins no further step until [`Worker::resume`]; the one that runs comes to its end.
    pub fn pause(&self) {
        self.shared.state.lock().paused = true;
    }

    /// Goes on after a pause, with a step at once.
    pub fn resume(&self) {
        self.shared.state.lock().paused = false;
        self.wake();
    }

    /// Ends the thread and waits for its step that runs.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.state.lock().stop = true;
        self.shared.changed.notify_all();
        let Some(thread) = self.thread.take() else { return };
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("a worker in the background panicked");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// Waits until a step is due; false when no more shall run.
    fn until_due(&self, wait: Wait) -> bool {
        let mut state = self.state.lock();
        let mut due = wait == Wait::For(Duration::ZERO);
        loop {
            if state.stop {
                return false;
            }
            if (due || state.woken) && !state.paused {
                state.woken = false;
                return true;
            }
            match wait {
                Wait::For(time) if !due && !state.paused => {
                    due = self.changed.wait_for(&mut state, time).timed_out();
                }
                _ => self.changed.wait(&mut state),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Wait, Worker};
    use crate::sys::clock::{Clock, ManualClock};
    use std::sync::Arc;
    use std::sync::mpsc::{TryRecvError, channel};
    use std::time::Duration;

    #[test]
    fn steps_run_when_they_are_due_and_none_after_the_end() {
        let clock = Arc::new(ManualClock::at(7));
        let (said, heard) = channel();
        let mut waits = vec![Wait::UntilWoken, Wait::UntilWoken, Wait::For(Duration::from_secs(3600))];
        let worker = Worker::start("worker", Arc::<ManualClock>::clone(&clock), move |turn| {
            said.send((turn.now, turn.is_over())).unwrap();
            waits.pop().unwrap_or(Wait::UntilWoken)
        })
        .unwrap();
        assert_eq!(heard.recv().unwrap(), (clock.now(), false));
        clock.advance_millis(5000);
        worker.wake();
        assert_eq!(heard.recv().unwrap(), (clock.now(), false));
        worker.pause();
        worker.wake();
        assert_eq!(heard.try_recv(), Err(TryRecvError::Empty));
        worker.resume();
        assert_eq!(heard.recv().unwrap(), (clock.now(), false));
        worker.stop();
        assert_eq!(heard.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn a_pause_and_the_end_reach_a_step_that_runs() {
        let (said, heard) = channel();
        let worker = Worker::start("worker", Arc::new(ManualClock::at(0)), move |turn| {
            said.send(()).unwrap();
            while !turn.is_over() {
                std::thread::yield_now();
            }
            Wait::For(Duration::ZERO)
        })
        .unwrap();
        heard.recv().unwrap();
        worker.pause();
        worker.resume();
        drop(worker);
        while heard.recv().is_ok() {}
    }
}
