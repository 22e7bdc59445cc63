//! Sparse files and ranges: 5 GiB of nothing, punch, zero, seek, sharing copies, statfs.

use super::harness::copy_file_range;
use super::{Mounted, errno, pattern};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::unistd::{Whence, lseek};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};

fn open(mounted: &Mounted, name: &str) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(mounted.path(name)).unwrap()
}

fn punch(file: &File, flags: FallocateFlags, at: i64, len: i64) {
    fallocate(file, flags, at, len).unwrap();
}

#[test]
fn a_sparse_file_of_5_gib_costs_what_is_in_it() {
    let mut mounted = Mounted::versioned();
    let len = 5_u64 << 30;
    let file = open(&mounted, "f");
    file.set_len(len).unwrap();
    file.write_all_at(b"middle", len / 2).unwrap();
    file.write_all_at(b"end", len - 3).unwrap();
    drop(file);
    mounted.restart();
    let meta = fs::metadata(mounted.path("f")).unwrap();
    assert_eq!(meta.len(), len);
    assert!(meta.blocks() * 512 < 8 << 20, "{} blocks", meta.blocks());
    let file = open(&mounted, "f");
    let mut seen = [1; 10];
    file.read_exact_at(&mut seen, len / 2 - 2).unwrap();
    assert_eq!(&seen, b"\0\0middle\0\0");
    let data = lseek(&file, 0, Whence::SeekData).unwrap().cast_unsigned();
    assert!(data <= len / 2 && len / 2 - data < 4 << 20, "{data}");
    let hole = lseek(&file, data.cast_signed(), Whence::SeekHole).unwrap().cast_unsigned();
    assert!(hole > len / 2 && hole < len / 2 + (4 << 20), "{hole}");
    drop(file);
    mounted.sh("cp --sparse=always f g; rm f; test $(stat -c %s g) = 5368709120");
    let stored = mounted.sh("du -s -B1 $T/store | cut -f1").trim().parse::<u64>().unwrap();
    assert!(stored < 64 << 20, "{stored}");
}

#[test]
fn punched_and_zeroed_ranges_read_as_zeros() {
    let mounted = Mounted::versioned();
    let mut want = pattern(1, 4 << 20);
    fs::write(mounted.path("f"), &want).unwrap();
    let file = open(&mounted, "f");
    let keep = FallocateFlags::FALLOC_FL_KEEP_SIZE;
    punch(&file, FallocateFlags::FALLOC_FL_PUNCH_HOLE | keep, 100_001, 1_500_000);
    want[100_001..1_600_001].fill(0);
    punch(&file, FallocateFlags::FALLOC_FL_ZERO_RANGE, 2_000_000, 77);
    want[2_000_000..2_000_077].fill(0);
    punch(&file, keep, 0, 8 << 20);
    assert_eq!(file.metadata().unwrap().len(), 4 << 20);
    fallocate(&file, FallocateFlags::empty(), 4 << 20, 5000).unwrap();
    want.resize((4 << 20) + 5000, 0);
    assert_eq!(file.metadata().unwrap().len(), (4 << 20) + 5000);
    let collapse = fallocate(&file, FallocateFlags::FALLOC_FL_COLLAPSE_RANGE, 0, 4096);
    assert_eq!(collapse, Err(Errno::EOPNOTSUPP));
    drop(file);
    assert!(fs::read(mounted.path("f")).unwrap() == want);
    assert_eq!(mounted.versions("f").len(), 2);
    let before = fs::read(mounted.version("f", &mounted.versions("f")[1])).unwrap();
    assert!(before == pattern(1, 4 << 20), "the version of before is as it was");
}

#[test]
fn seeking_finds_data_holes_and_the_end() {
    let mounted = Mounted::start();
    let file = open(&mounted, "f");
    file.write_all_at(&pattern(2, 1 << 20), 8 << 20).unwrap();
    file.set_len(32 << 20).unwrap();
    for published in [false, true] {
        if published {
            file.sync_all().unwrap();
        }
        assert_eq!(lseek(&file, 8 << 20, Whence::SeekData), Ok(8 << 20));
        let data = lseek(&file, 0, Whence::SeekData).unwrap();
        assert!(data > 0 && data <= 8 << 20, "{data}");
        assert_eq!(lseek(&file, 0, Whence::SeekHole), Ok(0));
        let hole = lseek(&file, 8 << 20, Whence::SeekHole).unwrap();
        assert!((9 << 20..32 << 20).contains(&hole), "{hole}");
        assert_eq!(lseek(&file, hole, Whence::SeekData), Err(Errno::ENXIO));
        assert_eq!(lseek(&file, 32 << 20, Whence::SeekHole), Err(Errno::ENXIO));
    }
    assert_eq!(
        mounted.sh("cp --sparse=auto f g; cmp f g; rsync -S f h; cmp f h; tar -cSf - f | tar -xOf - | cmp - f"),
        ""
    );
}

#[test]
fn copies_on_the_mount_move_no_data() {
    let mut mounted = Mounted::versioned();
    let body = pattern(3, 48 << 20);
    fs::write(mounted.path("f"), &body).unwrap();
    mounted.restart();
    let stored = || mounted.sh("du -s -B1 $T/store | cut -f1").trim().parse::<u64>().unwrap();
    let before = stored();
    let (from, to) = (open(&mounted, "f"), open(&mounted, "g"));
    let mut copied = 0;
    while copied < body.len() {
        copied += copy_file_range(&from, None, &to, None, body.len() - copied).unwrap();
    }
    assert_eq!(copy_file_range(&from, None, &to, None, 1000), Ok(0));
    drop((from, to));
    mounted.sh("cp f h; cp .versions/f/* i; sync g");
    let grown = stored().saturating_sub(before);
    assert!(grown < 8 << 20, "the store grew by {grown}");
    for name in ["g", "h", "i"] {
        assert!(fs::read(mounted.path(name)).unwrap() == body, "{name}");
    }
}

#[test]
fn copy_file_range_takes_odd_ranges_and_the_same_file() {
    let mounted = Mounted::start();
    let mut want = pattern(4, 3_000_000);
    fs::write(mounted.path("f"), &want).unwrap();
    let (from, to) = (open(&mounted, "f"), open(&mounted, "g"));
    let (mut at, mut into) = (777, 131_073);
    assert_eq!(copy_file_range(&from, Some(&mut at), &to, Some(&mut into), 1_234_567), Ok(1_234_567));
    assert_eq!((at, into), (777 + 1_234_567, 131_073 + 1_234_567));
    let copied = fs::read(mounted.path("g")).unwrap();
    assert!(copied[..131_073].iter().all(|byte| *byte == 0) && copied[131_073..] == want[777..777 + 1_234_567]);
    let (mut at, mut into) = (0, 2_000_001);
    assert_eq!(copy_file_range(&from, Some(&mut at), &from, Some(&mut into), 500_000), Ok(500_000));
    want.copy_within(0..500_000, 2_000_001);
    assert!(fs::read(mounted.path("f")).unwrap() == want);
    let (mut at, mut into) = (0, 100);
    let overlapping = copy_file_range(&from, Some(&mut at), &from, Some(&mut into), 5000);
    assert_eq!(overlapping, Err(Errno::EINVAL));
}

#[test]
fn statfs_tells_the_disk_of_the_store() {
    let mounted = Mounted::start();
    let here = nix::sys::statvfs::statvfs(&mounted.path("")).unwrap();
    let disk = nix::sys::statvfs::statvfs(&mounted.store()).unwrap();
    let bytes = |stat: &nix::sys::statvfs::Statvfs| stat.blocks() * stat.fragment_size();
    assert_eq!(bytes(&here), bytes(&disk));
    assert!(here.blocks_available() * here.fragment_size() <= disk.blocks_available() * disk.fragment_size());
    assert!(here.blocks_available() > 0 && here.files_free() > 0);
    assert_eq!(here.name_max(), 255);
    mounted.sh("df . > /dev/null; df -i . > /dev/null");
}

#[test]
fn the_longest_offsets_are_refused_or_kept() {
    let mounted = Mounted::start();
    let file = open(&mounted, "f");
    assert_eq!(errno(file.set_len(u64::MAX >> 1)), Errno::EFBIG);
    assert_eq!(errno(file.write_at(b"x", (1 << 62) - 1)), Errno::EFBIG);
    assert_eq!(file.metadata().unwrap().len(), 0);
    file.write_all_at(b"x", (4 << 40) - 1).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 4 << 40);
}
