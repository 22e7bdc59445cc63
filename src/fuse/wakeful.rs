//! Keeps the processors from falling deeply asleep while requests come one after the other.
//!
//! Each request wakes the reader, and each reply the program. When the two run on different processors, as they do on
//! an idle machine, waking one from its idle state takes longer than the request: some 25 us on a virtual machine whose
//! host must be asked, up to 100 us on hardware. So for the time of a burst the kernel is asked, by its interface for
//! latency (PM QoS), for idle states that end fast. That needs root; without it everything works, only slower.

use crate::model::{Error, Result};
use parking_lot::{Condvar, Mutex};
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Requests within [`WINDOW`] that make a burst, and fewer than which within [`LINGER`] end it.
const BURST: u64 = 8;
const WINDOW: Duration = Duration::from_millis(2);
const LINGER: Duration = Duration::from_millis(10);
/// The kernel's file: while it is open, the number written last, in microseconds, holds for all processors.
const DEVICE: &str = "/dev/cpu_dma_latency";
/// As if nothing were asked for.
const ANY: i32 = i32::MAX;
/// The shallow sleep of real processors, which costs next to no power over a deep one for milliseconds.
const SHALLOW: i32 = 10;
/// A virtual processor's every sleep goes through its host: it must not sleep at all.
const NONE: i32 = 0;

/// Recognises bursts.
struct Window {
    since: Instant,
    first: u64,
}

impl Window {
    /// Whether the request numbered `n` makes a burst.
    fn is_burst(&mut self, now: Instant, n: u64) -> bool {
        if now.duration_since(self.since) > WINDOW {
            *self = Self { since: now, first: n };
        }
        n.saturating_sub(self.first) >= BURST
    }
}

struct Shared {
    requests: AtomicU64,
    awake: AtomicBool,
    window: Mutex<Window>,
    stop: Mutex<bool>,
    begin: Condvar,
}

/// Knows of every request, and has a thread that tells the kernel of bursts.
pub(super) struct Wakeful {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

impl Wakeful {
    pub(super) fn start() -> Result<Self> {
        let window = Mutex::new(Window { since: Instant::now(), first: 0 });
        let shared = Arc::new(Shared {
            requests: AtomicU64::new(0),
            awake: AtomicBool::new(false),
            window,
            stop: Mutex::new(false),
            begin: Condvar::new(),
        });
        let device = std::fs::OpenOptions::new().write(true).open(DEVICE);
        let keeper = match device {
            Ok(device) => {
                let shared = Arc::clone(&shared);
                let keeper = std::thread::Builder::new()
                    .name("fuse-wakeful".to_owned())
                    .spawn(move || keep(&shared, device, latency()));
                Some(keeper.map_err(|error| Error::io("cannot start a thread of the mount", error))?)
            }
            Err(error) => {
                tracing::debug!(%error, "cannot ask for processors that wake fast");
                None
            }
        };
        Ok(Self { shared, keeper })
    }

    /// A request has come.
    pub(super) fn note(&self) {
        if self.keeper.is_none() {
            return;
        }
        let n = self.shared.requests.fetch_add(1, Ordering::Relaxed);
        if !self.shared.awake.load(Ordering::Relaxed) && self.shared.window.lock().is_burst(Instant::now(), n) {
            self.shared.awake.store(true, Ordering::Relaxed);
            let _stop = self.shared.stop.lock();
            self.shared.begin.notify_one();
        }
    }
}

impl Drop for Wakeful {
    fn drop(&mut self) {
        *self.shared.stop.lock() = true;
        self.shared.begin.notify_one();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// What to ask for, in microseconds.
fn latency() -> i32 {
    let driver = std::fs::read_to_string("/sys/devices/system/cpu/cpuidle/current_driver").unwrap_or_default();
    if driver.trim() == "haltpoll" { NONE } else { SHALLOW }
}

fn keep(shared: &Shared, mut device: File, latency: i32) {
    let mut ask = |microseconds: i32| {
        if let Err(error) = device.write_all(&microseconds.to_ne_bytes()) {
            tracing::debug!(%error, "cannot ask for processors that wake fast");
        }
    };
    let mut stop = shared.stop.lock();
    while !*stop {
        if !shared.awake.load(Ordering::Relaxed) {
            shared.begin.wait(&mut stop);
            continue;
        }
        ask(latency);
        let mut before = shared.requests.load(Ordering::Relaxed);
        loop {
            shared.begin.wait_for(&mut stop, LINGER);
            let now = shared.requests.load(Ordering::Relaxed);
            if *stop || now - before < BURST {
                break;
            }
            before = now;
        }
        ask(ANY);
        shared.awake.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, WINDOW, Window};
    use std::time::{Duration, Instant};

    #[test]
    fn only_what_comes_quickly_is_a_burst() {
        let start = Instant::now();
        let mut window = Window { since: start, first: 0 };
        let slow = (0..100).any(|n| window.is_burst(start + WINDOW * n, u64::from(n)));
        assert!(!slow);
        let later = start + WINDOW * 200;
        let quick = (100..).find(|n| window.is_burst(later + Duration::from_micros(10 * (n - 100)), *n));
        assert_eq!(quick, Some(100 + BURST));
    }
}
