//! `retention`, `legal-hold` and a bucket's `default-retention` (LOCK).
//!
//! On the mount nobody bypasses GOVERNANCE: that takes an explicit word, which only the command line and S3 have (LOCK-4).

use super::apply::word;
use super::names::What;
use super::{SetEffect, Target};
use crate::model::{Bucket, BucketLock, DefaultRetention, Error, Kind, Leave, Result, Retention, parse_hold};
use crate::store::{Locked, Store};

/// Sets, or without a value removes, the retention or legal hold of a version.
///
/// # Errors
/// As [`Store::set_retention`]; [`Kind::NotPermitted`] for a file that was not published yet.
pub(super) fn set(store: &Store, target: &Target, what: What, value: Option<&[u8]>) -> Result<SetEffect> {
    let (dirs, component, object) = match target {
        Target::File { entry, .. } if entry.draft => {
            return Err(Error::new(Kind::NotPermitted, "cannot lock a file that is being made")
                .why("locks are on versions, and it has none before it is closed")
                .mend("close it first"));
        }
        Target::File { dir, component, entry, .. } => (vec![*dir], component, &entry.object),
        Target::Version { dirs, component, object } => (dirs.clone(), component, object),
        Target::Root | Target::Bucket(..) | Target::Dir(_) => return Err(super::not_set()),
    };
    let of = Locked::name(&dirs, component, Some((object.version, object.seq)));
    let before = object.lock;
    let after = match what {
        What::Retention => {
            let retention = value.map(|value| Retention::parse(word(value)?)).transpose()?;
            store.set_retention(&of, retention, Leave::default())?
        }
        _ => store.set_legal_hold(&of, value.map(|value| parse_hold(word(value)?)).transpose()?)?,
    };
    Ok(if before == after.lock { SetEffect::Unchanged } else { SetEffect::Stored })
}

/// Sets, or without a value removes, what a bucket's new versions get.
///
/// # Errors
/// [`Kind::InvalidRequest`] where the bucket has no object lock, else as [`Store::set_bucket_lock`].
pub(super) fn set_default(store: &Store, bucket: &Bucket, value: Option<&[u8]>) -> Result<()> {
    let default = value.map(|value| DefaultRetention::parse(word(value)?)).transpose()?;
    if bucket.lock.is_none() {
        return Err(Error::new(Kind::InvalidRequest, "cannot set the bucket's default retention")
            .why("it has no object lock (LOCK-11)")
            .mend("enable it first: `keyfold bucket set BUCKET object-lock '{\"ObjectLockEnabled\":\"Enabled\"}'`"));
    }
    store.set_bucket_lock(bucket.name.as_str(), BucketLock { default })
}
