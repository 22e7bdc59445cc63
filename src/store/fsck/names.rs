//! Current names: what they lead to, files with several of them, and what they count.

use super::census::{Census, Home};
use super::watch::Reading;
use crate::index::{DentRecord, Family, InodeRecord, Read, RefKey, component_of, dir_of, id_key, id_of};
use crate::model::{BucketId, ContentId, DirId, Ino, Object, Result};
use crate::store::metering;
use crate::store::names::is_dir;
use bytes::Bytes;

impl Census {
    pub fn read_names(&mut self, read: &Reading<'_, impl Read>) -> Result<()> {
        let markers: Vec<_> =
            self.dirs.iter().filter_map(|(id, dir)| Some((*id, dir.bucket, dir.marker.clone()?))).collect();
        for (id, bucket, marker) in markers {
            self.count_current(bucket, &marker);
            if let Some((parent, name)) = self.dirs.get(&id).map(|dir| (dir.parent, dir.name.clone())) {
                self.top(parent, &name, &marker, Home::Marker(id));
            }
            self.object(Home::Marker(id), self.dir_place(id), &marker);
        }
        self.each(read, Family::Ino, |census, key, inode: InodeRecord| match id_of(&key) {
            Some(id) if inode.object.ino.0 == id => drop(census.inodes.insert(Ino(id), inode)),
            _ => census.undecodable(Family::Ino, key, "it is another file's"),
        })?;
        self.each(read, Family::Dent, Self::name)?;
        for (ino, inode) in std::mem::take(&mut self.inodes) {
            self.inode(ino, &inode);
        }
        Ok(())
    }

    fn name(&mut self, key: Bytes, dent: DentRecord) {
        let (Some(dir), Some(name)) = (dir_of(&key), component_of(&key).filter(|name| !name.is_empty())) else {
            let what = format!("{}: it is no name", self.describe(Family::Dent, &key));
            return self.mendable("names-decode", what, move |bench| bench.lay_aside(Family::Dent, &key));
        };
        let place = self.place(dir, name);
        if is_dir(name) != matches!(dent, DentRecord::Dir(_)) {
            return self.misfit(key.clone(), dir, &place, dent);
        }
        self.with_names.insert(dir);
        let bucket = self.dirs.get(&dir).map(|dir| dir.bucket);
        let stat = self.stats.entry(dir).or_default();
        stat.live += 1;
        match dent {
            DentRecord::Dir(id) => {
                stat.subdirs += 1;
                self.number(id.0);
                self.named.entry(id).or_default().push((dir, name.to_owned()));
            }
            DentRecord::Object { object, draft } => {
                let home = Home::Name(dir, name.to_owned());
                if let Some(bucket) = bucket.filter(|_| !draft) {
                    self.count_current(bucket, &object);
                    self.top(dir, name, &object, home.clone());
                }
                if self.inodes.contains_key(&object.ino) || !self.single.insert(object.ino) {
                    let home = home.clone();
                    let what = format!("{place}: inode {} is another file too", object.ino);
                    self.mendable("inode-is-one-file", what, move |bench| {
                        let ino = Ino(bench.new_id());
                        bench.edit(&home, |object| object.ino = ino)
                    });
                }
                self.object(home, place, &object);
            }
            DentRecord::Link(ino) => {
                match (self.inodes.get(&ino).map(|inode| (inode.draft, inode.object.clone())), bucket) {
                    (Some((false, object)), Some(bucket)) => {
                        self.count_current(bucket, &object);
                        self.top(dir, name, &object, Home::Inode(ino));
                    }
                    (Some(_), _) => {}
                    (None, _) => {
                        let key = key.clone();
                        let what = format!("{place}: inode {ino} is missing");
                        self.mendable("link-has-inode", what, move |bench| bench.lay_aside(Family::Dent, &key));
                    }
                }
                self.links.entry(ino).or_default().push((dir, name.to_owned()));
            }
        }
    }

    /// A name of one kind and what it leads to of another.
    fn misfit(&mut self, key: Bytes, dir: DirId, place: &str, dent: DentRecord) {
        let bucket = self.dirs.get(&dir).map(|dir| dir.bucket);
        let what = format!("{place}: what it leads to is of another kind");
        let shelf = format!("object-of-{dir}");
        if let DentRecord::Object { object, .. } = &dent
            && object.content != ContentId::EMPTY
        {
            self.hold(RefKey::Content(object.content.0));
        }
        self.mendable("name-fits-its-kind", what, move |bench| {
            bench.lay_aside(Family::Dent, &key)?;
            match dent {
                DentRecord::Object { object, draft: false } => bench.shelve(bucket, &shelf, object),
                _ => Ok(()),
            }
        });
    }

    fn inode(&mut self, ino: Ino, inode: &InodeRecord) {
        let mut said = inode.names.clone();
        let mut seen = self.links.remove(&ino).unwrap_or_default();
        said.sort();
        seen.sort();
        let place = match seen.first().or(said.first()) {
            Some((dir, name)) => self.place(*dir, name),
            None => format!("inode {ino}"),
        };
        self.object(Home::Inode(ino), place.clone(), &inode.object);
        if said == seen {
            return;
        }
        let what = format!("{place}: its file says it has {} names, the directories have {}", said.len(), seen.len());
        let bucket = said.first().and_then(|(dir, _)| self.dirs.get(dir)).map(|dir| dir.bucket);
        let InodeRecord { object, draft, .. } = inode.clone();
        self.mendable("link-names", what, move |bench| {
            if !seen.is_empty() {
                bench.tx.put(Family::Ino, &id_key(ino.0), &InodeRecord { object, draft, names: seen });
                return Ok(());
            }
            bench.tx.delete(Family::Ino, &id_key(ino.0));
            bench.shelve(bucket, &format!("file-{ino}"), object)
        });
    }

    pub fn count_current(&mut self, bucket: BucketId, object: &Object) {
        self.usage.entry(bucket).or_default().add(&metering::current(object, 1));
    }
}
