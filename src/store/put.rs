//! Putting and getting by key, as S3 clients do (META, COND, READ).

use super::Store;
use super::bucket::{need_bucket, need_same_bucket, read_bucket};
use super::draft::Draft;
use super::names::{is_dir, live_dir, no_such_name};
use super::origin::whole_key;
use super::promise::{Promise, Promised};
use super::stack::{Current, attach, current, enthrone_all, rewrite, set_marker};
use crate::index::{DentRecord, Tx};
use crate::model::{
    Bucket, DirId, ETag, Error, FileKind, Ino, Kind, Metadata, Object, ObjectKey, ObjectLock, ObjectSums, Posix,
    Result, Seq, StorageClass, TagSet, Tags, Timestamp, VersionId,
};
use std::sync::Arc;

/// A condition on the current version, judged in the commit (COND-4 to COND-8).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Condition {
    /// None.
    #[default]
    Always,
    /// `If-None-Match: *`: there is no current object.
    Absent,
    /// `If-None-Match: ETAG`: there is none, or one with another tag.
    Differs(ETag),
    /// `If-Match: *`: there is one.
    Present,
    /// `If-Match: ETAG`.
    Matches(ETag),
    /// `If-Match` with what is the tag of no object.
    MatchesNone,
}

impl Condition {
    /// What `If-Match` and `If-None-Match` of a write come to.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for both, and for several tags.
    pub fn of(if_match: Option<&Tags>, if_none_match: Option<&Tags>) -> Result<Self> {
        let refused = |why| Err(Error::new(Kind::Unsupported, "cannot write on that condition").why(why));
        Ok(match (if_match, if_none_match) {
            (None, None) => Self::Always,
            (None, Some(Tags::Any)) => Self::Absent,
            (None, Some(Tags::These(tags))) => match tags.as_slice() {
                [] => Self::Always,
                [tag] => Self::Differs(*tag),
                _ => return refused("If-None-Match of a write names one tag"),
            },
            (Some(_), Some(_)) => return refused("If-Match and If-None-Match do not go together"),
            (Some(Tags::Any), None) => Self::Present,
            (Some(Tags::These(tags)), None) => match tags.as_slice() {
                [] => Self::MatchesNone,
                [tag] => Self::Matches(*tag),
                _ => return refused("If-Match of a write names one tag"),
            },
        })
    }

    pub(super) fn judge(self, current: Option<&Object>) -> Result<()> {
        let failed = |why: String| Err(Error::new(Kind::PreconditionFailed, "the condition does not hold").why(why));
        match (self, current) {
            (Self::Always | Self::Absent | Self::Differs(_), None) | (Self::Always | Self::Present, Some(_)) => Ok(()),
            (Self::Matches(tag), Some(object)) if object.etag == tag => Ok(()),
            (Self::Differs(tag), Some(object)) if object.etag != tag => Ok(()),
            (Self::Differs(tag), Some(_)) => failed(format!("its tag is {tag}")),
            (Self::Absent, Some(_)) => failed("an object has the key".into()),
            (Self::Matches(tag), Some(object)) => failed(format!("its tag is {}, not {tag}", object.etag)),
            (Self::MatchesNone, Some(object)) => failed(format!("its tag is {}", object.etag)),
            // COND-5, COND-13: an absent object is not found, whatever the tag.
            (Self::Present | Self::Matches(_) | Self::MatchesNone, None) => {
                Err(Error::new(Kind::NoSuchKey, "the condition does not hold").why("no object has the key"))
            }
        }
    }
}

/// What an object is put with.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// System headers and user metadata.
    pub metadata: Metadata,
    /// Tags.
    pub tags: TagSet,
    /// Storage class.
    pub class: StorageClass,
    /// Mode, owner and times; those of the file that is replaced, else 0644 of root, when absent.
    pub posix: Option<Posix>,
    /// Condition on the current version.
    pub condition: Condition,
    /// What the body was promised to be.
    pub promise: Promise,
    /// What protects it; the bucket's default when nothing (LOCK-9).
    pub lock: ObjectLock,
}

impl Store {
    /// Puts an object, whose tag is the MD5 of its bytes (SUM-1). Durable when it returns (READ-14: readers see the old or the new
    /// one, whole).
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`], [`Kind::PreconditionFailed`], [`Kind::Full`], [`Kind::QuotaExceeded`]; [`Kind::BadDigest`], [`Kind::IncompleteBody`] when the
    /// body is not what was promised, [`Kind::EntityTooLarge`] over [`BODY_BYTES_MAX`](super::BODY_BYTES_MAX), or what reading it
    /// returns; nothing is left behind then (SIZE-6).
    pub fn put(
        self: &Arc<Self>,
        bucket: &str,
        key: &ObjectKey,
        body: &mut dyn std::io::Read,
        options: &PutOptions,
    ) -> Result<Object> {
        let bucket = self.bucket(bucket)?;
        self.check_lock(&bucket, options.lock)?;
        let mut draft = self.draft(None)?;
        draft.has_key(bucket.name.as_str(), key.as_str());
        draft.has_class(options.class);
        let mut body = Promised::new(body, &options.promise)?;
        draft.expect(options.promise.length.unwrap_or(0))?;
        draft.fill(&mut body)?;
        let sent = body.kept()?;
        let etag = ETag { digest: sent.md5, parts: 0 };
        self.put_draft(&bucket, key, draft, options, "ObjectCreated:Put", sent.sums(), |object| object.etag = etag)
    }

    /// Makes a draft's bytes the current version of a key, in that bucket and no other of its name; `dress` has the last word on
    /// the object.
    #[expect(clippy::too_many_arguments, reason = "one commit has that many parts")]
    pub(super) fn put_draft(
        self: &Arc<Self>,
        bucket: &Bucket,
        key: &ObjectKey,
        mut draft: Draft,
        options: &PutOptions,
        event: &str,
        sums: ObjectSums,
        dress: impl FnOnce(&mut Object),
    ) -> Result<Object> {
        let mut prepared = self.prepare(&mut draft)?;
        prepared.keep(&mut draft, sums);
        draft.is_committed();
        let ((object, overtaken), commit) = self.transact_seq(|tx| {
            let (now, seq) = self.stamp();
            let bucket = need_same_bucket(tx, bucket)?;
            let fill = |object: &mut Object| {
                prepared.describe(self, object);
                dress(object);
            };
            let (object, replaced) = self.install(tx, &bucket, key, (seq, now), options, event, fill)?;
            prepared.commit(tx)?;
            Ok((object, replaced.filter(|replaced| prepared.is_overtaken(*replaced)).map(|_| seq)))
        })?;
        drop(prepared);
        self.put_done(draft, object, (commit, overtaken), (bucket.name.as_str(), key))
    }

    /// What follows the commit that made an object of a draft; `overtaken` is the place of one that another overtook. Durable
    /// when it returns.
    pub(super) fn put_done(
        &self,
        mut draft: Draft,
        object: Object,
        (commit, overtaken): (u64, Option<Seq>),
        (bucket, key): (&str, &ObjectKey),
    ) -> Result<Object> {
        // The bytes have an owner from the commit on, durable or not.
        draft.published(object.content);
        if let Some(seq) = overtaken {
            self.note_place(commit, &object, seq, Some(whole_key(bucket, key.as_str())));
        }
        self.wait_durable(commit)?;
        Ok(object)
    }

    /// The live directory of a key, made where it is missing, and the component in it.
    pub(super) fn ensure_place<'a>(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        key: &'a ObjectKey,
        now: Timestamp,
    ) -> Result<(DirId, &'a str)> {
        let (parts, name) = key.split();
        Ok((self.ensure_dirs(tx, bucket, &parts, now)?, name))
    }

    /// Takes the bytes from a directory's own object, which stays with what else it has. Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`] when the directory was removed or has no object.
    pub fn empty_marker(&self, dir: DirId) -> Result<()> {
        self.transact_durably(|tx| {
            let (now, seq) = self.stamp();
            let record = live_dir(tx, dir)?;
            let at = (record.parent, record.name.as_str());
            let marker = record.marker.as_ref().ok_or_else(|| no_such_name(at.1))?;
            let options =
                PutOptions { metadata: marker.metadata.clone(), tags: marker.tags.clone(), ..PutOptions::default() };
            let bucket = read_bucket(tx, record.bucket)?;
            self.install_at(tx, &bucket, at, (seq, now), &options, "ObjectCreated:Put", |_| {}).map(drop)
        })
    }

    /// [`Store::install_at`] by key; directories are made where they are missing.
    #[expect(clippy::too_many_arguments, reason = "one commit has that many parts")]
    pub(super) fn install(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        key: &ObjectKey,
        (seq, now): (Seq, Timestamp),
        options: &PutOptions,
        event: &str,
        fill: impl FnOnce(&mut Object),
    ) -> Result<(Object, Option<Seq>)> {
        let at = self.ensure_place(tx, bucket, key, now)?;
        self.install_at(tx, bucket, at, (seq, now), options, event, fill)
    }

    /// Makes a new version current: the one place where a name gets one. Says as well what number the one had that it took
    /// the place of.
    #[expect(clippy::too_many_arguments, reason = "one commit has that many parts")]
    pub(super) fn install_at(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        (dir, name): (DirId, &str),
        (seq, now): (Seq, Timestamp),
        options: &PutOptions,
        event: &str,
        fill: impl FnOnce(&mut Object),
    ) -> Result<(Object, Option<Seq>)> {
        let old = current(tx, dir, name)?;
        options.condition.judge(old.as_ref().filter(|old| !old.draft).map(|old| &old.object))?;
        let ino = old.as_ref().map_or_else(|| Ino(self.ids.take()), |old| old.object.ino);
        let kind = if is_dir(name) { FileKind::Directory } else { FileKind::File };
        let posix = options.posix.clone().unwrap_or_else(|| match &old {
            Some(old) if old.object.posix.kind == FileKind::File => {
                Posix { mtime: now, ctime: now, ..old.object.posix.clone() }
            }
            _ => Posix::new(kind, if is_dir(name) { 0o755 } else { 0o644 }, 0, 0, now),
        });
        let mut object = Object::empty(ino, seq, self.version_id(bucket.versioning, seq, ino), &posix, now);
        object.metadata = options.metadata.clone();
        object.tags = options.tags.clone();
        object.class = options.class;
        object.lock = self.new_lock(tx, bucket, options.lock)?;
        fill(&mut object);
        if let Some(old) = &old {
            self.retire_all(tx, bucket, (dir, name), old, now)?;
        }
        let new = Current { object, draft: false, names: old.as_ref().and_then(|old| old.names.clone()) };
        enthrone_all(tx, bucket, (dir, name), &new, old.as_ref())?;
        let object = new.object.clone();
        let replaced = old.as_ref().map(|old| old.object.seq);
        match old {
            Some(_) => rewrite(tx, dir, name, new)?,
            None if is_dir(name) => set_marker(tx, dir, name, object.clone(), ino, now)?,
            None => attach(tx, dir, name, &DentRecord::Object { object: object.clone(), draft: false }, now)?,
        }
        self.announce(tx, event, (dir, name), &object)?;
        self.await_time(tx, (dir, name), &object)?;
        Ok((object, replaced))
    }

    /// The current version, or the one named.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`] (READ-1), [`Kind::NoSuchVersion`] (READ-5), [`Kind::IsMarker`] for a delete marker by its
    /// id (READ-2).
    pub fn get(&self, bucket: &str, key: &ObjectKey, version: Option<VersionId>) -> Result<Object> {
        let Some(version) = version else {
            let found = self.index.at_once(|view| {
                let (parts, name) = key.split();
                match Self::walk(view, need_bucket(view, bucket)?.root, parts)? {
                    Some(dir) => current(view, dir, name),
                    None => Ok(None),
                }
            })?;
            return match found {
                Some(current) if !current.draft => Ok(current.object),
                _ => Err(no_such_name(key.as_str())),
            };
        };
        match self.version_of(bucket, key, version)?.map(|(_, _, object)| object) {
            Some(object) if object.marker => Err(Error::new(Kind::IsMarker, format!("cannot read {key}"))
                .why(format!("version {version} is a delete marker"))
                .mend("read an older version, or delete the marker to undelete the object")),
            Some(object) => Ok(object),
            None => Err(Self::no_version(version)),
        }
    }
}
