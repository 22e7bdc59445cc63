//! The engine: S3's semantics over the index and the chunk log. Every rule about versions, deletes, tags and
//! conditions lives here, so that no door is weaker than another.
//!
//! May not know: kernels, sockets, HTTP. Calls are synchronous and may be made by many threads at once. A change is
//! one transaction of the index; reads take no lock. A change is visible when the call returns and durable after the
//! next round (`rounds`), at the latest a commit interval later.
//!
//! Locks: the reaper's own is outermost, then the index's commit lock; `pins`, `pending`, caches and queues are leaves,
//! taken alone, but for `pins` under `gone`.

mod analysis;
mod archive;
mod asof;
mod bill;
mod bucket;
mod changed;
mod class;
mod compact;
mod complaints;
mod configurations;
mod content;
mod copy;
mod cors;
mod delete;
mod dir_sums;
mod documents;
mod doors;
mod draft;
mod extents;
mod feed;
mod find;
mod fsck;
mod gauges;
mod hindered;
mod history;
mod ids;
pub mod lifecycle;
mod link;
mod list;
mod lock_document;
mod locks;
mod memory;
mod metadata;
mod metering;
mod moves;
mod multipart;
mod names;
mod node;
mod notes;
mod obey;
mod open;
mod origin;
mod packed;
mod pins;
mod policy;
mod principals;
mod promise;
mod publish;
mod put;
mod quota;
mod reap;
mod rebuild;
mod rename;
mod rounds;
mod salvage;
mod scrub;
mod snapshot;
mod stack;
mod sum;
mod sums;
mod takeover;
mod tiering;
mod tree;
mod vault;
mod writers;
mod zones;

pub use analysis::{
    AGE_GROUPS, AgeSeen, Analysis, AnalysisElement, AnalyticsDocument, AnalyticsElement, BucketElement,
    DestinationElement, EQUAL_DAYS, ExportElement, WINDOW_DAYS,
};
pub use archive::{Granted, RESTORE_DAYS_MAX, RestoreDelay, RestoreWish, archived, restore_text};
pub use asof::AsOf;
pub use bill::{BillLine, ClassPrices, Prices, bill};
pub use changed::{Acting, Changed, Listener, Origin};
pub use class::{ClassFacts, DURABILITY, DURABILITY_IN_WORDS, Mover, Step, facts, may_copy, may_move};
pub use compact::Compacted;
pub use complaints::Complaint;
pub use configurations::{Configuration, Configurations};
pub use content::{Content, again, lost};
pub use copy::CopyOptions;
pub use cors::{Allowed, CorsRule, CorsRules};
pub use delete::{DELETE_MAX, DeleteOne, Deleted, Removed};
pub use documents::{ACCOUNT_NAME, DOCUMENT_BYTES_MAX, DOCUMENTS, Document, is_incomplete};
pub use doors::{Announced, Endpoint};
pub use draft::Draft;
pub use find::in_one_of;
pub use fsck::{Finding, Outcome};
pub use hindered::Hindrance;
pub use history::HistoryName;
pub use lifecycle::{RuleStatus, TagElement, leads};
pub use list::{ListRequest, ListVersions, Page, VersionEntry, VersionPage};
pub use locks::Locked;
pub use memory::Budget;
pub use metadata::{Carried, PosixChange, XattrMode};
pub use metering::Metered;
pub use multipart::{
    CompleteOptions, CompletePart, ListUploads, PART_BYTES_MIN, PART_NUMBER_MAX, PartInfo, PartPage, Upload,
    UploadOptions, UploadPage,
};
pub use names::{Directory, Entry, FileEntry, LEVELS_MAX};
pub use obey::{Deed, LifecyclePass, LifecycleStatus, LifecycleTally, LifecycleTurn, Outlook, Planned, Reason};
pub use open::{FORMAT_FILE, Identity, LOCK_FILE, META_DIR, Options, Reserve, Settings, Space, Status, check_format};
pub use principals::{ACCESS_KEY_FILE, no_such_key};
pub use promise::{BODY_BYTES_MAX, Promise, Trailer};
pub use publish::{Ready, Session};
pub use put::{Condition, PutOptions};
pub use rebuild::Rebuilt;
pub use rename::RenameHow;
pub use salvage::Stretch;
pub use scrub::{ScrubByHand, ScrubFinding, ScrubObject, ScrubPass, ScrubStatus, ScrubTurn};
pub use snapshot::{Snapshot, check_copy_of_index, runs_of_copy, set_apart};
pub use sums::PartRange;
pub use tiering::{
    AccessTier, ArchiveDays, TierElement, TierName, TieringAnd, TieringDocument, TieringElement, TieringFilter, Used,
    WATCHED_BYTES_MIN, access_tier,
};
pub use vault::{Archive, Inventory, LockState, Vault, VaultAction, VaultFacts, VaultLock};
pub use writers::Writing;
pub use zones::{Refilled, ZoneStatus};

use self::locks::Warrant;
pub use crate::chunklog::TierSettings;
use crate::chunklog::{ChunkLog, Journal};
use crate::crypto::Opaque;
use crate::index::{Family, Index, Read, Tx};
use crate::model::{Error, Kind, NUMBER_MAX, Result, Seq, Timestamp};
use crate::sys::clock::Clock;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// An open store. One process owns it; doors share it as `Arc<Store>`.
pub struct Store {
    dir: PathBuf,
    uuid: [u8; 16],
    epoch: u32,
    opened: Timestamp,
    settings: Settings,
    /// Set when it takes no changes by its nature: whether because it is a backup.
    read_only: OnceLock<bool>,
    index: Index,
    disk: Arc<dyn crate::sys::disk::Disk>,
    log: ChunkLog,
    clock: Arc<dyn Clock>,
    opaque: Opaque,
    ids: ids::Ids,
    nodes: tree::NodeCache,
    pins: Arc<pins::Pins>,
    writers: Arc<writers::Writers>,
    moves: moves::Moves,
    /// Bytes of all write sessions that are in memory only.
    buffered: Arc<crate::sys::sync::atomic::AtomicUsize>,
    pending: Arc<pins::Pending>,
    rounds: Arc<rounds::Rounds>,
    /// Used by the round that runs.
    journal: crate::sys::sync::Mutex<Journal>,
    unsynced: Arc<rounds::Unsynced>,
    gone: crate::sys::sync::Mutex<reap::Queue>,
    /// One call frees at a time. Taken before any other lock.
    reaping: crate::sys::sync::Mutex<()>,
    /// What snapshots ask of the rest.
    holds: snapshot::Holds,
    /// One pass of compaction at a time. Taken before any lock but the reaper's.
    compactor: crate::sys::sync::Mutex<compact::Compactor>,
    brakes: compact::Brakes,
    placement: compact::Placement,
    quotas: Arc<quota::Quotas>,
    feed: feed::Feed,
    listeners: changed::Listeners,
    completed: multipart::Completed,
    uses: tiering::Uses,
    analyses: analysis::Analyses,
    meters: metering::Meters,
    dir_sums: dir_sums::DirSums,
    notes: notes::Notes,
    complaints: complaints::Complaints,
    hindrances: hindered::Hindrances,
    /// Held for a look or a step only, also within transactions.
    locks: locks::Locks,
    doors: doors::Doors,
    scrubs: scrub::Scrubs,
    rulebook: obey::Rulebook,
    /// Why the store takes no changes any more, once something failed that only reopening can mend.
    stopped: OnceLock<String>,
    closed: crate::sys::sync::atomic::AtomicBool,
    workers: crate::sys::sync::Mutex<Vec<crate::sys::sync::thread::JoinHandle<()>>>,
    _lock: Option<crate::sys::lock::LockFile>,
}

impl Store {
    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The instant of a change and its place in a name's stack. Taken inside the transaction, so that both follow the order
    /// of commits.
    fn stamp(&self) -> (Timestamp, Seq) {
        (self.now(), Seq(self.ids.take()))
    }

    /// Runs a change as one transaction.
    fn transact<T>(&self, body: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.transact_seq(body).map(|(result, _)| result)
    }

    fn transact_seq<T>(&self, body: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<(T, u64)> {
        self.writable()?;
        self.make_room()?;
        self.commit(|tx| {
            let result = body(tx)?;
            self.quotas.judge(tx)?;
            Ok(result)
        })
    }

    /// The same without waiting for room, whatever the quotas say.
    fn commit<T>(&self, body: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<(T, u64)> {
        self.commit_with(Warrant::default(), body)
    }

    /// Every change of the store ends here, and none that a lock forbids does (LOCK-5).
    fn commit_with<T>(&self, warrant: Warrant, body: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<(T, u64)> {
        self.writable()?;
        let (mut gone, mut told, mut elsewhere) = (Vec::new(), None, false);
        let done = self.index.transact(|tx| {
            tx.happens_at(self.now());
            let result = body(tx)?;
            self.note_sums(tx, warrant)?;
            let now = self.now();
            if self.locks.any() {
                locks::guard(tx, now, warrant)?;
                self.locks.mark(tx, now, locks::MARK_STEP)?;
            }
            elsewhere = self.placement.concerns(tx)?;
            self.ids.reserve(tx);
            gone.extend(tx.added(Family::Gone));
            told = changed::Told::of(&self.listeners, tx);
            Ok(result)
        })?;
        if !gone.is_empty() {
            self.gone.lock().add(gone.into_iter());
        }
        if elsewhere {
            self.placement.ask();
        }
        if let Some(told) = told {
            told.tell();
        }
        self.feed.notice(done.1);
        self.rounds.notice(&self.index, self.settings.stage_bytes / 4);
        Ok(done)
    }

    /// Runs a change and returns when it is durable.
    fn transact_durably<T>(&self, body: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let (result, seq) = self.transact_seq(body)?;
        self.wait_durable(seq)?;
        Ok(result)
    }

    /// Number of the last commit that reads see: between two equal answers nothing changed.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.index.visible()
    }

    /// A measure of what is asked of the store: bytes of data that came and went, and a page for each commit but those of
    /// lifecycle rules.
    #[must_use]
    pub fn traffic(&self) -> u64 {
        let log = self.log.stats();
        let by_rules = self.rulebook.commits.load(crate::sys::sync::atomic::Ordering::Relaxed);
        let commits = self.commits().saturating_sub(by_rules);
        log.read.saturating_add(log.appended).saturating_add(commits.saturating_mul(4096))
    }

    /// Whether it takes changes.
    ///
    /// # Errors
    /// [`Kind::ReadOnly`] or [`Kind::StoreUnavailable`] when not, with the reason.
    pub fn writable(&self) -> Result<()> {
        if let Some(why) = self.stopped.get() {
            return Err(Error::new(Kind::ReadOnly, "the store takes no changes")
                .why(why.clone())
                .mend("mend the cause, then open the store again"));
        }
        if self.closed.load(crate::sys::sync::atomic::Ordering::SeqCst) {
            return Err(Error::new(Kind::StoreUnavailable, "the store takes no changes").why("it was closed"));
        }
        match self.read_only.get() {
            None => Ok(()),
            Some(true) => Err(Error::new(Kind::ReadOnly, "the store takes no changes")
                .why("it is a backup, which is only read")
                .mend("copy what you need, or make a store of it with `keyfold backup --restore BACKUP NEWSTORE`")),
            Some(false) => Err(Error::new(Kind::ReadOnly, "the store takes no changes").why("it was opened read-only")),
        }
    }

    /// Whether it was opened to be read only, or is a backup.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only.get().is_some()
    }

    /// New data needs room on the disk beyond the reserve; deletes do not.
    fn room_for_data(&self, len: u64) -> Result<()> {
        self.writable()?;
        let buffered = || self.buffered.load(crate::sys::sync::atomic::Ordering::Relaxed) as u64;
        // What is in memory comes to the disk with the next round or the sessions' ends.
        let free = || {
            let coming = (self.index.unwritten_bytes() as u64).saturating_add(buffered());
            Ok(self.space()?.free.saturating_sub(coming))
        };
        let Err(refused) = self.rounds.room(len, self.now(), &free) else { return Ok(()) };
        if self.space()?.available < buffered().saturating_add(len) {
            return Err(refused);
        }
        // A stage takes more memory than room on the disk: written out, it may leave enough.
        self.sync()?;
        self.rounds.room(len, self.now(), &free)
    }

    /// Whether the disk is nearly full.
    fn is_scarce(&self) -> bool {
        let reserve = self.rounds.reserve_bytes();
        self.space().is_ok_and(|space| space.free < reserve.saturating_add(reserve.min(1 << 30)))
    }

    fn sys_number(read: &impl Read, key: &str) -> Result<Option<u64>> {
        let number = read.record(Family::Sys, key.as_bytes())?;
        // More than anything counts in a store's life, and far from where sums end.
        match number {
            Some(number) if number > NUMBER_MAX => {
                Err(Error::corrupt("cannot read the index", format!("its number {key:?} is {number}, which cannot be")))
            }
            number => Ok(number),
        }
    }
}
