//! Object keys: 1 to 1024 bytes of UTF-8, split at `/` into components (KEY-1 to KEY-3).

use super::{Error, Kind, Result};
use std::fmt;

/// Longest key in bytes (KEY-1).
pub const KEY_BYTES_MAX: usize = 1024;

/// A key that parsed: nobody downstream asks again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Box<str>);

impl ObjectKey {
    /// Takes a key as it is, byte for byte; `//`, `.` and `..` are kept (KEY-9, KEY-10).
    ///
    /// # Errors
    /// [`Kind::KeyTooLong`] over 1024 bytes, [`Kind::InvalidArgument`] when empty.
    pub fn parse(raw: &str) -> Result<Self> {
        if raw.is_empty() {
            return Err(Error::new(Kind::InvalidArgument, "an object needs a key").why("the key is empty"));
        }
        if raw.len() > KEY_BYTES_MAX {
            return Err(Error::new(Kind::KeyTooLong, "cannot use the key")
                .why(format!("it is {} bytes long, the limit is {KEY_BYTES_MAX}", raw.len()))
                .mend("use a shorter path below the bucket"));
        }
        Ok(Self(raw.into()))
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories above the object and the object's own component. A directory's component keeps its
    /// trailing `/`; a marker key (`a/b/`) ends in such a component.
    #[must_use]
    pub fn split(&self) -> (Vec<&str>, &str) {
        let mut parts: Vec<&str> = self.0.split_inclusive('/').collect();
        let last = parts.pop().unwrap_or_default();
        (parts, last)
    }

    /// Whether this is the key of a directory's marker object, `dir/`.
    #[must_use]
    pub fn is_marker_key(&self) -> bool {
        self.0.ends_with('/')
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::ObjectKey;

    #[test]
    fn keys_split_at_slashes_and_keep_empty_parts() {
        let split = |raw: &str| {
            let key = ObjectKey::parse(raw).unwrap();
            let (dirs, last) = key.split();
            (dirs.iter().map(ToString::to_string).collect::<Vec<_>>(), last.to_owned())
        };
        assert_eq!(split("a"), (vec![], "a".into()));
        assert_eq!(split("a//b"), (vec!["a/".into(), "/".into()], "b".into()));
        assert_eq!(split("/x"), (vec!["/".into()], "x".into()));
        assert_eq!(split("a/b/"), (vec!["a/".into()], "b/".into()));
    }

    #[test]
    fn key_1_length_is_1_to_1024_bytes() {
        assert!(ObjectKey::parse("").is_err());
        assert!(ObjectKey::parse(&"k".repeat(1024)).is_ok());
        assert!(ObjectKey::parse(&"k".repeat(1025)).is_err());
    }
}
