//! The body of an answer on its way: counted as it goes, and its connection is at work until it has gone.

use super::connections::Serving;
use super::metered::Billed;
use crate::telemetry::{MetricId, Metrics};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use s3s::{Body, StdError};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Such a body.
pub(super) struct Sent {
    body: Body,
    operation: String,
    metrics: Arc<Metrics>,
    bytes: u64,
    bill: Option<Billed>,
    _serving: Serving,
}

impl Sent {
    /// The body of an answer of `operation`.
    pub(super) fn new(
        body: Body,
        (operation, bill): (String, Option<Billed>),
        metrics: &Arc<Metrics>,
        serving: Serving,
    ) -> Self {
        Self { body, operation, metrics: Arc::clone(metrics), bytes: 0, bill, _serving: serving }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.metrics.add(MetricId::S3ReadBytes, &[&self.operation], self.bytes);
    }
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            let len = data.len() as u64;
            self.bytes += len;
            if let Some(bill) = &mut self.bill {
                bill.sent(len);
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
