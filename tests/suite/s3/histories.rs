//! Histories of clients at both doors at once, recorded and checked: each key is as if they came in turn (GEN-1, READ-14).
//! `KEYFOLD_SEED=N` chooses what they do; who runs when is the machine's affair.

use super::acts::{Acts, bytes_of, sent};
use super::harness::{Client, mounted};
use crate::engine::histories::{body, value_of, whole};
use crate::linear::{Answer, Key, Op, Recorder};
use crate::mount::Program;
use crate::{long, seed};
use serde_json::json;
use std::io::ErrorKind;
use std::sync::atomic::AtomicU32;

const KEYS: [&str; 2] = ["a", "b"];
/// Clients at each door.
const CLIENTS: usize = 2;

/// A client of the endpoint; what is drawn and written down is as that of a program on the mount.
struct Remote<'a> {
    acts: Acts,
    program: Program<'a>,
    /// Tag and value of what it saw last.
    known: Option<(String, u32)>,
}

impl Remote<'_> {
    fn put(&mut self, name: &str, if_absent: bool) {
        let value = self.program.value();
        let op = if if_absent { Op::PutIfAbsent(value) } else { Op::Put(value) };
        let condition = if_absent.then_some("*");
        self.change(name, op, "put", json!({ "key": name, "body": sent(&body(value)), "if_none_match": condition }));
    }

    fn change(&mut self, name: &str, op: Op, act: &str, arguments: serde_json::Value) {
        let Self { acts, program, .. } = self;
        program.recorder.call(program.id, name, op, || match acts.ask(act, arguments) {
            Ok(_) => Answer::Done,
            Err(code) => {
                assert!(["PreconditionFailed", "NoSuchKey"].contains(&code.as_str()), "{code}");
                Answer::Refused
            }
        });
    }

    fn put_over(&mut self, name: &str) {
        let Some((tag, known)) = self.known.clone() else { return };
        let value = self.program.value();
        let put = json!({ "key": name, "body": sent(&body(value)), "if_match": tag });
        self.change(name, Op::PutOver(known, value), "put", put);
    }

    fn get(&mut self, name: &str) {
        let Self { acts, program, known } = self;
        program.recorder.call(program.id, name, Op::Get, || match acts.ask("get", json!({ "key": name })) {
            Ok(told) => {
                let value = whole(&bytes_of(&told["body"]));
                *known = Some((told["etag"].as_str().unwrap().to_owned(), value));
                Answer::Shows(Some(value))
            }
            Err(code) => {
                assert_eq!(code, "NoSuchKey");
                Answer::Shows(None)
            }
        });
    }

    fn step(&mut self) {
        let name = KEYS[self.program.below(2) as usize];
        match self.program.below(12) {
            0..3 => self.put(name, false),
            3 => self.put(name, true),
            4..6 => self.put_over(name),
            6 => self.change(name, Op::Delete, "delete", json!({ "key": name })),
            _ => self.get(name),
        }
    }
}

fn step(program: &mut Program<'_>) {
    let name = KEYS[program.below(2) as usize];
    match program.below(8) {
        0..2 => program.put(name, false).unwrap(),
        2 => program.put(name, true).unwrap(),
        3 => program.remove(name).unwrap(),
        _ => look(program, name),
    }
}

/// What a name shows, by its length: reading it may take more than one call.
fn look(program: &Program<'_>, name: &str) {
    program.recorder.call(program.id, name, Op::Get, || match std::fs::metadata(program.mounted.path(name)) {
        Ok(found) => Answer::Shows(Some(value_of(found.len()))),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            Answer::Shows(None)
        }
    });
}

fn history(versioned: bool, seed: u64, steps: u64) -> usize {
    let (mounted, client) = mounted();
    if versioned {
        xattr::set(mounted.path(""), "user.s3.versioning", b"Enabled").unwrap();
    }
    let (recorder, values) = (Recorder::new(), AtomicU32::new(1));
    let program = |id: usize| Program::new(id, &mounted, &recorder, &values, seed);
    let remote = |id: usize, client: &Client| Remote { acts: Acts::new(client), program: program(id), known: None };
    std::thread::scope(|scope| {
        for id in 0..CLIENTS {
            let (mut near, mut far) = (program(id), remote(CLIENTS + id, &client));
            scope.spawn(move || (0..steps).for_each(|_| far.step()));
            // The mount is quicker.
            scope.spawn(move || (0..4 * steps).for_each(|_| step(&mut near)));
        }
    });
    let mut last = remote(2 * CLIENTS, &client);
    for name in KEYS {
        last.get(name);
        look(&last.program, name);
        last.program.list(name);
    }
    drop(last);
    mounted.fsck();
    recorder.judge(Key { versioned, crashes: false })
}

#[test]
fn gen_1_keys_are_linearizable_through_both_doors() {
    let (rounds, steps) = if long() { (20, 300) } else { (1, 60) };
    let first = seed();
    for seed in first..first + rounds {
        let calls = history(false, seed, steps) + history(true, seed, steps);
        println!("{calls} calls in order, KEYFOLD_SEED={seed}");
    }
}
