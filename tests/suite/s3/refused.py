"""Calls that must be refused, by the names of their methods; status and code of each."""

import sys

import botocore.exceptions
from s3 import client

c = client()
for name in sys.argv[1:]:
    options = {} if name == "list_buckets" else {"Bucket": "bkt"} | ({"Key": "k"} if "object" in name else {})
    try:
        getattr(c, name)(**options)
        print("allowed")
    except botocore.exceptions.ClientError as error:
        print(error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"])
