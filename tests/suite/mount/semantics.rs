//! What POSIX says of times, names and open files, where no other test of the mount looks.

use super::{Mounted, errno};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::libc;
use nix::sys::stat::{Mode, UtimensatFlags, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

fn set_times(path: &Path, (secs, nanos): (i64, i64)) {
    let at = TimeSpec::new(secs, nanos);
    utimensat(AT_FDCWD, path, &at, &at, UtimensatFlags::FollowSymlink).unwrap();
}

/// Seconds and nanoseconds of atime and of mtime.
fn times(path: &Path) -> [(i64, i64); 2] {
    let meta = fs::metadata(path).unwrap();
    [(meta.atime(), meta.atime_nsec()), (meta.mtime(), meta.mtime_nsec())]
}

/// A part of a second counts up also before 1970.
#[test]
fn times_of_every_century_are_kept_to_the_nanosecond() {
    let mut mounted = Mounted::versioned();
    // The years 1, 1900, 1969, 1970, 2038, 2106 and 9999.
    let seconds = [-62_135_596_800, -2_208_988_800, -1, 0, 1 << 31, 1 << 32, 253_402_300_799];
    let all: Vec<_> = seconds.into_iter().flat_map(|secs| [0, 1, 999_999_999].map(|nanos| (secs, nanos))).collect();
    let path = |at: &(i64, i64), kind: &str| mounted.path(&format!("{kind}{}.{}", at.0, at.1));
    for at in &all {
        fs::write(path(at, "f"), b"text").unwrap();
        fs::create_dir(path(at, "d")).unwrap();
        for kind in ["f", "d"] {
            set_times(&path(at, kind), *at);
            assert_eq!(times(&path(at, kind)), [*at; 2], "{kind}");
        }
    }
    // An open file's, which are published with what was written.
    let mut file = File::create(mounted.path("open")).unwrap();
    file.write_all(b"text").unwrap();
    set_times(&mounted.path("open"), all[7]);
    drop(file);
    assert_eq!(times(&mounted.path("open")), [all[7]; 2]);
    mounted.restart();
    for at in &all {
        for kind in ["f", "d"] {
            assert_eq!(times(&mounted.path(&format!("{kind}{}.{}", at.0, at.1))), [*at; 2], "{kind} after the remount");
        }
    }
    assert_eq!(times(&mounted.path("open")), [all[7]; 2]);
}

/// Which of atime, mtime and ctime a call moves, for a file and for the directory it is in.
#[test]
fn each_call_moves_the_times_it_should() {
    let mounted = Mounted::start();
    let (file, dir) = (mounted.path("d/f"), mounted.path("d"));
    fs::create_dir(&dir).unwrap();
    fs::create_dir(mounted.path("e")).unwrap();
    let moved = |path: &Path, call: &dyn Fn()| {
        let told = || {
            let meta = fs::metadata(path).unwrap();
            [(meta.atime(), meta.atime_nsec()), (meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec())]
        };
        let before = told();
        std::thread::sleep(std::time::Duration::from_millis(2));
        call();
        let names = told().into_iter().zip(before).zip("amc".chars());
        names.filter(|((after, before), _)| after != before).map(|(_, name)| name).collect::<String>()
    };
    assert_eq!(moved(&dir, &|| fs::write(&file, b"text").unwrap()), "mc");
    assert_eq!(moved(&file, &|| drop(fs::read(&file).unwrap())), "", "SEMANTICS.md: reading moves nothing");
    assert_eq!(moved(&dir, &|| assert_eq!(fs::read_dir(&dir).unwrap().count(), 1)), "");
    assert_eq!(moved(&file, &|| fs::write(&file, b"more").unwrap()), "mc");
    assert_eq!(moved(&file, &|| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap()), "c");
    assert_eq!(moved(&file, &|| nix::unistd::chown(&file, Some(7.into()), None).unwrap()), "c");
    assert_eq!(moved(&file, &|| xattr::set(&file, "user.own", b"1").unwrap()), "c");
    assert_eq!(moved(&file, &|| fs::hard_link(&file, mounted.path("link")).unwrap()), "c");
    assert_eq!(moved(&file, &|| fs::remove_file(mounted.path("link")).unwrap()), "c");
    assert_eq!(moved(&file, &|| nix::unistd::truncate(&file, 2).unwrap()), "mc");
    assert_eq!(moved(&file, &|| set_times(&file, (1, 1))), "amc");
    assert_eq!(moved(&dir, &|| fs::rename(&file, mounted.path("g")).unwrap()), "mc");
    assert_eq!(moved(&mounted.path("e"), &|| fs::rename(mounted.path("g"), mounted.path("e/g")).unwrap()), "mc");
    let (from, to) = (mounted.path("e/g"), mounted.path("e/h"));
    let before = fs::metadata(&from).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    fs::rename(&from, &to).unwrap();
    let after = fs::metadata(&to).unwrap();
    assert!((after.ctime(), after.ctime_nsec()) > (before.ctime(), before.ctime_nsec()), "rename moves ctime");
    assert_eq!(times(&to), [(1, 1); 2]);
    assert_eq!(moved(&mounted.path("e"), &|| fs::remove_file(&to).unwrap()), "mc");
}

fn exchange(mounted: &Mounted, from: &str, to: &str) {
    renameat2(AT_FDCWD, &mounted.path(from), AT_FDCWD, &mounted.path(to), RenameFlags::RENAME_EXCHANGE).unwrap();
}

/// Who holds files open while they change names goes on with the files, not with the names.
#[test]
fn exchanged_files_keep_their_writers() {
    let mut mounted = Mounted::versioned();
    mounted.sh("printf a > a; mkdir d; printf b > d/b");
    let open = |name: &str| OpenOptions::new().append(true).open(mounted.path(name)).unwrap();
    let (mut a, mut b) = (open("a"), open("d/b"));
    a.write_all(b"1").unwrap();
    exchange(&mounted, "a", "d/b");
    a.write_all(b"2").unwrap();
    b.write_all(b"2").unwrap();
    a.sync_all().unwrap();
    drop((a, b));
    assert_eq!(mounted.sh("cat a d/b"), "b2a12");
    mounted.restart();
    assert_eq!(mounted.sh("cat a d/b; ls .versions/a | wc -l; ls d/.versions/b | wc -l"), "b2a122\n2\n");
    mounted.fsck();
}

/// A file that changes places with a directory while it is written is published under its new name.
#[test]
fn a_file_exchanged_with_a_directory_keeps_its_writer() {
    let mut mounted = Mounted::versioned();
    mounted.sh("printf a > a; mkdir d; printf c > d/c");
    let open = |name: &str| OpenOptions::new().append(true).open(mounted.path(name)).unwrap();
    let (mut file, mut inside) = (open("a"), open("d/c"));
    file.write_all(b"1").unwrap();
    exchange(&mounted, "a", "d");
    file.write_all(b"2").unwrap();
    inside.write_all(b"2").unwrap();
    file.sync_all().unwrap();
    drop((file, inside));
    assert_eq!(mounted.sh("cat d a/c; ls a"), "a12c2c\n");
    mounted.restart();
    assert_eq!(mounted.sh("cat d a/c; ls a"), "a12c2c\n");
}

/// An exchange is a rename of both: their ctimes move.
#[test]
fn an_exchange_moves_the_change_times_of_both() {
    let mounted = Mounted::start();
    mounted.sh("echo a > a; mkdir d");
    let ctime = |name: &str| {
        let meta = fs::metadata(mounted.path(name)).unwrap();
        (meta.ctime(), meta.ctime_nsec())
    };
    let before = [ctime("a"), ctime("d")];
    std::thread::sleep(std::time::Duration::from_millis(2));
    exchange(&mounted, "a", "d");
    assert!(ctime("d") > before[0] && ctime("a") > before[1]);
}

/// Symbolic links that lead round, and one more than may be followed.
#[test]
fn links_that_lead_nowhere_end() {
    let mounted = Mounted::start();
    symlink("b", mounted.path("a")).unwrap();
    symlink("a", mounted.path("b")).unwrap();
    assert_eq!(errno(File::open(mounted.path("a"))), Errno::ELOOP);
    assert_eq!(errno(fs::write(mounted.path("b"), b"")), Errno::ELOOP);
    assert_eq!(errno(fs::create_dir(mounted.path("a/d"))), Errno::ELOOP);
    fs::write(mounted.path("0"), b"end").unwrap();
    for number in 1..=41 {
        symlink((number - 1).to_string(), mounted.path(&number.to_string())).unwrap();
    }
    assert_eq!(fs::read(mounted.path("40")).unwrap(), b"end");
    assert_eq!(errno(fs::read(mounted.path("41"))), Errno::ELOOP);
}

/// A directory that is removed while it is open: nothing is in it, and nothing gets in.
#[test]
fn a_removed_directory_takes_nothing_in() {
    let mounted = Mounted::start();
    mounted.sh("mkdir -p d/e; echo x > f");
    let (dir, below) = (File::open(mounted.path("d")).unwrap(), File::open(mounted.path("d/e")).unwrap());
    mounted.sh("rmdir d/e d");
    for dir in [&dir, &below] {
        let made = openat(dir, "f", OFlag::O_CREAT | OFlag::O_WRONLY, Mode::S_IRWXU);
        assert_eq!(made.map(drop), Err(Errno::ENOENT));
        assert_eq!(mkdirat(dir, "d", Mode::S_IRWXU), Err(Errno::ENOENT));
        assert_eq!(nix::unistd::symlinkat("x", dir, "s"), Err(Errno::ENOENT));
        assert_eq!(renameat2(AT_FDCWD, &mounted.path("f"), dir, "f", RenameFlags::empty()), Err(Errno::ENOENT));
        let linked = nix::unistd::linkat(AT_FDCWD, &mounted.path("f"), dir, "f", AtFlags::empty());
        assert_eq!(linked, Err(Errno::ENOENT));
        dir.sync_all().unwrap();
    }
    // The name may have another directory meanwhile.
    mounted.sh("mkdir d");
    assert_eq!(openat(&dir, "f", OFlag::O_CREAT | OFlag::O_WRONLY, Mode::S_IRWXU).map(drop), Err(Errno::ENOENT));
    assert_eq!(mounted.sh("ls d; ls"), "d\nf\n");
}

/// A removed directory that somebody has open is still a directory, without links and entries.
#[test]
fn a_removed_directory_can_be_looked_at_by_who_has_it_open() {
    let mounted = Mounted::start();
    mounted.sh("mkdir d");
    let dir = File::open(mounted.path("d")).unwrap();
    mounted.sh("rmdir d; mkdir d; touch d/f");
    let meta = dir.metadata().unwrap();
    assert!(meta.is_dir());
    assert_eq!(meta.nlink(), 0);
}

/// What is unlinked while it is open can be cut, extended, synced and read for as long as somebody has it open, and
/// nothing of it is left.
#[test]
fn an_unlinked_file_is_a_file_like_others_over_a_sync() {
    let mut mounted = Mounted::start();
    let (path, link) = (mounted.path("f"), mounted.path("g"));
    fs::write(&path, b"one").unwrap();
    fs::hard_link(&path, &link).unwrap();
    let mut file = OpenOptions::new().read(true).append(true).open(&path).unwrap();
    for (name, links) in [(&path, 1), (&link, 0)] {
        fs::remove_file(name).unwrap();
        assert_eq!(file.metadata().unwrap().nlink(), links);
    }
    file.write_all(b"two").unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o400)).unwrap();
    file.sync_all().unwrap();
    file.set_len(1 << 20).unwrap();
    let mut seen = vec![];
    file.rewind().unwrap();
    file.read_to_end(&mut seen).unwrap();
    assert!(seen.len() == 1 << 20 && &seen[..7] == b"onetwo\0");
    let meta = file.metadata().unwrap();
    assert_eq!((meta.mode() & 0o777, meta.len(), meta.nlink()), (0o400, 1 << 20, 0));
    drop(file);
    mounted.restart();
    assert_eq!(fs::read_dir(mounted.path("")).unwrap().count(), 0);
    mounted.fsck();
}

#[test]
fn link_counts_follow_directories_about() {
    let mut mounted = Mounted::start();
    mounted.sh("mkdir -p a/b/c a/d e; touch a/f");
    let counts = "stat -c %h . a a/b a/d e | xargs";
    assert_eq!(mounted.sh(counts), "4 4 3 2 2\n");
    mounted.sh("mv a/b e/b; mv a/d/ e/b/c/; ln a/f e/f; ln -s a e/s; mkfifo e/p");
    let counts = "stat -c %h . a e e/b e/b/c e/b/c/d a/f | xargs";
    let all = "4 2 3 3 3 2 2\n";
    assert_eq!(mounted.sh(counts), all);
    // One directory over another, which was empty.
    mounted.sh("mkdir a/x; mv -T e/b a/x; mv a/x e/b");
    assert_eq!(mounted.sh(counts), all);
    mounted.restart();
    assert_eq!(mounted.sh(counts), all);
    mounted.sh("rm -r e/b");
    assert_eq!(mounted.sh("stat -c %h . a e | xargs"), "4 2 2\n");
}

/// A kernel's handle of a file, as NFS servers use it.
#[repr(C)]
struct FileHandle {
    len: libc::c_uint,
    kind: libc::c_int,
    bytes: [u8; 128],
}

impl FileHandle {
    fn of(path: &Path) -> Self {
        let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        let (mut handle, mut mount) = (Self { len: 128, kind: 0, bytes: [0; 128] }, 0_i32);
        // SAFETY: the path is a C string, and the handle has as much room as it says.
        let done = unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                libc::AT_FDCWD,
                path.as_ptr(),
                &raw mut handle,
                &raw mut mount,
                0,
            )
        };
        Errno::result(done).unwrap();
        handle
    }

    fn open(&self, mount: &File) -> nix::Result<File> {
        // SAFETY: the handle came from the kernel.
        let fd =
            unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw const *self, libc::O_RDONLY) };
        // SAFETY: a descriptor that was just opened.
        Errno::result(fd).map(|fd| unsafe { File::from_raw_fd(i32::try_from(fd).unwrap()) })
    }
}

/// Handles are the kernel's own: they lead to a file under any of its names for as long as the kernel remembers it,
/// and never to another.
#[test]
fn file_handles_lead_to_their_file_or_nowhere() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("skipped: only root may open files by their handles");
    }
    let mounted = Mounted::start();
    let bucket = File::open(mounted.path("")).unwrap();
    fs::write(mounted.path("f"), b"text").unwrap();
    let kept = File::open(mounted.path("f")).unwrap();
    let handle = FileHandle::of(&mounted.path("f"));
    fs::rename(mounted.path("f"), mounted.path("g")).unwrap();
    let file = handle.open(&bucket).unwrap();
    assert_eq!(file.metadata().unwrap().ino(), kept.metadata().unwrap().ino());
    let mut seen = [0; 4];
    file.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"text");
    drop((file, kept));
    fs::remove_file(mounted.path("g")).unwrap();
    fs::write(mounted.path("g"), b"another").unwrap();
    assert_eq!(handle.open(&bucket).map(drop), Err(Errno::ESTALE));
}
