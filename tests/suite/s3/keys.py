"""Odd keys: KEY-1, KEY-2, KEY-9, KEY-10, KEY-14 to KEY-17, KEY-20."""

from urllib.parse import quote, unquote

from s3 import client, keys, refused, signed

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
odd = ["/leading", "a//b", "../up", "a/../b", "./here", "a/./b", "a/", "a/b/", "trailing.", "sp ace", "plus+", "per%cent",
       "qu?ery", "ha#sh", "quo\"te'", "<&>", "é", "e\u0301", "\u0001\u001f", "tab\tnew\nline", "car\rriage", "\x7f",
       ".@obj:a", ".versions/x", ".keyfold", "k" * 1024, "d/" * 500 + "x", "/" * 1023 + "x", "\U0001f600", "soap"]
for name in odd:
    path = f"/{B}/" + quote(name, safe="/")
    status, _, body = signed("PUT", path, {}, name.encode())
    assert status == 200, (name, status, body)
for name in odd:
    status, _, body = signed("GET", f"/{B}/" + quote(name, safe="/"))
    assert (status, body) == (200, name.encode()), (name, status, body)
assert keys(c.list_objects_v2(Bucket=B)) == sorted(odd, key=str.encode)
assert keys(c.list_objects(Bucket=B)) == sorted(odd, key=str.encode)
assert sorted({entry["Key"] for entry in c.list_object_versions(Bucket=B)["Versions"]}) == sorted(odd)

# KEY-17: what XML cannot carry is encoded, and that is told.
status, _, body = signed("GET", f"/{B}", query="?list-type=2&prefix=%01")
assert b"<EncodingType>url</EncodingType>" in body and b"<Key>%01%1F</Key>" in body, body
assert unquote("%01%1F") == "\u0001\u001f"

refused(400, "KeyTooLongError", c.put_object, Bucket=B, Key="k" * 1025, Body=b"")
status, _, body = signed("PUT", f"/{B}/%ff", {}, b"")
assert status == 400 and b"InvalidURI" in body, (status, body)

speakable = [name for name in odd if all(c >= " " or c in "\t\n\r" for c in name)]
answer = c.delete_objects(Bucket=B, Delete={"Objects": [{"Key": name} for name in speakable], "Quiet": True})
assert "Errors" not in answer, answer
c.delete_object(Bucket=B, Key="\u0001\u001f")
assert keys(c.list_objects_v2(Bucket=B)) == []
