//! The decision: may this principal do this?

use super::{Access, Principal};
use crate::model::{Bucket, Error, Kind, Result};
use std::fmt;

const LIST_BUCKETS: &str = "s3:ListAllMyBuckets";
const CREATE_BUCKET: &str = "s3:CreateBucket";

/// What is to be done something to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource<'a> {
    /// The store as a whole: its list of buckets, and buckets that are to be made.
    Account,
    /// A bucket by its name.
    Bucket(&'a str),
    /// An object by its bucket and key, whether it is there or not.
    Object(&'a str, &'a str),
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account => f.write_str("the store"),
            Self::Bucket(bucket) => f.write_str(bucket),
            Self::Object(bucket, key) => write!(f, "{bucket}/{key}"),
        }
    }
}

impl Access {
    /// Whether a principal may do something; `action` is IAM's name for it, such as `s3:GetObject`. Answers as things
    /// are now, and says nothing of whether a key exists (IAM-16).
    ///
    /// # Errors
    /// [`Kind::Denied`] when not; [`Kind::NoSuchBucket`] when a user asks for a bucket that is not there.
    pub fn authorize(&self, who: &Principal, action: &str, on: Resource<'_>) -> Result<()> {
        if let Some(decided) = decided(who, action, on) {
            return decided;
        }
        let owner = match on {
            Resource::Bucket(bucket) | Resource::Object(bucket, _) => Some(self.owner_of(&self.store.bucket(bucket)?)?),
            Resource::Account => None,
        };
        judge(who, action, on, owner)
    }

    /// The buckets that a principal sees in the list of all: its own, by name.
    ///
    /// # Errors
    /// As [`Access::authorize`].
    pub fn buckets(&self, who: &Principal) -> Result<Vec<Bucket>> {
        self.authorize(who, LIST_BUCKETS, Resource::Account)?;
        let mut buckets = self.store.buckets()?;
        if let Principal::User { uid, .. } = who {
            // One that goes meanwhile is nobody's.
            buckets.retain(|bucket| self.owner_of(bucket).is_ok_and(|owner| owner == *uid));
        }
        Ok(buckets)
    }

    /// The uid a bucket belongs to: that of its root directory, which `chown` on a mount changes.
    fn owner_of(&self, bucket: &Bucket) -> Result<u32> {
        Ok(self.store.directory(bucket.root)?.posix.uid)
    }
}

/// [`Access::authorize`] where nothing in the store has a say, else nothing. Does not block.
#[must_use]
pub fn decided(who: &Principal, action: &str, on: Resource<'_>) -> Option<Result<()>> {
    let depends = matches!((who, on), (Principal::User { .. }, Resource::Bucket(_) | Resource::Object(..)));
    (!depends).then(|| judge(who, action, on, None))
}

fn judge(who: &Principal, action: &str, on: Resource<'_>, owner: Option<u32>) -> Result<()> {
    if may(who, action, owner) {
        return Ok(());
    }
    let why = match who {
        Principal::Anonymous => "the request is not signed".to_owned(),
        Principal::Owner | Principal::User { .. } => format!("{who} may not do {action} there"),
    };
    Err(Error::new(Kind::Denied, format!("access to {on} is denied"))
        .why(why)
        .mend("ask the owner of the bucket or of the store"))
}

/// The rule: the owner may do everything, a user everything with buckets that are the user's own, nobody nothing.
/// `owner` is the bucket's, where it is about a bucket that is there.
fn may(who: &Principal, action: &str, owner: Option<u32>) -> bool {
    match (who, owner) {
        (Principal::Owner, _) => true,
        (Principal::Anonymous, _) => false,
        (Principal::User { uid, .. }, Some(owner)) => *uid == owner,
        (Principal::User { makes_buckets, .. }, None) => {
            action == LIST_BUCKETS || (action == CREATE_BUCKET && *makes_buckets)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CREATE_BUCKET, LIST_BUCKETS, Resource, decided, may};
    use crate::access::Principal;
    use crate::model::UserName;

    #[test]
    fn iam_3_iam_5_the_owner_everything_a_user_what_is_the_users_own_nobody_nothing() {
        let user = |makes_buckets| Principal::User {
            name: UserName::parse("anna").unwrap(),
            uid: 1000,
            gid: 1000,
            makes_buckets,
        };
        let (get, put) = ("s3:GetObject", "s3:PutObject");
        let cases = [
            (Principal::Owner, get, Some(1000), true),
            (Principal::Owner, "s3:AnythingElse", None, true),
            (Principal::Anonymous, get, Some(1000), false),
            (Principal::Anonymous, LIST_BUCKETS, None, false),
            (user(false), get, Some(1000), true),
            (user(false), put, Some(1001), false),
            (user(false), put, Some(0), false),
            (user(false), get, None, false),
            (user(false), LIST_BUCKETS, None, true),
            (user(false), CREATE_BUCKET, None, false),
            (user(true), CREATE_BUCKET, None, true),
            (user(true), "s3:PutAccountPublicAccessBlock", None, false),
            (user(true), CREATE_BUCKET, Some(1001), false),
        ];
        for (who, action, owner, allowed) in cases {
            assert_eq!(may(&who, action, owner), allowed, "{who} {action} {owner:?}");
        }
    }

    #[test]
    fn what_depends_on_a_bucket_is_not_decided_without_it() {
        let user = Principal::User { name: UserName::parse("anna").unwrap(), uid: 1, gid: 1, makes_buckets: false };
        for on in [Resource::Bucket("b"), Resource::Object("b", "k")] {
            assert!(decided(&user, "s3:GetObject", on).is_none());
            assert!(decided(&Principal::Owner, "s3:GetObject", on).unwrap().is_ok());
            assert!(decided(&Principal::Anonymous, "s3:GetObject", on).unwrap().is_err());
        }
        assert!(decided(&user, LIST_BUCKETS, Resource::Account).unwrap().is_ok());
    }
}
