//! A disk that hangs: what needs no disk goes on, the mount leaves the tree in bounded time, nobody hangs in it, and what
//! was acknowledged is there when the disk is back. Needs root: the disk is a file system that is frozen.

use super::guard::Guard;
use super::{Mounted, pattern, text};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What needs no disk takes milliseconds, on a machine with much else to do seconds.
pub const SOON: Duration = Duration::from_secs(6);
/// Until a mount that is told to end has left the tree, and until nobody hangs in it.
const LEFT: Duration = Duration::from_secs(8);
pub const RELEASED: Duration = Duration::from_secs(14);

/// Has a file system take no writes until the answer is dropped.
#[track_caller]
fn freeze(at: &Path) -> Guard {
    let frozen = Guard::new("read -r _ || true; fsfreeze -u \"$1\"", &[at.to_str().unwrap()]);
    assert!(Command::new("fsfreeze").arg("-f").arg(at).status().unwrap().success());
    frozen
}

/// A store on ext4 of its own, of so many bytes.
pub fn on_a_disk(bytes: u64) -> Mounted {
    let mut mounted = Mounted::unmounted();
    mounted.on_disk(|at| {
        let image = at.with_file_name("image");
        fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        assert!(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image).status().unwrap().success());
        assert!(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(at).status().unwrap().success());
        fs::remove_dir(at.join("lost+found")).unwrap();
    });
    mounted.remount("");
    mounted
}

/// The same, with a bucket, and in it a file that is durable.
fn on_a_disk_that_can_freeze() -> Mounted {
    let mounted = on_a_disk(400 << 20);
    fs::create_dir(mounted.path("")).unwrap();
    fs::write(mounted.path("known"), pattern(1, 3 << 20)).unwrap();
    mounted.sh("sync known");
    mounted
}

/// Starts a script of bash in the bucket.
pub fn start(mounted: &Mounted, script: &str) -> Child {
    let mut command = Command::new("bash");
    command.args(["-euc", script]).current_dir(mounted.root()).stdin(Stdio::null()).stderr(Stdio::null());
    command.env("B", mounted.path("")).env("K", super::harness::KEYFOLD).env("S", mounted.store());
    command.env("M", mounted.root()).current_dir("/").stdout(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end of a program; none when it has not ended in time.
pub fn ends(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + within;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// What a script says that must end well, and soon.
#[track_caller]
pub fn soon(mounted: &Mounted, script: &str) -> String {
    let mut child = start(mounted, script);
    let status = ends(&mut child, SOON).unwrap_or_else(|| panic!("hangs: {script}"));
    assert!(status.success(), "{script}: {status}");
    text(&child.wait_with_output().unwrap().stdout)
}

pub fn is_mounted(root: &Path) -> bool {
    fs::read_to_string("/proc/self/mounts").unwrap().contains(root.to_str().unwrap())
}

/// Sends the process SIGTERM, upon which the mount leaves the tree.
#[track_caller]
pub fn terminate(mounted: &Mounted) {
    assert!(Command::new("kill").arg(mounted.pid().to_string()).status().unwrap().success());
    let end = Instant::now() + LEFT;
    while is_mounted(&mounted.root()) {
        assert!(Instant::now() < end, "it is still mounted");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Holds a file open whose bytes are acknowledged and nowhere but in memory.
pub fn hold_open(mounted: &Mounted) -> Child {
    let holder = start(mounted, "exec 7>$B/held; echo acknowledged >&7; echo >$B/ready; exec sleep 60");
    let end = Instant::now() + SOON;
    while !mounted.path("ready").exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    holder
}

/// A program that writes more than memory is to hold, and so waits for the disk.
#[track_caller]
fn writer(mounted: &Mounted) -> Child {
    let mut writer = start(mounted, "head -c 16000000 /dev/zero >$B/large; sync $B/large");
    assert!(ends(&mut writer, Duration::from_millis(700)).is_none(), "the disk does not hang");
    writer
}

#[test]
fn what_needs_no_disk_goes_on_while_the_disk_hangs() {
    let mut mounted = on_a_disk_that_can_freeze();
    fs::write(mounted.path("small"), "in the index").unwrap();
    let frozen = freeze(&mounted.store());
    let mut writer = writer(&mounted);
    // More than there are threads for requests that wait.
    let mut syncing: Vec<_> = (0..24).map(|n| start(&mounted, &format!("echo {n} >$B/f{n}; sync $B/f{n}"))).collect();
    assert!(ends(&mut syncing[23], Duration::from_millis(300)).is_none());
    assert_eq!(soon(&mounted, "cat $B/small"), "in the index");
    let len = |text: String| text.trim().parse::<u64>().unwrap();
    assert_eq!(len(soon(&mounted, "cat $B/known | wc -c")), 3 << 20);
    // Also the file whose write waits: as it was before that write.
    let size = len(soon(&mounted, "stat -c %s $B/large"));
    assert!(size > 0 && size < 16_000_000, "{size}");
    assert!(soon(&mounted, "ls -l $B").contains("large"));
    assert_eq!(soon(&mounted, "echo new >$B/new; cat $B/new; mv $B/new $B/newer; rm $B/newer"), "new\n");
    assert!(soon(&mounted, "df $M").contains("mnt"));
    assert!(soon(&mounted, "$K status $S").contains("mnt"));
    assert!(soon(&mounted, "$K ls --store $S bkt").contains("known"));
    assert!(writer.try_wait().unwrap().is_none());
    drop(frozen);
    assert!(ends(&mut writer, RELEASED).expect("it goes on when the disk does").success());
    for child in &mut syncing {
        assert!(ends(child, RELEASED).unwrap().success());
    }
    mounted.crash();
    assert_eq!(fs::metadata(mounted.path("large")).unwrap().len(), 16_000_000);
    for n in 0..24 {
        assert_eq!(fs::read_to_string(mounted.path(&format!("f{n}"))).unwrap(), format!("{n}\n"));
    }
}

#[test]
fn sigterm_ends_the_mount_while_the_disk_hangs_and_loses_nothing() {
    let mut mounted = on_a_disk_that_can_freeze();
    let frozen = freeze(&mounted.store());
    let (holder, mut writer) = (hold_open(&mounted), writer(&mounted));
    terminate(&mounted);
    assert!(!ends(&mut writer, RELEASED).expect("a program hangs in a mount that is gone").success());
    held_is_kept(&mut mounted, holder, frozen);
    assert!(fs::read(mounted.path("known")).unwrap() == pattern(1, 3 << 20));
    mounted.fsck();
}

#[test]
fn sigterm_takes_a_mount_away_whose_unmounting_waits_for_the_disk() {
    let mut mounted = on_a_disk_that_can_freeze();
    let frozen = freeze(&mounted.store());
    let (holder, mut writer) = (hold_open(&mounted), writer(&mounted));
    let mut umount = start(&mounted, "$K umount $M");
    assert!(ends(&mut umount, Duration::from_millis(700)).is_none(), "it does not wait for the disk");
    assert!(soon(&mounted, "$K status $S").contains("mnt"), "it is mounted still");
    terminate(&mounted);
    assert!(!ends(&mut writer, RELEASED).expect("a program hangs in a mount that is gone").success());
    held_is_kept(&mut mounted, holder, frozen);
    assert!(ends(&mut umount, SOON).expect("umount hangs").success());
    mounted.fsck();
}

/// The program that holds a file open ends, the disk answers, and what was acknowledged is there.
pub fn held_is_kept<T>(mounted: &mut Mounted, mut holder: Child, held: T) {
    holder.kill().unwrap();
    assert!(ends(&mut holder, SOON).is_some());
    drop(held);
    mounted.gone();
    mounted.restart();
    assert_eq!(fs::read_to_string(mounted.path("held")).unwrap(), "acknowledged\n");
}

#[test]
fn a_lazy_unmount_is_not_held_up_by_a_disk_that_hangs() {
    let mut mounted = on_a_disk_that_can_freeze();
    let frozen = freeze(&mounted.store());
    let (holder, mut writer) = (hold_open(&mounted), writer(&mounted));
    soon(&mounted, "$K umount --lazy $M");
    assert!(!is_mounted(&mounted.root()));
    assert!(ends(&mut writer, RELEASED).is_some(), "a program hangs in a mount that is gone");
    held_is_kept(&mut mounted, holder, frozen);
}

#[test]
fn nobody_hangs_for_ever_in_a_mount_whose_process_was_killed_while_the_disk_hung() {
    let mut mounted = on_a_disk_that_can_freeze();
    let frozen = freeze(&mounted.store());
    let mut writer = writer(&mounted);
    assert!(Command::new("kill").args(["-9", &mounted.pid().to_string()]).status().unwrap().success());
    // The process cannot end before the disk answers, but its mount can.
    let mut umount = start(&mounted, "$K umount --lazy $M");
    assert!(ends(&mut umount, RELEASED).expect("umount hangs").success());
    assert!(!is_mounted(&mounted.root()));
    assert!(ends(&mut writer, SOON).is_some(), "a program hangs in a mount that is gone");
    drop(frozen);
    mounted.die();
    mounted.restart();
    assert!(fs::read(mounted.path("known")).unwrap() == pattern(1, 3 << 20));
    mounted.fsck();
}
