//! Wing and Gong's search for an order of the calls, with Lowe's memory of what was tried.
//!
//! A call takes effect at one moment between its beginning and its end. The search places calls one after another, each
//! time one that no unplaced call ended before, and never looks twice at the same calls placed with the same state.

use std::collections::HashSet;
use std::fmt::{Debug, Write};
use std::hash::Hash;

/// What calls may do to a thing, and answer.
pub trait Model {
    type State: Clone + Eq + Hash + Debug;
    type Call: Debug;

    /// The states that may follow when `call` takes effect in `state` and answers as it did; none when it cannot have.
    fn step(&self, state: &Self::State, call: &Self::Call) -> Vec<Self::State>;

    /// Whether a call with this answer changes nothing, whatever the state.
    fn only_looks(&self, call: &Self::Call) -> bool;
}

/// A call and when it began and ended, on one clock for all clients. One without an end may take effect at any time
/// after, or never.
#[derive(Clone, Debug)]
pub struct Event<C> {
    pub client: usize,
    pub call: C,
    pub from: u64,
    pub to: Option<u64>,
}

/// States of the search at which it is given up. A history that has an order needs few.
const SEARCH_MAX: usize = 1_000_000;

/// The calls before `prefix` are placed, and those of `ahead`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place<S> {
    prefix: usize,
    ahead: Vec<usize>,
    state: S,
}

impl<S: Clone> Place<S> {
    /// Calls that may come next, in the order of their beginnings; `None` when all that ended are placed.
    fn next<C>(&self, events: &[&Event<C>]) -> Option<Vec<usize>> {
        let (mut found, mut first_end, mut is_over) = (Vec::new(), u64::MAX, true);
        for (at, event) in events.iter().enumerate().skip(self.prefix) {
            if self.ahead.binary_search(&at).is_ok() {
                continue;
            }
            if event.from > first_end {
                break;
            }
            found.push(at);
            is_over &= event.to.is_none();
            first_end = first_end.min(event.to.unwrap_or(u64::MAX));
        }
        (!is_over).then_some(found)
    }

    fn with(&self, at: usize, state: S) -> Self {
        let mut next = Self { prefix: self.prefix, ahead: self.ahead.clone(), state };
        let into = next.ahead.partition_point(|placed| *placed < at);
        next.ahead.insert(into, at);
        while next.ahead.first() == Some(&next.prefix) {
            next.ahead.remove(0);
            next.prefix += 1;
        }
        next
    }

    fn placed(&self) -> usize {
        self.prefix + self.ahead.len()
    }
}

/// Looks for an order of the calls in which each answer is right; how many states were looked at.
///
/// # Errors
/// What could be placed at most, and what could not follow it.
pub fn check<M: Model>(model: &M, begin: M::State, history: &[Event<M::Call>]) -> Result<usize, String> {
    let mut events: Vec<&Event<M::Call>> = history.iter().collect();
    events.sort_by_key(|event| event.from);
    let begin = Place { prefix: 0, ahead: Vec::new(), state: begin };
    let mut seen = HashSet::from([begin.clone()]);
    let mut furthest = begin.clone();
    let mut open = vec![begin];
    while let Some(place) = open.pop() {
        let Some(mut next) = place.next(&events) else { return Ok(seen.len()) };
        if seen.len() >= SEARCH_MAX {
            return Err(format!(
                "none was found among {SEARCH_MAX} beginnings of one; {}",
                explain(&events, &furthest)
            ));
        }
        if place.placed() >= furthest.placed() {
            furthest = place.clone();
        }
        let steps = |at: usize| model.step(&place.state, &events[at].call);
        // What only looks, and fits, can as well be placed now as later.
        let fits = |at: usize| model.only_looks(&events[at].call) && !steps(at).is_empty();
        if let Some(at) = next.iter().copied().find(|at| fits(*at)) {
            let then = place.with(at, place.state.clone());
            if seen.insert(then.clone()) {
                open.push(then);
            }
            continue;
        }
        // The one that ended first is tried first.
        next.sort_by_key(|at| std::cmp::Reverse(events[*at].to.unwrap_or(u64::MAX)));
        for at in next {
            for state in steps(at) {
                let then = place.with(at, state);
                if seen.insert(then.clone()) {
                    open.push(then);
                }
            }
        }
    }
    Err(explain(&events, &furthest))
}

fn explain<C: Debug, S: Clone + Debug>(events: &[&Event<C>], furthest: &Place<S>) -> String {
    const AROUND: usize = 12;
    let say = |said: &mut String, Event { client, call, from, to }: &Event<C>| {
        let _ = write!(said, "\n  client {client}, {from} to {to:?}: {call:?}");
    };
    let placed = furthest.placed();
    let mut said = format!("{placed} of {} calls can be ordered, then the state is {:?}", events.len(), furthest.state);
    let _ = write!(said, "\nnone of these can follow:");
    furthest.next(events).unwrap_or_default().into_iter().for_each(|at| say(&mut said, events[at]));
    let _ = write!(said, "\namong:");
    let from = furthest.prefix.saturating_sub(AROUND);
    events.iter().skip(from).take(3 * AROUND).for_each(|event| say(&mut said, event));
    said
}
