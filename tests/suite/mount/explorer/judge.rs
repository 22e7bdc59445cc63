//! Judges images: what was acknowledged is there, and everything is as it was between two steps of a program.

use super::super::Mounted;
use super::super::served::{PATIENCE, PAUSE};
use super::disk::{self, Attached, Memory};
use super::image::{Chance, Cut, Image, Replay, cuts};
use super::log::Log;
use super::state::{State, difference, no_bucket, of_mount, of_store};
use keyfold::store::{FORMAT_FILE, Options, Store};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Of so many images one is mounted by the binary too.
const MOUNTED: usize = 40;
const WORKERS: usize = 2;

/// One change, as it was recorded.
pub struct Step {
    pub what: String,
    /// Requests the disk had had when it began.
    pub begun: usize,
    /// And when it was acknowledged, where that promised that it is durable.
    pub durable: Option<usize>,
    /// What the bucket held afterwards.
    pub after: State,
}

/// What one program after the other did in a bucket.
pub struct Track {
    pub bucket: &'static str,
    pub before: State,
    pub steps: Vec<Step>,
}

/// What was done to a store, and what its disk was asked for meanwhile.
pub struct History {
    pub log: Log,
    /// The disk before the log.
    pub image: Image,
    /// Whether the file system keeps a journal.
    pub journal: bool,
    /// Requests until the store was made.
    pub made: usize,
    /// Requests before the first step.
    pub start: usize,
    pub tracks: Vec<Track>,
}

impl Track {
    /// How many steps at least, and at most, a cut may leave: commits are durable in their order.
    fn bounds(&self, cut: Cut) -> (usize, usize) {
        let least = self.steps.iter().rposition(|step| step.durable.is_some_and(|at| at <= cut.after));
        let least = least.map_or(0, |at| at + 1);
        // A step of which the disk heard nothing changed nothing there.
        let begun = self.steps.iter().take_while(|step| step.begun < cut.after).count();
        (least, begun.max(least))
    }

    pub fn state(&self, steps: usize) -> &State {
        steps.checked_sub(1).map_or(&self.before, |at| &self.steps[at].after)
    }

    /// How many steps the state is the result of, when the cut may leave it.
    fn judge(&self, cut: Cut, found: &State) -> Result<usize, String> {
        let (least, most) = self.bounds(cut);
        if let Some(steps) = (least..=most).rev().find(|steps| self.state(*steps) == found) {
            return Ok(steps);
        }
        let what = |at: usize| at.checked_sub(1).map_or("the start", |at| self.steps[at].what.as_str());
        if let Some(steps) = (0..least).rev().find(|steps| self.state(*steps) == found) {
            let lost = difference(self.state(least), found);
            return Err(format!("`{}` was acknowledged, and only `{}` is there: {lost:#?}", what(least), what(steps)));
        }
        let far = |steps: usize| (steps, difference(self.state(steps), found));
        let (steps, lines) = (least..=most).map(far).min_by_key(|(_, lines)| lines.len()).unwrap();
        let (least, most, near) = (what(least), what(most), what(steps));
        Err(format!("a state that never was, between `{least}` and `{most}`; beside `{near}`: {lines:#?}"))
    }
}

/// What was found.
#[derive(Default)]
pub struct Verdict {
    pub images: usize,
    pub mounted: usize,
    /// Images in which a step was lost that nobody had been promised.
    pub behind: usize,
    /// Images whose file system, without a journal, was past mending.
    pub unmended: usize,
    /// What is wrong, with the cut.
    pub wrong: Vec<String>,
}

/// A choice of the cuts of a history, `most` of them.
pub fn choose(history: &History, seed: u64, chances: usize, most: usize) -> Vec<Cut> {
    let mut chosen = cuts(&history.log, history.start, history.log.entries.len(), seed, chances);
    let mut chance = Chance::new(seed);
    while chosen.len() > most {
        chosen.remove(chance.below(chosen.len()));
    }
    chosen
}

/// Looks at the disk after each of these cuts; ends at the first that is wrong.
pub fn explore(history: &History, chosen: Vec<Cut>) -> Verdict {
    let memory = Memory::new();
    let replay = Mutex::new((Replay::new(&history.log, history.image.clone()), chosen.into_iter()));
    let verdict = Mutex::new(Verdict::default());
    let numbers = AtomicUsize::new(0);
    let work = || {
        while verdict.lock().unwrap().wrong.is_empty() {
            let (cut, image) = {
                let (replay, cuts) = &mut *replay.lock().unwrap();
                let Some(cut) = cuts.next() else { break };
                (cut, replay.image(cut))
            };
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let file = memory.path(&format!("image-{number}"));
            image.save(&file, disk::BYTES);
            let looked = look(history, cut, &file, number.is_multiple_of(MOUNTED));
            let mut verdict = verdict.lock().unwrap();
            verdict.images += 1;
            verdict.mounted += usize::from(number.is_multiple_of(MOUNTED));
            match looked {
                Ok(None) => verdict.unmended += 1,
                Ok(Some(steps)) => {
                    let behind = |(track, steps): (&Track, usize)| steps < track.bounds(cut).1;
                    verdict.behind += usize::from(history.tracks.iter().zip(steps).any(behind));
                }
                Err(why) => {
                    if let Some(to) = std::env::var_os("KEYFOLD_KEEP") {
                        image.save(&Path::new(&to).join("image"), disk::BYTES);
                    }
                    verdict.wrong.push(format!("{cut:?}: {why}"));
                }
            }
            fs::remove_file(&file).unwrap();
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    verdict.into_inner().unwrap()
}

/// A small store, so that files and tables change often.
pub fn options() -> Options {
    let mut options = Options::system();
    options.settings.commit_interval = Duration::from_millis(15);
    options.settings.segment_bytes = 1 << 20;
    options.settings.cache_bytes = 8 << 20;
    options.settings.memtable_bytes = 1 << 20;
    options
}

/// What the engine finds in the store of an image, of which fsck finds nothing to say.
fn opened(at: &Path, history: &History, cut: Cut) -> Result<Vec<State>, String> {
    if cut.after < history.made && !at.join(FORMAT_FILE).exists() {
        Store::init(at, &options()).map_err(|error| format!("the store cannot be made again: {error}"))?;
        return Ok(history.tracks.iter().map(|_| no_bucket()).collect());
    }
    let mut options = options();
    options.settings.commit_interval = Duration::from_secs(3600);
    let store = Store::open(at, options).map_err(|error| format!("the store does not open: {error}"))?;
    let findings = store.fsck(&mut |_| {}).map_err(|error| format!("fsck: {error}"));
    let states = history.tracks.iter().map(|track| of_store(&store, track.bucket)).collect();
    store.abandon();
    let findings = findings?;
    if findings.is_empty() { states } else { Err(format!("fsck: {findings:#?}")) }
}

/// How many steps of each track an image shows; nothing when nobody could mount it.
pub fn look(history: &History, cut: Cut, file: &Path, mount: bool) -> Result<Option<Vec<usize>>, String> {
    let tracks = &history.tracks;
    let judge = |found: &[State]| tracks.iter().zip(found).map(|(track, state)| track.judge(cut, state)).collect();
    let steps: Result<Vec<usize>, String> = {
        if !history.journal && !disk::mend(file) {
            return Ok(None);
        }
        let at = tempfile::tempdir().unwrap();
        let _attached = Attached::new(file, at.path())?;
        judge(&opened(at.path(), history, cut)?)
    };
    if steps.is_ok() && mount && cut.after >= history.made {
        let found = mounted(file, tracks)?;
        let again = judge(&found);
        if again != steps {
            return Err(format!("mounted afterwards, it shows {again:?} steps, not {steps:?}"));
        }
    }
    steps.map(Some)
}

/// What the binary's mount shows of the image, and `keyfold fsck` finds sound.
fn mounted(file: &Path, tracks: &[Track]) -> Result<Vec<State>, String> {
    let mut mounted = Mounted::unmounted();
    let mut attached = Ok(());
    // Unmounted with the rest.
    mounted.on_disk(|at| attached = Attached::new(file, at).map(std::mem::forget));
    attached?;
    mounted.try_mount().map_err(|why| format!("keyfold mount: {why}"))?;
    let mut states = Vec::new();
    for track in tracks {
        let bucket = mounted.root().join(track.bucket);
        let mut state = if bucket.exists() { State::new() } else { no_bucket() };
        if bucket.exists() {
            of_mount(&bucket, "", &mut state);
        }
        states.push(state);
    }
    // A process that the other worker is making has this one's files open until it runs its own program.
    let (root, since) = (mounted.root(), Instant::now());
    while !mounted.keyfold_aside(&["umount", root.to_str().unwrap()]).status.success() && since.elapsed() < PATIENCE {
        std::thread::sleep(PAUSE);
    }
    mounted.gone();
    let output = mounted.keyfold(&["fsck", mounted.store().to_str().unwrap()]);
    if output.status.success() { Ok(states) } else { Err(format!("keyfold fsck: {output:?}")) }
}
