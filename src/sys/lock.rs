//! The lock that makes one process the owner of a store, and who that process is.

use super::disk::plain_file;
use super::process::Identity;
use crate::model::{Error, Kind, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;

/// The file is one short line.
const BYTES_MAX: u64 = 256;

/// Held for as long as the store is open; released by the kernel when the process dies.
pub struct LockFile(#[expect(dead_code, reason = "held, not used")] Flock<File>);

/// What the holder of a lock says of itself; nothing when its line cannot be read.
pub type Holder = Option<Identity>;

impl LockFile {
    /// Takes the lock and writes into the file which process this is.
    ///
    /// # Errors
    /// [`Kind::StoreBusy`] when another process holds it, naming that process.
    pub fn take(path: &Path) -> Result<Self> {
        let what = || cannot_take(path);
        let how = &mut File::options();
        let file = plain_file(how.read(true).write(true).create(true).truncate(false), path);
        let file = file.map_err(|error| Error::io(what(), error))?;
        let mut lock = Self::lock(file, path)?;
        let line = format!("{}\n", Identity::own());
        let written = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| lock.write_all(line.as_bytes()));
        written.map_err(|error| Error::io(what(), error))?;
        Ok(Self(lock))
    }

    /// The same for a store that is only read, which may lie where nothing can be written.
    ///
    /// # Errors
    /// As [`LockFile::take`].
    pub fn take_to_read(path: &Path) -> Result<Self> {
        match plain_file(File::options().write(true), path) {
            Err(error) if matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
                let file = plain_file(File::options().read(true), path)
                    .map_err(|error| Error::io(cannot_take(path), error))?;
                Self::lock(file, path).map(Self)
            }
            _ => Self::take(path),
        }
    }

    fn lock(file: File, path: &Path) -> Result<Flock<File>> {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(lock),
            Err((file, Errno::EWOULDBLOCK)) => {
                let owner = read(&file).split_whitespace().next().unwrap_or("of another user").to_owned();
                Err(Error::new(Kind::StoreBusy, cannot_take(path))
                    .why(format!("process {owner} owns the store"))
                    .mend("use the mount or the commands of that process, or stop it first"))
            }
            Err((_, error)) => Err(Error::io(cannot_take(path), error.into())),
        }
    }

    /// Who holds the lock; `None` when nobody does. Writes nothing, so it waits for no disk.
    ///
    /// # Errors
    /// The system's, when the file cannot be opened; one that is absent is held by nobody.
    pub fn holder(path: &Path) -> io::Result<Option<Holder>> {
        let file = match plain_file(File::options().read(true), path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(_free) => Ok(None),
            Err((file, Errno::EWOULDBLOCK)) => Ok(Some(Identity::parse(&read(&file)))),
            Err((_, error)) => Err(error.into()),
        }
    }
}

fn cannot_take(path: &Path) -> String {
    format!("cannot take the lock {}", path.display())
}

fn read(mut file: &File) -> String {
    let mut line = String::new();
    // A line that cannot be read names nobody.
    let _ = file.rewind().and_then(|()| file.take(BYTES_MAX).read_to_string(&mut line));
    line
}

#[cfg(test)]
mod tests {
    use super::LockFile;
    use crate::model::Kind;
    use crate::sys::process::Identity;

    #[test]
    fn the_holder_is_known_as_long_as_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        assert_eq!(LockFile::holder(&path).unwrap(), None);
        let lock = LockFile::take(&path).unwrap();
        assert_eq!(LockFile::holder(&path).unwrap(), Some(Some(Identity::own())));
        let busy = LockFile::take(&path).err().unwrap();
        assert_eq!(busy.kind(), Kind::StoreBusy);
        assert!(busy.reason().contains(&std::process::id().to_string()), "{busy}");
        drop(lock);
        assert_eq!(LockFile::holder(&path).unwrap(), None);
    }
}
