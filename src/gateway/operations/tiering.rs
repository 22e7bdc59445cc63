//! Configurations of `INTELLIGENT_TIERING`, one by one, of the document that a bucket's control file shows (IT-10).

use super::super::bridge::Bridge;
use super::super::error::refused;
use super::configurations::{self, Page, given_tag, given_tags, shown_tag, shown_tags};
use crate::store::{RuleStatus, TierElement, TierName, TieringAnd, TieringDocument, TieringElement, TieringFilter};
use hyper::StatusCode;
use s3s::dto::{
    DeleteBucketIntelligentTieringConfigurationInput, DeleteBucketIntelligentTieringConfigurationOutput,
    GetBucketIntelligentTieringConfigurationInput, GetBucketIntelligentTieringConfigurationOutput,
    IntelligentTieringAccessTier, IntelligentTieringAndOperator, IntelligentTieringConfiguration,
    IntelligentTieringFilter, IntelligentTieringStatus, ListBucketIntelligentTieringConfigurationsInput,
    ListBucketIntelligentTieringConfigurationsOutput, PutBucketIntelligentTieringConfigurationInput,
    PutBucketIntelligentTieringConfigurationOutput, Tiering,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

fn malformed(message: impl Into<String>) -> S3Error {
    refused(StatusCode::BAD_REQUEST, "MalformedXML", message)
}

fn shown(element: TieringElement) -> IntelligentTieringConfiguration {
    let filter = element.filter.map(|filter| IntelligentTieringFilter {
        prefix: filter.prefix,
        tag: filter.tag.map(shown_tag),
        and: filter.and.map(|and| IntelligentTieringAndOperator { prefix: and.prefix, tags: shown_tags(and.tags) }),
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
    let filter = wanted.filter.map(|filter| TieringFilter {
        prefix: filter.prefix,
        tag: filter.tag.map(given_tag),
        and: filter.and.map(|and| TieringAnd { prefix: and.prefix, tags: given_tags(and.tags) }),
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

pub(in super::super) async fn get(
    bridge: &Bridge,
    request: S3Request<GetBucketIntelligentTieringConfigurationInput>,
) -> S3Result<S3Response<GetBucketIntelligentTieringConfigurationOutput>> {
    let input = request.input;
    let found = configurations::get::<TieringDocument>(bridge, input.bucket, &input.id).await?;
    let output =
        GetBucketIntelligentTieringConfigurationOutput { intelligent_tiering_configuration: Some(shown(found)) };
    Ok(S3Response::new(output))
}

pub(in super::super) async fn list(
    bridge: &Bridge,
    request: S3Request<ListBucketIntelligentTieringConfigurationsInput>,
) -> S3Result<S3Response<ListBucketIntelligentTieringConfigurationsOutput>> {
    let input = request.input;
    let after = input.continuation_token.as_deref();
    let Page { found, next } = configurations::page::<TieringDocument>(bridge, input.bucket, after).await?;
    Ok(S3Response::new(ListBucketIntelligentTieringConfigurationsOutput {
        continuation_token: input.continuation_token,
        intelligent_tiering_configuration_list: Some(found.into_iter().map(shown).collect()),
        is_truncated: Some(next.is_some()),
        next_continuation_token: next,
    }))
}

pub(in super::super) async fn put(
    bridge: &Bridge,
    request: S3Request<PutBucketIntelligentTieringConfigurationInput>,
) -> S3Result<S3Response<PutBucketIntelligentTieringConfigurationOutput>> {
    let input = request.input;
    let wanted = given(input.intelligent_tiering_configuration)?;
    configurations::put::<TieringDocument>(bridge, input.bucket, &input.id, wanted).await?;
    Ok(S3Response::new(PutBucketIntelligentTieringConfigurationOutput::default()))
}

pub(in super::super) async fn delete(
    bridge: &Bridge,
    request: S3Request<DeleteBucketIntelligentTieringConfigurationInput>,
) -> S3Result<S3Response<DeleteBucketIntelligentTieringConfigurationOutput>> {
    let input = request.input;
    configurations::delete::<TieringDocument>(bridge, input.bucket, input.id).await?;
    Ok(S3Response::new(DeleteBucketIntelligentTieringConfigurationOutput::default()))
}
