//! The life of a process that owns a store: open, mount, serve, and end in order.

use super::accept::Socket;
use super::plan::Plan;
use super::running::Node;
use crate::control::{Host, MountRow};
use crate::model::{Error, Result};
use crate::sys::process;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often mounts are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often memory is given back.
const SPARE_EVERY: Duration = Duration::from_secs(10);
/// How long callers may finish when the process ends.
const GRACE: Duration = Duration::from_secs(5);

/// Serves the plan's mount, and those that are added, until the last is gone or a signal comes. `ready` is told once
/// how the start went.
pub(super) fn serve(plan: &Plan, ready: impl FnOnce(std::result::Result<&MountRow, &Error>)) -> Result<()> {
    let begin = |node: &Arc<Node>| {
        let row = node.add(plan)?;
        for other in &plan.others {
            if let Err(error) = node.add(&plan.of(other)) {
                tracing::error!(mountpoint = %other.mountpoint.display(), %error, "cannot go on with a mount");
            }
        }
        Ok(row)
    };
    host(&plan.store, begin, ready)
}

/// Owns the store at `dir` until there is nothing to serve any more or a signal comes. `begin` starts what it serves;
/// `ready` is told once how that went.
pub(super) fn host<R>(
    dir: &Path,
    begin: impl FnOnce(&Arc<Node>) -> Result<R>,
    ready: impl FnOnce(std::result::Result<&R, &Error>),
) -> Result<()> {
    process::raise_open_files_limit();
    process::share_heaps();
    process::refuse_huge_pages();
    let served = match start(dir, begin) {
        Ok((node, runtime, parts, begun)) => {
            notify("READY=1");
            ready(Ok(&begun));
            run(&node, runtime, parts)
        }
        Err(error) => {
            ready(Err(&error));
            Err(error)
        }
    };
    super::log::flush();
    served
}

struct Parts {
    /// None for a backup on a disk that cannot be written to.
    socket: Option<Socket>,
    signals: [Signal; 3],
}

fn start<R>(dir: &Path, begin: impl FnOnce(&Arc<Node>) -> Result<R>) -> Result<(Arc<Node>, Runtime, Parts, R)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io("cannot start the runtime", error))?;
    let store = super::open::open(dir)?;
    tracing::info!(store = %dir.display(), release = env!("CARGO_PKG_VERSION"), "opened");
    let node = Node::new(store);
    let parts = runtime.block_on(async {
        // Signals from here on: one that comes while the mount is made must not leave it behind.
        let on = |kind| signal(kind).map_err(|error| Error::io("cannot listen to signals", error));
        let signals = [on(SignalKind::terminate())?, on(SignalKind::interrupt())?, on(SignalKind::hangup())?];
        let socket = match Socket::bind(&node) {
            Err(error) if node.store.is_read_only() => {
                tracing::warn!(%error, "the command line cannot ask this process");
                None
            }
            bound => Some(bound?),
        };
        Ok::<_, Error>(Parts { socket, signals })
    });
    let made = parts.and_then(|parts| Ok((parts, begin(&node)?)));
    match made {
        Ok((parts, begun)) => Ok((node, runtime, parts, begun)),
        Err(error) => {
            let _ = node.store.close();
            Err(error)
        }
    }
}

fn run(node: &Arc<Node>, runtime: Runtime, parts: Parts) -> Result<()> {
    let Parts { socket, signals: [mut terminate, mut interrupt, mut hangup] } = parts;
    node.begin_work();
    runtime.block_on(async {
        let mut ticks = tokio::time::interval(TICK);
        let mut spared = Instant::now();
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let serving = async {
            match &socket {
                Some(socket) => socket.run(node).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(serving);
        // What may wait for the disk does so aside: signals and callers are heard meanwhile.
        let (mut looking, mut reaping) = (Task::default(), Task::default());
        while !node.is_stopping() {
            tokio::select! {
                () = &mut serving => break,
                _ = terminate.recv() => node.begin_to_stop(),
                _ = interrupt.recv() => node.begin_to_stop(),
                _ = hangup.recv() => node.begin_to_stop(),
                () = node.changed.notified() => {}
                _ = ticks.tick() => {}
            }
            node.let_go_of_stuck();
            reaping.start(node, |node| node.reap());
            let spare = spared.elapsed() > SPARE_EVERY;
            if spare {
                spared = Instant::now();
            }
            looking.start(node, move |node| {
                if spare {
                    process::give_memory_back();
                }
                node.tick();
            });
        }
        tracing::info!("ending");
        notify("STOPPING=1");
        node.begin_to_stop();
        let mut ending = Task::default();
        ending.start(node, |node| {
            node.end_endpoints();
            node.end_mounts();
        });
        // It may wait for the disk, for as long as that hangs.
        let mut accepts = true;
        while let Some(task) = &mut ending.0 {
            tokio::select! {
                () = &mut serving, if accepts => accepts = false,
                _ = task => ending.0 = None,
            }
        }
    });
    node.end_work();
    // The socket goes before the lock does: whoever comes next makes its own.
    drop(socket);
    runtime.shutdown_timeout(GRACE);
    let closed = node.store.close();
    match &closed {
        Ok(()) => tracing::info!("closed"),
        Err(error) => tracing::error!(%error, "the store did not close well"),
    }
    closed
}

/// Something done aside, once at a time.
#[derive(Default)]
struct Task(Option<tokio::task::JoinHandle<()>>);

impl Task {
    /// Begins, unless it still runs.
    fn start(&mut self, node: &Arc<Node>, work: impl FnOnce(&Node) + Send + 'static) {
        if self.0.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
            let node = Arc::clone(node);
            self.0 = Some(tokio::task::spawn_blocking(move || work(&node)));
        }
    }
}

/// Tells systemd, when it asked to be told.
fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let told = UnixDatagram::unbound().and_then(|socket| match path.to_str().and_then(|path| path.strip_prefix('@')) {
        Some(name) => {
            let address = <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?;
            socket.send_to_addr(state.as_bytes(), &address)
        }
        None => socket.send_to(state.as_bytes(), &path),
    });
    if let Err(error) = told {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
