#!/usr/bin/env python3
"""What scrub costs those who write: small synced writes without it, with the pass in the background, and with one by hand.

usage: scrub.py [MIB] [ROUNDS]

Makes a store with MIB (1024) of data below TMPDIR, mounts it in turn without scrub, with `scrub_every = "1s"`, so that one pass
follows the other at the default rate, and with `keyfold scrub` as fast as the disk gives. Each time 2,000 files of 4 KiB
are written, synced and closed. Prints median and 99th percentile in ms, medians of the rounds (7), and the ratio to
none. KEYFOLD names the program.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

KEYFOLD = os.environ.get("KEYFOLD", "keyfold")
WRITES = 2000
SIDES = {
    "without": "off",
    "background": "1s",
    "by hand": "off",
}


def keyfold(*args):
    return subprocess.run([KEYFOLD, *args], check=True, capture_output=True, text=True).stdout


def put(name, data):
    begun = time.perf_counter()
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    return (time.perf_counter() - begun) * 1000


def measure(store, mnt, side, number):
    with open(f"{store}/keyfold.toml", "w", encoding="utf-8") as settings:
        settings.write(f'[care]\nscrub_every = "{SIDES[side]}"\n')
    keyfold("mount", store, mnt)
    other = None
    try:
        os.mkdir(f"{mnt}/bench/{number}")
        time.sleep(2)
        if side == "by hand":
            loop = f'while "{KEYFOLD}" scrub "{store}" >/dev/null 2>&1; do :; done'
            other = subprocess.Popen(["sh", "-c", loop], start_new_session=True)
        before, begun = scrubbed(mnt), time.perf_counter()
        data = os.urandom(4096)
        times = sorted(put(f"{mnt}/bench/{number}/{n}", data) for n in range(WRITES))
        rate = (scrubbed(mnt) - before) / (time.perf_counter() - begun) / (1 << 20)
        return statistics.median(times), times[WRITES * 99 // 100], rate
    finally:
        if other is not None:
            os.killpg(other.pid, 15)
            other.wait()
        shutil.rmtree(f"{mnt}/bench/{number}", ignore_errors=True)
        keyfold("umount", mnt)


def scrubbed(mnt):
    with open(f"{mnt}/.keyfold/metrics", encoding="utf-8") as metrics:
        lines = [line.split() for line in metrics if line.startswith("keyfold_scrub_bytes")]
    return float(lines[0][-1])


def main():
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    place = tempfile.mkdtemp(prefix="keyfold-scrub-")
    store, mnt = f"{place}/store", f"{place}/mnt"
    os.mkdir(mnt)
    try:
        keyfold("mount", store, mnt)
        os.mkdir(f"{mnt}/bench")
        for n in range(mib // 16):
            with open(f"{mnt}/bench/data{n}", "wb") as file:
                file.write(os.urandom(16 << 20))
                os.fsync(file.fileno())
        keyfold("umount", mnt)
        found = {side: [] for side in SIDES}
        for n in range(rounds):
            for side in SIDES:
                found[side].append(measure(store, mnt, side, f"{side}-{n}".replace(" ", "-")))
        median = {side: [statistics.median(column) for column in zip(*rows)] for side, rows in found.items()}
        print(f"{'':12}{'median, ms':>12}{'p99, ms':>10}{'p99 to none':>13}{'scrub, MiB/s':>14}")
        for side, (middle, high, rate) in median.items():
            print(f"{side:12}{middle:12.3f}{high:10.3f}{high / median['without'][1]:13.2f}{rate:14.1f}")
    finally:
        subprocess.run([KEYFOLD, "umount", mnt], capture_output=True, check=False)
        shutil.rmtree(place, ignore_errors=True)


main()
