//! One version of an object: what S3 says of it, without its name.

use super::{Aging, ContentId, ETag, Ino, Metadata, ObjectLock, Posix, Seq, TagSet, Timestamp, VersionId, Xattrs};
use serde::{Deserialize, Serialize};

/// S3's storage classes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum StorageClass {
    /// `STANDARD`, the default.
    #[default]
    Standard,
    /// `STANDARD_IA`
    StandardIa,
    /// `ONEZONE_IA`
    OnezoneIa,
    /// `INTELLIGENT_TIERING`
    IntelligentTiering,
    /// `GLACIER_IR`
    GlacierIr,
    /// `GLACIER`
    Glacier,
    /// `DEEP_ARCHIVE`
    DeepArchive,
}

impl StorageClass {
    /// Every class.
    pub const ALL: &'static [Self] = &[
        Self::Standard,
        Self::StandardIa,
        Self::OnezoneIa,
        Self::IntelligentTiering,
        Self::GlacierIr,
        Self::Glacier,
        Self::DeepArchive,
    ];

    /// The class that S3 calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.name() == name)
    }

    /// S3's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::StandardIa => "STANDARD_IA",
            Self::OnezoneIa => "ONEZONE_IA",
            Self::IntelligentTiering => "INTELLIGENT_TIERING",
            Self::GlacierIr => "GLACIER_IR",
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
        }
    }
}

/// A whole object's crc64nvme (SUM-8); `None` until somebody asks when an edit in the middle made it stale.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checksum(pub Option<u64>);

/// One version of an object, or a delete marker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Object {
    /// Its name among the versions of its key.
    pub version: VersionId,
    /// Its place in the stack: higher is newer.
    pub seq: Seq,
    /// Inode number it had as the current version.
    pub ino: Ino,
    /// Whether it is a delete marker: no data, no tags (VER-11).
    pub marker: bool,
    /// S3's Last-Modified.
    pub modified: Timestamp,
    /// When it became the current version; differs from `modified` for multipart uploads (META-14).
    pub since: Timestamp,
    /// When a newer version took its place; `None` while it is current. Time travel reads it.
    pub superseded: Option<Timestamp>,
    /// Length in bytes.
    pub size: u64,
    /// Bytes it takes in the store, holes left out.
    pub stored: u64,
    /// Entity tag; changes with the content only (SUM-4).
    pub etag: ETag,
    /// Checksum of the whole content.
    pub crc64: Checksum,
    /// Storage class.
    pub class: StorageClass,
    /// The bytes.
    pub content: ContentId,
    /// Mode, owner, times, symlink target.
    pub posix: Posix,
    /// System headers and user metadata.
    pub metadata: Metadata,
    /// Tags.
    pub tags: TagSet,
    /// Foreign xattrs.
    pub xattrs: Xattrs,
    /// What time has done to it.
    pub aging: Aging,
    /// What protects it; a delete marker is never protected (LOCK-14).
    pub lock: ObjectLock,
}

impl Object {
    /// An object without bytes, made at `now`.
    #[must_use]
    pub fn empty(ino: Ino, seq: Seq, version: VersionId, posix: &Posix, now: Timestamp) -> Self {
        Self {
            version,
            seq,
            ino,
            marker: false,
            modified: now,
            since: now,
            superseded: None,
            size: 0,
            stored: 0,
            etag: ETag::EMPTY,
            crc64: Checksum(Some(0)),
            class: StorageClass::Standard,
            content: ContentId::EMPTY,
            posix: posix.clone(),
            metadata: Metadata::default(),
            tags: TagSet::new(),
            xattrs: Xattrs::default(),
            aging: Aging::default(),
            lock: ObjectLock::NONE,
        }
    }
}
