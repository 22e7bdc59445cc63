//! `events tail`: the change feed, from a number on, as long as somebody listens.

use crate::control::{EventRow, Host, Reply, Row};
use crate::index::Change;
use crate::model::{BucketId, Result};
use crate::store::Store;
use std::collections::HashMap;
use std::time::Duration;

/// Changes read in one step, and shown when no number is given.
const STEP: usize = 1000;
const NEWEST: usize = 20;
/// How often a waiting verb looks whether somebody still listens.
const PULSE: Duration = Duration::from_secs(1);

pub(super) fn events(
    store: &Store,
    host: &dyn Host,
    bucket: Option<&str>,
    (after, follow): (Option<u64>, bool),
    reply: &mut dyn Reply,
) -> Result<()> {
    let _place = if follow { Some(host.waiting().take()?) } else { None };
    let only = bucket.map(|name| store.bucket(name)).transpose()?.map(|bucket| bucket.id);
    let mut names = Names { store, known: HashMap::new() };
    let wanted = |change: &Change| only.is_none_or(|id| id == change.bucket);
    let mut seen = after.unwrap_or(0);
    let mut newest = Vec::new();
    loop {
        let changes = store.changes(seen, STEP)?;
        let more = changes.len() >= STEP;
        if let Some((last, _)) = changes.last() {
            seen = *last;
        }
        let changes = changes.into_iter().filter(|(_, change)| wanted(change));
        if after.is_some() {
            for (seq, change) in changes {
                reply.row(Row::Event(names.row(seq, &change)))?;
            }
        } else {
            newest.extend(changes);
            newest.drain(..newest.len().saturating_sub(NEWEST));
        }
        if !more {
            break;
        }
    }
    for (seq, change) in newest {
        reply.row(Row::Event(names.row(seq, &change)))?;
    }
    // Not every commit is in the feed: waiting goes by commits, reading by what the feed showed last.
    let mut commit = seen;
    while follow && !host.is_stopping() {
        commit = store.wait_changes(commit, PULSE);
        reply.alive()?;
        for (seq, change) in store.changes(seen, STEP)? {
            seen = seq;
            if wanted(&change) {
                reply.row(Row::Event(names.row(seq, &change)))?;
            }
        }
    }
    Ok(())
}

/// Names of buckets by id; deleted ones have none any more.
struct Names<'a> {
    store: &'a Store,
    known: HashMap<BucketId, Option<String>>,
}

impl Names<'_> {
    fn row(&mut self, seq: u64, change: &Change) -> EventRow {
        let id = change.bucket;
        let name = self
            .known
            .entry(id)
            .or_insert_with(|| self.store.bucket_by_id(id).ok().map(|bucket| bucket.name.to_string()));
        EventRow {
            seq,
            time: change.time.rfc3339(),
            event: change.event.clone(),
            bucket: name.clone(),
            key: change.key.clone(),
            from: change.from.clone(),
            version: change.version.to_string(),
            size: change.size,
            etag: change.etag.to_string(),
        }
    }
}
