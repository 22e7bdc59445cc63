//! An entry of the journal: a batch of the index and the runs it points at.

use super::super::id::SegmentId;
use super::{Binder, Fields, Flaw, PART_HEAD, align, patch};

/// Entries begin at multiples of this, so that writing one touches no sector of another.
pub const ENTRY_ALIGN: u64 = 4096;
/// Bytes before the table of runs.
pub const FIXED_BYTES: usize = 40;
const RUN_ENTRY_BYTES: usize = 16;
const MAGIC: &[u8; 4] = b"KFJ1";
const CRC_AT: usize = 4;

/// Bytes of a run as they are in its segment, head included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawRun {
    /// Its segment.
    pub segment: SegmentId,
    /// Where it begins there.
    pub offset: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What became durable in one write of the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Number of the last commit before its batch.
    pub before: u64,
    /// Number of the last commit in its batch.
    pub commit: u64,
    /// The batch, as the index made it.
    pub batch: Vec<u8>,
    /// Runs that its commits name.
    pub runs: Vec<RawRun>,
}

/// Bytes that an entry will take.
#[must_use]
pub fn entry_bytes(batch: &[u8], runs: &[RawRun]) -> u64 {
    let runs: usize = runs.iter().map(|run| RUN_ENTRY_BYTES + run.bytes.len()).sum();
    align((FIXED_BYTES + batch.len() + runs) as u64, ENTRY_ALIGN)
}

/// The bytes of an entry that will lie at `offset`.
#[must_use]
pub fn encode(store: &[u8; 16], offset: u32, before: u64, commit: u64, batch: &[u8], runs: &[RawRun]) -> Vec<u8> {
    let total = entry_bytes(batch, runs);
    let mut out = Vec::with_capacity(total as usize);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(total as u32).to_le_bytes());
    out.extend_from_slice(&(batch.len() as u32).to_le_bytes());
    out.extend_from_slice(&before.to_le_bytes());
    out.extend_from_slice(&commit.to_le_bytes());
    out.extend_from_slice(&(runs.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for run in runs {
        out.extend_from_slice(&run.segment.0.to_le_bytes());
        out.extend_from_slice(&run.offset.to_le_bytes());
        out.extend_from_slice(&(run.bytes.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(batch);
    runs.iter().for_each(|run| out.extend_from_slice(&run.bytes));
    out.resize(total as usize, 0);
    let crc = Binder::journal(store).crc_around(offset, PART_HEAD, &out, CRC_AT);
    patch(&mut out, CRC_AT, crc);
    out
}

/// Bytes of the entry whose first [`FIXED_BYTES`] are these.
///
/// # Errors
/// The flaw, when no entry begins so.
pub fn total(fixed: &[u8]) -> Result<u32, Flaw> {
    let mut fields = Fields(fixed);
    fields.magic(MAGIC)?;
    let (_crc, total) = (fields.u32()?, fields.u32()?);
    if !u64::from(total).is_multiple_of(ENTRY_ALIGN) || total == 0 {
        return Err(Flaw::Shape("length"));
    }
    Ok(total)
}

/// Reads the entry that should lie at `offset`; `bytes` are all of it.
///
/// # Errors
/// The flaw, when these are not the bytes of an entry written there.
pub fn decode(store: &[u8; 16], offset: u32, bytes: &[u8]) -> Result<Entry, Flaw> {
    if total(bytes)? as usize != bytes.len() {
        return Err(Flaw::Short);
    }
    let mut fields = Fields(bytes);
    fields.magic(MAGIC)?;
    if fields.u32()? != Binder::journal(store).crc_around(offset, PART_HEAD, bytes, CRC_AT) {
        return Err(Flaw::Checksum);
    }
    let (_total, batch) = (fields.u32()?, fields.u32()?);
    let (before, commit) = (fields.u64()?, fields.u64()?);
    if before >= commit || commit == u64::MAX {
        return Err(Flaw::Shape("commits"));
    }
    let (count, _zero) = (fields.u32()?, fields.u32()?);
    let mut places = Vec::new();
    for _ in 0..count {
        places.push((SegmentId(fields.u64()?), fields.u32()?, fields.u32()?));
    }
    let batch = fields.bytes(batch as usize)?.to_vec();
    let mut runs = Vec::with_capacity(places.len());
    for (segment, offset, len) in places {
        runs.push(RawRun { segment, offset, bytes: fields.bytes(len as usize)?.to_vec() });
    }
    Ok(Entry { before, commit, batch, runs })
}

/// Writes the checksum that the bytes of an entry should have, so that tests reach what lies behind it.
#[doc(hidden)]
pub fn reseal(bytes: &mut [u8], store: &[u8; 16], offset: u32) {
    if bytes.len() >= FIXED_BYTES {
        let crc = Binder::journal(store).crc_around(offset, PART_HEAD, bytes, CRC_AT);
        patch(bytes, CRC_AT, crc);
    }
}
