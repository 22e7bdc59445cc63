//! Metering: what buckets hold by class, and what they were used for by the month (COST-1).
//!
//! What is stored is counted in the transaction that changes it ([`count`]), which also reckons up to its instant: the
//! counters of a bucket and the month that goes on are one record. Requests are counted in memory and written down beside
//! other commits, or some seconds later ([`Store::note_requests`]); a crash loses what was not.
//!
//! Locks: `pending`, a leaf.

use super::Store;
use super::bucket::{find_bucket, read_bucket};
use super::class::facts;
use super::names::{dir_record, readable};
use super::tiering::is_watched;
use crate::index::{
    DentRecord, DirRecord, Family, InodeRecord, MeterRecord, Read, Tx, VerRecord, decode, dir_of, id_key, id_of,
    meter_bounds, meter_key, meter_parts,
};
use crate::model::{
    Bucket, BucketId, BucketName, ByClass, ClassMeter, Count, DirId, Error, Held, Kind, Ledger, Meter, Month, Object,
    RestoreTier, Result, StorageClass, Timestamp, Usage, nanos_between,
};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How long requests wait for another commit to be written with, in milliseconds.
const PATIENCE_MILLIS: i64 = 5000;
/// A day of bills, also in a store whose days are shorter: prices are by the calendar.
const DAY: Duration = Duration::from_secs(86_400);
/// Months before the one that goes on that are kept.
const MONTHS_KEPT: u32 = 60;
/// Records of months before those that go in one transaction.
const OLD: usize = 1000;
/// Records after which a walk looks whether it is to go on.
const STEP: usize = 4096;

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Bytes of a version as bills reckon them (SC-14).
fn billed(object: &Object) -> u64 {
    object.size.max(facts(object.class).bytes_min)
}

/// Bytes of its copy out of an archive, once that is ready (RST-8).
fn copied(object: &Object) -> i64 {
    let there = object.aging.restore.is_some_and(|restore| restore.told && restore.expires.is_some());
    if there { signed(object.size) } else { 0 }
}

/// Counters of a current entry: `sign` is 1 when it comes and -1 when it goes.
pub(super) fn current(object: &Object, sign: i64) -> Count {
    let bytes = sign * signed(object.size);
    let held = Held { objects: sign, bytes, ..weight(object, sign) };
    let usage = Usage { objects: sign, bytes, ..Usage::default() };
    Count { usage, class: object.class, held, restored: sign * copied(object) }
}

/// The same of a version or marker below it.
pub(super) fn older(object: &Object, sign: i64) -> Count {
    if object.marker {
        return Count { usage: Usage { markers: sign, ..Usage::default() }, ..Count::default() };
    }
    let bytes = sign * signed(object.size);
    let held = Held { noncurrent: sign, noncurrent_bytes: bytes, ..weight(object, sign) };
    let usage = Usage { noncurrent: sign, noncurrent_bytes: bytes, ..Usage::default() };
    Count { usage, class: object.class, held, restored: sign * copied(object) }
}

fn weight(object: &Object, sign: i64) -> Held {
    let watched = if is_watched(object) { sign } else { 0 };
    Held { billed: sign * signed(billed(object)), watched, ..Held::default() }
}

/// A bucket's counters as a transaction may change them, reckoned up to its instant; `None` when they cannot be read:
/// a repair counts anew, and until then nothing is known.
fn open(tx: &mut Tx<'_>, bucket: BucketId) -> Result<Option<Ledger>> {
    let mut ledger: Ledger = match tx.record(Family::Usage, &id_key(bucket.0)) {
        Err(error) if error.kind() == Kind::Corrupt => return Ok(None),
        ledger => ledger?.unwrap_or_default(),
    };
    let (now, mut ended) = (tx.now(), Vec::new());
    ledger.settle(now, |month, meter| ended.push((month, meter)));
    ended.into_iter().try_for_each(|(month, meter)| file(tx, bucket, month, meter))?;
    Ok(Some(ledger))
}

fn close(tx: &mut Tx<'_>, bucket: BucketId, ledger: &Ledger) {
    tx.put(Family::Usage, &id_key(bucket.0), ledger);
}

/// Adds to what is kept of a month.
fn file(tx: &mut Tx<'_>, bucket: BucketId, month: Month, meter: Meter) -> Result<()> {
    in_month(tx, bucket, month, |kept| *kept += meter)
}

/// Changes what is kept of a month.
fn in_month(tx: &mut Tx<'_>, bucket: BucketId, month: Month, change: impl FnOnce(&mut Meter)) -> Result<()> {
    let key = meter_key(month, bucket);
    let mut record = match readable(tx.record::<MeterRecord>(Family::Meter, &key))? {
        Some(record) => record,
        None => match read_bucket(tx, bucket) {
            // Nobody could say whose it is.
            Err(error) if matches!(error.kind(), Kind::NoSuchBucket | Kind::Corrupt) => return Ok(()),
            bucket => MeterRecord { name: bucket?.name, meter: Meter::default() },
        },
    };
    change(&mut record.meter);
    tx.put(Family::Meter, &key, &record);
    Ok(())
}

/// Counts what a transaction changes in a bucket.
pub(super) fn count(tx: &mut Tx<'_>, bucket: BucketId, counts: &[Count]) -> Result<()> {
    let Some(mut ledger) = open(tx, bucket)? else { return Ok(()) };
    counts.iter().for_each(|count| ledger.add(count));
    close(tx, bucket, &ledger);
    Ok(())
}

/// The same of what is no object: uploads and their parts.
pub(super) fn count_usage(tx: &mut Tx<'_>, bucket: BucketId, usage: Usage) -> Result<()> {
    count(tx, bucket, &[Count { usage, ..Count::default() }])
}

/// Counts that a version which stays became another: its length, its class, its copy. It counts once for each of `names`.
pub(super) fn count_edit(
    tx: &mut Tx<'_>,
    dir: DirId,
    (before, after): (&Object, &Object),
    names: Option<usize>,
) -> Result<()> {
    let of = names.map_or(older as fn(&Object, i64) -> Count, |_| current);
    let (old, new) = (of(before, -1), of(after, 1));
    let same = (before.class, before.size, old.restored) == (after.class, after.size, -new.restored);
    let late = told_late((before, after), tx.now());
    if (same && late.is_none()) || names == Some(0) {
        return Ok(());
    }
    let bucket = dir_record(tx, dir)?.bucket;
    for _ in 0..names.unwrap_or(1) {
        if before.class != after.class {
            charge_early(tx, bucket, before)?;
        }
        count(tx, bucket, &[old, new])?;
        if let Some((more, from, to)) = late {
            adjust_copies(tx, bucket, before.size, (from, to), more)?;
        }
    }
    Ok(())
}

/// A copy out of an archive is there from one instant to another, and both are told when somebody looks, later where the store
/// was closed: for which time it counted too little, or too much.
fn told_late((before, after): (&Object, &Object), now: Timestamp) -> Option<(bool, Timestamp, Timestamp)> {
    let span = |object: &Object| object.aging.restore.and_then(|restore| Some((restore.ready_at, restore.expires?)));
    let (more, from, to) = match (copied(before) > 0, copied(after) > 0) {
        (false, true) => (true, span(after)?.0, now),
        (true, false) => (false, span(before)?.1, now),
        (false, false) if before.aging.restore != after.aging.restore => {
            let (ready, expires) = span(before)?;
            (true, ready, expires.min(now))
        }
        _ => return None,
    };
    (from < to).then_some((more, from, to))
}

/// Adds to what copies came to by now, or takes from it, a copy of so many bytes for that time.
fn adjust_copies(
    tx: &mut Tx<'_>,
    bucket: BucketId,
    bytes: u64,
    (from, to): (Timestamp, Timestamp),
    more: bool,
) -> Result<()> {
    let Some(mut ledger) = open(tx, bucket)?.filter(|ledger| ledger.complete) else { return Ok(()) };
    let mut at = from.max(ledger.begun);
    while at < to {
        let month = Month::of(at);
        let end = month.next().begin().min(to);
        if end <= at {
            // The end of all calendars.
            break;
        }
        let time = nanos_between(at, end).saturating_mul(u128::from(bytes));
        let change = |meter: &mut Meter| {
            let sum = meter.restored_time;
            meter.restored_time = if more { sum.saturating_add(time) } else { sum.saturating_sub(time) };
        };
        if month == Month::of(ledger.at) {
            change(&mut ledger.meter);
        } else {
            in_month(tx, bucket, month, change)?;
        }
        at = end;
    }
    close(tx, bucket, &ledger);
    Ok(())
}

/// What a version would still have to be kept for, in byte-nanoseconds, were it to leave its class at `now` (SC-13).
fn early(object: &Object, now: Timestamp) -> u128 {
    let days = facts(object.class).days_min;
    if object.marker || days == 0 {
        return 0;
    }
    // A step to the class is noted where the use of others is; who was born in it came with its content, whatever name it has
    // had since.
    let entered = object.aging.accessed.unwrap_or(object.since.min(object.modified));
    let least = DAY.saturating_mul(days);
    // An object of a clock that was ahead is not charged for more than it could have been there.
    let left = nanos_between(now, entered.plus(least)).min(least.as_nanos());
    left.saturating_mul(u128::from(billed(object)))
}

/// A version leaves its class, to be deleted or for another one: what it was to be there longer is charged (SC-13).
pub(super) fn charge_early(tx: &mut Tx<'_>, bucket: BucketId, object: &Object) -> Result<()> {
    let early_time = early(object, tx.now());
    if early_time == 0 {
        return Ok(());
    }
    add_to(tx, bucket, object.class, ClassMeter { early_time, ..ClassMeter::default() })
}

/// Adds to a class's meter of the month that goes on.
pub(super) fn add_to(tx: &mut Tx<'_>, bucket: BucketId, class: StorageClass, more: ClassMeter) -> Result<()> {
    let Some(mut ledger) = open(tx, bucket)? else { return Ok(()) };
    ledger.meter.classes[class] += more;
    close(tx, bucket, &ledger);
    Ok(())
}

/// Bytes are fetched from an archive at that pace. Out of `INTELLIGENT_TIERING` that costs nothing (IT-8).
pub(super) fn count_restore(tx: &mut Tx<'_>, dir: DirId, object: &Object, pace: RestoreTier) -> Result<()> {
    if object.class == StorageClass::IntelligentTiering {
        return Ok(());
    }
    let bucket = dir_record(tx, dir)?.bucket;
    let mut more = ClassMeter::default();
    more.retrieved[pace as usize] = object.size;
    add_to(tx, bucket, object.class, more)
}

/// A bucket goes: what it was used for stays.
pub(super) fn close_bucket(tx: &mut Tx<'_>, bucket: BucketId) -> Result<()> {
    if let Some(ledger) = open(tx, bucket)?
        && ledger.meter != Meter::default()
    {
        file(tx, bucket, Month::of(ledger.at), ledger.meter)?;
    }
    tx.delete(Family::Usage, &id_key(bucket.0));
    Ok(())
}

/// Sets counters to what was counted; what time has come to so far stays.
pub(super) fn recount(tx: &mut Tx<'_>, bucket: BucketId, seen: &Ledger) -> Result<()> {
    let mut ledger = open(tx, bucket)?.unwrap_or_default();
    let now = tx.now();
    ledger.settle(now, |_, _| {});
    (ledger.usage, ledger.classes, ledger.restored) = (seen.usage, seen.classes, seen.restored);
    if !ledger.complete {
        (ledger.begun, ledger.complete) = (ledger.at, true);
    }
    close(tx, bucket, &ledger);
    Ok(())
}

/// Requests that are not written down yet, and whether classes are to be counted.
#[derive(Default)]
pub(super) struct Meters {
    pending: Mutex<Pending>,
    uncounted: AtomicBool,
    /// The month in which old ones were let go last, by number.
    forgotten: AtomicU32,
}

#[derive(Default)]
struct Pending {
    requests: HashMap<String, ByClass<ClassMeter>>,
    /// The commit after which the first of them came, and when.
    since: Option<(u64, Timestamp)>,
}

/// What a bucket was used for in a month.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metered {
    /// The bucket, which may be deleted since.
    pub bucket: BucketName,
    /// What it was used for.
    pub meter: Meter,
    /// The instant from which on it was metered, where that is within the month.
    pub begun: Option<Timestamp>,
    /// Whether what it stores is not in it: it was never counted, since its index is damaged.
    pub uncounted: bool,
}

impl Store {
    /// Counters of a bucket with those of its classes.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn ledger(&self, id: BucketId) -> Result<Ledger> {
        Ok(readable(self.index.record(Family::Usage, &id_key(id.0)))?.unwrap_or_default())
    }

    /// Counts a request of a client that was carried out, on a bucket and a class of its objects (COST-6). Waits for nothing.
    pub fn metered(&self, bucket: &str, class: StorageClass, used: ClassMeter) {
        if self.is_read_only() || used == ClassMeter::default() {
            return;
        }
        let mut pending = self.meters.pending.lock();
        let at = (self.commits(), self.now());
        pending.since.get_or_insert(at);
        match pending.requests.get_mut(bucket) {
            Some(sums) => sums[class] += used,
            None => pending.requests.entry(bucket.to_owned()).or_default()[class] += used,
        }
    }

    /// Writes down requests that were counted, if that costs no round of its own or some seconds have passed.
    ///
    /// # Errors
    /// When the index takes no changes; they stay counted.
    pub fn note_requests(&self) -> Result<()> {
        let due = self.meters.pending.lock().since.is_some_and(|(commit, at)| {
            self.commits() != commit || self.now().millis().saturating_sub(at.millis()) >= PATIENCE_MILLIS
        });
        if due { self.write_requests() } else { Ok(()) }
    }

    /// The last month that is longer ago than bills can be asked for, if there is any. By a clock that is years ahead all would
    /// be: the latest that there are stay, whatever it says.
    fn last_to_forget(&self, now: Month) -> Result<Option<Month>> {
        let (mut months, mut from) = (Vec::new(), Vec::new());
        while let Some(found) = self.index.scan(Family::Meter, &from, &[0xff; 13])?.next() {
            let Some((month, _)) = meter_parts(&found?.0) else { break };
            months.push(month);
            from = meter_bounds(month).1.to_vec();
        }
        months.truncate(months.len().saturating_sub(MONTHS_KEPT as usize));
        months.retain(|month| month.number() < now.number().saturating_sub(MONTHS_KEPT));
        Ok(months.last().copied())
    }

    /// Lets months go that are longer ago than bills can be asked for.
    pub(super) fn forget_months(&self) -> Result<()> {
        let now = Month::of(self.now());
        if self.meters.forgotten.load(Ordering::SeqCst) == now.number() {
            return Ok(());
        }
        let Some(last) = self.last_to_forget(now)? else {
            self.meters.forgotten.store(now.number(), Ordering::SeqCst);
            return Ok(());
        };
        let (_, upper) = meter_bounds(last);
        let old = self.index.scan(Family::Meter, &[], &upper)?.take(OLD).map(|found| found.map(|(key, _)| key));
        let old = old.collect::<Result<Vec<_>>>()?;
        if !old.is_empty() {
            self.commit(|tx| {
                old.iter().for_each(|key| tx.delete(Family::Meter, key));
                Ok(())
            })?;
        }
        if old.len() < OLD {
            self.meters.forgotten.store(now.number(), Ordering::SeqCst);
        }
        Ok(())
    }

    pub(super) fn write_requests(&self) -> Result<()> {
        let Pending { requests, since } = std::mem::take(&mut *self.meters.pending.lock());
        if requests.is_empty() {
            return Ok(());
        }
        let done = self.commit(|tx| {
            let month = Month::of(tx.now());
            for (name, used) in &requests {
                // A bucket that is gone has had its last bill.
                let Some(bucket) = find_bucket(tx, name)? else { continue };
                file(tx, bucket.id, month, Meter { classes: *used, ..Meter::default() })?;
            }
            Ok(())
        });
        if done.is_err() {
            let mut pending = self.meters.pending.lock();
            pending.since = pending.since.or(since);
            for (name, used) in requests {
                *pending.requests.entry(name).or_default() += used;
            }
        }
        done.map(drop)
    }

    /// What buckets were used for in a month, deleted ones included, by name; up to now in the month that goes on.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] in a backup whose classes were never counted; when the index cannot be read.
    pub fn metered_in(&self, month: Month) -> Result<Vec<Metered>> {
        match self.count_classes() {
            // What can be told of the others is told.
            Err(error) if error.kind() == Kind::Corrupt => {}
            counted => counted?,
        }
        let fixed = self.is_read_only();
        if !fixed {
            self.write_requests()?;
        }
        let now = self.now();
        let found = self.index.at_once(|read| {
            let mut found: BTreeMap<BucketId, Metered> = BTreeMap::new();
            let (lower, upper) = meter_bounds(month);
            for pair in read.scan(Family::Meter, &lower, &upper)? {
                let (key, value) = pair?;
                if let (Some((_, id)), Ok(MeterRecord { name, meter })) = (meter_parts(&key), decode(&value)) {
                    found.insert(id, Metered { bucket: name, meter, begun: None, uncounted: false });
                }
            }
            for pair in read.scan(Family::Usage, &[], &[0xff; 9])? {
                let (key, value) = pair?;
                let (Some(id), Ok(mut ledger)) = (id_of(&key).map(BucketId), decode::<Ledger>(&value)) else {
                    continue;
                };
                let Ok(Bucket { name, .. }) = read_bucket(read, id) else { continue };
                if !ledger.complete && fixed {
                    return Err(Error::new(
                        Kind::InvalidState,
                        format!("cannot tell what the bucket {name} was used for"),
                    )
                    .why("it is of an older release, its classes were never counted, and the store is only read")
                    .mend("open the store once to be changed"));
                }
                let mut sum = Meter::default();
                ledger.settle(now, |ended, meter| sum += if ended == month { meter } else { Meter::default() });
                if Month::of(ledger.at) == month {
                    sum += ledger.meter;
                }
                let begun = Some(ledger.begun).filter(|begun| Month::of(*begun) == month && *begun > month.begin());
                let of = found.entry(id);
                let none = || Metered { bucket: name, meter: Meter::default(), begun: None, uncounted: false };
                let of = of.or_insert_with(none);
                of.meter += sum;
                (of.begun, of.uncounted) = (begun, !ledger.complete);
            }
            Ok(found)
        })?;
        let is_told = |found: &Metered| found.uncounted || found.meter != Meter::default();
        let mut found: Vec<_> = found.into_values().filter(is_told).collect();
        found.sort_by(|a, b| a.bucket.as_str().cmp(b.bucket.as_str()));
        Ok(found)
    }

    /// Begins to reckon time for buckets of an older release, and finds out whether their classes are to be counted. Once,
    /// when the store is opened.
    pub(super) fn begin_metering(&self) -> Result<()> {
        let mut old = Vec::new();
        for pair in self.index.scan(Family::Usage, &[], &[0xff; 9])? {
            let (key, value) = pair?;
            if let (Some(id), Ok(ledger)) = (id_of(&key), decode::<Ledger>(&value))
                && !ledger.complete
            {
                self.meters.uncounted.store(true, Ordering::SeqCst);
                old.extend((ledger.begun == Timestamp::default()).then_some(BucketId(id)));
            }
        }
        if old.is_empty() {
            return Ok(());
        }
        let begin = |tx: &mut Tx<'_>| old.iter().try_for_each(|bucket| count(tx, *bucket, &[]));
        self.commit(begin).map(drop)
    }

    /// Counts what buckets of an older release hold by class. A walk over all names, once in a store's life and without
    /// keeping anybody out: it counts as of one commit, and what came since is in the counters already. A crash has it begin
    /// anew.
    ///
    /// # Errors
    /// When the index cannot be read; [`Kind::StoreUnavailable`] when the process is ending.
    pub fn count_classes(&self) -> Result<()> {
        if !self.meters.uncounted.load(Ordering::SeqCst) || self.is_read_only() {
            return Ok(());
        }
        let read = self.index.frozen();
        let mut counts = self.count_all(&read)?;
        let mut rests = Vec::new();
        for pair in read.scan(Family::Usage, &[], &[0xff; 9])? {
            let (key, value) = pair?;
            let (Some(id), Ok(known)) = (id_of(&key).map(BucketId), decode::<Ledger>(&value)) else { continue };
            if !known.complete {
                let seen = counts.remove(&id).unwrap_or_default();
                rests.push((id, less(seen.classes, &known.classes), seen.restored.saturating_sub(known.restored)));
            }
        }
        drop(read);
        self.commit(|tx| {
            for (id, rest, restored) in &rests {
                let Some(mut ledger) = open(tx, *id)?.filter(|ledger| !ledger.complete) else { continue };
                // The bucket went meanwhile.
                if tx.get(Family::Usage, &id_key(id.0))?.is_none() {
                    continue;
                }
                let (now, mut ended) = (tx.now(), Vec::new());
                ledger.complete_with(rest, *restored, now, |month, meter| ended.push((month, meter)));
                ended.into_iter().try_for_each(|(month, meter)| file(tx, *id, month, meter))?;
                close(tx, *id, &ledger);
            }
            Ok(())
        })?;
        self.meters.uncounted.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// What all buckets hold, by a walk over every name and version.
    fn count_all(&self, read: &impl Read) -> Result<HashMap<BucketId, Ledger>> {
        let mut counts: HashMap<BucketId, Ledger> = HashMap::new();
        let mut home: Option<(DirId, Option<BucketId>)> = None;
        for family in [Family::Dent, Family::Ver, Family::Dir] {
            for (n, pair) in read.scan(family, &[], &[0xff; 1100])?.enumerate() {
                if n % STEP == 0 {
                    self.checks_go_on("counting by class")?;
                }
                let (key, value) = pair?;
                let Some(dir) = dir_of(&key) else { continue };
                let counted = match family {
                    Family::Dent => match decode(&value) {
                        Ok(DentRecord::Object { object, draft: false }) => Some(current(&object, 1)),
                        Ok(DentRecord::Link(ino)) => {
                            let inode = readable(read.record::<InodeRecord>(Family::Ino, &id_key(ino.0)))?;
                            inode.filter(|inode| !inode.draft).map(|inode| current(&inode.object, 1))
                        }
                        _ => None,
                    },
                    Family::Ver => match decode(&value) {
                        Ok(VerRecord::Object(object)) => Some(older(&object, 1)),
                        _ => None,
                    },
                    _ => match decode::<DirRecord>(&value) {
                        Ok(DirRecord { alive: true, marker: Some(object), .. }) => Some(current(&object, 1)),
                        _ => None,
                    },
                };
                let Some(counted) = counted else { continue };
                if home.is_none_or(|(known, _)| known != dir) {
                    let record = readable(read.record::<DirRecord>(Family::Dir, &id_key(dir.0)))?;
                    home = Some((dir, record.map(|record| record.bucket)));
                }
                if let Some((_, Some(bucket))) = home {
                    counts.entry(bucket).or_default().add(&counted);
                }
            }
        }
        Ok(counts)
    }
}

/// What is missing of `all` in `some`.
fn less(mut all: ByClass<Held>, some: &ByClass<Held>) -> ByClass<Held> {
    for (class, held) in some.iter() {
        all[class] += Held {
            objects: held.objects.saturating_neg(),
            bytes: held.bytes.saturating_neg(),
            noncurrent: held.noncurrent.saturating_neg(),
            noncurrent_bytes: held.noncurrent_bytes.saturating_neg(),
            billed: held.billed.saturating_neg(),
            watched: held.watched.saturating_neg(),
        };
    }
    all
}
