//! Renames: of files and trees, exchanging, not replacing, over each other, atomic for whoever looks.

use super::{Mounted, errno, names_in};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

fn rename2(mounted: &Mounted, from: &str, to: &str, flags: RenameFlags) -> nix::Result<()> {
    renameat2(AT_FDCWD, &mounted.path(from), AT_FDCWD, &mounted.path(to), flags)
}

#[test]
fn noreplace_replaces_nothing() {
    let mounted = Mounted::start();
    mounted.sh("echo a > a; echo b > b; mkdir d");
    let no = RenameFlags::RENAME_NOREPLACE;
    assert_eq!(rename2(&mounted, "a", "b", no), Err(Errno::EEXIST));
    assert_eq!(rename2(&mounted, "d", "b", no), Err(Errno::EEXIST));
    assert_eq!(rename2(&mounted, "a", "d/c", no), Ok(()));
    assert_eq!(rename2(&mounted, "nothing", "x", no), Err(Errno::ENOENT));
    assert_eq!(mounted.sh("cat b d/c; ls"), "b\na\nb\nd\n");
}

#[test]
fn exchange_swaps_files_trees_and_their_histories() {
    let mut mounted = Mounted::versioned();
    mounted.sh("echo a1 > a; echo a2 > a; echo b1 > b; mkdir -p d/sub; echo x > d/sub/f");
    let swap = RenameFlags::RENAME_EXCHANGE;
    rename2(&mounted, "a", "b", swap).unwrap();
    assert_eq!(mounted.sh("cat a b"), "b1\na2\n");
    rename2(&mounted, "a", "d", swap).unwrap();
    assert_eq!(mounted.sh("cat d a/sub/f"), "b1\nx\n");
    rename2(&mounted, "a/sub", "b", swap).unwrap();
    assert_eq!(mounted.sh("cat a/sub b/f"), "a2\nx\n");
    assert_eq!(rename2(&mounted, "a", "nothing", swap), Err(Errno::ENOENT));
    assert_eq!(rename2(&mounted, "a", "a/sub", swap), Err(Errno::EINVAL));
    mounted.restart();
    assert_eq!(mounted.sh("cat a/sub b/f d"), "a2\nx\nb1\n");
    assert_eq!(mounted.sh("cat a/.versions/sub/*"), "a1\na2\n");
    mounted.fsck();
}

#[test]
fn renames_that_make_no_sense_are_refused() {
    let mounted = Mounted::start();
    mounted.sh("mkdir -p d/e f; echo a > a; echo x > f/x");
    let rename = |from: &str, to: &str| errno(fs::rename(mounted.path(from), mounted.path(to)));
    assert_eq!(rename("d", "d/e/g"), Errno::EINVAL);
    assert_eq!(rename("d", "a"), Errno::ENOTDIR);
    assert_eq!(rename("a", "d"), Errno::EISDIR);
    assert_eq!(rename("d", "f"), Errno::ENOTEMPTY);
    assert_eq!(rename("none", "x"), Errno::ENOENT);
    assert_eq!(rename("a", "none/x"), Errno::ENOENT);
    assert_eq!(rename("a/b", "x"), Errno::ENOTDIR);
    fs::rename(mounted.path("a"), mounted.path("a")).unwrap();
    fs::hard_link(mounted.path("a"), mounted.path("b")).unwrap();
    fs::rename(mounted.path("a"), mounted.path("b")).unwrap();
    assert_eq!(names_in(&mounted.path("")), ["a", "b", "d", "f"]);
    fs::rename(mounted.path("f"), mounted.path("d/e")).unwrap();
    assert_eq!(fs::read(mounted.path("d/e/x")).unwrap(), b"x\n");
}

#[test]
fn a_renamed_tree_takes_its_history_along() {
    let mounted = Mounted::versioned();
    mounted.sh("mkdir -p old/sub; echo 1 > old/sub/f; echo 2 > old/sub/f; echo g > old/g; rm old/g; mv old new");
    assert_eq!(mounted.sh("cat new/sub/.versions/f/*; cat new/.versions/g/* | head -1; ls"), "1\n2\ng\nnew\n");
    mounted.sh("test ! -e .versions/old; mv new/sub/f new/f; cat new/.versions/f/*");
    // A name that got another file keeps its own history below.
    mounted.sh("echo x > new/h; echo y > new/i; mv new/i new/h");
    assert_eq!(mounted.sh("cat new/.versions/h/*"), "x\ny\n");
}

#[test]
fn inode_numbers_and_open_handles_survive_renames() {
    let mut mounted = Mounted::start();
    mounted.sh("mkdir -p a/b; echo x > a/b/f");
    let before = fs::metadata(mounted.path("a/b/f")).unwrap().ino();
    let dir = fs::metadata(mounted.path("a/b")).unwrap().ino();
    fs::rename(mounted.path("a"), mounted.path("c")).unwrap();
    fs::rename(mounted.path("c/b/f"), mounted.path("f")).unwrap();
    assert_eq!(fs::metadata(mounted.path("f")).unwrap().ino(), before);
    mounted.restart();
    assert_eq!(fs::metadata(mounted.path("f")).unwrap().ino(), before);
    assert_eq!(fs::metadata(mounted.path("c/b")).unwrap().ino(), dir);
}

/// Somebody who looks all the time sees the file under the name at every moment, whole.
fn replace_while_read(mounted: &Mounted) {
    let path = mounted.path("f");
    // In the index, and in files of the store.
    let body = |round: usize| format!("{round:06}").repeat(if round.is_multiple_of(2) { 2000 } else { 100 });
    fs::write(&path, body(0)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let seen = fs::read_to_string(&path).unwrap();
                    let round: usize = seen[..6].parse().unwrap();
                    assert!(seen == body(round), "a mixture of two versions");
                    assert!(round >= last, "{round} after {last}");
                    last = round;
                }
            });
        }
        for round in 1..300 {
            fs::write(mounted.path("new"), body(round)).unwrap();
            fs::rename(mounted.path("new"), &path).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn replacing_by_rename_is_atomic_for_readers() {
    let mounted = Mounted::start();
    replace_while_read(&mounted);
}

#[test]
fn replacing_by_rename_keeps_all_versions() {
    let mounted = Mounted::versioned();
    replace_while_read(&mounted);
    assert_eq!(names_in(&mounted.path(".versions")), ["f"]);
    assert_eq!(mounted.versions("f").len(), 300);
}
