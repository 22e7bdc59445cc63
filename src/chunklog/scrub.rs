//! Checking files of the log as the disk has them, a bounded stretch at a time: for scrub.
//!
//! Everything is read past the system's cache of file pages. What is found is told with its place and its reach; whether
//! it matters only the owner of the index knows: runs that nothing refers to may be what a power cut left half written.

use super::format::footer::TRAILER_BYTES;
use super::format::header::HEADER_BYTES;
use super::format::run::{FramePlaces, RUN_ALIGN};
use super::format::{Binder, FRAME_BYTES, Flaw};
use super::frames::{Framed, with_scratch};
use super::id::{FileKey, SegmentId, SoloId};
use super::log::{ChunkLog, Inner};
use super::scan::{RunFound, Scanned, Walk, Walked};
use crate::model::{Error, Result};
use crate::sys::disk::{Access, DiskFile};
use std::io::ErrorKind;
use std::sync::Arc;

const FRAME: u64 = FRAME_BYTES as u64;

/// Which bytes of objects a flaw reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Reach {
    /// None: what only fsck, salvage and compaction read. It is a flaw all the same.
    Nothing,
    /// None, but it lies behind the bytes of the run at this offset.
    Behind(u32),
    /// All of the runs that begin where the flaw is.
    Runs,
    /// Plain bytes `from..to` of the run at this offset.
    Plain(u32, u32, u32),
    /// Bytes `from..to` of a one-object file.
    Solo(u64, u64),
}

/// A stretch of a file that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flawed {
    /// Its first byte.
    pub at: u64,
    /// Its length in bytes, or that of what cannot be trusted for it.
    pub len: u64,
    /// What lies there: `header`, `run`, `frames`, ...
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
    /// Which bytes of objects are lost by it.
    pub reach: Reach,
}

/// What a stretch of a file came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scrubbed {
    /// Where to go on in the file; `None` at its end.
    pub next: Option<u64>,
    /// Bytes checked.
    pub bytes: u64,
    /// What is wrong. A bad end of a segment is told for each of its stretches.
    pub flaws: Vec<Flawed>,
    /// There is no such file.
    pub missing: bool,
}

impl ChunkLog {
    /// Checks runs of a segment from `from` on (0, or what the stretch before ended with), about `budget` bytes, and
    /// beginning with 0 header, directory and trailer. Of a segment that is appended to, what is synced. FramePlaces that
    /// cannot be read are flaws.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn scrub_segment(&self, id: SegmentId, from: u64, budget: u64) -> Result<Scrubbed> {
        let inner = &self.0;
        let open = {
            let lanes: Vec<_> = inner.lanes.lock().values().cloned().collect();
            lanes.iter().find_map(|lane| lane.lock().as_ref().filter(|open| open.id == id).map(Arc::clone))
        };
        // Before the file is opened, so that it shows all of them.
        let durable = open.as_ref().map(|open| open.durable_runs(u32::try_from(from).unwrap_or(u32::MAX), budget));
        let being_sealed = durable.is_none()
            && inner.tracked.lock().get(&FileKey::Segment(id)).is_some_and(|file| !file.is_finished());
        if being_sealed || durable.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Scrubbed::default());
        }
        inner.check_copies(FileKey::Segment(id), &|zone| {
            let Some(file) = inner.direct(zone, FileKey::Segment(id))? else {
                return Ok(Scrubbed { missing: true, ..Scrubbed::default() });
            };
            let bytes = file.size().map_err(|error| Error::io(format!("cannot check segment {id}"), error))?;
            let bind = Binder::segment(&inner.settings.store, id);
            let walk = Walk { inner, id, file, bytes, bind, report: Scanned::default(), marks: Vec::new() };
            let mut check = Check { walk, found: Scrubbed::default() };
            match &durable {
                Some(runs) => check.open(from, runs),
                None => check.closed(from, budget),
            }
            Ok(check.found)
        })
    }

    /// Checks frames of a one-object file from byte `from` on (0, or what the stretch before ended with), about `budget`
    /// bytes, and beginning with 0 its checksums. One that is being written has nothing to check yet.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn scrub_solo(&self, id: SoloId, from: u64, budget: u64) -> Result<Scrubbed> {
        let inner = &self.0;
        if inner.live.lock().contains_key(&id) {
            return Ok(Scrubbed::default());
        }
        inner.check_copies(FileKey::Solo(id), &|zone| inner.scrub_solo_in(zone, id, from, budget))
    }
}

impl Inner {
    /// Checks each copy of a file with `check`; wrong is what is so in all of them. Of others their zone takes note.
    fn check_copies(&self, key: FileKey, check: &dyn Fn(usize) -> Result<Scrubbed>) -> Result<Scrubbed> {
        if self.zones.alone() {
            return check(0);
        }
        let (mut checked, mut failed) = (Vec::new(), None);
        for zone in self.zones.having(key) {
            match check(zone) {
                Ok(found) if found.missing => self.zones.bad_copy(key, zone, &Error::corrupt("", "it is missing")),
                Ok(found) => checked.push((zone, found)),
                Err(error) => {
                    self.zones.bad_copy(key, zone, &error);
                    failed = Some(error);
                }
            }
        }
        for (zone, found) in &checked {
            if let Some(flaw) = found.flaws.first() {
                let why = format!("{} at byte {}: {}", flaw.what, flaw.at, flaw.why);
                self.zones.bad_copy(key, *zone, &Error::corrupt("", why));
            }
        }
        let bytes = checked.iter().map(|(_, found)| found.bytes).sum();
        checked.sort_by_key(|(_, found)| found.flaws.len());
        let mut copies = checked.into_iter().map(|(_, found)| found);
        let Some(mut best) = copies.next() else {
            return failed.map_or_else(
                || self.zones.nowhere(key).map_or(Ok(Scrubbed { missing: true, ..Scrubbed::default() }), Err),
                Err,
            );
        };
        for other in copies {
            let meets = |flaw: &Flawed| {
                other
                    .flaws
                    .iter()
                    .any(|bad| bad.at < flaw.at.saturating_add(flaw.len) && flaw.at < bad.at.saturating_add(bad.len))
            };
            best.flaws.retain(meets);
        }
        match self.zones.nowhere(key) {
            Some(error) if !best.flaws.is_empty() => Err(error),
            _ => Ok(Scrubbed { bytes, ..best }),
        }
    }

    fn scrub_solo_in(&self, zone: usize, id: SoloId, from: u64, budget: u64) -> Result<Scrubbed> {
        let mut found = Scrubbed::default();
        let flaw = |at, len, what, why: String, reach| Flawed { at, len, what, why, reach };
        let table = match self.direct(zone, FileKey::Sum(id))? {
            Some(sum) if from == 0 => {
                found.bytes += sum.size().unwrap_or(0);
                self.read_table(id, &*sum).map(Arc::new)
            }
            Some(_) => self.solo_table(id),
            None => Err(Error::corrupt("", "its checksums are missing")),
        };
        let Some(file) = self.direct(zone, FileKey::Solo(id))? else {
            return Ok(Scrubbed { missing: true, ..found });
        };
        let size = file.size().map_err(|error| Error::io(format!("cannot check solo file {id}"), error))?;
        let table = match table {
            Ok(table) => table,
            Err(error) => {
                found.flaws.push(flaw(0, size, "checksums", error.reason().to_owned(), Reach::Solo(0, u64::MAX)));
                return Ok(found);
            }
        };
        let mut at = from;
        while at < table.len && at - from < budget {
            let len = (table.len - at).min(FRAME);
            let wrong = with_scratch(len as usize, |bytes| match file.read_at(at, bytes) {
                Ok(got) if got < bytes.len() => Some(Flaw::Short.to_string()),
                Ok(_) if table.verify(at / FRAME, bytes) => None,
                Ok(_) => Some(Flaw::Checksum.to_string()),
                Err(error) => Some(error.to_string()),
            });
            if let Some(why) = wrong {
                found.add(flaw(at, len, "frames", why, Reach::Solo(at, at + len)));
            }
            at += len;
        }
        found.bytes += at - from;
        if at < table.len {
            found.next = Some(at);
        } else if size > table.len {
            let why = format!("it has {size} bytes where {} were written", table.len);
            found.flaws.push(flaw(table.len, size - table.len, "bytes behind the end", why, Reach::Nothing));
        }
        Ok(found)
    }
}

impl Scrubbed {
    /// Adds a flaw, to the one before when it goes on with it.
    fn add(&mut self, flaw: Flawed) {
        if let Some(last) = self.flaws.last_mut()
            && (last.at + last.len, last.what, &last.why) == (flaw.at, flaw.what, &flaw.why)
        {
            match (&mut last.reach, flaw.reach) {
                (Reach::Solo(_, to), Reach::Solo(_, end)) => *to = end,
                (Reach::Plain(run, _, to), Reach::Plain(same, _, end)) if *run == same => *to = end,
                _ => return self.flaws.push(flaw),
            }
            last.len += flaw.len;
            return;
        }
        self.flaws.push(flaw);
    }
}

impl Inner {
    /// A file in a zone past the cache; `None` when there is none.
    fn direct(&self, zone: usize, key: FileKey) -> Result<Option<Arc<dyn DiskFile>>> {
        match self.zones.member(zone).disk.open(&key.path(), Access::Direct) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(format!("cannot open {key}"), error)),
        }
    }
}

struct Check<'a> {
    walk: Walk<'a>,
    found: Scrubbed,
}

impl Check<'_> {
    fn flaw(&mut self, at: u64, len: u64, what: &'static str, why: String, reach: Reach) {
        self.found.add(Flawed { at, len, what, why, reach });
    }

    /// Takes over what the walk has marked that is no run's.
    fn take_marks(&mut self) {
        for mark in std::mem::take(&mut self.walk.marks) {
            let len = match mark.what {
                "header" => HEADER_BYTES as u64,
                "trailer" => TRAILER_BYTES as u64,
                _ => self.walk.bytes.saturating_sub(TRAILER_BYTES as u64).saturating_sub(mark.at),
            };
            let mut why = mark.flaw.to_string();
            if mark.what != "header" {
                why.push_str(" (a power cut while the segment was being sealed leaves that too)");
            }
            self.flaw(mark.at, len, mark.what, why, Reach::Nothing);
        }
    }

    fn header(&mut self) {
        if let Err(error) = self.walk.header() {
            self.flaw(0, HEADER_BYTES as u64, "header", error.reason().to_owned(), Reach::Nothing);
        }
        self.take_marks();
        self.found.bytes += HEADER_BYTES as u64;
    }

    fn open(&mut self, from: u64, runs: &[super::format::footer::Entry]) {
        if from == 0 {
            self.header();
        }
        for entry in runs {
            let at = u64::from(entry.offset);
            match self.run(entry.offset) {
                Ok(total) => self.found.bytes += total,
                Err(why) => self.flaw(at, RUN_ALIGN.max(u64::from(entry.len)), "run", why, Reach::Runs),
            }
            self.found.next = Some(at + RUN_ALIGN);
        }
    }

    fn closed(&mut self, from: u64, budget: u64) {
        let trailer = match self.walk.trailer() {
            Ok(trailer) => trailer,
            Err(error) => {
                self.unreadable("trailer", &error);
                None
            }
        };
        if trailer.is_none() && self.walk.marks.is_empty() && self.lost_its_magic() {
            self.unreadable("trailer", &Error::corrupt("", Flaw::Magic.to_string()));
        }
        let end = trailer.as_ref().map_or(self.walk.bytes, |trailer| u64::from(trailer.directory_at));
        self.take_marks();
        if from == 0 {
            if trailer.is_some()
                && let Err(error) = self.walk.directory()
            {
                self.unreadable("directory", &error);
            }
            self.take_marks();
            self.header();
            self.found.bytes += self.walk.bytes - end;
        }
        let begin = from.max(HEADER_BYTES as u64);
        let mut at = begin;
        while at < end {
            if at - begin >= budget {
                self.found.next = Some(at);
                return;
            }
            let Ok(offset) = u32::try_from(at) else { return };
            match self.run(offset) {
                Ok(total) => {
                    at += total;
                    self.found.bytes += total;
                }
                Err(why) => {
                    if trailer.is_none() && self.walk.only_zeros(at).unwrap_or(false) {
                        return;
                    }
                    let next = self.next_run(at, end);
                    self.flaw(at, next - at, "run", why, Reach::Runs);
                    self.found.bytes += next - at;
                    at = next;
                }
            }
        }
    }

    /// Where the next run begins behind one whose head is bad: the directory knows, or else it is searched for.
    fn next_run(&mut self, at: u64, end: u64) -> u64 {
        let runs = self.walk.directory().ok().flatten().map(|(_, runs)| runs);
        self.walk.marks.clear();
        match runs {
            Some(runs) => {
                let behind = runs.partition_point(|run| u64::from(run.offset) <= at);
                runs.get(behind).map_or(end, |run| u64::from(run.offset))
            }
            None => self.walk.search(at + RUN_ALIGN).ok().flatten().unwrap_or(end).min(end),
        }
    }

    /// Something at the end of the file that cannot be read.
    fn unreadable(&mut self, what: &'static str, error: &Error) {
        let at = self.walk.bytes.saturating_sub(TRAILER_BYTES as u64);
        self.flaw(at, TRAILER_BYTES as u64, what, error.reason().to_owned(), Reach::Nothing);
    }

    /// Whether the file ends in a trailer but for its first bytes.
    fn lost_its_magic(&self) -> bool {
        let Some(at) = self.walk.bytes.checked_sub(TRAILER_BYTES as u64) else { return false };
        let mut last = [0; TRAILER_BYTES];
        let own = [&self.walk.inner.settings.store[..], &self.walk.id.0.to_le_bytes()].concat();
        self.walk.fetch(at, &mut last).is_ok_and(|bytes| bytes.get(16..40) == Some(&own[..]))
    }

    /// Checks a run and returns its bytes in the file, or says why none begins there.
    fn run(&mut self, offset: u32) -> std::result::Result<u64, String> {
        let Walked { found, total, payload, places } = match self.walk.run(offset) {
            Ok(Ok(walked)) => walked,
            Ok(Err(flaw)) => return Err(flaw.to_string()),
            Err(error) => return Err(error.reason().to_owned()),
        };
        for mark in std::mem::take(&mut self.walk.marks) {
            self.flaw(
                mark.at,
                u64::from(offset) + u64::from(total) - mark.at,
                mark.what,
                mark.flaw.to_string(),
                Reach::Behind(offset),
            );
        }
        self.frames(&found, payload, &places);
        Ok(u64::from(total))
    }

    fn frames(&mut self, found: &RunFound, payload: u64, places: &FramePlaces) {
        let run = found.run;
        for frame in &found.bad_frames {
            let from = frame * FRAME_BYTES;
            let to = run.len.min(from + FRAME_BYTES);
            let reach = Reach::Plain(run.offset, from, to);
            let place = places.frame(*frame);
            self.flaw(
                payload + u64::from(place.start),
                place.len() as u64,
                "frames",
                Flaw::Checksum.to_string(),
                reach,
            );
        }
    }
}
