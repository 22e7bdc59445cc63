//! The reference: a bucket as a map from whole keys to stacks of versions. Slow, flat and obviously right.

use keyfold::model::Versioning::{self, Enabled, Suspended, Unversioned};
use keyfold::store::RenameHow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, PartialEq, Debug)]
pub struct Version {
    pub seq: u64,
    pub null: bool,
    pub marker: bool,
    pub bytes: Arc<Vec<u8>>,
    pub tag: Option<String>,
    pub meta: Option<String>,
}

/// Newest first; the first one is current when `live`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Stack {
    pub live: bool,
    pub versions: Vec<Version>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Bucket {
    pub versioning: Versioning,
    pub keys: BTreeMap<String, Stack>,
    /// Files created on the mount and not published.
    pub drafts: BTreeSet<String>,
    seq: u64,
}

/// A key's parent prefix and component.
pub fn split(key: &str) -> (&str, &str) {
    let cut = key.trim_end_matches('/').rfind('/').map_or(0, |at| at + 1);
    // `a//` is the nameless directory inside `a/`.
    let cut = if key.ends_with("//") { key.len() - 1 } else { cut };
    key.split_at(cut)
}

impl Bucket {
    pub fn new() -> Self {
        Self { versioning: Unversioned, keys: BTreeMap::new(), drafts: BTreeSet::new(), seq: 0 }
    }

    pub fn without_drafts(&self) -> Self {
        Self { drafts: BTreeSet::new(), ..self.clone() }
    }

    fn next(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// The current version.
    pub fn current(&self, key: &str) -> Option<&Version> {
        self.keys.get(key).filter(|stack| stack.live).map(|stack| &stack.versions[0])
    }

    fn stack(&mut self, key: &str) -> &mut Stack {
        self.keys.entry(key.to_owned()).or_default()
    }

    fn tidy(&mut self) {
        self.keys.retain(|_, stack| !stack.versions.is_empty());
    }

    /// A new version on top (VER-4, VER-6).
    pub fn push(&mut self, key: &str, bytes: Arc<Vec<u8>>, tag: Option<String>, meta: Option<String>) {
        let (seq, null) = (self.next(), self.versioning != Enabled);
        self.drafts.remove(key);
        let stack = self.stack(key);
        stack.versions.retain(|version| !(null && version.null));
        stack.versions.insert(0, Version { seq, null, marker: false, bytes, tag, meta });
        stack.live = true;
    }

    /// A DELETE without a version (DEL-1 to DEL-4).
    pub fn delete(&mut self, key: &str) {
        if self.versioning == Unversioned {
            self.keys.remove(key);
            return;
        }
        let (seq, null) = (self.next(), self.versioning == Suspended);
        let stack = self.stack(key);
        stack.versions.retain(|version| !(null && version.null));
        let marker = Version { seq, null, marker: true, bytes: Arc::default(), tag: None, meta: None };
        stack.versions.insert(0, marker);
        stack.live = false;
    }

    /// A DELETE of one version (DEL-5, DEL-6).
    pub fn purge(&mut self, key: &str, at: usize) {
        let stack = self.stack(key);
        stack.versions.remove(at);
        if at == 0 {
            stack.live = stack.versions.first().is_some_and(|version| !version.marker);
            if stack.live {
                self.drafts.remove(key);
            }
        }
        self.tidy();
    }

    /// The mount renames a file. Whether it can; `None` where these are no files to rename.
    pub fn rename_file(&mut self, from: &str, to: &str, how: RenameHow) -> Option<bool> {
        let exchange = how == RenameHow::Exchange;
        if from.ends_with('/') || to.ends_with('/') || self.drafts.contains(from) {
            return None;
        }
        if exchange && (self.drafts.contains(to) || from == to) {
            return None;
        }
        let there = self.current(to).is_some() || self.drafts.contains(to);
        let twin = self.has_dir(&format!("{to}/"));
        let can = self.current(from).is_some()
            && match how {
                RenameHow::Replace => !twin,
                RenameHow::NoReplace => !twin && !there,
                RenameHow::Exchange => there,
            };
        if can && exchange {
            self.swap_keys(from, to);
        } else if can {
            self.drafts.remove(to);
            if split(from).0 != split(to).0 {
                self.keep_dir_of(from);
            }
            self.rename(from, to);
        }
        Some(can)
    }

    /// The mount renames a directory. Whether it can; `None` where the model's flat keys and the store's directories do not
    /// mean the same: at places with a history.
    pub fn rename_dir(&mut self, from: &str, to: &str, how: RenameHow) -> Option<bool> {
        let exchange = how == RenameHow::Exchange;
        let below = to.starts_with(from) || from.starts_with(to);
        if !below && self.has_dir(from) && self.has_history(to) && !(exchange && self.has_dir(to)) {
            return None;
        }
        let is_file = |dir: &str| {
            let name = dir.trim_end_matches('/');
            self.current(name).is_some() || self.drafts.contains(name)
        };
        if below || (exchange && (is_file(from) || is_file(to))) {
            return None;
        }
        let can = self.has_dir(from) && if exchange { self.has_dir(to) } else { !is_file(to) };
        if can {
            if !exchange && split(from).0 != split(to).0 {
                self.keep_dir_of(from);
            }
            self.swap_prefixes(from, to);
        }
        Some(can)
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        if from == to {
            return;
        }
        if self.drafts.remove(to) {
            self.stack(to).live = false;
        }
        let seq = self.next();
        let mut moved = self.keys.remove(from).unwrap();
        let mut current = moved.versions.remove(0);
        current.seq = seq;
        let mut there = self.keys.remove(to).unwrap_or_default();
        let drops = self.versioning == Unversioned || self.versioning == Suspended;
        if there.live && drops && there.versions[0].null {
            there.versions.remove(0);
        }
        let had_null = there.versions.iter().any(|version| version.null);
        there.versions.extend(moved.versions);
        there.versions.sort_by_key(|version| std::cmp::Reverse(version.seq));
        if had_null {
            let nulls = there.versions.iter_mut().filter(|version| version.null);
            nulls.skip(1).for_each(|version| version.null = false);
        }
        if current.null && there.versions.iter().any(|version| version.null) {
            match self.versioning {
                Enabled => current.null = false,
                _ => there.versions.retain(|version| !version.null),
            }
        }
        there.versions.insert(0, current);
        there.live = true;
        self.keys.insert(to.to_owned(), there);
    }

    /// Everything below one prefix changes places with everything below another.
    fn swap_prefixes(&mut self, a: &str, b: &str) {
        let move_one = |key: String| match (key.strip_prefix(a), key.strip_prefix(b)) {
            (Some(rest), _) => format!("{b}{rest}"),
            (_, Some(rest)) => format!("{a}{rest}"),
            _ => key,
        };
        self.keys = std::mem::take(&mut self.keys).into_iter().map(|(key, stack)| (move_one(key), stack)).collect();
        self.drafts = std::mem::take(&mut self.drafts).into_iter().map(move_one).collect();
        self.lift(b);
        self.lift(a);
    }

    /// What was moved is the newest of its name, whatever comes to lie beside it later.
    fn lift(&mut self, key: &str) {
        let seq = self.next();
        if let Some(stack) = self.keys.get_mut(key).filter(|stack| stack.live) {
            stack.versions[0].seq = seq;
        }
    }

    fn swap_keys(&mut self, a: &str, b: &str) {
        let (first, second) = (self.keys.remove(a), self.keys.remove(b));
        self.keys.extend(second.map(|stack| (a.to_owned(), stack)));
        self.keys.extend(first.map(|stack| (b.to_owned(), stack)));
        self.lift(b);
        self.lift(a);
    }

    pub fn make_dir(&mut self, key: &str) {
        let versioning = self.versioning;
        if !self.keys.contains_key(key) {
            // Made on the mount and without history: `rmdir` shall leave no trace.
            self.versioning = Unversioned;
        }
        self.push(key, Arc::default(), None, None);
        self.versioning = versioning;
    }

    /// The mount takes a name away: its directory stays although nobody made it.
    pub fn keep_dir_of(&mut self, name: &str) {
        let end = name.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
        let dir = &name[..end];
        if !dir.is_empty() && self.current(dir).is_none() && self.entries(dir).len() <= 1 {
            self.make_dir(dir);
        }
    }

    pub fn remove_dir(&mut self, key: &str) {
        match self.keys.get(key) {
            Some(stack) if stack.versions.len() > 1 || !stack.versions[0].null => self.delete(key),
            _ => drop(self.keys.remove(key)),
        }
    }

    /// Live keys, in order.
    pub fn live(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(|(_, stack)| stack.live).map(|(key, _)| key.as_str())
    }

    /// Whether the mount shows the directory `prefix` (KEY-5).
    pub fn has_dir(&self, prefix: &str) -> bool {
        prefix.is_empty() || self.names().any(|key| key.starts_with(prefix))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.live().chain(self.drafts.iter().map(String::as_str))
    }

    /// Names in a directory, as components.
    pub fn entries(&self, prefix: &str) -> BTreeSet<String> {
        let below = self.names().filter_map(|key| key.strip_prefix(prefix)).filter(|rest| !rest.is_empty());
        below.map(|rest| rest.split_inclusive('/').next().unwrap().to_owned()).collect()
    }

    /// Whether the mount has something at the key's name.
    pub fn is_taken(&self, key: &str) -> bool {
        let name = key.trim_end_matches('/');
        self.current(name).is_some() || self.drafts.contains(name) || self.has_dir(&format!("{name}/"))
    }

    pub fn is_empty_dir(&self, prefix: &str) -> bool {
        self.entries(prefix).is_empty()
    }

    /// Whether anything, live or not, lies below `prefix` or has that key.
    fn has_history(&self, prefix: &str) -> bool {
        self.keys.keys().chain(&self.drafts).any(|key| key.starts_with(prefix))
    }

    /// What a listing shows (LIST-1, LIST-4, LIST-9).
    pub fn list(&self, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for key in self.live().filter(|key| key.starts_with(prefix)) {
            let end = delimiter.and_then(|d| Some(prefix.len() + key[prefix.len()..].find(d)? + d.len()));
            let shown = &key[..end.unwrap_or(key.len())];
            if out.last().is_none_or(|last| last != shown) {
                out.push(shown.to_owned());
            }
        }
        out
    }
}
