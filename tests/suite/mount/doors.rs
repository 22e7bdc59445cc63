//! Two mounts of one store and the command line: what one changes the other's kernel, which keeps what it was told, shows too.

use super::Mounted;
use super::ending::Slow;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Moments are milliseconds, on a machine with much else to do seconds.
const PATIENCE: Duration = Duration::from_secs(20);

#[track_caller]
pub(super) fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "the other mount does not show it: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The store mounted twice; the bucket on the second mount.
fn twice() -> (Mounted, PathBuf) {
    let mounted = Mounted::start();
    let second = mounted.aside("second");
    fs::create_dir(&second).unwrap();
    let said = mounted.keyfold(&["mount", mounted.store().to_str().unwrap(), second.to_str().unwrap()]);
    assert!(said.status.success(), "{said:?}");
    (mounted, second.join("bkt"))
}

#[test]
fn what_one_mount_changes_the_other_shows() {
    let (mut mounted, second) = twice();
    let (a, b) = (|name: &str| mounted.path(name), |name: &str| second.join(name));
    let absent = |name: &str| matches!(fs::metadata(b(name)), Err(error) if error.kind() == ErrorKind::NotFound);
    fs::write(a("f"), "one").unwrap();
    fs::create_dir(a("d")).unwrap();
    fs::write(a("d/in"), "in").unwrap();
    // The kernel of the second keeps all of this for ever.
    assert_eq!(fs::read(b("f")).unwrap(), b"one");
    assert!(absent("g") && absent("d/new") && fs::metadata(b("d/in")).is_ok());
    let open = File::open(b("f")).unwrap();
    let mut seen = [0; 16];
    assert_eq!(open.read_at(&mut seen, 0).unwrap(), 3);

    fs::write(a("f"), "three").unwrap();
    soon("other bytes", || fs::read(b("f")).unwrap() == b"three" && fs::metadata(b("f")).unwrap().len() == 5);
    soon("other bytes of an open file", || open.read_at(&mut seen, 0).unwrap() == 5 && &seen[..5] == b"three");
    fs::write(a("g"), "new").unwrap();
    soon("a new name", || fs::read(b("g")).is_ok_and(|bytes| bytes == b"new"));
    fs::rename(a("g"), a("d/new")).unwrap();
    soon("a rename", || absent("g") && fs::read(b("d/new")).is_ok_and(|bytes| bytes == b"new"));
    fs::set_permissions(a("f"), fs::Permissions::from_mode(0o600)).unwrap();
    soon("a mode", || fs::metadata(b("f")).unwrap().mode() & 0o777 == 0o600);
    fs::hard_link(a("f"), a("hard")).unwrap();
    soon("a link", || fs::metadata(b("f")).unwrap().nlink() == 2);
    for name in ["hard", "d/new", "d/in"] {
        fs::remove_file(a(name)).unwrap();
    }
    soon("removed files", || absent("hard") && absent("d/in") && fs::read_dir(b("d")).unwrap().next().is_none());
    fs::remove_dir(a("d")).unwrap();
    soon("a removed directory", || absent("d"));
    // And the other way round, and from neither.
    assert!(!fs::exists(a("back")).unwrap());
    fs::write(b("back"), "back").unwrap();
    soon("the other way round", || fs::read(a("back")).is_ok_and(|bytes| bytes == b"back"));
    assert!(mounted.keyfold(&["purge", "f", "--version", "null"]).status.success());
    soon("what the command line purged", || absent("f") && !fs::exists(a("f")).unwrap());
    drop(open);
    mounted.keyfold(&["umount", second.parent().unwrap().to_str().unwrap()]);
    fs::write(a("alone"), "alone").unwrap();
    mounted.umount();
    mounted.fsck();
}

/// Many changes on both sides at once: nothing hangs, and in the end both show the same.
#[test]
fn mounts_that_change_the_same_names_at_once_agree_in_the_end() {
    let (mut mounted, second) = twice();
    let sides = [mounted.path(""), second.clone()];
    std::thread::scope(|scope| {
        for (n, side) in sides.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..if crate::long() { 3000 } else { 200 } {
                    let at = |name: usize| side.join(format!("name-{}", name % 7));
                    // The other one may have been there first: any answer will do that is one.
                    let _ = fs::write(at(round), format!("{n} {round}"));
                    let _ = fs::rename(at(round + n), at(round * 3 + 1));
                    let _ = fs::create_dir(side.join(format!("dir-{}", round % 3)));
                    let _ = fs::remove_file(at(round * 5 + n));
                    let _ = fs::remove_dir(side.join(format!("dir-{}", (round + n) % 3)));
                    let _ = fs::read_dir(side).map(Iterator::count);
                }
            });
        }
    });
    let shown = |side: &PathBuf| -> Vec<(String, Option<Vec<u8>>, bool)> {
        let all = (0..7).map(|n| format!("name-{n}")).chain((0..3).map(|n| format!("dir-{n}")));
        all.map(|name| (name.clone(), fs::read(side.join(&name)).ok(), side.join(&name).is_dir())).collect()
    };
    soon("the same", || shown(&sides[0]) == shown(&sides[1]));
    mounted.keyfold(&["umount", second.parent().unwrap().to_str().unwrap()]);
    mounted.umount();
    mounted.fsck();
}

/// The thread that tells the kernel is slow: an answer of the command line waits for it.
#[test]
fn what_the_command_line_changed_is_shown_when_it_has_answered() {
    let mounted = Mounted::versioned();
    fs::write(mounted.path("f"), "back").unwrap();
    fs::remove_file(mounted.path("f")).unwrap();
    assert_eq!(fs::metadata(mounted.path("f")).unwrap_err().kind(), ErrorKind::NotFound);
    let mut threads =
        fs::read_dir(format!("/proc/{}/task", mounted.pid())).unwrap().map(|thread| thread.unwrap().path());
    let notifier =
        threads.find(|thread| fs::read_to_string(thread.join("comm")).unwrap() == "fuse-notifier\n").unwrap();
    let notifier = notifier.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let slow = Slow::calls(notifier, &[], "write,writev", "delay_enter=60000");
    let said = mounted.keyfold(&["undelete", "f"]);
    let seen = fs::read(mounted.path("f"));
    drop(slow);
    assert!(said.status.success(), "{said:?}");
    assert_eq!(seen.unwrap(), b"back");
}
