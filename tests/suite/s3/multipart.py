"""Multipart uploads: MPU-1 to MPU-15, SUM-3, SUM-9 to SUM-11, SUM-14, READ-9."""

import base64
import hashlib
import zlib

from s3 import MIB, client, crc32, refused

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
data = [bytes(n * seed % 253 for n in range(5 * MIB)) for seed in (3, 5)] + [b"tail"]


def begin(key="k", **options):
    return c.create_multipart_upload(Bucket=B, Key=key, **options)["UploadId"]


def part(upload, number, body, key="k", **options):
    return c.upload_part(Bucket=B, Key=key, UploadId=upload, PartNumber=number, Body=body, **options)


def complete(upload, parts, key="k", **options):
    listed = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
    return c.complete_multipart_upload(Bucket=B, Key=key, UploadId=upload, MultipartUpload={"Parts": listed}, **options)


# Parts come in any order, again, and some are not named.
upload = begin(Metadata={"a": "b"}, ContentType="text/plain", Tagging="t=1")
tags = {number: part(upload, number, body)["ETag"] for number, body in [(14, data[2]), (1, b"old"), (5, data[1]), (9, b"no")]}
tags[1] = part(upload, 1, data[0])["ETag"]
refused(404, "404", c.head_object, Bucket=B, Key="k")
listed = c.list_parts(Bucket=B, Key="k", UploadId=upload)
assert [entry["PartNumber"] for entry in listed["Parts"]] == [1, 5, 9, 14]
assert listed["Parts"][0]["Size"] == 5 * MIB and listed["Parts"][0]["ETag"] == tags[1]
page = c.list_parts(Bucket=B, Key="k", UploadId=upload, MaxParts=2)
assert page["IsTruncated"] and page["NextPartNumberMarker"] == 5
page = c.list_parts(Bucket=B, Key="k", UploadId=upload, MaxParts=2, PartNumberMarker=5)
assert [entry["PartNumber"] for entry in page["Parts"]] == [9, 14] and not page["IsTruncated"]
refused(400, "InvalidPartOrder", complete, upload, [(5, tags[5]), (1, tags[1])])
refused(400, "InvalidPart", complete, upload, [(1, tags[5])])
refused(400, "InvalidPart", complete, upload, [(2, tags[1])])
refused(400, "EntityTooSmall", complete, upload, [(1, tags[1]), (9, tags[9]), (14, tags[14])])
refused(400, "MalformedXML", complete, upload, [])
refused(400, "InvalidRequest", complete, upload, [(1, tags[1])], MpuObjectSize=7)
named = [(1, tags[1]), (5, tags[5]), (14, tags[14])]
refused(404, "NoSuchUpload", complete, upload, named, key="other")
done = complete(upload, named)
digest = hashlib.md5(b"".join(hashlib.md5(body).digest() for body in data)).hexdigest()
assert done["ETag"] == f'"{digest}-3"' and done["Key"] == "k" and done["Bucket"] == B
found = c.get_object(Bucket=B, Key="k")
assert found["Body"].read() == b"".join(data)
assert found["ContentType"] == "text/plain" and found["Metadata"] == {"a": "b"} and found["TagCount"] == 1
assert complete(upload, named)["ETag"] == done["ETag"], "MPU-9"
refused(404, "NoSuchUpload", part, upload, 1, b"x")
refused(404, "NoSuchUpload", c.list_parts, Bucket=B, Key="k", UploadId=upload)

# READ-9.
for number, body in zip([1, 5, 14], data):
    found = c.get_object(Bucket=B, Key="k", PartNumber=number)
    assert found["Body"].read() == body and found["PartsCount"] == 3, number
refused(416, "InvalidPartNumber", c.get_object, Bucket=B, Key="k", PartNumber=2)
parts = c.get_object_attributes(Bucket=B, Key="k", ObjectAttributes=["ObjectParts"])["ObjectParts"]
assert parts["TotalPartsCount"] == 3

# MPU-10.
upload = begin()
for number in [0, 10_001]:
    refused(400, "InvalidArgument", part, upload, number, b"x")
part(upload, 1, b"x")
c.abort_multipart_upload(Bucket=B, Key="k", UploadId=upload)
for call in [lambda: part(upload, 1, b"x"), lambda: c.abort_multipart_upload(Bucket=B, Key="k", UploadId=upload)]:
    refused(404, "NoSuchUpload", call)
refused(404, "NoSuchUpload", part, "nonsense", 1, b"x")

# MPU-12, MPU-13.
uploads = [(key, begin(key)) for key in ["a", "a", "b/c", "b/d", "e"]]
page = c.list_multipart_uploads(Bucket=B)
assert [(entry["Key"], entry["UploadId"]) for entry in page["Uploads"]] == uploads
seen, markers = [], {}
while True:
    page = c.list_multipart_uploads(Bucket=B, MaxUploads=2, **markers)
    seen += [(entry["Key"], entry["UploadId"]) for entry in page.get("Uploads", [])]
    if not page["IsTruncated"]:
        break
    markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
assert seen == uploads, seen
page = c.list_multipart_uploads(Bucket=B, Delimiter="/")
assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["b/"] and len(page["Uploads"]) == 3
assert len(c.list_multipart_uploads(Bucket=B, Prefix="b/")["Uploads"]) == 2
for key, upload in uploads:
    c.abort_multipart_upload(Bucket=B, Key=key, UploadId=upload)

# MPU-15.
upload = begin("copied")
first = c.upload_part_copy(Bucket=B, Key="copied", UploadId=upload, PartNumber=1, CopySource=f"{B}/k",
                           CopySourceRange=f"bytes=1-{5 * MIB}")["CopyPartResult"]["ETag"]
second = c.upload_part_copy(Bucket=B, Key="copied", UploadId=upload, PartNumber=2, CopySource=f"{B}/k")
refused(400, "InvalidArgument", c.upload_part_copy, Bucket=B, Key="copied", UploadId=upload, PartNumber=3,
        CopySource=f"{B}/k", CopySourceRange="bytes=hello-world")
refused(404, "NoSuchKey", c.upload_part_copy, Bucket=B, Key="copied", UploadId=upload, PartNumber=3, CopySource=f"{B}/no")
complete(upload, [(1, first), (2, second["CopyPartResult"]["ETag"])], key="copied")
whole = b"".join(data)
assert c.get_object(Bucket=B, Key="copied")["Body"].read() == whole[1:5 * MIB + 1] + whole

# SUM-9, SUM-10, SUM-11.
upload = c.create_multipart_upload(Bucket=B, Key="s", ChecksumAlgorithm="SHA256")
assert upload["ChecksumType"] == "COMPOSITE"
refused(400, "InvalidRequest", c.create_multipart_upload, Bucket=B, Key="s", ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT")
sums = [base64.b64encode(hashlib.sha256(body).digest()).decode() for body in data]
refused(400, "BadDigest", part, upload["UploadId"], 1, data[0], key="s", ChecksumSHA256=sums[1])
parts = [part(upload["UploadId"], n, body, key="s", ChecksumSHA256=total) for n, (body, total) in enumerate(zip(data, sums), 1)]
listed = [{"PartNumber": n, "ETag": entry["ETag"], "ChecksumSHA256": entry["ChecksumSHA256"]} for n, entry in enumerate(parts, 1)]
done = c.complete_multipart_upload(Bucket=B, Key="s", UploadId=upload["UploadId"], MultipartUpload={"Parts": listed})
digest = base64.b64encode(hashlib.sha256(b"".join(hashlib.sha256(body).digest() for body in data)).digest()).decode()
assert done["ChecksumSHA256"] == f"{digest}-3" and done["ChecksumType"] == "COMPOSITE", done
assert c.head_object(Bucket=B, Key="s", ChecksumMode="ENABLED")["ChecksumSHA256"] == f"{digest}-3"

# SUM-14: a range is told the checksum of the part that has exactly its bytes, and of no other.
size = sum(map(len, data))
ranges = [(0, 5 * MIB), (5 * MIB, 10 * MIB), (10 * MIB, size)]
for (first, end), body, total in zip(ranges, data, sums):
    for call in [c.get_object, c.head_object]:
        found = call(Bucket=B, Key="s", Range=f"bytes={first}-{end - 1}", ChecksumMode="ENABLED")
        assert (found["ChecksumSHA256"], found["ChecksumType"]) == (total, "COMPOSITE"), (first, found)
    assert "ChecksumSHA256" not in c.head_object(Bucket=B, Key="s", Range=f"bytes={first}-{end - 1}")
assert c.get_object(Bucket=B, Key="s", Range=f"bytes=-{len(data[2])}", ChecksumMode="ENABLED")["ChecksumSHA256"] == sums[2]
for bytes_ in [f"0-{5 * MIB}", f"1-{5 * MIB - 1}", f"{5 * MIB}-{size - 1}", f"0-{10 * MIB - 1}"]:
    assert "ChecksumSHA256" not in c.get_object(Bucket=B, Key="s", Range=f"bytes={bytes_}", ChecksumMode="ENABLED"), bytes_
found = c.get_object(Bucket=B, Key="s", Range=f"bytes=0-{size - 1}", ChecksumMode="ENABLED")
assert found["ChecksumSHA256"] == f"{digest}-3"

upload = c.create_multipart_upload(Bucket=B, Key="f", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")["UploadId"]
parts = [(n, part(upload, n, body, key="f", ChecksumCRC32=crc32(body))["ETag"]) for n, body in enumerate(data, 1)]
refused(400, "BadDigest", complete, upload, parts, key="f", ChecksumCRC32=crc32(b"other"), ChecksumType="FULL_OBJECT")
done = complete(upload, parts, key="f", ChecksumCRC32=crc32(whole), ChecksumType="FULL_OBJECT")
assert done["ChecksumCRC32"] == base64.b64encode(zlib.crc32(whole).to_bytes(4, "big")).decode()
