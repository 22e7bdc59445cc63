//! What time does to objects: copies of archived ones come and go, archive tiers take what nobody uses.

use super::{Turn, Wait, Worker};
use crate::model::{Kind, Result, Timestamp};
use crate::store::Store;
use crate::sys::clock::Clock;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is done: the name that failures are told by, how long it rests after one, how long at most after many in a row, each of which
/// doubles that, and the work, which returns when it has more to do.
const WORK: [(&str, Duration, Duration, Work); 3] = [
    ("aging", FAILED, FAILED, |store| store.pass_time()),
    // Walks over all names, which end at what they cannot read.
    ("count", Duration::from_secs(600), DAY, |store| store.count_once().map(|()| None)),
    // More to look at is as if something were due.
    ("analysis", FAILED, FAILED, |store| Ok(store.analyse_some()?.then(Timestamp::default))),
];
type Work = fn(&Arc<Store>) -> Result<Option<Timestamp>>;
/// How late something may be told of that comes due, or was asked for meanwhile.
const LONGEST: Duration = Duration::from_secs(1);
/// How long to wait after a failure of one of them.
const FAILED: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// How long to wait for what is due then.
fn rest(next: Option<Timestamp>, now: Timestamp) -> Duration {
    match next {
        Some(next) if next <= now => Duration::ZERO,
        _ => LONGEST,
    }
}

/// Starts the work; none in a store that takes no changes.
///
/// # Errors
/// When the system gives no thread.
pub fn start(store: &Arc<Store>, clock: Arc<dyn Clock>) -> Result<Option<Worker>> {
    if store.writable().is_err() {
        return Ok(None);
    }
    let store = Arc::clone(store);
    let mut failed = [None; WORK.len()];
    let step = move |_: &Turn<'_>| {
        let mut wait = LONGEST;
        for ((name, first, longest, work), failed) in WORK.iter().zip(&mut failed) {
            // What one of them cannot do keeps none of the others back.
            if failed.is_some_and(|(at, pause): (Instant, Duration)| at.elapsed() < pause) {
                continue;
            }
            match store.writable().and_then(|()| work(&store)) {
                // It is to end.
                Err(error) if error.kind() == Kind::StoreUnavailable || store.writable().is_err() => {
                    return Wait::For(FAILED);
                }
                done => match store.tried(name, done) {
                    Some(next) => (wait, *failed) = (wait.min(rest(next, store.now())), None),
                    None => {
                        let pause = failed.map_or(*first, |(_, pause)| (pause * 2).min(*longest));
                        *failed = Some((Instant::now(), pause));
                    }
                },
            }
        }
        Wait::For(wait)
    };
    Worker::start("keyfold-aging", clock, step).map(Some)
}

#[cfg(test)]
mod tests {
    use super::{Duration, LONGEST, Timestamp, rest};

    #[test]
    fn what_is_due_is_done_at_once_and_else_within_a_second() {
        let at = |secs| Timestamp::new(secs, 0);
        for (next, wait) in
            [(None, LONGEST), (Some(at(5)), Duration::ZERO), (Some(at(10)), Duration::ZERO), (Some(at(11)), LONGEST)]
        {
            assert_eq!(rest(next, at(10)), wait);
        }
    }
}
