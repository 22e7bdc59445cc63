//! A full disk: writes are refused in time, nothing is lost, deletes work, and service returns after them.

use super::{Mounted, errno, pattern};
use nix::errno::Errno;
use std::fs::{self, File};
use std::io::Write;
use std::time::{Duration, Instant};

/// A new store with a bucket, on a disk of 96 MiB.
fn on_small_disk() -> Mounted {
    let mut mounted = Mounted::unmounted();
    mounted.on_small_disk("96m");
    mounted.remount("");
    fs::create_dir(mounted.path("")).unwrap();
    mounted
}

/// Writes a file and makes it durable.
fn write(mounted: &Mounted, name: &str, seed: u64, len: usize) -> std::io::Result<()> {
    let mut file = File::create(mounted.path(name))?;
    file.write_all(&pattern(seed, len))?;
    file.sync_all()
}

fn fills_and_recovers(len: usize) {
    let mut mounted = on_small_disk();
    let mut kept = vec![];
    fs::write(mounted.path("small"), b"in the index").unwrap();
    let refused = loop {
        let number = kept.len() as u64;
        let name = format!("f{number}");
        match write(&mounted, &name, number, len) {
            Ok(()) => kept.push(number),
            Err(error) => break (name, error),
        }
        assert!(kept.len() * len < 96 << 20, "more fits than there is");
    };
    assert_eq!(errno::<()>(Err(refused.1)), Errno::ENOSPC);
    let used = || mounted.sh("df $T/store; find $T/store -type f -size +64k -ls");
    // A quarter is the reserve; the index's log has room made for it beforehand, twice while one takes over.
    assert!(kept.len() * len > 30 << 20, "full after {} bytes\n{}", kept.len() * len, used());
    assert!(mounted.errors().contains("mend"), "{}", mounted.errors());
    let check = |mounted: &Mounted, kept: &[u64]| {
        assert_eq!(fs::read(mounted.path("small")).unwrap(), b"in the index");
        for number in kept {
            let body = fs::read(mounted.path(&format!("f{number}"))).unwrap();
            assert!(body == pattern(*number, len), "f{number}");
        }
    };
    check(&mounted, &kept);
    // A full store opens, reads and deletes.
    mounted.crash();
    check(&mounted, &kept);
    // A data file is freed with the last object in it, so all the large ones go.
    for number in std::mem::take(&mut kept) {
        fs::remove_file(mounted.path(&format!("f{number}"))).unwrap();
    }
    let _ = fs::remove_file(mounted.path(&refused.0));
    let until = Instant::now() + Duration::from_secs(60);
    while let Err(error) = write(&mounted, "again", 99, 20 << 20) {
        assert!(
            Instant::now() < until,
            "service does not return: {error}\n{}",
            mounted.sh("df $T/store; find $T/store -size +1M -ls")
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    check(&mounted, &kept);
    assert!(fs::read(mounted.path("again")).unwrap() == pattern(99, 20 << 20));
    mounted.restart();
    check(&mounted, &kept);
    mounted.fsck();
}

#[test]
fn with_large_files() {
    fills_and_recovers(5 << 20);
}

#[test]
fn with_small_files() {
    fills_and_recovers(100_000);
}

/// What is left shares its files with what was deleted, so room comes back only when that is moved.
#[test]
fn deleting_some_of_many_makes_room() {
    let mut mounted = on_small_disk();
    let mut count = 0;
    while write(&mounted, &format!("f{count}"), count, 40_000).is_ok() {
        count += 1;
    }
    let kept = |n: &u64| n.is_multiple_of(5);
    for number in (0..=count).filter(|n| !kept(n)) {
        let _ = fs::remove_file(mounted.path(&format!("f{number}")));
    }
    let until = Instant::now() + Duration::from_secs(60);
    while let Err(error) = write(&mounted, "again", 99, 30 << 20) {
        let used = || mounted.sh("df $T/store; find $T/store -size +1M -ls");
        assert!(Instant::now() < until, "room does not come back: {error}\n{}", used());
        std::thread::sleep(Duration::from_millis(200));
    }
    mounted.restart();
    for number in (0..count).filter(kept) {
        let body = fs::read(mounted.path(&format!("f{number}"))).unwrap();
        assert!(body == pattern(number, 40_000), "f{number}");
    }
    mounted.fsck();
}

/// With programs that do not sync: what `close` took without an error is there, in the order of the writes.
#[test]
fn without_fsync_the_refusal_comes_at_write_or_close() {
    let mut mounted = on_small_disk();
    let output = mounted.try_sh("for i in $(seq 200); do head -c 1000000 /dev/zero | tr '\\0' x > f$i || exit 7; done");
    assert!(!output.status.success());
    let whole = mounted.sh("for f in f*; do test $(stat -c %s $f) = 1000000 && echo $f; done | wc -l");
    assert!(whole.trim().parse::<u32>().unwrap() > 30, "{whole}");
    mounted.restart();
    let after = mounted.sh("for f in f*; do test $(stat -c %s $f) = 1000000 && echo $f; done | wc -l");
    assert_eq!(whole, after);
    mounted.sh("rm -f f*; ls | wc -l");
    mounted.fsck();
}

/// What many open files hold in memory counts: the write is refused, not the `close` of a write that was accepted.
#[test]
fn a_close_fails_for_nothing_that_write_accepted() {
    let mut mounted = on_small_disk();
    let part = pattern(1, 3 << 20);
    let mut open = vec![];
    let refused = loop {
        let mut file = File::create(mounted.path(&open.len().to_string())).unwrap();
        match file.write_all(&part) {
            Ok(()) => open.push(file),
            Err(error) => break error,
        }
    };
    assert_eq!(errno::<()>(Err(refused)), Errno::ENOSPC);
    let count = open.len();
    assert!((6..32).contains(&count), "{count} files of 3 MiB");
    for file in open {
        nix::unistd::close(file).unwrap();
    }
    mounted.restart();
    for n in 0..count {
        assert!(fs::read(mounted.path(&n.to_string())).unwrap() == part, "{n} of {count}");
    }
    mounted.fsck();
}
