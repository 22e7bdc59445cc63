//! Giving each file the copies that its tier wants, in the zones that it wants: after a zone was lost, replaced, added or left
//! out, and after a copy was found not to be whole.
//!
//! A copy is made of verified bytes under another name, synced, read back past the system's cache, and renamed. What is too much
//! goes when what is wanted is there. A file that is deleted meanwhile is not in the catalog any more, and what was made of it
//! goes again.
//!
//! Locks: one for all of this, held while disks work, so that nobody else makes the same copy; no other is held with it for longer
//! than a look.

use super::format::run::{self, HEAD_BYTES_MAX, RunHead};
use super::format::{Binder, FRAME_BYTES, header::HEADER_BYTES};
use super::frames::Framed;
use super::id::{FileKey, Run, SegmentId, SoloId};
use super::log::{ChunkLog, Inner};
use super::scan::{RunFound, Scanned};
use super::solo::SoloTable;
use super::tier::{Tier, tier_of};
use super::zones::{NEW, Plan, Spots, mask, places, plan};
use crate::model::{Error, Kind, Result, StorageClass};
use crate::sys::disk::{Access, DiskFile};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FRAME: u64 = FRAME_BYTES as u64;
/// Bytes copied in one step.
const STEP: u64 = 1 << 20;
/// Bytes after which a copy is synced: a sync of very much takes longer than a disk is waited for.
const SYNC_STEP: u64 = 64 << 20;

/// Files that do not have what they should.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shortage {
    /// Files with fewer whole copies, in zones that are there, than their class asks for.
    pub short: usize,
    /// Of these, files without any.
    pub without: usize,
}

/// Copies of a file that can be opened.
struct Opened {
    /// And whether nobody doubts that each is whole.
    copies: Vec<(usize, Arc<dyn DiskFile>, bool)>,
    /// A zone whose copy cannot be read, and why.
    unread: Option<(usize, Error)>,
}

/// A copy of a segment and what is in it.
struct Source {
    file: Arc<dyn DiskFile>,
    /// Whether it has all, since nobody doubted that and all of it was read.
    trusted: bool,
    report: Scanned,
    runs: BTreeMap<u32, RunFound>,
}

impl Source {
    fn is_whole(&self) -> bool {
        self.report.is_clean() && self.runs.values().all(|run| run.bad_frames.is_empty())
    }

    /// Whether it has something that `own` lacks.
    fn improves(&self, own: &Self) -> bool {
        let better = |(offset, run): (&u32, &RunFound)| {
            own.runs.get(offset).is_none_or(|own| own.bad_frames.iter().any(|frame| !run.bad_frames.contains(frame)))
        };
        (self.report.sealed && !own.report.sealed)
            || (self.report.class.is_some() && own.report.class.is_none())
            || self.runs.iter().any(better)
    }

    fn rank(&self) -> (bool, std::cmp::Reverse<usize>, usize) {
        (self.report.sealed, std::cmp::Reverse(self.report.flaws.len()), self.runs.len())
    }
}

impl ChunkLog {
    /// How many files lack copies. Counts in memory alone.
    #[must_use]
    pub fn shortage(&self) -> Shortage {
        let zones = &self.0.zones;
        if zones.alone() {
            return Shortage::default();
        }
        let there = zones.there();
        let short = |spots: Spots| {
            let tier = self.0.tier(spots.tier.unwrap_or_default());
            let wanted = mask(tier.zones.iter().copied());
            (spots.good() & there & wanted).count_ones() < tier.copies as u32
        };
        Shortage {
            short: zones.catalog.count(|_, spots| short(spots)),
            without: zones.catalog.count(|_, spots| spots.good() & there == 0),
        }
    }

    /// The first file from a number on to which something is to be done. `patient`: what a zone has that was lost a short while
    /// ago is counted as there.
    #[must_use]
    pub fn next_to_refill(&self, from: u64, patient: bool) -> Option<u64> {
        let zones = &self.0.zones;
        let (there, expected) = (zones.there(), if patient { zones.expected() } else { 0 });
        let mut from = from;
        loop {
            let lacks = |spots: Spots| {
                spots.tier.is_none_or(|tier| !plan(self.0.tier(tier), spots, there, expected).is_nothing())
            };
            let (id, spots) = zones.catalog.next(from, |_, spots| lacks(spots))?;
            let tier = spots.tier.unwrap_or_else(|| self.0.learn_tier(id, spots));
            let busy = match spots.key(id) {
                FileKey::Segment(id) => self.is_open(id) && self.has_all_its_copies(id),
                FileKey::Solo(id) | FileKey::Sum(id) => self.0.live.lock().contains_key(&id),
            };
            if !busy && lacks(Spots { tier: Some(tier), ..spots }) {
                return Some(id);
            }
            from = id.checked_add(1)?;
        }
    }

    /// Whether an open segment lies in as many zones as can be had.
    fn has_all_its_copies(&self, id: SegmentId) -> bool {
        let Some(spots) = self.0.zones.catalog.get(id.0) else { return true };
        let tier = self.0.tier(spots.tier.unwrap_or_default());
        plan(tier, spots, self.0.zones.there(), 0).more == 0
    }

    /// Does for a file what is to be done. `tick` hears of bytes read and written, and may end it with an error; what was
    /// begun is then removed. Bytes written.
    ///
    /// # Errors
    /// [`Kind::Full`] when no zone has room for a copy, what `tick` says, or what the disks say.
    pub fn refill(&self, id: u64, patient: bool, tick: &mut dyn FnMut(u64) -> Result<()>) -> Result<u64> {
        let _alone = self.0.refilling.lock();
        let zones = &self.0.zones;
        let Some(spots) = zones.catalog.get(id) else { return Ok(0) };
        if let FileKey::Segment(segment) = spots.key(id) {
            // The next one gets all its copies at once.
            self.retire(segment);
        }
        // What replaces or removes a copy must not do so below a sync that is to come: that would take the zone for lost.
        if !self.0.sync_finished(&spots.key(id).parts()) {
            return Ok(0);
        }
        let (mut written, mut refused) = (0, None);
        let mut tried = 0;
        loop {
            let Some((spots, todo)) = self.plan_of(id, patient) else { return Ok(written) };
            let Some(zone) = zones.roomiest(todo.into & !tried, spots) else {
                if todo.more == 0 && todo.from != 0 {
                    written += self.drop_copies(id, spots, todo, patient, tick)?;
                }
                break;
            };
            tried |= 1 << zone;
            match self.0.bring(spots.key(id), zone, tick) {
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == Kind::Full => refused = Some(error),
                Err(error) => {
                    zones.suspect(zone);
                    // Of a zone that is gone now nothing more is to be said.
                    if zones.member(zone).is_there() {
                        return Err(error);
                    }
                }
            }
        }
        refused.map_or(Ok(written), Err)
    }

    /// Lets copies go that nobody wants, once those that stay were read: what is remembered of them is not enough.
    fn drop_copies(
        &self,
        id: u64,
        spots: Spots,
        todo: Plan,
        patient: bool,
        tick: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<u64> {
        let (zones, key) = (&self.0.zones, spots.key(id));
        let mut written = 0;
        for zone in places(spots.good() & zones.there() & !todo.from) {
            written += self.0.bring(key, zone, tick)?;
        }
        if let Some((_, now)) = self.plan_of(id, patient)
            && now == todo
        {
            for zone in places(todo.from) {
                zones.catalog.change(id, |spots| {
                    spots.has &= !(1 << zone);
                    spots.bad &= !(1 << zone);
                });
                zones.remove_in(key, zone);
            }
            if let FileKey::Solo(id) = key {
                self.0.maps.removed(id);
            }
        }
        Ok(written)
    }

    fn plan_of(&self, id: u64, patient: bool) -> Option<(Spots, Plan)> {
        let zones = &self.0.zones;
        let spots = zones.catalog.get(id)?;
        let tier = spots.tier.unwrap_or_else(|| self.0.learn_tier(id, spots));
        let expected = if patient { zones.expected() } else { 0 };
        Some((spots, plan(self.0.tier(tier), spots, zones.there(), expected)))
    }
}

impl Inner {
    /// Finds out to which tier a file belongs; that of `STANDARD` as long as nobody can read what it says.
    fn learn_tier(self: &Arc<Self>, id: u64, spots: Spots) -> Tier {
        let tiers = &self.settings.tiers;
        let storage = if tiers.len() < 2 {
            Some(StorageClass::default())
        } else if spots.solo {
            let sum = self
                .read_copies(FileKey::Sum(SoloId(id)), Access::Read, &mut |file| self.read_sum(SoloId(id), &**file));
            sum.ok().map(|sum| sum.storage)
        } else {
            self.header_of(SegmentId(id)).map(|header| header.storage)
        };
        let tier = tier_of(tiers, storage.unwrap_or_default());
        if storage.is_some() {
            self.zones.catalog.change(id, |spots| spots.tier = Some(tier));
        }
        tier
    }

    /// Makes a whole copy in a zone, or finds that the one there is whole, as the disk has it: of what a failed sync was to
    /// write, the system's cache shows what the disk does not have. Bytes written.
    fn bring(self: &Arc<Self>, key: FileKey, zone: usize, tick: &mut dyn FnMut(u64) -> Result<()>) -> Result<u64> {
        let made = match key {
            FileKey::Segment(id) => self.bring_segment(id, zone, tick),
            FileKey::Solo(id) | FileKey::Sum(id) => self.bring_solo(id, zone, tick),
        };
        if made.is_err() {
            let disk = &self.zones.member(zone).disk;
            for key in key.parts() {
                let _ = disk.remove(&new_path(key));
            }
        }
        let (bytes, whole) = made?;
        if !self.zones.brought(key, zone, whole) {
            // It was deleted meanwhile.
            self.zones.remove_in(key, zone);
        }
        Ok(bytes)
    }

    /// The copies of a file: whole ones first, that in `zone` last.
    fn sources(&self, key: FileKey, zone: usize) -> Opened {
        let order = self.zones.reading_order(key);
        let last = order.iter().copied().filter(|other| *other == zone);
        let order = order.iter().copied().filter(|other| *other != zone).chain(last);
        let mut opened = Opened { copies: Vec::new(), unread: None };
        for zone in order {
            match self.zones.member(zone).disk.open(&key.path(), Access::Read) {
                Ok(file) => opened.copies.push((zone, file, self.zones.trusts(key, zone))),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => opened.unread = Some((zone, Error::io(format!("cannot open {key}"), error))),
            }
        }
        opened
    }

    /// Finds out which zones are there of those that have a file: a disk that dies reads as one that is damaged.
    fn suspect_copies(&self, key: FileKey) {
        self.zones.having(key).into_iter().for_each(|zone| self.zones.suspect(zone));
    }

    /// Refuses to go on without a copy that cannot be read now and may have what the others lack. That of a lost zone is waited for.
    fn need_read(&self, unread: Option<(usize, Error)>) -> Result<()> {
        match unread {
            Some((zone, error)) if self.zones.member(zone).is_there() => Err(error),
            _ => Ok(()),
        }
    }

    fn look_at(
        self: &Arc<Self>,
        id: SegmentId,
        file: Arc<dyn DiskFile>,
        trusted: bool,
        tick: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Source> {
        let mut runs: BTreeMap<u32, RunFound> = BTreeMap::new();
        let report = self.scan_file(id, Arc::clone(&file), &mut |run| drop(runs.insert(run.run.offset, run)))?;
        tick(file.size().unwrap_or(0))?;
        let read = report.headless.is_empty() && runs.values().all(|run| run.bad_frames.is_empty());
        Ok(Source { file, trusted: trusted && read, report, runs })
    }

    fn bring_segment(
        self: &Arc<Self>,
        id: SegmentId,
        zone: usize,
        tick: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<(u64, bool)> {
        let key = FileKey::Segment(id);
        let own = match self.zones.member(zone).disk.open(&key.path(), Access::Direct) {
            Ok(file) => self.look_at(id, file, false, tick).ok(),
            Err(_) => None,
        };
        if own.as_ref().is_some_and(Source::is_whole) {
            self.keep_copy(key, zone)?;
            return Ok((0, true));
        }
        let Opened { copies, mut unread } = self.sources(key, zone);
        let mut sources: Vec<Source> = Vec::new();
        for (other, file, trusted) in copies {
            let source = match self.look_at(id, file, trusted, tick) {
                Ok(source) => source,
                Err(error) if error.kind() == Kind::Io => {
                    unread = Some((other, error));
                    continue;
                }
                Err(error) if error.kind() == Kind::Corrupt => continue,
                Err(error) => return Err(error),
            };
            let whole = source.is_whole();
            sources.push(source);
            if whole {
                break;
            }
        }
        let whole = sources.iter().any(|source| source.trusted || source.is_whole());
        if !whole {
            self.suspect_copies(key);
            self.need_read(unread)?;
        }
        if let Some(own) = &own
            && !sources.iter().any(|source| source.improves(own))
        {
            self.keep_copy(key, zone)?;
            return Ok((0, whole));
        }
        sources.sort_by_key(|source| std::cmp::Reverse((source.is_whole(), source.rank())));
        let Some((base, others)) = sources.split_first() else {
            return Err(Error::corrupt(format!("cannot make a copy of {key}"), "no copy of it can be read"));
        };
        if !whole && self.zones.must_wait(key, zone) {
            return Ok((0, false));
        }
        let target = self.begin_copy(key, zone)?;
        let failed =
            |error| Error::io(format!("cannot make a copy of {key} in zone {}", self.zones.member(zone).name), error);
        let bytes = copy_bytes(&*base.file, &*target, tick, &failed)?;
        if !base.is_whole() {
            let mut runs = base.runs.clone();
            let bind = Binder::segment(&self.settings.store, id);
            let mut headed = base.report.class.is_some();
            for other in others {
                if !headed && other.report.class.is_some() {
                    copy_stretch(&*other.file, &*target, 0, HEADER_BYTES as u64).map_err(failed)?;
                    headed = true;
                }
                for (offset, run) in &other.runs {
                    patch(&bind, &*other.file, &*target, run, runs.get(offset)).map_err(failed)?;
                    runs.entry(*offset)
                        .and_modify(|known| known.bad_frames.retain(|frame| run.bad_frames.contains(frame)))
                        .or_insert_with(|| run.clone());
                }
            }
        }
        let made = self.look_at(id, self.sync_copy(key, zone, &*target)?, false, tick)?;
        if own.iter().chain(&sources).any(|source| source.improves(&made)) {
            return Err(self.not_as_read(key, zone));
        }
        self.complete_copy(key, zone)?;
        Ok((bytes, whole))
    }

    fn bring_solo(&self, id: SoloId, zone: usize, tick: &mut dyn FnMut(u64) -> Result<()>) -> Result<(u64, bool)> {
        let key = FileKey::Solo(id);
        let (sum, table) = self.read_copies(FileKey::Sum(id), Access::Read, &mut |file| {
            let table = self.read_table(id, &**file)?;
            let mut bytes = vec![0; usize::try_from(file.size().unwrap_or(0)).unwrap_or(0)];
            let got =
                file.read_at(0, &mut bytes).map_err(|e| Error::io(format!("cannot read the checksums of {key}"), e))?;
            bytes.truncate(got);
            Ok((bytes, table))
        })?;
        if self.is_whole_solo(id, zone, &table, &sum, tick)? {
            self.keep_copy(key, zone)?;
            return Ok((0, true));
        }
        let failed =
            |error| Error::io(format!("cannot make a copy of {key} in zone {}", self.zones.member(zone).name), error);
        let Opened { copies, unread } = self.sources(key, zone);
        let target = self.begin_copy(key, zone)?;
        let (mut buf, mut missing) = (vec![0; FRAME as usize], Vec::new());
        for frame in 0..table.crcs.len() as u64 {
            let at = frame * FRAME;
            let bytes = &mut buf[..(table.len - at).min(FRAME) as usize];
            let mut has_it = || {
                copies.iter().any(|(_, file, _)| {
                    matches!(file.read_at(at, bytes), Ok(got) if got == bytes.len()) && table.verify(frame, bytes)
                })
            };
            let found = has_it() || {
                self.suspect_copies(key);
                has_it()
            };
            // What none has stays a hole, which does not verify either.
            if found {
                target.write_at(at, bytes).and_then(|()| keep_up(&*target, at + FRAME)).map_err(failed)?;
            } else {
                missing.push(frame);
            }
            tick(bytes.len() as u64 * 2)?;
        }
        let whole = missing.is_empty();
        if !whole {
            self.need_read(unread)?;
            if self.zones.must_wait(key, zone) {
                let _ = self.zones.member(zone).disk.remove(&new_path(key));
                return Ok((0, false));
            }
        }
        target.set_len(table.len).map_err(failed)?;
        let made = self.sync_copy(key, zone, &*target)?;
        tick(table.len)?;
        let bad = super::solo::verify_frames(id, &table, &*made, &|| true)?;
        if bad.iter().any(|bad| missing.binary_search(&bad.frame).is_err()) {
            return Err(self.not_as_read(key, zone));
        }
        self.complete_copy(key, zone)?;
        let beside = self.begin_copy(FileKey::Sum(id), zone)?;
        beside.write_at(0, &sum).map_err(failed)?;
        if !is_all_of(&*self.sync_copy(FileKey::Sum(id), zone, &*beside)?, &sum) {
            return Err(self.not_as_read(FileKey::Sum(id), zone));
        }
        self.complete_copy(FileKey::Sum(id), zone)?;
        self.maps.removed(id);
        Ok((table.len, whole))
    }

    fn is_whole_solo(
        &self,
        id: SoloId,
        zone: usize,
        table: &SoloTable,
        sum: &[u8],
        tick: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<bool> {
        let disk = &self.zones.member(zone).disk;
        let (Ok(file), Ok(beside)) = (disk.open(&id.path(), Access::Direct), disk.open(&id.sum_path(), Access::Direct))
        else {
            return Ok(false);
        };
        if !is_all_of(&*beside, sum) {
            return Ok(false);
        }
        tick(table.len)?;
        Ok(super::solo::verify_frames(id, table, &*file, &|| true).is_ok_and(|bad| bad.is_empty()))
    }

    /// A new file in a zone, under the name that a copy has while it is made.
    fn begin_copy(&self, key: FileKey, zone: usize) -> Result<Arc<dyn DiskFile>> {
        let path = new_path(key);
        let failed =
            |error| Error::io(format!("cannot begin a copy of {key} in zone {}", self.zones.member(zone).name), error);
        match self.zones.member(zone).disk.remove(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        self.zones.create_at(zone, &path).map_err(failed)
    }

    /// Syncs a copy that was made; it, as the disk has it.
    fn sync_copy(&self, key: FileKey, zone: usize, file: &dyn DiskFile) -> Result<Arc<dyn DiskFile>> {
        let member = self.zones.member(zone);
        let synced = file.sync_data().and_then(|()| member.disk.open(&new_path(key), Access::Direct));
        synced.map_err(|error| Error::io(format!("cannot sync a copy of {key} in zone {}", member.name), error))
    }

    /// Gives a copy its name.
    fn complete_copy(&self, key: FileKey, zone: usize) -> Result<()> {
        let member = self.zones.member(zone);
        let path = key.path();
        let done = member
            .disk
            .rename(&new_path(key), &path)
            .and_then(|()| member.sync_names(path.parent().unwrap_or(Path::new(""))));
        member.handles.removed(key);
        done.map_err(|error| Error::io(format!("cannot complete a copy of {key} in zone {}", member.name), error))
    }

    /// The error for a copy that lacks what another has, or had when that was looked at.
    fn not_as_read(&self, key: FileKey, zone: usize) -> Error {
        self.suspect_copies(key);
        Error::new(Kind::Io, format!("cannot make a copy of {key} in zone {}", self.zones.member(zone).name))
            .why("what was written there does not read back as what it is a copy of")
            .mend("it is tried again; if this repeats, look at the disks of both")
    }

    /// Makes sure that a copy that was found is on the disk: what was read may be waiting to be written.
    fn keep_copy(&self, key: FileKey, zone: usize) -> Result<()> {
        let member = self.zones.member(zone);
        let kept = key.parts().into_iter().map(FileKey::path).try_for_each(|path| {
            member.disk.open(&path, Access::Write)?.sync_data()?;
            member.sync_names(path.parent().unwrap_or(Path::new("")))
        });
        kept.map_err(|error| Error::io(format!("cannot sync the copy of {key} in zone {}", member.name), error))
    }
}

fn new_path(key: FileKey) -> PathBuf {
    format!("{}{NEW}", key.path().display()).into()
}

/// Whether a file has these bytes and no more.
fn is_all_of(file: &dyn DiskFile, wanted: &[u8]) -> bool {
    let mut bytes = vec![0; wanted.len() + 1];
    matches!(file.read_at(0, &mut bytes), Ok(got) if got == wanted.len()) && bytes.starts_with(wanted)
}

/// Lets the disk begin with a copy that was written up to `end`, and waits for it now and then.
fn keep_up(to: &dyn DiskFile, end: u64) -> io::Result<()> {
    if end.is_multiple_of(SYNC_STEP) {
        return to.sync_data();
    }
    if end.is_multiple_of(STEP) {
        to.begin_write_back(end - STEP, STEP);
    }
    Ok(())
}

/// Copies all that can be read; the bytes copied. What cannot is left out: whoever reads the copy finds out.
fn copy_bytes(
    from: &dyn DiskFile,
    to: &dyn DiskFile,
    tick: &mut dyn FnMut(u64) -> Result<()>,
    failed: &dyn Fn(io::Error) -> Error,
) -> Result<u64> {
    let size = from.size().map_err(failed)?;
    let mut buf = vec![0; STEP as usize];
    let mut at = 0;
    while at < size {
        let len = (size - at).min(STEP);
        let bytes = &mut buf[..len as usize];
        if let Ok(got) = from.read_at(at, bytes) {
            to.write_at(at, &bytes[..got]).map_err(failed)?;
        } else {
            for piece in (at..at + len).step_by(HEADER_BYTES) {
                let bytes = &mut bytes[..(at + len - piece).min(HEADER_BYTES as u64) as usize];
                if let Ok(got) = from.read_at(piece, bytes) {
                    to.write_at(piece, &bytes[..got]).map_err(failed)?;
                }
            }
        }
        at += len;
        keep_up(to, at).map_err(failed)?;
        tick(len * 2)?;
    }
    to.set_len(size).map_err(failed)?;
    Ok(size)
}

fn copy_stretch(from: &dyn DiskFile, to: &dyn DiskFile, at: u64, len: u64) -> io::Result<()> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let got = from.read_at(at, &mut bytes)?;
    to.write_at(at, &bytes[..got])
}

/// Writes what `from` has of a run and `known`, which is there, has not.
fn patch(
    bind: &Binder,
    from: &dyn DiskFile,
    to: &dyn DiskFile,
    run: &RunFound,
    known: Option<&RunFound>,
) -> io::Result<()> {
    let Run { segment, offset, len } = run.run;
    let at = u64::from(offset);
    let Some(known) = known else {
        return match run::read_raw(from, offset, len) {
            Some(bytes) => to.write_at(at, &bytes),
            None => Ok(()),
        };
    };
    let mut bytes = [0; HEAD_BYTES_MAX];
    let got = from.read_at(at, &mut bytes)?;
    let Ok(head) = RunHead::decode(&bytes[..got], bind, segment, offset) else { return Ok(()) };
    for frame in known.bad_frames.iter().filter(|frame| !run.bad_frames.contains(frame)) {
        let place = head.places.frame(*frame);
        copy_stretch(from, to, at + u64::from(head.head + place.start), place.len() as u64)?;
    }
    Ok(())
}
