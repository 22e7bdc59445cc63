//! Turns of calls of the engine: so many at once, and of those no principal has all.

use super::error::refused;
use hyper::StatusCode;
use parking_lot::Mutex;
use s3s::S3Result;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Principals that are remembered although none of their calls runs.
const REMEMBERED_MAX: usize = 64;

/// Places for calls of one kind.
pub(super) struct Turns {
    places: Arc<Semaphore>,
    share: usize,
    patience: Duration,
    of_each: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A call's place, until it is dropped.
pub(super) struct Turn {
    _own: Option<OwnedSemaphorePermit>,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    /// `most` at once, of which each principal has `share` at most; a request waits for its turn for `patience`.
    pub(super) fn new(most: usize, share: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self { places: Arc::new(Semaphore::new(most)), share, patience, of_each: Mutex::default() })
    }

    /// A turn, for a principal where one is known.
    ///
    /// # Errors
    /// `SlowDown` when none comes in time.
    pub(super) async fn take(&self, who: Option<&str>) -> S3Result<Turn> {
        self.take_many(1, who).await
    }

    /// Several turns as one.
    ///
    /// # Errors
    /// As [`Turns::take`].
    pub(super) async fn take_many(&self, count: u32, who: Option<&str>) -> S3Result<Turn> {
        let own = who.map(|who| self.of(who));
        let turn = async {
            let own = match own {
                Some(own) => Some(own.acquire_many_owned(count).await.ok()?),
                None => None,
            };
            Some(Turn { _own: own, _place: Arc::clone(&self.places).acquire_many_owned(count).await.ok()? })
        };
        tokio::time::timeout(self.patience, turn).await.ok().flatten().ok_or_else(|| {
            let message = "too many requests are being served: try again later";
            refused(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", message)
        })
    }

    fn of(&self, who: &str) -> Arc<Semaphore> {
        let mut of_each = self.of_each.lock();
        if of_each.len() >= REMEMBERED_MAX {
            // Who waits or has a turn holds another.
            of_each.retain(|_, own| Arc::strong_count(own) > 1);
        }
        Arc::clone(of_each.entry(who.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.share))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, REMEMBERED_MAX, Turns};

    #[test]
    fn shd_1_a_principal_leaves_turns_to_others() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let turns = Turns::new(3, 2, Duration::ZERO);
            let mut held = vec![turns.take(Some("anna")).await.unwrap(), turns.take(Some("anna")).await.unwrap()];
            let refused = turns.take(Some("anna")).await.err().unwrap();
            assert_eq!(refused.code().as_str(), "SlowDown");
            held.push(turns.take(Some("bert")).await.unwrap());
            assert!(turns.take(None).await.is_err(), "all are taken");
            held.remove(0);
            assert!(turns.take(Some("anna")).await.is_ok());
            drop(held);
            for n in 0..2 * REMEMBERED_MAX {
                assert!(turns.take(Some(&n.to_string())).await.is_ok());
            }
            assert!(turns.of_each.lock().len() <= REMEMBERED_MAX);
        });
    }
}
