#!/usr/bin/env python3
"""How fast lifecycle rules judge a bucket, beside `find` over the same files and a listing of them by `keyfold ls`.

usage: lifecycle.py [FILES [ROUNDS]]

Makes a store and a mount of its own in the temporary directory, with FILES (100,000) empty files in directories of 1,000, and one file in
ten overwritten once, so that it has history. Each round judges all of it with rules under which nothing is due, of which one is for everything and
999 are for prefixes that nothing has; then walks it with `find -mtime`, and lists it. Prints objects a second, medians of the rounds (3).
At last it tells what the mount feels: milliseconds in which 4 KiB are written to a new file, the file is looked at, read and removed,
without judging, beside the pass in the background that new rules begin, and beside `keyfold lifecycle run --dry-run` again and again.
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

# How long each side is felt.
SECONDS = 10
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


def feel(bucket):
    """Milliseconds of a file's life, sorted."""
    data, path, times = os.urandom(4096), os.path.join(bucket, "probe"), []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        begun = time.perf_counter()
        with open(path, "wb", buffering=0) as file:
            file.write(data)
        os.stat(path)
        with open(path, "rb", buffering=0) as file:
            file.read()
        os.unlink(path)
        times.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.002)
    return sorted(times)


def felt(keyfold, place, bucket, rounds):
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def set_rules(days):
        document = os.path.join(place, "rules.json")
        with open(document, "w", encoding="ascii") as text:
            json.dump({"Rules": [{"ID": "r", "Filter": {}, "Status": "Enabled", "Expiration": {"Days": days}}]}, text)
        subprocess.run([keyfold, "bucket", "set", "bench", "lifecycle", "@" + document], **quiet)

    sides = {"without": [], "background": [], "by hand": []}
    for number in range(rounds):
        subprocess.run([keyfold, "bucket", "unset", "bench", "lifecycle"], **quiet)
        time.sleep(1)
        sides["without"].append(feel(bucket))
        set_rules(20000 + number)
        sides["background"].append(feel(bucket))
        loop = f'while "{keyfold}" lifecycle run --dry-run bench >/dev/null 2>&1; do :; done'
        with subprocess.Popen(["sh", "-c", loop], start_new_session=True) as other:
            try:
                sides["by hand"].append(feel(bucket))
            finally:
                os.killpg(other.pid, 15)
    print(f"{'':24}{'median, ms':>12}{'p99, ms':>10}{'median to none':>16}{'p99 to none':>13}")
    found = {
        name: [statistics.median(times[len(times) * part // 100] for times in lists) for part in (50, 99)]
        for name, lists in sides.items()
    }
    for name, (middle, high) in found.items():
        none = found["without"]
        print(f"{name:24}{middle:12.3f}{high:10.3f}{middle / none[0]:16.2f}{high / none[1]:13.2f}")


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
                        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    )
                taken[name].append(timed(command))
        for name, times in taken.items():
            seconds = statistics.median(times)
            print(f"{name:24} {seconds:8.2f} s {files / seconds:12,.0f} objects/s")
        felt(keyfold, place, bucket, rounds)
    finally:
        subprocess.run([keyfold, "umount", "--lazy", mount], check=False)
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
