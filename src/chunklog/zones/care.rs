//! Files in zones: making them, finding them, losing them; and zones that come back.

use super::super::durable::{is_full, is_scarcity};
use super::super::id::{FileKey, SegmentId, SoloId};
use super::super::tier::{Tier, TierSettings};
use super::catalog::{Spots, mask, number, places};
use super::choose::{Place, order, readers};
use super::copies::Copies;
use super::sign::{Found, Sign, find};
use super::{HOME, Zones};
use crate::model::{Error, Kind, Result};
use crate::sys::disk::{Access, DiskFile};
use crate::sys::sync::atomic::Ordering;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// What the name of a copy ends with while it is made.
pub(in crate::chunklog) const NEW: &str = ".new";

type File = Arc<dyn DiskFile>;

/// A file that was made in a zone, in a turn of that.
pub(super) type Made = (usize, u64, File);

/// A file of the log in one zone.
#[derive(Clone, Copy, Default)]
struct Seen {
    solo: bool,
    /// Bytes, of the checksums too.
    len: u64,
    /// Whether an object and its checksums are both there.
    parts: u8,
}

impl Seen {
    const fn is_in_one_piece(self) -> bool {
        self.parts == if self.solo { 2 } else { 1 }
    }
}

impl Zones {
    /// Creates a file in as many zones as its tier asks for, or fewer where fewer can be had.
    pub(in crate::chunklog) fn create(
        self: &Arc<Self>,
        key: FileKey,
        tier: Tier,
        settings: &TierSettings,
    ) -> io::Result<Arc<dyn DiskFile>> {
        if self.there() == 0 {
            self.tend(None);
        }
        let there: Vec<Place> = self
            .each()
            .filter(|(_, member)| member.is_there())
            .map(|(zone, member)| Place { zone, free: member.free() })
            .collect();
        let candidates = order(settings, &there);
        let wanted = |zone: &usize| settings.zones.contains(zone);
        let mut made = self.create_in(key, candidates.iter().copied().filter(wanted), settings.copies)?;
        if made.is_empty() {
            made = self.create_in(key, candidates.iter().copied().filter(|zone| !wanted(zone)), 1)?;
        }
        if made.is_empty() {
            return Err(io::Error::new(ErrorKind::NotFound, "no zone is there"));
        }
        if made.len() < settings.copies || !made.iter().all(|(zone, _, _)| wanted(zone)) {
            self.touch();
        }
        let has = mask(made.iter().map(|(zone, _, _)| *zone));
        let solo = matches!(key, FileKey::Solo(_));
        self.catalog.put(number(key), Spots { solo, has, bad: 0, tier: Some(tier) });
        // One that went meanwhile, and may be back, is not written to.
        let gone = made.iter().filter(|(zone, turn, _)| self.member(*zone).turn() != Some(*turn));
        let gone = mask(gone.map(|(zone, _, _)| *zone));
        if gone != 0 {
            self.touch();
            self.catalog.change(number(key), |spots| spots.bad |= gone);
        }
        self.save_doubts()?;
        Ok(Arc::new(Copies::new(Arc::clone(self), key, made)))
    }

    /// Creates the checksums of a file beside each of its whole copies.
    pub(in crate::chunklog) fn create_beside(self: &Arc<Self>, key: FileKey) -> io::Result<Arc<dyn DiskFile>> {
        let spots = self.catalog.get(number(key)).unwrap_or_default();
        let zones: Vec<usize> = places(spots.good() & self.there()).collect();
        let made = self.create_in(key, zones.iter().copied(), zones.len())?;
        let without = zones.iter().filter(|zone| made.iter().all(|(other, _, _)| other != *zone));
        let without = mask(without.copied());
        if without != 0 {
            self.touch();
            self.catalog.change(number(key), |spots| spots.bad |= without);
        }
        if made.is_empty() {
            return Err(io::Error::new(ErrorKind::NotFound, "no zone that has the file is there"));
        }
        self.save_doubts()?;
        Ok(Arc::new(Copies::new(Arc::clone(self), key, made)))
    }

    /// The file in up to `copies` of `zones`. A full disk's error is told when nobody else took it.
    fn create_in(&self, key: FileKey, zones: impl Iterator<Item = usize>, copies: usize) -> io::Result<Vec<Made>> {
        let (mut made, mut refused) = (Vec::new(), None);
        for zone in zones {
            if made.len() == copies {
                break;
            }
            let turn = self.member(zone).turn();
            match (self.create_at(zone, &key.path()), turn) {
                (Ok(file), Some(turn)) => made.push((zone, turn, file)),
                // It is back, and nobody has looked at it yet.
                (Ok(_), None) => drop(self.member(zone).disk.remove(&key.path())),
                (Err(error), _) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
                (Err(error), _) => {
                    if !is_scarcity(&error) {
                        self.lose(zone, &error.to_string());
                    }
                    // That of a full disk says more.
                    if !refused.as_ref().is_some_and(is_full) {
                        refused = Some(error);
                    }
                }
            }
        }
        match refused {
            Some(error) if made.is_empty() && is_scarcity(&error) => Err(error),
            _ => Ok(made),
        }
    }

    /// Creates a file in a zone, and the directory above it when this is the zone still.
    pub(in crate::chunklog) fn create_at(&self, zone: usize, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let member = self.member(zone);
        match member.disk.create_new(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Below a place where nothing is mounted a directory must not come to be.
                if !self.alone() {
                    match self.look(zone) {
                        Found::Ours(_) => {}
                        Found::Unread(error) => return Err(error),
                        found => return Err(io::Error::new(ErrorKind::NotFound, found.why())),
                    }
                }
                member.disk.create_dir_all(path.parent().unwrap_or(Path::new("")))?;
                member.disk.create_new(path)
            }
            made => made,
        }
    }

    /// What a zone's directory is now.
    pub(super) fn look(&self, zone: usize) -> Found {
        let member = self.member(zone);
        if member.name == HOME {
            let ours = Found::Ours(Sign { disk: 1, opened: 0 });
            return match member.disk.list(Path::new("seg")) {
                Ok(_) => ours,
                Err(error) if error.kind() == ErrorKind::NotFound => match member.disk.list(Path::new("")) {
                    Ok(_) => ours,
                    Err(error) => Found::Unread(error),
                },
                Err(error) => Found::Unread(error),
            };
        }
        let found = find(&*member.disk, &self.store, &member.name);
        let Found::Ours(sign) = found else { return found };
        let state = member.state.lock();
        if sign.disk != state.disks.max(1) {
            return Found::Other("it is not the directory that was last taken for the zone");
        }
        if !state.signed.contains(&sign.opened) {
            return Found::Other(
                "another store of this id, of which this one is a copy or which is a copy of it, uses it",
            );
        }
        found
    }

    /// Reads a file from one copy after another until `read` is content; `open` opens it in one.
    pub(in crate::chunklog) fn read<T>(
        &self,
        key: FileKey,
        open: &dyn Fn(usize) -> io::Result<Arc<dyn DiskFile>>,
        read: &mut dyn FnMut(usize, &File) -> Result<T>,
    ) -> Result<T> {
        let (mut failed, mut opened): (Vec<(usize, Error)>, _) = (Vec::new(), false);
        let mut tried = 0_u32;
        // Asked anew after each failure: the copy may have gone since another was made.
        while let Some(zone) = self.reading_order(key).into_iter().find(|zone| tried & 1 << zone == 0) {
            tried |= 1 << zone;
            let outcome = match open(zone) {
                Ok(file) => {
                    opened = true;
                    read(zone, &file)
                }
                Err(error) => {
                    self.suspect_zone(zone, key);
                    // An object without its checksums is one that is not whole.
                    let missing = error.kind() == ErrorKind::NotFound && !matches!(key, FileKey::Sum(_));
                    if missing && self.member(zone).is_there() {
                        self.catalog.change(number(key), |spots| {
                            spots.has &= !(1 << zone);
                            spots.bad &= !(1 << zone);
                        });
                    }
                    Err(super::super::files::unopened(key, error))
                }
            };
            match outcome {
                Ok(value) => {
                    failed.iter().for_each(|(zone, error)| self.bad_copy(key, *zone, error));
                    return Ok(value);
                }
                Err(error) if !matches!(error.kind(), Kind::Corrupt | Kind::Io) => return Err(error),
                Err(error) => {
                    if error.kind() == Kind::Io {
                        self.suspect_zone(zone, key);
                    }
                    failed.push((zone, error));
                }
            }
        }
        // Where no copy can be opened and one may lie in a zone that is lost, that is what there is to say; as with copies in doubt.
        // A zone that was lost when the store was opened has files of which nobody here knows.
        let spots = self.catalog.get(number(key)).unwrap_or_default();
        let away = spots.has & !self.there() != 0 || (spots.has == 0 && self.there() != self.all());
        match failed.into_iter().next() {
            Some((_, error)) if (opened || !away) && !self.may_be_elsewhere(key) => Err(error),
            _ => Err(self.in_lost_zones(key)),
        }
    }

    /// Whether what the copies of a file lack may be in a zone that is lost.
    fn may_be_elsewhere(&self, key: FileKey) -> bool {
        let id = number(key);
        self.there() != self.all() && self.having(key).into_iter().any(|zone| self.member(zone).doubts(id))
    }

    /// The zones that are there and have a copy of a file.
    pub(in crate::chunklog) fn having(&self, key: FileKey) -> Vec<usize> {
        let has = self.catalog.get(number(key)).map_or(0, |spots| spots.has);
        places(has & self.there()).collect()
    }

    /// The error for a file that may lie in lost zones only, or may be whole there only.
    pub(in crate::chunklog) fn nowhere(&self, key: FileKey) -> Option<Error> {
        let is_lost = self.there() != self.all() && self.having(key).is_empty();
        (is_lost || self.may_be_elsewhere(key)).then(|| self.in_lost_zones(key))
    }

    fn in_lost_zones(&self, key: FileKey) -> Error {
        let names: Vec<&str> = self.each().filter(|(_, m)| !m.is_there()).map(|(_, m)| m.name.as_str()).collect();
        Error::new(Kind::Io, format!("cannot read {key}"))
            .why(format!("its only copies are in zones that are lost: {}", names.join(", ")))
            .mend("mount their disks again")
    }

    /// Finds out whether a zone in which a file should be is there.
    fn suspect_zone(&self, zone: usize, key: FileKey) {
        if self.catalog.get(number(key)).is_some_and(|spots| spots.has & 1 << zone != 0) {
            self.suspect(zone);
        }
    }

    /// Takes note that a copy is not whole, while another is.
    pub(in crate::chunklog) fn bad_copy(&self, key: FileKey, zone: usize, error: &Error) {
        if !self.member(zone).is_there() {
            return;
        }
        let mut fresh = false;
        self.catalog.change(number(key), |spots| {
            fresh = spots.bad & 1 << zone == 0;
            if spots.has & 1 << zone != 0 {
                spots.bad |= 1 << zone;
            }
        });
        if fresh {
            self.touch();
            let name = &self.member(zone).name;
            self.tell(
                Error::corrupt(format!("the copy of {key} in zone {name} is not whole"), error.reason().to_owned())
                    .mend("its bytes are read from another copy, and it is made anew in the background"),
            );
        }
    }

    /// Gives up a copy for which something has run out: its zone's room, or what this process needs. What it has taken is given back, but what may be in a segment already is
    /// a copy as well, and stays until there is a better one.
    pub(super) fn cut_short(&self, key: FileKey, zone: usize, error: &io::Error) {
        let member = self.member(zone);
        self.touch();
        let removed = !matches!(key, FileKey::Segment(_)) && member.disk.remove(&key.path()).is_ok();
        member.handles.removed(key);
        self.catalog.change(number(key), |spots| {
            if removed && !matches!(key, FileKey::Sum(_)) {
                spots.has &= !(1 << zone);
            } else {
                spots.bad |= 1 << zone;
            }
        });
        if !removed {
            // Also after the next opening, to which it would look like any other. Once it is known as bad: a doubt without a bad
            // copy ends.
            self.doubt(&mut member.state.lock(), number(key));
        }
        let what = if is_full(error) {
            Error::new(Kind::Full, format!("zone {} has no room for a copy of {key}", member.name))
        } else {
            Error::new(Kind::Io, format!("cannot go on with the copy of {key} in zone {}", member.name))
        };
        self.tell(
            what.why(error.to_string()).mend(
                "it is made when there is enough again; until then there are fewer copies than its class asks for",
            ),
        );
    }

    /// Whether nobody has looked since a zone was lost whether its copy of a file is whole.
    pub(in crate::chunklog) fn is_doubted(&self, key: FileKey, zone: usize) -> bool {
        self.member(zone).doubts(number(key))
    }

    /// Whether a file's copy in a zone is whole, as far as anybody knows.
    pub(in crate::chunklog) fn trusts(&self, key: FileKey, zone: usize) -> bool {
        self.catalog.get(number(key)).is_some_and(|spots| spots.good() & self.there() & 1 << zone != 0)
    }

    /// A copy was made, or looked at: it is whole, or has all that any other has. Then there may be more in a zone that is lost,
    /// and it stays in doubt. False when its file was deleted meanwhile.
    pub(in crate::chunklog) fn brought(&self, key: FileKey, zone: usize, whole: bool) -> bool {
        let whole = whole || self.there() == self.all();
        self.catalog.change(number(key), |spots| {
            if whole {
                spots.has |= 1 << zone;
                spots.bad &= !(1 << zone);
            }
        })
    }

    /// Whether a copy that is not whole would be the first in a zone, where nothing says after the next opening what it is, while
    /// another may be whole in a zone that is lost.
    pub(in crate::chunklog) fn must_wait(&self, key: FileKey, zone: usize) -> bool {
        self.there() != self.all() && !self.having(key).contains(&zone)
    }

    /// Removes a copy from a zone.
    pub(in crate::chunklog) fn remove_in(&self, key: FileKey, zone: usize) {
        let member = self.member(zone);
        for key in key.parts() {
            if let Err(error) = member.disk.remove(&key.path())
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(%key, zone = member.name, %error, "a copy that nobody wants stays");
            }
            member.handles.removed(key);
        }
    }

    /// Of some zones the one in which a copy is to be made: where there is one that is not whole, or else where most room is.
    pub(in crate::chunklog) fn roomiest(&self, zones: u32, spots: Spots) -> Option<usize> {
        places(zones).max_by_key(|zone| (spots.has & 1 << zone != 0, self.member(*zone).free()))
    }

    /// The zones in which a file may be read, in order.
    pub(in crate::chunklog) fn reading_order(&self, key: FileKey) -> Vec<usize> {
        readers(self.catalog.get(number(key)), self.there(), number(key))
    }

    /// Finds out whether a zone that refused something is there.
    pub(in crate::chunklog) fn suspect(&self, zone: usize) {
        match self.look(zone) {
            Found::Ours(_) => {}
            found if found.is_moot() => {}
            found => self.lose(zone, &found.why()),
        }
    }

    /// Removes a file from all zones; from those that are lost when they are back.
    pub(in crate::chunklog) fn delete(&self, key: FileKey) -> Vec<Arc<dyn DiskFile>> {
        let lost = !self.there() & self.all();
        self.catalog.remove(number(key), !matches!(key, FileKey::Segment(_)), lost);
        let mut files = Vec::new();
        for (zone, member) in self.each().filter(|(_, member)| member.is_there()) {
            files.extend(member.disk.open(&key.path(), Access::Write).ok());
            if let Err(error) = member.disk.remove(&key.path())
                && error.kind() != ErrorKind::NotFound
            {
                self.catalog.remove(number(key), !matches!(key, FileKey::Segment(_)), 1 << zone);
                self.lose(zone, &error.to_string());
            }
            member.handles.removed(key);
        }
        files
    }

    pub(super) fn all(&self) -> u32 {
        mask(self.each().map(|(zone, _)| zone))
    }

    /// Takes stock of the files in all zones that are there.
    pub(super) fn list_files(&self) -> Result<()> {
        let mut found: BTreeMap<u64, Vec<(usize, Seen)>> = BTreeMap::new();
        for (zone, member) in self.each() {
            if !member.is_there() {
                continue;
            }
            match self.files_in(zone) {
                Ok(files) => files.into_iter().for_each(|(id, seen)| found.entry(id).or_default().push((zone, seen))),
                Err(error) if zone == 0 => return Err(Error::io("cannot list the files of the log", error)),
                Err(error) => self.lose(zone, &error.to_string()),
            }
        }
        for (id, copies) in found {
            // An object that nobody completed is no file yet; what is left of it is swept.
            if !copies.iter().any(|(_, seen)| seen.is_in_one_piece()) {
                continue;
            }
            let longest = copies.iter().map(|(_, seen)| seen.len).max().unwrap_or(0);
            for (zone, seen) in copies {
                let bad = self.member(zone).doubts(id) || seen.len < longest || !seen.is_in_one_piece();
                self.catalog.found(id, seen.solo, zone, bad);
            }
        }
        Ok(())
    }

    /// The files of the log in a zone. What the making of a copy left half done is removed.
    fn files_in(&self, zone: usize) -> io::Result<BTreeMap<u64, Seen>> {
        let disk = &self.member(zone).disk;
        let list = |dir: &Path| match disk.list(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        };
        let mut found: BTreeMap<u64, Seen> = BTreeMap::new();
        for top in ["seg", "solo"].map(Path::new) {
            for shard in list(top)?.into_iter().filter(|entry| entry.is_dir) {
                let dir = top.join(&shard.name);
                for file in list(&dir)?.into_iter().filter(|entry| entry.is_file) {
                    if file.name.ends_with(NEW) {
                        if !self.fixed {
                            let _ = disk.remove(&dir.join(&file.name));
                        }
                        continue;
                    }
                    let stem = file.name.strip_suffix(".sum").map(|stem| format!("{stem}.obj"));
                    let solo = SoloId::parse(stem.as_deref().unwrap_or(&file.name)).map(|id| (id.0, true));
                    let segment = SegmentId::parse(&file.name).map(|id| (id.0, false));
                    if let Some((id, solo)) = solo.or(segment) {
                        let seen = found.entry(id).or_default();
                        (seen.solo, seen.parts, seen.len) = (solo, seen.parts + 1, seen.len + file.len);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Looks whether each zone is there, gives up those that are not, and takes those up again that are. `settled`: files with
    /// smaller numbers were durable before this call, when the caller knows.
    pub(in crate::chunklog) fn tend(&self, settled: Option<u64>) {
        // Somebody else is at it, or waits for a disk.
        let Some(_alone) = self.tending.try_lock() else { return };
        for (zone, member) in self.each() {
            match (member.is_there(), self.look(zone)) {
                (true, Found::Ours(_)) => {
                    settled.inspect(|settled| member.settled.store(*settled, Ordering::SeqCst));
                }
                (false, Found::Ours(_)) if !self.fixed => self.take_up(zone),
                (false, Found::Ours(_)) => {}
                (_, found) if found.is_moot() => {}
                (_, found) => self.lose(zone, &found.why()),
            }
        }
        if let Err(error) = self.save_doubts() {
            self.tell(Error::io("cannot write the list of zones", error));
        }
    }

    /// A zone is there again: finds out what it has. It is read from here on, and written to; what it has of the time before is
    /// in doubt until it was looked at. One that cannot be written to stays lost.
    fn take_up(&self, zone: usize) {
        let member = self.member(zone);
        if zone > 0 {
            match self.claim(zone) {
                Found::Ours(sign) => self.announce(zone, sign.opened),
                found if found.is_moot() => return,
                found => return self.lose(zone, &found.why()),
            }
        }
        let signed = if zone == 0 { Ok(()) } else { self.sign(zone) };
        let files = match signed.and_then(|()| self.files_in(zone)) {
            Ok(files) => files,
            Err(error) => return self.lose(zone, &error.to_string()),
        };
        self.catalog.change_all(|id, spots| {
            if !files.contains_key(&id) {
                spots.has &= !(1 << zone);
                spots.bad &= !(1 << zone);
            }
        });
        for (id, seen) in &files {
            if !seen.is_in_one_piece() && self.catalog.get(*id).is_none() {
                continue;
            }
            let key = Spots { solo: seen.solo, ..Spots::default() }.key(*id);
            let bad = member.doubts(*id) || !seen.is_in_one_piece() || self.is_shorter(key, zone, seen.len);
            self.catalog.found(*id, seen.solo, zone, bad);
        }
        {
            let mut state = member.state.lock();
            state.lost = None;
            member.turns.fetch_add(1, Ordering::AcqRel);
        }
        // After its turn: what dies from here on is removed at once.
        for (id, solo) in self.catalog.dead_in(zone) {
            let gone = |key: &FileKey| match member.disk.remove(&key.path()) {
                Err(error) => error.kind() == ErrorKind::NotFound,
                Ok(()) => true,
            };
            let key = Spots { solo, ..Spots::default() }.key(id);
            if key.parts().iter().all(gone) {
                self.catalog.buried(id, zone);
            }
        }
        self.touch();
        tracing::info!(zone = member.name, "a zone is back");
        self.tell(
            Error::new(Kind::Io, format!("zone {} is back", member.name))
                .why("what it missed is written to it in the background"),
        );
        self.returned.store(true, Ordering::SeqCst);
    }

    /// Whether a zone came back since the last call.
    pub(in crate::chunklog) fn take_returned(&self) -> bool {
        self.returned.swap(false, Ordering::SeqCst)
    }

    /// Whether a copy of so many bytes has fewer than another.
    fn is_shorter(&self, key: FileKey, zone: usize, len: u64) -> bool {
        let others = self.catalog.get(number(key)).map_or(0, |spots| spots.good() & self.there() & !(1 << zone));
        let Some(other) = places(others).next() else { return false };
        self.bytes_in(other, key).is_ok_and(|bytes| bytes != len)
    }

    /// Bytes of a file in a zone, those of its checksums too.
    fn bytes_in(&self, zone: usize, key: FileKey) -> io::Result<u64> {
        let disk = &self.member(zone).disk;
        key.parts().iter().try_fold(0, |sum, part| Ok(sum + disk.file_len(&part.path())?.unwrap_or(0)))
    }

    /// Takes an empty directory for a zone that is lost: its disk was replaced. All it had is to be made anew.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for no zone's name, [`Kind::Conflict`] when it is there, or when something is in the
    /// directory, or what the disk says.
    pub(in crate::chunklog) fn adopt(&self, name: &str) -> Result<()> {
        let what = || format!("cannot take a new directory for zone {name}");
        let zone = self.each().skip(1).find(|(_, member)| member.name == name);
        let Some((zone, member)) = zone else {
            return Err(Error::new(Kind::InvalidArgument, what())
                .why("the store's keyfold.toml has no such zone")
                .mend("`keyfold zones` shows them"));
        };
        if member.is_there() {
            return Err(Error::new(Kind::Conflict, what()).why("it is not lost"));
        }
        match self.look(zone) {
            Found::Empty => {}
            Found::Ours(_) => {
                return Err(Error::new(Kind::Conflict, what()).why("it is there again, and taken up by itself"));
            }
            found => {
                return Err(Error::new(Kind::Conflict, what())
                    .why(found.why())
                    .mend("empty the directory first, if nobody needs what is in it"));
            }
        }
        // Known first: the one before is none of the store any more, should it come.
        {
            let mut state = member.state.lock();
            state.disks = state.disks.max(1) + 1;
        }
        self.announce(zone, 0);
        self.sign(zone).map_err(|error| Error::io(what(), error))
    }

    /// The highest epoch that the zones which are there know of, in the names of files or else.
    ///
    /// # Errors
    /// What the disks say.
    pub fn last_epoch(&self) -> Result<u32> {
        let mut last = 0;
        for (_, member) in self.each().filter(|(_, member)| member.is_there()) {
            last = last.max(super::super::last_epoch(&*member.disk)?);
            if let Found::Ours(sign) = find(&*member.disk, &self.store, &member.name) {
                last = last.max(sign.opened);
            }
        }
        Ok(last)
    }
}
