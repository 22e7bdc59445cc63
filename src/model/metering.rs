//! What is stored and used, by storage class: counters, and what they come to over time (COST-1).
//!
//! Time is reckoned when a counter changes: what it said until then, times how long it did. So nothing ticks, and no
//! change is lost between two readings. Products are kept in byte-nanoseconds, whole numbers that do not drift.

use super::{StorageClass, Timestamp, Usage};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{AddAssign, Index, IndexMut};
use time::{Date, Month as CivilMonth, OffsetDateTime, Time};

/// A value for each storage class. On disk only those that are not nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ByClass<T>([T; StorageClass::ALL.len()]);

impl<T> ByClass<T> {
    /// Classes with their values.
    pub fn iter(&self) -> impl Iterator<Item = (StorageClass, &T)> {
        StorageClass::ALL.iter().copied().zip(&self.0)
    }
}

impl<T> Index<StorageClass> for ByClass<T> {
    type Output = T;

    fn index(&self, class: StorageClass) -> &T {
        &self.0[class as usize]
    }
}

impl<T> IndexMut<StorageClass> for ByClass<T> {
    fn index_mut(&mut self, class: StorageClass) -> &mut T {
        &mut self.0[class as usize]
    }
}

impl<T: AddAssign + Copy> AddAssign for ByClass<T> {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, more)| *own += more);
    }
}

impl<T: Serialize + Default + PartialEq> Serialize for ByClass<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let some = || self.iter().filter(|(_, value)| **value != T::default());
        let mut list = to.serialize_seq(Some(some().count()))?;
        some().try_for_each(|pair| list.serialize_element(&pair))?;
        list.end()
    }
}

impl<'de, T: Deserialize<'de> + Default + Copy> Deserialize<'de> for ByClass<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Default + Copy> Visitor<'de> for Pairs<T> {
            type Value = ByClass<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("classes with their values")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ByClass<T>, A::Error> {
                let mut all = ByClass([T::default(); StorageClass::ALL.len()]);
                for _ in StorageClass::ALL {
                    let Some((class, value)) = list.next_element::<(StorageClass, T)>()? else { return Ok(all) };
                    all[class] = value;
                }
                match list.next_element::<(StorageClass, T)>()? {
                    None => Ok(all),
                    Some(_) => Err(A::Error::custom("there are not so many classes")),
                }
            }
        }
        from.deserialize_seq(Pairs(PhantomData))
    }
}

/// What of a class a bucket holds. Bytes are logical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Held {
    /// Current objects.
    pub objects: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Noncurrent versions, delete markers not included.
    pub noncurrent: i64,
    /// Their bytes.
    pub noncurrent_bytes: i64,
    /// Bytes of both as bills reckon them, with the least of an object (SC-14).
    pub billed: i64,
    /// Objects and versions that Intelligent-Tiering watches (IT-2).
    pub watched: i64,
}

impl AddAssign for Held {
    /// Stops at the ends: counters come from the disk.
    fn add_assign(&mut self, d: Self) {
        let add = |count: &mut i64, more: i64| *count = count.saturating_add(more);
        add(&mut self.objects, d.objects);
        add(&mut self.bytes, d.bytes);
        add(&mut self.noncurrent, d.noncurrent);
        add(&mut self.noncurrent_bytes, d.noncurrent_bytes);
        add(&mut self.billed, d.billed);
        add(&mut self.watched, d.watched);
    }
}

/// What one change adds to a bucket's counters, of one class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// To the bucket's.
    pub usage: Usage,
    /// Of which class.
    pub class: StorageClass,
    /// To the class's.
    pub held: Held,
    /// Bytes of readable copies of archived objects (RST-8).
    pub restored: i64,
}

/// What a class was used for during a month. Products of time in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ClassMeter {
    /// Bytes as bills reckon them (SC-14), times how long they were there.
    pub byte_time: u128,
    /// Objects and versions, times how long: what each takes beside its bytes follows from it (SC-15).
    pub object_time: u128,
    /// Of those, the ones that Intelligent-Tiering watched (IT-2).
    pub watched_time: u128,
    /// Bytes, times how much too early they went (SC-13).
    pub early_time: u128,
    /// Versions that lifecycle rules brought into the class.
    pub transitions: u64,
    /// Requests that S3 calls PUT, COPY, POST or LIST.
    pub puts: u64,
    /// All other requests that cost something.
    pub gets: u64,
    /// Bytes of bodies that were sent.
    pub sent: u64,
    /// Bytes fetched from where that costs something: expedited, at the usual pace or at once, in bulk.
    pub retrieved: [u64; 3],
}

impl AddAssign for ClassMeter {
    /// Stops at the ends: counters come from the disk.
    fn add_assign(&mut self, d: Self) {
        let time = |sum: &mut u128, more: u128| *sum = sum.saturating_add(more);
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        time(&mut self.byte_time, d.byte_time);
        time(&mut self.object_time, d.object_time);
        time(&mut self.watched_time, d.watched_time);
        time(&mut self.early_time, d.early_time);
        add(&mut self.transitions, d.transitions);
        add(&mut self.puts, d.puts);
        add(&mut self.gets, d.gets);
        add(&mut self.sent, d.sent);
        self.retrieved.iter_mut().zip(d.retrieved).for_each(|(sum, more)| add(sum, more));
    }
}

/// What a bucket was used for during a month.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Meter {
    /// By class.
    pub classes: ByClass<ClassMeter>,
    /// Bytes of parts of uploads in progress, times how long.
    pub upload_time: u128,
    /// Bytes of readable copies of archived objects, times how long (RST-8).
    pub restored_time: u128,
}

impl AddAssign for Meter {
    fn add_assign(&mut self, d: Self) {
        self.classes += d.classes;
        self.upload_time = self.upload_time.saturating_add(d.upload_time);
        self.restored_time = self.restored_time.saturating_add(d.restored_time);
    }
}

/// Seconds that a clock may be set back without what it came to until then being reckoned again: 40 days.
const LAG_SECONDS: i64 = 40 * 86_400;

/// A month of the calendar, in UTC: months since the year 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Month(u32);

impl Month {
    /// The one that an instant lies in; the first or last there is when it is none of the calendar's.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let at = OffsetDateTime::from_unix_timestamp(at.secs).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self(u32::try_from(at.year()).unwrap_or(0) * 12 + u32::from(u8::from(at.month())) - 1)
    }

    /// The one with that number.
    #[must_use]
    pub const fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// Months since the year 0: the order of time.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Reads `YYYY-MM`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        let (year_ok, month_ok) = (digits(year, 4), digits(month, 2));
        let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
        (year_ok && month_ok && (1..=12).contains(&month)).then(|| Self(year * 12 + month - 1))
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its first instant; the last instant of all beyond the calendar's end.
    #[must_use]
    pub fn begin(self) -> Timestamp {
        let month = u8::try_from(self.0 % 12 + 1).ok().and_then(|month| CivilMonth::try_from(month).ok());
        let year = i32::try_from(self.0 / 12).unwrap_or(i32::MAX);
        let date = month.and_then(|month| Date::from_calendar_date(year, month, 1).ok());
        date.map_or(Timestamp::LAST, |date| {
            Timestamp::new(date.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp(), 0)
        })
    }

    /// How long it is, in nanoseconds; never nothing.
    #[must_use]
    pub fn nanos(self) -> u128 {
        nanos_between(self.begin(), self.next().begin()).max(1)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

/// Nanoseconds from one instant to a later one; none back.
#[must_use]
pub fn nanos_between(from: Timestamp, to: Timestamp) -> u128 {
    let nanos = |at: Timestamp| i128::from(at.secs) * 1_000_000_000 + i128::from(at.nanos);
    u128::try_from(nanos(to) - nanos(from)).unwrap_or(0)
}

/// A bucket's counters, and what they come to in the month that goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ledger {
    /// What it holds.
    pub usage: Usage,
    /// The same by class; only what came and went since `begun` while not `complete`.
    pub classes: ByClass<Held>,
    /// Bytes of readable copies of archived objects; as above.
    pub restored: i64,
    /// Whether all it holds is in `classes`: not so in a store of an older release until that was counted.
    pub complete: bool,
    /// Since when time is reckoned; the beginning of time while it is not. What is stored counts from when its classes are known.
    pub begun: Timestamp,
    /// Up to when `meter` is.
    pub at: Timestamp,
    /// The month of `at`, up to then.
    pub meter: Meter,
}

impl Default for Ledger {
    /// Of a bucket that holds nothing.
    fn default() -> Self {
        Self { complete: true, ..Self::before_classes(Usage::default()) }
    }
}

impl From<Usage> for Ledger {
    fn from(usage: Usage) -> Self {
        Self::before_classes(usage)
    }
}

impl Ledger {
    /// Of a bucket whose classes nobody has counted.
    #[must_use]
    pub fn before_classes(usage: Usage) -> Self {
        let (begun, at) = (Timestamp::default(), Timestamp::default());
        let complete = usage == Usage::default();
        Self { usage, classes: ByClass::default(), restored: 0, complete, begun, at, meter: Meter::default() }
    }

    /// Counts a change.
    pub fn add(&mut self, count: &Count) {
        self.usage += count.usage;
        self.classes[count.class] += count.held;
        self.restored = self.restored.saturating_add(count.restored);
    }

    /// Reckons up to `now`; each month that ended by then is handed to `ended`. A clock that was set back adds nothing; one
    /// that had been far ahead when it was read last is not waited for.
    pub fn settle(&mut self, now: Timestamp, mut ended: impl FnMut(Month, Meter)) {
        if self.begun == Timestamp::default() {
            (self.begun, self.at) = (now, now);
            return;
        }
        if self.at.secs > now.secs.saturating_add(LAG_SECONDS) {
            self.at = now;
        }
        while self.at < now {
            let (month, next) = (Month::of(self.at), Month::of(self.at).next().begin());
            if next <= self.at {
                // The end of all calendars.
                return;
            }
            let until = now.min(next);
            if self.complete {
                self.accrue(nanos_between(self.at, until));
            }
            self.at = until;
            if until < next {
                return;
            }
            let meter = std::mem::take(&mut self.meter);
            if meter != Meter::default() {
                ended(month, meter);
            } else if self.is_idle() {
                // Years without anything need not be gone through.
                self.at = now;
            }
        }
    }

    /// Adds to the meter what the counters come to in that time.
    fn accrue(&mut self, nanos: u128) {
        let times = |count: i64| u128::try_from(count).unwrap_or(0).saturating_mul(nanos);
        for (class, held) in self.classes.iter().filter(|(_, held)| **held != Held::default()) {
            self.meter.classes[class] += ClassMeter {
                byte_time: times(held.billed),
                object_time: times(held.objects.saturating_add(held.noncurrent)),
                watched_time: times(held.watched),
                ..ClassMeter::default()
            };
        }
        self.meter.upload_time = self.meter.upload_time.saturating_add(times(self.usage.upload_bytes));
        self.meter.restored_time = self.meter.restored_time.saturating_add(times(self.restored));
    }

    fn is_idle(&self) -> bool {
        let empty = self.classes == ByClass::default() && self.usage.upload_bytes == 0 && self.restored == 0;
        empty || !self.complete
    }

    /// What was there before all that `classes` tell of is known now, and counts from now on.
    pub fn complete_with(
        &mut self,
        rest: &ByClass<Held>,
        restored: i64,
        now: Timestamp,
        ended: impl FnMut(Month, Meter),
    ) {
        self.settle(now, ended);
        self.classes += *rest;
        self.restored = self.restored.saturating_add(restored);
        (self.begun, self.complete) = (self.at, true);
    }
}

#[cfg(test)]
mod tests {
    use super::{ByClass, Count, Held, Ledger, Month, StorageClass, Timestamp};
    use crate::model::parse_rfc3339;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(text: &str) -> Timestamp {
        parse_rfc3339(text).unwrap()
    }

    fn bytes(class: StorageClass, billed: i64) -> Count {
        Count { class, held: Held { billed, objects: 1, ..Held::default() }, ..Count::default() }
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let month = Month::parse("2028-02").unwrap();
        assert_eq!((month.begin(), month.next().begin()), (at("2028-02-01T00:00:00Z"), at("2028-03-01T00:00:00Z")));
        assert_eq!((Month::of(at("2028-02-29T23:59:59Z")), month.to_string()), (month, "2028-02".to_owned()));
        assert_eq!(month.nanos(), 29 * 86_400 * 1_000_000_000);
        for bad in ["2028", "2028-13", "2028-00", "28-01", "2028-1", "+028-01", "x"] {
            assert_eq!(Month::parse(bad), None, "{bad}");
        }
        assert_eq!(Month::parse("2027-12").unwrap().next(), Month::parse("2028-01").unwrap());
    }

    #[test]
    fn cost_1_bytes_are_reckoned_by_the_month_however_seldom_something_changes() {
        let mut ledger = Ledger::default();
        ledger.settle(at("2026-01-31T23:00:00Z"), |_, _| panic!("nothing ended"));
        ledger.add(&bytes(StorageClass::Glacier, 10));
        let mut months = Vec::new();
        ledger.settle(at("2026-03-01T01:00:00Z"), |month, meter| months.push((month.to_string(), meter)));
        let hours = |meter: &super::Meter| meter.classes[StorageClass::Glacier].byte_time / 3_600_000_000_000;
        let told: Vec<_> = months.iter().map(|(month, meter)| (month.as_str(), hours(meter))).collect();
        assert_eq!(told, [("2026-01", 10), ("2026-02", 28 * 24 * 10)]);
        assert_eq!(hours(&ledger.meter), 10);
        // A clock that goes back takes nothing and adds nothing.
        ledger.settle(at("2026-02-01T00:00:00Z"), |_, _| panic!("nothing ended"));
        ledger.settle(at("2026-03-01T01:00:00Z"), |_, _| panic!("nothing ended"));
        assert_eq!(hours(&ledger.meter), 10);
        // One that was years ahead once does not stop the meter for as long.
        ledger.settle(at("2038-01-01T00:00:00Z"), |_, _| {});
        ledger.meter = super::Meter::default();
        ledger.settle(at("2026-03-01T02:00:00Z"), |_, _| panic!("nothing ended"));
        ledger.settle(at("2026-03-01T05:00:00Z"), |_, _| panic!("nothing ended"));
        assert_eq!(hours(&ledger.meter), 30);
    }

    #[test]
    fn what_is_stored_counts_from_when_classes_are_known_and_what_went_before_never() {
        let (begun, counted) = (at("2026-01-30T00:00:00Z"), at("2026-02-02T00:00:00Z"));
        let mut ledger = Ledger { complete: false, ..Ledger::default() };
        let mut months: BTreeMap<Month, super::Meter> = BTreeMap::new();
        ledger.settle(begun, |_, _| panic!("nothing ended"));
        let mut gone = bytes(StorageClass::Standard, -5);
        gone.held.objects = -1;
        ledger.add(&gone);
        ledger.meter.classes[StorageClass::Standard].early_time = 3;
        let mut rest = ByClass::default();
        rest[StorageClass::Standard] = Held { billed: 7, objects: 2, ..Held::default() };
        ledger.complete_with(&rest, 0, counted, |month, meter| *months.entry(month).or_default() += meter);
        assert_eq!((ledger.begun, ledger.complete), (counted, true));
        let january = months.remove(&Month::of(begun)).unwrap().classes[StorageClass::Standard];
        assert_eq!((january.byte_time, january.early_time), (0, 3), "what was charged at once is kept");
        ledger.settle(counted.plus_days(1), |_, _| panic!("nothing ended"));
        assert_eq!(ledger.meter.classes[StorageClass::Standard].byte_time, 2 * 86_400 * 1_000_000_000);
    }

    proptest! {
        #[test]
        fn cost_1_it_is_all_the_same_when_it_is_reckoned(stops in prop::collection::vec(0i64..400 * 86_400, 0..20)) {
            let begin = at("2026-01-15T10:30:00Z");
            let (mut often, mut once) = (Ledger::default(), Ledger::default());
            let mut sums = [super::Meter::default(); 2];
            for ledger in [&mut often, &mut once] {
                ledger.settle(begin, |_, _| {});
                ledger.add(&bytes(StorageClass::StandardIa, 131_072));
            }
            let mut stops = stops;
            stops.sort_unstable();
            for secs in stops {
                often.settle(Timestamp::new(begin.secs + secs, 7), |_, meter| sums[0] += meter);
            }
            let end = begin.plus_days(401);
            often.settle(end, |_, meter| sums[0] += meter);
            once.settle(end, |_, meter| sums[1] += meter);
            sums[0] += often.meter;
            sums[1] += once.meter;
            prop_assert_eq!(sums[0], sums[1]);
            let whole = 131_072u128 * 401 * 86_400 * 1_000_000_000;
            prop_assert_eq!(sums[0].classes[StorageClass::StandardIa].byte_time, whole);
        }
    }
}
