//! One test for each kind of damage: found by the invariant's name, mended, and nothing else is touched.

use super::super::harness::{B, Home, delete, dir, fsck, get, key, list, pattern, reap, root, versions};
use super::home::{
    Seen, assert_no_wrong_bytes, bodies, dump, everything, find_key, findings, id, populated, repair, tamper,
};
use keyfold::index::{
    ContentRecord, DentRecord, DirRecord, DirStat, DirSum, Family, InodeRecord, Node, PartRecord, Read, RefKey,
    SegRecord, Tx, VerRecord, decode, dent_key, encode, id_key, ver_key,
};
use keyfold::model::{
    AccessKey, ContentId, DirId, Kind, Ledger, NUMBER_IN_USE_MAX, Object, ObjectPart, ObjectSums, Seq, StorageClass,
    Timestamp, User, UserName, VersionId,
};
use keyfold::store::{ACCESS_KEY_FILE, Outcome, Store};
use std::sync::Arc;

const GARBAGE: &[u8] = &[0xff, 1, 2, 3];

/// What the damage may cost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cost {
    /// Every byte is still there, under its name or in `lost+found`.
    Nothing,
    /// Bytes that the findings name.
    Bytes,
}

/// Damages a populated store, and sees that it is found as `invariant` and mended.
fn damaged(invariant: &str, cost: Cost, change: impl FnOnce(&Spots, &mut Tx<'_>)) -> (Home, Arc<Store>, Seen) {
    let (home, store) = populated();
    let before = everything(&store);
    let spots = Spots::of(&store);
    drop(store);
    // What access keys are sealed with is no part of the index.
    std::fs::write(home.dir.path().join(ACCESS_KEY_FILE), "").unwrap();
    tamper(&home, |tx| change(&spots, tx));
    let untouched = dump(&home);
    let store = home.open();
    let found = findings(&store);
    assert!(found.iter().any(|found| found.invariant == invariant), "no {invariant}: {found:#?}");
    assert!(found.iter().all(|found| found.outcome.is_none()));
    let dry = store.repair(true, &mut |_| {}).unwrap();
    assert!(dry.iter().any(|found| found.invariant == invariant && found.outcome != Some(Outcome::Left)), "{dry:#?}");
    drop(store);
    assert!(dump(&home) == untouched, "a dry run changes nothing");
    let store = home.open();
    let mended = repair(&store);
    assert!(mended.iter().any(|found| found.invariant == invariant && found.outcome != Some(Outcome::Left)));
    let quarantined = mended.iter().any(|found| found.outcome == Some(Outcome::Quarantined));
    assert_eq!(quarantined, home.dir.path().join("quarantine").exists());
    converged(&store, cost);
    let after = everything(&store);
    assert_no_wrong_bytes(&before, &after);
    if cost == Cost::Nothing {
        let lost: Vec<_> = bodies(&before).difference(&bodies(&after)).map(|body| body.len()).collect();
        assert!(lost.is_empty(), "contents of {lost:?} bytes are lost");
    }
    // What is freed later must not be what is still named.
    reap(&store);
    drop(store);
    let store = home.open();
    reap(&store);
    converged(&store, cost);
    assert_eq!(everything(&store), after);
    (home, store, after)
}

#[track_caller]
fn converged(store: &Arc<Store>, cost: Cost) {
    let left = findings(store);
    assert!(left.iter().all(|found| found.is_loss()), "{left:#?}");
    assert!(cost == Cost::Bytes || left.is_empty(), "{left:#?}");
    assert!(cost == Cost::Nothing || !left.is_empty(), "what is lost stays a finding");
}

/// Places that the tests damage.
struct Spots {
    root: DirId,
    a: DirId,
    other: DirId,
    small: Object,
    two: Object,
    scattered: Object,
    bucket: u64,
}

impl Spots {
    fn of(store: &Arc<Store>) -> Self {
        let at = |name: &str| store.get(B, &key(name), None).unwrap();
        Self {
            root: root(store),
            a: dir(store, "a/"),
            other: dir(store, "other/"),
            small: at("small"),
            two: at("a/two"),
            scattered: at("scattered"),
            bucket: store.bucket(B).unwrap().id.0,
        }
    }
}

fn spoil(tx: &mut Tx<'_>, family: Family, key: &[u8]) {
    assert!(tx.get(family, key).unwrap().is_some());
    tx.put_bytes(family, key, GARBAGE.to_vec());
}

fn edit_dent(tx: &mut Tx<'_>, key: &[u8], change: impl FnOnce(&mut Object)) {
    let Some(DentRecord::Object { mut object, draft }) = tx.record(Family::Dent, key).unwrap() else { panic!() };
    change(&mut object);
    tx.put(Family::Dent, key, &DentRecord::Object { object, draft });
}

#[test]
fn a_healthy_store_is_left_as_it_is() {
    let (home, store) = populated();
    let seen = everything(&store);
    drop(store);
    home.open();
    let before = dump(&home);
    let store = home.open();
    assert_eq!(repair(&store), []);
    assert_eq!(everything(&store), seen);
    assert!(!home.dir.path().join("quarantine").exists());
    drop(store);
    assert!(dump(&home) == before);
}

#[test]
fn counters() {
    damaged("usage", Cost::Nothing, |at, tx| tx.put(Family::Usage, &id_key(at.bucket), &Ledger::default()));
    damaged("usage", Cost::Nothing, |at, tx| {
        let mut ledger: Ledger = tx.record(Family::Usage, &id_key(at.bucket)).unwrap().unwrap();
        ledger.classes[StorageClass::Glacier].bytes += 1;
        tx.put(Family::Usage, &id_key(at.bucket), &ledger);
    });
    damaged("directory-sums", Cost::Nothing, |at, tx| {
        tx.put(Family::DirSum, &id(at.a.0), &DirSum { bytes: 77, ..DirSum::default() });
    });
    damaged("records-decode", Cost::Nothing, |at, tx| tx.put_bytes(Family::DirSum, &id(at.a.0), GARBAGE.to_vec()));
    damaged("records-decode", Cost::Nothing, |_, tx| tx.put_bytes(Family::Sys, b"analysis/some", GARBAGE.to_vec()));
    damaged("directory-counters", Cost::Nothing, |at, tx| {
        tx.put(Family::DirStat, &id(at.a.0), &DirStat { live: 77, ..DirStat::default() });
    });
    damaged("holders", Cost::Nothing, |at, tx| {
        tx.put(Family::Refs, &RefKey::Content(at.small.content.0).bytes(), &9u64);
    });
    damaged("live-bytes", Cost::Nothing, |_, tx| {
        let key = find_key(tx, Family::Seg, |key, _| key[0] == b'g');
        tx.put(Family::Seg, &key, &SegRecord { live_bytes: 3 });
    });
    damaged("live-bytes", Cost::Nothing, |_, tx| {
        tx.put(Family::Seg, &[b"s", &id(77)[..]].concat(), &SegRecord { live_bytes: 1 });
    });
    damaged("numbers-are-new", Cost::Nothing, |_, tx| tx.put(Family::Sys, b"ids", &17u64));
}

#[test]
fn users_and_access_keys() {
    let key = |user: &str| {
        let user = Some(UserName::parse(user).unwrap());
        AccessKey { user, enabled: true, created: Timestamp::default(), nonce: [0; 12], sealed: vec![1] }
    };
    let user = User { uid: 70_001, gid: 70_001, makes_buckets: false, created: Timestamp::default() };
    let id = b"KF234567ABCDEFGHIJKL";
    let (_home, store, _) = damaged("access-key-has-user", Cost::Nothing, |_, tx| {
        tx.put(Family::User, b"anna", &user);
        tx.put(Family::AccessKey, id, &key("anna"));
        tx.put(Family::AccessKey, b"KF234567ABCDEFGHIJKM", &key("bert"));
    });
    // What is whole stays.
    assert_eq!((store.users().unwrap().len(), store.access_keys().unwrap().len()), (1, 1));
    for (family, name) in [(Family::User, &b"a/b"[..]), (Family::AccessKey, b"../key")] {
        damaged("records-decode", Cost::Nothing, |_, tx| match family {
            Family::User => tx.put(family, name, &user),
            _ => tx.put(family, name, &key("anna")),
        });
        damaged("records-decode", Cost::Nothing, |_, tx| tx.put_bytes(family, id, GARBAGE.to_vec()));
    }
}

#[test]
fn records_that_cannot_be_read() {
    for family in [Family::Usage, Family::DirStat, Family::Refs, Family::Log] {
        damaged("records-decode", Cost::Nothing, |_, tx| {
            if family == Family::Refs {
                tx.put(family, &RefKey::Content(1 << 40).bytes(), &2u64);
            }
            let key = find_key(tx, family, |_, _| true);
            spoil(tx, family, &key);
        });
    }
    damaged("records-decode", Cost::Nothing, |at, tx| {
        tx.put_bytes(Family::Unsealed, &id(at.small.ino.0), GARBAGE.to_vec());
        tx.put_bytes(Family::Gone, b"x", vec![]);
    });
    damaged("records-decode", Cost::Nothing, |_, tx| {
        let key = find_key(tx, Family::Seg, |key, _| key[0] == b'g');
        spoil(tx, Family::Seg, &key);
    });
}

#[test]
fn a_name_that_cannot_be_read() {
    let (_home, store, _) = damaged("records-decode", Cost::Nothing, |at, tx| {
        spoil(tx, Family::Dent, &dent_key(at.root, "small"));
    });
    assert_eq!(store.get(B, &key("small"), None).unwrap_err().kind(), Kind::NoSuchKey);
    let found = list(&store, "lost-found", "", None, 10);
    assert_eq!(found.len(), 1);
    let object = store.get("lost-found", &key(&found[0]), None).unwrap();
    assert_eq!(super::super::harness::read(&store, &object).unwrap(), pattern(43, 3));
}

#[test]
fn an_older_version_that_cannot_be_read() {
    damaged("records-decode", Cost::Nothing, |at, tx| {
        let key = find_key(tx, Family::Ver, |key, _| key.starts_with(&[&id(at.a.0)[..], b"two"].concat()));
        spoil(tx, Family::Ver, &key);
    });
}

#[test]
fn a_directory_that_cannot_be_read_or_is_missing() {
    let (_home, store, _) = damaged("records-decode", Cost::Nothing, |at, tx| spoil(tx, Family::Dir, &id(at.a.0)));
    assert_eq!(get(&store, "a/two").unwrap(), pattern(9002, 12));
    let (_home, store, _) = damaged("directory-has-record", Cost::Nothing, |at, tx| {
        tx.delete(Family::Dir, &id(at.a.0));
    });
    assert_eq!(get(&store, "a/b/three").unwrap(), pattern(42, 2));
    assert_eq!(versions(&store, "a/two").len(), 4);
}

#[test]
fn a_directory_without_a_name() {
    let (_home, store, _) = damaged("directory-has-a-name", Cost::Nothing, |at, tx| {
        tx.delete(Family::Dent, &dent_key(at.root, "a/"));
    });
    assert_eq!(get(&store, "a/b/three").unwrap(), pattern(42, 2));
    let (_home, store, _) = damaged("directory-has-record", Cost::Nothing, |at, tx| {
        tx.delete(Family::Dent, &dent_key(at.root, "a/"));
        tx.delete(Family::Dir, &id(at.a.0));
    });
    let found = list(&store, B, "lost+found/", None, 100);
    assert!(found.iter().any(|key| key.ends_with("/b/three")), "{found:?}");
}

#[test]
fn a_directory_with_two_names_or_another() {
    damaged("directory-knows-its-name", Cost::Nothing, |at, tx| {
        tx.put(Family::Dent, &dent_key(at.root, "twice/"), &DentRecord::Dir(at.a));
    });
    let (_home, store, _) = damaged("directory-knows-its-name", Cost::Nothing, |at, tx| {
        let mut record: DirRecord = tx.record(Family::Dir, &id(at.a.0)).unwrap().unwrap();
        record.name = "elsewhere/".to_owned();
        tx.put(Family::Dir, &id(at.a.0), &record);
    });
    assert_eq!(get(&store, "a/b/three").unwrap(), pattern(42, 2));
}

#[test]
fn directories_in_a_ring_and_in_another_bucket() {
    damaged("directory-is-reachable", Cost::Nothing, |at, tx| {
        let b = find_key(tx, Family::Dir, |_, value| decode::<DirRecord>(value).is_ok_and(|dir| dir.name == "b/"));
        let b_id = DirId(u64::from_be_bytes(b.as_slice().try_into().unwrap()));
        tx.delete(Family::Dent, &dent_key(at.root, "a/"));
        tx.put(Family::Dent, &dent_key(b_id, "a/"), &DentRecord::Dir(at.a));
        let mut record: DirRecord = tx.record(Family::Dir, &id(at.a.0)).unwrap().unwrap();
        record.parent = b_id;
        tx.put(Family::Dir, &id(at.a.0), &record);
    });
    damaged("directory-in-its-bucket", Cost::Nothing, |at, tx| {
        let other = find_key(tx, Family::Bucket, |key, _| key[0] == b'i' && key[1..] != id(at.bucket)[..]);
        let mut record: DirRecord = tx.record(Family::Dir, &id(at.a.0)).unwrap().unwrap();
        record.bucket = keyfold::model::BucketId(u64::from_be_bytes(other[1..].try_into().unwrap()));
        tx.put(Family::Dir, &id(at.a.0), &record);
    });
}

#[test]
fn dead_directories() {
    damaged("name-in-live-directory", Cost::Nothing, |at, tx| {
        let mut record: DirRecord = tx.record(Family::Dir, &id(at.a.0)).unwrap().unwrap();
        record.alive = false;
        tx.put(Family::Dir, &id(at.a.0), &record);
    });
    damaged("dead-directory-is-a-ghost", Cost::Nothing, |_, tx| {
        let ghost = find_key(tx, Family::Ver, |_, value| matches!(decode(value), Ok(VerRecord::Ghost { .. })));
        tx.delete(Family::Ver, &ghost);
    });
    damaged("ghost-is-dead", Cost::Nothing, |at, tx| {
        let ghost = VerRecord::Ghost { dir: at.a, died: keyfold::model::Timestamp::default() };
        tx.put(Family::Ver, &ver_key(at.root, "a/", Seq(at.a.0)), &ghost);
    });
}

#[test]
fn buckets() {
    for spoiled in [false, true] {
        let invariant = if spoiled { "records-decode" } else { "bucket-has-record" };
        let (_home, store, _) = damaged(invariant, Cost::Nothing, |at, tx| {
            let key = [b"i", &id(at.bucket)[..]].concat();
            if spoiled { spoil(tx, Family::Bucket, &key) } else { tx.delete(Family::Bucket, &key) }
        });
        assert_eq!(get(&store, "a/b/three").unwrap(), pattern(42, 2));
        let (_home, store, _) =
            damaged(if spoiled { "records-decode" } else { "bucket-has-name" }, Cost::Nothing, |_, tx| {
                let key = [b"n", B.as_bytes()].concat();
                if spoiled { spoil(tx, Family::Bucket, &key) } else { tx.delete(Family::Bucket, &key) }
            });
        assert_eq!(get(&store, "a/b/three").unwrap(), pattern(42, 2));
    }
    let (_home, store, _) = damaged("bucket-has-root", Cost::Nothing, |at, tx| tx.delete(Family::Dir, &id(at.root.0)));
    assert_eq!(get(&store, "a/b/three").unwrap(), pattern(42, 2));
}

#[test]
fn names_of_the_wrong_kind_or_none() {
    damaged("name-fits-its-kind", Cost::Nothing, |at, tx| {
        let dent = tx.get(Family::Dent, &dent_key(at.root, "small")).unwrap().unwrap().to_vec();
        tx.delete(Family::Dent, &dent_key(at.root, "small"));
        tx.put_bytes(Family::Dent, &dent_key(at.root, "small/"), dent);
    });
    damaged("names-decode", Cost::Nothing, |at, tx| {
        let dent = tx.get(Family::Dent, &dent_key(at.root, "small")).unwrap().unwrap().to_vec();
        tx.delete(Family::Dent, &dent_key(at.root, "small"));
        tx.put_bytes(Family::Dent, &[&id(at.root.0)[..], &[b's', 0xff, 0xfe]].concat(), dent);
    });
    damaged("versions-decode", Cost::Nothing, |_, tx| {
        let key = find_key(tx, Family::Ver, |_, value| matches!(decode(value), Ok(VerRecord::Object(_))));
        let value = tx.get(Family::Ver, &key).unwrap().unwrap().to_vec();
        tx.delete(Family::Ver, &key);
        tx.put_bytes(Family::Ver, &key[..key.len() - 3], value);
    });
}

#[test]
fn links_and_inodes() {
    let inode = |tx: &Tx<'_>| find_key(tx, Family::Ino, |_, _| true);
    damaged("link-has-inode", Cost::Nothing, |_, tx| {
        let key = inode(tx);
        tx.delete(Family::Ino, &key);
    });
    damaged("link-names", Cost::Nothing, |at, tx| tx.delete(Family::Dent, &dent_key(at.other, "link")));
    damaged("link-names", Cost::Nothing, |at, tx| {
        tx.delete(Family::Dent, &dent_key(at.other, "link"));
        tx.delete(Family::Dent, &dent_key(at.a, "linked"));
    });
    damaged("link-names", Cost::Nothing, |_, tx| {
        let key = inode(tx);
        let mut record: InodeRecord = tx.record(Family::Ino, &key).unwrap().unwrap();
        record.names.pop();
        tx.put(Family::Ino, &key, &record);
    });
    damaged("inode-is-one-file", Cost::Nothing, |at, tx| {
        let ino = at.two.ino;
        edit_dent(tx, &dent_key(at.root, "small"), |object| object.ino = ino);
    });
}

#[test]
fn the_order_of_versions() {
    let (_home, store, _) = damaged("current-is-newest", Cost::Nothing, |at, tx| {
        edit_dent(tx, &dent_key(at.a, "two"), |object| object.seq = Seq(17));
    });
    assert_eq!(get(&store, "a/two").unwrap(), pattern(9002, 12));
    damaged("version-order", Cost::Nothing, |at, tx| {
        let key = find_key(tx, Family::Ver, |key, _| key.starts_with(&[&id(at.a.0)[..], b"two"].concat()));
        let Some(VerRecord::Object(mut object)) = tx.record(Family::Ver, &key).unwrap() else { panic!() };
        object.seq = Seq(object.seq.0 + 1_000);
        tx.put(Family::Ver, &key, &VerRecord::Object(object));
    });
    // Ahead of every number the store gave out, by less and by more than any store ever does.
    for (invariant, ahead) in [("current-is-newest", 1u64 << 40), ("version-order", u64::MAX)] {
        let (_home, store, _) = damaged(invariant, Cost::Nothing, |at, tx| move_ahead(at, tx, ahead));
        assert_eq!(get(&store, "a/two").unwrap(), pattern(9002, 12), "the current version stays so");
        put_and_get(&store);
    }
    damaged("version-order", Cost::Nothing, |at, tx| {
        edit_dent(tx, &dent_key(at.a, "two"), |object| object.seq = Seq(u64::MAX));
    });
    let (_home, store, _) = damaged("one-null-version", Cost::Nothing, |at, tx| {
        let prefix = [&id(at.a.0)[..], b"two"].concat();
        for found in tx.scan(Family::Ver, &prefix, &[&prefix[..], &[0xff]].concat()).unwrap().collect::<Vec<_>>() {
            let (key, value) = found.unwrap();
            let Ok(VerRecord::Object(mut object)) = decode(&value) else { panic!() };
            object.version = VersionId::Null;
            tx.put(Family::Ver, &key, &VerRecord::Object(object));
        }
    });
    let ids: std::collections::HashSet<_> = versions(&store, "a/two").iter().map(|object| object.version).collect();
    assert_eq!(ids.len(), 4);
}

/// Gives an older version of `a/two` a later place.
fn move_ahead(at: &Spots, tx: &mut Tx<'_>, ahead: u64) {
    let key = find_key(tx, Family::Ver, |key, _| key.starts_with(&[&id(at.a.0)[..], b"two"].concat()));
    let Some(VerRecord::Object(mut object)) = tx.record(Family::Ver, &key).unwrap() else { panic!() };
    tx.delete(Family::Ver, &key);
    object.seq = Seq(ahead);
    tx.put(Family::Ver, &ver_key(at.a, "two", Seq(ahead)), &VerRecord::Object(object));
}

/// What a repair gives out behind the last number that is believed is believed, before the index says so.
#[test]
fn a_repair_believes_its_own_numbers() {
    let (home, store) = populated();
    let at = Spots::of(&store);
    drop(store);
    tamper(&home, |tx| move_ahead(&at, tx, NUMBER_IN_USE_MAX));
    let store = home.open();
    let mended = repair(&store);
    assert!(mended.iter().all(|found| found.outcome != Some(Outcome::Left)), "{mended:#?}");
    converged(&store, Cost::Nothing);
    assert_eq!(get(&store, "a/two").unwrap(), pattern(9002, 12), "the current version stays so");
}

#[test]
fn contents() {
    for spoiled in [false, true] {
        let invariant = if spoiled { "records-decode" } else { "object-has-content" };
        let (_home, store, after) = damaged(invariant, Cost::Bytes, |at, tx| {
            let key = id(at.two.content.0);
            if spoiled { spoil(tx, Family::Content, &key) } else { tx.delete(Family::Content, &key) }
        });
        assert_eq!(get(&store, "a/two").unwrap_err().kind(), Kind::Corrupt);
        assert_eq!(after.values().filter(|found| !found.lost.is_empty()).count(), 1);
        let left = findings(&store);
        let version = store.get(B, &key("a/two"), None).unwrap();
        assert!(left.iter().all(|found| found.what.starts_with("bucket/a/two: bytes 0 to 9001 ")), "{left:#?}");
        assert_eq!(version.size, 9002);
        delete(&store, "a/two");
        store.delete(B, &key("a/two"), Some(version.version), keyfold::store::Condition::Always).unwrap();
        fsck(&store);
    }
    damaged("object-size", Cost::Nothing, |at, tx| {
        edit_dent(tx, &dent_key(at.root, "small"), |object| object.size = 11);
    });
    damaged("content-is-held", Cost::Nothing, |at, tx| {
        let record = tx.get(Family::Content, &id(at.small.content.0)).unwrap().unwrap().to_vec();
        tx.put_bytes(Family::Content, &id(1 << 41), record);
    });
    damaged("content-length", Cost::Bytes, |at, tx| {
        let mut record: ContentRecord = tx.record(Family::Content, &id(at.two.content.0)).unwrap().unwrap();
        record.size += 100;
        tx.put(Family::Content, &id(at.two.content.0), &record);
    });
    damaged("gone-is-nobodys", Cost::Nothing, |at, tx| {
        // Counted as held twice: the reaper must not take the mark's word for it.
        tx.put(Family::Refs, &RefKey::Content(at.small.content.0).bytes(), &2u64);
        tx.put_bytes(Family::Gone, &[b"c", &id(at.small.content.0)[..]].concat(), vec![]);
    });
}

#[test]
fn trees() {
    let child = |tx: &Tx<'_>| {
        find_key(tx, Family::Node, |_, value| matches!(decode(value), Ok(Node::Leaf(extents)) if extents.len() > 9))
    };
    for spoiled in [false, true] {
        let invariant = if spoiled { "records-decode" } else { "tree-nodes" };
        let (_home, store, after) = damaged(invariant, Cost::Bytes, |_, tx| {
            let key = child(tx);
            if spoiled { spoil(tx, Family::Node, &key) } else { tx.delete(Family::Node, &key) }
        });
        let seen = after.iter().find(|((_, key, _), found)| key == "scattered" && !found.lost.is_empty()).unwrap();
        let lost: u64 = seen.1.lost.iter().map(|(from, to)| to - from).sum();
        assert!(lost < seen.1.bytes.len() as u64, "some of it reads");
        assert_eq!(store.get(B, &key("scattered"), None).unwrap().size, seen.1.bytes.len() as u64);
    }
    damaged("object-has-content", Cost::Bytes, |at, tx| {
        // Its tree is whole: the bytes come back in a file of their own.
        tx.delete(Family::Content, &id(at.scattered.content.0));
    });
}

#[test]
fn bytes_of_a_tree_without_content_come_back() {
    let (home, store) = populated();
    let object = store.get(B, &key("scattered"), None).unwrap();
    let body = super::super::harness::read(&store, &object).unwrap();
    drop(store);
    tamper(&home, |tx| tx.delete(Family::Content, &id(object.content.0)));
    let store = home.open();
    repair(&store);
    let seen = everything(&store);
    assert!(seen.iter().any(|((bucket, _, _), found)| bucket == "lost-found" && found.bytes == body));
}

#[test]
fn uploads() {
    let (_home, store, after) = damaged("part-has-upload", Cost::Nothing, |_, tx| {
        let key = find_key(tx, Family::Upload, |_, _| true);
        tx.delete(Family::Upload, &key);
    });
    assert!(after.iter().any(|((bucket, _, _), found)| bucket == "lost-found" && found.bytes == pattern(6_000, 26)));
    assert!(store.uploads(B).unwrap().is_empty());
    damaged("upload-has-name", Cost::Nothing, |_, tx| {
        let key = find_key(tx, Family::UploadName, |_, _| true);
        tx.delete(Family::UploadName, &key);
    });
    damaged("upload-has-name", Cost::Nothing, |at, tx| {
        tx.put(Family::UploadName, &[&id(at.root.0)[..], b"none\0\0", &id(1 << 41)].concat(), &1u64);
    });
    damaged("records-decode", Cost::Nothing, |_, tx| {
        let key = find_key(tx, Family::Part, |_, value| decode::<PartRecord>(value).is_ok());
        spoil(tx, Family::Part, &key);
    });
}

#[test]
fn what_is_kept_of_bytes_that_are_others() {
    damaged("sums-fit-content", Cost::Nothing, |_, tx| {
        tx.put(Family::Sums, &id(1 << 41), &ObjectSums::default());
    });
    damaged("sums-fit-content", Cost::Nothing, |at, tx| {
        let parts = vec![ObjectPart { number: 1, size: at.two.size + 1, sum: None }];
        tx.put(Family::Sums, &id(at.two.content.0), &ObjectSums { parts, ..ObjectSums::default() });
    });
}

#[test]
fn what_was_laid_aside_is_in_the_quarantine() {
    let (home, _store, _) = damaged("records-decode", Cost::Nothing, |at, tx| {
        spoil(tx, Family::Dent, &dent_key(at.root, "small"));
        tx.put_bytes(Family::Unsealed, &id(10), encode(&Ledger::default()));
    });
    let files: Vec<_> = std::fs::read_dir(home.dir.path().join("quarantine")).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 1);
    let text = std::fs::read_to_string(files[0].path()).unwrap();
    use base64::Engine as _;
    let value = base64::engine::general_purpose::STANDARD.encode(GARBAGE);
    let line = text.lines().find(|line| line.contains("\"dent\"")).unwrap();
    assert!(line.contains(&value), "{line}");
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["family"], "dent");
}

#[test]
fn deleting_works_where_the_content_is_damaged() {
    let (home, store) = populated();
    let object = store.get(B, &key("a/two"), None).unwrap();
    drop(store);
    tamper(&home, |tx| spoil(tx, Family::Content, &id(object.content.0)));
    let store = home.open();
    store.delete(B, &key("a/two"), Some(object.version), keyfold::store::Condition::Always).unwrap();
    reap(&store);
    put_and_get(&store);
    repair(&store);
    fsck(&store);
    assert_eq!(ContentId::EMPTY.0, 0);
}

fn put_and_get(store: &Arc<Store>) {
    super::super::harness::put(store, "new", b"new");
    assert_eq!(get(store, "new").unwrap(), b"new");
}
