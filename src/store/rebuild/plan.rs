//! Which names there were, and which of the contents each had. Pure.

use super::gather::{Found, Gathered, Id, Move};
use crate::chunklog::KEY_TAIL_MAX;
use crate::model::{BucketName, ObjectKey};
use crate::store::fsck::LOST_BUCKET;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Names that are moved in all, each as often as something above it was renamed: what takes minutes.
const MOVED_MAX: usize = 1 << 26;

/// A name and what it had.
pub(super) struct Name {
    pub bucket: BucketName,
    pub key: ObjectKey,
    /// Its inode number; 0 when it is not known.
    pub ino: u64,
    /// Its contents, the current one last.
    pub contents: Vec<Id>,
}

/// What is to be built.
#[derive(Default)]
pub(super) struct Plan {
    pub names: Vec<Name>,
    /// Every content that has a name or is a part of one that has.
    pub needed: HashSet<Id>,
    pub nameless: u64,
    /// Earlier contents of names that are not whole.
    pub left_out: u64,
    /// Contents without any name that no other shows.
    pub unclaimed: u64,
    /// Renames that are left out.
    pub unfollowed: u64,
}

struct File {
    ino: u64,
    key: Vec<u8>,
    /// Which content it got, and in the place of which.
    contents: Vec<(Id, Id)>,
}

/// Follows the contents in the order in which they were made.
#[derive(Default)]
struct Files {
    files: Vec<File>,
    by_ino: HashMap<u64, usize>,
    /// All that had a key when they were last heard of, the one that has it last.
    by_key: BTreeMap<Vec<u8>, Vec<usize>>,
    /// Names that were moved, and renames that were not followed any more.
    moved: usize,
    unfollowed: u64,
}

impl Files {
    fn of(&mut self, found: &Found) -> usize {
        let named = self.by_key.get(&found.key).and_then(|files| files.last()).copied();
        let named = named.filter(|_| !found.key.is_empty());
        if found.ino == 0 {
            return named.unwrap_or_else(|| self.make(0));
        }
        if let Some(at) = self.by_ino.get(&found.ino) {
            return *at;
        }
        // Put by its key, and then written as a file.
        let at = named.filter(|at| self.files[*at].ino == 0).unwrap_or_else(|| self.make(found.ino));
        self.files[at].ino = found.ino;
        self.by_ino.insert(found.ino, at);
        at
    }

    fn make(&mut self, ino: u64) -> usize {
        self.files.push(File { ino, key: Vec::new(), contents: Vec::new() });
        self.files.len() - 1
    }

    fn add(&mut self, order: Id, id: Id, found: &Found) {
        let at = self.of(found);
        let content = if found.name_only { Id::Numbered(found.written.base) } else { id };
        self.files[at].contents.push((order, content));
        if found.key.is_empty() || self.files[at].key == found.key && self.has(at) {
            return;
        }
        let before = std::mem::replace(&mut self.files[at].key, found.key.clone());
        if let Some(there) = self.by_key.get_mut(&before) {
            there.retain(|file| *file != at);
        }
        self.by_key.entry(found.key.clone()).or_default().push(at);
    }

    /// Whether a file is the one that has its key.
    fn has(&self, at: usize) -> bool {
        self.by_key.get(&self.files[at].key).and_then(|files| files.last()) == Some(&at)
    }

    /// What had `from` has `to`, with all that had it before; what it had last comes before what `to` had.
    fn rename(&mut self, number: u64, Move { from, to }: &Move) {
        let moved: Vec<Vec<u8>> = if from.ends_with(b"/") {
            let after = self.by_key.range(from.clone()..).map(|(key, _)| key);
            after.take_while(|key| key.starts_with(from)).take(MOVED_MAX).cloned().collect()
        } else {
            vec![from.clone()]
        };
        // A directory's costs as much as it has names below it.
        self.moved = self.moved.saturating_add(moved.len());
        if self.moved > MOVED_MAX {
            self.unfollowed += 1;
            return;
        }
        for key in moved {
            let Some(files) = self.by_key.remove(&key) else { continue };
            // Renamed below itself again and again, a name has no end: one that long is none.
            let mut new = [to.as_slice(), &key[from.len()..]].concat();
            if new.len() > KEY_TAIL_MAX {
                new.clear();
            }
            files.iter().for_each(|at| self.files[*at].key.clone_from(&new));
            let newest = files.last().and_then(|at| self.files[*at].contents.last_mut());
            newest.into_iter().for_each(|content| content.0 = Id::Numbered(number));
            if !new.is_empty() {
                self.by_key.entry(new).or_default().extend(files);
            }
        }
    }
}

/// Where a content stands among all that happened.
fn order(id: Id, found: &Found) -> Id {
    match id {
        Id::Numbered(number) => Id::Numbered(number.max(found.placed)),
        id => id,
    }
}

/// Plans names for all that was found.
pub(super) fn plan(all: &Gathered) -> Plan {
    let mut plan = Plan::default();
    let mut files = Files::default();
    let mut moves = all.moves.iter().peekable();
    let mut contents: Vec<(Id, Id, &Found)> =
        all.contents.iter().map(|(id, found)| (order(*id, found), *id, found)).collect();
    contents.sort_unstable_by_key(|(order, id, _)| (*order, *id));
    for (order, id, found) in contents {
        while let Some((number, moved)) = moves.next_if(|(number, _)| Id::Numbered(**number) < order) {
            files.rename(*number, moved);
        }
        // A part of an upload, or of what was put and never came to its end.
        if !(matches!(id, Id::Numbered(_)) && found.ino == 0 && found.key.is_empty()) {
            files.add(order, id, found);
        }
    }
    moves.for_each(|(number, moved)| files.rename(*number, moved));
    let whole = whole_ones(all);
    for (key, at) in &files.by_key {
        let had: Vec<&File> = at.iter().map(|at| &files.files[*at]).collect();
        let ino = had.iter().rev().find(|file| file.ino != 0).map_or(0, |file| file.ino);
        let contents = had.iter().flat_map(|file| &file.contents).copied().collect();
        plan.name(all, &whole, place(key), ino, contents);
    }
    for file in files.files.iter().filter(|file| file.key.is_empty()) {
        plan.name(all, &whole, None, file.ino, file.contents.clone());
    }
    plan.unfollowed = files.unfollowed;
    plan.need(all);
    let loose = |(id, found): &(&Id, &Found)| {
        let unknown = found.ino == 0 && found.key.is_empty();
        unknown && !plan.needed.contains(id) && matches!(id, Id::Numbered(number) if !all.gone.contains(number))
    };
    plan.unclaimed = all.contents.iter().filter(loose).count() as u64;
    // Nothing that has bytes is left behind.
    let left = |(id, found): &(&Id, &Found)| {
        let gone = matches!(id, Id::Numbered(number) if all.gone.contains(number));
        !gone && !plan.needed.contains(id) && !found.parts.is_empty()
    };
    let left: Vec<(Id, u64)> = all.contents.iter().filter(left).map(|(id, found)| (*id, found.ino)).collect();
    for (id, ino) in left {
        // The file has another content under its own name.
        let ino = if files.by_ino.contains_key(&ino) { 0 } else { ino };
        plan.name(all, &whole, None, ino, vec![(id, id)]);
    }
    plan.need(all);
    plan
}

impl Plan {
    /// Plans a name and the contents it had, of which it got each in the place of another.
    fn name(
        &mut self,
        all: &Gathered,
        whole: &HashSet<Id>,
        at: Option<(BucketName, String)>,
        ino: u64,
        mut contents: Vec<(Id, Id)>,
    ) {
        let is_there = |id: &Id| match id {
            Id::Numbered(number) => !all.gone.contains(number) && all.contents.contains_key(id),
            _ => true,
        };
        contents.retain(|(_, content)| is_there(content));
        // What was never completed does not come before what was.
        let last = |id: &Id| all.contents.get(id).is_some_and(|found| found.written.last);
        contents.sort_by_key(|(order, content)| (last(content), *order));
        let Some((_, newest)) = contents.last().copied() else { return };
        let mut kept: Vec<Id> = Vec::with_capacity(contents.len());
        for (_, content) in contents {
            if kept.last() == Some(&content) {
                continue;
            }
            if content != newest && !whole.contains(&content) {
                self.left_out += 1;
                continue;
            }
            kept.push(content);
        }
        let (bucket, key) = match at {
            Some(at) => at,
            None => match BucketName::parse(LOST_BUCKET) {
                Ok(bucket) => (bucket, made_up(ino, newest)),
                Err(_) => return,
            },
        };
        let Ok(key) = ObjectKey::parse(&key) else { return };
        self.nameless += u64::from(bucket.as_str() == LOST_BUCKET);
        self.names.push(Name { bucket, key, ino, contents: kept });
    }

    /// Follows what contents of names are made of.
    fn need(&mut self, all: &Gathered) {
        let mut open: Vec<Id> = self.names.iter().flat_map(|name| name.contents.iter().copied()).collect();
        while let Some(id) = open.pop() {
            let Some(found) = all.contents.get(&id) else { continue };
            if self.needed.insert(id) {
                let below = std::iter::once(found.written.base);
                let below = below.chain(found.stretches.iter().map(|stretch| stretch.content));
                open.extend(below.filter(|content| *content != 0).map(Id::Numbered));
            }
        }
    }
}

/// Contents that were completed and of which nothing is known to be lost.
fn whole_ones(all: &Gathered) -> HashSet<Id> {
    let mut whole = HashSet::new();
    // A content is younger than the one it lies over.
    for (id, found) in &all.contents {
        let numbered = matches!(id, Id::Numbered(_));
        let base = found.written.base;
        let below = base == 0 || !found.guessed && whole.contains(&Id::Numbered(base));
        let shown = |content: u64| content == 0 || all.contents.contains_key(&Id::Numbered(content));
        let sound = found.parts.iter().all(|part| part.bad.is_empty());
        if sound && (!numbered || found.written.last && below && found.stretches.iter().all(|s| shown(s.content))) {
            whole.insert(*id);
        }
    }
    whole
}

/// The bucket and key that a name in the log means.
fn place(key: &[u8]) -> Option<(BucketName, String)> {
    // Of a longer one only the end was written.
    if key.len() >= KEY_TAIL_MAX {
        return None;
    }
    let (bucket, key) = std::str::from_utf8(key).ok()?.split_once('/')?;
    ObjectKey::parse(key).ok()?;
    Some((BucketName::stored(bucket).ok()?, key.to_owned()))
}

fn made_up(ino: u64, newest: Id) -> String {
    match newest {
        _ if ino != 0 => format!("inode-{ino}"),
        Id::Alone(solo, u32::MAX) => format!("file-{}", crate::chunklog::SoloId(solo)),
        Id::Alone(segment, offset) => format!("segment-{}-{offset}", crate::chunklog::SegmentId(segment)),
        Id::Numbered(number) | Id::Inode(number) => format!("content-{number}"),
    }
}
