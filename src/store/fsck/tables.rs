//! An index whose files are damaged: noticed before anything is made of it, and made anew of what can be read.

use super::quarantine::QUARANTINE;
use crate::chunklog::Zones;
use crate::index::{self, CURRENT, MEND, Salvaged};
use crate::model::{Error, Kind, Result};
use crate::store::open::{EPOCH_KEY, LOCK_FILE, META_DIR, SALVAGED_KEY, only_files, set_right};
use crate::store::{Identity, Options, Store};
use crate::sys::disk::{Disk, OsDisk};
use crate::sys::lock::LockFile;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

/// Refuses a store whose index is not there although something else is: a new one would know nothing of it.
pub(in crate::store) fn need_index(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let meta = dir.join(META_DIR);
    if meta.join(CURRENT).exists() {
        return Ok(());
    }
    if !has_tables(&meta) && crate::chunklog::last_epoch(disk)? == 0 && !crate::chunklog::has_zone_list(disk) {
        return Ok(());
    }
    Err(Error::new(Kind::Corrupt, "cannot open the index")
        .why(format!("{} is missing, and the store holds data", meta.join(CURRENT).display()))
        .mend(MEND))
}

/// Whether an index's directory has anything that records may be in.
fn has_tables(meta: &Path) -> bool {
    let holds = |name: &str| Path::new(name).extension().is_some_and(|end| end == "sst" || end == "log");
    fs::read_dir(meta).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| holds(&entry.file_name().to_string_lossy())))
    })
}

impl Store {
    /// Makes a new index of what can be read of the one in a store that nobody has open. The old one is moved to the
    /// store's quarantine.
    ///
    /// # Errors
    /// [`Kind::StoreBusy`]; [`Kind::Corrupt`] when nothing can be made of it: then the old one is where it was.
    pub fn salvage_index(dir: &Path, options: &Options) -> Result<Salvaged> {
        let _lock = LockFile::take(&dir.join(LOCK_FILE))?;
        let disk = OsDisk::new(dir);
        only_files(&disk, &dir.join(META_DIR))?;
        set_right(&disk)?;
        if !has_tables(&dir.join(META_DIR)) {
            return Err(Error::new(Kind::Corrupt, "cannot make a new index of the old one")
                .why("nothing is left of it")
                .mend(
                    "`keyfold fsck --rebuild STORE` makes one of the data alone; or put the store back from a backup",
                ));
        }
        let failed = |error| Error::io("cannot put a new index in place", error);
        let time = options.clock.now().rfc3339().replace(':', "");
        let base = dir.join(QUARANTINE);
        fs::create_dir_all(&base).map_err(failed)?;
        let mut work = base.join(format!("index-{time}"));
        let mut n = 1;
        while work.exists() {
            n += 1;
            work = base.join(format!("index-{time}-{n}"));
        }
        fs::create_dir(&work).map_err(failed)?;
        let (new, scratch, meta) = (work.join("new"), work.join("scratch"), dir.join(META_DIR));
        // Lost records may have known files that no other does.
        let identity = Identity::read(&disk, dir)?;
        let (uuid, had) = (identity.uuid(), identity.has_zones());
        let clock = Arc::clone(&options.clock);
        let (zones, _) = Zones::open(Arc::new(OsDisk::new(dir)), &options.zones, uuid, clock, 1, had, true)?;
        zones.need_all("make a new index")?;
        let last = u64::from(zones.last_epoch()?);
        let numbers = [(EPOCH_KEY, last), (SALVAGED_KEY, last)];
        let done = index::salvage(&meta, &new, &scratch, options.settings.index(), &numbers).inspect_err(|_| {
            let _ = fs::remove_dir_all(&work);
        })?;
        fs::remove_dir_all(&scratch).map_err(failed)?;
        let sync = |dir: &Path| File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed);
        sync(&new)?;
        fs::rename(&meta, work.join(META_DIR)).map_err(failed)?;
        fs::rename(&new, &meta).map_err(failed)?;
        for dir in [work.as_path(), base.as_path(), dir] {
            sync(dir)?;
        }
        Ok(done)
    }

    /// Whether every table of the index can be read.
    ///
    /// # Errors
    /// [`Kind::Corrupt`], saying which cannot.
    pub fn verify_index(&self) -> Result<()> {
        self.index.verify()
    }
}
