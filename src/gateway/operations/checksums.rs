//! Checksums between headers, trailers and the engine, which compares them (SUM).

use super::super::body::AtEnd;
use super::super::error::{refused, told};
use crate::model::{ChecksumAlgorithm, Sum, parse_md5};
use crate::store::{Promise, Trailer};
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use s3s::{S3Error, S3Request, S3Result, TrailingHeaders};

/// What checksums are sent under, in headers and trailers.
const HEADER: &str = "x-amz-checksum-";

/// The checksums in an input of the protocol.
macro_rules! sums_of {
    ($input:expr) => {
        [
            (ChecksumAlgorithm::Crc32, $input.checksum_crc32.as_deref()),
            (ChecksumAlgorithm::Crc32c, $input.checksum_crc32c.as_deref()),
            (ChecksumAlgorithm::Crc64Nvme, $input.checksum_crc64nvme.as_deref()),
            (ChecksumAlgorithm::Sha1, $input.checksum_sha1.as_deref()),
            (ChecksumAlgorithm::Sha256, $input.checksum_sha256.as_deref()),
        ]
    };
}
pub(in super::super) use sums_of;

/// Puts a checksum, an algorithm with its text, into an output of the protocol.
macro_rules! show_sum {
    ($output:expr, $sum:expr) => {
        match $sum {
            None => {}
            Some((ChecksumAlgorithm::Crc32, text)) => $output.checksum_crc32 = Some(text),
            Some((ChecksumAlgorithm::Crc32c, text)) => $output.checksum_crc32c = Some(text),
            Some((ChecksumAlgorithm::Crc64Nvme, text)) => $output.checksum_crc64nvme = Some(text),
            Some((ChecksumAlgorithm::Sha1, text)) => $output.checksum_sha1 = Some(text),
            Some((ChecksumAlgorithm::Sha256, text)) => $output.checksum_sha256 = Some(text),
        }
    };
}
pub(super) use show_sum;

fn bad(message: impl Into<String>) -> S3Error {
    refused(StatusCode::BAD_REQUEST, "InvalidRequest", message)
}

/// The checksums that were sent.
pub(super) fn sent(sums: &[(ChecksumAlgorithm, Option<&str>)]) -> S3Result<Vec<Sum>> {
    let sent = sums.iter().filter_map(|(algorithm, text)| text.map(|text| (*algorithm, text)));
    sent.map(|(algorithm, text)| Sum::parse(algorithm, text).map_err(|error| told(&error))).collect()
}

/// What a request promises of its body: length, MD5, checksums in headers, and one that the trailer will bring.
pub(super) fn promise<T>(
    request: &S3Request<T>,
    length: Option<i64>,
    md5: Option<&str>,
    sums: &[(ChecksumAlgorithm, Option<&str>)],
) -> S3Result<(Promise, Option<AtEnd>)> {
    let announced = announced(&request.headers)?;
    let sums = sent(sums)?;
    // SUM-12.
    let wanted = request.headers.get("x-amz-sdk-checksum-algorithm").and_then(|value| value.to_str().ok());
    if let Some(wanted) = wanted {
        let Some(wanted) = ChecksumAlgorithm::named(wanted) else {
            return Err(bad(format!("there is no checksum algorithm {wanted:?}")));
        };
        if announced != Some(wanted) && !sums.iter().any(|sum| sum.algorithm() == wanted) {
            let message = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.";
            return Err(bad(message));
        }
    }
    let trailer = announced.map(|algorithm| (algorithm, Trailer::new()));
    let trailers = request.trailing_headers.clone().or_else(|| request.extensions.get().cloned());
    let at_end = trailers.map(|headers| at_end(headers, trailer.clone()));
    // In chunks, of which the last may be lost with nobody noticing (SIZE-6).
    let decoded =
        request.headers.get("x-amz-decoded-content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let length = decoded.or_else(|| length.and_then(|length| u64::try_from(length).ok()));
    // SIZE-6. A form has the length of all of it.
    if length.is_none() && request.method != Method::POST {
        let message = "You must provide the Content-Length HTTP header.";
        return Err(refused(StatusCode::LENGTH_REQUIRED, "MissingContentLength", message));
    }
    let promise = Promise {
        length,
        md5: md5.map(parse_md5).transpose().map_err(|error| told(&error))?,
        sums,
        trailer,
        keep: None,
    };
    Ok((promise, at_end))
}

/// The algorithm whose checksum the trailer will bring.
fn announced(headers: &HeaderMap) -> S3Result<Option<ChecksumAlgorithm>> {
    let text = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let Some(name) = names.next() else { return Ok(None) };
    if names.next().is_some() {
        return Err(bad("x-amz-trailer announces one checksum"));
    }
    let algorithm = name.strip_prefix(HEADER).and_then(ChecksumAlgorithm::named);
    algorithm.map(Some).ok_or_else(|| bad(format!("the trailer {name:?} is no checksum's")))
}

/// Reads the trailer once it has come. One that was not announced is refused, since nobody could compare it.
fn at_end(headers: TrailingHeaders, trailer: Option<(ChecksumAlgorithm, Trailer)>) -> AtEnd {
    Box::new(move || {
        let came = headers.take().unwrap_or_default();
        for (name, value) in &came {
            let Some(algorithm) = name.as_str().strip_prefix(HEADER) else { continue };
            let told_by = trailer.as_ref().filter(|(wanted, _)| ChecksumAlgorithm::named(algorithm) == Some(*wanted));
            let Some((algorithm, trailer)) = told_by else {
                return Err(bad(format!("the trailer {name} was not announced by x-amz-trailer")));
            };
            let text = value.to_str().unwrap_or_default().trim();
            trailer.tell(Sum::parse(*algorithm, text).map_err(|error| told(&error))?);
        }
        Ok(())
    })
}
