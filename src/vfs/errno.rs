//! What the kernel is told when a call fails: one table from the store's kinds, no default arm.

use crate::model::{Error, Kind};
use crate::sys::abi;

/// An error number as `errno(3)` lists them; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Errno(pub i32);

macro_rules! numbers {
    ($($name:ident)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: Self = Self(abi::$name);)*
        }
    };
}

numbers! {
    EACCES EAGAIN EBADF EBUSY EDQUOT EEXIST EFBIG EILSEQ EINVAL EIO EISDIR EMLINK ENAMETOOLONG ENODATA ENODEV
    ENOENT ENOSPC ENOSYS ENOTDIR ENOTEMPTY ENXIO EOPNOTSUPP EPERM ERANGE EREMOTE EROFS ESTALE ETXTBSY EXDEV E2BIG
}

/// The number for a kind of error (GEN-8). A new kind does not compile until it has one.
#[must_use]
pub const fn errno(kind: Kind) -> Errno {
    match kind {
        Kind::NoSuchBucket
        | Kind::NoSuchKey
        | Kind::NoSuchVersion
        | Kind::NoSuchUpload
        | Kind::NoSuchEntity
        | Kind::NoSuchVault
        | Kind::IsMarker => Errno::ENOENT,
        #[cfg(target_os = "macos")]
        Kind::NotSet | Kind::NoBucketLock | Kind::NoObjectLock => Errno(abi::ENOATTR),
        #[cfg(not(target_os = "macos"))]
        Kind::NotSet | Kind::NoBucketLock | Kind::NoObjectLock => Errno::ENODATA,
        Kind::BucketExists | Kind::AlreadyExists => Errno::EEXIST,
        Kind::BucketNotEmpty | Kind::NotEmpty => Errno::ENOTEMPTY,
        Kind::InvalidBucketName
        | Kind::InvalidArgument
        | Kind::InvalidRequest
        | Kind::Malformed
        | Kind::MalformedPolicy
        | Kind::InvalidDigest
        | Kind::InvalidTag
        | Kind::TooManyConfigurations
        | Kind::InvalidPart
        | Kind::InvalidPartOrder
        | Kind::InvalidPartNumber
        | Kind::EntityTooSmall
        | Kind::InvalidRange
        | Kind::InvalidState
        | Kind::InvalidRetentionPeriod
        | Kind::Loop => Errno::EINVAL,
        Kind::InvalidName => Errno::EILSEQ,
        Kind::KeyTooLong => Errno::ENAMETOOLONG,
        Kind::TooManyTags | Kind::MetadataTooLarge | Kind::Full => Errno::ENOSPC,
        Kind::QuotaExceeded => Errno::EDQUOT,
        Kind::PreconditionFailed => Errno::ESTALE,
        Kind::Conflict => Errno::EAGAIN,
        Kind::IsDirectory => Errno::EISDIR,
        Kind::NotDirectory => Errno::ENOTDIR,
        Kind::CrossBucket => Errno::EXDEV,
        Kind::Denied => Errno::EACCES,
        Kind::NotPermitted | Kind::Locked => Errno::EPERM,
        Kind::ReadOnly => Errno::EROFS,
        Kind::EntityTooLarge => Errno::EFBIG,
        Kind::TooManyLinks => Errno::EMLINK,
        Kind::Archived => Errno::EREMOTE,
        Kind::NotArchived | Kind::InActiveTier => Errno::EINVAL,
        Kind::Restoring => Errno::EBUSY,
        Kind::Corrupt
        | Kind::Io
        | Kind::BadDigest
        | Kind::IncompleteBody
        | Kind::StoreUnavailable
        | Kind::StoreFormat => Errno::EIO,
        Kind::StoreBusy => Errno::EBUSY,
        Kind::Unsupported => Errno::EOPNOTSUPP,
    }
}

/// Whether the number alone tells a person what happened, so that no line in the error ring is due.
#[must_use]
pub(super) const fn explains_itself(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::NoSuchBucket
            | Kind::NoSuchKey
            | Kind::NoSuchVersion
            | Kind::NotSet
            | Kind::NoBucketLock
            | Kind::NoObjectLock
            | Kind::BucketExists
            | Kind::AlreadyExists
            | Kind::NotEmpty
            | Kind::IsDirectory
            | Kind::NotDirectory
            | Kind::Loop
            | Kind::CrossBucket
            | Kind::Unsupported
            | Kind::KeyTooLong
            | Kind::TooManyLinks
    )
}

/// Why a call failed: an error of the store, or a number that has no words.
#[derive(Debug)]
pub(super) enum Fault {
    /// The store's error; the doors make a number of it and, where that is too little, a line in the error ring.
    Store(Error),
    /// Just the number.
    Bare(Errno),
}

impl Fault {
    /// Whether what was looked for is not there.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Store(error) => errno(error.kind()) == Errno::ENOENT,
            Self::Bare(errno) => *errno == Errno::ENOENT,
        }
    }

    /// Whether bytes that were looked up were replaced before they were opened.
    pub(super) fn is_replaced(&self) -> bool {
        matches!(self, Self::Store(error) if error.kind() == Kind::NoSuchVersion)
    }
}

impl Fault {
    /// Of bytes that were not there although they are still named: they are lost, and not replaced.
    pub(super) fn or_lost(self) -> Self {
        if self.is_replaced() { Self::Store(crate::store::lost()) } else { self }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Bare(errno)
    }
}

/// What the rooms of the file view return to each other.
pub(super) type Outcome<T> = std::result::Result<T, Fault>;

#[cfg(test)]
mod tests {
    use super::{Errno, errno};
    use crate::model::Kind;

    #[test]
    fn gen_8_every_kind_has_a_number() {
        for kind in Kind::ALL {
            assert!(errno(*kind).0 > 0, "{kind:?}");
        }
        assert_eq!(errno(Kind::Denied), Errno::EACCES);
        assert_eq!(errno(Kind::NotPermitted), Errno::EPERM);
        assert_eq!(errno(Kind::Locked), Errno::EPERM);
        assert_eq!(errno(Kind::CrossBucket), Errno::EXDEV);
    }
}
