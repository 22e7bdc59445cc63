//! Checksums that S3's clients choose, give and ask for (SUM-6 to SUM-11).

use super::{Error, Kind, Result, Timestamp, UploadId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The algorithms of checksums (SUM-7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ChecksumAlgorithm {
    /// `CRC32`
    Crc32,
    /// `CRC32C`
    Crc32c,
    /// `CRC64NVME`, of uploads that bring none (SUM-8).
    Crc64Nvme,
    /// `SHA1`
    Sha1,
    /// `SHA256`
    Sha256,
}

/// What a multipart object's checksum is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ChecksumType {
    /// Of all its bytes.
    FullObject,
    /// Of its parts' checksums.
    Composite,
}

impl ChecksumAlgorithm {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// S3's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The one of that name, in upper or lower case as headers have it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// Length of its values in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Whether an upload in parts may have such a checksum of that type (SUM-9).
    #[must_use]
    pub const fn allows(self, kind: ChecksumType) -> bool {
        match self {
            Self::Crc32 | Self::Crc32c => true,
            Self::Crc64Nvme => matches!(kind, ChecksumType::FullObject),
            Self::Sha1 | Self::Sha256 => matches!(kind, ChecksumType::Composite),
        }
    }

    /// The type of an upload that names the algorithm alone.
    #[must_use]
    pub const fn usual_type(self) -> ChecksumType {
        match self {
            Self::Crc64Nvme => ChecksumType::FullObject,
            Self::Crc32 | Self::Crc32c | Self::Sha1 | Self::Sha256 => ChecksumType::Composite,
        }
    }
}

impl ChecksumType {
    /// S3's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::FullObject, Self::Composite].into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// A checksum's value: its bytes from the highest on, as S3 writes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Sum {
    /// `CRC32`
    Crc32([u8; 4]),
    /// `CRC32C`
    Crc32c([u8; 4]),
    /// `CRC64NVME`
    Crc64Nvme([u8; 8]),
    /// `SHA1`
    Sha1([u8; 20]),
    /// `SHA256`
    Sha256([u8; 32]),
}

impl Sum {
    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> ChecksumAlgorithm {
        match self {
            Self::Crc32(_) => ChecksumAlgorithm::Crc32,
            Self::Crc32c(_) => ChecksumAlgorithm::Crc32c,
            Self::Crc64Nvme(_) => ChecksumAlgorithm::Crc64Nvme,
            Self::Sha1(_) => ChecksumAlgorithm::Sha1,
            Self::Sha256(_) => ChecksumAlgorithm::Sha256,
        }
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        match self {
            Self::Crc32(bytes) | Self::Crc32c(bytes) => bytes,
            Self::Crc64Nvme(bytes) => bytes,
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }

    /// The value with those bytes; `None` when they are not as many as the algorithm's have.
    #[must_use]
    pub fn of_bytes(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Option<Self> {
        Some(match algorithm {
            ChecksumAlgorithm::Crc32 => Self::Crc32(bytes.try_into().ok()?),
            ChecksumAlgorithm::Crc32c => Self::Crc32c(bytes.try_into().ok()?),
            ChecksumAlgorithm::Crc64Nvme => Self::Crc64Nvme(bytes.try_into().ok()?),
            ChecksumAlgorithm::Sha1 => Self::Sha1(bytes.try_into().ok()?),
            ChecksumAlgorithm::Sha256 => Self::Sha256(bytes.try_into().ok()?),
        })
    }

    /// The value that a client wrote in base64.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when it is none of the algorithm's.
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Result<Self> {
        let bytes = BASE64.decode(text).ok();
        bytes.and_then(|bytes| Self::of_bytes(algorithm, &bytes)).ok_or_else(|| {
            Error::new(Kind::InvalidRequest, format!("cannot take the {} checksum {text:?}", algorithm.name()))
                .why(format!("it is not {} bytes in base64 (SUM-7)", algorithm.bytes()))
        })
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.bytes()))
    }
}

/// An object's checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ObjectSum {
    /// Its value.
    pub sum: Sum,
    /// Parts whose checksums it is of; 0 when it is of all bytes.
    pub parts: u32,
}

impl ObjectSum {
    /// The checksum of all bytes.
    #[must_use]
    pub const fn whole(sum: Sum) -> Self {
        Self { sum, parts: 0 }
    }

    /// What it is of.
    #[must_use]
    pub const fn kind(&self) -> ChecksumType {
        match self.parts {
            0 => ChecksumType::FullObject,
            _ => ChecksumType::Composite,
        }
    }

    /// As a client wrote it: base64, and `-N` behind it when it is of N parts' checksums (SUM-9).
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] when it is neither.
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Result<Self> {
        let Some((value, parts)) = text.rsplit_once('-') else { return Sum::parse(algorithm, text).map(Self::whole) };
        match parts.parse() {
            Ok(parts) if parts > 0 => Ok(Self { sum: Sum::parse(algorithm, value)?, parts }),
            _ => Err(Error::new(Kind::InvalidRequest, format!("cannot take the checksum {text:?}"))
                .why("what follows the `-` is no number of parts (SUM-9)")),
        }
    }
}

impl fmt::Display for ObjectSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sum.fmt(f)?;
        if self.parts > 0 {
            write!(f, "-{}", self.parts)?;
        }
        Ok(())
    }
}

/// A part that an object was made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ObjectPart {
    /// Its number.
    pub number: u32,
    /// Length in bytes.
    pub size: u64,
    /// Its checksum, when one was kept.
    pub sum: Option<Sum>,
}

/// The upload that an object was made by (MPU-9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MadeBy {
    /// Its id.
    pub upload: UploadId,
    /// When it was begun: the object's Last-Modified, and no copy's (META-14).
    pub begun: Timestamp,
}

/// What is known of an object's bytes beside their length and tag.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ObjectSums {
    /// Its checksum.
    pub sum: Option<ObjectSum>,
    /// The parts it was made of, in order; none when it came in one piece.
    pub parts: Vec<ObjectPart>,
    /// What put it together, when parts were.
    pub made_by: Option<MadeBy>,
}

/// The MD5 that a client wrote in base64 (Content-MD5).
///
/// # Errors
/// [`Kind::InvalidDigest`] when it is none (SUM-6).
pub fn parse_md5(text: &str) -> Result<[u8; 16]> {
    let bytes = BASE64.decode(text).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Error::new(Kind::InvalidDigest, format!("cannot take the digest {text:?}"))
            .why("it is not 16 bytes in base64 (SUM-6)")
    })
}

#[cfg(test)]
mod tests {
    use super::{ChecksumAlgorithm, ChecksumType, Kind, ObjectSum, Sum, parse_md5};

    #[test]
    fn sum_7_values_are_base64_of_big_endian_bytes() {
        for algorithm in ChecksumAlgorithm::ALL {
            assert_eq!(ChecksumAlgorithm::named(&algorithm.name().to_lowercase()), Some(*algorithm));
            let bytes = vec![0xa7; algorithm.bytes()];
            let sum = Sum::of_bytes(*algorithm, &bytes).unwrap();
            assert_eq!((sum.algorithm(), sum.bytes()), (*algorithm, bytes.as_slice()));
            assert_eq!(Sum::parse(*algorithm, &sum.to_string()).unwrap(), sum);
            for bad in ["", "!", "AAA=", &sum.to_string()[4..]] {
                assert_eq!(Sum::parse(*algorithm, bad).unwrap_err().kind(), Kind::InvalidRequest, "{bad}");
            }
        }
        assert_eq!(Sum::Crc32(0xcbf4_3926_u32.to_be_bytes()).to_string(), "y/Q5Jg==");
    }

    #[test]
    fn sum_9_composite_ones_tell_their_parts() {
        let (sum, text) = (Sum::Crc32([0; 4]), "AAAAAA==-3");
        let composite = ObjectSum::parse(ChecksumAlgorithm::Crc32, text).unwrap();
        assert_eq!((composite, composite.kind()), (ObjectSum { sum, parts: 3 }, ChecksumType::Composite));
        assert_eq!(composite.to_string(), text);
        assert_eq!(ObjectSum::parse(ChecksumAlgorithm::Crc32, "AAAAAA==").unwrap(), ObjectSum::whole(sum));
        for bad in ["AAAAAA==-", "AAAAAA==-0", "AAAAAA==-x", "-3"] {
            assert!(ObjectSum::parse(ChecksumAlgorithm::Crc32, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sum_9_pairs_of_algorithm_and_type() {
        use ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
        use ChecksumType::{Composite, FullObject};
        let allowed: Vec<_> = ChecksumAlgorithm::ALL
            .iter()
            .flat_map(|algorithm| [(*algorithm, FullObject), (*algorithm, Composite)])
            .filter(|(algorithm, kind)| algorithm.allows(*kind))
            .collect();
        let crcs = [(Crc32, FullObject), (Crc32, Composite), (Crc32c, FullObject), (Crc32c, Composite)];
        assert_eq!(allowed, [&crcs[..], &[(Crc64Nvme, FullObject), (Sha1, Composite), (Sha256, Composite)]].concat());
        assert!(ChecksumAlgorithm::ALL.iter().all(|algorithm| algorithm.allows(algorithm.usual_type())));
        assert_eq!(
            [FullObject, Composite].map(|kind| ChecksumType::named(kind.name())),
            [Some(FullObject), Some(Composite)]
        );
    }

    #[test]
    fn sum_6_a_digest_is_sixteen_bytes() {
        assert_eq!(parse_md5("1B2M2Y8AsgTpgAmY7PhCfg==").unwrap(), super::super::ETag::EMPTY.digest);
        for bad in ["", "bad", "YWJj", "1B2M2Y8AsgTpgAmY7PhCfg"] {
            assert_eq!(parse_md5(bad).unwrap_err().kind(), Kind::InvalidDigest, "{bad}");
        }
    }
}
