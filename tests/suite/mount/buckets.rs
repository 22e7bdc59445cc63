//! Buckets: directories below the root, in each state of versioning; never renamed, never linked across.

use super::{Mounted, errno, names_in};
use nix::errno::Errno;
use std::fs::{self, File};

#[test]
fn mkdir_and_rmdir_make_and_delete_buckets() {
    let mut mounted = Mounted::bare("");
    let root = mounted.root();
    for name in ["abc", "my.bucket-1", "000"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    for name in ["ab", "Upper", "under_score", "-a-b", "a..b", "192.168.0.1", "xn--abc", &"a".repeat(64)] {
        assert_eq!(errno(fs::create_dir(root.join(name))), Errno::EINVAL, "{name}");
    }
    assert_eq!(errno(fs::create_dir(root.join("abc"))), Errno::EEXIST);
    mounted.restart();
    assert_eq!(names_in(&root), ["000", "abc", "my.bucket-1"]);
    fs::write(root.join("abc/f"), b"x").unwrap();
    assert_eq!(errno(fs::remove_dir(root.join("abc"))), Errno::ENOTEMPTY);
    fs::remove_file(root.join("abc/f")).unwrap();
    fs::remove_dir(root.join("abc")).unwrap();
    fs::remove_dir(root.join("000")).unwrap();
    assert_eq!(names_in(&root), ["my.bucket-1"]);
    assert!(File::create(root.join("file")).is_err(), "the root holds buckets only");
}

#[test]
fn buckets_are_never_renamed_and_nothing_moves_between_them_unseen() {
    let mounted = Mounted::start();
    let root = mounted.root();
    fs::create_dir(root.join("other")).unwrap();
    fs::write(mounted.path("f"), b"x").unwrap();
    fs::create_dir(mounted.path("d")).unwrap();
    assert_eq!(errno(fs::rename(root.join("bkt"), root.join("new"))), Errno::EPERM);
    assert_eq!(errno(fs::rename(root.join("bkt"), root.join("other"))), Errno::EPERM);
    assert_eq!(errno(fs::rename(mounted.path("f"), root.join("other/f"))), Errno::EXDEV);
    assert_eq!(errno(fs::rename(mounted.path("d"), root.join("other/d"))), Errno::EXDEV);
    assert_eq!(errno(fs::hard_link(mounted.path("f"), root.join("other/f"))), Errno::EXDEV);
    assert!(fs::rename(mounted.path("d"), root.join("new")).is_err());
    mounted.sh("mv f $M/other/f; cat $M/other/f > /dev/null; test ! -e f");
}

#[test]
fn a_bucket_with_history_is_not_empty() {
    let mounted = Mounted::versioned();
    fs::write(mounted.path("f"), b"x").unwrap();
    fs::remove_file(mounted.path("f")).unwrap();
    assert_eq!(names_in(&mounted.path("")).len(), 0);
    assert_eq!(errno(fs::remove_dir(mounted.path(""))), Errno::ENOTEMPTY);
    let history = mounted.path(".versions/f");
    for name in names_in(&history).into_iter().rev() {
        fs::remove_file(history.join(name)).unwrap();
    }
    fs::remove_dir(mounted.path("")).unwrap();
}

#[test]
fn each_state_of_versioning_keeps_what_it_should() {
    let mounted = Mounted::start();
    let history = || super::text(&mounted.try_sh("cat .versions/f/* 2> /dev/null").stdout);
    let count = || names_in(&mounted.path(".versions/f")).len();
    let state = |to: &str| xattr::set(mounted.path(""), "user.s3.versioning", to.as_bytes());
    // Unversioned: an overwrite and a delete leave nothing.
    mounted.sh("echo 1 > f; echo 2 > f");
    assert_eq!(history(), "2\n");
    mounted.sh("rm f; echo 3 > f");
    assert_eq!(history(), "3\n");
    // Enabled: what was there before is the null version and stays.
    state("Enabled").unwrap();
    mounted.sh("echo 4 > f; echo 5 > f");
    assert_eq!(history(), "3\n4\n5\n");
    assert!(mounted.versions("f")[2].ends_with("~null"), "{:?}", mounted.versions("f"));
    mounted.sh("rm f");
    assert_eq!(count(), 4);
    assert!(mounted.versions("f")[0].ends_with("~deleted"));
    // Suspended: one null version at a time, the others stay; a delete leaves a null marker.
    state("Suspended").unwrap();
    mounted.sh("echo 6 > f; echo 7 > f");
    assert_eq!(history(), "4\n5\n7\n");
    assert_eq!(mounted.sh("ls .versions/f | grep -c null"), "1\n");
    mounted.sh("rm f");
    assert_eq!(history(), "4\n5\n");
    assert!(mounted.versions("f")[0].ends_with("~null~deleted"), "{:?}", mounted.versions("f"));
    // Never back to unversioned.
    assert_eq!(errno(state("Disabled")), Errno::EINVAL);
    assert_eq!(xattr::get(mounted.path(""), "user.s3.versioning").unwrap().unwrap(), b"Suspended");
    mounted.fsck();
}

#[test]
fn a_mount_may_be_one_bucket_or_one_prefix() {
    let mut mounted = Mounted::versioned();
    mounted.sh("mkdir -p p/q; echo 1 > p/q/f; echo 2 > p/q/f; echo out > g");
    mounted.remount("bucket=bkt/p");
    let root = mounted.root();
    assert_eq!(names_in(&root), ["q"]);
    assert_eq!(fs::read(root.join("q/f")).unwrap(), b"2\n");
    assert_eq!(names_in(&root.join("q/.versions/f")).len(), 2);
    fs::write(root.join("new"), b"3").unwrap();
    fs::create_dir(root.join("No_bucket")).unwrap();
    mounted.remount("bucket=bkt");
    assert_eq!(fs::read(root.join("p/new")).unwrap(), b"3");
    assert_eq!(names_in(&root), ["g", "p"]);
    mounted.remount("bucket=bkt,ro");
    assert_eq!(errno(fs::write(root.join("x"), b"")), Errno::EROFS);
    assert_eq!(errno(fs::remove_file(root.join("g"))), Errno::EROFS);
}
