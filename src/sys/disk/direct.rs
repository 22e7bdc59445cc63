//! Reading a file as the disk has it, past the system's cache of its pages.
//!
//! Locks: the window, held while the disk is read; a handle serves one reader.

use super::DiskFile;
use super::os::{plain_file, plain_file_with};
use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What reads past the cache are aligned to: blocks of disks are 512 or 4096 bytes.
const ALIGN: usize = 4096;
/// Bytes read at once, so that small reads one behind the other are few reads of the disk.
const WINDOW: usize = 512 << 10;

/// A file opened for reading only. Where the file system refuses reads past the cache, its pages are dropped first
/// instead; those that another process maps stay, and hide what is below them.
pub(super) struct DirectFile {
    file: File,
    cached: AtomicBool,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    at: u64,
    len: usize,
    /// A little larger than what is read, so that an aligned stretch is in it.
    bytes: Vec<u8>,
}

impl Window {
    fn shift(&self) -> usize {
        self.bytes.as_ptr().align_offset(ALIGN)
    }

    /// The bytes from `at` on that are here.
    fn get(&self, at: u64) -> &[u8] {
        let from = at.checked_sub(self.at).map_or(usize::MAX, |from| usize::try_from(from).unwrap_or(usize::MAX));
        let from = from.min(self.len);
        self.bytes.get(self.shift() + from..self.shift() + self.len).unwrap_or_default()
    }
}

impl DirectFile {
    /// Opens the file; `refused` is called when it has to be read through the cache.
    pub(super) fn open(path: &Path, refused: &dyn Fn()) -> io::Result<Self> {
        let (file, cached) = match past_the_cache(path) {
            Err(error) if is_refusal(&error) => (plain_file(OpenOptions::new().read(true), path)?, true),
            opened => (opened?, !cfg!(target_os = "linux")),
        };
        if cached {
            refused();
        }
        Ok(Self { file, cached: AtomicBool::new(cached), window: Mutex::default() })
    }

    /// Fills the window with up to `want` bytes from `at` on, both aligned.
    fn fill(&self, window: &mut Window, at: u64, want: usize) -> io::Result<()> {
        window.len = 0;
        if window.bytes.is_empty() {
            window.bytes = vec![0; WINDOW + ALIGN];
        }
        if self.cached.load(Ordering::Relaxed) {
            forget(&self.file, at, want);
        }
        let from = window.shift();
        let buf = window.bytes.get_mut(from..from + want).unwrap_or_default();
        let mut done = 0;
        while done < want {
            match self.file.read_at(&mut buf[done..], at + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Some say so only now.
                Err(error) if is_refusal(&error) && !self.cached.swap(true, Ordering::Relaxed) => {
                    through_the_cache(&self.file)?;
                    forget(&self.file, at, want);
                }
                Err(error) => return Err(error),
            }
            // What follows a part of a block is the end of the file.
            if !done.is_multiple_of(ALIGN) && !self.cached.load(Ordering::Relaxed) {
                break;
            }
        }
        if self.cached.load(Ordering::Relaxed) {
            forget(&self.file, at, want);
        }
        (window.at, window.len) = (at, done);
        Ok(())
    }
}

impl DiskFile for DirectFile {
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut window = self.window.lock();
        let mut done = 0;
        while done < buf.len() {
            let pos = at + done as u64;
            let here = window.get(pos);
            if here.is_empty() {
                let from = pos - pos % ALIGN as u64;
                let needed = usize::try_from(pos - from).unwrap_or(0) + (buf.len() - done);
                // What lies behind the wanted bytes must not make them unreadable.
                if self.fill(&mut window, from, WINDOW).is_err() {
                    self.fill(&mut window, from, needed.next_multiple_of(ALIGN).min(WINDOW))?;
                }
                if window.get(pos).is_empty() {
                    break;
                }
                continue;
            }
            let count = here.len().min(buf.len() - done);
            buf[done..done + count].copy_from_slice(&here[..count]);
            done += count;
        }
        Ok(done)
    }

    fn write_at(&self, _at: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn allocate(&self, _at: u64, _len: u64) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn punch_hole(&self, _at: u64, _len: u64) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn has_name(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() > 0)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

#[cfg(target_os = "linux")]
fn past_the_cache(path: &Path) -> io::Result<File> {
    plain_file_with(OpenOptions::new().read(true), path, nix::libc::O_DIRECT)
}

#[cfg(not(target_os = "linux"))]
fn past_the_cache(path: &Path) -> io::Result<File> {
    plain_file(OpenOptions::new().read(true), path)
}

#[cfg(target_os = "linux")]
fn through_the_cache(file: &File) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    fcntl(file, FcntlArg::F_SETFL(flags.difference(OFlag::O_DIRECT)))?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn through_the_cache(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Drops the system's clean pages of a stretch.
#[cfg(target_os = "linux")]
fn forget(file: &File, at: u64, len: usize) {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    if let (Ok(at), Ok(len)) = (nix::libc::off_t::try_from(at), nix::libc::off_t::try_from(len)) {
        // A hint: what stays is read as it is.
        let _ = posix_fadvise(file, at, len, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
}

#[cfg(not(target_os = "linux"))]
fn forget(_file: &File, _at: u64, _len: usize) {}

#[cfg(test)]
mod tests {
    use super::{ALIGN, DirectFile, WINDOW};
    use crate::sys::disk::DiskFile;

    #[test]
    fn any_stretch_is_read_whatever_its_alignment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let bytes: Vec<u8> =
            (0..WINDOW as u32 * 2 + 777).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let file = DirectFile::open(&path, &|| {}).unwrap();
        assert_eq!(file.size().unwrap(), bytes.len() as u64);
        for (at, len) in [
            (0, 1),
            (4095, 2),
            (ALIGN, ALIGN),
            (WINDOW - 3, 7),
            (3, WINDOW * 2),
            (bytes.len() - 5, 50),
            (bytes.len(), 1),
            (bytes.len() + 9999, 9),
            (0, 0),
        ] {
            let mut buf = vec![0xee; len];
            let got = file.read_at(at as u64, &mut buf).unwrap();
            let want = bytes.get(at..(at + len).min(bytes.len())).unwrap_or_default();
            assert_eq!((got, &buf[..got]), (want.len(), want), "{at} {len}");
        }
        assert!(file.write_at(0, b"no").is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn where_that_is_refused_the_cache_is_read_and_somebody_told() {
        let path = std::path::Path::new("/proc/version");
        let told = std::cell::Cell::new(0);
        let file = DirectFile::open(path, &|| told.set(told.get() + 1)).unwrap();
        let mut buf = [0; 4096];
        let got = file.read_at(6, &mut buf).unwrap();
        assert_eq!((&buf[..got], told.get()), (&std::fs::read(path).unwrap()[6..], 1));
    }
}
