//! The past: `as_of` mounts, `.keyfold/at/TIME/`, and the hidden directories when they are shown.

use super::doors::soon;
use super::{Mounted, errno, names_in, text};
use nix::errno::Errno;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

/// An instant between two changes, as people write it.
pub(super) fn instant(mounted: &Mounted) -> String {
    mounted.sh("sleep 0.02; date -u +%Y-%m-%dT%H:%M:%S.%NZ | tr -d '\\n'; sleep 0.02")
}

#[test]
fn as_of_shows_a_tree_as_it_was() {
    let mut mounted = Mounted::versioned();
    mounted.sh("mkdir -p d/e; echo 1 > d/e/f; echo keep > keep; echo gone > gone; ln -s keep link; cp -a . $T/then");
    let then = instant(&mounted);
    mounted.sh("echo 2 > d/e/f; rm gone; echo new > new; rm link; rm -rf d; cp -a . $T/now");
    mounted.remount(&format!("as_of={then}"));
    assert_eq!(mounted.sh("diff -r --no-dereference . $T/then; cat d/e/f; readlink link"), "1\nkeep\n");
    assert_eq!(errno(fs::write(mounted.path("keep"), b"")), Errno::EROFS);
    assert_eq!(errno(fs::remove_file(mounted.path("keep"))), Errno::EROFS);
    assert_eq!(errno(fs::create_dir(mounted.path("x"))), Errno::EROFS);
    mounted.remount("");
    assert_eq!(mounted.sh("diff -r --no-dereference . $T/now"), "");
    // The same without another mount.
    assert_eq!(mounted.sh(&format!("diff -r --no-dereference .keyfold/at/{then} $T/then")), "");
}

#[test]
fn any_instant_can_be_named() {
    let mounted = Mounted::versioned();
    let mut instants = vec![];
    for round in 0..5 {
        instants.push(instant(&mounted));
        fs::write(mounted.path("f"), format!("{round}")).unwrap();
    }
    instants.push(instant(&mounted));
    let at = |instant: &str| fs::read_to_string(mounted.path(".keyfold/at").join(instant).join("f"));
    assert_eq!(errno(at(&instants[0])), Errno::ENOENT);
    for round in 0..5 {
        assert_eq!(at(&instants[round + 1]).unwrap(), format!("{round}"));
    }
    assert_eq!(names_in(&mounted.path(".keyfold/at")).len(), 0);
    assert_eq!(errno(fs::metadata(mounted.path(".keyfold/at/yesterday"))), Errno::ENOENT);
    let wrote = fs::write(mounted.path(".keyfold/at").join(&instants[1]).join("f"), b"");
    assert_eq!(errno(wrote), Errno::EROFS);
    // Out of the past by cp, with no more than shell tools.
    mounted.sh(&format!("cp -a .keyfold/at/{}/f f; test $(cat f) = 1", instants[2]));
}

#[test]
fn the_past_does_not_move_while_the_present_does() {
    let mounted = Mounted::versioned();
    for number in 0..300 {
        fs::write(mounted.path(&format!("f{number:03}")), b"then").unwrap();
    }
    let then = instant(&mounted);
    let past = mounted.path(".keyfold/at").join(&then);
    for number in 0..300 {
        match number % 3 {
            0 => fs::remove_file(mounted.path(&format!("f{number:03}"))).unwrap(),
            1 => fs::write(mounted.path(&format!("f{number:03}")), b"now").unwrap(),
            _ => fs::rename(mounted.path(&format!("f{number:03}")), mounted.path(&format!("g{number:03}"))).unwrap(),
        }
    }
    let names = names_in(&past);
    // Renames move history: a name that was renamed is seen then under the name it has now.
    assert_eq!(names.len(), 300, "{names:?}");
    for name in names {
        assert_eq!(fs::read(past.join(name)).unwrap(), b"then");
    }
}

#[test]
fn hidden_directories_are_listed_when_asked_for() {
    let mut mounted = Mounted::versioned();
    mounted.sh("mkdir d; echo 1 > d/f");
    mounted.remount("show_hidden");
    assert_eq!(names_in(&mounted.root()), [".keyfold", "bkt"]);
    let names = names_in(&mounted.path(""));
    for name in [".keyfold", ".versions", "d"] {
        assert!(names.iter().any(|listed| listed == name), "{names:?}");
    }
    assert!(names_in(&mounted.path("d")).contains(&".versions".to_owned()));
    assert_eq!(mounted.sh("find d -path '*.versions/f/*' | wc -l"), "1\n");
}

/// The kernel of a mount of the past keeps names too, and those are of today.
#[test]
fn a_mount_of_the_past_is_told_of_names_and_versions_that_go() {
    let mounted = Mounted::versioned();
    mounted.sh("echo 1 > f; echo 1 > purged; mkdir d; echo 1 > d/in");
    let then = instant(&mounted);
    mounted.sh("echo 2 > purged");
    let second = mounted.aside("second");
    fs::create_dir(&second).unwrap();
    let (store, at) = (mounted.store(), second.to_str().unwrap());
    let said = mounted.keyfold(&["mount", store.to_str().unwrap(), at, "-o", &format!("as_of={then}")]);
    assert!(said.status.success(), "{said:?}");
    let past = |name: &str| second.join("bkt").join(name);
    let absent = |name: &str| fs::metadata(past(name)).is_err();
    assert!(!absent("f") && absent("g") && !absent("purged"));
    let mut inside = Command::new("bash");
    inside.args(["-euc", "read -r _; pwd -P; cat in"]).current_dir(past("d"));
    let mut inside = inside.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();

    mounted.sh("rm -r d; mv f g");
    soon("a rename", || absent("f") && fs::read_to_string(past("g")).is_ok_and(|bytes| bytes == "1\n"));
    fs::remove_file(mounted.version("purged", &mounted.versions("purged")[1])).unwrap();
    soon("a version that was purged", || absent("purged"));
    // A directory that is gone today, and was told of before, stays under who works in it.
    inside.stdin.take().unwrap().write_all(b"\n").unwrap();
    let inside = inside.wait_with_output().unwrap();
    assert_eq!(text(&inside.stdout), format!("{}\n1\n", past("d").display()));
    assert!(mounted.keyfold(&["umount", at]).status.success());
}
