//! Storage class analysis: objects are observed by age, and once a day it is told what `STANDARD_IA` would be for (SCA).
//!
//! Reads are counted in memory, some numbers a configuration, and written down now and then. After each midnight a bucket that
//! has configurations is walked, some keys at a time; what it holds by age and what was read make the day, which is exported
//! and kept with those before it. Deciding is `decide`'s.
//!
//! Locks: `state`, a leaf.

mod decide;
mod document;

pub use decide::{AGE_GROUPS, EQUAL_DAYS, Seen, SeenDay, WINDOW_DAYS, observed_age, recommended};
pub(super) use document::EXAMPLE;
pub use document::{
    AnalysisElement, AnalyticsDocument, AnalyticsElement, BucketElement, DestinationElement, ExportElement,
};

use super::Store;
use super::configurations::configurations_of;
use super::lifecycle::Midnights;
use super::list::ListRequest;
use super::names::readable;
use super::put::PutOptions;
use super::tiering::Used;
use crate::index::{Family, Read, Record, Tx, id_key};
use crate::model::{
    Bucket, BucketId, DirId, Error, Kind, Metadata, Object, ObjectKey, Result, SystemHeader, Timestamp,
};
use crate::sys::sync::Mutex;
use decide::Line;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The document's name.
pub(super) const DOCUMENT: &str = "analytics";
const KEY: &[u8] = b"analysis/";
/// Keys that one step looks at.
const PAGE: usize = 1000;
/// Longest export that a day is appended to; then it begins anew.
const EXPORT_BYTES_MAX: u64 = 64 << 20;
/// How long reads wait to be written down, in milliseconds.
const PATIENCE_MILLIS: i64 = 5000;

/// What is kept of a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Kept {
    /// The configuration's filter: of another one nothing that was seen counts.
    filter: String,
    /// The day that ends next, by number.
    day: i64,
    /// Reads of days that have not ended.
    reads: BTreeMap<i64, SeenDay>,
    /// The last days, the newest last.
    days: Vec<SeenDay>,
    /// How many there were.
    count: u64,
    /// The results of the last days, the newest last.
    results: Vec<Option<u32>>,
}

impl Record for Kept {
    const NAME: &'static str = "analysis";
}

impl Kept {
    /// Nothing seen yet: the first whole day is tomorrow (SCA-3).
    fn begin(element: &AnalyticsElement, today: i64) -> Self {
        let day = today.saturating_add(1);
        Self { filter: element.filter_text(), day, reads: BTreeMap::new(), days: vec![], count: 0, results: vec![] }
    }

    /// A day has ended; what was read before it and never counted is forgotten.
    fn end(&mut self, day: i64, mut seen: SeenDay, threshold: u128) {
        let later = self.reads.split_off(&day.saturating_add(1));
        if let Some(reads) = self.reads.remove(&day) {
            seen += reads;
        }
        self.reads = later;
        self.days.push(seen);
        self.days.drain(..self.days.len().saturating_sub(WINDOW_DAYS));
        self.count = self.count.saturating_add(1);
        self.results.push(observed_age(&self.days, threshold));
        self.results.drain(..self.results.len().saturating_sub(EQUAL_DAYS));
        self.day = day.saturating_add(1);
    }

    fn told(&self) -> (Option<u32>, Option<u32>) {
        let days = usize::try_from(self.count).unwrap_or(usize::MAX);
        (self.results.last().copied().flatten(), recommended(days, &self.results))
    }
}

/// A group as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgeSeen {
    /// Its ages in days, or `ALL`.
    pub age: &'static str,
    /// Bytes stored, on the average of the days.
    pub stored: u64,
    /// Bytes read on all of them.
    pub read: u64,
    /// Reads and puts on all of them.
    pub requests: u64,
    /// Bytes read for each that was stored, in millionths; `None` where none was.
    pub ratio: Option<u128>,
}

/// What a configuration has come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Analysis {
    /// Its name.
    pub id: String,
    /// Its filter in words.
    pub filter: String,
    /// Days observed so far.
    pub days: u64,
    /// Groups of `STANDARD` objects by age, then all of them, as of the last 30 days.
    pub groups: Vec<AgeSeen>,
    /// The age of the last day's result (SCA-10).
    pub observed: Option<u32>,
    /// The age that is recommended.
    pub recommended: Option<u32>,
}

/// A bucket that is walked for a day.
struct Walk {
    bucket: BucketId,
    day: i64,
    after: Option<String>,
    sums: HashMap<String, SeenDay>,
}

#[derive(Default)]
struct State {
    /// Buckets with configurations, by name.
    configured: HashMap<String, (BucketId, Arc<AnalyticsDocument>)>,
    /// Reads that are not written down yet, by bucket, configuration and day, and since when.
    reads: HashMap<(BucketId, String, i64), SeenDay>,
    since: Option<Timestamp>,
    walk: Option<Walk>,
    /// The day for which all buckets were looked at.
    looked: Option<i64>,
}

/// What is observed in this process.
#[derive(Default)]
pub(super) struct Analyses(Mutex<State>);

fn kept_key(bucket: BucketId, id: &str) -> Vec<u8> {
    [KEY, &id_key(bucket.0), id.as_bytes()].concat()
}

/// Forgets what is kept of configurations that a bucket has not any more.
pub(super) fn forget_others(tx: &mut Tx<'_>, bucket: &Bucket) -> Result<()> {
    forget_but(tx, bucket.id, &configurations_of::<AnalyticsDocument>(bucket).unwrap_or_default())
}

fn forget_but(tx: &mut Tx<'_>, bucket: BucketId, but: &AnalyticsDocument) -> Result<()> {
    let lower = kept_key(bucket, "");
    let upper = [lower.as_slice(), &[0xff; 65]].concat();
    let mut gone = Vec::new();
    for found in tx.scan(Family::Sys, &lower, &upper)? {
        let key = found?.0;
        let id = key.get(lower.len()..).and_then(|id| str::from_utf8(id).ok());
        if !but.configurations.iter().any(|one| Some(one.id.as_str()) == id) {
            gone.push(key);
        }
    }
    gone.iter().for_each(|key| tx.delete(Family::Sys, key));
    Ok(())
}

/// Forgets a bucket that goes.
pub(super) fn forget(tx: &mut Tx<'_>, bucket: BucketId) -> Result<()> {
    forget_but(tx, bucket, &AnalyticsDocument::default())
}

impl Store {
    /// Reads which buckets have configurations, when the store is opened and when some were set.
    pub(super) fn load_analytics(&self) -> Result<()> {
        // Read under the lock: of two loads the later one has what is newer.
        let mut state = self.analyses.0.lock();
        let configured = self.buckets()?.into_iter().filter_map(|bucket| {
            let document = configurations_of::<AnalyticsDocument>(&bucket)?;
            Some((bucket.name.to_string(), (bucket.id, Arc::new(document))))
        });
        (state.configured, state.looked) = (configured.collect(), None);
        Ok(())
    }

    fn day_number(&self, at: Timestamp) -> i64 {
        Midnights::every(self.settings.day).day_of(at)
    }

    /// Days from the one that `object` was made on to that one.
    fn age_on(&self, object: &Object, day: i64) -> u32 {
        u32::try_from(day.saturating_sub(self.day_number(object.modified)).max(0)).unwrap_or(u32::MAX)
    }

    /// Notes that so many bytes of an object were read, whatever the door. Waits for nothing, and costs nothing where no bucket
    /// is analysed.
    pub fn observed(&self, place: impl FnOnce() -> Used, object: &Object, bytes: u64) {
        if self.analyses.0.lock().configured.is_empty() || self.is_read_only() {
            return;
        }
        // Whose name is not found any more is not observed.
        let Ok(Some((bucket, key))) = self.name_of(&place()) else { return };
        let (now, mut state) = (self.now(), self.analyses.0.lock());
        let Some((id, document)) = state.configured.get(&bucket).cloned() else { return };
        let (day, seen) = (self.day_number(now), Seen { read: bytes, requests: 1, ..Seen::default() });
        for one in document.configurations.iter().filter(|one| one.takes(&key, &object.tags)) {
            let reads = state.reads.entry((id, one.id.clone(), day)).or_default();
            reads.count(object, self.age_on(object, day), seen);
            state.since.get_or_insert(now);
        }
    }

    /// Bucket and key of what was used.
    fn name_of(&self, used: &Used) -> Result<Option<(String, String)>> {
        match used {
            Used::Key(bucket, key) => Ok(Some((bucket.clone(), key.as_str().to_owned()))),
            Used::At(dirs, component) => {
                let Some(dir): Option<&DirId> = dirs.first() else { return Ok(None) };
                let (bucket, prefix) = self.index.at_once(|read| Self::key_prefix(read, *dir))?;
                let bucket = self.bucket_by_id(bucket)?;
                Ok(Some((bucket.name.to_string(), prefix + component)))
            }
        }
    }

    /// Writes down reads that were counted.
    ///
    /// # Errors
    /// When the index takes no changes; they stay counted.
    pub(super) fn write_observed(&self) -> Result<()> {
        let reads = {
            let mut state = self.analyses.0.lock();
            state.since = None;
            std::mem::take(&mut state.reads)
        };
        if reads.is_empty() {
            return Ok(());
        }
        let done = self.commit(|tx| {
            for ((bucket, id, day), seen) in &reads {
                let key = kept_key(*bucket, id);
                // What began since, or was not begun yet, starts with the next midnight.
                if let Some(mut kept) = readable(tx.record::<Kept>(Family::Sys, &key))?
                    && *day >= kept.day
                {
                    *kept.reads.entry(*day).or_default() += *seen;
                    tx.put(Family::Sys, &key, &kept);
                }
            }
            Ok(())
        });
        if done.is_err() {
            let mut state = self.analyses.0.lock();
            state.since.get_or_insert(self.now());
            for (of, seen) in reads {
                *state.reads.entry(of).or_default() += seen;
            }
        }
        done.map(drop)
    }

    /// Goes on with what analysis has to do: begins with new configurations, looks at some keys of a bucket whose day ended.
    /// Whether there is more to do at once.
    ///
    /// # Errors
    /// When the index cannot be read or written; what was seen stays.
    pub fn analyse_some(self: &Arc<Self>) -> Result<bool> {
        let now = self.now();
        let (waits, walk) = {
            let mut state = self.analyses.0.lock();
            let late = |since: Timestamp| now.millis().saturating_sub(since.millis()) >= PATIENCE_MILLIS;
            (state.since.is_some_and(late), state.walk.take())
        };
        if waits {
            self.write_observed()?;
        }
        let walk = match walk {
            Some(walk) => Some(walk),
            None => self.next_walk(self.day_number(now))?,
        };
        let Some(walk) = walk else { return Ok(false) };
        self.walk_on(walk)?;
        Ok(true)
    }

    /// The next bucket that has a configuration whose day ended.
    fn next_walk(&self, today: i64) -> Result<Option<Walk>> {
        let configured: Vec<_> = {
            let state = self.analyses.0.lock();
            if state.configured.is_empty() || state.looked == Some(today) {
                return Ok(None);
            }
            state.configured.values().cloned().collect()
        };
        for (bucket, document) in configured {
            self.begin_analyses(bucket, &document, today)?;
            let mut sums = HashMap::new();
            for one in &document.configurations {
                if self.kept(bucket, &one.id)?.is_some_and(|kept| kept.day < today) {
                    sums.insert(one.id.clone(), SeenDay::default());
                }
            }
            if !sums.is_empty() {
                return Ok(Some(Walk { bucket, day: today.saturating_sub(1), after: None, sums }));
            }
        }
        self.analyses.0.lock().looked = Some(today);
        Ok(None)
    }

    fn kept(&self, bucket: BucketId, id: &str) -> Result<Option<Kept>> {
        readable(self.index.record(Family::Sys, &kept_key(bucket, id)))
    }

    /// Begins to observe for configurations that are new, or are about others than they were.
    fn begin_analyses(&self, bucket: BucketId, document: &AnalyticsDocument, today: i64) -> Result<()> {
        let mut new = Vec::new();
        for one in &document.configurations {
            if self.kept(bucket, &one.id)?.is_none_or(|kept| kept.filter != one.filter_text()) {
                new.push(one);
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        self.transact(|tx| {
            for one in &new {
                tx.put(Family::Sys, &kept_key(bucket, &one.id), &Kept::begin(one, today));
            }
            Ok(())
        })
    }

    /// Looks at some more keys; at the last, the day is over.
    fn walk_on(self: &Arc<Self>, mut walk: Walk) -> Result<()> {
        let bucket = match self.bucket_by_id(walk.bucket) {
            // It went meanwhile.
            Err(error) if error.kind() == Kind::NoSuchBucket => return self.load_analytics(),
            bucket => bucket?,
        };
        let Some(document) = configurations_of::<AnalyticsDocument>(&bucket) else { return Ok(()) };
        let request = ListRequest { after: walk.after.take(), limit: PAGE, ..ListRequest::default() };
        let page = self.list(bucket.name.as_str(), &request)?;
        for (key, object) in &page.objects {
            let made = self.day_number(object.modified);
            // What came since midnight is of today.
            if made > walk.day {
                continue;
            }
            let new = made == walk.day;
            let seen = Seen {
                objects: 1,
                stored: object.size,
                uploaded: if new { object.size } else { 0 },
                requests: u64::from(new),
                read: 0,
            };
            let age = self.age_on(object, walk.day);
            for one in document.configurations.iter().filter(|one| one.takes(key, &object.tags)) {
                if let Some(sum) = walk.sums.get_mut(&one.id) {
                    sum.count(object, age, seen);
                }
            }
        }
        walk.after = page.next;
        if walk.after.is_some() {
            self.analyses.0.lock().walk = Some(walk);
            return Ok(());
        }
        self.write_observed()?;
        for one in &document.configurations {
            if let Some(seen) = walk.sums.remove(&one.id) {
                self.end_day(&bucket, one, (walk.day, seen))?;
            }
        }
        Ok(())
    }

    /// A configuration's day is over: it is exported first, and kept then, so that no crash leaves it out.
    fn end_day(self: &Arc<Self>, bucket: &Bucket, one: &AnalyticsElement, (day, seen): (i64, SeenDay)) -> Result<()> {
        let threshold = u128::from(self.settings.sca_threshold_millis) * 1000;
        let Some(mut kept) = self.kept(bucket.id, &one.id)?.filter(|kept| kept.day <= day) else { return Ok(()) };
        kept.end(day, seen, threshold);
        let midnight = Midnights::every(self.settings.day).begin(day).unwrap_or(Timestamp::LAST);
        let (date, filter) = (decide::date(midnight), one.filter_text());
        let text = decide::csv(&Line { date: &date, id: &one.id, filter: &filter }, &kept.days, kept.told());
        if let Some((to, key)) = one.destination()
            && let Err(error) = self.export_analysis(to.as_str(), &key, &text)
        {
            if error.kind() == Kind::StoreUnavailable {
                return Err(error);
            }
            self.complain("analytics", Some(bucket.name.as_str()), &key, &error);
        }
        self.transact(|tx| {
            let there = readable(tx.record::<Kept>(Family::Sys, &kept_key(bucket.id, &one.id)))?;
            // Another configuration of its name has begun meanwhile.
            if there.is_some_and(|there| there.filter == kept.filter && there.day <= day) {
                tx.put(Family::Sys, &kept_key(bucket.id, &one.id), &kept);
            }
            Ok(())
        })
    }

    /// Appends the lines of a day to an export, once (SCA-9).
    fn export_analysis(self: &Arc<Self>, bucket: &str, key: &str, lines: &str) -> Result<()> {
        let key = ObjectKey::parse(key)?;
        let foreign = |why: &'static str| {
            Error::new(Kind::Conflict, format!("cannot append to {bucket}/{key}"))
                .why(why)
                .mend("move it away, or give the analytics configuration another prefix")
        };
        let mut text = match self.get(bucket, &key, None) {
            Ok(object) if object.size > EXPORT_BYTES_MAX => return Err(foreign("it has grown too long for that")),
            Ok(object) => {
                let content = self.open_content(&object)?;
                let mut bytes = vec![0; usize::try_from(content.size()).unwrap_or(0)];
                content.read_at(0, &mut bytes)?;
                bytes
            }
            Err(error) if matches!(error.kind(), Kind::NoSuchKey | Kind::IsMarker) => Vec::new(),
            Err(error) => return Err(error),
        };
        if text.is_empty() {
            text.extend_from_slice(decide::HEADER.as_bytes());
        }
        if !text.starts_with(decide::HEADER.as_bytes()) {
            return Err(foreign("it is no export of an analysis"));
        }
        // Whatever a second look at the day comes to: date and configuration are told once.
        let day: String = lines.splitn(3, ',').take(2).flat_map(|field| [field, ","]).collect();
        if text.split(|byte| *byte == b'\n').any(|line| line.starts_with(day.as_bytes())) {
            return Ok(());
        }
        text.extend_from_slice(lines.as_bytes());
        let mut metadata = Metadata::default();
        metadata.set_system(SystemHeader::ContentType, "text/csv")?;
        let options = PutOptions { metadata, ..PutOptions::default() };
        self.put(bucket, &key, &mut &text[..], &options).map(drop)
    }

    /// What a bucket's configurations have come to, by name; of that one only when one is named.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`]; [`Kind::NotSet`] where there is none, or none of that name.
    pub fn analyses(&self, bucket: &str, id: Option<&str>) -> Result<Vec<Analysis>> {
        let bucket = self.bucket(bucket)?;
        let document = configurations_of::<AnalyticsDocument>(&bucket).unwrap_or_default();
        let mut found = Vec::new();
        for one in document.configurations.iter().filter(|one| id.is_none_or(|id| id == one.id)) {
            let kept = self.kept(bucket.id, &one.id)?.filter(|kept| kept.filter == one.filter_text());
            let kept = kept.unwrap_or_else(|| Kept::begin(one, 0));
            let group = |age, of: &dyn Fn(&SeenDay) -> Seen| {
                let (stored, read, requests, ratio) = decide::came_to(&kept.days, of);
                AgeSeen { age, stored, read, requests, ratio }
            };
            let mut groups: Vec<_> =
                AGE_GROUPS.iter().enumerate().map(|(n, (_, age))| group(age, &|day| day.ages[n])).collect();
            groups.push(group("ALL", &|day| day.classes[crate::model::StorageClass::Standard]));
            let (observed, recommended) = kept.told();
            let (id, filter) = (one.id.clone(), one.filter_text());
            found.push(Analysis { id, filter, days: kept.count, groups, observed, recommended });
        }
        if found.is_empty() {
            let what = id.map_or_else(|| "analytics".to_owned(), |id| format!("analytics configuration {id:?}"));
            return Err(Error::new(Kind::NotSet, format!("the bucket's {what} is not set"))
                .mend(format!("set it with `keyfold bucket edit {} analytics`", bucket.name)));
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }
}
