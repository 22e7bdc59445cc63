//! Slices of files of their own: each is copied by itself, so that a move that is broken off goes on, and what becomes of it
//! has room in one node.
//!
//! Before anything of a large file moves, the extents over it are cut along its slices and laid into nodes of their own, each
//! with as many as it has room for when what they show has become runs. So no node ever grows beyond its room, and no
//! transaction beyond what its records may hold.

use super::{Extents, Relocation};
use crate::chunklog::RUN_BYTES_MAX;
use crate::index::{Body, ContentRecord, Extent, Family, Node, RefKey, Tx, content_key, id_key};
use crate::model::Result;
use crate::store::Store;
use crate::store::compact::holders::{Holder, shown};
use crate::store::extents::{FAN_OUT, FLAT_MAX, part, ref_key};
use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes of a slice that becomes runs: as many of these as a node has room for.
const PACKED_BYTES: u64 = FAN_OUT as u64 * RUN_BYTES_MAX as u64;
/// Bytes of one that becomes another file of its own.
const WHOLE_BYTES: u64 = 1 << 30;

/// What is copied by itself: a run, or a slice of a file of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Spot {
    pub key: RefKey,
    /// Which slice; 0 for runs.
    pub slice: u64,
}

/// How a file is cut, and in how many pieces its bytes lie then.
#[derive(Clone, Copy)]
struct Cut {
    slice: u64,
    piece: u64,
}

impl Cut {
    /// Extents that show what one of so many bytes within a slice does, at most.
    fn pieces(self, len: u64) -> usize {
        // One that begins within a piece may reach into one more.
        let most = len.div_ceil(self.piece) + u64::from(self.piece < self.slice);
        usize::try_from(most.min(self.slice / self.piece)).unwrap_or(FAN_OUT)
    }
}

/// Room that extents take, one behind the other, in nodes that have room for so many each.
fn leaves(weighed: &[(Extent, usize)]) -> Vec<Vec<Extent>> {
    let (mut leaves, mut left) = (Vec::<Vec<Extent>>::new(), 0);
    for (extent, weight) in weighed {
        match leaves.last_mut().filter(|_| *weight <= left) {
            Some(leaf) => leaf.push(*extent),
            None => {
                leaves.push(vec![*extent]);
                left = FAN_OUT;
            }
        }
        left = left.saturating_sub(*weight);
    }
    leaves
}

impl Relocation<'_> {
    /// How a file of its own that goes to another tier is cut; what else moves does so as a whole.
    fn cut(&self, key: RefKey) -> Option<Cut> {
        let tier = self.targets.get(&key).filter(|_| matches!(key, RefKey::Solo(_)))?;
        Some(if self.store.log.packs(*tier) {
            Cut { slice: PACKED_BYTES, piece: u64::from(RUN_BYTES_MAX) }
        } else {
            Cut { slice: WHOLE_BYTES, piece: WHOLE_BYTES }
        })
    }

    /// What an extent shows, and of which bytes; `None` for what stays, and for what lies over several slices.
    pub(super) fn spot_of(&self, extent: &Extent) -> Option<(Spot, Range<u64>)> {
        let (key, shown) = shown(extent)?;
        let Some(Cut { slice, .. }) = self.cut(key) else { return Some((Spot { key, slice: 0 }, shown)) };
        let number = shown.start / slice;
        ((shown.end - 1) / slice == number).then_some((Spot { key, slice: number }, shown))
    }

    /// The part of `shown` that lies in a slice.
    pub(super) fn within(&self, spot: Spot, shown: &Range<u64>) -> Range<u64> {
        let Some(Cut { slice, .. }) = self.cut(spot.key) else { return shown.clone() };
        let begin = spot.slice.saturating_mul(slice);
        shown.start.max(begin)..shown.end.min(begin.saturating_add(slice))
    }

    /// Extents cut along slices, each with how many there are in its place once it has moved.
    fn weighed(&self, extents: &[Extent]) -> Vec<(Extent, usize)> {
        let mut out = Vec::with_capacity(extents.len());
        for extent in extents {
            let cut = shown(extent).and_then(|(key, shown)| Some((self.cut(key)?, shown)));
            let Some((cut, shown)) = cut else {
                out.push((*extent, 1));
                continue;
            };
            let mut at = shown.start;
            while at < shown.end {
                let end = shown.end.min((at / cut.slice + 1).saturating_mul(cut.slice));
                out.push((part(*extent, at - shown.start, end - shown.start), cut.pieces(end - at)));
                at = end;
            }
        }
        out
    }

    /// Whether extents must be spread before they move: some lie over several slices, or what becomes of all has no room in
    /// their record.
    pub(super) fn is_crowded(&self, holder: Holder, extents: &[Extent]) -> bool {
        if self.targets.is_empty() {
            return false;
        }
        let weighed = self.weighed(extents);
        let weight = weighed.iter().fold(0, |sum: usize, (_, weight)| sum.saturating_add(*weight));
        weighed.len() > extents.len() || weight > room(holder)
    }

    /// Cuts the extents of a record along slices and, where there is no room for what becomes of them, lays them into nodes
    /// below it. It shows the same from the same places. Whether they are in the record itself still.
    pub(super) fn spread(&mut self, holder: Holder) -> Result<bool> {
        let store = self.store;
        store.make_room()?;
        let moving = store.moves.begin();
        let (spread, stays) = store.transact(|tx| {
            let old = Extents::read(tx, holder)?.filter(|old| self.is_crowded(holder, old.list()));
            let Some(old) = old else { return Ok((false, true)) };
            let weighed = self.weighed(old.list());
            let mut more: BTreeMap<RefKey, u64> = BTreeMap::new();
            let keys = |extent: &Extent| ref_key(extent.source);
            weighed.iter().filter_map(|(extent, _)| keys(extent)).for_each(|key| *more.entry(key).or_default() += 1);
            old.list().iter().filter_map(keys).for_each(|key| *more.entry(key).or_default() -= 1);
            more.into_iter().filter(|(_, more)| *more > 0).try_for_each(|(key, more)| tx.hold(key, more))?;
            let stays = weighed.iter().map(|(_, weight)| weight).sum::<usize>() <= room(holder);
            if stays {
                old.put(tx, holder, weighed.into_iter().map(|(extent, _)| extent).collect());
            } else {
                store.put_below(tx, holder, old, leaves(&weighed));
            }
            Ok((true, stays))
        })?;
        moving.moved();
        if let Holder::Node(id) = holder {
            store.nodes.forget(id);
        }
        // Whoever took the node from the cache between the two looks again as well.
        moving.moved();
        self.done.records += u64::from(spread);
        Ok(stays)
    }
}

/// Extents that a record has room for.
const fn room(holder: Holder) -> usize {
    match holder {
        Holder::Content(_) => FLAT_MAX,
        Holder::Node(_) => FAN_OUT,
    }
}

impl Store {
    /// Makes nodes of extents, and nodes of these, until there are as few as a node has room for, and lays them below a record.
    fn put_below(&self, tx: &mut Tx<'_>, holder: Holder, old: Extents, leaves: Vec<Vec<Extent>>) {
        let new_node = |tx: &mut Tx<'_>, node: &Node| {
            let id = self.ids.take();
            tx.put(Family::Node, &id_key(id), node);
            id
        };
        let len = |leaf: &[Extent]| leaf.iter().map(|extent| extent.len).sum();
        let mut level: Vec<(u64, u64)> =
            leaves.into_iter().map(|leaf| (len(&leaf), new_node(tx, &Node::Leaf(leaf)))).collect();
        while level.len() > FAN_OUT {
            let above = |nodes: &[(u64, u64)]| {
                (nodes.iter().map(|(len, _)| len).sum(), new_node(tx, &Node::Inner(nodes.to_vec())))
            };
            level = level.chunks(FAN_OUT).map(above).collect();
        }
        match (old, holder) {
            (Extents::Content(record), Holder::Content(id)) => {
                let root = match level.as_slice() {
                    [(_, only)] => *only,
                    _ => new_node(tx, &Node::Inner(level)),
                };
                tx.put(Family::Content, &content_key(id), &ContentRecord { body: Body::Tree(root), ..record });
            }
            (Extents::Node(_), Holder::Node(id)) => tx.put(Family::Node, &id_key(id), &Node::Inner(level)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, FAN_OUT, PACKED_BYTES, WHOLE_BYTES, leaves};
    use crate::chunklog::RUN_BYTES_MAX;
    use crate::index::{Extent, Source};

    const PACKED: Cut = Cut { slice: PACKED_BYTES, piece: RUN_BYTES_MAX as u64 };

    #[test]
    fn a_slice_has_no_more_pieces_than_a_node_has_room_for() {
        for (len, pieces) in [(1, 2), (4 << 20, 2), ((4 << 20) + 1, 3), (252 << 20, 64), (256 << 20, 64)] {
            assert_eq!(PACKED.pieces(len), pieces, "{len}");
        }
        assert_eq!(Cut { slice: WHOLE_BYTES, piece: WHOLE_BYTES }.pieces(WHOLE_BYTES), 1);
    }

    #[test]
    fn leaves_have_room_for_what_becomes_of_their_extents() {
        let extent = |n: u64| Extent { len: n + 1, source: Source::Solo { id: 1, at: n } };
        let weighed: Vec<_> = (0..500).map(|n| (extent(n), [1, 2, 64, 7][n as usize % 4])).collect();
        let leaves = leaves(&weighed);
        let mut all = weighed.iter();
        for leaf in &leaves {
            let weight: usize = leaf
                .iter()
                .map(|extent| {
                    let (same, weight) = all.next().unwrap();
                    assert_eq!(same, extent);
                    weight
                })
                .sum();
            assert!(weight <= FAN_OUT && !leaf.is_empty());
        }
        assert!(all.next().is_none() && leaves.len() < 400);
    }
}
