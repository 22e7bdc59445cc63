"""Puts and gets one large object as streams: PID BUCKET MIB. Prints the most memory of its own, without what it maps of
files, that the server was seen to have, in bytes."""

import io
import sys
import threading

from s3 import MIB, client

pid, bucket, size = sys.argv[1], sys.argv[2], int(sys.argv[3]) * MIB
PIECE = bytes(n * 31 % 256 for n in range(MIB))


class Stream(io.RawIOBase):
    """So many bytes, without having them."""

    at = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        self.at = offset + {0: 0, 1: self.at, 2: size}[whence]
        return self.at

    def tell(self):
        return self.at

    def __len__(self):
        return size

    def read(self, count=-1):
        count = min(size - self.at if count < 0 else count, size - self.at, MIB - self.at % MIB)
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
c.put_object(Bucket=bucket, Key="large", Body=Stream(), ContentLength=size)
body = c.get_object(Bucket=bucket, Key="large")["Body"]
for at in range(0, size, MIB):
    assert body.read(MIB) == PIECE, at
assert body.read() == b""
over.set()
watcher.join()
print(peak)
