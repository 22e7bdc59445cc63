//! What is due to one version, marker or upload, and when.

use super::{ENABLED, SUSPENDED, UNVERSIONED, at, made, marker, rule, rules, superseded, told, word};
use crate::model::{FileKind, Ino, Object, Posix, Seq, StorageClass, TagSet, Timestamp, VersionId};
use crate::store::lifecycle::{BucketState, Lifecycle, LifecycleDocument, Lock, Version};

const EXPIRE_3: &str = r#""Expiration":{"Days":3}"#;
const LONE: &str = r#""Expiration":{"ExpiredObjectDeleteMarker":true}"#;

/// What is due at the last instant of the day before, and on that day.
fn around(rules: &Lifecycle, bucket: BucketState, version: &Version<'_>, day: &str) -> (String, String) {
    let midnight = at(day);
    let before = Timestamp::new(midnight.secs - 1, 999_999_999);
    (told(rules.due(bucket, version, before)), told(rules.due(bucket, version, midnight)))
}

fn nothing_then(what: &str) -> (String, String) {
    ("-".into(), what.into())
}

#[test]
fn lc_7_age_counts_from_creation_to_the_midnight_after() {
    let rules = rule(EXPIRE_3);
    let found = around(&rules, UNVERSIONED, &made("2026-01-15"), "2026-01-19");
    assert_eq!(found, nothing_then("delete 2026-01-19 r"));
    let moved = rule(r#""Transitions":[{"Days":0,"StorageClass":"GLACIER"}]"#);
    let found = around(&moved, UNVERSIONED, &made("2026-01-15"), "2026-01-16");
    assert_eq!(found, nothing_then("GLACIER 2026-01-16 r"));
}

#[test]
fn lc_8_noncurrent_days_count_from_the_successor() {
    let rules = rule(r#""NoncurrentVersionExpiration":{"NoncurrentDays":2}"#);
    let old = superseded("2020-01-01", "2026-01-15");
    assert_eq!(around(&rules, ENABLED, &old, "2026-01-18"), nothing_then("delete 2026-01-18 r"));
    let posix = Posix::new(FileKind::File, 0o644, 0, 0, at("2026-01-10"));
    // Started long before the current version, completed below it.
    let mut object = Object::empty(Ino(1), Seq(1), VersionId::Null, &posix, at("2026-01-10"));
    (object.since, object.superseded) = (at("2026-01-20"), Some(at("2026-01-20")));
    let below = Version { newer: 0, ..Version::of("k", &object) };
    assert_eq!(told(rules.next(ENABLED, &below, at("2026-01-20"))), "delete 2026-01-23 r");
}

#[test]
fn lc_9_dates_hold_from_their_day_on() {
    let rules = rule(r#""Expiration":{"Date":"2026-02-01"}"#);
    assert_eq!(around(&rules, UNVERSIONED, &made("2026-01-15"), "2026-02-01"), nothing_then("delete 2026-02-01 r"));
    let new = made("2026-03-01");
    assert_eq!(told(rules.due(UNVERSIONED, &new, new.created)), "delete 2026-03-01 r");
    let moves = rule(r#""Transitions":[{"Date":"2026-02-01","StorageClass":"STANDARD_IA"}]"#);
    assert_eq!(around(&moves, ENABLED, &made("2026-01-31"), "2026-02-01"), nothing_then("STANDARD_IA 2026-02-01 r"));
}

#[test]
fn lc_13_and_lc_14_what_the_waterfall_does_not_allow_is_not_done() {
    for from in StorageClass::ALL {
        for to in StorageClass::ALL.iter().filter(|to| **to != StorageClass::Standard) {
            let rules = rule(&format!(r#""Transitions":[{{"Days":30,"StorageClass":"{}"}}]"#, to.name()));
            let due = rules.due(ENABLED, &Version { class: *from, ..made("2026-01-01") }, at("2027-01-01"));
            assert_eq!(due.is_some(), super::super::rule::leads(*from, *to), "{} to {}", from.name(), to.name());
        }
    }
}

#[test]
fn lc_15_and_lc_16_small_objects_move_where_their_rule_lets_them() {
    let classes = ["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"];
    let moved = |minimum: &str, filter: &str, size: u64| -> Vec<&str> {
        let goes = |class: &&str| {
            let text = format!(
                r#"{{"TransitionDefaultMinimumObjectSize":"{minimum}","Rules":[{{"ID":"r","Status":"Enabled",
                "Filter":{filter},"Transitions":[{{"Days":30,"StorageClass":"{class}"}}]}}]}}"#
            );
            let rules = LifecycleDocument::parse(text.as_bytes()).unwrap().check().unwrap();
            rules.due(ENABLED, &Version { size, ..made("2026-01-01") }, at("2027-01-01")).is_some()
        };
        classes.into_iter().filter(goes).collect()
    };
    let (all, varies) = ("all_storage_classes_128K", "varies_by_storage_class");
    assert_eq!(moved(all, "{}", 131_072), classes);
    assert_eq!(moved(all, "{}", 131_071), [""; 0]);
    assert_eq!(moved(varies, "{}", 131_072), classes);
    assert_eq!(moved(varies, "{}", 131_071), ["GLACIER", "DEEP_ARCHIVE"]);
    for filter in [r#"{"ObjectSizeGreaterThan":10}"#, r#"{"ObjectSizeLessThan":100000}"#] {
        assert_eq!(moved(all, filter, 500), classes, "{filter}");
    }
    let old = Version { size: 131_071, ..superseded("2026-01-01", "2026-01-02") };
    let rules = rule(r#""NoncurrentVersionTransitions":[{"NoncurrentDays":0,"StorageClass":"GLACIER"}]"#);
    assert_eq!(told(rules.due(ENABLED, &old, at("2027-01-01"))), "-");
    assert_eq!(told(rules.due(ENABLED, &Version { size: 131_072, ..old }, at("2027-01-01"))), "GLACIER 2026-01-03 r");
}

#[test]
fn lc_17_what_expiration_does_is_the_versionings() {
    let (rules, now) = (rule(EXPIRE_3), at("2026-02-01"));
    let (version, null) = (made("2026-01-01"), Version { null: true, ..made("2026-01-01") });
    for (bucket, version, what) in [
        (UNVERSIONED, null, "delete"),
        (ENABLED, version, "mark"),
        (ENABLED, null, "mark"),
        (SUSPENDED, version, "mark"),
        (SUSPENDED, null, "replace"),
    ] {
        assert_eq!(told(rules.due(bucket, &version, now)), format!("{what} 2026-01-05 r"), "{bucket:?}");
    }
}

#[test]
fn lc_18_expiration_leaves_noncurrent_versions_and_markers_above_them_alone() {
    for rules in [rule(EXPIRE_3), rule(LONE), rule(r#""Expiration":{"Date":"2026-01-01"}"#)] {
        let now = at("2027-01-01");
        assert_eq!(told(rules.due(ENABLED, &superseded("2026-01-01", "2026-01-02"), now)), "-");
        assert_eq!(told(rules.due(ENABLED, &Version { alone: false, ..marker("2026-01-02") }, now)), "-");
    }
}

#[test]
fn lc_19_markers_without_versions_go() {
    let lone = marker("2026-01-02");
    assert_eq!(told(rule(LONE).due(ENABLED, &lone, lone.written)), "delete 2026-01-02 r");
    assert_eq!(told(rule(LONE).due(ENABLED, &made("2026-01-02"), at("2027-01-01"))), "-");
    assert_eq!(around(&rule(EXPIRE_3), ENABLED, &lone, "2026-01-06"), nothing_then("delete 2026-01-06 r"));
    // Markers have no tags.
    let tagged =
        rules(r#"[{"ID":"r","Status":"Enabled","Filter":{"Tag":{"Key":"a","Value":"b"}},"Expiration":{"Days":3}}]"#);
    assert_eq!(told(tagged.due(ENABLED, &lone, at("2027-01-01"))), "-");
}

#[test]
fn lc_21_and_lc_22_the_newest_noncurrent_versions_are_kept() {
    let rules = rule(r#""NoncurrentVersionExpiration":{"NoncurrentDays":3,"NewerNoncurrentVersions":2}"#);
    let old = |newer| Version { newer, ..superseded("2026-01-01", "2026-01-15") };
    for newer in [0, 1] {
        assert_eq!(told(rules.due(ENABLED, &old(newer), at("2036-01-01"))), "-", "{newer}");
    }
    for newer in [2, 3] {
        assert_eq!(around(&rules, ENABLED, &old(newer), "2026-01-19"), nothing_then("delete 2026-01-19 r"), "{newer}");
    }
}

#[test]
fn lc_23_noncurrent_moves_follow_the_same_conditions_and_unversioned_buckets_none() {
    let moves = r#""NoncurrentVersionTransitions":[{"NoncurrentDays":30,"StorageClass":"GLACIER","NewerNoncurrentVersions":1}],
        "NoncurrentVersionExpiration":{"NoncurrentDays":90}"#;
    let rules = rule(moves);
    let old = |newer| Version { newer, ..superseded("2026-01-01", "2026-01-15") };
    assert_eq!(told(rules.next(ENABLED, &old(0), at("2026-01-16"))), "delete 2026-04-16 r");
    assert_eq!(around(&rules, ENABLED, &old(1), "2026-02-15"), nothing_then("GLACIER 2026-02-15 r"));
    assert_eq!(around(&rules, SUSPENDED, &old(1), "2026-02-15"), nothing_then("GLACIER 2026-02-15 r"));
    assert_eq!(told(rules.next(UNVERSIONED, &old(1), at("2026-01-16"))), "-");
    let gone = Version { marker: true, size: 0, ..old(1) };
    assert_eq!(told(rules.next(ENABLED, &gone, at("2026-01-16"))), "delete 2026-04-16 r");
}

#[test]
fn lc_24_uploads_are_given_up_and_objects_rules_leave_them_alone() {
    let rules = rules(
        r#"[{"ID":"e","Status":"Enabled","Filter":{},"Expiration":{"Days":1}},
            {"ID":"long","Status":"Enabled","Filter":{},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}},
            {"ID":"logs","Status":"Enabled","Filter":{"Prefix":"logs/"},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":2}}]"#,
    );
    let begun = at("2026-01-15T10:30:00Z");
    assert_eq!(told(rules.upload(ENABLED, "logs/a", begun)), "abort 2026-01-18 logs");
    assert_eq!(told(rules.upload(UNVERSIONED, "log", begun)), "abort 2026-01-23 long");
    assert_eq!(told(rules.upload(BucketState { mfa_delete: true, ..ENABLED }, "log", begun)), "-");
    assert_eq!(told(rule(EXPIRE_3).upload(ENABLED, "logs/a", begun)), "-");
}

/// Two rules that are due on the same day, in both orders.
fn same_day(one: &str, other: &str, bucket: BucketState, version: &Version<'_>) -> String {
    let listed = |one: &str, other: &str| {
        let rule = |id: &str, members: &str| format!(r#"{{"ID":"{id}","Status":"Enabled","Filter":{{}},{members}}}"#);
        rules(&format!("[{},{}]", rule("a", one), rule("b", other)))
    };
    let what =
        |rules: Lifecycle| rules.due(bucket, version, at("2027-01-01")).map_or("-", |due| word(due.action)).to_owned();
    let (found, turned) = (what(listed(one, other)), what(listed(other, one)));
    assert_eq!(found, turned);
    found
}

fn moves(class: &str) -> String {
    format!(r#""Transitions":[{{"Days":60,"StorageClass":"{class}"}}]"#)
}

#[test]
fn lc_25_deleting_comes_before_moving_and_moving_before_marking() {
    let version = made("2026-01-01");
    let expires = r#""Expiration":{"Days":60}"#;
    assert_eq!(same_day(&moves("GLACIER"), expires, UNVERSIONED, &version), "delete");
    assert_eq!(same_day(&moves("GLACIER"), expires, ENABLED, &version), "GLACIER");
    let moved = Version { class: StorageClass::Glacier, ..version };
    assert_eq!(same_day(&moves("GLACIER"), expires, ENABLED, &moved), "mark");
    assert_eq!(same_day(&moves("GLACIER"), expires, SUSPENDED, &version), "GLACIER");
    assert_eq!(same_day(&moves("GLACIER"), expires, SUSPENDED, &Version { null: true, ..version }), "replace");
    let noncurrent = r#""NoncurrentVersionTransitions":[{"NoncurrentDays":60,"StorageClass":"GLACIER"}]"#;
    let ends = r#""NoncurrentVersionExpiration":{"NoncurrentDays":60}"#;
    assert_eq!(same_day(noncurrent, ends, ENABLED, &superseded("2026-01-01", "2026-01-02")), "delete");
}

#[test]
fn lc_25_of_two_moves_the_cheaper_class_wins_and_of_two_ends_the_shorter() {
    let version = made("2026-01-01");
    let order = ["DEEP_ARCHIVE", "GLACIER", "INTELLIGENT_TIERING", "GLACIER_IR", "ONEZONE_IA", "STANDARD_IA"];
    for (nth, wins) in order.into_iter().enumerate() {
        for loses in &order[nth + 1..] {
            assert_eq!(same_day(&moves(wins), &moves(loses), ENABLED, &version), wins, "{loses}");
            // And it stays there.
            let moved = Version { class: StorageClass::named(wins).unwrap(), ..version };
            assert_eq!(same_day(&moves(wins), &moves(loses), ENABLED, &moved), "-", "{wins} {loses}");
        }
    }
    let ends = rules(
        r#"[{"ID":"long","Status":"Enabled","Filter":{},"Expiration":{"Days":90}},
            {"ID":"short","Status":"Enabled","Filter":{},"Expiration":{"Days":3}},
            {"ID":"same","Status":"Enabled","Filter":{},"Expiration":{"Days":3}}]"#,
    );
    assert_eq!(told(ends.due(UNVERSIONED, &version, at("2027-01-01"))), "delete 2026-01-05 short");
}

#[test]
fn lc_26_of_two_moves_to_one_class_the_earlier_acts() {
    let rules = rules(
        r#"[{"ID":"late","Status":"Enabled","Filter":{},"Transitions":[{"Days":90,"StorageClass":"GLACIER"}]},
            {"ID":"early","Status":"Enabled","Filter":{},"Transitions":[{"Days":9,"StorageClass":"GLACIER"}]}]"#,
    );
    assert_eq!(around(&rules, ENABLED, &made("2026-01-01"), "2026-01-11"), nothing_then("GLACIER 2026-01-11 early"));
    assert_eq!(told(rules.due(ENABLED, &made("2026-01-01"), at("2027-01-01"))), "GLACIER 2026-01-11 early");
}

#[test]
fn lc_27_who_is_late_does_in_one_step_what_several_would_have_done() {
    let rules = rule(
        r#""Transitions":[{"Days":30,"StorageClass":"STANDARD_IA"},{"Days":60,"StorageClass":"GLACIER"},
            {"Days":200,"StorageClass":"DEEP_ARCHIVE"}]"#,
    );
    let version = made("2026-01-01");
    for (now, what) in [
        ("2026-01-31", "-"),
        ("2026-02-01", "STANDARD_IA 2026-02-01 r"),
        ("2026-03-02", "STANDARD_IA 2026-02-01 r"),
        ("2026-03-03", "GLACIER 2026-03-03 r"),
        ("2027-01-01", "DEEP_ARCHIVE 2026-07-21 r"),
    ] {
        assert_eq!(told(rules.due(ENABLED, &version, at(now))), what, "{now}");
    }
}

#[test]
fn lc_27_the_header_tells_the_date_and_the_rule() {
    let rules = rules(
        r#"[{"ID":"old & é","Status":"Enabled","Filter":{},"Expiration":{"Days":3},
            "Transitions":[{"Days":1,"StorageClass":"GLACIER"}]}]"#,
    );
    let header = |version: &Version<'_>| rules.expiration(ENABLED, version).map(|due| due.header());
    let text = r#"expiry-date="Mon, 19 Jan 2026 00:00:00 GMT", rule-id="old%20%26%20%C3%A9""#;
    assert_eq!(header(&made("2026-01-15")).unwrap(), text);
    assert_eq!(header(&Version { replicating: true, ..made("2026-01-15") }).unwrap(), text);
    assert_eq!(header(&superseded("2026-01-15", "2026-01-16")), None);
    let far = rule(r#""Expiration":{"Days":2147483647}"#);
    assert_eq!(told(far.expiration(ENABLED, &made("2026-01-15"))), "-");
}

#[test]
fn lc_28_and_lock_13_to_15_locked_versions_are_not_deleted() {
    let rules = rule(
        r#""NoncurrentVersionTransitions":[{"NoncurrentDays":30,"StorageClass":"GLACIER"}],
            "NoncurrentVersionExpiration":{"NoncurrentDays":60},"Expiration":{"Days":1}"#,
    );
    let old = superseded("2026-01-01", "2026-01-15");
    let locked = |until: Option<&str>, hold| Lock { until: until.map(at), hold };
    let with = |lock, class| Version { lock, class, ..old };
    let next = |version: Version<'_>| told(rules.next(ENABLED, &version, at("2026-01-16")));
    let retained = locked(Some("2026-06-01T12:00:00Z"), false);
    assert_eq!(next(with(retained, StorageClass::Standard)), "GLACIER 2026-02-15 r");
    assert_eq!(next(with(retained, StorageClass::Glacier)), "delete 2026-06-02 r");
    assert_eq!(next(with(locked(Some("2026-02-01"), false), StorageClass::Glacier)), "delete 2026-03-17 r");
    let forever = locked(Some("9999-12-31T23:59:59Z"), false);
    for lock in [locked(None, true), locked(Some("2026-02-01"), true), forever] {
        assert_eq!(next(with(lock, StorageClass::Glacier)), "-", "{lock:?}");
    }
    let current = Version { lock: locked(None, true), ..made("2026-01-01") };
    assert_eq!(told(rules.due(ENABLED, &current, at("2026-02-01"))), "mark 2026-01-03 r");
    let null = Version { null: true, ..current };
    assert_eq!(told(rules.due(SUSPENDED, &null, at("2026-02-01"))), "-");
    let marked = Version { marker: true, lock: locked(None, true), ..old };
    assert_eq!(next(marked), "delete 2026-03-17 r");
    assert!(retained.protects(at("2026-06-01")) && !retained.protects(at("2026-06-01T12:00:00Z")));
}

#[test]
fn lc_29_what_is_to_be_replicated_waits() {
    let rules = rule(EXPIRE_3);
    let pending = Version { replicating: true, ..made("2026-01-01") };
    assert_eq!(told(rules.due(ENABLED, &pending, at("2027-01-01"))), "-");
    assert_eq!(told(rules.next(ENABLED, &pending, at("2026-01-02"))), "-");
}

#[test]
fn lc_30_replicas_are_as_old_as_their_originals() {
    let replica = Version { written: at("2026-01-20"), ..made("2026-01-01") };
    assert_eq!(told(rule(EXPIRE_3).due(ENABLED, &replica, at("2026-01-20"))), "mark 2026-01-05 r");
}

#[test]
fn lc_34_nothing_is_done_where_deleting_takes_a_second_factor() {
    let bucket = BucketState { mfa_delete: true, ..ENABLED };
    let rules = rule(EXPIRE_3);
    assert_eq!(told(rules.due(bucket, &made("2026-01-01"), at("2027-01-01"))), "-");
    assert_eq!(told(rules.expiration(bucket, &made("2026-01-01"))), "-");
}

#[test]
fn lc_38_nothing_is_done_to_what_is_written_later() {
    let rules = rule(EXPIRE_3);
    let late = Version { written: at("2026-03-01T12:00:00Z"), ..made("2026-01-01") };
    assert_eq!(told(rules.due(ENABLED, &late, at("2026-03-01"))), "-");
    assert_eq!(told(rules.next(ENABLED, &late, at("2026-03-01"))), "mark 2026-03-01 r");
    assert_eq!(told(rules.due(ENABLED, &late, late.written)), "mark 2026-01-05 r");
}

#[test]
fn days_may_pass_in_ten_seconds() {
    let rules = rule(EXPIRE_3).with_days_of(std::time::Duration::from_secs(10));
    let version = Version { created: at("2026-01-15T10:30:07Z"), ..made("2026-01-15") };
    let due = rules.next(ENABLED, &version, version.written).unwrap();
    assert_eq!(due.at, at("2026-01-15T10:30:40Z"));
}

#[test]
fn rules_that_are_not_for_an_object_do_nothing() {
    let mut tags = TagSet::new();
    tags.set("a", "b").unwrap();
    let with = |filter: &str| {
        rules(&format!(r#"[{{"ID":"r","Status":"Enabled","Filter":{filter},"Expiration":{{"Days":3}}}}]"#))
    };
    let version = Version { tags: &tags, ..made("2026-01-01") };
    for (filter, is_for_it) in [
        (r#"{"Prefix":"logs/"}"#, true),
        (r#"{"Prefix":"log/"}"#, false),
        (r#"{"Tag":{"Key":"a","Value":"b"}}"#, true),
        (r#"{"Tag":{"Key":"a","Value":"c"}}"#, false),
        (r#"{"ObjectSizeGreaterThan":1048575}"#, true),
        (r#"{"ObjectSizeGreaterThan":1048576}"#, false),
        (r#"{"And":{"Prefix":"logs/","Tags":[{"Key":"a","Value":"b"}]}}"#, true),
    ] {
        let rules = with(filter);
        assert_eq!(rules.due(ENABLED, &version, at("2027-01-01")).is_some(), is_for_it, "{filter}");
    }
}
