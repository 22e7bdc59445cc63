//! `opendir`, `readdir`, `readdirplus`: in steps, stable while names come and go, without holding a directory in
//! memory.
//!
//! An offset is a position in one handle's reading: the handle remembers which name stood before it. The latest names
//! are kept one by one, older ones as a mark now and then, from which the position is counted again.

use super::Vfs;
use super::errno::{Errno, Outcome};
use super::handle::Open;
use super::listing::{Item, Target};
use super::lookup::Lookup;
use super::node::{Node, View, What, virtual_number};
use crate::model::{DirId, FileKind};
use std::collections::VecDeque;
use std::sync::Arc;

/// Names remembered one by one.
const RECENT_MAX: usize = 16_384;
/// One mark for so many names.
const MARK_EVERY: u64 = 1024;
/// Entries asked for at first.
const PAGE_FIRST: usize = 64;
/// Entries asked for at once at most.
const PAGE_MAX: usize = 1024;
/// Offsets of `.` and `..`.
const DOTS: u64 = 2;

/// One entry of a directory, as `readdir` tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirEntry {
    /// Inode number.
    pub ino: u64,
    /// What it is.
    pub kind: FileKind,
    /// Its name.
    pub name: String,
    /// Where to go on after it.
    pub offset: u64,
}

/// How far a handle has read.
pub(super) struct Stream {
    /// Offset before the first name in `recent`.
    first: u64,
    /// The last names told, in order.
    recent: VecDeque<Box<str>>,
    /// Every `MARK_EVERY`-th name told.
    marks: Vec<Box<str>>,
    /// Entries that fitted last time.
    fitted: usize,
    /// The whole of a listing that is small by nature.
    pub(super) whole: Option<Vec<(String, FileKind, What)>>,
}

impl Stream {
    fn new() -> Self {
        Self { first: DOTS, recent: VecDeque::new(), marks: Vec::new(), fitted: PAGE_FIRST, whole: None }
    }

    fn next_offset(&self) -> u64 {
        self.first + self.recent.len() as u64
    }

    fn note(&mut self, mark: &str) {
        self.recent.push_back(mark.into());
        if (self.next_offset() - DOTS).is_multiple_of(MARK_EVERY) {
            self.marks.push(mark.into());
        }
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
            self.first += 1;
        }
    }

    /// Goes back to `offset`: the name that stands before it, and how many after that to skip.
    fn rewind(&mut self, offset: u64) -> (Option<Box<str>>, u64) {
        if offset <= DOTS {
            *self = Self { fitted: self.fitted, ..Self::new() };
            return (None, 0);
        }
        if offset > self.first {
            let keep = usize::try_from(offset - self.first).unwrap_or(usize::MAX).min(self.recent.len());
            self.recent.truncate(keep);
            let passed = usize::try_from((offset - DOTS) / MARK_EVERY).unwrap_or(usize::MAX);
            self.marks.truncate(passed);
            return (self.recent.back().cloned(), 0);
        }
        let passed = (offset - DOTS) / MARK_EVERY;
        self.marks.truncate(usize::try_from(passed).unwrap_or(usize::MAX));
        let from = self.marks.len() as u64 * MARK_EVERY;
        self.recent.clear();
        self.first = DOTS + from;
        (self.marks.last().cloned(), offset - DOTS - from)
    }
}

impl Vfs {
    /// Opens a directory.
    ///
    /// # Errors
    /// `ENOTDIR`.
    pub fn opendir(&self, id: u64) -> std::result::Result<u64, Errno> {
        let node = self.node(id)?;
        match node.what {
            What::Buckets(_) | What::Dir { .. } | What::History(_) | What::Versions { .. } | What::Control(_) => {
                Ok(self.handles.add(node, Open::Dir(parking_lot::Mutex::new(Stream::new()))))
            }
            What::File(_) | What::PastFile { .. } | What::MarkerBody { .. } | What::Version { .. } => {
                Err(Errno::ENOTDIR)
            }
        }
    }

    /// Tells a directory's entries from `offset` on until `tell` says that it is full.
    ///
    /// # Errors
    /// What the store says.
    pub fn readdir(
        &self,
        fh: u64,
        offset: u64,
        mut tell: impl FnMut(&DirEntry) -> bool,
    ) -> std::result::Result<(), Errno> {
        self.walk(fh, offset, |item, ino, offset, _| {
            let Item { name, kind, .. } = item;
            Ok(tell(&DirEntry { ino, kind, name, offset }))
        })
    }

    /// As [`Vfs::readdir`], with attributes. Each entry told with a look-up counts as one, except `.` and `..`.
    ///
    /// # Errors
    /// What the store says.
    pub fn readdirplus(
        &self,
        fh: u64,
        offset: u64,
        mut tell: impl FnMut(&DirEntry, Option<&Lookup>) -> bool,
    ) -> std::result::Result<(), Errno> {
        let handle = self.handles.get(fh)?;
        let place = match &handle.node.what {
            What::Dir { dir, view, .. } => Some((*dir, *view)),
            _ => None,
        };
        self.walk(fh, offset, |item, ino, offset, commits| {
            let Item { name, kind, target, mark } = item;
            let entry = DirEntry { ino, kind, name, offset };
            let found = match target {
                Target::Entry(found) => match place {
                    Some((dir, view)) => Some(self.arrive_at(view, dir, &mark, &found, Some(commits))?.0),
                    None => None,
                },
                Target::Virtual(what) => Some(self.virtual_lookup(what)?),
                Target::Dir { dir, view } if entry.name != "." && entry.name != ".." => {
                    Some(self.dir_lookup(view, dir, true)?)
                }
                Target::Dir { .. } => None,
            };
            let full = tell(&entry, found.as_ref());
            if full && let Some(found) = found {
                self.nodes.forget(found.node, 1);
            }
            Ok(full)
        })
    }

    /// The common part: `each` gets an item, its number, the offset after it and the store's count of commits from before
    /// it was read, and says whether it was too much.
    fn walk(
        &self,
        fh: u64,
        offset: u64,
        each: impl FnMut(Item, u64, u64, u64) -> Outcome<bool>,
    ) -> std::result::Result<(), Errno> {
        let handle = self.handles.get(fh)?;
        let Open::Dir(stream) = &handle.open else { return Err(Errno::ENOTDIR) };
        let mut stream = stream.lock();
        let outcome = self.walk_stream(&handle.node, &mut stream, offset, each);
        self.told("readdir", || self.path(&handle.node), outcome)
    }

    fn walk_stream(
        &self,
        node: &Arc<Node>,
        stream: &mut Stream,
        offset: u64,
        mut each: impl FnMut(Item, u64, u64, u64) -> Outcome<bool>,
    ) -> Outcome<()> {
        if offset < 1 && each(dot(".", node), node.id, 1, 0)? {
            return Ok(());
        }
        if offset < DOTS && each(dot("..", node), self.above(node)?, DOTS, 0)? {
            return Ok(());
        }
        let (mut after, mut skip) = stream.rewind(offset.max(DOTS));
        let mut told = 0;
        loop {
            let commits = self.store.commits();
            let limit = (stream.fitted + 8).saturating_sub(told).clamp(8, PAGE_MAX);
            let items = self.items(node, stream, after.as_deref(), limit)?;
            let last = items.len() < limit;
            for item in items {
                let mark: Box<str> = item.mark.as_str().into();
                if skip > 0 {
                    skip -= 1;
                } else {
                    let number = self.item_number(node, &item);
                    if each(item, number, stream.next_offset() + 1, commits)? {
                        stream.fitted = told.max(8);
                        return Ok(());
                    }
                    told += 1;
                }
                stream.note(&mark);
                after = Some(mark);
            }
            if last {
                return Ok(());
            }
        }
    }

    fn above(&self, node: &Node) -> Outcome<u64> {
        Ok(match &node.what {
            What::Dir { dir, view, .. } => self.parent_number(*dir, *view)?,
            What::History(dirs) => match dirs.first() {
                Some(dir) => self.dir_number(*dir, false, View::Live),
                None => super::ROOT,
            },
            What::Versions { dirs, .. } => virtual_number(&What::History(Arc::clone(dirs))),
            _ => super::ROOT,
        })
    }

    fn item_number(&self, node: &Node, item: &Item) -> u64 {
        match (&item.target, &node.what) {
            (Target::Entry(entry), What::Dir { dir, view, .. }) => self.entry_number(*view, *dir, &item.mark, entry),
            (Target::Virtual(what), _) => virtual_number(what),
            (Target::Dir { dir, view }, _) => self.dir_number(*dir, true, *view),
            (Target::Entry(_), _) => super::ROOT,
        }
    }

    /// A directory handle is gone.
    pub fn releasedir(&self, fh: u64) {
        self.release(fh);
    }
}

fn dot(name: &str, node: &Node) -> Item {
    let target = match node.what {
        What::Dir { dir, view, .. } => Target::Dir { dir, view },
        _ => Target::Dir { dir: DirId(super::ROOT), view: View::Live },
    };
    Item { mark: String::new(), name: name.to_owned(), kind: FileKind::Directory, target }
}

#[cfg(test)]
mod tests {
    use super::{DOTS, MARK_EVERY, RECENT_MAX, Stream};

    #[test]
    fn an_offset_leads_back_to_the_name_before_it() {
        let mut stream = Stream::new();
        let names = RECENT_MAX as u64 + 5000;
        for n in 0..names {
            stream.note(&format!("{n:08}"));
        }
        assert_eq!(stream.next_offset(), DOTS + names);
        let (name, skip) = stream.rewind(DOTS + names - 3);
        assert_eq!((name.as_deref(), skip), (Some(format!("{:08}", names - 4).as_str()), 0));
        // Long gone: from the mark before it.
        let (name, skip) = stream.rewind(DOTS + MARK_EVERY + 10);
        assert_eq!((name.as_deref(), skip), (Some(format!("{:08}", MARK_EVERY - 1).as_str()), 10));
        assert_eq!(stream.rewind(0), (None, 0));
        assert_eq!(stream.next_offset(), DOTS);
    }
}
