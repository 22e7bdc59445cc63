//! `ls` and `stat`: what there is, now or at an instant.

use super::tree::{Tree, no_directory, prefix_of};
use crate::control::place::{self, Place, name};
use crate::control::{EntryRow, Host, ObjectRow, Reply, Row, Target, Which};
use crate::model::{Bucket, FileKind, Kind, Object, ObjectKey, Result, Timestamp, parse_rfc3339, show_hold};
use crate::store::{Directory, Entry, ListVersions, Store, again, restore_text};
use std::sync::Arc;

/// How to list.
pub(super) struct How {
    pub(super) recursive: bool,
    pub(super) versions: bool,
    pub(super) at: Option<String>,
}

pub(super) fn list(
    store: &Arc<Store>,
    host: &dyn Host,
    target: &Target,
    how: &How,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (bucket, key) = match place::place(store, host, target)? {
        Place::Store if how.recursive => {
            return store.buckets()?.into_iter().try_for_each(|bucket| below(store, &bucket, "", how, reply));
        }
        Place::Store => return super::buckets::list(store, reply),
        Place::Bucket(bucket) => (bucket, String::new()),
        Place::Key(bucket, key, _) => (bucket, key),
    };
    below(store, &bucket, &key, how, reply)
}

fn below(store: &Arc<Store>, bucket: &Bucket, key: &str, how: &How, reply: &mut dyn Reply) -> Result<()> {
    if how.versions {
        return all_versions(store, bucket, key, how, reply);
    }
    let at = how.at.as_deref().map(parse_rfc3339).transpose()?;
    let tree = Tree::new(store, at);
    let prefix = prefix_of(key);
    let Some(dir) = tree.directory(bucket, &prefix)? else {
        let object = current(&tree, bucket, key)?.ok_or_else(|| no_directory(bucket, key))?;
        return reply.row(Row::Entry(entry_row(key, &object)));
    };
    if how.recursive {
        return tree.walk(dir, &prefix, reply, &mut |key, entry, reply| match entry {
            Entry::File(file) => reply.row(Row::Entry(entry_row(key, &file.object))),
            Entry::Dir(found) => match &found.marker {
                Some(marker) => reply.row(Row::Entry(entry_row(key, marker))),
                None => Ok(()),
            },
        });
    }
    let mut after = None;
    loop {
        let (entries, next) = tree.step(dir, after.as_deref())?;
        for (component, entry) in entries {
            let key = format!("{prefix}{component}");
            let row = match entry {
                Entry::File(file) => entry_row(&key, &file.object),
                Entry::Dir(_) => EntryRow { key, kind: "prefix".to_owned(), ..EntryRow::default() },
            };
            reply.row(Row::Entry(row))?;
        }
        after = match next {
            None => return Ok(()),
            next => next,
        };
    }
}

fn current(tree: &Tree<'_>, bucket: &Bucket, key: &str) -> Result<Option<Object>> {
    let Ok(key) = ObjectKey::parse(key) else { return Ok(None) };
    let (parents, component) = key.split();
    let Some(dir) = tree.directory(bucket, &parents.concat())? else { return Ok(None) };
    Ok(match tree.lookup(dir, component)? {
        Some(Entry::File(file)) => Some(file.object),
        Some(Entry::Dir(found)) => found.marker,
        None => None,
    })
}

fn all_versions(store: &Arc<Store>, bucket: &Bucket, key: &str, how: &How, reply: &mut dyn Reply) -> Result<()> {
    let at = how.at.as_deref().map(parse_rfc3339).transpose()?;
    let delimiter = if how.recursive { None } else { Some("/".to_owned()) };
    // A directory is listed below it, anything else by its own name.
    let is_dir = !key.is_empty() && !key.ends_with('/') && is_directory(store, bucket, key)?;
    let prefix = if is_dir { format!("{key}/") } else { key.to_owned() };
    let whole = key.is_empty() || prefix.ends_with('/');
    let mut ask = ListVersions { prefix, delimiter, key_marker: None, version_marker: None, limit: 1000 };
    let mut listed = false;
    loop {
        let page = store.list_versions(bucket.name.as_str(), &ask)?;
        for prefix in &page.prefixes {
            if whole {
                listed = true;
                reply.row(Row::Entry(EntryRow {
                    key: prefix.clone(),
                    kind: "prefix".to_owned(),
                    ..EntryRow::default()
                }))?;
            }
        }
        for version in &page.versions {
            if (whole || version.key == key) && at.is_none_or(|at| was_there(&version.object, at)) {
                listed = true;
                let mut row = entry_row(&version.key, &version.object);
                row.version = Some(version.object.version.to_string());
                row.latest = Some(version.is_latest);
                reply.row(Row::Entry(row))?;
            }
        }
        let Some((key_marker, version_marker)) = page.next else { break };
        (ask.key_marker, ask.version_marker) = (Some(key_marker), version_marker);
    }
    if listed || key.is_empty() { Ok(()) } else { Err(no_directory(bucket, key)) }
}

fn was_there(version: &Object, at: Timestamp) -> bool {
    version.since <= at
}

/// Whether a name leads to a directory, live or with history.
fn is_directory(store: &Arc<Store>, bucket: &Bucket, key: &str) -> Result<bool> {
    let key = ObjectKey::parse(&format!("{key}/"))?;
    match place::history(store, bucket, &key) {
        Ok((dirs, component)) => Ok(!store.history_dirs(&dirs, &component)?.is_empty()),
        Err(error) if error.kind() == Kind::NoSuchKey => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn stat(
    store: &Arc<Store>,
    host: &dyn Host,
    target: &Target,
    which: Which,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (bucket, key, version) = match place::place(store, host, target)? {
        Place::Store => return super::store::status(store, host, reply),
        Place::Bucket(bucket) => return super::buckets::show(store, bucket.name.as_str(), reply),
        Place::Key(bucket, key, version) => (bucket, key, version),
    };
    let which = match (which, version) {
        (Which::Current, Some(version)) => Which::Version(version.to_string()),
        (which, _) => which,
    };
    let row = match which {
        Which::Current => {
            let tree = Tree::new(store, None);
            let look = || match current(&tree, &bucket, &key)? {
                Some(object) => object_row(store, &bucket, &key, &object),
                None => directory_row(store, &tree, &bucket, &key),
            };
            again(look, |error| error.kind() == Kind::NoSuchVersion)?
        }
        which => {
            let parsed = ObjectKey::parse(&key)?;
            let history = place::versions_for(store, &bucket, &parsed, &which)?;
            let object = place::pick(&history, &which, &name(&bucket, &key))?;
            object_row(store, &bucket, &key, object)?
        }
    };
    reply.row(Row::Object(Box::new(row)))
}

fn entry_row(key: &str, object: &Object) -> EntryRow {
    EntryRow {
        key: key.to_owned(),
        kind: if object.marker { "marker" } else { "object" }.to_owned(),
        size: Some(object.size),
        modified: Some(object.modified.rfc3339()),
        etag: (!object.marker).then(|| object.etag.to_string()),
        class: (!object.marker).then(|| object.class.name().to_owned()),
        version: None,
        latest: None,
    }
}

fn object_row(store: &Arc<Store>, bucket: &Bucket, key: &str, object: &Object) -> Result<ObjectRow> {
    let system = object.metadata.system_pairs().map(|(header, value)| {
        let known = crate::model::SystemHeader::ALL.iter().find(|(known, _)| *known == header);
        (known.map_or("", |(_, name)| name).to_owned(), value.to_owned())
    });
    let user = object.metadata.user_pairs().map(|(name, value)| (format!("meta.{name}"), value.to_owned()));
    let posix = &object.posix;
    Ok(ObjectRow {
        bucket: bucket.name.to_string(),
        key: key.to_owned(),
        kind: if object.marker { "marker" } else { kind(posix.kind) }.to_owned(),
        size: object.size,
        stored: object.stored,
        on_disk: store.disk_bytes(object).ok().flatten(),
        version: Some(object.version.to_string()),
        latest: object.superseded.is_none(),
        etag: (!object.marker).then(|| object.etag.to_string()),
        modified: object.modified.rfc3339(),
        superseded: object.superseded.map(|until| until.rfc3339()),
        class: (!object.marker).then(|| object.class.name().to_owned()),
        tier: store.access_tier(object).map(|tier| tier.name().to_owned()),
        restore: restore_text(object, store.now()),
        retention: object.lock.retention.map(|retention| retention.to_string()),
        legal_hold: object.lock.hold.map(|hold| show_hold(hold).to_owned()),
        inode: object.ino.0,
        mode: format!("{:04o}", posix.mode),
        uid: posix.uid,
        gid: posix.gid,
        mtime: posix.mtime.rfc3339(),
        target: (!posix.target.is_empty()).then(|| String::from_utf8_lossy(&posix.target).into_owned()),
        crc64nvme: if object.marker { None } else { Some(base64(store.checksum(object)?)) },
        metadata: system.chain(user).collect(),
        tags: object.tags.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        xattrs: object.xattrs.names().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        entries: None,
    })
}

fn base64(crc: u64) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(crc.to_be_bytes())
}

fn directory_row(store: &Arc<Store>, tree: &Tree<'_>, bucket: &Bucket, key: &str) -> Result<ObjectRow> {
    let prefix = format!("{}/", key.trim_end_matches('/'));
    let dir = tree.directory(bucket, &prefix)?.ok_or_else(|| no_directory(bucket, key))?;
    let Directory { id, posix, stat, xattrs, .. } = store.directory(dir)?;
    Ok(ObjectRow {
        bucket: bucket.name.to_string(),
        key: prefix,
        kind: "directory".to_owned(),
        latest: true,
        modified: stat.mtime.rfc3339(),
        inode: id.0,
        mode: format!("{:04o}", posix.mode),
        uid: posix.uid,
        gid: posix.gid,
        mtime: stat.mtime.rfc3339(),
        xattrs: xattrs.names().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        entries: u64::try_from(stat.live).ok(),
        ..ObjectRow::default()
    })
}

fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
        FileKind::CharDevice => "char-device",
        FileKind::BlockDevice => "block-device",
    }
}
