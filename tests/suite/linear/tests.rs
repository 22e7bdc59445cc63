//! The checker itself: histories that it must take and histories that it must not.

use super::checker::{Event, Model, check};
use super::key::{Answer, Call, Key, Op, State};
use Answer::{Done, Lists, Refused, Shows, Unknown};
use Op::{Crash, Delete, Get, List, Put, PutIfAbsent, PutOver, Remove, Restore, Sync};
use proptest::prelude::*;

const PLAIN: Key = Key { versioned: false, crashes: false };
const VERSIONED: Key = Key { versioned: true, crashes: false };
const CRASHING: Key = Key { versioned: false, crashes: true };

fn event(from: u64, to: u64, op: Op, answer: Answer) -> Event<Call> {
    // Of 0, no end.
    Event { client: 0, call: Call { op, answer }, from, to: (to > 0).then_some(to) }
}

fn is_linearizable(model: Key, history: &[Event<Call>]) -> bool {
    check(&model, State::of(vec![]), history).is_ok()
}

/// Calls one after another.
fn in_turn(calls: &[(Op, Answer)]) -> Vec<Event<Call>> {
    let moment = |n: usize| 10 * n as u64 + 10;
    calls.iter().enumerate().map(|(n, (op, answer))| event(moment(n), moment(n) + 5, *op, answer.clone())).collect()
}

#[track_caller]
fn takes(model: Key, calls: &[(Op, Answer)]) {
    assert!(is_linearizable(model, &in_turn(calls)), "{calls:?}");
}

#[track_caller]
fn rejects(model: Key, calls: &[(Op, Answer)]) {
    assert!(!is_linearizable(model, &in_turn(calls)), "{calls:?}");
}

#[test]
fn one_client_is_told_what_it_did() {
    takes(PLAIN, &[(Get, Shows(None)), (Put(1), Done), (Get, Shows(Some(1))), (Delete, Done), (Get, Shows(None))]);
    takes(PLAIN, &[(Remove, Refused), (PutIfAbsent(1), Done), (PutIfAbsent(2), Refused), (Remove, Done)]);
    takes(PLAIN, &[(Put(1), Done), (PutOver(1, 2), Done), (PutOver(1, 3), Refused), (List, Lists(vec![Some(2)]))]);
    let all = vec![Some(1), None, Some(2), Some(1)];
    takes(VERSIONED, &[(Put(1), Done), (Put(2), Done), (Delete, Done), (Restore(1), Done), (List, Lists(all))]);
}

#[test]
fn a_stale_read_is_rejected() {
    rejects(PLAIN, &[(Put(1), Done), (Put(2), Done), (Get, Shows(Some(1)))]);
    rejects(PLAIN, &[(Put(1), Done), (Get, Shows(None))]);
    rejects(PLAIN, &[(Put(1), Done), (Delete, Done), (Get, Shows(Some(1)))]);
    // It was seen by one, so that another cannot see what was before.
    let seen_and_lost =
        [event(10, 90, Put(1), Done), event(20, 30, Get, Shows(Some(1))), event(40, 50, Get, Shows(None))];
    assert!(!is_linearizable(PLAIN, &seen_and_lost));
    // The other way round is well.
    let seen = [event(10, 90, Put(1), Done), event(20, 30, Get, Shows(None)), event(40, 50, Get, Shows(Some(1)))];
    assert!(is_linearizable(PLAIN, &seen));
}

#[test]
fn what_nobody_wrote_and_what_two_won_is_rejected() {
    rejects(PLAIN, &[(Put(1), Done), (Get, Shows(Some(2)))]);
    let race = |second: Answer| [event(10, 50, PutIfAbsent(1), Done), event(20, 60, PutIfAbsent(2), second)];
    assert!(is_linearizable(PLAIN, &race(Refused)));
    assert!(!is_linearizable(PLAIN, &race(Done)));
    rejects(PLAIN, &[(Put(1), Done), (PutOver(1, 2), Done), (PutOver(1, 3), Done)]);
    rejects(PLAIN, &[(PutIfAbsent(1), Refused)]);
    rejects(PLAIN, &[(Remove, Done)]);
}

#[test]
fn a_version_lost_or_out_of_order_is_rejected() {
    let puts = |list: Vec<Option<u32>>| in_turn(&[(Put(1), Done), (Put(2), Done), (List, Lists(list))]);
    assert!(is_linearizable(VERSIONED, &puts(vec![Some(2), Some(1)])));
    for wrong in [vec![Some(2)], vec![Some(1), Some(2)], vec![Some(2), None, Some(1)], vec![Some(2), Some(1), Some(1)]]
    {
        assert!(!is_linearizable(VERSIONED, &puts(wrong)));
    }
    // At once, either order is well, but not one to each of two who look.
    let both = |first: [u32; 2], second: [u32; 2]| {
        let list = |two: [u32; 2]| Lists(two.map(Some).to_vec());
        let puts = [event(10, 30, Put(1), Done), event(20, 40, Put(2), Done)];
        [puts.to_vec(), vec![event(50, 70, List, list(first)), event(60, 80, List, list(second))]].concat()
    };
    assert!(is_linearizable(VERSIONED, &both([1, 2], [1, 2])));
    assert!(is_linearizable(VERSIONED, &both([2, 1], [2, 1])));
    assert!(!is_linearizable(VERSIONED, &both([1, 2], [2, 1])));
}

#[test]
fn what_nobody_was_told_of_happened_once_or_not_at_all() {
    let with = |reads: &[Option<u32>]| {
        let gets = reads.iter().zip(1..).map(|(value, n)| event(10 * n, 10 * n + 5, Get, Shows(*value)));
        let unknown = event(5, 0, Put(1), Unknown);
        let known = [event(1, 2, Put(7), Done), unknown];
        known.into_iter().chain(gets).collect::<Vec<_>>()
    };
    assert!(is_linearizable(PLAIN, &with(&[Some(7), Some(7)])));
    assert!(is_linearizable(PLAIN, &with(&[Some(7), Some(1)])));
    assert!(!is_linearizable(PLAIN, &with(&[Some(1), Some(7)])));
    // It ended before, so that it cannot happen any more.
    rejects(PLAIN, &[(Put(7), Done), (Put(1), Unknown), (Get, Shows(Some(7))), (Get, Shows(Some(1)))]);
}

#[test]
fn a_crash_takes_only_what_was_not_durable() {
    let crash = (Crash, Done);
    takes(CRASHING, &[(Put(1), Done), crash.clone(), (Get, Shows(None))]);
    takes(CRASHING, &[(Put(1), Done), crash.clone(), (Get, Shows(Some(1)))]);
    takes(CRASHING, &[(Put(1), Done), (Sync, Done), (Put(2), Done), crash.clone(), (Get, Shows(Some(1)))]);
    takes(CRASHING, &[(Put(1), Done), (Sync, Unknown), crash.clone(), (Get, Shows(None))]);
    rejects(CRASHING, &[(Put(1), Done), (Sync, Done), crash.clone(), (Get, Shows(None))]);
    rejects(CRASHING, &[(Put(1), Done), (Put(2), Done), (Sync, Done), crash.clone(), (Get, Shows(Some(1)))]);
    // What was lost does not come back, and what was there after one crash is there after the next.
    rejects(CRASHING, &[(Put(1), Done), crash.clone(), (Get, Shows(None)), (Get, Shows(Some(1)))]);
    rejects(CRASHING, &[(Put(1), Done), crash.clone(), (Get, Shows(Some(1))), crash, (Get, Shows(None))]);
    // What was under way may have happened before the crash, and not after it.
    let during = |shows: Option<u32>, then: Option<u32>| {
        let read = [event(50, 55, Get, Shows(shows)), event(60, 65, Get, Shows(then))];
        [vec![event(10, 35, Put(1), Unknown), event(30, 40, Crash, Done)], read.to_vec()].concat()
    };
    assert!(is_linearizable(CRASHING, &during(Some(1), Some(1))));
    assert!(is_linearizable(CRASHING, &during(None, None)));
    assert!(!is_linearizable(CRASHING, &during(None, Some(1))));
}

/// Tries every order.
fn by_brute_force(model: Key, state: &State, left: &[&Event<Call>]) -> bool {
    left.iter().enumerate().any(|(at, event)| {
        let rest: Vec<_> = left.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, event)| *event).collect();
        let may_be_next = rest.iter().all(|other| other.to.is_none_or(|to| event.from <= to));
        may_be_next && model.step(state, &event.call).iter().any(|next| by_brute_force(model, next, &rest))
    }) || left.iter().all(|event| event.to.is_none())
}

fn any_event() -> impl Strategy<Value = Event<Call>> {
    let value = 0..3u32;
    let call = prop_oneof![
        value.clone().prop_map(|value| (Put(value), Done)),
        value.clone().prop_map(|value| (Put(value), Unknown)),
        (value.clone(), any::<bool>()).prop_map(|(value, won)| (PutIfAbsent(value), if won { Done } else { Refused })),
        (value.clone(), value.clone()).prop_map(|(known, value)| (PutOver(known, value), Done)),
        Just((Delete, Done)),
        Just((Remove, Done)),
        Just((Sync, Done)),
        Just((Crash, Done)),
        prop::option::of(value.clone()).prop_map(|value| (Get, Shows(value))),
        prop::option::of(value.clone()).prop_map(|value| (Get, Shows(value))),
        prop::collection::vec(prop::option::of(value), 0..3).prop_map(|list| (List, Lists(list))),
    ];
    (call, 1..12u64, 0..8u64, 0..10u8).prop_map(|((op, answer), from, long, ends)| {
        let endless = ends == 0 && answer == Unknown;
        event(from, if endless { 0 } else { from + long }, op, answer)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_search_finds_what_trying_every_order_finds(
        history in prop::collection::vec(any_event(), 1..7),
        versioned in any::<bool>(),
        crashes in any::<bool>(),
    ) {
        let model = Key { versioned, crashes };
        let all: Vec<_> = history.iter().collect();
        let expected = by_brute_force(model, &State::of(vec![]), &all);
        prop_assert_eq!(is_linearizable(model, &history), expected);
    }
}
