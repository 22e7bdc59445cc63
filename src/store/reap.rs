//! The reaper: frees contents nobody names, their tree nodes, runs and files. Files go last, when the change that
//! orphaned them is durable; nothing a reader holds is touched.

use super::Store;
use super::fsck::file_name;
use super::open::SALVAGED_KEY;
use super::publish::seg_key;
use crate::chunklog::{SegmentId, SoloId, Unnamed};
use crate::index::{
    Body, ContentRecord, Extent, Family, Node, Read, RefKey, SegRecord, Source, Tx, content_key, decode, id_key, id_of,
};
use crate::model::{ContentId, Error, Kind, Result};
use crate::sys::sync::MutexGuard;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Things freed in one transaction.
const STEP: usize = 128;
const IDLE: Duration = Duration::from_millis(500);
/// After a sweep of what a crash left that failed.
const SWEEP_AGAIN: Duration = Duration::from_secs(60);
/// Changes the feed keeps.
const FEED_KEPT: u64 = 1_000_000;

/// Marks of `gone` kept in memory.
const QUEUE_MAX: usize = 1 << 16;

/// The marks in `gone`, without asking RocksDB, which would walk over every mark that was ever deleted.
pub(super) struct Queue {
    marks: BTreeSet<Bytes>,
    /// Marks may be in the index that are not here.
    more: bool,
    /// Marks of what cannot be freed, since its record is damaged.
    spoiled: BTreeSet<Bytes>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { marks: BTreeSet::new(), more: true, spoiled: BTreeSet::new() }
    }
}

impl Queue {
    /// Damaged records may have been mended.
    pub(super) fn retry(&mut self) {
        self.spoiled.clear();
        self.more = true;
    }

    /// Commits have made these marks. Who takes one asks in a transaction whether it is there still.
    pub(super) fn add(&mut self, marks: impl Iterator<Item = Bytes>) {
        for mark in marks {
            if self.spoiled.contains(&mark) {
                continue;
            }
            if self.marks.len() < QUEUE_MAX {
                self.marks.insert(mark);
            } else {
                self.more = true;
            }
        }
    }
}

/// Key in `gone` of a content.
pub(super) fn gone_content(id: ContentId) -> Vec<u8> {
    [b"c", id_key(id.0).as_slice()].concat()
}

/// The same of a node.
pub(super) fn gone_node(id: u64) -> Vec<u8> {
    [b"n", id_key(id).as_slice()].concat()
}

/// Key in `gone` of a segment or one-object file, from its key in `seg`.
pub(super) fn gone_file(seg_key: &[u8]) -> Vec<u8> {
    [b"f", seg_key].concat()
}

impl Store {
    pub(super) fn run_reaper(store: &Weak<Self>) {
        let Some(rounds) = store.upgrade().map(|store| Arc::clone(&store.rounds)) else { return };
        let mut squeezed = 0;
        // When files that a crash left are to be swept; never again once they were.
        let mut sweep = Some(Instant::now());
        let mut unnamed = Vec::new();
        loop {
            let Some(store) = store.upgrade() else { return };
            if sweep.is_some_and(|when| when <= Instant::now()) {
                let swept = store.sweep_orphans();
                // One that is closing, or takes no changes, says so itself.
                sweep = if rounds.stopping() || store.writable().is_err() {
                    None
                } else {
                    store.tried("sweep", swept).is_none().then(|| Instant::now() + SWEEP_AGAIN)
                };
            }
            let reaped = store.reap_if_free(&mut unnamed);
            // Then the room is needed at once.
            if !unnamed.is_empty() && store.is_scarce() {
                unnamed.clear();
            }
            let reaped = reaped.and_then(|more| {
                if !more {
                    store.squeeze(&mut squeezed)?;
                }
                Ok(more)
            });
            let more = store.tried("free", reaped).unwrap_or(false);
            drop(store);
            // Nobody who checks or copies the store waits for it.
            for file in unnamed.drain(..) {
                if !rounds.stopping() {
                    file.free(&|long| rounds.rest(long));
                }
            }
            if rounds.stopping() {
                return;
            }
            if !more {
                rounds.idle(IDLE);
            }
        }
    }

    /// What the reaper does, which waits for nobody who checks: the store's end waits for the reaper.
    fn reap_if_free(&self, unnamed: &mut Vec<Unnamed>) -> Result<bool> {
        match self.reaping.try_lock() {
            Some(alone) if self.writable().is_ok() => self.reap_alone(&alone, unnamed),
            _ => Ok(false),
        }
    }

    /// On a disk that is nearly full, the index gives back what was deleted from it. `squeezed` is the last commit for
    /// which that was done.
    fn squeeze(&self, squeezed: &mut u64) -> Result<()> {
        if self.writable().is_err() || !self.is_scarce() {
            return Ok(());
        }
        let ((), newest) = self.index.transact(|_| Ok(()))?;
        if newest == *squeezed {
            return Ok(());
        }
        *squeezed = newest;
        self.sync()?;
        self.index.compact()
    }

    /// Frees what can be freed now; whether there is more to do at once.
    ///
    /// # Errors
    /// When the index or the disk refuses; nothing is lost, the next call goes on.
    pub fn reap(&self) -> Result<bool> {
        if self.writable().is_err() {
            return Ok(false);
        }
        let alone = self.reaping.lock();
        self.reap_alone(&alone, &mut Vec::new())
    }

    /// `unnamed`: files whose room is to be given back.
    fn reap_alone(&self, _alone: &MutexGuard<'_, ()>, unnamed: &mut Vec<Unnamed>) -> Result<bool> {
        let mut claimed = Vec::new();
        let mut nodes = Vec::new();
        let mut files = Vec::new();
        let held = self.holds.files();
        let taken = self.take_marks(|key| {
            match (key.first(), key.get(1..).and_then(id_of)) {
                (Some(b'c'), Some(id)) if self.pins.begin_free(ContentId(id)) => claimed.push(ContentId(id)),
                (Some(b'n'), Some(id)) => nodes.push(id),
                (Some(b'f'), _) if !held => files.push(key.clone()),
                _ => return false,
            }
            true
        })?;
        if taken.is_empty() {
            return self.tidy_up();
        }
        let mut went = Vec::new();
        let freed = self.transact_seq(|tx| {
            for id in &claimed {
                if Self::free_content(tx, *id)? {
                    went.push(*id);
                }
            }
            nodes.iter().try_for_each(|id| self.free_node(tx, *id))
        });
        claimed.iter().for_each(|id| self.pins.end_free(*id));
        match freed {
            Err(error) if error.kind() == Kind::Corrupt => {
                self.gone.lock().add(taken.into_iter());
                return self.put_aside(&claimed, &nodes);
            }
            Err(error) => {
                self.gone.lock().add(taken.into_iter());
                return Err(error);
            }
            Ok(((), commit)) => self.forget(commit, went.into_iter()),
        }
        nodes.iter().for_each(|id| self.nodes.forget(*id));
        let (mut deleted, mut failed) = (false, None);
        for mark in files {
            match self.free_file(&mark[1..], unnamed) {
                Ok(true) => deleted = true,
                Ok(false) => self.gone.lock().add(std::iter::once(mark)),
                Err(error) if error.kind() == Kind::Corrupt => self.cannot_free(mark, &error),
                Err(error) => {
                    self.gone.lock().add(std::iter::once(mark));
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None if deleted || !claimed.is_empty() || !nodes.is_empty() => Ok(true),
            // Files that are still written to are looked at each time.
            None => self.tidy_up(),
        }
    }

    /// What there is time for when nothing is to be freed; whether there is more of it.
    fn tidy_up(&self) -> Result<bool> {
        self.tell_log(true);
        self.trim_notes()?;
        self.trim_feed()
    }

    /// Frees one at a time what could not be freed together: what is damaged stays as it is, for a repair.
    fn put_aside(&self, contents: &[ContentId], nodes: &[u64]) -> Result<bool> {
        let mut freed = false;
        let marks = contents.iter().map(|id| gone_content(*id)).chain(nodes.iter().map(|id| gone_node(*id)));
        for mark in marks {
            let Some(id) = mark.get(1..).and_then(id_of) else { continue };
            let is_content = mark.first() == Some(&b'c');
            if is_content && !self.pins.begin_free(ContentId(id)) {
                continue;
            }
            let done = self.transact_seq(|tx| {
                if is_content { Self::free_content(tx, ContentId(id)) } else { self.free_node(tx, id).map(|()| false) }
            });
            if is_content {
                self.pins.end_free(ContentId(id));
            } else {
                self.nodes.forget(id);
            }
            self.gone.lock().marks.remove(mark.as_slice());
            match done {
                Ok((went, commit)) => {
                    freed = true;
                    self.forget(commit, went.then_some(ContentId(id)).into_iter());
                }
                Err(error) if error.kind() == Kind::Corrupt => self.cannot_free(mark.into(), &error),
                Err(error) => return Err(error),
            }
        }
        Ok(freed)
    }

    fn cannot_free(&self, mark: Bytes, error: &Error) {
        self.spoiled((Family::Gone, &mark), None, error);
        self.gone.lock().spoiled.insert(mark);
    }

    /// Takes up to [`STEP`] marks of those that `wants` wants.
    fn take_marks(&self, mut wants: impl FnMut(&Bytes) -> bool) -> Result<Vec<Bytes>> {
        let refill = {
            let mut queue = self.gone.lock();
            let refill = queue.more && queue.marks.len() <= QUEUE_MAX / 2;
            // Before the look, so that what is marked meanwhile is not forgotten.
            queue.more &= !refill;
            refill
        };
        if refill {
            let found = self.marks_of_the_index();
            let mut queue = self.gone.lock();
            match found {
                Ok(found) => queue.add(found.into_iter()),
                Err(error) => {
                    queue.more = true;
                    return Err(error);
                }
            }
        }
        let mut queue = self.gone.lock();
        let taken: Vec<Bytes> = queue.marks.iter().filter(|mark| wants(mark)).take(STEP).cloned().collect();
        for mark in &taken {
            queue.marks.remove(mark);
        }
        Ok(taken)
    }

    fn marks_of_the_index(&self) -> Result<Vec<Bytes>> {
        let found = self.index.scan(Family::Gone, &[], &[0xff])?.take(QUEUE_MAX + 1);
        found.map(|mark| mark.map(|(key, _)| key)).collect()
    }

    /// Whether it was still to be freed.
    fn free_content(tx: &mut Tx<'_>, id: ContentId) -> Result<bool> {
        // Another call may have freed it since it was looked up, or a repair found that somebody holds it.
        if tx.get(Family::Gone, &gone_content(id))?.is_none() {
            return Ok(false);
        }
        if tx.refs(RefKey::Content(id.0))? > 1 {
            return Err(Error::corrupt("cannot free a content", "it is counted as held")
                .mend("`keyfold fsck --repair` finds out which is right"));
        }
        tx.delete(Family::Gone, &gone_content(id));
        let Some(record) = tx.record::<ContentRecord>(Family::Content, &content_key(id))? else { return Ok(true) };
        super::stack::forget_content(tx, id)?;
        match record.body {
            Body::Inline(_) => {}
            Body::Extents(extents) => extents.iter().try_for_each(|extent| Self::unref_source(tx, extent.source))?,
            Body::Tree(root) => tx.put_bytes(Family::Gone, &gone_node(root), Vec::new()),
        }
        Ok(true)
    }

    /// One holder of a node less; the last one frees it and lets its children follow.
    fn free_node(&self, tx: &mut Tx<'_>, id: u64) -> Result<()> {
        // Another call may have taken this holder off since it was looked up; a second time would free what is held.
        if tx.get(Family::Gone, &gone_node(id))?.is_none() {
            return Ok(());
        }
        tx.delete(Family::Gone, &gone_node(id));
        self.drop_node(tx, id, 64)
    }

    fn drop_node(&self, tx: &mut Tx<'_>, id: u64, depth: usize) -> Result<()> {
        if !Self::release_node(tx, id)? {
            return Ok(());
        }
        let Some(node) = tx.record::<Node>(Family::Node, &id_key(id))? else { return Ok(()) };
        tx.delete(Family::Node, &id_key(id));
        match node {
            Node::Leaf(extents) => extents.iter().try_for_each(|extent| Self::unref_source(tx, extent.source)),
            Node::Inner(children) => children.iter().try_for_each(|(_, child)| {
                // A child met twice in one transaction must be counted twice: its mark in `gone` is one key.
                let mark = gone_node(*child);
                if depth > 0 && tx.get(Family::Gone, &mark)?.is_some() {
                    return self.drop_node(tx, *child, depth - 1);
                }
                tx.put_bytes(Family::Gone, &mark, Vec::new());
                Ok(())
            }),
        }
    }

    /// Deletes a segment or one-object file without live bytes, once that is durable.
    fn free_file(&self, seg_key: &[u8], unnamed: &mut Vec<Unnamed>) -> Result<bool> {
        let Some(id) = seg_key.get(1..).and_then(id_of) else { return Ok(false) };
        let solo = seg_key.first() == Some(&b's');
        if self.pending.has(id) {
            return Ok(false);
        }
        let may_be_named = match self.index.record::<SegRecord>(Family::Seg, seg_key)? {
            Some(record) => record.live_bytes > 0,
            // A salvaged index may have lost the record, and have the mark again.
            None => self.may_have_been_known(seg_key),
        };
        if may_be_named {
            self.transact(|tx| {
                tx.delete(Family::Gone, &gone_file(seg_key));
                Ok(())
            })?;
            return Ok(true);
        }
        if !solo {
            if self.log.is_open(SegmentId(id)) {
                return Ok(false);
            }
            // Closed, so nothing more comes in; what came in before is pending now, or committed.
            self.pending.settle();
        }
        let gone = self.transact_durably(|tx| {
            if self.pending.has(id) {
                return Ok(None);
            }
            let live: SegRecord = tx.record(Family::Seg, seg_key)?.unwrap_or_default();
            if live.live_bytes < 0 || (live.live_bytes == 0 && Self::is_shared(tx, seg_key)?) {
                return Err(Error::corrupt(
                    "cannot delete a file of the chunk log",
                    "its counters contradict each other",
                )
                .mend("run `keyfold fsck`"));
            }
            tx.delete(Family::Gone, &gone_file(seg_key));
            if live.live_bytes > 0 {
                return Ok(Some(false));
            }
            tx.delete(Family::Seg, seg_key);
            Ok(Some(true))
        });
        let gone = match gone {
            Ok(Some(gone)) => gone,
            Ok(None) => return Ok(false),
            // In doubt it stays, and is looked at again when the store is opened.
            Err(error) if error.kind() == Kind::Corrupt => {
                self.complain("free", None, &file_name(seg_key), &error);
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        if gone {
            if !solo || self.placement.is_several() {
                // Whoever finds the file missing must see that its bytes are elsewhere.
                self.moves.settle();
            }
            let deleted = if solo { self.log.delete_solo(SoloId(id)) } else { self.log.delete_segment(SegmentId(id)) };
            match deleted {
                Ok(file) => unnamed.push(file),
                Err(error) if error.kind() == Kind::NoSuchKey => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Whether some run of a segment, or a file of its own, is counted as held more than once.
    fn is_shared(read: &impl Read, seg_key: &[u8]) -> Result<bool> {
        let lower = match seg_key.split_first() {
            Some((b'g', id)) => [b"r", id].concat(),
            _ => seg_key.to_vec(),
        };
        read.any(Family::Refs, &lower, &[lower.as_slice(), &[0xff; 5]].concat())
    }

    /// Deletes files of earlier openings that the index does not know: a crash came before their commit.
    pub(super) fn sweep_orphans(&self) -> Result<()> {
        // What the index says must be durable, and nobody may be about to say something else.
        let _alone = self.reaping.lock();
        self.sync()?;
        let old = |epoch: u32| epoch < self.epoch;
        let mut unknown = BTreeSet::new();
        for segment in self.log.segments()?.into_iter().filter(|segment| old(segment.id.epoch())) {
            unknown.extend(self.unknown(Source::Run { segment: segment.id.0, offset: 0, len: 1, skip: 0 })?);
        }
        for solo in self.log.solos()?.into_iter().filter(|solo| old(solo.id.epoch())) {
            unknown.extend(self.unknown(Source::Solo { id: solo.id.0, at: 0 })?);
        }
        unknown.retain(|key| match (key.first(), key.get(1..).and_then(id_of)) {
            _ if self.may_have_been_known(key) => false,
            (Some(b'g'), Some(id)) => matches!(self.log.holds_notes(SegmentId(id)), Ok(false)),
            _ => true,
        });
        if unknown.is_empty() {
            return Ok(());
        }
        // That an index lost a file's record must not cost the file.
        if let Err(error) = self.spare_what_is_named(&mut unknown) {
            self.spoiled((Family::Seg, b""), None, &error);
            return Ok(());
        }
        for key in unknown {
            match (key.first(), key.get(1..).and_then(id_of)) {
                (Some(b'g'), Some(id)) => drop(self.log.delete_segment(SegmentId(id))?),
                (Some(b's'), Some(id)) => drop(self.log.delete_solo(SoloId(id))?),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a file is from before the index was made anew of what could be read: it may have been known to records that
    /// are lost, and an index built of the log alone finds what is in it.
    pub(super) fn may_have_been_known(&self, seg_key: &[u8]) -> bool {
        let Some(id) = seg_key.get(1..).and_then(id_of) else { return true };
        let epoch = if seg_key.first() == Some(&b's') { SoloId(id).epoch() } else { SegmentId(id).epoch() };
        match Self::sys_number(&self.index, SALVAGED_KEY) {
            Ok(last) => last.is_some_and(|last| u64::from(epoch) <= last),
            Err(_) => true,
        }
    }

    /// A file's key in `seg`, when the index has no such record.
    fn unknown(&self, source: Source) -> Result<Option<Vec<u8>>> {
        let Some(key) = seg_key(source) else { return Ok(None) };
        Ok(self.index.get(Family::Seg, &key)?.is_none().then_some(key))
    }

    /// Takes out the files that some extent names.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when a content or node cannot be read: nobody knows what it names.
    pub(super) fn spare_what_is_named(&self, files: &mut BTreeSet<Vec<u8>>) -> Result<()> {
        let mut spare = |extents: &[Extent]| {
            for key in extents.iter().filter_map(|extent| seg_key(extent.source)) {
                files.remove(&key);
            }
        };
        for found in self.index.scan(Family::Content, &[], &[0xff; 9])? {
            if let Body::Extents(extents) = decode::<ContentRecord>(&found?.1)?.body {
                spare(&extents);
            }
        }
        for found in self.index.scan(Family::Node, &[], &[0xff; 9])? {
            if let Node::Leaf(extents) = decode(&found?.1)? {
                spare(&extents);
            }
        }
        Ok(())
    }

    /// Lets the oldest changes go; whether there are more.
    fn trim_feed(&self) -> Result<bool> {
        let ((), newest) = self.index.transact(|_| Ok(()))?;
        if newest <= FEED_KEPT {
            return Ok(false);
        }
        let upper = id_key(newest - FEED_KEPT);
        let mut old = Vec::new();
        for found in self.index.scan(Family::Log, &[], &upper)?.take(STEP * 8) {
            old.push(found?.0);
        }
        if old.is_empty() {
            return Ok(false);
        }
        self.transact(|tx| {
            old.iter().for_each(|key| tx.delete(Family::Log, key));
            Ok(())
        })?;
        Ok(true)
    }
}
