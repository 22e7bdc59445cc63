//! Writing the new index, by the same commits that made the old one: contents from what the log has, names over them.

use super::gather::{Gathered, Id, Part};
use super::plan::{Name, Plan};
use crate::chunklog::format::note::Stretch;
use crate::index::Extent;
use crate::model::{
    BucketName, ContentId, Error, FileKind, Ino, Kind, Object, Posix, Result, Seq, Timestamp, Versioning,
};
use crate::store::draft::Draft;
use crate::store::publish::Prepared;
use crate::store::put::{Condition, PutOptions};
use crate::store::stack::drop_content;
use crate::store::vault::sealed_documents;
use crate::store::{Finding, Store};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Names after which what was built goes to the disk.
const STEP: usize = 1024;
/// Bytes of commits in memory at which that is done too.
const STAGED_MAX: usize = 16 << 20;
/// Pieces that a content may be made of: more would take more memory than there is. Those of an honest one were made by one
/// session each, of few.
const PIECES_MAX: usize = 1 << 21;

/// What came of it.
#[derive(Default)]
pub(super) struct Built {
    pub buckets: u64,
    pub names: u64,
    pub older: u64,
    pub bytes: u64,
    /// Bytes within objects that were never written, or are lost.
    pub empty: u64,
    pub findings: Vec<Finding>,
}

struct Work<'a> {
    store: &'a Arc<Store>,
    all: &'a Gathered,
    /// The number each content has got.
    made: HashMap<Id, ContentId>,
    /// Contents that no name holds: only others show them.
    held: Vec<ContentId>,
    built: Built,
    now: Timestamp,
    owner: (u32, u32),
}

/// Builds all that is planned; `owner` are user and group of what is made.
pub(super) fn build(
    store: &Arc<Store>,
    all: &Gathered,
    plan: &Plan,
    owner: (u32, u32),
    progress: &mut dyn FnMut(&str),
) -> Result<Built> {
    let now = store.now();
    let mut work = Work { store, all, made: HashMap::new(), held: Vec::new(), built: Built::default(), now, owner };
    progress("building buckets");
    work.buckets(plan)?;
    progress("building names");
    // A name's contents come in their order; what they show of others is made when it is needed.
    for (n, name) in plan.names.iter().enumerate() {
        work.name(name)?;
        if n % STEP == STEP - 1 {
            store.sync()?;
        }
    }
    for held in std::mem::take(&mut work.held) {
        work.make_room()?;
        store.transact(|tx| drop_content(tx, held))?;
    }
    store.sync()?;
    Ok(work.built)
}

impl<'a> Work<'a> {
    fn find(&mut self, invariant: &'static str, what: String) {
        self.built.findings.push(Finding { invariant, what, outcome: None });
    }

    /// Nobody else writes out what is committed.
    fn make_room(&self) -> Result<()> {
        let most = STAGED_MAX.min(self.store.settings.stage_bytes / 4);
        if self.store.index.staged_bytes() > most { self.store.sync() } else { Ok(()) }
    }

    fn buckets(&mut self, plan: &Plan) -> Result<()> {
        let mut buckets: BTreeMap<&BucketName, bool> = BTreeMap::new();
        for name in &plan.names {
            *buckets.entry(&name.bucket).or_default() |= name.contents.len() > 1;
        }
        for (bucket, versions) in buckets {
            let posix = Posix::new(FileKind::Directory, 0o755, self.owner.0, self.owner.1, self.now);
            if bucket.vault().is_some() {
                // What its policies denied is not in the log.
                self.store.make_bucket(bucket, &posix, None, sealed_documents())?;
            } else {
                self.store.create_bucket(bucket, &posix)?;
                if versions {
                    self.store.set_versioning(bucket.as_str(), Versioning::Enabled)?;
                }
            }
            self.built.buckets += 1;
        }
        Ok(())
    }

    fn name(&mut self, name: &Name) -> Result<()> {
        let mut there = 0;
        for id in &name.contents {
            match self.version(name, *id) {
                Ok(bytes) => {
                    there += 1;
                    self.built.bytes += bytes;
                }
                Err(error) if error.kind() == Kind::Full || self.store.writable().is_err() => return Err(error),
                Err(error) => self.find("name", format!("{}/{}: {error}", name.bucket, name.key)),
            }
        }
        self.built.names += u64::from(there > 0);
        self.built.older += u64::max(there, 1) - 1;
        Ok(())
    }

    /// Makes a content a name's current version; its bytes.
    fn version(&mut self, name: &Name, id: Id) -> Result<u64> {
        let when = self.when(id);
        let posix = Posix::new(FileKind::File, 0o644, self.owner.0, self.owner.1, when);
        let options = PutOptions {
            posix: Some(posix).filter(|_| !name.key.is_marker_key()),
            condition: Condition::Always,
            ..PutOptions::default()
        };
        self.make_parts_of(id)?;
        self.make_room()?;
        // What another content shows was made already, and waits for a name.
        let prepared = match self.made.get(&id) {
            Some(_) => None,
            None => Some(self.content(id, Some(name))?),
        };
        let known = match (&prepared, self.made.get(&id)) {
            (None, Some(made)) => Some(self.store.content(*made)?),
            _ => None,
        };
        let store = self.store;
        let object = store.transact(|tx| {
            let seq = Seq(store.ids.take());
            let bucket = crate::store::bucket::need_any_bucket(tx, name.bucket.as_str())?;
            let fill = |object: &mut Object| {
                match (&prepared, &known) {
                    (Some(prepared), _) => prepared.describe(store, object),
                    (None, Some(known)) => known.describe(store, object),
                    (None, None) => {}
                }
                object.modified = when;
                if name.ino != 0 && !name.key.is_marker_key() {
                    object.ino = Ino(name.ino);
                    object.version = store.version_id(bucket.versioning, seq, object.ino);
                }
            };
            let (object, _) =
                store.install(tx, &bucket, &name.key, (seq, when), &options, "ObjectCreated:Put", fill)?;
            match &prepared {
                Some(prepared) => prepared.commit(tx)?,
                None => crate::store::stack::hold_content(tx, object.content)?,
            }
            Ok(object)
        })?;
        self.made.insert(id, object.content);
        Ok(object.size)
    }

    /// When a content was written.
    fn when(&self, id: Id) -> Timestamp {
        match self.all.contents.get(&id).map_or(0, |found| found.written.time) {
            0 => self.now,
            secs => Timestamp::new(i64::from(secs), 0),
        }
    }

    /// Makes what a content shows of others, and what those show. Chains of them are long, so they are followed without
    /// recursion; in one that comes back to itself, somebody shows zeros.
    fn make_parts_of(&mut self, id: Id) -> Result<()> {
        let (mut open, mut met) = (vec![id], HashSet::from([id]));
        while let Some(next) = open.last().copied() {
            let shown = if self.made.contains_key(&next) { HashSet::new() } else { self.shown_by(next) };
            let before = open.len();
            open.extend(shown.into_iter().filter(|shown| met.insert(*shown)));
            if open.len() > before {
                continue;
            }
            open.pop();
            if next != id && !self.made.contains_key(&next) {
                self.make(next)?;
            }
        }
        Ok(())
    }

    /// The contents of the log that one shows directly and that are not made.
    fn shown_by(&self, id: Id) -> HashSet<Id> {
        let Some(found) = self.all.contents.get(&id) else { return HashSet::new() };
        let stretches = found.stretches.iter().map(|stretch| stretch.content);
        let all = std::iter::once(found.written.base).chain(stretches).filter(|number| *number != 0).map(Id::Numbered);
        all.filter(|shown| !self.made.contains_key(shown) && self.all.contents.contains_key(shown)).collect()
    }

    /// Makes a content that others show; all that it shows was made.
    fn make(&mut self, id: Id) -> Result<()> {
        self.make_room()?;
        let prepared = self.content(id, None)?;
        self.store.transact(|tx| prepared.commit(tx))?;
        self.made.insert(id, prepared.id);
        if prepared.id != ContentId::EMPTY {
            self.held.push(prepared.id);
        }
        Ok(())
    }

    /// The number of a content of the log, if it was made.
    fn shown(&self, number: u64) -> Option<ContentId> {
        self.made.get(&Id::Numbered(number)).copied()
    }

    /// Prepares a content; `name` is told of what is wrong with it.
    fn content(&mut self, id: Id, name: Option<&Name>) -> Result<Prepared<'a>> {
        let all = self.all;
        let Some(found) = all.contents.get(&id) else {
            return Err(Error::new(Kind::Corrupt, "cannot build a content").why("the log does not have it"));
        };
        let about = name
            .map_or_else(|| format!("bytes that others show ({id:?})"), |name| format!("{}/{}", name.bucket, name.key));
        let base = match found.written.base {
            0 => None,
            base => {
                let base = self.shown(base);
                if (base.is_none() || found.guessed) && !found.covers(found.length(id)) {
                    let instead = if base.is_none() { "" } else { ", and what the file had before shows there" };
                    self.find("lost-bytes", format!("{about}: what it was written over is not in the log{instead}"));
                }
                base
            }
        };
        let ino = Ino(found.ino);
        let mut draft = match base {
            Some(base) => self.store.draft_over(ino, Arc::new(self.store.content(base)?)),
            None => self.store.draft(None)?,
        };
        let laid = self.lay(&mut draft, id, &about);
        let number = match id {
            Id::Numbered(number) => ContentId(number),
            _ => ContentId(self.store.ids.take()),
        };
        let prepared = laid.and_then(|()| match draft.size() {
            0 => self.store.prepare(&mut draft),
            _ => self.store.plan_content(&draft, number),
        });
        // The bytes are the log's, whatever becomes of this.
        draft.published(ContentId::EMPTY);
        let prepared = prepared?;
        self.built.empty += prepared.record.size.saturating_sub(prepared.record.stored);
        Ok(prepared)
    }

    /// Lays down a content's own bytes, then what it shows of others.
    fn lay(&mut self, draft: &mut Draft, id: Id, about: &str) -> Result<()> {
        let all = self.all;
        let Some(found) = all.contents.get(&id) else { return Ok(()) };
        let length = found.length(id);
        let (below, above) = found.layers();
        self.lay_parts(draft, below, about)?;
        let mut pieces = 0;
        for Stretch { at, len, content, from } in &found.stretches {
            draft.extend(at.saturating_add(*len))?;
            let taken = match self.shown(*content) {
                Some(content) => {
                    let content = Arc::new(self.store.content(content)?);
                    pieces += content.extents(*from, (*len).min(content.size().saturating_sub(*from)))?.len();
                    if pieces > PIECES_MAX {
                        return Err(Error::corrupt("cannot build a content", "it shows too many pieces of others"));
                    }
                    draft.copy_from(*at, &content, *from, *len)?
                }
                None => 0,
            };
            if taken < *len {
                draft.punch(at + taken, len - taken)?;
                if *content != 0 {
                    let what =
                        format!("{about}: {} bytes at {} were copied from what is lost", len - taken, at + taken);
                    self.find("lost-bytes", what);
                }
            }
        }
        self.lay_parts(draft, above, about)?;
        draft.truncate(length)
    }

    fn lay_parts(&mut self, draft: &mut Draft, parts: &[Part], about: &str) -> Result<()> {
        for Part { at, len, source, bad, .. } in parts {
            draft.lay(*at, Extent { len: *len, source: *source })?;
            for (from, bytes) in bad {
                let at = at.saturating_add(*from);
                self.find("data-reads", format!("{about}: {bytes} bytes at {at} are damaged"));
            }
        }
        Ok(())
    }
}
