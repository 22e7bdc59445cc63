//! What stands in the hidden control directories.

use crate::model::{BucketId, FileKind, Timestamp, UploadId};
use crate::store::{DOCUMENTS, Document};

/// A control file or directory. Small, comparable and hashable, so that a mount can number them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ControlNode {
    /// `MOUNT/.keyfold`
    RootDir,
    /// `status.json`: how the store is.
    RootStatus,
    /// `metrics`: Prometheus text.
    RootMetrics,
    /// `events`: every change as a JSON line; grows.
    RootEvents,
    /// `errors`: what an errno could not explain, as JSON lines.
    RootErrors,
    /// `jobs/`: nothing yet.
    RootJobs,
    /// `BUCKET/.keyfold`
    BucketDir(BucketId),
    /// `NAME.json`: a bucket document; `NAME` is one of [`DOCUMENTS`].
    BucketDocument(BucketId, &'static str),
    /// `events`: the bucket's changes.
    BucketEvents(BucketId),
    /// `errors`: the bucket's.
    BucketErrors(BucketId),
    /// `stats.json`: what the bucket holds.
    BucketStats(BucketId),
    /// `lifecycle.preview`: what rules will do on which day.
    BucketPlan(BucketId),
    /// `uploads/`: multipart uploads in progress.
    Uploads(BucketId),
    /// `uploads/ID.json`: one of them with its parts; its removal aborts it.
    Upload(BucketId, UploadId),
    /// `at/`: any name that is an instant leads to the bucket as it was.
    At(BucketId),
    /// `at/TIME/`: the caller shows the bucket's root as of the instant.
    AtTime(BucketId, Timestamp),
    /// A temporary file of an editor.
    Scratch(BucketId, u64),
}

/// What `stat` says of a control file, besides its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControlAttr {
    /// File or directory.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u16,
    /// Length in bytes.
    pub size: u64,
    /// Last change.
    pub modified: Timestamp,
}

/// Fixed names of the root's control directory.
pub(super) const ROOT_NAMES: &[(&str, ControlNode)] = &[
    ("errors", ControlNode::RootErrors),
    ("events", ControlNode::RootEvents),
    ("jobs", ControlNode::RootJobs),
    ("metrics", ControlNode::RootMetrics),
    ("status.json", ControlNode::RootStatus),
];

/// Makes a node of a bucket.
type InBucket = fn(BucketId) -> ControlNode;

/// Fixed names of a bucket's control directory.
pub(super) const BUCKET_NAMES: &[(&str, InBucket)] = &[
    ("at", ControlNode::At),
    ("errors", ControlNode::BucketErrors),
    ("events", ControlNode::BucketEvents),
    ("lifecycle.preview", ControlNode::BucketPlan),
    ("stats.json", ControlNode::BucketStats),
    ("uploads", ControlNode::Uploads),
];

impl ControlNode {
    /// The bucket it belongs to.
    #[must_use]
    pub const fn bucket(&self) -> Option<BucketId> {
        match self {
            Self::RootDir
            | Self::RootStatus
            | Self::RootMetrics
            | Self::RootEvents
            | Self::RootErrors
            | Self::RootJobs => None,
            Self::BucketDir(bucket)
            | Self::BucketDocument(bucket, _)
            | Self::BucketEvents(bucket)
            | Self::BucketErrors(bucket)
            | Self::BucketStats(bucket)
            | Self::BucketPlan(bucket)
            | Self::Uploads(bucket)
            | Self::Upload(bucket, _)
            | Self::At(bucket)
            | Self::AtTime(bucket, _)
            | Self::Scratch(bucket, _) => Some(*bucket),
        }
    }

    /// The control directory it lies in; `None` for the two that lie outside.
    #[must_use]
    pub const fn parent(&self) -> Option<Self> {
        match self {
            Self::RootDir | Self::BucketDir(_) => None,
            Self::RootStatus | Self::RootMetrics | Self::RootEvents | Self::RootErrors | Self::RootJobs => {
                Some(Self::RootDir)
            }
            Self::BucketDocument(bucket, _)
            | Self::BucketEvents(bucket)
            | Self::BucketErrors(bucket)
            | Self::BucketStats(bucket)
            | Self::BucketPlan(bucket)
            | Self::Uploads(bucket)
            | Self::At(bucket)
            | Self::Scratch(bucket, _) => Some(Self::BucketDir(*bucket)),
            Self::AtTime(bucket, _) => Some(Self::At(*bucket)),
            Self::Upload(bucket, _) => Some(Self::Uploads(*bucket)),
        }
    }

    /// File or directory.
    #[must_use]
    pub const fn kind(&self) -> FileKind {
        match self {
            Self::RootDir | Self::RootJobs | Self::BucketDir(_) | Self::Uploads(_) | Self::At(_) | Self::AtTime(..) => {
                FileKind::Directory
            }
            _ => FileKind::File,
        }
    }

    /// Permission bits. What may be written has write bits for its owner.
    #[must_use]
    pub const fn mode(&self) -> u16 {
        match self {
            Self::BucketDir(_) | Self::Uploads(_) => 0o755,
            Self::BucketDocument(..) | Self::Scratch(..) => 0o644,
            _ => match self.kind() {
                FileKind::Directory => 0o555,
                _ => 0o444,
            },
        }
    }

    /// Whether its text changes while it is open, so that a reader asks for each piece anew.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(
            self,
            Self::RootEvents | Self::BucketEvents(_) | Self::RootErrors | Self::BucketErrors(_) | Self::Scratch(..)
        )
    }

    /// The document it is.
    #[must_use]
    pub fn document(&self) -> Option<&'static Document> {
        match self {
            Self::BucketDocument(_, name) => DOCUMENTS.iter().find(|document| document.name == *name),
            _ => None,
        }
    }
}
