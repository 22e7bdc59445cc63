//! The checksums of RocksDB's tables, read from the disk block by block: for scrub, which must pass RocksDB's caches and
//! the system's by, and say where in a table the damage is.
//!
//! Understands the tables this release writes: block-based, format version 6, XXH3, index blocks plain or in LZ4. Of any
//! other it says that it cannot check it.

use crate::model::{Error, Result};
use crate::sys::disk::DiskFile;
use twox_hash::XxHash3_64;

const FOOTER_BYTES: usize = 53;
/// Compression and checksum behind each block.
const TRAILER_BYTES: u64 = 5;
const MAGIC: [u8; 8] = 0x88e2_41b7_85f4_cff7_u64.to_le_bytes();
const EXTENDED_MAGIC: [u8; 4] = [0x3e, 0, 0x7a, 0];
const FORMAT_VERSION: u32 = 6;
const XXH3: u8 = 4;
const INDEX: &[u8] = b"rocksdb.index";
/// Bytes of a block at most, of one unpacked, and of the list made of it: an index of a table of a gigabyte has 16 MiB.
const BLOCK_BYTES_MAX: u64 = 256 << 20;
/// Bytes that an entry of a list takes beside its key.
const ENTRY_BYTES: u64 = 64;
/// Bytes that LZ4 makes of one at most.
const UNPACKED_MAX: u64 = 256;

/// A stretch of a table that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableFlaw {
    /// Its first byte.
    pub at: u64,
    /// Its bytes.
    pub len: u64,
    /// What lies there.
    pub what: &'static str,
    /// What is wrong.
    pub why: String,
    /// Of a block of records: bounds of their keys, the first not included. Bounds may be shorter than keys.
    pub keys: Option<(Vec<u8>, Vec<u8>)>,
}

/// What a stretch of a table came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableChecked {
    /// Where to go on; `None` at the end.
    pub next: Option<u64>,
    /// Bytes checked.
    pub bytes: u64,
    /// What is wrong.
    pub flaws: Vec<TableFlaw>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Block {
    at: u64,
    len: u64,
}

impl Block {
    const fn end(self) -> u64 {
        self.at + self.len + TRAILER_BYTES
    }
}

/// Checks blocks of a table from `from` on (0, or what the stretch before ended with), about `budget` bytes; beginning
/// with 0 also what is not records, and that the blocks cover the file.
///
/// # Errors
/// When the file's length cannot be asked for.
pub fn check_table(file: &dyn DiskFile, from: u64, budget: u64) -> Result<TableChecked> {
    let bytes = file.size().map_err(|error| Error::io("cannot check a table of the index", error))?;
    let mut check = Check { file, bytes, base: 0, out: TableChecked::default() };
    check.run(from, budget);
    Ok(check.out)
}

struct Check<'a> {
    file: &'a dyn DiskFile,
    bytes: u64,
    /// From which the checksum of each block is made its own.
    base: u32,
    out: TableChecked,
}

impl Check<'_> {
    fn flaw(&mut self, (at, len): (u64, u64), what: &'static str, why: impl Into<String>) {
        self.out.flaws.push(TableFlaw { at, len, what, why: why.into(), keys: None });
    }

    fn run(&mut self, from: u64, budget: u64) {
        let footer_at = self.bytes.saturating_sub(FOOTER_BYTES as u64);
        let metaindex = match self.footer(footer_at) {
            Ok(metaindex) => metaindex,
            Err(why) => return self.flaw((footer_at, self.bytes - footer_at), "footer", why),
        };
        let named = match self.block(metaindex).and_then(|(kind, bytes)| unpack(kind, bytes)) {
            Ok(bytes) => entries(&bytes, false),
            Err(why) => return self.flaw((metaindex.at, metaindex.len), "list of blocks", why),
        };
        let Some(named) = named else {
            return self.flaw((metaindex.at, metaindex.len), "list of blocks", "its shape is unknown to this release");
        };
        let Some(index) = named.iter().find(|(name, _)| name == INDEX).map(|(_, block)| *block) else {
            return self.flaw((metaindex.at, metaindex.len), "list of blocks", "it names no index");
        };
        let records = match self.block(index).and_then(|(kind, bytes)| unpack(kind, bytes)) {
            Ok(bytes) => entries(&bytes, true),
            Err(why) => return self.flaw((index.at, index.len), "index", why),
        };
        let Some(records) = records else {
            return self.flaw((index.at, index.len), "index", "its shape is unknown to this release");
        };
        let mut all: Vec<Block> = named.iter().chain(&records).map(|(_, block)| *block).chain([metaindex]).collect();
        all.sort_unstable();
        // One stretch in many entries would be read as often.
        if all.iter().zip(all.iter().skip(1)).any(|(block, next)| next.at < block.end()) {
            return self.flaw((index.at, index.len), "index", "its blocks lie over each other");
        }
        if from == 0 {
            self.out.bytes += index.len + metaindex.len + FOOTER_BYTES as u64;
            for (_, block) in named.iter().filter(|(_, block)| *block != index) {
                self.count(*block);
                if let Err(why) = self.block(*block) {
                    self.flaw((block.at, block.len), "filter or properties", why);
                }
            }
            if let Some((at, len)) = gap(&all, footer_at) {
                self.flaw((at, len), "gap between blocks", "no block covers it");
            }
        }
        let mut below: &[u8] = &[];
        for (key, block) in &records {
            if block.at >= from {
                if block.at - from >= budget {
                    self.out.next = Some(block.at);
                    return;
                }
                self.count(*block);
                if let Err(why) = self.block(*block) {
                    self.flaw((block.at, block.len), "records", why);
                    if let Some(flaw) = self.out.flaws.last_mut() {
                        flaw.keys = Some((below.to_vec(), key.clone()));
                    }
                }
            }
            below = key;
        }
    }

    /// Counts a block that lies in the file; what an index says of others may be any number.
    fn count(&mut self, block: Block) {
        if block.end() <= self.bytes {
            self.out.bytes += block.len + TRAILER_BYTES;
        }
    }

    fn read(&self, at: u64, len: u64) -> std::result::Result<Vec<u8>, String> {
        if len > BLOCK_BYTES_MAX || at.checked_add(len).is_none_or(|end| end > self.bytes) {
            return Err("it reaches beyond the file".to_owned());
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        match self.file.read_at(at, &mut bytes) {
            Ok(got) if got == bytes.len() => Ok(bytes),
            Ok(_) => Err("the file ends before it".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Verifies the footer; returns the block that names the others.
    fn footer(&mut self, at: u64) -> std::result::Result<Block, String> {
        let mut bytes = self.read(at, FOOTER_BYTES as u64)?;
        let [kind, fields @ ..] = &bytes[..] else { return Err("the file ends before it".to_owned()) };
        let field =
            |at: usize| fields.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes);
        let (said, base, metaindex) = (field(4), field(8), u64::from(field(12)));
        if !bytes.ends_with(&MAGIC)
            || !fields.starts_with(&EXTENDED_MAGIC)
            || field(40) != FORMAT_VERSION
            || *kind != XXH3
        {
            return Err("it is damaged, or of a kind unknown to this release".to_owned());
        }
        bytes[5..9].fill(0);
        let (last, rest) = bytes.split_last().unwrap_or((&0, &[]));
        self.base = base;
        if checksum(base, at, rest, *last) != said {
            return Err("the checksum does not match".to_owned());
        }
        let begin = at.checked_sub(metaindex + TRAILER_BYTES).ok_or("it names a place before the file")?;
        Ok(Block { at: begin, len: metaindex })
    }

    /// A verified block: its compression and its bytes as they are on the disk.
    fn block(&self, block: Block) -> std::result::Result<(u8, Vec<u8>), String> {
        let mut bytes = self.read(block.at, block.len.saturating_add(TRAILER_BYTES))?;
        let trailer = bytes.split_off(bytes.len() - TRAILER_BYTES as usize);
        let (kind, said) = match trailer[..] {
            [kind, a, b, c, d] => (kind, u32::from_le_bytes([a, b, c, d])),
            _ => return Err("the file ends before it".to_owned()),
        };
        if checksum(self.base, block.at, &bytes, kind) != said {
            return Err("the checksum does not match".to_owned());
        }
        Ok((kind, bytes))
    }
}

/// What a block at `at` should have for a checksum: `last` is covered too.
fn checksum(base: u32, at: u64, bytes: &[u8], last: u8) -> u32 {
    let sum = (XxHash3_64::oneshot(bytes) as u32) ^ u32::from(last).wrapping_mul(0x6b90_83d9);
    let place = (at as u32).wrapping_add((at >> 32) as u32);
    sum.wrapping_add(if base == 0 { 0 } else { base ^ place })
}

/// The first stretch before `end` that none of the blocks covers, which are in order, or that one covers behind it.
fn gap(blocks: &[Block], end: u64) -> Option<(u64, u64)> {
    let mut at = 0;
    for block in blocks {
        if block.at != at {
            return Some((at.min(block.at), at.abs_diff(block.at)));
        }
        at = block.end();
    }
    (at != end).then(|| (at.min(end), at.abs_diff(end)))
}

fn unpack(kind: u8, bytes: Vec<u8>) -> std::result::Result<Vec<u8>, String> {
    match kind {
        0 => Ok(bytes),
        4 | 5 => {
            let mut rest = &bytes[..];
            let len = varint(&mut rest).ok_or("it is too long unpacked")?;
            if len > BLOCK_BYTES_MAX.min(UNPACKED_MAX * rest.len() as u64) {
                return Err("it is too long unpacked".to_owned());
            }
            lz4_flex::block::decompress(rest, usize::try_from(len).unwrap_or(0)).map_err(|error| error.to_string())
        }
        _ => Err("its compression is unknown to this release".to_owned()),
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Keys of a block, each with the block it leads to. In an `index` values have no length, and one whose key is shared
/// with the one before follows that one's block.
fn entries(bytes: &[u8], index: bool) -> Option<Vec<(Vec<u8>, Block)>> {
    let (body, count) = bytes.split_last_chunk::<4>()?;
    let restarts = u32::from_le_bytes(*count);
    // Flags of kinds of blocks that this release does not write, but for one that changes nothing here.
    let restarts = restarts & !(1 << 29);
    let body = body.get(..body.len().checked_sub(usize::try_from(restarts).ok()?.checked_mul(4)?)?)?;
    let mut rest = body;
    let mut found: Vec<(Vec<u8>, Block)> = Vec::new();
    let mut room = BLOCK_BYTES_MAX;
    while !rest.is_empty() {
        let shared = usize::try_from(varint(&mut rest)?).ok()?;
        let own = usize::try_from(varint(&mut rest)?).ok()?;
        let value_len = if index { None } else { Some(usize::try_from(varint(&mut rest)?).ok()?) };
        let (tail, behind) = rest.split_at_checked(own)?;
        rest = behind;
        room = room.checked_sub(ENTRY_BYTES)?.checked_sub(shared as u64)?.checked_sub(own as u64)?;
        let before = found.last();
        let mut key = if shared == 0 { Vec::new() } else { before?.0.get(..shared)?.to_vec() };
        key.extend_from_slice(tail);
        let block = match value_len {
            Some(len) => {
                let (mut value, behind) = rest.split_at_checked(len)?;
                rest = behind;
                match (varint(&mut value), varint(&mut value)) {
                    (Some(at), Some(len)) if value.is_empty() => Block { at, len },
                    // Another kind of value, which names no block.
                    _ => continue,
                }
            }
            None if shared == 0 => Block { at: varint(&mut rest)?, len: varint(&mut rest)? },
            None => {
                let more = varint(&mut rest)?;
                let more = (more >> 1).cast_signed() ^ -(more & 1).cast_signed();
                let before = before?.1;
                Block { at: before.end(), len: before.len.checked_add_signed(more)? }
            }
        };
        block.at.checked_add(block.len)?.checked_add(TRAILER_BYTES)?;
        found.push((key, block));
    }
    Some(found)
}

/// Sets the checksums right after bytes of a table were changed on purpose: for fuzzing and tests only.
#[doc(hidden)]
pub fn reseal_table(table: &mut [u8]) {
    const BLOCKS: usize = 1000;
    let Some(at) = table.len().checked_sub(FOOTER_BYTES) else { return };
    let (blocks, footer) = table.split_at_mut(at);
    let field =
        |at: usize| footer.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes);
    let (base, len) = (field(9), u64::from(field(13)));
    footer[5..9].fill(0);
    let sum = footer.split_last().map_or(0, |(last, rest)| checksum(base, at as u64, rest, *last));
    footer[5..9].copy_from_slice(&sum.to_le_bytes());
    let mut seal = |block: Block, index: bool| -> Option<Vec<(Vec<u8>, Block)>> {
        let (from, len) = (usize::try_from(block.at).ok()?, usize::try_from(block.len).ok()?);
        let (bytes, trailer) = blocks.get_mut(from..)?.split_at_mut_checked(len)?;
        let [kind, sum @ ..] = trailer.first_chunk_mut::<{ TRAILER_BYTES as usize }>()?;
        *sum = checksum(base, block.at, bytes, *kind).to_le_bytes();
        entries(&unpack(*kind, bytes.to_vec()).ok()?, index)
    };
    let metaindex = (at as u64).checked_sub(len + TRAILER_BYTES).and_then(|at| seal(Block { at, len }, false));
    for (name, block) in metaindex.into_iter().flatten().take(BLOCKS) {
        let listed = seal(block, true).filter(|_| name == INDEX);
        for (_, block) in listed.into_iter().flatten().take(BLOCKS) {
            let _ = seal(block, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{UNPACKED_MAX, entries, unpack};
    use proptest::prelude::*;

    #[test]
    fn a_list_takes_no_more_memory_than_one_of_a_table() {
        // A key of a MiB, and a million that share it.
        let key = vec![b'k'; 1 << 20];
        let mut list = [&[0, 0x80, 0x80, 0x40][..], &key, &[0, 9]].concat();
        for _ in 0..1_000_000 {
            list.extend([0x80, 0x80, 0x40, 0, 0]);
        }
        list.extend([0; 4]);
        assert_eq!(entries(&list, true), None);
    }

    #[test]
    fn no_block_unpacks_to_more_than_it_can_hold() {
        let claims = |len: u64| {
            let digits = [0x80 | (len & 0x7f) as u8, 0x80 | (len >> 7 & 0x7f) as u8, (len >> 14) as u8];
            unpack(4, [&digits[..], &[0; 10]].concat()).unwrap_err()
        };
        assert!(claims(10 * UNPACKED_MAX + 1).contains("too long"));
        assert!(!claims(10 * UNPACKED_MAX).contains("too long"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_of_blocks_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..6u8) {
            let _ = entries(&bytes, false);
            let _ = entries(&bytes, true);
            // A length that is claimed takes memory, so none that is long.
            if bytes.first().is_some_and(|len| *len < 128) {
                let _ = unpack(kind, bytes);
            }
        }
    }
}
