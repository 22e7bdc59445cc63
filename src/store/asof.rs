//! Time travel: the store as it was at an instant, from the versions that are kept.

use super::Store;
use super::find::{Damage, Part, versions_in};
use super::history::next_history_name;
use super::names::{Directory, Entry, FileEntry, dent, directory_of, is_dir, readable};
use crate::index::{DentRecord, Family, Read, VerRecord, View, decode, dent_key, next_name, ver_bounds};
use crate::model::{Bucket, DirId, Kind, Object, Result, Timestamp};
use std::sync::Arc;

/// A read-only view of the whole store at one instant. Names are those of today: a rename moves its history along.
#[derive(Clone)]
pub struct AsOf {
    store: Arc<Store>,
    at: Timestamp,
}

impl Store {
    /// The store as it was at `at`.
    #[must_use]
    pub fn as_of(self: &Arc<Self>, at: Timestamp) -> AsOf {
        AsOf { store: Arc::clone(self), at }
    }
}

impl AsOf {
    /// The instant.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The buckets that existed and still do.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn buckets(&self) -> Result<Vec<Bucket>> {
        let mut buckets = self.store.buckets()?;
        buckets.retain(|bucket| bucket.created <= self.at);
        Ok(buckets)
    }

    fn was_current(&self, object: &Object) -> bool {
        !object.marker && object.since <= self.at && object.superseded.is_none_or(|end| end > self.at)
    }

    /// Looks a component up.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn lookup(&self, dir: DirId, component: &str) -> Result<Option<Entry>> {
        self.store.look(|view, damage| self.look(view, dir, component, damage))
    }

    fn look(&self, read: &View<'_>, dir: DirId, component: &str, damage: &mut Damage) -> Result<Option<Entry>> {
        if is_dir(component) {
            return Ok(self.directory(read, dir, component)?.map(Entry::Dir));
        }
        // All of them: a name that was brought here has always been here, and covers what was older for a part of its time.
        let versions = versions_in(read, &[dir], component, Part::ALL, damage)?;
        let found = versions.into_iter().filter(|object| self.was_current(object)).max_by_key(|object| object.since);
        Ok(found.map(|object| Entry::File(FileEntry { object, draft: false, nlink: 1 })))
    }

    fn directory(&self, index: &View<'_>, parent: DirId, component: &str) -> Result<Option<Directory>> {
        if let Some(DentRecord::Dir(id)) = readable(dent(index, parent, component))? {
            let directory = directory_of(index, id)?;
            if directory.is_at(parent, component) && directory.posix.btime <= self.at {
                return Ok(Some(directory));
            }
        }
        let (lower, upper) = ver_bounds(parent, component);
        for found in index.scan(Family::Ver, &lower, &upper)? {
            if let Ok(VerRecord::Ghost { dir, died }) = decode(&found?.1) {
                let Ok(directory) = directory_of(index, dir) else { continue };
                if directory.is_at(parent, component) && died > self.at && directory.posix.btime <= self.at {
                    return Ok(Some(directory));
                }
            }
        }
        Ok(None)
    }

    /// Up to `limit` names after `after`, in the byte order of their components.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn entries(&self, dir: DirId, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        let mut out = Vec::new();
        let mut from = after.map(next_name).unwrap_or_default();
        let (view, mut damage) = (self.store.index.frozen(), Damage::default());
        while out.len() < limit {
            let Some(component) = next_history_name(&view, &[dir], &from)? else { break };
            from = next_name(&component);
            match self.look(&view, dir, &component, &mut damage) {
                Ok(entry) => out.extend(entry.map(|entry| (component, entry))),
                Err(error) if error.kind() == Kind::NoSuchKey => {}
                Err(error) if error.kind() == Kind::Corrupt => {
                    let key = dent_key(dir, &component);
                    self.store.spoiled((Family::Dent, &key), Some((dir, &component)), &error);
                }
                Err(error) => return Err(error),
            }
        }
        self.store.tell_passed_by(damage);
        Ok(out)
    }
}
