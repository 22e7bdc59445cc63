//! Directories: explicit, implicit, dead and back again; renames that take history along.

use super::harness::{
    B, Home, all_versions, delete, dir, file, fsck, get, key, list, posix, purge, put, reap, refused, root, versions,
    write_file,
};
use keyfold::model::Versioning::{Enabled, Suspended, Unversioned};
use keyfold::model::{FileKind, Kind, VersionId};
use keyfold::store::{Entry, RenameHow};

#[test]
fn key_5_key_6_directories_come_and_go() {
    let (_home, store) = Home::with_bucket(Unversioned);
    put(&store, "a/b/c", b"");
    let b = dir(&store, "a/b/");
    delete(&store, "a/b/c");
    assert!(store.entries(root(&store), None, 9).unwrap().is_empty(), "implicit ones vanish");
    refused(store.create_draft(b, "late", &posix(FileKind::File)), Kind::NoSuchKey);
    refused(store.make_dir(b, "late/", &posix(FileKind::Directory)), Kind::NoSuchKey);
    let made = store.make_dir(root(&store), "a/", &posix(FileKind::Directory)).unwrap();
    put(&store, "a/x", b"");
    refused(store.remove_dir(root(&store), "a/"), Kind::NotEmpty);
    delete(&store, "a/x");
    assert_eq!(dir(&store, "a/"), made.id, "explicit ones stay");
    store.remove_dir(root(&store), "a/").unwrap();
    assert!(all_versions(&store, B, 9).is_empty());
    fsck(&store);
}

/// A file system's `rm` leaves the directory, also one that only a key made.
#[test]
fn key_6_directories_outlive_what_the_mount_removes() {
    for versioning in [Unversioned, Enabled, Suspended] {
        let (_home, store) = Home::with_bucket(versioning);
        put(&store, "a/b/c", b"");
        put(&store, "m/n", b"");
        let (a, b) = (dir(&store, "a/"), dir(&store, "a/b/"));
        store.remove(b, "c").unwrap();
        assert_eq!(dir(&store, "a/b/"), b);
        store.remove_dir(a, "b/").unwrap();
        assert_eq!(dir(&store, "a/"), a);
        store.remove_dir(root(&store), "a/").unwrap();
        store.rename((dir(&store, "m/"), "n"), (root(&store), "n"), RenameHow::Replace).unwrap();
        assert!(matches!(store.lookup(root(&store), "m/").unwrap(), Some(Entry::Dir(_))));
        fsck(&store);
    }
}

#[test]
fn a_directory_made_in_a_dead_one_does_not_bring_it_back() {
    let (_home, store) = Home::with_bucket(Enabled);
    put(&store, "a/sub/f", b"");
    let (a, sub) = (dir(&store, "a/"), dir(&store, "a/sub/"));
    delete(&store, "a/sub/f");
    refused(store.make_dir(a, "sub/", &posix(FileKind::Directory)), Kind::NoSuchKey);
    refused(store.make_dir(sub, "x/", &posix(FileKind::Directory)), Kind::NoSuchKey);
    fsck(&store);
}

#[test]
fn a_deleted_tree_keeps_its_history_and_all_of_it_comes_back() {
    let (_home, store) = Home::with_bucket(Enabled);
    let keys = ["t/a", "t/b/c", "t/b/d/e", "t/f"];
    keys.iter().for_each(|key| drop(put(&store, key, key.as_bytes())));
    let id = dir(&store, "t/b/");
    for key in keys {
        delete(&store, key);
    }
    assert!(store.lookup(root(&store), "t/").unwrap().is_none());
    fsck(&store);
    let names = store.names_with_history(&[root(&store)], None, 9).unwrap();
    assert!(names.len() == 1 && names[0].component == "t/" && !names[0].live);
    for text in keys.iter().rev() {
        let (dirs, name) = store.history_place(B, &key(text)).unwrap();
        store.undelete(&dirs, &name).unwrap();
        assert_eq!(get(&store, text).unwrap(), text.as_bytes());
        fsck(&store);
    }
    assert_eq!(dir(&store, "t/b/"), id, "the same directory");
    for entry in all_versions(&store, B, 99) {
        purge(&store, &entry.key, entry.object.version);
    }
    fsck(&store);
    store.delete_bucket(B).unwrap();
}

#[test]
fn a_directory_renamed_over_a_dead_one_shows_its_own_files_as_current() {
    let (_home, store) = Home::with_bucket(Enabled);
    let at = root(&store);
    put(&store, "new/f", b"from new");
    put(&store, "d/f", b"old");
    put(&store, "d/g", b"gone");
    delete(&store, "d/f");
    delete(&store, "d/g");
    store.rename((at, "new/"), (at, "d/"), RenameHow::Replace).unwrap();
    let all = versions(&store, "d/f");
    assert!(all.len() == 3 && !all[0].marker && all[1].marker, "LIST-11: the current one is latest");
    assert_eq!(get(&store, "d/f").unwrap(), b"from new");
    fsck(&store);
    let (dirs, name) = store.history_place(B, &key("d/g")).unwrap();
    store.undelete(&dirs, &name).unwrap();
    assert_eq!(get(&store, "d/g").unwrap(), b"gone");
    purge(&store, "d/f", all[0].version);
    refused(get(&store, "d/f"), Kind::NoSuchKey);
    purge(&store, "d/f", all[1].version);
    assert_eq!(get(&store, "d/f").unwrap(), b"old", "DEL-6 over both directories");
    fsck(&store);
    for entry in all_versions(&store, B, 99) {
        purge(&store, &entry.key, entry.object.version);
    }
    fsck(&store);
    store.delete_bucket(B).unwrap();
}

#[test]
fn rename_moves_history_and_keeps_the_destinations() {
    let (_home, store) = Home::with_bucket(Enabled);
    let at = root(&store);
    put(&store, "a", b"a1");
    put(&store, "b", b"b1");
    put(&store, "a", b"a2");
    store.rename((at, "a"), (at, "b"), RenameHow::Replace).unwrap();
    let sizes: Vec<_> =
        versions(&store, "b").iter().map(|object| super::harness::read(&store, object).unwrap()).collect();
    assert_eq!(sizes, [b"a2", b"b1", b"a1"]);
    assert!(versions(&store, "a").is_empty(), "no litter");
    fsck(&store);
}

#[test]
fn rename_errors_are_those_of_posix() {
    let (_home, store) = Home::with_bucket(Enabled);
    let at = root(&store);
    for name in ["f", "g", "d/x", "e/y"] {
        put(&store, name, b"");
    }
    let move_to = |from: &str, to: &str, how| store.rename((at, from), (at, to), how);
    refused(move_to("f", "d", RenameHow::Replace), Kind::IsDirectory);
    refused(move_to("d/", "f/", RenameHow::Replace), Kind::NotDirectory);
    refused(move_to("d/", "e/", RenameHow::Replace), Kind::NotEmpty);
    refused(move_to("f", "g", RenameHow::NoReplace), Kind::AlreadyExists);
    refused(move_to("none", "g", RenameHow::Replace), Kind::NoSuchKey);
    refused(store.rename((at, "d/"), (dir(&store, "d/"), "in/"), RenameHow::Replace), Kind::Loop);
    super::harness::make_bucket(&store, "other");
    let other = store.bucket("other").unwrap().root;
    refused(store.rename((at, "f"), (other, "f"), RenameHow::Replace), Kind::CrossBucket);
    fsck(&store);
}

#[test]
fn exchange_swaps_a_file_and_a_directory_and_is_told() {
    let (_home, store) = Home::with_bucket(Enabled);
    let at = root(&store);
    put(&store, "f", b"file");
    put(&store, "f", b"file 2");
    put(&store, "d/x", b"below");
    let told = store.changes(0, 99).unwrap().len();
    store.rename((at, "f"), (at, "d/"), RenameHow::Exchange).unwrap();
    assert_eq!((get(&store, "d").unwrap(), get(&store, "f/x").unwrap()), (b"file 2".to_vec(), b"below".to_vec()));
    assert_eq!(versions(&store, "d").len(), 2);
    assert_eq!(store.changes(0, 99).unwrap().len(), told + 2);
    fsck(&store);
}

#[test]
fn the_versions_of_a_directorys_own_key_follow_it() {
    let (_home, store) = Home::with_bucket(Enabled);
    let at = root(&store);
    put(&store, "d/", b"one");
    put(&store, "d/", b"two");
    store.rename((at, "d/"), (at, "e/"), RenameHow::Replace).unwrap();
    assert_eq!((versions(&store, "d/").len(), versions(&store, "e/").len()), (0, 2));
    put(&store, "d/", b"other");
    fsck(&store);
    store.remove_dir(at, "e/").unwrap();
    assert!(versions(&store, "e/")[0].marker, "S3 made versions of it: rmdir leaves a marker");
    let (dirs, name) = store.history_place(B, &key("e/")).unwrap();
    store.undelete(&dirs, &name).unwrap();
    assert_eq!(get(&store, "e/").unwrap(), b"two");
    assert_ne!(dir(&store, "d/"), dir(&store, "e/"));
    fsck(&store);
}

#[test]
fn ver_9_mkdir_over_the_history_of_its_key() {
    for versioning in [Enabled, Suspended] {
        let (_home, store) = Home::with_bucket(Unversioned);
        put(&store, "d/", b"null");
        store.set_versioning(B, versioning).unwrap();
        delete(&store, "d/");
        store.make_dir(root(&store), "d/", &posix(FileKind::Directory)).unwrap();
        fsck(&store);
        let nulls = versions(&store, "d/").iter().filter(|object| object.version == VersionId::Null).count();
        assert_eq!(nulls, 1);
    }
}

#[test]
fn undelete_while_a_new_file_is_being_made_under_the_name() {
    let (_home, store) = Home::with_bucket(Enabled);
    let at = root(&store);
    put(&store, "f", b"old");
    let marker = delete(&store, "f").version.unwrap();
    let made = store.create_draft(at, "f", &posix(FileKind::File)).unwrap().object;
    purge(&store, "f", marker);
    assert_eq!(get(&store, "f").unwrap(), b"old");
    fsck(&store);
    super::harness::rewrite_file(&store, at, "f", &made, |draft| draft.write_at(0, b"new!").unwrap());
    assert_eq!((get(&store, "f").unwrap(), versions(&store, "f").len()), (b"new!".to_vec(), 2));
    fsck(&store);
}

#[test]
fn a_draft_over_an_object_hides_it_and_when_discarded_gives_it_back() {
    let (_home, store) = Home::with_bucket(Enabled);
    let at = root(&store);
    put(&store, "d/real", b"old");
    let d = dir(&store, "d/");
    for keep in [false, true] {
        let made = store.create_draft(at, "tmp", &posix(FileKind::File)).unwrap().object;
        store.rename((at, "tmp"), (d, "real"), RenameHow::Replace).unwrap();
        assert!(file(&store, d, "real").draft);
        match keep {
            false => store.discard_draft(d, "real", made.ino).unwrap(),
            true => drop(store.remove(d, "real").unwrap()),
        }
        fsck(&store);
        assert_eq!(get(&store, "d/real").is_ok(), !keep);
    }
    assert!(versions(&store, "d/real")[0].marker, "removed by hand, it is deleted");
}

#[test]
fn special_files_are_objects_without_bytes() {
    let (_home, store) = Home::with_bucket(Enabled);
    let mut link = posix(FileKind::Symlink);
    link.target = b"elsewhere".to_vec();
    store.make_node(root(&store), "l", &link).unwrap();
    refused(store.make_node(root(&store), "l", &link), Kind::AlreadyExists);
    assert!(
        matches!(store.lookup(root(&store), "l").unwrap(), Some(Entry::File(file)) if file.object.posix.target == b"elsewhere")
    );
    write_file(&store, root(&store), "f", &[1; 5000]);
    delete(&store, "l");
    reap(&store);
    fsck(&store);
}

#[test]
fn nothing_is_restored_into_a_directory_that_was_removed_but_by_key() {
    let (_home, store) = Home::with_bucket(Enabled);
    let version = put(&store, "d/f", b"1").version;
    let inside = dir(&store, "d/");
    delete(&store, "d/f");
    refused(store.restore_in(&[inside], "f", version, inside), Kind::NoSuchKey);
    refused(store.empty_marker(inside), Kind::NoSuchKey);
    // By key, it comes back with its directory.
    store.restore(&[inside], "f", version).unwrap();
    assert_eq!(list(&store, B, "", None, 1000), ["d/f"]);
    put(&store, "d/", b"body");
    store.empty_marker(inside).unwrap();
    assert!(get(&store, "d/").unwrap().is_empty());
    fsck(&store);
}
