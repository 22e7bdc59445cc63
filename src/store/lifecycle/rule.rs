//! Rules that are valid, and what each of them is for.

use super::day::Midnights;
use super::rules::Rules;
use crate::model::{ArchiveTier, StorageClass, TagSet, Timestamp};
use std::time::Duration;

/// Objects under so many bytes are small (LC-15).
pub(super) const SMALL_BYTES: u64 = 128 * 1024;

/// A bucket's rules that act, which [`super::LifecycleDocument::check`] makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lifecycle {
    pub(super) rules: Rules,
    pub(super) small: Small,
    pub(super) midnights: Midnights,
}

/// What small objects are kept from, unless their rule speaks of sizes (LC-15, LC-16).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Small {
    /// All transitions.
    Stay,
    /// All but those to archives.
    GoToArchives,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) selection: Selection,
    pub(super) expiration: Option<Expiration>,
    pub(super) transitions: Vec<(When, StorageClass)>,
    pub(super) noncurrent_transitions: Vec<(Aged, StorageClass)>,
    pub(super) noncurrent_expiration: Option<Aged>,
    /// Days after which an upload is given up.
    pub(super) abort: Option<i32>,
}

/// Objects that a rule is for: all of it holds (LC-5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Selection {
    pub(super) prefix: String,
    pub(super) tags: TagSet,
    /// More bytes than this.
    pub(super) above: Option<u64>,
    /// Fewer bytes than this.
    pub(super) below: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expiration {
    Of(When),
    /// `ExpiredObjectDeleteMarker`
    LoneMarker,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    Days(i32),
    Date(Timestamp),
}

/// Of noncurrent versions: so many days old as such, and with so many newer ones (LC-22).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Aged {
    pub(super) days: i32,
    pub(super) newer: u64,
}

impl Lifecycle {
    /// The same rules where a day is as long as that.
    #[must_use]
    pub fn with_days_of(mut self, day: Duration) -> Self {
        self.midnights = Midnights::every(day);
        self
    }

    /// What the keys begin with that rules do something to, in order; no key begins with two of them.
    #[must_use]
    pub fn prefixes(&self) -> Vec<&str> {
        self.rules.prefixes(Rule::is_for_objects)
    }

    /// The same of the keys that uploads are given up of.
    #[must_use]
    pub fn prefixes_of_uploads(&self) -> Vec<&str> {
        self.rules.prefixes(|rule| rule.abort.is_some())
    }

    /// Whether a rule may move an object of `size` bytes to `class` (LC-15, LC-16).
    pub(super) fn moves(&self, rule: &Rule, size: u64, class: StorageClass) -> bool {
        let archives = self.small == Small::GoToArchives;
        size >= SMALL_BYTES
            || rule.selection.is_by_size()
            || (archives && matches!(class, StorageClass::Glacier | StorageClass::DeepArchive))
    }
}

impl Rule {
    const fn is_for_objects(&self) -> bool {
        self.expiration.is_some()
            || self.noncurrent_expiration.is_some()
            || !self.transitions.is_empty()
            || !self.noncurrent_transitions.is_empty()
    }
}

impl Selection {
    pub(super) fn takes(&self, key: &str, tags: &TagSet, size: u64) -> bool {
        key.starts_with(&self.prefix)
            && self.above.is_none_or(|bytes| size > bytes)
            && self.below.is_none_or(|bytes| size < bytes)
            && self.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
    }

    pub(super) fn is_by_size(&self) -> bool {
        self.above.is_some() || self.below.is_some()
    }
}

impl When {
    /// When it is so for something of `from`. A date that has passed holds at once for what is new (LC-9).
    pub(super) fn of(self, midnights: Midnights, from: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Days(days) => midnights.after(from, days),
            Self::Date(date) => Some(date.max(from)),
        }
    }
}

/// Whether the waterfall leads from one class to another (LC-13, LC-14).
#[must_use]
pub const fn leads(from: StorageClass, to: StorageClass) -> bool {
    use StorageClass::{DeepArchive, Glacier, GlacierIr, IntelligentTiering, OnezoneIa, Standard, StandardIa};
    match from {
        Standard => !matches!(to, Standard),
        StandardIa => !matches!(to, Standard | StandardIa),
        IntelligentTiering => matches!(to, OnezoneIa | GlacierIr | Glacier | DeepArchive),
        OnezoneIa | GlacierIr => matches!(to, Glacier | DeepArchive),
        Glacier => matches!(to, DeepArchive),
        DeepArchive => false,
    }
}

/// The same from an archive tier of `INTELLIGENT_TIERING`, if the object lies in one: only into archives that are no nearer.
#[must_use]
pub const fn leads_from(from: StorageClass, tier: Option<ArchiveTier>, to: StorageClass) -> bool {
    leads(from, to)
        && match tier {
            None => true,
            Some(ArchiveTier::Archive) => matches!(to, StorageClass::Glacier | StorageClass::DeepArchive),
            Some(ArchiveTier::DeepArchive) => matches!(to, StorageClass::DeepArchive),
        }
}

#[cfg(test)]
mod tests {
    use super::{Selection, StorageClass, TagSet, leads};
    use StorageClass::{DeepArchive, Glacier, GlacierIr, IntelligentTiering, OnezoneIa, Standard, StandardIa};

    #[test]
    fn lc_13_and_lc_14_classes_go_down_the_waterfall_only() {
        let down: [(StorageClass, &[StorageClass]); 7] = [
            (Standard, &[StandardIa, OnezoneIa, IntelligentTiering, GlacierIr, Glacier, DeepArchive]),
            (StandardIa, &[OnezoneIa, IntelligentTiering, GlacierIr, Glacier, DeepArchive]),
            (IntelligentTiering, &[OnezoneIa, GlacierIr, Glacier, DeepArchive]),
            (OnezoneIa, &[Glacier, DeepArchive]),
            (GlacierIr, &[Glacier, DeepArchive]),
            (Glacier, &[DeepArchive]),
            (DeepArchive, &[]),
        ];
        for (from, allowed) in down {
            for to in StorageClass::ALL {
                assert_eq!(leads(from, *to), allowed.contains(to), "{} to {}", from.name(), to.name());
            }
        }
    }

    #[test]
    fn lc_5_and_lc_6_everything_that_a_filter_says_holds() {
        let tags = |pairs: &[(&str, &str)]| {
            let mut tags = TagSet::new();
            pairs.iter().for_each(|(key, value)| tags.set(key, value).unwrap());
            tags
        };
        let selection = Selection {
            prefix: "logs/".into(),
            tags: tags(&[("a", "1"), ("b", "2")]),
            above: Some(500),
            below: Some(1000),
        };
        let all = [("a", "1"), ("b", "2"), ("c", "3")];
        for (key, pairs, size, taken) in [
            ("logs/x", &all[..], 501, true),
            ("logs/x", &all[..], 999, true),
            ("logs/x", &all[..], 500, false),
            ("logs/x", &all[..], 1000, false),
            ("log/x", &all[..], 700, false),
            ("logs/x", &all[1..], 700, false),
            ("logs/x", &[("a", "1"), ("b", "3")][..], 700, false),
            ("logs/x", &[("a", "1"), ("B", "2")][..], 700, false),
        ] {
            assert_eq!(selection.takes(key, &tags(pairs), size), taken, "{key} {pairs:?} {size}");
        }
        assert!(Selection::default().takes("anything", &TagSet::new(), 0));
    }
}
