//! Vaults: archives that have no names but their ids, are never overwritten, and go only as the vault's policies allow (VAULT).
//!
//! The archives of a vault are objects in a bucket of its own, whose name nobody can say, so that no other door leads to them
//! (VAULT-8); the vault's record is a document of that bucket. Each archive has a legal hold, so that `locks` refuses every transaction
//! that takes it away, whatever became of its bucket, but for the one call here that asks the policies, in the same transaction.
//! How old an archive is, the clock says as it is; dates that are written are never before the latest instant that was seen, as with
//! locks (LOCK-22).

mod record;

pub use record::{Inventory, LockState, Vault, VaultAction, VaultLock};

use super::bucket::{find_any_bucket, write_bucket};
use super::delete::Cause;
use super::feed::UNTOLD;
use super::locks::Warrant;
use super::names::Entry;
use super::open::{Identity, VAULTS};
use super::put::{Condition, PutOptions};
use super::stack::current;
use super::{Content, Store};
use crate::crypto::{TreeHash, hex};
use crate::index::{Family, Read, Tx, id_key};
use crate::model::{
    Bucket, BucketName, Error, FileKind, Ino, Kind, Ledger, Metadata, Object, ObjectKey, Posix, Result, StorageClass,
    Timestamp, Versioning,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The document of a vault's bucket that holds its record.
const DOCUMENT: &str = "vault";
/// User metadata in which an archive's description and the tree hash of its bytes are kept.
const DESCRIPTION: &str = "archive-description";
const TREE_HASH: &str = "sha256-tree-hash";
/// Characters of a description at most.
const DESCRIPTION_MAX: usize = 1024;
/// Archives of one call of [`Store::archives`].
const LIST_STEP: usize = 1000;

/// A vault as it is now.
#[derive(Clone, Debug)]
pub struct VaultFacts {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Tags, policies, lock.
    pub vault: Vault,
    /// Archives it holds.
    pub archives: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What it held when it was looked through last.
    pub inventory: Option<Inventory>,
}

/// An archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archive {
    /// What it is found by.
    pub id: String,
    /// When it was put in.
    pub created: Timestamp,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 tree hash of its bytes, in hex.
    pub tree_hash: String,
    /// What whoever put it in said of it.
    pub description: String,
}

impl Archive {
    fn of(id: &str, object: &Object) -> Self {
        let said = |name| object.metadata.user(name).unwrap_or_default().to_owned();
        Self {
            id: id.to_owned(),
            created: object.modified,
            bytes: object.size,
            tree_hash: said(TREE_HASH),
            description: said(DESCRIPTION),
        }
    }
}

fn no_vault(name: &str) -> Error {
    Error::new(Kind::NoSuchVault, format!("cannot find the vault {name:?}"))
        .why("there is none of that name")
        .mend("list the vaults with `keyfold vault ls`")
}

fn no_archive(name: &str, id: &str) -> Error {
    Error::new(Kind::NoSuchVault, format!("cannot find the archive {id:?} in the vault {name}"))
        .why("there is none of that id")
        .mend("list its archives with `keyfold vault ls VAULT`")
}

/// A body, hashed as it is read.
struct Hashed<'a> {
    body: &'a mut dyn std::io::Read,
    hash: TreeHash,
}

impl std::io::Read for Hashed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let count = self.body.read(buf)?;
        self.hash.update(&buf[..count]);
        Ok(count)
    }
}

/// A vault's bucket and record.
fn need_vault(read: &impl Read, name: &str) -> Result<(Bucket, Vault)> {
    let bucket = match BucketName::of_vault(name) {
        Ok(bucket) => find_any_bucket(read, bucket.as_str())?,
        Err(_) => None,
    };
    let bucket = bucket.ok_or_else(|| no_vault(name))?;
    let vault = record(&bucket);
    Ok((bucket, vault))
}

/// What is said of a vault; where that cannot be read, nothing may go.
fn record(bucket: &Bucket) -> Vault {
    let text = bucket.documents.get(DOCUMENT);
    text.map_or_else(Vault::default, |text| serde_json::from_str(text).unwrap_or_else(|_| Vault::sealed()))
}

/// The documents of a bucket in which a vault's archives lie, when its own are lost.
pub(super) fn sealed_documents() -> BTreeMap<String, String> {
    let text = serde_json::to_string(&Vault::sealed());
    // What cannot be read is sealed too.
    BTreeMap::from([(DOCUMENT.to_owned(), text.unwrap_or_default())])
}

fn write_vault(tx: &mut Tx<'_>, mut bucket: Bucket, vault: &Vault) -> Result<()> {
    let text = serde_json::to_string(vault);
    let text =
        text.map_err(|error| Error::corrupt(format!("cannot write the vault {}", bucket.name), error.to_string()))?;
    bucket.documents.insert(DOCUMENT.to_owned(), text);
    write_bucket(tx, &bucket);
    Ok(())
}

/// Archives of a vault's bucket, and their bytes.
fn held(read: &impl Read, bucket: &Bucket) -> Result<(u64, u64)> {
    let Ledger { usage, .. } = read.record(Family::Usage, &id_key(bucket.id.0))?.unwrap_or_default();
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok((count(usage.objects), count(usage.bytes)))
}

impl Store {
    /// Makes a vault. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::InvalidBucketName`], [`Kind::BucketExists`].
    pub fn create_vault(&self, name: &str) -> Result<()> {
        let bucket = BucketName::of_vault(name)?;
        self.writable()?;
        Identity::read(&*self.disk, &self.dir)?.add_feature(&*self.disk, &self.dir, VAULTS)?;
        let posix = Posix::new(FileKind::Directory, 0o700, 0, 0, self.now());
        let made = self.make_bucket(&bucket, &posix, None, BTreeMap::new());
        made.map(drop).map_err(|error| match error.kind() {
            Kind::BucketExists => Error::new(Kind::BucketExists, format!("cannot make the vault {name}"))
                .why("the name is taken")
                .mend("choose another name"),
            _ => error,
        })
    }

    /// All vaults by name.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn vaults(&self) -> Result<Vec<VaultFacts>> {
        let all = self.all_buckets()?;
        all.into_iter().filter(|bucket| bucket.name.vault().is_some()).map(|bucket| self.vault_facts(bucket)).collect()
    }

    /// A vault.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`]; [`Kind::Denied`] by one of its policies.
    pub fn vault(&self, name: &str) -> Result<VaultFacts> {
        let (bucket, vault) = need_vault(&self.index, name)?;
        vault.judge(name, VaultAction::Describe, None, self.times())?;
        self.vault_facts(bucket)
    }

    fn vault_facts(&self, bucket: Bucket) -> Result<VaultFacts> {
        let (vault, held) = (record(&bucket), held(&self.index, &bucket)?);
        Ok(VaultFacts {
            name: bucket.name.vault().unwrap_or_default().to_owned(),
            created: bucket.created,
            inventory: vault.inventory(bucket.created, held, self.now()),
            vault,
            archives: held.0,
            bytes: held.1,
        })
    }

    /// Deletes a vault that holds nothing, and was not written since it was seen empty (VAULT-7). Durable when it returns; `dry_run`
    /// only asks.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`], [`Kind::InvalidArgument`] for one that must stay; [`Kind::Denied`] by one of its policies.
    pub fn delete_vault(&self, name: &str, dry_run: bool) -> Result<()> {
        let times = self.times();
        let may_go = |read: &Tx<'_>| {
            let (bucket, vault) = need_vault(read, name)?;
            vault.judge(name, VaultAction::Delete, None, times)?;
            vault.may_go(name, bucket.created, held(read, &bucket)?, times.0)?;
            Ok(bucket)
        };
        if dry_run {
            return self.transact(|tx| may_go(tx).map(drop));
        }
        self.delete_bucket_if(BucketName::of_vault(name)?.as_str(), |tx| may_go(tx))
    }

    /// The present instant, and the latest that was seen.
    fn times(&self) -> (Timestamp, Timestamp) {
        (self.now(), self.lock_time())
    }

    /// Changes a vault's record at the present instant. Durable when it returns.
    fn edit_vault<T>(
        &self,
        name: &str,
        edit: impl FnOnce(&mut Vault, (Timestamp, Timestamp)) -> Result<T>,
    ) -> Result<T> {
        self.transact_durably(|tx| {
            let (bucket, mut vault) = need_vault(tx, name)?;
            self.reckon(tx)?;
            let done = edit(&mut vault, self.times())?;
            write_vault(tx, bucket, &vault)?;
            Ok(done)
        })
    }

    /// Sets tags of a vault and removes others, which its policies may deny. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`], [`Kind::Denied`], and what the tags are refused with.
    pub fn tag_vault(&self, name: &str, set: &[(String, String)], remove: &[String]) -> Result<()> {
        self.edit_vault(name, |vault, times| {
            if !remove.is_empty() {
                vault.judge(name, VaultAction::RemoveTags, None, times)?;
            }
            if !set.is_empty() {
                vault.judge(name, VaultAction::AddTags, None, times)?;
            }
            for key in remove {
                vault.tags.remove(key);
            }
            for (key, value) in set {
                // Policies do not tell keys apart that differ in case alone.
                let alike = |(other, _): &(&str, &str)| other != key && other.to_lowercase() == key.to_lowercase();
                if let Some((other, _)) = vault.tags.iter().find(alike) {
                    return Err(Error::new(Kind::InvalidTag, format!("cannot set the tag {key:?}"))
                        .why(format!("the vault has the tag {other:?}, and policies see no difference"))
                        .mend("remove that one first"));
                }
                vault.tags.set(key, value)?;
            }
            Ok(())
        })
    }

    /// Sets or removes a vault's access policy (VAULT-1). Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`], [`Kind::MalformedPolicy`].
    pub fn set_vault_policy(&self, name: &str, policy: Option<&str>) -> Result<()> {
        self.edit_vault(name, |vault, _| vault.set_access(name, policy))
    }

    /// Begins to lock a vault (VAULT-2): see [`Vault::initiate`]. Returns the id that completes it, and until when. Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`], [`Kind::Denied`], [`Kind::MalformedPolicy`].
    pub fn initiate_vault_lock(&self, name: &str, policy: &str) -> Result<(String, Timestamp)> {
        let id = self.fresh_name();
        let expires = self.edit_vault(name, |vault, (_, now)| vault.initiate(name, &id, policy, now))?;
        Ok((id, expires))
    }

    /// Completes the lock of a vault (VAULT-3): see [`Vault::complete`]. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`], [`Kind::InvalidArgument`], [`Kind::Denied`].
    pub fn complete_vault_lock(&self, name: &str, id: &str) -> Result<()> {
        self.edit_vault(name, |vault, (_, now)| vault.complete(name, id, now))
    }

    /// Gives up the lock of a vault that is in progress (VAULT-4): see [`Vault::abort`]. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`], [`Kind::Denied`].
    pub fn abort_vault_lock(&self, name: &str) -> Result<()> {
        self.edit_vault(name, |vault, (_, now)| vault.abort(name, now))
    }

    /// Puts an archive in. Durable when it returns; nothing is left of one that fails.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`]; [`Kind::Denied`] by a policy; [`Kind::InvalidArgument`] for a description that is not printable ASCII or has
    /// over 1,024 characters; else as [`Store::put`].
    pub fn upload_archive(
        self: &Arc<Self>,
        name: &str,
        description: &str,
        body: &mut dyn std::io::Read,
    ) -> Result<Archive> {
        if description.len() > DESCRIPTION_MAX || !description.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            return Err(Error::new(Kind::InvalidArgument, "cannot take the description of the archive")
                .why(format!(
                    "it has {} bytes, not all of them printable ASCII or more than {DESCRIPTION_MAX}",
                    description.len()
                ))
                .mend("describe it in fewer, plain characters"));
        }
        let (bucket, vault) = need_vault(&self.index, name)?;
        vault.judge(name, VaultAction::Upload, None, self.times())?;
        let id = self.fresh_name();
        let key = ObjectKey::parse(&id)?;
        let mut draft = self.draft(None)?;
        draft.has_key(bucket.name.as_str(), key.as_str());
        let mut hashed = Hashed { body, hash: TreeHash::default() };
        draft.fill(&mut hashed)?;
        let hash = hex(&hashed.hash.finish());
        let mut metadata = Metadata::default();
        metadata.set_user(TREE_HASH, &hash)?;
        metadata.set_user(DESCRIPTION, description)?;
        let class = StorageClass::Glacier;
        let options = PutOptions { metadata, class, condition: Condition::Absent, ..PutOptions::default() };
        let prepared = self.prepare(&mut draft)?;
        draft.is_committed();
        let (object, commit) = self.transact_seq(|tx| {
            let (now, seq) = self.stamp();
            // As it is by now: the vault may be another, or locked.
            let (bucket, mut vault) = need_vault(tx, name)?;
            let reckoned = self.reckon(tx)?;
            vault.judge(name, VaultAction::Upload, None, (now, reckoned))?;
            vault.write(bucket.created, held(tx, &bucket)?, reckoned);
            let dress = |object: &mut Object| {
                prepared.describe(self, object);
                object.modified = object.modified.max(reckoned);
                object.lock.hold = Some(true);
            };
            let (object, _) = self.install(tx, &bucket, &key, (seq, now), &options, UNTOLD, dress)?;
            prepared.commit(tx)?;
            write_vault(tx, bucket, &vault)?;
            Ok(object)
        })?;
        drop(prepared);
        let object = self.put_done(draft, object, (commit, None), (bucket.name.as_str(), &key))?;
        Ok(Archive::of(&id, &object))
    }

    /// A name that nothing had or will have.
    fn fresh_name(&self) -> String {
        let (_, seq) = self.stamp();
        self.version_id(Versioning::Enabled, seq, Ino(seq.0)).to_string()
    }

    /// Archives of a vault by id, those after `after`, a thousand at most.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`]; [`Kind::Denied`] by a policy.
    pub fn archives(&self, name: &str, after: Option<&str>) -> Result<Vec<Archive>> {
        let (bucket, vault) = need_vault(&self.index, name)?;
        vault.judge(name, VaultAction::Describe, None, self.times())?;
        let entries = self.entries(bucket.root, after, LIST_STEP)?;
        let archive = |(id, entry): (String, Entry)| match entry {
            Entry::File(file) => Some(Archive::of(&id, &file.object)),
            Entry::Dir(_) => None,
        };
        Ok(entries.into_iter().filter_map(archive).collect())
    }

    /// An archive and its bytes, which are read at once: nothing has to be restored before.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`]; [`Kind::Denied`] by a policy.
    pub fn open_archive(self: &Arc<Self>, name: &str, id: &str) -> Result<(Archive, Content)> {
        let (bucket, vault) = need_vault(&self.index, name)?;
        vault.judge(name, VaultAction::Retrieve, None, self.times())?;
        let found = self.index.at_once(|view| current(view, bucket.root, id))?;
        let found = found.filter(|found| !found.draft).ok_or_else(|| no_archive(name, id))?;
        Ok((Archive::of(id, &found.object), self.open_unasked(&found.object)?))
    }

    /// Deletes an archive, if the policies let that be (VAULT-6). Durable when it returns; `dry_run` only asks.
    ///
    /// # Errors
    /// [`Kind::NoSuchVault`]; [`Kind::Denied`] by a policy.
    pub fn delete_archive(&self, name: &str, id: &str, dry_run: bool) -> Result<Archive> {
        self.writable()?;
        self.make_room()?;
        let warrant = Warrant { archive: true, ..Warrant::default() };
        let (archive, commit) = self.commit_with(warrant, |tx| {
            let (bucket, mut vault) = need_vault(tx, name)?;
            let old = current(tx, bucket.root, id)?.filter(|old| !old.draft).ok_or_else(|| no_archive(name, id))?;
            let reckoned = self.reckon(tx)?;
            let action = VaultAction::DeleteArchive;
            vault.judge(name, action, Some(old.object.modified), (self.now(), reckoned))?;
            if !dry_run {
                vault.write(bucket.created, held(tx, &bucket)?, reckoned);
                self.unname_for(Cause::Archive, tx, &bucket, (bucket.root, id), &old, self.now())?;
                write_vault(tx, bucket, &vault)?;
            }
            Ok(Archive::of(id, &old.object))
        })?;
        self.wait_durable(commit)?;
        Ok(archive)
    }
}
