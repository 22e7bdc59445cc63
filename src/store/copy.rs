//! Copying by sharing: no data moves (COPY).

use super::Store;
use super::bucket::need_bucket;
use super::put::{Condition, PutOptions};
use super::stack::hold_content;
use crate::index::{Family, Read, Tx, content_key};
use crate::model::{
    Bucket, ContentId, DirId, Error, Kind, Metadata, Object, ObjectKey, Posix, Result, Seq, StorageClass, TagSet,
    Timestamp,
};

/// How a copy differs from its source.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// The copy's metadata; the source's when absent (COPY-1).
    pub metadata: Option<Metadata>,
    /// The copy's tags; the source's when absent (COPY-2).
    pub tags: Option<TagSet>,
    /// Storage class; it is never taken from the source (COPY-3).
    pub class: StorageClass,
    /// Mode, owner and times; those of the file that is replaced, else of the source.
    pub posix: Option<Posix>,
    /// Condition on the destination's current version (COND-10).
    pub condition: Condition,
}

impl CopyOptions {
    /// What the copy of `from` is put with.
    pub(super) fn options(&self, from: &Object) -> PutOptions {
        PutOptions {
            metadata: self.metadata.clone().unwrap_or_else(|| from.metadata.clone()),
            tags: self.tags.clone().unwrap_or_else(|| from.tags.clone()),
            class: self.class,
            posix: self.posix.clone(),
            condition: self.condition,
            etag: None,
        }
    }
}

impl Store {
    /// Makes a new current version of `key` with the bytes of `from`, any version of any object. Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchVersion`] when the source was purged meanwhile, else as [`Store::put`].
    pub fn copy(&self, from: &Object, bucket: &str, key: &ObjectKey, how: &CopyOptions) -> Result<Object> {
        let options = how.options(from);
        let object = self.transact_durably(|tx| {
            let now = self.stamp();
            let bucket = need_bucket(tx, bucket)?;
            let at = self.ensure_place(tx, &bucket, key, now.0)?;
            self.copy_in(tx, from, &bucket, at, &options, now)
        })?;
        self.note_copy(&object, bucket, key.as_str());
        Ok(object)
    }

    /// Makes a new current version of a name with the bytes of `from`.
    pub(super) fn copy_in(
        &self,
        tx: &mut Tx<'_>,
        from: &Object,
        bucket: &Bucket,
        at: (DirId, &str),
        options: &PutOptions,
        (now, seq): (Timestamp, Seq),
    ) -> Result<Object> {
        // Held before the old version is retired: it may be the only other holder.
        if from.content != ContentId::EMPTY {
            // One in `gone` has no holder left and is about to be freed.
            let gone = tx.get(Family::Gone, &super::reap::gone_content(from.content))?.is_some();
            if gone || tx.get(Family::Content, &content_key(from.content))?.is_none() {
                return Err(Error::new(Kind::NoSuchVersion, "cannot copy the object")
                    .why("its source was deleted at this moment"));
            }
            hold_content(tx, from.content)?;
        }
        let fill = |object: &mut Object| {
            object.size = from.size;
            object.stored = from.stored;
            object.content = from.content;
            object.crc64 = from.crc64;
            object.etag = from.etag;
            object.xattrs = from.xattrs.clone();
            if options.posix.is_none() {
                object.posix.kind = from.posix.kind;
                object.posix.target.clone_from(&from.posix.target);
                object.posix.rdev = from.posix.rdev;
            }
        };
        self.install_at(tx, bucket, at, (seq, now), options, "ObjectCreated:Copy", fill).map(|(object, _)| object)
    }
}
