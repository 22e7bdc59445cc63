//! Directories: thousands of entries, readings that go on while entries come and go, links, special files.

use super::scenarios::fill;
use super::{Mounted, errno, long, names_in};
use nix::errno::Errno;
use nix::libc;
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

#[test]
fn five_thousand_files_in_one_directory() {
    let mut mounted = Mounted::start();
    fs::create_dir(mounted.path("d")).unwrap();
    for number in 0..5000 {
        fs::write(mounted.path(&format!("d/file-{number:05}")), format!("{number}")).unwrap();
    }
    let want: Vec<String> = (0..5000).map(|number| format!("file-{number:05}")).collect();
    assert_eq!(names_in(&mounted.path("d")), want);
    mounted.restart();
    assert_eq!(names_in(&mounted.path("d")), want);
    assert_eq!(mounted.sh("ls -l d | wc -l; cat d/file-04999; find d -type f -size -2 | wc -l"), "5001\n49995000\n");
    mounted.sh("rm -r d");
    assert_eq!(names_in(&mounted.path("")).len(), 0);
    mounted.fsck();
}

/// A directory stream of the C library, for what the standard library hides.
struct Stream(*mut libc::DIR);

impl Stream {
    fn open(path: &Path) -> Self {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the path is a C string; a null result is refused.
        let dir = unsafe { libc::opendir(path.as_ptr()) };
        assert!(!dir.is_null());
        Self(dir)
    }

    /// The next name and the position after it.
    fn next(&mut self) -> Option<(String, libc::c_long)> {
        // SAFETY: the stream is open, and the entry is read before the stream is used again.
        unsafe {
            let entry = libc::readdir(self.0);
            let name = CStr::from_ptr(entry.as_ref()?.d_name.as_ptr()).to_str().unwrap().to_owned();
            Some((name, libc::telldir(self.0)))
        }
    }

    fn seek(&mut self, to: libc::c_long) {
        // SAFETY: the stream is open, and the position came from it.
        unsafe { libc::seekdir(self.0, to) }
    }

    fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).map(|(name, _)| name).collect()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: it is open and used no more.
        unsafe { libc::closedir(self.0) };
    }
}

fn many() -> usize {
    if long() { 1_000_000 } else { 20_000 }
}

#[test]
fn a_position_leads_back_to_the_same_entries() {
    let mounted = Mounted::start();
    let (dir, many) = (mounted.path("d"), many());
    fill(&dir, many);
    let mut stream = Stream::open(&dir);
    let all: Vec<(String, libc::c_long)> = std::iter::from_fn(|| stream.next()).collect();
    assert_eq!(all.len(), many + 2);
    for at in [0, 1, 2, many / 2, many - 100, many + 1] {
        stream.seek(all[at].1);
        let rest = stream.rest();
        assert!(rest.iter().eq(all[at + 1..].iter().map(|(name, _)| name)), "from {at}");
    }
    // SAFETY: the stream is open.
    unsafe { libc::rewinddir(stream.0) };
    assert_eq!(stream.rest().len(), many + 2);
}

/// What was there all the time is told exactly once, whatever comes and goes meanwhile, and also to who goes back.
#[test]
fn a_reading_goes_on_while_entries_come_and_go() {
    let mounted = Mounted::start();
    let (dir, many) = (mounted.path("d"), many());
    fill(&dir, many);
    // The even ones stay; what comes has another name.
    let stays =
        |name: &String| name.strip_prefix("file-").and_then(|n| n.parse().ok()).filter(|n: &usize| n.is_multiple_of(2));
    let mut stream = Stream::open(&dir);
    let mut marks = vec![];
    let mut seen = vec![];
    for round in 0.. {
        let Some((name, at)) = stream.next() else { break };
        if let Some(number) = stays(&name) {
            seen.push(number);
            if seen.len() % (many / 10) == 1 {
                marks.push((number, at));
            }
        }
        if round % 8 == 0 {
            let _ = fs::remove_file(dir.join(format!("file-{:06}", ((round * 7 + 1) % many) | 1)));
            File::create(dir.join(format!("file-{:06}x", round * 13 % many))).unwrap();
        }
    }
    assert!(seen.into_iter().eq((0..many).step_by(2)), "one is told twice, out of its turn, or not at all");
    assert_eq!(marks.len(), 5);
    for (number, at) in marks.into_iter().rev() {
        stream.seek(at);
        let rest: Vec<usize> = stream.rest().iter().filter_map(stays).collect();
        assert!(rest.into_iter().eq((number + 2..many).step_by(2)), "back after {number}");
    }
}

/// A position long passed is after the name it was after, also when names before it have gone.
#[test]
fn a_position_far_back_is_not_moved_by_what_goes() {
    let mounted = Mounted::start();
    let dir = mounted.path("d");
    fill(&dir, 20_000);
    let mut stream = Stream::open(&dir);
    let (name, at) = std::iter::from_fn(|| stream.next()).find(|(name, _)| name == "file-001500").unwrap();
    for number in 1400..1450 {
        fs::remove_file(dir.join(format!("file-{number:06}"))).unwrap();
    }
    stream.rest();
    stream.seek(at);
    assert_eq!(stream.next().unwrap().0, "file-001501", "after {name}");
}

#[test]
fn rm_while_listing_takes_everything() {
    let mounted = Mounted::start();
    mounted.sh("mkdir d; cd d; seq 3000 | xargs touch");
    for entry in fs::read_dir(mounted.path("d")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::remove_dir(mounted.path("d")).unwrap();
}

#[test]
fn hard_links_are_one_file() {
    let mut mounted = Mounted::versioned();
    fs::create_dir(mounted.path("d")).unwrap();
    fs::write(mounted.path("a"), b"one").unwrap();
    fs::hard_link(mounted.path("a"), mounted.path("d/b")).unwrap();
    fs::write(mounted.path("d/b"), b"two!").unwrap();
    assert_eq!(fs::read(mounted.path("a")).unwrap(), b"two!");
    let (a, b) = (fs::metadata(mounted.path("a")).unwrap(), fs::metadata(mounted.path("d/b")).unwrap());
    assert_eq!((a.ino(), a.nlink(), a.len()), (b.ino(), 2, 4));
    mounted.restart();
    assert_eq!(fs::metadata(mounted.path("d/b")).unwrap().ino(), a.ino());
    fs::remove_file(mounted.path("a")).unwrap();
    assert_eq!(fs::metadata(mounted.path("d/b")).unwrap().nlink(), 1);
    assert_eq!(fs::read(mounted.path("d/b")).unwrap(), b"two!");
    assert_eq!(errno(fs::hard_link(mounted.path("d"), mounted.path("e"))), Errno::EPERM);
    assert_eq!(errno(fs::hard_link(mounted.path("d/b"), mounted.path("d/b"))), Errno::EEXIST);
    mounted.fsck();
}

#[test]
fn symlinks_keep_any_target() {
    let mut mounted = Mounted::start();
    let long = "x/".repeat(2000);
    for (name, target) in
        [("a", "nowhere"), ("b", "/etc/hosts"), ("c", long.as_str()), ("d", "a b\n\u{e9}"), ("loop", "loop")]
    {
        symlink(target, mounted.path(name)).unwrap();
    }
    mounted.restart();
    assert_eq!(fs::read_link(mounted.path("c")).unwrap().as_os_str().len(), 4000);
    assert_eq!(fs::read_link(mounted.path("d")).unwrap(), Path::new("a b\n\u{e9}"));
    assert_eq!(fs::symlink_metadata(mounted.path("a")).unwrap().len(), 7);
    assert_eq!(errno(fs::metadata(mounted.path("loop"))), Errno::ELOOP);
    assert_eq!(errno(symlink("x", mounted.path("a"))), Errno::EEXIST);
    mounted.sh("ln -sf b a; test \"$(readlink a)\" = b; cmp a /etc/hosts; rm a; test -e b");
}

#[test]
fn directories_count_their_subdirectories_and_keep_their_attributes() {
    let mut mounted = Mounted::start();
    mounted.sh("mkdir -p a/b a/c; chmod 1777 a; chown 5:6 a; touch -d 2001-01-01 a; touch a/b/f");
    mounted.restart();
    assert_eq!(mounted.sh("stat -c '%h %a %u:%g %Y' a"), format!("4 1777 5:6 {}\n", 978_307_200));
    assert_eq!(errno(fs::remove_dir(mounted.path("a"))), Errno::ENOTEMPTY);
    assert_eq!(errno(fs::remove_dir(mounted.path("a/b/f"))), Errno::ENOTDIR);
    assert_eq!(errno(fs::create_dir(mounted.path("a"))), Errno::EEXIST);
    assert_eq!(errno(fs::remove_file(mounted.path("a"))), Errno::EISDIR);
    mounted.sh("rmdir a/c; test $(stat -c %h a) = 3; rm a/b/f; rmdir a/b a; test ! -e a");
}

/// A shell whose directory is removed is told so, and nothing can be made there.
#[test]
fn nothing_is_made_in_a_removed_directory() {
    let mounted = Mounted::start();
    let output = mounted.try_sh("mkdir d; cd d; rmdir ../d; touch f");
    assert!(!output.status.success());
    assert!(super::text(&output.stderr).contains("No such file"));
    assert_eq!(names_in(&mounted.path("")).len(), 0);
}
