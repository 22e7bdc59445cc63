//! A disk that fails under the daemon: the program that waits is told, once, and the mount goes on or is read-only.
//!
//! `strace` makes the daemon's calls fail from the moment it is attached until it is let go.

use super::{Mounted, pattern, text};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A call that fails, of all files or of those in the store with such an end.
struct Case {
    call: &'static str,
    end: &'static str,
    errno: Errno,
    /// Bytes of the file that is written meanwhile.
    len: usize,
    told: Told,
    after: After,
}

/// What the program is told at `fsync` or before.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Told {
    Nothing,
    It,
    /// Where the store may find a way in time.
    Perhaps,
}

/// What the mount does when the disk is well again.
#[derive(Clone, Copy, PartialEq, Debug)]
enum After {
    GoesOn,
    ReadOnly,
}

const SMALL: usize = 20_000;
const LARGE: usize = 300_000;
const OWN: usize = 9 << 20;

const CASES: &[Case] = {
    use After::{GoesOn, ReadOnly};
    use Errno::{EIO, ENOSPC};
    use Told::{It, Nothing, Perhaps};
    const fn case(call: &'static str, end: &'static str, errno: Errno, len: usize, told: Told, after: After) -> Case {
        Case { call, end, errno, len, told, after }
    }
    &[
        // Without the journal syncs take longer, and that is all.
        case("fdatasync", "journal", EIO, SMALL, Nothing, GoesOn),
        case("pwrite64", "journal", ENOSPC, SMALL, Nothing, GoesOn),
        case("fdatasync", ".seg", EIO, LARGE, It, ReadOnly),
        case("fdatasync", ".seg", ENOSPC, LARGE, It, ReadOnly),
        case("fdatasync", ".log", EIO, LARGE, It, ReadOnly),
        case("fdatasync", "", EIO, SMALL, It, ReadOnly),
        case("fdatasync", "", EIO, OWN, It, ReadOnly),
        case("fsync", "", EIO, OWN, It, ReadOnly),
        case("pwrite64,pwritev", ".seg", EIO, LARGE, It, GoesOn),
        case("pwrite64,pwritev", ".seg", ENOSPC, LARGE, It, GoesOn),
        case("pwrite64,pwritev", "", ENOSPC, OWN, It, GoesOn),
        case("fallocate", "", ENOSPC, OWN, It, GoesOn),
        case("ftruncate", "", EIO, OWN, It, GoesOn),
        case("write", ".log", EIO, LARGE, It, ReadOnly),
        case("write", ".log", ENOSPC, LARGE, Perhaps, GoesOn),
    ]
};

/// Calls of a daemon fail as long as it lives.
struct Failing(Child);

impl Failing {
    fn start(mounted: &Mounted, case: &Case) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(mounted.aside("calls")).args(["-e", &format!("trace={}", case.call)]);
        strace.args(["-e", &format!("inject={}:error={:?}", case.call, case.errno)]);
        strace.args(["-p", &mounted.pid().to_string()]);
        if !case.end.is_empty() {
            for path in files(mounted.store(), case.end) {
                strace.arg("-P").arg(path);
            }
        }
        let child = strace.stdin(Stdio::null()).spawn().unwrap();
        let tracer = format!("TracerPid:\t{}", child.id());
        let until = Instant::now() + Duration::from_secs(30);
        let threads = || fs::read_dir(format!("/proc/{}/task", mounted.pid())).unwrap();
        let traced = |thread: std::io::Result<fs::DirEntry>| {
            let status = thread.and_then(|thread| fs::read_to_string(thread.path().join("status")));
            status.is_ok_and(|status| status.contains(&tracer))
        };
        while !threads().all(traced) {
            assert!(Instant::now() < until, "strace does not attach to the daemon");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGINT);
        let _ = self.0.wait();
    }
}

fn files(dir: PathBuf, end: &str) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![dir], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_str().unwrap().ends_with(end) {
            found.push(path);
        }
    }
    found
}

/// Two programs, each with a file of its own: what the one is told that writes and syncs while calls fail, at once and once
/// `healed`, and what the other, whose file was durable before, is told then.
fn write_and_ask(
    mounted: &Mounted,
    name: &str,
    body: &[u8],
    healed: impl FnOnce(),
) -> (nix::Result<()>, Option<nix::Result<()>>, nix::Result<()>) {
    let written = File::create(mounted.path(name)).and_then(|mut file| file.write_all(body).map(|()| file));
    let (first, file) = match written {
        Ok(file) => (told(file.sync_all()), Some(file)),
        Err(error) => (told(Err(error)), None),
    };
    healed();
    let second = file.map(|file| told(file.sync_all()));
    // `sync` says why it fails.
    let output = mounted.try_sh("sync other");
    let of_the_other = match text(&output.stderr) {
        _ if output.status.success() => Ok(()),
        said if said.contains("Read-only file system") => Err(Errno::EROFS),
        said => panic!("sync: {said}"),
    };
    (first, second, of_the_other)
}

fn told(result: std::io::Result<()>) -> nix::Result<()> {
    result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap()))
}

/// What a program is told from opening on: the first error, and that of a second `fsync` after a first one.
fn write(mounted: &Mounted, name: &str, body: &[u8]) -> (nix::Result<()>, Option<nix::Result<()>>) {
    let written = File::create(mounted.path(name)).and_then(|mut file| file.write_all(body).map(|()| file));
    match written {
        Ok(file) => (told(file.sync_all()), Some(told(file.sync_all()))),
        Err(error) => (told(Err(error)), None),
    }
}

fn run(case: &Case) {
    let mut mounted = Mounted::start();
    for (name, len) in [("kept", LARGE), ("small", SMALL)] {
        write(&mounted, name, &pattern(1, len)).0.unwrap();
    }
    let body = pattern(2, case.len);
    mounted.sh("echo durable >other; sync other");
    let failing = Failing::start(&mounted, case);
    let (first, second, told) = write_and_ask(&mounted, "during", &body, || drop(failing));
    let (after, _) = write(&mounted, "after", &pattern(3, LARGE));
    let said = format!("told {first:?}, then {second:?}, later {after:?}\n{}", mounted.errors());
    let said = format!("{} of {:?} with {:?}, {} bytes: {said}", case.call, case.end, case.errno, case.len);
    if let Some(second) = second {
        // Told once, or again that nothing is taken, or that the file's bytes are not there to be stored: never to who has not
        // written.
        let spoiled = second == first && mounted.errors().contains("a part of it could not be stored");
        assert!(spoiled || matches!(second, Ok(()) | Err(Errno::EROFS)), "{said}");
        assert!(matches!(told, Ok(()) | Err(Errno::EROFS)), "told to another program: {told:?}; {said}");
    }
    match case.told {
        Told::Nothing => assert_eq!((first, second), (Ok(()), Some(Ok(()))), "{said}"),
        Told::It => assert_eq!(first, Err(case.errno), "{said}"),
        Told::Perhaps => assert!(first.is_ok() || first == Err(case.errno), "{said}"),
    }
    let status = text(&mounted.keyfold(&["status", "--json"]).stdout);
    if case.end == "journal" {
        assert!(mounted.errors().contains("journal"), "{said}");
        // After a write that failed it is used again; what was synced and perhaps is not there is not.
        if case.call == "fdatasync" {
            assert!(status.contains("\"work\":\"journal\""), "{status}");
            assert!(text(&mounted.keyfold(&["status"]).stdout).contains("hindered"));
        }
    }
    match case.after {
        After::GoesOn => assert_eq!(after, Ok(()), "{said}"),
        After::ReadOnly => {
            assert_eq!(after, Err(Errno::EROFS), "{said}");
            assert!(status.contains("takes no changes"), "{status}");
            assert!(mounted.errors().contains("\"why\""), "{said}");
        }
    }
    let kept = |mounted: &Mounted| {
        assert!(fs::read(mounted.path("kept")).unwrap() == pattern(1, LARGE));
        assert!(fs::read(mounted.path("small")).unwrap() == pattern(1, SMALL));
    };
    kept(&mounted);
    // One that could not keep a promise says so at its end too.
    let ended = mounted.umount_however().unwrap();
    assert!(ended.success() || case.after == After::ReadOnly, "{ended}: {}", mounted.stderr());
    mounted.restart();
    kept(&mounted);
    // Promised by any of the two: whole. Refused: that, or a prefix where writing it failed, or nothing.
    let promised = first.is_ok() || second == Some(Ok(()));
    match fs::read(mounted.path("during")) {
        Ok(found) => {
            let part = second.is_none() && body.starts_with(&found);
            assert!(found == body || !promised && (found.is_empty() || part), "{} bytes; {said}", found.len());
        }
        Err(error) => assert!(!promised && error.kind() == std::io::ErrorKind::NotFound, "{error}; {said}"),
    }
    assert_eq!(fs::read(mounted.path("after")).ok(), after.is_ok().then(|| pattern(3, LARGE)), "{said}");
    mounted.umount();
    mounted.fsck();
}

#[test]
fn of_calls_is_told_once_and_the_mount_goes_on_or_is_read_only() {
    for case in CASES {
        run(case);
    }
}
