//! Instants as people name them: entries of `at/` (`BUCKET/.keyfold/at/TIME/`).

use crate::model::{Result, Timestamp, parse_rfc3339};

/// Reads an instant: RFC 3339 (`2026-11-22T02:05:55Z`), the same without seconds or zone (UTC then), with a space
/// for the `T`, a `.versions` entry's sortable form, or a date, which means its first instant in UTC.
///
/// # Errors
/// [`crate::model::Kind::InvalidArgument`] for anything else.
pub fn parse_instant(text: &str) -> Result<Timestamp> {
    let spaced = text.replacen(' ', "T", 1);
    let bare = spaced.strip_suffix('Z').unwrap_or(&spaced);
    let whole = match bare.len() {
        DATE => format!("{bare}T00:00:00Z"),
        MINUTE => format!("{bare}:00Z"),
        _ => format!("{bare}Z"),
    };
    parse_rfc3339(&whole).or_else(|_| parse_rfc3339(&spaced))
}

/// Length of `2026-11-22`.
const DATE: usize = 10;
/// Length of `2026-11-22T02:05`.
const MINUTE: usize = 16;

#[cfg(test)]
mod tests {
    use super::{parse_instant, parse_rfc3339};

    #[test]
    fn instants_read_as_people_write_them() {
        let whole = parse_rfc3339("2026-11-22T02:05:00Z").unwrap();
        for text in [
            "2026-11-22T02:05:00Z",
            "2026-11-22T02:05:00",
            "2026-11-22T02:05Z",
            "2026-11-22T02:05",
            "2026-11-22 02:05",
            "2026-11-22T03:05:00+01:00",
            "20261122T020500.0Z",
        ] {
            assert_eq!(parse_instant(text).unwrap(), whole, "{text}");
        }
        assert_eq!(parse_instant("2026-11-22").unwrap(), parse_rfc3339("2026-11-22T00:00:00Z").unwrap());
        for bad in ["", "yesterday", "2026-13-01", "2026-11-22T25:00Z", "2026-11", "..", "~"] {
            assert!(parse_instant(bad).is_err(), "{bad}");
        }
    }
}
