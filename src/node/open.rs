//! Making and opening a store as its `keyfold.toml` says.

use crate::chunklog::Zone;
use crate::config::{self, DEBUG_TEMPLATE, DoorLimits, STORE_TEMPLATE, StoreSettings};
use crate::model::{Error, Kind, Result};
use crate::store::{Budget, Identity, Options, Prices, Settings, Store};
use crate::sys::disk::{OsDisk, TimedDisk, plain_file};
use crate::sys::process;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The settings' name in the store's directory.
const FILE: &str = "keyfold.toml";
/// How long a zone's disk is waited for before it is a lost one.
const ZONE_PATIENCE: Duration = Duration::from_secs(10);
/// The file is some lines; with long comments, some more.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;

/// What to open the store in `dir` with.
///
/// # Errors
/// Every complaint about its `keyfold.toml` at once.
pub fn options(dir: &Path) -> Result<Options> {
    let said = store_settings(dir)?;
    let zone = |zone: &config::Zone| Zone {
        name: zone.name.clone(),
        place: zone.path.clone(),
        disk: Arc::new(TimedDisk::new(Arc::new(OsDisk::new(&zone.path)), ZONE_PATIENCE)),
    };
    if let Some(zone) = said.zones.iter().find(|zone| zone.path.starts_with(dir)) {
        return Err(Error::new(Kind::InvalidArgument, format!("cannot take {} for a zone", zone.path.display()))
            .why("it lies in the store's own directory, which is the zone \"home\"")
            .mend("give [zones] in the store's keyfold.toml a directory on another disk"));
    }
    let zones = said.zones.iter().map(zone).collect();
    Ok(Options { settings: settings(&said), zones, ..Options::system() })
}

/// What the store's `keyfold.toml` says.
///
/// # Errors
/// As [`options`].
pub fn store_settings(dir: &Path) -> Result<StoreSettings> {
    StoreSettings::parse(&read(dir)?, has_debug_clock(dir))
}

/// Whether the store was made to have short days; of one that cannot be read, opening it says so.
fn has_debug_clock(dir: &Path) -> bool {
    Identity::of(dir).is_ok_and(|identity| identity.has_debug_clock())
}

/// The text of the store's settings; empty when it has none.
fn read(dir: &Path) -> Result<String> {
    let path = dir.join(FILE);
    let read = || {
        let mut text = String::new();
        let file = plain_file(File::options().read(true), &path)?;
        let bytes = file.take(SETTINGS_BYTES_MAX + 1).read_to_string(&mut text)?;
        if bytes as u64 > SETTINGS_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than settings can be"));
        }
        Ok(text)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| Error::io(format!("cannot read {}", path.display()), error)),
    }
}

/// Makes a store in an absent or empty directory, its settings commented out; the directory's whole path. With a debug clock
/// its days may be short.
///
/// # Errors
/// What [`Store::init`] says.
pub fn init(dir: &Path, debug_clock: bool) -> Result<PathBuf> {
    let what = || format!("cannot make a store in {}", dir.display());
    // Whoever may enter the directory can read every object.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| Error::io(what(), error))?;
    let dir = dir.canonicalize().map_err(|error| Error::io(what(), error))?;
    Store::init(&dir, &Options { debug_clock, ..Options::system() })?;
    // Synced: half a file would keep the store from being opened.
    let written = File::create_new(dir.join(FILE)).and_then(|mut file| {
        file.write_all(STORE_TEMPLATE.as_bytes())?;
        if debug_clock {
            file.write_all(DEBUG_TEMPLATE.as_bytes())?;
        }
        file.sync_all()
    });
    written.map_err(|error| Error::io(what(), error))?;
    Ok(dir)
}

/// The whole path of a store, made first when the directory is absent or empty.
pub(super) fn ensure(dir: &Path) -> Result<PathBuf> {
    let empty = match Store::is_vacant(dir) {
        Ok(vacant) => vacant,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(Error::io(format!("cannot look into the store {}", dir.display()), error)),
    };
    // Somebody's other directory is refused before a log is written into it.
    let foreign = !empty && !dir.join(crate::store::FORMAT_FILE).try_exists().unwrap_or(true);
    if foreign {
        return Err(Error::new(Kind::StoreUnavailable, format!("there is no store in {}", dir.display()))
            .why("the directory holds something else")
            .mend("name the store's directory, or an empty one for a new store"));
    }
    if empty {
        match init(dir, false) {
            // Another process was faster.
            Err(error) if error.kind() == Kind::AlreadyExists => {}
            made => return made,
        }
    }
    dir.canonicalize().map_err(|error| Error::io(format!("cannot find the store {}", dir.display()), error))
}

/// Opens the store and becomes its owner.
pub(super) fn open(dir: &Path) -> Result<Arc<Store>> {
    Store::open(dir, options(dir)?)
}

fn settings(from: &StoreSettings) -> Settings {
    let budget = budget(from);
    Settings {
        segment_bytes: from.segment_size,
        cache_bytes: budget.cache,
        memtable_bytes: budget.memtable,
        memtables_bytes: budget.memtables,
        stage_bytes: budget.stage,
        draft_bytes: budget.drafts,
        commit_interval: from.commit_interval,
        inline_max: from.inline_max,
        reserve: from.reserve,
        compact_rate: from.compact_rate,
        scrub_every: from.scrub_every,
        scrub_rate: from.scrub_rate,
        day: from.day,
        tiers: from.tiers.clone(),
        restore_delay: from.restore_delay,
        sca_threshold_millis: from.sca_threshold_millis,
        lifecycle_rate: if from.lifecycle_enabled { from.lifecycle_rate as u64 } else { 0 },
    }
}

fn budget(from: &StoreSettings) -> Budget {
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let ceiling = from.ceiling.unwrap_or_else(|| Budget::ceiling_of(process::memory_limit()));
    Budget::within(ceiling, bytes(from.cache_size), bytes(from.memtable_size))
}

/// How many files the kernel may know of the store in `dir`, which is open.
pub(super) fn nodes_max(dir: &Path) -> usize {
    budget(&settings_now(dir)).nodes
}

/// What clients of the S3 API may do to the store in `dir`, which is open.
pub(super) fn door_limits(dir: &Path) -> DoorLimits {
    settings_now(dir).door
}

/// What bills of the store in `dir` reckon with.
///
/// # Errors
/// Every complaint about its `keyfold.toml` at once.
pub fn prices(dir: &Path) -> Result<Prices> {
    Ok(StoreSettings::parse(&read(dir)?, has_debug_clock(dir))?.prices)
}

/// The settings as they are, the defaults when somebody has spoiled them since the store was opened.
fn settings_now(dir: &Path) -> StoreSettings {
    store_settings(dir).unwrap_or_default()
}
