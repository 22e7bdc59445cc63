//! Extent trees against a plain vector of bytes.

use super::{Edit, Nodes, Plan, edit, locate};
use crate::index::{Body, Extent, Node, RefKey, Source};
use crate::model::{Error, Result};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Default)]
struct Memory {
    nodes: HashMap<u64, Arc<Node>>,
    next: u64,
}

impl Nodes for Memory {
    fn load(&self, id: u64) -> Result<Arc<Node>> {
        self.nodes.get(&id).cloned().ok_or_else(|| Error::corrupt("no node", "missing"))
    }
}

impl Memory {
    fn run(&mut self, old: Option<(&Body, u64, u64)>, size: u64, edits: &[Edit]) -> Plan {
        let mut next = self.next;
        let plan = edit(old, size, edits, self, &mut || {
            next += 1;
            next
        })
        .unwrap();
        self.next = next;
        for (id, node) in &plan.nodes {
            self.nodes.insert(*id, Arc::new(node.clone()));
        }
        plan
    }

    fn bytes(&self, body: &Body, size: u64) -> Vec<u8> {
        let mut out = vec![0; size as usize];
        let mut found = Vec::new();
        locate(body, self, 0, u64::MAX, &mut found).unwrap();
        let mut at = 0;
        for (start, extent) in found {
            assert_eq!(start, at, "extents leave no gap");
            at += extent.len;
            if let Source::Solo { id, at } = extent.source {
                for n in 0..extent.len {
                    out[(start + n) as usize] = byte_of(id, at + n);
                }
            }
        }
        assert_eq!(at, size);
        out
    }
}

fn byte_of(id: u64, at: u64) -> u8 {
    (id * 31 + at * 7 + 1) as u8 | 1
}

#[derive(Clone, Debug)]
enum Op {
    Write(u16, u16),
    Truncate(u16),
    Append(u16),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (any::<u16>(), 1..40u16).prop_map(|(at, len)| Op::Write(at, len)),
        1 => any::<u16>().prop_map(Op::Truncate),
        2 => (1..60u16).prop_map(Op::Append),
    ]
}

proptest! {
    #[test]
    fn edits_read_back_like_a_vector(ops in prop::collection::vec(op(), 1..300), seed in 0..3000u64) {
        let mut memory = Memory::default();
        let mut model = vec![0u8; seed as usize];
        let mut body = memory.run(None, seed, &[]).body.unwrap();
        let mut stored = 0;
        for (n, op) in ops.into_iter().enumerate() {
            let id = n as u64 + 1;
            let size = model.len() as u64;
            let (size_after, edits) = match op {
                Op::Truncate(to) => (u64::from(to) % (size + 100), vec![]),
                Op::Append(len) => (size + u64::from(len), vec![(size, u64::from(len))]),
                Op::Write(at, len) => {
                    let at = u64::from(at) % (size + 1);
                    (size.max(at + u64::from(len)), vec![(at, u64::from(len))])
                }
            };
            model.resize(size_after as usize, 0);
            for (at, len) in &edits {
                for k in 0..*len {
                    model[(at + k) as usize] = byte_of(id, k);
                }
            }
            let edits: Vec<Edit> = edits.into_iter().map(|(at, len)| Edit {
                at, extent: Extent { len, source: Source::Solo { id, at: 0 } }, fresh: true,
            }).collect();
            let plan = memory.run(Some((&body, size, stored)), size_after, &edits);
            body = plan.body.unwrap();
            stored = plan.stored;
            prop_assert_eq!(&memory.bytes(&body, size_after), &model);
            prop_assert_eq!(stored, model.iter().filter(|byte| **byte != 0).count() as u64);
        }
    }
}

/// Counting every holder from the final trees gives what the plans said.
#[test]
fn holders_are_counted_exactly() {
    let mut memory = Memory::default();
    let mut refs: HashMap<RefKey, i64> = HashMap::new();
    let mut bodies = Vec::new();
    let edits: Vec<Edit> = (0..500)
        .map(|n| Edit {
            at: n * 10,
            extent: Extent { len: 10, source: Source::Solo { id: n + 1, at: 0 } },
            fresh: true,
        })
        .collect();
    let mut tell = |plan: &Plan, memory: &Memory, body: &Body| {
        for key in &plan.held {
            *refs.entry(*key).or_insert(1) += 1;
        }
        let _ = (memory, body);
        refs.clone()
    };
    let first = memory.run(None, 5000, &edits);
    tell(&first, &memory, first.body.as_ref().unwrap());
    bodies.push(first.body.clone().unwrap());
    let middle = Edit { at: 2003, extent: Extent { len: 3, source: Source::Solo { id: 999, at: 0 } }, fresh: true };
    let second = memory.run(Some((first.body.as_ref().unwrap(), 5000, 5000)), 5000, &[middle]);
    let told = tell(&second, &memory, second.body.as_ref().unwrap());
    bodies.push(second.body.clone().unwrap());
    assert_eq!(second.nodes.len(), 3, "one full leaf splits in two, and the root is copied");

    let mut counted: HashMap<RefKey, i64> = HashMap::new();
    let mut seen = std::collections::HashSet::new();
    let mut stack = Vec::new();
    for body in &bodies {
        if let Body::Tree(root) = body {
            stack.push(*root);
        }
    }
    while let Some(id) = stack.pop() {
        *counted.entry(RefKey::Node(id)).or_insert(0) += 1;
        if seen.insert(id) {
            match &*memory.load(id).unwrap() {
                Node::Inner(children) => stack.extend(children.iter().map(|(_, child)| *child)),
                Node::Leaf(extents) => {
                    for extent in extents {
                        if let Some(key) = super::ref_key(extent.source) {
                            *counted.entry(key).or_insert(0) += 1;
                        }
                    }
                }
            }
        }
    }
    for (key, count) in counted {
        assert_eq!(count, told.get(&key).copied().unwrap_or(1), "{key:?}");
    }
}
