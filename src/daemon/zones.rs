//! Zones in the background: looking whether they are there, and giving files the copies that they want.

use super::pace::{Allowance, Load, nanos_between};
use super::{Turn, Wait, Worker};
use crate::model::{Error, Kind, Result};
use crate::store::Store;
use crate::sys::clock::Clock;
use crate::sys::process;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether zones are there.
const LOOK: Duration = Duration::from_secs(2);
/// How long to wait when every file has its copies, and after a failure.
const NOTHING: Duration = Duration::from_secs(2);
const FAILED: Duration = Duration::from_secs(60);
/// How often all files are looked at although nothing has happened: a lost zone is not waited for any longer.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Bytes for which the pace is taken together.
const STEP: u64 = 1 << 20;
/// Which part of its rate the work takes while others are busy.
const BUSY_PART: u64 = 4;
/// The longest time without a look at whether the process ends.
const NAP: Duration = Duration::from_millis(50);

/// Starts looking after the zones of a store; nothing when it has none.
///
/// # Errors
/// When the system gives no thread.
pub fn start(store: &Arc<Store>, clock: Arc<dyn Clock>) -> Result<Vec<Worker>> {
    if store.zones().is_empty() {
        return Ok(Vec::new());
    }
    let own = Arc::clone(store);
    let look = move |_: &Turn<'_>| {
        own.tend_zones();
        Wait::For(LOOK)
    };
    let mut workers = vec![Worker::start("keyfold-zones", Arc::clone(&clock), look)?];
    if store.writable().is_ok() {
        workers.push(refill(store, clock)?);
    }
    Ok(workers)
}

fn refill(store: &Arc<Store>, clock: Arc<dyn Clock>) -> Result<Worker> {
    let settings = store.settings();
    let rate = if settings.compact_rate > 0 { settings.compact_rate } else { settings.scrub_rate.max(1) };
    let store = Arc::clone(store);
    let now = clock.now();
    let (mut allowance, mut load) = (Allowance::empty(now), Load::begin(now, store.traffic()));
    let (mut from, mut first, mut looked) = (0, true, now);
    let time = Arc::clone(&clock);
    let step = move |turn: &Turn<'_>| {
        if std::mem::take(&mut first) {
            process::yield_the_disk();
        }
        if from == 0
            && !store.may_lack_copies()
            && nanos_between(looked, turn.now) < LOOK_AGAIN.as_nanos().cast_signed()
        {
            return Wait::For(NOTHING);
        }
        looked = turn.now;
        let mut pace = |bytes: u64| {
            allowance = allowance.took(bytes);
            loop {
                if turn.is_over() {
                    return Err(
                        Error::new(Kind::StoreUnavailable, "cannot go on with the copy").why("the process is ending")
                    );
                }
                let now = time.now();
                load = load.look(now, store.traffic());
                let rate = if load.busy { rate / BUSY_PART } else { rate };
                allowance = allowance.fill(rate, STEP, now);
                if allowance.left > 0 {
                    return Ok(());
                }
                std::thread::sleep(allowance.rest(0, rate).min(NAP));
            }
        };
        match store.refill_some(from, true, &mut pace) {
            Err(error) if error.kind() == Kind::StoreUnavailable => Wait::For(FAILED),
            done => match store.tried("copies", done) {
                Some(done) => {
                    from = done.next.unwrap_or(0);
                    Wait::For(if done.next.is_some() { Duration::ZERO } else { NOTHING })
                }
                None => {
                    // One behind the file that failed may be luckier.
                    from = store.file_to_refill(from).and_then(|id| id.checked_add(1)).unwrap_or(0);
                    Wait::For(if from == 0 { FAILED } else { NOTHING })
                }
            },
        }
    };
    Worker::start("keyfold-copies", clock, step)
}
