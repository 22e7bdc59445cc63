//! Replies: what a call's result is to the kernel.

use super::convert::{attr, errno};
use crate::vfs::{Errno, Keep, Lookup, Opening, Vfs};
use fuser::{FileHandle, FopenFlags, Generation, ReplyData, ReplyEmpty, ReplyEntry, ReplyWrite, ReplyXattr};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// How long the kernel may keep what it is told of when it changes: for ever, in effect.
pub(super) const LASTING: Duration = Duration::from_secs(365 * 24 * 3600);
pub(super) const NOT_AT_ALL: Duration = Duration::ZERO;
/// Enough for the kernel to use an answer once: it counts in ticks, and rounds up.
pub(super) const ONE_LOOK: Duration = Duration::from_nanos(1);
pub(super) const FIRST: Generation = Generation(0);
thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(super) const fn ttl(keep: Keep) -> Duration {
    match keep {
        Keep::Never => NOT_AT_ALL,
        Keep::Briefly => Duration::from_secs(1),
        Keep::Always => LASTING,
    }
}

pub(super) fn entered(reply: ReplyEntry, found: Result<Lookup, Errno>) {
    match found {
        Ok(found) => {
            reply.entry_with_ttls(&ttl(found.attr_keep), &ttl(found.name_keep), &attr(&found.attr), FIRST);
        }
        Err(error) => reply.error(errno(error)),
    }
}

pub(super) fn emptied(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

pub(super) fn wrote(reply: ReplyWrite, count: Result<u64, Errno>) {
    match count {
        Ok(count) => reply.written(u32::try_from(count).unwrap_or(u32::MAX)),
        Err(error) => reply.error(errno(error)),
    }
}

pub(super) fn sized(reply: ReplyXattr, size: u32, bytes: Result<Vec<u8>, Errno>) {
    match bytes {
        Ok(bytes) if size == 0 => reply.size(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
        Ok(bytes) if bytes.len() > size as usize => reply.error(fuser::Errno::ERANGE),
        Ok(bytes) => reply.data(&bytes),
        Err(error) => reply.error(errno(error)),
    }
}

pub(super) fn fopen_flags(opening: &Opening) -> FopenFlags {
    let mut flags = FopenFlags::empty();
    flags.set(FopenFlags::FOPEN_KEEP_CACHE, opening.keep_cache && !opening.direct);
    flags.set(FopenFlags::FOPEN_DIRECT_IO, opening.direct);
    flags.set(FopenFlags::FOPEN_NOFLUSH, opening.no_flush);
    flags
}

/// Runs a request. A panic answers it with `EIO`, because its reply is dropped, and the mount lives on.
pub(super) fn guarded(request: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(request)).is_err() {
        tracing::error!("a request of the kernel made its handler panic");
    }
}

/// Reads into this thread's buffer and replies.
pub(super) fn answer_read(vfs: &Vfs, fh: FileHandle, at: u64, size: u32, reply: ReplyData) -> Duration {
    let start = Instant::now();
    let size = size as usize;
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        match vfs.read(fh.0, at, &mut buffer[..size]) {
            Ok(read) => reply.data(&buffer[..read]),
            Err(error) => reply.error(errno(error)),
        }
    });
    start.elapsed()
}
