//! Storage classes: the steps between them, in place and by copies.

use super::harness::*;
use StorageClass::{DeepArchive, Glacier, GlacierIr, IntelligentTiering, OnezoneIa, Standard, StandardIa};
use keyfold::model::{Aging, Kind, Object, ObjectKey, StorageClass, Versioning};
use keyfold::store::{CopyOptions, Mover, PutOptions, RestoreWish, Session, Step, Store, may_copy, may_move};
use std::sync::Arc;

pub fn put_in(store: &Arc<Store>, name: &str, bytes: &[u8], class: StorageClass) -> Object {
    store.put(B, &key(name), &mut &bytes[..], &PutOptions { class, ..PutOptions::default() }).unwrap()
}

pub fn at(object: &Object) -> Option<(keyfold::model::VersionId, Option<keyfold::model::Seq>)> {
    Some((object.version, Some(object.seq)))
}

fn step(to: StorageClass) -> Step {
    Step { from: None, to, by: Mover::Caller }
}

fn events(store: &Store) -> Vec<String> {
    store.changes(0, usize::MAX).unwrap().into_iter().map(|(_, change)| change.event).collect()
}

#[test]
fn lc_13_lc_14_and_sc_12_the_steps_that_are_allowed() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    let down: [(StorageClass, &[StorageClass]); 7] = [
        (Standard, &[StandardIa, OnezoneIa, IntelligentTiering, GlacierIr, Glacier, DeepArchive]),
        (StandardIa, &[OnezoneIa, IntelligentTiering, GlacierIr, Glacier, DeepArchive]),
        (IntelligentTiering, &[OnezoneIa, GlacierIr, Glacier, DeepArchive]),
        (OnezoneIa, &[Glacier, DeepArchive]),
        (GlacierIr, &[Glacier, DeepArchive]),
        (Glacier, &[DeepArchive]),
        (DeepArchive, &[]),
    ];
    for (from, allowed) in down {
        for to in StorageClass::ALL {
            let object = put_in(&store, "f", b"bytes", from);
            assert_eq!(may_move(&object, *to, store.now()), allowed.contains(to), "{from:?} {to:?}");
            let moved = store.transition((root(&store), "f"), at(&object), step(*to));
            match moved {
                Ok(moved) => assert!(moved.class == *to && (allowed.contains(to) || from == *to), "{from:?} {to:?}"),
                Err(error) => {
                    assert!(!allowed.contains(to) && error.kind() == Kind::InvalidArgument, "{from:?} {to:?}");
                }
            }
        }
    }
    // By copies upwards as well, but for one step, and out of archives only what is restored.
    for from in StorageClass::ALL {
        for to in StorageClass::ALL {
            let object = put_in(&store, "g", b"bytes", *from);
            let how = CopyOptions { class: *to, ..CopyOptions::default() };
            let copied = store.copy(&object, B, &key("g"), &how).map(|copy| copy.class).map_err(|error| error.kind());
            let expected = match (from, to) {
                (Glacier | DeepArchive, _) => Err(Kind::Archived),
                (OnezoneIa, GlacierIr) => Err(Kind::InvalidRequest),
                _ => Ok(*to),
            };
            assert_eq!(copied, expected, "{from:?} {to:?}");
            assert_eq!(may_copy(*from, *to), (*from, *to) != (OnezoneIa, GlacierIr));
        }
    }
    // Elsewhere it is an object of its own.
    let object = put_in(&store, "h", b"bytes", OnezoneIa);
    store.copy(&object, B, &key("i"), &CopyOptions { class: GlacierIr, ..CopyOptions::default() }).unwrap();
    fsck(&store);
}

/// SC-12, RST-10: what is restored goes up by a copy.
#[test]
fn rst_10_a_copy_while_the_restored_one_lives_is_a_return_for_good() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    let object = put_in(&store, "f", &pattern(300_000, 3), DeepArchive);
    refused(read(&store, &object), Kind::Archived);
    let wish = RestoreWish { days: Some(1), ..RestoreWish::default() };
    let (object, _) = store.request_restore((root(&store), "f"), None, wish).unwrap();
    let back = store.copy(&object, B, &key("f"), &CopyOptions::default()).unwrap();
    assert_eq!((back.class, back.aging.restore), (Standard, None));
    assert_eq!(get(&store, "f").unwrap(), pattern(300_000, 3));
    fsck(&store);
}

#[test]
fn lc_31_a_step_in_place_keeps_everything_else() {
    for versioning in [Versioning::Unversioned, Versioning::Enabled] {
        let (home, store) = Home::with_bucket(versioning);
        let options = PutOptions { tags: super::objects::tags(&[("k", "v")]), ..PutOptions::default() };
        let first = store.put(B, &key("d/f"), &mut &pattern(100_000, 5)[..], &options).unwrap();
        home.later();
        let dir = dir(&store, "d/");
        let moved = store.transition((dir, "f"), None, step(GlacierIr)).unwrap();
        let since = Aging { accessed: Some(store.now()), ..Aging::default() };
        assert_eq!(
            moved,
            Object { class: GlacierIr, aging: since, ..first.clone() },
            "since when is noted, for bills (SC-13)"
        );
        assert_eq!(store.get(B, &key("d/f"), None).unwrap(), moved);
        assert_eq!(get(&store, "d/f").unwrap(), pattern(100_000, 5));
        assert!(!events(&store).iter().any(|event| event == "LifecycleTransition"), "nobody's rule did it");
        if versioning == Versioning::Enabled {
            // One below the current version, by a rule.
            put(&store, "d/f", b"new");
            let by_rule = Step { from: Some(GlacierIr), to: Glacier, by: Mover::Lifecycle };
            let below = store.transition((dir, "f"), at(&first), by_rule).unwrap();
            assert_eq!((below.version, below.modified, below.class), (first.version, first.modified, Glacier));
            assert_eq!(events(&store).last().map(String::as_str), Some("LifecycleTransition"), "LC-32");
            refused(store.transition((dir, "f"), at(&first), by_rule), Kind::Conflict);
            assert_eq!(get(&store, "d/f").unwrap(), b"new");
            let marker = delete(&store, "d/f").version.unwrap();
            refused(store.transition((dir, "f"), Some((marker, None)), step(Glacier)), Kind::IsMarker);
        }
        drop(store);
        let store = home.open();
        let all: Vec<_> = versions(&store, "d/f").into_iter().map(|object| object.class).collect();
        assert!(all.contains(&if versioning == Versioning::Enabled { Glacier } else { GlacierIr }), "{all:?}");
        fsck(&store);
    }
}

#[test]
fn sc_11_new_files_have_the_class_of_the_nearest_directory_that_names_one() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let top = root(&store);
    put(&store, "a/b/x", b"");
    let (a, b) = (dir(&store, "a/"), dir(&store, "a/b/"));
    let class = |dir, name: &str| write_file(&store, dir, name, b"bytes").class;
    assert_eq!(class(b, "1"), Standard);
    store.set_default_class(top, Some(StandardIa)).unwrap();
    assert_eq!((class(top, "2"), class(b, "2")), (StandardIa, StandardIa));
    store.set_default_class(a, Some(GlacierIr)).unwrap();
    assert_eq!((class(top, "3"), class(a, "3"), class(b, "3")), (StandardIa, GlacierIr, GlacierIr));
    assert_eq!(put(&store, "a/b/4", b"").class, Standard, "S3's clients name the class themselves");
    store.set_default_class(a, None).unwrap();
    assert_eq!(class(b, "5"), StandardIa);
    drop(store);
    let store = home.open();
    assert_eq!(store.directory(root(&store)).unwrap().class, Some(StandardIa));
    assert_eq!(write_file(&store, dir(&store, "a/b/"), "6", b"").class, StandardIa);
    fsck(&store);
}

#[test]
fn bytes_written_over_an_archived_file_leave_the_archive() {
    let (_home, store) = Home::with_bucket(Versioning::Enabled);
    let top = root(&store);
    for (class, then) in [(GlacierIr, GlacierIr), (Glacier, StandardIa), (DeepArchive, StandardIa)] {
        store.set_default_class(top, Some(StandardIa)).unwrap();
        let old = put_in(&store, "f", b"old", class);
        let mut draft = store.draft(None).unwrap();
        draft.write_at(0, b"new").unwrap();
        let mut session = Session::new();
        let new = store.publish((top, "f"), old.ino, &mut draft, &mut session, &Default::default()).unwrap();
        store.seal(session).unwrap();
        assert_eq!((new.class, get(&store, "f").unwrap()), (then, b"new".to_vec()));
        assert_eq!(versions(&store, "f")[1].class, class);
        // A part of it cannot be written, since the rest would have to be read.
        let archived = matches!(class, Glacier | DeepArchive);
        assert_eq!(store.draft(Some(&old)).is_err(), archived);
    }
    fsck(&store);
}

#[test]
fn a_restored_version_of_an_archive_is_put_back_outside() {
    let (_home, store) = Home::with_bucket(Versioning::Enabled);
    let old = put_in(&store, "f", b"old", Glacier);
    put(&store, "f", b"new");
    refused(store.restore(&[root(&store)], "f", old.version), Kind::Archived);
    let wish = RestoreWish { days: Some(1), ..RestoreWish::default() };
    store.request_restore((root(&store), "f"), at(&old), wish).unwrap();
    assert_eq!(store.restore(&[root(&store)], "f", old.version).unwrap().class, Standard);
    assert_eq!(get(&store, "f").unwrap(), b"old");
    assert!(ObjectKey::parse("f").is_ok());
    fsck(&store);
}
