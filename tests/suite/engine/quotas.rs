//! Quotas of buckets: what they refuse, what they never refuse, and what counts.

use super::harness::{
    B, Home, begin_upload, delete, fsck, key, pattern, posix, purge, put, put_if, put_part, refused, root, versions,
};
use keyfold::model::Kind;
use keyfold::model::Versioning::{Enabled, Suspended, Unversioned};
use keyfold::model::{FileKind, ObjectKey};
use keyfold::store::{
    CompleteOptions, Condition, CopyOptions, Draft, PosixChange, Promise, PutOptions, Session, Store,
};
use std::sync::Arc;

const KIB: usize = 1 << 10;

fn held(store: &Store) -> u64 {
    store.usage(store.bucket(B).unwrap().id).unwrap().held()
}

fn try_put(store: &Arc<Store>, name: &str, len: usize) -> keyfold::model::Result<()> {
    put_if(store, name, &pattern(len, 1), Condition::Always).map(drop)
}

/// A session over a name, as the mount begins one.
fn session(store: &Arc<Store>, name: &str) -> Draft {
    let dir = root(store);
    let base = match store.lookup(dir, name).unwrap() {
        Some(keyfold::store::Entry::File(file)) => file.object,
        _ => store.create_draft(dir, name, &posix(FileKind::File)).unwrap().object,
    };
    let mut draft = store.draft(Some(&base)).unwrap();
    draft.is_at(base.ino, (dir, name));
    draft
}

fn publish(store: &Arc<Store>, name: &str, draft: &mut Draft, session: &mut Session) {
    let dir = root(store);
    let ino = super::harness::file(store, dir, name).object.ino;
    store.publish((dir, name), ino, draft, session, &PosixChange::default()).unwrap();
}

#[test]
fn puts_copies_and_parts_beyond_the_quota_are_refused_and_leave_nothing() {
    let (_home, store) = Home::with_bucket(Enabled);
    store.set_quota(B, Some(100 * KIB as u64)).unwrap();
    try_put(&store, "a", 60 * KIB).unwrap();
    refused(try_put(&store, "b", 41 * KIB), Kind::QuotaExceeded);
    // Another version of the same name counts beside the first.
    refused(try_put(&store, "a", 41 * KIB), Kind::QuotaExceeded);
    try_put(&store, "a", 40 * KIB).unwrap();
    assert_eq!(held(&store), 100 * KIB as u64);
    let a = store.get(B, &key("a"), None).unwrap();
    refused(store.copy(&a, B, &key("copy"), &CopyOptions::default()), Kind::QuotaExceeded);
    let upload = begin_upload(&store, "parts");
    refused(store.put_part(upload, 1, &mut &[1][..], &Promise::default()), Kind::QuotaExceeded);
    // What adds nothing goes on: markers, empty objects, deletes.
    put(&store, "empty", b"");
    delete(&store, "a");
    refused(try_put(&store, "b", 1), Kind::QuotaExceeded);
    let oldest = versions(&store, "a").last().unwrap().version;
    purge(&store, "a", oldest);
    let part = put_part(&store, upload, 1, &pattern(50 * KIB, 2));
    let again = put_part(&store, upload, 1, &pattern(60 * KIB, 2));
    assert_ne!(part.etag, again.etag, "a part that takes another's place counts once");
    refused(store.put_part(upload, 2, &mut &[1][..], &Promise::default()), Kind::QuotaExceeded);
    store.complete_upload(B, upload, &[again], &CompleteOptions::default()).unwrap();
    assert_eq!(held(&store), 100 * KIB as u64);
    fsck(&store);
}

#[test]
fn a_body_of_known_length_is_refused_before_it_is_read() {
    struct Never;
    impl std::io::Read for Never {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("it is read")
        }
    }
    let (_home, store) = Home::with_bucket(Unversioned);
    store.set_quota(B, Some(1000)).unwrap();
    put(&store, "old", &[1; 600]);
    let put = |name: &str, length: u64| {
        let promise = Promise { length: Some(length), ..Promise::default() };
        store.put(B, &key(name), &mut Never, &PutOptions { promise, ..PutOptions::default() })
    };
    refused(put("new", 401), Kind::QuotaExceeded);
    refused(put("old", 1001), Kind::QuotaExceeded);
    // In place of what it replaces there is room, as far as one can know.
    try_put(&store, "old", 1000).unwrap();
    assert_eq!(held(&store), 1000);
}

#[test]
fn a_session_is_refused_at_the_write_that_does_not_fit() {
    let (_home, store) = Home::with_bucket(Unversioned);
    store.set_quota(B, Some(100)).unwrap();
    put(&store, "old", &[1; 60]);
    let (mut one, mut other) = (session(&store, "one"), session(&store, "other"));
    one.write_at(0, &[2; 30]).unwrap();
    // What is on its way counts, though nobody has published it.
    refused(other.write_at(0, &[3; 11]), Kind::QuotaExceeded);
    other.write_at(0, &[3; 10]).unwrap();
    refused(one.write_at(30, &[2]), Kind::QuotaExceeded);
    refused(one.extend(31), Kind::QuotaExceeded);
    refused(try_put(&store, "body", 61), Kind::QuotaExceeded);
    drop(other);
    one.write_at(30, &[2; 10]).unwrap();
    let mut published = Session::new();
    publish(&store, "one", &mut one, &mut published);
    assert_eq!(held(&store), 100);
    // The session's own version gives its place to the next.
    refused(one.write_at(40, &[2]), Kind::QuotaExceeded);
    one.write_at(0, &[4; 40]).unwrap();
    one.truncate(10).unwrap();
    one.write_at(10, &[5; 5]).unwrap();
    publish(&store, "one", &mut one, &mut published);
    store.seal(published).unwrap();
    assert_eq!(held(&store), 75);
    fsck(&store);
}

#[test]
fn an_edit_that_makes_a_version_counts_whole() {
    for (versioning, fits) in [(Enabled, false), (Suspended, true), (Unversioned, true)] {
        let (_home, store) = Home::with_bucket(versioning);
        store.set_quota(B, Some(100)).unwrap();
        put(&store, "file", &[1; 60]);
        let mut draft = session(&store, "file");
        let written = draft.write_at(0, &[2]);
        assert_eq!(written.is_ok(), fits, "{versioning:?}: {written:?}");
        let mut draft = session(&store, "file");
        let mut cut = draft.truncate(40);
        assert!(cut.is_ok(), "{versioning:?}: {cut:?}");
        if fits {
            cut = draft.punch(0, 10);
            assert!(cut.is_ok(), "{versioning:?}: {cut:?}");
        }
    }
}

#[test]
fn lowering_and_lifting_a_quota_changes_nothing_that_is_there() {
    let (home, store) = Home::with_bucket(Enabled);
    put(&store, "a", &pattern(5000, 1));
    store.set_quota(B, Some(1000)).unwrap();
    refused(try_put(&store, "b", 1), Kind::QuotaExceeded);
    put(&store, "b", b"");
    assert_eq!(super::harness::get(&store, "a").unwrap(), pattern(5000, 1));
    // Other buckets have none.
    let other = super::harness::make_bucket(&store, "other");
    store.put("other", &ObjectKey::parse("k").unwrap(), &mut &pattern(9000, 1)[..], &PutOptions::default()).unwrap();
    assert_eq!(other.quota, None);
    // It outlives the process.
    store.close().unwrap();
    drop(store);
    let store = home.open();
    assert_eq!(store.bucket(B).unwrap().quota, Some(1000));
    refused(try_put(&store, "b", 1), Kind::QuotaExceeded);
    store.set_quota(B, None).unwrap();
    try_put(&store, "b", 1).unwrap();
    fsck(&store);
}

#[test]
fn room_within_a_quota_is_what_it_leaves() {
    let (_home, store) = Home::with_bucket(Enabled);
    let whole = store.space_of(B).unwrap();
    assert!(whole.total > 1 << 20);
    store.set_quota(B, Some(1 << 20)).unwrap();
    put(&store, "a", &pattern(1000, 1));
    delete(&store, "a");
    let space = store.space_of(B).unwrap();
    let left = (1 << 20) - 1000;
    assert_eq!((space.total, space.free, space.available), (1 << 20, left, left));
    store.set_quota(B, Some(u64::MAX)).unwrap();
    assert!(store.space_of(B).unwrap().available <= whole.total, "never more than the disk has");
}

#[test]
fn what_lies_beyond_the_end_counts_with_all_before_it() {
    let (_home, store) = Home::with_bucket(Unversioned);
    store.set_quota(B, Some(100)).unwrap();
    let (mut one, mut other) = (session(&store, "one"), session(&store, "other"));
    one.write_at(40, &[1; 50]).unwrap();
    refused(other.write_at(0, &[2; 11]), Kind::QuotaExceeded);
    refused(one.write_at(99, &[1; 2]), Kind::QuotaExceeded);
    assert_eq!(one.size(), 90, "a refused write leaves the file as it was");
    other.write_at(0, &[2; 10]).unwrap();
}

#[test]
fn a_session_takes_the_place_of_its_own_file_only() {
    let (_home, store) = Home::with_bucket(Unversioned);
    put(&store, "large", &[1; 90]);
    store.set_quota(B, Some(100)).unwrap();
    let mut draft = session(&store, "new");
    draft.is_at(super::harness::file(&store, root(&store), "new").object.ino, (root(&store), "large"));
    refused(draft.write_at(0, &[2; 11]), Kind::QuotaExceeded);
    // Somebody else's version under the session's name is kept, or goes: looked up anew when anything was committed.
    store.set_versioning(B, Enabled).unwrap();
    let mut draft = session(&store, "large");
    refused(draft.write_at(0, &[2]), Kind::QuotaExceeded);
    put(&store, "large", b"");
    draft = session(&store, "large");
    draft.write_at(0, &[3; 10]).unwrap();
    let mut own = Session::new();
    publish(&store, "large", &mut draft, &mut own);
    draft.write_at(0, &[4]).unwrap();
    put(&store, "large", b"");
    refused(draft.write_at(1, &[4]), Kind::QuotaExceeded);
}

#[test]
fn each_name_of_a_file_counts() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let made = super::harness::write_file(&store, root(&store), "a", b"");
    store.link(made.ino, (root(&store), "a"), (root(&store), "b")).unwrap();
    store.set_quota(B, Some(100)).unwrap();
    let mut draft = session(&store, "a");
    refused(draft.write_at(0, &[1; 51]), Kind::QuotaExceeded);
    draft.write_at(0, &[1; 50]).unwrap();
    let mut own = Session::new();
    publish(&store, "a", &mut draft, &mut own);
    assert_eq!(held(&store), 100);
}

#[test]
fn what_is_being_written_keeps_others_out_and_comes_back() {
    let (_home, store) = Home::with_bucket(Enabled);
    put(&store, "source", &[1; 30]);
    store.set_quota(B, Some(100)).unwrap();
    let source = store.get(B, &key("source"), None).unwrap();
    let mut draft = session(&store, "file");
    draft.write_at(0, &[2; 60]).unwrap();
    refused(store.copy(&source, B, &key("copy"), &CopyOptions::default()), Kind::QuotaExceeded);
    drop(draft);
    store.copy(&source, B, &key("copy"), &CopyOptions::default()).unwrap();
    // A quota that is taken away and set again still knows of what was begun before.
    let mut draft = session(&store, "other");
    draft.write_at(0, &[3; 30]).unwrap();
    store.set_quota(B, None).unwrap();
    store.set_quota(B, Some(100)).unwrap();
    refused(try_put(&store, "more", 11), Kind::QuotaExceeded);
    drop(draft);
    try_put(&store, "more", 40).unwrap();
}
