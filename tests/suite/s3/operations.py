"""Every operation of the API: carried out, told truly that there is none of it, or 501 with a message; ACL-1, BPA-8, LOCK-11."""

from s3 import client, refused
import botocore.exceptions

c = client()
B, K = "bkt", "k"
shapes = c.meta.service_model
c.create_bucket(Bucket=B)
c.put_object(Bucket=B, Key=K, Body=b"data")
upload = c.create_multipart_upload(Bucket=B, Key="up")["UploadId"]

# What members are filled with that a shape alone does not tell.
KNOWN = {"Bucket": B, "Key": K, "UploadId": upload, "PartNumber": 1, "CopySource": f"{B}/{K}", "Id": "id", "RequestRoute": "r",
         "RequestToken": "t", "Policy": "{}", "ContentMD5": None, "Date": "2030-01-01T00:00:00Z", "Days": 1, "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k"}


def filled(shape, name="", depth=0):
    """A value of a shape with its required members, and at the top of a document the first of each kind."""
    if KNOWN.get(name) is not None:
        return KNOWN[name]
    kind = shape.type_name
    if kind == "structure":
        wanted = shape.required_members or (list(shape.members)[:1] if depth else [])
        return {member: filled(shape.members[member], member, depth + 1) for member in wanted}
    if kind == "list":
        return [filled(shape.member, "", depth + 1)]
    if kind == "string":
        return (shape.enum or ["text"])[0]
    return {"integer": 1, "long": 1, "boolean": True, "timestamp": "2030-01-01T00:00:00Z", "blob": b"x", "map": {}}[kind]


# What is there, and answers with success.
BUILT = set("""
AbortMultipartUpload CompleteMultipartUpload CopyObject CreateBucket CreateMultipartUpload DeleteBucket DeleteBucketCors
DeleteBucketEncryption DeleteBucketLifecycle DeleteBucketPolicy DeleteBucketReplication DeleteBucketTagging DeleteBucketWebsite
DeleteObject DeleteObjectTagging DeleteObjects GetBucketAccelerateConfiguration GetBucketAcl GetBucketCors GetBucketLocation
GetBucketLogging GetBucketNotification GetBucketNotificationConfiguration GetBucketOwnershipControls GetBucketRequestPayment
GetBucketTagging GetBucketVersioning GetObject GetObjectAcl GetObjectAttributes GetObjectTagging GetPublicAccessBlock HeadBucket
HeadObject ListBucketAnalyticsConfigurations ListBucketIntelligentTieringConfigurations ListBucketInventoryConfigurations
ListBucketMetricsConfigurations ListBuckets ListMultipartUploads ListObjectVersions ListObjects ListObjectsV2 ListParts
PutBucketAcl PutBucketAnalyticsConfiguration PutBucketCors PutBucketIntelligentTieringConfiguration PutBucketLifecycle
PutBucketLifecycleConfiguration
PutBucketOwnershipControls PutBucketTagging PutBucketVersioning PutObject PutObjectAcl PutObjectTagging PutPublicAccessBlock
PutBucketRequestPayment UploadPart UploadPartCopy
""".split())
# What a bucket or object of this release has none of, and how S3 says so.
NONE = {
    "GetBucketEncryption": (404, "ServerSideEncryptionConfigurationNotFoundError"),
    "GetBucketLifecycle": (404, "NoSuchLifecycleConfiguration"),
    "GetBucketLifecycleConfiguration": (404, "NoSuchLifecycleConfiguration"),
    "GetBucketPolicy": (404, "NoSuchBucketPolicy"),
    "GetBucketPolicyStatus": (404, "NoSuchBucketPolicy"),
    "GetBucketReplication": (404, "ReplicationConfigurationNotFoundError"),
    "GetBucketWebsite": (404, "NoSuchWebsiteConfiguration"),
    "GetObjectLockConfiguration": (404, "ObjectLockConfigurationNotFoundError"),
    "PutObjectLockConfiguration": (400, "MalformedXML"),
    "GetObjectLegalHold": (400, "InvalidRequest"),
    "PutObjectLegalHold": (400, "InvalidRequest"),
    "GetObjectRetention": (400, "InvalidRequest"),
    "PutObjectRetention": (400, "InvalidRequest"),
    "RestoreObject": (403, "InvalidObjectState"),
} | {f"{verb}Bucket{kind}Configuration": (404, "NoSuchConfiguration")
     for verb in ("Get", "Delete") for kind in ("Analytics", "IntelligentTiering", "Inventory", "Metrics")}
ON = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
ENFORCED = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
RULES = {"Rules": [{"ID": "r", "Status": "Disabled", "Prefix": "", "Expiration": {"Days": 1}}]}
TAGS = {"TagSet": [{"Key": "a", "Value": "b"}]}
# What is asked with, where the shape's own values would ask for nothing good.
WITH = {
    "CreateBucket": {"Bucket": "another"},
    "DeleteBucket": {"Bucket": "another"},
    "ListParts": {"Key": "up"},
    "UploadPart": {"Key": "up", "Body": b"data"},
    "UploadPartCopy": {"Key": "up"},
    "AbortMultipartUpload": {"Key": "up"},
    "GetObjectAttributes": {"ObjectAttributes": ["ETag"]},
    "CopyObject": {"Key": "copy"},
    "DeleteObject": {"Key": "copy"},
    "DeleteObjects": {"Delete": {"Objects": [{"Key": "absent"}]}},
    "CreateMultipartUpload": {"Key": "other"},
    "PutObject": {"Body": b"data"},
    "PutBucketAcl": {"ACL": "private"},
    "PutObjectAcl": {"ACL": "private"},
    "PutBucketCors": {"CORSConfiguration": CORS},
    "PutBucketLifecycle": {"LifecycleConfiguration": RULES},
    "PutBucketLifecycleConfiguration": {"LifecycleConfiguration": RULES},
    "PutBucketAnalyticsConfiguration": {"Id": "a", "AnalyticsConfiguration": {"Id": "a", "StorageClassAnalysis": {}}},
    "PutBucketIntelligentTieringConfiguration": {"Id": "a", "IntelligentTieringConfiguration": {
        "Id": "a", "Status": "Enabled", "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]}},
    "PutBucketOwnershipControls": {"OwnershipControls": ENFORCED},
    "PutPublicAccessBlock": {"PublicAccessBlockConfiguration": ON},
    "PutBucketRequestPayment": {"RequestPaymentConfiguration": {"Payer": "BucketOwner"}},
    "PutBucketTagging": {"Tagging": TAGS},
    "PutObjectTagging": {"Tagging": TAGS},
    "PutBucketVersioning": {"VersioningConfiguration": {"Status": "Enabled"}},
    "PutBucketLogging": {"BucketLoggingStatus": {"LoggingEnabled": {"TargetBucket": B, "TargetPrefix": "p"}}},
    "PutBucketNotificationConfiguration": {"NotificationConfiguration": {"EventBridgeConfiguration": {}}},
    "PutObjectLockConfiguration": {"ObjectLockConfiguration": {"ObjectLockEnabled": "Disabled"}},
    "PutObjectLegalHold": {"LegalHold": {"Status": "ON"}},
    "PutObjectRetention": {"Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": "2040-01-01T00:00:00Z"}},
    "SelectObjectContent": {"InputSerialization": {"CSV": {}}, "OutputSerialization": {"CSV": {}}},
}
# Those come first or last that others need or undo.
FIRST, LAST = ["PutBucketCors", "PutBucketTagging", "CreateBucket", "CopyObject", "UploadPart"], ["CompleteMultipartUpload", "AbortMultipartUpload", "DeleteBucketCors", "DeleteBucketTagging"]
names = [name for name in shapes.operation_names if name not in FIRST + LAST]
assert BUILT - set(shapes.operation_names) <= {"GetBucketNotification"}, BUILT - set(shapes.operation_names)
# Those of hosts of their own, and one that S3 itself replaced.
ELSEWHERE = {"WriteGetObjectResponse", "CreateSession", "ListDirectoryBuckets", "PutBucketNotification"}
wrong = []
for name in FIRST + names + LAST:
    if name in ELSEWHERE:
        continue
    model = shapes.operation_model(name)
    asked = filled(model.input_shape) | WITH.get(name, {}) if model.input_shape else {}
    if name == "CompleteMultipartUpload":
        number = {"PartNumber": 1, "ETag": c.list_parts(Bucket=B, Key="up", UploadId=upload)["Parts"][0]["ETag"]}
        asked |= {"Key": "up", "MultipartUpload": {"Parts": [number]}}
    if name == "AbortMultipartUpload":
        asked["UploadId"] = c.create_multipart_upload(Bucket=B, Key="up")["UploadId"]
    try:
        found = c._make_api_call(name, asked)["ResponseMetadata"]["HTTPStatusCode"], ""
        message = "done"
    except botocore.exceptions.ClientError as error:
        found = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        message = error.response["Error"].get("Message", "")
    if name in BUILT:
        right = found[0] in (200, 204)
    else:
        right = found == NONE.get(name, (501, "NotImplemented")) and message
    if not right:
        wrong.append((name, found, message))
assert not wrong, "\n".join(map(str, wrong))
assert c.get_object(Bucket=B, Key=K)["Body"].read() == b"data", "what is refused changes nothing"

# What is the same for every bucket may be said again, and cannot be changed.
assert c.get_bucket_ownership_controls(Bucket=B)["OwnershipControls"] == ENFORCED
assert c.get_public_access_block(Bucket=B)["PublicAccessBlockConfiguration"] == ON
assert c.get_bucket_request_payment(Bucket=B)["Payer"] == "BucketOwner"
for ownership in ["BucketOwnerPreferred", "ObjectWriter"]:
    refused(501, "NotImplemented", c.put_bucket_ownership_controls, Bucket=B,
            OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]})
    refused(501, "NotImplemented", c.create_bucket, Bucket="owned", ObjectOwnership=ownership)
for switch in ON:
    refused(501, "NotImplemented", c.put_public_access_block, Bucket=B, PublicAccessBlockConfiguration=ON | {switch: False})
refused(501, "NotImplemented", c.delete_public_access_block, Bucket=B)
refused(501, "NotImplemented", c.delete_bucket_ownership_controls, Bucket=B)
refused(501, "NotImplemented", c.put_bucket_request_payment, Bucket=B, RequestPaymentConfiguration={"Payer": "Requester"})
c.put_bucket_logging(Bucket=B, BucketLoggingStatus={})
c.put_bucket_notification_configuration(Bucket=B, NotificationConfiguration={})
for call in [c.get_bucket_ownership_controls, c.get_public_access_block, c.get_bucket_logging, c.delete_bucket_policy,
             c.get_bucket_website, c.list_bucket_metrics_configurations]:
    refused(404, "NoSuchBucket", call, Bucket="nowhere")
