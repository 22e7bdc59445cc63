//! Random histories against the real store: after every step the store must show what the model shows.

use super::harness::{B, Home, all_versions, fsck, key, list, make_bucket, posix, purge, read};
use super::model::{Bucket, Version};
use keyfold::model::{ETag, FileKind, Kind, Metadata, Object, StorageClass, TagSet, Usage, VersionId, Versioning};
use keyfold::store::{
    CompletePart, Condition, CopyOptions, Draft, Entry, PosixChange, PutOptions, RenameHow, Session, Store,
};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

const KEYS: &[&str] = &["a", "-", "a-", "aa", "a/a", "a/-", "a/a/a", "a/a/-", "-/a", "a-/a", "a//", "a/", "-/", "a/a/"];
const DIRS: &[&str] = &["a/", "-/", "a-/", "a/a/", "-/a/", "aa/"];
/// Nothing, inline, the edge of inline, runs, a run and more, a file of its own.
const SIZES: &[usize] = &[0, 1, 700, 4096, 4097, 70_000, 300_000, (4 << 20) + 9];

#[derive(Clone, Debug)]
enum Edit {
    Write(usize, usize),
    Truncate(usize),
    Punch(usize, usize),
    Copy(usize, usize, usize, usize),
    Publish,
}

#[derive(Clone, Debug)]
enum Op {
    Versioning(bool),
    Put { key: usize, size: usize, tagged: bool },
    Session { key: usize, edits: Vec<Edit> },
    Create(usize),
    Remove(usize),
    Delete(usize),
    Purge { key: usize, at: usize },
    Restore { key: usize, at: usize },
    Undelete(usize),
    Rename { from: usize, to: usize, how: RenameHow },
    RenameDir { from: usize, to: usize, how: RenameHow },
    MakeDir(usize),
    RemoveDir(usize),
    Copy { from: usize, to: usize },
    Tags { key: usize, at: usize },
    Meta(usize),
    Upload { key: usize, parts: usize, end: usize },
    Reap,
    Sync,
    Reopen,
    Crash,
}

fn edit() -> impl Strategy<Value = Edit> {
    let (at, len) = (0..90_000usize, 1..9000usize);
    prop_oneof![
        6 => (at.clone(), len.clone()).prop_map(|(at, len)| Edit::Write(at, len)),
        1 => (0..5000usize, 100_000..5_000_000usize).prop_map(|(at, len)| Edit::Write(at, len)),
        2 => at.clone().prop_map(Edit::Truncate),
        2 => (at.clone(), len.clone()).prop_map(|(at, len)| Edit::Punch(at, len * 3)),
        2 => (at.clone(), any::<usize>(), at, len).prop_map(|(at, key, from, len)| Edit::Copy(at, key, from, len * 4)),
        2 => Just(Edit::Publish),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let (k, n) = (0..KEYS.len(), 0..6usize);
    let how =
        || prop_oneof![4 => Just(RenameHow::Replace), 1 => Just(RenameHow::NoReplace), 1 => Just(RenameHow::Exchange)];
    prop_oneof![
        3 => prop::bool::weighted(0.7).prop_map(Op::Versioning),
        10 => (k.clone(), 0..SIZES.len(), any::<bool>()).prop_map(|(key, size, tagged)| Op::Put { key, size, tagged }),
        8 => (k.clone(), prop::collection::vec(edit(), 0..8)).prop_map(|(key, edits)| Op::Session { key, edits }),
        3 => k.clone().prop_map(Op::Create),
        6 => k.clone().prop_map(Op::Remove),
        5 => k.clone().prop_map(Op::Delete),
        9 => (k.clone(), n.clone()).prop_map(|(key, at)| Op::Purge { key, at }),
        3 => (k.clone(), n.clone()).prop_map(|(key, at)| Op::Restore { key, at }),
        4 => k.clone().prop_map(Op::Undelete),
        8 => (k.clone(), k.clone(), how()).prop_map(|(from, to, how)| Op::Rename { from, to, how }),
        6 => (0..DIRS.len(), 0..DIRS.len(), how()).prop_map(|(from, to, how)| Op::RenameDir { from, to, how }),
        4 => (0..DIRS.len()).prop_map(Op::MakeDir),
        4 => (0..DIRS.len()).prop_map(Op::RemoveDir),
        4 => (k.clone(), k.clone()).prop_map(|(from, to)| Op::Copy { from, to }),
        2 => (k.clone(), n).prop_map(|(key, at)| Op::Tags { key, at }),
        2 => k.clone().prop_map(Op::Meta),
        2 => (k, 1..3usize, 0..SIZES.len()).prop_map(|(key, parts, end)| Op::Upload { key, parts, end }),
        2 => Just(Op::Reap),
        2 => Just(Op::Sync),
        1 => Just(Op::Reopen),
        2 => Just(Op::Crash),
    ]
}

struct World {
    home: Home,
    store: Arc<Store>,
    /// Stands in while the store is closed.
    spare: Arc<Store>,
    model: Bucket,
    /// The model after each commit since one was known to be durable.
    past: Vec<Bucket>,
    steps: u64,
}

type Place<'a> = (keyfold::model::DirId, &'a str);

/// A key's parent prefix and component.
fn split(key: &str) -> (&str, &str) {
    let cut = key.trim_end_matches('/').rfind('/').map_or(0, |at| at + 1);
    // `a//` is the nameless directory inside `a/`.
    let cut = if key.ends_with("//") { key.len() - 1 } else { cut };
    key.split_at(cut)
}

impl World {
    fn new() -> Self {
        let home = Home::new();
        let store = home.open();
        make_bucket(&store, B);
        let model = Bucket::new();
        let spare = Home::new().open();
        Self { home, store, spare, past: vec![model.clone()], model, steps: 0 }
    }

    fn bytes(&mut self, len: usize) -> Arc<Vec<u8>> {
        self.steps += 1;
        Arc::new(super::harness::pattern(len, self.steps))
    }

    /// One commit happened.
    fn commit(&mut self) {
        self.past.push(self.model.clone());
    }

    /// All commits so far are durable.
    fn durable(&mut self) {
        self.past = vec![self.model.clone()];
    }

    /// Directory and component of a key on the mount, when its directory is there.
    fn place<'a>(&self, key: &'a str) -> Option<Place<'a>> {
        let (prefix, name) = split(key);
        let bucket = self.store.bucket(B).unwrap();
        let dir = self.store.resolve_dir(&bucket, prefix).unwrap();
        assert_eq!(dir.is_some(), self.model.has_dir(prefix), "the directory {prefix:?}");
        dir.map(|dir| (dir, name))
    }

    fn taken(&self, key: &str) -> bool {
        let name = key.trim_end_matches('/');
        let file = self.model.current(name).is_some() || self.model.drafts.contains(name);
        file || self.model.has_dir(&format!("{name}/"))
    }

    fn version(&self, name: &str, at: usize) -> Option<(usize, Version, Object)> {
        let stack = self.model.keys.get(name)?;
        let at = at % stack.versions.len();
        let found = super::harness::versions(&self.store, name);
        Some((at, stack.versions[at].clone(), found[at].clone()))
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Versioning(on) => {
                let to = if *on { Versioning::Enabled } else { Versioning::Suspended };
                self.store.set_versioning(B, to).unwrap();
                self.model.versioning = to;
                self.durable();
            }
            Op::Put { key: k, size, tagged } => {
                let bytes = self.bytes(SIZES[*size]);
                let label = tagged.then(|| format!("t{}", self.steps));
                let options = PutOptions {
                    tags: tags(label.as_deref()),
                    metadata: meta(label.as_deref()),
                    ..PutOptions::default()
                };
                self.store.put(B, &key(KEYS[*k]), &mut &bytes[..], &options).unwrap();
                self.model.push(KEYS[*k], bytes, label.clone(), label);
                self.durable();
            }
            Op::Session { key: k, edits } => self.session(KEYS[*k], edits),
            Op::Create(k) => {
                let name = KEYS[*k];
                if let Some(at) = self.place(name).filter(|_| !name.ends_with('/')) {
                    let made = self.store.create_draft(at.0, at.1, &posix(FileKind::File));
                    assert_eq!(made.is_ok(), !self.taken(name), "{name}");
                    if made.is_ok() {
                        self.model.drafts.insert(name.to_owned());
                        self.commit();
                    }
                }
            }
            Op::Remove(k) => {
                let name = KEYS[*k];
                if let Some(at) = self.place(name).filter(|_| !name.ends_with('/')) {
                    let draft = self.model.drafts.contains(name);
                    let removed = self.store.remove(at.0, at.1);
                    assert_eq!(removed.is_ok(), draft || self.model.current(name).is_some(), "{name}");
                    if draft {
                        self.model.drafts.remove(name);
                    } else if removed.is_ok() {
                        self.model.delete(name);
                    }
                    self.commit();
                }
            }
            Op::Delete(k) => {
                self.store.delete(B, &key(KEYS[*k]), None, Condition::Always).unwrap();
                self.model.delete(KEYS[*k]);
                self.durable();
            }
            Op::Purge { key: k, at } => {
                if let Some((at, _, object)) = self.version(KEYS[*k], *at) {
                    purge(&self.store, KEYS[*k], object.version);
                    self.model.purge(KEYS[*k], at);
                    self.durable();
                }
            }
            Op::Restore { key: k, at } => {
                if let Some((_, version, object)) = self.version(KEYS[*k], *at) {
                    let (dirs, name) = self.store.history_place(B, &key(KEYS[*k])).unwrap();
                    let restored = self.store.restore(&dirs, &name, object.version);
                    assert_eq!(restored.is_ok(), !version.marker);
                    if restored.is_ok() {
                        self.model.push(KEYS[*k], version.bytes, version.tag, version.meta);
                        self.durable();
                    }
                }
            }
            Op::Undelete(k) => {
                let (dirs, name) = self.store.history_place(B, &key(KEYS[*k])).unwrap();
                let stack = self.model.keys.get(KEYS[*k]).cloned().unwrap_or_default();
                let can = !stack.live && stack.versions.iter().any(|version| !version.marker);
                assert_eq!(self.store.undelete(&dirs, &name).is_ok(), can);
                while can && self.model.current(KEYS[*k]).is_none() {
                    self.model.purge(KEYS[*k], 0);
                    self.commit();
                }
            }
            Op::Rename { from, to, how } => self.rename(KEYS[*from], KEYS[*to], *how),
            Op::RenameDir { from, to, how } => self.rename_dir(DIRS[*from], DIRS[*to], *how),
            Op::MakeDir(d) => {
                if let Some(at) = self.place(DIRS[*d]) {
                    let made = self.store.make_dir(at.0, at.1, &posix(FileKind::Directory));
                    assert_eq!(made.is_ok(), !self.taken(DIRS[*d]));
                    if made.is_ok() {
                        self.model.make_dir(DIRS[*d]);
                    }
                    self.commit();
                }
            }
            Op::RemoveDir(d) => {
                if let Some(at) = self.place(DIRS[*d]) {
                    let removed = self.store.remove_dir(at.0, at.1);
                    let can = self.model.has_dir(DIRS[*d]) && self.model.is_empty_dir(DIRS[*d]);
                    assert_eq!(removed.is_ok(), can, "{removed:?}");
                    if can {
                        self.model.remove_dir(DIRS[*d]);
                    }
                    self.commit();
                }
            }
            Op::Copy { from, to } => {
                let source = self.store.get(B, &key(KEYS[*from]), None);
                assert_eq!(source.is_ok(), self.model.current(KEYS[*from]).is_some());
                if let Ok(source) = source {
                    let version = self.model.current(KEYS[*from]).cloned().unwrap();
                    self.store.copy(&source, B, &key(KEYS[*to]), &CopyOptions::default()).unwrap();
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
                    assert_eq!(set.is_ok(), !version.marker);
                    if set.is_ok() {
                        self.model.keys.get_mut(KEYS[*k]).unwrap().versions[at].tag = Some(label);
                    }
                    self.commit();
                }
            }
            Op::Meta(k) => {
                if let (Some(place), Some(version)) = (self.place(KEYS[*k]), self.model.current(KEYS[*k]).cloned()) {
                    self.steps += 1;
                    let label = format!("m{}", self.steps);
                    self.store.set_metadata(place, &meta(Some(&label))).unwrap();
                    self.model.push(KEYS[*k], version.bytes, version.tag, Some(label));
                    self.commit();
                }
            }
            Op::Upload { key: k, parts, end } => self.upload(KEYS[*k], *parts, SIZES[*end]),
            Op::Reap => super::harness::reap(&self.store),
            Op::Sync => {
                self.store.sync().unwrap();
                self.durable();
            }
            Op::Reopen => {
                self.store.close().unwrap();
                self.reopen();
                self.durable();
            }
            Op::Crash => {
                Arc::clone(&self.store).abandon();
                self.reopen();
                let shown = self.past.iter().rev().find(|past| self.matches(past)).cloned();
                self.model = shown.expect("after a crash the store shows the state after some commit");
                self.durable();
                fsck(&self.store);
            }
        }
    }

    fn reopen(&mut self) {
        // The process holds the lock until the last handle goes, so the old one goes first.
        self.store = Arc::clone(&self.spare);
        self.store = self.home.open();
    }

    fn session(&mut self, name: &str, edits: &[Edit]) {
        let Some(at) = self.place(name).filter(|_| !name.ends_with('/')) else { return };
        let (object, mut bytes) = match self.store.lookup(at.0, at.1).unwrap() {
            Some(Entry::File(file)) if file.draft => (file.object, Vec::new()),
            Some(Entry::File(file)) => (file.object, self.model.current(name).unwrap().bytes.to_vec()),
            _ if self.taken(name) => return,
            _ => {
                self.model.drafts.insert(name.to_owned());
                self.commit();
                (self.store.create_draft(at.0, at.1, &posix(FileKind::File)).unwrap().object, Vec::new())
            }
        };
        let mut draft = self.store.draft(Some(&object)).unwrap();
        let mut session = Session::new();
        for edit in edits.iter().chain([&Edit::Publish]) {
            match edit {
                Edit::Write(pos, len) => {
                    let new = self.bytes(*len);
                    draft.write_at(*pos as u64, &new).unwrap();
                    bytes.resize(bytes.len().max(pos + len), 0);
                    bytes[*pos..pos + len].copy_from_slice(&new);
                }
                Edit::Truncate(size) => {
                    draft.truncate(*size as u64).unwrap();
                    bytes.resize(*size, 0);
                }
                Edit::Punch(pos, len) => {
                    draft.punch(*pos as u64, *len as u64).unwrap();
                    let end = bytes.len().min(pos + len);
                    bytes[(*pos).min(end)..end].fill(0);
                }
                Edit::Copy(pos, from_key, from, len) => {
                    let from_key = KEYS[from_key % KEYS.len()];
                    let Some(source) = self.model.current(from_key).cloned() else { continue };
                    let object = self.store.get(B, &key(from_key), None).unwrap();
                    let content = Arc::new(self.store.open_content(&object).unwrap());
                    let end = source.bytes.len().min(from + len);
                    let new = &source.bytes[(*from).min(end)..end];
                    assert_eq!(
                        draft.copy_from(*pos as u64, &content, *from as u64, *len as u64).unwrap(),
                        new.len() as u64
                    );
                    if !new.is_empty() {
                        bytes.resize(bytes.len().max(pos + new.len()), 0);
                        bytes[*pos..pos + new.len()].copy_from_slice(new);
                    }
                }
                Edit::Publish => {
                    self.publish(at, name, &object, &mut draft, &mut session, &bytes);
                }
            }
            let mut seen = vec![0xee; bytes.len() + 1];
            assert_eq!(draft.read_at(0, &mut seen).unwrap(), bytes.len());
            assert!(seen[..bytes.len()] == bytes[..], "a session reads back what it wrote: {edit:?}");
        }
        self.store.seal(session).unwrap();
        self.commit();
    }

    fn publish(
        &mut self,
        at: Place<'_>,
        name: &str,
        object: &Object,
        draft: &mut Draft,
        session: &mut Session,
        bytes: &[u8],
    ) {
        let first = !session.has_published();
        self.store.publish(at, object.ino, draft, session, &PosixChange::default()).unwrap();
        let bytes = Arc::new(bytes.to_vec());
        if first {
            let (tag, meta) =
                self.model.current(name).map(|old| (old.tag.clone(), old.meta.clone())).unwrap_or_default();
            self.model.push(name, bytes, tag, meta);
        } else {
            self.model.keys.get_mut(name).unwrap().versions[0].bytes = bytes;
        }
        self.commit();
    }

    fn rename(&mut self, from: &str, to: &str, how: RenameHow) {
        if from.ends_with('/') || to.ends_with('/') || self.model.drafts.contains(from) {
            return;
        }
        let (Some(a), Some(b)) = (self.place(from), self.place(to)) else { return };
        let there = self.model.current(to).is_some() || self.model.drafts.contains(to);
        let twin = self.model.has_dir(&format!("{to}/"));
        let can = self.model.current(from).is_some()
            && match how {
                RenameHow::Replace => !twin,
                RenameHow::NoReplace => !twin && !there,
                RenameHow::Exchange => there,
            };
        if how == RenameHow::Exchange && (self.model.drafts.contains(to) || from == to) {
            return;
        }
        let renamed = self.store.rename(a, b, how);
        assert_eq!(renamed.is_ok(), can, "{from} {to} {how:?}: {renamed:?}");
        match how {
            _ if !can => {}
            RenameHow::Exchange => self.model.swap_keys(from, to),
            _ => {
                self.model.drafts.remove(to);
                self.model.rename(from, to);
            }
        }
        self.commit();
    }

    /// Only to places without history, where the model's flat keys and the store's directories mean the same.
    fn rename_dir(&mut self, from: &str, to: &str, how: RenameHow) {
        let (Some(a), Some(b)) = (self.place(from), self.place(to)) else { return };
        let below = to.starts_with(from) || from.starts_with(to);
        let exchange = how == RenameHow::Exchange;
        if !below && self.model.has_dir(from) && self.model.has_history(to) && !(exchange && self.model.has_dir(to)) {
            return;
        }
        let file = |dir: &str| {
            let name = dir.trim_end_matches('/');
            self.model.current(name).is_some() || self.model.drafts.contains(name)
        };
        if below || (exchange && (file(from) || file(to))) {
            return;
        }
        let can = self.model.has_dir(from) && if exchange { self.model.has_dir(to) } else { !file(to) };
        let renamed = self.store.rename(a, b, how);
        assert_eq!(renamed.is_ok(), can, "{from} {to} {how:?}: {renamed:?}");
        if can {
            self.model.swap_prefixes(from, to);
        }
        self.commit();
    }

    fn upload(&mut self, name: &str, parts: usize, end: usize) {
        let label = Some("up");
        let upload =
            self.store.create_upload(B, &key(name), &meta(label), &tags(label), StorageClass::Standard).unwrap();
        let mut named = Vec::new();
        let mut whole = Vec::new();
        for number in 1..=parts {
            let bytes = self.bytes(if number < parts { 5 << 20 } else { end });
            let part = self.store.put_part(upload, number as u32 * 3, &mut &bytes[..], None).unwrap();
            named.push(CompletePart { number: part.number, etag: part.etag });
            whole.extend_from_slice(&bytes);
        }
        let wrong = [CompletePart { number: 2, etag: ETag::EMPTY }];
        let refused = self.store.complete_upload(B, upload, &wrong, Condition::Always, None);
        assert_eq!(refused.unwrap_err().kind(), Kind::InvalidPart);
        if whole.len() % 3 == 0 {
            self.store.abort_upload(upload).unwrap();
        } else {
            self.store.complete_upload(B, upload, &named, Condition::Always, None).unwrap();
            self.model.push(name, Arc::new(whole), Some("up".into()), Some("up".into()));
        }
        self.durable();
    }

    /// Whether the store shows this model, by names, kinds and sizes.
    fn matches(&self, model: &Bucket) -> bool {
        let shown = all_versions(&self.store, B, 1000);
        let told: Vec<_> = shown.iter().map(|entry| (entry.key.as_str(), describe(&entry.object))).collect();
        let meant =
            model.keys.iter().flat_map(|(key, stack)| stack.versions.iter().map(move |v| (key.as_str(), outline(v))));
        told == meant.collect::<Vec<_>>() && list(&self.store, B, "", None, 1000) == model.list("", None) && {
            let mut drafts = BTreeSet::new();
            self.walk("", &mut |key, entry| {
                drafts.extend(matches!(entry, Entry::File(file) if file.draft).then(|| key.to_owned()));
            });
            drafts == model.drafts
        }
    }

    fn walk(&self, prefix: &str, visit: &mut dyn FnMut(&str, &Entry)) {
        let bucket = self.store.bucket(B).unwrap();
        let dir = self.store.resolve_dir(&bucket, prefix).unwrap().unwrap();
        for (name, entry) in self.store.entries(dir, None, 1000).unwrap() {
            let full = format!("{prefix}{name}");
            visit(&full, &entry);
            if name.ends_with('/') {
                self.walk(&full, visit);
            }
        }
    }

    fn compare(&self, seed: usize) {
        let page = 1 + seed % 5;
        let shown = all_versions(&self.store, B, page);
        let meant: Vec<_> = self
            .model
            .keys
            .iter()
            .flat_map(|(key, stack)| stack.versions.iter().enumerate().map(move |(n, version)| (key, n, version)))
            .collect();
        let told: Vec<_> = shown.iter().map(|entry| (&entry.key, entry.is_latest, describe(&entry.object))).collect();
        assert_eq!(told, meant.iter().map(|(key, n, version)| (*key, *n == 0, outline(version))).collect::<Vec<_>>());
        let mut ids = HashSet::new();
        for (entry, (key, _, version)) in shown.iter().zip(&meant) {
            assert!(entry.object.version == VersionId::Null || ids.insert(entry.object.version), "ids are unique");
            if !version.marker && version.bytes.len() < 8000 {
                assert_eq!(read(&self.store, &entry.object).unwrap(), **version.bytes, "{key}");
            }
        }
        let (prefix, delimiter) =
            (["", "a", "a/", "-", "a/a"][seed % 5], [None, Some("/"), Some("a"), Some("-")][seed % 4]);
        assert_eq!(list(&self.store, B, prefix, delimiter, page), self.model.list(prefix, delimiter));
        let mut names = BTreeSet::from([String::new()]);
        self.walk("", &mut |key, _| {
            names.insert(key.to_owned());
        });
        for prefix in names.iter().filter(|name| name.is_empty() || name.ends_with('/')) {
            let below = names.iter().filter_map(|key| key.strip_prefix(prefix.as_str()));
            let inside: BTreeSet<_> = below
                .filter(|rest| !rest.is_empty() && rest.split_inclusive('/').count() == 1)
                .map(str::to_owned)
                .collect();
            assert_eq!(inside, self.model.entries(prefix), "in {prefix:?}");
        }
        let mut usage = Usage::default();
        for stack in self.model.keys.values() {
            for (n, version) in stack.versions.iter().enumerate() {
                let size = version.bytes.len() as i64;
                match (n == 0 && stack.live, version.marker) {
                    (true, _) => (usage.objects, usage.bytes) = (usage.objects + 1, usage.bytes + size),
                    (_, true) => usage.markers += 1,
                    _ => {
                        (usage.noncurrent, usage.noncurrent_bytes) =
                            (usage.noncurrent + 1, usage.noncurrent_bytes + size)
                    }
                }
            }
        }
        assert_eq!(self.store.usage(self.store.bucket(B).unwrap().id).unwrap(), usage);
    }

    fn finish(mut self) {
        for (entry, version) in
            all_versions(&self.store, B, 7).iter().zip(self.model.keys.values().flat_map(|stack| &stack.versions))
        {
            assert!(version.marker || read(&self.store, &entry.object).unwrap() == **version.bytes, "{}", entry.key);
        }
        fsck(&self.store);
        self.step(&Op::Reopen);
        self.compare(3);
        fsck(&self.store);
    }
}

type Outline<'a> = (bool, bool, u64, Option<&'a str>, Option<&'a str>);

fn outline(version: &Version) -> Outline<'_> {
    (version.null, version.marker, version.bytes.len() as u64, version.tag.as_deref(), version.meta.as_deref())
}

fn describe(object: &Object) -> Outline<'_> {
    let (tag, meta) = (object.tags.get("tag"), object.metadata.user("meta"));
    (object.version == VersionId::Null, object.marker, object.size, tag, meta)
}

fn tags(value: Option<&str>) -> TagSet {
    let mut tags = TagSet::new();
    value.into_iter().for_each(|value| tags.set("tag", value).unwrap());
    tags
}

fn meta(value: Option<&str>) -> Metadata {
    let mut meta = Metadata::default();
    value.into_iter().for_each(|value| meta.set_user("meta", value).unwrap());
    meta
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::with_cases(
        std::env::var("KEYFOLD_ENGINE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40)
    ) })]

    #[test]
    fn random_histories_show_what_the_model_shows(ops in prop::collection::vec((op(), 0..100usize), 1..60)) {
        let mut world = World::new();
        for (op, seed) in &ops {
            world.step(op);
            world.compare(*seed);
        }
        world.finish();
    }
}
