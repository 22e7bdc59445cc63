//! Between the kernel's words and ours.

use crate::model::{FileKind, Timestamp};
use crate::vfs::{Attr, Caller, Errno, OpenHow};
use fuser::{FileAttr, FileType, INodeNo, Request, TimeOrNow};
use nix::libc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes a program should read or write at once.
const BLOCK_SIZE: u32 = 128 * 1024;

pub(super) fn caller(request: &Request) -> Caller {
    Caller { uid: request.uid(), gid: request.gid() }
}

pub(super) fn errno(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.0)
}

pub(super) const fn file_type(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::RegularFile,
        FileKind::Directory => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Fifo => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
        FileKind::CharDevice => FileType::CharDevice,
        FileKind::BlockDevice => FileType::BlockDevice,
    }
}

/// What `mknod` is asked to make. The numbers are the same on all systems with FUSE.
pub(super) const fn kind_of_mode(mode: u32) -> Option<FileKind> {
    match mode & 0o170_000 {
        0o100_000 | 0 => Some(FileKind::File),
        0o010_000 => Some(FileKind::Fifo),
        0o140_000 => Some(FileKind::Socket),
        0o020_000 => Some(FileKind::CharDevice),
        0o060_000 => Some(FileKind::BlockDevice),
        _ => None,
    }
}

pub(super) fn attr(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino),
        size: attr.size,
        blocks: attr.blocks,
        atime: system_time(attr.atime),
        mtime: system_time(attr.mtime),
        ctime: system_time(attr.ctime),
        crtime: system_time(attr.btime),
        kind: file_type(attr.kind),
        perm: attr.mode & 0o7777,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: attr.rdev,
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

/// The reply that says that nothing is there, for the kernel to remember.
pub(super) fn nothing() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

fn system_time(stamp: Timestamp) -> SystemTime {
    let whole = Duration::from_secs(stamp.secs.unsigned_abs());
    let nanos = Duration::from_nanos(u64::from(stamp.nanos));
    let second = if stamp.secs < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    second.and_then(|second| second.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
}

/// The instant the kernel sent. fuser 0.18 makes `-(seconds) - nanoseconds` of a time before 1970, where
/// `seconds + nanoseconds` was meant; both parts can be had back.
fn timestamp(time: SystemTime) -> Timestamp {
    let secs = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Timestamp::new(secs(after), after.subsec_nanos()),
        Err(before) => Timestamp::new(-secs(before.duration()), before.duration().subsec_nanos()),
    }
}

/// A time to set; `now` where the caller asked for the present.
pub(super) fn time_to_set(time: TimeOrNow, now: Timestamp) -> Timestamp {
    match time {
        TimeOrNow::SpecificTime(time) => timestamp(time),
        TimeOrNow::Now => now,
    }
}

/// What Linux adds to the flags of an open that runs the file.
const FMODE_EXEC: i32 = 0x20;

/// Flags of `open(2)`.
pub(super) fn open_how(flags: i32) -> OpenHow {
    let mode = flags & libc::O_ACCMODE;
    OpenHow {
        read: mode != libc::O_WRONLY,
        write: mode != libc::O_RDONLY,
        append: flags & libc::O_APPEND != 0,
        truncate: flags & libc::O_TRUNC != 0,
        sync: flags & (libc::O_SYNC | libc::O_DSYNC) != 0,
        exclusive: flags & libc::O_EXCL != 0,
        exec: cfg!(target_os = "linux") && flags & FMODE_EXEC != 0,
    }
}

/// Permission bits with set-id and sticky.
pub(super) const fn permissions(mode: u32) -> u16 {
    (mode & 0o7777) as u16
}

#[cfg(test)]
mod tests {
    use super::{system_time, timestamp};
    use crate::model::Timestamp;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn times_before_1970_survive_the_library() {
        // What fuser 0.18 makes of seconds -1 and nanoseconds 5, which means -0.999999995 s.
        let garbled = UNIX_EPOCH - Duration::new(1, 5);
        assert_eq!(timestamp(garbled), Timestamp::new(-1, 5));
        assert_eq!(system_time(Timestamp::new(-1, 5)), UNIX_EPOCH - Duration::new(0, 999_999_995));
        assert_eq!(timestamp(system_time(Timestamp::new(77, 8))), Timestamp::new(77, 8));
    }
}
