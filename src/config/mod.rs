//! What options and files say, turned into valid settings; every complaint at once. Reads texts, never files, and
//! knows no part it configures.

mod endpoint;
mod mount;
mod prices;
mod store;

pub use endpoint::{EndpointSettings, parse_address, parse_local_address};
pub use mount::{Atime, Durability, MountSettings, XattrList};
pub use store::{DEBUG_TEMPLATE, DoorLimits, STORE_TEMPLATE, StoreSettings, Zone};

use crate::model::{Error, Kind, Result};

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
    use super::edits;

    #[test]
    fn edits_count_swaps_once() {
        assert_eq!(
            [edits("", "abc"), edits("abc", "abc"), edits("abc", "acb"), edits("kitten", "sitting")],
            [3, 0, 1, 3]
        );
    }
}
