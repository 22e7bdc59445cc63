//! A body in chunks of its own (`aws-chunked`), watched on its way to the protocol's library, which holds each chunk in memory
//! whole: none may be long.

use super::body::LONG_CHUNK;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use s3s::StdError;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Longest chunk, in bytes. Clients send 64 KiB to 1 MiB.
const CHUNK_BYTES_MAX: u64 = 16 << 20;

/// Where in the chunks a body is: `LENGTH[;EXTENSIONS] CR LF BYTES CR LF`, the length in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Length(u64),
    Extensions(u64),
    /// So many bytes of the chunk and of the line's end behind it are to come.
    Bytes(u64),
    /// Behind the last chunk, or where nothing makes sense: the library's to judge.
    Rest,
}

impl At {
    /// Where it is behind these bytes; nothing when a chunk is too long.
    fn behind(mut self, mut bytes: &[u8]) -> Option<Self> {
        while let Some((&byte, rest)) = bytes.split_first() {
            self = match self {
                Self::Bytes(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[taken..];
                    let left = left - taken as u64;
                    self = if left == 0 { Self::Length(0) } else { Self::Bytes(left) };
                    continue;
                }
                Self::Rest => return Some(self),
                Self::Length(length) => match char::from(byte).to_digit(16) {
                    Some(digit) => Self::Length(length.checked_mul(16)? + u64::from(digit)),
                    None if byte == b'\n' => Self::begins(length),
                    None => Self::Extensions(length),
                },
                Self::Extensions(length) if byte == b'\n' => Self::begins(length),
                Self::Extensions(_) => self,
            };
            if matches!(self, Self::Length(length) if length > CHUNK_BYTES_MAX) {
                return None;
            }
            bytes = rest;
        }
        Some(self)
    }

    const fn begins(length: u64) -> Self {
        if length == 0 { Self::Rest } else { Self::Bytes(length + 2) }
    }
}

/// Such a body, which ends with an error where a chunk is too long.
pub(super) struct Chunked<B> {
    body: B,
    at: At,
}

impl<B> Chunked<B> {
    pub(super) const fn new(body: B) -> Self {
        Self { body, at: At::Length(0) }
    }
}

impl<B: Body<Data = Bytes, Error = StdError> + Unpin> Body for Chunked<B> {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            match self.at.behind(data) {
                Some(at) => self.at = at,
                None => return Poll::Ready(Some(Err(LONG_CHUNK.into()))),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::{At, CHUNK_BYTES_MAX};

    #[test]
    fn chunks_are_followed_however_they_are_cut() {
        let body = b"5;chunk-signature=ab\r\nhello\r\n3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        for step in 1..body.len() {
            let end = body.chunks(step).try_fold(At::Length(0), At::behind);
            assert_eq!(end, Some(At::Rest), "{step}");
        }
        assert_eq!(At::Length(0).behind(&body[..24]), Some(At::Bytes(5)));
    }

    #[test]
    fn a_long_chunk_is_refused_before_it_comes() {
        let begins = |length: u64| At::Length(0).behind(format!("{length:x}\r\n").as_bytes());
        assert_eq!(begins(CHUNK_BYTES_MAX), Some(At::Bytes(CHUNK_BYTES_MAX + 2)));
        assert_eq!(begins(CHUNK_BYTES_MAX + 1), None);
        assert_eq!(At::Length(0).behind(b"ffffffffffffffffffffffff"), None);
        // Also behind others.
        assert_eq!(At::Length(0).behind(b"1\r\na\r\n100000000\r\n"), None);
    }
}
