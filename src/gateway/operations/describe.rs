//! Metadata and tags between headers and the engine (META, TAG).

use super::super::error::{refused, told};
use super::super::expires::OddExpires;
use crate::model::{Kind, Metadata, Object, SystemHeader, TagSet};
use hyper::StatusCode;
use hyper::http::Extensions;
use percent_encoding::percent_decode_str;
use s3s::S3Result;
use s3s::dto::{Timestamp, TimestampFormat};

/// What an object is described with by a request.
#[derive(Default)]
pub(super) struct Given {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) expires: Option<String>,
    pub(super) redirect: Option<String>,
    pub(super) user: Option<s3s::dto::Metadata>,
}

/// `Expires` as it was sent.
pub(super) fn expires(date: Option<Timestamp>, extensions: &Extensions) -> Option<String> {
    extensions.get().map(|OddExpires(text)| text.clone()).or_else(|| date.as_ref().map(http_date))
}

/// The description in an input of the protocol and beside it.
macro_rules! given {
    ($input:expr, $extensions:expr) => {
        $crate::gateway::operations::describe::Given {
            content_type: $input.content_type.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            content_disposition: $input.content_disposition.take(),
            cache_control: $input.cache_control.take(),
            expires: $crate::gateway::operations::describe::expires($input.expires.take(), $extensions),
            redirect: $input.website_redirect_location.take(),
            user: $input.metadata.take(),
        }
    };
}
pub(super) use given;

impl Given {
    pub(super) fn metadata(self) -> S3Result<Metadata> {
        let mut metadata = Metadata::default();
        let system = [
            (SystemHeader::ContentType, self.content_type),
            (SystemHeader::ContentEncoding, self.content_encoding.as_deref().and_then(content_encoding)),
            (SystemHeader::ContentLanguage, self.content_language),
            (SystemHeader::ContentDisposition, self.content_disposition),
            (SystemHeader::CacheControl, self.cache_control),
            (SystemHeader::Expires, self.expires),
            (SystemHeader::WebsiteRedirect, self.redirect),
        ];
        for (header, value) in system {
            if let Some(value) = value {
                metadata.set_system(header, &value).map_err(|error| told(&error))?;
            }
        }
        for (name, value) in self.user.unwrap_or_default() {
            metadata.set_user(&name, &value).map_err(|error| told(&error))?;
        }
        Ok(metadata)
    }
}

/// How a body was framed on its way is no property of the object.
fn content_encoding(value: &str) -> Option<String> {
    let is_framing = |coding: &&str| *coding == "aws-chunked";
    let codings = || value.split(',').map(str::trim);
    if codings().all(|coding| !is_framing(&coding)) {
        return Some(value.to_owned());
    }
    let kept: Vec<_> = codings().filter(|coding| !is_framing(coding)).collect();
    Some(kept.join(", ")).filter(|kept| !kept.is_empty())
}

fn http_date(at: &Timestamp) -> String {
    let mut text = Vec::new();
    match at.format(TimestampFormat::HttpDate, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

/// An object's description as answers show it.
pub(super) struct Shown {
    pub(super) user: Option<s3s::dto::Metadata>,
    /// User metadata that no header can carry (META-8).
    pub(super) missing: Option<i32>,
    pub(super) expires: Option<Timestamp>,
    pub(super) tags: Option<i32>,
}

pub(super) fn shown(object: &Object) -> Shown {
    let (mut user, mut missing) = (s3s::dto::Metadata::new(), 0);
    for (name, value) in object.metadata.user_pairs() {
        if value.chars().any(char::is_control) {
            missing += 1;
        } else {
            user.insert(name.to_owned(), value.to_owned());
        }
    }
    let expires = object.metadata.system(SystemHeader::Expires);
    Shown {
        user: Some(user).filter(|user| !user.is_empty()),
        missing: Some(missing).filter(|missing| *missing > 0),
        expires: expires.and_then(|text| Timestamp::parse(TimestampFormat::HttpDate, text).ok()),
        tags: i32::try_from(object.tags.len()).ok().filter(|tags| *tags > 0),
    }
}

/// A system header as answers show it.
pub(super) fn system(object: &Object, header: SystemHeader) -> Option<String> {
    object.metadata.system(header).map(str::to_owned)
}

/// META-9.
pub(super) fn content_type(object: &Object) -> Option<String> {
    system(object, SystemHeader::ContentType).or_else(|| Some("binary/octet-stream".to_owned()))
}

/// TAG-6: tags as a header has them, like a query.
pub(in super::super) fn header_tags(text: &str) -> S3Result<TagSet> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(std::borrow::Cow::into_owned)
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut decoded_pairs = Vec::new();
    for (key, value) in pairs {
        match (decoded(key), decoded(value)) {
            (Ok(key), Ok(value)) => decoded_pairs.push((key, value)),
            _ => return Err(refused(StatusCode::BAD_REQUEST, "InvalidArgument", "the tags are not UTF-8 (TAG-6)")),
        }
    }
    tag_set(decoded_pairs)
}

/// TAG-3: a set of pairs with each key once.
pub(super) fn tag_set(pairs: Vec<(String, String)>) -> S3Result<TagSet> {
    let mut tags = TagSet::new();
    for (key, value) in pairs {
        if tags.get(&key).is_some() {
            let message = format!("the key {key:?} stands there twice (TAG-3)");
            return Err(refused(StatusCode::BAD_REQUEST, Kind::InvalidTag.s3_code(), message));
        }
        tags.set(&key, &value).map_err(|error| told(&error))?;
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::{content_encoding, header_tags};

    #[test]
    fn tag_3_and_tag_6_tags_of_a_header() {
        let tags = header_tags("a=1&b&c%20d=e+f&").unwrap();
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("a", "1"), ("b", ""), ("c d", "e f")]);
        assert_eq!(header_tags("a=1&a=2").unwrap_err().code().as_str(), "InvalidTag");
        assert_eq!(header_tags("a=%ff").unwrap_err().code().as_str(), "InvalidArgument");
    }

    #[test]
    fn framing_is_no_encoding_of_the_object() {
        assert_eq!(content_encoding("aws-chunked"), None);
        assert_eq!(content_encoding("aws-chunked, gzip").as_deref(), Some("gzip"));
        assert_eq!(content_encoding("aws-chunked, deflate, gzip").as_deref(), Some("deflate, gzip"));
        assert_eq!(content_encoding("gzip,br").as_deref(), Some("gzip,br"));
    }
}
