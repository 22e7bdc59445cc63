//! One-time codes that follow the clock (RFC 6238, with SHA-1 and six digits), and base32, in which their secrets are told.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Seconds that a code counts for.
pub const TOTP_STEP_SECONDS: i64 = 30;
const DIGITS: u32 = 1_000_000;
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The code of a step of 30 seconds since 1970: below 1,000,000, written with six digits.
#[must_use]
pub fn totp(secret: &[u8], step: u64) -> u32 {
    #[expect(clippy::expect_used, reason = "a key of HMAC may have any length")]
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret).expect("a key of any length");
    mac.update(&step.to_be_bytes());
    let digest: [u8; 20] = mac.finalize().into_bytes().into();
    let at = usize::from(digest[19] & 0xf);
    let word = digest.get(at..at + 4).map_or([0; 4], |bytes| [bytes[0], bytes[1], bytes[2], bytes[3]]);
    (u32::from_be_bytes(word) & 0x7fff_ffff) % DIGITS
}

/// Bytes in base32 (RFC 4648), without padding.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let bits = bytes.len() * 8;
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let letter = |at: usize| (at..at + 5).fold(0, |index, at| index << 1 | usize::from(bit(at)));
    (0..bits).step_by(5).map(|at| char::from(LETTERS[letter(at)])).collect()
}

#[cfg(test)]
mod tests {
    use super::{base32, totp};

    #[test]
    fn mfa_5_codes_are_those_of_rfc_6238() {
        // Appendix B, of whose eight digits six are told.
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000_u64, 65_353_130),
        ] {
            assert_eq!(totp(secret, seconds / 30), code % 1_000_000, "{seconds}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (plain, text) in [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base32(plain.as_bytes()), text);
        }
    }
}
