//! The `.sum` file beside a one-object file: its length, whose it is, and the checksum of each of its frames.

use super::super::id::{Class, Owned, Owner, SoloId};
use super::super::tier::{storage_code, storage_from_code};
use super::run::{KEY_TAIL_MAX, decode_written, encode_written, key_tail};
use super::{Binder, FRAME_BYTES, FRAME_LOG2, Fields, Flaw, PART_HEAD, align, patch};
use crate::model::StorageClass;

/// Version of this structure that this release writes; it reads the one before too, which did not say whose the bytes are.
const VERSION: u32 = 2;
const VERSION_WITHOUT_OWNER: u32 = 1;
/// Bytes of the fixed part.
pub const SUM_HEADER_BYTES: usize = 64;
/// Bytes that say whose the bytes are, before the key.
const OWNER_BYTES: usize = 48;
/// Bytes before the checksums at most.
pub const SUM_HEAD_BYTES_MAX: usize = SUM_HEADER_BYTES + OWNER_BYTES + KEY_TAIL_MAX;
/// Bytes of a one-object file at most: 1 TiB, so that its table stays within 64 MiB.
pub const SOLO_BYTES_MAX: u64 = 1 << 40;
const MAGIC: &[u8; 8] = b"KFSOLO01";
const CRC_AT: usize = 12;

/// The checksums of a finished one-object file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sum {
    /// What the object was expected to live like.
    pub class: Class,
    /// The class of storage whose tier it was made for.
    pub storage: StorageClass,
    /// Bytes in the file.
    pub len: u64,
    /// Whose they are; nobody's in a file of an earlier release.
    pub owner: Owned,
    /// Checksum of each frame.
    pub frames: Box<[u32]>,
}

/// The bytes of the `.sum` file of what was made for the tier of a class of storage.
#[must_use]
pub fn encode(
    bind: &Binder,
    store: &[u8; 16],
    id: SoloId,
    (storage, class): (StorageClass, Class),
    len: u64,
    owner: &Owner<'_>,
    frames: &[u32],
) -> Vec<u8> {
    let key = key_tail(owner.key_tail);
    let mut out = Vec::with_capacity(SUM_HEAD_BYTES_MAX + frames.len() * 4);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(store);
    out.extend_from_slice(&id.0.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&class.code().to_le_bytes());
    out.extend_from_slice(&FRAME_LOG2.to_le_bytes());
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(&storage_code(storage).to_le_bytes());
    for number in [owner.ino, owner.seq, owner.logical] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    encode_written(&mut out, &owner.written);
    out.extend_from_slice(key);
    out.resize(align(out.len() as u64, 8) as usize, 0);
    for crc in frames {
        out.extend_from_slice(&crc.to_le_bytes());
    }
    let crc = bind.crc_around(0, PART_HEAD, &out, CRC_AT);
    patch(&mut out, CRC_AT, crc);
    out
}

impl Sum {
    /// Reads a whole `.sum` file.
    ///
    /// # Errors
    /// The flaw, when these are not the bytes of this file's checksums.
    pub fn decode(bytes: &[u8], bind: &Binder, store: &[u8; 16], id: SoloId) -> Result<Self, Flaw> {
        let mut fields = Fields(bytes);
        fields.magic(MAGIC)?;
        let version = fields.u32()?;
        if fields.u32()? != bind.crc_around(0, PART_HEAD, bytes, CRC_AT) {
            return Err(Flaw::Checksum);
        }
        if !(VERSION_WITHOUT_OWNER..=VERSION).contains(&version) {
            return Err(Flaw::Newer("format version"));
        }
        if fields.array::<16>()? != *store || fields.u64()? != id.0 {
            return Err(Flaw::Foreign);
        }
        let len = fields.u64()?;
        let class = Class::from_code(fields.u32()?).ok_or(Flaw::Newer("class"))?;
        if fields.u32()? != FRAME_LOG2 {
            return Err(Flaw::Newer("frame size"));
        }
        let key_len = fields.u32()? as usize;
        let storage = storage_from_code(fields.u32()?).ok_or(Flaw::Newer("class of storage"))?;
        let mut rest = Fields(bytes.get(SUM_HEADER_BYTES..).ok_or(Flaw::Short)?);
        let mut owner = Owned::default();
        if version > VERSION_WITHOUT_OWNER {
            if key_len > KEY_TAIL_MAX {
                return Err(Flaw::Shape("length of key"));
            }
            (owner.ino, owner.seq, owner.logical) = (rest.u64()?, rest.u64()?, rest.u64()?);
            owner.written = decode_written(&mut rest)?;
            owner.key_tail = rest.bytes(key_len)?.to_vec();
            rest.bytes((8 - key_len % 8) % 8)?;
        }
        let table = rest.0;
        if len > SOLO_BYTES_MAX || table.len() as u64 != len.div_ceil(u64::from(FRAME_BYTES)) * 4 {
            return Err(Flaw::Shape("length"));
        }
        let mut fields = Fields(table);
        let mut frames = Vec::with_capacity(table.len() / 4);
        while !fields.0.is_empty() {
            frames.push(fields.u32()?);
        }
        Ok(Self { class, storage, len, owner, frames: frames.into() })
    }
}

/// The checksum of frame number `frame` of a one-object file starts from this hasher.
#[must_use]
pub fn frame_hasher(bind: &Binder, frame: u64) -> crc32fast::Hasher {
    // At most 2^24 frames fit in a file, so numbers never meet those of other parts.
    bind.hasher(0, frame as u32)
}

/// Sets the checksum right after bytes were changed on purpose: for fuzzing and tests only.
pub fn reseal(bytes: &mut [u8], bind: &Binder) {
    if bytes.len() >= SUM_HEADER_BYTES {
        let crc = bind.crc_around(0, PART_HEAD, bytes, CRC_AT);
        patch(bytes, CRC_AT, crc);
    }
}
