"""One act at the S3 door: ACT ARGUMENTS..., for tests that look at the mount in between."""

import sys
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
from s3 import MIB, client, keys, plain

c = client()


def put(bucket, key, text):
    c.put_object(Bucket=bucket, Key=key, Body=text.encode())


def get(bucket, key):
    try:
        return c.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]


def delete(bucket, key):
    c.delete_object(Bucket=bucket, Key=key)


def tag(bucket, key, name, value):
    c.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": [{"Key": name, "Value": value}]})


def copy(bucket, key, to_bucket, to_key):
    c.copy_object(Bucket=to_bucket, Key=to_key, CopySource={"Bucket": bucket, "Key": key})


def multipart(bucket, key):
    upload = c.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA1")["UploadId"]
    parts = []
    for number, body in [(1, b"x" * (5 * MIB)), (2, b"tail")]:
        part = c.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA1")
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA1": part["ChecksumSHA1"]})
    c.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def summed(bucket, key, text, algorithm):
    return c.put_object(Bucket=bucket, Key=key, Body=text.encode(), ChecksumAlgorithm=algorithm)["Checksum" + algorithm]


def bucket(name):
    c.create_bucket(Bucket=name)


def versioning(name):
    c.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def cors(name, *origins):
    """Sets a bucket's one rule, for these origins; `none` takes it away, and without a word it is told."""
    if origins == ("none",):
        c.delete_bucket_cors(Bucket=name)
    elif origins:
        rule = {"AllowedMethods": ["GET"], "AllowedOrigins": list(origins)}
        c.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    else:
        try:
            return " ".join(c.get_bucket_cors(Bucket=name)["CORSRules"][0]["AllowedOrigins"])
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]["Code"]


def preflight(name, origin):
    """The status of an answer to a page's question."""
    return str(plain("OPTIONS", f"/{name}/k", {"Origin": origin, "Access-Control-Request-Method": "GET"})[0])


def list_(name):
    return " ".join(keys(c.list_objects_v2(Bucket=name)))


def describe(bucket, key):
    found = c.head_object(Bucket=bucket, Key=key)["Metadata"]
    tags = {tag["Key"]: tag["Value"] for tag in c.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}
    return " ".join(f"{name}={value}" for name, value in (found | tags).items())


def digest(bucket, key):
    data = c.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    assert data == data[:4] * (len(data) // 4), data[:40]
    return f"{len(data)} {data[:4]}"


def refused(act, *arguments):
    """The status and code of an act that must fail."""
    try:
        globals()[act](*arguments)
    except botocore.exceptions.ClientError as error:
        return f'{error.response["ResponseMetadata"]["HTTPStatusCode"]} {error.response["Error"]["Code"]}'


def load(bucket, names, rounds):
    """Puts and gets; each body is one word over and over, so that a mixture shows."""
    def work(number):
        for round in range(int(rounds)):
            key = f"k{(number + round) % int(names)}"
            word = f"{number}{round:03}"
            put(bucket, key, word * (10 if round % 3 else 20_000))
            found = get(bucket, key)
            if found != "NoSuchKey":
                assert found and found == found[:4] * (len(found) // 4), found[:40]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


print((globals().get(sys.argv[1]) or globals()[sys.argv[1] + "_"])(*sys.argv[2:]) or "", end="")
