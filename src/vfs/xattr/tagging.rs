//! Tag sets as query text, the form of the `x-amz-tagging` header (TAG-6).

use crate::model::{Error, Kind, Result, TagSet};
use std::fmt::Write;

/// `k=v&k2=v2` in the order of the keys, all but unreserved characters percent-encoded.
#[must_use]
pub fn to_query(tags: &TagSet) -> String {
    let mut text = String::new();
    for (key, value) in tags.iter() {
        if !text.is_empty() {
            text.push('&');
        }
        escape(key, &mut text);
        text.push('=');
        escape(value, &mut text);
    }
    text
}

fn escape(part: &str, text: &mut String) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

/// Reads query text. A name without `=` has the empty value, `+` is a space, empty text is no tags (TAG-5, TAG-6).
///
/// # Errors
/// [`Kind::InvalidTag`] for a bad or repeated key (TAG-3), [`Kind::TooManyTags`] for an 11th,
/// [`Kind::InvalidArgument`] for a broken percent escape.
pub fn from_query(text: &str) -> Result<TagSet> {
    let mut tags = TagSet::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (unescape(key)?, unescape(value)?);
        if tags.get(&key).is_some() {
            return Err(Error::new(Kind::InvalidTag, "cannot read the tags")
                .why(format!("the key {key:?} stands there twice (TAG-3)"))
                .mend("give each key once"));
        }
        tags.set(&key, &value)?;
    }
    Ok(tags)
}

fn unescape(part: &str) -> Result<String> {
    let broken = |why: &'static str| {
        Error::new(Kind::InvalidArgument, format!("cannot read {part:?} as query text"))
            .why(why)
            .mend("write tags like project=blue&team=x, with other characters as %XX")
    };
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes().iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err(broken("a % is not followed by two hex digits"));
                };
                (high * 16 + low) as u8
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).map_err(|_| broken("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::{Kind, from_query, to_query};

    #[test]
    fn tag_6_query_text_reads_back() {
        let tags = from_query("b&a=x+y&caf%C3%A9=1%2B1%3d2").unwrap();
        assert_eq!((tags.get("b"), tags.get("a"), tags.get("café")), (Some(""), Some("x y"), Some("1+1=2")));
        assert_eq!(to_query(&tags), "a=x%20y&b=&caf%C3%A9=1%2B1%3D2");
        assert_eq!(from_query(&to_query(&tags)).unwrap(), tags);
        assert!(from_query("").unwrap().is_empty(), "TAG-5: empty clears");
    }

    #[test]
    fn tag_1_and_tag_3_the_eleventh_and_a_repeated_key_are_refused() {
        let eleven: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
        assert_eq!(from_query(&eleven.join("&")).unwrap_err().kind(), Kind::TooManyTags);
        assert_eq!(from_query("a=1&a=2").unwrap_err().kind(), Kind::InvalidTag);
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert_eq!(from_query(bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad}");
        }
    }
}
