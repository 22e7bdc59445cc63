//! Zones that go and come at the wrong moment: what was acknowledged stays, and nobody is taken for lost who is not.

use super::super::id::FileKey;
use super::super::{ChunkLog, Class, Journal, LogFile, Tier, Zones};
use super::zones::{Site, lost, put, put_solo, refill, solo_holds};
use super::{STORE, bytes, holds, kind, owner, settings};
use crate::model::Kind;
use crate::sys::clock::ManualClock;
use crate::sys::disk::{Access, Disk, DiskCall, MemDisk};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

const EIO: i32 = 5;
const EROFS: i32 = 30;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;

#[test]
fn sc_3_what_the_journal_has_of_a_lost_zone_is_kept_until_it_is_back() {
    for seed in 0..16 {
        let site = Site::new(2);
        let log = site.open(1);
        let put = |seed| log.append(Tier(1), Class::Hot, &[(owner(seed), &bytes(seed, 9000))]).unwrap()[0];
        let first = put(1);
        log.sync().unwrap();
        let second = put(2);
        let journal = |site: &Site| Journal::open(Arc::new(site.disks[0].clone()), STORE, Access::Write).unwrap();
        assert!(journal(&site).append(1, 2, b"batch", &[second], &log.raw(&[second]).unwrap()));

        let site = site.cut(seed);
        site.disks[1].take_away(true);
        let zones = site.find();
        let oldest = journal(&site).restore(&journal(&site).entries(1).unwrap(), &zones).unwrap().unwrap();
        let log = site.open_in(zones, 2, Some(oldest));
        holds(&log, second, 2);
        let mut buf = [0; 9000];
        assert_eq!(kind(log.read(first, 0, &mut buf)), Kind::Io, "it is no damage");
        assert_eq!(kind(log.scrub_segment(first.segment, 0, 1 << 20)), Kind::Io);
        // Nobody takes that for all there is.
        refill(&log);
        // And not after a second cut, when the journal has gone on.
        let site = site.cut(seed);
        let log = site.open(3);
        refill(&log);
        assert!(site.having(&first.segment.path()).contains(&0));
        assert!(!log.is_anywhere(LogFile::Segment(first.segment)));
        let home = Arc::new(site.disks[0].clone());
        let alone = Zones::open(home, &[], STORE, Arc::new(ManualClock::at(0)), 8, true, true).unwrap().0;
        let alone = ChunkLog::open_in(alone, settings(4, 1 << 20)).unwrap();
        assert!(!alone.is_anywhere(LogFile::Segment(first.segment)), "the zone cannot be left out");
        site.disks[1].take_away(false);
        assert!(log.tend_zones());
        refill(&log);
        assert_eq!((site.having(&first.segment.path()), lost(&log).len()), (vec![1], 0));
        holds(&log, first, 1);
        holds(&log, second, 2);
    }
}

#[test]
fn a_copy_that_waits_for_its_sync_is_not_replaced_below_it() {
    let site = Site::new(2);
    let log = site.open(1);
    let run = put(&log, 1, 300_000);
    let large = put_solo(&log, Tier(0), 2, 300_000);
    for (n, disk) in site.disks.iter().enumerate() {
        let at = 100_000 + n * 70_000;
        let _ = disk.tamper(&run.segment.path(), |bytes| bytes[at] ^= 1);
        let _ = disk.tamper(&large.path(), |bytes| bytes[at] ^= 1);
    }
    holds(&log, run, 1);
    solo_holds(&log, large, 2, 300_000);
    assert!(log.shortage().short > 0);
    refill(&log);
    log.sync().unwrap();
    assert_eq!((lost(&log).len(), log.shortage().short), (0, 0));
    holds(&log, run, 1);
    solo_holds(&log, large, 2, 300_000);
}

#[test]
fn a_file_that_is_deleted_during_its_sync_costs_no_zone() {
    let site = Site::new(3);
    let log = site.open(1);
    let run = put(&log, 1, 1000);
    let large = put_solo(&log, Tier(0), 2, 1000);
    for key in [FileKey::Segment(run.segment), FileKey::Solo(large), FileKey::Sum(large)] {
        let tracked = Arc::clone(&log.0.tracked.lock()[&key]);
        // Its name is gone, and whoever deletes it has not come to the end.
        drop(log.0.zones.delete(key));
        tracked.sync(&log.0.zones);
        assert_eq!(lost(&log).len(), 0, "{key}");
    }
}

#[test]
fn sc_2_what_a_failed_sync_left_in_the_cache_alone_is_no_copy() {
    for seed in 0..8 {
        let site = Site::new(2);
        let log = site.open(1);
        let run = put(&log, 1, 10_000);
        let bad = site.having(&run.segment.path()).into_iter().find(|n| *n != 0).unwrap();
        // All is written, and the last sync of it fails.
        site.disks[bad].fail(DiskCall::Sync, 0, 1, EIO);
        log.seal_open().unwrap();
        let large = put_solo(&log, Tier(0), 2, 100_000);
        let worse = site.having(&large.path()).into_iter().find(|n| *n != 0).unwrap();
        site.disks[worse].fail(DiskCall::Sync, 0, 1, EIO);
        log.sync().unwrap();
        assert!(!lost(&log).is_empty());
        log.tend_zones();
        refill(&log);
        assert!(log.zones().iter().all(|zone| zone.lost.is_none() && !zone.doubted));
        for (n, path) in [(bad, run.segment.path()), (worse, large.path())] {
            let site = site.cut(seed);
            assert!(site.having(&path).contains(&n));
            let log = site.open(2);
            (0..3).filter(|other| *other != n).for_each(|other| site.disks[other].take_away(true));
            if n == bad {
                holds(&log, run, 1);
            }
            if n == worse {
                solo_holds(&log, large, 2, 100_000);
            }
        }
    }
}

#[test]
fn nothing_is_acknowledged_before_the_doubt_is_on_the_disk() {
    let mut site = Site::new(2);
    site.tiers[0].zones = vec![1, 2];
    let log = Arc::new(site.open(1));
    let run = put(&log, 1, 1000);
    let large = put_solo(&log, Tier(0), 2, 1000);
    // The list of zones waits for its disk; nothing else is written there.
    site.disks[0].hang(true);
    site.disks[1].fail(DiskCall::Sync, 0, 1, EIO);
    let (told, done) = channel();
    for solos in [vec![large], vec![]] {
        let (log, told) = (Arc::clone(&log), told.clone());
        std::thread::spawn(move || {
            while solos.is_empty() && lost(&log).is_empty() {
                std::thread::yield_now();
            }
            let runs = if solos.is_empty() { vec![run] } else { vec![] };
            let _ = told.send(log.sync_of(&runs, &solos));
        });
    }
    assert!(done.recv_timeout(Duration::from_millis(300)).is_err());
    site.disks[0].hang(false);
    done.recv().unwrap().unwrap();
    done.recv().unwrap().unwrap();
    assert_eq!(lost(&log), ["one"]);
}

#[test]
fn a_file_that_is_being_created_is_not_taken_for_durable() {
    let log = Site::new(2).open(1);
    let id = log.0.number().unwrap();
    put(&log, 1, 1000);
    log.seal_open().unwrap();
    assert_eq!(log.0.durable_below(), id);
    let tracked = log.0.create(FileKey::Segment(super::super::SegmentId(id)), Tier(0)).unwrap();
    assert_eq!(log.0.durable_below(), id);
    log.0.discard(&tracked);
    assert!(log.0.durable_below() > id);
}

#[test]
fn a_copy_that_is_known_not_to_be_whole_does_not_get_so_by_being_away() {
    let site = Site::new(3);
    let log = site.open(1);
    let large = put_solo(&log, Tier(0), 1, 300_000);
    log.sync().unwrap();
    log.tend_zones();
    site.disks[1].tamper(&large.path(), |bytes| bytes[70_000] ^= 1).unwrap();
    assert_eq!(log.scrub_solo(large, 0, 1 << 30).unwrap().flaws, []);
    assert_eq!(log.shortage().short, 1);
    site.disks[1].take_away(true);
    log.tend_zones();
    site.disks[1].take_away(false);
    assert!(log.tend_zones());
    assert_eq!(log.shortage().short, 1);
    refill(&log);
    assert!(site.disks[1].contents(&large.path()).unwrap() == bytes(1, 300_000));
}

#[test]
fn a_zone_that_gets_full_keeps_what_was_acknowledged() {
    let site = Site::new(2);
    let log = site.open(1);
    let first = put(&log, 1, 100_000);
    log.sync().unwrap();
    let having = site.having(&first.segment.path());
    let full = having.iter().copied().find(|n| *n != 0).unwrap();
    site.disks[full].set_room(Some(site.disks[full].used()));
    let second = put(&log, 2, 700_000);
    assert_eq!(second.segment, first.segment);
    log.sync().unwrap();
    assert_eq!((site.having(&first.segment.path()), lost(&log).len()), (having.clone(), 0));
    // Its length need not show it.
    log.seal_open().unwrap();
    let third = put(&log, 3, 10_000);
    log.sync().unwrap();
    let refusing = site.having(&third.segment.path()).into_iter().find(|n| *n != 0).unwrap();
    site.disks[refusing].fail(DiskCall::Write, 0, 1, ENOSPC);
    let fourth = put(&log, 4, 10_000);
    assert_eq!(fourth.segment, third.segment);
    log.sync().unwrap();
    let other = having.into_iter().find(|n| *n != full).unwrap();
    for site in [site.cut(1), site.cut(2)] {
        site.disks[full].set_room(None);
        let log = site.open(2);
        assert_eq!(log.shortage().short, 2, "also after a crash it is no whole copy");
        site.disks[other].take_away(true);
        holds(&log, first, 1);
        assert!(!log.is_anywhere(LogFile::Segment(first.segment)));
        site.disks[other].take_away(false);
        log.tend_zones();
        refill(&log);
        site.disks[other].take_away(true);
        holds(&log, second, 2);
        holds(&log, fourth, 4);
    }
}

#[test]
fn a_copy_goes_only_when_what_stays_was_read() {
    let mut site = Site::new(3);
    let log = site.open(1);
    let (run, large) = (put(&log, 1, 100_000), put_solo(&log, Tier(0), 2, 300_000));
    log.close().unwrap();
    // The copies that are to stay.
    site.disks[0].tamper(&run.segment.path(), |bytes| bytes[50_000] ^= 1).unwrap();
    site.disks[0].tamper(&large.path(), |bytes| bytes[50_000] ^= 1).unwrap();
    site.tiers[0].copies = 1;
    let log = site.open(2);
    refill(&log);
    assert_eq!((site.having(&run.segment.path()), site.having(&large.sum_path())), (vec![0], vec![0]));
    holds(&log, run, 1);
    solo_holds(&log, large, 2, 300_000);
}

#[test]
fn a_copy_of_the_store_does_not_get_at_the_zones_of_the_other() {
    let site = Site::new(3);
    let log = site.open(1);
    let run = put(&log, 1, 1000);
    log.close().unwrap();
    let copy = Site { disks: [site.disks[0].crash(0), site.disks[1].clone(), site.disks[2].clone()], ..Site::new(3) };
    let other = copy.open(2);
    assert_eq!(lost(&other).len(), 0);
    log.tend_zones();
    assert_eq!(lost(&log), ["one", "two"], "while it is open");
    let log = site.open(2);
    assert_eq!(lost(&log), ["one", "two"]);
    holds(&log, run, 1);
    drop(log.delete_segment(run.segment).unwrap());
    drop(log);
    for epoch in [3, 4] {
        let log = site.open(epoch);
        assert_eq!(lost(&log), ["one", "two"], "also when it comes to numbers after the other's");
        assert!(!log.tend_zones());
    }
    holds(&other, run, 1);
    assert_eq!(lost(&other).len(), 0);
    other.close().unwrap();
    assert_eq!(lost(&copy.open(3)).len(), 0);
}

#[test]
fn a_copy_of_the_store_writes_nothing_of_its_journal_into_the_zones_of_the_other() {
    let mut site = Site::new(2);
    site.tiers[0].zones = vec![1, 2];
    let log = site.open(1);
    let first = put(&log, 1, 9000);
    log.sync().unwrap();
    let second = put(&log, 2, 9000);
    let journal = |site: &Site| Journal::open(Arc::new(site.disks[0].clone()), STORE, Access::Write).unwrap();
    assert!(journal(&site).append(1, 2, b"batch", &[second], &log.raw(&[second]).unwrap()));
    log.sync().unwrap();
    drop(log);
    let copy = Site { disks: [site.disks[0].crash(0), site.disks[1].clone(), site.disks[2].clone()], ..Site::new(2) };
    let other = copy.open(2);
    let path = second.segment.path();
    let damage = |bytes: &mut Vec<u8>| bytes[second.offset as usize] ^= 1;
    (1..3).for_each(|n| site.disks[n].tamper(&path, damage).unwrap());
    let whole = |n: usize| site.disks[n].contents(&path).unwrap();
    let before = [whole(1), whole(2)];
    for epoch in [2, 3, 4] {
        let zones = site.find();
        let oldest = journal(&site).restore(&journal(&site).entries(1).unwrap(), &zones).unwrap();
        let log = site.open_in(zones, epoch, oldest);
        assert_eq!(lost(&log), ["one", "two"]);
        assert!([whole(1), whole(2)] == before);
    }
    holds(&other, first, 1);
}

#[test]
fn a_zone_is_ours_whenever_its_opening_was_cut_off_and_however_long_it_was_away() {
    let mut site = Site::new(3);
    let log = site.open(1);
    let run = put(&log, 1, 1000);
    log.close().unwrap();
    // Between the list and the sign, on either side of its name, and before the list.
    for (epoch, disk, call) in [(2, 1, DiskCall::Create), (3, 1, DiskCall::SyncDir), (4, 0, DiskCall::Create)] {
        let zones = site.find();
        site.disks[disk].fail(call, 0, u64::MAX, EIO);
        assert_eq!(zones.begin_writing(epoch, None).is_err(), disk == 0);
        drop(zones);
        site = site.cut(u64::from(epoch));
        let log = site.open(epoch + 10);
        assert_eq!(lost(&log).len(), 0, "{epoch}");
        refill(&log);
        log.close().unwrap();
    }
    site.disks[1].take_away(true);
    for epoch in 20..24 {
        assert_eq!(lost(&site.open(epoch)), ["one"]);
    }
    site.disks[1].take_away(false);
    let log = site.open(24);
    assert_eq!(lost(&log).len(), 0);
    refill(&log);
    site.disks[1].take_away(true);
    log.tend_zones();
    drop(log);
    let log = site.open(25);
    site.disks[1].take_away(false);
    assert!(log.tend_zones());
    assert_eq!(lost(&log).len(), 0);
    drop(log);
    assert_eq!(lost(&site.open(26)).len(), 0);
    holds(&site.open(27), run, 1);
}

#[test]
fn a_zone_is_ours_also_when_the_power_takes_back_what_was_found_there() {
    for seed in 0..8 {
        let site = Site::new(3);
        drop(site.open(1));
        let zones = site.find();
        site.disks[1].fail(DiskCall::SyncDir, 0, 1, EIO);
        let log = site.open_in(zones, 2, None);
        assert_eq!(lost(&log), ["one"]);
        site.disks[1].fail(DiskCall::Create, 0, u64::MAX, EIO);
        assert!(!log.tend_zones());
        drop(log);
        assert_eq!(lost(&site.cut(seed).open(3)).len(), 0, "{seed}");
    }
}

#[test]
fn what_a_zone_misses_of_the_journal_is_in_doubt_before_the_journal_is_spent() {
    for seed in 0..16 {
        let mut site = Site::new(2);
        site.tiers[0].zones = vec![1, 2];
        let log = site.open(1);
        put(&log, 1, 9000);
        log.sync().unwrap();
        let second = put(&log, 2, 9000);
        let journal = |site: &Site| Journal::open(Arc::new(site.disks[0].clone()), STORE, Access::Write).unwrap();
        assert!(journal(&site).append(1, 2, b"batch", &[second], &log.raw(&[second]).unwrap()));
        let site = site.cut(seed);
        site.disks[1].take_away(true);
        let zones = site.find();
        journal(&site).restore(&journal(&site).entries(1).unwrap(), &zones).unwrap().unwrap();
        // From here on the index has all of the journal, and the power goes before anything is written.
        drop(zones);
        let site = site.cut(seed);
        site.disks[1].take_away(false);
        let log = site.open(2);
        assert_eq!(log.shortage().short, 1, "{seed}");
        holds(&log, second, 2);
        refill(&log);
        site.disks[0].take_away(true);
        site.disks[2].take_away(true);
        holds(&log, second, 2);
    }
}

#[test]
fn the_disk_before_is_no_zone_when_another_was_taken_for_it() {
    let mut site = Site::new(3);
    let log = site.open(1);
    let run = put(&log, 1, 1000);
    log.close().unwrap();
    let before = std::mem::replace(&mut site.disks[2], MemDisk::new());
    let log = site.open(2);
    log.adopt_zone("two").unwrap();
    log.tend_zones();
    refill(&log);
    log.close().unwrap();
    assert_eq!(lost(&log).len(), 0);
    let after = std::mem::replace(&mut site.disks[2], before);
    let log = site.open(3);
    assert_eq!(lost(&log), ["two"]);
    holds(&log, run, 1);
    drop(log);
    site.disks[2] = after;
    assert_eq!(lost(&site.open(4)).len(), 0);
}

#[test]
fn a_disk_that_hangs_is_given_up_and_the_others_go_on() {
    let site = Site { patience: Some(Duration::from_millis(100)), ..Site::new(3) };
    let log = site.open(1);
    let before = put(&log, 1, 100_000);
    log.sync().unwrap();
    site.disks[1].hang(true);
    let run = put(&log, 2, 100_000);
    let large = put_solo(&log, Tier(0), 3, 300_000);
    log.sync().unwrap();
    assert_eq!(lost(&log), ["one"]);
    for (run, seed) in [(before, 1), (run, 2)] {
        holds(&log, run, seed);
    }
    solo_holds(&log, large, 3, 300_000);
    site.disks[1].hang(false);
    while !log.tend_zones() {
        std::thread::yield_now();
    }
    refill(&log);
    assert_eq!((site.having(&large.path()), log.shortage().short), (vec![0, 1, 2], 0));
    site.disks[0].take_away(true);
    site.disks[2].take_away(true);
    holds(&log, run, 2);
    solo_holds(&log, large, 3, 300_000);
}

#[test]
fn a_disk_that_takes_nothing_stays_lost_until_it_does() {
    let site = Site::new(3);
    let log = site.open(1);
    let run = put(&log, 1, 1000);
    log.close().unwrap();
    site.disks[1].fail(DiskCall::Create, 0, u64::MAX, EROFS);
    put(&log, 2, 1000);
    for _ in 0..3 {
        assert!(!log.tend_zones());
        assert_eq!(lost(&log), ["one"]);
    }
    assert_eq!(log.zone_notices().len(), 1);
    site.disks[1].heal();
    assert!(log.tend_zones());
    // That this process has no more handles is no disk's fault.
    for call in [DiskCall::Open, DiskCall::Create] {
        site.disks[1].fail(call, 0, 2, EMFILE);
        log.seal_open().unwrap();
        log.tend_zones();
        put(&log, 3, 1000);
        site.disks[1].heal();
        assert_eq!(lost(&log).len(), 0, "{call:?}");
    }
    holds(&log, run, 1);
    log.close().unwrap();
    // Its sign was written, and nobody heard of it.
    for epoch in [2, 3] {
        let zones = site.find();
        site.disks[1].fail(DiskCall::SyncDir, 0, 1, EIO);
        let log = site.open_in(zones, epoch, None);
        assert_eq!(lost(&log), ["one"]);
        assert!(log.tend_zones());
    }
}

#[test]
fn zones_say_themselves_what_they_are_when_the_list_is_gone() {
    let mut site = Site::new(2);
    let log = site.open(1);
    let run = put(&log, 1, 1000);
    log.close().unwrap();
    site.disks[0].remove(Path::new("zones")).unwrap();
    let zones = |site: &Site| {
        let zone = |n: usize| super::super::Zone {
            name: ["one", "two"][n - 1].into(),
            place: "".into(),
            disk: Arc::new(site.disks[n].clone()),
        };
        let home = Arc::new(site.disks[0].clone());
        Zones::open(home, &[zone(1), zone(2)], STORE, Arc::new(ManualClock::at(0)), 8, site.had, false).map(|_| ())
    };
    assert_eq!(kind(zones(&site)), Kind::Conflict, "as one restored from a backup");
    site.had = true;
    site.disks[2].take_away(true);
    assert_eq!(kind(zones(&site)), Kind::StoreUnavailable);
    site.disks[2].take_away(false);
    let log = site.open(2);
    assert!(log.zones().iter().all(|zone| zone.doubted && zone.lost.is_none()));
    refill(&log);
    assert!(log.zones().iter().all(|zone| !zone.doubted && zone.bad == 0));
    holds(&log, run, 1);
}
