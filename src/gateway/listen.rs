//! The listening socket: connections, how many and for how long, and their end.

use super::answer::Door;
use super::bridge::THREADS_MAX;
use super::pace::{Moved, Watched};
use crate::model::{Error, Kind, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// Connections at once. Of more, the one on which nothing has moved for longest is closed for the newest.
const CONNECTIONS_MAX: usize = 2048;
/// How long nothing must have moved on a connection for it to be closed for another.
const IDLE_MIN: Duration = Duration::from_millis(500);
/// How long a client may take to send a request's head, or to begin the next request.
const HEAD: Duration = Duration::from_secs(30);
/// Bytes of a request's head that are read at all; S3's own limit is below it.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Headers of a request that are read at all.
const HEADERS_MAX: usize = 200;
/// Threads that speak HTTP and check signatures.
const SPEAKERS_MAX: usize = 4;

/// The S3 endpoint of a process. Requests end with it.
pub struct Gateway {
    address: SocketAddr,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<Duration>>,
    serving: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Binds `address` and serves.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] when the address is in use, otherwise what the system says.
    pub(super) fn start(door: Door, address: SocketAddr) -> Result<Self> {
        let cannot = |error| match std::io::Error::kind(&error) {
            std::io::ErrorKind::AddrInUse => Error::new(Kind::AlreadyExists, format!("cannot serve S3 at {address}"))
                .why("something listens there already")
                .mend("choose another port; port 0 takes any that is free"),
            _ => Error::io(format!("cannot serve S3 at {address}"), error),
        };
        let listener = TcpListener::bind(address).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let speakers = std::thread::available_parallelism().map_or(1, usize::from).clamp(2, SPEAKERS_MAX);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(speakers)
            .max_blocking_threads(THREADS_MAX)
            .thread_name("keyfold-s3")
            .enable_all()
            .build()
            .map_err(|error| Error::io("cannot start the runtime of the S3 endpoint", error))?;
        let listener = {
            let _within = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(cannot)?
        };
        let (stop, stopped) = oneshot::channel();
        let serving = runtime.spawn(serve(listener, Arc::new(door), stopped));
        Ok(Self { address, runtime: Some(runtime), stop: Some(stop), serving: Some(serving) })
    }

    /// Where it listens; the port is the real one.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nobody any more, lets requests that run end within `grace`, and cuts the others off.
    pub fn end(&mut self, grace: Duration) {
        let (Some(runtime), Some(stop), Some(serving)) = (self.runtime.take(), self.stop.take(), self.serving.take())
        else {
            return;
        };
        if stop.send(grace).is_ok()
            && let Err(error) = runtime.block_on(serving)
        {
            tracing::error!(%error, "the S3 endpoint did not end well");
        }
        // What a call of the engine still does goes on beside the end of the process.
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// Accepts connections until told to stop.
async fn serve(listener: tokio::net::TcpListener, door: Arc<Door>, mut stopped: oneshot::Receiver<Duration>) {
    let (open, graceful) = (Arc::new(Open::default()), GracefulShutdown::new());
    let grace = loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            grace = &mut stopped => break grace.unwrap_or_default(),
        };
        match accepted {
            Ok((stream, peer)) => converse(stream, peer, &door, &open, &graceful),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests over HTTP are cut off");
    }
}

/// Serves a connection in a task of its own.
fn converse(stream: TcpStream, peer: SocketAddr, door: &Arc<Door>, open: &Arc<Open>, graceful: &GracefulShutdown) {
    // Answers are written whole: to wait for more would only delay them.
    let _ = stream.set_nodelay(true);
    let Some(place) = open.take() else {
        return tracing::warn!(%peer, "more clients are at work than can be served");
    };
    let stream = Watched::new(stream, place.accepted, place.moved.clone());
    let door = Arc::clone(door);
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        tokio::select! {
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a client went away");
                }
            }
            () = place.cut.notified() => tracing::debug!(%peer, "an idle client made room"),
        }
        drop(place);
    });
}

/// Connections that are open.
#[derive(Default)]
struct Open(Mutex<Table>);

#[derive(Default)]
struct Table {
    all: HashMap<u64, Known>,
    last: u64,
}

struct Known {
    accepted: Instant,
    moved: Moved,
    cut: Arc<Notify>,
}

/// A connection's place among those; free again when dropped.
struct Place {
    number: u64,
    accepted: Instant,
    moved: Moved,
    cut: Arc<Notify>,
    open: Arc<Open>,
}

impl Open {
    /// A place for a new connection. Where none is left, the idlest is closed; none when all are at work.
    fn take(self: &Arc<Self>) -> Option<Place> {
        let (accepted, moved, cut) = (Instant::now(), Moved::default(), Arc::new(Notify::new()));
        let mut table = self.0.lock();
        if table.all.len() >= CONNECTIONS_MAX {
            let idle = |known: &Known| known.moved.idle(known.accepted);
            let idlest = table.all.iter().map(|(number, known)| (idle(known), *number)).max()?;
            if idlest.0 < IDLE_MIN {
                return None;
            }
            if let Some(known) = table.all.remove(&idlest.1) {
                known.cut.notify_one();
            }
        }
        table.last += 1;
        let number = table.last;
        table.all.insert(number, Known { accepted, moved: moved.clone(), cut: Arc::clone(&cut) });
        drop(table);
        Some(Place { number, accepted, moved, cut, open: Arc::clone(self) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.0.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::{CONNECTIONS_MAX, IDLE_MIN, Open};
    use std::sync::Arc;

    /// SHD-2: who is at work stays, who is idle makes room.
    #[test]
    fn the_idlest_connection_makes_room() {
        let open = Arc::new(Open::default());
        let mut places: Vec<_> = (0..CONNECTIONS_MAX).map(|_| open.take().unwrap()).collect();
        assert!(open.take().is_none(), "all of them have just come");
        std::thread::sleep(IDLE_MIN + IDLE_MIN / 2);
        places.push(open.take().unwrap());
        assert_eq!(open.0.lock().all.len(), CONNECTIONS_MAX);
        drop(places);
        assert!(open.0.lock().all.is_empty());
    }
}
