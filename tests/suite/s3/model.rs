//! Random histories through both doors: after every step, whichever door took it, S3 and the mount show what the reference
//! model shows (GEN-1), also over ends of the process.

use super::acts::{Acts, bytes_of, sent};
use super::harness::{Client, mounted, of_mounted};
use crate::engine::harness::pattern;
use crate::engine::model::{Bucket, Version, split};
use crate::engine::ops::{DIRS, Edit, KEYS, Op, SIZES, overlay, punch, stream};
use crate::mount::{Mounted, copy_file_range};
use crate::{long, seed};
use keyfold::model::Versioning;
use keyfold::store::RenameHow;
use nix::fcntl::{AT_FDCWD, FallocateFlags, RenameFlags, fallocate, renameat2};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

struct World {
    // Before the mount, which ends when nobody asks any more.
    acts: Acts,
    mounted: Mounted,
    client: Client,
    model: Bucket,
    steps: u64,
}

/// A version as a listing tells it.
type Row<'a> = (&'a str, bool, bool, u64);

impl World {
    fn new() -> Self {
        let (mounted, client) = mounted();
        Self { acts: Acts::new(&client), mounted, client, model: Bucket::new(), steps: 0 }
    }

    fn again(&mut self) {
        self.client = of_mounted(&self.mounted);
        self.acts = Acts::new(&self.client);
    }

    fn bytes(&mut self, len: usize) -> Arc<Vec<u8>> {
        self.steps += 1;
        Arc::new(pattern(len, self.steps))
    }

    fn label(&mut self) -> String {
        self.steps += 1;
        format!("l{}", self.steps)
    }

    fn is_twin(&self, key: &str) -> bool {
        self.model.has_dir(&format!("{key}/"))
    }

    /// Where the mount has a key (KEY-7, KEY-9).
    fn path(&self, key: &str) -> PathBuf {
        let (dirs, name) = key.split_at(key.rfind('/').map_or(0, |at| at + 1));
        let mut path = self.mounted.path("");
        for part in dirs.split_terminator('/') {
            path.push(if part.is_empty() { ".@empty" } else { part });
        }
        match name {
            "" => path,
            _ if self.is_twin(key) => path.join(format!(".@obj:{name}")),
            _ => path.join(name),
        }
    }

    /// Whether the mount has the directory that a key is in.
    fn has_place(&self, key: &str) -> bool {
        self.model.has_dir(split(key).0)
    }

    /// Whether a key is the name of a file alone.
    fn is_plain(&self, key: &str) -> bool {
        !key.ends_with('/') && self.has_place(key) && !self.is_twin(key)
    }

    /// The id of a version that the model has at `at`.
    fn id(&mut self, key: &str, at: usize) -> String {
        let versions = &self.model.keys[key].versions;
        let marker = versions[at].marker;
        let nth = versions[..at].iter().filter(|version| version.marker == marker).count();
        let found = self.acts.act("versions", json!({ "size": 1000, "prefix": key }));
        let rows = found[if marker { "markers" } else { "versions" }].as_array().unwrap();
        let row = rows.iter().filter(|row| row[0] == key).nth(nth);
        row.expect("the version is listed")[1].as_str().unwrap().to_owned()
    }

    fn version(&mut self, key: &str, at: usize) -> Option<(usize, Version, String)> {
        let versions = self.model.keys.get(key)?.versions.clone();
        let at = at % versions.len();
        Some((at, versions[at].clone(), self.id(key, at)))
    }

    /// What the mount does; `can` is what the model says of it.
    #[track_caller]
    fn done(result: io::Result<()>, can: bool, what: &Op) {
        assert_eq!(result.is_ok(), can, "{what:?}: {result:?}");
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Versioning(on) => {
                let to = if *on { Versioning::Enabled } else { Versioning::Suspended };
                self.acts.act("versioning", json!({ "status": format!("{to:?}") }));
                self.model.versioning = to;
            }
            Op::Put { key, size, tagged } => {
                let (bytes, label) = (self.bytes(SIZES[*size]), tagged.then(|| self.label()));
                self.acts.act("put", json!({ "key": KEYS[*key], "body": sent(&bytes), "label": label }));
                self.model.push(KEYS[*key], bytes, label.clone(), label);
            }
            Op::Session { key, edits } => self.edit(KEYS[*key], edits),
            Op::Create(key) => {
                let key = KEYS[*key];
                if !key.ends_with('/') && self.has_place(key) && !self.model.is_taken(key) {
                    File::create_new(self.path(key)).unwrap();
                    self.model.push(key, Arc::default(), None, None);
                }
            }
            Op::Remove(key) => {
                let key = KEYS[*key];
                if !key.ends_with('/') && self.has_place(key) {
                    let can = self.model.current(key).is_some();
                    Self::done(fs::remove_file(self.path(key)), can, op);
                    if can {
                        self.model.keep_dir_of(key);
                        self.model.delete(key);
                    }
                }
            }
            Op::Delete(key) => {
                self.acts.act("delete", json!({ "key": KEYS[*key] }));
                self.model.delete(KEYS[*key]);
            }
            Op::Purge { key, at } => {
                if let Some((at, _, id)) = self.version(KEYS[*key], *at) {
                    self.acts.act("delete", json!({ "key": KEYS[*key], "version": id }));
                    self.model.purge(KEYS[*key], at);
                }
            }
            Op::Restore { key, at } => {
                let key = KEYS[*key];
                if let Some((_, version, id)) = self.version(key, *at) {
                    let copied = self.acts.ask("copy", json!({ "source": key, "key": key, "version": id }));
                    assert_eq!(copied.is_ok(), !version.marker, "{op:?}: {copied:?}");
                    if !version.marker {
                        self.model.push(key, version.bytes, version.tag, version.meta);
                    }
                }
            }
            Op::Undelete(key) => {
                let key = KEYS[*key];
                let stack = self.model.keys.get(key).cloned().unwrap_or_default();
                let can = !stack.live && stack.versions.iter().any(|version| !version.marker);
                while can && self.model.current(key).is_none() {
                    let id = self.id(key, 0);
                    self.acts.act("delete", json!({ "key": key, "version": id }));
                    self.model.purge(key, 0);
                }
            }
            Op::Rename { from, to, how } => {
                let (from, to) = (KEYS[*from], KEYS[*to]);
                let mut after = self.model.clone();
                // A file beside a directory of its name has no name that another could take.
                let is_plain = self.is_plain(from) && (self.is_plain(to) || *how != RenameHow::Exchange);
                if is_plain
                    && self.has_place(to)
                    && let Some(can) = after.rename_file(from, to, *how)
                {
                    self.rename(from, to, *how, can, op);
                    self.model = after;
                }
            }
            Op::RenameDir { from, to, how } => {
                let (from, to) = (DIRS[*from], DIRS[*to]);
                let mut after = self.model.clone();
                let is_dir = self.model.has_dir(from) && self.has_place(to);
                if is_dir && let Some(can) = after.rename_dir(from, to, *how) {
                    self.rename(from.trim_end_matches('/'), to.trim_end_matches('/'), *how, can, op);
                    self.model = after;
                }
            }
            Op::MakeDir(dir) => {
                if self.has_place(DIRS[*dir]) {
                    let can = !self.model.is_taken(DIRS[*dir]);
                    Self::done(fs::create_dir(self.path(DIRS[*dir])), can, op);
                    if can {
                        self.model.make_dir(DIRS[*dir]);
                    }
                }
            }
            Op::RemoveDir(dir) => {
                let dir = DIRS[*dir];
                if self.has_place(dir) {
                    let can = self.model.has_dir(dir) && self.model.is_empty_dir(dir);
                    Self::done(fs::remove_dir(self.path(dir)), can, op);
                    if can {
                        self.model.keep_dir_of(dir);
                        self.model.remove_dir(dir);
                    }
                }
            }
            Op::Copy { from, to } => {
                let source = self.model.current(KEYS[*from]).cloned();
                if from != to {
                    let copied = self.acts.ask("copy", json!({ "source": KEYS[*from], "key": KEYS[*to] }));
                    assert_eq!(copied.is_ok(), source.is_some(), "{op:?}: {copied:?}");
                    if let Some(Version { bytes, tag, meta, .. }) = source {
                        self.model.push(KEYS[*to], bytes, tag, meta);
                    }
                }
            }
            Op::Tags { key, at } => {
                if let Some((at, version, id)) = self.version(KEYS[*key], *at) {
                    let label = self.label();
                    let set = json!({ "key": KEYS[*key], "version": id, "value": label });
                    let set = self.acts.ask("tag", set);
                    assert_eq!(set.is_ok(), !version.marker, "{op:?}: {set:?}");
                    if !version.marker {
                        self.model.keys.get_mut(KEYS[*key]).unwrap().versions[at].tag = Some(label);
                    }
                }
            }
            // Of the engine's own histories.
            Op::Class { .. } => {}
            Op::Meta(key) => {
                if let Some(Version { bytes, tag, .. }) = self.model.current(KEYS[*key]).cloned() {
                    let label = self.label();
                    xattr::set(self.path(KEYS[*key]), "user.s3.meta.meta", label.as_bytes()).unwrap();
                    self.model.push(KEYS[*key], bytes, tag, Some(label));
                }
            }
            Op::Upload { key, parts, end } => {
                let sizes = (1..=*parts).map(|number| if number < *parts { 5 << 20 } else { SIZES[*end] });
                let bodies: Vec<_> = sizes.map(|size| self.bytes(size)).collect();
                let (label, whole) = (self.label(), bodies.iter().flat_map(|body| body.to_vec()).collect::<Vec<_>>());
                let completed = whole.len() % 3 != 0;
                let bodies: Vec<_> = bodies.iter().map(|body| sent(body)).collect();
                let upload = json!({ "key": KEYS[*key], "bodies": bodies, "label": label, "completed": completed });
                self.acts.act("upload", upload);
                if completed {
                    self.model.push(KEYS[*key], Arc::new(whole), Some(label.clone()), Some(label));
                }
            }
            Op::Reap | Op::Compact | Op::Sync => {}
            Op::Reopen => {
                self.mounted.restart();
                self.again();
            }
            Op::Crash => {
                File::open(self.mounted.path("")).unwrap().sync_all().unwrap();
                self.mounted.crash();
                self.again();
            }
        }
    }

    fn rename(&self, from: &str, to: &str, how: RenameHow, can: bool, op: &Op) {
        let flags = match how {
            RenameHow::Replace => RenameFlags::empty(),
            RenameHow::NoReplace => RenameFlags::RENAME_NOREPLACE,
            RenameHow::Exchange => RenameFlags::RENAME_EXCHANGE,
        };
        let (from, to) = (self.mounted.path(from), self.mounted.path(to));
        Self::done(renameat2(AT_FDCWD, &from, AT_FDCWD, &to, flags).map_err(Into::into), can, op);
    }

    /// A file is opened, changed and closed: one new version.
    fn edit(&mut self, key: &str, edits: &[Edit]) {
        if !self.is_plain(key) {
            return;
        }
        let old = self.model.current(key).cloned();
        let (tag, meta, bytes) = old.map_or_else(Default::default, |old| (old.tag, old.meta, old.bytes));
        let mut bytes = bytes.to_vec();
        let file = File::options().read(true).write(true).create(true).truncate(false).open(self.path(key)).unwrap();
        // The last one changes something in any case.
        for edit in edits.iter().chain([&Edit::Write(0, 9)]) {
            match edit {
                Edit::Write(at, len) => {
                    let new = self.bytes(*len);
                    file.write_all_at(&new, *at as u64).unwrap();
                    overlay(&mut bytes, *at, &new);
                }
                Edit::Truncate(size) => {
                    file.set_len(*size as u64).unwrap();
                    bytes.resize(*size, 0);
                }
                Edit::Punch(at, len) => {
                    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                    fallocate(&file, hole, *at as i64, *len as i64).unwrap();
                    punch(&mut bytes, *at, *len);
                }
                Edit::Copy(at, from_key, from, len) => {
                    let from_key = KEYS[from_key % KEYS.len()];
                    let Some(source) = self.model.current(from_key).cloned() else { continue };
                    if from_key == key || from_key.ends_with('/') {
                        continue;
                    }
                    let end = source.bytes.len().min(from + len);
                    let new = &source.bytes[(*from).min(end)..end];
                    let (mut from, mut into) = (*from as i64, *at as i64);
                    let source = File::open(self.path(from_key)).unwrap();
                    let mut left = *len;
                    while left > 0 {
                        match copy_file_range(&source, Some(&mut from), &file, Some(&mut into), left).unwrap() {
                            0 => break,
                            copied => left -= copied,
                        }
                    }
                    overlay(&mut bytes, *at, new);
                }
                Edit::Publish => file.sync_all().unwrap(),
                Edit::Compact => {}
            }
        }
        drop(file);
        self.model.push(key, Arc::new(bytes), tag, meta);
    }

    /// Both doors show what the model shows; all bytes of all versions when `whole` is asked for.
    fn compare(&mut self, seed: usize, whole: bool) {
        self.compare_versions([1000, 7, 40][seed % 3]);
        let (prefix, delimiter) =
            (["", "a", "a/", "-", "a/a"][seed % 5], [None, Some("/"), Some("a"), Some("-")][seed % 4]);
        let list =
            json!({ "prefix": prefix, "delimiter": delimiter, "size": 1 + seed % 6, "second": seed.is_multiple_of(2) });
        assert_eq!(self.acts.act("list_", list), json!(self.model.list(prefix, delimiter)), "{prefix:?} {delimiter:?}");
        self.compare_names("");
        let keys: Vec<_> = if whole { KEYS.to_vec() } else { vec![KEYS[seed % KEYS.len()]] };
        for key in keys {
            self.compare_bytes(key, whole);
        }
    }

    fn compare_versions(&mut self, page: usize) {
        let told = self.acts.act("versions", json!({ "size": page }));
        let rows = |kind: &str| told[kind].as_array().unwrap().clone();
        let (versions, markers) = (rows("versions"), rows("markers"));
        fn row(row: &Value) -> Row<'_> {
            let size = row.get(3).map_or(0, |size| size.as_u64().unwrap());
            (row[0].as_str().unwrap(), row[1] == "null", row[2].as_bool().unwrap(), size)
        }
        let meant = |marker: bool| {
            let all = self.model.keys.iter().flat_map(|(key, stack)| {
                stack.versions.iter().enumerate().map(move |(n, version)| (key.as_str(), n == 0, version))
            });
            let of_kind = all.filter(move |(.., version)| version.marker == marker);
            of_kind.map(|(key, latest, version)| (key, version.null, latest, version.bytes.len() as u64))
        };
        assert_eq!(versions.iter().map(row).collect::<Vec<_>>(), meant(false).collect::<Vec<_>>());
        assert_eq!(markers.iter().map(row).collect::<Vec<_>>(), meant(true).collect::<Vec<_>>());
    }

    /// A directory of the mount and those in it have the model's names.
    fn compare_names(&self, prefix: &str) {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(self.path(prefix)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            match name.as_str() {
                // The bytes of the directory's own object.
                ".@self" => assert!(!self.model.current(prefix).unwrap().bytes.is_empty(), "{prefix}"),
                ".@empty" => drop(found.insert("/".to_owned())),
                _ if entry.file_type().unwrap().is_dir() => drop(found.insert(format!("{name}/"))),
                _ => drop(found.insert(name.strip_prefix(".@obj:").unwrap_or(&name).to_owned())),
            }
        }
        assert_eq!(found, self.model.entries(prefix), "in {prefix:?}");
        for dir in found.iter().filter(|name| name.ends_with('/')) {
            self.compare_names(&format!("{prefix}{dir}"));
        }
    }

    fn compare_bytes(&mut self, key: &str, whole: bool) {
        let current = self.model.current(key).cloned();
        let path = self.path(key);
        if let (false, Some(version)) = (key.ends_with('/'), &current) {
            assert!(fs::read(&path).unwrap() == **version.bytes, "{key} has other bytes on the mount");
            let meta = xattr::get(&path, "user.s3.meta.meta").unwrap();
            assert_eq!(meta.as_deref(), version.meta.as_deref().map(str::as_bytes), "{key}");
        }
        if current.is_none() {
            let shown = if key.ends_with('/') { path.is_dir() } else { fs::symlink_metadata(&path).is_ok() };
            assert!(!shown || self.model.has_dir(key), "{key} is on the mount");
        }
        self.compare_answer(key, None, current);
        let count = if whole { self.model.keys.get(key).map_or(0, |stack| stack.versions.len()) } else { 0 };
        for at in 0..count {
            let (id, version) = (self.id(key, at), self.model.keys[key].versions[at].clone());
            self.compare_answer(key, Some(&id), Some(version).filter(|version| !version.marker));
        }
    }

    fn compare_answer(&mut self, key: &str, id: Option<&str>, meant: Option<Version>) {
        match (self.acts.ask("get", json!({ "key": key, "version": id })), meant) {
            (Ok(told), Some(version)) => {
                assert!(bytes_of(&told["body"]) == **version.bytes, "{key} {id:?} has other bytes over S3");
                assert_eq!(
                    (told["tag"].as_str(), told["meta"].as_str()),
                    (version.tag.as_deref(), version.meta.as_deref()),
                    "{key} {id:?}"
                );
            }
            (Err(code), None) => {
                let meant = if id.is_some() { "MethodNotAllowed" } else { "NoSuchKey" };
                assert_eq!(code, meant, "{key} {id:?}");
            }
            (told, meant) => panic!("{key} {id:?}: {} instead of {}", told.is_ok(), meant.is_some()),
        }
    }
}

#[test]
fn gen_1_random_histories_through_both_doors_show_what_the_model_shows() {
    let (histories, steps) = if long() { (40, 600) } else { (1, 400) };
    let first = seed();
    for seed in first..first + histories {
        println!("KEYFOLD_SEED={seed}");
        let mut world = World::new();
        for (n, op) in stream(seed).take(steps).enumerate() {
            println!("{n}: {op:?}");
            world.step(&op);
            world.compare(n, n % 40 == 39);
        }
        world.compare(0, true);
        world.mounted.fsck();
    }
}
