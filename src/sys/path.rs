//! Paths of which only the beginning may exist, or whose end somebody else may change.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The path with links followed, as far as it exists.
#[must_use]
pub fn existing(path: &Path) -> PathBuf {
    if let Ok(whole) = path.canonicalize() {
        return whole;
    }
    match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) => existing(above).join(name),
        _ => path.to_owned(),
    }
}

/// Opens a directory, and no link that stands in its place.
///
/// # Errors
/// The system's.
pub fn open_dir(path: &Path) -> std::io::Result<File> {
    use nix::libc::{O_DIRECTORY, O_NOFOLLOW};
    OpenOptions::new().read(true).custom_flags(O_DIRECTORY | O_NOFOLLOW).open(path)
}
