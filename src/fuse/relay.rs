//! Readers of the kernel's requests: one reads, the others wait to take over while it is held up.
//!
//! A request that waits for a disk that does not answer must not hold up those that need no disk. So there are several
//! threads, of which one reads and answers at a time, as long as each request ends soon; the others are parked inside
//! the handler of a request they have answered. A watch looks at the one that reads: when it is in the same request for
//! [`HELD_UP`], another goes on reading in its place, and it parks itself when it is done. More than [`READERS`]
//! requests that wait for the disk at once hold up the mount.
//!
//! The watch sleeps while nothing comes. A reader's thread that ends, because the mount is gone, ends all of them.

use crate::model::{Error, Result};
use parking_lot::{Condvar, Mutex};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Threads that read in turn.
pub(super) const READERS: usize = if cfg!(target_os = "linux") { 16 } else { 1 };
/// How long a request may take before another thread goes on reading.
const HELD_UP: Duration = Duration::from_millis(40);
/// How often the watch looks while requests come.
const LOOK: Duration = Duration::from_millis(20);
/// After so many looks at which nothing was being answered, the watch sleeps.
const QUIET_LOOKS: u32 = 25;
/// No thread reads yet.
const NOBODY: usize = usize::MAX;

/// What one thread is at: even while it reads or is parked, odd while it answers; another number for each request.
type Busy = AtomicU64;

struct Shared {
    busy: [Busy; READERS],
    seats: AtomicUsize,
    /// The seat of the thread that reads.
    leader: AtomicUsize,
    /// Whether the watch sleeps.
    asleep: AtomicBool,
    /// For how long the oldest request has been answered, as the watch saw it last, in milliseconds.
    oldest: AtomicU64,
    state: Mutex<State>,
    /// Parked threads wait here.
    parked: Condvar,
    /// The watch waits here.
    watch: Condvar,
}

#[derive(Default)]
struct State {
    parked: Vec<usize>,
    stop: bool,
}

thread_local! {
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

/// A reader's place; given back when its thread ends, and with the first all end.
struct Seat {
    shared: Arc<Shared>,
    number: usize,
    requests: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// The readers of a mount.
pub(super) struct Relay {
    shared: Arc<Shared>,
    watch: Option<JoinHandle<()>>,
}

/// Tells how long requests have been waiting.
#[derive(Clone)]
pub(super) struct Ages(Arc<Shared>);

impl Ages {
    /// For how long the oldest request has been answered.
    pub(super) fn oldest(&self) -> Duration {
        Duration::from_millis(self.0.oldest.load(Ordering::Relaxed))
    }

    /// Whether one thread reads and all others are parked.
    pub(super) fn is_settled(&self) -> bool {
        self.0.state.lock().parked.len() >= READERS - 1
    }
}

impl Relay {
    /// `look` is called at each look, and so for half a second after the last request.
    pub(super) fn start(look: impl Fn() + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared {
            busy: std::array::from_fn(|_| AtomicU64::new(0)),
            seats: AtomicUsize::new(0),
            leader: AtomicUsize::new(NOBODY),
            asleep: AtomicBool::new(true),
            oldest: AtomicU64::new(0),
            state: Mutex::default(),
            parked: Condvar::new(),
            watch: Condvar::new(),
        });
        let watched = Arc::clone(&shared);
        let watch = std::thread::Builder::new().name("fuse-watch".to_owned()).spawn(move || watched.watch(&look));
        let watch = watch.map_err(|error| Error::io("cannot start a thread of the mount", error))?;
        Ok(Self { shared, watch: Some(watch) })
    }

    pub(super) fn ages(&self) -> Ages {
        Ages(Arc::clone(&self.shared))
    }

    /// Whether a request is being answered that takes long, as the watch saw it last.
    pub(super) fn is_held_up(&self) -> bool {
        self.shared.oldest.load(Ordering::Relaxed) >= HELD_UP.as_millis() as u64
    }

    /// Answers a request on the thread that read it, and returns when that thread is to read again.
    pub(super) fn answer(&self, request: impl FnOnce()) {
        SEAT.with_borrow_mut(|seat| {
            let seat = seat.get_or_insert_with(|| self.shared.sit());
            seat.requests += 2;
            let busy = &self.shared.busy[seat.number];
            // In one order with the watch's falling asleep: one of the two sees the other.
            busy.store(seat.requests + 1, Ordering::SeqCst);
            if self.shared.asleep.load(Ordering::SeqCst) {
                self.shared.wake();
            }
            request();
            busy.store(seat.requests + 2, Ordering::Release);
            if self.shared.leader.load(Ordering::Acquire) != seat.number {
                self.shared.park(seat.number);
            }
        });
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
    }
}

impl Shared {
    fn sit(self: &Arc<Self>) -> Seat {
        let number = self.seats.fetch_add(1, Ordering::Relaxed) % READERS;
        // The first one reads.
        let _ = self.leader.compare_exchange(NOBODY, number, Ordering::AcqRel, Ordering::Relaxed);
        Seat { shared: Arc::clone(self), number, requests: 0 }
    }

    fn wake(&self) {
        let _state = self.state.lock();
        self.asleep.store(false, Ordering::SeqCst);
        self.watch.notify_one();
    }

    fn park(&self, number: usize) {
        let mut state = self.state.lock();
        state.parked.push(number);
        while !state.stop && self.leader.load(Ordering::Acquire) != number {
            self.parked.wait(&mut state);
        }
        state.parked.retain(|parked| *parked != number);
    }

    fn stop(&self) {
        self.state.lock().stop = true;
        self.parked.notify_all();
        self.watch.notify_all();
    }

    fn watch(&self, look: &dyn Fn()) {
        let now = Instant::now();
        let mut seen = [(0, now); READERS];
        let mut quiet = 0;
        let mut state = self.state.lock();
        while !state.stop {
            if quiet >= QUIET_LOOKS {
                self.asleep.store(true, Ordering::SeqCst);
                if !self.is_busy() {
                    self.watch.wait(&mut state);
                }
                self.asleep.store(false, Ordering::SeqCst);
                quiet = 0;
                continue;
            }
            self.watch.wait_for(&mut state, LOOK);
            parking_lot::MutexGuard::unlocked(&mut state, look);
            let now = Instant::now();
            let mut oldest = Duration::ZERO;
            for (busy, seen) in self.busy.iter().zip(&mut seen) {
                let at = busy.load(Ordering::Acquire);
                if at != seen.0 {
                    *seen = (at, now);
                } else if at % 2 == 1 {
                    oldest = oldest.max(now.duration_since(seen.1));
                }
            }
            self.oldest.store(u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            quiet = if self.is_busy() { 0 } else { quiet + 1 };
            let leader = self.leader.load(Ordering::Acquire);
            let is_held_up = seen.get(leader).is_some_and(|(at, since)| at % 2 == 1 && now - *since >= HELD_UP);
            if is_held_up && let Some(next) = state.parked.pop() {
                self.leader.store(next, Ordering::Release);
                self.parked.notify_all();
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.busy.iter().any(|busy| busy.load(Ordering::SeqCst) % 2 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{READERS, Relay};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::sync::{Arc, Barrier};
    use std::time::{Duration, Instant};

    /// Readers of a queue, as of the kernel's: each ends when the queue is closed.
    #[test]
    fn requests_go_on_while_some_are_held_up_and_one_thread_reads_otherwise() {
        let relay = Arc::new(Relay::start(|| {}).unwrap());
        let (send, queue) = queue_of_jobs();
        let reading = Arc::new(AtomicUsize::new(0));
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (relay, queue, reading) = (Arc::clone(&relay), Arc::clone(&queue), Arc::clone(&reading));
                std::thread::spawn(move || {
                    loop {
                        reading.fetch_add(1, Ordering::SeqCst);
                        let next: Option<Box<dyn FnOnce() + Send>> = queue.lock().unwrap().recv().ok();
                        reading.fetch_sub(1, Ordering::SeqCst);
                        let Some(next) = next else { return };
                        relay.answer(next);
                    }
                })
            })
            .collect();
        let (told, hear) = mpsc::channel();
        let say = |n: usize| {
            let told = told.clone();
            send.send(Box::new(move || told.send(n).unwrap()) as Box<dyn FnOnce() + Send>).unwrap();
            hear.recv_timeout(Duration::from_secs(10)).unwrap()
        };
        // Whoever is not the one that reads has had its turn, and is parked. Who gets a turn is the system's choice.
        let until = Instant::now() + Duration::from_secs(30);
        for n in 0.. {
            assert_eq!(say(n), n);
            std::thread::sleep(Duration::from_millis(1));
            if n >= 4 * READERS && reading.load(Ordering::SeqCst) == 1 {
                break;
            }
            assert!(Instant::now() < until, "{} read at once", reading.load(Ordering::SeqCst));
        }
        let held = Arc::new(Barrier::new(READERS));
        for _ in 0..READERS - 1 {
            let held = Arc::clone(&held);
            let wait: Job = Box::new(move || {
                held.wait();
            });
            send.send(wait).unwrap();
        }
        assert_eq!(say(1000), 1000, "all but one are held up");
        assert!(relay.ages().oldest() >= super::HELD_UP);
        held.wait();
        assert_eq!(say(1001), 1001);
        drop(send);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }

    type Job = Box<dyn FnOnce() + Send>;

    fn queue_of_jobs() -> (mpsc::Sender<Job>, Arc<std::sync::Mutex<mpsc::Receiver<Job>>>) {
        let (send, receive) = mpsc::channel();
        (send, Arc::new(std::sync::Mutex::new(receive)))
    }
}
