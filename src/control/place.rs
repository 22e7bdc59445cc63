//! From what a request names to what the store has: buckets, keys, directories, versions.

use super::{Host, Target, Which};
use crate::model::{Bucket, DirId, Error, Kind, Object, ObjectKey, Result, Timestamp, VersionId, parse_rfc3339};
use crate::store::Store;

/// A target that was found as far as buckets go.
pub(super) enum Place {
    Store,
    Bucket(Bucket),
    Key(Bucket, String, Option<VersionId>),
}

/// Finds a target's bucket; says nothing about whether the key exists.
pub(super) fn place(store: &Store, host: &dyn Host, target: &Target) -> Result<Place> {
    let (bucket, key, version) = match target {
        Target::Store => return Ok(Place::Store),
        Target::Key { bucket, key } => (bucket.clone(), key.clone(), None),
        Target::Path { mount, path } => {
            let spot = host.locate(mount, path)?;
            let Some(bucket) = spot.bucket else { return Ok(Place::Store) };
            (bucket, spot.key, spot.version)
        }
    };
    let bucket = store.bucket(&bucket)?;
    Ok(if key.is_empty() { Place::Bucket(bucket) } else { Place::Key(bucket, key, version) })
}

/// A target that must be an object's key.
pub(super) fn object_key(
    store: &Store,
    host: &dyn Host,
    target: &Target,
) -> Result<(Bucket, ObjectKey, Option<VersionId>)> {
    match place(store, host, target)? {
        Place::Key(bucket, key, version) => Ok((bucket, ObjectKey::parse(&key)?, version)),
        Place::Store | Place::Bucket(_) => Err(Error::new(Kind::InvalidArgument, "cannot do that to a whole bucket")
            .why("the command is about one object")
            .mend("name an object: a path below a bucket, or bucket/key")),
    }
}

/// The directories, live and dead, in which a key's history can lie, and its component.
pub(super) fn history(store: &Store, bucket: &Bucket, key: &ObjectKey) -> Result<(Vec<DirId>, String)> {
    let (dirs, component) = store.history_place(bucket.name.as_str(), key)?;
    if dirs.is_empty() { Err(no_such_key(bucket, key.as_str())) } else { Ok((dirs, component)) }
}

/// A key's versions, newest first, and where they lie.
pub(super) struct History {
    pub(super) dirs: Vec<DirId>,
    pub(super) component: String,
    pub(super) versions: Vec<Object>,
}

/// A key's versions; an error when it never had any.
pub(super) fn versions(store: &Store, bucket: &Bucket, key: &ObjectKey) -> Result<History> {
    let (dirs, component, versions) = store.history_of(bucket.name.as_str(), key)?;
    if versions.is_empty() {
        return Err(no_such_key(bucket, key.as_str()));
    }
    Ok(History { dirs, component, versions })
}

/// The versions of a key among which `which` is picked: one that is named is not searched among all others.
pub(super) fn versions_for(store: &Store, bucket: &Bucket, key: &ObjectKey, which: &Which) -> Result<History> {
    if let Which::Version(id) = which
        && let Some((dirs, component, found)) = store.version_of(bucket.name.as_str(), key, version_id(id)?)?
    {
        return Ok(History { dirs, component, versions: vec![found] });
    }
    versions(store, bucket, key)
}

/// The version that was current at an instant.
pub(super) fn current_at(versions: &[Object], at: Timestamp) -> Option<&Object> {
    versions.iter().find(|version| version.since <= at && version.superseded.is_none_or(|until| at < until))
}

/// Picks a version.
pub(super) fn pick<'a>(history: &'a History, which: &Which, about: &str) -> Result<&'a Object> {
    match which {
        Which::Current => history
            .versions
            .first()
            .filter(|newest| newest.superseded.is_none())
            .ok_or_else(|| Error::new(Kind::NoSuchKey, format!("there is no current {about}"))),
        Which::Version(id) => {
            let id = version_id(id)?;
            history.versions.iter().find(|version| version.version == id).ok_or_else(|| no_such_version(about, &id))
        }
        Which::At(at) => {
            let found = current_at(&history.versions, parse_rfc3339(at)?);
            found.filter(|version| !version.marker).ok_or_else(|| {
                Error::new(Kind::NoSuchVersion, format!("{about} was not there at {at}"))
                    .why("it was deleted, or not made yet, or that version is gone")
                    .mend("`keyfold versions` lists what there is and since when")
            })
        }
    }
}

pub(super) fn version_id(text: &str) -> Result<VersionId> {
    VersionId::parse(text).ok_or_else(|| {
        Error::new(Kind::InvalidArgument, format!("cannot read the version id {text:?}"))
            .why("a version id is `null` or 32 lower-case hexadecimal digits")
            .mend("`keyfold versions` lists them")
    })
}

pub(super) fn no_such_version(about: &str, id: &VersionId) -> Error {
    Error::new(Kind::NoSuchVersion, format!("{about} has no version {id}"))
        .why("it was never made, or was deleted for good")
        .mend("`keyfold versions` lists them")
}

pub(super) fn no_such_key(bucket: &Bucket, key: &str) -> Error {
    Error::new(Kind::NoSuchKey, format!("there is no {}", name(bucket, key)))
        .why("no object has or had that key")
        .mend(format!("`keyfold ls {}` lists what there is", bucket.name))
}

/// How a person writes it: `bucket/key`.
pub(super) fn name(bucket: &Bucket, key: &str) -> String {
    format!("{}/{key}", bucket.name)
}
