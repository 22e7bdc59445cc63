//! Multipart uploads: parts are contents in the log, completing is a change of the index alone (MPU).

mod complete;
mod pages;

pub(super) use complete::Completed;
pub use complete::{CompleteOptions, CompletePart};
pub(super) use pages::UPLOADS_KEY;
pub use pages::{ListUploads, PartPage, UploadPage};

use super::Store;
use super::bucket::need_bucket;
use super::content::Content;
use super::draft::Draft;
use super::metering::count_usage;
use super::promise::{Promise, Promised, check_length};
use super::stack::drop_content;
use super::sums::sum_of;
use crate::index::{
    Family, PartRecord, Read, Tx, UploadRecord, content_key, decode, id_key, id_of, part_key, part_number_of,
    upload_name_key, upload_name_parts, upload_names_end,
};
use crate::model::{
    BucketId, ChecksumAlgorithm, ChecksumType, ETag, Error, Kind, Metadata, Object, ObjectKey, ObjectLock, ObjectSum,
    ObjectSums, Result, Seq, StorageClass, Sum, TagSet, Timestamp, UploadId, Usage,
};
use std::ops::Range;
use std::sync::Arc;

/// Part numbers run from 1 to this (MPU-1).
pub const PART_NUMBER_MAX: u32 = 10_000;
/// Smallest part that is not the last (MPU-2), in bytes.
pub const PART_BYTES_MIN: u64 = 5 << 20;

/// What an upload is begun with; it becomes the object's (MPU-6).
#[derive(Clone, Debug, Default)]
pub struct UploadOptions {
    /// System headers and user metadata.
    pub metadata: Metadata,
    /// Tags.
    pub tags: TagSet,
    /// Storage class.
    pub class: StorageClass,
    /// The checksum its parts and its object have, and its type, when that is named (SUM-9).
    pub checksum: Option<(ChecksumAlgorithm, Option<ChecksumType>)>,
    /// What protects the object; the bucket's default when nothing (LOCK-9).
    pub lock: ObjectLock,
}

/// An upload in progress.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// The key it will make.
    pub key: String,
    /// When it was initiated.
    pub initiated: Timestamp,
    /// The object's storage class.
    pub class: StorageClass,
    /// The checksum chosen for it.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

impl Upload {
    fn of(id: UploadId, record: UploadRecord) -> Self {
        let UploadRecord { key, initiated, class, checksum, .. } = record;
        Self { id, key, initiated, class, checksum }
    }
}

/// A part of an upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartInfo {
    /// Its number.
    pub number: u32,
    /// Length in bytes.
    pub size: u64,
    /// Its tag: the MD5 of its bytes, but for one that was copied.
    pub etag: ETag,
    /// When it was uploaded.
    pub modified: Timestamp,
    /// Its checksum, when one was given or the upload has one.
    pub sum: Option<Sum>,
}

impl PartInfo {
    fn of(number: u32, part: &PartRecord, sum: Option<Sum>) -> Self {
        Self { number, size: part.size, etag: part.etag, modified: part.modified, sum }
    }
}

fn no_upload(id: UploadId) -> Error {
    Error::new(Kind::NoSuchUpload, format!("cannot find the upload {id}"))
        .why("it was completed or aborted, or never existed")
        .mend("start a new upload")
}

fn need_upload(read: &impl Read, id: UploadId) -> Result<UploadRecord> {
    read.record(Family::Upload, &id_key(id.0))?.ok_or_else(|| no_upload(id))
}

/// Parts from the number `from` on, at most `limit`.
fn parts_from(read: &impl Read, id: UploadId, from: u32, limit: usize) -> Result<Vec<(u32, PartRecord)>> {
    let mut out = Vec::new();
    for found in read.scan(Family::Part, &part_key(id, from), &part_key(id, u32::MAX))? {
        if out.len() >= limit {
            break;
        }
        let (key, value) = found?;
        if let Some(number) = part_number_of(&key) {
            out.push((number, decode(&value)?));
        }
    }
    Ok(out)
}

fn parts_of(read: &impl Read, id: UploadId) -> Result<Vec<(u32, PartRecord)>> {
    parts_from(read, id, 0, usize::MAX)
}

/// The checksum kept with a part.
fn sum_of_part(read: &impl Read, part: &PartRecord) -> Result<Option<Sum>> {
    let sums: Option<ObjectSums> = read.record(Family::Sums, &content_key(part.content))?;
    Ok(sums.and_then(|sums| sums.sum).map(|sum| sum.sum))
}

fn part_usage(size: u64, sign: i64) -> Usage {
    Usage { upload_bytes: sign * i64::try_from(size).unwrap_or(i64::MAX), ..Usage::default() }
}

/// Whether a part may be stored under that number.
fn check_number(number: u32) -> Result<()> {
    if (1..=PART_NUMBER_MAX).contains(&number) {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidArgument, format!("cannot store the part {number}"))
        .why(format!("part numbers run from 1 to {PART_NUMBER_MAX} (MPU-1)")))
}

/// A part's promise, with the checksum that its upload has.
fn promise_of(upload: &UploadRecord, promise: &Promise) -> Result<Promise> {
    let Some((chosen, _)) = upload.checksum else { return Ok(promise.clone()) };
    let trailing = promise.trailer.as_ref().map(|(algorithm, _)| *algorithm);
    match promise.sums.iter().map(Sum::algorithm).chain(trailing).find(|algorithm| *algorithm != chosen) {
        None => Ok(Promise { keep: Some(chosen), ..promise.clone() }),
        Some(other) => Err(Error::new(Kind::InvalidRequest, "cannot store the part")
            .why(format!("it comes with a {}, its upload has {} checksums", other.name(), chosen.name()))
            .mend("give the checksum that the upload was begun with")),
    }
}

impl Store {
    /// Begins an upload. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`], [`Kind::InvalidRequest`] for a checksum that cannot be of that type (SUM-9).
    pub fn create_upload(&self, bucket: &str, key: &ObjectKey, options: &UploadOptions) -> Result<UploadId> {
        let checksum = options.checksum.map(|(algorithm, kind)| (algorithm, kind.unwrap_or(algorithm.usual_type())));
        if let Some((algorithm, kind)) = checksum.filter(|(algorithm, kind)| !algorithm.allows(*kind)) {
            return Err(Error::new(Kind::InvalidRequest, "cannot begin the upload").why(format!(
                "{} checksums of uploads are not of the type {} (SUM-9)",
                algorithm.name(),
                kind.name()
            )));
        }
        let (id, seq, now) = (UploadId(self.ids.take()), Seq(self.ids.take()), self.now());
        self.transact_durably(|tx| {
            let bucket = need_bucket(tx, bucket)?;
            self.check_lock(&bucket, options.lock)?;
            let record = UploadRecord {
                bucket: bucket.id,
                key: key.as_str().to_owned(),
                initiated: now,
                seq,
                metadata: options.metadata.clone(),
                tags: options.tags.clone(),
                class: options.class,
                checksum,
                lock: options.lock,
            };
            tx.put(Family::Upload, &id_key(id.0), &record);
            tx.put(Family::UploadName, &upload_name_key(bucket.id, key.as_str(), id), &1u64);
            count_usage(tx, bucket.id, Usage { uploads: 1, ..Usage::default() })?;
            Ok(id)
        })
    }

    /// An upload of that bucket and key.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`]; [`Kind::NoSuchUpload`] when there is none, also when the id is of another key.
    pub fn find_upload(&self, bucket: &str, key: &ObjectKey, upload: UploadId) -> Result<Upload> {
        self.index.at_once(|view| {
            let bucket = need_bucket(view, bucket)?;
            let record = need_upload(view, upload)?;
            if record.bucket != bucket.id || record.key != key.as_str() {
                return Err(no_upload(upload));
            }
            Ok(Upload::of(upload, record))
        })
    }

    /// Stores a part, replacing one of the same number (MPU-3). Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for a number outside 1 to 10,000, [`Kind::NoSuchUpload`], [`Kind::InvalidRequest`] for another
    /// checksum than the upload's, else as [`Store::put`].
    pub fn put_part(
        self: &Arc<Self>,
        upload: UploadId,
        number: u32,
        body: &mut dyn std::io::Read,
        promise: &Promise,
    ) -> Result<PartInfo> {
        check_number(number)?;
        let record = need_upload(&self.index, upload)?;
        let promise = promise_of(&record, promise)?;
        let mut draft = self.draft(None)?;
        draft.has_class(record.class);
        let mut body = Promised::new(body, &promise)?;
        let replaces = self.index.record::<PartRecord>(Family::Part, &part_key(upload, number))?;
        draft.counts_in(record.bucket, replaces.map_or(0, |part| part.size));
        draft.expect(promise.length.unwrap_or(0))?;
        draft.fill(&mut body)?;
        let sent = body.kept()?;
        self.store_part(upload, number, draft, Some(ETag { digest: sent.md5, parts: 0 }), sent.sum)
    }

    /// Stores a stretch of a version's bytes as a part; all of them without a range (MPU-15). No data moves, so the part's tag is
    /// opaque; it is read when the upload has checksums. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::InvalidRange`] for one that is empty or not within the version, [`Kind::NoSuchVersion`] when that was purged
    /// meanwhile, else as [`Store::put_part`].
    pub fn copy_part(
        self: &Arc<Self>,
        upload: UploadId,
        number: u32,
        from: &Object,
        range: Option<Range<u64>>,
    ) -> Result<PartInfo> {
        check_number(number)?;
        let record = need_upload(&self.index, upload)?;
        let Range { start, end } = match range {
            Some(range) if range.start < range.end && range.end <= from.size => range,
            None => 0..from.size,
            Some(Range { start, end }) => {
                return Err(Error::new(Kind::InvalidRange, "cannot copy the part")
                    .why(format!("the source has {} bytes, {start} to {end} were asked for (MPU-15)", from.size)));
            }
        };
        check_length(end - start)?;
        let content = Arc::new(self.open_content(from)?);
        let sum = match record.checksum {
            Some((algorithm, _)) => {
                Some(sum_of(algorithm, start..end, &mut |at, buf| Content::read_at(&content, at, buf))?)
            }
            None => None,
        };
        let mut draft = self.draft(None)?;
        draft.has_class(record.class);
        draft.copy_from(0, &content, start, end - start)?;
        self.store_part(upload, number, draft, None, sum)
    }

    fn store_part(
        self: &Arc<Self>,
        upload: UploadId,
        number: u32,
        mut draft: Draft,
        etag: Option<ETag>,
        sum: Option<Sum>,
    ) -> Result<PartInfo> {
        let mut prepared = self.prepare(&mut draft)?;
        prepared.keep(&mut draft, ObjectSums { sum: sum.map(ObjectSum::whole), ..ObjectSums::default() });
        draft.is_committed();
        let now = self.now();
        let (part, commit) = self.transact_seq(|tx| {
            let record = need_upload(tx, upload)?;
            prepared.commit(tx)?;
            let key = part_key(upload, number);
            if let Some(old) = tx.record::<PartRecord>(Family::Part, &key)? {
                drop_content(tx, old.content)?;
                count_usage(tx, record.bucket, part_usage(old.size, -1))?;
            }
            let digest = self.opaque.seal(u64::MAX, prepared.id.0);
            let etag = etag.unwrap_or(ETag { digest, parts: 0 });
            let part = PartRecord { content: prepared.id, size: prepared.record.size, etag, modified: now };
            tx.put(Family::Part, &key, &part);
            count_usage(tx, record.bucket, part_usage(part.size, 1))?;
            Ok(part)
        })?;
        drop(prepared);
        draft.published(part.content);
        self.wait_durable(commit)?;
        Ok(PartInfo::of(number, &part, sum))
    }

    /// An upload of a bucket.
    ///
    /// # Errors
    /// [`Kind::NoSuchUpload`] when it has none of that number.
    pub fn upload(&self, bucket: BucketId, upload: UploadId) -> Result<Upload> {
        let record = need_upload(&self.index, upload)?;
        if record.bucket == bucket { Ok(Upload::of(upload, record)) } else { Err(no_upload(upload)) }
    }

    /// Ends an upload without an object; its space comes back (MPU-10).
    ///
    /// # Errors
    /// [`Kind::NoSuchUpload`].
    pub fn abort_upload(&self, upload: UploadId) -> Result<()> {
        self.transact_durably(|tx| {
            let record = need_upload(tx, upload)?;
            self.drop_upload(tx, upload, &record)
        })
    }

    /// Ends all uploads of a bucket that goes.
    pub(super) fn drop_uploads_of(&self, tx: &mut Tx<'_>, bucket: BucketId) -> Result<()> {
        let mut uploads = Vec::new();
        if pages::are_named(tx)? {
            for found in tx.scan(Family::UploadName, &id_key(bucket.0), &upload_names_end(bucket))? {
                uploads.extend(upload_name_parts(&found?.0).map(|(_, upload)| upload));
            }
        } else {
            for found in tx.scan(Family::Upload, &[], &[0xff; 9])? {
                let (key, value) = found?;
                // One that cannot be read is told of where it is looked for.
                let its = decode::<UploadRecord>(&value).is_ok_and(|record| record.bucket == bucket);
                uploads.extend(id_of(&key).filter(|_| its).map(UploadId));
            }
        }
        for upload in uploads {
            let record = tx.record::<UploadRecord>(Family::Upload, &id_key(upload.0))?;
            if let Some(record) = record.filter(|record| record.bucket == bucket) {
                self.drop_upload(tx, upload, &record)?;
            }
        }
        Ok(())
    }

    pub(super) fn drop_upload(&self, tx: &mut Tx<'_>, upload: UploadId, record: &UploadRecord) -> Result<()> {
        let bucket = record.bucket;
        for (number, part) in parts_of(tx, upload)? {
            drop_content(tx, part.content)?;
            count_usage(tx, bucket, part_usage(part.size, -1))?;
            tx.delete(Family::Part, &part_key(upload, number));
        }
        tx.delete(Family::Upload, &id_key(upload.0));
        tx.delete(Family::UploadName, &upload_name_key(bucket, &record.key, upload));
        count_usage(tx, bucket, Usage { uploads: -1, ..Usage::default() })
    }
}
