//! What each kind of rule does to what is in a bucket.

use super::super::harness::{
    B, all_versions, begin_upload, delete, dir, fsck, get, key, list, posix, purge, put, put_part, root, versions,
    write_file,
};
use super::{days, events, pass, rule, ruled, set};
use keyfold::model::Versioning::{Enabled, Suspended, Unversioned};
use keyfold::model::{BucketLock, FileKind, Kind, ObjectLock, Retention, RetentionMode, StorageClass, VersionId};
use keyfold::store::{Document, ListUploads, Locked, PosixChange, PutOptions, Session};

const EXPIRE_3: &str = r#""Expiration":{"Days":3}"#;
const LONE: &str = r#""Expiration":{"ExpiredObjectDeleteMarker":true}"#;

#[test]
fn lc_7_lc_17_an_unversioned_object_goes_at_the_midnight_after_its_days() {
    let (home, store) = ruled(Unversioned, &rule(EXPIRE_3));
    put(&store, "d/f", b"x");
    let commit = store.commits();
    // Made at 22:13: due on the fourth midnight.
    days(&home, 3);
    assert!(pass(&store).is_empty());
    days(&home, 1);
    assert_eq!(pass(&store), ["delete d/f"]);
    assert_eq!(get(&store, "d/f").unwrap_err().kind(), Kind::NoSuchKey);
    assert_eq!(events(&store, commit), ["LifecycleExpiration:Delete d/f"], "LC-32");
    assert!(store.resolve_dir(&store.bucket(B).unwrap(), "d/").unwrap().is_none(), "KEY-6");
    assert!(pass(&store).is_empty());
    fsck(&store);
}

#[test]
fn lc_17_lc_18_a_versioned_object_is_marked_once_and_keeps_its_versions() {
    let (home, store) = ruled(Enabled, &rule(EXPIRE_3));
    let old = put(&store, "f", b"one");
    let new = put(&store, "f", b"two");
    let commit = store.commits();
    days(&home, 4);
    assert_eq!(pass(&store), ["mark f"]);
    assert_eq!(events(&store, commit), ["LifecycleExpiration:DeleteMarkerCreated f"], "LC-32");
    let left = versions(&store, "f");
    assert_eq!(left.iter().map(|object| object.marker).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!([left[1].version, left[2].version], [new.version, old.version]);
    for _ in 0..3 {
        days(&home, 100);
        assert!(pass(&store).is_empty());
    }
    assert_eq!(versions(&store, "f").len(), 3);
    fsck(&store);
}

#[test]
fn lc_17_in_a_suspended_bucket_a_null_version_is_destroyed_and_others_stay() {
    let (home, store) = ruled(Enabled, &rule(EXPIRE_3));
    put(&store, "kept", b"has an id");
    store.set_versioning(B, Suspended).unwrap();
    put(&store, "null", b"has none");
    days(&home, 4);
    assert_eq!(pass(&store), ["mark kept", "replace null"]);
    let ids = |name: &str| versions(&store, name).iter().map(|one| (one.version, one.marker)).collect::<Vec<_>>();
    assert_eq!(ids("null"), [(VersionId::Null, true)]);
    assert_eq!(ids("kept")[0], (VersionId::Null, true));
    assert_eq!(ids("kept").len(), 2);
    // LC-19: that marker is alone, and old enough in its turn.
    days(&home, 4);
    assert_eq!(pass(&store), ["unmark null"]);
    fsck(&store);
}

#[test]
fn lc_19_markers_with_nothing_below_go_at_once_or_when_they_are_old() {
    let (home, store) = ruled(Enabled, &rule(LONE));
    delete(&store, "never/was");
    put(&store, "f", b"x");
    delete(&store, "f");
    let commit = store.commits();
    assert_eq!(pass(&store), ["unmark never/was"]);
    assert_eq!(events(&store, commit), ["LifecycleExpiration:Delete never/was"]);
    let of_data = versions(&store, "f")[1].version;
    purge(&store, "f", of_data);
    set(&store, &rule(EXPIRE_3));
    days(&home, 3);
    assert!(pass(&store).is_empty());
    days(&home, 1);
    assert_eq!(pass(&store), ["unmark f"]);
    assert!(all_versions(&store, B, 10).is_empty());
    store.delete_bucket(B).unwrap();
}

#[test]
fn lc_8_lc_21_lc_22_lc_23_noncurrent_versions_go_when_both_conditions_hold() {
    let rules = rule(r#""NoncurrentVersionExpiration":{"NoncurrentDays":2,"NewerNoncurrentVersions":2}"#);
    let (home, store) = ruled(Enabled, &rules);
    for n in 0..5u8 {
        put(&store, "f", &[n]);
    }
    assert!(pass(&store).is_empty());
    days(&home, 3);
    assert_eq!(pass(&store), ["delete f", "delete f"]);
    let left: Vec<_> = versions(&store, "f").iter().map(|object| get_byte(&store, object)).collect();
    assert_eq!(left, [4, 3, 2]);
    // Markers are not counted, and are versions as others are.
    put(&store, "g", b"x");
    delete(&store, "g");
    put(&store, "g", b"y");
    set(&store, &rule(r#""NoncurrentVersionExpiration":{"NoncurrentDays":2}"#));
    days(&home, 3);
    assert_eq!(pass(&store), ["delete f", "delete f", "delete g", "unmark g"]);
    assert_eq!((versions(&store, "f").len(), versions(&store, "g").len()), (1, 1));
    fsck(&store);
}

fn get_byte(store: &std::sync::Arc<keyfold::store::Store>, object: &keyfold::model::Object) -> u8 {
    super::super::harness::read(store, object).unwrap()[0]
}

#[test]
fn lc_4_lc_5_lc_6_filters_choose_by_prefix_tag_and_size() {
    let both = r#"{"And":{"Prefix":"logs/","Tags":[{"Key":"keep","Value":"no"}],"ObjectSizeGreaterThan":2}}"#;
    let (home, store) = ruled(Unversioned, &format!(r#"[{{"ID":"r","Status":"Enabled","Filter":{both},{EXPIRE_3}}}]"#));
    let mut options = PutOptions::default();
    options.tags.set("keep", "no").unwrap();
    options.tags.set("other", "x").unwrap();
    for (name, bytes, tagged) in
        [("logs/a", "xxx", true), ("logs/b", "xx", true), ("logs/c", "xxx", false), ("log", "xxx", true)]
    {
        let options = if tagged { options.clone() } else { PutOptions::default() };
        store.put(B, &key(name), &mut bytes.as_bytes(), &options).unwrap();
    }
    days(&home, 4);
    assert_eq!(pass(&store), ["delete logs/a"]);
    assert_eq!(list(&store, B, "", None, 10), ["log", "logs/b", "logs/c"]);
}

#[test]
fn lc_9_a_date_that_has_passed_takes_what_is_there_and_what_comes_later() {
    let (home, store) = ruled(Unversioned, &rule(r#""Expiration":{"Date":"2020-01-01"}"#));
    put(&store, "a", b"x");
    assert_eq!(pass(&store), ["delete a"]);
    days(&home, 1);
    put(&store, "b", b"x");
    assert_eq!(pass(&store), ["delete b"]);
}

#[test]
fn lc_2_disabled_rules_do_nothing_and_stay() {
    let rules = rule(EXPIRE_3).replace("Enabled", "Disabled");
    let (home, store) = ruled(Unversioned, &rules);
    put(&store, "f", b"x");
    days(&home, 100);
    assert!(pass(&store).is_empty());
    let text = Document::named("lifecycle").unwrap().read(&store, &store.bucket(B).unwrap()).unwrap();
    assert!(text.contains("\"Disabled\""), "{text}");
}

#[test]
fn lc_24_uploads_are_given_up_by_their_age_and_objects_never_end_them() {
    let rules = format!(
        r#"[{{"ID":"r","Status":"Enabled","Filter":{{"Prefix":"up/"}},"AbortIncompleteMultipartUpload":{{"DaysAfterInitiation":3}}}},
            {{"ID":"s","Status":"Enabled","Filter":{{}},{EXPIRE_3}}}]"#
    );
    let (home, store) = ruled(Unversioned, &rules);
    let uploads: Vec<_> = ["other", "up/a", "up/b"].iter().map(|name| begin_upload(&store, name)).collect();
    put_part(&store, uploads[1], 1, b"part");
    days(&home, 3);
    assert!(pass(&store).is_empty());
    let young = begin_upload(&store, "up/young");
    days(&home, 1);
    let commit = store.commits();
    assert_eq!(super::pass_by(&store, 1, store.now()), ["abort up/a", "abort up/b"]);
    assert!(events(&store, commit).is_empty());
    let left = store.list_uploads(B, &ListUploads { limit: 10, ..ListUploads::default() }).unwrap().uploads;
    assert_eq!(left.iter().map(|upload| upload.id).collect::<Vec<_>>(), [uploads[0], young]);
    assert_eq!(store.usage(store.bucket(B).unwrap().id).unwrap().upload_bytes, 0);
    fsck(&store);
}

#[test]
fn what_is_being_made_or_written_is_left_alone_until_it_is_whole() {
    let (home, store) = ruled(Enabled, &rule(EXPIRE_3));
    let top = root(&store);
    let made = store.create_draft(top, "draft", &posix(FileKind::File)).unwrap();
    let object = write_file(&store, top, "open", b"one");
    let mut session = Session::new();
    let mut draft = store.draft(Some(&object)).unwrap();
    draft.write_at(0, b"two").unwrap();
    store.publish((top, "open"), object.ino, &mut draft, &mut session, &PosixChange::default()).unwrap();
    days(&home, 10);
    assert!(pass(&store).is_empty(), "a session over it has not ended");
    assert_eq!(get(&store, "open").unwrap(), b"two");
    store.seal(session).unwrap();
    assert_eq!(pass(&store), ["mark open"]);
    store.discard_draft(top, "draft", made.object.ino).unwrap();
    fsck(&store);
}

#[test]
fn each_name_of_a_file_is_an_object() {
    let (home, store) =
        ruled(Unversioned, &format!(r#"[{{"ID":"r","Status":"Enabled","Filter":{{"Prefix":"a/"}},{EXPIRE_3}}}]"#));
    put(&store, "a/f", b"linked");
    put(&store, "b/g", b"x");
    let ino = super::super::harness::file(&store, dir(&store, "a/"), "f").object.ino;
    store.link(ino, (dir(&store, "a/"), "f"), (dir(&store, "b/"), "f")).unwrap();
    days(&home, 4);
    assert_eq!(pass(&store), ["delete a/f"]);
    assert_eq!(get(&store, "b/f").unwrap(), b"linked");
    fsck(&store);
}

#[test]
fn directories_that_were_deleted_have_history_too() {
    let rules =
        rule(r#""NoncurrentVersionExpiration":{"NoncurrentDays":1},"Expiration":{"ExpiredObjectDeleteMarker":true}"#);
    let (home, store) = ruled(Enabled, &rules);
    for name in ["d/e/f", "d/e/g", "d/f"] {
        put(&store, name, b"x");
        put(&store, name, b"y");
        delete(&store, name);
    }
    // Others of the same names.
    put(&store, "d/e/f", b"z");
    days(&home, 3);
    let mut did = pass(&store);
    did.sort();
    let expected = [
        "delete d/e/f",
        "delete d/e/f",
        "delete d/e/g",
        "delete d/e/g",
        "delete d/f",
        "delete d/f",
        "unmark d/e/f",
        "unmark d/e/g",
        "unmark d/f",
    ];
    assert_eq!(did, expected);
    let left = all_versions(&store, B, 100);
    assert_eq!(left.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["d/e/f"]);
    fsck(&store);
}

#[test]
fn lc_25_lc_26_lc_31_moves_leave_a_version_what_it_is() {
    let steps = r#""Transitions":[{"Days":30,"StorageClass":"STANDARD_IA"},{"Days":60,"StorageClass":"GLACIER"}],
        "NoncurrentVersionTransitions":[{"NoncurrentDays":10,"StorageClass":"DEEP_ARCHIVE"}],"Expiration":{"Days":90}"#;
    let (home, store) = ruled(Enabled, &rule(steps));
    let mut options = PutOptions::default();
    options.tags.set("a", "b").unwrap();
    let large = vec![b'x'; 200 << 10];
    let before = store.put(B, &key("f"), &mut &large[..], &options).unwrap();
    put(&store, "small", b"x");
    let commit = store.commits();
    days(&home, 31);
    assert_eq!(pass(&store), ["STANDARD_IA f"], "LC-15: small ones stay");
    let now = store.get(B, &key("f"), None).unwrap();
    assert_eq!(now.class, StorageClass::StandardIa);
    assert_eq!(
        (now.version, now.modified, now.etag, &now.tags, now.content),
        (before.version, before.modified, before.etag, &before.tags, before.content)
    );
    assert_eq!(events(&store, commit), ["LifecycleTransition f"], "LC-32");
    days(&home, 30);
    assert_eq!(pass(&store), ["GLACIER f"]);
    days(&home, 30);
    assert_eq!(pass(&store), ["mark f", "mark small"]);
    days(&home, 11);
    assert_eq!(pass(&store), ["DEEP_ARCHIVE f"]);
    let class = versions(&store, "f")[1].class;
    assert_eq!(class, StorageClass::DeepArchive);
    assert!(pass(&store).is_empty());
    fsck(&store);
}

#[test]
fn lc_28_lock_14_lock_15_locked_versions_stay_until_their_lock_ends() {
    let rules = rule(&format!(r#"{EXPIRE_3},"NoncurrentVersionExpiration":{{"NoncurrentDays":1}}"#));
    let (home, store) = ruled(Enabled, &rules);
    store.set_bucket_lock(B, BucketLock::default()).unwrap();
    let until = store.now().plus_days(30);
    let retention = Some(Retention { mode: RetentionMode::Compliance, until });
    let options = PutOptions { lock: ObjectLock { retention, hold: None }, ..PutOptions::default() };
    store.put(B, &key("kept"), &mut &b"x"[..], &options).unwrap();
    let held = PutOptions { lock: ObjectLock { retention: None, hold: Some(true) }, ..PutOptions::default() };
    let version = store.put(B, &key("held"), &mut &b"x"[..], &held).unwrap().version;
    put(&store, "free", b"x");
    days(&home, 4);
    assert_eq!(pass(&store), ["mark free", "mark held", "mark kept"], "LOCK-14: markers are placed");
    days(&home, 10);
    assert_eq!(pass(&store), ["delete free", "unmark free"]);
    days(&home, 20);
    assert_eq!(pass(&store), ["delete kept", "unmark kept"], "the lock is over");
    let name = key("held");
    let of = Locked::key(B, &name, Some(version));
    store.set_legal_hold(&of, Some(false)).unwrap();
    assert_eq!(pass(&store), ["delete held", "unmark held"]);
    assert!(all_versions(&store, B, 10).is_empty());
    fsck(&store);
}

#[test]
fn ver_20_rules_that_free_nothing_are_spoken_of() {
    let (_home, store) = ruled(Unversioned, &rule(EXPIRE_3));
    let advice = || store.advice(&store.bucket(B).unwrap());
    assert_eq!(advice(), None);
    store.set_versioning(B, Enabled).unwrap();
    assert!(advice().unwrap().contains("NoncurrentVersionExpiration"));
    set(&store, &rule(&format!(r#"{EXPIRE_3},"NoncurrentVersionExpiration":{{"NoncurrentDays":1}}"#)));
    assert_eq!(advice(), None);
}

#[test]
fn lc_3_a_document_is_replaced_whole_and_its_rules_keep_their_names() {
    let (_home, store) = ruled(Unversioned, r#"[{"Status":"Enabled","Prefix":"a","Expiration":{"Days":1}}]"#);
    let document = Document::named("lifecycle").unwrap();
    let text = || document.read(&store, &store.bucket(B).unwrap());
    let first = text().unwrap();
    assert!(first.contains("\"ID\""), "{first}");
    document.replace(&store, &store.bucket(B).unwrap(), first.as_bytes()).unwrap();
    assert_eq!(text().as_ref(), Some(&first));
    for (bad, kind) in [
        (r#"{"Rules":[]}"#, Kind::InvalidRequest),
        ("{}", Kind::Malformed),
        (r#"{"Rules":[{"ID":"r","Status":"Enabled","Filter":{},"Expiration":{"Days":0}}]}"#, Kind::InvalidArgument),
        ("[1]", Kind::InvalidArgument),
    ] {
        let refused = document.replace(&store, &store.bucket(B).unwrap(), bad.as_bytes()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{bad}: {refused}");
        assert_eq!(text().as_ref(), Some(&first));
    }
    document.unset(&store, &store.bucket(B).unwrap()).unwrap();
    assert_eq!(text(), None);
}
