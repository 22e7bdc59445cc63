//! Building a new index from the chunk log alone, when the old one is lost or hopeless.
//!
//! Runs and one-object files say whose they are (`origin`), notes what bytes cannot say (`notes`); the rest is lost: objects that
//! lie in the index, delete markers, tags, metadata, modes, settings of buckets. No data is moved or copied, and nothing is
//! deleted: contents without a name go to the bucket `lost-found`, files without any content to `quarantine/`.

mod build;
mod gather;
mod plan;

use super::fsck::QUARANTINE;
use super::locks::Locks;
use super::open::{Identity, META_DIR};
use super::publish::seg_key;
use super::{Finding, Options, Store, ids, open};
use crate::chunklog::{self, ChunkLog, Journal, Zones};
use crate::index::{Family, Index, Read, SegRecord, Source};
use crate::model::{Error, Kind, Result, Timestamp};
use crate::sys::disk::{Access, Disk, OsDisk};
use crate::sys::lock::LockFile;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The new index until it is complete.
const INDEX_NEW: &str = "meta.new";
/// Damage that is told one by one; more of it is counted.
const FINDINGS_MAX: usize = 10_000;

/// What a new index was built from, and what it has.
#[derive(Debug, Default)]
pub struct Rebuilt {
    /// Buckets.
    pub buckets: u64,
    /// Names with a current version.
    pub files: u64,
    /// Older versions below them.
    pub versions: u64,
    /// Bytes of all versions.
    pub bytes: u64,
    /// Of these, bytes that read as zeros: holes, or lost with what cannot be read any more.
    pub empty: u64,
    /// Files in the bucket `lost-found`, whose names are unknown, or have other contents.
    pub unnamed: u64,
    /// Contents that names had before and that are not whole: in `lost-found`.
    pub left_out: u64,
    /// Contents without a name, in `lost-found` too: parts of uploads, and writes that never came to their end.
    pub unclaimed: u64,
    /// One-object files that were cut off by a crash.
    pub unfinished: u64,
    /// Files of the log that were read.
    pub log_files: u64,
    /// Runs in them.
    pub runs: u64,
    /// Where the old index and what is of no use lie now; none after a dry run.
    pub quarantine: Option<PathBuf>,
    /// Files of the log that were moved there.
    pub moved: u64,
    /// Damage that was met.
    pub findings: Vec<Finding>,
}

/// Where an index is built anew.
struct Site<'a> {
    disk: Arc<dyn Disk>,
    dir: &'a Path,
    identity: Identity,
    /// Where the new one lies until it is complete.
    new: &'static str,
    /// Makes it, empty.
    open: &'a dyn Fn() -> Result<Index>,
}

impl Store {
    /// Builds the index of the store in `dir` anew; `owner` are the user and group of what is made. The old index goes to
    /// `quarantine/`. With `dry_run` nothing is changed, and what only building shows is not told.
    ///
    /// # Errors
    /// [`Kind::StoreBusy`] while a process owns the store; [`Kind::Locked`] while the old index reads and has object lock; what the disk says. The store is as it was, or has no index: then
    /// the same call builds it.
    pub fn rebuild(
        dir: &Path,
        options: Options,
        owner: (u32, u32),
        dry_run: bool,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Rebuilt> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk::new(dir));
        let identity = to_rebuild(&*disk, dir)?;
        let _lock = LockFile::take(&dir.join(open::LOCK_FILE))?;
        let settings = options.settings.index();
        if let Ok(index) = Index::open_read_only(&dir.join(META_DIR), settings) {
            need_no_locks(&index)?;
        }
        let open = || {
            // What a call left that did not come to its end.
            remove_dir(&dir.join(INDEX_NEW))?;
            Index::open(&dir.join(INDEX_NEW), settings)
        };
        let site = Site { disk, dir, identity, new: INDEX_NEW, open: &open };
        Self::rebuild_on(site, options, owner, dry_run, progress)
    }

    /// The same for a store on a disk whose index is in memory and on that disk too: for simulations.
    ///
    /// # Errors
    /// As [`Store::rebuild`].
    pub fn rebuild_simulated(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        dry_run: bool,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Rebuilt> {
        let identity = to_rebuild(&**disk, dir)?;
        let settings = options.settings.index();
        let open = || Index::in_memory(Arc::clone(disk), settings);
        // It is made where it belongs.
        let site = Site { disk: Arc::clone(disk), dir, identity, new: META_DIR, open: &open };
        Self::rebuild_on(site, options, (0, 0), dry_run, progress)
    }

    fn rebuild_on(
        site: Site<'_>,
        options: Options,
        owner: (u32, u32),
        dry_run: bool,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Rebuilt> {
        let Site { disk, dir, identity, new, open } = site;
        let mut settings = chunklog::Settings::new(identity.uuid(), u32::MAX, Arc::clone(&options.clock));
        settings.segment_bytes = options.settings.segment_bytes;
        settings.tiers.clone_from(&options.settings.tiers);
        let clock = Arc::clone(&options.clock);
        let open_files = settings.open_files;
        let what = "build the index anew";
        let (zones, left_out) = Zones::open(
            Arc::clone(&disk),
            &options.zones,
            identity.uuid(),
            clock,
            open_files,
            identity.has_zones(),
            dry_run,
        )?;
        if let Some(zone) = left_out.first() {
            return Err(Error::new(Kind::Conflict, format!("cannot {what} without zone {zone}"))
                .why("the store's keyfold.toml has no such zone, and files of the log may lie in it alone")
                .mend("put the zone back into [zones]"));
        }
        zones.need_all(what)?;
        if !dry_run {
            progress("writing back the journal");
            let journal = Journal::open(Arc::clone(&disk), identity.uuid(), Access::Write)?;
            journal.restore(&journal.all_entries()?, &zones)?;
        }
        let epoch = zones.last_epoch()?;
        let log = ChunkLog::open_in(zones, settings)?;
        let all = gather::gather(&log, progress)?;
        // What lay in a zone that went meanwhile would be no part of the new index.
        log.need_zones(what)?;
        drop(log);
        let plan = plan::plan(&all);
        let mut rebuilt = Rebuilt {
            unnamed: plan.nameless,
            left_out: plan.left_out,
            unclaimed: plan.unclaimed,
            unfinished: all.unfinished,
            log_files: all.files,
            runs: all.runs,
            ..Rebuilt::default()
        };
        rebuilt.find(all.flaws.iter().map(|flaw| Finding { invariant: "log", what: flaw.clone(), outcome: None }));
        if plan.unfollowed > 0 {
            let what = format!("{} renames are not followed: there are too many", plan.unfollowed);
            rebuilt.find(std::iter::once(Finding { invariant: "log", what, outcome: None }));
        }
        if dry_run {
            rebuilt.foresee(&all, &plan);
            return Ok(rebuilt);
        }
        let quarantine = make_quarantine(&*disk, options.clock.now())?;
        for old in [META_DIR, "journal"] {
            move_away(&*disk, Path::new(old), &quarantine)?;
        }
        let index = open()?;
        index.transact(|tx| {
            tx.put(Family::Sys, ids::IDS_KEY.as_bytes(), &ids::beyond(all.number));
            tx.put(Family::Sys, open::EPOCH_KEY.as_bytes(), &u64::from(epoch));
            if !options.zones.is_empty() {
                // What a zone shows later than now is for a person to judge.
                tx.put(Family::Sys, open::SALVAGED_KEY.as_bytes(), &u64::from(epoch));
            }
            Ok(())
        })?;
        // No worker: nothing may be freed before the index is complete.
        let options = Options { workers: false, read_only: false, ..options };
        let store = Self::open_on(Arc::clone(&disk), index, dir, identity, options, None)?;
        let built = build::build(&store, &all, &plan, owner, progress);
        let moved = built.and_then(|built| {
            store.log.need_zones(what)?;
            progress("setting aside what is of no use");
            Ok((built, store.set_aside(&quarantine)?))
        });
        let closed = store.close();
        let (built, moved) = moved?;
        closed?;
        drop(store);
        let failed = |error| Error::io("cannot put the new index in its place", error);
        if new != META_DIR {
            disk.rename(Path::new(new), Path::new(META_DIR)).map_err(failed)?;
            disk.sync_dir(Path::new("")).map_err(failed)?;
        }
        rebuilt.buckets = built.buckets;
        rebuilt.files = built.names;
        rebuilt.versions = built.older;
        rebuilt.bytes = built.bytes;
        rebuilt.empty = built.empty;
        rebuilt.moved = moved;
        rebuilt.quarantine = Some(dir.join(quarantine));
        rebuilt.find(built.findings.into_iter());
        Ok(rebuilt)
    }

    /// Moves files of the log out of the way that no content refers to: the next opening would sweep them. Notes stay.
    fn set_aside(&self, quarantine: &Path) -> Result<u64> {
        let mut moved = 0;
        let useless = |source: Source| -> Result<bool> {
            let Some(key) = seg_key(source) else { return Ok(false) };
            let record: Option<SegRecord> = self.index.record(Family::Seg, &key)?;
            Ok(record.unwrap_or_default().live_bytes <= 0)
        };
        for segment in self.log.segments()? {
            let source = Source::Run { segment: segment.id.0, offset: 0, len: 0, skip: 0 };
            if useless(source)? && matches!(self.log.holds_notes(segment.id), Ok(false)) {
                moved += u64::from(self.move_copies_away(&segment.id.path(), quarantine)?);
            }
        }
        for solo in self.log.solos()? {
            if useless(Source::Solo { id: solo.id.0, at: 0 })? {
                let path = solo.id.path();
                moved += u64::from(self.move_copies_away(&path, quarantine)?);
                self.move_copies_away(&path.with_extension("sum"), quarantine)?;
            }
        }
        Ok(moved)
    }

    /// Moves a file away in each zone that has it.
    pub(super) fn move_copies_away(&self, path: &Path, quarantine: &Path) -> Result<bool> {
        self.log.disks().iter().try_fold(false, |moved, disk| Ok(moved | move_away(&**disk, path, quarantine)?))
    }
}

impl Rebuilt {
    fn find(&mut self, findings: impl Iterator<Item = Finding>) {
        let room = FINDINGS_MAX.saturating_sub(self.findings.len());
        let mut findings = findings;
        self.findings.extend(findings.by_ref().take(room));
        let more = findings.count();
        if more > 0 {
            self.findings.push(Finding { invariant: "log", what: format!("{more} more are not told"), outcome: None });
        }
    }

    /// What the plan would come to.
    fn foresee(&mut self, all: &gather::Gathered, plan: &plan::Plan) {
        let buckets: HashSet<&str> = plan.names.iter().map(|name| name.bucket.as_str()).collect();
        self.buckets = buckets.len() as u64;
        self.files = plan.names.len() as u64;
        for name in &plan.names {
            self.versions += name.contents.len().saturating_sub(1) as u64;
            for id in &name.contents {
                let Some(found) = all.contents.get(id) else { continue };
                self.bytes = self.bytes.saturating_add(found.length(*id));
            }
        }
        let mut bad = Vec::new();
        for name in &plan.names {
            let parts = name.contents.iter().filter_map(|id| all.contents.get(id)).flat_map(|found| &found.parts);
            for (part, (from, len)) in parts.flat_map(|part| part.bad.iter().map(move |bad| (part, bad))) {
                let at = part.at.saturating_add(*from);
                let what = format!("{}/{}: {len} bytes at {at} are damaged", name.bucket, name.key);
                bad.push(Finding { invariant: "data-reads", what, outcome: None });
            }
        }
        self.find(bad.into_iter());
    }
}

/// Locks lie in the index alone: one that reads and has any is mended, not replaced (LOCK-21).
fn need_no_locks(index: &Index) -> Result<()> {
    if !Locks::are_in(index) {
        return Ok(());
    }
    Err(Error::new(Kind::Locked, "cannot build a new index")
        .why("the store has object lock, and a new index would know of no retention and no legal hold (LOCK-21)")
        .mend("run `keyfold fsck --repair`, which mends the index and keeps them, or restore a backup"))
}

/// The identity of a store whose index may be built anew.
fn to_rebuild(disk: &dyn Disk, dir: &Path) -> Result<Identity> {
    let identity = Identity::read(disk, dir)?;
    if identity.is_backup() {
        return Err(Error::new(Kind::ReadOnly, "cannot build a new index").why("it is a backup, which is only read"));
    }
    Ok(identity)
}

fn remove_dir(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io(format!("cannot remove {}", dir.display()), error))
        }
        _ => Ok(()),
    }
}

/// A new directory for what is moved away.
pub(super) fn make_quarantine(disk: &dyn Disk, now: Timestamp) -> Result<PathBuf> {
    let failed = |error| Error::io("cannot make a quarantine", error);
    let named = now.sortable();
    let mut n = 1;
    loop {
        let path = Path::new(QUARANTINE).join(if n == 1 { named.clone() } else { format!("{named}-{n}") });
        match disk.list(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                disk.create_dir_all(&path).map_err(failed)?;
                disk.sync_dir(Path::new("")).map_err(failed)?;
                disk.sync_dir(Path::new(QUARANTINE)).map_err(failed)?;
                return Ok(path);
            }
            Err(error) => return Err(failed(error)),
            Ok(_) => n += 1,
        }
    }
}

/// Moves a file or directory to the same place below `quarantine`; whether it was there.
fn move_away(disk: &dyn Disk, path: &Path, quarantine: &Path) -> Result<bool> {
    let failed = |error| Error::io(format!("cannot move {} away", path.display()), error);
    let to = quarantine.join(path);
    let above = to.parent().unwrap_or(quarantine);
    disk.create_dir_all(above).map_err(failed)?;
    match disk.rename(path, &to) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    }
    disk.sync_dir(above).map_err(failed)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(""))).map_err(failed)?;
    Ok(true)
}
