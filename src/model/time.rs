//! Instants: nanoseconds since 1970 in UTC, printed and read as RFC 3339.

use super::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

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

/// The first and the last second of the years 0 to 9999 in UTC: others have no RFC 3339 form.
const FIRST: i64 = -62_167_219_200;
const LAST: i64 = 253_402_300_799;

/// Reads an RFC 3339 instant such as `2026-11-22T02:05:55Z`, or a `.versions` entry's sortable form.
///
/// # Errors
/// [`Kind::InvalidArgument`] when the text is neither.
pub fn parse_rfc3339(text: &str) -> Result<Timestamp> {
    let sortable = format_description!("[year][month][day]T[hour][minute][second].[subsecond]Z");
    let date = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| time::PrimitiveDateTime::parse(text, &sortable).map(time::PrimitiveDateTime::assume_utc));
    match date {
        Ok(date) if (FIRST..=LAST).contains(&date.unix_timestamp()) => {
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
        for bad in ["yesterday", "-20261122T020555.5Z", "9999-12-31T23:59:59-23:00"] {
            assert!(parse_rfc3339(bad).is_err(), "{bad}");
        }
    }
}
