//! Random buckets under random rules, day by day, beside a model that knows stacks and decisions alone.

use super::super::harness::{B, Home, all_versions, delete, fsck, make_bucket, put};
use super::{DAY, set};
use keyfold::model::{StorageClass, TagSet, Timestamp, VersionId, Versioning};
use keyfold::store::LifecycleTurn;
use keyfold::store::lifecycle::{Action, BucketState, Lifecycle, LifecycleDocument, Lock, Version, settle};
use proptest::prelude::*;
use std::collections::BTreeMap;

static NO_TAGS: TagSet = TagSet::new();

#[derive(Clone, Debug)]
enum Act {
    Put(usize),
    Delete(usize),
    Wait(i64),
    Versioning(bool),
    Rules(Vec<String>),
}

const KEYS: [&str; 5] = ["a", "logs/a", "logs/b/c", "logs/b/d", "z"];
const PREFIXES: [&str; 4] = ["", "logs/", "logs/b/", "a"];

fn rule() -> impl Strategy<Value = String> {
    let day = 1..5u32;
    let action = prop_oneof![
        day.clone().prop_map(|days| format!(r#""Expiration":{{"Days":{days}}}"#)),
        Just(r#""Expiration":{"ExpiredObjectDeleteMarker":true}"#.to_owned()),
        (0..20i64).prop_map(|day| {
            let date = Timestamp::new((1_700_000_000 / DAY + day) * DAY, 0);
            format!(r#""Expiration":{{"Date":"{}"}}"#, date.rfc3339())
        }),
        (day, 0..3u32).prop_map(|(days, newer)| {
            let newer = if newer == 0 { String::new() } else { format!(r#","NewerNoncurrentVersions":{newer}"#) };
            format!(r#""NoncurrentVersionExpiration":{{"NoncurrentDays":{days}{newer}}}"#)
        }),
    ];
    (0..PREFIXES.len(), action).prop_map(|(prefix, action)| {
        format!(r#""Status":"Enabled","Filter":{{"Prefix":"{}"}},{action}"#, PREFIXES[prefix])
    })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..KEYS.len()).prop_map(Act::Put),
        3 => (0..KEYS.len()).prop_map(Act::Delete),
        6 => (1..2 * DAY).prop_map(Act::Wait),
        1 => any::<bool>().prop_map(Act::Versioning),
        1 => prop::collection::vec(rule(), 1..4).prop_map(Act::Rules),
    ]
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    null: bool,
    marker: bool,
    size: u64,
    created: Timestamp,
    superseded: Option<Timestamp>,
}

/// Stacks, the newest first.
#[derive(Default)]
struct Model {
    versioning: Versioning,
    keys: BTreeMap<String, Vec<Entry>>,
    rules: Option<Lifecycle>,
}

impl Model {
    fn add(&mut self, key: &str, marker: bool, size: u64, now: Timestamp) {
        let null = self.versioning != Versioning::Enabled;
        let stack = self.keys.entry(key.to_owned()).or_default();
        // What covers a marker is not noted with it: it is told by what stands above.
        if let Some(top) = stack.first_mut().filter(|top| !top.marker) {
            top.superseded = Some(now);
        }
        if null {
            stack.retain(|entry| !entry.null);
        }
        if !marker || self.versioning != Versioning::Unversioned {
            stack.insert(0, Entry { null, marker, size, created: now, superseded: None });
        }
        self.keys.retain(|_, stack| !stack.is_empty());
    }

    /// Does what is due, round by round.
    fn obey(&mut self, now: Timestamp) {
        let Some(rules) = self.rules.clone() else { return };
        let state = BucketState { versioning: self.versioning, mfa_delete: false };
        for key in self.keys.keys().cloned().collect::<Vec<_>>() {
            while let Some(stack) = self.keys.get(&key) {
                let above = std::iter::once(None).chain(stack.iter().map(|entry| Some(entry.created)));
                let mut versions: Vec<_> =
                    stack.iter().zip(above).map(|(entry, above)| entry.version(&key, above)).collect();
                settle(versions.iter_mut());
                let due: Vec<_> = versions.iter().map(|version| rules.due(state, version, now)).collect();
                let due: Vec<_> = (0..).zip(due).filter_map(|(at, due)| Some((at, due?.action))).collect();
                if due.is_empty() {
                    break;
                }
                for (at, action) in due.into_iter().rev() {
                    match action {
                        Action::Delete => self.remove(&key, at),
                        Action::Mark | Action::Replace => self.add(&key, true, 0, now),
                        Action::Transition(_) | Action::Abort => unreachable!(),
                    }
                }
            }
        }
    }

    fn remove(&mut self, key: &str, at: usize) {
        if let Some(stack) = self.keys.get_mut(key) {
            stack.remove(at);
        }
        self.keys.retain(|_, stack| !stack.is_empty());
    }

    fn told(&self) -> Vec<(String, bool, bool, u64, Timestamp)> {
        let entries = self.keys.iter().flat_map(|(key, stack)| stack.iter().map(move |entry| (key, entry)));
        entries.map(|(key, one)| (key.clone(), one.marker, one.null, one.size, one.created)).collect()
    }
}

impl Entry {
    fn version<'a>(&self, key: &'a str, above: Option<Timestamp>) -> Version<'a> {
        Version {
            key,
            marker: self.marker,
            null: self.null,
            size: self.size,
            tags: &NO_TAGS,
            class: StorageClass::Standard,
            created: self.created,
            written: self.created,
            superseded: above.and(self.superseded.or(above)),
            newer: 0,
            alone: false,
            lock: Lock::default(),
            replicating: false,
            linked: false,
            archived: None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn lc_37_every_day_ends_as_the_model_says(
        first in prop::collection::vec(rule(), 1..4), acts in prop::collection::vec(act(), 1..60), budget in 1..40u64,
    ) {
        let home = Home::simulated();
        let store = home.open();
        make_bucket(&store, B);
        let mut model = Model::default();
        let mut size = 0;
        for act in std::iter::once(Act::Rules(first)).chain(acts).chain([Act::Wait(9 * DAY)]) {
            home.clock.advance_millis(7);
            let now = store.now();
            match act {
                Act::Put(key) => {
                    size += 1;
                    put(&store, KEYS[key], &vec![b'x'; size]);
                    model.add(KEYS[key], false, size as u64, now);
                }
                Act::Delete(key) => {
                    delete(&store, KEYS[key]);
                    model.add(KEYS[key], true, 0, now);
                }
                Act::Versioning(on) => {
                    let to = if on { Versioning::Enabled } else { Versioning::Suspended };
                    store.set_versioning(B, to).unwrap();
                    model.versioning = to;
                }
                Act::Rules(rules) => {
                    let rules: Vec<_> = rules.into_iter().map(|rule| format!("{{{rule}}}")).collect();
                    let list = format!("[{}]", rules.join(","));
                    set(&store, &list);
                    let document = LifecycleDocument::parse(format!(r#"{{"Rules":{list}}}"#).as_bytes()).unwrap();
                    model.rules = Some(document.check().unwrap());
                    model.obey(now);
                }
                Act::Wait(secs) => {
                    let end = now.secs + secs;
                    let mut midnight = (now.secs / DAY + 1) * DAY;
                    while midnight <= end {
                        home.clock.advance_millis((midnight - store.now().secs) * 1000);
                        obey(&store, budget);
                        model.obey(store.now());
                        midnight += DAY;
                    }
                    home.clock.advance_millis((end - store.now().secs).max(0) * 1000);
                }
            }
            obey(&store, budget);
            let there = all_versions(&store, B, 1000).into_iter().map(|entry| {
                let object = entry.object;
                (entry.key, object.marker, object.version == VersionId::Null, object.size, object.modified)
            });
            prop_assert_eq!(there.collect::<Vec<_>>(), model.told());
        }
        fsck(&store);
    }
}

fn obey(store: &keyfold::store::Store, budget: u64) {
    while store.lifecycle_turn().unwrap() == LifecycleTurn::Due {
        store.obey_in_background(budget).unwrap();
    }
}
