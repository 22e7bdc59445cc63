//! Space: what versions share, what comes back after a delete, and checksums over it all.

use super::harness::{
    B, Home, data_segments, delete, fsck, get, key, pattern, purge, put, read, reap, rewrite_file, root, versions,
};
use keyfold::model::Kind;
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::store::{Reserve, Store};
use std::sync::Arc;

fn used(store: &Store) -> u64 {
    store.sync().unwrap();
    let status = store.status().unwrap();
    status.segment_bytes + status.solo_bytes
}

fn crc(bytes: &[u8]) -> u64 {
    let mut crc = keyfold::crypto::Crc64::new();
    crc.update(bytes);
    crc.value()
}

#[test]
fn a_small_overwrite_of_a_large_object_costs_what_it_changes() {
    let (_home, store) = Home::with_bucket(Enabled);
    let mut bytes = pattern(64 << 20, 5);
    let base = put(&store, "big", &bytes);
    let before = used(&store);
    let at = 30 << 20;
    let new = rewrite_file(&store, root(&store), "big", &base, |draft| draft.write_at(at, &[9; 4096]).unwrap());
    assert!(used(&store) - before < 1 << 20);
    assert_eq!((new.crc64.0, store.checksum(&base).unwrap()), (None, crc(&bytes)));
    assert!(read(&store, &base).unwrap() == bytes);
    bytes[at as usize..at as usize + 4096].fill(9);
    assert!(get(&store, "big").unwrap() == bytes);
    assert_eq!(store.checksum(&new).unwrap(), crc(&bytes), "SUM-8, computed when it is asked for");
    fsck(&store);
    purge(&store, "big", base.version);
    reap(&store);
    assert!(get(&store, "big").unwrap() == bytes, "what the two shared stays");
    fsck(&store);
}

#[test]
fn appends_share_what_was_there_and_keep_the_checksum() {
    let (_home, store) = Home::with_bucket(Enabled);
    let mut object = put(&store, "log", b"");
    let mut bytes = Vec::new();
    for n in 0..150u64 {
        let more = pattern(2000, n);
        object =
            rewrite_file(&store, root(&store), "log", &object, |draft| draft.write_at(draft.size(), &more).unwrap());
        bytes.extend_from_slice(&more);
        assert_eq!(object.crc64.0, Some(crc(&bytes)));
    }
    assert!(used(&store) < 2 << 20, "150 versions of up to 300 kB in {} bytes", used(&store));
    let all = versions(&store, "log");
    assert_eq!(all.len(), 151);
    for (n, object) in all.iter().rev().enumerate() {
        assert!(read(&store, object).unwrap() == bytes[..n * 2000]);
    }
    fsck(&store);
    all.iter().skip(1).step_by(2).for_each(|object| purge(&store, "log", object.version));
    reap(&store);
    assert!(get(&store, "log").unwrap() == bytes);
    fsck(&store);
}

#[test]
fn del_11_space_comes_back() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for n in 0..30 {
        put(&store, &format!("run {n}"), &pattern(100_000, n));
    }
    put(&store, "solo", &pattern(9 << 20, 7));
    assert_eq!(store.status().unwrap().solos, 1);
    for n in 0..30 {
        delete(&store, &format!("run {n}"));
    }
    delete(&store, "solo");
    reap(&store);
    let status = store.status().unwrap();
    assert!(
        status.solos == 0 && data_segments(&store) <= 1,
        "only the segment that is being written stays: {status:?}"
    );
    fsck(&store);
}

#[test]
fn two_reapers_do_not_count_a_holder_twice() {
    let (_home, store) = Home::with_bucket(Enabled);
    let mut object = put(&store, "f", &pattern(200_000, 1));
    let mut bytes = pattern(200_000, 1);
    for n in 0..60usize {
        let at = n * 3000;
        object = rewrite_file(&store, root(&store), "f", &object, |draft| {
            draft.write_at(at as u64, &[n as u8; 700]).unwrap()
        });
        bytes[at..at + 700].fill(n as u8);
    }
    let old: Vec<_> = versions(&store, "f").into_iter().skip(1).collect();
    std::thread::scope(|scope| {
        let reapers: Vec<_> = (0..3).map(|_| scope.spawn(|| (0..200).all(|_| store.reap().is_ok()))).collect();
        old.iter().for_each(|object| purge(&store, "f", object.version));
        reapers.into_iter().for_each(|reaper| assert!(reaper.join().unwrap()));
    });
    reap(&store);
    assert!(get(&store, "f").unwrap() == bytes);
    fsck(&store);
}

/// What the disk said before it was found full counts no more, for smaller data either.
#[test]
fn a_disk_that_was_found_full_is_not_believed_to_have_room() {
    const MIB: u64 = 1 << 20;
    let mut home = Home::simulated();
    home.reserve = Reserve::Bytes(64 * MIB);
    let store = home.open();
    super::harness::make_bucket(&store, B);
    let disk = home.disk();
    let leave = |mib: u64| disk.set_room(Some(disk.used() + mib * MIB));
    let write = |mib: usize| store.draft(None).unwrap().write_at(0, &vec![1; mib << 20]);
    leave(72);
    home.later();
    write(1).unwrap();
    // Others write to the disk, too.
    leave(65);
    for mib in [10, 4] {
        assert_eq!(write(mib).unwrap_err().kind(), Kind::Full, "{mib} MiB");
    }
    leave(80);
    write(4).unwrap();
}

#[test]
fn what_is_open_stays_readable_after_overwrite_delete_and_reap() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for len in [100, 50_000, 5 << 20] {
        let bytes = pattern(len, 3);
        let open = store.open_content(&put(&store, "f", &bytes)).unwrap();
        put(&store, "f", b"other");
        delete(&store, "f");
        reap(&store);
        let mut seen = vec![0; len];
        assert_eq!(open.read_at(0, &mut seen).unwrap(), len);
        assert!(seen == bytes);
        drop(open);
        reap(&store);
    }
    assert_eq!(store.status().unwrap().solos, 0);
    fsck(&store);
}

#[test]
fn holes_take_no_space_and_are_found() {
    let (_home, store) = Home::with_bucket(Enabled);
    let base = put(&store, "sparse", b"x");
    let object = rewrite_file(&store, root(&store), "sparse", &base, |draft| {
        draft.write_at(1 << 40, b"end").unwrap();
        draft.punch(0, 1).unwrap();
    });
    assert!(object.size == (1 << 40) + 3 && object.stored < 8192);
    let content = Arc::new(store.open_content(&object).unwrap());
    assert_eq!((content.seek_data(0).unwrap(), content.seek_hole(0).unwrap()), (Some(1 << 40), 0));
    let shared = store.copy(&object, B, &key("copy"), &keyfold::store::CopyOptions::default()).unwrap();
    assert_eq!(shared.content, object.content);
}
