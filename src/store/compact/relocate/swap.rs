//! Records that refer to copies in place of what was copied.

use super::slices::Spot;
use super::{Extents, Relocation};
use crate::index::{Body, ContentRecord, Extent, Family, Node, RefKey, Tx, content_key, id_key};
use crate::model::Result;
use crate::store::Store;
use crate::store::compact::holders::Holder;
use crate::store::extents::ref_key;
use crate::store::publish::add_live;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Pieces of copies that got their first holder in a transaction.
type Firsts = BTreeMap<(Spot, usize), Holder>;

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
                    extents.put(tx, *holder, list);
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
        for ((spot, n), holder) in firsts {
            if let Some(Some(copy)) = self.copies.get_mut(&spot)
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
        let Some((spot, shown)) = self.spot_of(extent) else { return Ok(None) };
        let Some(Some(copy)) = self.copies.get(&spot) else { return Ok(None) };
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
                Some(new) if known || firsts.contains_key(&(spot, *n)) => tx.hold(new, 1)?,
                _ => {
                    firsts.insert((spot, *n), holder);
                    add_live(tx, extent.source, 1)?;
                }
            }
        }
        Ok(Some(extents.into_iter().map(|(_, extent)| extent).collect()))
    }
}

impl Extents {
    /// Gives the record other extents that show the same.
    pub(super) fn put(self, tx: &mut Tx<'_>, holder: Holder, list: Vec<Extent>) {
        match (self, holder) {
            (Self::Content(record), Holder::Content(id)) => {
                let body = Body::Extents(list);
                tx.put(Family::Content, &content_key(id), &ContentRecord { body, ..record });
            }
            (Self::Node(_), Holder::Node(id)) => tx.put(Family::Node, &id_key(id), &Node::Leaf(list)),
            _ => {}
        }
    }
}

/// What a record refers to now.
fn refers_to(tx: &Tx<'_>, holder: Holder) -> Result<HashSet<RefKey>> {
    let extents = Extents::read(tx, holder)?;
    Ok(extents.iter().flat_map(Extents::list).filter_map(|extent| ref_key(extent.source)).collect())
}
