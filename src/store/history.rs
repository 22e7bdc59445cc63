//! History: listing a name's versions, purging one, restoring one, undeleting (DEL-5, DEL-6, VER-13, VER-14).

use super::Store;
use super::copy::CopyOptions;
use super::names::{dent, dir_record, is_dir, readable};
use super::stack::{
    bucket_of, current, detach, dethrone, drop_content, hold_dir, newest_older, older, promote, release_hold,
    remove_older, tidy,
};
use crate::index::{
    DentRecord, Family, Read, Tx, VerRecord, component_of, decode, dent_bounds, dent_key, next_name, ver_bounds,
    ver_dir_bounds, ver_parts,
};
use crate::model::{Bucket, DirId, Error, Ino, Kind, Object, ObjectKey, Result, Seq, Timestamp, VersionId};

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
    /// Not for use in a transaction.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn versions(&self, dirs: &[DirId], component: &str) -> Result<Vec<Object>> {
        const TIMES: usize = 4;
        for _ in 0..TIMES {
            let before = self.commits();
            let found = self.versions_now(dirs, component);
            if self.commits() == before {
                return found;
            }
            // What a commit moved from one record to another meanwhile was seen twice or not at all.
        }
        // Between two commits, which wait.
        self.index.transact(|_| self.versions_now(dirs, component)).map(|(found, _)| found)
    }

    fn versions_now(&self, dirs: &[DirId], component: &str) -> Result<Vec<Object>> {
        let (mut top, mut out) = (Vec::new(), Vec::new());
        for dir in dirs {
            match current(&self.index, *dir, component) {
                Ok(current) => top.extend(current.filter(|current| !current.draft).map(|current| current.object)),
                Err(error) if error.kind() == Kind::NoSuchKey => {}
                Err(error) if error.kind() == Kind::Corrupt => {
                    self.spoiled((Family::Dent, &dent_key(*dir, component)), Some((*dir, component)), &error);
                }
                Err(error) => return Err(error),
            }
            out.extend(self.older_told(*dir, component)?);
        }
        out.sort_by_key(|object| std::cmp::Reverse(object.seq));
        // A directory that was renamed over a dead one brings current versions that are older than that one's history.
        out.splice(0..0, top);
        Ok(out)
    }

    /// Versions and markers below the current entry; damaged ones are passed by, and told of once.
    fn older_told(&self, dir: DirId, component: &str) -> Result<Vec<Object>> {
        let (lower, upper) = ver_bounds(dir, component);
        let mut out = Vec::new();
        for found in self.index.scan_past_damage(Family::Ver, &lower, &upper)? {
            let (key, value) = found?;
            match decode(&value) {
                Ok(VerRecord::Object(object)) => out.push(object),
                Ok(VerRecord::Ghost { .. }) => {}
                Err(error) => {
                    let place = ver_parts(&key).map_or(0, |(_, _, seq)| seq.0);
                    let error = Error::corrupt("cannot read a version", format!("place {place}: {}", error.reason()));
                    self.spoiled((Family::Ver, &key), Some((dir, component)), &error);
                }
            }
        }
        Ok(out)
    }

    /// Up to `limit` names after `after` that have versions, in the byte order of their components: live names and
    /// names of which only history is left.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn names_with_history(&self, dirs: &[DirId], after: Option<&str>, limit: usize) -> Result<Vec<HistoryName>> {
        let mut out: Vec<HistoryName> = Vec::new();
        let mut from = after.map(next_name).unwrap_or_default();
        while out.len() < limit {
            let Some(component) = self.next_history_name(dirs, &from)? else { break };
            let mut live = false;
            let mut draft = false;
            for dir in dirs {
                match readable(dent(&self.index, *dir, &component))? {
                    Some(DentRecord::Object { draft: is_draft, .. }) => (live, draft) = (!is_draft, is_draft),
                    Some(_) => live = true,
                    None => {}
                }
            }
            from = next_name(&component);
            if draft && self.versions(dirs, &component)?.is_empty() {
                continue;
            }
            out.push(HistoryName { component, live });
        }
        Ok(out)
    }

    /// The first component at or after `from` in any of the directories, live or not.
    pub(super) fn next_history_name(&self, dirs: &[DirId], from: &str) -> Result<Option<String>> {
        let mut best: Option<String> = None;
        let mut offer = |component: String| {
            if best.as_ref().is_none_or(|best| component.as_bytes() < best.as_bytes()) {
                best = Some(component);
            }
        };
        for dir in dirs {
            let upper = dent_bounds(*dir).1;
            for found in self.index.scan_past_damage(Family::Dent, &dent_key(*dir, from), &upper)? {
                if let Some(component) = component_of(&found?.0) {
                    offer(component.to_owned());
                    break;
                }
            }
            let (lower, upper) = ver_dir_bounds(*dir, from);
            for found in self.index.scan_past_damage(Family::Ver, &lower, &upper)? {
                let Some((_, component, _)) = ver_parts(&found?.0) else { continue };
                if component.as_str() >= from {
                    offer(component);
                    break;
                }
            }
        }
        Ok(best)
    }

    /// Deletes one version or marker for good. The next older version becomes current when the newest was deleted;
    /// deleting the topmost marker undeletes (VER-14).
    ///
    /// # Errors
    /// [`Kind::NoSuchVersion`].
    pub fn delete_version(&self, dirs: &[DirId], component: &str, version: VersionId, seq: Seq) -> Result<()> {
        let (now, spare) = (self.now(), Ino(self.ids.take()));
        let touched = self.transact(|tx| {
            for dir in dirs {
                let bucket = bucket_of(tx, *dir)?;
                let is_it = |object: &Object| object.seq == seq && object.version == version;
                let top = current(tx, *dir, component)?.filter(|top| !top.draft);
                if let Some(top) = top.as_ref().filter(|top| is_it(&top.object)) {
                    self.announce(tx, "ObjectRemoved:Delete", (*dir, component), &top.object)?;
                    if let Some(names) = top.names.clone() {
                        self.unlink_one(tx, &unversioned(&bucket), (*dir, component), top, &names, now)?;
                    } else {
                        dethrone(tx, bucket.id, &top.object)?;
                        drop_content(tx, top.object.content)?;
                    }
                    // The directory must outlive the moment between the two versions.
                    hold_dir(tx, *dir)?;
                    if is_dir(component) {
                        Self::clear_marker_object(tx, (*dir, component), now)?;
                    } else {
                        detach(tx, *dir, component, now)?;
                    }
                    promote_next(tx, dirs, &bucket, component, spare, now)?;
                    release_hold(tx, *dir, now)?;
                    return Ok(Some((*dir, top.object.ino)));
                }
                let Some(object) = older(tx, *dir, component)?.into_iter().find(|object| is_it(object)) else {
                    continue;
                };
                let was_top = newest_of(tx, dirs, component)? == Some((*dir, seq));
                remove_older(tx, bucket.id, *dir, component, &object)?;
                self.announce(tx, "ObjectRemoved:Delete", (*dir, component), &object)?;
                if was_top {
                    promote_next(tx, dirs, &bucket, component, spare, now)?;
                }
                tidy(tx, *dir)?;
                return Ok(was_top.then_some((*dir, object.ino)));
            }
            Err(Self::no_version(version))
        })?;
        if let Some((dir, ino)) = touched {
            self.tell_up(dir);
            self.invalidate(dir, component, Some(ino));
        }
        Ok(())
    }

    /// Tells listeners about a directory and those above it, which may have come back to life.
    fn tell_up(&self, dir: DirId) {
        let mut at = dir;
        for _ in 0..4096 {
            let Ok(record) = dir_record(&self.index, at) else { return };
            if record.parent == at {
                return;
            }
            self.invalidate(record.parent, &record.name, Some(at.into()));
            at = record.parent;
        }
    }

    /// Makes a version's bytes, metadata and tags the new current version (VER-13). No data moves.
    ///
    /// # Errors
    /// [`Kind::NoSuchVersion`], [`Kind::IsMarker`].
    pub fn restore(&self, dirs: &[DirId], component: &str, version: VersionId) -> Result<Object> {
        let found = self.versions(dirs, component)?.into_iter().find(|object| object.version == version);
        let object = found.ok_or_else(|| Self::no_version(version))?;
        if object.marker {
            return Err(Error::new(Kind::IsMarker, format!("cannot restore {component:?}"))
                .why(format!("version {version} is a delete marker"))
                .mend("choose an older version, or undelete"));
        }
        let dir = dirs.first().copied().unwrap_or_default();
        let (bucket, prefix) = self.path_of(dir)?;
        let key = ObjectKey::parse(&format!("{prefix}{component}"))?;
        let how = CopyOptions { class: object.class, posix: Some(object.posix.clone()), ..CopyOptions::default() };
        self.copy(&object, bucket.name.as_str(), &key, &how)
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

fn unversioned(bucket: &crate::model::Bucket) -> crate::model::Bucket {
    crate::model::Bucket { versioning: crate::model::Versioning::Unversioned, ..bucket.clone() }
}

/// The newest entry of a name over its directories: the current one, wherever it is, else the newest older one.
fn newest_of(read: &impl Read, dirs: &[DirId], component: &str) -> Result<Option<(DirId, Seq)>> {
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
