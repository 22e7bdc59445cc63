//! The tree of names as it is or as it was: one walk serves listings, usage and export.

use crate::control::Reply;
use crate::model::{Bucket, DirId, Error, Kind, Result, Timestamp};
use crate::store::{AsOf, Entry, Store};
use std::sync::Arc;

/// Entries read in one step.
const STEP: usize = 1000;

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
    pub(super) fn step(&self, dir: DirId, after: Option<&str>) -> Result<(Vec<(String, Entry)>, Option<String>)> {
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

    /// Calls `visit` for every entry below `dir`, directories before what lies in them, with the whole key.
    pub(super) fn walk(
        &self,
        dir: DirId,
        prefix: &str,
        reply: &mut dyn Reply,
        visit: &mut dyn FnMut(&str, &Entry, &mut dyn Reply) -> Result<()>,
    ) -> Result<()> {
        // A stack of its own: keys may be nested more deeply than threads like.
        let mut open: Vec<(DirId, String, Option<String>)> = vec![(dir, prefix.to_owned(), None)];
        while let Some((dir, prefix, after)) = open.pop() {
            reply.alive()?;
            let (entries, next) = self.step(dir, after.as_deref())?;
            let mut below = Vec::new();
            for (component, entry) in entries {
                let key = format!("{prefix}{component}");
                visit(&key, &entry, reply)?;
                if let Entry::Dir(found) = entry {
                    below.push((found.id, key, None));
                }
            }
            if next.is_some() {
                open.push((dir, prefix, next));
            }
            open.extend(below.into_iter().rev());
        }
        Ok(())
    }
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
