#!/usr/bin/env python3
"""The jobs of mount.sh and its table.

    jobs.py prepare SCRATCH FORM          makes what the jobs start from: an archive and a git repository
    jobs.py run STAGE SIDE DIR SCRATCH FORM RESULTS [BELOW...]
                                          runs the jobs of a stage in DIR, adds lines to RESULTS; the side keeps its
                                          files in BELOW, and DAEMON is the process that serves it, if it is Keyfold
    jobs.py chill DIR...                  drops the page cache of every file below, and of nothing else
    jobs.py table RESULTS FORM            medians, Keyfold's speed as a multiple of others', and its values

Every job ends after a number of operations or after a time, whichever is first, and tells operations (or MiB) a
second, so a slow side costs no more time than a fast one. Timing starts after the interpreter has.
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tarfile
import time

# `mib` and `appended` are MiB, `seconds` is what a loop may take, `patience` what a command or the making of all files
# may take on a side that is neither Keyfold nor a plain directory.
FULL = {"mib": 1024, "files": 10000, "read": 5000, "rename": 1000, "tree": 3000, "inserts": 1000, "seconds": 5.0}
FULL |= {"patience": 90, "entries": 1_000_000, "appended": 10240, "appends": 200}
QUICK = {"mib": 128, "files": 2000, "read": 2000, "rename": 500, "tree": 600, "inserts": 100, "seconds": 0.7}
QUICK |= {"patience": 20, "entries": 20_000, "appended": 256, "appends": 200}
FORMS = {"full": FULL, "quick": QUICK}
SMALL = bytes(range(256)) * 16
MIB = bytes(random.Random(1).randbytes(1 << 20))

# Rows of the table in order: job, unit, what it is.
ROWS = [
    ("seq-write", "MiB/s", "sequential write of {mib:,} MiB, 1 MiB, then fsync"),
    ("seq-read-warm", "MiB/s", "sequential read, 1 MiB, warm"),
    ("seq-read-cold", "MiB/s", "sequential read, 1 MiB, cold"),
    ("rand-read", "op/s", "random read, 4 KiB, warm"),
    ("rand-read-4", "op/s", "the same, 4 jobs"),
    ("rand-read-direct", "op/s", "random read, 4 KiB, O_DIRECT"),
    ("rand-read-direct-4", "op/s", "the same, 4 jobs"),
    ("rand-write", "op/s", "random write, 4 KiB, fsync at the end"),
    ("rand-write-fsync", "op/s", "random write, 4 KiB, fsync each"),
    ("create", "op/s", "create + write 4 KiB + close"),
    ("create-4", "op/s", "the same, 4 processes"),
    ("create-fsync", "op/s", "create + write 4 KiB + fsync + close"),
    ("create-fsync-4", "op/s", "the same, 4 processes"),
    ("read-small", "op/s", "open + read 4 KiB + close, {read:,} files, warm"),
    ("read-small-cold", "op/s", "the same, cold"),
    ("stat", "op/s", "stat, warm"),
    ("stat-cold", "op/s", "stat, first after mounting"),
    ("stat-missing", "op/s", "stat of absent names, again"),
    ("stat-missing-cold", "op/s", "stat of absent names, each once"),
    ("ls-l", "entry/s", "ls -l of {files:,} entries, warm"),
    ("ls-l-cold", "entry/s", "ls -l of {files:,}, first after mounting"),
    ("ls-l-many", "entry/s", "ls -l of {entries:,}, first after mounting"),
    ("rename", "op/s", "rename of {rename:,} files"),
    ("delete", "op/s", "unlink every file"),
    ("untar", "file/s", "tar -x of {tree:,} files"),
    ("copy-tree", "file/s", "cp -r"),
    ("remove-tree", "file/s", "rm -r"),
    ("git-clone", "file/s", "git clone of a local repository"),
    ("grep", "file/s", "grep -r, first after mounting"),
    ("du", "file/s", "du -s, first after mounting"),
    ("sqlite", "op/s", "sqlite, one insert a transaction"),
]

# What is aimed at: so many times as fast as that side, without versions.
BOTH = {"plain": 0.7, "bindfs": 1.2}
TARGETS = {
    "seq-write": {"plain": 0.9},
    "seq-read-warm": {"plain": 0.95},
    "seq-read-cold": {"plain": 0.95},
    "rand-read": {"plain": 0.9},
    "rand-read-4": {"plain": 0.9},
    "rand-read-direct": {"plain": 0.9},
    "rand-read-direct-4": {"plain": 0.9},
    "rand-write": {"bindfs": 1.2},
    "rand-write-fsync": {"plain": 0.9},
    "create": {"bindfs": 2.0},
    "create-4": {"bindfs": 2.0},
    "create-fsync": {"plain": 1.0},
    "create-fsync-4": {"plain": 1.0},
    "read-small": {"bindfs": 2.0},
    "read-small-cold": {"bindfs": 2.0},
    "stat": {"plain": 0.9},
    "stat-cold": {"bindfs": 1.5},
    "stat-missing": {"plain": 0.9},
    "stat-missing-cold": {"bindfs": 1.5},
    "ls-l-cold": {"plain": 0.5},
    "ls-l-many": {"plain": 0.5},
    "rename": {"bindfs": 2.0},
    "delete": {"plain": 1.0},
    "untar": BOTH,
    "copy-tree": BOTH,
    "git-clone": BOTH,
    "grep": BOTH,
    "du": BOTH,
    "sqlite": {"plain": 0.9},
}
# And at least so much a second, on an idle machine with two processors.
LEAST = {"create": 25_000, "create-4": 25_000}
# With versions a row may be slower by this part.
VERSIONS_COST = 0.1

# Rows of the second table, in which less is better: job, unit, what it is, the most that is aimed at. A listing may
# fill the index's cache of 128 MiB; what it takes beside that must not grow with the directory.
VALUES = [
    ("rename-many", "ms", "rename of a directory of {entries:,} files", 5),
    ("append", "ms", "append 4 KiB to a large versioned object, a version each", 1),
    ("append-store", "KiB", "the same: what each adds to the store", 64),
    ("append-object", "MiB", "the same: size of the object", None),
    ("memory-start", "MiB", "the daemon with {entries:,} objects stored, just mounted", None),
    ("memory-names", "MiB", "the same: growth by listing the names of all, at its peak", 128 + 16),
    ("memory-ls-l", "MiB", "the same: growth by ls -l of it", None),
    ("memory-walk", "MiB", "the same: after a walk of all", 200),
    ("memory-pressure", "%", "the same: what stays of that growth when the kernel is short of memory", 50),
    ("open-killed", "s", "open of a store with {entries:,} objects after kill -9", 1),
]


class Run:
    """Where a stage works, how much, and where it writes what it measured."""

    def __init__(self, side, place, scratch, form, results, below):
        self.side, self.place, self.scratch, self.results, self.below = side, place, scratch, results, below
        self.form = FORMS[form]
        self.ours = side.startswith("keyfold")
        # Other sides may fail at a row or be too slow for it.
        self.must = self.ours or side == "plain"
        self.patience = 300 if self.must else self.form["patience"]

    def value(self, job, value):
        with open(self.results, "a", encoding="ascii") as out:
            out.write(f"{job}\t{self.side}\t{value:.3f}\n")

    def tell(self, job, count, seconds):
        self.value(job, count / max(seconds, 1e-9))

    def bounded(self, job, items, each, seconds=None):
        """Times `each` over `items` until they end or the time is up; returns how many were done."""
        limit = self.form["seconds"] if seconds is None else seconds
        count = 0
        start = time.perf_counter()
        for item in items:
            each(item)
            count += 1
            if count & 15 == 0 and time.perf_counter() - start > limit:
                break
        self.tell(job, count, time.perf_counter() - start)
        return count

    def tried(self, command, ends=0, **more):
        """Runs a command: what came of it, or None when it failed or was too slow on a side that may."""
        # Python's own limit looks only every 50 ms whether the command has ended.
        done = subprocess.run(["timeout", str(self.patience), *command], **more)
        if done.returncode == ends:
            return done
        if self.must:
            raise SystemExit(f"{command[0]} failed, or took more than {self.patience} s")
        return None

    def command(self, job, count, command, **more):
        """Times a command; whether it told."""
        start = time.perf_counter()
        done = self.tried(command, stdout=subprocess.DEVNULL, **more)
        if done:
            self.tell(job, count, time.perf_counter() - start)
        return bool(done)

    def path(self, *parts):
        return os.path.join(self.place, *parts)

    def empty(self):
        for name in os.listdir(self.place):
            path = self.path(name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def small_files(self):
        """Names of the small files that there was time to make."""
        with open(os.path.join(self.scratch, f"files-{self.side}"), encoding="ascii") as kept:
            return [self.path("files", f"file-{n:06}") for n in range(int(kept.read()))]


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
    mib, limit = run.form["mib"], run.form["seconds"]
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
    four = ["--numjobs=4", "--group_reporting"]
    fio(run, "rand-read", "randread")
    fio(run, "rand-read-4", "randread", *four)
    fio(run, "rand-read-direct", "randread", "--direct=1")
    fio(run, "rand-read-direct-4", "randread", "--direct=1", *four)
    # What the kernel keeps for the mount, and what it keeps for the files below it.
    chill([big, *run.below])
    whole("seq-read-cold")
    fio(run, "rand-write", "randwrite", "--end_fsync=1")
    fio(run, "rand-write-fsync", "randwrite", "--fsync=1")
    os.unlink(big)


def fio(run, job, kind, *more):
    if not shutil.which("fio"):
        return
    size = min(run.form["mib"], 256)
    seconds = max(1, round(run.form["seconds"]))
    command = ["fio", f"--name={job}", f"--filename={run.path('big')}", f"--rw={kind}", "--bs=4k", f"--size={size}M"]
    command += ["--ioengine=psync", "--fallocate=none", "--invalidate=0", "--randseed=7", "--norandommap"]
    command += ["--time_based", f"--runtime={seconds}", "--output-format=json", *more]
    start = time.perf_counter()
    done = run.tried(command, capture_output=True)
    wall = time.perf_counter() - start
    if done:
        report = json.loads(done.stdout[done.stdout.index(b"{") :])["jobs"][0]
        part = report["read" if kind == "randread" else "write"]
        # What fio calls the runtime ends before its last fsync. Its own start is in the whole time, which is small
        # beside what that fsync costs.
        run.tell(job, part["total_ios"], wall if "--end_fsync=1" in more else part["runtime"] / 1000)


def small(run):
    """Many small files in one directory."""
    files = run.path("files")
    os.mkdir(files)
    names = [os.path.join(files, f"file-{n:06}") for n in range(run.form["files"])]
    began = time.perf_counter()
    made = run.bounded("create", names, put, 4 * run.form["seconds"])
    while made < len(names) and (run.must or time.perf_counter() - began < run.patience):
        put(names[made])
        made += 1
    with open(os.path.join(run.scratch, f"files-{run.side}"), "w", encoding="ascii") as kept:
        kept.write(str(made))
    names = names[:made]
    some = names[: run.form["read"]]
    for name in some:
        read(name)
    run.bounded("read-small", some, read)
    # A read moves a file's time of access, so the kernel asks for its attributes once more.
    for name in names:
        os.stat(name)
    run.bounded("stat", names, os.stat)
    missing = [name + "-" for name in some]
    asked = run.bounded("stat-missing-cold", missing, absent)
    run.bounded("stat-missing", missing[:asked], absent)
    if run.tried(["ls", "-l", files], stdout=subprocess.DEVNULL):
        run.command("ls-l", len(names), ["ls", "-l", files])


def fresh_list(run):
    """What the first look after mounting costs."""
    run.command("ls-l-cold", len(run.small_files()), ["ls", "-l", run.path("files")])


def fresh_stat(run):
    """Names asked for one by one, in no order, before anything listed them; then their bytes."""
    names = run.small_files()
    random.Random(2).shuffle(names)
    run.bounded("stat-cold", names, os.stat)
    run.bounded("read-small-cold", names[: run.form["read"]], read)


def change(run):
    """Renames the small files and deletes them."""
    names = run.small_files()
    moved = names[: run.form["rename"]]
    done = run.bounded("rename", moved, lambda name: os.rename(name, name.replace("file-", "moved-")))
    there = [name.replace("file-", "moved-") for name in moved[:done]] + names[done:]
    gone = run.bounded("delete", there, os.unlink, 4 * run.form["seconds"])
    for name in there[gone:]:
        os.unlink(name)
    os.rmdir(run.path("files"))


def together(run, job, processes, fsync):
    """Creates from several processes at once, each in a directory of its own."""
    limit = run.form["seconds"]
    most = run.form["files"] // processes
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
    """What people run. Leaves the tree for the stages after it."""
    run.empty()
    count = run.form["tree"]
    tree, copy = run.path("tree"), run.path("copy")
    quiet = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "HOME": run.scratch, "GIT_CONFIG_GLOBAL": "/dev/null"}
    if run.command("untar", count, ["tar", "-xf", os.path.join(run.scratch, "tree.tar"), "-C", run.place]):
        if run.command("copy-tree", count, ["cp", "-r", tree, copy]):
            run.command("remove-tree", count, ["rm", "-r", copy])
    else:
        # A part of the tree would make the stages after it look fast.
        shutil.rmtree(tree, ignore_errors=True)
    if shutil.which("git"):
        source = os.path.join(run.scratch, "repository")
        clone = ["git", "clone", "-q", "--no-hardlinks", source, run.path("clone")]
        run.command("git-clone", count, clone, env=quiet, stderr=subprocess.DEVNULL)
    base = sqlite3.connect(run.path("base.db"), isolation_level=None)
    base.execute("create table t (n integer primary key, text text)")
    insert, inserts = "insert into t values (?, ?)", range(run.form["inserts"])
    run.bounded("sqlite", inserts, lambda n: base.execute(insert, (n, "x" * 100)), 3 * run.form["seconds"])
    base.close()


def fresh_du(run):
    run.command("du", run.form["tree"], ["du", "-s", run.path("tree")])


def fresh_grep(run):
    """Reads every file, since it finds nothing; then makes room."""
    run.command("grep", run.form["tree"], ["grep", "-rF", "no file has these words", run.path("tree")], ends=1)
    run.empty()


def fill(run):
    """One directory of very many files, which are empty on a plain directory so that they cost it no blocks."""
    os.mkdir(run.path("many"))
    content = b"" if run.side == "plain" else SMALL[:64]
    for n in range(run.form["entries"]):
        fd = os.open(run.path("many", f"file-{n:07}"), os.O_CREAT | os.O_WRONLY, 0o644)
        os.write(fd, content)
        os.close(fd)


def memory(kind):
    """What the daemon has in memory, in MiB: VmRSS in all, VmHWM at its peak, RssAnon the heap."""
    with open(f"/proc/{os.environ['DAEMON']}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(kind))


def names(run):
    """Names alone, of which neither the kernel nor the daemon needs to remember anything."""
    start = memory("VmRSS")
    run.value("memory-start", start)
    # The peak begins anew.
    with open(f"/proc/{os.environ['DAEMON']}/clear_refs", "w", encoding="ascii") as clear:
        clear.write("5")
    with os.scandir(run.path("many")) as entries:
        if sum(1 for _ in entries) != run.form["entries"]:
            raise SystemExit("the listing does not have all names")
    run.value("memory-names", memory("VmHWM") - start)


def many(run):
    """The large directory as a whole."""
    directory, other = run.path("many"), run.path("other")
    start = memory("RssAnon") if run.ours else 0
    run.command("ls-l-many", run.form["entries"], ["ls", "-l", directory])
    if not run.ours:
        return
    run.value("memory-ls-l", memory("RssAnon") - start)
    run.tried(["find", run.place, "-size", "+1G"])
    run.value("memory-walk", memory("VmRSS"))
    grown = memory("RssAnon") - start
    began = time.perf_counter()
    os.rename(directory, other)
    run.value("rename-many", (time.perf_counter() - began) * 1000)
    os.rename(other, directory)
    if os.environ["DROP_CACHES"]:
        # Inodes and names, which a kernel that is short of memory forgets too.
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as drop:
            drop.write("2")
        last, now = float("inf"), memory("RssAnon")
        while now < last:
            time.sleep(5)
            last, now = now, memory("RssAnon")
        run.value("memory-pressure", 100 * (now - start) / grown)


def crash(run):
    """Ends the daemon in the middle of work."""
    for n in range(1000):
        put(run.path(f"late-{n}"))
    os.kill(int(os.environ["DAEMON"]), signal.SIGKILL)


def append(run):
    """Appends to an object of real bytes, as large as the row says or two thirds of what is free on the disk."""
    big, store = run.path("big"), run.below[0]
    mib = min(run.form["appended"], shutil.disk_usage(store).free * 2 // 3 >> 20)
    with open(big, "wb", buffering=0) as out:
        for _ in range(mib):
            out.write(MIB)
        os.fsync(out)
    subprocess.run(["sync", "-f", store], check=True)
    before, appends = blocks(store), run.form["appends"]
    start = time.perf_counter()
    for _ in range(appends):
        fd = os.open(big, os.O_WRONLY | os.O_APPEND)
        os.write(fd, SMALL)
        os.close(fd)
    run.value("append", (time.perf_counter() - start) / appends * 1000)
    run.value("append-object", mib)
    # The store writes within a second what nobody synced.
    time.sleep(3)
    subprocess.run(["sync", "-f", store], check=True)
    run.value("append-store", (blocks(store) - before) / 1024 / appends)
    versions = len(os.listdir(run.path(".versions", "big")))
    if versions != appends + 1 or os.path.getsize(big) != (mib << 20) + appends * len(SMALL):
        raise SystemExit(f"{appends} appends left {versions} versions and {os.path.getsize(big)} bytes")


def blocks(place):
    """Bytes on the disk of all files below."""
    files = (os.path.join(below, name) for below, _, names in os.walk(place) for name in names)
    return sum(os.lstat(path).st_blocks * 512 for path in files)


ROUND = (data, small, fresh_list, fresh_stat, change, several, programs, fresh_du, fresh_grep)
ONCE = (fill, names, many, crash, append)
STAGES = {f.__name__.replace("_", "-"): f for f in ROUND + ONCE}


def prepare(scratch, form):
    count = FORMS[form]["tree"]
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


def table(results, form):
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
    ratios_table(middle, sides, others if "keyfold" in ours else [], FORMS[form])
    if any((job, side) in middle for job, *_ in VALUES for side in ours):
        print()
        values_table(middle, ours, FORMS[form])
    most = max(len(values) for values in found.values())
    print(f"\nmedians of {most}; the ratios are of speeds: above 1 Keyfold is the faster")
    print(f"versions: by how much the versioned bucket has more; it may be {VERSIONS_COST:.0%} the worse")


def ratios_table(middle, sides, others, form):
    rows = [["job", "unit", *sides, *(f"to {t}" for t in others), "target", "verdict", "versions"]]
    for job, unit, what in ROWS:
        if not any((job, side) in middle for side in sides):
            continue
        us, versioned = middle.get((job, "keyfold")), middle.get((job, "keyfold-v"))
        ratios = {their: us / middle[job, their] for their in others if us is not None and middle.get((job, their))}
        aims = {their: aim for their, aim in TARGETS.get(job, {}).items() if their in ratios}
        least = LEAST.get(job) if us is not None else None
        target = [f"{aim:g} x {their}" for their, aim in aims.items()] + ([f"{least:,}"] if least else [])
        reached = all(ratios[their] >= aim for their, aim in aims.items()) and (us or 0) >= (least or 0)
        row = [what.format(**form), unit]
        for side in sides:
            value = middle.get((job, side))
            row.append("-" if value is None else f"{value:,.0f}")
        row += [f"{ratios[their]:.2f}" if their in ratios else "-" for their in others]
        row += [", ".join(target) or "-", verdict(reached) if target else "-", with_versions(us, versioned, 1)]
        rows.append(row)
    lay_out(rows)


def values_table(middle, sides, form):
    rows = [["value", "unit", *sides, "target", "verdict", "versions"]]
    for job, unit, what, most in VALUES:
        have = [middle[job, side] for side in sides if (job, side) in middle]
        if not have:
            continue
        us, versioned = middle.get((job, "keyfold")), middle.get((job, "keyfold-v"))
        row = [what.format(**form), unit]
        row += [f"{middle[job, side]:,.2f}" if (job, side) in middle else "-" for side in sides]
        row += [f"under {most}", verdict(have[0] < most)] if most is not None else ["-", "-"]
        rows.append([*row, with_versions(us, versioned, -1)])
    lay_out(rows)


def verdict(reached):
    return "reached" if reached else "short"


def with_versions(us, versioned, better):
    """How a versioned bucket differs, where more is better (1) or less is (-1)."""
    if not us or versioned is None:
        return "-"
    more = versioned / us - 1
    return f"{more:+.0%}" + (" short" if more * better < -VERSIONS_COST else "")


def lay_out(rows):
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        texts = [cell.ljust(width) for cell, width in zip(row[:2], widths)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:])]
        print("  ".join(texts + numbers).rstrip())


def main(words):
    match words:
        case ["prepare", scratch, form]:
            prepare(scratch, form)
        case ["run", stage, side, place, scratch, form, results, *below]:
            STAGES[stage](Run(side, place, scratch, form, results, below))
        case ["chill", *places]:
            chill(places)
        case ["table", results, form]:
            table(results, form)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
