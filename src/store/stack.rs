//! A name's stack of versions: the current entry, older versions below it, and the rules for changing them.
//!
//! Every function here is part of a transaction and keeps counters, holders and directories right.

use super::Store;
use super::bucket::read_bucket;
use super::find::null_below;
use super::metering::{self, charge_early, count};
use super::names::{dent, dir_record, dir_stat, is_dir, live_dir};
use crate::index::{
    Body, ContentRecord, DentRecord, DirRecord, DirStat, Family, InodeRecord, OneCommit, Read, RefKey, Tx, VerRecord,
    content_key, decode, dent_key, id_key, ver_bounds, ver_dir_bounds, ver_key,
};
use crate::model::{
    Bucket, BucketId, ContentId, DirId, Error, FileKind, Ino, Kind, Object, Posix, Result, Seq, Timestamp, VersionId,
    Versioning, Xattrs,
};

/// The current version of a name.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub object: Object,
    pub draft: bool,
    /// All names, when the file has had several.
    pub names: Option<Vec<(DirId, String)>>,
}

impl Current {
    pub(super) fn nlink(&self) -> usize {
        self.names.as_ref().map_or(1, Vec::len)
    }
}

pub(super) fn current(read: &impl OneCommit, dir: DirId, component: &str) -> Result<Option<Current>> {
    if is_dir(component) {
        let Some(DentRecord::Dir(id)) = dent(read, dir, component)? else { return Ok(None) };
        let marker = dir_record(read, id)?.marker;
        return Ok(marker.map(|object| Current { object, draft: false, names: None }));
    }
    match dent(read, dir, component)? {
        None | Some(DentRecord::Dir(_)) => Ok(None),
        Some(DentRecord::Object { object, draft }) => Ok(Some(Current { object, draft, names: None })),
        Some(DentRecord::Link(ino)) => {
            let inode = linked(read, ino)?;
            Ok(Some(Current { object: inode.object, draft: inode.draft, names: Some(inode.names) }))
        }
    }
}

/// The record of a file with several names that one of them leads to.
pub(super) fn linked(read: &impl OneCommit, ino: Ino) -> Result<InodeRecord> {
    let inode: Option<InodeRecord> = read.record(Family::Ino, &id_key(ino.0))?;
    inode.ok_or_else(|| Error::corrupt("cannot read a file", format!("inode {ino} is missing")))
}

/// Writes a name's current version back; the name exists.
pub(super) fn rewrite(tx: &mut Tx<'_>, dir: DirId, component: &str, current: Current) -> Result<()> {
    match current.names {
        Some(names) => {
            let ino = current.object.ino;
            tx.put(Family::Ino, &id_key(ino.0), &InodeRecord { object: current.object, draft: current.draft, names });
        }
        None if is_dir(component) => {
            let Some(DentRecord::Dir(id)) = dent(tx, dir, component)? else {
                return Err(super::names::no_such_name(component));
            };
            let mut record = dir_record(tx, id)?;
            record.marker = Some(current.object);
            tx.put(Family::Dir, &id_key(id.0), &record);
        }
        None => {
            let record = DentRecord::Object { object: current.object, draft: current.draft };
            tx.put(Family::Dent, &dent_key(dir, component), &record);
        }
    }
    Ok(())
}

/// Changes a directory's counters and times.
pub(super) fn touch_dir(tx: &mut Tx<'_>, dir: DirId, live: i64, subdirs: i64, now: Timestamp) -> Result<DirStat> {
    let mut stat = dir_stat(tx, dir)?;
    stat.live = stat.live.saturating_add(live);
    stat.subdirs = stat.subdirs.saturating_add(subdirs);
    stat.mtime = now;
    stat.ctime = now;
    tx.put(Family::DirStat, &id_key(dir.0), &stat);
    Ok(stat)
}

/// Keeps a directory from going while a name in it is taken away and given back; [`release_hold`] ends that.
pub(super) fn hold_dir(tx: &mut Tx<'_>, dir: DirId) -> Result<()> {
    let mut stat = dir_stat(tx, dir)?;
    stat.live = stat.live.saturating_add(1);
    tx.put(Family::DirStat, &id_key(dir.0), &stat);
    Ok(())
}

/// Takes back the hold on a directory's life; an implicit one that is empty goes.
pub(super) fn release_hold(tx: &mut Tx<'_>, dir: DirId, now: Timestamp) -> Result<()> {
    let Some(record) = tx.record::<DirRecord>(Family::Dir, &id_key(dir.0))? else { return Ok(()) };
    let mut stat = dir_stat(tx, dir)?;
    stat.live = stat.live.saturating_sub(1);
    tx.put(Family::DirStat, &id_key(dir.0), &stat);
    vanish(tx, dir, record, stat.live, now)
}

/// A directory without its `dir/` object that has no live name left goes, and so on upwards (KEY-6): level by level, as a key may
/// lie a thousand of them deep.
pub(super) fn vanish(
    tx: &mut Tx<'_>,
    mut dir: DirId,
    mut record: DirRecord,
    mut live: i64,
    now: Timestamp,
) -> Result<()> {
    while live <= 0 && record.marker.is_none() && record.parent != dir && record.alive {
        let (parent, name) = (record.parent, record.name.clone());
        bury(tx, dir, record, now)?;
        (record, live) = take_away(tx, parent, &name, now)?;
        dir = parent;
    }
    Ok(())
}

/// Gives a live directory a new live name.
pub(super) fn attach(tx: &mut Tx<'_>, dir: DirId, component: &str, record: &DentRecord, now: Timestamp) -> Result<()> {
    live_dir(tx, dir)?;
    tx.put(Family::Dent, &dent_key(dir, component), record);
    touch_dir(tx, dir, 1, i64::from(is_dir(component)), now)?;
    Ok(())
}

/// Takes a live name away. A directory that was never made and is empty now goes with it (KEY-6).
pub(super) fn detach(tx: &mut Tx<'_>, dir: DirId, component: &str, now: Timestamp) -> Result<()> {
    let (record, live) = take_away(tx, dir, component, now)?;
    vanish(tx, dir, record, live, now)
}

/// Takes a live name away and leaves the directory, which is returned with the live names it has left.
fn take_away(tx: &mut Tx<'_>, dir: DirId, component: &str, now: Timestamp) -> Result<(DirRecord, i64)> {
    tx.delete(Family::Dent, &dent_key(dir, component));
    let stat = touch_dir(tx, dir, -1, -i64::from(is_dir(component)), now)?;
    Ok((dir_record(tx, dir)?, stat.live))
}

/// A directory loses its live name: it is kept as a ghost while there is history in it.
pub(super) fn bury(tx: &mut Tx<'_>, dir: DirId, mut record: DirRecord, now: Timestamp) -> Result<()> {
    let (lower, upper) = ver_dir_bounds(dir, "");
    if tx.any(Family::Ver, &lower, &upper)? {
        let ghost = VerRecord::Ghost { dir, died: now };
        tx.put(Family::Ver, &ver_key(record.parent, &record.name, Seq(dir.0)), &ghost);
        record.alive = false;
        record.marker = None;
        tx.put(Family::Dir, &id_key(dir.0), &record);
    } else {
        tx.delete(Family::Dir, &id_key(dir.0));
        tx.delete(Family::DirStat, &id_key(dir.0));
    }
    Ok(())
}

/// Removes a dead directory once no history is left in it, and so on upwards.
pub(super) fn tidy(tx: &mut Tx<'_>, mut dir: DirId) -> Result<()> {
    while let Some(record) = tx.record::<DirRecord>(Family::Dir, &id_key(dir.0))? {
        let (lower, upper) = ver_dir_bounds(dir, "");
        if record.alive || tx.any(Family::Ver, &lower, &upper)? {
            break;
        }
        tx.delete(Family::Dir, &id_key(dir.0));
        tx.delete(Family::DirStat, &id_key(dir.0));
        tx.delete(Family::Ver, &ver_key(record.parent, &record.name, Seq(dir.0)));
        dir = record.parent;
    }
    Ok(())
}

/// Makes a dead directory, and those above it, live again; its ghost goes. Returns the directory that is live under
/// its name, which is another one when the name was taken meanwhile.
pub(super) fn revive(tx: &mut Tx<'_>, dir: DirId, now: Timestamp) -> Result<DirId> {
    if dir_record(tx, dir)?.alive {
        return Ok(dir);
    }
    // Parents that form a ring are refused.
    Store::key_prefix(tx, dir)?;
    revive_up(tx, dir, now)
}

fn revive_up(tx: &mut Tx<'_>, dir: DirId, now: Timestamp) -> Result<DirId> {
    let mut record = dir_record(tx, dir)?;
    if record.alive {
        return Ok(dir);
    }
    let parent = revive_up(tx, record.parent, now)?;
    if let Some(DentRecord::Dir(taken)) = dent(tx, parent, &record.name)? {
        return Ok(taken);
    }
    let grave = record.parent;
    tx.delete(Family::Ver, &ver_key(grave, &record.name, Seq(dir.0)));
    record.alive = true;
    record.parent = parent;
    let name = record.name.clone();
    tx.put(Family::Dir, &id_key(dir.0), &record);
    attach(tx, parent, &name, &DentRecord::Dir(dir), now)?;
    if parent != grave {
        tidy(tx, grave)?;
    }
    Ok(dir)
}

/// Versions and markers below the current entry of one name, newest first, but for damaged ones.
pub(super) fn older(read: &impl Read, dir: DirId, component: &str) -> Result<Vec<Object>> {
    let (lower, upper) = ver_bounds(dir, component);
    let mut out = Vec::new();
    for found in read.scan(Family::Ver, &lower, &upper)? {
        if let Ok(VerRecord::Object(object)) = decode(&found?.1) {
            out.push(object);
        }
    }
    Ok(out)
}

/// The newest record below the current entry.
pub(super) fn newest_older(read: &impl Read, dir: DirId, component: &str) -> Result<Option<Object>> {
    let (lower, upper) = ver_bounds(dir, component);
    for found in read.scan(Family::Ver, &lower, &upper)? {
        if let Ok(VerRecord::Object(object)) = decode(&found?.1) {
            return Ok(Some(object));
        }
    }
    Ok(None)
}

/// One holder of a content less; the last one frees it, in the background when it is large.
pub(super) fn drop_content(tx: &mut Tx<'_>, id: ContentId) -> Result<()> {
    if id == ContentId::EMPTY || !tx.release(RefKey::Content(id.0))? {
        return Ok(());
    }
    let record = match tx.record::<ContentRecord>(Family::Content, &content_key(id)) {
        // What lies below it is freed when it was mended.
        Err(error) if error.kind() == Kind::Corrupt => Some(Body::Extents(Vec::new())),
        record => record?.map(|record| record.body),
    };
    match record {
        None => {}
        // Whoever reads inline bytes has them in memory.
        Some(Body::Inline(_)) => forget_content(tx, id)?,
        Some(_) => tx.put_bytes(Family::Gone, &super::reap::gone_content(id), Vec::new()),
    }
    Ok(())
}

/// A content's record goes, with what is kept of its bytes.
pub(super) fn forget_content(tx: &mut Tx<'_>, id: ContentId) -> Result<()> {
    tx.delete(Family::Content, &content_key(id));
    if tx.get(Family::Sums, &content_key(id))?.is_some() {
        tx.delete(Family::Sums, &content_key(id));
    }
    Ok(())
}

/// One more holder of a content.
pub(super) fn hold_content(tx: &mut Tx<'_>, id: ContentId) -> Result<()> {
    if id == ContentId::EMPTY { Ok(()) } else { tx.hold(RefKey::Content(id.0), 1) }
}

/// Puts a version or marker below the current entry.
pub(super) fn push_older(
    tx: &mut Tx<'_>,
    bucket: BucketId,
    dir: DirId,
    component: &str,
    object: &Object,
) -> Result<()> {
    tx.put(Family::Ver, &ver_key(dir, component, object.seq), &VerRecord::Object(object.clone()));
    count(tx, bucket, &[metering::older(object, 1)])
}

/// Removes a version or marker below the current entry for good.
pub(super) fn remove_older(
    tx: &mut Tx<'_>,
    bucket: BucketId,
    dir: DirId,
    component: &str,
    object: &Object,
) -> Result<()> {
    tx.delete(Family::Ver, &ver_key(dir, component, object.seq));
    charge_early(tx, bucket, object)?;
    count(tx, bucket, &[metering::older(object, -1)])?;
    drop_content(tx, object.content)
}

/// Removes the null version below the current entry, if there is one (VER-7, VER-9).
pub(super) fn remove_null(tx: &mut Tx<'_>, bucket: BucketId, dir: DirId, component: &str) -> Result<()> {
    match null_below(tx, dir, component)? {
        Some(object) => remove_older(tx, bucket, dir, component, &object),
        None => Ok(()),
    }
}

/// A component's directory record, its bucket and versioning.
pub(super) fn bucket_of(read: &impl Read, dir: DirId) -> Result<Bucket> {
    read_bucket(read, dir_record(read, dir)?.bucket)
}

/// Whether a version stays when a newer one or a marker takes its place (VER-4, VER-6).
pub(super) fn stays(bucket: &Bucket, object: &Object) -> bool {
    match bucket.versioning {
        Versioning::Unversioned => false,
        Versioning::Enabled => true,
        Versioning::Suspended => object.version != VersionId::Null,
    }
}

/// What becomes of an entry whose name gets a new one or is deleted: dropped, or kept below (VER-4, VER-6). Its name
/// is not touched. A file with several names keeps its old version under each of them.
pub(super) fn retire(tx: &mut Tx<'_>, bucket: &Bucket, at: (DirId, &str), old: &Current, now: Timestamp) -> Result<()> {
    if old.draft {
        tx.delete(Family::Unsealed, &id_key(old.object.ino.0));
        return drop_content(tx, old.object.content);
    }
    count(tx, bucket.id, &[metering::current(&old.object, -1)])?;
    if stays(bucket, &old.object) {
        let mut object = old.object.clone();
        object.superseded = Some(now);
        push_older(tx, bucket.id, at.0, at.1, &object)
    } else {
        charge_early(tx, bucket.id, &old.object)?;
        drop_content(tx, old.object.content)
    }
}

/// Keeps a version below another of its file's names too.
pub(super) fn keep_copy(
    tx: &mut Tx<'_>,
    bucket: &Bucket,
    at: (DirId, &str),
    old: &Object,
    now: Timestamp,
) -> Result<()> {
    if !stays(bucket, old) {
        return charge_early(tx, bucket.id, old);
    }
    hold_content(tx, old.content)?;
    let mut object = old.clone();
    object.superseded = Some(now);
    push_older(tx, bucket.id, at.0, at.1, &object)
}

/// Whether it is the null version of its name.
pub(super) fn is_null(entry: &Current) -> bool {
    !entry.draft && entry.object.version == VersionId::Null
}

/// Counts a new current entry and clears the null version it replaces.
pub(super) fn enthrone(tx: &mut Tx<'_>, bucket: &Bucket, at: (DirId, &str), object: &Object) -> Result<()> {
    if object.version == VersionId::Null && bucket.versioning != Versioning::Unversioned {
        remove_null(tx, bucket.id, at.0, at.1)?;
    }
    count(tx, bucket.id, &[metering::current(object, 1)])
}

/// [`enthrone`] under every name of a file: each is an object of its own to S3 (FSX-6). `old` is what had them before: below
/// a null version there is no other (VER-9).
pub(super) fn enthrone_all(
    tx: &mut Tx<'_>,
    bucket: &Bucket,
    at: (DirId, &str),
    new: &Current,
    old: Option<&Current>,
) -> Result<()> {
    if old.is_some_and(is_null) && bucket.versioning == Versioning::Suspended {
        return (0..new.nlink()).try_for_each(|_| count(tx, bucket.id, &[metering::current(&new.object, 1)]));
    }
    match &new.names {
        None => enthrone(tx, bucket, at, &new.object),
        Some(names) => names.iter().try_for_each(|(dir, name)| enthrone(tx, bucket, (*dir, name), &new.object)),
    }
}

/// Forgets a current entry that was moved elsewhere or removed without a trace.
pub(super) fn dethrone(tx: &mut Tx<'_>, bucket: BucketId, object: &Object) -> Result<()> {
    count(tx, bucket, &[metering::current(object, -1)])
}

/// After the newest entry of a name went for good: the next older one becomes current, unless it is a marker (DEL-6).
/// It keeps the time since when it was current: that it was covered meanwhile is forgotten with what covered it.
/// `spare` is a new inode number, for a file whose old one belongs to other names now.
pub(super) fn promote(
    tx: &mut Tx<'_>,
    bucket: &Bucket,
    dir: DirId,
    component: &str,
    spare: Ino,
    now: Timestamp,
) -> Result<()> {
    let Some(mut object) = newest_older(tx, dir, component)? else { return tidy(tx, dir) };
    if object.marker {
        return Ok(());
    }
    tx.delete(Family::Ver, &ver_key(dir, component, object.seq));
    count(tx, bucket.id, &[metering::older(&object, -1)])?;
    object.superseded = None;
    let home = revive(tx, dir, now)?;
    if home != dir {
        let versions = older(tx, dir, component)?;
        move_older(tx, bucket.id, (dir, component), (home, component), versions)?;
        tidy(tx, dir)?;
    }
    if is_dir(component) {
        count(tx, bucket.id, &[metering::current(&object, 1)])?;
        return set_marker(tx, home, component, object, spare, now);
    }
    if let Some(draft) = current(tx, home, component)? {
        // Somebody is writing a new file under the name: it goes on, as a session over the version that came back.
        drop_content(tx, draft.object.content)?;
        object.ino = draft.object.ino;
        let crowned = Current { object, draft: false, names: draft.names };
        enthrone_all(tx, bucket, (home, component), &crowned, None)?;
        return rewrite(tx, home, component, crowned);
    }
    // With object lock, a file that was renamed away took the number along and left this version.
    if bucket.lock.is_some() || tx.get(Family::Ino, &id_key(object.ino.0))?.is_some() {
        object.ino = spare;
    }
    count(tx, bucket.id, &[metering::current(&object, 1)])?;
    attach(tx, home, component, &DentRecord::Object { object, draft: false }, now)
}

/// Moves a name's older versions, which are these, to another name.
pub(super) fn move_older(
    tx: &mut Tx<'_>,
    bucket: BucketId,
    from: (DirId, &str),
    to: (DirId, &str),
    versions: Vec<Object>,
) -> Result<()> {
    for object in versions {
        tx.delete(Family::Ver, &ver_key(from.0, from.1, object.seq));
        add_version(tx, bucket, to, object)?;
    }
    Ok(())
}

/// Puts a version that was counted elsewhere below a name. Both names may have it, when they were links of one file;
/// then one of the two goes.
pub(super) fn add_version(tx: &mut Tx<'_>, bucket: BucketId, to: (DirId, &str), object: Object) -> Result<()> {
    let key = ver_key(to.0, to.1, object.seq);
    if tx.get(Family::Ver, &key)?.is_some() {
        count(tx, bucket, &[metering::older(&object, -1)])?;
        return drop_content(tx, object.content);
    }
    tx.put(Family::Ver, &key, &VerRecord::Object(object));
    Ok(())
}

/// Makes the object of a directory's own key current, and the directory with it.
/// `spare` is a new number, for a directory that has to be made.
pub(super) fn set_marker(
    tx: &mut Tx<'_>,
    dir: DirId,
    component: &str,
    mut object: Object,
    spare: Ino,
    now: Timestamp,
) -> Result<()> {
    let id = match dent(tx, dir, component)? {
        Some(DentRecord::Dir(id)) => id,
        _ => {
            let id = DirId(spare.0);
            let bucket = dir_record(tx, dir)?.bucket;
            open_dir(tx, bucket, dir, component, id, &dir_posix(now), now)?
        }
    };
    let mut record = dir_record(tx, id)?;
    object.ino = id.into();
    record.marker = Some(object);
    tx.put(Family::Dir, &id_key(id.0), &record);
    Ok(())
}

/// Attributes of a directory that nobody made by hand.
pub(super) fn dir_posix(now: Timestamp) -> Posix {
    Posix::new(FileKind::Directory, 0o755, 0, 0, now)
}

/// Makes a directory's live name: a dead one of that name with history comes back, else a new one with id `id`.
pub(super) fn open_dir(
    tx: &mut Tx<'_>,
    bucket: BucketId,
    parent: DirId,
    component: &str,
    id: DirId,
    posix: &Posix,
    now: Timestamp,
) -> Result<DirId> {
    let (lower, upper) = ver_bounds(parent, component);
    let mut ghost = None;
    for found in tx.scan(Family::Ver, &lower, &upper)? {
        if let Ok(VerRecord::Ghost { dir, .. }) = decode(&found?.1) {
            ghost = Some(dir);
            break;
        }
    }
    if let Some(ghost) = ghost {
        let home = revive(tx, ghost, now)?;
        let mut record = dir_record(tx, home)?;
        record.posix = Posix { btime: record.posix.btime, ..posix.clone() };
        record.xattrs = Xattrs::default();
        tx.put(Family::Dir, &id_key(home.0), &record);
        return Ok(home);
    }
    let record = DirRecord {
        parent,
        name: component.to_owned(),
        bucket,
        alive: true,
        posix: posix.clone(),
        marker: None,
        xattrs: Xattrs::default(),
        class: None,
    };
    tx.put(Family::Dir, &id_key(id.0), &record);
    tx.put(Family::DirStat, &id_key(id.0), &DirStat { mtime: now, ctime: now, ..DirStat::default() });
    attach(tx, parent, component, &DentRecord::Dir(id), now)?;
    Ok(id)
}

impl Store {
    /// The id a new version gets in a bucket of that state (VER-3, VER-4, VER-6).
    pub(super) fn version_id(&self, versioning: Versioning, seq: Seq, ino: Ino) -> VersionId {
        match versioning {
            Versioning::Enabled => VersionId::Id(self.opaque.seal(seq.0, ino.0)),
            Versioning::Unversioned | Versioning::Suspended => VersionId::Null,
        }
    }

    /// The live directories of a key's parts, made where they are missing (implicit ones, KEY-5).
    pub(super) fn ensure_dirs(
        &self,
        tx: &mut Tx<'_>,
        bucket: &Bucket,
        parts: &[&str],
        now: Timestamp,
    ) -> Result<DirId> {
        let mut dir = bucket.root;
        for part in parts {
            dir = match dent(tx, dir, part)? {
                Some(DentRecord::Dir(id)) => id,
                _ => open_dir(tx, bucket.id, dir, part, DirId(self.ids.take()), &dir_posix(now), now)?,
            };
        }
        Ok(dir)
    }

    pub(super) fn no_version(version: VersionId) -> Error {
        Error::new(Kind::NoSuchVersion, format!("cannot find the version {version}"))
            .why("the object has no version of that id")
            .mend("list them with `keyfold versions`")
    }
}
