//! Counters: each is compared with a count, and set to it by a repair. Also what little records need no mending but
//! removal.

use super::census::Census;
use super::watch::Reading;
use crate::index::{
    Change, DirStat, DirSum, Family, MeterRecord, OpenSession, PartRecord, Read, RefKey, UploadRecord, decode,
    due_parts, id_key, id_of, meter_parts, upload_name_key, upload_name_parts,
};
use crate::model::{
    AccessKey, AccessKeyId, ContentId, DirId, Error, Ledger, MfaDevice, Result, UploadId, User, UserName,
};
use crate::store::ACCESS_KEY_FILE;
use crate::store::analysis;
use crate::store::dir_sums::{COMPLETE_KEY, own_sums, summed};
use crate::store::ids::{BLOCK, IDS_KEY, NEXT_MAX};
use crate::store::metering;
use crate::store::multipart::UPLOADS_KEY;
use crate::store::open::{EPOCH_KEY, SALVAGED_KEY};
use crate::sys::disk::Disk;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

/// The store's own numbers; what lies below the index may keep others beside them.
const NUMBERS: [&str; 7] = [COMPLETE_KEY, IDS_KEY, EPOCH_KEY, SALVAGED_KEY, UPLOADS_KEY, "seq", "synced"];

/// The number that the store will give out next: none was before that.
pub(super) fn given(read: &Reading<'_, impl Read>) -> Result<u64> {
    let said = read.get(Family::Sys, IDS_KEY.as_bytes())?.and_then(|bytes| decode::<u64>(&bytes).ok());
    Ok(said.filter(|next| *next <= NEXT_MAX).unwrap_or(0))
}

impl Census {
    pub fn read_uploads(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        let mut names = BTreeSet::new();
        self.each(read, Family::Upload, |census, key, upload: UploadRecord| match id_of(&key) {
            Some(id) if census.buckets.contains_key(&upload.bucket) => {
                census.number(id.max(upload.seq.0));
                census.usage.entry(upload.bucket).or_default().usage.uploads += 1;
                census.uploads.insert(id, upload.bucket);
                names.insert(upload_name_key(upload.bucket, &upload.key, UploadId(id)));
            }
            Some(_) => census.undecodable(Family::Upload, key, "its bucket is missing"),
            None => census.undecodable(Family::Upload, key, "its key is malformed"),
        })?;
        self.compare_names_of_uploads(read, names)?;
        self.each(read, Family::Part, |census, key, part: PartRecord| {
            if part.content != ContentId::EMPTY {
                census.hold(RefKey::Content(part.content.0));
            }
            let upload = key.get(..8).and_then(id_of);
            let Some(bucket) = upload.and_then(|id| census.uploads.get(&id)).copied() else {
                let what = format!("{}: the upload is missing", census.describe(Family::Part, &key));
                return census.mendable("part-has-upload", what, move |bench| bench.lay_aside(Family::Part, &key));
            };
            if part.content != ContentId::EMPTY && !census.contents.contains_key(&part.content) {
                let (id, size) = (part.content, part.size);
                let what = format!("{}: its {size} bytes are lost", census.describe(Family::Part, &key));
                census.mendable("object-has-content", what, move |bench| bench.lose_content(id, size));
            }
            let usage = &mut census.usage.entry(bucket).or_default().usage;
            usage.upload_bytes = usage.upload_bytes.saturating_add(i64::try_from(part.size).unwrap_or(0));
        })
    }

    /// Each upload is listed by its name, and nothing else is; in a store that has names of uploads.
    fn compare_names_of_uploads(&mut self, read: &Reading<'_, impl Read>, mut names: BTreeSet<Vec<u8>>) -> Result<()> {
        if read.get(Family::Sys, UPLOADS_KEY.as_bytes())?.is_none() {
            return Ok(());
        }
        self.each(read, Family::UploadName, |census, key, _: u64| {
            if !names.remove(&key[..]) {
                let what = "an upload is listed that is not there".to_owned();
                census.mendable("upload-has-name", what, move |bench| {
                    bench.tx.delete(Family::UploadName, &key);
                    Ok(())
                });
            }
        })?;
        for name in names {
            let what = format!("the upload {} is not listed", upload_name_parts(&name).map_or(0, |(_, id)| id.0));
            self.mendable("upload-has-name", what, move |bench| {
                bench.tx.put(Family::UploadName, &name, &1u64);
                Ok(())
            });
        }
        Ok(())
    }

    /// Records that are only looked at for whether they can be read.
    pub fn read_the_rest(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        self.each(read, Family::Unsealed, |_, _, _: OpenSession| {})?;
        self.each(read, Family::Log, |census, key, _: Change| {
            if key.len() != 12 {
                census.undecodable(Family::Log, key, "its key is malformed");
            }
        })?;
        self.each(read, Family::Due, |census, key, _: u64| {
            if due_parts(&key).is_none() {
                census.undecodable(Family::Due, key, "its key is malformed");
            }
        })?;
        self.read_principals(read)?;
        for found in read.scan(Family::Sys, analysis::KEY, &[analysis::KEY, &[0xff]].concat())? {
            let (key, value) = found?;
            if let Err(error) = analysis::check_kept(&value) {
                self.undecodable(Family::Sys, key, error.reason());
            }
        }
        for name in NUMBERS {
            if let Some(value) = read.get(Family::Sys, name.as_bytes())?
                && let Err(error) = decode::<u64>(&value)
            {
                self.undecodable(Family::Sys, bytes::Bytes::from_static(name.as_bytes()), error.reason());
            }
        }
        Ok(())
    }

    fn read_principals(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        let mut users = HashSet::new();
        self.each(read, Family::User, |census, key, _: User| {
            match std::str::from_utf8(&key).ok().and_then(|name| UserName::parse(name).ok()) {
                Some(name) => drop(users.insert(name)),
                None => census.undecodable(Family::User, key, "its key is malformed"),
            }
        })?;
        self.each(read, Family::AccessKey, |census, key, record: AccessKey| {
            if std::str::from_utf8(&key).ok().and_then(AccessKeyId::parse).is_none() {
                census.undecodable(Family::AccessKey, key, "its key is malformed");
            } else if record.user.is_some_and(|user| !users.contains(&user)) {
                let what = format!("{}: its user is missing", census.describe(Family::AccessKey, &key));
                census.mendable("access-key-has-user", what, move |bench| bench.lay_aside(Family::AccessKey, &key));
            } else {
                census.access_keys += 1;
            }
        })?;
        self.each(read, Family::Mfa, |census, key, _: MfaDevice| {
            if std::str::from_utf8(&key).is_ok_and(|name| UserName::parse(name).is_ok()) {
                census.access_keys += 1;
            } else {
                census.undecodable(Family::Mfa, key, "its key is malformed");
            }
        })
    }

    /// Secrets are sealed with the key in a file beside the index.
    pub fn check_key_file(&mut self, disk: &dyn Disk) -> Result<()> {
        let found = disk.file_len(Path::new(ACCESS_KEY_FILE));
        let found = found.map_err(|error| Error::io(format!("cannot look at {ACCESS_KEY_FILE}"), error))?;
        if self.access_keys > 0 && found.is_none() {
            let what = format!(
                "{ACCESS_KEY_FILE} is missing, without which none of {} access keys works: put the file back from a backup, or \
                 delete these keys and make new ones",
                self.access_keys
            );
            self.find("access-keys-have-their-file", what);
        }
        Ok(())
    }

    pub fn compare_counters(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        self.compare_usage(read)?;
        self.compare_directories(read)?;
        self.compare_sums(read)?;
        self.compare_holders(read)?;
        let next = self.given;
        if self.numbers >= next && !self.objects.is_empty() {
            let first = self.numbers.saturating_add(1);
            let what = format!("number {} is in use, {next} is to be given out next", self.numbers);
            self.miscounted("numbers-are-new", what, move |bench| {
                bench.ids.raise(first);
                bench.tx.put(Family::Sys, IDS_KEY.as_bytes(), &first.saturating_add(BLOCK));
                Ok(())
            });
        }
        Ok(())
    }

    fn compare_usage(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        let mut said: HashMap<u64, Ledger> = HashMap::new();
        self.each(read, Family::Usage, |_, key, ledger: Ledger| {
            said.extend(id_of(&key).map(|id| (id, ledger)));
        })?;
        for bucket in self.buckets.values().cloned().collect::<Vec<_>>() {
            let said = said.remove(&bucket.id.0).unwrap_or_default();
            let seen = self.usage.get(&bucket.id).copied().unwrap_or_default();
            // Classes that were never counted say nothing yet.
            let by_class = |ledger: &Ledger| (ledger.classes, ledger.restored);
            if said.usage != seen.usage || (said.complete && by_class(&said) != by_class(&seen)) {
                let what = if said.usage == seen.usage {
                    format!(
                        "bucket {}: counters say {:?} of classes, a count {:?}",
                        bucket.name,
                        by_class(&said),
                        by_class(&seen)
                    )
                } else {
                    format!("bucket {}: counters say {:?}, a count {:?}", bucket.name, said.usage, seen.usage)
                };
                self.miscounted("usage", what, move |bench| metering::recount(bench.tx, bucket.id, &seen));
            }
        }
        self.each(read, Family::Meter, |census, key, _: MeterRecord| {
            if meter_parts(&key).is_none() {
                census.undecodable(Family::Meter, key, "its key is malformed");
            }
        })
    }

    /// What is kept of each directory, with all that is noted in it and below it, is what lies below it; in a store that has sums.
    fn compare_sums(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        let complete = read.get(Family::Sys, COMPLETE_KEY.as_bytes())?.and_then(|bytes| decode::<u64>(&bytes).ok());
        if complete != Some(1) {
            return Ok(());
        }
        let (mut kept, mut noted) = (HashMap::new(), HashMap::new());
        for (family, sums) in [(Family::DirSum, &mut kept), (Family::DirTally, &mut noted)] {
            self.each(read, family, |_, key, sum: DirSum| {
                sums.extend(id_of(&key).map(|id| (DirId(id), sum)));
            })?;
        }
        let mut own = HashMap::new();
        own_sums(read, read.goes_on, usize::MAX, &mut |found| {
            own = found;
            Ok(())
        })?;
        let parents = |dir: DirId| self.dirs.get(&dir).map(|dir| dir.parent);
        let seen = summed(&own, &parents);
        let climbing = summed(&noted, &parents);
        let sum = |of: &HashMap<DirId, DirSum>, dir: DirId| of.get(&dir).copied().unwrap_or_default();
        let all: BTreeSet<DirId> = kept.keys().chain(seen.keys()).chain(climbing.keys()).copied().collect();
        let wrong = all.into_iter().filter_map(|dir| {
            let (mut told, seen) = (sum(&kept, dir), sum(&seen, dir));
            told += sum(&climbing, dir);
            (told != seen).then_some((dir, told, seen))
        });
        for (dir, told, seen) in wrong.collect::<Vec<_>>() {
            let what = format!("{}: the sum below it is said to be {told:?}, a count is {seen:?}", self.dir_place(dir));
            let gone = !self.dirs.contains_key(&dir);
            let climbing = sum(&climbing, dir);
            self.miscounted("directory-sums", what, move |bench| {
                if gone {
                    bench.tx.delete(Family::DirSum, &id_key(dir.0));
                    return Ok(());
                }
                // What is noted below it is still to climb.
                let mut right = seen;
                right += -climbing;
                bench.tx.put(Family::DirSum, &id_key(dir.0), &right);
                Ok(())
            });
        }
        Ok(())
    }

    fn compare_directories(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        let mut said: HashMap<DirId, DirStat> = HashMap::new();
        self.each(read, Family::DirStat, |_, key, stat: DirStat| {
            said.extend(id_of(&key).map(|id| (DirId(id), stat)));
        })?;
        for id in self.dirs.iter().filter(|(_, dir)| dir.alive).map(|(id, _)| *id).collect::<Vec<_>>() {
            let told = said.get(&id).copied().unwrap_or_default();
            let seen = self.stats.get(&id).copied().unwrap_or_default();
            if (told.live, told.subdirs) != (seen.live, seen.subdirs) {
                let what = format!(
                    "{}: counters say {} names, {} directories; a count {}, {}",
                    self.dir_place(id),
                    told.live,
                    told.subdirs,
                    seen.live,
                    seen.subdirs
                );
                self.miscounted("directory-counters", what, move |bench| {
                    let stat = DirStat { live: seen.live, subdirs: seen.subdirs, ..told };
                    bench.tx.put(Family::DirStat, &id_key(id.0), &stat);
                    Ok(())
                });
            }
        }
        let homeless: Vec<DirId> = said.into_keys().filter(|id| !self.dirs.contains_key(id)).collect();
        for id in homeless {
            self.miscounted("directory-counters", format!("directory {id}: counted, and not there"), move |bench| {
                bench.tx.delete(Family::DirStat, &id_key(id.0));
                Ok(())
            });
        }
        Ok(())
    }

    fn compare_holders(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        let mut said: HashMap<RefKey, u64> = HashMap::new();
        self.each(read, Family::Refs, |census, key, count: u64| match RefKey::parse(&key) {
            Some(key) => drop(said.insert(key, count)),
            None => {
                let what = "a holder count has a malformed key".to_owned();
                census.mendable("refs-decode", what, move |bench| bench.lay_aside(Family::Refs, &key));
            }
        })?;
        let seen = std::mem::take(&mut self.refs);
        for (key, count) in &seen {
            let (key, count, told) = (*key, *count, said.remove(key));
            if told.unwrap_or(1) != count {
                let what = format!("{key:?}: counters say {}, a count {count}", told.unwrap_or(1));
                self.miscounted("holders", what, move |bench| {
                    match count {
                        1 => bench.tx.delete(Family::Refs, &key.bytes()),
                        _ => bench.tx.put(Family::Refs, &key.bytes(), &count),
                    }
                    Ok(())
                });
            }
        }
        for key in said.into_keys() {
            self.miscounted("holders", format!("{key:?}: counted, but nobody holds it"), move |bench| {
                bench.tx.delete(Family::Refs, &key.bytes());
                Ok(())
            });
        }
        self.refs = seen;
        Ok(())
    }
}
