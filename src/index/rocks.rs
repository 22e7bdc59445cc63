//! RocksDB below the index's stages.

use super::db::{Settings, Table};
use super::family::Family;
use super::unjournaled::{SUM_KEY, sum_of};
use crate::model::{Error, Kind, Result};
use crate::sys::sync::Mutex;
use bytes::Bytes;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::properties::{BACKGROUND_ERRORS, IS_WRITE_STOPPED};
use rocksdb::{
    BlockBasedOptions, ColumnFamily, ColumnFamilyDescriptor, DB, DBRawIterator, Options, Snapshot, WriteBatch,
    WriteOptions,
};
use std::path::Path;
use std::time::{Duration, Instant};

/// After how long a write is tried again that came while writes were stopped.
const STOPPED_PAUSE: Duration = Duration::from_millis(2);
/// How long writes wait that are stopped while RocksDB's own work fails.
const STOPPED_PATIENCE: Duration = Duration::from_secs(2);

/// The family that RocksDB makes by itself, in which nothing lies.
const UNUSED: &str = "default";
/// Records that are verified before it is asked whether to go on.
const VERIFIED_AT_ONCE: u64 = 4096;

/// An open RocksDB.
pub(super) struct Rocks(DB, Mutex<Option<Stop>>);

/// Writes are stopped: since when, and how much of RocksDB's own work had failed by then.
#[derive(Clone, Copy)]
struct Stop {
    since: Instant,
    errors: u64,
}

/// What it held at one moment.
pub(super) struct RocksFrozen<'a>(Snapshot<'a>);

impl Rocks {
    pub(super) fn open(dir: &Path, settings: Settings) -> Result<Self> {
        Self::open_with(dir, settings, &database_options(settings)?)
    }

    /// Writes nothing, not even a log of its own.
    pub(super) fn open_read_only(dir: &Path, settings: Settings) -> Result<Self> {
        let mut options = database_options(settings)?;
        options.create_if_missing(false);
        options.create_missing_column_families(false);
        let there = DB::list_cf(&options, dir).map_err(|error| unopened(&error))?;
        let families = Self::families(settings).filter(|family| there.iter().any(|name| name == family.name()));
        let db = DB::open_cf_descriptors_read_only(&options, dir, families, false);
        db.map(Self::over).map_err(|error| unopened(&error))
    }

    fn over(db: DB) -> Self {
        Self(db, Mutex::default())
    }

    /// Opens one that is there, as far as it can be read.
    pub(super) fn open_existing(dir: &Path, settings: Settings) -> Result<Self> {
        let mut options = database_options(settings)?;
        options.create_if_missing(false);
        // Merging tables would come upon the damage.
        options.set_disable_auto_compactions(true);
        Self::open_with(dir, settings, &options)
    }

    /// Has RocksDB make a new list of its tables, from those that are there.
    pub(super) fn repair(dir: &Path) -> Result<()> {
        let mut options = Options::default();
        options.create_if_missing(true);
        DB::repair(&options, dir).map_err(|error| failed("cannot repair the index", &error))
    }

    fn open_with(dir: &Path, settings: Settings, options: &Options) -> Result<Self> {
        let db = DB::open_cf_descriptors(options, dir, Self::families(settings));
        db.map(Self::over).map_err(|error| unopened(&error))
    }

    fn families(settings: Settings) -> impl Iterator<Item = ColumnFamilyDescriptor> {
        let cache = rocksdb::Cache::new_lru_cache(settings.cache_bytes);
        let families = Family::ALL
            .iter()
            .map(move |family| ColumnFamilyDescriptor::new(family.name(), family_options(*family, settings, &cache)));
        // RocksDB preallocates its log by the size of the default family's memtable, which nothing uses otherwise:
        // enough that a sync rarely changes the file's extents, little enough that a new store is small.
        let mut unused = Options::default();
        unused.set_write_buffer_size(4 << 20);
        families.chain([ColumnFamilyDescriptor::new(UNUSED, unused)])
    }

    pub(super) fn checkpoint(&self, dir: &Path) -> Result<()> {
        let made = Checkpoint::new(&self.0).and_then(|checkpoint| checkpoint.create_checkpoint(dir));
        made.map_err(|error| failed("cannot make a snapshot of the index", &error))
    }

    fn handle(&self, family: Family) -> Result<&ColumnFamily> {
        // A family younger than an index that is only read holds nothing, as the one of no use does.
        let none = || self.0.cf_handle(UNUSED).filter(|_| family.is_young());
        let found = self.0.cf_handle(family.name()).or_else(none);
        found.ok_or_else(|| Error::corrupt("cannot read the index", format!("it has no family {}", family.name())))
    }

    pub(super) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        match self.0.get_pinned_cf(self.handle(family)?, key) {
            Ok(value) => Ok(value.map(|bytes| Bytes::copy_from_slice(&bytes))),
            Err(error) => Err(failed("cannot read the index", &error)),
        }
    }

    pub(super) fn freeze(&self) -> RocksFrozen<'_> {
        RocksFrozen(self.0.snapshot())
    }

    pub(super) fn get_frozen(&self, frozen: &RocksFrozen<'_>, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        match frozen.0.get_pinned_cf(self.handle(family)?, key) {
            Ok(value) => Ok(value.map(|bytes| Bytes::copy_from_slice(&bytes))),
            Err(error) => Err(failed("cannot read the index", &error)),
        }
    }

    pub(super) fn walk<'a>(
        &'a self,
        frozen: Option<&'a RocksFrozen<'a>>,
        family: Family,
        lower: &[u8],
        upper: &[u8],
    ) -> Result<DBRawIterator<'a>> {
        let mut options = rocksdb::ReadOptions::default();
        options.set_iterate_upper_bound(upper);
        // A walk of many names would drive everything else out of memory, and asks for each only once.
        options.fill_cache(!matches!(family, Family::Dent | Family::Content | Family::Node));
        let handle = self.handle(family)?;
        let mut walk = match frozen {
            Some(frozen) => frozen.0.raw_iterator_cf_opt(handle, options),
            None => self.0.raw_iterator_cf_opt(handle, options),
        };
        walk.seek(lower);
        Ok(walk)
    }

    pub(super) fn put(&self, batch: &mut WriteBatch, family: Family, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        match value {
            Some(value) => batch.put_cf(self.handle(family)?, key, value),
            None => batch.delete_cf(self.handle(family)?, key),
        }
        Ok(())
    }

    pub(super) fn write(&self, mut batch: WriteBatch, sync: bool) -> Result<()> {
        if let Some(sum) = sum_of(batch.data()) {
            self.put(&mut batch, Family::Sys, SUM_KEY, Some(&sum))?;
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        // While memtables wait for a flush, RocksDB has writers wait in their queue. When that flush finds the disk full, its
        // recovery needs the queue, and each waits for the other for ever. So nobody waits there while writes are stopped.
        let mut waits_outside = true;
        loop {
            options.set_no_slowdown(waits_outside);
            let again = waits_outside.then(|| WriteBatch::from_data(batch.data()));
            match (self.0.write_opt(batch, &options), again) {
                (Err(error), Some(same)) if error.kind() == rocksdb::ErrorKind::Incomplete => batch = same,
                (done, _) => {
                    *self.1.lock() = None;
                    return done.map_err(|error| failed("cannot write the index", &error));
                }
            }
            // Those that are only to be slower wait inside, for a time that RocksDB knows.
            waits_outside = matches!(self.0.property_int_value(IS_WRITE_STOPPED), Ok(Some(1..)));
            if waits_outside {
                self.still_stopped()?;
                crate::sys::sync::thread::sleep(STOPPED_PAUSE);
            }
        }
    }

    /// Whether to wait for writes that are stopped. RocksDB's work that would let them go on may be long, or its disk not
    /// answer. Where it fails and is tried again, it wants for room: anything else is told to writers as an error.
    fn still_stopped(&self) -> Result<()> {
        let errors = self.0.property_int_value(BACKGROUND_ERRORS).ok().flatten().unwrap_or(0);
        let mut stop = self.1.lock();
        let stop = stop.get_or_insert_with(|| Stop { since: Instant::now(), errors });
        if errors > stop.errors && stop.since.elapsed() > STOPPED_PATIENCE {
            return Err(Error::new(Kind::Full, "cannot write the index")
                .why("its tables have to be written and merged before, and there is no room on the disk for that"));
        }
        Ok(())
    }

    pub(super) fn sync_logs(&self) -> Result<()> {
        self.0.flush_wal(true).map_err(|error| failed("cannot sync the index", &error))
    }

    /// See [`super::Index::replay`].
    pub(super) fn batch_of(bytes: &[u8]) -> Result<WriteBatch> {
        // RocksDB reads sequence number and count without looking whether they are there.
        if bytes.len() < 12 {
            return Err(Error::corrupt("cannot write a kept batch to the index", "it is too short"));
        }
        Ok(WriteBatch::from_data(bytes))
    }

    pub(super) fn compact(&self) -> Result<()> {
        for family in Family::ALL {
            let handle = self.handle(*family)?;
            self.0.flush_cf(handle).map_err(|error| failed("cannot write the index", &error))?;
            self.0.compact_range_cf(handle, None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    pub(super) fn statistics(&self) -> String {
        self.0.property_value("rocksdb.stats").ok().flatten().unwrap_or_default()
    }

    pub(super) fn tables(&self) -> Result<Vec<Table>> {
        let files = self.0.live_files().map_err(|error| failed("cannot list the index's tables", &error))?;
        let table = |file: rocksdb::LiveFile| {
            let name = file.name.trim_start_matches('/').to_owned();
            let number = name.strip_suffix(".sst")?.parse().ok()?;
            Some(Table { number, name, family: file.column_family_name, bytes: file.size as u64 })
        };
        let mut tables: Vec<Table> = files.into_iter().filter_map(table).collect();
        tables.sort_unstable();
        Ok(tables)
    }

    pub(super) fn verify(&self, goes_on: &dyn Fn() -> Result<()>) -> Result<()> {
        let mut seen = 0_u64;
        for family in Family::ALL {
            let mut options = rocksdb::ReadOptions::default();
            options.set_verify_checksums(true);
            options.fill_cache(false);
            let mut walk = self.0.raw_iterator_cf_opt(self.handle(*family)?, options);
            walk.seek_to_first();
            while walk.valid() {
                if seen.is_multiple_of(VERIFIED_AT_ONCE) {
                    goes_on()?;
                }
                seen += 1;
                walk.next();
            }
            walk.status().map_err(|error| {
                Error::corrupt(format!("cannot read the index family {}", family.name()), error.to_string())
            })?;
        }
        Ok(())
    }
}

/// Why a database does not open. A file that is missing is damage, whatever the system calls it.
fn unopened(error: &rocksdb::Error) -> Error {
    let missing = error.to_string().contains("No such file or directory");
    let error = failed("cannot open the index", error);
    let kind = if missing { Kind::Corrupt } else { error.kind() };
    let why = error.reason().to_owned();
    let error = Error::new(kind, "cannot open the index").why(why);
    if kind == Kind::Corrupt { error.mend(super::MEND) } else { error }
}

pub(super) fn failed(what: &'static str, error: &rocksdb::Error) -> Error {
    let text = error.to_string();
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => Kind::Corrupt,
        _ if text.contains("No space left") => Kind::Full,
        _ => Kind::Io,
    };
    Error::new(kind, what).why(text)
}

/// Whether RocksDB says that it could not make its next log.
pub(super) fn begins_no_log(error: &Error) -> bool {
    error.reason().contains("While open a file for appending") && error.reason().contains(".log: ")
}

/// Each change of the list of tables makes a new one: a record that is appended to one in use can be torn by a power cut,
/// and a list with a torn end does not open. Only a new family is appended all the same, when a store is made
/// or is first opened by a release that has the family.
const ANEW: &str = "max_manifest_file_size=0;max_manifest_space_amp_pct=0";

fn database_options(settings: Settings) -> Result<Options> {
    let options = Options::default().get_options_from_string(ANEW);
    let mut options = options.map_err(|error| failed("cannot set up the index", &error))?;
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    // A family that is rarely written must not keep the log of all others.
    options.set_max_total_wal_size(4 * settings.memtable_bytes as u64);
    options.set_db_write_buffer_size(settings.memtables_bytes);
    options.set_max_open_files(512);
    options.set_skip_stats_update_on_db_open(true);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_manifest_preallocation_size(64 << 10);
    Ok(options)
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
    // On a full disk tables cannot be merged. Deletes, which give room back, are written all the same: writes become
    // slower as tables gather, and never stop on their account.
    options.set_level_zero_stop_writes_trigger(i32::MAX);
    options.set_hard_pending_compaction_bytes_limit(0);
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
