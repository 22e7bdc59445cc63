//! A content that takes the place of the one it was made from, which nobody else reads: what both point at changes
//! hands without being counted up and down, so that a small change of a large content costs a small commit.

use super::Store;
use super::content::Content;
use super::extents::{Nodes, Plan, ref_key};
use super::pins::Taking;
use super::reap::gone_content;
use super::stack::forget_content;
use crate::index::{Body, Family, Node, Read, RefKey, Source, Tx, id_key};
use crate::model::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// Nodes that one commit lets go; an edit that touches more leaves the old content to the reaper.
const NODES_MAX: usize = 1024;

/// Holders that a new content is of what was there before, by what it holds.
pub(super) struct Holders(HashMap<RefKey, u64>);

impl Holders {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut held = HashMap::new();
        for key in &plan.held {
            *held.entry(*key).or_insert(0) += 1;
        }
        Self(held)
    }

    /// Whether the new content holds `key` once more than was matched so far: then that holder takes over an old one.
    fn matches(&mut self, key: RefKey) -> bool {
        match self.0.get_mut(&key) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// Counts those that took over nothing.
    pub(super) fn count(self, tx: &mut Tx<'_>) -> Result<()> {
        self.0.into_iter().filter(|(_, more)| *more > 0).try_for_each(|(key, more)| tx.hold(key, more))
    }
}

/// Frees `base` as part of `tx`, if `tx` took the last name from it and nobody but the writer, who holds it twice,
/// reads it. What the new content holds as well is matched in `held`. No reader gets in until the answer is dropped.
pub(super) fn take_over(
    tx: &mut Tx<'_>,
    (base, body): (&Arc<Content>, &Body),
    unshared: usize,
    held: &mut Holders,
) -> Result<Option<Taking>> {
    let mark = gone_content(base.id());
    if unshared > NODES_MAX || !tx.wrote(Family::Gone, &mark) || tx.get(Family::Gone, &mark)?.is_none() {
        return Ok(None);
    }
    if Arc::strong_count(base) != 2 {
        return Ok(None);
    }
    let Some(taking) = base.claim() else { return Ok(None) };
    tx.delete(Family::Gone, &mark);
    forget_content(tx, base.id())?;
    let mut giving = Giving { store: base.store(), held };
    match body {
        Body::Inline(_) => {}
        Body::Extents(extents) => extents.iter().try_for_each(|extent| giving.source(tx, extent.source))?,
        Body::Tree(root) => giving.node(tx, *root)?,
    }
    Ok(Some(taking))
}

struct Giving<'a> {
    store: &'a Store,
    held: &'a mut Holders,
}

impl Giving<'_> {
    fn source(&mut self, tx: &mut Tx<'_>, source: Source) -> Result<()> {
        if ref_key(source).is_some_and(|key| self.held.matches(key)) {
            return Ok(());
        }
        Store::unref_source(tx, source)
    }

    /// Every node of the old content is held by the new one too, or is one of its unshared ones.
    fn node(&mut self, tx: &mut Tx<'_>, id: u64) -> Result<()> {
        if self.held.matches(RefKey::Node(id)) {
            return Ok(());
        }
        if !Store::release_node(tx, id)? {
            return Ok(());
        }
        let node = self.store.load(id)?;
        tx.delete(Family::Node, &id_key(id));
        self.store.nodes.forget(id);
        match &*node {
            Node::Leaf(extents) => extents.iter().try_for_each(|extent| self.source(tx, extent.source)),
            Node::Inner(children) => children.iter().try_for_each(|(_, child)| self.node(tx, *child)),
        }
    }
}
