//! Scrub in the background: when a pass begins, and how fast it goes.

use super::pace::{Allowance, Load, nanos_between};
use super::{Turn, Wait, Worker};
use crate::model::{Kind, Result, Timestamp};
use crate::store::{ScrubTurn, Store};
use crate::sys::clock::Clock;
use crate::sys::process;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a step: what a foreground request may have to wait for.
const STEP: u64 = 1 << 20;
/// How long a process that just began is left alone.
const SETTLE: Duration = Duration::from_secs(60);
/// How long to wait while somebody else scrubs, while it is paused, and after a failure.
const BY_HAND: Duration = Duration::from_secs(1);
const PAUSED: Duration = Duration::from_secs(10);
const FAILED: Duration = Duration::from_secs(60);
/// A reader may meet damage, and clocks may be set: what is due later is looked at again after this.
const LONGEST: Duration = Duration::from_secs(30);
/// Which part of its rate the pass takes while others are busy.
const BUSY_PART: u64 = 4;

/// What the settings say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rules {
    every: Duration,
    /// Bytes a second.
    rate: u64,
    opened: Timestamp,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    /// Nothing for so long.
    Rest(Duration),
    /// Check about so many bytes.
    Check(u64),
}

/// What is left of `span` since `from`.
fn left(span: Duration, from: Timestamp, now: Timestamp) -> Duration {
    let past = nanos_between(from, now);
    // A beginning that lies ahead, since the clock was set back, does not count as long ago.
    let left = i128::try_from(span.as_nanos()).unwrap_or(i128::MAX).saturating_sub(past);
    Duration::from_nanos(u64::try_from(left.max(0)).unwrap_or(u64::MAX)).min(span)
}

/// The rate of a pass: all of it once it has found something, since errors come in clusters; otherwise a part while others
/// use the disk.
const fn rate(rules: Rules, turn: ScrubTurn, busy: bool) -> u64 {
    if busy && !turn.has_found { rules.rate / BUSY_PART } else { rules.rate }
}

/// What to do now. `allowance` is filled.
fn decide(rules: Rules, turn: ScrubTurn, allowance: Allowance, rate: u64, now: Timestamp) -> Deed {
    if turn.by_hand {
        return Deed::Rest(BY_HAND);
    }
    if turn.paused {
        return Deed::Rest(PAUSED);
    }
    let settled = left(SETTLE.min(rules.every), rules.opened, now);
    let due = match turn.last {
        _ if turn.alarm => Duration::ZERO,
        Some(last) if !turn.begun => left(rules.every, last, now).max(settled),
        _ => settled,
    };
    if !due.is_zero() {
        return Deed::Rest(due.min(LONGEST));
    }
    if allowance.left <= 0 {
        return Deed::Rest(allowance.rest(STEP / 2, rate).min(LONGEST));
    }
    Deed::Check(STEP)
}

/// Starts the background pass of a store; none when its settings say so, or when it takes no changes.
///
/// # Errors
/// When the system gives no thread.
pub fn start(store: &Arc<Store>, clock: Arc<dyn Clock>) -> Result<Option<Worker>> {
    let settings = store.settings();
    store.recall_scrub();
    let Some(every) = settings.scrub_every.filter(|_| store.writable().is_ok()) else { return Ok(None) };
    let now = clock.now();
    let rules = Rules { every, rate: settings.scrub_rate.max(1), opened: now };
    let store = Arc::clone(store);
    let mut allowance = Allowance::empty(now);
    let mut load = Load::begin(now, store.traffic());
    let mut first = true;
    let step = move |turn: &Turn<'_>| {
        if std::mem::take(&mut first) {
            process::yield_the_disk();
        }
        let scrub = store.scrub_turn();
        load = load.look(turn.now, store.traffic());
        let rate = rate(rules, scrub, load.busy);
        allowance = allowance.fill(rate, STEP, turn.now);
        match decide(rules, scrub, allowance, rate, turn.now) {
            Deed::Rest(time) => Wait::For(time),
            Deed::Check(budget) => match store.scrub_in_background(budget) {
                // It is to end.
                Err(error) if error.kind() == Kind::StoreUnavailable => Wait::For(FAILED),
                done => match store.tried("scrub", done) {
                    Some(bytes) => {
                        allowance = allowance.took(bytes);
                        Wait::For(Duration::ZERO)
                    }
                    None => Wait::For(FAILED),
                },
            },
        }
    };
    Worker::start("keyfold-scrub", clock, step).map(Some)
}

#[cfg(test)]
mod tests {
    use super::{Allowance, BY_HAND, Deed, LONGEST, PAUSED, Rules, STEP, decide, rate};
    use crate::model::Timestamp;
    use crate::store::ScrubTurn;
    use std::time::Duration;

    const MIB: u64 = 1 << 20;
    const DAY: Duration = Duration::from_secs(86_400);
    const RULES: Rules = Rules { every: DAY, rate: 16 * MIB, opened: Timestamp { secs: 1_000_000, nanos: 0 } };
    const FULL: Allowance = Allowance { left: 1 << 20, at: at(0) };

    /// So many seconds after the process began.
    const fn at(secs: i64) -> Timestamp {
        Timestamp { secs: 1_000_000 + secs, nanos: 0 }
    }

    #[test]
    fn a_pass_begins_when_it_is_due_and_nobody_minds() {
        let never = ScrubTurn::default();
        let begun = ScrubTurn { begun: true, last: Some(at(0)), ..never };
        let last = |secs| ScrubTurn { last: Some(at(secs)), ..never };
        let rest = |secs| Deed::Rest(Duration::from_secs(secs));
        for (n, (turn, now, deed)) in [
            (never, 31, rest(29)),
            (never, 59, rest(1)),
            (never, 0, Deed::Rest(LONGEST)),
            (never, 60, Deed::Check(STEP)),
            (begun, 40, rest(20)),
            (begun, 61, Deed::Check(STEP)),
            (last(0), 61, Deed::Rest(LONGEST)),
            (last(0), 86_390, rest(10)),
            (last(0), 86_400, Deed::Check(STEP)),
            (last(-86_400), 60, Deed::Check(STEP)),
            (ScrubTurn { alarm: true, ..last(0) }, 1, Deed::Check(STEP)),
            (ScrubTurn { alarm: true, paused: true, ..last(0) }, 1, Deed::Rest(PAUSED)),
            // A clock that was set back by a year: no longer than the whole time.
            (last(31_536_000), 61, Deed::Rest(LONGEST)),
            (never, -500, Deed::Rest(LONGEST)),
            (ScrubTurn { paused: true, ..begun }, 61, Deed::Rest(PAUSED)),
            (ScrubTurn { by_hand: true, paused: true, ..begun }, 61, Deed::Rest(BY_HAND)),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(decide(RULES, turn, FULL, RULES.rate, at(now)), deed, "case {n}");
        }
        let soon = Rules { every: Duration::from_secs(1), ..RULES };
        assert_eq!(decide(soon, never, FULL, soon.rate, at(1)), Deed::Check(STEP));
    }

    #[test]
    fn the_rate_is_held_whatever_steps_take() {
        let turn = ScrubTurn { begun: true, ..ScrubTurn::default() };
        let (mut allowance, mut now, mut read) = (Allowance::empty(at(100)), 100_000_000_000u64, 0u64);
        for n in 0..2000u64 {
            let instant = at((now / 1_000_000_000).cast_signed());
            let instant = Timestamp::new(instant.secs, (now % 1_000_000_000) as u32);
            allowance = allowance.fill(RULES.rate, STEP, instant);
            match decide(RULES, turn, allowance, RULES.rate, instant) {
                Deed::Rest(time) => now += u64::try_from(time.as_nanos()).unwrap(),
                Deed::Check(budget) => {
                    let took = budget + n % 7 * MIB;
                    allowance = allowance.took(took);
                    read += took;
                    now += 500_000;
                }
            }
        }
        let rate = u128::from(read) * 1_000_000_000 / u128::from(now - 100_000_000_000);
        assert!((15 * MIB..=16 * MIB + MIB / 8).contains(&u64::try_from(rate).unwrap()), "{rate} bytes a second");
    }

    #[test]
    fn it_yields_to_others_until_it_finds_something() {
        let (clean, found) = (ScrubTurn::default(), ScrubTurn { has_found: true, ..ScrubTurn::default() });
        for (turn, busy, mib) in [(clean, false, 16), (clean, true, 4), (found, false, 16), (found, true, 16)] {
            assert_eq!(rate(RULES, turn, busy), mib * MIB);
        }
    }
}
