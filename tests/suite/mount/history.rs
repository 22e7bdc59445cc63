//! `.versions`: what was is read, copied, moved back, purged and undeleted with shell tools.

use super::{Mounted, errno, names_in};
use nix::errno::Errno;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

#[test]
fn versions_are_files_of_their_time() {
    let mut mounted = Mounted::versioned();
    mounted.sh("echo one > f; touch -d 2001-01-01 f; setfattr -n user.s3.tag.a -v 1 f; sleep 0.01; echo three > f");
    let before = mounted.versions("f");
    assert_eq!(before.len(), 2);
    assert!(before.is_sorted_by(|newer, older| newer > older), "newest first, and sortable: {before:?}");
    mounted.restart();
    assert_eq!(mounted.versions("f"), before);
    let old = mounted.version("f", &before[1]);
    let meta = fs::metadata(&old).unwrap();
    assert_eq!((meta.len(), meta.mtime(), meta.mode() & 0o7777), (4, 978_307_200, 0o444));
    assert_eq!(xattr::get(&old, "user.s3.tag.a").unwrap().unwrap(), b"1");
    assert_eq!(mounted.sh("find .versions -type f | wc -l; grep -l one .versions/f/* | wc -l"), "2\n1\n");
}

#[test]
fn nothing_is_written_into_history() {
    let mounted = Mounted::versioned();
    mounted.sh("echo one > f; echo two > f; mkdir d");
    let old = mounted.version("f", &mounted.versions("f")[1]);
    assert_eq!(errno(fs::write(&old, b"forged")), Errno::EROFS);
    assert_eq!(errno(fs::write(mounted.path(".versions/f/new"), b"")), Errno::EROFS);
    assert_eq!(errno(fs::write(mounted.path(".versions/new"), b"")), Errno::EROFS);
    assert_eq!(errno(fs::create_dir(mounted.path(".versions/new"))), Errno::EROFS);
    assert_eq!(errno(fs::hard_link(&old, mounted.path("link"))), Errno::EPERM);
    assert_eq!(errno(fs::rename(mounted.path("f"), mounted.path(".versions/f/x"))), Errno::EROFS);
    assert_eq!(errno(fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o666))), Errno::EROFS);
    assert_eq!(errno(fs::create_dir(mounted.path(".versions"))), Errno::EEXIST);
    assert!(fs::remove_dir(mounted.path(".versions")).is_err());
    assert_eq!(fs::read(&old).unwrap(), b"one\n");
    assert_eq!(mounted.versions("f").len(), 2);
}

#[test]
fn a_version_is_restored_by_cp_and_by_mv() {
    let mounted = Mounted::versioned();
    mounted.sh("echo one > f; setfattr -n user.s3.tag.a -v 1 f; echo two > f; echo three > f");
    let versions = mounted.versions("f");
    let one = mounted.version("f", &versions[2]);
    fs::copy(&one, mounted.path("f")).unwrap();
    assert_eq!(fs::read(mounted.path("f")).unwrap(), b"one\n");
    assert_eq!(mounted.versions("f").len(), 4);
    mounted.sh(&format!("mv .versions/f/{} f", versions[1]));
    assert_eq!(fs::read(mounted.path("f")).unwrap(), b"two\n");
    let after = mounted.versions("f");
    assert_eq!(after.len(), 5, "the entry stays where it was: {after:?}");
    assert!(versions.iter().all(|version| after.contains(version)));
    mounted.sh(&format!("cp -a .versions/f/{} g", versions[2]));
    assert_eq!(mounted.sh("cat g; getfattr -n user.s3.tag.a --only-values g"), "one\n1");
    mounted.fsck();
}

#[test]
fn rm_of_a_version_is_for_good() {
    let mounted = Mounted::versioned();
    mounted.sh("for i in 1 2 3; do echo $i > f; done");
    let versions = mounted.versions("f");
    fs::remove_file(mounted.version("f", &versions[1])).unwrap();
    assert_eq!(mounted.versions("f"), [versions[0].clone(), versions[2].clone()]);
    // Of the current one: the version below is current again.
    fs::remove_file(mounted.version("f", &versions[0])).unwrap();
    assert_eq!(fs::read(mounted.path("f")).unwrap(), b"1\n");
    fs::remove_file(mounted.version("f", &versions[2])).unwrap();
    assert_eq!(errno(fs::metadata(mounted.path("f"))), Errno::ENOENT);
    assert!(!mounted.path(".versions/f").exists());
    assert_eq!(errno(fs::remove_file(mounted.version("f", &versions[2]))), Errno::ENOENT);
}

#[test]
fn rm_of_the_topmost_marker_undeletes() {
    let mut mounted = Mounted::versioned();
    mounted.sh("echo one > f; rm f; test ! -e f");
    let versions = mounted.versions("f");
    assert!(versions[0].ends_with("~deleted"), "{versions:?}");
    assert_eq!(fs::metadata(mounted.version("f", &versions[0])).unwrap().len(), 0);
    mounted.restart();
    fs::remove_file(mounted.version("f", &versions[0])).unwrap();
    assert_eq!(mounted.sh("cat f; ls; ls .versions/f | wc -l"), "one\nf\n1\n");
    // A marker with something above it is only history.
    mounted.sh("rm f; echo two > f; rm .versions/f/*~deleted");
    assert_eq!(mounted.sh("cat f; cat .versions/f/*"), "two\none\ntwo\n");
    // Deleting what is deleted already leaves one marker.
    mounted.sh("rm f; rm -f f");
    assert_eq!(mounted.versions("f").len(), 3);
    mounted.fsck();
}

#[test]
fn a_deleted_directory_is_reached_below_its_parents_history() {
    let mut mounted = Mounted::versioned();
    mounted.sh("mkdir -p a/b/c; echo 1 > a/b/c/f; echo 2 > a/b/c/f; echo g > a/g; rm -r a; test ! -e a");
    mounted.restart();
    assert_eq!(names_in(&mounted.path("")).len(), 0);
    assert_eq!(names_in(&mounted.path(".versions")), ["a"]);
    let deep = mounted.path(".versions/a/.versions/b/.versions/c/.versions/f");
    let versions = names_in(&deep);
    assert_eq!(versions.len(), 3, "{versions:?}");
    assert_eq!(fs::read(deep.join(&versions[1])).unwrap(), b"2\n");
    // Undelete brings the file and the directories above it back.
    fs::remove_file(deep.join(&versions[0])).unwrap();
    assert_eq!(mounted.sh("find . -type f; cat a/b/c/f"), "./a/b/c/f\n2\n");
    mounted.sh("cp $(ls -d .versions/a/.versions/g/* | grep -v deleted) a/g; test \"$(cat a/g)\" = g");
    mounted.fsck();
}

#[test]
fn a_name_that_was_a_file_and_a_directory_has_both_histories() {
    let mounted = Mounted::versioned();
    mounted.sh("echo file > n; rm n; mkdir n; echo inside > n/f; rm -r n; echo again > n");
    assert_eq!(mounted.sh("cat .versions/n/*; cat .versions/n/.versions/f/*"), "file\nagain\ninside\n");
}

#[test]
fn an_open_version_is_read_to_its_end_though_it_is_purged() {
    let mounted = Mounted::versioned();
    let body = super::pattern(1, 5 << 20);
    fs::write(mounted.path("f"), &body).unwrap();
    fs::write(mounted.path("f"), b"new").unwrap();
    let old = mounted.version("f", &mounted.versions("f")[1]);
    let open = fs::File::open(&old).unwrap();
    fs::remove_file(&old).unwrap();
    let mut seen = vec![0; body.len()];
    open.read_exact_at(&mut seen, 0).unwrap();
    assert!(seen == body);
}

#[test]
fn the_command_line_sees_what_the_mount_sees() {
    let mounted = Mounted::versioned();
    mounted.sh("echo one > f; echo two > f; rm f");
    let versions = mounted.keyfold(&["versions", "--json", "f"]);
    assert_eq!(super::text(&versions.stdout).lines().count(), 3);
    assert!(mounted.keyfold(&["undelete", "f"]).status.success());
    assert_eq!(mounted.sh("cat f"), "two\n");
    let id = mounted.versions("f")[1].rsplit('~').next().unwrap().to_owned();
    assert!(mounted.keyfold(&["restore", "f", "--version", &id]).status.success());
    assert_eq!(mounted.sh("cat f"), "one\n");
    assert!(mounted.keyfold(&["purge", "f", "--version", &id]).status.success());
    assert_eq!(mounted.versions("f").len(), 2);
}
