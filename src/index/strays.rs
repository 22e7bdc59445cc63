//! Records of older logs of RocksDB's, in blocks of its logs whose writing a power cut lost.
//!
//! A file system without a journal may put a log's length on the disk and not its last blocks: they show what lay there
//! before. Records of an older log, or of an older list of tables, have good checksums, which know nothing of the file.
//! RocksDB would read on: write old changes once more, or not open. So such a log is cut where its own records end, before
//! RocksDB sees it. Only what was never synced can be lost that way, and all of that which was acknowledged is kept elsewhere.
//!
//! A log's own records are batches of [`Index`](super::Index), whose sequence numbers ascend; those that are kept elsewhere have
//! the same bytes there. Not noticed are records of an older log where a log begins.

use super::appended::{BLOCK_BYTES, Found, HEAD_BYTES, record_at};
use super::codec::decode;
use super::db::SEQ_KEY;
use crate::model::{Error, Result};
use crate::sys::disk::{Access, Disk, DiskFile};
use std::io;
use std::path::Path;

/// Kinds of records: a batch as a whole, or its first part, one in the middle, and the last.
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;
/// Of a batch: bytes of its sequence number and its count.
const BATCH_HEAD: usize = 12;
/// Changes of a batch: deletions and values, of the default family and of any.
const DELETED: u8 = 0;
const VALUE: u8 = 1;
const DELETED_IN: u8 = 4;
const VALUE_IN: u8 = 5;

/// The batch that is kept elsewhere of the stage with a last commit, when there is one.
pub type Kept<'a> = &'a dyn Fn(u64) -> Option<&'a [u8]>;

/// Cuts the logs in `dir` where records of older ones begin: names and new lengths of those that were cut. RocksDB must not
/// have the index open.
///
/// # Errors
/// What the disk says.
pub fn cut_strays(disk: &dyn Disk, dir: &Path, kept: Kept<'_>) -> Result<Vec<(String, u64)>> {
    let failed = |error| Error::io("cannot look through the index's logs", error);
    let mut cut = Vec::new();
    for entry in disk.list(dir).map_err(failed)? {
        if !entry.name.ends_with(".log") || entry.len == 0 {
            continue;
        }
        let log = disk.open(&dir.join(&entry.name), Access::Write).map_err(failed)?;
        if let Some(end) = own_end(&*log, kept).map_err(failed)? {
            log.set_len(end).and_then(|()| log.sync_data()).map_err(failed)?;
            cut.push((entry.name, end));
        }
    }
    Ok(cut)
}

/// Where a log's own records end, if others follow. Like RocksDB it reads up to the first damage.
fn own_end(log: &dyn DiskFile, kept: Kept<'_>) -> io::Result<Option<u64>> {
    let end = log.size()?;
    // A batch of which a part was read, and where it begins; the sequence number behind the last one.
    let mut begun: Option<(u64, Vec<u8>)> = None;
    let (mut behind, mut at) = (0, 0);
    while at < end {
        let mut block = vec![0; usize::try_from(BLOCK_BYTES.min(end - at)).unwrap_or(0)];
        if log.read_at(at, &mut block)? != block.len() {
            return Ok(None);
        }
        let mut from = 0;
        loop {
            let place = at + from as u64;
            let (kind, body, next) = match record_at(&block, from) {
                Found::Whole { kind, body, next } => (kind, body, next),
                Found::End => break,
                // RocksDB passes over zeros to the next block.
                Found::Bad(_) if begun.is_none() && block[from..].iter().take(HEAD_BYTES).all(|byte| *byte == 0) => {
                    break;
                }
                Found::Bad(_) | Found::Unfinished => return Ok(None),
            };
            from = next;
            let (place, batch) = match (kind, begun.take()) {
                (FULL, None) => (place, body.to_vec()),
                (FIRST, None) => {
                    begun = Some((place, body.to_vec()));
                    continue;
                }
                (MIDDLE, Some((place, mut batch))) => {
                    batch.extend(body);
                    begun = Some((place, batch));
                    continue;
                }
                (LAST, Some((place, mut batch))) => {
                    batch.extend(body);
                    (place, batch)
                }
                _ => return Ok(None),
            };
            match said(&batch) {
                Some(said) if said.first >= behind && is_as_kept(&batch, said.commit.and_then(kept)) => {
                    behind = said.behind
                }
                _ => return Ok(Some(place)),
            }
        }
        at += block.len() as u64;
    }
    Ok(None)
}

/// What was not kept, because it was synced, has a change more.
fn is_as_kept(batch: &[u8], kept: Option<&[u8]>) -> bool {
    kept.and_then(|kept| kept.get(BATCH_HEAD..)).is_none_or(|kept| batch[BATCH_HEAD..].starts_with(kept))
}

/// What a batch says of itself: the sequence number of its first change, the one behind its last, and its last commit.
struct Said {
    first: u64,
    behind: u64,
    commit: Option<u64>,
}

/// Nothing when the bytes are no batch of an index.
fn said(batch: &[u8]) -> Option<Said> {
    let (head, mut rest) = batch.split_at_checked(BATCH_HEAD)?;
    let (first, count) = head.split_at(8);
    let first = u64::from_le_bytes(first.try_into().ok()?);
    let count = u32::from_le_bytes(count.try_into().ok()?);
    let (mut changes, mut commit) = (0, None);
    while let Some((tag, after)) = rest.split_first() {
        rest = after;
        if matches!(*tag, DELETED_IN | VALUE_IN) {
            varint(&mut rest)?;
        } else if !matches!(*tag, DELETED | VALUE) {
            return None;
        }
        let key = piece(&mut rest)?;
        if matches!(*tag, VALUE | VALUE_IN) {
            let value = piece(&mut rest)?;
            if key == SEQ_KEY {
                commit = Some(decode(value).ok()?);
            }
        }
        changes += 1;
    }
    let behind = first.checked_add(u64::from(count))?;
    (changes == count).then_some(Said { first, behind, commit })
}

fn piece<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = varint(bytes)? as usize;
    let (piece, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(piece)
}

/// RocksDB's 32-bit number: seven bits a byte, the lowest first.
fn varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
