//! Metering: counters by class after every kind of change, what they come to over days, and what goes too early.

use super::archives::until;
use super::classes::{at, put_in};
use super::harness::*;
use StorageClass::{DeepArchive, Glacier, IntelligentTiering, OnezoneIa, Standard, StandardIa};
use keyfold::index::{Family, id_key};
use keyfold::model::{
    ByClass, ClassMeter, FileKind, Held, Kind, Ledger, Meter, Month, RestoreTier, StorageClass, Versioning,
};
use keyfold::store::{
    CopyOptions, Mover, Prices, RenameHow, RestoreDelay, RestoreWish, Settings, Step, Store, UploadOptions, bill,
};
use std::sync::Arc;

const DAY: i64 = 86_400_000;
const KIB: usize = 1 << 10;
const NANOS_OF_DAY: u128 = 86_400 * 1_000_000_000;

fn held(store: &Store, class: StorageClass) -> Held {
    let ledger = store.ledger(store.bucket(B).unwrap().id).unwrap();
    assert!(ledger.complete);
    ledger.classes[class]
}

fn counts(store: &Store, class: StorageClass) -> (i64, i64, i64, i64) {
    let held = held(store, class);
    (held.objects, held.bytes, held.noncurrent, held.noncurrent_bytes)
}

fn step(to: StorageClass, by: Mover) -> Step {
    Step { from: None, to, by }
}

fn months(store: &Store, month: &str) -> Meter {
    let found = store.metered_in(Month::parse(month).unwrap()).unwrap();
    found.iter().filter(|found| found.bucket.as_str() == B).fold(Meter::default(), |mut sum, found| {
        sum += found.meter;
        sum
    })
}

/// What a class was used for in all months up to 2030.
fn all(store: &Store, class: StorageClass) -> ClassMeter {
    let (mut month, end) = (Month::parse("2023-11").unwrap(), Month::parse("2030-01").unwrap());
    let mut sum = ByClass::<ClassMeter>::default();
    while month < end {
        sum += months(store, &month.to_string()).classes;
        month = month.next();
    }
    sum[class]
}

#[test]
fn cost_1_every_change_counts_in_its_class() {
    let (_home, store) = Home::with_bucket(Versioning::Enabled);
    put_in(&store, "f", &pattern(100, 1), Standard);
    let second = put_in(&store, "f", &pattern(200, 2), StandardIa);
    assert_eq!((counts(&store, Standard), counts(&store, StandardIa)), ((0, 0, 1, 100), (1, 200, 0, 0)));
    store.transition((root(&store), "f"), at(&second), step(Glacier, Mover::Caller)).unwrap();
    assert_eq!((counts(&store, StandardIa), counts(&store, Glacier)), ((0, 0, 0, 0), (1, 200, 0, 0)));
    delete(&store, "f");
    assert_eq!(counts(&store, Glacier), (0, 0, 1, 200));
    let first = versions(&store, "f").pop().unwrap();
    let copied = CopyOptions { class: OnezoneIa, ..CopyOptions::default() };
    store.copy(&first, B, &key("d/copy"), &copied).unwrap();
    assert_eq!(counts(&store, OnezoneIa), (1, 100, 0, 0));
    store.rename((root(&store), "d/"), (root(&store), "e/"), RenameHow::Replace).unwrap();
    let dir_e = dir(&store, "e/");
    store.rename((dir_e, "copy"), (root(&store), "moved"), RenameHow::Replace).unwrap();
    assert_eq!(counts(&store, OnezoneIa), (1, 100, 0, 0));
    purge(&store, "f", first.version);
    // The directory that it left is kept by an object of its own.
    assert_eq!(counts(&store, Standard), (1, 0, 0, 0));
    // Files of the mount, edited, linked, and a link that goes.
    let file = write_file(&store, root(&store), "file", &pattern(5000, 3));
    store.link(file.ino, (root(&store), "file"), (root(&store), "twin")).unwrap();
    assert_eq!(counts(&store, Standard), (3, 10_000, 0, 0));
    store.transition((root(&store), "twin"), None, step(StandardIa, Mover::Caller)).unwrap();
    assert_eq!((counts(&store, Standard), counts(&store, StandardIa)), ((1, 0, 0, 0), (2, 10_000, 0, 0)));
    delete(&store, "file");
    assert_eq!(counts(&store, StandardIa), (1, 5000, 1, 5000));
    store.make_dir(root(&store), "made/", &posix(FileKind::Directory)).unwrap();
    store.remove_dir(root(&store), "made/").unwrap();
    put_in_parts(&store, "parts", &[pattern(300, 1)]);
    assert_eq!(counts(&store, Standard), (2, 300, 0, 0));
    fsck(&store);
}

#[test]
fn cost_1_bytes_times_days_are_exact_through_months_and_openings() {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    // 2023-11-14T22:13:20Z
    put_in(&store, "f", &pattern(1000, 1), Standard);
    home.clock.advance_millis(10 * DAY);
    put_in(&store, "f", &pattern(500, 2), Standard);
    let upload = store.create_upload(B, &key("u"), &UploadOptions::default()).unwrap();
    put_part(&store, upload, 1, &pattern(70, 1));
    home.clock.advance_millis(10 * DAY);
    drop(store);
    let store = home.open();
    home.clock.advance_millis(20 * DAY);
    let sum = all(&store, Standard);
    assert_eq!(sum.byte_time, NANOS_OF_DAY * (10 * 1000 + 30 * 1500));
    assert_eq!(sum.object_time, NANOS_OF_DAY * (10 + 30 * 2));
    let november = months(&store, "2023-11");
    let of_november = (16 * 86_400 + 6400) * 1_000_000_000u128;
    let after = of_november - 10 * NANOS_OF_DAY;
    assert_eq!(november.classes[Standard].byte_time, 10 * NANOS_OF_DAY * 1000 + after * 1500);
    assert_eq!(november.upload_time, after * 70);
    // Reading changes nothing; a repair neither.
    assert_eq!(all(&store, Standard), sum);
    assert!(store.repair(false, &mut |_| {}).unwrap().is_empty());
    assert_eq!(all(&store, Standard), sum);
    let lines = bill(Month::parse("2023-11").unwrap(), &november, &Prices::default());
    let told: Vec<_> = lines.iter().map(|line| line.item).collect();
    assert_eq!(told, ["storage", "uploads in progress"]);
    fsck(&store);
}

#[test]
fn sc_14_small_objects_are_billed_as_128_kib_where_s3_does() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    for class in StorageClass::ALL {
        put_in(&store, &format!("small-{}", class.name()), &pattern(10, 1), *class);
        put_in(&store, &format!("large-{}", class.name()), &pattern(200 * KIB, 1), *class);
    }
    for class in StorageClass::ALL {
        let least = if matches!(class, StandardIa | OnezoneIa | StorageClass::GlacierIr) { 128 << 10 } else { 10 };
        assert_eq!(held(&store, *class).billed, least + (200 << 10), "{class:?}");
        assert_eq!(held(&store, *class).watched, i64::from(*class == IntelligentTiering), "{class:?}");
        assert_eq!(held(&store, *class).bytes, 10 + (200 << 10));
    }
    fsck(&store);
}

/// SC-13: whatever takes a version out of its class early is charged for the rest, and none is kept from it.
#[test]
fn sc_13_what_goes_early_is_charged_for_the_rest() {
    type Act = fn(&Arc<Store>);
    let moved: Act = |store| {
        store.transition((root(store), "f"), None, step(DeepArchive, Mover::Lifecycle)).unwrap();
    };
    let ways: [(&str, Act, u128); 6] = [
        (
            "delete",
            |store| {
                delete(store, "f");
            },
            20,
        ),
        ("overwrite", |store| drop(put(store, "f", b"new")), 20),
        ("move", moved, 20),
        (
            "rename over",
            |store| {
                write_file(store, root(store), "g", b"x");
                store.rename((root(store), "g"), (root(store), "f"), RenameHow::Replace).unwrap();
            },
            20,
        ),
        (
            "rename away",
            |store| {
                store.rename((root(store), "f"), (root(store), "g"), RenameHow::Replace).unwrap();
            },
            0,
        ),
        (
            "write",
            |store| {
                let base = file(store, root(store), "f").object;
                rewrite_file(store, root(store), "f", &base, |draft| draft.write_at(3, b"x").unwrap());
            },
            20,
        ),
    ];
    for (name, act, left) in ways {
        let (home, store) = Home::with_bucket(Versioning::Unversioned);
        put_in(&store, "f", &pattern(200 * KIB, 1), StandardIa);
        home.clock.advance_millis(10 * DAY);
        act(&store);
        assert_eq!(all(&store, StandardIa).early_time, left * NANOS_OF_DAY * 200 * 1024, "{name}");
        home.clock.advance_millis(30 * DAY);
        delete(&store, "g");
        assert_eq!(all(&store, StandardIa).early_time, left * NANOS_OF_DAY * 200 * 1024, "{name}: after its days");
        assert_eq!(all(&store, DeepArchive).transitions, u64::from(name == "move"), "{name}");
        fsck(&store);
    }
    // A version that stays below is charged when it goes for good; a step begins the days anew, and small ones have their least.
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    let object = put_in(&store, "f", b"small", Standard);
    home.clock.advance_millis(50 * DAY);
    store.transition((root(&store), "f"), at(&object), step(StandardIa, Mover::Caller)).unwrap();
    home.clock.advance_millis(29 * DAY);
    delete(&store, "f");
    assert_eq!(all(&store, StandardIa).early_time, 0);
    purge(&store, "f", object.version);
    assert_eq!(all(&store, StandardIa).early_time, NANOS_OF_DAY * 128 * 1024);
    assert_eq!(all(&store, Standard).early_time, 0);
    fsck(&store);
}

#[test]
fn rst_8_a_restored_copy_is_metered_beside_the_archive() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put_in(&store, "f", &pattern(1000, 1), Glacier);
    let wish = RestoreWish { days: Some(1), tier: RestoreTier::Bulk };
    store.request_restore((root(&store), "f"), None, wish).unwrap();
    until(&home, &store, "2023-11-14T23:00:00Z");
    until(&home, &store, "2023-11-20T00:00:00Z");
    home.clock.advance_millis(5 * DAY);
    let meter = months(&store, "2023-11");
    assert_eq!(meter.classes[Glacier].retrieved, [0, 0, 1000]);
    assert!(meter.restored_time >= NANOS_OF_DAY * 1000 && meter.restored_time < 7 * NANOS_OF_DAY * 1000);
    fsck(&store);
}

/// RST-8: for as long as it was there, also where nobody was to see it come and go.
#[test]
fn rst_8_a_copy_is_metered_for_its_life_however_late_somebody_looks() {
    let wish = RestoreWish { days: Some(20), tier: RestoreTier::Bulk };
    let restored = |looks: &[i64]| {
        let (home, store) = Home::with_bucket(Versioning::Enabled);
        put_in(&store, "f", &pattern(1000, 1), Glacier);
        let mut options = home.options();
        options.settings.restore_delay = RestoreDelay::Aws;
        drop(store);
        let mut store = home.open_with(options.clone());
        store.request_restore((root(&store), "f"), None, wish).unwrap();
        let mut day = 0;
        for look in looks {
            drop(store);
            home.clock.advance_millis((look - day) * DAY / 2);
            day = *look;
            store = home.open_with(options.clone());
            while store.pass_time().unwrap().is_some_and(|due| due <= store.now()) {}
        }
        fsck(&store);
        ["2023-11", "2023-12", "2024-01"].map(|month| months(&store, month).restored_time)
    };
    // Asked for on the 14th at 22:13:20; ready 12 hours later, gone when the 5th of December begins.
    let of = |secs: u128| secs * 1_000_000_000 * 1000;
    let exact = [of(15 * 86_400 + 86_400 - 10 * 3600 - 800), of(4 * 86_400), 0];
    for looks in [&[1, 2, 4, 42, 50, 100][..], &[1, 2, 100], &[1, 100], &[100], &[30, 100]] {
        assert_eq!(restored(looks), exact, "{looks:?}");
    }
}

#[test]
fn months_that_are_long_ago_are_let_go() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let request = ClassMeter { gets: 1, ..ClassMeter::default() };
    let month = |n: i64| {
        let mut month = Month::parse("2023-11").unwrap();
        (0..n).for_each(|_| month = month.next());
        month
    };
    for n in 0..70 {
        home.clock.advance_millis(month(n).begin().millis() + DAY - store.now().millis());
        store.metered(B, Standard, request);
        home.clock.advance_millis(6000);
        store.pass_time().unwrap();
    }
    let kept: Vec<_> = (0..70).map(|n| !store.metered_in(month(n)).unwrap().is_empty()).collect();
    assert_eq!(kept.iter().filter(|kept| **kept).count(), 61, "five years, and the month that goes on");
    assert!(kept[9..].iter().all(|kept| *kept));
    // By a clock that is decades ahead all of them would be long ago.
    home.clock.advance_millis(40 * 366 * DAY);
    store.pass_time().unwrap();
    assert!((10..70).all(|n| !store.metered_in(month(n)).unwrap().is_empty()));
}

#[test]
fn what_comes_and_goes_while_classes_are_counted_counts_once() {
    let (home, store) = Home::with_bucket(Versioning::Enabled);
    for n in 0..3000 {
        put_in(&store, &format!("d{}/f{n}", n % 50), &pattern(n % 40, 1), Standard);
    }
    let bucket = store.bucket(B).unwrap().id;
    let usage = store.ledger(bucket).unwrap().usage;
    home.close();
    drop(store);
    // As a release before classes were counted left it.
    crate::tamper::tamper(home.dir.path(), |tx| {
        tx.put(Family::Usage, &id_key(bucket.0), &Ledger::before_classes(usage));
    });
    let store = home.open();
    std::thread::scope(|scope| {
        let counted = scope.spawn(|| store.count_once().unwrap());
        for n in 0.. {
            put_in(&store, &format!("d{}/f{}", n % 50, n % 3000), b"new", StandardIa);
            delete(&store, &format!("d{}/f{}", (n + 7) % 50, (n * 7) % 3000));
            if counted.is_finished() {
                break;
            }
        }
    });
    let ledger = store.ledger(bucket).unwrap();
    let sum = |of: fn(&Held) -> i64| ledger.classes.iter().map(|(_, held)| of(held)).sum::<i64>();
    assert!(ledger.complete);
    assert_eq!((sum(|held| held.objects), sum(|held| held.bytes)), (ledger.usage.objects, ledger.usage.bytes));
    assert_eq!(sum(|held| held.noncurrent_bytes), ledger.usage.noncurrent_bytes);
    fsck(&store);
}

/// SC-13: another name, and one that was taken, are no other content.
#[test]
fn sc_13_a_rename_over_a_name_begins_no_days_anew() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    put_in(&store, "f", &pattern(200 * KIB, 1), StandardIa);
    home.clock.advance_millis(20 * DAY);
    put(&store, "g", b"in the way");
    store.rename((root(&store), "f"), (root(&store), "g"), RenameHow::Replace).unwrap();
    home.clock.advance_millis(9 * DAY);
    store.rename((root(&store), "g"), (root(&store), "f"), RenameHow::Replace).unwrap();
    delete(&store, "f");
    assert_eq!(all(&store, StandardIa).early_time, NANOS_OF_DAY * 200 * 1024);
    fsck(&store);
}

#[test]
fn cost_1_requests_are_kept_by_the_month_and_outlive_their_bucket() {
    let (home, store) = Home::with_bucket(Versioning::Unversioned);
    let request = |gets| ClassMeter { gets, sent: 10 * gets, ..ClassMeter::default() };
    store.metered(B, StandardIa, request(2));
    store.metered(B, StandardIa, request(1));
    store.metered("nowhere", Standard, request(1));
    put(&store, "f", b"another commit");
    store.note_requests().unwrap();
    store.sync().unwrap();
    store.abandon();
    home.forget();
    let store = home.open();
    assert_eq!(months(&store, "2023-11").classes[StandardIa], request(3));
    home.clock.advance_millis(30 * DAY);
    store.metered(B, StandardIa, request(5));
    assert_eq!(months(&store, "2023-12").classes[StandardIa], request(5));
    store.metered(B, StandardIa, request(1));
    delete(&store, "f");
    store.delete_bucket(B).unwrap();
    make_bucket(&store, B);
    assert_eq!(months(&store, "2023-12").classes[StandardIa], request(6));
    assert_eq!(months(&store, "2023-11").classes[StandardIa], request(3));
    assert!(months(&store, "2023-11").classes[Standard].byte_time > 0);
    refused(store.bucket("nowhere").map(drop), Kind::NoSuchBucket);
    fsck(&store);
}

#[test]
fn bills_are_by_calendar_days_also_where_days_are_short() {
    let home = Home::new();
    let mut options = home.options();
    options.settings = Settings { day: std::time::Duration::from_secs(10), ..options.settings };
    let store = home.open_with(options);
    make_bucket(&store, B);
    put_in(&store, "f", &pattern(200 * KIB, 1), StandardIa);
    home.clock.advance_millis(10 * DAY);
    delete(&store, "f");
    assert_eq!(all(&store, StandardIa).early_time, 20 * NANOS_OF_DAY * 200 * 1024);
}
