//! Suites that judge any file system: pjdfstest, fsx, stress-ng, fio and dbench. `tests/POSIX.md` says what they count.

use super::{Mounted, long, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Both buckets of a mount that anybody may enter.
pub(super) fn open_to_all() -> Mounted {
    let mounted = Mounted::bare("allow_other,default_permissions,suid,dev");
    for name in ["bkt", "versioned"] {
        let bucket = mounted.root().join(name);
        fs::create_dir(&bucket).unwrap();
        mounted.sh(&format!("chmod 777 {}", bucket.display()));
    }
    xattr::set(mounted.root().join("versioned"), "user.s3.versioning", b"Enabled").unwrap();
    mounted
}

/// Every case passes but those that need a path longer than a key can be (KEY-1): one for each call.
#[test]
fn pjdfstest_passes_but_for_paths_longer_than_keys() {
    let mounted = open_to_all();
    let config = mounted.aside("pjdfstest.toml");
    fs::write(
        &config,
        "[features]\nposix_fallocate = {}\nrename_ctime = {}\nutimensat = {}\nutime_now = {}\n\
         [settings]\nnaptime = 0.01\nallow_remount = false\n\
         [dummy_auth]\nentries = [[\"nobody\", \"nogroup\"], [\"daemon\", \"daemon\"]]\n",
    )
    .unwrap();
    for bucket in ["bkt", "versioned"] {
        let mut command = Command::new("pjdfstest");
        command.arg("-c").arg(&config).arg("-p").arg(mounted.root().join(bucket)).arg("-s").arg(mounted.aside(""));
        let output = command.output().unwrap();
        let said = text(&output.stdout);
        let with = |end: &str| -> BTreeSet<&str> {
            said.lines().filter_map(|line| line.strip_suffix(end)).map(str::trim).collect()
        };
        let failed: Vec<_> =
            with(" FAILED").into_iter().filter(|name| !name.ends_with("::enametoolong_path")).collect();
        assert!(failed.is_empty(), "{bucket}: {failed:#?}\n{said}");
        assert!(with(" ok").len() >= 370, "{bucket}: {said}");
    }
}

/// A mix of operations; the length decides where the bytes lie.
pub(super) struct Mix {
    pub(super) name: &'static str,
    /// Longest the file gets, in bytes.
    file: u64,
    /// Longest operation, in bytes.
    operation: u64,
    operations: u32,
    /// In the long form.
    operations_long: u32,
    /// Relative frequencies.
    weights: &'static [(&'static str, f32)],
}

const ALL: &[(&str, f32)] = &[
    ("close_open", 0.5),
    ("invalidate", 1.0),
    ("truncate", 1.0),
    ("fsync", 0.3),
    ("fdatasync", 0.3),
    ("mapread", 1.0),
    ("mapwrite", 1.0),
    ("read", 1.0),
    ("write", 1.0),
    ("punch_hole", 0.5),
    ("posix_fallocate", 0.5),
    ("copy_file_range", 1.0),
    ("sendfile", 1.0),
    ("posix_fadvise", 0.2),
];
/// Appends, cuts and holes far apart.
const SPARSE: &[(&str, f32)] = &[
    ("close_open", 0.3),
    ("invalidate", 0.0),
    ("truncate", 3.0),
    ("fsync", 0.2),
    ("fdatasync", 0.0),
    ("mapread", 0.5),
    ("mapwrite", 0.5),
    ("read", 1.0),
    ("write", 0.5),
    ("punch_hole", 2.0),
    ("copy_file_range", 0.5),
];
pub(super) const MIXES: [Mix; 4] = [
    Mix { name: "inline", file: 3000, operation: 2000, operations: 5000, operations_long: 100_000, weights: ALL },
    Mix {
        name: "extents",
        file: 1 << 18,
        operation: 1 << 16,
        operations: 5000,
        operations_long: 100_000,
        weights: ALL,
    },
    Mix { name: "large", file: 64 << 20, operation: 4 << 20, operations: 300, operations_long: 20_000, weights: ALL },
    Mix { name: "sparse", file: 1 << 30, operation: 4096, operations: 60, operations_long: 1000, weights: SPARSE },
];

impl Mix {
    /// Writes what fsx is told of the mix, to `fsx.toml` beside the mount.
    pub(super) fn configure(&self, mounted: &Mounted) {
        let mut config = format!("flen = {}\n[opsize]\nmin = 1\nmax = {}\n[weights]\n", self.file, self.operation);
        for (name, weight) in self.weights {
            writeln!(config, "{name} = {weight:?}").unwrap();
        }
        fs::write(mounted.aside("fsx.toml"), config).unwrap();
    }
}

/// fsx over files of one form, on a bucket without and one with versions; they outlive a crash and a remount.
fn fsx_reads_what_it_wrote(mix: &Mix) {
    let mut mounted = open_to_all();
    mix.configure(&mounted);
    let (operations, seeds) = if long() { (mix.operations_long, 10) } else { (mix.operations, 1) };
    for seed in 1..=seeds {
        for bucket in ["bkt", "versioned"] {
            let file = format!("$M/{bucket}/{}.{seed}", mix.name);
            let script = format!("fsx -q -f $T/fsx.toml -N {operations} -S {seed} -P $T {file} > $T/said 2>&1");
            let done = mounted.try_sh(&script);
            let said = fs::read_to_string(mounted.aside("said")).unwrap();
            assert!(done.status.success(), "{script}\n{said}");
            mounted.sh(&format!("cksum < {file} > $T/{bucket}.{}.{seed}", mix.name));
            // Each close made a version: all of them together are more than a disk holds.
            let history = format!("$M/versioned/.versions/{}.{seed}", mix.name);
            mounted.sh(&format!("! cd {history} 2> $T/said || ls | sort -r | tail -n +2 | xargs -r rm -f"));
        }
    }
    let same = |mounted: &Mounted| {
        mounted.sh("for b in bkt versioned; do for f in $M/$b/*; do cksum < $f | cmp - $T/$b.${f##*/}; done; done");
    };
    mounted.sh("sync $M/bkt");
    mounted.crash();
    same(&mounted);
    mounted.restart();
    same(&mounted);
    mounted.fsck();
}

#[test]
fn fsx_in_the_index() {
    fsx_reads_what_it_wrote(&MIXES[0]);
}

#[test]
fn fsx_in_runs_of_the_log() {
    fsx_reads_what_it_wrote(&MIXES[1]);
}

#[test]
fn fsx_in_a_file_of_its_own() {
    fsx_reads_what_it_wrote(&MIXES[2]);
}

#[test]
fn fsx_in_a_sparse_file() {
    fsx_reads_what_it_wrote(&MIXES[3]);
}

/// The step that fsx was at when it was stopped, and the last one that synced the file and was done by then.
fn last_steps(log: &str) -> (u32, u32) {
    let steps: Vec<(u32, &str)> = log
        .lines()
        .filter_map(|line| line.strip_prefix("[INFO  fsx]")?.trim_start().split_once(' '))
        .filter_map(|(step, operation)| Some((step.parse().ok()?, operation)))
        .collect();
    let Some(((last, _), done)) = steps.split_last() else { return (0, 0) };
    // What is written through a map is synced at once.
    let syncs = |operation: &str| ["fsync", "fdatasync", "mapwrite"].iter().any(|sync| operation.starts_with(sync));
    (*last, done.iter().rfind(|(_, operation)| syncs(operation)).map_or(0, |(step, _)| *step))
}

/// Killed while fsx is at work, round after round on the same file: each time it is as fsx had it at its last sync
/// or at a moment since, never a mixture. What fsx has after a step is asked of fsx itself, in memory.
#[test]
fn what_fsx_synced_outlives_a_kill() {
    let mut mounted = open_to_all();
    let aside = mounted.aside("");
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let (rounds, mixes) = if long() { (120, 3) } else { (8, 2) };
    let mut before = HashMap::new();
    for round in 0..rounds {
        let mix = &MIXES[round / 2 % mixes];
        mix.configure(&mounted);
        let fsx = |file: &Path, steps: u32, flag: &str| {
            let mut command = Command::new("fsx");
            command.args([flag, "-S", &round.to_string(), "-N", &steps.to_string(), "-f"]);
            command.arg(aside.join("fsx.toml")).arg("-P").arg(&aside).arg(file);
            command.stdout(Stdio::null()).stderr(File::create(aside.join("log")).unwrap()).spawn().unwrap()
        };
        let file = mounted.root().join(["bkt", "versioned"][round % 2]).join(mix.name);
        let mut running = fsx(&file, 1_000_000, "-v");
        std::thread::sleep(Duration::from_millis(150 + round as u64 * 37 % 300));
        assert!(running.try_wait().unwrap().is_none(), "{}", fs::read_to_string(aside.join("log")).unwrap());
        kill(Pid::from_raw(mounted.pid().cast_signed()), Signal::SIGKILL).unwrap();
        // In the middle of a sendfile it would wait for its other thread for ever.
        running.kill().unwrap();
        running.wait().unwrap();
        let (last, synced) = last_steps(&fs::read_to_string(aside.join("log")).unwrap());
        let reference = memory.path().join("f");
        mounted.crash();
        let found = fs::read(&file).unwrap_or_default();
        let is_as_after = |step: u32| {
            assert!(fsx(&reference, step, "-q").wait().unwrap().success());
            fs::read(&reference).unwrap() == found
        };
        let old = before.insert(file, found.clone()).unwrap_or_default();
        assert!(
            (synced..=last).any(is_as_after) || synced == 0 && old == found,
            "round {round}, {}: {} bytes that fsx did not have between steps {synced} and {last}",
            mix.name,
            found.len()
        );
        eprintln!("round {round}: killed at step {last} of {}, synced at {synced}", mix.name);
    }
    mounted.fsck();
}

/// stress-ng's stressors of file systems, each by itself, checking what they do. Left out are those that mount, or
/// that touch other file systems than the one they are put on.
#[test]
fn stress_ng_verifies() {
    let mounted = open_to_all();
    let seconds = if long() { 20 } else { 1 };
    mounted.sh(&format!(
        "cd $M/versioned; stress-ng --class filesystem --sequential 1 --timeout {seconds}s --verify --temp-path . \
         --exclude bind-mount,binderfs,fanotify,eventfd,procfs > $T/said 2>&1 || {{ cat $T/said; exit 1; }}"
    ));
    let said = fs::read_to_string(mounted.aside("said")).unwrap();
    assert!(said.contains("successful run completed") && !said.contains("fail:"), "{said}");
    mounted.fsck();
}

/// FSX-13: what fio wrote it reads back, through the page cache, past it, and mapped.
#[test]
fn fio_verifies_every_way_of_writing() {
    let mounted = open_to_all();
    let size = if long() { "512m" } else { "24m" };
    for (engine, direct) in [("psync", 0), ("psync", 1), ("libaio", 1), ("mmap", 0), ("io_uring", 0)] {
        for (pattern, block) in [("write", "1m"), ("randwrite", "4k"), ("randrw", "1k-64k")] {
            let block = if pattern == "randrw" && (direct == 1 || engine == "mmap") { "4k-64k" } else { block };
            mounted.sh(&format!(
                "cd $M/versioned; fio --name={engine}{direct}{pattern} --ioengine={engine} --direct={direct} --rw={pattern} \
                 --bs{range}={block} --size={size} --verify=crc32c --verify_fatal=1 --fsync=64 --iodepth=8 \
                 --randseed=1 --output=$T/said || {{ cat $T/said; exit 1; }}; rm {engine}{direct}{pattern}*",
                range = if block.contains('-') { "range" } else { "" },
            ));
        }
    }
    mounted.fsck();
}

/// A file server's load of four clients: it ends, and says so.
#[test]
fn dbench_runs_to_its_end() {
    let mounted = open_to_all();
    let seconds = if long() { 60 } else { 2 };
    for (bucket, flags) in [("bkt", ""), ("versioned", ""), ("bkt", "-s"), ("bkt", "-S"), ("bkt", "-x -F")] {
        let said = mounted.sh(&format!(
            "cd $M/{bucket}; mkdir db; dbench -D db -t {seconds} {flags} -c /usr/share/dbench/client.txt 4 2>&1; rm -r db"
        ));
        assert!(said.contains("Throughput") && !said.contains("ERROR") && !said.contains("failed"), "{flags}: {said}");
    }
    mounted.fsck();
}
