//! What calls cost, counted in records of the index that they ask for: it must not grow with a name's history.

use super::harness::{B, Home, all_versions, key, put, root};
use keyfold::index::reads_of_thread;
use keyfold::model::{Object, TagSet, Versioning};
use keyfold::store::{Condition, ListVersions, RenameHow, Store};
use keyfold::telemetry::Metrics;
use keyfold::vfs::{ROOT, Settings, Vfs};
use std::sync::Arc;

const FEW: usize = 30;
const MANY: usize = 10 * FEW;

/// How many records `act` asks for.
fn reads(act: impl FnOnce()) -> u64 {
    let before = reads_of_thread();
    act();
    reads_of_thread() - before
}

/// A store with a name `f` of so many versions, newest first.
fn with_versions(count: usize) -> (Home, Arc<Store>, Vec<Object>) {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    for n in 0..count {
        put(&store, "f", format!("{n}").as_bytes());
    }
    let versions = store.versions(&[root(&store)], "f").unwrap();
    assert_eq!(versions.len(), count);
    (home, store, versions)
}

/// Some of the oldest versions, which a search from the newest on comes upon last.
fn oldest(versions: &[Object], part: std::ops::Range<usize>) -> impl Iterator<Item = &Object> {
    versions.iter().rev().take(part.end).skip(part.start)
}

/// The same call on names of few and of many versions.
#[track_caller]
fn costs_the_same(act: impl Fn(&Arc<Store>, &[Object])) {
    let [few, many] = [FEW, MANY].map(|count| {
        let (_home, store, versions) = with_versions(count);
        reads(|| act(&store, &versions))
    });
    assert!(many <= few + 5, "{few} records with {FEW} versions, {many} with {MANY}");
}

#[test]
fn getting_a_version_costs_the_same_however_many_there_are() {
    costs_the_same(|store, versions| {
        for object in oldest(versions, 0..FEW) {
            assert_eq!(&store.get(B, &key("f"), Some(object.version)).unwrap(), object);
            let found = store.version(&[root(store)], "f", object.version, Some(object.seq)).unwrap();
            assert_eq!(found.as_ref(), Some(object));
        }
        assert!(store.has_versions(&[root(store)], "f").unwrap());
    });
}

#[test]
fn purging_versions_costs_the_same_however_many_there_are() {
    costs_the_same(|store, versions| {
        for object in oldest(versions, 10..FEW) {
            store.delete(B, &key("f"), Some(object.version), Condition::Always).unwrap();
        }
        for object in oldest(versions, 0..10) {
            store.delete_version(&[root(store)], "f", object.version, object.seq).unwrap();
        }
    });
}

#[test]
fn tagging_and_restoring_a_version_cost_the_same_however_many_there_are() {
    costs_the_same(|store, versions| {
        for object in oldest(versions, 0..FEW) {
            store.set_tags((root(store), "f"), Some(object.version), &TagSet::new()).unwrap();
            store.restore(&[root(store)], "f", object.version).unwrap();
        }
    });
}

#[test]
fn writes_without_versioning_cost_the_same_however_many_versions_lie_below() {
    let [few, many] = [FEW, MANY].map(|count| {
        let (_home, store, _) = with_versions(count);
        store.set_versioning(B, Versioning::Suspended).unwrap();
        // The first one has to find out that there is no null version.
        put(&store, "f", b"null");
        reads(|| {
            for _ in 0..10 {
                put(&store, "f", b"null");
                store.delete(B, &key("f"), None, Condition::Always).unwrap();
                put(&store, "f", b"null");
            }
        })
    });
    assert!(many <= few + 5, "{few} records over {FEW} versions, {many} over {MANY}");
}

/// Saving by rename, as editors do it.
#[test]
fn renaming_over_a_name_costs_the_same_however_many_versions_it_has() {
    let [few, many] = [FEW, MANY].map(|count| {
        let (_home, store, _) = with_versions(count);
        put(&store, "saved", b"new");
        reads(|| {
            store.rename((root(&store), "saved"), (root(&store), "f"), RenameHow::Replace).unwrap();
        })
    });
    assert!(many <= few + 5, "{few} records over {FEW} versions, {many} over {MANY}");
}

#[test]
fn looking_at_every_version_through_the_mount_costs_the_same_for_each() {
    let [few, many] = [FEW, MANY].map(|count| {
        let (_home, store, versions) = with_versions(count);
        let settings = Settings { bucket: Some((B.to_owned(), String::new())), ..Settings::default() };
        let vfs = Vfs::new(Arc::clone(&store), Arc::new(Metrics::new()), settings).unwrap();
        let history = vfs.lookup(ROOT, b".versions").unwrap().unwrap().node;
        let name = vfs.lookup(history, b"f").unwrap().unwrap().node;
        reads(|| {
            for object in oldest(&versions, 0..FEW) {
                let entry = format!("{}~{}", object.modified.sortable(), object.version);
                let found = vfs.lookup(name, entry.as_bytes()).unwrap().unwrap();
                assert_eq!(vfs.getattr(found.node).unwrap().0.size, object.size);
            }
            vfs.lookup(history, b"f").unwrap().unwrap();
        })
    });
    assert!(many <= few + 5, "{few} records of {FEW} versions, {many} of {MANY}");
}

#[test]
fn paging_through_one_name_reads_each_version_a_few_times() {
    let (_home, store, versions) = with_versions(MANY);
    let read = reads(|| {
        let told = all_versions(&store, B, 10);
        assert_eq!(told.iter().map(|entry| entry.object.version).collect::<Vec<_>>(), {
            versions.iter().map(|object| object.version).collect::<Vec<_>>()
        });
        assert_eq!(told.iter().filter(|entry| entry.is_latest).count(), 1);
    });
    assert!(read < 5 * MANY as u64, "{read} records for {MANY} versions");
}

#[test]
fn a_page_goes_on_after_a_version_that_was_purged() {
    let (_home, store, versions) = with_versions(5);
    let request = ListVersions { limit: 2, ..ListVersions::default() };
    let page = store.list_versions(B, &request).unwrap();
    let (last, version) = page.next.unwrap();
    for entry in &page.versions {
        store.delete(B, &key("f"), Some(entry.object.version), Condition::Always).unwrap();
    }
    let request = ListVersions { key_marker: Some(last), version_marker: version, ..ListVersions::default() };
    let rest = store.list_versions(B, &ListVersions { limit: 10, ..request }).unwrap();
    let told: Vec<_> = rest.versions.iter().map(|entry| (entry.object.version, entry.is_latest)).collect();
    assert_eq!(told, [(versions[2].version, true), (versions[3].version, false), (versions[4].version, false)]);
    assert_eq!(rest.next, None);
}
