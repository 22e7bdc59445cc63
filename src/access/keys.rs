//! Access keys: made, listed, disabled, deleted, and looked up for each request.

use super::secret::{Secret, draw};
use super::{Access, Principal, key_file};
use crate::crypto::Sealer;
use crate::model::{ACCESS_KEY_ID_BYTES, AccessKey, AccessKeyId, Error, Kind, Result, User, UserName};
use crate::store::{ACCESS_KEY_FILE, no_such_key};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What ids begin with, so that they are known for what they are when they turn up somewhere.
const PREFIX: &str = "KF";
const ID_LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// 200 bits in letters that need no escape in any file, URL or shell.
const SECRET_LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const SECRET_BYTES: usize = 40;

/// An access key in use: what signatures are checked with, and in whose name the request runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    /// The key's id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
    /// Whose it is.
    pub principal: Principal,
}

impl Access {
    /// The access key of that id when requests signed with it are to be taken: it is there, enabled, and its user is
    /// there. For each request, also for a presigned URL at each use (AUTH-6): two reads of the index and one
    /// decryption of 40 bytes.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when the secret cannot be opened, or the index cannot be read.
    pub fn credential(&self, id: &str) -> Result<Option<Credential>> {
        let Some(id) = AccessKeyId::parse(id) else { return Ok(None) };
        let (key, user) = match self.store.access_key(&id) {
            Err(error) if error.kind() == Kind::NoSuchEntity => return Ok(None),
            found => found?,
        };
        let principal = match (&key.user, user) {
            (None, _) => Principal::Owner,
            (Some(name), Some(User { uid, gid, makes_buckets, .. })) => {
                Principal::User { name: name.clone(), uid, gid, makes_buckets }
            }
            (Some(_), None) => return Ok(None),
        };
        if !key.enabled {
            return Ok(None);
        }
        let secret = self.secret(&id, &key)?;
        Ok(Some(Credential { id: id.as_str().to_owned(), secret, principal }))
    }

    /// Makes an access key for a user, or without one for the owner. Nothing shows its secret again. Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when the user is not there; [`Kind::Corrupt`] when the key file is lost, with which those there are
    /// were sealed; when the store takes no changes.
    pub fn create_key(&self, user: Option<&UserName>) -> Result<Credential> {
        self.store.writable()?;
        let principal = match user {
            None => Principal::Owner,
            Some(name) => {
                let User { uid, gid, makes_buckets, .. } = self.store.user(name)?;
                Principal::User { name: name.clone(), uid, gid, makes_buckets }
            }
        };
        let sealer = self.sealer_to_make()?;
        let letters = draw(&*self.entropy, ACCESS_KEY_ID_BYTES - PREFIX.len(), ID_LETTERS)?;
        let id = format!("{PREFIX}{}", *letters);
        let secret = Secret::new(draw(&*self.entropy, SECRET_BYTES, SECRET_LETTERS)?.to_string());
        let mut nonce = [0; 12];
        self.entropy.fill(&mut nonce)?;
        let parsed = AccessKeyId::parse(&id).ok_or_else(|| no_such_key(&id))?;
        let sealed = sealer.seal(&nonce, &about(&parsed, user), secret.expose().as_bytes())?;
        let key = AccessKey { user: user.cloned(), enabled: true, created: self.store.now(), nonce, sealed };
        self.store.add_access_key(&parsed, &key)?;
        Ok(Credential { id, secret, principal })
    }

    /// Every access key, by id.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn keys(&self) -> Result<Vec<(AccessKeyId, AccessKey)>> {
        self.store.access_keys()
    }

    /// The access key of that id.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none.
    pub fn key(&self, id: &str) -> Result<AccessKey> {
        Ok(self.store.access_key(&known(id)?)?.0)
    }

    /// Has requests signed with an access key taken or refused.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none of that id.
    pub fn enable_key(&self, id: &str, enabled: bool) -> Result<()> {
        self.store.enable_access_key(&known(id)?, enabled)
    }

    /// Deletes an access key.
    ///
    /// # Errors
    /// [`Kind::NoSuchEntity`] when there is none of that id.
    pub fn delete_key(&self, id: &str) -> Result<()> {
        self.store.delete_access_key(&known(id)?)
    }

    /// What seals a new secret; its file is made with the first.
    pub(super) fn sealer_to_make(&self) -> Result<Sealer> {
        let disk = self.store.disk();
        // A new file beside old keys would be lost when the old one is put back.
        let sealed =
            || -> Result<bool> { Ok(!self.store.access_keys()?.is_empty() || !self.store.mfa_devices()?.is_empty()) };
        if key_file::read(&*disk)?.is_none() && sealed()? {
            return Err(Error::new(Kind::Corrupt, "cannot make an access key")
                .why(format!("{ACCESS_KEY_FILE} is missing, with which the store's access keys are sealed"))
                .mend("put it back from a backup, or delete all access keys first (`keyfold access-key delete`)"));
        }
        key_file::read_or_make(&*disk, &*self.entropy)
    }

    fn secret(&self, id: &AccessKeyId, key: &AccessKey) -> Result<Secret> {
        let about = about(id, key.user.as_ref());
        let plain = self.open_sealed(&Opened { nonce: &key.nonce, about: &about, sealed: &key.sealed })?;
        let text = std::str::from_utf8(&plain).map_err(|_| key_file::damaged("a secret that it sealed is no text"))?;
        Ok(Secret::new(text.to_owned()))
    }

    /// Opens what was sealed with the store's key file.
    pub(super) fn open_sealed(&self, what: &Opened<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let open = |sealer: &Sealer| sealer.open(what.nonce, what.about, what.sealed);
        let cached = self.sealer.read().clone();
        if let Some(plain) = cached.and_then(|sealer| open(&sealer)) {
            return Ok(plain);
        }
        // Not read yet, or another file has taken its place since.
        let sealer = key_file::read(&*self.store.disk())?;
        let sealer = Arc::new(sealer.ok_or_else(|| key_file::damaged("it is missing"))?);
        let plain = open(&sealer).ok_or_else(|| key_file::damaged("it is not the one that the secret was sealed with"));
        *self.sealer.write() = Some(sealer);
        plain
    }
}

/// What is to be opened.
pub(super) struct Opened<'a> {
    pub nonce: &'a [u8; 12],
    pub about: &'a [u8],
    pub sealed: &'a [u8],
}

/// What a secret is bound to: no record opens as another's, or as another user's.
fn about(id: &AccessKeyId, user: Option<&UserName>) -> Vec<u8> {
    [id.as_str(), "\0", user.map_or("", UserName::as_str)].concat().into_bytes()
}

fn known(id: &str) -> Result<AccessKeyId> {
    AccessKeyId::parse(id).ok_or_else(|| no_such_key(id))
}
