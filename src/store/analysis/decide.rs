//! What was observed by age, and what follows from it: pure functions (SCA-2 to SCA-8, SCA-10).

use crate::model::{ByClass, Object, StorageClass, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::ops::AddAssign;

/// The youngest age of each group in days, and its name (SCA-5).
pub const AGE_GROUPS: [(u32, &str); 12] = [
    (0, "0-14"),
    (15, "15-29"),
    (30, "30-44"),
    (45, "45-59"),
    (60, "60-74"),
    (75, "75-89"),
    (90, "90-119"),
    (120, "120-149"),
    (150, "150-179"),
    (180, "180-364"),
    (365, "365-729"),
    (730, "730+"),
];
/// Days that are looked back at, and that a recommendation needs (SCA-3, SCA-10).
pub const WINDOW_DAYS: usize = 30;
/// Equal results in a row that a recommendation needs (SCA-10).
pub const EQUAL_DAYS: usize = 3;
/// Bytes that an object must exceed to count by age (SCA-4).
const SMALL: u64 = 128 << 10;
/// Days of age from which on a rule may move objects to `STANDARD_IA`.
const AGE_MIN: u32 = 30;
/// Bytes of a megabyte.
const MB: u64 = 1 << 20;
/// First line of an export (SCA-6).
pub(super) const HEADER: &str = "Date,ConfigId,Filter,StorageClass,ObjectAge,ObjectCount,DataUploaded_MB,Storage_MB,\
DataRetrieved_MB,GetRequestCount,CumulativeAccessRatio,ObjectAgeForSIATransition,RecommendedObjectAgeForSIATransition\n";

/// What was seen of some objects on a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Objects at its end.
    pub objects: u64,
    /// Their bytes.
    pub stored: u64,
    /// Bytes of those that were put on it.
    pub uploaded: u64,
    /// Bytes that were read.
    pub read: u64,
    /// Reads and puts (SCA-8).
    pub requests: u64,
}

impl AddAssign for Seen {
    /// Stops at the ends: counters come from the disk.
    fn add_assign(&mut self, d: Self) {
        let add = |count: &mut u64, more: u64| *count = count.saturating_add(more);
        add(&mut self.objects, d.objects);
        add(&mut self.stored, d.stored);
        add(&mut self.uploaded, d.uploaded);
        add(&mut self.read, d.read);
        add(&mut self.requests, d.requests);
    }
}

/// A day: `STANDARD` objects that are not small by age, and all by class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SeenDay {
    /// By age, as [`AGE_GROUPS`].
    pub ages: [Seen; AGE_GROUPS.len()],
    /// By class.
    pub classes: ByClass<Seen>,
}

impl AddAssign for SeenDay {
    fn add_assign(&mut self, d: Self) {
        self.ages.iter_mut().zip(d.ages).for_each(|(own, more)| *own += more);
        self.classes += d.classes;
    }
}

impl SeenDay {
    /// Counts what was seen of an object that is so many days old (SCA-4).
    pub fn count(&mut self, object: &Object, days: u32, seen: Seen) {
        self.classes[object.class] += seen;
        if object.class == StorageClass::Standard && object.size > SMALL {
            self.ages[group_of(days)] += seen;
        }
    }
}

/// The group of an age.
fn group_of(days: u32) -> usize {
    AGE_GROUPS.iter().rposition(|(from, _)| *from <= days).unwrap_or(0)
}

/// Bytes read for each that was stored, over all these days, in millionths; `None` where nothing was stored.
fn ratio(days: &[SeenDay], of: impl Fn(&SeenDay) -> Seen) -> Option<u128> {
    let sum = |part: fn(&Seen) -> u64| days.iter().map(|day| u128::from(part(&of(day)))).sum::<u128>();
    let (read, stored) = (sum(|seen| seen.read), sum(|seen| seen.stored));
    // Stored on the average of these days, read on all of them together.
    (stored > 0).then(|| read * days.len() as u128 * 1_000_000 / stored)
}

/// The age from which on objects were used so seldom in these days that `STANDARD_IA` is for them: that of the youngest group
/// such that it and all older ones were read below the threshold, in millionths of what they store. `None` when there is no such
/// age, or nothing is so old (SCA-10).
#[must_use]
pub fn observed_age(days: &[SeenDay], threshold: u128) -> Option<u32> {
    let days = &days[days.len().saturating_sub(WINDOW_DAYS)..];
    let mut age = None;
    let mut anything = false;
    for (n, (from, _)) in AGE_GROUPS.iter().enumerate().rev() {
        let ratio = ratio(days, |day| day.ages[n]);
        if *from < AGE_MIN || ratio.is_some_and(|ratio| ratio >= threshold) {
            break;
        }
        anything |= ratio.is_some();
        if anything {
            age = Some(*from);
        }
    }
    // A group in which nothing lies says nothing by itself.
    let first = AGE_GROUPS
        .iter()
        .enumerate()
        .find(|(n, (from, _))| age.is_some_and(|age| *from >= age) && ratio(days, |day| day.ages[*n]).is_some());
    first.map(|(_, (from, _))| *from)
}

/// What is recommended after that many days, given the last results, the newest last (SCA-3, SCA-10).
#[must_use]
pub fn recommended(days: usize, results: &[Option<u32>]) -> Option<u32> {
    let last = results.len().checked_sub(EQUAL_DAYS).map(|from| &results[from..])?;
    let first = last[0]?;
    (days >= WINDOW_DAYS && last.iter().all(|age| *age == Some(first))).then_some(first)
}

/// What a line of an export says of a day and a group.
pub(super) struct Line<'a> {
    pub(super) date: &'a str,
    pub(super) id: &'a str,
    pub(super) filter: &'a str,
}

fn megabytes(bytes: u64) -> String {
    let micros = u128::from(bytes) * 1_000_000 / u128::from(MB);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn ratio_text(ratio: Option<u128>) -> String {
    ratio.map(|ratio| format!("{}.{:06}", ratio / 1_000_000, ratio % 1_000_000)).unwrap_or_default()
}

/// A field as CSV has it.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// The month, day and year of an instant, `MM-DD-YYYY` (SCA-6).
pub(super) fn date(at: Timestamp) -> String {
    let text = at.rfc3339();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
    format!("{}-{}-{}", part(5..7), part(8..10), part(0..4))
}

/// The lines of a day, whose last element of `days` it is: a group each, and all objects of each class that has any
/// (SCA-4 to SCA-7).
pub(super) fn csv(line: &Line<'_>, days: &[SeenDay], (observed, recommended): (Option<u32>, Option<u32>)) -> String {
    let days = &days[days.len().saturating_sub(WINDOW_DAYS)..];
    let Some(day) = days.last() else { return String::new() };
    let mut out = String::new();
    let (id, filter) = (field(line.id), field(line.filter));
    let mut row = |class: StorageClass, age: &str, seen: &Seen, ratio: Option<u128>, all: bool| {
        let only = |shown: bool, text: String| if shown { text } else { String::new() };
        let age_of = |age: Option<u32>| age.map(|age| age.to_string()).unwrap_or_default();
        let standard = all && class == StorageClass::Standard;
        let _ = writeln!(
            out,
            "{},{id},{filter},{},{age},{},{},{},{},{},{},{},{}",
            line.date,
            class.name(),
            only(all, seen.objects.to_string()),
            only(all, megabytes(seen.uploaded)),
            megabytes(seen.stored),
            megabytes(seen.read),
            seen.requests,
            ratio_text(ratio),
            only(standard, age_of(observed)),
            only(standard, age_of(recommended)),
        );
    };
    for (n, (_, name)) in AGE_GROUPS.iter().enumerate() {
        row(StorageClass::Standard, name, &day.ages[n], ratio(days, |day| day.ages[n]), false);
    }
    for (class, seen) in day.classes.iter() {
        if class == StorageClass::Standard || *seen != Seen::default() {
            row(class, "ALL", seen, ratio(days, |day| day.classes[class]), true);
        }
    }
    out
}

/// What a group came to in the days that are looked back at: bytes stored on the average, bytes read on all of them, and the
/// second for each of the first, in millionths.
pub(super) fn came_to(days: &[SeenDay], of: impl Fn(&SeenDay) -> Seen + Copy) -> (u64, u64, u64, Option<u128>) {
    let days = &days[days.len().saturating_sub(WINDOW_DAYS)..];
    let sum = |part: fn(&Seen) -> u64| days.iter().fold(0u64, |sum, day| sum.saturating_add(part(&of(day))));
    let stored = sum(|seen| seen.stored) / (days.len() as u64).max(1);
    (stored, sum(|seen| seen.read), sum(|seen| seen.requests), ratio(days, of))
}

#[cfg(test)]
mod tests {
    use super::{
        AGE_GROUPS, HEADER, Line, Object, Seen, SeenDay, StorageClass, csv, date, group_of, observed_age, recommended,
    };
    use crate::model::{FileKind, Ino, Posix, Seq, Timestamp, VersionId, parse_rfc3339};

    const HALF: u128 = 500_000;

    /// A day on which each group stored 1,000 bytes, and read as given.
    fn day(read: [u64; 12]) -> SeenDay {
        let mut day = SeenDay::default();
        for (seen, read) in day.ages.iter_mut().zip(read) {
            *seen = Seen { objects: 1, stored: 1000, read, ..Seen::default() };
        }
        day
    }

    fn object(class: StorageClass, size: u64) -> Object {
        let posix = Posix::new(FileKind::File, 0o644, 0, 0, Timestamp::default());
        Object { class, size, ..Object::empty(Ino(1), Seq(1), VersionId::Null, &posix, Timestamp::default()) }
    }

    #[test]
    fn sca_5_ages_have_groups() {
        let name = |days| AGE_GROUPS[group_of(days)].1;
        for (days, group) in [
            (0, "0-14"),
            (14, "0-14"),
            (15, "15-29"),
            (29, "15-29"),
            (30, "30-44"),
            (45, "45-59"),
            (60, "60-74"),
            (75, "75-89"),
            (90, "90-119"),
            (120, "120-149"),
            (150, "150-179"),
            (180, "180-364"),
            (365, "365-729"),
            (729, "365-729"),
            (730, "730+"),
            (u32::MAX, "730+"),
        ] {
            assert_eq!(name(days), group, "{days}");
        }
    }

    #[test]
    fn sca_4_only_standard_objects_over_128_kb_count_by_age() {
        let mut day = SeenDay::default();
        let seen = Seen { objects: 1, stored: 7, ..Seen::default() };
        for (class, size) in [
            (StorageClass::Standard, 128 << 10),
            (StorageClass::Standard, (128 << 10) + 1),
            (StorageClass::StandardIa, 1 << 20),
        ] {
            day.count(&object(class, size), 20, seen);
        }
        assert_eq!(day.ages[1].objects, 1);
        assert_eq!(
            (day.classes[StorageClass::Standard].objects, day.classes[StorageClass::StandardIa].objects),
            (2, 1)
        );
    }

    #[test]
    fn sca_10_the_youngest_group_from_which_all_older_ones_are_seldom_read() {
        // Half of 1,000 bytes in 30 days: 16 a day are below, 17 are not.
        let days = |read: [u64; 12]| vec![day(read); 30];
        for (read, age) in [
            ([0; 12], Some(30)),
            ([16; 12], Some(30)),
            ([17; 12], None),
            ([900, 900, 17, 17, 16, 0, 0, 0, 0, 0, 0, 0], Some(60)),
            ([900, 900, 0, 0, 16, 0, 0, 0, 0, 0, 17, 0], Some(730)),
            ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17], None),
        ] {
            assert_eq!(observed_age(&days(read), HALF), age, "{read:?}");
        }
        // Where nothing is stored nothing is said.
        let mut young = days([0; 12]);
        for day in &mut young {
            day.ages[2..].fill(Seen::default());
        }
        assert_eq!(observed_age(&young, HALF), None);
        young.iter_mut().for_each(|day| day.ages[5].stored = 1000);
        assert_eq!(observed_age(&young, HALF), Some(75));
        // Only the last 30 days count.
        let mut long = vec![day([900; 12]); 10];
        long.extend(days([0; 12]));
        assert_eq!(observed_age(&long, HALF), Some(30));
        assert_eq!(observed_age(&[], HALF), None);
    }

    #[test]
    fn sca_3_and_sca_10_a_recommendation_needs_30_days_and_three_equal_results() {
        let age = Some(60);
        for (days, results, said) in [
            (30, vec![age, age, age], age),
            (29, vec![age, age, age], None),
            (30, vec![age, age], None),
            (40, vec![age, age, Some(30), age, age], None),
            (40, vec![Some(30), age, age, age], age),
            (40, vec![None, None, None], None),
        ] {
            assert_eq!(recommended(days, &results), said, "{days} {results:?}");
        }
    }

    #[test]
    fn sca_6_to_sca_8_lines_have_their_columns() {
        let mut last = day([0; 12]);
        last.ages[0].read = 3 << 20;
        last.ages[0].requests = 5;
        last.classes[StorageClass::Standard] =
            Seen { objects: 4, stored: 10 << 20, uploaded: 1 << 19, read: 5 << 20, requests: 9 };
        last.classes[StorageClass::StandardIa] = Seen { objects: 1, stored: 1, ..Seen::default() };
        let at = parse_rfc3339("2026-09-03T00:00:00Z").unwrap();
        let line = Line { date: &date(at), id: "id", filter: "prefix=a,b" };
        let text = csv(&line, &[last], (Some(60), None));
        let lines: Vec<_> = text.lines().collect();
        let columns = HEADER.trim_end().split(',').count();
        assert_eq!((columns, lines.len()), (13, 14));
        assert_eq!(lines[0], "09-03-2026,id,\"prefix=a,b\",STANDARD,0-14,,,0.000953,3.000000,5,3145.728000,,");
        assert_eq!(lines[11], "09-03-2026,id,\"prefix=a,b\",STANDARD,730+,,,0.000953,0.000000,0,0.000000,,");
        assert_eq!(lines[12], "09-03-2026,id,\"prefix=a,b\",STANDARD,ALL,4,0.500000,10.000000,5.000000,9,0.500000,60,");
        assert_eq!(lines[13], "09-03-2026,id,\"prefix=a,b\",STANDARD_IA,ALL,1,0.000000,0.000000,0.000000,0,0.000000,,");
    }
}
