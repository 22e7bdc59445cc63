//! Who is hurt: from places of the log that are not as they were written to the objects whose bytes lie there.

use super::super::Store;
use super::{OBJECTS_NAMED, Place, ScrubObject, Suspect};
use crate::chunklog::Reach;
use crate::index::{
    Body, ContentRecord, DentRecord, DirRecord, Extent, Family, InodeRecord, Node, PartRecord, Read, Record, Source,
    UploadRecord, VerRecord, component_of, decode, dir_of, id_key, id_of, ver_parts,
};
use crate::model::{DirId, Object, Result};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};

/// The objects of one suspect, as many as are named, and how many more there are.
#[derive(Default)]
pub(super) struct Hurt {
    pub(super) objects: Vec<ScrubObject>,
    pub(super) more: u64,
}

impl Hurt {
    fn add(&mut self, object: ScrubObject) {
        if self.objects.len() >= OBJECTS_NAMED {
            self.more += 1;
        } else if !self.objects.contains(&object) {
            self.objects.push(object);
        }
    }
}

/// Numbers of suspects.
type Which = BTreeSet<usize>;

struct Search<'a> {
    suspects: &'a [Suspect],
    files: HashMap<(bool, u64), Vec<usize>>,
}

impl Search<'_> {
    /// The suspects whose bytes an extent shows.
    fn of(&self, extent: &Extent) -> impl Iterator<Item = usize> {
        let (file, here) = match extent.source {
            Source::Hole | Source::Lost => ((false, u64::MAX), Here::Run(0, 0, 0)),
            Source::Run { segment, offset, skip, .. } => {
                let to = u64::from(skip).saturating_add(extent.len);
                ((false, segment), Here::Run(offset, skip, u32::try_from(to).unwrap_or(u32::MAX)))
            }
            Source::Solo { id, at } => ((true, id), Here::Solo(at, at.saturating_add(extent.len))),
        };
        let among = self.files.get(&file).map(Vec::as_slice).unwrap_or_default();
        among.iter().copied().filter(move |n| self.suspects.get(*n).is_some_and(|suspect| here.is_hit(suspect)))
    }
}

/// Plain bytes that an extent shows: of the run at an offset, or of a one-object file.
#[derive(Clone, Copy)]
enum Here {
    Run(u32, u32, u32),
    Solo(u64, u64),
}

impl Here {
    fn is_hit(self, suspect: &Suspect) -> bool {
        match (self, suspect.reach) {
            (Self::Run(offset, ..), Reach::Runs) => {
                (suspect.at..suspect.at.saturating_add(suspect.len)).contains(&u64::from(offset))
            }
            (Self::Run(offset, ..), Reach::Behind(run)) => offset == run,
            (Self::Run(offset, from, to), Reach::Plain(run, bad, end)) => offset == run && bad < to && from < end,
            (Self::Solo(from, to), Reach::Solo(bad, end)) => bad < to && from < end,
            _ => false,
        }
    }
}

impl Store {
    /// The objects that each suspect hurts, by one walk over extents and one over names.
    pub(super) fn who_is_hurt(&self, suspects: &[Suspect]) -> Result<Vec<Hurt>> {
        let mut hurt: Vec<Hurt> = suspects.iter().map(|_| Hurt::default()).collect();
        let mut files: HashMap<(bool, u64), Vec<usize>> = HashMap::new();
        for (n, suspect) in suspects.iter().enumerate().filter(|(_, suspect)| suspect.reach != Reach::Nothing) {
            match suspect.place {
                Place::Segment(id) => files.entry((false, id)).or_default().push(n),
                Place::Solo(id) => files.entry((true, id)).or_default().push(n),
                Place::Table(..) | Place::Appended(_) | Place::Journal => {}
            }
        }
        if files.is_empty() {
            return Ok(hurt);
        }
        let contents = self.contents_that_show(&Search { suspects, files })?;
        if contents.is_empty() {
            return Ok(hurt);
        }
        let mut names = Names { store: self, contents, hurt: &mut hurt };
        names.walk()?;
        Ok(hurt)
    }

    fn visit<R: Record>(&self, family: Family, mut visit: impl FnMut(Bytes, R)) -> Result<()> {
        for found in self.index.scan(family, &[], &[0xff; 1100])? {
            let (key, value) = found?;
            self.checks_go_on("scrub")?;
            // A record that cannot be read is another finding.
            if let Ok(record) = decode(&value) {
                visit(key, record);
            }
        }
        Ok(())
    }

    fn contents_that_show(&self, search: &Search<'_>) -> Result<HashMap<u64, Which>> {
        let mut nodes: HashMap<u64, Which> = HashMap::new();
        self.visit(Family::Node, |key, node: Node| {
            if let (Node::Leaf(extents), Some(id)) = (node, id_of(&key)) {
                let which: Which = extents.iter().flat_map(|extent| search.of(extent)).collect();
                if !which.is_empty() {
                    nodes.insert(id, which);
                }
            }
        })?;
        if !nodes.is_empty() {
            self.nodes_above(&mut nodes)?;
        }
        let mut contents: HashMap<u64, Which> = HashMap::new();
        self.visit(Family::Content, |key, content: ContentRecord| {
            let which: Which = match &content.body {
                Body::Inline(_) => Which::new(),
                Body::Extents(extents) => extents.iter().flat_map(|extent| search.of(extent)).collect(),
                Body::Tree(root) => nodes.get(root).cloned().unwrap_or_default(),
            };
            if let Some(id) = id_of(&key).filter(|_| !which.is_empty()) {
                contents.insert(id, which);
            }
        })?;
        Ok(contents)
    }

    /// Adds the nodes above those given: one in 64 of all is an inner one.
    fn nodes_above(&self, nodes: &mut HashMap<u64, Which>) -> Result<()> {
        let mut parents: HashMap<u64, Vec<u64>> = HashMap::new();
        self.visit(Family::Node, |key, node: Node| {
            if let (Node::Inner(children), Some(id)) = (node, id_of(&key)) {
                children.iter().for_each(|(_, child)| parents.entry(*child).or_default().push(id));
            }
        })?;
        let mut open: Vec<u64> = nodes.keys().copied().collect();
        while let Some(id) = open.pop() {
            let which = nodes.get(&id).cloned().unwrap_or_default();
            for parent in parents.get(&id).into_iter().flatten() {
                let above = nodes.entry(*parent).or_default();
                let before = above.len();
                above.extend(&which);
                if above.len() > before {
                    open.push(*parent);
                }
            }
        }
        Ok(())
    }
}

struct Names<'a> {
    store: &'a Store,
    contents: HashMap<u64, Which>,
    hurt: &'a mut [Hurt],
}

impl Names<'_> {
    fn walk(&mut self) -> Result<()> {
        let store = self.store;
        let mut links: HashMap<u64, Object> = HashMap::new();
        store.visit(Family::Ino, |key, inode: InodeRecord| {
            if let Some(id) = id_of(&key).filter(|_| self.contents.contains_key(&inode.object.content.0)) {
                links.insert(id, inode.object);
            }
        })?;
        store.visit(Family::Dent, |key, dent: DentRecord| {
            let object = match &dent {
                DentRecord::Object { object, .. } => Some(object),
                DentRecord::Link(ino) => links.get(&ino.0),
                DentRecord::Dir(_) => None,
            };
            if let (Some(object), Some(dir), Some(name)) = (object, dir_of(&key), component_of(&key)) {
                self.note(dir, name, object);
            }
        })?;
        store.visit(Family::Ver, |key, version: VerRecord| {
            if let (VerRecord::Object(object), Some((dir, name, _))) = (&version, ver_parts(&key)) {
                self.note(dir, &name, object);
            }
        })?;
        store.visit(Family::Dir, |key, dir: DirRecord| {
            if let (Some(object), Some(id)) = (&dir.marker, id_of(&key)) {
                self.note(DirId(id), "", object);
            }
        })?;
        let mut parts: Vec<(u64, Which)> = Vec::new();
        store.visit(Family::Part, |key, part: PartRecord| {
            if let (Some(which), Some(upload)) = (self.contents.get(&part.content.0), key.get(..8).and_then(id_of)) {
                parts.push((upload, which.clone()));
            }
        })?;
        for (id, which) in parts {
            let upload: Option<UploadRecord> = store.index.record(Family::Upload, &id_key(id))?;
            let Some(upload) = upload else { continue };
            let bucket = store.bucket_by_id(upload.bucket).map(|bucket| bucket.name.to_string()).unwrap_or_default();
            let object = ScrubObject { bucket, key: upload.key, version: "upload".to_owned() };
            which.iter().for_each(|n| self.add(*n, object.clone()));
        }
        Ok(())
    }

    fn add(&mut self, suspect: usize, object: ScrubObject) {
        if let Some(hurt) = self.hurt.get_mut(suspect) {
            hurt.add(object);
        }
    }

    fn note(&mut self, dir: DirId, name: &str, object: &Object) {
        let Some(which) = self.contents.get(&object.content.0).cloned() else { return };
        let (bucket, prefix) = match self.store.path_of(dir) {
            Ok((bucket, prefix)) => (bucket.name.to_string(), prefix),
            Err(_) => (String::new(), format!("(directory {dir})/")),
        };
        let object = ScrubObject { bucket, key: format!("{prefix}{name}"), version: object.version.to_string() };
        which.iter().for_each(|n| self.add(*n, object.clone()));
    }
}
