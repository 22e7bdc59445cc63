//! `keyfold mount --replace`: whose place is taken, by which steps, and whose never.

use super::{Mounted, errno, text};
use crate::long;
use nix::errno::Errno;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn mount(mounted: &Mounted, how: &[&str]) -> Output {
    // Not from within the mount, which may hang.
    let mut command = Command::new(super::harness::KEYFOLD);
    command.arg("mount").args(how).args([mounted.store(), mounted.root()]).output().unwrap()
}

/// The process that owns the store, as its lock names it.
fn owner(mounted: &Mounted) -> u32 {
    let line = fs::read_to_string(mounted.store().join("LOCK")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn umount(mounted: &Mounted) {
    let root = mounted.root();
    let output = mounted.keyfold(&["umount", root.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap().success());
}

#[test]
fn a_dead_mount_says_how_to_mend_it_and_is_replaced() {
    let mut mounted = Mounted::start();
    mounted.sh("echo kept >file; sync file");
    mounted.die();
    assert_eq!(errno(fs::metadata(mounted.root())), Errno::ENOTCONN);
    let refused = mount(&mounted, &[]);
    let said = text(&refused.stderr);
    assert!(refused.status.code() == Some(5) && said.contains("ended") && said.contains("--replace"), "{said}");
    for how in ["--replace=dead", "--replace", "--replace=force"] {
        let output = mount(&mounted, &[how]);
        assert!(output.status.success(), "{how}: {}", text(&output.stderr));
        assert_eq!(fs::read_to_string(mounted.path("file")).unwrap(), "kept\n");
        if how != "--replace=force" {
            signal(owner(&mounted), "KILL");
            let end = Instant::now() + Duration::from_secs(10);
            while fs::metadata(mounted.root()).is_ok() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    let living = mount(&mounted, &["--replace=dead"]);
    assert_eq!(living.status.code(), Some(5), "only the dead are replaced: {}", text(&living.stderr));
    umount(&mounted);
    assert!(!fs::read_to_string("/proc/self/mounts").unwrap().contains(mounted.root().to_str().unwrap()));
}

#[test]
fn a_running_process_hands_over_with_all_its_mounts_and_what_is_open() {
    let mut mounted = Mounted::start();
    mounted.sh("echo kept >file; mkdir $T/second");
    let second = mounted.aside("second");
    let output =
        mounted.keyfold(&["mount", mounted.store().to_str().unwrap(), second.to_str().unwrap(), "-o", "bucket=bkt,ro"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut open = File::create(mounted.path("open")).unwrap();
    open.write_all(b"acknowledged").unwrap();
    let (before, ino) = (owner(&mounted), fs::metadata(mounted.path("file")).unwrap().ino());
    let output = mount(&mounted, &["--replace"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_ne!(owner(&mounted), before);
    mounted.gone();
    assert_eq!(fs::read_to_string(mounted.path("open")).unwrap(), "acknowledged");
    assert_eq!(fs::metadata(mounted.path("file")).unwrap().ino(), ino);
    assert_eq!(fs::read_to_string(second.join("file")).unwrap(), "kept\n");
    assert_eq!(errno(fs::write(second.join("x"), "")), Errno::EROFS);
    // Who has a file of the old mount open hears that it is gone, and opens it anew.
    assert_eq!(errno(open.write_all(b"more")), Errno::ENOTCONN);
    drop(open);
    fs::write(mounted.path("open"), "again").unwrap();
    let output = mounted.keyfold(&["umount", second.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    umount(&mounted);
}

#[test]
fn a_process_that_hangs_is_ended_by_force_only() {
    let mut mounted = Mounted::start();
    mounted.sh("echo kept >file; sync file");
    let hung = owner(&mounted);
    signal(hung, "STOP");
    if long() {
        let refused = mount(&mounted, &["--replace"]);
        let said = text(&refused.stderr);
        assert!(refused.status.code() == Some(6) && said.contains("--replace=force"), "{said}");
    }
    let output = mount(&mounted, &["--replace=force"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_ne!(owner(&mounted), hung);
    assert_eq!(fs::read_to_string(mounted.path("file")).unwrap(), "kept\n");
    mounted.die();
    umount(&mounted);
}

/// The lock is held, and names a number that an innocent process has.
#[test]
fn an_innocent_process_is_never_signalled() {
    let mut mounted = Mounted::start();
    let line = fs::read_to_string(mounted.store().join("LOCK")).unwrap();
    mounted.die();
    let mut innocent = Command::new("sleep").arg("60").spawn().unwrap();
    let lock = File::options().read(true).write(true).open(mounted.store().join("LOCK")).unwrap();
    lock.try_lock().unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    let forms = [
        format!("{}\n", innocent.id()),
        format!("{} {} {}\n", innocent.id(), words[1], words[2]),
        format!("{} another-boot {}\n", innocent.id(), words[2]),
    ];
    for form in forms {
        fs::write(mounted.store().join("LOCK"), &form).unwrap();
        let refused = mount(&mounted, &["--replace=force"]);
        assert_eq!(refused.status.code(), Some(6), "{form}{}", text(&refused.stderr));
        assert!(innocent.try_wait().unwrap().is_none(), "{form}");
    }
    drop(lock);
    innocent.kill().unwrap();
    innocent.wait().unwrap();
    let output = mount(&mounted, &["--replace"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    umount(&mounted);
}
