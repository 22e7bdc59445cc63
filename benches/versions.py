#!/usr/bin/env python3
"""What versions cost: the same jobs in an unversioned and in a versioned bucket of one mount, in turn.

usage: versions.py MOUNTPOINT [ROUNDS]

Differences of a few per cent need more rounds than mount.sh has, each right after the other, on the same daemon. Directories
are new in each round. The names that are renamed have been deleted once: with versions each has two records of history.
Makes the buckets `bench-plain` and `bench-versions`, which stay, and prints operations a second, medians of the rounds (24).
"""

import os
import statistics
import subprocess
import sys
import time

from jobs import put

FILES = 500


def names(where, letter):
    return [f"{where}/{letter}{n:06}" for n in range(FILES)]


def create(where, sync):
    for name in names(where, "a"):
        put(name, fsync=sync)


def unlink(where):
    for name in names(where, "a"):
        os.unlink(name)


def listing(where):
    for _ in range(10):
        with os.scandir(where) as entries:
            for entry in entries:
                entry.stat()


def rename(where):
    for one, other in zip(names(where, "a"), names(where, "b")):
        os.rename(one, other)
    for one, other in zip(names(where, "a"), names(where, "b")):
        os.rename(other, one)


JOBS = [
    ("create + write 4 KiB + fsync + close", FILES, lambda where: create(where, True)),
    ("unlink", FILES, unlink),
    ("create + write 4 KiB + close", FILES, lambda where: create(where, False)),
    ("ls -l, warm", 10 * FILES, listing),
    ("rename", 2 * FILES, rename),
]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    mount, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 24
    sides = []
    for side, versioning in [("bench-plain", None), ("bench-versions", "Enabled")]:
        bucket = f"{mount}/{side}"
        os.makedirs(bucket, exist_ok=True)
        if versioning:
            subprocess.run(["setfattr", "-n", "user.s3.versioning", "-v", versioning, bucket], check=True)
        sides.append(bucket)
    taken = {}
    for turn in range(rounds):
        files = f"files-{time.time_ns()}"
        for bucket in sides:
            os.mkdir(f"{bucket}/{files}")
        for job, count, run in JOBS:
            for side in sides if turn % 2 else reversed(sides):
                begun = time.perf_counter()
                run(f"{side}/{files}")
                taken.setdefault((job, side), []).append(count / (time.perf_counter() - begun))
    print(f"{'job':40} {'plain':>10} {'versions':>10}  difference")
    for job, _, _ in JOBS:
        plain, versions = (statistics.median(taken[job, side]) for side in sides)
        print(f"{job:40} {plain:10,.0f} {versions:10,.0f}  {100 * versions / plain - 100:+9.1f}%")


if __name__ == "__main__":
    main()
