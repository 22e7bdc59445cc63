#!/usr/bin/env python3
"""What reclaiming space costs others, and how much space stays: files are written, nine tenths of them deleted at random.

usage: reclaim.py MOUNTPOINT STORE [MIB]

Meanwhile a program writes 16 KiB with fsync and another reads 16 KiB from the files that are left: first with compaction
paused, then while it runs. Prints the latencies of both (p50, p99), their ratio, and the bytes of the store's files for
each byte alive. Makes the bucket `bench-reclaim`, which
it empties. KEYFOLD is the binary, otherwise the one on the PATH.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time

# Seconds of the time without compaction, and without it after which it is taken to be over.
ALONE = 20
IDLE = 10
KEPT = 10
PATIENCE = 600


def keyfold(*args):
    done = subprocess.run([os.environ.get("KEYFOLD", "keyfold"), *args], check=True, capture_output=True, text=True)
    return done.stdout


def disk_use(store):
    total = 0
    for part in ("seg", "solo", "meta"):
        for where, _, files in os.walk(f"{store}/{part}"):
            for name in files:
                try:
                    total += os.stat(f"{where}/{name}").st_blocks * 512
                except FileNotFoundError:
                    pass
    return total


def fill(bucket, mib, chance):
    sizes = {}
    while sum(sizes.values()) < mib << 20:
        name = f"{bucket}/d{len(sizes) % 50}/f{len(sizes)}"
        os.makedirs(os.path.dirname(name), exist_ok=True)
        size = int(8192 * 1.0008 ** chance.randrange(8000))
        with open(name, "wb") as file:
            file.write(chance.randbytes(size))
        sizes[name] = size
    return sizes


class Foreground:
    """A writer and a reader whose latencies are kept apart by what happens at the time."""

    def __init__(self, bucket, names, chance):
        self.phase, self.taken, self.done = None, {}, False
        self.bucket, self.names, self.chance = bucket, names, chance
        self.threads = [threading.Thread(target=self.loop, args=(job,)) for job in (self.write, self.read)]
        for thread in self.threads:
            thread.start()

    def loop(self, job):
        n = 0
        while not self.done:
            phase, begun = self.phase, time.perf_counter()
            job(n)
            if phase == self.phase:
                self.taken.setdefault((job.__name__, phase), []).append(time.perf_counter() - begun)
            n += 1
            time.sleep(0.005)

    def write(self, n):
        with open(f"{self.bucket}/w{n % 64}", "wb") as file:
            file.write(bytes(16384))
            os.fsync(file.fileno())

    def read(self, _):
        with open(self.chance.choice(self.names), "rb") as file:
            file.read(16384)

    def end(self):
        self.done = True
        for thread in self.threads:
            thread.join()


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    mount, store, mib = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) == 4 else 2048
    chance = random.Random(1)
    bucket = f"{mount}/bench-reclaim"
    os.makedirs(bucket, exist_ok=True)
    sizes = fill(bucket, mib, chance)
    subprocess.run(["sync", "-f", mount, store], check=True)
    keyfold("gc", "--pause", store)
    names = list(sizes)
    kept = set(chance.sample(names, len(names) // KEPT))
    for name in names:
        if name not in kept:
            os.unlink(name)
    alive = sum(sizes[name] for name in kept)
    print(f"{len(kept)} of {len(names)} files kept, {alive >> 20} MiB of {sum(sizes.values()) >> 20}")
    time.sleep(5)
    print(f"after deleting: {disk_use(store) / alive:.2f} bytes on the disk for each byte alive")
    foreground = Foreground(bucket, list(kept), chance)
    foreground.phase = "without"
    time.sleep(ALONE)
    foreground.phase = None
    keyfold("gc", "--resume", store)
    begun, quiet = time.monotonic(), 0
    while quiet < IDLE and time.monotonic() - begun < PATIENCE:
        running = json.loads(keyfold("status", "--json", store))["compaction"] == "running"
        foreground.phase = "with" if running else None
        quiet = 0 if running else quiet + 1
        # Not often: to answer costs the mount's process some milliseconds of a processor.
        time.sleep(1)
    foreground.end()
    for job in ("write", "read"):
        without, during = foreground.taken[job, "without"], foreground.taken[job, "with"]
        for label, share in (("p50", 0.5), ("p99", 0.99)):
            one, other = quantile(without, share), quantile(during, share)
            print(f"{job:6} {label}  without {one:7.2f} ms  with {other:7.2f} ms  x {other / one:.2f}  ({len(during)})")
    print(f"{time.monotonic() - begun:.0f} s; {disk_use(store) / alive:.2f} bytes on the disk for each byte alive")
    for where, _, files in os.walk(bucket, topdown=False):
        for name in files:
            os.unlink(f"{where}/{name}")
        if where != bucket:
            os.rmdir(where)


if __name__ == "__main__":
    main()
