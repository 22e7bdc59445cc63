//! What a mount is asked to be, checked before anything is started.

use super::replace::{self, Replace};
use crate::config::MountSettings;
use crate::control::{KernelMount, MountRow, all_mounts};
use crate::model::{Error, Kind, Result};
use crate::sys::process;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// `ENOTCONN`: the process behind a mount is gone.
const NOT_CONNECTED: i32 = 107;

/// A mount to be made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The store's directory: whole path.
    pub store: PathBuf,
    /// Where: whole path, or `/dev/fd/N`.
    pub mountpoint: PathBuf,
    /// The `-o` texts.
    pub options: Vec<String>,
    /// What the process served besides whose place is taken.
    pub others: Vec<MountRow>,
}

/// Reads `-o` texts.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn check_options(options: &[String]) -> Result<MountSettings> {
    MountSettings::parse(options.iter().map(String::as_str))
}

impl Plan {
    /// Checks what can be known before mounting; makes the store when its directory is absent or empty.
    ///
    /// # Errors
    /// What is wrong, and how to mend it. `replace` says what may be taken away from the mount point first.
    pub fn new(store: &Path, mountpoint: &Path, options: Vec<String>, replace: Option<Replace>) -> Result<Self> {
        let settings = check_options(&options)?;
        let inherited = descriptor(mountpoint);
        let whole = std::path::absolute(store).map_err(|error| Error::io("cannot find the store", error))?;
        let whole = whole.canonicalize().unwrap_or(whole);
        let (mountpoint, others) = match inherited {
            Some(_) => (mountpoint.to_owned(), Vec::new()),
            None => place(&whole, mountpoint, replace)?,
        };
        if inherited.is_none() && whole.starts_with(&mountpoint) {
            return Err(refused(&mountpoint, "the store lies below the mount point, which would hide it")
                .mend("choose another mount point, or keep the store elsewhere"));
        }
        // Who mounts by a descriptor has been allowed by whom it is from.
        if inherited.is_none() && (settings.allow_other || settings.allow_root) {
            may_allow_others(&mountpoint)?;
        }
        let store = super::open::ensure(store)?;
        Ok(Self { store, mountpoint, options, others })
    }

    /// The same mount as another process has served.
    pub(super) fn of(&self, row: &MountRow) -> Self {
        let (mountpoint, options) = (row.mountpoint.clone(), row.options.clone());
        Self { store: self.store.clone(), mountpoint, options, others: Vec::new() }
    }

    /// The descriptor to mount by, when the mount point is `/dev/fd/N`.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        descriptor(&self.mountpoint)
    }
}

fn descriptor(mountpoint: &Path) -> Option<RawFd> {
    mountpoint.to_str()?.strip_prefix("/dev/fd/")?.parse().ok().filter(|fd| *fd >= 0)
}

/// Whether an error says that the process behind a mount is gone.
pub(super) fn is_not_connected(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(NOT_CONNECTED)
}

/// The whole path of a directory that something can be mounted at, and what was served besides what had to go for it.
fn place(store: &Path, mountpoint: &Path, how: Option<Replace>) -> Result<(PathBuf, Vec<MountRow>)> {
    let cannot_find = |error| Error::io(format!("cannot find the mount point {}", mountpoint.display()), error);
    // The directory itself is not touched before it is clear: nobody may answer for it.
    let lexical = std::path::absolute(mountpoint).map_err(cannot_find)?;
    let above = lexical.parent().and_then(|above| above.canonicalize().ok());
    let near = above.zip(lexical.file_name()).map_or_else(|| lexical.clone(), |(above, name)| above.join(name));
    let mut others = replace::clear(store, &near, how)?;
    let meta = match mountpoint.metadata() {
        // Mounted by another path, which leads here by a symbolic link.
        Err(error) if is_not_connected(&error) && how.is_some() => {
            super::mounted::detach(mountpoint, true)?;
            mountpoint.metadata()
        }
        found => found,
    };
    match meta {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(refused(mountpoint, "it is no directory").mend("name a directory")),
        Err(error) if is_not_connected(&error) => {
            return Err(Error::new(Kind::Conflict, format!("cannot mount at {}", mountpoint.display()))
                .why("the mount there is left from a process that ended")
                .mend(format!("mount with --replace, or clear it with `umount --lazy {}`", mountpoint.display())));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::new(Kind::NoSuchKey, format!("cannot mount at {}", mountpoint.display()))
                .why("there is no such directory")
                .mend(format!("mkdir -p {}", mountpoint.display())));
        }
        Err(error) => return Err(Error::io(format!("cannot mount at {}", mountpoint.display()), error)),
    }
    let whole = mountpoint.canonicalize().map_err(cannot_find)?;
    if whole != near {
        others.extend(replace::clear(store, &whole, how)?);
    }
    Ok((whole, others))
}

/// The topmost mount at a place.
pub(super) fn mounted_at(mountpoint: &Path) -> Result<Option<KernelMount>> {
    Ok(all_mounts()?.into_iter().rev().find(|mount| mount.mountpoint == mountpoint))
}

fn may_allow_others(mountpoint: &Path) -> Result<()> {
    let allowed = |text: String| text.lines().any(|line| line.trim() == "user_allow_other");
    if process::effective_uid() == 0 || std::fs::read_to_string("/etc/fuse.conf").is_ok_and(allowed) {
        return Ok(());
    }
    Err(Error::new(Kind::Denied, format!("cannot mount at {} for other users", mountpoint.display()))
        .why("only root may use allow_other or allow_root unless /etc/fuse.conf says user_allow_other")
        .mend("add the line user_allow_other to /etc/fuse.conf, or leave the option out"))
}

fn refused(mountpoint: &Path, why: &'static str) -> Error {
    Error::new(Kind::InvalidArgument, format!("cannot mount at {}", mountpoint.display())).why(why)
}
