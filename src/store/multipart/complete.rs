//! Completing an upload: its parts, laid one behind the other, become an object (MPU-4 to MPU-9).

use super::{PART_BYTES_MIN, need_upload, no_upload, parts_of, sum_of_part};
use crate::crypto::{Summer, combine, md5};
use crate::index::{PartRecord, UploadRecord};
use crate::model::{
    ChecksumAlgorithm, ChecksumType, ETag, Error, Kind, MadeBy, Object, ObjectKey, ObjectPart, ObjectSum, ObjectSums,
    Posix, Result, Sum, UploadId,
};
use crate::store::Store;
use crate::store::bucket::need_bucket;
use crate::store::content::again;
use crate::store::draft::Draft;
use crate::store::list::{ListVersions, VersionEntry};
use crate::store::promise::{Promise, bad_digest};
use crate::store::put::{Condition, PutOptions};
use crate::store::sums::sum_of;
use crate::sys::sync::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Uploads whose completion is remembered.
const REMEMBERED: usize = 1024;
/// Newest versions of a key among which an upload that nobody remembers is looked for.
const LOOKED_AT: usize = 100;

/// A part as Complete names it (MPU-4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompletePart {
    /// Its number.
    pub number: u32,
    /// Its tag.
    pub etag: ETag,
    /// Its checksum.
    pub sum: Option<Sum>,
}

/// What Complete says beside the parts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CompleteOptions {
    /// Condition on the current version (COND-9).
    pub condition: Condition,
    /// The object's checksum, as promised.
    pub sum: Option<ObjectSum>,
    /// Its type, as promised (SUM-11).
    pub kind: Option<ChecksumType>,
    /// The object's length in bytes, as promised (MPU-14).
    pub size: Option<u64>,
    /// Mode, owner and times; those of the file that is replaced, else 0644 of root, when absent.
    pub posix: Option<Posix>,
}

/// Uploads that were completed of late, whose completion may be asked for again (MPU-9).
#[derive(Default)]
pub(in crate::store) struct Completed(Mutex<VecDeque<Done>>);

struct Done {
    upload: UploadId,
    bucket: String,
    key: String,
    object: Object,
    commit: u64,
}

impl Completed {
    fn add(&self, done: Done) {
        let mut all = self.0.lock();
        if all.len() >= REMEMBERED {
            all.pop_front();
        }
        all.push_back(done);
    }

    /// What came of an upload that was completed of these parts, and its commit.
    fn of(&self, upload: UploadId, bucket: &str, key: Option<&str>, parts: &[CompletePart]) -> Option<(Object, u64)> {
        let all = self.0.lock();
        let its =
            |done: &&Done| done.upload == upload && done.bucket == bucket && key.is_none_or(|key| done.key == key);
        let done = all.iter().find(its)?;
        (done.object.etag == etag_of(parts)).then(|| (done.object.clone(), done.commit))
    }
}

/// A part that was chosen, with the checksum kept of it.
struct Chosen {
    number: u32,
    record: PartRecord,
    sum: Option<Sum>,
}

/// The tag of an object of these parts (SUM-3).
fn etag_of(parts: &[CompletePart]) -> ETag {
    let digests: Vec<u8> = parts.iter().flat_map(|part| part.etag.digest).collect();
    ETag { digest: md5(&digests), parts: u32::try_from(parts.len()).unwrap_or(u32::MAX) }
}

impl Store {
    /// Makes the object from the parts named, in their order; others are dropped (MPU-5). The object's place among
    /// the versions is that of its completion, its Last-Modified that of its initiation (META-14). Asked for again with the same
    /// parts, it answers the same (MPU-9), as [`Store::completed_upload`] does. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchUpload`], [`Kind::InvalidPartOrder`], [`Kind::InvalidPart`], [`Kind::EntityTooSmall`] (MPU-2, MPU-4),
    /// [`Kind::InvalidArgument`] for an empty list, [`Kind::InvalidRequest`] for what does not go with the upload or its length
    /// (SUM-9, SUM-10, MPU-14), [`Kind::BadDigest`] for another checksum (SUM-11), [`Kind::PreconditionFailed`] (COND-9).
    pub fn complete_upload(
        self: &Arc<Self>,
        bucket: &str,
        upload: UploadId,
        parts: &[CompletePart],
        options: &CompleteOptions,
    ) -> Result<Object> {
        // Parts that come at this moment are no reason to refuse, unless the one that was named is replaced by another.
        let came_between = |error: &Error| matches!(error.kind(), Kind::Conflict | Kind::NoSuchVersion);
        match again(|| self.complete_now(bucket, upload, parts, options), came_between) {
            Err(error) if error.kind() == Kind::NoSuchUpload => {
                self.answered(self.completed.of(upload, bucket, None, parts)).unwrap_or(Err(error))
            }
            done => done,
        }
    }

    /// The object that an upload of that key became when it was completed of these parts (MPU-9): it is remembered of the last
    /// 1,024 since the store was opened, of others while it is among the key's newest 100 versions.
    ///
    /// # Errors
    /// [`Kind::NoSuchUpload`] when none did, or nobody remembers it.
    pub fn completed_upload(
        &self,
        bucket: &str,
        key: &ObjectKey,
        upload: UploadId,
        parts: &[CompletePart],
    ) -> Result<Object> {
        let done = self.completed.of(upload, bucket, Some(key.as_str()), parts);
        match self.answered(done) {
            Some(answered) => answered,
            None => self.version_made_by(bucket, key, upload, parts)?.ok_or_else(|| no_upload(upload)),
        }
    }

    /// The version that says it was made by that upload.
    fn version_made_by(
        &self,
        bucket: &str,
        key: &ObjectKey,
        upload: UploadId,
        parts: &[CompletePart],
    ) -> Result<Option<Object>> {
        let request = ListVersions { prefix: key.as_str().to_owned(), limit: LOOKED_AT, ..ListVersions::default() };
        let tag = etag_of(parts);
        for VersionEntry { key: of, object, .. } in self.list_versions(bucket, &request)?.versions {
            if of != key.as_str() {
                break;
            }
            // A copy shares the bytes and what is kept of them.
            let made_by = Some(MadeBy { upload, begun: object.modified });
            if object.etag == tag && self.sums(&object)?.made_by == made_by {
                self.sync()?;
                return Ok(Some(object));
            }
        }
        Ok(None)
    }

    /// The same answer as before, when that is durable.
    fn answered(&self, done: Option<(Object, u64)>) -> Option<Result<Object>> {
        done.map(|(object, commit)| self.wait_durable(commit).map(|()| object))
    }

    fn complete_now(
        self: &Arc<Self>,
        bucket: &str,
        upload: UploadId,
        parts: &[CompletePart],
        options: &CompleteOptions,
    ) -> Result<Object> {
        let (record, chosen) = self.index.at_once(|view| {
            let record = need_upload(view, upload)?;
            let found = check_parts(parts, &parts_of(view, upload)?)?;
            let with_sum = |(number, record)| Ok(Chosen { number, sum: sum_of_part(view, &record)?, record });
            Ok((record, found.into_iter().map(with_sum).collect::<Result<Vec<_>>>()?))
        })?;
        let made_by = Some(MadeBy { upload, begun: record.initiated });
        let sums = ObjectSums { made_by, ..check_sums(parts, &chosen, &record, options)? };
        let mut draft = self.draft(None)?;
        draft.has_key(bucket, &record.key);
        draft.has_class(record.class);
        // Its bytes count already, as those of the parts.
        draft.counts_in(record.bucket, u64::MAX);
        self.concatenate(&mut draft, &chosen)?;
        if let Some(promised) = options.sum.filter(|_| record.checksum.is_none()) {
            check_promised(promised, whole_sum(&draft)?)?;
        }
        let mut prepared = self.prepare(&mut draft)?;
        prepared.keep(&mut draft, sums);
        let key = ObjectKey::parse(&record.key)?;
        let put = PutOptions {
            metadata: record.metadata.clone(),
            tags: record.tags.clone(),
            class: record.class,
            posix: options.posix.clone(),
            condition: options.condition,
            promise: Promise::default(),
            lock: record.lock,
        };
        let ((object, overtaken), commit) = self.transact_seq(|tx| {
            let (now, seq) = self.stamp();
            let bucket = need_bucket(tx, bucket)?;
            let record = need_upload(tx, upload)?;
            if record.bucket != bucket.id {
                return Err(no_upload(upload));
            }
            let found = check_parts(parts, &parts_of(tx, upload)?)?;
            if found.iter().zip(&chosen).any(|((_, found), chosen)| *found != chosen.record) {
                return Err(Error::new(Kind::Conflict, "cannot complete the upload")
                    .why("a part was replaced at this moment")
                    .mend("complete it again"));
            }
            prepared.commit(tx)?;
            self.drop_upload(tx, upload, &record)?;
            let event = "ObjectCreated:CompleteMultipartUpload";
            let fill = |object: &mut Object| {
                prepared.describe(self, object);
                object.etag = etag_of(parts);
                object.modified = record.initiated;
            };
            let (object, replaced) = self.install(tx, &bucket, &key, (seq, now), &put, event, fill)?;
            self.quotas.judge(tx)?;
            // Whoever finds the upload gone finds this.
            let (name, key) = (bucket.name.to_string(), key.as_str().to_owned());
            self.completed.add(Done { upload, bucket: name, key, object: object.clone(), commit: tx.seq() });
            Ok((object, replaced.filter(|replaced| prepared.is_overtaken(*replaced)).map(|_| seq)))
        })?;
        drop(prepared);
        self.put_done(draft, object, (commit, overtaken), (bucket, &key))
    }

    /// Lays parts one behind the other; their bytes are shared, not copied.
    fn concatenate(self: &Arc<Self>, draft: &mut Draft, parts: &[Chosen]) -> Result<()> {
        for Chosen { record, .. } in parts {
            let content = Arc::new(self.content(record.content)?);
            draft.copy_from(draft.size(), &content, 0, record.size)?;
        }
        Ok(())
    }
}

/// The crc64nvme of what was put together, which is read when the parts do not tell (SUM-8).
fn whole_sum(draft: &Draft) -> Result<Sum> {
    match draft.crc64() {
        Some(value) => Ok(Sum::Crc64Nvme(value.to_be_bytes())),
        None => sum_of(ChecksumAlgorithm::Crc64Nvme, 0..draft.size(), &mut |at, buf| draft.read_at(at, buf)),
    }
}

fn refused<T>(kind: Kind, why: impl Into<String>) -> Result<T> {
    Err(Error::new(kind, "cannot complete the upload").why(why.into()))
}

/// The parts Complete names, checked against those uploaded.
fn check_parts(parts: &[CompletePart], known: &[(u32, PartRecord)]) -> Result<Vec<(u32, PartRecord)>> {
    if parts.is_empty() {
        return refused(Kind::InvalidArgument, "no part is named");
    }
    if parts.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return refused(Kind::InvalidPartOrder, "part numbers do not ascend");
    }
    let mut chosen = Vec::with_capacity(parts.len());
    for part in parts {
        let found = known.binary_search_by_key(&part.number, |(number, _)| *number).ok().map(|at| known[at]);
        match found {
            Some((number, record)) if record.etag == part.etag => chosen.push((number, record)),
            _ => return refused(Kind::InvalidPart, format!("part {} was not uploaded with that tag", part.number)),
        }
    }
    for (number, record) in chosen.iter().take(parts.len() - 1) {
        if record.size < PART_BYTES_MIN {
            let size = record.size;
            let why = format!("part {number} has {size} bytes, only the last may have under {PART_BYTES_MIN}");
            return refused(Kind::EntityTooSmall, why);
        }
    }
    Ok(chosen)
}

/// What is kept of the object, checked against what Complete says of it and of its parts.
fn check_sums(
    parts: &[CompletePart],
    chosen: &[Chosen],
    upload: &UploadRecord,
    options: &CompleteOptions,
) -> Result<ObjectSums> {
    for (part, Chosen { number, sum, .. }) in parts.iter().zip(chosen) {
        if part.sum.is_some_and(|said| *sum != Some(said)) {
            return refused(Kind::InvalidPart, format!("part {number} was not uploaded with that checksum"));
        }
    }
    let size: u64 = chosen.iter().map(|part| part.record.size).sum();
    if let Some(said) = options.size.filter(|said| *said != size) {
        return refused(Kind::InvalidRequest, format!("its parts have {size} bytes, not {said} (MPU-14)"));
    }
    let kind = upload.checksum.map_or(ChecksumType::FullObject, |(_, kind)| kind);
    if let Some(said) = options.kind.filter(|said| *said != kind) {
        let why = format!("the upload has a checksum of the type {}, not {} (SUM-11)", kind.name(), said.name());
        return refused(Kind::BadDigest, why);
    }
    let sum = match upload.checksum {
        None => None,
        Some((algorithm, ChecksumType::Composite)) => Some(composite(algorithm, chosen)?),
        Some((_, ChecksumType::FullObject)) => full(chosen).map(ObjectSum::whole),
    };
    match (upload.checksum, options.sum, sum) {
        (Some((algorithm, _)), Some(said), _) if said.sum.algorithm() != algorithm => {
            let why = format!("the upload has {} checksums, not {}", algorithm.name(), said.sum.algorithm().name());
            return refused(Kind::InvalidRequest, why);
        }
        (None, Some(said), _) if said.sum.algorithm() != ChecksumAlgorithm::Crc64Nvme => {
            let why = format!("it was begun without {} checksums", said.sum.algorithm().name());
            return refused(Kind::InvalidRequest, why);
        }
        (_, Some(said), Some(sum)) if said.sum != sum.sum || (said.parts != 0 && said.parts != sum.parts) => {
            return Err(bad_digest(format!("the object's checksum is {sum}, {said} was promised")));
        }
        (Some(_), Some(_), None) => {
            return refused(
                Kind::InvalidPart,
                "the checksum of a part is not known, so the object's cannot be compared",
            );
        }
        _ => {}
    }
    let parts = chosen.iter().map(|part| ObjectPart { number: part.number, size: part.record.size, sum: part.sum });
    Ok(ObjectSums { sum, parts: parts.collect(), made_by: None })
}

fn check_promised(promised: ObjectSum, sum: Sum) -> Result<()> {
    if promised == ObjectSum::whole(sum) {
        return Ok(());
    }
    Err(bad_digest(format!("the object's checksum is {sum}, {promised} was promised")))
}

/// The checksum of the parts' checksums (SUM-9), for parts without a gap (SUM-10).
fn composite(algorithm: ChecksumAlgorithm, parts: &[Chosen]) -> Result<ObjectSum> {
    if parts.iter().zip(1..).any(|(part, number)| part.number != number) {
        return refused(
            Kind::InvalidRequest,
            "with composite checksums parts are numbered from 1 on without a gap (SUM-10)",
        );
    }
    let mut summer = Summer::new(algorithm);
    for Chosen { number, sum, .. } in parts {
        let Some(sum) = sum.filter(|sum| sum.algorithm() == algorithm) else {
            return refused(Kind::InvalidPart, format!("the {} of part {number} is not known", algorithm.name()));
        };
        summer.update(sum.bytes());
    }
    Ok(ObjectSum { sum: summer.finish(), parts: u32::try_from(parts.len()).unwrap_or(u32::MAX) })
}

/// The checksum of all bytes from those of the parts; `None` when one of them is not known.
fn full(parts: &[Chosen]) -> Option<Sum> {
    let (first, rest) = parts.split_first()?;
    rest.iter().try_fold(first.sum?, |sum, part| combine(sum, part.sum?, part.record.size))
}
