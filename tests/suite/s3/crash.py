"""Uploads in parts until the server dies, and what must be there after: write|check BUCKET DONE."""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor

from s3 import MIB, client

act, bucket, done = sys.argv[1:]
c = client()


def body(key, number):
    return hashlib.sha256(f"{key} {number}".encode()).digest() * (5 * MIB // 32 if number < 3 else 100)


def upload(key):
    upload = c.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = [{"PartNumber": number, "ETag": c.upload_part(
        Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body(key, number))["ETag"]} for number in (1, 2, 3)]
    c.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    with open(done, "a") as file:
        file.write(key + "\n")


def work(thread):
    for round in range(1000):
        try:
            upload(f"{done.rsplit('/', 1)[1]}-{thread}-{round}")
        except Exception:
            return


if act == "write":
    open(done, "w").close()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
else:
    there = {entry["Key"] for entry in c.list_objects_v2(Bucket=bucket).get("Contents", [])}
    completed = {line.strip() for line in open(done)}
    assert completed and completed <= there, completed - there
    for key in there:
        whole = b"".join(body(key, number) for number in (1, 2, 3))
        assert c.get_object(Bucket=bucket, Key=key)["Body"].read() == whole, key
