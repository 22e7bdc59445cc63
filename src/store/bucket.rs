//! Buckets: create, delete, list, settings (BKT, VER-1).

use super::Store;
use super::analysis;
use super::tiering;
use crate::index::{DirRecord, DirStat, Family, Read, Tx, decode, dent_bounds, id_key, ver_dir_bounds};
use crate::model::{
    Bucket, BucketId, BucketLock, BucketName, DirId, Error, Kind, Leave, Ledger, Posix, Result, Usage, Versioning,
    Xattrs,
};
use std::collections::BTreeMap;

/// Most uploads in progress that go with their bucket: what one transaction can delete.
const UPLOADS_MAX: i64 = 1000;

/// Where a bucket has MFA delete, a second factor is needed (MFA-1).
pub(super) fn need_factor(bucket: &Bucket, leave: Leave, what: &str) -> Result<()> {
    if leave.mfa || bucket.mfa_delete != Some(true) {
        return Ok(());
    }
    Err(Error::new(Kind::Denied, format!("cannot {what} in {}", bucket.name))
        .why("the bucket has MFA delete, and no code of a device was given (MFA-1)")
        .mend("use the command line with --mfa \"SERIAL CODE\", or S3 with x-amz-mfa, as the account's root"))
}

pub(super) fn name_key(name: &str) -> Vec<u8> {
    [b"n", name.as_bytes()].concat()
}

pub(super) fn bucket_key(id: BucketId) -> Vec<u8> {
    [b"i", id_key(id.0).as_slice()].concat()
}

pub(super) fn read_bucket(read: &impl Read, id: BucketId) -> Result<Bucket> {
    let bucket = read.record(Family::Bucket, &bucket_key(id))?;
    bucket.ok_or_else(|| Error::new(Kind::NoSuchBucket, format!("cannot find the bucket {id}")))
}

/// The bucket that somebody names. Those in which archives of vaults lie nobody can name (VAULT-8).
pub(super) fn find_bucket(read: &impl Read, name: &str) -> Result<Option<Bucket>> {
    Ok(find_any_bucket(read, name)?.filter(|bucket| bucket.name.vault().is_none()))
}

/// The bucket of that name, whatever lies in it.
pub(super) fn find_any_bucket(read: &impl Read, name: &str) -> Result<Option<Bucket>> {
    let id: Option<u64> = read.record(Family::Bucket, &name_key(name))?;
    id.map(|id| read_bucket(read, BucketId(id))).transpose()
}

pub(super) fn need_bucket(read: &impl Read, name: &str) -> Result<Bucket> {
    find_bucket(read, name)?.ok_or_else(|| no_bucket(name))
}

/// As [`need_bucket`], whatever lies in it.
pub(super) fn need_any_bucket(read: &impl Read, name: &str) -> Result<Bucket> {
    find_any_bucket(read, name)?.ok_or_else(|| no_bucket(name))
}

fn no_bucket(name: &str) -> Error {
    Error::new(Kind::NoSuchBucket, format!("cannot find the bucket {name:?}"))
        .why("there is none of that name")
        .mend("list the buckets with `keyfold bucket ls`")
}

/// The same bucket as before, as it is now. One of its name that was made since is another.
pub(super) fn need_same_bucket(read: &impl Read, bucket: &Bucket) -> Result<Bucket> {
    let found = need_any_bucket(read, bucket.name.as_str())?;
    if found.id == bucket.id {
        return Ok(found);
    }
    Err(Error::new(Kind::NoSuchBucket, format!("cannot find the bucket {:?} any more", bucket.name.as_str()))
        .why("it was deleted meanwhile, and another one has its name")
        .mend("do it again, if it is meant for the new bucket"))
}

pub(super) fn write_bucket(tx: &mut Tx<'_>, bucket: &Bucket) {
    tx.put(Family::Bucket, &bucket_key(bucket.id), bucket);
}

impl Store {
    /// Makes a bucket, unversioned (BKT-15). Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::BucketExists`] when the name is taken (BKT-9).
    pub fn create_bucket(&self, name: &BucketName, posix: &Posix) -> Result<Bucket> {
        self.make_bucket(name, posix, None, BTreeMap::new())
    }

    /// Makes a bucket with object lock, and so with versioning (LOCK-1), else as [`Store::create_bucket`].
    ///
    /// # Errors
    /// As [`Store::create_bucket`].
    pub fn create_locked_bucket(&self, name: &BucketName, posix: &Posix) -> Result<Bucket> {
        self.make_bucket(name, posix, Some(BucketLock::default()), BTreeMap::new())
    }

    pub(super) fn make_bucket(
        &self,
        name: &BucketName,
        posix: &Posix,
        lock: Option<BucketLock>,
        documents: BTreeMap<String, String>,
    ) -> Result<Bucket> {
        let (id, root, now) = (BucketId(self.ids.take()), DirId(self.ids.take()), self.now());
        let bucket = Bucket {
            id,
            name: name.clone(),
            root,
            created: now,
            versioning: lock.map_or(Versioning::Unversioned, |_| Versioning::Enabled),
            documents,
            quota: None,
            lock,
            mfa_delete: None,
        };
        self.transact_durably(|tx| {
            if lock.is_some() {
                self.reckon(tx)?;
            }
            if find_any_bucket(tx, name.as_str())?.is_some() {
                return Err(Error::new(Kind::BucketExists, format!("cannot make the bucket {name}"))
                    .why("the name is taken")
                    .mend("choose another name"));
            }
            let record = DirRecord {
                parent: root,
                name: String::new(),
                bucket: id,
                alive: true,
                posix: posix.clone(),
                marker: None,
                xattrs: Xattrs::default(),
                class: None,
            };
            tx.put(Family::Dir, &id_key(root.0), &record);
            tx.put(Family::DirStat, &id_key(root.0), &DirStat { mtime: now, ctime: now, ..DirStat::default() });
            tx.put(Family::Bucket, &name_key(name.as_str()), &id.0);
            write_bucket(tx, &bucket);
            Ok(())
        })?;
        Ok(bucket)
    }

    /// Deletes a bucket that holds nothing: no object, version or marker (BKT-12). Its uploads in progress go with it.
    ///
    /// # Errors
    /// [`Kind::BucketNotEmpty`], [`Kind::NoSuchBucket`].
    pub fn delete_bucket(&self, name: &str) -> Result<()> {
        self.delete_bucket_if(name, |tx| need_bucket(tx, name))
    }

    /// The same of the bucket of that name which `find` answers with, when it lets that be.
    pub(super) fn delete_bucket_if(&self, name: &str, find: impl FnOnce(&Tx<'_>) -> Result<Bucket>) -> Result<()> {
        self.write_requests()?;
        let id = self.transact_durably(|tx| {
            let bucket = find(tx)?;
            let usage: Usage = tx.record::<Ledger>(Family::Usage, &id_key(bucket.id.0))?.unwrap_or_default().usage;
            let stat: DirStat = tx.record(Family::DirStat, &id_key(bucket.root.0))?.unwrap_or_default();
            // Counted, and looked for: a damaged counter lets nothing go.
            let found = |family, (lower, upper): (Vec<u8>, Vec<u8>)| tx.any(family, &lower, &upper);
            let names = found(Family::Dent, dent_bounds(bucket.root))?;
            let history = found(Family::Ver, ver_dir_bounds(bucket.root, ""))?;
            let why = if stat.live > 0 || usage.objects > 0 || names {
                "it holds objects"
            } else if usage.noncurrent + usage.markers > 0 || history {
                "it holds older versions or delete markers, which `ls` does not show"
            } else if usage.uploads > UPLOADS_MAX {
                "too many multipart uploads are in progress in it"
            } else {
                self.drop_uploads_of(tx, bucket.id)?;
                super::obey::forget(tx, bucket.id)?;
                super::analysis::forget(tx, bucket.id)?;
                super::metering::close_bucket(tx, bucket.id)?;
                tx.delete(Family::Bucket, &name_key(name));
                tx.delete(Family::Bucket, &bucket_key(bucket.id));
                tx.delete(Family::Dir, &id_key(bucket.root.0));
                tx.delete(Family::DirStat, &id_key(bucket.root.0));
                return Ok(bucket.id);
            };
            Err(Error::new(Kind::BucketNotEmpty, format!("cannot delete the bucket {name}"))
                .why(why)
                .mend("delete them first: `rm -r` the objects, purge the entries of .versions, abort the uploads"))
        })?;
        self.quotas.forget(id);
        self.load_analytics()
    }

    /// The bucket of that name.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        need_bucket(&self.index, name)
    }

    /// The bucket of that id.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn bucket_by_id(&self, id: BucketId) -> Result<Bucket> {
        read_bucket(&self.index, id)
    }

    /// All buckets by name.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn buckets(&self) -> Result<Vec<Bucket>> {
        let mut all = self.all_buckets()?;
        all.retain(|bucket| bucket.name.vault().is_none());
        Ok(all)
    }

    /// The same, those of vaults among them.
    pub(super) fn all_buckets(&self) -> Result<Vec<Bucket>> {
        let mut out = Vec::new();
        for found in self.index.scan(Family::Bucket, b"n", b"o")? {
            let (key, value) = found?;
            match decode(&value).and_then(|id| read_bucket(&self.index, BucketId(id))) {
                Ok(bucket) => out.push(bucket),
                Err(error) if error.kind() == Kind::NoSuchBucket => {}
                Err(error) if error.kind() == Kind::Corrupt => self.spoiled((Family::Bucket, &key), None, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(out)
    }

    pub(super) fn change_bucket(&self, name: &str, change: impl FnOnce(&mut Bucket) -> Result<()>) -> Result<()> {
        self.transact_durably(|tx| {
            let mut bucket = need_bucket(tx, name)?;
            change(&mut bucket)?;
            write_bucket(tx, &bucket);
            Ok(())
        })
    }

    /// Sets a bucket's versioning (VER-1).
    ///
    /// # Errors
    /// [`Kind::InvalidState`] for a return to unversioned, and for any other state than Enabled with object lock (LOCK-1, VER-17).
    pub fn set_versioning(&self, name: &str, to: Versioning) -> Result<()> {
        self.set_versioning_with(name, to, None, Leave::default())
    }

    /// The same, and where it is said whether deleting a version for good is to need a second factor, for a caller who may what
    /// others may not.
    ///
    /// # Errors
    /// As [`Store::set_versioning`]; [`Kind::Denied`] without a second factor where one is needed, which is also to turn that on
    /// (MFA-1, MFA-3); [`Kind::InvalidState`] to turn it on beside lifecycle rules (MFA-7).
    pub fn set_versioning_with(
        &self,
        name: &str,
        to: Versioning,
        mfa_delete: Option<bool>,
        leave: Leave,
    ) -> Result<()> {
        self.change_bucket(name, |bucket| {
            need_factor(bucket, leave, "change the versioning")?;
            let turned_on = mfa_delete == Some(true) && bucket.mfa_delete != Some(true);
            if turned_on {
                need_factor(&Bucket { mfa_delete, ..bucket.clone() }, leave, "turn on MFA delete")?;
                if bucket.documents.contains_key(super::obey::DOCUMENT) {
                    return Err(Error::new(Kind::InvalidState, format!("cannot turn on MFA delete on {name}"))
                        .why("the bucket has lifecycle rules, which could not give a code (MFA-7)")
                        .mend("remove its lifecycle first"));
                }
            }
            bucket.mfa_delete = mfa_delete.or(bucket.mfa_delete);
            if to == Versioning::Unversioned && bucket.versioning != to {
                return Err(Error::new(Kind::InvalidState, format!("cannot make the bucket {name} unversioned"))
                    .why("versioning was set once and can only be suspended (VER-1)")
                    .mend("set it to Suspended"));
            }
            if to != Versioning::Enabled && bucket.lock.is_some() {
                return Err(Error::new(Kind::InvalidState, format!("cannot suspend the versioning of {name}"))
                    .why("An Object Lock configuration is present on this bucket, so the versioning state cannot be changed. (LOCK-1)")
                    .mend("leave it Enabled: object lock is for good"));
            }
            bucket.versioning = to;
            Ok(())
        })?;
        self.tell_advice(name);
        Ok(())
    }

    /// A bucket's document, such as `lifecycle`.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn document(&self, bucket: &str, document: &str) -> Result<Option<String>> {
        Ok(self.bucket(bucket)?.documents.remove(document))
    }

    /// Sets or removes a bucket's document. The door has validated it.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`]; [`Kind::InvalidState`] for lifecycle rules beside MFA delete (MFA-7).
    pub fn set_document(&self, bucket: &str, document: &str, text: Option<String>) -> Result<()> {
        self.edit_document(bucket, document, |_| Ok(text))
    }

    /// The same of one whose text follows from the one before. Nothing comes in between.
    pub(super) fn edit_document(
        &self,
        bucket: &str,
        document: &str,
        edit: impl FnOnce(Option<String>) -> Result<Option<String>>,
    ) -> Result<()> {
        self.transact_durably(|tx| {
            let mut bucket = need_bucket(tx, bucket)?;
            let text = edit(bucket.documents.get(document).cloned())?;
            if document == super::obey::DOCUMENT && text.is_some() && bucket.mfa_delete == Some(true) {
                return Err(Error::new(Kind::InvalidState, "cannot set the bucket's lifecycle")
                    .why("the bucket has MFA delete, and rules could not give a code (MFA-7)")
                    .mend("turn MFA delete off first"));
            }
            match text {
                Some(text) => bucket.documents.insert(document.to_owned(), text),
                None => bucket.documents.remove(document),
            };
            write_bucket(tx, &bucket);
            if document == tiering::DOCUMENT {
                tiering::look_at_all(tx, bucket.id);
            }
            if document == analysis::DOCUMENT {
                analysis::forget_others(tx, &bucket)?;
            }
            Ok(())
        })?;
        if document == analysis::DOCUMENT {
            self.load_analytics()?;
        }
        if document == super::obey::DOCUMENT {
            self.rules_have_changed(bucket);
        }
        Ok(())
    }

    /// What a bucket holds.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn usage(&self, id: BucketId) -> Result<Usage> {
        Ok(self.ledger(id)?.usage)
    }
}
