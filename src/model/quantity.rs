//! Durations and sizes as people write them.

use super::{Error, Result};
use std::time::Duration;

/// Reads a duration: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
///
/// # Errors
/// [`super::Kind::InvalidArgument`] for anything else.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let bad = |why| Err(Error::bad_value("duration", text, why, "write it like 10s, 5m, 1h or 2d"));
    let Some((count, unit)) = number(text) else {
        return bad("it is no whole number and unit");
    };
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return bad("it has no unit"),
        _ => return bad("its unit is none of ms, s, m, h, d"),
    };
    count.checked_mul(millis).map_or_else(|| bad("it is too long"), |millis| Ok(Duration::from_millis(millis)))
}

/// Reads a size in bytes: a whole number and perhaps one of `B`, `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB`, `GB`, `TB`.
///
/// # Errors
/// [`super::Kind::InvalidArgument`] for anything else.
pub fn parse_size(text: &str) -> Result<u64> {
    let bad = |why| Err(Error::bad_value("size", text, why, "write it like 4096, 64KiB or 256MiB"));
    let Some((count, unit)) = number(text) else {
        return bad("it is no whole number and unit");
    };
    let bytes = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return bad("its unit is none of B, KiB, MiB, GiB, TiB"),
    };
    count.checked_mul(bytes).map_or_else(|| bad("it is too large"), Ok)
}

/// A number of bytes as [`parse_size`] reads it, exact: `10GiB`, `1000`.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(unit, name)| format!("{}{name}", bytes / unit))
}

fn number(text: &str) -> Option<(u64, &str)> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    Some((digits.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::{parse_duration, parse_size, size_text};
    use std::time::Duration;

    #[test]
    fn durations_have_a_unit() {
        for (text, millis) in
            [("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("2d", 172_800_000), ("500ms", 500), ("0s", 0)]
        {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for bad in
            ["", "10", "s", "-1s", "+1s", "1.5s", "1 week", "1S", "18446744073709551616s", "18446744073709551615d"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_binary_or_decimal() {
        for (text, bytes) in
            [("4096", 4096), ("1B", 1), ("256MiB", 256 << 20), ("1 GiB", 1 << 30), ("2TB", 2_000_000_000_000)]
        {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for bad in ["", "MiB", "1M", "1.5GiB", "-1", "99999999TiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_written_exactly() {
        for bytes in [0, 1, 1000, 1024, 1025, 3 << 20, 10 << 30, (5 << 40) + 1, u64::MAX] {
            assert_eq!(parse_size(&size_text(bytes)).unwrap(), bytes);
        }
        assert_eq!(size_text(10 << 30), "10GiB");
    }
}
