//! Running checksums of every kind that S3's clients give, and MD5, which makes ETags (SUM-1, SUM-7).

use super::digest::{Crc64, crc64_combine};
use crate::model::{ChecksumAlgorithm, Sum};
use crc_fast::{CrcAlgorithm, Digest, checksum_combine};
use md5::Digest as _;

/// MD5 of `bytes`.
#[must_use]
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    md5::Md5::digest(bytes).into()
}

/// A running MD5.
#[derive(Clone, Default)]
pub struct Md5(md5::Md5);

impl Md5 {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes.
    #[must_use]
    pub fn finish(self) -> [u8; 16] {
        self.0.finalize().into()
    }
}

/// A running checksum.
#[derive(Clone)]
pub struct Summer(State);

#[derive(Clone)]
enum State {
    Crc32(Digest),
    Crc32c(Digest),
    Crc64(Crc64),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Summer {
    /// The checksum of no bytes yet.
    #[must_use]
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        Self(match algorithm {
            ChecksumAlgorithm::Crc32 => State::Crc32(Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
            ChecksumAlgorithm::Crc32c => State::Crc32c(Digest::new(CrcAlgorithm::Crc32Iscsi)),
            ChecksumAlgorithm::Crc64Nvme => State::Crc64(Crc64::new()),
            ChecksumAlgorithm::Sha1 => State::Sha1(sha1::Sha1::default()),
            ChecksumAlgorithm::Sha256 => State::Sha256(sha2::Sha256::default()),
        })
    }

    /// The checksum of `bytes` alone.
    #[must_use]
    pub fn of(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Sum {
        let mut summer = Self::new(algorithm);
        summer.update(bytes);
        summer.finish()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc32(digest) | State::Crc32c(digest) => digest.update(bytes),
            State::Crc64(crc) => crc.update(bytes),
            State::Sha1(digest) => digest.update(bytes),
            State::Sha256(digest) => digest.update(bytes),
        }
    }

    /// The checksum of all bytes.
    #[must_use]
    pub fn finish(self) -> Sum {
        match self.0 {
            State::Crc32(digest) => Sum::Crc32(low(digest.finalize())),
            State::Crc32c(digest) => Sum::Crc32c(low(digest.finalize())),
            State::Crc64(crc) => Sum::Crc64Nvme(crc.value().to_be_bytes()),
            State::Sha1(digest) => Sum::Sha1(digest.finalize().into()),
            State::Sha256(digest) => Sum::Sha256(digest.finalize().into()),
        }
    }
}

/// The checksum of A followed by B, from that of A, that of B, and B's length in bytes; `None` where it cannot be had without the
/// bytes, as for digests, and for two that differ in kind.
#[must_use]
pub fn combine(a: Sum, b: Sum, len_b: u64) -> Option<Sum> {
    let crc32 = |algorithm, a, b| {
        let (a, b) = (u64::from(u32::from_be_bytes(a)), u64::from(u32::from_be_bytes(b)));
        low(checksum_combine(algorithm, a, b, len_b))
    };
    Some(match (a, b) {
        (Sum::Crc32(a), Sum::Crc32(b)) => Sum::Crc32(crc32(CrcAlgorithm::Crc32IsoHdlc, a, b)),
        (Sum::Crc32c(a), Sum::Crc32c(b)) => Sum::Crc32c(crc32(CrcAlgorithm::Crc32Iscsi, a, b)),
        (Sum::Crc64Nvme(a), Sum::Crc64Nvme(b)) => {
            Sum::Crc64Nvme(crc64_combine(u64::from_be_bytes(a), u64::from_be_bytes(b), len_b).to_be_bytes())
        }
        _ => return None,
    })
}

/// A checksum of 32 bits, which comes in a wider number.
const fn low(wide: u64) -> [u8; 4] {
    let [_, _, _, _, a, b, c, d] = wide.to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::{Md5, Summer, combine, md5};
    use crate::model::{ChecksumAlgorithm, ETag};
    use proptest::prelude::*;

    #[test]
    fn sum_7_check_values() {
        let sums = ChecksumAlgorithm::ALL.iter().map(|algorithm| Summer::of(*algorithm, b"123456789").to_string());
        let known = [
            "y/Q5Jg==",
            "4waSgw==",
            "rosUhgp5mIg=",
            "98O8HYCOBHMq32eZZczDTKeuNEE=",
            "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        ];
        assert_eq!(sums.collect::<Vec<_>>(), known);
    }

    #[test]
    fn size_5_the_digest_of_nothing() {
        assert_eq!((md5(b""), Md5::default().finish()), (ETag::EMPTY.digest, ETag::EMPTY.digest));
    }

    proptest! {
        #[test]
        fn sum_9_checksums_of_parts_make_that_of_the_whole(a: Vec<u8>, b: Vec<u8>) {
            let whole = [a.as_slice(), &b].concat();
            for algorithm in ChecksumAlgorithm::ALL {
                let mut summer = Summer::new(*algorithm);
                summer.update(&a);
                summer.update(&b);
                let sum = Summer::of(*algorithm, &whole);
                prop_assert_eq!(summer.finish(), sum);
                let combined = combine(Summer::of(*algorithm, &a), Summer::of(*algorithm, &b), b.len() as u64);
                let digest = matches!(algorithm, ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256);
                prop_assert_eq!(combined, Some(sum).filter(|_| !digest));
            }
        }
    }
}
