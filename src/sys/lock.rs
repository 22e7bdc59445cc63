//! The lock that makes one process the owner of a store.

use crate::model::{Error, Kind, Result};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;

/// Held for as long as the store is open; released by the kernel when the process dies.
pub struct LockFile(#[expect(dead_code, reason = "held, not used")] Flock<File>);

impl LockFile {
    /// Takes the lock and writes this process's id into the file.
    ///
    /// # Errors
    /// [`Kind::StoreBusy`] when another process holds it, naming that process.
    pub fn take(path: &Path) -> Result<Self> {
        let what = || cannot_take(path);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| Error::io(what(), error))?;
        let mut lock = Self::lock(file, path)?;
        let written = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(format!("{}\n", std::process::id()).as_bytes()));
        written.map_err(|error| Error::io(what(), error))?;
        Ok(Self(lock))
    }

    /// The same for a store that is only read, which may lie where nothing can be written.
    ///
    /// # Errors
    /// As [`LockFile::take`].
    pub fn take_to_read(path: &Path) -> Result<Self> {
        match File::options().write(true).open(path) {
            Err(error) if matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
                let file = File::open(path).map_err(|error| Error::io(cannot_take(path), error))?;
                Self::lock(file, path).map(Self)
            }
            _ => Self::take(path),
        }
    }

    fn lock(file: File, path: &Path) -> Result<Flock<File>> {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(lock),
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner);
                Err(Error::new(Kind::StoreBusy, cannot_take(path))
                    .why(format!("process {} owns the store", owner.trim()))
                    .mend("use the mount or the commands of that process, or stop it first"))
            }
            Err((_, error)) => Err(Error::io(cannot_take(path), error.into())),
        }
    }
}

fn cannot_take(path: &Path) -> String {
    format!("cannot take the lock {}", path.display())
}
