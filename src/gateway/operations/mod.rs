//! What the operations have in common: keys, versions, times and owners between the protocol and the engine.

pub(super) mod acl;
pub(super) mod analytics;
pub(super) mod archive;
pub(super) mod attributes;
pub(super) mod buckets;
pub(super) mod checksums;
mod conditions;
mod configurations;
pub(super) mod copy;
pub(super) mod cors;
pub(super) mod delete;
pub(super) mod describe;
mod extras;
pub(super) mod fixed;
pub(super) mod get;
pub(super) mod lifecycle;
pub(super) mod list;
pub(super) mod lock;
pub(super) mod multipart;
pub(super) mod names;
pub(super) mod put;
pub(super) mod settings;
pub(super) mod tagging;
pub(super) mod tiering;
pub(super) mod versions;

use super::bridge::Bridge;
use super::error::{invalid, told};
use crate::model::{Object, ObjectKey, Timestamp, VersionId, Versioning};
use crate::store::ACCOUNT_NAME;
use s3s::S3Result;
use s3s::dto::{ETag, Owner};
use std::time::{Duration, UNIX_EPOCH};

/// The one account: owner of every bucket and object.
fn owner(bridge: &Bridge) -> Owner {
    Owner { display_name: Some(ACCOUNT_NAME.to_owned()), id: Some(bridge.account_id()) }
}

/// KEY-1, KEY-15: the key as it came, byte for byte.
fn object_key(raw: &str) -> S3Result<ObjectKey> {
    ObjectKey::parse(raw).map_err(|error| told(&error))
}

/// READ-5: an id that cannot be one is malformed.
fn version_id(raw: Option<&str>) -> S3Result<Option<VersionId>> {
    raw.map(|raw| VersionId::parse(raw).ok_or_else(|| invalid("Invalid version id specified"))).transpose()
}

/// The id an answer shows; none in a bucket that never kept versions.
fn shown_version(versioning: Versioning, object: &Object) -> Option<String> {
    (versioning != Versioning::Unversioned).then(|| object.version.to_string())
}

/// The id that the answer to a write shows: a suspended bucket's `null` is not told (VER-4, VER-6).
fn made_version(versioning: Versioning, object: &Object) -> Option<String> {
    (versioning == Versioning::Enabled).then(|| object.version.to_string())
}

fn etag(object: &Object) -> ETag {
    ETag::Strong(object.etag.to_string())
}

/// An instant as answers print it.
fn time(at: Timestamp) -> s3s::dto::Timestamp {
    let after = Duration::new(at.secs.unsigned_abs(), 0);
    let whole = if at.secs < 0 { UNIX_EPOCH.checked_sub(after) } else { UNIX_EPOCH.checked_add(after) };
    whole.and_then(|whole| whole.checked_add(Duration::from_nanos(at.nanos.into()))).unwrap_or(UNIX_EPOCH).into()
}

/// A length as the protocol's types have it.
fn length(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What a list is cut to (LIST-3).
fn limit(asked: Option<i32>, name: &str) -> S3Result<usize> {
    let asked = asked.unwrap_or(PAGE_MAX);
    usize::try_from(asked.min(PAGE_MAX)).map_err(|_| invalid(format!("{name} is not negative (LIST-3)")))
}

/// Longest page of a listing (LIST-3).
const PAGE_MAX: i32 = 1000;
