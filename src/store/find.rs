//! Finding versions by their ids: an id tells where its version lies, so that no call reads a name's whole history.

use super::Store;
use super::names::readable;
use super::stack::{Current, current};
use crate::index::{Family, OneCommit, Scan, VerRecord, decode, ver_bounds, ver_key, ver_parts};
use crate::model::{DirId, Error, Kind, Object, Result, Seq, VersionId};

/// A version of a name.
pub(super) struct Found {
    /// Which of the name's directories it lies in.
    pub dir: DirId,
    /// The version or marker.
    pub object: Object,
    /// The current entry, when it is that.
    pub top: Option<Current>,
}

/// Damaged records that were passed by, told of when it is certain that they are.
#[derive(Default)]
pub(super) struct Damage(Vec<Passed>);

struct Passed {
    key: (Family, Vec<u8>),
    at: (DirId, String),
    error: Error,
}

impl Damage {
    pub(super) fn note(&mut self, (family, key): (Family, &[u8]), at: (DirId, &str), error: Error) {
        self.0.push(Passed { key: (family, key.to_vec()), at: (at.0, at.1.to_owned()), error });
    }
}

/// The version on top of a name in one directory. Of a damaged one nothing is known.
pub(super) fn top_of(read: &impl OneCommit, dir: DirId, component: &str) -> Result<Option<Current>> {
    match readable(current(read, dir, component)) {
        Err(error) if error.kind() == Kind::NoSuchKey => Ok(None),
        found => Ok(found?.filter(|top| !top.draft)),
    }
}

/// A version, or the key of a record that cannot be read, and why.
type Told = std::result::Result<Object, (Vec<u8>, Error)>;

/// Versions below the current entry of a name in one directory, newest first, from a place on.
struct Below<'a> {
    scan: Scan<'a>,
}

impl<'a> Below<'a> {
    fn from(read: &'a impl OneCommit, dir: DirId, component: &str, from: Option<Seq>) -> Result<Self> {
        let (mut lower, upper) = ver_bounds(dir, component);
        if let Some(seq) = from {
            lower = ver_key(dir, component, seq);
        }
        Ok(Self { scan: read.scan_past_damage(Family::Ver, &lower, &upper)? })
    }

    /// The next version.
    fn next(&mut self) -> Result<Option<Told>> {
        for found in self.scan.by_ref() {
            let (key, value) = found?;
            match decode(&value) {
                Ok(VerRecord::Object(object)) => return Ok(Some(Ok(object))),
                Ok(VerRecord::Ghost { .. }) => {}
                Err(error) => return Ok(Some(Err((key.to_vec(), error)))),
            }
        }
        Ok(None)
    }

    /// The first one that is meant. What cannot be read might be it.
    fn find(&mut self, is_it: impl Fn(&Object) -> bool) -> Result<Option<Object>> {
        while let Some(found) = self.next()? {
            if let Ok(object) = found
                && is_it(&object)
            {
                return Ok(Some(object));
            }
        }
        self.scan.take_damage().map_or(Ok(None), Err)
    }
}

/// Whether a name has a version or marker in one of its directories.
pub(super) fn has_versions(read: &impl OneCommit, dirs: &[DirId], component: &str) -> Result<bool> {
    for dir in dirs {
        if top_of(read, *dir, component)?.is_some()
            || Below::from(read, *dir, component, None)?.find(|_| true)?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The null version below a name's current entry, if there is one; there is no second (VER-9).
pub(super) fn null_below(read: &impl OneCommit, dir: DirId, component: &str) -> Result<Option<Object>> {
    Below::from(read, dir, component, None)?.find(|object| object.version == VersionId::Null)
}

/// Which of a name's versions are meant.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// The current one too, where it lies below `below`.
    pub top: bool,
    /// Those below this place.
    pub below: Option<Seq>,
    /// At most so many.
    pub limit: usize,
}

impl Part {
    pub(super) const ALL: Self = Self { top: true, below: None, limit: usize::MAX };
}

/// Versions and markers of a name, newest first and the current one before all; drafts are none.
pub(super) fn versions_in(
    read: &impl OneCommit,
    dirs: &[DirId],
    component: &str,
    Part { top: with_top, below, limit }: Part,
    damage: &mut Damage,
) -> Result<Vec<Object>> {
    let is_meant = |object: &Object| with_top && below.is_none_or(|seq| object.seq < seq);
    let (mut top, mut out) = (Vec::new(), Vec::new());
    for dir in dirs {
        match current(read, *dir, component) {
            Ok(current) => {
                let current = current.filter(|current| !current.draft).map(|current| current.object);
                top.extend(current.filter(is_meant));
            }
            Err(error) if error.kind() == Kind::NoSuchKey => {}
            Err(error) if error.kind() == Kind::Corrupt => {
                let key = crate::index::dent_key(*dir, component);
                damage.note((Family::Dent, &key), (*dir, component), error);
            }
            Err(error) => return Err(error),
        }
        let from = match below {
            Some(Seq(0)) => continue,
            below => below.map(|seq| Seq(seq.0 - 1)),
        };
        let (mut older, mut left) = (Below::from(read, *dir, component, from)?, limit);
        while left > 0
            && let Some(found) = older.next()?
        {
            match found {
                Ok(object) => {
                    out.push(object);
                    left -= 1;
                }
                Err((key, error)) => {
                    let place = ver_parts(&key).map_or(0, |(_, _, seq)| seq.0);
                    let error = Error::corrupt("cannot read a version", format!("place {place}: {}", error.reason()));
                    damage.note((Family::Ver, &key), (*dir, component), error);
                }
            }
        }
    }
    out.sort_by_key(|object| std::cmp::Reverse(object.seq));
    // A directory that was renamed over a dead one brings current versions that are older than that one's history.
    out.splice(0..0, top);
    out.truncate(limit);
    Ok(out)
}

/// What `change` does in the first of some directories, live and dead, in which the version that it is about lies; `None` when it
/// lies in none.
pub fn in_one_of<T>(dirs: &[DirId], mut change: impl FnMut(DirId) -> Result<T>) -> Option<Result<T>> {
    dirs.iter()
        .map(|dir| change(*dir))
        .find(|done| !matches!(done, Err(error) if matches!(error.kind(), Kind::NoSuchKey | Kind::NoSuchVersion)))
}

impl Store {
    /// A version of a name by its id. `place` is where it was seen last: a null version that lies elsewhere is another
    /// one.
    pub(super) fn find_version(
        &self,
        read: &impl OneCommit,
        dirs: &[DirId],
        component: &str,
        (version, place): (VersionId, Option<Seq>),
    ) -> Result<Option<Found>> {
        let exact = match version {
            VersionId::Null => place,
            VersionId::Id(_) => None,
        };
        let is_it = |object: &Object| object.version == version && exact.is_none_or(|seq| object.seq == seq);
        for dir in dirs {
            if let Some(top) = top_of(read, *dir, component)?.filter(|top| is_it(&top.object)) {
                return Ok(Some(Found { dir: *dir, object: top.object.clone(), top: Some(top) }));
            }
        }
        for seq in [place, self.born(version)].into_iter().flatten() {
            for dir in dirs {
                let found = readable(read.record(Family::Ver, &ver_key(*dir, component, seq)))?;
                if let Some(VerRecord::Object(object)) = found
                    && is_it(&object)
                {
                    return Ok(Some(Found { dir: *dir, object, top: None }));
                }
            }
        }
        if exact.is_some() {
            return Ok(None);
        }
        // A rename or a link over history gave it another place than its first.
        let mut newest: Option<Found> = None;
        for dir in dirs {
            if let Some(object) = Below::from(read, *dir, component, None)?.find(is_it)?
                && newest.as_ref().is_none_or(|newest| newest.object.seq < object.seq)
            {
                newest = Some(Found { dir: *dir, object, top: None });
            }
        }
        Ok(newest)
    }

    /// The place a version was made at, which its id tells.
    pub(super) fn born(&self, version: VersionId) -> Option<Seq> {
        match version {
            VersionId::Null => None,
            VersionId::Id(id) => Some(Seq(self.opaque.open(id).0)),
        }
    }

    /// Reads several things as of one commit, and tells of what is damaged.
    pub(super) fn look<T>(&self, mut body: impl FnMut(&crate::index::View<'_>, &mut Damage) -> Result<T>) -> Result<T> {
        let (found, damage) = self.index.at_once(|view| {
            let mut damage = Damage::default();
            Ok((body(view, &mut damage)?, damage))
        })?;
        self.tell_passed_by(damage);
        Ok(found)
    }

    pub(super) fn tell_passed_by(&self, damage: Damage) {
        for Passed { key, at, error } in damage.0 {
            self.spoiled((key.0, &key.1), Some((at.0, &at.1)), &error);
        }
    }

    /// A version or marker of a name by its id. `place` is where it was seen last, if it was: another null version is
    /// not taken for it then.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn version(
        &self,
        dirs: &[DirId],
        component: &str,
        version: VersionId,
        place: Option<Seq>,
    ) -> Result<Option<Object>> {
        let found = self.index.at_once(|view| self.find_version(view, dirs, component, (version, place)))?;
        Ok(found.map(|found| found.object))
    }

    /// Whether a name has a version or marker.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn has_versions(&self, dirs: &[DirId], component: &str) -> Result<bool> {
        self.index.at_once(|view| has_versions(view, dirs, component))
    }
}
