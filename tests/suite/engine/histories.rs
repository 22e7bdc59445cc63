//! Histories of clients that work at once on few keys, recorded and checked: each key is as if they came in turn.
//!
//! `KEYFOLD_SEED=N` chooses what the clients do; who runs when is the machine's affair.

use super::harness::{B, Home, all_versions, fsck, key, make_bucket, pattern, put_if, read};
use crate::linear::{Answer, Key, Op, Recorder, Value};
use crate::{long, seed};
use keyfold::model::{ETag, Kind, Versioning};
use keyfold::store::{Condition, CopyOptions, Store, again};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const KEYS: [&str; 3] = ["a", "b", "d/c"];
const CLIENTS: usize = 5;
/// What is added to a body's length so that it does not lie in the index.
const LARGE: usize = 40_000;

/// The bytes of a value, told by their length; every other one lies outside the index.
pub fn body(value: Value) -> Vec<u8> {
    assert!((value as usize) < LARGE, "a shorter history, please");
    let len = value as usize + if value.is_multiple_of(2) { LARGE } else { 0 };
    pattern(len, u64::from(value))
}

/// The value of an object of this length.
pub fn value_of(len: u64) -> Value {
    let len = Value::try_from(len).unwrap();
    len.checked_sub(LARGE as Value).unwrap_or(len)
}

/// The value of a body, every byte of it.
#[track_caller]
pub fn whole(bytes: &[u8]) -> Value {
    let value = value_of(bytes.len() as u64);
    assert!(bytes == body(value), "the bytes are not those of value {value}");
    value
}

struct Client<'a> {
    id: usize,
    store: &'a Arc<Store>,
    recorder: &'a Recorder,
    values: &'a AtomicU32,
    chance: u64,
    /// The tag of what it saw last.
    known: Option<(ETag, Value)>,
}

impl Client<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.chance >> 33) % bound
    }

    fn put(&self, name: &str, op: Op, value: Value, condition: Condition) {
        self.recorder.call(self.id, name, op, || match put_if(self.store, name, &body(value), condition) {
            Ok(_) => Answer::Done,
            Err(error) => {
                assert!(matches!(error.kind(), Kind::PreconditionFailed | Kind::NoSuchKey), "{error}");
                Answer::Refused
            }
        });
    }

    fn get(&mut self, name: &str) {
        let is_replaced = |error: &keyfold::model::Error| error.kind() == Kind::NoSuchVersion;
        let look = || {
            let object = self.store.get(B, &key(name), None)?;
            Ok((object.etag, whole(&read(self.store, &object)?)))
        };
        let mut known = self.known;
        self.recorder.call(self.id, name, Op::Get, || match again(look, is_replaced) {
            Ok(found) => {
                known = Some(found);
                Answer::Shows(Some(found.1))
            }
            Err(error) => {
                assert_eq!(error.kind(), Kind::NoSuchKey, "{error}");
                Answer::Shows(None)
            }
        });
        self.known = known;
    }

    fn copy(&self, from: &str, to: &str) {
        let begun = self.recorder.now();
        let Ok(object) = self.store.get(B, &key(from), None) else { return };
        let value = value_of(object.size);
        self.recorder.note(self.id, from, Op::Get, Answer::Shows(Some(value)), begun, self.recorder.now());
        let begun = self.recorder.now();
        match self.store.copy(&object, B, &key(to), &CopyOptions::default()) {
            Ok(_) => self.recorder.note(self.id, to, Op::Put(value), Answer::Done, begun, self.recorder.now()),
            Err(error) => assert_eq!(error.kind(), Kind::NoSuchVersion, "{error}"),
        }
    }

    fn list(&self, name: &str) {
        self.recorder.call(self.id, name, Op::List, || {
            let mut found = all_versions(self.store, B, 1000);
            found.retain(|entry| entry.key == name);
            let value = |object: &keyfold::model::Object| (!object.marker).then(|| value_of(object.size));
            Answer::Lists(found.iter().map(|entry| value(&entry.object)).collect())
        });
    }

    fn step(&mut self) {
        let name = KEYS[self.below(KEYS.len() as u64) as usize];
        let other = KEYS[self.below(KEYS.len() as u64) as usize];
        let value = self.values.fetch_add(1, Ordering::Relaxed);
        match (self.below(16), self.known) {
            (0..4, _) => self.put(name, Op::Put(value), value, Condition::Always),
            (4..6, _) => self.put(name, Op::PutIfAbsent(value), value, Condition::Absent),
            (6..8, Some((tag, known))) => self.put(name, Op::PutOver(known, value), value, Condition::Matches(tag)),
            (8, _) => {
                self.recorder.call(self.id, name, Op::Delete, || {
                    self.store.delete(B, &key(name), None, Condition::Always).unwrap();
                    Answer::Done
                });
            }
            (9, _) => self.copy(name, other),
            (10, _) => self.list(name),
            _ => self.get(name),
        }
    }
}

/// One store, all clients, and beside them what frees, moves and makes durable. Returns the calls judged.
fn history(versioning: Versioning, seed: u64) -> usize {
    let home = Home::new();
    let store = home.open();
    make_bucket(&store, B);
    if versioning == Versioning::Enabled {
        store.set_versioning(B, versioning).unwrap();
    }
    let (recorder, values, done) = (Recorder::new(), AtomicU32::new(1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.reap().unwrap();
                store.compact(&mut |_| true).unwrap();
                store.sync().unwrap();
                std::thread::yield_now();
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|id| {
                let chance = (seed << 8 | id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let (store, recorder, values) = (&store, &recorder, &values);
                scope.spawn(move || {
                    let mut client = Client { id, store, recorder, values, chance, known: None };
                    (0..60).for_each(|_| client.step());
                })
            })
            .collect();
        let ends: Vec<_> = clients.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        ends.into_iter().for_each(Result::unwrap);
    });
    // What is there in the end is part of the history.
    let mut last = Client { id: CLIENTS, store: &store, recorder: &recorder, values: &values, chance: 0, known: None };
    for name in KEYS {
        last.get(name);
        last.list(name);
    }
    fsck(&store);
    recorder.judge(Key { versioned: versioning == Versioning::Enabled, crashes: false })
}

fn histories(versioning: Versioning) {
    let count = if long() { 400 } else { 8 };
    let first = seed();
    let calls: usize = (first..first + count).map(|seed| history(versioning, seed)).sum();
    println!("{versioning:?}: {count} histories, {calls} calls in order, KEYFOLD_SEED={first}");
}

#[test]
fn a_key_without_versions_is_linearizable() {
    histories(Versioning::Unversioned);
}

#[test]
fn a_key_with_versions_is_linearizable() {
    histories(Versioning::Enabled);
}
