"""Checksums of bodies: SUM-6 to SUM-14, SIZE-6, AUTH-3: what is wrong leaves nothing behind."""

import hashlib
import http.client
import os

import botocore.auth
import botocore.awsrequest
import botocore.credentials
from s3 import ENDPOINT, HOST, MIB, REGION, client, crc32, md5, plain, refused, sha256, signed

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
body = bytes(n * 7 % 256 for n in range(200_000))


def absent():
    refused(404, "404", c.head_object, Bucket=B, Key="k")


for code, options in [
    ("BadDigest", {"ContentMD5": md5(b"other")}),
    ("InvalidDigest", {"ContentMD5": "nonsense"}),
    ("BadDigest", {"ChecksumCRC32": crc32(b"other")}),
    ("BadDigest", {"ChecksumSHA256": sha256(b"other")}),
    ("InvalidRequest", {"ChecksumSHA256": "c2hvcnQ="}),
]:
    refused(400, code, c.put_object, Bucket=B, Key="k", Body=body, **options)
    absent()

for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]:
    try:
        put = c.put_object(Bucket=B, Key=algorithm, Body=body, ChecksumAlgorithm=algorithm)
    except Exception as error:
        # Some need a library of the client's.
        assert "awscrt" in str(error).lower() or "crt" in str(error).lower(), error
        continue
    head = c.head_object(Bucket=B, Key=algorithm, ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"] and head["ChecksumType"] == "FULL_OBJECT"
    assert f"Checksum{algorithm}" not in c.head_object(Bucket=B, Key=algorithm)
assert c.head_object(Bucket=B, Key="SHA256", ChecksumMode="ENABLED")["ChecksumSHA256"] == sha256(body)

# SUM-8: without one there is CRC64NVME.
status, _, answer = signed("PUT", f"/{B}/none", {}, body)
assert status == 200, answer
assert c.head_object(Bucket=B, Key="none", ChecksumMode="ENABLED")["ChecksumCRC64NVME"]

# SUM-12.
status, _, answer = signed("PUT", f"/{B}/k", {"x-amz-sdk-checksum-algorithm": "SHA256"}, body)
assert status == 400 and b"InvalidRequest" in answer, answer
absent()

# AUTH-3: the body must be the one that was signed.
key = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
request = botocore.awsrequest.AWSRequest("PUT", f"{ENDPOINT}/{B}/k", data=b"signed")
request.headers["x-amz-content-sha256"] = hashlib.sha256(b"signed").hexdigest()
botocore.auth.S3SigV4Auth(key, "s3", REGION).add_auth(request)
status, _, answer = plain("PUT", f"/{B}/k", dict(request.headers), b"forged")
assert status == 400 and b"XAmzContentSHA256Mismatch" in answer, answer
absent()


def without_length(url, body=None):
    """The answer to a PUT that says no length: nothing of a body, or chunks of HTTP's own."""
    connection = http.client.HTTPConnection(HOST, timeout=60)
    connection.putrequest("PUT", url.removeprefix(ENDPOINT))
    if body is not None:
        connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders(body, encode_chunked=True)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


# SIZE-6: without a length there is none to compare with. What has no body needs none.
v4 = client(signature_version="s3v4")
upload = c.create_multipart_upload(Bucket=B, Key="p")["UploadId"]
part = {"Bucket": B, "Key": "p", "UploadId": upload, "PartNumber": 1}
for operation, asked in [("put_object", {"Bucket": B, "Key": "k"}), ("upload_part", part)]:
    for body in [None, b"", b"data"]:
        status, answer = without_length(v4.generate_presigned_url(operation, Params=asked), body)
        assert status == 411 and b"<Code>MissingContentLength</Code>" in answer, (operation, body, status, answer)
assert "Parts" not in c.list_parts(Bucket=B, Key="p", UploadId=upload)
absent()
bucket = v4.generate_presigned_url("create_bucket", Params={"Bucket": "made-without-length"})
assert without_length(bucket)[0] == 200


def chunked(chunks, trailer, announced="x-amz-checksum-crc32", decoded=None):
    """An unsigned stream with a trailer, as SDKs send it over TLS."""
    wire = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"
    request = botocore.awsrequest.AWSRequest("PUT", f"{ENDPOINT}/{B}/k", data=wire)
    request.headers["x-amz-content-sha256"] = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    request.headers["content-encoding"] = "aws-chunked"
    request.headers["x-amz-decoded-content-length"] = str(sum(map(len, chunks)) if decoded is None else decoded)
    if announced:
        request.headers["x-amz-trailer"] = announced
    request.context["payload_signing_enabled"] = False
    request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    botocore.auth.S3SigV4Auth(key, "s3", REGION).add_auth(request)
    return plain("PUT", f"/{B}/k", dict(request.headers), wire)


chunks = [b"a" * 8192, b"b" * MIB, b"c"]
total = b"".join(chunks)
for code, trailer, options in [
    (b"BadDigest", b"x-amz-checksum-crc32:" + crc32(b"other").encode() + b"\r\n", {}),
    (b"IncompleteBody", b"", {}),
    (b"InvalidRequest", b"x-amz-checksum-crc32:" + crc32(total).encode() + b"\r\n", {"announced": None}),
    (b"IncompleteBody", b"x-amz-checksum-crc32:" + crc32(total).encode() + b"\r\n", {"decoded": len(total) + 1}),
]:
    status, _, answer = chunked(chunks, trailer, **options)
    assert status == 400 and b"<Code>" + code + b"</Code>" in answer, (code, status, answer)
    absent()
status, headers, answer = chunked(chunks, b"x-amz-checksum-crc32:" + crc32(total).encode() + b"\r\n")
assert status == 200 and headers["x-amz-checksum-crc32"] == crc32(total), (status, headers, answer)
found = c.get_object(Bucket=B, Key="k")
assert found["Body"].read() == total and "ContentEncoding" not in found
