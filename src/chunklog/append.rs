//! Appending runs: reserving room in the open segment, writing, cutting long ones.

use super::durable::is_full;
use super::format::header::SegmentHeader;
use super::format::run::RUN_BYTES_MAX;
use super::id::{Class, FileKey, Owner, Run, SegmentId, stretches};
use super::log::{ChunkLog, Inner, Lane};
use super::packed::{Packed, Packer};
use super::segment::{OpenSegment, Pieces, Places, Room};
use super::tier::Tier;
use crate::model::{Error, Kind, Result};
use crate::sys::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

/// Runs written at once with which the disk may begin before anybody asks for a sync.
const WRITE_BACK: u64 = 1 << 20;

impl ChunkLog {
    /// Appends each piece as a run, all with one write unless a segment ends in between. When it returns, the runs
    /// can be read, and are durable after the next sync. Nothing is recorded of an append that fails.
    ///
    /// # Errors
    /// [`Kind::Full`] when the disk is, after which appends work again as soon as there is room;
    /// [`Kind::InvalidArgument`] for a piece that is empty or over [`RUN_BYTES_MAX`]; or what the disk says, in which
    /// case later appends go to another file.
    pub fn append(&self, tier: Tier, class: Class, pieces: &[(Owner<'_>, &[u8])]) -> Result<Vec<Run>> {
        let runs = self.append_only(tier, class, pieces)?;
        // What a session spills, unlike what it publishes, is followed by no sync soon.
        for (segment, at, len) in stretches(&runs).filter(|(_, _, len)| *len >= WRITE_BACK) {
            self.begin_write_back(segment, at, len);
        }
        Ok(runs)
    }

    /// Lets the disk begin with bytes of a segment that were appended in this opening. A hint.
    pub fn begin_write_back(&self, segment: SegmentId, at: u64, len: u64) {
        let tracked = self.0.tracked.lock().get(&FileKey::Segment(segment)).cloned();
        tracked.inspect(|tracked| tracked.file.begin_write_back(at, len));
    }

    /// As [`ChunkLog::append`], and leaves it to the caller when the disk is to begin with it.
    pub(super) fn append_only(&self, tier: Tier, class: Class, pieces: &[(Owner<'_>, &[u8])]) -> Result<Vec<Run>> {
        let mut bytes = 0;
        for (_, piece) in pieces {
            if piece.is_empty() || piece.len() > RUN_BYTES_MAX as usize {
                return Err(Error::new(Kind::InvalidArgument, "cannot append to the chunk log")
                    .why(format!("a run of {} bytes is not within 1 to {RUN_BYTES_MAX}", piece.len())));
            }
            bytes += piece.len() as u64;
        }
        let lane = Arc::clone(self.0.lanes.lock().entry((tier, class)).or_default());
        // Before places are given out, which have the size of what is stored.
        let level = if class == Class::Notes { 0 } else { self.level(tier) };
        let packed: Vec<Option<Packed>> = Packer::new(level)
            .map(|mut packer| pieces.iter().map(|(_, piece)| packer.pack(piece)).collect())
            .unwrap_or_default();
        let mut runs = Vec::with_capacity(pieces.len());
        while runs.len() < pieces.len() {
            let rest = Pieces { pieces: &pieces[runs.len()..], packed: packed.get(runs.len()..).unwrap_or_default() };
            let (segment, places) = self.0.reserve(&lane, (tier, class), rest)?;
            // Written but not kept means that the file failed under our feet: the next one takes these pieces.
            segment
                .write(&places, rest, &mut runs)
                .map_err(|e| Error::io(format!("cannot append to segment {}", segment.id), e))?;
        }
        self.0.counts.runs.fetch_add(runs.len() as u64, Relaxed);
        self.0.counts.appended.fetch_add(bytes, Relaxed);
        Ok(runs)
    }
}

impl Inner {
    /// Places for at least the first of `pieces`, in the lane's segment or a new one.
    fn reserve(
        &self,
        lane: &Lane,
        (tier, class): (Tier, Class),
        pieces: Pieces<'_>,
    ) -> Result<(Arc<OpenSegment>, Places)> {
        let mut full = Vec::new();
        let mut current = lane.lock();
        let outcome = loop {
            if let Some(open) = current.as_ref() {
                match open.reserve(pieces) {
                    Ok(Some(places)) => break Ok((Arc::clone(open), places)),
                    Ok(None) => full.extend(current.take()),
                    Err(error) => {
                        if !is_full(&error) {
                            open.give_up();
                            current.take();
                        }
                        break Err(Error::io(format!("cannot take room for class {class:?}"), error));
                    }
                }
            }
            match self.begin(tier, class) {
                Ok(segment) => *current = Some(segment),
                Err(error) => break Err(error),
            }
        };
        drop(current);
        full.iter().for_each(|segment: &Arc<OpenSegment>| segment.retire());
        outcome
    }

    /// A new segment with its header.
    fn begin(&self, tier: Tier, class: Class) -> Result<Arc<OpenSegment>> {
        let id = SegmentId(self.number()?);
        let key = FileKey::Segment(id);
        let settings = &self.settings;
        let (wanted, created) = (self.tier(tier), settings.clock.now());
        let (storage, packed) = (wanted.name(), wanted.compression != 0);
        let header = SegmentHeader { store: settings.store, id, class, storage, packed, created }.encode();
        let tracked = self.create(key, tier)?;
        let mut room = if class == Class::Notes { Room::small() } else { Room::none() };
        let begun = room
            .reach(&*tracked.file, header.len() as u64, settings.segment_bytes)
            .and_then(|()| tracked.file.write_at(0, &header));
        if let Err(error) = begun {
            self.discard(&tracked);
            return Err(Error::io(format!("cannot begin segment {id}"), error));
        }
        tracked.wrote([]);
        if self.zones.alone() {
            self.zones.own().handles.put(key, Arc::clone(&tracked.file));
        }
        Ok(Arc::new(OpenSegment::new(id, tracked, settings.store, settings.segment_bytes, room)))
    }
}
