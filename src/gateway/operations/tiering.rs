//! Configurations of `INTELLIGENT_TIERING`, one by one, of the document that a bucket's control file shows (IT-10).

use super::super::bridge::Bridge;
use super::super::error::{refused, told};
use super::settings::told_of;
use crate::model::{Error, Result};
use crate::store::{
    RuleStatus, Store, TagElement, TierElement, TierName, TieringAnd, TieringDocument, TieringElement, TieringFilter,
};
use hyper::StatusCode;
use s3s::dto::{
    DeleteBucketIntelligentTieringConfigurationInput, DeleteBucketIntelligentTieringConfigurationOutput,
    GetBucketIntelligentTieringConfigurationInput, GetBucketIntelligentTieringConfigurationOutput,
    IntelligentTieringAccessTier, IntelligentTieringAndOperator, IntelligentTieringConfiguration,
    IntelligentTieringFilter, IntelligentTieringStatus, ListBucketIntelligentTieringConfigurationsInput,
    ListBucketIntelligentTieringConfigurationsOutput, PutBucketIntelligentTieringConfigurationInput,
    PutBucketIntelligentTieringConfigurationOutput, Tag, Tiering,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

const NAME: &str = "intelligent-tiering";
/// Configurations of one answer (IT-10).
const PAGE: usize = 100;

fn no_such() -> S3Error {
    refused(StatusCode::NOT_FOUND, "NoSuchConfiguration", "The specified configuration does not exist.")
}

fn malformed(message: impl Into<String>) -> S3Error {
    refused(StatusCode::BAD_REQUEST, "MalformedXML", message)
}

fn shown(element: TieringElement) -> IntelligentTieringConfiguration {
    let tag = |tag: TagElement| Tag { key: Some(tag.key), value: Some(tag.value) };
    let filter = element.filter.map(|filter| IntelligentTieringFilter {
        prefix: filter.prefix,
        tag: filter.tag.map(tag),
        and: filter.and.map(|and| IntelligentTieringAndOperator {
            prefix: and.prefix,
            tags: Some(and.tags.into_iter().map(tag).collect::<Vec<_>>()).filter(|tags| !tags.is_empty()),
        }),
    });
    let status = match element.status {
        RuleStatus::Enabled => IntelligentTieringStatus::ENABLED,
        RuleStatus::Disabled => IntelligentTieringStatus::DISABLED,
    };
    let tiering = |tier: TierElement| Tiering {
        access_tier: IntelligentTieringAccessTier::from_static(tier.access_tier.name()),
        days: i32::try_from(tier.days).unwrap_or(i32::MAX),
    };
    IntelligentTieringConfiguration {
        filter,
        id: element.id,
        status: IntelligentTieringStatus::from_static(status),
        tierings: element.tierings.into_iter().map(tiering).collect(),
    }
}

fn given(wanted: IntelligentTieringConfiguration) -> S3Result<TieringElement> {
    let tag = |tag: Tag| TagElement { key: tag.key.unwrap_or_default(), value: tag.value.unwrap_or_default() };
    let filter = wanted.filter.map(|filter| TieringFilter {
        prefix: filter.prefix,
        tag: filter.tag.map(tag),
        and: filter.and.map(|and| TieringAnd {
            prefix: and.prefix,
            tags: and.tags.unwrap_or_default().into_iter().map(tag).collect(),
        }),
    });
    let status = match wanted.status.as_str() {
        IntelligentTieringStatus::ENABLED => RuleStatus::Enabled,
        IntelligentTieringStatus::DISABLED => RuleStatus::Disabled,
        other => return Err(malformed(format!("a Status is Enabled or Disabled, not {other:?}"))),
    };
    let tiering = |tier: Tiering| {
        let known = [TierName::Archive, TierName::DeepArchive];
        let access_tier = known.into_iter().find(|name| name.name() == tier.access_tier.as_str());
        let access_tier =
            access_tier.ok_or_else(|| malformed("an AccessTier is ARCHIVE_ACCESS or DEEP_ARCHIVE_ACCESS"))?;
        Ok(TierElement { days: u32::try_from(tier.days).unwrap_or(0), access_tier })
    };
    let tierings = wanted.tierings.into_iter().map(tiering).collect::<S3Result<_>>()?;
    Ok(TieringElement { id: wanted.id, filter, status, tierings })
}

async fn document(bridge: &Bridge, bucket: String) -> S3Result<TieringDocument> {
    let value = told_of(bridge, bucket, NAME).await?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

pub(in super::super) async fn get(
    bridge: &Bridge,
    request: S3Request<GetBucketIntelligentTieringConfigurationInput>,
) -> S3Result<S3Response<GetBucketIntelligentTieringConfigurationOutput>> {
    let input = request.input;
    let document = document(bridge, input.bucket).await?;
    let found = document.configurations.into_iter().find(|one| one.id == input.id).ok_or_else(no_such)?;
    let output =
        GetBucketIntelligentTieringConfigurationOutput { intelligent_tiering_configuration: Some(shown(found)) };
    Ok(S3Response::new(output))
}

pub(in super::super) async fn list(
    bridge: &Bridge,
    request: S3Request<ListBucketIntelligentTieringConfigurationsInput>,
) -> S3Result<S3Response<ListBucketIntelligentTieringConfigurationsOutput>> {
    let input = request.input;
    let mut configurations = document(bridge, input.bucket).await?.configurations;
    configurations.sort_by(|one, other| one.id.cmp(&other.id));
    let after = input.continuation_token.clone().unwrap_or_default();
    let mut rest = configurations.into_iter().filter(|one| one.id > after);
    let page: Vec<_> = rest.by_ref().take(PAGE).collect();
    let is_truncated = rest.next().is_some();
    let next_continuation_token = page.last().filter(|_| is_truncated).map(|last| last.id.clone());
    Ok(S3Response::new(ListBucketIntelligentTieringConfigurationsOutput {
        continuation_token: input.continuation_token,
        intelligent_tiering_configuration_list: Some(page.into_iter().map(shown).collect()),
        is_truncated: Some(is_truncated),
        next_continuation_token,
    }))
}

/// Changes a bucket's configurations, and says whether there was one of that name.
fn change(store: &Store, bucket: &str, id: &str, new: Option<TieringElement>) -> Result<bool> {
    let mut was_there = false;
    store.edit_tiering(bucket, |document| {
        let before = document.configurations.len();
        document.configurations.retain(|one| one.id != id);
        was_there = document.configurations.len() < before;
        document.configurations.extend(new);
        Ok(())
    })?;
    Ok(was_there)
}

pub(in super::super) async fn put(
    bridge: &Bridge,
    request: S3Request<PutBucketIntelligentTieringConfigurationInput>,
) -> S3Result<S3Response<PutBucketIntelligentTieringConfigurationOutput>> {
    let input = request.input;
    let wanted = given(input.intelligent_tiering_configuration)?;
    if wanted.id != input.id {
        return Err(told(
            &Error::new(crate::model::Kind::InvalidArgument, "cannot set the configuration")
                .why("its Id is another than the request names"),
        ));
    }
    let put = move |store: &Store| change(store, &input.bucket, &input.id, Some(wanted));
    bridge.change(move |store| put(store).map_err(|error| told(&error))).await?;
    Ok(S3Response::new(PutBucketIntelligentTieringConfigurationOutput::default()))
}

pub(in super::super) async fn delete(
    bridge: &Bridge,
    request: S3Request<DeleteBucketIntelligentTieringConfigurationInput>,
) -> S3Result<S3Response<DeleteBucketIntelligentTieringConfigurationOutput>> {
    let input = request.input;
    let was_there =
        bridge.change(move |store| change(store, &input.bucket, &input.id, None).map_err(|error| told(&error))).await?;
    if !was_there {
        return Err(no_such());
    }
    Ok(S3Response::new(DeleteBucketIntelligentTieringConfigurationOutput::default()))
}
