//! `du`: how much lies below a bucket or a prefix.

use super::tree::{Tree, no_directory};
use crate::control::place::{self, Place};
use crate::control::{Host, Reply, Row, Target, UsageRow};
use crate::model::{Bucket, Result};
use crate::store::{Entry, ListVersions, Store};
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
