//! Listings: LIST-1 to LIST-6, LIST-11 to LIST-15.

use super::harness::{B, Home, all_versions, delete, fsck, list, put, refused};
use keyfold::model::Kind;
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::store::{ListRequest, ListVersions};
use keyfold::telemetry::Metrics;
use keyfold::vfs::{DirEntry, ROOT, Settings, Vfs};
use std::sync::Arc;

#[test]
fn list_1_list_2_keys_come_in_byte_order_of_the_whole_key() {
    let (_home, store) = Home::with_bucket(Unversioned);
    let mut keys =
        ["a-b", "a/b", "a0", "a", "a/", "a//", "a//x", "/", "/a", "\u{fffd}", "\u{10000}", "a/b/c", "a\u{1}/z"];
    keys.iter().for_each(|key| drop(put(&store, key, b"")));
    keys.sort_unstable();
    for limit in [1, 2, 3, 1000] {
        assert_eq!(list(&store, B, "", None, limit), keys);
    }
    fsck(&store);
}

#[test]
fn list_3_pages_are_cut_to_a_thousand_and_zero_is_empty() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for n in 0..12 {
        put(&store, &format!("{n:02}"), b"");
    }
    let page = store.list(B, &ListRequest::default()).unwrap();
    assert!(page.objects.is_empty() && page.next.is_none());
    let page = store.list(B, &ListRequest { limit: 12, ..ListRequest::default() }).unwrap();
    assert!(page.objects.len() == 12 && page.next.is_none(), "a page that holds all of it is the last");
}

#[test]
fn list_4_list_5_list_6_groups() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for key in ["photos/", "photos/2006/a", "photos/2006/b", "photos/2007/a", "photos/x", "sample.jpg", "photos-old"] {
        put(&store, key, b"");
    }
    for limit in [1, 2, 9] {
        assert_eq!(list(&store, B, "", Some("/"), limit), ["photos-old", "photos/", "sample.jpg"]);
        assert_eq!(
            list(&store, B, "photos/", Some("/"), limit),
            ["photos/", "photos/2006/", "photos/2007/", "photos/x"]
        );
        assert_eq!(list(&store, B, "photos", Some("/"), limit), ["photos-old", "photos/"]);
        assert_eq!(
            list(&store, B, "photos/200", Some("/a"), limit),
            ["photos/2006/a", "photos/2006/b", "photos/2007/a"]
        );
        assert_eq!(list(&store, B, "", Some("2006"), limit).len(), 6);
    }
    let after =
        ListRequest { delimiter: Some("/".into()), after: Some("photos/".into()), limit: 9, ..ListRequest::default() };
    let page = store.list(B, &after).unwrap();
    assert!(page.prefixes.is_empty() && page.objects.len() == 1, "LIST-6: the whole group is skipped");
}

#[test]
fn list_11_list_12_list_13_versions_interleave_and_pages_leave_no_gap() {
    let (_home, store) = Home::with_bucket(Enabled);
    for round in 0..3 {
        for key in ["a", "a/b", "a-", "c/d/e", "a/"] {
            put(&store, key, &[round]);
            if key != "a-" {
                delete(&store, key);
            }
        }
    }
    let whole = all_versions(&store, B, 1000);
    assert_eq!(whole.len(), 27);
    for limit in [1, 2, 3, 4, 7] {
        assert_eq!(all_versions(&store, B, limit), whole);
    }
    for pair in whole.windows(2) {
        assert!((&pair[0].key, pair[1].object.seq) <= (&pair[1].key, pair[0].object.seq));
        assert_eq!(pair[1].is_latest, pair[0].key != pair[1].key, "one latest a key");
    }
    assert_eq!(list(&store, B, "", None, 9), ["a-"], "LIST-9");
    let alone = ListVersions { version_marker: Some(whole[0].object.version), limit: 1, ..ListVersions::default() };
    refused(store.list_versions(B, &alone), Kind::InvalidArgument);
    let from = ListVersions { key_marker: Some("a".into()), limit: 99, ..ListVersions::default() };
    assert_eq!(store.list_versions(B, &from).unwrap().versions[0].key, "a-", "LIST-13: a key alone is passed by");
    let groups = ListVersions { delimiter: Some("/".into()), limit: 99, ..ListVersions::default() };
    assert_eq!(store.list_versions(B, &groups).unwrap().prefixes, ["a/", "c/"]);
}

#[test]
fn list_15_unversioned_buckets_list_null() {
    let (_home, store) = Home::with_bucket(Unversioned);
    put(&store, "f", b"1");
    put(&store, "f", b"2");
    let all = all_versions(&store, B, 9);
    assert!(all.len() == 1 && all[0].is_latest && all[0].object.version.to_string() == "null");
}

/// KEY-8: what stands under a name changes when a directory of that name appears; no listing tells the name twice.
#[test]
fn key_8_a_name_is_told_once_while_a_directory_of_it_appears() {
    let (_home, store) = Home::with_bucket(Unversioned);
    for name in ["a", "a!", "b"] {
        put(&store, name, b"x");
    }
    let settings = Settings { bucket: Some((B.to_owned(), String::new())), ..Settings::default() };
    let vfs = Vfs::new(Arc::clone(&store), Arc::new(Metrics::new()), settings).unwrap();
    let fh = vfs.opendir(ROOT).unwrap();
    let (mut told, mut offset) = (Vec::new(), 0);
    // A name at a time, as a kernel with little room asks.
    for _ in 0..20 {
        let (mut room, from) = (1, offset);
        let tell = |entry: &DirEntry| {
            if room > 0 {
                told.push(entry.name.clone());
                offset = entry.offset;
            }
            room -= 1;
            room < 0
        };
        vfs.readdir(fh, from, tell).unwrap();
        if told.last().is_some_and(|last| last == "a!") && !told.contains(&"b".to_owned()) {
            put(&store, "a/x", b"x");
        }
    }
    assert_eq!(told, [".", "..", "a", "a!", "b"]);
    vfs.releasedir(fh);
}
