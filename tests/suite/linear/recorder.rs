//! Writing down what clients ask and are told, key by key.

use super::checker::{Event, check};
use super::key::{Answer, Call, Growing, Key, Op, State};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// By the name of their key.
type Histories = BTreeMap<String, Vec<Event<Call>>>;

/// Shared by all clients of a history. Moments are those of a clock that never goes back.
pub struct Recorder {
    now: Box<dyn Fn() -> u64 + Send + Sync>,
    keys: Mutex<Histories>,
}

impl Recorder {
    /// By the machine's monotonic clock, in nanoseconds.
    pub fn new() -> Self {
        let begin = Instant::now();
        Self::by(move || u64::try_from(begin.elapsed().as_nanos()).unwrap())
    }

    pub fn by(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { now: Box::new(now), keys: Mutex::default() }
    }

    pub fn now(&self) -> u64 {
        (self.now)()
    }

    /// Does a call and writes it down.
    pub fn call(&self, client: usize, key: &str, op: Op, body: impl FnOnce() -> Answer) -> Answer {
        let from = self.now();
        let answer = body();
        self.note(client, key, op, answer.clone(), from, self.now());
        answer
    }

    /// Writes down what was done.
    pub fn note(&self, client: usize, key: &str, op: Op, answer: Answer, from: u64, to: u64) {
        let event = Event { client, call: Call { op, answer }, from, to: Some(to) };
        self.keys.lock().unwrap().entry(key.to_owned()).or_default().push(event);
    }

    /// Writes down for every key what concerns all.
    pub fn note_all(&self, client: usize, op: Op, answer: &Answer, from: u64, to: u64) {
        let event = Event { client, call: Call { op, answer: answer.clone() }, from, to: Some(to) };
        self.keys.lock().unwrap().values_mut().for_each(|events| events.push(event.clone()));
    }

    /// Fails unless each key's history could be that of one client after another. Returns how many calls that were.
    #[track_caller]
    pub fn judge(self, key_model: Key) -> usize {
        let mut calls = 0;
        for (key, events) in self.keys.into_inner().unwrap() {
            let model = Growing::of(key_model, events.iter().map(|event| &event.call));
            if let Err(why) = check(&model, State::of(Vec::new()), &events) {
                panic!("the history of {key} has no order: {why}");
            }
            calls += events.len();
        }
        calls
    }
}
