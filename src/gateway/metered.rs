//! What a request is billed as: its tier, its class, the bytes of its answer (COST-1, COST-6).

use crate::model::{ClassMeter, StorageClass};
use crate::store::{Store, facts};
use hyper::StatusCode;
use hyper::header::HeaderMap;
use std::sync::Arc;

/// The tier of an operation: how much it counts as which, nothing where it is free.
fn tier(operation: &str) -> ClassMeter {
    let begins = |words: &[&str]| words.iter().any(|word| operation.starts_with(word));
    let none = ClassMeter::default();
    if operation.is_empty() || begins(&["Delete", "Abort", "None", "Preflight"]) {
        none
    } else if begins(&["Put", "Copy", "Post", "List", "Create", "Complete", "Upload", "Restore"]) {
        ClassMeter { puts: 1, ..none }
    } else {
        ClassMeter { gets: 1, ..none }
    }
}

/// The class of the object that was written, where no header of the request tells of it: beside an answer.
#[derive(Clone, Copy)]
pub(super) struct Written(pub StorageClass);

/// Counts what a copy fetched from a class from which that costs something (COST-1). From archives it was when it was restored.
pub(super) fn fetched(store: &Store, bucket: &str, class: StorageClass, bytes: u64) {
    let mut used = ClassMeter::default();
    if costs_to_fetch(class) {
        used.retrieved[1] = bytes;
    }
    store.metered(bucket, class, used);
}

fn costs_to_fetch(class: StorageClass) -> bool {
    let facts = facts(class);
    facts.retrieval_fee && !facts.archive
}

/// A request on its way to the meter. Its answer's bytes count until it is dropped.
pub(super) struct Billed {
    store: Arc<Store>,
    bucket: String,
    class: StorageClass,
    used: ClassMeter,
    fetched: bool,
}

impl Billed {
    /// The bill of a request that was answered so; none where it failed (COST-6), or is about no bucket. The class is that of the
    /// object which was written or read.
    pub(super) fn of(
        store: &Arc<Store>,
        (operation, bucket): (&str, &str),
        status: StatusCode,
        class: Option<StorageClass>,
    ) -> Option<Self> {
        if bucket.is_empty() || status.is_client_error() || status.is_server_error() {
            return None;
        }
        let class = class.unwrap_or_default();
        // Archived objects are charged when they are fetched, not when the copy is read.
        let fetched = operation == "GetObject" && costs_to_fetch(class);
        Some(Self { store: Arc::clone(store), bucket: bucket.to_owned(), class, used: tier(operation), fetched })
    }

    /// So many bytes of the answer's body were taken.
    pub(super) const fn sent(&mut self, bytes: u64) {
        self.used.sent = self.used.sent.saturating_add(bytes);
        if self.fetched {
            self.used.retrieved[1] = self.used.retrieved[1].saturating_add(bytes);
        }
    }
}

impl Drop for Billed {
    fn drop(&mut self) {
        self.store.metered(&self.bucket, self.class, self.used);
    }
}

/// The class that headers tell of.
pub(super) fn class_in(headers: &HeaderMap) -> Option<StorageClass> {
    headers.get("x-amz-storage-class").and_then(|class| StorageClass::named(class.to_str().ok()?))
}

#[cfg(test)]
mod tests {
    use super::tier;

    #[test]
    fn cost_1_requests_have_the_tiers_of_s3() {
        for (operation, puts, gets) in [
            ("PutObject", 1, 0),
            ("CopyObject", 1, 0),
            ("PostObject", 1, 0),
            ("ListObjectsV2", 1, 0),
            ("UploadPart", 1, 0),
            ("CompleteMultipartUpload", 1, 0),
            ("GetObject", 0, 1),
            ("HeadObject", 0, 1),
            ("GetBucketTagging", 0, 1),
            ("SelectObjectContent", 0, 1),
            ("DeleteObject", 0, 0),
            ("DeleteObjects", 0, 0),
            ("AbortMultipartUpload", 0, 0),
            ("Preflight", 0, 0),
            ("None", 0, 0),
        ] {
            assert_eq!((tier(operation).puts, tier(operation).gets), (puts, gets), "{operation}");
        }
    }
}
