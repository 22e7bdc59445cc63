//! Analytics configurations, one by one, of the document that a bucket's control file shows (SCA-1).

use super::super::bridge::Bridge;
use super::super::error::{refused, told};
use super::settings::told_of;
use crate::model::{Error, Result};
use crate::store::{
    AnalysisElement, AnalyticsDocument, AnalyticsElement, BucketElement, DestinationElement, ExportElement, Store,
    TagElement, TieringAnd, TieringFilter,
};
use hyper::StatusCode;
use s3s::dto::{
    AnalyticsAndOperator, AnalyticsConfiguration, AnalyticsExportDestination, AnalyticsFilter,
    AnalyticsS3BucketDestination, AnalyticsS3ExportFileFormat, DeleteBucketAnalyticsConfigurationInput,
    DeleteBucketAnalyticsConfigurationOutput, GetBucketAnalyticsConfigurationInput,
    GetBucketAnalyticsConfigurationOutput, ListBucketAnalyticsConfigurationsInput,
    ListBucketAnalyticsConfigurationsOutput, PutBucketAnalyticsConfigurationInput,
    PutBucketAnalyticsConfigurationOutput, StorageClassAnalysis, StorageClassAnalysisDataExport,
    StorageClassAnalysisSchemaVersion, Tag,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

const NAME: &str = "analytics";
/// Configurations of one answer.
const PAGE: usize = 100;

fn no_such() -> S3Error {
    refused(StatusCode::NOT_FOUND, "NoSuchConfiguration", "The specified configuration does not exist.")
}

fn shown(element: AnalyticsElement) -> AnalyticsConfiguration {
    let tag = |tag: TagElement| Tag { key: Some(tag.key), value: Some(tag.value) };
    let filter = element.filter.and_then(|filter| match filter {
        TieringFilter { and: Some(and), .. } => Some(AnalyticsFilter::And(AnalyticsAndOperator {
            prefix: and.prefix,
            tags: Some(and.tags.into_iter().map(tag).collect::<Vec<_>>()).filter(|tags| !tags.is_empty()),
        })),
        TieringFilter { tag: Some(one), .. } => Some(AnalyticsFilter::Tag(tag(one))),
        TieringFilter { prefix, .. } => prefix.map(AnalyticsFilter::Prefix),
    });
    let data_export = element.storage_class_analysis.data_export.map(|export| {
        let BucketElement { format, bucket_account_id, bucket, prefix } = export.destination.bucket;
        let format = AnalyticsS3ExportFileFormat::from(format);
        StorageClassAnalysisDataExport {
            destination: AnalyticsExportDestination {
                s3_bucket_destination: AnalyticsS3BucketDestination { bucket, bucket_account_id, format, prefix },
            },
            output_schema_version: StorageClassAnalysisSchemaVersion::from(export.output_schema_version),
        }
    });
    AnalyticsConfiguration { filter, id: element.id, storage_class_analysis: StorageClassAnalysis { data_export } }
}

fn given(wanted: AnalyticsConfiguration) -> S3Result<AnalyticsElement> {
    let tag = |tag: Tag| TagElement { key: tag.key.unwrap_or_default(), value: tag.value.unwrap_or_default() };
    let none = TieringFilter::default;
    let filter = match wanted.filter {
        None => None,
        Some(AnalyticsFilter::Prefix(prefix)) => Some(TieringFilter { prefix: Some(prefix), ..none() }),
        Some(AnalyticsFilter::Tag(one)) => Some(TieringFilter { tag: Some(tag(one)), ..none() }),
        Some(AnalyticsFilter::And(and)) => {
            let tags = and.tags.unwrap_or_default().into_iter().map(tag).collect();
            Some(TieringFilter { and: Some(TieringAnd { prefix: and.prefix, tags }), ..none() })
        }
        Some(_) => {
            return Err(refused(StatusCode::BAD_REQUEST, "MalformedXML", "a Filter has a Prefix, a Tag or an And"));
        }
    };
    let data_export = wanted.storage_class_analysis.data_export.map(|export| {
        let to = export.destination.s3_bucket_destination;
        let bucket = BucketElement {
            format: to.format.as_str().to_owned(),
            bucket_account_id: to.bucket_account_id,
            bucket: to.bucket,
            prefix: to.prefix,
        };
        let output_schema_version = export.output_schema_version.as_str().to_owned();
        ExportElement { output_schema_version, destination: DestinationElement { bucket } }
    });
    Ok(AnalyticsElement { id: wanted.id, filter, storage_class_analysis: AnalysisElement { data_export } })
}

async fn document(bridge: &Bridge, bucket: String) -> S3Result<AnalyticsDocument> {
    let value = told_of(bridge, bucket, NAME).await?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

pub(in super::super) async fn get(
    bridge: &Bridge,
    request: S3Request<GetBucketAnalyticsConfigurationInput>,
) -> S3Result<S3Response<GetBucketAnalyticsConfigurationOutput>> {
    let input = request.input;
    let document = document(bridge, input.bucket).await?;
    let found = document.configurations.into_iter().find(|one| one.id == input.id).ok_or_else(no_such)?;
    Ok(S3Response::new(GetBucketAnalyticsConfigurationOutput { analytics_configuration: Some(shown(found)) }))
}

pub(in super::super) async fn list(
    bridge: &Bridge,
    request: S3Request<ListBucketAnalyticsConfigurationsInput>,
) -> S3Result<S3Response<ListBucketAnalyticsConfigurationsOutput>> {
    let input = request.input;
    let mut configurations = document(bridge, input.bucket).await?.configurations;
    configurations.sort_by(|one, other| one.id.cmp(&other.id));
    let after = input.continuation_token.clone().unwrap_or_default();
    let mut rest = configurations.into_iter().filter(|one| one.id > after);
    let page: Vec<_> = rest.by_ref().take(PAGE).collect();
    let is_truncated = rest.next().is_some();
    let next_continuation_token = page.last().filter(|_| is_truncated).map(|last| last.id.clone());
    Ok(S3Response::new(ListBucketAnalyticsConfigurationsOutput {
        analytics_configuration_list: Some(page.into_iter().map(shown).collect()),
        continuation_token: input.continuation_token,
        is_truncated: Some(is_truncated),
        next_continuation_token,
    }))
}

/// Changes a bucket's configurations, and says whether there was one of that name.
fn change(store: &Store, bucket: &str, id: &str, new: Option<AnalyticsElement>) -> Result<bool> {
    let mut was_there = false;
    store.edit_analytics(bucket, |document| {
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
    request: S3Request<PutBucketAnalyticsConfigurationInput>,
) -> S3Result<S3Response<PutBucketAnalyticsConfigurationOutput>> {
    let input = request.input;
    let wanted = given(input.analytics_configuration)?;
    if wanted.id != input.id {
        return Err(told(
            &Error::new(crate::model::Kind::InvalidArgument, "cannot set the configuration")
                .why("its Id is another than the request names"),
        ));
    }
    let put = move |store: &Store| change(store, &input.bucket, &input.id, Some(wanted));
    bridge.change(move |store| put(store).map_err(|error| told(&error))).await?;
    Ok(S3Response::new(PutBucketAnalyticsConfigurationOutput::default()))
}

pub(in super::super) async fn delete(
    bridge: &Bridge,
    request: S3Request<DeleteBucketAnalyticsConfigurationInput>,
) -> S3Result<S3Response<DeleteBucketAnalyticsConfigurationOutput>> {
    let input = request.input;
    let was_there =
        bridge.change(move |store| change(store, &input.bucket, &input.id, None).map_err(|error| told(&error))).await?;
    if !was_there {
        return Err(no_such());
    }
    Ok(S3Response::new(DeleteBucketAnalyticsConfigurationOutput::default()))
}
