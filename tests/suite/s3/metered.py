"""Requests over HTTP on a bill: COST-1, COST-6."""

import sys

from s3 import client, refused

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
c.put_object(Bucket=B, Key="f", Body=b"x" * 1000, StorageClass="STANDARD_IA")
for _ in range(3):
    c.get_object(Bucket=B, Key="f")["Body"].read()
c.get_object(Bucket=B, Key="f", Range="bytes=0-9")["Body"].read()
c.head_object(Bucket=B, Key="f")
c.list_objects_v2(Bucket=B)
c.put_object(Bucket=B, Key="g", Body=b"y")
c.delete_object(Bucket=B, Key="g")
# Whoever copies fetches; parts are of the class of their upload.
for _ in range(5):
    c.copy_object(Bucket=B, Key="copy", CopySource={"Bucket": B, "Key": "f"})
upload = c.create_multipart_upload(Bucket=B, Key="parts", StorageClass="ONEZONE_IA")["UploadId"]
part = c.upload_part(Bucket=B, Key="parts", UploadId=upload, PartNumber=1, Body=b"part")
copied = c.upload_part_copy(
    Bucket=B, Key="parts", UploadId=upload, PartNumber=1, CopySource={"Bucket": B, "Key": "f"}, CopySourceRange="bytes=0-999"
)["CopyPartResult"]
parts = [{"PartNumber": 1, "ETag": copied["ETag"]}]
c.complete_multipart_upload(Bucket=B, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
# Not billed.
refused(404, "NoSuchKey", c.get_object, Bucket=B, Key="none")
refused(404, "NoSuchBucket", c.get_object, Bucket="nowhere", Key="none")
refused(400, "InvalidStorageClass", c.put_object, Bucket=B, Key="h", Body=b"", StorageClass="OUTPOSTS")
print("done", file=sys.stderr)
