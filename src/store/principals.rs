//! Users and access keys, as the index keeps them. What they may do and what a secret is, is decided above.

use super::Store;
use super::names::malformed;
use crate::index::{Family, Read, Record, decode};
use crate::model::{AccessKey, AccessKeyId, Error, Kind, MfaDevice, Result, User, UserName};

/// The file in a store's directory with the key that secrets are sealed with.
pub const ACCESS_KEY_FILE: &str = "access.key";

/// Behind every name and id.
const END: [u8; 65] = [0xff; 65];

impl Store {
    /// Every user, by name. Damaged records are passed by, and told of once.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn users(&self) -> Result<Vec<(UserName, User)>> {
        self.all(Family::User, |name| UserName::parse(name).ok())
    }

    /// The user of that name.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none.
    pub fn user(&self, name: &UserName) -> Result<User> {
        need_user(&self.index, name)
    }

    /// Adds a user. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] when the name or the uid is taken.
    pub fn add_user(&self, name: &UserName, user: &User) -> Result<()> {
        self.transact_durably(|tx| {
            let taken =
                |why: String| Err(Error::new(Kind::AlreadyExists, format!("cannot add the user {name}")).why(why));
            for found in tx.scan(Family::User, &[], &END)? {
                let (key, value) = found?;
                let other = String::from_utf8_lossy(&key);
                if other == name.as_str() {
                    return taken("there is one of that name".to_owned());
                }
                if decode::<User>(&value).is_ok_and(|other| other.uid == user.uid) {
                    return taken(format!("the user {other} has the uid {}", user.uid));
                }
            }
            tx.put(Family::User, name.as_str().as_bytes(), user);
            Ok(())
        })
    }

    /// Removes a user and the user's access keys; how many these were. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none.
    pub fn remove_user(&self, name: &UserName) -> Result<u64> {
        self.transact_durably(|tx| {
            need_user(tx, name)?;
            let mut keys = Vec::new();
            for found in tx.scan(Family::AccessKey, &[], &END)? {
                let (id, value) = found?;
                if decode::<AccessKey>(&value).is_ok_and(|key| key.user.as_ref() == Some(name)) {
                    keys.push(id);
                }
            }
            keys.iter().for_each(|id| tx.delete(Family::AccessKey, id));
            tx.delete(Family::User, name.as_str().as_bytes());
            Ok(keys.len() as u64)
        })
    }

    /// Every access key, by id. Damaged records are passed by, and told of once.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn access_keys(&self) -> Result<Vec<(AccessKeyId, AccessKey)>> {
        self.all(Family::AccessKey, AccessKeyId::parse)
    }

    /// The access key of that id, and its user when it is a user's that is there.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none.
    pub fn access_key(&self, id: &AccessKeyId) -> Result<(AccessKey, Option<User>)> {
        self.index.at_once(|view| {
            let key = need_key(view, id)?;
            let user = match &key.user {
                Some(name) => view.record(Family::User, name.as_str().as_bytes())?,
                None => None,
            };
            Ok((key, user))
        })
    }

    /// Adds an access key. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when its user is not there, [`Kind::AlreadyExists`] when the id is taken.
    pub fn add_access_key(&self, id: &AccessKeyId, key: &AccessKey) -> Result<()> {
        self.transact_durably(|tx| {
            if let Some(user) = &key.user {
                need_user(tx, user)?;
            }
            if tx.get(Family::AccessKey, id.as_str().as_bytes())?.is_some() {
                return Err(Error::new(Kind::AlreadyExists, format!("cannot add the access key {id}"))
                    .why("there is one of that id"));
            }
            tx.put(Family::AccessKey, id.as_str().as_bytes(), key);
            Ok(())
        })
    }

    /// Has requests signed with an access key taken or refused. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none of that id.
    pub fn enable_access_key(&self, id: &AccessKeyId, enabled: bool) -> Result<()> {
        self.transact_durably(|tx| {
            let key = AccessKey { enabled, ..need_key(tx, id)? };
            tx.put(Family::AccessKey, id.as_str().as_bytes(), &key);
            Ok(())
        })
    }

    /// Deletes an access key, also one whose record is damaged. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none of that id.
    pub fn delete_access_key(&self, id: &AccessKeyId) -> Result<()> {
        self.transact_durably(|tx| {
            if tx.get(Family::AccessKey, id.as_str().as_bytes())?.is_none() {
                return Err(no_such_key(id.as_str()));
            }
            tx.delete(Family::AccessKey, id.as_str().as_bytes());
            Ok(())
        })
    }

    /// Every device of the account's root, by name. Damaged records are passed by, and told of once.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn mfa_devices(&self) -> Result<Vec<(UserName, MfaDevice)>> {
        self.all(Family::Mfa, |name| UserName::parse(name).ok())
    }

    /// The device of that name.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none.
    pub fn mfa_device(&self, name: &UserName) -> Result<MfaDevice> {
        need_device(&self.index, name)
    }

    /// Adds a device. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] when the name is taken.
    pub fn add_mfa_device(&self, name: &UserName, device: &MfaDevice) -> Result<()> {
        self.transact_durably(|tx| {
            if tx.get(Family::Mfa, name.as_str().as_bytes())?.is_some() {
                return Err(Error::new(Kind::AlreadyExists, format!("cannot add the device {name}"))
                    .why("there is one of that name"));
            }
            tx.put(Family::Mfa, name.as_str().as_bytes(), device);
            Ok(())
        })
    }

    /// Deletes a device, also one whose record is damaged. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none of that name.
    pub fn delete_mfa_device(&self, name: &UserName) -> Result<()> {
        self.transact_durably(|tx| {
            if tx.get(Family::Mfa, name.as_str().as_bytes())?.is_none() {
                return Err(no_such_device(name));
            }
            tx.delete(Family::Mfa, name.as_str().as_bytes());
            Ok(())
        })
    }

    /// Notes that a device's code of that step is taken; whether no later one, nor this, was before (MFA-5). Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none of that name.
    pub fn use_mfa_step(&self, name: &UserName, step: u64) -> Result<bool> {
        self.transact_durably(|tx| {
            let device = need_device(tx, name)?;
            if step <= device.last_step {
                return Ok(false);
            }
            tx.put(Family::Mfa, name.as_str().as_bytes(), &MfaDevice { last_step: step, wrong: 0, ..device });
            Ok(true)
        })
    }

    /// Notes that somebody gave a wrong code of a device. Durable when it returns.
    ///
    /// # Errors
    /// As [`Store::use_mfa_step`].
    pub fn count_wrong_code(&self, name: &UserName) -> Result<()> {
        let last_wrong = self.now();
        self.transact_durably(|tx| {
            let device = need_device(tx, name)?;
            let wrong = device.wrong.saturating_add(1);
            tx.put(Family::Mfa, name.as_str().as_bytes(), &MfaDevice { wrong, last_wrong, ..device });
            Ok(())
        })
    }

    fn all<K, R: Record>(&self, family: Family, name: impl Fn(&str) -> Option<K>) -> Result<Vec<(K, R)>> {
        let mut out = Vec::new();
        for found in self.index.scan(family, &[], &END)? {
            let (key, value) = found?;
            let named = std::str::from_utf8(&key).ok().and_then(&name);
            match (named, decode(&value)) {
                (Some(named), Ok(record)) => out.push((named, record)),
                (_, Err(error)) => self.spoiled((family, &key), None, &error),
                (None, Ok(_)) => self.spoiled((family, &key), None, &malformed()),
            }
        }
        Ok(out)
    }
}

fn need_user(read: &impl Read, name: &UserName) -> Result<User> {
    read.record(Family::User, name.as_str().as_bytes())?.ok_or_else(|| {
        Error::new(Kind::NoSuchEntity, format!("cannot find the user {name}"))
            .why("there is none of that name")
            .mend("`keyfold user list` lists the users")
    })
}

fn need_key(read: &impl Read, id: &AccessKeyId) -> Result<AccessKey> {
    read.record(Family::AccessKey, id.as_str().as_bytes())?.ok_or_else(|| no_such_key(id.as_str()))
}

/// That there is no access key of an id, whatever it looks like.
#[must_use]
pub fn no_such_key(id: &str) -> Error {
    Error::new(Kind::NoSuchEntity, format!("cannot find the access key {id:?}"))
        .why("there is none of that id")
        .mend("`keyfold access-key list` lists the access keys")
}

fn need_device(read: &impl Read, name: &UserName) -> Result<MfaDevice> {
    read.record(Family::Mfa, name.as_str().as_bytes())?.ok_or_else(|| no_such_device(name))
}

fn no_such_device(name: &UserName) -> Error {
    Error::new(Kind::NoSuchEntity, format!("cannot find the device {name}"))
        .why("there is none of that name")
        .mend("list them with `keyfold mfa ls`")
}
