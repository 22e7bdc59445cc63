//! Steps between storage classes: which are allowed (SC-12, LC-13, LC-14), and taking one in place (LC-31).
//!
//! The class is the record's alone. Bytes are shared by versions of several classes (copies, edits), so where they lie follows
//! from the classes of all who hold a content, not from one step.

mod facts;

pub use facts::{ClassFacts, DURABILITY, DURABILITY_IN_WORDS, facts};

use super::Store;
use super::archive::archived;
use super::lifecycle::leads_from;
use super::metering::{add_to, count_edit};
use super::names::{LEVELS_MAX, dir_record, dir_stat, live_dir, no_such_name};
use super::stack::{current, rewrite};
use crate::index::{Family, OneCommit, Tx, VerRecord, id_key, ver_key};
use crate::model::{Aging, ClassMeter, DirId, Error, Kind, Object, Result, Seq, StorageClass, Timestamp, VersionId};

/// Whether a version may be taken to another class where it stands at `now`: down the waterfall, from an archive tier of
/// `INTELLIGENT_TIERING` into archives only that are no nearer.
#[must_use]
pub fn may_move(object: &Object, to: StorageClass, now: Timestamp) -> bool {
    let tier = archived(object, now).filter(|_| object.class == StorageClass::IntelligentTiering);
    leads_from(object.class, tier, to)
}

/// Whether a copy of a readable object onto itself may have that class: up and down, but for one step (SC-12).
#[must_use]
pub const fn may_copy(from: StorageClass, to: StorageClass) -> bool {
    !matches!((from, to), (StorageClass::OnezoneIa, StorageClass::GlacierIr))
}

/// Takes a version that stands at `now` to another class, with all else it has.
pub(super) fn sink(object: &mut Object, to: StorageClass, now: Timestamp) -> Result<()> {
    if !may_move(object, to, now) {
        return Err(Error::new(Kind::InvalidArgument, format!("cannot move the object to {}", to.name()))
            .why(format!("no step leads there from {} (LC-13, LC-14)", object.class.name()))
            .mend("go down only; upwards leads a copy, of an archived object once it is restored"));
    }
    object.aging = match to {
        // IT-1
        StorageClass::IntelligentTiering => Aging { accessed: Some(now), ..Aging::default() },
        // A restored copy lives on; the least of days counts from here (SC-13).
        _ => Aging {
            accessed: Some(now).filter(|_| facts(to).days_min > 0),
            restore: object.aging.restore.filter(|_| object.class == StorageClass::Glacier),
            ..Aging::default()
        },
    };
    object.class = to;
    Ok(())
}

/// On whose account a version changes its class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mover {
    /// Somebody asked for it.
    Caller,
    /// A lifecycle rule, which is announced (LC-32).
    Lifecycle,
}

/// A step to another class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The class the version must have; any when absent.
    pub from: Option<StorageClass>,
    /// The class it gets.
    pub to: StorageClass,
    /// On whose account.
    pub by: Mover,
}

/// Which version of a name is meant: the current one, a draft included, or the one with that id, where it was seen last.
pub(super) type Which = Option<(VersionId, Option<Seq>)>;

/// A version that was looked at in a transaction, and changed or not.
pub(super) struct Edited {
    pub(super) object: Object,
    pub(super) changed: bool,
    pub(super) draft: bool,
}

/// The class of a file that is made in a directory on a mount: that of the nearest directory above that names one.
pub(super) fn default_class(read: &impl OneCommit, dir: DirId) -> Result<StorageClass> {
    let mut id = dir;
    for _ in 0..=LEVELS_MAX {
        let record = dir_record(read, id)?;
        match record.class {
            Some(class) => return Ok(class),
            None if record.parent == id => break,
            None => id = record.parent,
        }
    }
    Ok(StorageClass::Standard)
}

impl Store {
    /// The class of a version that takes the place of `old` on a mount, or is made of it: the same, but what lies in an
    /// archive leaves that for the class of new files.
    pub(super) fn class_of_new(read: &impl OneCommit, dir: DirId, old: &Object) -> Result<StorageClass> {
        match old.class {
            StorageClass::Glacier | StorageClass::DeepArchive => default_class(read, dir),
            class => Ok(class),
        }
    }

    /// The class that files get which are made in a directory on a mount.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`] when it was removed.
    pub fn class_in(&self, dir: DirId) -> Result<StorageClass> {
        self.index.at_once(|view| default_class(view, dir))
    }

    /// Sets the class of files that are made in a directory and below it on a mount; that of the directory above when absent.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`] when it was removed.
    pub fn set_default_class(&self, dir: DirId, class: Option<StorageClass>) -> Result<()> {
        let now = self.now();
        self.transact(|tx| {
            let mut record = live_dir(tx, dir)?;
            record.class = class;
            let mut stat = dir_stat(tx, dir)?;
            stat.ctime = now;
            tx.put(Family::Dir, &id_key(dir.0), &record);
            tx.put(Family::DirStat, &id_key(dir.0), &stat);
            Ok(())
        })
    }

    /// Takes a version to another class where it stands: its id, Last-Modified, tag, tags, metadata and checksums stay
    /// (LC-31). Nothing happens to one that has the class.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`], [`Kind::NoSuchVersion`], [`Kind::IsMarker`]; [`Kind::Conflict`] when it has not the class expected,
    /// [`Kind::InvalidArgument`] when no step leads there.
    pub fn transition(
        &self,
        at: (DirId, &str),
        version: Option<(VersionId, Option<Seq>)>,
        step: Step,
    ) -> Result<Object> {
        self.transact(|tx| self.transition_in(tx, at, version, step))
    }

    /// The same within a transaction.
    pub(super) fn transition_in(
        &self,
        tx: &mut Tx<'_>,
        at: (DirId, &str),
        version: Which,
        step: Step,
    ) -> Result<Object> {
        let now = self.now();
        let edited = self.edit_version(tx, at, version, |object| {
            if let Some(from) = step.from.filter(|from| *from != object.class) {
                return Err(Error::new(Kind::Conflict, format!("cannot move the object to {}", step.to.name()))
                    .why(format!("it has the class {}, not {}", object.class.name(), from.name())));
            }
            if object.class == step.to {
                return Ok(false);
            }
            sink(object, step.to, now).map(|()| true)
        })?;
        if edited.changed && !edited.draft {
            self.await_time(tx, at, &edited.object)?;
            if step.by == Mover::Lifecycle {
                let bucket = dir_record(tx, at.0)?.bucket;
                let transitions = ClassMeter { transitions: 1, ..ClassMeter::default() };
                add_to(tx, bucket, step.to, transitions)?;
                self.announce(tx, "LifecycleTransition", at, &edited.object)?;
            }
        }
        Ok(edited.object)
    }

    /// Changes a version where it stands; `edit` says whether it did.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`], [`Kind::NoSuchVersion`], [`Kind::IsMarker`], and what `edit` returns.
    pub(super) fn edit_version(
        &self,
        tx: &mut Tx<'_>,
        at: (DirId, &str),
        version: Which,
        edit: impl FnOnce(&mut Object) -> Result<bool>,
    ) -> Result<Edited> {
        let (mut object, top) = match version {
            None => {
                let file = current(tx, at.0, at.1)?.ok_or_else(|| no_such_name(at.1))?;
                (file.object.clone(), Some(file))
            }
            Some((id, place)) => {
                let found = self.find_version(tx, &[at.0], at.1, (id, place))?;
                let found = found.ok_or_else(|| Self::no_version(id))?;
                (found.object, found.top)
            }
        };
        if object.marker {
            return Err(Error::new(Kind::IsMarker, "cannot change a delete marker")
                .why("it has no bytes, no class and no tags (VER-11, TAG-9)"));
        }
        let before = object.clone();
        let changed = edit(&mut object)?;
        let draft = top.as_ref().is_some_and(|top| top.draft);
        if changed {
            let names = top.as_ref().map(|top| if top.draft { 0 } else { top.nlink() });
            count_edit(tx, at.0, (&before, &object), names)?;
            match top {
                Some(mut top) => {
                    top.object = object.clone();
                    rewrite(tx, at.0, at.1, top)?;
                }
                None => tx.put(Family::Ver, &ver_key(at.0, at.1, object.seq), &VerRecord::Object(object.clone())),
            }
        }
        Ok(Edited { object, changed, draft })
    }
}
