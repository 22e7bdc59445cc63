//! What is a document and what is none.

use super::{at, made, told};
use crate::model::Kind;
use crate::store::lifecycle::{LifecycleDocument, RuleStatus};

fn parsed(text: &str) -> crate::model::Result<LifecycleDocument> {
    let document = LifecycleDocument::parse(text.as_bytes())?;
    document.check()?;
    Ok(document)
}

/// Of one rule with these members.
fn kind(members: &str) -> Option<Kind> {
    let text = format!(r#"{{"Rules":[{{"ID":"r","Status":"Enabled",{members}}}]}}"#);
    let error = parsed(&text).err()?;
    let (why, mend) = (error.reason(), error.remedy());
    assert!(why.contains(r#"rule "r": "#) && mend.is_some(), "{error}");
    Some(error.kind())
}

/// Of one rule for everything, with these actions.
fn acts(actions: &str) -> Option<Kind> {
    kind(&format!(r#""Filter":{{}},{actions}"#))
}

/// Of one rule with this filter that expires objects.
fn filtered(filter: &str) -> Option<Kind> {
    kind(&format!(r#""Filter":{filter},"Expiration":{{"Days":1}}"#))
}

#[test]
fn lc_1_a_bucket_has_1_to_1000_rules_with_actions_and_ids_of_their_own() {
    let many = |n: usize| {
        let rule = |n| format!(r#"{{"ID":"{n}","Status":"Enabled","Filter":{{}},"Expiration":{{"Days":1}}}}"#);
        let rules: Vec<_> = (0..n).map(rule).collect();
        parsed(&format!(r#"{{"Rules":[{}]}}"#, rules.join(","))).err().map(|error| error.kind())
    };
    assert_eq!((many(1), many(1000)), (None, None));
    assert_eq!((many(0), many(1001)), (Some(Kind::InvalidRequest), Some(Kind::InvalidRequest)));
    assert_eq!(kind(r#""Filter":{}"#), Some(Kind::InvalidRequest));
    let named = |one: &str, other: &str| {
        let rule = |id| format!(r#"{{"ID":"{id}","Status":"Enabled","Prefix":"","Expiration":{{"Days":1}}}}"#);
        parsed(&format!(r#"{{"Rules":[{},{}]}}"#, rule(one), rule(other))).err().map(|error| error.kind())
    };
    assert_eq!(named("a", "b"), None);
    assert_eq!(named("a", &"é".repeat(255)), None);
    assert_eq!(named("a", &"a".repeat(256)), Some(Kind::InvalidArgument));
    assert_eq!(named("a", "a"), Some(Kind::InvalidArgument));
    assert_eq!(named("", ""), None);
}

#[test]
fn lc_1_rules_without_an_id_get_one_that_stays() {
    let read = |rules: &str| parsed(&format!(r#"{{"Rules":[{rules}]}}"#)).unwrap();
    let rule = |prefix: &str| format!(r#"{{"Status":"Enabled","Prefix":"{prefix}","Expiration":{{"Days":1}}}}"#);
    let ids = |rules: &[String]| {
        let rules = read(&rules.join(",")).rules;
        rules.into_iter().map(|rule| rule.id.unwrap()).collect::<Vec<_>>()
    };
    let (a, b) = (rule("a"), rule("b"));
    let both = ids(&[a.clone(), b.clone()]);
    assert!(both[0] != both[1] && both.iter().all(|id| id.len() == 32), "{both:?}");
    assert_eq!(ids(&[b.clone(), a.clone()]), [both[1].clone(), both[0].clone()]);
    let twice = ids(&[a.clone(), a.clone()]);
    assert!(twice[0] == both[0] && twice[1] != twice[0], "{twice:?}");
    // An ID that somebody took from such a rule is not given again.
    let taken = format!(r#"{{"ID":"{}","Status":"Enabled","Prefix":"","Expiration":{{"Days":1}}}}"#, both[0]);
    assert_eq!(ids(&[a, taken]), [twice[1].clone(), both[0].clone()]);
    let text = read(&b).text();
    assert_eq!(LifecycleDocument::parse(text.as_bytes()).unwrap(), read(&b));
}

#[test]
fn lc_2_disabled_rules_are_kept_and_do_nothing() {
    let text = r#"{"Rules":[{"ID":"r","Status":"Disabled","Filter":{},"Expiration":{"Days":1}}]}"#;
    let document = parsed(text).unwrap();
    assert_eq!(document.rules[0].status, RuleStatus::Disabled);
    let next = |text: &str| {
        told(parsed(text).unwrap().check().unwrap().next(super::ENABLED, &made("2026-01-01"), at("2026-01-02")))
    };
    assert_eq!(next(text), "-");
    assert_eq!(next(&text.replace("Disabled", "Enabled")), "mark 2026-01-03 r");
    // Wrong rules are refused whether or not they act.
    assert!(parsed(&text.replace(":1}", ":0}")).is_err());
    for bad in ["enabled", "disabled", "invalid", ""] {
        assert_eq!(parsed(&text.replace("Disabled", bad)).unwrap_err().kind(), Kind::Malformed, "{bad}");
    }
}

#[test]
fn lc_4_a_filter_says_one_thing() {
    let long = format!(r#"{{"Prefix":"{}"}}"#, "p".repeat(1024));
    for good in [
        "{}",
        r#"{"Prefix":""}"#,
        r#"{"Prefix":"logs/"}"#,
        r#"{"Tag":{"Key":"a","Value":""}}"#,
        r#"{"ObjectSizeGreaterThan":0}"#,
        r#"{"ObjectSizeLessThan":1}"#,
        &long,
    ] {
        assert_eq!(filtered(good), None, "{good}");
    }
    for (bad, kind) in [
        (r#"{"Prefix":"a","ObjectSizeLessThan":1}"#, Kind::Malformed),
        (r#"{"Prefix":"a","Tag":{"Key":"a","Value":""}}"#, Kind::Malformed),
        (r#"{"Prefix":"a","And":{"Prefix":"a","ObjectSizeLessThan":1}}"#, Kind::Malformed),
        (r#"{"Tag":{"Key":"a"}}"#, Kind::Malformed),
        (r#"{"Suffix":".log"}"#, Kind::Malformed),
        (r#"{"Tag":{"Key":"","Value":""}}"#, Kind::InvalidRequest),
        (&*long.replacen('p', "pp", 1), Kind::InvalidRequest),
    ] {
        assert_eq!(filtered(bad), Some(kind), "{bad}");
    }
    let expires = r#""Expiration":{"Days":1}"#;
    assert_eq!(kind(&format!(r#""Prefix":"logs/",{expires}"#)), None);
    assert_eq!(kind(expires), Some(Kind::Malformed));
    assert_eq!(kind(&format!(r#""Prefix":"a","Filter":{{}},{expires}"#)), Some(Kind::InvalidRequest));
    let mixed = format!(
        r#"{{"Rules":[{{"ID":"f","Status":"Enabled","Filter":{{}},{expires}}},{{"ID":"p","Status":"Enabled","Prefix":"",{expires}}}]}}"#
    );
    let error = parsed(&mixed).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidRequest);
    assert!(error.to_string().contains(r#"rule "p""#), "{error}");
}

#[test]
fn lc_5_and_has_several_members_with_tags_of_different_keys() {
    let tags = |keys: &[&str]| {
        let tags: Vec<_> = keys.iter().map(|key| format!(r#"{{"Key":"{key}","Value":"v"}}"#)).collect();
        format!(r#"{{"And":{{"Tags":[{}]}}}}"#, tags.join(","))
    };
    assert_eq!(filtered(&tags(&["a", "b"])), None);
    assert_eq!(filtered(&tags(&["a", "A"])), None);
    assert_eq!(filtered(r#"{"And":{"Prefix":"a","Tags":[{"Key":"a","Value":"v"}]}}"#), None);
    assert_eq!(filtered(r#"{"And":{"ObjectSizeGreaterThan":1,"ObjectSizeLessThan":3}}"#), None);
    assert_eq!(filtered(&tags(&["a", "a"])), Some(Kind::InvalidRequest));
    let eleven = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    assert_eq!(filtered(&tags(&eleven[..10])), None);
    assert_eq!(filtered(&tags(&eleven)), Some(Kind::InvalidRequest));
    for bad in [r#"{"And":{}}"#, r#"{"And":{"Prefix":"a"}}"#, &*tags(&["a"])] {
        assert_eq!(filtered(bad), Some(Kind::Malformed), "{bad}");
    }
}

#[test]
fn lc_6_bounds_of_sizes_leave_something_between() {
    let bounds = |above: i64, below: i64| {
        filtered(&format!(r#"{{"And":{{"ObjectSizeGreaterThan":{above},"ObjectSizeLessThan":{below}}}}}"#))
    };
    assert_eq!(bounds(500, 501), None);
    assert_eq!(bounds(0, 1_099_511_627_776_000), None);
    for (above, below) in [(500, 500), (500, 499), (-1, 5), (0, 0), (1, 1_099_511_627_776_001)] {
        assert_eq!(bounds(above, below), Some(Kind::InvalidRequest), "{above} {below}");
    }
}

#[test]
fn lc_9_dates_are_midnights_in_utc() {
    let dated = |date: &str| acts(&format!(r#""Expiration":{{"Date":"{date}"}}"#));
    for good in ["2017-09-27", "2017-09-27T00:00:00Z", "2017-09-27T00:00:00.000Z", "2017-09-27T02:00:00+02:00"] {
        assert_eq!(dated(good), None, "{good}");
    }
    assert_eq!(dated("2017-09-27T00:00:01Z"), Some(Kind::InvalidArgument));
    assert_eq!(dated("2017-09-27T00:00:00+02:00"), Some(Kind::InvalidArgument));
    for bad in ["20200101", "tomorrow", "2017-02-29", ""] {
        assert_eq!(dated(bad), Some(Kind::Malformed), "{bad}");
    }
    let moved = r#""Transitions":[{"Date":"2017-09-27T12:00:00Z","StorageClass":"GLACIER"}]"#;
    assert_eq!(acts(moved), Some(Kind::InvalidArgument));
}

#[test]
fn lc_10_days_and_dates_do_not_mix() {
    let glacier = |when: &str| format!(r#""Transitions":[{{{when},"StorageClass":"GLACIER"}}]"#);
    assert_eq!(acts(r#""Expiration":{"Days":1}"#), None);
    assert_eq!(acts(r#""Expiration":{"Days":0}"#), Some(Kind::InvalidArgument));
    assert_eq!(acts(r#""Expiration":{"Days":-1}"#), Some(Kind::InvalidArgument));
    assert_eq!(acts(r#""Expiration":{"Days":2147483648}"#), Some(Kind::Malformed));
    assert_eq!(acts(r#""Expiration":{"Days":1,"Date":"2026-01-01"}"#), Some(Kind::Malformed));
    assert_eq!(acts(r#""Expiration":{}"#), Some(Kind::Malformed));
    assert_eq!(acts(&glacier(r#""Days":0"#)), None);
    assert_eq!(acts(&glacier(r#""Days":-1"#)), Some(Kind::InvalidArgument));
    assert_eq!(acts(&glacier(r#""Days":1,"Date":"2026-01-01""#)), Some(Kind::Malformed));
    assert_eq!(acts(r#""Transitions":[{"StorageClass":"GLACIER"}]"#), Some(Kind::Malformed));
    let both = |expires: &str, moved: &str| acts(&format!(r#""Expiration":{{{expires}}},{}"#, glacier(moved)));
    assert_eq!(both(r#""Date":"2026-01-02""#, r#""Date":"2026-01-01""#), None);
    assert_eq!(both(r#""Date":"2026-01-02""#, r#""Days":1"#), Some(Kind::InvalidRequest));
    assert_eq!(both(r#""Days":2"#, r#""Date":"2026-01-01""#), Some(Kind::InvalidRequest));
    assert_eq!(both(r#""ExpiredObjectDeleteMarker":true"#, r#""Date":"2026-01-01""#), None);
}

#[test]
fn lc_11_infrequent_access_begins_after_30_days() {
    for class in ["STANDARD_IA", "ONEZONE_IA"] {
        for (days, kind) in [(29, Some(Kind::InvalidArgument)), (30, None)] {
            let moved = format!(r#""Transitions":[{{"Days":{days},"StorageClass":"{class}"}}]"#);
            assert_eq!(acts(&moved), kind, "{moved}");
            let moved =
                format!(r#""NoncurrentVersionTransitions":[{{"NoncurrentDays":{days},"StorageClass":"{class}"}}]"#);
            assert_eq!(acts(&moved), kind, "{moved}");
        }
    }
    for class in ["INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"] {
        assert_eq!(acts(&format!(r#""Transitions":[{{"Days":0,"StorageClass":"{class}"}}]"#)), None, "{class}");
    }
}

#[test]
fn lc_12_transitions_of_a_rule_come_in_order() {
    let moves = |moves: &[(&str, i32)], end: Option<i32>| {
        let list = |name: &str| {
            let moves = moves.iter().map(|(class, days)| format!(r#"{{"{name}":{days},"StorageClass":"{class}"}}"#));
            moves.collect::<Vec<_>>().join(",")
        };
        let end =
            |name: &str, days: &str| end.map_or_else(String::new, |end| format!(r#","{name}":{{"{days}":{end}}}"#));
        let current = acts(&format!(r#""Transitions":[{}]{}"#, list("Days"), end("Expiration", "Days")));
        let noncurrent = acts(&format!(
            r#""NoncurrentVersionTransitions":[{}]{}"#,
            list("NoncurrentDays"),
            end("NoncurrentVersionExpiration", "NoncurrentDays")
        ));
        assert_eq!(current, noncurrent);
        current
    };
    let early = Some(Kind::InvalidArgument);
    for (list, end, kind) in [
        (&[("STANDARD_IA", 30), ("GLACIER", 60)][..], Some(61), None),
        (&[("GLACIER", 60), ("STANDARD_IA", 30)][..], None, None),
        (&[("STANDARD_IA", 30), ("GLACIER", 59)][..], None, early),
        (&[("STANDARD_IA", 30), ("GLACIER", 10)][..], None, early),
        (&[("ONEZONE_IA", 30), ("DEEP_ARCHIVE", 59)][..], None, early),
        (&[("STANDARD_IA", 30), ("ONEZONE_IA", 59)][..], None, early),
        (&[("STANDARD_IA", 30), ("ONEZONE_IA", 60)][..], None, None),
        (&[("INTELLIGENT_TIERING", 0), ("GLACIER", 1)][..], None, None),
        (&[("STANDARD_IA", 30)][..], Some(30), early),
        (&[("GLACIER", 1)][..], Some(1), early),
        (&[("GLACIER", 1)][..], Some(2), None),
        (&[("GLACIER", 1), ("GLACIER", 2)][..], None, Some(Kind::InvalidRequest)),
    ] {
        assert_eq!(moves(list, end), kind, "{list:?} {end:?}");
    }
    let dated = |class: &str, date: &str| format!(r#"{{"Date":"{date}","StorageClass":"{class}"}}"#);
    let list = |date| format!(r#""Transitions":[{},{}]"#, dated("STANDARD_IA", "2028-02-15"), dated("GLACIER", date));
    assert_eq!(acts(&list("2028-03-15")), early);
    assert_eq!(acts(&list("2028-03-16")), None);
}

#[test]
fn lc_14_nothing_is_moved_up() {
    for class in ["STANDARD", "REDUCED_REDUNDANCY", "glacier", "EXPRESS_ONEZONE", ""] {
        let moved = format!(r#""Transitions":[{{"Days":90,"StorageClass":"{class}"}}]"#);
        assert_eq!(acts(&moved), Some(Kind::Malformed), "{class}");
    }
}

#[test]
fn lc_15_small_objects_are_kept_from_all_classes_or_from_some() {
    let sized = |size: &str| {
        let text = r#"{"TransitionDefaultMinimumObjectSize":"SIZE","Rules":[{"ID":"r","Status":"Enabled","Prefix":"",
            "Expiration":{"Days":1}}]}"#;
        parsed(&text.replace("SIZE", size)).err().map(|error| error.kind())
    };
    assert_eq!((sized("all_storage_classes_128K"), sized("varies_by_storage_class")), (None, None));
    assert_eq!(sized("none"), Some(Kind::InvalidRequest));
}

#[test]
fn lc_20_markers_expire_by_a_rule_of_their_own() {
    let marker = r#""Expiration":{"ExpiredObjectDeleteMarker":true}"#;
    assert_eq!(acts(marker), None);
    assert_eq!(acts(&marker.replace("true", "false")), None);
    assert_eq!(acts(r#""Expiration":{"ExpiredObjectDeleteMarker":true,"Days":1}"#), Some(Kind::Malformed));
    assert_eq!(acts(r#""Expiration":{"ExpiredObjectDeleteMarker":true,"Date":"2026-01-01"}"#), Some(Kind::Malformed));
    let tag = r#""Filter":{"Tag":{"Key":"a","Value":"b"}}"#;
    let size = r#""Filter":{"ObjectSizeLessThan":9}"#;
    for filter in [tag, size] {
        assert_eq!(kind(&format!("{filter},{marker}")), Some(Kind::InvalidRequest), "{filter}");
    }
    assert_eq!(kind(&format!(r#""Filter":{{"Prefix":"a"}},{marker}"#)), None);
}

#[test]
fn lc_21_noncurrent_versions_that_are_kept_are_1_to_100() {
    let kept = |scope: &str, members: &str| kind(&format!(r#"{scope},"NoncurrentVersionExpiration":{{{members}}}"#));
    let (filter, prefix) = (r#""Filter":{}"#, r#""Prefix":"""#);
    let newer = |days: i32, newer: i32| format!(r#""NoncurrentDays":{days},"NewerNoncurrentVersions":{newer}"#);
    assert_eq!(kept(filter, r#""NoncurrentDays":1"#), None);
    assert_eq!(kept(prefix, r#""NoncurrentDays":1"#), None);
    assert_eq!(kept(filter, r#""NoncurrentDays":0"#), Some(Kind::InvalidArgument));
    assert_eq!(kept(filter, r#""NewerNoncurrentVersions":1"#), Some(Kind::Malformed));
    assert_eq!((kept(filter, &newer(1, 1)), kept(filter, &newer(1, 100))), (None, None));
    assert_eq!(kept(filter, &newer(1, 0)), Some(Kind::InvalidArgument));
    assert_eq!(kept(filter, &newer(1, 101)), Some(Kind::InvalidArgument));
    assert_eq!(kept(prefix, &newer(1, 1)), Some(Kind::InvalidRequest));
}

#[test]
fn lc_24_uploads_are_given_up_by_prefix() {
    let abort = r#""AbortIncompleteMultipartUpload":{"DaysAfterInitiation":1}"#;
    assert_eq!(kind(&format!(r#""Filter":{{"Prefix":"a"}},{abort}"#)), None);
    assert_eq!(acts(&abort.replace(":1", ":0")), Some(Kind::InvalidArgument));
    assert_eq!(acts(r#""AbortIncompleteMultipartUpload":{}"#), Some(Kind::Malformed));
    for filter in [
        r#"{"Tag":{"Key":"a","Value":"b"}}"#,
        r#"{"ObjectSizeGreaterThan":0}"#,
        r#"{"And":{"Prefix":"a","ObjectSizeLessThan":5}}"#,
    ] {
        assert_eq!(kind(&format!(r#""Filter":{filter},{abort}"#)), Some(Kind::InvalidRequest), "{filter}");
    }
}

#[test]
fn documents_are_written_as_the_command_line_prints_them() {
    let text = r#"{
    "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
    "Rules": [
        {
            "Expiration": {
                "Days": 400
            },
            "ID": "all of it",
            "Filter": {
                "And": {
                    "Prefix": "logs/",
                    "Tags": [
                        {
                            "Key": "a",
                            "Value": "b"
                        }
                    ],
                    "ObjectSizeGreaterThan": 1,
                    "ObjectSizeLessThan": 9
                }
            },
            "Status": "Enabled",
            "Transitions": [
                {
                    "Days": 30,
                    "StorageClass": "STANDARD_IA"
                }
            ],
            "NoncurrentVersionTransitions": [
                {
                    "NoncurrentDays": 30,
                    "StorageClass": "GLACIER",
                    "NewerNoncurrentVersions": 2
                }
            ],
            "NoncurrentVersionExpiration": {
                "NoncurrentDays": 31,
                "NewerNoncurrentVersions": 3
            }
        },
        {
            "Expiration": {
                "Date": "2027-01-01T00:00:00+00:00"
            },
            "ID": "dated",
            "Filter": {
                "Prefix": ""
            },
            "Status": "Disabled",
            "AbortIncompleteMultipartUpload": {
                "DaysAfterInitiation": 7
            }
        }
    ]
}
"#;
    assert_eq!(parsed(text).unwrap().text(), text);
    let short = r#"{"Rules":[{"ID":"r","Status":"Enabled","Prefix":"","Expiration":{"Days":1}}]}"#;
    assert!(
        parsed(short).unwrap().text().contains(r#""TransitionDefaultMinimumObjectSize": "all_storage_classes_128K""#)
    );
}

#[test]
fn what_is_no_document_is_refused_by_name() {
    let good = r#"{"Rules":[{"ID":"r","Status":"Enabled","Prefix":"","Expiration":{"Days":1}}]}"#;
    assert!(parsed(good).is_ok());
    for (from, to, named) in [
        ("Rules", "Rule", "`Rule`"),
        ("\"Days\"", "\"Day\"", "rule \"r\": unknown field `Day`"),
        ("\"ID\":\"r\",", "\"Colour\":\"red\",", "rule 1: unknown field `Colour`"),
        ("\"Days\":1", "\"Days\":\"1\"", "rule \"r\": invalid type: string \"1\""),
        ("\"Days\":1", "\"Days\":1,\"Days\":2", "duplicate field `Days`"),
        ("\"Status\":\"Enabled\",", "", "rule \"r\": missing field `Status`"),
        ("}]}", "}]", "EOF"),
    ] {
        let error = parsed(&good.replace(from, to)).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed, "{to}");
        assert!(error.reason().contains(named), "{error}");
    }
}
