//! The end of a sealed segment: a directory of its runs and a trailer that finds it.

use super::super::id::SegmentId;
use super::{Binder, Fields, Flaw, PART_DIRECTORY, PART_TRAILER, VERSION, patch};

/// Bytes of the trailer.
pub const TRAILER_BYTES: usize = 64;
/// Bytes of a directory entry.
pub const ENTRY_BYTES: usize = 32;
/// Bytes of the shortest run: its fixed part, one frame's entry, one byte and padding.
const RUN_BYTES_MIN: u64 = 128;
pub(in crate::chunklog) const MAGIC: &[u8; 8] = b"KFSEAL01";
const CRC_AT: usize = 12;
const DIRECTORY_CRC_AT: usize = 52;

/// One run in the directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// Where it begins.
    pub offset: u32,
    /// Its plain bytes.
    pub len: u32,
    /// Inode number of the first writer.
    pub ino: u64,
    /// Content the bytes were written for.
    pub seq: u64,
    /// Where in the object the first byte lies.
    pub logical: u64,
}

/// The last bytes of a sealed segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trailer {
    /// Where the directory begins; also where the runs end.
    pub directory_at: u32,
    /// Entries in the directory.
    pub runs: u32,
    /// Plain bytes of all runs.
    pub plain: u64,
    directory_crc: u32,
}

/// The directory of `entries` and its trailer, to be written at `at`.
#[must_use]
pub fn encode(bind: &Binder, store: &[u8; 16], segment: SegmentId, at: u32, entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * ENTRY_BYTES + TRAILER_BYTES);
    for entry in entries {
        out.extend_from_slice(&entry.offset.to_le_bytes());
        out.extend_from_slice(&entry.len.to_le_bytes());
        out.extend_from_slice(&entry.ino.to_le_bytes());
        out.extend_from_slice(&entry.seq.to_le_bytes());
        out.extend_from_slice(&entry.logical.to_le_bytes());
    }
    let directory_crc = bind.crc(at, PART_DIRECTORY, &out);
    let plain: u64 = entries.iter().map(|entry| u64::from(entry.len)).sum();
    let from = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(store);
    out.extend_from_slice(&segment.0.to_le_bytes());
    out.extend_from_slice(&u64::from(at).to_le_bytes());
    out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    out.extend_from_slice(&directory_crc.to_le_bytes());
    out.extend_from_slice(&plain.to_le_bytes());
    let crc = bind.crc_around(0, PART_TRAILER, &out[from..], CRC_AT);
    patch(&mut out[from..], CRC_AT, crc);
    out
}

impl Trailer {
    /// Reads the last 64 bytes of a file of `file_bytes` bytes. [`Flaw::Magic`] means that it was never sealed.
    ///
    /// # Errors
    /// The flaw, when these are not the bytes of this segment's trailer.
    pub fn decode(
        bytes: &[u8],
        bind: &Binder,
        store: &[u8; 16],
        segment: SegmentId,
        file_bytes: u64,
    ) -> Result<Self, Flaw> {
        let bytes = bytes.get(..TRAILER_BYTES).ok_or(Flaw::Short)?;
        let mut fields = Fields(bytes);
        fields.magic(MAGIC)?;
        let version = fields.u32()?;
        if fields.u32()? != bind.crc_around(0, PART_TRAILER, bytes, CRC_AT) {
            return Err(Flaw::Checksum);
        }
        if version != VERSION {
            return Err(Flaw::Newer("format version"));
        }
        if fields.array::<16>()? != *store || fields.u64()? != segment.0 {
            return Err(Flaw::Foreign);
        }
        let directory_at = u32::try_from(fields.u64()?).map_err(|_| Flaw::Shape("place of the directory"))?;
        let (runs, directory_crc, plain) = (fields.u32()?, fields.u32()?, fields.u64()?);
        // More would be a directory that lies in no file of ours and takes gigabytes to read.
        if u64::from(runs) * RUN_BYTES_MIN > u64::from(directory_at) {
            return Err(Flaw::Shape("number of runs"));
        }
        let end = u64::from(directory_at) + u64::from(runs) * ENTRY_BYTES as u64 + TRAILER_BYTES as u64;
        if end != file_bytes {
            return Err(Flaw::Shape("length of the directory"));
        }
        Ok(Self { directory_at, runs, plain, directory_crc })
    }

    /// Bytes of the directory.
    #[must_use]
    pub const fn directory_bytes(&self) -> usize {
        self.runs as usize * ENTRY_BYTES
    }

    /// Reads the directory that this trailer speaks of.
    ///
    /// # Errors
    /// The flaw, when these are not its bytes.
    pub fn decode_directory(&self, bytes: &[u8], bind: &Binder) -> Result<Vec<Entry>, Flaw> {
        let bytes = bytes.get(..self.directory_bytes()).ok_or(Flaw::Short)?;
        if self.directory_crc != bind.crc(self.directory_at, PART_DIRECTORY, bytes) {
            return Err(Flaw::Checksum);
        }
        let mut fields = Fields(bytes);
        let mut entries = Vec::with_capacity(self.runs as usize);
        for _ in 0..self.runs {
            let (offset, len) = (fields.u32()?, fields.u32()?);
            let (ino, seq, logical) = (fields.u64()?, fields.u64()?, fields.u64()?);
            if offset >= self.directory_at || entries.last().is_some_and(|last: &Entry| last.offset >= offset) {
                return Err(Flaw::Shape("order of runs"));
            }
            entries.push(Entry { offset, len, ino, seq, logical });
        }
        Ok(entries)
    }
}

/// Sets the checksums right after bytes of a directory at `at` and its trailer were changed on purpose: for fuzzing and
/// tests only.
pub fn reseal(bytes: &mut [u8], bind: &Binder, at: u32) {
    if let Some((directory, trailer)) = bytes.len().checked_sub(TRAILER_BYTES).map(|cut| bytes.split_at_mut(cut)) {
        patch(trailer, DIRECTORY_CRC_AT, bind.crc(at, PART_DIRECTORY, directory));
        let crc = bind.crc_around(0, PART_TRAILER, trailer, CRC_AT);
        patch(trailer, CRC_AT, crc);
    }
}
