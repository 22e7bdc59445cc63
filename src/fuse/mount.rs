//! Mounting, waiting and unmounting.
//!
//! As root the mount is made here by mount(2), so that unmounting can never hit another mount on the same path (fuser
//! 0.18 can) and requests of a process that changed its user are answered. Other users go through `fusermount3`, as
//! fuser does it. A mount point `/dev/fd/N` is a `/dev/fuse` descriptor that somebody else has mounted.
//!
//! Present files are never read by passthrough. The kernel refuses (EIO) every cached open of an inode that has a
//! passthrough open, and a passthrough open of one that has a cached one; a writer may come at any time, and its
//! session's bytes must be seen by readers that are open already. Versions and the past are: see the module `passing`.

use super::adapter::Adapter;
use super::notifier;
use super::pool::{self, Pool};
use super::relay::{self, READERS, Relay};
use super::wakeful::Wakeful;
use crate::model::{Error, Kind, Result};
use crate::vfs::{StaleEntries, Vfs};
use fuser::{Config, MountOption, Session, SessionACL, SessionUnmounter};
use parking_lot::Mutex;
use std::os::fd::OwnedFd;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How the kernel should mount it. What it shows is in [`crate::vfs::Settings`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MountSettings {
    /// Shown as the source; the store's path.
    pub fsname: String,
    /// The part of the type after `fuse.`.
    pub subtype: String,
    /// Other users may enter.
    pub allow_other: bool,
    /// Root may enter besides the owner.
    pub allow_root: bool,
    /// The kernel checks permission bits. It does also when this is not set, but on a mount of root's that nobody else
    /// may enter: there root's rights decide, and each change of a directory saves the kernel a question.
    pub default_permissions: bool,
    /// No changes.
    pub read_only: bool,
    /// Device nodes work.
    pub dev: bool,
    /// Set-user-id bits work.
    pub suid: bool,
    /// Programs may be run.
    pub exec: bool,
    /// The kernel is told not to keep times of access.
    pub noatime: bool,
    /// Threads for requests that wait for the disk; one more reads requests. Chosen when zero.
    pub threads: usize,
}

impl Default for MountSettings {
    fn default() -> Self {
        Self {
            fsname: "keyfold".to_owned(),
            subtype: "keyfold".to_owned(),
            allow_other: false,
            allow_root: false,
            default_permissions: false,
            read_only: false,
            dev: false,
            suid: false,
            exec: true,
            noatime: false,
            threads: 0,
        }
    }
}

/// Threads of the pool when none are asked for: a few, because they sleep in the disk.
const THREADS: usize = 8;

/// How long the readers may take to find their places.
const SEATING: Duration = Duration::from_millis(500);

/// Who takes the mount away.
enum Unmounter {
    /// We made it by mount(2).
    #[cfg(target_os = "linux")]
    Ours(PathBuf),
    /// fuser made it, by `fusermount3` or the platform's library.
    Library(Mutex<SessionUnmounter>),
    /// Somebody else did.
    Nobody,
}

/// A mount that answers.
pub struct Mount {
    unmounter: Unmounter,
    vfs: Arc<Vfs>,
    session: Mutex<Option<JoinHandle<std::io::Result<()>>>>,
    notifier: Mutex<Option<JoinHandle<()>>>,
    stale: StaleEntries,
    waiting: (relay::Ages, pool::Watched),
}

impl Mount {
    /// Mounts; when it returns, the mount answers.
    ///
    /// # Errors
    /// When the mount point cannot be used or the kernel refuses, with the way to mend it.
    pub fn start(vfs: Arc<Vfs>, mountpoint: &Path, settings: &MountSettings) -> Result<Self> {
        let pool = Pool::new(if settings.threads == 0 { THREADS } else { settings.threads })?;
        let (watched, watcher) = (pool.watched(), pool.watched());
        let relay = Relay::start(move || watcher.relieve())?;
        let waiting = (relay.ages(), watched);
        let adapter = Adapter::new(Arc::clone(&vfs), pool, Wakeful::start()?, relay);
        let (session, unmounter) = open_session(adapter, mountpoint, settings)?;
        let stale = vfs.stale_entries();
        let sender = session.notifier();
        let spawn = |error| Error::io("cannot start a thread of the mount", error);
        let listener = vfs.stale_entries();
        let notifier = std::thread::Builder::new()
            .name("fuse-notifier".to_owned())
            .spawn(move || notifier::run(&sender, listener))
            .map_err(spawn)?;
        let session = std::thread::Builder::new().name("fuse-reader".to_owned()).spawn(move || session.run());
        let session = match session {
            Ok(session) => session,
            Err(error) => {
                stale.close();
                let _ = unmount(&unmounter, true);
                return Err(spawn(error));
            }
        };
        if !matches!(unmounter, Unmounter::Nobody) {
            seat_readers(mountpoint, &waiting.0);
        }
        let (session, notifier) = (Mutex::new(Some(session)), Mutex::new(Some(notifier)));
        Ok(Self { unmounter, vfs, session, notifier, stale, waiting })
    }

    /// For how long the oldest request has been waiting for its answer; nothing when none does.
    #[must_use]
    pub fn oldest_request(&self) -> Duration {
        self.waiting.0.oldest().max(self.waiting.1.oldest())
    }

    /// Waits until it is unmounted, by us or by anybody, and publishes what was still open.
    ///
    /// # Errors
    /// When the connection to the kernel broke.
    pub fn wait(&self) -> Result<()> {
        let session = self.session.lock().take();
        let ended = session.map_or(Ok(Ok(())), JoinHandle::join);
        if !matches!(ended, Ok(Ok(()))) {
            // Nobody answers any more: better no mount than a dead one.
            let _ = unmount(&self.unmounter, true);
        }
        self.vfs.publish_all();
        self.stale.close();
        if let Some(notifier) = self.notifier.lock().take() {
            let _ = notifier.join();
        }
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::io("the mount ended", error)),
            Err(_) => Err(Error::new(Kind::Io, "the mount ended").why("a request made its reader panic")),
        }
    }

    /// Unmounts. A mount in use is detached with `lazy`: it goes when its last user does. What is open is published
    /// when the mount has ended; who wants it published before does that first. Waits for no disk.
    ///
    /// # Errors
    /// When it is in use and `lazy` is not set, or the kernel refuses.
    pub fn unmount(&self, lazy: bool) -> Result<()> {
        unmount(&self.unmounter, lazy)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.session.get_mut().as_ref().is_some_and(|session| !session.is_finished())
            && let Err(error) = self.unmount(true)
        {
            tracing::warn!(%error, "the mount could not be taken away");
        }
        self.stale.close();
    }
}

fn unmount(unmounter: &Unmounter, lazy: bool) -> Result<()> {
    match unmounter {
        #[cfg(target_os = "linux")]
        Unmounter::Ours(path) => {
            use nix::mount::{MntFlags, umount2};
            let plain = umount2(path, MntFlags::UMOUNT_NOFOLLOW);
            let done = if lazy && plain == Err(nix::errno::Errno::EBUSY) {
                umount2(path, MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH)
            } else {
                plain
            };
            done.map_err(|error| {
                Error::io(format!("cannot unmount {}", path.display()), error.into())
                    .mend("leave the directory and close its files, or unmount lazily")
            })
        }
        Unmounter::Library(session) => session.lock().unmount().map_err(|error| Error::io("cannot unmount", error)),
        Unmounter::Nobody => Err(Error::new(Kind::Unsupported, "cannot unmount")
            .why("the descriptor was mounted by somebody else")
            .mend("unmount it where it was mounted")),
    }
}

fn open_session(
    adapter: Adapter,
    mountpoint: &Path,
    settings: &MountSettings,
) -> Result<(Session<Adapter>, Unmounter)> {
    let handshake = |error| {
        Error::io(format!("cannot mount at {}", mountpoint.display()), error)
            .mend("`keyfold doctor` looks for what is missing")
    };
    if let Some(fd) = given_descriptor(mountpoint)? {
        let session = Session::from_fd(adapter, fd, SessionACL::All, readers(Config::default())).map_err(handshake)?;
        return Ok((session, Unmounter::Nobody));
    }
    #[cfg(target_os = "linux")]
    if nix::unistd::geteuid().is_root() {
        let path = std::fs::canonicalize(mountpoint).map_err(handshake)?;
        let fd = linux_mount(&path, settings)?;
        let unmounter = Unmounter::Ours(path);
        // The kernel asks for everybody or nobody but the owner; "root besides" is kept by fuser.
        let who = match (checked(settings), settings.allow_other) {
            // Root may act for others, as servers do, and the kernel lets that in: not here, where nothing is checked.
            (false, _) => SessionACL::Owner,
            (true, false) if settings.allow_root => SessionACL::RootAndOwner,
            (true, _) => SessionACL::All,
        };
        return match Session::from_fd(adapter, fd, who, readers(Config::default())) {
            Ok(session) => Ok((session, unmounter)),
            Err(error) => {
                let _ = unmount(&unmounter, true);
                Err(handshake(error))
            }
        };
    }
    let mut session = Session::new(adapter, mountpoint, &library_config(settings)).map_err(|error| {
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        let error = handshake(error);
        if denied && std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_err() {
            return error.mend("let users open the device, as most systems do: chmod 666 /dev/fuse");
        }
        if settings.allow_other || settings.allow_root {
            return error.mend("for allow_other, the line user_allow_other must stand in /etc/fuse.conf");
        }
        error
    })?;
    let unmounter = Unmounter::Library(Mutex::new(session.unmount_callable()));
    Ok((session, unmounter))
}

/// The descriptor that `/dev/fd/N` names.
fn given_descriptor(mountpoint: &Path) -> Result<Option<OwnedFd>> {
    let number = mountpoint.to_str().and_then(|path| path.strip_prefix("/dev/fd/"));
    let Some(number) = number.and_then(|number| number.parse::<i32>().ok()) else { return Ok(None) };
    // Duplicated: whoever passed it may close its own.
    let flags = nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(3);
    // SAFETY: the number is only used for the call, which fails when nothing is open there.
    let given = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    let copy = nix::fcntl::fcntl(given, flags).map_err(|error| {
        Error::io(format!("cannot use {}", mountpoint.display()), error.into())
            .mend("pass an open /dev/fuse descriptor under that number")
    })?;
    // SAFETY: fcntl has just made this descriptor, and nobody else knows it.
    Ok(Some(unsafe { std::os::fd::FromRawFd::from_raw_fd(copy) }))
}

/// Whether the kernel checks permission bits on a mount that root makes.
#[cfg(target_os = "linux")]
fn checked(settings: &MountSettings) -> bool {
    settings.allow_other || settings.allow_root || settings.default_permissions || !nix::unistd::getuid().is_root()
}

#[cfg(target_os = "linux")]
fn linux_mount(path: &Path, settings: &MountSettings) -> Result<OwnedFd> {
    use nix::mount::{MsFlags, mount};
    use std::os::fd::AsRawFd;
    let device = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").map_err(|error| {
        Error::io("cannot open /dev/fuse", error)
            .mend("load the kernel's module with modprobe fuse, or give the container the device")
    })?;
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    let mut data = format!("fd={},rootmode=40000,user_id={uid},group_id={gid}", device.as_raw_fd());
    if checked(settings) {
        data.push_str(",default_permissions");
    }
    if settings.allow_other || settings.allow_root {
        data.push_str(",allow_other");
    }
    let flags = [
        (settings.read_only, MsFlags::MS_RDONLY),
        (!settings.dev, MsFlags::MS_NODEV),
        (!settings.suid, MsFlags::MS_NOSUID),
        (!settings.exec, MsFlags::MS_NOEXEC),
        (settings.noatime, MsFlags::MS_NOATIME),
    ];
    let flags = flags.iter().filter(|(set, _)| *set).fold(MsFlags::empty(), |all, (_, flag)| all | *flag);
    let kind = format!("fuse.{}", settings.subtype);
    mount(Some(settings.fsname.as_str()), path, Some(kind.as_str()), flags, Some(data.as_str())).map_err(|error| {
        Error::io(format!("cannot mount at {}", path.display()), error.into())
            .mend("`keyfold doctor` looks for what is missing")
    })?;
    Ok(device.into())
}

fn readers(mut config: Config) -> Config {
    config.n_threads = Some(READERS);
    config
}

/// Asks until one thread reads and the others are parked: as long as several read, requests can overtake each other.
fn seat_readers(mountpoint: &Path, readers: &relay::Ages) {
    let end = Instant::now() + SEATING;
    while !readers.is_settled() && Instant::now() < end {
        // The kernel passes each such question on, to the thread that has waited longest.
        if nix::sys::statvfs::statvfs(mountpoint).is_err() {
            return;
        }
    }
}

fn library_config(settings: &MountSettings) -> Config {
    let mut config = readers(Config::default());
    config.acl = match (settings.allow_other, settings.allow_root) {
        (true, _) => SessionACL::All,
        (false, true) => SessionACL::RootAndOwner,
        (false, false) => SessionACL::Owner,
    };
    let pick = |set, yes, no| if set { yes } else { no };
    config.mount_options = vec![
        // fuser passes these on in one text, where a comma would begin another option.
        MountOption::FSName(settings.fsname.replace(',', "_")),
        MountOption::CUSTOM(format!("subtype={}", settings.subtype)),
        MountOption::DefaultPermissions,
        pick(settings.read_only, MountOption::RO, MountOption::RW),
        pick(settings.dev, MountOption::Dev, MountOption::NoDev),
        pick(settings.suid, MountOption::Suid, MountOption::NoSuid),
        pick(settings.exec, MountOption::Exec, MountOption::NoExec),
    ];
    if settings.noatime {
        config.mount_options.push(MountOption::NoAtime);
    }
    config
}
