"""What the scripts of clients share: a client of the endpoint, refusals, requests made by hand."""

import base64
import hashlib
import http.client
import os
import urllib.parse
import zlib

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
HOST = urllib.parse.urlsplit(ENDPOINT).netloc
REGION = os.environ["AWS_DEFAULT_REGION"]
MIB = 1 << 20


def client(**options):
    config = botocore.config.Config(retries={"max_attempts": 0}, **options)
    return boto3.client("s3", config=config)


def refused(status, code, call, *args, **kwargs):
    """A call that must be refused with this status and code; the refusal."""
    try:
        call(*args, **kwargs)
    except botocore.exceptions.ClientError as error:
        found = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        assert found == (status, code), f"{found} instead of {(status, code)}: {error}"
        return error.response
    raise AssertionError(f"it was not refused with {status} {code}")


def signed(method, path, headers=None, body=b"", region=REGION, date=None, query=""):
    """The answer to a request that is signed by hand: the path goes out as it is."""
    key = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    request = botocore.awsrequest.AWSRequest(method, ENDPOINT + path + query, data=body, headers=headers or {})
    request.headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    botocore.auth.S3SigV4Auth(key, "s3", region).add_auth(request)
    return plain(method, path + query, dict(request.headers), body)


def plain(method, path, headers=None, body=b""):
    """The answer to a request as it is: status, headers, body."""
    connection = http.client.HTTPConnection(HOST, timeout=60)
    connection.request(method, path, body=body, headers=headers or {})
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def sha256(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def keys(page):
    return [entry["Key"] for entry in page.get("Contents", [])]


def prefixes(page):
    return [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
