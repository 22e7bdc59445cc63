//! `fsck`: every invariant of the index and the log, by name.

use super::Store;
use super::extents::ref_key;
use super::publish::seg_key;
use crate::chunklog::{SegmentState, SoloId, SoloState};
use crate::index::{
    Body, ContentRecord, DentRecord, DirRecord, DirStat, Extent, Family, InodeRecord, Node, PartRecord, Read, Record,
    RefKey, SegRecord, Source, VerRecord, component_of, decode, dir_of, id_key, id_of, ver_parts,
};
use crate::model::{BucketId, ContentId, DirId, Ino, Object, Result, Seq, Usage, VersionId};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// An invariant that does not hold.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Finding {
    /// The invariant's name.
    pub invariant: &'static str,
    /// What breaks it.
    pub what: String,
}

/// What the walks have counted.
#[derive(Default)]
struct Census {
    findings: Vec<Finding>,
    refs: HashMap<RefKey, u64>,
    dirs: HashMap<DirId, DirRecord>,
    stats: HashMap<DirId, DirStat>,
    usage: HashMap<BucketId, Usage>,
    live: BTreeMap<Vec<u8>, i64>,
    contents: HashMap<ContentId, ContentRecord>,
    nodes: HashMap<u64, Node>,
    links: HashMap<Ino, Vec<(DirId, String)>>,
    numbers: u64,
    /// Current entries by name: their place in the stack, and whether they are null versions.
    tops: HashMap<(DirId, String), (Seq, bool)>,
    /// Inode numbers of files with one name.
    inodes: HashSet<Ino>,
    objects: Vec<(String, Object)>,
}

impl Census {
    fn find(&mut self, invariant: &'static str, what: impl Into<String>) {
        self.findings.push(Finding { invariant, what: what.into() });
    }

    fn hold(&mut self, key: RefKey) {
        *self.refs.entry(key).or_insert(0) += 1;
    }

    fn top(&mut self, dir: DirId, name: &str, object: &Object) {
        self.tops.insert((dir, name.to_owned()), (object.seq, object.version == VersionId::Null));
    }

    fn object(&mut self, place: String, object: &Object) {
        self.numbers = self.numbers.max(object.seq.0).max(object.ino.0).max(object.content.number());
        if object.content != ContentId::EMPTY {
            self.hold(RefKey::Content(object.content.0));
        }
        match self.contents.get(&object.content) {
            None if object.content != ContentId::EMPTY => {
                self.find("object-has-content", format!("{place}: content {} is missing", object.content));
            }
            Some(content) if content.size != object.size => {
                let what = format!("{place}: it says {} bytes, its content {}", object.size, content.size);
                self.find("object-size", what);
            }
            _ => {}
        }
        self.objects.push((place, object.clone()));
    }
}

impl Store {
    /// Checks every invariant and reads every stored byte against its checksum. Best while nothing changes.
    ///
    /// # Errors
    /// When the index cannot be read at all.
    pub fn fsck(self: &Arc<Self>, progress: &mut dyn FnMut(&str)) -> Result<Vec<Finding>> {
        // Files must not go while they are counted, nor bytes move.
        let _alone = self.reaping.lock();
        let _held = self.brakes.hold();
        let _still = self.compactor.lock();
        self.sync()?;
        let mut census = Census::default();
        progress("index tables");
        if let Err(error) = self.index.verify() {
            census.find("index-tables", error.to_string());
        }
        progress("contents");
        self.read_contents(&mut census)?;
        progress("names");
        self.count_names(&mut census)?;
        progress("versions");
        self.count_versions(&mut census)?;
        progress("counters");
        self.compare_counters(&mut census)?;
        progress("segments");
        self.compare_files(&mut census)?;
        progress("data");
        self.read_everything(&mut census);
        Ok(census.findings)
    }

    /// Every record of a family; a damaged one is a finding.
    fn each<R: Record>(
        &self,
        census: &mut Census,
        family: Family,
        mut visit: impl FnMut(&mut Census, Bytes, R),
    ) -> Result<()> {
        for found in self.index.scan(family, &[], &[0xff; 1100])? {
            let (key, value) = found?;
            match decode(&value) {
                Ok(record) => visit(census, key, record),
                Err(error) => census.find("records-decode", error.to_string()),
            }
        }
        Ok(())
    }

    fn read_contents(&self, census: &mut Census) -> Result<()> {
        self.each(census, Family::Node, |census, key, node: Node| {
            if let Some(id) = id_of(&key) {
                census.numbers = census.numbers.max(id);
                census.nodes.insert(id, node);
            }
        })?;
        self.each(census, Family::Content, |census, key, content: ContentRecord| {
            if let Some(id) = id_of(&key) {
                census.contents.insert(ContentId(id), content);
            }
        })?;
        for found in self.index.scan(Family::Gone, &[], &[0xff])? {
            let key = found?.0;
            // A content or node on its way out still holds what is below it.
            match (key.first(), key.get(1..).and_then(id_of)) {
                (Some(b'c'), Some(id)) => census.hold(RefKey::Content(id)),
                (Some(b'n'), Some(id)) => census.hold(RefKey::Node(id)),
                _ => {}
            }
        }
        let nodes: Vec<Node> = census.nodes.values().cloned().collect();
        for node in nodes {
            match node {
                Node::Leaf(extents) => count_extents(census, &extents),
                Node::Inner(children) => children.iter().for_each(|(len, child)| {
                    census.hold(RefKey::Node(*child));
                    let below = census.nodes.get(child).map(node_len);
                    if below != Some(*len) {
                        census.find("tree-lengths", format!("node {child} has {below:?} bytes, its parent says {len}"));
                    }
                }),
            }
        }
        let contents: Vec<ContentRecord> = census.contents.values().cloned().collect();
        for content in contents {
            let len = match &content.body {
                Body::Inline(bytes) => bytes.len() as u64,
                Body::Extents(extents) => {
                    count_extents(census, extents);
                    extents.iter().map(|extent| extent.len).sum()
                }
                Body::Tree(root) => {
                    census.hold(RefKey::Node(*root));
                    census.nodes.get(root).map_or(0, node_len)
                }
            };
            if len != content.size {
                census
                    .find("content-length", format!("a content of {} bytes has {len} bytes of extents", content.size));
            }
        }
        Ok(())
    }

    fn count_names(&self, census: &mut Census) -> Result<()> {
        self.each(census, Family::Dir, |census, key, dir: DirRecord| {
            if let Some(id) = id_of(&key) {
                census.numbers = census.numbers.max(id);
                census.dirs.insert(DirId(id), dir);
            }
        })?;
        let markers: Vec<_> =
            census.dirs.iter().filter_map(|(id, dir)| Some((*id, dir.bucket, dir.marker.clone()?))).collect();
        for (id, bucket, marker) in markers {
            count_current(census, bucket, &marker);
            if let Some((parent, name)) = census.dirs.get(&id).map(|dir| (dir.parent, dir.name.clone())) {
                census.top(parent, &name, &marker);
            }
            census.object(format!("directory {id}"), &marker);
        }
        let mut inodes: HashMap<Ino, InodeRecord> = HashMap::new();
        self.each(census, Family::Ino, |_, key, inode: InodeRecord| {
            if let Some(id) = id_of(&key) {
                inodes.insert(Ino(id), inode);
            }
        })?;
        for (ino, inode) in &inodes {
            census.object(format!("inode {ino}"), &inode.object);
        }
        self.each(census, Family::Dent, |census, key, dent: DentRecord| {
            let (Some(dir), Some(name)) = (dir_of(&key), component_of(&key)) else {
                return census.find("names-decode", "a directory holds a name that is not UTF-8");
            };
            let place = format!("{dir}/{name}");
            let Some(bucket) = census.dirs.get(&dir).filter(|dir| dir.alive).map(|dir| dir.bucket) else {
                return census.find("name-in-live-directory", format!("{place}: its directory is not alive"));
            };
            let stat = census.stats.entry(dir).or_default();
            stat.live += 1;
            match dent {
                DentRecord::Dir(id) => {
                    stat.subdirs += 1;
                    let below =
                        census.dirs.get(&id).is_some_and(|sub| sub.alive && sub.parent == dir && sub.name == name);
                    if !below {
                        census.find("directory-knows-its-name", format!("{place}: directory {id} says otherwise"));
                    }
                }
                DentRecord::Object { object, draft } => {
                    if !draft {
                        count_current(census, bucket, &object);
                        census.top(dir, name, &object);
                    }
                    if inodes.contains_key(&object.ino) || !census.inodes.insert(object.ino) {
                        census.find("inode-is-one-file", format!("{place}: inode {} is another file too", object.ino));
                    }
                    census.object(place, &object);
                }
                DentRecord::Link(ino) => {
                    match inodes.get(&ino) {
                        Some(inode) if !inode.draft => {
                            count_current(census, bucket, &inode.object);
                            census.top(dir, name, &inode.object);
                        }
                        Some(_) => {}
                        None => census.find("link-has-inode", format!("{place}: inode {ino} is missing")),
                    }
                    census.links.entry(ino).or_default().push((dir, name.to_owned()));
                }
            }
        })?;
        for (ino, inode) in inodes {
            let mut said = inode.names;
            let mut seen = census.links.remove(&ino).unwrap_or_default();
            said.sort();
            seen.sort();
            if said != seen {
                census.find("link-names", format!("inode {ino} says {said:?}, the directories {seen:?}"));
            }
        }
        Ok(())
    }

    fn count_versions(&self, census: &mut Census) -> Result<()> {
        let mut ghosts = HashSet::new();
        let tops = std::mem::take(&mut census.tops);
        let mut nulls: HashSet<(DirId, String)> =
            tops.iter().filter(|(_, (_, null))| *null).map(|(place, _)| place.clone()).collect();
        self.each(census, Family::Ver, |census, key, record: VerRecord| {
            let Some((dir, name, seq)) = ver_parts(&key) else {
                return census.find("versions-decode", "a version's key is malformed");
            };
            let place = format!("{dir}/{name}@{seq}");
            let Some(bucket) = census.dirs.get(&dir).map(|dir| dir.bucket) else {
                return census.find("version-in-directory", format!("{place}: its directory is missing"));
            };
            match record {
                VerRecord::Ghost { dir: ghost, .. } => {
                    ghosts.insert(ghost);
                    if census
                        .dirs
                        .get(&ghost)
                        .is_none_or(|record| record.alive || record.parent != dir || record.name != name)
                    {
                        census.find("ghost-is-dead", format!("{place}: directory {ghost} is alive or elsewhere"));
                    }
                }
                VerRecord::Object(object) => {
                    if object.seq != seq {
                        census.find("version-order", format!("{place}: its record says {}", object.seq));
                    }
                    if tops.get(&(dir, name.clone())).is_some_and(|(top, _)| *top <= seq) {
                        census.find("current-is-newest", format!("{place}: the current version is older"));
                    }
                    if object.version == VersionId::Null && !nulls.insert((dir, name.clone())) {
                        census.find("one-null-version", format!("{place}: a second null version (VER-9)"));
                    }
                    let usage = census.usage.entry(bucket).or_default();
                    if object.marker {
                        usage.markers += 1;
                    } else {
                        usage.noncurrent += 1;
                        usage.noncurrent_bytes += i64::try_from(object.size).unwrap_or(0);
                    }
                    census.object(place, &object);
                }
            }
        })?;
        let lost: Vec<DirId> =
            census.dirs.iter().filter(|(id, dir)| !dir.alive && !ghosts.contains(id)).map(|(id, _)| *id).collect();
        for id in lost {
            census.find("dead-directory-is-a-ghost", format!("directory {id} is dead and nobody's history"));
        }
        Ok(())
    }

    fn compare_counters(&self, census: &mut Census) -> Result<()> {
        let mut uploads: HashMap<u64, BucketId> = HashMap::new();
        self.each(census, Family::Upload, |census, key, upload: crate::index::UploadRecord| {
            census.usage.entry(upload.bucket).or_default().uploads += 1;
            uploads.extend(id_of(&key).map(|id| (id, upload.bucket)));
        })?;
        self.each(census, Family::Part, |census, key, part: PartRecord| {
            match key.get(..8).and_then(id_of).and_then(|id| uploads.get(&id)) {
                Some(bucket) => {
                    census.usage.entry(*bucket).or_default().upload_bytes += i64::try_from(part.size).unwrap_or(0)
                }
                None => census.find("part-has-upload", "a part belongs to no upload"),
            }
            if part.content != ContentId::EMPTY {
                census.hold(RefKey::Content(part.content.0));
            }
        })?;
        for bucket in self.buckets()? {
            let (said, seen) = (self.usage(bucket.id)?, census.usage.get(&bucket.id).copied().unwrap_or_default());
            if said != seen {
                census.find("usage", format!("bucket {}: counters say {said:?}, a count {seen:?}", bucket.name));
            }
        }
        let live: Vec<DirId> = census.dirs.iter().filter(|(_, dir)| dir.alive).map(|(id, _)| *id).collect();
        for id in live {
            let said: DirStat = self.index.record(Family::DirStat, &id_key(id.0))?.unwrap_or_default();
            let seen = census.stats.get(&id).copied().unwrap_or_default();
            if (said.live, said.subdirs) != (seen.live, seen.subdirs) {
                let what = format!(
                    "directory {id}: counters say {} names, {} directories; a count {}, {}",
                    said.live, said.subdirs, seen.live, seen.subdirs
                );
                census.find("directory-counters", what);
            }
        }
        let mut said: HashMap<RefKey, u64> = HashMap::new();
        self.each(census, Family::Refs, |census, key, count: u64| match RefKey::parse(&key) {
            Some(key) => {
                said.insert(key, count);
            }
            None => census.find("refs-decode", "a holder count has a malformed key"),
        })?;
        let seen = std::mem::take(&mut census.refs);
        for (key, count) in &seen {
            let told = said.remove(key).unwrap_or(1);
            if told != *count {
                census.find("holders", format!("{key:?}: counters say {told}, a count {count}"));
            }
        }
        for key in said.into_keys() {
            census.find("holders", format!("{key:?}: counted, but nobody holds it"));
        }
        let contents: Vec<ContentId> = census.contents.keys().copied().collect();
        for id in contents.into_iter().filter(|id| !seen.contains_key(&RefKey::Content(id.0))) {
            census.find("content-is-held", format!("content {id} belongs to nobody"));
        }
        let next: u64 = Self::sys_number(&self.index, super::ids::IDS_KEY)?.unwrap_or(0);
        if census.numbers >= next && !census.objects.is_empty() {
            let what = format!("number {} is in use, {next} is to be given out next", census.numbers);
            census.find("numbers-are-new", what);
        }
        census.refs = seen;
        Ok(())
    }

    fn compare_files(&self, census: &mut Census) -> Result<()> {
        let mut said: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        self.each(census, Family::Seg, |_, key, record: SegRecord| {
            said.insert(key.to_vec(), record.live_bytes);
        })?;
        let seen = census.live.clone();
        for (key, bytes) in &seen {
            let told = said.get(key).copied().unwrap_or(0);
            if told != *bytes {
                census.find("live-bytes", format!("{}: counters say {told}, a count {bytes}", file_name(key)));
            }
        }
        for (key, told) in said.iter().filter(|(key, told)| **told != 0 && !seen.contains_key(*key)) {
            census.find("live-bytes", format!("{}: counters say {told}, nothing refers to it", file_name(key)));
        }
        let mut there = HashSet::new();
        for segment in self.log.segments()? {
            there.insert([b"g", id_key(segment.id.0).as_slice()].concat());
            if segment.state == SegmentState::Failed {
                census.find("segment-is-whole", format!("segment {}: a write to it failed", segment.id));
            }
        }
        for solo in self.log.solos()? {
            let key = [b"s", id_key(solo.id.0).as_slice()].concat();
            if solo.state == SoloState::Unfinished && seen.contains_key(&key) {
                census.find("file-has-checksums", format!("file {} has none", solo.id));
            }
            there.insert(key);
        }
        for key in seen.keys().filter(|key| !there.contains(*key)) {
            census.find("file-exists", format!("{} is missing", file_name(key)));
        }
        Ok(())
    }

    fn read_everything(self: &Arc<Self>, census: &mut Census) {
        let mut done = HashSet::new();
        let objects = std::mem::take(&mut census.objects);
        let mut buf = vec![0; 1 << 20];
        for (place, object) in objects {
            if !done.insert(object.content) || !census.contents.contains_key(&object.content) {
                continue;
            }
            let Ok(content) = self.open_content(&object) else { continue };
            let mut crc = crate::crypto::Crc64::new();
            let mut at = 0;
            let failed = loop {
                match content.read_at(at, &mut buf) {
                    Ok(0) => break None,
                    Ok(n) => {
                        crc.update(&buf[..n]);
                        at += n as u64;
                    }
                    Err(error) => break Some(error.to_string()),
                }
            };
            match (failed, object.crc64.0) {
                (Some(why), _) => census.find("data-reads", format!("{place} at byte {at}: {why}")),
                (None, Some(said)) if said != crc.value() => {
                    census.find(
                        "object-checksum",
                        format!("{place}: crc64nvme is {:016x}, not {said:016x}", crc.value()),
                    );
                }
                _ => {}
            }
        }
        for id in census.live.keys().filter(|key| key.first() == Some(&b's')).cloned().collect::<Vec<_>>() {
            let Some(id) = id.get(1..).and_then(id_of) else { continue };
            match self.log.verify_solo(SoloId(id)) {
                Ok(bad) => bad.iter().for_each(|bad| {
                    census.find(
                        "data-reads",
                        format!("file {}: frame {} at byte {} is bad", SoloId(id), bad.frame, bad.at),
                    );
                }),
                Err(error) => census.find("data-reads", error.to_string()),
            }
        }
    }
}

fn node_len(node: &Node) -> u64 {
    match node {
        Node::Leaf(extents) => extents.iter().map(|extent| extent.len).sum(),
        Node::Inner(children) => children.iter().map(|(len, _)| len).sum(),
    }
}

fn count_extents(census: &mut Census, extents: &[Extent]) {
    for extent in extents {
        let (Some(key), Some(seg)) = (ref_key(extent.source), seg_key(extent.source)) else { continue };
        let first = !census.refs.contains_key(&key);
        census.hold(key);
        if first {
            *census.live.entry(seg).or_insert(0) += match extent.source {
                Source::Run { len, .. } => i64::from(len),
                Source::Solo { .. } => 1,
                Source::Hole => 0,
            };
        }
    }
}

fn count_current(census: &mut Census, bucket: BucketId, object: &Object) {
    let usage = census.usage.entry(bucket).or_default();
    usage.objects += 1;
    usage.bytes += i64::try_from(object.size).unwrap_or(0);
}

/// A file of the log in words, from its key in `seg`.
pub(super) fn file_name(key: &[u8]) -> String {
    let id = key.get(1..).and_then(id_of).unwrap_or(0);
    match key.first() {
        Some(b's') => format!("file {}", SoloId(id)),
        _ => format!("segment {}", crate::chunklog::SegmentId(id)),
    }
}
