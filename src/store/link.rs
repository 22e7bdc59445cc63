//! Hard links: several names of one file. Each is an object of its own to S3 (FSX-6).

use super::Store;
use super::find::null_below;
use super::names::{FileEntry, no_such_name};
use super::node::need_free;
use super::stack::{attach, bucket_of, current, newest_older};
use crate::index::{DentRecord, Family, InodeRecord, OpenSession, Read, dent_key, id_key};
use crate::model::{DirId, Error, Ino, Kind, Result, VersionId, Versioning};

/// Most names a file has.
const LINKS_MAX: usize = 1000;

impl Store {
    /// Gives a file another name in the same bucket.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`], [`Kind::CrossBucket`], [`Kind::TooManyLinks`], [`Kind::NoSuchKey`].
    pub fn link(&self, ino: Ino, from: (DirId, &str), to: (DirId, &str)) -> Result<FileEntry> {
        self.room_for_data(0)?;
        self.transact(|tx| {
            let (now, seq) = self.stamp();
            let source = current(tx, from.0, from.1)?.filter(|source| source.object.ino == ino);
            let source = source.ok_or_else(|| no_such_name(from.1))?;
            let bucket = bucket_of(tx, from.0)?;
            if bucket.id != bucket_of(tx, to.0)?.id {
                return Err(Error::new(Kind::CrossBucket, "cannot link across buckets"));
            }
            need_free(tx, to.0, to.1)?;
            let mut names = source.names.clone().unwrap_or_else(|| vec![(from.0, from.1.to_owned())]);
            if names.len() >= LINKS_MAX {
                return Err(Error::new(Kind::TooManyLinks, "cannot make another link")
                    .why(format!("the file has {LINKS_MAX} names, the most it can have")));
            }
            names.push((to.0, to.1.to_owned()));
            let mut object = source.object;
            object.posix.ctime = now;
            // Over a name's history the file comes out on top, under every name it has.
            if newest_older(tx, to.0, to.1)?.is_some_and(|newest| newest.seq >= object.seq) {
                object.seq = seq;
            }
            let is_null = !source.draft && object.version == VersionId::Null;
            if is_null && bucket.versioning == Versioning::Enabled && null_below(tx, to.0, to.1)?.is_some() {
                object.version = self.version_id(bucket.versioning, seq, ino);
            }
            tx.put(Family::Dent, &dent_key(from.0, from.1), &DentRecord::Link(ino));
            attach(tx, to.0, to.1, &DentRecord::Link(ino), now)?;
            let nlink = u32::try_from(names.len()).unwrap_or(u32::MAX);
            let record = InodeRecord { object: object.clone(), draft: source.draft, names };
            tx.put(Family::Ino, &id_key(ino.0), &record);
            if !source.draft {
                super::stack::enthrone(tx, &bucket, to, &object)?;
                self.announce(tx, "ObjectCreated:Copy", to, &object)?;
                self.await_time(tx, to, &object)?;
            }
            Ok(FileEntry { object, draft: source.draft, nlink })
        })
    }

    /// The names of a file that has had several.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn links(&self, ino: Ino) -> Result<Vec<(DirId, String)>> {
        let (record, open) = self.index.at_once(|view| {
            let record: Option<InodeRecord> = view.record(Family::Ino, &id_key(ino.0))?;
            let open: Option<OpenSession> = view.record(Family::Unsealed, &id_key(ino.0))?;
            Ok((record, open))
        })?;
        let mut names = record.map(|record| record.names).unwrap_or_default();
        names.extend(open.map(|open| open.place));
        Ok(names)
    }
}

/// A file's list of names follows a rename.
pub(super) fn rename_in(names: &mut [(DirId, String)], from: (DirId, &str), to: (DirId, &str)) {
    for name in names.iter_mut().filter(|(dir, name)| (*dir, name.as_str()) == from) {
        *name = (to.0, to.1.to_owned());
    }
}
