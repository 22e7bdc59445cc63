//! What compaction needs of the log: how much a closed segment holds, and copies of its runs elsewhere.

use super::format::header::{HEADER_BYTES, SegmentHeader};
use super::format::run::{HEAD_BYTES_MAX, RunHead};
use super::format::{Binder, Flaw};
use super::id::{Class, FileKey, Owner, Run, SegmentId};
use super::log::{ChunkLog, Inner, SegmentState};
use super::segment::OpenSegment;
use super::tier::{Tier, tier_of};
use crate::model::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// Compactions after which survivors are no longer told apart by age.
const AGE_MAX: u8 = 3;

/// How much a segment file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fill {
    /// Bytes of the file.
    pub bytes: u64,
    /// Plain bytes of all runs, live and dead; unknown when a crash left the segment, unless its runs are compressed.
    pub plain: Option<u64>,
}

impl ChunkLog {
    /// Names and lengths of all segment files. Opens none of them.
    ///
    /// # Errors
    /// What the disk says.
    pub fn segment_files(&self) -> Result<Vec<(SegmentId, u64)>> {
        let mut found = Vec::new();
        self.0.walk("seg", &mut |name, bytes| {
            found.extend(SegmentId::parse(name).map(|id| (id, bytes)));
            Ok(())
        })?;
        found.sort_unstable();
        Ok(found)
    }

    /// Whether this process appends to a segment.
    #[must_use]
    pub fn is_open(&self, id: SegmentId) -> bool {
        let tracked = self.0.tracked.lock();
        tracked.get(&FileKey::Segment(id)).is_some_and(|file| !file.is_dead() && !file.is_finished())
    }

    /// How much a segment holds.
    ///
    /// # Errors
    /// What the disk says.
    pub fn fill_of(&self, id: SegmentId) -> Result<Fill> {
        if let Some(open) = self.open_segment(id) {
            let (bytes, plain) = open.fill();
            return Ok(Fill { bytes, plain: Some(plain) });
        }
        let bytes = self.0.file_len(FileKey::Segment(id))?.unwrap_or(0);
        let (state, trailer) = self.0.segment_state(id, bytes)?;
        let plain = match trailer {
            Some(trailer) => Some(trailer.plain),
            // Its length says nothing of what it holds.
            None if state == SegmentState::Loose && self.0.header_of(id).is_some_and(|header| header.packed) => {
                Some(self.0.plain_of(id, bytes))
            }
            None => None,
        };
        Ok(Fill { bytes, plain })
    }

    fn open_segment(&self, id: SegmentId) -> Option<Arc<OpenSegment>> {
        let lanes: Vec<_> = self.0.lanes.lock().values().cloned().collect();
        lanes.iter().find_map(|lane| lane.lock().as_ref().filter(|open| open.id == id).cloned())
    }

    /// Ends the open segment of a class in a tier, if there is one.
    pub fn retire_class(&self, tier: Tier, class: Class) {
        let lane = self.0.lanes.lock().get(&(tier, class)).cloned();
        if let Some(segment) = lane.and_then(|lane| lane.lock().take()) {
            segment.retire();
        }
    }

    /// Ends an open segment: it is sealed, and what comes next goes into another.
    pub fn retire(&self, id: SegmentId) {
        let lanes: Vec<_> = self.0.lanes.lock().values().cloned().collect();
        for lane in lanes {
            let mut open = lane.lock();
            if open.as_ref().is_some_and(|open| open.id == id)
                && let Some(segment) = open.take()
            {
                drop(open);
                segment.retire();
            }
        }
    }

    /// The class of what survives of a segment: one that is older, where nothing better is known.
    #[must_use]
    pub fn class_of_survivors(&self, id: SegmentId) -> Class {
        match self.0.header_of(id).map(|header| header.class) {
            Some(Class::Aged(age)) => Class::Aged(age.saturating_add(1).min(AGE_MAX)),
            Some(Class::Hot | Class::Upload) | None => Class::Aged(1),
            Some(class) => class,
        }
    }

    /// The tier that a segment belongs to; the first when its header cannot be read.
    #[must_use]
    pub fn tier_of_segment(&self, id: SegmentId) -> Tier {
        let storage = self.0.header_of(id).map(|header| header.storage).unwrap_or_default();
        tier_of(&self.0.settings.tiers, storage)
    }

    /// Appends copies of parts of runs, which keep their owners. An answer for each part: damage stays where it is. When the
    /// disk begins with them is the caller's to say ([`ChunkLog::begin_write_back`]).
    ///
    /// # Errors
    /// As [`ChunkLog::append`]; then nothing was copied.
    pub fn copy_runs(&self, tier: Tier, class: Class, parts: &[(Run, Range<u32>)]) -> Result<Vec<Result<Run>>> {
        let mut out: Vec<Result<Run>> = Vec::with_capacity(parts.len());
        let mut read = Vec::with_capacity(parts.len());
        for (run, part) in parts {
            let copy = self.0.run_head(*run).and_then(|head| {
                let mut bytes = vec![0; part.len()];
                self.read(*run, part.start, &mut bytes)?;
                Ok((head, bytes))
            });
            match copy {
                Ok((head, bytes)) => {
                    out.push(Ok(*run));
                    read.push((head, part.start, bytes));
                }
                Err(error) => out.push(Err(error)),
            }
        }
        let pieces: Vec<(Owner<'_>, &[u8])> = read
            .iter()
            .map(|(head, start, bytes)| {
                let logical = head.logical + u64::from(*start);
                let RunHead { ino, seq, written, key_tail, .. } = head;
                (Owner { ino: *ino, seq: *seq, logical, written: *written, key_tail }, bytes.as_slice())
            })
            .collect();
        let mut copies = self.append_only(tier, class, &pieces)?.into_iter();
        for place in out.iter_mut().filter(|place| place.is_ok()) {
            if let Some(copy) = copies.next() {
                *place = Ok(copy);
            }
        }
        Ok(out)
    }
}

impl Inner {
    /// Plain bytes of the runs of a segment without a directory, up to the first that is none. Reads their heads.
    fn plain_of(&self, id: SegmentId, bytes: u64) -> u64 {
        let (mut plain, mut at) = (0, HEADER_BYTES as u64);
        while at < bytes
            && let Ok(offset) = u32::try_from(at)
            && let Ok(head) = self.run_head(Run { segment: id, offset, len: 0 })
        {
            plain += u64::from(head.len);
            at += u64::from(head.total());
        }
        plain
    }

    /// What a segment says of itself, when that can be read.
    pub(super) fn header_of(&self, id: SegmentId) -> Option<SegmentHeader> {
        let unread = || Error::corrupt(format!("cannot read the header of segment {id}"), "it is damaged");
        let header = self.read_open(FileKey::Segment(id), &mut |file, _| {
            let mut head = vec![0; HEADER_BYTES];
            let got = file.read_at(0, &mut head).map_err(|error| Error::io("cannot read a header", error))?;
            let header = SegmentHeader::decode(&head[..got]).map_err(|_| unread())?;
            if header.id == id && header.store == self.settings.store { Ok(header) } else { Err(unread()) }
        });
        header.ok()
    }

    /// The verified head of a run.
    pub(super) fn run_head(&self, run: Run) -> Result<RunHead> {
        let what = || format!("cannot read segment {} at offset {}", run.segment, run.offset);
        let bind = Binder::segment(&self.settings.store, run.segment);
        self.read_open(FileKey::Segment(run.segment), &mut |file, _| {
            let mut bytes = [0; HEAD_BYTES_MAX];
            let got = file.read_at(u64::from(run.offset), &mut bytes).map_err(|e| Error::io(what(), e))?;
            RunHead::decode(&bytes[..got], &bind, run.segment, run.offset).map_err(|flaw: Flaw| flaw.on(what()))
        })
    }
}
