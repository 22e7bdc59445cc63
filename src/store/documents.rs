//! Bucket documents: the settings that S3 keeps as documents, by name, and what makes each of them valid.

use super::Store;
use super::analysis::{self, AnalyticsDocument};
use super::configurations::Configurations;
use super::cors::{self, CorsRules};
use super::lifecycle::{self, LifecycleDocument};
use super::lock_document;
use super::tiering::{self, TieringDocument};
use crate::crypto::{hex, sha256};
use crate::model::{Bucket, Error, Kind, Leave, Result, TagSet, Versioning};
use serde_json::{Map, Value};

/// Longest document in bytes; S3's longest (a policy, a lifecycle configuration) fit.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Most tags of a bucket (BKT-21).
const BUCKET_TAGS_MAX: usize = 50;

/// Access lists are off: the account has every right to everything, and nobody else has any (ACL-1).
const OWNERS: &str = r#"{
    "Grants": [
        {
            "Grantee": {
                "DisplayName": "ACCOUNT_NAME",
                "ID": "ACCOUNT_ID",
                "Type": "CanonicalUser"
            },
            "Permission": "FULL_CONTROL"
        }
    ],
    "Owner": {
        "DisplayName": "ACCOUNT_NAME",
        "ID": "ACCOUNT_ID"
    }
}
"#;
/// What people read as the account's name.
pub const ACCOUNT_NAME: &str = "root";

/// Access lists are off: whoever writes, the bucket's owner owns (ACL-1).
const ENFORCED: &str = r#"{
    "OwnershipControls": {
        "Rules": [
            {
                "ObjectOwnership": "BucketOwnerEnforced"
            }
        ]
    }
}
"#;
/// Nothing is public: there are neither access lists nor policies that could make it so (BPA-8).
const BLOCKED: &str = r#"{
    "PublicAccessBlockConfiguration": {
        "BlockPublicAcls": true,
        "IgnorePublicAcls": true,
        "BlockPublicPolicy": true,
        "RestrictPublicBuckets": true
    }
}
"#;
/// Nobody pays, least of all who asks.
const OWNER_PAYS: &str = r#"{
    "Payer": "BucketOwner"
}
"#;

/// What the engine makes of a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Engine {
    /// It is the bucket's versioning state, not stored text.
    Versioning,
    /// Stored; it obliges the engine to nothing.
    Tagging,
    /// Stored; the doors of HTTP obey it.
    Cors,
    /// Stored; says when objects go into archive tiers.
    Tiering,
    /// Stored; says what is observed.
    Analytics,
    /// Stored, with an ID for each rule; the engine obeys it.
    Lifecycle,
    /// It is the bucket's object lock, not stored text.
    ObjectLock,
    /// Always this text, with the account's name and id: the engine knows no other way.
    Fixed(&'static str),
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
    document("lifecycle", Engine::Lifecycle, "`get-bucket-lifecycle-configuration`, at most 1,000 rules (LC-1)"),
    document("policy", Engine::Later, "`get-bucket-policy`, the policy itself"),
    document("acl", Engine::Fixed(OWNERS), "`get-bucket-acl`, the owner's alone (ACL-1)"),
    document("ownership", Engine::Fixed(ENFORCED), "`get-bucket-ownership-controls`, `BucketOwnerEnforced` (ACL-1)"),
    document("public-access-block", Engine::Fixed(BLOCKED), "`get-public-access-block`, all four on (BPA-8)"),
    document("cors", Engine::Cors, "`get-bucket-cors`, at most 100 rules (CORS-2)"),
    document("website", Engine::Later, "`get-bucket-website`"),
    document("replication", Engine::Later, "`get-bucket-replication`"),
    document("notification", Engine::Later, "`get-bucket-notification-configuration`"),
    document("logging", Engine::Later, "`get-bucket-logging`"),
    document("inventory", Engine::Later, "`list-bucket-inventory-configurations`"),
    document("analytics", Engine::Analytics, "`list-bucket-analytics-configurations`, at most 1,000 (SCA-1)"),
    document("object-lock", Engine::ObjectLock, "`get-object-lock-configuration`; for good, once it is set (LOCK-1)"),
    document("encryption", Engine::Later, "`get-bucket-encryption`"),
    document("tagging", Engine::Tagging, "`get-bucket-tagging`, at most 50 tags (BKT-21)"),
    document("request-payment", Engine::Fixed(OWNER_PAYS), "`get-bucket-request-payment`, `BucketOwner`"),
    document("accelerate", Engine::Later, "`get-bucket-accelerate-configuration`"),
    document(
        "intelligent-tiering",
        Engine::Tiering,
        "`list-bucket-intelligent-tiering-configurations`, at most 1,000 (IT-10)",
    ),
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

    /// Whether it is set. The versioning document always is, `{}` when it was never set, and so are those that say how
    /// this release is.
    #[must_use]
    pub fn is_set(&self, bucket: &Bucket) -> bool {
        match self.engine {
            Engine::Fixed(_) | Engine::Versioning => true,
            Engine::ObjectLock => bucket.lock.is_some(),
            _ => bucket.documents.contains_key(self.name),
        }
    }

    /// Its text, `None` when it is not set.
    #[must_use]
    pub fn read(&self, store: &Store, bucket: &Bucket) -> Option<String> {
        match (self.engine, bucket.versioning.status()) {
            (Engine::Fixed(text), _) => Some(always(text, &store.account_id())),
            (Engine::Versioning, status) => Some(versioning_text(status, bucket.mfa_delete)),
            (Engine::ObjectLock, _) => bucket.lock.map(lock_document::print),
            _ => bucket.documents.get(self.name).cloned(),
        }
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

    /// Checks a whole text, in the store of the account with this id.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for text that is not the document's JSON, [`Kind::InvalidTag`] and
    /// [`Kind::TooManyTags`] for tags, [`Kind::InvalidRequest`] and [`Kind::Malformed`] for rules that say nothing good,
    /// [`Kind::Unsupported`] without an engine and for what is not as this release is.
    pub fn check(&self, account: &str, text: &[u8]) -> Result<()> {
        self.writable()?;
        let value: Value =
            serde_json::from_slice(text).map_err(|error| self.bad(format!("it is not JSON: {error}")))?;
        let Value::Object(members) = &value else {
            return Err(self.bad("it is not a JSON object".to_owned()));
        };
        match self.engine {
            Engine::Lifecycle => LifecycleDocument::parse(text)?.check().map(drop),
            Engine::Versioning => self.versioning(members).map(|_| ()),
            Engine::Tagging => self.tagging(members),
            Engine::Cors => serde_json::from_value::<CorsRules>(value)
                .map_err(|error| self.bad(error.to_string()))
                .and_then(|rules| rules.check()),
            Engine::Tiering => self.configurations::<TieringDocument>(value),
            Engine::Analytics => self.configurations::<AnalyticsDocument>(value),
            Engine::ObjectLock => lock_document::parse(&value).map(|_| ()),
            Engine::Fixed(text) => self.fixed(&value, &always(text, account)),
            Engine::Later => Ok(()),
        }
    }

    fn configurations<D: Configurations>(&self, value: Value) -> Result<()> {
        serde_json::from_value::<D>(value).map_err(|error| self.bad(error.to_string()))?.check()
    }

    /// Replaces the document as a whole, if it is valid.
    ///
    /// # Errors
    /// As [`Document::check`], and the store's; the old one stays.
    pub fn replace(&self, store: &Store, bucket: &Bucket, text: &[u8]) -> Result<()> {
        self.check(&store.account_id(), text)?;
        let text = match self.engine {
            Engine::Fixed(_) => return Ok(()),
            Engine::ObjectLock => {
                let value = serde_json::from_slice(text).map_err(|error| self.bad(error.to_string()))?;
                return store.set_bucket_lock(bucket.name.as_str(), lock_document::parse(&value)?);
            }
            Engine::Lifecycle => LifecycleDocument::parse(text)?.text(),
            _ => String::from_utf8_lossy(text).into_owned(),
        };
        if self.engine != Engine::Versioning {
            return store.set_document(bucket.name.as_str(), self.name, Some(text));
        }
        let members: Map<String, Value> = serde_json::from_str(&text).map_err(|error| self.bad(error.to_string()))?;
        self.set_versioning(store, bucket, &members, Leave::default())
    }

    /// Replaces the document as a whole for a caller who may what others may not; only that of versioning asks for that.
    ///
    /// # Errors
    /// As [`Document::replace`].
    pub fn replace_with(&self, store: &Store, bucket: &Bucket, text: &[u8], leave: Leave) -> Result<()> {
        if self.engine != Engine::Versioning {
            return self.replace(store, bucket, text);
        }
        self.check(&store.account_id(), text)?;
        let members: Map<String, Value> = serde_json::from_slice(text).map_err(|error| self.bad(error.to_string()))?;
        self.set_versioning(store, bucket, &members, leave)
    }

    fn set_versioning(&self, store: &Store, bucket: &Bucket, members: &Map<String, Value>, leave: Leave) -> Result<()> {
        match self.versioning(members)? {
            // As `get-bucket-versioning` tells of a bucket where it was never set: writing it back changes nothing.
            (None, None) if bucket.versioning == Versioning::Unversioned => Ok(()),
            (None, Some(_)) => Err(self.bad("MFADelete comes with Status (MFA-8)")),
            (None, None) => Err(never_back()),
            (Some(to), mfa) if to == bucket.versioning && (mfa.is_none() || mfa == bucket.mfa_delete) => Ok(()),
            // That it is off was never in question.
            (Some(to), Some(false)) if to == bucket.versioning && bucket.mfa_delete.is_none() => Ok(()),
            (Some(to), mfa) => store.set_versioning_with(bucket.name.as_str(), to, mfa, leave),
        }
    }

    /// Unsets the document.
    ///
    /// # Errors
    /// [`Kind::NotSet`] when it is not set, [`Kind::InvalidState`] for versioning (VER-1) and object lock (LOCK-1), [`Kind::Unsupported`] for
    /// what this release is always like.
    pub fn unset(&self, store: &Store, bucket: &Bucket) -> Result<()> {
        if self.engine == Engine::Versioning {
            return Err(never_back());
        }
        if self.engine == Engine::ObjectLock && bucket.lock.is_some() {
            return Err(Error::new(Kind::InvalidState, "cannot unset the bucket's object-lock")
                .why("once enabled it is never switched off (LOCK-1)")
                .mend("write it without Rule to have no default retention"));
        }
        if let Engine::Fixed(text) = self.engine {
            return Err(self.never_else(&always(text, &store.account_id())));
        }
        if !self.is_set(bucket) {
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
                    Engine::Cors => cors::EXAMPLE,
                    Engine::Tiering => tiering::EXAMPLE,
                    Engine::Analytics => analysis::EXAMPLE,
                    Engine::Lifecycle => lifecycle::EXAMPLE,
                    Engine::ObjectLock => lock_document::EXAMPLE,
                    Engine::Fixed(text) => text,
                    Engine::Versioning | Engine::Later => r#"{"Status":"Enabled"}"#,
                }
            ),
        )
    }

    /// What this release is always like may be said again, as it is printed or without the name around it, as
    /// `put-bucket-...` takes it.
    fn fixed(&self, value: &Value, text: &str) -> Result<()> {
        let there: Value = serde_json::from_str(text).map_err(|error| self.bad(error.to_string()))?;
        let within = there.as_object().and_then(|members| members.values().next());
        if *value == there || within == Some(value) { Ok(()) } else { Err(self.never_else(text)) }
    }

    fn never_else(&self, text: &str) -> Error {
        Error::new(Kind::Unsupported, format!("cannot change the bucket's {}", self.name))
            .why("this release knows no other, and would only pretend to obey")
            .mend(format!("leave it as it is: {}", text.split_whitespace().collect::<String>()))
    }

    fn only(&self, members: &Map<String, Value>, known: &[&str]) -> Result<()> {
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(self.bad(format!("the member {name:?} is unknown"))),
        }
    }

    fn versioning(&self, members: &Map<String, Value>) -> Result<(Option<Versioning>, Option<bool>)> {
        self.only(members, &["Status", "MFADelete", "MfaDelete"])?;
        let mut mfa = None;
        for name in ["MFADelete", "MfaDelete"] {
            match members.get(name).map(Value::as_str) {
                None => {}
                Some(Some("Disabled")) => mfa = Some(false),
                Some(Some("Enabled")) => mfa = Some(true),
                Some(_) => return Err(self.bad(format!("{name} is Enabled or Disabled"))),
            }
        }
        match members.get("Status").map(Value::as_str) {
            None => Ok((None, mfa)),
            Some(Some(status)) => Ok((Some(Versioning::parse(status)?), mfa)),
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

/// The versioning document of that status; whether there is MFA delete only where that was ever said (MFA-8).
fn versioning_text(status: Option<&str>, mfa_delete: Option<bool>) -> String {
    let mfa = mfa_delete.map(|on| ("MFADelete", if on { "Enabled" } else { "Disabled" }));
    let members: Vec<String> = status
        .map(|status| ("Status", status))
        .into_iter()
        .chain(mfa)
        .map(|(name, value)| format!("    \"{name}\": \"{value}\""))
        .collect();
    if members.is_empty() { "{}\n".to_owned() } else { format!("{{\n{}\n}}\n", members.join(",\n")) }
}

/// What is always so, with the account in its place.
fn always(text: &str, account: &str) -> String {
    text.replace("ACCOUNT_NAME", ACCOUNT_NAME).replace("ACCOUNT_ID", account)
}

impl Store {
    /// The id by which S3's answers name the account: 64 hexadecimal digits, the same in backups and restored stores.
    #[must_use]
    pub fn account_id(&self) -> String {
        hex(&sha256(&self.uuid()))
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
        Document::named(name).unwrap().check("abc", text.as_bytes()).err().map(|error| error.kind())
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
        assert_eq!(kind("versioning", r#"{"Status":"Enabled","MFADelete":"Enabled"}"#), None);
        assert_eq!(kind("versioning", r#"{"Status":"Enabled","MFADelete":"on"}"#), Some(Kind::InvalidArgument));
        assert_eq!(super::versioning_text(None, None), "{}\n");
        let both = super::versioning_text(Some("Enabled"), Some(true));
        assert_eq!(both, "{\n    \"Status\": \"Enabled\",\n    \"MFADelete\": \"Enabled\"\n}\n");
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
    fn cors_10_rules_are_json_of_the_command_lines_shape() {
        let rules = r#"{"CORSRules":[{"ID":"a","AllowedMethods":["GET"],"AllowedOrigins":["*"],"AllowedHeaders":["*"],
            "ExposeHeaders":["ETag"],"MaxAgeSeconds":60}]}"#;
        assert_eq!(kind("cors", rules), None);
        assert_eq!(kind("cors", &rules.replace("GET", "*")), Some(Kind::InvalidRequest));
        for bad in
            ["{}", r#"{"CORSRules":{}}"#, r#"{"CORSRules":[{"AllowedMethods":["GET"]}]}"#, r#"{"CORSRules":[1]}"#]
        {
            assert_eq!(kind("cors", bad), Some(Kind::InvalidArgument), "{bad}");
        }
        assert_eq!(kind("cors", &rules.replace("MaxAge", "Max")), Some(Kind::InvalidArgument));
    }

    #[test]
    fn acl_1_and_bpa_8_what_is_always_so_may_be_said_again_and_nothing_else() {
        let blocked =
            r#"{"BlockPublicAcls":true,"IgnorePublicAcls":true,"BlockPublicPolicy":true,"RestrictPublicBuckets":true}"#;
        assert_eq!(kind("public-access-block", blocked), None);
        assert_eq!(kind("public-access-block", super::BLOCKED), None);
        assert_eq!(kind("public-access-block", &blocked.replacen("true", "false", 1)), Some(Kind::Unsupported));
        assert_eq!(kind("ownership", r#"{"Rules":[{"ObjectOwnership":"BucketOwnerEnforced"}]}"#), None);
        assert_eq!(kind("ownership", &super::ENFORCED.replace("Enforced", "Preferred")), Some(Kind::Unsupported));
        let owners = super::always(super::OWNERS, "abc");
        assert!(owners.contains(r#""ID": "abc""#) && owners.contains(r#""DisplayName": "root""#), "{owners}");
        assert_eq!(kind("acl", &owners), None);
        assert_eq!(kind("acl", &super::always(super::OWNERS, "abd")), Some(Kind::Unsupported));
        assert_eq!(kind("acl", &owners.replace("FULL_CONTROL", "READ")), Some(Kind::Unsupported));
        assert_eq!(kind("request-payment", r#"{"Payer":"BucketOwner"}"#), None);
        assert_eq!(kind("request-payment", r#"{"Payer":"Requester"}"#), Some(Kind::Unsupported));
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
