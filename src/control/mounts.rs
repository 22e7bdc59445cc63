//! The kernel's table of mounts: which of Keyfold's there are, and which one a path lies in.

use crate::model::{Error, Result};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Filesystem type of our mounts.
pub const FSTYPE: &str = "fuse.keyfold";

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelMount {
    /// Device number as the kernel prints it, `0:51`: the mount's name across bind mounts.
    pub device: String,
    /// The directory of the filesystem that stands at the mount point: `/` but for bind mounts.
    pub root: PathBuf,
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// Filesystem type.
    pub fstype: String,
    /// What is mounted: the store's directory for our mounts, unless `fsname=` says else.
    pub source: PathBuf,
}

/// Every mount of the caller's namespace, oldest first.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) when the table cannot be read.
pub fn all_mounts() -> Result<Vec<KernelMount>> {
    let table = std::fs::read("/proc/self/mountinfo")
        .map_err(|error| Error::io("cannot read the table of mounts, /proc/self/mountinfo", error))?;
    Ok(parse(&table))
}

/// Keyfold's mounts.
///
/// # Errors
/// As [`all_mounts`].
pub fn keyfold_mounts() -> Result<Vec<KernelMount>> {
    let mut mounts = all_mounts()?;
    mounts.retain(|mount| mount.fstype == FSTYPE);
    Ok(mounts)
}

/// The mount an absolute path lies in and the path from the filesystem's root. The last mount at a place hides those
/// before it.
#[must_use]
pub fn mount_of<'a>(path: &Path, mounts: &'a [KernelMount]) -> Option<(&'a KernelMount, PathBuf)> {
    let holds = |mount: &&KernelMount| path.starts_with(&mount.mountpoint);
    let mount = mounts.iter().filter(holds).max_by_key(|mount| mount.mountpoint.components().count())?;
    let below = path.strip_prefix(&mount.mountpoint).ok()?;
    let root = mount.root.strip_prefix("/").unwrap_or(&mount.root);
    Some((mount, root.join(below)))
}

fn parse(table: &[u8]) -> Vec<KernelMount> {
    table.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw`: optional fields end at the lone `-`.
fn line(line: &[u8]) -> Option<KernelMount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = String::from_utf8(fields.nth(2)?.to_vec()).ok()?;
    let (root, mountpoint) = (path(fields.next()?), path(fields.next()?));
    fields.find(|field| *field == b"-")?;
    let fstype = String::from_utf8_lossy(fields.next()?).into_owned();
    Some(KernelMount { device, root, mountpoint, fstype, source: path(fields.next()?) })
}

/// Undoes the kernel's `\040` for bytes that would break a line.
fn path(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        if let Some(digits) = octal {
            let value = digits.iter().fold(0u32, |sum, digit| sum * 8 + u32::from(digit - b'0'));
            plain.push(u8::try_from(value & 0xff).unwrap_or_default());
            rest = &after[3..];
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    PathBuf::from(OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::{mount_of, parse};
    use std::path::Path;

    const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
        40 22 0:51 / /mnt/a\\040b rw,nosuid master:1 shared:2 - fuse.keyfold /srv/my\\134store rw,user_id=0\n\
        41 22 0:51 /photos/x /mnt/bind rw - fuse.keyfold /srv/my\\134store rw\n\
        broken line\n\n";

    #[test]
    fn paths_are_unescaped_and_optional_fields_skipped() {
        let mounts = parse(TABLE);
        assert_eq!(mounts.len(), 3);
        assert_eq!((&*mounts[1].device, mounts[1].mountpoint.as_path()), ("0:51", Path::new("/mnt/a b")));
        assert_eq!(mounts[1].source, Path::new("/srv/my\\store"));
    }

    #[test]
    fn a_path_lies_in_the_deepest_mount_and_bind_mounts_add_their_root() {
        let mounts = parse(TABLE);
        let (mount, below) = mount_of(Path::new("/mnt/a b/photos/cat.jpg"), &mounts).unwrap();
        assert_eq!((&*mount.device, below.as_path()), ("0:51", Path::new("photos/cat.jpg")));
        let (_, below) = mount_of(Path::new("/mnt/bind/cat.jpg"), &mounts).unwrap();
        assert_eq!(below, Path::new("photos/x/cat.jpg"));
        assert_eq!(mount_of(Path::new("/mnt/a bc"), &mounts).unwrap().0.fstype, "ext4");
    }
}
