"""Analytics configurations over HTTP: SCA-1, SCA-9."""

from s3 import client, refused

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
EXPORT = {
    "OutputSchemaVersion": "V_1",
    "Destination": {"S3BucketDestination": {"Format": "CSV", "Bucket": "arn:aws:s3:::reports", "Prefix": "sca/"}},
}


def put(name, **members):
    whole = {"Id": name, "StorageClassAnalysis": {}} | members
    return c.put_bucket_analytics_configuration(Bucket=B, Id=name, AnalyticsConfiguration=whole)


def get(name):
    return c.get_bucket_analytics_configuration(Bucket=B, Id=name)["AnalyticsConfiguration"]


def listed(**token):
    return c.list_bucket_analytics_configurations(Bucket=B, **token)


refused(404, "NoSuchConfiguration", get, "a")
refused(404, "NoSuchBucket", c.get_bucket_analytics_configuration, Bucket="nowhere", Id="a")
refused(404, "NoSuchConfiguration", c.delete_bucket_analytics_configuration, Bucket=B, Id="a")
assert "AnalyticsConfigurationList" not in listed() or not listed()["AnalyticsConfigurationList"]
for name, filter in [
    ("all", None),
    ("prefix", {"Prefix": "logs/"}),
    ("tag", {"Tag": {"Key": "k", "Value": "v"}}),
    ("both", {"And": {"Prefix": "logs/", "Tags": [{"Key": "k", "Value": "v"}]}}),
]:
    members = {"StorageClassAnalysis": {"DataExport": EXPORT}} | ({"Filter": filter} if filter else {})
    put(name, **members)
    assert get(name) == {"Id": name} | members, get(name)
put("all")
assert get("all") == {"Id": "all", "StorageClassAnalysis": {}}
assert [one["Id"] for one in listed()["AnalyticsConfigurationList"]] == ["all", "both", "prefix", "tag"]
for bad in [
    {"Id": "other"},
    {"StorageClassAnalysis": {"DataExport": EXPORT | {"Destination": {"S3BucketDestination": {"Format": "CSV", "Bucket": "x"}}}}},
    {"Filter": {"And": {"Prefix": "a"}}},
]:
    refused(400, "InvalidArgument", put, "bad", **bad)
for n in range(996):
    put(f"c{n:03}")
refused(400, "TooManyConfigurations", put, "one-more")
seen, page = [], listed()
while True:
    seen += [one["Id"] for one in page["AnalyticsConfigurationList"]]
    if not page["IsTruncated"]:
        break
    page = listed(ContinuationToken=page["NextContinuationToken"])
assert len(seen) == 1000 and seen == sorted(seen)
c.delete_bucket_analytics_configuration(Bucket=B, Id="both")
refused(404, "NoSuchConfiguration", get, "both")
assert get("tag")["Filter"] == {"Tag": {"Key": "k", "Value": "v"}}
