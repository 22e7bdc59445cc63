//! Archived objects: who may read them, asking for a restore, and what time does to both (SC-5, SC-6, RST, IT-8).
//!
//! Whether bytes can be read follows from the record and the instant alone, so nothing has to run for a copy to come or go. The
//! queue `due` is for what has to be told, or written down: [`Store::pass_time`] looks at what has come due.

mod decide;

pub use decide::{Granted, RESTORE_DAYS_MAX, RestoreDelay, RestoreWish, archived, restore_text};

use super::Store;
use super::class::Which;
use super::find::in_one_of;
use super::metering;
use super::names::readable;
use super::stack::{Current, current};
use super::tiering;
use crate::index::{Family, OneCommit, Read, Tx, VerRecord, due_key, due_parts, id_key, ver_key};
use crate::model::{DirId, Ino, Object, ObjectKey, Result, Seq, Timestamp, VersionId};
use decide::Calendar;

/// Entries of the queue that one transaction looks at.
const BATCH: usize = 64;

/// What comes next to a version with time.
enum Coming {
    Restore,
    Tier(crate::model::ArchiveTier),
}

impl Store {
    /// Whether a version's bytes can be read now: what every reader asks, whatever its door.
    ///
    /// # Errors
    /// [`crate::model::Kind::Archived`].
    pub fn readable(&self, object: &Object) -> Result<()> {
        match archived(object, self.now()) {
            None => Ok(()),
            Some(tier) => Err(decide::refusal(object, tier)),
        }
    }

    /// Asks for a version to be restored (RST-1, RST-11); the current one when none is named.
    ///
    /// # Errors
    /// [`crate::model::Kind::NoSuchKey`], [`crate::model::Kind::NoSuchVersion`], [`crate::model::Kind::IsMarker`]; [`crate::model::Kind::NotArchived`], [`crate::model::Kind::InActiveTier`],
    /// [`crate::model::Kind::Restoring`], [`crate::model::Kind::InvalidArgument`] as the rules have it.
    pub fn request_restore(
        &self,
        at: (DirId, &str),
        version: Option<(VersionId, Option<Seq>)>,
        wish: RestoreWish,
    ) -> Result<(Object, Granted)> {
        let calendar = Calendar { day: self.settings.day, delay: self.settings.restore_delay };
        self.transact(|tx| {
            let (now, mut granted, mut late) = (self.now(), None, Vec::new());
            let edited = self.edit_version(tx, at, version, |object| {
                // What was due before is told first.
                late.extend(std::iter::from_fn(|| decide::step(&mut object.aging, now)));
                let grant = decide::grant(object, wish, now, calendar)?;
                object.aging.restore = Some(grant.restore());
                granted = Some(grant);
                Ok(true)
            })?;
            let granted = granted.ok_or_else(|| super::names::no_such_name(at.1))?;
            if matches!(granted, Granted::Begun(_) | Granted::Hastened(_)) {
                metering::count_restore(tx, at.0, &edited.object, granted.restore().tier)?;
            }
            late.extend(matches!(granted, Granted::Begun(_)).then_some("ObjectRestore:Post"));
            for event in late {
                self.announce(tx, event, at, &edited.object)?;
            }
            let which = Some((edited.object.version, Some(edited.object.seq)));
            let object = self.advance(tx, at, which, edited.object, now)?;
            Ok((object, granted))
        })
    }

    /// The same by bucket and key.
    ///
    /// # Errors
    /// [`crate::model::Kind::NoSuchBucket`], else as [`Store::request_restore`].
    pub fn restore_archived(
        &self,
        bucket: &str,
        key: &ObjectKey,
        version: Option<VersionId>,
        wish: RestoreWish,
    ) -> Result<Granted> {
        let object = self.get(bucket, key, version)?;
        let (dirs, component) = self.history_place(bucket, key)?;
        let which = Some((object.version, Some(object.seq)));
        let done = in_one_of(&dirs, |dir| self.request_restore((dir, &component), which, wish));
        done.unwrap_or_else(|| Err(Self::no_version(object.version))).map(|(_, granted)| granted)
    }

    /// What time does next to a version that stands there, and when.
    fn coming(&self, read: &impl OneCommit, at: (DirId, &str), object: &Object) -> Result<Option<(Timestamp, Coming)>> {
        if let Some(due) = decide::due(&object.aging) {
            return Ok(Some((due, Coming::Restore)));
        }
        let next = self.next_tier(read, at, object)?;
        Ok(next.map(|(due, tier)| (due, Coming::Tier(tier))))
    }

    /// Has a version that stands there looked at when time changes it.
    pub(super) fn await_time(&self, tx: &mut Tx<'_>, at: (DirId, &str), object: &Object) -> Result<()> {
        if object.aging.restore.is_none() && !tiering::is_watched(object) {
            return Ok(());
        }
        if let Some((due, _)) = self.coming(tx, at, object)? {
            tx.put(Family::Due, &due_key(due, at.0, at.1, object.seq), &object.ino.0);
        }
        Ok(())
    }

    /// Carries out what has come due of a version, and has it looked at again when more does. Returns it as it is then.
    fn advance(
        &self,
        tx: &mut Tx<'_>,
        at: (DirId, &str),
        which: Which,
        mut object: Object,
        now: Timestamp,
    ) -> Result<Object> {
        let mut events = Vec::new();
        while let Some((due, coming)) = self.coming(tx, at, &object)? {
            if due > now {
                break;
            }
            match coming {
                Coming::Restore => events.extend(decide::step(&mut object.aging, now)),
                Coming::Tier(tier) => {
                    object.aging.archived = Some(tier);
                    events.push("IntelligentTiering");
                }
            }
        }
        if !events.is_empty() {
            let aging = object.aging;
            self.edit_version(tx, at, which, |object| {
                object.aging = aging;
                Ok(true)
            })?;
            for event in events {
                self.announce(tx, event, at, &object)?;
            }
        }
        self.await_time(tx, at, &object)?;
        Ok(object)
    }

    /// Looks at versions that have come due, and at objects in `INTELLIGENT_TIERING` that were used. Returns when the next one
    /// comes due; an instant that has passed when there is more to do at once.
    ///
    /// # Errors
    /// When the index cannot be read or written; what was done stays done, and none of it waits for the rest.
    pub fn pass_time(&self) -> Result<Option<Timestamp>> {
        let next = self.do_due();
        let done = [self.note_uses(), self.note_requests(), self.forget_months(), self.settle_sums()];
        let more = self.watch_more();
        done.into_iter().collect::<Result<()>>()?;
        let next = next?;
        Ok(if more? { Some(Timestamp::default()) } else { next })
    }

    /// Counts what releases before did not, classes of buckets and sums of directories, and sums that were found damaged: walks
    /// over all names, each once and without keeping anybody out.
    ///
    /// # Errors
    /// When the index cannot be read or written; [`crate::model::Kind::StoreUnavailable`] when the process is ending.
    pub fn count_once(&self) -> Result<()> {
        let classes = self.count_classes();
        self.build_sums()?;
        classes
    }

    /// Looks at versions that have come due, a batch of them. Returns as [`Store::pass_time`].
    fn do_due(&self) -> Result<Option<Timestamp>> {
        let now = self.now();
        let mut keys = Vec::new();
        for found in self.index.scan(Family::Due, &[], &[0xff; 9])? {
            let key = found?.0;
            let due = due_parts(&key).map(|(secs, ..)| Timestamp::new(secs, 0));
            match due {
                // A key that cannot be read goes, too.
                Some(due) if due > now => {
                    if keys.is_empty() {
                        return Ok(Some(due));
                    }
                    break;
                }
                _ => keys.push(key.to_vec()),
            }
            if keys.len() == BATCH {
                break;
            }
        }
        if keys.is_empty() {
            return Ok(None);
        }
        self.transact(|tx| keys.iter().try_for_each(|key| self.look_at_due(tx, key, now)))?;
        Ok(Some(Timestamp::default()))
    }

    fn look_at_due(&self, tx: &mut Tx<'_>, key: &[u8], now: Timestamp) -> Result<()> {
        let Ok(ino) = tx.record::<u64>(Family::Due, key) else {
            tx.delete(Family::Due, key);
            return Ok(());
        };
        let Some(ino) = ino else { return Ok(()) };
        tx.delete(Family::Due, key);
        let Some((_, dir, component, seq)) = due_parts(key) else { return Ok(()) };
        match Self::standing(tx, (dir, &component), seq, Ino(ino)) {
            Ok(Some((dir, component, object))) => {
                let which = Some((object.version, Some(seq)));
                match self.advance(tx, (dir, &component), which, object, now) {
                    // Of a name whose directory is gone or damaged nobody can be told; the others go on.
                    Err(error) if tiering::passes_by(&error) => Ok(()),
                    done => done.map(drop),
                }
            }
            Ok(None) => Ok(()),
            Err(error) if tiering::passes_by(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The version at a place of a name, or of another name of the same file.
    fn standing(
        tx: &Tx<'_>,
        (dir, component): (DirId, &str),
        seq: Seq,
        ino: Ino,
    ) -> Result<Option<(DirId, String, Object)>> {
        let is_it = |file: &Current| !file.draft && file.object.seq == seq;
        if let Some(file) = readable(current(tx, dir, component))?.filter(is_it) {
            return Ok(Some((dir, component.to_owned(), file.object)));
        }
        if let Some(VerRecord::Object(object)) = readable(tx.record(Family::Ver, &ver_key(dir, component, seq)))? {
            return Ok(Some((dir, component.to_owned(), object)).filter(|(_, _, object)| !object.marker));
        }
        let linked: Option<crate::index::InodeRecord> = readable(tx.record(Family::Ino, &id_key(ino.0)))?;
        let Some(linked) = linked.filter(|file| !file.draft && file.object.seq == seq) else { return Ok(None) };
        Ok(linked.names.first().cloned().map(|(dir, name)| (dir, name, linked.object)))
    }
}
