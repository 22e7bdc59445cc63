//! Walking a segment file from the disk: for fsck, scrub, and to build an index from nothing.

use super::format::footer::{self, TRAILER_BYTES, Trailer};
use super::format::header::{HEADER_BYTES, SegmentHeader};
use super::format::run::{FramePlaces, HEAD_BYTES_MAX, MAGIC, RUN_ALIGN, RUN_BYTES_MAX, RunHead};
use super::format::{Binder, FRAME_BYTES, Flaw};
use super::frames::with_scratch;
use super::id::{Class, FileKey, Owned, Run, SegmentId};
use super::log::{ChunkLog, Inner};
use super::packed::unpack;
use crate::model::{Error, Kind, Result};
use crate::sys::disk::{Access, DiskFile};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// A run as it was found, its head verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunFound {
    /// Where it is.
    pub run: Run,
    /// Whose it is.
    pub owner: Owned,
    /// Numbers of the 64 KiB frames that do not verify.
    pub bad_frames: Vec<u32>,
    /// Found by searching behind damage rather than at the end of the run before. Such a run is whole and was made for
    /// this place, but it may lie within the payload of another whose head is gone.
    pub searched: bool,
}

/// How a walk ended.
#[derive(Debug, Default)]
pub struct Scanned {
    /// What the segment collects, when its header can be trusted.
    pub class: Option<Class>,
    /// Whether it ends in a directory that can be trusted.
    pub sealed: bool,
    /// Runs visited.
    pub runs: u64,
    /// The byte behind the last of them.
    pub end: u64,
    /// Runs of which only the directory tells: their heads are damaged, and so none of their bytes can be read.
    pub headless: Vec<RunFound>,
    /// Everything that is not as it was written, other than frames: a header, a run's head, padding, the directory,
    /// or bytes behind the last run.
    pub flaws: Vec<Error>,
}

impl ChunkLog {
    /// Walks the runs of a segment in the file's order, reading everything from the disk and verifying every byte.
    /// A sealed segment is walked by its directory; in any other the first thing that is not a run is reported unless
    /// only zeros follow, and the next run searched for behind it, because a crash may have kept a later write and not
    /// an earlier one. Seal a segment first if it is being appended to.
    ///
    /// # Errors
    /// When the file is missing or cannot be read at all. What is wrong inside is in [`Scanned`].
    pub fn scan(&self, id: SegmentId, visit: &mut dyn FnMut(RunFound)) -> Result<Scanned> {
        if self.0.zones.alone() {
            return self.0.scan_file(id, self.0.reopen(FileKey::Segment(id))?, visit);
        }
        let mut best: Option<(Scanned, BTreeMap<u32, RunFound>)> = None;
        let whole = self.0.read_copies(FileKey::Segment(id), Access::Read, &mut |file| {
            let mut runs = BTreeMap::new();
            let report = self.0.scan_file(id, Arc::clone(file), &mut |run| drop(runs.insert(run.run.offset, run)))?;
            let whole = report.is_clean() && runs.values().all(|run| run.bad_frames.is_empty());
            let now = (report, runs);
            best = Some(match best.take() {
                Some(before) => joined(before, now),
                None => now,
            });
            if whole { Ok(()) } else { Err(Error::corrupt("", "it is not whole")) }
        });
        let Some((mut report, runs)) = best else { return Err(whole.err().unwrap_or_else(|| no_copy(id))) };
        report.runs = runs.len() as u64;
        report.headless.retain(|run| !runs.contains_key(&run.run.offset));
        runs.into_values().for_each(visit);
        Ok(report)
    }

    /// Whether a segment holds notes, which nothing refers to. Where its header is damaged, its first whole run tells; one
    /// without any holds nothing.
    ///
    /// # Errors
    /// When it cannot be read: nobody knows what it holds.
    pub fn holds_notes(&self, id: SegmentId) -> Result<bool> {
        let read = |file: &Arc<dyn DiskFile>, search: bool| {
            let bind = Binder::segment(&self.0.settings.store, id);
            let (file, report) = (Arc::clone(file), Scanned::default());
            let mut walk = Walk { inner: &self.0, id, file, bytes: 0, bind, report, marks: Vec::new() };
            walk.header()?;
            if let Some(class) = walk.report.class {
                return Ok(class == Class::Notes);
            }
            if !search {
                return Err(Error::corrupt(format!("cannot read segment {id}"), "its header is damaged"));
            }
            let Some(at) = walk.search(HEADER_BYTES as u64)? else { return Ok(false) };
            let offset = u32::try_from(at).unwrap_or(u32::MAX);
            let head = RunHead::decode(walk.fetch(at, &mut [0; HEAD_BYTES_MAX])?, &walk.bind, id, offset);
            Ok(head.is_ok_and(|head| head.written.note))
        };
        let key = FileKey::Segment(id);
        let alone = self.0.zones.alone();
        match self.0.read_open(key, &mut |file, _| read(file, alone)) {
            // No copy has a header.
            Err(error) if !alone && error.kind() == Kind::Corrupt => {
                self.0.read_open(key, &mut |file, _| read(file, true))
            }
            told => told,
        }
    }
}

impl Scanned {
    /// Whether a sealed segment is as it was written, but for frames.
    pub(super) fn is_clean(&self) -> bool {
        self.sealed && self.flaws.is_empty() && self.headless.is_empty()
    }
}

fn no_copy(id: SegmentId) -> Error {
    Error::corrupt(format!("cannot scan segment {id}"), "its file is missing")
}

type Copy = (Scanned, BTreeMap<u32, RunFound>);

/// What two copies of a segment tell together: every run that one of them has, and bad frames that both have.
fn joined(one: Copy, other: Copy) -> Copy {
    let rank = |copy: &Copy| (copy.0.sealed, std::cmp::Reverse(copy.0.flaws.len()), copy.1.len());
    let ((mut report, mut runs), rest) = if rank(&one) >= rank(&other) { (one, other) } else { (other, one) };
    report.class = report.class.or(rest.0.class);
    report.end = report.end.max(rest.0.end);
    for (offset, run) in rest.1 {
        match runs.entry(offset) {
            Entry::Occupied(mut known) => known.get_mut().bad_frames.retain(|frame| run.bad_frames.contains(frame)),
            Entry::Vacant(place) => drop(place.insert(run)),
        }
    }
    (report, runs)
}

impl Inner {
    /// Walks one copy of a segment.
    pub(super) fn scan_file(
        self: &Arc<Self>,
        id: SegmentId,
        file: Arc<dyn DiskFile>,
        visit: &mut dyn FnMut(RunFound),
    ) -> Result<Scanned> {
        let bytes = file.size().map_err(|e| Error::io(format!("cannot scan segment {id}"), e))?;
        let bind = Binder::segment(&self.settings.store, id);
        let mut walk = Walk { inner: self, id, file, bytes, bind, report: Scanned::default(), marks: Vec::new() };
        walk.header()?;
        match walk.directory()? {
            Some((end, entries)) => walk.sealed(end, &entries, visit)?,
            None => walk.loose(visit)?,
        }
        Ok(walk.report)
    }
}

/// A run that was walked over.
pub(super) struct Walked {
    pub(super) found: RunFound,
    /// Bytes to the next.
    pub(super) total: u32,
    /// Where its payload begins, and where in that the frames lie.
    pub(super) payload: u64,
    pub(super) places: FramePlaces,
}

/// Where a flaw is, and what it is in.
pub(super) struct Mark {
    pub(super) at: u64,
    pub(super) what: &'static str,
    pub(super) flaw: Flaw,
}

pub(super) struct Walk<'a> {
    pub(super) inner: &'a Arc<Inner>,
    pub(super) id: SegmentId,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) bytes: u64,
    pub(super) bind: Binder,
    pub(super) report: Scanned,
    /// The flaws of the report once more.
    pub(super) marks: Vec<Mark>,
}

impl Walk<'_> {
    pub(super) fn fetch<'b>(&self, at: u64, buf: &'b mut [u8]) -> Result<&'b [u8]> {
        let got = self
            .file
            .read_at(at, buf)
            .map_err(|e| Error::io(format!("cannot read segment {} at offset {at}", self.id), e))?;
        Ok(&buf[..got])
    }

    fn flaw(&mut self, at: u64, what: &'static str, flaw: &Flaw) {
        self.marks.push(Mark { at, what, flaw: flaw.clone() });
        self.report.flaws.push(flaw.clone().on(format!("segment {} has a bad {what} at offset {at}", self.id)));
    }

    pub(super) fn header(&mut self) -> Result<()> {
        let mut buf = [0; HEADER_BYTES];
        match SegmentHeader::decode(self.fetch(0, &mut buf)?) {
            Ok(header) if header.id == self.id && header.store == self.inner.settings.store => {
                self.report.class = Some(header.class);
            }
            Ok(_) => self.flaw(0, "header", &Flaw::Foreign),
            Err(flaw) => self.flaw(0, "header", &flaw),
        }
        Ok(())
    }

    /// The trailer, when the segment was sealed.
    pub(super) fn trailer(&mut self) -> Result<Option<Trailer>> {
        let Some(at) = self.bytes.checked_sub(TRAILER_BYTES as u64) else {
            return Ok(None);
        };
        let mut buf = [0; TRAILER_BYTES];
        let store = &self.inner.settings.store;
        match Trailer::decode(self.fetch(at, &mut buf)?, &self.bind, store, self.id, self.bytes) {
            Ok(trailer) => Ok(Some(trailer)),
            Err(Flaw::Magic) => Ok(None),
            Err(flaw) => {
                self.flaw(at, "trailer", &flaw);
                Ok(None)
            }
        }
    }

    /// The directory and where it begins, when the segment was sealed.
    pub(super) fn directory(&mut self) -> Result<Option<(u64, Vec<footer::Entry>)>> {
        let Some(trailer) = self.trailer()? else { return Ok(None) };
        let at = u64::from(trailer.directory_at);
        let mut buf = vec![0; trailer.directory_bytes()];
        match trailer.decode_directory(self.fetch(at, &mut buf)?, &self.bind) {
            Ok(entries) => {
                self.report.sealed = true;
                Ok(Some((at, entries)))
            }
            Err(flaw) => {
                self.flaw(at, "directory", &flaw);
                Ok(None)
            }
        }
    }

    fn sealed(&mut self, end: u64, entries: &[footer::Entry], visit: &mut dyn FnMut(RunFound)) -> Result<()> {
        let mut at = HEADER_BYTES as u64;
        for (entry, next) in entries.iter().zip(entries.iter().skip(1).map(|e| u64::from(e.offset)).chain([end])) {
            if u64::from(entry.offset) != at {
                self.flaw(at, "gap between runs", &Flaw::Shape("length"));
            }
            match self.run(entry.offset)? {
                Ok(Walked { found, total, .. }) => {
                    let same = footer::Entry {
                        offset: entry.offset,
                        len: found.run.len,
                        ino: found.owner.ino,
                        seq: found.owner.seq,
                        logical: found.owner.logical,
                    };
                    at = u64::from(entry.offset) + u64::from(total);
                    if same != *entry {
                        self.flaw(u64::from(entry.offset), "entry in its directory for the run", &Flaw::Foreign);
                    }
                    self.found(found, at, visit);
                }
                Err(flaw) => {
                    self.flaw(u64::from(entry.offset), "run", &flaw);
                    let run = Run { segment: self.id, offset: entry.offset, len: entry.len };
                    let footer::Entry { ino, seq, logical, .. } = *entry;
                    let owner = Owned { ino, seq, logical, ..Owned::default() };
                    let bad_frames = (0..entry.len.min(RUN_BYTES_MAX).div_ceil(FRAME_BYTES)).collect();
                    self.report.headless.push(RunFound { run, owner, bad_frames, searched: false });
                    at = next;
                }
            }
        }
        if at != end {
            self.flaw(at, "gap before its directory", &Flaw::Shape("length"));
        }
        Ok(())
    }

    fn loose(&mut self, visit: &mut dyn FnMut(RunFound)) -> Result<()> {
        let mut at = HEADER_BYTES as u64;
        let mut searched = false;
        self.report.end = at;
        while let Ok(offset) = u32::try_from(at) {
            match self.run(offset)? {
                Ok(Walked { mut found, total, .. }) => {
                    at += u64::from(total);
                    found.searched = searched;
                    self.found(found, at, visit);
                }
                Err(flaw) => {
                    if self.only_zeros(at)? {
                        return Ok(());
                    }
                    self.flaw(at, "run", &flaw);
                    let Some(next) = self.search(at + RUN_ALIGN)? else {
                        return Ok(());
                    };
                    at = next;
                    searched = true;
                }
            }
        }
        Ok(())
    }

    /// Where the next whole head of a run begins, at `at` or behind.
    pub(super) fn search(&self, mut at: u64) -> Result<Option<u64>> {
        let mut buf = vec![0; 256 << 10];
        loop {
            let bytes = self.fetch(at, &mut buf)?;
            if bytes.is_empty() || at > u64::from(u32::MAX) {
                return Ok(None);
            }
            for (place, word) in (at..).step_by(RUN_ALIGN as usize).zip(bytes.chunks(RUN_ALIGN as usize)) {
                if word.starts_with(MAGIC)
                    && let Ok(offset) = u32::try_from(place)
                    && RunHead::decode(self.fetch(place, &mut [0; HEAD_BYTES_MAX])?, &self.bind, self.id, offset)
                        .is_ok()
                {
                    return Ok(Some(place));
                }
            }
            at += bytes.len() as u64;
        }
    }

    fn found(&mut self, found: RunFound, end: u64, visit: &mut dyn FnMut(RunFound)) {
        self.report.runs += 1;
        self.report.end = end;
        visit(found);
    }

    /// The run at `offset`, every byte of it verified.
    pub(super) fn run(&mut self, offset: u32) -> Result<Result<Walked, Flaw>> {
        let mut buf = [0; HEAD_BYTES_MAX];
        let bytes = self.fetch(u64::from(offset), &mut buf)?;
        let head = match RunHead::decode(bytes, &self.bind, self.id, offset) {
            Ok(head) => head,
            Err(flaw) => return Ok(Err(flaw)),
        };
        let payload = u64::from(offset) + u64::from(head.head);
        let mut bad_frames = Vec::new();
        for (frame, crc) in head.frames.iter().enumerate() {
            let (place, plain) = (head.places.frame(frame as u32), head.places.plain(frame as u32) as usize);
            let good = with_scratch(place.len(), |bytes| {
                let at = payload + u64::from(place.start);
                let whole = matches!(self.file.read_at(at, bytes), Ok(got) if got == bytes.len());
                let same = whole && self.bind.crc(offset, frame as u32, bytes) == *crc;
                same && (bytes.len() == plain || unpack(bytes, plain, 0, &mut vec![0; plain]))
            });
            if !good {
                bad_frames.push(frame as u32);
            }
        }
        let (total, end) = (head.total(), payload + u64::from(head.places.stored()));
        let mut padding = [0; 8];
        let pad = (u64::from(offset) + u64::from(total) - end) as usize;
        if self.fetch(end, &mut padding[..pad])?.iter().any(|byte| *byte != 0) {
            self.flaw(end, "padding", &Flaw::Shape("content"));
        }
        let run = Run { segment: self.id, offset, len: head.len };
        let RunHead { ino, seq, logical, written, key_tail, places, .. } = head;
        let owner = Owned { ino, seq, logical, written, key_tail };
        let found = RunFound { run, owner, bad_frames, searched: false };
        Ok(Ok(Walked { found, total, payload, places }))
    }

    /// Up to where runs can begin: behind that a file may be as long as it likes.
    pub(super) fn only_zeros(&self, mut at: u64) -> Result<bool> {
        let mut buf = vec![0; 256 << 10];
        loop {
            if at > u64::from(u32::MAX) {
                return Ok(true);
            }
            let bytes = self.fetch(at, &mut buf)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            if bytes.is_empty() {
                return Ok(true);
            }
            at += bytes.len() as u64;
        }
    }
}
