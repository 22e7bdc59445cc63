//! Who refers to the runs of some segments: found by a walk over all contents and nodes, since nothing on the disk leads
//! from a run to those.

use super::super::Store;
use crate::chunklog::RUN_BYTES_MAX;
use crate::index::{Body, ContentRecord, Extent, Family, Node, Read, Source, decode, id_key, id_of};
use crate::model::{ContentId, Result};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
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

/// A run by its place.
pub(super) type Place = (u64, u32);

/// What refers to the segments.
#[derive(Default)]
pub(super) struct Holders {
    pub records: Vec<Holder>,
    /// The part of each run that extents show.
    pub shown: HashMap<Place, Range<u32>>,
    /// Whether that is all.
    pub complete: bool,
}

impl Holders {
    fn look(&mut self, holder: Holder, extents: &[Extent], segments: &HashSet<u64>) {
        let mut holds = false;
        for extent in extents {
            let Source::Run { segment, offset, len, skip } = extent.source else { continue };
            let end = skip.saturating_add(u32::try_from(extent.len).unwrap_or(u32::MAX));
            // What cannot be is left for fsck to tell.
            if !segments.contains(&segment) || len > RUN_BYTES_MAX || end > len || end <= skip {
                continue;
            }
            holds = true;
            let shown = self.shown.entry((segment, offset)).or_insert(skip..end);
            *shown = shown.start.min(skip)..shown.end.max(end);
        }
        if holds {
            self.records.push(holder);
        }
    }
}

impl Store {
    /// Every record from number `from` on that refers to a run of these segments, or as many as one pass deals with. Stops
    /// when `go_on` says no.
    pub(super) fn holders(&self, segments: &HashSet<u64>, from: u64, go_on: &dyn Fn() -> bool) -> Result<Holders> {
        let mut found = Holders::default();
        let (from, seen) = (id_key(from), Cell::new(0));
        let ends = |found: &Holders| {
            seen.set(seen.get() + 1);
            let full = found.records.len() >= HOLDERS_MAX || found.shown.len() >= RUNS_MAX;
            full || (seen.get() % STEP == 0 && !go_on())
        };
        for entry in self.index.scan(Family::Content, &from, &id_key(ContentId::FIRST_INLINE.0))? {
            let (key, value) = entry?;
            // A record that is damaged keeps its segments.
            let (Some(id), Ok(record)) = (id_of(&key), decode::<ContentRecord>(&value)) else { continue };
            if let Body::Extents(extents) = &record.body {
                found.look(Holder::Content(ContentId(id)), extents, segments);
            }
            if ends(&found) {
                return Ok(found);
            }
        }
        for entry in self.index.scan(Family::Node, &from, &[0xff; 9])? {
            let (key, value) = entry?;
            let (Some(id), Ok(node)) = (id_of(&key), decode::<Node>(&value)) else { continue };
            if let Node::Leaf(extents) = &node {
                found.look(Holder::Node(id), extents, segments);
            }
            if ends(&found) {
                return Ok(found);
            }
        }
        found.complete = true;
        Ok(found)
    }
}
