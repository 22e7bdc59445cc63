//! Records as bytes: a format version, then postcard.
//!
//! Each record type states its version; a newer version lifts its predecessor when it is read.

use crate::model::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;

thread_local! {
    /// Where records are put together, so that each takes one allocation of the right size.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A record type the index stores.
pub trait Record: Serialize + DeserializeOwned {
    /// What it is called in error messages.
    const NAME: &'static str;
    /// Format version written; read versions are those `lift` accepts.
    const VERSION: u8 = 1;

    /// What a record says that cannot be, although it could be read: nobody downstream asks again.
    fn flaw(&self) -> Option<&'static str> {
        None
    }

    /// Reads an older version's body into today's type.
    ///
    /// # Errors
    /// When the version is not known.
    fn lift(version: u8, _body: &[u8]) -> Result<Self> {
        Err(unknown_version(Self::NAME, version))
    }
}

/// A record's bytes.
#[must_use]
pub fn encode<R: Record>(record: &R) -> Vec<u8> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut bytes = std::mem::take(scratch);
        bytes.clear();
        bytes.push(R::VERSION);
        // Serialising owned data into memory cannot fail; an empty body would be caught by `decode`.
        *scratch = postcard::to_extend(record, bytes).unwrap_or_default();
        scratch.as_slice().to_vec()
    })
}

/// Bytes in one piece: on disk as a sequence of them is, in memory without a look at each.
pub(super) mod whole {
    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;
    use std::fmt;

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

/// A record from its bytes.
///
/// # Errors
/// [`crate::model::Kind::Corrupt`] when the bytes are not such a record.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R> {
    let broken = |why: String| Error::corrupt(format!("cannot read a {} record", R::NAME), why);
    let (version, body) = bytes.split_first().ok_or_else(|| broken("it is empty".into()))?;
    let record = if *version == R::VERSION { fields(R::NAME, body)? } else { R::lift(*version, body)? };
    match R::flaw(&record) {
        None => Ok(record),
        Some(why) => Err(broken(why.into())),
    }
}

/// What follows a record's version, for [`Record::lift`].
///
/// # Errors
/// [`crate::model::Kind::Corrupt`] when it is no such thing, or more.
pub fn fields<T: DeserializeOwned>(name: &str, body: &[u8]) -> Result<T> {
    let broken = |why: String| Error::corrupt(format!("cannot read a {name} record"), why);
    match postcard::take_from_bytes(body) {
        Ok((fields, [])) => Ok(fields),
        Ok((_, rest)) => Err(broken(format!("{} bytes are left over", rest.len()))),
        Err(error) => Err(broken(error.to_string())),
    }
}

/// The error of a version that is not known.
#[must_use]
pub fn unknown_version(name: &str, version: u8) -> Error {
    Error::corrupt(format!("cannot read a {name} record"), format!("its format version is {version}"))
}
