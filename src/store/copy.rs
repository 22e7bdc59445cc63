//! Copying by sharing: no data moves (COPY).

use super::Store;
use super::bucket::need_bucket;
use super::class::may_copy;
use super::promise::{BODY_BYTES_MAX, Promise};
use super::put::{Condition, PutOptions};
use super::stack::hold_content;
use super::sums::read_through;
use crate::crypto::{Md5, Summer};
use crate::index::{Family, Read, Tx, content_key};
use crate::model::{
    Bucket, ChecksumAlgorithm, Conditions, ContentId, DirId, ETag, Error, FileKind, Kind, Metadata, Object, ObjectKey,
    ObjectLock, ObjectSum, ObjectSums, Posix, Result, Seq, StorageClass, TagSet, Timestamp,
};
use std::sync::Arc;

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
    /// Conditions on the source (COND-11).
    pub source: Conditions,
    /// The copy's checksum; the source's when absent (COPY-11).
    pub checksum: Option<ChecksumAlgorithm>,
    /// What protects the copy; it is never taken from the source, and the bucket's default when nothing (LOCK-9).
    pub lock: ObjectLock,
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
            promise: Promise::default(),
            lock: self.lock,
        }
    }

    /// Whether a copy of `from` is the same in all that can be chosen: onto itself it would do nothing (COPY-7).
    #[must_use]
    pub fn changes_nothing(&self, from: &Object) -> bool {
        self.metadata.is_none()
            && self.tags.is_none()
            && self.checksum.is_none()
            && self.class == from.class
            && self.lock == ObjectLock::NONE
    }
}

/// What a copy has of its source beside the bytes. Whether it is a directory its own key says.
fn carry(object: &mut Object, from: &Object) {
    object.xattrs = from.xattrs.clone();
    if ![object.posix.kind, from.posix.kind].contains(&FileKind::Directory) {
        object.posix.kind = from.posix.kind;
        object.posix.target.clone_from(&from.posix.target);
        object.posix.rdev = from.posix.rdev;
    }
}

impl Store {
    /// Makes a new current version of `key` with the bytes of `from`, any version of any object, which keeps its tag and
    /// checksum. Only where it is to have another checksum is it read, and gets the tag of a PUT (SUM-5). Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchVersion`] when the source was purged meanwhile, [`Kind::PreconditionFailed`] (COND-10, COND-11), else as
    /// [`Store::put`].
    pub fn copy(self: &Arc<Self>, from: &Object, bucket: &str, key: &ObjectKey, how: &CopyOptions) -> Result<Object> {
        how.source.of_source(from)?;
        self.check_copy(from, bucket, key, how.class)?;
        let options = how.options(from);
        self.check_lock(&self.bucket(bucket)?, how.lock)?;
        if let Some(algorithm) = how.checksum {
            let sum = self.sums(from)?.sum;
            if sum.is_none_or(|sum| sum.parts > 0 || sum.sum.algorithm() != algorithm) {
                return self.copy_summed(from, bucket, key, &options, algorithm);
            }
        }
        let object = self.transact_durably(|tx| {
            let now = self.stamp();
            let bucket = need_bucket(tx, bucket)?;
            let at = self.ensure_place(tx, &bucket, key, now.0)?;
            self.copy_in(tx, from, &bucket, at, &options, now)
        })?;
        self.note_copy(&object, bucket, key.as_str());
        Ok(object)
    }

    /// SC-12: what no copy of an object onto itself may do.
    fn check_copy(&self, from: &Object, bucket: &str, key: &ObjectKey, class: StorageClass) -> Result<()> {
        if may_copy(from.class, class) || !self.get(bucket, key, None).is_ok_and(|there| there.ino == from.ino) {
            return Ok(());
        }
        Err(Error::new(Kind::InvalidRequest, format!("cannot move the object to {}", class.name()))
            .why(format!("no copy leads there from {} (SC-12)", from.class.name())))
    }

    /// A copy whose bytes are shared, and read once for their checksum.
    fn copy_summed(
        self: &Arc<Self>,
        from: &Object,
        bucket: &str,
        key: &ObjectKey,
        options: &PutOptions,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Object> {
        let bucket = self.bucket(bucket)?;
        if from.size > BODY_BYTES_MAX {
            return Err(Error::new(Kind::InvalidRequest, "cannot copy the object with another checksum")
                .why(format!("it has {} bytes, and one copy reads at most {BODY_BYTES_MAX} (SIZE-4)", from.size))
                .mend("copy it in parts, or without naming a checksum"));
        }
        let content = Arc::new(self.open_content(from)?);
        let (mut md5, mut summer) = (Md5::default(), Summer::new(algorithm));
        read_through(0..from.size, &mut |at, buf| content.read_at(at, buf), &mut |bytes| {
            md5.update(bytes);
            summer.update(bytes);
        })?;
        let mut draft = self.draft(None)?;
        draft.has_key(bucket.name.as_str(), key.as_str());
        draft.has_class(options.class);
        draft.copy_from(0, &content, 0, from.size)?;
        let etag = ETag { digest: md5.finish(), parts: 0 };
        let sums = ObjectSums { sum: Some(ObjectSum::whole(summer.finish())), ..ObjectSums::default() };
        self.put_draft(&bucket, key, draft, options, "ObjectCreated:Copy", sums, |object| {
            object.etag = etag;
            carry(object, from);
        })
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
        self.readable(from)?;
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
            carry(object, from);
        };
        self.install_at(tx, bucket, at, (seq, now), options, "ObjectCreated:Copy", fill).map(|(object, _)| object)
    }
}
