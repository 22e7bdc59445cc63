//! One key of a bucket as a thing that calls change: a value, or all versions of it; and what a crash may take.

use super::checker::Model;
use std::collections::BTreeSet;

/// A body, by its number.
pub type Value = u32;

/// What a client asks of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Put(Value),
    PutIfAbsent(Value),
    /// Only over the first value.
    PutOver(Value, Value),
    /// As S3 deletes: it is well whatever was there.
    Delete,
    /// As `unlink`: refused when nothing is there.
    Remove,
    Get,
    /// All versions.
    List,
    /// An older version becomes current; nothing happens to one that is.
    Restore(Value),
    /// What took effect before is durable.
    Sync,
    /// What is not durable may be gone, from any change on.
    Crash,
}

/// What it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Done,
    Refused,
    Shows(Option<Value>),
    /// Newest first; `None` is a delete marker.
    Lists(Vec<Option<Value>>),
    /// Nothing: an error that leaves open whether it was done.
    Unknown,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    pub op: Op,
    pub answer: Answer,
}

/// Oldest first.
type Stack = Vec<Option<Value>>;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct State {
    stack: Stack,
    /// What the key was since it was last known to be durable.
    left_by_a_crash: BTreeSet<Stack>,
}

impl State {
    /// A durable state: versions, the oldest first.
    pub fn of(stack: Stack) -> Self {
        Self { left_by_a_crash: BTreeSet::from([stack.clone()]), stack }
    }
}

/// A key of a bucket.
#[derive(Clone, Copy)]
pub struct Key {
    pub versioned: bool,
    /// Whether the history has crashes, for which states must be remembered.
    pub crashes: bool,
}

impl Key {
    fn over(self, stack: &Stack, entry: Option<Value>) -> Stack {
        let mut next = if self.versioned { stack.clone() } else { Vec::new() };
        if self.versioned || entry.is_some() {
            next.push(entry);
        }
        next
    }

    /// What an operation may do to the versions, and what it answers then.
    fn outcomes(self, stack: &Stack, op: Op) -> Vec<(Answer, Stack)> {
        let current = stack.last().copied().flatten();
        let put = |value| (Answer::Done, self.over(stack, Some(value)));
        let removed = || (Answer::Done, self.over(stack, None));
        let same = |answer| (answer, stack.clone());
        vec![match op {
            Op::Put(value) => put(value),
            Op::PutIfAbsent(value) if current.is_none() => put(value),
            Op::PutOver(known, value) if current == Some(known) => put(value),
            Op::PutIfAbsent(_) | Op::PutOver(..) => same(Answer::Refused),
            Op::Delete => removed(),
            Op::Remove if current.is_some() => removed(),
            Op::Remove => same(Answer::Refused),
            Op::Get => same(Answer::Shows(current)),
            Op::List => same(Answer::Lists(stack.iter().rev().copied().collect())),
            Op::Restore(value) if current == Some(value) => same(Answer::Done),
            Op::Restore(value) => put(value),
            Op::Sync | Op::Crash => same(Answer::Done),
        }]
    }
}

impl Model for Key {
    type State = State;
    type Call = Call;

    fn step(&self, state: &State, call: &Call) -> Vec<State> {
        let unknown = call.answer == Answer::Unknown;
        let mut next = match call.op {
            Op::Sync => vec![if self.crashes { State::of(state.stack.clone()) } else { state.clone() }],
            Op::Crash => return state.left_by_a_crash.iter().cloned().map(State::of).collect(),
            op => {
                let outcomes = self.outcomes(&state.stack, op).into_iter();
                let fitting = outcomes.filter(|(answer, _)| unknown || *answer == call.answer);
                let into = |(_, stack): (Answer, Stack)| {
                    let mut next = state.clone();
                    if self.crashes {
                        next.left_by_a_crash.insert(stack.clone());
                    }
                    next.stack = stack;
                    next
                };
                fitting.map(into).collect()
            }
        };
        if unknown && !next.contains(state) {
            next.push(state.clone());
        }
        next
    }

    fn only_looks(&self, call: &Call) -> bool {
        matches!(call.answer, Answer::Shows(_) | Answer::Lists(_) | Answer::Refused)
            || call.op == Op::Sync && !self.crashes
    }
}

/// A key whose versions only become more: each state is the beginning of the longest list that anybody was shown.
pub struct Growing {
    pub key: Key,
    pub longest: Vec<Option<Value>>,
}

impl Growing {
    pub fn of<'a>(key: Key, calls: impl Iterator<Item = &'a Call>) -> Self {
        let lists = calls.filter_map(|call| match &call.answer {
            Answer::Lists(list) if key.versioned && !key.crashes => Some(list.iter().rev().copied().collect()),
            _ => None,
        });
        Self { key, longest: lists.max_by_key(Vec::len).unwrap_or_default() }
    }
}

impl Model for Growing {
    type State = State;
    type Call = Call;

    fn step(&self, state: &State, call: &Call) -> Vec<State> {
        let mut next = self.key.step(state, call);
        next.retain(|next| next.stack.iter().zip(&self.longest).all(|(one, other)| one == other));
        next
    }

    fn only_looks(&self, call: &Call) -> bool {
        self.key.only_looks(call)
    }
}
