//! Sums over what lies below a directory (`rbytes`, `rentries`, `noncurrent-bytes`).

use super::Target;
use crate::index::DirSum;
use crate::model::{DirId, Result, Usage};
use crate::store::{Entry, Store};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Names read from the store at a time.
const PAGE: usize = 1000;

/// What lies below.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sums {
    /// Bytes of current objects.
    pub bytes: i64,
    /// Current keys, directory markers included, the directory's own left out.
    pub entries: i64,
    /// Bytes of older versions.
    pub noncurrent_bytes: i64,
}

impl From<Usage> for Sums {
    fn from(usage: Usage) -> Self {
        Self { bytes: usage.bytes, entries: usage.objects, noncurrent_bytes: usage.noncurrent_bytes }
    }
}

/// Sums below `target`: a bucket's are its counters, a directory's a record of its own; while a store of an older release has
/// none of those, a walk in pages.
pub(super) fn sums(store: &Arc<Store>, target: &Target) -> Result<Sums> {
    match target {
        Target::Root => {
            let mut all = Usage::default();
            for bucket in store.buckets()? {
                all += store.usage(bucket.id)?;
            }
            Ok(all.into())
        }
        Target::Bucket(bucket, _) => Ok(store.usage(bucket.id)?.into()),
        Target::Dir(dir) => match store.sum_below(dir.id)? {
            Some(DirSum { entries, bytes, noncurrent_bytes }) => Ok(Sums { bytes, entries, noncurrent_bytes }),
            None => walk(store, dir.id),
        },
        Target::File { .. } | Target::Version { .. } => Ok(Sums::default()),
    }
}

fn walk(store: &Arc<Store>, top: DirId) -> Result<Sums> {
    let mut sums = Sums::default();
    let mut seen = BTreeSet::from([top]);
    let mut waiting = vec![top];
    while let Some(dir) = waiting.pop() {
        let mut below = Vec::new();
        current(store, dir, &mut sums, &mut below)?;
        history(store, dir, &mut sums, &mut below)?;
        waiting.extend(below.into_iter().filter(|dir| seen.insert(*dir)));
    }
    Ok(sums)
}

fn current(store: &Arc<Store>, dir: DirId, sums: &mut Sums, below: &mut Vec<DirId>) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let page = store.entries(dir, after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (_, entry) in page {
            let object = match &entry {
                Entry::File(file) => (!file.draft).then_some(&file.object),
                Entry::Dir(dir) => {
                    below.push(dir.id);
                    dir.marker.as_ref()
                }
            };
            if let Some(object) = object {
                sums.entries += 1;
                sums.bytes = sums.bytes.saturating_add_unsigned(object.size);
            }
        }
    }
}

fn history(store: &Arc<Store>, dir: DirId, sums: &mut Sums, below: &mut Vec<DirId>) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let page = store.names_with_history(&[dir], after.as_deref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.component.clone());
        for name in page {
            if name.component.ends_with('/') {
                below.extend(store.history_dirs(&[dir], &name.component)?);
            }
            let older = store.versions(&[dir], &name.component)?;
            let older = older.iter().filter(|object| object.superseded.is_some() && !object.marker);
            sums.noncurrent_bytes =
                older.fold(sums.noncurrent_bytes, |sum, object| sum.saturating_add_unsigned(object.size));
        }
    }
}
