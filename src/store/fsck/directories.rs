//! Buckets and directories: each has its record and one name, and leads up to its bucket's root.

use super::census::Census;
use super::watch::Reading;
use crate::index::{DentRecord, DirRecord, Family, Read, VerRecord, decode, dent_key, id_key, id_of, ver_key};
use crate::model::{Bucket, BucketId, BucketName, DirId, Result, Seq, Timestamp};
use crate::store::bucket::{bucket_key, name_key};
use crate::store::names::is_dir;
use std::collections::{BTreeSet, HashMap};

impl Census {
    pub fn read_directories(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        for found in read.scan(Family::Bucket, &[], &[0xff])? {
            let (key, value) = found?;
            let (tag, rest) = key.split_first().map_or((0, &[][..]), |(tag, rest)| (*tag, rest));
            let why = match (tag, std::str::from_utf8(rest).ok(), id_of(rest)) {
                (b'i', _, Some(id)) => match decode::<Bucket>(&value) {
                    Ok(bucket) if bucket.id.0 == id => {
                        self.number(id.max(bucket.root.0));
                        self.buckets.insert(bucket.id, bucket);
                        continue;
                    }
                    Ok(_) => "it is another bucket's".to_owned(),
                    Err(error) => error.reason().to_owned(),
                },
                (b'n', Some(name), _) if BucketName::stored(name).is_ok() => match decode::<u64>(&value) {
                    Ok(id) => {
                        self.number(id);
                        self.bucket_names.insert(name.to_owned(), BucketId(id));
                        continue;
                    }
                    Err(error) => error.reason().to_owned(),
                },
                _ => "its key is malformed".to_owned(),
            };
            self.undecodable(Family::Bucket, key, &why);
        }
        self.each(read, Family::Dir, |census, key, dir: DirRecord| match id_of(&key).map(DirId) {
            Some(id) if dir.name.is_empty() == (dir.parent == id) && (dir.name.is_empty() || is_dir(&dir.name)) => {
                census.number(id.0);
                census.dirs.insert(id, dir);
            }
            _ => census.undecodable(Family::Dir, key, "its name and its place contradict each other"),
        })
    }

    /// Looks at buckets and directories once all names and ghosts are known.
    pub fn check_directories(&mut self) {
        let before = self.findings.len();
        self.check_buckets();
        self.check_missing();
        self.check_names();
        // Ways are only as good as the records along them.
        if self.findings.len() == before {
            self.check_ways();
        }
    }

    fn check_buckets(&mut self) {
        let needed: BTreeSet<BucketId> =
            self.dirs.values().map(|dir| dir.bucket).chain(self.bucket_names.values().copied()).collect();
        for id in needed {
            if id.0 == 0 || self.buckets.contains_key(&id) {
                continue;
            }
            let name = self.bucket_names.iter().find(|(_, known)| **known == id).map(|(name, _)| name.clone());
            let root = self.dirs.iter().find(|(at, dir)| dir.parent == **at && dir.bucket == id).map(|(at, _)| *at);
            let holds = root.is_some() || self.dirs.values().any(|dir| dir.bucket == id);
            let shown = name.clone().unwrap_or_else(|| format!("lost-found-{id}"));
            let what = format!("bucket {shown}: its record is missing, and with it its settings");
            self.mendable("bucket-has-record", what, move |bench| {
                if !holds {
                    return bench.lay_aside(Family::Bucket, &name_key(&shown));
                }
                let root = root.unwrap_or_else(|| DirId(bench.new_id()));
                bench.new_bucket(id, &shown, root)
            });
        }
        for bucket in self.buckets.values().cloned().collect::<Vec<_>>() {
            self.check_bucket(&bucket);
        }
    }

    fn check_bucket(&mut self, bucket: &Bucket) {
        let (id, name) = (bucket.id, bucket.name.as_str().to_owned());
        if self.bucket_names.get(&name) != Some(&id) {
            let taken = self.bucket_names.get(&name).is_some_and(|other| self.buckets.contains_key(other));
            let short: String = name.chars().take(40).collect();
            let to = match bucket.name.vault() {
                _ if !taken => name.clone(),
                Some(vault) => BucketName::of_vault(&format!("{vault}-{id}"))
                    .map_or_else(|_| format!("{short}-{id}"), |name| name.to_string()),
                None => format!("{short}-{id}"),
            };
            let mut renamed = bucket.clone();
            self.mendable("bucket-has-name", format!("bucket {name}: no name leads to it"), move |bench| {
                renamed.name = BucketName::stored(&to).or_else(|_| BucketName::parse(&format!("lost-found-{id}")))?;
                bench.tx.put(Family::Bucket, &name_key(renamed.name.as_str()), &id.0);
                bench.tx.put(Family::Bucket, &bucket_key(id), &renamed);
                Ok(())
            });
        }
        let root = bucket.root;
        let there = self.dirs.get(&root).map(|dir| dir.parent == root && dir.bucket == id && dir.alive);
        if there == Some(true) {
            return;
        }
        let other = self.dirs.iter().find(|(at, dir)| dir.parent == **at && dir.bucket == id).map(|(at, _)| *at);
        let mut changed = bucket.clone();
        self.mendable("bucket-has-root", format!("bucket {name}: its root directory is not there"), move |bench| {
            match (there, other) {
                (None, _) => bench.new_dir(root, root, "", id, true),
                (Some(_), Some(other)) if other == root => bench.edit_dir(root, |dir| dir.alive = true)?,
                (Some(_), other) => {
                    changed.root = other.unwrap_or_else(|| DirId(bench.new_id()));
                    bench.tx.put(Family::Bucket, &bucket_key(id), &changed);
                }
            }
            Ok(())
        });
    }

    /// Directories that names, versions or other directories need and that have no record.
    fn check_missing(&mut self) {
        let mut needed: BTreeSet<DirId> = self.with_names.union(&self.with_history).copied().collect();
        needed.extend(self.dirs.values().map(|dir| dir.parent));
        needed.extend(self.named.keys());
        let roots: BTreeSet<DirId> = self.buckets.values().map(|bucket| bucket.root).collect();
        for id in needed {
            if self.dirs.contains_key(&id) || roots.contains(&id) {
                continue;
            }
            // One within itself says nothing of its place.
            let mut names = self.named.get(&id).into_iter().flatten();
            let named = names.find(|(parent, name)| *parent != id && is_dir(name)).cloned();
            let mut ghosts = self.ghosts.get(&id).into_iter().flatten();
            let ghost = ghosts.find(|(_, parent, _)| *parent != id).cloned();
            let ghost = ghost.filter(|_| !self.with_names.contains(&id));
            let place = match (&named, &ghost) {
                (Some((parent, name)), _) | (None, Some((_, parent, name))) => self.place(*parent, name),
                _ => format!("directory {id}"),
            };
            let above = named.as_ref().map(|(parent, _)| *parent).or(ghost.as_ref().map(|(_, parent, _)| *parent));
            let near = above.and_then(|above| self.dirs.get(&above)).map(|dir| dir.bucket);
            let below = || self.dirs.values().find(|dir| dir.parent == id).map(|dir| dir.bucket);
            let bucket = near.or_else(below).unwrap_or(BucketId(0));
            let what = format!("{place}: its record is missing, and with it its attributes");
            self.mendable("directory-has-record", what, move |bench| {
                match (named, ghost) {
                    (Some((parent, name)), _) => bench.new_dir(id, parent, &name, bucket, true),
                    (None, Some((_, parent, name))) => bench.new_dir(id, parent, &name, bucket, false),
                    (None, None) => {
                        bench.new_dir(id, DirId(0), &format!("directory-{id}/"), bucket, true);
                        bench.shelve_dir(id)?;
                    }
                }
                Ok(())
            });
        }
    }

    /// Each directory has one name, or one ghost when it is dead.
    fn check_names(&mut self) {
        let named = std::mem::take(&mut self.named);
        let ghosts = std::mem::take(&mut self.ghosts);
        let dirs: Vec<(DirId, DirRecord)> = self.dirs.iter().map(|(id, dir)| (*id, dir.clone())).collect();
        for (id, dir) in &dirs {
            let names = named.get(id).map_or(&[][..], Vec::as_slice);
            let graves = ghosts.get(id).map_or(&[][..], Vec::as_slice);
            if dir.parent == *id {
                let is_root = self.buckets.get(&dir.bucket).is_none_or(|bucket| bucket.root == *id);
                self.keep_name(*id, names, None);
                self.keep_ghost(graves, None);
                if !is_root && self.buckets.contains_key(&dir.bucket) {
                    let (id, what) = (*id, format!("directory {id}: it is no bucket's root and has no name"));
                    self.mendable("directory-has-a-name", what, move |bench| bench.shelve_dir(id));
                }
            } else if dir.alive {
                self.live_directory(*id, dir, names);
                self.keep_ghost(graves, None);
            } else {
                self.dead_directory(*id, dir, names, graves);
            }
        }
        for (id, graves) in &ghosts {
            if !self.dirs.contains_key(id) && !self.with_names.contains(id) && !self.with_history.contains(id) {
                self.keep_ghost(graves, None);
            }
        }
    }

    fn live_directory(&mut self, id: DirId, dir: &DirRecord, names: &[(DirId, String)]) {
        let own = (dir.parent, dir.name.clone());
        let place = self.place(dir.parent, &dir.name);
        match names.first() {
            None => {
                let what = format!("{place}: no name leads to this directory");
                self.mendable("directory-has-a-name", what, move |bench| {
                    let home = bench.dir(own.0)?.is_some_and(|parent| parent.alive);
                    if home && bench.name(own.0, &own.1)?.is_none() {
                        bench.tx.put(Family::Dent, &dent_key(own.0, &own.1), &DentRecord::Dir(id));
                        return Ok(());
                    }
                    bench.shelve_dir(id)
                });
            }
            Some(_) if names.contains(&own) => self.keep_name(id, names, Some(&own)),
            Some(first) => {
                let (parent, name) = first.clone();
                let what = format!("{}: the directory says it is {place}", self.place(parent, &name));
                self.keep_name(id, names, Some(first));
                self.mendable("directory-knows-its-name", what, move |bench| {
                    bench.edit_dir(id, |dir| (dir.parent, dir.name) = (parent, name))
                });
            }
        }
    }

    fn dead_directory(
        &mut self,
        id: DirId,
        dir: &DirRecord,
        names: &[(DirId, String)],
        graves: &[(bytes::Bytes, DirId, String)],
    ) {
        let place = self.place(dir.parent, &dir.name);
        if !names.is_empty() || self.with_names.contains(&id) {
            let what = format!("{place}: the directory was removed, and names are in it or lead to it");
            return self
                .mendable("name-in-live-directory", what, move |bench| bench.edit_dir(id, |dir| dir.alive = true));
        }
        let own = graves.iter().find(|(_, parent, name)| *parent == dir.parent && *name == dir.name);
        if own.is_some() || graves.is_empty() {
            self.keep_ghost(graves, own.map(|(key, _, _)| key));
        }
        if own.is_some() {
            return;
        }
        let what = format!("{place}: the directory was removed, and no history leads to it");
        if let Some((key, parent, name)) = graves.first().cloned() {
            self.keep_ghost(graves, Some(&key));
            return self.mendable("dead-directory-is-a-ghost", what, move |bench| {
                bench.edit_dir(id, |dir| (dir.parent, dir.name) = (parent, name))
            });
        }
        if !self.with_history.contains(&id) {
            return self.mendable("dead-directory-is-a-ghost", what, move |bench| {
                bench.tx.delete(Family::Dir, &id_key(id.0));
                bench.tx.delete(Family::DirStat, &id_key(id.0));
                Ok(())
            });
        }
        self.mendable("dead-directory-is-a-ghost", what, move |bench| {
            let Some(mut dir) = bench.dir(id)? else { return Ok(()) };
            if bench.dir(dir.parent)?.is_none() {
                (dir.bucket, dir.parent) = bench.lost_found(Some(dir.bucket))?;
                bench.tx.put(Family::Dir, &id_key(id.0), &dir);
            }
            bury(bench, id, &dir);
            Ok(())
        });
    }

    /// Names of a directory other than its own lead nowhere.
    fn keep_name(&mut self, id: DirId, names: &[(DirId, String)], own: Option<&(DirId, String)>) {
        for (dir, name) in names.iter().filter(|at| Some(*at) != own) {
            let what = format!("{}: directory {id} has another name", self.place(*dir, name));
            let key = dent_key(*dir, name);
            self.mendable("directory-knows-its-name", what, move |bench| bench.lay_aside(Family::Dent, &key));
        }
    }

    fn keep_ghost(&mut self, graves: &[(bytes::Bytes, DirId, String)], own: Option<&bytes::Bytes>) {
        for (key, dir, name) in graves.iter().filter(|(key, _, _)| Some(key) != own) {
            let what = format!("{}: history of a directory that is alive or elsewhere", self.place(*dir, name));
            let key = key.clone();
            self.mendable("ghost-is-dead", what, move |bench| bench.lay_aside(Family::Ver, &key));
        }
    }

    /// Every directory leads up to the root of its bucket.
    fn check_ways(&mut self) {
        let mut roots: HashMap<DirId, Option<DirId>> = HashMap::new();
        for start in self.dirs.keys().copied().collect::<Vec<_>>() {
            let (mut way, mut at) = (Vec::new(), start);
            let root = loop {
                if let Some(known) = roots.get(&at) {
                    break *known;
                }
                let Some(dir) = self.dirs.get(&at) else { break None };
                if dir.parent == at {
                    break Some(at);
                }
                if way.contains(&at) {
                    self.break_ring(at);
                    break None;
                }
                way.push(at);
                at = dir.parent;
            };
            roots.insert(at, root);
            roots.extend(way.into_iter().map(|id| (id, root)));
        }
        for (id, dir) in self.dirs.iter().map(|(id, dir)| (*id, dir.bucket)).collect::<Vec<_>>() {
            let Some(root) = roots.get(&id).copied().flatten().and_then(|root| self.dirs.get(&root)) else { continue };
            let bucket = root.bucket;
            if dir != bucket {
                let what = format!("{}: the directory says it is of bucket {dir}", self.dir_place(id));
                self.mendable("directory-in-its-bucket", what, move |bench| {
                    bench.edit_dir(id, |dir| dir.bucket = bucket)
                });
            }
        }
    }

    fn break_ring(&mut self, id: DirId) {
        let what = format!("directory {id}: it lies below itself");
        self.mendable("directory-is-reachable", what, move |bench| {
            let Some(mut dir) = bench.dir(id)? else { return Ok(()) };
            if dir.alive {
                bench.tx.delete(Family::Dent, &dent_key(dir.parent, &dir.name));
                return bench.shelve_dir(id);
            }
            bench.tx.delete(Family::Ver, &ver_key(dir.parent, &dir.name, Seq(id.0)));
            (dir.bucket, dir.parent) = bench.lost_found(Some(dir.bucket))?;
            bench.tx.put(Family::Dir, &id_key(id.0), &dir);
            bury(bench, id, &dir);
            Ok(())
        });
    }
}

fn bury(bench: &mut super::mend::Bench<'_, '_>, id: DirId, dir: &DirRecord) {
    let ghost = VerRecord::Ghost { dir: id, died: Timestamp::default() };
    bench.tx.put(Family::Ver, &ver_key(dir.parent, &dir.name, Seq(id.0)), &ghost);
}
