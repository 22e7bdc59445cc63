//! Making what was appended durable, and sealing.

use super::durable::Tracked;
use super::id::{FileKey, Run, SegmentId, SoloId};
use super::log::{ChunkLog, Inner};
use crate::model::Result;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What can never be durable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lost {
    /// Runs: their segments and offsets.
    pub runs: Vec<(SegmentId, u32)>,
    /// One-object files.
    pub solos: Vec<SoloId>,
}

impl ChunkLog {
    /// Makes durable everything appended before the call, to segments and one-object files, with the names of new
    /// files. Callers at the same time share rounds, one file at a time, so a long file does not delay
    /// [`ChunkLog::sync_of`] for others.
    ///
    /// # Errors
    /// When a file failed, and some bytes written to it will never be durable. The answer stays the same for every
    /// caller until those bytes are written anew or refused, and [settled](ChunkLog::settle).
    pub fn sync(&self) -> Result<()> {
        let files: Vec<_> = self.0.tracked.lock().values().cloned().collect();
        for file in &files {
            file.sync(&self.0.zones);
        }
        let verdict = files.iter().try_for_each(|file| file.verdict(None));
        self.0.drop_settled(&files);
        verdict
    }

    /// Makes durable these runs and one-object files, appended before the call. Other files are left alone, but for
    /// segments that are complete and only want their last sync.
    ///
    /// # Errors
    /// When any of these is lost: always the same answer for these, whatever becomes of later appends.
    pub fn sync_of(&self, runs: &[Run], solos: &[SoloId]) -> Result<()> {
        let mut places: BTreeMap<FileKey, Vec<u32>> = BTreeMap::new();
        for run in runs {
            places.entry(FileKey::Segment(run.segment)).or_default().push(run.offset);
        }
        for id in solos {
            places.entry(FileKey::Solo(*id)).or_default().push(0);
            places.entry(FileKey::Sum(*id)).or_default().push(0);
        }
        let mut files = Vec::with_capacity(places.len());
        {
            let tracked = self.0.tracked.lock();
            let done = |file: &Tracked| matches!(file.key, FileKey::Segment(_)) && file.is_finished();
            let wanted = tracked.iter().filter(|(key, file)| places.contains_key(key) || done(file));
            files.extend(wanted.map(|(_, file)| Arc::clone(file)));
        }
        for file in &files {
            file.sync(&self.0.zones);
        }
        let verdict = files
            .iter()
            .filter_map(|file| places.get(&file.key).map(|places| (file, places)))
            .try_for_each(|(file, places)| file.verdict(Some(places)));
        self.0.drop_settled(&files);
        verdict
    }

    /// What was appended and can never be durable, because its file failed first.
    #[must_use]
    pub fn lost(&self) -> Lost {
        let mut lost = Lost::default();
        for (key, file) in self.0.tracked.lock().iter() {
            let places = file.lost();
            match key {
                FileKey::Segment(id) => lost.runs.extend(places.into_iter().map(|offset| (*id, offset))),
                FileKey::Solo(id) | FileKey::Sum(id) if !places.is_empty() => lost.solos.push(*id),
                FileKey::Solo(_) | FileKey::Sum(_) => {}
            }
        }
        lost.solos.sort_unstable();
        lost.solos.dedup();
        lost
    }

    /// Forgets losses whose bytes were written anew, or whose write was refused, so that [`ChunkLog::sync`] speaks of
    /// other data again.
    pub fn settle(&self, lost: &Lost) {
        let mut files = Vec::new();
        {
            let tracked = self.0.tracked.lock();
            let runs = lost.runs.iter().map(|(id, offset)| (FileKey::Segment(*id), *offset));
            let solos = lost.solos.iter().flat_map(|id| [(FileKey::Solo(*id), 0), (FileKey::Sum(*id), 0)]);
            for (key, place) in runs.chain(solos) {
                if let Some(file) = tracked.get(&key) {
                    file.settle(place);
                    files.push(Arc::clone(file));
                }
            }
        }
        self.0.drop_settled(&files);
    }

    /// Seals every open segment: writes its directory, and syncs. The next append of each class begins a new file.
    /// A segment in which another thread writes at this moment is sealed by that thread when it is done.
    ///
    /// # Errors
    /// As [`ChunkLog::sync`].
    pub fn seal_open(&self) -> Result<()> {
        self.retire_open();
        self.sync()
    }

    /// The same without a sync: what was appended so far is in files that nothing is appended to any more, once
    /// [`ChunkLog::is_open`] says so of them.
    pub fn retire_open(&self) {
        let lanes: Vec<_> = self.0.lanes.lock().values().cloned().collect();
        for lane in lanes {
            let open = lane.lock().take();
            if let Some(segment) = open {
                segment.retire();
            }
        }
    }

    /// Seals and syncs what is open: the last call before the log is dropped.
    ///
    /// # Errors
    /// As [`ChunkLog::sync`].
    pub fn close(&self) -> Result<()> {
        self.seal_open()
    }
}

impl Inner {
    /// Makes durable what is there of files that nobody writes to any more. Whether nothing of them is waited for now.
    pub(super) fn sync_finished(&self, keys: &[FileKey]) -> bool {
        let files: Vec<_> = {
            let tracked = self.tracked.lock();
            keys.iter().filter_map(|key| tracked.get(key).cloned()).collect()
        };
        files.iter().filter(|file| file.is_finished()).for_each(|file| file.sync(&self.zones));
        self.drop_settled(&files);
        files.iter().all(|file| file.is_settled())
    }

    fn drop_settled(&self, files: &[Arc<Tracked>]) {
        for file in files.iter().filter(|file| file.is_settled()) {
            self.tracked.lock().remove(&file.key);
        }
    }
}
