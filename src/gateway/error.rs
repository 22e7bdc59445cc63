//! The engine's errors as S3 clients know them: one table of kinds and statuses, and how a message is worded.

use crate::model::{Error, Kind};
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use s3s::{S3Error, S3ErrorCode};

/// The HTTP status of each kind; its code is [`Kind::s3_code`].
const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::NoSuchBucket
        | Kind::NoSuchKey
        | Kind::NoSuchVersion
        | Kind::NoSuchUpload
        | Kind::NoSuchEntity
        | Kind::NoSuchVault
        | Kind::NotSet
        | Kind::NoBucketLock
        | Kind::NoObjectLock => StatusCode::NOT_FOUND,
        Kind::BucketExists
        | Kind::BucketNotEmpty
        | Kind::NotEmpty
        | Kind::Conflict
        | Kind::InvalidState
        | Kind::Restoring => StatusCode::CONFLICT,
        Kind::InvalidBucketName
        | Kind::InvalidArgument
        | Kind::InvalidName
        | Kind::KeyTooLong
        | Kind::InvalidTag
        | Kind::TooManyTags
        | Kind::TooManyConfigurations
        | Kind::MetadataTooLarge
        | Kind::IsDirectory
        | Kind::NotDirectory
        | Kind::Loop
        | Kind::CrossBucket
        | Kind::InvalidPart
        | Kind::InvalidPartOrder
        | Kind::EntityTooSmall
        | Kind::EntityTooLarge
        | Kind::InvalidRequest
        | Kind::Malformed
        | Kind::MalformedPolicy
        | Kind::InvalidDigest
        | Kind::BadDigest
        | Kind::IncompleteBody
        | Kind::InvalidRetentionPeriod
        | Kind::TooManyLinks => StatusCode::BAD_REQUEST,
        Kind::PreconditionFailed | Kind::AlreadyExists => StatusCode::PRECONDITION_FAILED,
        Kind::IsMarker => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Denied
        | Kind::Locked
        | Kind::NotPermitted
        | Kind::ReadOnly
        | Kind::Archived
        | Kind::NotArchived
        | Kind::InActiveTier
        | Kind::QuotaExceeded => StatusCode::FORBIDDEN,
        Kind::InvalidRange | Kind::InvalidPartNumber => StatusCode::RANGE_NOT_SATISFIABLE,
        Kind::Full => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Corrupt | Kind::Io => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::StoreBusy | Kind::StoreUnavailable | Kind::StoreFormat => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Unsupported => StatusCode::NOT_IMPLEMENTED,
    }
}

/// An error of the engine as the client gets it. What is the store's own trouble is logged, not told to strangers.
pub(super) fn told(error: &Error) -> S3Error {
    let status = status(error.kind());
    let message = if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        tracing::warn!(%error, "a request over HTTP failed");
        error.what().to_owned()
    } else {
        error.to_string()
    };
    let mut refusal = refused(status, error.kind().s3_code(), message);
    let mut headers = HeaderMap::new();
    for (name, value) in error.facts() {
        if let Ok(value) = HeaderValue::from_str(&format!("{name}={value}")) {
            headers.append(FACT, value);
        }
    }
    if !headers.is_empty() {
        refusal.set_headers(headers);
    }
    refusal
}

/// The header in which a refusal carries what becomes an element of its answer's body: `NAME=VALUE`.
pub(super) const FACT: HeaderName = HeaderName::from_static("x-keyfold-fact");

/// A refusal with any code.
pub(super) fn refused(status: StatusCode, code: &str, message: impl Into<String>) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(code, message.into());
    error.set_status_code(status);
    error
}

/// What is wrong, where the protocol's library refuses without a word.
pub(super) fn reason(code: &str) -> &'static str {
    match code {
        "IncompleteBody" => "The body ended before the length that was promised.",
        "InvalidBucketName" => {
            "A bucket's name has 3 to 63 characters of a-z, 0-9, '.' and '-', the first and the last a letter or a digit."
        }
        "InvalidRange" => "No byte of the object lies in the range.",
        "InvalidURI" => "The path is no percent-encoded UTF-8.",
        "KeyTooLongError" => "A key has at most 1024 bytes of UTF-8.",
        "MalformedXML" => "The body is not the XML that this operation takes.",
        "MethodNotAllowed" => "There is no such method for this resource.",
        "MissingRequestBodyError" => "This operation needs a body.",
        "NotImplemented" => "This release does not offer that.",
        "SignatureDoesNotMatch" => {
            "The signature is not the one of this request with this access key: check the secret access key, and that nothing \
             on the way changes the request."
        }
        _ => "The request was refused.",
    }
}

/// The refusal of what this release does not do: never a pretended success.
pub(super) fn not_built(what: &str) -> S3Error {
    refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented", format!("this release does not offer {what}"))
}

/// A refusal of a value.
pub(super) fn invalid(message: impl Into<String>) -> S3Error {
    refused(StatusCode::BAD_REQUEST, "InvalidArgument", message)
}

#[cfg(test)]
mod tests {
    use super::{Error, Kind, status, told};

    /// GEN-3, GEN-8: clients tell their own mistakes from the store's troubles by the status.
    #[test]
    fn every_kind_has_a_status_that_fits_its_code() {
        for kind in Kind::ALL {
            let told = told(&Error::new(*kind, "cannot do it"));
            assert_eq!(told.code().as_str(), kind.s3_code());
            assert_eq!(told.status_code(), Some(status(*kind)));
            // Where the protocol knows the code, its status is ours.
            let known = told.code().status_code();
            assert!(known.is_none_or(|known| known == status(*kind)), "{kind:?}: {known:?}");
        }
    }

    #[test]
    fn a_strangers_message_tells_nothing_of_the_machine() {
        let error = Error::new(Kind::Io, "cannot read the object").why("/srv/secret: input/output error");
        assert_eq!(told(&error).message(), Some("cannot read the object"));
        let error = Error::new(Kind::NoSuchKey, "cannot find a").why("no object has the key");
        assert!(told(&error).message().is_some_and(|message| message.contains("no object has the key")));
    }
}
