//! A bucket's settings: versioning and tags, as the documents that its control files show.

use super::super::bridge::Bridge;
use super::super::error::{refused, told};
use super::lock::Asker;
use crate::model::{Error, Kind, Leave, Result};
use crate::store::{Document, Store};
use hyper::StatusCode;
use s3s::dto::{
    BucketVersioningStatus, DeleteBucketTaggingInput, DeleteBucketTaggingOutput, GetBucketTaggingInput,
    GetBucketTaggingOutput, GetBucketVersioningInput, GetBucketVersioningOutput, MFADeleteStatus,
    PutBucketTaggingInput, PutBucketTaggingOutput, PutBucketVersioningInput, PutBucketVersioningOutput, Tag,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};
use serde_json::{Value, json};
use std::sync::Arc;

/// The document called `name`; the table has it.
pub(super) fn document(name: &str) -> Result<&'static Document> {
    Document::named(name)
        .ok_or_else(|| Error::new(Kind::Unsupported, format!("a bucket has no {name}")).why("no document is called so"))
}

/// The document called `name` of a bucket, null where it is not set.
pub(super) async fn told_of(bridge: &Bridge, bucket: String, name: &'static str) -> S3Result<Value> {
    let read = move |store: &Arc<Store>| -> Result<Option<String>> {
        Ok(document(name)?.read(store, &store.bucket(&bucket)?))
    };
    let text = bridge.ask(move |store| read(store).map_err(|error| told(&error))).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Replaces the document called `name`, if the value is valid.
fn replace(store: &Store, bucket: &str, name: &str, value: &Value) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).unwrap_or_default();
    document(name)?.replace(store, &store.bucket(bucket)?, &text)
}

/// The same, with S3's usual refusals.
pub(super) async fn set(bridge: &Bridge, bucket: String, name: &'static str, value: Value) -> S3Result<()> {
    bridge.change(move |store| replace(store, &bucket, name, &value).map_err(|error| told(&error))).await
}

/// Takes the document called `name` away; that there was none is well.
pub(super) async fn unset(bridge: &Bridge, bucket: String, name: &'static str) -> S3Result<()> {
    bridge.change(move |store| store.set_document(&bucket, name, None).map_err(|error| told(&error))).await
}

/// That a bucket is there.
pub(super) async fn exists(bridge: &Bridge, name: String) -> S3Result<()> {
    bridge.ask(move |store| store.bucket(&name).map(drop).map_err(|error| told(&error))).await
}

pub(in super::super) async fn versioning(
    bridge: &Bridge,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    let bucket = request.input.bucket;
    let found = bridge.ask(move |store| store.bucket(&bucket).map_err(|error| told(&error))).await?;
    let status = found.versioning.status().map(BucketVersioningStatus::from_static);
    let mfa = found.mfa_delete.map(|on| if on { MFADeleteStatus::ENABLED } else { MFADeleteStatus::DISABLED });
    let mfa_delete = mfa.map(MFADeleteStatus::from_static);
    Ok(S3Response::new(GetBucketVersioningOutput { status, mfa_delete }))
}

pub(in super::super) async fn set_versioning(
    bridge: &Bridge,
    request: S3Request<PutBucketVersioningInput>,
) -> S3Result<S3Response<PutBucketVersioningOutput>> {
    let asker = Asker::of(bridge, &request);
    let (bucket, wanted, mfa) = (request.input.bucket, request.input.versioning_configuration, request.input.mfa);
    let mut value = json!({});
    if let Some(status) = &wanted.status {
        value["Status"] = status.as_str().into();
    }
    if let Some(mfa) = &wanted.mfa_delete {
        value["MFADelete"] = mfa.as_str().into();
    }
    // VER-18: a word that is none has a code of its own.
    let refusal = |error: &Error| match error.kind() {
        Kind::InvalidArgument => {
            refused(StatusCode::BAD_REQUEST, "IllegalVersioningConfigurationException", error.to_string())
        }
        _ => told(error),
    };
    if wanted.status.is_none() {
        let message = "the configuration has no Status";
        return Err(refused(StatusCode::BAD_REQUEST, "IllegalVersioningConfigurationException", message));
    }
    let set = move |store: &Arc<Store>| -> Result<()> {
        let (bucket, document) = (store.bucket(&bucket)?, document("versioning")?);
        let text = serde_json::to_vec(&value).unwrap_or_default();
        document.check(&store.account_id(), &text)?;
        // MFA-1, MFA-3: where MFA delete is on, and to turn it on.
        let needed = bucket.mfa_delete == Some(true) || value["MFADelete"] == "Enabled";
        let given = mfa.as_deref().filter(|_| needed);
        given.map_or(Ok(()), |text| asker.take_code(text))?;
        document.replace_with(store, &bucket, &text, Leave { mfa: given.is_some(), ..Leave::default() })
    };
    bridge.change(move |store| set(store).map_err(|error| refusal(&error))).await?;
    Ok(S3Response::new(PutBucketVersioningOutput::default()))
}

pub(in super::super) async fn tagging(
    bridge: &Bridge,
    request: S3Request<GetBucketTaggingInput>,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let value = told_of(bridge, request.input.bucket, "tagging").await?;
    let tags = value["TagSet"]
        .as_array()
        .filter(|tags| !tags.is_empty())
        .ok_or_else(|| refused(StatusCode::NOT_FOUND, "NoSuchTagSet", "the bucket has no tags"))?;
    let member = |tag: &Value, name: &str| tag[name].as_str().map(str::to_owned);
    let tag_set = tags.iter().map(|tag| Tag { key: member(tag, "Key"), value: member(tag, "Value") }).collect();
    Ok(S3Response::new(GetBucketTaggingOutput { tag_set }))
}

pub(in super::super) async fn set_tagging(
    bridge: &Bridge,
    request: S3Request<PutBucketTaggingInput>,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let (bucket, tagging) = (request.input.bucket, request.input.tagging);
    let tags: Vec<Value> = tagging
        .tag_set
        .iter()
        .map(|tag| json!({"Key": tag.key.as_deref().unwrap_or_default(), "Value": tag.value.as_deref().unwrap_or_default()}))
        .collect();
    let refusal = |error: &Error| -> S3Error {
        match error.kind() {
            Kind::TooManyTags => refused(StatusCode::BAD_REQUEST, "TooManyTags", error.to_string()),
            _ => told(error),
        }
    };
    let value = json!({ "TagSet": tags });
    bridge.change(move |store| replace(store, &bucket, "tagging", &value).map_err(|error| refusal(&error))).await?;
    Ok(S3Response::new(PutBucketTaggingOutput::default()))
}

pub(in super::super) async fn unset_tagging(
    bridge: &Bridge,
    request: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
    unset(bridge, request.input.bucket, "tagging").await?;
    Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
}
