//! Older versions, delete markers and ghosts: their order, and that a name has one null version at most.

use super::census::{Census, Home};
use super::watch::Reading;
use crate::index::{Family, Read, VerRecord, ver_parts};
use crate::model::{DirId, Result, Seq, VersionId};
use crate::store::metering;
use std::collections::HashSet;

impl Census {
    pub fn read_versions(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        let tops = std::mem::take(&mut self.tops);
        let mut nulls: HashSet<(DirId, String)> =
            tops.iter().filter(|(_, (_, null, _))| *null).map(|(place, _)| place.clone()).collect();
        self.each(read, Family::Ver, |census, key, record: VerRecord| {
            let Some((dir, name, seq)) = ver_parts(&key) else {
                let what = "a version's key is malformed".to_owned();
                return census.mendable("versions-decode", what, move |bench| bench.lay_aside(Family::Ver, &key));
            };
            census.number(seq.0);
            census.with_history.insert(dir);
            let placed = census.is_believed(seq.0);
            if !placed {
                let what = format!("{}: no version's place is {seq}", census.place(dir, &name));
                let (key, name) = (key.clone(), name.clone());
                census.mendable("version-order", what, move |bench| bench.place_anew(&key, dir, &name));
            }
            match record {
                VerRecord::Ghost { dir: ghost, .. } => {
                    census.number(ghost.0);
                    census.ghosts.entry(ghost).or_default().push((key, dir, name));
                }
                VerRecord::Object(object) => {
                    let place = format!("{} version {}", census.place(dir, &name), object.version);
                    let home = Home::Version(key.clone());
                    if object.seq != seq {
                        let (what, home) =
                            (format!("{place}: it says place {}, it is at {seq}", object.seq), home.clone());
                        census
                            .mendable("version-order", what, move |bench| bench.edit(&home, |object| object.seq = seq));
                    }
                    let top = tops.get(&(dir, name.clone())).filter(|(top, _, _)| placed && *top <= seq);
                    if let Some((_, _, top)) = top {
                        let (what, top) = (format!("{place}: the current version is older"), top.clone());
                        census.mendable("current-is-newest", what, move |bench| {
                            let seq = Seq(bench.new_id());
                            bench.edit(&top, |object| object.seq = seq)
                        });
                    }
                    if object.version == VersionId::Null && !nulls.insert((dir, name)) {
                        let (what, home, ino) =
                            (format!("{place}: a second null version (VER-9)"), home.clone(), object.ino);
                        census.mendable("one-null-version", what, move |bench| {
                            let id = bench.version_id(seq, ino);
                            bench.edit(&home, |object| object.version = id)
                        });
                    }
                    if let Some(bucket) = census.dirs.get(&dir).map(|dir| dir.bucket) {
                        census.usage.entry(bucket).or_default().add(&metering::older(&object, 1));
                    }
                    census.object(home, place, &object);
                }
            }
        })
    }
}
