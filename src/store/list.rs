//! Listings in the byte order of whole keys: objects (LIST-1 to LIST-10) and versions (LIST-11 to LIST-15).

use super::Store;
use super::bucket::need_bucket;
use super::find::{Damage, Part, has_versions, versions_in};
use super::history::{newest_of, next_history_name};
use super::names::{MISLED, all_dirs, below, dir_record, is_dir, malformed, too_deep};
use super::stack::linked;
use crate::index::{
    DentRecord, Family, Read, Scan, View, component_of, decode, dent_bounds, dent_key, id_key, next_name,
};
use crate::model::{DirId, Error, Kind, Object, Result, VersionId};
use std::collections::HashSet;

/// Largest page (LIST-3).
pub(super) const PAGE_MAX: usize = 1000;

/// What to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListRequest {
    /// Keys begin with it.
    pub prefix: String,
    /// Keys that share what comes before it after the prefix are rolled up (LIST-4).
    pub delimiter: Option<String>,
    /// Keys after this one; a rolled-up prefix skips its whole group (LIST-6).
    pub after: Option<String>,
    /// Entries at most, objects and prefixes together; cut to 1,000.
    pub limit: usize,
}

/// A page of a listing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// Keys and their current versions.
    pub objects: Vec<(String, Object)>,
    /// Rolled-up prefixes.
    pub prefixes: Vec<String>,
    /// What to pass as `after` for the next page; `None` at the end.
    pub next: Option<String>,
}

/// Which versions to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListVersions {
    /// Keys begin with it.
    pub prefix: String,
    /// As in [`ListRequest`].
    pub delimiter: Option<String>,
    /// Keys after this one, or its versions after `version_marker` (LIST-13).
    pub key_marker: Option<String>,
    /// Versions after this one of the key marker.
    pub version_marker: Option<VersionId>,
    /// Entries at most; cut to 1,000.
    pub limit: usize,
}

/// A version in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionEntry {
    /// Its key.
    pub key: String,
    /// The version or delete marker.
    pub object: Object,
    /// Whether it is the newest of its key.
    pub is_latest: bool,
}

/// A page of a version listing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VersionPage {
    /// Versions and markers, keys ascending, newest first.
    pub versions: Vec<VersionEntry>,
    /// Rolled-up prefixes.
    pub prefixes: Vec<String>,
    /// Markers for the next page; `None` at the end.
    pub next: Option<(String, Option<VersionId>)>,
}

/// What a walk is told after each key.
enum Step {
    On,
    Stop,
}

impl Store {
    /// Lists current objects; a page is as of one commit.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`].
    pub fn list(&self, bucket: &str, request: &ListRequest) -> Result<Page> {
        let view = self.index.frozen();
        let bucket = need_bucket(&view, bucket)?;
        let limit = request.limit.min(PAGE_MAX);
        let mut page = Page::default();
        if limit == 0 {
            return Ok(page);
        }
        let mut from = lower_bound(request.after.as_deref(), &request.prefix, request.delimiter.as_deref());
        loop {
            let mut jump = None;
            let mut full = false;
            let mut visit = |key: &str, object: &Object| -> Step {
                if !key.starts_with(&request.prefix) {
                    return if key > request.prefix.as_str() { Step::Stop } else { Step::On };
                }
                if page.objects.len() + page.prefixes.len() >= limit {
                    full = true;
                    return Step::Stop;
                }
                match group_of(key, &request.prefix, request.delimiter.as_deref()) {
                    None => {
                        page.next = Some(key.to_owned());
                        page.objects.push((key.to_owned(), object.clone()));
                        Step::On
                    }
                    Some(group) => {
                        page.next = Some(group.to_owned());
                        page.prefixes.push(group.to_owned());
                        jump = after_group(group);
                        Step::Stop
                    }
                }
            };
            self.walk_keys(&view, bucket.root, &from, &mut visit)?;
            match jump {
                Some(next) if !full => from = next,
                _ => {
                    if !full {
                        page.next = None;
                    }
                    return Ok(page);
                }
            }
        }
    }

    /// Visits live keys from `from` (inclusive) on, below `root`. Directories wait on a stack of its own, since they may be
    /// nested more deeply than threads like.
    fn walk_keys(
        &self,
        view: &View<'_>,
        root: DirId,
        from: &str,
        visit: &mut dyn FnMut(&str, &Object) -> Step,
    ) -> Result<()> {
        let mut open = vec![open_level(view, root, String::new(), from.to_owned())?];
        let mut unknown = HashSet::new();
        while let Some(level) = open.last_mut() {
            let dir = level.dir;
            let Some(found) = level.scan.next() else {
                if let Some(error) = level.scan.damage() {
                    self.spoiled((Family::Dent, &id_key(dir.0)), Some((dir, "")), error);
                }
                open.pop();
                continue;
            };
            let (key, value) = found?;
            let Some(component) = component_of(&key) else {
                self.spoiled((Family::Dent, &key), Some((dir, "")), &malformed());
                continue;
            };
            let full = format!("{}{component}", level.base);
            let dent = match decode::<DentRecord>(&value) {
                Ok(dent) => dent,
                Err(error) => {
                    self.spoiled((Family::Dent, &key), Some((dir, component)), &error);
                    continue;
                }
            };
            let mut inside = None;
            let step = match dent {
                DentRecord::Object { draft: true, .. } => Step::On,
                DentRecord::Object { object, .. } => visit(&full, &object),
                DentRecord::Link(ino) => match linked(view, ino) {
                    Ok(inode) if inode.draft => Step::On,
                    Ok(inode) => visit(&full, &inode.object),
                    Err(error) if error.kind() == Kind::Corrupt => {
                        self.spoiled((Family::Dent, &key), Some((dir, component)), &error);
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                DentRecord::Dir(id) => {
                    let rest = level.from.strip_prefix(component).unwrap_or_default();
                    let marker = match below(view, dir, component, id) {
                        Ok(Some(record)) => record.marker.filter(|_| rest.is_empty()),
                        Ok(None) => continue,
                        Err(error) if error.kind() == Kind::Corrupt => {
                            self.spoiled((Family::Dir, &id_key(id.0)), Some((dir, component)), &error);
                            // Nobody knows where it belongs: once, so that no walk goes in a ring.
                            if error.reason() == MISLED || !unknown.insert(id) {
                                continue;
                            }
                            None
                        }
                        Err(error) => return Err(error),
                    };
                    inside = Some((id, rest.to_owned()));
                    marker.map_or(Step::On, |object| visit(&full, &object))
                }
            };
            if matches!(step, Step::Stop) {
                return Ok(());
            }
            if let Some((id, rest)) = inside {
                match too_deep(open.len(), &full) {
                    Ok(()) => open.push(open_level(view, id, full, rest)?),
                    Err(error) => self.spoiled((Family::Dent, &key), Some((dir, component)), &error),
                }
            }
        }
        Ok(())
    }

    /// Lists versions and delete markers; a page is as of one commit. It goes on where the version marker was made when
    /// that is gone.
    ///
    /// # Errors
    /// [`Kind::NoSuchBucket`]; [`Kind::InvalidArgument`] for a version marker without a key marker (LIST-13).
    pub fn list_versions(&self, bucket: &str, request: &ListVersions) -> Result<VersionPage> {
        let view = self.index.frozen();
        let bucket = need_bucket(&view, bucket)?;
        if request.version_marker.is_some() && request.key_marker.is_none() {
            return Err(Error::new(Kind::InvalidArgument, "cannot list versions")
                .why("a version marker needs a key marker (LIST-13)"));
        }
        let limit = request.limit.min(PAGE_MAX);
        let mut page = VersionPage::default();
        if limit == 0 {
            return Ok(page);
        }
        let mut from = match (&request.key_marker, request.version_marker) {
            (Some(key), Some(_)) => key.clone(),
            (marker, _) => lower_bound(marker.as_deref(), &request.prefix, request.delimiter.as_deref()),
        };
        if from.as_str() < request.prefix.as_str() {
            from.clone_from(&request.prefix);
        }
        let mut damage = Damage::default();
        loop {
            let mut jump = None;
            let mut full = false;
            let mut visit = |key: &str, dirs: &[DirId], component: &str| -> Result<Step> {
                if !key.starts_with(&request.prefix) {
                    return Ok(if key > request.prefix.as_str() { Step::Stop } else { Step::On });
                }
                if let Some(group) = group_of(key, &request.prefix, request.delimiter.as_deref()) {
                    if !has_versions(&view, dirs, component)? {
                        return Ok(Step::On);
                    }
                    if page.versions.len() + page.prefixes.len() >= limit {
                        full = true;
                        return Ok(Step::Stop);
                    }
                    page.next = Some((group.to_owned(), None));
                    page.prefixes.push(group.to_owned());
                    jump = after_group(group);
                    return Ok(Step::Stop);
                }
                let marker = request.version_marker.filter(|_| request.key_marker.as_deref() == Some(key));
                let part = match marker {
                    Some(marker) => self.after_version(&view, dirs, component, marker)?,
                    None => Part::ALL,
                };
                // One more than there is room for tells that there is more.
                let part = Part { limit: limit - page.versions.len() - page.prefixes.len() + 1, ..part };
                let versions = versions_in(&view, dirs, component, part, &mut damage)?;
                let newest = match marker.map(|_| newest_of(&view, dirs, component)) {
                    None => versions.first().map(|object| object.seq),
                    Some(Err(error)) if matches!(error.kind(), Kind::Corrupt | Kind::NoSuchKey) => None,
                    Some(newest) => newest?.map(|(_, seq)| seq),
                };
                for object in versions {
                    if page.versions.len() + page.prefixes.len() >= limit {
                        full = true;
                        return Ok(Step::Stop);
                    }
                    page.next = Some((key.to_owned(), Some(object.version)));
                    let is_latest = newest == Some(object.seq);
                    page.versions.push(VersionEntry { key: key.to_owned(), object, is_latest });
                }
                Ok(Step::On)
            };
            let walked = self.walk_history(&view, bucket.root, &from, &mut visit);
            self.tell_passed_by(std::mem::take(&mut damage));
            walked?;
            match jump {
                Some(next) if !full => from = next,
                _ => {
                    if !full {
                        page.next = None;
                    }
                    return Ok(page);
                }
            }
        }
    }

    /// What of a name's versions comes after one that was told last.
    fn after_version(&self, view: &View<'_>, dirs: &[DirId], component: &str, last: VersionId) -> Result<Part> {
        Ok(match self.find_version(view, dirs, component, (last, None))? {
            // What lies below the current entry is not always older.
            Some(found) if found.top.is_some() => Part { top: false, ..Part::ALL },
            Some(found) => Part { top: false, below: Some(found.object.seq), ..Part::ALL },
            // Gone: a null version leaves no trace, and all is told again.
            None => Part { below: self.born(last), ..Part::ALL },
        })
    }

    /// Visits names, and the directories they are in, that may have versions, from `from` (inclusive) on, in directories
    /// live and dead.
    fn walk_history(&self, view: &View<'_>, root: DirId, from: &str, visit: &mut VisitName<'_>) -> Result<()> {
        let past = |dirs, base, from: String| {
            let at = from.split_inclusive('/').next().unwrap_or_default().to_owned();
            Past { dirs, base, from, at }
        };
        let mut open = vec![past(vec![root], String::new(), from.to_owned())];
        let mut unknown = HashSet::new();
        while let Some(level) = open.last_mut() {
            let Some(component) = next_history_name(view, &level.dirs, &level.at)? else {
                open.pop();
                continue;
            };
            level.at = next_name(&component);
            let full = format!("{}{component}", level.base);
            let rest = level.from.strip_prefix(component.as_str()).unwrap_or_default().to_owned();
            if rest.is_empty() && matches!(visit(&full, &level.dirs, &component)?, Step::Stop) {
                return Ok(());
            }
            if is_dir(&component) {
                let mut dirs = all_dirs(view, &level.dirs, &component)?;
                dirs.retain(|id| dir_record(view, *id).is_ok() || unknown.insert(*id));
                match too_deep(open.len(), &full) {
                    Ok(()) => open.push(past(dirs, full, rest)),
                    Err(error) => {
                        let dir = dirs.first().copied().unwrap_or(root);
                        self.spoiled((Family::Dir, &id_key(dir.0)), None, &error);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Called with a key and its directories and component.
type VisitName<'a> = dyn FnMut(&str, &[DirId], &str) -> Result<Step> + 'a;

/// A directory that a walk over live keys is in.
struct Level<'a> {
    dir: DirId,
    /// What its keys begin with.
    base: String,
    /// Where in it to begin.
    from: String,
    scan: Scan<'a>,
}

/// The directories that a walk over versions is in: one name's, live and dead.
struct Past {
    dirs: Vec<DirId>,
    base: String,
    from: String,
    /// The next component is this one or comes after it.
    at: String,
}

fn open_level<'a>(view: &'a View<'_>, dir: DirId, base: String, from: String) -> Result<Level<'a>> {
    let head = from.split_inclusive('/').next().unwrap_or_default();
    let scan = view.scan_past_damage(Family::Dent, &dent_key(dir, head), &dent_bounds(dir).1)?;
    Ok(Level { dir, base, from, scan })
}

/// The group a key belongs to: the prefix and what follows up to the first delimiter.
pub(super) fn group_of<'a>(key: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let at = key.get(prefix.len()..)?.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

/// The smallest string after every key that begins with `group`.
pub(super) fn after_group(group: &str) -> Option<String> {
    let mut chars: Vec<char> = group.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

pub(super) fn lower_bound(after: Option<&str>, prefix: &str, delimiter: Option<&str>) -> String {
    let Some(after) = after.filter(|after| *after >= prefix) else { return prefix.to_owned() };
    match group_of(after, prefix, delimiter) {
        Some(group) if group == after => after_group(group).unwrap_or_else(|| next_name(after)),
        _ => next_name(after),
    }
}
