//! Random histories against the real store: after every step the store must show what the model shows.

use super::compare::{meta, shown_of, tags};
use super::harness::{B, Home, key, make_bucket, posix};
use super::model::{Bucket, Version, split};
use super::ops::{DIRS, KEYS, Op, SIZES, op, stream};
use keyfold::model::{ChecksumAlgorithm, Error, FileKind, Kind, Object, Result, Versioning};
use keyfold::store::{Condition, CopyOptions, Mover, Promise, PutOptions, Step, Store, may_move};
use proptest::prelude::*;
use std::sync::Arc;

pub struct World {
    pub home: Home,
    pub store: Arc<Store>,
    /// Stands in while the store is closed.
    pub spare: Arc<Store>,
    pub model: Bucket,
    /// The model after each commit.
    pub past: Vec<Bucket>,
    /// The first of these that may still be all that a crash leaves.
    pub durable: usize,
    pub steps: u64,
}

pub type Place<'a> = (keyfold::model::DirId, &'a str);

/// Whether an error tells of the disk, and not of what was asked for.
pub fn is_of_the_disk(error: &Error) -> bool {
    matches!(error.kind(), Kind::Io | Kind::Full | Kind::ReadOnly)
}

/// What was done must be what can be done; but the disk may hinder it.
pub fn done<T>(result: Result<T>, can: bool, what: impl Fn() -> String) -> Result<Option<T>> {
    match result {
        Err(error) if is_of_the_disk(&error) => Err(error),
        Err(error) => {
            assert!(!can, "{}: {error}", what());
            Ok(None)
        }
        Ok(result) => {
            assert!(can, "{}: it was done", what());
            Ok(Some(result))
        }
    }
}

impl World {
    pub fn new(home: Home) -> Self {
        let store = home.open();
        make_bucket(&store, B);
        let model = Bucket::new();
        let spare = if home.disk.is_some() { Home::simulated() } else { Home::new() }.open();
        Self { home, store, spare, past: vec![model.clone()], durable: 0, model, steps: 0 }
    }

    pub fn bytes(&mut self, len: usize) -> Arc<Vec<u8>> {
        self.steps += 1;
        Arc::new(super::harness::pattern(len, self.steps))
    }

    /// One commit happened.
    pub fn commit(&mut self) {
        self.past.push(self.model.clone());
    }

    /// All commits so far are durable.
    pub fn durable(&mut self) {
        self.commit();
        self.durable = self.past.len() - 1;
    }

    /// Directory and component of a key on the mount, when its directory is there.
    pub fn place<'a>(&self, key: &'a str) -> Option<Place<'a>> {
        let (prefix, name) = split(key);
        let bucket = self.store.bucket(B).unwrap();
        let dir = self.store.resolve_dir(&bucket, prefix).unwrap();
        assert_eq!(dir.is_some(), self.model.has_dir(prefix), "the directory {prefix:?}");
        dir.map(|dir| (dir, name))
    }

    fn version(&self, name: &str, at: usize) -> Option<(usize, Version, Object)> {
        let stack = self.model.keys.get(name)?;
        let at = at % stack.versions.len();
        let found = super::harness::versions(&self.store, name);
        Some((at, stack.versions[at].clone(), found[at].clone()))
    }

    pub fn step(&mut self, op: &Op) {
        self.try_step(op).unwrap_or_else(|error| panic!("{op:?}: {error}"));
    }

    /// A step on a disk that may hinder it: then how much of it was done is not known.
    pub fn try_step(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Versioning(on) => {
                let to = if *on { Versioning::Enabled } else { Versioning::Suspended };
                self.store.set_versioning(B, to)?;
                self.model.versioning = to;
                self.durable();
            }
            Op::Put { key: k, size, tagged } => {
                let bytes = self.bytes(SIZES[*size]);
                let label = tagged.then(|| format!("t{}", self.steps));
                let options = PutOptions {
                    tags: tags(label.as_deref()),
                    metadata: meta(label.as_deref()),
                    // Kept with the content, so that checks tell whether it goes with it.
                    promise: Promise { keep: tagged.then_some(ChecksumAlgorithm::Crc32c), ..Promise::default() },
                    ..PutOptions::default()
                };
                self.store.put(B, &key(KEYS[*k]), &mut &bytes[..], &options)?;
                self.model.push(KEYS[*k], bytes, label.clone(), label);
                self.durable();
            }
            Op::Session { key: k, edits } => self.session(KEYS[*k], edits)?,
            Op::Create(k) => {
                let name = KEYS[*k];
                if let Some(at) = self.place(name).filter(|_| !name.ends_with('/')) {
                    let made = self.store.create_draft(at.0, at.1, &posix(FileKind::File));
                    if done(made, !self.model.is_taken(name), || name.to_owned())?.is_some() {
                        self.model.drafts.insert(name.to_owned());
                        self.commit();
                    }
                }
            }
            Op::Remove(k) => {
                let name = KEYS[*k];
                if let Some(at) = self.place(name).filter(|_| !name.ends_with('/')) {
                    let draft = self.model.drafts.contains(name);
                    let can = draft || self.model.current(name).is_some();
                    done(self.store.remove(at.0, at.1), can, || name.to_owned())?;
                    if can {
                        self.model.keep_dir_of(name);
                    }
                    if draft {
                        self.model.drafts.remove(name);
                    } else if can {
                        self.model.delete(name);
                    }
                    self.commit();
                }
            }
            Op::Delete(k) => {
                self.store.delete(B, &key(KEYS[*k]), None, Condition::Always)?;
                self.model.delete(KEYS[*k]);
                self.durable();
            }
            Op::Purge { key: k, at } => {
                if let Some((at, _, object)) = self.version(KEYS[*k], *at) {
                    self.store.delete(B, &key(KEYS[*k]), Some(object.version), Condition::Always)?;
                    self.model.purge(KEYS[*k], at);
                    self.durable();
                }
            }
            Op::Restore { key: k, at } => {
                if let Some((_, version, object)) = self.version(KEYS[*k], *at) {
                    let (dirs, name) = self.store.history_place(B, &key(KEYS[*k]))?;
                    let restored = self.store.restore(&dirs, &name, object.version);
                    if done(restored, !version.marker, || format!("{name:?}"))?.is_some() {
                        self.model.push(KEYS[*k], version.bytes, version.tag, version.meta);
                        self.durable();
                    }
                }
            }
            Op::Undelete(k) => {
                let (dirs, name) = self.store.history_place(B, &key(KEYS[*k]))?;
                let stack = self.model.keys.get(KEYS[*k]).cloned().unwrap_or_default();
                let can = !stack.live && stack.versions.iter().any(|version| !version.marker);
                done(self.store.undelete(&dirs, &name), can, || format!("{name:?}"))?;
                while can && self.model.current(KEYS[*k]).is_none() {
                    self.model.purge(KEYS[*k], 0);
                    self.commit();
                }
            }
            Op::Rename { from, to, how } => self.rename(KEYS[*from], KEYS[*to], *how)?,
            Op::RenameDir { from, to, how } => self.rename_dir(DIRS[*from], DIRS[*to], *how)?,
            Op::MakeDir(d) => {
                if let Some(at) = self.place(DIRS[*d]) {
                    let made = self.store.make_dir(at.0, at.1, &posix(FileKind::Directory));
                    if done(made, !self.model.is_taken(DIRS[*d]), || DIRS[*d].to_owned())?.is_some() {
                        self.model.make_dir(DIRS[*d]);
                    }
                    self.commit();
                }
            }
            Op::RemoveDir(d) => {
                if let Some(at) = self.place(DIRS[*d]) {
                    let can = self.model.has_dir(DIRS[*d]) && self.model.is_empty_dir(DIRS[*d]);
                    done(self.store.remove_dir(at.0, at.1), can, || DIRS[*d].to_owned())?;
                    if can {
                        self.model.keep_dir_of(DIRS[*d]);
                        self.model.remove_dir(DIRS[*d]);
                    }
                    self.commit();
                }
            }
            Op::Copy { from, to } => {
                let source = self.store.get(B, &key(KEYS[*from]), None);
                let is_there = self.model.current(KEYS[*from]).is_some();
                if let Some(source) = done(source, is_there, || KEYS[*from].to_owned())? {
                    let version = self.model.current(KEYS[*from]).cloned().unwrap();
                    self.store.copy(&source, B, &key(KEYS[*to]), &CopyOptions::default())?;
                    self.model.push(KEYS[*to], version.bytes, version.tag, version.meta);
                    self.durable();
                }
            }
            Op::Tags { key: k, at } => {
                let place = self.place(KEYS[*k]);
                if let (Some(place), Some((at, version, object))) = (place, self.version(KEYS[*k], *at)) {
                    self.steps += 1;
                    let label = format!("t{}", self.steps);
                    let set = self.store.set_tags(place, Some(object.version), &tags(Some(&label)));
                    if done(set, !version.marker, || KEYS[*k].to_owned())?.is_some() {
                        self.model.keys.get_mut(KEYS[*k]).unwrap().versions[at].tag = Some(label);
                    }
                    self.commit();
                }
            }
            Op::Meta(k) => {
                if let (Some(place), Some(version)) = (self.place(KEYS[*k]), self.model.current(KEYS[*k]).cloned()) {
                    self.steps += 1;
                    let label = format!("m{}", self.steps);
                    self.store.set_metadata(place, &meta(Some(&label)))?;
                    self.model.push(KEYS[*k], version.bytes, version.tag, Some(label));
                    self.commit();
                }
            }
            Op::Class { key: k, at, to } => {
                let place = self.place(KEYS[*k]);
                if let (Some(place), Some((_, _, object))) = (place, self.version(KEYS[*k], *at)) {
                    let step = Step { from: None, to: *to, by: Mover::Caller };
                    let can = !object.marker && (object.class == *to || may_move(&object, *to, self.store.now()));
                    done(self.store.transition(place, Some((object.version, None)), step), can, || {
                        KEYS[*k].to_owned()
                    })?;
                    self.commit();
                }
            }
            Op::Upload { key: k, parts, end } => self.upload(KEYS[*k], *parts, SIZES[*end])?,
            Op::Reap => while self.store.reap()? {},
            Op::Compact => super::harness::try_compact(&self.store)?,
            Op::Sync => {
                self.store.sync()?;
                self.durable();
            }
            Op::Reopen => {
                self.store.close()?;
                self.reopen()?;
                self.model.drafts.clear();
                self.durable();
            }
            Op::Crash => {
                Arc::clone(&self.store).abandon();
                self.home.lose_power(self.steps);
                self.reopen()?;
                let shown = shown_of(&self.store, &self.past[self.durable..]);
                self.model = shown.expect("after a crash the store shows the state after some commit");
                self.durable();
                let found = self.store.fsck(&mut |_| {})?;
                assert!(found.is_empty(), "{found:#?}");
            }
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<()> {
        // The process holds the lock until the last handle goes, so the old one goes first.
        self.store = Arc::clone(&self.spare);
        self.store = self.home.try_open()?;
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::with_cases(
        crate::asked("KEYFOLD_ENGINE_CASES").map_or(40, |cases| u32::try_from(cases).unwrap())
    ) })]

    #[test]
    fn random_histories_show_what_the_model_shows(ops in prop::collection::vec((op(), 0..100usize), 1..60)) {
        let mut world = World::new(Home::new());
        for (op, seed) in &ops {
            world.step(op);
            world.compare(*seed);
        }
        world.finish();
    }
}

/// Names have long pasts, which meet.
#[test]
fn a_long_history_shows_what_the_model_shows() {
    let (histories, steps) = if crate::long() { (60, 3000) } else { (1, 400) };
    let first = crate::seed();
    for seed in first..first + histories {
        println!("KEYFOLD_SEED={seed}");
        let mut world = World::new(Home::new());
        for (n, op) in stream(seed).take(steps).enumerate() {
            println!("{n}: {op:?}");
            world.step(&op);
            world.compare(n);
        }
        world.finish();
    }
}
