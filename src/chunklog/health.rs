//! What a log tells of its zones, and what it is told about them.

use super::id::FileKey;
use super::log::ChunkLog;
use super::zones::{ZoneState, writable};
use crate::model::{Error, Result};
use crate::sys::disk::{Disk, Space};
use std::path::Path;
use std::sync::Arc;

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
        self.0.zones.tend(Some(self.0.durable_below()));
        self.0.zones.take_returned()
    }

    /// Whether files may lack copies that did not at the last call.
    #[must_use]
    pub fn may_lack_copies(&self) -> bool {
        self.0.zones.take_touch()
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

    /// Refuses to do `what` while a zone is lost.
    ///
    /// # Errors
    /// [`Kind::StoreUnavailable`](crate::model::Kind::StoreUnavailable), naming the first zone that is lost.
    pub fn need_zones(&self, what: &str) -> Result<()> {
        self.0.zones.need_all(what)
    }

    /// The disks of all zones that are there, the store's own first.
    #[must_use]
    pub fn disks(&self) -> Vec<Arc<dyn Disk>> {
        let there = self.0.zones.each().filter(|(_, member)| member.is_there());
        there.map(|(_, member)| Arc::clone(&member.disk)).collect()
    }

    /// Whether there is a whole copy of a file in zones that are there, as far as anybody knows.
    #[must_use]
    pub fn is_anywhere(&self, file: super::LogFile) -> bool {
        let (key, zones) = (FileKey::from(file), &self.0.zones);
        if zones.alone() {
            return !zones.is_doubted(key, 0) && !matches!(self.0.file_len(key), Ok(None));
        }
        zones.each().any(|(zone, _)| zones.trusts(key, zone))
    }

    /// The directories of the zones that have a copy of a file, the best first; an empty one for the store's own directory.
    #[must_use]
    pub fn places_of(&self, file: super::LogFile) -> Vec<&Path> {
        if self.0.zones.alone() { vec![Path::new("")] } else { self.0.zones.places_of(FileKey::from(file)) }
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
