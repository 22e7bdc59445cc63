//! What a form asks of the object that it uploads, as a PUT of that would, and the answer to it.

use super::super::error::{invalid, not_built, refused};
use super::super::expires::OddExpires;
use super::super::guard;
use super::super::operations::checksums::sums_of;
use super::super::operations::describe::header_tags;
use super::super::operations::names::encoded;
use super::super::operations::tagging::tags_of;
use super::fields::Fields;
use crate::model::{ChecksumAlgorithm, TagSet};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::Extensions;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, Uri};
use s3s::dto::{ETag, PostResponse, PutObjectInput, PutObjectOutput, Tagging, Timestamp, TimestampFormat};
use s3s::xml::{Deserialize, Deserializer, Serialize, Serializer};
use s3s::{Body, S3Result};

/// The tags in a form: a document, as S3 has it, or what a header would say.
///
/// # Errors
/// `MalformedXML`; what is wrong with the tags (TAG-3).
pub(super) fn tags(fields: &mut Fields) -> S3Result<TagSet> {
    let Some(text) = fields.take("tagging") else {
        return fields.take("x-amz-tagging").as_deref().map_or_else(|| Ok(TagSet::new()), header_tags);
    };
    let mut document = Deserializer::new(text.as_bytes());
    let tagging = Tagging::deserialize(&mut document).and_then(|tagging| document.expect_eof().map(|()| tagging));
    let tagging = tagging.map_err(|_| {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        refused(StatusCode::BAD_REQUEST, "MalformedXML", message)
    })?;
    tags_of(tagging)
}

/// What a form asks for besides bytes and tags, beside the input what that cannot hold; fields of no meaning are left.
///
/// # Errors
/// `InvalidArgument` for a time that is none.
pub(super) fn input(fields: &mut Fields, beside: &mut Extensions) -> S3Result<PutObjectInput> {
    let metadata = fields.take_metadata();
    if fields.get("content-md5").is_some_and(str::is_empty) {
        return Err(guard::of_empty_md5());
    }
    let mut take = |name: &str| fields.take(name).filter(|text| !text.is_empty());
    let expires = take("expires");
    if let Some(odd) = expires.as_deref().and_then(OddExpires::of) {
        beside.insert(odd);
    }
    let until = take("x-amz-object-lock-retain-until-date");
    let until = until.map(|text| Timestamp::parse(TimestampFormat::DateTime, &text)).transpose();
    let until = until.map_err(|_| invalid("the field 'x-amz-object-lock-retain-until-date' is no time"))?;
    Ok(PutObjectInput {
        acl: take("acl").or_else(|| take("x-amz-acl")).map(Into::into),
        cache_control: take("cache-control"),
        checksum_crc32: take("x-amz-checksum-crc32"),
        checksum_crc32c: take("x-amz-checksum-crc32c"),
        checksum_crc64nvme: take("x-amz-checksum-crc64nvme"),
        checksum_sha1: take("x-amz-checksum-sha1"),
        checksum_sha256: take("x-amz-checksum-sha256"),
        content_disposition: take("content-disposition"),
        content_encoding: take("content-encoding"),
        content_language: take("content-language"),
        content_md5: take("content-md5"),
        content_type: take("content-type"),
        expires: expires.and_then(|text| Timestamp::parse(TimestampFormat::HttpDate, &text).ok()),
        grant_full_control: take("x-amz-grant-full-control"),
        grant_read: take("x-amz-grant-read"),
        grant_read_acp: take("x-amz-grant-read-acp"),
        grant_write_acp: take("x-amz-grant-write-acp"),
        metadata,
        object_lock_legal_hold_status: take("x-amz-object-lock-legal-hold").map(Into::into),
        object_lock_mode: take("x-amz-object-lock-mode").map(Into::into),
        object_lock_retain_until_date: until,
        server_side_encryption: take("x-amz-server-side-encryption").map(Into::into),
        sse_customer_algorithm: take("x-amz-server-side-encryption-customer-algorithm"),
        sse_customer_key: take("x-amz-server-side-encryption-customer-key"),
        ssekms_key_id: take("x-amz-server-side-encryption-aws-kms-key-id"),
        storage_class: take("x-amz-storage-class").map(Into::into),
        website_redirect_location: take("x-amz-website-redirect-location"),
        ..PutObjectInput::default()
    })
}

/// The algorithm that a form says its checksum is of, as a PUT says it.
pub(super) fn headers(fields: &mut Fields) -> HeaderMap {
    let named = ["x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm"].map(|name| fields.take(name));
    let named = named.into_iter().flatten().find_map(|name| HeaderValue::from_str(&name).ok());
    named.map(|name| (HeaderName::from_static("x-amz-sdk-checksum-algorithm"), name)).into_iter().collect()
}

/// Refuses a form that asks for more than was taken from it: what is not obeyed is not passed over.
///
/// # Errors
/// 501.
pub(super) fn nothing_asked(fields: &Fields) -> S3Result<()> {
    let asks =
        |name: &&String| ["if-", "x-amz-checksum-", "x-amz-server-side-"].iter().any(|ask| name.starts_with(ask));
    match fields.0.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).find(asks) {
        Some(name) => Err(not_built(&format!("the field {name} of a form"))),
        None => Ok(()),
    }
}

/// How a form wants to be answered.
pub(super) struct Wanted {
    redirect: Option<String>,
    status: StatusCode,
}

impl Wanted {
    pub(super) fn of(fields: &mut Fields) -> Self {
        let status = match fields.take("success_action_status").as_deref() {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        };
        let redirect = fields.take("success_action_redirect").or_else(|| fields.take("redirect"));
        Self { redirect, status }
    }

    /// The answer to the form whose head is `parts`, once its file is there.
    pub(super) fn answer(
        &self,
        (parts, scheme): (&Parts, &str),
        (bucket, key): (&str, &str),
        output: &PutObjectOutput,
    ) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        // Where the path names no bucket the host does.
        let path = if parts.uri.path() == "/" { String::new() } else { format!("/{bucket}") };
        let location = format!("{scheme}://{host}{path}/{}", encoded(key));
        let tag = output.e_tag.as_ref().map(|tag| format!("\"{}\"", ETag::value(tag))).unwrap_or_default();
        let mut told = vec![
            ("location".to_owned(), location.clone()),
            ("etag".to_owned(), tag.clone()),
            ("x-amz-version-id".to_owned(), output.version_id.clone().unwrap_or_default()),
        ];
        for (algorithm, sum) in sums_of!(output) {
            let name = format!("x-amz-checksum-{}", algorithm.name().to_ascii_lowercase());
            told.push((name, sum.unwrap_or_default().to_owned()));
        }
        for (name, value) in told.into_iter().filter(|(_, value)| !value.is_empty()) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        let page = self.redirect.as_deref().and_then(|page| page_after(page, (bucket, key), &tag));
        if let Some(page) = page {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(header::LOCATION, page);
        } else if self.status == StatusCode::CREATED {
            let told = PostResponse { location: &location, bucket, key, etag: &tag };
            let mut text = Vec::new();
            let mut document = Serializer::new(&mut text);
            // Into memory: it cannot fail.
            if document.decl().and_then(|()| told.serialize(&mut document)).is_ok() {
                *response.body_mut() = Body::from(text);
            }
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        response
    }
}

/// The page to which a browser goes on, which is told what was uploaded; none when it is not one of the web.
fn page_after(page: &str, (bucket, key): (&str, &str), tag: &str) -> Option<HeaderValue> {
    let uri: Uri = page.parse().ok()?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || !page.is_ascii() {
        return None;
    }
    let (page, fragment) = page.split_at(page.find('#').unwrap_or(page.len()));
    let mark = if page.contains('?') { '&' } else { '?' };
    let told = format!("bucket={bucket}&key={}&etag={}", encoded(key), encoded(tag));
    HeaderValue::from_str(&format!("{page}{mark}{told}{fragment}")).ok()
}

#[cfg(test)]
mod tests {
    use super::{
        Extensions, Fields, HeaderMap, OddExpires, PutObjectOutput, StatusCode, Wanted, headers, input, page_after,
        tags,
    };
    use hyper::Request;
    use s3s::dto::ETag;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_browser_goes_on_to_a_page_of_the_web_only() {
        let page = |page| page_after(page, ("b", "a b"), "\"t\"").map(|page| page.to_str().unwrap().to_owned());
        let told = "bucket=b&key=a%20b&etag=%22t%22";
        assert_eq!(page("http://h/p"), Some(format!("http://h/p?{told}")));
        assert_eq!(page("https://h/p?q=1#f"), Some(format!("https://h/p?q=1&{told}#f")));
        for bad in ["", "/p", "javascript:alert(1)", "ftp://h/", "http://h/\r\nX: y", "http://h/\u{e9}", "mailto:a@b"] {
            assert_eq!(page(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_form_is_answered_as_it_wants() {
        let answer = |pairs: &[(&str, &str)], host: &str, path: &str| {
            let (parts, ()) = Request::builder().uri(path).header("host", host).body(()).unwrap().into_parts();
            let tag = Some(ETag::Strong("t".to_owned()));
            let output = PutObjectOutput { e_tag: tag, checksum_crc32: Some("sum".to_owned()), ..Default::default() };
            let response = Wanted::of(&mut fields(pairs)).answer((&parts, "https"), ("b", "a/<\u{e9}"), &output);
            let text = String::from_utf8(response.body().bytes().unwrap_or_default().to_vec()).unwrap();
            (response.status(), response.headers().clone(), text)
        };
        let header =
            |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, headers, text) = answer(&[], "h:9000", "/b");
        assert_eq!((status, text.as_str()), (StatusCode::NO_CONTENT, ""));
        assert_eq!(header(&headers, "location").as_deref(), Some("https://h:9000/b/a/%3C%C3%A9"));
        assert_eq!(header(&headers, "etag").as_deref(), Some("\"t\""));
        assert_eq!(header(&headers, "x-amz-checksum-crc32").as_deref(), Some("sum"));
        assert_eq!(header(&headers, "x-amz-version-id"), None);
        let (status, headers, text) = answer(&[("success_action_status", "201")], "b.localhost", "/");
        assert_eq!(status, StatusCode::CREATED);
        assert_eq!(header(&headers, "location").as_deref(), Some("https://b.localhost/a/%3C%C3%A9"));
        for part in ["<Bucket>b</Bucket>", "<Key>a/&lt;\u{e9}</Key>", "<ETag>&quot;t&quot;</ETag>"] {
            assert!(text.contains(part), "{text}");
        }
        for (pairs, wanted) in [
            (&[("success_action_status", "200")][..], StatusCode::OK),
            (&[("success_action_status", "404")], StatusCode::NO_CONTENT),
            (&[("success_action_redirect", "nowhere")], StatusCode::NO_CONTENT),
            (&[("redirect", "http://h/"), ("success_action_status", "201")], StatusCode::SEE_OTHER),
        ] {
            assert_eq!(answer(pairs, "h", "/b/").0, wanted);
        }
    }

    #[test]
    fn tag_3_tags_are_a_document() {
        let of = |text: &str| {
            let tags = tags(&mut fields(&[("tagging", text)])).map_err(|error| error.code().as_str().to_owned());
            tags.map(|tags| tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>())
        };
        let one = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
        assert_eq!(of(one), Ok(vec!["a=1".to_owned()]));
        let twice = one.replace("</TagSet>", "<Tag><Key>a</Key><Value>2</Value></Tag></TagSet>");
        assert_eq!(of(&twice), Err("InvalidTag".to_owned()));
        for bad in ["", "a=1", "<Tagging/>", &one[..40], &format!("{one}{one}"), &"<Tagging>".repeat(2000)] {
            assert_eq!(of(bad), Err("MalformedXML".to_owned()), "{bad:.60}");
        }
    }

    #[test]
    fn what_a_form_says_is_what_a_put_would() {
        let mut said = fields(&[
            ("acl", "private"),
            ("content-type", "text/plain"),
            ("expires", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ("storage-class", ""),
            ("x-amz-checksum-algorithm", "CRC32"),
            ("x-amz-meta-a", "1"),
            ("x-amz-server-side-encryption", "AES256"),
        ]);
        let mut beside = Extensions::new();
        let input = input(&mut said, &mut beside).unwrap();
        assert_eq!(
            (input.acl.as_ref().unwrap().as_str(), input.content_type.as_deref()),
            ("private", Some("text/plain"))
        );
        assert!(input.expires.is_some() && input.server_side_encryption.is_some() && input.metadata.is_some());
        assert_eq!(headers(&mut said).get("x-amz-sdk-checksum-algorithm").unwrap(), "CRC32");
        assert!(beside.get::<OddExpires>().is_none());
        assert!(super::nothing_asked(&said).is_ok());
        for name in ["if-none-match", "x-amz-checksum-sha512", "x-amz-server-side-encryption-context"] {
            assert!(super::nothing_asked(&fields(&[(name, "*")])).is_err(), "{name}");
        }
        let refused = super::input(&mut fields(&[("content-md5", "")]), &mut beside).err().unwrap();
        assert_eq!(refused.code().as_str(), "InvalidDigest");
        // META-1.
        assert!(super::input(&mut fields(&[("expires", "soon")]), &mut beside).unwrap().expires.is_none());
        assert_eq!(beside.get::<OddExpires>().unwrap().0, "soon");
    }
}
