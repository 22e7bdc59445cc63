//! The table of metrics and the registry made from it.

use crate::model::Result;
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt::Write;

/// Upper bounds of latency buckets in seconds: 10 us to 10 s.
const SECONDS: [f64; 13] = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0];

/// How a metric is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// Counts up from the start of the process; its name gets `_total`.
    Counter,
    /// A number of now, read when somebody asks.
    Gauge,
    /// How long something took, in seconds.
    Seconds,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Which one.
    pub id: MetricId,
    /// Its name after `keyfold_`, the unit last.
    pub name: &'static str,
    /// How it is measured.
    pub measure: Measure,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $measure:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// A metric of the table.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum MetricId { $(#[doc = $help] $id,)* }

        /// Every metric, in the order of [`MetricId`].
        pub const METRICS: &[Metric] = &[$(Metric {
            id: MetricId::$id, name: $name, measure: Measure::$measure, labels: &[$($label),*], help: $help,
        },)*];
    };
}

metrics! {
    FuseRequests = Counter "fuse_requests" ["op"] "Requests of the kernel";
    FuseErrors = Counter "fuse_errors" ["op", "code"] "Requests of the kernel answered with an error, by S3 code";
    FuseSeconds = Seconds "fuse_request_seconds" ["op"] "Time to answer a request of the kernel";
    FuseReadBytes = Counter "fuse_read_bytes" [] "Bytes read through the mount";
    FuseWriteBytes = Counter "fuse_write_bytes" [] "Bytes written through the mount";
    S3Requests = Counter "s3_requests" ["op"] "Requests over HTTP";
    S3Errors = Counter "s3_errors" ["op", "code"] "Requests over HTTP answered with an error, by S3 code";
    S3Seconds = Seconds "s3_request_seconds" ["op"] "Time to answer a request over HTTP";
    S3ReadBytes = Counter "s3_read_bytes" ["op"] "Bytes of bodies sent over HTTP";
    S3WriteBytes = Counter "s3_write_bytes" ["op"] "Bytes of bodies received over HTTP";
    Info = Gauge "build_info" ["version"] "Always 1; the label is this release";
    Buckets = Gauge "buckets" [] "Buckets";
    BucketObjects = Gauge "bucket_objects" ["bucket"] "Current objects, directory markers included";
    BucketBytes = Gauge "bucket_bytes" ["bucket"] "Bytes of current objects, before sharing and compression";
    BucketNoncurrent = Gauge "bucket_noncurrent_versions" ["bucket"] "Older versions, delete markers not included";
    BucketNoncurrentBytes = Gauge "bucket_noncurrent_bytes" ["bucket"] "Bytes of older versions";
    BucketMarkers = Gauge "bucket_delete_markers" ["bucket"] "Delete markers";
    BucketUploads = Gauge "bucket_uploads" ["bucket"] "Multipart uploads in progress";
    BucketUploadBytes = Gauge "bucket_upload_bytes" ["bucket"] "Bytes of parts of uploads in progress";
    BucketClassBytes = Gauge "bucket_class_bytes" ["bucket", "class", "state"] "Bytes by storage class, current and noncurrent, once they are counted";
    BucketClassObjects = Gauge "bucket_class_objects" ["bucket", "class", "state"] "Objects by storage class, current and noncurrent, once they are counted";
    DiskBytes = Gauge "disk_bytes" ["state"] "The disk below the store: total, free, available less the reserve";
    DiskFiles = Gauge "disk_files" ["state"] "Inodes of the disk below the store: total, free";
    ScrubBytes = Gauge "scrub_bytes" [] "Bytes read by scrub, over the life of the store";
    ScrubFindings = Gauge "scrub_findings" [] "Damaged places that scrub found, each time anew";
    ScrubPasses = Gauge "scrub_passes" [] "Whole passes of scrub";
    ScrubLastFindings = Gauge "scrub_last_findings" [] "Damaged places that the last whole pass of scrub found";
    LifecyclePasses = Gauge "lifecycle_passes" [] "Whole passes of lifecycle rules over a bucket, over the life of the store";
    LifecycleJudged = Gauge "lifecycle_judged" [] "Versions, markers and uploads that were held against rules";
    LifecycleDeeds = Gauge "lifecycle_deeds" ["action"] "What rules did: delete, mark, unmark, transition, abort, and what failed";
    LifecycleBytes = Gauge "lifecycle_bytes" ["action"] "Bytes of versions that rules deleted or moved";
    ZoneLost = Gauge "zone_lost" ["zone"] "Whether a zone is lost: 1, else 0";
    ZoneFreeBytes = Gauge "zone_free_bytes" ["zone"] "Bytes free on the disk of a zone that is there";
    ShortFiles = Gauge "short_files" [] "Files of the log with fewer whole copies than their class asks for";
    Complaints = Gauge "complaints" [] "Lines in the error ring";
}

/// Values of a metric's labels.
type Labels = Vec<(&'static str, String)>;

enum Instrument {
    Counter(Family<Labels, Counter>),
    Gauge(Family<Labels, Gauge>),
    Seconds(Family<Labels, Histogram>),
}

/// The metrics of a process. Made once and shared; counting takes a read lock and an atomic addition.
pub struct Metrics {
    registry: Registry,
    instruments: Vec<Instrument>,
    /// Held while gauges are cleared and set anew. It may wait for the store's disk.
    scraping: Mutex<()>,
}

impl Metrics {
    /// All metrics of the table at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("keyfold");
        let instruments = METRICS.iter().map(|metric| register(&mut registry, metric)).collect();
        Self { registry, instruments, scraping: Mutex::new(()) }
    }

    /// Adds `n` to a counter. `labels` are the values in the table's order.
    pub fn add(&self, id: MetricId, labels: &[&str], n: u64) {
        if let Some(counter) = self.counter(id, labels) {
            counter.inc_by(n);
        }
    }

    /// A counter to keep where every nanosecond counts; `None` when `id` is no counter.
    #[must_use]
    pub fn counter(&self, id: MetricId, labels: &[&str]) -> Option<Counter> {
        match self.instruments.get(id as usize) {
            Some(Instrument::Counter(family)) => Some(family.get_or_create(&named(id, labels)).clone()),
            _ => None,
        }
    }

    /// Sets a gauge.
    pub fn set(&self, id: MetricId, labels: &[&str], value: i64) {
        if let Some(Instrument::Gauge(family)) = self.instruments.get(id as usize) {
            family.get_or_create(&named(id, labels)).set(value);
        }
    }

    /// Notes that something took `seconds`.
    pub fn observe(&self, id: MetricId, labels: &[&str], seconds: f64) {
        if let Some(Instrument::Seconds(family)) = self.instruments.get(id as usize) {
            family.get_or_create(&named(id, labels)).observe(seconds);
        }
    }

    /// The text Prometheus reads, with gauges that `read` has set anew: what is gone does not linger. One at a time.
    ///
    /// # Errors
    /// What `read` says.
    pub fn scrape(&self, read: impl FnOnce(&Self) -> Result<()>) -> Result<String> {
        let _one = self.scraping.lock();
        self.clear_gauges();
        read(self)?;
        Ok(self.render())
    }

    fn clear_gauges(&self) {
        for instrument in &self.instruments {
            if let Instrument::Gauge(family) = instrument {
                family.clear();
            }
        }
    }

    /// OpenMetrics 1.0.
    fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// The table as Markdown, for the documentation.
    #[must_use]
    pub fn markdown() -> String {
        let mut page = String::from("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n");
        for metric in METRICS {
            let (kind, tail) = match metric.measure {
                Measure::Counter => ("counter", "_total"),
                Measure::Gauge => ("gauge", ""),
                Measure::Seconds => ("histogram", ""),
            };
            let labels = metric.labels.join(", ");
            let _ = writeln!(page, "| `keyfold_{}{tail}` | {kind} | {labels} | {} |", metric.name, metric.help);
        }
        page
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn register(registry: &mut Registry, metric: &Metric) -> Instrument {
    match metric.measure {
        Measure::Counter => {
            let family = Family::<Labels, Counter>::default();
            registry.register(metric.name, metric.help, family.clone());
            Instrument::Counter(family)
        }
        Measure::Gauge => {
            let family = Family::<Labels, Gauge>::default();
            registry.register(metric.name, metric.help, family.clone());
            Instrument::Gauge(family)
        }
        Measure::Seconds => {
            let family = Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
            registry.register(metric.name, metric.help, family.clone());
            Instrument::Seconds(family)
        }
    }
}

fn named(id: MetricId, values: &[&str]) -> Labels {
    let names = METRICS.get(id as usize).map_or(&[][..], |metric| metric.labels);
    debug_assert_eq!(names.len(), values.len(), "{id:?} has the labels {names:?}");
    names.iter().copied().zip(values.iter().map(|value| (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::{METRICS, Measure, MetricId, Metrics};

    #[test]
    fn the_table_is_in_the_order_of_its_ids_and_names_do_not_repeat() {
        for (n, metric) in METRICS.iter().enumerate() {
            assert_eq!(metric.id as usize, n);
            assert!(METRICS.iter().filter(|other| other.name == metric.name).count() == 1, "{}", metric.name);
            assert!(!metric.help.ends_with('.'), "the encoder ends the sentence: {}", metric.name);
        }
    }

    #[test]
    fn what_was_counted_is_printed() {
        let metrics = Metrics::new();
        metrics.add(MetricId::FuseRequests, &["lookup"], 2);
        metrics.add(MetricId::FuseRequests, &["lookup"], 1);
        metrics.observe(MetricId::FuseSeconds, &["lookup"], 0.002);
        metrics.set(MetricId::BucketBytes, &["photos"], 7);
        let text = metrics.render();
        assert!(text.contains(r#"keyfold_fuse_requests_total{op="lookup"} 3"#), "{text}");
        assert!(text.contains(r#"keyfold_bucket_bytes{bucket="photos"} 7"#), "{text}");
        assert!(text.contains(r#"keyfold_fuse_request_seconds_bucket{le="0.003",op="lookup"} 1"#), "{text}");
        assert!(text.ends_with("# EOF\n"));
        metrics.clear_gauges();
        assert!(!metrics.render().contains("photos"));
        assert!(METRICS.iter().any(|metric| metric.measure == Measure::Gauge));
    }
}
