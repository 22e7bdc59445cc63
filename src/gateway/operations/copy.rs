//! Copying objects: bytes are shared, not moved (COPY).

use super::super::auth::principal_of;
use super::super::bridge::Bridge;
use super::super::error::{not_built, refused, told};
use super::super::metered::fetched;
use super::checksums::show_sum;
use super::conditions;
use super::describe::{given, header_tags};
use super::extras::extras;
use super::lock::{Asker, lock_of};
use super::put::made_by;
use super::{etag, made_version, object_key, shown_version, time, version_id};
use crate::access::{Access, Principal};
use crate::model::{
    ChecksumAlgorithm, Conditions, Error, FileKind, Kind, Metadata, Object, ObjectKey, ObjectLock, Posix, StorageClass,
    SystemHeader, TagSet, VersionId,
};
use crate::store::{CopyOptions, Store, Used, again};
use hyper::StatusCode;
use s3s::dto::{ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource};
use s3s::{S3Error, S3Request, S3Response, S3Result};
use std::sync::Arc;

/// Largest source of one copy, in bytes (SIZE-4).
const SOURCE_BYTES_MAX: u64 = 5 << 30;

/// What is copied from.
pub(super) struct Source {
    pub(super) bucket: String,
    pub(super) key: ObjectKey,
    pub(super) version: Option<VersionId>,
}

impl Source {
    /// COPY-12.
    pub(super) fn of(source: &CopySource) -> S3Result<Self> {
        let CopySource::Bucket { bucket, key, version_id: version } = source else {
            return Err(not_built("copies from access points"));
        };
        Ok(Self { bucket: bucket.to_string(), key: object_key(key)?, version: version_id(version.as_deref())? })
    }

    /// The object, and its version's id for the answer (COPY-8, COPY-9).
    ///
    /// # Errors
    /// As [`Store::get`]; a delete marker by its id cannot be copied: [`Kind::InvalidArgument`].
    pub(super) fn find(&self, store: &Store) -> crate::model::Result<(Object, Option<String>)> {
        let versioning = store.bucket(&self.bucket)?.versioning;
        let object = store.get(&self.bucket, &self.key, self.version).map_err(|error| match error.kind() {
            Kind::IsMarker => Error::new(Kind::InvalidArgument, "cannot copy the object")
                .why("the source of a copy request may not specifically refer to a delete marker by version id"),
            _ => error,
        })?;
        let version = shown_version(versioning, &object);
        Ok((object, version))
    }

    /// IT-5: who copies it has used it, and fetched so many bytes.
    pub(super) fn was_used(&self, store: &Store, object: &Object, bytes: u64) {
        fetched(store, &self.bucket, object.class, bytes);
        store.used(|| Used::Key(self.bucket.clone(), self.key.clone()), object);
    }
}

/// A copy that is asked for.
struct Copy {
    source: Source,
    conditions: Conditions,
    bucket: String,
    key: ObjectKey,
    /// The metadata instead of the source's, or the redirect beside it.
    metadata: Result<Metadata, Option<String>>,
    tags: Option<TagSet>,
    class: StorageClass,
    checksum: Option<ChecksumAlgorithm>,
    condition: crate::store::Condition,
    principal: Principal,
    access: Arc<Access>,
    lock: ObjectLock,
    asker: Asker,
}

pub(in super::super) async fn copy(
    bridge: &Bridge,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let principal = principal_of(&request);
    let asker = Asker::of(bridge, &request);
    let headers = request.headers;
    let mut input = request.input;
    extras!(input).refuse()?;
    let class = extras!(input).class()?;
    if input.copy_source_sse_customer_key.is_some() {
        return Err(not_built("encryption with the client's keys"));
    }
    let replaces = |directive: Option<&str>, name: &str| match directive {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(bad("InvalidArgument", format!("{name} is COPY or REPLACE, not {other:?}"))),
    };
    let metadata = replaces(input.metadata_directive.as_ref().map(|word| word.as_str()), "x-amz-metadata-directive")?;
    let tags = replaces(input.tagging_directive.as_ref().map(|word| word.as_str()), "x-amz-tagging-directive")?;
    let checksum = input.checksum_algorithm.as_ref().map(|name| algorithm(name.as_str())).transpose()?;
    let condition = |name: &str| match headers.get_all(name).iter().collect::<Vec<_>>()[..] {
        [] => Ok(None),
        [value] => match value.to_str().ok().and_then(|text| text.parse().ok()) {
            Some(condition) => Ok(Some(condition)),
            None => Err(bad("InvalidArgument", format!("{name} is no tag and no *"))),
        },
        _ => Err(bad("InvalidArgument", format!("{name} comes twice"))),
    };
    let lock = lock_of!(input)?;
    let copy = Copy {
        source: Source::of(&input.copy_source)?,
        conditions: conditions::of_read(
            (input.copy_source_if_match.as_ref(), input.copy_source_if_none_match.as_ref()),
            (input.copy_source_if_modified_since.as_ref(), input.copy_source_if_unmodified_since.as_ref()),
        ),
        key: object_key(&input.key)?,
        tags: tags.then(|| header_tags(input.tagging.as_deref().unwrap_or_default())).transpose()?,
        metadata: if metadata {
            Ok(given!(input, &request.extensions).metadata()?)
        } else {
            Err(input.website_redirect_location)
        },
        bucket: input.bucket,
        class,
        checksum,
        condition: conditions::of_write(condition("if-match")?.as_ref(), condition("if-none-match")?.as_ref())?,
        principal,
        access: bridge.access(),
        lock,
        asker,
    };
    bridge.change(move |store| copy.run(store)).await.map(S3Response::new)
}

fn bad(code: &str, message: impl Into<String>) -> S3Error {
    refused(StatusCode::BAD_REQUEST, code, message)
}

/// A checksum algorithm by its name.
pub(super) fn algorithm(name: &str) -> S3Result<ChecksumAlgorithm> {
    let unknown = || bad("InvalidRequest", format!("there is no checksum algorithm {name:?}"));
    ChecksumAlgorithm::named(name).ok_or_else(unknown)
}

impl Copy {
    fn run(self, store: &Arc<Store>) -> S3Result<CopyObjectOutput> {
        let to_itself =
            self.source.bucket == self.bucket && self.source.key == self.key && self.source.version.is_none();
        let has_class = || self.source.find(store).is_ok_and(|(from, _)| from.class == self.class);
        let alike = matches!(self.metadata, Err(None)) && self.tags.is_none() && self.checksum.is_none();
        if to_itself && alike && self.lock == ObjectLock::NONE && has_class() {
            let message = "This copy request is illegal because it is trying to copy an object to itself without \
                           changing the object's metadata, storage class, website redirect location or encryption \
                           attributes.";
            return Err(bad("InvalidRequest", message));
        }
        self.asker.may_set(&self.bucket, &self.key, self.lock).map_err(|error| told(&error))?;
        // A source that is overwritten between the two looks is looked up again.
        let copied = again(
            || {
                let (from, version) = self.source.find(store)?;
                if from.size > SOURCE_BYTES_MAX {
                    return Err(Error::new(Kind::InvalidRequest, "cannot copy the object in one request")
                        .why("it is larger than 5 GiB (SIZE-4)")
                        .mend("copy it in parts"));
                }
                let how = CopyOptions {
                    metadata: Some(self.metadata_of(&from)?),
                    tags: self.tags.clone(),
                    source: self.conditions.clone(),
                    class: self.class,
                    checksum: self.checksum,
                    condition: self.condition,
                    posix: self.posix_of(store, &from)?,
                    lock: self.lock,
                };
                let object = store.copy(&from, &self.bucket, &self.key, &how)?;
                self.source.was_used(store, &from, from.size);
                Ok((object, version))
            },
            |error| self.source.version.is_none() && error.kind() == Kind::NoSuchVersion,
        );
        let (object, copy_source_version_id) = copied.map_err(|error| told(&error))?;
        let sum = store.sums(&object).map_err(|error| told(&error))?.sum;
        let bucket = store.bucket(&self.bucket).map_err(|error| told(&error))?;
        let mut result = CopyObjectResult {
            e_tag: Some(etag(&object)),
            last_modified: Some(time(object.modified)),
            ..CopyObjectResult::default()
        };
        if let Some(sum) = sum {
            result.checksum_type = Some(ChecksumType::from_static(sum.kind().name()));
            show_sum!(result, Some((sum.sum.algorithm(), sum.to_string())));
        }
        Ok(CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id,
            expiration: store.expiration(&bucket, self.key.as_str(), &object),
            version_id: made_version(bucket.versioning, &object),
            ..CopyObjectOutput::default()
        })
    }

    /// A new file is the caller's with the source's mode; one that is there keeps what it has.
    fn posix_of(&self, store: &Store, from: &Object) -> crate::model::Result<Option<Posix>> {
        let made = made_by(store, &self.access, &self.principal, (&self.bucket, &self.key))?;
        let is_dir = |posix: &Posix| posix.kind == FileKind::Directory;
        let alike = |made: &Posix| is_dir(made) == is_dir(&from.posix);
        Ok(made.map(|made| if alike(&made) { Posix { mode: from.posix.mode, ..made } } else { made }))
    }

    /// COPY-1, COPY-4: the source's metadata, but for its redirect.
    fn metadata_of(&self, from: &Object) -> crate::model::Result<Metadata> {
        match &self.metadata {
            Ok(metadata) => Ok(metadata.clone()),
            Err(redirect) => {
                let mut metadata = from.metadata.clone();
                metadata.set_system(SystemHeader::WebsiteRedirect, redirect.as_deref().unwrap_or_default())?;
                Ok(metadata)
            }
        }
    }
}
