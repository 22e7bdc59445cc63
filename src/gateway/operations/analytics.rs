//! Analytics configurations, one by one, of the document that a bucket's control file shows (SCA-1).

use super::super::bridge::Bridge;
use super::super::error::refused;
use super::configurations::{self, Page, given_tag, given_tags, shown_tag, shown_tags};
use crate::store::{
    AnalysisElement, AnalyticsDocument, AnalyticsElement, BucketElement, DestinationElement, ExportElement, TieringAnd,
    TieringFilter,
};
use hyper::StatusCode;
use s3s::dto::{
    AnalyticsAndOperator, AnalyticsConfiguration, AnalyticsExportDestination, AnalyticsFilter,
    AnalyticsS3BucketDestination, AnalyticsS3ExportFileFormat, DeleteBucketAnalyticsConfigurationInput,
    DeleteBucketAnalyticsConfigurationOutput, GetBucketAnalyticsConfigurationInput,
    GetBucketAnalyticsConfigurationOutput, ListBucketAnalyticsConfigurationsInput,
    ListBucketAnalyticsConfigurationsOutput, PutBucketAnalyticsConfigurationInput,
    PutBucketAnalyticsConfigurationOutput, StorageClassAnalysis, StorageClassAnalysisDataExport,
    StorageClassAnalysisSchemaVersion,
};
use s3s::{S3Request, S3Response, S3Result};

fn shown(element: AnalyticsElement) -> AnalyticsConfiguration {
    let filter = element.filter.and_then(|filter| match filter {
        TieringFilter { and: Some(and), .. } => {
            Some(AnalyticsFilter::And(AnalyticsAndOperator { prefix: and.prefix, tags: shown_tags(and.tags) }))
        }
        TieringFilter { tag: Some(one), .. } => Some(AnalyticsFilter::Tag(shown_tag(one))),
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
    let none = TieringFilter::default;
    let filter = match wanted.filter {
        None => None,
        Some(AnalyticsFilter::Prefix(prefix)) => Some(TieringFilter { prefix: Some(prefix), ..none() }),
        Some(AnalyticsFilter::Tag(one)) => Some(TieringFilter { tag: Some(given_tag(one)), ..none() }),
        Some(AnalyticsFilter::And(and)) => {
            Some(TieringFilter { and: Some(TieringAnd { prefix: and.prefix, tags: given_tags(and.tags) }), ..none() })
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

pub(in super::super) async fn get(
    bridge: &Bridge,
    request: S3Request<GetBucketAnalyticsConfigurationInput>,
) -> S3Result<S3Response<GetBucketAnalyticsConfigurationOutput>> {
    let input = request.input;
    let found = configurations::get::<AnalyticsDocument>(bridge, input.bucket, &input.id).await?;
    Ok(S3Response::new(GetBucketAnalyticsConfigurationOutput { analytics_configuration: Some(shown(found)) }))
}

pub(in super::super) async fn list(
    bridge: &Bridge,
    request: S3Request<ListBucketAnalyticsConfigurationsInput>,
) -> S3Result<S3Response<ListBucketAnalyticsConfigurationsOutput>> {
    let input = request.input;
    let after = input.continuation_token.as_deref();
    let Page { found, next } = configurations::page::<AnalyticsDocument>(bridge, input.bucket, after).await?;
    Ok(S3Response::new(ListBucketAnalyticsConfigurationsOutput {
        analytics_configuration_list: Some(found.into_iter().map(shown).collect()),
        continuation_token: input.continuation_token,
        is_truncated: Some(next.is_some()),
        next_continuation_token: next,
    }))
}

pub(in super::super) async fn put(
    bridge: &Bridge,
    request: S3Request<PutBucketAnalyticsConfigurationInput>,
) -> S3Result<S3Response<PutBucketAnalyticsConfigurationOutput>> {
    let input = request.input;
    let wanted = given(input.analytics_configuration)?;
    configurations::put::<AnalyticsDocument>(bridge, input.bucket, &input.id, wanted).await?;
    Ok(S3Response::new(PutBucketAnalyticsConfigurationOutput::default()))
}

pub(in super::super) async fn delete(
    bridge: &Bridge,
    request: S3Request<DeleteBucketAnalyticsConfigurationInput>,
) -> S3Result<S3Response<DeleteBucketAnalyticsConfigurationOutput>> {
    let input = request.input;
    configurations::delete::<AnalyticsDocument>(bridge, input.bucket, input.id).await?;
    Ok(S3Response::new(DeleteBucketAnalyticsConfigurationOutput::default()))
}
