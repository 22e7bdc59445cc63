//! Identifiers: distinct types that do not mix and do not add up.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id!(
    /// A bucket, never reused.
    BucketId
);
id!(
    /// A directory; the same number is its inode number. A bucket's root is one too.
    DirId
);
id!(
    /// An inode number as `stat` shows it; survives remounts and renames, never reused.
    Ino
);
id!(
    /// An immutable sequence of bytes shared by copies, versions and renames. Zero is the empty content.
    ContentId
);
id!(
    /// Position in a name's stack of versions: the highest is the current one (VER-10).
    Seq
);
id!(
    /// A multipart upload in progress.
    UploadId
);

/// The largest number that the store's counters reach in any store's life; inode numbers from 2^63 on are the mount's own.
/// A larger one on the disk is damage.
pub const NUMBER_MAX: u64 = ContentId::FIRST_INLINE.0;

/// The largest number that is believed to be somebody's: the counter behind it has room below [`NUMBER_MAX`].
pub const NUMBER_IN_USE_MAX: u64 = NUMBER_MAX / 2;

impl From<DirId> for Ino {
    fn from(dir: DirId) -> Self {
        Self(dir.0)
    }
}

impl ContentId {
    /// The content of no bytes, which takes no record.
    pub const EMPTY: Self = Self(0);
    /// Contents whose bytes lie in the index come after all others, where a walk over those does not meet them.
    pub const FIRST_INLINE: Self = Self(1 << 48);

    /// The content of that number whose bytes lie in the index.
    #[must_use]
    pub const fn inline(number: u64) -> Self {
        Self(Self::FIRST_INLINE.0 | number)
    }

    /// The number it was given out under.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0 & !Self::FIRST_INLINE.0
    }
}

/// Name of one version of an object: `null`, or an opaque id made by the store (VER-3, VER-5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum VersionId {
    /// Written while the bucket was unversioned or suspended; at most one a key (VER-9).
    Null,
    /// An id made while versioning was enabled: 16 opaque bytes, shown as 32 hex digits.
    Id([u8; 16]),
}

impl VersionId {
    /// Parses `null` or 32 lower-case hex digits; anything else is malformed (READ-5).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::Null);
        }
        hex_bytes(text).map(Self::Id)
    }
}

/// The bytes behind 32 lower-case hex digits.
pub(super) fn hex_bytes(text: &str) -> Option<[u8; 16]> {
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0u8; 16];
    for (slot, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *slot = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Id(id) => id.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::VersionId;

    #[test]
    fn version_ids_read_back_as_written() {
        for id in [VersionId::Null, VersionId::Id([0xa5; 16]), VersionId::Id([0; 16])] {
            assert_eq!(VersionId::parse(&id.to_string()), Some(id));
        }
        for bad in ["", "NULL", "a5", "zz", &"A5".repeat(16), &"a5".repeat(17)] {
            assert_eq!(VersionId::parse(bad), None, "{bad}");
        }
    }
}
