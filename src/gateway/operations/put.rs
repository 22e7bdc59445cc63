//! Putting objects (META, SUM, COND-4, COND-5).

use super::super::auth::principal_of;
use super::super::bridge::Bridge;
use super::super::error::not_built;
use super::checksums::{promise, show_sum, sums_of};
use super::conditions;
use super::describe::{given, header_tags};
use super::extras::extras;
use super::lock::{Asker, lock_of, need_promise};
use super::{etag, length, made_version, object_key};
use crate::access::{Access, Principal};
use crate::model::{
    ChecksumAlgorithm, FileKind, Kind, Object, ObjectKey, ObjectSum, Posix, Result, TagSet, Versioning,
};
use crate::store::{PutOptions, Store};
use s3s::dto::{ChecksumType, PutObjectInput, PutObjectOutput};
use s3s::{S3Request, S3Response, S3Result};

pub(in super::super) async fn put(
    bridge: &Bridge,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let tags = request.input.tagging.take();
    let tags = tags.as_deref().map_or_else(|| Ok(TagSet::new()), header_tags)?;
    tagged(bridge, request, tags).await.map(S3Response::new)
}

/// Puts an object with these tags.
pub(in super::super) async fn tagged(
    bridge: &Bridge,
    mut request: S3Request<PutObjectInput>,
    tags: TagSet,
) -> S3Result<PutObjectOutput> {
    if request.input.write_offset_bytes.is_some() {
        return Err(not_built("appending to an object over HTTP"));
    }
    extras!(request.input).refuse()?;
    let class = extras!(request.input).class()?;
    let (length_promised, md5) = (request.input.content_length, request.input.content_md5.take());
    let (promise, at_end) = promise(&request, length_promised, md5.as_deref(), &sums_of!(request.input))?;
    let input = &mut request.input;
    let key = object_key(&input.key)?;
    let bucket = std::mem::take(&mut input.bucket);
    let lock = lock_of!(input)?;
    let mut options = PutOptions {
        metadata: given!(input, &request.extensions).metadata()?,
        tags,
        class,
        condition: conditions::of_write(input.if_match.as_ref(), input.if_none_match.as_ref())?,
        promise,
        lock,
        ..PutOptions::default()
    };
    let body = input.body.take();
    let asker = Asker::of(bridge, &request);
    let (access, principal) = (bridge.access(), principal_of(&request));
    let stored = bridge
        .upload((body, at_end), move |store, body| {
            asker.may_set(&bucket, &key, lock)?;
            need_promise(store, &bucket, lock, &options.promise)?;
            options.posix = made_by(store, &access, &principal, (&bucket, &key))?;
            let object = store.put(&bucket, &key, body, &options)?;
            let sum = store.sums(&object)?.sum;
            let bucket = store.bucket(&bucket)?;
            let expiration = store.expiration(&bucket, key.as_str(), &object);
            Ok((object, sum, bucket.versioning, expiration))
        })
        .await?;
    Ok(output(&stored))
}

/// Mode and owner of a new file; one that is there keeps its own.
pub(super) fn made_by(
    store: &Store,
    access: &Access,
    principal: &Principal,
    (bucket, key): (&str, &ObjectKey),
) -> Result<Option<Posix>> {
    match store.get(bucket, key, None) {
        Ok(_) => Ok(None),
        Err(error) if error.kind() == Kind::NoSuchKey => {
            let (uid, gid) = access.posix(principal)?;
            let (kind, mode) = if key.is_marker_key() { (FileKind::Directory, 0o755) } else { (FileKind::File, 0o644) };
            Ok(Some(Posix::new(kind, mode, uid, gid, store.now())))
        }
        Err(error) => Err(error),
    }
}

fn output(
    (object, sum, versioning, expiration): &(Object, Option<ObjectSum>, Versioning, Option<String>),
) -> PutObjectOutput {
    let mut output = PutObjectOutput {
        e_tag: Some(etag(object)),
        expiration: expiration.clone(),
        size: Some(length(object.size)),
        version_id: made_version(*versioning, object),
        ..PutObjectOutput::default()
    };
    if let Some(sum) = sum {
        output.checksum_type = Some(ChecksumType::from_static(sum.kind().name()));
        show_sum!(output, Some((sum.sum.algorithm(), sum.to_string())));
    }
    output
}
