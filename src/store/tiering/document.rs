//! The document `intelligent-tiering`: which objects may go into archive tiers, and when (IT-3, IT-10).

use super::super::configurations::{Configuration, Configurations, ID_CHARS_MAX, bad};
use super::super::lifecycle::{RuleStatus, TagElement};
use crate::model::{ArchiveTier, Error, KEY_BYTES_MAX, Kind, Result, TagSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Days after which an object goes into an archive tier at most (IT-3).
const DAYS_MAX: u32 = 730;
/// A document that is valid.
pub(in crate::store) const EXAMPLE: &str = r#"{"IntelligentTieringConfigurationList":[{"Id":"old","Status":"Enabled","Tierings":[{"Days":90,"AccessTier":"ARCHIVE_ACCESS"}]}]}"#;

/// A bucket's configurations, as `aws s3api list-bucket-intelligent-tiering-configurations` prints them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TieringDocument {
    /// The configurations, each with a name of its own.
    #[serde(rename = "IntelligentTieringConfigurationList")]
    pub configurations: Vec<TieringElement>,
    /// What S3 says beside a list: whether it goes on.
    #[serde(rename = "IsTruncated", default, skip_serializing)]
    pub truncated: bool,
}

/// A configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct TieringElement {
    /// Its name.
    pub id: String,
    /// Which objects it is for; all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<TieringFilter>,
    /// Whether it acts.
    pub status: RuleStatus,
    /// The archive tiers, each once at most.
    pub tierings: Vec<TierElement>,
}

/// `Filter`: one of them. Analytics configurations have the same.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct TieringFilter {
    /// What keys begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A tag that objects have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<TagElement>,
    /// Several at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub and: Option<TieringAnd>,
}

/// `And`: all of them hold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct TieringAnd {
    /// What keys begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Tags that objects have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagElement>,
}

/// When objects go into a tier.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct TierElement {
    /// Days without use.
    pub days: u32,
    /// The tier.
    pub access_tier: TierName,
}

/// An archive tier as S3 names it here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum TierName {
    /// The archive.
    #[serde(rename = "ARCHIVE_ACCESS")]
    Archive,
    /// The deep archive.
    #[serde(rename = "DEEP_ARCHIVE_ACCESS")]
    DeepArchive,
}

impl TierName {
    /// The name of a tier.
    #[must_use]
    pub const fn of(tier: ArchiveTier) -> Self {
        match tier {
            ArchiveTier::Archive => Self::Archive,
            ArchiveTier::DeepArchive => Self::DeepArchive,
        }
    }

    /// S3's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Archive => "ARCHIVE_ACCESS",
            Self::DeepArchive => "DEEP_ARCHIVE_ACCESS",
        }
    }

    /// Days without use that it takes at least (IT-3).
    const fn days_min(self) -> u32 {
        match self {
            Self::Archive => 90,
            Self::DeepArchive => 180,
        }
    }
}

/// Days without use after which an object goes into each archive tier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ArchiveDays {
    /// Into the archive.
    pub archive: Option<u32>,
    /// Into the deep archive.
    pub deep: Option<u32>,
}

fn bad_filter(why: impl Into<String>) -> Error {
    Error::new(Kind::InvalidArgument, "cannot use the configuration's Filter").why(why.into())
}

impl Configurations for TieringDocument {
    type One = TieringElement;
    const DOCUMENT: &'static str = super::DOCUMENT;
    const RULE: &'static str = "IT-10";

    fn list(&mut self) -> &mut Vec<TieringElement> {
        &mut self.configurations
    }

    fn is_truncated(&self) -> bool {
        self.truncated
    }

    fn configurations(&self) -> &[TieringElement] {
        &self.configurations
    }
}

impl TieringDocument {
    /// After how many days an object goes into which tier: the soonest of all that are for it.
    #[must_use]
    pub fn days(&self, key: &str, tags: &TagSet) -> ArchiveDays {
        let mut days = ArchiveDays::default();
        let for_it = |one: &&TieringElement| one.status == RuleStatus::Enabled && one.takes(key, tags);
        for tiering in self.configurations.iter().filter(for_it).flat_map(|one| &one.tierings) {
            let slot = match tiering.access_tier {
                TierName::Archive => &mut days.archive,
                TierName::DeepArchive => &mut days.deep,
            };
            *slot = Some(slot.map_or(tiering.days, |days| days.min(tiering.days)));
        }
        days
    }
}

impl TieringDocument {
    /// Whether for some keys that begin so it depends on how they begin what becomes of them.
    #[must_use]
    pub fn is_by_prefix_at(&self, prefix: &str) -> bool {
        let filters = self.configurations.iter().filter(|one| one.status == RuleStatus::Enabled);
        let filters = filters.filter_map(|one| one.filter.as_ref());
        let mut prefixes = filters.filter_map(|filter| {
            filter.prefix.as_deref().or_else(|| filter.and.as_ref().and_then(|and| and.prefix.as_deref()))
        });
        prefixes.any(|of| of.starts_with(prefix) || prefix.starts_with(of))
    }
}

impl Configuration for TieringElement {
    fn id(&self) -> &str {
        &self.id
    }

    fn check(&self) -> Result<()> {
        let chars = self.id.chars().count();
        if chars == 0 || chars > ID_CHARS_MAX {
            return Err(bad::<TieringDocument>(format!("an Id has 1 to {ID_CHARS_MAX} characters, not {chars}")));
        }
        if self.tierings.is_empty() {
            return Err(bad::<TieringDocument>(format!("{:?} names no tier", self.id)));
        }
        let mut seen = BTreeSet::new();
        for TierElement { days, access_tier } in &self.tierings {
            let (name, least) = (access_tier.name(), access_tier.days_min());
            if !(least..=DAYS_MAX).contains(days) {
                return Err(bad::<TieringDocument>(format!(
                    "{name} takes {least} to {DAYS_MAX} days, not {days} (IT-3)"
                )));
            }
            if !seen.insert(access_tier) {
                return Err(bad::<TieringDocument>(format!("{:?} names {name} twice", self.id)));
            }
        }
        self.filter.as_ref().map_or(Ok(()), TieringFilter::check)
    }
}

impl TieringElement {
    fn takes(&self, key: &str, tags: &TagSet) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.takes(key, tags))
    }
}

impl TieringFilter {
    /// Whether an object of that key and those tags is meant.
    #[must_use]
    pub fn takes(&self, key: &str, tags: &TagSet) -> bool {
        let has = |tag: &TagElement| tags.get(&tag.key) == Some(&tag.value);
        let begins = |prefix: &Option<String>| prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()));
        begins(&self.prefix)
            && self.tag.as_ref().is_none_or(has)
            && self.and.as_ref().is_none_or(|and| begins(&and.prefix) && and.tags.iter().all(has))
    }

    pub(in crate::store) fn check(&self) -> Result<()> {
        let said = [self.prefix.is_some(), self.tag.is_some(), self.and.is_some()];
        if said.into_iter().filter(|said| *said).count() != 1 {
            return Err(bad_filter("it has one of Prefix, Tag and And (IT-10, SCA-1)"));
        }
        if self.and.as_ref().is_some_and(|and| and.tags.len() + usize::from(and.prefix.is_some()) < 2) {
            return Err(bad_filter("an And joins at least two of Prefix and Tags (IT-10)"));
        }
        let mut prefixes = self.prefix.iter().chain(self.and.iter().filter_map(|and| and.prefix.as_ref()));
        if prefixes.any(|prefix| prefix.len() > KEY_BYTES_MAX) {
            return Err(bad_filter(format!("a Prefix has {KEY_BYTES_MAX} bytes at most, as a key (KEY-1)")));
        }
        let tags = self.tag.iter().chain(self.and.iter().flat_map(|and| &and.tags));
        let mut set = TagSet::new();
        for TagElement { key, value } in tags {
            if set.get(key).is_some() {
                return Err(bad_filter(format!("it names the tag {key:?} twice")));
            }
            set.set(key, value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ArchiveDays, Configurations as _, Kind, TagSet, TieringDocument};

    fn read(configurations: &str) -> Result<TieringDocument, Option<Kind>> {
        let text = format!(r#"{{"IntelligentTieringConfigurationList":[{configurations}]}}"#);
        let document: TieringDocument = serde_json::from_str(&text).map_err(|_| None)?;
        document.check().map(|()| document).map_err(|error| Some(error.kind()))
    }

    fn one(id: &str, filter: &str, tierings: &str) -> String {
        format!(r#"{{"Id":"{id}","Status":"Enabled"{filter},"Tierings":[{tierings}]}}"#)
    }

    fn tier(name: &str, days: u32) -> String {
        format!(r#"{{"Days":{days},"AccessTier":"{name}"}}"#)
    }

    #[test]
    fn it_3_days_have_bounds() {
        for (name, days, good) in [
            ("ARCHIVE_ACCESS", 89, false),
            ("ARCHIVE_ACCESS", 90, true),
            ("ARCHIVE_ACCESS", 730, true),
            ("ARCHIVE_ACCESS", 731, false),
            ("DEEP_ARCHIVE_ACCESS", 179, false),
            ("DEEP_ARCHIVE_ACCESS", 180, true),
            ("DEEP_ARCHIVE_ACCESS", 730, true),
            ("DEEP_ARCHIVE_ACCESS", 731, false),
        ] {
            assert_eq!(read(&one("a", "", &tier(name, days))).is_ok(), good, "{name} {days}");
        }
        assert_eq!(read(&one("a", "", &tier("FREQUENT", 90))), Err(None));
    }

    #[test]
    fn it_10_a_bucket_has_a_thousand_configurations_each_with_a_name() {
        let tiers = tier("ARCHIVE_ACCESS", 90);
        let many = |n: usize| (0..n).map(|n| one(&n.to_string(), "", &tiers)).collect::<Vec<_>>().join(",");
        assert!(read(&many(0)).is_ok() && read(&many(1000)).is_ok());
        let bad = Err(Some(Kind::InvalidArgument));
        assert_eq!(read(&many(1001)), Err(Some(Kind::TooManyConfigurations)));
        assert_eq!(read(&one("a", r#","Filter":{}"#, &tiers)), bad);
        assert_eq!(read(&[one("a", "", &tiers), one("a", "", &tiers)].join(",")), bad);
        assert_eq!(read(&one("", "", &tiers)), bad);
        assert_eq!(read(&one(&"i".repeat(65), "", &tiers)), bad);
        assert_eq!(read(&one("a", "", "")), bad);
        assert_eq!(read(&one("a", "", &[tiers.clone(), tiers.clone()].join(","))), bad);
        let two = r#","Filter":{"Prefix":"a","Tag":{"Key":"k","Value":"v"}}"#;
        assert_eq!(read(&one("a", two, &tiers)), bad);
    }

    #[test]
    fn it_10_filters_choose_and_the_soonest_counts() {
        let tiers = [tier("ARCHIVE_ACCESS", 120), tier("DEEP_ARCHIVE_ACCESS", 180)].join(",");
        let logs = r#","Filter":{"Prefix":"logs/"}"#;
        let cold = r#","Filter":{"And":{"Prefix":"logs/","Tags":[{"Key":"cold","Value":"yes"}]}}"#;
        let off = one("c", "", &tier("ARCHIVE_ACCESS", 90)).replace("Enabled", "Disabled");
        let document =
            read(&[one("a", logs, &tiers), one("b", cold, &tier("ARCHIVE_ACCESS", 90)), off].join(",")).unwrap();
        let mut tags = TagSet::new();
        assert_eq!(document.days("other", &tags), ArchiveDays::default());
        assert_eq!(document.days("logs/a", &tags), ArchiveDays { archive: Some(120), deep: Some(180) });
        tags.set("cold", "yes").unwrap();
        assert_eq!(document.days("logs/a", &tags), ArchiveDays { archive: Some(90), deep: Some(180) });
        assert_eq!(document.days("a", &tags), ArchiveDays::default());
    }
}
