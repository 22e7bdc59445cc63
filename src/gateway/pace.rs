//! Clients that are too slow: a body that stops coming, and a connection that takes nothing any more, are given up.

use super::body::{STALLED, TOO_LONG};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use s3s::StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long nothing may come of a body, and how long a client may take none of an answer.
const STALL: Duration = Duration::from_secs(30);
/// Bytes a second that a body must bring for the time it was waited for beyond [`STALL`].
const RATE_MIN: u64 = 128;

/// How long was waited for somebody.
#[derive(Default)]
struct Wait {
    /// While it is waited: since when, and until when.
    now: Option<(Instant, Pin<Box<Sleep>>)>,
    waited: Duration,
}

impl Wait {
    /// It is waited still; whether that has been for too long.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let (_, until) = self.now.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(STALL))));
        until.as_mut().poll(cx).is_ready()
    }

    /// Something has come.
    fn end(&mut self) {
        if let Some((since, _)) = self.now.take() {
            self.waited += since.elapsed();
        }
    }
}

/// Bytes of a body that nobody wanted which are taken all the same, and how long its client may take for them.
const DRAINED_BYTES_MAX: u64 = 4 << 20;
const DRAINING: Duration = Duration::from_secs(5);

/// A body that nobody reads any more, wherever it was left, and whether any of it was asked for.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<Mutex<Option<(Incoming, bool)>>>);

impl Unread {
    /// Takes what is left of a body, so that the client comes to read the answer instead of a connection that was reset;
    /// whether all of it has come, and the connection is fit for the next request. A client that waits to be told to send
    /// is not told.
    pub(super) async fn drain(&self, waits: bool) -> bool {
        let left = self.0.lock().take().filter(|(body, _)| !body.is_end_stream());
        let Some((mut body, asked_for)) = left else { return true };
        if waits && !asked_for {
            return false;
        }
        let mut left = DRAINED_BYTES_MAX;
        let all = async {
            while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                let Ok(frame) = frame else { return false };
                left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
                if left == 0 {
                    return body.is_end_stream();
                }
            }
            true
        };
        tokio::time::timeout(DRAINING, all).await.unwrap_or(false)
    }
}

/// A body that comes, with limits on its length and its client's patience.
pub(super) struct Paced {
    body: Option<Incoming>,
    unread: Unread,
    asked_for: bool,
    left: u64,
    came: u64,
    wait: Wait,
}

impl Paced {
    /// What is left of `body` in the end is `unread`.
    pub(super) fn new(body: Incoming, unread: &Unread, bytes_max: u64) -> Self {
        Self {
            body: Some(body),
            unread: unread.clone(),
            asked_for: false,
            left: bytes_max,
            came: 0,
            wait: Wait::default(),
        }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        *self.unread.0.lock() = self.body.take().map(|body| (body, self.asked_for));
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        self.asked_for = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            return if self.wait.is_over(cx) { Poll::Ready(Some(Err(STALLED.into()))) } else { Poll::Pending };
        };
        self.wait.end();
        let Some(frame) = frame.transpose().map_err(StdError::from)? else { return Poll::Ready(None) };
        let len = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.came += len;
        if len > self.left {
            return Poll::Ready(Some(Err(TOO_LONG.into())));
        }
        self.left -= len;
        let patience = STALL + Duration::from_secs(self.came / RATE_MIN);
        if self.wait.waited > patience {
            return Poll::Ready(Some(Err(STALLED.into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

/// When something last moved on a connection, in milliseconds since it was accepted.
#[derive(Clone, Default)]
pub(super) struct Moved(Arc<AtomicU64>);

impl Moved {
    /// How long nothing has moved on a connection that was accepted then.
    pub(super) fn idle(&self, accepted: std::time::Instant) -> Duration {
        accepted.elapsed().saturating_sub(Duration::from_millis(self.0.load(Ordering::Relaxed)))
    }
}

/// A connection that is given up when its client takes nothing for too long.
pub(super) struct Watched<S> {
    stream: S,
    accepted: std::time::Instant,
    moved: Moved,
    wait: Wait,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, accepted: std::time::Instant, moved: Moved) -> Self {
        Self { stream, accepted, moved, wait: Wait::default() }
    }

    fn has_moved(&self) {
        let since = u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.0.store(since, Ordering::Relaxed);
    }

    fn written(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if done.is_pending() {
            let stalled = || io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing any more");
            return if self.wait.is_over(cx) { Poll::Ready(Err(stalled())) } else { Poll::Pending };
        }
        self.wait.end();
        self.has_moved();
        done
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.has_moved();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
