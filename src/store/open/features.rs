//! Features of a store that a release must know: added to `FORMAT` before anything is written that an older one would misread.

use super::{BACKUP, FORMAT_FILE, Format, Identity};
use crate::model::{Error, Result};
use crate::sys::disk::{Disk, replace_whole};
use std::io;
use std::path::Path;

/// There may be vaults: to another release their buckets would be damage, and what they hold anybody's.
pub(in crate::store) const VAULTS: &str = "vaults";
/// Runs may be compressed.
pub(super) const ZSTD: &str = "zstd";
/// Files of the log may lie in other directories than the store's own.
pub(super) const ZONES: &str = "zones";
/// What this release knows.
const KNOWN: [&str; 4] = [BACKUP, VAULTS, ZSTD, ZONES];

/// Whether this release knows all features of a store.
pub(super) fn are_known(features: &[String]) -> bool {
    features.iter().all(|feature| KNOWN.contains(&feature.as_str()))
}

impl Identity {
    /// Adds a feature for good, if the store does not have it. Durable when it returns.
    pub(in crate::store) fn add_feature(&mut self, disk: &dyn Disk, dir: &Path, feature: &str) -> Result<()> {
        if self.format.incompatible.iter().any(|known| known == feature) {
            return Ok(());
        }
        self.format.incompatible.push(feature.to_owned());
        let failed =
            |error| Error::io(format!("cannot add the feature {feature} to the store {}", dir.display()), error);
        self.format.write(disk).map_err(failed)
    }
}

impl Format {
    /// Puts it in place of what is there, whole or not at all.
    pub(super) fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        replace_whole(disk, Path::new(FORMAT_FILE), self.text().as_bytes())
    }
}
