//! What `stat` says of a thing.

use super::Vfs;
use crate::model::{FileKind, Object, Posix, Timestamp};
use crate::store::Directory;

/// Attributes of a node, as `stat` shows them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    /// Inode number.
    pub ino: u64,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with set-id and sticky.
    pub mode: u16,
    /// Names it has; a directory's are itself, its name and one in each subdirectory.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device.
    pub rdev: u32,
    /// Bytes.
    pub size: u64,
    /// Bytes it takes in the store, in units of 512.
    pub blocks: u64,
    /// Last access.
    pub atime: Timestamp,
    /// Last change of content.
    pub mtime: Timestamp,
    /// Last change of anything.
    pub ctime: Timestamp,
    /// Birth.
    pub btime: Timestamp,
}

/// Bytes a directory is said to have: what `ls -ld` shows on other file systems.
const DIR_SIZE: u64 = 4096;

/// What a mount shows instead of what is stored (`uid=`, `gid=`, `umask=`, `fmask=`, `dmask=`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Masks {
    /// Owner of everything.
    pub uid: Option<u32>,
    /// Group of everything.
    pub gid: Option<u32>,
    /// Permission bits of what is no directory are `0777` less these.
    pub fmask: Option<u16>,
    /// Permission bits of directories are `0777` less these.
    pub dmask: Option<u16>,
}

impl Attr {
    /// Attributes made of stored ones.
    pub(super) fn of(ino: u64, posix: &Posix) -> Self {
        Self {
            ino,
            kind: posix.kind,
            mode: posix.mode,
            nlink: 1,
            uid: posix.uid,
            gid: posix.gid,
            rdev: posix.rdev,
            size: 0,
            blocks: 0,
            atime: posix.atime,
            mtime: posix.mtime,
            ctime: posix.ctime,
            btime: posix.btime,
        }
    }

    /// Attributes of one version.
    pub(super) fn of_object(ino: u64, object: &Object) -> Self {
        let size = match object.posix.kind {
            FileKind::Symlink => object.posix.target.len() as u64,
            _ => object.size,
        };
        Self { size, blocks: blocks(object.stored), ..Self::of(ino, &object.posix) }
    }

    /// Attributes of a directory.
    pub(super) fn of_dir(ino: u64, dir: &Directory) -> Self {
        let links = u32::try_from(dir.stat.subdirs.max(0)).unwrap_or(u32::MAX - 2).saturating_add(2);
        Self {
            nlink: if dir.alive { links } else { 0 },
            size: DIR_SIZE,
            mtime: dir.stat.mtime,
            ctime: dir.stat.ctime,
            ..Self::of(ino, &dir.posix)
        }
    }

    /// Takes the write bits away: what shows it cannot be changed there.
    pub(super) fn read_only(mut self) -> Self {
        self.mode &= !0o222;
        self
    }
}

/// 512-byte units, rounded up.
pub(super) const fn blocks(stored: u64) -> u64 {
    stored.div_ceil(512)
}

impl Vfs {
    /// Attributes of a directory that only the mount knows; owned by the store's owner.
    pub(super) fn virtual_dir(&self, ino: u64, time: Timestamp) -> Attr {
        let posix = Posix::new(FileKind::Directory, 0o555, self.owner.0, self.owner.1, time);
        Attr { nlink: 2, size: DIR_SIZE, ..Attr::of(ino, &posix) }
    }

    /// What the mount's options make of attributes.
    pub(super) fn masked(&self, mut attr: Attr) -> Attr {
        let masks = &self.settings.masks;
        attr.uid = masks.uid.unwrap_or(attr.uid);
        attr.gid = masks.gid.unwrap_or(attr.gid);
        let mask = if attr.kind == FileKind::Directory { masks.dmask } else { masks.fmask };
        if let Some(mask) = mask {
            attr.mode = 0o777 & !mask;
        }
        attr
    }
}
