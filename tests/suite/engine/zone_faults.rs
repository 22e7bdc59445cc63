//! Whole histories on simulated disks of which one at a time fails, vanishes and comes back with what it had: what was
//! acknowledged is there as long as one zone has all of it.

use super::harness::{Home, fsck};
use super::machine::World;
use super::ops::stream;
use super::simulation::{OPERATIONS, Seeded, seeds};
use keyfold::sys::disk::{Dice, DiskCall, MemDisk};

const EIO: i32 = 5;
const EROFS: i32 = 30;

/// What became of the zones.
#[derive(Default, Debug)]
struct Fates {
    gone: usize,
    failed: usize,
    back: usize,
    lost: usize,
}

fn zone(world: &World, n: usize) -> MemDisk {
    world.home.zones.lock().unwrap()[n].clone()
}

/// Every zone is back, and every file has its copies.
fn heal(world: &World, zones: usize) {
    for n in 0..zones {
        zone(world, n).take_away(false);
        zone(world, n).heal();
    }
    world.store.tend_zones();
    world.store.refill(&mut |_| Ok(())).unwrap();
    let status = world.store.status().unwrap();
    assert!(status.zones.iter().all(|zone| zone.state == "there"), "{:?}", status.zones);
    assert_eq!(status.short_files, Some(0));
}

fn with_zones_that_fail(seed: u64, fates: &mut Fates) {
    let _seeded = Seeded(seed);
    let mut dice = Dice(seed);
    let zones = 1 + dice.roll(2) as usize;
    let copies = 2 + dice.roll(zones as u64) as usize;
    let mut world = World::new(Home::simulated_with_zones(zones, copies));
    world.store.sync().unwrap();
    let mut victim = None;
    for op in stream(seed).take(OPERATIONS) {
        match (victim, dice.roll(6)) {
            (None, 0) => {
                let n = dice.roll(zones as u64) as usize;
                zone(&world, n).take_away(true);
                (victim, fates.gone) = (Some(n), fates.gone + 1);
            }
            (None, 1) => {
                let n = dice.roll(zones as u64) as usize;
                let calls = [
                    DiskCall::Write,
                    DiskCall::Sync,
                    DiskCall::SyncDir,
                    DiskCall::Create,
                    DiskCall::Allocate,
                    DiskCall::SetLen,
                    DiskCall::Mkdir,
                ];
                let call = calls[dice.roll(calls.len() as u64) as usize];
                let errno = if dice.roll(2) == 0 { EIO } else { EROFS };
                zone(&world, n).fail(call, dice.roll(8), 1 + dice.roll(3), errno);
                (victim, fates.failed) = (Some(n), fates.failed + 1);
            }
            (Some(n), 2) => {
                zone(&world, n).take_away(false);
                world.store.tend_zones();
                fates.back += 1;
            }
            (Some(_), 3) => {
                heal(&world, zones);
                victim = None;
            }
            (_, 4) => world.store.tend_zones(),
            _ => {}
        }
        world.step(&op);
        fates.lost += usize::from(world.store.zones().iter().any(|zone| zone.state == "lost"));
    }
    if let Some(n) = victim {
        // Whatever it has, the others have all.
        zone(&world, n).take_away(true);
        fsck(&world.store);
    }
    heal(&world, zones);
    // And now each has all that it should: any one but the store's own may go.
    let n = dice.roll(zones as u64) as usize;
    zone(&world, n).take_away(true);
    fsck(&world.store);
    zone(&world, n).take_away(false);
    world.finish();
}

#[test]
fn sc_1_nothing_is_lost_while_one_zone_has_it() {
    let mut fates = Fates::default();
    seeds("zones that fail", 24, 400).for_each(|seed| with_zones_that_fail(seed, &mut fates));
    println!("{fates:?}, nothing lost");
    assert!(fates.lost > 0);
}
