//! Days of rules: they end at midnight in UTC (LC-7).

use crate::model::Timestamp;
use std::time::Duration;

/// Where one day ends and the next begins, counted from 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store) struct Midnights {
    day_millis: i64,
}

impl Midnights {
    /// Those of UTC.
    pub(in crate::store) const UTC: Self = Self { day_millis: 86_400_000 };

    /// Those of days of another length, in whole milliseconds.
    pub(in crate::store) fn every(day: Duration) -> Self {
        Self { day_millis: i64::try_from(day.as_millis()).unwrap_or(i64::MAX).max(1) }
    }

    /// When something of `from` is `days` old: the first midnight after the instant that many days later (LC-7). `None`
    /// where no date has a text any more: never.
    pub(in crate::store) fn after(self, from: Timestamp, days: i32) -> Option<Timestamp> {
        self.begin(self.day_of(from).checked_add(i64::from(days))?.checked_add(1)?)
    }

    /// The day, counted from 1970, that an instant lies in.
    pub(in crate::store) const fn day_of(self, at: Timestamp) -> i64 {
        at.millis().div_euclid(self.day_millis)
    }

    /// The first midnight that is not before `at`, `None` as above.
    pub(in crate::store) fn not_before(self, at: Timestamp) -> Option<Timestamp> {
        let day = self.day_of(at);
        let is_midnight = self.begin(day) == Some(at);
        self.begin(if is_midnight { day } else { day.checked_add(1)? })
    }

    /// The midnight with which a day begins, `None` as above.
    pub(in crate::store) fn begin(self, day: i64) -> Option<Timestamp> {
        let millis = day.checked_mul(self.day_millis)?;
        let nanos = u32::try_from(millis.rem_euclid(1000)).ok()? * 1_000_000;
        let at = Timestamp::new(millis.div_euclid(1000), nanos);
        (at <= Timestamp::LAST).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::{Midnights, Timestamp};
    use crate::model::parse_rfc3339;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        parse_rfc3339(text).unwrap()
    }

    #[test]
    fn lc_7_days_end_at_the_next_midnight() {
        for (from, days, to) in [
            ("2026-01-15T10:30:00Z", 3, "2026-01-19T00:00:00Z"),
            ("2026-01-15T00:00:00Z", 3, "2026-01-19T00:00:00Z"),
            ("2026-01-15T23:59:59.999Z", 3, "2026-01-19T00:00:00Z"),
            ("2026-01-15T10:30:00Z", 0, "2026-01-16T00:00:00Z"),
            ("2028-02-28T12:00:00Z", 1, "2028-03-01T00:00:00Z"),
            ("2027-02-28T12:00:00Z", 1, "2027-03-02T00:00:00Z"),
            ("1999-12-31T12:00:00Z", 0, "2000-01-01T00:00:00Z"),
            ("1969-12-31T12:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("1900-02-28T12:00:00Z", 0, "1900-03-01T00:00:00Z"),
        ] {
            assert_eq!(Midnights::UTC.after(at(from), days), Some(at(to)), "{from} {days}");
        }
        assert_eq!(Midnights::UTC.after(at("2026-01-15T10:30:00Z"), i32::MAX), None);
        assert_eq!(Midnights::UTC.after(Timestamp::new(i64::MAX, 0), 1), None);
    }

    #[test]
    fn days_may_be_shorter() {
        let short = Midnights::every(std::time::Duration::from_secs(10));
        assert_eq!(short.after(Timestamp::new(1_000_003, 5), 2), Some(Timestamp::new(1_000_030, 0)));
        assert_eq!(short.not_before(Timestamp::new(1_000_000, 1)), Some(Timestamp::new(1_000_010, 0)));
        assert_eq!(short.not_before(Timestamp::new(1_000_000, 0)), Some(Timestamp::new(1_000_000, 0)));
        assert_eq!(short.not_before(Timestamp::LAST), None);
        let shorter = Midnights::every(std::time::Duration::from_millis(250));
        assert_eq!(shorter.after(Timestamp::new(7, 300_000_000), 2), Some(Timestamp::new(8, 0)));
        assert_eq!(shorter.not_before(Timestamp::new(7, 300_000_000)), Some(Timestamp::new(7, 500_000_000)));
        assert_eq!(shorter.not_before(Timestamp::new(7, 500_000_000)), Some(Timestamp::new(7, 500_000_000)));
    }

    fn is_leap(year: i64) -> bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    /// The date so many days after another, one day at a time.
    fn walked(mut date: (i64, usize, i64), days: i32) -> (i64, usize, i64) {
        const LENGTHS: [i64; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for _ in 0..days {
            date.2 += 1;
            let leap_day = i64::from(date.1 == 2 && is_leap(date.0));
            if date.2 > LENGTHS[date.1] + leap_day {
                date = (date.0, date.1 + 1, 1);
            }
            if date.1 > 12 {
                date = (date.0 + 1, 1, 1);
            }
        }
        date
    }

    proptest! {
        #[test]
        fn lc_7_days_are_those_of_the_calendar(
            year in 1900i64..2200, month in 1usize..13, day in 1i64..29, secs in 0i64..86_400, days in 0i32..3000,
        ) {
            let (h, m, s) = (secs / 3600, secs / 60 % 60, secs % 60);
            let from = at(&format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z"));
            let (year, month, day) = walked((year, month, day), days + 1);
            let to = format!("{year:04}-{month:02}-{day:02}T00:00:00.000Z");
            prop_assert_eq!(Midnights::UTC.after(from, days).unwrap().rfc3339(), to);
        }
    }
}
