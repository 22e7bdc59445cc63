//! One-object files: writing, reading, crashes.

use super::super::{ChunkLog, Class, SoloId, SoloState};
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
    let mut writer = log.solo(Class::Hot).unwrap();
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
    assert_eq!(writer.finish().unwrap(), (id, data.len() as u64));
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
    let mut writer = log.solo(Class::Hot).unwrap();
    writer.write(b"never mind").unwrap();
    writer.abandon();
    drop(log.solo(Class::Hot).unwrap());
    assert_eq!(log.solos().unwrap(), []);
    log.sync().unwrap();
    assert_eq!(log.stats().tracked, 0);
}

#[test]
fn an_empty_object_is_an_object() {
    let log = open(&MemDisk::new(), 1);
    let (id, len) = log.solo(Class::Hot).unwrap().finish().unwrap();
    assert_eq!((len, get(&log, id, 0, 0).unwrap(), log.verify_solo(id).unwrap()), (0, vec![], vec![]));
}

#[test]
fn damage_is_found_and_costs_only_its_frame() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let data = bytes(1, 200_000);
    let mut writer = log.solo(Class::Hot).unwrap();
    writer.write(&data).unwrap();
    let (id, _) = writer.finish().unwrap();
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
    let mut writer = log.solo(Class::Hot).unwrap();
    writer.write(b"lost").unwrap();
    disk.fail(DiskCall::Sync, 0, 1, 5);
    assert_eq!(kind(log.sync()), Kind::Io);
    assert_eq!(kind(log.sync_of(&[], &[writer.id()])), Kind::Io);
    assert_eq!(kind(writer.write(b"more")), Kind::Io);
    assert_eq!(kind(writer.finish()), Kind::Io);
    assert_eq!(log.solos().unwrap(), []);
    log.sync().unwrap();
}

#[test]
fn a_full_disk_may_be_tried_again() {
    let disk = MemDisk::new();
    let log = open(&disk, 1);
    let mut writer = log.solo(Class::Hot).unwrap();
    disk.set_room(Some(1000));
    writer.write(&[1; 900]).unwrap();
    assert_eq!(kind(writer.write(&[2; 900])), Kind::Full);
    disk.set_room(None);
    writer.write(&[2; 900]).unwrap();
    let (id, _) = writer.finish().unwrap();
    assert_eq!(get(&log, id, 0, 1800).unwrap(), [[1; 900], [2; 900]].concat());
}

#[test]
#[ignore = "scratch measurement"]
fn scratch_measure() {
    use super::super::frames;
    use super::super::id::FileKey;
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let log = ChunkLog::open(Arc::new(OsDisk::new(dir.path())), settings(1, 1 << 20)).unwrap();
    let mut writer = log.solo(Class::Hot).unwrap();
    let data = bytes(3, 64 << 20);
    data.chunks(1 << 20).for_each(|c| writer.write(c).unwrap());
    let (id, _) = writer.finish().unwrap();
    log.sync().unwrap();
    for size in [256usize << 10, 1 << 20, 4 << 20] {
        let mut buf = vec![0; size];
        let mut t: Vec<Vec<f64>> = vec![vec![]; 4];
        for round in 0..80 {
            for kind in 0..4 {
                if kind >= 2 { log.0.sums.remove(&id); }
                let table = log.0.solo_table(id).unwrap();
                let file = log.0.handle(FileKey::Solo(id)).unwrap();
                let start = std::time::Instant::now();
                for at in (0..64usize << 20).step_by(size) {
                    if kind % 2 == 0 {
                        frames::read(&*table, &*file, at as u64, &mut buf).unwrap();
                    } else {
                        assert!(log.0.maps.read(id, &*table, &*file, at as u64, &mut buf).unwrap());
                    }
                }
                if round > 1 { t[kind].push(start.elapsed().as_secs_f64() * 1e6 / 64.0); }
            }
        }
        for (name, v) in ["pread known", "map known", "pread unknown (crc)", "map unknown (crc)"].iter().zip(&mut t) {
            v.sort_by(|a, b| a.total_cmp(b));
            println!("{:5} KiB {name:22} us/MiB min {:6.1} p25 {:6.1} p50 {:6.1}", size >> 10, v[0], v[v.len() / 4], v[v.len() / 2]);
        }
    }
}
