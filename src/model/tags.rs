//! Object tags: at most ten pairs with S3's alphabet and lengths (TAG-1 to TAG-4).

use super::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most tags an object version carries (TAG-1).
pub const TAGS_MAX: usize = 10;
const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

/// A valid set of tags.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TagSet(BTreeMap<String, String>);

impl TagSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets one tag, replacing its value.
    ///
    /// # Errors
    /// [`Kind::TooManyTags`] for an 11th, [`Kind::InvalidTag`] for a bad key or value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        if let Some(why) = broken_rule(key, value) {
            return Err(Error::new(Kind::InvalidTag, format!("cannot set the tag {key:?}")).why(why).mend(
                "use letters, digits, spaces and + - = . _ : / @ in keys of 1 to 128 and values of 0 to 256 characters",
            ));
        }
        if self.0.len() >= TAGS_MAX && !self.0.contains_key(key) {
            return Err(Error::new(Kind::TooManyTags, format!("cannot add the tag {key:?}"))
                .why(format!("the object has {TAGS_MAX} tags already, the most S3 allows (TAG-1)"))
                .mend("remove a tag first, for example with setfattr -x user.s3.tag.NAME"));
        }
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// Removes one tag; whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }

    /// A tag's value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Tags in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many there are (`x-amz-tagging-count`).
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn broken_rule(key: &str, value: &str) -> Option<String> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '+' | '-' | '=' | '.' | '_' | ':' | '/' | '@');
    let chars = key.chars().count();
    if !(1..=KEY_CHARS_MAX).contains(&chars) {
        return Some(format!("its key has {chars} characters, a key has 1 to {KEY_CHARS_MAX} (TAG-2)"));
    }
    let chars = value.chars().count();
    if chars > VALUE_CHARS_MAX {
        return Some(format!("its value has {chars} characters, the limit is {VALUE_CHARS_MAX} (TAG-2)"));
    }
    if key.starts_with("aws:") {
        return Some("keys beginning with aws: are reserved (TAG-4)".into());
    }
    let bad = key.chars().chain(value.chars()).find(|c| !allowed(*c))?;
    Some(format!("{bad:?} is not allowed in a tag (TAG-4)"))
}

#[cfg(test)]
mod tests {
    use super::{Kind, TagSet};

    #[test]
    fn tag_1_an_eleventh_tag_is_refused_and_replacing_is_not() {
        let mut tags = TagSet::new();
        for n in 0..10 {
            tags.set(&format!("k{n}"), "v").unwrap();
        }
        assert_eq!(tags.set("k10", "v").unwrap_err().kind(), Kind::TooManyTags);
        tags.set("k3", "w").unwrap();
        assert_eq!((tags.len(), tags.get("k3")), (10, Some("w")));
    }

    #[test]
    fn tag_2_and_tag_4_lengths_and_alphabet() {
        let mut tags = TagSet::new();
        tags.set(&"k".repeat(128), &"v".repeat(256)).unwrap();
        tags.set("projet été", "a+b-c=d.e_f:g/h@i").unwrap();
        for (key, value) in
            [(&*"k".repeat(129), "v"), ("k", &*"v".repeat(257)), ("", "v"), ("aws:x", "v"), ("a*b", "v")]
        {
            assert_eq!(tags.set(key, value).unwrap_err().kind(), Kind::InvalidTag, "{key} {value}");
        }
    }
}
