//! Whole histories on a simulated disk, where a seed is one exact schedule: no thread, no clock and no randomness but
//! the seed's. The reference model judges what every power cut, failed call, flipped bit and misplaced access leaves.
//!
//! `KEYFOLD_SEED=N` begins with a seed of one's own; `KEYFOLD_SIMULATIONS=N` runs so many.

use super::compare::shown_of;
use super::harness::{B, Home, all_versions, fsck, get, key, make_bucket, pattern, put, read, reap};
use super::machine::World;
use super::model::Bucket;
use super::ops::{Op, stream};
use super::scrub;
use crate::{asked, long};
use keyfold::model::Kind;
use keyfold::store::Store;
use keyfold::sys::disk::{Disk, DiskCall, MemDisk};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Operations of one history.
const OPERATIONS: usize = 40;

/// The history of a seed.
fn history(seed: u64) -> Vec<Op> {
    stream(seed).take(OPERATIONS).collect()
}

/// The seeds of this run: fresh ones, and printed.
fn seeds(what: &str, short: u64, long_form: u64) -> impl Iterator<Item = u64> {
    let fresh = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 % 1_000_000_007;
    let first = asked("KEYFOLD_SEED").unwrap_or_else(fresh);
    let count = asked("KEYFOLD_SIMULATIONS").unwrap_or(if long() { long_form } else { short });
    println!("{what}: {count} histories of {OPERATIONS} operations, seeds from {first}");
    first..first + count
}

/// Says which seed failed.
struct Seeded(u64);

impl Drop for Seeded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was the history of seed {0}: KEYFOLD_SEED={0} KEYFOLD_SIMULATIONS=1 runs it again", self.0);
        }
    }
}

fn begin() -> World {
    let world = World::new(Home::simulated());
    world.store.sync().unwrap();
    world
}

/// A disk as something has left it holds one of `states`, is sound, and goes on.
fn judge(left: MemDisk, states: &[Bucket], what: &str) {
    let home = Home::on(left);
    let store = home.open();
    assert!(shown_of(&store, states).is_some(), "{what}: none of the {} states that could be left", states.len());
    fsck(&store);
    assert_eq!(scrub::after_a_cut(&store), [], "{what}");
    reap(&store);
    put(&store, "and on", &[7; 5000]);
    assert_eq!(get(&store, "and on").unwrap(), [7; 5000]);
    store.close().unwrap();
}

/// Runs a history and looks at power cuts before one in `one_in` calls that change something. Returns how many.
fn with_power_cuts(seed: u64, one_in: u64) -> usize {
    let _seeded = Seeded(seed);
    let mut world = begin();
    world.home.disk().imagine_cuts(seed, one_in);
    let mut looked_at = 0;
    for (n, op) in history(seed).iter().enumerate() {
        let before = world.durable;
        let disk = world.home.disk();
        world.step(op);
        for left in disk.take_cuts() {
            judge(left, &world.past[before..], &format!("power cut during operation {n}, {op:?}"));
            looked_at += 1;
        }
        // A power cut of the history's own gives another disk.
        world.home.disk().imagine_cuts(seed ^ n as u64, one_in);
    }
    world.finish();
    looked_at
}

#[test]
fn power_cuts_leave_what_was_acknowledged() {
    let one_in = if long() { 1 } else { 12 };
    let cuts: usize = seeds("power cuts", 24, 400).map(|seed| with_power_cuts(seed, one_in)).sum();
    println!("{cuts} power cuts, nothing lost");
    assert!(cuts > 0);
}

#[test]
fn a_seed_is_one_schedule() {
    for seed in seeds("schedules", 3, 20) {
        let _seeded = Seeded(seed);
        let run = || {
            let mut world = begin();
            history(seed).iter().for_each(|op| world.step(op));
            let disk = world.home.disk();
            let calls =
                [DiskCall::Write, DiskCall::Sync, DiskCall::Create, DiskCall::Remove].map(|call| disk.calls(call));
            (disk.fingerprint(), calls)
        };
        assert_eq!(run(), run());
    }
}

/// Where the last panic was, while [`quietly`] runs something.
static PANICKED_IN: Mutex<Option<(String, String)>> = Mutex::new(None);

/// Whether `body` ended without a panic. One in the product itself is not forgiven.
fn quietly(body: impl FnOnce()) -> bool {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        let file = info.location().map(|place| place.to_string()).unwrap_or_default();
        *PANICKED_IN.lock().unwrap() = Some((file, info.to_string()));
    }));
    let ended = catch_unwind(AssertUnwindSafe(body)).is_ok();
    std::panic::set_hook(hook);
    if let Some((file, said)) = PANICKED_IN.lock().unwrap().take() {
        assert!(file.starts_with("tests/"), "the product panicked: {said}");
    }
    ended
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const CALLS: [DiskCall; 7] = [
    DiskCall::Write,
    DiskCall::Sync,
    DiskCall::Create,
    DiskCall::SyncDir,
    DiskCall::Remove,
    DiskCall::Rename,
    DiskCall::Allocate,
];

/// Runs a history in which the `n`-th call of a kind fails. What its first refusal leaves, with and without a power
/// cut, is a state before or after the operation that was refused. Returns whether anything was refused.
fn with_a_failure(seed: u64, clean: &[Vec<Bucket>], call: DiskCall, n: u64, errno: i32) -> bool {
    let what = format!("{call:?} {n} fails with {errno}");
    let mut world = begin();
    world.home.disk().fail(call, n, 1, errno);
    for (step, op) in history(seed).iter().enumerate() {
        let before = world.durable;
        let disk = world.home.disk();
        if quietly(|| world.step(op)) {
            continue;
        }
        let what = format!("{what}, in operation {step}, {op:?}");
        assert!(!disk.is_armed(), "{what}: refused before anything failed");
        disk.heal();
        let mut states = world.past[before..].to_vec();
        states.extend(clean[step].iter().cloned());
        judge(disk.crash(seed), &states, &format!("{what}, then the power"));
        if matches!(op, Op::Reopen | Op::Crash) {
            return true;
        }
        // And then the power, while what failed is made up for.
        disk.imagine_cuts(seed, if long() { 1 } else { 6 });
        let _ = world.store.sync();
        for left in disk.take_cuts() {
            judge(left, &states, &format!("{what}, then the power during the next round"));
        }
        let stopped = world.store.status().unwrap().read_only;
        let goes_on = world.store.put(B, &key("on"), &mut &b"on"[..], &Default::default());
        // After a failed sync nothing is taken until the store is opened again, whatever the reason was.
        let may_stop = errno == EIO || matches!(call, DiskCall::Sync | DiskCall::SyncDir);
        match (stopped, goes_on) {
            (None, Ok(_)) => {}
            // It may have stopped by this very write, which met what was left of the failure.
            (_, Err(error)) if may_stop => {
                assert!(matches!(error.kind(), Kind::ReadOnly | Kind::Io), "{what}: {error}")
            }
            (stopped, result) => panic!("{what}: {stopped:?}, but {result:?}"),
        }
        return true;
    }
    world.home.disk().heal();
    world.finish();
    false
}

#[test]
fn a_failed_call_is_told_and_leaves_nothing_half() {
    let (mut refused, mut unseen) = (0, 0);
    for seed in seeds("failures", 4, 60) {
        let _seeded = Seeded(seed);
        let mut world = begin();
        let counted = world.home.disk();
        let before = CALLS.map(|call| counted.calls(call));
        let mut clean = Vec::new();
        for op in &history(seed) {
            let from = world.past.len();
            world.step(op);
            clean.push(world.past[from..].to_vec());
        }
        let made = CALLS.map(|call| counted.calls(call));
        for (kind, call) in CALLS.into_iter().enumerate() {
            let count = made[kind] - before[kind];
            let step = if long() { 1 } else { (count / 5).max(1) };
            for n in (seed % step..count).step_by(usize::try_from(step).unwrap()) {
                for errno in [EIO, ENOSPC] {
                    let told = with_a_failure(seed, &clean, call, n, errno);
                    (refused, unseen) = (refused + usize::from(told), unseen + usize::from(!told));
                }
            }
        }
    }
    println!("{refused} failures told, {unseen} that nobody had to be told of");
    assert!(refused > 0);
}

/// Files of the chunk log.
fn data_files(disk: &MemDisk) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![PathBuf::from("seg"), PathBuf::from("solo")];
    while let Some(dir) = dirs.pop() {
        for entry in disk.list(&dir).unwrap_or_default() {
            let path = dir.join(&entry.name);
            if entry.is_dir { dirs.push(path) } else { found.push(path) }
        }
    }
    found
}

/// Every version reads as the model has it, or says that it is damaged. Returns the keys and ids of those.
fn told_damage(store: &Arc<Store>, model: &Bucket) -> Vec<(String, String)> {
    let shown = all_versions(store, B, 1000);
    let meant = model.keys.values().flat_map(|stack| &stack.versions);
    let mut damaged = Vec::new();
    for (entry, version) in shown.iter().zip(meant).filter(|(_, version)| !version.marker) {
        match read(store, &entry.object) {
            Ok(bytes) => assert!(bytes == **version.bytes, "wrong bytes of {}", entry.key),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Corrupt, "{error}");
                damaged.push((entry.key.clone(), entry.object.version.to_string()));
            }
        }
    }
    damaged
}

#[test]
fn flipped_bits_and_misplaced_accesses_never_read_as_something_else() {
    let (mut looked_at, mut damaged) = (0, 0);
    for seed in seeds("rot", 6, 100) {
        let _seeded = Seeded(seed);
        let mut world = begin();
        // What a history's own crash would find damaged is not this test's.
        for op in history(seed).iter().filter(|op| !matches!(op, Op::Crash | Op::Reopen)) {
            world.step(op);
        }
        world.store.sync().unwrap();
        let mut on = |harm: &dyn Fn(&MemDisk, u64), stays: bool| {
            for n in 0..if long() { 60 } else { 12 } {
                let left = world.home.disk().crash(seed);
                harm(&left, seed.wrapping_mul(31) + n);
                let home = Home::on(left);
                let store = home.open();
                let told = told_damage(&store, &world.model);
                if stays {
                    let hurt = scrub::hurt(&store);
                    assert!(told.iter().all(|one| hurt.contains(one)), "scrub names {hurt:?} of {told:?}");
                }
                damaged += told.len();
                looked_at += 1;
            }
        };
        on(
            &|disk, n| {
                let files = data_files(disk);
                let Some(path) = files.get(n as usize % files.len().max(1)) else { return };
                let flip = |bytes: &mut Vec<u8>| {
                    let at = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % bytes.len().max(1);
                    bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << (n % 8));
                };
                disk.tamper(path, flip).unwrap();
            },
            true,
        );
        on(
            &|disk, n| {
                for (within, skip) in [("seg", n % 7), ("solo", n % 3)] {
                    let by = [4096, -4096, 65_536, 512, 1][n as usize % 5];
                    disk.misdirect(DiskCall::Read, Path::new(within), skip, by);
                }
            },
            false,
        );
        let misplaced = begin_misplaced(seed);
        damaged += told_damage(&misplaced.store, &misplaced.model).len();
        looked_at += 1;
    }
    println!("{looked_at} disks looked at, {damaged} versions told damaged, none read as another");
    assert!(damaged > 0);
}

/// A history in which some writes of data go astray.
fn begin_misplaced(seed: u64) -> World {
    let mut world = begin();
    for n in 0..4 {
        let by = [4096, -4096, 8192, 512][n as usize];
        world.home.disk().misdirect(DiskCall::Write, Path::new("seg"), seed % 5 + n * 3, by);
    }
    let puts = history(seed).into_iter().filter(|op| matches!(op, Op::Put { .. } | Op::Versioning(_)));
    puts.for_each(|op| world.step(&op));
    world
}

/// A round that found the disk full is made up for while the journal still holds others: whatever that leaves opens.
#[test]
fn a_disk_that_was_full_leaves_a_store_that_opens() {
    for seed in 0..if long() { 50 } else { 6 } {
        let home = Home::simulated();
        let store = home.open();
        make_bucket(&store, B);
        let disk = home.disk();
        let large = pattern(300_000, seed);
        put(&store, "first", &large);
        let before = disk.calls(DiskCall::Write);
        put(&store, "before", &large);
        let writes = disk.calls(DiskCall::Write) - before;
        // Small enough for the journal, and there only.
        put(&store, "small", b"acknowledged");
        // The last write of a large put is that of the index's log.
        disk.fail(DiskCall::Write, writes - 1, 1, ENOSPC);
        let refused = store.put(B, &key("large"), &mut &large[..], &Default::default());
        assert_eq!(refused.unwrap_err().kind(), Kind::Full);
        disk.imagine_cuts(seed, 1);
        store.sync().unwrap();
        let cuts = disk.take_cuts();
        assert!(!cuts.is_empty());
        for left in cuts {
            assert_eq!(get(&Home::on(left).open(), "small").unwrap(), b"acknowledged");
        }
    }
}
