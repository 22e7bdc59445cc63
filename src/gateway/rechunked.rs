//! An unsigned body in chunks of its own (`aws-chunked`) in shorter ones: clients send all of a body as one chunk, and the
//! protocol's library holds each in memory whole. No byte is copied.

use super::body::BAD_CHUNK;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use s3s::StdError;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Longest line before a chunk, in bytes.
const LINE_BYTES_MAX: usize = 32;

/// Where in the chunks a body is: `LENGTH CR LF BYTES CR LF`, the length in hexadecimal digits.
enum At {
    /// In the line with a length, of which this has come.
    Line(Vec<u8>),
    /// So many bytes of the chunk are to come.
    Bytes(u64),
    /// In the line's end behind them.
    End(&'static [u8]),
    /// Behind the last chunk: trailers, which the library judges.
    Rest,
}

/// Such a body: what comes of a chunk at a time is a chunk.
pub(super) struct Rechunked<B> {
    body: B,
    at: At,
    ready: VecDeque<Bytes>,
}

impl<B> Rechunked<B> {
    pub(super) const fn new(body: B) -> Self {
        Self { body, at: At::Line(Vec::new()), ready: VecDeque::new() }
    }

    /// Takes what has come; none when it is no such body.
    fn take(&mut self, mut data: Bytes) -> Option<()> {
        while !data.is_empty() {
            match &mut self.at {
                At::Line(line) => {
                    let end = data.iter().position(|byte| *byte == b'\n').map_or(data.len(), |at| at + 1);
                    line.extend_from_slice(&data.split_to(end));
                    if line.ends_with(b"\n") {
                        self.at = match length(line)? {
                            0 => {
                                self.ready.push_back(std::mem::take(line).into());
                                At::Rest
                            }
                            length => At::Bytes(length),
                        };
                    } else if line.len() > LINE_BYTES_MAX {
                        return None;
                    }
                }
                At::Bytes(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                    *left -= taken as u64;
                    let over = *left == 0;
                    let piece = data.split_to(taken);
                    let line = Bytes::from(format!("{taken:x}\r\n"));
                    self.ready.extend([line, piece, Bytes::from_static(b"\r\n")]);
                    if over {
                        self.at = At::End(b"\r\n");
                    }
                }
                At::End(left) => {
                    let (byte, rest) = left.split_first()?;
                    if data.split_to(1)[0] != *byte {
                        return None;
                    }
                    *left = rest;
                    if rest.is_empty() {
                        self.at = At::Line(Vec::new());
                    }
                }
                At::Rest => self.ready.push_back(std::mem::take(&mut data)),
            }
        }
        Some(())
    }
}

/// The length that a line says.
fn length(line: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
    let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    all.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

impl<B: Body<Data = Bytes, Error = StdError> + Unpin> Body for Rechunked<B> {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            let Some(frame) = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            let Ok(data) = frame?.into_data() else { continue };
            if self.take(data).is_none() {
                return Poll::Ready(Some(Err(BAD_CHUNK.into())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Rechunked};

    /// What comes out of these pieces of a body.
    fn out(pieces: impl Iterator<Item = Vec<u8>>) -> Option<Vec<u8>> {
        let mut body = Rechunked::new(());
        for piece in pieces {
            body.take(Bytes::from(piece))?;
        }
        Some(body.ready.into_iter().flatten().collect())
    }

    #[test]
    fn chunks_are_cut_where_they_come_in_pieces() {
        let body = b"A\r\n0123456789\r\n3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(
            out([body.to_vec()].into_iter()).unwrap(),
            b"a\r\n0123456789\r\n3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"
        );
        for step in 1..body.len() {
            let out = out(body.chunks(step).map(<[u8]>::to_vec)).unwrap();
            let text = String::from_utf8(out).unwrap();
            let data: String =
                text.split("\r\n").skip(1).step_by(2).take_while(|piece| !piece.starts_with("x-")).collect();
            assert_eq!(data, "0123456789abc", "{step}: {text}");
            assert!(text.ends_with("0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"), "{step}: {text}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for body in
            ["5;chunk-signature=ab\r\n", "+5\r\n", "\r\n", "5\n", "1\r\naX", "1\r\na\rX", "11111111111111111\r\n"]
        {
            assert_eq!(out([body.as_bytes().to_vec()].into_iter()), None, "{body:?}");
        }
        assert_eq!(out([vec![b'0'; 40]].into_iter()), None);
    }
}
