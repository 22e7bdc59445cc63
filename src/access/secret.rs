//! Secrets: text that is wiped after use and never shows by accident.

use crate::crypto::sha256;
use crate::model::Result;
use crate::sys::entropy::Entropy;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use zeroize::Zeroizing;

/// The secret half of an access key.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text over, to be wiped when it is dropped.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for who signs with it or shows it once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl PartialEq for Secret {
    /// Takes a time that says nothing of where they differ.
    fn eq(&self, other: &Self) -> bool {
        sha256(self.expose().as_bytes()) == sha256(other.expose().as_bytes())
    }
}

impl Eq for Secret {}

/// For the one row that shows it.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::new)
    }
}

/// `count` letters of an alphabet, five bits each, that nobody can guess.
pub(super) fn draw(entropy: &dyn Entropy, count: usize, alphabet: &[u8; 32]) -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(vec![0; count]);
    entropy.fill(&mut bytes)?;
    Ok(Zeroizing::new(bytes.iter().map(|byte| char::from(alphabet[usize::from(byte % 32)])).collect()))
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_does_not_show_by_accident() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("hunter2").count(), 0);
        assert_eq!(secret, Secret::new("hunter2".to_owned()));
        assert_ne!(secret, Secret::new("hunter3".to_owned()));
    }
}
