//! Verifying what came into a copy, every byte of it.

use super::copy::{Unit, What};
use crate::chunklog::{self, ChunkLog, SegmentId};
use crate::model::Result;
use crate::store::{META_DIR, Settings, runs_of_copy};
use crate::sys::clock::Clock;
use crate::sys::disk::OsDisk;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a copy as a store would.
pub(super) struct Checker {
    dir: PathBuf,
    log: ChunkLog,
    settings: Settings,
    /// Of segments that a crash had cut off, the runs that verify: what else is there may never have been whole.
    loose: BTreeMap<SegmentId, BTreeSet<u32>>,
}

impl Checker {
    /// For the copy in `dir` of the store `uuid`.
    pub(super) fn new(dir: &Path, uuid: [u8; 16], clock: Arc<dyn Clock>, settings: Settings) -> Result<Self> {
        let log = ChunkLog::open(Arc::new(OsDisk::new(dir)), chunklog::Settings::new(uuid, 0, clock))?;
        Ok(Self { dir: dir.to_owned(), log, settings, loose: BTreeMap::new() })
    }

    /// What is wrong with a unit of the copy.
    pub(super) fn check(&mut self, unit: &Unit) -> Vec<String> {
        let outcome = match unit.what {
            What::Segment(id) => self.segment(id),
            What::Solo(id) => self.log.verify_solo(id).map(|frames| {
                frames.iter().map(|bad| format!("{} bytes at byte {} fail their checksum", bad.len, bad.at)).collect()
            }),
            What::Index { .. } | What::Small => Ok(vec![]),
        };
        outcome.unwrap_or_else(|error| vec![error.to_string()])
    }

    fn segment(&mut self, id: SegmentId) -> Result<Vec<String>> {
        let (mut bad, mut good) = (Vec::new(), BTreeSet::new());
        let scanned = self.log.scan(id, &mut |found| {
            if found.bad_frames.is_empty() {
                good.insert(found.run.offset);
                return;
            }
            let key = String::from_utf8_lossy(&found.owner.key_tail);
            bad.push(format!("bytes of {key} (the run at offset {}) fail their checksum", found.run.offset));
        })?;
        if scanned.sealed {
            bad.extend(scanned.flaws.iter().map(ToString::to_string));
            return Ok(bad);
        }
        self.loose.insert(id, good);
        Ok(vec![])
    }

    /// What is wrong with the index, and with segments that a crash had cut off, once all else is there. By file.
    pub(super) fn finish(self) -> Vec<(String, String)> {
        if let Err(error) = crate::store::check_copy_of_index(&self.dir, &self.settings) {
            return vec![(META_DIR.to_owned(), error.to_string())];
        }
        if self.loose.is_empty() {
            return vec![];
        }
        let used = match runs_of_copy(&self.dir, &self.settings, &self.loose.keys().copied().collect()) {
            Ok(used) => used,
            Err(error) => return vec![(META_DIR.to_owned(), error.to_string())],
        };
        let bad = |(id, used): (SegmentId, BTreeSet<u32>)| {
            let good = self.loose.get(&id).cloned().unwrap_or_default();
            let lost: Vec<u32> = used.difference(&good).copied().collect();
            lost.into_iter().map(move |offset| {
                (id.path().display().to_string(), format!("the run at offset {offset} fails its checksum"))
            })
        };
        used.into_iter().flat_map(bad).collect()
    }
}
