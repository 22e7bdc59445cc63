//! Connections of the kernel to file systems in user space: ending one whose process does not answer.

#[cfg(target_os = "linux")]
use std::io::Write;

/// Where the kernel's control files for connections are, when the system has mounted them.
#[cfg(target_os = "linux")]
const CONTROL: &str = "/sys/fs/fuse/connections";

/// Ends the connection of a mount: all who wait for an answer hear `ECONNABORTED`, and so does everybody who asks from then
/// on. `device` is the mount's number as the kernel prints it, `0:51`.
///
/// # Errors
/// The system's, when this process may not, or there is no such mount.
#[cfg(target_os = "linux")]
pub fn abort(device: &str) -> std::io::Result<()> {
    let number: u32 = device
        .strip_prefix("0:")
        .and_then(|minor| minor.parse().ok())
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidInput, "no device of such a mount"))?;
    let usual = std::path::Path::new(CONTROL).join(number.to_string()).join("abort");
    let mut file = match std::fs::OpenOptions::new().write(true).open(usual) {
        Ok(file) => file,
        // Containers and small systems mount no control files: an instance that nobody else sees has them too.
        Err(_) => unseen(number)?,
    };
    file.write_all(b"1")
}

/// Ends the connection of a mount.
///
/// # Errors
/// Always: this system has no such control.
#[cfg(not(target_os = "linux"))]
pub fn abort(_device: &str) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn unseen(number: u32) -> std::io::Result<std::fs::File> {
    use nix::libc;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    const CREATE: u32 = 6;
    let made = |fd: libc::c_long| match i32::try_from(fd) {
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: the name is a string that ends in zero.
    let context = made(unsafe { libc::syscall(libc::SYS_fsopen, c"fusectl".as_ptr(), 1) })?;
    let nothing = std::ptr::null::<libc::c_char>();
    // SAFETY: this command takes no key and no value.
    let created = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), CREATE, nothing, nothing, 0) };
    if created != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: takes numbers only.
    let root = made(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1, 0) })?;
    let path = format!("{number}/abort");
    let file = nix::fcntl::openat(
        &root,
        path.as_str(),
        nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    )?;
    Ok(std::fs::File::from(file))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_devices_of_such_mounts_are_taken() {
        for device in ["", "8:1", "0:", "0:x", "0:4000000000"] {
            assert!(super::abort(device).is_err(), "{device}");
        }
    }
}
