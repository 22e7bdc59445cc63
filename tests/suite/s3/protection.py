"""What the endpoint bounds and mends: `large_chunk PID`, `signed_chunk PID`, `added`, `hoard`, `documents`, `ranges ID SECRET` with another user's key, `fill`,
`take`, `rate`."""

import base64
import hashlib
import http.client
import json
import os
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree
import zlib

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
from s3 import ENDPOINT, HOST, MIB, REGION, client, md5, plain, refused, signed

B = "bkt"
c = client()


def peak(pid):
    """Memory of a process that is its own, in bytes."""
    with open(f"/proc/{pid}/status") as lines:
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def large_chunk(pid):
    """A whole body as one unsigned chunk, as some SDKs send it (SIZE-2)."""
    size = 96 * MIB
    piece = bytes(n * 7 % 251 for n in range(MIB))
    sum_of = hashlib.md5()
    crc = 0
    key = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    for _ in range(size // MIB):
        sum_of.update(piece)
        crc = zlib.crc32(piece, crc)
    trailer = base64.b64encode(crc.to_bytes(4, "big"))
    end = b"\r\n0\r\nx-amz-checksum-crc32:" + trailer + b"\r\n\r\n"
    begin = b"%x\r\n" % size
    request = botocore.awsrequest.AWSRequest("PUT", f"{ENDPOINT}/{B}/large")
    request.headers["x-amz-content-sha256"] = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    request.headers["content-encoding"] = "aws-chunked"
    request.headers["x-amz-decoded-content-length"] = str(size)
    request.headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    request.context["payload_signing_enabled"] = False
    request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    botocore.auth.S3SigV4Auth(key, "s3", REGION).add_auth(request)
    connection = http.client.HTTPConnection(HOST, timeout=60)
    connection.putrequest("PUT", f"/{B}/large", skip_host=True, skip_accept_encoding=True)
    for name, value in {**dict(request.headers), "Host": HOST}.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(begin) + size + len(end)))
    before = peak(pid)
    most = 0
    connection.endheaders()
    connection.send(begin)
    for n in range(size // MIB):
        connection.send(piece)
        most = max(most, peak(pid))
    connection.send(end)
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 200, (answer.status, said)
    assert most - before < 48 * MIB, f"{(most - before) // MIB} MiB"
    assert c.head_object(Bucket=B, Key="large")["ContentLength"] == size
    assert hashlib.md5(c.get_object(Bucket=B, Key="large")["Body"].read()).digest() == sum_of.digest()


def signed_chunk(pid):
    """A whole body as one signed chunk (AUTH-3)."""
    size = 96 * MIB
    piece = bytes(n * 7 % 251 for n in range(MIB))
    whole, crc = hashlib.sha256(), 0
    for _ in range(size // MIB):
        whole.update(piece)
        crc = zlib.crc32(piece, crc)
    none = hashlib.sha256(b"").hexdigest()
    key = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    auth = botocore.auth.S3SigV4Auth(key, "s3", REGION)
    for name, last, status in [("signed", piece, 200), ("forged", piece[:-1] + b"x", 403)]:
        kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
        request = botocore.awsrequest.AWSRequest("PUT", f"{ENDPOINT}/{B}/{name}")
        request.headers["x-amz-content-sha256"] = kind
        request.headers["content-encoding"] = "aws-chunked"
        request.headers["x-amz-decoded-content-length"] = str(size)
        request.headers["x-amz-trailer"] = "x-amz-checksum-crc32"
        auth.payload = lambda _: kind
        auth.add_auth(request)
        stamp = request.context["timestamp"]
        scope = auth.credential_scope(request)

        def sign(what, *lines):
            request.context["timestamp"] = stamp
            text = "\n".join(["AWS4-HMAC-SHA256-" + what, stamp, scope, *lines])
            return auth.signature(text, request)

        seed = request.headers["Authorization"].rsplit("Signature=", 1)[1]
        first = sign("PAYLOAD", seed, none, whole.hexdigest())
        end = sign("PAYLOAD", first, none, none)
        trailer = b"x-amz-checksum-crc32:" + base64.b64encode(crc.to_bytes(4, "big"))
        signature = sign("TRAILER", end, hashlib.sha256(trailer + b"\n").hexdigest())
        begin = f"{size:x};chunk-signature={first}\r\n".encode()
        rest = f"\r\n0;chunk-signature={end}\r\n".encode() + trailer
        rest += f"\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode()
        connection = http.client.HTTPConnection(HOST, timeout=60)
        connection.putrequest("PUT", f"/{B}/{name}", skip_host=True, skip_accept_encoding=True)
        for header, value in {**dict(request.headers), "Host": HOST}.items():
            connection.putheader(header, value)
        connection.putheader("Content-Length", str(len(begin) + size + len(rest)))
        before, most = peak(pid), 0
        connection.endheaders()
        connection.send(begin)
        for n in range(size // MIB):
            connection.send(last if n == size // MIB - 1 else piece)
            most = max(most, peak(pid))
        connection.send(rest)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == status, (name, answer.status, said)
        assert most - before < 48 * MIB, f"{(most - before) // MIB} MiB"
    assert c.head_object(Bucket=B, Key="signed")["ContentLength"] == size
    refused(404, "404", c.head_object, Bucket=B, Key="forged")


def added():
    # AUTH-9: who sees a signed request adds nothing to it, however the list of what is signed is written.
    key = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])

    def sent(rewrite, more):
        request = botocore.awsrequest.AWSRequest("PUT", f"{ENDPOINT}/{B}/added", data=b"x")
        botocore.auth.S3SigV4Auth(key, "s3", REGION).add_auth(request)
        headers = {name: value for name, value in request.headers.items() if name != "Authorization"}
        authorization = rewrite(request.headers["Authorization"])
        return plain("PUT", f"/{B}/added", {**headers, "Authorization": authorization, **more}, b"x")

    assert sent(lambda text: text, {})[0] == 200
    evil = {"x-amz-meta-evil": "1"}
    for rewrite in [
        lambda text: text,
        lambda text: text.replace("SignedHeaders=", "SignedHeaders=X-Amz-Meta-Evil;"),
        lambda text: text.replace("AWS4-HMAC-SHA256 ", "AWS4-SignedHeaders=x-amz-meta-evil;host;x-amz-date, "),
    ]:
        status, _, body = sent(rewrite, evil)
        assert status in (400, 403), (rewrite("SignedHeaders="), status, body)
    assert c.head_object(Bucket=B, Key="added")["Metadata"] == {}
    # AUTH-3: nor bytes, in a chunk that never ends.
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    request = botocore.awsrequest.AWSRequest("PUT", f"{ENDPOINT}/{B}/cut")
    request.headers["x-amz-content-sha256"] = kind
    request.headers["x-amz-decoded-content-length"] = "5"
    auth = botocore.auth.S3SigV4Auth(key, "s3", REGION)
    auth.payload = lambda _: kind
    auth.add_auth(request)
    forged = b"100001;chunk-signature=" + b"0" * 64 + b"\r\nEVIL!"
    status, _, said = plain("PUT", f"/{B}/cut", dict(request.headers), forged)
    assert (status, b"IncompleteBody" in said) == (400, True), (status, said)
    refused(404, "404", c.head_object, Bucket=B, Key="cut")
    # Nor may a header say one thing to one who looks and another to the next.
    for name, values in [("Content-Type", [b"\xff", b"multipart/form-data; boundary=x"]),
                         ("x-amz-content-sha256", [b"\xff", kind.encode()])]:
        connection = http.client.HTTPConnection(HOST, timeout=30)
        connection.putrequest("POST", f"/{B}")
        for value in values:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(5 << 30))
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, b"there twice" in answer.read()) == (400, True), name
        connection.close()
    # What makes a bucket is short, and what begins like a form is one, which its head does not sign.
    body = b"<CreateBucketConfiguration>" + b" " * 100_000 + b"</CreateBucketConfiguration>"
    status, _, said = signed("PUT", "/made", body=body)
    assert (status, b"MaxMessageLengthExceeded" in said) == (400, True), (status, said)
    body = b"<Delete><Object><Key>added</Key></Object></Delete>"
    for kind in ["multipart/form-datax", "multipart/form-data; boundary=x"]:
        status, _, said = signed("POST", f"/{B}", body=body, query="?delete=", headers={"content-type": kind})
        assert (status, b"InvalidArgument" in said) == (400, True), (kind, status, said)
    assert c.head_object(Bucket=B, Key="added")["ContentLength"] == 1


def hoard():
    """Documents that never end, from another address, leave room for others'."""
    host, port = HOST.rsplit(":", 1)
    held = []
    # Who knows a key's id from one address, and who knows none from any.
    known = [(os.environ["AWS_ACCESS_KEY_ID"], "127.0.0.2")]
    for name, address in known * 9 + [("AKIAIOSFODNN7EXAMPLE", f"127.0.0.{n}") for n in range(3, 6)] * 3:
        scope = f"Credential={name}/20261123/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=00"
        head = f"POST /{B}?delete HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: AWS4-HMAC-SHA256 {scope}\r\n"
        head += f"Content-Length: {8 * MIB}\r\n\r\n"
        connection = socket.create_connection((host, int(port)), timeout=2, source_address=(address, 0))
        try:
            connection.sendall(head.encode() + b" " * (8 * MIB - 1))
        except (TimeoutError, ConnectionError):
            pass
        held.append(connection)
    c.put_object(Bucket=B, Key="k", Body=b"x")
    assert len(c.delete_objects(Bucket=B, Delete={"Objects": [{"Key": "k"}]})["Deleted"]) == 1
    for connection in held:
        connection.close()


def documents():
    # KEY-16, KEY-17: whatever stands in a key, the answer is XML.
    for key in ["a\rb", "a\x01b", "a\tb"]:
        path = "/" + B + "/" + urllib.parse.quote(key)
        assert signed("PUT", path, body=b"x")[0] == 200
        started = signed("POST", path, query="?uploads=")
        name = xml.etree.ElementTree.fromstring(started[2]).find("{*}Key").text
        assert name == key.replace("\x01", "\ufffd"), (key, name)
    deleted = c.delete_objects(Bucket=B, Delete={"Objects": [{"Key": "a\rb"}, {"Key": "a\tb"}]})["Deleted"]
    assert sorted(entry["Key"] for entry in deleted) == ["a\tb", "a\rb"], deleted
    # A document may have many elements, not any number.
    for count, status, words in [(500, 200, b"DeleteResult"), (60_000, 400, b"MaxMessageLengthExceeded")]:
        body = b"<Delete>" + b"<Object><Key>k</Key></Object>" * count + b"</Delete>"
        found, _, answer = signed("POST", f"/{B}", body=body, query="?delete=", headers={"content-md5": md5(body)})
        assert found == status and words in answer, (found, answer)


def ranges(other, secret):
    # READ-8: what names no single range is ignored, signed or not.
    c.put_object(Bucket=B, Key="k", Body=b"0123456789")
    c.put_object(Bucket=B, Key="empty", Body=b"")
    for text in ["bytes=0-1,5-6", "bytes=5-2", "lines=1-2", "bytes=x-y"]:
        whole = c.get_object(Bucket=B, Key="k", Range=text)
        assert whole["Body"].read() == b"0123456789" and whole["ResponseMetadata"]["HTTPStatusCode"] == 200, text
        assert c.head_object(Bucket=B, Key="k", Range=text)["ContentLength"] == 10
        presigned = boto3.client("s3", config=botocore.config.Config(signature_version="s3v4"))
        url = presigned.generate_presigned_url("get_object", Params={"Bucket": B, "Key": "k"})
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": text})) as answer:
            assert answer.status == 200 and answer.read() == b"0123456789", text
    assert c.get_object(Bucket=B, Key="k", Range="bytes=2-3")["Body"].read() == b"23"
    refused(416, "InvalidRange", c.get_object, Bucket=B, Key="empty", Range="bytes=-5")
    refused(416, "InvalidRange", c.get_object, Bucket=B, Key="k", Range="bytes=10-")
    refused(404, "NoSuchKey", c.get_object, Bucket=B, Key="absent", Range="bytes=0-1,5-6")
    # An odd range opens nothing: to another user, with a wrong secret, or without a signature.
    for key, word, code in [(other, secret, "AccessDenied"), (other, secret + "x", "SignatureDoesNotMatch")]:
        stranger = boto3.client("s3", aws_access_key_id=key, aws_secret_access_key=word)
        refused(403, code, stranger.get_object, Bucket=B, Key="k", Range="bytes=0-1,5-6")
    try:
        urllib.request.urlopen(urllib.request.Request(f"{ENDPOINT}/{B}/k", headers={"Range": "bytes=0-1,5-6"}))
        raise AssertionError("it was answered")
    except urllib.error.HTTPError as error:
        assert error.code == 403
    # READ-4: a version's name is known however it is spelled.
    assert signed("GET", f"/{B}/k", query="?version%49d=null")[0] in (200, 403)


def fill():
    c.put_object(Bucket=B, Key="k", Body=b"0123456789abcdef" * (2 * MIB))


def take():
    assert c.get_object(Bucket=B, Key="k")["Body"].read() == b"0123456789abcdef" * (2 * MIB)


def rate():
    """Prints how many of 40 requests were answered, and what the others were told."""
    answered, told = 0, set()
    for _ in range(40):
        status, headers, body = signed("GET", f"/{B}/k")
        if status == 200:
            answered += 1
        else:
            told.add((status, b"<Code>SlowDown</Code>" in body, int(headers["retry-after"]) > 0))
    print(json.dumps([answered, sorted(told)]))


if __name__ == "__main__":
    {f.__name__: f for f in (large_chunk, signed_chunk, added, hoard, documents, ranges, fill, take, rate)}[sys.argv[1]](*sys.argv[2:])
