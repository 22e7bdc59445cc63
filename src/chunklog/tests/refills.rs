//! Copies that are made while disks fail, and by several at once.

use super::super::id::FileKey;
use super::super::{LogFile, Shortage, Tier};
use super::zones::{Site, lost, put, put_solo, refill, solo_holds};
use super::{bytes, holds, kind};
use crate::model::Kind;
use crate::sys::disk::{Access, Disk, DiskCall};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

const EIO: i32 = 5;
const EMFILE: i32 = 24;
const LEN: usize = 900_000;

/// A site whose log has one file in two zones; the copy in the first of these has a bad frame, which is known.
fn with_a_bad_copy(solo: bool) -> (Site, super::ChunkLog, FileKey, Vec<usize>) {
    let site = Site::new(2);
    let log = site.open(1);
    let key =
        if solo { FileKey::Solo(put_solo(&log, Tier(0), 1, LEN)) } else { FileKey::Segment(put(&log, 1, LEN).segment) };
    log.close().unwrap();
    let log = site.open(2);
    let having = site.having(&key.path());
    site.disks[having[0]].tamper(&key.path(), |bytes| bytes[LEN - 100_000] ^= 1).unwrap();
    log.0.zones.catalog.change(super::super::zones::number(key), |spots| spots.bad |= 1 << having[0]);
    assert_eq!(log.shortage(), Shortage { short: 1, without: 0 });
    (site, log, key, having)
}

#[test]
fn a_copy_whose_source_dies_midway_is_none_and_replaces_none() {
    // After the source was looked at, and while it is copied.
    for (solo, after) in [(false, 2), (true, 1), (true, 4)] {
        let (site, log, key, having) = with_a_bad_copy(solo);
        let (target, source) = (&site.disks[having[0]], &site.disks[having[1]]);
        let before = target.contents(&key.path()).unwrap();
        let mut ticks = 0;
        let done = log.refill(super::super::zones::number(key), false, &mut |_| {
            ticks += 1;
            if ticks == after {
                source.fail(DiskCall::Read, 0, u64::MAX, EIO);
            }
            Ok(())
        });
        assert_eq!(lost(&log).len(), 1, "{solo} {after} {done:?}");
        assert!(!log.0.zones.trusts(key, having[0]), "{solo} {after} {done:?}");
        // The copy has all it had.
        let now = target.contents(&key.path()).unwrap();
        let same = before.iter().zip(&now).filter(|(before, now)| before == now).count();
        assert!(now.len() == before.len() && same > LEN - 70_000, "{solo} {after} {same}");
        source.heal();
        log.tend_zones();
        refill(&log);
        assert_eq!((log.shortage(), lost(&log).len()), (Shortage::default(), 0));
        assert!(target.contents(&key.path()).unwrap() == source.contents(&key.path()).unwrap());
    }
}

#[test]
fn a_copy_that_does_not_read_back_is_none() {
    for solo in [false, true] {
        let (site, log, key, having) = with_a_bad_copy(solo);
        let (target, before) = (&site.disks[having[0]], site.disks[having[0]].contents(&key.path()).unwrap());
        let dir = if solo { "solo" } else { "seg" };
        target.misdirect(DiskCall::Write, Path::new(dir), 0, 4096);
        let id = super::super::zones::number(key);
        assert_eq!(kind(log.refill(id, false, &mut |_| Ok(()))), Kind::Io);
        assert!(target.contents(&key.path()).unwrap() == before);
        assert_eq!((log.shortage().short, lost(&log).len()), (1, 0));
        refill(&log);
        assert_eq!(log.shortage().short, 0);
        assert!(target.contents(&key.path()).unwrap() == site.disks[having[1]].contents(&key.path()).unwrap());
    }
}

#[test]
fn two_that_give_copies_at_once_do_not_get_at_each_others() {
    for solo in [false, true] {
        let (site, log, key, having) = with_a_bad_copy(solo);
        let (log, id) = (Arc::new(log), super::super::zones::number(key));
        let (told, done) = channel();
        let mut ticks = 0;
        let one = log.refill(id, false, &mut |_| {
            ticks += 1;
            if ticks == 4 {
                let (log, told) = (Arc::clone(&log), told.clone());
                std::thread::spawn(move || told.send(log.refill(id, false, &mut |_| Ok(()))));
                assert!(done.recv_timeout(Duration::from_millis(200)).is_err(), "it waits");
            }
            Ok(())
        });
        assert!(one.unwrap() > 0 && ticks >= 4);
        assert_eq!(done.recv().unwrap().unwrap(), 0, "there is nothing left to be done");
        assert_eq!(log.shortage(), Shortage::default());
        let [one, other] = [0, 1].map(|n| site.disks[having[n]].contents(&key.path()).unwrap());
        assert!(one == other);
    }
}

#[test]
fn a_large_copy_is_synced_bit_by_bit() {
    let site = Site::new(3);
    let log = site.open(1);
    site.disks[1].take_away(true);
    let mut writer = log.solo(Tier(0), super::Class::Hot).unwrap();
    let part = vec![7; 13 << 20];
    (0..10).for_each(|_| writer.write(&part).unwrap());
    let id = writer.finish(&super::super::Owner::default()).unwrap().0;
    log.sync().unwrap();
    site.disks[1].take_away(false);
    log.tend_zones();
    let before = site.disks[1].calls(DiskCall::Sync);
    log.refill(id.0, false, &mut |_| Ok(())).unwrap();
    // Each 64 MiB, at its end, and its checksums.
    assert_eq!(site.disks[1].calls(DiskCall::Sync) - before, 4);
    assert!(log.0.zones.trusts(FileKey::Solo(id), 1));
}

#[test]
fn a_file_of_which_only_a_lost_zone_knows_is_not_damaged() {
    let site = Site::new(2);
    let log = site.open(1);
    let one = put_solo(&log, Tier(1), 1, 1000);
    log.close().unwrap();
    site.disks[1].take_away(true);
    let log = site.open(2);
    assert_eq!(kind(log.read_solo(one, 0, &mut [0; 1000])), Kind::Io);
    site.disks[1].take_away(false);
    assert!(log.tend_zones());
    solo_holds(&log, one, 1, 1000);
    site.disks[1].remove(&one.path()).unwrap();
    log.0.zones.member(1).handles.clear();
    assert_eq!(kind(log.read_solo(one, 0, &mut [0; 1000])), Kind::Corrupt, "when all are there, it is");
    assert!(!log.is_anywhere(LogFile::Solo(one)));
}

#[test]
fn a_copy_that_goes_while_it_is_asked_for_is_read_where_it_went() {
    let site = Site::new(1);
    let log = site.open(1);
    let run = put(&log, 1, 1000);
    log.close().unwrap();
    let key = FileKey::Segment(run.segment);
    let from = site.having(&key.path())[0];
    let to = (from + 1) % 3;
    let open = |zone: usize| {
        if zone == to {
            return site.disks[from].open(&key.path(), Access::Read);
        }
        log.0.zones.catalog.change(run.segment.0, |spots| spots.has = 1 << to);
        Err(ErrorKind::NotFound.into())
    };
    let read = log.0.zones.read(key, &open, &mut |zone, _| Ok(zone));
    assert_eq!(read.unwrap(), to);
}

#[test]
fn a_process_without_descriptors_loses_copies_and_no_zone() {
    let site = Site::new(3);
    let log = site.open(1);
    let run = put(&log, 1, 1000);
    site.disks[1].fail(DiskCall::Write, 0, 1, EMFILE);
    site.disks[2].fail(DiskCall::SyncDir, 0, 1, EMFILE);
    let second = put(&log, 2, 1000);
    assert_eq!(second.segment, run.segment);
    log.sync().unwrap();
    assert_eq!((lost(&log).len(), log.shortage().short), (0, 1));
    // Also after a crash: what the two have is in doubt.
    for seed in 0..4 {
        let site = site.cut(seed);
        let log = site.open(2);
        assert_eq!(log.shortage().short, 1);
        refill(&log);
        assert_eq!(log.shortage().short, 0);
        site.disks[0].take_away(true);
        site.disks[1].take_away(true);
        holds(&log, run, 1);
        assert!(super::get(&log, second).unwrap() == bytes(2, 1000));
    }
}
