//! Stored bytes: every object is read whole, against its checksums.

use super::Finding;
use super::census::{Census, Held};
use crate::chunklog::SoloId;
use crate::crypto::Crc64;
use crate::index::Source;
use crate::model::{ContentId, Error};
use crate::store::Store;
use crate::store::content::Content;
use crate::store::salvage::Stretch;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Zeros of holes that are worth their place in a checksum.
const ZEROS_MAX: u64 = 1 << 30;

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
    pub(super) fn read_everything(self: &Arc<Self>, census: Census) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut solos = HashMap::new();
        let mut contents: HashMap<ContentId, Read> = HashMap::new();
        for Held { place, object, .. } in census.objects {
            if object.content == ContentId::EMPTY {
                continue;
            }
            let read = match contents.get(&object.content) {
                Some(read) => read.clone(),
                None => {
                    // Replaced meanwhile, or found missing by a walk before.
                    let Ok(content) = self.open_content(&object) else { continue };
                    let read = self.read_content(&content, &mut solos);
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
        findings
    }

    fn read_content(&self, content: &Content, solos: &mut HashMap<u64, Vec<Range<u64>>>) -> Read {
        let (mut read, mut crc, mut zeros) = (Read::default(), Some(Crc64::new()), 0);
        let walked = content.salvage(&mut |at, stretch| {
            match stretch {
                Stretch::Bytes(bytes) => crc.iter_mut().for_each(|crc| crc.update(bytes)),
                Stretch::Hole(len) => {
                    zeros += len;
                    if zeros > ZEROS_MAX {
                        crc = None;
                    }
                    crc.iter_mut().for_each(|crc| feed_zeros(crc, len));
                }
                Stretch::Lost(len, error) => {
                    crc = None;
                    read.lose(at, len, &reason(&error));
                }
            }
            Ok(())
        });
        if let Err(error) = walked {
            read.lose(0, content.size(), &reason(&error));
        }
        // Frames of whole files may have been found good before, and are not looked at again by a read.
        for (start, extent) in content.extents(0, content.size()).unwrap_or_default() {
            let Source::Solo { id, at } = extent.source else { continue };
            let bad = solos.entry(id).or_insert_with(|| self.bad_frames(SoloId(id)));
            for frame in bad.iter() {
                let (low, high) = (frame.start.max(at), frame.end.min(at.saturating_add(extent.len)));
                if low < high {
                    let (low, high) = (start + (low - at), start + (high - at));
                    if !read.lost.iter().any(|(range, _)| range.start <= low && high <= range.end) {
                        read.lose(low, high - low, "its frame is bad");
                    }
                }
            }
        }
        read.crc = crc.filter(|_| read.lost.is_empty()).map(|crc| crc.value());
        read
    }

    /// Stretches of a one-object file that do not verify; none when it cannot be read at all, which reading tells.
    fn bad_frames(&self, id: SoloId) -> Vec<Range<u64>> {
        let bad = self.log.verify_solo(id).unwrap_or_default();
        bad.iter().map(|frame| frame.at..frame.at + u64::from(frame.len)).collect()
    }
}

fn feed_zeros(crc: &mut Crc64, mut len: u64) {
    let zeros = [0; 4096];
    while len > 0 {
        let n = usize::try_from(len).unwrap_or(zeros.len()).min(zeros.len());
        crc.update(&zeros[..n]);
        len -= n as u64;
    }
}

fn reason(error: &Error) -> String {
    format!("{}: {}", error.what(), error.reason())
}
