//! What is known of passes: in memory, and in the index for the next process.

use super::super::Store;
use super::pass::{LifecyclePass, LifecycleTally};
use super::{DOCUMENT, Deed};
use crate::index::{Family, Index, Read, Record, Tx, id_key};
use crate::model::{Bucket, BucketId, Error, Kind, Result, Timestamp};
use crate::sys::sync::atomic::Ordering;
use serde::{Deserialize, Serialize};

const KEY: &[u8] = b"lifecycle";
/// After how many entries judged, or deeds, a pass that goes on is kept: what comes after is judged another time.
const KEEP: u64 = 100_000;
const KEEP_DEEDS: u64 = 1000;

/// What is kept in the index.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// The pass in the background.
    pass: Option<LifecyclePass>,
    /// The pass that ended last.
    last: Option<Ended>,
    /// Whole passes over a bucket so far.
    passes: u64,
    /// What all of them did.
    total: LifecycleTally,
}

impl Record for Kept {
    const NAME: &'static str = "lifecycle";
}

/// A pass that came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Ended {
    begun: Timestamp,
    ended: Timestamp,
    tally: LifecycleTally,
}

/// When a bucket was gone through last, and by which rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Judged {
    now: Timestamp,
    mark: [u8; 32],
}

impl Record for Judged {
    const NAME: &'static str = "lifecycle of a bucket";
}

fn bucket_key(bucket: BucketId) -> Vec<u8> {
    [KEY, b"/", &id_key(bucket.0)].concat()
}

/// Forgets a bucket that goes.
pub(in super::super) fn forget(tx: &mut Tx<'_>, bucket: BucketId) -> Result<()> {
    if tx.get(Family::Sys, &bucket_key(bucket))?.is_some() {
        tx.delete(Family::Sys, &bucket_key(bucket));
    }
    Ok(())
}

#[derive(Default)]
pub(super) struct State {
    kept: Kept,
    /// What the pass had come to when it was last written.
    written: Option<LifecycleTally>,
    /// The day, and the changes of rules, for which buckets were looked up.
    looked_up: Option<(i64, u64)>,
    /// Those that are to be gone through then: the last first.
    due: Vec<BucketId>,
}

impl State {
    pub(super) fn read(index: &Index) -> Self {
        let kept = index.record(Family::Sys, KEY).unwrap_or_else(|error| {
            tracing::warn!(%error, "what lifecycle rules did is not known any more");
            None
        });
        Self { kept: kept.unwrap_or_default(), ..Self::default() }
    }
}

/// What whoever paces the background needs to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LifecycleTurn {
    /// A step is due.
    Due,
    /// Nothing is before this instant, or before rules are set.
    Until(Timestamp),
}

/// How the obeying of rules stands, as `status` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct LifecycleStatus {
    /// `off`, `idle` or `in progress`.
    pub state: &'static str,
    /// The bucket that is gone through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// When the next pass is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// When the last pass over a bucket began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_started: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_finished: Option<String>,
    /// What it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LifecycleTally>,
    /// Whole passes over buckets so far.
    pub passes: u64,
    /// What all of them did.
    pub total: LifecycleTally,
}

impl Store {
    /// Whether rules are obeyed in the background.
    #[must_use]
    pub fn obeys_rules(&self) -> bool {
        self.settings.lifecycle_rate > 0 && self.writable().is_ok()
    }

    /// What the background has to know.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn lifecycle_turn(&self) -> Result<LifecycleTurn> {
        let now = self.now();
        if self.rulebook.state.lock().kept.pass.is_some() {
            return Ok(LifecycleTurn::Due);
        }
        match self.next_pass(now)? {
            Some(pass) => {
                self.rulebook.state.lock().kept.pass = Some(pass);
                Ok(LifecycleTurn::Due)
            }
            None => Ok(LifecycleTurn::Until(self.next_midnight(now))),
        }
    }

    fn next_midnight(&self, now: Timestamp) -> Timestamp {
        self.midnights().after(now, 0).unwrap_or(Timestamp::LAST)
    }

    /// A pass over the bucket that was not gone through today, or not by its rules, for the longest time.
    fn next_pass(&self, now: Timestamp) -> Result<Option<LifecyclePass>> {
        let at = (self.midnights().day_of(now), self.rulebook.changes.load(Ordering::SeqCst));
        if self.rulebook.state.lock().looked_up != Some(at) {
            let mut due = Vec::new();
            for bucket in self.buckets()?.into_iter().filter(|bucket| bucket.documents.contains_key(DOCUMENT)) {
                if self.pass_due(&bucket, now)?.is_some() {
                    due.push((self.judged(bucket.id)?.map(|judged| judged.now), bucket.id));
                }
            }
            due.sort_by_key(|(last, _)| std::cmp::Reverse(*last));
            let mut state = self.rulebook.state.lock();
            (state.looked_up, state.due) = (Some(at), due.into_iter().map(|(_, bucket)| bucket).collect());
        }
        loop {
            let next = self.rulebook.state.lock().due.pop();
            let Some(bucket) = next else { return Ok(None) };
            let pass = match self.bucket_by_id(bucket) {
                Err(error) if error.kind() == Kind::NoSuchBucket => None,
                bucket => self.pass_due(&bucket?, now)?,
            };
            if pass.is_some() {
                return Ok(pass);
            }
        }
    }

    /// A pass over a bucket, if one is due.
    fn pass_due(&self, bucket: &Bucket, now: Timestamp) -> Result<Option<LifecyclePass>> {
        let pass = match self.new_lifecycle_pass(bucket, now) {
            Ok(pass) => pass,
            // An older release, or somebody's hand, has set what is none.
            Err(error) => {
                tracing::warn!(bucket = bucket.name.as_str(), %error, "the bucket's rules are not obeyed");
                return Ok(None);
            }
        };
        let (judged, days) = (self.judged(bucket.id)?, self.midnights());
        let is_today = |judged: &Judged| days.day_of(judged.now) == days.day_of(now);
        Ok(pass.filter(|pass| !judged.is_some_and(|judged| judged.mark == pass.mark() && is_today(&judged))))
    }

    fn judged(&self, bucket: BucketId) -> Result<Option<Judged>> {
        match self.index.record(Family::Sys, &bucket_key(bucket)) {
            Err(error) if error.kind() == Kind::Corrupt => Ok(None),
            judged => judged,
        }
    }

    /// Goes on with the pass in the background by about `budget` entries, or begins one. Returns what it cost.
    ///
    /// # Errors
    /// When the index cannot be read or takes no changes; the pass is as it was.
    pub fn obey_in_background(&self, budget: u64) -> Result<u64> {
        let now = self.now();
        let going = self.rulebook.state.lock().kept.pass.clone();
        // One of yesterday comes to its end, as what is behind it would never have its turn otherwise; one of a clock that was
        // set back does not.
        let going = going.filter(|pass| pass.now() <= now);
        let Some(mut pass) = going.map_or_else(|| self.next_pass(now), |pass| Ok(Some(pass)))? else {
            self.rulebook.state.lock().kept.pass = None;
            return Ok(0);
        };
        let cost = match self.step_lifecycle(&mut pass, budget, false, &mut |_: Deed| Ok(())) {
            // Others have their turn all the same.
            Err(error) if error.kind() == Kind::Corrupt => {
                self.complain("lifecycle", None, &pass.bucket().to_string(), &error);
                pass.give_up();
                1
            }
            cost => cost?,
        };
        if pass.is_over() {
            self.end_pass(&pass)?;
        } else {
            self.rulebook.state.lock().kept.pass = Some(pass);
            self.keep_lifecycle(false)?;
        }
        Ok(cost)
    }

    /// A pass has come to its end: its bucket is gone through for that day.
    ///
    /// # Errors
    /// When the store takes no changes.
    pub fn end_pass(&self, pass: &LifecyclePass) -> Result<()> {
        let kept = {
            let mut state = self.rulebook.state.lock();
            let kept = &mut state.kept;
            kept.pass.take_if(|going| going.bucket() == pass.bucket());
            kept.passes = kept.passes.saturating_add(1);
            kept.total.add(pass.tally());
            kept.last = Some(Ended { begun: pass.begun(), ended: self.now(), tally: *pass.tally() });
            let kept = kept.clone();
            state.written = None;
            kept
        };
        self.transact(|tx| {
            let bucket = super::super::bucket::read_bucket(tx, pass.bucket());
            if bucket.is_ok() {
                let judged = Judged { now: pass.now(), mark: pass.mark() };
                tx.put(Family::Sys, &bucket_key(pass.bucket()), &judged);
            }
            tx.put(Family::Sys, KEY, &kept);
            Ok(())
        })
    }

    /// Keeps in the index how far the pass in the background has come: now, or when it is time to.
    ///
    /// # Errors
    /// When the store takes no changes; one that is read-only keeps nothing, which is no error.
    pub fn keep_lifecycle(&self, now: bool) -> Result<()> {
        if self.writable().is_err() {
            return Ok(());
        }
        let kept = {
            let mut state = self.rulebook.state.lock();
            let Some(tally) = state.kept.pass.as_ref().map(|pass| *pass.tally()) else { return Ok(()) };
            let written = state.written.unwrap_or_default();
            let is_due = tally.judged.saturating_sub(written.judged) >= KEEP
                || tally.deeds().saturating_sub(written.deeds()) >= KEEP_DEEDS;
            if !now && !is_due {
                return Ok(());
            }
            state.written = Some(tally);
            state.kept.clone()
        };
        self.transact(|tx| {
            tx.put(Family::Sys, KEY, &kept);
            Ok(())
        })
    }

    /// How the obeying of rules stands.
    #[must_use]
    pub fn lifecycle_status(&self) -> LifecycleStatus {
        let kept = self.rulebook.state.lock().kept.clone();
        let (pass, last) = (kept.pass.as_ref(), kept.last.as_ref());
        let runs = self.obeys_rules();
        let bucket = pass.and_then(|pass| self.bucket_by_id(pass.bucket()).ok());
        LifecycleStatus {
            state: match (runs, pass) {
                (false, _) => "off",
                (true, Some(_)) => "in progress",
                (true, None) => "idle",
            },
            bucket: bucket.map(|bucket| bucket.name.to_string()),
            next: (runs && pass.is_none()).then(|| self.next_midnight(self.now()).rfc3339()),
            last_started: last.map(|last| last.begun.rfc3339()),
            last_finished: last.map(|last| last.ended.rfc3339()),
            last: last.map(|last| last.tally),
            passes: kept.passes,
            total: kept.total,
        }
    }

    /// The refusal to judge by a time that has not come.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] when `now` is later than the store's clock.
    pub fn has_come(&self, now: Timestamp) -> Result<()> {
        if now <= self.now() {
            return Ok(());
        }
        Err(Error::new(Kind::InvalidArgument, format!("cannot carry out rules as of {now}"))
            .why("that time has not come, and rules do nothing early")
            .mend("add --dry-run to see what would be done then, or use `keyfold lifecycle preview`"))
    }
}
