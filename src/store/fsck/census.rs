//! What the walks over the index have counted, and what they have found.

use super::mend::{Bench, Cure};
use super::watch::Reading;
use super::{Finding, Outcome};
use crate::index::{ContentRecord, DirRecord, DirStat, Family, InodeRecord, Node, Read, Record, RefKey, decode};
use crate::model::{Bucket, BucketId, ContentId, DirId, Ino, Ledger, NUMBER_IN_USE_MAX, Object, Result, Seq};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Invariants whose findings tell of lost bytes, and of nothing that could be mended.
pub(super) const LOSSES: &[&str] =
    &["data-reads", "object-checksum", "file-exists", "file-has-checksums", "segment-is-whole", "tree-lengths"];

/// Records after which it is asked whether the walk goes on.
const STEP: usize = 4096;

/// What kind of finding it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// A record that is damaged, missing or contradicts another. Mended first.
    Structure,
    /// A counter, which is right once all else is.
    Counter,
}

/// An invariant that does not hold, and the change that mends it.
pub(super) struct Found {
    pub invariant: &'static str,
    pub what: String,
    pub class: Class,
    pub cure: Option<Cure>,
}

impl Found {
    pub fn told(self, outcome: Option<Outcome>) -> Finding {
        Finding { invariant: self.invariant, what: self.what, outcome }
    }
}

/// Which record holds an object.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Home {
    /// The current version of a name.
    Name(DirId, String),
    /// A directory's own.
    Marker(DirId),
    /// That of a file with several names.
    Inode(Ino),
    /// An older version, by its key.
    Version(Bytes),
}

/// An object that was counted.
pub(super) struct Held {
    /// `bucket/key`, and the version when it is not the current one.
    pub place: String,
    pub object: Object,
}

#[derive(Default)]
pub(super) struct Census {
    pub findings: Vec<Found>,
    pub refs: HashMap<RefKey, u64>,
    pub buckets: BTreeMap<BucketId, Bucket>,
    pub bucket_names: BTreeMap<String, BucketId>,
    pub dirs: BTreeMap<DirId, DirRecord>,
    /// Directories that hold names, and those that hold history.
    pub with_names: BTreeSet<DirId>,
    pub with_history: BTreeSet<DirId>,
    /// Names that lead to a directory, and ghosts that do: key, directory above, component.
    pub named: HashMap<DirId, Vec<(DirId, String)>>,
    pub ghosts: HashMap<DirId, Vec<(Bytes, DirId, String)>>,
    pub stats: HashMap<DirId, DirStat>,
    pub usage: HashMap<BucketId, Ledger>,
    pub live: BTreeMap<Vec<u8>, i64>,
    pub contents: BTreeMap<ContentId, ContentRecord>,
    pub nodes: BTreeMap<u64, Node>,
    /// Contents, nodes and files on their way out.
    pub gone: HashSet<Vec<u8>>,
    pub inodes: BTreeMap<Ino, InodeRecord>,
    pub links: HashMap<Ino, Vec<(DirId, String)>>,
    pub numbers: u64,
    /// The store says that it gave out all numbers below.
    pub given: u64,
    /// A repair knows that it did, whatever the store says.
    pub taken: u64,
    /// Current entries by name: their place in the stack, whether they are null versions, and what holds them.
    pub tops: HashMap<(DirId, String), (Seq, bool, Home)>,
    /// Inode numbers of files with one name.
    pub single: HashSet<Ino>,
    pub uploads: HashMap<u64, BucketId>,
    /// Access keys that could be used.
    pub access_keys: u64,
    pub objects: Vec<Held>,
}

impl Census {
    pub fn find(&mut self, invariant: &'static str, what: impl Into<String>) {
        self.findings.push(Found { invariant, what: what.into(), class: Class::Structure, cure: None });
    }

    /// A finding that `cure` mends.
    pub fn mendable(
        &mut self,
        invariant: &'static str,
        what: impl Into<String>,
        cure: impl FnOnce(&mut Bench<'_, '_>) -> Result<()> + 'static,
    ) {
        self.findings.push(Found { invariant, what: what.into(), class: Class::Structure, cure: Some(Box::new(cure)) });
    }

    /// A counter that `cure` sets right.
    pub fn miscounted(
        &mut self,
        invariant: &'static str,
        what: impl Into<String>,
        cure: impl FnOnce(&mut Bench<'_, '_>) -> Result<()> + 'static,
    ) {
        self.findings.push(Found { invariant, what: what.into(), class: Class::Counter, cure: Some(Box::new(cure)) });
    }

    pub fn hold(&mut self, key: RefKey) {
        *self.refs.entry(key).or_insert(0) += 1;
    }

    /// Whether a number may be somebody's: one that none reaches is damage.
    pub const fn is_believed(&self, number: u64) -> bool {
        number <= NUMBER_IN_USE_MAX || number < self.given || number < self.taken
    }

    /// A number that is in use; one that is not believed is not counted on.
    pub fn number(&mut self, number: u64) {
        if self.is_believed(number) {
            self.numbers = self.numbers.max(number);
        }
    }

    /// Calls `visit` with every record of a family; one that cannot be read is a finding.
    pub fn each<R: Record>(
        &mut self,
        read: &Reading<'_, impl Read>,
        family: Family,
        mut visit: impl FnMut(&mut Self, Bytes, R),
    ) -> Result<()> {
        for (n, found) in read.scan(family, &[], &[0xff; 1100])?.enumerate() {
            if n % STEP == 0 {
                (read.goes_on)()?;
            }
            let (key, value) = found?;
            match decode(&value) {
                Ok(record) => visit(self, key, record),
                Err(error) => self.undecodable(family, key, error.reason()),
            }
        }
        Ok(())
    }

    /// A record that says nothing: it is laid aside.
    pub fn undecodable(&mut self, family: Family, key: Bytes, why: &str) {
        let what = format!("{}: {why}", self.describe(family, &key));
        self.mendable("records-decode", what, move |bench| bench.lay_aside(family, &key));
    }

    /// Counts an object, and looks at what it says of its content. Contents are read before.
    pub fn object(&mut self, home: Home, place: String, object: &Object) {
        for number in [object.seq.0, object.ino.0, object.content.number()] {
            self.number(number);
        }
        if !self.is_believed(object.seq.0) && !matches!(home, Home::Version(_)) {
            let (what, home) = (format!("{place}: no version's place is {}", object.seq), home.clone());
            self.mendable("version-order", what, move |bench| {
                let seq = Seq(bench.new_id());
                bench.edit(&home, |object| object.seq = seq)
            });
        }
        let (id, size) = (object.content, object.size);
        if id != ContentId::EMPTY {
            self.hold(RefKey::Content(id.0));
            match self.contents.get(&id).map(|content| content.size) {
                None => {
                    let what = format!("{place}: all of its {size} bytes are lost: content {id} is missing");
                    self.mendable("object-has-content", what, move |bench| bench.lose_content(id, size));
                }
                Some(there) if there != size => {
                    let what = format!("{place}: it says {size} bytes, its content {there}");
                    self.mendable("object-size", what, move |bench| bench.edit(&home, |object| object.size = there));
                }
                Some(_) => {}
            }
        } else if size != 0 {
            self.mendable("object-size", format!("{place}: it says {size} bytes and has no content"), move |bench| {
                bench.edit(&home, |object| object.size = 0)
            });
        }
        self.objects.push(Held { place, object: object.clone() });
    }

    pub fn top(&mut self, dir: DirId, name: &str, object: &Object, home: Home) {
        let null = object.version == crate::model::VersionId::Null;
        self.tops.insert((dir, name.to_owned()), (object.seq, null, home));
    }
}
