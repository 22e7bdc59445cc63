//! Who refers to some runs and files of their own: found by a walk over all contents and nodes, since nothing on the disk leads
//! from a run to those.

use super::super::Store;
use super::super::extents::ref_key;
use crate::chunklog::{RUN_BYTES_MAX, SOLO_BYTES_MAX};
use crate::index::{Body, ContentRecord, Extent, Family, Node, Read, RefKey, Source, decode, id_key, id_of};
use crate::model::{ContentId, Result};
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

/// Records collected in one walk; the others wait for the next.
const HOLDERS_MAX: usize = 1 << 18;
/// Runs of which the shown parts are collected.
const RUNS_MAX: usize = 1 << 20;
/// Records after which it is asked whether the walk goes on.
const STEP: usize = 4096;

/// A record that has extents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Holder {
    Content(ContentId),
    Node(u64),
}

/// What an extent shows of a run or a file of its own: bytes counted from its beginning. `None` for what cannot be, which is left
/// for fsck to tell, and for what is nowhere.
pub(super) fn shown(extent: &Extent) -> Option<(RefKey, Range<u64>)> {
    let (begin, len) = match extent.source {
        Source::Run { len, skip, .. } if len <= RUN_BYTES_MAX => (u64::from(skip), u64::from(len)),
        Source::Solo { at, .. } => (at, SOLO_BYTES_MAX),
        _ => return None,
    };
    let end = begin.checked_add(extent.len).filter(|end| *end <= len && *end > begin)?;
    Some((ref_key(extent.source)?, begin..end))
}

/// What refers to what is looked for.
#[derive(Default)]
pub(super) struct Holders {
    pub records: Vec<Holder>,
    /// The part of each that extents show.
    pub shown: HashMap<RefKey, Range<u64>>,
    /// Whether that is all.
    pub complete: bool,
}

impl Holders {
    fn look(&mut self, holder: Holder, extents: &[Extent], wants: &dyn Fn(RefKey) -> bool) {
        let mut holds = false;
        for (key, part) in extents.iter().filter_map(shown).filter(|(key, _)| wants(*key)) {
            holds = true;
            let shown = self.shown.entry(key).or_insert(part.clone());
            *shown = shown.start.min(part.start)..shown.end.max(part.end);
        }
        if holds {
            self.records.push(holder);
        }
    }
}

impl Store {
    /// Every record from number `from` on that refers to what is wanted, or as many as one pass deals with. Stops when `go_on` says
    /// no.
    pub(super) fn holders(
        &self,
        wants: &dyn Fn(RefKey) -> bool,
        from: u64,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Holders> {
        let mut found = Holders::default();
        let (from, seen) = (id_key(from), Cell::new(0));
        let ends = |found: &Holders| {
            seen.set(seen.get() + 1);
            let full = found.records.len() >= HOLDERS_MAX || found.shown.len() >= RUNS_MAX;
            full || (seen.get() % STEP == 0 && !go_on())
        };
        // What it does not meet keeps what it refers to, by the counts of holders.
        let mut contents = self.index.scan_past_damage(Family::Content, &from, &id_key(ContentId::FIRST_INLINE.0))?;
        for entry in contents.by_ref() {
            let (key, value) = entry?;
            // A record that is damaged keeps its segments.
            let (Some(id), Ok(record)) = (id_of(&key), decode::<ContentRecord>(&value)) else { continue };
            if let Body::Extents(extents) = &record.body {
                found.look(Holder::Content(ContentId(id)), extents, wants);
            }
            if ends(&found) {
                return Ok(found);
            }
        }
        let mut nodes = self.index.scan_past_damage(Family::Node, &from, &[0xff; 9])?;
        for entry in nodes.by_ref() {
            let (key, value) = entry?;
            let (Some(id), Ok(node)) = (id_of(&key), decode::<Node>(&value)) else { continue };
            if let Node::Leaf(extents) = &node {
                found.look(Holder::Node(id), extents, wants);
            }
            if ends(&found) {
                return Ok(found);
            }
        }
        found.complete = contents.damage().is_none() && nodes.damage().is_none();
        Ok(found)
    }
}
