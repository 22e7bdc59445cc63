//! Mounts over their lives: one process a store, and every way one can end.

use super::bench::{Bench, until};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

fn signal(pid: u64, name: &str) {
    assert!(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap().success());
}

#[test]
fn mounts_of_a_store_meet_in_one_process_that_ends_with_the_last() {
    let bench = Bench::new();
    bench.mount();
    let pid = bench.pid();
    std::fs::create_dir_all(bench.mountpoint.join("photos/2026")).unwrap();
    std::fs::write(bench.mountpoint.join("photos/2026/cat"), "meow").unwrap();
    let second = bench.store.with_file_name("second");
    std::fs::create_dir(&second).unwrap();
    let places = [bench.store.as_os_str(), second.as_os_str()];
    bench.ok(&["mount".as_ref(), places[0], places[1], "-o".as_ref(), "bucket=photos/2026,ro".as_ref()]);
    assert_eq!(bench.pid(), pid);
    assert_eq!(std::fs::read_to_string(second.join("cat")).unwrap(), "meow");
    assert!(std::fs::write(second.join("dog"), "").is_err());
    assert_eq!(bench.json(&["stat".as_ref(), second.join("cat").as_os_str()])[0]["key"], "2026/cat");
    bench.fails(5, &["mount".as_ref(), places[0], places[1]]);
    bench.umount();
    assert_eq!(bench.pid(), pid);
    bench.ok(&["umount".as_ref(), places[1]]);
    // The last umount returns when the store is free.
    assert!(!bench.store.join("control.sock").exists());
    assert_ne!(bench.pid(), pid);
}

#[test]
fn sigterm_publishes_what_is_open() {
    let bench = Bench::new();
    bench.mount();
    std::fs::create_dir(bench.mountpoint.join("photos")).unwrap();
    let mut file = std::fs::File::create(bench.mountpoint.join("photos/open")).unwrap();
    file.write_all(b"unfinished").unwrap();
    signal(bench.pid(), "TERM");
    until("unmounted", || !bench.is_mounted(&bench.mountpoint));
    drop(file);
    assert_eq!(bench.json(&["ls", "photos"])[0]["size"], 10);
}

#[test]
fn a_killed_process_leaves_a_mount_that_can_be_replaced() {
    let bench = Bench::new();
    bench.mount();
    std::fs::create_dir(bench.mountpoint.join("photos")).unwrap();
    std::fs::write(bench.mountpoint.join("photos/cat"), "meow").unwrap();
    Command::new("sync").arg("-f").arg(bench.mountpoint.join("photos/cat")).status().unwrap();
    signal(bench.pid(), "KILL");
    let places = [bench.store.as_os_str(), bench.mountpoint.as_os_str()];
    until("the mount is dead", || std::fs::metadata(&bench.mountpoint).is_err());
    let doctor = bench.run(&["doctor"]);
    assert_eq!(doctor.status, Some(1), "{doctor:?}");
    assert!(doctor.out.contains(&format!("umount --lazy {}", bench.mountpoint.display())), "{doctor:?}");
    bench.fails(5, &["mount".as_ref(), places[0], places[1]]);
    bench.ok(&["mount".as_ref(), "--replace".as_ref(), places[0], places[1]]);
    assert!(bench.mountpoint.join("photos").is_dir());
    assert_eq!(bench.run(&["fsck"]).status, Some(0));
    bench.umount();
}

#[test]
fn a_mount_in_use_is_unmounted_lazily_and_serves_its_users_to_the_end() {
    let bench = Bench::new();
    bench.mount();
    std::fs::create_dir(bench.mountpoint.join("photos")).unwrap();
    let mut file = std::fs::File::create(bench.mountpoint.join("photos/open")).unwrap();
    bench.fails(5, &["umount".as_ref(), bench.mountpoint.as_os_str()]);
    bench.ok(&["umount".as_ref(), "--lazy".as_ref(), bench.mountpoint.as_os_str()]);
    file.write_all(b"still here").unwrap();
    drop(file);
    until("the process ends", || !bench.store.join("control.sock").exists());
    assert_eq!(bench.json(&["ls", "photos"])[0]["size"], 10);
}

#[test]
fn a_mount_that_cannot_be_says_why() {
    let bench = Bench::new();
    let inside = bench.mountpoint.join("store");
    let at = bench.mountpoint.as_os_str();
    bench.fails(2, &["mount".as_ref(), inside.as_os_str(), at]);
    bench.fails(3, &["mount".as_ref(), bench.store.as_os_str(), "/nonexistent".as_ref()]);
    let error = bench.fails(2, &["mount".as_ref(), bench.store.as_os_str(), at, "-o".as_ref(), "bukket=x".as_ref()]);
    assert!(error.contains("bucket"), "{error}");
    // This one fails in the background, and is told by the process in front.
    let error = bench.fails(3, &["mount".as_ref(), bench.store.as_os_str(), at, "-o".as_ref(), "bucket=none".as_ref()]);
    assert!(error.contains("\"none\""), "{error}");
    let foreign = bench.store.with_file_name("foreign");
    std::fs::create_dir_all(foreign.join("something")).unwrap();
    bench.fails(6, &["mount".as_ref(), foreign.as_os_str(), at]);
}

#[test]
fn the_mount_helper_and_the_bare_form() {
    let bench = Bench::new();
    let helper = bench.store.with_file_name("mount.keyfold");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_keyfold"), &helper).unwrap();
    let run = |program: &std::path::Path, options: &str| {
        let mut command = Command::new(program);
        command.arg(&bench.store).arg(&bench.mountpoint).args(["-o", options]).output().unwrap()
    };
    assert!(run(&helper, "rw,noatime,_netdev,nofail").status.success());
    bench.umount();
    assert_eq!(run(&helper, "no_such_option").status.code(), Some(1));
    assert!(run(env!("CARGO_BIN_EXE_keyfold").as_ref(), "rw,dev,suid").status.success());
    bench.umount();
}

#[test]
fn a_store_with_a_long_path_is_served() {
    let mut bench = Bench::new();
    bench.store = bench.store.with_file_name("s".repeat(150));
    bench.mount();
    assert!(bench.pid() > 0);
    bench.umount();
}

#[test]
fn nonsense_on_the_socket_harms_nobody() {
    let bench = Bench::new();
    bench.mount();
    let sent: &[&[u8]] = &[b"", b"\xff\xff\xff\xff", b"\x02\0\0\0{}", b"\x04\0\0\0nul", &[0xa5; 4096]];
    for bytes in sent {
        let mut stream = UnixStream::connect(bench.store.join("control.sock")).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer.is_empty(), bytes.is_empty(), "{bytes:?}: {answer:?}");
    }
    assert!(bench.pid() > 0);
    bench.umount();
}

#[test]
fn events_are_followed_until_the_process_ends() {
    let bench = Bench::new();
    bench.mount();
    std::fs::create_dir(bench.mountpoint.join("photos")).unwrap();
    let mut command = bench.command();
    command.args(["--json", "events", "tail", "--follow"]).stdout(std::process::Stdio::piped());
    let mut follow = command.spawn().unwrap();
    std::fs::write(bench.mountpoint.join("photos/cat"), "meow").unwrap();
    bench.umount();
    let mut text = String::new();
    follow.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(follow.wait().unwrap().success());
    assert!(text.lines().any(|line| line.contains("\"key\":\"cat\"")), "{text}");
}
