//! The store's zones: how they are doing, what is told of them, and giving files the copies they want.

use super::Store;
use crate::chunklog::{ChunkLog, LogFile, SegmentId, SoloId};
use crate::index::{Family, Index, Read, SegRecord, decode, id_of};
use crate::model::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

/// How a zone is doing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its name; the store's own directory is `home`.
    pub name: String,
    /// `there`, `lost`, or `doubted`: it was lost, and some copies in it were not looked at since.
    pub state: String,
    /// Since when it is lost, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
    /// Files of the log that have a copy in it, as far as that is known.
    pub files: usize,
    /// Of these, copies that are not whole, or may not be.
    pub doubtful: usize,
    /// Bytes free on its disk.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub free: Option<u64>,
}

/// What one call of [`Store::refill_some`] came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refilled {
    /// Where to go on; nothing is left to be done when there is none.
    pub next: Option<u64>,
    /// Files looked after.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
}

impl Store {
    /// How each zone is doing; none when there is only the store's own directory.
    #[must_use]
    pub fn zones(&self) -> Vec<ZoneStatus> {
        if !self.log.has_zones() {
            return Vec::new();
        }
        let status = |zone: crate::chunklog::ZoneState| ZoneStatus {
            name: zone.name,
            state: match (&zone.lost, zone.doubted) {
                (Some(_), _) => "lost",
                (None, true) => "doubted",
                (None, false) => "there",
            }
            .to_owned(),
            since: zone.lost.as_ref().map(|(since, _)| since.rfc3339()),
            why: zone.lost.map(|(_, why)| why),
            files: zone.files,
            doubtful: zone.bad,
            free: zone.space.map(|space| space.free),
        };
        self.log.zones().into_iter().map(status).collect()
    }

    /// Looks whether zones are there, and tells what became of them. To be called every few seconds.
    pub fn tend_zones(&self) {
        if !self.log.has_zones() {
            return;
        }
        let back = self.log.tend_zones();
        self.tell_zones();
        // Files that were deleted while it was away.
        if back && self.writable().is_ok() {
            let swept = self.sweep_orphans();
            self.tried("sweep", swept);
        }
    }

    /// Puts what zones have to tell among the errors.
    pub(super) fn tell_zones(&self) {
        for notice in self.log.zone_notices() {
            self.complain("zone", None, "", &notice);
        }
    }

    /// Takes an empty directory for a zone that is lost, since its disk was replaced.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for no zone's name, [`Kind::Conflict`] when it is not lost or something is in its directory,
    /// or what the disk says.
    pub fn adopt_zone(&self, name: &str) -> Result<()> {
        self.writable()?;
        self.log.adopt_zone(name)?;
        self.tend_zones();
        Ok(())
    }

    /// Gives the copies that are wanted to one file, the first from `from` on. `patient`: zones that were lost a short while
    /// ago are waited for. `tick` hears of bytes read and written.
    ///
    /// # Errors
    /// When the store takes no changes, what `tick` says, or what the disks say; the files behind can be looked after.
    pub fn refill_some(&self, from: u64, patient: bool, tick: &mut dyn FnMut(u64) -> Result<()>) -> Result<Refilled> {
        self.writable()?;
        let done = match self.log.next_to_refill(from, patient) {
            None => {
                self.log.end_doubts()?;
                Ok(Refilled::default())
            }
            Some(id) => {
                let bytes = self.log.refill(id, patient, tick);
                bytes.map(|bytes| Refilled { next: id.checked_add(1), files: 1, bytes })
            }
        };
        self.tell_zones();
        done
    }

    /// Whether files may lack copies that did not at the last call.
    #[must_use]
    pub fn may_lack_copies(&self) -> bool {
        self.log.may_lack_copies()
    }

    /// The number of the first file from `from` on to which something is to be done, for who passes it by.
    #[must_use]
    pub fn file_to_refill(&self, from: u64) -> Option<u64> {
        self.log.next_to_refill(from, true)
    }

    /// The same for all files, at once. What cannot be done for one does not keep the others from it; the first such error is
    /// the answer.
    ///
    /// # Errors
    /// As [`Store::refill_some`].
    pub fn refill(&self, tick: &mut dyn FnMut(u64) -> Result<()>) -> Result<Refilled> {
        let (mut sum, mut failed) = (Refilled::default(), None);
        let mut from = Some(0);
        while let Some(at) = from {
            from = match self.refill_some(at, false, tick) {
                Ok(one) => {
                    (sum.files, sum.bytes) = (sum.files + one.files, sum.bytes + one.bytes);
                    one.next
                }
                Err(error) if matches!(error.kind(), Kind::Full | Kind::Io | Kind::Corrupt) => {
                    failed.get_or_insert(error);
                    self.log.next_to_refill(at, false).and_then(|id| id.checked_add(1))
                }
                Err(error) => return Err(error),
            };
        }
        failed.map_or(Ok(sum), Err)
    }
}

/// Refuses to go on without zones that were left out of the configuration while files may lie in them alone.
pub(super) fn without(index: &Index, log: &ChunkLog, left_out: &[String]) -> Result<()> {
    if left_out.is_empty() {
        return Ok(());
    }
    let (mut missing, mut one) = (0_usize, String::new());
    for found in index.scan(Family::Seg, &[], &[0xff; 9])? {
        let (key, value) = found?;
        let file = match (key.first(), key.get(1..).and_then(id_of)) {
            (Some(b'g'), Some(id)) => LogFile::Segment(SegmentId(id)),
            (Some(b's'), Some(id)) => LogFile::Solo(SoloId(id)),
            _ => continue,
        };
        if decode::<SegRecord>(&value)?.live_bytes > 0 && !log.is_anywhere(file) {
            missing += 1;
            one = super::fsck::file_name(&key);
        }
    }
    if missing == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, format!("cannot open the store without zone {}", left_out.join(", ")))
        .why(format!("{missing} files, {one} for one, lie whole in no zone of the store's keyfold.toml that is there"))
        .mend("put the zone back into [zones], leave it out of the classes' zones, and run `keyfold zones --repair`, which moves the files; then take it out"))
}
