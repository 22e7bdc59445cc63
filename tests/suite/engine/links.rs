//! Hard links: every name is an object of its own to S3, with its own history (FSX-6).

use super::harness::{
    B, Home, delete, dir, file, fsck, get, key, posix, purge, put, refused, rewrite_file, root, versions, write_file,
};
use keyfold::model::Versioning::{Enabled, Suspended, Unversioned};
use keyfold::model::{FileKind, Kind, Metadata};
use keyfold::store::{PosixChange, RenameHow, Session, Store};
use std::sync::Arc;

/// A file with the names `a` and `b`.
fn linked(store: &Arc<Store>) -> keyfold::model::Object {
    let object = write_file(store, root(store), "a", b"12345");
    store.link(object.ino, (root(store), "a"), (root(store), "b")).unwrap();
    fsck(store);
    object
}

#[test]
fn writing_through_one_name_changes_all_and_counts_all() {
    for versioning in [Unversioned, Enabled, Suspended] {
        let (_home, store) = Home::with_bucket(versioning);
        let object = linked(&store);
        let base = file(&store, root(&store), "a").object;
        rewrite_file(&store, root(&store), "b", &base, |draft| draft.write_at(5, &[7; 9000]).unwrap());
        assert_eq!(get(&store, "a").unwrap().len(), 9005);
        fsck(&store);
        put(&store, "a", b"x");
        assert_eq!(get(&store, "b").unwrap(), b"x");
        store.set_metadata((root(&store), "a"), &Metadata::default()).unwrap();
        fsck(&store);
        let kept = if versioning == Enabled { 4 } else { 1 };
        assert_eq!((versions(&store, "a").len(), versions(&store, "b").len()), (kept, if kept == 1 { 1 } else { 4 }));
        assert_eq!(file(&store, root(&store), "b").nlink, 2);
        assert_eq!(file(&store, root(&store), "b").object.ino, object.ino);
    }
}

#[test]
fn a_null_version_stays_below_every_name_once_versioning_is_on() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let object = linked(&store);
    store.set_versioning(B, Enabled).unwrap();
    rewrite_file(&store, root(&store), "a", &object, |draft| draft.truncate(2).unwrap());
    assert_eq!((versions(&store, "a").len(), versions(&store, "b").len()), (2, 2));
    store.set_versioning(B, Suspended).unwrap();
    put(&store, "b", b"null again");
    fsck(&store);
    assert_eq!((versions(&store, "a").len(), versions(&store, "b").len()), (2, 2), "VER-7 under each name");
}

#[test]
fn undeleting_one_name_makes_it_a_file_of_its_own() {
    let (_home, store) = Home::with_bucket(Enabled);
    let object = linked(&store);
    let removed = store.remove(root(&store), "a").unwrap();
    assert_eq!(removed.nlink, 1);
    purge(&store, "a", removed.marker.unwrap());
    let (a, b) = (file(&store, root(&store), "a"), file(&store, root(&store), "b"));
    assert!(a.object.ino != b.object.ino && b.object.ino == object.ino);
    fsck(&store);
    store.link(a.object.ino, (root(&store), "a"), (root(&store), "c")).unwrap();
    put(&store, "c", b"other");
    assert_eq!((get(&store, "a").unwrap(), get(&store, "b").unwrap()), (b"other".to_vec(), b"12345".to_vec()));
    fsck(&store);
}

#[test]
fn a_name_linked_again_stands_above_its_own_history() {
    let (_home, store) = Home::with_bucket(Enabled);
    let object = linked(&store);
    let at = root(&store);
    store.remove(at, "a").unwrap();
    store.link(object.ino, (at, "b"), (at, "a")).unwrap();
    fsck(&store);
    put(&store, "a", b"next");
    fsck(&store);
    assert_eq!((versions(&store, "a").len(), versions(&store, "b").len()), (4, 2));
    store.rename((at, "b"), (at, "c"), RenameHow::Replace).unwrap();
    store.remove(at, "a").unwrap();
    store.rename((at, "c"), (at, "a"), RenameHow::Replace).unwrap();
    fsck(&store);
}

#[test]
fn links_of_a_draft_are_no_objects_until_it_is_published() {
    let (_home, store) = Home::with_bucket(Enabled);
    let at = root(&store);
    let made = store.create_draft(at, "a", &posix(FileKind::File)).unwrap().object;
    for name in ["b", "c"] {
        store.link(made.ino, (at, "a"), (at, name)).unwrap();
    }
    fsck(&store);
    store.remove(at, "b").unwrap();
    fsck(&store);
    refused(get(&store, "c"), Kind::NoSuchKey);
    rewrite_file(&store, at, "a", &made, |draft| draft.write_at(0, b"hi").unwrap());
    assert_eq!(get(&store, "c").unwrap(), b"hi");
    assert!(versions(&store, "b").is_empty());
    fsck(&store);
}

#[test]
fn a_link_renamed_over_a_newer_object_is_current_there() {
    let (_home, store) = Home::with_bucket(Enabled);
    linked(&store);
    put(&store, "c", b"newer");
    store.rename((root(&store), "b"), (root(&store), "c"), RenameHow::Replace).unwrap();
    let all = versions(&store, "c");
    assert_eq!((all.len(), all[0].size, all[1].size), (2, 5, 5));
    assert_eq!(get(&store, "c").unwrap(), b"12345");
    assert_eq!(all[0].ino, file(&store, root(&store), "a").object.ino);
    fsck(&store);
    store.rename((root(&store), "c"), (root(&store), "a"), RenameHow::Replace).unwrap();
    assert_eq!(file(&store, root(&store), "a").nlink, 2, "two names of one file: nothing happens");
    store.rename((root(&store), "a"), (root(&store), "c"), RenameHow::Exchange).unwrap();
    fsck(&store);
    delete(&store, "a");
    delete(&store, "c");
    fsck(&store);
}

#[test]
fn one_session_makes_one_version_also_when_the_file_is_renamed_meanwhile() {
    let (_home, store) = Home::with_bucket(Enabled);
    let at = root(&store);
    put(&store, "d/x", b"");
    let made = store.create_draft(at, "tmp", &posix(FileKind::File)).unwrap().object;
    let (mut draft, mut session) = (store.draft(Some(&made)).unwrap(), Session::new());
    draft.write_at(0, b"one").unwrap();
    store.publish((at, "tmp"), made.ino, &mut draft, &mut session, &PosixChange::default()).unwrap();
    let to = dir(&store, "d/");
    store.rename((at, "tmp"), (to, "real"), RenameHow::Replace).unwrap();
    draft.write_at(3, b" two").unwrap();
    refused(store.publish((at, "tmp"), made.ino, &mut draft, &mut session, &PosixChange::default()), Kind::NoSuchKey);
    store.publish((to, "real"), made.ino, &mut draft, &mut session, &PosixChange::default()).unwrap();
    store.seal(session).unwrap();
    assert_eq!((versions(&store, "d/real").len(), get(&store, "d/real").unwrap()), (1, b"one two".to_vec()));
    let (_, told) = store.changes(0, 99).unwrap().pop().unwrap();
    assert_eq!((told.key.as_str(), told.size), ("d/real", 7));
    assert!(store.get(B, &key("tmp"), None).is_err());
    fsck(&store);
}
