//! Conditions, copies, metadata and tags: COND, COPY, META, TAG.

use super::harness::{B, Home, delete, fsck, get, key, make_bucket, put, put_if, refused, root, versions};
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::model::{
    ChecksumAlgorithm, Conditions, ETag, FileKind, Kind, Leave, Metadata, StorageClass, TagSet, Tags, VersionId,
};
use keyfold::store::{Condition, CopyOptions, DeleteOne, Deleted, PutOptions};
use std::sync::Arc;

pub fn tags(pairs: &[(&str, &str)]) -> TagSet {
    let mut tags = TagSet::new();
    pairs.iter().for_each(|(key, value)| tags.set(key, value).unwrap());
    tags
}

fn meta(value: &str) -> Metadata {
    let mut meta = Metadata::default();
    meta.set_user("title", value).unwrap();
    meta
}

#[test]
fn cond_4_cond_8_absent_means_no_current_object() {
    let (_home, store) = Home::with_bucket(Enabled);
    put_if(&store, "d/f", b"1", Condition::Absent).unwrap();
    refused(put_if(&store, "d/f", b"2", Condition::Absent), Kind::PreconditionFailed);
    assert_eq!(get(&store, "d/f").unwrap(), b"1");
    delete(&store, "d/f");
    put_if(&store, "d/f", b"3", Condition::Absent).unwrap();
    refused(put_if(&store, "x/y", b"", Condition::Present), Kind::NoSuchKey);
    assert!(store.resolve_dir(&store.bucket(B).unwrap(), "x/").unwrap().is_none(), "nothing is left behind");
    fsck(&store);
}

#[test]
fn cond_5_cond_12_cond_13_matching_a_tag() {
    let (_home, store) = Home::with_bucket(Enabled);
    refused(put_if(&store, "f", b"", Condition::Matches(ETag::EMPTY)), Kind::NoSuchKey);
    let one = put(&store, "f", b"1");
    put_if(&store, "f", b"2", Condition::Matches(one.etag)).unwrap();
    refused(put_if(&store, "f", b"3", Condition::Matches(one.etag)), Kind::PreconditionFailed);
    refused(store.delete(B, &key("f"), None, Condition::Matches(one.etag)), Kind::PreconditionFailed);
    store.delete(B, &key("f"), None, Condition::Present).unwrap();
    refused(store.delete(B, &key("f"), None, Condition::Present), Kind::NoSuchKey);
}

#[test]
fn cond_4_cond_5_conditions_of_writes_as_headers_say_them() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let tags = |text: Option<&str>| text.map(Tags::parse);
    let of = |matches, none| Condition::of(tags(matches).as_ref(), tags(none).as_ref());
    let tag = ETag::EMPTY.to_string();
    let two = format!("{tag}, \"{tag}-1\"");
    assert_eq!(of(None, None).unwrap(), Condition::Always);
    assert_eq!(of(None, Some("*")).unwrap(), Condition::Absent);
    assert_eq!(of(Some("*"), None).unwrap(), Condition::Present);
    assert_eq!(of(Some(&tag), None).unwrap(), Condition::Matches(ETag::EMPTY));
    assert_eq!(of(None, Some(&tag)).unwrap(), Condition::Differs(ETag::EMPTY));
    assert_eq!(of(None, Some("\"strange\"")).unwrap(), Condition::Always);
    for (matches, none) in [(None, Some(two.as_str())), (Some(two.as_str()), None), (Some("*"), Some("*"))] {
        refused(of(matches, none), Kind::Unsupported);
    }
    let strange = of(Some("\"strange\""), None).unwrap();
    refused(put_if(&store, "f", b"1", strange), Kind::NoSuchKey);
    put(&store, "f", b"1");
    refused(put_if(&store, "f", b"2", strange), Kind::PreconditionFailed);
    assert_eq!(get(&store, "f").unwrap(), b"1");
    let one = put(&store, "f", b"1");
    refused(put_if(&store, "f", b"2", Condition::Differs(one.etag)), Kind::PreconditionFailed);
    put_if(&store, "f", b"2", Condition::Differs(ETag::EMPTY)).unwrap();
    put_if(&store, "g", b"1", Condition::Differs(one.etag)).unwrap();
    assert_eq!(get(&store, "f").unwrap(), b"2");
}

#[test]
fn cond_11_a_condition_on_the_source_of_a_copy() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let source = put(&store, "a", b"1");
    let copy = |source_is: Conditions| {
        let how = CopyOptions { source: source_is, ..CopyOptions::default() };
        store.copy(&source, B, &key("b"), &how)
    };
    let same = Some(Tags::parse(&source.etag.to_string()));
    refused(copy(Conditions { none_match: same.clone(), ..Conditions::default() }), Kind::PreconditionFailed);
    refused(get(&store, "b"), Kind::NoSuchKey);
    copy(Conditions { matches: same, ..Conditions::default() }).unwrap();
    assert_eq!(get(&store, "b").unwrap(), b"1");
}

#[test]
fn cond_12_a_condition_does_not_go_with_a_version() {
    let (_home, store) = Home::with_bucket(Enabled);
    let one = put(&store, "f", b"1");
    for condition in [Condition::Present, Condition::Matches(one.etag)] {
        refused(store.delete(B, &key("f"), Some(one.version), condition), Kind::Unsupported);
    }
    assert_eq!(get(&store, "f").unwrap(), b"1");
}

#[test]
fn copy_7_what_would_change_nothing() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let source = put(&store, "a", b"1");
    assert!(CopyOptions::default().changes_nothing(&source));
    let changes = [
        CopyOptions { metadata: Some(meta("m")), ..CopyOptions::default() },
        CopyOptions { tags: Some(TagSet::new()), ..CopyOptions::default() },
        CopyOptions { class: StorageClass::StandardIa, ..CopyOptions::default() },
        CopyOptions { checksum: Some(ChecksumAlgorithm::Sha1), ..CopyOptions::default() },
    ];
    assert!(changes.iter().all(|how| !how.changes_nothing(&source)));
}

#[test]
fn del_8_del_9_many_keys_each_with_its_answer() {
    let (_home, store) = Home::with_bucket(Enabled);
    let (one, two) = (put(&store, "a", b"1"), put(&store, "a", b"2"));
    put(&store, "d/b", b"3");
    let of = |name: &str, version, condition| DeleteOne { key: key(name), version, condition, leave: Leave::default() };
    let keys = [
        of("d/b", None, Condition::Always),
        of("a", Some(one.version), Condition::Always),
        of("a", None, Condition::Matches(ETag::EMPTY)),
        of("a", Some(VersionId::Id([7; 16])), Condition::Always),
        of("never", None, Condition::Always),
        of("never", None, Condition::Present),
        of("a", None, Condition::Matches(two.etag)),
    ];
    let answers: Vec<_> =
        store.delete_many(B, &keys).unwrap().into_iter().map(|answer| answer.map_err(|e| e.kind())).collect();
    let marker = |name: &str| Ok(Deleted { version: Some(versions(&store, name)[0].version), marker: true });
    let version = |version| Ok(Deleted { version: Some(version), marker: false });
    assert_eq!(
        answers,
        [
            marker("d/b"),
            version(one.version),
            Err(Kind::PreconditionFailed),
            version(VersionId::Id([7; 16])),
            marker("never"),
            Err(Kind::NoSuchKey),
            marker("a"),
        ],
        "DEL-7, COND-12, COND-13"
    );
    assert_eq!(versions(&store, "a").len(), 2);
    let too_many = vec![of("x", None, Condition::Always); 1001];
    refused(store.delete_many(B, &too_many), Kind::InvalidArgument);
    assert!(versions(&store, "x").is_empty());
    assert_eq!(store.delete_many(B, &too_many[1..]).unwrap().len(), 1000);
    refused(store.delete_many("none", &[]), Kind::NoSuchBucket);
    fsck(&store);
}

#[test]
fn del_8_many_keys_wait_for_the_disk_once() {
    let home = Home::simulated();
    let store = home.open();
    make_bucket(&store, B);
    let names: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    names.iter().for_each(|name| drop(put(&store, name, b"x")));
    let one = |name: &String| DeleteOne {
        key: key(name),
        version: None,
        condition: Condition::Always,
        leave: Leave::default(),
    };
    let before = store.status().unwrap().rounds;
    let answers = store.delete_many(B, &names.iter().map(one).collect::<Vec<_>>()).unwrap();
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(store.status().unwrap().rounds, before + 1);
    Arc::clone(&store).abandon();
    drop(store);
    home.lose_power(1);
    let store = home.open();
    names.iter().for_each(|name| refused(get(&store, name), Kind::NoSuchKey));
    fsck(&store);
}

#[test]
fn copy_1_copy_2_copy_3_copy_9_what_a_copy_takes_over() {
    let (home, store) = Home::with_bucket(Enabled);
    let options = PutOptions {
        metadata: meta("m"),
        tags: tags(&[("k", "v")]),
        class: StorageClass::GlacierIr,
        ..PutOptions::default()
    };
    let source = store.put(B, &key("a"), &mut &b"bytes"[..], &options).unwrap();
    let now = home.later();
    let plain = store.copy(&source, B, &key("b"), &CopyOptions::default()).unwrap();
    assert_eq!((&plain.metadata, &plain.tags, plain.class), (&source.metadata, &source.tags, StorageClass::Standard));
    assert!(plain.modified == now && plain.version != source.version && plain.content == source.content);
    let how = CopyOptions {
        metadata: Some(meta("n")),
        tags: Some(TagSet::new()),
        class: StorageClass::StandardIa,
        ..CopyOptions::default()
    };
    let other = store.copy(&source, B, &key("c"), &how).unwrap();
    assert_eq!((other.metadata.user("title"), other.tags.len(), other.class), (Some("n"), 0, StorageClass::StandardIa));
    fsck(&store);
}

/// KEY-5: the mount shows a directory where a key ends in a slash, and nowhere else.
#[test]
fn copy_1_a_copy_is_a_directory_only_by_its_own_key() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let marker = put(&store, "d/", b"");
    let file = put(&store, "f", b"bytes");
    assert_eq!(marker.posix.kind, FileKind::Directory);
    for checksum in [None, Some(ChecksumAlgorithm::Sha256)] {
        let how = CopyOptions { checksum, ..CopyOptions::default() };
        let kind = |from, to: &str| store.copy(from, B, &key(to), &how).unwrap().posix.kind;
        assert_eq!((kind(&marker, "a"), kind(&file, "b/")), (FileKind::File, FileKind::Directory));
        assert_eq!((kind(&marker, "c/"), kind(&file, "e")), (FileKind::Directory, FileKind::File));
    }
    fsck(&store);
}

#[test]
fn copy_8_a_source_that_was_freed_meanwhile_is_not_shared() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for len in [10, 100_000] {
        let source = put(&store, "a", &super::harness::pattern(len, 1));
        // Held, so that the reaper cannot take it away before the copy looks.
        let open = store.open_content(&source).unwrap();
        delete(&store, "a");
        refused(store.copy(&source, B, &key("b"), &CopyOptions::default()), Kind::NoSuchVersion);
        drop(open);
    }
    super::harness::reap(&store);
    fsck(&store);
}

#[test]
fn meta_5_metadata_makes_a_version_and_meta_6_tags_do_not() {
    let (home, store) = Home::with_bucket(Enabled);
    let one = put(&store, "f", b"bytes");
    let later = home.later();
    store.set_tags((root(&store), "f"), None, &tags(&[("a", "1"), ("b", "2")])).unwrap();
    store.set_tags((root(&store), "f"), Some(one.version), &tags(&[("c", "3")])).unwrap();
    let tagged = store.get(B, &key("f"), None).unwrap();
    assert_eq!((tagged.version, tagged.modified, tagged.tags.len()), (one.version, one.modified, 1), "TAG-5, TAG-8");
    let two = store.set_metadata((root(&store), "f"), &meta("x")).unwrap();
    assert!(two.version != one.version && two.modified == later && two.etag == one.etag, "SUM-4");
    assert_eq!(versions(&store, "f")[1].metadata.user("title"), None);
    store.set_tags((root(&store), "f"), Some(one.version), &TagSet::new()).unwrap();
    assert_eq!(versions(&store, "f").iter().map(|object| object.tags.len()).collect::<Vec<_>>(), [1, 0], "TAG-9");
    fsck(&store);
}

#[test]
fn tag_9_markers_and_unknown_versions_take_no_tags() {
    let (_home, store) = Home::with_bucket(Enabled);
    put(&store, "f", b"");
    let marker = delete(&store, "f").version;
    refused(store.set_tags((root(&store), "f"), marker, &tags(&[("a", "1")])), Kind::IsMarker);
    refused(store.set_tags((root(&store), "f"), None, &tags(&[("a", "1")])), Kind::NoSuchKey);
    refused(store.set_tags((root(&store), "f"), Some(VersionId::Id([9; 16])), &TagSet::new()), Kind::NoSuchVersion);
}

#[test]
fn meta_5_in_an_unversioned_bucket_replaces() {
    let (home, store) = Home::with_bucket(Unversioned);
    put(&store, "f", &super::harness::pattern(9000, 2));
    let later = home.later();
    let object = store.set_metadata((root(&store), "f"), &meta("x")).unwrap();
    assert_eq!((object.modified, versions(&store, "f").len()), (later, 1));
    fsck(&store);
}
