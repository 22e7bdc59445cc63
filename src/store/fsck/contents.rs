//! Contents, their trees, and who holds them.

use super::census::Census;
use super::watch::Reading;
use crate::index::{Body, ContentRecord, Extent, Family, Node, Read, RefKey, Source, content_key, id_key, id_of};
use crate::model::{ContentId, ObjectSums, Result};
use crate::store::extents::ref_key;
use crate::store::publish::seg_key;
use crate::store::reap::{gone_content, gone_node};

impl Census {
    pub fn read_contents(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        self.each(read, Family::Node, |census, key, node: Node| match id_of(&key) {
            Some(id) => {
                census.number(id);
                census.nodes.insert(id, node);
            }
            None => census.undecodable(Family::Node, key, "its key is malformed"),
        })?;
        self.each(read, Family::Content, |census, key, content: ContentRecord| match id_of(&key) {
            Some(id) => {
                census.number(ContentId(id).number());
                census.contents.insert(ContentId(id), content);
            }
            None => census.undecodable(Family::Content, key, "its key is malformed"),
        })?;
        for found in read.scan(Family::Gone, &[], &[0xff])? {
            let key = found?.0;
            match (key.first(), key.get(1..).and_then(id_of)) {
                // A content or node on its way out still holds what is below it.
                (Some(b'c'), Some(id)) => self.hold(RefKey::Content(id)),
                (Some(b'n'), Some(id)) => self.hold(RefKey::Node(id)),
                (Some(b'f'), _) if key.len() == 10 => {}
                _ => {
                    self.undecodable(Family::Gone, key, "its key is malformed");
                    continue;
                }
            }
            self.gone.insert(key.to_vec());
        }
        let nodes = std::mem::take(&mut self.nodes);
        for (id, node) in &nodes {
            match node {
                Node::Leaf(extents) => self.count_extents(extents),
                Node::Inner(children) => {
                    for (len, child) in children {
                        self.hold(RefKey::Node(*child));
                        self.child(*id, nodes.get(child).map(node_len), (*len, *child));
                    }
                }
            }
        }
        self.nodes = nodes;
        let contents = std::mem::take(&mut self.contents);
        for (id, content) in &contents {
            self.content(*id, content);
        }
        self.contents = contents;
        Ok(())
    }

    /// What is kept of contents' bytes goes with them. Contents are read before.
    pub fn read_sums(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        self.each(read, Family::Sums, |census, key, sums: ObjectSums| {
            let Some(id) = id_of(&key).map(ContentId) else {
                return census.undecodable(Family::Sums, key, "its key is malformed");
            };
            let parts = sums.parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.size));
            let flaw = match census.contents.get(&id) {
                None => "its content is not there".to_owned(),
                Some(content) if !sums.parts.is_empty() && content.size != parts => {
                    format!("its parts have {parts} bytes, its content {}", content.size)
                }
                Some(_) => return,
            };
            let what = format!("{}: {flaw}", census.describe(Family::Sums, &key));
            census.mendable("sums-fit-content", what, move |bench| bench.lay_aside(Family::Sums, &key));
        })
    }

    fn child(&mut self, parent: u64, there: Option<u64>, (len, child): (u64, u64)) {
        match there {
            None => {
                let what = format!("node {parent}: its child {child} of {len} bytes is missing: they are lost");
                self.mendable("tree-nodes", what, move |bench| bench.lose_node(child, len));
            }
            Some(there) if there != len => {
                let what = format!("node {child} has {there} bytes, its parent {parent} says {len}");
                self.find("tree-lengths", what);
            }
            Some(_) => {}
        }
    }

    fn content(&mut self, id: ContentId, content: &ContentRecord) {
        let there = match &content.body {
            Body::Inline(bytes) => bytes.len() as u64,
            Body::Extents(extents) => {
                self.count_extents(extents);
                total(extents.iter().map(|extent| extent.len))
            }
            Body::Tree(root) => {
                self.hold(RefKey::Node(*root));
                let (root, size) = (*root, content.size);
                let Some(there) = self.node_len(root) else {
                    let what = format!("content {id}: the root {root} of its tree is missing: {size} bytes are lost");
                    return self.mendable("tree-nodes", what, move |bench| bench.lose_node(root, size));
                };
                there
            }
        };
        if there == content.size {
            return;
        }
        let what = format!("content {id} of {} bytes has {there} bytes of extents", content.size);
        let mut record = content.clone();
        self.mendable("content-length", what, move |bench| {
            match &mut record.body {
                // What it says beyond its bytes is lost.
                Body::Extents(extents) if there < record.size => {
                    extents.push(Extent { len: record.size - there, source: Source::Lost });
                }
                Body::Tree(root) if there < record.size => {
                    let (rest, top) = (bench.new_id(), bench.new_id());
                    let len = record.size - there;
                    bench.lose_node(rest, len)?;
                    let mut children = vec![(there, *root), (len, rest)];
                    children.retain(|(len, _)| *len > 0);
                    bench.tx.put(Family::Node, &id_key(top), &Node::Inner(children));
                    *root = top;
                }
                _ => record.size = there,
            }
            bench.tx.put(Family::Content, &content_key(id), &record);
            Ok(())
        });
    }

    fn node_len(&self, id: u64) -> Option<u64> {
        self.nodes.get(&id).map(node_len)
    }

    fn count_extents(&mut self, extents: &[Extent]) {
        for extent in extents {
            let (Some(key), Some(seg)) = (ref_key(extent.source), seg_key(extent.source)) else { continue };
            let first = !self.refs.contains_key(&key);
            self.hold(key);
            if first {
                let live = self.live.entry(seg).or_insert(0);
                *live = live.saturating_add(match extent.source {
                    Source::Run { len, .. } => i64::from(len),
                    Source::Solo { .. } => 1,
                    Source::Hole | Source::Lost => 0,
                });
            }
        }
    }

    /// Looks at who holds contents and nodes, once all that may hold them was read.
    pub fn check_contents(&mut self) {
        for id in self.contents.keys().copied().collect::<Vec<_>>() {
            match self.refs.get(&RefKey::Content(id.0)) {
                None => {
                    let what = format!("content {id} of {} bytes belongs to nobody", self.contents[&id].size);
                    self.mendable("content-is-held", what, move |bench| bench.shelve_content(id));
                }
                Some(holders) if *holders > 1 && self.gone.contains(&gone_content(id)) => {
                    let what = format!("content {id} is to be freed, and somebody has it");
                    self.mendable("gone-is-nobodys", what, move |bench| {
                        bench.tx.delete(Family::Gone, &gone_content(id));
                        Ok(())
                    });
                }
                Some(_) => {}
            }
        }
        let orphans: Vec<(u64, u64)> = self
            .nodes
            .iter()
            .filter(|(id, _)| !self.refs.contains_key(&RefKey::Node(**id)))
            .map(|(id, node)| (*id, node_len(node)))
            .collect();
        for (id, len) in orphans {
            self.mendable("node-is-held", format!("node {id} of {len} bytes belongs to nobody"), move |bench| {
                if len == 0 {
                    bench.tx.put_bytes(Family::Gone, &gone_node(id), Vec::new());
                    return Ok(());
                }
                bench.shelve_tree(id, len)
            });
        }
        self.gone_without_record();
    }

    /// Marks of what is not there: the reaper would only drop them.
    fn gone_without_record(&mut self) {
        let is_missing = |key: &Vec<u8>| match (key.first(), key.get(1..).and_then(id_of)) {
            (Some(b'c'), Some(id)) => !self.contents.contains_key(&ContentId(id)),
            (Some(b'n'), Some(id)) => !self.nodes.contains_key(&id),
            _ => false,
        };
        for key in self.gone.iter().filter(|key| is_missing(key)).cloned().collect::<Vec<_>>() {
            let what = format!("{}: it is to be freed and is not there", self.describe(Family::Gone, &key[1..]));
            self.mendable("gone-is-there", what, move |bench| {
                bench.tx.delete(Family::Gone, &key);
                Ok(())
            });
        }
    }
}

fn total(lens: impl Iterator<Item = u64>) -> u64 {
    lens.fold(0, u64::saturating_add)
}

fn node_len(node: &Node) -> u64 {
    match node {
        Node::Leaf(extents) => total(extents.iter().map(|extent| extent.len)),
        Node::Inner(children) => total(children.iter().map(|(len, _)| *len)),
    }
}
