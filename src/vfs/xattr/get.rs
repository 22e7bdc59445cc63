//! Values of attributes.

use super::names::{Name, Row, What, classify, find};
use super::{Target, info, not_set, refused, tagging, tree};
use crate::model::{
    Bucket, ChecksumType, Metadata, Object, ObjectKey, ObjectSum, REGION, Result, show_hold, size_text,
};
use crate::store::{AccessTier, Document, Store, TierName, restore_text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The region of every bucket (BKT-10): one machine is one region.
/// Who owns every object: the account's root, as with BucketOwnerEnforced (BKT-15).
const OWNER: &str = "arn:aws:iam::000000000000:root";

/// The value of the attribute `name` (full name, `user.s3.etag` or its alias `s3.etag`).
///
/// # Errors
/// [`crate::model::Kind::NotSet`] when it is not set or unknown, [`crate::model::Kind::Unsupported`] for names
/// that are never offered, the store's errors.
pub fn get(store: &Arc<Store>, target: &Target, name: &[u8]) -> Result<Vec<u8>> {
    match classify(name) {
        Name::Never => Err(refused(name).unwrap_or_else(not_set)),
        Name::Foreign => foreign(target, name).map(<[u8]>::to_vec).ok_or_else(not_set),
        Name::Own(own) => {
            let (row, rest) = find(target.place(), own).ok_or_else(not_set)?;
            value(store, target, &row, rest)?.ok_or_else(not_set)
        }
    }
}

/// A foreign attribute's value.
pub(super) fn foreign<'a>(target: &'a Target, name: &[u8]) -> Option<&'a [u8]> {
    match target {
        Target::Root => None,
        Target::Bucket(_, dir) | Target::Dir(dir) => dir.xattrs.get(name),
        Target::File { entry, .. } => entry.object.xattrs.get(name),
        Target::Version { object, .. } => object.xattrs.get(name),
    }
}

/// The value of the own attribute of `row`, `None` when it is not set.
pub(super) fn value(store: &Arc<Store>, target: &Target, row: &Row, rest: &str) -> Result<Option<Vec<u8>>> {
    let text = match row.what {
        What::Crc64Nvme => match target.object() {
            Some(object) if has_bytes(target) => Some(BASE64.encode(store.checksum(object)?.to_be_bytes())),
            _ => None,
        },
        What::Sum(algorithm) => {
            kept(store, target)?.filter(|sum| sum.sum.algorithm() == algorithm).map(|sum| sum.to_string())
        }
        What::ChecksumType if has_bytes(target) => {
            Some(kept(store, target)?.map_or(ChecksumType::FullObject, |sum| sum.kind()).name().to_owned())
        }
        What::Restore => stored(target).and_then(|object| restore_text(object, store.now())),
        What::AccessTier => {
            stored(target).and_then(|object| store.access_tier(object)).map(|tier| tier.name().to_owned())
        }
        What::ArchiveStatus => match stored(target).and_then(|object| store.access_tier(object)) {
            Some(AccessTier::Archived(tier)) => Some(TierName::of(tier).name().to_owned()),
            _ => None,
        },
        What::Key => target.path(store)?.map(|(_, key)| key),
        What::KeyB64 => target.path(store)?.map(|(_, key)| BASE64.encode(key)),
        What::Rbytes => Some(tree::sums(store, target)?.bytes.to_string()),
        What::Rentries => Some(tree::sums(store, target)?.entries.to_string()),
        What::NoncurrentBytes => Some(tree::sums(store, target)?.noncurrent_bytes.to_string()),
        What::Expiration => expiration(store, target)?,
        What::Info => Some(info::info(store, target)?),
        What::Document(document) => document_of(store, target, document),
        _ => plain(target, row, rest),
    };
    Ok(text.map(String::into_bytes))
}

/// When a lifecycle rule ends it; nothing of one that S3 has not seen.
fn expiration(store: &Store, target: &Target) -> Result<Option<String>> {
    let (Some(object), Some((bucket, key))) = (target.object(), target.path(store)?) else { return Ok(None) };
    if target.is_draft() || !bucket.documents.contains_key("lifecycle") {
        return Ok(None);
    }
    store.expiration_of(&bucket, &ObjectKey::parse(&key)?, object)
}

/// The text of a bucket's document.
pub(super) fn document_of(store: &Store, target: &Target, document: &Document) -> Option<String> {
    match target {
        Target::Bucket(bucket, _) => document.read(store, bucket),
        _ => None,
    }
}

/// The object, when S3 has seen its bytes.
fn stored(target: &Target) -> Option<&Object> {
    target.object().filter(|_| has_bytes(target))
}

/// Whether it is of bytes that S3 has seen.
pub(super) fn has_bytes(target: &Target) -> bool {
    target.object().is_some_and(|object| !object.marker) && !target.is_draft()
}

/// The checksum that is known of its bytes.
pub(super) fn kept(store: &Store, target: &Target) -> Result<Option<ObjectSum>> {
    match target.object().filter(|_| has_bytes(target)) {
        Some(object) => Ok(store.sums(object)?.sum),
        None => Ok(None),
    }
}

/// Values that the target itself tells.
pub(super) fn plain(target: &Target, row: &Row, rest: &str) -> Option<String> {
    if let (What::DefaultClass, Target::Dir(dir) | Target::Bucket(_, dir)) = (row.what, target) {
        return dir.class.map(|class| class.name().to_owned());
    }
    if let Target::Bucket(bucket, _) = target {
        return of_bucket(bucket, row);
    }
    of_object(target.object()?, target.is_draft(), row, rest)
}

fn of_bucket(bucket: &Bucket, row: &Row) -> Option<String> {
    match row.what {
        What::Versioning => bucket.versioning.status().map(str::to_owned),
        What::DefaultRetention => bucket.lock.and_then(|lock| lock.default).map(|default| default.to_string()),
        What::Region => Some(REGION.to_owned()),
        What::Quota => bucket.quota.map(size_text),
        _ => None,
    }
}

/// Values that an object tells. A draft, which S3 has not seen, and a delete marker (VER-11) lack most.
pub(super) fn of_object(object: &Object, draft: bool, row: &Row, rest: &str) -> Option<String> {
    let data = !object.marker;
    match row.what {
        What::Meta => object.metadata.user(rest).map(str::to_owned),
        What::Tag => object.tags.get(rest).map(str::to_owned),
        What::Header(header) => object.metadata.system(header).map(str::to_owned),
        What::Tags => data.then(|| tagging::to_query(&object.tags)),
        What::Metadata => data.then(|| map(&object.metadata)),
        What::StorageClass => data.then(|| object.class.name().to_owned()),
        What::Owner => Some(OWNER.to_owned()),
        _ if draft => None,
        What::VersionId => Some(object.version.to_string()),
        What::IsLatest => Some(object.superseded.is_none().to_string()),
        What::LastModified => Some(object.modified.rfc3339()),
        What::ETag => data.then(|| object.etag.to_string()),
        What::Retention => object.lock.retention.filter(|_| data).map(|retention| retention.to_string()),
        What::LegalHold => object.lock.hold.filter(|_| data).map(|hold| show_hold(hold).to_owned()),
        What::Parts => (data && object.etag.parts > 0).then(|| object.etag.parts.to_string()),
        _ => None,
    }
}

/// User metadata as a JSON object of strings.
fn map(metadata: &Metadata) -> String {
    let pairs: BTreeMap<&str, &str> = metadata.user_pairs().collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}
