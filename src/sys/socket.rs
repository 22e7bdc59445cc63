//! Sockets in directories that somebody else may write.

use nix::fcntl::AtFlags;
use nix::unistd::{Gid, Uid, fchownat};
use std::fs::File;
use std::io;

/// Lets only its owner use the socket `name` in `dir`, and gives it to that user and group where the system allows.
/// Whoever may write the directory may put anything in its place: only a socket that has no other name is touched, and
/// no link is followed.
///
/// # Errors
/// The system's; [`io::ErrorKind::InvalidInput`] when something else stands there.
#[cfg(target_os = "linux")]
pub fn give(dir: &File, name: &str, to: Option<(u32, u32)>) -> io::Result<()> {
    use nix::fcntl::{OFlag, openat};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let socket = File::from(openat(dir, name, flags, nix::sys::stat::Mode::empty())?);
    let meta = socket.metadata()?;
    if !meta.file_type().is_socket() || meta.nlink() != 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("somebody put something else at {name}")));
    }
    // Leads to what is open, whatever stands there by now.
    let opened = format!("/proc/self/fd/{}", socket.as_raw_fd());
    std::fs::set_permissions(opened, std::fs::Permissions::from_mode(0o600))?;
    if let Some((uid, gid)) = to {
        let _ = fchownat(&socket, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::AT_EMPTY_PATH);
    }
    Ok(())
}

/// As on Linux, but for other names of a socket.
///
/// # Errors
/// The system's.
#[cfg(not(target_os = "linux"))]
pub fn give(dir: &File, name: &str, to: Option<(u32, u32)>) -> io::Result<()> {
    use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
    fchmodat(dir, name, Mode::S_IRUSR | Mode::S_IWUSR, FchmodatFlags::NoFollowSymlink)?;
    if let Some((uid, gid)) = to {
        let _ = fchownat(dir, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::AT_SYMLINK_NOFOLLOW);
    }
    Ok(())
}
