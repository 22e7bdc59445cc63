//! Acts on one key or upload, in a transaction that decides anew: what changed since it was judged is judged as it is.

use super::super::Store;
use super::super::bucket::read_bucket;
use super::super::class::{Mover, Step};
use super::super::delete::Cause;
use super::super::lifecycle::{Action, BucketState, Due, Lifecycle, Version};
use super::super::names::history_place_in;
use super::super::stack::{Current, current};
use super::pass::Deed;
use super::{Position, placed};
use crate::index::{Family, OneCommit, Read, Tx, UploadRecord, VerRecord, decode, id_key, ver_bounds};
use crate::model::{Bucket, BucketId, DirId, Ino, Kind, Object, ObjectKey, Result, Seq, Timestamp, UploadId};
use crate::sys::sync::atomic::Ordering;

/// Noncurrent versions above one beyond which no rule counts them (LC-21).
const NEWER_MAX: u64 = 100;
/// Records of a stack that are read at first.
const HEAD: usize = 128;
/// Times that a key is looked at again after something was done to it: a move may be followed by a mark, that by the end of the marker.
const ROUNDS: usize = 8;

/// Of a key, places in its stack where something was due.
pub(super) struct Found<'a> {
    pub(super) bucket: BucketId,
    pub(super) key: &'a str,
    /// The newest first.
    pub(super) places: Vec<Seq>,
}

/// An entry of a stack, and where it lies.
struct Entry {
    dir: DirId,
    object: Object,
    top: Option<Current>,
}

impl Entry {
    fn version<'a>(&'a self, key: &'a str, at: Position) -> Version<'a> {
        let linked = self.top.as_ref().is_some_and(|top| top.nlink() > 1);
        Version { linked, ..placed(key, &self.object, at) }
    }
}

/// A key's stack, or as much of it as rules look at.
struct Stack {
    dirs: Vec<DirId>,
    component: String,
    entries: Vec<Entry>,
}

/// What is to be done to an entry.
struct Doing<'a> {
    entry: &'a Entry,
    due: Due<'a>,
}

impl Store {
    /// Does to a key what is due to it, and says what that was.
    pub(super) fn do_what_is_due(&self, found: &Found<'_>, now: Timestamp) -> Result<Vec<Deed>> {
        let mut deeds = Vec::new();
        for round in 0..ROUNDS {
            // Most keys have come to rest then, and need no commit.
            if round > 0 && self.due_now(found, (now, round))?.is_empty() {
                break;
            }
            let did = self.round_of(found, now, round)?;
            if did.is_empty() {
                break;
            }
            deeds.extend(did);
        }
        Ok(deeds)
    }

    /// What would be done to it at first.
    pub(super) fn would_do(&self, found: &Found<'_>, now: Timestamp) -> Result<Vec<Deed>> {
        self.due_now(found, (now, 0))
    }

    fn due_now(&self, found: &Found<'_>, at: (Timestamp, usize)) -> Result<Vec<Deed>> {
        self.index.at_once(|view| {
            let Some((bucket, rules)) = self.rules_in(view, found.bucket)? else { return Ok(Vec::new()) };
            let stack = stack_of(view, &bucket, found)?;
            let doing = due_in(&stack, &bucket, &rules, found, at);
            Ok(doing.iter().map(|doing| doing.deed(found.key)).collect())
        })
    }

    fn round_of(&self, found: &Found<'_>, now: Timestamp, round: usize) -> Result<Vec<Deed>> {
        let spare = Ino(self.ids.take());
        self.rulebook.commits.fetch_add(1, Ordering::Relaxed);
        self.transact(|tx| {
            let Some((bucket, rules)) = self.rules_in(tx, found.bucket)? else { return Ok(Vec::new()) };
            let stack = stack_of(tx, &bucket, found)?;
            let mut deeds = Vec::new();
            // From the bottom, so that what is above stays as it was judged.
            for doing in due_in(&stack, &bucket, &rules, found, (now, round)).iter().rev() {
                if self.act(tx, &bucket, &stack, doing, spare)? {
                    deeds.push(doing.deed(found.key));
                }
            }
            Ok(deeds)
        })
    }

    /// The bucket and its rules of this moment; `None` when one of them is gone.
    fn rules_in(&self, read: &impl Read, bucket: BucketId) -> Result<Option<(Bucket, std::sync::Arc<Lifecycle>)>> {
        match read_bucket(read, bucket) {
            Err(error) if error.kind() == Kind::NoSuchBucket => Ok(None),
            bucket => {
                let bucket = bucket?;
                Ok(self.lifecycle(&bucket)?.map(|rules| (bucket, rules)))
            }
        }
    }

    /// Does one thing; false for what has to wait.
    fn act(&self, tx: &mut Tx<'_>, bucket: &Bucket, stack: &Stack, doing: &Doing<'_>, spare: Ino) -> Result<bool> {
        let Entry { dir, object, top } = doing.entry;
        let at = (*dir, stack.component.as_str());
        let now = self.now();
        match (doing.due.action, top) {
            // Somebody writes it, or may: the version is whole when that is over.
            (_, Some(top)) if self.is_written(top.object.ino) => return Ok(false),
            (_, Some(top)) if tx.get(Family::Unsealed, &id_key(top.object.ino.0))?.is_some() => return Ok(false),
            (Action::Delete | Action::Mark | Action::Replace, Some(top)) => {
                self.unname_for(Cause::Lifecycle, tx, bucket, at, top, now)?;
            }
            (Action::Delete, None) => {
                self.purge_older(Cause::Lifecycle, tx, (bucket, &stack.dirs), at, object, (spare, now))?;
            }
            (Action::Transition(to), _) => {
                let step = Step { from: Some(object.class), to, by: Mover::Lifecycle };
                self.transition_in(tx, at, Some((object.version, Some(object.seq))), step)?;
            }
            (Action::Mark | Action::Replace | Action::Abort, _) => return Ok(false),
        }
        Ok(true)
    }

    /// Gives up an upload that is due; `None` when it is not, any more.
    pub(super) fn end_upload(
        &self,
        bucket: BucketId,
        upload: UploadId,
        now: Timestamp,
        only_say: bool,
    ) -> Result<Option<Deed>> {
        if only_say {
            return self.index.at_once(|view| Ok(self.upload_due(view, bucket, upload, now)?.map(|(deed, _)| deed)));
        }
        self.rulebook.commits.fetch_add(1, Ordering::Relaxed);
        self.transact(|tx| {
            let Some((deed, record)) = self.upload_due(tx, bucket, upload, now)? else { return Ok(None) };
            self.drop_upload(tx, upload, &record)?;
            Ok(Some(deed))
        })
    }

    fn upload_due(
        &self,
        read: &impl Read,
        bucket: BucketId,
        upload: UploadId,
        now: Timestamp,
    ) -> Result<Option<(Deed, UploadRecord)>> {
        let Some((bucket, rules)) = self.rules_in(read, bucket)? else { return Ok(None) };
        let record: Option<UploadRecord> = read.record(Family::Upload, &id_key(upload.0))?;
        let Some(record) = record.filter(|record| record.bucket == bucket.id) else { return Ok(None) };
        let due = rules.upload(BucketState::of(&bucket), &record.key, record.initiated);
        let deed = due.filter(|due| due.at <= now).map(|due| Deed {
            key: record.key.clone(),
            version: None,
            marker: false,
            action: due.action,
            due: due.at,
            rule: due.rule.to_owned(),
            bytes: 0,
            class: record.class,
        });
        Ok(deed.map(|deed| (deed, record)))
    }
}

impl Doing<'_> {
    fn deed(&self, key: &str) -> Deed {
        let object = &self.entry.object;
        Deed {
            key: key.to_owned(),
            version: Some(object.version),
            marker: object.marker,
            action: self.due.action,
            due: self.due.at,
            rule: self.due.rule.to_owned(),
            bytes: object.size,
            class: object.class,
        }
    }
}

/// What is due at the places that were found, the newest first; in later rounds, anywhere.
fn due_in<'a>(
    stack: &'a Stack,
    bucket: &Bucket,
    rules: &'a Lifecycle,
    found: &Found<'_>,
    (now, round): (Timestamp, usize),
) -> Vec<Doing<'a>> {
    let (mut newer, mut covered, mut doing) = (0, now, Vec::new());
    let alone = stack.entries.len() == 1;
    for (nth, entry) in stack.entries.iter().enumerate() {
        let at = Position { newest: nth == 0, alone, newer, covered };
        if (round > 0 || found.places.contains(&entry.object.seq))
            && let Some(due) = rules.due(BucketState::of(bucket), &entry.version(found.key, at), now)
        {
            doing.push(Doing { entry, due });
        }
        newer += u64::from(nth > 0 && !entry.object.marker);
        covered = entry.object.since;
    }
    doing
}

/// The newest entries of a key, as many as rules count, and those at the places that were found. None while somebody makes
/// the name.
fn stack_of(read: &impl OneCommit, bucket: &Bucket, found: &Found<'_>) -> Result<Stack> {
    let key = ObjectKey::parse(found.key)?;
    let (dirs, component) = history_place_in(read, bucket.name.as_str(), &key)?;
    let mut limit = HEAD;
    let entries = loop {
        let (entries, whole) = head_of(read, &dirs, &component, limit)?;
        let counted = entries.iter().skip(1).filter(|entry| !entry.object.marker).count() as u64;
        if whole || counted >= NEWER_MAX {
            break if whole { entries } else { with_places(read, &dirs, &component, entries, found)? };
        }
        limit = limit.saturating_mul(4);
    };
    Ok(Stack { dirs, component, entries })
}

/// The newest entries of a name, at most `limit` of each directory, and whether they are all.
fn head_of(read: &impl OneCommit, dirs: &[DirId], component: &str, limit: usize) -> Result<(Vec<Entry>, bool)> {
    let (mut entries, mut tops, mut whole) = (Vec::new(), Vec::new(), true);
    for dir in dirs {
        match current(read, *dir, component)? {
            Some(top) if top.draft => return Ok((Vec::new(), true)),
            Some(top) => tops.push(Entry { dir: *dir, object: top.object.clone(), top: Some(top) }),
            None => {}
        }
        let (lower, upper) = ver_bounds(*dir, component);
        let mut scan = read.scan(Family::Ver, &lower, &upper)?;
        let mut count = 0;
        for found in scan.by_ref() {
            if count == limit {
                whole = false;
                break;
            }
            // What cannot be read may be what others are counted by: nothing is done to the key then.
            if let VerRecord::Object(object) = decode(&found?.1)? {
                entries.push(Entry { dir: *dir, object, top: None });
                count += 1;
            }
        }
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.object.seq));
    entries.splice(0..0, tops);
    Ok((entries, whole))
}

/// Adds the entries at places that were found further down. So many are above them that their own place does not count.
fn with_places(
    read: &impl OneCommit,
    dirs: &[DirId],
    component: &str,
    mut entries: Vec<Entry>,
    found: &Found<'_>,
) -> Result<Vec<Entry>> {
    for place in &found.places {
        if entries.iter().any(|entry| entry.object.seq == *place) {
            continue;
        }
        for dir in dirs {
            let key = crate::index::ver_key(*dir, component, *place);
            if let Some(VerRecord::Object(object)) = read.record(Family::Ver, &key)?
                && object.superseded.is_some()
            {
                entries.push(Entry { dir: *dir, object, top: None });
            }
        }
    }
    Ok(entries)
}
