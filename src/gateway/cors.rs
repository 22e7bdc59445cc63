//! Pages of other origins: preflights are answered, and answers say which pages may read them (CORS-5 to CORS-8).

use super::auth::place_of;
use super::bridge::Bridge;
use super::error::{refused, told};
use crate::model::Kind;
use crate::store::{Allowed, CorsRule, CorsRules, Store};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use s3s::{Body, S3Error, S3Result};

/// What an answer depends on besides its address.
const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// What a page of another origin asks for.
pub(super) struct CrossOrigin {
    bucket: Option<String>,
    origin: String,
    /// What it is to be allowed for: what a preflight announces, else the request's own.
    method: String,
    headers: Vec<String>,
}

impl CrossOrigin {
    /// `None` for a request that says no origin.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        let text = |name: HeaderName| parts.headers.get(name)?.to_str().ok();
        let origin = text(header::ORIGIN)?.to_owned();
        let headers = text(header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default().split(',').map(str::trim);
        Some(Self {
            bucket: Some(place_of(parts).0).filter(|bucket| !bucket.is_empty()),
            origin,
            method: text(header::ACCESS_CONTROL_REQUEST_METHOD).unwrap_or(parts.method.as_str()).to_owned(),
            headers: headers.filter(|header| !header.is_empty()).map(str::to_owned).collect(),
        })
    }

    /// Adds to an answer that the page may read it, where a rule says so; errors are readable, too (CORS-6).
    pub(super) async fn allow(self, bridge: &Bridge, response: &mut Response<Body>) {
        let Some(bucket) = self.bucket.clone() else { return };
        let Ok(Some(rules)) = bridge.ask(move |store| rules(store, &bucket)).await else { return };
        if let Some(found) = rules.matching(&self.origin, &self.method, &[]) {
            self.tell(found, response.headers_mut());
        }
    }

    fn tell(&self, (rule, allowed): (&CorsRule, Allowed), headers: &mut HeaderMap) {
        let origin = match allowed {
            Allowed::Everyone => "*",
            Allowed::TheOrigin => &self.origin,
        };
        let age = rule.max_age_seconds.map(|seconds| seconds.to_string());
        let told = [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin),
            (header::ACCESS_CONTROL_ALLOW_METHODS, &rule.allowed_methods.join(", ")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &self.headers.join(", ")),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, &rule.expose_headers.join(", ")),
            (header::ACCESS_CONTROL_MAX_AGE, age.as_deref().unwrap_or_default()),
            (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, if allowed == Allowed::TheOrigin { "true" } else { "" }),
            (header::VARY, VARY),
        ];
        for (name, value) in told.into_iter().filter(|(_, value)| !value.is_empty()) {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
    }
}

/// Answers a preflight, which needs no signature; `asked` is what it asks for.
///
/// # Errors
/// 400 for one that does not say what it asks for, 403 without a rule for it (CORS-5).
pub(super) async fn preflight(bridge: &Bridge, asked: Option<CrossOrigin>, parts: &Parts) -> S3Result<Response<Body>> {
    let bad = |message: &str| refused(StatusCode::BAD_REQUEST, "BadRequest", message);
    let asked = asked.ok_or_else(|| bad("Insufficient information. Origin request header needed."))?;
    if !parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return Err(bad("Invalid Access-Control-Request-Method: null"));
    }
    let bucket = asked.bucket.clone().ok_or_else(|| forbidden("CORS is not enabled outside buckets."))?;
    let rules = bridge.ask(move |store| rules(store, &bucket)).await?;
    let rules = rules.ok_or_else(|| forbidden("CORS is not enabled for this bucket."))?;
    let headers: Vec<&str> = asked.headers.iter().map(String::as_str).collect();
    let found = rules.matching(&asked.origin, &asked.method, &headers).ok_or_else(|| {
        forbidden(
            "This CORS request is not allowed. This is usually because the evaluation of Origin, request method / \
             Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's \
             CORS spec.",
        )
    })?;
    let mut response = Response::new(Body::empty());
    asked.tell(found, response.headers_mut());
    Ok(response)
}

fn forbidden(message: &str) -> S3Error {
    refused(StatusCode::FORBIDDEN, "AccessForbidden", format!("CORSResponse: {message}"))
}

/// The rules of a bucket. One that is not there has none.
pub(super) fn rules(store: &Store, bucket: &str) -> S3Result<Option<CorsRules>> {
    match store.document(bucket, "cors") {
        Err(error) if matches!(error.kind(), Kind::NoSuchBucket | Kind::InvalidBucketName) => Ok(None),
        Err(error) => Err(told(&error)),
        Ok(text) => Ok(text.and_then(|text| serde_json::from_str(&text).ok())),
    }
}

#[cfg(test)]
mod tests {
    use super::{CrossOrigin, header};
    use hyper::Request;

    #[test]
    fn cors_5_and_cors_6_what_is_asked_of_a_head() {
        let of = |uri: &str, headers: &[(header::HeaderName, &str)]| {
            let request = headers
                .iter()
                .fold(Request::builder().method("PUT").uri(uri), |request, (name, value)| request.header(name, *value));
            CrossOrigin::of(&request.body(()).unwrap().into_parts().0)
        };
        assert!(of("/b/k", &[]).is_none());
        let plain = of("/b%2dc/k?x", &[(header::ORIGIN, "http://a")]).unwrap();
        assert_eq!((plain.bucket.as_deref(), plain.method.as_str()), (Some("b-c"), "PUT"));
        let asked = [
            (header::ORIGIN, "http://a"),
            (header::HOST, "photos.localhost:9000"),
            (header::ACCESS_CONTROL_REQUEST_METHOD, "GET"),
            (header::ACCESS_CONTROL_REQUEST_HEADERS, "range, x-amz-date,"),
        ];
        let asked = of("/k", &asked).unwrap();
        assert_eq!((asked.bucket.as_deref(), asked.method.as_str()), (Some("photos"), "GET"));
        assert_eq!(asked.headers, ["range", "x-amz-date"]);
        assert_eq!(of("/", &[(header::ORIGIN, "null")]).unwrap().bucket, None);
    }
}
