//! The listening socket: what is accepted, greeted and served on it, and its end.

use super::answer::Door;
use super::bridge::THREADS_MAX;
use super::connections::{Activity, Open};
use super::pace::Watched;
use super::rates::RateSettings;
use super::tls::{CertificateFiles, Tls};
use crate::model::{Error, Kind, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a client may take to agree on TLS.
const GREETING: Duration = Duration::from_secs(10);
/// How long a client may take to send a request's head, or to begin the next request.
const HEAD: Duration = Duration::from_secs(30);
/// Bytes of a request's head that are read at all; S3's own limit is below it.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Headers of a request that are read at all.
const HEADERS_MAX: usize = 200;
/// Threads that speak HTTP and check signatures.
const SPEAKERS_MAX: usize = 4;

/// Where and how an endpoint listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewaySettings {
    /// The address; port 0 is any that is free.
    pub address: SocketAddr,
    /// With it, TLS and nothing else is spoken.
    pub certificate: Option<CertificateFiles>,
    /// Connections at once from one address.
    pub connections_per_client: usize,
    /// How often a client may ask.
    pub rates: RateSettings,
}

/// The S3 endpoint of a process. Requests end with it.
pub struct Gateway {
    address: SocketAddr,
    tls: bool,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<Duration>>,
    serving: Option<JoinHandle<()>>,
}

/// Binds an address for `what`.
///
/// # Errors
/// [`Kind::AlreadyExists`] when it is in use, otherwise what the system says.
pub(super) fn bind(what: &str, address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    bound.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Error::new(Kind::AlreadyExists, format!("cannot serve {what} at {address}"))
            .why("something listens there already")
            .mend("choose another port; port 0 takes any that is free"),
        _ => Error::io(format!("cannot serve {what} at {address}"), error),
    })
}

impl Gateway {
    /// Binds the address and serves.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`] when the address is in use, [`Kind::InvalidArgument`] for a certificate or key that cannot be
    /// used, otherwise what the system says.
    pub(super) fn start(door: Door, settings: GatewaySettings) -> Result<Self> {
        let cannot = |error| Error::io(format!("cannot serve S3 at {}", settings.address), error);
        let tls = settings.certificate.map(Tls::new).transpose()?;
        let listener = bind("S3", settings.address)?;
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
        if let Some(tls) = &tls {
            runtime.spawn(Arc::clone(tls).watch());
        }
        let (stop, stopped) = oneshot::channel();
        let front = Front { door: Arc::new(door), tls, open: Open::new(settings.connections_per_client) };
        let tls = front.tls.is_some();
        let serving = runtime.spawn(serve(listener, front, stopped));
        Ok(Self { address, tls, runtime: Some(runtime), stop: Some(stop), serving: Some(serving) })
    }

    /// What clients are given to reach it; the port is the real one.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http{}://{}", if self.tls { "s" } else { "" }, self.address)
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

/// What every connection is served with.
struct Front {
    door: Arc<Door>,
    tls: Option<Arc<Tls>>,
    open: Arc<Open>,
}

/// Accepts connections until told to stop.
async fn serve(listener: tokio::net::TcpListener, front: Front, mut stopped: oneshot::Receiver<Duration>) {
    let graceful = GracefulShutdown::new();
    let grace = loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            grace = &mut stopped => break grace.unwrap_or_default(),
        };
        match accepted {
            Ok((stream, peer)) => front.converse(stream, peer, graceful.watcher()),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    drop(listener);
    // Who is served nothing keeps nobody waiting.
    front.open.cut_idle();
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests over HTTP are cut off");
    }
}

impl Front {
    /// Serves a connection in a task of its own.
    fn converse(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        // Answers are written whole: to wait for more would only delay them.
        let _ = stream.set_nodelay(true);
        let Some(place) = self.open.take(peer.ip()) else {
            return tracing::warn!(%peer, "a client is turned away: all connections it may have are at work");
        };
        let stream = Watched::new(stream, &place.activity);
        let (door, activity) = (Arc::clone(&self.door), place.activity.clone());
        let acceptor = self.tls.as_ref().map(|tls| tls.acceptor());
        let spoken = async move {
            let Some(acceptor) = acceptor else { return speak(stream, peer, door, activity, watcher).await };
            match tokio::time::timeout(GREETING, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => speak(stream, peer, door, activity, watcher).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a client did not agree on TLS"),
                Err(_) => tracing::debug!(%peer, "a client took too long to agree on TLS"),
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = spoken => {}
                () = place.cut.notified() => tracing::debug!(%peer, "an idle client made room"),
            }
            drop(place);
        });
    }
}

/// Answers the requests of a connection.
async fn speak<S>(stream: S, peer: SocketAddr, door: Arc<Door>, activity: Activity, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (door, activity) = (Arc::clone(&door), activity.clone());
        async move { Ok::<_, Infallible>(door.answer(request, peer, &activity).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "a client went away");
    }
}
