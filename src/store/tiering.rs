//! The tiers of `INTELLIGENT_TIERING` (IT-1 to IT-12): which one an object is in follows from when it was used last and from
//! the instant; only what went into an archive tier is written down, since it stays there until it is restored.
//!
//! Uses are noted in memory and written down by [`Store::pass_time`], once a day for each object, so that no reader waits
//! for that. A crash loses those of the last moments.
//!
//! Locks: `uses` and `walk`, leaves.

mod document;

pub(super) use document::EXAMPLE;
pub use document::{ArchiveDays, TierElement, TierName, TieringAnd, TieringDocument, TieringElement, TieringFilter};

use super::Store;
use super::archive::archived;
use super::configurations::configurations_of;
use super::find::Found;
use super::lifecycle::Midnights;
use super::list::{ListVersions, VersionEntry};
use super::names::{history_place_in, readable};
use super::stack::bucket_of;
use crate::index::{Family, OneCommit, Read, Tx, id_key};
use crate::model::{
    ArchiveTier, Bucket, BucketId, DirId, Error, Kind, Ledger, Object, ObjectKey, Result, Seq, StorageClass, Timestamp,
    VersionId,
};
use crate::sys::sync::Mutex;
use std::collections::HashMap;
use std::time::Duration;

/// The document's name.
pub(super) const DOCUMENT: &str = "intelligent-tiering";
/// Bytes from which on an object is watched (IT-2).
pub const WATCHED_BYTES_MIN: u64 = 128 << 10;
/// Days without use after which an object is in the tiers below the frequent one (IT-1).
const INFREQUENT_DAYS: u32 = 30;
const INSTANT_DAYS: u32 = 90;
/// Uses that are in memory at most; what is used beyond that is noted when it is used again.
const USES_MAX: usize = 65_536;
/// Versions that one step of a walk looks at.
const PAGE: usize = 256;
/// Keys in `sys` of buckets whose objects are to be looked at since their configurations changed.
const CHANGED: &[u8] = b"tiering";

/// A tier of `INTELLIGENT_TIERING`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessTier {
    /// Used within 30 days, or small (IT-2).
    Frequent,
    /// Used within 90 days.
    Infrequent,
    /// Not used for 90 days.
    ArchiveInstant,
    /// In an archive, from which it must be restored.
    Archived(ArchiveTier),
}

impl AccessTier {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frequent => "FREQUENT",
            Self::Infrequent => "INFREQUENT",
            Self::ArchiveInstant => "ARCHIVE_INSTANT",
            Self::Archived(ArchiveTier::Archive) => "ARCHIVE",
            Self::Archived(ArchiveTier::DeepArchive) => "DEEP_ARCHIVE",
        }
    }
}

/// Whether it is watched: in `INTELLIGENT_TIERING` and large enough (IT-2).
pub(super) fn is_watched(object: &Object) -> bool {
    object.class == StorageClass::IntelligentTiering && !object.marker && object.size >= WATCHED_BYTES_MIN
}

/// When it was used last: by having been written, if not since.
fn last_use(object: &Object) -> Timestamp {
    object.aging.accessed.unwrap_or(object.since)
}

/// The tier of an object in `INTELLIGENT_TIERING` at `now`, with days of that length; `None` of any other class (IT-1, IT-2).
#[must_use]
pub fn access_tier(object: &Object, now: Timestamp, day: Duration) -> Option<AccessTier> {
    if object.class != StorageClass::IntelligentTiering {
        return None;
    }
    if let Some(tier) = archived(object, now) {
        return Some(AccessTier::Archived(tier));
    }
    let idle = |days| last_use(object).plus(day.saturating_mul(days)) <= now;
    Some(match () {
        () if !is_watched(object) || object.aging.archived.is_some() => AccessTier::Frequent,
        () if idle(INSTANT_DAYS) => AccessTier::ArchiveInstant,
        () if idle(INFREQUENT_DAYS) => AccessTier::Infrequent,
        () => AccessTier::Frequent,
    })
}

/// The archive tier that a watched object goes into next, and when (IT-3, IT-4).
fn next(object: &Object, days: ArchiveDays, day: Duration) -> Option<(Timestamp, ArchiveTier)> {
    let at = |days: u32, tier| (last_use(object).plus(day.saturating_mul(days)), tier);
    let archive = days.archive.filter(|_| object.aging.archived.is_none()).map(|days| at(days, ArchiveTier::Archive));
    let deep = days.deep.filter(|_| object.aging.archived != Some(ArchiveTier::DeepArchive));
    let deep = deep.map(|days| at(days, ArchiveTier::DeepArchive));
    // Of two that are due on one day, the deeper one.
    match (archive, deep) {
        (Some(archive), Some(deep)) => Some(if archive.0 < deep.0 { archive } else { deep }),
        (archive, deep) => archive.or(deep),
    }
}

/// Which version was used.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Used {
    /// One by its place, which may be in several directories of one path.
    At(Vec<DirId>, String),
    /// One by bucket and key.
    Key(String, ObjectKey),
}

/// The bucket that is walked, and the key and version after which it goes on.
type Walk = (BucketId, Option<(String, Option<VersionId>)>);

/// Uses that are not written down yet, and the walk that goes on.
#[derive(Default)]
pub(super) struct Uses {
    uses: Mutex<HashMap<(Used, VersionId, Seq), Timestamp>>,
    walk: Mutex<Option<Walk>>,
}

/// Whether a use at `now` is worth noting: the first of a day (IT-12).
fn is_news(object: &Object, now: Timestamp, day: Duration) -> bool {
    let midnights = Midnights::every(day);
    is_watched(object) && archived(object, now).is_none() && midnights.day_of(last_use(object)) < midnights.day_of(now)
}

/// Whether an error is about one name or version, which is gone or damaged.
pub(super) fn passes_by(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Corrupt | Kind::NoSuchBucket | Kind::NoSuchKey | Kind::NoSuchVersion | Kind::IsMarker | Kind::KeyTooLong
    )
}

fn changed_key(bucket: BucketId) -> Vec<u8> {
    [CHANGED, &id_key(bucket.0)].concat()
}

/// Has all objects of a bucket looked at, since its configurations changed.
pub(super) fn look_at_all(tx: &mut Tx<'_>, bucket: BucketId) {
    tx.put(Family::Sys, &changed_key(bucket), &1u64);
}

/// Has a bucket's objects looked at when a directory came to `prefix`: other configurations may be for what lies in it.
pub(super) fn look_at_moved(tx: &mut Tx<'_>, bucket: &Bucket, prefix: &str) -> Result<()> {
    let Some(document) = configurations_of::<TieringDocument>(bucket) else { return Ok(()) };
    if !document.is_by_prefix_at(prefix) {
        return Ok(());
    }
    let ledger: Ledger = readable(tx.record(Family::Usage, &id_key(bucket.id.0)))?.unwrap_or_default();
    if !ledger.complete || ledger.classes[StorageClass::IntelligentTiering].watched > 0 {
        look_at_all(tx, bucket.id);
    }
    Ok(())
}

impl Store {
    /// The tier of an object in `INTELLIGENT_TIERING` now, `None` of any other class.
    #[must_use]
    pub fn access_tier(&self, object: &Object) -> Option<AccessTier> {
        access_tier(object, self.now(), self.settings.day)
    }

    /// Notes that somebody used an object's bytes, whatever the door (IT-5, IT-12). Waits for nothing.
    pub fn used(&self, place: impl FnOnce() -> Used, object: &Object) {
        let now = self.now();
        if !is_news(object, now, self.settings.day) || self.is_read_only() {
            return;
        }
        let used = (place(), object.version, object.seq);
        let mut uses = self.uses.uses.lock();
        if uses.len() < USES_MAX {
            uses.insert(used, now);
        }
    }

    /// Writes down what was used.
    pub(super) fn note_uses(&self) -> Result<()> {
        let uses: Vec<_> = {
            let mut uses = self.uses.uses.lock();
            if uses.is_empty() {
                return Ok(());
            }
            uses.drain().collect()
        };
        for some in uses.chunks(PAGE) {
            self.transact(|tx| some.iter().try_for_each(|(used, at)| self.note_use(tx, used, *at)))?;
        }
        Ok(())
    }

    fn note_use(&self, tx: &mut Tx<'_>, (used, version, seq): &(Used, VersionId, Seq), at: Timestamp) -> Result<()> {
        let (dirs, component) = match used {
            Used::At(dirs, component) => (dirs.clone(), component.clone()),
            Used::Key(bucket, key) => match history_place_in(tx, bucket, key) {
                // Gone since.
                Err(error) if passes_by(&error) => return Ok(()),
                found => found?,
            },
        };
        let found = self.find_version(tx, &dirs, &component, (*version, Some(*seq)));
        let dir = match found {
            Ok(Some(Found { dir, object, .. })) if is_news(&object, at, self.settings.day) => dir,
            Err(error) if !passes_by(&error) => return Err(error),
            _ => return Ok(()),
        };
        let which = Some((*version, Some(*seq)));
        self.edit_version(tx, (dir, &component), which, |object| {
            object.aging.accessed = Some(at);
            Ok(true)
        })
        .map(drop)
    }

    /// The archive tier that a version goes into next by its bucket's configurations, and when.
    pub(super) fn next_tier(
        &self,
        read: &impl OneCommit,
        at: (DirId, &str),
        object: &Object,
    ) -> Result<Option<(Timestamp, ArchiveTier)>> {
        if !is_watched(object) {
            return Ok(None);
        }
        let Some(document) = configurations_of::<TieringDocument>(&bucket_of(read, at.0)?) else { return Ok(None) };
        let (_, prefix) = Self::key_prefix(read, at.0)?;
        let days = document.days(&format!("{prefix}{}", at.1), &object.tags);
        Ok(next(object, days, self.settings.day))
    }

    fn watch_one(&self, tx: &mut Tx<'_>, bucket: &str, entry: &VersionEntry) -> Result<()> {
        let (dirs, component) = history_place_in(tx, bucket, &ObjectKey::parse(&entry.key)?)?;
        let which = (entry.object.version, Some(entry.object.seq));
        match self.find_version(tx, &dirs, &component, which)? {
            Some(Found { dir, object, .. }) => self.await_time(tx, (dir, &component), &object),
            None => Ok(()),
        }
    }

    /// Looks at some more objects of a bucket whose configurations changed; whether there are more.
    pub(super) fn watch_more(&self) -> Result<bool> {
        let mut walk = self.uses.walk.lock().take();
        if walk.is_none() {
            let upper = [CHANGED, &[0xff; 9]].concat();
            for found in self.index.scan(Family::Sys, CHANGED, &upper)? {
                let key = found?.0;
                walk = key.strip_prefix(CHANGED).and_then(crate::index::id_of).map(|id| (BucketId(id), None));
                if walk.is_some() {
                    break;
                }
            }
        }
        let Some((id, from)) = walk else { return Ok(false) };
        let bucket = match self.bucket_by_id(id) {
            Err(error) if error.kind() == Kind::NoSuchBucket => {
                self.transact(|tx| {
                    tx.delete(Family::Sys, &changed_key(id));
                    Ok(())
                })?;
                return Ok(true);
            }
            bucket => bucket?,
        };
        if from.is_none() {
            // What changes from here on asks for another walk.
            self.transact(|tx| {
                tx.put(Family::Sys, &changed_key(id), &2u64);
                Ok(())
            })?;
        }
        let (key_marker, version_marker) = from.map_or((None, None), |(key, version)| (Some(key), version));
        let request = ListVersions { key_marker, version_marker, limit: PAGE, ..ListVersions::default() };
        let page = self.list_versions(bucket.name.as_str(), &request)?;
        self.transact(|tx| {
            for entry in page.versions.iter().filter(|entry| is_watched(&entry.object)) {
                match self.watch_one(tx, bucket.name.as_str(), entry) {
                    // What cannot be found or read keeps the others back from nothing.
                    Err(error) if passes_by(&error) => {}
                    done => done?,
                }
            }
            if page.next.is_none() && tx.record::<u64>(Family::Sys, &changed_key(id))? == Some(2) {
                tx.delete(Family::Sys, &changed_key(id));
            }
            Ok(())
        })?;
        *self.uses.walk.lock() = page.next.map(|next| (id, Some(next)));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::{AccessTier, ArchiveDays, ArchiveTier, Object, StorageClass, Timestamp, access_tier, is_news, next};
    use crate::model::{FileKind, Ino, Posix, Seq, VersionId};
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(86_400);
    const BEGINNING: Timestamp = Timestamp::new(1_767_225_600, 0);

    fn day(days: u32) -> Timestamp {
        BEGINNING.plus(DAY * days)
    }

    fn object(size: u64) -> Object {
        let posix = Posix::new(FileKind::File, 0o644, 0, 0, BEGINNING);
        let object = Object::empty(Ino(1), Seq(1), VersionId::Null, &posix, BEGINNING);
        Object { class: StorageClass::IntelligentTiering, size, ..object }
    }

    #[test]
    fn it_1_tiers_follow_from_when_an_object_was_used() {
        let mut large = object(128 << 10);
        let tier = |object: &Object, days| access_tier(object, day(days), DAY).unwrap().name();
        for (days, name) in [
            (0, "FREQUENT"),
            (29, "FREQUENT"),
            (30, "INFREQUENT"),
            (89, "INFREQUENT"),
            (90, "ARCHIVE_INSTANT"),
            (1000, "ARCHIVE_INSTANT"),
        ] {
            assert_eq!(tier(&large, days), name, "{days}");
        }
        large.aging.accessed = Some(day(100));
        assert_eq!((tier(&large, 129), tier(&large, 130)), ("FREQUENT", "INFREQUENT"));
        let standard = Object { class: StorageClass::Standard, ..object(1 << 20) };
        assert_eq!(access_tier(&standard, day(100), DAY), None);
    }

    #[test]
    fn it_2_small_objects_are_never_watched() {
        let small = object((128 << 10) - 1);
        assert_eq!(access_tier(&small, day(1000), DAY), Some(AccessTier::Frequent));
        assert!(!is_news(&small, day(1000), DAY) && is_news(&object(128 << 10), day(1), DAY));
        assert!(!is_news(&object(128 << 10), BEGINNING.plus(DAY / 2), DAY), "once a day is enough (IT-12)");
    }

    #[test]
    fn it_3_and_it_4_archive_tiers_take_objects_when_they_are_asked_to() {
        let (archive, deep) = (ArchiveTier::Archive, ArchiveTier::DeepArchive);
        let mut object = object(1 << 20);
        for (days, after) in [
            (ArchiveDays::default(), None),
            (ArchiveDays { archive: Some(90), deep: None }, Some((day(90), archive))),
            (ArchiveDays { archive: Some(90), deep: Some(180) }, Some((day(90), archive))),
            (ArchiveDays { archive: None, deep: Some(180) }, Some((day(180), deep))),
            (ArchiveDays { archive: Some(200), deep: Some(180) }, Some((day(180), deep))),
            (ArchiveDays { archive: Some(180), deep: Some(180) }, Some((day(180), deep))),
        ] {
            assert_eq!(next(&object, days, DAY), after, "{days:?}");
        }
        let both = ArchiveDays { archive: Some(90), deep: Some(180) };
        object.aging.archived = Some(archive);
        assert_eq!(next(&object, both, DAY), Some((day(180), deep)));
        assert_eq!(access_tier(&object, day(90), DAY), Some(AccessTier::Archived(archive)));
        object.aging.archived = Some(deep);
        assert_eq!(next(&object, both, DAY), None);
    }
}
