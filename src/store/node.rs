//! Making and removing directories, making special files and drafts.

use super::Store;
use super::bucket::read_bucket;
use super::class::default_class;
use super::names::{
    Directory, FileEntry, dent, dir_record, dir_stat, directory_of, is_dir, live_dir, no_such_name, twin,
};
use super::stack::{Current, attach, bucket_of, bury, detach, enthrone, newest_older, open_dir};
use crate::index::{DentRecord, Family, OpenSession, Read, Tx, id_key};
use crate::model::{Bucket, DirId, Error, Ino, Kind, Object, ObjectLock, Posix, Result, Seq, Timestamp, VersionId};

pub(super) fn taken(component: &str) -> Error {
    Error::new(Kind::AlreadyExists, format!("cannot make {component:?}")).why("the name is taken")
}

/// The name must be free both as an object and as a directory.
pub(super) fn need_free(read: &impl Read, dir: DirId, component: &str) -> Result<()> {
    if dent(read, dir, component)?.is_some() || dent(read, dir, &twin(component))?.is_some() {
        return Err(taken(component));
    }
    Ok(())
}

impl Store {
    /// Makes a directory and its `dir/` object. `rmdir` leaves no trace of it, unless the key has history from S3.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`], [`Kind::NoSuchKey`] when the parent is gone.
    pub fn make_dir(&self, parent: DirId, component: &str, posix: &Posix) -> Result<Directory> {
        self.room_for_data(0)?;
        let id = DirId(self.ids.take());
        self.transact(|tx| {
            let (now, seq) = self.stamp();
            need_free(tx, parent, component)?;
            // In a directory that was removed nothing is made, although its history may keep it.
            let bucket = read_bucket(tx, live_dir(tx, parent)?.bucket)?;
            let id = open_dir(tx, bucket.id, parent, component, id, posix, now)?;
            self.mark_dir(tx, &bucket, (parent, component), id, (seq, now))?;
            directory_of(tx, id)
        })
    }

    /// Gives a directory its `dir/` object, so that it lives without a name in it (KEY-6). It has no bytes to protect, and
    /// gets no default retention: `rmdir` leaves no trace.
    fn mark_dir(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        at: (DirId, &str),
        id: DirId,
        (seq, now): (Seq, Timestamp),
    ) -> Result<()> {
        let mut record = dir_record(tx, id)?;
        let version = match newest_older(tx, at.0, at.1)? {
            None => VersionId::Null,
            Some(_) => self.version_id(bucket.versioning, seq, id.into()),
        };
        let marker = Object::empty(id.into(), seq, version, &record.posix, now);
        enthrone(tx, bucket, at, &marker)?;
        self.announce(tx, "ObjectCreated:Put", at, &marker)?;
        record.marker = Some(marker);
        tx.put(Family::Dir, &id_key(id.0), &record);
        Ok(())
    }

    /// The file view is about to take a name out of a directory that nobody made: it stays when that was the last, as
    /// `rm d/*` leaves `d` on any file system. Doors that name keys let it vanish (KEY-6).
    pub(super) fn keep_dir(&self, tx: &mut Tx<'_>, id: DirId, now: Timestamp) -> Result<()> {
        let record = dir_record(tx, id)?;
        if record.parent == id || record.marker.is_some() || !record.alive || dir_stat(tx, id)?.live > 1 {
            return Ok(());
        }
        let bucket = read_bucket(tx, record.bucket)?;
        let seq = Seq(self.ids.take());
        self.mark_dir(tx, &bucket, (record.parent, &record.name), id, (seq, now))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`Kind::NotEmpty`], [`Kind::NoSuchKey`].
    pub fn remove_dir(&self, parent: DirId, component: &str) -> Result<()> {
        let now = self.now();
        self.transact(|tx| {
            let Some(DentRecord::Dir(id)) = dent(tx, parent, component)? else {
                return Err(no_such_name(component));
            };
            self.keep_dir(tx, parent, now)?;
            self.remove_empty_dir(tx, parent, component, id, now)
        })
    }

    pub(super) fn remove_empty_dir(
        &self,
        tx: &mut Tx<'_>,
        parent: DirId,
        component: &str,
        id: DirId,
        now: Timestamp,
    ) -> Result<()> {
        if dir_stat(tx, id)?.live > 0 {
            return Err(Error::new(Kind::NotEmpty, format!("cannot remove the directory {component:?}"))
                .why("it holds entries"));
        }
        let mut record = dir_record(tx, id)?;
        let bucket = read_bucket(tx, record.bucket)?;
        let has_history = newest_older(tx, parent, component)?.is_some();
        if let Some(marker) = record
            .marker
            .take_if(|marker| has_history || marker.version != VersionId::Null || marker.lock != ObjectLock::NONE)
        {
            // S3 made versions of the `dir/` key, or locked it: it is deleted as any other object.
            tx.put(Family::Dir, &id_key(id.0), &record);
            let old = Current { object: marker, draft: false, names: None };
            let marked = self.unname_object(tx, &bucket, (parent, component), &old, now)?;
            if marked.is_none() {
                self.announce(tx, "ObjectRemoved:Delete", (parent, component), &old.object)?;
            }
        }
        if let Some(marker) = &record.marker {
            super::stack::dethrone(tx, record.bucket, marker)?;
            super::metering::charge_early(tx, record.bucket, marker)?;
            super::stack::drop_content(tx, marker.content)?;
            self.announce(tx, "ObjectRemoved:Delete", (parent, component), marker)?;
        }
        bury(tx, id, record, now)?;
        detach(tx, parent, component, now)
    }

    /// Makes a symbolic link, fifo, socket or device: `posix` says which. Published at once.
    ///
    /// # Errors
    /// As [`Store::create_draft`].
    pub fn make_node(&self, dir: DirId, name: &str, posix: &Posix) -> Result<FileEntry> {
        self.room_for_data(0)?;
        let ino = Ino(self.ids.take());
        self.transact(|tx| {
            let (now, seq) = self.stamp();
            need_free(tx, dir, name)?;
            let bucket = bucket_of(tx, dir)?;
            let mut object = Object::empty(ino, seq, self.version_id(bucket.versioning, seq, ino), posix, now);
            object.lock = self.new_lock(tx, &bucket, ObjectLock::NONE)?;
            enthrone(tx, &bucket, (dir, name), &object)?;
            self.announce(tx, "ObjectCreated:Put", (dir, name), &object)?;
            attach(tx, dir, name, &DentRecord::Object { object: object.clone(), draft: false }, now)?;
            Ok(FileEntry { object, draft: false, nlink: 1 })
        })
    }

    /// Makes an empty file that S3 does not see until it is published.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] when an object or directory has the name, [`Kind::NoSuchKey`] when the directory is
    /// gone, [`Kind::Full`].
    pub fn create_draft(&self, dir: DirId, name: &str, posix: &Posix) -> Result<FileEntry> {
        debug_assert!(!is_dir(name));
        self.room_for_data(0)?;
        let (ino, now) = (Ino(self.ids.take()), self.now());
        let mut object = Object::empty(ino, Seq(0), VersionId::Null, posix, now);
        self.transact(|tx| {
            need_free(tx, dir, name)?;
            object.class = default_class(tx, dir)?;
            // Found by the next opening of the store, should nothing be published before a crash.
            let open = OpenSession { place: (dir, name.to_owned()), change: None };
            tx.put(Family::Unsealed, &id_key(ino.0), &open);
            attach(tx, dir, name, &DentRecord::Object { object: object.clone(), draft: true }, now)
        })?;
        Ok(FileEntry { object, draft: true, nlink: 1 })
    }
}
