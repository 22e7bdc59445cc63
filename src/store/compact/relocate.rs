//! Moving: copies of runs and of files of their own elsewhere, and the records that refer to them changed.
//!
//! Copies are made, and made durable, outside of transactions. One transaction changes a batch of records; each is read
//! again in it, so that what changed since the walk is not overlooked.

mod copies;
mod slices;
mod swap;

use self::copies::Copy;
pub(super) use self::copies::SPARE_BYTES;
use self::slices::Spot;
use super::super::Store;
use super::super::pins::PendingSet;
use super::Compacted;
use super::holders::{Holder, Holders};
use crate::chunklog::{Class, Lost, Run, SegmentId, SoloId, Tier};
use crate::index::{Body, ContentRecord, Extent, Family, Node, Read, RefKey, Source, content_key, id_key};
use crate::model::{Error, Kind, Result};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Records changed in one transaction, none of which has more extents than a node before or after.
const BATCH_RECORDS: usize = 64;
/// Bytes copied at once, roughly: enough for the disk to begin with them.
const STEP_BYTES: u64 = 1 << 20;
/// Bytes, and records that refer to them, between two syncs. Each sync delays whoever syncs at the time; the disk has begun
/// with most of the bytes long before.
const SYNC_BYTES: u64 = 16 * STEP_BYTES;
const SYNC_RECORDS: usize = 32 * BATCH_RECORDS;

/// Where copies go.
type Lane = (Tier, Class);

/// What is to be copied: a part of a run of so many plain bytes, or of a slice of a file of its own.
struct Part {
    spot: Spot,
    run_len: u32,
    shown: Range<u64>,
}

impl Part {
    const fn of(spot: Spot, extent: &Extent, shown: Range<u64>) -> Self {
        let run_len = if let Source::Run { len, .. } = extent.source { len } else { 0 };
        Self { spot, run_len, shown }
    }

    fn run(&self) -> Option<Run> {
        match self.spot.key {
            RefKey::Run(segment, offset) => Some(Run { segment: SegmentId(segment), offset, len: self.run_len }),
            _ => None,
        }
    }

    const fn len(&self) -> u64 {
        self.shown.end - self.shown.start
    }
}

/// One pass: what it has copied so far.
pub(super) struct Relocation<'a> {
    store: &'a Store,
    /// Where things are to be that have to go to another tier; what else is copied stays in its own.
    targets: &'a HashMap<RefKey, Tier>,
    /// `None` for what cannot be read and stays.
    copies: BTreeMap<Spot, Option<Copy>>,
    /// Copies that no sync has made durable yet.
    fresh: Vec<(Spot, Copy)>,
    lanes: HashMap<u64, Lane>,
    /// Until the pass is over: a copy that nobody refers to yet may still get its first holder, and its segment must not
    /// be taken for unused.
    pending: PendingSet,
    /// What was done so far.
    pub done: Compacted,
    /// What could not be read, and why.
    unread: Vec<(RefKey, Error)>,
}

impl Drop for Relocation<'_> {
    /// Files of their own to which nobody came to refer; runs like that are dead bytes of their segments.
    fn drop(&mut self) {
        let copies = self.copies.values().flatten().chain(self.fresh.iter().map(|(_, copy)| copy));
        for piece in copies.flat_map(|copy| &copy.pieces).filter(|piece| piece.first.is_none()) {
            if let Source::Solo { id, .. } = piece.source
                && let Err(error) = self.store.log.delete_solo(SoloId(id))
            {
                tracing::debug!(%error, "a copy that nobody refers to stays until the next opening");
            }
        }
    }
}

/// The extents of a record.
enum Extents {
    Content(ContentRecord),
    Node(Node),
}

impl Extents {
    fn read(read: &impl Read, holder: Holder) -> Result<Option<Self>> {
        Ok(match holder {
            Holder::Content(id) => read.record(Family::Content, &content_key(id))?.map(Self::Content),
            Holder::Node(id) => read.record(Family::Node, &id_key(id))?.map(Self::Node),
        })
    }

    fn list(&self) -> &[Extent] {
        match self {
            Self::Content(ContentRecord { body: Body::Extents(extents), .. }) | Self::Node(Node::Leaf(extents)) => {
                extents
            }
            Self::Content(_) | Self::Node(_) => &[],
        }
    }
}

impl<'a> Relocation<'a> {
    pub(super) fn new(store: &'a Store, targets: &'a HashMap<RefKey, Tier>) -> Self {
        Self {
            store,
            targets,
            copies: BTreeMap::new(),
            fresh: Vec::new(),
            lanes: HashMap::new(),
            pending: PendingSet::new(&store.pending),
            done: Compacted::default(),
            unread: Vec::new(),
        }
    }

    /// What could not be read, once the pass is over.
    pub(super) fn into_unread(mut self) -> Vec<(RefKey, Error)> {
        std::mem::take(&mut self.unread)
    }

    /// Copies what is shown of the runs and files and has the records refer to the copies. Whether it came to the end; `go_on`
    /// may wait and may end it.
    pub(super) fn run(&mut self, holders: &Holders, go_on: &mut dyn FnMut(u64) -> bool) -> Result<bool> {
        let mut rest = holders.records.as_slice();
        while !rest.is_empty() {
            let mut wanted: BTreeMap<Spot, Part> = BTreeMap::new();
            let (mut records, mut bytes) = (0, 0);
            while records < SYNC_RECORDS.min(rest.len()) && bytes < SYNC_BYTES {
                let holder = rest[records];
                records += 1;
                let extents = match self.roomy(holder) {
                    Err(error) if error.kind() == Kind::Corrupt => {
                        self.pass_by(holder, error);
                        continue;
                    }
                    read => read?,
                };
                let Some(extents) = extents else { continue };
                for extent in extents.list() {
                    let Some((spot, _)) = self.spot_of(extent).filter(|(spot, _)| !self.copies.contains_key(spot))
                    else {
                        continue;
                    };
                    let Some(shown) = holders.shown.get(&spot.key) else { continue };
                    let part = Part::of(spot, extent, self.within(spot, shown));
                    let len = part.len();
                    if wanted.insert(spot, part).is_none() {
                        bytes += len;
                    }
                }
            }
            let (batch, later) = rest.split_at(records);
            let copied = self.copy(wanted, go_on);
            // Also what was copied before something failed: so much is won.
            self.sync()?;
            for batch in batch.chunks(BATCH_RECORDS) {
                self.done.records += self.swap_past_damage(batch)?;
            }
            if !copied? {
                return Ok(false);
            }
            rest = later;
        }
        Ok(true)
    }

    /// What a record refers to, in which there is room for what becomes of it. `None` when that lies in others now, which the
    /// next walk finds.
    fn roomy(&mut self, holder: Holder) -> Result<Option<Extents>> {
        let Some(extents) = Extents::read(&self.store.index, holder)? else { return Ok(None) };
        if !self.is_crowded(holder, extents.list()) {
            return Ok(Some(extents));
        }
        if self.spread(holder)? { Extents::read(&self.store.index, holder) } else { Ok(None) }
    }

    /// As [`Self::swap`]; what damage keeps from being changed keeps none of the others.
    fn swap_past_damage(&mut self, batch: &[Holder]) -> Result<u64> {
        match (self.swap(batch), batch) {
            (Err(error), [holder]) if error.kind() == Kind::Corrupt => {
                self.pass_by(*holder, error);
                Ok(0)
            }
            (Err(error), [_, ..]) if error.kind() == Kind::Corrupt => {
                batch.chunks(1).try_fold(0, |sum, one| Ok(sum + self.swap_past_damage(one)?))
            }
            (swapped, _) => swapped,
        }
    }

    /// Leaves what a record refers to where it is, since what is known of it is damaged.
    fn pass_by(&mut self, holder: Holder, error: Error) {
        let extents = Extents::read(&self.store.index, holder).ok().flatten();
        let known = extents.iter().flat_map(Extents::list).find_map(|extent| Some(self.spot_of(extent)?.0.key));
        let own = match holder {
            Holder::Content(id) => RefKey::Content(id.0),
            Holder::Node(id) => RefKey::Node(id),
        };
        self.unread.push((known.unwrap_or(own), error));
    }

    /// Makes the copies durable. Not left to the rounds, which others wait for, and to which a failed sync is final.
    fn sync(&mut self) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let copied = std::mem::take(&mut self.fresh);
        let (mut runs, mut solos) = (Vec::new(), Vec::new());
        for source in copied.iter().flat_map(|(_, copy)| copy.sources()) {
            match source {
                Source::Run { segment, offset, len, .. } => runs.push(Run { segment: SegmentId(segment), offset, len }),
                Source::Solo { id, .. } => solos.push(SoloId(id)),
                Source::Hole | Source::Lost => {}
            }
        }
        if let Err(error) = self.store.log.sync_of(&runs, &solos) {
            let lost = Lost { runs: runs.iter().map(|run| (run.segment, run.offset)).collect(), solos };
            self.store.log.settle(&lost);
            return Err(error);
        }
        self.done.copied += copied.iter().map(|(_, copy)| copy.len()).sum::<u64>();
        self.copies.extend(copied.into_iter().map(|(spot, copy)| (spot, Some(copy))));
        Ok(())
    }
}
