//! History: listing a name's versions, purging one, restoring one, undeleting (DEL-5, DEL-6, VER-13, VER-14).

use super::Store;
use super::bucket::{need_factor, read_bucket};
use super::copy::CopyOptions;
use super::delete::Cause;
use super::find::{Found, Part, has_versions, versions_in};
use super::locks::Warrant;
use super::names::{dent, history_place_in, is_dir, live_dir, readable};
use super::stack::{
    Current, bucket_of, current, detach, dethrone, drop_content, hold_dir, newest_older, promote, release_hold,
    remove_older, revive, tidy,
};
use crate::index::{
    DentRecord, Family, OneCommit, Tx, component_of, dent_bounds, dent_key, next_name, ver_dir_bounds, ver_parts,
};
use crate::model::{Bucket, DirId, Error, Ino, Kind, Leave, Object, ObjectKey, Result, Seq, Timestamp, VersionId};

/// A name that has history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryName {
    /// The component.
    pub component: String,
    /// Whether it is a live name now.
    pub live: bool,
}

impl Store {
    /// All versions and markers of a name as of one commit, newest first, the current one among them; drafts are none.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn versions(&self, dirs: &[DirId], component: &str) -> Result<Vec<Object>> {
        self.look(|view, damage| versions_in(view, dirs, component, Part::ALL, damage))
    }

    /// The same of a key, and the directories, live and dead, and the component that they are found by.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn history_of(&self, bucket: &str, key: &ObjectKey) -> Result<(Vec<DirId>, String, Vec<Object>)> {
        self.look(|view, damage| {
            let (dirs, component) = history_place_in(view, bucket, key)?;
            let versions = versions_in(view, &dirs, &component, Part::ALL, damage)?;
            Ok((dirs, component, versions))
        })
    }

    /// One version or marker of a key, and where it is found.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn version_of(
        &self,
        bucket: &str,
        key: &ObjectKey,
        version: VersionId,
    ) -> Result<Option<(Vec<DirId>, String, Object)>> {
        self.index.at_once(|view| {
            let (dirs, component) = history_place_in(view, bucket, key)?;
            let found = self.find_version(view, &dirs, &component, (version, None))?;
            Ok(found.map(|found| (dirs, component, found.object)))
        })
    }

    /// Up to `limit` names after `after` that have versions, in the byte order of their components: live names and
    /// names of which only history is left.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn names_with_history(&self, dirs: &[DirId], after: Option<&str>, limit: usize) -> Result<Vec<HistoryName>> {
        let mut out: Vec<HistoryName> = Vec::new();
        let mut from = after.map(next_name).unwrap_or_default();
        let view = self.index.frozen();
        while out.len() < limit {
            let Some(component) = next_history_name(&view, dirs, &from)? else { break };
            let mut live = false;
            let mut draft = false;
            for dir in dirs {
                match readable(dent(&view, *dir, &component))? {
                    Some(DentRecord::Object { draft: is_draft, .. }) => (live, draft) = (!is_draft, is_draft),
                    Some(_) => live = true,
                    None => {}
                }
            }
            from = next_name(&component);
            if draft && !has_versions(&view, dirs, &component)? {
                continue;
            }
            out.push(HistoryName { component, live });
        }
        Ok(out)
    }

    /// Deletes one version or marker for good, seen last at the place `seq`. The next older version becomes current when the
    /// newest was deleted; deleting the topmost marker undeletes (VER-14).
    ///
    /// # Errors
    /// [`Kind::NoSuchVersion`]; [`Kind::Locked`] while it is protected; [`Kind::Denied`] without a second factor where one is needed (MFA-1).
    pub fn delete_version(&self, dirs: &[DirId], component: &str, version: VersionId, seq: Seq) -> Result<()> {
        self.delete_version_with(dirs, component, (version, seq), Leave::default())
    }

    /// The same for a caller who may what others may not.
    ///
    /// # Errors
    /// As [`Store::delete_version`].
    pub fn delete_version_with(
        &self,
        dirs: &[DirId],
        component: &str,
        (version, seq): (VersionId, Seq),
        leave: Leave,
    ) -> Result<()> {
        self.purge(version, Some(seq), leave, |_| Ok((dirs.to_vec(), component.to_owned()))).map(drop)
    }

    /// The same of a name that `find` finds in the transaction. Returns whether it was a marker.
    pub(super) fn purge(
        &self,
        version: VersionId,
        place: Option<Seq>,
        leave: Leave,
        find: impl FnOnce(&Tx<'_>) -> Result<(Vec<DirId>, String)>,
    ) -> Result<bool> {
        let (now, spare) = (self.now(), Ino(self.ids.take()));
        self.writable()?;
        self.make_room()?;
        let purged = self.commit_with(Warrant { leave, ..Warrant::default() }, |tx| {
            let (dirs, component) = find(tx)?;
            let found = self.find_version(tx, &dirs, &component, (version, place))?;
            let Found { dir, object, top } = found.ok_or_else(|| Self::no_version(version))?;
            let at = (dir, component.as_str());
            let bucket = bucket_of(tx, dir)?;
            need_factor(&bucket, leave, "delete a version for good")?;
            match top {
                Some(top) => {
                    self.drop_top(tx, &bucket, at, &top, now)?;
                    // The directory must outlive the moment between the two versions.
                    hold_dir(tx, dir)?;
                    if is_dir(&component) {
                        Self::clear_marker_object(tx, at, now)?;
                    } else {
                        detach(tx, dir, &component, now)?;
                    }
                    promote_next(tx, &dirs, &bucket, &component, spare, now)?;
                    release_hold(tx, dir, now)?;
                }
                None => {
                    self.purge_older(Cause::Asked, tx, (&bucket, &dirs), at, &object, (spare, now))?;
                }
            }
            Ok(object.marker)
        });
        purged.map(|(marker, _)| marker)
    }

    /// Deletes for good what lies below the current entry of a name, or a marker on top of it, in one of its directories.
    pub(super) fn purge_older(
        &self,
        cause: Cause,
        tx: &mut Tx<'_>,
        (bucket, dirs): (&Bucket, &[DirId]),
        at: (DirId, &str),
        object: &Object,
        (spare, now): (Ino, Timestamp),
    ) -> Result<()> {
        let was_top = newest_of(tx, dirs, at.1)? == Some((at.0, object.seq));
        remove_older(tx, bucket.id, at.0, at.1, object)?;
        self.announce(tx, cause.deleted(), at, object)?;
        if was_top {
            promote_next(tx, dirs, bucket, at.1, spare, now)?;
        }
        tidy(tx, at.0)
    }

    /// The bytes of a current entry go, and its name from its file's.
    fn drop_top(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        at: (DirId, &str),
        top: &Current,
        now: Timestamp,
    ) -> Result<()> {
        self.announce(tx, "ObjectRemoved:Delete", at, &top.object)?;
        if let Some(names) = &top.names {
            return self.unlink_one(tx, &unversioned(bucket), at, top, names, now);
        }
        dethrone(tx, bucket.id, &top.object)?;
        super::metering::charge_early(tx, bucket.id, &top.object)?;
        drop_content(tx, top.object.content)
    }

    /// Makes a version's bytes, metadata and tags the new current version (VER-13), in the first of the name's
    /// directories, which comes back to life with those above it. No data moves. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchVersion`], [`Kind::IsMarker`].
    pub fn restore(&self, dirs: &[DirId], component: &str, version: VersionId) -> Result<Object> {
        self.restore_into(dirs, component, version, |tx, now| {
            let first = dirs.first().ok_or_else(|| Self::no_version(version))?;
            revive(tx, *first, now)
        })
    }

    /// The same in a directory that must be live.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`] when it was removed, else as [`Store::restore`].
    pub fn restore_in(&self, dirs: &[DirId], component: &str, version: VersionId, dir: DirId) -> Result<Object> {
        self.restore_into(dirs, component, version, |tx, _| live_dir(tx, dir).map(|_| dir))
    }

    fn restore_into(
        &self,
        dirs: &[DirId],
        component: &str,
        version: VersionId,
        open: impl FnOnce(&mut Tx<'_>, Timestamp) -> Result<DirId>,
    ) -> Result<Object> {
        let (object, bucket, key) = self.transact_durably(|tx| {
            let now = self.stamp();
            let from = self.find_version(tx, dirs, component, (version, None))?;
            let from = from.ok_or_else(|| Self::no_version(version))?.object;
            if from.marker {
                return Err(Error::new(Kind::IsMarker, format!("cannot restore {component:?}"))
                    .why(format!("version {version} is a delete marker"))
                    .mend("choose an older version, or undelete"));
            }
            let at = (open(tx, now.0)?, component);
            let (bucket, prefix) = Self::key_prefix(tx, at.0)?;
            let key = ObjectKey::parse(&format!("{prefix}{component}"))?;
            let bucket = read_bucket(tx, bucket)?;
            let class = Self::class_of_new(tx, at.0, &from)?;
            let how = CopyOptions { class, posix: Some(from.posix.clone()), ..CopyOptions::default() };
            let object = self.copy_in(tx, &from, &bucket, at, &how.options(&from), now)?;
            Ok((object, bucket.name, key))
        })?;
        self.note_copy(&object, bucket.as_str(), key.as_str());
        Ok(object)
    }

    /// Deletes the markers on top of a name, so that its newest version is current again.
    ///
    /// # Errors
    /// [`Kind::NoSuchVersion`] when nothing is left to bring back, [`Kind::AlreadyExists`] when it is not deleted.
    pub fn undelete(&self, dirs: &[DirId], component: &str) -> Result<Object> {
        loop {
            let versions = self.versions(dirs, component)?;
            let (Some(top), true) = (versions.first(), versions.iter().any(|object| !object.marker)) else {
                return Err(Error::new(Kind::NoSuchVersion, format!("cannot undelete {component:?}"))
                    .why("no version of it is left")
                    .mend("see what there is with `keyfold versions`"));
            };
            if !top.marker {
                return Err(
                    Error::new(Kind::AlreadyExists, format!("cannot undelete {component:?}")).why("it is not deleted")
                );
            }
            self.delete_version(dirs, component, top.version, top.seq)?;
            let now_top = self.versions(dirs, component)?.into_iter().next();
            if let Some(object) = now_top.filter(|object| !object.marker) {
                return Ok(object);
            }
        }
    }
}

/// The first component at or after `from` in any of the directories, live or not.
pub(super) fn next_history_name(read: &impl OneCommit, dirs: &[DirId], from: &str) -> Result<Option<String>> {
    let mut best: Option<String> = None;
    let mut offer = |component: String| {
        if best.as_ref().is_none_or(|best| component.as_bytes() < best.as_bytes()) {
            best = Some(component);
        }
    };
    for dir in dirs {
        let upper = dent_bounds(*dir).1;
        for found in read.scan_past_damage(Family::Dent, &dent_key(*dir, from), &upper)? {
            if let Some(component) = component_of(&found?.0) {
                offer(component.to_owned());
                break;
            }
        }
        let (lower, upper) = ver_dir_bounds(*dir, from);
        for found in read.scan_past_damage(Family::Ver, &lower, &upper)? {
            let Some((_, component, _)) = ver_parts(&found?.0) else { continue };
            if component.as_str() >= from {
                offer(component);
                break;
            }
        }
    }
    Ok(best)
}

fn unversioned(bucket: &crate::model::Bucket) -> crate::model::Bucket {
    crate::model::Bucket { versioning: crate::model::Versioning::Unversioned, ..bucket.clone() }
}

/// The newest entry of a name over its directories: the current one, wherever it is, else the newest older one.
pub(super) fn newest_of(read: &impl OneCommit, dirs: &[DirId], component: &str) -> Result<Option<(DirId, Seq)>> {
    let mut newest: Option<(DirId, Seq)> = None;
    for dir in dirs {
        if let Some(top) = current(read, *dir, component)?.filter(|top| !top.draft) {
            return Ok(Some((*dir, top.object.seq)));
        }
        if let Some(object) = newest_older(read, *dir, component)?
            && newest.is_none_or(|(_, seq)| seq < object.seq)
        {
            newest = Some((*dir, object.seq));
        }
    }
    Ok(newest)
}

/// The newest entry is gone: the next one, in whichever of the name's directories, becomes current.
fn promote_next(
    tx: &mut Tx<'_>,
    dirs: &[DirId],
    bucket: &Bucket,
    component: &str,
    spare: Ino,
    now: Timestamp,
) -> Result<()> {
    match newest_of(tx, dirs, component)? {
        Some((dir, _)) => promote(tx, bucket, dir, component, spare, now),
        None => Ok(()),
    }
}
