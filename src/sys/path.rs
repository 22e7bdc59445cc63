//! Paths of which only the beginning may exist.

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
