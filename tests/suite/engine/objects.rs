//! Conditions, copies, metadata and tags: COND, COPY, META, TAG.

use super::harness::{B, Home, delete, fsck, get, key, put, put_if, refused, root, versions};
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::model::{ETag, Kind, Metadata, StorageClass, TagSet, VersionId};
use keyfold::store::{Condition, CopyOptions, PutOptions};

fn tags(pairs: &[(&str, &str)]) -> TagSet {
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
fn copy_1_copy_2_copy_3_copy_9_what_a_copy_takes_over() {
    let (home, store) = Home::with_bucket(Enabled);
    let options = PutOptions {
        metadata: meta("m"),
        tags: tags(&[("k", "v")]),
        class: StorageClass::Glacier,
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
