//! Storage class analysis over days: what is observed, exported and recommended, through restarts and crashes.

use super::classes::put_in;
use super::harness::*;
use StorageClass::{Glacier, Standard, StandardIa};
use keyfold::index::reads_of_thread;
use keyfold::model::{Kind, Object, StorageClass, Versioning};
use keyfold::store::{Analysis, Document, Mover, Step, Store, Used};
use keyfold::telemetry::Metrics;
use keyfold::vfs::{Caller, OpenHow, ROOT, Vfs};
use std::sync::Arc;

const DAY: i64 = 86_400_000;
const KIB: usize = 1 << 10;

fn set(store: &Store, configurations: &str) {
    let text = format!(r#"{{"AnalyticsConfigurationList":[{configurations}]}}"#);
    let document = Document::named("analytics").unwrap();
    document.replace(store, &store.bucket(B).unwrap(), text.as_bytes()).unwrap();
}

fn exporting(id: &str, filter: &str) -> String {
    format!(
        r#"{{"Id":"{id}"{filter},"StorageClassAnalysis":{{"DataExport":{{"OutputSchemaVersion":"V_1","Destination":
        {{"S3BucketDestination":{{"Format":"CSV","Bucket":"arn:aws:s3:::reports","Prefix":"sca/"}}}}}}}}}}"#
    )
}

fn catch_up(store: &Arc<Store>) {
    while store.analyse_some().unwrap() {}
}

fn days(home: &Home, store: &Arc<Store>, days: usize) {
    for _ in 0..days {
        home.clock.advance_millis(DAY);
        catch_up(store);
    }
}

fn read_some(store: &Arc<Store>, name: &str, object: &Object, bytes: u64) {
    store.observed(|| Used::Key(B.to_owned(), key(name)), object, bytes);
}

fn report(store: &Arc<Store>, id: &str) -> Vec<String> {
    let object = store.get("reports", &key(&format!("sca/{id}.csv")), None);
    let text = object.map(|object| String::from_utf8(read(store, &object).unwrap()).unwrap());
    text.map_or_else(|_| Vec::new(), |text| text.lines().map(str::to_owned).collect())
}

fn one(store: &Store) -> Analysis {
    store.analyses(B, None).unwrap().remove(0)
}

#[test]
fn sca_3_and_sca_9_a_day_is_told_once_it_is_over_and_appended_to_one_object() {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    make_bucket(&store, "reports");
    let old = put_in(&store, "logs/old", &pattern(200 * KIB, 1), Standard);
    put_in(&store, "other", &pattern(200 * KIB, 2), Standard);
    home.clock.advance_millis(40 * DAY);
    set(&store, &exporting("logs", r#","Filter":{"Prefix":"logs/"}"#));
    catch_up(&store);
    // What is read on the day of the configuration is of no whole day.
    read_some(&store, "logs/old", &old, 7 << 20);
    days(&home, &store, 1);
    assert_eq!(report(&store, "logs"), Vec::<String>::new(), "not within a day");
    read_some(&store, "logs/old", &old, 1 << 20);
    read_some(&store, "logs/old", &old, 1 << 20);
    read_some(&store, "other", &old, 1 << 20);
    let new = put_in(&store, "logs/new", &pattern(128 * KIB, 1), Standard);
    put_in(&store, "logs/cold", &pattern(200 * KIB, 1), Glacier);
    put_in(&store, "logs/small", b"x", StandardIa);
    read_some(&store, "logs/new", &new, 512 << 10);
    days(&home, &store, 1);
    let lines = report(&store, "logs");
    assert_eq!(lines.len(), 1 + 12 + 3, "{lines:#?}");
    assert!(lines[0].starts_with("Date,ConfigId,Filter,StorageClass,ObjectAge,ObjectCount,"));
    // 2023-11-14, 41 days later.
    let age = "12-25-2023,logs,prefix=logs/,STANDARD,30-44,,,0.195312,2.000000,2,10.240000,,";
    assert_eq!(lines[3], age, "{lines:#?}");
    assert_eq!(lines[13], "12-25-2023,logs,prefix=logs/,STANDARD,ALL,2,0.125000,0.320312,2.500000,4,7.804878,,");
    assert!(lines[14].starts_with("12-25-2023,logs,prefix=logs/,STANDARD_IA,ALL,1,0.000000,0.000000,0.000000,1,"));
    assert!(lines[15].starts_with("12-25-2023,logs,prefix=logs/,GLACIER,ALL,1,0.195312,0.195312,0.000000,1,"));
    days(&home, &store, 1);
    assert_eq!(report(&store, "logs").len(), 1 + 12 + 3 + 12 + 3);
    assert_eq!(versions_in(&store, "reports"), 1);
    // Nothing is doubled by another look, nor by another opening.
    drop(store);
    let store = home.open();
    catch_up(&store);
    assert_eq!(report(&store, "logs").len(), 31);
    assert_eq!(one(&store).days, 2);
    fsck(&store);
}

/// SCA-9: where the export can take no more, another goes on, and nothing is overwritten.
#[test]
fn sca_9_an_export_that_is_archived_is_followed_by_another() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    make_bucket(&store, "reports");
    put_in(&store, "f", &pattern(200 * KIB, 1), Standard);
    set(&store, &exporting("a", ""));
    catch_up(&store);
    days(&home, &store, 2);
    let first = report(&store, "a");
    let reports = store.bucket("reports").unwrap().root;
    let sca = store.lookup(reports, "sca/").unwrap();
    let Some(keyfold::store::Entry::Dir(sca)) = sca else { panic!("{sca:?}") };
    let archive = Step { from: None, to: Glacier, by: Mover::Caller };
    store.transition((sca.id, "a.csv"), None, archive).unwrap();
    days(&home, &store, 2);
    assert_eq!(store.get("reports", &key("sca/a.csv"), None).unwrap().class, Glacier);
    let second = report(&store, "a.2");
    assert_eq!((first.len(), second.len(), &second[0]), (14, 27, &first[0]));
    assert!(second[14].starts_with("11-17-2023,a,"), "{second:#?}");
    assert_eq!(report(&store, "a.3"), Vec::<String>::new());
    assert_eq!(store.complaints(None), []);
}

/// SCA-1: as many as there may be come to their day's end, some at a time, and so by another process.
#[test]
fn sca_1_a_day_of_many_configurations_ends_in_steps() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put_in(&store, "f", &pattern(200 * KIB, 1), Standard);
    let many = |n: usize| format!(r#"{{"Id":"c{n}","StorageClassAnalysis":{{}}}}"#);
    set(&store, &(0..100).map(many).collect::<Vec<_>>().join(","));
    catch_up(&store);
    home.clock.advance_millis(2 * DAY);
    let mut ended = Vec::new();
    while store.analyse_some().unwrap() {
        ended.push(store.analyses(B, None).unwrap().iter().filter(|one| one.days == 1).count());
    }
    assert!(ended.windows(2).all(|pair| pair[1] - pair[0] <= 32), "{ended:?}");
    assert_eq!(ended.last(), Some(&100));
    home.clock.advance_millis(DAY);
    (0..3).for_each(|_| assert!(store.analyse_some().unwrap()));
    drop(store);
    let store = home.open();
    catch_up(&store);
    assert!(store.analyses(B, None).unwrap().iter().all(|one| one.days == 2));
}

/// What is read in a bucket that nobody analyses is not looked up, however deep it lies.
#[test]
fn reads_elsewhere_cost_no_search_for_a_path() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    make_bucket(&store, "other");
    let deep: String = (0..50).map(|n| format!("d{n}/")).collect();
    put_in(&store, &format!("{deep}f"), &pattern(10, 1), Standard);
    let object = store.get(B, &key(&format!("{deep}f")), None).unwrap();
    let inside = dir(&store, &deep);
    let document = Document::named("analytics").unwrap();
    let text = r#"{"AnalyticsConfigurationList":[{"Id":"a","StorageClassAnalysis":{}}]}"#;
    document.replace(&store, &store.bucket("other").unwrap(), text.as_bytes()).unwrap();
    catch_up(&store);
    let before = reads_of_thread();
    store.observed(|| Used::At(vec![inside], "f".to_owned()), &object, 10);
    assert!(reads_of_thread() - before <= 2);
}

fn versions_in(store: &Store, bucket: &str) -> usize {
    all_versions(store, bucket, 100).len()
}

/// SCA-8: reads that were noted outlive a crash; those of the last minute may go with it.
#[test]
fn sca_8_what_was_read_is_kept_over_restarts() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let object = put_in(&store, "f", &pattern(200 * KIB, 1), Standard);
    set(&store, r#"{"Id":"a","StorageClassAnalysis":{}}"#);
    catch_up(&store);
    days(&home, &store, 1);
    read_some(&store, "f", &object, 100);
    home.clock.advance_millis(61_000);
    catch_up(&store);
    store.sync().unwrap();
    read_some(&store, "f", &object, 1);
    store.abandon();
    home.forget();
    let store = home.open();
    read_some(&store, "f", &object, 20);
    drop(store);
    let store = home.open();
    days(&home, &store, 1);
    let all = one(&store).groups.pop().unwrap();
    assert_eq!((all.age, all.read, all.requests, all.stored), ("ALL", 120, 2, 200 << 10));
    assert_eq!((one(&store).observed, one(&store).recommended), (None, None));
}

/// SCA-8: a file that a mount opens to read counts as read whole, once for each opening, and one that is written does not.
#[test]
fn sca_8_what_a_mount_reads_counts() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put_in(&store, "f", &pattern(200 * KIB, 1), Standard);
    set(&store, r#"{"Id":"a","StorageClassAnalysis":{}}"#);
    catch_up(&store);
    days(&home, &store, 1);
    let settings = keyfold::vfs::Settings { bucket: Some((B.to_owned(), String::new())), ..Default::default() };
    let vfs = Vfs::new(Arc::clone(&store), Arc::new(Metrics::new()), settings).unwrap();
    let file = vfs.lookup(ROOT, b"f").unwrap().unwrap().node;
    let how = |read| OpenHow {
        read,
        write: !read,
        append: false,
        truncate: false,
        sync: false,
        exclusive: false,
        exec: false,
    };
    for read in [true, false, true] {
        vfs.release(vfs.open(Caller { uid: 0, gid: 0 }, file, how(read)).unwrap().fh);
    }
    days(&home, &store, 1);
    let all = one(&store).groups.pop().unwrap();
    assert_eq!((all.read, all.requests), (2 * (200 << 10), 2));
}

#[test]
fn sca_2_and_sca_10_standard_ia_is_recommended_after_30_days_and_three_equal_results() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put_in(&store, "old", &pattern(200 * KIB, 1), Standard);
    home.clock.advance_millis(40 * DAY);
    let new = put_in(&store, "new", &pattern(200 * KIB, 1), Standard);
    set(&store, r#"{"Id":"a","StorageClassAnalysis":{}}"#);
    catch_up(&store);
    days(&home, &store, 1);
    for day in 1..40 {
        read_some(&store, "new", &new, new.size);
        days(&home, &store, 1);
        let told = one(&store);
        assert_eq!(told.days, day);
        // The new one is of the ages that are read, until it is over 30 days old itself.
        if (5..25).contains(&day) {
            assert_eq!(told.observed, Some(30), "day {day}");
            assert_eq!(told.recommended, None, "day {day}");
        }
    }
    // What is 30 to 44 days old is read every day, what is older is not.
    assert_eq!((one(&store).observed, one(&store).recommended), (Some(45), Some(45)), "{:?}", one(&store));
    // For 30 days nobody reads anything: another result, which must stand for three days.
    days(&home, &store, 30);
    assert_eq!((one(&store).observed, one(&store).recommended), (Some(30), None), "{:?}", one(&store));
    days(&home, &store, 2);
    assert_eq!((one(&store).observed, one(&store).recommended), (Some(30), Some(30)), "{:?}", one(&store));
    // Of another filter nothing that was seen counts, and what is taken away is forgotten.
    set(&store, r#"{"Id":"a","Filter":{"Prefix":"n"},"StorageClassAnalysis":{}}"#);
    days(&home, &store, 1);
    assert_eq!((one(&store).days, one(&store).recommended), (0, None));
    set(&store, r#"{"Id":"b","StorageClassAnalysis":{}}"#);
    refused(store.analyses(B, Some("a")), Kind::NotSet);
    assert_eq!(one(&store).days, 0);
}

#[test]
fn sca_1_a_missing_destination_is_told_and_days_go_on() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    set(&store, &[exporting("a", ""), exporting("b", r#","Filter":{"Tag":{"Key":"k","Value":"v"}}"#)].join(","));
    put_in(&store, "f", &pattern(200 * KIB, 1), Standard);
    catch_up(&store);
    days(&home, &store, 3);
    assert_eq!(store.analyses(B, None).unwrap().iter().map(|one| one.days).collect::<Vec<_>>(), [2, 2]);
    assert!(store.complaints(Some(B)).iter().any(|line| line.op == "analytics"));
    let told = store.complaints(Some(B)).len();
    home.clock.advance_millis(DAY / 96);
    catch_up(&store);
    assert_eq!(store.complaints(Some(B)).len(), told, "a failure is told once");
    make_bucket(&store, "reports");
    // Within the day it is tried again, also by another process.
    home.clock.advance_millis(DAY / 96);
    catch_up(&store);
    let lines = report(&store, "b");
    assert!(lines[13].starts_with("11-16-2023,b,tag:k=v,STANDARD,ALL,0,"), "{lines:#?}");
    drop(store);
    let store = home.open();
    catch_up(&store);
    days(&home, &store, 1);
    let lines = report(&store, "b");
    assert_eq!((lines.len(), report(&store, "a").len()), (27, 27));
    assert!(lines[26].starts_with("11-17-2023,b,tag:k=v,STANDARD,ALL,0,"), "{lines:#?}");
    for name in ["f", "sca/a.csv", "sca/b.csv"] {
        let _ =
            store.delete(if name == "f" { B } else { "reports" }, &key(name), None, keyfold::store::Condition::Always);
    }
    store.delete_bucket(B).unwrap();
    days(&home, &store, 2);
    make_bucket(&store, B);
    refused(store.analyses(B, None), Kind::NotSet);
    fsck(&store);
}
