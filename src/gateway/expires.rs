//! An `Expires` that is no date, which S3 keeps as it was sent: the protocol's library takes dates alone.
//!
//! A request with one goes through the library twice: first for its signature and the framing of its body, then without
//! either and without the header, which operations find beside it.

use super::auth::{Proved, Rights, for_one_request};
use super::guard;
use hyper::header::{EXPIRES, HeaderMap};
use hyper::http::{Extensions, HeaderValue};
use hyper::{Method, Request, Uri};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::route::S3Route;
use s3s::service::S3Service;
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

/// The text of such a header.
#[derive(Clone)]
pub(super) struct OddExpires(pub(super) String);

impl OddExpires {
    /// None for a date, and for nothing.
    pub(super) fn of(text: &str) -> Option<Self> {
        (!text.is_empty() && !is_date(text)).then(|| Self(text.to_owned()))
    }
}

/// Whether `text` is a date as headers have it.
pub(super) fn is_date(text: &str) -> bool {
    Timestamp::parse(TimestampFormat::HttpDate, text).is_ok()
}

fn odd(headers: &HeaderMap) -> Option<OddExpires> {
    OddExpires::of(headers.get(EXPIRES)?.to_str().ok()?)
}

/// Serves requests with one.
pub(super) struct Again(S3Service);

impl Again {
    /// By a service that does not know this way.
    pub(super) fn new(service: S3Service) -> Self {
        Self(service)
    }
}

#[async_trait::async_trait]
impl S3Route for Again {
    fn is_match(&self, method: &Method, _: &Uri, headers: &HeaderMap, _: &mut Extensions) -> bool {
        // CreateMultipartUpload is a POST.
        matches!(*method, Method::PUT | Method::POST) && odd(headers).is_some()
    }

    /// Whoever it is: the second time tells.
    async fn check_access(&self, _: &mut S3Request<Body>) -> S3Result<()> {
        Ok(())
    }

    async fn call(&self, mut request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        Rights::vouch(&request);
        let mut again = Request::new(request.input);
        *again.method_mut() = request.method;
        *again.uri_mut() = guard::unsigned_uri(&request.uri).ok_or(S3ErrorCode::InvalidURI)?;
        if let Some(odd) = odd(&request.headers) {
            request.extensions.insert(odd);
        }
        if let Some(trailers) = request.trailing_headers {
            request.extensions.insert(trailers);
        }
        for name in [EXPIRES.as_str(), "authorization", "x-amz-content-sha256"] {
            request.headers.remove(name);
        }
        *again.headers_mut() = request.headers;
        *again.extensions_mut() = request.extensions;
        let answer = for_one_request(Proved::default(), self.0.call(again)).await;
        let (parts, body) =
            answer.map_err(|error| S3Error::with_source(S3ErrorCode::InternalError, error.into()))?.into_parts();
        let mut response = S3Response::with_headers(body, parts.headers);
        (response.status, response.extensions) = (Some(parts.status), parts.extensions);
        Ok(response)
    }
}

/// The header of an answer for an `Expires` that the protocol's types cannot hold.
pub(super) fn shown(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok().filter(|_| !is_date(text))
}

#[cfg(test)]
mod tests {
    use super::{EXPIRES, HeaderMap, HeaderValue, odd, shown};

    #[test]
    fn meta_1_what_is_no_date_is_told_from_dates() {
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        for (text, is_odd) in [(date, false), ("", false), ("0", true), ("-1", true), ("next week", true)] {
            let mut headers = HeaderMap::new();
            headers.insert(EXPIRES, HeaderValue::from_static(text));
            assert_eq!(odd(&headers).is_some(), is_odd, "{text:?}");
        }
        assert_eq!(shown("0").unwrap(), "0");
        assert!(shown(date).is_none() && shown("a\nb").is_none());
        assert!(odd(&HeaderMap::new()).is_none());
    }
}
