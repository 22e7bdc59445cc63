//! Rename: a name's current entry and its history move together, in one commit; a directory in constant time.

use super::Store;
use super::delete::Cause;
use super::find::null_below;
use super::link::rename_in;
use super::names::{dent, dir_record, dir_stat, is_dir, live_dir, no_such_name, twin};
use super::node::taken;
use super::stack::{
    Current, add_version, attach, bucket_of, current, detach, enthrone, hold_content, keep_copy, move_older,
    newest_older, older, retire, touch_dir,
};
use super::tiering::look_at_moved;
use crate::index::{
    Change, DentRecord, DirRecord, Family, InodeRecord, OpenSession, Read, Tx, VerRecord, dent_key, id_key, ver_key,
};
use crate::model::{
    Bucket, DirId, Error, Ino, Kind, Object, ObjectLock, Result, Seq, Timestamp, VersionId, Versioning,
};

/// What becomes of a taken destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RenameHow {
    /// A file replaces a file, a directory an empty directory.
    Replace,
    /// It is an error (RENAME_NOREPLACE).
    NoReplace,
    /// The two names change places (RENAME_EXCHANGE).
    Exchange,
}

impl Store {
    /// Renames an object or directory; both components end in `/` for a directory. In a versioned bucket the
    /// destination's old content becomes its previous version and its history stays below. In a bucket with object lock
    /// versions never move: a file is copied, without its bytes, and its old name deleted, and a directory does not go.
    ///
    /// # Errors
    /// [`Kind::NoSuchKey`], [`Kind::AlreadyExists`], [`Kind::NotEmpty`], [`Kind::IsDirectory`],
    /// [`Kind::NotDirectory`], [`Kind::Loop`], [`Kind::CrossBucket`], also for directories and exchanges with object lock.
    pub fn rename(&self, from: (DirId, &str), to: (DirId, &str), how: RenameHow) -> Result<()> {
        let ((bucket, moved, numbers), commit) = self.transact_seq(|tx| {
            let now = self.now();
            // In the order of commits.
            let numbers = [(); 3].map(|()| self.ids.take());
            let bucket = bucket_of(tx, from.0)?;
            live_dir(tx, to.0)?;
            if bucket.id != bucket_of(tx, to.0)?.id {
                return Err(Error::new(Kind::CrossBucket, "cannot rename across buckets").mend("copy, then delete"));
            }
            if bucket.lock.is_some() && (how == RenameHow::Exchange || is_dir(from.1)) {
                return Err(Error::new(Kind::CrossBucket, format!("cannot rename {:?}", from.1))
                    .why("the bucket has object lock, where versions never move: directories and exchanged names stay")
                    .mend("copy, then delete"));
            }
            let moved = if how == RenameHow::Exchange {
                Moved::names(self.exchange(tx, &bucket, from, to, now)?)
            } else if is_dir(from.1) {
                Moved::names(self.rename_dir(tx, &bucket, from, to, how, now)?)
            } else {
                self.rename_file(tx, &bucket, from, to, how, now)?
            };
            Ok((bucket, moved, numbers))
        })?;
        self.note_renames(commit, &bucket, moved.changes, &numbers);
        if let Some((object, key)) = moved.copy {
            self.note_copy(&object, bucket.name.as_str(), &key);
        }
        Ok(())
    }

    /// Has the log told of names that changed and that it knows.
    fn note_renames(&self, commit: u64, bucket: &Bucket, changes: Vec<Change>, numbers: &[u64]) {
        let known = |change: &Change| is_dir(&change.key) || change.size > self.settings.inline_max;
        let exchanged = changes.len() > 1;
        let mut moves: Vec<(String, String)> =
            changes.into_iter().filter(known).filter_map(|change| change.from.map(|from| (from, change.key))).collect();
        if exchanged && let Some((from, to)) = moves.first().cloned() {
            // Out of the way of the other one.
            let aside = if is_dir(&from) { "\0/" } else { "\0" };
            moves[0] = (from, aside.to_owned());
            moves.push((aside.to_owned(), to));
        }
        self.note_moves(commit, bucket.name.as_str(), &moves, numbers);
    }

    fn rename_file(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        from: (DirId, &str),
        to: (DirId, &str),
        how: RenameHow,
        now: Timestamp,
    ) -> Result<Moved> {
        let mut moved = current(tx, from.0, from.1)?.ok_or_else(|| no_such_name(from.1))?;
        let replaced = current(tx, to.0, to.1)?;
        if dent(tx, to.0, &twin(to.1))?.is_some() {
            let kind = if how == RenameHow::NoReplace { Kind::AlreadyExists } else { Kind::IsDirectory };
            return Err(Error::new(kind, format!("cannot rename over {:?}", to.1)).why("a directory has that name"));
        }
        if let Some(replaced) = &replaced {
            if how == RenameHow::NoReplace {
                return Err(taken(to.1));
            }
            if replaced.object.ino == moved.object.ino {
                return Ok(Moved::default());
            }
            if replaced.names.is_some() {
                self.unname_link_for_rename(tx, bucket, to, replaced, now)?;
            } else {
                super::stack::retire(tx, bucket, to, replaced, now)?;
                tx.delete(Family::Dent, &dent_key(to.0, to.1));
                touch_dir(tx, to.0, -1, 0, now)?;
            }
        }
        let (_, old_prefix) = Self::key_prefix(tx, from.0)?;
        let copied = bucket.lock.is_some();
        let seq = Seq(self.ids.take());
        if copied {
            self.leave_behind(tx, bucket, from, to, &mut moved, (now, seq))?;
        } else {
            self.move_history(tx, bucket, from, to)?;
        }
        moved.object.seq = seq;
        if replaced.is_some_and(|replaced| !replaced.draft) {
            // Time travel shows what was replaced up to now; a name that was free has always been the file's.
            moved.object.since = now;
        }
        moved.object.posix.ctime = now;
        let is_null = !copied && !moved.draft && moved.object.version == VersionId::Null;
        if is_null && Self::has_other_null(tx, bucket, to)? {
            self.settle_nulls(tx, bucket, to, &mut moved)?;
        }
        let object = moved.object.clone();
        let draft = moved.draft;
        if let Some(mut names) = moved.names.clone() {
            rename_in(&mut names, from, to);
            tx.put(Family::Ino, &id_key(object.ino.0), &InodeRecord { object: object.clone(), draft, names });
        }
        Self::reattach(tx, to, moved, now)?;
        self.await_time(tx, to, &object)?;
        if from.0 != to.0 {
            self.keep_dir(tx, from.0, now)?;
        }
        detach(tx, from.0, from.1, now)?;
        let (_, prefix) = Self::key_prefix(tx, to.0)?;
        let key = prefix + to.1;
        Self::move_session(tx, object.ino, from, to)?;
        if draft {
            return Ok(Moved::default());
        }
        if copied {
            self.announce(tx, "ObjectCreated:Copy", to, &object)?;
            return Ok(Moved { changes: Vec::new(), copy: Some((object, key)) });
        }
        let mut change = self.change("ObjectRenamed:Move", bucket.id, key, &object);
        change.from = Some(old_prefix + from.1);
        Self::announce_change(tx, &change);
        Ok(Moved::names(vec![change]))
    }

    /// The version of a name that is renamed stays where it is, below a delete marker; what goes on to the new name is a
    /// copy, which shares its bytes and has the file's number. One of a file's names takes the file's version along as well.
    fn leave_behind(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        from: (DirId, &str),
        to: (DirId, &str),
        moved: &mut Current,
        (now, seq): (Timestamp, Seq),
    ) -> Result<()> {
        let ino = moved.object.ino;
        if moved.draft {
            // A draft that took the place of a version: the name is deleted.
            if newest_older(tx, from.0, from.1)?.is_none_or(|object| object.marker) {
                return Ok(());
            }
        } else if moved.names.is_some() {
            Self::seal_in(tx, ino)?;
            keep_copy(tx, bucket, from, &moved.object, now)?;
        } else {
            Self::seal_in(tx, ino)?;
            hold_content(tx, moved.object.content)?;
            retire(tx, bucket, from, &Current { object: left(&moved.object, self.ids.take()), ..moved.clone() }, now)?;
            moved.object.lock = self.new_lock(tx, bucket, ObjectLock::NONE)?;
            moved.object.version = self.version_id(bucket.versioning, seq, ino);
            (moved.object.modified, moved.object.since) = (now, now);
            enthrone(tx, bucket, to, &moved.object)?;
        }
        self.add_marker((Cause::Asked, false), tx, bucket, from, ino, now).map(drop)
    }

    /// An open write session follows its file's name.
    fn move_session(tx: &mut Tx<'_>, ino: Ino, from: (DirId, &str), to: (DirId, &str)) -> Result<()> {
        let key = id_key(ino.0);
        if let Some(mut open) = tx.record::<OpenSession>(Family::Unsealed, &key)?
            && (open.place.0, open.place.1.as_str()) == from
        {
            open.place = (to.0, to.1.to_owned());
            tx.put(Family::Unsealed, &key, &open);
        }
        Ok(())
    }

    /// The destination is one of several names of its file: only that name goes.
    fn unname_link_for_rename(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        to: (DirId, &str),
        replaced: &Current,
        now: Timestamp,
    ) -> Result<()> {
        let names = replaced.names.clone().unwrap_or_default();
        self.unlink_one(tx, bucket, to, replaced, &names, now)?;
        tx.delete(Family::Dent, &dent_key(to.0, to.1));
        touch_dir(tx, to.0, -1, 0, now).map(drop)
    }

    /// Whether a null version lies below a name. Never so where versioning was never on (VER-1).
    fn has_other_null(tx: &Tx<'_>, bucket: &Bucket, at: (DirId, &str)) -> Result<bool> {
        Ok(bucket.versioning != Versioning::Unversioned && null_below(tx, at.0, at.1)?.is_some())
    }

    /// Older versions go along. A null version that would be the second one of the name gets an id (VER-9).
    fn move_history(&self, tx: &mut Tx<'_>, bucket: &Bucket, from: (DirId, &str), to: (DirId, &str)) -> Result<()> {
        if bucket.versioning == Versioning::Unversioned {
            // Never left and entered again (VER-1): there is nothing below any name.
            return Ok(());
        }
        let versions = older(tx, from.0, from.1)?;
        let one = versions.iter().find(|object| object.version == VersionId::Null).cloned();
        let other = if one.is_some() { null_below(tx, to.0, to.1)? } else { None };
        for object in &versions {
            self.await_time(tx, to, object)?;
        }
        move_older(tx, bucket.id, from, to, versions)?;
        // Names of one file have copies of it in the same place, of which one went.
        let two = one.zip(other).filter(|(one, other)| one.seq != other.seq);
        let Some(mut object) = two.map(|(one, other)| if one.seq < other.seq { one } else { other }) else {
            return Ok(());
        };
        object.version = self.version_id(Versioning::Enabled, object.seq, object.ino);
        tx.put(Family::Ver, &ver_key(to.0, to.1, object.seq), &VerRecord::Object(object));
        Ok(())
    }

    /// A current null version comes over a stack that has one: the older one gives way (VER-7), or the newer one gets
    /// an id where versioning is enabled.
    fn settle_nulls(&self, tx: &mut Tx<'_>, bucket: &Bucket, at: (DirId, &str), moved: &mut Current) -> Result<()> {
        if bucket.versioning == Versioning::Enabled {
            moved.object.version = self.version_id(Versioning::Enabled, moved.object.seq, moved.object.ino);
            return Ok(());
        }
        super::stack::remove_null(tx, bucket.id, at.0, at.1)
    }

    fn rename_dir(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        from: (DirId, &str),
        to: (DirId, &str),
        how: RenameHow,
        now: Timestamp,
    ) -> Result<Vec<Change>> {
        let Some(DentRecord::Dir(id)) = dent(tx, from.0, from.1)? else { return Err(no_such_name(from.1)) };
        need_no_loop(tx, id, to.0)?;
        if dent(tx, to.0, &twin(to.1))?.is_some() {
            let kind = if how == RenameHow::NoReplace { Kind::AlreadyExists } else { Kind::NotDirectory };
            return Err(Error::new(kind, format!("cannot rename over {:?}", to.1)).why("a file has that name"));
        }
        if let Some(DentRecord::Dir(other)) = dent(tx, to.0, to.1)? {
            if how == RenameHow::NoReplace {
                return Err(taken(to.1));
            }
            if other == id {
                return Ok(Vec::new());
            }
            // The parent must not vanish with it: the directory comes in at once.
            touch_dir(tx, to.0, 1, 0, now)?;
            self.remove_empty_dir(tx, to.0, to.1, other, now)?;
            touch_dir(tx, to.0, -1, 0, now)?;
        }
        // The versions of its own key go along.
        self.move_history(tx, bucket, from, to)?;
        let mut record = moved_dir(tx, id, to, now)?;
        if let Some(object) = record.marker.take() {
            let mut marker = Current { object, draft: false, names: None };
            marker.object.seq = Seq(self.ids.take());
            if marker.object.version == VersionId::Null && Self::has_other_null(tx, bucket, to)? {
                self.settle_nulls(tx, bucket, to, &mut marker)?;
            }
            record.marker = Some(marker.object);
        }
        tx.put(Family::Dir, &id_key(id.0), &record);
        attach(tx, to.0, to.1, &DentRecord::Dir(id), now)?;
        let (_, old_prefix) = Self::key_prefix(tx, from.0)?;
        if from.0 != to.0 {
            self.keep_dir(tx, from.0, now)?;
        }
        detach(tx, from.0, from.1, now)?;
        let (_, prefix) = Self::key_prefix(tx, to.0)?;
        let moved = Object::empty(id.into(), Seq(0), VersionId::Null, &record.posix, now);
        let mut change = self.change("ObjectRenamed:MoveDirectory", bucket.id, prefix + to.1, &moved);
        look_at_moved(tx, bucket, &change.key)?;
        change.from = Some(old_prefix + from.1);
        Self::announce_change(tx, &change);
        Ok(vec![change])
    }

    /// Two names change places, with all their history.
    fn exchange(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        a: (DirId, &str),
        b: (DirId, &str),
        now: Timestamp,
    ) -> Result<Vec<Change>> {
        let (part_a, part_b) = (a.1.trim_end_matches('/'), b.1.trim_end_matches('/'));
        let first = dent(tx, a.0, a.1)?.ok_or_else(|| no_such_name(a.1))?;
        let second = dent(tx, b.0, b.1)?.ok_or_else(|| no_such_name(b.1))?;
        let same_file = matches!((&first, &second), (DentRecord::Link(one), DentRecord::Link(other)) if one == other);
        if a == b || same_file {
            return Ok(Vec::new());
        }
        let named = |part: &str, like: &str| if is_dir(like) { format!("{part}/") } else { part.to_owned() };
        let (new_a, new_b) = (named(part_a, b.1), named(part_b, a.1));
        if let DentRecord::Dir(id) = first {
            need_no_loop(tx, id, b.0)?;
        }
        if let DentRecord::Dir(id) = second {
            need_no_loop(tx, id, a.0)?;
        }
        for (place, name, other) in [(a, &new_a, b), (b, &new_b, a)] {
            if name.as_str() != place.1 && (place.0, name.as_str()) != other && dent(tx, place.0, name)?.is_some() {
                return Err(taken(name));
            }
        }
        let prefix_a = Self::key_prefix(tx, a.0)?.1 + a.1;
        let prefix_b = Self::key_prefix(tx, b.0)?.1 + b.1;
        for at in [a, b] {
            tx.delete(Family::Dent, &dent_key(at.0, at.1));
            touch_dir(tx, at.0, -1, -i64::from(is_dir(at.1)), now)?;
        }
        let (older_a, older_b) = (older(tx, a.0, a.1)?, older(tx, b.0, b.1)?);
        for (at, list) in [(a, &older_a), (b, &older_b)] {
            list.iter().for_each(|object| tx.delete(Family::Ver, &ver_key(at.0, at.1, object.seq)));
        }
        let moves = [
            (a, (b.0, new_b.as_str()), first, older_a, prefix_a),
            (b, (a.0, new_a.as_str()), second, older_b, prefix_b),
        ];
        let mut changes = Vec::new();
        for (from, to, mut record, list, old_key) in moves {
            for object in list {
                self.await_time(tx, to, &object)?;
                add_version(tx, bucket.id, to, object)?;
            }
            // A place at the top, also where a name of the other kind left history.
            let seq = Seq(self.ids.take());
            let moved = match &mut record {
                DentRecord::Dir(id) => {
                    let mut dir = moved_dir(tx, *id, to, now)?;
                    if let Some(marker) = &mut dir.marker {
                        marker.seq = seq;
                    }
                    tx.put(Family::Dir, &id_key(id.0), &dir);
                    let posix = &dir.posix;
                    Some(Object::empty((*id).into(), Seq(0), VersionId::Null, posix, now))
                }
                DentRecord::Link(ino) => match tx.record::<InodeRecord>(Family::Ino, &id_key(ino.0))? {
                    Some(mut inode) => {
                        Self::move_session(tx, *ino, from, to)?;
                        rename_in(&mut inode.names, from, to);
                        inode.object.seq = seq;
                        inode.object.posix.ctime = now;
                        tx.put(Family::Ino, &id_key(ino.0), &inode);
                        Some(inode.object).filter(|_| !inode.draft)
                    }
                    None => None,
                },
                DentRecord::Object { object, draft } => {
                    object.seq = seq;
                    object.posix.ctime = now;
                    Self::move_session(tx, object.ino, from, to)?;
                    Some(object.clone()).filter(|_| !*draft)
                }
            };
            attach(tx, to.0, to.1, &record, now)?;
            if let Some(moved) = moved {
                self.await_time(tx, to, &moved)?;
                let event = if is_dir(to.1) { "ObjectRenamed:MoveDirectory" } else { "ObjectRenamed:Move" };
                let (_, prefix) = Self::key_prefix(tx, to.0)?;
                let mut change = self.change(event, bucket.id, prefix + to.1, &moved);
                if is_dir(to.1) {
                    look_at_moved(tx, bucket, &change.key)?;
                }
                change.from = Some(old_key);
                Self::announce_change(tx, &change);
                changes.push(change);
            }
        }
        Ok(changes)
    }
}

/// A version that stays behind when its file goes on: the number is the file's.
fn left(object: &Object, number: u64) -> Object {
    Object { ino: Ino(number), ..object.clone() }
}

/// What a rename did.
#[derive(Default)]
struct Moved {
    changes: Vec<Change>,
    /// The copy that was made instead, and its key.
    copy: Option<(Object, String)>,
}

impl Moved {
    fn names(changes: Vec<Change>) -> Self {
        Self { changes, copy: None }
    }
}

/// A directory's record under its new name, not yet written back; its time of change moves.
fn moved_dir(tx: &mut Tx<'_>, id: DirId, to: (DirId, &str), now: Timestamp) -> Result<DirRecord> {
    let mut record = dir_record(tx, id)?;
    record.parent = to.0;
    to.1.clone_into(&mut record.name);
    record.posix.ctime = now;
    let mut stat = dir_stat(tx, id)?;
    stat.ctime = now;
    tx.put(Family::DirStat, &id_key(id.0), &stat);
    Ok(record)
}

/// A directory cannot move below itself.
fn need_no_loop(read: &impl Read, moved: DirId, to: DirId) -> Result<()> {
    let mut at = to;
    for _ in 0..4096 {
        if at == moved {
            return Err(Error::new(Kind::Loop, "cannot move a directory below itself"));
        }
        let parent = dir_record(read, at)?.parent;
        if parent == at {
            return Ok(());
        }
        at = parent;
    }
    Err(Error::corrupt("cannot rename the directory", "its parents form a ring"))
}
