//! Deleting: what `rm` and a simple DELETE do in each versioning state (DEL-1 to DEL-4).

use super::Store;
use super::bucket::need_bucket;
use super::feed::UNTOLD;
use super::names::{all_dirs, dent, history_place_in, is_dir, no_such_name};
use super::put::Condition;
use super::stack::{
    Current, attach, bucket_of, current, detach, drop_content, hold_dir, is_null, newest_older, promote, push_older,
    release_hold, retire, touch_dir,
};
use crate::index::{DentRecord, DirRecord, DirStat, Family, InodeRecord, Tx, VerRecord, id_key, ver_key};
use crate::model::{
    Bucket, DirId, Error, FileKind, Ino, Kind, Leave, Object, ObjectKey, Posix, Result, Seq, Timestamp, VersionId,
    Versioning, Xattrs,
};

/// What a removal on the mount left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removed {
    /// The object that had the name.
    pub object: Object,
    /// Names its file still has.
    pub nlink: u32,
    /// The delete marker that stands on top now.
    pub marker: Option<VersionId>,
}

/// On whose account something is deleted, which is how it is told (LC-32).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// Somebody asked.
    Asked,
    /// A lifecycle rule.
    Lifecycle,
    /// Somebody asked that an archive of a vault goes.
    Archive,
}

impl Cause {
    /// The event of what goes for good.
    pub(super) const fn deleted(self) -> &'static str {
        match self {
            Self::Asked => "ObjectRemoved:Delete",
            Self::Lifecycle => "LifecycleExpiration:Delete",
            Self::Archive => UNTOLD,
        }
    }

    /// The event of a delete marker.
    const fn marked(self) -> &'static str {
        match self {
            Self::Asked => "ObjectRemoved:DeleteMarkerCreated",
            Self::Lifecycle => "LifecycleExpiration:DeleteMarkerCreated",
            Self::Archive => UNTOLD,
        }
    }
}

/// Keys of one call of [`Store::delete_many`] at most (DEL-8).
pub const DELETE_MAX: usize = 1000;

/// What to delete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeleteOne {
    /// The key.
    pub key: ObjectKey,
    /// That version for good, or the current one as `rm` does.
    pub version: Option<VersionId>,
    /// Condition on the current version (COND-12).
    pub condition: Condition,
    /// What the caller may that others may not.
    pub leave: Leave,
}

/// What a DELETE did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// The version that was deleted, or the marker that was made.
    pub version: Option<VersionId>,
    /// Whether that is a delete marker.
    pub marker: bool,
}

impl Store {
    /// Removes an object's name, as `rm` does. What is open stays readable.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`].
    pub fn remove(&self, dir: DirId, name: &str) -> Result<Removed> {
        let now = self.now();
        self.transact(|tx| {
            let old = current(tx, dir, name)?.ok_or_else(|| no_such_name(name))?;
            let bucket = bucket_of(tx, dir)?;
            self.keep_dir(tx, dir, now)?;
            let marker = self.unname(tx, &bucket, (dir, name), &old, now)?;
            let nlink = u32::try_from(old.nlink() - 1).unwrap_or(0);
            Ok(Removed { object: old.object, nlink, marker })
        })
    }

    /// Takes a live name away by the rules of the bucket's versioning, since somebody asked for it.
    pub(super) fn unname(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        at: (DirId, &str),
        old: &Current,
        now: Timestamp,
    ) -> Result<Option<VersionId>> {
        self.unname_for(Cause::Asked, tx, bucket, at, old, now)
    }

    /// The same on anybody's account.
    pub(super) fn unname_for(
        &self,
        cause: Cause,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        at: (DirId, &str),
        old: &Current,
        now: Timestamp,
    ) -> Result<Option<VersionId>> {
        // A draft that took the place of a version, as a rename does, leaves a marker too: the name is deleted.
        let covers =
            |tx: &Tx<'_>| -> Result<bool> { Ok(newest_older(tx, at.0, at.1)?.is_some_and(|object| !object.marker)) };
        let versioned = bucket.versioning != Versioning::Unversioned && (!old.draft || covers(tx)?);
        // The session's version stays below the marker, or under other names: that it was made is told.
        if versioned || old.nlink() > 1 {
            Self::seal_in(tx, old.object.ino)?;
        }
        if let Some(names) = &old.names {
            self.unlink_one(tx, bucket, at, old, names, now)?;
        } else {
            retire(tx, bucket, at, old, now)?;
        }
        let marker = if versioned {
            Some(self.add_marker((cause, is_null(old)), tx, bucket, at, old.object.ino, now)?)
        } else {
            None
        };
        // Told before the directory goes with its last name, and its path with it.
        if !old.draft && marker.is_none() {
            self.announce(tx, cause.deleted(), at, &old.object)?;
        }
        if is_dir(at.1) {
            Self::clear_marker_object(tx, at, now)?;
        } else {
            detach(tx, at.0, at.1, now)?;
        }
        tx.delete(Family::Unsealed, &id_key(old.object.ino.0));
        Ok(marker)
    }

    /// The object of a key goes, whatever else the name stands for.
    pub(super) fn unname_object(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        at: (DirId, &str),
        old: &Current,
        now: Timestamp,
    ) -> Result<Option<VersionId>> {
        retire(tx, bucket, at, old, now)?;
        match bucket.versioning {
            Versioning::Unversioned => Ok(None),
            _ => self.add_marker((Cause::Asked, is_null(old)), tx, bucket, at, old.object.ino, now).map(Some),
        }
    }

    /// One of several names goes; its version stays below it in a versioned bucket.
    pub(super) fn unlink_one(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        at: (DirId, &str),
        old: &Current,
        names: &[(DirId, String)],
        now: Timestamp,
    ) -> Result<()> {
        let left: Vec<_> = names.iter().filter(|(dir, name)| (*dir, name.as_str()) != at).cloned().collect();
        if left.is_empty() {
            tx.delete(Family::Ino, &id_key(old.object.ino.0));
            return retire(tx, bucket, at, old, now);
        }
        if !old.draft {
            super::stack::dethrone(tx, bucket.id, &old.object)?;
            super::stack::keep_copy(tx, bucket, at, &old.object, now)?;
        }
        let mut object = old.object.clone();
        object.posix.ctime = now;
        tx.put(Family::Ino, &id_key(object.ino.0), &InodeRecord { object, draft: old.draft, names: left });
        Ok(())
    }

    /// The directory of a `dir/` key loses its object; without other names in it, it goes too.
    pub(super) fn clear_marker_object(tx: &mut Tx<'_>, at: (DirId, &str), now: Timestamp) -> Result<()> {
        let Some(DentRecord::Dir(id)) = dent(tx, at.0, at.1)? else { return Ok(()) };
        let mut record = super::names::dir_record(tx, id)?;
        record.marker = None;
        tx.put(Family::Dir, &id_key(id.0), &record);
        let live = super::names::dir_stat(tx, id)?.live;
        super::stack::vanish(tx, id, record, live, now)
    }

    /// Puts a delete marker on top of a name's stack (DEL-2 to DEL-4). Where it takes a null version's place there is no
    /// other (VER-9).
    pub(super) fn add_marker(
        &self,
        (cause, over_null): (Cause, bool),
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        at: (DirId, &str),
        ino: Ino,
        now: Timestamp,
    ) -> Result<VersionId> {
        let seq = Seq(self.ids.take());
        let version = self.version_id(bucket.versioning, seq, ino);
        if version == VersionId::Null && !over_null {
            super::stack::remove_null(tx, bucket.id, at.0, at.1)?;
        }
        let posix = Posix::new(FileKind::File, 0, 0, 0, now);
        let mut marker = Object::empty(ino, seq, version, &posix, now);
        marker.marker = true;
        push_older(tx, bucket.id, at.0, at.1, &marker)?;
        self.announce(tx, cause.marked(), at, &marker)?;
        Ok(version)
    }

    /// Deletes by key: without a version as `rm`, with one that version for good (DEL-5). Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::PreconditionFailed`], [`Kind::NoSuchKey`] for a condition on an absent object (COND-13), [`Kind::Unsupported`] for
    /// one on a version (COND-12), [`Kind::Locked`] for a version that is protected. A missing key or version is no error (DEL-1, DEL-7).
    pub fn delete(
        &self,
        bucket: &str,
        key: &ObjectKey,
        version: Option<VersionId>,
        condition: Condition,
    ) -> Result<Deleted> {
        self.delete_with(bucket, &DeleteOne { key: key.clone(), version, condition, leave: Leave::default() })
    }

    /// The same of what is named, for a caller who may what others may not.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn delete_with(&self, bucket: &str, one: &DeleteOne) -> Result<Deleted> {
        let DeleteOne { key, version, condition, leave } = one;
        match *version {
            Some(version) => {
                let (deleted, found) = self.delete_by_id(bucket, key, version, *condition, *leave)?;
                if found {
                    self.sync()?;
                }
                Ok(deleted)
            }
            None => {
                let (deleted, commit) = self.delete_current(bucket, key, *condition)?;
                self.wait_durable(commit)?;
                Ok(deleted)
            }
        }
    }

    /// Deletes up to 1,000 keys or versions, each by itself as [`Store::delete`] does, and answers for each in their order (DEL-8,
    /// DEL-9). It waits for the disk once: all are durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`], [`Kind::InvalidArgument`] for more keys, or what the disk says: what was deleted may be durable then.
    pub fn delete_many(&self, bucket: &str, keys: &[DeleteOne]) -> Result<Vec<Result<Deleted>>> {
        if keys.len() > DELETE_MAX {
            return Err(Error::new(Kind::InvalidArgument, "cannot delete that many keys at once")
                .why(format!("{} were named, {DELETE_MAX} is the limit (DEL-8)", keys.len())));
        }
        self.bucket(bucket)?;
        let answers = keys.iter().map(|DeleteOne { key, version, condition, leave }| match version {
            Some(version) => self.delete_by_id(bucket, key, *version, *condition, *leave).map(|(deleted, _)| deleted),
            None => self.delete_current(bucket, key, *condition).map(|(deleted, _)| deleted),
        });
        let answers = answers.collect();
        self.sync()?;
        Ok(answers)
    }

    /// Deletes a key's current version as `rm` does, and says which commit did.
    fn delete_current(&self, bucket: &str, key: &ObjectKey, condition: Condition) -> Result<(Deleted, u64)> {
        let now = self.now();
        self.transact_seq(|tx| {
            let bucket = need_bucket(tx, bucket)?;
            let (parts, name) = key.split();
            let dir = Self::walk(tx, bucket.root, parts.iter().copied())?;
            let found = match dir {
                Some(dir) => current(tx, dir, name)?.filter(|old| !old.draft).map(|old| (dir, old)),
                None => None,
            };
            condition.judge(found.as_ref().map(|(_, old)| &old.object))?;
            if let Some((dir, old)) = found {
                let marker = self.unname(tx, &bucket, (dir, name), &old, now)?;
                return Ok(Deleted { version: marker, marker: marker.is_some() });
            }
            if bucket.versioning == Versioning::Unversioned {
                return Ok(Deleted { version: None, marker: false });
            }
            // DEL-2: a marker is made although the key may never have existed.
            let dir = self.ensure_any_dirs(tx, &bucket, &parts, now)?;
            let ino = Ino(self.ids.take());
            let marker = self.add_marker((Cause::Asked, false), tx, &bucket, (dir, name), ino, now)?;
            Ok(Deleted { version: Some(marker), marker: true })
        })
    }

    /// Deletes a version for good, and says whether there was one.
    fn delete_by_id(
        &self,
        bucket: &str,
        key: &ObjectKey,
        version: VersionId,
        condition: Condition,
        leave: Leave,
    ) -> Result<(Deleted, bool)> {
        if condition != Condition::Always {
            return Err(Error::new(Kind::Unsupported, "cannot delete a version on a condition")
                .why("conditions are on the current version, so they do not go with a version's id (COND-12)"));
        }
        let mut deleted = Deleted { version: Some(version), marker: false };
        // Searched where no commit waits for it.
        let Some((.., seen)) = self.version_of(bucket, key, version)? else { return Ok((deleted, false)) };
        let place = Some(seen.seq).filter(|_| version != VersionId::Null);
        match self.purge(version, place, leave, |tx| history_place_in(tx, bucket, key)) {
            Ok(marker) => deleted.marker = marker,
            Err(error) if error.kind() == Kind::NoSuchVersion => deleted.marker = seen.marker,
            Err(error) => return Err(error),
        }
        Ok((deleted, true))
    }

    /// Directories for a marker: live ones where they are, dead ones otherwise.
    fn ensure_any_dirs(&self, tx: &mut Tx<'_>, bucket: &Bucket, parts: &[&str], now: Timestamp) -> Result<DirId> {
        let mut dir = bucket.root;
        for part in parts {
            dir = match all_dirs(tx, &[dir], part)?.first() {
                Some(id) => *id,
                None => {
                    let id = DirId(self.ids.take());
                    let record = DirRecord {
                        parent: dir,
                        name: (*part).to_owned(),
                        bucket: bucket.id,
                        alive: false,
                        posix: super::stack::dir_posix(now),
                        marker: None,
                        xattrs: Xattrs::default(),
                        class: None,
                    };
                    tx.put(Family::Dir, &id_key(id.0), &record);
                    tx.put(Family::DirStat, &id_key(id.0), &DirStat { mtime: now, ctime: now, ..DirStat::default() });
                    tx.put(Family::Ver, &ver_key(dir, part, Seq(id.0)), &VerRecord::Ghost { dir: id, died: now });
                    id
                }
            };
        }
        Ok(dir)
    }

    /// Removes a name and its file without a trace, whatever the bucket's versioning: drafts that failed.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`].
    pub fn discard_draft(&self, dir: DirId, name: &str, ino: Ino) -> Result<()> {
        let (now, spare) = (self.now(), Ino(self.ids.take()));
        self.transact(|tx| {
            let old = current(tx, dir, name)?.filter(|old| old.draft && old.object.ino == ino);
            let old = old.ok_or_else(|| no_such_name(name))?;
            let bucket = bucket_of(tx, dir)?;
            match &old.names {
                Some(names) => self.unlink_one(tx, &bucket, (dir, name), &old, names, now)?,
                None => drop_content(tx, old.object.content)?,
            }
            tx.delete(Family::Unsealed, &id_key(ino.0));
            hold_dir(tx, dir)?;
            detach(tx, dir, name, now)?;
            if newest_older(tx, dir, name)?.is_some() {
                promote(tx, &bucket, dir, name, spare, now)?;
            }
            release_hold(tx, dir, now)
        })
    }

    pub(super) fn reattach(tx: &mut Tx<'_>, at: (DirId, &str), old: Current, now: Timestamp) -> Result<()> {
        match old.names {
            Some(_) => attach(tx, at.0, at.1, &DentRecord::Link(old.object.ino), now)?,
            None => attach(tx, at.0, at.1, &DentRecord::Object { object: old.object, draft: old.draft }, now)?,
        }
        touch_dir(tx, at.0, 0, 0, now).map(drop)
    }
}
