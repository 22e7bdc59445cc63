//! Making a store of a generation again.

use super::Watch;
use super::check::Checker;
use super::copy::{Copied, Unit, What, copy};
use super::make::{SMALL, sync_tree};
use super::not_whole;
use super::place::{make_dir, read, record, refused, write};
use crate::chunklog::{self, ChunkLog};
use crate::model::{Error, Kind, Result};
use crate::store::{FORMAT_FILE, Identity, META_DIR, Options, set_apart};
use crate::sys::disk::OsDisk;
use crate::sys::lock::LockFile;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Nobody writes more into `keyfold.toml`, and the key file is a line.
const SMALL_BYTES_MAX: u64 = 1 << 20;

/// Stands in the directory until it is a store: what lies there may be removed.
const MARKER: &str = "RESTORING";

/// Copies a generation into an absent or empty directory, which is a store when all of it is there, and verifies every
/// byte. The store has the id of the one the backup is of, whose place it takes. Returns the bytes copied.
///
/// # Errors
/// [`Kind::NotSet`] for what is no backup, [`Kind::NotEmpty`] for a directory that is not empty, [`Kind::Full`], or
/// what the disks say; the same call may then be made again.
pub fn restore(generation: &Path, to: &Path, options: &Options, watch: &mut dyn Watch) -> Result<u64> {
    let identity = Identity::of(generation)?;
    let Some(record) = record(generation)?.filter(|_| identity.is_backup()) else {
        return Err(Error::new(Kind::NotSet, format!("cannot restore {}", generation.display()))
            .why("it is no backup")
            .mend("`keyfold backup --list DIR` lists the backups in a directory"));
    };
    begin(to)?;
    // So that nobody removes it meanwhile. Who has it open sees to that as well.
    let _lock = LockFile::take_to_read(&generation.join("LOCK")).ok();
    let log = ChunkLog::open(
        Arc::new(OsDisk::new(generation)),
        chunklog::Settings::new(identity.uuid(), 0, Arc::clone(&options.clock)),
    )?;
    let mut found: Vec<What> = log.segments()?.into_iter().map(|segment| What::Segment(segment.id)).collect();
    found.extend(log.solos()?.into_iter().map(|solo| What::Solo(solo.id)));
    let mut units = Unit::of_index(&generation.join(META_DIR))?;
    for what in found {
        units.extend(Unit::of_log(generation, what)?);
    }
    let mut damage = |name: &str, why: &str| watch.damage(not_whole(format!("{name}: {why}")));
    let small = SMALL.iter().filter(|name| generation.join(name).symlink_metadata().is_ok()).count() as u64;
    let here = small + units.iter().map(|unit| unit.files.len() as u64).sum::<u64>();
    if here < record.files {
        damage("BACKUP", &format!("{} files are missing of {}", record.files - here, record.files))?;
    }
    let mut checker = Checker::new(to, identity.uuid(), Arc::clone(&options.clock), options.settings.clone())?;
    let all: u64 = units.iter().map(Unit::bytes).sum();
    let mut done = 0;
    for unit in &units {
        watch.progress(&format!("copied {} of {} MiB", done >> 20, all >> 20))?;
        let outcome = copy(unit, to, &mut |_| Ok(()))?;
        let mut bad = match outcome {
            Copied::Done(unread) => unread,
            Copied::Missing => vec!["the file is missing".to_owned()],
        };
        bad.extend(checker.check(unit));
        for why in bad {
            watch.damage(not_whole(format!("{}: {why}", unit.name())))?;
        }
        done += unit.bytes();
    }
    watch.progress("checking the index")?;
    for (name, why) in checker.finish() {
        watch.damage(not_whole(format!("{name}: {why}")))?;
    }
    finish(generation, to, &identity, options, watch)?;
    Ok(done)
}

fn begin(to: &Path) -> Result<()> {
    let failed = |error| refused(to, error);
    make_dir(to).map_err(failed)?;
    let entries: Vec<_> =
        std::fs::read_dir(to).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(failed)?;
    let unfinished = to.join(MARKER).exists();
    for entry in entries {
        let name = entry.file_name();
        let ours = [META_DIR, "seg", "solo"].iter().any(|dir| name == *dir);
        if unfinished && ours {
            std::fs::remove_dir_all(entry.path()).map_err(failed)?;
        } else if !unfinished && name != "lost+found" {
            return Err(Error::new(Kind::NotEmpty, format!("cannot restore to {}", to.display()))
                .why("the directory is not empty")
                .mend("name a new directory: a restore overwrites nothing"));
        }
    }
    write(&to.join(MARKER), b"").and_then(|()| super::place::sync_dir(to)).map_err(failed)
}

fn finish(generation: &Path, to: &Path, identity: &Identity, options: &Options, watch: &mut dyn Watch) -> Result<()> {
    let failed = |error| refused(to, error);
    set_apart(to, options)?;
    for name in SMALL {
        match read(&generation.join(name), SMALL_BYTES_MAX + 1) {
            Ok(text) if text.len() as u64 > SMALL_BYTES_MAX => {
                watch.damage(not_whole(format!("{name}: it is larger than it can be")))?;
            }
            Ok(text) => write(&to.join(name), &text).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => watch.damage(not_whole(format!("{name}: {error}")))?,
        }
    }
    sync_tree(to).map_err(failed)?;
    write(&to.join(FORMAT_FILE), identity.text_of_copy(false).as_bytes()).map_err(failed)?;
    std::fs::remove_file(to.join(MARKER)).and_then(|()| super::place::sync_dir(to)).map_err(failed)
}
