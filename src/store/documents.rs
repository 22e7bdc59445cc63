//! Bucket documents: the settings that S3 keeps as documents, by name, and what makes each of them valid.

use super::Store;
use crate::model::{Bucket, Error, Kind, Result, TagSet, Versioning};
use serde_json::{Map, Value};

/// Longest document in bytes; S3's longest (a policy, a lifecycle configuration) fit.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Most tags of a bucket (BKT-21).
const BUCKET_TAGS_MAX: usize = 50;

/// What the engine makes of a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Engine {
    /// It is the bucket's versioning state, not stored text.
    Versioning,
    /// Stored; it obliges the engine to nothing.
    Tagging,
    /// Nothing yet: setting it is refused, because a stored rule that nobody obeys is a lie.
    Later,
}

/// A kind of bucket document.
#[derive(PartialEq, Eq, Debug)]
pub struct Document {
    /// Its name: `NAME.json` in `.keyfold`, `user.s3.NAME` on the bucket.
    pub name: &'static str,
    /// What it holds, for the documentation.
    pub text: &'static str,
    engine: Engine,
}

const fn document(name: &'static str, engine: Engine, text: &'static str) -> Document {
    Document { name, text, engine }
}

/// Every bucket document (INTERFACE section 6), as `aws s3api get-bucket-...` prints and `put-bucket-...` reads it.
pub const DOCUMENTS: &[Document] = &[
    document("versioning", Engine::Versioning, "`get-bucket-versioning`"),
    document("lifecycle", Engine::Later, "`get-bucket-lifecycle-configuration`"),
    document("policy", Engine::Later, "`get-bucket-policy`, the policy itself"),
    document("acl", Engine::Later, "`get-bucket-acl`"),
    document("ownership", Engine::Later, "`get-bucket-ownership-controls`"),
    document("public-access-block", Engine::Later, "`get-public-access-block`"),
    document("cors", Engine::Later, "`get-bucket-cors`"),
    document("website", Engine::Later, "`get-bucket-website`"),
    document("replication", Engine::Later, "`get-bucket-replication`"),
    document("notification", Engine::Later, "`get-bucket-notification-configuration`"),
    document("logging", Engine::Later, "`get-bucket-logging`"),
    document("inventory", Engine::Later, "`list-bucket-inventory-configurations`"),
    document("analytics", Engine::Later, "`list-bucket-analytics-configurations`"),
    document("object-lock", Engine::Later, "`get-object-lock-configuration`"),
    document("encryption", Engine::Later, "`get-bucket-encryption`"),
    document("tagging", Engine::Tagging, "`get-bucket-tagging`, at most 50 tags (BKT-21)"),
    document("request-payment", Engine::Later, "`get-bucket-request-payment`"),
    document("accelerate", Engine::Later, "`get-bucket-accelerate-configuration`"),
    document("intelligent-tiering", Engine::Later, "`list-bucket-intelligent-tiering-configurations`"),
];

impl Document {
    /// The document called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        DOCUMENTS.iter().find(|document| document.name == name)
    }

    /// The document whose file is called `name`: `NAME.json`.
    #[must_use]
    pub fn of_file(name: &str) -> Option<&'static Self> {
        Self::named(name.strip_suffix(".json")?)
    }

    /// Whether this release obeys it.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.engine != Engine::Later
    }

    /// Its text, `None` when it is not set. The versioning document is always there, `{}` when it was never set.
    #[must_use]
    pub fn read(&self, bucket: &Bucket) -> Option<String> {
        if self.engine != Engine::Versioning {
            return bucket.documents.get(self.name).cloned();
        }
        Some(match bucket.versioning.status() {
            None => "{}\n".to_owned(),
            Some(status) => format!("{{\n    \"Status\": \"{status}\"\n}}\n"),
        })
    }

    /// Whether it may be written at all, to be asked when a file is opened for writing.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] when this release has no engine for it.
    pub fn writable(&self) -> Result<()> {
        if self.is_built() {
            return Ok(());
        }
        Err(Error::new(Kind::Unsupported, format!("cannot set the bucket's {}", self.name))
            .why("this release has no engine for it, and would only pretend to obey"))
    }

    /// Checks a whole text.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for text that is not the document's JSON, [`Kind::InvalidTag`] and
    /// [`Kind::TooManyTags`] for tags, [`Kind::Unsupported`] without an engine.
    pub fn check(&self, text: &[u8]) -> Result<()> {
        self.writable()?;
        let value: Value =
            serde_json::from_slice(text).map_err(|error| self.bad(format!("it is not JSON: {error}")))?;
        let Value::Object(members) = &value else {
            return Err(self.bad("it is not a JSON object".to_owned()));
        };
        match self.engine {
            Engine::Versioning => self.versioning(members).map(|_| ()),
            Engine::Tagging => self.tagging(members),
            Engine::Later => Ok(()),
        }
    }

    /// Replaces the document as a whole, if it is valid.
    ///
    /// # Errors
    /// As [`Document::check`], and the store's; the old one stays.
    pub fn replace(&self, store: &Store, bucket: &Bucket, text: &[u8]) -> Result<()> {
        self.check(text)?;
        let text = String::from_utf8_lossy(text).into_owned();
        if self.engine != Engine::Versioning {
            return store.set_document(bucket.name.as_str(), self.name, Some(text));
        }
        let members: Map<String, Value> = serde_json::from_str(&text).map_err(|error| self.bad(error.to_string()))?;
        match self.versioning(&members)? {
            // As `get-bucket-versioning` tells of a bucket where it was never set: writing it back changes nothing.
            None if bucket.versioning == Versioning::Unversioned => Ok(()),
            None => Err(never_back()),
            Some(to) if to == bucket.versioning => Ok(()),
            Some(to) => store.set_versioning(bucket.name.as_str(), to),
        }
    }

    /// Unsets the document.
    ///
    /// # Errors
    /// [`Kind::NotSet`] when it is not set, [`Kind::InvalidState`] for versioning (VER-1).
    pub fn unset(&self, store: &Store, bucket: &Bucket) -> Result<()> {
        if self.engine == Engine::Versioning {
            return Err(never_back());
        }
        if !bucket.documents.contains_key(self.name) {
            return Err(Error::new(Kind::NotSet, format!("the bucket's {} is not set", self.name)));
        }
        store.set_document(bucket.name.as_str(), self.name, None)
    }

    /// The error for a text that is not the document's, with how to write it.
    #[must_use]
    pub fn bad(&self, why: impl Into<String>) -> Error {
        Error::new(Kind::InvalidArgument, format!("cannot set the bucket's {}", self.name)).why(why.into()).mend(
            format!(
                "write it as `aws s3api` takes it, for example {}",
                match self.engine {
                    Engine::Tagging => r#"{"TagSet":[{"Key":"project","Value":"blue"}]}"#,
                    Engine::Versioning | Engine::Later => r#"{"Status":"Enabled"}"#,
                }
            ),
        )
    }

    fn only(&self, members: &Map<String, Value>, known: &[&str]) -> Result<()> {
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(self.bad(format!("the member {name:?} is unknown"))),
        }
    }

    fn versioning(&self, members: &Map<String, Value>) -> Result<Option<Versioning>> {
        self.only(members, &["Status", "MFADelete", "MfaDelete"])?;
        for name in ["MFADelete", "MfaDelete"] {
            match members.get(name).map(Value::as_str) {
                None | Some(Some("Disabled")) => {}
                Some(Some("Enabled")) => {
                    return Err(Error::new(Kind::Unsupported, "cannot turn on MFA delete")
                        .why("this release does not ask for a second factor"));
                }
                Some(_) => return Err(self.bad(format!("{name} is Enabled or Disabled"))),
            }
        }
        match members.get("Status").map(Value::as_str) {
            None => Ok(None),
            Some(Some(status)) => Versioning::parse(status).map(Some),
            Some(None) => Err(self.bad("Status is a string")),
        }
    }

    fn tagging(&self, members: &Map<String, Value>) -> Result<()> {
        self.only(members, &["TagSet"])?;
        let Some(Value::Array(tags)) = members.get("TagSet") else {
            return Err(self.bad("it has no list TagSet"));
        };
        if tags.len() > BUCKET_TAGS_MAX {
            return Err(Error::new(Kind::TooManyTags, "cannot set the bucket's tagging")
                .why(format!("it has {} tags, a bucket has at most {BUCKET_TAGS_MAX} (BKT-21)", tags.len()))
                .mend("leave some out"));
        }
        let mut seen = std::collections::BTreeSet::new();
        for tag in tags {
            let member = |name: &str| tag.get(name).and_then(Value::as_str);
            let (Some(key), Some(value)) = (member("Key"), member("Value")) else {
                return Err(self.bad("an entry of TagSet lacks Key or Value"));
            };
            if let Value::Object(members) = tag {
                self.only(members, &["Key", "Value"])?;
            }
            // A set of one: the bounds of an object's set do not apply, those of a tag do (TAG-2, TAG-4).
            TagSet::new().set(key, value)?;
            if !seen.insert(key) {
                return Err(Error::new(Kind::InvalidTag, "cannot set the bucket's tagging")
                    .why(format!("the key {key:?} stands there twice (TAG-3)"))
                    .mend("give each key once"));
            }
        }
        Ok(())
    }
}

fn never_back() -> Error {
    Error::new(Kind::InvalidState, "cannot unset the bucket's versioning")
        .why("once set it never becomes unversioned again (VER-1)")
        .mend("set it to Suspended")
}

/// Whether `text` is the beginning of JSON that lacks its end; empty text is.
#[must_use]
pub fn is_incomplete(text: &[u8]) -> bool {
    match serde_json::from_slice::<serde::de::IgnoredAny>(text) {
        Ok(_) => false,
        Err(error) => error.is_eof(),
    }
}

#[cfg(test)]
mod tests {
    use super::{DOCUMENTS, Document, Kind, is_incomplete};

    fn kind(name: &str, text: &str) -> Option<Kind> {
        Document::named(name).unwrap().check(text.as_bytes()).err().map(|error| error.kind())
    }

    #[test]
    fn ver_18_versioning_is_enabled_or_suspended() {
        assert_eq!(kind("versioning", r#"{"Status":"Enabled"}"#), None);
        assert_eq!(kind("versioning", r#"{"Status":"Suspended","MFADelete":"Disabled"}"#), None);
        assert_eq!(kind("versioning", "{}"), None);
        for bad in
            [r#"{"Status":"enabled"}"#, r#"{"Status":1}"#, r#"{"State":"Enabled"}"#, "[]", "\"Enabled\"", "Enabled"]
        {
            assert_eq!(kind("versioning", bad), Some(Kind::InvalidArgument), "{bad}");
        }
        assert_eq!(kind("versioning", r#"{"MFADelete":"Enabled"}"#), Some(Kind::Unsupported));
    }

    #[test]
    fn bkt_21_a_bucket_has_at_most_fifty_valid_tags() {
        let tags = |n: usize| {
            let tags: Vec<String> = (0..n).map(|n| format!(r#"{{"Key":"k{n}","Value":"v"}}"#)).collect();
            format!(r#"{{"TagSet":[{}]}}"#, tags.join(","))
        };
        assert_eq!(kind("tagging", &tags(0)), None);
        assert_eq!(kind("tagging", &tags(50)), None);
        assert_eq!(kind("tagging", &tags(51)), Some(Kind::TooManyTags));
        let twice = r#"{"TagSet":[{"Key":"a","Value":"1"},{"Key":"a","Value":"2"}]}"#;
        assert_eq!(kind("tagging", twice), Some(Kind::InvalidTag));
        assert_eq!(kind("tagging", r#"{"TagSet":[{"Key":"aws:x","Value":""}]}"#), Some(Kind::InvalidTag));
        for bad in [r#"{"TagSet":[{"Key":"a"}]}"#, r#"{"Tags":[]}"#, "{}", r#"{"TagSet":{}}"#] {
            assert_eq!(kind("tagging", bad), Some(Kind::InvalidArgument), "{bad}");
        }
    }

    #[test]
    fn documents_without_an_engine_are_refused() {
        for document in DOCUMENTS.iter().filter(|document| !document.is_built()) {
            assert_eq!(kind(document.name, "{}"), Some(Kind::Unsupported), "{}", document.name);
        }
        assert!(Document::of_file("lifecycle.json").is_some());
        assert!(Document::of_file("lifecycle").is_none() && Document::of_file("nonsense.json").is_none());
    }

    #[test]
    fn text_is_incomplete_until_its_last_bracket() {
        let whole = r#"{"TagSet":[{"Key":"a","Value":"b"}]}"#;
        for end in 0..whole.len() {
            assert!(is_incomplete(&whole.as_bytes()[..end]), "{end}");
        }
        assert!(!is_incomplete(whole.as_bytes()) && !is_incomplete(b"{}x") && !is_incomplete(b"{]"));
    }
}
