//! Reading a content of which some may be damaged: every stretch that reads, and those that do not.

use super::content::{Content, lost};
use crate::index::{Extent, Source};
use crate::model::{Error, Result};

/// Bytes whose extents are looked up at once.
const WINDOW: u64 = 1 << 30;
/// Bytes read at once.
const STEP: u64 = 1 << 20;
/// Bytes under one checksum in the chunk log.
const FRAME: u64 = 64 << 10;

/// A stretch of a content.
pub enum Stretch<'a> {
    /// Its bytes, verified.
    Bytes(&'a [u8]),
    /// So many zeros that are not stored.
    Hole(u64),
    /// So many bytes that cannot be read, and why.
    Lost(u64, Error),
}

impl Content {
    /// Calls `visit` with every stretch from the beginning to the end, with the offset at which it begins. Damage costs
    /// the checksummed frames that it is in, and ends nothing.
    ///
    /// # Errors
    /// What `visit` returns.
    pub fn salvage(&self, visit: &mut dyn FnMut(u64, Stretch<'_>) -> Result<()>) -> Result<()> {
        let mut at = 0;
        if let Some(bytes) = self.inline() {
            let bytes = &bytes[..bytes.len().min(usize::try_from(self.size()).unwrap_or(usize::MAX))];
            visit(0, Stretch::Bytes(bytes))?;
            at = bytes.len() as u64;
        }
        let mut buf = Vec::new();
        while at < self.size() && self.inline().is_none() {
            let end = self.size().min(at.saturating_add(WINDOW));
            match self.extents(at, end - at) {
                Ok(found) => {
                    for (start, extent) in found {
                        if start > at {
                            visit(at, Stretch::Lost(start - at, lost()))?;
                        }
                        let len = extent.len.min(end - start);
                        self.stretch(start, Extent { len, ..extent }, &mut buf, visit)?;
                        at = start + len;
                    }
                    if at < end {
                        visit(at, Stretch::Lost(end - at, lost()))?;
                    }
                }
                Err(error) => visit(at, Stretch::Lost(end - at, error))?,
            }
            at = end;
        }
        if at < self.size() {
            visit(at, Stretch::Lost(self.size() - at, lost()))?;
        }
        Ok(())
    }

    fn stretch(
        &self,
        start: u64,
        extent: Extent,
        buf: &mut Vec<u8>,
        visit: &mut dyn FnMut(u64, Stretch<'_>) -> Result<()>,
    ) -> Result<()> {
        let begins = match extent.source {
            Source::Hole => return visit(start, Stretch::Hole(extent.len)),
            Source::Lost => return visit(start, Stretch::Lost(extent.len, lost())),
            Source::Run { skip, .. } => u64::from(skip),
            Source::Solo { at, .. } => at,
        };
        let mut at = 0;
        while at < extent.len {
            let end = extent.len.min(at + STEP);
            if let Ok(bytes) = self.read_part(start + at, end - at, buf) {
                visit(start + at, Stretch::Bytes(bytes))?;
                at = end;
                continue;
            }
            while at < end {
                let frame = end.min(at + FRAME - (begins % FRAME + at) % FRAME);
                match self.read_part(start + at, frame - at, buf) {
                    Ok(bytes) => visit(start + at, Stretch::Bytes(bytes))?,
                    Err(error) => visit(start + at, Stretch::Lost(frame - at, error))?,
                }
                at = frame;
            }
        }
        Ok(())
    }

    /// By offset, since compaction may move the extent meanwhile.
    fn read_part<'b>(&self, at: u64, len: u64, buf: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        buf.resize(usize::try_from(len).unwrap_or(0), 0);
        self.read_at(at, buf)?;
        Ok(buf)
    }
}
