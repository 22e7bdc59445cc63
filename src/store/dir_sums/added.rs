//! What a transaction adds to each directory, read off what it wrote.

use crate::index::{
    DirRecord, DirSum, Family, InodeRecord, NameWeight, Read, Tx, decode, dent_key, dir_of, id_key, id_of,
    weight_of_name, weight_of_version,
};
use crate::model::{DirId, Ino, Result};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What each name of a file with several adds, on one side of a transaction. Such a record is long, and read once.
#[derive(Default)]
pub(super) struct Links(HashMap<Ino, DirSum>);

impl Links {
    /// What a name adds.
    pub fn of_name(
        &mut self,
        value: Option<Bytes>,
        inode: impl FnOnce(&[u8]) -> Result<Option<Bytes>>,
    ) -> Result<DirSum> {
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

pub(super) fn dir_in(value: Option<&Bytes>) -> Option<DirRecord> {
    value.and_then(|value| decode(value).ok())
}

/// A directory's record before and after a transaction.
pub(super) struct Turn {
    pub before: Option<DirRecord>,
    pub after: Option<DirRecord>,
}

/// Directories whose records a transaction wrote.
pub(super) fn turns(tx: &Tx<'_>) -> Result<BTreeMap<DirId, Turn>> {
    let mut turns = BTreeMap::new();
    for key in tx.touched(Family::Dir) {
        let Some(id) = id_of(&key).map(DirId) else { continue };
        let before = dir_in(tx.before(Family::Dir, &key)?.as_ref());
        let after = dir_in(tx.get(Family::Dir, &key)?.as_ref());
        turns.insert(id, Turn { before, after });
    }
    Ok(turns)
}

/// What is added to each directory; to none what is nothing.
pub(super) fn added(tx: &Tx<'_>, turns: &BTreeMap<DirId, Turn>) -> Result<BTreeMap<DirId, DirSum>> {
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
        let mut all: BTreeSet<Bytes> = names.into_iter().collect();
        for key in inodes {
            let Some(ino) = id_of(&key).map(Ino) else { continue };
            let [before, after] = [tx.before(Family::Ino, &key)?, tx.get(Family::Ino, &key)?]
                .map(|value| value.and_then(|value| decode::<InodeRecord>(&value).ok()));
            let (was, is) = (weight_of(before.as_ref()), weight_of(after.as_ref()));
            old.0.insert(ino, was);
            new.0.insert(ino, is);
            // A file that counts otherwise does so under each of its names; else those count that came or went.
            if was != is {
                let names = before.iter().chain(&after).flat_map(|inode| &inode.names);
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
