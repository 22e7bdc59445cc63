//! Which zones have a copy of which file, and which of these copies are not whole. In memory, for stores with zones only.
//!
//! Locks: one, a leaf.

use super::super::id::{FileKey, SegmentId, SoloId};
use super::super::tier::Tier;
use crate::sys::sync::Mutex;
use std::collections::BTreeMap;

/// Where a file lies. Zones are bits: the first is the store's own directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::chunklog) struct Spots {
    /// Whether it is a one-object file.
    pub(in crate::chunklog) solo: bool,
    /// Zones in which it has a name.
    pub(in crate::chunklog) has: u32,
    /// Of these, those in which it is not whole, or may not be.
    pub(in crate::chunklog) bad: u32,
    /// Whose rules it follows, when that is known.
    pub(in crate::chunklog) tier: Option<Tier>,
}

impl Spots {
    /// Zones in which it is whole, as far as anybody knows.
    pub(in crate::chunklog) const fn good(self) -> u32 {
        self.has & !self.bad
    }

    /// The file.
    pub(in crate::chunklog) const fn key(self, id: u64) -> FileKey {
        if self.solo { FileKey::Solo(SoloId(id)) } else { FileKey::Segment(SegmentId(id)) }
    }
}

/// The number that a file's copies share with its checksums'.
pub(in crate::chunklog) const fn number(key: FileKey) -> u64 {
    match key {
        FileKey::Segment(id) => id.0,
        FileKey::Solo(id) | FileKey::Sum(id) => id.0,
    }
}

/// The places of the bits that are set.
pub(in crate::chunklog) fn places(mask: u32) -> impl Iterator<Item = usize> {
    (0..u32::BITS as usize).filter(move |zone| mask & 1 << zone != 0)
}

/// The bits at these places.
pub(in crate::chunklog) fn mask(places: impl IntoIterator<Item = usize>) -> u32 {
    places.into_iter().fold(0, |mask, place| mask | 1 << place)
}

#[derive(Default)]
pub(in crate::chunklog) struct Catalog(Mutex<Files>);

#[derive(Default)]
struct Files {
    known: BTreeMap<u64, Spots>,
    /// Files that were deleted while zones which may have them were lost, and these zones.
    dead: BTreeMap<u64, (bool, u32)>,
}

impl Catalog {
    pub(in crate::chunklog) fn get(&self, id: u64) -> Option<Spots> {
        self.0.lock().known.get(&id).copied()
    }

    pub(in crate::chunklog) fn put(&self, id: u64, spots: Spots) {
        self.0.lock().known.insert(id, spots);
    }

    /// Changes what is known of a file; false when nothing is, since it was deleted.
    pub(in crate::chunklog) fn change(&self, id: u64, how: impl FnOnce(&mut Spots)) -> bool {
        self.0.lock().known.get_mut(&id).map(how).is_some()
    }

    /// Changes what is known of every file.
    pub(super) fn change_all(&self, mut how: impl FnMut(u64, &mut Spots)) {
        self.0.lock().known.iter_mut().for_each(|(id, spots)| how(*id, spots));
    }

    /// Notes a copy that was found in a zone; false when its file was deleted, so that the copy is to go.
    pub(super) fn found(&self, id: u64, solo: bool, zone: usize, bad: bool) -> bool {
        let mut files = self.0.lock();
        if files.dead.contains_key(&id) {
            return false;
        }
        let spots = files.known.entry(id).or_insert(Spots { solo, ..Spots::default() });
        spots.has |= 1 << zone;
        // One that is known not to be whole does not get so by being away.
        if bad {
            spots.bad |= 1 << zone;
        }
        true
    }

    /// The file goes: nobody finds it from here on. `lost`: zones that may have it and cannot be asked.
    pub(super) fn remove(&self, id: u64, solo: bool, lost: u32) {
        let mut files = self.0.lock();
        files.known.remove(&id);
        if lost != 0 {
            files.dead.entry(id).or_insert((solo, 0)).1 |= lost;
        }
    }

    /// The dead files of a zone, to be removed from it.
    pub(super) fn dead_in(&self, zone: usize) -> Vec<(u64, bool)> {
        let files = self.0.lock();
        files.dead.iter().filter(|(_, (_, zones))| zones & 1 << zone != 0).map(|(id, (solo, _))| (*id, *solo)).collect()
    }

    /// A dead file is gone from a zone.
    pub(super) fn buried(&self, id: u64, zone: usize) {
        let mut files = self.0.lock();
        if let Some((_, zones)) = files.dead.get_mut(&id) {
            *zones &= !(1 << zone);
            if *zones == 0 {
                files.dead.remove(&id);
            }
        }
    }

    /// The first file from a number on that `wants` wants.
    pub(in crate::chunklog) fn next(&self, from: u64, wants: impl Fn(u64, Spots) -> bool) -> Option<(u64, Spots)> {
        let files = self.0.lock();
        files.known.range(from..).map(|(id, spots)| (*id, *spots)).find(|(id, spots)| wants(*id, *spots))
    }

    /// How many files `wants` wants.
    pub(in crate::chunklog) fn count(&self, wants: impl Fn(u64, Spots) -> bool) -> usize {
        self.0.lock().known.iter().filter(|(id, spots)| wants(**id, **spots)).count()
    }
}
