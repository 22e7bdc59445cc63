"""MFA delete over HTTP: `root SERIAL SECRET` as the account's root, `other SERIAL SECRET` as another user; `code SERIAL SECRET STEPS`
shows the code of so many steps from now (MFA-1 to MFA-8)."""

import base64
import hashlib
import hmac
import struct
import sys
import time

from s3 import client, refused

c = client()
B = "bkt"
who, SERIAL, SECRET, *steps = sys.argv[1:]
used = set()


def shown(step):
    key = base64.b32decode(SECRET + "=" * (-len(SECRET) % 8))
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{SERIAL} {(struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1000000:06d}"


def code():
    """`SERIAL CODE` with a code that was not used yet: waits for one."""
    while True:
        now = int(time.time()) // 30
        for step in (now, now + 1):
            if step > max(used, default=0):
                used.add(step)
                return shown(step)
        time.sleep(1)


def versioning(mfa=None, **more):
    arguments = {"MFA": mfa} if mfa else {}
    return c.put_bucket_versioning(Bucket=B, VersioningConfiguration=more, **arguments)


def root():
    c.create_bucket(Bucket=B)
    versioning(Status="Enabled")
    assert "MFADelete" not in c.get_bucket_versioning(Bucket=B)
    refused(403, "AccessDenied", versioning, Status="Enabled", MFADelete="Enabled")
    refused(403, "AccessDenied", versioning, f"{SERIAL} 000000x", Status="Enabled", MFADelete="Enabled")
    once = code()
    versioning(once, Status="Enabled", MFADelete="Enabled")
    assert c.get_bucket_versioning(Bucket=B)["MFADelete"] == "Enabled"
    one = c.put_object(Bucket=B, Key="k", Body=b"one")["VersionId"]
    two = c.put_object(Bucket=B, Key="k", Body=b"two")["VersionId"]
    which = {"Bucket": B, "Key": "k", "VersionId": one}
    refused(403, "AccessDenied", c.delete_object, **which)
    # MFA-5.
    refused(403, "AccessDenied", c.delete_object, MFA=once, **which)
    refused(403, "AccessDenied", versioning, Status="Suspended")
    # MFA-6: as a whole.
    both = {"Objects": [{"Key": "k", "VersionId": one}, {"Key": "other"}]}
    refused(403, "AccessDenied", c.delete_objects, Bucket=B, Delete=both)
    refused(403, "AccessDenied", c.delete_objects, Bucket=B, Delete=both, MFA=once)
    assert not c.list_object_versions(Bucket=B).get("DeleteMarkers")
    assert len(c.delete_objects(Bucket=B, Delete={"Objects": [{"Key": "other"}]})["Deleted"]) == 1
    # One code for the whole request.
    gone = c.delete_objects(Bucket=B, Delete={"Objects": [{"Key": "k", "VersionId": one}, {"Key": "k", "VersionId": two}]}, MFA=code())
    assert len(gone["Deleted"]) == 2, gone


def other():
    """MFA-3: a code of the root's is none of another's."""
    c.create_bucket(Bucket="theirs")
    c.put_bucket_versioning(Bucket="theirs", VersioningConfiguration={"Status": "Enabled"})
    refused(403, "AccessDenied", c.put_bucket_versioning, Bucket="theirs", MFA=code(),
            VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"})


{"root": root, "other": other, "code": lambda: print(shown(int(time.time()) // 30 + int(steps[0])))}[who]()
