//! What shuttle has no stand-in for: parking_lot's condition variable, and its lock that one thread may read twice.

use shuttle::thread::{self, Thread};
use shuttle_parking_lot::{Mutex, MutexGuard, lock_api};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// parking_lot's `Condvar`. Time does not pass in a schedule: whoever waits at most so long may go on at any moment.
#[derive(Default)]
pub struct Condvar {
    // Nothing waits for this one, so it may be a real lock.
    waiting: parking_lot::Mutex<VecDeque<Arc<Waiter>>>,
}

struct Waiter {
    thread: Thread,
    told: AtomicBool,
}

impl Waiter {
    fn is_told(&self) -> bool {
        self.told.load(Ordering::SeqCst)
    }
}

/// Whether a wait ended without a word.
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was up.
    #[must_use]
    pub const fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// One that nobody waits for.
    #[must_use]
    pub const fn new() -> Self {
        Self { waiting: parking_lot::const_mutex(VecDeque::new()) }
    }

    fn enter(&self) -> Arc<Waiter> {
        let me = Arc::new(Waiter { thread: thread::current(), told: AtomicBool::new(false) });
        self.waiting.lock().push_back(Arc::clone(&me));
        me
    }

    /// Lets the lock go until somebody says that something changed.
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        let me = self.enter();
        MutexGuard::unlocked(guard, || {
            while !me.is_told() {
                thread::park();
            }
        });
    }

    /// The same for a time.
    pub fn wait_for<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, _at_most: Duration) -> WaitTimeoutResult {
        let me = self.enter();
        MutexGuard::unlocked(guard, thread::yield_now);
        self.waiting.lock().retain(|waiter| !Arc::ptr_eq(waiter, &me));
        WaitTimeoutResult(!me.is_told())
    }

    /// The same until an instant.
    pub fn wait_until<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, _end: Instant) -> WaitTimeoutResult {
        self.wait_for(guard, Duration::ZERO)
    }

    /// Tells the one that has waited longest.
    pub fn notify_one(&self) {
        let first = self.waiting.lock().pop_front();
        if let Some(waiter) = first {
            waiter.told.store(true, Ordering::SeqCst);
            waiter.thread.unpark();
        }
    }

    /// Tells all that wait.
    pub fn notify_all(&self) {
        let all = std::mem::take(&mut *self.waiting.lock());
        for waiter in all {
            waiter.told.store(true, Ordering::SeqCst);
            waiter.thread.unpark();
        }
    }
}

/// parking_lot's `RwLock`: a writer that waits goes before new readers, but for one that reads already.
pub type RwLock<T> = lock_api::RwLock<RawRwLock, T>;
/// Its guard of a reader.
pub type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwLock, T>;
/// Its guard of a writer.
pub type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwLock, T>;

struct State {
    readers: usize,
    writer: bool,
    writers_waiting: usize,
}

/// The lock without what it guards.
pub struct RawRwLock {
    state: Mutex<State>,
    free: Condvar,
}

impl RawRwLock {
    fn read_when(&self, free: impl Fn(&State) -> bool) {
        let mut state = self.state.lock();
        while !free(&state) {
            self.free.wait(&mut state);
        }
        state.readers += 1;
    }

    fn try_read_when(&self, free: impl Fn(&State) -> bool) -> bool {
        let mut state = self.state.lock();
        let may = free(&state);
        state.readers += usize::from(may);
        may
    }
}

const fn free_to_read(state: &State) -> bool {
    !state.writer && state.writers_waiting == 0
}

const fn free_to_read_again(state: &State) -> bool {
    !state.writer
}

// SAFETY: `state` changes under its own lock only, and never says that there is a writer beside another or a reader.
unsafe impl lock_api::RawRwLock for RawRwLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "lock_api asks for it: a value to begin with")]
    const INIT: Self = Self {
        state: shuttle_parking_lot::const_mutex(State { readers: 0, writer: false, writers_waiting: 0 }),
        free: Condvar::new(),
    };

    type GuardMarker = lock_api::GuardNoSend;

    fn lock_shared(&self) {
        self.read_when(free_to_read);
    }

    fn try_lock_shared(&self) -> bool {
        self.try_read_when(free_to_read)
    }

    unsafe fn unlock_shared(&self) {
        self.state.lock().readers -= 1;
        self.free.notify_all();
    }

    fn lock_exclusive(&self) {
        let mut state = self.state.lock();
        state.writers_waiting += 1;
        while state.writer || state.readers > 0 {
            self.free.wait(&mut state);
        }
        state.writers_waiting -= 1;
        state.writer = true;
    }

    fn try_lock_exclusive(&self) -> bool {
        let mut state = self.state.lock();
        let may = !state.writer && state.readers == 0;
        state.writer |= may;
        may
    }

    unsafe fn unlock_exclusive(&self) {
        self.state.lock().writer = false;
        self.free.notify_all();
    }
}

// SAFETY: as above.
unsafe impl lock_api::RawRwLockRecursive for RawRwLock {
    fn lock_shared_recursive(&self) {
        self.read_when(free_to_read_again);
    }

    fn try_lock_shared_recursive(&self) -> bool {
        self.try_read_when(free_to_read_again)
    }
}
