//! Policies of forms that browsers send: what a signer lets whoever has the form upload, and until when (AUTH-1, AUTH-7). Pure.

use crate::model::{Error, Kind, Result, Timestamp, parse_rfc3339};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

/// Fields that no condition needs to be about: the file, and what the policy and its signature are.
const FREE: &[&str] = &["file", "policy", "x-amz-signature"];
/// What other such fields begin with.
const IGNORED: &str = "x-ignore-";

/// Such a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PostPolicy {
    expiration: Timestamp,
    conditions: Vec<Condition>,
}

/// What a form must say; names of fields in lower case.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Condition {
    Is(String, String),
    BeginsWith(String, String),
    /// Bytes of the file, at least and at most.
    Length(u64, u64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    expiration: String,
    conditions: Vec<Condition>,
}

/// A number, which some clients write in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bound {
    Number(u64),
    Text(String),
}

impl PostPolicy {
    /// Reads a policy's JSON.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] when it is no policy: other members than a time and conditions, a time that is not in UTC, a
    /// condition of no known kind.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let bad = |why: String| Error::new(Kind::InvalidArgument, "Invalid Policy").why(why);
        let document: Document =
            serde_json::from_slice(&with_plain_escapes(json)).map_err(|error| bad(format!("Invalid JSON: {error}")))?;
        let text = &document.expiration;
        let is_utc = text.as_bytes().get(10) == Some(&b'T') && text.ends_with('Z');
        let expiration = parse_rfc3339(text).ok().filter(|_| is_utc);
        let expiration = expiration.ok_or_else(|| bad(format!("Invalid 'expiration' value: {text:?}")))?;
        Ok(Self { expiration, conditions: document.conditions })
    }

    /// How many bytes the file of a form may have that is sent to `bucket`; `fields` are those before the file, their names in lower
    /// case and the file's name filled in.
    ///
    /// # Errors
    /// [`Kind::Denied`] when the policy has expired, a condition does not hold, or a field has none.
    pub fn judge(
        &self,
        bucket: &str,
        fields: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<RangeInclusive<u64>> {
        let denied = |why: String| Error::new(Kind::Denied, "Invalid according to Policy").why(why);
        if now >= self.expiration {
            return Err(denied("Policy expired.".to_owned()));
        }
        let value = |name: &str| if name == "bucket" { Some(bucket) } else { fields.get(name).map(String::as_str) };
        let (mut least, mut most) = (0, u64::MAX);
        for condition in &self.conditions {
            let holds = match condition {
                Condition::Is(name, wanted) => value(name) == Some(wanted),
                Condition::BeginsWith(name, prefix) => value(name).is_some_and(|value| begins(name, value, prefix)),
                Condition::Length(min, max) => {
                    (least, most) = (least.max(*min), most.min(*max));
                    true
                }
            };
            if !holds {
                return Err(denied(format!("Policy Condition failed: {condition}")));
            }
        }
        if fields.get("bucket").is_some_and(|named| named != bucket) {
            return Err(denied("the form is for another bucket".to_owned()));
        }
        let extra = fields.keys().find(|name| !self.is_about(name));
        match extra {
            Some(name) => Err(denied(format!("Extra input fields: {name}"))),
            None => Ok(least..=most),
        }
    }

    fn is_about(&self, name: &str) -> bool {
        let conditioned = self.conditions.iter().any(|condition| match condition {
            Condition::Is(about, _) | Condition::BeginsWith(about, _) => about == name,
            Condition::Length(..) => false,
        });
        conditioned || FREE.contains(&name) || name.starts_with(IGNORED)
    }
}

/// Of a list of content types each begins so.
fn begins(name: &str, value: &str, prefix: &str) -> bool {
    match name {
        "content-type" => value.split(',').all(|kind| kind.trim_start().starts_with(prefix)),
        _ => value.starts_with(prefix),
    }
}

/// The JSON without the two escapes that S3 has besides JSON's own.
fn with_plain_escapes(json: &[u8]) -> Vec<u8> {
    let (mut plain, mut bytes) = (Vec::with_capacity(json.len()), json.iter().copied());
    while let Some(byte) = bytes.next() {
        let escaped = if byte == b'\\' { bytes.next() } else { None };
        match escaped {
            Some(b'$') => plain.push(b'$'),
            Some(b'v') => plain.extend_from_slice(b"\\u000b"),
            escaped => plain.extend(std::iter::once(byte).chain(escaped)),
        }
    }
    plain
}

fn field(name: &str) -> String {
    name.strip_prefix('$').unwrap_or(name).to_ascii_lowercase()
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(name, value) => write!(f, "[\"eq\", \"${name}\", {value:?}]"),
            Self::BeginsWith(name, prefix) => write!(f, "[\"starts-with\", \"${name}\", {prefix:?}]"),
            Self::Length(min, max) => write!(f, "[\"content-length-range\", {min}, {max}]"),
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OfCondition)
    }
}

struct OfCondition;

impl<'de> Visitor<'de> for OfCondition {
    type Value = Condition;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a condition: an object with exactly one member, or a list of three")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Condition, A::Error> {
        let (name, value): (String, String) =
            map.next_entry()?.ok_or_else(|| A::Error::custom("a simple condition has exactly one member"))?;
        Ok(Condition::Is(field(&name), value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Condition, A::Error> {
        let short = || A::Error::custom("a condition has three members");
        let kind: String = list.next_element()?.ok_or_else(short)?;
        match kind.to_ascii_lowercase().as_str() {
            kind @ ("eq" | "starts-with") => {
                let name: String = list.next_element()?.ok_or_else(short)?;
                let value = list.next_element()?.ok_or_else(short)?;
                Ok(if kind == "eq" {
                    Condition::Is(field(&name), value)
                } else {
                    Condition::BeginsWith(field(&name), value)
                })
            }
            "content-length-range" => {
                let mut bound = || match list.next_element()?.ok_or_else(short)? {
                    Bound::Number(number) => Ok(number),
                    Bound::Text(text) => text.parse().map_err(|_| A::Error::custom("a length is a number")),
                };
                Ok(Condition::Length(bound()?, bound()?))
            }
            kind => Err(A::Error::custom(format!("there is no condition {kind:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Kind, PostPolicy, Timestamp};
    use std::ops::RangeInclusive;

    const NOW: Timestamp = Timestamp::new(1_795_000_000, 0);

    fn policy(conditions: &str) -> String {
        format!(r#"{{"expiration": "2026-12-01T12:00:00.000Z", "conditions": [{conditions}]}}"#)
    }

    fn judged(conditions: &str, fields: &[(&str, &str)]) -> Result<RangeInclusive<u64>, String> {
        let fields: BTreeMap<_, _> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let policy = PostPolicy::parse(policy(conditions).as_bytes()).map_err(|error| error.to_string())?;
        policy.judge("bkt", &fields, NOW).map_err(|error| {
            assert_eq!(error.kind(), Kind::Denied);
            error.reason().to_owned()
        })
    }

    #[test]
    fn auth_1_conditions_hold_or_the_form_is_denied() {
        let all = r#"{"bucket": "bkt"}, ["starts-with", "$key", "a/"], ["eq", "$acl", "private"]"#;
        assert_eq!(judged(all, &[("key", "a/b"), ("acl", "private")]), Ok(0..=u64::MAX));
        for (fields, why) in [
            (&[("key", "b/a"), ("acl", "private")][..], r#"Policy Condition failed: ["starts-with", "$key", "a/"]"#),
            (&[("key", "a/b"), ("acl", "Private")], r#"Policy Condition failed: ["eq", "$acl", "private"]"#),
            (&[("key", "a/b")], r#"Policy Condition failed: ["eq", "$acl", "private"]"#),
            (&[("key", "a/b"), ("acl", "private"), ("tagging", "")], "Extra input fields: tagging"),
            (&[("key", "a/b"), ("acl", "private"), ("bucket", "other")], "the form is for another bucket"),
        ] {
            assert_eq!(judged(all, fields), Err(why.to_owned()));
        }
        assert!(judged(r#"{"bucket": "other"}"#, &[("bucket", "other")]).is_err());
        let free = [("x-ignore-me", "1"), ("policy", "p"), ("x-amz-signature", "0")];
        assert!(judged("", &free).is_ok());
        // What is not there neither is anything nor begins with anything.
        assert!(judged(r#"["starts-with", "$x", ""]"#, &[]).is_err());
        assert!(judged(r#"["eq", "$x", ""]"#, &[]).is_err());
        assert!(judged(r#"["starts-with", "$x", ""]"#, &[("x", "")]).is_ok());
    }

    #[test]
    fn auth_1_every_condition_counts_also_when_there_are_several_of_a_field() {
        let two = r#"["starts-with", "$key", "a"], ["starts-with", "$key", "ab"]"#;
        assert!(judged(two, &[("key", "abc")]).is_ok() && judged(two, &[("key", "acb")]).is_err());
        let lengths = r#"["content-length-range", 1, 100], ["content-length-range", "10", 1000]"#;
        assert_eq!(judged(lengths, &[]), Ok(10..=100));
    }

    #[test]
    fn auth_1_names_have_no_case_and_values_do() {
        let odd = r#"["StArTs-WiTh", "$KeY", "foo"], {"aCl": "private"}"#;
        assert!(judged(odd, &[("key", "foo"), ("acl", "private")]).is_ok());
        assert!(judged(odd, &[("key", "Foo"), ("acl", "private")]).is_err());
    }

    #[test]
    fn auth_1_each_content_type_of_a_list_begins_so() {
        let images = r#"["starts-with", "$Content-Type", "image/"]"#;
        assert!(judged(images, &[("content-type", "image/png, image/gif")]).is_ok());
        assert!(judged(images, &[("content-type", "image/png,text/html")]).is_err());
    }

    #[test]
    fn auth_1_dollars_may_be_escaped() {
        assert!(judged(r#"["eq", "$key", "\$a\v\\\$\"]"]"#, &[("key", "$a\u{b}\\$\"]")]).is_ok());
    }

    #[test]
    fn auth_7_a_policy_ends_at_its_moment() {
        let policy = PostPolicy::parse(policy("").as_bytes()).unwrap();
        let end = crate::model::parse_rfc3339("2026-12-01T12:00:00Z").unwrap();
        let at = |secs| policy.judge("bkt", &BTreeMap::new(), Timestamp::new(secs, 0));
        assert!(at(end.secs - 1).is_ok());
        assert_eq!(at(end.secs).unwrap_err().to_string(), "Invalid according to Policy: Policy expired.");
    }

    #[test]
    fn auth_1_what_is_no_policy_is_refused() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        let deep_value = policy(&format!(r#"["eq", "$key", {deep}]"#));
        let conditions = [
            "{}",
            "[]",
            "1",
            "null",
            r#""eq""#,
            r#"{"a": "1", "b": "2"}"#,
            r#"{"a": "1", "a": "1"}"#,
            r#"{"a": 1}"#,
            r#"["eq", "$key"]"#,
            r#"["eq", "$key", "a", "b"]"#,
            r#"["eq", "$key", 1]"#,
            r#"["like", "$key", "a"]"#,
            r#"["content-length-range", 0]"#,
            r#"["content-length-range", -1, 0]"#,
            r#"["content-length-range", 0, 1.5]"#,
            r#"["content-length-range", 0, 18446744073709551616]"#,
            r#"["content-length-range", 0, 1e999]"#,
            r#"["content-length-range", 0, "many"]"#,
        ];
        let mut bad: Vec<String> = conditions.iter().map(|text| policy(text)).collect();
        bad.extend([deep, deep_value]);
        bad.extend(
            [
                "",
                "[]",
                r#"{"conditions": []}"#,
                r#"{"expiration": "2026-12-01T12:00:00Z"}"#,
                r#"{"EXPIRATION": "2026-12-01T12:00:00Z", "conditions": []}"#,
                r#"{"expiration": "2026-12-01T12:00:00Z", "conditions": [], "other": 1}"#,
                r#"{"expiration": "2026-12-01T12:00:00Z", "expiration": "2027-12-01T12:00:00Z", "conditions": []}"#,
                r#"{"expiration": "2026-12-01T12:00:00Z", "conditions": []} {}"#,
                r#"{"expiration": "2026-12-01T12:00:00Z", "conditions": {}}"#,
                r#"{"expiration": "2026-12-01T12:00:00Z", "conditions": null}"#,
                r#"{"expiration": 1795000000, "conditions": []}"#,
                "{\"expiration\": \"2026-12-01T12:00:00Z\", \"conditions\": []\\",
            ]
            .map(str::to_owned),
        );
        for time in [
            "2026-12-01 12:00:00+00:00",
            "2026-12-01T12:00:00+01:00",
            "2026-12-01T12:00:00",
            "2026-12-01",
            "20261201T120000.0Z",
            "2026-13-01T12:00:00Z",
            "",
        ] {
            bad.push(format!(r#"{{"expiration": "{time}", "conditions": []}}"#));
        }
        for text in bad {
            let refused = PostPolicy::parse(text.as_bytes()).unwrap_err();
            assert_eq!(refused.kind(), Kind::InvalidArgument, "{text:.100}");
        }
        assert!(PostPolicy::parse(b"{\"expiration\": \"\xff\", \"conditions\": []}").is_err());
    }
}
