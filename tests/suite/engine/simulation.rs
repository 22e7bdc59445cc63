//! Whole histories on a simulated disk, where a seed is one exact schedule: no thread, no clock and no randomness but
//! the seed's. The reference model judges what every power cut, failed call, flipped bit and misplaced access leaves.
//!
//! `KEYFOLD_SEED=N` begins with a seed of one's own; `KEYFOLD_SIMULATIONS=N` runs so many.

use super::compare::shown_of;
use super::harness::{B, Home, all_versions, fsck, get, key, make_bucket, pattern, put, read, reap};
use super::machine::{World, is_of_the_disk};
use super::model::Bucket;
use super::ops::{Op, stream};
use super::scrub;
use crate::{asked, long};
use keyfold::model::Kind;
use keyfold::store::{Condition, Reserve, Store};
use keyfold::sys::disk::{Disk, DiskCall, MemDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Operations of one history.
pub const OPERATIONS: usize = 40;

/// The history of a seed.
fn history(seed: u64) -> Vec<Op> {
    stream(seed).take(OPERATIONS).collect()
}

/// The seeds of this run: fresh ones, and printed.
pub fn seeds(what: &str, short: u64, long_form: u64) -> impl Iterator<Item = u64> {
    let fresh = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 % 1_000_000_007;
    let first = asked("KEYFOLD_SEED").unwrap_or_else(fresh);
    let count = asked("KEYFOLD_SIMULATIONS").unwrap_or(if long() { long_form } else { short });
    println!("{what}: {count} histories of {OPERATIONS} operations, seeds from {first}");
    first..first + count
}

/// Says which seed failed.
pub struct Seeded(pub u64);

impl Drop for Seeded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was the history of seed {0}: KEYFOLD_SEED={0} KEYFOLD_SIMULATIONS=1 runs it again", self.0);
        }
    }
}

/// Of three histories one has classes that compress, and bytes that follow them.
fn begin(seed: u64) -> World {
    let mut home = Home::simulated();
    if seed.is_multiple_of(3) {
        home.tiers = super::tiers::tiers();
    }
    let world = World::new(home);
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

/// Power cuts that were looked at.
#[derive(Default, Debug)]
struct Cuts {
    operations: usize,
    recoveries: usize,
}

/// Runs a history and looks at power cuts before one in `one_in` calls that change something.
fn with_power_cuts(seed: u64, one_in: u64, looked_at: &mut Cuts) {
    let _seeded = Seeded(seed);
    let mut world = begin(seed);
    world.home.disk().imagine_cuts(seed, one_in);
    for (n, op) in history(seed).iter().enumerate() {
        let before = world.durable;
        let disk = world.home.disk();
        world.step(op);
        for left in disk.take_cuts() {
            judge(left, &world.past[before..], &format!("power cut during operation {n}, {op:?}"));
            looked_at.operations += 1;
        }
        if matches!(op, Op::Crash) {
            // What the first cut has left is on the disk, and recovery takes nothing away from it.
            for left in world.home.disk().take_cuts() {
                judge(left, &world.past[world.durable..], &format!("power cut during recovery, operation {n}"));
                looked_at.recoveries += 1;
            }
        }
        // A power cut of the history's own gives another disk.
        world.home.disk().imagine_cuts(seed ^ n as u64, one_in);
    }
    world.finish();
}

#[test]
fn power_cuts_leave_what_was_acknowledged() {
    let one_in = if long() { 1 } else { 12 };
    let mut cuts = Cuts::default();
    seeds("power cuts", 24, 400).for_each(|seed| with_power_cuts(seed, one_in, &mut cuts));
    println!("{cuts:?}, nothing lost");
    assert!(cuts.operations > 0);
}

#[test]
fn a_seed_is_one_schedule() {
    for seed in seeds("schedules", 3, 20) {
        let _seeded = Seeded(seed);
        let run = || {
            let mut world = begin(seed);
            history(seed).iter().for_each(|op| world.step(op));
            let disk = world.home.disk();
            let calls =
                [DiskCall::Write, DiskCall::Sync, DiskCall::Create, DiskCall::Remove].map(|call| disk.calls(call));
            (disk.fingerprint(), calls)
        };
        assert_eq!(run(), run());
    }
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
    let mut world = begin(seed);
    world.home.disk().fail(call, n, 1, errno);
    for (step, op) in history(seed).iter().enumerate() {
        let before = world.durable;
        let disk = world.home.disk();
        let Err(refused) = world.try_step(op) else { continue };
        let what = format!("{what}, in operation {step}, {op:?}");
        assert!(!disk.is_armed(), "{what}: refused before anything failed: {refused}");
        assert!(is_of_the_disk(&refused), "{what}: it is told as something else: {refused}");
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

/// Runs operations that nothing hinders; the states that each of them has made.
fn states(world: &mut World, history: &[Op]) -> Vec<Vec<Bucket>> {
    let mut states = |op: &Op| {
        let from = world.past.len();
        world.step(op);
        world.past[from..].to_vec()
    };
    history.iter().map(&mut states).collect()
}

#[test]
fn a_failed_call_is_told_and_leaves_nothing_half() {
    let (mut refused, mut unseen) = (0, 0);
    for seed in seeds("failures", 4, 60) {
        let _seeded = Seeded(seed);
        let mut world = begin(seed);
        let counted = world.home.disk();
        let before = CALLS.map(|call| counted.calls(call));
        let clean = states(&mut world, &history(seed));
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

/// A disk of 2 GiB, which has a journal, and a world on it. Without a reserve writes meet its end anywhere.
fn begin_with_room(reserve: Reserve) -> World {
    let mut home = Home::simulated();
    home.reserve = reserve;
    home.disk().set_room(Some(2 << 30));
    let world = World::new(home);
    world.store.sync().unwrap();
    world
}

/// Runs a history on a disk that, before one of its operations, others fill but for `left` bytes. Whether anything was
/// refused.
fn with_little_room(seed: u64, clean: &[Vec<Bucket>], full_from: usize, left: u64, reserve: Reserve) -> bool {
    let what = format!("{left} bytes are free from operation {full_from} on, {reserve:?}");
    let mut world = begin_with_room(reserve);
    for (step, op) in history(seed).iter().enumerate() {
        if step == full_from {
            let disk = world.home.disk();
            disk.set_room(Some(disk.used() + left));
            world.home.later();
        }
        let before = world.durable;
        let Err(refused) = world.try_step(op) else { continue };
        let what = format!("{what}, in operation {step}, {op:?}");
        assert!(step >= full_from && refused.kind() == Kind::Full, "{what}: {refused}");
        let mut states = world.past[before..].to_vec();
        states.extend(clean[step].iter().cloned());
        let cut = world.home.disk().crash(seed);
        cut.set_room(None);
        judge(cut, &states, &format!("{what}, then the power"));
        if matches!(op, Op::Reopen | Op::Crash) {
            return true;
        }
        let store = &world.store;
        assert_eq!(store.status().unwrap().read_only, None, "{what}");
        // What others have left is enough for deletes.
        let deletes = left >= 4 << 20;
        if deletes {
            for entry in all_versions(store, B, 1000) {
                let deleted = store.delete(B, &key(&entry.key), Some(entry.object.version), Condition::Always);
                deleted.unwrap_or_else(|error| panic!("{what}, then a delete: {error}"));
            }
            reap(store);
        }
        world.home.disk().set_room(Some(4 << 30));
        world.home.later();
        store.sync().unwrap_or_else(|error| panic!("{what}, then there is room: {error}"));
        if !deletes {
            assert!(shown_of_running(store, &states), "{what}, then there is room: none of {} states", states.len());
        }
        put(store, "and on", &[7; 5000]);
        assert_eq!(store.hindrances(), [], "{what}");
        fsck(store);
        let cut = Home::on(world.home.disk().crash(seed));
        assert_eq!(get(&cut.open(), "and on").unwrap(), [7; 5000]);
        return true;
    }
    world.home.disk().set_room(None);
    world.finish();
    false
}

/// Whether an open store shows one of the states; files of which nothing was published aside.
fn shown_of_running(store: &Arc<Store>, states: &[Bucket]) -> bool {
    states.iter().any(|state| super::compare::differs(store, state, usize::MAX).is_none())
}

#[test]
fn a_full_disk_loses_nothing_takes_deletes_and_serves_again() {
    let (mut refused, mut unseen) = (0, 0);
    for seed in seeds("full disks", 6, 100) {
        let _seeded = Seeded(seed);
        let clean = states(&mut begin_with_room(Reserve::Auto), &history(seed));
        for (n, left) in [0, 700, 5000, 60_000, 400_000, 5 << 20, 20 << 20].into_iter().enumerate() {
            for reserve in [Reserve::Auto, Reserve::Bytes(0)] {
                for full_from in (1..OPERATIONS).step_by(if long() { 1 } else { 13 }) {
                    let told = with_little_room(seed, &clean, (full_from + n) % OPERATIONS, left, reserve);
                    (refused, unseen) = (refused + usize::from(told), unseen + usize::from(!told));
                }
            }
        }
    }
    println!("{refused} full disks told, {unseen} that nobody had to be told of");
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

/// Disks that were harmed, and the versions that said so.
#[derive(Default, Debug)]
struct Told {
    disks: usize,
    damaged: usize,
}

impl Told {
    fn add(&mut self, damaged: &[(String, String)]) {
        self.disks += 1;
        self.damaged += damaged.len();
    }
}

#[test]
fn flipped_bits_and_misplaced_accesses_never_read_as_something_else() {
    let (mut flipped, mut misread, mut miswritten) = (Told::default(), Told::default(), Told::default());
    for seed in seeds("rot", 6, 100) {
        let _seeded = Seeded(seed);
        let mut world = begin(seed);
        // What a history's own crash would find damaged is not this test's.
        for op in history(seed).iter().filter(|op| !matches!(op, Op::Crash | Op::Reopen)) {
            world.step(op);
        }
        world.store.sync().unwrap();
        let on = |harm: &dyn Fn(&MemDisk, u64), stays: bool, sum: &mut Told| {
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
                sum.add(&told);
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
            &mut flipped,
        );
        on(
            &|disk, n| {
                for (within, skip) in [("seg", n % 7), ("solo", n % 3)] {
                    let by = [4096, -4096, 65_536, 512, 1][n as usize % 5];
                    disk.misdirect(DiskCall::Read, Path::new(within), skip, by);
                }
            },
            false,
            &mut misread,
        );
        for n in 0..if long() { 2 } else { 12 } {
            let misplaced = begin_misplaced(seed.wrapping_mul(31) + n);
            miswritten.add(&told_damage(&misplaced.store, &misplaced.model));
        }
    }
    println!("flipped {flipped:?}, misread {misread:?}, miswritten {miswritten:?}, none read as another");
    for (told, what) in [(flipped, "flipped"), (misread, "misread"), (miswritten, "miswritten")] {
        assert!(told.damaged > 0, "nothing {what} was noticed on {} disks", told.disks);
    }
}

/// A history in which some writes of data go astray.
fn begin_misplaced(seed: u64) -> World {
    let mut world = begin(seed);
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
