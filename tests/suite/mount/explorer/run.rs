//! Runs of programs on a mount whose store lies on a recorded disk, and other things that a power cut may fall into.

use super::super::{Mounted, pattern};
use super::disk::Disk;
use super::image::{Chance, Image};
use super::judge::{History, Step, Track};
use super::operations::{OPERATIONS, Place, Record};
use super::state::{State, difference, no_bucket, of_mount};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The bucket that programs run in.
const BUCKET: &str = "bkt";
/// Programs in one run: each makes the states that are compared larger.
pub const PROGRAMS: usize = 12;

/// A run of programs.
#[derive(Clone)]
pub struct Run {
    pub versions: bool,
    /// Options of the mount.
    pub options: &'static str,
    /// Each a few numbers of operations.
    pub programs: Vec<Vec<usize>>,
    pub seed: u64,
    /// Whether the file system below keeps a journal.
    pub journal: bool,
    /// With the wrong order of commits that debug builds have.
    pub wrong_order: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self { versions: false, options: "", programs: vec![], seed: 0, journal: true, wrong_order: false }
    }
}

/// The store begins small and with little memory, so that files and tables change often.
const SETTINGS: &str = "[log]\nsegment_size = \"1MiB\"\n[index]\ncache_size = \"8MiB\"\nmemtable_size = \"1MiB\"\n\
                        [write]\ncommit_interval = \"15ms\"\n";
/// What lies in segments otherwise is in the index then.
const LARGE_INLINE: &str = "inline_max = \"64KiB\"\n";

impl Run {
    /// Runs it on a disk of its own.
    pub fn record(&self) -> History {
        let disk = Disk::new(None, self.journal);
        let mut mounted = Mounted::unmounted();
        mounted.on_disk(|at| disk.mount(at));
        let made = mounted.keyfold(&["init", mounted.store().to_str().unwrap()]);
        assert!(made.status.success(), "{made:?}");
        let inline = if self.seed.is_multiple_of(2) { LARGE_INLINE } else { "" };
        fs::write(mounted.store().join("keyfold.toml"), format!("{SETTINGS}{inline}")).unwrap();
        if self.wrong_order {
            mounted.set("KEYFOLD_WRONG_ORDER", "1");
        }
        mounted.remount(self.options);
        fs::create_dir(mounted.path("")).unwrap();
        if self.versions {
            xattr::set(mounted.path(""), "user.s3.versioning", b"Enabled").unwrap();
        }
        let name = |n: usize| format!("p{n:03}");
        for n in 0..self.programs.len() {
            self.prepare(&mounted.path(&name(n)), n as u64);
        }
        let mut state = State::new();
        of_mount(&mounted.path(""), "", &mut state);
        let start = disk.position();
        let before = state.clone();
        let mut record = Record { disk, state, steps: vec![] };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (store, done) = (mounted.store(), &done);
            scope.spawn(move || write_back(&store, self.seed, done));
            let _ending = Ending(done);
            for (n, program) in self.programs.iter().enumerate() {
                if n == PROGRAMS / 2 && self.seed % 3 == 1 {
                    kill(&mut mounted, &mut record);
                }
                if n == PROGRAMS / 2 && self.seed % 3 == 2 {
                    mounted.restart();
                }
                for (at, operation) in program.iter().enumerate() {
                    let seed = self.seed + 1000 * n as u64 + at as u64;
                    let (dir, close) = (mounted.path(&name(n)), self.options.contains("durability=close"));
                    let (versions, name) = (self.versions, name(n));
                    let mut place = Place { dir, name, seed, versions, close, record: &mut record };
                    OPERATIONS[*operation].1(&mut place);
                }
                // What nobody syncs is on its way.
                std::thread::sleep(Duration::from_millis(if n % 2 == 0 { 0 } else { 20 }));
            }
        });
        // The last word: everything is durable, also what the reaper does.
        std::thread::sleep(Duration::from_millis(30));
        File::open(mounted.path("")).unwrap().sync_all().unwrap();
        if let Some(last) = record.steps.last_mut() {
            last.durable = Some(record.disk.position());
        }
        mounted.umount();
        let log = record.disk.log();
        let tracks = vec![Track { bucket: BUCKET, before, steps: record.steps }];
        History { log, image: Image::default(), journal: self.journal, made: 0, start, tracks }
    }

    /// A directory as every program finds it: files in the index, in a segment, in several runs, and directories.
    fn prepare(&self, dir: &Path, seed: u64) {
        fs::create_dir(dir).unwrap();
        fs::create_dir(dir.join("d")).unwrap();
        for (name, len) in [("a", 5000), ("b", 100), ("c", 70_000), ("d/x", 3000), ("d/y", 20_000)] {
            fs::write(dir.join(name), pattern(seed + len as u64, len)).unwrap();
        }
        if self.versions {
            fs::write(dir.join("a"), pattern(seed, 6000)).unwrap();
        }
        File::open(dir).unwrap().sync_all().unwrap();
    }
}

/// Kills the mount's process, mounts again and sees what is left: what the kernel has of its writes may not be on the disk.
fn kill(mounted: &mut Mounted, record: &mut Record) {
    let begun = record.disk.position();
    mounted.crash();
    let mut left = State::new();
    of_mount(&mounted.path(""), "", &mut left);
    let least = record.steps.iter().rposition(|step| step.durable.is_some()).unwrap_or(0);
    let known = record.state == left || record.steps[least..].iter().any(|step| step.after == left);
    assert!(known || record.steps.is_empty(), "kill -9 left {:#?}", difference(&record.state, &left));
    record.state.clone_from(&left);
    record.steps.push(Step { what: "kill -9".to_owned(), begun, durable: None, after: left });
}

/// Makes a store, a bucket and a file.
pub fn make() -> History {
    let disk = Disk::new(None, true);
    let mut mounted = Mounted::unmounted();
    mounted.on_disk(|at| disk.mount(at));
    let start = disk.position();
    let output = mounted.keyfold(&["init", mounted.store().to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let made = disk.position();
    mounted.remount("");
    let before = no_bucket();
    let mut record = Record { disk, state: before.clone(), steps: vec![] };
    let begun = record.disk.position();
    fs::create_dir(mounted.path("")).unwrap();
    let durable = Some(record.disk.position());
    record.state = State::new();
    record.steps.push(Step { what: "the bucket".to_owned(), begun, durable, after: State::new() });
    go_on(&mounted, &mut record, 1);
    mounted.umount();
    let log = record.disk.log();
    let tracks = vec![Track { bucket: BUCKET, before, steps: record.steps }];
    History { log, image: Image::default(), journal: true, made, start, tracks }
}

/// A directory and a file more.
fn go_on(mounted: &Mounted, record: &mut Record, seed: u64) {
    let (dir, name) = (mounted.path("after"), "after".to_owned());
    let mut place = Place { dir, name, seed, versions: false, close: false, record };
    place.step("directory", false, |p| fs::create_dir(&p.dir).unwrap());
    place.step("goes on", true, |p| p.replace("on", 6000).sync_all().unwrap());
}

/// Opens the store of an image, in which there is what `before` says, by mounting it; then goes on a little.
pub fn recover(image: &Image, before: State, seed: u64) -> History {
    let disk = Disk::new(Some(image), true);
    let mut mounted = Mounted::unmounted();
    mounted.on_disk(|at| disk.mount(at));
    mounted.remount("");
    let mut record = Record { disk, state: before.clone(), steps: vec![] };
    go_on(&mounted, &mut record, seed);
    mounted.umount();
    let log = record.disk.log();
    let tracks = vec![Track { bucket: BUCKET, before, steps: record.steps }];
    History { log, image: image.clone(), journal: true, made: 0, start: 0, tracks }
}

/// Says that it is over, also when the run panics.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes dirty pages of the store's files to the disk at any moment, as the kernel may, without a flush.
pub fn write_back(store: &Path, seed: u64, done: &AtomicBool) {
    let mut chance = Chance::new(seed);
    while !done.load(Ordering::Relaxed) {
        let (mut files, mut open) = (Vec::new(), vec![store.to_owned()]);
        while let Some(dir) = open.pop() {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.for_each(|entry| match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                _ => files.push(entry.path()),
            });
        }
        if let Some(path) = (!files.is_empty()).then(|| &files[chance.below(files.len())])
            && let Ok(file) = File::open(path)
        {
            // SAFETY: the descriptor is open.
            unsafe { nix::libc::sync_file_range(file.as_raw_fd(), 0, 0, nix::libc::SYNC_FILE_RANGE_WRITE) };
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
