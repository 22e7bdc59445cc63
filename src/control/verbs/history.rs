//! `versions`, `restore`, `undelete`, `purge`: what was, and getting it back (INTERFACE section 4).

use crate::control::place::{self, History, Place, name, no_such_key, no_such_version, version_id};
use crate::control::{ActRow, Host, Reply, Row, Target, VersionRow, Which};
use crate::model::{Bucket, DirId, Error, Kind, Leave, Object, ObjectKey, Result};
use crate::store::Store;

/// Names read in one step of a walk.
const STEP: usize = 1000;

pub(super) fn versions(store: &Store, host: &dyn Host, target: &Target, reply: &mut dyn Reply) -> Result<()> {
    let (bucket, key, _) = place::object_key(store, host, target)?;
    let history = place::versions(store, &bucket, &key)?;
    history.versions.iter().try_for_each(|version| reply.row(Row::Version(row(&bucket, &key, version))))
}

/// Makes a version's bytes current: no data moves and nothing is lost. Without a version: the one before the current,
/// or before the deletion.
pub(super) fn restore(
    store: &Store,
    host: &dyn Host,
    target: &Target,
    which: &Which,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (bucket, key, entry) = place::object_key(store, host, target)?;
    let about = name(&bucket, key.as_str());
    let which = match (which, entry) {
        (Which::Current, Some(version)) => Which::Version(version.to_string()),
        (which, _) => which.clone(),
    };
    let history = place::versions_for(store, &bucket, &key, &which)?;
    let version = match &which {
        Which::Current => before_current(&history, &about)?,
        which => place::pick(&history, which, &about)?,
    };
    if version.marker {
        return Err(Error::new(Kind::IsMarker, format!("cannot restore the version {} of {about}", version.version))
            .why("it is a delete marker, which has no content")
            .mend("name a version with content; `keyfold versions` lists them"));
    }
    if version.superseded.is_none() && Some(&version.seq) == history.versions.first().map(|newest| &newest.seq) {
        reply.note(&format!("{about} is that version already"))?;
        return Ok(());
    }
    let restored = store.restore(&history.dirs, &history.component, version.version)?;
    act("restored", about, &restored, false, reply)
}

fn before_current<'a>(history: &'a History, about: &str) -> Result<&'a Object> {
    let is_current = |version: &&Object| !version.marker && version.superseded.is_none();
    let newest = history.versions.first().filter(is_current);
    let mut rest = history.versions.iter().filter(|version| !version.marker);
    if newest.is_some() {
        rest.next();
    }
    rest.next().ok_or_else(|| {
        Error::new(Kind::NoSuchVersion, format!("{about} has no earlier version"))
            .why("its bucket kept none, or they were deleted for good")
            .mend("`keyfold bucket set BUCKET versioning Enabled` keeps the versions to come")
    })
}

/// Removes the delete marker on top.
pub(super) fn undelete(
    store: &Store,
    host: &dyn Host,
    target: &Target,
    recursive: bool,
    reply: &mut dyn Reply,
) -> Result<()> {
    if recursive {
        return undelete_below(store, host, target, reply);
    }
    let (bucket, key, _) = place::object_key(store, host, target)?;
    let about = name(&bucket, key.as_str());
    let history = place::versions(store, &bucket, &key)?;
    if undelete_one(store, &history)? {
        let version = store.get(&bucket.name.to_string(), &key, None)?;
        return act("undeleted", about, &version, false, reply);
    }
    Err(Error::new(Kind::Conflict, format!("{about} is not deleted"))
        .why("no delete marker is on top of its versions")
        .mend("`keyfold restore` brings an older version back"))
}

fn undelete_one(store: &Store, history: &History) -> Result<bool> {
    let Some(marker) = history.versions.first().filter(|newest| newest.marker) else { return Ok(false) };
    if history.versions.iter().all(|version| version.marker) {
        return Ok(false);
    }
    store.delete_version(&history.dirs, &history.component, marker.version, marker.seq)?;
    Ok(true)
}

fn undelete_below(store: &Store, host: &dyn Host, target: &Target, reply: &mut dyn Reply) -> Result<()> {
    let (bucket, prefix) = match place::place(store, host, target)? {
        Place::Bucket(bucket) => (bucket, String::new()),
        Place::Key(bucket, key, _) => (bucket, format!("{}/", key.trim_end_matches('/'))),
        Place::Store => {
            return Err(Error::new(Kind::InvalidArgument, "cannot undelete in every bucket at once")
                .mend("name a bucket or a directory in it"));
        }
    };
    let dirs = if prefix.is_empty() {
        vec![bucket.root]
    } else {
        let (above, component) = place::history(store, &bucket, &ObjectKey::parse(&prefix)?)?;
        store.history_dirs(&above, &component)?
    };
    if dirs.is_empty() {
        return Err(no_such_key(&bucket, &prefix));
    }
    let mut count = 0;
    walk(store, (&bucket, &prefix), &dirs, &mut count, reply)?;
    reply.row(Row::Act(ActRow {
        act: "undeleted".to_owned(),
        on: name(&bucket, &prefix),
        count: Some(count),
        ..ActRow::default()
    }))
}

fn walk(store: &Store, at: (&Bucket, &str), dirs: &[DirId], count: &mut u64, reply: &mut dyn Reply) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let names = store.names_with_history(dirs, after.as_deref(), STEP)?;
        let full = names.len() == STEP;
        for found in &names {
            reply.alive()?;
            let below = store.history_dirs(dirs, &found.component)?;
            if found.component.ends_with('/') && !below.is_empty() {
                walk(store, (at.0, &format!("{}{}", at.1, found.component)), &below, count, reply)?;
            }
            let history = History {
                dirs: dirs.to_vec(),
                component: found.component.clone(),
                versions: store.versions(dirs, &found.component)?,
            };
            if undelete_one(store, &history)? {
                *count += 1;
            }
        }
        match names.into_iter().next_back() {
            Some(last) if full => after = Some(last.component),
            _ => return Ok(()),
        }
    }
}

/// Deletes one version for good.
pub(super) fn purge(
    store: &Store,
    host: &dyn Host,
    (target, version): (&Target, &str),
    leave: Leave,
    dry_run: bool,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (bucket, key, _) = place::object_key(store, host, target)?;
    let about = name(&bucket, key.as_str());
    let id = version_id(version)?;
    let history = place::versions_for(store, &bucket, &key, &Which::Version(version.to_owned()))?;
    let found = history.versions.iter().find(|version| version.version == id);
    let found = found.ok_or_else(|| no_such_version(&about, &id))?;
    if dry_run {
        let kept = if found.marker { Ok(()) } else { found.lock.may_end(store.now(), leave) };
        kept.map_err(|why| why.refuse(format!("cannot purge the version {id} of {about}")))?;
    } else {
        store.delete_version_with(&history.dirs, &history.component, (found.version, found.seq), leave)?;
    }
    act("purged", about, found, dry_run, reply)
}

pub(super) fn row(bucket: &Bucket, key: &ObjectKey, version: &Object) -> VersionRow {
    let state = match (version.marker, version.superseded) {
        (true, _) => "deleted",
        (false, None) => "current",
        (false, Some(_)) => "noncurrent",
    };
    VersionRow {
        bucket: bucket.name.to_string(),
        key: key.to_string(),
        version: version.version.to_string(),
        state: state.to_owned(),
        since: version.since.rfc3339(),
        superseded: version.superseded.map(|until| until.rfc3339()),
        size: version.size,
        etag: (!version.marker).then(|| version.etag.to_string()),
    }
}

fn act(act: &str, on: String, version: &Object, dry_run: bool, reply: &mut dyn Reply) -> Result<()> {
    reply.row(Row::Act(ActRow {
        act: act.to_owned(),
        on,
        version: Some(version.version.to_string()),
        bytes: Some(version.size),
        dry_run,
        ..ActRow::default()
    }))
}
