//! The machine's disk, below one root directory.

use super::direct::DirectFile;
use super::{Access, DirEntry, Disk, DiskFile, LockFile, Space};
use crate::model::{Error, Kind};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Files below one directory of the machine; only their owner may read them.
#[derive(Debug)]
pub struct OsDisk {
    root: PathBuf,
    /// Whether it was said that files cannot be read past the cache.
    told: AtomicBool,
}

impl OsDisk {
    /// The disk whose paths begin at `root`, which must exist.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), told: AtomicBool::new(false) }
    }

    /// The whole path. The directories on it must be some: a link in a store that somebody handed over could lead to any
    /// other place of the machine.
    fn at(&self, path: &Path) -> io::Result<PathBuf> {
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "a path must lead down from the store's directory"));
        }
        let mut above = self.root.clone();
        for part in path.parent().into_iter().flat_map(Path::components) {
            above.push(part);
            // What is missing the call itself will tell.
            if std::fs::symlink_metadata(&above).is_ok_and(|meta| !meta.is_dir()) {
                return Err(foreign(&above, "no directory"));
            }
        }
        Ok(self.root.join(path))
    }

    /// The whole path of a directory, which must be one itself.
    fn dir_at(&self, path: &Path) -> io::Result<PathBuf> {
        let whole = self.at(path)?;
        // The root may be reached by a link.
        if !path.as_os_str().is_empty() && std::fs::symlink_metadata(&whole).is_ok_and(|meta| !meta.is_dir()) {
            return Err(foreign(&whole, "no directory"));
        }
        Ok(whole)
    }
}

impl Disk for OsDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.at(path)?)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.at(path)?;
        if access == Access::Direct {
            let refused = || {
                if !self.told.swap(true, Ordering::Relaxed) {
                    tracing::info!(
                        "the file system gives no reads past its cache: its pages are dropped before they are checked"
                    );
                }
            };
            return Ok(Arc::new(DirectFile::open(&path, &refused)?));
        }
        Ok(Arc::new(OsFile(plain_file(OpenOptions::new().read(true).write(access == Access::Write), &path)?)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(self.at(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(self.at(from)?, self.at(to)?)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.dir_at(dir)?)? {
            let entry = entry?;
            let meta = match entry.metadata() {
                Ok(meta) => meta,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if let Ok(name) = entry.file_name().into_string() {
                let (is_dir, is_file) = (meta.is_dir(), meta.is_file());
                let (len, stored) = if is_file { (meta.len(), meta.blocks() * 512) } else { (0, 0) };
                found.push(DirEntry { name, is_dir, is_file, len, stored });
            }
        }
        Ok(found)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.dir_at(dir)?)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(self.dir_at(dir)?)?.sync_all()
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        match std::fs::symlink_metadata(self.at(path)?) {
            Ok(meta) => Ok(meta.is_file().then_some(meta.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn space(&self) -> io::Result<Space> {
        let stat = nix::sys::statvfs::statvfs(&self.root)?;
        #[allow(clippy::useless_conversion, reason = "the counts are 32 bits wide on some systems")]
        let (unit, total, free) =
            (u64::from(stat.fragment_size()), u64::from(stat.blocks()), u64::from(stat.blocks_available()));
        #[allow(clippy::useless_conversion, reason = "the counts are 32 bits wide on some systems")]
        let (inodes, inodes_free) = (u64::from(stat.files()), u64::from(stat.files_available()));
        Ok(Space { total: total.saturating_mul(unit), free: free.saturating_mul(unit), inodes, inodes_free })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<LockFile>> {
        let taken = LockFile::take(&self.at(path)?);
        let refused = |error: Error| match error.kind() {
            Kind::StoreBusy => io::Error::new(ErrorKind::WouldBlock, error.reason().to_owned()),
            _ => io::Error::other(error.reason().to_owned()),
        };
        taken.map(Some).map_err(refused)
    }
}

/// Opens a file that is one: not where a link leads, and no pipe, device or directory, which could give bytes without end
/// or none for ever.
///
/// # Errors
/// `InvalidInput` for anything else, or the system's.
pub fn plain_file(how: &mut OpenOptions, path: &Path) -> io::Result<File> {
    plain_file_with(how, path, 0)
}

/// The same with other flags of `open(2)`.
pub(super) fn plain_file_with(how: &mut OpenOptions, path: &Path, flags: i32) -> io::Result<File> {
    // A pipe is opened without waiting for its other end; to a file the flag means nothing.
    let file = how.custom_flags(flags | nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(path).map_err(|error| {
        let link = error.raw_os_error() == Some(nix::libc::ELOOP);
        if link { foreign(path, "no file but a link") } else { error }
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(foreign(path, "no file")) }
}

fn foreign(path: &Path, what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, format!("{} is {what}", path.display()))
}

struct OsFile(File);

impl DiskFile for OsFile {
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], at + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    #[cfg(target_os = "linux")]
    fn write_vectored_at(&self, mut at: u64, mut parts: &mut [io::IoSlice<'_>]) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        const PARTS_MAX: usize = 1024;
        io::IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let offset = nix::libc::off_t::try_from(at).map_err(|_| ErrorKind::InvalidInput)?;
            let count = parts.len().min(PARTS_MAX) as nix::libc::c_int;
            // SAFETY: an `IoSlice` is laid out as an `iovec`; `count` of them live in `parts` for the whole call,
            // and the system only reads what they point to.
            let wrote = unsafe { nix::libc::pwritev(self.0.as_raw_fd(), parts.as_ptr().cast(), count, offset) };
            match usize::try_from(wrote) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(wrote) => {
                    at += wrote as u64;
                    io::IoSlice::advance_slices(&mut parts, wrote);
                }
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn begin_write_back(&self, at: u64, len: u64) {
        use std::os::fd::AsRawFd;
        if let (Ok(at), Ok(len)) = (offset(at), offset(len)) {
            // SAFETY: plain numbers and an open descriptor. A failure is told by the next sync.
            unsafe { nix::libc::sync_file_range(self.0.as_raw_fd(), at, len, nix::libc::SYNC_FILE_RANGE_WRITE) };
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        use nix::errno::Errno;
        use nix::fcntl::{FallocateFlags, fallocate};
        let (from, room) = (offset(at)?, offset(len)?);
        loop {
            return match fallocate(&self.0, FallocateFlags::empty(), from, room) {
                Err(Errno::EINTR) => continue,
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => self.grow(at + len),
                done => done.map_err(io::Error::from),
            };
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        self.grow(at + len)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    #[cfg(target_os = "linux")]
    fn punch_hole(&self, at: u64, len: u64) -> io::Result<()> {
        use nix::fcntl::{FallocateFlags, fallocate};
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&self.0, flags, offset(at)?, offset(len)?).map_err(io::Error::from)
    }

    #[cfg(not(target_os = "linux"))]
    fn punch_hole(&self, _at: u64, _len: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    #[cfg(target_os = "linux")]
    fn free(&self, rest: &dyn Fn(Duration) -> bool) {
        let Ok(meta) = self.0.metadata() else { return };
        if meta.nlink() > 0 || meta.len() <= FREED_AT_ONCE || !self.is_ours_alone() {
            return;
        }
        let step = FREED_AT_ONCE.max(meta.len() / FREED_TIMES_MAX);
        let mut left = meta.len();
        while left > step {
            left -= step;
            if self.0.set_len(left).is_err() || !rest(FREED_REST) {
                return;
            }
        }
    }

    fn has_name(&self) -> io::Result<bool> {
        Ok(self.0.metadata()?.nlink() > 0)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

/// Bytes of a file without a name that are freed at once, and how often at most; a disk that is told which blocks are free
/// takes about a millisecond for as many.
#[cfg(target_os = "linux")]
const FREED_AT_ONCE: u64 = 4 << 20;
#[cfg(target_os = "linux")]
const FREED_TIMES_MAX: u64 = 1024;
#[cfg(target_os = "linux")]
const FREED_REST: Duration = Duration::from_millis(4);

impl OsFile {
    /// Whether nobody else has the file open or mapped: only then does the system give a lease for writing. It is given back
    /// at once, so whoever is just about to open a file by the name it had may get it, and find it cut.
    #[cfg(target_os = "linux")]
    fn is_ours_alone(&self) -> bool {
        use nix::libc::{F_SETLEASE, F_UNLCK, F_WRLCK, SIGURG, fcntl};
        use std::os::fd::AsRawFd;
        // From the system's fcntl.h; libc has no name for it.
        const F_SETSIG: nix::libc::c_int = 10;
        // SAFETY: plain numbers and an open descriptor.
        let control = |what, value: nix::libc::c_int| unsafe { fcntl(self.0.as_raw_fd(), what, value) == 0 };
        // Whoever opens it meanwhile, by `/proc`, has a signal sent to us: one that nobody dies of.
        control(F_SETSIG, SIGURG) && control(F_SETLEASE, F_WRLCK) && control(F_SETLEASE, F_UNLCK)
    }

    /// Grows the file without taking room, where the system cannot take it.
    fn grow(&self, len: u64) -> io::Result<()> {
        if self.size()? < len { self.0.set_len(len) } else { Ok(()) }
    }
}

#[cfg(target_os = "linux")]
fn offset(value: u64) -> io::Result<nix::libc::off_t> {
    nix::libc::off_t::try_from(value).map_err(|_| ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::{Access, Disk, OsDisk};
    use std::io::{ErrorKind, IoSlice};
    use std::path::Path;

    #[test]
    fn files_are_written_read_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(dir.path());
        let name = Path::new("a/b/file");
        disk.create_dir_all(Path::new("a/b")).unwrap();
        let file = disk.create_new(name).unwrap();
        assert_eq!(disk.create_new(name).err().unwrap().kind(), ErrorKind::AlreadyExists);

        file.allocate(0, 10_000).unwrap();
        assert_eq!(file.size().unwrap(), 10_000);
        let parts: Vec<[u8; 3]> = (0..3000u32).map(|n| [n as u8, (n >> 8) as u8, 7]).collect();
        let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        file.write_vectored_at(5, &mut slices).unwrap();
        file.sync_data().unwrap();
        let mut back = vec![0; 9000];
        assert_eq!(file.read_at(5, &mut back).unwrap(), 9000);
        assert_eq!(back, parts.concat());
        assert_eq!(file.read_at(9_990, &mut back).unwrap(), 10);
        assert!(file.fd().is_some());

        file.set_len(7).unwrap();
        assert_eq!(disk.file_len(name).unwrap(), Some(7));
        disk.rename(name, Path::new("a/other")).unwrap();
        disk.sync_dir(Path::new("a")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        let mut names: Vec<_> = disk.list(Path::new("a")).unwrap().into_iter().map(|e| (e.name, e.is_dir)).collect();
        names.sort();
        assert_eq!(names, [("b".into(), true), ("other".into(), false)]);
        assert_eq!(disk.open(Path::new("a/other"), Access::Read).unwrap().size().unwrap(), 7);
        disk.remove(Path::new("a/other")).unwrap();
        assert_eq!(disk.file_len(Path::new("a/other")).unwrap(), None);
        assert!(disk.space().unwrap().total > 0);
    }

    #[test]
    fn paths_cannot_leave_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(dir.path());
        for path in ["/etc/passwd", "../x", "a/../../x"] {
            assert_eq!(disk.open(Path::new(path), Access::Read).err().unwrap().kind(), ErrorKind::InvalidInput);
        }
    }

    #[cfg(target_os = "linux")]
    fn map(file: &std::fs::File) -> *mut nix::libc::c_void {
        use nix::libc::{MAP_FAILED, MAP_SHARED, PROT_READ, mmap};
        use std::os::fd::AsRawFd;
        // SAFETY: plain numbers and an open descriptor; a new place is chosen.
        let map = unsafe { mmap(std::ptr::null_mut(), 4096, PROT_READ, MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(map, MAP_FAILED);
        map
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_without_a_name_is_freed_unless_somebody_has_it() {
        const LEN: u64 = 3 * super::FREED_AT_ONCE;
        let dir = tempfile::tempdir().unwrap();
        let disk = OsDisk::new(dir.path());
        let name = Path::new("file");
        let file = disk.create_new(name).unwrap();
        file.write_at(0, &vec![1; LEN as usize]).unwrap();
        let other = std::fs::File::open(dir.path().join(name)).unwrap();
        std::fs::hard_link(dir.path().join(name), dir.path().join("link")).unwrap();
        disk.remove(name).unwrap();
        file.free(&|_| true);
        assert_eq!(other.metadata().unwrap().len(), LEN, "it has another name");
        disk.remove(Path::new("link")).unwrap();
        file.free(&|_| true);
        assert_eq!(other.metadata().unwrap().len(), LEN, "it is open elsewhere");
        let map = map(&other);
        drop(other);
        file.free(&|_| true);
        assert_eq!(file.size().unwrap(), LEN, "it is mapped");
        // SAFETY: what was mapped, and is not used.
        unsafe { nix::libc::munmap(map, 4096) };
        file.free(&|_| false);
        assert_eq!(file.size().unwrap(), LEN - super::FREED_AT_ONCE, "there was no time for more");
        file.free(&|_| true);
        assert_eq!(file.size().unwrap(), super::FREED_AT_ONCE);
    }
}
