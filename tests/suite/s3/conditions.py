"""Conditions: COND-1 to COND-13."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
from s3 import client, refused

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
tag = c.put_object(Bucket=B, Key="k", Body=b"one")["ETag"]
modified = c.head_object(Bucket=B, Key="k")["LastModified"]
earlier, later = (modified + datetime.timedelta(hours=hours) for hours in (-1, 1))
other = '"00000000000000000000000000000000"'
for call in [c.get_object, c.head_object]:
    def failed(status, code, **conditions):
        refused(status, str(status) if call == c.head_object else code, call, Bucket=B, Key="k", **conditions)

    call(Bucket=B, Key="k", IfMatch=tag)
    failed(412, "PreconditionFailed", IfMatch=other)
    call(Bucket=B, Key="k", IfNoneMatch=other)
    refused(304, "304", call, Bucket=B, Key="k", IfNoneMatch=tag)
    call(Bucket=B, Key="k", IfModifiedSince=earlier)
    refused(304, "304", call, Bucket=B, Key="k", IfModifiedSince=modified)
    call(Bucket=B, Key="k", IfUnmodifiedSince=modified)
    failed(412, "PreconditionFailed", IfUnmodifiedSince=earlier)
    call(Bucket=B, Key="k", IfMatch=tag, IfUnmodifiedSince=earlier)
    refused(304, "304", call, Bucket=B, Key="k", IfNoneMatch=tag, IfModifiedSince=earlier)
unchanged = refused(304, "304", c.get_object, Bucket=B, Key="k", IfNoneMatch=tag)
assert unchanged["ResponseMetadata"]["HTTPHeaders"]["etag"] == tag

refused(412, "PreconditionFailed", c.put_object, Bucket=B, Key="k", Body=b"two", IfNoneMatch="*")
refused(412, "PreconditionFailed", c.put_object, Bucket=B, Key="k", Body=b"two", IfNoneMatch=tag)
c.put_object(Bucket=B, Key="k", Body=b"one", IfNoneMatch=other)
refused(412, "PreconditionFailed", c.put_object, Bucket=B, Key="k", Body=b"two", IfMatch=other)
refused(404, "NoSuchKey", c.put_object, Bucket=B, Key="absent", Body=b"two", IfMatch=tag)
assert c.get_object(Bucket=B, Key="k")["Body"].read() == b"one"
tag = c.put_object(Bucket=B, Key="k", Body=b"two", IfMatch=tag)["ETag"]
c.put_object(Bucket=B, Key="new", Body=b"x", IfNoneMatch="*")


# COND-6: of many, one wins.
def race(n):
    try:
        c.put_object(Bucket=B, Key="race", Body=str(n).encode(), IfNoneMatch="*")
        return n
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"), error
        return None


with ThreadPoolExecutor(8) as pool:
    won = [n for n in pool.map(race, range(16)) if n is not None]
assert len(won) == 1 and c.get_object(Bucket=B, Key="race")["Body"].read() == str(won[0]).encode(), won

# COND-10, COND-11.
source = f"{B}/k"
refused(412, "PreconditionFailed", c.copy_object, Bucket=B, Key="copy", CopySource=source, CopySourceIfMatch=other)
refused(412, "PreconditionFailed", c.copy_object, Bucket=B, Key="copy", CopySource=source, CopySourceIfNoneMatch=tag)
refused(412, "PreconditionFailed", c.copy_object, Bucket=B, Key="copy", CopySource=source, CopySourceIfNoneMatch=tag,
        CopySourceIfModifiedSince=earlier)
c.copy_object(Bucket=B, Key="copy", CopySource=source, CopySourceIfMatch=tag, CopySourceIfUnmodifiedSince=earlier)
refused(412, "PreconditionFailed", c.copy_object, Bucket=B, Key="copy", CopySource=source, IfNoneMatch="*")

# COND-9.
upload = c.create_multipart_upload(Bucket=B, Key="k")["UploadId"]
part = c.upload_part(Bucket=B, Key="k", UploadId=upload, PartNumber=1, Body=b"three")["ETag"]
parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
refused(412, "PreconditionFailed", c.complete_multipart_upload, Bucket=B, Key="k", UploadId=upload,
        MultipartUpload=parts, IfNoneMatch="*")
tag = c.complete_multipart_upload(Bucket=B, Key="k", UploadId=upload, MultipartUpload=parts, IfMatch=tag)["ETag"]

# COND-12, COND-13.
refused(412, "PreconditionFailed", c.delete_object, Bucket=B, Key="k", IfMatch=other)
refused(404, "NoSuchKey", c.delete_object, Bucket=B, Key="absent", IfMatch="*")
answer = c.delete_objects(Bucket=B, Delete={"Objects": [{"Key": "k", "ETag": other}, {"Key": "copy", "ETag": "*"}]})
assert [entry["Key"] for entry in answer["Deleted"]] == ["copy"]
assert [entry["Code"] for entry in answer["Errors"]] == ["PreconditionFailed"]
c.delete_object(Bucket=B, Key="k", IfMatch=tag)
