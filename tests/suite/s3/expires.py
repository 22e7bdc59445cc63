"""An `Expires` that is no date is kept and told as it was sent (META-1), with no less said of who sends it, and what."""

import hashlib
import os
import sys

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
from s3 import ENDPOINT, MIB, REGION, client, crc32, plain, signed

c = client()
B = "bkt"
c.create_bucket(Bucket=B)


def told(key, query=""):
    found = [signed(method, f"/{B}/{key}", query=query) for method in ("GET", "HEAD")]
    assert all(status == 200 for status, _, _ in found), found
    first, second = (headers.get("expires") for _, headers, _ in found)
    assert first == second, (first, second)
    return first


def code(answer):
    status, _, body = answer
    return status, body.split(b"<Code>")[1].split(b"</Code>")[0].decode()


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
for text in ["0", "-1", "next week", "2015-10-21", DATE]:
    status, _, body = signed("PUT", f"/{B}/k", {"expires": text, "x-amz-meta-a": "b"}, text.encode())
    assert status == 200, (text, body)
    assert told("k") == text
    found = c.get_object(Bucket=B, Key="k")
    assert found["Body"].read() == text.encode() and found["Metadata"] == {"a": "b"}, found
signed("PUT", f"/{B}/k", {"expires": "0"}, b"data")
status, headers, _ = signed("GET", f"/{B}/k", query="?response-expires=Wed%2C%2021%20Oct%202015%2007%3A28%3A00%20GMT")
assert (status, headers["expires"]) == (200, DATE)

# Copies have it, or another; uploads in parts as well.
c.copy_object(Bucket=B, Key="copy", CopySource=f"{B}/k")
assert told("copy") == "0"
replaced = {"x-amz-copy-source": f"{B}/k", "x-amz-metadata-directive": "REPLACE", "expires": "soon"}
status, _, body = signed("PUT", f"/{B}/copy", replaced)
assert status == 200 and told("copy") == "soon", body
status, _, body = signed("POST", f"/{B}/parts", {"expires": "later"}, query="?uploads")
assert status == 200, body
upload = body.split(b"<UploadId>")[1].split(b"</UploadId>")[0].decode()
part = {"PartNumber": 1, "ETag": c.upload_part(Bucket=B, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]}
c.complete_multipart_upload(Bucket=B, Key="parts", UploadId=upload, MultipartUpload={"Parts": [part]})
assert told("parts") == "later"

# Who may not write still may not, and a body is still what was promised of it.
key = botocore.credentials.Credentials(*sys.argv[1:3])
other = botocore.awsrequest.AWSRequest("PUT", f"{ENDPOINT}/{B}/k", data=b"x", headers={"expires": "0"})
other.headers["x-amz-content-sha256"] = hashlib.sha256(b"x").hexdigest()
botocore.auth.S3SigV4Auth(key, "s3", REGION).add_auth(other)
assert code(plain("PUT", f"/{B}/k", dict(other.headers), b"x")) == (403, "AccessDenied")
assert code(plain("PUT", f"/{B}/k", {"expires": "0"}, b"x")) == (403, "AccessDenied")
wrong = dict(other.headers) | {"expires": "1"}
assert code(plain("PUT", f"/{B}/k", wrong, b"x")) == (403, "SignatureDoesNotMatch")
assert code(plain("PUT", f"/{B}/k", dict(other.headers), b"y"))[0] in (400, 403)
assert c.get_object(Bucket=B, Key="k")["Body"].read() == b"data"
own = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])


def stream(body, trailer, path=f"/{B}/streamed"):
    """An unsigned stream with a trailer."""
    wire = b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(body), body, trailer.encode())
    request = botocore.awsrequest.AWSRequest("PUT", ENDPOINT + path, data=wire)
    for name, value in {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "content-encoding": "aws-chunked",
                        "x-amz-decoded-content-length": str(len(body)), "x-amz-trailer": "x-amz-checksum-crc32",
                        "expires": "0"}.items():
        request.headers[name] = value
    request.context |= {"payload_signing_enabled": False, "checksum": {"request_algorithm": {"in": "trailer"}}}
    botocore.auth.S3SigV4Auth(own, "s3", REGION).add_auth(request)
    return plain("PUT", path, dict(request.headers), wire)


body = b"s" * MIB
assert code(stream(body, crc32(b"other"))) == (400, "BadDigest")
status, headers, answer = stream(body, crc32(body))
assert status == 200 and headers["x-amz-checksum-crc32"] == crc32(body), answer
found = c.get_object(Bucket=B, Key="streamed")
assert found["Body"].read() == body and "ContentEncoding" not in found and told("streamed") == "0"

# Of a body that is another than its hash nothing stays; a presigned URL serves as well.
request = botocore.awsrequest.AWSRequest("PUT", f"{ENDPOINT}/{B}/hashed", data=b"one", headers={"expires": "0"})
request.headers["x-amz-content-sha256"] = hashlib.sha256(b"one").hexdigest()
botocore.auth.S3SigV4Auth(own, "s3", REGION).add_auth(request)
assert code(plain("PUT", f"/{B}/hashed", dict(request.headers), b"two"))[0] == 400
assert code(signed("GET", f"/{B}/hashed")) == (404, "NoSuchKey")
v4 = boto3.client("s3", config=botocore.config.Config(signature_version="s3v4"))
url = v4.generate_presigned_url("put_object", Params={"Bucket": B, "Key": "presigned"}, ExpiresIn=60)
assert plain("PUT", url.removeprefix(ENDPOINT), {"expires": "0"}, b"by url")[0] == 200
assert told("presigned") == "0" and c.get_object(Bucket=B, Key="presigned")["Body"].read() == b"by url"
