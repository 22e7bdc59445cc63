"""Lifecycle rules over HTTP: LC-1 to LC-3, LC-9 to LC-12, LC-15, LC-20, LC-21, LC-24, LC-27."""

import datetime

from s3 import client, refused

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
EXPIRE = {"Expiration": {"Days": 3}}


def rule(members=None, **others):
    return {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "logs/"}} | (EXPIRE if members is None else members) | others


def put(*rules, **options):
    return c.put_bucket_lifecycle_configuration(Bucket=B, LifecycleConfiguration={"Rules": list(rules)}, **options)


def get():
    return c.get_bucket_lifecycle_configuration(Bucket=B)


refused(404, "NoSuchLifecycleConfiguration", get)
refused(404, "NoSuchBucket", c.get_bucket_lifecycle_configuration, Bucket="nowhere")
c.delete_bucket_lifecycle(Bucket=B)

# LC-1 to LC-3.
put(*(rule(ID=f"r{n}") for n in range(1000)))
assert len(get()["Rules"]) == 1000
put(rule(Status="Disabled"))
assert [one["Status"] for one in get()["Rules"]] == ["Disabled"]
for code, bad in [
    ("InvalidRequest", [rule(ID=f"r{n}") for n in range(1001)]),
    ("InvalidArgument", [rule(), rule()]),
    ("InvalidArgument", [rule(ID="x" * 256)]),
    ("InvalidRequest", [rule({})]),
    ("InvalidArgument", [rule({"Expiration": {"Days": 0}})]),
    ("MalformedXML", [rule(Status="enabled")]),
    ("InvalidArgument", [rule({"Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]})]),
    ("MalformedXML", [rule({"Transitions": [{"Days": 29, "StorageClass": "STANDARD"}]})]),
    ("InvalidArgument", [rule({"Expiration": {"Date": datetime.datetime(2030, 1, 1, 12)}})]),
    ("InvalidRequest", [rule({"NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 1}},
                             Filter={"Tag": {"Key": "a", "Value": "b"}},
                             AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})]),
]:
    refused(400, code, put, *bad)
assert [one["Status"] for one in get()["Rules"]] == ["Disabled"], "the old one stays"

# What was put comes back, with names for rules that have none.
whole = {
    "Status": "Enabled",
    "Filter": {"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 5}},
    "Expiration": {"Date": datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)},
    "Transitions": [{"Date": datetime.datetime(2029, 1, 1, tzinfo=datetime.timezone.utc), "StorageClass": "GLACIER"}],
    "NoncurrentVersionTransitions": [{"NoncurrentDays": 30, "StorageClass": "ONEZONE_IA", "NewerNoncurrentVersions": 2}],
    "NoncurrentVersionExpiration": {"NoncurrentDays": 90, "NewerNoncurrentVersions": 3},
}
put(whole, rule({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}}, ID="up", Filter={}))
first, second = get()["Rules"]
assert first.pop("ID") and first == whole, first
assert second["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2} and second["Filter"] == {}, second

# LC-15.
assert get()["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
varies = "varies_by_storage_class"
assert put(rule(), TransitionDefaultMinimumObjectSize=varies)["TransitionDefaultMinimumObjectSize"] == varies
assert get()["TransitionDefaultMinimumObjectSize"] == varies
refused(400, "InvalidRequest", put, rule(), TransitionDefaultMinimumObjectSize="never")

# LC-7, LC-27: at once, on all that tell of an object, and encoded.
put(rule(ID="späte Logs"))


def expires(answer):
    days = datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=4)
    midnight = days.strftime("%a, %d %b %Y 00:00:00 GMT")
    assert answer.get("Expiration") == f'expiry-date="{midnight}", rule-id="sp%C3%A4te%20Logs"', answer.get("Expiration")


expires(c.put_object(Bucket=B, Key="logs/a", Body=b"x"))
expires(c.head_object(Bucket=B, Key="logs/a"))
expires(c.get_object(Bucket=B, Key="logs/a"))
expires(c.copy_object(Bucket=B, Key="logs/b", CopySource=f"{B}/logs/a"))
assert "Expiration" not in c.put_object(Bucket=B, Key="other", Body=b"x")
upload = c.create_multipart_upload(Bucket=B, Key="logs/c")
assert "AbortDate" not in upload
part = c.upload_part(Bucket=B, Key="logs/c", UploadId=upload["UploadId"], PartNumber=1, Body=b"x")
parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
expires(c.complete_multipart_upload(Bucket=B, Key="logs/c", UploadId=upload["UploadId"], MultipartUpload=parts))

# LC-24.
put(rule({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}}, ID="up"))
upload = c.create_multipart_upload(Bucket=B, Key="logs/d")
listed = c.list_parts(Bucket=B, Key="logs/d", UploadId=upload["UploadId"])
for answer in [upload, listed]:
    assert answer["AbortRuleId"] == "up" and answer["AbortDate"].hour == 0, answer
    assert 2 <= (answer["AbortDate"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 86400 <= 3
c.delete_bucket_lifecycle(Bucket=B)
refused(404, "NoSuchLifecycleConfiguration", get)
