//! Reading objects: whole, by range or part, under conditions (READ, COND-1 to COND-3, SUM-14).

use super::super::bridge::{Bridge, read_piece};
use super::super::error::{not_built, refused, told};
use super::super::expires;
use super::super::piece::Piece;
use super::checksums::show_sum;
use super::conditions;
use super::describe::{self, Shown};
use super::lock::{Asker, show_lock};
use super::{etag, length, object_key, shown_version, time, version_id};
use crate::model::{
    ChecksumAlgorithm, Conditions, Kind, Object, ObjectKey, ObjectLock, ObjectSum, SystemHeader, VersionId, Versioning,
};
use crate::store::{AccessTier, Content, ListVersions, Store, TierName, Used, again, restore_text};
use hyper::StatusCode;
use hyper::header::{EXPIRES, HeaderMap, HeaderValue};
use s3s::dto::{
    ArchiveStatus, ChecksumType, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Range,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};
use std::ops;
use std::sync::Arc;

/// What is to be read.
struct Wanted {
    bucket: String,
    key: ObjectKey,
    version: Option<VersionId>,
    conditions: Conditions,
    range: Option<Range>,
    part: Option<i32>,
    sums: bool,
}

/// What was found.
struct Found {
    object: Object,
    versioning: Versioning,
    range: ops::Range<u64>,
    /// The `Content-Range` of a part of it.
    partial: Option<String>,
    parts: Option<i32>,
    sum: Option<ObjectSum>,
    /// When a lifecycle rule ends it, of a current version (LC-27).
    expiration: Option<String>,
    /// How the whole object's checksum was made, which a part's own is told with.
    sum_kind: Option<crate::model::ChecksumType>,
    /// What may be told of its lock.
    lock: ObjectLock,
    /// RST-7.
    restore: Option<String>,
    /// IT-9.
    archive: Option<&'static str>,
    /// The bytes, for who wants them, and the first of them.
    bytes: Option<(Content, Piece)>,
}

/// The same members of the inputs of GET and HEAD.
macro_rules! wanted {
    ($input:expr) => {{
        if $input.sse_customer_key.is_some() || $input.sse_customer_algorithm.is_some() {
            return Err(not_built("encryption with the client's keys"));
        }
        Wanted {
            key: object_key(&$input.key)?,
            bucket: $input.bucket,
            version: version_id($input.version_id.as_deref())?,
            conditions: conditions::of_read(
                ($input.if_match.as_ref(), $input.if_none_match.as_ref()),
                ($input.if_modified_since.as_ref(), $input.if_unmodified_since.as_ref()),
            ),
            range: $input.range,
            part: $input.part_number,
            sums: $input.checksum_mode.is_some_and(|mode| mode.as_str().eq_ignore_ascii_case("ENABLED")),
        }
    }};
}

/// The same members of the outputs of GET and HEAD.
macro_rules! output {
    ($Output:ident, $found:expr) => {{
        let (found, object) = ($found, &$found.object);
        let Shown { user, missing, expires, .. } = describe::shown(object);
        let mut output = $Output {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: describe::system(object, SystemHeader::CacheControl),
            content_disposition: describe::system(object, SystemHeader::ContentDisposition),
            content_encoding: describe::system(object, SystemHeader::ContentEncoding),
            content_language: describe::system(object, SystemHeader::ContentLanguage),
            content_length: Some(length(found.range.end - found.range.start)),
            content_range: found.partial.clone(),
            content_type: describe::content_type(object),
            e_tag: Some(etag(object)),
            expiration: found.expiration.clone(),
            expires,
            last_modified: Some(time(object.modified)),
            metadata: user,
            missing_meta: missing,
            parts_count: found.parts,
            restore: found.restore.clone(),
            storage_class: Some(object.class)
                .filter(|class| *class != crate::model::StorageClass::Standard)
                .map(|class| s3s::dto::StorageClass::from_static(class.name())),
            version_id: shown_version(found.versioning, object),
            website_redirect_location: describe::system(object, SystemHeader::WebsiteRedirect),
            ..$Output::default()
        };
        show_lock!(output, found.lock);
        if let Some(sum) = &found.sum {
            output.checksum_type = Some(ChecksumType::from_static(found.sum_kind.unwrap_or_else(|| sum.kind()).name()));
            show_sum!(output, Some((sum.sum.algorithm(), sum.to_string())));
        }
        output
    }};
}

pub(in super::super) async fn get(
    bridge: &Bridge,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let asker = Asker::of(bridge, &request);
    let input = request.input;
    let overridden = input.response_expires.is_some();
    let wanted = wanted!(input);
    let mut found = bridge.ask(move |store| look(store, &wanted, &asker, true)).await?;
    let mut output = output!(GetObjectOutput, &found);
    output.tag_count = describe::shown(&found.object).tags;
    if let Some((content, first)) = found.bytes.take() {
        output.body = Some(bridge.send(content, found.range.clone(), first));
    }
    let mut response = S3Response::new(output);
    show_odd_expires(&mut response.headers, &found.object, overridden);
    Ok(response)
}

/// An `Expires` that is no date, which the output cannot hold.
fn show_odd_expires(headers: &mut HeaderMap, object: &Object, overridden: bool) {
    let text = object.metadata.system(SystemHeader::Expires).filter(|_| !overridden);
    if let Some(value) = text.and_then(expires::shown) {
        headers.insert(EXPIRES, value);
    }
}

pub(in super::super) async fn head(
    bridge: &Bridge,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let asker = Asker::of(bridge, &request);
    let input = request.input;
    let overridden = input.response_expires.is_some();
    let wanted = wanted!(input);
    let found = bridge.ask(move |store| look(store, &wanted, &asker, false)).await?;
    let mut output = output!(HeadObjectOutput, &found);
    output.archive_status = found.archive.map(ArchiveStatus::from_static);
    let mut response = S3Response::new(output);
    if let Some(tags) = describe::shown(&found.object).tags {
        response.headers.insert("x-amz-tagging-count", tags.into());
    }
    show_odd_expires(&mut response.headers, &found.object, overridden);
    Ok(response)
}

fn look(store: &Arc<Store>, wanted: &Wanted, asker: &Asker, bytes: bool) -> S3Result<Found> {
    let Wanted { bucket, key, version, .. } = wanted;
    let its_bucket = store.bucket(bucket).map_err(|error| told(&error))?;
    let versioning = its_bucket.versioning;
    // An object that is overwritten between the two looks is looked up again.
    let found = again(
        || {
            let object = store.get(bucket, key, *version)?;
            let content = if bytes { Some(store.open_content(&object)?) } else { None };
            Ok::<_, crate::model::Error>((object, content))
        },
        |error| version.is_none() && error.kind() == Kind::NoSuchVersion,
    );
    let (object, content) = found.map_err(|error| missing(store, wanted, versioning, &error))?;
    conditions::judge(&wanted.conditions, &object)?;
    if bytes {
        store.used(|| Used::Key(bucket.clone(), key.clone()), &object);
    }
    let tier = match store.access_tier(&object) {
        Some(AccessTier::Archived(tier)) => Some(TierName::of(tier).name()),
        _ => None,
    };
    let is_current = object.superseded.is_none();
    let mut found = Found {
        range: 0..object.size,
        lock: asker.sees(bucket, key, object.lock),
        expiration: is_current.then(|| store.expiration(&its_bucket, key.as_str(), &object)).flatten(),
        restore: restore_text(&object, store.now()),
        archive: tier,
        object,
        versioning,
        partial: None,
        parts: None,
        sum: None,
        sum_kind: None,
        bytes: None,
    };
    choose(store, wanted, &mut found)?;
    if bytes {
        let bytes = found.range.end - found.range.start;
        store.observed(|| Used::Key(bucket.clone(), key.clone()), &found.object, bytes);
    }
    if let Some(content) = content {
        let first = read_piece(&content, found.range.clone())?;
        found.bytes = Some((content, first));
    }
    Ok(found)
}

/// Chooses the bytes that are wanted, and the checksum that goes with them.
fn choose(store: &Store, wanted: &Wanted, found: &mut Found) -> S3Result<()> {
    let size = found.object.size;
    let whole = wanted.range.is_none() && wanted.part.is_none();
    match (wanted.range, wanted.part) {
        (Some(_), Some(_)) => {
            let message = "Cannot specify both Range header and partNumber query parameter";
            return Err(refused(StatusCode::BAD_REQUEST, "InvalidRequest", message));
        }
        (Some(range), None) => {
            let outside = || {
                let message = "The requested range is not satisfiable";
                let mut error = refused(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message);
                let mut headers = HeaderMap::new();
                if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    headers.insert("content-range", value);
                }
                error.set_headers(headers);
                error
            };
            // Of an empty object there is no last byte either.
            found.range = range.check(size).ok().filter(|range| !range.is_empty()).ok_or_else(outside)?;
        }
        (None, Some(number)) => {
            let number = u32::try_from(number).unwrap_or_default();
            let part = store.part_of(&found.object, number).map_err(|error| told(&error))?;
            found.range = part.at..part.at + part.len;
            found.parts = i32::try_from(part.count).ok().filter(|count| *count > 0);
            if wanted.sums {
                found.sum = part.sum;
                found.sum_kind = part.kind;
            }
        }
        (None, None) => {}
    }
    // An empty object's only part has no range that could be written.
    if !whole && found.range.end > found.range.start {
        let ops::Range { start, end } = found.range;
        found.partial = Some(format!("bytes {start}-{}/{size}", end - 1));
    }
    if wanted.sums && (whole || (wanted.range.is_some() && found.range == (0..size))) {
        found.sum = store.sums(&found.object).map_err(|error| told(&error))?.sum;
    } else if wanted.sums && wanted.range.is_some() {
        // SUM-14: as the part is told that has these bytes.
        let part = store.part_at(&found.object, &found.range).map_err(|error| told(&error))?;
        (found.sum, found.sum_kind) = part.map_or((None, None), |part| (part.sum, part.kind));
    }
    Ok(())
}

/// READ-1, READ-2: a delete marker says that it is one.
fn missing(store: &Store, wanted: &Wanted, versioning: Versioning, error: &crate::model::Error) -> S3Error {
    let mut refusal = told(error);
    let marker = match (error.kind(), wanted.version) {
        (Kind::IsMarker, Some(version)) => Some(version),
        (Kind::NoSuchKey, None) if versioning != Versioning::Unversioned => top_marker(store, wanted),
        _ => None,
    };
    if let Some(version) = marker {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
        if let Ok(version) = HeaderValue::from_str(&version.to_string()) {
            headers.insert("x-amz-version-id", version);
        }
        if error.kind() == Kind::IsMarker {
            headers.insert("allow", HeaderValue::from_static("DELETE"));
        }
        refusal.set_headers(headers);
    }
    refusal
}

fn top_marker(store: &Store, wanted: &Wanted) -> Option<VersionId> {
    let request = ListVersions { prefix: wanted.key.as_str().to_owned(), limit: 1, ..ListVersions::default() };
    let page = store.list_versions(&wanted.bucket, &request).ok()?;
    let top = page.versions.into_iter().next()?;
    (top.key == wanted.key.as_str() && top.is_latest && top.object.marker).then_some(top.object.version)
}
