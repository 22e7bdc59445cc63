//! What rules will do: calendars of buckets, what they have in mind for one version, and the headers that tell of it.

use super::super::Store;
use super::super::find::{Part, versions_in};
use super::super::lifecycle::{Action, BucketState, Lifecycle, LifecycleDocument, Verdict, Version, settle};
use super::super::names::history_place_in;
use super::walk::{Seen, Step};
use super::{DOCUMENT, Position, placed};
use crate::index::next_name;
use crate::model::{Bucket, Error, Kind, Object, ObjectKey, Result, Timestamp, VersionId};

/// Keys of which a calendar is made before whoever asked hears of them.
const KEYS_TOGETHER: usize = 512;

/// Days that a calendar goes on without another end.
const DAYS: u32 = 366;

/// One thing that a rule will do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// When.
    pub at: Timestamp,
    /// To which key.
    pub key: String,
    /// To which version or marker; `None` for a marker that does not exist yet and for uploads.
    pub version: Option<VersionId>,
    /// What.
    pub action: Action,
    /// The rule's ID.
    pub rule: String,
    /// The version's length in bytes.
    pub bytes: u64,
}

/// What rules have in mind for one version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outlook {
    /// The version or marker.
    pub object: Object,
    /// Whether it is the newest of its key.
    pub newest: bool,
    /// What comes next, since when it is or will be due, and by which rule.
    pub next: Option<(Action, Timestamp, String)>,
    /// What each rule says, in order.
    pub reasons: Vec<Reason>,
}

/// What one rule says of a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    /// The rule's ID.
    pub rule: String,
    /// What it does, and when, or why not.
    pub verdict: Verdict,
}

/// A key's stack, and as much as rules are told of it.
struct Stacked {
    key: String,
    objects: Vec<Object>,
}

impl Stacked {
    fn versions(&self) -> Vec<Version<'_>> {
        let mut covered = Timestamp::default();
        let mut versions: Vec<_> = (0..)
            .zip(&self.objects)
            .map(|(nth, object)| {
                let at = Position { newest: nth == 0, alone: false, newer: 0, covered };
                covered = object.since;
                placed(&self.key, object, at)
            })
            .collect();
        settle(versions.iter_mut());
        versions
    }
}

impl Store {
    /// Where a calendar ends that nobody gave another end.
    #[must_use]
    pub fn preview_end(&self) -> Timestamp {
        self.now().plus(self.settings.day.saturating_mul(DAYS))
    }

    /// What the rules of a bucket do until `until` to what is in it now, if nobody else touches it: by keys, and of one key
    /// in the order of time. Then the uploads. Touches nothing. Ends after about `most` keys, and says whether that was all.
    ///
    /// # Errors
    /// [`Kind::NotSet`] for a bucket without rules; what `told` says.
    pub fn preview_lifecycle(
        &self,
        bucket: &str,
        until: Timestamp,
        most: usize,
        told: &mut dyn FnMut(Planned) -> Result<()>,
    ) -> Result<bool> {
        let (bucket, now) = (self.bucket(bucket)?, self.now());
        let Some(rules) = self.lifecycle(&bucket)? else { return Err(no_rules(&bucket)) };
        let mut left = most;
        for prefix in rules.prefixes() {
            let mut from = Some(prefix.to_owned());
            while let Some(begin) = from.take() {
                if left == 0 {
                    return Ok(false);
                }
                let stacks = self.stacks_from(&bucket, prefix, &begin)?;
                left = left.saturating_sub(stacks.len());
                if stacks.len() == KEYS_TOGETHER {
                    from = stacks.last().map(|stack| next_name(&stack.key));
                }
                for stack in stacks {
                    planned(&rules, &bucket, &stack, (now, until)).into_iter().try_for_each(&mut *told)?;
                }
            }
        }
        let state = BucketState::of(&bucket);
        for upload in self.uploads(bucket.name.as_str())? {
            let due = rules.upload(state, &upload.key, upload.initiated);
            if let Some(due) = due.filter(|due| due.at <= until) {
                let (at, rule) = (due.at.max(now), due.rule.to_owned());
                told(Planned { at, key: upload.key, version: None, action: due.action, rule, bytes: 0 })?;
            }
        }
        Ok(true)
    }

    /// Keys from a place on with all that is kept under them.
    fn stacks_from(&self, bucket: &Bucket, prefix: &str, from: &str) -> Result<Vec<Stacked>> {
        let view = self.index.frozen();
        let (mut stacks, mut objects, mut busy) = (Vec::new(), Vec::new(), false);
        let mut visit = |key: &str, seen: Seen| -> Result<Step> {
            if !key.starts_with(prefix) {
                return Ok(if key > prefix { Step::Stop } else { Step::On });
            }
            match seen {
                Seen::Draft => busy = true,
                Seen::Top(object) | Seen::Older(object) => objects.push(object),
                Seen::End => {
                    let objects = std::mem::take(&mut objects);
                    if !std::mem::take(&mut busy) && !objects.is_empty() {
                        stacks.push(Stacked { key: key.to_owned(), objects });
                    }
                    if stacks.len() == KEYS_TOGETHER {
                        return Ok(Step::Stop);
                    }
                }
            }
            Ok(Step::On)
        };
        self.walk_stacks(&view, bucket.root, from, &mut visit)?;
        Ok(stacks)
    }

    /// What the rules of its bucket have in mind for a version, the newest without one.
    ///
    /// # Errors
    /// [`Kind::NotSet`] for a bucket without rules, [`Kind::NoSuchKey`], [`Kind::NoSuchVersion`].
    pub fn explain_lifecycle(&self, bucket: &str, key: &ObjectKey, version: Option<VersionId>) -> Result<Outlook> {
        let (bucket, now) = (self.bucket(bucket)?, self.now());
        let Some(rules) = self.lifecycle(&bucket)? else { return Err(no_rules(&bucket)) };
        let text = bucket.documents.get(DOCUMENT).map(String::as_str).unwrap_or_default();
        let document = LifecycleDocument::parse(text.as_bytes())?;
        let (.., objects) = self.history_of(bucket.name.as_str(), key)?;
        let stack = Stacked { key: key.as_str().to_owned(), objects };
        let is_it = |object: &Object| version.is_none_or(|version| object.version == version);
        let Some(nth) = stack.objects.iter().position(is_it) else {
            return Err(match version {
                Some(version) => Self::no_version(version),
                None => Error::new(Kind::NoSuchKey, format!("cannot find {key}")).why("no object has that key"),
            });
        };
        let (versions, state) = (stack.versions(), BucketState::of(&bucket));
        let next = rules.next(state, &versions[nth], now).map(|due| (due.action, due.at, due.rule.to_owned()));
        let reasons = document.explain(state, &versions[nth], self.settings.day)?;
        let reasons = reasons.into_iter().map(|(rule, verdict)| Reason { rule, verdict }).collect();
        Ok(Outlook { object: stack.objects[nth].clone(), newest: nth == 0, next, reasons })
    }

    /// `x-amz-expiration` of a key's current version; `None` where no rule ends it (LC-27).
    #[must_use]
    pub fn expiration(&self, bucket: &Bucket, key: &str, object: &Object) -> Option<String> {
        let rules = self.lifecycle(bucket).ok()??;
        let at = Position { newest: true, alone: false, newer: 0, covered: object.since };
        rules.expiration(BucketState::of(bucket), &placed(key, object, at)).map(|due| due.header())
    }

    /// The same of any version or marker of a key, wherever it stands in its stack.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn expiration_of(&self, bucket: &Bucket, key: &ObjectKey, object: &Object) -> Result<Option<String>> {
        let Some(rules) = self.lifecycle(bucket)? else { return Ok(None) };
        if !object.marker && object.superseded.is_none() {
            return Ok(self.expiration(bucket, key.as_str(), object));
        }
        let objects = self.look(|view, damage| {
            let (dirs, component) = history_place_in(view, bucket.name.as_str(), key)?;
            versions_in(view, &dirs, &component, Part::ALL, damage)
        })?;
        let stack = Stacked { key: key.as_str().to_owned(), objects };
        let nth = stack.objects.iter().position(|one| one.seq == object.seq);
        let versions = stack.versions();
        let due = nth.and_then(|nth| rules.expiration(BucketState::of(bucket), &versions[nth]));
        Ok(due.map(|due| due.header()))
    }

    /// When an upload is given up, and by which rule (LC-24).
    #[must_use]
    pub fn upload_ends(&self, bucket: &Bucket, key: &str, initiated: Timestamp) -> Option<(Timestamp, String)> {
        let rules = self.lifecycle(bucket).ok()??;
        rules.upload(BucketState::of(bucket), key, initiated).map(|due| (due.at, due.rule.to_owned()))
    }
}

fn planned(rules: &Lifecycle, bucket: &Bucket, stack: &Stacked, (now, until): (Timestamp, Timestamp)) -> Vec<Planned> {
    let events = rules.calendar(BucketState::of(bucket), &stack.versions(), now, until);
    let planned = events.into_iter().map(|event| {
        let object = event.entry.and_then(|nth| stack.objects.get(nth));
        Planned {
            at: event.at,
            key: stack.key.clone(),
            version: object.map(|object| object.version),
            action: event.due.action,
            rule: event.due.rule.to_owned(),
            bytes: object.map_or(0, |object| object.size),
        }
    });
    planned.collect()
}

fn no_rules(bucket: &Bucket) -> Error {
    Error::new(Kind::NotSet, format!("the bucket {} has no lifecycle", bucket.name))
        .why("nobody set rules, or they were removed")
        .mend("write them to .keyfold/lifecycle.json in the bucket, or use `keyfold bucket set`")
}
