//! Running a test body under many schedules, and what bodies need.
//!
//! Half of the schedules choose the next thread by chance; half by PCT, which gives threads ranks and changes them at a
//! few places, and so finds with a known probability what needs few changes of threads.

use crate::harness::{B, Home, make_bucket, pattern};
use crate::{asked, long, seed};
use keyfold::model::Versioning;
use keyfold::store::Store;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Turns of threads after which a schedule does not come to an end any more.
const STEPS_MAX: usize = 400_000;
/// Places where PCT changes ranks.
const CHANGES: usize = 3;
/// Debug builds need more than shuttle thinks.
const STACK: usize = 1 << 20;

fn run(scheduler: impl Scheduler + 'static, body: Arc<dyn Fn() + Send + Sync>) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.silence_warnings = true;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.failure_persistence = FailurePersistence::None;
    Runner::new(scheduler, config).run(move || body());
}

/// Runs `body` under so many schedules, a hundred times as many in the long form.
pub fn explore(what: &str, schedules: usize, body: impl Fn() + Send + Sync + 'static) {
    let long_form = schedules * if long() { 100 } else { 1 };
    let count = asked("KEYFOLD_SCHEDULES").map_or(long_form, |count| usize::try_from(count).unwrap());
    let seed = seed();
    println!("{what}: {count} schedules, KEYFOLD_SEED={seed}");
    let body: Arc<dyn Fn() + Send + Sync> = Arc::new(body);
    run(RandomScheduler::new_from_seed(seed, count / 2), Arc::clone(&body));
    run(PctScheduler::new_from_seed(seed, CHANGES, count.div_ceil(2)), body);
}

/// A store on a disk in memory with one bucket, all of it durable.
pub fn store(versioning: Versioning) -> (Home, Arc<Store>) {
    let home = Home::simulated();
    let store = home.open();
    make_bucket(&store, B);
    if versioning == Versioning::Enabled {
        store.set_versioning(B, versioning).unwrap();
    }
    store.sync().unwrap();
    (home, store)
}

/// The bytes of a value: in the index or outside of it, and told by their length.
pub fn body(value: u32) -> Vec<u8> {
    pattern(value as usize + if value.is_multiple_of(2) { 6000 } else { 0 }, u64::from(value))
}

/// The value of a body, every byte of it.
#[track_caller]
pub fn whole(bytes: &[u8]) -> u32 {
    let len = u32::try_from(bytes.len()).unwrap();
    let value = len.checked_sub(6000).unwrap_or(len);
    assert!(bytes == body(value), "the bytes are not those of value {value}");
    value
}

/// Counts over all schedules of a test, so that one that never reaches what it is about fails.
pub struct Reached(&'static str, Arc<AtomicUsize>);

impl Reached {
    pub fn new(what: &'static str) -> Self {
        Self(what, Arc::default())
    }

    /// For the body.
    pub fn counter(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.1)
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        let count = self.1.load(Ordering::Relaxed);
        println!("{}: {count}", self.0);
        assert!(count > 0 || std::thread::panicking(), "{}: never", self.0);
    }
}
