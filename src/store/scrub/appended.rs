//! What of the index is only appended to: RocksDB's list of tables, the file that names it, and its logs.

use super::super::Store;
use super::super::open::META_DIR;
use super::pass::Part;
use super::{Place, ScrubPass, Suspect};
use crate::chunklog::Reach;
use crate::index::{CURRENT, LIST, check_appended};
use crate::model::{Error, Result};
use crate::sys::disk::Access;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How often the list is looked for, as RocksDB may go on to another.
const LOOKS: usize = 3;

fn path(name: &str) -> PathBuf {
    Path::new(META_DIR).join(name)
}

/// The number of a list of tables or of a log.
fn number(name: &str) -> Option<u64> {
    name.strip_prefix(LIST).or_else(|| name.strip_suffix(".log"))?.parse().ok()
}

/// What to do about damage in a file of the store, if it is one of these: what they say is still in memory.
pub(super) fn mend(file: &str) -> Option<&'static str> {
    let name = file.strip_prefix(META_DIR)?.strip_prefix('/')?;
    if name != CURRENT {
        number(name)?;
    }
    Some(if name.ends_with(".log") {
        "`keyfold gc` writes what it holds to tables before the store is closed; look at the disk's health"
    } else {
        "make a backup (`keyfold backup`) before the store is closed, since it may not open again; \
         `keyfold fsck --repair` makes a new index then"
    })
}

impl Store {
    /// Checks about `budget` bytes of one file; false when there is none left.
    pub(super) fn scrub_appended(&self, pass: &mut ScrubPass, budget: u64) -> Result<bool> {
        if !self.index.is_rocks() {
            return Ok(false);
        }
        let failed = |error| Error::io("cannot check the index's list of tables and logs", error);
        if (pass.file, pass.at) == (0, 0)
            && let Err(error) = self.find_list()
        {
            let (what, why) = ("name of the list of tables".to_owned(), error.to_string());
            let place = Place::Appended(CURRENT.to_owned());
            pass.suspect(Suspect { place, at: 0, len: u64::MAX, what, why, reach: Reach::Nothing });
        }
        let names = self.disk.list(Path::new(META_DIR)).map_err(failed)?.into_iter().map(|entry| entry.name);
        let numbered = names.filter_map(|name| Some((number(&name)?, name)));
        let Some((number, name)) = numbered.filter(|(number, _)| *number >= pass.file).min() else { return Ok(false) };
        if number > pass.file {
            pass.at = 0;
        }
        let checked = match self.disk.open(&path(&name), Access::Direct) {
            Ok(file) => check_appended(&*file, pass.at, budget)?,
            // RocksDB lets a log go once all of it is in tables.
            Err(error) if error.kind() == ErrorKind::NotFound => Default::default(),
            Err(error) => return Err(failed(error)),
        };
        pass.go_on(number, checked.bytes, checked.next, Part::Tables);
        for flaw in checked.flaws {
            let (place, what) = (Place::Appended(name.clone()), flaw.what.to_owned());
            pass.suspect(Suspect { place, at: flaw.at, len: flaw.len, what, why: flaw.why, reach: Reach::Nothing });
        }
        Ok(true)
    }

    /// That the list of tables that is named is there.
    fn find_list(&self) -> io::Result<()> {
        let mut found = Ok(());
        for _ in 0..LOOKS {
            let mut bytes = [0; 64];
            let read = self.disk.open(&path(CURRENT), Access::Direct)?.read_at(0, &mut bytes)?;
            let said = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned();
            found = match said.strip_suffix('\n').filter(|name| name.starts_with(LIST) && number(name).is_some()) {
                Some(name) => self.disk.open(&path(name), Access::Direct).map(drop),
                None => return Err(io::Error::new(ErrorKind::InvalidData, format!("{said:?} is no list of tables"))),
            };
            if found.is_ok() {
                break;
            }
        }
        found
    }

    /// Whether a file of the index is there still, if it is one that may go.
    pub(super) fn is_there(&self, name: &str) -> Result<bool> {
        if name == CURRENT {
            return Ok(true);
        }
        let len = self.disk.file_len(&path(name));
        len.map(|len| len.is_some()).map_err(|error| Error::io("cannot look at a file of the index", error))
    }
}
