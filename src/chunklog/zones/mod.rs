//! Zones: directories, meant to be disks of their own, in which the log's files lie, each file in one or more of them.
//!
//! A zone whose disk fails is *lost*: it is neither read nor written until it is there again and was found to be the
//! right one. What it has then may lack what was written meanwhile. Files never change but by growing, so any number
//! below that of the oldest file which was not durable in full when the zone was last seen well is as good as it was:
//! the first number that is not is the zone's *doubt*, which is on the store's disk before anything is acknowledged
//! that only others have. Doubted copies are read last, checked, and never handed out unchecked.
//!
//! Locks, each held for a look or a step only: a member's state, then the catalog. Neither is held while a zone is read or written.

mod care;
mod catalog;
mod choose;
mod claim;
mod copies;
mod sign;

pub(super) use care::NEW;
pub(super) use catalog::{Spots, mask, number, places};
pub(super) use choose::{Plan, plan, writable};

pub use sign::has_zone_list;

use super::cache::Handles;
use super::durable::KnownDirs;
use super::format::journal::RawRun;
use super::id::{FileKey, SegmentId};
use crate::model::{Error, Kind, Result, Timestamp};
use crate::sys::clock::Clock;
use crate::sys::disk::{Disk, Space};
use crate::sys::lock::LockFile;
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use catalog::Catalog;
use sign::{Found, Listed, Sign, Signed};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Zones of a store, its own directory among them: places are kept in the bits of a number.
pub const ZONES_MAX: usize = 32;
/// The store's own directory as a zone.
pub const HOME: &str = "home";

/// For how many milliseconds a lost zone is waited for before its files get other copies.
const PATIENCE: i64 = 600_000;

/// A directory for files of the log besides the store's own.
#[derive(Clone)]
pub struct Zone {
    /// What the configuration calls it.
    pub name: String,
    /// Its directory, for messages and for who copies files by their paths.
    pub place: PathBuf,
    /// Its files; the directory is the root.
    pub disk: Arc<dyn Disk>,
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zone").field("name", &self.name).field("place", &self.place).finish()
    }
}

/// How a zone is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneState {
    /// Its name; the store's own directory is `home`.
    pub name: String,
    /// Since when it is lost, and why.
    pub lost: Option<(Timestamp, String)>,
    /// Whether copies in it may not be whole, since it was lost.
    pub doubted: bool,
    /// Files of the log that have a copy there.
    pub files: usize,
    /// Of these, copies that are known or feared not to be whole.
    pub bad: usize,
    /// Room on its disk, when it says.
    pub space: Option<Space>,
}

/// The zones of a log.
pub struct Zones {
    store: [u8; 16],
    clock: Arc<dyn Clock>,
    /// Whether nothing may be written.
    fixed: bool,
    members: Box<[Member]>,
    pub(super) catalog: Catalog,
    /// Counts changes to what the list on the disk is to say, and how many of these it says.
    changed: AtomicU64,
    saved: AtomicU64,
    saving: Mutex<()>,
    /// Zones that the store knows and the configuration has no more.
    left_out: Mutex<Vec<Listed>>,
    /// Whether files may lack copies that did not when somebody looked last.
    touched: AtomicBool,
    tending: Mutex<()>,
    /// Whether a zone came back since somebody asked.
    returned: AtomicBool,
    /// This opening of the store; 0 before it writes.
    epoch: AtomicU32,
    /// What is to be told to a person.
    notices: Mutex<Vec<Error>>,
}

/// One of the zones.
pub(super) struct Member {
    pub(super) name: String,
    place: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) handles: Handles,
    pub(super) dirs: KnownDirs,
    /// Counts losses and returns: odd while it is lost. What was opened at another count is not used any more.
    turns: AtomicU64,
    /// All files below this number were durable when the zone was last seen well.
    settled: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lost: Option<(Timestamp, String)>,
    /// See [`Listed::disks`].
    disks: u32,
    /// See [`Signed`]; the same twice once this opening stands there.
    signed: Signed,
    /// Held while this process uses it.
    lock: Option<LockFile>,
    doubted: Option<u64>,
}

impl Member {
    fn new(name: &str, place: PathBuf, disk: Arc<dyn Disk>, open_files: usize) -> Self {
        Self {
            name: name.to_owned(),
            place,
            handles: Handles::new(Arc::clone(&disk), open_files),
            disk,
            dirs: KnownDirs::default(),
            turns: AtomicU64::new(0),
            settled: AtomicU64::new(u64::MAX),
            state: Mutex::default(),
        }
    }

    /// Its turn, when it is not lost.
    pub(super) fn turn(&self) -> Option<u64> {
        Some(self.turns.load(Ordering::Acquire)).filter(|turn| turn.is_multiple_of(2))
    }

    pub(super) fn is_there(&self) -> bool {
        self.turn().is_some()
    }

    /// Makes the names in a directory of the log durable.
    pub(super) fn sync_names(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)?;
        if !self.dirs.lock().contains(dir) {
            self.disk.sync_dir(dir.parent().unwrap_or(Path::new("")))?;
            // In the store's own directory the log made what is there when it was opened.
            if self.name != HOME {
                self.disk.sync_dir(Path::new(""))?;
            }
            self.dirs.lock().insert(dir.into());
        }
        Ok(())
    }

    fn doubts(&self, id: u64) -> bool {
        self.state.lock().doubted.is_some_and(|from| id >= from)
    }

    fn free(&self) -> u64 {
        self.disk.space().map_or(0, |space| space.free)
    }
}

impl Zones {
    /// The store's own directory alone.
    #[must_use]
    pub fn home(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, open_files: usize) -> Self {
        Self::of([0; 16], vec![Member::new(HOME, PathBuf::new(), disk, open_files)], clock, true)
    }

    fn of(store: [u8; 16], members: Vec<Member>, clock: Arc<dyn Clock>, fixed: bool) -> Self {
        Self {
            store,
            clock,
            fixed,
            members: members.into(),
            catalog: Catalog::default(),
            changed: AtomicU64::new(0),
            saved: AtomicU64::new(0),
            saving: Mutex::default(),
            left_out: Mutex::default(),
            touched: AtomicBool::new(true),
            tending: Mutex::default(),
            returned: AtomicBool::new(false),
            epoch: AtomicU32::new(0),
            notices: Mutex::default(),
        }
    }

    /// Finds the zones of a store: those that the store knows must be the ones they were, one that is new gets its `ZONE`
    /// file if its directory is empty. A zone that is not there is lost. `had`: the store has had zones, and where it has no list
    /// of them any more they say themselves what they are. `fixed`: nothing is written. Names that the store
    /// knows and `others` has not are in the answer as well.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for too many zones, [`Kind::Conflict`] for a new one in whose directory something is,
    /// [`Kind::Corrupt`] when the list of zones is damaged, [`Kind::StoreUnavailable`] when there is none any more and a zone is
    /// not there, or what the store's own disk says.
    pub fn open(
        home: Arc<dyn Disk>,
        others: &[Zone],
        store: [u8; 16],
        clock: Arc<dyn Clock>,
        open_files: usize,
        had: bool,
        fixed: bool,
    ) -> Result<(Self, Vec<String>)> {
        let mut known = sign::listed(&*home, &store)?;
        if known.is_empty() && had {
            known = sign::listed_by_themselves(others, &store)?;
        }
        let is_left_out = |listed: &&Listed| listed.name != HOME && others.iter().all(|zone| zone.name != listed.name);
        let left_out: Vec<Listed> = known.iter().filter(is_left_out).cloned().collect();
        let names = left_out.iter().map(|listed| listed.name.clone()).collect();
        if others.len() >= ZONES_MAX {
            return Err(Error::new(Kind::InvalidArgument, "cannot open the store's zones").why(format!(
                "there are {}, and {} at most",
                others.len(),
                ZONES_MAX - 1
            )));
        }
        let mut members = vec![Member::new(HOME, PathBuf::new(), home, open_files)];
        members.extend(
            others.iter().map(|zone| Member::new(&zone.name, zone.place.clone(), Arc::clone(&zone.disk), open_files)),
        );
        let zones = Self::of(store, members, clock, fixed);
        *zones.left_out.lock() = left_out;
        for member in &zones.members {
            if let Some(listed) = known.iter().find(|listed| listed.name == member.name) {
                let mut state = member.state.lock();
                (state.disks, state.doubted, state.signed) = (listed.disks, listed.doubted, listed.signed);
            }
        }
        if !zones.alone() {
            zones.begin(&known)?;
        }
        Ok((zones, names))
    }

    fn begin(&self, known: &[Listed]) -> Result<()> {
        // Named first: what a crash leaves of the making of a new zone is taken up again.
        if !self.fixed && self.members.iter().skip(1).any(|member| member.state.lock().disks == 0) {
            self.refuse_strangers(known)?;
            self.save().map_err(|error| Error::io("cannot write the list of zones", error))?;
        }
        for (zone, member) in self.members.iter().enumerate().skip(1) {
            let is_new = member.state.lock().disks == 0;
            let mut found = self.claim(zone);
            if is_new && !self.fixed && matches!(found, Found::Empty) {
                let sign = Sign { disk: 1, opened: 0 };
                found = match sign::make(&*member.disk, &self.store, &member.name, sign) {
                    Ok(()) => self.claim(zone),
                    Err(error) => Found::Unread(error),
                };
            }
            match found {
                Found::Ours(_) => {
                    let mut state = member.state.lock();
                    state.disks = state.disks.max(1);
                }
                found => self.lose(zone, &found.why()),
            }
        }
        self.list_files()?;
        if !self.fixed {
            self.save().map_err(|error| Error::io("cannot write the list of zones", error))?;
        }
        Ok(())
    }

    /// A zone that this store never had must be empty: another store may use it, and one restored from a backup has the
    /// name and the settings of the one before.
    fn refuse_strangers(&self, known: &[Listed]) -> Result<()> {
        for member in self.members.iter().skip(1) {
            if known.iter().any(|listed| listed.name == member.name) {
                continue;
            }
            let why = match sign::find(&*member.disk, &self.store, &member.name) {
                Found::Empty | Found::Unread(_) => continue,
                Found::Ours(_) => {
                    "a store of this id has had it, and this one, such as one restored from a backup, has not"
                        .to_owned()
                }
                found => found.why(),
            };
            return Err(Error::new(Kind::Conflict, format!("cannot take {:?} for a zone of the store", member.name))
                .why(why)
                .mend("give the zone an empty directory in the store's keyfold.toml, or empty that one if nobody needs what is in it"));
        }
        Ok(())
    }

    /// The opening `epoch` of the store writes from here on, to its own files, and to those from `oldest` on as well if the one
    /// before did not come to its end: what is lost until then has all before.
    ///
    /// # Errors
    /// When the list of zones cannot be written.
    pub fn begin_writing(&self, epoch: u32, oldest: Option<u64>) -> Result<()> {
        if self.alone() {
            return Ok(());
        }
        self.epoch.store(epoch, Ordering::SeqCst);
        for (zone, _) in self.each().skip(1).filter(|(_, member)| member.is_there()) {
            match self.look(zone) {
                Found::Ours(sign) => self.announce(zone, sign.opened),
                found => self.lose(zone, &found.why()),
            }
        }
        let first = SegmentId::new(epoch, 0).0;
        let first = oldest.unwrap_or(first).min(first);
        for member in &self.members {
            member.settled.store(first, Ordering::SeqCst);
        }
        // It says as well what was announced.
        self.doubt_lost(first)?;
        for (zone, _) in self.each().skip(1).filter(|(_, member)| member.is_there()) {
            self.sign(zone).unwrap_or_else(|error| self.lose(zone, &error.to_string()));
        }
        self.save_doubts().map_err(|error| Error::io("cannot write the list of zones", error))
    }

    /// Files from `first` on may not be whole in zones that are lost, on the disk when this returns.
    pub(super) fn doubt_lost(&self, first: u64) -> Result<()> {
        for member in &self.members {
            let mut state = member.state.lock();
            if state.lost.is_some() {
                self.doubt(&mut state, first);
            }
        }
        self.save_doubts().map_err(|error| Error::io("cannot write the list of zones", error))
    }

    /// Refuses to do `what` while a zone is lost.
    ///
    /// # Errors
    /// [`Kind::StoreUnavailable`], naming the first zone that is lost.
    pub fn need_all(&self, what: &str) -> Result<()> {
        let lost = self.each().find_map(|(_, member)| Some((member, member.state.lock().lost.clone()?.1)));
        match lost {
            None => Ok(()),
            Some((member, why)) => {
                Err(Error::new(Kind::StoreUnavailable, format!("cannot {what}, zone {} is lost", member.name))
                    .why(why)
                    .mend("mount its disk; if it is gone for good, take the zone out of the store's keyfold.toml"))
            }
        }
    }

    /// Keeps, in the store's own directory, runs of segments that no zone has which is there, while one that may have them is lost:
    /// what else is in these segments is in doubt there until that one is back.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the zone is not lost but left out of the configuration, or what the store's own disk says.
    pub(super) fn keep_at_home(&self, runs: &[&RawRun]) -> Result<()> {
        let Some(first) = runs.iter().map(|run| run.segment.0).min() else { return Ok(()) };
        if let Some(zone) = self.left_out.lock().first() {
            return Err(Error::new(Kind::Conflict, format!("cannot open the store without zone {}", zone.name))
                .why("the store was not closed, and its journal holds bytes of files that may lie in that zone alone")
                .mend("put the zone back into [zones], and leave it out when the store was closed"));
        }
        if self.there() == self.all() {
            // They were deleted since.
            return Ok(());
        }
        let failed = |error| Error::io("cannot keep what the journal has of a lost zone", error);
        self.doubt(&mut self.own().state.lock(), first);
        self.save_doubts().map_err(failed)?;
        let mut files = BTreeMap::new();
        for run in runs {
            let key = FileKey::Segment(run.segment);
            let file = match files.entry(key) {
                Entry::Occupied(file) => file.into_mut(),
                Entry::Vacant(place) => place.insert(self.create_at(0, &key.path()).map_err(failed)?),
            };
            file.write_at(u64::from(run.offset), &run.bytes).map_err(failed)?;
        }
        for (key, file) in files {
            file.sync_data().map_err(failed)?;
            self.own().sync_names(key.path().parent().unwrap_or(Path::new(""))).map_err(failed)?;
            self.catalog.found(number(key), false, 0, true);
        }
        Ok(())
    }

    /// Forgets zones that the configuration has no more, since nothing lies in them alone.
    ///
    /// # Errors
    /// When the list of zones cannot be written.
    pub fn forget_others(&self) -> Result<()> {
        self.left_out.lock().clear();
        self.save().map_err(|error| Error::io("cannot write the list of zones", error))
    }

    /// Bytes of the smallest disk of those that are there.
    ///
    /// # Errors
    /// When the store's own disk cannot be asked.
    pub fn smallest(&self) -> Result<u64> {
        let own = self.own().disk.space().map_err(|error| Error::io("cannot ask the disk for its size", error))?;
        let others = self.each().skip(1).filter(|(_, member)| member.is_there());
        Ok(others.filter_map(|(_, member)| Some(member.disk.space().ok()?.total)).fold(own.total, u64::min))
    }

    /// Whether there is no zone but the store's own directory.
    pub(super) fn alone(&self) -> bool {
        self.members.len() == 1
    }

    pub(super) fn own(&self) -> &Member {
        &self.members[0]
    }

    pub(super) fn member(&self, zone: usize) -> &Member {
        &self.members[zone]
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (usize, &Member)> {
        self.members.iter().enumerate()
    }

    /// Those of which something is so.
    fn those(&self, is_so: impl Fn(&Member) -> bool) -> u32 {
        mask(self.each().filter(|(_, member)| is_so(member)).map(|(zone, _)| zone))
    }

    /// Those that are not lost.
    pub(super) fn there(&self) -> u32 {
        self.those(Member::is_there)
    }

    /// Gives a zone up until it is found to be there again.
    pub(super) fn lose(&self, zone: usize, why: &str) {
        let member = &self.members[zone];
        {
            let mut state = member.state.lock();
            if let Some((_, known)) = &mut state.lost {
                why.clone_into(known);
                return;
            }
            state.lost = Some((self.clock.now(), why.to_owned()));
            self.doubt(&mut state, member.settled.load(Ordering::SeqCst));
            member.turns.fetch_add(1, Ordering::AcqRel);
        }
        self.touch();
        member.handles.clear();
        member.dirs.lock().clear();
        tracing::warn!(zone = member.name, why, "a zone is lost");
        self.tell(
            Error::new(Kind::Io, format!("zone {} is lost, the others go on", member.name))
                .why(why.to_owned())
                .mend("mount its disk again; in place of a broken one give its directory an empty one and run `keyfold zones --adopt`"),
        );
    }

    /// Files may lack copies.
    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::SeqCst);
    }

    /// Whether files may lack copies that did not at the last call.
    pub(super) fn take_touch(&self) -> bool {
        self.touched.swap(false, Ordering::SeqCst)
    }

    /// The directories of the zones in which a file can be read, the best first; an empty one for the store's own.
    pub(super) fn places_of(&self, key: FileKey) -> Vec<&Path> {
        let mut zones = self.reading_order(key);
        // The store's own disk is there in any case.
        zones.sort_by_key(|zone| (!self.trusts(key, *zone), *zone > 0));
        zones.into_iter().map(|zone| self.members[zone].place.as_path()).collect()
    }

    /// Writes the list of zones when it has changed: before anything is acknowledged that those in doubt lack, and before one is signed.
    pub(super) fn save_doubts(&self) -> io::Result<()> {
        if self.saved.load(Ordering::SeqCst) >= self.changed.load(Ordering::SeqCst) || self.fixed {
            return Ok(());
        }
        self.save()
    }

    /// From this number on a zone's copies may not be whole.
    fn doubt(&self, state: &mut State, from: u64) {
        if state.doubted.is_none_or(|known| from < known) {
            state.doubted = Some(from);
            self.changed.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn save(&self) -> io::Result<()> {
        let _alone = self.saving.lock();
        // Nobody takes it for written before it is.
        let covers = self.changed.load(Ordering::SeqCst);
        let listed = |member: &Member| {
            let state = member.state.lock();
            Listed { name: member.name.clone(), disks: state.disks, doubted: state.doubted, signed: state.signed }
        };
        let mut list: Vec<Listed> = self.members.iter().map(listed).collect();
        list.extend(self.left_out.lock().iter().cloned());
        sign::write_list(&*self.own().disk, &self.store, &list)?;
        self.saved.fetch_max(covers, Ordering::SeqCst);
        Ok(())
    }

    /// Zones that were lost a short while ago: as a rule they come back with what they had.
    pub(super) fn expected(&self) -> u32 {
        let now = self.clock.now();
        let fresh = |member: &Member| {
            let state = member.state.lock();
            state.lost.as_ref().is_some_and(|(since, _)| now.millis() - since.millis() < PATIENCE)
        };
        self.those(fresh)
    }

    /// How each zone is doing.
    pub(super) fn states(&self) -> Vec<ZoneState> {
        let state = |(zone, member): (usize, &Member)| {
            let (lost, doubted) = {
                let state = member.state.lock();
                (state.lost.clone(), state.doubted.is_some())
            };
            ZoneState {
                name: member.name.clone(),
                space: if lost.is_some() { None } else { member.disk.space().ok() },
                lost,
                doubted,
                files: self.catalog.count(|_, spots| spots.has & 1 << zone != 0),
                bad: self.catalog.count(|_, spots| spots.bad & 1 << zone != 0),
            }
        };
        self.each().map(state).collect()
    }

    /// Ends the doubt of zones in which every copy was looked at.
    pub(super) fn end_doubts(&self) -> io::Result<()> {
        for (zone, member) in self.each() {
            let mut state = member.state.lock();
            if state.doubted.is_none()
                || state.lost.is_some()
                || self.catalog.count(|_, spots| spots.bad & 1 << zone != 0) > 0
            {
                continue;
            }
            state.doubted = None;
            self.changed.fetch_add(1, Ordering::SeqCst);
            self.tell(
                Error::new(Kind::Io, format!("zone {} is whole", member.name))
                    .why("all copies in it were looked at since it came back"),
            );
        }
        self.save_doubts()
    }

    /// What is to be told to a person since the last call.
    pub(super) fn notices(&self) -> Vec<Error> {
        std::mem::take(&mut *self.notices.lock())
    }

    pub(super) fn tell(&self, notice: Error) {
        self.notices.lock().push(notice);
    }
}
