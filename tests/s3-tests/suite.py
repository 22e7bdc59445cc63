#!/usr/bin/env python3
"""What s3-tests.sh needs beside ceph/s3-tests: its configuration, and the table of its results.

    suite.py config FILE ENDPOINT MAIN ALT TENANT   writes the suite's configuration; each key as `access-key create` prints it
    suite.py table KNOWN RESULTS TODAY              judges results in JUnit's XML by the list KNOWN, and prints the table;
                                                    TODAY are those of tests that were said again in today's words

The table fails when a test failed that is not on the list, and when a line of the list meets no failure.
"""

import collections
import configparser
import fnmatch
import json
import re
import sys
import urllib.parse
import xml.etree.ElementTree

# Areas by the marks of a test (with @) or its name: the first that fits.
AREAS = [
    ("not S3: IAM, STS, SNS", r"test_iam\.|test_sts\.|test_sns\.|test_utils\."),
    ("select", r"@s3select|test_s3select\."),
    ("POST", r"post_object"),
    ("encryption", r"@encryption|@sse_s3|@bucket_encryption|sse_|_enc\b|copy_enc|copy_part_enc|encrypt"),
    ("lifecycle and classes", r"@lifecycle|@cloud_|@storage_class|lifecycle|restore|transition"),
    ("logging", r"@bucket_logging|bucket_logging"),
    ("website", r"@s3website|website"),
    ("object lock", r"@object_lock|object_lock|legal_hold|retention"),
    ("policies", r"@bucket_policy|policy|public_block|block_public|ignore_public"),
    ("CORS", r"cors"),
    ("access lists", r"_acls?(_|$)|@object_ownership|ownership|anon|access_bucket|not_owned|acl"),
    ("signatures and presigned URLs", r"@auth_aws2|aws2|auth|expires_|raw_get|raw_response|presigned|amz_date|bad_date|bad_ua|signature"),
    ("versioning", r"version(ing|ed|s)|delete_marker"),
    ("conditions", r"if_?(none|non)?_?match|if_?(un)?modified|@conditional_write"),
    ("checksums", r"checksum|md5|cksum"),
    ("multipart", r"multipart|get_part|upload_part"),
    ("copy", r"copy"),
    ("tagging", r"tag"),
    ("listings", r"_list|listv2|key_count|test_bucketv?2?_notexist"),
    ("buckets", r"bucket"),
    ("objects", r""),
]
KINDS = ("not applicable", "not built")
COLUMNS = ("passed", "failed", *KINDS)


def owner_as_told(endpoint, key):
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key["access_key"],
        aws_secret_access_key=key["secret"],
    )
    return client.list_buckets()["Owner"]


def configure(path, endpoint, main, alt, tenant, day):
    place = urllib.parse.urlsplit(endpoint)
    config = configparser.RawConfigParser()
    # Names of hosts before buckets are tried, too.
    config["DEFAULT"] = {"host": "localhost", "port": place.port, "is_secure": False, "ssl_verify": False}
    config["fixtures"] = {
        "bucket prefix": "kf-{random}-",
        "iam name prefix": "s3-tests-",
        "iam path prefix": "/s3-tests/",
    }
    main, alt, tenant = (json.loads(key) for key in (main, alt, tenant))
    sections = {"s3 main": main, "s3 alt": alt, "s3 tenant": tenant, "iam": main, "iam root": main, "iam alt root": alt}
    for name, key in sections.items():
        owner = owner_as_told(endpoint, key)
        config[name] = {
            "display_name": owner["DisplayName"],
            "user_id": owner["ID"],
            "email": f"{name.replace(' ', '-')}@example.com",
            "access_key": key["access_key"],
            "secret_key": key["secret"],
        }
    config["s3 main"]["api_name"] = ""
    config["s3 main"]["lc_debug_interval"] = day
    config["s3 tenant"]["tenant"] = ""
    with open(path, "w") as file:
        config.write(file)


class Entry:
    """A paragraph of the list: how failures count and why, then which tests it is about."""

    def __init__(self, number, line):
        self.kind, _, self.why = (field.strip() for field in line.partition("|"))
        if self.kind not in KINDS or not self.why:
            sys.exit(f"line {number} of the list is not `{' or '.join(KINDS)} | why`: {line}")
        self.patterns, self.used, self.tests = [], set(), 0

    def fits(self, test):
        return [pattern for pattern in self.patterns if any(fnmatch.fnmatchcase(name, pattern) for name in test.names)]


def entries(path):
    known = []
    with open(path) as file:
        for number, line in enumerate(file, 1):
            if line.startswith(" "):
                known[-1].patterns += line.split()
            elif line.strip() and not line.startswith("#"):
                known.append(Entry(number, line))
    return known


class Test:
    """A test of the suite, and what came of it."""

    def __init__(self, case):
        self.name = case.get("name")
        module = case.get("classname").rpartition(".")[2]
        marks = [f"@{entry.get('value')}" for entry in case.iter("property") if entry.get("name") == "mark"]
        self.names = [self.name, f"{module}.{self.name}", *marks]
        text = " ".join(self.names)
        self.area = next(area for area, pattern in AREAS if re.search(pattern, text))
        # What cannot be set up is not proved, nor is what was left out.
        bad = next((child for tag in ("failure", "error", "skipped") for child in case.iter(tag)), None)
        self.said = None if bad is None else " ".join((bad.get("message") or bad.text or bad.tag).split())[:160]


def results(path):
    tests = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        test = Test(case)
        # A failed tear-down is a case of its own.
        if tests.get(test.names[1]) is None or test.said:
            tests[test.names[1]] = test
    return list(tests.values())


def judge(known, tests, counts, failures):
    for test in tests:
        found = [(entry, pattern) for entry in known for pattern in entry.fits(test)]
        if test.said is None:
            counts[test.area]["passed"] += 1
            continue
        for entry, pattern in found:
            entry.used.add(pattern)
        if not found:
            counts[test.area]["failed"] += 1
            failures.append(test)
            continue
        found[0][0].tests += 1
        counts[test.area][found[0][0].kind] += 1


def table(name, counts):
    # Names that say less come later in AREAS, and what they name is what S3 is about.
    rows = [(area, *(counts[area][column] for column in COLUMNS)) for area, _ in reversed(AREAS) if area in counts]
    rows.append(("all", *(sum(row[at] for row in rows) for at in range(1, len(COLUMNS) + 1))))
    print(f"| {name} |", " | ".join(COLUMNS), "|")
    print("| --- |", " | ".join("---" for _ in COLUMNS), "|")
    for area, *numbers in rows:
        print(f"| {area} |", " | ".join(map(str, numbers)), "|")


def tell(path, plain, today):
    known, failures = entries(path), []
    counts = collections.defaultdict(collections.Counter)
    judge(known, results(plain), counts, failures)
    again = results(today)
    for test in again:
        test.names = [f"today.{name}" for name in test.names]
    said_again = collections.defaultdict(collections.Counter)
    judge(known, again, said_again, failures)
    table("area", counts)
    print()
    table("in today's words", said_again)
    print()
    print("| why | counts as | tests |")
    print("| --- | --- | --- |")
    for entry in known:
        print(f"| {entry.why} | {entry.kind} | {entry.tests} |")
    for test in failures:
        print(f"failed: {test.names[1]}: {test.said}")
    stale = [f"{pattern} ({entry.why})" for entry in known for pattern in entry.patterns if pattern not in entry.used]
    for line in stale:
        print(f"stale, as nothing that it names fails: {line}")
    return 1 if failures or stale else 0


def main(command, *arguments):
    if command == "config":
        configure(*arguments)
        return 0
    return tell(*arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
