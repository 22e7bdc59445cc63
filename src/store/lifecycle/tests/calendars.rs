//! What becomes of a key's stack over the years.

use super::{ENABLED, SUSPENDED, UNVERSIONED, at, made, marker, rule, rules, superseded, word};
use crate::store::lifecycle::{BucketState, Lifecycle, Version, settle};

/// `DATE ENTRY ACTION RULE`, a marker that was placed is `+`.
fn calendar(rules: &Lifecycle, bucket: BucketState, stack: &[Version<'_>], until: &str) -> Vec<String> {
    let from = stack.iter().map(|version| version.written).max().unwrap();
    let events = rules.calendar(bucket, stack, from, at(until));
    let line = |event: &crate::store::lifecycle::Event<'_>| {
        let entry = event.entry.map_or_else(|| "+".to_owned(), |entry| entry.to_string());
        format!("{} {entry} {} {}", &event.at.rfc3339()[..10], word(event.due.action), event.due.rule)
    };
    events.iter().map(line).collect()
}

#[test]
fn lc_35_sources_are_archived_and_thumbnails_expire() {
    let rules = rules(
        r#"[{"ID":"sources","Status":"Enabled","Filter":{"Prefix":"sources/"},
             "Transitions":[{"Days":60,"StorageClass":"GLACIER"}]},
            {"ID":"thumbnails","Status":"Enabled","Filter":{"Prefix":"thumbnails/"},
             "Transitions":[{"Days":30,"StorageClass":"ONEZONE_IA"}],"Expiration":{"Days":60}}]"#,
    );
    let of = |key| calendar(&rules, UNVERSIONED, &[Version { key, ..made("2026-01-01") }], "2030-01-01");
    assert_eq!(of("sources/a.jpg"), ["2026-03-03 0 GLACIER sources"]);
    assert_eq!(of("thumbnails/a.jpg"), ["2026-02-01 0 ONEZONE_IA thumbnails", "2026-03-03 0 delete thumbnails"]);
    assert_eq!(of("others/a.jpg"), [""; 0]);
}

#[test]
fn lc_36_what_was_deleted_can_be_recovered_for_a_year() {
    let rules = rule(
        r#""NoncurrentVersionTransitions":[{"NoncurrentDays":30,"StorageClass":"STANDARD_IA"},
            {"NoncurrentDays":60,"StorageClass":"DEEP_ARCHIVE"}],"NoncurrentVersionExpiration":{"NoncurrentDays":365}"#,
    );
    let stack = [marker("2026-01-15"), superseded("2025-06-01", "2026-01-15"), superseded("2025-05-01", "2025-06-01")];
    assert_eq!(
        calendar(&rules, ENABLED, &stack, "2030-01-01"),
        [
            // Late for the older one, which had been noncurrent for seven months.
            "2026-01-15 2 DEEP_ARCHIVE r",
            "2026-02-15 1 STANDARD_IA r",
            "2026-03-17 1 DEEP_ARCHIVE r",
            "2026-06-02 2 delete r",
            "2027-01-16 1 delete r",
        ]
    );
}

#[test]
fn lc_17_and_lc_19_an_object_expires_to_nothing() {
    let rules = rules(
        r#"[{"ID":"e","Status":"Enabled","Filter":{},"Expiration":{"Days":10}},
            {"ID":"n","Status":"Enabled","Filter":{},"NoncurrentVersionExpiration":{"NoncurrentDays":5}},
            {"ID":"m","Status":"Enabled","Filter":{},"Expiration":{"ExpiredObjectDeleteMarker":true}}]"#,
    );
    let stack = [made("2026-01-01")];
    assert_eq!(
        calendar(&rules, ENABLED, &stack, "2030-01-01"),
        ["2026-01-12 0 mark e", "2026-01-18 0 delete n", "2026-01-18 + delete m"]
    );
    assert_eq!(calendar(&rules, ENABLED, &stack, "2026-01-17"), ["2026-01-12 0 mark e"]);
    assert_eq!(calendar(&rules, UNVERSIONED, &stack, "2030-01-01"), ["2026-01-12 0 delete e"]);
    let null = [Version { null: true, ..stack[0] }];
    assert_eq!(calendar(&rules, SUSPENDED, &null, "2030-01-01"), ["2026-01-12 0 replace e", "2026-01-12 + delete m"]);
}

#[test]
fn lc_17_the_null_marker_takes_the_place_of_the_null_version() {
    let expires = rule(r#""Expiration":{"Days":10}"#);
    let null = Version { null: true, ..superseded("2025-12-01", "2026-01-01") };
    // The marker that was placed is alone when the version with an id of its own goes, and not before.
    let events = calendar(&expires, SUSPENDED, &[made("2026-01-01"), null], "2030-01-01");
    assert_eq!(events, ["2026-01-12 0 mark r", "2026-01-12 1 replace r"]);
    let ends = rule(r#""Expiration":{"Days":10},"NoncurrentVersionExpiration":{"NoncurrentDays":100}"#);
    let events = calendar(&ends, SUSPENDED, &[made("2026-01-01"), null], "2030-01-01");
    assert_eq!(
        events,
        ["2026-01-12 0 mark r", "2026-01-12 1 replace r", "2026-04-23 0 delete r", "2026-04-23 + delete r"]
    );
    let early = rules(
        r#"[{"ID":"e","Status":"Enabled","Filter":{},"Expiration":{"Days":10}},
            {"ID":"n","Status":"Enabled","Filter":{},"NoncurrentVersionExpiration":{"NoncurrentDays":10}}]"#,
    );
    let events = calendar(&early, SUSPENDED, &[made("2026-01-01"), null], "2026-01-13");
    assert_eq!(events, ["2026-01-12 0 mark e", "2026-01-12 1 delete n"]);
}

#[test]
fn lc_21_versions_move_down_the_stack_as_others_come() {
    let rules = rules(
        r#"[{"ID":"e","Status":"Enabled","Filter":{},"Expiration":{"Days":100}},
            {"ID":"n","Status":"Enabled","Filter":{},
             "NoncurrentVersionExpiration":{"NoncurrentDays":1,"NewerNoncurrentVersions":2}}]"#,
    );
    let days = ["2026-01-05", "2026-01-04", "2026-01-03", "2026-01-02", "2026-01-01"];
    let mut stack = vec![made(days[0])];
    stack.extend(days.windows(2).map(|days| superseded(days[1], days[0])));
    assert_eq!(
        calendar(&rules, ENABLED, &stack, "2030-01-01"),
        ["2026-01-05 3 delete n", "2026-01-05 4 delete n", "2026-04-16 0 mark e", "2026-04-16 2 delete n"]
    );
}

#[test]
fn lc_21_markers_are_not_counted_among_the_versions_that_are_kept() {
    let buried = Version { marker: true, size: 0, ..superseded("2026-01-03", "2026-01-04") };
    let old = superseded("2026-01-02", "2026-01-03");
    let mut stack = [made("2026-01-05"), superseded("2026-01-04", "2026-01-05"), buried, old, old];
    settle(stack.iter_mut());
    assert_eq!(stack.map(|version| version.newer), [0, 0, 1, 1, 2]);
    assert!(stack.iter().all(|version| !version.alone));
    let mut lone = [marker("2026-01-01")];
    settle(lone.iter_mut());
    assert!(lone[0].alone);
}

#[test]
fn lc_25_a_version_moves_before_it_is_marked_on_the_same_day() {
    let rules = rules(
        r#"[{"ID":"e","Status":"Enabled","Filter":{},"Expiration":{"Days":60}},
            {"ID":"t","Status":"Enabled","Filter":{},"Transitions":[{"Days":60,"StorageClass":"GLACIER"}]}]"#,
    );
    let events = calendar(&rules, ENABLED, &[made("2026-01-01")], "2030-01-01");
    assert_eq!(events, ["2026-03-03 0 GLACIER t", "2026-03-03 0 mark e"]);
    // LC-26: where it goes for good, nothing else is done.
    assert_eq!(calendar(&rules, UNVERSIONED, &[made("2026-01-01")], "2030-01-01"), ["2026-03-03 0 delete e"]);
}

#[test]
fn a_calendar_of_nothing_is_empty() {
    assert!(rule(r#""Expiration":{"Days":1}"#).calendar(ENABLED, &[], at("2026-01-01"), at("2030-01-01")).is_empty());
}
