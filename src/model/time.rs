//! Instants: nanoseconds since 1970 in UTC, printed and read as RFC 3339.

use super::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime};

/// An instant: whole seconds since 1970-01-01T00:00:00Z (negative before) and nanoseconds after that second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Timestamp {
    /// Seconds since 1970, rounded down.
    pub secs: i64,
    /// Nanoseconds after `secs`, below 1,000,000,000.
    pub nanos: u32,
}

impl Timestamp {
    /// The instant `secs` seconds and `nanos` nanoseconds after 1970.
    #[must_use]
    pub const fn new(secs: i64, nanos: u32) -> Self {
        Self { secs, nanos }
    }

    /// Milliseconds since 1970, rounded down.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.secs.saturating_mul(1000).saturating_add((self.nanos / 1_000_000) as i64)
    }

    /// The instant so much later, [`Timestamp::LAST`] at the latest.
    #[must_use]
    pub fn plus(self, time: std::time::Duration) -> Self {
        let nanos = self.nanos.saturating_add(time.subsec_nanos());
        let secs = i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_add(i64::from(nanos / 1_000_000_000));
        Self::new(self.secs.saturating_add(secs), nanos % 1_000_000_000).min(Self::LAST)
    }

    /// The last instant that has a text.
    pub const LAST: Self = Self::new(253_402_300_799, 999_999_999);
    /// Whether it lies in the years 0 to 9999, which others have no RFC 3339 form.
    #[must_use]
    pub fn is_sane(self) -> bool {
        (FIRST..=Self::LAST.secs).contains(&self.secs) && self.nanos < 1_000_000_000
    }

    /// The same, or the next whole millisecond: no later than that, it is told exactly.
    #[must_use]
    pub const fn up_to_millis(self) -> Self {
        let millis = self.nanos.div_ceil(1_000_000);
        if millis >= 1000 {
            return Self { secs: self.secs.saturating_add(1), nanos: 0 };
        }
        Self { secs: self.secs, nanos: millis * 1_000_000 }
    }

    /// `days` times 24 hours later; the last second of the year 9999 at the latest.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        let secs = self.secs.saturating_add(i64::from(days) * 86_400).min(Self::LAST.secs.max(self.secs));
        Self { secs, ..self }
    }

    /// The same day and time `years` years of the calendar later, the 1st of March where that year has no 29th of
    /// February; the last second of the year 9999 at the latest.
    #[must_use]
    pub fn plus_years(self, years: u32) -> Self {
        let date = self.date();
        let later = i32::try_from(years).ok().and_then(|years| date.year().checked_add(years)).and_then(|year| {
            let leap = date.month() == Month::February && date.day() == 29;
            let day = date.date().replace_year(year).ok();
            let day = if leap { day.or_else(|| Date::from_calendar_date(year, Month::March, 1).ok()) } else { day };
            Some(date.replace_date(day?).unix_timestamp())
        });
        Self { secs: later.unwrap_or(Self::LAST.secs).max(self.secs), ..self }
    }

    fn date(self) -> OffsetDateTime {
        let nanos = i128::from(self.secs) * 1_000_000_000 + i128::from(self.nanos);
        OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// `2026-11-22T02:05:55.123Z`, milliseconds as S3 prints them.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let shape = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        self.date().format(&shape).unwrap_or_default()
    }

    /// `Sun, 22 Nov 2026 02:05:55 GMT`, as headers have it.
    #[must_use]
    pub fn http_date(self) -> String {
        let shape =
            format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
        self.date().format(&shape).unwrap_or_default()
    }

    /// `20261122T020555.123456789Z`: sorts as time does and is safe in a file name.
    #[must_use]
    pub fn sortable(self) -> String {
        let shape = format_description!("[year][month][day]T[hour][minute][second].[subsecond digits:9]Z");
        self.date().format(&shape).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// The first second of the years 0 to 9999 in UTC: others have no RFC 3339 form.
const FIRST: i64 = -62_167_219_200;

/// Reads an RFC 3339 instant such as `2026-11-22T02:05:55Z`, or a `.versions` entry's sortable form.
///
/// # Errors
/// [`Kind::InvalidArgument`] when the text is neither.
pub fn parse_rfc3339(text: &str) -> Result<Timestamp> {
    let sortable = format_description!("[year][month][day]T[hour][minute][second].[subsecond]Z");
    let date = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| time::PrimitiveDateTime::parse(text, &sortable).map(time::PrimitiveDateTime::assume_utc));
    match date {
        Ok(date) if (FIRST..=Timestamp::LAST.secs).contains(&date.unix_timestamp()) => {
            Ok(Timestamp::new(date.unix_timestamp(), date.nanosecond()))
        }
        _ => Err(Error::new(Kind::InvalidArgument, format!("cannot read the time {text:?}"))
            .why("it is not an RFC 3339 instant")
            .mend("write it like 2026-11-22T02:05:55Z")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, parse_rfc3339};

    #[test]
    fn times_read_back_as_printed() {
        for stamp in [Timestamp::new(0, 0), Timestamp::new(-1, 5_000_000), Timestamp::new(1_795_226_755, 123_000_000)] {
            assert_eq!(parse_rfc3339(&stamp.rfc3339()).unwrap(), stamp);
            assert_eq!(parse_rfc3339(&stamp.sortable()).unwrap(), stamp);
        }
        assert_eq!(Timestamp::new(1_795_226_755, 123_456_789).rfc3339(), "2026-11-21T02:05:55.123Z");
        assert_eq!(Timestamp::new(1_795_226_755, 123_456_789).http_date(), "Sat, 21 Nov 2026 02:05:55 GMT");
        for bad in ["yesterday", "-20261122T020555.5Z", "9999-12-31T23:59:59-23:00"] {
            assert!(parse_rfc3339(bad).is_err(), "{bad}");
        }
    }
}
