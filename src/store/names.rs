//! The tree of names: looking up, walking, finding a directory's path.

use super::Store;
use super::bucket::{need_bucket, read_bucket};
use super::stack::linked;
use crate::index::{
    DentRecord, DirRecord, DirStat, Family, InodeRecord, OneCommit, Read, VerRecord, component_of, decode, dent_bounds,
    dent_key, id_key, next_name, ver_bounds,
};
use crate::model::{
    Bucket, BucketId, DirId, Error, KEY_BYTES_MAX, Kind, Object, ObjectKey, Posix, Result, StorageClass, Xattrs,
};

/// What a live name leads to.
#[expect(clippy::large_enum_variant, reason = "nearly every value is an object")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// An object, or a special file.
    File(FileEntry),
    /// A directory.
    Dir(Directory),
}

/// A live object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// Its current version.
    pub object: Object,
    /// Created by `open` and not published yet: S3 does not see it.
    pub draft: bool,
    /// How many names it has.
    pub nlink: u32,
}

/// A directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// Its id, which is its inode number.
    pub id: DirId,
    /// Where it lies; its own id for a bucket's root.
    pub parent: DirId,
    /// Its component there, with the trailing `/`; empty for a bucket's root.
    pub name: String,
    /// Its bucket.
    pub bucket: BucketId,
    /// Whether a live name leads to it.
    pub alive: bool,
    /// Mode, owner, birth; times are in `stat`.
    pub posix: Posix,
    /// Counters and times.
    pub stat: DirStat,
    /// The `dir/` object, if there is one (KEY-6, KEY-7).
    pub marker: Option<Object>,
    /// Foreign xattrs.
    pub xattrs: Xattrs,
    /// The class of files that are made in it and below, where nothing nearer says another.
    pub class: Option<StorageClass>,
}

/// Whether a component is a directory's.
pub(super) fn is_dir(component: &str) -> bool {
    component.ends_with('/')
}

/// The component of the same part as the other kind: `a` for `a/`, `a/` for `a`.
pub(super) fn twin(component: &str) -> String {
    match component.strip_suffix('/') {
        Some(part) => part.to_owned(),
        None => format!("{component}/"),
    }
}

pub(super) fn no_such_name(component: &str) -> Error {
    Error::new(Kind::NoSuchKey, format!("cannot find {component:?}")).why("no object or directory has that name")
}

pub(super) fn dir_record(read: &impl Read, id: DirId) -> Result<DirRecord> {
    let record = read.record(Family::Dir, &id_key(id.0))?;
    record.ok_or_else(|| Error::new(Kind::NoSuchKey, format!("cannot find the directory {id}")).why("it was removed"))
}

/// What can be read: a damaged record costs what it tells of, and nothing beside it.
pub(super) fn readable<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(error) if error.kind() == Kind::Corrupt => Ok(None),
        found => found,
    }
}

/// The record of a directory that a live name leads to.
pub(super) fn live_dir(read: &impl Read, id: DirId) -> Result<DirRecord> {
    let record = dir_record(read, id)?;
    if record.alive {
        return Ok(record);
    }
    Err(Error::new(Kind::NoSuchKey, format!("cannot use the directory {:?}", record.name)).why("it was removed"))
}

pub(super) fn dir_stat(read: &impl Read, id: DirId) -> Result<DirStat> {
    Ok(read.record(Family::DirStat, &id_key(id.0))?.unwrap_or_default())
}

pub(super) fn dent(read: &impl Read, dir: DirId, component: &str) -> Result<Option<DentRecord>> {
    read.record(Family::Dent, &dent_key(dir, component))
}

pub(super) fn directory_of(read: &impl OneCommit, id: DirId) -> Result<Directory> {
    let record = dir_record(read, id)?;
    Ok(Directory {
        id,
        parent: record.parent,
        name: record.name,
        bucket: record.bucket,
        alive: record.alive,
        posix: record.posix,
        stat: dir_stat(read, id)?,
        marker: record.marker,
        xattrs: record.xattrs,
        class: record.class,
    })
}

/// Most directories one below the other. Kernels and keys allow fewer.
pub const LEVELS_MAX: usize = 4096;
/// Longest key that directories one below the other may spell: renames make them longer than an object's key may be.
const PATH_BYTES_MAX: usize = 64 * KEY_BYTES_MAX;

/// The error for directories that lie deeper than [`LEVELS_MAX`] or make longer keys than any.
pub(super) fn too_deep(levels: usize, path: &str) -> Result<()> {
    if levels <= LEVELS_MAX && path.len() <= PATH_BYTES_MAX {
        return Ok(());
    }
    Err(Error::corrupt("cannot go on into the directories", "they lie deeper than any that were made here"))
}

/// Whether a directory says itself that it is `component` of `dir`. A name that leads to one that says otherwise is
/// damage: followed, it could lead in a circle.
fn is_at((id, record): (DirId, &DirRecord), dir: DirId, component: &str) -> bool {
    record.parent == dir && record.name == component && id != dir
}

impl Directory {
    /// The same of what was read of it.
    pub(super) fn is_at(&self, dir: DirId, component: &str) -> bool {
        self.parent == dir && self.name == component && self.id != dir
    }
}

/// The directories of a name: the live one first, then dead ones that have history. Of one whose record cannot be read
/// nobody knows whether it belongs here: it is among them.
pub(super) fn all_dirs(read: &impl OneCommit, dirs: &[DirId], component: &str) -> Result<Vec<DirId>> {
    let mut out = Vec::new();
    for dir in dirs {
        if let Some(DentRecord::Dir(id)) = readable(dent(read, *dir, component))?
            && id != *dir
            && !matches!(below(read, *dir, component, id), Err(error) if error.reason() == MISLED)
            && !out.contains(&id)
        {
            out.insert(0, id);
        }
        let (lower, upper) = ver_bounds(*dir, component);
        for found in read.scan(Family::Ver, &lower, &upper)? {
            if let Ok(VerRecord::Ghost { dir: ghost, .. }) = decode(&found?.1)
                && ghost != *dir
                && dir_record(read, ghost).map_or(true, |record| is_at((ghost, &record), *dir, component))
                && !out.contains(&ghost)
            {
                out.push(ghost);
            }
        }
    }
    Ok(out)
}

pub(super) const MISLED: &str = "the directory has another name";

/// Names that lead to directories elsewhere are not followed, so that no walk goes in a ring.
fn misled(component: &str) -> Error {
    Error::corrupt(format!("cannot find the directory {component:?}"), MISLED)
}

/// The record of the directory that a name of `dir` leads to; `None` when it has none.
pub(super) fn below(read: &impl OneCommit, dir: DirId, component: &str, id: DirId) -> Result<Option<DirRecord>> {
    match dir_record(read, id) {
        Ok(record) if is_at((id, &record), dir, component) => Ok(Some(record)),
        Ok(_) => Err(misled(component)),
        Err(error) if error.kind() == Kind::NoSuchKey => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a name leads to.
fn entry(read: &impl OneCommit, dir: DirId, component: &str, found: DentRecord) -> Result<Option<Entry>> {
    match found {
        DentRecord::Dir(id) => match directory_of(read, id) {
            Ok(directory) if directory.is_at(dir, component) => Ok(Some(Entry::Dir(directory))),
            Ok(_) => Err(misled(component)),
            Err(error) if error.kind() == Kind::NoSuchKey => Ok(None),
            Err(error) => Err(error),
        },
        DentRecord::Object { object, draft } => Ok(Some(Entry::File(FileEntry { object, draft, nlink: 1 }))),
        DentRecord::Link(ino) => {
            let InodeRecord { object, draft, names } = linked(read, ino)?;
            let nlink = u32::try_from(names.len()).unwrap_or(u32::MAX);
            Ok(Some(Entry::File(FileEntry { object, draft, nlink })))
        }
    }
}

/// Every directory, live or dead, that may hold a key's history, and the component in them.
pub(super) fn history_place_in(read: &impl OneCommit, bucket: &str, key: &ObjectKey) -> Result<(Vec<DirId>, String)> {
    let bucket = need_bucket(read, bucket)?;
    let (parts, name) = key.split();
    let mut dirs = vec![bucket.root];
    for part in parts {
        dirs = all_dirs(read, &dirs, part)?;
    }
    Ok((dirs, name.to_owned()))
}

pub(super) fn malformed() -> Error {
    Error::corrupt("cannot read a name", "it is malformed")
}

impl Store {
    /// Looks a component up.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn lookup(&self, dir: DirId, component: &str) -> Result<Option<Entry>> {
        self.index.at_once(|view| match dent(view, dir, component)? {
            Some(found) => entry(view, dir, component, found),
            None => Ok(None),
        })
    }

    /// The directory of that id.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`] when it is gone and has no history.
    pub fn directory(&self, id: DirId) -> Result<Directory> {
        self.index.at_once(|view| directory_of(view, id))
    }

    /// Up to `limit` live names after `after`, in the byte order of their components, drafts included. Damaged ones are
    /// passed by, and told of once.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn entries(&self, dir: DirId, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        let (mut lower, upper) = dent_bounds(dir);
        if let Some(after) = after {
            lower = dent_key(dir, &next_name(after));
        }
        // Grown by need: a walk keeps one of these for each level that it is in.
        let mut out = Vec::new();
        let view = self.index.frozen();
        let mut scan = view.scan_past_damage(Family::Dent, &lower, &upper)?;
        for found in scan.by_ref() {
            let (key, value) = found?;
            let Some(component) = component_of(&key) else {
                self.spoiled((Family::Dent, &key), Some((dir, "")), &malformed());
                continue;
            };
            match decode(&value).and_then(|found| entry(&view, dir, component, found)) {
                Ok(entry) => out.extend(entry.map(|entry| (component.to_owned(), entry))),
                Err(error) if error.kind() == Kind::Corrupt => {
                    self.spoiled((Family::Dent, &key), Some((dir, component)), &error);
                }
                Err(error) => return Err(error),
            }
            if out.len() >= limit {
                break;
            }
        }
        if let Some(error) = scan.damage() {
            self.spoiled((Family::Dent, &id_key(dir.0)), Some((dir, "")), error);
        }
        Ok(out)
    }

    pub(super) fn key_prefix(read: &impl OneCommit, dir: DirId) -> Result<(BucketId, String)> {
        let mut parts = Vec::new();
        let mut bytes = 0;
        let mut record = dir_record(read, dir)?;
        let mut id = dir;
        while record.parent != id {
            bytes += record.name.len();
            if parts.len() > LEVELS_MAX || bytes > PATH_BYTES_MAX {
                return Err(Error::corrupt("cannot find a directory's path", "its parents form a ring"));
            }
            id = record.parent;
            parts.push(record.name);
            record = dir_record(read, id)?;
        }
        parts.reverse();
        Ok((record.bucket, parts.concat()))
    }

    /// A directory's bucket and key prefix: empty for a root, `a/b/` below.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`] when it is gone.
    pub fn path_of(&self, dir: DirId) -> Result<(Bucket, String)> {
        self.index.at_once(|view| {
            let (bucket, prefix) = Self::key_prefix(view, dir)?;
            Ok((read_bucket(view, bucket)?, prefix))
        })
    }

    /// The live directory of a key prefix, `""` or `a/b/`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn resolve_dir(&self, bucket: &Bucket, prefix: &str) -> Result<Option<DirId>> {
        self.index.at_once(|view| Self::walk(view, bucket.root, prefix.split_inclusive('/')))
    }

    pub(super) fn walk<'a>(
        read: &impl OneCommit,
        root: DirId,
        parts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<DirId>> {
        let mut dir = root;
        for part in parts {
            match dent(read, dir, part)? {
                Some(DentRecord::Dir(id)) => dir = id,
                _ => return Ok(None),
            }
        }
        Ok(Some(dir))
    }

    /// The live directory and component of a key; `None` when a directory above it does not exist.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn place(&self, bucket: &str, key: &ObjectKey) -> Result<Option<(DirId, String)>> {
        let (parts, name) = key.split();
        let dir = self.index.at_once(|view| {
            let bucket = need_bucket(view, bucket)?;
            Self::walk(view, bucket.root, parts.iter().copied())
        })?;
        Ok(dir.map(|dir| (dir, name.to_owned())))
    }

    /// Every directory, live or dead, that may hold the key's history, and the component in them.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn history_place(&self, bucket: &str, key: &ObjectKey) -> Result<(Vec<DirId>, String)> {
        self.index.at_once(|view| history_place_in(view, bucket, key))
    }

    /// The live directory of a name and the dead ones that have history.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn history_dirs(&self, dirs: &[DirId], component: &str) -> Result<Vec<DirId>> {
        self.index.at_once(|view| all_dirs(view, dirs, component))
    }
}
