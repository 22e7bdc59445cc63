//! Stored bytes: every object is read whole, against its checksums.

use super::Finding;
use super::census::{Census, Held};
use super::watch::GoesOn;
use crate::index::Source;
use crate::model::{ContentId, Error, Result};
use crate::store::Store;
use crate::store::content::Content;
use crate::store::salvage::Stretch;
use crate::store::sum::Sums;
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// Stretches of one content that are looked at when it cannot be read whole: up to 16 TiB. Nodes that are shared can spell
/// out more than all disks hold.
const STRETCHES_MAX: u64 = 1 << 24;

/// What a content reads as.
#[derive(Clone, Default)]
struct Read {
    /// Bytes that cannot be read, in order and not adjacent, and why the first of each cannot.
    lost: Vec<(Range<u64>, String)>,
    /// The crc64nvme of all of them, when all could be read.
    crc: Option<u64>,
}

impl Read {
    fn lose(&mut self, at: u64, len: u64, why: &str) {
        match self.lost.last_mut() {
            Some((last, _)) if last.end == at => last.end = at + len,
            _ => self.lost.push((at..at + len, why.to_owned())),
        }
    }
}

impl Store {
    /// Reads the bytes of all objects, each content once.
    ///
    /// # Errors
    /// When it is to end.
    pub(super) fn read_everything(self: &Arc<Self>, census: Census, goes_on: GoesOn<'_>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut sums = Sums::anew(goes_on);
        let mut contents: HashMap<ContentId, Read> = HashMap::new();
        for Held { place, object, .. } in census.objects {
            if object.content == ContentId::EMPTY {
                continue;
            }
            goes_on()?;
            let read = match contents.get(&object.content) {
                Some(read) => read.clone(),
                None => {
                    // Replaced meanwhile, or found missing by a walk before.
                    let Ok(content) = self.content(object.content) else { continue };
                    let read = self.read_content(&content, &mut sums, goes_on)?;
                    contents.insert(object.content, read.clone());
                    read
                }
            };
            let told = |invariant, what| Finding { invariant, what, outcome: None };
            for (range, why) in read.lost {
                let what = format!("{place}: bytes {} to {} cannot be read: {why}", range.start, range.end - 1);
                findings.push(told("data-reads", what));
            }
            if let (Some(said), Some(seen)) = (object.crc64.0, read.crc)
                && said != seen
            {
                findings.push(told("object-checksum", format!("{place}: crc64nvme is {seen:016x}, not {said:016x}")));
            }
        }
        Ok(findings)
    }

    fn read_content(&self, content: &Content, sums: &mut Sums<'_>, goes_on: GoesOn<'_>) -> Result<Read> {
        if let Ok(crc) = content.sum(sums) {
            return Ok(Read { lost: Vec::new(), crc: Some(crc) });
        }
        goes_on()?;
        let (mut read, mut seen) = (Read::default(), 0);
        let walked = content.salvage(&mut |at, stretch| {
            if let Stretch::Lost(len, error) = stretch {
                read.lose(at, len, &reason(&error));
            }
            seen += 1;
            goes_on()?;
            if seen < STRETCHES_MAX { Ok(()) } else { Err(Error::corrupt("cannot read the content", "it has no end")) }
        });
        goes_on()?;
        let mut bad = Vec::new();
        let looked = content.each_extent(0, &mut |start, extent| {
            seen += 1;
            if let Source::Solo { id, at } = extent.source {
                for frame in sums.bad_frames(content, id) {
                    let (low, high) = (frame.start.max(at), frame.end.min(at.saturating_add(extent.len)));
                    if low < high {
                        bad.push((start + (low - at), start + (high - at)));
                    }
                }
            }
            if seen < STRETCHES_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        for (low, high) in bad {
            if !read.lost.iter().any(|(range, _)| range.start <= low && high <= range.end) {
                read.lose(low, high - low, "its frame is bad");
            }
        }
        if let Err(error) = walked.and(looked) {
            read.lose(0, content.size(), &reason(&error));
        }
        Ok(read)
    }
}

fn reason(error: &Error) -> String {
    format!("{}: {}", error.what(), error.reason())
}
