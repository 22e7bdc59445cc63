//! `INTELLIGENT_TIERING`: what counts as a use, and the archive tiers.

use super::archives::{settle, told, until};
use super::classes::put_in;
use super::harness::*;
use StorageClass::{DeepArchive, Glacier, GlacierIr, IntelligentTiering};
use keyfold::model::{Kind, Object, RestoreTier, StorageClass, Versioning};
use keyfold::store::{CopyOptions, Document, Mover, RenameHow, RestoreWish, Step, Store, Used};

const LARGE: usize = 128 << 10;

fn tier(store: &Store, name: &str) -> &'static str {
    store.access_tier(&store.get(B, &key(name), None).unwrap()).unwrap().name()
}

fn used(store: &Store, name: &str) {
    let object = store.get(B, &key(name), None).unwrap();
    store.used(|| Used::Key(B.to_owned(), key(name)), &object);
    settle(store);
}

fn configure(store: &Store, text: &str) {
    let document = Document::named("intelligent-tiering").unwrap();
    document.replace(store, &store.bucket(B).unwrap(), text.as_bytes()).unwrap();
}

const BOTH: &str = r#"{"IntelligentTieringConfigurationList":[{"Id":"all","Status":"Enabled","Tierings":[
    {"Days":90,"AccessTier":"ARCHIVE_ACCESS"},{"Days":180,"AccessTier":"DEEP_ARCHIVE_ACCESS"}]}]}"#;

#[test]
fn it_1_it_5_and_it_12_a_use_lifts_an_object_to_the_frequent_tier() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    until(&home, &store, "2026-01-01T12:00:00Z");
    put_in(&store, "f", &pattern(LARGE, 1), IntelligentTiering);
    put_in(&store, "small", &pattern(LARGE - 1, 1), IntelligentTiering);
    until(&home, &store, "2026-02-01T12:00:00Z");
    assert_eq!((tier(&store, "f"), tier(&store, "small")), ("INFREQUENT", "FREQUENT"), "IT-2");
    until(&home, &store, "2026-04-02T12:00:00Z");
    assert_eq!(tier(&store, "f"), "ARCHIVE_INSTANT");
    assert!(get(&store, "f").is_ok(), "it is read at once");
    let before = store.get(B, &key("f"), None).unwrap();
    used(&store, "f");
    let after = store.get(B, &key("f"), None).unwrap();
    assert_eq!(tier(&store, "f"), "FREQUENT");
    assert_eq!(Object { aging: before.aging, ..after.clone() }, before, "nothing else changes");
    // Once a day is enough: the second is no change.
    home.clock.advance_millis(3_600_000);
    let commits = store.commits();
    used(&store, "f");
    assert_eq!(store.commits(), commits);
    drop(store);
    let store = home.open();
    assert_eq!(store.get(B, &key("f"), None).unwrap().aging.accessed, after.aging.accessed);
    fsck(&store);
}

#[test]
fn it_10_a_directory_comes_under_the_configurations_of_its_new_place() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    until(&home, &store, "2026-01-01T12:00:00Z");
    for name in ["warm/d/f", "a/g", "b/h"] {
        put_in(&store, name, &pattern(LARGE, 1), IntelligentTiering);
    }
    configure(&store, &BOTH.replace(r#""Id":"all""#, r#""Id":"all","Filter":{"Prefix":"cold/"}"#));
    settle(&store);
    let top = root(&store);
    store.rename((dir(&store, "warm/"), "d/"), (top, "cold/"), RenameHow::Replace).unwrap();
    settle(&store);
    until(&home, &store, "2026-05-01T00:00:00Z");
    let tiers = || ["cold/f", "a/g", "b/h"].map(|name| tier(&store, name));
    assert_eq!(tiers(), ["ARCHIVE", "ARCHIVE_INSTANT", "ARCHIVE_INSTANT"]);
    // What is about no place of it costs no look.
    let commits = store.commits();
    store.rename((top, "a/"), (top, "c/"), RenameHow::Replace).unwrap();
    settle(&store);
    assert_eq!(store.commits(), commits + 1);
    store.rename((top, "b/"), (top, "cold/"), RenameHow::Exchange).unwrap();
    settle(&store);
    until(&home, &store, "2026-05-02T00:00:00Z");
    assert_eq!(["b/f", "cold/h"].map(|name| tier(&store, name)), ["ARCHIVE"; 2]);
    fsck(&store);
}

#[test]
fn it_1_a_step_into_the_class_begins_in_the_frequent_tier() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put_in(&store, "f", &pattern(LARGE, 1), StorageClass::Standard);
    home.clock.advance_millis(200 * 86_400_000);
    let step = Step { from: None, to: IntelligentTiering, by: Mover::Lifecycle };
    store.transition((root(&store), "f"), None, step).unwrap();
    assert_eq!(tier(&store, "f"), "FREQUENT");
}

#[test]
fn it_3_it_8_and_it_11_archive_tiers_and_the_way_back() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    until(&home, &store, "2026-01-01T12:00:00Z");
    put_in(&store, "before", &pattern(LARGE, 1), IntelligentTiering);
    put_in(&store, "small", &pattern(LARGE - 1, 1), IntelligentTiering);
    configure(&store, BOTH);
    put_in(&store, "after", &pattern(LARGE, 2), IntelligentTiering);
    put_in(&store, "used", &pattern(LARGE, 3), IntelligentTiering);
    settle(&store);
    until(&home, &store, "2026-03-01T00:00:00Z");
    used(&store, "used");
    until(&home, &store, "2026-04-01T11:59:59Z");
    assert!(told(&store).is_empty());
    until(&home, &store, "2026-04-01T12:00:01Z");
    let mut all = told(&store);
    all.sort();
    assert_eq!(all, ["IntelligentTiering after", "IntelligentTiering before"]);
    assert_eq!(["before", "small", "used"].map(|name| tier(&store, name)), ["ARCHIVE", "FREQUENT", "INFREQUENT"]);
    refused(get(&store, "before"), Kind::Archived);
    // From an archive into archives only.
    let step = |to| Step { from: None, to, by: Mover::Caller };
    refused(store.transition((root(&store), "after"), None, step(GlacierIr)), Kind::InvalidArgument);
    store.transition((root(&store), "after"), None, step(Glacier)).unwrap();
    refused(get(&store, "after"), Kind::Archived);
    drop(store);
    let store = home.open();
    until(&home, &store, "2026-07-01T00:00:00Z");
    assert_eq!(["before", "used"].map(|name| tier(&store, name)), ["DEEP_ARCHIVE", "ARCHIVE"]);
    let object = store.get(B, &key("before"), None).unwrap();
    refused(store.copy(&object, B, &key("copy"), &CopyOptions::default()), Kind::Archived);
    let wish = RestoreWish { days: None, tier: RestoreTier::Expedited };
    refused(store.request_restore((root(&store), "before"), None, wish), Kind::InvalidArgument);
    let wish = RestoreWish { days: None, tier: RestoreTier::Standard };
    store.request_restore((root(&store), "before"), None, wish).unwrap();
    assert_eq!((tier(&store, "before"), get(&store, "before").unwrap()), ("FREQUENT", pattern(LARGE, 1)));
    refused(store.request_restore((root(&store), "before"), None, wish), Kind::InActiveTier);
    // For good: until it is not used for as long again.
    settle(&store);
    until(&home, &store, "2026-09-28T00:00:00Z");
    assert_eq!(tier(&store, "before"), "INFREQUENT");
    until(&home, &store, "2026-10-01T00:00:01Z");
    assert_eq!(tier(&store, "before"), "ARCHIVE");
    refused(store.transition((root(&store), "before"), None, step(GlacierIr)), Kind::InvalidArgument);
    store.transition((root(&store), "before"), None, step(DeepArchive)).unwrap();
    fsck(&store);
}

#[test]
fn it_10_tags_and_prefixes_choose_and_what_is_archived_stays() {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    until(&home, &store, "2026-01-01T00:00:00Z");
    configure(
        &store,
        r#"{"IntelligentTieringConfigurationList":[{"Id":"a","Status":"Enabled",
            "Filter":{"And":{"Prefix":"old/","Tags":[{"Key":"cold","Value":"yes"}]}},
            "Tierings":[{"Days":90,"AccessTier":"ARCHIVE_ACCESS"}]}]}"#,
    );
    for name in ["old/tagged", "old/plain", "new"] {
        put_in(&store, name, &pattern(LARGE, 1), IntelligentTiering);
    }
    let tags = super::objects::tags(&[("cold", "yes")]);
    store.set_tags((dir(&store, "old/"), "tagged"), None, &tags).unwrap();
    store.set_tags((root(&store), "new"), None, &tags).unwrap();
    until(&home, &store, "2026-04-02T00:00:00Z");
    let tiers = |store: &Store| ["old/tagged", "old/plain", "new"].map(|name| tier(store, name));
    assert_eq!(tiers(&store), ["ARCHIVE", "ARCHIVE_INSTANT", "ARCHIVE_INSTANT"]);
    assert_eq!(told(&store), ["IntelligentTiering old/tagged"]);
    let document = Document::named("intelligent-tiering").unwrap();
    document.unset(&store, &store.bucket(B).unwrap()).unwrap();
    settle(&store);
    assert_eq!(tiers(&store), ["ARCHIVE", "ARCHIVE_INSTANT", "ARCHIVE_INSTANT"]);
    fsck(&store);
}
