//! Bodies that are held in memory whole, documents of XML: how many bytes of them at once, and whether they are what their
//! checksums say.

use super::XML_BYTES_MAX;
use super::auth::{Proved, credential, place_of};
use super::body::{self, BAD_SUM, STALLED};
use super::bridge::Bridge;
use super::connections::client_of;
use super::error::{refused, told};
use super::guard::{self, WIRE_BYTES_MAX};
use super::pace::{Paced, Unread};
use super::rechunked::Rechunked;
use super::resigned::Resigned;
use super::turns::{Turn, Turns};
use crate::crypto::{Summer, hex, md5, sha256};
use crate::model::{ChecksumAlgorithm, Sum, parse_md5};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use s3s::{Body, S3Error, S3Result};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// KiB of documents in memory at once, and of a client's at most: a document is read before its signature is looked at.
const TOGETHER_KIB: u32 = 64 * 1024;
const SHARE_KIB: u32 = 48 * 1024;
/// KiB of a document that are paid for at a time, as they come: who only says that he sends much takes nothing.
const STEP_KIB: u32 = 64;
/// Tags of a document at most: 10,000 parts of an upload with a checksum each have 80,000. What is read of an element takes
/// some 200 bytes.
const TAGS_MAX: usize = 200_000;
/// Documents with more than this are read some at a time.
const TAGS_FEW: usize = 8192;
/// Of those, so many.
const LARGE_MAX: usize = 2;
/// How long one may wait for the others.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one may take to come: what has come of it is held meanwhile.
const ARRIVAL: Duration = Duration::from_secs(60);
/// Parameters of queries of a PUT that brings a document.
const OF_DOCUMENTS: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "retention",
    "tagging",
    "versioning",
    "website",
];
/// Longest document that makes a bucket, in bytes.
const BUCKET_BYTES_MAX: u64 = 64 * 1024;

/// Room for bodies that are held whole.
pub(super) struct Room {
    documents: Arc<Turns>,
    large: Arc<Turns>,
}

/// A body's part of it, for as long as the request is served.
pub(super) type Held = Vec<Turn>;

impl Room {
    pub(super) fn new() -> Self {
        let documents = Turns::new(TOGETHER_KIB as usize, SHARE_KIB as usize, PATIENCE);
        Self { documents, large: Turns::new(LARGE_MAX, LARGE_MAX, PATIENCE) }
    }

    /// The body as the protocol's library is to have it: a document is read and compared here, everything else streams.
    ///
    /// # Errors
    /// What is wrong with it: its length, its MD5 or checksum (SUM-6), or a client that is too slow.
    pub(super) async fn take(
        &self,
        parts: &Parts,
        body: Incoming,
        unread: &Unread,
        (peer, proved): (IpAddr, &Proved),
        bridge: &Bridge,
    ) -> S3Result<(Body, Held)> {
        let length = body.size_hint().exact();
        let streaming = is_streaming(&parts.headers);
        if !is_held(parts) || !guard::claims_key(parts) {
            let body = Paced::new(body, unread, WIRE_BYTES_MAX);
            let body = match streaming {
                false => Body::http_body_unsync(body),
                true if is_unsigned(&parts.headers) => Body::http_body_unsync(Rechunked::new(body)),
                true => Body::http_body_unsync(Resigned::new(body, parts, proved)),
            };
            return Ok((body, Held::new()));
        }
        let most = if makes_bucket(parts) { BUCKET_BYTES_MAX } else { XML_BYTES_MAX as u64 };
        let mut body = Paced::new(body, unread, most);
        if streaming {
            let message = "a document that is sent in signed chunks is not read: send it whole";
            return Err(refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message));
        }
        let length = length.ok_or_else(|| {
            let message = "You must provide the Content-Length HTTP header.";
            refused(StatusCode::LENGTH_REQUIRED, "MissingContentLength", message)
        })?;
        if length > most {
            let message = format!("the body has {length} bytes, the limit is {most}");
            return Err(refused(StatusCode::BAD_REQUEST, "MaxMessageLengthExceeded", message));
        }
        // Room is for those who at least name a key.
        credential(bridge, &guard::key_of(parts).unwrap_or_default()).await?;
        let read = tokio::time::timeout(ARRIVAL, self.read(&mut body, &client_of(peer).to_string())).await;
        let (bytes, mut held) = read.unwrap_or_else(|_| Err(body::failed(&STALLED.into())))?;
        let tags = bytes.iter().filter(|byte| **byte == b'<').count();
        if tags > TAGS_MAX {
            let message = format!("the document has more than {TAGS_MAX} tags");
            return Err(refused(StatusCode::BAD_REQUEST, "MaxMessageLengthExceeded", message));
        }
        if tags > TAGS_FEW {
            held.push(self.large.take(None).await?);
        }
        compare(&parts.headers, &bytes, is_of_object(parts))?;
        Ok((Body::from(bytes), held))
    }

    async fn read(&self, body: &mut Paced, client: &str) -> S3Result<(Bytes, Held)> {
        let (mut bytes, mut held) = (BytesMut::new(), Held::new());
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            let Ok(data) = frame.map_err(|error| body::failed(&error))?.into_data() else { continue };
            while held.len() * STEP_KIB as usize * 1024 < bytes.len() + data.len() {
                held.push(self.documents.take_many(STEP_KIB, Some(client)).await?);
            }
            bytes.extend_from_slice(&data);
        }
        Ok((bytes.freeze(), held))
    }
}

/// Whether the protocol's library reads a request's body whole: all but the bytes of objects and parts.
fn is_held(parts: &Parts) -> bool {
    match parts.method {
        Method::POST => true,
        Method::PUT if names_document(parts) => true,
        Method::PUT => makes_bucket(parts),
        _ => false,
    }
}

/// Whether a request makes a bucket.
fn makes_bucket(parts: &Parts) -> bool {
    parts.method == Method::PUT && place_of(parts).1.is_empty() && !names_document(parts)
}

fn names_document(parts: &Parts) -> bool {
    let query = guard::query(parts.uri.query().unwrap_or_default());
    query.keys().any(|name| OF_DOCUMENTS.contains(&name.as_str()))
}

fn is_streaming(headers: &HeaderMap) -> bool {
    headers.get("x-amz-content-sha256").is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"))
}

fn is_unsigned(headers: &HeaderMap) -> bool {
    headers.get("x-amz-content-sha256").is_some_and(|value| value == "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
}

/// Whether checksums in the head are those of an object that the document completes, not the document's.
fn is_of_object(parts: &Parts) -> bool {
    guard::query(parts.uri.query().unwrap_or_default()).contains_key("uploadId")
}

fn compare(headers: &HeaderMap, bytes: &[u8], of_object: bool) -> S3Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let other = |name: &str| -> S3Error {
        refused(StatusCode::BAD_REQUEST, "BadDigest", format!("the body is not what {name} says"))
    };
    if let Some(promised) = text("content-md5")
        && parse_md5(promised).map_err(|error| told(&error))? != md5(bytes)
    {
        return Err(other("Content-MD5"));
    }
    let is_sum = |text: &&str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(promised) = text("x-amz-content-sha256").filter(is_sum)
        && !promised.eq_ignore_ascii_case(&hex(&sha256(bytes)))
    {
        return Err(body::failed(&BAD_SUM.into()));
    }
    for algorithm in ChecksumAlgorithm::ALL.iter().filter(|_| !of_object) {
        let name = format!("x-amz-checksum-{}", algorithm.name().to_ascii_lowercase());
        let Some(promised) = text(&name) else { continue };
        if Sum::parse(*algorithm, promised).map_err(|error| told(&error))? != Summer::of(*algorithm, bytes) {
            return Err(other(&name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{HeaderMap, compare, is_held};
    use hyper::Request;

    #[test]
    fn what_is_held_is_all_but_bytes_of_objects() {
        let held_at = |host: &str, method: &str, uri: &str| {
            let head = Request::builder().method(method).uri(uri).header("host", host).body(()).unwrap().into_parts().0;
            is_held(&head)
        };
        let held = |method: &str, uri: &str| held_at("h", method, uri);
        for (method, uri) in [
            ("POST", "/b?delete"),
            ("POST", "/b/k?uploadId=1"),
            ("PUT", "/b"),
            ("PUT", "/b?versioning"),
            ("PUT", "/b/k?tagging"),
            ("PUT", "/b/k?%74agging&versionId=1"),
        ] {
            assert!(held(method, uri), "{method} {uri}");
        }
        for (method, uri) in [
            ("PUT", "/b/k"),
            ("PUT", "/b/k?partNumber=1&uploadId=2"),
            ("PUT", "/b/k?x-id=PutObject&X-Amz-Signature=0"),
            ("PUT", "/b/k?x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32"),
            ("GET", "/b?versioning"),
        ] {
            assert!(!held(method, uri), "{method} {uri}");
        }
        // What is no object's makes a bucket, however long it is; with the bucket's name in the host it is an object.
        assert!(held("PUT", "/b/") && held_at("b.localhost", "PUT", "/"));
        assert!(!held("PUT", "/b//") && !held("PUT", "/b%2Fk") && !held_at("b.localhost", "PUT", "/big.bin"));
    }

    #[test]
    fn sum_6_documents_are_compared() {
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, hyper::header::HeaderValue::from_static(value));
            compare(&headers, b"hello", false).map_err(|error| error.code().as_str().to_owned())
        };
        assert_eq!(with("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="), Ok(()));
        assert_eq!(with("content-md5", "XUFAKrxLKna5cZ2REBfFkQ=="), Err("BadDigest".into()));
        assert_eq!(with("content-md5", "hello"), Err("InvalidDigest".into()));
        assert_eq!(with("x-amz-checksum-crc32", "NhCmhg=="), Ok(()));
        assert_eq!(with("x-amz-checksum-crc32", "NhCmhQ=="), Err("BadDigest".into()));
        let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(with("x-amz-content-sha256", sum), Ok(()));
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(with("x-amz-content-sha256", of_nothing), Err("XAmzContentSHA256Mismatch".into()));
        assert_eq!(with("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), Ok(()));
        assert_eq!(with("x-other", "1"), Ok(()));
    }
}
