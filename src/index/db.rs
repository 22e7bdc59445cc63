//! The index itself: opening RocksDB, committing into the stage, writing the stage out.

use super::cache::Cache;
use super::family::Family;
use super::stage::Stage;
use super::tx::{Read, Tx, View};
use crate::model::{Error, Kind, Result};
use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;
use rocksdb::{BlockBasedOptions, ColumnFamily, ColumnFamilyDescriptor, DB, Options, WriteBatch, WriteOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How the index uses the machine.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of RocksDB's block cache.
    pub cache_bytes: usize,
    /// Bytes of a memtable before RocksDB writes it to a table.
    pub memtable_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, memtable_bytes: 16 << 20 }
    }
}

/// The stages readers look through before RocksDB, newest first.
pub(super) struct Layers {
    active: Arc<Stage>,
    /// The stage being written, and the last commit in it.
    sealed: Option<(Arc<Stage>, u64)>,
}

impl Layers {
    pub(super) fn each(&self) -> impl Iterator<Item = &Arc<Stage>> {
        std::iter::once(&self.active).chain(self.sealed.as_ref().map(|(stage, _)| stage))
    }
}

/// The ordered store of records. Shared between threads by reference.
pub struct Index {
    db: DB,
    cache: Cache,
    layers: ArcSwap<Layers>,
    /// Number of the last commit readers may see.
    visible: AtomicU64,
    /// Held while a transaction runs or the stage is swapped: the next commit's number.
    commit: Mutex<u64>,
    /// Numbers of the last commit written to RocksDB, and of the last that its log was synced with.
    written: AtomicU64,
    synced: AtomicU64,
}

const SEQ_KEY: &[u8] = b"seq";
const SYNCED_KEY: &[u8] = b"synced";

/// A sealed stage as RocksDB takes it: one batch, all or nothing.
pub struct Sealed {
    batch: WriteBatch,
    stage: Arc<Stage>,
    /// Number of the last commit written before it.
    pub before: u64,
    /// Number of its own last commit.
    pub commit: u64,
}

impl Sealed {
    /// What [`Index::replay`] takes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.batch.data()
    }
}

impl Index {
    /// Opens the index in `dir`, making it when absent. Cost does not grow with what is stored.
    ///
    /// # Errors
    /// When RocksDB cannot open: another process, a damaged or newer format, a full disk.
    pub fn open(dir: &Path, settings: Settings) -> Result<Self> {
        let cache = rocksdb::Cache::new_lru_cache(settings.cache_bytes);
        let families = Family::ALL
            .iter()
            .map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(*family, settings, &cache)));
        // RocksDB preallocates its log by the size of the default family's memtable, which nothing uses otherwise:
        // enough that a sync rarely changes the file's extents, little enough that a new store is small.
        let mut unused = Options::default();
        unused.set_write_buffer_size(4 << 20);
        let families = families.chain([ColumnFamilyDescriptor::new("default", unused)]);
        let db = DB::open_cf_descriptors(&database_options(settings), dir, families)
            .map_err(|error| failed("cannot open the index", &error))?;
        let index = Self {
            db,
            cache: Cache::new(),
            layers: ArcSwap::from_pointee(Layers { active: Arc::default(), sealed: None }),
            visible: AtomicU64::new(0),
            commit: Mutex::new(1),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
        };
        // Not through the cache, which a replay passes by.
        let number = |key| disk_get(&index.db, Family::Sys, key)?.map_or(Ok(0), |bytes| super::codec::decode(&bytes));
        index.synced.store(number(SYNCED_KEY)?, Ordering::Release);
        index.begin_after(number(SEQ_KEY)?);
        Ok(index)
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
        // RocksDB reads sequence number and count without looking whether they are there.
        if batch.len() < 12 {
            return Err(Error::corrupt("cannot write a kept batch to the index", "it is too short"));
        }
        self.db
            .write(WriteBatch::from_data(batch))
            .map_err(|error| failed("cannot write a kept batch to the index", &error))?;
        self.begin_after(commit);
        Ok(())
    }

    /// Syncs what was written unsynced.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.write(WriteBatch::default(), self.written(), true)
    }

    fn write(&self, mut batch: WriteBatch, commit: u64, sync: bool) -> Result<()> {
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        if sync {
            // The record that says so must not come to the disk before the logs it speaks of.
            if self.written() > self.synced() {
                self.db.flush_wal(true).map_err(|error| failed("cannot sync the index", &error))?;
            }
            batch.put_cf(handle(&self.db, Family::Sys)?, SYNCED_KEY, super::codec::encode(&commit));
        }
        self.db.write_opt(batch, &options).map_err(|error| failed("cannot write the index", &error))?;
        self.written.store(commit, Ordering::Release);
        if sync {
            self.synced.store(commit, Ordering::Release);
        }
        Ok(())
    }

    pub(super) fn view(&self) -> View<'_> {
        View { db: &self.db, cache: &self.cache, layers: self.layers.load_full(), seq: self.visible() }
    }

    /// Runs `body` alone and commits what it wrote, all at once. Returns its result and the commit's number,
    /// or the number of the last commit when it wrote nothing. An error leaves no trace.
    ///
    /// # Errors
    /// Whatever `body` returns.
    pub fn transact<T>(&self, body: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<(T, u64)> {
        let mut next = self.commit.lock();
        let mut tx = Tx { view: self.view(), writes: super::scan::Writes::new(), seq: *next };
        let result = body(&mut tx)?;
        let Tx { writes, seq, view } = tx;
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
        let next = self.commit.lock();
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
        let mut batch = WriteBatch::default();
        let mut problem = None;
        stage.newest(&mut |family, key, value| match (handle(&self.db, family), value) {
            (Ok(handle), Some(value)) => batch.put_cf(handle, key, value),
            (Ok(handle), None) => batch.delete_cf(handle, key),
            (Err(error), _) => problem = Some(error),
        });
        if let Some(error) = problem {
            return Err(error);
        }
        batch.put_cf(handle(&self.db, Family::Sys)?, SEQ_KEY, super::codec::encode(commit));
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
        let _commit = self.commit.lock();
        let active = Arc::clone(&self.layers.load().active);
        self.layers.store(Arc::new(Layers { active, sealed: None }));
        Ok(())
    }

    /// Gives back the room of what was deleted: RocksDB keeps it until it merges its tables. Takes long.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn compact(&self) -> Result<()> {
        for family in Family::ALL {
            let handle = handle(&self.db, *family)?;
            self.db.flush_cf(handle).map_err(|error| failed("cannot write the index", &error))?;
            self.db.compact_range_cf(handle, None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    /// RocksDB's own counters as text, for diagnosis.
    #[must_use]
    pub fn statistics(&self) -> String {
        self.db.property_value("rocksdb.stats").ok().flatten().unwrap_or_default()
    }

    /// Checks the checksums of every table on disk.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when one does not hold.
    pub fn verify(&self) -> Result<()> {
        for family in Family::ALL {
            let mut options = rocksdb::ReadOptions::default();
            options.set_verify_checksums(true);
            options.fill_cache(false);
            let mut walk = self.db.raw_iterator_cf_opt(handle(&self.db, *family)?, options);
            walk.seek_to_first();
            while walk.valid() {
                walk.next();
            }
            walk.status().map_err(|error| {
                Error::corrupt(format!("cannot read the index family {}", family.name()), error.to_string())
            })?;
        }
        Ok(())
    }
}

impl Read for Index {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        self.view().get(family, Bytes::copy_from_slice(key))
    }

    fn scan(&self, family: Family, lower: &[u8], upper: &[u8]) -> Result<super::Scan<'_>> {
        // The walk of RocksDB must begin while the stages are the ones above it.
        loop {
            let view = self.view();
            let scan = super::Scan::new(&self.db, family, lower, upper, view.stage_layers())?;
            if Arc::ptr_eq(&view.layers, &self.layers.load()) {
                return Ok(scan);
            }
        }
    }
}

pub(super) fn handle(db: &DB, family: Family) -> Result<&ColumnFamily> {
    db.cf_handle(family.name())
        .ok_or_else(|| Error::corrupt("cannot read the index", format!("it has no family {}", family.name())))
}

pub(super) fn disk_get(db: &DB, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
    match db.get_pinned_cf(handle(db, family)?, key) {
        Ok(value) => Ok(value.map(|bytes| Bytes::copy_from_slice(&bytes))),
        Err(error) => Err(failed("cannot read the index", &error)),
    }
}

fn failed(what: &'static str, error: &rocksdb::Error) -> Error {
    let text = error.to_string();
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => Kind::Corrupt,
        _ if text.contains("No space left") => Kind::Full,
        _ => Kind::Io,
    };
    Error::new(kind, what).why(text)
}

fn database_options(settings: Settings) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    // A family that is rarely written must not keep the log of all others.
    options.set_max_total_wal_size(4 * settings.memtable_bytes as u64);
    options.set_max_open_files(512);
    options.set_skip_stats_update_on_db_open(true);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_manifest_preallocation_size(64 << 10);
    options
}

fn family_options(family: Family, settings: Settings, cache: &rocksdb::Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    table.set_format_version(6);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_compression_type(rocksdb::DBCompressionType::Lz4);
    options.set_write_buffer_size(settings.memtable_bytes);
    options.set_level_compaction_dynamic_level_bytes(true);
    if family == Family::Content {
        options.set_target_file_size_base(64 << 20);
    }
    if matches!(family, Family::Dent | Family::Ver | Family::Refs) {
        // Most names that are asked for here are not there.
        options.set_memtable_prefix_bloom_ratio(0.02);
        options.set_memtable_whole_key_filtering(true);
    }
    options
}
