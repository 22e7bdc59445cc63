//! A mixed load for hours: memory, descriptors, threads, the disk and latency stay flat, and the store is sound at the end.
//!
//! `KEYFOLD_MINUTES=N` says for how long; 120 in the long form, half a minute in the short one, which only shows that it works.

use super::{Mounted, long, pattern, text};
use keyfold::sys::disk::Dice;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What runs for so long is judged; less shows only that it works.
const LONG_ENOUGH: Duration = Duration::from_secs(1800);
/// How often everything is checked and copied besides, of the whole time.
const CARES: u32 = 6;
/// How often the process is looked at.
const LOOKS: u32 = 120;

/// What the process takes, and how long a probe took.
#[derive(Clone, Copy, Debug)]
struct Look {
    resident_kib: u64,
    descriptors: usize,
    threads: usize,
    /// What the store takes on the disk.
    disk_mib: u64,
    /// Median of the probes since the last look.
    probe: Duration,
}

/// Blocks of the files below a directory, of which some may go meanwhile.
fn disk_use(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_use(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

fn look(pid: u32, store: &Path, probe: Duration) -> Look {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let entries = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    Look {
        resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
        descriptors: entries("fd"),
        threads: entries("task"),
        disk_mib: disk_use(store) >> 20,
        probe,
    }
}

fn replace(path: &Path, body: &[u8], sync: bool) -> io::Result<()> {
    let whole = path.with_extension("new");
    let mut file = File::create(&whole)?;
    io::Write::write_all(&mut file, body)?;
    if sync {
        file.sync_all()?;
    }
    fs::rename(whole, path)
}

/// Deletes all but the newest `keep` versions of a name.
fn forget(path: &Path, keep: usize) -> io::Result<()> {
    let history = path.parent().unwrap().join(".versions").join(path.file_name().unwrap());
    let Ok(entries) = fs::read_dir(history) else { return Ok(()) };
    let mut versions: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    versions.sort();
    versions.iter().rev().skip(keep).try_for_each(fs::remove_file)
}

/// Small files come, are read, renamed, tagged and go.
fn small(dir: &Path, n: u64) -> io::Result<()> {
    let mut turn = Dice(n);
    let name = |n: u64| dir.join(format!("d{}", n % 20)).join(format!("f{}", n % 3000));
    let (path, len) = (name(turn.roll(60_000)), 100 + turn.roll(20_000) as usize);
    fs::create_dir_all(path.parent().unwrap())?;
    match turn.roll(6) {
        0 => {
            let _ = fs::remove_file(&path);
            forget(&path, 0)?;
        }
        1 => drop(fs::rename(&path, name(turn.roll(60_000)))),
        2 if path.exists() => drop(xattr::set(&path, "user.s3.tag.n", n.to_string().as_bytes())),
        3 => {
            for entry in fs::read_dir(path.parent().unwrap())?.flatten().take(50) {
                let _ = entry.metadata();
            }
        }
        _ => fs::write(&path, pattern(n, len))?,
    }
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(&path) {
        file.read_to_end(&mut bytes)?;
    }
    Ok(())
}

/// A few large files: written in one go, read whole.
fn large(dir: &Path, n: u64) -> io::Result<()> {
    let path = dir.join(format!("large{}", n % 4));
    let body = pattern(n, 20 << 20);
    replace(&path, &body, n.is_multiple_of(2))?;
    assert!(fs::read(&path)? == body, "{}", path.display());
    forget(&path, 3)
}

/// A file that is open for ever and written in its middle, as a database does.
fn database(dir: &Path, n: u64) -> io::Result<()> {
    let path = dir.join("database");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    let mut turn = Dice(n);
    for _ in 0..50 {
        let at = turn.roll(8000) * 4096;
        let page = pattern(n + at, 4096);
        file.write_all_at(&page, at)?;
        file.sync_data()?;
        let mut seen = vec![0; 4096];
        file.read_exact_at(&mut seen, at)?;
        assert!(seen == page, "page at {at}");
    }
    drop(file);
    forget(&path, 8)
}

/// Names with some history.
fn versions(dir: &Path, n: u64) -> io::Result<()> {
    let path = dir.join(format!("v{}", n % 30));
    replace(&path, &pattern(n, 30_000), n.is_multiple_of(3))?;
    forget(&path, 8)
}

/// Ends everybody's work when one fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Scrubs the store and makes a backup of it now and then, as its owner does.
fn care_for(mounted: &Mounted, pause: Duration, done: &AtomicBool) {
    let (store, backup) = (mounted.store(), mounted.aside("backup"));
    let (store, backup) = (store.to_str().unwrap(), backup.to_str().unwrap());
    let mut due = Instant::now() + pause / 2;
    while !done.load(Ordering::Relaxed) {
        if Instant::now() < due {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        due += pause;
        for args in [&["scrub", store][..], &["backup", store, backup, "--keep", "2"]] {
            let output = mounted.keyfold_aside(args);
            assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        }
    }
}

type Job = fn(&Path, u64) -> io::Result<()>;

const JOBS: &[(&str, Job)] = &[("small", small), ("large", large), ("database", database), ("versions", versions)];

/// Median of the middle third of the looks after the start, and of the last third.
fn halves(looks: &[Look], of: impl Fn(&Look) -> u64) -> (u64, u64) {
    let third = (looks.len() / 3).max(1);
    let median = |part: &[Look]| {
        let mut all: Vec<u64> = part.iter().map(&of).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or(0)
    };
    (median(&looks[third.min(looks.len() - 1)..looks.len() - third]), median(&looks[looks.len() - third..]))
}

#[test]
fn hours_of_mixed_load_leave_it_as_it_was() {
    let mounted = Mounted::versioned();
    let time = match crate::asked("KEYFOLD_MINUTES") {
        Some(minutes) => Duration::from_secs(minutes * 60),
        None if long() => Duration::from_secs(7200),
        None => Duration::from_secs(20),
    };
    let (done, turns) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut looks = Vec::new();
    std::thread::scope(|scope| {
        for (name, job) in JOBS {
            let dir = mounted.path(name);
            fs::create_dir(&dir).unwrap();
            let (done, turns) = (&done, &turns);
            scope.spawn(move || {
                let _ends = Ends(done);
                for n in 1.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    job(&dir, n).unwrap_or_else(|error| panic!("{name}, turn {n}: {error}"));
                    turns.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (care, all) = (&mounted, &done);
        scope.spawn(move || {
            let _ends = Ends(all);
            care_for(care, time / CARES, all);
        });
        let (begun, probed) = (Instant::now(), mounted.path("probe"));
        let _ends = Ends(&done);
        while begun.elapsed() < time && !done.load(Ordering::Relaxed) {
            let (until, mut probes) = (Instant::now() + time / LOOKS, Vec::new());
            while Instant::now() < until {
                let since = Instant::now();
                replace(&probed, b"probe", false).unwrap();
                assert_eq!(fs::read(&probed).unwrap(), b"probe");
                probes.push(since.elapsed());
                std::thread::sleep(Duration::from_millis(20));
            }
            probes.sort();
            looks.push(look(mounted.pid(), &mounted.store(), probes[probes.len() / 2]));
        }
    });
    for look in looks.iter().step_by((looks.len() / 12).max(1)) {
        println!("{look:?}");
    }
    println!("{} turns in {time:?}", turns.load(Ordering::Relaxed));
    let memory = halves(&looks, |look| look.resident_kib);
    let descriptors = halves(&looks, |look| look.descriptors as u64);
    let threads = halves(&looks, |look| look.threads as u64);
    let disk = halves(&looks, |look| look.disk_mib);
    let probe = halves(&looks, |look| look.probe.as_micros() as u64);
    println!(
        "middle and last third: {memory:?} KiB, {descriptors:?} descriptors, {threads:?} threads, {disk:?} MiB on disk, \
         {probe:?} us"
    );
    if time >= LONG_ENOUGH {
        assert!(memory.1 <= memory.0 + memory.0 / 10 + (16 << 10), "memory grows: {memory:?} KiB");
        assert!(descriptors.1 <= descriptors.0 + 32, "descriptors grow: {descriptors:?}");
        assert!(threads.1 <= threads.0 + 4, "threads grow: {threads:?}");
        assert!(disk.1 <= disk.0 + disk.0 / 4 + 256, "the disk fills: {disk:?} MiB");
        assert!(probe.1 <= probe.0 * 3 / 2 + 300, "it becomes slow: {probe:?} us");
    }
    let scrub = mounted.keyfold(&["scrub", mounted.store().to_str().unwrap()]);
    assert!(scrub.status.success(), "scrub: {}{}", text(&scrub.stdout), text(&scrub.stderr));
    mounted.fsck();
}
