//! Forms that browsers send to upload a file (`POST /bucket`): the fields before the file say what is done with it, and a signed
//! policy among them whether it may be. The file streams into the engine as a PUT's body does.

mod fields;
mod signer;
mod upload;

pub(super) use fields::FIELDS_BYTES_MAX;

use super::answer::Trace;
use super::auth::{Rights, action, place_of};
use super::bridge::Bridge;
use super::error::{invalid, not_built, refused, told};
use super::guard::{self, BODY_BYTES_MAX};
use super::metered::Written;
use super::operations::put;
use super::pace::Paced;
use super::rates::Rates;
use crate::access::Principal;
use crate::model::StorageClass;
use fields::{Fields, File};
use hyper::body::Body as _;
use hyper::header;
use hyper::http::Extensions;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use s3s::dto::StreamingBlob;
use s3s::path::S3Path;
use s3s::{Body, S3Request, S3Result};
use std::net::IpAddr;
use std::sync::Arc;
use upload::Wanted;

/// What the operation is called.
const OPERATION: &str = "PostObject";
/// Headers that would be about the file with a PUT: of a form they are about nothing, so they are not taken.
const OF_FILES: &[&str] = &["content-md5", "if-match", "if-none-match", "x-amz-checksum-"];

/// Whether a request is such a form. Whatever only begins like one is, too: the protocol's library may read it as one.
pub(super) fn is_form(parts: &Parts) -> bool {
    const FORM: &[u8] = b"multipart/form-data";
    let kinds = parts.headers.get_all(header::CONTENT_TYPE).iter();
    let mut kinds = kinds.filter_map(|kind| kind.as_bytes().trim_ascii_start().get(..FORM.len()));
    parts.method == Method::POST && kinds.any(|kind| kind.eq_ignore_ascii_case(FORM))
}

/// What forms are served with.
pub(super) struct Forms<'a> {
    pub(super) bridge: &'a Bridge,
    pub(super) rates: &'a Arc<Rates>,
    /// `http` or `https`.
    pub(super) scheme: &'a str,
}

impl Forms<'_> {
    /// Serves a form, whose operation and principal `trace` is told once they are known.
    ///
    /// # Errors
    /// What is wrong with the form, its signature or its policy; as with a PUT of the object.
    pub(super) async fn serve(
        &self,
        (parts, peer): (&Parts, IpAddr),
        body: Paced,
        trace: &Trace,
    ) -> S3Result<Response<Body>> {
        let bucket = check(parts, body.size_hint().exact())?;
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind).ok().filter(|boundary| !boundary.is_empty());
        let boundary = boundary.ok_or_else(|| {
            let message = "The Content-Type of the form names no boundary.";
            refused(StatusCode::BAD_REQUEST, "MalformedPOSTRequest", message)
        })?;
        let (mut fields, file) = fields::read(body, boundary).await?;
        let key = fields.get("key").filter(|key| !key.is_empty()).ok_or_else(|| signer::missing("key"))?.to_owned();
        let (principal, file) = self.admitted((parts, peer), (&bucket, &key), &fields, file, trace).await?;
        let wanted = Wanted::of(&mut fields);
        let (tags, headers) = (upload::tags(&mut fields)?, upload::headers(&mut fields));
        let mut extensions = Extensions::new();
        let mut input = upload::input(&mut fields, &mut extensions)?;
        upload::nothing_asked(&fields)?;
        (input.bucket, input.key) = (bucket.clone(), key.clone());
        let class = input.storage_class.as_ref().and_then(|class| StorageClass::named(class.as_str()));
        input.body = Some(StreamingBlob::new(file));
        extensions.insert(principal);
        let request = S3Request {
            input,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers,
            extensions,
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        };
        let output = put::tagged(self.bridge, request, tags).await?;
        let mut response = wanted.answer((parts, self.scheme), (&bucket, &key), &output);
        response.extensions_mut().insert(Written(class.unwrap_or_default()));
        Ok(response)
    }

    /// The file of a form that may be uploaded, and in whose name.
    async fn admitted(
        &self,
        (parts, peer): (&Parts, IpAddr),
        (bucket, key): (&str, &str),
        fields: &Fields,
        file: File<Paced>,
        trace: &Trace,
    ) -> S3Result<(Principal, File<Paced>)> {
        let signer = signer::of(self.bridge, fields).await?;
        let rights = Rights::new(self.bridge.clone(), Arc::clone(self.rates));
        let proved = signer.as_ref().map(|signer| signer.key.as_str());
        if proved.is_none() {
            self.rates.stranger(peer)?;
        }
        let principal = signer.as_ref().map_or(Principal::Anonymous, |signer| signer.principal.clone());
        rights.begin(&parts.headers, Some(trace), OPERATION, (&principal, proved))?;
        let mut sizes = 0..=BODY_BYTES_MAX;
        if let Some(signer) = &signer {
            let may = signer.policy()?.judge(bucket, &fields.0, signer.now).map_err(|error| told(&error))?;
            sizes = *may.start()..=BODY_BYTES_MAX.min(*may.end());
        }
        let path = S3Path::Object { bucket: bucket.into(), key: key.into() };
        rights.may(principal.clone(), action(OPERATION, false), path).await?;
        Ok((principal, file.of(sizes)))
    }
}

/// Looks at a form's head; the bucket that it is sent to.
fn check(parts: &Parts, length: Option<u64>) -> S3Result<String> {
    let (bucket, key) = place_of(parts);
    if bucket.is_empty() || !key.is_empty() {
        let message = "The specified method is not allowed against this resource.";
        return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message));
    }
    if guard::claims_key(parts) {
        let message = "Only one auth mechanism allowed: a form is signed by its fields";
        return Err(invalid(message));
    }
    let of_file = |name: &str| parts.headers.keys().any(|header| header.as_str().starts_with(name));
    if let Some(name) = OF_FILES.iter().find(|name| of_file(name)) {
        return Err(not_built(&format!("{name} with a form: send checksums as fields")));
    }
    if length.is_none() {
        let message = "You must provide the Content-Length HTTP header.";
        return Err(refused(StatusCode::LENGTH_REQUIRED, "MissingContentLength", message));
    }
    Ok(bucket)
}

#[cfg(test)]
mod tests {
    use super::{check, is_form};
    use hyper::Request;
    use hyper::http::request::Parts;

    fn head(method: &str, uri: &str, headers: &[(&'static str, &str)]) -> Parts {
        let request = Request::builder().method(method).uri(uri).header("host", "h");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn forms_are_known_however_they_are_spelled() {
        let form = |method: &str, kind: &str| is_form(&head(method, "/b", &[("content-type", kind)]));
        // The last has a suffix, which the protocol's library leaves aside.
        for kind in [
            "multipart/form-data; boundary=x",
            " Multipart/Form-Data;boundary=x",
            "multipart/form-data",
            "multipart/form-data+xml",
        ] {
            assert!(form("POST", kind) && !form("PUT", kind), "{kind}");
        }
        assert!(!form("POST", "text/plain") && !form("POST", "multipart/mixed"));
        assert!(!is_form(&head("POST", "/b?delete", &[])));
        // The library reads the last that it can read.
        let twice = [("content-type", "text/xml"), ("content-type", "multipart/form-data; boundary=x")];
        assert!(is_form(&head("POST", "/b", &twice)));
    }

    #[test]
    fn auth_1_a_form_is_sent_to_a_bucket_and_signed_by_its_fields() {
        let checked = |uri: &str, headers: &[(&'static str, &str)], length| {
            check(&head("POST", uri, headers), length).map_err(|error| error.code().as_str().to_owned())
        };
        for uri in ["/b", "/b/", "/b?x"] {
            assert_eq!(checked(uri, &[], Some(9)), Ok("b".to_owned()), "{uri}");
        }
        assert_eq!(checked("/", &[], Some(9)), Err("MethodNotAllowed".to_owned()));
        assert_eq!(checked("/b/k", &[], Some(9)), Err("MethodNotAllowed".to_owned()));
        assert_eq!(checked("/b?X-Amz-Signature=0", &[], Some(9)), Err("InvalidArgument".to_owned()));
        assert_eq!(checked("/b", &[("x-amz-checksum-crc32", "AAAAAA==")], Some(9)), Err("NotImplemented".to_owned()));
        assert_eq!(checked("/b", &[], None), Err("MissingContentLength".to_owned()));
    }
}
