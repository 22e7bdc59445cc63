//! Errors: a kind says what the caller can do, three parts say what happened, why, and how to mend it.

use std::borrow::Cow;
use std::fmt;

/// What every fallible call of the library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What went wrong, as far as a caller can act on it. The doors map each to an errno, an S3 code
        /// and an exit status in exhaustive tables.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every kind, for tables and their tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The S3 error code clients know this kind by.
            #[must_use]
            pub const fn s3_code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

kinds! {
    /// No bucket of that name.
    NoSuchBucket = "NoSuchBucket",
    /// No object under that key.
    NoSuchKey = "NoSuchKey",
    /// No such version of the object.
    NoSuchVersion = "NoSuchVersion",
    /// The upload id is unknown, completed or aborted.
    NoSuchUpload = "NoSuchUpload",
    /// The named setting, xattr or document is not set.
    NotSet = "NoSuchConfiguration",
    /// No user or access key of that name.
    NoSuchEntity = "NoSuchEntity",
    /// The object lies in an archive and must be restored before it is read (RST-9, IT-8).
    Archived = "InvalidObjectState",
    /// The object lies in no archive (RST-14).
    NotArchived = "InvalidObjectState",
    /// The object in `INTELLIGENT_TIERING` lies in no archive tier (RST-14).
    InActiveTier = "ObjectAlreadyInActiveTierError",
    /// A restore of the object runs (RST-5).
    Restoring = "RestoreAlreadyInProgress",
    /// The bucket exists already.
    BucketExists = "BucketAlreadyOwnedByYou",
    /// The bucket holds objects, versions or markers (BKT-12).
    BucketNotEmpty = "BucketNotEmpty",
    /// The name breaks a rule of bucket names (BKT-1 to BKT-7).
    InvalidBucketName = "InvalidBucketName",
    /// A value is malformed.
    InvalidArgument = "InvalidArgument",
    /// A document that lacks what it must have, or has what it cannot have.
    Malformed = "MalformedXML",
    /// A policy that is none, or could never say anything (BPOL-2).
    MalformedPolicy = "MalformedPolicy",
    /// No vault of that name, or nothing of that name in it.
    NoSuchVault = "ResourceNotFoundException",
    /// What was asked does not go together.
    InvalidRequest = "InvalidRequest",
    /// A digest is malformed (SUM-6).
    InvalidDigest = "InvalidDigest",
    /// The bytes that came are not those that a checksum was given of (SUM-6, SUM-13).
    BadDigest = "BadDigest",
    /// Fewer or more bytes came than were said (SIZE-6).
    IncompleteBody = "IncompleteBody",
    /// The name is not UTF-8 (KEY-14).
    InvalidName = "InvalidURI",
    /// A key over 1024 bytes (KEY-1), or a name over what a directory can hold.
    KeyTooLong = "KeyTooLongError",
    /// A tag set breaks a rule (TAG-2 to TAG-4).
    InvalidTag = "InvalidTag",
    /// An 11th tag (TAG-1).
    TooManyTags = "InvalidTag",
    /// A 1,001st configuration of a bucket (IT-10, SCA-1).
    TooManyConfigurations = "TooManyConfigurations",
    /// User metadata over its budget (META-3), or foreign xattrs over theirs.
    MetadataTooLarge = "MetadataTooLarge",
    /// A stated condition does not hold (COND).
    PreconditionFailed = "PreconditionFailed",
    /// A name that must be new is taken.
    AlreadyExists = "PreconditionFailed",
    /// Another change got in between; the call may be repeated.
    Conflict = "OperationAborted",
    /// The method is not allowed on a delete marker (READ-2).
    IsMarker = "MethodNotAllowed",
    /// A directory stands where an object is needed.
    IsDirectory = "InvalidRequest",
    /// An object stands where a directory is needed.
    NotDirectory = "InvalidRequest",
    /// The directory holds entries.
    NotEmpty = "BucketNotEmpty",
    /// The rename would put a directory below itself.
    Loop = "InvalidRequest",
    /// Source and destination are in different buckets.
    CrossBucket = "InvalidRequest",
    /// The caller may not do this.
    Denied = "AccessDenied",
    /// A version is retained or on hold (LOCK-4, LOCK-5, LOCK-12).
    Locked = "AccessDenied",
    /// The bucket has no object lock (LOCK-11).
    NoBucketLock = "ObjectLockConfigurationNotFoundError",
    /// The version has no retention or no legal hold (LOCK-11).
    NoObjectLock = "NoSuchObjectLockConfiguration",
    /// A default retention that is none (LOCK-8).
    InvalidRetentionPeriod = "InvalidRetentionPeriod",
    /// The thing is read-only by its nature.
    NotPermitted = "AccessDenied",
    /// The mount or the store takes no changes now.
    ReadOnly = "AccessDenied",
    /// A part number or its etag is unknown (MPU-4).
    InvalidPart = "InvalidPart",
    /// Parts not in ascending order (MPU-4).
    InvalidPartOrder = "InvalidPartOrder",
    /// The object has no part of that number (READ-9).
    InvalidPartNumber = "InvalidPartNumber",
    /// A part other than the last under 5 MiB (MPU-2).
    EntityTooSmall = "EntityTooSmall",
    /// An object over the size limit (SIZE-1).
    EntityTooLarge = "EntityTooLarge",
    /// A range that lies outside the object (READ-6).
    InvalidRange = "InvalidRange",
    /// The versioning state does not allow this (VER-1, VER-18).
    InvalidState = "InvalidBucketState",
    /// A name has as many links as it can have.
    TooManyLinks = "InvalidRequest",
    /// The disk has no room.
    Full = "InsufficientStorage",
    /// The bucket's quota has no room.
    QuotaExceeded = "QuotaExceeded",
    /// Stored bytes fail their checksum; they are never handed out.
    Corrupt = "InternalError",
    /// The operating system reported an error.
    Io = "InternalError",
    /// Another process owns the store.
    StoreBusy = "ServiceUnavailable",
    /// No store here, or it cannot be reached.
    StoreUnavailable = "ServiceUnavailable",
    /// The store was written by a newer release.
    StoreFormat = "ServiceUnavailable",
    /// Not offered here, now or ever.
    Unsupported = "NotImplemented",
}

/// An error of the store: kind, what failed, why, and how to mend it.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: Cow<'static, str>,
    why: Option<Cow<'static, str>>,
    mend: Option<Cow<'static, str>>,
    facts: Vec<(&'static str, &'static str)>,
    source: Option<std::io::Error>,
}

impl Error {
    /// An error of `kind`; `what` names the act and the thing it failed on.
    pub fn new(kind: Kind, what: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, what: what.into(), why: None, mend: None, facts: Vec::new(), source: None }
    }

    /// A value that people wrote and that cannot be read.
    pub fn bad_value(what: &str, text: &str, why: &'static str, mend: &'static str) -> Self {
        Self::new(Kind::InvalidArgument, format!("cannot read the {what} {text:?}")).why(why).mend(mend)
    }

    /// An operating system's error: `Full` for ENOSPC and EDQUOT, `Io` otherwise.
    pub fn io(what: impl Into<Cow<'static, str>>, source: std::io::Error) -> Self {
        let full = matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
        let mut error = Self::new(if full { Kind::Full } else { Kind::Io }, what).why(source.to_string());
        if full {
            error = error.mend("free space on the store's disk: deleting objects always works");
        }
        error.source = Some(source);
        error
    }

    /// Bytes from the disk that are not what was written.
    pub fn corrupt(what: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Corrupt, what)
            .why(why)
            .mend("run `keyfold fsck` to see what is affected; older versions may still read")
    }

    /// Adds the reason.
    #[must_use]
    pub fn why(mut self, why: impl Into<Cow<'static, str>>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Adds the way out.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<Cow<'static, str>>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// Adds a fact that programs can act on, by its name.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: &'static str) -> Self {
        self.facts.push((name, value));
        self
    }

    /// The facts, each with its name.
    #[must_use]
    pub fn facts(&self) -> &[(&'static str, &'static str)] {
        &self.facts
    }

    /// What the caller can act on.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What failed, on what.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The reason, or the kind's own words.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.why.as_deref().unwrap_or_else(|| self.kind.s3_code())
    }

    /// How to mend it, when there is a way.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.mend.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        write!(f, ": {}", self.reason())?;
        if let Some(mend) = &self.mend {
            write!(f, "; {mend}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
