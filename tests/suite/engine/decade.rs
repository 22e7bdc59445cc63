//! Ten years of a store, day by day, beside a model: random writes and deletes, lifecycle rules, locks, restores, power cuts.
//!
//! The model knows the rules from their words alone and decides by looking at everything each day. Every day the store
//! must have what the model has; whatever was locked is read until its lock is over; and each day of the past shows what the
//! versions and markers that are left say of it.

mod model;
mod rules;

use self::model::{Entry, Model};
use self::rules::{DAY, Rule};
use super::harness::{B, Home, fsck, key, make_bucket};
use crate::long;
use keyfold::model::{
    BucketLock, DefaultRetention, DirId, Kind, Leave, ObjectLock, Period, Result, Retention, RetentionMode,
    StorageClass, TagSet, Timestamp, VersionId, Versioning,
};
use keyfold::store::{
    AsOf, Condition, DeleteOne, Document, Entry as Shown, LifecycleTurn, ListVersions, Locked, PutOptions, RestoreWish,
    Store,
};
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::BTreeMap;
use std::sync::Arc;

const KEYS: [&str; 6] = ["a", "b", "logs/a", "logs/b", "logs/old/c", "z/y"];
const COLORS: [&str; 2] = ["red", "blue"];
const CLASSES: [StorageClass; 4] =
    [StorageClass::Standard, StorageClass::StandardIa, StorageClass::Glacier, StorageClass::DeepArchive];

/// What a seed decides.
pub struct Random(TestRng);

impl Random {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What an entry is, as far as both sides tell it.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    key: String,
    marker: bool,
    null: bool,
    size: u64,
    created: Timestamp,
    class: StorageClass,
    lock: ObjectLock,
    expires: Option<Timestamp>,
}

impl Seen {
    fn line(&self) -> String {
        let kind = if self.marker { "marker" } else { "version" };
        let (null, lock) = (if self.null { " null" } else { "" }, &self.lock);
        let Self { size, created, class, expires, .. } = self;
        format!("  {kind}{null} {created} {size} {} {lock:?} {expires:?}\n", class.name())
    }
}

struct Decade {
    home: Home,
    store: Arc<Store>,
    model: Model,
    random: Random,
    refused: u64,
    done: u64,
}

impl Decade {
    fn new(seed: u64, locked: bool) -> Self {
        let home = Home::simulated();
        let store = home.open();
        make_bucket(&store, B);
        let mut model = Model::default();
        if locked {
            store.set_versioning(B, Versioning::Enabled).unwrap();
            store.set_bucket_lock(B, BucketLock::default()).unwrap();
            model.versioning = Versioning::Enabled;
            model.locks = true;
        }
        let random = Random::new(seed);
        Self { home, store, model, random, refused: 0, done: 0 }
    }

    fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// The store refuses what the model does, and does what the model allows.
    #[track_caller]
    fn both<T>(&mut self, done: Result<T>, allowed: bool) -> Option<T> {
        match (done, allowed) {
            (Ok(done), true) => {
                self.done += 1;
                Some(done)
            }
            (Err(error), false) => {
                assert!(matches!(error.kind(), Kind::Locked | Kind::Archived | Kind::InvalidState), "{error:?}");
                self.refused += 1;
                None
            }
            (Ok(_), false) => panic!("it was allowed at {}", self.now()),
            (Err(error), true) => panic!("it was refused at {}: {error}", self.now()),
        }
    }

    fn put(&mut self) {
        let name = self.random.one_of(&KEYS);
        let class = if self.random.below(3) == 0 { self.random.one_of(&CLASSES) } else { StorageClass::Standard };
        let color = (self.random.below(2) == 0).then(|| self.random.one_of(&COLORS));
        let mut tags = TagSet::new();
        if let Some(color) = color {
            tags.set("color", color).unwrap();
        }
        let said = if self.model.locks && self.random.below(4) == 0 {
            ObjectLock { retention: Some(self.retention()), hold: None }
        } else {
            ObjectLock::NONE
        };
        let (fill, len) = (self.random.below(256) as u8, 1 + self.random.below(300) as usize);
        let body = vec![fill; len];
        let options = PutOptions { class, tags, lock: said, ..PutOptions::default() };
        let object = self.store.put(B, &key(name), &mut &body[..], &options).unwrap();
        self.done += 1;
        let retention = said.retention.or(self.model.default.map(|default| default.from(self.now())));
        self.model.add(
            name,
            Entry {
                id: object.version,
                marker: false,
                size: len as u64,
                fill,
                created: self.now(),
                since: self.now(),
                superseded: None,
                color,
                class,
                lock: ObjectLock { retention, hold: None },
                restored: None,
            },
        );
    }

    fn retention(&mut self) -> Retention {
        let mode = if self.random.below(2) == 0 { RetentionMode::Governance } else { RetentionMode::Compliance };
        let secs = self.now().secs + 1 + self.random.below(200 * DAY as u64) as i64;
        Retention { mode, until: Timestamp::new(secs, 0) }
    }

    fn delete(&mut self) {
        let name = self.random.one_of(&KEYS);
        super::harness::delete(&self.store, name);
        self.model.mark(name, self.now());
    }

    /// Any version or marker there is.
    fn any(&mut self) -> Option<(String, Entry)> {
        let all: Vec<_> = self.model.entries().map(|(key, entry)| (key.clone(), entry.clone())).collect();
        (!all.is_empty()).then(|| all[self.random.below(all.len() as u64) as usize].clone())
    }

    fn purge(&mut self) {
        let Some((name, entry)) = self.any() else { return };
        let Some(id) = self.id_of(&name, &entry) else { return };
        let leave = Leave { governance: self.random.below(3) == 0, ..Leave::default() };
        let one = DeleteOne { key: key(&name), version: Some(id), condition: Condition::Always, leave };
        let done = self.store.delete_with(B, &one);
        let allowed = entry.may_end(self.now(), leave.governance);
        if self.both(done, allowed).is_some() {
            self.model.remove(&name, &entry);
        }
    }

    /// The id in the store of an entry of the model's, which does not know those of markers.
    fn id_of(&self, name: &str, entry: &Entry) -> Option<VersionId> {
        if !entry.marker {
            return Some(entry.id);
        }
        let stack = self.model.stack(name);
        let place = stack.iter().position(|other| other == entry)?;
        super::harness::versions(&self.store, name).get(place).map(|object| object.version)
    }

    fn lock(&mut self) {
        let Some((name, entry)) = self.any().filter(|(_, entry)| self.model.locks && !entry.marker) else { return };
        let (of, now) = (key(&name), self.now());
        let of = Locked::key(B, &of, Some(entry.id));
        if self.random.below(3) == 0 {
            let on = self.random.below(3) == 0;
            self.store.set_legal_hold(&of, Some(on)).unwrap();
            self.model.change(&name, &entry, |entry| entry.lock.hold = Some(on));
            return;
        }
        let new = (self.random.below(6) > 0).then(|| self.retention());
        let leave = Leave { governance: self.random.below(3) == 0, ..Leave::default() };
        let done = self.store.set_retention(&of, new, leave);
        if self.both(done, entry.may_become(new, now, leave.governance)).is_some() {
            self.model.change(&name, &entry, |entry| entry.lock.retention = new);
        }
    }

    fn restore(&mut self) {
        let Some((name, entry)) = self.any().filter(|(_, entry)| entry.is_archive()) else { return };
        let days = 1 + self.random.below(30) as u32;
        let (dirs, component) = self.store.history_place(B, &key(&name)).unwrap();
        let wish = RestoreWish { days: Some(days), ..RestoreWish::default() };
        let done = dirs.iter().find_map(|dir| {
            match self.store.request_restore((*dir, &component), Some((entry.id, None)), wish) {
                Err(error) if matches!(error.kind(), Kind::NoSuchKey | Kind::NoSuchVersion) => None,
                done => Some(done),
            }
        });
        done.unwrap().unwrap();
        // RST-6: whole days after the next midnight.
        let expires = Timestamp::new((self.now().secs / DAY + i64::from(days) + 1) * DAY, 0);
        self.model.change(&name, &entry, |entry| entry.restored = Some(expires));
    }

    fn rules(&mut self) {
        let rules: Vec<Rule> = (0..=self.random.below(4)).map(|_| Rule::any(&mut self.random)).collect();
        let text = rules::document(&rules);
        let bucket = self.store.bucket(B).unwrap();
        Document::named("lifecycle").unwrap().replace(&self.store, &bucket, text.as_bytes()).unwrap();
        self.model.rules = rules;
        self.obey();
    }

    fn setting(&mut self) {
        let bucket = if self.random.below(2) == 0 { Versioning::Enabled } else { Versioning::Suspended };
        if !self.model.locks {
            // Rules obey it from the next midnight on.
            self.store.set_versioning(B, bucket).unwrap();
            self.model.versioning = bucket;
            return;
        }
        let done = self.store.set_versioning(B, Versioning::Suspended);
        self.both(done, false);
        let default = (self.random.below(2) == 0).then(|| DefaultRetention {
            mode: self.retention().mode,
            period: Period::Days(1 + self.random.below(40) as u32),
        });
        self.store.set_bucket_lock(B, BucketLock { default }).unwrap();
        self.model.default = default;
    }

    /// Has both do what is due.
    fn obey(&mut self) {
        let budget = 1 + self.random.below(20);
        while self.store.lifecycle_turn().unwrap() == LifecycleTurn::Due {
            self.store.obey_in_background(budget).unwrap();
            if self.random.below(500) == 0 {
                self.lose_power();
            }
        }
        while self.store.pass_time().unwrap().is_some_and(|due| due <= self.now()) {}
        self.model.obey(self.now());
    }

    /// What was acknowledged is there afterwards, and what a pass had not come to is done by the next.
    fn lose_power(&mut self) {
        self.store.sync().unwrap();
        self.home.forget();
        self.home.lose_power(self.random.below(u64::MAX));
        self.store = self.home.open();
    }

    fn act(&mut self) {
        match self.random.below(100) {
            0..=34 => self.put(),
            35..=54 => self.delete(),
            55..=67 => self.purge(),
            68..=80 => self.lock(),
            81..=89 => self.restore(),
            90..=95 => self.read(),
            96..=97 => self.rules(),
            _ => self.setting(),
        }
    }

    /// Bytes are read unless they are archived, and are what was put.
    fn read(&mut self) {
        let Some((name, entry)) = self.any().filter(|(_, entry)| !entry.marker) else { return };
        let object = self.store.get(B, &key(&name), Some(entry.id)).unwrap();
        let read = super::harness::read(&self.store, &object);
        if let Some(bytes) = self.both(read, entry.is_readable(self.now())) {
            assert_eq!(bytes, entry.body(), "{name} {}", entry.id);
        }
    }

    #[track_caller]
    fn compare(&self) {
        let now = self.now();
        let request = ListVersions { limit: 1_000_000, ..ListVersions::default() };
        let page = self.store.list_versions(B, &request).unwrap();
        let there = page.versions.into_iter().map(|entry| {
            let object = entry.object;
            Seen {
                key: entry.key,
                marker: object.marker,
                null: object.version == VersionId::Null,
                size: object.size,
                created: object.modified,
                class: object.class,
                lock: object.lock,
                expires: object.aging.restore.and_then(|restore| restore.expires).filter(|expires| now < *expires),
            }
        });
        let told = self.model.entries().map(|(key, entry)| Seen {
            key: key.clone(),
            marker: entry.marker,
            null: entry.is_null(),
            size: entry.size,
            created: entry.created,
            class: entry.class,
            lock: entry.lock,
            expires: entry.restored.filter(|expires| now < *expires),
        });
        let (there, told): (Vec<_>, Vec<_>) = (there.collect(), told.collect());
        if there != told {
            let at = there.iter().zip(&told).position(|(one, other)| one != other);
            let key = at.map_or("the end", |at| told[at].key.as_str());
            let stack = |all: &[Seen]| all.iter().filter(|seen| seen.key == key).map(Seen::line).collect::<String>();
            panic!(
                "at {now}, of {key}, the store has\n{}the model\n{}rules: {}",
                stack(&there),
                stack(&told),
                rules::document(&self.model.rules)
            );
        }
    }

    /// A day of the past is what the intervals of versions and markers that are left make it.
    fn compare_past(&mut self, begin: Timestamp) {
        let span = (self.now().secs - begin.secs).max(1) as u64;
        let at = Timestamp::new(begin.secs + self.random.below(span) as i64, 0);
        let past = self.store.as_of(at);
        let mut there = BTreeMap::new();
        walk(&past, self.store.bucket(B).unwrap().root, "", &mut there);
        let told: BTreeMap<_, _> = self
            .model
            .entries()
            .filter(|(_, entry)| !entry.marker && entry.since <= at && entry.superseded.is_none_or(|end| at < end))
            .map(|(key, entry)| (key.clone(), entry.id))
            .collect();
        assert_eq!(there, told, "as of {at}, at {}", self.now());
    }

    fn read_all_locked(&self) {
        let now = self.now();
        for (name, entry) in self.model.entries().filter(|(_, entry)| !entry.marker && !entry.may_end(now, false)) {
            let object = self.store.get(B, &key(name), Some(entry.id)).unwrap();
            if entry.is_readable(now) {
                assert_eq!(super::harness::read(&self.store, &object).unwrap(), entry.body());
            }
        }
    }

    fn live(mut self, days: i64) -> Self {
        let begin = self.now();
        for day in 0..days {
            let mut rest = DAY - self.now().secs.rem_euclid(DAY);
            for _ in 0..self.random.below(4) {
                let step = self.random.below(rest as u64 / 4) as i64;
                self.home.clock.advance_millis(step * 1000 + 1);
                rest = DAY - self.now().secs.rem_euclid(DAY);
                self.act();
            }
            self.home.clock.advance_millis(rest * 1000 - self.now().millis().rem_euclid(1000));
            self.obey();
            self.compare();
            if day % 7 == 0 {
                self.compare_past(begin);
                self.read_all_locked();
            }
            if day % 365 == 364 {
                self.store.sync().unwrap();
                super::harness::reap(&self.store);
                fsck(&self.store);
            }
        }
        self
    }
}

/// What a directory showed, by keys.
fn walk(past: &AsOf, dir: DirId, prefix: &str, out: &mut BTreeMap<String, VersionId>) {
    for (name, entry) in past.entries(dir, None, 1000).unwrap() {
        match entry {
            Shown::File(file) => drop(out.insert(format!("{prefix}{name}"), file.object.version)),
            Shown::Dir(below) => walk(past, below.id, &format!("{prefix}{name}"), out),
        }
    }
}

fn lives(seeds: std::ops::Range<u64>, locked: bool, days: i64) {
    for seed in seeds {
        let lived = Decade::new(seed, locked).live(days);
        println!(
            "seed {seed}: {} done, {} refused, {} entries left",
            lived.done,
            lived.refused,
            lived.model.entries().count()
        );
        assert!(lived.done > days as u64 / 2);
    }
}

/// LC-7 to LC-9, LC-13, LC-17 to LC-23, LC-25, LC-26, LC-28, LOCK-3 to LOCK-9, LOCK-12 to LOCK-15, RST-6.
#[test]
fn ten_years_with_locks_are_as_the_model_says_every_day() {
    lives(0..if long() { 40 } else { 1 }, true, 3653);
}

#[test]
fn ten_years_of_changing_versioning_are_as_the_model_says_every_day() {
    lives(100..if long() { 140 } else { 101 }, false, 3653);
}
