//! Deleting objects, versions and delete markers, one or many (DEL, COND-12, COND-13).

use super::super::bridge::Bridge;
use super::super::error::{not_built, refused, told};
use super::conditions;
use super::lock::Asker;
use super::{object_key, version_id};
use crate::model::{Leave, Versioning};
use crate::store::{Condition, DeleteOne, Deleted};
use hyper::StatusCode;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETagCondition,
    Error, ObjectIdentifier,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

/// Most keys of one request (DEL-8).
const KEYS_MAX: usize = 1000;

pub(in super::super) async fn delete(
    bridge: &Bridge,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let asker = Asker::of(bridge, &request);
    let input = request.input;
    if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
        return Err(not_built("conditions on time and size, which are for directory buckets"));
    }
    let (bucket, key) = (input.bucket, object_key(&input.key)?);
    let version = version_id(input.version_id.as_deref())?;
    let condition = conditions::of_write(input.if_match.as_ref(), None)?;
    let (deleted, versioning) = bridge
        .change(move |store| {
            let found = store.bucket(&bucket).map_err(|error| told(&error))?;
            let mfa = input.mfa.as_deref().filter(|_| version.is_some());
            let mfa = asker.factor(&found, mfa).map_err(|error| told(&error))?;
            let leave = asker.leave(input.bypass_governance_retention, mfa, &bucket, &key);
            let one = DeleteOne { key, version, condition, leave };
            let deleted = store.delete_with(&bucket, &one).map_err(|error| told(&error))?;
            Ok((deleted, found.versioning))
        })
        .await?;
    let output = DeleteObjectOutput {
        delete_marker: deleted.marker.then_some(true),
        version_id: deleted.version.filter(|_| versioning != Versioning::Unversioned).map(|id| id.to_string()),
        ..DeleteObjectOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(in super::super) async fn delete_many(
    bridge: &Bridge,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    // DEL-8.
    let compared = request.headers.keys().map(|name| name.as_str());
    let mut compared = compared.filter(|name| *name == "content-md5" || name.starts_with("x-amz-checksum-"));
    if compared.next().is_none() && !request.headers.contains_key("x-amz-trailer") {
        let message = "Missing required header for this request: Content-MD5 or x-amz-checksum-*";
        return Err(refused(StatusCode::BAD_REQUEST, "InvalidRequest", message));
    }
    let asker = Asker::of(bridge, &request);
    let input = request.input;
    let (bucket, wanted) = (input.bucket, input.delete.objects);
    if wanted.is_empty() || wanted.len() > KEYS_MAX {
        let message = format!("a request deletes 1 to {KEYS_MAX} keys, not {} (DEL-8)", wanted.len());
        return Err(refused(StatusCode::BAD_REQUEST, "MalformedXML", message));
    }
    // What cannot be asked of the engine is answered beside what it answers, in order.
    let asked: Vec<Result<DeleteOne, S3Error>> = wanted.iter().map(one).collect();
    // Any of them, also one that cannot be asked for (MFA-6).
    let for_good = wanted.iter().any(|one| one.version_id.as_ref().is_some_and(|id| !id.is_empty()));
    let mut calls: Vec<DeleteOne> = asked.iter().filter_map(|asked| asked.as_ref().ok().cloned()).collect();
    let answers = bridge
        .change(move |store| {
            let found = store.bucket(&bucket).map_err(|error| told(&error))?;
            let mfa = asker.factor(&found, input.mfa.as_deref().filter(|_| for_good)).map_err(|error| told(&error))?;
            if for_good && !mfa && found.mfa_delete == Some(true) {
                let message = "Mfa Authentication must be used for this request: it deletes versions for good (MFA-6)";
                return Err(refused(StatusCode::FORBIDDEN, "AccessDenied", message));
            }
            for one in &mut calls {
                one.leave = asker.leave(input.bypass_governance_retention, mfa, &bucket, &one.key);
            }
            store.delete_many(&bucket, &calls).map_err(|error| told(&error))
        })
        .await?;
    let mut answers = answers.into_iter();
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for (wanted, asked) in wanted.into_iter().zip(asked) {
        let answer = match asked {
            Err(error) => Err(error),
            Ok(_) => match answers.next() {
                Some(answer) => answer.map_err(|error| told(&error)),
                None => Err(refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "the key was passed by")),
            },
        };
        match answer {
            Ok(done) => deleted.push(shown(wanted, done)),
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(wanted.key),
                message: error.message().map(str::to_owned),
                version_id: wanted.version_id,
            }),
        }
    }
    let quiet = input.delete.quiet.unwrap_or_default();
    let output = DeleteObjectsOutput {
        deleted: Some(deleted).filter(|_| !quiet),
        errors: Some(errors).filter(|errors| !errors.is_empty()),
        ..DeleteObjectsOutput::default()
    };
    Ok(S3Response::new(output))
}

fn one(wanted: &ObjectIdentifier) -> S3Result<DeleteOne> {
    if wanted.last_modified_time.is_some() || wanted.size.is_some() {
        return Err(not_built("conditions on time and size, which are for directory buckets"));
    }
    let tag = wanted.e_tag.clone().map(|tag| match tag.value() {
        "*" => ETagCondition::Any,
        _ => ETagCondition::ETag(tag),
    });
    Ok(DeleteOne {
        key: object_key(&wanted.key)?,
        version: version_id(wanted.version_id.as_deref().filter(|id| !id.is_empty()))?,
        condition: tag.map_or(Ok(Condition::Always), |tag| conditions::of_write(Some(&tag), None))?,
        leave: Leave::default(),
    })
}

/// DEL-9: a marker that was made, or one that was deleted by its id, is told as such.
fn shown(wanted: ObjectIdentifier, done: Deleted) -> DeletedObject {
    DeletedObject {
        delete_marker: done.marker.then_some(true),
        delete_marker_version_id: done.version.filter(|_| done.marker).map(|id| id.to_string()),
        key: Some(wanted.key),
        version_id: wanted.version_id,
    }
}
