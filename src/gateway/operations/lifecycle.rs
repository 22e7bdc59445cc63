//! A bucket's lifecycle rules, as the document that its control file shows (LC-1 to LC-3, LC-15).

use super::super::bridge::Bridge;
use super::super::error::{refused, told};
use super::configurations::{shown_tag, shown_tags};
use super::settings::{set, unset};
use super::time;
use crate::store::lifecycle::{
    AndElement, ExpirationElement, FilterElement, LifecycleDocument, LifecycleRule as Rule, RuleStatus,
};
use hyper::StatusCode;
use s3s::dto::{
    AbortIncompleteMultipartUpload, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput, ExpirationStatus,
    GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput, LifecycleExpiration, LifecycleRule,
    LifecycleRuleAndOperator, LifecycleRuleFilter, NoncurrentVersionExpiration, NoncurrentVersionTransition,
    PutBucketLifecycleConfigurationInput, PutBucketLifecycleConfigurationOutput, Tag, Timestamp, TimestampFormat,
    Transition, TransitionDefaultMinimumObjectSize, TransitionStorageClass,
};
use s3s::{S3Request, S3Response, S3Result};
use serde_json::{Map, Value, json};

const DOCUMENT: &str = "lifecycle";

/// Members of an object of the document; those that were not given are left out.
fn members<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

/// What a rule of a request says, in the words of the document. Whether it may is for the document to judge.
fn given(rule: LifecycleRule) -> Value {
    let transitions = rule.transitions.map(|list| list.into_iter().map(given_transition).collect());
    let noncurrent = rule.noncurrent_version_transitions.map(|list| list.into_iter().map(given_noncurrent).collect());
    members([
        ("ID", rule.id.map(Value::from)),
        ("Prefix", rule.prefix.map(Value::from)),
        ("Filter", rule.filter.map(given_filter)),
        ("Status", Some(rule.status.as_str().into())),
        ("Expiration", rule.expiration.map(given_expiration)),
        ("Transitions", transitions),
        ("NoncurrentVersionTransitions", noncurrent),
        (
            "NoncurrentVersionExpiration",
            rule.noncurrent_version_expiration.map(|element| {
                members([
                    ("NoncurrentDays", element.noncurrent_days.map(Value::from)),
                    ("NewerNoncurrentVersions", element.newer_noncurrent_versions.map(Value::from)),
                ])
            }),
        ),
        (
            "AbortIncompleteMultipartUpload",
            rule.abort_incomplete_multipart_upload
                .map(|element| members([("DaysAfterInitiation", element.days_after_initiation.map(Value::from))])),
        ),
    ])
}

fn given_tag(tag: Tag) -> Value {
    members([("Key", tag.key.map(Value::from)), ("Value", tag.value.map(Value::from))])
}

fn given_filter(filter: LifecycleRuleFilter) -> Value {
    let and = filter.and.map(|and| {
        members([
            ("Prefix", and.prefix.map(Value::from)),
            ("Tags", and.tags.map(|tags| tags.into_iter().map(given_tag).collect())),
            ("ObjectSizeGreaterThan", and.object_size_greater_than.map(Value::from)),
            ("ObjectSizeLessThan", and.object_size_less_than.map(Value::from)),
        ])
    });
    members([
        ("Prefix", filter.prefix.map(Value::from)),
        ("Tag", filter.tag.map(given_tag)),
        ("ObjectSizeGreaterThan", filter.object_size_greater_than.map(Value::from)),
        ("ObjectSizeLessThan", filter.object_size_less_than.map(Value::from)),
        ("And", and),
    ])
}

fn given_date(date: &Timestamp) -> Value {
    let mut text = Vec::new();
    match date.format(TimestampFormat::DateTime, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned().into(),
        Err(_) => Value::Null,
    }
}

fn given_expiration(element: LifecycleExpiration) -> Value {
    members([
        ("Date", element.date.as_ref().map(given_date)),
        ("Days", element.days.map(Value::from)),
        ("ExpiredObjectDeleteMarker", element.expired_object_delete_marker.map(Value::from)),
    ])
}

fn given_transition(element: Transition) -> Value {
    members([
        ("Date", element.date.as_ref().map(given_date)),
        ("Days", element.days.map(Value::from)),
        ("StorageClass", element.storage_class.map(|class| class.as_str().into())),
    ])
}

fn given_noncurrent(element: NoncurrentVersionTransition) -> Value {
    members([
        ("NoncurrentDays", element.noncurrent_days.map(Value::from)),
        ("NewerNoncurrentVersions", element.newer_noncurrent_versions.map(Value::from)),
        ("StorageClass", element.storage_class.map(|class| class.as_str().into())),
    ])
}

fn shown(rule: Rule) -> LifecycleRule {
    let class = |class: crate::model::StorageClass| Some(TransitionStorageClass::from_static(class.name()));
    let transitions = rule.transitions.into_iter().map(|element| Transition {
        date: element.date.map(time),
        days: element.days,
        storage_class: class(element.storage_class),
    });
    let noncurrent = rule.noncurrent_version_transitions.into_iter().map(|element| NoncurrentVersionTransition {
        noncurrent_days: Some(element.noncurrent_days),
        newer_noncurrent_versions: element.newer_noncurrent_versions,
        storage_class: class(element.storage_class),
    });
    let status = match rule.status {
        RuleStatus::Enabled => ExpirationStatus::ENABLED,
        RuleStatus::Disabled => ExpirationStatus::DISABLED,
    };
    LifecycleRule {
        abort_incomplete_multipart_upload: rule.abort_incomplete_multipart_upload.map(|element| {
            AbortIncompleteMultipartUpload { days_after_initiation: Some(element.days_after_initiation) }
        }),
        expiration: rule.expiration.map(shown_expiration),
        filter: rule.filter.map(shown_filter),
        id: rule.id,
        noncurrent_version_expiration: rule.noncurrent_version_expiration.map(|element| NoncurrentVersionExpiration {
            noncurrent_days: Some(element.noncurrent_days),
            newer_noncurrent_versions: element.newer_noncurrent_versions,
        }),
        noncurrent_version_transitions: Some(noncurrent.collect()).filter(|list: &Vec<_>| !list.is_empty()),
        prefix: rule.prefix,
        status: ExpirationStatus::from_static(status),
        transitions: Some(transitions.collect()).filter(|list: &Vec<_>| !list.is_empty()),
    }
}

fn shown_expiration(element: ExpirationElement) -> LifecycleExpiration {
    LifecycleExpiration {
        date: element.date.map(time),
        days: element.days,
        expired_object_delete_marker: element.expired_object_delete_marker,
    }
}

fn shown_filter(filter: FilterElement) -> LifecycleRuleFilter {
    let and = |and: AndElement| LifecycleRuleAndOperator {
        object_size_greater_than: and.object_size_greater_than,
        object_size_less_than: and.object_size_less_than,
        prefix: and.prefix,
        tags: shown_tags(and.tags),
    };
    LifecycleRuleFilter {
        and: filter.and.map(and),
        object_size_greater_than: filter.object_size_greater_than,
        object_size_less_than: filter.object_size_less_than,
        prefix: filter.prefix,
        tag: filter.tag.map(shown_tag),
    }
}

pub(in super::super) async fn get(
    bridge: &Bridge,
    request: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
    let bucket = request.input.bucket;
    let found = bridge
        .ask(move |store| {
            let bucket = store.bucket(&bucket).map_err(|error| told(&error))?;
            let text = bucket.documents.get(DOCUMENT);
            text.map(|text| LifecycleDocument::parse(text.as_bytes()).map_err(|error| told(&error))).transpose()
        })
        .await?;
    let message = "The lifecycle configuration does not exist";
    let found = found.ok_or_else(|| refused(StatusCode::NOT_FOUND, "NoSuchLifecycleConfiguration", message))?;
    Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
        transition_default_minimum_object_size: Some(TransitionDefaultMinimumObjectSize::from(
            found.transition_default_minimum_object_size,
        )),
        rules: Some(found.rules.into_iter().map(shown).collect()),
    }))
}

pub(in super::super) async fn put(
    bridge: &Bridge,
    request: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
    let input = request.input;
    let rules = input.lifecycle_configuration.map(|document| document.rules).unwrap_or_default();
    let mut value = json!({ "Rules": rules.into_iter().map(given).collect::<Vec<_>>() });
    let size = input.transition_default_minimum_object_size;
    if let Some(size) = &size {
        value["TransitionDefaultMinimumObjectSize"] = size.as_str().into();
    }
    set(bridge, input.bucket, DOCUMENT, value).await?;
    Ok(S3Response::new(PutBucketLifecycleConfigurationOutput { transition_default_minimum_object_size: size }))
}

pub(in super::super) async fn delete(
    bridge: &Bridge,
    request: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
    unset(bridge, request.input.bucket, DOCUMENT).await?;
    Ok(S3Response::new(DeleteBucketLifecycleOutput::default()))
}
