//! Errors for people and programs: three lines, and one exit status for each kind.

use crate::model::{Error, Kind};

/// clap's own.
pub(super) const USAGE: u8 = 2;
const FAILED: u8 = 1;
const NOT_FOUND: u8 = 3;
const DENIED: u8 = 4;
const CONFLICT: u8 = 5;
const UNAVAILABLE: u8 = 6;
const DAMAGE: u8 = 7;

/// What a command returns.
pub(super) type Done = Result<(), Failed>;

/// How a command failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// An error in three parts.
    Error(Error),
    /// All is said already; only the status is left.
    Status(u8),
    /// Whoever reads stdout has had enough.
    Gone,
}

impl Failed {
    /// What `fsck` ends with when it found something.
    pub(super) const DAMAGE: Self = Self::Status(DAMAGE);
    /// What `doctor` ends with when it found something.
    pub(super) const FINDINGS: Self = Self::Status(FAILED);

    /// Prints it and gives the exit status.
    pub(super) fn tell(self, json: bool) -> u8 {
        match self {
            Self::Gone => 0,
            Self::Status(status) => status,
            Self::Error(error) => {
                eprintln!("{}", if json { as_json(&error) } else { in_words(&error) });
                status(error.kind())
            }
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn as_json(error: &Error) -> String {
    serde_json::json!({ "error": {
        "code": error.kind().s3_code(),
        "what": error.what(),
        "why": error.reason(),
        "mend": mend(error),
    } })
    .to_string()
}

/// The three lines of an error.
pub(super) fn in_words(error: &Error) -> String {
    let line = super::output::plain;
    format!("error: {}\nwhy: {}\nmend: {}", line(error.what()), line(error.reason()), line(mend(error)))
}

fn mend(error: &Error) -> &str {
    error.remedy().unwrap_or(match status(error.kind()) {
        NOT_FOUND => "`keyfold ls` lists what there is",
        DENIED => "ask who owns the store",
        CONFLICT => "look at what is there now, then try again",
        UNAVAILABLE => "`keyfold doctor` looks for the cause",
        DAMAGE => "`keyfold fsck` tells what is affected",
        USAGE => "`keyfold help` tells what is accepted",
        _ => "look into keyfold.log in the store; `keyfold doctor` knows common causes",
    })
}

/// The exit status of each kind (INTERFACE section 7).
const fn status(kind: Kind) -> u8 {
    match kind {
        Kind::NoSuchBucket
        | Kind::NoSuchKey
        | Kind::NoSuchVersion
        | Kind::NoSuchUpload
        | Kind::NotSet
        | Kind::NoBucketLock
        | Kind::NoObjectLock
        | Kind::NoSuchEntity
        | Kind::NoSuchVault
        | Kind::IsMarker => NOT_FOUND,
        Kind::InvalidBucketName
        | Kind::InvalidArgument
        | Kind::InvalidRequest
        | Kind::Malformed
        | Kind::MalformedPolicy
        | Kind::InvalidDigest
        | Kind::InvalidName
        | Kind::KeyTooLong
        | Kind::InvalidRetentionPeriod
        | Kind::InvalidTag => USAGE,
        Kind::Denied | Kind::Locked | Kind::NotPermitted | Kind::ReadOnly => DENIED,
        Kind::BucketExists
        | Kind::BucketNotEmpty
        | Kind::PreconditionFailed
        | Kind::AlreadyExists
        | Kind::Conflict
        | Kind::NotEmpty
        | Kind::InvalidState
        | Kind::Archived
        | Kind::NotArchived
        | Kind::InActiveTier
        | Kind::Restoring
        | Kind::IsDirectory
        | Kind::NotDirectory => CONFLICT,
        Kind::StoreBusy | Kind::StoreUnavailable | Kind::StoreFormat => UNAVAILABLE,
        Kind::Corrupt => DAMAGE,
        Kind::TooManyTags
        | Kind::TooManyConfigurations
        | Kind::MetadataTooLarge
        | Kind::Loop
        | Kind::CrossBucket
        | Kind::InvalidPart
        | Kind::InvalidPartOrder
        | Kind::InvalidPartNumber
        | Kind::BadDigest
        | Kind::IncompleteBody
        | Kind::EntityTooSmall
        | Kind::EntityTooLarge
        | Kind::InvalidRange
        | Kind::TooManyLinks
        | Kind::Full
        | Kind::QuotaExceeded
        | Kind::Io
        | Kind::Unsupported => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::{in_words, status};
    use crate::model::{Error, Kind};

    #[test]
    fn every_error_has_three_lines_and_a_status_from_1_to_7() {
        for kind in Kind::ALL {
            assert!((1..=7).contains(&status(*kind)), "{kind:?}");
            let words = in_words(&Error::new(*kind, "cannot do\nit"));
            let starts: Vec<_> =
                words.lines().filter_map(|line| line.split_once(": ")).map(|(start, _)| start).collect();
            assert_eq!(starts, ["error", "why", "mend"], "{words}");
        }
    }
}
