//! One-object files: writing, reading, crashes.

use super::super::{ChunkLog, Class, Owner, SoloId, SoloState, Tier};
use super::{bytes, kind, open, settings};
use crate::model::{Kind, Result};
use crate::sys::disk::{DiskCall, MemDisk, OsDisk};
use std::sync::Arc;

fn get(log: &ChunkLog, id: SoloId, at: usize, len: usize) -> Result<Vec<u8>> {
    let mut buf = vec![0; len];
    log.read_solo(id, at as u64, &mut buf).map(|()| buf)
}

#[test]
fn objects_read_back_while_and_after_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let log = ChunkLog::open(Arc::new(OsDisk::new(dir.path())), settings(1, 1 << 20)).unwrap();
    let data = bytes(1, 1_000_003);
    let mut writer = log.solo(Tier(0), Class::Hot).unwrap();
    let id = writer.id();
    let mut done = 0;
    for step in [1usize, 65_535, 65_536, 5, 131_072, 300_000, 437_854] {
        writer.write(&data[done..done + step]).unwrap();
        done += step;
        assert!(get(&log, id, 0, done).unwrap() == data[..done]);
        assert!(get(&log, id, done - 1, 1).unwrap() == data[done - 1..done]);
        assert_eq!(kind(get(&log, id, done, 1)), Kind::InvalidArgument);
    }
    assert_eq!(kind(log.delete_solo(id)), Kind::Conflict);
    assert_eq!(log.solos().unwrap()[0].state, SoloState::Open);
    assert_eq!(writer.finish(&Owner::default()).unwrap(), (id, data.len() as u64));
    log.sync().unwrap();
    assert_eq!(log.stats().tracked, 0);

    for log in [log, ChunkLog::open(Arc::new(OsDisk::new(dir.path())), settings(2, 1 << 20)).unwrap()] {
        for (at, len) in [(0, data.len()), (65_530, 10), (131_072, 65_536), (data.len() - 1, 1), (data.len(), 0)] {
            assert!(get(&log, id, at, len).unwrap() == data[at..at + len]);
        }
        let (file, len) = log.solo_file(id).unwrap();
        assert_eq!((len, file.size().unwrap(), file.fd().is_some()), (1_000_003, 1_000_003, true));
        assert_eq!(log.verify_solo(id).unwrap(), []);
        assert_eq!(log.solos().unwrap()[0].state, SoloState::Finished);
    }
    let log = ChunkLog::open(Arc::new(OsDisk::new(dir.path())), settings(3, 1 << 20)).unwrap();
    log.delete_solo(id).unwrap();
    assert_eq!(log.solos().unwrap(), []);
    assert_eq!(kind(get(&log, id, 0, 1)), Kind::Corrupt);
}

#[test]
fn an_abandoned_object_leaves_nothing() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let mut writer = log.solo(Tier(0), Class::Hot).unwrap();
    writer.write(b"never mind").unwrap();
    writer.abandon();
    drop(log.solo(Tier(0), Class::Hot).unwrap());
    assert_eq!(log.solos().unwrap(), []);
    log.sync().unwrap();
    assert_eq!(log.stats().tracked, 0);
}

#[test]
fn an_empty_object_is_an_object() {
    let log = open(&MemDisk::new(), 1);
    let (id, len) = log.solo(Tier(0), Class::Hot).unwrap().finish(&Owner::default()).unwrap();
    assert_eq!((len, get(&log, id, 0, 0).unwrap(), log.verify_solo(id).unwrap()), (0, vec![], vec![]));
}

#[test]
fn damage_is_found_and_costs_only_its_frame() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let data = bytes(1, 200_000);
    let mut writer = log.solo(Tier(0), Class::Hot).unwrap();
    writer.write(&data).unwrap();
    let (id, _) = writer.finish(&Owner::default()).unwrap();
    log.sync().unwrap();
    disk.tamper(&id.path(), |bytes| bytes[70_000] ^= 1).unwrap();
    let log = open(&disk, 2);
    assert_eq!(kind(get(&log, id, 65_536, 1)), Kind::Corrupt);
    assert!(get(&log, id, 0, 65_536).unwrap() == data[..65_536]);
    assert_eq!(log.verify_solo(id).unwrap().iter().map(|bad| bad.frame).collect::<Vec<_>>(), [1]);
    disk.tamper(&id.path(), |bytes| bytes.truncate(140_000)).unwrap();
    assert_eq!(log.verify_solo(id).unwrap().iter().map(|bad| bad.frame).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(kind(log.solo_file(id)), Kind::Corrupt);
}

#[test]
fn a_failed_sync_is_final_for_the_object() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let mut writer = log.solo(Tier(0), Class::Hot).unwrap();
    writer.write(b"lost").unwrap();
    disk.fail(DiskCall::Sync, 0, 1, 5);
    assert_eq!(kind(log.sync()), Kind::Io);
    assert_eq!(kind(log.sync_of(&[], &[writer.id()])), Kind::Io);
    assert_eq!(kind(writer.write(b"more")), Kind::Io);
    assert_eq!(kind(writer.finish(&Owner::default())), Kind::Io);
    assert_eq!(log.solos().unwrap(), []);
    log.sync().unwrap();
}

#[test]
fn a_full_disk_may_be_tried_again() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let mut writer = log.solo(Tier(0), Class::Hot).unwrap();
    disk.set_room(Some(1000));
    writer.write(&[1; 900]).unwrap();
    assert_eq!(kind(writer.write(&[2; 900])), Kind::Full);
    disk.set_room(None);
    writer.write(&[2; 900]).unwrap();
    let (id, _) = writer.finish(&Owner::default()).unwrap();
    assert_eq!(get(&log, id, 0, 1800).unwrap(), [[1; 900], [2; 900]].concat());
}

#[test]
#[cfg(target_os = "linux")]
fn large_reads_through_a_map_verify_and_fail_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let log = ChunkLog::open(Arc::new(OsDisk::new(dir.path())), settings(1, 1 << 20)).unwrap();
    let data = bytes(5, (2 << 20) + 4099);
    let mut writer = log.solo(Tier(0), Class::Hot).unwrap();
    writer.write(&data).unwrap();
    let (id, _) = writer.finish(&Owner::default()).unwrap();
    let path = dir.path().join(super::super::id::FileKey::Solo(id).path());
    let mapped = || std::fs::read_to_string("/proc/self/maps").unwrap().contains(path.to_str().unwrap());
    assert!(get(&log, id, 7, 100_000).unwrap() == data[7..100_007] && !mapped());
    for (at, len) in [(1 << 20, 1 << 20), (65_530, 300_000), (0, data.len()), (data.len() - 300_001, 300_001)] {
        assert!(get(&log, id, at, len).unwrap() == data[at..at + len]);
    }
    assert!(mapped());
    // Damage costs its frame, once nothing remembers that it was good.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let write = |byte: u8| std::os::unix::fs::FileExt::write_all_at(&file, &[byte], 1 << 20).unwrap();
    write(!data[1 << 20]);
    log.0.sums.remove(&id);
    assert_eq!(kind(get(&log, id, 1 << 19, 1 << 20)), Kind::Corrupt);
    assert!(get(&log, id, 0, 1 << 20).unwrap() == data[..1 << 20]);
    write(data[1 << 20]);
    assert!(get(&log, id, 1 << 19, 1 << 20).unwrap() == data[1 << 19..][..1 << 20]);
    // Cut by others below a map that is there: an error, not a signal.
    file.set_len(data.len() as u64 - 1).unwrap();
    assert_eq!(kind(get(&log, id, 1 << 20, data.len() - (1 << 20))), Kind::Corrupt);
    file.set_len(1 << 20).unwrap();
    assert_eq!(kind(get(&log, id, 0, data.len())), Kind::Corrupt);
    assert!(get(&log, id, 0, 1 << 20).unwrap() == data[..1 << 20]);
    log.delete_solo(id).unwrap();
    assert!(!mapped(), "the map keeps the room of a file that is gone");
}
