//! Buckets: names (BKT-1 to BKT-7), versioning states (VER-1) and usage counters.

use super::{BucketId, BucketLock, DirId, Error, Kind, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A bucket name that obeys S3's rules, also when it comes from a disk.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct BucketName(String);

impl TryFrom<String> for BucketName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::stored(&name)
    }
}

const FORBIDDEN_STARTS: &[&str] = &["xn--", "sthree-", "amzn-s3-demo-"];
const FORBIDDEN_ENDS: &[&str] = &["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3", "-an"];
/// What the names end in of buckets in which archives of vaults lie.
/// No other bucket has it: `_` is in no bucket's name.
const VAULT_END: &str = "_vault";

impl BucketName {
    /// Checks a name against BKT-1 to BKT-7.
    ///
    /// # Errors
    /// [`Kind::InvalidBucketName`], naming the rule that is broken.
    pub fn parse(name: &str) -> Result<Self> {
        match broken_rule(name) {
            None => Ok(Self(name.to_owned())),
            Some(rule) => Err(Error::new(Kind::InvalidBucketName, format!("cannot name a bucket {name:?}"))
                .why(rule)
                .mend("use 3 to 63 of a-z, 0-9, '-' and '.', beginning and ending with a letter or digit")),
        }
    }

    /// A name as it is stored: one that may be given, or that of a vault's bucket.
    ///
    /// # Errors
    /// As [`BucketName::parse`].
    pub fn stored(name: &str) -> Result<Self> {
        name.strip_suffix(VAULT_END).map_or_else(|| Self::parse(name), Self::of_vault)
    }

    /// The name of the bucket in which the archives of a vault lie. No bucket can be given it.
    ///
    /// # Errors
    /// [`Kind::InvalidBucketName`] for what could not be a bucket's name, or has more than 57 characters.
    pub fn of_vault(vault: &str) -> Result<Self> {
        let most = BUCKET_NAME_MAX - VAULT_END.len();
        let why =
            broken_rule(vault).or_else(|| (vault.len() > most).then(|| format!("it has more than {most} characters")));
        match why {
            None => Ok(Self(format!("{vault}{VAULT_END}"))),
            Some(why) => {
                Err(Error::new(Kind::InvalidBucketName, format!("cannot name a vault {vault:?}")).why(why).mend(
                    format!("use 3 to {most} of a-z, 0-9, '-' and '.', beginning and ending with a letter or digit"),
                ))
            }
        }
    }

    /// The vault whose archives lie in it, if it is such a bucket.
    #[must_use]
    pub fn vault(&self) -> Option<&str> {
        self.0.strip_suffix(VAULT_END)
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const BUCKET_NAME_MAX: usize = 63;

fn broken_rule(name: &str) -> Option<String> {
    let alnum = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    if !(3..=BUCKET_NAME_MAX).contains(&bytes.len()) {
        return Some(format!("it has {} characters, a name has 3 to {BUCKET_NAME_MAX}", name.chars().count()));
    }
    if let Some(bad) = name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '-')) {
        return Some(format!("{bad:?} is not allowed"));
    }
    if !alnum(bytes.first()) || !alnum(bytes.last()) {
        return Some("it must begin and end with a letter or digit".into());
    }
    if name.contains("..") {
        return Some("two periods stand side by side".into());
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() || ipv4_shaped(name) {
        return Some("it is shaped like an IP address".into());
    }
    if let Some(start) = FORBIDDEN_STARTS.iter().find(|start| name.starts_with(**start)) {
        return Some(format!("names beginning with {start:?} are reserved"));
    }
    let end = FORBIDDEN_ENDS.iter().find(|end| name.ends_with(**end))?;
    Some(format!("names ending in {end:?} are reserved"))
}

fn ipv4_shaped(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    parts.len() == 4 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A bucket's versioning state (VER-1). Once left, `Unversioned` is never entered again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Versioning {
    /// Never set: an overwrite replaces, a delete destroys.
    #[default]
    Unversioned,
    /// Every write makes a version, every delete a marker.
    Enabled,
    /// Writes replace the null version; versions with ids stay (VER-6).
    Suspended,
}

impl Versioning {
    /// The word S3 uses, `None` for a bucket where it was never set.
    #[must_use]
    pub const fn status(self) -> Option<&'static str> {
        match self {
            Self::Unversioned => None,
            Self::Enabled => Some("Enabled"),
            Self::Suspended => Some("Suspended"),
        }
    }

    /// Reads `Enabled` or `Suspended` (VER-18).
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for any other word.
    pub fn parse(status: &str) -> Result<Self> {
        match status {
            "Enabled" => Ok(Self::Enabled),
            "Suspended" => Ok(Self::Suspended),
            _ => Err(Error::new(Kind::InvalidArgument, format!("cannot set versioning to {status:?}"))
                .why("a bucket's versioning is Enabled or Suspended; once set it never becomes unversioned again (VER-1)")
                .mend("write Enabled or Suspended")),
        }
    }
}

/// A bucket and its settings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bucket {
    /// Never reused.
    pub id: BucketId,
    /// The name users see.
    pub name: BucketName,
    /// Its root directory.
    pub root: DirId,
    /// When it was made.
    pub created: Timestamp,
    /// Versioning state.
    pub versioning: Versioning,
    /// Bucket documents by name (`lifecycle`, `policy`, `tagging`, ...), JSON as `aws s3api` prints it.
    pub documents: BTreeMap<String, String>,
    /// Most bytes it may hold, older versions and the parts of uploads included.
    pub quota: Option<u64>,
    /// Object lock, where it was enabled.
    pub lock: Option<BucketLock>,
    /// Whether deleting a version for good needs a second factor; `None` while nobody said so or not (MFA-8).
    pub mfa_delete: Option<bool>,
}

/// What a bucket holds. Bytes are logical bytes, before sharing and compression.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Current objects, directory markers included.
    pub objects: i64,
    /// Bytes of current objects.
    pub bytes: i64,
    /// Noncurrent versions, delete markers not included.
    pub noncurrent: i64,
    /// Bytes of noncurrent versions.
    pub noncurrent_bytes: i64,
    /// Delete markers.
    pub markers: i64,
    /// Multipart uploads in progress.
    pub uploads: i64,
    /// Bytes of their parts.
    pub upload_bytes: i64,
}

impl Usage {
    /// All bytes that count against a quota.
    #[must_use]
    pub fn held(&self) -> u64 {
        [self.bytes, self.noncurrent_bytes, self.upload_bytes]
            .into_iter()
            .fold(0, |sum: u64, bytes| sum.saturating_add(u64::try_from(bytes).unwrap_or(0)))
    }
}

impl std::ops::AddAssign for Usage {
    /// Stops at the ends: counters come from the disk.
    fn add_assign(&mut self, d: Self) {
        let add = |count: &mut i64, more: i64| *count = count.saturating_add(more);
        add(&mut self.objects, d.objects);
        add(&mut self.bytes, d.bytes);
        add(&mut self.noncurrent, d.noncurrent);
        add(&mut self.noncurrent_bytes, d.noncurrent_bytes);
        add(&mut self.markers, d.markers);
        add(&mut self.uploads, d.uploads);
        add(&mut self.upload_bytes, d.upload_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::BucketName;

    #[test]
    fn bkt_1_to_bkt_7_names() {
        let long = "a".repeat(63);
        for good in ["abc", "my.bucket", "a-b", "0x0", "1.2.3", long.as_str()] {
            assert!(BucketName::parse(good).is_ok(), "{good}");
        }
        let over = "a".repeat(64);
        for bad in [
            "",
            "ab",
            over.as_str(),
            "Abc",
            "a_b",
            "doc-",
            "-doc",
            ".abc",
            "a..b",
            "192.168.5.4",
            "999.1.1.1",
            "xn--abc",
            "sthree-x",
            "amzn-s3-demo-x",
            "a-s3alias",
            "a--ol-s3",
            "a.mrap",
            "a--x-s3",
            "a--table-s3",
            "prefix-an",
            "héé",
        ] {
            assert!(BucketName::parse(bad).is_err(), "{bad}");
        }
    }
}
