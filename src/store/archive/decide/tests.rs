//! Tables of the rules about restores.

use super::{Calendar, Granted, RestoreDelay, RestoreWish, archived, due, grant, restore_text, step};
use crate::model::{
    Aging, ArchiveTier, FileKind, Ino, Kind, Object, Posix, Restore, RestoreTier, Seq, StorageClass, Timestamp,
    VersionId, parse_rfc3339,
};
use RestoreTier::{Bulk, Expedited, Standard};
use StorageClass::{DeepArchive, Glacier, IntelligentTiering};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const AWS: Calendar = Calendar { day: DAY, delay: RestoreDelay::Aws };
const AT_ONCE: Calendar = Calendar { day: DAY, delay: RestoreDelay::None };

fn at(text: &str) -> Timestamp {
    parse_rfc3339(text).unwrap()
}

fn object(class: StorageClass) -> Object {
    let now = at("2026-10-01T00:00:00Z");
    let posix = Posix::new(FileKind::File, 0o644, 0, 0, now);
    Object { class, size: 1 << 20, ..Object::empty(Ino(1), Seq(1), VersionId::Null, &posix, now) }
}

fn tiered(tier: ArchiveTier) -> Object {
    let mut object = object(IntelligentTiering);
    object.aging.archived = Some(tier);
    object
}

fn wish(days: u32, tier: RestoreTier) -> RestoreWish {
    RestoreWish { days: (days > 0).then_some(days), tier }
}

#[track_caller]
fn begun(object: &Object, wish: RestoreWish, now: &str, calendar: Calendar) -> Restore {
    match grant(object, wish, at(now), calendar) {
        Ok(Granted::Begun(restore)) => restore,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn kind(object: &Object, wish: RestoreWish, now: &str) -> Kind {
    grant(object, wish, at(now), AWS).unwrap_err().kind()
}

#[test]
fn rst_2_and_rst_3_how_long_it_takes() {
    let now = "2026-10-15T10:30:00Z";
    let (deep, archive) = (ArchiveTier::DeepArchive, ArchiveTier::Archive);
    for (object, tier, ready) in [
        (object(Glacier), Expedited, Some("2026-10-15T10:35:00Z")),
        (object(Glacier), Standard, Some("2026-10-15T15:30:00Z")),
        (object(Glacier), Bulk, Some("2026-10-15T22:30:00Z")),
        (object(DeepArchive), Expedited, None),
        (object(DeepArchive), Standard, Some("2026-10-15T22:30:00Z")),
        (object(DeepArchive), Bulk, Some("2026-10-17T10:30:00Z")),
        (tiered(archive), Expedited, Some("2026-10-15T10:35:00Z")),
        (tiered(archive), Standard, Some("2026-10-15T15:30:00Z")),
        (tiered(archive), Bulk, Some("2026-10-15T22:30:00Z")),
        (tiered(deep), Expedited, None),
        (tiered(deep), Standard, Some("2026-10-15T22:30:00Z")),
        (tiered(deep), Bulk, Some("2026-10-17T10:30:00Z")),
    ] {
        let wish = wish(if object.class == IntelligentTiering { 0 } else { 3 }, tier);
        let granted = grant(&object, wish, at(now), AWS);
        match ready {
            Some(ready) => assert_eq!(granted.unwrap().restore().ready_at, at(ready), "{tier:?}"),
            None => assert_eq!(granted.unwrap_err().kind(), Kind::InvalidArgument),
        }
        if tier != Expedited {
            assert_eq!(begun(&object, wish, now, AT_ONCE).ready_at, at(now), "no delay");
        }
    }
    let short = Calendar { day: Duration::from_secs(24), ..AWS };
    assert_eq!(begun(&object(Glacier), wish(1, Bulk), now, short).ready_at, at("2026-10-15T10:30:12Z"));
}

#[test]
fn rst_4_the_tier_is_standard_and_rst_1_needs_days() {
    assert_eq!(RestoreWish::parse("days=3").unwrap(), wish(3, Standard));
    assert_eq!(RestoreWish::parse(" tier=Bulk , days=7 ").unwrap(), wish(7, Bulk));
    assert_eq!(RestoreWish::parse("").unwrap(), wish(0, Standard));
    for bad in ["days", "days=x", "days=-1", "tier=Fast", "for=3", "days=1,days=2", "tier=bulk"] {
        assert_eq!(RestoreWish::parse(bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad}");
    }
    let now = "2026-10-15T10:30:00Z";
    assert_eq!(kind(&object(Glacier), wish(0, Standard), now), Kind::InvalidArgument);
    let none = RestoreWish { days: Some(0), tier: Standard };
    assert_eq!(kind(&object(Glacier), none, now), Kind::InvalidArgument);
    assert_eq!(kind(&object(Glacier), wish(36_501, Standard), now), Kind::InvalidArgument);
    begun(&object(Glacier), wish(36_500, Standard), now, AWS);
}

#[test]
fn rst_6_a_copy_ends_at_midnight() {
    let mut object = object(Glacier);
    for (now, days, end) in [
        ("2012-10-15T10:30:00Z", 3, "2012-10-19T00:00:00Z"),
        ("2012-10-16T11:00:00Z", 1, "2012-10-18T00:00:00Z"),
        ("2012-10-16T00:00:00Z", 1, "2012-10-18T00:00:00Z"),
        ("2012-10-16T23:59:59Z", 1, "2012-10-18T00:00:00Z"),
    ] {
        assert_eq!(begun(&object, wish(days, Standard), now, AT_ONCE).expires, Some(at(end)), "{now}");
    }
    object.aging.restore = Some(begun(&object, wish(3, Standard), "2012-10-15T10:30:00Z", AT_ONCE));
    match grant(&object, wish(1, Standard), at("2012-10-16T11:00:00Z"), AT_ONCE) {
        Ok(Granted::Renewed(restore)) => assert_eq!(restore.expires, Some(at("2012-10-18T00:00:00Z"))),
        other => panic!("{other:?}"),
    }
    // What takes longer than its copy would live is counted from when it is there.
    let slow = begun(&super::tests::object(DeepArchive), wish(1, Bulk), "2012-10-15T23:00:00Z", AWS);
    assert_eq!((slow.ready_at, slow.expires), (at("2012-10-17T23:00:00Z"), Some(at("2012-10-19T00:00:00Z"))));
}

#[test]
fn rst_5_one_at_a_time_but_for_a_faster_one() {
    let mut object = object(Glacier);
    let restore = begun(&object, wish(3, Bulk), "2026-10-15T10:00:00Z", AWS);
    object.aging.restore = Some(restore);
    let now = "2026-10-15T11:00:00Z";
    for (days, tier) in [(3, Bulk), (4, Bulk), (4, Standard), (2, Expedited)] {
        assert_eq!(kind(&object, wish(days, tier), now), Kind::Restoring, "{days} {tier:?}");
    }
    let Ok(Granted::Hastened(faster)) = grant(&object, wish(3, Standard), at(now), AWS) else { panic!() };
    assert_eq!((faster.tier, faster.ready_at), (Standard, at("2026-10-15T16:00:00Z")));
    assert_eq!((faster.requested, faster.expires), (restore.requested, restore.expires));
    object.aging.restore = Some(faster);
    assert_eq!(kind(&object, wish(3, Bulk), now), Kind::Restoring, "slower is refused");
    // An hour before the end a faster tier is none.
    let Ok(Granted::Hastened(late)) = grant(&object, wish(3, Expedited), at("2026-10-15T15:58:00Z"), AWS) else {
        panic!()
    };
    assert_eq!(late.ready_at, at("2026-10-15T16:00:00Z"));
}

#[test]
fn rst_7_and_rst_9_what_is_told_of_a_restore_and_when_it_reads() {
    let mut object = object(Glacier);
    assert_eq!(archived(&object, at("2026-10-01T00:00:00Z")), Some(ArchiveTier::Archive));
    object.aging.restore = Some(begun(&object, wish(3, Standard), "2026-10-15T10:30:00Z", AWS));
    let live = "ongoing-request=\"false\", expiry-date=\"Mon, 19 Oct 2026 00:00:00 GMT\"";
    for (now, text, reads) in [
        ("2026-10-15T10:30:00Z", Some("ongoing-request=\"true\""), false),
        ("2026-10-15T15:29:59.999Z", Some("ongoing-request=\"true\""), false),
        ("2026-10-15T15:30:00Z", Some(live), true),
        ("2026-10-18T23:59:59.999Z", Some(live), true),
        ("2026-10-19T00:00:00Z", None, false),
    ] {
        assert_eq!(restore_text(&object, at(now)).as_deref(), text, "{now}");
        assert_eq!(archived(&object, at(now)).is_none(), reads, "{now}");
    }
    let mut aging = object.aging;
    assert_eq!((due(&aging), step(&mut aging, at("2026-10-15T15:29:59Z"))), (Some(at("2026-10-15T15:30:00Z")), None));
    assert_eq!(step(&mut aging, at("2026-10-15T15:30:00Z")), Some("ObjectRestore:Completed"));
    assert_eq!((due(&aging), step(&mut aging, at("2026-10-18T15:30:00Z"))), (Some(at("2026-10-19T00:00:00Z")), None));
    assert_eq!(step(&mut aging, at("2026-10-19T00:00:00Z")), Some("ObjectRestore:Delete"));
    assert_eq!((aging, step(&mut aging.clone(), Timestamp::LAST)), (Aging::default(), None));
    // Who comes late tells of both.
    let mut aging = object.aging;
    let told: Vec<_> = std::iter::from_fn(|| step(&mut aging, at("2027-01-01T00:00:00Z"))).collect();
    assert_eq!(told, ["ObjectRestore:Completed", "ObjectRestore:Delete"]);
}

#[test]
fn rst_14_what_lies_in_no_archive_is_not_restored() {
    let now = "2026-10-15T10:30:00Z";
    for class in StorageClass::ALL {
        let expected = match class {
            Glacier | DeepArchive => continue,
            IntelligentTiering => Kind::InActiveTier,
            _ => Kind::NotArchived,
        };
        assert_eq!(kind(&object(*class), wish(1, Standard), now), expected, "{class:?}");
        assert_eq!(archived(&object(*class), at(now)), None);
    }
}

#[test]
fn it_8_a_restore_from_an_archive_tier_is_for_good() {
    let mut object = tiered(ArchiveTier::Archive);
    let now = "2026-10-15T10:30:00Z";
    assert_eq!(archived(&object, at(now)), Some(ArchiveTier::Archive));
    assert_eq!(kind(&object, wish(3, Standard), now), Kind::InvalidArgument, "it takes no days");
    let restore = begun(&object, wish(0, Standard), now, AWS);
    assert_eq!(restore.expires, None);
    object.aging.restore = Some(restore);
    assert_eq!(kind(&object, wish(0, Standard), now), Kind::Restoring);
    let ready = at("2026-10-15T15:30:00Z");
    assert_eq!((archived(&object, ready), restore_text(&object, ready)), (None, None));
    assert_eq!(kind(&object, wish(0, Standard), "2026-10-15T15:30:00Z"), Kind::InActiveTier);
    assert_eq!(step(&mut object.aging, ready), Some("ObjectRestore:Completed"));
    assert_eq!(object.aging, Aging { accessed: Some(ready), ..Aging::default() });
    assert_eq!((archived(&object, ready), due(&object.aging)), (None, None));
}
