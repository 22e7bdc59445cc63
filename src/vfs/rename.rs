//! `rename`: in the live tree a move, from history onto a live name a restore.

use super::Vfs;
use super::errno::{Errno, Outcome};
use super::node::{Ended, NodeRef, View, What};
use super::tree::Found;
use crate::model::{DirId, Error, Kind, Result};
use crate::store::{Entry, FileEntry};
use std::borrow::Cow;
use std::sync::Arc;

pub use crate::store::RenameHow;

/// One end of a rename: what the name leads to now.
struct End {
    dir: DirId,
    component: String,
    entry: Option<Entry>,
}

impl End {
    fn file(&self) -> Option<&FileEntry> {
        match &self.entry {
            Some(Entry::File(file)) => Some(file),
            _ => None,
        }
    }

    fn is_dir(&self) -> bool {
        matches!(self.entry, Some(Entry::Dir(_)))
    }
}

impl Vfs {
    /// Renames; the source may be an entry of `.versions`, which is then restored under the new name.
    ///
    /// # Errors
    /// `EXDEV` across buckets, `EPERM` for buckets, `EROFS` into history, or what the store says.
    pub fn rename(&self, from: (u64, &[u8]), to: (u64, &[u8]), how: RenameHow) -> std::result::Result<(), Errno> {
        let source = self.node(from.0)?;
        let target = self.node(to.0)?;
        let _mine = self.mine(&source);
        let outcome = self.rename_in((&source, from.1), (&target, to.1), how);
        self.told("rename", || self.path_in(&source, from.1), outcome)
    }

    fn rename_in(&self, from: (&NodeRef, &[u8]), to: (&NodeRef, &[u8]), how: RenameHow) -> Outcome<()> {
        if let (What::Control(_), What::Control(_)) = (&*from.0.what, &*to.0.what) {
            return self.rename_control(from, to);
        }
        self.writable()?;
        if let What::Versions { dirs, part } = &*from.0.what {
            return self.restore(dirs, part, from.1, to);
        }
        for end in [from.0, to.0] {
            if *end.what == What::Buckets(View::Live) {
                return Err(Error::new(Kind::NotPermitted, "cannot rename a bucket")
                    .why("a bucket's name is fixed when it is made (BKT-10)")
                    .mend("make another bucket and move the objects")
                    .into());
            }
        }
        let source = self.end(from, None)?;
        if source.entry.is_none() {
            return Err(Errno::ENOENT.into());
        }
        let target = self.end(to, Some(source.is_dir()))?;
        self.check_kinds(&source, &target, how)?;
        self.rename_entry(&source, &target, how)
    }

    /// What a name leads to; `as_dir` says what it would be made as when it is free.
    fn end(&self, at: (&NodeRef, &[u8]), as_dir: Option<bool>) -> Outcome<End> {
        let (dir, root) = Self::live_dir(at.0)?;
        match self.find(View::Live, dir, root, at.1)? {
            Some(Found::Entry(component, entry)) => Ok(End { dir, component, entry: Some(entry) }),
            Some(Found::Versions | Found::Control | Found::MarkerBody) => Err(Errno::EPERM.into()),
            None => match as_dir {
                None => Err(Errno::ENOENT.into()),
                Some(is_dir) => Ok(End { dir, component: self.new_component(dir, root, at.1, is_dir)?, entry: None }),
            },
        }
    }

    fn check_kinds(&self, source: &End, target: &End, how: RenameHow) -> Outcome<()> {
        match (how, &target.entry) {
            (RenameHow::Exchange, None) => Err(Errno::ENOENT.into()),
            (RenameHow::NoReplace, Some(_)) => Err(Errno::EEXIST.into()),
            (RenameHow::Replace, Some(_)) if source.is_dir() && !target.is_dir() => Err(Errno::ENOTDIR.into()),
            (RenameHow::Replace, Some(_)) if !source.is_dir() && target.is_dir() => Err(Errno::EISDIR.into()),
            _ => Ok(()),
        }
    }

    /// Moves, holding the places of the files at both ends, so that no publish sees one of them between two names.
    fn rename_entry(&self, source: &End, target: &End, how: RenameHow) -> Outcome<()> {
        let held = |end: &End| {
            let entry = end.entry.as_ref()?;
            let what = self.what(View::Live, end.dir, &end.component, entry);
            Some(self.nodes.held(self.entry_number(View::Live, end.dir, &end.component, entry), what))
        };
        let (moved, met) = (held(source), held(target));
        let same = moved.as_ref().zip(met.as_ref()).is_some_and(|(a, b)| a.id == b.id);
        if same {
            // Two names of one file: POSIX says to do nothing, unless they must not both exist.
            return Ok(self.store.rename((source.dir, &source.component), (target.dir, &target.component), how)?);
        }
        let first_is_moved = match (&moved, &met) {
            (Some(moved), Some(met)) => moved.id < met.id,
            _ => true,
        };
        let (first, second) = if first_is_moved { (&moved, &met) } else { (&met, &moved) };
        let mut first = first.as_ref().map(|node| node.places.lock());
        let mut second = second.as_ref().map(|node| node.places.lock());
        let ended = target
            .file()
            .filter(|file| how == RenameHow::Replace && file.nlink <= 1)
            .map(|file| self.at_its_end((target.dir, &target.component), file))
            .transpose()?;
        self.store.rename((source.dir, &source.component), (target.dir, &target.component), how)?;
        let (moved_places, met_places) =
            if first_is_moved { (&mut first, &mut second) } else { (&mut second, &mut first) };
        if let Some(places) = moved_places {
            places.remove(source.dir, &source.component, None);
            places.add(target.dir, &as_kind(&target.component, source.is_dir()));
        }
        if let Some(places) = met_places {
            places.remove(target.dir, &target.component, ended);
            if let (RenameHow::Replace, Some(Entry::Dir(directory))) = (how, &target.entry) {
                let number = self.dir_number(directory.id, false, View::Live);
                places.set_removed(super::make::removed_dir(number, directory));
            }
            if how == RenameHow::Exchange {
                places.add(source.dir, &as_kind(&source.component, target.is_dir()));
            }
        }
        drop((first, second));
        self.after_rename(source, target);
        Ok(())
    }

    /// A file without a name, with its bytes kept if they are still there.
    pub(super) fn ended(&self, last_name: (DirId, &str), file: FileEntry) -> Ended {
        let content = self.store.open_content(&file.object).ok().map(Arc::new);
        let place = Some((last_name.0, last_name.1.to_owned()));
        Ended { content, place, file: FileEntry { nlink: 0, ..file } }
    }

    /// What a file is that is about to lose its last name, with its bytes kept; called with its places locked.
    pub(super) fn at_its_end(&self, at: (DirId, &str), known: &FileEntry) -> Result<Ended> {
        let mut file = known.clone();
        // It may have been published since it was looked up.
        if let Some(Entry::File(now)) = self.store.lookup(at.0, at.1)?
            && now.object.ino == file.object.ino
        {
            file = now;
        }
        Ok(self.ended(at, file))
    }

    /// Tells the kernel what it cannot know: shadowed names (KEY-8) and directories that vanished (KEY-6).
    fn after_rename(&self, source: &End, target: &End) {
        if source.is_dir() || target.is_dir() {
            let part = source.component.strip_suffix('/').unwrap_or(&source.component);
            if !part.is_empty() && matches!(self.store.lookup(source.dir, part), Ok(Some(_))) {
                self.name_is_stale(source.dir, part);
            }
        }
        if source.dir != target.dir {
            self.settle(source.dir);
        }
    }
}

/// The component of a name that a thing of the other kind may have had: a directory's ends in `/`.
fn as_kind(component: &str, is_dir: bool) -> Cow<'_, str> {
    let part = component.strip_suffix('/').unwrap_or(component);
    if is_dir { format!("{part}/").into() } else { part.into() }
}
