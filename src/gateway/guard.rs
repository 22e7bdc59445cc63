//! What is refused before the protocol's library sees a request: what it would let pass, and what nobody should send.

use super::auth::place_of;
use super::error::refused;
use super::form::{FIELDS_BYTES_MAX, is_form};
use crate::access::EXPIRES_MAX;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use s3s::dto::{Range, Timestamp, TimestampFormat};
use s3s::{S3Error, S3Result};
use std::collections::BTreeMap;

/// Bytes of names and values of a request's headers that S3 takes with a PUT or POST (META-4).
const HEADERS_BYTES_MAX: usize = 8192;
/// The same with any other request.
const HEADERS_READ_BYTES_MAX: usize = 32 * 1024;
/// Largest body in bytes (SIZE-2).
pub(super) const BODY_BYTES_MAX: u64 = 5 << 30;
/// Most bytes a body may have on the wire: signatures and lengths of chunks, at least 8 KiB each, come on top.
pub(super) const WIRE_BYTES_MAX: u64 = BODY_BYTES_MAX + BODY_BYTES_MAX / 64;
/// Headers of S3's own that need not be signed: the signature covers the first two in its own way, browsers add the third.
const UNSIGNED: &[&str] = &["x-amz-content-sha256", "x-amz-date", "x-amz-user-agent"];
/// What user metadata is sent as.
const USER_METADATA: &str = "x-amz-meta-";

/// Headers that S3 reads one value of. Of several, those who look may take different ones for it: the protocol's library passes
/// over values that it cannot read.
const SINGLE: &[&str] = &["authorization", "content-md5", "content-type", "date", "expires", "host", "range"];
/// Headers of S3's own that are lists.
const LISTS: &[&str] = &["x-amz-object-attributes", "x-amz-optional-object-attributes"];

/// Refuses a request by its head.
///
/// # Errors
/// SigV2 and foreign regions (AUTH-1, REG-2), lives of presigned URLs that S3 does not allow (AUTH-4), headers of S3's own that
/// are not signed (AUTH-9), session tokens, headers and bodies over their limits (META-4, SIZE-2).
pub(super) fn check(parts: &Parts, region: &str) -> S3Result<()> {
    if parts.method == Method::OPTIONS {
        // It asks what may be sent (CORS-5): nothing of it is obeyed, and what its URL's signature is of comes later.
        return limits(parts);
    }
    if let Some(name) = parts.headers.keys().find(|name| is_ambiguous(&parts.headers, name)) {
        return Err(bad("InvalidArgument", format!("the header {name} is there twice, and only one can be meant")));
    }
    let query = query(parts.uri.query().unwrap_or_default());
    let authorization = authorization(parts);
    if authorization.is_some() && query.contains_key("X-Amz-Signature") {
        return Err(bad("InvalidArgument", "a request is signed in its head or in its query, not in both"));
    }
    if authorization.is_some_and(|text| !text.starts_with("AWS4-")) || query.contains_key("AWSAccessKeyId") {
        return Err(of_version_2());
    }
    if parts.headers.contains_key("x-amz-security-token") || query.contains_key("X-Amz-Security-Token") {
        return Err(with_token());
    }
    let of_object = !place_of(parts).1.is_empty();
    if let Some(name) = query.keys().find(|name| is_unknown(name, of_object)) {
        let message = format!("this release does not offer ?{name}");
        return Err(refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message));
    }
    if let Some(name) = query.keys().find(|name| is_hoisted(name)) {
        let message = format!("{name} in a query is not obeyed: send it as a signed header");
        return Err(refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message));
    }
    if query.contains_key("X-Amz-Signature") {
        lives(query.get("X-Amz-Expires").map_or("", String::as_str))?;
        let credential = query.get("X-Amz-Credential").map_or("", String::as_str);
        in_region(credential, region, "AuthorizationQueryParametersError")?;
        all_signed(&parts.headers, query.get("X-Amz-SignedHeaders").map_or("", String::as_str))?;
    } else if let Some(authorization) = authorization {
        let malformed = "AuthorizationHeaderMalformed";
        let (credential, signed, _) = members(authorization).ok_or_else(|| {
            bad(malformed, "the header is not ALGORITHM Credential=..., SignedHeaders=..., Signature=...")
        })?;
        in_region(credential, region, malformed)?;
        all_signed(&parts.headers, signed)?;
    }
    limits(parts)
}

/// A signature's time may be told by `Date` (AUTH-1); the protocol's library knows `x-amz-date` alone.
pub(super) fn date_of(headers: &mut HeaderMap) {
    let signed = headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS4-"));
    if !signed || headers.contains_key("x-amz-date") {
        return;
    }
    let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
    // Some clients write the zone as mail does.
    let date = date.map(|date| date.strip_suffix("-0000").map_or_else(|| date.to_owned(), |date| format!("{date}GMT")));
    let date = date.and_then(|date| Timestamp::parse(TimestampFormat::HttpDate, &date).ok());
    let mut text = Vec::new();
    if date.is_some_and(|date| date.format(TimestampFormat::DateTime, &mut text).is_ok()) {
        // 2026-11-23T09:00:00[.000]Z without its marks.
        text.retain(|byte| !b"-:".contains(byte));
        text.truncate(15);
        text.push(b'Z');
        if let Ok(date) = HeaderValue::from_bytes(&text) {
            headers.insert("x-amz-date", date);
        }
    }
}

/// Whether a request claims to be signed with a key in its head.
pub(super) fn claims_key(parts: &Parts) -> bool {
    parts.headers.contains_key(header::AUTHORIZATION) || is_presigned(parts)
}

/// Whether it claims to be signed in its query: whoever has the URL may send it.
pub(super) fn is_presigned(parts: &Parts) -> bool {
    query(parts.uri.query().unwrap_or_default()).contains_key("X-Amz-Signature")
}

/// The access key that a request claims to be signed with in its head.
pub(super) fn key_of(parts: &Parts) -> Option<String> {
    let credential = match signature(parts) {
        Some((credential, _)) => credential.to_owned(),
        None => query(parts.uri.query().unwrap_or_default()).remove("X-Amz-Credential")?,
    };
    credential.split_once('/').map(|(key, _)| key.to_owned())
}

/// The head of a read that names no single range, without range and signature: S3 ignores such a range (READ-8), and the
/// protocol's library refuses it.
pub(super) fn without_odd_range(parts: &Parts) -> Option<Parts> {
    let range = parts.headers.get(header::RANGE).filter(|_| matches!(parts.method, Method::GET | Method::HEAD))?;
    if range.to_str().is_ok_and(|range| Range::parse(range).is_ok()) {
        return None;
    }
    let mut parts = parts.clone();
    parts.headers.remove(header::RANGE);
    parts.headers.remove(header::AUTHORIZATION);
    parts.uri = unsigned_uri(&parts.uri)?;
    Some(parts)
}

/// The same place without what of a signature is in its query.
pub(super) fn unsigned_uri(uri: &Uri) -> Option<Uri> {
    let (path, text) = (uri.path(), uri.query().unwrap_or_default());
    let is_of_signature = |pair: &&str| query(pair).keys().any(|name| name.to_ascii_lowercase().starts_with("x-amz-"));
    let kept: Vec<&str> = text.split('&').filter(|pair| !is_of_signature(pair)).collect();
    format!("{path}?{}", kept.join("&")).parse().ok()
}

/// Joins user metadata that is sent twice into one value (META-7), as signatures see it.
pub(super) fn join_twice_sent(headers: &mut HeaderMap) {
    let twice =
        |name: &&HeaderName| name.as_str().starts_with(USER_METADATA) && headers.get_all(*name).iter().nth(1).is_some();
    let twice: Vec<HeaderName> = headers.keys().filter(twice).cloned().collect();
    for name in twice {
        let values: Vec<&[u8]> = headers.get_all(&name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&values.join(&b","[..])) {
            headers.insert(name, joined);
        }
    }
}

/// Whether a header has several values and S3 reads one. User metadata that is sent twice is joined (META-7).
fn is_ambiguous(headers: &HeaderMap, name: &HeaderName) -> bool {
    let name = name.as_str();
    let own = name.starts_with("x-amz-") && !name.starts_with(USER_METADATA) && !LISTS.contains(&name);
    (own || SINGLE.contains(&name)) && headers.get_all(name).iter().nth(1).is_some()
}

/// Whether a parameter names an operation that the protocol's library does not know: it would take it for a plain one, and
/// overwrite the object.
fn is_unknown(name: &str, of_object: bool) -> bool {
    const UNKNOWN: &[&str] = &[
        "abac",
        "annotation",
        "annotations",
        "metadataAnnotationTable",
        "metadataConfiguration",
        "metadataInventoryTable",
        "metadataJournalTable",
        "renameObject",
    ];
    UNKNOWN.contains(&name) || (of_object && name == "encryption")
}

/// Whether a parameter of a presigned URL is a header that was put there and says more than what bytes are to come.
fn is_hoisted(name: &str) -> bool {
    const SIGNATURE: &[&str] =
        &["algorithm", "credential", "date", "expires", "signedheaders", "signature", "security-token"];
    const HARMLESS: &[&str] = &["content-sha256", "sdk-checksum-algorithm", "user-agent"];
    let name = name.to_ascii_lowercase();
    name.strip_prefix("x-amz-")
        .is_some_and(|rest| !SIGNATURE.contains(&rest) && !HARMLESS.contains(&rest) && !rest.starts_with("checksum-"))
}

fn bad(code: &str, message: impl Into<String>) -> S3Error {
    refused(StatusCode::BAD_REQUEST, code, message)
}

/// The refusal of a signature of version 2 (AUTH-1).
pub(super) fn of_version_2() -> S3Error {
    let message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
    bad("InvalidRequest", message)
}

/// The refusal of an MD5 that is there and empty, which is not none (SUM-6).
pub(super) fn of_empty_md5() -> S3Error {
    bad("InvalidDigest", "The Content-MD5 you specified is not valid.")
}

/// The refusal of a session's token.
pub(super) fn with_token() -> S3Error {
    bad("InvalidToken", "there are no temporary credentials here, so no token of one is valid")
}

/// The parameters of a query, decoded; of one that comes twice the last. They serve to refuse, never to allow.
pub(super) fn query(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn authorization(parts: &Parts) -> Option<&str> {
    parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default())
}

/// Credential and signature of a request that is signed in its head.
pub(super) fn signature(parts: &Parts) -> Option<(&str, &str)> {
    members(authorization(parts)?).map(|(credential, _, signature)| (credential, signature))
}

/// Credential, signed headers and signature of an `Authorization` header, which has nothing else: whatever is read here is what
/// the protocol's library checks.
fn members(authorization: &str) -> Option<(&str, &str, &str)> {
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let (credential, rest) = rest.trim_start().strip_prefix("Credential=")?.split_once(',')?;
    let (signed, rest) = rest.trim_start().strip_prefix("SignedHeaders=")?.split_once(',')?;
    let signature = rest.trim_start().strip_prefix("Signature=")?.trim_end();
    signature.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some((credential, signed, signature))
}

fn lives(seconds: &str) -> S3Result<()> {
    let most = EXPIRES_MAX.as_secs();
    if seconds.parse().is_ok_and(|seconds: u64| (1..=most).contains(&seconds)) {
        return Ok(());
    }
    let message = format!("X-Amz-Expires is 1 to {most} seconds, not {seconds:?} (AUTH-4)");
    Err(bad("AuthorizationQueryParametersError", message))
}

/// REG-2. What is no credential is left to the protocol's library.
pub(super) fn in_region(credential: &str, region: &str, code: &str) -> S3Result<()> {
    // KEY/DATE/REGION/SERVICE/aws4_request; a key has no slash.
    let mut scope = credential.split('/').skip(2);
    match (scope.next(), scope.next()) {
        (Some(theirs), Some(_)) if theirs != region => {
            Err(bad(code, format!("the region '{theirs}' is wrong; expecting '{region}'")))
        }
        (_, Some(service)) if service != "s3" => {
            Err(bad(code, format!("the service '{service}' is wrong; expecting 's3'")))
        }
        _ => Ok(()),
    }
}

/// What S3 obeys must be the signer's word (AUTH-9), and so must the host be, which may name the bucket. The protocol's library
/// passes over a name that is that of no header, or of one it cannot read, so such a one is refused here.
fn all_signed(headers: &HeaderMap, signed: &str) -> S3Result<()> {
    let is_signed = |name: &str| signed.split(';').any(|signed| signed == name);
    let own = headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
    let needed = own.filter(|name| !UNSIGNED.contains(name)).chain([header::HOST.as_str()]);
    let unsigned: Vec<_> = needed.filter(|name| !is_signed(name)).collect();
    if !unsigned.is_empty() {
        let message =
            format!("There were headers present in the request which were not signed: {}", unsigned.join(", "));
        return Err(refused(StatusCode::FORBIDDEN, "AccessDenied", message));
    }
    let is_there = |name: &str| {
        let mut values = headers.get_all(name).iter().peekable();
        values.peek().is_some() && values.all(|value| str::from_utf8(value.as_bytes()).is_ok())
    };
    match signed.split(';').find(|name| !is_there(name)) {
        None => Ok(()),
        Some(absent) => {
            let message = format!("{absent:?} is signed, and the request has no such header that could be read");
            Err(refused(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message))
        }
    }
}

fn limits(parts: &Parts) -> S3Result<()> {
    let bytes: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let writes = matches!(parts.method, Method::PUT | Method::POST);
    let most = if writes { HEADERS_BYTES_MAX } else { HEADERS_READ_BYTES_MAX };
    if bytes > most {
        let message = format!("its headers have {bytes} bytes, the limit is {most} (META-4)");
        return Err(bad("RequestHeaderSectionTooLarge", message));
    }
    if parts.headers.get("content-md5").is_some_and(HeaderValue::is_empty) {
        return Err(of_empty_md5());
    }
    let number = |name: &str| parts.headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let decoded = number("x-amz-decoded-content-length");
    let most = match decoded {
        Some(_) => WIRE_BYTES_MAX,
        None if is_form(parts) => BODY_BYTES_MAX + FIELDS_BYTES_MAX,
        None => BODY_BYTES_MAX,
    };
    let too_long = decoded.is_some_and(|bytes| bytes > BODY_BYTES_MAX)
        || number("content-length").is_some_and(|bytes| bytes > most);
    if too_long {
        return Err(bad("EntityTooLarge", "a body has at most 5 GiB: send more in parts (SIZE-2)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{HeaderValue, check, date_of, join_twice_sent, without_odd_range};
    use hyper::Request;

    fn refusal(uri: &str, headers: &[(&'static str, &str)]) -> Option<String> {
        let mut request = Request::builder().method("PUT").uri(uri).header("host", "h");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        check(&parts, "us-east-1").err().map(|error| error.code().as_str().to_owned())
    }

    fn authorization(region: &str, signed: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AK/20261123/{region}/s3/aws4_request, SignedHeaders={signed}, Signature=00"
        )
    }

    #[test]
    fn auth_1_signatures_of_version_2_are_refused() {
        assert_eq!(refusal("/b/k", &[("authorization", "AWS AK:c2ln")]).as_deref(), Some("InvalidRequest"));
        let presigned = "/b/k?AWSAccessKeyId=AK&Expires=1&Signature=s";
        assert_eq!(refusal(presigned, &[]).as_deref(), Some("InvalidRequest"));
        let hidden = "/b/k?%41WSAccessKeyId=AK&Expires=1&Signature=s";
        assert_eq!(refusal(hidden, &[]).as_deref(), Some("InvalidRequest"));
    }

    #[test]
    fn auth_4_presigned_urls_live_a_second_to_seven_days() {
        let presigned = |seconds: &str| {
            format!(
                "/b/k?X-Amz-Signature=00&X-Amz-Credential=AK%2F20261123%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-SignedHeaders=host&X-Amz-Expires={seconds}"
            )
        };
        for seconds in ["1", "3600", "604800"] {
            assert_eq!(refusal(&presigned(seconds), &[]), None, "{seconds}");
        }
        for seconds in ["0", "604801", "-1", "", "99999999999999999999"] {
            let found = refusal(&presigned(seconds), &[]);
            assert_eq!(found.as_deref(), Some("AuthorizationQueryParametersError"), "{seconds}");
        }
    }

    /// What is not obeyed is not taken.
    #[test]
    fn headers_in_the_query_are_refused_when_they_say_how_to_store() {
        for name in ["x-amz-meta-a", "X-Amz-Tagging", "x-amz-acl", "x-amz-storage-class", "%78-amz-meta-a"] {
            assert_eq!(refusal(&format!("/b/k?{name}=v"), &[]).as_deref(), Some("NotImplemented"), "{name}");
        }
        for name in ["x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm", "X-Amz-Date", "partNumber"] {
            assert_eq!(refusal(&format!("/b/k?{name}=v"), &[]), None, "{name}");
        }
    }

    #[test]
    fn reg_2_a_signature_for_another_region_is_refused() {
        assert_eq!(refusal("/b/k", &[("authorization", &authorization("us-east-1", "host"))]), None);
        let found = refusal("/b/k", &[("authorization", &authorization("eu-west-1", "host"))]);
        assert_eq!(found.as_deref(), Some("AuthorizationHeaderMalformed"));
    }

    #[test]
    fn auth_9_what_s3_obeys_is_signed() {
        let signed = authorization("us-east-1", "host;x-amz-acl");
        let headers = [("authorization", signed.as_str()), ("x-amz-acl", "private"), ("x-amz-date", "d")];
        assert_eq!(refusal("/b/k", &headers), None);
        let headers = [("authorization", signed.as_str()), ("x-amz-acl", "private"), ("x-amz-tagging", "a=b")];
        assert_eq!(refusal("/b/k", &headers).as_deref(), Some("AccessDenied"));
        // The host may name the bucket.
        let without_host = authorization("us-east-1", "x-amz-date");
        let headers = [("authorization", without_host.as_str()), ("x-amz-date", "d")];
        assert_eq!(refusal("/b/k", &headers).as_deref(), Some("AccessDenied"));
        assert_eq!(refusal("/b/k?X-Amz-Signature=00&X-Amz-Expires=1", &[]).as_deref(), Some("AccessDenied"));
    }

    #[test]
    fn auth_9_what_can_mean_one_thing_is_said_once() {
        let twice = |name: &'static str| refusal("/b/k", &[(name, "1"), (name, "2")]);
        for name in ["content-type", "x-amz-content-sha256", "range", "x-amz-acl", "host"] {
            assert_eq!(twice(name).as_deref(), Some("InvalidArgument"), "{name}");
        }
        for name in ["x-amz-meta-a", "x-amz-object-attributes", "accept", "cache-control"] {
            assert_eq!(twice(name), None, "{name}");
        }
    }

    #[test]
    fn cors_5_a_preflight_need_not_have_what_its_url_was_signed_with() {
        let uri = "/b/k?X-Amz-Signature=00&X-Amz-Expires=1&X-Amz-SignedHeaders=host%3Bx-amz-acl";
        let checked = |method: &str| {
            let request = Request::builder().method(method).uri(uri).header("host", "h").body(()).unwrap();
            check(&request.into_parts().0, "us-east-1")
        };
        assert!(checked("OPTIONS").is_ok() && checked("PUT").is_err());
    }

    /// AUTH-9: a name that the signature does not cover counts for nothing, wherever and however it is written.
    #[test]
    fn auth_9_who_holds_a_signature_adds_nothing_to_it() {
        let with = |authorization: &str| refusal("/b/k", &[("authorization", authorization), ("x-amz-acl", "private")]);
        let scope = "Credential=AK/20261123/us-east-1/s3/aws4_request";
        // The library looks names up as they are written, and passes over those it does not find.
        assert_eq!(with(&authorization("us-east-1", "host;X-Amz-Acl")).as_deref(), Some("AccessDenied"));
        let absent = authorization("us-east-1", "host;x-amz-acl;x-amz-tagging");
        assert_eq!(with(&absent).as_deref(), Some("SignatureDoesNotMatch"));
        for hidden in [
            format!("AWS4-SignedHeaders=host;x-amz-acl {scope}, SignedHeaders=host, Signature=00"),
            format!("AWS4-HMAC-SHA256 SignedHeaders=host;x-amz-acl, {scope}, SignedHeaders=host, Signature=00"),
            format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host;x-amz-acl, Signature=00 {scope}, SignedHeaders=host"),
            format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host"),
        ] {
            assert_eq!(with(&hidden).as_deref(), Some("AuthorizationHeaderMalformed"), "{hidden}");
        }
        let spaced = format!("AWS4-HMAC-SHA256  {scope},SignedHeaders=host;x-amz-acl,  Signature=00");
        assert_eq!(with(&spaced), None);
        // What the library cannot read it leaves out of what it checks.
        let mut request = Request::builder().uri("/b/k").header("host", "h");
        request = request.header("authorization", authorization("us-east-1", "host;x-amz-acl"));
        let request = request.header("x-amz-acl", HeaderValue::from_bytes(b"\xff").unwrap()).body(()).unwrap();
        let refused = check(&request.into_parts().0, "us-east-1").unwrap_err();
        assert_eq!(refused.code().as_str(), "SignatureDoesNotMatch");
    }

    #[test]
    fn auth_1_a_request_is_signed_in_one_place() {
        let signed = authorization("us-east-1", "host");
        let presigned = "/b/k?X-Amz-Signature=00&X-Amz-SignedHeaders=host&X-Amz-Expires=60";
        assert_eq!(refusal(presigned, &[]), None);
        assert_eq!(refusal(presigned, &[("authorization", &signed)]).as_deref(), Some("InvalidArgument"));
    }

    #[test]
    fn meta_4_and_size_2_heads_and_bodies_have_limits() {
        let long = "v".repeat(8192);
        assert_eq!(refusal("/b/k", &[("x-long", &long)]).as_deref(), Some("RequestHeaderSectionTooLarge"));
        assert_eq!(refusal("/b/k", &[("content-md5", "")]).as_deref(), Some("InvalidDigest"));
        assert_eq!(refusal("/b/k", &[("content-length", "5368709120")]), None);
        assert_eq!(refusal("/b/k", &[("content-length", "5368709121")]).as_deref(), Some("EntityTooLarge"));
        let chunked = [("content-length", "5400000000"), ("x-amz-decoded-content-length", "5368709120")];
        assert_eq!(refusal("/b/k", &chunked), None);
    }

    #[test]
    fn auth_1_a_date_tells_the_time_of_a_signature() {
        let dated = |authorization: &'static str, date: &'static str| {
            let mut headers = hyper::HeaderMap::new();
            headers.insert("authorization", HeaderValue::from_static(authorization));
            headers.insert("date", HeaderValue::from_static(date));
            date_of(&mut headers);
            headers.get("x-amz-date").map(|date| date.to_str().unwrap().to_owned())
        };
        let date = "Mon, 23 Nov 2026 09:08:39 GMT";
        assert_eq!(dated("AWS4-HMAC-SHA256 Credential=", date).as_deref(), Some("20261123T090839Z"));
        let as_in_mail = "Mon, 23 Nov 2026 09:08:39 -0000";
        assert_eq!(dated("AWS4-HMAC-SHA256 Credential=", as_in_mail).as_deref(), Some("20261123T090839Z"));
        assert_eq!(dated("AWS4-HMAC-SHA256 Credential=", "yesterday"), None);
        assert_eq!(dated("AWS KEY:c2ln", date), None);
    }

    #[test]
    fn read_8_only_a_range_that_is_none_is_left_out() {
        let left = |uri: &str, range: &str| {
            let request = Request::builder().uri(uri).header("range", range).header("authorization", "AWS4-");
            let parts = without_odd_range(&request.body(()).unwrap().into_parts().0)?;
            assert!(parts.headers.is_empty());
            Some(parts.uri.to_string())
        };
        for range in ["bytes=0-1", "bytes=5-", "bytes=-5"] {
            assert_eq!(left("/b/k", range), None, "{range}");
        }
        for range in ["bytes=0-1,5-6", "bytes=5-2", "bytes=x-", "lines=1-2", "5", ""] {
            assert_eq!(left("/b/k", range).as_deref(), Some("/b/k?"), "{range}");
        }
        let signed = "/b/k?versionId=1&X-Amz-Signature=00&%58-Amz-Date=d&partNumber=2";
        assert_eq!(left(signed, "bytes=").as_deref(), Some("/b/k?versionId=1&partNumber=2"));
    }

    #[test]
    fn meta_7_metadata_sent_twice_is_one_value() {
        let mut headers = hyper::HeaderMap::new();
        headers.append("x-amz-meta-a", HeaderValue::from_static("one"));
        headers.append("x-amz-meta-a", HeaderValue::from_static("two"));
        headers.append("x-other", HeaderValue::from_static("1"));
        headers.append("x-other", HeaderValue::from_static("2"));
        join_twice_sent(&mut headers);
        assert_eq!(headers.get_all("x-amz-meta-a").iter().collect::<Vec<_>>(), ["one,two"]);
        assert_eq!(headers.get_all("x-other").iter().count(), 2);
    }
}
