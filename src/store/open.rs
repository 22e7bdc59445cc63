//! Making, opening and describing a store.

mod features;
mod resume;

pub(super) use features::VAULTS;
pub(super) use resume::advance_epoch;
use resume::{catch_up, last_epoch, next_number, nothing_to_catch_up};

use super::archive::RestoreDelay;
use super::{
    Endpoint, Hindrance, LifecycleStatus, ScrubStatus, Store, ZoneStatus, complaints, feed, hindered, ids, rounds,
    scrub, tree,
};
use crate::chunklog::{self, ChunkLog, Journal, TierSettings, Zones};
use crate::crypto::{Opaque, hex};
use crate::index::{self, Index};
use crate::model::{Error, Kind, Result};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::disk::{Access, DirEntry, Disk, OsDisk};
use crate::sys::entropy::{Entropy, SystemEntropy};
use crate::sys::lock::LockFile;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The format this release writes and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;
/// The file that makes a directory a store.
pub const FORMAT_FILE: &str = "FORMAT";
/// The same while it is written; a crash may leave it.
const FORMAT_NEW: &str = "FORMAT.new";
/// Locked by the process that owns the store or makes it.
pub const LOCK_FILE: &str = "LOCK";
/// The index's directory.
pub const META_DIR: &str = "meta";
/// A segment is at most this part of the disk, unless that is very little: when the disk is full, what is alive in one
/// must fit into the reserve.
const SEGMENT_PART: u64 = 128;
const SEGMENT_BYTES_MIN: u64 = 4 << 20;
/// The file is a few lines.
const FORMAT_BYTES_MAX: usize = 64 << 10;
pub(super) const EPOCH_KEY: &str = "epoch";
/// The opening up to which files of the log may have been known to records that are lost.
pub(super) const SALVAGED_KEY: &str = "salvaged";
/// A file of the index that is longer than this and has less than this share of its bytes on the disk was made so.
const SPARSE_MIN: u64 = 1 << 30;
const SPARSE_SHARE: u64 = 1024;

/// How a store uses the machine; what `keyfold.toml` resolves to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes after which a segment of the chunk log is sealed; fewer on a small disk.
    pub segment_bytes: u64,
    /// Bytes of memory for blocks of the index.
    pub cache_bytes: usize,
    /// Bytes of memory for recent changes of one family of the index.
    pub memtable_bytes: usize,
    /// The same of all families together.
    pub memtables_bytes: usize,
    /// Bytes of commits at which writers wait for a round; at a quarter of it one begins.
    pub stage_bytes: usize,
    /// Bytes that all write sessions together hold in memory before they spill early.
    pub draft_bytes: usize,
    /// After how long a closed file is durable at the latest.
    pub commit_interval: Duration,
    /// Bytes up to which an object lies in the index.
    pub inline_max: u64,
    /// Bytes that stay free on a disk of the given size (SIZE-7).
    pub reserve: Reserve,
    /// Bytes a second that compaction in the background copies at most; with 0 it never does.
    pub compact_rate: u64,
    /// How often everything is read against its checksums; never when there is none.
    pub scrub_every: Option<Duration>,
    /// Bytes a second that this may read.
    pub scrub_rate: u64,
    /// How long a day of the rules about time lasts (GEN-2); another than 24 hours only with a debug clock.
    pub day: Duration,
    /// What the classes of storage ask for.
    pub tiers: Vec<TierSettings>,
    /// How long restores of archived objects take (RST-2, RST-3).
    pub restore_delay: RestoreDelay,
    /// Versions a second that lifecycle rules are held against in the background at most; with 0 they are not.
    pub lifecycle_rate: u64,
    /// Bytes read in 30 days, in thousandths of those stored, from which on objects are not used seldom (SCA-10).
    pub sca_threshold_millis: u64,
}

impl Settings {
    pub(super) const fn index(&self) -> index::Settings {
        index::Settings {
            cache_bytes: self.cache_bytes,
            memtable_bytes: self.memtable_bytes,
            memtables_bytes: self.memtables_bytes,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 256 << 20,
            cache_bytes: 128 << 20,
            memtable_bytes: 16 << 20,
            memtables_bytes: 128 << 20,
            stage_bytes: 64 << 20,
            draft_bytes: 64 << 20,
            commit_interval: Duration::from_secs(1),
            inline_max: 4096,
            reserve: Reserve::Auto,
            compact_rate: 32 << 20,
            scrub_every: Some(Duration::from_secs(14 * 86_400)),
            scrub_rate: 16 << 20,
            day: Duration::from_secs(86_400),
            tiers: vec![TierSettings::default()],
            restore_delay: RestoreDelay::None,
            lifecycle_rate: 100_000,
            sca_threshold_millis: 500,
        }
    }
}

/// Space on the disk that new data leaves free (SIZE-7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reserve {
    /// One per cent of the disk, at least 64 MiB (a quarter of a small disk) and at most 1 GiB: deletes are written to
    /// the index's log and tables before they give anything back.
    Auto,
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the disk, below 100.
    Percent(u8),
}

impl Reserve {
    /// Bytes to keep free on a disk of `total` bytes.
    #[must_use]
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Auto => (total / 100).clamp((64 << 20).min(total / 4), 1 << 30),
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => total / 100 * u64::from(percent),
        }
    }
}

/// What a store is opened with.
#[derive(Clone)]
pub struct Options {
    /// How it uses the machine.
    pub settings: Settings,
    /// The clock all rules read (GEN-2).
    pub clock: Arc<dyn Clock>,
    /// Where keys and ids are drawn from.
    pub entropy: Arc<dyn Entropy>,
    /// Whether changes are refused.
    pub read_only: bool,
    /// Whether a store that is made may have short days, for tests (GEN-2). One that is there says so itself.
    pub debug_clock: bool,
    /// Directories besides the store's own in which files of the log may lie, in the order that the settings' tiers mean.
    pub zones: Vec<chunklog::Zone>,
    /// Whether rounds and the freeing of space run in threads of their own. A simulation runs them as steps.
    pub workers: bool,
}

impl Options {
    /// The machine's clock and randomness, default settings.
    #[must_use]
    pub fn system() -> Self {
        Self {
            settings: Settings::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            read_only: false,
            debug_clock: false,
            zones: Vec::new(),
            workers: true,
        }
    }
}

/// Room on the store's disk, in bytes and files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Space {
    /// The disk's size.
    pub total: u64,
    /// Free, the reserve included.
    pub free: u64,
    /// Free for new data.
    pub available: u64,
    /// Files the disk can hold.
    pub files: u64,
    /// Of these, free.
    pub files_free: u64,
}

/// How a store is doing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Status {
    /// The store's id.
    pub uuid: String,
    /// Its directory.
    pub dir: String,
    /// Format version on disk.
    pub format: u32,
    /// How often it has been opened.
    pub epoch: u32,
    /// When this process opened it.
    pub opened: String,
    /// The process that owns it.
    pub pid: u32,
    /// Buckets in it.
    pub buckets: usize,
    /// Why it takes no changes, when it takes none.
    pub read_only: Option<String>,
    /// Work that fails at present and is tried again.
    pub hindered: Vec<Hindrance>,
    /// Where the process is reached over HTTP.
    pub endpoints: Vec<Endpoint>,
    /// Bytes of commits that are not durable yet.
    pub staged_bytes: usize,
    /// Durability rounds that wrote something.
    pub rounds: u64,
    /// Segment files.
    pub segments: usize,
    /// Bytes in segment files.
    pub segment_bytes: u64,
    /// Files that hold one object.
    pub solos: usize,
    /// Bytes in them.
    pub solo_bytes: u64,
    /// What compaction in the background does: `off`, `paused`, `running` or `idle`.
    pub compaction: &'static str,
    /// Bytes that lie in another tier than the classes of their versions ask for, as far as it is known.
    pub misplaced_bytes: u64,
    /// Room on the disk.
    pub space: Space,
    /// Seconds by which the clock lags behind what it showed before, where versions may be locked (LOCK-22).
    pub clock_lag_seconds: Option<u64>,
    /// The zones, when there are others than the store's own directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<ZoneStatus>,
    /// Files of the log with fewer whole copies than their class asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_files: Option<usize>,
    /// The reading of everything against its checksums.
    pub scrub: ScrubStatus,
    /// What lifecycle rules do.
    pub lifecycle: LifecycleStatus,
}

/// The feature of a store that is a backup: it is never changed, and a release that does not know that refuses it.
const BACKUP: &str = "backup";

/// The `FORMAT` file: what a newer or older release needs to know before it touches anything.
#[derive(Clone, Serialize, Deserialize)]
struct Format {
    keyfold: u32,
    uuid: String,
    /// Key of the opaque ids; no secret that guards data.
    id_key: String,
    /// Features a release must know to read or write the store.
    #[serde(default)]
    incompatible: Vec<String>,
    /// Whether its days may be short, for tests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    debug_clock: bool,
}

impl Store {
    /// Makes a store in `dir`, which must be absent or empty.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] when a store is there, [`Kind::InvalidArgument`] when something else is.
    pub fn init(dir: &Path, options: &Options) -> Result<()> {
        let what = || cannot_make(dir);
        std::fs::create_dir_all(dir).map_err(|error| Error::io(what(), error))?;
        let there_is_one = || {
            let why = Error::new(Kind::AlreadyExists, what()).why("there is one already");
            why.mend("mount it, or choose another directory")
        };
        if dir.join(FORMAT_FILE).exists() {
            return Err(there_is_one());
        }
        if !Self::is_vacant(dir).map_err(|error| Error::io(what(), error))? {
            return Err(Error::new(Kind::InvalidArgument, what())
                .why("the directory is not empty and holds no store")
                .mend("choose an empty directory"));
        }
        // Another that makes a store here has a file that looks like what a crash left.
        let _lock = LockFile::take(&dir.join(LOCK_FILE))?;
        if dir.join(FORMAT_FILE).exists() {
            return Err(there_is_one());
        }
        Self::init_on(&OsDisk::new(dir), dir, options)
    }

    /// Makes a store on an empty disk, which messages call `dir`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn init_on(disk: &dyn Disk, dir: &Path, options: &Options) -> Result<()> {
        let (mut uuid, mut id_key) = ([0; 16], [0; 16]);
        options.entropy.fill(&mut uuid)?;
        options.entropy.fill(&mut id_key)?;
        let format = Format {
            keyfold: FORMAT_VERSION,
            uuid: hex(&uuid),
            id_key: hex(&id_key),
            incompatible: vec![],
            debug_clock: options.debug_clock,
        };
        format.write(disk).map_err(|error| Error::io(cannot_make(dir), error))
    }

    /// Whether a directory holds nothing but what the making of a store left that did not come to its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_vacant(dir: &Path) -> std::io::Result<bool> {
        let left = |name: &std::ffi::OsStr| name == FORMAT_NEW || name == LOCK_FILE;
        std::fs::read_dir(dir)?.try_fold(true, |vacant, entry| Ok(vacant && left(&entry?.file_name())))
    }

    /// Opens the store in `dir` and becomes its owner.
    ///
    /// # Errors
    /// [`Kind::StoreUnavailable`] when there is none, [`Kind::StoreBusy`] when another process owns it,
    /// [`Kind::StoreFormat`] when a newer release wrote it.
    pub fn open(dir: &Path, options: Options) -> Result<Arc<Self>> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(dir));
        let identity = Identity::read(&*disk, dir)?;
        let (lock, meta, settings) = (dir.join(LOCK_FILE), dir.join(META_DIR), options.settings.index());
        let (lock, index) = if options.read_only || identity.is_backup() {
            let lock = LockFile::take_to_read(&lock)?;
            super::fsck::need_index(&*disk, dir)?;
            only_files(&*disk, &meta)?;
            (lock, Index::open_read_only(&meta, settings)?)
        } else {
            let lock = LockFile::take(&lock)?;
            only_files(&*disk, &meta)?;
            set_right(&*disk)?;
            super::fsck::need_index(&*disk, dir)?;
            super::snapshot::clear(dir)?;
            (lock, Index::open(&meta, settings)?)
        };
        Self::open_on(disk, index, dir, identity, options, Some(lock))
    }

    /// Opens the store on a disk, with its index in memory and on that disk too: for simulations.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_simulated(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<Arc<Self>> {
        let identity = Identity::read(&*disk, dir)?;
        let index = Index::in_memory(Arc::clone(&disk), options.settings.index())?;
        Self::open_on(disk, index, dir, identity, options, None)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        index: Index,
        dir: &Path,
        mut identity: Identity,
        mut options: Options,
        lock: Option<LockFile>,
    ) -> Result<Arc<Self>> {
        let mut settings = options.settings;
        let (uuid, id_key) = (identity.uuid, identity.id_key);
        let fixed = options.read_only || identity.is_backup();
        // A backup has everything in one place, and the settings of the store it is of.
        if identity.is_backup() {
            (options.zones, settings.tiers) = (Vec::new(), vec![TierSettings::default()]);
        }
        let had_zones = identity.has_zones();
        if !fixed && !options.zones.is_empty() {
            identity.add_feature(&*disk, dir, features::ZONES)?;
        }
        let mut log_settings = chunklog::Settings::new(uuid, 0, Arc::clone(&options.clock));
        log_settings.tiers = settings.tiers.clone();
        let (zones, left_out) = if identity.is_backup() {
            (Zones::home(Arc::clone(&disk), Arc::clone(&options.clock), log_settings.open_files), Vec::new())
        } else {
            let clock = Arc::clone(&options.clock);
            Zones::open(Arc::clone(&disk), &options.zones, uuid, clock, log_settings.open_files, had_zones, fixed)?
        };
        let journal = Journal::open(Arc::clone(&disk), uuid, if fixed { Access::Read } else { Access::Write })?;
        let in_files = || {
            zones.need_all("find the number of the last opening")?;
            zones.last_epoch()
        };
        let epoch = if fixed {
            nothing_to_catch_up(&index, &journal)?;
            last_epoch(&index, &in_files)?
        } else {
            let oldest = catch_up(&index, &journal, &zones)?;
            let epoch = advance_epoch(&index, &in_files, 1)?;
            zones.begin_writing(epoch, oldest)?;
            epoch
        };
        log_settings.epoch = epoch;
        let smallest = zones.smallest()?;
        settings.segment_bytes = settings.segment_bytes.min((smallest / SEGMENT_PART).max(SEGMENT_BYTES_MIN));
        if !fixed && settings.tiers.iter().any(|tier| tier.compression != 0) {
            identity.add_feature(&*disk, dir, features::ZSTD)?;
        }
        log_settings.segment_bytes = settings.segment_bytes;
        let log = ChunkLog::open_in(zones, log_settings)?;
        super::zones::without(&index, &log, &left_out)?;
        if !fixed && !left_out.is_empty() {
            log.forget_zones()?;
        }
        let ids = ids::Ids::new(next_number(&index)?);
        let ((), done) = index.transact(|_| Ok(()))?;
        let store = Arc::new(Self {
            dir: dir.to_owned(),
            uuid,
            epoch,
            opened: options.clock.now(),
            read_only: OnceLock::new(),
            rounds: Arc::new(rounds::Rounds::new(
                settings.commit_interval,
                settings.reserve.of(smallest),
                done,
                options.workers,
            )),
            journal: crate::sys::sync::Mutex::new(journal),
            placement: super::compact::Placement::new(&settings.tiers),
            settings,
            scrubs: scrub::Scrubs::read(&index),
            rulebook: super::obey::Rulebook::read(&index),
            locks: super::locks::Locks::read(&index),
            index,
            disk,
            log,
            clock: options.clock,
            opaque: Opaque::new(&id_key),
            ids,
            nodes: tree::NodeCache::new(),
            pins: Arc::default(),
            writers: Arc::default(),
            moves: super::moves::Moves::default(),
            buffered: Arc::default(),
            pending: Arc::default(),
            unsynced: Arc::default(),
            gone: crate::sys::sync::Mutex::default(),
            reaping: crate::sys::sync::Mutex::default(),
            holds: super::snapshot::Holds::default(),
            compactor: crate::sys::sync::Mutex::default(),
            brakes: super::compact::Brakes::default(),
            quotas: Arc::default(),
            feed: feed::Feed::default(),
            listeners: super::changed::Listeners::default(),
            completed: super::multipart::Completed::default(),
            uses: super::tiering::Uses::default(),
            analyses: super::analysis::Analyses::default(),
            meters: super::metering::Meters::default(),
            dir_sums: super::dir_sums::DirSums::default(),
            notes: super::notes::Notes::default(),
            complaints: complaints::Complaints::default(),
            hindrances: hindered::Hindrances::default(),
            doors: super::doors::Doors::default(),
            stopped: OnceLock::new(),
            closed: crate::sys::sync::atomic::AtomicBool::new(false),
            workers: crate::sys::sync::Mutex::default(),
            _lock: lock,
        });
        store.feed.notice(done);
        store.tell_lag();
        store.load_sums()?;
        if fixed {
            // In memory: what a crash left open shows as it would if the store were opened to be changed.
            store.finish_sessions()?;
            store.settle_few_sums()?;
            store.rounds.nothing_to_do(store.index.visible());
            let _ = store.read_only.set(identity.is_backup());
            return Ok(store);
        }
        if options.workers {
            store.spawn("keyfold-rounds", Self::run_rounds)?;
        }
        store.finish_sessions()?;
        store.load_quotas()?;
        store.name_uploads()?;
        store.begin_metering()?;
        store.load_analytics()?;
        if options.workers {
            store.spawn("keyfold-reaper", Self::run_reaper)?;
            if store.settings.compact_rate > 0 {
                store.spawn("keyfold-compact", Self::run_compactor)?;
            }
        }
        Ok(store)
    }

    /// The store's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How it uses the machine.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The store's id.
    #[must_use]
    pub const fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    /// The clock that all its rules read.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The disk it lies on, its directory the root.
    #[must_use]
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    /// Room for new data: on the store's disk, or in its zones with all copies that `STANDARD` asks for.
    ///
    /// # Errors
    /// When the disk cannot be asked.
    pub fn space(&self) -> Result<Space> {
        let mut disk = self.log.space()?;
        if self.log.has_zones() {
            // The index has no room but that of the store's own disk.
            let own = self.disk.space().map_err(|error| Error::io("cannot ask the disk for free space", error))?;
            if own.free < self.settings.reserve.of(own.total) {
                disk.free = disk.free.min(own.free);
            }
        }
        Ok(Space {
            total: disk.total,
            free: disk.free,
            available: disk.free.saturating_sub(self.rounds.reserve_bytes()),
            files: disk.inodes,
            files_free: disk.inodes_free,
        })
    }

    /// How the store is doing.
    ///
    /// # Errors
    /// When the disk or the index cannot be read.
    pub fn status(&self) -> Result<Status> {
        let segments = self.log.segment_files()?;
        let solos = self.log.solos()?;
        Ok(Status {
            uuid: hex(&self.uuid),
            dir: self.dir.display().to_string(),
            format: FORMAT_VERSION,
            epoch: self.epoch,
            opened: self.opened.rfc3339(),
            pid: std::process::id(),
            buckets: self.buckets()?.len(),
            read_only: self.writable().err().map(|error| error.to_string()),
            hindered: self.hindrances(),
            endpoints: self.endpoints(),
            staged_bytes: self.index.staged_bytes(),
            rounds: self.rounds.count(),
            segments: segments.len(),
            segment_bytes: segments.iter().map(|(_, bytes)| bytes).sum(),
            solos: solos.len(),
            solo_bytes: solos.iter().map(|solo| solo.bytes).sum(),
            compaction: self.compaction(),
            misplaced_bytes: self.placement.waiting(),
            space: self.space()?,
            clock_lag_seconds: self.clock_lag(),
            zones: self.zones(),
            short_files: self.log.has_zones().then(|| self.log.shortage().short),
            scrub: self.scrub_status(),
            lifecycle: self.lifecycle_status(),
        })
    }
}

/// RocksDB opens what it finds by name, and writes to it: in a store that somebody handed over, a link would lead it to any
/// other place of the machine. It reads files to their end, so they may not be longer than anybody could have written.
pub(super) fn only_files(disk: &dyn Disk, meta: &Path) -> Result<()> {
    let what = || format!("cannot open the index in {}", meta.display());
    let entries = match disk.list(Path::new(META_DIR)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io(what(), error)),
    };
    for DirEntry { name, is_dir, is_file, len, stored } in entries {
        // A name of a file that was removed may lead to a directory after a power cut without a journal. It leads nowhere else.
        if !is_file && !is_dir {
            return Err(Error::corrupt(what(), format!("{name:?} in it is no file"))
                .mend("remove it: the index is made of files alone"));
        }
        if len > SPARSE_MIN && len / SPARSE_SHARE > stored {
            return Err(Error::corrupt(what(), format!("{name:?} in it has {len} bytes, and {stored} on the disk"))
                .mend("restore the store from a copy: something has made the file longer"));
        }
    }
    Ok(())
}

/// Sets right what a power cut left of the index's files.
pub(super) fn set_right(disk: &dyn Disk) -> Result<()> {
    let meta = Path::new(META_DIR);
    if disk.list(meta).is_err() {
        return Ok(());
    }
    if let Some(list) = index::name_list(disk, meta)? {
        tracing::warn!(list, "a power cut took the name of the index's list of tables, this is the newest");
    }
    for (log, end) in index::cut_strays(disk, meta)? {
        tracing::warn!(log, end, "what a power cut left of an older log was cut off this one");
    }
    Ok(())
}

/// What sets a store apart from all others: its `FORMAT` file.
#[derive(Clone)]
pub struct Identity {
    uuid: [u8; 16],
    id_key: [u8; 16],
    format: Format,
}

impl Identity {
    /// That of the store in `dir`.
    ///
    /// # Errors
    /// [`Kind::StoreUnavailable`] when there is none, [`Kind::StoreFormat`] when a newer release wrote it.
    pub fn of(dir: &Path) -> Result<Self> {
        Self::read(&OsDisk::new(dir), dir)
    }

    pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        let format = read_format(disk, dir)?;
        match (unhex(&format.uuid), unhex(&format.id_key)) {
            (Some(uuid), Some(id_key)) => Ok(Self { uuid, id_key, format }),
            _ => Err(Error::corrupt(format!("cannot open the store {}", dir.display()), "its FORMAT file is damaged")),
        }
    }

    /// The store's id, which its backups share.
    #[must_use]
    pub const fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    /// The same as `FORMAT` has it.
    #[must_use]
    pub fn uuid_text(&self) -> &str {
        &self.format.uuid
    }

    /// Whether it is a backup, which is never changed.
    #[must_use]
    pub fn is_backup(&self) -> bool {
        self.format.incompatible.iter().any(|feature| feature == BACKUP)
    }

    /// Whether it has had other zones than its own directory.
    #[must_use]
    pub(super) fn has_zones(&self) -> bool {
        self.format.incompatible.iter().any(|feature| feature == features::ZONES)
    }

    /// Whether it was made with a debug clock, by which days may be short.
    #[must_use]
    pub const fn has_debug_clock(&self) -> bool {
        self.format.debug_clock
    }

    /// The `FORMAT` file of a copy of the store that is a backup, or is none.
    #[must_use]
    pub fn text_of_copy(&self, backup: bool) -> String {
        let mut format = self.format.clone();
        // A copy has everything in one place.
        format.incompatible.retain(|feature| feature != BACKUP && feature != features::ZONES);
        format.incompatible.extend(backup.then(|| BACKUP.to_owned()));
        format.text()
    }
}

impl Format {
    fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn cannot_make(dir: &Path) -> String {
    format!("cannot make a store in {}", dir.display())
}

fn read_format(disk: &dyn Disk, dir: &Path) -> Result<Format> {
    let what = || format!("cannot open the store {}", dir.display());
    let read = || -> std::io::Result<Vec<u8>> {
        let file = disk.open(Path::new(FORMAT_FILE), Access::Read)?;
        let mut bytes = vec![0; FORMAT_BYTES_MAX];
        let len = file.read_at(0, &mut bytes)?;
        bytes.truncate(len);
        Ok(bytes)
    };
    let bytes = match read() {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::new(Kind::StoreUnavailable, what())
                .why("there is no store in that directory")
                .mend("make one with `keyfold init DIR`, or name the right directory"));
        }
        Err(error) => return Err(Error::io(what(), error)),
    };
    parse_format(&bytes, what())
}

/// Reads the bytes of a `FORMAT` file as opening a store does: for fuzzing and tests only.
///
/// # Errors
/// As [`Store::open`].
#[doc(hidden)]
pub fn check_format(bytes: &[u8]) -> Result<()> {
    parse_format(bytes, "cannot open the store".to_owned()).map(|_| ())
}

fn parse_format(bytes: &[u8], what: String) -> Result<Format> {
    let format: Format = match serde_json::from_slice(bytes) {
        Ok(format) => format,
        Err(error) => return Err(Error::corrupt(what, format!("its FORMAT file: {error}"))),
    };
    if format.keyfold > FORMAT_VERSION || !features::are_known(&format.incompatible) {
        return Err(Error::new(Kind::StoreFormat, what)
            .why(format!(
                "it has format {} {:?}, this release knows format {FORMAT_VERSION}",
                format.keyfold, format.incompatible
            ))
            .mend("use the keyfold release that wrote it, or a newer one"));
    }
    Ok(format)
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    match crate::model::VersionId::parse(text)? {
        crate::model::VersionId::Id(bytes) => Some(bytes),
        crate::model::VersionId::Null => None,
    }
}
