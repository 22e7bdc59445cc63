//! Sums over all that lies below a directory, kept so that reading one is a look at one record (`rbytes`).
//!
//! Each commit reads off its own writes what it adds to which directory, and notes that there (`dirtally`): one small record
//! a directory, however deep it lies. What is noted climbs to the directories above (`dirsum`) for many commits at once: now and
//! then, and before somebody reads. So at each commit the sum of a directory is its record and all that is noted in it and below it;
//! a crash finds both as of one commit. A directory that gets another parent takes its record's sum from the one to the other;
//! what is noted below it climbs its new way later.
//!
//! A store of an older release has no sums, and those of a store whose records of them are damaged are not believed: they are
//! [built](build), and until then a walk answers.
//!
//! Locks: `forwards` and `noted`, leaves, also within transactions.

mod added;
mod build;
mod noted;

pub(super) use build::{own_sums, summed};

use super::Store;
use super::locks::Warrant;
use super::names::{LEVELS_MAX, readable};
use crate::index::{DirRecord, DirSum, Family, Read, Tx, id_key, id_of};
use crate::model::{DirId, Error, Kind, Result};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicU8, Ordering};
use added::{Turn, added, turns};
use noted::Noted;
use std::collections::{BTreeMap, HashMap};

/// Where it is kept that every directory has its sum.
pub(super) const COMPLETE_KEY: &str = "dirsums";
/// Directories whose notes climb in one transaction.
const BATCH: usize = 2000;
/// Directories that one transaction goes through on the way up, give or take those above one: all others wait meanwhile.
const WAY_MAX: usize = 16_384;
/// Directories from which on a store that takes no changes leaves them as they are, so that walks answer.
const FEW: usize = 65_536;

/// There are none: a walk answers.
const ABSENT: u8 = 0;
/// They are being built: commits note what they add.
const BUILDING: u8 = 1;
/// They are there.
const COMPLETE: u8 = 2;
/// Damage was met: they are to be built anew, and each commit sees to it that no opening takes them for complete.
const DOUBTED: u8 = 3;

/// What is known of sums in this process.
pub(super) struct DirSums {
    state: AtomicU8,
    /// Where something is noted that has not climbed.
    noted: Mutex<Noted>,
    /// Directories that went while sums were built, and where they lay.
    forwards: Mutex<HashMap<DirId, DirId>>,
}

impl Default for DirSums {
    fn default() -> Self {
        Self { state: AtomicU8::new(ABSENT), noted: Mutex::default(), forwards: Mutex::default() }
    }
}

fn sum_of(read: &impl Read, family: Family, dir: DirId) -> Result<DirSum> {
    Ok(read.record(family, &id_key(dir.0))?.unwrap_or_default())
}

impl Store {
    /// Notes what a transaction adds to directories. Called at its end, when it has written everything.
    /// Not of a repair, which sets them to what it counts. What cannot be read keeps no transaction from its end.
    pub(super) fn note_sums(&self, tx: &mut Tx<'_>, warrant: Warrant) -> Result<()> {
        let state = self.dir_sums.state.load(Ordering::SeqCst);
        let done = match state {
            BUILDING => self.note_all(tx, state),
            COMPLETE if !warrant.mends => self.note_all(tx, state),
            _ => Ok(()),
        };
        match done {
            Err(error) if error.kind() == Kind::Corrupt => self.doubt_sums(&error),
            done => done?,
        }
        if self.dir_sums.state.load(Ordering::SeqCst) == DOUBTED {
            tx.delete(Family::Sys, COMPLETE_KEY.as_bytes());
        }
        Ok(())
    }

    /// What is kept cannot be believed any more.
    fn doubt_sums(&self, error: &Error) {
        if self.dir_sums.state.load(Ordering::SeqCst) != ABSENT {
            self.dir_sums.state.store(DOUBTED, Ordering::SeqCst);
        }
        self.spoiled((Family::DirSum, b""), None, error);
    }

    fn note_all(&self, tx: &mut Tx<'_>, state: u8) -> Result<()> {
        let turns = turns(tx)?;
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
        let mut sums = sums.into_iter().filter(|(_, sum)| *sum != DirSum::default());
        sums.try_for_each(|(dir, sum)| self.note_sum(tx, dir, sum))
    }

    fn note_sum(&self, tx: &mut Tx<'_>, dir: DirId, more: DirSum) -> Result<()> {
        let mut sum = sum_of(tx, Family::DirTally, dir)?;
        sum += more;
        tx.put(Family::DirTally, &id_key(dir.0), &sum);
        self.dir_sums.noted.lock().add(dir);
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

    /// Has some of what was noted by then climb to the directories above.
    fn climb(&self, until: u64) -> Result<()> {
        let (climbed, _) = self.commit(|tx| {
            let climbed = self.to_climb(tx, until).and_then(|(climb, mut dirs)| {
                climb_in(tx, &mut dirs)?;
                Ok((climb, dirs))
            });
            match climbed {
                Err(error) if error.kind() == Kind::Corrupt => {
                    self.doubt_sums(&error);
                    Ok(None)
                }
                climbed => climbed.map(Some),
            }
        })?;
        if let Some((climb, dirs)) = climbed {
            self.dir_sums.noted.lock().end(climb, &dirs);
        }
        Ok(())
    }

    /// A climb's number, and the directories in which it begins.
    fn to_climb(&self, tx: &Tx<'_>, until: u64) -> Result<(u64, Vec<DirId>)> {
        let (climb, dirs, unread) = self.dir_sums.noted.lock().begin(until, BATCH);
        let Some(from) = unread else { return Ok((climb, dirs)) };
        let found = tx.scan(Family::DirTally, &id_key(from.0), &[0xff; 9])?.take(BATCH);
        let found: Result<Vec<_>> = found.map(|found| found.map(|(key, _)| id_of(&key).map(DirId))).collect();
        let found = found?;
        let last = found.last().copied().flatten().filter(|_| found.len() == BATCH);
        let dirs: Vec<DirId> = found.into_iter().flatten().collect();
        self.dir_sums.noted.lock().read(&dirs, last.map(|last| DirId(last.0.saturating_add(1))));
        Ok((climb, dirs))
    }

    /// Has all that is noted by now climb.
    fn climb_all(&self, goes_on: &dyn Fn() -> Result<()>) -> Result<()> {
        let until = self.dir_sums.noted.lock().by_now();
        while matches!(self.dir_sums.state.load(Ordering::SeqCst), BUILDING | COMPLETE)
            && self.dir_sums.noted.lock().waits(until)
        {
            goes_on()?;
            self.climb(until)?;
        }
        Ok(())
    }

    /// Has all that is noted climb, if anything is.
    pub(super) fn settle_sums(&self) -> Result<()> {
        if self.dir_sums.state.load(Ordering::SeqCst) != COMPLETE {
            return Ok(());
        }
        self.climb_all(&|| Ok(()))
    }

    /// The same in memory, in a store that takes no changes: if it is not much.
    pub(super) fn settle_few_sums(&self) -> Result<()> {
        let notes = self.index.scan(Family::DirTally, &[], &[0xff; 9])?.take(FEW);
        if notes.count() < FEW { self.settle_sums() } else { Ok(()) }
    }

    /// What lies below a directory, its own object left out, as of a commit that is not older than the call. One record is
    /// read, after what is noted everywhere has climbed; `None` while sums are not there, as in a store of an older release or a
    /// backup of one, or where they are damaged.
    ///
    /// # Errors
    /// When the index cannot be read or written.
    pub fn sum_below(&self, dir: DirId) -> Result<Option<DirSum>> {
        let complete = || self.dir_sums.state.load(Ordering::SeqCst) == COMPLETE;
        if !complete() {
            return Ok(None);
        }
        if self.writable().is_ok() {
            // A full disk refuses no deletes, and this neither.
            self.settle_sums()?;
        } else if self.dir_sums.noted.lock().waits(u64::MAX) {
            return Ok(None);
        }
        let found = match sum_of(&self.index, Family::DirSum, dir) {
            Err(error) if error.kind() == Kind::Corrupt => {
                self.doubt_sums(&error);
                return Ok(None);
            }
            found => found?,
        };
        Ok(complete().then_some(found))
    }

    /// Finds out whether there are sums, when the store is opened. One without directories has them.
    pub(super) fn load_sums(&self) -> Result<()> {
        // Of a mark that cannot be read nobody knows: they are built.
        let complete = readable(Self::sys_number(&self.index, COMPLETE_KEY))? == Some(1);
        if !complete {
            if self.index.any(Family::Dir, &[], &[0xff; 9])? {
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
}

/// Takes what is noted in these directories, and adds it to the sums of them and all above. Where the way is long, to a part of
/// them, which is left in the list.
fn climb_in(tx: &mut Tx<'_>, dirs: &mut Vec<DirId>) -> Result<()> {
    let mut parents: HashMap<DirId, DirId> = HashMap::new();
    let mut sums: BTreeMap<DirId, DirSum> = BTreeMap::new();
    let (mut looked_at, mut way) = (0, 0);
    for from in dirs.iter() {
        if way > WAY_MAX {
            break;
        }
        looked_at += 1;
        let key = id_key(from.0);
        let Some(sum) = tx.record::<DirSum>(Family::DirTally, &key)? else { continue };
        tx.delete(Family::DirTally, &key);
        let mut at = Some(*from);
        // Parents that form a ring are damage, and end somewhere.
        for _ in 0..=LEVELS_MAX + 1 {
            let Some(dir) = at else { break };
            let parent = match parents.get(&dir) {
                Some(parent) => Some(*parent),
                None => readable(tx.record::<DirRecord>(Family::Dir, &id_key(dir.0)))?.map(|dir| dir.parent),
            };
            // What is noted where nothing is any more counts nowhere.
            let Some(parent) = parent else { break };
            way += 1;
            parents.insert(dir, parent);
            *sums.entry(dir).or_default() += sum;
            at = Some(parent).filter(|parent| *parent != dir);
        }
    }
    dirs.truncate(looked_at);
    for (dir, more) in sums.into_iter().filter(|(_, sum)| *sum != DirSum::default()) {
        let mut sum = sum_of(tx, Family::DirSum, dir)?;
        sum += more;
        tx.put(Family::DirSum, &id_key(dir.0), &sum);
    }
    Ok(())
}
