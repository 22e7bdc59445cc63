//! Small secrets under a key: AES-256-GCM, and HMAC-SHA-256 by which requests are signed.

use crate::model::{Error, Kind, Result};
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Seals and opens with one key, which is wiped from memory when it is dropped.
pub struct Sealer(Aes256Gcm);

impl Sealer {
    /// One that uses `key`.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(key.into()))
    }

    /// `plain`, readable and unchangeable without the key, and bound to `about`. A nonce is used once with a key.
    ///
    /// # Errors
    /// When it is longer than 64 GiB.
    pub fn seal(&self, nonce: &[u8; 12], about: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let sealed = self.0.encrypt(nonce.into(), Payload { msg: plain, aad: about });
        sealed.map_err(|_| Error::new(Kind::InvalidArgument, "cannot seal the secret").why("it is too long"))
    }

    /// What was sealed; nothing when any of it, its nonce, what it is about or the key is another.
    #[must_use]
    pub fn open(&self, nonce: &[u8; 12], about: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.decrypt(nonce.into(), Payload { msg: sealed, aad: about }).ok().map(Zeroizing::new)
    }
}

/// HMAC-SHA-256 of `bytes` under `key`.
#[must_use]
pub fn hmac_sha256(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "a key of HMAC may have any length")]
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("a key of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::{Sealer, hmac_sha256};

    #[test]
    fn what_is_sealed_opens_with_all_that_it_was_sealed_with_alone() {
        let (nonce, about, plain) = ([7; 12], b"KF".as_slice(), b"a secret".as_slice());
        let sealer = Sealer::new(&[1; 32]);
        let sealed = sealer.seal(&nonce, about, plain).unwrap();
        assert_eq!(sealed.len(), plain.len() + 16);
        assert_eq!(sealer.open(&nonce, about, &sealed).unwrap().as_slice(), plain);
        assert!(Sealer::new(&[2; 32]).open(&nonce, about, &sealed).is_none());
        assert!(sealer.open(&[8; 12], about, &sealed).is_none());
        assert!(sealer.open(&nonce, b"KG", &sealed).is_none());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.open(&nonce, about, &flipped).is_none(), "bit {bit}");
        }
        assert!(sealer.open(&nonce, about, b"").is_none());
    }

    #[test]
    fn hmac_of_rfc_4231() {
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(hmac_sha256(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
