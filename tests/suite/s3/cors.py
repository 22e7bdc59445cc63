"""Pages of other origins: CORS-2 to CORS-8, CORS-10."""

from s3 import client, plain, refused, signed

c = client()
B = "bkt"
c.create_bucket(Bucket=B)
refused(404, "NoSuchCORSConfiguration", c.get_bucket_cors, Bucket=B)
refused(404, "NoSuchBucket", c.get_bucket_cors, Bucket="nowhere")


def raw(method, headers, path=f"/{B}/k"):
    """The status of an answer, and what it says to pages of other origins."""
    status, found, _ = plain(method, path, headers)
    return status, {name.removeprefix("access-control-"): value for name, value in found.items()
                    if name.startswith("access-control-") or name == "vary"}


def asked(origin, method, headers=None, path=f"/{B}/k"):
    """The answer to a preflight."""
    head = {"Origin": origin, "Access-Control-Request-Method": method}
    return raw("OPTIONS", head | ({"Access-Control-Request-Headers": headers} if headers else {}), path)


def put(*rules):
    c.put_bucket_cors(Bucket=B, CORSConfiguration={"CORSRules": list(rules)})


assert asked("http://a", "GET") == (403, {})

# CORS-2, CORS-10.
good = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
put(*[good] * 100)
for bad in [[good] * 101, [good | {"AllowedMethods": ["*"]}], [good | {"AllowedMethods": ["PATCH"]}],
            [good | {"AllowedOrigins": ["http://*.*"]}], [good | {"AllowedHeaders": ["*-*"]}],
            [good | {"ExposeHeaders": ["x-*"]}]]:
    refused(400, "InvalidRequest", put, *bad)
rules = [
    {"ID": "first", "AllowedMethods": ["GET", "HEAD"], "AllowedOrigins": ["https://*.example.com", "http://one"],
     "AllowedHeaders": ["x-amz-*", "Range"], "ExposeHeaders": ["ETag", "x-amz-meta-a"], "MaxAgeSeconds": 600},
    {"AllowedMethods": ["PUT"], "AllowedOrigins": ["http://one"]},
    {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 1},
]
put(*rules)
assert c.get_bucket_cors(Bucket=B)["CORSRules"] == rules
refused(404, "NoSuchBucket", c.put_bucket_cors, Bucket="nowhere", CORSConfiguration={"CORSRules": rules})

# CORS-3 to CORS-5, CORS-7.
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
first = {"allow-origin": "https://a.example.com", "allow-methods": "GET, HEAD", "allow-credentials": "true",
         "expose-headers": "ETag, x-amz-meta-a", "max-age": "600", "vary": VARY}
assert asked("https://a.example.com", "GET") == (200, first)
assert asked("https://a.example.com", "GET", "X-Amz-Date, range") == (200, first | {"allow-headers": "X-Amz-Date, range"})
assert asked("https://a.example.com", "GET", "x-other")[0] == 403
assert asked("http://a.example.com", "HEAD")[0] == 403
assert asked("http://one", "PUT") == (200, {"allow-origin": "http://one", "allow-methods": "PUT",
                                            "allow-credentials": "true", "vary": VARY})
assert asked("http://one:80", "PUT")[0] == 403
any_page = {"allow-origin": "*", "allow-methods": "GET", "max-age": "1", "vary": VARY}
assert asked("http://two", "GET") == (200, any_page)
assert asked("http://two", "GET", path=f"/{B}?list-type=2") == (200, any_page)
assert asked("http://two", "DELETE")[0] == 403
assert raw("OPTIONS", {"Origin": "http://two"}) == (400, {})
assert raw("OPTIONS", {"Access-Control-Request-Method": "GET"}) == (400, {})
assert asked("http://two", "GET", path="/nowhere/k")[0] == 403
assert asked("http://two", "GET", path="/")[0] == 403

# CORS-6, CORS-8: answers of every kind, to requests that are allowed by their signature alone.
c.put_object(Bucket=B, Key="k", Body=b"data")
assert raw("GET", {"Origin": "https://a.example.com"}) == (403, first)
assert raw("GET", {}) == (403, {})
assert raw("PUT", {"Origin": "http://two"}) == (403, {})
status, found, body = signed("GET", f"/{B}/k", {"Origin": "http://two"})
assert (status, body, found["access-control-allow-origin"]) == (200, b"data", "*")
status, found, _ = signed("GET", f"/{B}/absent", {"Origin": "https://a.example.com"})
assert (status, found["access-control-allow-origin"]) == (404, "https://a.example.com")
status, found, _ = signed("GET", f"/{B}/k")
assert status == 200 and "access-control-allow-origin" not in found and "vary" not in found
status, found, _ = signed("DELETE", f"/{B}/k", {"Origin": "http://two"})
assert status == 204 and "access-control-allow-origin" not in found

c.delete_bucket_cors(Bucket=B)
refused(404, "NoSuchCORSConfiguration", c.get_bucket_cors, Bucket=B)
c.delete_bucket_cors(Bucket=B)
assert asked("http://two", "GET")[0] == 403
