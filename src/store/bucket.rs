//! Buckets: create, delete, list, settings (BKT, VER-1).

use super::Store;
use super::names::readable;
use crate::index::{DirRecord, DirStat, Family, Read, Tx, decode, id_key};
use crate::model::{Bucket, BucketId, BucketName, DirId, Error, Kind, Posix, Result, Usage, Versioning, Xattrs};

/// Most uploads in progress that go with their bucket: what one transaction can delete.
const UPLOADS_MAX: i64 = 1000;

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

pub(super) fn find_bucket(read: &impl Read, name: &str) -> Result<Option<Bucket>> {
    let id: Option<u64> = read.record(Family::Bucket, &name_key(name))?;
    id.map(|id| read_bucket(read, BucketId(id))).transpose()
}

pub(super) fn need_bucket(read: &impl Read, name: &str) -> Result<Bucket> {
    find_bucket(read, name)?.ok_or_else(|| {
        Error::new(Kind::NoSuchBucket, format!("cannot find the bucket {name:?}"))
            .why("there is none of that name")
            .mend("list the buckets with `keyfold bucket ls`")
    })
}

/// The same bucket as before, as it is now. One of its name that was made since is another.
pub(super) fn need_same_bucket(read: &impl Read, bucket: &Bucket) -> Result<Bucket> {
    let found = need_bucket(read, bucket.name.as_str())?;
    if found.id == bucket.id {
        return Ok(found);
    }
    Err(Error::new(Kind::NoSuchBucket, format!("cannot find the bucket {:?} any more", bucket.name.as_str()))
        .why("it was deleted meanwhile, and another one has its name")
        .mend("do it again, if it is meant for the new bucket"))
}

fn write_bucket(tx: &mut Tx<'_>, bucket: &Bucket) {
    tx.put(Family::Bucket, &bucket_key(bucket.id), bucket);
}

/// Adds to a bucket's usage counters.
pub(super) fn add_usage(tx: &mut Tx<'_>, bucket: BucketId, delta: Usage) -> Result<()> {
    let mut usage: Usage = match tx.record(Family::Usage, &id_key(bucket.0)) {
        // A repair counts anew; until then nothing is known.
        Err(error) if error.kind() == Kind::Corrupt => return Ok(()),
        usage => usage?.unwrap_or_default(),
    };
    usage += delta;
    tx.put(Family::Usage, &id_key(bucket.0), &usage);
    Ok(())
}

impl Store {
    /// Makes a bucket, unversioned (BKT-15). Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::BucketExists`] when the name is taken (BKT-9).
    pub fn create_bucket(&self, name: &BucketName, posix: &Posix) -> Result<Bucket> {
        let (id, root, now) = (BucketId(self.ids.take()), DirId(self.ids.take()), self.now());
        let bucket = Bucket {
            id,
            name: name.clone(),
            root,
            created: now,
            versioning: Versioning::Unversioned,
            documents: std::collections::BTreeMap::new(),
            quota: None,
        };
        self.transact_durably(|tx| {
            if find_bucket(tx, name.as_str())?.is_some() {
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
        let id = self.transact_durably(|tx| {
            let bucket = need_bucket(tx, name)?;
            let usage: Usage = tx.record(Family::Usage, &id_key(bucket.id.0))?.unwrap_or_default();
            let stat: DirStat = tx.record(Family::DirStat, &id_key(bucket.root.0))?.unwrap_or_default();
            let why = if stat.live > 0 || usage.objects > 0 {
                "it holds objects"
            } else if usage.noncurrent + usage.markers > 0 {
                "it holds older versions or delete markers, which `ls` does not show"
            } else if usage.uploads > UPLOADS_MAX {
                "too many multipart uploads are in progress in it"
            } else {
                self.drop_uploads_of(tx, bucket.id)?;
                tx.delete(Family::Bucket, &name_key(name));
                tx.delete(Family::Bucket, &bucket_key(bucket.id));
                tx.delete(Family::Usage, &id_key(bucket.id.0));
                tx.delete(Family::Dir, &id_key(bucket.root.0));
                tx.delete(Family::DirStat, &id_key(bucket.root.0));
                return Ok(bucket.id);
            };
            Err(Error::new(Kind::BucketNotEmpty, format!("cannot delete the bucket {name}"))
                .why(why)
                .mend("delete them first: `rm -r` the objects, purge the entries of .versions, abort the uploads"))
        })?;
        self.no_quota(id)
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
    /// [`Kind::InvalidState`] for a return to unversioned.
    pub fn set_versioning(&self, name: &str, to: Versioning) -> Result<()> {
        self.change_bucket(name, |bucket| {
            if to == Versioning::Unversioned && bucket.versioning != to {
                return Err(Error::new(Kind::InvalidState, format!("cannot make the bucket {name} unversioned"))
                    .why("versioning was set once and can only be suspended (VER-1)")
                    .mend("set it to Suspended"));
            }
            bucket.versioning = to;
            Ok(())
        })
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
    /// [`Kind::NoSuchBucket`].
    pub fn set_document(&self, bucket: &str, document: &str, text: Option<String>) -> Result<()> {
        self.change_bucket(bucket, |bucket| {
            match text {
                Some(text) => bucket.documents.insert(document.to_owned(), text),
                None => bucket.documents.remove(document),
            };
            Ok(())
        })
    }

    /// What a bucket holds.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn usage(&self, id: BucketId) -> Result<Usage> {
        Ok(readable(self.index.record(Family::Usage, &id_key(id.0)))?.unwrap_or_default())
    }
}
