"""Copies and tags: COPY-1 to COPY-12, SUM-5, TAG-1 to TAG-9."""

from s3 import client, refused

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
c.create_bucket(Bucket="other")
c.put_object(Bucket=B, Key="a b+c/ü", Body=b"data", Metadata={"m": "1"}, ContentType="text/plain", Tagging="t=1",
             WebsiteRedirectLocation="/elsewhere")
source = {"Bucket": B, "Key": "a b+c/ü"}
copied = c.copy_object(Bucket="other", Key="copy", CopySource=source)
assert copied["CopyObjectResult"]["ETag"] == c.head_object(**source)["ETag"]
found = c.get_object(Bucket="other", Key="copy")
assert found["Body"].read() == b"data" and found["Metadata"] == {"m": "1"} and found["ContentType"] == "text/plain"
assert found["TagCount"] == 1 and "WebsiteRedirectLocation" not in found
assert c.head_object(**source)["WebsiteRedirectLocation"] == "/elsewhere"
c.copy_object(Bucket="other", Key="copy", CopySource=source, MetadataDirective="REPLACE", Metadata={"n": "2"},
              TaggingDirective="REPLACE")
found = c.head_object(Bucket="other", Key="copy")
assert found["Metadata"] == {"n": "2"} and found["ContentType"] == "binary/octet-stream"
assert c.get_object_tagging(Bucket="other", Key="copy")["TagSet"] == []
refused(400, "InvalidRequest", c.copy_object, Bucket="other", Key="copy", CopySource="other/copy")
c.copy_object(Bucket="other", Key="copy", CopySource="other/copy", MetadataDirective="REPLACE", Metadata={"n": "3"})
assert c.head_object(Bucket="other", Key="copy")["Metadata"] == {"n": "3"}
refused(404, "NoSuchKey", c.copy_object, Bucket=B, Key="x", CopySource=f"{B}/none")
refused(404, "NoSuchBucket", c.copy_object, Bucket=B, Key="x", CopySource="nowhere/none")
refused(404, "NoSuchBucket", c.copy_object, Bucket="nowhere", Key="x", CopySource=source)
summed = c.copy_object(Bucket=B, Key="sum", CopySource=source, ChecksumAlgorithm="SHA256")["CopyObjectResult"]
assert summed["ChecksumSHA256"] and c.head_object(Bucket=B, Key="sum", ChecksumMode="ENABLED")["ChecksumSHA256"]


def tagging(*pairs):
    return {"TagSet": [{"Key": key, "Value": value} for key, value in pairs]}


modified = c.head_object(**source)["LastModified"]
pairs = tagging(("a", "1"), ("b", ""))
c.put_object_tagging(**source, Tagging=pairs)
assert c.get_object_tagging(**source)["TagSet"] == pairs["TagSet"]
assert c.head_object(**source)["LastModified"] == modified
for code, bad in [
    ("InvalidTag", tagging(*((f"k{n}", "v") for n in range(11)))),
    ("InvalidTag", tagging(("k" * 129, "v"))),
    ("InvalidTag", tagging(("k", "v" * 257))),
    ("InvalidTag", tagging(("k", "1"), ("k", "2"))),
    ("InvalidTag", tagging(("aws:k", "1"))),
]:
    refused(400, code, c.put_object_tagging, **source, Tagging=bad)
assert c.get_object_tagging(**source)["TagSet"] == pairs["TagSet"]
c.delete_object_tagging(**source)
assert c.get_object_tagging(**source)["TagSet"] == []
refused(404, "NoSuchKey", c.put_object_tagging, Bucket=B, Key="none", Tagging=pairs)
