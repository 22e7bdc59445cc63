//! What options and files say, turned into valid settings; every complaint at once. Reads texts, never files, and
//! knows no part it configures.

mod endpoint;
mod mount;
mod store;

pub use endpoint::{EndpointSettings, parse_address, parse_local_address};
pub use mount::{Atime, Durability, MountSettings, XattrList};
pub use store::{DoorLimits, STORE_TEMPLATE, StoreSettings};

use crate::model::{Error, Kind, Result};
use std::time::Duration;

/// Reads a duration: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
///
/// # Errors
/// [`Kind::InvalidArgument`] for anything else.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let bad = |why| Err(bad_value("duration", text, why, "write it like 10s, 5m, 1h or 2d"));
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
/// [`Kind::InvalidArgument`] for anything else.
pub fn parse_size(text: &str) -> Result<u64> {
    let bad = |why| Err(bad_value("size", text, why, "write it like 4096, 64KiB or 256MiB"));
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

fn number(text: &str) -> Option<(u64, &str)> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    Some((digits.parse().ok()?, unit.trim_start_matches(' ')))
}

fn bad_value(what: &str, text: &str, why: &'static str, mend: &'static str) -> Error {
    Error::new(Kind::InvalidArgument, format!("cannot read the {what} {text:?}")).why(why).mend(mend)
}

/// Collects what is wrong with one source of settings.
#[derive(Default)]
struct Complaints {
    texts: Vec<String>,
    unsupported: usize,
}

impl Complaints {
    fn add(&mut self, text: String) {
        self.texts.push(text);
    }

    /// Something right that this release does not do.
    fn add_unsupported(&mut self, text: String) {
        self.unsupported += 1;
        self.texts.push(text);
    }

    /// A value that an [`Error`] describes; `place` names the setting.
    fn add_error(&mut self, place: &str, error: &Error) {
        let mend = error.remedy().map(|mend| format!(" ({mend})")).unwrap_or_default();
        self.add(format!("{place}: {}{mend}", error.reason()));
    }

    /// All complaints in one error: `Unsupported` only when nothing else is wrong.
    fn result(self, what: &'static str, mend: &'static str) -> Result<()> {
        if self.texts.is_empty() {
            return Ok(());
        }
        let only_unsupported = self.unsupported == self.texts.len();
        let kind = if only_unsupported { Kind::Unsupported } else { Kind::InvalidArgument };
        let mend = if only_unsupported { "leave them out" } else { mend };
        Err(Error::new(kind, what).why(self.texts.join("; ")).mend(mend))
    }
}

/// The candidate a person most likely meant: one that `word` abbreviates, else the fewest edits away.
fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates.min_by_key(|candidate| if candidate.starts_with(word) { 0 } else { 1 + edits(word, candidate) })
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn edits(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{edits, parse_duration, parse_size};
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
    fn edits_count_swaps_once() {
        assert_eq!(
            [edits("", "abc"), edits("abc", "abc"), edits("abc", "acb"), edits("kitten", "sitting")],
            [3, 0, 1, 3]
        );
    }
}
