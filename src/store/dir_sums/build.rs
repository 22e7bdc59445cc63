//! Building the sums of a store that has none, or damaged ones: a walk as of one commit, from which on commits note what
//! they add. What the walk finds is noted as well, so it climbs by the links of then.

use super::added::{Links, dir_in};
use super::{ABSENT, BATCH, BUILDING, COMPLETE, COMPLETE_KEY};
use crate::index::{DirSum, Family, Read, Tx, dir_of, id_key, weight_of_version};
use crate::model::{DirId, Error, Result};
use crate::store::Store;
use crate::store::names::LEVELS_MAX;
use crate::sys::sync::atomic::Ordering;
use std::collections::HashMap;

/// Records after which a walk looks whether it is to go on.
const STEP: usize = 4096;
/// Directories whose sums a walk has in memory before they are noted.
const FOUND_MAX: usize = 1 << 16;

impl Store {
    /// Builds sums where there are none that can be relied on: a walk over all names without keeping anybody out, once in the life
    /// of a store of an older release. A crash has it begin anew.
    ///
    /// # Errors
    /// When the index cannot be read or written; [`crate::model::Kind::StoreUnavailable`] when the process is ending.
    pub(in crate::store) fn build_sums(&self) -> Result<()> {
        if self.dir_sums.state.load(Ordering::SeqCst) == COMPLETE || self.is_read_only() {
            return Ok(());
        }
        let built = self.build_all_sums();
        // Nobody notes anything until it is begun again.
        let _ = self.dir_sums.state.compare_exchange(BUILDING, ABSENT, Ordering::SeqCst, Ordering::SeqCst);
        self.dir_sums.forwards.lock().clear();
        built
    }

    fn build_all_sums(&self) -> Result<()> {
        let goes_on = || self.checks_go_on("summing directories");
        self.commit(|tx| {
            tx.delete(Family::Sys, COMPLETE_KEY.as_bytes());
            Ok(())
        })?;
        self.dir_sums.state.store(ABSENT, Ordering::SeqCst);
        for family in [Family::DirTally, Family::DirSum] {
            let mut from = Some(Vec::new());
            while let Some(lower) = from {
                goes_on()?;
                from = self.clear_some_sums(family, &lower)?;
            }
        }
        // From the commit on that the walk sees, and no earlier, each notes what it adds.
        let (read, _) = self.index.transact(|_| {
            self.dir_sums.noted.lock().clear();
            self.dir_sums.state.store(BUILDING, Ordering::SeqCst);
            Ok(self.index.frozen())
        })?;
        own_sums(&read, &goes_on, FOUND_MAX, &mut |found| self.note_found(&found))?;
        drop(read);
        // Before anybody asks, who would have to wait for all of it.
        self.climb_all(&goes_on)?;
        let (whole, _) = self.commit(|tx| {
            let whole = self.dir_sums.state.load(Ordering::SeqCst) == BUILDING;
            if whole {
                tx.put(Family::Sys, COMPLETE_KEY.as_bytes(), &1u64);
            }
            Ok(whole)
        })?;
        let done = self.dir_sums.state.compare_exchange(BUILDING, COMPLETE, Ordering::SeqCst, Ordering::SeqCst);
        if whole && done.is_ok() {
            return Ok(());
        }
        Err(Error::corrupt("cannot sum directories", "records of sums were damaged meanwhile"))
    }

    fn note_found(&self, found: &HashMap<DirId, DirSum>) -> Result<()> {
        let found: Vec<_> = found.iter().filter(|(_, sum)| **sum != DirSum::default()).collect();
        for some in found.chunks(BATCH) {
            self.commit(|tx| {
                some.iter().try_for_each(|(dir, sum)| {
                    let dir = self.heir(tx, **dir)?;
                    self.note_sum(tx, dir, **sum)
                })
            })?;
        }
        Ok(())
    }

    /// The directory itself, or where what went with it while sums are built is noted.
    fn heir(&self, tx: &Tx<'_>, dir: DirId) -> Result<DirId> {
        let forwards = self.dir_sums.forwards.lock();
        let mut at = dir;
        for _ in 0..=LEVELS_MAX {
            // Whose removal came to nothing is still there.
            match forwards.get(&at) {
                Some(parent) if tx.get(Family::Dir, &id_key(at.0))?.is_none() => at = *parent,
                _ => break,
            }
        }
        Ok(at)
    }

    /// Removes some records of a family from a key on. Returns the last key when there are more behind it.
    fn clear_some_sums(&self, family: Family, from: &[u8]) -> Result<Option<Vec<u8>>> {
        let (last, _) = self.commit(|tx| {
            let keys: Result<Vec<_>> =
                tx.scan(family, from, &[0xff; 9])?.take(BATCH).map(|found| found.map(|(key, _)| key)).collect();
            let keys = keys?;
            keys.iter().for_each(|key| tx.delete(family, key));
            Ok(keys.last().filter(|_| keys.len() == BATCH).map(|key| key.to_vec()))
        })?;
        Ok(last)
    }
}

/// What lies in each directory itself, by a walk over every name and version. It is handed to `take` whenever it is known of
/// `most` directories, and at the end; of one directory it may come in several parts.
pub(in crate::store) fn own_sums(
    read: &impl Read,
    goes_on: &dyn Fn() -> Result<()>,
    most: usize,
    take: &mut dyn FnMut(HashMap<DirId, DirSum>) -> Result<()>,
) -> Result<()> {
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
            if sums.len() >= most && !sums.contains_key(&dir) {
                take(std::mem::take(&mut sums))?;
            }
            *sums.entry(dir).or_default() += sum;
        }
    }
    take(sums)
}

/// Sums of directories as they are to be, from what lies in each; `parents` leads upwards, a root to itself.
pub(in crate::store) fn summed(
    own: &HashMap<DirId, DirSum>,
    parents: &dyn Fn(DirId) -> Option<DirId>,
) -> HashMap<DirId, DirSum> {
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
