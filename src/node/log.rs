//! Logs: to stderr, which is the terminal in the foreground and the store's log file in the background.
//!
//! The log file lies on the store's disk, so a thread of its own writes: who logs waits for no disk. While the disk hangs,
//! [`LINES_MAX`] lines wait, and further ones are lost.

use crate::model::{Error, Result};
use crate::sys::disk::plain_file;
use crate::sys::process;
use std::fs::File;
use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tracing_subscriber::EnvFilter;

/// The log's name in the store's directory.
const FILE: &str = "keyfold.log";
/// Size from which on a log is put aside; one older log is kept.
const BYTES_MAX: u64 = 16 << 20;
/// Which lines are written, in `tracing`'s filter language.
const VARIABLE: &str = "KEYFOLD_LOG";

/// Lines that may wait to be written.
const LINES_MAX: usize = 1024;
/// How long the last lines may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Lines handed over, and lines written.
static HANDED: AtomicU64 = AtomicU64::new(0);
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// A line on its way to the thread that writes.
struct Line {
    lines: SyncSender<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        HANDED.fetch_add(1, Ordering::AcqRel);
        if self.lines.try_send(std::mem::take(&mut self.bytes)).is_err() {
            WRITTEN.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Waits a moment for what was logged to be written; for the end of the process.
pub(super) fn flush() {
    let end = Instant::now() + PATIENCE;
    while WRITTEN.load(Ordering::Acquire) < HANDED.load(Ordering::Acquire) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The log file of a store that stderr goes to, and how long it is.
struct Growing {
    store: PathBuf,
    bytes: u64,
    most: u64,
}

impl Growing {
    fn new(store: &Path, most: u64) -> Self {
        let bytes = store.join(FILE).symlink_metadata().map_or(0, |meta| meta.len());
        Self { store: store.to_owned(), bytes, most }
    }

    /// So many bytes were written: another file to go on with, once this one is long enough.
    fn next(&mut self, written: usize) -> Option<File> {
        self.bytes += written as u64;
        if self.bytes <= self.most {
            return None;
        }
        // When that fails, it is tried again after as many bytes.
        self.bytes = 0;
        file_of(&self.store, self.most).ok()
    }
}

/// Begins to log: to the log file of `store`, which stderr goes to already, or to a terminal.
pub(super) fn begin(store: Option<&Path>) {
    let plain = store.is_some();
    let mut growing = store.map(|store| Growing::new(store, BYTES_MAX));
    let filter = std::env::var(VARIABLE).ok().and_then(|words| EnvFilter::try_new(words).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new("info,fuser=warn,s3s=off"));
    let colours =
        !plain && std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let (lines, waiting) = sync_channel::<Vec<u8>>(LINES_MAX);
    let writer = std::thread::Builder::new().name("keyfold-log".to_owned()).spawn(move || {
        for line in waiting {
            let written = std::io::stderr().write_all(&line);
            if let (Ok(()), Some(growing)) = (written, &mut growing)
                && let Some(next) = growing.next(line.len())
            {
                let _ = process::turn_streams(&next);
            }
            WRITTEN.fetch_add(1, Ordering::AcqRel);
        }
    });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    // A second call, as tests make it, changes nothing.
    let _ = match writer {
        Ok(_) => log.with_writer(move || Line { lines: lines.clone(), bytes: Vec::new() }).try_init(),
        Err(_) => log.with_writer(std::io::stderr).try_init(),
    };
}

/// The store's log file, opened to append.
pub(super) fn file(store: &Path) -> Result<File> {
    file_of(store, BYTES_MAX)
}

fn file_of(store: &Path, most: u64) -> Result<File> {
    let path = store.join(FILE);
    if path.symlink_metadata().is_ok_and(|meta| meta.len() > most) {
        let _ = std::fs::rename(&path, path.with_extension("log.1"));
    }
    let file = match plain_file(File::options().append(true).create(true).mode(0o600), &path) {
        // A backup on such a disk can be mounted.
        Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => File::options().append(true).open("/dev/null"),
        file => file,
    };
    file.map_err(|error| Error::io(format!("cannot open the log {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use super::{Growing, file_of};
    use std::io::Write;

    /// Also while the process runs, and one older log is kept.
    #[test]
    fn a_log_that_is_long_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = file_of(dir.path(), 100).unwrap();
        let mut growing = Growing::new(dir.path(), 100);
        for n in 0..100 {
            let line = format!("line {n:3}\n");
            log.write_all(line.as_bytes()).unwrap();
            if let Some(next) = growing.next(line.len()) {
                log = next;
            }
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let (old, new) = (read("keyfold.log.1"), read("keyfold.log"));
        assert!(old.len() > 100 && old.len() < 120 && new.len() <= 100, "{old}{new}");
        assert!(format!("{old}{new}").ends_with("line  98\nline  99\n"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
