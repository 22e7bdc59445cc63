//! `opendir`, `readdir`, `readdirplus`: in steps, stable while names come and go, without holding a directory in
//! memory.
//!
//! An offset is a position in one handle's reading: the handle remembers which name stood before it. The latest names
//! are kept one by one, of older ones a mark now and then and four bytes of hash each, by which the last one before a
//! position that is still there is found again.

use super::Vfs;
use super::errno::{Errno, Fault, Outcome};
use super::handle::Open;
use super::listing::{HIDDEN, Item, Target};
use super::lookup::{Lookup, Moment};
use super::node::{Node, NodeRef, View, What, virtual_number};
use crate::model::{DirId, FileKind};
use std::collections::VecDeque;
use std::hash::{Hash as _, Hasher as _};
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
    /// A hash of each name told before those in `recent`.
    hashes: Vec<u32>,
    /// The last names told, in order.
    recent: VecDeque<Box<str>>,
    /// Every `MARK_EVERY`-th name told.
    marks: Vec<Box<str>>,
    /// The mark that followed the last one, before the reading went back.
    bound: Option<Box<str>>,
    /// Objects told under their own names, as long as a directory of such a name would come later.
    plain: Vec<Box<str>>,
    /// Entries that fitted last time.
    fitted: usize,
    /// The whole of a listing that is small by nature.
    pub(super) whole: Option<Vec<(String, FileKind, What)>>,
}

impl Stream {
    fn new() -> Self {
        Self {
            hashes: Vec::new(),
            recent: VecDeque::new(),
            marks: Vec::new(),
            bound: None,
            plain: Vec::new(),
            fitted: PAGE_FIRST,
            whole: None,
        }
    }

    fn next_offset(&self) -> u64 {
        DOTS + (self.hashes.len() + self.recent.len()) as u64
    }

    fn note(&mut self, mark: &str) {
        self.recent.push_back(mark.into());
        if (self.next_offset() - DOTS).is_multiple_of(MARK_EVERY) {
            self.marks.push(mark.into());
            self.bound = None;
        }
        if self.recent.len() > RECENT_MAX
            && let Some(oldest) = self.recent.pop_front()
        {
            self.hashes.push(short_hash(&oldest));
        }
    }

    /// An entry was told, by its component's own name or in the shadow of a directory of that name.
    fn told(&mut self, mark: &str, shadowed: bool) {
        let comes_before_its_directory = |plain: &str| {
            let rest = mark.strip_prefix(plain);
            rest.is_some_and(|rest| rest.as_bytes().first().is_some_and(|byte| *byte < b'/'))
        };
        self.plain.retain(|plain| comes_before_its_directory(plain));
        if !shadowed && !mark.ends_with('/') {
            self.plain.push(mark.into());
        }
    }

    /// Whether a directory appeared after an object of its name was told under that, which none has twice (KEY-8).
    fn has_told(&self, mark: &str) -> bool {
        mark.strip_suffix('/').is_some_and(|part| self.plain.iter().any(|plain| **plain == *part))
    }

    /// Goes back to `offset`: the name to go on after, or where to look for it.
    fn rewind(&mut self, offset: u64) -> Rewound {
        if offset <= DOTS {
            *self = Self { fitted: self.fitted, ..Self::new() };
            return Rewound::After(None);
        }
        let told = usize::try_from(offset.min(self.next_offset()) - DOTS).unwrap_or(usize::MAX);
        let marks = told / MARK_EVERY as usize;
        if let Some(next) = self.marks.get(marks) {
            self.bound = Some(next.clone());
        }
        self.marks.truncate(marks);
        if told > self.hashes.len() {
            self.recent.truncate(told - self.hashes.len());
            return Rewound::After(self.recent.back().cloned());
        }
        let told_since = self.hashes[marks * MARK_EVERY as usize..told].to_vec();
        self.hashes.truncate(told);
        self.recent.clear();
        Rewound::Since { before: self.marks.last().cloned(), until: self.bound.clone(), told_since }
    }
}

/// Where a reading goes on.
#[derive(Debug, PartialEq)]
enum Rewound {
    After(Option<Box<str>>),
    /// After the last name of those with these hashes, in order, that still stands between two marks.
    Since {
        before: Option<Box<str>>,
        until: Option<Box<str>>,
        told_since: Vec<u32>,
    },
}

fn short_hash(name: &str) -> u32 {
    let mut hasher = std::hash::DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish() as u32
}

impl Vfs {
    /// Opens a directory.
    ///
    /// # Errors
    /// `ENOTDIR`.
    pub fn opendir(&self, id: u64) -> std::result::Result<u64, Errno> {
        let node = self.node(id)?;
        match &*node.what {
            What::Buckets(_) | What::Dir { .. } | What::History(_) | What::Versions { .. } | What::Control(_) => {
                Ok(self.handles.add(node, Open::Dir(crate::sys::sync::Mutex::new(Stream::new()))))
            }
            What::File | What::PastFile { .. } | What::MarkerBody { .. } | What::Version { .. } => Err(Errno::ENOTDIR),
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
        let place = match &*handle.node.what {
            What::Dir { dir, view, .. } => Some((*dir, *view)),
            _ => None,
        };
        self.walk(fh, offset, |item, ino, offset, since| {
            let Item { name, kind, target, mark, .. } = item;
            let entry = DirEntry { ino, kind, name, offset };
            let looked_up = match target {
                Target::Entry(_) if self.is_crowded() => Ok(None),
                Target::Entry(found) => match place {
                    Some((dir, view)) => self
                        .arrive_at(view, dir, &mark, &found, Some(since))
                        .map(|(lookup, _)| Some(lookup))
                        .map_err(Fault::from),
                    None => Ok(None),
                },
                Target::Virtual(what) => self.virtual_lookup(what).map(Some),
                Target::Dir { dir, view } if entry.name != "." && entry.name != ".." => {
                    self.dir_lookup(view, dir, true).map(Some).map_err(Fault::from)
                }
                Target::Dir { .. } => Ok(None),
            };
            let found = match looked_up {
                // Gone since it was listed: that is no reason to keep the others back.
                Err(fault) if fault.is_gone() => return Ok(false),
                // Another by now under the same name, which the kernel looks up when it needs it.
                Err(Fault::Bare(Errno::ESTALE)) => None,
                found => found?,
            };
            let full = tell(&entry, found.as_ref());
            if full && let Some(found) = found {
                self.nodes.forget(found.node, 1);
            }
            Ok(full)
        })
    }

    /// The common part: `each` gets an item, its number, the offset after it and a moment before it was read, and says whether it was too much.
    fn walk(
        &self,
        fh: u64,
        offset: u64,
        each: impl FnMut(Item, u64, u64, Moment) -> Outcome<bool>,
    ) -> std::result::Result<(), Errno> {
        let handle = self.handles.get(fh)?;
        let Open::Dir(stream) = &handle.open else { return Err(Errno::ENOTDIR) };
        let mut stream = stream.lock();
        let mut each = each;
        let mut any = false;
        let outcome = self.walk_stream(&handle.node, &mut stream, offset, |item, ino, offset, since| {
            let full = each(item, ino, offset, since)?;
            any |= !full;
            Ok(full)
        });
        match outcome {
            // What was told counts as looked up, and the kernel must hear of it; the next reading meets the error again.
            Err(_) if any => Ok(()),
            outcome => self.told("readdir", || self.path(&handle.node), outcome),
        }
    }

    fn walk_stream(
        &self,
        node: &NodeRef,
        stream: &mut Stream,
        offset: u64,
        mut each: impl FnMut(Item, u64, u64, Moment) -> Outcome<bool>,
    ) -> Outcome<()> {
        if offset < 1 && each(dot(".", node), node.id, 1, Moment::default())? {
            return Ok(());
        }
        if offset < DOTS && each(dot("..", node), self.above(node)?, DOTS, Moment::default())? {
            return Ok(());
        }
        let mut after = match stream.rewind(offset.max(DOTS)) {
            Rewound::After(name) => name,
            Rewound::Since { before, until, told_since } => {
                self.last_of(node, stream, before, until.as_deref(), &told_since)?
            }
        };
        let mut told = 0;
        loop {
            let since = self.moment();
            let limit = (stream.fitted + 8).saturating_sub(told).clamp(8, PAGE_MAX);
            let items = self.items(node, stream, after.as_deref(), limit)?;
            let last = items.len() < limit;
            for item in items {
                let mark: Box<str> = item.mark.as_str().into();
                if stream.has_told(&mark) {
                    after = Some(mark);
                    continue;
                }
                let number = self.item_number(node, &item);
                let shadowed = item.shadowed;
                if each(item, number, stream.next_offset() + 1, since)? {
                    stream.fitted = told.max(8);
                    return Ok(());
                }
                told += 1;
                stream.note(&mark);
                stream.told(&mark, shadowed);
                after = Some(mark);
            }
            if last {
                return Ok(());
            }
        }
    }

    /// The last name between two marks that is there and was told, by the hashes of those that were, in order.
    fn last_of(
        &self,
        node: &NodeRef,
        stream: &mut Stream,
        before: Option<Box<str>>,
        until: Option<&str>,
        mut told: &[u32],
    ) -> Outcome<Option<Box<str>>> {
        let ordered = matches!(*node.what, What::Dir { .. } | What::History(_));
        let (mut after, mut found) = (before.clone(), before);
        loop {
            let items = self.items(node, stream, after.as_deref(), PAGE_MAX)?;
            let last = items.len() < PAGE_MAX;
            for item in items {
                // Names beside the keys come first, whatever they are.
                let ordered = ordered && !item.mark.starts_with(HIDDEN);
                let past = |until: &str| item.mark == until || ordered && item.mark.as_str() > until;
                if told.is_empty() || until.is_some_and(past) {
                    return Ok(found);
                }
                let mark: Box<str> = item.mark.as_str().into();
                let hash = short_hash(&mark);
                if let Some(at) = told.iter().position(|one| *one == hash) {
                    told = &told[at + 1..];
                    found = Some(mark.clone());
                }
                after = Some(mark);
            }
            if last {
                return Ok(found);
            }
        }
    }

    fn above(&self, node: &Node) -> Outcome<u64> {
        Ok(match &*node.what {
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
        match (&item.target, &*node.what) {
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
    let target = match &*node.what {
        What::Dir { dir, view, .. } => Target::Dir { dir: *dir, view: *view },
        _ => Target::Dir { dir: DirId(super::ROOT), view: View::Live },
    };
    Item { mark: String::new(), name: name.to_owned(), shadowed: false, kind: FileKind::Directory, target }
}

#[cfg(test)]
mod tests {
    use super::{DOTS, MARK_EVERY, RECENT_MAX, Rewound, Stream, short_hash};

    #[test]
    fn an_offset_leads_back_to_the_name_before_it() {
        let mut stream = Stream::new();
        let names = RECENT_MAX as u64 + 5000;
        for n in 0..names {
            stream.note(&format!("{n:08}"));
        }
        assert_eq!(stream.next_offset(), DOTS + names);
        let name = |n: u64| Some(format!("{n:08}").into_boxed_str());
        assert_eq!(stream.rewind(DOTS + names - 3), Rewound::After(name(names - 4)));
        // Long gone: to be looked for between two marks.
        let told_since = (MARK_EVERY..MARK_EVERY + 10).map(|n| short_hash(&format!("{n:08}"))).collect();
        let since = Rewound::Since { before: name(MARK_EVERY - 1), until: name(2 * MARK_EVERY - 1), told_since };
        assert_eq!(stream.rewind(DOTS + MARK_EVERY + 10), since);
        assert_eq!(stream.next_offset(), DOTS + MARK_EVERY + 10);
        assert_eq!(stream.rewind(0), Rewound::After(None));
        assert_eq!(stream.next_offset(), DOTS);
    }
}
