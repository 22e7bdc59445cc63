//! Extent trees: the bytes of a large content as an immutable, shared tree of lengths.
//!
//! Leaves hold extents in order, inner nodes hold (length, child). An edit copies the path it touches and
//! shares everything else, so appending to or overwriting a part of a large content costs the changed part.
//! Pure: nodes come in through [`Nodes`], a [`Plan`] goes out.

use crate::index::{Body, Extent, Node, RefKey, Source};
use crate::model::{Error, Kind, Result};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Most entries of a node.
pub(super) const FAN_OUT: usize = 64;
/// Contents of at most this many extents need no tree.
pub(super) const FLAT_MAX: usize = 8;
/// No tree is deeper: 64^10 extents are more than any object has.
pub(super) const DEPTH_MAX: usize = 10;

/// Where nodes are read from.
pub(super) trait Nodes {
    fn load(&self, id: u64) -> Result<Arc<Node>>;
}

/// An edit: these bytes take the place of what lies at `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub at: u64,
    pub extent: Extent,
    /// Whether no content refers to the source yet.
    pub fresh: bool,
}

/// What has to be written for a new content.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub body: Option<Body>,
    pub stored: u64,
    /// Nodes to write.
    pub nodes: Vec<(u64, Node)>,
    /// Things that get one more holder.
    pub held: Vec<RefKey>,
    /// Sources that get their first holder.
    pub fresh: Vec<Source>,
    /// How many nodes of the old content the new one does not share.
    pub unshared: usize,
}

/// The holder count a source is kept under; holes have none.
pub(super) fn ref_key(source: Source) -> Option<RefKey> {
    match source {
        Source::Hole | Source::Lost => None,
        Source::Run { segment, offset, .. } => Some(RefKey::Run(segment, offset)),
        Source::Solo { id, .. } => Some(RefKey::Solo(id)),
    }
}

/// `extent` without its first `by` bytes.
pub(super) fn skip(extent: Extent, by: u64) -> Extent {
    let source = match extent.source {
        Source::Hole => Source::Hole,
        Source::Lost => Source::Lost,
        Source::Run { segment, offset, len, skip } => {
            Source::Run { segment, offset, len, skip: skip.saturating_add(u32::try_from(by).unwrap_or(u32::MAX)) }
        }
        Source::Solo { id, at } => Source::Solo { id, at: at.saturating_add(by) },
    };
    Extent { len: extent.len - by, source }
}

/// The part of `extent` from `from` to `to`, both counted from its beginning.
pub(super) fn part(extent: Extent, from: u64, to: u64) -> Extent {
    Extent { len: to - from, source: skip(Extent { len: to, ..extent }, from).source }
}

/// Adds an extent, joining it to the last one when they are neighbours in one source.
fn push(list: &mut Vec<(Extent, bool)>, extent: Extent, fresh: bool) {
    if extent.len == 0 {
        return;
    }
    if let Some((last, was_fresh)) = list.last_mut() {
        let joins = match (last.source, extent.source) {
            (Source::Hole, Source::Hole) | (Source::Lost, Source::Lost) => true,
            (Source::Run { .. }, Source::Run { .. }) | (Source::Solo { .. }, Source::Solo { .. }) => {
                skip(Extent { len: last.len + extent.len, ..*last }, last.len).source == extent.source
            }
            _ => false,
        };
        if joins && *was_fresh == fresh {
            last.len += extent.len;
            return;
        }
    }
    list.push((extent, fresh));
}

/// Finds the extents of `[at, at + len)` with the offsets at which they begin: without gaps from `at` on. What lies below
/// a node that is missing or damaged is [`Source::Lost`].
pub(super) fn locate(body: &Body, nodes: &dyn Nodes, at: u64, len: u64, out: &mut Vec<(u64, Extent)>) -> Result<()> {
    let mut next = at;
    let mut gap = false;
    visit(body, nodes, (at, at.saturating_add(len)), &mut |start, extent| {
        gap |= start != next;
        next = start + extent.len;
        out.push((start, extent));
        if gap { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if gap {
        return Err(Error::corrupt("cannot read the content's extents", "a part of their tree has another length"));
    }
    Ok(())
}

/// Shows `look` the extents of `[from, to)` in their order, each cut to it, with the offset at which it begins, until
/// `look` has seen enough.
pub(super) fn visit(
    body: &Body,
    nodes: &dyn Nodes,
    (from, to): (u64, u64),
    look: &mut dyn FnMut(u64, Extent) -> ControlFlow<()>,
) -> Result<()> {
    match body {
        Body::Inline(_) => {}
        Body::Extents(extents) => drop(pick(extents, 0, from, to, look)),
        Body::Tree(root) => drop(descend(*root, nodes, 0, (from, to), DEPTH_MAX, look)?),
    }
    Ok(())
}

fn pick(
    extents: &[Extent],
    mut start: u64,
    from: u64,
    to: u64,
    look: &mut dyn FnMut(u64, Extent) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for extent in extents {
        let end = start.saturating_add(extent.len);
        if start >= to {
            break;
        }
        if end > from {
            let (low, high) = (from.max(start), to.min(end));
            look(low, part(*extent, low - start, high - start))?;
        }
        start = end;
    }
    ControlFlow::Continue(())
}

fn descend(
    id: u64,
    nodes: &dyn Nodes,
    mut start: u64,
    (from, to): (u64, u64),
    depth: usize,
    look: &mut dyn FnMut(u64, Extent) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    if depth == 0 {
        return Err(too_deep());
    }
    let node = match nodes.load(id) {
        // The rest of the content does not depend on what this node says.
        Err(error) if error.kind() == Kind::Corrupt => {
            let low = from.max(start);
            if low < to {
                return Ok(look(low, Extent { len: to - low, source: Source::Lost }));
            }
            return Ok(ControlFlow::Continue(()));
        }
        found => found?,
    };
    match &*node {
        Node::Leaf(extents) => Ok(pick(extents, start, from, to, look)),
        Node::Inner(children) => {
            for (len, child) in children {
                let end = start.saturating_add(*len);
                if start >= to {
                    break;
                }
                // A child shows no more than its parent says that it has: each byte is shown once, however nodes are shared.
                if end > from && descend(*child, nodes, start, (from, to.min(end)), depth - 1, look)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                start = end;
            }
            Ok(ControlFlow::Continue(()))
        }
    }
}

pub(super) fn too_deep() -> Error {
    Error::corrupt("cannot read the content's extents", "their tree is deeper than any content's")
}

/// Plans the content of `size` bytes that has `edits` (sorted, not overlapping, within `size`) over `old`.
/// Bytes of neither are zeros.
pub(super) fn edit(
    old: Option<(&Body, u64, u64)>,
    size: u64,
    edits: &[Edit],
    nodes: &dyn Nodes,
    new_id: &mut dyn FnMut() -> u64,
) -> Result<Plan> {
    let empty = Body::Extents(Vec::new());
    let (body, old_size, stored) = old.unwrap_or((&empty, 0, 0));
    let mut tail = Vec::new();
    if size > old_size {
        overlay(&[Extent { len: size - old_size, source: Source::Hole }], old_size, edits, &mut tail);
    }
    tail.retain(|(extent, _)| extent.len > 0);
    let added: u64 = tail.iter().map(|(extent, _)| weight(extent)).sum();
    let mut plan = Plan { stored: stored + added, ..Plan::default() };
    let mut work = Work { size, edits, nodes, new_id, plan: &mut plan };
    match body {
        Body::Inline(_) => return Err(Error::corrupt("cannot edit the content", "its bytes are inline")),
        Body::Extents(extents) => {
            let merged = work.leaf(extents, 0, tail);
            if merged.len() <= FLAT_MAX {
                work.count(&merged);
                plan.body = Some(Body::Extents(merged.into_iter().map(|(extent, _)| extent).collect()));
            } else {
                let level = work.leaves(merged, true);
                plan.body = Some(Body::Tree(work.root(level)));
            }
        }
        Body::Tree(root) => {
            let level = work.node(*root, 0, old_size, Some(tail), DEPTH_MAX)?;
            plan.body = Some(match level.as_slice() {
                [] => Body::Extents(Vec::new()),
                _ => Body::Tree(work.root(level)),
            });
        }
    }
    Ok(plan)
}

/// Adds holes over `[from, to)` where no edit lies.
pub(super) fn cover_with_holes(edits: &mut Vec<Edit>, from: u64, to: u64) {
    let mut out = Vec::with_capacity(edits.len() + 2);
    let mut at = from;
    let hole = |at: u64, to: u64, out: &mut Vec<Edit>| {
        if at < to {
            out.push(Edit { at, extent: Extent { len: to - at, source: Source::Hole }, fresh: false });
        }
    };
    for edit in edits.iter() {
        if edit.at >= from {
            hole(at, edit.at.min(to), &mut out);
        }
        at = at.max(edit.at + edit.extent.len);
        out.push(*edit);
    }
    hole(at, to, &mut out);
    *edits = out;
}

fn weight(extent: &Extent) -> u64 {
    if matches!(extent.source, Source::Hole | Source::Lost) { 0 } else { extent.len }
}

/// Lays the edits that fall into the extents' stretch over them.
fn overlay(extents: &[Extent], start: u64, edits: &[Edit], out: &mut Vec<(Extent, bool)>) {
    let mut next = edits.partition_point(|edit| edit.at + edit.extent.len <= start);
    let mut at = start;
    for extent in extents {
        let end = at + extent.len;
        let mut done = at;
        while let Some(edit) = edits.get(next).filter(|edit| edit.at < end) {
            let (low, high) = (edit.at.max(at), (edit.at + edit.extent.len).min(end));
            push(out, part(*extent, done - at, low.max(done) - at), false);
            push(out, part(edit.extent, low - edit.at, high - edit.at), edit.fresh);
            done = high;
            if edit.at + edit.extent.len > end {
                break;
            }
            next += 1;
        }
        push(out, part(*extent, done - at, extent.len), false);
        at = end;
    }
}

struct Work<'a> {
    size: u64,
    edits: &'a [Edit],
    nodes: &'a dyn Nodes,
    new_id: &'a mut dyn FnMut() -> u64,
    plan: &'a mut Plan,
}

impl Work<'_> {
    /// A leaf's extents, cut to the new size, edited, and continued by `tail`.
    fn leaf(&mut self, extents: &[Extent], start: u64, tail: Vec<(Extent, bool)>) -> Vec<(Extent, bool)> {
        let mut kept = Vec::new();
        let _ = pick(extents, start, start, self.size, &mut |_, extent| {
            kept.push(extent);
            ControlFlow::Continue(())
        });
        let mut merged = Vec::with_capacity(kept.len() + tail.len());
        overlay(&kept, start, self.edits, &mut merged);
        let before: u64 = extents.iter().map(weight).sum();
        let after: u64 = merged.iter().map(|(extent, _)| weight(extent)).sum();
        self.plan.stored = (self.plan.stored + after).saturating_sub(before);
        for (extent, fresh) in tail {
            push(&mut merged, extent, fresh);
        }
        merged
    }

    /// Counts the holders that a leaf's extents are.
    fn count(&mut self, extents: &[(Extent, bool)]) {
        for (extent, fresh) in extents {
            match ref_key(extent.source) {
                None => {}
                Some(_) if *fresh => self.plan.fresh.push(extent.source),
                Some(key) => self.plan.held.push(key),
            }
        }
    }

    fn write(&mut self, node: Node) -> (u64, u64) {
        let len = match &node {
            Node::Leaf(extents) => extents.iter().map(|extent| extent.len).sum(),
            Node::Inner(children) => children.iter().map(|(len, _)| len).sum(),
        };
        let id = (self.new_id)();
        self.plan.nodes.push((id, node));
        (len, id)
    }

    fn leaves(&mut self, extents: Vec<(Extent, bool)>, growing: bool) -> Vec<(u64, u64)> {
        self.count(&extents);
        let chunk = chunk_len(extents.len(), growing);
        let plain: Vec<Extent> = extents.into_iter().map(|(extent, _)| extent).collect();
        plain.chunks(chunk).map(|chunk| self.write(Node::Leaf(chunk.to_vec()))).collect()
    }

    /// The nodes that take the place of node `id`, which covers `[start, start + len)`.
    fn node(
        &mut self,
        id: u64,
        start: u64,
        len: u64,
        tail: Option<Vec<(Extent, bool)>>,
        depth: usize,
    ) -> Result<Vec<(u64, u64)>> {
        let end = start + len;
        let tail = tail.unwrap_or_default();
        let first = self.edits.partition_point(|edit| edit.at + edit.extent.len <= start);
        let touched = self.edits.get(first).is_some_and(|edit| edit.at < end);
        if !touched && tail.is_empty() && end <= self.size {
            self.plan.held.push(RefKey::Node(id));
            return Ok(vec![(len, id)]);
        }
        if depth == 0 {
            return Err(too_deep());
        }
        self.plan.unshared += 1;
        let growing = !tail.is_empty();
        match &*self.nodes.load(id)? {
            Node::Leaf(extents) => {
                let merged = self.leaf(extents, start, tail);
                Ok(self.leaves(merged, growing))
            }
            Node::Inner(children) => {
                let mut level = Vec::with_capacity(children.len() + 1);
                let mut at = start;
                let mut tail = Some(tail);
                for (n, (len, child)) in children.iter().enumerate() {
                    let last = n + 1 == children.len();
                    let tail = if last { tail.take() } else { None };
                    level.extend(self.node(*child, at, *len, tail, depth - 1)?);
                    at += len;
                }
                Ok(self.inner(&level, growing))
            }
        }
    }

    fn inner(&mut self, level: &[(u64, u64)], growing: bool) -> Vec<(u64, u64)> {
        let chunk = chunk_len(level.len(), growing);
        level.chunks(chunk).map(|chunk| self.write(Node::Inner(chunk.to_vec()))).collect()
    }

    fn root(&mut self, mut level: Vec<(u64, u64)>) -> u64 {
        while level.len() > 1 {
            level = self.inner(&level, true);
        }
        level.first().map_or(0, |(_, id)| *id)
    }
}

/// Entries a node: full nodes where data is appended, halves where it is split in the middle.
fn chunk_len(entries: usize, growing: bool) -> usize {
    if growing { FAN_OUT } else { entries.div_ceil(entries.div_ceil(FAN_OUT).max(1)).max(1) }
}

#[cfg(test)]
mod tests;
