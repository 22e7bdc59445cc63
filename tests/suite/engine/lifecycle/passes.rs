//! Passes that are stopped, crash, or run beside others (LC-37, LC-38).

use super::super::harness::{B, Home, all_versions, delete, fsck, get, list, make_bucket, put, versions};
use super::{days, events, pass, pass_by, rule, ruled, set, word};
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::store::{Deed, LifecyclePass, Store};

const EXPIRE_1: &str = r#""Expiration":{"Days":1}"#;
const FREE: &str = r#""NoncurrentVersionExpiration":{"NoncurrentDays":1}"#;

fn begin(store: &Store) -> LifecyclePass {
    store.new_lifecycle_pass(&store.bucket(B).unwrap(), store.now()).unwrap().unwrap()
}

fn step(store: &Store, pass: &mut LifecyclePass, budget: u64) -> Vec<String> {
    let mut did = Vec::new();
    let mut told = |deed: Deed| {
        did.push(word(&deed));
        Ok(())
    };
    store.step_lifecycle(pass, budget, false, &mut told).unwrap();
    did
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("d{}/e{}/f{n}", n % 3, n % 2)).collect()
}

#[test]
fn lc_37_steps_of_any_size_come_to_the_same() {
    for budget in [1, 2, 7, 1000] {
        let (home, store) = ruled(Unversioned, &rule(EXPIRE_1));
        let mut names = names(40);
        names.iter().for_each(|name| drop(put(&store, name, b"x")));
        days(&home, 2);
        let did = pass_by(&store, budget, store.now());
        names.sort();
        assert_eq!(did, names.iter().map(|name| format!("delete {name}")).collect::<Vec<_>>(), "{budget}");
        assert!(all_versions(&store, B, 1000).is_empty());
        fsck(&store);
    }
}

#[test]
fn lc_37_a_long_history_goes_in_pieces() {
    let keep = r#""NoncurrentVersionExpiration":{"NoncurrentDays":1,"NewerNoncurrentVersions":100}"#;
    let (home, store) = ruled(Enabled, &rule(keep));
    for n in 0..700u32 {
        put(&store, "f", &n.to_be_bytes());
        if n % 50 == 0 {
            delete(&store, "f");
        }
    }
    put(&store, "g", b"another");
    days(&home, 3);
    let newest: Vec<_> = versions(&store, "f").iter().map(|object| object.version).collect();
    let did = pass_by(&store, 100, store.now());
    let left: Vec<_> = versions(&store, "f").iter().map(|object| object.version).collect();
    assert_eq!(left, newest[..left.len()], "the newest are left");
    let of_data = versions(&store, "f").iter().filter(|object| !object.marker).count();
    assert_eq!(of_data, 101);
    assert_eq!(did.len() + left.len(), newest.len());
    assert!(pass(&store).is_empty());
    set(&store, &rule(FREE));
    assert_eq!(pass_by(&store, 1, store.now()).len(), left.len() - 1);
    assert_eq!(versions(&store, "f").len(), 1);
    fsck(&store);
}

#[test]
fn lc_37_a_change_of_rules_holds_from_the_next_object_on() {
    let (home, store) = ruled(Unversioned, &rule(EXPIRE_1));
    ["a", "b", "c", "d"].iter().for_each(|name| drop(put(&store, name, b"x")));
    days(&home, 2);
    let mut going = begin(&store);
    assert_eq!(step(&store, &mut going, 1), ["delete a"]);
    set(&store, &format!(r#"[{{"ID":"r","Status":"Enabled","Filter":{{"Prefix":"c"}},{EXPIRE_1}}}]"#));
    while !going.is_over() {
        assert!(step(&store, &mut going, 1).iter().all(|did| did == "delete c"));
    }
    assert_eq!(list(&store, B, "", None, 10), ["b", "d"]);
    // Without any, it ends.
    let mut going = begin(&store);
    store.set_document(B, "lifecycle", None).unwrap();
    assert!(step(&store, &mut going, 1).is_empty() && going.is_over());
}

#[test]
fn lc_38_what_was_written_after_the_pass_began_is_left_alone() {
    let (home, store) = ruled(Enabled, &rule(&format!(r#""Expiration":{{"Date":"2020-01-01"}},{FREE}"#)));
    put(&store, "a", b"old");
    put(&store, "b", b"old");
    let now = store.now();
    home.later();
    put(&store, "b", b"new");
    put(&store, "c", b"new");
    assert_eq!(pass_by(&store, 1, now), ["mark a"]);
    assert_eq!(get(&store, "b").unwrap(), b"new");
    assert_eq!(get(&store, "c").unwrap(), b"new");
    // What was overwritten between the judging and the act is judged as it is then.
    days(&home, 3);
    let mut deeds = pass(&store);
    deeds.sort();
    assert_eq!(deeds, ["delete a", "delete b", "mark b", "mark c", "unmark a"]);
}

#[test]
fn lc_38_a_pass_beside_writers_takes_only_what_was_there() {
    let (home, store) = ruled(Unversioned, &rule(r#""Expiration":{"Date":"2020-01-01"}"#));
    let names: Vec<_> = (0..150).map(|n| format!("f{n}")).collect();
    names.iter().for_each(|name| drop(put(&store, name, b"old")));
    put(&store, "only old", b"old");
    let now = store.now();
    home.later();
    std::thread::scope(|threads| {
        threads.spawn(|| names.iter().for_each(|name| drop(put(&store, name, b"new"))));
        (0..5).for_each(|_| drop(pass_by(&store, 10, now)));
    });
    for name in &names {
        assert_eq!(get(&store, name).unwrap(), b"new", "{name}");
    }
    assert_eq!(list(&store, B, "", None, 1000).len(), names.len());
    fsck(&store);
}

#[test]
fn a_bucket_that_is_deleted_ends_its_pass() {
    let (home, store) = ruled(Unversioned, &rule(EXPIRE_1));
    put(&store, "a", b"x");
    days(&home, 2);
    let mut going = begin(&store);
    delete(&store, "a");
    store.delete_bucket(B).unwrap();
    make_bucket(&store, B);
    assert!(step(&store, &mut going, 10).is_empty() && going.is_over());
    store.end_pass(&going).unwrap();
    fsck(&store);
}

/// The power fails in the midst of a pass, again and again; each object goes once, and all go.
#[test]
fn lc_37_a_crash_neither_skips_nor_doubles() {
    for seed in 0..12u64 {
        let home = Home::simulated();
        let mut store = home.open();
        make_bucket(&store, B);
        store.set_versioning(B, Enabled).unwrap();
        set(&store, &rule(EXPIRE_1));
        let names = names(60);
        names.iter().for_each(|name| drop(put(&store, name, b"x")));
        days(&home, 2);
        store.sync().unwrap();
        let begun = store.commits();
        for turn in 0..6u64 {
            for _ in 0..=(seed + turn) % 5 {
                store.obey_in_background(6).unwrap();
            }
            if (seed + turn).is_multiple_of(2) {
                store.keep_lifecycle(true).unwrap();
            }
            if (seed + turn).is_multiple_of(3) {
                store.sync().unwrap();
            }
            home.forget();
            drop(store);
            home.lose_power(seed * 100 + turn);
            store = home.open();
        }
        while store.obey_in_background(6).unwrap() > 0 {}
        for name in &names {
            let marks: Vec<_> = versions(&store, name).iter().map(|object| object.marker).collect();
            assert_eq!(marks, [true, false], "{name}, seed {seed}");
        }
        let mut told = events(&store, begun);
        told.sort();
        let mut expected: Vec<_> =
            names.iter().map(|name| format!("LifecycleExpiration:DeleteMarkerCreated {name}")).collect();
        expected.sort();
        assert_eq!(told, expected, "seed {seed}");
        fsck(&store);
    }
}
