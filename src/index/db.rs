//! The index itself: opening RocksDB, committing into the stage, writing the stage out.

use super::backend::{Backend, Batch, Below};
use super::cache::Cache;
use super::family::Family;
use super::memory::Memory;
use super::rocks::Rocks;
use super::stage::Stage;
use super::tx::{Read, Tx};
use super::view::View;
use crate::model::{Error, Kind, NUMBER_MAX, Result, Timestamp};
use crate::sys::disk::Disk;
use crate::sys::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sys::sync::{Mutex, MutexGuard, thread};
use arc_swap::ArcSwap;
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

/// How the index uses the machine.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of RocksDB's block cache.
    pub cache_bytes: usize,
    /// Bytes of a memtable before RocksDB writes it to a table.
    pub memtable_bytes: usize,
    /// Bytes of all memtables together.
    pub memtables_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, memtable_bytes: 16 << 20, memtables_bytes: 128 << 20 }
    }
}

/// The stages readers look through before RocksDB, newest first.
pub(super) struct Layers {
    active: Arc<Stage>,
    /// The stage being written, and the last commit in it.
    sealed: Option<(Arc<Stage>, u64)>,
}

impl Layers {
    /// Whether no stage was closed between these and those.
    pub(super) fn is_active_in(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.active, &other.active)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Arc<Stage>> {
        std::iter::once(&self.active).chain(self.sealed.as_ref().map(|(stage, _)| stage))
    }
}

/// The ordered store of records. Shared between threads by reference.
pub struct Index {
    db: Backend,
    cache: Cache,
    layers: ArcSwap<Layers>,
    /// Number of the last commit readers may see.
    visible: AtomicU64,
    /// Held while a transaction runs or the stage is swapped: the next commit's number.
    commit: Mutex<u64>,
    /// The thread whose transaction runs, where debug assertions are on.
    inside: Mutex<Option<thread::ThreadId>>,
    /// Numbers of the last commit written to RocksDB, and of the last that its log was synced with.
    written: AtomicU64,
    synced: AtomicU64,
    /// The last write found the disk full.
    full: AtomicBool,
    /// A write failed in a way that RocksDB gets over only when it is opened again.
    failed: AtomicBool,
}

/// A table of the index, a file that is never changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Table {
    /// Its number, which no later one has.
    pub number: u64,
    /// Its name in the index's directory.
    pub name: String,
    /// The family whose records it holds.
    pub family: String,
    /// Its bytes.
    pub bytes: u64,
}

pub(super) const SEQ_KEY: &[u8] = b"seq";
const SYNCED_KEY: &[u8] = b"synced";

/// A sealed stage as RocksDB takes it: one batch, all or nothing.
pub struct Sealed {
    batch: Batch,
    stage: Arc<Stage>,
    /// Number of the last commit written before it.
    pub before: u64,
    /// Number of its own last commit.
    pub commit: u64,
}

/// A transaction of this thread runs.
struct Inside<'a>(&'a Mutex<Option<thread::ThreadId>>);

impl<'a> Inside<'a> {
    fn new(inside: &'a Mutex<Option<thread::ThreadId>>) -> Self {
        *inside.lock() = Some(thread::current().id());
        Self(inside)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl Sealed {
    /// What [`Index::replay`] takes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.batch.bytes()
    }
}

impl Index {
    /// Opens the index in `dir`, making it when absent. Cost does not grow with what is stored.
    ///
    /// # Errors
    /// When RocksDB cannot open: another process, a damaged or newer format, a full disk.
    pub fn open(dir: &Path, settings: Settings) -> Result<Self> {
        Self::over(Backend::Rocks(Rocks::open(dir, settings)?))
    }

    /// Opens the index in `dir` as it is there, and writes nothing: commits stay in memory.
    ///
    /// # Errors
    /// When RocksDB cannot open: there is none, or it is damaged or of a newer format.
    pub fn open_read_only(dir: &Path, settings: Settings) -> Result<Self> {
        Self::over(Backend::Rocks(Rocks::open_read_only(dir, settings)?))
    }

    /// Opens an index that lies in memory, with its log and tables on `disk`: it keeps and loses after a crash what
    /// RocksDB may keep and lose. For simulations.
    ///
    /// # Errors
    /// What the disk says; [`crate::model::Kind::Corrupt`] when what is there is damaged.
    pub fn in_memory(disk: Arc<dyn Disk>, settings: Settings) -> Result<Self> {
        Self::over(Backend::Memory(Memory::open(disk, settings.memtable_bytes as u64)?))
    }

    fn over(db: Backend) -> Result<Self> {
        let index = Self {
            db,
            cache: Cache::new(),
            layers: ArcSwap::from_pointee(Layers { active: Arc::default(), sealed: None }),
            visible: AtomicU64::new(0),
            commit: Mutex::new(1),
            inside: Mutex::new(None),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            full: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        };
        // Not through the cache, which a replay passes by.
        let said = |key| -> Result<Option<Result<u64>>> {
            let sane = |number: u64| match number {
                0..=NUMBER_MAX => Ok(number),
                _ => Err(Error::corrupt("cannot read the index", format!("its last commit is {number}"))),
            };
            Ok(index.db.get(Family::Sys, key)?.map(|bytes| super::codec::decode(&bytes).and_then(sane)))
        };
        let (synced, last) = (said(SYNCED_KEY)?, said(SEQ_KEY)?);
        let last = match (last, &synced) {
            (Some(Ok(last)), _) => last,
            (None, None) => 0,
            // Damaged: the other one and the feed say as much.
            (_, Some(Ok(synced))) => index.last_in_feed()?.max(*synced),
            _ => index.last_in_feed()?,
        };
        let synced = synced.map_or(0, |synced| synced.unwrap_or(last));
        index.synced.store(synced, Ordering::Release);
        index.begin_after(last);
        Ok(index)
    }

    /// Number of the last commit that announced a change.
    fn last_in_feed(&self) -> Result<u64> {
        let mut last = 0;
        let mut walk = Below::now(&self.db).walk(Family::Log, &[], &[0xff; 13])?;
        while let Some(key) = walk.key() {
            let number = key.get(..8).and_then(super::keys::id_of);
            last = number.filter(|number| *number <= NUMBER_MAX).unwrap_or(last);
            walk.next();
        }
        walk.status().map(|()| last)
    }

    fn begin_after(&self, last: u64) {
        self.written.store(last, Ordering::Release);
        self.visible.store(last, Ordering::Release);
        *self.commit.lock() = last + 1;
    }

    /// Number of the last commit of the last synced write. What was written after it, or any part of that, may be lost
    /// with the machine's power, but for what somebody else keeps.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    /// Number of the last commit that is here, as far as the index knows: of those after the [synced](Index::synced) ones
    /// a crash may have taken any.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Writes a batch that was kept elsewhere while it was not synced here. All kept batches must be written, in their
    /// order: of those that seem to be here RocksDB may have lost one in the middle, where its log changes from one file
    /// to the next. For use before the first transaction.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when it is no batch, or what the disk says.
    pub fn replay(&self, commit: u64, batch: &[u8]) -> Result<()> {
        if commit > NUMBER_MAX {
            return Err(Error::corrupt("cannot write a kept batch to the index", format!("its commit is {commit}")));
        }
        self.db.write(self.db.batch_of(batch)?, false)?;
        self.begin_after(commit);
        Ok(())
    }

    /// Syncs what was written unsynced.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.write(self.db.batch(), self.written(), true)
    }

    /// Whether it takes no more writes until it is opened again. A full disk is no such reason, unless RocksDB was
    /// about to begin another log.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    fn write(&self, batch: Batch, commit: u64, sync: bool) -> Result<()> {
        let written = self.try_write(batch, commit, sync);
        let full = written.as_ref().is_err_and(|error| error.kind() == Kind::Full);
        self.full.store(full, Ordering::Release);
        if written.as_ref().is_err_and(|error| !full || Backend::is_final(error)) {
            self.failed.store(true, Ordering::Release);
        }
        written
    }

    fn try_write(&self, mut batch: Batch, commit: u64, sync: bool) -> Result<()> {
        if !sync {
            self.db.write(batch, false)?;
            self.written.store(commit, Ordering::Release);
            return Ok(());
        }
        // To sync a log that had no room would be a worse failure to RocksDB. A write tells whether it has gone on to
        // another log: one that changes nothing, since the batch must not be there before the record that says that
        // nothing else has to be made up for.
        if self.full.load(Ordering::Acquire) {
            let mut probe = self.db.batch();
            self.db.put(&mut probe, Family::Sys, SYNCED_KEY, Some(&super::codec::encode(&self.synced())))?;
            self.db.write(probe, false)?;
        }
        // The record that says what is synced must not come to the disk before the logs it speaks of.
        if self.written() > self.synced() {
            self.db.sync_logs()?;
        }
        self.db.put(&mut batch, Family::Sys, SYNCED_KEY, Some(&super::codec::encode(&commit)))?;
        self.db.write(batch, true)?;
        self.written.store(commit, Ordering::Release);
        self.synced.store(commit, Ordering::Release);
        Ok(())
    }

    /// What is seen now, for one read: the stages may be older than the number.
    fn glance(&self) -> View<'_> {
        let layers = self.layers.load_full();
        View { db: &self.db, cache: &self.cache, now: &self.layers, layers, seq: self.visible(), frozen: None }
    }

    pub(super) fn view(&self) -> View<'_> {
        loop {
            let view = self.glance();
            // A commit into the next stage is not in these.
            if view.holds() {
                return view;
            }
        }
    }

    /// The index as of one commit, for as long as it is kept. Commits go on; tables that were merged stay until then.
    #[must_use]
    pub fn frozen(&self) -> View<'_> {
        loop {
            let view = self.view();
            let frozen = self.db.freeze();
            if view.holds() {
                return View { frozen: Some(frozen), ..view };
            }
        }
    }

    /// Reads several things as of one commit, without waiting for any. `body` runs again when a stage was closed
    /// meanwhile: what it does beside reading must wait until this returns.
    ///
    /// # Errors
    /// Whatever `body` returns.
    pub fn at_once<T>(&self, mut body: impl FnMut(&View<'_>) -> Result<T>) -> Result<T> {
        let view = self.view();
        let found = body(&view);
        if view.holds() { found } else { body(&self.frozen()) }
    }

    /// Keeps commits out.
    fn alone(&self) -> MutexGuard<'_, u64> {
        let again = cfg!(debug_assertions) && *self.inside.lock() == Some(thread::current().id());
        debug_assert!(!again, "a transaction waits for itself: its own thread is in one");
        self.commit.lock()
    }

    /// Runs `body` alone and commits what it wrote, all at once. Returns its result and the commit's number,
    /// or the number of the last commit when it wrote nothing. An error leaves no trace.
    ///
    /// # Errors
    /// Whatever `body` returns.
    pub fn transact<T>(&self, body: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<(T, u64)> {
        let mut next = self.alone();
        let _inside = cfg!(debug_assertions).then(|| Inside::new(&self.inside));
        let writes = super::scan::Writes::new();
        let mut tx = Tx { view: self.view(), writes, seq: *next, now: Timestamp::default() };
        let result = body(&mut tx)?;
        let Tx { writes, seq, view, .. } = tx;
        if writes.is_empty() {
            return Ok((result, seq - 1));
        }
        for ((family, key), value) in writes {
            view.layers.active.insert(family, key, seq, value);
        }
        *next = seq + 1;
        self.visible.store(seq, Ordering::Release);
        Ok((result, seq))
    }

    /// Number of the last commit that readers see.
    #[must_use]
    pub fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// Memory of commits not yet being written, in bytes, roughly.
    #[must_use]
    pub fn staged_bytes(&self) -> usize {
        self.layers.load().active.bytes()
    }

    /// Memory of all commits that are not in RocksDB yet, in bytes, roughly.
    #[must_use]
    pub fn unwritten_bytes(&self) -> usize {
        self.layers.load().each().map(|stage| stage.bytes()).sum()
    }

    /// Closes the present stage. Commits up to the returned number are written once [`Index::write_sealed`]
    /// has succeeded. A stage whose writing failed stays sealed and comes first.
    #[must_use]
    pub fn seal(&self) -> u64 {
        let next = self.alone();
        let now = self.layers.load();
        let last = *next - 1;
        match &now.sealed {
            Some((_, sealed)) => *sealed,
            None if now.active.is_empty() => last,
            None => {
                let sealed = Some((Arc::clone(&now.active), last));
                self.layers.store(Arc::new(Layers { active: Arc::default(), sealed }));
                last
            }
        }
    }

    /// The sealed stage, when one waits to be written.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when a family is missing.
    pub fn sealed(&self) -> Result<Option<Sealed>> {
        let layers = self.layers.load_full();
        let Some((stage, commit)) = &layers.sealed else { return Ok(None) };
        let mut batch = self.db.batch();
        let mut put = Ok(());
        stage.newest(&mut |family, key, value| {
            if put.is_ok() {
                put = self.db.put(&mut batch, family, key, value.map(AsRef::as_ref));
            }
        });
        put?;
        self.db.put(&mut batch, Family::Sys, SEQ_KEY, Some(&super::codec::encode(commit)))?;
        Ok(Some(Sealed { batch, stage: Arc::clone(stage), before: self.written(), commit: *commit }))
    }

    /// Writes the sealed stage to RocksDB as one batch. Whoever owns data that its records point at makes that durable
    /// before; whoever does not `sync` has made the batch durable too.
    ///
    /// # Errors
    /// When the disk refuses; the stage stays in memory and comes again from [`Index::sealed`].
    pub fn write_sealed(&self, sealed: Sealed, sync: bool) -> Result<()> {
        self.cache.begin();
        let written = self.write(sealed.batch, sealed.commit, sync);
        self.cache.end(|changed| sealed.stage.newest(changed));
        written?;
        let _commit = self.alone();
        let active = Arc::clone(&self.layers.load().active);
        self.layers.store(Arc::new(Layers { active, sealed: None }));
        Ok(())
    }

    /// Gives back the room of what was deleted: RocksDB keeps it until it merges its tables. Takes long.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn compact(&self) -> Result<()> {
        self.db.compact()
    }

    /// Makes an index of its own in `dir`, which must be absent and on the same file system: all that was written by the
    /// time of some moment of the call, in whole batches. Tables are shared by hard links; writers go on meanwhile.
    ///
    /// # Errors
    /// What the disk says; [`Kind::Unsupported`] for an index in memory.
    pub fn checkpoint(&self, dir: &Path) -> Result<()> {
        self.db.checkpoint(dir)
    }

    /// RocksDB's own counters as text, for diagnosis.
    #[must_use]
    pub fn statistics(&self) -> String {
        self.db.statistics()
    }

    /// The tables that count at this moment, in the order of their numbers. RocksDB may remove them at any time.
    ///
    /// # Errors
    /// When RocksDB cannot tell.
    pub fn tables(&self) -> Result<Vec<Table>> {
        self.db.tables()
    }

    /// Whether it lies in files of RocksDB's.
    #[must_use]
    pub const fn is_rocks(&self) -> bool {
        matches!(self.db, Backend::Rocks(_))
    }

    /// Checks the checksums of every table on disk.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when one does not hold.
    pub fn verify(&self) -> Result<()> {
        self.verify_while(&|| Ok(()))
    }

    /// The same, ending with what `goes_on` answers, which is asked now and then.
    ///
    /// # Errors
    /// As [`Index::verify`], and what `goes_on` answers.
    pub fn verify_while(&self, goes_on: &dyn Fn() -> Result<()>) -> Result<()> {
        self.db.verify(goes_on)
    }
}

impl Read for Index {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        self.glance().get(family, Bytes::copy_from_slice(key))
    }

    fn scan(&self, family: Family, lower: &[u8], upper: &[u8]) -> Result<super::Scan<'_>> {
        // The walk of RocksDB must begin while the stages are the ones above it.
        loop {
            let view = self.view();
            let scan = super::Scan::new(Below::now(&self.db), family, lower, upper, view.stage_layers())?;
            if Arc::ptr_eq(&view.layers, &self.layers.load()) {
                return Ok(scan);
            }
        }
    }
}
