//! Moving: copies of runs into new segments, and the records that refer to them changed.
//!
//! Copies are made, and made durable, outside of transactions. One transaction changes a batch of records; each is read
//! again in it, so that what changed since the walk is not overlooked.

use super::super::Store;
use super::super::extents::ref_key;
use super::super::pins::PendingSet;
use super::super::publish::add_live;
use super::Compacted;
use super::holders::{Holder, Holders, Place};
use crate::chunklog::{Class, Lost, Run, SegmentId, stretches};
use crate::index::{Body, ContentRecord, Extent, Family, Node, Read, Source, Tx, content_key, id_key};
use crate::model::{Error, Kind, Result};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

/// Records changed in one transaction.
const BATCH_RECORDS: usize = 64;
/// Bytes copied at once, roughly: enough for the disk to begin with them.
const STEP_BYTES: u64 = 1 << 20;
/// Bytes the disk is given at once, and what it has to itself then: whoever syncs waits until it has taken them.
const GIVEN_BYTES: u64 = 512 << 10;
const GIVEN_REST: Duration = Duration::from_millis(2);
/// Bytes, and records that refer to them, between two syncs. Each sync delays whoever syncs at the time; the disk has begun
/// with most of the bytes long before.
const SYNC_BYTES: u64 = 16 * STEP_BYTES;
const SYNC_RECORDS: usize = 32 * BATCH_RECORDS;
/// Bytes that stay free on the disk whatever is compacted.
const SPARE_BYTES: u64 = 16 << 20;

/// A part of a run, and where that is.
type Part = (Run, Range<u32>);

/// Where a part of a run is now.
struct Copy {
    run: Run,
    /// The old run's byte that the copy begins with.
    from: u32,
    /// The record that was the first to refer to it.
    first: Option<Holder>,
}

/// One pass: what it has copied so far.
pub(super) struct Relocation<'a> {
    store: &'a Store,
    /// `None` for what cannot be read and stays.
    copies: HashMap<Place, Option<Copy>>,
    /// Copies that no sync has made durable yet.
    fresh: Vec<(Place, Copy)>,
    classes: HashMap<u64, Class>,
    /// Until the pass is over: a copy that nobody refers to yet may still get its first holder, and its segment must not
    /// be taken for unused.
    pending: PendingSet,
    /// What was done so far.
    pub done: Compacted,
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

impl<'a> Relocation<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self {
            store,
            copies: HashMap::new(),
            fresh: Vec::new(),
            classes: HashMap::new(),
            pending: PendingSet::new(&store.pending),
            done: Compacted::default(),
        }
    }

    /// Copies what is shown of the runs and has the records refer to the copies. Whether it came to the end; `go_on` may
    /// wait and may end it.
    pub(super) fn run(&mut self, holders: &Holders, go_on: &mut dyn FnMut(u64) -> bool) -> Result<bool> {
        let mut rest = holders.records.as_slice();
        while !rest.is_empty() {
            let mut wanted: BTreeMap<Place, Part> = BTreeMap::new();
            let (mut records, mut bytes) = (0, 0);
            while records < SYNC_RECORDS.min(rest.len()) && bytes < SYNC_BYTES {
                let mut extents = Extents::read(&self.store.index, rest[records])?;
                records += 1;
                for extent in extents.iter_mut().flat_map(Extents::list) {
                    let Source::Run { segment, offset, len, .. } = extent.source else { continue };
                    let place = (segment, offset);
                    let Some(shown) = holders.shown.get(&place).filter(|_| !self.copies.contains_key(&place)) else {
                        continue;
                    };
                    let run = Run { segment: SegmentId(segment), offset, len };
                    if wanted.insert(place, (run, shown.clone())).is_none() {
                        bytes += shown.len() as u64;
                    }
                }
            }
            let (batch, later) = rest.split_at(records);
            let copied = self.copy(wanted, go_on);
            // Also what was copied before something failed: so much is won.
            self.sync()?;
            for batch in batch.chunks(BATCH_RECORDS) {
                self.done.records += self.swap(batch)?;
            }
            if !copied? {
                return Ok(false);
            }
            rest = later;
        }
        Ok(true)
    }

    /// Copies parts of runs; whether all of them.
    fn copy(&mut self, wanted: BTreeMap<Place, Part>, go_on: &mut dyn FnMut(u64) -> bool) -> Result<bool> {
        let mut by_class: BTreeMap<Class, Vec<Part>> = BTreeMap::new();
        for ((segment, _), part) in wanted {
            let log = &self.store.log;
            let class = self.classes.entry(segment).or_insert_with(|| log.class_of_survivors(SegmentId(segment)));
            by_class.entry(*class).or_default().push(part);
        }
        for (class, parts) in by_class {
            let mut rest = parts.as_slice();
            while !rest.is_empty() {
                let mut bytes = 0;
                let step = rest.iter().take_while(|(_, part)| {
                    let more = bytes < STEP_BYTES;
                    bytes += part.len() as u64;
                    more
                });
                let (now, later) = rest.split_at(step.count());
                let bytes = now.iter().map(|(_, part)| part.len() as u64).sum();
                if self.store.rounds.stopping() || !go_on(bytes) {
                    return Ok(false);
                }
                self.copy_step(class, now, bytes)?;
                rest = later;
            }
        }
        Ok(true)
    }

    fn copy_step(&mut self, class: Class, parts: &[Part], bytes: u64) -> Result<()> {
        let store = self.store;
        let free = store.space()?.free;
        if free < bytes.saturating_add(SPARE_BYTES) {
            return Err(Error::new(Kind::Full, "cannot compact the chunk log")
                .why(format!("{free} bytes are free on the store's disk, and what is alive must be copied first"))
                .mend("delete objects or versions, or give the disk more room"));
        }
        let mut copied = Vec::new();
        let noting = store.pending.noting();
        for ((old, part), copy) in parts.iter().zip(store.log.copy_runs(class, parts)?) {
            let place = (old.segment.0, old.offset);
            match copy {
                Ok(run) => {
                    self.pending.add(run.segment.0);
                    copied.push(run);
                    self.fresh.push((place, Copy { run, from: part.start, first: None }));
                }
                Err(error) => {
                    // Not of what was deleted meanwhile.
                    if store.live_of(old.segment.0)? > 0 {
                        store.complain("compact", None, "", &error);
                    }
                    self.copies.insert(place, None);
                }
            }
        }
        drop(noting);
        self.give(&copied);
        Ok(())
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

    /// Makes the copies durable. Not left to the rounds, which others wait for, and to which a failed sync is final.
    fn sync(&mut self) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let copied = std::mem::take(&mut self.fresh);
        let runs: Vec<Run> = copied.iter().map(|(_, copy)| copy.run).collect();
        if let Err(error) = self.store.log.sync_of(&runs, &[]) {
            let lost = Lost { runs: runs.iter().map(|run| (run.segment, run.offset)).collect(), solos: vec![] };
            self.store.log.settle(&lost);
            return Err(error);
        }
        self.done.copied += runs.iter().map(|run| u64::from(run.len)).sum::<u64>();
        self.copies.extend(copied.into_iter().map(|(place, copy)| (place, Some(copy))));
        Ok(())
    }

    /// Changes a batch of records in one transaction; how many of them.
    fn swap(&mut self, batch: &[Holder]) -> Result<u64> {
        let store = self.store;
        store.make_room()?;
        let moving = store.moves.begin();
        let (changed, firsts) = store.transact(|tx| {
            let (mut changed, mut firsts) = (0, HashMap::new());
            for holder in batch {
                let Some(mut extents) = Extents::read(tx, *holder)? else { continue };
                let mut moved = false;
                for extent in extents.list() {
                    if let Some(source) = self.new_source(tx, *holder, extent, &mut firsts)? {
                        Store::unref_source(tx, extent.source)?;
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
                store.nodes.forget(*id);
            }
        }
        // Whoever took a node from the cache between the two looks again as well.
        moving.moved();
        drop(moving);
        for (place, holder) in firsts {
            if let Some(Some(copy)) = self.copies.get_mut(&place) {
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
        firsts: &mut HashMap<Place, Holder>,
    ) -> Result<Option<Source>> {
        let Source::Run { segment, offset, skip, .. } = extent.source else { return Ok(None) };
        let Some(Some(copy)) = self.copies.get(&(segment, offset)) else { return Ok(None) };
        let Some(skip) = skip.checked_sub(copy.from) else { return Ok(None) };
        let Run { segment: to, offset: at, len } = copy.run;
        if u64::from(skip).saturating_add(extent.len) > u64::from(len) {
            return Ok(None);
        }
        let source = Source::Run { segment: to.0, offset: at, len, skip };
        let Some(key) = ref_key(source) else { return Ok(None) };
        match (firsts.get(&(segment, offset)), copy.first) {
            (Some(_), _) => tx.hold(key, 1)?,
            (None, None) => {
                firsts.insert((segment, offset), holder);
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
