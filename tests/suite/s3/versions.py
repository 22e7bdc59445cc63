"""Versions and delete markers: VER-3 to VER-11, DEL-2 to DEL-9, LIST-11 to LIST-15, READ-1, READ-2, TAG-9."""

from s3 import client, refused

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
c.put_object(Bucket=B, Key="k", Body=b"before")
listed = c.list_object_versions(Bucket=B)["Versions"]
assert [(entry["VersionId"], entry["IsLatest"]) for entry in listed] == [("null", True)]
c.put_bucket_versioning(Bucket=B, VersioningConfiguration={"Status": "Enabled"})
one = c.put_object(Bucket=B, Key="k", Body=b"one")["VersionId"]
two = c.put_object(Bucket=B, Key="k", Body=b"two")["VersionId"]
found = c.get_object(Bucket=B, Key="k")
assert (found["Body"].read(), found["VersionId"]) == (b"two", two)
for version, data in [("null", b"before"), (one, b"one"), (two, b"two")]:
    found = c.get_object(Bucket=B, Key="k", VersionId=version)
    assert (found["Body"].read(), found["VersionId"]) == (data, version)

gone = c.delete_object(Bucket=B, Key="k")
marker = gone["VersionId"]
assert gone["DeleteMarker"]
headers = refused(404, "NoSuchKey", c.get_object, Bucket=B, Key="k")["ResponseMetadata"]["HTTPHeaders"]
assert headers["x-amz-delete-marker"] == "true" and headers["x-amz-version-id"] == marker
headers = refused(405, "MethodNotAllowed", c.get_object, Bucket=B, Key="k", VersionId=marker)["ResponseMetadata"]["HTTPHeaders"]
assert headers["x-amz-delete-marker"] == "true" and headers["allow"] == "DELETE"
refused(405, "405", c.head_object, Bucket=B, Key="k", VersionId=marker)
refused(405, "MethodNotAllowed", c.put_object_tagging, Bucket=B, Key="k", VersionId=marker,
        Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
assert "Contents" not in c.list_objects_v2(Bucket=B)
c.put_object_tagging(Bucket=B, Key="k", VersionId=one, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
assert c.get_object_tagging(Bucket=B, Key="k", VersionId=one)["TagSet"] == [{"Key": "a", "Value": "b"}]
assert c.get_object_tagging(Bucket=B, Key="k", VersionId=two)["TagSet"] == []

listed = c.list_object_versions(Bucket=B)
assert [entry["VersionId"] for entry in listed["Versions"]] == [two, one, "null"]
assert [(entry["VersionId"], entry["IsLatest"]) for entry in listed["DeleteMarkers"]] == [(marker, True)]
assert not any(entry["IsLatest"] for entry in listed["Versions"])

# VER-14: undelete; DEL-6, DEL-7.
undeleted = c.delete_object(Bucket=B, Key="k", VersionId=marker)
assert undeleted["DeleteMarker"] and undeleted["VersionId"] == marker
assert c.get_object(Bucket=B, Key="k")["VersionId"] == two
assert c.delete_object(Bucket=B, Key="k", VersionId=two)["VersionId"] == two
assert c.get_object(Bucket=B, Key="k")["VersionId"] == one
c.delete_object(Bucket=B, Key="k", VersionId=two)
refused(400, "InvalidArgument", c.delete_object, Bucket=B, Key="k", VersionId="nonsense")
assert c.delete_object(Bucket=B, Key="never")["DeleteMarker"]

# VER-13: roll back by a copy.
restored = c.copy_object(Bucket=B, Key="k", CopySource={"Bucket": B, "Key": "k", "VersionId": "null"})
assert restored["CopySourceVersionId"] == "null" and restored["VersionId"] not in (one, "null")
assert c.get_object(Bucket=B, Key="k")["Body"].read() == b"before"

# VER-6, DEL-4.
c.put_bucket_versioning(Bucket=B, VersioningConfiguration={"Status": "Suspended"})
assert "VersionId" not in c.put_object(Bucket=B, Key="k", Body=b"null")
assert c.head_object(Bucket=B, Key="k")["VersionId"] == "null"
assert c.get_object(Bucket=B, Key="k", VersionId="null")["Body"].read() == b"null"
assert c.delete_object(Bucket=B, Key="k")["VersionId"] == "null"
refused(405, "MethodNotAllowed", c.get_object, Bucket=B, Key="k", VersionId="null")
c.put_bucket_versioning(Bucket=B, VersioningConfiguration={"Status": "Enabled"})

# LIST-12, LIST-13: pages without a gap and without a repetition.
for n in range(3):
    for name in ["p/a", "p/b", "p/c"]:
        c.put_object(Bucket=B, Key=name, Body=str(n).encode())
c.delete_object(Bucket=B, Key="p/b")
whole = c.list_object_versions(Bucket=B, Prefix="p/")
order = sorted(((entry["Key"], entry["VersionId"]) for entry in whole["Versions"] + whole["DeleteMarkers"]))
for size in [1, 2, 3, 4]:
    seen, markers = [], {}
    while True:
        page = c.list_object_versions(Bucket=B, Prefix="p/", MaxKeys=size, **markers)
        entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
        assert len(entries) <= size
        seen += [(entry["Key"], entry["VersionId"]) for entry in entries]
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert sorted(seen) == order, (size, seen)
page = c.list_object_versions(Bucket=B, KeyMarker="p/a", Prefix="p/")
assert {entry["Key"] for entry in page["Versions"]} == {"p/b", "p/c"}
refused(400, "InvalidArgument", c.list_object_versions, Bucket=B, VersionIdMarker=one)
page = c.list_object_versions(Bucket=B, Delimiter="/")
assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["p/"]

# DEL-8, DEL-9.
entries = c.list_object_versions(Bucket=B)
every = [{"Key": entry["Key"], "VersionId": entry["VersionId"]}
         for entry in entries["Versions"] + entries["DeleteMarkers"]]
answer = c.delete_objects(Bucket=B, Delete={"Objects": every + [{"Key": "k", "VersionId": "nonsense"}]})
assert len(answer["Deleted"]) == len(every) and [entry["Code"] for entry in answer["Errors"]] == ["InvalidArgument"]
made = c.delete_objects(Bucket=B, Delete={"Objects": [{"Key": "x"}]})["Deleted"][0]
assert made["DeleteMarker"] and made["DeleteMarkerVersionId"]
quiet = c.delete_objects(Bucket=B, Delete={"Quiet": True, "Objects": [
    {"Key": "x", "VersionId": made["DeleteMarkerVersionId"]}]})
assert "Deleted" not in quiet and "Errors" not in quiet
refused(400, "MalformedXML", c.delete_objects, Bucket=B, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})
c.delete_bucket(Bucket=B)
