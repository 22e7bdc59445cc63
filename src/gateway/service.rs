//! The protocol's operations and the files that carry them out. Those that are not here answer 501.

use super::bridge::Bridge;
use super::operations::{
    acl, analytics, archive, attributes, buckets, copy, cors, delete, fixed, get, lifecycle, list, lock, multipart,
    put, settings, tagging, tiering, versions,
};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteBucketAnalyticsConfigurationInput, DeleteBucketAnalyticsConfigurationOutput,
    DeleteBucketCorsInput, DeleteBucketCorsOutput, DeleteBucketEncryptionInput, DeleteBucketEncryptionOutput,
    DeleteBucketInput, DeleteBucketIntelligentTieringConfigurationInput,
    DeleteBucketIntelligentTieringConfigurationOutput, DeleteBucketInventoryConfigurationInput,
    DeleteBucketInventoryConfigurationOutput, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput,
    DeleteBucketMetricsConfigurationInput, DeleteBucketMetricsConfigurationOutput, DeleteBucketOutput,
    DeleteBucketPolicyInput, DeleteBucketPolicyOutput, DeleteBucketReplicationInput, DeleteBucketReplicationOutput,
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, DeleteBucketWebsiteInput, DeleteBucketWebsiteOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput, DeleteObjectsInput,
    DeleteObjectsOutput, GetBucketAccelerateConfigurationInput, GetBucketAccelerateConfigurationOutput,
    GetBucketAclInput, GetBucketAclOutput, GetBucketAnalyticsConfigurationInput, GetBucketAnalyticsConfigurationOutput,
    GetBucketCorsInput, GetBucketCorsOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput,
    GetBucketIntelligentTieringConfigurationInput, GetBucketIntelligentTieringConfigurationOutput,
    GetBucketInventoryConfigurationInput, GetBucketInventoryConfigurationOutput, GetBucketLifecycleConfigurationInput,
    GetBucketLifecycleConfigurationOutput, GetBucketLocationInput, GetBucketLocationOutput, GetBucketLoggingInput,
    GetBucketLoggingOutput, GetBucketMetricsConfigurationInput, GetBucketMetricsConfigurationOutput,
    GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput, GetBucketOwnershipControlsInput,
    GetBucketOwnershipControlsOutput, GetBucketPolicyInput, GetBucketPolicyOutput, GetBucketPolicyStatusInput,
    GetBucketPolicyStatusOutput, GetBucketReplicationInput, GetBucketReplicationOutput, GetBucketRequestPaymentInput,
    GetBucketRequestPaymentOutput, GetBucketTaggingInput, GetBucketTaggingOutput, GetBucketVersioningInput,
    GetBucketVersioningOutput, GetBucketWebsiteInput, GetBucketWebsiteOutput, GetObjectAclInput, GetObjectAclOutput,
    GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectInput, GetObjectLegalHoldInput,
    GetObjectLegalHoldOutput, GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput, GetObjectOutput,
    GetObjectRetentionInput, GetObjectRetentionOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    GetPublicAccessBlockInput, GetPublicAccessBlockOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput,
    HeadObjectOutput, ListBucketAnalyticsConfigurationsInput, ListBucketAnalyticsConfigurationsOutput,
    ListBucketIntelligentTieringConfigurationsInput, ListBucketIntelligentTieringConfigurationsOutput,
    ListBucketInventoryConfigurationsInput, ListBucketInventoryConfigurationsOutput,
    ListBucketMetricsConfigurationsInput, ListBucketMetricsConfigurationsOutput, ListBucketsInput, ListBucketsOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput,
    PutBucketAclInput, PutBucketAclOutput, PutBucketAnalyticsConfigurationInput, PutBucketAnalyticsConfigurationOutput,
    PutBucketCorsInput, PutBucketCorsOutput, PutBucketIntelligentTieringConfigurationInput,
    PutBucketIntelligentTieringConfigurationOutput, PutBucketLifecycleConfigurationInput,
    PutBucketLifecycleConfigurationOutput, PutBucketLoggingInput, PutBucketLoggingOutput,
    PutBucketNotificationConfigurationInput, PutBucketNotificationConfigurationOutput, PutBucketOwnershipControlsInput,
    PutBucketOwnershipControlsOutput, PutBucketRequestPaymentInput, PutBucketRequestPaymentOutput,
    PutBucketTaggingInput, PutBucketTaggingOutput, PutBucketVersioningInput, PutBucketVersioningOutput,
    PutObjectAclInput, PutObjectAclOutput, PutObjectInput, PutObjectLegalHoldInput, PutObjectLegalHoldOutput,
    PutObjectLockConfigurationInput, PutObjectLockConfigurationOutput, PutObjectOutput, PutObjectRetentionInput,
    PutObjectRetentionOutput, PutObjectTaggingInput, PutObjectTaggingOutput, PutPublicAccessBlockInput,
    PutPublicAccessBlockOutput, RestoreObjectInput, RestoreObjectOutput, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result};

/// The operations of the store.
pub(super) struct Service {
    bridge: Bridge,
}

impl Service {
    pub(super) fn new(bridge: Bridge) -> Self {
        Self { bridge }
    }
}

/// One line an operation: its name, its input and output, and the function that carries it out; for what no bucket can have
/// in this release, the code that says so, or nothing where an empty answer does.
macro_rules! operations {
    (
        there { $($name:ident $input:ident $output:ident => $room:ident::$run:ident;)* }
        absent { $($absent:ident $absent_input:ident $absent_output:ident => $code:literal;)* }
        nothing { $($nothing:ident $nothing_input:ident $nothing_output:ident;)* }
    ) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                $room::$run(&self.bridge, request).await
            })*

            $(async fn $absent(&self, request: S3Request<$absent_input>) -> S3Result<S3Response<$absent_output>> {
                Err(buckets::absent(&self.bridge, request.input.bucket, $code).await)
            })*

            $(async fn $nothing(&self, request: S3Request<$nothing_input>) -> S3Result<S3Response<$nothing_output>> {
                buckets::nothing(&self.bridge, request.input.bucket).await
            })*
        }
    };
}

operations! {
    there {
        list_buckets ListBucketsInput ListBucketsOutput => buckets::list;
        create_bucket CreateBucketInput CreateBucketOutput => buckets::create;
        head_bucket HeadBucketInput HeadBucketOutput => buckets::head;
        delete_bucket DeleteBucketInput DeleteBucketOutput => buckets::delete;
        get_bucket_location GetBucketLocationInput GetBucketLocationOutput => buckets::location;
        get_bucket_versioning GetBucketVersioningInput GetBucketVersioningOutput => settings::versioning;
        put_bucket_versioning PutBucketVersioningInput PutBucketVersioningOutput => settings::set_versioning;
        get_bucket_tagging GetBucketTaggingInput GetBucketTaggingOutput => settings::tagging;
        put_bucket_tagging PutBucketTaggingInput PutBucketTaggingOutput => settings::set_tagging;
        delete_bucket_tagging DeleteBucketTaggingInput DeleteBucketTaggingOutput => settings::unset_tagging;
        get_bucket_acl GetBucketAclInput GetBucketAclOutput => acl::of_bucket;
        put_bucket_acl PutBucketAclInput PutBucketAclOutput => acl::set_of_bucket;
        get_object_acl GetObjectAclInput GetObjectAclOutput => acl::of_object;
        put_object_acl PutObjectAclInput PutObjectAclOutput => acl::set_of_object;
        put_object PutObjectInput PutObjectOutput => put::put;
        get_object GetObjectInput GetObjectOutput => get::get;
        head_object HeadObjectInput HeadObjectOutput => get::head;
        get_object_attributes GetObjectAttributesInput GetObjectAttributesOutput => attributes::get;
        copy_object CopyObjectInput CopyObjectOutput => copy::copy;
        delete_object DeleteObjectInput DeleteObjectOutput => delete::delete;
        delete_objects DeleteObjectsInput DeleteObjectsOutput => delete::delete_many;
        get_object_tagging GetObjectTaggingInput GetObjectTaggingOutput => tagging::get;
        put_object_tagging PutObjectTaggingInput PutObjectTaggingOutput => tagging::put;
        delete_object_tagging DeleteObjectTaggingInput DeleteObjectTaggingOutput => tagging::delete;
        list_objects ListObjectsInput ListObjectsOutput => list::objects;
        list_objects_v2 ListObjectsV2Input ListObjectsV2Output => list::objects_v2;
        list_object_versions ListObjectVersionsInput ListObjectVersionsOutput => versions::list;
        create_multipart_upload CreateMultipartUploadInput CreateMultipartUploadOutput => multipart::create;
        upload_part UploadPartInput UploadPartOutput => multipart::put_part;
        upload_part_copy UploadPartCopyInput UploadPartCopyOutput => multipart::copy_part;
        complete_multipart_upload CompleteMultipartUploadInput CompleteMultipartUploadOutput => multipart::complete;
        abort_multipart_upload AbortMultipartUploadInput AbortMultipartUploadOutput => multipart::abort;
        list_multipart_uploads ListMultipartUploadsInput ListMultipartUploadsOutput => multipart::list;
        list_parts ListPartsInput ListPartsOutput => multipart::list_parts;
        get_bucket_cors GetBucketCorsInput GetBucketCorsOutput => cors::get;
        put_bucket_cors PutBucketCorsInput PutBucketCorsOutput => cors::put;
        delete_bucket_cors DeleteBucketCorsInput DeleteBucketCorsOutput => cors::delete;
        get_bucket_lifecycle_configuration GetBucketLifecycleConfigurationInput GetBucketLifecycleConfigurationOutput => lifecycle::get;
        put_bucket_lifecycle_configuration PutBucketLifecycleConfigurationInput PutBucketLifecycleConfigurationOutput => lifecycle::put;
        delete_bucket_lifecycle DeleteBucketLifecycleInput DeleteBucketLifecycleOutput => lifecycle::delete;
        get_bucket_ownership_controls GetBucketOwnershipControlsInput GetBucketOwnershipControlsOutput => fixed::ownership;
        put_bucket_ownership_controls PutBucketOwnershipControlsInput PutBucketOwnershipControlsOutput => fixed::set_ownership;
        get_public_access_block GetPublicAccessBlockInput GetPublicAccessBlockOutput => fixed::public_access;
        put_public_access_block PutPublicAccessBlockInput PutPublicAccessBlockOutput => fixed::set_public_access;
        get_bucket_request_payment GetBucketRequestPaymentInput GetBucketRequestPaymentOutput => fixed::payer;
        put_bucket_request_payment PutBucketRequestPaymentInput PutBucketRequestPaymentOutput => fixed::set_payer;
        put_bucket_logging PutBucketLoggingInput PutBucketLoggingOutput => fixed::set_logging;
        put_bucket_notification_configuration PutBucketNotificationConfigurationInput PutBucketNotificationConfigurationOutput => fixed::set_notification;
        get_object_lock_configuration GetObjectLockConfigurationInput GetObjectLockConfigurationOutput => lock::config;
        put_object_lock_configuration PutObjectLockConfigurationInput PutObjectLockConfigurationOutput => lock::set_config;
        get_object_retention GetObjectRetentionInput GetObjectRetentionOutput => lock::retention;
        put_object_retention PutObjectRetentionInput PutObjectRetentionOutput => lock::set_retention;
        get_object_legal_hold GetObjectLegalHoldInput GetObjectLegalHoldOutput => lock::legal_hold;
        put_object_legal_hold PutObjectLegalHoldInput PutObjectLegalHoldOutput => lock::set_legal_hold;
        restore_object RestoreObjectInput RestoreObjectOutput => archive::restore;
        get_bucket_intelligent_tiering_configuration GetBucketIntelligentTieringConfigurationInput GetBucketIntelligentTieringConfigurationOutput => tiering::get;
        put_bucket_intelligent_tiering_configuration PutBucketIntelligentTieringConfigurationInput PutBucketIntelligentTieringConfigurationOutput => tiering::put;
        delete_bucket_intelligent_tiering_configuration DeleteBucketIntelligentTieringConfigurationInput DeleteBucketIntelligentTieringConfigurationOutput => tiering::delete;
        list_bucket_intelligent_tiering_configurations ListBucketIntelligentTieringConfigurationsInput ListBucketIntelligentTieringConfigurationsOutput => tiering::list;
        get_bucket_analytics_configuration GetBucketAnalyticsConfigurationInput GetBucketAnalyticsConfigurationOutput => analytics::get;
        put_bucket_analytics_configuration PutBucketAnalyticsConfigurationInput PutBucketAnalyticsConfigurationOutput => analytics::put;
        delete_bucket_analytics_configuration DeleteBucketAnalyticsConfigurationInput DeleteBucketAnalyticsConfigurationOutput => analytics::delete;
        list_bucket_analytics_configurations ListBucketAnalyticsConfigurationsInput ListBucketAnalyticsConfigurationsOutput => analytics::list;
    }
    absent {
        get_bucket_policy GetBucketPolicyInput GetBucketPolicyOutput => "NoSuchBucketPolicy";
        get_bucket_policy_status GetBucketPolicyStatusInput GetBucketPolicyStatusOutput => "NoSuchBucketPolicy";
        get_bucket_website GetBucketWebsiteInput GetBucketWebsiteOutput => "NoSuchWebsiteConfiguration";
        get_bucket_encryption GetBucketEncryptionInput GetBucketEncryptionOutput
            => "ServerSideEncryptionConfigurationNotFoundError";
        get_bucket_replication GetBucketReplicationInput GetBucketReplicationOutput
            => "ReplicationConfigurationNotFoundError";
        get_bucket_inventory_configuration GetBucketInventoryConfigurationInput GetBucketInventoryConfigurationOutput => "NoSuchConfiguration";
        get_bucket_metrics_configuration GetBucketMetricsConfigurationInput GetBucketMetricsConfigurationOutput => "NoSuchConfiguration";
        delete_bucket_inventory_configuration DeleteBucketInventoryConfigurationInput DeleteBucketInventoryConfigurationOutput => "NoSuchConfiguration";
        delete_bucket_metrics_configuration DeleteBucketMetricsConfigurationInput DeleteBucketMetricsConfigurationOutput => "NoSuchConfiguration";
    }
    nothing {
        get_bucket_accelerate_configuration GetBucketAccelerateConfigurationInput GetBucketAccelerateConfigurationOutput;
        get_bucket_logging GetBucketLoggingInput GetBucketLoggingOutput;
        get_bucket_notification_configuration GetBucketNotificationConfigurationInput GetBucketNotificationConfigurationOutput;
        delete_bucket_encryption DeleteBucketEncryptionInput DeleteBucketEncryptionOutput;
        delete_bucket_policy DeleteBucketPolicyInput DeleteBucketPolicyOutput;
        delete_bucket_replication DeleteBucketReplicationInput DeleteBucketReplicationOutput;
        delete_bucket_website DeleteBucketWebsiteInput DeleteBucketWebsiteOutput;
        list_bucket_inventory_configurations ListBucketInventoryConfigurationsInput ListBucketInventoryConfigurationsOutput;
        list_bucket_metrics_configurations ListBucketMetricsConfigurationsInput ListBucketMetricsConfigurationsOutput;
    }
}
