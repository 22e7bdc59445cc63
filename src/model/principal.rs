//! Users and access keys: who may ask over the S3 API, and what proves it.

use super::{Error, Kind, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The one account of a store.
pub const ACCOUNT: &str = "000000000000";
/// The region of every bucket, which requests are signed for.
pub const REGION: &str = "us-east-1";

const USER_NAME_BYTES_MAX: usize = 64;
/// Bytes of an access key's id: those of the ids that AWS makes.
pub const ACCESS_KEY_ID_BYTES: usize = 20;

/// A user's name by IAM's rules, also when it comes from a disk: it stands in ARNs, and is a Unix user's where there is one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct UserName(String);

impl TryFrom<String> for UserName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::parse(&name)
    }
}

impl UserName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] unless it is 1 to 64 of `a-z A-Z 0-9 + = , . @ _ -`, not beginning with `-`.
    pub fn parse(name: &str) -> Result<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
        if (1..=USER_NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('-') {
            return Ok(Self(name.to_owned()));
        }
        Err(Error::new(Kind::InvalidArgument, format!("cannot name a user {name:?}"))
            .why("it breaks the rules of user names")
            .mend("use 1 to 64 letters, digits and + = , . @ _ -, and no - in front"))
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user: one of the machine's, or one of the same shape that the machine does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct User {
    /// Owner of what the user makes, as a mount shows it; no two users share one.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Whether the user may make buckets, which are then the user's own.
    pub makes_buckets: bool,
    /// When it was added.
    pub created: Timestamp,
}

/// The public half of an access key: upper-case letters and digits, safe in a URL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// The id, or nothing for what none of ours is.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let fits = id.len() == ACCESS_KEY_ID_BYTES && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        fits.then(|| Self(id.to_owned()))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An access key as it is kept: the secret is sealed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccessKey {
    /// Whose it is; the store's owner's when it is nobody else's.
    pub user: Option<UserName>,
    /// Whether requests signed with it are taken.
    pub enabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Used for no other secret.
    pub nonce: [u8; 12],
    /// The secret, sealed with the store's key file.
    pub sealed: Vec<u8>,
}

/// A device that shows one-time codes, as it is kept: the secret is sealed (MFA-5).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MfaDevice {
    /// When it was registered.
    pub created: Timestamp,
    /// Used for no other secret.
    pub nonce: [u8; 12],
    /// The secret, sealed with the store's key file.
    pub sealed: Vec<u8>,
    /// The step of 30 seconds since 1970 whose code was taken last: none of it or before is taken again.
    pub last_step: u64,
    /// Wrong codes since one was taken.
    pub wrong: u32,
    /// When the last of them came.
    pub last_wrong: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::{AccessKeyId, UserName};

    #[test]
    fn names_are_safe_in_arns_urls_and_on_command_lines() {
        for good in ["a", "anna", "Anna.B@example.org", "+=,._-", &"x".repeat(64)] {
            assert!(UserName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", "a b", "a/b", "a:b", "ä", "a\n", &"x".repeat(65)] {
            assert!(UserName::parse(bad).is_err(), "{bad}");
        }
        assert!(AccessKeyId::parse("KF234567ABCDEFGHIJKL").is_some());
        for bad in ["", "KF", "KF234567ABCDEFGHIJKl", "KF234567ABCDEFGHIJK/", "KF234567ABCDEFGHIJKLM"] {
            assert!(AccessKeyId::parse(bad).is_none(), "{bad}");
        }
    }
}
