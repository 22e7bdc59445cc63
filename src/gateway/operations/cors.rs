//! A bucket's rules for pages of other origins, as the document that its control file shows (CORS-2, CORS-10).

use super::super::bridge::Bridge;
use super::super::cors::rules;
use super::super::error::{refused, told};
use super::settings::{set, unset};
use crate::store::{CorsRule, CorsRules};
use hyper::StatusCode;
use s3s::dto::{
    CORSRule, DeleteBucketCorsInput, DeleteBucketCorsOutput, GetBucketCorsInput, GetBucketCorsOutput,
    PutBucketCorsInput, PutBucketCorsOutput,
};
use s3s::{S3Request, S3Response, S3Result};

fn shown(rule: CorsRule) -> CORSRule {
    let some = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    CORSRule {
        allowed_headers: some(rule.allowed_headers),
        allowed_methods: rule.allowed_methods,
        allowed_origins: rule.allowed_origins,
        expose_headers: some(rule.expose_headers),
        id: rule.id,
        max_age_seconds: rule.max_age_seconds,
    }
}

fn given(rule: CORSRule) -> CorsRule {
    CorsRule {
        id: rule.id,
        allowed_headers: rule.allowed_headers.unwrap_or_default(),
        allowed_methods: rule.allowed_methods,
        allowed_origins: rule.allowed_origins,
        expose_headers: rule.expose_headers.unwrap_or_default(),
        max_age_seconds: rule.max_age_seconds,
    }
}

pub(in super::super) async fn get(
    bridge: &Bridge,
    request: S3Request<GetBucketCorsInput>,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let bucket = request.input.bucket;
    let found = bridge
        .ask(move |store| {
            store.bucket(&bucket).map_err(|error| told(&error))?;
            rules(store, &bucket)
        })
        .await?;
    let message = "The CORS configuration does not exist";
    let found = found.ok_or_else(|| refused(StatusCode::NOT_FOUND, "NoSuchCORSConfiguration", message))?;
    Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(found.rules.into_iter().map(shown).collect()) }))
}

pub(in super::super) async fn put(
    bridge: &Bridge,
    request: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let bucket = request.input.bucket;
    let rules = request.input.cors_configuration.cors_rules.into_iter().map(given).collect();
    let value = serde_json::to_value(CorsRules { rules }).unwrap_or_default();
    set(bridge, bucket, "cors", value).await?;
    Ok(S3Response::new(PutBucketCorsOutput::default()))
}

pub(in super::super) async fn delete(
    bridge: &Bridge,
    request: S3Request<DeleteBucketCorsInput>,
) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
    unset(bridge, request.input.bucket, "cors").await?;
    Ok(S3Response::new(DeleteBucketCorsOutput::default()))
}
