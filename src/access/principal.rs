//! Principals: in whose name a request runs.

use super::Access;
use crate::model::{ACCOUNT, Error, Kind, Result, UserName};
use std::fmt;
use std::os::unix::fs::MetadataExt;

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Principal {
    /// Nobody who can be named: the request is not signed.
    Anonymous,
    /// The account's root: the owner of the store's directory.
    Owner,
    /// A user.
    User {
        /// The user's name.
        name: UserName,
        /// Owner of what the user makes.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Whether the user may make buckets.
        makes_buckets: bool,
    },
}

impl Principal {
    /// The name that policies know it by; nobody has none.
    #[must_use]
    pub fn arn(&self) -> Option<String> {
        match self {
            Self::Anonymous => None,
            Self::Owner => Some(format!("arn:aws:iam::{ACCOUNT}:root")),
            Self::User { name, .. } => Some(format!("arn:aws:iam::{ACCOUNT}:user/{name}")),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Owner => f.write_str("owner"),
            Self::User { name, .. } => name.fmt(f),
        }
    }
}

impl Access {
    /// The uid and gid that what a principal makes belongs to, as a mount shows it.
    ///
    /// # Errors
    /// [`Kind::Denied`] for nobody; when the store's directory cannot be looked at.
    pub fn posix(&self, who: &Principal) -> Result<(u32, u32)> {
        match who {
            Principal::User { uid, gid, .. } => Ok((*uid, *gid)),
            Principal::Owner => {
                let dir = self.store.dir();
                let meta = std::fs::metadata(dir);
                let meta = meta.map_err(|error| Error::io(format!("cannot look at {}", dir.display()), error))?;
                Ok((meta.uid(), meta.gid()))
            }
            Principal::Anonymous => Err(Error::new(Kind::Denied, "cannot make anything for nobody")
                .why("the request is not signed (AUTH-1)")
                .mend("sign it with an access key")),
        }
    }
}
