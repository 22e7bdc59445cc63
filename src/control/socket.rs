//! The store's socket: where it is, how to reach it however long the path, and asking over it.

use super::answer::Answer;
use super::frame::{read_frame, write_frame};
use super::{Envelope, Reply, Request};
use crate::model::{Error, Kind, Result};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The socket's name in the store's directory.
pub const SOCKET: &str = "control.sock";

/// Longest path a socket's address holds.
const ADDRESS_BYTES_MAX: usize = 107;

/// A path that leads to the store's socket and fits an address. Long ones go through a descriptor of the directory,
/// which is held open as long as the value lives.
pub struct Address {
    path: PathBuf,
    _dir: Option<File>,
}

impl Address {
    /// The address in the store's directory `dir`.
    ///
    /// # Errors
    /// The system's, when the directory cannot be opened.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let path = dir.join(SOCKET);
        if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
            return Ok(Self { path, _dir: None });
        }
        let dir = File::open(dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()));
        Ok(Self { path, _dir: Some(dir) })
    }

    /// The path to bind or connect to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A connection to the process that owns a store.
pub struct Connection(UnixStream);

/// Connects to the process that owns the store in `dir`; `None` when there is none.
///
/// # Errors
/// [`Kind::Denied`] when the process is another user's, [`Kind::Io`] when the socket cannot be reached.
pub fn connect(dir: &Path) -> Result<Option<Connection>> {
    let address = Address::of(dir);
    // A link could lead to any other service of the machine, which is not to be asked.
    if let Ok(address) = &address
        && std::fs::symlink_metadata(address.path()).is_ok_and(|meta| !meta.file_type().is_socket())
    {
        return Ok(None);
    }
    match address.and_then(|address| UnixStream::connect(address.path())) {
        Ok(stream) => Ok(Some(Connection(stream))),
        // Nobody made a socket, or who made it is gone.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Error::new(Kind::Denied, format!("cannot ask the process that owns {}", dir.display()))
                .why("the store belongs to another user")
                .mend("ask as its owner or as root"))
        }
        Err(error) => Err(Error::io(format!("cannot reach the process that owns {}", dir.display()), error)),
    }
}

impl Connection {
    /// Limits how long the process may take for each part of its answer; without, it may take any time.
    ///
    /// # Errors
    /// [`Kind::Io`] when the system refuses.
    pub fn be_patient(&mut self, patience: Duration) -> Result<()> {
        let set = self.0.set_read_timeout(Some(patience)).and_then(|()| self.0.set_write_timeout(Some(patience)));
        set.map_err(|error| Error::io("cannot limit how long an answer may take", error))
    }

    /// Asks, and passes everything answered on to `reply`. `Ok(false)` when the process ended the connection without
    /// a word, as one that is ending does: the store is about to be free.
    ///
    /// # Errors
    /// What the verb says, or `reply`; [`Kind::StoreUnavailable`] when the process died while it answered.
    pub fn ask(&mut self, request: Request, reply: &mut dyn Reply) -> Result<bool> {
        if write_frame(&mut self.0, &Envelope::new(request)).is_err() {
            return Ok(false);
        }
        let mut heard = false;
        loop {
            match read_frame::<Answer>(&mut self.0) {
                Ok(Some(Answer::Row(row))) => reply.row(row)?,
                Ok(Some(Answer::Note(text))) => reply.note(&text)?,
                Ok(Some(Answer::Alive)) => reply.alive()?,
                Ok(Some(Answer::Done)) => return Ok(true),
                Ok(Some(Answer::Failed(failure))) => return Err(failure.into()),
                Err(error) if error.kind() == Kind::InvalidArgument => return Err(error),
                Ok(None) | Err(_) if !heard => return Ok(false),
                Ok(None) | Err(_) => {
                    return Err(Error::new(Kind::StoreUnavailable, "the process that owns the store went away")
                        .why("it closed the connection before its answer was complete")
                        .mend("look into keyfold.log in the store"));
                }
            }
            heard = true;
        }
    }

    /// Waits until the process ends: it holds this connection until the store is closed.
    pub fn until_gone(mut self) {
        while let Ok(Some(_)) = read_frame::<Answer>(&mut self.0) {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, connect};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_socket_is_reached_however_long_its_path() {
        let root = tempfile::tempdir().unwrap();
        for length in [1, 100, 200] {
            let dir = root.path().join("d".repeat(length));
            std::fs::create_dir(&dir).unwrap();
            assert!(connect(&dir).unwrap().is_none());
            let listener = UnixListener::bind(Address::of(&dir).unwrap().path()).unwrap();
            assert!(connect(&dir).unwrap().is_some());
            let elsewhere = root.path().join(format!("elsewhere-{length}"));
            std::fs::create_dir(&elsewhere).unwrap();
            std::os::unix::fs::symlink(dir.join(super::SOCKET), elsewhere.join(super::SOCKET)).unwrap();
            assert!(connect(&elsewhere).unwrap().is_none(), "a link to a socket is not this store's");
            drop(listener);
            assert!(connect(&dir).unwrap().is_none(), "a socket nobody listens to is no process");
        }
    }
}
