//! A snapshot: the state of one commit held still, while the store goes on, for as long as a copy of it takes.
//!
//! The index is copied at once, by hard links in the store's own directory. The log's files need no copy to stay as they
//! are: complete ones never change, those being appended to are completed first, and none is deleted meanwhile. A file
//! that the index names was written before the index was, so every byte is there.
//!
//! Locks: `Holds::alone` for the life of a snapshot, then the reaper's for a moment.

use super::Store;
use super::open::{META_DIR, Options, Settings, advance_epoch};
use crate::chunklog::{LogFile, SegmentId, SoloId, last_epoch};
use crate::index::{Body, ContentRecord, Extent, Family, Index, Node, Read, SegRecord, Source, decode, id_of};
use crate::model::{Error, Kind, Result};
use crate::sys::sync::atomic::{AtomicBool, Ordering};
use crate::sys::sync::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the index's copy lies in the store, and its name while RocksDB makes it.
const DIR: &str = "snapshot";
const DIR_NEW: &str = "snapshot.tmp";
/// How long writes that are under way may take to end.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(2);

/// What a snapshot asks of the rest of the store.
#[derive(Default)]
pub(super) struct Holds {
    alone: Mutex<()>,
    files: AtomicBool,
}

impl Holds {
    /// Whether no file of the log may be deleted now. Asked and changed under the reaper's lock.
    pub(super) fn files(&self) -> bool {
        self.files.load(Ordering::SeqCst)
    }
}

/// A state of the store that stays until it is dropped. Nothing waits for that but the room of what is deleted
/// meanwhile.
pub struct Snapshot<'a> {
    store: &'a Store,
    commit: u64,
    files: BTreeMap<LogFile, bool>,
    _alone: MutexGuard<'a, ()>,
}

impl Store {
    /// Holds the present state still: all that was acknowledged before the call is in it.
    ///
    /// # Errors
    /// [`Kind::Conflict`] while there is another, [`Kind::ReadOnly`] for a store that takes no changes,
    /// [`Kind::Unsupported`] in a simulation, or what the disk says.
    pub fn snapshot(&self) -> Result<Snapshot<'_>> {
        self.writable()?;
        let Some(alone) = self.holds.alone.try_lock() else {
            return Err(Error::new(Kind::Conflict, "cannot make a snapshot of the store")
                .why("a backup of it is being made")
                .mend("try again when that has ended"));
        };
        {
            let _reaping = self.reaping.lock();
            self.holds.files.store(true, Ordering::SeqCst);
        }
        // Dropped on an error, it lets go again.
        let mut snapshot = Snapshot { store: self, commit: 0, files: BTreeMap::new(), _alone: alone };
        snapshot.take()?;
        Ok(snapshot)
    }
}

impl Snapshot<'_> {
    fn take(&mut self) -> Result<()> {
        let store = self.store;
        clear(&store.dir)?;
        store.sync()?;
        // What the log is told from here on is not so in this index.
        let holding = store.hold_notes();
        store.index.checkpoint(&self.index_dir())?;
        let index = Index::open_read_only(&self.index_dir(), small(&store.settings))?;
        self.commit = index.visible();
        for found in index.scan(Family::Seg, &[], &[0xff; 9])? {
            let (key, value) = found?;
            let live = decode::<SegRecord>(&value)?.live_bytes > 0;
            match (key.first(), key.get(1..).and_then(id_of)) {
                (Some(b'g'), Some(id)) => self.files.insert(LogFile::Segment(SegmentId(id)), live),
                (Some(b's'), Some(id)) => self.files.insert(LogFile::Solo(SoloId(id)), live),
                _ => return Err(Error::corrupt("cannot make a snapshot of the store", "a file has no name")),
            };
        }
        drop(index);
        // A copy whose index is lost one day wants the notes, too.
        self.files.extend(store.note_files(true)?.into_iter().map(|(id, _)| (LogFile::Segment(id), true)));
        store.log.retire_open();
        drop(holding);
        let end = Instant::now() + PATIENCE;
        for file in self.files.keys() {
            while let LogFile::Segment(id) = file
                && store.log.is_open(*id)
            {
                if Instant::now() > end {
                    return Err(Error::new(Kind::Io, "cannot make a snapshot of the store")
                        .why(format!("a write to segment {id} does not come to its end"))
                        .mend("look after the store's disk, then try again"));
                }
                crate::sys::sync::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Number of the last commit in it.
    #[must_use]
    pub const fn commit(&self) -> u64 {
        self.commit
    }

    /// Where its index lies; the files there belong in `meta/` of a copy.
    #[must_use]
    pub fn index_dir(&self) -> PathBuf {
        self.store.dir.join(DIR)
    }

    /// The directories in which a file lies, that with the best copy first.
    #[must_use]
    pub fn places_of(&self, file: LogFile) -> Vec<PathBuf> {
        self.store.log.places_of(file).into_iter().map(|place| self.store.dir.join(place)).collect()
    }

    /// The log's files it names, and whether anything in each is in use: others may be gone.
    pub fn files(&self) -> impl Iterator<Item = (LogFile, bool)> {
        self.files.iter().map(|(file, live)| (*file, *live))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.store.dir) {
            tracing::warn!(%error, "a snapshot's index is left until the next one");
        }
        self.store.holds.files.store(false, Ordering::SeqCst);
    }
}

/// Removes what a snapshot left that did not come to its end: its links keep tables on the disk.
pub(super) fn clear(dir: &Path) -> Result<()> {
    for name in [DIR, DIR_NEW] {
        match std::fs::remove_dir_all(dir.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io(format!("cannot remove {name} in {}", dir.display()), error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads all of the index of a copy in `dir`.
///
/// # Errors
/// [`Kind::Corrupt`] when a checksum does not hold.
pub fn check_copy_of_index(dir: &Path, settings: &Settings) -> Result<()> {
    Index::open_read_only(&dir.join(META_DIR), small(settings))?.verify()
}

/// The offsets of the runs in use in some segments of a copy in `dir`.
///
/// # Errors
/// [`Kind::Corrupt`] when its index is damaged, or what the disk says.
pub fn runs_of_copy(
    dir: &Path,
    settings: &Settings,
    segments: &BTreeSet<SegmentId>,
) -> Result<BTreeMap<SegmentId, BTreeSet<u32>>> {
    let index = Index::open_read_only(&dir.join(META_DIR), small(settings))?;
    let mut runs: BTreeMap<SegmentId, BTreeSet<u32>> = BTreeMap::new();
    let mut note = |extents: &[Extent]| {
        for extent in extents {
            if let Source::Run { segment, offset, .. } = extent.source
                && segments.contains(&SegmentId(segment))
            {
                runs.entry(SegmentId(segment)).or_default().insert(offset);
            }
        }
    };
    for found in index.scan(Family::Content, &[], &[0xff; 9])? {
        if let Body::Extents(extents) = &decode::<ContentRecord>(&found?.1)?.body {
            note(extents);
        }
    }
    for found in index.scan(Family::Node, &[], &[0xff; 9])? {
        if let Node::Leaf(extents) = &decode(&found?.1)? {
            note(extents);
        }
    }
    Ok(runs)
}

/// Gives a copy in `dir` file numbers that the store it is of does not use, too, when both go on.
///
/// # Errors
/// What the disk says.
pub fn set_apart(dir: &Path, options: &Options) -> Result<()> {
    let mut draw = [0; 4];
    options.entropy.fill(&mut draw)?;
    let index = Index::open(&dir.join(META_DIR), options.settings.index())?;
    let in_files = || last_epoch(&crate::sys::disk::OsDisk::new(dir));
    advance_epoch(&index, &in_files, 1 + (u32::from_le_bytes(draw) >> 12))?;
    Ok(())
}

/// Such an index is read once.
fn small(settings: &Settings) -> crate::index::Settings {
    crate::index::Settings { cache_bytes: settings.cache_bytes.min(8 << 20), ..settings.index() }
}
