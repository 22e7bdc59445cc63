//! The table of Keyfold's own attributes: get, set, list, info and the documentation all read it.

use crate::model::{ChecksumAlgorithm, SystemHeader};
use crate::store::{DOCUMENTS, Document};
use std::fmt::Write;

/// What every own attribute begins with, as it is listed.
pub const PREFIX: &str = "user.s3.";
/// The unlisted alias, which the kernel also lets through to symbolic links.
pub const ALIAS: &str = "s3.";
/// Longest attribute name the platform carries, in bytes; longer ones are not listed.
pub const NAME_BYTES_MAX: usize = if cfg!(target_os = "macos") { 127 } else { 255 };

/// How an attribute behaves towards tools that copy files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Listed by default and set again on a copy.
    Carried,
    /// Settable, not carried: a copy does not inherit it, as with `CopyObject`.
    Setting,
    /// Read only.
    Computed,
}

/// What an attribute may stand on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A current object.
    File,
    /// An entry of `.versions`.
    Version,
    /// A directory below a bucket.
    Dir,
    /// A bucket.
    Bucket,
    /// The mount's root.
    Root,
}

/// Which attribute a row is.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// `meta.NAME`
    Meta,
    /// `tag.KEY`
    Tag,
    /// A system header.
    Header(SystemHeader),
    /// All tags as query text.
    Tags,
    /// All user metadata as JSON.
    Metadata,
    /// Storage class.
    StorageClass,
    /// The class of new files in a directory.
    DefaultClass,
    /// The restore of an archived object.
    Restore,
    /// The archive tier that an object lies in.
    ArchiveStatus,
    /// The tier within `INTELLIGENT_TIERING`.
    AccessTier,
    /// Version id.
    VersionId,
    /// Entity tag.
    ETag,
    /// Whether it is the current version.
    IsLatest,
    /// S3's Last-Modified.
    LastModified,
    /// Who owns it.
    Owner,
    /// CRC-64/NVME of the whole object.
    Crc64Nvme,
    /// The checksum that was chosen for the object, when it is of that algorithm.
    Sum(ChecksumAlgorithm),
    /// What the checksum covers.
    ChecksumType,
    /// Parts of a multipart object.
    Parts,
    /// When a lifecycle rule ends it.
    Expiration,
    /// The key.
    Key,
    /// The key in base64.
    KeyB64,
    /// Bytes of the keys below.
    Rbytes,
    /// Keys below.
    Rentries,
    /// Bytes of older versions below.
    NoncurrentBytes,
    /// A bucket's versioning state.
    Versioning,
    /// Until when a version is retained, and how strictly.
    Retention,
    /// Whether a legal hold is on a version.
    LegalHold,
    /// What a bucket's new versions get.
    DefaultRetention,
    /// A bucket's region.
    Region,
    /// A bucket's quota.
    Quota,
    /// A bucket document.
    Document(&'static Document),
    /// Everything as JSON.
    Info,
    /// A name the engine has no answer for yet: never set, refused on set.
    Later,
}

/// One attribute, or with a name that ends in `.` a family of them.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name below `user.s3.`.
    pub name: &'static str,
    /// Which one it is.
    pub what: What,
    /// How it behaves.
    pub class: Class,
    /// Where it applies.
    pub on: &'static [Place],
    /// What it holds, for the documentation.
    pub text: &'static str,
}

impl Row {
    /// Whether it stands for several attributes, each with a name of its own after the dot.
    #[must_use]
    pub fn is_family(&self) -> bool {
        self.name.ends_with('.')
    }
}

const OBJECT: &[Place] = &[Place::File, Place::Version];
const KEYED: &[Place] = &[Place::File, Place::Version, Place::Dir];
const TREE: &[Place] = &[Place::Dir, Place::Bucket, Place::Root];
const BELOW: &[Place] = &[Place::Dir, Place::Bucket];
const BUCKET: &[Place] = &[Place::Bucket];
const EVERYWHERE: &[Place] = &[Place::File, Place::Version, Place::Dir, Place::Bucket, Place::Root];

const fn sum(name: &'static str, algorithm: ChecksumAlgorithm, text: &'static str) -> Row {
    row(name, What::Sum(algorithm), Class::Computed, OBJECT, text)
}

const fn row(name: &'static str, what: What, class: Class, on: &'static [Place], text: &'static str) -> Row {
    Row { name, what, class, on, text }
}

/// Every own attribute except the bucket documents, which [`DOCUMENTS`] adds on buckets.
pub const TABLE: &[Row] = &[
    row("meta.", What::Meta, Class::Carried, KEYED, "user metadata `x-amz-meta-NAME`, 2 KiB in all (META-3)"),
    row("tag.", What::Tag, Class::Carried, KEYED, "one tag, at most 10 (TAG-1)"),
    row("content-type", What::Header(SystemHeader::ContentType), Class::Carried, KEYED, "`Content-Type`"),
    row("content-encoding", What::Header(SystemHeader::ContentEncoding), Class::Carried, KEYED, "`Content-Encoding`"),
    row("content-language", What::Header(SystemHeader::ContentLanguage), Class::Carried, KEYED, "`Content-Language`"),
    row(
        "content-disposition",
        What::Header(SystemHeader::ContentDisposition),
        Class::Carried,
        KEYED,
        "`Content-Disposition`",
    ),
    row("cache-control", What::Header(SystemHeader::CacheControl), Class::Carried, KEYED, "`Cache-Control`"),
    row("expires", What::Header(SystemHeader::Expires), Class::Carried, KEYED, "`Expires`"),
    row("tags", What::Tags, Class::Setting, KEYED, "all tags as `k=v&k2=v2`, percent-encoded (TAG-6); empty clears"),
    row("metadata", What::Metadata, Class::Setting, KEYED, "all user metadata as a JSON object of strings"),
    row("storage-class", What::StorageClass, Class::Setting, OBJECT, "storage class; goes down only (LC-13)"),
    row("storage-class", What::DefaultClass, Class::Setting, BELOW, "class of new files here and below"),
    row(
        "retention",
        What::Retention,
        Class::Setting,
        OBJECT,
        "`GOVERNANCE 2027-01-01T00:00:00Z` or `COMPLIANCE ...`: kept until then (LOCK-4, LOCK-5)",
    ),
    row("legal-hold", What::LegalHold, Class::Setting, OBJECT, "`ON` or `OFF` (LOCK-12)"),
    row("acl", What::Later, Class::Setting, OBJECT, "access control list"),
    row("encryption", What::Later, Class::Setting, OBJECT, "`AES256` or `aws:kms`"),
    row("encryption-key", What::Later, Class::Setting, OBJECT, "id of the key"),
    row(
        "website-redirect",
        What::Header(SystemHeader::WebsiteRedirect),
        Class::Setting,
        OBJECT,
        "a path `/...` or a URL `http://...`, `https://...`",
    ),
    row("restore", What::Restore, Class::Setting, OBJECT, "write `days=7,tier=Expedited`; reads as `x-amz-restore`"),
    row("version-id", What::VersionId, Class::Computed, OBJECT, "version id, or `null` (VER-3)"),
    row("etag", What::ETag, Class::Computed, OBJECT, "entity tag without quotes (SUM-1 to SUM-4)"),
    row("is-latest", What::IsLatest, Class::Computed, OBJECT, "`true` or `false`"),
    row("last-modified", What::LastModified, Class::Computed, OBJECT, "S3's Last-Modified, RFC 3339"),
    row("owner", What::Owner, Class::Computed, OBJECT, "who owns the object"),
    sum("checksum.crc32", ChecksumAlgorithm::Crc32, "CRC32, when S3's client chose it (SUM-8)"),
    sum("checksum.crc32c", ChecksumAlgorithm::Crc32c, "CRC32C, when S3's client chose it (SUM-8)"),
    row(
        "checksum.crc64nvme",
        What::Crc64Nvme,
        Class::Computed,
        OBJECT,
        "CRC64NVME, base64 of big-endian bytes (SUM-7)",
    ),
    sum("checksum.sha1", ChecksumAlgorithm::Sha1, "SHA1, when S3's client chose it (SUM-8)"),
    sum("checksum.sha256", ChecksumAlgorithm::Sha256, "SHA256, when S3's client chose it (SUM-8)"),
    row("checksum-type", What::ChecksumType, Class::Computed, OBJECT, "`FULL_OBJECT` or `COMPOSITE` (SUM-9)"),
    row("parts", What::Parts, Class::Computed, OBJECT, "number of parts of a multipart object (SUM-3)"),
    row(
        "expiration",
        What::Expiration,
        Class::Computed,
        OBJECT,
        "when a lifecycle rule ends it, as `x-amz-expiration` (LC-27)",
    ),
    row("replication-status", What::Later, Class::Computed, OBJECT, "replication status"),
    row("archive-status", What::ArchiveStatus, Class::Computed, OBJECT, "archive tier it must be restored from (IT-9)"),
    row("access-tier", What::AccessTier, Class::Computed, OBJECT, "tier within `INTELLIGENT_TIERING`"),
    row("key", What::Key, Class::Computed, KEYED, "the key as S3 knows it; a directory's prefix ends in `/`"),
    row("key.b64", What::KeyB64, Class::Computed, KEYED, "the key in base64"),
    row("rbytes", What::Rbytes, Class::Computed, TREE, "bytes of all current objects below"),
    row("rentries", What::Rentries, Class::Computed, TREE, "current keys below, directory markers included"),
    row("noncurrent-bytes", What::NoncurrentBytes, Class::Computed, TREE, "bytes of all older versions below"),
    row("versioning", What::Versioning, Class::Setting, BUCKET, "`Enabled` or `Suspended` (VER-1)"),
    row("region", What::Region, Class::Computed, BUCKET, "region (BKT-10)"),
    row(
        "default-retention",
        What::DefaultRetention,
        Class::Setting,
        BUCKET,
        "default retention of new versions, such as `GOVERNANCE 30 days` (LOCK-8)",
    ),
    row("quota", What::Quota, Class::Setting, BUCKET, "most bytes the bucket may hold, such as `10GiB`"),
    row("info", What::Info, Class::Computed, EVERYWHERE, "all of the above as one JSON object"),
];

/// The rows that apply on `place`, in the table's order, then a bucket's documents.
pub fn rows(place: Place) -> impl Iterator<Item = Row> {
    let documents = DOCUMENTS
        .iter()
        .filter(move |document| {
            place == Place::Bucket && !TABLE.iter().any(|row| row.name == document.name && row.on.contains(&place))
        })
        .map(document_row);
    TABLE.iter().filter(move |row| row.on.contains(&place)).copied().chain(documents)
}

fn document_row(document: &'static Document) -> Row {
    row(document.name, What::Document(document), Class::Setting, BUCKET, document.text)
}

/// The row of the attribute `own` (its name below `user.s3.`) on `place`, with the part after a family's dot.
#[must_use]
pub fn find(place: Place, own: &str) -> Option<(Row, &str)> {
    rows(place).find_map(|row| {
        if !row.is_family() {
            return (row.name == own).then_some((row, ""));
        }
        let rest = own.strip_prefix(row.name)?;
        (!rest.is_empty()).then_some((row, rest))
    })
}

/// Whose a name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name<'a> {
    /// Keyfold's own, with the part below `user.s3.`; empty when that is not UTF-8.
    Own(&'a str),
    /// The user's, stored as it is.
    Foreign,
    /// Not offered, whatever it stands on.
    Never,
}

/// Whose `name` is. Needs no look-up.
#[must_use]
pub fn classify(name: &[u8]) -> Name<'_> {
    for prefix in [PREFIX, ALIAS] {
        if let Some(own) = name.strip_prefix(prefix.as_bytes()) {
            return Name::Own(std::str::from_utf8(own).unwrap_or_default());
        }
    }
    let foreign = if cfg!(target_os = "macos") { !never(name) } else { has_prefix(name, &["user.", "trusted."]) };
    if foreign { Name::Foreign } else { Name::Never }
}

fn never(name: &[u8]) -> bool {
    has_prefix(name, &["system.", "security."])
}

fn has_prefix(name: &[u8], prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
}

/// The table as Markdown, for the documentation of the mount's semantics.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from("| name | on | class | holds |\n| --- | --- | --- | --- |\n");
    let documents = rows(Place::Bucket).filter(|row| matches!(row.what, What::Document(_)));
    for row in TABLE.iter().copied().chain(documents) {
        let class = match row.class {
            Class::Carried => "carried by copies",
            Class::Setting => "setting",
            Class::Computed => "computed",
        };
        let on: Vec<&str> = row.on.iter().map(|place| place.word()).collect();
        let tail = match (row.is_family(), row.name) {
            (true, "tag.") => "KEY",
            (true, _) => "NAME",
            _ => "",
        };
        let later = if built(&row) { "" } else { " (not offered yet)" };
        let _ = writeln!(page, "| `{}{tail}` | {} | {class} | {}{later} |", row.name, on.join(", "), row.text);
    }
    page
}

fn built(row: &Row) -> bool {
    match row.what {
        What::Later => false,
        What::Document(document) => document.is_built(),
        _ => true,
    }
}

impl Place {
    /// The word for it in documentation and `info`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::File => "object",
            Self::Version => "version",
            Self::Dir => "directory",
            Self::Bucket => "bucket",
            Self::Root => "root",
        }
    }
}
