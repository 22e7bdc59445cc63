//! What a store says of itself in numbers, for who watches it.

use super::Store;
use crate::model::{Held, Result};
use crate::telemetry::{MetricId, Metrics};

impl Store {
    /// The metrics of the process, with the gauges of this moment, as Prometheus reads them.
    ///
    /// # Errors
    /// When the disk or the index cannot be read.
    pub fn metrics_text(&self, metrics: &Metrics) -> Result<String> {
        metrics.scrape(|metrics| self.measure(metrics))
    }

    fn measure(&self, metrics: &Metrics) -> Result<()> {
        metrics.set(MetricId::Info, &[env!("CARGO_PKG_VERSION")], 1);
        let buckets = self.buckets()?;
        metrics.set(MetricId::Buckets, &[], count(buckets.len() as u64));
        for bucket in &buckets {
            let ledger = self.ledger(bucket.id)?;
            let (usage, name) = (ledger.usage, [bucket.name.as_str()]);
            for (class, held) in ledger.classes.iter().filter(|(_, held)| ledger.complete && **held != Held::default())
            {
                for (state, objects, bytes) in
                    [("current", held.objects, held.bytes), ("noncurrent", held.noncurrent, held.noncurrent_bytes)]
                {
                    let labels = [bucket.name.as_str(), class.name(), state];
                    metrics.set(MetricId::BucketClassObjects, &labels, objects);
                    metrics.set(MetricId::BucketClassBytes, &labels, bytes);
                }
            }
            for (id, value) in [
                (MetricId::BucketObjects, usage.objects),
                (MetricId::BucketBytes, usage.bytes),
                (MetricId::BucketNoncurrent, usage.noncurrent),
                (MetricId::BucketNoncurrentBytes, usage.noncurrent_bytes),
                (MetricId::BucketMarkers, usage.markers),
                (MetricId::BucketUploads, usage.uploads),
                (MetricId::BucketUploadBytes, usage.upload_bytes),
            ] {
                metrics.set(id, &name, value);
            }
        }
        let space = self.space()?;
        metrics.set(MetricId::DiskBytes, &["total"], count(space.total));
        metrics.set(MetricId::DiskBytes, &["free"], count(space.free));
        metrics.set(MetricId::DiskBytes, &["available"], count(space.available));
        metrics.set(MetricId::DiskFiles, &["total"], count(space.files));
        metrics.set(MetricId::DiskFiles, &["free"], count(space.files_free));
        for zone in self.zones() {
            let name = [zone.name.as_str()];
            metrics.set(MetricId::ZoneLost, &name, i64::from(zone.state == "lost"));
            metrics.set(MetricId::ZoneFreeBytes, &name, count(zone.free.unwrap_or(0)));
        }
        metrics.set(MetricId::ShortFiles, &[], count(self.log.shortage().short as u64));
        let scrub = self.scrub_status();
        metrics.set(MetricId::ScrubBytes, &[], count(scrub.bytes));
        metrics.set(MetricId::ScrubFindings, &[], count(scrub.findings));
        metrics.set(MetricId::ScrubPasses, &[], count(scrub.passes));
        metrics.set(MetricId::ScrubLastFindings, &[], count(scrub.last_findings.unwrap_or(0)));
        let rules = self.lifecycle_status();
        metrics.set(MetricId::LifecyclePasses, &[], count(rules.passes));
        metrics.set(MetricId::LifecycleJudged, &[], count(rules.total.judged));
        for (action, deeds) in [
            ("delete", rules.total.deleted),
            ("mark", rules.total.marked),
            ("unmark", rules.total.unmarked),
            ("transition", rules.total.moved),
            ("abort", rules.total.aborted),
            ("failed", rules.total.failed),
        ] {
            metrics.set(MetricId::LifecycleDeeds, &[action], count(deeds));
        }
        metrics.set(MetricId::LifecycleBytes, &["delete"], count(rules.total.deleted_bytes));
        metrics.set(MetricId::LifecycleBytes, &["transition"], count(rules.total.moved_bytes));
        metrics.set(MetricId::Complaints, &[], count(self.complaints(None).len() as u64));
        Ok(())
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
