"""Objects: META, READ, DEL-1, SIZE-5, TAG-7."""

from s3 import MIB, client, refused, signed

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
put = c.put_object(Bucket=B, Key="a/b.txt", Body=b"hello world", ContentType="text/plain", CacheControl="no-cache",
                   ContentDisposition="inline", ContentLanguage="en", ContentEncoding="identity",
                   Metadata={"Title": "words", "plain": "x"}, Tagging="a=1&b")
assert put["ETag"] == '"5eb63bbbe01eeed093cb22bb8f5acdc3"' and "VersionId" not in put
for found in [c.head_object(Bucket=B, Key="a/b.txt"), c.get_object(Bucket=B, Key="a/b.txt")]:
    assert found["ETag"] == put["ETag"] and found["ContentLength"] == 11 and found["AcceptRanges"] == "bytes"
    assert found["ContentType"] == "text/plain" and found["CacheControl"] == "no-cache"
    assert found["ContentDisposition"] == "inline" and found["ContentLanguage"] == "en"
    assert found["ContentEncoding"] == "identity" and found["Metadata"]["plain"] == "x"
    assert found["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "2"
assert found["Body"].read() == b"hello world"
refused(404, "NoSuchKey", c.get_object, Bucket=B, Key="a")
refused(404, "404", c.head_object, Bucket=B, Key="a/b")
refused(404, "NoSuchBucket", c.put_object, Bucket="nowhere", Key="a", Body=b"")
refused(400, "MetadataTooLarge", c.put_object, Bucket=B, Key="big", Body=b"", Metadata={"k": "v" * 2048})
refused(404, "404", c.head_object, Bucket=B, Key="big")

# META-9, SIZE-5.
empty = c.put_object(Bucket=B, Key="empty", Body=b"")
assert empty["ETag"] == '"d41d8cd98f00b204e9800998ecf8427e"'
found = c.get_object(Bucket=B, Key="empty")
assert found["ContentType"] == "binary/octet-stream" and found["Body"].read() == b""

# META-7: sent twice is one value.
status, _, body = signed("PUT", f"/{B}/twice", {"x-amz-meta-a": "one,two"}, b"x")
assert status == 200, body
assert c.head_object(Bucket=B, Key="twice")["Metadata"]["a"] == "one,two"

# META-8: what is no ASCII comes and goes as RFC 2047 has it.
status, _, body = signed("PUT", f"/{B}/words", {"x-amz-meta-a": "=?UTF-8?B?R3LDvMOfZQ==?="}, b"x")
assert status == 200, body
_, headers, _ = signed("HEAD", f"/{B}/words")
assert headers["x-amz-meta-a"] == "=?UTF-8?B?R3LDvMOfZQ==?=", headers

# META-10.
found = c.get_object(Bucket=B, Key="a/b.txt", ResponseContentType="image/png", ResponseCacheControl="max-age=1",
                     ResponseContentDisposition="attachment", ResponseContentLanguage="de", ResponseContentEncoding="x")
assert (found["ContentType"], found["CacheControl"], found["ContentDisposition"]) == ("image/png", "max-age=1", "attachment")
assert (found["ContentLanguage"], found["ContentEncoding"]) == ("de", "x")

# READ-6, READ-7: of objects in the index, in runs and in files of their own.
for size in [11, 70_000, 9 * MIB + 1]:
    data = bytes(n * 131 % 251 for n in range(size))
    c.put_object(Bucket=B, Key="data", Body=data)
    assert c.get_object(Bucket=B, Key="data")["Body"].read() == data, size
    for first, last in [(0, 0), (3, 7), (size - 2, size - 1), (5, size + 100), (size // 2, size // 2 + 300_000)]:
        found = c.get_object(Bucket=B, Key="data", Range=f"bytes={first}-{last}")
        assert found["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert found["ContentRange"] == f"bytes {first}-{min(last, size - 1)}/{size}", found["ContentRange"]
        assert found["Body"].read() == data[first:last + 1], (size, first, last)
    assert c.get_object(Bucket=B, Key="data", Range="bytes=4-")["Body"].read() == data[4:]
    assert c.get_object(Bucket=B, Key="data", Range="bytes=-7")["Body"].read() == data[-7:]
    assert c.head_object(Bucket=B, Key="data", Range="bytes=1-2")["ContentLength"] == 2
    refused(416, "InvalidRange", c.get_object, Bucket=B, Key="data", Range=f"bytes={size}-")
refused(416, "InvalidRange", c.get_object, Bucket=B, Key="empty", Range="bytes=0-0")

# READ-9.
found = c.get_object(Bucket=B, Key="data", PartNumber=1)
assert found["ResponseMetadata"]["HTTPStatusCode"] == 206 and found["ContentLength"] == size
refused(416, "InvalidPartNumber", c.get_object, Bucket=B, Key="data", PartNumber=2)
refused(400, "InvalidRequest", c.get_object, Bucket=B, Key="data", PartNumber=1, Range="bytes=0-1")

# READ-5, READ-10: a reader has one version, whatever becomes of the key.
refused(400, "InvalidArgument", c.get_object, Bucket=B, Key="data", VersionId="nonsense")
refused(404, "NoSuchVersion", c.get_object, Bucket=B, Key="data", VersionId="0" * 32)
body = c.get_object(Bucket=B, Key="data")["Body"]
begun = body.read(1000)
c.put_object(Bucket=B, Key="data", Body=b"other")
c.delete_object(Bucket=B, Key="data")
assert begun + body.read() == data
refused(404, "NoSuchKey", c.get_object, Bucket=B, Key="data")
c.delete_object(Bucket=B, Key="data")

# SUM-15.
found = c.get_object_attributes(Bucket=B, Key="a/b.txt",
                                ObjectAttributes=["ETag", "Checksum", "StorageClass", "ObjectSize", "ObjectParts"])
assert found["ETag"] == put["ETag"].strip('"') and found["ObjectSize"] == 11 and found["StorageClass"] == "STANDARD" and "ObjectParts" not in found
assert found["Checksum"]["ChecksumType"] == "FULL_OBJECT"
assert "ObjectSize" not in c.get_object_attributes(Bucket=B, Key="a/b.txt", ObjectAttributes=["ETag"])

# What is not built says so, and stores nothing.
refused(501, "NotImplemented", c.put_object, Bucket=B, Key="n", Body=b"", StorageClass="REDUCED_REDUNDANCY")
refused(400, "InvalidStorageClass", c.put_object, Bucket=B, Key="n", Body=b"", StorageClass="NONSENSE")
refused(501, "NotImplemented", c.put_object, Bucket=B, Key="n", Body=b"", ServerSideEncryption="AES256")
refused(400, "AccessControlListNotSupported", c.put_object, Bucket=B, Key="n", Body=b"", ACL="public-read")
refused(400, "InvalidRequest", c.get_object_retention, Bucket=B, Key="a/b.txt")
refused(404, "404", c.head_object, Bucket=B, Key="n")

# ACL-1: access lists are off, and say so.
for acl in [c.get_object_acl(Bucket=B, Key="a/b.txt"), c.get_bucket_acl(Bucket=B)]:
    assert [grant["Permission"] for grant in acl["Grants"]] == ["FULL_CONTROL"]
    assert acl["Grants"][0]["Grantee"]["ID"] == acl["Owner"]["ID"]
c.put_object_acl(Bucket=B, Key="a/b.txt", ACL="private")
refused(400, "AccessControlListNotSupported", c.put_object_acl, Bucket=B, Key="a/b.txt", ACL="public-read")
# What was told can be sent back; with anything more it cannot.
policy = {"Grants": acl["Grants"], "Owner": acl["Owner"]}
c.put_object_acl(Bucket=B, Key="a/b.txt", AccessControlPolicy=policy)
c.put_bucket_acl(Bucket=B, AccessControlPolicy=policy)
everyone = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}
for grants in [[], acl["Grants"] + [{"Grantee": everyone, "Permission": "READ"}], [dict(acl["Grants"][0], Permission="READ")]]:
    policy["Grants"] = grants
    refused(400, "AccessControlListNotSupported", c.put_object_acl, Bucket=B, Key="a/b.txt", AccessControlPolicy=policy)
    refused(400, "AccessControlListNotSupported", c.put_bucket_acl, Bucket=B, AccessControlPolicy=policy)
