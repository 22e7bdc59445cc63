//! Opaque names: a number under AES, so that it tells nothing and can be read back by its store.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

/// Turns pairs of numbers into 16 opaque bytes and back. Two different pairs never collide.
pub struct Opaque(Aes128);

impl Opaque {
    /// With the store's own key.
    #[must_use]
    pub fn new(key: &[u8; 16]) -> Self {
        Self(Aes128::new(key.into()))
    }

    /// The opaque name of `(high, low)`.
    #[must_use]
    pub fn seal(&self, high: u64, low: u64) -> [u8; 16] {
        let mut block = (u128::from(high) << 64 | u128::from(low)).to_be_bytes().into();
        self.0.encrypt_block(&mut block);
        block.into()
    }

    /// The pair behind a name; some pair for bytes that name none.
    #[must_use]
    pub fn open(&self, name: [u8; 16]) -> (u64, u64) {
        let mut block = name.into();
        self.0.decrypt_block(&mut block);
        let pair = u128::from_be_bytes(block.into());
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        ((pair >> 64) as u64, pair as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::Opaque;

    #[test]
    fn names_read_back_and_depend_on_the_key() {
        let (a, b) = (Opaque::new(&[1; 16]), Opaque::new(&[2; 16]));
        assert_eq!(a.open(a.seal(7, u64::MAX)), (7, u64::MAX));
        assert_ne!(a.seal(7, 8), b.seal(7, 8));
        assert_ne!(a.seal(7, 8), a.seal(8, 7));
    }
}
