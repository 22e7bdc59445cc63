//! Large reads of finished one-object files through memory maps, which saves the system's part of a copy.
//!
//! Touching a page that the disk cannot give kills the process (SIGBUS), so every range is populated first by a call
//! that fails instead, and whatever fails is read again the ordinary way, which tells why. What is left is a page
//! that the system takes back within those microseconds and the disk then refuses. Finished files are cut when
//! their name is gone, nobody has them open and nothing is pinned that lies in them.
//! Locks: the table of maps, never held during I/O.

use super::cache::Sharded;
use super::format::FRAME_BYTES;
use super::frames::{Framed, with_scratch};
use super::id::SoloId;
use crate::model::Result;
use crate::sys::disk::DiskFile;
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use memmap2::Mmap;
use std::os::fd::AsRawFd;
use std::sync::Arc;

const FRAME: u64 = FRAME_BYTES as u64;
/// Reads of fewer bytes are not worth it.
const LARGE: usize = 256 << 10;
/// Maps kept; they take address space, and page tables of what was read.
const MAPS: usize = 64;

/// The maps of files read lately.
pub(super) struct Maps {
    open: Sharded<SoloId, Arc<Mmap>>,
    /// Counts removals, so that a map made before one is not kept after it: it would keep the file's room.
    removals: AtomicU64,
}

impl Maps {
    pub(super) fn new() -> Self {
        Self { open: Sharded::new(MAPS), removals: AtomicU64::new(0) }
    }

    /// To be called when the file's name is gone.
    pub(super) fn removed(&self, id: SoloId) {
        self.removals.fetch_add(1, Ordering::SeqCst);
        self.open.remove(&id);
    }

    /// Reads a large range of a finished file, which lies within its frames, or says that it has to be read the
    /// ordinary way.
    pub(super) fn read(
        &self,
        id: SoloId,
        frames: &impl Framed,
        file: &dyn DiskFile,
        at: u64,
        buf: &mut [u8],
    ) -> Result<bool> {
        if !cfg!(target_os = "linux") || buf.len() < LARGE {
            return Ok(false);
        }
        // Of a file that was cut by others, a page would end in zeros.
        if file.size().ok() != Some(frames.len()) {
            return Ok(false);
        }
        let Some(map) = self.map(id, file) else { return Ok(false) };
        let end = at + buf.len() as u64;
        let from = at / FRAME * FRAME;
        let to = end.next_multiple_of(FRAME).min(frames.len());
        let Some(bytes) = map.get(from as usize..to as usize) else { return Ok(false) };
        if !populated(&map, from as usize, bytes.len()) {
            return Ok(false);
        }
        for (n, whole) in bytes.chunks(FRAME as usize).enumerate() {
            let frame = from / FRAME + n as u64;
            let start = frame * FRAME;
            let (first, last) = (at.max(start), end.min(start + whole.len() as u64));
            let wanted = &mut buf[(first - at) as usize..(last - at) as usize];
            // What is checked is the copy: the map may show something else a moment later.
            let good = if wanted.len() == whole.len() {
                wanted.copy_from_slice(whole);
                frames.verify(frame, wanted)
            } else {
                with_scratch(whole.len(), |copy| {
                    copy.copy_from_slice(whole);
                    wanted.copy_from_slice(&copy[(first - start) as usize..(last - start) as usize]);
                    frames.verify(frame, copy)
                })
            };
            if !good {
                return Err(frames.bad(frame, "its bytes are not the ones that were written there"));
            }
        }
        Ok(true)
    }

    fn map(&self, id: SoloId, file: &dyn DiskFile) -> Option<Arc<Mmap>> {
        if let Some(map) = self.open.get(&id) {
            return Some(map);
        }
        let before = self.removals.load(Ordering::SeqCst);
        let fd = file.fd()?;
        // SAFETY: nobody writes to a finished file, or cuts it while it is open; it may be removed, which leaves the map whole.
        let map = Arc::new(unsafe { Mmap::map(fd.as_raw_fd()) }.ok()?);
        if before == self.removals.load(Ordering::SeqCst) {
            self.open.put(id, Arc::clone(&map));
        }
        Some(map)
    }
}

#[cfg(target_os = "linux")]
fn populated(map: &Mmap, at: usize, len: usize) -> bool {
    map.advise_range(memmap2::Advice::PopulateRead, at, len).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn populated(_: &Mmap, _: usize, _: usize) -> bool {
    false
}
