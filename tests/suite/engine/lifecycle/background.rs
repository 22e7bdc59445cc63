//! What goes on by itself: when passes are due, and what is kept of them.

use super::super::harness::{B, Home, get, make_bucket, put};
use super::{days, rule, set};
use keyfold::model::{Kind, Versioning};
use keyfold::store::{LifecycleTurn, Store};

const EXPIRE_1: &str = r#""Expiration":{"Days":1}"#;

/// Goes on as long as something is due; how often that was.
fn settle(store: &Store) -> u32 {
    let mut steps = 0;
    while store.lifecycle_turn().unwrap() == LifecycleTurn::Due {
        store.obey_in_background(1000).unwrap();
        steps += 1;
        assert!(steps < 1000);
    }
    steps
}

#[test]
fn lc_27_a_pass_is_due_each_day_and_when_rules_are_set() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    assert_eq!(settle(&store), 0);
    let LifecycleTurn::Until(midnight) = store.lifecycle_turn().unwrap() else { panic!("nothing is due") };
    assert_eq!(midnight.rfc3339(), "2023-11-15T00:00:00.000Z");
    put(&store, "f", b"x");
    let (said, heard) = std::sync::mpsc::channel();
    store.when_rules_change(move || said.send(()).unwrap());
    set(&store, &rule(EXPIRE_1));
    heard.try_recv().unwrap();
    assert!(settle(&store) > 0);
    assert_eq!(settle(&store), 0);
    home.clock.advance_millis(2 * 3_600_000);
    assert!(settle(&store) > 0, "a day begins");
    assert!(get(&store, "f").is_ok());
    days(&home, 1);
    settle(&store);
    assert_eq!(get(&store, "f").unwrap_err().kind(), Kind::NoSuchKey);
    let status = store.lifecycle_status();
    assert_eq!((status.state, status.passes, status.total.deleted), ("idle", 3, 1));
    assert_eq!(status.next.as_deref(), Some("2023-11-17T00:00:00.000Z"));
}

#[test]
fn lc_37_another_process_goes_on_and_repeats_no_day() {
    let (home, mut store) = Home::with_bucket(Versioning::Unversioned);
    set(&store, &rule(EXPIRE_1));
    (0..50).for_each(|n| drop(put(&store, &format!("f{n}"), b"x")));
    days(&home, 2);
    store.obey_in_background(20).unwrap();
    let first = store.lifecycle_status();
    assert_eq!((first.state, first.bucket.as_deref()), ("in progress", Some(B)));
    store.keep_lifecycle(true).unwrap();
    drop(store);
    store = home.open();
    assert_eq!(store.lifecycle_status().state, "in progress");
    settle(&store);
    let last = store.lifecycle_status().last.unwrap();
    assert_eq!((last.judged, last.deleted), (50, 50));
    drop(store);
    store = home.open();
    assert_eq!(settle(&store), 0, "the day is over");
}

#[test]
fn a_clock_that_is_set_back_or_forward_leaves_no_day_out() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    set(&store, &rule(EXPIRE_1));
    settle(&store);
    days(&home, 3650);
    settle(&store);
    days(&home, -3650);
    put(&store, "f", b"x");
    settle(&store);
    assert!(get(&store, "f").is_ok());
    days(&home, 2);
    settle(&store);
    assert!(get(&store, "f").is_err());
}

#[test]
fn each_bucket_has_its_turn_and_one_with_nonsense_holds_up_none() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    for name in ["a-first", "z-last"] {
        make_bucket(&store, name);
        let rules = r#"{"Rules":[{"ID":"r","Status":"Enabled","Filter":{},"Expiration":{"Days":1}}]}"#;
        store.set_document(name, "lifecycle", Some(rules.to_owned())).unwrap();
        store.put(name, &super::super::harness::key("f"), &mut &b"x"[..], &Default::default()).unwrap();
    }
    store.set_document(B, "lifecycle", Some("{}".to_owned())).unwrap();
    days(&home, 2);
    settle(&store);
    for name in ["a-first", "z-last"] {
        assert_eq!(store.usage(store.bucket(name).unwrap().id).unwrap().objects, 0, "{name}");
    }
}

#[test]
fn gen_2_days_may_be_short_in_a_store_made_so() {
    let home = Home::new();
    let mut options = home.options();
    options.settings.day = std::time::Duration::from_secs(10);
    let store = Store::open(home.dir.path(), options).unwrap();
    make_bucket(&store, B);
    set(&store, &rule(EXPIRE_1));
    put(&store, "f", b"x");
    settle(&store);
    home.clock.advance_millis(20_000);
    settle(&store);
    assert!(get(&store, "f").is_err());
    store.close().unwrap();
}
