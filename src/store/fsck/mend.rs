//! The bench: what a cure works with, inside the repair's transaction.

use super::census::Home;
use super::quarantine::Aside;
use crate::crypto::Opaque;
use crate::index::{
    Body, ContentRecord, DentRecord, DirRecord, DirStat, Extent, Family, InodeRecord, Node, Read, Source, Tx,
    VerRecord, content_key, decode, dent_key, id_key, ver_key,
};
use crate::model::{
    Bucket, BucketId, BucketLock, BucketName, Checksum, ContentId, DirId, ETag, FileKind, Ino, Object, Posix, Result,
    Seq, Timestamp, VersionId, Versioning, Xattrs,
};
use crate::store::Store;
use crate::store::bucket::{bucket_key, name_key};
use crate::store::ids::Ids;
use crate::store::names::twin;
use crate::store::vault::sealed_documents;
use std::collections::BTreeMap;

/// A change that mends a finding. It looks at what is there when it runs, since others may have run before it.
pub(super) type Cure = Box<dyn FnOnce(&mut Bench<'_, '_>) -> Result<()>>;

/// The directory of what has no name any more, in the root of its bucket; and the bucket of what belongs to none.
const LOST_DIR: &str = "lost+found/";
pub(in crate::store) const LOST_BUCKET: &str = "lost-found";

pub(super) struct Bench<'a, 't> {
    pub tx: &'a mut Tx<'t>,
    pub ids: &'a Ids,
    pub aside: Vec<Aside>,
    opaque: &'a Opaque,
    now: Timestamp,
    /// Whether versions may be locked.
    locks: bool,
}

impl<'a, 't> Bench<'a, 't> {
    pub fn new(store: &'a Store, tx: &'a mut Tx<'t>) -> Self {
        Self {
            tx,
            ids: &store.ids,
            aside: Vec::new(),
            opaque: &store.opaque,
            now: store.now(),
            locks: store.locks.any(),
        }
    }

    pub fn new_id(&self) -> u64 {
        self.ids.take()
    }

    /// Takes a record out of the index and keeps it for the quarantine.
    pub fn lay_aside(&mut self, family: Family, key: &[u8]) -> Result<()> {
        if let Some(value) = self.tx.get(family, key)? {
            self.aside.push(Aside { family, key: key.to_vec(), value: value.to_vec() });
            self.tx.delete(family, key);
        }
        Ok(())
    }

    /// Changes an object where it is; one that is there no more is left alone.
    pub fn edit(&mut self, home: &Home, change: impl FnOnce(&mut Object)) -> Result<()> {
        match home {
            Home::Name(dir, name) => {
                let key = dent_key(*dir, name);
                if let Some(DentRecord::Object { mut object, draft }) = self.tx.record(Family::Dent, &key)? {
                    change(&mut object);
                    self.tx.put(Family::Dent, &key, &DentRecord::Object { object, draft });
                }
            }
            Home::Marker(dir) => {
                if let Some(mut record) = self.tx.record::<DirRecord>(Family::Dir, &id_key(dir.0))?
                    && let Some(object) = &mut record.marker
                {
                    change(object);
                    self.tx.put(Family::Dir, &id_key(dir.0), &record);
                }
            }
            Home::Inode(ino) => {
                if let Some(mut record) = self.tx.record::<InodeRecord>(Family::Ino, &id_key(ino.0))? {
                    change(&mut record.object);
                    self.tx.put(Family::Ino, &id_key(ino.0), &record);
                }
            }
            Home::Version(key) => {
                if let Some(VerRecord::Object(mut object)) = self.tx.record(Family::Ver, key)? {
                    change(&mut object);
                    self.tx.put(Family::Ver, key, &VerRecord::Object(object));
                }
            }
        }
        Ok(())
    }

    /// Puts a content of which every byte is lost in the place of one that is missing, so that reading is an error.
    pub fn lose_content(&mut self, id: ContentId, size: u64) -> Result<()> {
        if self.tx.get(Family::Content, &content_key(id))?.is_none() {
            let body = Body::Extents(all_lost(size));
            let record = ContentRecord { size, stored: 0, crc64: Checksum(None), body };
            self.tx.put(Family::Content, &content_key(id), &record);
        }
        Ok(())
    }

    /// The same for a node of a tree.
    pub fn lose_node(&mut self, id: u64, len: u64) -> Result<()> {
        if self.tx.get(Family::Node, &id_key(id))?.is_none() {
            self.tx.put(Family::Node, &id_key(id), &Node::Leaf(all_lost(len)));
        }
        Ok(())
    }

    /// Changes a directory's record.
    pub fn edit_dir(&mut self, id: DirId, change: impl FnOnce(&mut DirRecord)) -> Result<()> {
        if let Some(mut record) = self.tx.record::<DirRecord>(Family::Dir, &id_key(id.0))? {
            change(&mut record);
            self.tx.put(Family::Dir, &id_key(id.0), &record);
        }
        Ok(())
    }

    /// A directory's record, unless it is missing or damaged.
    pub fn dir(&self, id: DirId) -> Result<Option<DirRecord>> {
        Ok(self.tx.get(Family::Dir, &id_key(id.0))?.and_then(|bytes| decode(&bytes).ok()))
    }

    pub fn new_dir(&mut self, id: DirId, parent: DirId, name: &str, bucket: BucketId, alive: bool) {
        let record = DirRecord {
            parent,
            name: name.to_owned(),
            bucket,
            alive,
            posix: Posix { mode: 0o700, ..self.posix(FileKind::Directory) },
            marker: None,
            xattrs: Xattrs::default(),
            class: None,
        };
        self.tx.put(Family::Dir, &id_key(id.0), &record);
        if matches!(self.tx.get(Family::DirStat, &id_key(id.0)), Ok(None)) {
            let stat = DirStat { mtime: self.now, ctime: self.now, ..DirStat::default() };
            self.tx.put(Family::DirStat, &id_key(id.0), &stat);
        }
    }

    fn posix(&self, kind: FileKind) -> Posix {
        use crate::sys::process::{effective_gid, effective_uid};
        Posix::new(kind, 0o600, effective_uid(), effective_gid(), self.now)
    }

    /// Whether a directory has no such name, of either kind.
    pub fn is_free(&self, dir: DirId, name: &str) -> Result<bool> {
        let taken = |name: &str| self.tx.get(Family::Dent, &dent_key(dir, name)).map(|found| found.is_some());
        Ok(!taken(name)? && !taken(&twin(name))?)
    }

    /// A name like `name` that is free there; a directory's ends in `/`.
    fn free_name(&self, dir: DirId, name: &str) -> Result<String> {
        let (plain, slash) = name.strip_suffix('/').map_or((name, ""), |plain| (plain, "/"));
        // Room for a number below what a name may have.
        let plain = &plain[..plain.floor_char_boundary(200)];
        let mut free = format!("{plain}{slash}");
        let mut n = 1;
        while !self.is_free(dir, &free)? {
            n += 1;
            free = format!("{plain}-{n}{slash}");
        }
        Ok(free)
    }

    /// Where what has no name goes: a directory of its bucket, or a bucket when that is not known.
    pub fn lost_found(&mut self, bucket: Option<BucketId>) -> Result<(BucketId, DirId)> {
        let known = match bucket {
            Some(id) => self.bucket(id)?.filter(|bucket| bucket.name.as_str() != LOST_BUCKET),
            None => None,
        };
        if let Some(bucket) = known
            && self.dir(bucket.root)?.is_some()
        {
            if let Some(DentRecord::Dir(id)) = self.name(bucket.root, LOST_DIR)?
                && self.dir(id)?.is_some_and(|record| record.alive)
            {
                return Ok((bucket.id, id));
            }
            let name = self.free_name(bucket.root, LOST_DIR)?;
            let id = DirId(self.new_id());
            self.new_dir(id, bucket.root, &name, bucket.id, true);
            self.tx.put(Family::Dent, &dent_key(bucket.root, &name), &DentRecord::Dir(id));
            return Ok((bucket.id, id));
        }
        let mut name = LOST_BUCKET.to_owned();
        for n in 2.. {
            let id: Option<u64> = self.tx.get(Family::Bucket, &name_key(&name))?.and_then(|id| decode(&id).ok());
            match id {
                None => break,
                Some(id) => match self.bucket(BucketId(id))? {
                    Some(found) if self.dir(found.root)?.is_some() => return Ok((found.id, found.root)),
                    _ => name = format!("{LOST_BUCKET}-{n}"),
                },
            }
        }
        let (id, root) = (BucketId(self.new_id()), DirId(self.new_id()));
        self.new_bucket(id, &name, root)?;
        self.new_dir(root, root, "", id, true);
        Ok((id, root))
    }

    pub fn name(&self, dir: DirId, name: &str) -> Result<Option<DentRecord>> {
        Ok(self.tx.get(Family::Dent, &dent_key(dir, name))?.and_then(|bytes| decode(&bytes).ok()))
    }

    pub fn bucket(&self, id: BucketId) -> Result<Option<Bucket>> {
        Ok(self.tx.get(Family::Bucket, &bucket_key(id))?.and_then(|bytes| decode(&bytes).ok()))
    }

    /// Versioning is on: no change of a bucket whose settings are lost may destroy anything. A vault is sealed.
    pub fn new_bucket(&mut self, id: BucketId, name: &str, root: DirId) -> Result<()> {
        let name = BucketName::stored(name)?;
        let is_vault = name.vault().is_some();
        let bucket = Bucket {
            id,
            name: name.clone(),
            root,
            created: self.now,
            versioning: if is_vault { Versioning::Unversioned } else { Versioning::Enabled },
            documents: if is_vault { sealed_documents() } else { BTreeMap::new() },
            quota: None,
            // Versions may be in it whose locks a bucket without object lock could neither extend nor release (LOCK-1).
            lock: (self.locks && !is_vault).then(BucketLock::default),
            mfa_delete: None,
        };
        self.tx.put(Family::Bucket, &name_key(name.as_str()), &id.0);
        self.tx.put(Family::Bucket, &bucket_key(id), &bucket);
        Ok(())
    }

    /// Gives a version the newest place in its name's history.
    pub fn place_anew(&mut self, key: &[u8], dir: DirId, name: &str) -> Result<()> {
        if let Some(value) = self.tx.get(Family::Ver, key)? {
            let seq = Seq(self.new_id());
            self.tx.delete(Family::Ver, key);
            self.tx.put_bytes(Family::Ver, &ver_key(dir, name, seq), value.to_vec());
        }
        Ok(())
    }

    /// Gives a directory a name in its `lost+found`.
    pub fn shelve_dir(&mut self, id: DirId) -> Result<()> {
        let Some(mut record) = self.dir(id)? else { return Ok(()) };
        let (bucket, home) = self.lost_found(Some(record.bucket))?;
        let wanted = if record.name.is_empty() { format!("directory-{id}/") } else { record.name.clone() };
        let name = self.free_name(home, &wanted)?;
        (record.parent, record.name, record.bucket, record.alive) = (home, name.clone(), bucket, true);
        self.tx.put(Family::Dir, &id_key(id.0), &record);
        self.tx.put(Family::Dent, &dent_key(home, &name), &DentRecord::Dir(id));
        Ok(())
    }

    /// Gives an object a name in `lost+found`.
    pub fn shelve(&mut self, bucket: Option<BucketId>, name: &str, object: Object) -> Result<()> {
        let (_, home) = self.lost_found(bucket)?;
        let name = self.free_name(home, name)?;
        self.tx.put(Family::Dent, &dent_key(home, &name), &DentRecord::Object { object, draft: false });
        Ok(())
    }

    /// Makes an object of a content that nobody names.
    pub fn shelve_content(&mut self, mut id: ContentId) -> Result<()> {
        let Some(content) = self.tx.record::<ContentRecord>(Family::Content, &content_key(id))? else { return Ok(()) };
        if id == ContentId::EMPTY {
            // An object of that number has no bytes, so it needs one of its own.
            self.tx.delete(Family::Content, &content_key(id));
            id = ContentId(self.new_id());
            self.tx.put(Family::Content, &content_key(id), &content);
        }
        let (ino, seq) = (Ino(self.new_id()), Seq(self.new_id()));
        let mut object = Object::empty(ino, seq, VersionId::Null, &self.posix(FileKind::File), self.now);
        object.size = content.size;
        object.stored = content.stored;
        object.content = id;
        object.crc64 = content.crc64;
        object.etag = ETag { digest: self.opaque.seal(u64::MAX, id.0), parts: 1 };
        self.shelve(None, &format!("content-{id}"), object)
    }

    /// Makes an object of a tree that no content names.
    pub fn shelve_tree(&mut self, root: u64, len: u64) -> Result<()> {
        let id = ContentId(self.new_id());
        let record = ContentRecord { size: len, stored: len, crc64: Checksum(None), body: Body::Tree(root) };
        self.tx.put(Family::Content, &content_key(id), &record);
        self.shelve_content(id)
    }

    /// A version id that no other version of a name has.
    pub fn version_id(&self, seq: Seq, ino: Ino) -> VersionId {
        VersionId::Id(self.opaque.seal(seq.0, ino.0))
    }
}

/// No record has an extent of no bytes.
fn all_lost(len: u64) -> Vec<Extent> {
    if len == 0 { Vec::new() } else { vec![Extent { len, source: Source::Lost }] }
}
