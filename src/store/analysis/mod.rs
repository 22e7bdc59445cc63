//! Storage class analysis: objects are observed by age, and once a day it is told what `STANDARD_IA` would be for (SCA).
//!
//! Reads are counted in memory, some numbers a configuration, and written down now and then. After each midnight a bucket that
//! has configurations is walked, some keys at a time; what it holds by age and what was read make the day, which is kept with
//! those before it and exported. Deciding is `decide`'s.
//!
//! Locks: `state`, a leaf.

mod decide;
mod document;
mod export;
mod kept;

pub use decide::{AGE_GROUPS, EQUAL_DAYS, Seen, SeenDay, WINDOW_DAYS};
pub(super) use document::EXAMPLE;
pub use document::{
    AnalysisElement, AnalyticsDocument, AnalyticsElement, BucketElement, DestinationElement, ExportElement,
};
pub(super) use kept::{KEY, check_kept};

use super::Store;
use super::configurations::configurations_of;
use super::lifecycle::Midnights;
use super::list::ListRequest;
use super::names::{dir_record, readable};
use super::tiering::Used;
use crate::index::{Family, Read, Tx};
use crate::model::{Bucket, BucketId, DirId, Error, Kind, Object, Result, Timestamp};
use crate::sys::sync::Mutex;
use kept::{Kept, kept_key};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The document's name.
pub(super) const DOCUMENT: &str = "analytics";
/// Keys that one step looks at.
const PAGE: usize = 1000;
/// Configurations that one step ends a day of.
const STEP: usize = 32;
/// How long reads wait to be written down, in milliseconds: that writes down the days of a configuration as well.
const PATIENCE_MILLIS: i64 = 60_000;

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
    /// By configuration, until its day is ended.
    sums: BTreeMap<String, SeenDay>,
    /// Whether all keys were looked at.
    done: bool,
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
    exports: export::Exports,
}

/// What is observed in this process.
#[derive(Default)]
pub(super) struct Analyses(Mutex<State>);

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
        let State { configured, exports, .. } = &mut *state;
        for (bucket, document) in configured.values() {
            exports.may_owe(*bucket, document);
        }
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
        let Ok(Some((bucket, key))) = self.observed_name(&place()) else { return };
        let (now, mut state) = (self.now(), self.analyses.0.lock());
        let Some((id, document)) = state.configured.get(&bucket).cloned() else { return };
        let (day, seen) = (self.day_number(now), Seen { read: bytes, requests: 1, ..Seen::default() });
        for one in document.configurations.iter().filter(|one| one.takes(&key, &object.tags)) {
            let reads = state.reads.entry((id, one.id.clone(), day)).or_default();
            reads.count(object, self.age_on(object, day), seen);
            state.since.get_or_insert(now);
        }
    }

    /// Bucket and key of what was used, in a bucket that is analysed.
    fn observed_name(&self, used: &Used) -> Result<Option<(String, String)>> {
        match used {
            Used::Key(bucket, key) => Ok(Some((bucket.clone(), key.as_str().to_owned()))),
            Used::At(dirs, component) => {
                let Some(dir): Option<&DirId> = dirs.first() else { return Ok(None) };
                let id = dir_record(&self.index, *dir)?.bucket;
                if !self.analyses.0.lock().configured.values().any(|(configured, _)| *configured == id) {
                    return Ok(None);
                }
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

    /// Goes on with what analysis has to do: exports, begins with new configurations, looks at some keys of a bucket whose day
    /// ended. Whether there is more to do at once.
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
        if walk.is_none() && self.export_some()? {
            return Ok(true);
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
            let mut sums = BTreeMap::new();
            for one in &document.configurations {
                if self.kept(bucket, &one.id)?.is_some_and(|kept| kept.day < today) {
                    sums.insert(one.id.clone(), SeenDay::default());
                }
            }
            if !sums.is_empty() {
                return Ok(Some(Walk { bucket, day: today.saturating_sub(1), after: None, sums, done: false }));
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
        if walk.done {
            return self.end_some(&bucket, &document, walk);
        }
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
        walk.done = walk.after.is_none();
        if walk.done {
            self.write_observed()?;
        }
        self.analyses.0.lock().walk = Some(walk);
        Ok(())
    }

    /// The day is over for some more configurations of a bucket. It is kept first and exported then, as often as it takes.
    fn end_some(&self, bucket: &Bucket, document: &AnalyticsDocument, mut walk: Walk) -> Result<()> {
        let threshold = u128::from(self.settings.sca_threshold_millis) * 1000;
        let mut some = Vec::new();
        while some.len() < STEP
            && let Some(sum) = walk.sums.pop_first()
        {
            some.push(sum);
        }
        let of = |id: &str| document.configurations.iter().find(|one| one.id == id);
        let ended: Vec<_> = some.into_iter().filter_map(|(id, seen)| Some((of(&id)?, seen))).collect();
        self.transact(|tx| {
            for (one, seen) in &ended {
                let key = kept_key(bucket.id, &one.id);
                // Another configuration of its name may have begun meanwhile.
                let kept = readable(tx.record::<Kept>(Family::Sys, &key))?;
                if let Some(mut kept) = kept.filter(|kept| kept.filter == one.filter_text() && kept.day <= walk.day) {
                    kept.end(walk.day, *seen, threshold);
                    kept.owed = one.destination().is_some();
                    tx.put(Family::Sys, &key, &kept);
                }
            }
            Ok(())
        })?;
        let mut state = self.analyses.0.lock();
        for (one, _) in ended {
            state.exports.owe(bucket.id, &one.id);
        }
        state.walk = Some(walk).filter(|walk| !walk.sums.is_empty());
        Ok(())
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
