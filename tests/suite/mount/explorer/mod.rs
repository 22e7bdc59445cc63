//! The crash explorer: a store on a disk that keeps a log of every write, and its state after a power cut anywhere.
//!
//! `tests/RELIABILITY.md` tells more. The seed of a run that fails is printed and taken from `KEYFOLD_SEED`;
//! with `KEYFOLD_KEEP=DIR` the disk of the failure is kept there as `image`. Each test wants a process of its own, as nextest
//! gives it: a program that another thread starts closes copies of descriptors, and a close publishes.

mod disk;
mod engine;
mod image;
mod judge;
mod log;
mod operations;
mod run;
mod state;

use self::image::{Chance, Replay};
use self::judge::{History, Verdict, choose, explore, look};
use self::operations::{CORE, OPERATIONS};
use self::run::{PROGRAMS, Run, make, recover};
use super::long;
use std::time::Instant;

/// What was looked at; printed at the end.
#[derive(Default, Debug)]
struct Figures {
    runs: usize,
    programs: usize,
    steps: usize,
    durable: usize,
    requests: usize,
    images: usize,
    mounted: usize,
    /// Images that lacked a step which was not promised yet.
    behind: usize,
    /// Images whose file system, without a journal, was past mending.
    unmended: usize,
}

impl Figures {
    fn add(&mut self, programs: usize, history: &History, verdict: &Verdict, since: Instant) {
        let steps = || history.tracks.iter().flat_map(|track| &track.steps);
        self.runs += 1;
        self.programs += programs;
        self.steps += steps().count();
        self.durable += steps().filter(|step| step.durable.is_some()).count();
        self.requests += history.log.entries.len() - history.start;
        self.images += verdict.images;
        self.mounted += verdict.mounted;
        self.behind += verdict.behind;
        self.unmended += verdict.unmended;
        eprintln!("{self:?} in {:.1?}; acknowledged and lost: 0", since.elapsed());
    }
}

/// Whether a test has had its time: `KEYFOLD_MINUTES` bounds each of the long form.
fn over(since: Instant) -> bool {
    let minutes = std::env::var("KEYFOLD_MINUTES").ok().and_then(|minutes| minutes.parse::<f64>().ok());
    long() && minutes.is_some_and(|minutes| since.elapsed().as_secs_f64() > minutes * 60.0)
}

/// The seed to begin with: another one each time, unless asked for one. It is printed.
fn seed() -> u64 {
    static SEED: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        let seed = crate::seed();
        eprintln!("KEYFOLD_SEED={seed}");
        seed
    });
    *SEED
}

#[track_caller]
fn right(verdict: &Verdict, seed: u64) {
    assert!(verdict.wrong.is_empty(), "KEYFOLD_SEED={seed}: {}", verdict.wrong.join("\n"));
}

/// All programs of so many operations, in an order of chance.
fn programs(operations: usize, length: u32, seed: u64) -> Vec<Vec<usize>> {
    let digits = |number: usize| (0..length).map(move |at| number / operations.pow(at) % operations).collect();
    let mut programs: Vec<Vec<usize>> = (0..operations.pow(length)).map(digits).collect();
    let mut chance = Chance::new(seed);
    for at in (1..programs.len()).rev() {
        programs.swap(at, chance.below(at + 1));
    }
    programs
}

/// Runs programs, some at once in each run like `run`: so many runs and 50 images of each, or in the long form all of
/// them and twice as many images.
fn run_all(programs: &[Vec<usize>], run: &Run, runs: usize) {
    let (since, seed) = (Instant::now(), seed());
    let mut figures = Figures::default();
    let (runs, images) = if long() { (usize::MAX, 100) } else { (runs, 50) };
    for (seed, programs) in (seed..).zip(programs.chunks(PROGRAMS)).take(runs) {
        if over(since) {
            break;
        }
        let history = Run { programs: programs.to_vec(), seed, ..run.clone() }.record();
        let verdict = explore(&history, choose(&history, seed, 2, images));
        right(&verdict, seed);
        figures.add(programs.len(), &history, &verdict, since);
    }
    assert!(figures.unmended <= 1 + figures.images / 1000, "{figures:?}");
    assert!(figures.behind > 0, "no image lost anything: is the disk asked to lose it?");
}

#[test]
fn pairs_without_versions() {
    run_all(&programs(OPERATIONS.len(), 2, seed()), &Run::default(), 2);
}

#[test]
fn pairs_with_versions() {
    run_all(&programs(OPERATIONS.len(), 2, seed()), &Run { versions: true, ..Run::default() }, 2);
}

#[test]
fn triples_without_versions() {
    run_all(&programs(CORE, 3, seed()), &Run::default(), 1);
}

#[test]
fn triples_with_versions() {
    run_all(&programs(CORE, 3, seed()), &Run { versions: true, ..Run::default() }, 1);
}

/// Every close is durable when it returns.
#[test]
fn pairs_durable_at_close() {
    let run = Run { versions: true, options: "durability=close", ..Run::default() };
    run_all(&programs(CORE, 2, seed()), &run, 1);
}

/// On a file system that only `e2fsck` makes whole again.
#[test]
fn pairs_on_ext4_without_a_journal() {
    run_all(&programs(CORE, 2, seed()), &Run { versions: true, journal: false, ..Run::default() }, 1);
}

#[test]
fn puts_and_uploads() {
    let (since, seed) = (Instant::now(), seed());
    let mut figures = Figures::default();
    for seed in seed..seed + if long() { 40 } else { 1 } {
        if over(since) {
            break;
        }
        let history = engine::record(seed, 40);
        let verdict = explore(&history, choose(&history, seed, 2, if long() { 200 } else { 80 }));
        right(&verdict, seed);
        figures.add(0, &history, &verdict, since);
    }
}

#[test]
fn a_store_that_is_being_made() {
    let (since, seed) = (Instant::now(), seed());
    let mut figures = Figures::default();
    let history = make();
    let verdict = explore(&history, choose(&history, seed, 2, if long() { usize::MAX } else { 40 }));
    right(&verdict, seed);
    figures.add(0, &history, &verdict, since);
}

/// The power fails again while the store recovers, and right after.
#[test]
fn cuts_during_recovery() {
    let (since, seed) = (Instant::now(), seed());
    let mut figures = Figures::default();
    let programs = programs(CORE, 2, seed);
    for (seed, programs) in (seed..).zip(programs.chunks(PROGRAMS)).take(if long() { 6 } else { 1 }) {
        let history = Run { versions: true, programs: programs.to_vec(), seed, ..Run::default() }.record();
        let cuts = choose(&history, seed, 2, if long() { 10 } else { 3 });
        let mut replay = Replay::new(&history.log, history.image.clone());
        for cut in cuts {
            if over(since) {
                return;
            }
            let image = replay.image(cut);
            let steps = {
                let memory = disk::Memory::new();
                image.save(&memory.path("image"), disk::BYTES);
                look(&history, cut, &memory.path("image"), false)
            };
            let steps = steps.unwrap_or_else(|why| panic!("KEYFOLD_SEED={seed}: {cut:?}: {why}"));
            let steps = steps.expect("a file system with a journal");
            let recovery = recover(&image, history.tracks[0].state(steps[0]).clone(), seed);
            let verdict = explore(&recovery, choose(&recovery, seed, 2, if long() { 40 } else { 15 }));
            right(&verdict, seed);
            figures.add(0, &recovery, &verdict, since);
        }
    }
}

/// Rounds that write the index before the data it points at are found out.
#[cfg(debug_assertions)]
#[test]
fn a_wrong_order_of_commits_is_noticed() {
    let mut images = 0;
    for (seed, programs) in (seed()..).zip(programs(CORE, 2, seed()).chunks(PROGRAMS)).take(6) {
        let history = Run { programs: programs.to_vec(), seed, wrong_order: true, ..Run::default() }.record();
        let verdict = explore(&history, choose(&history, seed, 2, 60));
        images += verdict.images;
        if let Some(wrong) = verdict.wrong.first() {
            eprintln!("noticed in image {images}: {wrong}");
            return;
        }
    }
    panic!("{images} images, and nothing is wrong with any");
}
