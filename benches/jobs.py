#!/usr/bin/env python3
"""The jobs of mount.sh and its table.

    jobs.py prepare SCRATCH SCALE         makes what the jobs start from: an archive and a git repository
    jobs.py run STAGE SIDE DIR SCRATCH SCALE RESULTS
                                          runs the jobs of a stage in DIR, adds lines to RESULTS
    jobs.py chill DIR...                  drops the page cache of every file below, and of nothing else
    jobs.py table RESULTS                 medians, and Keyfold's speed as a multiple of ext4's and bindfs's

Every job ends after a number of operations or after a time, whichever is first, and tells operations (or MiB) a
second, so a slow side costs no more time than a fast one. Timing starts after the interpreter has.
"""

import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tarfile
import time

FULL = {"mib": 1024, "files": 10000, "read": 5000, "rename": 1000, "tree": 3000, "inserts": 1000, "seconds": 5.0}
QUICK = {"mib": 128, "files": 2000, "read": 2000, "rename": 500, "tree": 600, "inserts": 100, "seconds": 0.7}
SCALES = {"full": FULL, "quick": QUICK}
SMALL = bytes(range(256)) * 16
MIB = bytes(random.Random(1).randbytes(1 << 20))

# Rows of the table in order: job, unit, what it is.
ROWS = [
    ("seq-write", "MiB/s", "sequential write, 1 MiB, then fsync"),
    ("seq-read-warm", "MiB/s", "sequential read, 1 MiB, warm"),
    ("seq-read-cold", "MiB/s", "sequential read, 1 MiB, cold"),
    ("rand-read", "op/s", "random read, 4 KiB, warm"),
    ("rand-write", "op/s", "random write, 4 KiB, fsync at the end"),
    ("create", "op/s", "create + write 4 KiB + close"),
    ("create-4", "op/s", "the same, 4 processes"),
    ("create-fsync", "op/s", "create + write 4 KiB + fsync + close"),
    ("create-fsync-4", "op/s", "the same, 4 processes"),
    ("read-small", "op/s", "open + read 4 KiB + close, warm"),
    ("read-small-cold", "op/s", "the same, cold"),
    ("stat", "op/s", "stat, warm"),
    ("stat-cold", "op/s", "stat, first after mounting"),
    ("stat-missing", "op/s", "stat of absent names, each once"),
    ("ls-l", "entry/s", "ls -l of one directory, warm"),
    ("ls-l-cold", "entry/s", "ls -l, first after mounting"),
    ("rename", "op/s", "rename"),
    ("delete", "op/s", "unlink every file"),
    ("untar", "file/s", "tar -x"),
    ("copy-tree", "file/s", "cp -r"),
    ("remove-tree", "file/s", "rm -r"),
    ("git-clone", "file/s", "git clone of a local repository"),
    ("sqlite", "op/s", "sqlite, one insert a transaction"),
]

# What is aimed at: so many times as fast as that side, without versions.
TARGETS = {
    "seq-write": {"plain": 0.9},
    "seq-read-warm": {"plain": 0.95},
    "seq-read-cold": {"plain": 0.95},
    "rand-read": {"plain": 0.9},
    "rand-write": {"plain": 0.9, "bindfs": 1.2},
    "create": {"bindfs": 2.0},
    "create-4": {"bindfs": 2.0},
    "create-fsync": {"plain": 1.0},
    "create-fsync-4": {"plain": 1.0},
    "read-small": {"bindfs": 2.0},
    "read-small-cold": {"bindfs": 2.0},
    "stat": {"plain": 0.9},
    "stat-cold": {"bindfs": 1.5},
    "stat-missing": {"plain": 0.9},
    "ls-l-cold": {"plain": 0.5},
    "rename": {"bindfs": 2.0},
    "delete": {"plain": 1.0},
    "untar": {"plain": 0.7, "bindfs": 1.2},
    "copy-tree": {"plain": 0.7, "bindfs": 1.2},
    "git-clone": {"plain": 0.7, "bindfs": 1.2},
    "sqlite": {"plain": 0.9},
}
# With versions a row may be slower by this part.
VERSIONS_COST = 0.1


class Run:
    """Where a stage works, how much, and where it writes what it measured."""

    def __init__(self, side, place, scratch, scale, results):
        self.side, self.place, self.scratch, self.results = side, place, scratch, results
        self.scale = SCALES[scale]

    def tell(self, job, count, seconds):
        with open(self.results, "a", encoding="ascii") as out:
            out.write(f"{job}\t{self.side}\t{count / max(seconds, 1e-9):.3f}\n")

    def bounded(self, job, items, each, seconds=None):
        """Times `each` over `items` until they end or the time is up; returns how many were done."""
        limit = self.scale["seconds"] if seconds is None else seconds
        count = 0
        start = time.perf_counter()
        for item in items:
            each(item)
            count += 1
            if count & 15 == 0 and time.perf_counter() - start > limit:
                break
        self.tell(job, count, time.perf_counter() - start)
        return count

    def command(self, job, count, command, **more):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300, **more)
        self.tell(job, count, time.perf_counter() - start)

    def path(self, *parts):
        return os.path.join(self.place, *parts)


def put(path, fsync=False):
    """What most programs do to save a file."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644)
    os.write(fd, SMALL)
    if fsync:
        os.fsync(fd)
    os.close(fd)


def read(path):
    fd = os.open(path, os.O_RDONLY)
    os.read(fd, len(SMALL) + 1)
    os.close(fd)


def absent(path):
    try:
        os.stat(path)
    except FileNotFoundError:
        return
    raise SystemExit(f"{path} should not be there")


def data(run):
    """One large file."""
    big = run.path("big")
    mib, limit = run.scale["mib"], run.scale["seconds"]
    start = time.perf_counter()
    fd = os.open(big, os.O_CREAT | os.O_WRONLY, 0o644)
    for _ in range(mib):
        os.write(fd, MIB)
    os.fsync(fd)
    run.tell("seq-write", mib, time.perf_counter() - start)
    os.close(fd)

    def whole(job):
        start = time.perf_counter()
        fd = os.open(big, os.O_RDONLY)
        done = 0
        while time.perf_counter() - start < 4 * limit and (piece := os.read(fd, 1 << 20)):
            done += len(piece)
        run.tell(job, done / (1 << 20), time.perf_counter() - start)
        os.close(fd)

    for _ in range(2):
        fd = os.open(big, os.O_RDONLY)
        while os.read(fd, 1 << 20):
            pass
        os.close(fd)
    whole("seq-read-warm")
    fio(run, "rand-read", "randread", [])
    # What the kernel keeps for the mount, and what it keeps for the files below it.
    chill([big, *run.below])
    whole("seq-read-cold")
    fio(run, "rand-write", "randwrite", ["--end_fsync=1"])
    os.unlink(big)


def fio(run, job, kind, more):
    if not shutil.which("fio"):
        return
    size = min(run.scale["mib"], 256)
    seconds = max(1, round(run.scale["seconds"]))
    command = ["fio", f"--name={job}", f"--filename={run.path('big')}", f"--rw={kind}", "--bs=4k", f"--size={size}M"]
    command += ["--ioengine=psync", "--fallocate=none", "--invalidate=0", "--randseed=7", "--norandommap"]
    command += ["--time_based", f"--runtime={seconds}", "--output-format=json", *more]
    start = time.perf_counter()
    out = subprocess.run(command, check=True, capture_output=True, timeout=300)
    wall = time.perf_counter() - start
    report = json.loads(out.stdout[out.stdout.index(b"{") :])["jobs"][0]
    part = report["read" if kind == "randread" else "write"]
    # For writes fio's own start is in the time, which is small beside what the fsync costs.
    run.tell(job, part["total_ios"], wall if more else part["runtime"] / 1000)


def small(run):
    """Many small files in one directory."""
    files = run.path("files")
    os.mkdir(files)
    names = [os.path.join(files, f"file-{n:06}") for n in range(run.scale["files"])]
    made = run.bounded("create", names, put, 4 * run.scale["seconds"])
    for name in names[made:]:
        put(name)
    some = names[: run.scale["read"]]
    for name in some:
        read(name)
    run.bounded("read-small", some, read)
    # A read moves a file's time of access, so the kernel asks for its attributes once more.
    for name in names:
        os.stat(name)
    run.bounded("stat", names, os.stat)
    missing = [name + "-" for name in some]
    run.bounded("stat-missing", missing, absent)
    subprocess.run(["ls", "-l", files], check=True, stdout=subprocess.DEVNULL)
    run.command("ls-l", len(names), ["ls", "-l", files])


def fresh_list(run):
    """What the first look after mounting costs."""
    files = run.path("files")
    run.command("ls-l-cold", run.scale["files"], ["ls", "-l", files])


def fresh_stat(run):
    """Names asked for one by one, in no order, before anything listed them; then their bytes."""
    names = [run.path("files", f"file-{n:06}") for n in range(run.scale["files"])]
    random.Random(2).shuffle(names)
    run.bounded("stat-cold", names, os.stat)
    run.bounded("read-small-cold", names[: run.scale["read"]], read)


def change(run):
    """Renames the small files and deletes them."""
    files = run.path("files")
    names = [os.path.join(files, f"file-{n:06}") for n in range(run.scale["files"])]
    moved = names[: run.scale["rename"]]
    done = run.bounded("rename", moved, lambda name: os.rename(name, name.replace("file-", "moved-")))
    there = [name.replace("file-", "moved-") for name in moved[:done]] + names[done:]
    gone = run.bounded("delete", there, os.unlink, 4 * run.scale["seconds"])
    for name in there[gone:]:
        os.unlink(name)
    os.rmdir(files)


def together(run, job, processes, fsync):
    """Creates from several processes at once, each in a directory of its own."""
    limit = run.scale["seconds"]
    most = run.scale["files"] // processes
    gate_in, gate_out = os.pipe()
    results = []
    for worker in range(processes):
        place = run.path(f"{job}-{worker}")
        os.mkdir(place)
        out_in, out_out = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(gate_out)
            os.read(gate_in, 1)
            start, count = time.perf_counter(), 0
            for n in range(most):
                put(os.path.join(place, f"file-{n:06}"), fsync)
                count += 1
                if time.perf_counter() - start > limit:
                    break
            os.write(out_out, f"{count} {time.perf_counter() - start}".encode())
            os._exit(0)
        os.close(out_out)
        results.append((pid, out_in, place))
    os.close(gate_in)
    os.close(gate_out)
    total, longest = 0, 0.0
    for pid, out_in, place in results:
        count, seconds = os.read(out_in, 100).decode().split()
        os.close(out_in)
        os.waitpid(pid, 0)
        total, longest = total + int(count), max(longest, float(seconds))
    run.tell(job, total, longest)
    for _, _, place in results:
        shutil.rmtree(place)


def several(run):
    """The same from four processes, and with every file made durable."""
    together(run, "create-4", 4, False)
    together(run, "create-fsync", 1, True)
    together(run, "create-fsync-4", 4, True)


def programs(run):
    """What people run."""
    count = run.scale["tree"]
    quiet = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "HOME": run.scratch, "GIT_CONFIG_GLOBAL": "/dev/null"}
    run.command("untar", count, ["tar", "-xf", os.path.join(run.scratch, "tree.tar"), "-C", run.place])
    run.command("copy-tree", count, ["cp", "-r", run.path("tree"), run.path("copy")])
    run.command("remove-tree", count, ["rm", "-r", run.path("copy")])
    if shutil.which("git"):
        source = os.path.join(run.scratch, "repository")
        clone = ["git", "clone", "-q", "--no-hardlinks", source, run.path("clone")]
        run.command("git-clone", count, clone, env=quiet, stderr=subprocess.DEVNULL)
    base = sqlite3.connect(run.path("base.db"), isolation_level=None)
    base.execute("create table t (n integer primary key, text text)")
    insert = "insert into t values (?, ?)"
    run.bounded("sqlite", range(run.scale["inserts"]), lambda n: base.execute(insert, (n, "x" * 100)), 3 * run.scale["seconds"])
    base.close()
    for name in os.listdir(run.place):
        path = run.path(name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


STAGES = {f.__name__.replace("_", "-"): f for f in (data, small, fresh_list, fresh_stat, change, several, programs)}


def prepare(scratch, scale):
    count = SCALES[scale]["tree"]
    tree = os.path.join(scratch, "repository")
    rng = random.Random(3)
    for n in range(count):
        place = os.path.join(tree, f"dir-{n % 60:02}")
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, f"file-{n:05}.txt"), "wb") as out:
            out.write(rng.randbytes(rng.randrange(200, 8000)))
    with tarfile.open(os.path.join(scratch, "tree.tar"), "w") as tar:
        tar.add(tree, arcname="tree")
    if shutil.which("git"):
        quiet = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "HOME": scratch, "GIT_CONFIG_GLOBAL": "/dev/null"}
        who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
            subprocess.run(["git", "-C", tree, *who, *words], check=True, env=quiet)


def chill(places):
    def one(path):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)

    for place in places:
        # Only clean pages go. One sync of the file system costs less than one of each file.
        subprocess.run(["sync", "-f", place], check=False)
        if os.path.isdir(place):
            for below, _, names in os.walk(place):
                for name in names:
                    one(os.path.join(below, name))
        else:
            one(place)


def table(results):
    sides, found = [], {}
    with open(results, encoding="ascii") as lines:
        for line in lines:
            job, side, value = line.rstrip("\n").split("\t")
            if side not in sides:
                sides.append(side)
            found.setdefault((job, side), []).append(float(value))
    middle = {key: statistics.median(values) for key, values in found.items()}
    ours = [side for side in sides if side.startswith("keyfold")]
    others = [side for side in sides if side not in ours]
    plainly = "keyfold" in ours
    head = ["job", "unit", *sides, *(f"to {t}" for t in others if plainly), "target", "verdict", "versions"]
    rows = [head]
    for job, unit, what in ROWS:
        if not any((job, side) in middle for side in sides):
            continue
        row = [what, unit]
        for side in sides:
            value = middle.get((job, side))
            row.append("-" if value is None else f"{value:,.0f}")
        us, versioned = middle.get((job, "keyfold")), middle.get((job, "keyfold-v"))
        ratios = {their: us / middle[job, their] for their in others if us is not None and middle.get((job, their))}
        row += [f"{ratios[their]:.2f}" if their in ratios else "-" for their in others if plainly]
        aims = {their: aim for their, aim in TARGETS.get(job, {}).items() if their in ratios}
        row.append(", ".join(f"{aim:g} x {their}" for their, aim in aims.items()) or "-")
        row.append("-" if not aims else "reached" if all(ratios[t] >= aim for t, aim in aims.items()) else "short")
        row.append(f"{versioned / us - 1:+.0%}" if us and versioned else "-")
        rows.append(row)
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    for row in rows:
        cells = [cell.ljust(width) if at < 2 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())
    most = max(len(values) for values in found.values())
    print(f"\nmedians of {most}; the ratios are of speeds: above 1 Keyfold is the faster")
    print(f"versions: how much faster the versioned bucket is; {-VERSIONS_COST:+.0%} is the least aimed at")


def main(words):
    match words:
        case ["prepare", scratch, scale]:
            prepare(scratch, scale)
        case ["run", stage, side, place, scratch, scale, results, *below]:
            run = Run(side, place, scratch, scale, results)
            run.below = below
            STAGES[stage](run)
        case ["chill", *places]:
            chill(places)
        case ["table", results]:
            table(results)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
