//! One mount: started, described, ended. The only place that calls `fuse`.

use super::plan::mounted_at;
use crate::config::MountSettings;
use crate::control::MountRow;
use crate::fuse::Mount;
use crate::model::{Error, Kind, Result};
use crate::store::Store;
use crate::sys::process;
use crate::vfs::Vfs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the kernel may take to show a mount in its table.
const PATIENCE: Duration = Duration::from_secs(5);

/// A mount this process serves.
pub(super) struct Mounted {
    pub(super) mountpoint: PathBuf,
    pub(super) settings: MountSettings,
    pub(super) vfs: Arc<Vfs>,
    /// The kernel's device number; none for a mount by descriptor, whose place only its giver knows.
    pub(super) device: Option<String>,
    mount: Mount,
}

impl Mounted {
    /// Mounts the store; returns when the mount answers.
    pub(super) fn start(store: &Arc<Store>, mountpoint: &Path, settings: MountSettings) -> Result<Self> {
        let vfs = Vfs::new(Arc::clone(store), &settings)?;
        let mount = Mount::start(Arc::clone(&vfs), mountpoint, &settings)?;
        let device = if mountpoint.starts_with("/dev/fd") { None } else { device(mountpoint)? };
        Ok(Self { mountpoint: mountpoint.to_owned(), settings, vfs, device, mount })
    }

    pub(super) fn row(&self) -> MountRow {
        let (bucket, prefix) = match &self.settings.bucket {
            Some((bucket, prefix)) => (Some(bucket.to_string()), prefix.clone()),
            None => (None, String::new()),
        };
        MountRow {
            mountpoint: self.mountpoint.clone(),
            device: self.device.clone(),
            bucket,
            prefix,
            as_of: self.settings.as_of.map(|at| at.rfc3339()),
            read_only: self.settings.read_only,
        }
    }

    /// Whether the kernel has ended it: somebody unmounted it.
    pub(super) fn is_over(&self) -> bool {
        self.mount.is_over()
    }

    /// Ends it. Publishes what is open first; on an error the mount goes on.
    pub(super) fn end(&mut self, lazy: bool) -> Result<()> {
        if !self.is_over() {
            self.vfs.publish_all()?;
            if self.device.is_some() {
                detach(&self.mountpoint, lazy)?;
            }
        }
        Ok(())
    }

    /// Waits for the threads of a mount that has ended.
    pub(super) fn join(self) -> Result<()> {
        self.mount.unmount()
    }
}

fn device(mountpoint: &Path) -> Result<Option<String>> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(mount) = mounted_at(mountpoint)? {
            return Ok(Some(mount.device));
        }
        if Instant::now() > end {
            return Err(Error::new(Kind::Io, format!("cannot mount at {}", mountpoint.display()))
                .why("the mount does not appear in the table of mounts")
                .mend("look into keyfold.log in the store"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Takes a mount out of the tree: `fusermount3 -u`, or `umount` for root. Lazy: also when files are open.
///
/// # Errors
/// What they say; [`Kind::Conflict`] when the mount is busy.
pub fn detach(mountpoint: &Path, lazy: bool) -> Result<()> {
    let mut tries: Vec<Command> = Vec::new();
    if process::effective_uid() == 0 {
        let mut umount = Command::new("umount");
        umount.args(if lazy { &["-l"][..] } else { &[] }).arg("--").arg(mountpoint);
        tries.push(umount);
    }
    let mut fusermount = Command::new("fusermount3");
    fusermount.arg(if lazy { "-uz" } else { "-u" }).arg("--").arg(mountpoint);
    tries.push(fusermount);
    let mut why = "neither fusermount3 nor umount can be run".to_owned();
    for mut command in tries {
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output() {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => why = String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(_) => {}
        }
    }
    let busy = why.contains("busy");
    let kind = if busy { Kind::Conflict } else { Kind::Io };
    let error = Error::new(kind, format!("cannot unmount {}", mountpoint.display())).why(why);
    Err(if busy {
        error.mend("leave the directory and close its files (fuser -vm shows who has any), or unmount with --lazy")
    } else {
        error.mend("unmount as the user who mounted, or as root")
    })
}
