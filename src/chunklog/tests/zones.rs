//! The log in several zones: what one loses the others have.

use super::super::{ChunkLog, Class, Owner, Run, Shortage, SoloId, Tier, TierSettings, Zone, Zones};
use super::{STORE, bytes, holds, kind, owner, settings};
use crate::model::{Kind, StorageClass};
use crate::sys::clock::ManualClock;
use crate::sys::disk::{Disk, DiskCall, MemDisk, TimedDisk};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Disks in memory, of which the first is the store's own.
pub(super) struct Site {
    pub(super) disks: [MemDisk; 3],
    pub(super) tiers: Vec<TierSettings>,
    pub(super) clock: Arc<ManualClock>,
    /// Whether its `FORMAT` file says that it has zones.
    pub(super) had: bool,
    /// How long its zones are waited for, if they hang.
    pub(super) patience: Option<Duration>,
}

const NAMES: [&str; 2] = ["one", "two"];
const EIO: i32 = 5;

impl Site {
    pub(super) fn new(copies: usize) -> Self {
        let rest = StorageClass::ALL.iter().copied().filter(|class| *class != StorageClass::OnezoneIa).collect();
        let all = TierSettings { classes: rest, zones: vec![0, 1, 2], copies, compression: 0 };
        let one = TierSettings { classes: vec![StorageClass::OnezoneIa], zones: vec![1], copies: 1, compression: 0 };
        Self {
            disks: Default::default(),
            tiers: vec![all, one],
            clock: Arc::new(ManualClock::at(1_795_312_800)),
            had: false,
            patience: None,
        }
    }

    /// The zones as they are found.
    pub(super) fn find(&self) -> Zones {
        let zone = |n: usize| Zone {
            name: NAMES[n - 1].into(),
            place: NAMES[n - 1].into(),
            disk: match self.patience {
                None => Arc::new(self.disks[n].clone()),
                Some(patience) => Arc::new(TimedDisk::new(Arc::new(self.disks[n].clone()), patience)),
            },
        };
        let clock = Arc::<ManualClock>::clone(&self.clock);
        let home = Arc::new(self.disks[0].clone());
        Zones::open(home, &[zone(1), zone(2)], STORE, clock, 512, self.had, false).unwrap().0
    }

    pub(super) fn open(&self, epoch: u32) -> ChunkLog {
        self.open_in(self.find(), epoch, None)
    }

    /// The log in zones that were found; files from `oldest` on may not be durable.
    pub(super) fn open_in(&self, zones: Zones, epoch: u32, oldest: Option<u64>) -> ChunkLog {
        zones.begin_writing(epoch, oldest).unwrap();
        let mut settings = settings(epoch, 1 << 20);
        settings.tiers.clone_from(&self.tiers);
        ChunkLog::open_in(zones, settings).unwrap()
    }

    /// What the power leaves of it.
    pub(super) fn cut(&self, seed: u64) -> Self {
        let after = |n: usize| {
            let disk = self.disks[n].crash(seed ^ n as u64);
            disk.take_away(self.disks[n].is_away());
            disk
        };
        Self {
            disks: [after(0), after(1), after(2)],
            tiers: self.tiers.clone(),
            clock: Arc::clone(&self.clock),
            had: self.had,
            patience: self.patience,
        }
    }

    /// Which disks have a file.
    pub(super) fn having(&self, path: &Path) -> Vec<usize> {
        (0..3).filter(|n| self.disks[*n].contents(path).is_ok()).collect()
    }
}

pub(super) fn put(log: &ChunkLog, seed: u64, len: usize) -> Run {
    log.append(Tier(0), Class::Hot, &[(owner(seed), &bytes(seed, len))]).unwrap()[0]
}

pub(super) fn put_solo(log: &ChunkLog, tier: Tier, seed: u64, len: usize) -> SoloId {
    let mut writer = log.solo(tier, Class::Hot).unwrap();
    writer.write(&bytes(seed, len)).unwrap();
    writer.finish(&Owner::default()).unwrap().0
}

pub(super) fn solo_holds(log: &ChunkLog, id: SoloId, seed: u64, len: usize) {
    let mut buf = vec![0; len];
    log.read_solo(id, 0, &mut buf).unwrap();
    assert!(buf == bytes(seed, len), "{id}");
}

/// Gives every file what it wants, whatever was lost a short while ago.
pub(super) fn refill(log: &ChunkLog) {
    let mut from = 0;
    while let Some(id) = log.next_to_refill(from, false) {
        log.refill(id, false, &mut |_| Ok(())).unwrap();
        from = id + 1;
    }
    log.end_doubts().unwrap();
}

pub(super) fn lost(log: &ChunkLog) -> Vec<String> {
    log.zones().into_iter().filter(|zone| zone.lost.is_some()).map(|zone| zone.name).collect()
}

#[test]
fn sc_1_two_zones_of_three_are_lost_and_others_later() {
    let site = Site::new(3);
    let log = site.open(1);
    let before = put(&log, 1, 200_000);
    let large = put_solo(&log, Tier(0), 2, 300_000);
    log.sync().unwrap();
    assert_eq!(site.having(&before.segment.path()), [0, 1, 2]);
    assert_eq!(site.having(&large.sum_path()), [0, 1, 2]);
    let clean = log.zone_notices();
    assert_eq!(clean.len(), 0, "{clean:?}");

    site.disks[1].take_away(true);
    site.disks[2].take_away(true);
    holds(&log, before, 1);
    solo_holds(&log, large, 2, 300_000);
    let meanwhile = put(&log, 3, 100_000);
    let alone = put_solo(&log, Tier(0), 4, 100_000);
    log.sync().unwrap();
    holds(&log, meanwhile, 3);
    assert_eq!(lost(&log), NAMES);
    log.seal_open().unwrap();
    assert_eq!(log.shortage(), Shortage { short: 3, without: 0 });
    assert_eq!(log.zone_notices().len(), 2);

    site.disks[1].take_away(false);
    site.disks[2].take_away(false);
    assert!(log.tend_zones());
    refill(&log);
    assert_eq!(log.shortage(), Shortage::default());
    assert!(log.zones().iter().all(|zone| zone.lost.is_none() && !zone.doubted && zone.bad == 0));

    // Only one that missed something is left.
    site.disks[0].take_away(true);
    site.disks[1].take_away(true);
    for (run, seed) in [(before, 1), (meanwhile, 3)] {
        holds(&log, run, seed);
    }
    solo_holds(&log, large, 2, 300_000);
    solo_holds(&log, alone, 4, 100_000);
}

#[test]
fn sc_3_a_class_of_one_zone_is_lost_with_it_alone() {
    let site = Site::new(2);
    let log = site.open(1);
    let one = put_solo(&log, Tier(1), 1, 100_000);
    let run = put(&log, 2, 10_000);
    log.sync().unwrap();
    assert_eq!(site.having(&one.path()), [1]);
    site.disks[1].take_away(true);
    let mut buf = [0; 100];
    assert_eq!(kind(log.read_solo(one, 0, &mut buf)), Kind::Io);
    holds(&log, run, 2);
    site.disks[1].take_away(false);
    log.tend_zones();
    refill(&log);
    solo_holds(&log, one, 1, 100_000);
}

#[test]
fn sc_2_a_sync_that_fails_costs_one_copy() {
    let site = Site::new(2);
    let log = site.open(1);
    let run = put(&log, 1, 10_000);
    let bad = site.having(&run.segment.path())[1];
    site.disks[bad].fail(DiskCall::Sync, 0, 1, EIO);
    log.sync().unwrap();
    assert_eq!(lost(&log).len(), 1);
    // Whatever the power leaves there, the other has it.
    for seed in 0..8 {
        let cut = site.cut(seed);
        let after = cut.open(2);
        holds(&after, run, 1);
        refill(&after);
        assert_eq!(after.shortage().short, 0);
        let other = cut.having(&run.segment.path()).into_iter().find(|n| *n != 0).unwrap();
        for n in (0..3).filter(|n| *n != other) {
            cut.disks[n].take_away(true);
        }
        eprintln!("{seed} {other} {:?} {:?}", cut.having(&run.segment.path()), after.zones());
        holds(&after, run, 1);
    }
}

#[test]
fn damage_to_one_copy_is_read_from_the_other_and_mended() {
    let site = Site::new(3);
    let log = site.open(1);
    let run = put(&log, 1, 300_000);
    let large = put_solo(&log, Tier(0), 2, 300_000);
    log.seal_open().unwrap();
    let log = site.open(2);
    let whole: Vec<Vec<u8>> = (0..3).map(|n| site.disks[n].contents(&run.segment.path()).unwrap()).collect();
    assert!(whole[0] == whole[1] && whole[1] == whole[2]);
    // Another frame in each, so that none is whole.
    for (n, disk) in site.disks.iter().enumerate() {
        let at = 100_000 + n * 70_000;
        disk.tamper(&run.segment.path(), |bytes| bytes[at] ^= 1).unwrap();
        disk.tamper(&large.path(), |bytes| bytes[at] ^= 1).unwrap();
    }
    holds(&log, run, 1);
    solo_holds(&log, large, 2, 300_000);
    assert!(log.zone_notices().len() >= 2);
    assert_eq!(log.verify_solo(large).unwrap(), []);
    assert_eq!(log.scrub_segment(run.segment, 0, 1 << 30).unwrap().flaws, []);
    assert_eq!(log.scrub_solo(large, 0, 1 << 30).unwrap().flaws, []);
    let mut found = Vec::new();
    log.scan(run.segment, &mut |run| found.push(run.bad_frames)).unwrap();
    assert_eq!(found, [Vec::<u32>::new()]);
    refill(&log);
    for disk in &site.disks {
        assert!(disk.contents(&run.segment.path()).unwrap() == whole[0]);
        assert!(disk.contents(&large.path()).unwrap() == bytes(2, 300_000));
    }
}

#[test]
fn a_copy_that_is_missing_is_made_again() {
    let site = Site::new(3);
    let log = site.open(1);
    let run = put(&log, 1, 100_000);
    let large = put_solo(&log, Tier(0), 2, 300_000);
    log.seal_open().unwrap();
    site.disks[1].remove(&run.segment.path()).unwrap();
    site.disks[2].remove(&large.sum_path()).unwrap();
    let log = site.open(2);
    assert_eq!(log.shortage().short, 2);
    refill(&log);
    assert_eq!(site.having(&run.segment.path()), [0, 1, 2]);
    assert_eq!(site.having(&large.sum_path()), [0, 1, 2]);
    assert_eq!(log.solo_file(large).unwrap().1, 300_000);
}

#[test]
fn what_was_deleted_meanwhile_goes_when_its_zone_is_back() {
    let site = Site::new(3);
    let log = site.open(1);
    let (first, second) = (put_solo(&log, Tier(0), 1, 1000), put_solo(&log, Tier(0), 2, 1000));
    log.sync().unwrap();
    site.disks[2].take_away(true);
    drop(log.delete_solo(first).unwrap());
    assert_eq!(site.having(&first.path()), [2]);
    site.disks[2].take_away(false);
    log.tend_zones();
    assert_eq!(site.having(&first.path()), [0; 0]);
    assert_eq!(site.having(&first.sum_path()), [0; 0]);
    solo_holds(&log, second, 2, 1000);
}

#[test]
fn a_full_zone_costs_copies_and_the_last_one_is_told() {
    let site = Site::new(2);
    let log = site.open(1);
    for (n, room) in [(0, 1 << 30), (1, 300_000), (2, 1 << 20)] {
        site.disks[n].set_room(Some(room));
    }
    let first = put(&log, 1, 250_000);
    assert_eq!(site.having(&first.segment.path()), [0, 2]);
    let full = put_solo(&log, Tier(0), 2, 900_000);
    log.sync().unwrap();
    solo_holds(&log, full, 2, 900_000);
    assert_eq!((site.having(&full.path()), lost(&log).len()), (vec![0], 0));
    assert_eq!(log.shortage().short, 1);
    site.disks[0].set_room(Some(0));
    site.disks[1].set_room(Some(0));
    site.disks[2].set_room(Some(0));
    let mut refused = log.solo(Tier(0), Class::Hot).unwrap();
    assert_eq!(kind(refused.write(&[1; 1000])), Kind::Full);
    site.disks[0].set_room(None);
    site.disks[2].set_room(None);
    refused.write(&[1; 1000]).unwrap();
    refused.finish(&Owner::default()).unwrap();
    refill(&log);
    assert_eq!(log.shortage().short, 0);
}

#[test]
fn an_empty_directory_is_a_lost_zone_until_somebody_says_that_it_is_new() {
    let mut site = Site::new(3);
    let log = site.open(1);
    let run = put(&log, 1, 1000);
    log.seal_open().unwrap();
    site.disks[2] = MemDisk::new();
    let log = site.open(2);
    assert_eq!(lost(&log), ["two"]);
    holds(&log, run, 1);
    refill(&log);
    assert_eq!(site.having(&run.segment.path()), [0, 1]);
    assert_eq!(kind(log.adopt_zone("one")), Kind::Conflict);
    assert_eq!(kind(log.adopt_zone("none")), Kind::InvalidArgument);
    log.adopt_zone("two").unwrap();
    log.tend_zones();
    refill(&log);
    assert_eq!((site.having(&run.segment.path()), lost(&log).len()), (vec![0, 1, 2], 0));
    // Another store's zone, and one that another store of the same id has, are nobody's.
    let open = |home: &MemDisk, store| {
        let zone = Zone { name: "two".into(), place: "two".into(), disk: Arc::new(site.disks[2].clone()) };
        let clock = Arc::new(ManualClock::at(0));
        Zones::open(Arc::new(home.clone()), &[zone], store, clock, 1, false, false).map(|_| ())
    };
    assert_eq!(kind(open(&MemDisk::new(), [7; 16])), Kind::Conflict);
    assert_eq!(kind(open(&MemDisk::new(), STORE)), Kind::Conflict);
}

#[test]
fn files_follow_what_their_tier_wants() {
    let mut site = Site::new(3);
    let log = site.open(1);
    let run = put(&log, 1, 1000);
    let one = put_solo(&log, Tier(1), 2, 1000);
    log.close().unwrap();
    site.tiers[0].zones = vec![2];
    site.tiers[0].copies = 1;
    site.tiers[1].zones = vec![0];
    let log = site.open(2);
    refill(&log);
    assert_eq!((site.having(&run.segment.path()), site.having(&one.sum_path())), (vec![2], vec![0]));
    holds(&log, run, 1);
    solo_holds(&log, one, 2, 1000);
}
