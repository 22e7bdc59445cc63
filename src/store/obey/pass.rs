//! A pass over a bucket: judges everything in it as of one instant, step by step, and has done what is due.

use super::super::Store;
use super::super::bucket::read_bucket;
use super::super::lifecycle::{Action, BucketState, Lifecycle, Version};
use super::super::list::after_group;
use super::super::multipart::{ListUploads, Upload};
use super::act::Found;
use super::walk::{Seen, Step};
use super::{Position, placed};
use crate::index::next_name;
use crate::model::{Bucket, BucketId, Kind, Object, Result, Seq, StorageClass, Timestamp, UploadId, VersionId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Entries that are acted on before the walk goes on: each key's are one transaction.
const TOGETHER: usize = 256;

/// After how many entries it is asked whether the process is to end.
const LOOK_UP: u64 = 4096;

/// Where a pass goes on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum At {
    /// With this key, of it with what lies below that place.
    Key(String, Option<Seq>),
    /// With uploads behind this one.
    Upload(Option<(String, UploadId)>),
    /// Nowhere.
    Over,
}

/// How much was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LifecycleTally {
    /// Versions, markers and uploads that were judged.
    pub judged: u64,
    /// Versions that went for good.
    pub deleted: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Delete markers that were made.
    pub marked: u64,
    /// Delete markers that went.
    pub unmarked: u64,
    /// Versions that were moved to another class.
    pub moved: u64,
    /// Their bytes.
    pub moved_bytes: u64,
    /// Uploads that were given up.
    pub aborted: u64,
    /// What could not be done.
    pub failed: u64,
}

impl LifecycleTally {
    /// Counts one more.
    pub fn count(&mut self, deed: &Deed) {
        let (count, bytes) = match deed.action {
            Action::Delete if deed.marker => (&mut self.unmarked, None),
            Action::Delete => (&mut self.deleted, Some(&mut self.deleted_bytes)),
            Action::Replace => {
                self.deleted = self.deleted.saturating_add(1);
                (&mut self.marked, Some(&mut self.deleted_bytes))
            }
            Action::Mark => (&mut self.marked, None),
            Action::Transition(_) => (&mut self.moved, Some(&mut self.moved_bytes)),
            Action::Abort => (&mut self.aborted, None),
        };
        *count = count.saturating_add(1);
        if let Some(bytes) = bytes {
            *bytes = bytes.saturating_add(deed.bytes);
        }
    }

    /// How many deeds that are.
    #[must_use]
    pub const fn deeds(&self) -> u64 {
        self.deleted
            .saturating_add(self.marked)
            .saturating_add(self.unmarked)
            .saturating_add(self.moved)
            .saturating_add(self.aborted)
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.judged, other.judged),
            (&mut self.deleted, other.deleted),
            (&mut self.deleted_bytes, other.deleted_bytes),
            (&mut self.marked, other.marked),
            (&mut self.unmarked, other.unmarked),
            (&mut self.moved, other.moved),
            (&mut self.moved_bytes, other.moved_bytes),
            (&mut self.aborted, other.aborted),
            (&mut self.failed, other.failed),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// What was done to one version, marker or upload, or would be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deed {
    /// Its key.
    pub key: String,
    /// Its id; `None` for an upload.
    pub version: Option<VersionId>,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// What is done.
    pub action: Action,
    /// Since when it is due.
    pub due: Timestamp,
    /// The rule's ID.
    pub rule: String,
    /// Its length in bytes; of an upload none.
    pub bytes: u64,
    /// Its storage class before.
    pub class: StorageClass,
}

/// A pass. What it was to do and has not is still due, so it may be forgotten at any time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LifecyclePass {
    bucket: BucketId,
    /// The instant by which it judges: what was written later is left alone (LC-38).
    now: Timestamp,
    begun: Timestamp,
    /// Of the rules that it began with.
    mark: [u8; 32],
    at: At,
    tally: LifecycleTally,
}

impl LifecyclePass {
    /// Whether it has come to its end.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.at, At::Over)
    }

    /// What it has done.
    #[must_use]
    pub const fn tally(&self) -> &LifecycleTally {
        &self.tally
    }

    /// It ends before its end.
    pub(super) fn give_up(&mut self) {
        self.at = At::Over;
        self.tally.failed = self.tally.failed.saturating_add(1);
    }

    pub(super) const fn bucket(&self) -> BucketId {
        self.bucket
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) const fn begun(&self) -> Timestamp {
        self.begun
    }

    pub(super) const fn mark(&self) -> [u8; 32] {
        self.mark
    }
}

/// Of one key, what is due.
struct Candidate {
    key: String,
    places: Vec<Seq>,
}

/// Looks at a key's entries one by one, newest first, however many there are.
struct Judge<'a> {
    rules: &'a Lifecycle,
    bucket: BucketState,
    now: Timestamp,
    /// Of this key what lies below that place is judged.
    from: (&'a str, Option<Seq>),
    /// The newest entry, until it is known whether it is alone.
    newest: Option<Object>,
    nth: usize,
    newer: u64,
    covered: Timestamp,
    /// Somebody makes the name: nothing of it is touched.
    busy: bool,
    due: Vec<Seq>,
    judged: u64,
}

impl Judge<'_> {
    fn see(&mut self, key: &str, seen: Seen) {
        match seen {
            Seen::Draft => self.busy = true,
            Seen::Top(object) | Seen::Older(object) => {
                self.judge_newest(key, false);
                if self.nth == 0 {
                    self.covered = object.since;
                    self.newest = Some(object);
                } else {
                    let at = Position { newest: false, alone: false, newer: self.newer, covered: self.covered };
                    self.judge(key, &object, at);
                    self.covered = object.since;
                    self.newer += u64::from(!object.marker);
                }
                self.nth += 1;
            }
            Seen::End => self.judge_newest(key, true),
        }
    }

    fn judge_newest(&mut self, key: &str, alone: bool) {
        if let Some(object) = self.newest.take() {
            self.judge(key, &object, Position { newest: true, alone, newer: 0, covered: self.covered });
        }
    }

    fn judge(&mut self, key: &str, object: &Object, at: Position) {
        self.judged += 1;
        let begins = self.from.0 == key;
        if self.busy || (begins && self.from.1.is_some_and(|below| at.newest || object.seq >= below)) {
            return;
        }
        let version: Version<'_> = placed(key, object, at);
        if self.rules.due(self.bucket, &version, self.now).is_some() {
            self.due.push(object.seq);
        }
    }

    fn next_key(&mut self) -> Vec<Seq> {
        (self.nth, self.newer, self.busy) = (0, 0, false);
        std::mem::take(&mut self.due)
    }
}

impl Store {
    /// Begins a pass over a bucket, as of `now`; `None` when it has no rules.
    ///
    /// # Errors
    /// As [`Store::lifecycle`].
    pub fn new_lifecycle_pass(&self, bucket: &Bucket, now: Timestamp) -> Result<Option<LifecyclePass>> {
        let Some(rules) = self.rules_of(bucket)? else { return Ok(None) };
        let (at, tally) = (At::Key(String::new(), None), LifecycleTally::default());
        Ok(Some(LifecyclePass { bucket: bucket.id, now, begun: self.now(), mark: rules.mark, at, tally }))
    }

    /// Goes on with a pass by about `budget` entries. `told` hears of what was done, and with `only_say` of what is due, to
    /// which nothing is done then. Returns what the step cost: an entry judged counts one, one acted on many.
    ///
    /// # Errors
    /// When the index cannot be read or takes no changes; the pass is as it was, or a little further.
    pub fn step_lifecycle(
        &self,
        pass: &mut LifecyclePass,
        budget: u64,
        only_say: bool,
        told: &mut dyn FnMut(Deed) -> Result<()>,
    ) -> Result<u64> {
        const ACT: u64 = 64;
        let bucket = match read_bucket(&self.index, pass.bucket) {
            Err(error) if error.kind() == Kind::NoSuchBucket => {
                pass.at = At::Over;
                return Ok(1);
            }
            bucket => bucket?,
        };
        let Some(rules) = self.lifecycle(&bucket)? else {
            pass.at = At::Over;
            return Ok(1);
        };
        let judged = pass.tally.judged;
        let mut acts = 0;
        match pass.at.clone() {
            At::Over => {}
            At::Key(from, below) => {
                let (candidates, next) = self.candidates(&bucket, &rules, pass, (&from, below), budget)?;
                for Candidate { key, places } in candidates {
                    let found = Found { bucket: bucket.id, key: &key, places };
                    let deeds =
                        if only_say { self.would_do(&found, pass.now) } else { self.do_what_is_due(&found, pass.now) };
                    for deed in self.unless_refused(&bucket, &key, pass, deeds)? {
                        acts += 1;
                        pass.tally.count(&deed);
                        told(deed)?;
                    }
                }
                pass.at = next;
            }
            At::Upload(after) => {
                let (uploads, next) = self.uploads_due(&bucket, &rules, pass, after, budget)?;
                for upload in uploads {
                    let deed = self.end_upload(bucket.id, upload.id, pass.now, only_say);
                    let deeds = deed.map(|deed| deed.into_iter().collect());
                    for deed in self.unless_refused(&bucket, &upload.key, pass, deeds)? {
                        acts += 1;
                        pass.tally.count(&deed);
                        told(deed)?;
                    }
                }
                pass.at = next;
            }
        }
        Ok(1 + pass.tally.judged.saturating_sub(judged).saturating_add(acts * ACT))
    }

    /// Uploads behind `after` that are to be given up, and where to go on.
    fn uploads_due(
        &self,
        bucket: &Bucket,
        rules: &Lifecycle,
        pass: &mut LifecyclePass,
        mut after: Option<(String, UploadId)>,
        budget: u64,
    ) -> Result<(Vec<Upload>, At)> {
        let mut due = Vec::new();
        let mut left = usize::try_from(budget).unwrap_or(usize::MAX).max(1);
        for prefix in rules.prefixes_of_uploads() {
            loop {
                let marker = after.as_ref().filter(|(key, _)| key.starts_with(prefix));
                if marker.is_none() && after.as_ref().is_some_and(|(key, _)| key.as_str() > prefix) {
                    break;
                }
                let request = ListUploads {
                    prefix: prefix.to_owned(),
                    key_marker: marker.map(|(key, _)| key.clone()),
                    upload_marker: marker.map(|(_, upload)| *upload),
                    limit: left,
                    ..ListUploads::default()
                };
                let page = self.list_uploads(bucket.name.as_str(), &request)?;
                let Some(last) = page.uploads.last() else { break };
                after = Some((last.key.clone(), last.id));
                left = left.saturating_sub(page.uploads.len());
                pass.tally.judged = pass.tally.judged.saturating_add(page.uploads.len() as u64);
                let state = BucketState::of(bucket);
                let is_due = |upload: &Upload| {
                    rules.upload(state, &upload.key, upload.initiated).is_some_and(|due| due.at <= pass.now)
                };
                due.extend(page.uploads.into_iter().filter(is_due));
                if left == 0 {
                    return Ok((due, At::Upload(after)));
                }
            }
        }
        Ok((due, At::Over))
    }

    /// What cannot be done to one key is told of, and done to others all the same.
    fn unless_refused(
        &self,
        bucket: &Bucket,
        key: &str,
        pass: &mut LifecyclePass,
        done: Result<Vec<Deed>>,
    ) -> Result<Vec<Deed>> {
        let of_the_store = [Kind::Io, Kind::ReadOnly, Kind::StoreUnavailable, Kind::Full];
        match done {
            Err(error) if !of_the_store.contains(&error.kind()) => {
                pass.tally.failed = pass.tally.failed.saturating_add(1);
                self.complain("lifecycle", Some(bucket.name.as_str()), key, &error);
                Ok(Vec::new())
            }
            done => done,
        }
    }

    /// What is due from a place on, and where to go on.
    fn candidates(
        &self,
        bucket: &Bucket,
        rules: &Arc<Lifecycle>,
        pass: &mut LifecyclePass,
        from: (&str, Option<Seq>),
        budget: u64,
    ) -> Result<(Vec<Candidate>, At)> {
        let mut candidates: Vec<Candidate> = Vec::new();
        let prefixes = rules.prefixes();
        let Some(prefix) = prefixes.iter().find(|prefix| from.0 <= **prefix || from.0.starts_with(**prefix)) else {
            return Ok((candidates, At::Upload(None)));
        };
        let begin = if from.0 < *prefix { (*prefix, None) } else { from };
        let mut judge = Judge {
            rules,
            bucket: BucketState::of(bucket),
            now: pass.now,
            from: begin,
            newest: None,
            nth: 0,
            newer: 0,
            covered: pass.now,
            busy: false,
            due: Vec::new(),
            judged: 0,
        };
        let (mut next, mut together, mut seen) = (None, 0, 0u64);
        let view = self.index.frozen();
        let mut visit = |key: &str, entry: Seen| -> Result<Step> {
            if !key.starts_with(prefix) {
                return Ok(if key > *prefix { Step::Stop } else { Step::On });
            }
            seen += 1;
            // A history may be longer than anybody waits who ends the process.
            if seen.is_multiple_of(LOOK_UP) {
                self.checks_go_on("a pass of lifecycle rules")?;
            }
            let is_end = matches!(entry, Seen::End);
            judge.see(key, entry);
            let full = together + judge.due.len() >= TOGETHER;
            if !is_end && !full {
                return Ok(Step::On);
            }
            // In the middle of a key, what lies below the last that is due is seen another time.
            let below = judge.due.last().copied().filter(|_| !is_end);
            let places = judge.next_key();
            together += places.len();
            if !places.is_empty() {
                candidates.push(Candidate { key: key.to_owned(), places });
            }
            if full || seen >= budget {
                next = Some(match below {
                    None => At::Key(next_name(key), None),
                    below => At::Key(key.to_owned(), below),
                });
                return Ok(Step::Stop);
            }
            Ok(Step::On)
        };
        self.walk_stacks(&view, bucket.root, begin.0, &mut visit)?;
        pass.tally.judged = pass.tally.judged.saturating_add(judge.judged);
        // Behind all that begins with the prefix.
        let next = next.or_else(|| after_group(prefix).filter(|_| !prefix.is_empty()).map(|from| At::Key(from, None)));
        Ok((candidates, next.unwrap_or(At::Upload(None))))
    }
}
