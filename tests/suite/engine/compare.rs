//! Comparing what the store shows with what the model shows, through every door the engine has.

use super::harness::{B, all_versions, fsck, list, read};
use super::machine::World;
use super::model::{Bucket, Version};
use super::ops::Op;
use keyfold::crypto::Summer;
use keyfold::model::{Metadata, Object, ObjectSum, TagSet, Usage, VersionId};
use keyfold::store::{Entry, Store};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// The newest of `models` that the store shows after a crash. Files of which nothing was published are gone then, as
/// those of a dead process.
pub fn shown_of(store: &Arc<Store>, models: &[Bucket]) -> Option<Bucket> {
    models.iter().rev().map(Bucket::without_drafts).find(|model| shows(store, model))
}

fn shows(store: &Arc<Store>, model: &Bucket) -> bool {
    // Overwritten in place without versions, a file differs in its bytes alone.
    differs(store, model, usize::MAX).is_none() && list(store, B, "", None, 1000) == model.list("", None) && {
        let mut drafts = BTreeSet::new();
        walk(store, "", &mut |key, entry| {
            drafts.extend(matches!(entry, Entry::File(file) if file.draft).then(|| key.to_owned()));
        });
        drafts == model.drafts
    }
}

/// In what the store differs from the model. Bytes are compared of versions up to `most` long.
pub fn differs(store: &Arc<Store>, model: &Bucket, most: usize) -> Option<String> {
    let shown = all_versions(store, B, 1000);
    let told: Vec<_> = shown.iter().map(|entry| (entry.key.as_str(), describe(&entry.object))).collect();
    let versions = || model.keys.iter().flat_map(|(key, stack)| stack.versions.iter().map(move |v| (key.as_str(), v)));
    let meant: Vec<_> = versions().map(|(key, version)| (key, outline(version))).collect();
    if told != meant {
        let odd = |one: &Vec<(_, _)>, other: &Vec<(_, _)>| -> Vec<String> {
            one.iter().filter(|entry| !other.contains(entry)).map(|entry| format!("{entry:?}")).collect()
        };
        return Some(format!(
            "shown and not meant {:?}, meant and not shown {:?}",
            odd(&told, &meant),
            odd(&meant, &told)
        ));
    }
    shown.iter().zip(versions()).filter(|(_, (_, version))| !version.marker && version.bytes.len() <= most).find_map(
        |(entry, (key, version))| match read(store, &entry.object) {
            Ok(bytes) if bytes == **version.bytes && has_its_sum(store, &entry.object, &bytes) => None,
            Ok(bytes) if bytes == **version.bytes => Some(format!("{key} has another's checksum")),
            Ok(_) => Some(format!("{key} has other bytes")),
            Err(error) => Some(format!("{key}: {error}")),
        },
    )
}

/// Whether what is kept of a version's checksum is that of its bytes (SUM-8).
fn has_its_sum(store: &Store, object: &Object, bytes: &[u8]) -> bool {
    let sum = store.sums(object).unwrap().sum;
    sum.is_none_or(|sum| sum == ObjectSum::whole(Summer::of(sum.sum.algorithm(), bytes)))
}

fn walk(store: &Store, prefix: &str, visit: &mut dyn FnMut(&str, &Entry)) {
    let bucket = store.bucket(B).unwrap();
    let dir = store.resolve_dir(&bucket, prefix).unwrap().unwrap();
    for (name, entry) in store.entries(dir, None, 1000).unwrap() {
        let full = format!("{prefix}{name}");
        visit(&full, &entry);
        if name.ends_with('/') {
            walk(store, &full, visit);
        }
    }
}

impl World {
    pub fn compare(&self, seed: usize) {
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
        walk(&self.store, "", &mut |key, _| {
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
        let bucket = self.store.bucket(B).unwrap();
        assert_eq!(self.store.usage(bucket.id).unwrap(), usage);
        let sum = self.store.sum_below(bucket.root).unwrap().unwrap();
        assert_eq!(
            (sum.entries, sum.bytes, sum.noncurrent_bytes),
            (usage.objects, usage.bytes, usage.noncurrent_bytes)
        );
        for prefix in names.iter().filter(|name| name.ends_with('/')) {
            let below = self
                .model
                .keys
                .iter()
                .filter(|(key, stack)| stack.live && key.starts_with(prefix.as_str()) && key.len() > prefix.len());
            let meant = below.fold((0, 0), |(entries, bytes), (_, stack)| {
                (entries + 1, bytes + stack.versions[0].bytes.len() as i64)
            });
            let dir = self.store.resolve_dir(&bucket, prefix).unwrap().unwrap();
            let sum = self.store.sum_below(dir).unwrap().unwrap();
            assert_eq!((sum.entries, sum.bytes), meant, "below {prefix:?}");
        }
    }

    pub fn finish(mut self) {
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

pub fn tags(value: Option<&str>) -> TagSet {
    let mut tags = TagSet::new();
    value.into_iter().for_each(|value| tags.set("tag", value).unwrap());
    tags
}

pub fn meta(value: Option<&str>) -> Metadata {
    let mut meta = Metadata::default();
    value.into_iter().for_each(|value| meta.set_user("meta", value).unwrap());
    meta
}
