//! The document `lifecycle` as `aws s3api get-bucket-lifecycle-configuration` prints it: reading and writing.

use crate::crypto::sha256;
use crate::model::{Error, Kind, Result, StorageClass, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// A document that is valid.
pub(in crate::store) const EXAMPLE: &str =
    r#"{"Rules":[{"ID":"old-logs","Filter":{"Prefix":"logs/"},"Status":"Enabled","Expiration":{"Days":30}}]}"#;

/// A bucket's lifecycle configuration, as it was given. [`LifecycleDocument::check`] makes rules of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct LifecycleDocument {
    /// What keeps small objects from transitions (LC-15): `all_storage_classes_128K` or `varies_by_storage_class`.
    #[serde(default = "all_classes")]
    pub transition_default_minimum_object_size: String,
    /// The rules, in order.
    pub rules: Vec<LifecycleRule>,
}

fn all_classes() -> String {
    ALL_CLASSES.to_owned()
}

/// Small objects stay as they are.
pub(super) const ALL_CLASSES: &str = "all_storage_classes_128K";
/// Small objects go to the archives alone.
pub(super) const BY_CLASS: &str = "varies_by_storage_class";

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct LifecycleRule {
    /// What becomes of current versions in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration: Option<ExpirationElement>,
    /// Its name.
    #[serde(rename = "ID", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What keys begin with, as rules said it before there were filters (LC-4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterElement>,
    /// Whether it acts (LC-2).
    pub status: RuleStatus,
    /// Moves of current versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<TransitionElement>,
    /// Moves of noncurrent versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noncurrent_version_transitions: Vec<NoncurrentTransitionElement>,
    /// The end of noncurrent versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noncurrent_version_expiration: Option<NoncurrentExpirationElement>,
    /// The end of uploads that nobody completes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_incomplete_multipart_upload: Option<AbortElement>,
}

/// Whether a rule acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum RuleStatus {
    /// It does.
    #[default]
    Enabled,
    /// It is kept and does nothing.
    Disabled,
}

/// `Expiration`: one of the three.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct ExpirationElement {
    /// On and after this day.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "date")]
    pub date: Option<Timestamp>,
    /// At this age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<i32>,
    /// Of delete markers with nothing below (LC-19).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_object_delete_marker: Option<bool>,
}

/// `Filter`: one of them, or none for everything (LC-4).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct FilterElement {
    /// What keys begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A tag that objects have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<TagElement>,
    /// Bytes that objects have more of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_size_greater_than: Option<i64>,
    /// Bytes that objects have fewer of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_size_less_than: Option<i64>,
    /// Several at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub and: Option<AndElement>,
}

/// `And`: all of them hold (LC-5).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct AndElement {
    /// What keys begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Tags that objects have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagElement>,
    /// Bytes that objects have more of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_size_greater_than: Option<i64>,
    /// Bytes that objects have fewer of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_size_less_than: Option<i64>,
}

/// A tag of a filter.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct TagElement {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// One of `Transitions`, at a date or an age.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct TransitionElement {
    /// On and after this day.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "date")]
    pub date: Option<Timestamp>,
    /// At this age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<i32>,
    /// Where to.
    #[serde(with = "class")]
    pub storage_class: StorageClass,
}

/// One of `NoncurrentVersionTransitions`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct NoncurrentTransitionElement {
    /// So many days after a newer version took its place.
    pub noncurrent_days: i32,
    /// Where to.
    #[serde(with = "class")]
    pub storage_class: StorageClass,
    /// So many of the newest noncurrent versions are passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer_noncurrent_versions: Option<i32>,
}

/// `NoncurrentVersionExpiration`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct NoncurrentExpirationElement {
    /// So many days after a newer version took its place.
    pub noncurrent_days: i32,
    /// So many of the newest noncurrent versions are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer_noncurrent_versions: Option<i32>,
}

/// `AbortIncompleteMultipartUpload`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct AbortElement {
    /// At this age.
    pub days_after_initiation: i32,
}

impl LifecycleDocument {
    /// Reads it. Rules without an ID get one: the first 32 hexadecimal digits of the SHA-256 of what the rule says, so
    /// that the same rule has the same ID wherever it stands and however often it is set; of equal rules each later one
    /// is told apart by the number of those before it.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is not of this shape, naming the rule and the member. What the rules say is judged by
    /// [`LifecycleDocument::check`].
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut document: Self = serde_json::from_slice(text).map_err(|error| malformed(text, &error))?;
        document.name_rules();
        Ok(document)
    }

    /// Its text, as `aws s3api` prints it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, indent);
        // Writing into memory fails for maps with keys that are no strings, and there is none.
        if self.serialize(&mut serializer).is_err() {
            text.clear();
        }
        text.push(b'\n');
        String::from_utf8_lossy(&text).into_owned()
    }

    fn name_rules(&mut self) {
        let has_name = |rule: &LifecycleRule| rule.id.as_ref().is_some_and(|id| !id.is_empty());
        let mut taken: BTreeSet<String> =
            self.rules.iter().filter(|rule| has_name(rule)).filter_map(|rule| rule.id.clone()).collect();
        for rule in self.rules.iter_mut().filter(|rule| !has_name(rule)) {
            rule.id = None;
            let said = serde_json::to_vec(rule).unwrap_or_default();
            let name = |nth: usize| {
                let digest = sha256(&[said.as_slice(), nth.to_string().as_bytes()].concat());
                digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>()
            };
            rule.id = (0..).map(name).find(|id| taken.insert(id.clone()));
        }
    }
}

/// Why a text is no such document: the rule that is not, where one is not.
fn malformed(text: &[u8], error: &serde_json::Error) -> Error {
    let value: Value = serde_json::from_slice(text).unwrap_or_default();
    let rules = value.get("Rules").and_then(Value::as_array).into_iter().flatten();
    let of_rule = (1..).zip(rules).find_map(|(nth, rule)| {
        let error = LifecycleRule::deserialize(rule).err()?;
        let id = rule.get("ID").and_then(Value::as_str).filter(|id| !id.is_empty());
        let name = id.map_or_else(|| format!("rule {nth}"), |id| format!("rule {id:?}"));
        Some(format!("{name}: {error}"))
    });
    refusal(Kind::Malformed, of_rule.unwrap_or_else(|| error.to_string()))
}

/// A refusal of the document.
pub(super) fn refusal(kind: Kind, why: String) -> Error {
    Error::new(kind, "cannot set the bucket's lifecycle")
        .why(why)
        .mend(format!("write it as `aws s3api` takes it, for example {EXAMPLE}"))
}

/// Dates as `aws s3api` prints them; `2026-01-31` is read as well.
mod date {
    use crate::model::{Timestamp, parse_rfc3339};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(date: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        let text = date.unwrap_or_default().rfc3339();
        to.serialize_str(&format!("{}+00:00", text.split('.').next().unwrap_or_default()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let text = String::deserialize(from)?;
        parse_rfc3339(&text)
            .or_else(|_| parse_rfc3339(&format!("{text}T00:00:00Z")))
            .map(Some)
            .map_err(|_| D::Error::custom(format!("the date {text:?} is not written like 2026-01-31T00:00:00Z (LC-9)")))
    }
}

/// Storage classes that objects can be moved to, by S3's names.
mod class {
    use crate::model::StorageClass;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(class: &StorageClass, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(class.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<StorageClass, D::Error> {
        let name = String::deserialize(from)?;
        match StorageClass::named(&name) {
            // LC-14
            Some(class) if class != StorageClass::Standard => Ok(class),
            _ => {
                let known = StorageClass::ALL.iter().filter(|class| **class != StorageClass::Standard);
                let known: Vec<_> = known.map(|class| class.name()).collect();
                let known = known.join(", ");
                Err(D::Error::custom(format!("objects are not moved to the class {name:?}, but to {known} (LC-14)")))
            }
        }
    }
}
