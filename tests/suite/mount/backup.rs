//! Backups of a store that is mounted and written to, seen as people see them: mounted, compared, restored.

use super::harness::{KEYFOLD, Mounted, detach, names_in, pattern, text};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mount beside the test's own.
struct Also(PathBuf);

impl Also {
    #[track_caller]
    fn of(store: &Path, at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        let also = Self(at);
        let output = Command::new(KEYFOLD).arg("mount").arg(store).arg(&also.0).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        also
    }
}

impl Drop for Also {
    fn drop(&mut self) {
        let _ = Command::new(KEYFOLD).arg("umount").arg(&self.0).output();
        detach(&self.0);
    }
}

#[track_caller]
fn backup(mounted: &Mounted, dest: &Path) -> PathBuf {
    let output = mounted.keyfold(&["--json", "backup", mounted.store().to_str().unwrap(), dest.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let row: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    PathBuf::from(row["backup"].as_str().unwrap())
}

#[test]
fn a_mounted_backup_and_a_restored_one_show_what_the_mount_showed() {
    let mounted = Mounted::versioned();
    mounted.sh("seq 100000 > a; mkdir -p d/e; cp a d/e/b; ln -s a l; ln d/e/b d/hard; echo 2 > a; setfattr -n user.s3.tag.x -v 1 a");
    mounted.sh("head -c 6000000 /dev/urandom > own; chmod 640 own; rm l; ln -s own l; : > empty");
    let mut open = File::create(mounted.path("open")).unwrap();
    open.write_all(&pattern(1, 200_000)).unwrap();
    let dest = mounted.aside("backups");
    let first = backup(&mounted, &dest);
    mounted.sh("echo 3 > a; rm -r d own");
    let second = backup(&mounted, &dest);
    open.write_all(&pattern(2, 200_000)).unwrap();
    drop(open);

    let (then, now) = (Also::of(&first, mounted.aside("then")), Also::of(&second, mounted.aside("now")));
    mounted.sh("diff -r --no-dereference -x open $M $T/now; cat $T/then/bkt/a | grep -qx 2; cmp $T/then/bkt/d/hard $T/then/bkt/d/e/b");
    mounted.sh("test $(getfattr -n user.s3.tag.x --only-values --absolute-names $T/then/bkt/a) = 1");
    // Half of it was published, if any: a program that is started closes what it inherits.
    assert!(fs::read(now.0.join("bkt/open")).is_ok_and(|bytes| bytes == pattern(1, 200_000)));
    assert_eq!(names_in(&then.0.join("bkt/.versions/a")), names_in(&mounted.path(".versions/a"))[1..]);
    assert_eq!(fs::write(then.0.join("bkt/a"), "4").unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    let output = mounted.keyfold(&["restore", then.0.join("bkt/a").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    let again = mounted.aside("again");
    let (from, to) = (first.to_str().unwrap(), again.to_str().unwrap());
    assert!(mounted.keyfold(&["backup", "--restore", from, to]).status.success());
    let restored = Also::of(&again, mounted.aside("back"));
    mounted.sh("diff -r --no-dereference $T/then $T/back");
    // A file comes back from a backup by a copy.
    fs::copy(then.0.join("bkt/own"), mounted.path("own")).unwrap();
    fs::write(restored.0.join("bkt/a"), "4").unwrap();
    drop((then, now, restored));
    for backup in [&first, &second, &again] {
        assert!(mounted.keyfold(&["fsck", backup.to_str().unwrap()]).status.success());
    }
    mounted.fsck();
}

#[test]
fn a_backup_on_a_disk_that_cannot_be_written_to_is_mounted() {
    let mounted = Mounted::start();
    fs::write(mounted.path("own"), pattern(1, 6_000_000)).unwrap();
    let disk = mounted.aside("disk");
    fs::create_dir(&disk).unwrap();
    struct Disk(PathBuf);
    impl Drop for Disk {
        fn drop(&mut self) {
            detach(&self.0);
        }
    }
    let disk = Disk(disk);
    mounted.sh("mount -t tmpfs tmpfs $T/disk");
    let generation = backup(&mounted, &disk.0);
    mounted.sh("mount -o remount,ro $T/disk");
    let then = Also::of(&generation, mounted.aside("then"));
    assert!(fs::read(then.0.join("bkt/own")).unwrap() == pattern(1, 6_000_000));
    drop(then);
    assert!(mounted.keyfold(&["backup", "--verify", disk.0.to_str().unwrap()]).status.success());
    let refused = mounted.keyfold(&["backup", mounted.store().to_str().unwrap(), disk.0.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("can be written to"), "{}", text(&refused.stderr));
}

#[test]
fn a_store_is_not_backed_up_into_itself() {
    let mounted = Mounted::start();
    let refused = mounted.keyfold(&["backup", mounted.store().to_str().unwrap(), mounted.path("b").to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("a mount of the store itself"), "{}", text(&refused.stderr));
    assert!(!mounted.path("b").exists());
}
