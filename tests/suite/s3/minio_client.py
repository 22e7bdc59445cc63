"""What people do with MinIO's client for Python."""

import datetime
import io
import os
import urllib.error
import urllib.request

import minio
from minio.commonconfig import REPLACE, ComposeSource, CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.versioningconfig import ENABLED, VersioningConfig

from s3 import HOST, MIB

c = minio.Minio(HOST, access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"], secure=False)
B = "lake"


def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except minio.error.S3Error as error:
        assert error.code == code, error
        return
    raise AssertionError(f"it was not refused with {code}")


def bytes_of(key, **options):
    answer = c.get_object(B, key, **options)
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


c.make_bucket(B, location="us-east-1")
assert c.bucket_exists(B) and not c.bucket_exists("none")
assert [bucket.name for bucket in c.list_buckets()] == [B]
refused("BucketAlreadyOwnedByYou", c.make_bucket, B)

# Whole, in parts, of unknown length, and files.
big = os.urandom(12 * MIB + 5)
c.put_object(B, "small", io.BytesIO(b"text"), 4, content_type="text/plain", metadata={"color": "red"})
put = c.put_object(B, "parts", io.BytesIO(big), len(big), part_size=5 * MIB, num_parallel_uploads=3)
c.put_object(B, "stream", io.BytesIO(big), -1, part_size=5 * MIB)
with open("file", "wb") as file:
    file.write(big)
c.fput_object(B, "file", "file", part_size=6 * MIB)
c.fget_object(B, "file", "back")
with open("back", "rb") as file:
    assert file.read() == big
assert bytes_of("parts") == big and bytes_of("stream") == big and bytes_of("small") == b"text"
assert bytes_of("parts", offset=5 * MIB - 10, length=20) == big[5 * MIB - 10:5 * MIB + 10]
stat = c.stat_object(B, "parts")
assert (stat.size, stat.etag) == (len(big), put.etag) and stat.etag.endswith("-3")
stat = c.stat_object(B, "small")
assert stat.metadata["x-amz-meta-color"] == "red" and stat.content_type == "text/plain"
refused("NoSuchKey", c.get_object, B, "none")

# Copies, and objects put together of others by the server.
c.copy_object(B, "copies/same", CopySource(B, "small"))
c.copy_object(B, "copies/other", CopySource(B, "small"), metadata={"color": "blue"}, metadata_directive=REPLACE)
assert c.stat_object(B, "copies/same").metadata["x-amz-meta-color"] == "red"
assert c.stat_object(B, "copies/other").metadata["x-amz-meta-color"] == "blue"
refused("PreconditionFailed", c.copy_object, B, "copies/none", CopySource(B, "small", match_etag="0" * 32))
c.compose_object(B, "composed", [ComposeSource(B, "parts", offset=0, length=6 * MIB), ComposeSource(B, "small")])
assert bytes_of("composed") == big[:6 * MIB] + b"text"

# Listings.
for n in range(25):
    c.put_object(B, f"many/{n:02}/key", io.BytesIO(b"x"), 1)
names = sorted(entry.object_name for entry in c.list_objects(B))
assert names == ["composed", "copies/", "file", "many/", "parts", "small", "stream"], names
assert len(list(c.list_objects(B, prefix="many/", recursive=True))) == 25
names = [entry.object_name for entry in c.list_objects(B, prefix="many/", start_after="many/20", use_api_v1=True)]
assert names == [f"many/{n}/" for n in range(20, 25)], names
odd = "odd/ä b+c&d?e#f%20"
c.put_object(B, odd, io.BytesIO(b"odd"), 3)
assert [entry.object_name for entry in c.list_objects(B, prefix="odd/")] == [odd] and bytes_of(odd) == b"odd"

# Tags.
tags = Tags.new_object_tags()
tags["team"] = "storage"
c.set_object_tags(B, "small", tags)
assert c.get_object_tags(B, "small") == {"team": "storage"}
c.delete_object_tags(B, "small")
assert c.get_object_tags(B, "small") is None
tags = Tags.new_bucket_tags()
tags["cost"] = "1"
c.set_bucket_tags(B, tags)
assert c.get_bucket_tags(B) == {"cost": "1"}
c.delete_bucket_tags(B)

# Presigned.
with urllib.request.urlopen(c.presigned_get_object(B, "small", response_headers={"response-content-type": "a/b"})) as answer:
    assert answer.read() == b"text" and answer.headers["Content-Type"] == "a/b"
url = c.presigned_put_object(B, "presigned", expires=datetime.timedelta(minutes=5))
with urllib.request.urlopen(urllib.request.Request(url, data=b"put", method="PUT")) as answer:
    assert answer.status == 200
assert bytes_of("presigned") == b"put"
try:
    urllib.request.urlopen(c.presigned_get_object(B, "small").replace("small", "parts"))
    raise AssertionError("another key was opened")
except urllib.error.HTTPError as error:
    assert error.code == 403
policy = minio.datatypes.PostPolicy(B, datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5))
policy.add_equals_condition("key", "posted")
policy.add_content_length_range_condition(1, 100)
fields = c.presigned_post_policy(policy) | {"key": "posted"}
parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
form = "".join(parts) + '--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nposted\r\n--x--\r\n'
request = urllib.request.Request(f"http://{HOST}/{B}", form.encode(), {"Content-Type": "multipart/form-data; boundary=x"})
with urllib.request.urlopen(request) as answer:
    assert answer.status == 204
assert bytes_of("posted") == b"posted"

# Versions.
c.set_bucket_versioning(B, VersioningConfig(ENABLED))
assert c.get_bucket_versioning(B).status == ENABLED
first = c.put_object(B, "kept", io.BytesIO(b"one"), 3).version_id
second = c.put_object(B, "kept", io.BytesIO(b"two"), 3).version_id
c.remove_object(B, "kept")
refused("NoSuchKey", c.stat_object, B, "kept")
assert bytes_of("kept", version_id=first) == b"one"
found = list(c.list_objects(B, prefix="kept", include_version=True))
assert {entry.version_id for entry in found if not entry.is_delete_marker} == {first, second}
assert sum(entry.is_delete_marker for entry in found) == 1
c.copy_object(B, "kept", CopySource(B, "kept", version_id=first))
assert bytes_of("kept") == b"one"

# All of it is deleted, a list at a time.
every = (DeleteObject(e.object_name, e.version_id) for e in c.list_objects(B, recursive=True, include_version=True))
assert not list(c.remove_objects(B, every))
assert not list(c.list_objects(B, recursive=True, include_version=True))
c.remove_bucket(B)
refused("NoSuchBucket", list, c.list_objects(B))
