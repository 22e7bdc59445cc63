//! The lock that makes one process the owner of a store.

use crate::model::{Error, Kind, Result};
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Held for as long as the store is open; released by the kernel when the process dies.
pub struct LockFile(#[expect(dead_code, reason = "held, not used")] Flock<File>);

impl LockFile {
    /// Takes the lock and writes this process's id into the file.
    ///
    /// # Errors
    /// [`Kind::StoreBusy`] when another process holds it, naming that process.
    pub fn take(path: &Path) -> Result<Self> {
        let what = || format!("cannot take the lock {}", path.display());
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| Error::io(what(), error))?;
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner);
                return Err(Error::new(Kind::StoreBusy, what())
                    .why(format!("process {} owns the store", owner.trim()))
                    .mend("use the mount or the commands of that process, or stop it first"));
            }
            Err((_, error)) => return Err(Error::io(what(), error.into())),
        };
        let written = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(format!("{}\n", std::process::id()).as_bytes()));
        written.map_err(|error| Error::io(what(), error))?;
        Ok(Self(lock))
    }
}
