//! What readers see between two commits: nothing that has always been there is missing, moved names lead to what they name.

use super::explore::{body, explore, store, whole};
use super::harness::{
    B, all_versions, begin_upload, delete, dir, file, fsck, get, key, list, pattern, posix, put, put_part, read, root,
    versions, write_file,
};
use keyfold::model::{FileKind, Kind, Versioning};
use keyfold::store::{CompleteOptions, Condition, Entry, RenameHow, Store};
use shuttle::thread;
use std::sync::Arc;

/// Rounds that close stages and write them while others read.
fn rounds(store: &Store) {
    (0..2).for_each(|_| store.sync().unwrap());
}

fn nothing_is_damaged(store: &Arc<Store>) {
    assert!(store.passed_by().is_empty(), "{:?}", store.passed_by());
    assert!(store.complaints(None).is_empty(), "{:?}", store.complaints(None));
    fsck(store);
}

/// A file `b` that has had another name, so that its record is an inode's.
fn once_linked(store: &Arc<Store>) {
    let at = root(store);
    let object = write_file(store, at, "a", &body(1));
    store.link(object.ino, (at, "a"), (at, "b")).unwrap();
    store.remove(at, "a").unwrap();
}

#[test]
fn a_linked_name_that_is_replaced_is_there_all_the_time() {
    explore("links", 600, || {
        let (_home, store) = store(Versioning::Unversioned);
        once_linked(&store);
        let at = root(&store);
        write_file(&store, at, "c", &body(3));
        thread::scope(|scope| {
            scope.spawn(|| store.rename((at, "c"), (at, "b"), RenameHow::Replace).unwrap());
            scope.spawn(|| {
                for _ in 0..2 {
                    assert!(store.lookup(at, "b").unwrap().is_some());
                    assert!(store.get(B, &key("b"), None).is_ok());
                }
            });
            scope.spawn(|| {
                assert!(list(&store, B, "", None, 1000).contains(&"b".to_owned()));
                let names = store.entries(at, None, 10).unwrap();
                assert!(names.iter().any(|(name, _)| name == "b"), "{names:?}");
                assert_eq!(all_versions(&store, B, 1000).iter().filter(|entry| entry.key == "b").count(), 1);
            });
            scope.spawn(|| rounds(&store));
        });
        nothing_is_damaged(&store);
    });
}

#[test]
fn a_linked_name_that_is_removed_is_there_or_not() {
    explore("removed link", 400, || {
        let (_home, store) = store(Versioning::Unversioned);
        once_linked(&store);
        let at = root(&store);
        thread::scope(|scope| {
            scope.spawn(|| store.remove(at, "b").unwrap());
            scope.spawn(|| (0..2).for_each(|_| drop(store.lookup(at, "b").unwrap())));
            scope.spawn(|| {
                if let Err(error) = store.get(B, &key("b"), None) {
                    assert_eq!(error.kind(), Kind::NoSuchKey, "{error}");
                }
                store.versions(&[at], "b").unwrap();
                store.entries(at, None, 10).unwrap();
            });
            scope.spawn(|| rounds(&store));
        });
        nothing_is_damaged(&store);
    });
}

/// A key `d/x` with two versions and a marker on top, so that `d/` is dead; its versions, newest first.
fn buried(store: &Arc<Store>) -> Vec<keyfold::model::VersionId> {
    put(store, "d/x", &body(1));
    put(store, "d/x", &body(3));
    delete(store, "d/x");
    versions(store, "d/x").iter().filter(|object| !object.marker).map(|object| object.version).collect()
}

/// Looks at the history of `d/x` in every way while it must have all of `ids`.
fn must_have(store: &Arc<Store>, ids: &[keyfold::model::VersionId], way: usize) {
    match way {
        0 => {
            let shown = versions(store, "d/x");
            let shown: Vec<_> = shown.iter().filter(|object| !object.marker).map(|object| object.version).collect();
            assert_eq!(shown, ids);
        }
        1 => {
            for id in ids {
                store.get(B, &key("d/x"), Some(*id)).unwrap();
            }
            let (_, _, found) = store.history_of(B, &key("d/x")).unwrap();
            assert_eq!(found.iter().filter(|object| !object.marker).count(), ids.len());
        }
        _ => {
            let names = store.names_with_history(&[root(store)], None, 10).unwrap();
            assert!(names.iter().any(|name| name.component == "d/"), "{names:?}");
            assert_eq!(store.history_dirs(&[root(store)], "d/").unwrap().len(), 1);
            let then = store.as_of(store.now());
            then.entries(root(store), None, 10).unwrap();
        }
    }
}

/// `d/x` has its history in whatever way it is looked at while `change` is made.
fn history_stays(name: &str, change: fn(&Arc<Store>)) {
    explore(name, 600, move || {
        let (_home, store) = store(Versioning::Enabled);
        let ids = buried(&store);
        thread::scope(|scope| {
            scope.spawn(|| change(&store));
            for way in 0..3 {
                let (store, ids) = (&store, &ids);
                scope.spawn(move || (0..2).for_each(|_| must_have(store, ids, way)));
            }
        });
        nothing_is_damaged(&store);
    });
}

#[test]
fn history_in_a_dead_directory_is_there_while_it_comes_back() {
    history_stays("revive", |store| {
        put(store, "d/y", &body(5));
        delete(store, "d/y");
    });
}

#[test]
fn history_is_there_while_its_name_is_undeleted() {
    history_stays("undelete", |store| {
        let (dirs, name) = store.history_place(B, &key("d/x")).unwrap();
        store.undelete(&dirs, &name).unwrap();
        delete(store, "d/x");
    });
}

#[test]
fn directories_that_change_places_are_listed_both() {
    explore("exchange", 600, || {
        let (_home, store) = store(Versioning::Enabled);
        put(&store, "a/x", &body(1));
        put(&store, "b/x", &body(3));
        let at = root(&store);
        thread::scope(|scope| {
            scope.spawn(|| {
                store.rename((at, "a/"), (at, "b/"), RenameHow::Exchange).unwrap();
                put(&store, "b/x", &body(5));
            });
            scope.spawn(|| {
                for _ in 0..2 {
                    assert_eq!(list(&store, B, "", None, 1000), ["a/x", "b/x"]);
                    let keys: Vec<_> = all_versions(&store, B, 1000).into_iter().map(|entry| entry.key).collect();
                    assert!(["a/x", "b/x"].iter().all(|name| keys.contains(&(*name).to_owned())), "{keys:?}");
                }
            });
            scope.spawn(|| {
                for _ in 0..2 {
                    let value = whole(&read(&store, &store.get(B, &key("a/x"), None).unwrap()).unwrap());
                    assert!(value == 1 || value == 3, "{value} was never there");
                }
            });
            scope.spawn(|| rounds(&store));
        });
        nothing_is_damaged(&store);
    });
}

#[test]
fn a_directory_that_replaces_an_empty_one_is_there_all_the_time() {
    explore("replaced directory", 600, || {
        let (_home, store) = store(Versioning::Unversioned);
        let at = root(&store);
        for name in ["a/", "b/"] {
            store.make_dir(at, name, &posix(FileKind::Directory)).unwrap();
        }
        thread::scope(|scope| {
            scope.spawn(|| store.rename((at, "b/"), (at, "a/"), RenameHow::Replace).unwrap());
            scope.spawn(|| {
                for _ in 0..2 {
                    assert!(matches!(store.lookup(at, "a/"), Ok(Some(Entry::Dir(_)))));
                    assert!(store.get(B, &key("a/"), None).is_ok());
                }
            });
            scope.spawn(|| {
                assert!(list(&store, B, "", None, 1000).contains(&"a/".to_owned()));
                assert!(store.entries(at, None, 10).unwrap().iter().any(|(name, _)| name == "a/"));
            });
            scope.spawn(|| rounds(&store));
        });
        nothing_is_damaged(&store);
    });
}

#[test]
fn what_is_restored_goes_where_its_directory_is() {
    explore("restore", 600, || {
        let (_home, store) = store(Versioning::Enabled);
        put(&store, "d/f", &body(1));
        put(&store, "d/f", &body(3));
        let (at, inside) = (root(&store), dir(&store, "d/"));
        let first = versions(&store, "d/f")[1].version;
        thread::scope(|scope| {
            scope.spawn(|| store.rename((at, "d/"), (at, "e/"), RenameHow::Replace).unwrap());
            scope.spawn(|| drop(store.restore(&[inside], "f", first).unwrap()));
        });
        assert_eq!(list(&store, B, "", None, 1000), ["e/f"]);
        assert_eq!(whole(&get(&store, "e/f").unwrap()), 1);
        assert_eq!(versions(&store, "e/f").len(), 3);
        nothing_is_damaged(&store);
    });
}

#[test]
fn a_directory_whose_body_is_taken_away_stays_where_it_was_renamed_to() {
    explore("marker", 400, || {
        let (_home, store) = store(Versioning::Unversioned);
        put(&store, "d/", &body(1));
        let (at, inside) = (root(&store), dir(&store, "d/"));
        thread::scope(|scope| {
            scope.spawn(|| store.rename((at, "d/"), (at, "e/"), RenameHow::Replace).unwrap());
            scope.spawn(|| store.empty_marker(inside).unwrap());
        });
        assert_eq!(list(&store, B, "", None, 1000), ["e/"]);
        assert!(get(&store, "e/").unwrap().is_empty());
        nothing_is_damaged(&store);
    });
}

#[test]
fn what_is_deleted_for_good_goes_also_when_it_gets_another_place() {
    explore("purge and link", 600, || {
        let (_home, store) = store(Versioning::Enabled);
        let at = root(&store);
        let version = put(&store, "f", &body(1)).version;
        put(&store, "g", &body(3));
        delete(&store, "g");
        let ino = file(&store, at, "f").object.ino;
        thread::scope(|scope| {
            scope.spawn(|| {
                if let Err(error) = store.link(ino, (at, "f"), (at, "g")) {
                    assert_eq!(error.kind(), Kind::NoSuchKey, "{error}");
                }
            });
            scope.spawn(|| {
                store.delete(B, &key("f"), Some(version), Condition::Always).unwrap();
            });
        });
        assert!(versions(&store, "f").is_empty(), "what was acknowledged as deleted is there");
        nothing_is_damaged(&store);
    });
}

#[test]
fn the_parts_of_an_upload_are_there_or_the_upload_is_not() {
    explore("parts", 400, || {
        let (_home, store) = store(Versioning::Unversioned);
        let upload = begin_upload(&store, "f");
        let part = put_part(&store, upload, 1, &pattern(300, 1));
        thread::scope(|scope| {
            scope.spawn(|| {
                store.complete_upload(B, upload, &[part], &CompleteOptions::default()).unwrap();
            });
            scope.spawn(|| match store.list_parts(upload, 0, 10) {
                Ok(page) => assert_eq!(page.parts.len(), 1),
                Err(error) => assert_eq!(error.kind(), Kind::NoSuchUpload, "{error}"),
            });
        });
        nothing_is_damaged(&store);
    });
}

#[test]
fn a_sum_is_never_older_than_the_question() {
    explore("sums", 600, || {
        let (_home, store) = store(Versioning::Unversioned);
        put(&store, "d/a", &body(1));
        let inside = dir(&store, "d/");
        let below = || store.sum_below(inside).unwrap().unwrap().entries;
        thread::scope(|scope| {
            scope.spawn(|| {
                put(&store, "d/b", &body(3));
                assert!(below() >= 2);
            });
            scope.spawn(|| {
                put(&store, "d/c/d", &body(5));
                assert!(below() >= 2);
            });
            scope.spawn(|| assert!(below() >= 1));
        });
        assert_eq!(below(), 3);
        nothing_is_damaged(&store);
    });
}
