//! Taking the place of a mount that is there already: of a dead one, or of the process that serves it.
//!
//! Who asks a mount whose process hangs, hangs as well. So nothing here touches the mount point: the kernel's table says
//! what is mounted there, the store's lock which process owns it, and its socket whether that answers. A process is ended
//! in steps, each with its time: asked over the socket, by SIGTERM, and only with [`Replace::Force`] by SIGKILL. It is
//! signalled when the lock is held and names it by number, boot and start, never by its number alone.

use super::mounted::detach;
use super::plan::mounted_at;
use crate::control::{FSTYPE, KernelMount, MountRow, Reply, Request, Row, connect};
use crate::model::{Error, Kind, Result};
use crate::store::LOCK_FILE;
use crate::sys::connection;
use crate::sys::lock::{Holder, LockFile};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a process may take to answer, and to end after it has answered.
const ANSWER: Duration = Duration::from_secs(5);
const ENDING: Duration = Duration::from_secs(30);
/// How long it may take to end after SIGTERM, before it is killed, and after that.
const TERMINATED: Duration = Duration::from_secs(15);
const WARNED: Duration = Duration::from_secs(3);
const KILLED: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);

/// What may be taken away for a mount.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Replace {
    /// A mount whose process is gone.
    Dead,
    /// Also one that is served: its process publishes what is open, syncs and ends.
    Running,
    /// The same, and a process that does not end is killed.
    Force,
}

/// What stands at a mount point.
enum State {
    /// Nobody answers for it any more.
    Dead,
    /// A process serves it.
    Served,
    /// A process owns the store, and does not say whether it serves this.
    Silent,
}

/// Clears the mount point of a Keyfold mount, as far as `how` allows. What the process that served it served besides is
/// returned, for its successor to go on with.
///
/// # Errors
/// [`Kind::Conflict`] when something is mounted there that may not be taken away, [`Kind::StoreBusy`] when its process
/// does not end.
pub(super) fn clear(store: &Path, mountpoint: &Path, how: Option<Replace>) -> Result<Vec<MountRow>> {
    let mut others = Vec::new();
    while let Some(mount) = mounted_at(mountpoint)?.filter(|mount| mount.fstype == FSTYPE) {
        let cannot = || Error::new(Kind::Conflict, format!("cannot mount at {}", mountpoint.display()));
        match (state(&mount), how) {
            (State::Dead, None) => {
                return Err(cannot().why("the mount there is left from a process that ended").mend(format!(
                    "mount with --replace, or clear it with `keyfold umount --lazy {}`",
                    mountpoint.display()
                )));
            }
            (State::Dead, Some(_)) => {}
            (State::Served, None | Some(Replace::Dead)) => {
                return Err(cannot()
                    .why(format!("{} is mounted there already", mount.source.display()))
                    .mend(format!("`keyfold umount {}` first, or choose another directory", mountpoint.display())));
            }
            (State::Silent, None | Some(Replace::Dead)) => {
                return Err(cannot()
                    .why(format!("{} is mounted there, and its process does not answer", mount.source.display()))
                    .mend("--replace ends that process and takes its place"));
            }
            (state @ (State::Served | State::Silent), Some(how)) => {
                if mount.source != store {
                    return Err(cannot()
                        .why(format!("another store is mounted there, {}", mount.source.display()))
                        .mend(format!("`keyfold umount {}` first", mountpoint.display())));
                }
                others.extend(end_owner(store, matches!(state, State::Served), how == Replace::Force)?);
            }
        }
        take_away(&mount)?;
    }
    others.retain(|other: &MountRow| other.mountpoint != mountpoint && other.device.is_some());
    Ok(others)
}

/// Takes a mount that nobody serves out of the tree, and lets go who waits in it.
fn take_away(mount: &KernelMount) -> Result<()> {
    if mounted_at(&mount.mountpoint)?.is_none_or(|now| now.device != mount.device) {
        return Ok(());
    }
    let _ = connection::abort(&mount.device);
    detach(&mount.mountpoint, true)
}

fn state(mount: &KernelMount) -> State {
    let lock = mount.source.join(LOCK_FILE);
    match LockFile::holder(&lock) {
        // Also a source that `fsname=` has changed: then the mount itself is asked.
        _ if !lock.exists() => match mount.mountpoint.metadata() {
            Err(error) if super::plan::is_not_connected(&error) => State::Dead,
            _ => State::Served,
        },
        Ok(None) => State::Dead,
        // Another user's process: it is there, and more is not to be known.
        _ if connect(&mount.source).is_err() => State::Served,
        Ok(Some(_)) | Err(_) => match ask(&mount.source, Request::Status, ANSWER) {
            Some(rows) => {
                let serves = |row: &Row| match row {
                    Row::Status(status) => status["mounts"]
                        .as_array()
                        .is_some_and(|mounts| mounts.iter().any(|row| row["device"] == mount.device.as_str())),
                    _ => false,
                };
                if rows.iter().any(serves) { State::Served } else { State::Dead }
            }
            // It may have ended since.
            None if matches!(LockFile::holder(&lock), Ok(None)) => State::Dead,
            None => State::Silent,
        },
    }
}

/// Ends the process that owns the store; what it served.
fn end_owner(store: &Path, answers: bool, by_force: bool) -> Result<Vec<MountRow>> {
    let lock = store.join(LOCK_FILE);
    let holder = || LockFile::holder(&lock).map_err(|error| Error::io("cannot tell who owns the store", error));
    let Some(owner) = holder()? else { return Ok(Vec::new()) };
    let cannot = |who: &Holder| {
        let who = who.as_ref().map_or("of another user or machine".to_owned(), |owner| owner.pid.to_string());
        Error::new(Kind::StoreBusy, format!("cannot take the store {} over", store.display()))
            .why(format!("process {who} owns it and does not end"))
    };
    let is_free = |patience: Duration| {
        let end = Instant::now() + patience;
        // Another process that has the store by now is not the one that was to end.
        while holder()?.is_some_and(|now| now == owner) {
            if Instant::now() > end {
                return Ok(false);
            }
            std::thread::sleep(PAUSE);
        }
        Ok::<_, Error>(true)
    };
    let mut served = Vec::new();
    // Before it answers, what is open comes to the disk.
    if answers && let Some(rows) = ask(store, Request::Stop, ENDING) {
        let mounts = rows.into_iter().filter_map(|row| if let Row::Mount(row) = row { Some(row) } else { None });
        served.extend(mounts);
        if is_free(ENDING)? {
            return Ok(served);
        }
    }
    let Some(known) = &owner else {
        return Err(cannot(&owner).mend("end that process where it runs"));
    };
    if known.end(false)? && is_free(if by_force { WARNED } else { TERMINATED })? {
        return Ok(served);
    }
    if !by_force {
        return Err(cannot(&owner).mend(
            "--replace=force kills it, and what was not durable yet is lost; when its disk hangs, wait for the disk",
        ));
    }
    if known.end(true)? && is_free(KILLED)? {
        return Ok(served);
    }
    if is_free(Duration::ZERO)? {
        return Ok(served);
    }
    Err(cannot(&owner).mend("it was killed and still waits for its disk: it ends when the disk answers"))
}

/// Asks the process that owns the store; nothing when it does not answer in time or not well.
fn ask(store: &Path, request: Request, patience: Duration) -> Option<Vec<Row>> {
    let mut connection = connect(store).ok()??;
    connection.be_patient(patience).ok()?;
    let mut rows = Rows(Vec::new());
    matches!(connection.ask(request, &mut rows), Ok(true)).then_some(rows.0)
}

struct Rows(Vec<Row>);

impl Reply for Rows {
    fn row(&mut self, row: Row) -> Result<()> {
        self.0.push(row);
        Ok(())
    }

    fn note(&mut self, _text: &str) -> Result<()> {
        Ok(())
    }

    fn alive(&mut self) -> Result<()> {
        Ok(())
    }
}
