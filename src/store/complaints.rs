//! The error ring: whatever an errno cannot explain, told in three parts (INTERFACE section 3).

use super::Store;
use super::names::readable;
use crate::index::Family;
use crate::model::{DirId, Error, Kind, Timestamp};
use crate::sys::sync::Mutex;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

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
pub(super) struct Complaints {
    ring: Mutex<VecDeque<Complaint>>,
    /// Damaged records that were passed by, and what was said of them.
    passed: Mutex<BTreeMap<(Family, Vec<u8>), Complaint>>,
}

impl Store {
    /// Keeps an error for `keyfold errors` and `.keyfold/errors`.
    pub fn complain(&self, op: &str, bucket: Option<&str>, path: &str, error: &Error) {
        tracing::warn!(op, bucket, path, %error, "refused");
        self.keep_complaint(self.complaint(op, bucket, path, error));
    }

    /// The line that what was complained of is over.
    pub(super) fn tell_that_it_is_over(&self, op: &str, since: Timestamp, kind: Kind, why: &str) {
        let why = format!("since {} it had failed: {why}", since.rfc3339());
        tracing::info!(op, why, "works again");
        let over = Error::new(kind, format!("{op} works again")).why(why);
        self.keep_complaint(self.complaint(op, None, "", &over));
    }

    fn keep_complaint(&self, complaint: Complaint) {
        let mut ring = self.complaints.ring.lock();
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(complaint);
    }

    fn complaint(&self, op: &str, bucket: Option<&str>, path: &str, error: &Error) -> Complaint {
        Complaint {
            time: self.now().rfc3339(),
            op: op.to_owned(),
            bucket: bucket.map(str::to_owned),
            path: path.to_owned(),
            code: error.kind().s3_code(),
            what: error.what().to_owned(),
            why: error.reason().to_owned(),
            mend: error.remedy().map(str::to_owned),
        }
    }

    /// Tells of a damaged record that was passed by, once: what is done with a name comes by again and again.
    pub(super) fn spoiled(&self, (family, key): (Family, &[u8]), at: Option<(DirId, &str)>, error: &Error) {
        let id = (family, key.to_vec());
        {
            let passed = self.complaints.passed.lock();
            if passed.len() >= KEPT || passed.contains_key(&id) {
                return;
            }
        }
        let (bucket, path) = match at {
            Some((dir, component)) => match readable(self.path_of(dir).map(Some)) {
                Ok(Some((bucket, prefix))) => (Some(bucket.name.to_string()), format!("{prefix}{component}")),
                _ => (None, format!("directory {dir}: {component}")),
            },
            None if family == Family::Bucket => {
                (Some(String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned()), String::new())
            }
            None => (None, String::new()),
        };
        let shown = if path.is_empty() { format!("a {} record", family.name()) } else { format!("{path:?}") };
        let error = Error::corrupt(format!("cannot read {shown}"), error.reason().to_owned())
            .mend("`keyfold fsck --repair` mends the index and keeps what is damaged in the store's quarantine");
        self.complain("read", bucket.as_deref(), &path, &error);
        let complaint = self.complaint("read", bucket.as_deref(), &path, &error);
        self.complaints.passed.lock().insert(id, complaint);
    }

    /// Current names that were passed by, since their records are damaged, from the opening of the store or its last
    /// repair on.
    #[must_use]
    pub fn passed_by(&self) -> Vec<Complaint> {
        let passed = self.complaints.passed.lock();
        let is_name = |family: &Family| matches!(family, Family::Bucket | Family::Dir | Family::Dent);
        passed.iter().filter(|((family, _), _)| is_name(family)).map(|(_, complaint)| complaint.clone()).collect()
    }

    /// A repair has mended what was passed by.
    pub(super) fn forget_passed_by(&self) {
        self.complaints.passed.lock().clear();
    }

    /// The latest complaints, oldest first; of one bucket when it is given.
    #[must_use]
    pub fn complaints(&self, bucket: Option<&str>) -> Vec<Complaint> {
        let ring = self.complaints.ring.lock();
        let wanted = |complaint: &&Complaint| bucket.is_none() || complaint.bucket.as_deref() == bucket;
        ring.iter().filter(wanted).cloned().collect()
    }
}
