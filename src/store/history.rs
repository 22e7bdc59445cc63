//! History: listing a name's versions, purging one, restoring one, undeleting (DEL-5, DEL-6, VER-13, VER-14).

use super::Store;
use super::copy::CopyOptions;
use super::names::{dent, dir_record, is_dir};
use super::stack::{
    bucket_of, current, detach, dethrone, drop_content, older, promote, remove_older, tidy, ver_component,
};
use crate::index::{DentRecord, Family, Read, component_of, dent_bounds, dent_key, id_key, next_name, ver_dir_bounds};
use crate::model::{DirId, Error, Kind, Object, ObjectKey, Result, Seq, VersionId};

/// A name that has history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryName {
    /// The component.
    pub component: String,
    /// Whether it is a live name now.
    pub live: bool,
}

impl Store {
    /// All versions and markers of a name, newest first, the current one among them; drafts are none.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn versions(&self, dirs: &[DirId], component: &str) -> Result<Vec<Object>> {
        let mut out = Vec::new();
        for dir in dirs {
            if let Some(current) = current(&self.index, *dir, component)?.filter(|current| !current.draft) {
                out.push(current.object);
            }
            out.extend(older(&self.index, *dir, component)?);
        }
        out.sort_by_key(|object| std::cmp::Reverse(object.seq));
        out.dedup_by_key(|object| object.seq);
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
                match dent(&self.index, *dir, &component)? {
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
            if let Some(found) = self.index.scan(Family::Dent, &dent_key(*dir, from), &upper)?.next() {
                if let Some(component) = component_of(&found?.0) {
                    offer(component.to_owned());
                }
            }
            let (lower, upper) = ver_dir_bounds(*dir, from);
            for found in self.index.scan(Family::Ver, &lower, &upper)? {
                let (_, component, _) = ver_component(&found?.0)?;
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
        let now = self.now();
        let touched = self.transact(|tx| {
            let newest = newest_of(tx, dirs, component)?;
            for dir in dirs {
                let bucket = bucket_of(tx, *dir)?;
                let top = current(tx, *dir, component)?;
                if let Some(top) =
                    top.filter(|top| !top.draft && top.object.seq == seq && top.object.version == version)
                {
                    self.announce(tx, "ObjectRemoved:Delete", (*dir, component), &top.object)?;
                    if let Some(names) = top.names.clone() {
                        self.unlink_one(tx, &unversioned(&bucket), (*dir, component), &top, &names, now)?;
                    } else {
                        dethrone(tx, bucket.id, &top.object)?;
                        drop_content(tx, top.object.content)?;
                    }
                    if is_dir(component) {
                        Self::clear_marker_object(tx, (*dir, component), now)?;
                    } else {
                        // The directory must outlive the moment between the two versions.
                        super::stack::touch_dir(tx, *dir, 1, 0, now)?;
                        detach(tx, *dir, component, now)?;
                        promote(tx, &bucket, *dir, component, now)?;
                        super::stack::touch_dir(tx, *dir, 0, 0, now)?;
                        release_hold(tx, *dir, now)?;
                    }
                    return Ok(Some((*dir, top.object.ino)));
                }
                let found = older(tx, *dir, component)?
                    .into_iter()
                    .find(|object| object.seq == seq && object.version == version);
                if let Some(object) = found {
                    remove_older(tx, bucket.id, *dir, component, &object)?;
                    self.announce(tx, "ObjectRemoved:Delete", (*dir, component), &object)?;
                    let was_top = newest == Some(seq);
                    if was_top {
                        promote(tx, &bucket, *dir, component, now)?;
                    } else {
                        tidy(tx, *dir)?;
                    }
                    return Ok(was_top.then_some((*dir, object.ino)));
                }
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

fn newest_of(read: &impl Read, dirs: &[DirId], component: &str) -> Result<Option<Seq>> {
    let mut newest = None;
    for dir in dirs {
        if let Some(top) = current(read, *dir, component)?.filter(|top| !top.draft) {
            newest = newest.max(Some(top.object.seq));
        }
        newest = newest.max(older(read, *dir, component)?.first().map(|object| object.seq));
    }
    Ok(newest)
}

/// Takes back the hold on a directory's life; an implicit one that is empty goes.
fn release_hold(tx: &mut crate::index::Tx<'_>, dir: DirId, now: crate::model::Timestamp) -> Result<()> {
    let Some(mut record) = tx.record::<crate::index::DirRecord>(Family::Dir, &id_key(dir.0))? else { return Ok(()) };
    let mut stat = super::names::dir_stat(tx, dir)?;
    stat.live -= 1;
    tx.put(Family::DirStat, &id_key(dir.0), &stat);
    if stat.live <= 0 && record.marker.is_none() && record.parent != dir && record.alive {
        let (parent, name) = (record.parent, std::mem::take(&mut record.name));
        record.name.clone_from(&name);
        super::stack::bury(tx, dir, record, now)?;
        detach(tx, parent, &name, now)?;
    }
    Ok(())
}
