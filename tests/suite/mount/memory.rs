//! The ceiling of memory holds under load, in a control group that allows little more. Needs root.

use super::group::Group;
use super::{Mounted, pattern, text};
use crate::long;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
const CEILING: u64 = 128 * MIB;
/// For pages of files, which the kernel counts and can take back, and for what the programs' allocators keep.
const SLACK: u64 = 48 * MIB;

/// Mounts in the background, in a control group; the process.
fn mount_in(group: &Group, mounted: &Mounted) -> u32 {
    let output = Command::new("sh")
        .args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$1\" mount --replace=dead \"$2\" \"$3\""])
        .args([group.dir(), Path::new(super::harness::KEYFOLD), &mounted.store(), &mounted.root()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lock = fs::read_to_string(mounted.store().join("LOCK")).unwrap();
    lock.split_whitespace().next().unwrap().parse().unwrap()
}

fn umount(mounted: &Mounted) {
    let output = mounted.keyfold(&["umount", mounted.root().to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Sets the ceiling of a store for its next mount.
fn ceiling(mounted: &Mounted, size: &str) {
    fs::write(mounted.store().join("keyfold.toml"), format!("[memory]\nceiling = \"{size}\"\n")).unwrap();
}

/// The most memory a process had that is not pages of files, in bytes.
fn most_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

#[test]
fn the_ceiling_holds_under_load() {
    let (files, blocks, names, readers, rounds) =
        if long() { (2000, 8, 300_000, 64, 60) } else { (400, 6, 17_000, 24, 6) };
    let mounted = Mounted::unmounted();
    assert!(mounted.keyfold(&["init", mounted.store().to_str().unwrap()]).status.success());
    ceiling(&mounted, "128MiB");
    let group = Group::new(&format!("keyfold-ceiling-{}", std::process::id()), CEILING + SLACK);
    let pid = mount_in(&group, &mounted);
    fs::create_dir(mounted.path("")).unwrap();
    let large = pattern(9, 24 << 20);
    fs::write(mounted.path("large"), &large).unwrap();
    fs::create_dir(mounted.path("dir")).unwrap();
    let open: Vec<File> = (0..files)
        .map(|n| File::options().create(true).truncate(true).write(true).open(mounted.path(&format!("w{n}"))).unwrap())
        .collect();
    let block = |file: usize, n: u64| pattern(file as u64 * 100 + n, 64 << 10);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..blocks {
                for (at, file) in open.iter().enumerate() {
                    file.write_all_at(&block(at, n), n * (64 << 10)).unwrap();
                }
            }
        });
        for reader in 0..readers {
            let (mounted, large) = (&mounted, &large);
            scope.spawn(move || {
                let mut file = File::open(mounted.path("large")).unwrap();
                let mut bytes = vec![0; 1 << 20];
                for round in 0..rounds {
                    let at = (reader * 7 + round * 5) % 23 * (1 << 20) + 777;
                    file.seek(SeekFrom::Start(at as u64)).unwrap();
                    file.read_exact(&mut bytes).unwrap();
                    assert!(bytes == large[at..at + (1 << 20)]);
                }
            });
        }
        scope.spawn(|| {
            for n in 0..names {
                File::create(mounted.path(&format!("dir/a-name-of-some-length-{n:08}"))).unwrap();
            }
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let entries = fs::read_dir(mounted.path("dir")).unwrap();
                        let empty = entries.filter(|entry| entry.as_ref().unwrap().metadata().unwrap().len() == 0);
                        assert_eq!(empty.count(), names);
                    });
                }
            });
        });
    });
    drop(open);
    assert_eq!(group.kills(), 0);
    let most = most_memory(pid);
    assert!(most <= CEILING + SLACK / 2, "{} MiB", most / MIB);
    umount(&mounted);
    mount_in(&group, &mounted);
    for at in 0..files {
        let body = fs::read(mounted.path(&format!("w{at}"))).unwrap();
        assert!(body == (0..blocks).flat_map(|n| block(at, n)).collect::<Vec<_>>(), "w{at}");
    }
    umount(&mounted);
    mounted.fsck();
}

/// A process that is killed for want of memory leaves a store that mounts, with all that was durable.
#[test]
fn a_process_killed_for_want_of_memory_loses_nothing_durable() {
    let mut mounted = Mounted::start();
    fs::write(mounted.path("kept"), pattern(1, 1 << 20)).unwrap();
    mounted.sh("sync kept");
    mounted.umount();
    ceiling(&mounted, "4GiB");
    let group = Group::new(&format!("keyfold-small-{}", std::process::id()), 80 * MIB);
    mount_in(&group, &mounted);
    let writing = std::thread::spawn({
        let at = mounted.path("");
        move || {
            let mut open = vec![];
            for n in 0..2000 {
                let Ok(file) = File::create(at.join(format!("w{n}"))) else { return };
                if file.write_all_at(&pattern(n, 100_000), 0).is_err() {
                    return;
                }
                open.push(file);
            }
        }
    });
    let end = Instant::now() + Duration::from_secs(20);
    while group.kills() == 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(group.kills() > 0, "it was not killed");
    writing.join().unwrap();
    ceiling(&mounted, "128MiB");
    let enough = Group::new(&format!("keyfold-enough-{}", std::process::id()), CEILING + SLACK);
    mount_in(&enough, &mounted);
    assert!(fs::read(mounted.path("kept")).unwrap() == pattern(1, 1 << 20));
    umount(&mounted);
    assert_eq!(enough.kills(), 0);
    mounted.fsck();
}
