//! POSIX attributes and foreign xattrs: kept beside the object, outside S3's metadata (META-12, FSX-14).

use super::{Error, Kind, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Budget of an object's foreign xattrs: bytes of all names and values.
pub const XATTRS_BYTES_MAX: usize = 256 * 1024;

/// What a name stands for on the mount; S3 sees all but `File` as zero-byte objects (FSX-6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FileKind {
    /// An object's bytes.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket's name.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// Mode, owner and times: a change of them makes no version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Posix {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with suid, sgid and sticky: `0o7777`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device node.
    pub rdev: u32,
    /// Last access.
    pub atime: Timestamp,
    /// Last change of content.
    pub mtime: Timestamp,
    /// Last change of anything.
    pub ctime: Timestamp,
    /// Birth.
    pub btime: Timestamp,
    /// A symbolic link's target, empty otherwise.
    pub target: Vec<u8>,
}

impl Posix {
    /// Attributes of a new file system object of `kind`, all times `now`.
    #[must_use]
    pub const fn new(kind: FileKind, mode: u16, uid: u32, gid: u32, now: Timestamp) -> Self {
        Self { kind, mode, uid, gid, rdev: 0, atime: now, mtime: now, ctime: now, btime: now, target: Vec::new() }
    }
}

/// Extended attributes that are not Keyfold's own, by full name (`user.x`, `trusted.y`).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Xattrs(BTreeMap<Vec<u8>, Vec<u8>>);

impl Xattrs {
    /// Sets one.
    ///
    /// # Errors
    /// [`Kind::MetadataTooLarge`] over [`XATTRS_BYTES_MAX`] in all.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        let others: usize =
            self.0.iter().filter(|(known, _)| *known != name).map(|(known, value)| known.len() + value.len()).sum();
        let size = others + name.len() + value.len();
        if size > XATTRS_BYTES_MAX {
            return Err(Error::new(Kind::MetadataTooLarge, "cannot store the extended attribute")
                .why(format!("the file's attributes would take {size} bytes, the limit is {XATTRS_BYTES_MAX}"))
                .mend("remove attributes the file no longer needs"));
        }
        self.0.insert(name.to_vec(), value.to_vec());
        Ok(())
    }

    /// One value.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Removes one; whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        self.0.remove(name).is_some()
    }

    /// Names in byte order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.keys().map(Vec::as_slice)
    }

    /// Names and values in byte order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}
