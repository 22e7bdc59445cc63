//! Object lock: the one place that every change of a version passes, the bucket's setting, retention and legal hold (LOCK).
//!
//! Each transaction is looked at when it ends, before it commits: what was there before and is protected must be there after,
//! with the same bytes and metadata and a lock that is no weaker ([`guard`]). So no way to destroy a version can forget to
//! ask. What time it is for a lock, [`Store::lock_time`] says.

use super::Store;
use super::bucket::{need_bucket, write_bucket};
use super::find::{Found, top_of};
use super::names::{history_place_in, no_such_name, readable};
use super::stack::{bucket_of, rewrite};
use crate::index::{
    DentRecord, DirRecord, Family, Index, InodeRecord, Read, Tx, VerRecord, component_of, decode, dir_of, id_key,
    ver_key, ver_parts,
};
use crate::model::{
    Bucket, BucketLock, DirId, Error, Kind, Leave, Object, ObjectKey, ObjectLock, Result, Retention, Seq, Timestamp,
    VersionId, Versioning,
};
use crate::sys::sync::Mutex;
use bytes::Bytes;

/// Where the instant is kept that locks were reckoned from last.
const MARK_KEY: &str = "lock-clock";
/// Seconds after which any commit moves it on.
pub(super) const MARK_STEP: i64 = 60;

/// What the store remembers of its locks between transactions.
#[derive(Default)]
pub(super) struct Locks(Mutex<State>);

#[derive(Clone, Copy, Default)]
struct State {
    /// Whether any bucket has object lock, or may have.
    any: bool,
    /// The latest instant that was seen, as far as commits saw it.
    mark: Timestamp,
}

/// What a transaction may do to locked versions that others may not.
#[derive(Clone, Copy, Default)]
pub(super) struct Warrant {
    /// What the caller may.
    pub leave: Leave,
    /// Whether it is the call that sets legal holds.
    pub holds: bool,
    /// Whether it is a repair, which gives versions other names, places and ids.
    pub mends: bool,
    /// Whether it deletes an archive of a vault and nothing else, whose policies it has asked (VAULT-6).
    pub archive: bool,
}

impl Locks {
    /// Whether an index that reads says that it has locks.
    pub(super) fn are_in(index: &Index) -> bool {
        let marked = matches!(index.record::<Timestamp>(Family::Sys, MARK_KEY.as_bytes()), Ok(Some(_)));
        let locked = |found: Result<(Bytes, Bytes)>| {
            found.and_then(|(_, value)| decode::<Bucket>(&value)).is_ok_and(|bucket| is_for_good(&bucket))
        };
        marked || index.scan(Family::Bucket, b"i", b"j").is_ok_and(|mut buckets| buckets.any(locked))
    }

    /// What an index says. What cannot be read may have locks.
    pub(super) fn read(index: &Index) -> Self {
        let mark = index.record::<Timestamp>(Family::Sys, MARK_KEY.as_bytes());
        let locked = |found: Result<(Bytes, Bytes)>| match found.and_then(|(_, value)| decode::<Bucket>(&value)) {
            Ok(bucket) => is_for_good(&bucket),
            Err(_) => true,
        };
        let any = !matches!(mark, Ok(None))
            || index.scan(Family::Bucket, b"i", b"j").map_or(true, |mut buckets| buckets.any(locked));
        let mark = mark.ok().flatten().unwrap_or_default();
        Self(Mutex::new(State { any, mark }))
    }

    /// Whether versions may be locked.
    pub(super) fn any(&self) -> bool {
        self.0.lock().any
    }

    /// The latest instant that was seen, `now` among them.
    fn see(&self, now: Timestamp) -> Timestamp {
        let mut state = self.0.lock();
        state.mark = state.mark.max(now);
        state.mark
    }

    /// Has a commit store it where it is `step` seconds later than what is stored, or more.
    pub(super) fn mark(&self, tx: &mut Tx<'_>, now: Timestamp, step: i64) -> Result<()> {
        let mark = self.see(now);
        let stored = readable(tx.record::<Timestamp>(Family::Sys, MARK_KEY.as_bytes()))?;
        if stored.is_none_or(|stored| stored < mark && stored.secs.saturating_add(step) <= mark.secs) {
            tx.put(Family::Sys, MARK_KEY.as_bytes(), &mark);
        }
        Ok(())
    }
}

/// Whether a bucket may hold what nobody may delete.
fn is_for_good(bucket: &Bucket) -> bool {
    bucket.lock.is_some() || bucket.name.vault().is_some()
}

/// A version and the name it is found by.
struct Place {
    dir: DirId,
    component: String,
    object: Object,
}

/// The versions that one record tells of, seen before or after a transaction. What cannot be read tells of none.
fn versions_of(
    (family, key): (Family, &[u8]),
    value: Option<&Bytes>,
    inode: impl Fn(&[u8]) -> Result<Option<Bytes>>,
) -> Result<Vec<Place>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let place = |dir, component: String, object| Place { dir, component, object };
    let one = |found: Option<Place>| found.into_iter().collect();
    Ok(match family {
        Family::Dent => {
            let (Some(dir), Some(component)) = (dir_of(key), component_of(key)) else { return Ok(Vec::new()) };
            let object = match decode::<DentRecord>(value) {
                Ok(DentRecord::Object { object, draft: false }) => Some(object),
                Ok(DentRecord::Link(ino)) => inode(&id_key(ino.0))?
                    .and_then(|bytes| decode::<InodeRecord>(&bytes).ok())
                    .filter(|inode| !inode.draft)
                    .map(|inode| inode.object),
                _ => None,
            };
            one(object.map(|object| place(dir, component.to_owned(), object)))
        }
        Family::Ver => match (ver_parts(key), decode::<VerRecord>(value)) {
            (Some((dir, component, _)), Ok(VerRecord::Object(object))) => vec![place(dir, component, object)],
            _ => Vec::new(),
        },
        Family::Ino => match decode::<InodeRecord>(value) {
            Ok(InodeRecord { object, draft: false, names }) => {
                names.into_iter().map(|(dir, name)| place(dir, name, object.clone())).collect()
            }
            _ => Vec::new(),
        },
        Family::Dir => match decode::<DirRecord>(value) {
            Ok(DirRecord { parent, name, marker: Some(object), .. }) => vec![place(parent, name, object)],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    })
}

/// Families whose records have versions in them.
pub(super) const FAMILIES: [Family; 4] = [Family::Dent, Family::Ver, Family::Ino, Family::Dir];

/// Whether `after` is the version `before` as it may have become: what is locked of it is the same. Tags, attributes of the
/// file, its place in the stack and its storage class may be others.
fn goes_on_as(before: &Place, after: &Place, now: Timestamp, warrant: Warrant) -> bool {
    let (old, new) = (&before.object, &after.object);
    let lock = old.lock.may_retain(new.lock.retention, now, warrant.leave).is_ok()
        && (!old.lock.is_held() || new.lock.is_held() || warrant.holds);
    let bytes = old.content == new.content && !new.marker;
    let named = before.component == after.component && old.version == new.version;
    let described = (old.size, old.etag, old.modified) == (new.size, new.etag, new.modified)
        && old.metadata == new.metadata
        && old.posix.target == new.posix.target;
    lock && bytes && (warrant.mends || (named && described))
}

/// Refuses a transaction after which a version that is protected at `now` is not there any more as it was (LOCK-3 to LOCK-5,
/// LOCK-12). Called at its end, when it has written everything.
///
/// # Errors
/// [`Kind::Locked`], naming the version; when the index cannot be read.
pub(super) fn guard(tx: &Tx<'_>, now: Timestamp, warrant: Warrant) -> Result<()> {
    if warrant.archive {
        return Ok(());
    }
    let (mut kept, mut touched) = (Vec::new(), Vec::new());
    for family in FAMILIES {
        for key in tx.touched(family) {
            let before = tx.before(family, &key)?;
            let found = versions_of((family, &key), before.as_ref(), |ino| tx.before(Family::Ino, ino))?;
            kept.extend(found.into_iter().filter(|found| !found.object.marker && found.object.lock.protects(now)));
            touched.push((family, key));
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    let mut there = Vec::new();
    for (family, key) in touched {
        let after = tx.get(family, &key)?;
        there.extend(versions_of((family, &key), after.as_ref(), |ino| tx.get(Family::Ino, ino))?);
    }
    // What a dead directory has may come back in a live one of its name, with its place in the stack. Names of one file have the
    // same place, and each keeps its own.
    let same = |one: &Place, other: &Place| one.dir == other.dir && one.component == other.component;
    let comes_back = |before: &Place, after: &Place| {
        before.object.seq == after.object.seq && !kept.iter().any(|other| same(other, after))
    };
    for before in &kept {
        let goes_on = |after: &&Place| {
            (warrant.mends || before.dir == after.dir || comes_back(before, after))
                && goes_on_as(before, after, now, warrant)
        };
        if there.iter().any(|after| goes_on(&after)) {
            continue;
        }
        let Place { component, object, .. } = before;
        // A hold that comes off, where only that was asked for, is no end of the version.
        object.lock.may_end(now, warrant.leave).map_err(|why| {
            why.refuse(format!("cannot change or delete the version {} of {component:?}", object.version))
        })?;
    }
    Ok(())
}

fn no_lock(bucket: &Bucket) -> Error {
    Error::new(Kind::InvalidRequest, format!("cannot lock a version in the bucket {}", bucket.name))
        .why("Bucket is missing Object Lock Configuration (LOCK-11)")
        .mend("enable it: `keyfold bucket set BUCKET object-lock '{\"ObjectLockEnabled\":\"Enabled\"}'`")
}

/// LOCK-8
pub(super) fn bad_period() -> Error {
    Error::new(Kind::InvalidRetentionPeriod, "cannot set the bucket's default retention")
        .why("Default retention period must be a positive integer value (LOCK-8)")
        .mend("retain for 1 to 36,500 days or 1 to 100 years")
}

/// LOCK-10
fn need_future(retention: Retention, now: Timestamp) -> Result<()> {
    if retention.until > now {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidArgument, format!("cannot retain a version until {}", retention.until))
        .why("The retain until date must be in the future! (LOCK-10)")
        .mend("name a later instant"))
}

impl Store {
    /// The instant that dates of locks are reckoned from: what the clock shows, and never before the latest that it is known
    /// to have shown, so that a clock that was set back makes no lock shorter (LOCK-22).
    ///
    /// Whether a date has come is another question: it has while the clock shows it. So a clock that was set forward by
    /// mistake ends locks as long as it is wrong, and not for good.
    #[must_use]
    pub fn lock_time(&self) -> Timestamp {
        self.locks.see(self.now())
    }

    /// Seconds by which the clock lags behind the latest instant it is known to have shown, in a store with object lock.
    #[must_use]
    pub fn clock_lag(&self) -> Option<u64> {
        let state = *self.locks.0.lock();
        let lag = state.mark.secs.saturating_sub(self.now().secs);
        u64::try_from(lag).ok().filter(|lag| state.any && *lag > 0)
    }

    /// Tells of a clock that was set back, when the store is opened.
    pub(super) fn tell_lag(&self) {
        if let Some(lag) = self.clock_lag() {
            let error = Error::new(Kind::InvalidState, "the clock was set back")
                .why(format!("it lags {lag} seconds behind what it showed when the store was used last (LOCK-22)"))
                .mend(
                    "set it right: until then dates of new locks are reckoned from the later instant, and no lock ends",
                );
            self.complain("open", None, "", &error);
        }
    }

    /// [`Store::lock_time`], which the transaction stores.
    pub(super) fn reckon(&self, tx: &mut Tx<'_>) -> Result<Timestamp> {
        self.locks.0.lock().any = true;
        self.locks.mark(tx, self.now(), 0)?;
        Ok(self.lock_time())
    }

    /// The lock of a version that is made now: what was `said`, and the bucket's default where no retention was (LOCK-9).
    pub(super) fn new_lock(&self, tx: &mut Tx<'_>, bucket: &Bucket, said: ObjectLock) -> Result<ObjectLock> {
        let Some(rules) = bucket.lock else {
            return if said == ObjectLock::NONE { Ok(said) } else { Err(no_lock(bucket)) };
        };
        let default = match rules.default {
            Some(default) if said.retention.is_none() => Some(default.from(self.reckon(tx)?)),
            _ => None,
        };
        Ok(ObjectLock { retention: said.retention.or(default), ..said })
    }

    /// Whether a new version in a bucket may be given this lock.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] where the bucket has no object lock (LOCK-11), [`Kind::InvalidArgument`] for a date that is not
    /// in the future (LOCK-10).
    pub fn check_lock(&self, bucket: &Bucket, said: ObjectLock) -> Result<()> {
        if said == ObjectLock::NONE {
            return Ok(());
        }
        if bucket.lock.is_none() {
            return Err(no_lock(bucket));
        }
        said.retention.map_or(Ok(()), |retention| need_future(retention, self.lock_time()))
    }

    /// Enables object lock on a bucket, or gives it another default. It is never switched off (LOCK-1). Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`Kind::InvalidState`] where versioning is not on (LOCK-2), [`Kind::InvalidRetentionPeriod`] (LOCK-8),
    /// [`Kind::NoSuchBucket`].
    pub fn set_bucket_lock(&self, name: &str, lock: BucketLock) -> Result<()> {
        if lock.default.is_some_and(|default| !default.period.is_allowed()) {
            return Err(bad_period());
        }
        self.transact_durably(|tx| {
            let mut bucket = need_bucket(tx, name)?;
            if bucket.versioning != Versioning::Enabled {
                return Err(Error::new(Kind::InvalidState, format!("cannot enable object lock on {name}"))
                    .why("versioning is not Enabled there, and locks are on versions (LOCK-2)")
                    .mend("set its versioning to Enabled first"));
            }
            self.reckon(tx)?;
            bucket.lock = Some(lock);
            write_bucket(tx, &bucket);
            Ok(())
        })
    }

    /// Sets, changes or removes the retention of a version, the current one when none is named (LOCK-4 to LOCK-7). Its id and
    /// Last-Modified stay (LOCK-18). Durable when it returns.
    ///
    /// # Errors
    /// [`Kind::Locked`] for what would weaken it without `leave`; [`Kind::InvalidRequest`] without object lock (LOCK-11),
    /// [`Kind::InvalidArgument`] for a date that is not in the future (LOCK-10), [`Kind::IsMarker`], [`Kind::NoSuchKey`],
    /// [`Kind::NoSuchVersion`].
    pub fn set_retention(&self, of: &Locked<'_>, retention: Option<Retention>, leave: Leave) -> Result<Object> {
        self.edit_lock(of, Warrant { leave, ..Warrant::default() }, |lock, raw, reckoned| {
            if let Some(retention) = retention {
                need_future(retention, reckoned)?;
            }
            lock.may_retain(retention, raw, leave)
                .map_err(|why| why.refuse("cannot shorten, weaken or remove the retention"))?;
            lock.retention = retention;
            Ok(())
        })
    }

    /// Puts a legal hold on a version or takes it off (LOCK-12); `None` forgets that there ever was one. Else as
    /// [`Store::set_retention`].
    ///
    /// # Errors
    /// As [`Store::set_retention`].
    pub fn set_legal_hold(&self, of: &Locked<'_>, hold: Option<bool>) -> Result<Object> {
        self.edit_lock(of, Warrant { holds: true, ..Warrant::default() }, |lock, _, _| {
            lock.hold = hold;
            Ok(())
        })
    }

    /// `edit` gets the present instant and the one that dates are reckoned from.
    fn edit_lock(
        &self,
        of: &Locked<'_>,
        warrant: Warrant,
        edit: impl FnOnce(&mut ObjectLock, Timestamp, Timestamp) -> Result<()>,
    ) -> Result<Object> {
        self.writable()?;
        self.make_room()?;
        let (object, seq) = self.commit_with(warrant, |tx| {
            let (dirs, component) = of.place(tx)?;
            let found = match of.version {
                Some((version, seq)) => self.find_version(tx, &dirs, &component, (version, seq))?,
                None => {
                    let mut found = None;
                    for dir in &dirs {
                        let top = top_of(tx, *dir, &component)?;
                        let top = top.map(|top| Found { dir: *dir, object: top.object.clone(), top: Some(top) });
                        found = found.or(top);
                    }
                    found
                }
            };
            let Found { dir, mut object, top } = found.ok_or_else(|| match of.version {
                Some((version, _)) => Self::no_version(version),
                None => no_such_name(&component),
            })?;
            if object.marker {
                return Err(Error::new(Kind::IsMarker, "cannot lock a delete marker")
                    .why("markers are never protected (LOCK-14)"));
            }
            let bucket = bucket_of(tx, dir)?;
            if bucket.lock.is_none() {
                return Err(no_lock(&bucket));
            }
            let reckoned = self.reckon(tx)?;
            edit(&mut object.lock, self.now(), reckoned)?;
            match top {
                Some(mut top) => {
                    top.object.lock = object.lock;
                    rewrite(tx, dir, &component, top)?;
                }
                None => {
                    let key = ver_key(dir, &component, object.seq);
                    tx.put(Family::Ver, &key, &VerRecord::Object(object.clone()));
                }
            }
            Ok(object)
        })?;
        self.wait_durable(seq)?;
        Ok(object)
    }
}

/// Which version is meant, and how its name is found.
pub struct Locked<'a> {
    name: Name<'a>,
    version: Option<(VersionId, Option<Seq>)>,
}

enum Name<'a> {
    Key(&'a str, &'a ObjectKey),
    Dirs(&'a [DirId], &'a str),
}

impl<'a> Locked<'a> {
    /// A version of a key; the current one when none is named.
    #[must_use]
    pub fn key(bucket: &'a str, key: &'a ObjectKey, version: Option<VersionId>) -> Self {
        Self { name: Name::Key(bucket, key), version: version.map(|version| (version, None)) }
    }

    /// A version of a name in these directories, live and dead, with the place it was seen at; the current one when none is
    /// named.
    #[must_use]
    pub fn name(dirs: &'a [DirId], component: &'a str, version: Option<(VersionId, Seq)>) -> Self {
        Self { name: Name::Dirs(dirs, component), version: version.map(|(version, seq)| (version, Some(seq))) }
    }

    fn place(&self, tx: &Tx<'_>) -> Result<(Vec<DirId>, String)> {
        match self.name {
            // LOCK-11, whether or not the key is there.
            Name::Key(name, key) => match need_bucket(tx, name)? {
                bucket if bucket.lock.is_none() => Err(no_lock(&bucket)),
                _ => history_place_in(tx, name, key),
            },
            Name::Dirs(dirs, component) => Ok((dirs.to_vec(), component.to_owned())),
        }
    }
}
