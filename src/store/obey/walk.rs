//! A walk over all that is kept under keys, current entries and history side by side, each record read once.

use super::super::Store;
use super::super::find::top_of;
use super::super::names::{all_dirs, dir_record, is_dir, malformed, too_deep};
use super::super::stack::linked;
use crate::index::{
    DentRecord, Family, Read, Scan, VerRecord, View, component_of, decode, dent_bounds, dent_key, next_name,
    ver_dir_bounds, ver_parts,
};
use crate::model::{DirId, Kind, Object, Result};
use std::collections::HashSet;

/// What a walk comes to.
pub(super) enum Seen {
    /// The current entry.
    Top(Object),
    /// A name that somebody makes and nobody has published.
    Draft,
    /// A version or marker below it.
    Older(Object),
    /// All of the key was shown.
    End,
}

/// What a walk is told after each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    On,
    Stop,
}

/// Called with a key and what was seen of it, newest first.
pub(super) type Visit<'a> = dyn FnMut(&str, Seen) -> Result<Step> + 'a;

impl Store {
    /// Visits what is kept under keys from `from` (inclusive) on, below `root`, also where only history is left. What cannot
    /// be read is passed by, and told of.
    pub(super) fn walk_stacks(&self, view: &View<'_>, root: DirId, from: &str, visit: &mut Visit<'_>) -> Result<()> {
        let mut open = vec![self.level(view, vec![root], String::new(), from)?];
        let mut unknown = HashSet::new();
        while let Some(level) = open.last_mut() {
            let Some(component) = level.next_component() else {
                open.pop();
                continue;
            };
            let full = format!("{}{component}", level.base);
            let rest = level.from.strip_prefix(component.as_str()).unwrap_or_default().to_owned();
            let step = if rest.is_empty() {
                self.show(view, level, &component, &full, visit)?
            } else {
                level.pass_by(self, &component)?;
                Step::On
            };
            if step == Step::Stop {
                return Ok(());
            }
            if is_dir(&component) {
                let mut dirs = match all_dirs(view, &level.dirs(), &component) {
                    Err(error) if error.kind() == Kind::Corrupt => {
                        self.spoiled((Family::Ver, full.as_bytes()), None, &error);
                        continue;
                    }
                    dirs => dirs?,
                };
                dirs.retain(|id| dir_record(view, *id).is_ok() || unknown.insert(*id));
                match too_deep(open.len(), &full) {
                    Ok(()) => {
                        let next = self.level(view, dirs, full, &rest)?;
                        open.push(next);
                    }
                    Err(error) => self.spoiled((Family::Dir, full.as_bytes()), None, &error),
                }
            }
        }
        Ok(())
    }

    fn level<'a>(&self, view: &'a View<'_>, dirs: Vec<DirId>, base: String, from: &str) -> Result<Level<'a>> {
        let at = from.split_inclusive('/').next().unwrap_or_default();
        let mut sides = Vec::new();
        for dir in dirs {
            let live = view.scan_past_damage(Family::Dent, &dent_key(dir, at), &dent_bounds(dir).1)?;
            let (lower, upper) = ver_dir_bounds(dir, at);
            let past = view.scan_past_damage(Family::Ver, &lower, &upper)?;
            let mut side = Side { dir, live, past, dent: None, ver: None };
            side.next_dent(self)?;
            side.next_ver(self)?;
            // Bounds of history are those of escaped names, which may begin before.
            while side.ver.as_ref().is_some_and(|(name, _)| name.as_str() < at) {
                side.next_ver(self)?;
            }
            sides.push(side);
        }
        Ok(Level { sides, base, from: from.to_owned() })
    }

    /// Shows what one name of a level has, and moves on behind it.
    fn show(
        &self,
        view: &View<'_>,
        level: &mut Level<'_>,
        component: &str,
        full: &str,
        visit: &mut Visit<'_>,
    ) -> Result<Step> {
        for side in &mut level.sides {
            let Some(dent) = side.take_dent(self, component)? else { continue };
            let seen = match dent {
                DentRecord::Object { draft: true, .. } => Some(Seen::Draft),
                DentRecord::Object { object, .. } => Some(Seen::Top(object)),
                DentRecord::Link(ino) => match linked(view, ino) {
                    Ok(inode) if inode.draft => Some(Seen::Draft),
                    Ok(inode) => Some(Seen::Top(inode.object)),
                    Err(error) if error.kind() == Kind::Corrupt => {
                        let key = dent_key(side.dir, component);
                        self.spoiled((Family::Dent, &key), Some((side.dir, component)), &error);
                        None
                    }
                    Err(error) => return Err(error),
                },
                DentRecord::Dir(_) => match top_of(view, side.dir, component) {
                    Ok(top) => top.map(|top| Seen::Top(top.object)),
                    // Told of where the directory is walked.
                    Err(error) if error.kind() == Kind::Corrupt => None,
                    Err(error) => return Err(error),
                },
            };
            if let Some(seen) = seen
                && visit(full, seen)? == Step::Stop
            {
                return Ok(Step::Stop);
            }
        }
        if let [side] = level.sides.as_mut_slice() {
            while let Some(found) = side.take_ver(self, component)? {
                if let VerRecord::Object(object) = found
                    && visit(full, Seen::Older(object))? == Step::Stop
                {
                    return Ok(Step::Stop);
                }
            }
        } else {
            let mut older = Vec::new();
            for side in &mut level.sides {
                while let Some(found) = side.take_ver(self, component)? {
                    if let VerRecord::Object(object) = found {
                        older.push(object);
                    }
                }
            }
            older.sort_by_key(|object| std::cmp::Reverse(object.seq));
            for object in older {
                if visit(full, Seen::Older(object))? == Step::Stop {
                    return Ok(Step::Stop);
                }
            }
        }
        visit(full, Seen::End)
    }
}

/// A directory's live names and its history.
struct Side<'a> {
    dir: DirId,
    live: Scan<'a>,
    past: Scan<'a>,
    /// What comes next in each of them.
    dent: Option<(String, DentRecord)>,
    ver: Option<(String, VerRecord)>,
}

impl Side<'_> {
    fn next_dent(&mut self, store: &Store) -> Result<()> {
        self.dent = None;
        for found in self.live.by_ref() {
            let (key, value) = found?;
            let component = component_of(&key);
            match component.ok_or_else(malformed).and_then(|component| Ok((component, decode(&value)?))) {
                Ok((component, dent)) => {
                    self.dent = Some((component.to_owned(), dent));
                    return Ok(());
                }
                Err(error) => {
                    store.spoiled((Family::Dent, &key), Some((self.dir, component.unwrap_or_default())), &error);
                }
            }
        }
        if let Some(error) = self.live.take_damage() {
            store.spoiled((Family::Dent, &dent_key(self.dir, "")), Some((self.dir, "")), &error);
        }
        Ok(())
    }

    fn next_ver(&mut self, store: &Store) -> Result<()> {
        self.ver = None;
        for found in self.past.by_ref() {
            let (key, value) = found?;
            let component = ver_parts(&key).map(|(_, component, _)| component);
            match component.clone().ok_or_else(malformed).and_then(|component| Ok((component, decode(&value)?))) {
                Ok(found) => {
                    self.ver = Some(found);
                    return Ok(());
                }
                Err(error) => {
                    let component = component.as_deref().unwrap_or_default();
                    store.spoiled((Family::Ver, &key), Some((self.dir, component)), &error);
                }
            }
        }
        if let Some(error) = self.past.take_damage() {
            store.spoiled((Family::Ver, &ver_dir_bounds(self.dir, "").0), Some((self.dir, "")), &error);
        }
        Ok(())
    }

    fn take_dent(&mut self, store: &Store, component: &str) -> Result<Option<DentRecord>> {
        if self.dent.as_ref().is_none_or(|(name, _)| name != component) {
            return Ok(None);
        }
        let taken = self.dent.take();
        self.next_dent(store)?;
        Ok(taken.map(|(_, dent)| dent))
    }

    fn take_ver(&mut self, store: &Store, component: &str) -> Result<Option<VerRecord>> {
        if self.ver.as_ref().is_none_or(|(name, _)| name != component) {
            return Ok(None);
        }
        let taken = self.ver.take();
        self.next_ver(store)?;
        Ok(taken.map(|(_, ver)| ver))
    }
}

/// The directories of one name, live and dead, that a walk is in.
struct Level<'a> {
    sides: Vec<Side<'a>>,
    /// What its keys begin with.
    base: String,
    /// Where in it to begin.
    from: String,
}

impl Level<'_> {
    fn dirs(&self) -> Vec<DirId> {
        self.sides.iter().map(|side| side.dir).collect()
    }

    fn next_component(&self) -> Option<String> {
        let live = self.sides.iter().filter_map(|side| side.dent.as_ref().map(|(name, _)| name));
        let past = self.sides.iter().filter_map(|side| side.ver.as_ref().map(|(name, _)| name));
        live.chain(past).min().cloned()
    }

    fn pass_by(&mut self, store: &Store, component: &str) -> Result<()> {
        let next = next_name(component);
        for side in &mut self.sides {
            while side.dent.as_ref().is_some_and(|(name, _)| *name < next) {
                side.next_dent(store)?;
            }
            while side.ver.as_ref().is_some_and(|(name, _)| *name < next) {
                side.next_ver(store)?;
            }
        }
        Ok(())
    }
}
