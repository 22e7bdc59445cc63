//! The tree of names as it is or as it was: one walk serves listings, usage and export.

use crate::control::Reply;
use crate::model::{Bucket, DirId, Error, Kind, Result, Timestamp};
use crate::store::{AsOf, Entry, LEVELS_MAX, Store};
use std::sync::Arc;

/// Entries read in one step.
const STEP: usize = 1000;

/// The prefix of a directory that a key names, which may be written without its `/`.
pub(super) fn prefix_of(key: &str) -> String {
    if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") }
}

/// Entries by their components, and the name to go on after.
type Step = (Vec<(String, Entry)>, Option<String>);

/// The store's tree now, or at an instant.
pub(super) enum Tree<'a> {
    Now(&'a Arc<Store>),
    Then(AsOf),
}

impl<'a> Tree<'a> {
    pub(super) fn new(store: &'a Arc<Store>, at: Option<Timestamp>) -> Self {
        at.map_or(Self::Now(store), |at| Self::Then(store.as_of(at)))
    }

    pub(super) fn lookup(&self, dir: DirId, component: &str) -> Result<Option<Entry>> {
        let found = match self {
            Self::Now(store) => store.lookup(dir, component)?,
            Self::Then(then) => then.lookup(dir, component)?,
        };
        Ok(found.filter(published))
    }

    /// Published entries after a name, and the name to go on after.
    pub(super) fn step(&self, dir: DirId, after: Option<&str>) -> Result<Step> {
        let mut entries = match self {
            Self::Now(store) => store.entries(dir, after, STEP)?,
            Self::Then(then) => then.entries(dir, after, STEP)?,
        };
        let next = if entries.len() < STEP { None } else { entries.last().map(|(name, _)| name.clone()) };
        entries.retain(|(_, entry)| published(entry));
        Ok((entries, next))
    }

    /// The directory of a prefix: empty, or ending in `/`.
    pub(super) fn directory(&self, bucket: &Bucket, prefix: &str) -> Result<Option<DirId>> {
        let mut dir = bucket.root;
        for component in prefix.split_inclusive('/') {
            match self.lookup(dir, component)? {
                Some(Entry::Dir(found)) => dir = found.id,
                _ => return Ok(None),
            }
        }
        Ok(Some(dir))
    }

    /// Calls `visit` for every entry below `dir` with its whole key, in the order of the keys' bytes.
    pub(super) fn walk(
        &self,
        dir: DirId,
        prefix: &str,
        reply: &mut dyn Reply,
        visit: &mut dyn FnMut(&str, &Entry, &mut dyn Reply) -> Result<()>,
    ) -> Result<()> {
        // A stack of its own: keys may be nested more deeply than threads like.
        let mut open = vec![self.level(dir, prefix.to_owned(), None)?];
        while let Some(mut level) = open.pop() {
            let Some((component, entry)) = level.entries.next() else {
                reply.alive()?;
                if level.next.is_some() {
                    open.push(self.level(level.dir, level.prefix, level.next)?);
                }
                continue;
            };
            let key = format!("{}{component}", level.prefix);
            visit(&key, &entry, reply)?;
            open.push(level);
            if let Entry::Dir(found) = entry {
                if open.len() > LEVELS_MAX {
                    return Err(Error::corrupt("cannot go on into the directories", "they lie deeper than any do"));
                }
                open.push(self.level(found.id, key, None)?);
            }
        }
        Ok(())
    }

    fn level(&self, dir: DirId, prefix: String, after: Option<String>) -> Result<Level> {
        let (entries, next) = self.step(dir, after.as_deref())?;
        Ok(Level { dir, prefix, entries: entries.into_iter(), next })
    }
}

/// A directory that a walk is in.
struct Level {
    dir: DirId,
    prefix: String,
    entries: std::vec::IntoIter<(String, Entry)>,
    next: Option<String>,
}

/// A file that is being written for the first time is no object yet.
fn published(entry: &Entry) -> bool {
    !matches!(entry, Entry::File(file) if file.draft)
}

pub(super) fn no_directory(bucket: &Bucket, prefix: &str) -> Error {
    Error::new(Kind::NoSuchKey, format!("there is nothing at {}/{prefix}", bucket.name))
        .why("no object and no directory has that name")
        .mend(format!("`keyfold ls {}` lists what there is", bucket.name))
}
