//! The checksums of RocksDB's list of tables (`MANIFEST`) and of its logs, read from the disk record by record: for scrub.
//!
//! Both are only appended to while they are open, so all that lies before an end they had is final. Records lie in blocks of
//! 32 KiB: four bytes of CRC-32C over the rest, two of length, one of kind, and the payload; fewer bytes than that at a block's
//! end are none's.

use super::table::{TableChecked, TableFlaw};
use crate::crypto::crc32c;
use crate::model::{Error, Result};
use crate::sys::disk::DiskFile;

pub(super) const BLOCK_BYTES: u64 = 32 << 10;
/// Of a record: checksum, length and kind.
pub(super) const HEAD_BYTES: usize = 7;
/// Bytes of the checksum and the length, which the checksum does not cover.
const UNCOVERED: usize = 6;

/// Checks records from `from` on (0, or what the stretch before ended with), about `budget` bytes. A last record that is not
/// there in full is not judged: it may be on its way.
///
/// # Errors
/// When the file's length cannot be asked for.
pub fn check_appended(file: &dyn DiskFile, from: u64, budget: u64) -> Result<TableChecked> {
    let end = file.size().map_err(|error| Error::io("cannot check the index's list of tables and logs", error))?;
    let mut out = TableChecked::default();
    let mut at = from - from % BLOCK_BYTES;
    while at < end {
        if out.bytes >= budget.max(1) {
            out.next = Some(at);
            break;
        }
        let len = BLOCK_BYTES.min(end - at);
        let mut block = vec![0; usize::try_from(len).unwrap_or(0)];
        let bad = match file.read_at(at, &mut block) {
            Ok(got) if got == block.len() => first_bad(&block).map(|(place, why)| (place, why.to_owned())),
            Ok(_) => Some((0, "the file ends before it".to_owned())),
            Err(error) => Some((0, error.to_string())),
        };
        if let Some((place, why)) = bad {
            let place = place as u64;
            out.flaws.push(TableFlaw { at: at + place, len: len - place, what: "records", why, keys: None });
        }
        out.bytes += len;
        at += len;
    }
    Ok(out)
}

/// The first record of a block that is not as it was written, and why.
fn first_bad(block: &[u8]) -> Option<(usize, &'static str)> {
    let mut at = 0;
    loop {
        match record_at(block, at) {
            Found::Whole { next, .. } => at = next,
            Found::Bad(why) => return Some((at, why)),
            Found::End | Found::Unfinished => return None,
        }
    }
}

/// What lies at a place of a block.
pub(super) enum Found<'a> {
    /// A record with a good checksum: its kind, its payload, and where the next begins.
    Whole {
        kind: u8,
        body: &'a [u8],
        next: usize,
    },
    /// Nothing: too little is left of the block.
    End,
    /// The beginning of a record that the file does not have in full.
    Unfinished,
    Bad(&'static str),
}

pub(super) fn record_at(block: &[u8], at: usize) -> Found<'_> {
    let Some(head) = block.get(at..at + HEAD_BYTES) else { return Found::End };
    let next = at + HEAD_BYTES + usize::from(u16::from_le_bytes([head[4], head[5]]));
    let Some(covered) = block.get(at + UNCOVERED..next) else {
        let beyond = next as u64 > BLOCK_BYTES;
        return if beyond { Found::Bad("a record reaches beyond its block") } else { Found::Unfinished };
    };
    if masked(crc32c(covered)).to_le_bytes() != head[..4] {
        return Found::Bad("the checksum does not match");
    }
    Found::Whole { kind: covered[0], body: &covered[1..], next }
}

/// A checksum as RocksDB keeps it, so that one of bytes that hold checksums is a good one.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Sets the checksums of all records right: for tests that look behind them.
#[doc(hidden)]
pub fn reseal_appended(file: &mut [u8]) {
    for block in file.chunks_mut(BLOCK_BYTES as usize) {
        let mut rest = block;
        while let Some((head, behind)) = rest.split_at_mut_checked(HEAD_BYTES) {
            let len = usize::from(u16::from_le_bytes([head[4], head[5]]));
            let Some((body, next)) = behind.split_at_mut_checked(len) else { break };
            let sum = masked(crc32c(&[&head[UNCOVERED..], &*body].concat()));
            head[..4].copy_from_slice(&sum.to_le_bytes());
            rest = next;
        }
    }
}
