//! What a running process counts and measures of itself.
//!
//! One table of metrics ([`METRICS`]) gives names, kinds, labels and help; the text that Prometheus reads and the
//! documentation derive from it. Knows nothing of the parts it counts: they hold an `Arc<Metrics>` and report.

mod metrics;

pub use metrics::{METRICS, Measure, Metric, MetricId, Metrics};
