//! What holds for any rules, any stack and any time.

use super::{NO_TAGS, at};
use crate::model::{StorageClass, Timestamp, Versioning};
use crate::store::lifecycle::{
    Action, BucketState, ExpirationElement, FilterElement, Lifecycle, LifecycleDocument, LifecycleRule, Lock,
    NoncurrentExpirationElement, NoncurrentTransitionElement, TransitionElement, Version, settle,
};
use proptest::prelude::*;

const DAY: i64 = 86_400;
/// Days for which calendars are compared.
const DAYS: i64 = 250;

fn start() -> Timestamp {
    at("2027-12-30T10:30:00Z")
}

fn class() -> impl Strategy<Value = StorageClass> {
    (1..StorageClass::ALL.len()).prop_map(|nth| StorageClass::ALL[nth])
}

/// One action each, so that all of them are valid.
fn one_rule() -> impl Strategy<Value = LifecycleRule> {
    let days = 1..120i32;
    let newer = prop::option::of(1..4i32);
    let date = (-50..200i64).prop_map(|day| Some(Timestamp::new(at("2028-01-01").secs + day * DAY, 0)));
    let moved = |class: StorageClass, days: i32| match class {
        StorageClass::StandardIa | StorageClass::OnezoneIa => days.max(30),
        _ => days,
    };
    let action = prop_oneof![
        2 => days.clone().prop_map(|days| LifecycleRule {
            expiration: Some(ExpirationElement { days: Some(days), ..Default::default() }), ..Default::default()
        }),
        1 => date.clone().prop_map(|date| LifecycleRule {
            expiration: Some(ExpirationElement { date, ..Default::default() }), ..Default::default()
        }),
        1 => Just(LifecycleRule {
            expiration: Some(ExpirationElement { expired_object_delete_marker: Some(true), ..Default::default() }),
            ..Default::default()
        }),
        4 => (days.clone(), class()).prop_map(move |(days, storage_class)| LifecycleRule {
            transitions: vec![TransitionElement { date: None, days: Some(moved(storage_class, days)), storage_class }],
            ..Default::default()
        }),
        1 => (date, class()).prop_map(|(date, storage_class)| LifecycleRule {
            transitions: vec![TransitionElement { date, days: None, storage_class }], ..Default::default()
        }),
        2 => (days.clone(), class(), newer.clone()).prop_map(move |(days, storage_class, newer)| LifecycleRule {
            noncurrent_version_transitions: vec![NoncurrentTransitionElement {
                noncurrent_days: moved(storage_class, days), storage_class, newer_noncurrent_versions: newer,
            }],
            ..Default::default()
        }),
        2 => (days, newer).prop_map(|(days, newer)| LifecycleRule {
            noncurrent_version_expiration: Some(NoncurrentExpirationElement {
                noncurrent_days: days, newer_noncurrent_versions: newer,
            }),
            ..Default::default()
        }),
    ];
    let prefix = prop_oneof![4 => Just(None), 1 => Just(Some("logs/")), 1 => Just(Some("other/"))];
    (action, prefix).prop_map(|(rule, prefix)| LifecycleRule {
        filter: Some(FilterElement { prefix: prefix.map(str::to_owned), ..Default::default() }),
        ..rule
    })
}

fn lifecycle() -> impl Strategy<Value = Lifecycle> {
    let minimum = prop_oneof![Just("all_storage_classes_128K"), Just("varies_by_storage_class")];
    (prop::collection::vec(one_rule(), 1..8), minimum).prop_map(|(rules, minimum)| {
        let rules = rules.into_iter().enumerate();
        let rules = rules.map(|(nth, rule)| LifecycleRule { id: Some(nth.to_string()), ..rule }).collect();
        let document = LifecycleDocument { transition_default_minimum_object_size: minimum.into(), rules };
        document.check().unwrap()
    })
}

fn lock() -> impl Strategy<Value = Lock> {
    let until = prop::option::of((-50..200 * DAY).prop_map(|secs| Timestamp::new(start().secs + secs, 7)));
    let hold = prop_oneof![4 => Just(false), 1 => Just(true)];
    prop_oneof![2 => Just(Lock::default()), 1 => (until, hold).prop_map(|(until, hold)| Lock { until, hold })]
}

/// A bucket, and a stack that can be in it, the newest first.
fn stack() -> impl Strategy<Value = (BucketState, Vec<Version<'static>>)> {
    let age = prop_oneof![1 => 0..3600i64, 2 => 0..100 * DAY];
    let class = prop_oneof![2 => Just(StorageClass::Standard), 1 => class()];
    let size = prop_oneof![1 => Just(5u64), 3 => Just(1 << 20)];
    let entry = (age, prop::bool::weighted(0.3), class, size, lock(), prop::bool::weighted(0.05));
    let states = prop_oneof![Just(Versioning::Unversioned), Just(Versioning::Enabled), Just(Versioning::Suspended)];
    (states, prop::collection::vec(entry, 1..6), 0..12usize).prop_map(|(versioning, mut entries, null)| {
        if versioning == Versioning::Unversioned {
            entries.truncate(1);
        }
        let (mut stack, mut written, mut superseded) = (vec![], start(), None);
        for (nth, (age, marker, class, size, lock, replicating)) in entries.into_iter().enumerate() {
            written = Timestamp::new(written.secs - age, 0);
            let marker = marker && versioning != Versioning::Unversioned;
            stack.push(Version {
                key: "logs/a",
                marker,
                null: versioning == Versioning::Unversioned || nth == null,
                size: if marker { 0 } else { size },
                tags: &NO_TAGS,
                class: if marker { StorageClass::Standard } else { class },
                created: written,
                written,
                superseded,
                newer: 0,
                alone: false,
                // LOCK-1
                lock: if versioning == Versioning::Enabled { lock } else { Lock::default() },
                linked: false,
                archived: None,
                replicating,
            });
            superseded = Some(written);
        }
        settle(stack.iter_mut());
        (BucketState { versioning, mfa_delete: false }, stack)
    })
}

/// A day at a time, with a stack of its own making: what a worker does that runs at every midnight.
fn day_by_day(
    rules: &Lifecycle,
    bucket: BucketState,
    stack: &[Version<'static>],
) -> Vec<(Timestamp, Option<usize>, Action)> {
    let mut there: Vec<(Option<usize>, Version<'static>)> =
        stack.iter().enumerate().map(|(nth, version)| (Some(nth), *version)).collect();
    let mut events = vec![];
    let midnight = |day: i64| Timestamp::new((start().secs.div_euclid(DAY) + day) * DAY, 0);
    for now in std::iter::once(start()).chain((1..=DAYS).map(midnight)) {
        loop {
            for place in 0..there.len() {
                let newer = there[..place].iter().filter(|(_, one)| one.superseded.is_some() && !one.marker).count();
                there[place].1.newer = newer as u64;
                there[place].1.alone = there.len() == 1;
            }
            let due: Vec<_> =
                there.iter().map(|(_, version)| rules.due(bucket, version, now).map(|due| due.action)).collect();
            if due.iter().all(Option::is_none) {
                break;
            }
            let mut left = vec![];
            let mut marked = false;
            for ((nth, mut version), action) in there.into_iter().zip(due) {
                events.extend(action.map(|action| (now, nth, action)));
                match action {
                    None => {}
                    Some(Action::Transition(class)) => version.class = class,
                    Some(Action::Mark) => {
                        marked = true;
                        version.superseded = Some(now);
                    }
                    Some(Action::Replace) => {
                        marked = true;
                        continue;
                    }
                    Some(Action::Delete | Action::Abort) => continue,
                }
                left.push((nth, version));
            }
            if marked {
                let null = bucket.versioning == Versioning::Suspended;
                let swallowed = left.iter().filter(|(_, version)| null && version.null);
                events.extend(swallowed.map(|(nth, _)| (now, *nth, Action::Replace)));
                left.retain(|(_, version)| !(null && version.null));
                let marker = Version {
                    marker: true,
                    null,
                    size: 0,
                    class: StorageClass::Standard,
                    created: now,
                    written: now,
                    superseded: None,
                    lock: Lock::default(),
                    replicating: false,
                    linked: false,
                    archived: None,
                    ..stack[0]
                };
                left.insert(0, (None, marker));
            }
            there = left;
        }
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_done_before_it_is_due(
        rules in lifecycle(), (bucket, stack) in stack(), after in -120 * DAY..DAYS * DAY, part in 0.0..1.0f64,
    ) {
        let now = Timestamp::new(start().secs + after, 0);
        for version in &stack {
            let due = rules.due(bucket, version, now);
            prop_assert!(due.is_none_or(|due| due.at <= now && version.written <= now));
            let next = rules.next(bucket, version, now);
            if due.is_some() {
                prop_assert_eq!(due, next);
            } else if let Some(next) = next {
                prop_assert!(next.at > now);
                let between = now.secs + ((next.at.secs - 1 - now.secs) as f64 * part) as i64;
                prop_assert_eq!(rules.due(bucket, version, Timestamp::new(between, 0)), None);
                let then = rules.due(bucket, version, next.at);
                prop_assert_eq!(then.map(|due| (due.action, due.rule)), Some((next.action, next.rule)));
            } else {
                prop_assert_eq!(rules.due(bucket, version, at("9999-01-01")), None);
            }
        }
    }

    #[test]
    fn lc_28_what_is_locked_is_never_deleted(rules in lifecycle(), (bucket, stack) in stack()) {
        for event in rules.calendar(bucket, &stack, start(), at("2040-01-01")) {
            if let (Action::Delete | Action::Replace, Some(entry)) = (event.due.action, event.entry) {
                let version = &stack[entry];
                prop_assert!(version.marker || !version.lock.protects(event.at));
            }
        }
    }

    #[test]
    fn lc_27_what_is_told_of_an_expiration_comes_true(rules in lifecycle(), (bucket, stack) in stack()) {
        let version = Version { replicating: false, alone: true, ..stack[0] };
        let told = rules.expiration(bucket, &version).filter(|due| due.at <= at("2040-01-01"));
        let events = rules.calendar(bucket, &[version], start(), at("2040-01-01"));
        let first = events.into_iter().find(|event| !matches!(event.due.action, Action::Transition(_)));
        prop_assert_eq!(first.map(|event| event.due), told);
    }

    #[test]
    fn lc_37_what_was_done_is_not_done_again(
        rules in lifecycle(), (bucket, stack) in stack(), after in 0..DAYS * DAY,
    ) {
        let now = Timestamp::new(start().secs + after, 0);
        for version in &stack {
            let mut version = *version;
            if let Some(Action::Transition(class)) = rules.due(bucket, &version, now).map(|due| due.action) {
                version.class = class;
                let again = rules.due(bucket, &version, now).map(|due| due.action);
                prop_assert!(!matches!(again, Some(Action::Transition(_))), "{class:?} {again:?}");
            }
        }
    }

    #[test]
    fn lc_27_the_late_come_to_the_same_class(
        rules in lifecycle(), (_, stack) in stack(), days in 0..DAYS,
    ) {
        // Of versions that are not deleted meanwhile.
        let bucket = BucketState { versioning: Versioning::Enabled, mfa_delete: false };
        let moved = |mut version: Version<'static>, now: Timestamp| {
            if let Some(Action::Transition(class)) = rules.due(bucket, &version, now).map(|due| due.action) {
                version.class = class;
            }
            version
        };
        let current = Version { superseded: None, marker: false, ..stack[0] };
        let midnight = |day: i64| Timestamp::new((current.created.secs.div_euclid(DAY) + day) * DAY, 0);
        let punctual = (1..=days).fold(current, |version, day| moved(version, midnight(day)));
        prop_assert_eq!(moved(current, midnight(days)).class, punctual.class);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_calendar_is_what_happens_day_by_day(rules in lifecycle(), (bucket, stack) in stack()) {
        let until = Timestamp::new((start().secs.div_euclid(DAY) + DAYS) * DAY, 0);
        let events = rules.calendar(bucket, &stack, start(), until);
        let events: Vec<_> = events.iter().map(|event| (event.at, event.entry, event.due.action)).collect();
        prop_assert_eq!(events, day_by_day(&rules, bucket, &stack));
    }
}
