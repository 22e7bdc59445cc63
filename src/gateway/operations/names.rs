//! Keys in listings: as they are, or percent-encoded where that was asked for or XML could not carry them (KEY-16, KEY-17).

use super::super::error::invalid;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::S3Result;
use s3s::dto::{CommonPrefix, EncodingType};

/// What is written as `%XX`: all but letters, digits and these.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'*');

/// A name as it can stand in a URL.
pub(in super::super) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}

/// How a listing spells its names.
pub(super) struct Names {
    encoded: bool,
}

impl Names {
    /// As asked for, unless one of `names` makes that impossible: then encoded, and told so.
    pub(super) fn new<'a>(asked: Option<&EncodingType>, mut names: impl Iterator<Item = &'a str>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None | Some("") => Ok(Self { encoded: names.any(is_unspeakable) }),
            Some("url") => Ok(Self { encoded: true }),
            Some(other) => Err(invalid(format!("the encoding-type is url, not {other:?}"))),
        }
    }

    pub(super) fn encoding(&self) -> Option<EncodingType> {
        self.encoded.then(|| EncodingType::from_static(EncodingType::URL))
    }

    pub(super) fn spell(&self, name: &str) -> String {
        if self.encoded { encoded(name) } else { name.to_owned() }
    }

    /// The prefix of the first version of the call, which clients do not decode: as it is wherever XML can carry it.
    pub(super) fn spell_what_was_asked(&self, prefix: &str) -> String {
        if is_unspeakable(prefix) { self.spell(prefix) } else { prefix.to_owned() }
    }

    pub(super) fn spell_some(&self, name: Option<&str>) -> Option<String> {
        name.map(|name| self.spell(name))
    }

    pub(super) fn prefixes(&self, prefixes: &[String]) -> Option<Vec<CommonPrefix>> {
        let prefixes = prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(self.spell(prefix)) });
        Some(prefixes.collect()).filter(|prefixes: &Vec<_>| !prefixes.is_empty())
    }
}

/// Whether XML 1.0 has no way to say it, or parsers change it.
fn is_unspeakable(name: &str) -> bool {
    name.chars().any(|c| (c < ' ' && !matches!(c, '\t' | '\n')) || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

#[cfg(test)]
mod tests {
    use super::{EncodingType, Names};

    #[test]
    fn key_17_names_are_encoded_when_asked_or_when_xml_cannot_carry_them() {
        let url = EncodingType::from_static("url");
        let names = Names::new(Some(&url), std::iter::empty()).unwrap();
        assert_eq!(names.spell("a b+c/d(é)~"), "a%20b%2Bc/d%28%C3%A9%29~");
        let plain = Names::new(None, ["a b&<é"].into_iter()).unwrap();
        assert_eq!((plain.spell("a b&<é").as_str(), plain.encoding()), ("a b&<é", None));
        for odd in ["a\u{1}b", "a\rb", "\u{ffff}"] {
            assert!(Names::new(None, ["plain", odd].into_iter()).unwrap().encoding().is_some(), "{odd:?}");
        }
        let other = EncodingType::from_static("base64");
        assert!(Names::new(Some(&other), std::iter::empty()).is_err());
    }
}
