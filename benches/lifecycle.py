#!/usr/bin/env python3
"""How fast lifecycle rules judge a bucket, beside `find` over the same files and a listing of them by `keyfold ls`.

usage: lifecycle.py [FILES [ROUNDS]]

Makes a store and a mount of its own in the temporary directory, with FILES (100,000) empty files in directories of 1,000, and one file in
ten overwritten once, so that it has history. Each round judges all of it with rules under which nothing is due, of which one is for everything and
999 are for prefixes that nothing has; then walks it with `find -mtime`, and lists it. Prints objects a second, medians of the rounds (3).
The program is KEYFOLD, else target/release/keyfold in CARGO_TARGET_DIR, else keyfold in PATH.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

RULE = {"Status": "Enabled", "Expiration": {"Days": 10000}, "NoncurrentVersionExpiration": {"NoncurrentDays": 10000}}


def program():
    built = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "keyfold")
    return os.environ.get("KEYFOLD") or (built if os.path.exists(built) else shutil.which("keyfold"))


def rules(count):
    filters = [""] + [f"nothing/{n:04}/" for n in range(1, count)]
    return json.dumps({"Rules": [{"ID": f"r{n}", "Filter": {"Prefix": prefix}, **RULE} for n, prefix in enumerate(filters)]})


def timed(command, **how):
    begun = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **how)
    return time.monotonic() - begun


def main():
    if len(sys.argv) > 3:
        sys.exit(__doc__)
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    keyfold, place = program(), tempfile.mkdtemp()
    store, mount = os.path.join(place, "store"), os.path.join(place, "mnt")
    os.mkdir(mount)
    os.environ["KEYFOLD_STORE"] = store
    subprocess.run([keyfold, "mount", store, mount], check=True)
    try:
        bucket = os.path.join(mount, "bench")
        os.mkdir(bucket)
        subprocess.run([keyfold, "bucket", "set", "bench", "versioning", "Enabled"], check=True, stdout=subprocess.DEVNULL)
        for n in range(files):
            if n % 1000 == 0:
                directory = os.path.join(bucket, f"{n // 1000:06}")
                os.mkdir(directory)
            for _ in range(2 if n % 10 == 0 else 1):
                os.close(os.open(os.path.join(directory, f"{n:09}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        jobs = [
            ("judged by 1 rule", 1, [keyfold, "lifecycle", "run", "--dry-run", "bench"]),
            ("judged by 1,000 rules", 1000, [keyfold, "lifecycle", "run", "--dry-run", "bench"]),
            ("find -mtime", 0, ["find", bucket, "-mtime", "+10000"]),
            ("keyfold ls --recursive", 0, [keyfold, "--json", "ls", "--recursive", "bench"]),
        ]
        taken = {name: [] for name, _, _ in jobs}
        for _ in range(rounds):
            for name, count, command in jobs:
                if count:
                    document = os.path.join(place, "rules.json")
                    with open(document, "w", encoding="ascii") as text:
                        text.write(rules(count))
                    subprocess.run(
                        [keyfold, "bucket", "set", "bench", "lifecycle", "@" + document],
                        check=True, stdout=subprocess.DEVNULL,
                    )
                taken[name].append(timed(command))
        for name, times in taken.items():
            seconds = statistics.median(times)
            print(f"{name:24} {seconds:8.2f} s {files / seconds:12,.0f} objects/s")
    finally:
        subprocess.run([keyfold, "umount", "--lazy", mount], check=False)
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
