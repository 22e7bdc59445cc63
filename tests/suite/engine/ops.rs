//! What can happen in a random history, with names and sizes chosen to meet.

use keyfold::model::StorageClass;
use keyfold::store::RenameHow;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

pub const KEYS: &[&str] =
    &["a", "-", "a-", "aa", "a/a", "a/-", "a/a/a", "a/a/-", "-/a", "a-/a", "a//", "a/", "-/", "a/a/"];
pub const DIRS: &[&str] = &["a/", "-/", "a-/", "a/a/", "-/a/", "aa/"];
/// Nothing, inline, the edge of inline, runs, a run and more, a file of its own.
pub const SIZES: &[usize] = &[0, 1, 700, 4096, 4097, 70_000, 300_000, (4 << 20) + 9];

#[derive(Clone, Debug)]
pub enum Edit {
    Write(usize, usize),
    Truncate(usize),
    Punch(usize, usize),
    Copy(usize, usize, usize, usize),
    Publish,
    Compact,
}

#[derive(Clone, Debug)]
pub enum Op {
    Versioning(bool),
    Put { key: usize, size: usize, tagged: bool },
    Session { key: usize, edits: Vec<Edit> },
    Create(usize),
    Remove(usize),
    Delete(usize),
    Purge { key: usize, at: usize },
    Restore { key: usize, at: usize },
    Undelete(usize),
    Rename { from: usize, to: usize, how: RenameHow },
    RenameDir { from: usize, to: usize, how: RenameHow },
    MakeDir(usize),
    RemoveDir(usize),
    Copy { from: usize, to: usize },
    Tags { key: usize, at: usize },
    Meta(usize),
    Class { key: usize, at: usize, to: StorageClass },
    Upload { key: usize, parts: usize, end: usize },
    Reap,
    Compact,
    Sync,
    Reopen,
    Crash,
}

pub fn edit() -> impl Strategy<Value = Edit> {
    let (at, len) = (0..90_000usize, 1..9000usize);
    prop_oneof![
        6 => (at.clone(), len.clone()).prop_map(|(at, len)| Edit::Write(at, len)),
        1 => (0..5000usize, 100_000..5_000_000usize).prop_map(|(at, len)| Edit::Write(at, len)),
        2 => at.clone().prop_map(Edit::Truncate),
        2 => (at.clone(), len.clone()).prop_map(|(at, len)| Edit::Punch(at, len * 3)),
        2 => (at.clone(), any::<usize>(), at, len).prop_map(|(at, key, from, len)| Edit::Copy(at, key, from, len * 4)),
        2 => Just(Edit::Publish),
        1 => Just(Edit::Compact),
    ]
}

/// Bytes are written at a place, behind the end or not.
pub fn overlay(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if !new.is_empty() {
        bytes.resize(bytes.len().max(at + new.len()), 0);
        bytes[at..at + new.len()].copy_from_slice(new);
    }
}

/// A stretch, as far as there are bytes, becomes a hole.
pub fn punch(bytes: &mut [u8], at: usize, len: usize) {
    let end = bytes.len().min(at + len);
    bytes[at.min(end)..end].fill(0);
}

/// The history of a seed, without end.
pub fn stream(seed: u64) -> impl Iterator<Item = Op> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    std::iter::repeat_with(move || op().new_tree(&mut runner).unwrap().current())
}

pub fn op() -> impl Strategy<Value = Op> {
    let (k, n) = (0..KEYS.len(), 0..6usize);
    // Those whose bytes can be read.
    let class = prop::sample::select(&[StorageClass::StandardIa, StorageClass::OnezoneIa, StorageClass::GlacierIr][..]);
    let how =
        || prop_oneof![4 => Just(RenameHow::Replace), 1 => Just(RenameHow::NoReplace), 1 => Just(RenameHow::Exchange)];
    prop_oneof![
        3 => prop::bool::weighted(0.7).prop_map(Op::Versioning),
        10 => (k.clone(), 0..SIZES.len(), any::<bool>()).prop_map(|(key, size, tagged)| Op::Put { key, size, tagged }),
        8 => (k.clone(), prop::collection::vec(edit(), 0..8)).prop_map(|(key, edits)| Op::Session { key, edits }),
        3 => k.clone().prop_map(Op::Create),
        6 => k.clone().prop_map(Op::Remove),
        5 => k.clone().prop_map(Op::Delete),
        9 => (k.clone(), n.clone()).prop_map(|(key, at)| Op::Purge { key, at }),
        3 => (k.clone(), n.clone()).prop_map(|(key, at)| Op::Restore { key, at }),
        4 => k.clone().prop_map(Op::Undelete),
        8 => (k.clone(), k.clone(), how()).prop_map(|(from, to, how)| Op::Rename { from, to, how }),
        6 => (0..DIRS.len(), 0..DIRS.len(), how()).prop_map(|(from, to, how)| Op::RenameDir { from, to, how }),
        4 => (0..DIRS.len()).prop_map(Op::MakeDir),
        4 => (0..DIRS.len()).prop_map(Op::RemoveDir),
        4 => (k.clone(), k.clone()).prop_map(|(from, to)| Op::Copy { from, to }),
        2 => (k.clone(), n.clone()).prop_map(|(key, at)| Op::Tags { key, at }),
        2 => k.clone().prop_map(Op::Meta),
        4 => (k.clone(), n, class).prop_map(|(key, at, to)| Op::Class { key, at, to }),
        2 => (k, 1..3usize, 0..SIZES.len()).prop_map(|(key, parts, end)| Op::Upload { key, parts, end }),
        2 => Just(Op::Reap),
        3 => Just(Op::Compact),
        2 => Just(Op::Sync),
        1 => Just(Op::Reopen),
        2 => Just(Op::Crash),
    ]
}
