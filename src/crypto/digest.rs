//! SHA-256 for names (KEY-12), CRC-64/NVME, S3's whole-object checksum (SUM-8), and the CRC-32C of RocksDB's records.

use crc_fast::{CrcAlgorithm, Digest};
use sha2::{Digest as _, Sha256};

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// CRC-32C of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    // Of 32 bits, in a wider number.
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// A running CRC-64/NVME (SUM-8).
#[derive(Clone, Debug)]
pub struct Crc64(Digest);

impl Crc64 {
    /// The checksum of no bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Nvme))
    }

    /// Goes on after bytes whose checksum is `value`, as an append does.
    #[must_use]
    pub fn resume(value: u64) -> Self {
        Self(Digest::new_with_init_state(CrcAlgorithm::Crc64Nvme, value ^ INVERT))
    }

    /// The checksum of `bytes` alone.
    #[must_use]
    pub fn of(bytes: &[u8]) -> u64 {
        let mut crc = Self::new();
        crc.update(bytes);
        crc.value()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

/// The checksum of A followed by B, from `a` of A, `b` of B and B's length in bytes. Costs at most 64 products,
/// whatever the length.
#[must_use]
pub const fn crc64_combine(a: u64, b: u64, len_b: u64) -> u64 {
    shift(a, len_b) ^ b
}

/// The checksum of `len` zero bytes, as a hole reads.
#[must_use]
pub const fn crc64_zeros(len: u64) -> u64 {
    shift(INVERT, len) ^ INVERT
}

/// The register starts as all ones and is inverted at the end.
const INVERT: u64 = u64::MAX;
/// CRC-64/NVME's polynomial 0xad93d23594c93659, low bit first.
const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;
/// The polynomial 1: bit 63 stands for x^0, bit 0 for x^63.
const ONE: u64 = 1 << 63;
/// `ZEROS[k]` is x^(8 * 2^k): what 2^k zero bytes do to the register.
const ZEROS: [u64; 64] = {
    let mut table = [ONE >> 8; 64];
    let mut k = 1;
    while k < 64 {
        table[k] = multiply(table[k - 1], table[k - 1]);
        k += 1;
    }
    table
};

/// The register `crc` after `len` zero bytes: at most 64 products.
const fn shift(mut crc: u64, mut len: u64) -> u64 {
    while len > 0 {
        crc = multiply(crc, ZEROS[len.trailing_zeros() as usize]);
        len &= len - 1;
    }
    crc
}

/// The product of two polynomials over GF(2), modulo [`POLYNOMIAL`].
const fn multiply(a: u64, mut b: u64) -> u64 {
    let mut product = 0;
    let mut bit = ONE;
    while bit > 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = (b >> 1) ^ if b & 1 == 1 { POLYNOMIAL } else { 0 };
        bit >>= 1;
    }
    product
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Crc64, crc32c, crc64_combine, crc64_zeros, sha256};
    use crc_fast::{CrcAlgorithm::Crc64Nvme, checksum_combine};
    use proptest::prelude::*;

    #[test]
    fn sum_8_check_values() {
        assert_eq!(Crc64::of(b"123456789"), 0xae8b_1486_0a79_9888);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!((Crc64::of(b""), Crc64::default().value(), crc64_zeros(0)), (0, 0, 0));
        assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn sum_8_holes_of_any_length() {
        for len in [1, 7, 8, 63, 64, 4096, 65_537] {
            assert_eq!(crc64_zeros(len), Crc64::of(&vec![0; usize::try_from(len).unwrap()]), "{len}");
        }
        let (tib, half) = (1 << 40, crc64_zeros(1 << 39));
        assert_eq!(crc64_zeros(tib), crc64_combine(half, half, 1 << 39));
        assert_eq!(
            crc64_zeros(u64::MAX),
            checksum_combine(Crc64Nvme, crc64_zeros(u64::MAX >> 1), crc64_zeros(1 << 63), 1 << 63)
        );
    }

    proptest! {
        #[test]
        fn sum_8_combine_is_the_checksum_of_the_whole(a: Vec<u8>, b: Vec<u8>) {
            let whole = Crc64::of(&[a.as_slice(), &b].concat());
            prop_assert_eq!(crc64_combine(Crc64::of(&a), Crc64::of(&b), b.len() as u64), whole);
            let mut resumed = Crc64::resume(Crc64::of(&a));
            resumed.update(&b);
            prop_assert_eq!(resumed.value(), whole);
        }

        #[test]
        fn sum_8_combine_agrees_with_the_library_at_any_length(a: u64, b: u64, len: u64) {
            prop_assert_eq!(crc64_combine(a, b, len), checksum_combine(Crc64Nvme, a, b, len));
        }
    }
}
