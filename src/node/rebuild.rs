//! Building a store's index anew, with the settings of its `keyfold.toml`.

use crate::model::{Error, Result};
use crate::store::{Rebuilt, Store};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Builds the index of the store in `dir` from its data; what it makes belongs to the directory's owner.
///
/// # Errors
/// As [`Store::rebuild`].
pub fn rebuild(dir: &Path, dry_run: bool, progress: &mut dyn FnMut(&str)) -> Result<Rebuilt> {
    let meta = std::fs::metadata(dir).map_err(|error| Error::io(format!("cannot look at {}", dir.display()), error))?;
    Store::rebuild(dir, super::options(dir)?, (meta.uid(), meta.gid()), dry_run, progress)
}
