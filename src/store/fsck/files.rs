//! Files of the chunk log: that they are there, and that their live bytes are counted right.

use super::census::Census;
use super::watch::Reading;
use crate::chunklog::{ChunkLog, SegmentId, SegmentState, SoloId, SoloState};
use crate::index::{Family, Read, SegRecord, id_of};
use crate::model::Result;
use crate::store::publish::{segment_key, solo_key};
use crate::store::reap::gone_file;
use std::collections::{BTreeMap, HashSet};

impl Census {
    pub fn compare_files(&mut self, read: &Reading<'_, impl Read>, log: &ChunkLog) -> Result<()> {
        let mut there = HashSet::new();
        for segment in log.segments()? {
            let key = segment_key(segment.id.0);
            // Where nothing lives nothing is lost: notes are a help only.
            if segment.state == SegmentState::Failed && self.live.contains_key(&key) {
                self.find("segment-is-whole", format!("segment {}: a write to it failed", segment.id));
            }
            there.insert(key);
        }
        for solo in log.solos()? {
            let key = solo_key(solo.id.0);
            if solo.state == SoloState::Unfinished && self.live.contains_key(&key) {
                self.find("file-has-checksums", format!("file {} has none", solo.id));
            }
            there.insert(key);
        }
        let mut said: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        self.each(read, Family::Seg, |census, key, record: SegRecord| match (key.first(), key.len()) {
            (Some(b'g' | b's'), 9) => drop(said.insert(key.to_vec(), record.live_bytes)),
            _ => census.undecodable(Family::Seg, key, "its key is malformed"),
        })?;
        let seen = self.live.clone();
        for (key, bytes) in &seen {
            let told = said.remove(key);
            if told.unwrap_or(0) != *bytes {
                let what = format!("{}: counters say {}, a count {bytes}", file_name(key), told.unwrap_or(0));
                let (key, live_bytes) = (key.clone(), *bytes);
                self.miscounted("live-bytes", what, move |bench| {
                    bench.tx.put(Family::Seg, &key, &SegRecord { live_bytes });
                    Ok(())
                });
            }
        }
        for key in seen.keys().filter(|key| !there.contains(*key)) {
            self.find("file-exists", format!("{} is missing", file_name(key)));
        }
        for (key, told) in said {
            let missing = !there.contains(&key) && !self.gone.contains(&gone_file(&key));
            if told == 0 && !missing {
                continue;
            }
            let why = if missing { "it is not there" } else { "nothing refers to it" };
            let what = format!("{}: counters say {told}, {why}", file_name(&key));
            self.miscounted("live-bytes", what, move |bench| {
                if missing {
                    bench.tx.delete(Family::Seg, &key);
                } else {
                    // The file stays: what a record that was lost pointed at may be in it.
                    bench.tx.put(Family::Seg, &key, &SegRecord { live_bytes: 0 });
                }
                Ok(())
            });
        }
        Ok(())
    }
}

/// A file of the log in words, from its key in `seg`.
pub(in crate::store) fn file_name(key: &[u8]) -> String {
    let id = key.get(1..).and_then(id_of).unwrap_or(0);
    match key.first() {
        Some(b's') => format!("file {}", SoloId(id)),
        _ => format!("segment {}", SegmentId(id)),
    }
}
