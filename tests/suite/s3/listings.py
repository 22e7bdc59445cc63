"""Listings: LIST-1 to LIST-10, LIST-18, KEY-17."""

from s3 import client, keys, prefixes, refused, signed

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
names = sorted(["a-b", "a/b", "a0", "a", "photos/", "photos/2025/x", "photos/2026/y", "photos/2026/z", "photos/cat",
                "q r+s", "t(1)", "ü", "\uffee", "\U00010000", "v//w", "/x"], key=str.encode)
for name in names:
    c.put_object(Bucket=B, Key=name, Body=b"x")


def all_pages(**options):
    found, groups, token = [], [], {}
    while True:
        page = c.list_objects_v2(Bucket=B, **options, **token)
        found += keys(page)
        groups += prefixes(page)
        assert page["KeyCount"] == len(page.get("Contents", [])) + len(page.get("CommonPrefixes", []))
        assert page["KeyCount"] <= options.get("MaxKeys", 1000)
        if not page["IsTruncated"]:
            return found, groups
        token = {"ContinuationToken": page["NextContinuationToken"]}


assert all_pages()[0] == names, all_pages()
for size in [1, 2, 3, 7]:
    assert all_pages(MaxKeys=size)[0] == names, size
    assert all_pages(MaxKeys=size, Delimiter="/") == (
        [name for name in names if "/" not in name], ["/", "a/", "photos/", "v/"]), size
    assert all_pages(MaxKeys=size, Delimiter="/", Prefix="photos/") == (
        ["photos/", "photos/cat"], ["photos/2025/", "photos/2026/"]), size
assert all_pages(Delimiter="0")[1] == ["a0", "photos/20"]
assert all_pages(Prefix="photos/2")[0] == ["photos/2025/x", "photos/2026/y", "photos/2026/z"]
assert all_pages(StartAfter="photos/2026/y")[0] == [name for name in names if name.encode() > b"photos/2026/y"]

page = c.list_objects_v2(Bucket=B, MaxKeys=2)
both = c.list_objects_v2(Bucket=B, ContinuationToken=page["NextContinuationToken"], StartAfter="zzz", MaxKeys=2)
assert keys(both) == names[2:4], "the token wins"
refused(400, "InvalidArgument", c.list_objects_v2, Bucket=B, ContinuationToken="nonsense")
assert "Owner" not in page["Contents"][0]
assert c.list_objects_v2(Bucket=B, FetchOwner=True)["Contents"][0]["Owner"]["ID"]
empty = c.list_objects_v2(Bucket=B, MaxKeys=0)
assert empty["KeyCount"] == 0 and not empty["IsTruncated"]
for bad in ["-1", "x"]:
    status, _, body = signed("GET", f"/{B}", query=f"?list-type=2&max-keys={bad}")
    assert status == 400 and b"InvalidArgument" in body, (bad, status, body)

# LIST-10.
page = c.list_objects(Bucket=B, MaxKeys=3)
assert keys(page) == names[:3] and page["IsTruncated"] and "NextMarker" not in page
assert keys(c.list_objects(Bucket=B, Marker=names[2], MaxKeys=3)) == names[3:6]
found, marker = [], ""
while True:
    page = c.list_objects(Bucket=B, Delimiter="/", MaxKeys=2, Marker=marker)
    found += keys(page) + prefixes(page)
    if not page["IsTruncated"]:
        break
    marker = page["NextMarker"]
assert sorted(found) == sorted([name for name in names if "/" not in name] + ["/", "a/", "photos/", "v/"])

# KEY-17.
status, _, body = signed("GET", f"/{B}", query="?encoding-type=url&list-type=2&prefix=q")
assert b"<Key>q%20r%2Bs</Key>" in body and b"<EncodingType>url</EncodingType>" in body, body
status, _, body = signed("GET", f"/{B}", query="?encoding-type=base64&list-type=2")
assert status == 400 and b"InvalidArgument" in body, body

# A page goes on where it ended, whatever has changed since.
page = c.list_objects_v2(Bucket=B, MaxKeys=4)
c.delete_object(Bucket=B, Key=names[3])
c.put_object(Bucket=B, Key=names[3] + "+", Body=b"")
rest = keys(c.list_objects_v2(Bucket=B, ContinuationToken=page["NextContinuationToken"]))
assert rest == [names[3] + "+"] + names[4:], rest
