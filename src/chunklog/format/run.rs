//! A run: the header that says whose bytes follow and where it lies, the table of frames, the payload.

use super::super::id::{Owner, SegmentId, Written};
use super::{Binder, FRAME_BYTES, FRAME_LOG2, Fields, Flaw, PART_HEAD, align, patch};
use crate::sys::disk::DiskFile;
use std::ops::Range;

/// Plain bytes of a run at most: 4 MiB.
pub const RUN_BYTES_MAX: u32 = 4 << 20;
/// Bytes of the key's end at most.
pub const KEY_TAIL_MAX: usize = 1024;
/// Bytes before the payload at most: header, key tail, table and padding.
pub const HEAD_BYTES_MAX: usize = 8192;
/// The same for a run of less than one whole frame, whose payload follows without padding.
pub const SMALL_HEAD_BYTES_MAX: usize = FIXED_BYTES + KEY_TAIL_MAX + FRAME_ENTRY_BYTES;
/// Runs begin at multiples of this.
pub const RUN_ALIGN: u64 = 8;

/// Bytes of the fixed part.
pub const FIXED_BYTES: usize = 96;
/// The first bytes of a run.
pub const MAGIC: &[u8; 4] = b"KFR1";
const CRC_AT: usize = 4;
const HEAD_LEN_AT: usize = 8;
const FRAME_ENTRY_BYTES: usize = 24;
/// The flag of a run some of whose frames are compressed.
const PACKED: u16 = 1;
/// Payloads of at least this many bytes start on a page.
const PAGED_BYTES: u32 = 64 << 10;
const PAGE_BYTES: u64 = 4096;

const _: () = assert!(
    FIXED_BYTES + KEY_TAIL_MAX + (RUN_BYTES_MAX >> FRAME_LOG2) as usize * FRAME_ENTRY_BYTES + PAGE_BYTES as usize
        <= HEAD_BYTES_MAX
);

/// Sizes of a run at a given place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Bytes before the payload.
    pub head: u32,
    /// Bytes to the next run.
    pub total: u32,
}

impl Layout {
    /// The layout of a run of `len` plain bytes with `key_tail` bytes of key at `offset`.
    #[must_use]
    pub const fn of(offset: u32, len: u32, key_tail: usize) -> Self {
        let frames = len.div_ceil(FRAME_BYTES) as u64;
        let mut head = align(FIXED_BYTES as u64 + key_tail as u64, 8) + frames * FRAME_ENTRY_BYTES as u64;
        if len >= PAGED_BYTES {
            head = align(offset as u64 + head, PAGE_BYTES) - offset as u64;
        }
        Self { head: head as u32, total: align(head + len as u64, RUN_ALIGN) as u32 }
    }

    /// The layout of a run of `len` plain bytes of which `stored` remain. Its payload follows at once.
    #[must_use]
    pub const fn packed(len: u32, stored: u32, key_tail: usize) -> Self {
        let frames = len.div_ceil(FRAME_BYTES) as u64;
        let head = align(FIXED_BYTES as u64 + key_tail as u64, 8) + frames * FRAME_ENTRY_BYTES as u64;
        Self { head: head as u32, total: align(head + stored as u64, RUN_ALIGN) as u32 }
    }
}

/// The end of a key that fits.
#[must_use]
pub fn key_tail(key: &[u8]) -> &[u8] {
    &key[key.len().saturating_sub(KEY_TAIL_MAX)..]
}

/// What a run stores.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// Plain bytes, at least one.
    pub len: u32,
    /// The bytes in the file.
    pub stored: &'a [u8],
    /// How many of them each frame has, fewer than it has plain ones when it is compressed. None when no frame is.
    pub frames: &'a [u32],
}

impl<'a> Payload<'a> {
    /// Bytes as they are.
    #[must_use]
    pub const fn plain(bytes: &'a [u8]) -> Self {
        Self { len: bytes.len() as u32, stored: bytes, frames: &[] }
    }

    /// The layout of its run.
    #[must_use]
    pub const fn layout(&self, offset: u32, key_tail: usize) -> Layout {
        if self.frames.is_empty() {
            Layout::of(offset, self.len, key_tail)
        } else {
            Layout::packed(self.len, self.stored.len() as u32, key_tail)
        }
    }
}

/// Where the frames of a run lie in its payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FramePlaces {
    len: u32,
    /// Where each of them ends; empty when they are as they were written.
    ends: Box<[u32]>,
}

impl FramePlaces {
    /// Whether some frame is compressed.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Bytes of all of them.
    #[must_use]
    pub fn stored(&self) -> u32 {
        self.ends.last().copied().unwrap_or(self.len)
    }

    /// Plain bytes of a frame.
    #[must_use]
    pub fn plain(&self, frame: u32) -> u32 {
        self.len.saturating_sub(frame.saturating_mul(FRAME_BYTES)).min(FRAME_BYTES)
    }

    /// The bytes of a frame; it is compressed when they are fewer than its plain ones.
    #[must_use]
    pub fn frame(&self, frame: u32) -> Range<u32> {
        if self.is_packed() {
            let end = |frame: u32| self.ends.get(frame as usize).copied().unwrap_or_else(|| self.stored());
            return frame.checked_sub(1).map_or(0, end)..end(frame);
        }
        let from = frame.saturating_mul(FRAME_BYTES).min(self.len);
        from..from + self.plain(frame)
    }
}

/// Appends to `out` the head of the run that will lie at `offset`, with the checksums of its payload.
pub fn encode_head(
    out: &mut Vec<u8>,
    bind: &Binder,
    segment: SegmentId,
    offset: u32,
    owner: &Owner<'_>,
    payload: &Payload<'_>,
) {
    let key = key_tail(owner.key_tail);
    let (len, stored) = (payload.len, payload.stored.len() as u32);
    let flags = if payload.frames.is_empty() { 0 } else { PACKED };
    let head = payload.layout(offset, key.len()).head;
    let from = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&head.to_le_bytes());
    out.extend_from_slice(&stored.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&[FRAME_LOG2 as u8, 0]);
    out.extend_from_slice(&len.div_ceil(FRAME_BYTES).to_le_bytes());
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(&owner.ino.to_le_bytes());
    out.extend_from_slice(&owner.seq.to_le_bytes());
    out.extend_from_slice(&owner.logical.to_le_bytes());
    out.extend_from_slice(&segment.0.to_le_bytes());
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    encode_written(out, &owner.written);
    out.extend_from_slice(key);
    out.resize(from + align((FIXED_BYTES + key.len()) as u64, 8) as usize, 0);
    let mut rest = payload.stored;
    for frame in 0..len.div_ceil(FRAME_BYTES) {
        let whole = payload.frames.get(frame as usize).map_or(FRAME_BYTES as usize, |bytes| *bytes as usize);
        let (bytes, behind) = rest.split_at(whole.min(rest.len()));
        rest = behind;
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(&bind.crc(offset, frame, bytes).to_le_bytes());
        out.extend_from_slice(&[0; 16]);
    }
    out.resize(from + head as usize, 0);
    let crc = bind.crc_around(offset, PART_HEAD, &out[from..], CRC_AT);
    patch(&mut out[from..], CRC_AT, crc);
}

const LAST: u32 = 1;
const NOTE: u32 = 2;
const ORDER_SHIFT: u32 = 8;
/// Writes that are counted: all behind it are told apart by where they lie in the log.
const ORDER_MAX: u32 = u32::MAX >> ORDER_SHIFT;

/// Appends the 24 bytes that tell the state of the object.
pub(super) fn encode_written(out: &mut Vec<u8>, written: &Written) {
    out.extend_from_slice(&written.length.to_le_bytes());
    out.extend_from_slice(&written.base.to_le_bytes());
    out.extend_from_slice(&written.time.to_le_bytes());
    let flags = if written.last { LAST } else { 0 } | if written.note { NOTE } else { 0 };
    out.extend_from_slice(&(written.order.min(ORDER_MAX) << ORDER_SHIFT | flags).to_le_bytes());
}

pub(super) fn decode_written(fields: &mut Fields<'_>) -> Result<Written, Flaw> {
    let (length, base, time, word) = (fields.u64()?, fields.u64()?, fields.u32()?, fields.u32()?);
    let (last, note) = (word & LAST != 0, word & NOTE != 0);
    Ok(Written { length, base, time, order: word >> ORDER_SHIFT, last, note })
}

/// Bytes of a run of `len` plain bytes as they are in its file, head and padding included; `None` when no run seems to
/// lie there. Nothing is verified.
pub fn read_raw(file: &dyn DiskFile, offset: u32, len: u32) -> Option<Vec<u8>> {
    let mut fixed = [0; HEAD_LEN_AT + 8];
    if file.read_at(u64::from(offset), &mut fixed).ok()? < fixed.len() {
        return None;
    }
    let mut fields = Fields(&fixed[HEAD_LEN_AT..]);
    let head = fields.u32().ok().filter(|head| *head as usize <= HEAD_BYTES_MAX)?;
    let stored = fields.u32().ok().filter(|stored| *stored <= len)?;
    let mut bytes = vec![0; align(u64::from(head) + u64::from(stored), RUN_ALIGN) as usize];
    (file.read_at(u64::from(offset), &mut bytes).ok()? == bytes.len()).then_some(bytes)
}

/// A verified head of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunHead {
    /// Bytes before the payload.
    pub head: u32,
    /// Plain bytes.
    pub len: u32,
    /// Inode number of the first writer.
    pub ino: u64,
    /// Content the bytes were written for.
    pub seq: u64,
    /// Where in the object the first byte lies.
    pub logical: u64,
    /// The state of the object then.
    pub written: Written,
    /// The key's end.
    pub key_tail: Vec<u8>,
    /// Checksum of each frame, as it is stored.
    pub frames: Box<[u32]>,
    /// Where they lie behind the head.
    pub places: FramePlaces,
}

impl RunHead {
    /// Bytes from this run to the next.
    #[must_use]
    pub fn total(&self) -> u32 {
        align(u64::from(self.head) + u64::from(self.places.stored()), RUN_ALIGN) as u32
    }

    /// Reads the head of the run that should lie at `offset` of `segment`. [`HEAD_BYTES_MAX`] bytes are always enough,
    /// and `bytes` may go on behind it.
    ///
    /// # Errors
    /// The flaw, when these are not the bytes of the head of a run written there.
    pub fn decode(bytes: &[u8], bind: &Binder, segment: SegmentId, offset: u32) -> Result<Self, Flaw> {
        let mut fields = Fields(bytes);
        fields.magic(MAGIC)?;
        let crc = fields.u32()?;
        let head = fields.u32()?;
        let (stored, len) = (fields.u32()?, fields.u32()?);
        let (flags, frame_log2, spare) = (fields.u16()?, fields.u8()?, fields.u8()?);
        let (frames, key_len) = (fields.u32()?, fields.u32()?);
        if !(FIXED_BYTES..=HEAD_BYTES_MAX).contains(&(head as usize)) {
            return Err(Flaw::Shape("length of header"));
        }
        let whole = bytes.get(..head as usize).ok_or(Flaw::Short)?;
        if crc != bind.crc_around(offset, PART_HEAD, whole, CRC_AT) {
            return Err(Flaw::Checksum);
        }
        let packed = flags == PACKED;
        if flags & !PACKED != 0 || spare != 0 || u32::from(frame_log2) != FRAME_LOG2 {
            return Err(Flaw::Newer("kind of run"));
        }
        if len == 0
            || len > RUN_BYTES_MAX
            || (stored < len) != packed
            || stored > len
            || frames != len.div_ceil(FRAME_BYTES)
        {
            return Err(Flaw::Shape("length"));
        }
        let layout = |key: usize| {
            if packed { Layout::packed(len, stored, key) } else { Layout::of(offset, len, key) }
        };
        if key_len as usize > KEY_TAIL_MAX || layout(key_len as usize).head != head {
            return Err(Flaw::Shape("length of key"));
        }
        let (ino, seq, logical) = (fields.u64()?, fields.u64()?, fields.u64()?);
        if (fields.u64()?, fields.u32()?) != (segment.0, offset) {
            return Err(Flaw::Foreign);
        }
        fields.u32()?;
        let written = decode_written(&mut fields)?;
        let mut rest = Fields(whole.get(FIXED_BYTES..).ok_or(Flaw::Short)?);
        let key_tail = rest.bytes(key_len as usize)?.to_vec();
        rest.bytes((8 - (FIXED_BYTES + key_tail.len()) % 8) % 8)?;
        let mut crcs = Vec::with_capacity(frames as usize);
        let mut ends = Vec::with_capacity(if packed { frames as usize } else { 0 });
        let mut end = 0;
        for frame in 0..frames {
            let (bytes, crc) = (rest.u32()?, rest.u32()?);
            rest.bytes(16)?;
            let plain = (len - frame * FRAME_BYTES).min(FRAME_BYTES);
            if bytes == 0 || bytes > plain || (!packed && bytes != plain) {
                return Err(Flaw::Shape("length of frame"));
            }
            end += bytes;
            if packed {
                ends.push(end);
            }
            crcs.push(crc);
        }
        if end != stored {
            return Err(Flaw::Shape("length"));
        }
        let places = FramePlaces { len, ends: ends.into() };
        Ok(Self { head, len, ino, seq, logical, written, key_tail, frames: crcs.into(), places })
    }
}

/// Sets the checksum right after bytes were changed on purpose: for fuzzing and tests only.
pub fn reseal(bytes: &mut [u8], bind: &Binder, offset: u32) {
    let head = bytes.get(8..12).and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes);
    if head as usize >= FIXED_BYTES
        && let Some(whole) = bytes.get_mut(..head as usize)
    {
        let crc = bind.crc_around(offset, PART_HEAD, whole, CRC_AT);
        patch(whole, CRC_AT, crc);
    }
}
