//! Records that refer to copies in place of what was copied.

use super::{Extents, Relocation};
use crate::index::{Body, ContentRecord, Extent, Family, Node, Read, RefKey, Tx, content_key, id_key};
use crate::model::Result;
use crate::store::Store;
use crate::store::compact::holders::{Holder, shown};
use crate::store::extents::{FAN_OUT, FLAT_MAX, ref_key};
use crate::store::publish::add_live;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// Pieces of copies that got their first holder in a transaction.
type Firsts = HashMap<(RefKey, usize), Holder>;

impl Relocation<'_> {
    /// Changes a batch of records in one transaction; how many of them.
    pub(super) fn swap(&mut self, batch: &[Holder]) -> Result<u64> {
        let store = self.store;
        store.make_room()?;
        let moving = store.moves.begin();
        let (changed, firsts) = store.transact(|tx| {
            let (mut changed, mut firsts) = (0, Firsts::new());
            let mut referred = HashMap::new();
            for holder in batch {
                let Some(extents) = Extents::read(tx, *holder)? else { continue };
                let mut list = Vec::new();
                let mut moved = false;
                for extent in extents.list() {
                    match self.copied(tx, *holder, extent, &mut firsts, &mut referred)? {
                        Some(new) => {
                            Store::unref_source(tx, extent.source)?;
                            list.extend(new);
                            moved = true;
                        }
                        None => list.push(*extent),
                    }
                }
                if moved {
                    store.put_extents(tx, *holder, extents, list);
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
        for ((key, n), holder) in firsts {
            if let Some(Some(copy)) = self.copies.get_mut(&key)
                && let Some(piece) = copy.pieces.get_mut(n)
            {
                piece.first = Some(holder);
            }
        }
        Ok(changed)
    }

    /// Where an extent's bytes are copied to, counted as held by `holder`; `None` when they stay.
    fn copied(
        &self,
        tx: &mut Tx<'_>,
        holder: Holder,
        extent: &Extent,
        firsts: &mut Firsts,
        referred: &mut HashMap<Holder, HashSet<RefKey>>,
    ) -> Result<Option<Vec<Extent>>> {
        let Some((key, shown)) = shown(extent) else { return Ok(None) };
        let Some(Some(copy)) = self.copies.get(&key) else { return Ok(None) };
        let Some(extents) = copy.extents(&shown) else { return Ok(None) };
        for (n, extent) in &extents {
            let first = copy.pieces.get(*n).and_then(|piece| piece.first);
            let (Some(first), Some(new)) = (first, ref_key(extent.source)) else { continue };
            let found = match referred.entry(first) {
                Entry::Occupied(found) => found.into_mut(),
                Entry::Vacant(slot) => slot.insert(refers_to(tx, first)?),
            };
            // The first holder may have been let go since, and the copy with it.
            if !found.contains(&new) {
                return Ok(None);
            }
        }
        for (n, extent) in &extents {
            let known = copy.pieces.get(*n).is_some_and(|piece| piece.first.is_some());
            match ref_key(extent.source) {
                Some(new) if known || firsts.contains_key(&(key, *n)) => tx.hold(new, 1)?,
                _ => {
                    firsts.insert((key, *n), holder);
                    add_live(tx, extent.source, 1)?;
                }
            }
        }
        Ok(Some(extents.into_iter().map(|(_, extent)| extent).collect()))
    }
}

impl Store {
    /// Gives a record other extents that show the same. When there are more than it has room for, they go below it.
    fn put_extents(&self, tx: &mut Tx<'_>, holder: Holder, old: Extents, list: Vec<Extent>) {
        let most = if matches!(holder, Holder::Content(_)) { FLAT_MAX } else { FAN_OUT };
        let below = (list.len() > most).then(|| self.put_below(tx, &list));
        match (old, holder) {
            (Extents::Content(record), Holder::Content(id)) => {
                let body = below.map_or(Body::Extents(list), |children| match children.as_slice() {
                    [(_, only)] => Body::Tree(*only),
                    _ => Body::Tree(self.put_node(tx, &Node::Inner(children))),
                });
                tx.put(Family::Content, &content_key(id), &ContentRecord { body, ..record });
            }
            (Extents::Node(_), Holder::Node(id)) => {
                tx.put(Family::Node, &id_key(id), &below.map_or(Node::Leaf(list), Node::Inner));
            }
            _ => {}
        }
    }

    /// Makes nodes of extents, and nodes of these, until there are as few as a node has room for.
    fn put_below(&self, tx: &mut Tx<'_>, list: &[Extent]) -> Vec<(u64, u64)> {
        let len = |extents: &[Extent]| extents.iter().map(|extent| extent.len).sum();
        let leaves = list.chunks(FAN_OUT);
        let mut level: Vec<(u64, u64)> =
            leaves.map(|leaf| (len(leaf), self.put_node(tx, &Node::Leaf(leaf.to_vec())))).collect();
        while level.len() > FAN_OUT {
            let above = level
                .chunks(FAN_OUT)
                .map(|nodes| (nodes.iter().map(|(len, _)| len).sum(), self.put_node(tx, &Node::Inner(nodes.to_vec()))));
            level = above.collect();
        }
        level
    }

    fn put_node(&self, tx: &mut Tx<'_>, node: &Node) -> u64 {
        let id = self.ids.take();
        tx.put(Family::Node, &id_key(id), node);
        id
    }
}

/// What a record refers to now, also through nodes that a move put below it.
fn refers_to(tx: &Tx<'_>, holder: Holder) -> Result<HashSet<RefKey>> {
    let mut found = HashSet::new();
    let mut open = Vec::new();
    let mut look = |extents: &[Extent]| found.extend(extents.iter().filter_map(|extent| ref_key(extent.source)));
    match Extents::read(tx, holder)? {
        Some(Extents::Content(ContentRecord { body: Body::Tree(root), .. })) => open.push(root),
        Some(Extents::Node(Node::Inner(children))) => open.extend(children.iter().map(|(_, child)| *child)),
        Some(extents) => look(extents.list()),
        None => {}
    }
    while let Some(id) = open.pop() {
        match tx.record(Family::Node, &id_key(id))? {
            Some(Node::Leaf(extents)) => look(&extents),
            Some(Node::Inner(children)) => open.extend(children.iter().map(|(_, child)| *child)),
            None => {}
        }
    }
    Ok(found)
}
