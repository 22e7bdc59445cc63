//! Sums over all that lies below a directory, kept so that reading one is a look at one record (`rbytes`).
//!
//! Each commit reads off its own writes what it adds to which directory, and notes that there (`dirtally`): one small record
//! a directory, however deep it lies. What is noted climbs to the directories above (`dirsum`) for many commits at once: now and
//! then, and before somebody reads. So at each commit the sum of a directory is its record and all that is noted in it and below it;
//! a crash finds both as of one commit. A directory that gets another parent takes its record's sum from the one to the other;
//! what is noted below it climbs its new way later.
//!
//! A store of an older release has no sums: they are built by a walk as of one commit, from which on commits note what they add.
//! What the walk finds is noted as well, so it climbs by the links of then.
//!
//! Locks: `forwards`, a leaf, also within transactions.

use super::Store;
use super::locks::Warrant;
use super::names::{LEVELS_MAX, readable};
use crate::index::{
    DirRecord, DirSum, Family, InodeRecord, NameWeight, Read, Tx, decode, dent_key, dir_of, id_key, id_of,
    weight_of_name, weight_of_version,
};
use crate::model::{DirId, Ino, Result};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Where it is kept that every directory has its sum.
pub(super) const COMPLETE_KEY: &str = "dirsums";
/// Directories whose notes climb in one transaction.
const BATCH: usize = 2000;
/// Records after which a walk looks whether it is to go on.
const STEP: usize = 4096;

/// There are none: a walk answers.
const ABSENT: u8 = 0;
/// They are being built: commits note what they add.
const BUILDING: u8 = 1;
/// They are there.
const COMPLETE: u8 = 2;

/// What is known of sums in this process.
pub(super) struct DirSums {
    state: AtomicU8,
    /// Whether something may be noted that has not climbed.
    noted: AtomicBool,
    /// Directories that went while sums were built, and where they lay.
    forwards: Mutex<HashMap<DirId, DirId>>,
}

impl Default for DirSums {
    fn default() -> Self {
        Self { state: AtomicU8::new(ABSENT), noted: AtomicBool::new(true), forwards: Mutex::default() }
    }
}

/// What each name of a file with several adds, on one side of a transaction. Such a record is long, and read once.
#[derive(Default)]
struct Links(HashMap<Ino, DirSum>);

impl Links {
    /// What a name adds.
    fn of_name(&mut self, value: Option<Bytes>, inode: impl FnOnce(&[u8]) -> Result<Option<Bytes>>) -> Result<DirSum> {
        Ok(match value.map(|value| weight_of_name(&value)) {
            None => DirSum::default(),
            Some(NameWeight::Known(sum)) => sum,
            Some(NameWeight::Link(ino)) => match self.0.get(&ino) {
                Some(known) => *known,
                None => {
                    let found = inode(&id_key(ino.0))?.and_then(|value| decode::<InodeRecord>(&value).ok());
                    *self.0.entry(ino).or_insert(weight_of(found.as_ref()))
                }
            },
        })
    }
}

/// What each name of a file adds.
fn weight_of(inode: Option<&InodeRecord>) -> DirSum {
    inode.filter(|inode| !inode.draft).map_or_else(DirSum::default, |inode| DirSum::current(inode.object.size))
}

fn dir_in(value: Option<&Bytes>) -> Option<DirRecord> {
    value.and_then(|value| decode(value).ok())
}

/// A directory's record before and after a transaction.
struct Turn {
    before: Option<DirRecord>,
    after: Option<DirRecord>,
}

/// What a transaction adds to each directory, read off what it wrote.
fn added(tx: &Tx<'_>, turns: &BTreeMap<DirId, Turn>) -> Result<BTreeMap<DirId, DirSum>> {
    let mut sums: BTreeMap<DirId, DirSum> = BTreeMap::new();
    let mut add = |dir: DirId, sum: DirSum| {
        if sum != DirSum::default() {
            *sums.entry(dir).or_default() += sum;
        }
    };
    let mut names: Vec<Bytes> = tx.touched(Family::Dent).collect();
    let inodes: Vec<Bytes> = tx.touched(Family::Ino).collect();
    let (mut old, mut new) = (Links::default(), Links::default());
    if !inodes.is_empty() {
        // Each name of a file counts it, whether its own record was written or not.
        let mut all: BTreeSet<Bytes> = names.into_iter().collect();
        for key in inodes {
            let Some(ino) = id_of(&key).map(Ino) else { continue };
            for (value, side) in [(tx.before(Family::Ino, &key)?, &mut old), (tx.get(Family::Ino, &key)?, &mut new)] {
                let inode = value.and_then(|value| decode::<InodeRecord>(&value).ok());
                side.0.insert(ino, weight_of(inode.as_ref()));
                let names = inode.iter().flat_map(|inode| &inode.names);
                all.extend(names.map(|(dir, name)| Bytes::from(dent_key(*dir, name))));
            }
        }
        names = all.into_iter().collect();
    }
    for key in names {
        let Some(dir) = dir_of(&key) else { continue };
        let before = old.of_name(tx.before(Family::Dent, &key)?, |ino| tx.before(Family::Ino, ino))?;
        let after = new.of_name(tx.get(Family::Dent, &key)?, |ino| tx.get(Family::Ino, ino))?;
        add(dir, -before);
        add(dir, after);
    }
    for key in tx.touched(Family::Ver) {
        let Some(dir) = dir_of(&key) else { continue };
        let of = |value: Option<Bytes>| value.map_or_else(DirSum::default, |value| weight_of_version(&value));
        add(dir, -of(tx.before(Family::Ver, &key)?));
        add(dir, of(tx.get(Family::Ver, &key)?));
    }
    // A directory's own object is a key of the directory above; a bucket's root has none.
    for (id, Turn { before, after }) in turns {
        for (dir, sign) in [(before, false), (after, true)] {
            if let Some(dir) = dir.as_ref().filter(|dir| dir.parent != *id) {
                let sum = DirSum::of_marker(dir.marker.as_ref());
                add(dir.parent, if sign { sum } else { -sum });
            }
        }
    }
    sums.retain(|_, sum| *sum != DirSum::default());
    Ok(sums)
}

fn sum_of(read: &impl Read, family: Family, dir: DirId) -> Result<DirSum> {
    Ok(readable(read.record(family, &id_key(dir.0)))?.unwrap_or_default())
}

fn note(tx: &mut Tx<'_>, dir: DirId, more: DirSum) -> Result<()> {
    let mut sum = sum_of(tx, Family::DirTally, dir)?;
    sum += more;
    tx.put(Family::DirTally, &id_key(dir.0), &sum);
    Ok(())
}

impl Store {
    /// Notes what a transaction adds to directories. Called at its end, when it has written everything.
    /// Not of a repair, which sets them to what it counts.
    pub(super) fn note_sums(&self, tx: &mut Tx<'_>, warrant: Warrant) -> Result<()> {
        let state = self.dir_sums.state.load(Ordering::SeqCst);
        if state == ABSENT || (state == COMPLETE && warrant.mends) {
            return Ok(());
        }
        let mut turns = BTreeMap::new();
        for key in tx.touched(Family::Dir) {
            let Some(id) = id_of(&key).map(DirId) else { continue };
            let before = dir_in(tx.before(Family::Dir, &key)?.as_ref());
            let after = dir_in(tx.get(Family::Dir, &key)?.as_ref());
            turns.insert(id, Turn { before, after });
        }
        let mut sums = added(tx, &turns)?;
        // What was kept of a directory goes with it from one parent to another.
        for (id, turn) in &turns {
            if let Turn { before: Some(before), after: Some(after) } = turn
                && before.parent != after.parent
            {
                let own = sum_of(tx, Family::DirSum, *id)?;
                *sums.entry(before.parent).or_default() += -own;
                *sums.entry(after.parent).or_default() += own;
            }
        }
        self.forward_gone(tx, &turns, &mut sums, state)?;
        for (dir, sum) in sums.into_iter().filter(|(_, sum)| *sum != DirSum::default()) {
            note(tx, dir, sum)?;
            self.dir_sums.noted.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// What is noted in directories that are gone is noted above them, the deepest first.
    fn forward_gone(
        &self,
        tx: &mut Tx<'_>,
        turns: &BTreeMap<DirId, Turn>,
        sums: &mut BTreeMap<DirId, DirSum>,
        state: u8,
    ) -> Result<()> {
        let gone: HashMap<DirId, DirId> = turns
            .iter()
            .filter(|(_, turn)| turn.after.is_none())
            .filter_map(|(id, turn)| turn.before.as_ref().map(|before| (*id, before.parent)))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let depth = |mut id: DirId| {
            let mut depth = 0;
            while let Some(parent) = gone.get(&id).filter(|parent| **parent != id && depth <= LEVELS_MAX) {
                (id, depth) = (*parent, depth + 1);
            }
            depth
        };
        let mut order: Vec<_> = gone.iter().map(|(id, parent)| (depth(*id), *id, *parent)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        for (_, id, parent) in order {
            let mut rest = sum_of(tx, Family::DirTally, id)?;
            rest += sums.remove(&id).unwrap_or_default();
            tx.delete(Family::DirTally, &id_key(id.0));
            tx.delete(Family::DirSum, &id_key(id.0));
            // Above a bucket's root is nothing.
            if parent != id {
                *sums.entry(parent).or_default() += rest;
                if state == BUILDING {
                    self.dir_sums.forwards.lock().insert(id, parent);
                }
            }
        }
        Ok(())
    }

    /// Has some of what is noted climb to the directories above; whether more is left.
    fn climb(&self) -> Result<bool> {
        let (more, _) = self
            .commit(|tx| {
                let mut noted = Vec::new();
                for found in tx.scan(Family::DirTally, &[], &[0xff; 9])?.take(BATCH) {
                    let (key, value) = found?;
                    noted.push((key, decode::<DirSum>(&value).unwrap_or_default()));
                }
                let mut parents: HashMap<DirId, DirId> = HashMap::new();
                let mut sums: BTreeMap<DirId, DirSum> = BTreeMap::new();
                for (key, sum) in &noted {
                    let mut at = id_of(key).map(DirId);
                    // Parents that form a ring are damage, and end somewhere.
                    for _ in 0..=LEVELS_MAX + 1 {
                        let Some(dir) = at else { break };
                        let parent = match parents.get(&dir) {
                            Some(parent) => Some(*parent),
                            None => {
                                readable(tx.record::<DirRecord>(Family::Dir, &id_key(dir.0)))?.map(|dir| dir.parent)
                            }
                        };
                        // What is noted where nothing is any more counts nowhere.
                        let Some(parent) = parent else { break };
                        parents.insert(dir, parent);
                        *sums.entry(dir).or_default() += *sum;
                        at = Some(parent).filter(|parent| *parent != dir);
                    }
                }
                for (dir, more) in sums.into_iter().filter(|(_, sum)| *sum != DirSum::default()) {
                    let mut sum = sum_of(tx, Family::DirSum, dir)?;
                    sum += more;
                    tx.put(Family::DirSum, &id_key(dir.0), &sum);
                }
                noted.iter().for_each(|(key, _)| tx.delete(Family::DirTally, key));
                let more = noted.len() == BATCH;
                if !more {
                    self.dir_sums.noted.store(false, Ordering::SeqCst);
                }
                Ok(more)
            })
            .inspect_err(|_| self.dir_sums.noted.store(true, Ordering::SeqCst))?;
        Ok(more)
    }

    /// Has all that is noted climb, if anything is.
    pub(super) fn settle_sums(&self) -> Result<()> {
        if self.dir_sums.state.load(Ordering::SeqCst) != COMPLETE {
            return Ok(());
        }
        let mut more = self.dir_sums.noted.load(Ordering::SeqCst);
        while more {
            more = self.climb()?;
        }
        Ok(())
    }

    /// What lies below a directory, its own object left out, as of a commit that is not older than the call. One record is
    /// read, after what is noted everywhere has climbed; `None` while sums are not there, as in a store of an older release or a
    /// backup of one.
    ///
    /// # Errors
    /// When the index cannot be read or written.
    pub fn sum_below(&self, dir: DirId) -> Result<Option<DirSum>> {
        if self.dir_sums.state.load(Ordering::SeqCst) != COMPLETE {
            return Ok(None);
        }
        if self.writable().is_ok() {
            // A full disk refuses no deletes, and this neither.
            self.settle_sums()?;
        } else if self.index.any(Family::DirTally, &[], &[0xff; 9])? {
            return Ok(None);
        }
        sum_of(&self.index, Family::DirSum, dir).map(Some)
    }

    /// Finds out whether there are sums, when the store is opened. One without directories has them.
    pub(super) fn load_sums(&self) -> Result<()> {
        let complete = Self::sys_number(&self.index, COMPLETE_KEY)? == Some(1);
        if !complete {
            if self.writable().is_err() || self.index.any(Family::Dir, &[], &[0xff; 9])? {
                return Ok(());
            }
            self.commit(|tx| {
                tx.put(Family::Sys, COMPLETE_KEY.as_bytes(), &1u64);
                Ok(())
            })?;
        }
        self.dir_sums.state.store(COMPLETE, Ordering::SeqCst);
        Ok(())
    }

    /// Builds sums in a store of an older release: a walk over all names without keeping anybody out, once in the store's
    /// life. A crash has it begin anew.
    ///
    /// # Errors
    /// When the index cannot be read or written; [`crate::model::Kind::StoreUnavailable`] when the process is ending.
    pub(super) fn build_sums(&self) -> Result<()> {
        if self.dir_sums.state.load(Ordering::SeqCst) == COMPLETE || self.is_read_only() {
            return Ok(());
        }
        self.dir_sums.state.store(ABSENT, Ordering::SeqCst);
        for family in [Family::DirTally, Family::DirSum] {
            while self.clear_some(family)? {}
        }
        self.dir_sums.forwards.lock().clear();
        // From the commit on that the walk sees, and no earlier, each notes what it adds.
        let (read, _) = self.index.transact(|_| {
            self.dir_sums.state.store(BUILDING, Ordering::SeqCst);
            Ok(self.index.frozen())
        })?;
        let found = own_sums(&read, &|| self.checks_go_on("summing directories"))?;
        drop(read);
        let found: Vec<_> = found.into_iter().filter(|(_, sum)| *sum != DirSum::default()).collect();
        for some in found.chunks(BATCH) {
            self.commit(|tx| {
                for (dir, sum) in some {
                    let mut at = *dir;
                    let forwards = self.dir_sums.forwards.lock();
                    while let Some(parent) = forwards.get(&at) {
                        at = *parent;
                    }
                    drop(forwards);
                    note(tx, at, *sum)?;
                }
                Ok(())
            })?;
        }
        self.commit(|tx| {
            tx.put(Family::Sys, COMPLETE_KEY.as_bytes(), &1u64);
            Ok(())
        })?;
        self.dir_sums.noted.store(true, Ordering::SeqCst);
        self.dir_sums.state.store(COMPLETE, Ordering::SeqCst);
        self.dir_sums.forwards.lock().clear();
        Ok(())
    }

    fn clear_some(&self, family: Family) -> Result<bool> {
        let (more, _) = self.commit(|tx| {
            let keys: Result<Vec<_>> =
                tx.scan(family, &[], &[0xff; 9])?.take(BATCH).map(|found| found.map(|(key, _)| key)).collect();
            let keys = keys?;
            keys.iter().for_each(|key| tx.delete(family, key));
            Ok(keys.len() == BATCH)
        })?;
        Ok(more)
    }
}

/// What lies in each directory itself, by a walk over every name and version.
pub(super) fn own_sums(read: &impl Read, goes_on: &dyn Fn() -> Result<()>) -> Result<HashMap<DirId, DirSum>> {
    let mut sums: HashMap<DirId, DirSum> = HashMap::new();
    for family in [Family::Dent, Family::Ver, Family::Dir] {
        for (n, found) in read.scan(family, &[], &[0xff; 1100])?.enumerate() {
            if n % STEP == 0 {
                goes_on()?;
            }
            let (key, value) = found?;
            let Some(mut dir) = dir_of(&key) else { continue };
            let sum = match family {
                Family::Dent => Links::default().of_name(Some(value), |ino| read.get(Family::Ino, ino))?,
                Family::Ver => weight_of_version(&value),
                _ => match dir_in(Some(&value)).filter(|record| record.parent != dir) {
                    Some(record) => {
                        dir = record.parent;
                        DirSum::of_marker(record.marker.as_ref())
                    }
                    None => continue,
                },
            };
            *sums.entry(dir).or_default() += sum;
        }
    }
    Ok(sums)
}

/// Sums of directories as they are to be, from what lies in each; `parents` leads upwards, a root to itself.
pub(super) fn summed(own: &HashMap<DirId, DirSum>, parents: &dyn Fn(DirId) -> Option<DirId>) -> HashMap<DirId, DirSum> {
    let mut sums: HashMap<DirId, DirSum> = HashMap::new();
    for (dir, sum) in own {
        let mut at = Some(*dir);
        for _ in 0..=LEVELS_MAX + 1 {
            let Some((dir, parent)) = at.and_then(|dir| Some((dir, parents(dir)?))) else { break };
            *sums.entry(dir).or_default() += *sum;
            at = Some(parent).filter(|parent| *parent != dir);
        }
    }
    sums.retain(|_, sum| *sum != DirSum::default());
    sums
}
