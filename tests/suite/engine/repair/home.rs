//! A store with something of everything, raw access to its index, and what can be read from it.

use super::super::harness::{
    Home, begin_upload, delete, dir, key, make_bucket, pattern, put, put_part, rewrite_file, root, write_file,
};
use keyfold::index::{Family, Index, Read, Settings, Tx, id_key};
use keyfold::model::{FileKind, Object, VersionId, Versioning};
use keyfold::store::{Finding, Store, Stretch};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A content that reads: its bytes. Stretches that do not are told by their range.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bytes {
    pub bytes: Vec<u8>,
    pub lost: Vec<(u64, u64)>,
}

/// Every version by bucket, key and id.
pub type Seen = BTreeMap<(String, String, String), Bytes>;

/// Two buckets, one versioned: directories, history, links, copies, trees, one-object files and an upload.
pub fn populated() -> (Home, Arc<Store>) {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    make_bucket(&store, "plain");
    for (n, name) in ["a/one", "a/two", "a/b/three", "small", "other/x", "other/y"].iter().enumerate() {
        put(&store, name, &pattern(40 + n, n as u64));
    }
    for n in 0..3 {
        put(&store, "a/two", &pattern(9000 + n, n as u64 + 10));
        home.later();
    }
    put(&store, "deleted/once", &pattern(20_000, 20));
    delete(&store, "deleted/once");
    let top = root(&store);
    let made = write_file(&store, top, "scattered", &pattern(300_000, 21));
    // Many pieces with holes between them: a tree.
    rewrite_file(&store, top, "scattered", &made, |draft| {
        for n in 0..90u64 {
            draft.write_at(400_000 + n * 20_000, &pattern(5_000, 100 + n)).unwrap();
        }
    });
    write_file(&store, top, "large", &pattern(5 << 20, 22));
    let linked = write_file(&store, dir(&store, "a/"), "linked", &pattern(10_000, 23));
    store.link(linked.ino, (dir(&store, "a/"), "linked"), (dir(&store, "other/"), "link")).unwrap();
    store.make_node(top, "pipe", &super::super::harness::posix(FileKind::Fifo)).unwrap();
    let made = store.make_dir(top, "made/", &super::super::harness::posix(FileKind::Directory)).unwrap();
    write_file(&store, made.id, "inside", &pattern(70_000, 24));
    store.put("plain", &key("p/q"), &mut &pattern(8_000, 25)[..], &keyfold::store::PutOptions::default()).unwrap();
    put_part(&store, begin_upload(&store, "up"), 1, &pattern(6_000, 26));
    super::super::harness::reap(&store);
    (home, store)
}

/// Changes the index of a closed store behind its back.
pub fn tamper(home: &Home, change: impl FnOnce(&mut Tx<'_>)) {
    home.close();
    crate::tamper::tamper(home.dir.path(), change);
}

/// Every record of the families that a store does not write by being opened.
pub fn dump(home: &Home) -> Vec<(Family, Vec<u8>, Vec<u8>)> {
    home.close();
    let index = Index::open(&home.dir.path().join("meta"), Settings::default()).unwrap();
    records(&index)
}

pub fn records(read: &impl Read) -> Vec<(Family, Vec<u8>, Vec<u8>)> {
    let mut out = Vec::new();
    for family in Family::ALL.iter().filter(|family| **family != Family::Sys) {
        for found in read.scan(*family, &[], &[0xff; 1100]).unwrap() {
            let (key, value) = found.unwrap();
            out.push((*family, key.to_vec(), value.to_vec()));
        }
    }
    out
}

pub fn salvage(store: &Arc<Store>, object: &Object) -> Bytes {
    let mut out = Bytes::default();
    let Ok(content) = store.open_content(object) else {
        return Bytes { bytes: vec![], lost: vec![(0, object.size)] };
    };
    content
        .salvage(&mut |at, stretch| {
            assert_eq!(at, out.bytes.len() as u64, "stretches follow each other");
            match stretch {
                Stretch::Bytes(bytes) => out.bytes.extend_from_slice(bytes),
                Stretch::Hole(len) => out.bytes.resize(out.bytes.len() + usize::try_from(len).unwrap(), 0),
                Stretch::Lost(len, _) => {
                    out.bytes.resize(out.bytes.len() + usize::try_from(len).unwrap(), 0);
                    out.lost.push((at, at + len));
                }
            }
            Ok(())
        })
        .unwrap();
    out
}

/// Every version that listings show.
pub fn everything(store: &Arc<Store>) -> Seen {
    let mut out = Seen::new();
    for bucket in store.buckets().unwrap() {
        let name = bucket.name.as_str();
        for entry in super::super::harness::all_versions(store, name, 100) {
            let version = match entry.object.version {
                VersionId::Null => format!("null {}", entry.object.seq),
                version => version.to_string(),
            };
            out.insert((name.to_owned(), entry.key.clone(), version), salvage(store, &entry.object));
        }
    }
    out
}

/// The bytes of everything that reads whole.
pub fn bodies(seen: &Seen) -> BTreeSet<&[u8]> {
    seen.values().filter(|found| found.lost.is_empty()).map(|found| found.bytes.as_slice()).collect()
}

pub fn findings(store: &Arc<Store>) -> Vec<Finding> {
    store.fsck(&mut |_| {}).unwrap()
}

pub fn repair(store: &Arc<Store>) -> Vec<Finding> {
    store.repair(false, &mut |_| {}).unwrap()
}

/// No version reads as something that it is not.
#[track_caller]
pub fn assert_no_wrong_bytes(before: &Seen, after: &Seen) {
    for (place, now) in after {
        let Some(then) = before.get(place) else { continue };
        if now.bytes.len() != then.bytes.len() {
            // Its record is lost and with it its length; then it reads as nothing.
            assert!(!now.lost.is_empty(), "{place:?} has {} bytes, not {}", now.bytes.len(), then.bytes.len());
            continue;
        }
        let mut at = 0;
        for (from, to) in now.lost.iter().copied().chain([(now.bytes.len() as u64, 0)]) {
            let from = usize::try_from(from).unwrap();
            assert!(now.bytes[at..from] == then.bytes[at..from], "{place:?} has other bytes in {at}..{from}");
            at = usize::try_from(to).unwrap();
        }
    }
}

/// The first key of a family that `wants` wants.
pub fn find_key(tx: &Tx<'_>, family: Family, wants: impl Fn(&[u8], &[u8]) -> bool) -> Vec<u8> {
    let found = tx.scan(family, &[], &[0xff; 1100]).unwrap().map(Result::unwrap);
    let found = found.map(|(key, value)| (key.to_vec(), value.to_vec()));
    found.into_iter().find(|(key, value)| wants(key, value)).unwrap_or_else(|| panic!("no such {family:?}")).0
}

pub fn id(number: u64) -> Vec<u8> {
    id_key(number).to_vec()
}
