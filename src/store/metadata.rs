//! Attributes: POSIX ones and foreign xattrs and tags, which make no version, and metadata, which does (META-5, META-6).

use super::names::{Entry, FileEntry, dir_record, dir_stat, directory_of, is_dir, no_such_name};
use super::stack::{Current, bucket_of, current, hold_content, rewrite};
use super::{Session, Store};
use crate::index::{Family, OneCommit, Tx, id_key};
use crate::model::{
    DirId, Error, Ino, Kind, Metadata, Object, ObjectLock, Posix, Result, TagSet, Timestamp, VersionId, Versioning,
};

/// A change of POSIX attributes; what is `None` stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PosixChange {
    /// Permission bits.
    pub mode: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last access.
    pub atime: Option<Timestamp>,
    /// Last change of content.
    pub mtime: Option<Timestamp>,
    /// Last change of content or attributes, when it was not just now; never moved back.
    pub ctime: Option<Timestamp>,
}

impl PosixChange {
    /// Applies it; the change time becomes `now` unless another is given.
    pub fn apply(&self, posix: &mut Posix, now: Timestamp) {
        posix.mode = self.mode.unwrap_or(posix.mode);
        posix.uid = self.uid.unwrap_or(posix.uid);
        posix.gid = self.gid.unwrap_or(posix.gid);
        posix.atime = self.atime.unwrap_or(posix.atime);
        posix.mtime = self.mtime.unwrap_or(posix.mtime);
        posix.ctime = self.ctime.map_or(now, |ctime| ctime.max(posix.ctime));
    }
}

/// Whether setting an xattr may create or must replace it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum XattrMode {
    /// Either.
    Any,
    /// It must be new (XATTR_CREATE).
    Create,
    /// It must exist (XATTR_REPLACE).
    Replace,
}

/// What an edit of tags or metadata came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Carried {
    /// Nothing.
    Unchanged,
    /// Other tags.
    Tagged,
    /// A copy of the object onto itself.
    Rewritten(Box<Object>),
}

impl Store {
    /// Changes a file's or directory's POSIX attributes. No version, Last-Modified stays (META-12).
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`] when the name no longer leads to `ino`.
    pub fn set_posix(&self, at: (DirId, &str), ino: Ino, change: &PosixChange) -> Result<Entry> {
        let now = self.now();
        self.transact(|tx| {
            if is_dir(at.1) || at.1.is_empty() {
                let id = DirId(ino.0);
                let mut record = dir_record(tx, id)?;
                let mut stat = dir_stat(tx, id)?;
                change.apply(&mut record.posix, now);
                stat.mtime = change.mtime.unwrap_or(stat.mtime);
                stat.ctime = now;
                tx.put(Family::Dir, &id_key(id.0), &record);
                tx.put(Family::DirStat, &id_key(id.0), &stat);
                return Ok(Entry::Dir(directory_of(tx, id)?));
            }
            let mut file = same_file(tx, at, ino)?;
            change.apply(&mut file.object.posix, now);
            let nlink = u32::try_from(file.nlink()).unwrap_or(u32::MAX);
            let entry = FileEntry { object: file.object.clone(), draft: file.draft, nlink };
            rewrite(tx, at.0, at.1, file)?;
            Ok(Entry::File(entry))
        })
    }

    /// Edits a file's foreign xattrs, tags and metadata in place where that spoils nobody's version (META-5): of a draft,
    /// and of the version that an open write session made. `None` when it is neither.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`], or what `edit` returns.
    pub fn edit_own(
        &self,
        at: (DirId, &str),
        ino: Ino,
        session: Option<&Session>,
        edit: impl FnOnce(&mut Object) -> Result<()>,
    ) -> Result<Option<Object>> {
        let now = self.now();
        let is_own = |file: &Current| file.draft || session.is_some_and(|session| session.owns(&file.object, now));
        self.edit_in_place(at, ino, is_own, edit)
    }

    /// Edits a file in place if it `may` be. The change time is now.
    fn edit_in_place(
        &self,
        at: (DirId, &str),
        ino: Ino,
        may: impl FnOnce(&Current) -> bool,
        edit: impl FnOnce(&mut Object) -> Result<()>,
    ) -> Result<Option<Object>> {
        let now = self.now();
        self.transact(|tx| {
            let mut file = same_file(tx, at, ino)?;
            if !may(&file) {
                return Ok(None);
            }
            file.object.posix.ctime = now;
            edit(&mut file.object)?;
            let (object, draft) = (file.object.clone(), file.draft);
            rewrite(tx, at.0, at.1, file)?;
            if !draft {
                self.await_time(tx, at, &object)?;
            }
            Ok(Some(object))
        })
    }

    /// Sets a foreign xattr of a file or directory. No version.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`], [`Kind::NotSet`] by `mode`; [`Kind::MetadataTooLarge`]; [`Kind::NoSuchKey`].
    pub fn set_xattr(&self, at: (DirId, &str), ino: Ino, name: &[u8], value: &[u8], mode: XattrMode) -> Result<()> {
        let check = |exists: bool| match (mode, exists) {
            (XattrMode::Create, true) => {
                Err(Error::new(Kind::AlreadyExists, "cannot create the attribute").why("it exists"))
            }
            (XattrMode::Replace, false) => {
                Err(Error::new(Kind::NotSet, "cannot replace the attribute").why("it does not exist"))
            }
            _ => Ok(()),
        };
        self.edit_xattrs(at, ino, |xattrs| {
            check(xattrs.get(name).is_some())?;
            xattrs.set(name, value)
        })
    }

    /// Removes a foreign xattr of a file or directory. No version.
    ///
    /// # Errors
    /// [`Kind::NotSet`], [`Kind::NoSuchKey`].
    pub fn remove_xattr(&self, at: (DirId, &str), ino: Ino, name: &[u8]) -> Result<()> {
        self.edit_xattrs(at, ino, |xattrs| {
            if xattrs.remove(name) {
                return Ok(());
            }
            Err(Error::new(Kind::NotSet, "cannot remove the attribute").why("it is not set"))
        })
    }

    fn edit_xattrs(
        &self,
        at: (DirId, &str),
        ino: Ino,
        edit: impl FnOnce(&mut crate::model::Xattrs) -> Result<()>,
    ) -> Result<()> {
        if !is_dir(at.1) && !at.1.is_empty() {
            return self.edit_in_place(at, ino, |_| true, |object| edit(&mut object.xattrs)).map(drop);
        }
        let now = self.now();
        self.transact(|tx| {
            let id = DirId(ino.0);
            let mut record = dir_record(tx, id)?;
            edit(&mut record.xattrs)?;
            let mut stat = dir_stat(tx, id)?;
            stat.ctime = now;
            tx.put(Family::Dir, &id_key(id.0), &record);
            tx.put(Family::DirStat, &id_key(id.0), &stat);
            Ok(())
        })
    }

    /// Replaces the tags of a version, the current one when none is named. No version, Last-Modified stays (TAG-8,
    /// TAG-9).
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`], [`Kind::NoSuchVersion`], [`Kind::IsMarker`].
    pub fn set_tags(&self, at: (DirId, &str), version: Option<VersionId>, tags: &TagSet) -> Result<()> {
        self.edit_tags(at, version, |object| {
            object.tags = tags.clone();
            Ok(true)
        })
        .map(drop)
    }

    /// As [`Store::set_tags`], for who changes what is there: `edit` changes nothing but the tags, and says whether it did.
    /// Nothing comes in between. Returns the version.
    ///
    /// # Errors
    /// As [`Store::set_tags`], and what `edit` returns.
    pub fn edit_tags(
        &self,
        at: (DirId, &str),
        version: Option<VersionId>,
        edit: impl FnOnce(&mut Object) -> Result<bool>,
    ) -> Result<(Object, bool)> {
        let event = |tags: &TagSet| if tags.is_empty() { "ObjectTagging:Delete" } else { "ObjectTagging:Put" };
        self.transact(|tx| {
            let edited = self.edit_version(tx, at, version.map(|version| (version, None)), edit)?;
            if edited.changed && !edited.draft {
                self.announce(tx, event(&edited.object.tags), at, &edited.object)?;
                self.await_time(tx, at, &edited.object)?;
            }
            Ok((edited.object, edited.changed))
        })
    }

    /// Replaces an object's metadata: a copy onto itself, so a new version in a versioned bucket and a new
    /// Last-Modified (META-5).
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`].
    pub fn set_metadata(&self, at: (DirId, &str), metadata: &Metadata) -> Result<Object> {
        self.transact(|tx| {
            let file = current(tx, at.0, at.1)?.ok_or_else(|| no_such_name(at.1))?;
            self.copy_with(tx, at, file, metadata.clone())
        })
    }

    /// As [`Store::set_metadata`], for who changes what is there. Nothing comes in between.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`], and what `edit` returns.
    pub fn edit_metadata(&self, at: (DirId, &str), edit: impl FnOnce(&mut Metadata) -> Result<()>) -> Result<Object> {
        self.transact(|tx| {
            let file = current(tx, at.0, at.1)?.ok_or_else(|| no_such_name(at.1))?;
            let mut metadata = file.object.metadata.clone();
            edit(&mut metadata)?;
            self.copy_with(tx, at, file, metadata)
        })
    }

    /// Edits tags or metadata of an object that the caller knows by its inode, as [`Store::set_tags`] and
    /// [`Store::set_metadata`] set them. `edit` says whether it changed anything. Nothing comes in between.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`] when the name no longer leads to `ino`, and what `edit` returns.
    pub fn edit_carried(
        &self,
        at: (DirId, &str),
        ino: Ino,
        edit: impl FnOnce(&mut Object) -> Result<bool>,
    ) -> Result<Carried> {
        self.transact(|tx| {
            let mut file = same_file(tx, at, ino)?;
            let mut edited = file.object.clone();
            if !edit(&mut edited)? {
                return Ok(Carried::Unchanged);
            }
            if edited.metadata != file.object.metadata {
                return self
                    .copy_with(tx, at, file, edited.metadata)
                    .map(|object| Carried::Rewritten(Box::new(object)));
            }
            let event = if edited.tags.is_empty() { "ObjectTagging:Delete" } else { "ObjectTagging:Put" };
            if !file.draft {
                self.announce(tx, event, at, &edited)?;
            }
            file.object.tags = edited.tags;
            let object = file.object.clone();
            rewrite(tx, at.0, at.1, file)?;
            self.await_time(tx, at, &object)?;
            Ok(Carried::Tagged)
        })
    }

    /// A file's current entry becomes a copy of itself with other metadata.
    fn copy_with(&self, tx: &mut Tx<'_>, at: (DirId, &str), file: Current, metadata: Metadata) -> Result<Object> {
        let (now, seq) = self.stamp();
        let mut object = file.object.clone();
        object.metadata = metadata;
        object.posix.ctime = now;
        if !file.draft {
            object.modified = now;
            let bucket = bucket_of(tx, at.0)?;
            if bucket.versioning != Versioning::Unversioned {
                hold_content(tx, object.content)?;
                self.retire_all(tx, &bucket, at, &file, now)?;
                object.seq = seq;
                object.version = self.version_id(bucket.versioning, seq, object.ino);
                object.since = now;
                object.lock = self.new_lock(tx, &bucket, ObjectLock::NONE)?;
                let new = Current { object: object.clone(), draft: false, names: file.names.clone() };
                super::stack::enthrone_all(tx, &bucket, at, &new, Some(&file))?;
            }
            self.announce(tx, "ObjectCreated:Copy", at, &object)?;
        }
        rewrite(tx, at.0, at.1, Current { object: object.clone(), ..file })?;
        self.await_time(tx, at, &object)?;
        Ok(object)
    }

    /// A file's current entry by its place, for callers that hold its inode.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`] when the name no longer leads to `ino`.
    pub fn file_at(&self, at: (DirId, &str), ino: Ino) -> Result<FileEntry> {
        let file = self.index.at_once(|view| same_file(view, at, ino))?;
        let nlink = u32::try_from(file.nlink()).unwrap_or(u32::MAX);
        Ok(FileEntry { object: file.object, draft: file.draft, nlink })
    }
}

fn same_file(read: &impl OneCommit, at: (DirId, &str), ino: Ino) -> Result<Current> {
    current(read, at.0, at.1)?.filter(|file| file.object.ino == ino).ok_or_else(|| no_such_name(at.1))
}

#[cfg(test)]
mod tests {
    use super::PosixChange;
    use crate::model::{FileKind, Posix, Timestamp};

    #[test]
    fn a_change_time_that_is_given_moves_forward_only() {
        let at = |secs| Timestamp::new(secs, 0);
        let mut posix = Posix::new(FileKind::File, 0o644, 0, 0, at(10));
        for (given, now, then) in [(Some(at(20)), 90, 20), (Some(at(5)), 91, 20), (None, 92, 92)] {
            PosixChange { ctime: given, ..PosixChange::default() }.apply(&mut posix, at(now));
            assert_eq!(posix.ctime, at(then));
        }
        assert_eq!(posix.mtime, at(10));
    }
}
