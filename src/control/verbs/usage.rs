//! `du`, `bill` and `analyze`: how much lies below a bucket or a prefix, and what it was used for.

use super::tree::{Tree, no_directory};
use crate::control::place::{self, Place};
use crate::control::{AgeRow, AnalysisRow, Host, MeterRow, Reply, Row, Target, UsageRow};
use crate::model::{Bucket, Error, Kind, Month, Result};
use crate::store::{AgeSeen, Entry, ListVersions, Metered, Store};
use std::sync::Arc;

pub(super) fn usage(
    store: &Arc<Store>,
    host: &dyn Host,
    target: &Target,
    versions: bool,
    reply: &mut dyn Reply,
) -> Result<()> {
    match place::place(store, host, target)? {
        Place::Store => {
            for bucket in store.buckets()? {
                reply.row(Row::Usage(whole(store, &bucket, versions)?))?;
            }
            Ok(())
        }
        Place::Bucket(bucket) => reply.row(Row::Usage(whole(store, &bucket, versions)?)),
        Place::Key(bucket, key, _) => {
            let mut row = UsageRow { path: place::name(&bucket, &key), ..UsageRow::default() };
            current(store, &bucket, &key, &mut row, reply)?;
            if versions {
                older(store, &bucket, &key, &mut row, reply)?;
            }
            reply.row(Row::Usage(row))
        }
    }
}

/// What a bucket's analytics configurations have come to.
pub(super) fn analyze(store: &Store, bucket: &str, id: Option<&str>, reply: &mut dyn Reply) -> Result<()> {
    for found in store.analyses(bucket, id)? {
        let group = |group: AgeSeen| AgeRow {
            age: group.age.to_owned(),
            stored: group.stored,
            read: group.read,
            requests: group.requests,
            ratio: group.ratio.map(|ratio| u64::try_from(ratio).unwrap_or(u64::MAX)),
        };
        reply.row(Row::Analysis(AnalysisRow {
            bucket: bucket.to_owned(),
            id: found.id,
            filter: found.filter,
            days: found.days,
            groups: found.groups.into_iter().map(group).collect(),
            observed_age: found.observed,
            recommended_age: found.recommended,
        }))?;
    }
    Ok(())
}

/// What buckets were used for in a month.
pub(super) fn metered(store: &Store, month: Option<&str>, bucket: Option<&str>, reply: &mut dyn Reply) -> Result<()> {
    let now = Month::of(store.now());
    let month = month.map_or(Ok(now), |text| {
        Month::parse(text).ok_or_else(|| {
            Error::new(Kind::InvalidArgument, format!("cannot make a bill of {text:?}"))
                .why("it is no month")
                .mend("write it as 2026-09")
        })
    })?;
    if month > now {
        return Err(Error::new(Kind::InvalidArgument, format!("cannot make a bill of {month}"))
            .why("it is yet to come")
            .mend("name a month that is over, or none for the one that goes on"));
    }
    let found = store.metered_in(month)?;
    let mut known = bucket.is_none();
    for Metered { bucket: name, meter, begun, uncounted } in found {
        if bucket.is_none_or(|bucket| bucket == name.as_str()) {
            known = true;
            let begun = begun.map(|begun| begun.rfc3339());
            reply.row(Row::Meter(Box::new(MeterRow {
                month: month.to_string(),
                bucket: name.to_string(),
                meter,
                begun,
                uncounted,
            })))?;
        }
    }
    if let Some(bucket) = bucket.filter(|_| !known) {
        // One that was used for nothing has an empty bill; one that never was, none.
        store.bucket(bucket)?;
    }
    Ok(())
}

/// A bucket's counters are kept with every change: no walk.
fn whole(store: &Arc<Store>, bucket: &Bucket, versions: bool) -> Result<UsageRow> {
    let usage = store.usage(bucket.id)?;
    let count = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(UsageRow {
        path: format!("{}/", bucket.name),
        objects: count(usage.objects),
        bytes: count(usage.bytes),
        noncurrent: versions.then(|| count(usage.noncurrent)),
        noncurrent_bytes: versions.then(|| count(usage.noncurrent_bytes)),
        markers: versions.then(|| count(usage.markers)),
    })
}

fn current(store: &Arc<Store>, bucket: &Bucket, key: &str, row: &mut UsageRow, reply: &mut dyn Reply) -> Result<()> {
    let tree = Tree::new(store, None);
    let prefix = format!("{}/", key.trim_end_matches('/'));
    let dir = tree.directory(bucket, &prefix)?;
    let (above, name) = key.trim_end_matches('/').rsplit_once('/').unwrap_or(("", key.trim_end_matches('/')));
    let above = if above.is_empty() { String::new() } else { format!("{above}/") };
    let mut found = dir.is_some();
    if !key.ends_with('/')
        && let Some(parent) = tree.directory(bucket, &above)?
        && let Some(Entry::File(file)) = tree.lookup(parent, name)?
    {
        found = true;
        row.objects += 1;
        row.bytes += file.object.size;
    }
    if !found {
        return Err(no_directory(bucket, key));
    }
    let Some(dir) = dir else { return Ok(()) };
    if let Some(sum) = store.sum_below(dir)? {
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        row.objects += count(sum.entries);
        row.bytes += count(sum.bytes);
        return Ok(());
    }
    // Of an older release: nothing is kept of its directories yet.
    tree.walk(dir, &prefix, reply, &mut |_, entry, _| {
        let object = match entry {
            Entry::File(file) => Some(&file.object),
            Entry::Dir(dir) => dir.marker.as_ref(),
        };
        if let Some(object) = object {
            row.objects += 1;
            row.bytes += object.size;
        }
        Ok(())
    })
}

fn older(store: &Arc<Store>, bucket: &Bucket, key: &str, row: &mut UsageRow, reply: &mut dyn Reply) -> Result<()> {
    let name = key.trim_end_matches('/');
    let below = format!("{name}/");
    let (mut count, mut bytes, mut markers) = (0, 0, 0);
    let mut ask =
        ListVersions { prefix: name.to_owned(), delimiter: None, key_marker: None, version_marker: None, limit: 1000 };
    loop {
        reply.alive()?;
        let page = store.list_versions(bucket.name.as_str(), &ask)?;
        let mine = page.versions.iter().filter(|version| version.key == name || version.key.starts_with(&below));
        for version in mine {
            if version.object.marker {
                markers += 1;
            } else if version.object.superseded.is_some() {
                count += 1;
                bytes += version.object.size;
            }
        }
        let Some((key_marker, version_marker)) = page.next else { break };
        (ask.key_marker, ask.version_marker) = (Some(key_marker), version_marker);
    }
    (row.noncurrent, row.noncurrent_bytes, row.markers) = (Some(count), Some(bytes), Some(markers));
    Ok(())
}
