"""Puts one large object in parts, several at once, and gets it, then puts one whole, all as streams: PID BUCKET MIB. Prints
the most memory of its own, without what it maps of files, that the server was seen to have, in bytes."""

import concurrent.futures
import io
import sys
import threading

from s3 import MIB, client

pid, bucket, size = sys.argv[1], sys.argv[2], int(sys.argv[3]) * MIB
PARTS, AT_ONCE = 20, 4
# What a single request brings.
WHOLE = min(size, 1024 * MIB)
PIECE = bytes(n * 31 % 256 for n in range(MIB))


class Stream(io.RawIOBase):
    """So many bytes, without having them."""

    def __init__(self, size):
        self.at, self.size = 0, size

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        self.at = offset + {0: 0, 1: self.at, 2: self.size}[whence]
        return self.at

    def tell(self):
        return self.at

    def __len__(self):
        return self.size

    def read(self, count=-1):
        left = self.size - self.at
        count = min(left if count < 0 else count, left, MIB - self.at % MIB)
        begin = self.at % MIB
        self.at += count
        return PIECE[begin:begin + count]


peak, over = 0, threading.Event()


def watch():
    global peak
    while not over.wait(0.02):
        for line in open(f"/proc/{pid}/status"):
            if line.startswith("RssAnon:"):
                peak = max(peak, int(line.split()[1]) * 1024)


watcher = threading.Thread(target=watch)
watcher.start()
c = client(request_checksum_calculation="when_required", s3={"payload_signing_enabled": False})
c.create_bucket(Bucket=bucket)


def part(number):
    place = {"Bucket": bucket, "Key": "parts", "UploadId": upload, "PartNumber": number}
    put = c.upload_part(**place, Body=Stream(size // PARTS), ContentLength=size // PARTS)
    return {"PartNumber": number, "ETag": put["ETag"]}


def whole(key, size):
    body = c.get_object(Bucket=bucket, Key=key)["Body"]
    for at in range(0, size, MIB):
        assert body.read(MIB) == PIECE, at
    assert body.read() == b""


upload = c.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
    parts = {"Parts": list(pool.map(part, range(1, PARTS + 1)))}
c.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
whole("parts", size)
c.put_object(Bucket=bucket, Key="whole", Body=Stream(WHOLE), ContentLength=WHOLE)
whole("whole", WHOLE)
over.set()
watcher.join()
print(peak)
