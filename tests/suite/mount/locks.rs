//! Several processes at one file: locks, maps, appends, and who comes first.

use super::harness::text;
use super::other::Other;
use super::{Mounted, pattern};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Barrier;

const NOTHING: &str = "None";

/// A mount with a file that two other processes have open as `f`.
fn shared() -> (Mounted, Other, Other) {
    let mounted = Mounted::start();
    fs::write(mounted.path("f"), pattern(1, 300_000)).unwrap();
    let [one, two] = [(); 2].map(|()| {
        let mut other = Other::start(&mounted);
        other.do_all(&["f = open('f', 'r+b', 0)"]);
        other
    });
    (mounted, one, two)
}

/// Ranges of POSIX locks: they belong to a process, go with any of its descriptors, and with the process.
#[test]
fn posix_locks_keep_processes_apart() {
    let (_mounted, mut one, mut two) = shared();
    one.do_all(&["fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 100, 0)"]);
    assert_eq!(two.does("fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 50)"), "EAGAIN");
    assert_eq!(two.does("fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB, 10, 50)"), "EAGAIN");
    two.do_all(&["fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 100)"]);
    let ask =
        "struct.unpack('hhqqi4x', fcntl.fcntl(f, fcntl.F_GETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)))";
    assert_eq!(two.does(ask), format!("(1, 0, 0, 100, {})", one.pid()));
    // Half of it is given back; then all of it, by closing another descriptor of the file.
    one.do_all(&["fcntl.lockf(f, fcntl.LOCK_UN, 50, 50)"]);
    two.do_all(&["fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB, 10, 50)"]);
    one.do_all(&["open('f').close()"]);
    two.do_all(&["fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 100, 0)"]);
    one.begins("fcntl.lockf(f, fcntl.LOCK_EX, 100, 0)");
    drop(two);
    assert_eq!(one.answers(), NOTHING);
}

/// Locks of open file descriptions: apart also within one process, and against POSIX locks.
#[test]
fn ofd_locks_keep_handles_apart() {
    let (_mounted, mut one, mut two) = shared();
    let lock = "def lock(file, kind, at, length, how=fcntl.F_OFD_SETLK): \
                fcntl.fcntl(file, how, struct.pack('hhqqi4x', kind, 0, at, length, 0))";
    one.do_all(&[lock, "g = open('f', 'r+b', 0)", "lock(f, fcntl.F_WRLCK, 0, 100)"]);
    assert_eq!(one.does("lock(g, fcntl.F_RDLCK, 99, 1)"), "EAGAIN");
    assert_eq!(two.does("fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 0)"), "EAGAIN");
    // Another descriptor of another open file takes nothing away; the last one of this does.
    one.do_all(&["h = os.dup(f.fileno())", "g.close()", "f.close()"]);
    assert_eq!(two.does("fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 0)"), "EAGAIN");
    one.do_all(&["os.close(h)"]);
    two.do_all(&[lock, "lock(f, fcntl.F_WRLCK, 0, 0)"]);
    one.do_all(&["f = open('f', 'r+b', 0)"]);
    one.begins("lock(f, fcntl.F_WRLCK, 0, 1, fcntl.F_OFD_SETLKW)");
    drop(two);
    assert_eq!(one.answers(), NOTHING);
}

/// `flock`: shared or alone, for the whole file, regardless of the other kinds of locks.
#[test]
fn flock_is_shared_or_alone() {
    let (_mounted, mut one, mut two) = shared();
    let shared = "fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)";
    let alone = "fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)";
    one.do_all(&[shared]);
    two.do_all(&[shared]);
    assert_eq!(two.does(alone), "EAGAIN");
    one.do_all(&["fcntl.flock(f, fcntl.LOCK_UN)"]);
    two.do_all(&[alone]);
    assert_eq!(one.does(shared), "EAGAIN");
    one.do_all(&["fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)"]);
    one.begins("fcntl.flock(f, fcntl.LOCK_EX)");
    drop(two);
    assert_eq!(one.answers(), NOTHING);
}

/// What one process writes into its map the other finds in its own, and reads; what it syncs outlives the mount.
#[test]
fn maps_of_two_processes_are_one() {
    let (mut mounted, mut one, mut two) = shared();
    for other in [&mut one, &mut two] {
        other.do_all(&["m = mmap.mmap(f.fileno(), 300000)", "sum(m[::4096]) and None"]);
    }
    one.do_all(&["m[5000:5005] = b'hello'"]);
    assert_eq!(two.does("m[5000:5005], os.pread(f.fileno(), 5, 5000)"), "(b'hello', b'hello')");
    two.do_all(&["m[200000:200005] = b'world'", "os.pwrite(f.fileno(), b'there', 200005) and None"]);
    assert_eq!(one.does("m[200000:200010]"), "b'worldthere'");
    // Past the pages of the kernel, in one that is changed in a map.
    two.do_all(&["w = os.open('f', os.O_WRONLY)", "os.pwrite(w, b'again', 5005) and None"]);
    assert_eq!(one.does("m[5000:5010]"), "b'helloagain'");
    let mut want = pattern(1, 300_000);
    want[5000..5010].copy_from_slice(b"helloagain");
    want[200_000..200_010].copy_from_slice(b"worldthere");
    assert!(fs::read(mounted.path("f")).unwrap() == want);
    assert_eq!(one.does("m.flush()"), NOTHING);
    mounted.die();
    drop((one, two));
    mounted.crash();
    assert!(fs::read(mounted.path("f")).unwrap() == want, "what msync wrote is lost");
}

/// Four processes append records of many lengths: none is lost, torn or out of its writer's order.
#[test]
fn appended_records_are_whole() {
    const RECORDS: usize = 200;
    let mut mounted = Mounted::versioned();
    let mut writers: Vec<Other> = (0..4).map(|_| Other::start(&mounted)).collect();
    for (writer, mode) in writers.iter_mut().zip(["ab", "ab", "a+b", "a+b"]) {
        writer.do_all(&[&format!("f = open('log', '{mode}', 0)")]);
    }
    for (number, writer) in writers.iter_mut().enumerate() {
        // A write of a file may be a part of what was asked only where the disk is full.
        writer.begins(&format!(
            "for i in range({RECORDS}): r = b'{number} %d ' % i + b'x' * (i * 997 % 9000) + b'\\n'; assert f.write(r) == len(r)"
        ));
    }
    writers.iter_mut().for_each(|writer| assert_eq!(writer.answers(), NOTHING));
    drop(writers);
    mounted.restart();
    let log = text(&fs::read(mounted.path("log")).unwrap());
    let mut next: HashMap<&str, usize> = HashMap::new();
    for line in log.lines() {
        let mut parts = line.split(' ');
        let (writer, record, rest) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let want = next.entry(writer).or_default();
        assert_eq!(record, want.to_string(), "the record after {want} of writer {writer}");
        assert_eq!(rest, "x".repeat(*want * 997 % 9000), "record {record} of writer {writer} is torn");
        *want += 1;
    }
    assert!(next.len() == 4 && next.values().all(|records| *records == RECORDS), "{next:?}");
}

/// Eight threads do the same at the same time, for many names; how many succeed for each.
fn race(mounted: &Mounted, name: &str, act: impl Fn(usize, &Path) -> Result<(), Errno> + Sync) -> Vec<usize> {
    const THREADS: usize = 8;
    let start = Barrier::new(THREADS);
    let race = |thread| {
        let paths = (0..100).map(|number| mounted.path(&format!("{name}{number}")));
        let won = paths.map(|path| {
            start.wait();
            match act(thread, &path) {
                Ok(()) => 1,
                Err(error) => {
                    assert_eq!(error, Errno::EEXIST);
                    0
                }
            }
        });
        won.collect::<Vec<usize>>()
    };
    let won: Vec<Vec<usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || race(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    (0..100).map(|at| won.iter().map(|won| won[at]).sum()).collect()
}

/// Of those who make one name at the same time exactly one succeeds, whatever they make.
#[test]
fn of_many_who_make_a_name_one_wins() {
    let mounted = Mounted::start();
    let error = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap());
    let once = vec![1; 100];
    assert_eq!(race(&mounted, "file", |_, path| File::create_new(path).map(drop).map_err(error)), once);
    assert_eq!(race(&mounted, "dir", |_, path| fs::create_dir(path).map_err(error)), once);
    assert_eq!(race(&mounted, "sym", |_, path| std::os::unix::fs::symlink("x", path).map_err(error)), once);
    fs::write(mounted.path("source"), b"").unwrap();
    assert_eq!(race(&mounted, "link", |_, path| fs::hard_link(mounted.path("source"), path).map_err(error)), once);
    let moved = |thread: usize, path: &Path| {
        let from = path.with_extension(thread.to_string());
        fs::write(&from, thread.to_string()).map_err(error)?;
        renameat2(AT_FDCWD, &from, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE)
    };
    assert_eq!(race(&mounted, "moved", moved), once);
    mounted.fsck();
}
