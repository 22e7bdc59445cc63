//! What a record adds to its directory's sums, read without the rest of it: every commit asks.

use crate::model::{Ino, Object, Seq, Timestamp, VersionId};
use serde::Deserialize;
use std::ops::{AddAssign, Neg};

/// What lies in a directory, or below it. Bytes are logical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, Deserialize)]
pub struct DirSum {
    /// Current keys, directory markers included.
    pub entries: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Bytes of older versions.
    pub noncurrent_bytes: i64,
}

impl AddAssign for DirSum {
    /// Stops at the ends: counters come from the disk.
    fn add_assign(&mut self, d: Self) {
        self.entries = self.entries.saturating_add(d.entries);
        self.bytes = self.bytes.saturating_add(d.bytes);
        self.noncurrent_bytes = self.noncurrent_bytes.saturating_add(d.noncurrent_bytes);
    }
}

impl Neg for DirSum {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            entries: self.entries.saturating_neg(),
            bytes: self.bytes.saturating_neg(),
            noncurrent_bytes: self.noncurrent_bytes.saturating_neg(),
        }
    }
}

impl DirSum {
    /// Of a current object.
    #[must_use]
    pub fn current(size: u64) -> Self {
        Self { entries: 1, bytes: signed(size), ..Self::default() }
    }

    /// Of an older version.
    #[must_use]
    pub fn older(size: u64) -> Self {
        Self { noncurrent_bytes: signed(size), ..Self::default() }
    }

    /// Of an entry of a directory.
    #[must_use]
    pub fn of_marker(marker: Option<&Object>) -> Self {
        marker.map_or_else(Self::default, |marker| Self::current(marker.size))
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The beginning of an [`Object`], in every version of its record.
#[derive(Deserialize)]
struct Beginning {
    _version: VersionId,
    _seq: Seq,
    _ino: Ino,
    marker: bool,
    _modified: Timestamp,
    _since: Timestamp,
    _superseded: Option<Timestamp>,
    size: u64,
}

/// The beginning of a [`super::DentRecord`].
#[derive(Deserialize)]
enum DentBeginning {
    Object(Beginning),
    Dir,
    Link(Ino),
}

/// The beginning of a [`super::VerRecord`].
#[derive(Deserialize)]
enum VerBeginning {
    Object(Beginning),
    Ghost,
}

/// What a live name adds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameWeight {
    /// That.
    Known(DirSum),
    /// What a file with several names says.
    Link(Ino),
}

fn beginning<'a, T: Deserialize<'a>>(record: &'a [u8]) -> Option<T> {
    // Whose format version is none adds nothing, as it reads as damage.
    postcard::take_from_bytes(record.get(1..)?).ok().map(|(found, _)| found)
}

/// What the record of a live name adds; nothing when it is a draft, leads to a directory, or is damaged.
#[must_use]
pub fn weight_of_name(record: &[u8]) -> NameWeight {
    let nothing = NameWeight::Known(DirSum::default());
    match beginning(record) {
        // Whether it is a draft stands at its end.
        Some(DentBeginning::Object(object)) if record.last() == Some(&0) => {
            NameWeight::Known(DirSum::current(object.size))
        }
        Some(DentBeginning::Link(ino)) => NameWeight::Link(ino),
        Some(DentBeginning::Object(_) | DentBeginning::Dir) | None => nothing,
    }
}

/// What the record of an older version adds; a delete marker adds nothing.
#[must_use]
pub fn weight_of_version(record: &[u8]) -> DirSum {
    match beginning(record) {
        Some(VerBeginning::Object(object)) if !object.marker => DirSum::older(object.size),
        Some(VerBeginning::Object(_) | VerBeginning::Ghost) | None => DirSum::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::{DirSum, NameWeight, weight_of_name, weight_of_version};
    use crate::index::{DentRecord, VerRecord, encode};
    use crate::model::{DirId, FileKind, Ino, Object, Posix, Seq, Timestamp, VersionId};

    #[test]
    fn a_beginning_says_what_the_whole_record_does() {
        let at = Timestamp::new(1_700_000_000, 999_999_999);
        let posix = Posix::new(FileKind::File, 0o644, 1000, 1000, at);
        for version in [VersionId::Null, VersionId::Id([7; 16])] {
            for superseded in [None, Some(at)] {
                for size in [0, 1, 300, 1 << 40] {
                    let new = Object::empty(Ino(300), Seq(1 << 40), version, &posix, at);
                    let object = Object { size, superseded, ..new };
                    let name = |draft| weight_of_name(&encode(&DentRecord::Object { object: object.clone(), draft }));
                    assert_eq!(name(false), NameWeight::Known(DirSum::current(size)));
                    assert_eq!(name(true), NameWeight::Known(DirSum::default()));
                    let below =
                        |marker| weight_of_version(&encode(&VerRecord::Object(Object { marker, ..object.clone() })));
                    assert_eq!((below(false), below(true)), (DirSum::older(size), DirSum::default()));
                }
            }
        }
        assert_eq!(weight_of_name(&encode(&DentRecord::Link(Ino(7)))), NameWeight::Link(Ino(7)));
        assert_eq!(weight_of_name(&encode(&DentRecord::Dir(DirId(7)))), NameWeight::Known(DirSum::default()));
        let ghost = VerRecord::Ghost { dir: DirId(1 << 40), died: at };
        assert_eq!(weight_of_version(&encode(&ghost)), DirSum::default());
        assert_eq!(
            (weight_of_name(&[]), weight_of_version(&[2])),
            (NameWeight::Known(DirSum::default()), DirSum::default())
        );
    }
}
