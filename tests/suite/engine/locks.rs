//! Object lock in the engine: every way to destroy or weaken, against every lock (LOCK).

use super::harness::*;
use keyfold::model::Versioning::{Enabled, Suspended, Unversioned};
use keyfold::model::{
    BucketLock, BucketName, DefaultRetention, FileKind, Kind, Leave, Metadata, Object, ObjectLock, Period, Result,
    Retention, RetentionMode, TagSet, Timestamp, VersionId,
};
use keyfold::store::{
    CompleteOptions, Condition, CopyOptions, DeleteOne, Locked, PosixChange, PutOptions, RenameHow, Session, Store,
    UploadOptions,
};
use std::sync::Arc;

const DAY: i64 = 86_400;
const BYTES: &[u8] = b"what must not go";
const BYPASS: Leave = Leave { governance: true, mfa: false };
const NOBODY: Leave = Leave { governance: false, mfa: false };

fn retained(mode: RetentionMode, until: Timestamp) -> ObjectLock {
    ObjectLock { retention: Some(Retention { mode, until }), hold: None }
}

fn in_days(store: &Store, days: u32) -> Timestamp {
    store.now().plus_days(days)
}

/// A store whose bucket has object lock.
fn locked_bucket() -> (Home, Arc<Store>) {
    let home = Home::new();
    let store = home.open();
    store.create_locked_bucket(&BucketName::parse(B).unwrap(), &posix(FileKind::Directory)).unwrap();
    (home, store)
}

fn set_default(store: &Store, mode: RetentionMode, period: Period) {
    let default = Some(DefaultRetention { mode, period });
    store.set_bucket_lock(B, BucketLock { default }).unwrap();
}

fn put_locked(store: &Arc<Store>, name: &str, lock: ObjectLock) -> Object {
    let options = PutOptions { lock, ..PutOptions::default() };
    store.put(B, &key(name), &mut &BYTES[..], &options).unwrap()
}

/// The locks of the matrix by their names, and whether bypassing ends them.
fn kinds(store: &Store) -> [(&'static str, ObjectLock, bool); 6] {
    let until = in_days(store, 30);
    let (governance, compliance) =
        (retained(RetentionMode::Governance, until), retained(RetentionMode::Compliance, until));
    let held = |lock: ObjectLock| ObjectLock { hold: Some(true), ..lock };
    [
        ("none", ObjectLock { retention: None, hold: Some(false) }, true),
        ("governance", governance, true),
        ("compliance", compliance, false),
        ("hold", held(ObjectLock::NONE), false),
        ("governance and hold", held(governance), false),
        ("compliance and hold", held(compliance), false),
    ]
}

/// The version is there as it was, and reads.
#[track_caller]
fn there(store: &Arc<Store>, name: &str, before: &Object, what: &str) {
    let all = all_versions(store, B, 1000);
    let found = all.iter().find(|entry| entry.key == name && entry.object.version == before.version);
    let found = &found.unwrap_or_else(|| panic!("{what}: the version is gone")).object;
    assert_eq!(
        (found.lock, found.modified, &found.metadata),
        (before.lock, before.modified, &before.metadata),
        "{what}"
    );
    assert_eq!((found.etag, found.size), (before.etag, before.size), "{what}");
    assert_eq!(read(store, found).unwrap(), BYTES, "{what}");
}

/// One way to destroy a version that is the current one of `f`.
type Way = fn(&Arc<Store>, &Object, Leave) -> Result<()>;

fn by_id(store: &Arc<Store>, object: &Object, leave: Leave) -> Result<()> {
    let one = DeleteOne { key: key("f"), version: Some(object.version), condition: Condition::Always, leave };
    store.delete_with(B, &one).map(drop)
}

fn of_many(store: &Arc<Store>, object: &Object, leave: Leave) -> Result<()> {
    let one = |name: &str, version| DeleteOne { key: key(name), version, condition: Condition::Always, leave };
    let answers = store.delete_many(B, &[one("f", Some(object.version)), one("other", None)])?;
    let mut answers = answers.into_iter();
    let first = answers.next().unwrap().map(drop);
    assert!(answers.next().unwrap().is_ok(), "the others are deleted (DEL-9)");
    first
}

fn by_place(store: &Arc<Store>, object: &Object, leave: Leave) -> Result<()> {
    store.delete_version_with(&[root(store)], "f", (object.version, object.seq), leave)
}

fn below_another(store: &Arc<Store>, object: &Object, leave: Leave) -> Result<()> {
    put(store, "f", b"newer");
    by_id(store, object, leave)
}

fn below_a_marker(store: &Arc<Store>, object: &Object, leave: Leave) -> Result<()> {
    delete(store, "f");
    by_place(store, object, leave)
}

fn one_of_two_alike(store: &Arc<Store>, object: &Object, leave: Leave) -> Result<()> {
    store.put(B, &key("d/other"), &mut &BYTES[..], &PutOptions::default()).unwrap();
    let _ = store.delete(B, &key("d/f"), None, Condition::Always);
    store.link(object.ino, (root(store), "f"), (dir(store, "d/"), "f")).unwrap();
    let found = store.get(B, &key("f"), None).unwrap();
    store.delete_version_with(&[root(store)], "f", (found.version, found.seq), leave)
}

fn one_of_two_names(store: &Arc<Store>, object: &Object, leave: Leave) -> Result<()> {
    store.link(object.ino, (root(store), "f"), (root(store), "g")).unwrap();
    let found = store.get(B, &key("f"), None).unwrap();
    let done = store.delete_version_with(&[root(store)], "f", (found.version, found.seq), leave);
    let other = DeleteOne { key: key("g"), version: Some(found.version), condition: Condition::Always, leave };
    assert_eq!(store.delete_with(B, &other).is_ok(), done.is_ok());
    done
}

#[test]
fn lock_3_4_5_12_13_14_no_way_destroys_a_locked_version() {
    let ways: [(&str, Way); 7] = [
        ("by its id", by_id),
        ("among many", of_many),
        ("by its place", by_place),
        ("below another", below_another),
        ("below a marker", below_a_marker),
        ("one of two names", one_of_two_names),
        ("one of two names alike", one_of_two_alike),
    ];
    let (home, mut store) = locked_bucket();
    for (way_name, way) in ways {
        for (kind, lock, bypassable) in kinds(&store) {
            for leave in [NOBODY, BYPASS] {
                let what = format!("{way_name}, {kind}, {leave:?}");
                // A name of its own for each round: what is locked stays.
                let store = &store;
                clear(store);
                let object = put_locked(store, "f", lock);
                let done = way(store, &object, leave);
                let free = lock.retention.is_none() && !lock.is_held();
                if free || (leave == BYPASS && bypassable) {
                    done.unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert!(!versions(store, "f").iter().any(|found| found.version == object.version), "{what}");
                } else {
                    let error = done.expect_err(&what);
                    assert_eq!(error.kind(), Kind::Locked, "{what}: {error}");
                    there(store, "f", &object, &what);
                }
            }
        }
        fsck(&store);
        drop(store);
        store = home.open();
    }
    // What stays stays through compaction and freeing, and a bucket with it is not deleted.
    compact(&store);
    fsck(&store);
    refused(store.delete_bucket(B), Kind::BucketNotEmpty);
}

/// Moves what is locked out of the way of the next round: the name is deleted, which every lock allows (LOCK-14).
fn clear(store: &Arc<Store>) {
    for name in ["f", "g", "other"] {
        let _ = store.delete(B, &key(name), None, Condition::Always);
    }
}

/// What changes a name and keeps its versions, however they are locked.
#[test]
fn lock_3_lock_14_everything_else_keeps_a_locked_version() {
    type Act = fn(&Arc<Store>, &Object);
    let acts: [(&str, Act); 16] = [
        ("delete", |store, _| {
            delete(store, "f");
        }),
        ("rm", |store, _| drop(store.remove(root(store), "f").unwrap())),
        ("put", |store, _| drop(put(store, "f", b"newer"))),
        ("complete", |store, _| drop(put_in_parts(store, "f", &[b"newer".to_vec()]))),
        ("copy over", |store, _| {
            let from = put(store, "source", b"newer");
            store.copy(&from, B, &key("f"), &CopyOptions::default()).unwrap();
        }),
        ("write", |store, object| {
            drop(rewrite_file(store, root(store), "f", object, |d| d.write_at(0, b"X").unwrap()))
        }),
        ("truncate", |store, object| drop(rewrite_file(store, root(store), "f", object, |d| d.truncate(0).unwrap()))),
        ("metadata", |store, _| {
            let mut metadata = Metadata::default();
            metadata.set_user("a", "b").unwrap();
            store.set_metadata((root(store), "f"), &metadata).unwrap();
        }),
        ("restore", |store, object| {
            put(store, "f", b"newer");
            store.restore(&[root(store)], "f", object.version).unwrap();
        }),
        ("undelete", |store, _| {
            delete(store, "f");
            store.undelete(&[root(store)], "f").unwrap();
        }),
        ("rename away", |store, _| store.rename((root(store), "f"), (root(store), "g"), RenameHow::Replace).unwrap()),
        ("rename over", |store, _| {
            put(store, "source", b"newer");
            store.rename((root(store), "source"), (root(store), "f"), RenameHow::Replace).unwrap();
        }),
        ("link and rm", |store, object| {
            store.link(object.ino, (root(store), "f"), (root(store), "g")).unwrap();
            store.remove(root(store), "f").unwrap();
            store.remove(root(store), "g").unwrap();
        }),
        ("link, rename and write", |store, object| {
            store.link(object.ino, (root(store), "f"), (root(store), "g")).unwrap();
            store.rename((root(store), "g"), (root(store), "other"), RenameHow::Replace).unwrap();
            rewrite_file(store, root(store), "other", object, |d| d.write_at(0, b"X").unwrap());
        }),
        ("a draft over it", |store, _| {
            let made = store.create_draft(root(store), "source", &posix(FileKind::File)).unwrap();
            store.rename((root(store), "source"), (root(store), "f"), RenameHow::Replace).unwrap();
            store.discard_draft(root(store), "f", made.object.ino).unwrap();
        }),
        ("exchange", |store, _| {
            put(store, "source", b"newer");
            let exchanged = store.rename((root(store), "source"), (root(store), "f"), RenameHow::Exchange);
            refused(exchanged, Kind::CrossBucket);
        }),
    ];
    let (home, mut store) = locked_bucket();
    for (name, act) in acts {
        for (kind, lock, _) in kinds(&store) {
            clear(&store);
            let object = put_locked(&store, "f", lock);
            act(&store, &object);
            there(&store, "f", &object, &format!("{name}, {kind}"));
        }
        fsck(&store);
        drop(store);
        // What was durable is there again, as a crash leaves it.
        store = home.open();
    }
}

#[test]
fn lock_1_lock_2_ver_17_object_lock_is_for_good_and_needs_versioning() {
    for versioning in [Unversioned, Suspended] {
        let (_home, store) = Home::with_bucket(versioning);
        refused(store.set_bucket_lock(B, BucketLock::default()), Kind::InvalidState);
    }
    let (_home, store) = Home::with_bucket(Enabled);
    put(&store, "before", BYTES);
    refused(store.set_retention(&Locked::key(B, &key("before"), None), None, BYPASS), Kind::InvalidRequest);
    refused(store.set_legal_hold(&Locked::key(B, &key("before"), None), Some(true)), Kind::InvalidRequest);
    let until = in_days(&store, 1);
    let options = PutOptions { lock: retained(RetentionMode::Governance, until), ..PutOptions::default() };
    refused(store.put(B, &key("f"), &mut &BYTES[..], &options), Kind::InvalidRequest);
    store.set_bucket_lock(B, BucketLock::default()).unwrap();
    refused(store.set_versioning(B, Suspended), Kind::InvalidState);
    refused(store.set_versioning(B, Unversioned), Kind::InvalidState);
    store.set_versioning(B, Enabled).unwrap();
    // What was there before may be locked from now on.
    store.set_legal_hold(&Locked::key(B, &key("before"), None), Some(true)).unwrap();
    let (locked, store) = locked_bucket();
    assert_eq!(store.bucket(B).unwrap().versioning, Enabled);
    drop(locked);
}

#[test]
fn lock_4_5_6_7_18_a_retention_is_extended_by_anybody_and_weakened_by_few() {
    use RetentionMode::{Compliance, Governance};
    let (home, store) = locked_bucket();
    let until = |days| in_days(&store, days);
    let kept = |mode, days| Some(Retention { mode, until: until(days) });
    // Old, new, and who may: nobody, who bypasses, anybody.
    let table = [
        (None, kept(Governance, 5), "anybody"),
        (kept(Governance, 10), kept(Governance, 11), "anybody"),
        (kept(Governance, 10), kept(Compliance, 11), "anybody"),
        (kept(Governance, 10), kept(Compliance, 10), "bypass"),
        (kept(Governance, 10), kept(Governance, 9), "bypass"),
        (kept(Governance, 10), kept(Compliance, 9), "bypass"),
        (kept(Governance, 10), None, "bypass"),
        (kept(Compliance, 10), kept(Compliance, 11), "anybody"),
        (kept(Compliance, 10), kept(Compliance, 9), "nobody"),
        (kept(Compliance, 10), kept(Governance, 11), "nobody"),
        (kept(Compliance, 10), None, "nobody"),
    ];
    for hold in [None, Some(true)] {
        for (old, new, who) in table {
            for leave in [NOBODY, BYPASS] {
                let object = put_locked(&store, "f", ObjectLock { retention: old, hold });
                home.later();
                let of = key("f");
                let done = store.set_retention(&Locked::key(B, &of, Some(object.version)), new, leave);
                let allowed = who == "anybody" || (who == "bypass" && leave == BYPASS);
                let what = format!("{old:?} to {new:?}, {leave:?}");
                match done {
                    Ok(changed) => {
                        assert!(allowed, "{what}");
                        assert_eq!((changed.version, changed.modified), (object.version, object.modified), "{what}");
                        assert_eq!((changed.lock.retention, changed.lock.hold), (new, hold), "{what}");
                    }
                    Err(error) => {
                        assert!(!allowed && error.kind() == Kind::Locked, "{what}: {error}");
                        there(&store, "f", &object, &what);
                    }
                }
            }
        }
    }
    // LOCK-10, LOCK-14.
    let object = put_locked(&store, "f", ObjectLock::NONE);
    let of = key("f");
    let past = Some(Retention { mode: Governance, until: store.now() });
    refused(store.set_retention(&Locked::key(B, &of, None), past, BYPASS), Kind::InvalidArgument);
    let marker = delete(&store, "f").version;
    refused(store.set_retention(&Locked::key(B, &of, marker), kept(Governance, 1), NOBODY), Kind::IsMarker);
    refused(store.set_legal_hold(&Locked::key(B, &of, None), Some(true)), Kind::NoSuchKey);
    refused(store.set_legal_hold(&Locked::key(B, &of, Some(VersionId::Null)), Some(true)), Kind::NoSuchVersion);
    purge(&store, "f", marker.unwrap());
    assert_eq!(store.get(B, &of, None).unwrap().version, object.version);
}

#[test]
fn lock_12_lock_13_a_hold_is_independent_of_retention_and_bypass_does_not_touch_it() {
    let (home, store) = locked_bucket();
    let lock = ObjectLock { hold: Some(true), ..retained(RetentionMode::Governance, in_days(&store, 1)) };
    let object = put_locked(&store, "f", lock);
    let of = key("f");
    refused(by_id(&store, &object, BYPASS), Kind::Locked);
    // Retention ends, the hold stays.
    home.clock.advance_millis(2 * DAY * 1000);
    refused(by_id(&store, &object, NOBODY), Kind::Locked);
    store.set_legal_hold(&Locked::key(B, &of, None), Some(false)).unwrap();
    by_id(&store, &object, NOBODY).unwrap();
    // The hold ends, retention stays.
    let lock = ObjectLock { hold: Some(true), ..retained(RetentionMode::Compliance, in_days(&store, 1)) };
    let object = put_locked(&store, "f", lock);
    store.set_legal_hold(&Locked::key(B, &of, Some(object.version)), None).unwrap();
    refused(by_id(&store, &object, BYPASS), Kind::Locked);
    home.clock.advance_millis(DAY * 1000);
    by_id(&store, &object, NOBODY).unwrap();
}

#[test]
fn lock_9_a_default_is_of_what_is_made_later_and_what_is_said_wins() {
    use RetentionMode::{Compliance, Governance};
    let (home, store) = locked_bucket();
    let old = put(&store, "old", BYTES);
    set_default(&store, Governance, Period::Days(10));
    let of = |name: &str| store.get(B, &key(name), None).unwrap().lock;
    assert_eq!(of("old"), old.lock);
    let made: [(&str, &dyn Fn()); 7] = [
        ("put", &|| drop(put(&store, "put", BYTES))),
        ("copy", &|| {
            let from = put_locked(&store, "from", retained(Compliance, in_days(&store, 90)));
            store.copy(&from, B, &key("copy"), &CopyOptions::default()).unwrap();
        }),
        ("parts", &|| drop(put_in_parts(&store, "parts", &[BYTES.to_vec()]))),
        ("file", &|| drop(write_file(&store, root(&store), "file", BYTES))),
        ("link", &|| drop(store.make_node(root(&store), "link", &posix(FileKind::Symlink)).unwrap())),
        ("moved", &|| {
            put_locked(&store, "from", retained(Compliance, in_days(&store, 90)));
            store.rename((root(&store), "from"), (root(&store), "moved"), RenameHow::Replace).unwrap();
        }),
        ("described", &|| {
            put_locked(&store, "described", retained(Compliance, in_days(&store, 90)));
            store.set_metadata((root(&store), "described"), &Metadata::default()).unwrap();
        }),
    ];
    for (name, make) in made {
        home.later();
        make();
        assert_eq!(of(name), retained(Governance, in_days(&store, 10)), "{name}");
    }
    let said = ObjectLock { hold: Some(true), ..retained(Compliance, in_days(&store, 1)) };
    put_locked(&store, "said", said);
    assert_eq!(of("said"), said);
    let options = UploadOptions { lock: said, ..UploadOptions::default() };
    let upload = store.create_upload(B, &key("parts"), &options).unwrap();
    let part = put_part(&store, upload, 1, BYTES);
    // The date may come while parts are sent.
    home.clock.advance_millis(2 * DAY * 1000);
    store.complete_upload(B, upload, &[part], &CompleteOptions::default()).unwrap();
    assert_eq!(of("parts"), said);
    let refused_lock = |lock| {
        let options = UploadOptions { lock, ..UploadOptions::default() };
        store.create_upload(B, &key("parts"), &options).unwrap_err().kind()
    };
    assert_eq!(refused_lock(retained(Compliance, store.now())), Kind::InvalidArgument);
    let kept = of("put");
    set_default(&store, Compliance, Period::Years(1));
    assert_eq!(of("put"), kept);
    put(&store, "later", BYTES);
    assert_eq!(of("later"), retained(Compliance, store.now().plus_years(1)));
    store.set_bucket_lock(B, BucketLock { default: None }).unwrap();
    put(&store, "free", BYTES);
    assert_eq!(of("free"), ObjectLock::NONE);
    // A directory that `mkdir` made has no bytes, and goes without a trace.
    set_default(&store, Compliance, Period::Years(1));
    store.make_dir(root(&store), "d/", &posix(FileKind::Directory)).unwrap();
    store.remove_dir(root(&store), "d/").unwrap();
    assert!(versions(&store, "d/").is_empty());
    put(&store, "e/", BYTES);
    let marker = store.get(B, &key("e/"), None).unwrap();
    assert_eq!(marker.lock, retained(Compliance, store.now().plus_years(1)));
    store.remove_dir(root(&store), "e/").unwrap();
    there(&store, "e/", &marker, "rmdir");
}

#[test]
fn a_directory_that_is_locked_by_hand_stays_in_history() {
    let (_home, store) = locked_bucket();
    store.make_dir(root(&store), "d/", &posix(FileKind::Directory)).unwrap();
    store.set_legal_hold(&Locked::key(B, &key("d/"), None), Some(true)).unwrap();
    store.remove_dir(root(&store), "d/").unwrap();
    let found = versions(&store, "d/");
    assert!(found.iter().any(|version| version.lock.is_held()), "{found:?}");
    fsck(&store);
    // Directories never move.
    store.make_dir(root(&store), "a/", &posix(FileKind::Directory)).unwrap();
    refused(store.rename((root(&store), "a/"), (root(&store), "b/"), RenameHow::Replace), Kind::CrossBucket);
}

#[test]
fn what_a_session_published_is_protected_from_then_on() {
    let (_home, store) = locked_bucket();
    set_default(&store, RetentionMode::Compliance, Period::Days(1));
    let made = store.create_draft(root(&store), "f", &posix(FileKind::File)).unwrap();
    let mut draft = store.draft(Some(&made.object)).unwrap();
    let mut session = Session::new();
    let at = (root(&store), "f");
    let change = PosixChange::default();
    draft.write_at(0, BYTES).unwrap();
    let first = store.publish(at, made.object.ino, &mut draft, &mut session, &change).unwrap();
    let set = store.edit_own(at, first.ino, Some(&session), |object| object.metadata.set_user("a", "b"));
    assert!(set.unwrap().is_none(), "its metadata is protected too");
    draft.write_at(0, b"X").unwrap();
    let second = store.publish(at, made.object.ino, &mut draft, &mut session, &change).unwrap();
    assert_ne!(first.version, second.version);
    store.rename(at, (root(&store), "g"), RenameHow::Replace).unwrap();
    draft.write_at(0, b"Y").unwrap();
    let third = store.publish((root(&store), "g"), made.object.ino, &mut draft, &mut session, &change).unwrap();
    store.seal(session).unwrap();
    there(&store, "f", &first, "the session's first");
    assert_eq!(versions(&store, "f").iter().filter(|version| !version.marker).count(), 2);
    assert_eq!(versions(&store, "g").len(), 2);
    assert_eq!(get(&store, "g").unwrap()[..1], *b"Y");
    assert!([&first, &second, &third].iter().all(|version| version.lock.retention.is_some()));
    // Tags are no part of what is protected.
    store.set_tags((root(&store), "f"), Some(first.version), &TagSet::new()).unwrap();
    fsck(&store);
}

#[test]
fn lock_22_a_clock_that_is_set_back_makes_no_lock_shorter() {
    let (home, mut store) = locked_bucket();
    set_default(&store, RetentionMode::Compliance, Period::Days(10));
    let (latest, object) = (store.now(), put(&store, "f", BYTES));
    let until = object.lock.retention.unwrap().until;
    assert_eq!(until, latest.plus_days(10));
    for reopened in [false, true] {
        home.clock.advance_millis(-100 * DAY * 1000);
        if reopened {
            drop(store);
            store = home.open();
        }
        refused(by_id(&store, &object, BYPASS), Kind::Locked);
        let again = put(&store, "again", BYTES);
        assert!(again.lock.retention.unwrap().until >= until, "reckoned from the latest instant that was seen");
        let soon = Retention { mode: RetentionMode::Governance, until: store.now().plus_days(1) };
        let of = key("f");
        refused(store.set_retention(&Locked::key(B, &of, None), Some(soon), BYPASS), Kind::InvalidArgument);
        assert!(store.clock_lag().is_some_and(|lag| lag >= 100 * DAY as u64), "{:?}", store.clock_lag());
        assert_eq!(store.status().unwrap().clock_lag_seconds, store.clock_lag());
    }
    // Right again: it holds to its date, and no longer.
    home.clock.advance_millis((200 + 10) * DAY * 1000 - 1);
    drop(store);
    let store = home.open();
    refused(by_id(&store, &object, BYPASS), Kind::Locked);
    home.clock.advance_millis(1);
    by_id(&store, &object, NOBODY).unwrap();
    assert_eq!(store.clock_lag(), None);
}

#[test]
fn lock_22_a_clock_that_was_ahead_for_a_while_ends_no_lock_for_good() {
    let (home, store) = locked_bucket();
    let object = put_locked(&store, "f", retained(RetentionMode::Compliance, in_days(&store, 10)));
    home.clock.advance_millis(1000 * DAY * 1000);
    put(&store, "other", BYTES);
    home.clock.advance_millis(-1000 * DAY * 1000);
    drop(store);
    let store = home.open();
    refused(by_id(&store, &object, BYPASS), Kind::Locked);
    there(&store, "f", &object, "the clock is right again");
}

#[test]
fn lock_22_the_mark_is_stored_by_any_commit_once_a_minute() {
    let (home, store) = locked_bucket();
    home.clock.advance_millis(61_000);
    let seen = store.now();
    delete(&store, "never");
    store.sync().unwrap();
    home.clock.advance_millis(-3_600_000);
    drop(store);
    let store = home.open();
    assert_eq!(store.lock_time(), seen);
}

#[test]
fn lock_21_a_crash_keeps_what_was_locked_and_a_repair_too() {
    let home = Home::simulated();
    let store = home.open();
    store.create_locked_bucket(&BucketName::parse(B).unwrap(), &posix(FileKind::Directory)).unwrap();
    let lock = retained(RetentionMode::Compliance, in_days(&store, 10));
    let large = pattern(300_000, 7);
    let options = PutOptions { lock, ..PutOptions::default() };
    let object = store.put(B, &key("f"), &mut &large[..], &options).unwrap();
    let held = put(&store, "g", BYTES);
    store.set_legal_hold(&Locked::key(B, &key("g"), None), Some(true)).unwrap();
    drop(store);
    for seed in 0..3 {
        home.lose_power(seed);
        home.forget();
        let store = home.open();
        let found = versions(&store, "f").into_iter().find(|version| version.version == object.version).unwrap();
        assert_eq!(found.lock, lock);
        refused(by_id(&store, &object, BYPASS), Kind::Locked);
        refused(store.delete_version_with(&[root(&store)], "g", (held.version, held.seq), BYPASS), Kind::Locked);
        put(&store, "f", b"newer");
        compact(&store);
        let findings = store.repair(false, &mut |_| {}).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        let found = versions(&store, "f").into_iter().find(|version| version.version == object.version).unwrap();
        assert_eq!(read(&store, &found).unwrap(), large);
        store.sync().unwrap();
    }
}

#[test]
fn lock_21_no_new_index_is_made_while_the_old_one_knows_of_locks() {
    let (home, store) = locked_bucket();
    let object = put_locked(&store, "f", ObjectLock { hold: Some(true), ..ObjectLock::NONE });
    drop(store);
    home.close();
    for dry_run in [true, false] {
        let built = Store::rebuild(home.dir.path(), home.options(), (0, 0), dry_run, &mut |_| {});
        refused(built, Kind::Locked);
    }
    let store = home.open();
    there(&store, "f", &object, "a rebuild was refused");
    refused(by_id(&store, &object, BYPASS), Kind::Locked);
}
