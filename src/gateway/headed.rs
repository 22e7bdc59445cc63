//! The body of a form, its head in one piece: the protocol's library reads all of the head again with each piece that comes.

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use s3s::StdError;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Longest piece behind the head, in bytes: one that ends like a boundary begins may not be longer than the library's buffer.
const PIECE_BYTES: usize = 32 * 1024;

/// Such a body.
pub(super) struct Headed<B> {
    body: B,
    /// Bytes of the head that are waited for, less at the body's end; zero when it has gone.
    wanted: usize,
    ready: BytesMut,
}

impl<B> Headed<B> {
    /// The first `wanted` bytes of `body` come as one.
    pub(super) fn new(body: B, wanted: usize) -> Self {
        Self { body, wanted, ready: BytesMut::new() }
    }
}

impl<B: Body<Data = Bytes, Error = StdError> + Unpin> Body for Headed<B> {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        loop {
            let head = self.wanted > 0;
            if self.ready.len() >= self.wanted.max(1) {
                let len = if head { self.wanted } else { PIECE_BYTES.min(self.ready.len()) };
                self.wanted = 0;
                return Poll::Ready(Some(Ok(Frame::data(self.ready.split_to(len).freeze()))));
            }
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.ready.extend_from_slice(&data);
                    }
                }
                None if head && !self.ready.is_empty() => self.wanted = self.ready.len(),
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, Bytes, Frame, Headed, PIECE_BYTES, StdError};
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    struct Pieces(VecDeque<Vec<u8>>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = StdError;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece.into()))))
        }
    }

    fn lengths(pieces: impl Iterator<Item = usize>, wanted: usize) -> Vec<usize> {
        let mut body = Headed::new(Pieces(pieces.map(|len| vec![b'x'; len]).collect()), wanted);
        let mut lengths = Vec::new();
        while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        lengths
    }

    #[test]
    fn the_head_is_one_piece_and_the_rest_short_ones() {
        assert_eq!(lengths([1; 100].into_iter(), 60)[..2], [60, 1]);
        assert_eq!(lengths([1; 30].into_iter(), 60), [30]);
        assert_eq!(lengths([100].into_iter(), 60), [60, 40]);
        assert_eq!(lengths([60 + 2 * PIECE_BYTES].into_iter(), 60), [60, PIECE_BYTES, PIECE_BYTES]);
        assert!(lengths([].into_iter(), 60).is_empty());
    }
}
