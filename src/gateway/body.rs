//! Bodies on their way: what a client sends as blocking reads, what it gets as a stream, both through short queues.

use super::error::refused;
use super::piece::Piece;
use bytes::Bytes;
use futures_core::Stream;
use hyper::StatusCode;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Error, S3Result, StdError};
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Pieces that wait between a client and the engine. A piece that comes is at most what the connection buffers.
const PIECES_MAX: usize = 4;
/// Bytes of a refused body that are taken all the same.
const DRAINED_BYTES_MAX: usize = 4 << 20;
/// What a body that came too slowly is told by.
pub(super) const STALLED: &str = "the body came too slowly";
/// What a body that is not what its head says is told by, as the protocol's library does.
pub(super) const BAD_SUM: &str = "Sha256Mismatch";
/// What a chunk that is not signed well is told by, as the protocol's library does.
pub(super) const BAD_SIGNATURE: &str = "SignatureMismatch";
/// What a chunk without a plain length before it, or an end behind it, is told by.
pub(super) const BAD_CHUNK: &str = "a chunk has no length";
/// What a body over the limit is told by.
pub(super) const TOO_LONG: &str = "the body is too long";

/// A piece of a body that comes.
pub(super) enum Part {
    Data(Bytes),
    /// The body is complete, and its signatures hold. Without it, it never was.
    End,
}

/// A body as the engine reads it: an error unless it comes to its proper end.
pub(super) struct Incoming {
    pieces: mpsc::Receiver<Part>,
    data: Bytes,
    ended: bool,
}

impl Incoming {
    pub(super) fn new() -> (mpsc::Sender<Part>, Self) {
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        (sender, Self { pieces, data: Bytes::new(), ended: false })
    }
}

impl Read for Incoming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.data.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Part::Data(data)) => self.data = data,
                Some(Part::End) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client sent no more of it")),
            }
        }
        let len = self.data.len().min(buf.len());
        buf[..len].copy_from_slice(&self.data.split_to(len));
        Ok(len)
    }
}

/// What is done at a body's end, before the engine hears of it.
pub(super) type AtEnd = Box<dyn FnOnce() -> S3Result<()> + Send>;

/// Hands a body over piece by piece. Ends early, without an error, when nobody reads any more.
///
/// # Errors
/// What is wrong with the body: cut off, other bytes than were signed, too slow, too long; or what `at_end` says.
pub(super) async fn pump(body: Option<StreamingBlob>, at_end: Option<AtEnd>, to: mpsc::Sender<Part>) -> S3Result<()> {
    if let Some(mut body) = body {
        while let Some(data) = next(&mut body).await {
            let data = data.map_err(|error| failed(&error))?;
            if !data.is_empty() && to.send(Part::Data(data)).await.is_err() {
                drain(&mut body).await;
                return Ok(());
            }
        }
    }
    if let Some(at_end) = at_end {
        at_end()?;
    }
    let _ = to.send(Part::End).await;
    Ok(())
}

/// Takes a little more of a body that nobody wants, so that a client that still sends it comes to read why.
async fn drain(body: &mut StreamingBlob) {
    let mut left = DRAINED_BYTES_MAX;
    while let Some(Ok(data)) = next(body).await {
        left = left.saturating_sub(data.len());
        if left == 0 {
            return;
        }
    }
}

async fn next(body: &mut StreamingBlob) -> Option<Result<Bytes, StdError>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await
}

/// Words of an error of a body, and the code it is told by. The protocol's errors have no public types, only words.
const FAILURES: &[(&str, StatusCode, &str, &str)] = &[
    (BAD_SUM, StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch", "the body is not what x-amz-content-sha256 says"),
    (BAD_SIGNATURE, StatusCode::FORBIDDEN, "SignatureDoesNotMatch", "a chunk of the body is not signed well"),
    (TOO_LONG, StatusCode::BAD_REQUEST, "EntityTooLarge", "the body is longer than 5 GiB (SIZE-2)"),
    (BAD_CHUNK, StatusCode::BAD_REQUEST, "InvalidRequest", "the body is not in the chunks that its head tells of"),
    (STALLED, StatusCode::BAD_REQUEST, "RequestTimeout", "the body came too slowly, and the connection was given up"),
    ("TooLarge", StatusCode::BAD_REQUEST, "InvalidRequest", "the body's chunks have too long headers"),
    ("TooManyTrailer", StatusCode::BAD_REQUEST, "InvalidRequest", "the body has too many trailers"),
];

/// What is wrong with a body, as the client is told.
pub(super) fn failed(error: &StdError) -> S3Error {
    if let Some(told) = error.downcast_ref::<S3Error>() {
        let status = told.status_code().unwrap_or(StatusCode::BAD_REQUEST);
        return refused(status, told.code().as_str(), told.message().unwrap_or_default());
    }
    let words = error.to_string();
    let found = FAILURES.iter().find(|(word, ..)| words.contains(word));
    let (status, code, message) = found.map_or(
        (StatusCode::BAD_REQUEST, "IncompleteBody", "the body ended before its length was reached (SIZE-6)"),
        |(_, status, code, message)| (*status, *code, *message),
    );
    refused(status, code, message)
}

/// A body on its way to the client: what was read with the answer, then pieces as they come.
pub(super) struct Outgoing {
    ready: Option<Bytes>,
    rest: mpsc::Receiver<S3Result<Piece>>,
    left: u64,
}

impl Outgoing {
    /// A body of `len` bytes that begins with `first`.
    pub(super) fn new(first: Piece, len: u64) -> (Self, mpsc::Sender<S3Result<Piece>>) {
        let (sender, rest) = mpsc::channel(1);
        let ready = if first.len() == 0 { None } else { Some(Bytes::from_owner(first)) };
        (Self { ready, rest, left: len }, sender)
    }
}

impl Stream for Outgoing {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = match self.ready.take() {
            Some(piece) => piece,
            None => match std::task::ready!(self.rest.poll_recv(cx)) {
                Some(Ok(piece)) => Bytes::from_owner(piece),
                Some(Err(error)) => return Poll::Ready(Some(Err(Box::new(error)))),
                None => {
                    let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "nobody reads the object any more");
                    return Poll::Ready(Some(Err(Box::new(cut))));
                }
            },
        };
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(piece)))
    }
}

impl ByteStream for Outgoing {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Incoming, Part, failed};
    use std::io::Read;

    #[test]
    fn a_body_without_its_end_is_an_error() {
        let (sender, mut incoming) = Incoming::new();
        sender.blocking_send(Part::Data(Bytes::from_static(b"ab"))).unwrap();
        sender.blocking_send(Part::Data(Bytes::from_static(b"c"))).unwrap();
        drop(sender);
        let mut read = Vec::new();
        assert_eq!(incoming.read_to_end(&mut read).unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        assert_eq!(read, b"abc");
    }

    #[test]
    fn a_body_with_its_end_is_read_to_it() {
        let (sender, mut incoming) = Incoming::new();
        sender.blocking_send(Part::Data(Bytes::from_static(b"abc"))).unwrap();
        sender.blocking_send(Part::End).unwrap();
        drop(sender);
        let mut read = Vec::new();
        incoming.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"abc");
        assert_eq!(incoming.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
    }

    /// AUTH-3, SIZE-6.
    #[test]
    fn failures_of_bodies_have_their_codes() {
        for (words, code) in [
            ("UploadStreamError: Sha256Mismatch", "XAmzContentSHA256Mismatch"),
            ("AwsChunkedStreamError: SignatureMismatch", "SignatureDoesNotMatch"),
            ("AwsChunkedStreamError: Underlying: the body came too slowly", "RequestTimeout"),
            ("AwsChunkedStreamError: Incomplete", "IncompleteBody"),
        ] {
            assert_eq!(failed(&words.into()).code().as_str(), code);
        }
    }
}
