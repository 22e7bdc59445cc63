//! Entity tags: a name for an object's bytes, as S3 clients compare them (SUM-1 to SUM-4).

use super::ids::hex_bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// 128 bits in hex and, for objects not made by one plain PUT, a part count: `HEX-N`.
///
/// A mount's object carries an opaque tag drawn from its content's identity, so that no write pays for MD5.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ETag {
    /// The digest, or opaque bits when it is not one.
    pub digest: [u8; 16],
    /// Parts; 0 for a plain PUT, whose tag is the bare MD5.
    pub parts: u32,
}

impl ETag {
    /// The tag of an empty body: MD5 of nothing (SIZE-5).
    pub const EMPTY: Self = Self {
        digest: [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42, 0x7e],
        parts: 0,
    };

    /// The tag that a client wrote, in quotes or without; `None` for what no object of ours has.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let (hex, parts) = match bare.split_once('-') {
            Some((hex, parts)) => (hex, parts.parse().ok().filter(|parts| *parts > 0)?),
            None => (bare, 0),
        };
        let digest = hex_bytes(hex)?;
        let tag = Self { digest, parts };
        // One way to write it: no `+`, no zeros in front.
        (tag.to_string() == bare).then_some(tag)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if self.parts > 0 {
            write!(f, "-{}", self.parts)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ETag;

    #[test]
    fn size_5_the_empty_object_has_the_md5_of_nothing() {
        assert_eq!(ETag::EMPTY.to_string(), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(ETag { digest: [0xab; 16], parts: 3 }.to_string(), format!("{}-3", "ab".repeat(16)));
    }

    #[test]
    fn tags_read_back_as_written() {
        for parts in [0, 1, 10_000] {
            let tag = ETag { digest: [0xa5; 16], parts };
            assert_eq!(ETag::parse(&tag.to_string()), Some(tag));
            assert_eq!(ETag::parse(&format!("\"{tag}\"")), Some(tag));
        }
        let hex = "a5".repeat(16);
        for bad in
            ["", "*", &hex[1..], &hex.to_uppercase(), &format!("{hex}-0"), &format!("{hex}-+1"), &format!("\"{hex}")]
        {
            assert_eq!(ETag::parse(bad), None, "{bad}");
        }
    }
}
