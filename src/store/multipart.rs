//! Multipart uploads: parts are contents in the log, completing is a change of the index alone (MPU).

use super::Store;
use super::bucket::{add_usage, need_bucket};
use super::draft::Draft;
use super::origin::whole_key;
use super::put::{Condition, PutOptions};
use super::stack::drop_content;
use crate::index::{Family, PartRecord, Read, UploadRecord, decode, id_key, id_of, part_key, part_number_of};
use crate::model::{
    BucketId, ETag, Error, Kind, Metadata, Object, ObjectKey, Result, Seq, StorageClass, TagSet, Timestamp, UploadId,
    Usage,
};
use std::sync::Arc;

/// Part numbers run from 1 to this (MPU-1).
pub const PART_NUMBER_MAX: u32 = 10_000;
/// Smallest part that is not the last (MPU-2), in bytes.
pub const PART_BYTES_MIN: u64 = 5 << 20;

/// An upload in progress.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// The key it will make.
    pub key: String,
    /// When it was initiated.
    pub initiated: Timestamp,
}

/// A page of uploads.
pub type UploadPage = Vec<Upload>;

/// A part of an upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartInfo {
    /// Its number.
    pub number: u32,
    /// Length in bytes.
    pub size: u64,
    /// Its tag.
    pub etag: ETag,
    /// When it was uploaded.
    pub modified: Timestamp,
}

/// A part as Complete names it (MPU-4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompletePart {
    /// Its number.
    pub number: u32,
    /// Its tag.
    pub etag: ETag,
}

fn need_upload(read: &impl Read, id: UploadId) -> Result<UploadRecord> {
    read.record(Family::Upload, &id_key(id.0))?.ok_or_else(|| {
        Error::new(Kind::NoSuchUpload, format!("cannot find the upload {id}"))
            .why("it was completed or aborted, or never existed")
            .mend("start a new upload")
    })
}

fn parts_of(read: &impl Read, id: UploadId) -> Result<Vec<(u32, PartRecord)>> {
    let mut out = Vec::new();
    for found in read.scan(Family::Part, &part_key(id, 0), &part_key(id, u32::MAX))? {
        let (key, value) = found?;
        if let Some(number) = part_number_of(&key) {
            out.push((number, decode(&value)?));
        }
    }
    Ok(out)
}

fn part_usage(size: u64, sign: i64) -> Usage {
    Usage { upload_bytes: sign * i64::try_from(size).unwrap_or(i64::MAX), ..Usage::default() }
}

impl Store {
    /// Begins an upload. What it is begun with becomes the object's (MPU-6).
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn create_upload(
        &self,
        bucket: &str,
        key: &ObjectKey,
        metadata: &Metadata,
        tags: &TagSet,
        class: StorageClass,
    ) -> Result<UploadId> {
        let (id, seq, now) = (UploadId(self.ids.take()), Seq(self.ids.take()), self.now());
        self.transact_durably(|tx| {
            let bucket = need_bucket(tx, bucket)?;
            let record = UploadRecord {
                bucket: bucket.id,
                key: key.as_str().to_owned(),
                initiated: now,
                seq,
                metadata: metadata.clone(),
                tags: tags.clone(),
                class,
            };
            tx.put(Family::Upload, &id_key(id.0), &record);
            add_usage(tx, bucket.id, Usage { uploads: 1, ..Usage::default() })?;
            Ok(id)
        })
    }

    /// Stores a part, replacing one of the same number (MPU-3). Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for a number outside 1 to 10,000, [`Kind::NoSuchUpload`].
    pub fn put_part(
        self: &Arc<Self>,
        upload: UploadId,
        number: u32,
        body: &mut dyn std::io::Read,
        etag: Option<ETag>,
    ) -> Result<PartInfo> {
        if !(1..=PART_NUMBER_MAX).contains(&number) {
            return Err(Error::new(Kind::InvalidArgument, format!("cannot store the part {number}"))
                .why(format!("part numbers run from 1 to {PART_NUMBER_MAX} (MPU-1)")));
        }
        need_upload(&self.index, upload)?;
        let mut draft = self.draft(None)?;
        draft.fill(body)?;
        let prepared = self.prepare(&mut draft)?;
        let now = self.now();
        let (part, commit) = self.transact_seq(|tx| {
            let record = need_upload(tx, upload)?;
            prepared.commit(tx)?;
            let key = part_key(upload, number);
            if let Some(old) = tx.record::<PartRecord>(Family::Part, &key)? {
                drop_content(tx, old.content)?;
                add_usage(tx, record.bucket, part_usage(old.size, -1))?;
            }
            let digest = self.opaque.seal(u64::MAX, prepared.id.0);
            let etag = etag.unwrap_or(ETag { digest, parts: 0 });
            let part = PartRecord { content: prepared.id, size: prepared.record.size, etag, modified: now };
            tx.put(Family::Part, &key, &part);
            add_usage(tx, record.bucket, part_usage(part.size, 1))?;
            Ok(part)
        })?;
        drop(prepared);
        draft.published(part.content);
        self.wait_durable(commit)?;
        Ok(PartInfo { number, size: part.size, etag: part.etag, modified: part.modified })
    }

    /// Parts after `after`, at most `limit` (MPU-12).
    ///
    /// # Errors
    /// [`Kind::NoSuchUpload`].
    pub fn list_parts(&self, upload: UploadId, after: u32, limit: usize) -> Result<Vec<PartInfo>> {
        let parts = self.index.at_once(|view| {
            need_upload(view, upload)?;
            parts_of(view, upload)
        })?;
        let parts = parts.into_iter().filter(|(number, _)| *number > after).take(limit);
        Ok(parts
            .map(|(number, part)| PartInfo { number, size: part.size, etag: part.etag, modified: part.modified })
            .collect())
    }

    /// A bucket's uploads by key, then by initiation (MPU-12).
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn list_uploads(&self, bucket: &str) -> Result<UploadPage> {
        let bucket = self.bucket(bucket)?;
        let mut out = Vec::new();
        for found in self.index.scan(Family::Upload, &[], &[0xff; 9])? {
            let (key, value) = found?;
            match (id_of(&key), decode::<UploadRecord>(&value)) {
                (Some(id), Ok(record)) if record.bucket == bucket.id => {
                    out.push(Upload { id: UploadId(id), key: record.key, initiated: record.initiated });
                }
                (_, Ok(_)) => {}
                (_, Err(error)) => self.spoiled((Family::Upload, &key), None, &error),
            }
        }
        out.sort_by(|a, b| a.key.cmp(&b.key).then(a.initiated.cmp(&b.initiated)).then(a.id.cmp(&b.id)));
        Ok(out)
    }

    /// Ends an upload without an object; its space comes back (MPU-10).
    ///
    /// # Errors
    /// [`Kind::NoSuchUpload`].
    pub fn abort_upload(&self, upload: UploadId) -> Result<()> {
        self.transact_durably(|tx| {
            let record = need_upload(tx, upload)?;
            self.drop_upload(tx, upload, record.bucket)
        })
    }

    fn drop_upload(&self, tx: &mut crate::index::Tx<'_>, upload: UploadId, bucket: BucketId) -> Result<()> {
        for (number, part) in parts_of(tx, upload)? {
            drop_content(tx, part.content)?;
            add_usage(tx, bucket, part_usage(part.size, -1))?;
            tx.delete(Family::Part, &part_key(upload, number));
        }
        tx.delete(Family::Upload, &id_key(upload.0));
        add_usage(tx, bucket, Usage { uploads: -1, ..Usage::default() })
    }

    /// Makes the object from the parts named, in their order; others are dropped (MPU-5). The object's place among
    /// the versions is that of its completion, its Last-Modified that of its initiation (META-14).
    ///
    /// # Errors
    /// [`Kind::InvalidPartOrder`], [`Kind::InvalidPart`], [`Kind::EntityTooSmall`] (MPU-2, MPU-4),
    /// [`Kind::InvalidArgument`] for an empty list, [`Kind::PreconditionFailed`] (COND-9).
    pub fn complete_upload(
        self: &Arc<Self>,
        bucket: &str,
        upload: UploadId,
        parts: &[CompletePart],
        condition: Condition,
        etag: Option<ETag>,
    ) -> Result<Object> {
        let (record, known) = self.index.at_once(|view| Ok((need_upload(view, upload)?, parts_of(view, upload)?)))?;
        let chosen = check_parts(parts, &known)?;
        let mut draft = self.draft(None)?;
        draft.has_key(bucket, &record.key);
        self.concatenate(&mut draft, &chosen)?;
        let prepared = self.prepare(&mut draft)?;
        let key = ObjectKey::parse(&record.key)?;
        let options = PutOptions {
            metadata: record.metadata.clone(),
            tags: record.tags.clone(),
            class: record.class,
            posix: None,
            condition,
            etag: None,
        };
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let ((object, overtaken), commit) = self.transact_seq(|tx| {
            let (now, seq) = self.stamp();
            let bucket = need_bucket(tx, bucket)?;
            let record = need_upload(tx, upload)?;
            if record.bucket != bucket.id {
                return Err(Error::new(Kind::NoSuchUpload, format!("cannot find the upload {upload}"))
                    .why(format!("the bucket {} has none of that id", bucket.name)));
            }
            if parts_of(tx, upload)? != known {
                return Err(Error::new(Kind::Conflict, "cannot complete the upload")
                    .why("a part was replaced at this moment")
                    .mend("complete it again"));
            }
            prepared.commit(tx)?;
            self.drop_upload(tx, upload, record.bucket)?;
            let event = "ObjectCreated:CompleteMultipartUpload";
            let fill = |object: &mut Object| {
                prepared.describe(self, object);
                object.etag =
                    etag.unwrap_or(ETag { digest: self.opaque.seal(u64::MAX, object.content.0), parts: count });
                object.modified = record.initiated;
            };
            let (object, replaced) = self.install(tx, &bucket, &key, (seq, now), &options, event, fill)?;
            Ok((object, replaced.filter(|replaced| prepared.is_overtaken(*replaced)).map(|_| seq)))
        })?;
        drop(prepared);
        draft.published(object.content);
        if let Some(seq) = overtaken {
            self.note_place(commit, &object, seq, Some(whole_key(bucket, key.as_str())));
        }
        self.wait_durable(commit)?;
        Ok(object)
    }

    /// Lays parts one behind the other; their bytes are shared, not copied.
    fn concatenate(self: &Arc<Self>, draft: &mut Draft, parts: &[PartRecord]) -> Result<()> {
        for part in parts {
            let content = Arc::new(self.content(part.content)?);
            draft.copy_from(draft.size(), &content, 0, part.size)?;
        }
        Ok(())
    }
}

/// The parts Complete names, checked against those uploaded.
fn check_parts(parts: &[CompletePart], known: &[(u32, PartRecord)]) -> Result<Vec<PartRecord>> {
    let fail = |kind, why: String| Err(Error::new(kind, "cannot complete the upload").why(why));
    if parts.is_empty() {
        return fail(Kind::InvalidArgument, "no part is named".into());
    }
    if parts.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return fail(Kind::InvalidPartOrder, "part numbers do not ascend".into());
    }
    let mut chosen = Vec::with_capacity(parts.len());
    for part in parts {
        let found = known.binary_search_by_key(&part.number, |(number, _)| *number).ok().map(|at| known[at].1);
        match found {
            Some(record) if record.etag == part.etag => chosen.push(record),
            _ => return fail(Kind::InvalidPart, format!("part {} was not uploaded with that tag", part.number)),
        }
    }
    for (part, record) in parts.iter().zip(&chosen).take(parts.len() - 1) {
        if record.size < PART_BYTES_MIN {
            let (number, size) = (part.number, record.size);
            let why = format!("part {number} has {size} bytes, only the last may have under {PART_BYTES_MIN}");
            return fail(Kind::EntityTooSmall, why);
        }
    }
    Ok(chosen)
}
