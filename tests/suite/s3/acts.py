"""Many acts at the S3 door of the bucket `bkt`: one a line as JSON, what came of it a line as JSON."""

import base64
import json
import sys

import botocore.exceptions
from s3 import client

c = client()
B = {"Bucket": "bkt"}


def named(version):
    return {"VersionId": version} if version else {}


def labelled(label):
    return {"Metadata": {"meta": label}, "Tagging": f"tag={label}"} if label else {}


def versioning(status):
    c.put_bucket_versioning(**B, VersioningConfiguration={"Status": status})


def put(key, body, label=None, if_match=None, if_none_match=None):
    conditions = {"IfMatch": if_match, "IfNoneMatch": if_none_match}
    conditions = {name: value for name, value in conditions.items() if value}
    c.put_object(**B, Key=key, Body=base64.b64decode(body), **labelled(label), **conditions)


def get(key, version=None):
    found = c.get_object(**B, Key=key, **named(version))
    tags = c.get_object_tagging(**B, Key=key, **named(version))["TagSet"] if found.get("TagCount") else []
    return {"body": base64.b64encode(found["Body"].read()).decode(), "etag": found["ETag"],
            "meta": found["Metadata"].get("meta"), "tag": tags[0]["Value"] if tags else None}


def delete(key, version=None):
    c.delete_object(**B, Key=key, **named(version))


def copy(source, key, version=None):
    c.copy_object(**B, Key=key, CopySource={**B, "Key": source, **named(version)})


def tag(key, version, value):
    c.put_object_tagging(**B, Key=key, VersionId=version, Tagging={"TagSet": [{"Key": "tag", "Value": value}]})


def upload(key, bodies, label, completed):
    upload = {**B, "Key": key, "UploadId": c.create_multipart_upload(**B, Key=key, **labelled(label))["UploadId"]}
    parts = []
    for number, body in enumerate(bodies, 1):
        number *= 3
        tag = c.upload_part(**upload, PartNumber=number, Body=base64.b64decode(body))["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    if completed:
        c.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    else:
        c.abort_multipart_upload(**upload)


def pages(call, size, **request):
    token = {}
    while True:
        page = call(**B, MaxKeys=size, **request, **token)
        yield page
        if not page["IsTruncated"]:
            return
        token = {"Marker": page.get("NextMarker"), "ContinuationToken": page.get("NextContinuationToken"),
                 "KeyMarker": page.get("NextKeyMarker"), "VersionIdMarker": page.get("NextVersionIdMarker")}
        token = {name: value for name, value in token.items() if value}
        # Without a delimiter the first listing leaves the marker to who asks (LIST-8).
        token = token or {"Marker": page["Contents"][-1]["Key"]}


def list_(prefix, delimiter, size, second):
    """Keys and common prefixes, as they come."""
    found = []
    delimiter = {"Delimiter": delimiter} if delimiter else {}
    for page in pages(c.list_objects_v2 if second else c.list_objects, size, Prefix=prefix, **delimiter):
        names = [entry["Key"] for entry in page.get("Contents", [])]
        names += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        assert len(names) <= size, (len(names), size)
        found += sorted(names, key=str.encode)
    return found


def versions(size, prefix=""):
    """Versions as [KEY, ID, WHETHER LATEST, BYTES], and delete markers as [KEY, ID, WHETHER LATEST]."""
    versions, markers = [], []
    for page in pages(c.list_object_versions, size, Prefix=prefix):
        versions += [[v["Key"], v["VersionId"], v["IsLatest"], v["Size"]] for v in page.get("Versions", [])]
        markers += [[m["Key"], m["VersionId"], m["IsLatest"]] for m in page.get("DeleteMarkers", [])]
    return {"versions": versions, "markers": markers}


def told(act, **arguments):
    try:
        return {"done": (globals().get(act) or globals()[act + "_"])(**arguments)}
    except botocore.exceptions.ClientError as error:
        return {"refused": error.response["Error"]["Code"]}


for line in sys.stdin:
    print(json.dumps(told(**json.loads(line))), flush=True)
