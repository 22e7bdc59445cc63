//! What a request asks of an object that this release does not do: refused, never pretended.

use super::super::error::{not_built, refused};
use hyper::StatusCode;
use s3s::S3Result;

/// What an input asks for besides bytes and their description.
pub(super) struct Extras<'a> {
    pub(super) acl: Option<&'a str>,
    pub(super) grants: bool,
    pub(super) lock: bool,
    pub(super) encryption: bool,
    pub(super) class: Option<&'a str>,
}

/// The extras of an input of the protocol.
macro_rules! extras {
    ($input:expr) => {
        $crate::gateway::operations::extras::Extras {
            acl: $input.acl.as_ref().map(|acl| acl.as_str()),
            grants: $input.grant_full_control.is_some()
                || $input.grant_read.is_some()
                || $input.grant_read_acp.is_some()
                || $input.grant_write_acp.is_some(),
            lock: $input.object_lock_legal_hold_status.is_some()
                || $input.object_lock_mode.is_some()
                || $input.object_lock_retain_until_date.is_some(),
            encryption: $input.server_side_encryption.is_some()
                || $input.ssekms_key_id.is_some()
                || $input.sse_customer_key.is_some()
                || $input.sse_customer_algorithm.is_some(),
            class: $input.storage_class.as_ref().map(|class| class.as_str()),
        }
    };
}
pub(super) use extras;

/// S3's classes that this release does not have.
const CLASSES: &[&str] = &[
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
    "OUTPOSTS",
    "SNOW",
    "EXPRESS_ONEZONE",
    "FSX_OPENZFS",
];

impl Extras<'_> {
    /// # Errors
    /// 501 for what is not built; 400 for access lists that grant anything, which are off (ACL-1), and words that are none.
    pub(super) fn refuse(&self) -> S3Result<()> {
        if self.grants || self.acl.is_some_and(|acl| !matches!(acl, "private" | "bucket-owner-full-control")) {
            let message = "The bucket does not allow ACLs";
            return Err(refused(StatusCode::BAD_REQUEST, "AccessControlListNotSupported", message));
        }
        if self.encryption {
            return Err(not_built("encryption of objects"));
        }
        if self.lock {
            let message = "Bucket is missing Object Lock Configuration";
            return Err(refused(StatusCode::BAD_REQUEST, "InvalidRequest", message));
        }
        match self.class {
            None | Some("" | "STANDARD") => Ok(()),
            Some(class) if CLASSES.contains(&class) => Err(not_built(&format!("the storage class {class}"))),
            Some(class) => {
                let message = format!("there is no storage class {class:?}");
                Err(refused(StatusCode::BAD_REQUEST, "InvalidStorageClass", message))
            }
        }
    }
}
