"""Signatures: AUTH-1 to AUTH-9, IAM-5, BKT-9, BKT-18, REG-2. Arguments: another user's key."""

import datetime
import os
import sys
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
from s3 import ENDPOINT, client, plain, refused, signed

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
c.put_object(Bucket=B, Key="k", Body=b"data")


def code(answer):
    status, _, body = answer
    return status, body.split(b"<Code>")[1].split(b"</Code>")[0].decode()


assert code(plain("GET", f"/{B}/k")) == (403, "AccessDenied")
assert code(plain("GET", f"/{B}/k", {"Authorization": "AWS KEY:c2lnbmF0dXJl"})) == (400, "InvalidRequest")
ID, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]


def as_user(access_key, secret, **options):
    config = botocore.config.Config(retries={"max_attempts": 0})
    return boto3.client("s3", aws_access_key_id=access_key, aws_secret_access_key=secret, config=config, **options)


old = boto3.client("s3", config=botocore.config.Config(signature_version="s3", retries={"max_attempts": 0}))
refused(400, "InvalidRequest", old.get_object, Bucket=B, Key="k")
refused(403, "SignatureDoesNotMatch", as_user(ID, "wrong").get_object, Bucket=B, Key="k")
refused(403, "InvalidAccessKeyId", as_user("AKIAIOSFODNN7EXAMPLE", SECRET).get_object, Bucket=B, Key="k")
assert code(signed("GET", f"/{B}/k", region="eu-west-1")) == (400, "AuthorizationHeaderMalformed")
refused(400, "InvalidToken", as_user(ID, SECRET, aws_session_token="token").get_object, Bucket=B, Key="k")

# AUTH-2.
key = botocore.credentials.Credentials(ID, SECRET)


class Skewed(botocore.auth.S3SigV4Auth):
    """Signs as of 16 minutes ago."""

    def _modify_request_before_signing(self, request):
        then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=16)
        request.context["timestamp"] = then.strftime("%Y%m%dT%H%M%SZ")
        super()._modify_request_before_signing(request)


request = botocore.awsrequest.AWSRequest("GET", f"{ENDPOINT}/{B}/k")
Skewed(key, "s3", "us-east-1").add_auth(request)
assert code(plain("GET", f"/{B}/k", dict(request.headers))) == (403, "RequestTimeTooSkewed")

# AUTH-4 to AUTH-9, AUTH-12.
v4 = client(signature_version="s3v4")
url = v4.generate_presigned_url("get_object", Params={"Bucket": B, "Key": "k"}, ExpiresIn=60)
assert urllib.request.urlopen(url).read() == b"data"
path = url.removeprefix(ENDPOINT)
assert code(plain("GET", path.replace("/k?", "/other?"))) == (403, "SignatureDoesNotMatch")
assert code(plain("PUT", path, {}, b"x")) == (403, "SignatureDoesNotMatch")
assert code(plain("GET", path, {"x-amz-tagging": "a=b"})) == (403, "AccessDenied")
for seconds in [0, 604_801]:
    late = v4.generate_presigned_url("get_object", Params={"Bucket": B, "Key": "k"}, ExpiresIn=seconds)
    assert code(plain("GET", late.removeprefix(ENDPOINT))) == (400, "AuthorizationQueryParametersError"), seconds
url = v4.generate_presigned_url("put_object", Params={"Bucket": B, "Key": "new"}, ExpiresIn=604_800)
assert plain("PUT", url.removeprefix(ENDPOINT), {}, b"uploaded")[0] == 200
assert c.get_object(Bucket=B, Key="new")["Body"].read() == b"uploaded"

# BKT-18: the bucket before the host's name.
port = ENDPOINT.rsplit(":", 1)[1]
host = boto3.client("s3", endpoint_url=f"http://localhost:{port}", config=botocore.config.Config(
    s3={"addressing_style": "path"}, retries={"max_attempts": 0}))
assert host.get_object(Bucket=B, Key="k")["Body"].read() == b"data"
request = botocore.awsrequest.AWSRequest("GET", f"http://{B}.localhost:{port}/k")
botocore.auth.S3SigV4Auth(key, "s3", "us-east-1").add_auth(request)
status, _, body = plain("GET", "/k", dict(request.headers) | {"Host": f"{B}.localhost:{port}"})
assert (status, body) == (200, b"data"), (status, body)
# What is no operation on an object is none of it there, either.
unknown = f"http://{B}.localhost:{port}/k?encryption"
request = botocore.awsrequest.AWSRequest("PUT", unknown, data=b"other")
botocore.auth.S3SigV4Auth(key, "s3", "us-east-1").add_auth(request)
answer = plain("PUT", "/k?encryption", dict(request.headers) | {"Host": f"{B}.localhost:{port}"}, b"other")
assert code(answer) == (501, "NotImplemented"), answer
assert c.get_object(Bucket=B, Key="k")["Body"].read() == b"data"

# Another user has nothing here until it is given, and buckets of its own.
other = as_user(sys.argv[1], sys.argv[2])
refused(403, "AccessDenied", other.get_object, Bucket=B, Key="k")
refused(403, "AccessDenied", other.put_object, Bucket=B, Key="k", Body=b"x")
refused(403, "AccessDenied", other.list_objects_v2, Bucket=B)
refused(409, "BucketAlreadyExists", other.create_bucket, Bucket=B)
other.create_bucket(Bucket="theirs")
other.put_object(Bucket="theirs", Key="k", Body=b"x")
refused(403, "AccessDenied", other.copy_object, Bucket="theirs", Key="stolen", CopySource=f"{B}/k")
assert [bucket["Name"] for bucket in other.list_buckets()["Buckets"]] == ["theirs"]
assert c.get_object(Bucket="theirs", Key="k")["Body"].read() == b"x"
