//! The error ring: whatever an errno cannot explain, told in three parts (INTERFACE section 3).

use super::Store;
use crate::model::Error;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::VecDeque;

/// Complaints kept in memory; older ones are only in the log file.
const KEPT: usize = 1000;

/// One line of `.keyfold/errors`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Complaint {
    /// When, RFC 3339.
    pub time: String,
    /// What was being done: `open`, `rename`, `setxattr`, ...
    pub op: String,
    /// The bucket, when it is known.
    pub bucket: Option<String>,
    /// The path below the mount or the key.
    pub path: String,
    /// S3's code.
    pub code: &'static str,
    /// What failed.
    pub what: String,
    /// Why.
    pub why: String,
    /// How to mend it.
    pub mend: Option<String>,
}

#[derive(Default)]
pub(super) struct Complaints(Mutex<VecDeque<Complaint>>);

impl Store {
    /// Keeps an error for `keyfold errors` and `.keyfold/errors`.
    pub fn complain(&self, op: &str, bucket: Option<&str>, path: &str, error: &Error) {
        tracing::warn!(op, bucket, path, %error, "refused");
        let complaint = Complaint {
            time: self.now().rfc3339(),
            op: op.to_owned(),
            bucket: bucket.map(str::to_owned),
            path: path.to_owned(),
            code: error.kind().s3_code(),
            what: error.what().to_owned(),
            why: error.reason().to_owned(),
            mend: error.remedy().map(str::to_owned),
        };
        let mut ring = self.complaints.0.lock();
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(complaint);
    }

    /// The latest complaints, oldest first; of one bucket when it is given.
    #[must_use]
    pub fn complaints(&self, bucket: Option<&str>) -> Vec<Complaint> {
        let ring = self.complaints.0.lock();
        let wanted = |complaint: &&Complaint| bucket.is_none() || complaint.bucket.as_deref() == bucket;
        ring.iter().filter(wanted).cloned().collect()
    }
}
