//! One mount: started, described, ended. The only place that calls `fuse`.

use super::endpoint::Endpoint;
use super::plan::{Plan, mounted_at};
use super::settings::{of_the_kernel, of_the_view};
use crate::config::MountSettings;
use crate::control::{KernelMount, MountRow};
use crate::fuse::Mount;
use crate::model::{Error, Kind, Result};
use crate::store::Store;
use crate::sys::process;
use crate::telemetry::Metrics;
use crate::vfs::Vfs;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the kernel may take to show a mount in its table, unless it is busy.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
/// How long what is open may take to be published before a mount ends, and before it ends lazily.
const PUBLISHING: Duration = Duration::from_secs(30);
const PUBLISHING_LAZILY: Duration = Duration::from_secs(3);

/// How long requests over HTTP may take to end with their mount.
const DRAIN: Duration = Duration::from_secs(2);

/// A mount this process serves.
pub(super) struct Mounted {
    pub(super) mountpoint: PathBuf,
    pub(super) settings: MountSettings,
    options: Vec<String>,
    pub(super) vfs: Arc<Vfs>,
    /// The kernel's device number; none for a mount by descriptor, whose place only its giver knows.
    pub(super) device: Option<String>,
    mount: Arc<Mount>,
    /// The endpoints that were asked for with it.
    endpoint: Mutex<Option<Endpoint>>,
    over: Arc<AtomicBool>,
    /// Out of the tree, and still used by whoever was in it.
    detached: AtomicBool,
    /// Held while it is taken out of the tree.
    leaving: Mutex<()>,
    /// Held while its end is waited for.
    waiter: Mutex<Option<JoinHandle<Result<()>>>>,
}

impl Mounted {
    /// Mounts the store; returns when the mount answers. `ending`: the process takes no new work. `wake` is called when it has ended, whoever ended it.
    pub(super) fn start(
        store: &Arc<Store>,
        metrics: &Arc<Metrics>,
        plan: &Plan,
        settings: MountSettings,
        ending: &Arc<AtomicBool>,
        wake: impl FnOnce() + Send + 'static,
    ) -> Result<Self> {
        let mountpoint = plan.mountpoint.as_path();
        // First: an address that is taken is told before anything is mounted.
        let endpoint = Endpoint::start(store, metrics, &settings.endpoint, ending)?;
        let vfs = Vfs::new(
            Arc::clone(store),
            Arc::clone(metrics),
            of_the_view(&settings, super::open::nodes_max(store.dir())),
        )?;
        let mount = Arc::new(Mount::start(Arc::clone(&vfs), mountpoint, &of_the_kernel(&settings, store.dir()))?);
        let device = if mountpoint.starts_with("/dev/fd") { None } else { device(mountpoint)? };
        let over = Arc::new(AtomicBool::new(false));
        let (waited, is_over) = (Arc::clone(&mount), Arc::clone(&over));
        let waiter = std::thread::Builder::new().name("keyfold-mount".to_owned()).spawn(move || {
            let ended = waited.wait();
            is_over.store(true, Ordering::SeqCst);
            wake();
            ended
        });
        let waiter = waiter.map_err(|error| Error::io("cannot start a thread of the mount", error))?;
        Ok(Self {
            mountpoint: mountpoint.to_owned(),
            settings,
            options: plan.options.clone(),
            vfs,
            device,
            mount,
            endpoint: Mutex::new(Some(endpoint)),
            over,
            detached: AtomicBool::new(false),
            leaving: Mutex::new(()),
            waiter: Mutex::new(Some(waiter)),
        })
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
            options: self.options.clone(),
        }
    }

    /// Its endpoints, which whoever takes them ends.
    pub(super) fn take_endpoint(&self) -> Option<Endpoint> {
        self.endpoint.lock().take()
    }

    /// Whether it has ended: somebody unmounted it.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Whether it is out of the tree.
    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::SeqCst)
    }

    fn has_left(&self) -> bool {
        self.is_over() || self.is_detached()
    }

    /// Publishes what is open and takes it out of the tree; on an error it goes on. When the disk does not answer in
    /// time, that is an error, or with `lazy` what is open is published once it does. Others may do the same meanwhile.
    pub(super) fn end(&self, lazy: bool) -> Result<()> {
        if self.has_left() {
            return Ok(());
        }
        let cannot = || Error::new(Kind::Conflict, format!("cannot unmount {}", self.mountpoint.display()));
        let published = self.publish(if lazy { PUBLISHING_LAZILY } else { PUBLISHING });
        if !published && !lazy && !self.has_left() {
            return Err(cannot().why("the disk of the store does not take what is open").mend(
                "--lazy takes the mount out of the tree now, and what is open is published when the disk answers",
            ));
        }
        let Some(_leaving) = self.leaving.try_lock_for(PUBLISHING_LAZILY) else {
            return Err(cannot().why("it is being unmounted already, and the kernel takes its time"));
        };
        if self.has_left() {
            return Ok(());
        }
        if self.device.is_none() {
            // Whoever mounted the descriptor unmounts it.
        } else if !lazy && process::effective_uid() != 0 {
            // The library that mounted for a user knows lazy unmounting only.
            detach(&self.mountpoint, false)?;
        } else {
            let in_use = |error: Error| if error.reason().contains("busy") { busy(&self.mountpoint) } else { error };
            self.mount.unmount(lazy).map_err(in_use)?;
        }
        self.detached.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Publishes what is open; false when the disk has not taken it in time, and may still, or when the mount has left the
    /// tree meanwhile.
    fn publish(&self, patience: Duration) -> bool {
        let vfs = Arc::clone(&self.vfs);
        let (done, over) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("keyfold-publish".to_owned()).spawn(move || {
            vfs.publish_all();
            let _ = done.send(());
        });
        if let Err(error) = thread {
            tracing::warn!(%error, "what is open is published after the mount has ended");
            return true;
        }
        let end = Instant::now() + patience;
        loop {
            match over.recv_timeout(PAUSE) {
                Err(RecvTimeoutError::Timeout) if Instant::now() < end && !self.has_left() => {}
                published => return published.is_ok(),
            }
        }
    }

    /// Whether a request has been waiting for longer than `patience`.
    pub(super) fn is_stuck(&self, patience: Duration) -> bool {
        !self.is_over() && self.mount.oldest_request() > patience
    }

    /// Ends the connection to the kernel: whoever still uses the mount gets errors from then on, and nobody waits. What
    /// was acknowledged is published when the mount is joined. Whether that worked; if not, the end of the process does it.
    pub(super) fn abort(&self) -> bool {
        let Some(device) = &self.device else { return false };
        if let Err(error) = crate::sys::connection::abort(device) {
            tracing::warn!(mountpoint = %self.mountpoint.display(), %error, "cannot end the mount for who still uses it");
            return self.is_over();
        }
        true
    }

    /// Waits until nobody uses a mount that was taken out of the tree; whether that came true in time.
    pub(super) fn settle(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while self.device.is_some() && !self.is_over() && Instant::now() < end {
            std::thread::sleep(PAUSE);
        }
        self.is_over()
    }

    /// Waits until the mount has ended and all of it is published. How it ended, for the first who asks.
    pub(super) fn join(&self) -> Option<Result<()>> {
        if let Some(mut endpoint) = self.take_endpoint() {
            endpoint.end(DRAIN);
        }
        let mut waiter = self.waiter.lock();
        let ended = waiter.take()?.join();
        Some(ended.unwrap_or_else(|_| Err(Error::new(Kind::Io, "the mount's thread panicked"))))
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
        std::thread::sleep(PAUSE);
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
    if why.contains("busy") {
        return Err(busy(mountpoint));
    }
    Err(Error::new(Kind::Io, format!("cannot unmount {}", mountpoint.display()))
        .why(why)
        .mend("unmount as the user who mounted, or as root"))
}

/// Lets go who waits in a mount whose process does not answer.
pub fn let_go(mount: &KernelMount) {
    if let Err(error) = crate::sys::connection::abort(&mount.device) {
        tracing::debug!(%error, "cannot end a connection");
    }
}

fn busy(mountpoint: &Path) -> Error {
    Error::new(Kind::Conflict, format!("cannot unmount {}", mountpoint.display()))
        .why("it is in use: files are open on it, or it is somebody's current directory")
        .mend("`fuser -vm MOUNTPOINT` shows who uses it; --lazy unmounts it all the same")
}
