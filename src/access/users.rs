//! Users: added, listed and removed by the store's owner.

use super::{Access, Principal};
use crate::model::{Error, Kind, Result, User, UserName};

impl Access {
    /// Adds a user. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] when the name or the uid is taken, [`Kind::InvalidArgument`] for the uid of root or of
    /// the owner of the store's directory, who are the account's root, and for 2^32 - 1, which is nobody's.
    pub fn add_user(&self, name: &UserName, (uid, gid): (u32, u32), makes_buckets: bool) -> Result<User> {
        if uid == 0 || uid == self.posix(&Principal::Owner)?.0 {
            return Err(Error::new(Kind::InvalidArgument, format!("cannot add the user {name}"))
                .why(format!("uid {uid} is the store's owner, who may do everything already"))
                .mend("`keyfold access-key create` makes an access key for the owner"));
        }
        if uid == u32::MAX || gid == u32::MAX {
            return Err(Error::new(Kind::InvalidArgument, format!("cannot add the user {name}"))
                .why(format!("{} is the number that stands for no user and no group", u32::MAX)));
        }
        let user = User { uid, gid, makes_buckets, created: self.store.now() };
        self.store.add_user(name, &user)?;
        Ok(user)
    }

    /// Every user, by name.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn users(&self) -> Result<Vec<(UserName, User)>> {
        self.store.users()
    }

    /// Removes a user and the user's access keys; how many these were. What the user has made stays.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none of that name.
    pub fn remove_user(&self, name: &UserName) -> Result<u64> {
        self.store.remove_user(name)
    }
}
