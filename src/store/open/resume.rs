//! Going on where the opening before ended: what its journal has, and numbers that nobody had before.

use super::EPOCH_KEY;
use crate::chunklog::{Journal, Zones};
use crate::index::{Family, Index};
use crate::model::{Error, Kind, Result};
use crate::store::{Store, fsck, ids};

/// Writes to where it belongs what a crash left in the journal only; the first file that this concerns.
pub(super) fn catch_up(index: &Index, journal: &Journal, zones: &Zones) -> Result<Option<u64>> {
    let entries = journal.entries(index.synced())?;
    if entries.is_empty() {
        return Ok(None);
    }
    let last = index.written();
    if last != index.synced() && entries.iter().all(|entry| entry.commit != last) {
        let why = format!("its last commit {last} is none of those in the journal, which follow {}", index.synced());
        return Err(Error::corrupt("cannot bring the index up to date", why)
            .mend("move the file `journal` out of the store to open it as the index has it"));
    }
    // Also what is in the index: it was not synced after that.
    let oldest = journal.restore(&entries, zones)?;
    for entry in &entries {
        index.replay(entry.commit, &entry.batch)?;
    }
    index.sync()?;
    Ok(oldest)
}

/// Refuses what only a writer can bring to its end.
pub(super) fn nothing_to_catch_up(index: &Index, journal: &Journal) -> Result<()> {
    if journal.entries(index.synced())?.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidState, "cannot open the store to read only")
        .why("it was not closed, and its journal holds changes that are to be written to where they belong")
        .mend("open it once to be changed, for example with `keyfold status STORE`"))
}

/// The number of the last opening. When the index no longer says it, or one that none comes to, the files do.
pub(super) fn last_epoch(index: &Index, in_files: &dyn Fn() -> Result<u32>) -> Result<u32> {
    let said = match Store::sys_number(index, EPOCH_KEY) {
        Err(error) if error.kind() == Kind::Corrupt => None,
        said => said?,
    };
    let said = said.and_then(|said| u32::try_from(said).ok()).filter(|said| *said <= u32::MAX / 2);
    said.map_or_else(in_files, Ok)
}

/// A number no earlier opening had, `by` more than the last, on disk before it is used.
pub(in crate::store) fn advance_epoch(index: &Index, in_files: &dyn Fn() -> Result<u32>, by: u32) -> Result<u32> {
    let epoch = last_epoch(index, in_files)?.saturating_add(by);
    index.transact(|tx| {
        tx.put(Family::Sys, EPOCH_KEY.as_bytes(), &u64::from(epoch));
        Ok(())
    })?;
    let _ = index.seal();
    if let Some(sealed) = index.sealed()? {
        index.write_sealed(sealed, true)?;
    }
    Ok(epoch)
}

/// The number to go on with; when the index no longer says it, one far above all that are in use: more may have been, of
/// versions that are gone.
pub(super) fn next_number(index: &Index) -> Result<Option<u64>> {
    let said = match Store::sys_number(index, ids::IDS_KEY) {
        Err(error) if error.kind() == Kind::Corrupt => None,
        said => said?,
    };
    if said.is_some_and(|next| next <= ids::NEXT_MAX) {
        return Ok(said);
    }
    Ok(Some(fsck::highest_number(index)?).filter(|highest| *highest > 0).map(ids::beyond))
}
