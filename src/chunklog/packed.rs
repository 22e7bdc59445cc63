//! Compression of a run's payload, frame by frame: a read costs the frames it is in, and so does damage.

use super::format::FRAME_BYTES;
use super::format::run::Payload;
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

const FRAME: usize = FRAME_BYTES as usize;
/// A frame is stored as it is unless it becomes shorter by this part of it: reading it is then as fast as can be.
const GAIN_PART: usize = 16;

thread_local! {
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A payload some frames of which are compressed.
pub(super) struct Packed {
    stored: Vec<u8>,
    frames: Vec<u32>,
    len: u32,
}

impl Packed {
    pub(super) fn payload(&self) -> Payload<'_> {
        Payload { len: self.len, stored: &self.stored, frames: &self.frames }
    }
}

/// Compresses the payloads of one append.
pub(super) struct Packer(Compressor<'static>);

impl Packer {
    /// One for a level of zstd; `None` where nothing is to be compressed, or no memory is to be had for it.
    pub(super) fn new(level: i32) -> Option<Self> {
        if level == 0 { None } else { Compressor::new(level).ok().map(Self) }
    }

    /// Compresses a payload; `None` when no frame of it becomes shorter.
    pub(super) fn pack(&mut self, plain: &[u8]) -> Option<Packed> {
        let mut room = vec![0; FRAME];
        let (mut stored, mut frames) = (Vec::with_capacity(plain.len() / 2), Vec::new());
        for frame in plain.chunks(FRAME) {
            // What does not fit does not gain.
            let most = frame.len() - frame.len().div_ceil(GAIN_PART);
            let bytes = match self.0.compress_to_buffer(frame, &mut room[..most]) {
                Ok(bytes) => &room[..bytes],
                Err(_) => frame,
            };
            stored.extend_from_slice(bytes);
            frames.push(bytes.len() as u32);
        }
        (stored.len() < plain.len()).then_some(Packed { stored, frames, len: plain.len() as u32 })
    }
}

/// Gives back bytes `from..` of a compressed frame of `len` plain bytes, as many as `out` takes. Whether it was one: whatever
/// `stored` is, no more than `len` bytes are written anywhere.
pub(super) fn unpack(stored: &[u8], len: usize, from: usize, out: &mut [u8]) -> bool {
    if from == 0 && out.len() == len {
        return unpack_all(stored, out);
    }
    let Some(wanted) = from.checked_add(out.len()).filter(|end| *end <= len && len <= FRAME) else { return false };
    PLAIN.with(|plain| {
        let Ok(mut plain) = plain.try_borrow_mut() else { return false };
        plain.resize(FRAME, 0);
        let good = unpack_all(stored, &mut plain[..len]);
        out.copy_from_slice(&plain[from..wanted]);
        good
    })
}

fn unpack_all(stored: &[u8], out: &mut [u8]) -> bool {
    UNPACKER.with(|unpacker| {
        let Ok(mut unpacker) = unpacker.try_borrow_mut() else { return false };
        if unpacker.is_none() {
            *unpacker = Decompressor::new().ok();
        }
        let len = out.len();
        unpacker.as_mut().is_some_and(|unpacker| unpacker.decompress_to_buffer(stored, out).is_ok_and(|got| got == len))
    })
}

/// Any bytes as a compressed frame of `len` plain bytes: for fuzzing only.
#[doc(hidden)]
#[must_use]
pub fn check_frame(stored: &[u8], len: usize) -> bool {
    unpack(stored, len.min(FRAME), 0, &mut vec![0; len.min(FRAME)])
}

#[cfg(test)]
mod tests {
    use super::{FRAME, Packer, unpack};

    #[test]
    fn frames_that_do_not_shrink_are_kept_as_they_are() {
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let noise: Vec<u8> = (0..FRAME).map(|_| noise()).collect();
        assert!(Packer::new(0).is_none());
        let mut packer = Packer::new(3).unwrap();
        assert!(packer.pack(&noise).is_none());
        let mixed = [&noise[..], &[7; FRAME], b"short"].concat();
        let packed = packer.pack(&mixed).unwrap();
        let payload = packed.payload();
        assert_eq!((payload.len as usize, payload.frames.len()), (mixed.len(), 3));
        assert_eq!((payload.frames[0] as usize, payload.frames[2]), (FRAME, 5));
        let second = &payload.stored[FRAME..payload.stored.len() - 5];
        assert!(second.len() < 100);
        let mut out = [0; 10];
        assert!(unpack(second, FRAME, FRAME - 10, &mut out) && out == [7; 10]);
        for len in [FRAME - 1, 1, 0] {
            assert!(!unpack(second, len, 0, &mut vec![0; len]), "another length than it was written with");
        }
        assert!(!unpack(b"short", 5, 0, &mut out[..5]) && !unpack(second, FRAME, FRAME - 9, &mut out));
    }
}
