//! A damaged byte in a data file: an error for its range and nothing else, and somebody says so.

use super::{Mounted, errno, pattern, text};
use nix::errno::Errno;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Every frame of the log is at most so long.
const FRAME: usize = 64 << 10;
const PAGE: usize = 4096;

/// The data file that holds `bytes`, and where.
fn find(dir: &Path, bytes: &[u8]) -> (PathBuf, u64) {
    for below in ["seg", "solo"] {
        let mut open = vec![dir.join(below)];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let data = fs::read(&path).unwrap();
                if let Some(at) = data.windows(bytes.len()).position(|window| window == bytes) {
                    return (path, at as u64);
                }
            }
        }
    }
    panic!("no data file holds the bytes");
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn one_flipped_byte(len: usize, damaged: usize) {
    let mut mounted = Mounted::versioned();
    let body = pattern(7, len);
    fs::write(mounted.path("f"), &body).unwrap();
    fs::write(mounted.path("other"), b"sound").unwrap();
    mounted.umount();
    let (path, at) = find(&mounted.store(), &body[damaged..damaged + 64]);
    flip(&path, at);
    mounted.restart();
    let file = File::open(mounted.path("f")).unwrap();
    let mut failed = vec![];
    for at in (0..len).step_by(PAGE) {
        let mut page = vec![0; PAGE.min(len - at)];
        match file.read_exact_at(&mut page, at as u64) {
            Ok(()) => assert!(page == body[at..at + page.len()], "wrong bytes at {at}"),
            Err(error) => {
                assert_eq!(errno::<()>(Err(error)), Errno::EIO);
                failed.push(at);
            }
        }
    }
    assert!(failed.contains(&(damaged / PAGE * PAGE)), "the damage is not noticed: {failed:?}");
    let (first, last) = (failed[0], *failed.last().unwrap());
    assert!(first + FRAME > damaged && last < damaged + FRAME, "more than its frame fails: {first} to {last}");
    drop(file);
    assert_eq!(fs::read(mounted.path("other")).unwrap(), b"sound");
    let errors = mounted.errors();
    assert!(errors.lines().any(|line| line.contains("\"f\"") && line.contains("why")), "{errors}");
    assert!(!mounted.try_sh("dd if=f of=/dev/null bs=1M").status.success());
    // What is written anew over the damage is good again, and history tells what is lost.
    OpenOptions::new()
        .write(true)
        .open(mounted.path("f"))
        .unwrap()
        .write_all_at(&body[first..len.min(last + PAGE)], first as u64)
        .unwrap();
    assert!(fs::read(mounted.path("f")).unwrap() == body);
    let output = mounted.keyfold(&["fsck", mounted.store().to_str().unwrap()]);
    assert!(matches!(output.status.code(), Some(0 | 7)), "{}", text(&output.stderr));
}

#[test]
fn in_a_file_of_a_segment() {
    one_flipped_byte(700_000, 333_333);
}

#[test]
fn in_a_large_file() {
    one_flipped_byte(40 << 20, 23_456_789);
}

#[test]
fn in_the_last_bytes() {
    one_flipped_byte(200_001, 199_900);
}
