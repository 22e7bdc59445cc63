//! An index whose files are damaged: what can be read of it, in a new one.
//!
//! The new one is made beside the old one, from links and copies; the old one is only read.

use super::backend::{Backend, Batch, Below, Walk};
use super::codec::{decode, encode};
use super::db::Settings;
use super::family::Family;
use super::rocks::Rocks;
use crate::model::{Error, Result};
use std::fs;
use std::path::Path;

/// Records written in one batch.
const BATCH: usize = 1000;
/// In every family of a copy, so that RocksDB learns of those that lie in its log only.
const MARK: &[u8] = b"\xff\xff\xff\xffkeyfold-salvage";
/// Bytes of a key that the search for the end of a damaged stretch looks at.
const WIDTH: usize = 280;

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Salvaged {
    /// Records in the new index.
    pub records: u64,
    /// Stretches of keys that could not be read.
    pub gaps: u64,
}

/// Makes a new index in `to`, which is absent, from what can be read of the one in `from`. `scratch` is an absent
/// directory on the same disk; it is left behind. Each of `numbers` of the store's own is at least so high in the new one.
///
/// # Errors
/// When nothing can be made of it, or the disk refuses.
pub fn salvage(
    from: &Path,
    to: &Path,
    scratch: &Path,
    settings: Settings,
    numbers: &[(&str, u64)],
) -> Result<Salvaged> {
    let failed = |error| Error::io("cannot copy the index to salvage it", error);
    let raw = scratch.join("raw");
    let opened = match copy(from, &raw).map_err(failed).and_then(|()| Rocks::open_existing(&raw, settings)) {
        // Its tables may be damaged, but what says which they are is whole.
        Ok(opened) => opened,
        Err(_) => {
            fs::remove_dir_all(&raw).map_err(failed)?;
            copy(from, &raw).map_err(failed)?;
            mark(&raw, &scratch.join("marks"), settings)?;
            Rocks::repair(&raw)?;
            Rocks::open_existing(&raw, settings)?
        }
    };
    let old = Backend::Rocks(opened);
    let new = Backend::Rocks(Rocks::open(to, settings)?);
    let mut done = Salvaged::default();
    for family in Family::ALL {
        transfer(&old, &new, *family, &mut done)?;
    }
    let mut batch = new.batch();
    for (name, least) in numbers {
        let said = new.get(Family::Sys, name.as_bytes())?.and_then(|bytes| decode::<u64>(&bytes).ok());
        new.put(&mut batch, Family::Sys, name.as_bytes(), Some(&encode(&said.unwrap_or(0).max(*least))))?;
    }
    new.write(batch, true)?;
    new.compact()?;
    new.verify(&|| Ok(()))?;
    Ok(done)
}

/// Tables are never changed, so links do; the rest is copied.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if !entry.file_type()?.is_file() || name == "LOCK" {
            continue;
        }
        let table = Path::new(&name).extension().is_some_and(|end| end == "sst");
        if !table || fs::hard_link(entry.path(), to.join(&name)).is_err() {
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

/// Puts a table of each family into a copy. RocksDB's repair learns families from tables, and drops what its log says
/// of those it does not know.
fn mark(raw: &Path, marks: &Path, settings: Settings) -> Result<()> {
    let failed = |error| Error::io("cannot prepare the index's repair", error);
    {
        let db = Backend::Rocks(Rocks::open(marks, settings)?);
        let mut batch = db.batch();
        for family in Family::ALL {
            db.put(&mut batch, *family, MARK, Some(b""))?;
        }
        db.write(batch, true)?;
        db.compact()?;
    }
    let tables = |dir: &Path| -> std::io::Result<Vec<(u64, std::path::PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if let (Some(number), Some("sst" | "log")) = (number, path.extension().and_then(|end| end.to_str())) {
                found.push((number, path));
            }
        }
        Ok(found)
    };
    let first = tables(raw).map_err(failed)?.iter().map(|(number, _)| *number).max().unwrap_or(0) + 1000;
    for (number, path) in tables(marks).map_err(failed)? {
        if path.extension().is_some_and(|end| end == "sst") {
            fs::rename(&path, raw.join(format!("{:06}.sst", first + number))).map_err(failed)?;
        }
    }
    Ok(())
}

fn transfer(old: &Backend, new: &Backend, family: Family, done: &mut Salvaged) -> Result<()> {
    let upper = [0xff; WIDTH];
    let mut from = Vec::new();
    let (mut batch, mut held): (Batch, usize) = (new.batch(), 0);
    loop {
        let mut walk = Below::now(old).walk(family, &from, &upper)?;
        let mut last = from.clone();
        while let (Some(key), Some(value)) = (walk.key(), walk.value()) {
            if key != MARK {
                new.put(&mut batch, family, key, Some(value))?;
                (held, done.records) = (held + 1, done.records + 1);
            }
            last = key.to_vec();
            if held == BATCH {
                new.write(std::mem::replace(&mut batch, new.batch()), false)?;
                held = 0;
            }
            walk.next();
        }
        if walk.status().is_ok() {
            return new.write(batch, false);
        }
        done.gaps += 1;
        let behind = behind(Below::now(old), family, &last, &upper)?;
        match (behind.key(), behind.status()) {
            (Some(next), Ok(())) => from = next.to_vec(),
            _ => return new.write(batch, false),
        }
    }
}

/// A walk that begins behind the stretch that cannot be read and begins at `from`.
pub(super) fn behind<'a>(db: Below<'a>, family: Family, from: &[u8], upper: &[u8]) -> Result<Walk<'a>> {
    let wide = |key: &[u8]| -> Vec<u8> { key.iter().copied().chain(std::iter::repeat(0)).take(WIDTH).collect() };
    let (mut bad, mut good) = (wide(from), wide(upper));
    loop {
        let middle = middle(&bad, &good);
        if middle == bad {
            return db.walk(family, &good, upper);
        }
        // A walk that has failed once is not asked again.
        if db.walk(family, &middle, upper)?.status().is_ok() { good = middle } else { bad = middle }
    }
}

/// Half of the sum of two numbers of the same width.
fn middle(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut sum: Vec<u16> = one
        .iter()
        .zip(other)
        .rev()
        .map(|(one, other)| {
            let digit = u16::from(*one) + u16::from(*other) + carry;
            carry = digit >> 8;
            digit & 0xff
        })
        .collect();
    sum.push(carry);
    let mut rest = 0;
    let halves = sum.iter().rev().map(|digit| {
        let digit = digit + (rest << 8);
        rest = digit & 1;
        digit >> 1
    });
    halves.skip(1).map(|digit| u8::try_from(digit & 0xff).unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::middle;

    #[test]
    fn the_middle_of_two_keys() {
        assert_eq!(middle(&[0, 0], &[1, 0]), [0, 0x80]);
        assert_eq!(middle(&[0xff, 0xff], &[0xff, 0xff]), [0xff, 0xff]);
        assert_eq!(middle(&[0x12, 0x34], &[0x12, 0x35]), [0x12, 0x34]);
        assert_eq!(middle(&[0x10, 0xff], &[0x20, 0x01]), [0x18, 0x80]);
    }
}
