//! Settings that are the same for every bucket in this release: what is so is told and may be said again, all else is 501 by
//! the document's validator.

use super::super::bridge::Bridge;
use super::super::error::not_built;
use super::settings::{exists, set, told_of};
use s3s::dto::{
    GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput, GetBucketRequestPaymentInput,
    GetBucketRequestPaymentOutput, GetPublicAccessBlockInput, GetPublicAccessBlockOutput, ObjectOwnership,
    OwnershipControls, OwnershipControlsRule, Payer, PublicAccessBlockConfiguration, PutBucketLoggingInput,
    PutBucketLoggingOutput, PutBucketNotificationConfigurationInput, PutBucketNotificationConfigurationOutput,
    PutBucketOwnershipControlsInput, PutBucketOwnershipControlsOutput, PutBucketRequestPaymentInput,
    PutBucketRequestPaymentOutput, PutPublicAccessBlockInput, PutPublicAccessBlockOutput,
};
use s3s::{S3Request, S3Response, S3Result};
use serde_json::{Value, json};

/// ACL-1.
pub(in super::super) async fn ownership(
    bridge: &Bridge,
    request: S3Request<GetBucketOwnershipControlsInput>,
) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
    let value = told_of(bridge, request.input.bucket, "ownership").await?;
    let rules = value["OwnershipControls"]["Rules"].as_array().into_iter().flatten();
    let rules = rules
        .filter_map(|rule| rule["ObjectOwnership"].as_str())
        .map(|ownership| OwnershipControlsRule { object_ownership: ObjectOwnership::from(ownership.to_owned()) });
    let ownership_controls = Some(OwnershipControls { rules: rules.collect() });
    Ok(S3Response::new(GetBucketOwnershipControlsOutput { ownership_controls }))
}

pub(in super::super) async fn set_ownership(
    bridge: &Bridge,
    request: S3Request<PutBucketOwnershipControlsInput>,
) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
    let rules = request.input.ownership_controls.rules;
    let rules: Vec<Value> =
        rules.iter().map(|rule| json!({"ObjectOwnership": rule.object_ownership.as_str()})).collect();
    set(bridge, request.input.bucket, "ownership", json!({ "Rules": rules })).await?;
    Ok(S3Response::new(PutBucketOwnershipControlsOutput::default()))
}

/// BPA-8.
pub(in super::super) async fn public_access(
    bridge: &Bridge,
    request: S3Request<GetPublicAccessBlockInput>,
) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
    let value = told_of(bridge, request.input.bucket, "public-access-block").await?;
    let switch = |name: &str| value["PublicAccessBlockConfiguration"][name].as_bool();
    let told = PublicAccessBlockConfiguration {
        block_public_acls: switch("BlockPublicAcls"),
        block_public_policy: switch("BlockPublicPolicy"),
        ignore_public_acls: switch("IgnorePublicAcls"),
        restrict_public_buckets: switch("RestrictPublicBuckets"),
    };
    Ok(S3Response::new(GetPublicAccessBlockOutput { public_access_block_configuration: Some(told) }))
}

pub(in super::super) async fn set_public_access(
    bridge: &Bridge,
    request: S3Request<PutPublicAccessBlockInput>,
) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
    let wanted = request.input.public_access_block_configuration;
    // A switch that is left out is off.
    let value = json!({
        "BlockPublicAcls": wanted.block_public_acls.unwrap_or_default(),
        "IgnorePublicAcls": wanted.ignore_public_acls.unwrap_or_default(),
        "BlockPublicPolicy": wanted.block_public_policy.unwrap_or_default(),
        "RestrictPublicBuckets": wanted.restrict_public_buckets.unwrap_or_default(),
    });
    set(bridge, request.input.bucket, "public-access-block", value).await?;
    Ok(S3Response::new(PutPublicAccessBlockOutput::default()))
}

pub(in super::super) async fn payer(
    bridge: &Bridge,
    request: S3Request<GetBucketRequestPaymentInput>,
) -> S3Result<S3Response<GetBucketRequestPaymentOutput>> {
    let value = told_of(bridge, request.input.bucket, "request-payment").await?;
    let payer = value["Payer"].as_str().map(|payer| Payer::from(payer.to_owned()));
    Ok(S3Response::new(GetBucketRequestPaymentOutput { payer }))
}

pub(in super::super) async fn set_payer(
    bridge: &Bridge,
    request: S3Request<PutBucketRequestPaymentInput>,
) -> S3Result<S3Response<PutBucketRequestPaymentOutput>> {
    let value = json!({"Payer": request.input.request_payment_configuration.payer.as_str()});
    set(bridge, request.input.bucket, "request-payment", value).await?;
    Ok(S3Response::new(PutBucketRequestPaymentOutput::default()))
}

/// No access log is what every bucket has.
pub(in super::super) async fn set_logging(
    bridge: &Bridge,
    request: S3Request<PutBucketLoggingInput>,
) -> S3Result<S3Response<PutBucketLoggingOutput>> {
    exists(bridge, request.input.bucket).await?;
    match request.input.bucket_logging_status.logging_enabled {
        None => Ok(S3Response::new(PutBucketLoggingOutput::default())),
        Some(_) => Err(not_built("access logs")),
    }
}

/// No notification is what every bucket has.
pub(in super::super) async fn set_notification(
    bridge: &Bridge,
    request: S3Request<PutBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
    exists(bridge, request.input.bucket).await?;
    let wanted = request.input.notification_configuration;
    let empty = wanted.event_bridge_configuration.is_none()
        && wanted.lambda_function_configurations.is_none_or(|list| list.is_empty())
        && wanted.queue_configurations.is_none_or(|list| list.is_empty())
        && wanted.topic_configurations.is_none_or(|list| list.is_empty());
    if !empty {
        return Err(not_built("notifications"));
    }
    Ok(S3Response::new(PutBucketNotificationConfigurationOutput::default()))
}
