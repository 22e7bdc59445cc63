//! The log as a whole: opening, listing, deleting.

use super::cache::{Sharded, Weighed};
use super::durable::Tracked;
use super::format::{Binder, Flaw, footer};
use super::id::{Class, FileKey, SegmentId, SoloId};
use super::maps::Maps;
use super::read::RunTable;
use super::segment::OpenSegment;
use super::solo::{Live, SoloTable};
use super::tier::{Tier, TierSettings, tier_of};
use super::zones::{Zones, number};
use crate::model::{Error, Kind, Result, StorageClass};
use crate::sys::clock::Clock;
use crate::sys::disk::{Access, Disk, DiskFile};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How a log is opened.
#[derive(Clone)]
pub struct Settings {
    /// The store's id: bytes of other stores do not verify here.
    pub store: [u8; 16],
    /// A number that no earlier opening of this store had, durable before this one begins.
    pub epoch: u32,
    /// Bytes at which a segment is sealed and the next begun; at most 1 GiB.
    pub segment_bytes: u64,
    /// Files kept open for reading.
    pub open_files: usize,
    /// Runs whose checksums are kept in memory: about 120 bytes each, and 4 more for each 64 KiB.
    pub cached_runs: usize,
    /// Bytes of memory for the checksums of one-object files.
    pub cached_sum_bytes: usize,
    /// What the classes of storage ask for; the first is that of `STANDARD`, and every class is in one.
    pub tiers: Vec<TierSettings>,
    /// Dates new segments.
    pub clock: Arc<dyn Clock>,
}

impl Settings {
    /// The defaults: segments of 256 MiB, 512 open files, 65,536 runs and 16 MiB of tables in memory.
    #[must_use]
    pub fn new(store: [u8; 16], epoch: u32, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            epoch,
            segment_bytes: 256 << 20,
            open_files: 512,
            cached_runs: 1 << 16,
            cached_sum_bytes: 16 << 20,
            tiers: vec![TierSettings::default()],
            clock,
        }
    }
}

/// What a segment file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentState {
    /// This process appends to it.
    Open,
    /// Complete, with its directory of runs.
    Sealed,
    /// Without a directory: a crash or a full disk came first. Its runs read as well as any.
    Loose,
    /// A write or sync failed in this process: it takes no more, and what a failed sync covered is refused.
    Failed,
}

/// A segment file of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentInfo {
    /// Its name.
    pub id: SegmentId,
    /// What it is.
    pub state: SegmentState,
    /// Bytes of the file.
    pub bytes: u64,
}

/// What a one-object file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SoloState {
    /// Being written by this process.
    Open,
    /// Complete, with its checksums.
    Finished,
    /// Without checksums: a crash came first. It cannot be read.
    Unfinished,
}

/// A one-object file of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SoloInfo {
    /// Its name.
    pub id: SoloId,
    /// What it is.
    pub state: SoloState,
    /// Bytes of the file and of its checksums.
    pub bytes: u64,
}

/// Counts since the log was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Runs appended.
    pub runs: u64,
    /// Plain bytes appended, to segments and one-object files.
    pub appended: u64,
    /// Plain bytes read.
    pub read: u64,
    /// Frames that failed their checksum.
    pub bad_frames: u64,
    /// Files now waiting to be durable or still written.
    pub tracked: u64,
}

/// The log. Every call may be made by many threads at once.
pub struct ChunkLog(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) zones: Arc<Zones>,
    pub(super) settings: Settings,
    pub(super) lanes: Mutex<HashMap<(Tier, Class), Lane>>,
    pub(super) live: Mutex<HashMap<SoloId, Arc<Live>>>,
    pub(super) tables: Sharded<(SegmentId, u32), Arc<RunTable>>,
    pub(super) sums: Weighed<SoloId, Arc<SoloTable>>,
    pub(super) maps: Maps,
    pub(super) counts: Counts,
    pub(super) tracked: Mutex<BTreeMap<FileKey, Arc<Tracked>>>,
    next: AtomicU64,
    /// Numbers of files in zones that are being created, and not in `tracked` yet.
    pub(super) beginning: Mutex<BTreeSet<u64>>,
    /// Held by who gives files their copies.
    pub(super) refilling: Mutex<()>,
}

/// The segment to which a class of a tier appends now.
pub(super) type Lane = Arc<Mutex<Option<Arc<OpenSegment>>>>;

#[derive(Default)]
pub(super) struct Counts {
    pub(super) runs: AtomicU64,
    pub(super) appended: AtomicU64,
    pub(super) read: AtomicU64,
    pub(super) bad_frames: AtomicU64,
}

/// A file of the log whose name is gone. Its room comes back when this is dropped, all at once, or before, bit by bit.
pub struct Unnamed(pub(super) Vec<Arc<dyn DiskFile>>);

impl Unnamed {
    /// As [`DiskFile::free`].
    pub fn free(self, rest: &dyn Fn(Duration) -> bool) {
        self.0.iter().for_each(|file| file.free(rest));
    }
}

impl ChunkLog {
    /// Opens the log, creating its directories when absent. Reads no data, and begins new files only when there is
    /// something to write.
    ///
    /// # Errors
    /// Settings out of range, or what the disk says.
    pub fn open(disk: Arc<dyn Disk>, settings: Settings) -> Result<Self> {
        let zones = Zones::home(disk, Arc::clone(&settings.clock), settings.open_files);
        Self::open_in(zones, settings)
    }

    /// The same with files in several zones.
    ///
    /// # Errors
    /// Settings out of range, or what the store's own disk says.
    pub fn open_in(zones: Zones, settings: Settings) -> Result<Self> {
        if !(64 << 10..=1 << 30).contains(&settings.segment_bytes) {
            return Err(Error::new(Kind::InvalidArgument, "cannot open the chunk log")
                .why(format!("a segment size of {} bytes is out of range", settings.segment_bytes))
                .mend("choose a size from 64 KiB to 1 GiB"));
        }
        let disk = &zones.own().disk;
        for dir in ["seg", "solo"] {
            disk.create_dir_all(Path::new(dir))
                .map_err(|e| Error::io(format!("cannot create the directory {dir}"), e))?;
        }
        disk.sync_dir(Path::new("")).map_err(|e| Error::io("cannot sync the log's directory", e))?;
        Ok(Self(Arc::new(Inner {
            tables: Sharded::new(settings.cached_runs),
            sums: Weighed::new(settings.cached_sum_bytes),
            maps: Maps::new(),
            zones: Arc::new(zones),
            settings,
            lanes: Mutex::default(),
            live: Mutex::default(),
            counts: Counts::default(),
            tracked: Mutex::default(),
            next: AtomicU64::new(1),
            beginning: Mutex::default(),
            refilling: Mutex::default(),
        })))
    }

    /// What the classes of storage ask for.
    #[must_use]
    pub fn tiers(&self) -> &[TierSettings] {
        &self.0.settings.tiers
    }

    /// The tier of a class of storage.
    #[must_use]
    pub fn tier_of(&self, class: StorageClass) -> Tier {
        tier_of(&self.0.settings.tiers, class)
    }

    /// Whether a tier compresses its runs.
    #[must_use]
    pub fn packs(&self, tier: Tier) -> bool {
        self.level(tier) != 0
    }

    pub(super) fn level(&self, tier: Tier) -> i32 {
        self.0.settings.tiers.get(usize::from(tier.0)).map_or(0, |tier| tier.compression)
    }

    /// Every segment file. Reads the last 64 bytes of those that this process did not write.
    ///
    /// # Errors
    /// What the disk says.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>> {
        let files = self.segment_files()?.into_iter();
        files.map(|(id, bytes)| Ok(SegmentInfo { id, state: self.0.segment_state(id, bytes)?.0, bytes })).collect()
    }

    /// Every one-object file.
    ///
    /// # Errors
    /// What the disk says.
    pub fn solos(&self) -> Result<Vec<SoloInfo>> {
        let mut found: BTreeMap<SoloId, (bool, u64)> = BTreeMap::new();
        self.0.walk("solo", &mut |name, bytes| {
            let (stem, sum) = match name.strip_suffix(".sum") {
                Some(stem) => (format!("{stem}.obj"), true),
                None => (name.to_owned(), false),
            };
            if let Some(id) = SoloId::parse(&stem) {
                let entry = found.entry(id).or_default();
                entry.0 |= sum;
                entry.1 += bytes;
            }
            Ok(())
        })?;
        let live = self.0.live.lock();
        let info = |(id, (summed, bytes)): (SoloId, (bool, u64))| {
            let state = match (live.contains_key(&id), summed) {
                (true, _) => SoloState::Open,
                (false, true) => SoloState::Finished,
                (false, false) => SoloState::Unfinished,
            };
            SoloInfo { id, state, bytes }
        };
        Ok(found.into_iter().map(info).collect())
    }

    /// Bytes of all files.
    ///
    /// # Errors
    /// What the disk says.
    pub fn file_bytes(&self) -> Result<u64> {
        let mut total = 0;
        for top in ["seg", "solo"] {
            self.0.walk(top, &mut |_, bytes| {
                total += bytes;
                Ok(())
            })?;
        }
        Ok(total)
    }

    /// Removes a segment file. What reads it at this moment may finish; deleting what is not there is no error. The room
    /// comes back when the answer is dropped.
    ///
    /// # Errors
    /// [`Kind::Conflict`] while the segment is appended to, or what the disk says.
    pub fn delete_segment(&self, id: SegmentId) -> Result<Unnamed> {
        let lanes: Vec<_> = self.0.lanes.lock().values().cloned().collect();
        for lane in &lanes {
            // One whose write failed takes no more, though nobody has come to find that out.
            lane.lock().take_if(|open| open.id == id && (open.tracked.is_finished() || open.tracked.is_dead()));
        }
        if lanes.iter().any(|lane| lane.lock().as_ref().is_some_and(|open| open.id == id)) {
            return Err(Error::new(Kind::Conflict, format!("cannot delete segment {id}"))
                .why("it is still being appended to")
                .mend("seal it first"));
        }
        self.0.unname(FileKey::Segment(id))
    }

    /// Removes a one-object file and its checksums. Deleting what is not there is no error. The room comes back when the
    /// answer is dropped.
    ///
    /// # Errors
    /// [`Kind::Conflict`] while it is being written, or what the disk says.
    pub fn delete_solo(&self, id: SoloId) -> Result<Unnamed> {
        if self.0.live.lock().contains_key(&id) {
            return Err(Error::new(Kind::Conflict, format!("cannot delete solo file {id}"))
                .why("it is still being written")
                .mend("finish or abandon it first"));
        }
        self.0.sums.remove(&id);
        // Checksums last: without them what is left of a crash is an orphan that nobody can read.
        let file = self.0.unname(FileKey::Solo(id))?;
        self.0.maps.removed(id);
        self.0.delete(FileKey::Sum(id))?;
        Ok(file)
    }

    /// Counts since the log was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counts = &self.0.counts;
        Stats {
            runs: counts.runs.load(Relaxed),
            appended: counts.appended.load(Relaxed),
            read: counts.read.load(Relaxed),
            bad_frames: counts.bad_frames.load(Relaxed),
            tracked: self.0.tracked.lock().len() as u64,
        }
    }
}

impl Inner {
    /// What a tier asks for; one that is none is that of `STANDARD`.
    pub(super) fn tier(&self, tier: Tier) -> &TierSettings {
        self.settings.tiers.get(usize::from(tier.0)).unwrap_or(&self.settings.tiers[0])
    }

    /// A number below which every file is durable in all zones that it is written in.
    pub(super) fn durable_below(&self) -> u64 {
        // In this order, in which a file goes from one to the next.
        let (next, beginning) = {
            let beginning = self.beginning.lock();
            (self.next.load(Relaxed).min(u64::from(u32::MAX)), beginning.first().copied())
        };
        let tracked = self.tracked.lock().keys().map(|key| number(*key)).min();
        let next = SegmentId::new(self.settings.epoch, next as u32).0;
        next.min(beginning.unwrap_or(next)).min(tracked.unwrap_or(next))
    }

    /// The number of the next file, which is to be [created](Self::create).
    pub(super) fn number(&self) -> Result<u64> {
        let mut beginning = (!self.zones.alone()).then(|| self.beginning.lock());
        let counter = self.next.fetch_add(1, Relaxed);
        match u32::try_from(counter) {
            Ok(counter) => {
                let id = SegmentId::new(self.settings.epoch, counter).0;
                beginning.as_mut().map(|beginning| beginning.insert(id));
                Ok(id)
            }
            Err(_) => Err(Error::new(Kind::Io, "cannot begin a new file of the chunk log")
                .why("this opening of the store has used up its four billion file numbers")
                .mend("restart the daemon")),
        }
    }

    /// What a segment file of `bytes` bytes is, and its trailer when it is sealed.
    pub(super) fn segment_state(&self, id: SegmentId, bytes: u64) -> Result<(SegmentState, Option<footer::Trailer>)> {
        let key = FileKey::Segment(id);
        if let Some(tracked) = self.tracked.lock().get(&key) {
            if tracked.is_dead() {
                return Ok((SegmentState::Failed, None));
            }
            if !tracked.is_finished() {
                return Ok((SegmentState::Open, None));
            }
        }
        match self.trailer(id, bytes) {
            Ok(trailer) => Ok((SegmentState::Sealed, Some(trailer))),
            Err(error) if error.kind() == Kind::Io => Err(error),
            Err(_) => Ok((SegmentState::Loose, None)),
        }
    }

    /// The trailer of a segment file of `bytes` bytes.
    fn trailer(&self, id: SegmentId, bytes: u64) -> Result<footer::Trailer> {
        let what = || format!("cannot read the end of segment {id}");
        let Some(at) = bytes.checked_sub(footer::TRAILER_BYTES as u64) else {
            return Err(Flaw::Short.on(what()));
        };
        let bind = Binder::segment(&self.settings.store, id);
        self.read_copies(FileKey::Segment(id), Access::Read, &mut |file| {
            let mut last = [0; footer::TRAILER_BYTES];
            file.read_at(at, &mut last).map_err(|e| Error::io(what(), e))?;
            footer::Trailer::decode(&last, &bind, &self.settings.store, id, bytes).map_err(|flaw| flaw.on(what()))
        })
    }
}

/// The highest epoch in the names of a log's files; 0 when there is none.
///
/// # Errors
/// What the disk says.
pub fn last_epoch(disk: &dyn Disk) -> Result<u32> {
    let list = |dir: &Path| match disk.list(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        found => found.map_err(|e| Error::io(format!("cannot list the directory {}", dir.display()), e)),
    };
    let mut last = 0;
    for top in ["seg", "solo"].map(Path::new) {
        for shard in list(top)?.iter().filter(|entry| entry.is_dir) {
            for file in list(&top.join(&shard.name))? {
                let segment = SegmentId::parse(&file.name).map(SegmentId::epoch);
                let solo = SoloId::parse(&file.name).map(SoloId::epoch);
                last = last.max(segment.or(solo).unwrap_or(0));
            }
        }
    }
    Ok(last)
}
