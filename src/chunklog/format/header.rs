//! The first 4 KiB of a segment file.

use super::super::id::{Class, SegmentId};
use super::super::tier::{storage_code, storage_from_code};
use super::{Fields, Flaw, VERSION, around, patch};
use crate::model::{StorageClass, Timestamp};
use crc32fast::Hasher;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 4096;
const MAGIC: &[u8; 8] = b"KEYFOLD1";
const CRC_AT: usize = 12;
/// Behind the room for keys.
const STORAGE_AT: usize = 160;
/// No cipher, no compression.
const NONE: u32 = 0;
/// Runs may be compressed with zstd; each says for itself whether it is.
const ZSTD: u32 = 1;

/// What a segment file says of itself. Readers of runs do not need it: each run says where it belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// The store it belongs to.
    pub store: [u8; 16],
    /// Its own number.
    pub id: SegmentId,
    /// What it collects.
    pub class: Class,
    /// The class of storage whose tier it was made for.
    pub storage: StorageClass,
    /// Whether its runs may be compressed.
    pub packed: bool,
    /// When it was begun.
    pub created: Timestamp,
}

impl SegmentHeader {
    /// The bytes on disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.store);
        out.extend_from_slice(&self.id.0.to_le_bytes());
        out.extend_from_slice(&self.created.secs.to_le_bytes());
        out.extend_from_slice(&self.created.nanos.to_le_bytes());
        out.extend_from_slice(&self.class.code().to_le_bytes());
        out.extend_from_slice(&NONE.to_le_bytes());
        out.extend_from_slice(&if self.packed { ZSTD } else { NONE }.to_le_bytes());
        out.resize(STORAGE_AT, 0);
        out.extend_from_slice(&storage_code(self.storage).to_le_bytes());
        out.resize(HEADER_BYTES, 0);
        let crc = around(Hasher::new(), &out, CRC_AT);
        patch(&mut out, CRC_AT, crc);
        out
    }

    /// Reads a header; `bytes` may go on behind it.
    ///
    /// # Errors
    /// The flaw, when these are not the bytes of a header of this release.
    pub fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        let bytes = bytes.get(..HEADER_BYTES).ok_or(Flaw::Short)?;
        let mut fields = Fields(bytes);
        fields.magic(MAGIC)?;
        let version = fields.u32()?;
        if fields.u32()? != around(Hasher::new(), bytes, CRC_AT) {
            return Err(Flaw::Checksum);
        }
        if version != VERSION {
            return Err(Flaw::Newer("format version"));
        }
        let store = fields.array()?;
        let id = SegmentId(fields.u64()?);
        let created = Timestamp::new(fields.u64()?.cast_signed(), fields.u32()?);
        let class = Class::from_code(fields.u32()?).ok_or(Flaw::Newer("class"))?;
        if created.nanos >= 1_000_000_000 {
            return Err(Flaw::Shape("time of creation"));
        }
        if fields.u32()? != NONE {
            return Err(Flaw::Newer("cipher"));
        }
        let packed = match fields.u32()? {
            NONE => false,
            ZSTD => true,
            _ => return Err(Flaw::Newer("compression")),
        };
        let mut rest = Fields(bytes.get(STORAGE_AT..).ok_or(Flaw::Short)?);
        let storage = storage_from_code(rest.u32()?).ok_or(Flaw::Newer("class of storage"))?;
        Ok(Self { store, id, class, storage, packed, created })
    }
}

/// Sets the checksum right after bytes were changed on purpose: for fuzzing and tests only.
pub fn reseal(bytes: &mut [u8]) {
    if let Some(header) = bytes.get_mut(..HEADER_BYTES) {
        let crc = around(Hasher::new(), header, CRC_AT);
        patch(header, CRC_AT, crc);
    }
}
