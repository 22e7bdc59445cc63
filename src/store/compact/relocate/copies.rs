//! Copies: of parts of runs, together, and of files of their own, one by one.

use super::slices::Spot;
use super::{Lane, Part, Relocation, STEP_BYTES};
use crate::chunklog::{Class, Owner, RUN_BYTES_MAX, Run, SegmentId, SoloId, stretches};
use crate::index::Extent;
use crate::index::{RefKey, Source};
use crate::model::{Error, Kind, Result};
use crate::store::compact::holders::Holder;
use crate::store::extents::skip;
use crate::store::publish::{segment_key, solo_key};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// Bytes the disk is given at once, and what it has to itself then: whoever syncs waits until it has taken them.
const GIVEN_BYTES: u64 = 512 << 10;
const GIVEN_REST: Duration = Duration::from_millis(2);
/// Bytes that stay free on the disk whatever is copied, beside the reserve when nothing is freed by it soon.
pub(in crate::store::compact) const SPARE_BYTES: u64 = 16 << 20;

/// Where a part of something is now.
pub(super) struct Copy {
    /// The old byte that the copy begins with.
    from: u64,
    pub pieces: Vec<Piece>,
}

/// A stretch of a copy: all of a run, or of a file of its own.
pub(super) struct Piece {
    /// Where in the copy it ends.
    end: u64,
    pub source: Source,
    /// The record that was the first to refer to it.
    pub first: Option<Holder>,
}

impl Copy {
    fn new(from: u64, pieces: impl Iterator<Item = (Source, u64)>) -> Self {
        let mut end = 0;
        let piece = |(source, len)| {
            end += len;
            Piece { end, source, first: None }
        };
        Self { from, pieces: pieces.map(piece).collect() }
    }

    fn of_run(from: u64, run: Run) -> Self {
        Self::new(from, std::iter::once((source_of(run), u64::from(run.len))))
    }

    pub(super) fn len(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.end)
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = Source> {
        self.pieces.iter().map(|piece| piece.source)
    }

    /// What shows the same as the old bytes `shown`, and the pieces that it is of; `None` when not all of it was copied.
    pub(super) fn extents(&self, shown: &Range<u64>) -> Option<Vec<(usize, Extent)>> {
        let (from, to) = (shown.start.checked_sub(self.from)?, shown.end.checked_sub(self.from)?);
        if to > self.len() {
            return None;
        }
        let (mut out, mut at) = (Vec::new(), from);
        let first = self.pieces.partition_point(|piece| piece.end <= from);
        for (n, piece) in self.pieces.iter().enumerate().skip(first) {
            if at >= to {
                break;
            }
            let begin = n.checked_sub(1).map_or(0, |before| self.pieces[before].end);
            let whole = Extent { len: piece.end - begin, source: piece.source };
            out.push((n, Extent { len: piece.end.min(to) - at, ..skip(whole, at - begin) }));
            at = piece.end;
        }
        Some(out)
    }
}

/// How the copy of a part of a file of its own ended.
enum Copied {
    Whole(Copy),
    /// It was stopped.
    Ended,
    /// The old bytes cannot be read.
    Unread(Error),
}

fn source_of(run: Run) -> Source {
    Source::Run { segment: run.segment.0, offset: run.offset, len: run.len, skip: 0 }
}

impl Relocation<'_> {
    /// Where a copy goes: to the tier that is asked for, or the one it is in.
    fn lane(&mut self, key: RefKey) -> Lane {
        let log = &self.store.log;
        let (tier, class) = match key {
            RefKey::Run(segment, _) => {
                let id = SegmentId(segment);
                *self.lanes.entry(segment).or_insert_with(|| (log.tier_of_segment(id), log.class_of_survivors(id)))
            }
            _ => (Default::default(), Class::Aged(1)),
        };
        (self.targets.get(&key).copied().unwrap_or(tier), class)
    }

    /// Copies parts of runs and files; whether all of them.
    pub(super) fn copy(&mut self, wanted: BTreeMap<Spot, Part>, go_on: &mut dyn FnMut(u64) -> bool) -> Result<bool> {
        let mut by_lane: BTreeMap<Lane, Vec<Part>> = BTreeMap::new();
        let mut solos = Vec::new();
        for (spot, part) in wanted {
            let lane = self.lane(spot.key);
            match spot.key {
                RefKey::Solo(id) => solos.push((lane, SoloId(id), part)),
                _ => by_lane.entry(lane).or_default().push(part),
            }
        }
        for (lane, parts) in by_lane {
            let mut rest = parts.as_slice();
            while !rest.is_empty() {
                let mut bytes = 0;
                let step = rest.iter().take_while(|part| {
                    let more = bytes < STEP_BYTES;
                    bytes += part.len();
                    more
                });
                let (now, later) = rest.split_at(step.count());
                let bytes = now.iter().map(Part::len).sum();
                if self.store.rounds.stopping() || !go_on(bytes) {
                    return Ok(false);
                }
                self.copy_runs(lane, now, bytes)?;
                rest = later;
            }
        }
        for (lane, id, part) in solos {
            // The file stays for what cannot be read of it: more copies of it free nothing.
            if self.unread.iter().any(|(key, _)| *key == part.spot.key) {
                self.copies.insert(part.spot, None);
                continue;
            }
            self.need_room(part.len())?;
            match self.copy_solo(lane, id, &part.shown, go_on)? {
                Copied::Whole(copy) => self.fresh.push((part.spot, copy)),
                Copied::Ended => return Ok(false),
                Copied::Unread(error) => self.leave(part.spot, &solo_key(id.0), error)?,
            }
        }
        Ok(true)
    }

    /// Leaves something where it is that could not be read, which is told unless its file was deleted meanwhile.
    fn leave(&mut self, spot: Spot, seg_key: &[u8], error: Error) -> Result<()> {
        if self.store.live_of(seg_key)? > 0 {
            self.unread.push((spot.key, error));
        }
        self.copies.insert(spot, None);
        Ok(())
    }

    fn need_room(&self, bytes: u64) -> Result<()> {
        let space = self.store.space()?;
        // What compaction copies is freed by it; what goes to another tier may not be for long.
        let free = if self.targets.is_empty() { space.free } else { space.available };
        if free >= bytes.saturating_add(SPARE_BYTES) {
            return Ok(());
        }
        Err(Error::new(Kind::Full, "cannot compact the chunk log")
            .why(format!("{free} bytes are free for it on the store's disk, and what is alive must be copied first"))
            .mend("delete objects or versions, or give the disk more room"))
    }

    fn copy_runs(&mut self, (tier, class): Lane, parts: &[Part], bytes: u64) -> Result<()> {
        let store = self.store;
        self.need_room(bytes)?;
        let place = |at: u64| u32::try_from(at).unwrap_or(u32::MAX);
        let runs: Vec<(Spot, Run, Range<u32>)> = parts
            .iter()
            .filter_map(|part| Some((part.spot, part.run()?, place(part.shown.start)..place(part.shown.end))))
            .collect();
        let asked: Vec<(Run, Range<u32>)> = runs.iter().map(|(_, run, shown)| (*run, shown.clone())).collect();
        let mut copied = Vec::new();
        let noting = store.pending.noting();
        for ((spot, old, part), copy) in runs.into_iter().zip(store.log.copy_runs(tier, class, &asked)?) {
            match copy {
                Ok(run) => {
                    self.pending.add(run.segment.0);
                    copied.push(run);
                    self.fresh.push((spot, Copy::of_run(u64::from(part.start), run)));
                }
                Err(error) => self.leave(spot, &segment_key(old.segment.0), error)?,
            }
        }
        drop(noting);
        self.give(&copied);
        Ok(())
    }

    /// Copies a part of a file of its own: to another such file, or to runs in a tier that compresses.
    fn copy_solo(
        &mut self,
        (tier, class): Lane,
        id: SoloId,
        shown: &Range<u64>,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Copied> {
        let store = self.store;
        let owned = match store.log.find_solo(id) {
            Ok(found) => found.owner,
            Err(error) => return Ok(Copied::Unread(error)),
        };
        let owner = |at: u64| Owner { logical: owned.logical.saturating_add(at), ..owned.as_owner() };
        let packs = store.log.packs(tier);
        let mut writer = if packs { None } else { Some(store.log.solo(tier, class)?) };
        let mut pieces = Vec::new();
        let mut buf = Vec::new();
        let mut at = shown.start;
        while at < shown.end {
            let step = (shown.end - at).min(if packs { u64::from(RUN_BYTES_MAX) } else { STEP_BYTES });
            if store.rounds.stopping() || !go_on(step) {
                return Ok(Copied::Ended);
            }
            buf.resize(usize::try_from(step).unwrap_or(usize::MAX), 0);
            if let Err(error) = store.log.read_solo(id, at, &mut buf) {
                return Ok(Copied::Unread(error));
            }
            match &mut writer {
                Some(writer) => writer.write(&buf)?,
                None => {
                    let noting = store.pending.noting();
                    let runs = store.log.append(tier, class, &[(owner(at), buf.as_slice())])?;
                    runs.iter().for_each(|run| self.pending.add(run.segment.0));
                    drop(noting);
                    pieces.extend(runs.into_iter().map(|run| (source_of(run), u64::from(run.len))));
                }
            }
            at += step;
        }
        if let Some(writer) = writer {
            // The reaper must not take it for unused.
            self.pending.add(writer.id().0);
            let (id, len) = writer.finish(&owner(shown.start))?;
            pieces.push((Source::Solo { id: id.0, at: 0 }, len));
        }
        Ok(Copied::Whole(Copy::new(shown.start, pieces.into_iter())))
    }

    /// Lets the disk begin with copies, a little at a time.
    fn give(&self, copied: &[Run]) {
        for (segment, mut at, len) in stretches(copied) {
            let end = at + len;
            while at < end {
                let len = (end - at).min(GIVEN_BYTES);
                self.store.log.begin_write_back(segment, at, len);
                at += len;
                self.store.rounds.rest(GIVEN_REST);
            }
        }
    }
}
