//! Lifecycle rules in the background: when a pass is due, and how fast it goes.

use super::pace::{Allowance, Load, nanos_between};
use super::{Turn, Wait, Worker};
use crate::model::{Kind, Result, Timestamp};
use crate::store::{LifecycleTurn, Store};
use crate::sys::clock::Clock;
use crate::sys::process;
use std::sync::Arc;
use std::time::Duration;

/// Entries of a step: some milliseconds of work.
const STEP: u64 = 2000;
/// How long to wait after a failure.
const FAILED: Duration = Duration::from_secs(60);
/// Clocks may be set, and machines sleep: what is due later is looked at again after this.
const LONGEST: Duration = Duration::from_secs(60);
/// Which part of the rate is taken while others use the store.
const BUSY_PART: u64 = 4;

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    /// Nothing for so long.
    Rest(Duration),
    /// Judge about so many entries.
    Judge(u64),
}

const fn rate(rate: u64, busy: bool) -> u64 {
    let rate = if busy { rate / BUSY_PART } else { rate };
    if rate == 0 { 1 } else { rate }
}

/// What to do now. `allowance` is filled.
fn decide(turn: LifecycleTurn, allowance: Allowance, rate: u64, now: Timestamp) -> Deed {
    match turn {
        LifecycleTurn::Due if allowance.left > 0 => Deed::Judge(STEP.min(rate)),
        LifecycleTurn::Due => Deed::Rest(allowance.rest(STEP / 2, rate).min(LONGEST)),
        LifecycleTurn::Until(at) => {
            let nanos = u64::try_from(nanos_between(now, at).max(0)).unwrap_or(u64::MAX);
            // The midnight itself is to have come.
            Deed::Rest(Duration::from_nanos(nanos).min(LONGEST).saturating_add(Duration::from_millis(1)))
        }
    }
}

/// Starts obeying the rules of a store's buckets; not when its settings say so, or when it takes no changes.
///
/// # Errors
/// When the system gives no thread.
pub fn start(store: &Arc<Store>, clock: Arc<dyn Clock>) -> Result<Option<Worker>> {
    if !store.obeys_rules() {
        return Ok(None);
    }
    let all = store.settings().lifecycle_rate;
    let own = Arc::clone(store);
    let now = clock.now();
    let mut allowance = Allowance::empty(now);
    let mut load = Load::begin(now, own.traffic());
    let mut first = true;
    let step = move |turn: &Turn<'_>| {
        if std::mem::take(&mut first) {
            process::yield_the_disk();
        }
        // Its own deeds are traffic too, and slow it a little.
        load = load.look(turn.now, own.traffic());
        let rate = rate(all, load.busy);
        allowance = allowance.fill(rate, STEP, turn.now);
        let due = match own.lifecycle_turn() {
            Ok(due) => due,
            Err(error) => {
                own.tried::<()>("lifecycle", Err(error));
                return Wait::For(FAILED);
            }
        };
        match decide(due, allowance, rate, own.now()) {
            Deed::Rest(time) => Wait::For(time),
            Deed::Judge(budget) => match own.obey_in_background(budget) {
                // It is to end.
                Err(error) if error.kind() == Kind::StoreUnavailable => Wait::For(FAILED),
                done => match own.tried("lifecycle", done) {
                    Some(cost) => {
                        allowance = allowance.took(cost);
                        Wait::For(Duration::ZERO)
                    }
                    None => Wait::For(FAILED),
                },
            },
        }
    };
    let worker = Worker::start("keyfold-rules", clock, step)?;
    store.when_rules_change(worker.waker());
    Ok(Some(worker))
}

#[cfg(test)]
mod tests {
    use super::{Allowance, Deed, LONGEST, LifecycleTurn, STEP, decide, rate};
    use crate::model::Timestamp;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp { secs: 1_000_000, nanos: 0 };

    #[test]
    fn it_works_when_something_is_due_and_sleeps_until_midnight() {
        let full = Allowance { left: 1, at: NOW };
        let owed = Allowance { left: -1000, at: NOW };
        let until = |secs| LifecycleTurn::Until(Timestamp::new(NOW.secs + secs, 0));
        let millis = Duration::from_millis;
        for (turn, allowance, rate, deed) in [
            (LifecycleTurn::Due, full, 100_000, Deed::Judge(STEP)),
            (LifecycleTurn::Due, full, 5, Deed::Judge(5)),
            (LifecycleTurn::Due, owed, 1000, Deed::Rest(millis(2000))),
            (LifecycleTurn::Due, owed, 1, Deed::Rest(LONGEST)),
            (until(3), owed, 1000, Deed::Rest(millis(3001))),
            (until(86_400), full, 1000, Deed::Rest(LONGEST + millis(1))),
            (until(-5), full, 1000, Deed::Rest(millis(1))),
        ] {
            assert_eq!(decide(turn, allowance, rate, NOW), deed, "{turn:?} {allowance:?}");
        }
        assert_eq!([rate(100, false), rate(100, true), rate(3, true)], [100, 25, 1]);
    }
}
