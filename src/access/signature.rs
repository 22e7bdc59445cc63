//! Signatures of version 4: a text under a secret's key of one day and region (AUTH-1). Pure.

use super::{Credential, Secret};
use crate::crypto::{hex, hmac_sha256, sha256};
use zeroize::Zeroizing;

/// What signatures of version 4 call themselves.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What requests of a day and region are signed with.
pub struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    /// That of a secret; the date is `YYYYMMDD`.
    #[must_use]
    pub fn new(secret: &Secret, date: &str, region: &str) -> Self {
        let secret = Zeroizing::new(format!("AWS4{}", secret.expose()));
        let mut key = Zeroizing::new(hmac_sha256(secret.as_bytes(), date.as_bytes()));
        for part in [region, "s3", "aws4_request"] {
            *key = hmac_sha256(key.as_slice(), part.as_bytes());
        }
        Self(key)
    }

    /// The signature of a text, in hexadecimal digits.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> String {
        hex(&hmac_sha256(self.0.as_slice(), text))
    }
}

impl Credential {
    /// Whether this credential signed `text`.
    #[must_use]
    pub fn has_signed(&self, date: &str, region: &str, text: &[u8], signature: &str) -> bool {
        is_signature(&SigningKey::new(&self.secret, date, region).sign(text), signature.as_bytes())
    }
}

/// Whether the signature that was given is the right one. Takes a time that says nothing of where a wrong one differs.
#[must_use]
pub fn is_signature(right: &str, given: &[u8]) -> bool {
    sha256(right.as_bytes()) == sha256(given)
}

#[cfg(test)]
mod tests {
    use super::{Credential, hex};
    use crate::access::{Principal, Secret};

    /// The example of the API's reference, "Examples: Browser-Based Upload using HTTP POST".
    #[test]
    fn auth_1_the_published_signature_of_a_policy() {
        let credential = Credential {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            principal: Principal::Owner,
        };
        let policy = b"eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
        let signature = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";
        let signed = |text: &[u8], signature: &str| credential.has_signed("20151229", "us-east-1", text, signature);
        assert!(signed(policy, signature));
        assert!(!signed(b"other", signature) && !signed(policy, &hex(&[0; 32])) && !signed(policy, ""));
        assert!(!credential.has_signed("20151230", "us-east-1", policy, signature));
        assert!(!credential.has_signed("20151229", "eu-west-1", policy, signature));
    }
}
