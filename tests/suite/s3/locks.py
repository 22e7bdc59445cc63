"""Object lock over HTTP: `alone`, the rules LOCK-1 to LOCK-18; `make`, `attack`, `check KEY...` beside a mount."""

import datetime
import json
import sys

from s3 import client, crc32, refused, signed

c = client()
B = "bkt"
UTC = datetime.timezone.utc
NEXT_YEAR = datetime.datetime.now(UTC).replace(microsecond=0) + datetime.timedelta(days=365)
LATER = NEXT_YEAR + datetime.timedelta(days=1)
SOONER = NEXT_YEAR - datetime.timedelta(days=1)


def rule(mode, **period):
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": mode, **period}}}


def retention(mode, until):
    return {"Mode": mode, "RetainUntilDate": until}


def configuration():
    # LOCK-11.
    c.create_bucket(Bucket="plain")
    c.put_object(Bucket="plain", Key="k", Body=b"k")
    refused(404, "ObjectLockConfigurationNotFoundError", c.get_object_lock_configuration, Bucket="plain")
    governed = retention("GOVERNANCE", NEXT_YEAR)
    refused(400, "InvalidRequest", c.get_object_retention, Bucket="plain", Key="k")
    refused(400, "InvalidRequest", c.put_object_retention, Bucket="plain", Key="k", Retention=governed)
    refused(400, "InvalidRequest", c.get_object_legal_hold, Bucket="plain", Key="k")
    refused(400, "InvalidRequest", c.put_object_legal_hold, Bucket="plain", Key="k", LegalHold={"Status": "ON"})
    refused(400, "InvalidRequest", c.put_object, Bucket="plain", Key="k", Body=b"", ObjectLockLegalHoldStatus="ON")
    # LOCK-2.
    for state in [None, "Suspended"]:
        if state:
            c.put_bucket_versioning(Bucket="plain", VersioningConfiguration={"Status": state})
        refused(409, "InvalidBucketState", c.put_object_lock_configuration, Bucket="plain",
                ObjectLockConfiguration=rule("GOVERNANCE", Days=1))
    c.put_bucket_versioning(Bucket="plain", VersioningConfiguration={"Status": "Enabled"})
    c.put_object_lock_configuration(Bucket="plain", ObjectLockConfiguration=rule("GOVERNANCE", Days=1))
    # LOCK-1.
    c.create_bucket(Bucket=B, ObjectLockEnabledForBucket=True)
    assert c.get_bucket_versioning(Bucket=B)["Status"] == "Enabled"
    for bucket in ["plain", B]:
        refused(409, "InvalidBucketState", c.put_bucket_versioning, Bucket=bucket,
                VersioningConfiguration={"Status": "Suspended"})
    assert c.get_object_lock_configuration(Bucket=B)["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    # LOCK-8.
    for bad in [rule("GOVERNANCE", Days=1, Years=1), rule("governance", Days=1), rule("abc", Years=1), rule("GOVERNANCE"),
                {"ObjectLockEnabled": "Disabled"}, {"ObjectLockEnabled": "Enabled", "Rule": {}}]:
        refused(400, "MalformedXML", c.put_object_lock_configuration, Bucket=B, ObjectLockConfiguration=bad)
    for bad in [{"Days": 0}, {"Days": -1}, {"Years": 0}, {"Years": 101}, {"Days": 36501}]:
        refused(400, "InvalidRetentionPeriod", c.put_object_lock_configuration, Bucket=B,
                ObjectLockConfiguration=rule("GOVERNANCE", **bad))
    for good in [rule("COMPLIANCE", Years=100), rule("GOVERNANCE", Days=3)]:
        c.put_object_lock_configuration(Bucket=B, ObjectLockConfiguration=good)
        assert c.get_object_lock_configuration(Bucket=B)["ObjectLockConfiguration"] == good


def uploads():
    # LOCK-9: the default, and what is said instead.
    made = c.put_object(Bucket=B, Key="k", Body=b"k")["VersionId"]
    found = c.head_object(Bucket=B, Key="k")
    assert found["ObjectLockMode"] == "GOVERNANCE" and "ObjectLockLegalHoldStatus" not in found
    due = found["LastModified"] + datetime.timedelta(days=3)
    assert abs(found["ObjectLockRetainUntilDate"] - due) < datetime.timedelta(seconds=2)
    said = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": NEXT_YEAR, "ObjectLockLegalHoldStatus": "ON"}
    c.put_object(Bucket=B, Key="said", Body=b"k", **said)
    c.copy_object(Bucket=B, Key="copy", CopySource={"Bucket": B, "Key": "k"}, **said)
    upload = c.create_multipart_upload(Bucket=B, Key="parts", **said)["UploadId"]
    part = c.upload_part(Bucket=B, Key="parts", UploadId=upload, PartNumber=1, Body=b"part")
    c.complete_multipart_upload(Bucket=B, Key="parts", UploadId=upload,
                                MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    for key in ["said", "copy", "parts"]:
        for call in [c.head_object, c.get_object]:
            found = call(Bucket=B, Key=key)
            assert {name: found[name] for name in said} == said, found
        assert c.get_object_retention(Bucket=B, Key=key)["Retention"] == retention("GOVERNANCE", NEXT_YEAR)
        assert c.get_object_legal_hold(Bucket=B, Key=key)["LegalHold"] == {"Status": "ON"}
    # A copy has none of its source's.
    c.copy_object(Bucket=B, Key="bare", CopySource={"Bucket": B, "Key": "said"})
    assert "ObjectLockLegalHoldStatus" not in c.head_object(Bucket=B, Key="bare")
    refused(404, "NoSuchObjectLockConfiguration", c.get_object_legal_hold, Bucket=B, Key="bare")
    # LOCK-10.
    past = datetime.datetime(2020, 1, 1, tzinfo=UTC)
    for bad in [{"ObjectLockMode": "GOVERNANCE"}, {"ObjectLockRetainUntilDate": NEXT_YEAR},
                {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": past},
                {"ObjectLockMode": "governance", "ObjectLockRetainUntilDate": NEXT_YEAR},
                {"ObjectLockLegalHoldStatus": "on"}]:
        refused(400, "InvalidArgument", c.put_object, Bucket=B, Key="bad", Body=b"", **bad)
        refused(400, "InvalidArgument", c.create_multipart_upload, Bucket=B, Key="bad", **bad)
        refused(400, "InvalidArgument", c.copy_object, Bucket=B, Key="bad", CopySource={"Bucket": B, "Key": "k"}, **bad)
    error = refused(400, "InvalidArgument", c.put_object_retention, Bucket=B, Key="k",
                    Retention=retention("GOVERNANCE", past), BypassGovernanceRetention=True)
    assert "must be in the future" in error["Error"]["Message"], error
    for bad in [retention("abc", NEXT_YEAR), {"Mode": "GOVERNANCE"}, {"RetainUntilDate": NEXT_YEAR}]:
        refused(400, "MalformedXML", c.put_object_retention, Bucket=B, Key="k", Retention=bad)
    refused(400, "MalformedXML", c.put_object_legal_hold, Bucket=B, Key="k", LegalHold={"Status": "abc"})
    # LOCK-16: by hand, since the client sends a checksum unasked.
    status, _, body = signed("PUT", f"/{B}/bare", body=b"no checksum")
    assert status == 400 and b"Content-MD5 OR x-amz-checksum-" in body, body
    status, _, body = signed("PUT", f"/{B}/bare", {"x-amz-checksum-crc32": crc32(b"with one")}, b"with one")
    assert status == 200, body
    # LOCK-18.
    before = c.head_object(Bucket=B, Key="k")
    c.put_object_retention(Bucket=B, Key="k", VersionId=made, Retention=retention("GOVERNANCE", NEXT_YEAR))
    after = c.head_object(Bucket=B, Key="k")
    assert (after["VersionId"], after["LastModified"]) == (before["VersionId"], before["LastModified"]) == (made, before["LastModified"])


def changes():
    made = c.put_object(Bucket=B, Key="change", Body=b"k")["VersionId"]
    which = {"Bucket": B, "Key": "change", "VersionId": made}

    def put(mode, until, **more):
        return c.put_object_retention(Retention=retention(mode, until), **which, **more)

    put("GOVERNANCE", NEXT_YEAR)
    put("GOVERNANCE", LATER)
    refused(403, "AccessDenied", put, "GOVERNANCE", NEXT_YEAR)
    put("GOVERNANCE", NEXT_YEAR, BypassGovernanceRetention=True)
    refused(403, "AccessDenied", c.put_object_retention, Retention={}, **which)
    c.put_object_retention(Retention={}, BypassGovernanceRetention=True, **which)
    refused(404, "NoSuchObjectLockConfiguration", c.get_object_retention, **which)
    put("GOVERNANCE", NEXT_YEAR)
    refused(403, "AccessDenied", put, "COMPLIANCE", NEXT_YEAR)
    put("COMPLIANCE", NEXT_YEAR, BypassGovernanceRetention=True)
    for bad in [("COMPLIANCE", SOONER), ("GOVERNANCE", LATER)]:
        refused(403, "AccessDenied", put, *bad)
        refused(403, "AccessDenied", put, *bad, BypassGovernanceRetention=True)
    put("COMPLIANCE", LATER)
    assert c.get_object_retention(**which)["Retention"] == retention("COMPLIANCE", LATER)


def make():
    """A version with each lock: its key says which. What was made is told."""
    c.create_bucket(Bucket=B, ObjectLockEnabledForBucket=True)
    told = {}
    for name, mode, hold in [("governance", "GOVERNANCE", None), ("compliance", "COMPLIANCE", None), ("hold", None, "ON"),
                             ("both", "GOVERNANCE", "ON"), ("all", "COMPLIANCE", "ON")]:
        said = {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": NEXT_YEAR} if mode else {}
        if hold:
            said["ObjectLockLegalHoldStatus"] = hold
        told[name] = c.put_object(Bucket=B, Key=name, Body=name.encode(), **said)["VersionId"]
    print(json.dumps(told))


def attack(told):
    """Every way that HTTP has to destroy or weaken a version."""
    refused(409, "BucketNotEmpty", c.delete_bucket, Bucket=B)
    refused(409, "InvalidBucketState", c.put_bucket_versioning, Bucket=B, VersioningConfiguration={"Status": "Suspended"})
    refused(400, "MalformedXML", c.put_object_lock_configuration, Bucket=B,
            ObjectLockConfiguration={"ObjectLockEnabled": "Disabled"})
    c.put_object(Bucket=B, Key="source", Body=b"another")
    for name, version in told.items():
        which = {"Bucket": B, "Key": name, "VersionId": version}
        ways = [{}] if name == "governance" else [{}, {"BypassGovernanceRetention": True}]
        for more in ways:
            refused(403, "AccessDenied", c.delete_object, **which, **more)
            answer = c.delete_objects(Bucket=B, Delete={"Objects": [
                {"Key": name, "VersionId": version}, {"Key": "never", "VersionId": "null"}]}, **more)
            assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [(name, "AccessDenied")], answer
            assert [deleted["Key"] for deleted in answer["Deleted"]] == ["never"]
        if name != "hold":
            refused(403, "AccessDenied", c.put_object_retention, Retention={}, **which)
            refused(403, "AccessDenied", c.put_object_retention, Retention=retention("GOVERNANCE", SOONER), **which)
        if name in ("compliance", "all"):
            for bad in [{}, retention("COMPLIANCE", SOONER), retention("GOVERNANCE", LATER)]:
                refused(403, "AccessDenied", c.put_object_retention, Retention=bad, BypassGovernanceRetention=True, **which)
        c.put_object(Bucket=B, Key=name, Body=b"newer")
        c.copy_object(Bucket=B, Key=name, CopySource={"Bucket": B, "Key": "source"})
        c.delete_object(Bucket=B, Key=name)


def check(told):
    """Each is there as it was."""
    for name, version in told.items():
        found = c.get_object(Bucket=B, Key=name, VersionId=version)
        assert found["Body"].read() == name.encode(), name
        mode = {"governance": "GOVERNANCE", "compliance": "COMPLIANCE", "both": "GOVERNANCE", "all": "COMPLIANCE"}.get(name)
        assert found.get("ObjectLockMode") == mode, (name, found)
        assert found.get("ObjectLockLegalHoldStatus") == ("ON" if name in ("hold", "both", "all") else None), name


def end(told):
    """What is allowed ends them."""
    for name in ["hold", "both"]:
        c.put_object_legal_hold(Bucket=B, Key=name, VersionId=told[name], LegalHold={"Status": "OFF"})
    c.delete_object(Bucket=B, Key="hold", VersionId=told["hold"])
    refused(403, "AccessDenied", c.delete_object, Bucket=B, Key="both", VersionId=told["both"])
    for name in ["governance", "both"]:
        c.delete_object(Bucket=B, Key=name, VersionId=told[name], BypassGovernanceRetention=True)


act, *arguments = sys.argv[1:]
if act == "alone":
    configuration()
    uploads()
    changes()
elif act == "make":
    make()
else:
    {"attack": attack, "check": check, "end": end}[act](json.loads(arguments[0]))
