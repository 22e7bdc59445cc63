"""Storage classes, archived objects and their restores, configurations of INTELLIGENT_TIERING, over HTTP."""

import re

from s3 import MIB, client, refused

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
CLASSES = ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]

# SC-11, SC-17: the class is chosen when an object is made, and shown wherever it is listed.
for name in CLASSES:
    c.put_object(Bucket=B, Key=name, Body=b"hello world", StorageClass=name)
    assert c.head_object(Bucket=B, Key=name).get("StorageClass") == (None if name == "STANDARD" else name)
    found = c.get_object_attributes(Bucket=B, Key=name, ObjectAttributes=["StorageClass"])
    assert found["StorageClass"] == name
c.put_object(Bucket=B, Key="plain", Body=b"")
for call, member in [(c.list_objects_v2, "Contents"), (c.list_objects, "Contents"), (c.list_object_versions, "Versions")]:
    found = {entry["Key"]: entry["StorageClass"] for entry in call(Bucket=B)[member]}
    assert found == {name: name for name in CLASSES} | {"plain": "STANDARD"}, found
upload = c.create_multipart_upload(Bucket=B, Key="parts", StorageClass="GLACIER_IR")["UploadId"]
assert c.list_multipart_uploads(Bucket=B)["Uploads"][0]["StorageClass"] == "GLACIER_IR"
assert c.list_parts(Bucket=B, Key="parts", UploadId=upload)["StorageClass"] == "GLACIER_IR"

# SC-9
for name in ["NONSENSE", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "standard"]:
    refused(400, "InvalidStorageClass", c.put_object, Bucket=B, Key="n", Body=b"", StorageClass=name)
    refused(400, "InvalidStorageClass", c.create_multipart_upload, Bucket=B, Key="n", StorageClass=name)
    refused(400, "InvalidStorageClass", c.copy_object, Bucket=B, Key="n", CopySource=f"{B}/plain", StorageClass=name)
refused(501, "NotImplemented", c.put_object, Bucket=B, Key="n", Body=b"", StorageClass="REDUCED_REDUNDANCY")

# RST-9, SC-5, SC-6: what lies in an archive is not read, in no way.
for name in ["GLACIER", "DEEP_ARCHIVE"]:
    for call in [
        dict(call=c.get_object, Bucket=B, Key=name),
        dict(call=c.get_object, Bucket=B, Key=name, Range="bytes=0-1"),
        dict(call=c.get_object, Bucket=B, Key=name, PartNumber=1),
        dict(call=c.copy_object, Bucket=B, Key="copy", CopySource=f"{B}/{name}"),
        dict(call=c.copy_object, Bucket=B, Key=name, CopySource=f"{B}/{name}", StorageClass="STANDARD"),
        dict(call=c.upload_part_copy, Bucket=B, Key="parts", UploadId=upload, PartNumber=1, CopySource=f"{B}/{name}"),
    ]:
        error = refused(403, "InvalidObjectState", call.pop("call"), **call)["Error"]
        assert error["StorageClass"] == name and "AccessTier" not in error, error
    head = c.head_object(Bucket=B, Key=name)
    assert head["ContentLength"] == 11 and "Restore" not in head
    c.put_object_tagging(Bucket=B, Key=name, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})

# RST-1, RST-3, RST-14
refused(403, "InvalidObjectState", c.restore_object, Bucket=B, Key="STANDARD", RestoreRequest={"Days": 1})
refused(403, "ObjectAlreadyInActiveTierError", c.restore_object, Bucket=B, Key="INTELLIGENT_TIERING", RestoreRequest={})
refused(404, "NoSuchKey", c.restore_object, Bucket=B, Key="absent", RestoreRequest={"Days": 1})
refused(400, "InvalidArgument", c.restore_object, Bucket=B, Key="GLACIER", RestoreRequest={})
refused(400, "InvalidArgument", c.restore_object, Bucket=B, Key="GLACIER", RestoreRequest={"Days": 0})
for job in [{"GlacierJobParameters": {"Tier": "Expedited"}}, {"Tier": "Expedited"}, {"Tier": "Fast"}]:
    refused(400, "InvalidArgument", c.restore_object, Bucket=B, Key="DEEP_ARCHIVE", RestoreRequest={"Days": 1} | job)
for name, job in [("GLACIER", {"GlacierJobParameters": {"Tier": "Expedited"}}), ("DEEP_ARCHIVE", {})]:
    done = c.restore_object(Bucket=B, Key=name, RestoreRequest={"Days": 2} | job)
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 202
    # RST-7
    text = c.head_object(Bucket=B, Key=name)["Restore"]
    ends = re.fullmatch(r'ongoing-request="false", expiry-date="(\w{3}, \d\d \w{3} \d{4} 00:00:00 GMT)"', text)
    assert ends, text
    found = c.get_object(Bucket=B, Key=name)
    assert found["Body"].read() == b"hello world" and found["Restore"] == text and found["StorageClass"] == name
    again = c.restore_object(Bucket=B, Key=name, RestoreRequest={"Days": 20})
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert c.head_object(Bucket=B, Key=name)["Restore"] != text

# RST-10, SC-12: back for good by a copy onto itself; what that may not do.
c.copy_object(Bucket=B, Key="GLACIER", CopySource=f"{B}/GLACIER", StorageClass="STANDARD")
head = c.head_object(Bucket=B, Key="GLACIER")
assert "StorageClass" not in head and "Restore" not in head
refused(400, "InvalidRequest", c.copy_object, Bucket=B, Key="STANDARD", CopySource=f"{B}/STANDARD")
refused(400, "InvalidRequest", c.copy_object, Bucket=B, Key="ONEZONE_IA", CopySource=f"{B}/ONEZONE_IA", StorageClass="GLACIER_IR")
c.copy_object(Bucket=B, Key="STANDARD_IA", CopySource=f"{B}/STANDARD_IA", StorageClass="STANDARD")
c.copy_object(Bucket=B, Key="copy", CopySource=f"{B}/ONEZONE_IA")
assert "StorageClass" not in c.head_object(Bucket=B, Key="copy"), "COPY-3: the class is never the source's"

# RST-11: one version, by its id.
c.put_bucket_versioning(Bucket=B, VersioningConfiguration={"Status": "Enabled"})
ids = [c.put_object(Bucket=B, Key="v", Body=body, StorageClass="GLACIER")["VersionId"] for body in (b"one", b"two")]
c.restore_object(Bucket=B, Key="v", VersionId=ids[0], RestoreRequest={"Days": 1})
assert c.get_object(Bucket=B, Key="v", VersionId=ids[0])["Body"].read() == b"one"
refused(403, "InvalidObjectState", c.get_object, Bucket=B, Key="v")
marker = c.delete_object(Bucket=B, Key="v")["VersionId"]
refused(405, "MethodNotAllowed", c.restore_object, Bucket=B, Key="v", VersionId=marker, RestoreRequest={"Days": 1})

# IT-3, IT-10
ARCHIVE, DEEP = {"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}, {"Days": 180, "AccessTier": "DEEP_ARCHIVE_ACCESS"}


def configure(name, *tiers, **more):
    configuration = {"Id": name, "Status": "Enabled", "Tierings": list(tiers)} | more
    return dict(Bucket=B, Id=name, IntelligentTieringConfiguration=configuration)


refused(404, "NoSuchConfiguration", c.get_bucket_intelligent_tiering_configuration, Bucket=B, Id="a")
put = c.put_bucket_intelligent_tiering_configuration
refused(400, "InvalidArgument", put, **configure("a", ARCHIVE | {"Days": 89}))
refused(400, "InvalidArgument", put, **configure("a", DEEP | {"Days": 731}))
refused(400, "InvalidArgument", put, **(configure("a", DEEP) | {"Id": "b"}))
refused(400, "MalformedXML", put, **configure("a", {"Days": 90, "AccessTier": "FREQUENT"}))
tags = [{"Key": "k", "Value": "v"}, {"Key": "l", "Value": "w"}]
wanted = configure("a", ARCHIVE, DEEP, Filter={"And": {"Prefix": "logs/", "Tags": tags}})
put(**wanted)
put(**configure("b", DEEP, Status="Disabled", Filter={"Prefix": "x"}))
put(**configure("b", ARCHIVE, Filter={"Tag": tags[0]}))
found = c.get_bucket_intelligent_tiering_configuration(Bucket=B, Id="a")["IntelligentTieringConfiguration"]
assert found == wanted["IntelligentTieringConfiguration"], found
listed = c.list_bucket_intelligent_tiering_configurations(Bucket=B)
assert [one["Id"] for one in listed["IntelligentTieringConfigurationList"]] == ["a", "b"] and not listed["IsTruncated"]
c.delete_bucket_intelligent_tiering_configuration(Bucket=B, Id="a")
refused(404, "NoSuchConfiguration", c.delete_bucket_intelligent_tiering_configuration, Bucket=B, Id="a")
for n in range(250):
    put(**configure(f"n{n:03}", ARCHIVE))
seen, token = [], {}
while True:
    page = c.list_bucket_intelligent_tiering_configurations(Bucket=B, **token)
    seen += [one["Id"] for one in page["IntelligentTieringConfigurationList"]]
    if not page["IsTruncated"]:
        break
    token = {"ContinuationToken": page["NextContinuationToken"]}
assert len(seen) == len(set(seen)) == 251

c.put_object(Bucket=B, Key="it", Body=b"x" * MIB, StorageClass="INTELLIGENT_TIERING")
assert "ArchiveStatus" not in c.head_object(Bucket=B, Key="it"), "IT-9: it is in none yet"
