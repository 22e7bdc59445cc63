"""A plugin of pytest for ceph/s3-tests: notes each test's marks beside its result, and with KEYFOLD_TODAY says the same as today.

The suite is older than two changes of S3. A form that it signs by version 2 goes out signed by version 4: the same fields and
policy, with the fields of the newer signature in both, and a checksum's field named in the policy. What is wrong in a signature,
a key or a policy stays wrong. Buckets and objects are made without the access list that would let others in, since lists are off.
"""

import base64
import datetime
import hashlib
import hmac
import json
import os

import boto3
import requests

REGION = "us-east-1"


def pytest_collection_modifyitems(items):
    for item in items:
        item.user_properties += [("mark", mark.name) for mark in item.iter_markers()]
    # These make buckets of names that the suite takes for wrong, and leave them; others count all that are there.
    items.sort(key=lambda item: "create_naming_dns" in item.name)


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def conditions_of(document):
    """The policy's list of conditions, under whatever spelling the test gave it."""
    return next((value for name, value in document.items() if name.lower() == "conditions" and value), None)


def by_version_4(fields, secret):
    """The fields of a form of version 2 as one of version 4 has them; the file stays last."""
    spelt = {name.lower(): name for name in fields}
    if not {"awsaccesskeyid", "signature", "policy"} <= spelt.keys():
        return fields
    policy, given = (
        value if isinstance(value, bytes) else value.encode() for value in (fields[spelt["policy"]], fields[spelt["signature"]])
    )
    genuine = base64.b64encode(hmac.new(secret.encode(), policy, hashlib.sha1).digest()) == given
    now = datetime.datetime.now(datetime.timezone.utc)
    day = now.strftime("%Y%m%d")
    own = {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{fields[spelt['awsaccesskeyid']]}/{day}/{REGION}/s3/aws4_request",
        "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
    }
    document = json.loads(base64.b64decode(policy))
    conditions = conditions_of(document)
    if conditions is not None:
        conditions += [{name: value} for name, value in own.items()]
        conditions += [["starts-with", f"${name}", ""] for name in spelt if name.startswith("x-amz-checksum-")]
        policy = base64.b64encode(json.dumps(document).encode())
    key = ("AWS4" + secret).encode()
    for text in (day, REGION, "s3", "aws4_request"):
        key = digest(key, text)
    own["x-amz-signature"] = digest(key, policy.decode()).hex() if genuine else "0" * 64
    gone = {spelt["awsaccesskeyid"], spelt["signature"]}
    signed = {name: policy if name == spelt["policy"] else value for name, value in fields.items() if name not in gone}
    return {name: value for name, value in signed.items() if name != "file"} | own | {
        name: value for name, value in signed.items() if name == "file"
    }


def without_access_list(params, **_):
    if params.get("ACL") != "private":
        params.pop("ACL", None)


def today(make):
    """What makes a client or resource of boto3, without access lists."""

    def made(*args, **options):
        result = make(*args, **options)
        events = getattr(result.meta, "client", result).meta.events
        for operation in ("CreateBucket", "PutObject", "CreateMultipartUpload", "CopyObject"):
            events.register(f"provide-client-params.s3.{operation}", without_access_list)
        return result

    return made


if os.environ.get("KEYFOLD_TODAY"):
    boto3.client, boto3.resource = today(boto3.client), today(boto3.resource)
    as_sent = requests.post

    def post(url, files=None, **options):
        from s3tests.functional import get_main_aws_secret_key

        if files:
            files = by_version_4(dict(files), get_main_aws_secret_key())
        return as_sent(url, files=files, **options)

    requests.post = post
