//! The disk: the one seam through which stored bytes go out and come back, so that a simulated disk can take its place.

mod direct;
mod mem;
mod os;
mod timed;
mod whole;

pub use mem::{Dice, DiskCall, MemDisk};
pub use os::{OsDisk, plain_file};
pub use timed::TimedDisk;
pub use whole::replace_whole;

use super::lock::LockFile;

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
    /// Reading only what the disk has, past the system's cache of file pages wherever the file system lets that be. For
    /// one reader, and files that nobody writes to where it reads.
    Direct,
}

/// One name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirEntry {
    /// The last component. Names that are not UTF-8 are not ours and are left out of listings.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Whether it is a file; links and devices are neither.
    pub is_file: bool,
    /// Bytes of a file, 0 of anything else.
    pub len: u64,
    /// Bytes that a file takes on the disk: fewer when it has holes.
    pub stored: u64,
}

/// Room on the disk, in bytes and inodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Space {
    /// Size of the file system.
    pub total: u64,
    /// Bytes this process may still take.
    pub free: u64,
    /// Inodes of the file system; 0 when it does not count them.
    pub inodes: u64,
    /// Inodes this process may still take.
    pub inodes_free: u64,
}

/// A directory tree. Every path is relative to the root that the implementation was made with; an absolute path
/// or one with `..` is refused as invalid input. Errors are the operating system's.
pub trait Disk: Send + Sync + 'static {
    /// Creates a file for reading and writing; its name must be new.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the disk says.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that exists.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file; what has it open keeps reading.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Renames a file over whatever bears the new name.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// What a directory holds, in no order.
    ///
    /// # Errors
    /// `NotFound`, or what the disk says.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Creates a directory and those above it; those that exist are left alone.
    ///
    /// # Errors
    /// What the disk says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes creations, removals and renames in `dir` durable.
    ///
    /// # Errors
    /// What the disk says; the first failure must be taken as final.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes of a file, or `None` when there is none of that name.
    ///
    /// # Errors
    /// What the disk says, other than `NotFound`.
    fn file_len(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Room left.
    ///
    /// # Errors
    /// What the disk says.
    fn space(&self) -> io::Result<Space>;

    /// Keeps other processes from taking the same lock, a file of that name, for as long as the answer is kept; nothing where there
    /// is no other process.
    ///
    /// # Errors
    /// `WouldBlock` while another has it, saying who, or what the disk says.
    fn lock(&self, _path: &Path) -> io::Result<Option<LockFile>> {
        Ok(None)
    }
}

/// An open file. All calls take the offset and may run at once.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads at `at` until `buf` is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// What the disk says.
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `at`.
    ///
    /// # Errors
    /// What the disk says; any part may have been written.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Writes all of `parts` one behind the other at `at`, in one call to the system where it has one. The slices
    /// are used up.
    ///
    /// # Errors
    /// What the disk says; any part may have been written.
    fn write_vectored_at(&self, at: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut at = at;
        for part in parts {
            self.write_at(at, part)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Lets the disk begin with bytes written at `at..at + len`, so that a later [`DiskFile::sync_data`] finds less to
    /// do. A hint: nothing is waited for, and nothing is durable by it.
    fn begin_write_back(&self, _at: u64, _len: u64) {}

    /// Makes the bytes written so far durable, and the size if it is needed to read them.
    ///
    /// # Errors
    /// What the disk says; the first failure must be taken as final, a second call may lie.
    fn sync_data(&self) -> io::Result<()>;

    /// Takes room for `at..at + len` and grows the file to it; what is new reads as zeros.
    ///
    /// # Errors
    /// `StorageFull`, or what the disk says.
    fn allocate(&self, at: u64, len: u64) -> io::Result<()>;

    /// Bytes of the file.
    ///
    /// # Errors
    /// What the disk says.
    fn size(&self) -> io::Result<u64>;

    /// Cuts the file, or grows it with zeros.
    ///
    /// # Errors
    /// What the disk says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Gives back the room of `at..at + len`, which then reads as zeros; the size stays.
    ///
    /// # Errors
    /// `Unsupported` where the file system cannot, or what the disk says.
    fn punch_hole(&self, at: u64, len: u64) -> io::Result<()>;

    /// Gives back the room of a file that has no name any more bit by bit, since a disk that frees very much at once lets
    /// others wait. `rest` waits between two bits, and answers false when there is no more time: the rest of the room comes
    /// back when the file is closed. So does all of it when somebody else has the file open.
    fn free(&self, _rest: &dyn Fn(Duration) -> bool) {}

    /// Whether the file has a name still. What is written to one without is gone when it is closed.
    ///
    /// # Errors
    /// What the disk says.
    fn has_name(&self) -> io::Result<bool>;

    /// Whether calls wait for a device, so that those of several are better made at once.
    fn waits(&self) -> bool {
        self.fd().is_some()
    }

    /// The descriptor, where there is a real file below: for kernel passthrough.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}
