//! What a request asks of an object that this release does not do: refused, never pretended.

use super::super::error::{not_built, refused};
use crate::model::StorageClass;
use hyper::StatusCode;
use s3s::S3Result;

/// What an input asks for besides bytes and their description.
pub(super) struct Extras<'a> {
    pub(super) acl: Option<&'a str>,
    pub(super) grants: bool,
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
            encryption: $input.server_side_encryption.is_some()
                || $input.ssekms_key_id.is_some()
                || $input.sse_customer_key.is_some()
                || $input.sse_customer_algorithm.is_some(),
            class: $input.storage_class.as_ref().map(|class| class.as_str()),
        }
    };
}
pub(super) use extras;

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
        self.class().map(drop)
    }

    /// SC-9, SC-11: the class that is named, `STANDARD` without.
    ///
    /// # Errors
    /// 400 for classes of other kinds of buckets, and names that are none; 501 for `REDUCED_REDUNDANCY`.
    pub(super) fn class(&self) -> S3Result<StorageClass> {
        let name = self.class.filter(|name| !name.is_empty()).unwrap_or(StorageClass::Standard.name());
        StorageClass::named(name).ok_or_else(|| match name {
            "REDUCED_REDUNDANCY" => not_built("the storage class REDUCED_REDUNDANCY"),
            _ => {
                let message = format!("The storage class you specified is not valid: {name:?}");
                refused(StatusCode::BAD_REQUEST, "InvalidStorageClass", message)
            }
        })
    }
}
