//! The protocol's operations and the files that carry them out. Those that are not here answer 501.

use super::bridge::Bridge;
use super::operations::{
    acl, attributes, buckets, copy, delete, get, list, multipart, put, settings, tagging, versions,
};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput, DeleteBucketTaggingInput,
    DeleteBucketTaggingOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectTaggingInput,
    DeleteObjectTaggingOutput, DeleteObjectsInput, DeleteObjectsOutput, GetBucketAclInput, GetBucketAclOutput,
    GetBucketCorsInput, GetBucketCorsOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput,
    GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput, GetBucketLocationInput,
    GetBucketLocationOutput, GetBucketPolicyInput, GetBucketPolicyOutput, GetBucketPolicyStatusInput,
    GetBucketPolicyStatusOutput, GetBucketReplicationInput, GetBucketReplicationOutput, GetBucketTaggingInput,
    GetBucketTaggingOutput, GetBucketVersioningInput, GetBucketVersioningOutput, GetBucketWebsiteInput,
    GetBucketWebsiteOutput, GetObjectAclInput, GetObjectAclOutput, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectInput, GetObjectLegalHoldInput, GetObjectLegalHoldOutput, GetObjectLockConfigurationInput,
    GetObjectLockConfigurationOutput, GetObjectOutput, GetObjectRetentionInput, GetObjectRetentionOutput,
    GetObjectTaggingInput, GetObjectTaggingOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput,
    HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, ListPartsInput, ListPartsOutput, PutBucketAclInput, PutBucketAclOutput, PutBucketTaggingInput,
    PutBucketTaggingOutput, PutBucketVersioningInput, PutBucketVersioningOutput, PutObjectAclInput, PutObjectAclOutput,
    PutObjectInput, PutObjectLegalHoldInput, PutObjectLegalHoldOutput, PutObjectOutput, PutObjectRetentionInput,
    PutObjectRetentionOutput, PutObjectTaggingInput, PutObjectTaggingOutput, UploadPartCopyInput, UploadPartCopyOutput,
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
/// in this release, the code that says so.
macro_rules! operations {
    (
        there { $($name:ident $input:ident $output:ident => $room:ident::$run:ident;)* }
        absent { $($absent:ident $absent_input:ident $absent_output:ident => $code:literal;)* }
    ) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                $room::$run(&self.bridge, request).await
            })*

            $(async fn $absent(&self, request: S3Request<$absent_input>) -> S3Result<S3Response<$absent_output>> {
                Err(buckets::absent(&self.bridge, request.input.bucket, $code).await)
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
    }
    absent {
        get_bucket_cors GetBucketCorsInput GetBucketCorsOutput => "NoSuchCORSConfiguration";
        get_bucket_lifecycle_configuration GetBucketLifecycleConfigurationInput GetBucketLifecycleConfigurationOutput
            => "NoSuchLifecycleConfiguration";
        get_bucket_policy GetBucketPolicyInput GetBucketPolicyOutput => "NoSuchBucketPolicy";
        get_bucket_policy_status GetBucketPolicyStatusInput GetBucketPolicyStatusOutput => "NoSuchBucketPolicy";
        get_bucket_website GetBucketWebsiteInput GetBucketWebsiteOutput => "NoSuchWebsiteConfiguration";
        get_bucket_encryption GetBucketEncryptionInput GetBucketEncryptionOutput
            => "ServerSideEncryptionConfigurationNotFoundError";
        get_bucket_replication GetBucketReplicationInput GetBucketReplicationOutput
            => "ReplicationConfigurationNotFoundError";
        get_object_lock_configuration GetObjectLockConfigurationInput GetObjectLockConfigurationOutput
            => "ObjectLockConfigurationNotFoundError";
        get_object_retention GetObjectRetentionInput GetObjectRetentionOutput => "InvalidRequest";
        put_object_retention PutObjectRetentionInput PutObjectRetentionOutput => "InvalidRequest";
        get_object_legal_hold GetObjectLegalHoldInput GetObjectLegalHoldOutput => "InvalidRequest";
        put_object_legal_hold PutObjectLegalHoldInput PutObjectLegalHoldOutput => "InvalidRequest";
    }
}
