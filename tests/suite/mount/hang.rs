//! A disk that answers neither reads nor writes: what is in memory goes on, however many wait for the disk; the mount ends
//! in bounded time; nobody hangs in it; and what was acknowledged is there when the disk is back. Needs root.

use super::served::{Memory, Served};
use super::stuck::{LEFT, RELEASED, SOON, ends, held_is_kept, hold_open, is_mounted, soon, start};
use super::{Mounted, names_in, pattern};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::{self, File};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// More than read the kernel's requests.
const FILES: u64 = 40;
const FILE_BYTES: usize = 600_000;
/// What is read of them while the disk hangs.
const TAIL: usize = 400_000;
const DIRS: u64 = 24;
const NAMES: u64 = 20;
/// More threads than a process with one mount ever has: those that read requests, the largest pool, callers of the socket.
const THREADS_MAX: usize = 16 + 128 + 64 + 32;

/// Taken apart in this order: the mount goes first.
struct Rig {
    disk: Served,
    mounted: Mounted,
}

/// A store on a disk that can hang, in which all is durable. Of the bucket `bkt` the names are in memory, and the bytes of
/// `known` and `small`; those of `r0`, `r1`, ... and most names in the bucket `cold` are on the disk alone.
fn on_a_disk_that_can_hang() -> Rig {
    const BYTES: u64 = 600 << 20;
    let memory = Memory::new();
    let file = memory.file("disk", BYTES);
    let disk = Served::new(memory, BYTES, &[format!("driver=file,node-name=served,filename={file}")]);
    disk.format(true);
    let mut mounted = Mounted::unmounted();
    mounted.on_disk(|at| disk.mount(at));
    mounted.remount("");
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
    fs::write(mounted.path("small"), "in the index").unwrap();
    fs::write(mounted.path("known"), pattern(1, 3 << 20)).unwrap();
    mounted.sh("sync .");
    // Scrub would read all of it.
    mounted.umount();
    fs::write(mounted.store().join("keyfold.toml"), "[care]\nscrub_every = \"off\"\n").unwrap();
    mounted.restart();
    mounted.sh("cat small known >/dev/null; for f in r*; do head -c 1 $f >/dev/null; done");
    // What was read by then for other reasons is forgotten as well.
    for _ in 0..2 {
        forget(&mounted.store());
        mounted.sh("ls -l >/dev/null; echo new >new; mv new newer; rm newer; df . >/dev/null; sync .");
        for args in [&["status"][..], &["ls", "bkt"]] {
            assert!(mounted.keyfold_aside(args).status.success());
        }
    }
    // Reads are quick until then.
    mounted.sh("for n in 1 2 3; do dd if=known of=/dev/null iflag=direct bs=4k count=100 status=none; done");
    Rig { disk, mounted }
}

/// Has the system forget the pages of a file, or of all files below a directory.
fn forget(path: &Path) {
    if path.is_dir() {
        nix::unistd::syncfs(File::open(path).unwrap()).unwrap();
        names_in(path).iter().for_each(|name| forget(&path.join(name)));
    } else if path.is_file() {
        posix_fadvise(File::open(path).unwrap(), 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
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

    /// They get what they wait for.
    #[track_caller]
    fn have_all(mut self, mounted: &Mounted) {
        for (n, child) in self.0.iter_mut().enumerate() {
            assert!(ends(child, RELEASED).expect("it goes on when the disk does").success(), "{n}");
        }
        for n in 0..FILES {
            let read = fs::read(mounted.aside(&format!("r{n}"))).unwrap();
            assert!(read == pattern(n, FILE_BYTES)[FILE_BYTES - TAIL..], "r{n}");
        }
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

fn threads(mounted: &Mounted) -> usize {
    names_in(Path::new(&format!("/proc/{}/task", mounted.pid()))).len()
}

#[test]
fn what_is_in_memory_goes_on_while_many_wait_for_a_disk_that_does_not_answer() {
    let Rig { disk, mut mounted } = on_a_disk_that_can_hang();
    let hung = disk.hang();
    let waiting = Waiting::new(&mounted);
    assert_eq!(soon(&mounted, "cat $B/small"), "in the index");
    assert_eq!(soon(&mounted, "cat $B/known | wc -c").trim(), (3 << 20).to_string());
    assert_eq!(soon(&mounted, "stat -c %s $B/r7").trim(), FILE_BYTES.to_string());
    assert!(soon(&mounted, "ls -l $B").contains("known"));
    assert_eq!(soon(&mounted, "echo new >$B/new; cat $B/new; mv $B/new $B/newer; rm $B/newer"), "new\n");
    assert!(soon(&mounted, "df $M").contains("mnt"));
    assert!(soon(&mounted, "$K ls --store $S bkt").contains("known"));
    assert!(threads(&mounted) < THREADS_MAX, "{} threads", threads(&mounted));
    let end = Instant::now() + Duration::from_secs(20);
    while !soon(&mounted, "$K status $S").contains("the store's disk has not taken") {
        assert!(Instant::now() < end, "status does not say why");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Whoever is in it keeps it, and is told; it goes on.
    let mut umount = start(&mounted, "! $K umount $M");
    assert!(ends(&mut umount, SOON).expect("umount hangs").success(), "a mount in use was taken away");
    assert_eq!(soon(&mounted, "cat $B/small"), "in the index");
    drop(hung);
    waiting.have_all(&mounted);
    assert!(!soon(&mounted, "$K status $S").contains("hindered"));
    all_is_there(&mut mounted);
}

/// What was durable, or acknowledged as such, before the process is killed.
#[track_caller]
fn all_is_there(mounted: &mut Mounted) {
    mounted.crash();
    for n in 0..DIRS {
        assert_eq!(fs::read_to_string(mounted.path(&format!("f{n}"))).unwrap(), format!("{n}\n"));
    }
    is_whole(mounted);
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
    let Rig { disk, mut mounted } = on_a_disk_that_can_hang();
    let hung = disk.hang();
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
    let Rig { disk, mut mounted } = on_a_disk_that_can_hang();
    let hung = disk.hang();
    let holder = hold_open(&mounted);
    let mut waiting = Waiting::new(&mounted);
    soon(&mounted, &format!("kill {}", mounted.pid()));
    let end = Instant::now() + LEFT;
    while is_mounted(&mounted.root()) {
        assert!(Instant::now() < end, "it is still mounted");
        std::thread::sleep(Duration::from_millis(20));
    }
    waiting.are_let_go();
    held_is_kept(&mut mounted, holder, hung);
    is_whole(&mounted);
}

#[test]
fn nobody_hangs_in_the_mount_of_a_process_that_was_killed_while_its_disk_did_not_answer() {
    let Rig { disk, mut mounted } = on_a_disk_that_can_hang();
    let hung = disk.hang();
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
