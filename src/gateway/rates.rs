//! How often a client may ask: so many requests a second with an access key, and so many from an address that proves none
//! (SHD-3).

use super::connections::client_of;
use super::error::refused;
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use s3s::{S3Error, S3Result};
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Requests between two looks at who need not be remembered any more.
const FORGET_EVERY: u32 = 4096;

/// Requests a second that a client may make, at a moment as many as in a second before; without, any number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RateSettings {
    /// With one access key.
    pub per_key: Option<NonZeroU32>,
    /// From one address, of those that are signed with no key, or not well.
    pub per_stranger: Option<NonZeroU32>,
}

/// What clients have asked lately.
pub(super) struct Rates {
    keys: Option<Limit<String>>,
    strangers: Option<Limit<IpAddr>>,
}

impl Rates {
    pub(super) fn new(settings: RateSettings) -> Self {
        Self { keys: settings.per_key.map(Limit::new), strangers: settings.per_stranger.map(Limit::new) }
    }

    /// A request with an access key, which was proved.
    ///
    /// # Errors
    /// `SlowDown`, saying when to come again.
    pub(super) fn key(&self, id: &str) -> S3Result<()> {
        self.keys.as_ref().map_or(Ok(()), |limit| limit.take(id.to_owned()))
    }

    /// A request that proved no key.
    ///
    /// # Errors
    /// `SlowDown`, saying when to come again.
    pub(super) fn stranger(&self, peer: IpAddr) -> S3Result<()> {
        self.strangers.as_ref().map_or(Ok(()), |limit| limit.take(client_of(peer)))
    }
}

struct Limit<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, HashMapStateStore<K>, DefaultClock>,
    taken: AtomicU32,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(per_second: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::hashmap(Quota::per_second(per_second)), taken: AtomicU32::new(0) }
    }

    fn take(&self, client: K) -> S3Result<()> {
        if self.taken.fetch_add(1, Ordering::Relaxed).is_multiple_of(FORGET_EVERY) {
            self.limiter.retain_recent();
        }
        let until = self.limiter.check_key(&client);
        until.map_err(|until| slow_down(until.wait_time_from(self.limiter.clock().now())))
    }
}

fn slow_down(wait: Duration) -> S3Error {
    let mut error = refused(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate.");
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    error.set_headers(headers);
    error
}

#[cfg(test)]
mod tests {
    use super::{RateSettings, Rates};
    use std::num::NonZeroU32;

    #[test]
    fn shd_3_each_client_has_a_rate_of_its_own() {
        let rates = Rates::new(RateSettings { per_key: NonZeroU32::new(3), per_stranger: NonZeroU32::new(2) });
        assert_eq!((0..10).filter(|_| rates.key("a").is_ok()).count(), 3);
        assert!(rates.key("b").is_ok());
        let refused = rates.key("a").unwrap_err();
        assert_eq!(refused.code().as_str(), "SlowDown");
        assert_eq!(refused.headers().unwrap().get("retry-after").unwrap(), "1");
        let network = |text: &str| text.parse().unwrap();
        assert!(rates.stranger(network("2001:db8::1")).is_ok() && rates.stranger(network("2001:db8::2")).is_ok());
        assert!(rates.stranger(network("2001:db8::3")).is_err(), "a network is one client");
        assert!(rates.stranger(network("10.0.0.1")).is_ok());
    }

    #[test]
    fn perf_4_without_limits_nobody_waits() {
        let rates = Rates::new(RateSettings::default());
        assert!((0..10_000).all(|_| rates.key("a").is_ok() && rates.stranger([10, 0, 0, 1].into()).is_ok()));
    }
}
