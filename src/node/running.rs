//! The process that owns a store: its mounts, and what the command line asks of it.

use super::alone::file_name;
use super::endpoint::{Endpoint, Served};
use super::mounted::Mounted;
use super::plan::{Plan, check_options};
use super::settings;
use crate::config::EndpointSettings;
use crate::control::{ActRow, Host, MountRow, Spot, Waiting};
use crate::daemon::{Worker, aging, lifecycle, scrub, zones};
use crate::model::{Bucket, Error, Kind, Result};
use crate::store::Store;
use crate::sys::clock::SystemClock;
use crate::telemetry::Metrics;
use parking_lot::Mutex;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a mount may take to end that nobody should use any more.
const LET_GO: Duration = Duration::from_secs(5);
/// How long requests over HTTP may take to end with the process.
const DRAIN: Duration = Duration::from_secs(10);
/// Both when another process waits to serve the store.
const HURRIED: Duration = Duration::from_millis(100);

/// The mounts of a process.
#[derive(Default)]
struct Mounts {
    /// Also those that are being unmounted, until they are over.
    all: Vec<Arc<Mounted>>,
    /// How many are being made.
    starting: usize,
}

/// A running node.
pub(super) struct Node {
    pub(super) store: Arc<Store>,
    metrics: Arc<Metrics>,
    mounts: Mutex<Mounts>,
    /// The endpoints of the process itself; those of mounts end with them.
    endpoints: Mutex<Vec<Endpoint>>,
    /// What goes on in the background; ends before the store closes.
    workers: Mutex<Vec<Worker>>,
    stopping: Arc<AtomicBool>,
    waiting: Waiting,
    /// Somebody waits to take over: users of the mounts are given little time.
    hurry: AtomicBool,
    /// Wakes the loop when there may be a reason to end.
    pub(super) changed: Notify,
    /// Connections of callers that wait for the end of the process: they close with it.
    parting: Mutex<Vec<UnixStream>>,
}

impl Node {
    pub(super) fn new(store: Arc<Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            metrics: Arc::new(Metrics::new()),
            mounts: Mutex::default(),
            endpoints: Mutex::default(),
            workers: Mutex::default(),
            stopping: Arc::default(),
            waiting: Waiting::default(),
            hurry: AtomicBool::new(false),
            changed: Notify::new(),
            parting: Mutex::default(),
        })
    }

    /// Mounts, unless the process is ending.
    pub(super) fn add(self: &Arc<Self>, plan: &Plan) -> Result<MountRow> {
        let mut settings = check_options(&plan.options)?;
        settings.read_only |= self.store.is_read_only();
        let ending = || Error::new(Kind::StoreBusy, "cannot mount the store").why("its process is ending");
        {
            let mut mounts = self.mounts.lock();
            if self.stopping.load(Ordering::SeqCst) {
                return Err(ending());
            }
            mounts.starting += 1;
        }
        let node = Arc::downgrade(self);
        let woken = move || {
            if let Some(node) = node.upgrade() {
                node.changed.notify_one();
            }
        };
        let started = Mounted::start(&self.store, &self.metrics, plan, settings, &self.stopping, woken);
        let mut mounts = self.mounts.lock();
        mounts.starting -= 1;
        let mounted = match started {
            Ok(mounted) => Arc::new(mounted),
            Err(error) => {
                self.end_with_the_last(&mounts);
                return Err(error);
            }
        };
        if self.stopping.load(Ordering::SeqCst) {
            // Nobody looks for it any more.
            drop(mounts);
            self.take_away(&[mounted]);
            return Err(ending());
        }
        let row = mounted.row();
        tracing::info!(mountpoint = %row.mountpoint.display(), bucket = row.bucket, "mounted");
        mounts.all.push(mounted);
        Ok(row)
    }

    /// Serves S3 for as long as the process runs, whether there are mounts or not.
    pub(super) fn serve_s3(&self, settings: &EndpointSettings) -> Result<Served> {
        let endpoint = Endpoint::start(&self.store, &self.metrics, settings, &self.stopping)?;
        let served = endpoint.served();
        self.endpoints.lock().push(endpoint);
        Ok(served)
    }

    /// Ends all endpoints; requests that run may end first.
    pub(super) fn end_endpoints(&self) {
        let grace = if self.hurry.load(Ordering::SeqCst) { HURRIED } else { DRAIN };
        let of_mounts: Vec<_> = self.mounts.lock().all.iter().filter_map(|mounted| mounted.take_endpoint()).collect();
        let own = std::mem::take(&mut *self.endpoints.lock());
        for mut endpoint in own.into_iter().chain(of_mounts) {
            endpoint.end(grace);
        }
    }

    /// Takes out the mounts that somebody unmounted, and ends with the last.
    pub(super) fn reap(&self) {
        let over: Vec<_> = {
            let mut mounts = self.mounts.lock();
            let over: Vec<_> = mounts.all.extract_if(.., |mounted| mounted.is_over()).collect();
            if !over.is_empty() {
                self.end_with_the_last(&mounts);
            }
            over
        };
        over.iter().for_each(|mounted| finish(mounted));
    }

    /// Begins to end the process when it serves nothing any more, and makes no mount.
    fn end_with_the_last(&self, mounts: &Mounts) {
        if mounts.all.is_empty() && mounts.starting == 0 && self.endpoints.lock().is_empty() {
            self.begin_to_stop();
        }
    }

    /// Begins what goes on in the background.
    pub(super) fn begin_work(&self) {
        match scrub::start(&self.store, Arc::new(SystemClock)) {
            Ok(worker) => self.workers.lock().extend(worker),
            Err(error) => tracing::error!(%error, "scrub does not run in the background"),
        }
        match lifecycle::start(&self.store, Arc::new(SystemClock)) {
            Ok(worker) => self.workers.lock().extend(worker),
            Err(error) => tracing::error!(%error, "lifecycle rules are not obeyed in the background"),
        }
        match aging::start(&self.store, Arc::new(SystemClock)) {
            Ok(worker) => self.workers.lock().extend(worker),
            Err(error) => tracing::error!(%error, "nothing of what comes due is told of"),
        }
        match zones::start(&self.store, Arc::new(SystemClock)) {
            Ok(workers) => self.workers.lock().extend(workers),
            Err(error) => tracing::error!(%error, "nobody looks after the zones"),
        }
    }

    /// Ends it.
    pub(super) fn end_work(&self) {
        drop(std::mem::take(&mut *self.workers.lock()));
        if let Err(error) = self.store.keep_scrub(true) {
            tracing::warn!(%error, "the next process does not know how far scrub has come");
        }
        if let Err(error) = self.store.keep_lifecycle(true) {
            tracing::warn!(%error, "the next process judges again what this one has judged");
        }
    }

    /// What a mount has to do from time to time.
    pub(super) fn tick(&self) {
        let all: Vec<_> = self.mounts.lock().all.iter().map(|mounted| Arc::clone(&mounted.vfs)).collect();
        for vfs in all {
            vfs.tick(self.store.now());
        }
    }

    /// Ends mounts that left the tree and have a request that waits for a disk that does not answer: nobody is to hang
    /// in a mount that is gone. Waits for nothing.
    pub(super) fn let_go_of_stuck(&self) {
        for mounted in self.mounts.lock().all.iter().filter(|mounted| mounted.is_detached() && mounted.is_stuck(LET_GO))
        {
            tracing::warn!(mountpoint = %mounted.mountpoint.display(), "the disk does not answer, and its users lose it");
            mounted.abort();
        }
    }

    /// Unmounts everything.
    pub(super) fn end_mounts(&self) {
        let all = std::mem::take(&mut self.mounts.lock().all);
        self.take_away(&all);
    }

    /// Unmounts: quietly when that goes, lazily when files are open; who still uses a mount after a moment loses it. Then
    /// waits for the disk to take what is open.
    fn take_away(&self, all: &[Arc<Mounted>]) {
        for mounted in all {
            if let Err(error) = mounted.end(true) {
                tracing::error!(mountpoint = %mounted.mountpoint.display(), %error, "cannot unmount");
            }
        }
        let end = Instant::now() + if self.hurry.load(Ordering::SeqCst) { HURRIED } else { LET_GO };
        for mounted in all {
            if !mounted.settle(end.saturating_duration_since(Instant::now())) {
                tracing::warn!(mountpoint = %mounted.mountpoint.display(), "still in use, and its users lose it");
                if !mounted.abort() {
                    mounted.vfs.publish_all();
                    continue;
                }
            }
            finish(mounted);
        }
    }

    /// Keeps a caller's connection until the process ends.
    pub(super) fn part(&self, stream: UnixStream) {
        self.parting.lock().push(stream);
    }

    /// Begins to end the process.
    pub(super) fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        // What they hold, the end may wait for.
        self.store.end_checks();
        self.changed.notify_one();
    }
}

fn finish(mounted: &Mounted) {
    let mountpoint = mounted.mountpoint.display();
    match mounted.join() {
        Some(Ok(())) => tracing::info!(%mountpoint, "unmounted"),
        Some(Err(error)) => tracing::error!(%mountpoint, %error, "the mount did not end well"),
        None => {}
    }
}

impl Host for Arc<Node> {
    fn locate(&self, device: &str, path: &str) -> Result<Spot> {
        let found =
            self.mounts.lock().all.iter().find(|mounted| mounted.device.as_deref() == Some(device)).map(|mounted| {
                let bucket = mounted.settings.bucket.as_ref();
                (bucket.map(|(name, prefix)| (name.to_string(), prefix.clone())), mounted.settings.reserved.clone())
            });
        let Some((root, reserved)) = found else {
            return Err(Error::new(Kind::StoreUnavailable, format!("cannot find {path} in the store"))
                .why("its mount is not one of the process that owns the store")
                .mend("name the object as bucket/key with --store"));
        };
        super::path::locate(&self.store, root.as_ref(), &reserved, path)
    }

    fn file_name(&self, component: &str, shadowed: bool, at_root: bool) -> String {
        file_name(component, shadowed, at_root)
    }

    fn setting(&self, store: &Store, bucket: &Bucket, setting: &str) -> Result<Option<String>> {
        Ok(settings::document(setting)?.read(store, bucket))
    }

    fn change_setting(&self, store: &Store, bucket: &Bucket, setting: &str, text: Option<&str>) -> Result<()> {
        settings::change(store, bucket, setting, text)
    }

    fn mounts(&self) -> Vec<MountRow> {
        self.mounts.lock().all.iter().filter(|mounted| !mounted.is_detached()).map(|mounted| mounted.row()).collect()
    }

    fn mount(&self, mountpoint: &Path, options: &[String]) -> Result<MountRow> {
        let plan = Plan::new(self.store.dir(), mountpoint, options.to_vec(), None)?;
        if plan.descriptor().is_some() {
            return Err(Error::new(Kind::Unsupported, "cannot mount by a descriptor")
                .why(format!("process {} owns the store, and the descriptor is not its own", std::process::id()))
                .mend("end that process first, or mount at a directory"));
        }
        Node::add(self, &plan)
    }

    fn unmount(&self, mountpoint: &Path, lazy: bool) -> Result<ActRow> {
        let is_it = |mounted: &&Arc<Mounted>| mounted.mountpoint == mountpoint && !mounted.is_detached();
        // It stays among the others: the process may end meanwhile, and then ends it.
        let mounted = self.mounts.lock().all.iter().rfind(is_it).cloned().ok_or_else(|| {
            Error::new(Kind::NotSet, format!("cannot unmount {}", mountpoint.display()))
                .why("the process that owns the store has no mount there")
                .mend("`keyfold status` lists the mounts")
        })?;
        mounted.end(lazy)?;
        let over = mounted.settle(if lazy { LET_GO / 10 } else { LET_GO });
        if over {
            finish(&mounted);
        } else {
            // Whoever is still in it is served until the last one leaves.
            tracing::info!(mountpoint = %mountpoint.display(), "detached, still in use");
        }
        let mut mounts = self.mounts.lock();
        mounts.all.retain(|one| !(over && Arc::ptr_eq(one, &mounted)));
        self.end_with_the_last(&mounts);
        drop(mounts);
        Ok(ActRow { act: "unmounted".to_owned(), on: mountpoint.display().to_string(), ..ActRow::default() })
    }

    fn hand_over(&self) -> Result<Vec<MountRow>> {
        let all: Vec<_> = self.mounts.lock().all.iter().map(|mounted| Arc::clone(&mounted.vfs)).collect();
        all.iter().for_each(|vfs| vfs.publish_all());
        self.store.sync()?;
        let mounts = self.mounts();
        tracing::info!("another process takes over");
        self.hurry.store(true, Ordering::SeqCst);
        self.begin_to_stop();
        Ok(mounts)
    }

    fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
