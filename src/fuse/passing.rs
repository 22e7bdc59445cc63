//! Passthrough: the kernel reads files whose bytes never change past this process, straight from the store's disk.
//!
//! The kernel reads an inode in one way at a time: while it has an open one to be passed by, it refuses (EIO) another
//! open that is not, or that names another file below; while it has a cached one, it refuses to pass by. So the first
//! open of an inode decides, and all others follow until the last is released. Only inodes whose bytes never change
//! take part ([`Opening::lasting`]): versions and the past. A file that is present does not, on a read-only mount
//! neither, because another door may replace it while it is open, and then no answer to the next open is right.

use super::reply::fopen_flags;
use crate::vfs::{Opening, Vfs};
use fuser::{BackingId, FileHandle, FopenFlags, InitFlags, KernelConfig, OpenFlags, ReplyOpen};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks for bytes past the cache, in the system's alignment, which only this process can do without.
#[cfg(target_os = "linux")]
const O_DIRECT: i32 = nix::libc::O_DIRECT;
#[cfg(not(target_os = "linux"))]
const O_DIRECT: i32 = 0;

/// How an inode that is open is read.
struct Way {
    opens: u32,
    /// The file below; this process answers when there is none.
    backing: Option<BackingId>,
}

/// The inodes that are open and whose bytes never change.
#[derive(Default)]
pub(super) struct Passing {
    /// The kernel agreed when it was mounted.
    agreed: bool,
    /// It refused a file since: none of this store's will do.
    refused: AtomicBool,
    open: Mutex<HashMap<u64, Way>>,
}

impl Passing {
    /// Asks the kernel for passthrough, which takes the privilege to administrate the system.
    pub(super) fn agree(&mut self, config: &mut KernelConfig) {
        // A depth of one: the store must not lie on a stacked file system itself, and overlayfs may lie on the mount.
        self.agreed = nix::unistd::geteuid().is_root()
            && config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok()
            && config.set_max_stack_depth(1).is_ok();
    }

    /// Answers an open.
    pub(super) fn opened(&self, vfs: &Vfs, ino: u64, opening: &Opening, flags: OpenFlags, reply: ReplyOpen) {
        let (fh, cached) = (FileHandle(opening.fh), fopen_flags(opening));
        if !self.agreed || !opening.lasting {
            return reply.opened(fh, cached);
        }
        let mut open = self.open.lock();
        let way = match open.entry(ino) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Way { opens: 0, backing: self.backing(vfs, opening.fh, &reply) }),
        };
        way.opens += 1;
        let Some(backing) = &way.backing else { return reply.opened(fh, cached) };
        // The kernel takes no word about its cached pages here.
        let mut passed = cached & FopenFlags::FOPEN_NOFLUSH;
        passed.set(FopenFlags::FOPEN_DIRECT_IO, flags.0 & O_DIRECT != 0);
        reply.opened_passthrough(fh, passed, backing);
    }

    fn backing(&self, vfs: &Vfs, fh: u64, reply: &ReplyOpen) -> Option<BackingId> {
        if self.refused.load(Ordering::Relaxed) {
            return None;
        }
        let file = vfs.plain_file(fh)?;
        match reply.open_backing(file.fd()?) {
            Ok(backing) => Some(backing),
            Err(error) => {
                // No privilege in this container, or the store lies on a stacked file system.
                tracing::debug!(%error, "the kernel passes no files by");
                self.refused.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    /// A handle was released. To be called before the next open is looked at.
    pub(super) fn released(&self, ino: u64) {
        if !self.agreed {
            return;
        }
        let mut open = self.open.lock();
        if let Entry::Occupied(mut known) = open.entry(ino) {
            known.get_mut().opens -= 1;
            if known.get().opens == 0 {
                known.remove();
            }
        }
    }
}
