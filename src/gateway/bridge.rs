//! Where asynchronous code meets the engine, which blocks: its calls run on threads that may wait, a bounded number at a
//! time, and bodies pass between the two through short queues.

use super::answer::Trace;
use super::body::{self, AtEnd, Incoming, Outgoing};
use super::error::{refused, told};
use super::piece::{PIECES_OF_ANSWER, Piece};
use super::turns::Turns;
use crate::access::Access;
use crate::model::Result;
use crate::store::{Content, Store};
use hyper::StatusCode;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result};
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Calls of the engine at once that wait for nobody but the disk.
const CALLS_MAX: usize = 64;
/// Look-ups at once of who asks and what it may.
const LOOKS_MAX: usize = 16;
/// Calls at once that take as long as there are keys, parts or bytes in them; of a principal's at most.
const LONG_MAX: usize = 16;
const LONG_SHARE: usize = 12;
/// Uploads at once: each has a thread for as long as its client takes; of a principal's at most.
const UPLOADS_MAX: usize = 128;
const UPLOADS_SHARE: usize = 96;
/// Besides, uploads at once by forms and URLs that were signed for others to hold; of a principal's at most, and of a client's.
const HELD_MAX: usize = 128;
const HELD_SHARE: usize = 96;
const HOLDERS_SHARE: usize = 48;
/// Threads for all of them, and one that looks after certificates.
pub(super) const THREADS_MAX: usize = CALLS_MAX + LOOKS_MAX + LONG_MAX + UPLOADS_MAX + HELD_MAX + 1;
/// The operations whose calls are long.
const LONG: &[&str] = &["CompleteMultipartUpload", "CopyObject", "DeleteObjects", "UploadPartCopy"];
/// How long a request may wait for its turn.
const TURN: Duration = Duration::from_secs(20);
/// How long an answer waits for mounts to show what it tells of.
const SHOWN: Duration = Duration::from_secs(1);
/// The way to the engine.
#[derive(Clone)]
pub(super) struct Bridge {
    store: Arc<Store>,
    access: Arc<Access>,
    calls: Arc<Turns>,
    looks: Arc<Turns>,
    long: Arc<Turns>,
    uploads: Arc<Turns>,
    held: Arc<Turns>,
    holders: Arc<Turns>,
}

impl Bridge {
    pub(super) fn new(store: Arc<Store>, access: Arc<Access>) -> Self {
        Self {
            store,
            access,
            calls: Turns::new(CALLS_MAX, CALLS_MAX, TURN),
            looks: Turns::new(LOOKS_MAX, LOOKS_MAX, TURN),
            long: Turns::new(LONG_MAX, LONG_SHARE, TURN),
            uploads: Turns::new(UPLOADS_MAX, UPLOADS_SHARE, TURN),
            held: Turns::new(HELD_MAX, HELD_SHARE, TURN),
            holders: Turns::new(HELD_MAX, HOLDERS_SHARE, TURN),
        }
    }

    /// The id of the account that owns every bucket and object.
    pub(super) fn account_id(&self) -> String {
        self.store.account_id()
    }

    /// The engine, for what does not block.
    pub(super) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Who may do what. Its calls block: they belong into a closure of this bridge's.
    pub(super) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access)
    }

    /// Runs a call that finds out who asks, and whether it may: it waits for none of those that work.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Store>) -> S3Result<T> + Send + 'static,
    ) -> S3Result<T> {
        self.run(self.looks.take(None).await?, work).await
    }

    /// Runs a call that changes nothing.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Store>) -> S3Result<T> + Send + 'static,
    ) -> S3Result<T> {
        self.run(self.calls.take(None).await?, work).await
    }

    /// Runs a call that changes something; mounts show the change when it returns (GEN-1).
    pub(super) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Store>) -> S3Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let trace = Trace::current();
        let turn = match trace.as_ref().and_then(Trace::told) {
            Some((operation, principal)) if LONG.contains(&operation) => self.long.take(Some(principal)).await?,
            _ => self.calls.take(None).await?,
        };
        self.run(turn, move |store| shown(store, work(store))).await
    }

    /// Runs a call that changes something with the bytes of a body, which it reads to the end or not at all. When the
    /// body fails, that is the error, whatever the engine makes of it.
    pub(super) async fn upload<T: Send + 'static>(
        &self,
        (body, at_end): (Option<StreamingBlob>, Option<AtEnd>),
        work: impl FnOnce(&Arc<Store>, &mut dyn Read) -> Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let trace = Trace::current();
        let principal = trace.as_ref().and_then(Trace::told).map(|(_, principal)| principal);
        let turn = match trace.as_ref().and_then(Trace::holder) {
            Some(client) => (Some(self.holders.take(client).await?), self.held.take(principal).await?),
            None => (None, self.uploads.take(principal).await?),
        };
        let (sender, mut incoming) = Incoming::new();
        let mut pump = std::pin::pin!(body::pump(body, at_end, sender));
        // What came with the head goes into the queue before a thread is woken to read it: of a small body, all.
        let begun = std::future::poll_fn(|cx| Poll::Ready(pump.as_mut().poll(cx))).await;
        if let Poll::Ready(Err(failed)) = begun {
            return Err(failed);
        }
        let working =
            self.run(turn, move |store| shown(store, work(store, &mut incoming).map_err(|error| told(&error))));
        if begun.is_ready() {
            return working.await;
        }
        let (pumped, worked) = tokio::join!(pump, working);
        match (pumped, worked) {
            (Err(failed), Err(_)) => Err(failed),
            (_, worked) => worked,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        turn: impl Send + 'static,
        work: impl FnOnce(&Arc<Store>) -> S3Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let store = Arc::clone(&self.store);
        // The turn is held by the work, which goes on when the client has gone, and free when its thread is: given back earlier it
        // would have threads started that nobody needs.
        let done = tokio::task::spawn_blocking(move || (work(&store), turn));
        let done = done.await.map(|(done, _turn)| done);
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "a call of the engine ended badly");
            Err(refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "the request could not be carried out"))
        })
    }

    /// The body of `range` of a content whose first bytes were read already, in pieces as the client takes them.
    pub(super) fn send(&self, content: Content, range: Range<u64>, first: Piece) -> StreamingBlob {
        let mut at = range.start + first.len();
        let whole = range.end - range.start;
        if at == range.end {
            return StreamingBlob::new(Outgoing::new(first, whole).0);
        }
        // The first has its place.
        let places = Arc::new(Semaphore::new(PIECES_OF_ANSWER));
        let first = match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => first.holding(place),
            Err(_) => first,
        };
        let (outgoing, sender) = Outgoing::new(first, whole);
        let (bridge, content) = (self.clone(), Arc::new(content));
        tokio::spawn(async move {
            while at < range.end {
                // None is read before there is a place for it; there never is in the queue when the client has gone.
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let Ok(next) = sender.reserve().await else { return };
                let (content, to) = (Arc::clone(&content), range.end);
                let piece = bridge.ask(move |_| read_piece(&content, at..to)).await.map(|piece| piece.holding(place));
                let end = piece.is_err();
                at += piece.as_ref().map_or(0, Piece::len);
                next.send(piece);
                if end {
                    return;
                }
            }
        });
        StreamingBlob::new(outgoing)
    }
}

/// The first bytes of a range, at most a piece.
///
/// # Errors
/// As [`Content::read_at`]; nothing is sent of bytes that fail their checksum.
pub(super) fn read_piece(content: &Content, range: Range<u64>) -> S3Result<Piece> {
    let mut piece = Piece::for_some_of(range.end - range.start);
    let read = content.read_at(range.start, piece.bytes_mut()).map_err(|error| told(&error))?;
    if read as u64 != piece.len() {
        return Err(refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "the object is shorter than it was"));
    }
    Ok(piece)
}

fn shown<T>(store: &Store, done: Result<T, S3Error>) -> S3Result<T> {
    if done.is_ok() && !store.wait_told(SHOWN) {
        tracing::debug!("a mount does not show a change yet");
    }
    done
}
