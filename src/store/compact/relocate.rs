//! Moving: copies of runs into new segments, and the records that refer to them changed.
//!
//! Copies are made outside of transactions. One transaction changes a batch of records; each is read again in it, so
//! that what changed since the walk is not overlooked.

use super::super::Store;
use super::super::extents::ref_key;
use super::super::pins::PendingSet;
use super::super::publish::add_live;
use super::Compacted;
use super::holders::{Holder, Holders, Place};
use crate::chunklog::{Class, Run, SegmentId};
use crate::index::{Body, ContentRecord, Extent, Family, Node, Read, Source, Tx, content_key, id_key};
use crate::model::{Error, Kind, Result};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Records changed in one transaction.
const BATCH_RECORDS: usize = 64;
/// Bytes copied for one transaction, roughly.
const BATCH_BYTES: u64 = 4 << 20;
/// Bytes that stay free on the disk whatever is compacted.
const SPARE_BYTES: u64 = 16 << 20;

/// Where a part of a run is now.
struct Copy {
    run: Run,
    /// The old run's byte that the copy begins with.
    from: u32,
    /// The record that was the first to refer to it.
    first: Option<Holder>,
}

/// What was copied; `None` for what cannot be read and stays.
type Copies = HashMap<Place, Option<Copy>>;

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

    fn list(&mut self) -> &mut [Extent] {
        match self {
            Self::Content(ContentRecord { body: Body::Extents(extents), .. }) | Self::Node(Node::Leaf(extents)) => {
                extents
            }
            Self::Content(_) | Self::Node(_) => &mut [],
        }
    }

    fn write(&self, tx: &mut Tx<'_>, holder: Holder) {
        match (self, holder) {
            (Self::Content(record), Holder::Content(id)) => tx.put(Family::Content, &content_key(id), record),
            (Self::Node(node), Holder::Node(id)) => tx.put(Family::Node, &id_key(id), node),
            _ => {}
        }
    }
}

impl Store {
    /// Copies what is shown of the runs and has the records refer to the copies. Whether it came to the end.
    pub(super) fn relocate(
        &self,
        holders: &Holders,
        done: &mut Compacted,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool> {
        let mut copies = Copies::new();
        let mut classes = HashMap::new();
        let mut rest = holders.records.as_slice();
        while !rest.is_empty() && !self.rounds.stopping() {
            let mut wanted: BTreeMap<Place, (Run, Range<u32>)> = BTreeMap::new();
            let (mut records, mut bytes) = (0, 0);
            while records < BATCH_RECORDS.min(rest.len()) && bytes < BATCH_BYTES {
                let Some(mut extents) = Extents::read(&self.index, rest[records])? else {
                    records += 1;
                    continue;
                };
                for extent in extents.list() {
                    let Source::Run { segment, offset, len, .. } = extent.source else { continue };
                    let place = (segment, offset);
                    let Some(shown) = holders.shown.get(&place).filter(|_| !copies.contains_key(&place)) else {
                        continue;
                    };
                    let run = Run { segment: SegmentId(segment), offset, len };
                    if wanted.insert(place, (run, shown.clone())).is_none() {
                        bytes += shown.len() as u64;
                    }
                }
                records += 1;
            }
            if !go_on(bytes) {
                return Ok(false);
            }
            let (batch, later) = rest.split_at(records);
            // Until the new segments are named, the reaper must not take them for unused.
            let mut pending = PendingSet::new(&self.pending);
            done.copied += self.copy_wanted(wanted, &mut copies, &mut classes, &mut pending)?;
            done.records += self.swap(batch, &mut copies)?;
            rest = later;
        }
        Ok(rest.is_empty())
    }

    fn copy_wanted(
        &self,
        wanted: BTreeMap<Place, (Run, Range<u32>)>,
        copies: &mut Copies,
        classes: &mut HashMap<u64, Class>,
        pending: &mut PendingSet,
    ) -> Result<u64> {
        let mut by_class: BTreeMap<Class, Vec<(Run, Range<u32>)>> = BTreeMap::new();
        for ((segment, _), part) in wanted {
            let class = match classes.get(&segment) {
                Some(class) => *class,
                None => self.log.class_of_survivors(SegmentId(segment))?,
            };
            classes.insert(segment, class);
            by_class.entry(class).or_default().push(part);
        }
        let mut copied = 0;
        for (class, parts) in by_class {
            let mut rest = parts.as_slice();
            while !rest.is_empty() {
                let mut bytes = 0;
                let fits = rest.iter().take_while(|(_, part)| {
                    bytes += part.len() as u64;
                    bytes <= BATCH_BYTES
                });
                let (now, later) = rest.split_at(fits.count().max(1));
                copied += self.copy_some(class, now, copies, pending)?;
                rest = later;
            }
        }
        Ok(copied)
    }

    fn copy_some(
        &self,
        class: Class,
        parts: &[(Run, Range<u32>)],
        copies: &mut Copies,
        pending: &mut PendingSet,
    ) -> Result<u64> {
        let bytes: u64 = parts.iter().map(|(_, part)| part.len() as u64).sum();
        let free = self.space()?.free;
        if free < bytes + SPARE_BYTES {
            return Err(Error::new(Kind::Full, "cannot compact the chunk log")
                .why(format!("{free} bytes are free on the store's disk, and what is alive must be copied first"))
                .mend("delete objects or versions, or give the disk more room"));
        }
        let _noting = self.pending.noting();
        let mut copied = 0;
        for ((old, part), run) in parts.iter().zip(self.log.copy_runs(class, parts)?) {
            let copy = match run {
                Ok(run) => {
                    pending.add(run.segment.0);
                    copied += u64::from(run.len);
                    Some(Copy { run, from: part.start, first: None })
                }
                Err(error) => {
                    self.complain("compact", None, "", &error);
                    None
                }
            };
            copies.insert((old.segment.0, old.offset), copy);
        }
        Ok(copied)
    }

    /// Changes a batch of records in one transaction; how many of them.
    fn swap(&self, batch: &[Holder], copies: &mut Copies) -> Result<u64> {
        let moving = self.moves.begin();
        let (changed, firsts) = self.transact(|tx| {
            let (mut changed, mut firsts) = (0, HashMap::new());
            for holder in batch {
                let Some(mut extents) = Extents::read(tx, *holder)? else { continue };
                let mut moved = false;
                for extent in extents.list() {
                    if let Some(source) = self.new_source(tx, *holder, extent, copies, &mut firsts)? {
                        Self::unref_source(tx, extent.source)?;
                        extent.source = source;
                        moved = true;
                    }
                }
                if moved {
                    extents.write(tx, *holder);
                    changed += 1;
                }
            }
            Ok((changed, firsts))
        })?;
        moving.moved();
        for holder in batch {
            if let Holder::Node(id) = holder {
                self.nodes.forget(*id);
            }
        }
        drop(moving);
        for (place, holder) in firsts {
            if let Some(Some(copy)) = copies.get_mut(&place) {
                copy.first = Some(holder);
            }
        }
        Ok(changed)
    }

    /// Where an extent's bytes are copied to, counted as held by `holder`; `None` when they stay.
    fn new_source(
        &self,
        tx: &mut Tx<'_>,
        holder: Holder,
        extent: &Extent,
        copies: &Copies,
        firsts: &mut HashMap<Place, Holder>,
    ) -> Result<Option<Source>> {
        let Source::Run { segment, offset, skip, .. } = extent.source else { return Ok(None) };
        let Some(Some(copy)) = copies.get(&(segment, offset)) else { return Ok(None) };
        let Some(skip) = skip.checked_sub(copy.from) else { return Ok(None) };
        let Run { segment: to, offset: at, len } = copy.run;
        if u64::from(skip) + extent.len > u64::from(len) {
            return Ok(None);
        }
        let source = Source::Run { segment: to.0, offset: at, len, skip };
        let Some(key) = ref_key(source) else { return Ok(None) };
        match (firsts.get(&(segment, offset)), copy.first) {
            (Some(_), _) => tx.hold(key, 1)?,
            (None, None) => {
                firsts.insert((segment, offset), holder);
                self.unsynced.note(source);
                add_live(tx, source, 1)?;
            }
            // The first holder may have been let go since, and the copy with it.
            (None, Some(first)) if refers(tx, first, (to.0, at))? => tx.hold(key, 1)?,
            (None, Some(_)) => return Ok(None),
        }
        Ok(Some(source))
    }
}

fn refers(tx: &Tx<'_>, holder: Holder, place: Place) -> Result<bool> {
    let Some(mut extents) = Extents::read(tx, holder)? else { return Ok(false) };
    let same =
        |extent: &Extent| matches!(extent.source, Source::Run { segment, offset, .. } if (segment, offset) == place);
    Ok(extents.list().iter().any(same))
}
