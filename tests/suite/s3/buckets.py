"""Buckets: BKT-1 to BKT-12, BKT-19 to BKT-21, CORS-5, CORS-10, REG-3, VER-1, VER-18, GEN-3, GEN-4."""

from s3 import client, plain, refused, signed

c = client()
c.create_bucket(Bucket="photos")
refused(409, "BucketAlreadyOwnedByYou", c.create_bucket, Bucket="photos")
c.create_bucket(Bucket="a.dotted.name", CreateBucketConfiguration={"LocationConstraint": "us-east-1"})
refused(400, "IllegalLocationConstraintException", c.create_bucket, Bucket="elsewhere",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
assert [bucket["Name"] for bucket in c.list_buckets()["Buckets"]] == ["a.dotted.name", "photos"]
page = c.list_buckets(MaxBuckets=1)
assert [bucket["Name"] for bucket in page["Buckets"]] == ["a.dotted.name"]
page = c.list_buckets(MaxBuckets=1, ContinuationToken=page["ContinuationToken"])
assert [bucket["Name"] for bucket in page["Buckets"]] == ["photos"] and "ContinuationToken" not in page
for name in ["ab", "Abc", "doc-", "192.168.5.4", "xn--abc", "a" * 64]:
    status, _, body = signed("PUT", f"/{name}")
    assert status == 400 and b"<Code>InvalidBucketName</Code>" in body, (name, status, body)
    assert name != "ab" or b"3 to 63" in body, body

head = c.head_bucket(Bucket="photos")
assert head["BucketRegion"] == "us-east-1", head
assert c.get_bucket_location(Bucket="photos")["LocationConstraint"] is None
refused(404, "404", c.head_bucket, Bucket="nowhere")
missing = refused(404, "NoSuchBucket", c.list_objects_v2, Bucket="nowhere")
assert missing["Error"]["Resource"] == "/nowhere" and missing["ResponseMetadata"]["RequestId"]
assert head["ResponseMetadata"]["RequestId"] != missing["ResponseMetadata"]["RequestId"]
refused(403, "AccessDenied", c.list_objects_v2, Bucket="photos", ExpectedBucketOwner="111111111111")
c.list_objects_v2(Bucket="photos", ExpectedBucketOwner="000000000000")

assert "Status" not in c.get_bucket_versioning(Bucket="photos")
for status in ["Enabled", "Suspended"]:
    c.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": status})
    assert c.get_bucket_versioning(Bucket="photos")["Status"] == status
refused(400, "IllegalVersioningConfigurationException", c.put_bucket_versioning, Bucket="photos",
        VersioningConfiguration={"Status": "Never"})
refused(403, "AccessDenied", c.put_bucket_versioning, Bucket="photos", MFA="serial 123456",
        VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"})

refused(404, "NoSuchTagSet", c.get_bucket_tagging, Bucket="photos")
tags = [{"Key": "project", "Value": "blue"}, {"Key": "empty", "Value": ""}]
c.put_bucket_tagging(Bucket="photos", Tagging={"TagSet": tags})
assert c.get_bucket_tagging(Bucket="photos")["TagSet"] == tags
many = [{"Key": f"k{n}", "Value": "v"} for n in range(51)]
refused(400, "TooManyTags", c.put_bucket_tagging, Bucket="photos", Tagging={"TagSet": many})
assert c.get_bucket_tagging(Bucket="photos")["TagSet"] == tags
c.delete_bucket_tagging(Bucket="photos")
refused(404, "NoSuchTagSet", c.get_bucket_tagging, Bucket="photos")

# What is not built says so.
refused(404, "NoSuchLifecycleConfiguration", c.get_bucket_lifecycle_configuration, Bucket="photos")
refused(400, "InvalidBucketAclWithObjectOwnership", c.create_bucket, Bucket="public", ACL="public-read")

c.put_object(Bucket="photos", Key="a", Body=b"x")
refused(409, "BucketNotEmpty", c.delete_bucket, Bucket="photos")
c.delete_object(Bucket="photos", Key="a")
refused(409, "BucketNotEmpty", c.delete_bucket, Bucket="photos")
for entry in c.list_object_versions(Bucket="photos")["DeleteMarkers"]:
    c.delete_object(Bucket="photos", Key=entry["Key"], VersionId=entry["VersionId"])
for name in ["photos", "a.dotted.name"]:
    c.delete_bucket(Bucket=name)
refused(404, "NoSuchBucket", c.delete_bucket, Bucket="photos")
c.create_bucket(Bucket="photos")

status, headers, body = plain("HEAD", "/photos")
assert (status, body) == (403, b"") and headers["x-amz-request-id"] and headers["x-amz-id-2"], headers
