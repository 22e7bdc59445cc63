//! Records as they were before: what an older release wrote, lifted when it is read.

use super::records::{DentRecord, DirRecord, InodeRecord, UploadRecord, VerRecord};
use crate::model::{
    Aging, Bucket, BucketId, BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ContentId, DirId, ETag, Ino,
    Metadata, Object, ObjectLock, ObjectPart, ObjectSum, ObjectSums, Posix, Seq, StorageClass, TagSet, Timestamp,
    VersionId, Versioning, Xattrs,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// [`crate::model::Ledger`] before classes were counted.
pub(super) use crate::model::Usage as UsageV1;

/// [`Object`] before object lock.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct ObjectV1 {
    version: VersionId,
    seq: Seq,
    ino: Ino,
    marker: bool,
    modified: Timestamp,
    since: Timestamp,
    superseded: Option<Timestamp>,
    size: u64,
    stored: u64,
    etag: ETag,
    crc64: Checksum,
    class: StorageClass,
    content: ContentId,
    posix: Posix,
    metadata: Metadata,
    tags: TagSet,
    xattrs: Xattrs,
}

impl From<ObjectV1> for Object {
    fn from(old: ObjectV1) -> Self {
        Self {
            version: old.version,
            seq: old.seq,
            ino: old.ino,
            marker: old.marker,
            modified: old.modified,
            since: old.since,
            superseded: old.superseded,
            size: old.size,
            stored: old.stored,
            etag: old.etag,
            crc64: old.crc64,
            class: old.class,
            content: old.content,
            posix: old.posix,
            metadata: old.metadata,
            tags: old.tags,
            xattrs: old.xattrs,
            aging: Aging::default(),
            lock: ObjectLock::NONE,
        }
    }
}

/// [`DentRecord`] in its first version.
#[expect(clippy::large_enum_variant, reason = "nearly every value is an object")]
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) enum DentRecordV1 {
    Object { object: ObjectV1, draft: bool },
    Dir(DirId),
    Link(Ino),
}

impl From<DentRecordV1> for DentRecord {
    fn from(old: DentRecordV1) -> Self {
        match old {
            DentRecordV1::Object { object, draft } => Self::Object { object: object.into(), draft },
            DentRecordV1::Dir(dir) => Self::Dir(dir),
            DentRecordV1::Link(ino) => Self::Link(ino),
        }
    }
}

/// [`VerRecord`] in its first version.
#[expect(clippy::large_enum_variant, reason = "nearly every value is an object")]
#[derive(Deserialize)]
pub(super) enum VerRecordV1 {
    Object(ObjectV1),
    Ghost { dir: DirId, died: Timestamp },
}

impl From<VerRecordV1> for VerRecord {
    fn from(old: VerRecordV1) -> Self {
        match old {
            VerRecordV1::Object(object) => Self::Object(object.into()),
            VerRecordV1::Ghost { dir, died } => Self::Ghost { dir, died },
        }
    }
}

/// [`DirRecord`] in its first version.
#[derive(Deserialize)]
pub(super) struct DirRecordV1 {
    parent: DirId,
    name: String,
    bucket: BucketId,
    alive: bool,
    posix: Posix,
    marker: Option<ObjectV1>,
    xattrs: Xattrs,
}

impl From<DirRecordV1> for DirRecord {
    fn from(old: DirRecordV1) -> Self {
        let DirRecordV1 { parent, name, bucket, alive, posix, marker, xattrs } = old;
        Self { parent, name, bucket, alive, posix, marker: marker.map(Object::from), xattrs, class: None }
    }
}

/// [`InodeRecord`] in its first version.
#[derive(Deserialize)]
pub(super) struct InodeRecordV1 {
    object: ObjectV1,
    draft: bool,
    names: Vec<(DirId, String)>,
}

impl From<InodeRecordV1> for InodeRecord {
    fn from(old: InodeRecordV1) -> Self {
        Self { object: old.object.into(), draft: old.draft, names: old.names }
    }
}

/// [`Bucket`] before quotas and object lock.
#[derive(Deserialize)]
pub(super) struct BucketV1 {
    id: BucketId,
    name: BucketName,
    root: DirId,
    created: Timestamp,
    versioning: Versioning,
    documents: BTreeMap<String, String>,
}

impl From<BucketV1> for Bucket {
    fn from(old: BucketV1) -> Self {
        let BucketV1 { id, name, root, created, versioning, documents } = old;
        Self { id, name, root, created, versioning, documents, quota: None, lock: None, mfa_delete: None }
    }
}

/// [`UploadRecord`] in its first version.
#[derive(Deserialize)]
pub(super) struct UploadRecordV1 {
    bucket: BucketId,
    key: String,
    initiated: Timestamp,
    seq: Seq,
    metadata: Metadata,
    tags: TagSet,
    class: StorageClass,
}

impl From<UploadRecordV1> for UploadRecord {
    fn from(old: UploadRecordV1) -> Self {
        let UploadRecordV1 { bucket, key, initiated, seq, metadata, tags, class } = old;
        UploadRecordV2 { bucket, key, initiated, seq, metadata, tags, class, checksum: None }.into()
    }
}

/// [`UploadRecord`] before object lock.
#[derive(Deserialize)]
pub(super) struct UploadRecordV2 {
    bucket: BucketId,
    key: String,
    initiated: Timestamp,
    seq: Seq,
    metadata: Metadata,
    tags: TagSet,
    class: StorageClass,
    checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

impl From<UploadRecordV2> for UploadRecord {
    fn from(old: UploadRecordV2) -> Self {
        let UploadRecordV2 { bucket, key, initiated, seq, metadata, tags, class, checksum } = old;
        Self { bucket, key, initiated, seq, metadata, tags, class, checksum, lock: ObjectLock::NONE }
    }
}

/// [`ObjectSums`] in its first version.
#[derive(Deserialize)]
pub(super) struct ObjectSumsV1 {
    sum: Option<ObjectSum>,
    parts: Vec<ObjectPart>,
}

impl From<ObjectSumsV1> for ObjectSums {
    fn from(old: ObjectSumsV1) -> Self {
        Self { sum: old.sum, parts: old.parts, made_by: None }
    }
}

#[cfg(test)]
mod tests {
    use super::{DentRecordV1, ObjectV1};
    use crate::index::{DentRecord, decode};
    use crate::model::{FileKind, Ino, Object, Posix, Seq, Timestamp, VersionId};

    #[test]
    fn an_object_from_before_object_lock_is_not_protected() {
        let now = Timestamp::new(1_000, 5);
        let posix = Posix::new(FileKind::File, 0o640, 7, 8, now);
        let new = Object { size: 9, ..Object::empty(Ino(3), Seq(4), VersionId::Null, &posix, now) };
        let object = ObjectV1 {
            version: new.version,
            seq: new.seq,
            ino: new.ino,
            marker: new.marker,
            modified: new.modified,
            since: new.since,
            superseded: new.superseded,
            size: new.size,
            stored: new.stored,
            etag: new.etag,
            crc64: new.crc64,
            class: new.class,
            content: new.content,
            posix: new.posix.clone(),
            metadata: new.metadata.clone(),
            tags: new.tags.clone(),
            xattrs: new.xattrs.clone(),
        };
        let old = postcard::to_extend(&DentRecordV1::Object { object, draft: false }, vec![1]).unwrap();
        let lifted: DentRecord = decode(&old).unwrap();
        assert_eq!(lifted, DentRecord::Object { object: new, draft: false });
        assert!(decode::<DentRecord>(&[&[9], &old[1..]].concat()).is_err(), "a version that is not known");
    }
}
