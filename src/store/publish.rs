//! Publishing a write session: its bytes become the current version of the file's name (FSX-1 to FSX-3).

use super::compact::Asking;
use super::content::{Content, inline};
use super::draft::Draft;
use super::extents::{Plan, edit};
use super::metadata::PosixChange;
use super::metering::count_edit;
use super::moves::Staying;
use super::names::readable;
use super::pins::Taking;
use super::rounds::Unsynced;
use super::stack::{Current, bucket_of, current, drop_content, enthrone_all, retire, rewrite};
use super::takeover::{Holders, take_over};
use super::{Store, names};
use crate::index::{
    Body, ContentRecord, Family, OpenSession, Read, RefKey, SegRecord, Source, Tx, content_key, decode, id_key,
};
use crate::model::{
    Aging, Checksum, ContentId, DirId, ETag, Ino, Kind, Object, ObjectLock, ObjectSum, ObjectSums, Result, Seq,
    StorageClass, Sum, Timestamp, VersionId,
};
use crate::sys::sync::Mutex;
use std::sync::Arc;

/// What a write session has published so far. One session makes one version, however often it is published.
#[derive(Debug, Default)]
pub struct Session {
    version: Option<(VersionId, Seq)>,
    ino: Option<Ino>,
}

impl Session {
    /// A session that has published nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the version is its own. A rename gives a version another place in the stack, so an id is enough.
    pub(super) fn made(&self, object: &Object) -> bool {
        match (self.version, object.version) {
            (Some((VersionId::Id(mine), _)), VersionId::Id(id)) => mine == id,
            (Some((VersionId::Null, seq)), VersionId::Null) => seq == object.seq,
            _ => false,
        }
    }

    /// Whether the version is its own and nothing forbids to put another in its place. What protects a version does so from
    /// its first publication on: what is written to the file after that makes another one.
    pub(super) fn owns(&self, object: &Object, now: Timestamp) -> bool {
        self.made(object) && !object.lock.protects(now)
    }

    /// Whether it has published a version.
    #[must_use]
    pub const fn has_published(&self) -> bool {
        self.version.is_some()
    }
}

/// A content ready to be committed.
pub(super) struct Prepared<'a> {
    pub id: ContentId,
    pub record: ContentRecord,
    pub plan: Plan,
    /// What is kept of the bytes beside the record.
    sums: ObjectSums,
    /// Told what the next round has to sync.
    unsynced: Arc<Unsynced>,
    /// Keeps what the plan shares from being freed before the commit, and says where that is.
    base: Option<(Arc<Content>, Arc<Body>)>,
    /// Keeps what the plan shares from being moved before the commit.
    _staying: Option<Staying<'a>>,
    /// Keeps others from the base that the commit frees, until the commit can be seen.
    taking: Mutex<Option<Taking>>,
    /// Says once the commit can be seen that it shares bytes, which may be wanted elsewhere then.
    _asking: Option<Asking<'a>>,
}

/// A draft whose bytes are where publishing needs them.
pub struct Ready<'a> {
    prepared: Prepared<'a>,
    /// What the draft lies over once it is published.
    content: Option<Content>,
}

impl Prepared<'_> {
    /// Writes the content; from then on it has one holder. Comes after what takes the name from the one before, whose
    /// place it takes in the index if that was the last.
    pub(super) fn commit(&self, tx: &mut Tx<'_>) -> Result<()> {
        if self.id == ContentId::EMPTY {
            return Ok(());
        }
        for (id, node) in &self.plan.nodes {
            tx.put(Family::Node, &id_key(*id), node);
        }
        let mut seen = std::collections::HashSet::new();
        for source in &self.plan.fresh {
            let Some(key) = super::extents::ref_key(*source) else { continue };
            if seen.insert(key) {
                self.unsynced.note(*source);
                add_live(tx, *source, 1)?;
            } else {
                tx.hold(key, 1)?;
            }
        }
        let mut held = Holders::of(&self.plan);
        if let Some((base, body)) = &self.base {
            *self.taking.lock() = take_over(tx, (base, body), self.plan.unshared, &mut held)?;
        }
        held.count(tx)?;
        tx.put(Family::Content, &content_key(self.id), &self.record);
        if self.sums != ObjectSums::default() {
            tx.put(Family::Sums, &content_key(self.id), &self.sums);
        }
        Ok(())
    }

    /// Has it keep what is known of its bytes. No bytes at all, which otherwise take no record, get one then.
    pub(super) fn keep(&mut self, draft: &mut Draft, sums: ObjectSums) {
        // That one every content has a place for (SUM-8).
        if let Some(ObjectSum { sum: Sum::Crc64Nvme(value), parts: 0 }) = sums.sum {
            self.record.crc64 = Checksum(Some(u64::from_be_bytes(value)));
        }
        if self.id == ContentId::EMPTY && sums != ObjectSums::default() {
            self.id = ContentId::inline(draft.number());
        }
        self.sums = sums;
    }

    /// Whether its number is below that of what has happened to the name since it was drawn: the log would tell it in a wrong
    /// order.
    pub(super) fn is_overtaken(&self, by: Seq) -> bool {
        self.id != ContentId::EMPTY && self.id < ContentId::FIRST_INLINE && self.id.0 < by.0
    }

    /// The content whose place it took, if that went with the commit.
    fn taken(&self) -> Option<ContentId> {
        let (base, _) = self.base.as_ref()?;
        self.taking.lock().is_some().then(|| base.id())
    }

    /// The fields of an object that follow from its bytes.
    pub(super) fn describe(&self, store: &Store, object: &mut Object) {
        let record = &self.record;
        describe(store, self.id, (record.size, record.stored), record.crc64, object);
    }
}

impl Content {
    /// The fields of an object that follow from these bytes.
    pub(super) fn describe(&self, store: &Store, object: &mut Object) {
        describe(store, self.id(), (self.size(), self.stored()), Checksum(self.crc64()), object);
    }
}

fn describe(store: &Store, id: ContentId, (size, stored): (u64, u64), crc64: Checksum, object: &mut Object) {
    object.size = size;
    object.stored = stored;
    object.content = id;
    object.crc64 = crc64;
    object.etag = match id {
        ContentId::EMPTY => ETag::EMPTY,
        id => ETag { digest: store.opaque.seal(u64::MAX, id.0), parts: 1 },
    };
}

/// Key of a segment's accounting in the `seg` family.
pub(super) fn segment_key(id: u64) -> Vec<u8> {
    [b"g", id_key(id).as_slice()].concat()
}

/// The same of a one-object file.
pub(super) fn solo_key(id: u64) -> Vec<u8> {
    [b"s", id_key(id).as_slice()].concat()
}

/// Key of a file's accounting in the `seg` family: segments and one-object files do not share numbers.
pub(super) fn seg_key(source: Source) -> Option<Vec<u8>> {
    match source {
        Source::Hole | Source::Lost => None,
        Source::Run { segment, .. } => Some(segment_key(segment)),
        Source::Solo { id, .. } => Some(solo_key(id)),
    }
}

/// Counts a run's or file's bytes as live (`sign` 1) or dead (-1).
pub(super) fn add_live(tx: &mut Tx<'_>, source: Source, sign: i64) -> Result<SegRecord> {
    let Some(key) = seg_key(source) else { return Ok(SegRecord::default()) };
    let mut record: SegRecord = tx.record(Family::Seg, &key)?.unwrap_or_default();
    let change = match source {
        Source::Run { len, .. } => sign * i64::from(len),
        // A file of its own is live as a whole.
        Source::Solo { .. } => sign,
        Source::Hole | Source::Lost => 0,
    };
    record.live_bytes = record.live_bytes.saturating_add(change);
    tx.put(Family::Seg, &key, &record);
    Ok(record)
}

impl Store {
    /// Puts a draft's bytes into the log and plans its content. What that shares with others stays where it is until
    /// the answer is dropped.
    pub(super) fn prepare(&self, draft: &mut Draft) -> Result<Prepared<'_>> {
        let size = draft.size();
        if size == 0 {
            return Ok(self.whole(ContentId::EMPTY, inline(Vec::new())));
        }
        if size <= self.settings.inline_max {
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
            draft.read_at(0, &mut bytes)?;
            return Ok(self.whole(ContentId::inline(draft.number()), inline(bytes)));
        }
        draft.settle()?;
        // Nobody is to wait for a round while nothing may move.
        self.make_room()?;
        let number = draft.number();
        self.plan_content(draft, ContentId(number))
    }

    /// Plans the content of a draft that has everything in the log.
    pub(super) fn plan_content(&self, draft: &Draft, id: ContentId) -> Result<Prepared<'_>> {
        let size = draft.size();
        let staying = self.moves.stay();
        // Numbers of nodes taken from here on are committed before anything moves; that of the content is open until then:
        // so a pass knows what is new to it.
        let base = match draft.base() {
            Some((content, shown)) => Some((content, content.body_now(&staying)?, shown)),
            None => None,
        };
        let old = base.as_ref().map(|(content, body, _)| (&**body, content.size(), content.stored()));
        let mut edits = draft.edits(&staying)?;
        if let Some((content, _, shown)) = &base {
            // Cut off and grown again: what the base held between reads as zeros.
            let end = content.size().min(size);
            super::extents::cover_with_holes(&mut edits, *shown, end);
        }
        let mut plan = edit(old, size, &edits, self, &mut || self.ids.take())?;
        let body = plan.body.take().unwrap_or(Body::Extents(Vec::new()));
        let record = ContentRecord { size, stored: plan.stored, crc64: Checksum(draft.crc64()), body };
        let base = base.map(|(content, body, _)| (Arc::clone(content), body));
        let _asking = draft.shares().then(|| self.placement.asking());
        Ok(Prepared { plan, base, _staying: Some(staying), _asking, ..self.whole(id, record) })
    }

    /// Puts a draft's bytes where publishing needs them, which may wait for the disk; [`Store::publish`] does it when
    /// nobody did before.
    ///
    /// # Errors
    /// What the disk says; the draft keeps its bytes.
    pub fn settle(&self, draft: &mut Draft) -> Result<()> {
        self.writable()?;
        if draft.size() > self.settings.inline_max { draft.settle() } else { Ok(()) }
    }

    /// A content whose bytes are all in its record.
    fn whole(&self, id: ContentId, record: ContentRecord) -> Prepared<'_> {
        let (plan, unsynced) = (Plan::default(), Arc::clone(&self.unsynced));
        let (sums, taking) = (ObjectSums::default(), Mutex::new(None));
        Prepared { id, record, plan, sums, unsynced, base: None, _staying: None, taking, _asking: None }
    }

    /// Makes a write session's bytes the current version of its file. The session's first publication makes a
    /// version, later ones replace it. Visible when it returns, durable at the next round or [`Store::sync`].
    ///
    /// # Errors
    /// [`crate::model::Kind::NoSuchKey`] when the name no longer leads to `ino`; the draft keeps its bytes.
    pub fn publish(
        self: &Arc<Self>,
        at: (DirId, &str),
        ino: Ino,
        draft: &mut Draft,
        session: &mut Session,
        change: &PosixChange,
    ) -> Result<Object> {
        draft.is_at(ino, at);
        let mut ready = self.ready(draft)?;
        self.publish_ready(at, ino, draft, &mut ready, session, change, |_| {})
    }

    /// The part of [`Store::publish`] that may wait for the disk.
    ///
    /// # Errors
    /// What the disk says; the draft keeps its bytes.
    pub fn ready(self: &Arc<Self>, draft: &mut Draft) -> Result<Ready<'_>> {
        self.writable()?;
        self.make_room()?;
        let prepared = self.prepare(draft)?;
        let content = self.pinned_content(prepared.id, prepared.record.clone());
        Ok(Ready { prepared, content: Some(content) })
    }

    /// The part of [`Store::publish`] that does not wait, for callers that hold what others ask for. Nothing of the draft
    /// may have changed since it was made ready, for which one publication can be had. `edit` is what else becomes of the
    /// object in the same commit.
    ///
    /// # Errors
    /// As [`Store::publish`]; then it may be tried under another name.
    #[expect(clippy::too_many_arguments, reason = "one commit has that many parts")]
    pub fn publish_ready(
        &self,
        at: (DirId, &str),
        ino: Ino,
        draft: &mut Draft,
        ready: &mut Ready<'_>,
        session: &mut Session,
        change: &PosixChange,
        edit: impl FnOnce(&mut Object),
    ) -> Result<Object> {
        draft.is_at(ino, at);
        let prepared = &ready.prepared;
        let mut elsewhere = false;
        // Room was made for it.
        let ((object, overtaken), commit) = self.commit(|tx| {
            let (now, new_seq) = self.stamp();
            let old = current(tx, at.0, at.1)?.filter(|old| old.object.ino == ino);
            let old = old.ok_or_else(|| names::no_such_name(at.1))?;
            let overtaken = prepared.is_overtaken(old.object.seq).then_some(new_seq);
            let bucket = bucket_of(tx, at.0)?;
            let mut object = old.object.clone();
            let own = !old.draft && session.owns(&old.object, now);
            if own {
                drop_content(tx, old.object.content)?;
            } else {
                self.retire_all(tx, &bucket, at, &old, now)?;
                object.seq = new_seq;
                object.version = self.version_id(bucket.versioning, new_seq, ino);
                object.since = now;
                object.lock = ObjectLock::NONE;
            }
            // What has no bytes yet is protected when its session ends: a shell publishes an empty file before it writes one.
            if object.lock == ObjectLock::NONE && prepared.record.size > 0 {
                object.lock = self.new_lock(tx, &bucket, ObjectLock::NONE)?;
            }
            prepared.commit(tx)?;
            prepared.describe(self, &mut object);
            object.modified = now;
            change.apply(&mut object.posix, now);
            if !own && !old.draft {
                object.class = Self::class_of_new(tx, at.0, &old.object)?;
                object.aging = Aging::default();
            } else if own && object.class == StorageClass::IntelligentTiering {
                // IT-5
                object.aging = Aging { accessed: Some(now), ..Aging::default() };
            }
            edit(&mut object);
            elsewhere = object.class != old.object.class || draft.is_apart(object.class);
            let new = Current { object, draft: false, names: old.names.clone() };
            if own {
                count_edit(tx, at.0, (&old.object, &new.object), Some(new.nlink()))?;
            } else {
                enthrone_all(tx, &bucket, at, &new, Some(&old))?;
            }
            let object = new.object.clone();
            let change = Some(self.change("ObjectCreated:Put", bucket.id, String::new(), &object));
            let open = OpenSession { place: (at.0, at.1.to_owned()), change };
            tx.put(Family::Unsealed, &id_key(ino.0), &open);
            rewrite(tx, at.0, at.1, new)?;
            self.await_time(tx, at, &object)?;
            Ok((object, overtaken))
        })?;
        if elsewhere {
            self.placement.ask();
        }
        self.forget(commit, prepared.taken().into_iter());
        if let Some(seq) = overtaken {
            self.note_place(commit, &object, seq, self.key_at(at.0, at.1));
        }
        session.version = Some((object.version, object.seq));
        session.ino = Some(ino);
        if let Some(content) = ready.content.take() {
            draft.rebase(Arc::new(content));
            draft.was_published(&object);
        }
        Ok(object)
    }

    /// Retires the current entry under every name of its file.
    pub(super) fn retire_all(
        &self,
        tx: &mut Tx<'_>,
        bucket: &crate::model::Bucket,
        at: (DirId, &str),
        old: &Current,
        now: crate::model::Timestamp,
    ) -> Result<()> {
        if let Some(names) = old.names.as_ref().filter(|_| !old.draft) {
            for (dir, name) in names.iter().filter(|(dir, name)| (*dir, name.as_str()) != at) {
                super::stack::dethrone(tx, bucket.id, &old.object)?;
                super::stack::keep_copy(tx, bucket, (*dir, name), &old.object, now)?;
            }
        }
        retire(tx, bucket, at, old, now)
    }

    /// Ends a session: the change it made is announced.
    ///
    /// # Errors
    /// When the store takes no changes.
    pub fn seal(&self, session: Session) -> Result<()> {
        let Some(ino) = session.ino else { return Ok(()) };
        self.transact(|tx| {
            self.protect_in(tx, ino)?;
            Self::seal_in(tx, ino)
        })
    }

    /// Gives the version of a session that ends the bucket's default retention, if it has none yet (LOCK-9).
    fn protect_in(&self, tx: &mut Tx<'_>, ino: Ino) -> Result<()> {
        let Some(open) = tx.record::<OpenSession>(Family::Unsealed, &id_key(ino.0))? else { return Ok(()) };
        let (dir, name) = open.place;
        let is_it = |top: &Current| !top.draft && top.object.ino == ino && top.object.lock == ObjectLock::NONE;
        let Some(mut top) = current(tx, dir, &name)?.filter(is_it) else { return Ok(()) };
        let bucket = bucket_of(tx, dir)?;
        top.object.lock = self.new_lock(tx, &bucket, ObjectLock::NONE)?;
        if top.object.lock == ObjectLock::NONE { Ok(()) } else { rewrite(tx, dir, &name, top) }
    }

    pub(super) fn seal_in(tx: &mut Tx<'_>, ino: Ino) -> Result<()> {
        let key = id_key(ino.0);
        let Some(open) = tx.record::<OpenSession>(Family::Unsealed, &key)? else { return Ok(()) };
        tx.delete(Family::Unsealed, &key);
        let Some(mut change) = open.change else { return Ok(()) };
        match Self::key_prefix(tx, open.place.0) {
            Ok((_, prefix)) => change.key = prefix + &open.place.1,
            // The directory went with its last name, which announced the end of the object.
            Err(error) if error.kind() == Kind::NoSuchKey => return Ok(()),
            Err(error) => return Err(error),
        }
        Self::announce_change(tx, &change);
        Ok(())
    }

    /// After a crash: sessions that published and did not end are ended; files of which nothing was published go.
    pub(super) fn finish_sessions(&self) -> Result<()> {
        let (mut open, mut drafts) = (Vec::new(), Vec::new());
        for found in self.index.scan(Family::Unsealed, &[], &[0xff; 9])? {
            let (key, value) = found?;
            let Some(ino) = crate::index::id_of(&key).map(Ino) else { continue };
            open.push(ino);
            match decode::<OpenSession>(&value) {
                Ok(session) if session.change.is_none() => drafts.push((ino, session.place)),
                Ok(_) => {}
                Err(error) => {
                    self.spoiled((Family::Unsealed, &key), None, &error);
                    open.pop();
                }
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        for (ino, place) in drafts {
            let mut names = readable(self.links(ino).map(Some))?.unwrap_or_default();
            if names.is_empty() {
                names.push(place);
            }
            for (dir, name) in names {
                match self.discard_draft(dir, &name, ino) {
                    // A session whose records are damaged is left to a repair.
                    Err(error) if error.kind() == Kind::Corrupt => {
                        self.spoiled((Family::Unsealed, &id_key(ino.0)), Some((dir, &name)), &error);
                    }
                    Err(error) if error.kind() != Kind::NoSuchKey => return Err(error),
                    _ => {}
                }
            }
        }
        let seal = |tx: &mut Tx<'_>, ino: Ino| {
            self.protect_in(tx, ino)?;
            Self::seal_in(tx, ino)
        };
        let sealed = self.transact(|tx| open.iter().try_for_each(|ino| seal(tx, *ino)));
        if sealed.as_ref().is_err_and(|error| error.kind() == Kind::Corrupt) {
            for ino in open {
                match self.transact(|tx| seal(tx, ino)) {
                    Err(error) if error.kind() == Kind::Corrupt => {
                        self.spoiled((Family::Unsealed, &id_key(ino.0)), None, &error);
                    }
                    done => done?,
                }
            }
            return Ok(());
        }
        sealed
    }

    /// Counts a reference key's holders less by one, freeing what nobody holds. Part of the reaper's transactions.
    pub(super) fn unref_source(tx: &mut Tx<'_>, source: Source) -> Result<()> {
        let Some(key) = super::extents::ref_key(source) else { return Ok(()) };
        if tx.release(key)? {
            let left = add_live(tx, source, -1)?;
            if left.live_bytes <= 0
                && let Some(key) = seg_key(source)
            {
                tx.put_bytes(Family::Gone, &super::reap::gone_file(&key), Vec::new());
            }
        }
        Ok(())
    }

    pub(super) fn release_node(tx: &mut Tx<'_>, id: u64) -> Result<bool> {
        tx.release(RefKey::Node(id))
    }
}
