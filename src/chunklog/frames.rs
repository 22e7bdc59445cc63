//! Reading bytes through the checksums of their frames.

use super::format::FRAME_BYTES;
use super::format::run::FramePlaces;
use super::id::FileKey;
use super::packed::unpack;
use crate::model::{Error, Result};
use crate::sys::disk::DiskFile;
use crc32fast::Hasher;
use std::cell::RefCell;

const FRAME: u64 = FRAME_BYTES as u64;
/// Frames read at once, so that their checksums are computed while they are in the processor's cache.
const SPAN_FRAMES: u64 = 4;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends a buffer of `len` bytes whose content is arbitrary.
pub(super) fn with_scratch<T>(len: usize, work: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut buffer) => {
            if buffer.len() < len {
                buffer.resize(len, 0);
            }
            work(&mut buffer[..len])
        }
        Err(_) => work(&mut vec![0; len]),
    })
}

/// The frames of a run or of a one-object file.
pub(super) trait Framed {
    /// Plain bytes.
    fn len(&self) -> u64;
    /// Where in the file the first byte lies.
    fn base(&self) -> u64;
    /// The checksum of a frame, and the hasher it starts from.
    fn check(&self, frame: u64) -> Option<(u32, Hasher)>;
    /// The file, and the offset in it by which the run is known.
    fn place(&self) -> (FileKey, u64);

    /// Where the frames lie, when some are compressed; else they lie one behind the other as they were written.
    fn packed(&self) -> Option<&FramePlaces> {
        None
    }

    /// Whether `bytes` are those of the frame, as they are stored.
    fn verify(&self, frame: u64, bytes: &[u8]) -> bool {
        self.check(frame).is_some_and(|(crc, mut hasher)| {
            hasher.update(bytes);
            hasher.finalize() == crc
        })
    }

    /// The error for a frame that failed.
    fn bad(&self, frame: u64, why: &'static str) -> Error {
        let (key, offset) = self.place();
        Error::corrupt(format!("cannot read {key} at offset {offset}, frame {frame}"), why)
    }
}

/// Reads plain bytes `at..at + buf.len()`, which lie within the frames, and checks the frames they lie in each time: what
/// was good once may come from the disk again. On an error `buf` holds no promise.
pub(super) fn read(frames: &impl Framed, file: &dyn DiskFile, at: u64, buf: &mut [u8]) -> Result<()> {
    if let Some(places) = frames.packed() {
        return read_packed(frames, places, file, at, buf);
    }
    let end = at + buf.len() as u64;
    let frame_end = |frame: u64| ((frame + 1) * FRAME).min(frames.len());
    let mut pos = at;
    while pos < end {
        let first = pos / FRAME;
        // Frames all of whose bytes are wanted go straight to their place.
        let mut next = first;
        while next - first < SPAN_FRAMES && next * FRAME < end && next * FRAME >= pos && frame_end(next) <= end {
            next += 1;
        }
        if next == first {
            let (from, to) = (first * FRAME, frame_end(first));
            let stop = to.min(end);
            with_scratch((to - from) as usize, |whole| -> Result<()> {
                fetch(frames, file, from, whole)?;
                if !frames.verify(first, whole) {
                    return Err(frames.bad(first, "its bytes are not the ones that were written there"));
                }
                let wanted = &whole[(pos - from) as usize..(stop - from) as usize];
                buf[(pos - at) as usize..(stop - at) as usize].copy_from_slice(wanted);
                Ok(())
            })?;
            pos = stop;
            continue;
        }
        let stop = frame_end(next - 1).min(end);
        let span = &mut buf[(pos - at) as usize..(stop - at) as usize];
        fetch(frames, file, pos, span)?;
        for (frame, bytes) in (first..next).zip(span.chunks(FRAME as usize)) {
            if !frames.verify(frame, bytes) {
                return Err(frames.bad(frame, "its bytes are not the ones that were written there"));
            }
        }
        pos = stop;
    }
    Ok(())
}

/// The same where frames are compressed.
fn read_packed(frames: &impl Framed, places: &FramePlaces, file: &dyn DiskFile, at: u64, buf: &mut [u8]) -> Result<()> {
    let (mut at, mut rest) = (at, buf);
    while !rest.is_empty() {
        let (first, last) = (at / FRAME, (at + rest.len() as u64 - 1) / FRAME);
        let last = last.min(first + SPAN_FRAMES - 1);
        let stored = places.frame(first as u32).start..places.frame(last as u32).end;
        with_scratch(stored.len(), |bytes| -> Result<()> {
            let (key, offset) = frames.place();
            let got = file
                .read_at(frames.base() + u64::from(stored.start), bytes)
                .map_err(|e| Error::io(format!("cannot read {key} at offset {offset}"), e))?;
            for frame in first..=last {
                let place = places.frame(frame as u32);
                let place = (place.start - stored.start) as usize..(place.end - stored.start) as usize;
                if place.end > got {
                    return Err(frames.bad(frame, "the file ends before it"));
                }
                let (whole, from) = (places.plain(frame as u32) as usize, (at - frame * FRAME) as usize);
                let len = (whole - from).min(rest.len());
                let (out, behind) = std::mem::take(&mut rest).split_at_mut(len);
                unpack_frame(frames, frame, &bytes[place], whole, from, out)?;
                (at, rest) = (at + len as u64, behind);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Bytes `from..` of a frame of `whole` plain bytes, out of what is stored of it.
pub(super) fn unpack_frame(
    frames: &impl Framed,
    frame: u64,
    stored: &[u8],
    whole: usize,
    from: usize,
    out: &mut [u8],
) -> Result<()> {
    if !frames.verify(frame, stored) {
        return Err(frames.bad(frame, "its bytes are not the ones that were written there"));
    }
    if stored.len() == whole {
        out.copy_from_slice(&stored[from..from + out.len()]);
    } else if !unpack(stored, whole, from, out) {
        return Err(frames.bad(frame, "it cannot be decompressed"));
    }
    Ok(())
}

fn fetch(frames: &impl Framed, file: &dyn DiskFile, at: u64, buf: &mut [u8]) -> Result<()> {
    let (key, offset) = frames.place();
    let got = file
        .read_at(frames.base() + at, buf)
        .map_err(|e| Error::io(format!("cannot read {key} at offset {offset}"), e))?;
    if got < buf.len() {
        return Err(frames.bad((at + got as u64) / FRAME, "the file ends before it"));
    }
    Ok(())
}
