//! One run of the workload, each step judged against the model.

use super::fault::{Disk, copy_tree};
use crate::engine::calls::{self, unseen};
use crate::engine::compare::differs;
use crate::engine::harness::{B, all_versions, data_segments, fsck, key, reap};
use crate::engine::model::Bucket;
use keyfold::model::{Error, Kind, Result, VersionId};
use keyfold::store::{Condition, Options, PutOptions, Store};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a disk that has room again may be refused.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Run {
    pub store: Option<Arc<Store>>,
    pub model: Bucket,
    /// What a crash may leave: the model after each commit since one was known to be durable.
    pub past: Vec<Bucket>,
    /// The disk and the error it gives.
    pub disk: Option<(Arc<Disk>, i32)>,
    /// The store when the first step had met the fault, and what it may show.
    pub image: Option<(tempfile::TempDir, Vec<Bucket>)>,
    /// Steps that were told of the fault itself.
    pub told: u32,
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(store) = self.store.take() {
            store.abandon();
        }
    }
}

impl Run {
    /// `store` is `None` where it could not be opened.
    pub fn new(store: Option<Arc<Store>>, model: Bucket, past: Vec<Bucket>) -> Self {
        Self { store, model, past, disk: None, image: None, told: 0 }
    }

    /// Does one thing. If it says so, it must show, and be durable if that was promised; if not, all of it shows or
    /// nothing.
    pub fn step<T>(
        &mut self,
        name: &str,
        durable: bool,
        act: impl FnOnce(&Arc<Store>) -> Result<T>,
        change: impl FnOnce(&mut Bucket),
    ) -> Option<T> {
        let store = Arc::clone(self.store.as_ref()?);
        let done = act(&store);
        let mut after = self.model.clone();
        change(&mut after);
        unseen(|| {
            let shown = differs(&store, &after, 64 << 10);
            match (&done, shown) {
                (Ok(_), None) => self.model = after,
                (Ok(_), Some(why)) => panic!("{name} was done, and does not show: {why}"),
                (Err(_), None) => self.model = after,
                (Err(error), Some(_)) => {
                    if let Some(why) = differs(&store, &self.model, 64 << 10) {
                        panic!("{name} failed ({error}) and was done by half: {why}");
                    }
                }
            }
            match &done {
                Ok(_) if durable => self.past = vec![self.model.clone()],
                _ => self.past.push(self.model.clone()),
            }
            if let Err(error) = &done {
                self.judge(name, &store, error);
            }
            self.keep_image();
        });
        done.ok()
    }

    /// An error says what the disk said, or that the store takes no changes, which its status says too.
    fn judge(&mut self, name: &str, store: &Store, error: &Error) {
        let Some((disk, errno)) = &self.disk else { panic!("{name}: {error}") };
        let stopped = store.status().unwrap().read_only;
        match error.kind() {
            Kind::ReadOnly => assert!(stopped.is_some(), "{name}: {error}, but the status does not say so"),
            Kind::Full => {
                assert_eq!(*errno, nix::libc::ENOSPC, "{name}: {error}");
                let frees = name.starts_with("delete") || name.starts_with("purge");
                assert!(!frees || disk.kind != calls::Kind::Allocate, "{name} takes room ahead: {error}");
            }
            // RocksDB does not say what a sync of its own threads has met.
            Kind::Io => assert!(*errno == nix::libc::EIO || disk.is_final(), "{name}: {error}"),
            other => panic!("{name}: {other:?}: {error}"),
        }
        self.told += u32::from(error.kind() != Kind::ReadOnly);
    }

    fn keep_image(&mut self) {
        let Some((disk, _)) = &self.disk else { return };
        if self.image.is_none() && disk.was_hit() {
            let to = super::scratch();
            disk.image(to.path()).unwrap();
            self.image = Some((to, self.past.clone()));
        }
    }

    /// Ids of the versions of a key, newest first.
    pub fn versions(&self, name: &str) -> Vec<VersionId> {
        let Some(store) = &self.store else { return Vec::new() };
        let all = unseen(|| all_versions(store, B, 1000));
        all.into_iter().filter(|entry| entry.key == name).map(|entry| entry.object.version).collect()
    }

    /// The disk is well again: the store takes changes, or says that it does not.
    pub fn serves_again(&mut self) {
        let (Some(store), Some((disk, errno))) = (self.store.clone(), &self.disk) else { return };
        let recovers = *errno == nix::libc::ENOSPC && !disk.is_final();
        let put = || store.put(B, &key("again"), &mut &b"x"[..], &PutOptions::default());
        let since = Instant::now();
        let mut failures = Vec::new();
        while let Err(error) = put() {
            if error.kind() == Kind::ReadOnly {
                let status = store.status().unwrap();
                assert!(status.read_only.is_some(), "{error}");
                assert!(!store.complaints(None).is_empty(), "nobody is told why: {error}");
                assert!(!recovers, "it stays read-only after a full disk: {error}");
                break;
            }
            failures.push(error.to_string());
            assert!(
                since.elapsed() < PATIENCE,
                "{} s after the disk is well changes still fail, and the store does not say that it is read-only: {error}",
                PATIENCE.as_secs()
            );
            assert!(*errno == nix::libc::ENOSPC || failures.len() < 3, "it does not stop failing: {failures:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        // Attempts that failed may have made versions.
        for _ in self.versions("again") {
            self.model.push("again", Arc::new(b"x".to_vec()), None, None);
            self.past.push(self.model.clone());
        }
    }

    /// Closes the store; what it was asked is durable then, unless it had taken no more changes or says otherwise.
    pub fn close(&mut self) {
        let Some(store) = self.store.take() else { return };
        let serves = store.status().unwrap().read_only.is_none();
        if store.close().is_ok() && serves {
            self.past = vec![self.model.clone()];
        }
    }
}

/// Opens a store after whatever happened: it shows one of the states it may, everything in it is sound, and when all is
/// deleted, all room comes back.
pub fn reopens(dir: &Path, options: &Options, allowed: &[Bucket], what: &str) {
    let store = Store::open(dir, options.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found: Vec<_> = allowed.iter().rev().map_while(|model| differs(&store, model, usize::MAX)).collect();
    let lost = found.len() == allowed.len();
    let findings = store.fsck(&mut |_| {});
    let room =
        if lost || findings.as_ref().is_ok_and(|found| !found.is_empty()) { None } else { Some(empties(&store)) };
    store.close().unwrap();
    drop(store);
    assert!(!lost, "{what}: it shows none of {} states; from the last one it differs: {}", allowed.len(), found[0]);
    let findings = findings.unwrap();
    assert!(findings.is_empty(), "{what}: {findings:#?}");
    assert_eq!(room, Some(None), "{what}: room does not come back");
}

/// Deletes everything; what of the log's files stays.
fn empties(store: &Arc<Store>) -> Option<String> {
    for upload in store.uploads(B).unwrap() {
        store.abort_upload(upload.id).unwrap();
    }
    for entry in all_versions(store, B, 1000) {
        let object = keyfold::model::ObjectKey::parse(&entry.key).unwrap();
        store.delete(B, &object, Some(entry.object.version), Condition::Always).unwrap();
    }
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        reap(store);
        let status = store.status().unwrap();
        let segments = data_segments(store);
        if segments <= 1 && status.solos == 0 {
            fsck(store);
            return None;
        }
        if Instant::now() > until {
            return Some(format!("{segments} segments, {} files of their own", status.solos));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A copy of a template store.
pub fn copied(template: &Path) -> tempfile::TempDir {
    let to = super::scratch();
    copy_tree(template, to.path(), &|_, _| Ok(())).unwrap();
    to
}
