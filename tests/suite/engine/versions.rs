//! Versions and deletes: VER, DEL, BKT-12.

use super::harness::{B, Home, all_versions, delete, fsck, get, key, make_bucket, purge, put, refused, versions};
use keyfold::model::Versioning::{Enabled, Suspended, Unversioned};
use keyfold::model::{Kind, VersionId};
use keyfold::store::Condition;

#[test]
fn ver_1_versioning_is_never_unset() {
    let (_home, store) = Home::with_bucket(Unversioned);
    store.set_versioning(B, Unversioned).unwrap();
    store.set_versioning(B, Enabled).unwrap();
    store.set_versioning(B, Suspended).unwrap();
    refused(store.set_versioning(B, Unversioned), Kind::InvalidState);
}

#[test]
fn ver_3_ver_6_ver_7_ver_9_one_null_version_wherever_it_stands() {
    let (_home, store) = Home::with_bucket(Unversioned);
    put(&store, "f", b"null 1");
    store.set_versioning(B, Enabled).unwrap();
    let (one, two) = (put(&store, "f", b"one"), put(&store, "f", b"two"));
    assert_eq!(store.get(B, &key("f"), Some(VersionId::Null)).unwrap().size, 6, "VER-3: it stays");
    store.set_versioning(B, Suspended).unwrap();
    let null = put(&store, "f", b"null 2!");
    assert_eq!(null.version, VersionId::Null);
    let ids: Vec<VersionId> = versions(&store, "f").iter().map(|object| object.version).collect();
    assert_eq!(ids, [VersionId::Null, two.version, one.version]);
    assert_eq!(store.get(B, &key("f"), Some(VersionId::Null)).unwrap().size, 7);
    fsck(&store);
}

#[test]
fn ver_9_ver_11_the_null_version_may_be_a_marker_and_cannot_be_read() {
    let (_home, store) = Home::with_bucket(Suspended);
    put(&store, "f", b"x");
    let deleted = delete(&store, "f");
    assert_eq!((deleted.version, deleted.marker), (Some(VersionId::Null), true));
    refused(store.get(B, &key("f"), Some(VersionId::Null)), Kind::IsMarker);
    assert_eq!(versions(&store, "f").len(), 1, "DEL-4: it took the null version's place");
    assert_eq!(put(&store, "f", b"y").version, VersionId::Null);
    assert_eq!(versions(&store, "f").len(), 1);
    fsck(&store);
}

#[test]
fn ver_13_restore_makes_a_version_and_ver_14_undelete_removes_markers() {
    let (home, store) = Home::with_bucket(Enabled);
    let first = put(&store, "d/f", b"first");
    put(&store, "d/f", b"second");
    home.later();
    let (dirs, name) = store.history_place(B, &key("d/f")).unwrap();
    let restored = store.restore(&dirs, &name, first.version).unwrap();
    assert_eq!((get(&store, "d/f").unwrap(), restored.content), (b"first".to_vec(), first.content));
    assert!(restored.modified > first.modified && restored.version != first.version);
    for _ in 0..3 {
        delete(&store, "d/f");
    }
    assert!(store.resolve_dir(&store.bucket(B).unwrap(), "d/").unwrap().is_none(), "KEY-6");
    let (dirs, name) = store.history_place(B, &key("d/f")).unwrap();
    assert_eq!(store.undelete(&dirs, &name).unwrap().version, restored.version);
    refused(store.undelete(&dirs, &name), Kind::AlreadyExists);
    assert_eq!(versions(&store, "d/f").len(), 3);
    fsck(&store);
}

#[test]
fn del_1_unversioned_deletes_are_for_good_and_absent_keys_are_no_error() {
    let (_home, store) = Home::with_bucket(Unversioned);
    put(&store, "f", b"x");
    assert_eq!(delete(&store, "f").version, None);
    assert!(!delete(&store, "f").marker && !delete(&store, "never/was").marker);
    refused(get(&store, "f"), Kind::NoSuchKey);
    assert!(all_versions(&store, B, 10).is_empty());
    store.delete_bucket(B).unwrap();
}

#[test]
fn del_2_del_3_each_delete_adds_a_marker_even_for_keys_that_never_were() {
    let (_home, store) = Home::with_bucket(Enabled);
    let ids = [delete(&store, "no/such").version.unwrap(), delete(&store, "no/such").version.unwrap()];
    assert!(ids[0] != ids[1] && !ids.contains(&VersionId::Null));
    assert_eq!(versions(&store, "no/such").iter().filter(|object| object.marker).count(), 2);
    fsck(&store);
    ids.into_iter().for_each(|id| purge(&store, "no/such", id));
    fsck(&store);
    store.delete_bucket(B).unwrap();
}

#[test]
fn del_5_del_6_del_7_delete_by_id() {
    let (_home, store) = Home::with_bucket(Enabled);
    let all: Vec<_> = (0..4u8).map(|n| put(&store, "f", &[n; 9])).collect();
    purge(&store, "f", all[1].version);
    assert_eq!(get(&store, "f").unwrap(), [3; 9]);
    purge(&store, "f", all[3].version);
    assert_eq!(get(&store, "f").unwrap(), [2; 9], "DEL-6: the next older one is current");
    let marker = delete(&store, "f");
    let told = store.delete(B, &key("f"), marker.version, Condition::Always).unwrap();
    assert!(told.marker && get(&store, "f").unwrap() == [2; 9]);
    purge(&store, "f", all[1].version);
    purge(&store, "f", VersionId::Null);
    assert_eq!(versions(&store, "f").len(), 2, "DEL-7: no such version, no error, no change");
    fsck(&store);
}

#[test]
fn del_6_the_next_entry_may_be_a_marker() {
    let (_home, store) = Home::with_bucket(Enabled);
    put(&store, "f", b"old");
    delete(&store, "f");
    let new = put(&store, "f", b"new");
    purge(&store, "f", new.version);
    refused(get(&store, "f"), Kind::NoSuchKey);
    assert!(versions(&store, "f")[0].marker);
    fsck(&store);
}

#[test]
fn del_6_holds_for_directory_keys_too() {
    let (_home, store) = Home::with_bucket(Enabled);
    put(&store, "d/", b"body");
    let second = put(&store, "d/", b"");
    purge(&store, "d/", second.version);
    assert_eq!(get(&store, "d/").unwrap(), b"body");
    fsck(&store);
}

#[test]
fn bkt_9_bkt_12_bkt_14_a_bucket_goes_when_nothing_is_left_in_it() {
    let (_home, store) = Home::with_bucket(Enabled);
    refused(
        store.create_bucket(
            &keyfold::model::BucketName::parse(B).unwrap(),
            &super::harness::posix(keyfold::model::FileKind::Directory),
        ),
        Kind::BucketExists,
    );
    let object = put(&store, "f", b"x");
    refused(store.delete_bucket(B), Kind::BucketNotEmpty);
    let marker = delete(&store, "f");
    purge(&store, "f", object.version);
    refused(store.delete_bucket(B), Kind::BucketNotEmpty);
    purge(&store, "f", marker.version.unwrap());
    store.delete_bucket(B).unwrap();
    refused(store.bucket(B), Kind::NoSuchBucket);
    make_bucket(&store, B);
    assert!(all_versions(&store, B, 9).is_empty());
    fsck(&store);
}

#[test]
fn an_undeleted_object_was_there_all_the_time_for_time_travel() {
    let (home, store) = Home::with_bucket(Enabled);
    put(&store, "f", b"x");
    let before = home.later();
    let marker = delete(&store, "f");
    home.later();
    purge(&store, "f", marker.version.unwrap());
    let root = store.bucket(B).unwrap().root;
    assert!(store.as_of(before).lookup(root, "f").unwrap().is_some());
}
