//! Making a generation: hold the store still, decide what is new, copy that, verify it, and give it its name.

use super::Watch;
use super::check::Checker;
use super::copy::{Copied, Donor, Unit, What, copy, link_own, take_back};
use super::keep::{prune, surplus};
use super::not_whole;
use super::place::{self, Place, RECORD, Record, full, generations, partials, refused, sync_dir, write};
use crate::chunklog::LogFile;
use crate::model::{Error, Kind, Result};
use crate::store::{ACCESS_KEY_FILE, FORMAT_FILE, Identity, Snapshot, Store};
use crate::sys::disk::{Disk, OsDisk};
use crate::sys::path::existing;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// What else lies in a store that it cannot do without: its settings, and the key of its access keys' secrets.
pub(super) const SMALL: [&str; 2] = ["keyfold.toml", ACCESS_KEY_FILE];

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The backup directory; absolute.
    pub to: PathBuf,
    /// Share files with the store by hard links instead of copying them: no protection against a broken disk.
    pub link: bool,
    /// Remove the oldest generations beyond so many.
    pub keep: Option<usize>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Made {
    /// The generation's directory; in a dry run the backup directory.
    pub generation: PathBuf,
    /// What is known of it.
    pub record: Record,
    /// Generations that were removed, or would be.
    pub removed: Vec<String>,
    /// Generations that stay although they are old, because they are open.
    pub in_use: Vec<String>,
}

/// Copies the store as it is now into a new generation.
///
/// # Errors
/// [`Kind::InvalidArgument`] and [`Kind::NotEmpty`] for a place that cannot hold backups, [`Kind::Conflict`] for
/// another store's or while another backup runs, [`Kind::Full`], or what the disks say. What was copied by then is used
/// by the next call; nothing of it shows.
pub fn make(store: &Store, plan: &Plan, watch: &mut dyn Watch) -> Result<Made> {
    store.writable()?;
    let identity = Identity::of(store.dir())?;
    let to = outside(&plan.to, store.dir())?;
    if plan.dry_run {
        place::check(&to, &identity)?;
        let snapshot = store.snapshot()?;
        let decided = Decided::of(store, &snapshot, &donors(&to)?)?;
        let removed = match plan.keep {
            // The new one is kept too.
            Some(keep) if place::check(&to, &identity)? => surplus(&generations(&to)?, keep.saturating_sub(1))
                .iter()
                .map(|old| old.dir.display().to_string())
                .collect(),
            _ => vec![],
        };
        let mut record = decided.record;
        if plan.link {
            (record.new_files, record.new_bytes) = (0, 0);
        }
        return Ok(Made { generation: to, record, removed, in_use: vec![] });
    }
    let place = Place::take(&to, &identity)?;
    watch.progress("taking a snapshot")?;
    let snapshot = store.snapshot()?;
    let created = store.now();
    let donors = donors(&to)?;
    let decided = Decided::of(store, &snapshot, &donors)?;
    let partial = place.begin(created)?;
    let mut work = Work {
        store,
        link: plan.link,
        same_disk: same_disk(&partial, store.dir())?,
        checker: Checker::new(&partial, identity.uuid(), store.clock(), store.settings().clone())?,
        to: partial.clone(),
        record: Record {
            created: created.rfc3339(),
            linked: plan.link,
            new_files: 0,
            new_bytes: 0,
            ..decided.record.clone()
        },
        damaged: BTreeSet::new(),
        done: 0,
        all: if plan.link { 0 } else { decided.record.new_bytes },
        told: Instant::now(),
        watch,
    };
    work.room()?;
    let units = decided.units.len();
    work.watch.progress(&format!("copying what is new of {units} files"))?;
    for (name, why) in &decided.missing {
        work.damage(name, why)?;
    }
    for (copies, donor) in &decided.units {
        work.bring(copies, donor.and_then(|at| donors.get(at)))?;
    }
    let record = work.finish(&identity)?;
    drop(snapshot);
    let generation = place.complete(&partial, created)?;
    place.tidy()?;
    // What is old may be all that is left of what is damaged now.
    let (removed, in_use) = match plan.keep {
        Some(keep) if record.damaged.is_empty() => prune(&place, keep)?,
        _ => (vec![], vec![]),
    };
    Ok(Made { generation, record, removed, in_use })
}

/// A unit, and the same elsewhere, for when it is damaged.
struct Copies {
    best: Unit,
    others: Vec<Unit>,
}

impl Copies {
    fn of(units: Vec<Unit>) -> Option<Self> {
        let mut units = units.into_iter();
        Some(Self { best: units.next()?, others: units.collect() })
    }
}

impl From<Unit> for Copies {
    fn from(best: Unit) -> Self {
        Self { best, others: Vec::new() }
    }
}

/// What is to be done with each file.
struct Decided {
    units: Vec<(Copies, Option<usize>)>,
    missing: Vec<(String, String)>,
    record: Record,
}

impl Decided {
    fn of(store: &Store, snapshot: &Snapshot<'_>, donors: &[Donor]) -> Result<Self> {
        let mut units = Vec::new();
        let mut missing = Vec::new();
        for (file, live) in snapshot.files() {
            let (what, path) = match file {
                LogFile::Segment(id) => (What::Segment(id), id.path()),
                LogFile::Solo(id) => (What::Solo(id), id.path()),
            };
            let mut copies = Vec::new();
            for place in snapshot.places_of(file) {
                copies.extend(Unit::of_log(&place, what)?);
            }
            if copies.is_empty() && live {
                missing.push((path.display().to_string(), "the file is missing".to_owned()));
            }
            units.extend(Copies::of(copies));
        }
        units.extend(Unit::of_index(&snapshot.index_dir())?.into_iter().map(Copies::from));
        for name in SMALL {
            if let Ok(Some(bytes)) = OsDisk::new(store.dir()).file_len(Path::new(name)) {
                let files = vec![(store.dir().join(name), PathBuf::from(name), bytes)];
                units.push(Copies::from(Unit { what: What::Small, files }));
            }
        }
        let mut record = Record { commit: snapshot.commit(), ..Record::default() };
        let decide = |copies: Copies| {
            let unit = &copies.best;
            let donor = donors.iter().position(|donor| donor.has(unit));
            record.files += unit.files.len() as u64;
            record.bytes += unit.bytes();
            if donor.is_none() {
                record.new_files += unit.files.len() as u64;
                record.new_bytes += unit.bytes();
            }
            (copies, donor)
        };
        let units = units.into_iter().map(decide).collect();
        Ok(Self { units, missing, record })
    }
}

/// Where files may come from: the newest generation, and what backups left that did not come to their end.
fn donors(to: &Path) -> Result<Vec<Donor>> {
    let newest = match generations(to) {
        Ok(mut all) => all.pop(),
        Err(error) if error.kind() == Kind::NotSet => None,
        Err(error) => return Err(error),
    };
    let newest = newest.map(|generation| Donor {
        dir: generation.dir,
        damaged: generation.record.damaged.into_iter().collect(),
        complete: true,
    });
    let partial = |dir| Donor { dir, damaged: BTreeSet::new(), complete: false };
    Ok(newest.into_iter().chain(partials(to)?.into_iter().map(partial)).collect())
}

struct Work<'a> {
    store: &'a Store,
    link: bool,
    same_disk: bool,
    checker: Checker,
    to: PathBuf,
    record: Record,
    damaged: BTreeSet<String>,
    done: u64,
    all: u64,
    told: Instant,
    watch: &'a mut dyn Watch,
}

impl Work<'_> {
    /// Brings a unit into the generation and verifies what no complete generation has vouched for.
    fn bring(&mut self, copies: &Copies, donor: Option<&Donor>) -> Result<()> {
        let unit = &copies.best;
        if let Some(donor) = donor {
            if donor.share(unit, &self.to)? {
                if donor.complete {
                    return self.tell();
                }
                self.watch.progress(&format!("checking {}", unit.name()))?;
                if self.checker.check(unit).is_empty() {
                    self.count(unit);
                    return Ok(());
                }
            }
            take_back(unit, &self.to);
        }
        self.count(unit);
        let never_changes = matches!(unit.what, What::Segment(_) | What::Solo(_) | What::Index { table: true });
        if self.link && never_changes {
            if !link_own(unit, &self.to)? {
                return Err(Error::new(
                    Kind::InvalidArgument,
                    format!("cannot link files of the store into {}", self.to.display()),
                )
                .why("the directory is on another disk, or its file system has no hard links")
                .mend("leave out --link"));
            }
            let flaws = self.checker.check(unit);
            return self.damage_of(unit, &flaws);
        }
        if self.same_disk && self.store.space()?.available < unit.bytes() {
            return Err(self.no_room("the rest of the store's own disk is its reserve".to_owned()));
        }
        let mut flaws = self.copy(unit)?;
        for other in &copies.others {
            if flaws.is_empty() {
                break;
            }
            take_back(unit, &self.to);
            flaws = self.copy(other)?;
        }
        self.damage_of(unit, &flaws)
    }

    /// Copies a unit; what is wrong with it.
    fn copy(&mut self, unit: &Unit) -> Result<Vec<String>> {
        let (mut done, mut copied) = (self.done, 0);
        let all = self.all.max(done);
        let (watch, told) = (&mut *self.watch, &mut self.told);
        let outcome = copy(unit, &self.to, &mut |bytes| {
            (done, copied) = (done + bytes, copied + bytes);
            tell(watch, told, done, all)
        })?;
        self.done += copied;
        Ok(match outcome {
            Copied::Missing => vec!["the file is missing".to_owned()],
            Copied::Done(unread) => {
                let mut flaws: Vec<String> = unread.iter().map(|why| format!("cannot read {why}")).collect();
                flaws.extend(self.checker.check(unit));
                flaws
            }
        })
    }

    fn count(&mut self, unit: &Unit) {
        self.record.new_files += unit.files.len() as u64;
        self.record.new_bytes += unit.bytes();
    }

    fn damage_of(&mut self, unit: &Unit, flaws: &[String]) -> Result<()> {
        flaws.iter().try_for_each(|why| self.damage(&unit.name(), why))
    }

    fn damage(&mut self, name: &str, why: &str) -> Result<()> {
        self.damaged.insert(name.to_owned());
        self.watch.damage(not_whole(format!("{name}: {why}")))
    }

    fn tell(&mut self) -> Result<()> {
        tell(self.watch, &mut self.told, self.done, self.all)
    }

    /// Refuses at once what cannot fit.
    fn room(&self) -> Result<()> {
        let space = OsDisk::new(&self.to).space().map_err(|error| refused(&self.to, error))?;
        let free = if self.same_disk { self.store.space()?.available } else { space.free };
        if free < self.all {
            return Err(self.no_room(format!("{} bytes are to be copied, {free} are free there", self.all)));
        }
        Ok(())
    }

    fn no_room(&self, why: String) -> Error {
        full(format!("cannot write the backup to {}", self.to.parent().unwrap_or(&self.to).display()), why)
    }

    /// Checks what needs the whole, and syncs everything; what the generation is comes last.
    fn finish(mut self, identity: &Identity) -> Result<Record> {
        self.watch.progress("checking the index")?;
        let found = std::mem::replace(
            &mut self.checker,
            Checker::new(&self.to, identity.uuid(), self.store.clock(), self.store.settings().clone())?,
        )
        .finish();
        for (name, why) in found {
            self.damage(&name, &why)?;
        }
        self.record.damaged = self.damaged.into_iter().collect();
        let failed = |error| refused(&self.to, error);
        let record = serde_json::to_string_pretty(&self.record).unwrap_or_default() + "\n";
        for (name, text) in [("LOCK", ""), (RECORD, &record), (FORMAT_FILE, &identity.text_of_copy(true))] {
            write(&self.to.join(name), text.as_bytes()).map_err(failed)?;
        }
        sync_tree(&self.to).map_err(failed)?;
        Ok(self.record)
    }
}

fn tell(watch: &mut dyn Watch, told: &mut Instant, done: u64, all: u64) -> Result<()> {
    if told.elapsed() < TELL_EVERY {
        return Ok(());
    }
    *told = Instant::now();
    let percent = done.saturating_mul(100) / all.max(1);
    watch.progress(&format!("copied {} of {} MiB ({percent}%)", done >> 20, all.max(done) >> 20))
}

/// Syncs the directories of a copy; its files are synced.
pub(super) fn sync_tree(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_dir(dir)
}

/// The whole path of a directory that does not lie in the store, nor the store in it.
fn outside(to: &Path, store: &Path) -> Result<PathBuf> {
    let what = || format!("cannot write backups to {}", to.display());
    let whole = existing(to);
    let store = existing(store);
    if whole.starts_with(&store) || store.starts_with(&whole) {
        return Err(Error::new(Kind::InvalidArgument, what())
            .why("the directory lies in the store, or the store in it")
            .mend("choose a directory beside the store, better on another disk"));
    }
    Ok(whole)
}

fn same_disk(one: &Path, other: &Path) -> Result<bool> {
    let device = |path: &Path| path.metadata().map(|meta| meta.dev()).map_err(|error| refused(path, error));
    Ok(device(one)? == device(other)?)
}
