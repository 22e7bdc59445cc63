//! What a log tells of its zones, and what it is told about them.

use super::id::FileKey;
use super::log::ChunkLog;
use super::zones::{ZoneState, number, writable};
use crate::model::{Error, Result};
use crate::sys::disk::Space;
use std::path::Path;

impl ChunkLog {
    /// Whether files may lie in other zones than the store's own directory.
    #[must_use]
    pub fn has_zones(&self) -> bool {
        !self.0.zones.alone()
    }

    /// How each zone is doing; the store's own directory is the first.
    #[must_use]
    pub fn zones(&self) -> Vec<ZoneState> {
        self.0.zones.states()
    }

    /// Looks whether each zone is there. Whether one came back, so that there may be files in it that nobody names.
    pub fn tend_zones(&self) -> bool {
        let oldest = self.0.tracked.lock().keys().map(|key| number(*key)).min();
        let settled = oldest.unwrap_or_else(|| self.0.next_number());
        self.0.zones.tend(Some(settled))
    }

    /// Whether files may lack copies that did not at the last call.
    #[must_use]
    pub fn may_lack_copies(&self) -> bool {
        self.0.zones.take_touch()
    }

    /// Gives up a zone at which [`ChunkLog::tend_zones`] has been looking for long.
    pub fn notice_stalled_zones(&self) {
        self.0.zones.notice_stalled();
    }

    /// What is to be told to a person of zones and copies since the last call.
    #[must_use]
    pub fn zone_notices(&self) -> Vec<Error> {
        self.0.zones.notices()
    }

    /// Ends the doubt about zones in which all copies were looked at.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub fn end_doubts(&self) -> Result<()> {
        self.0.zones.end_doubts().map_err(|error| Error::io("cannot write the list of zones", error))
    }

    /// Forgets zones that the configuration has no more.
    ///
    /// # Errors
    /// When the list of zones cannot be written.
    pub fn forget_zones(&self) -> Result<()> {
        self.0.zones.forget_others()
    }

    /// Takes an empty directory for a zone that is lost, since its disk was replaced.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`](crate::model::Kind::InvalidArgument) for no zone's name,
    /// [`Kind::Conflict`](crate::model::Kind::Conflict) when it is not lost or something is in the directory, or what the disk
    /// says.
    pub fn adopt_zone(&self, name: &str) -> Result<()> {
        self.0.zones.adopt(name)
    }

    /// Whether there is a copy of a file in zones that are there.
    #[must_use]
    pub fn is_anywhere(&self, file: super::LogFile) -> bool {
        let key = FileKey::from(file);
        if self.0.zones.alone() {
            return !matches!(self.0.file_len(key), Ok(None));
        }
        !self.0.zones.having(key).is_empty()
    }

    /// The directory of the zone in which a file is read best; none for the store's own directory.
    #[must_use]
    pub fn place_of(&self, file: super::LogFile) -> Option<&Path> {
        if self.0.zones.alone() { None } else { self.0.zones.place_of(FileKey::from(file)) }
    }

    /// Room for files of the first tier, with as many copies as it asks for or as there are zones; that of the store's own
    /// disk without zones.
    ///
    /// # Errors
    /// When the store's own disk cannot be asked.
    pub fn space(&self) -> Result<Space> {
        let zones = &self.0.zones;
        let own = zones.own().disk.space().map_err(|error| Error::io("cannot ask the disk for free space", error))?;
        if zones.alone() {
            return Ok(own);
        }
        let tier = self.0.tier(super::Tier(0));
        let spaces = |wanted: &dyn Fn(usize) -> bool| -> Vec<Space> {
            let there = zones.each().filter(|(zone, member)| member.is_there() && wanted(*zone));
            there.filter_map(|(_, member)| member.disk.space().ok()).collect()
        };
        let mut there = spaces(&|zone| tier.zones.contains(&zone));
        if there.is_empty() {
            there = spaces(&|_| true);
        }
        let fits = |of: fn(&Space) -> u64| writable(&there.iter().map(of).collect::<Vec<_>>(), tier.copies);
        Ok(Space { total: fits(|space| space.total), free: fits(|space| space.free), ..own })
    }
}
