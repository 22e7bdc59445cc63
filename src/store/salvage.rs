//! Reading a content of which some may be damaged: every stretch that reads, and those that do not.

use super::content::{Content, HOLES_MAX, lost};
use crate::index::{Extent, Source};
use crate::model::{Error, Result};
use std::ops::ControlFlow;

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
        let (mut buf, mut told, mut empty) = (Vec::new(), Ok(()), 0);
        let mut look = |start: u64, extent: Extent| {
            empty = if matches!(extent.source, Source::Hole | Source::Lost) { empty + 1 } else { 0 };
            if empty > HOLES_MAX {
                return ControlFlow::Break(());
            }
            if start > at {
                told = visit(at, Stretch::Lost(start - at, lost()));
            }
            if told.is_ok() {
                told = self.stretch(start, extent, &mut buf, visit);
            }
            at = start + extent.len;
            if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let walked = if self.inline().is_some() { Ok(()) } else { self.each_extent(0, &mut look) };
        told?;
        if at < self.size() {
            visit(at, Stretch::Lost(self.size() - at, walked.err().unwrap_or_else(lost)))?;
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
