"""The head of a signed PUT for who sends the body by hand: head BUCKET/KEY LENGTH."""

import os
import sys

import botocore.auth
import botocore.awsrequest
import botocore.credentials
from s3 import ENDPOINT, HOST, REGION

_, path, length = sys.argv[1:]
key = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
request = botocore.awsrequest.AWSRequest("PUT", f"{ENDPOINT}/{path}")
request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
request.context["payload_signing_enabled"] = False
request.context["client_config"] = None


class Unsigned(botocore.auth.S3SigV4Auth):
    """The body is not signed, over plain HTTP too."""

    def payload(self, request):
        return "UNSIGNED-PAYLOAD"


Unsigned(key, "s3", REGION).add_auth(request)
print(f"PUT /{path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\nConnection: close\r\n", end="")
for name, value in request.headers.items():
    print(f"{name}: {value}\r\n", end="")
