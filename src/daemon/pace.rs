//! How fast work in the background goes: at a rate, and slower while others are busy.

use crate::model::Timestamp;
use std::time::Duration;

/// Traffic of others, in bytes a second, from which on they are busy.
const BUSY: u64 = 256 << 10;
/// How long traffic is counted.
const SAMPLE: Duration = Duration::from_secs(1);

/// What may be done at once, filled at a rate. Goes below zero when a step takes more than there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Allowance {
    pub(super) left: i64,
    /// When it was filled last.
    pub(super) at: Timestamp,
}

impl Allowance {
    pub(super) const fn empty(at: Timestamp) -> Self {
        Self { left: 0, at }
    }

    /// What there is at `now`, `most` at most.
    pub(super) fn fill(self, rate: u64, most: u64, now: Timestamp) -> Self {
        let nanos = u128::try_from(nanos_between(self.at, now)).unwrap_or(0);
        let more = nanos.saturating_mul(u128::from(rate)) / 1_000_000_000;
        let left = self.left.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)).min(most.cast_signed());
        // A clock that was set back gives nothing, and takes nothing.
        Self { left, at: now }
    }

    /// After a step that took so much.
    pub(super) fn took(self, cost: u64) -> Self {
        Self { left: self.left.saturating_sub(i64::try_from(cost).unwrap_or(i64::MAX)), ..self }
    }

    /// How long it takes to pay what is owed, and `more`.
    pub(super) fn rest(self, more: u64, rate: u64) -> Duration {
        let owed = self.left.min(0).unsigned_abs().saturating_add(more);
        Duration::from_nanos(owed.saturating_mul(1_000_000_000) / rate.max(1))
    }
}

/// Nanoseconds from one instant to another.
pub(super) fn nanos_between(from: Timestamp, to: Timestamp) -> i128 {
    let nanos = |time: Timestamp| i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos);
    nanos(to) - nanos(from)
}

/// Traffic of others, sampled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    at: Timestamp,
    traffic: u64,
    pub(super) busy: bool,
}

impl Load {
    pub(super) const fn begin(at: Timestamp, traffic: u64) -> Self {
        Self { at, traffic, busy: false }
    }

    pub(super) fn look(self, now: Timestamp, traffic: u64) -> Self {
        let past = nanos_between(self.at, now);
        if past >= 0 && past < i128::try_from(SAMPLE.as_nanos()).unwrap_or(0) {
            return self;
        }
        let moved = i128::from(traffic.saturating_sub(self.traffic)) * 1_000_000_000;
        Self { at: now, traffic, busy: past > 0 && moved / past >= i128::from(BUSY) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, Load};
    use crate::model::Timestamp;
    use std::time::Duration;

    const MIB: u64 = 1 << 20;

    /// So many seconds after some instant.
    const fn at(secs: i64) -> Timestamp {
        Timestamp { secs: 1_000_000 + secs, nanos: 0 }
    }

    #[test]
    fn it_holds_the_rate() {
        let empty = Allowance::empty(at(0));
        for (secs, nanos, left) in
            [(0, 0, 0), (0, 1_000_000, 16_777), (0, 62_500_000, 1 << 20), (5, 0, 1 << 20), (-5, 0, 0)]
        {
            let now = Timestamp::new(at(secs).secs, nanos);
            assert_eq!(empty.fill(16 * MIB, MIB, now), Allowance { left, at: now }, "{secs} {nanos}");
        }
        let owed = empty.took(3 * MIB);
        assert_eq!(owed.rest(MIB, MIB), Duration::from_secs(4));
        assert_eq!(owed.fill(MIB, MIB, at(3)).left, 0);
        assert_eq!(empty.took(u64::MAX).left, -i64::MAX);
    }

    #[test]
    fn others_are_busy_from_some_traffic_on() {
        let load = Load::begin(at(0), 0);
        for (secs, traffic, busy) in [(0, 1 << 30, false), (1, 1 << 30, true), (1, 1000, false), (100, MIB, false)] {
            assert_eq!(load.look(at(secs), traffic).busy, busy, "{secs} {traffic}");
        }
    }
}
