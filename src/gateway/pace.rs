//! Clients that are too slow: a body that hardly comes, and a connection that takes hardly anything, are given up.

use super::body::{STALLED, TOO_LONG};
use super::connections::Activity;
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

/// How long nothing may come of a body, and how long a client may take none of an answer; also the time that was waited
/// for a client after which it is judged by what it did meanwhile.
const STALL: Duration = Duration::from_secs(30);
/// Bytes that a body must bring for each second that was waited for it.
const READ_RATE_MIN: u64 = 128;
/// Bytes of an answer that a client must take for each second that was waited for it: what waits is memory.
const WRITE_RATE_MIN: u64 = 1024;

/// How long was waited for a client, and what it did meanwhile.
struct Wait {
    rate_min: u64,
    activity: Activity,
    /// While it is waited: since when, and until when.
    now: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Since the client was last judged.
    waited: Duration,
    bytes: u64,
}

impl Wait {
    fn new(rate_min: u64, activity: Activity) -> Self {
        Self { rate_min, activity, now: None, waited: Duration::ZERO, bytes: 0 }
    }

    /// It is waited still; whether that has been for too long.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.activity.waits();
        let (_, until) = self.now.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(STALL))));
        until.as_mut().poll(cx).is_ready()
    }

    /// Something has moved; whether it does so fast enough.
    fn moved(&mut self, bytes: u64) -> bool {
        self.activity.has_moved();
        self.bytes += bytes;
        if let Some((since, _)) = self.now.take() {
            self.waited += since.elapsed();
        }
        if self.waited < STALL {
            return true;
        }
        let (waited, bytes) = (std::mem::take(&mut self.waited), std::mem::take(&mut self.bytes));
        bytes >= self.rate_min * waited.as_secs()
    }
}

/// Bytes of a body that nobody wanted which are taken all the same, and how long its client may take for them.
const DRAINED_BYTES_MAX: u64 = 4 << 20;
const DRAINING: Duration = Duration::from_secs(5);

/// A request's body as its connection sees it: how much of it has come, and where it was left.
#[derive(Clone)]
pub(super) struct Unread {
    activity: Activity,
    left: Arc<Mutex<Option<Left>>>,
    came: Arc<AtomicU64>,
}

/// A body that nobody reads any more.
struct Left {
    body: Incoming,
    /// Whether any of it was asked for: a client that waits for that was told to send.
    asked_for: bool,
}

impl Unread {
    pub(super) fn new(activity: &Activity) -> Self {
        Self { activity: activity.clone(), left: Arc::default(), came: Arc::default() }
    }

    /// Bytes that have come.
    pub(super) fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// Takes what is left of a body, so that the client comes to read the answer instead of a connection that was reset;
    /// whether all of it has come, and the connection is fit for the next request. A client that waits to be told to send
    /// is not told.
    pub(super) async fn drain(&self, waits: bool) -> bool {
        let left = self.left.lock().take().filter(|left| !left.body.is_end_stream());
        let Some(Left { mut body, asked_for }) = left else { return true };
        if waits && !asked_for {
            return false;
        }
        self.activity.waits();
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
    wait: Wait,
}

impl Paced {
    /// What is left of `body` in the end is `unread`.
    pub(super) fn new(body: Incoming, unread: &Unread, bytes_max: u64) -> Self {
        let wait = Wait::new(READ_RATE_MIN, unread.activity.clone());
        Self { body: Some(body), unread: unread.clone(), asked_for: false, left: bytes_max, wait }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        *self.unread.left.lock() = self.body.take().map(|body| Left { body, asked_for: self.asked_for });
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
        let Some(frame) = frame.transpose().map_err(StdError::from)? else { return Poll::Ready(None) };
        let len = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.unread.came.fetch_add(len, Ordering::Relaxed);
        if !self.wait.moved(len) {
            return Poll::Ready(Some(Err(STALLED.into())));
        }
        if len > self.left {
            return Poll::Ready(Some(Err(TOO_LONG.into())));
        }
        self.left -= len;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

/// A connection that is given up when its client takes too little for too long.
pub(super) struct Watched<S> {
    stream: S,
    activity: Activity,
    wait: Wait,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: &Activity) -> Self {
        Self { stream, activity: activity.clone(), wait: Wait::new(WRITE_RATE_MIN, activity.clone()) }
    }

    fn written(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let slow = || io::Error::new(io::ErrorKind::TimedOut, "the client takes too little of an answer");
        let in_time = match &done {
            Poll::Pending => !self.wait.is_over(cx),
            Poll::Ready(Ok(bytes)) => self.wait.moved(*bytes as u64),
            Poll::Ready(Err(_)) => true,
        };
        if in_time { done } else { Poll::Ready(Err(slow())) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.activity.has_moved();
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

#[cfg(test)]
mod tests {
    use super::{Duration, STALL, WRITE_RATE_MIN, Wait};
    use crate::gateway::connections::Open;

    #[test]
    fn shd_1_a_client_is_judged_by_what_it_does_while_it_is_waited_for() {
        let place = Open::new(1).take([10, 0, 0, 1].into()).unwrap();
        let mut wait = Wait::new(WRITE_RATE_MIN, place.activity.clone());
        // A byte a second: nothing is said of the first seconds.
        for second in 1..STALL.as_secs() {
            wait.waited += Duration::from_secs(1);
            assert!(wait.moved(1), "{second}");
        }
        wait.waited += Duration::from_secs(1);
        assert!(!wait.moved(1));
        // Enough of it, and what was fast before does not count for later.
        for _ in 0..3 {
            wait.waited = STALL;
            assert!(wait.moved(STALL.as_secs() * WRITE_RATE_MIN));
        }
        wait.waited = STALL;
        assert!(!wait.moved(STALL.as_secs() * WRITE_RATE_MIN - 1));
        // Who is never waited for may send little.
        assert!((0..1000).all(|_| wait.moved(1)));
    }
}
