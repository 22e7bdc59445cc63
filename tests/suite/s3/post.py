"""Forms that browsers send (POST policies): AUTH-1, AUTH-2, AUTH-7, BKT-18, BKT-20, REG-2, SIZE-2, SIZE-6, SUM-6, TAG-3, META-2,
META-7. Arguments: what is done, and what that takes."""

import base64
import concurrent.futures
import datetime
import hashlib
import hmac
import http.client
import json
import os
import socket
import sys
import urllib.parse

from s3 import ENDPOINT, HOST, MIB, client, keys, md5, plain, refused, sha256

c = client(signature_version="s3v4")
B = "bkt"
ID, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
LINE = "keyfold-boundary"
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def stamp(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def keyed(secret, *parts):
    for part in parts:
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    return secret


def fields_of(conditions, key="k", at=NOW, expires=stamp(NOW + DAY), region="us-east-1", service="s3", bucket=B,
              who=(ID, SECRET), document=None, wrap=lambda text: text, **fields):
    """The fields of a form that is signed: with a condition for each of them, besides those given."""
    day, date = at.strftime("%Y%m%d"), at.strftime("%Y%m%dT%H%M%SZ")
    signing = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-date": date,
               "x-amz-credential": f"{who[0]}/{day}/{region}/{service}/aws4_request"}
    fields = {name.replace("_", "-") if not name.startswith("success") else name: value for name, value in fields.items()}
    own = [{"bucket": bucket}, ["starts-with", "$key", ""]] + [{name: value} for name, value in (signing | fields).items()]
    document = document or json.dumps({"expiration": expires, "conditions": own + conditions})
    policy = wrap(base64.b64encode(document.encode()).decode())
    secret = keyed(("AWS4" + who[1]).encode(), day, region, service, "aws4_request")
    signature = hmac.new(secret, policy.encode(), hashlib.sha256).hexdigest()
    return {"key": key} | fields | signing | {"policy": policy, "x-amz-signature": signature}


def body_of(fields, data=b"data", filename="f.txt", end=f"--{LINE}--\r\n"):
    fields = fields.items() if isinstance(fields, dict) else fields
    parts = [f'--{LINE}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields]
    head = f'--{LINE}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: text/css\r\n\r\n'
    return "".join(parts).encode() + head.encode() + data + f"\r\n{end}".encode()


SIGNED = "AWS4-HMAC-SHA256 Credential=AK/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
KIND = {"Content-Type": f"multipart/form-data; boundary={LINE}"}


def send(fields, data=b"data", filename="f.txt", path=f"/{B}", headers={}, **more):
    return plain("POST", path, KIND | headers, body_of(fields, data, filename, **more))


def post(conditions=[], data=b"data", filename="f.txt", **fields):
    return send(fields_of(conditions, **fields), data, filename)


def code(answer):
    status, _, body = answer
    return status, body.split(b"<Code>")[1].split(b"</Code>")[0].decode()


def bytes_of(key, **more):
    return c.get_object(Bucket=B, Key=key, **more)["Body"].read()


def answers():
    """What a form uploads, and how it is answered."""
    status, headers, body = post(key="a/${filename}", filename="C:\\dir\\é x.txt")
    assert (status, body) == (204, b""), (status, body)
    tag = f'"{hashlib.md5(b"data").hexdigest()}"'
    assert headers["etag"] == tag and "x-amz-request-id" in headers, headers
    assert headers["location"] == f"{ENDPOINT}/{B}/a/%C3%A9%20x.txt", headers
    found = c.get_object(Bucket=B, Key="a/é x.txt")
    # The type is the form's to say, not the file's.
    assert (found["Body"].read(), found["ContentType"]) == (b"data", "binary/octet-stream"), found
    status, headers, body = post(key="k201", success_action_status="201")
    assert status == 201 and headers["content-type"] == "application/xml", (status, headers)
    for part in [f"<Location>{ENDPOINT}/{B}/k201</Location>", f"<Bucket>{B}</Bucket>", "<Key>k201</Key>", "<ETag>&quot;"]:
        assert part.encode() in body, body
    assert post(success_action_status="200")[0] == 200 and post(success_action_status="404")[0] == 204
    status, headers, _ = post(key="went on", success_action_redirect="http://example.org/page?a=1")
    assert status == 303, status
    told = urllib.parse.parse_qs(headers["location"].split("?")[1])
    assert told == {"a": ["1"], "bucket": [B], "key": ["went on"], "etag": [tag]}, headers
    assert post(success_action_redirect="javascript:alert(1)")[0] == 204

    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    said = {"Content-Type": "text/plain", "Cache-Control": "no-store", "Content-Disposition": "attachment",
            "Content-Language": "de", "Content-Encoding": "gzip", "Expires": "Wed, 21 Oct 2026 07:28:00 GMT",
            "x-amz-meta-Colour": "green", "x-amz-storage-class": "STANDARD", "acl": "private", "tagging": tags,
            "x-amz-checksum-sha256": sha256(b"data"), "content-md5": md5(b"data"), "x-ignore-me": "anything"}
    conditions = [{name: value} for name, value in said.items() if not name.startswith("x-ignore-")]
    status, headers, body = send(said | fields_of(conditions, key="said"))
    assert status == 204 and headers["x-amz-checksum-sha256"] == sha256(b"data"), (status, headers, body)
    found = c.get_object(Bucket=B, Key="said", ChecksumMode="ENABLED")
    assert (found["ContentType"], found["CacheControl"], found["ContentDisposition"]) == ("text/plain", "no-store", "attachment")
    assert (found["ContentLanguage"], found["ContentEncoding"], found["TagCount"]) == ("de", "gzip", 1), found
    assert found["Metadata"] == {"colour": "green"}, found["Metadata"]
    assert found["ChecksumSHA256"] == sha256(b"data")
    assert c.get_object_tagging(Bucket=B, Key="said")["TagSet"] == [{"Key": "a", "Value": "1"}]

    # META-7; names have no case; fields behind the file are ignored; the file need not have a name.
    twice = [("KEY", "twice")] + list(fields_of([["eq", "$X-Amz-Meta-A", "1,2"]]).items())[1:]
    behind = f'--{LINE}\r\nContent-Disposition: form-data; name="key"\r\n\r\nother\r\n--{LINE}--\r\n'
    assert send([("x-amz-meta-a", "1"), ("X-Amz-Meta-A", "2")] + twice, end=behind)[0] == 204
    assert c.head_object(Bucket=B, Key="twice")["Metadata"] == {"a": "1,2"}
    nameless = body_of(fields_of([], key="nameless${filename}")).replace(b'; filename="f.txt"', b"")
    assert plain("POST", f"/{B}/", KIND, nameless)[0] == 204 and bytes_of("nameless") == b"data"
    assert post(key="empty", data=b"")[0] == 204 and bytes_of("empty") == b""
    wrapped = fields_of([], key="wrapped", wrap=lambda text: "\r\n".join(text[at:at + 76] for at in range(0, len(text), 76)))
    assert send(wrapped)[0] == 204
    # A condition that the file's name fulfils, as boto3 writes it.
    signed = c.generate_presigned_post(B, "posted/${filename}", Conditions=[["content-length-range", 1, 1000]])
    assert send(signed["fields"])[0] == 204 and bytes_of("posted/f.txt") == b"data"
    # BKT-18.
    port = HOST.rsplit(":", 1)[1]
    status, headers, _ = send(fields_of([], key="by host"), path="/", headers={"Host": f"{B}.localhost:{port}"})
    assert (status, headers["location"]) == (204, f"http://{B}.localhost:{port}/by%20host"), headers
    c.put_bucket_versioning(Bucket=B, VersioningConfiguration={"Status": "Enabled"})
    _, headers, _ = post(key="kept", data=b"one")
    first = headers["x-amz-version-id"]
    assert post(key="kept", data=b"two")[1]["x-amz-version-id"] != first
    assert bytes_of("kept") == b"two" and bytes_of("kept", VersionId=first) == b"one"


def refusals(other, secret):
    """What a form is refused for; nothing is uploaded by one that is."""
    old = NOW - datetime.timedelta(seconds=1)
    cases = [
        ((403, "AccessDenied"), dict(conditions=[["starts-with", "$key", "a/"]])),
        ((403, "AccessDenied"), dict(conditions=[{"acl": "private"}])),
        ((403, "AccessDenied"), dict(bucket="other")),
        ((403, "AccessDenied"), dict(expires=stamp(old))),
        ((403, "AccessDenied"), dict(at=NOW - 8 * DAY)),
        ((403, "RequestTimeTooSkewed"), dict(at=NOW + datetime.timedelta(minutes=16))),
        ((403, "AccessDenied"), dict(who=(other, secret))),
        ((403, "SignatureDoesNotMatch"), dict(who=(ID, "wrong"))),
        ((403, "InvalidAccessKeyId"), dict(who=("AKIAIOSFODNN7EXAMPLE", SECRET))),
        ((400, "AuthorizationHeaderMalformed"), dict(region="eu-west-1")),
        ((400, "AuthorizationHeaderMalformed"), dict(service="ec2")),
        ((400, "InvalidPolicyDocument"), dict(expires=str(NOW + DAY))),
        ((400, "InvalidPolicyDocument"), dict(document="{}")),
        ((400, "InvalidPolicyDocument"), dict(document="[" * 3000)),
        ((400, "InvalidPolicyDocument"), dict(conditions=[{}])),
        ((400, "InvalidPolicyDocument"), dict(conditions=[["content-length-range", 0]])),
        ((400, "InvalidPolicyDocument"), dict(wrap=lambda text: text + "*")),
        ((400, "EntityTooSmall"), dict(conditions=[["content-length-range", 5, 10]])),
        ((400, "EntityTooLarge"), dict(conditions=[["content-length-range", 0, 3]])),
        ((400, "BadDigest"), dict(x_amz_checksum_sha256=sha256(b"other"))),
        ((400, "InvalidRequest"), dict(x_amz_checksum_algorithm="CRC32")),
        ((400, "InvalidArgument"), dict(key="")),
        ((400, "KeyTooLongError"), dict(key="k" * 1025)),
        ((400, "MetadataTooLarge"), dict(x_amz_meta_a="v" * 2048)),
        ((400, "MalformedXML"), dict(tagging="a=1")),
        ((400, "AccessControlListNotSupported"), dict(acl="public-read")),
        ((400, "InvalidStorageClass"), dict(x_amz_storage_class="COLD")),
        ((501, "NotImplemented"), dict(x_amz_server_side_encryption="AES256")),
        ((400, "InvalidRequest"), dict(x_amz_object_lock_legal_hold="ON")),
        ((400, "InvalidRequest"), dict(AWSAccessKeyId=ID)),
        ((400, "InvalidToken"), dict(x_amz_security_token="token")),
    ]
    for wanted, case in cases:
        conditions = case.pop("conditions", [])
        found = code(send(fields_of(conditions, **({"key": "refused"} | case))))
        assert found == wanted, (found, wanted, case)
    good = fields_of([], key="refused")
    for wanted, fields in [
        # Without a signature, and with half of one.
        ((403, "AccessDenied"), {"key": "refused"}),
        ((400, "InvalidArgument"), {name: value for name, value in good.items() if name != "x-amz-signature"}),
        ((400, "InvalidArgument"), {name: value for name, value in good.items() if name != "policy"}),
        ((400, "InvalidArgument"), {name: value for name, value in good.items() if name != "key"}),
        ((400, "InvalidArgument"), list(good.items()) + [("key", "again")]),
        ((400, "InvalidRequest"), good | {"x-amz-algorithm": "AWS4-ECDSA-P256-SHA256"}),
        ((400, "InvalidRequest"), {"key": "refused", "policy": good["policy"], "AWSAccessKeyId": ID, "signature": "c2ln"}),
        ((403, "AccessDenied"), good | {"x-amz-meta-extra": "1"}),
        ((403, "AccessDenied"), good | {"submit": "Upload"}),
        ((400, "MaxPostPreDataLengthExceeded"), good | {"x-ignore-long": "v" * 20_480}),
        ((403, "SignatureDoesNotMatch"), good | {"x-amz-signature": good["x-amz-signature"].upper()}),
        ((403, "SignatureDoesNotMatch"), good | {"x-amz-date": "20260101T000000Z"}),
    ]:
        assert code(send(fields)) == wanted, (wanted, fields)
    whole = body_of(good)
    for wanted, path, headers, body in [
        ((403, "AccessDenied"), f"/{B}", KIND | {"x-amz-expected-bucket-owner": "111111111111"}, whole),
        ((400, "InvalidArgument"), f"/{B}", KIND | {"Authorization": SIGNED}, whole),
        ((501, "NotImplemented"), f"/{B}", KIND | {"Content-MD5": md5(whole)}, whole),
        ((501, "NotImplemented"), f"/{B}", KIND | {"If-None-Match": "*"}, whole),
        ((405, "MethodNotAllowed"), f"/{B}/key", KIND, whole),
        ((405, "MethodNotAllowed"), "/", KIND, whole),
        ((400, "MalformedPOSTRequest"), f"/{B}", {"Content-Type": "multipart/form-data"}, whole),
        ((400, "MalformedPOSTRequest"), f"/{B}", {"Content-Type": "multipart/form-data; boundary="}, whole),
        ((400, "MalformedPOSTRequest"), f"/{B}", {"Content-Type": "multipart/form-data; boundary=other"}, whole),
        ((400, "MalformedPOSTRequest"), f"/{B}", KIND, whole[:-40]),
        ((400, "MalformedPOSTRequest"), f"/{B}", KIND, b""),
        ((400, "InvalidArgument"), f"/{B}", KIND, whole[:whole.rindex(b"--keyfold-boundary\r\n")] + b"--keyfold-boundary--"),
        ((400, "MalformedPOSTRequest"), f"/{B}", KIND, body_of(good, f"da\r\n--{LINE}ta".encode())),
        ((400, "MaxPostPreDataLengthExceeded"), f"/{B}", KIND, f"--{LINE}\r\n".encode() + b"X: y\r\n" * 100_000),
    ]:
        found = code(plain("POST", path, headers, body))
        assert found == wanted, (found, wanted, headers)
    connection = http.client.HTTPConnection(HOST)
    connection.request("POST", f"/{B}", body=iter([whole]), headers=KIND, encode_chunked=True)
    assert connection.getresponse().status == 411
    # The client ends in the middle of the file, of a head and before its proper end.
    for end in [whole.rindex(b"data") + 2, 100, len(whole) - 3]:
        with socket.create_connection(HOST.split(":")) as stream:
            head = f"POST /{B} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {KIND['Content-Type']}\r\nContent-Length: {len(whole)}\r\n\r\n"
            stream.sendall(head.encode() + whole[:end])
            stream.shutdown(socket.SHUT_WR)
            stream.settimeout(20)
            assert b" 204 " not in stream.recv(1 << 16)
    refused(404, "404", c.head_object, Bucket=B, Key="refused")
    assert keys(c.list_objects_v2(Bucket=B)) == [] and "Uploads" not in c.list_multipart_uploads(Bucket=B)
    assert code(send(fields_of([], bucket="nowhere", key="k"), path="/nowhere")) == (404, "NoSuchBucket")
    # Another user uploads what is its own.
    assert code(send(fields_of([], who=(other, secret)), path="/theirs")) == (403, "AccessDenied")
    assert send(fields_of([], bucket="theirs", who=(other, secret)), path="/theirs")[0] == 204
    assert c.get_object(Bucket="theirs", Key="k")["Body"].read() == b"data"


def large(pid, mib):
    """Files that are larger than what may be held, several at once; prints the most memory of the server's own, in bytes."""
    class Body:
        """Such a form, of which only a piece is held."""

        def __init__(self, key):
            whole = body_of(fields_of([["content-length-range", 0, int(mib) * MIB]], key=key), b"MARK")
            self.head, self.end = whole.split(b"MARK")
            self.length = len(self.head) + int(mib) * MIB + len(self.end)

        def __iter__(self):
            yield self.head
            for at in range(int(mib)):
                yield bytes([at % 251, 13, 10, 45]) * (MIB // 4)
            yield self.end

    def upload(key):
        body = Body(key)
        connection = http.client.HTTPConnection(HOST)
        connection.request("POST", f"/{B}", body=iter(body), headers=KIND | {"Content-Length": str(body.length)})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def memory():
        lines = open(f"/proc/{pid}/status").read().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))

    peak = memory()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        running = [pool.submit(upload, f"large-{n}") for n in range(4)]
        while not all(done.done() for done in running):
            peak = max(peak, memory())
            concurrent.futures.wait(running, timeout=0.02)
    wanted = hashlib.md5()
    for at in range(int(mib)):
        wanted.update(bytes([at % 251, 13, 10, 45]) * (MIB // 4))
    for n, done in enumerate(running):
        assert done.result()[0] == 204, done.result()
        assert c.head_object(Bucket=B, Key=f"large-{n}")["ETag"] == f'"{wanted.hexdigest()}"'
    print(peak)


def rate():
    """How many of 40 forms are answered otherwise than that there are too many: signed, forged, and not signed."""
    good = fields_of([])
    for fields in [good, good | {"x-amz-signature": "0" * 64}, {"key": "k"}]:
        statuses = [send(fields)[0] for _ in range(40)]
        print(sum(status != 503 for status in statuses))


def held():
    """Forms that are held up by whoever was given them do not hold up those who signed them."""
    host, port = HOST.rsplit(":", 1)
    body = body_of(fields_of([]), b"x" * MIB)
    head = f"POST /{B} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {KIND['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n"
    connections = [socket.create_connection((host, int(port)), timeout=10) for _ in range(150)]
    for connection in connections:
        connection.sendall(head.encode() + body[:MIB // 2])
    c.put_object(Bucket=B, Key="mine", Body=b"x")
    for connection in connections:
        connection.close()


def form(key, size):
    """Prints a request with a form, whose file has so many bytes."""
    body = body_of(fields_of([], key=key), b"x" * int(size))
    print(f"POST /{B} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {KIND['Content-Type']}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n", end="")
    print(body.decode(), end="")


def crossing():
    """CORS-6: the page that sent a form may read the answer, also a refusal."""
    rules = [{"AllowedOrigins": ["http://page.example"], "AllowedMethods": ["POST"], "ExposeHeaders": ["ETag"]}]
    c.put_bucket_cors(Bucket=B, CORSConfiguration={"CORSRules": rules})
    for fields, status in [(fields_of([]), 204), ({"key": "k"}, 403)]:
        found, headers, _ = send(fields, headers={"Origin": "http://page.example"})
        assert (found, headers["access-control-allow-origin"]) == (status, "http://page.example"), headers
        assert "access-control-allow-origin" not in send(fields, headers={"Origin": "http://other.example"})[1]


{act.__name__: act for act in [answers, refusals, large, rate, held, form, crossing]}[sys.argv[1]](*sys.argv[2:])
