//! What a process tells of itself to who watches it on the same machine: metrics, whether it lives, whether it serves.
//!
//! A thread and a runtime of its own: it answers also when every thread of the S3 endpoint waits for the disk.

use super::connections::{Activity, Open};
use super::listen::bind;
use super::pace::Watched;
use crate::model::{Error, Result};
use crate::store::Store;
use crate::telemetry::Metrics;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::Body;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};

/// A third of the connections at once, all of which are from this machine; of more the idlest makes room.
const CONNECTIONS_THIRD: usize = 24;
/// How long a client may take to ask.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last.
const LIFE: Duration = Duration::from_secs(60);
/// Readers of the metrics that may wait for the disk at once.
const READERS_MAX: usize = 4;
/// How long the store may take to tell of itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// Work that the store tries again and that is needed for changes to last.
const NEEDED: &[&str] = &["sync", "journal"];
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The address at which a process tells of itself, until it is dropped.
pub struct Admin {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What is told of.
struct Told {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    /// The process takes no new work.
    ending: Arc<AtomicBool>,
    readers: Arc<Semaphore>,
}

impl Admin {
    /// Answers at `address`, which only this machine should reach: nobody is asked for a name. `ending`: the process takes no
    /// new work.
    ///
    /// # Errors
    /// [`Kind::AlreadyExists`](crate::model::Kind::AlreadyExists) when the address is in use, otherwise what the system says.
    pub fn new(
        store: &Arc<Store>,
        metrics: &Arc<Metrics>,
        address: SocketAddr,
        ending: &Arc<AtomicBool>,
    ) -> Result<Self> {
        let cannot = |error| Error::io(format!("cannot serve metrics at {address}"), error);
        let listener = bind("metrics", address)?;
        let address = listener.local_addr().map_err(cannot)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(READERS_MAX)
            .enable_all()
            .build()
            .map_err(cannot)?;
        let listener = {
            let _within = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(cannot)?
        };
        let told = Arc::new(Told {
            store: Arc::clone(store),
            metrics: Arc::clone(metrics),
            ending: Arc::clone(ending),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
        });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("keyfold-admin".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, &told) => {}
                    _ = stopped => {}
                }
            });
            // A reader may wait for the disk for longer than anybody waits for this.
            runtime.shutdown_background();
        });
        Ok(Self { address, stop: Some(stop), thread: Some(thread.map_err(cannot)?) })
    }

    /// What who watches is given to reach it; the port is the real one.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin address did not end well");
        }
    }
}

async fn serve(listener: tokio::net::TcpListener, told: &Arc<Told>) {
    let open = Open::new(CONNECTIONS_THIRD);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(place) = open.take(peer.ip()) else {
                    tracing::debug!("who watches is turned away: all connections are at work");
                    continue;
                };
                let told = Arc::clone(told);
                tokio::spawn(async move {
                    tokio::select! {
                        () = converse(stream, told, &place.activity) => {}
                        () = place.cut.notified() => tracing::debug!("an idle connection made room"),
                        () = tokio::time::sleep(LIFE) => tracing::debug!("who watches took too long"),
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept who watches");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, told: Arc<Told>, activity: &Activity) {
    let stream = Watched::new(stream, activity);
    let service = service_fn(move |request| {
        let (told, serving) = (Arc::clone(&told), activity.serve());
        async move {
            let answer = told.answer(&request).await;
            drop(serving);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(HEAD);
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "who watches went away");
    }
}

impl Told {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        if !is_of_here(request) {
            return text(StatusCode::FORBIDDEN, "ask by an address of this machine, or localhost\n");
        }
        let path = request.uri().path();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
        }
        match path {
            "/-/health" => text(StatusCode::OK, "alive\n"),
            "/-/ready" => match self.hindrance() {
                None => text(StatusCode::OK, "ready\n"),
                Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
            "/-/metrics" => self.metrics().await,
            _ => text(StatusCode::NOT_FOUND, "/-/metrics, /-/health and /-/ready are here\n"),
        }
    }

    /// Why nothing should be sent here; asks no disk.
    fn hindrance(&self) -> Option<String> {
        if self.ending.load(Ordering::SeqCst) {
            return Some("the process is ending".to_owned());
        }
        if let Err(error) = self.store.writable() {
            return Some(error.to_string());
        }
        let needed = self.store.hindrances().into_iter().find(|hindrance| NEEDED.contains(&hindrance.work))?;
        Some(format!("changes do not last since {}: {}", needed.since, needed.why))
    }

    async fn metrics(&self) -> Response<Body> {
        let busy = "the store does not tell of itself: its disk may not answer\n";
        let Ok(reader) = Arc::clone(&self.readers).try_acquire_owned() else {
            return text(StatusCode::SERVICE_UNAVAILABLE, busy);
        };
        let (store, metrics) = (Arc::clone(&self.store), Arc::clone(&self.metrics));
        let read = tokio::task::spawn_blocking(move || {
            let read = store.metrics_text(&metrics);
            drop(reader);
            read
        });
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(Ok(body))) => {
                let mut response = text(StatusCode::OK, body);
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(METRICS));
                response
            }
            Ok(Ok(Err(error))) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
            Ok(Err(_)) | Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, busy),
        }
    }
}

/// A page of a browser that was led here by another name is no watcher.
fn is_of_here(request: &Request<Incoming>) -> bool {
    let Some(host) = request.headers().get(header::HOST) else { return true };
    let host = host.to_str().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(TEXT));
    response
}
