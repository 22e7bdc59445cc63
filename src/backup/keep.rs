//! Removing the oldest generations.

use super::place::{Generation, Place, generations};
use crate::model::{Kind, Result};
use crate::sys::lock::LockFile;

/// Those beyond the newest `keep`.
pub(super) fn surplus(all: &[Generation], keep: usize) -> &[Generation] {
    &all[..all.len().saturating_sub(keep)]
}

/// Removes them, but for those that are in use; the names of both.
pub(super) fn prune(place: &Place, keep: usize) -> Result<(Vec<String>, Vec<String>)> {
    let (mut removed, mut in_use) = (Vec::new(), Vec::new());
    for generation in surplus(&generations(&place.dir)?, keep) {
        let name = generation.dir.display().to_string();
        match LockFile::take(&generation.dir.join("LOCK")) {
            Err(error) if error.kind() == Kind::StoreBusy => in_use.push(name),
            _ => {
                place.delete(generation)?;
                removed.push(name);
            }
        }
    }
    Ok((removed, in_use))
}
