//! What time does to objects: copies of archived ones come and go, archive tiers take what nobody uses.

use super::{Turn, Wait, Worker};
use crate::model::{Kind, Result, Timestamp};
use crate::store::Store;
use crate::sys::clock::Clock;
use std::sync::Arc;
use std::time::Duration;

/// How late something may be told of that comes due, or was asked for meanwhile.
const LONGEST: Duration = Duration::from_secs(1);
/// How long to wait after a failure.
const FAILED: Duration = Duration::from_secs(60);

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
    let pass = |store: &Arc<Store>| -> Result<Option<Timestamp>> {
        store.writable()?;
        let next = store.pass_time()?;
        // More to look at is as if something were due.
        Ok(if store.analyse_some()? { Some(Timestamp::default()) } else { next })
    };
    let step = move |_: &Turn<'_>| match pass(&store) {
        // It is to end.
        Err(error) if error.kind() == Kind::StoreUnavailable || store.writable().is_err() => Wait::For(FAILED),
        done => Wait::For(store.tried("aging", done).map_or(FAILED, |next| rest(next, store.now()))),
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
