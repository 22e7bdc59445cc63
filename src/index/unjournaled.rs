//! What a power cut leaves of RocksDB's files on a file system without a journal, set right before RocksDB sees it.
//!
//! **Records of older logs.** A log may have its length on the disk and not its last blocks: they show what lay there before.
//! Records of an older log, or of an older list of tables, have good checksums, which know nothing of the file. RocksDB would
//! read on: write old changes once more, or not open. So such a log is cut where its own records end. Only what was never
//! synced can be lost that way, and all of that which was acknowledged is kept in the journal. A log's own records are batches
//! of [`Index`](super::Index), whose sequence numbers and commits ascend, and longer ones end with a [sum](SUM_KEY). Not
//! noticed are records of an older log where a log begins.
//!
//! **The name of the list of tables.** `CURRENT` is replaced by a rename, which such a file system may do by half: the old
//! file is gone and the new one not there. The list that it named is the newest that is whole.

use super::appended::{BLOCK_BYTES, Found, HEAD_BYTES, check_appended, record_at};
use super::codec::decode;
use super::db::SEQ_KEY;
use crate::crypto::crc32c;
use crate::model::{Error, Result};
use crate::sys::disk::{Access, Disk, DiskFile};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Key of a batch's last change, when the batch is longer than a [block](BLOCK_BYTES): CRC-32C of the changes before. The
/// log's own checksums are each of one block's part.
pub(super) const SUM_KEY: &[u8] = b"sum";
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

/// The file that names the list of tables.
pub const CURRENT: &str = "CURRENT";
/// What the name of a list of tables begins with, before its number.
pub const LIST: &str = "MANIFEST-";
/// RocksDB removes files of this name that are left.
const CURRENT_NEW: &str = "000000.dbtmp";

/// The [sum](SUM_KEY) that a batch is to end with, if it is long.
pub(super) fn sum_of(batch: &[u8]) -> Option<[u8; 4]> {
    let changes = batch.get(BATCH_HEAD..).filter(|_| batch.len() as u64 > BLOCK_BYTES)?;
    Some(crc32c(changes).to_le_bytes())
}

/// Cuts the logs in `dir` where records of older ones begin: names and new lengths of those that were cut. RocksDB must not
/// have the index open.
///
/// # Errors
/// What the disk says.
pub fn cut_strays(disk: &dyn Disk, dir: &Path) -> Result<Vec<(String, u64)>> {
    let failed = |error| Error::io("cannot look through the index's logs", error);
    let mut cut = Vec::new();
    for entry in disk.list(dir).map_err(failed)? {
        if !entry.name.ends_with(".log") || entry.len == 0 {
            continue;
        }
        let log = disk.open(&dir.join(&entry.name), Access::Write).map_err(failed)?;
        if let Some(end) = own_end(&*log).map_err(failed)? {
            log.set_len(end).and_then(|()| log.sync_data()).map_err(failed)?;
            cut.push((entry.name, end));
        }
    }
    Ok(cut)
}

/// Where a log's own records end, if others follow. Like RocksDB it reads up to the first damage.
fn own_end(log: &dyn DiskFile) -> io::Result<Option<u64>> {
    let end = log.size()?;
    // A batch of which a part was read, and where it begins.
    let mut begun: Option<(u64, Vec<u8>)> = None;
    // The sequence number behind the last batch, and its last commit.
    let (mut behind, mut last, mut at) = (0, 0, 0);
    while at < end {
        let mut block = vec![0; usize::try_from(BLOCK_BYTES.min(end - at)).unwrap_or(0)];
        if log.read_at(at, &mut block)? != block.len() {
            return Ok(None);
        }
        let mut from = 0;
        loop {
            let (kind, body, next) = match record_at(&block, from) {
                Found::Whole { kind, body, next } => (kind, body, next),
                Found::End => break,
                // RocksDB passes over a block from where it has neither a length nor a kind.
                Found::Bad(_)
                    if begun.is_none() && block[from..].iter().take(HEAD_BYTES).skip(4).all(|byte| *byte == 0) =>
                {
                    break;
                }
                Found::Bad(_) | Found::Unfinished => return Ok(None),
            };
            let here = at + from as u64;
            from = next;
            // Where a block had no room for more than the head of a first part, RocksDB bears that another record follows.
            let (place, mut batch) = match (kind, begun.take()) {
                (FULL | FIRST, None) => (here, Vec::new()),
                (FULL | FIRST, Some((place, batch))) if batch.is_empty() => (place, batch),
                (MIDDLE | LAST, Some(begun)) => begun,
                _ => return Ok(None),
            };
            batch.extend(body);
            if matches!(kind, FIRST | MIDDLE) {
                begun = Some((place, batch));
                continue;
            }
            match said(&batch) {
                Some(said) if said.first >= behind && said.commit.is_none_or(|commit| commit >= last) => {
                    (behind, last) = (said.behind, said.commit.unwrap_or(last));
                }
                _ => return Ok(Some(place)),
            }
        }
        at += block.len() as u64;
    }
    Ok(None)
}

/// What a batch says of itself: the sequence number of its first change, the one behind its last, and its last commit.
struct Said {
    first: u64,
    behind: u64,
    commit: Option<u64>,
}

/// Nothing when the bytes are no batch of an index as it was written.
fn said(batch: &[u8]) -> Option<Said> {
    let (head, changes) = batch.split_at_checked(BATCH_HEAD)?;
    let (first, count) = head.split_at(8);
    let first = u64::from_le_bytes(first.try_into().ok()?);
    let count = u32::from_le_bytes(count.try_into().ok()?);
    let (mut found, mut commit, mut rest) = (0, None, changes);
    while let Some((tag, after)) = rest.split_first() {
        let so_far = changes.len() - rest.len();
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
            if key == SUM_KEY
                && rest.is_empty()
                && sum_of(&batch[..BATCH_HEAD + so_far]).is_some_and(|sum| sum != value)
            {
                return None;
            }
        }
        found += 1;
    }
    let behind = first.checked_add(u64::from(count))?;
    (found == count).then_some(Said { first, behind, commit })
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

/// Has `CURRENT` in `dir` name the newest list of tables that is whole, if it is not there: that list's name. RocksDB must not
/// have the index open.
///
/// # Errors
/// What the disk says.
pub fn name_list(disk: &dyn Disk, dir: &Path) -> Result<Option<String>> {
    let failed = |error| Error::io("cannot name the index's list of tables", error);
    let mut lists = Vec::new();
    for entry in disk.list(dir).map_err(failed)? {
        if entry.name == CURRENT {
            return Ok(None);
        }
        let number = entry.name.strip_prefix(LIST).and_then(|number| number.parse::<u64>().ok());
        lists.extend(number.filter(|_| entry.len > 0).map(|number| (number, entry.name)));
    }
    lists.sort();
    while let Some((_, name)) = lists.pop() {
        let list = disk.open(&dir.join(&name), Access::Read).map_err(failed)?;
        if !check_appended(&*list, 0, u64::MAX)?.flaws.is_empty() {
            continue;
        }
        let (new, current) = (dir.join(CURRENT_NEW), dir.join(CURRENT));
        match disk.remove(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = disk.create_new(&new).map_err(failed)?;
        file.write_at(0, format!("{name}\n").as_bytes()).and_then(|()| file.sync_data()).map_err(failed)?;
        disk.rename(&new, &current).and_then(|()| disk.sync_dir(dir)).map_err(failed)?;
        return Ok(Some(name));
    }
    Ok(None)
}
