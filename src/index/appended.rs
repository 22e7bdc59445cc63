//! The checksums of RocksDB's list of tables (`MANIFEST`) and of its logs, read from the disk record by record: for scrub.
//!
//! Both are only appended to while they are open, so all that lies before an end they had is final. Records lie in blocks of
//! 32 KiB: four bytes of CRC-32C over the rest, two of length, one of kind, and the payload; fewer bytes than that at a block's
//! end are none's.

use super::table::{TableChecked, TableFlaw};
use crate::crypto::crc32c;
use crate::model::{Error, Result};
use crate::sys::disk::DiskFile;

const BLOCK_BYTES: u64 = 32 << 10;
const HEAD_BYTES: usize = 7;
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
    while let Some(head) = block.get(at..at + HEAD_BYTES) {
        let len = usize::from(u16::from_le_bytes([head[4], head[5]]));
        let end = at + HEAD_BYTES + len;
        let Some(covered) = block.get(at + UNCOVERED..end) else {
            let beyond = end as u64 > BLOCK_BYTES;
            return beyond.then_some((at, "a record reaches beyond its block"));
        };
        if masked(crc32c(covered)).to_le_bytes() != head[..4] {
            return Some((at, "the checksum does not match"));
        }
        at = end;
    }
    None
}

/// A checksum as RocksDB keeps it, so that one of bytes that hold checksums is a good one.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}
