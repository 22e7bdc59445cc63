//! Archived objects and their restores: who reads them when, what is told of it, and that nothing of it is lost.

use super::classes::{at, put_in};
use super::harness::*;
use StorageClass::{DeepArchive, Glacier, IntelligentTiering};
use keyfold::model::{Kind, Object, Restore, RestoreTier, StorageClass, Timestamp, Versioning, parse_rfc3339};
use keyfold::store::{Granted, Options, RenameHow, RestoreDelay, RestoreWish, Store, restore_text};
use std::sync::Arc;

const HOUR: i64 = 3600;

/// A store whose restores take as long as S3's.
fn slow(home: &Home) -> Arc<Store> {
    let mut options: Options = home.options();
    options.settings.restore_delay = RestoreDelay::Aws;
    home.open_with(options)
}

fn wish(days: u32, tier: RestoreTier) -> RestoreWish {
    RestoreWish { days: Some(days), tier }
}

/// Lets the time come to an instant, and everything that is due by then be done.
pub fn until(home: &Home, store: &Store, then: &str) {
    use keyfold::sys::clock::Clock as _;
    let (now, then) = (home.clock.now(), parse_rfc3339(then).unwrap());
    home.clock.advance_millis((then.secs - now.secs) * 1000);
    settle(store);
}

/// Does everything that is due; returns when there is more.
pub fn settle(store: &Store) -> Option<Timestamp> {
    loop {
        match store.pass_time().unwrap() {
            Some(at) if at <= store.now() => {}
            next => return next,
        }
    }
}

/// Events about restores and tiers so far.
pub fn told(store: &Store) -> Vec<String> {
    let all = store.changes(0, usize::MAX).unwrap().into_iter();
    let mine = all.filter(|(_, change)| {
        ["ObjectRestore", "IntelligentTiering"].iter().any(|begin| change.event.starts_with(begin))
    });
    mine.map(|(_, change)| format!("{} {}", change.event, change.key)).collect()
}

fn ask(store: &Store, name: &str, wish: RestoreWish) -> keyfold::model::Result<Granted> {
    store.request_restore((root(store), name), None, wish).map(|(_, granted)| granted)
}

fn now_of(store: &Store, name: &str) -> Object {
    store.get(B, &key(name), None).unwrap()
}

#[test]
fn rst_1_rst_6_and_rst_9_a_restore_from_its_beginning_to_its_end() {
    let (home, first) = Home::with_bucket(Versioning::Unversioned);
    drop(first);
    let store = slow(&home);
    until(&home, &store, "2026-10-15T10:30:00Z");
    put_in(&store, "f", &pattern(200_000, 1), Glacier);
    refused(get(&store, "f"), Kind::Archived);
    assert!(matches!(ask(&store, "f", wish(3, RestoreTier::Standard)), Ok(Granted::Begun(_))), "RST-1: 202");
    refused(ask(&store, "f", wish(3, RestoreTier::Standard)), Kind::Restoring);
    assert_eq!(told(&store), ["ObjectRestore:Post f"]);
    refused(get(&store, "f"), Kind::Archived);
    // It goes on over reopenings, and nobody has to look for the copy to be there.
    drop(store);
    let store = slow(&home);
    assert_eq!(settle(&store), Some(parse_rfc3339("2026-10-15T15:30:00Z").unwrap()));
    home.clock.advance_millis(5 * HOUR * 1000);
    assert_eq!(get(&store, "f").unwrap(), pattern(200_000, 1));
    assert_eq!(now_of(&store, "f").class, Glacier, "RST-8");
    settle(&store);
    assert_eq!(told(&store), ["ObjectRestore:Post f", "ObjectRestore:Completed f"]);
    until(&home, &store, "2026-10-16T11:00:00Z");
    assert!(matches!(ask(&store, "f", wish(1, RestoreTier::Standard)), Ok(Granted::Renewed(_))), "RST-1: 200");
    let text = restore_text(&now_of(&store, "f"), store.now()).unwrap();
    assert!(text.contains("Sun, 18 Oct 2026 00:00:00 GMT"), "{text}");
    assert_eq!(told(&store).len(), 2, "nothing begins and nothing ends");
    drop(store);
    let store = slow(&home);
    until(&home, &store, "2026-10-17T23:59:59Z");
    assert!(get(&store, "f").is_ok());
    home.clock.advance_millis(1000);
    refused(get(&store, "f"), Kind::Archived);
    settle(&store);
    assert_eq!(told(&store).last().map(String::as_str), Some("ObjectRestore:Delete f"));
    assert_eq!((now_of(&store, "f").aging.restore, now_of(&store, "f").class), (None, Glacier));
    assert_eq!(told(&store).len(), 3, "each is told once");
    fsck(&store);
}

#[test]
fn rst_11_a_version_is_restored_by_its_id_and_no_other() {
    let (_home, store) = Home::with_bucket(Versioning::Enabled);
    let old = put_in(&store, "f", b"old", Glacier);
    let new = put_in(&store, "f", b"new", DeepArchive);
    store.request_restore((root(&store), "f"), at(&old), wish(1, RestoreTier::Bulk)).unwrap();
    let all = versions(&store, "f");
    assert_eq!(read(&store, &all[1]).unwrap(), b"old");
    refused(read(&store, &all[0]), Kind::Archived);
    assert_eq!(all[0].version, new.version);
    assert_eq!(
        told(&store),
        ["ObjectRestore:Post f", "ObjectRestore:Completed f"],
        "without a delay it is there at once"
    );
    let marker = delete(&store, "f").version.unwrap();
    let refusal = store.request_restore((root(&store), "f"), Some((marker, None)), wish(1, RestoreTier::Bulk));
    refused(refusal.map(|_| ()), Kind::IsMarker);
    fsck(&store);
}

#[test]
fn what_needs_no_bytes_works_on_archived_objects() {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    let top = root(&store);
    let object = put_in(&store, "f", &pattern(5 << 20, 9), DeepArchive);
    store.set_tags((top, "f"), None, &super::objects::tags(&[("a", "b")])).unwrap();
    let mut metadata = object.metadata.clone();
    metadata.set_user("title", "T").unwrap();
    assert_eq!(store.set_metadata((top, "f"), &metadata).unwrap().class, DeepArchive);
    store.rename((top, "f"), (top, "g"), RenameHow::Replace).unwrap();
    assert_eq!(versions(&store, "g").len(), 2);
    assert_eq!(store.checksum(&now_of(&store, "g")).unwrap(), store.checksum(&object).unwrap());
    compact(&store);
    fsck(&store);
    delete(&store, "g");
    drop(store);
    let store = home.open();
    versions(&store, "g").iter().for_each(|object| purge(&store, "g", object.version));
    assert!(versions(&store, "g").is_empty());
    fsck(&store);
}

/// Whoever has the bytes open keeps them: a copy's end takes nothing from a reader.
#[test]
fn an_open_file_is_read_to_its_end_though_its_copy_ends() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put_in(&store, "f", &pattern(300_000, 2), Glacier);
    ask(&store, "f", wish(1, RestoreTier::Standard)).unwrap();
    let content = store.open_content(&now_of(&store, "f")).unwrap();
    home.clock.advance_millis(48 * HOUR * 1000);
    settle(&store);
    refused(get(&store, "f"), Kind::Archived);
    let mut bytes = vec![0; 300_000];
    content.read_at(0, &mut bytes).unwrap();
    assert_eq!(bytes, pattern(300_000, 2));
}

/// RST-9: what is due follows a version wherever it goes.
#[test]
fn rst_9_events_find_versions_that_moved() {
    let (home, first) = Home::with_bucket(Versioning::Enabled);
    drop(first);
    let store = slow(&home);
    until(&home, &store, "2026-10-15T10:00:00Z");
    let top = root(&store);
    for name in ["renamed", "covered", "deleted", "linked", "exchanged", "dir/inside"] {
        put_in(&store, name, &pattern(5000, 4), Glacier);
        let (parent, name) = if name == "dir/inside" { (dir(&store, "dir/"), "inside") } else { (top, name) };
        store.request_restore((parent, name), None, wish(1, RestoreTier::Standard)).unwrap();
    }
    store.rename((top, "renamed"), (top, "renamed-to"), RenameHow::Replace).unwrap();
    put(&store, "covered", b"new");
    store.rename((top, "covered"), (top, "covered-to"), RenameHow::Replace).unwrap();
    store.link(now_of(&store, "linked").ino, (top, "linked"), (top, "linked-too")).unwrap();
    put(&store, "other", b"");
    store.rename((top, "exchanged"), (top, "other"), RenameHow::Exchange).unwrap();
    store.rename((top, "dir/"), (top, "moved/"), RenameHow::Replace).unwrap();
    delete(&store, "deleted");
    drop(store);
    let store = slow(&home);
    until(&home, &store, "2026-10-15T15:00:00Z");
    let mut told = told(&store).split_off(6);
    told.sort();
    assert_eq!(
        told,
        ["covered-to", "deleted", "linked", "moved/inside", "other", "renamed-to"]
            .map(|key| format!("ObjectRestore:Completed {key}"))
    );
    fsck(&store);
}

/// RST-1, after a power cut at any moment: a restore that was acknowledged durable is there, and is told of once.
#[test]
fn rst_9_a_crash_loses_no_restore_and_tells_nothing_twice() {
    let home = Home::simulated();
    let store = slow(&home);
    make_bucket(&store, B);
    put_in(&store, "f", b"bytes", Glacier);
    ask(&store, "f", wish(1, RestoreTier::Expedited)).unwrap();
    store.sync().unwrap();
    drop(store);
    for seed in 0..6 {
        home.clock.advance_millis(90_000);
        let store = slow(&home);
        store.pass_time().unwrap();
        if seed % 2 == 0 {
            store.sync().unwrap();
        }
        home.forget();
        drop(store);
        home.lose_power(seed);
    }
    let store = slow(&home);
    settle(&store);
    assert_eq!(told(&store), ["ObjectRestore:Post f", "ObjectRestore:Completed f"]);
    assert_eq!(get(&store, "f").unwrap(), b"bytes");
    fsck(&store);
}

#[test]
fn a_step_down_keeps_the_copy_that_was_restored() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    put_in(&store, "f", b"bytes", Glacier);
    ask(&store, "f", wish(5, RestoreTier::Standard)).unwrap();
    let step = keyfold::store::Step { from: None, to: DeepArchive, by: keyfold::store::Mover::Caller };
    let moved = store.transition((root(&store), "f"), None, step).unwrap();
    assert!(matches!(moved.aging.restore, Some(Restore { told: true, .. })), "{moved:?}");
    assert_eq!(get(&store, "f").unwrap(), b"bytes");
    refused(ask(&store, "g", wish(5, RestoreTier::Standard)), Kind::NoSuchKey);
    put_in(&store, "g", b"bytes", IntelligentTiering);
    refused(ask(&store, "g", wish(5, RestoreTier::Standard)), Kind::InActiveTier);
}
