//! A disk that answers neither reads nor writes: the mount ends in bounded time, however many wait for the disk; nobody hangs
//! in it; and what was acknowledged is there when the disk is back. Needs root: the disk is a loop device which a control
//! group lets nothing through to.

use super::guard::Guard;
use super::stuck::{RELEASED, ends, held_is_kept, hold_open, is_mounted, on_a_disk, soon, start, terminate};
use super::{Mounted, names_in, pattern};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::stat::{major, minor};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

/// More than read the kernel's requests.
const FILES: u64 = 40;
const FILE_BYTES: usize = 600_000;
/// What is read of them while the disk hangs.
const TAIL: usize = 400_000;
const DIRS: u64 = 24;
const NAMES: u64 = 20;

/// A store on a disk that can hang, in which all is durable. The names of the bucket `bkt` were asked for; the bytes of its
/// files and most names in the bucket `cold` are on the disk alone.
fn on_a_disk_that_can_hang() -> Option<Mounted> {
    if !Path::new("/sys/fs/cgroup/blkio").is_dir() {
        eprintln!("left out: control groups of disks, of version 1, are needed");
        return None;
    }
    let mut mounted = on_a_disk(600 << 20);
    // Before the other bucket: who walks over names reads on from there, not back.
    fs::create_dir(mounted.root().join("cold")).unwrap();
    for dir in 0..DIRS {
        let path = mounted.root().join(format!("cold/d{dir}"));
        fs::create_dir(&path).unwrap();
        for n in 0..NAMES {
            let path = path.join(n.to_string());
            fs::write(&path, "").unwrap();
            xattr::set(&path, "user.takes-room", &pattern(dir * 1000 + n, 1500)).unwrap();
        }
    }
    fs::create_dir(mounted.path("")).unwrap();
    for n in 0..FILES {
        fs::write(mounted.path(&format!("r{n}")), pattern(n, FILE_BYTES)).unwrap();
    }
    mounted.sh("sync .");
    // Scrub would read all of it.
    mounted.umount();
    fs::write(mounted.store().join("keyfold.toml"), "[care]\nscrub_every = \"off\"\n").unwrap();
    mounted.restart();
    mounted.sh("for f in r*; do head -c 1 $f >/dev/null; done");
    Some(mounted)
}

/// The disk answers the mount's process nothing, neither reads nor writes, until the answer is dropped.
#[track_caller]
fn hang(mounted: &Mounted) -> Guard {
    // What was read by then for other reasons is forgotten as well.
    for _ in 0..2 {
        forget(&mounted.store());
        mounted.sh("ls -l >/dev/null; echo new >new; mv new newer; rm newer; df . >/dev/null; sync .");
        for args in [&["status"][..], &["ls", "bkt"]] {
            assert!(mounted.keyfold_aside(args).status.success());
        }
    }
    let device = fs::metadata(mounted.store()).unwrap().dev();
    let (group, pid) = (format!("keyfold-{}", mounted.pid()), mounted.pid().to_string());
    let device = format!("{}:{}", major(device), minor(device));
    let mut guard = Guard::new(include_str!("hang.sh"), &[&group, &device, &pid]);
    let mut said = String::new();
    BufReader::new(guard.0.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "hangs\n", "root is needed");
    guard
}

/// Has the system forget the pages of a file, or of all files below a directory.
fn forget(path: &Path) {
    if path.is_dir() {
        nix::unistd::syncfs(File::open(path).unwrap()).unwrap();
        names_in(path).iter().for_each(|name| forget(&path.join(name)));
    } else if let Ok(file) = File::open(path) {
        posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
    }
}

/// Programs that wait for the disk; killed when they are dropped.
struct Waiting(Vec<Child>);

impl Waiting {
    /// Programs that read and look for what is on the disk alone, and that make durable what they write.
    #[track_caller]
    fn new(mounted: &Mounted) -> Self {
        let read = |n| format!("tail -c {TAIL} $B/r{n} >{}", mounted.aside(&format!("r{n}")).display());
        let list = |n| format!("ls -l $M/cold/d{n}");
        let write = |n| format!("echo {n} >$B/f{n}; sync $B/f{n}");
        let scripts: [Vec<_>; 3] =
            [(0..FILES).map(read).collect(), (0..DIRS).map(list).collect(), (0..DIRS).map(write).collect()];
        let mut new = Self(scripts.iter().flatten().map(|script| start(mounted, script)).collect());
        std::thread::sleep(Duration::from_secs(1));
        let mut children = new.0.iter_mut();
        for (scripts, what) in scripts.iter().zip(["reads", "names", "writes"]) {
            let waiting = children.by_ref().take(scripts.len()).filter_map(|child| child.try_wait().unwrap());
            let ended = waiting.count();
            assert!(ended <= scripts.len() / 2, "the disk does not hang for {what}: {ended} have ended");
        }
        new
    }

    /// They end, whatever they are told.
    #[track_caller]
    fn are_let_go(&mut self) {
        for (n, child) in self.0.iter_mut().enumerate() {
            assert!(ends(child, RELEASED).is_some(), "program {n} hangs in a mount that is gone");
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
        }
    }
}

#[track_caller]
fn is_whole(mounted: &Mounted) {
    for n in 0..FILES {
        assert!(fs::read(mounted.path(&format!("r{n}"))).unwrap() == pattern(n, FILE_BYTES), "r{n}");
    }
    for dir in 0..DIRS {
        assert_eq!(names_in(&mounted.root().join(format!("cold/d{dir}"))).len() as u64, NAMES);
    }
    mounted.fsck();
}

#[test]
fn a_lazy_unmount_lets_go_who_waits_for_a_disk_that_does_not_answer() {
    let Some(mut mounted) = on_a_disk_that_can_hang() else { return };
    let hung = hang(&mounted);
    let holder = hold_open(&mounted);
    let mut waiting = Waiting::new(&mounted);
    soon(&mounted, "$K umount --lazy $M");
    assert!(!is_mounted(&mounted.root()));
    waiting.are_let_go();
    held_is_kept(&mut mounted, holder, hung);
    is_whole(&mounted);
}

#[test]
fn sigterm_lets_go_who_waits_for_a_disk_that_does_not_answer() {
    let Some(mut mounted) = on_a_disk_that_can_hang() else { return };
    let hung = hang(&mounted);
    let holder = hold_open(&mounted);
    let mut waiting = Waiting::new(&mounted);
    terminate(&mounted);
    waiting.are_let_go();
    held_is_kept(&mut mounted, holder, hung);
    is_whole(&mounted);
}

#[test]
fn nobody_hangs_in_the_mount_of_a_process_that_was_killed_while_its_disk_did_not_answer() {
    let Some(mut mounted) = on_a_disk_that_can_hang() else { return };
    let hung = hang(&mounted);
    let mut waiting = Waiting::new(&mounted);
    mounted.kill();
    let mut umount = start(&mounted, "$K umount --lazy $M");
    assert!(ends(&mut umount, RELEASED).expect("umount hangs").success());
    assert!(!is_mounted(&mounted.root()));
    waiting.are_let_go();
    drop(hung);
    mounted.die();
    mounted.restart();
    is_whole(&mounted);
}
