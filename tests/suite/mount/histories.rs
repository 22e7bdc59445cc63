//! Histories of programs that work at once on few files of a mount, and of `keyfold` beside them, recorded and checked:
//! each name is as if they came in turn. Also over a process that is killed, which may take what was not synced.
//!
//! Files are replaced by rename, so that a change is one moment. `KEYFOLD_SEED=N` chooses what the programs do.

use super::{Mounted, long};
use crate::engine::histories::{body, value_of, whole};
use crate::linear::{Answer, Key, Op, Recorder, Value};
use crate::seed;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const PROGRAMS: usize = 3;

/// A program on the mount.
pub struct Program<'a> {
    pub id: usize,
    pub mounted: &'a Mounted,
    pub recorder: &'a Recorder,
    values: &'a AtomicU32,
    chance: u64,
}

/// What became of a change: `refusal` is the one error that says that nothing was done.
fn outcome(done: &io::Result<()>, refusal: ErrorKind) -> Answer {
    match done {
        Ok(()) => Answer::Done,
        Err(error) if error.kind() == refusal => Answer::Refused,
        Err(_) => Answer::Unknown,
    }
}

impl<'a> Program<'a> {
    pub fn new(id: usize, mounted: &'a Mounted, recorder: &'a Recorder, values: &'a AtomicU32, seed: u64) -> Self {
        let chance = (seed << 8 | id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { id, mounted, recorder, values, chance }
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.chance >> 33) % bound
    }

    /// A value that nobody had before.
    pub fn value(&self) -> Value {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        self.recorder.now()
    }

    /// Writes down a change; an error goes on to the caller.
    fn change(
        &self,
        name: &str,
        op: Op,
        refusal: ErrorKind,
        change: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let begun = self.now();
        let done = change(&self.mounted.path(name));
        let answer = outcome(&done, refusal);
        self.recorder.note(self.id, name, op, answer.clone(), begun, self.now());
        if answer == Answer::Unknown { done } else { Ok(()) }
    }

    pub fn put(&mut self, name: &str, if_absent: bool) -> io::Result<()> {
        let value = self.value();
        let aside = self.mounted.path(&format!("new-{value}"));
        fs::write(&aside, body(value))?;
        if if_absent {
            let rename = |to: &Path| Ok(renameat2(AT_FDCWD, &aside, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)?);
            return self.change(name, Op::PutIfAbsent(value), ErrorKind::AlreadyExists, rename);
        }
        self.change(name, Op::Put(value), ErrorKind::Other, |to| fs::rename(&aside, to))
    }

    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.change(name, Op::Remove, ErrorKind::NotFound, |path| fs::remove_file(path))
    }

    fn get(&self, name: &str) -> io::Result<()> {
        let begun = self.now();
        let shown = match fs::read(self.mounted.path(name)) {
            Ok(bytes) => Some(whole(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        self.recorder.note(self.id, name, Op::Get, Answer::Shows(shown), begun, self.now());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let begun = self.now();
        let done = File::open(self.mounted.path("")).and_then(|dir| dir.sync_all());
        let answer = if done.is_ok() { Answer::Done } else { Answer::Unknown };
        self.recorder.note_all(self.id, Op::Sync, &answer, begun, self.now());
        done
    }

    /// All versions and their ids, as another process is told through the control socket.
    pub fn list(&self, name: &str) -> Vec<(Value, String)> {
        let begun = self.now();
        let output = self.mounted.keyfold(&["versions", "--json", name]);
        let ended = self.now();
        let (mut stack, mut ids) = (Vec::new(), Vec::new());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |field: &str| row[field].as_str().unwrap().to_owned();
            let value = value_of(row["size"].as_u64().unwrap());
            let is_marker = text("state") == "deleted";
            stack.push((!is_marker).then_some(value));
            if !is_marker {
                ids.push((value, text("version")));
            }
        }
        let said = super::text(&output.stderr);
        assert!(output.status.success() || said.contains("NoSuchKey"), "{said}");
        self.recorder.note(self.id, name, Op::List, Answer::Lists(stack), begun, ended);
        ids
    }

    /// Makes a version current that another process has listed before.
    fn restore(&mut self, name: &str) {
        let known = self.list(name);
        let Some(at) = (self.below(known.len().max(1) as u64) as usize).checked_rem(known.len()) else { return };
        // An older one with the bytes that are current would be told by its value from the current one.
        let (value, id) = known.get(at).filter(|(value, _)| *value != known[0].0).unwrap_or(&known[0]);
        let begun = self.now();
        let output = self.mounted.keyfold(&["restore", name, "--version", id]);
        assert!(output.status.success(), "{}", super::text(&output.stderr));
        self.recorder.note(self.id, name, Op::Restore(*value), Answer::Done, begun, self.now());
    }
}

#[test]
fn names_are_linearizable_through_the_mount_and_the_command_line() {
    let (mounted, seed) = (Mounted::versioned(), seed());
    let (recorder, values) = (Recorder::new(), AtomicU32::new(1));
    let (steps, asks) = if long() { (4000, 400) } else { (150, 12) };
    std::thread::scope(|scope| {
        for id in 0..PROGRAMS {
            let (mounted, recorder, values) = (&mounted, &recorder, &values);
            scope.spawn(move || {
                let mut program = Program::new(id, mounted, recorder, values, seed);
                for _ in 0..steps {
                    let name = ["a", "b"][program.below(2) as usize];
                    match program.below(10) {
                        0..3 => program.put(name, false).unwrap(),
                        3 => program.put(name, true).unwrap(),
                        4 => program.remove(name).unwrap(),
                        // What the kernel keeps of it may be older for moments, so this one is not read there.
                        5 => program.put("restored", false).unwrap(),
                        _ => program.get(name).unwrap(),
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut program = Program::new(PROGRAMS, &mounted, &recorder, &values, seed);
            for _ in 0..asks {
                program.list("a");
                program.list("b");
                program.restore("restored");
            }
        });
    });
    let calls = recorder.judge(Key { versioned: true, crashes: false });
    println!("{calls} calls in order, KEYFOLD_SEED={seed}");
    mounted.fsck();
}

#[test]
fn names_are_linearizable_over_killed_processes_that_lose_what_was_not_synced() {
    let (mut mounted, seed) = (Mounted::start(), seed());
    let (recorder, values) = (Recorder::new(), AtomicU32::new(1));
    let rounds = if long() { 100 } else { 5 };
    for round in 0..rounds {
        let mut begun = 0;
        let mut pause = Program::new(9, &mounted, &recorder, &values, seed ^ round << 20);
        let pause = Duration::from_millis(40 + pause.below(400));
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..PROGRAMS)
                .map(|id| {
                    let (mounted, recorder, values) = (&mounted, &recorder, &values);
                    scope.spawn(move || {
                        let mut program = Program::new(id, mounted, recorder, values, seed ^ round << 32);
                        loop {
                            let name = ["a", "b", "c"][program.below(3) as usize];
                            let done = match program.below(12) {
                                0..4 => program.put(name, false),
                                4 => program.put(name, true),
                                5 => program.remove(name),
                                6 => program.sync(),
                                _ => program.get(name),
                            };
                            if done.is_err() {
                                break;
                            }
                        }
                    })
                })
                .collect();
            std::thread::sleep(pause);
            begun = recorder.now();
            mounted.kill();
            running.into_iter().for_each(|program| program.join().unwrap());
        });
        mounted.kill9();
        mounted.restart();
        recorder.note_all(PROGRAMS, Op::Crash, &Answer::Done, begun, recorder.now());
        let last = Program::new(PROGRAMS, &mounted, &recorder, &values, seed);
        ["a", "b", "c"].iter().for_each(|name| last.get(name).unwrap());
    }
    let calls = recorder.judge(Key { versioned: false, crashes: true });
    println!("{calls} calls in order over {rounds} killed processes, KEYFOLD_SEED={seed}");
    mounted.fsck();
}
