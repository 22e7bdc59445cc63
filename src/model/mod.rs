//! The nouns of S3 and of a file, and their limits: pure data, no I/O, no clock.

mod archive;
mod attrs;
mod bucket;
mod checksum;
mod conditions;
mod error;
mod etag;
mod ids;
mod key;
mod lock;
mod metadata;
mod metering;
mod object;
mod principal;
mod quantity;
mod tags;
mod time;

pub use archive::{Aging, ArchiveTier, Restore, RestoreTier};
pub use attrs::{FileKind, Posix, XATTRS_BYTES_MAX, Xattrs};
pub use bucket::{Bucket, BucketName, Usage, Versioning};
pub use checksum::{ChecksumAlgorithm, ChecksumType, MadeBy, ObjectPart, ObjectSum, ObjectSums, Sum, parse_md5};
pub use conditions::{Conditions, Tags, Verdict};
pub use error::{Error, Kind, Result};
pub use etag::ETag;
pub use ids::{BucketId, ContentId, DirId, Ino, NUMBER_IN_USE_MAX, NUMBER_MAX, Seq, UploadId, VersionId};
pub use key::{KEY_BYTES_MAX, ObjectKey};
pub use lock::{
    BucketLock, DefaultRetention, Kept, Leave, ObjectLock, Period, Retention, RetentionMode, parse_hold, show_hold,
};
pub use metadata::{METADATA_BYTES_MAX, Metadata, SystemHeader};
pub use metering::{ByClass, ClassMeter, Count, Held, Ledger, Meter, Month, nanos_between};
pub use object::{Checksum, Object, StorageClass};
pub use principal::{ACCESS_KEY_ID_BYTES, ACCOUNT, AccessKey, AccessKeyId, MfaDevice, REGION, User, UserName};
pub use quantity::{parse_duration, parse_size, size_text};
pub use tags::{TAGS_MAX, TagSet};
pub use time::{Timestamp, parse_rfc3339};
