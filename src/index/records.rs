//! The records of each family.

use super::codec::{Record, fields, unknown_version};
use super::earlier;
use super::keys::is_component;
use super::weight::DirSum;
use crate::model::{
    AccessKey, Bucket, BucketId, BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ContentId, DirId, ETag, Ino,
    Ledger, Metadata, Meter, MfaDevice, Object, ObjectLock, ObjectSums, Posix, Result, StorageClass, TagSet, Timestamp,
    User, VersionId, Versioning,
};
use serde::{Deserialize, Serialize};

/// What a live name stands for.
#[expect(clippy::large_enum_variant, reason = "nearly every value is an object")]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DentRecord {
    /// An object's current version.
    Object {
        /// The version.
        object: Object,
        /// Made by `open(O_CREAT)` and not published yet: S3 does not see it.
        draft: bool,
    },
    /// A directory; the component ends in `/`.
    Dir(DirId),
    /// One of several names of a file.
    Link(Ino),
}

/// What stands below the current entry of a name.
#[expect(clippy::large_enum_variant, reason = "nearly every value is an object")]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum VerRecord {
    /// An older version or a delete marker.
    Object(Object),
    /// A directory that is gone and has history inside.
    Ghost {
        /// The directory.
        dir: DirId,
        /// When it went.
        died: Timestamp,
    },
}

/// A directory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirRecord {
    /// Where it lies; its own id for a bucket's root.
    pub parent: DirId,
    /// Its component there, with the trailing `/`; empty for a bucket's root.
    pub name: String,
    /// The bucket it belongs to.
    pub bucket: BucketId,
    /// Whether a live name leads to it.
    pub alive: bool,
    /// Mode, owner, birth. Its times are in [`DirStat`].
    pub posix: Posix,
    /// The `dir/` object: made by `mkdir` or by a PUT of that key. Without one the directory is implicit.
    pub marker: Option<Object>,
    /// Foreign xattrs.
    pub xattrs: crate::model::Xattrs,
    /// The class that new files in it and below get on a mount; that of the directory above when absent.
    pub class: Option<StorageClass>,
}

/// A directory's counters and times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DirStat {
    /// Live names in it, objects and directories.
    pub live: i64,
    /// Live directories in it.
    pub subdirs: i64,
    /// Last change of its list of names.
    pub mtime: Timestamp,
    /// Last change of anything about it.
    pub ctime: Timestamp,
}

/// A file with several names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InodeRecord {
    /// Its current version.
    pub object: Object,
    /// As in [`DentRecord::Object`].
    pub draft: bool,
    /// Its names.
    pub names: Vec<(DirId, String)>,
}

/// Where an extent's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Source {
    /// Nowhere: zeros.
    Hole,
    /// In a run of a segment.
    Run {
        /// The segment.
        segment: u64,
        /// The run's offset in it.
        offset: u32,
        /// The run's length in plain bytes.
        len: u32,
        /// Bytes of the run before the extent begins.
        skip: u32,
    },
    /// In a file of its own.
    Solo {
        /// The file.
        id: u64,
        /// Where in it the extent begins.
        at: u64,
    },
    /// A repair could not find them: reading is an error.
    Lost,
}

/// A stretch of a content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Extent {
    /// Length in bytes, not zero.
    pub len: u64,
    /// Its bytes.
    pub source: Source,
}

/// A node of an extent tree. Nodes are immutable and shared; offsets are implied by the lengths before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Node {
    /// Extents in order.
    Leaf(Vec<Extent>),
    /// (bytes below, child) in order.
    Inner(Vec<(u64, u64)>),
}

/// How a content is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Body {
    /// In the record.
    Inline(#[serde(with = "super::codec::whole")] Vec<u8>),
    /// A few extents.
    Extents(Vec<Extent>),
    /// Root of a tree.
    Tree(u64),
}

/// An immutable sequence of bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ContentRecord {
    /// Length in bytes.
    pub size: u64,
    /// Bytes it takes, holes left out.
    pub stored: u64,
    /// Checksum of the whole, once known.
    pub crc64: Checksum,
    /// The bytes.
    pub body: Body,
}

/// Live bytes of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SegRecord {
    /// Plain bytes of runs that some extent refers to.
    pub live_bytes: i64,
}

/// A multipart upload in progress.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UploadRecord {
    /// Its bucket.
    pub bucket: BucketId,
    /// The key it will make.
    pub key: String,
    /// When it was initiated: the object's Last-Modified (META-14).
    pub initiated: Timestamp,
    /// Its place in the stack of versions (MPU-8).
    pub seq: crate::model::Seq,
    /// From Create (MPU-6).
    pub metadata: Metadata,
    /// From Create.
    pub tags: TagSet,
    /// From Create.
    pub class: StorageClass,
    /// The checksum chosen at Create (SUM-9).
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// From Create: what protects the object; the bucket's default when nothing.
    pub lock: ObjectLock,
}

/// A part of an upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartRecord {
    /// Its bytes.
    pub content: ContentId,
    /// Length in bytes.
    pub size: u64,
    /// Its tag.
    pub etag: ETag,
    /// When it was uploaded.
    pub modified: Timestamp,
}

/// A change, as the feed tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub time: Timestamp,
    /// S3's event name without the `s3:`, such as `ObjectCreated:Put`.
    pub event: String,
    /// The bucket.
    pub bucket: BucketId,
    /// The key; a directory's ends in `/`.
    pub key: String,
    /// Where it was before, for a rename.
    pub from: Option<String>,
    /// The version.
    pub version: VersionId,
    /// Its length in bytes.
    pub size: u64,
    /// Its tag.
    pub etag: ETag,
}

/// A write session that has not ended, by its file's inode number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpenSession {
    /// A name of the file.
    pub place: (DirId, String),
    /// What is announced when it ends; `None` while nothing was published. The key is filled in then, since directories
    /// above may be renamed.
    pub change: Option<Change>,
}

/// What a bucket was used for in a month that ended, and in the one that goes on: requests.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MeterRecord {
    /// The bucket's name: it may be deleted since.
    pub name: BucketName,
    /// What it was used for.
    pub meter: Meter,
}

/// Largest length and offset: those of a file.
const BYTES_MAX: u64 = i64::MAX as u64;

/// Parts that an object is made of at most (MPU-1).
const PARTS_MAX: usize = 10_000;

/// Entries of a record at most: many times what is ever written.
const ENTRIES_MAX: usize = 1024;

fn sum_is_sane(mut lens: impl ExactSizeIterator<Item = u64>) -> bool {
    if lens.len() > ENTRIES_MAX {
        return false;
    }
    let sum = lens.try_fold(0u64, |sum, len| if len == 0 { None } else { sum.checked_add(len) });
    sum.is_some_and(|sum| sum <= BYTES_MAX)
}

fn extents_flaw(extents: &[Extent]) -> Option<&'static str> {
    let within = |extent: &Extent| match extent.source {
        Source::Hole | Source::Lost => true,
        Source::Run { len, skip, .. } => u64::from(skip).saturating_add(extent.len) <= u64::from(len),
        Source::Solo { at, .. } => at.saturating_add(extent.len) <= BYTES_MAX,
    };
    if !sum_is_sane(extents.iter().map(|extent| extent.len)) {
        return Some("the lengths of its extents cannot be");
    }
    (!extents.iter().all(within)).then_some("an extent reaches beyond its source")
}

fn node_flaw(node: &Node) -> Option<&'static str> {
    match node {
        Node::Leaf(extents) => extents_flaw(extents),
        Node::Inner(children) => {
            let sane = sum_is_sane(children.iter().map(|(len, _)| *len));
            (!sane).then_some("the lengths of its children cannot be")
        }
    }
}

fn content_flaw(content: &ContentRecord) -> Option<&'static str> {
    if content.size > BYTES_MAX || content.stored > BYTES_MAX {
        return Some("its length cannot be");
    }
    match &content.body {
        Body::Extents(extents) => extents_flaw(extents),
        Body::Inline(bytes) if bytes.len() as u64 != content.size => Some("its bytes are not as many as it says"),
        Body::Inline(_) | Body::Tree(_) => None,
    }
}

fn dir_flaw(dir: &DirRecord) -> Option<&'static str> {
    let named = dir.name.is_empty() || (is_component(&dir.name) && dir.name.ends_with('/'));
    (!named).then_some("its name is none of a directory")
}

fn inode_flaw(inode: &InodeRecord) -> Option<&'static str> {
    (!inode.names.iter().all(|(_, name)| is_component(name))).then_some("one of its names is none")
}

fn session_flaw(session: &OpenSession) -> Option<&'static str> {
    (!is_component(&session.place.1)).then_some("its name is none")
}

fn sums_flaw(sums: &ObjectSums) -> Option<&'static str> {
    let ascending = sums.parts.windows(2).all(|pair| pair[0].number < pair[1].number);
    let sizes = sums.parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.size));
    if !ascending || sums.parts.len() > PARTS_MAX {
        return Some("the numbers of its parts cannot be");
    }
    sizes.is_none_or(|sum| sum > BYTES_MAX).then_some("the sizes of its parts cannot be")
}

fn instant_flaw(instant: &Timestamp) -> Option<&'static str> {
    (!instant.is_sane()).then_some("no clock shows it")
}

fn ledger_flaw(ledger: &Ledger) -> Option<&'static str> {
    (!ledger.begun.is_sane() || !ledger.at.is_sane()).then_some("no clock shows its instants")
}

fn bucket_flaw(bucket: &Bucket) -> Option<&'static str> {
    let lock = bucket.lock?;
    if bucket.versioning != Versioning::Enabled {
        return Some("it has object lock and no versioning");
    }
    let allowed = lock.default.is_none_or(|default| default.period.is_allowed());
    (!allowed).then_some("the period of its default retention cannot be")
}

macro_rules! records {
    ($($type:ty = $name:literal $(since $($old:literal $before:ident),+)? $(unless $flaw:ident)?,)*) => { $(
        impl Record for $type {
            const NAME: &'static str = $name;
            $(
                const VERSION: u8 = 1 + [$($old),+].len() as u8;

                fn lift(version: u8, body: &[u8]) -> Result<Self> {
                    match version {
                        $($old => fields::<earlier::$before>(Self::NAME, body).map(Self::from),)+
                        _ => Err(unknown_version(Self::NAME, version)),
                    }
                }
            )?
            $(fn flaw(&self) -> Option<&'static str> { $flaw(self) })?
        }
    )* };
}

records! {
    Bucket = "bucket" since 1 BucketV1 unless bucket_flaw,
    DentRecord = "directory entry" since 1 DentRecordV1,
    VerRecord = "version" since 1 VerRecordV1,
    DirRecord = "directory" since 1 DirRecordV1 unless dir_flaw,
    DirStat = "directory counter",
    DirSum = "directory sum",
    InodeRecord = "inode" since 1 InodeRecordV1 unless inode_flaw,
    UploadRecord = "upload" since 1 UploadRecordV1, 2 UploadRecordV2,
    ContentRecord = "content" unless content_flaw,
    ObjectSums = "checksums" since 1 ObjectSumsV1 unless sums_flaw,
    Node = "extent tree" unless node_flaw,
    SegRecord = "segment",
    PartRecord = "part",
    Ledger = "usage" since 1 UsageV1 unless ledger_flaw,
    MeterRecord = "meter",
    Change = "change",
    OpenSession = "open session" unless session_flaw,
    Timestamp = "instant" unless instant_flaw,
    User = "user",
    AccessKey = "access key",
    MfaDevice = "device",
    u64 = "counter",
}
