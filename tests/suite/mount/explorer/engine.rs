//! What has no way in through the mount: puts, uploads in parts, copies and deletions as S3 asks for them, in a store
//! that this process opens on the recorded disk. Two buckets at once, so that rounds are shared.

use super::super::pattern;
use super::disk::Disk;
use super::image::{Chance, Image};
use super::judge::{History, Step, Track, options};
use super::run::write_back;
use super::state::{State, of_store};
use keyfold::model::{BucketName, FileKind, ObjectKey, Posix, Timestamp, Versioning};
use keyfold::store::{
    CompleteOptions, CompletePart, Condition, CopyOptions, ListVersions, PartInfo, Promise, PutOptions, Store,
    UploadOptions,
};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const BUCKETS: [&str; 2] = ["plain", "versioned"];

/// Changes of a store by two threads; each is durable when it returns.
pub fn record(seed: u64, changes: usize) -> History {
    let disk = Disk::new(None, true);
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("store");
    fs::create_dir(&at).unwrap();
    let _unmounting = disk.mount_for_now(&at);
    let mut options = options();
    // The index's log changes often.
    options.settings.memtable_bytes = 64 << 10;
    Store::init(&at, &options).unwrap();
    let store = Store::open(&at, options).unwrap();
    for (bucket, versioning) in BUCKETS.into_iter().zip([Versioning::Unversioned, Versioning::Enabled]) {
        let posix = Posix::new(FileKind::Directory, 0o755, 0, 0, Timestamp::new(1, 0));
        store.create_bucket(&BucketName::parse(bucket).unwrap(), &posix).unwrap();
        if versioning != Versioning::Unversioned {
            store.set_versioning(bucket, versioning).unwrap();
        }
    }
    let start = disk.position();
    let done = AtomicBool::new(false);
    let change = |bucket: &'static str, seed: u64| {
        let mut chance = Chance::new(seed);
        let mut track = Track { bucket, before: State::new(), steps: vec![] };
        for number in 0..changes {
            let begun = disk.position();
            let what = one(&store, bucket, &mut chance, seed + number as u64);
            let durable = Some(disk.position());
            let what = format!("{bucket}: {number}. {what}");
            track.steps.push(Step { what, begun, durable, after: of_store(&store, bucket).unwrap() });
        }
        track
    };
    let tracks = std::thread::scope(|scope| {
        scope.spawn(|| write_back(&at, seed, &done));
        let threads = BUCKETS.map(|bucket| scope.spawn(move || change(bucket, seed + 7 * bucket.len() as u64)));
        let tracks = threads.map(std::thread::ScopedJoinHandle::join);
        done.store(true, Ordering::Relaxed);
        tracks.into_iter().map(|track| track.unwrap()).collect()
    });
    store.close().unwrap();
    drop(store);
    let log = disk.log();
    History { log, image: Image::default(), journal: true, made: 0, start, tracks }
}

fn put(store: &Arc<Store>, bucket: &str, key: &ObjectKey, bytes: &[u8]) {
    store.put(bucket, key, &mut &bytes[..], &PutOptions::default()).unwrap();
}

/// One change of one of a few keys; what it was.
fn one(store: &Arc<Store>, bucket: &str, chance: &mut Chance, seed: u64) -> String {
    let mut key = || ObjectKey::parse(["a", "b", "d/c", "d/e/f"][chance.below(4)]).unwrap();
    let (from, key) = (key(), key());
    let old = store.get(bucket, &from, None);
    let what = match (chance.below(14), old) {
        (0, Ok(old)) => {
            store.copy(&old, bucket, &key, &CopyOptions::default()).unwrap();
            "copy to"
        }
        (1 | 2, _) => {
            store.delete(bucket, &key, None, Condition::Always).unwrap();
            "delete"
        }
        (3, _) => {
            let request = ListVersions { limit: 1000, ..ListVersions::default() };
            let page = store.list_versions(bucket, &request).unwrap();
            if let Some(entry) = page.versions.first() {
                let key = ObjectKey::parse(&entry.key).unwrap();
                store.delete(bucket, &key, Some(entry.object.version), Condition::Always).unwrap();
            }
            "delete the newest version of the first key, not of"
        }
        (4 | 5, _) => {
            upload(store, bucket, &key, seed, chance.below(4) == 0);
            "upload"
        }
        (6, _) => {
            put(store, bucket, &key, &pattern(seed, 300_000));
            "put 300 kB to"
        }
        (7, _) if chance.below(3) == 0 => {
            put(store, bucket, &key, &pattern(seed, 5 << 20));
            "put 5 MiB to"
        }
        (8..=11, _) => {
            put(store, bucket, &key, &pattern(seed, 4000));
            "put 4 kB to"
        }
        _ => {
            put(store, bucket, &key, &pattern(seed, 20_000));
            "put 20 kB to"
        }
    };
    format!("{what} {}", key.as_str())
}

/// An upload from begin to end, in two parts when `large`. What is not completed is not seen.
fn upload(store: &Arc<Store>, bucket: &str, key: &ObjectKey, seed: u64, large: bool) {
    let id = store.create_upload(bucket, key, &UploadOptions::default()).unwrap();
    let part = |number: u32, len: usize| {
        let bytes = pattern(seed + u64::from(number), len);
        let PartInfo { number, etag, .. } = store.put_part(id, number, &mut &bytes[..], &Promise::default()).unwrap();
        CompletePart { number, etag, sum: None }
    };
    let mut parts = if large { vec![part(1, 5 << 20)] } else { vec![] };
    parts.push(part(2, 30_000));
    store.complete_upload(bucket, id, &parts, &CompleteOptions::default()).unwrap();
}
