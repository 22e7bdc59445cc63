//! Multipart uploads (MPU).

use super::super::auth::principal_of;
use super::super::bridge::Bridge;
use super::super::error::{not_built, refused, told};
use super::super::metered::Written;
use super::checksums::{promise, sent, show_sum, sums_of};
use super::conditions;
use super::copy::{Source, algorithm};
use super::describe::{given, header_tags};
use super::extras::extras;
use super::lock::{Asker, lock_of};
use super::names::Names;
use super::put::made_by;
use super::{etag, length, limit, made_version, object_key, owner, time};
use crate::model::{
    ChecksumAlgorithm, ChecksumType, ETag, Error, Kind, ObjectKey, ObjectSum, Result, TagSet, UploadId,
};
use crate::store::{CompleteOptions, CompletePart, ListUploads, PartInfo, Store, Upload, UploadOptions, again};
use hyper::StatusCode;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedPart, CopyPartResult, CreateMultipartUploadInput, CreateMultipartUploadOutput, Initiator,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part,
    StorageClass, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};
use std::ops::Range;

fn bad(code: &str, message: impl Into<String>) -> S3Error {
    refused(StatusCode::BAD_REQUEST, code, message)
}

/// An id that cannot be one is that of no upload.
fn upload_id(text: &str) -> S3Result<UploadId> {
    let unknown =
        || refused(StatusCode::NOT_FOUND, Kind::NoSuchUpload.s3_code(), "The specified upload does not exist");
    text.parse().map(UploadId).map_err(|_| unknown())
}

/// MPU-1.
fn part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number)
        .map_err(|_| super::super::error::invalid("Part number must be an integer between 1 and 10000"))
}

fn checksum_type(name: &str) -> S3Result<ChecksumType> {
    ChecksumType::named(name).ok_or_else(|| bad("InvalidRequest", format!("there is no checksum type {name:?}")))
}

/// When a lifecycle rule gives an upload up, and which (LC-24).
fn upload_ends(store: &Store, bucket: &str, upload: &Upload) -> Option<(crate::model::Timestamp, String)> {
    store.upload_ends(&store.bucket(bucket).ok()?, &upload.key, upload.initiated)
}

pub(in super::super) async fn create(
    bridge: &Bridge,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let asker = Asker::of(bridge, &request);
    let mut input = request.input;
    extras!(input).refuse()?;
    let class = extras!(input).class()?;
    let kind = input.checksum_type.as_ref().map(|name| checksum_type(name.as_str())).transpose()?;
    let sums = input.checksum_algorithm.as_ref().map(|name| algorithm(name.as_str())).transpose()?;
    if kind.is_some() && sums.is_none() {
        return Err(bad(
            "InvalidRequest",
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        ));
    }
    let key = object_key(&input.key)?;
    let options = UploadOptions {
        metadata: given!(input, &request.extensions).metadata()?,
        tags: input.tagging.as_deref().map_or_else(|| Ok(TagSet::new()), header_tags)?,
        checksum: sums.map(|algorithm| (algorithm, kind)),
        lock: lock_of!(input)?,
        class,
    };
    let bucket = input.bucket.clone();
    let (upload, ends) = bridge
        .change(move |store| {
            let may = asker.may_set(&bucket, &key, options.lock);
            let made = may.and_then(|()| store.create_upload(&bucket, &key, &options));
            let upload = made.and_then(|id| store.find_upload(&bucket, &key, id)).map_err(|error| told(&error))?;
            let ends = upload_ends(store, &bucket, &upload);
            Ok((upload, ends))
        })
        .await?;
    let (abort_date, abort_rule_id) = ends.unzip();
    let output = CreateMultipartUploadOutput {
        abort_date: abort_date.map(time),
        abort_rule_id,
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload.id.to_string()),
        checksum_algorithm: upload
            .checksum
            .map(|(algorithm, _)| s3s::dto::ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload.checksum.map(|(_, kind)| s3s::dto::ChecksumType::from_static(kind.name())),
        ..CreateMultipartUploadOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(in super::super) async fn put_part(
    bridge: &Bridge,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    if request.input.sse_customer_key.is_some() {
        return Err(not_built("encryption with the client's keys"));
    }
    let (length, md5) = (request.input.content_length, request.input.content_md5.take());
    let (promise, at_end) = promise(&request, length, md5.as_deref(), &sums_of!(request.input))?;
    let input = request.input;
    let (key, id, number) = (object_key(&input.key)?, upload_id(&input.upload_id)?, part_number(input.part_number)?);
    let (part, class) = bridge
        .upload((input.body, at_end), move |store, body| {
            let class = store.find_upload(&input.bucket, &key, id)?.class;
            store.put_part(id, number, body, &promise).map(|part| (part, class))
        })
        .await?;
    let mut output = UploadPartOutput { e_tag: Some(part_etag(&part)), ..UploadPartOutput::default() };
    show_sum!(output, part.sum.map(|sum| (sum.algorithm(), sum.to_string())));
    Ok(of_class(output, class))
}

/// An answer that says of which class what was written is, for the bill.
fn of_class<T>(output: T, class: crate::model::StorageClass) -> S3Response<T> {
    let mut response = S3Response::new(output);
    response.extensions.insert(Written(class));
    response
}

fn part_etag(part: &PartInfo) -> s3s::dto::ETag {
    s3s::dto::ETag::Strong(part.etag.to_string())
}

/// MPU-15: `bytes=A-B`, both ends said.
fn source_range(text: &str) -> S3Result<Range<u64>> {
    let ends = text.strip_prefix("bytes=").and_then(|ends| ends.split_once('-'));
    let ends = ends.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    match ends {
        Some((first, last)) if first <= last => Ok(first..last.saturating_add(1)),
        _ => {
            let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and \
                           last are the zero-based offsets of the first and last bytes to copy";
            Err(super::super::error::invalid(message))
        }
    }
}

pub(in super::super) async fn copy_part(
    bridge: &Bridge,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    if input.sse_customer_key.is_some() || input.copy_source_sse_customer_key.is_some() {
        return Err(not_built("encryption with the client's keys"));
    }
    let (key, id, number) = (object_key(&input.key)?, upload_id(&input.upload_id)?, part_number(input.part_number)?);
    let source = Source::of(&input.copy_source)?;
    let range = input.copy_source_range.as_deref().map(source_range).transpose()?;
    let conditions = conditions::of_read(
        (input.copy_source_if_match.as_ref(), input.copy_source_if_none_match.as_ref()),
        (input.copy_source_if_modified_since.as_ref(), input.copy_source_if_unmodified_since.as_ref()),
    );
    let (part, copy_source_version_id, class) = bridge
        .change(move |store| {
            let copied = again(
                || {
                    let class = store.find_upload(&input.bucket, &key, id)?.class;
                    let (from, version) = source.find(store)?;
                    conditions.of_source(&from)?;
                    let part = store.copy_part(id, number, &from, range.clone())?;
                    source.was_used(store, &from, part.size);
                    Ok::<_, Error>((part, version, class))
                },
                |error| source.version.is_none() && error.kind() == Kind::NoSuchVersion,
            );
            copied.map_err(|error| told(&error))
        })
        .await?;
    let mut result = CopyPartResult {
        e_tag: Some(part_etag(&part)),
        last_modified: Some(time(part.modified)),
        ..CopyPartResult::default()
    };
    show_sum!(result, part.sum.map(|sum| (sum.algorithm(), sum.to_string())));
    let output = UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id,
        ..UploadPartCopyOutput::default()
    };
    Ok(of_class(output, class))
}

/// MPU-4: a part that has no number or tag was not uploaded.
fn named_part(part: &CompletedPart) -> S3Result<CompletePart> {
    let unknown = || {
        let message = "One or more of the specified parts could not be found. The part might not have been uploaded, \
                       or the specified entity tag might not have matched the part's entity tag.";
        bad("InvalidPart", message)
    };
    let tag = part.e_tag.as_ref().and_then(|tag| ETag::parse(tag.value())).ok_or_else(unknown)?;
    let number = part.part_number.ok_or_else(|| bad("MalformedXML", "a part has no number"))?;
    let sums = sent(&sums_of!(part))?;
    Ok(CompletePart { number: part_number(number)?, etag: tag, sum: sums.into_iter().next() })
}

/// What Complete says of the whole object.
fn whole_sum(input: &CompleteMultipartUploadInput) -> S3Result<Option<ObjectSum>> {
    let sums = sums_of!(input);
    let mut sent = sums.iter().filter_map(|(algorithm, text)| text.map(|text| (*algorithm, text)));
    let sum = sent.next().map(|(algorithm, text)| ObjectSum::parse(algorithm, text)).transpose();
    if sent.next().is_some() {
        return Err(bad(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    sum.map_err(|error| told(&error))
}

pub(in super::super) async fn complete(
    bridge: &Bridge,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let principal = principal_of(&request);
    let input = request.input;
    let listed = input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref()).unwrap_or_default();
    if listed.is_empty() {
        return Err(bad("MalformedXML", "You must specify at least one part"));
    }
    let parts = listed.iter().map(named_part).collect::<S3Result<Vec<_>>>();
    let options = CompleteOptions {
        condition: conditions::of_write(input.if_match.as_ref(), input.if_none_match.as_ref())?,
        sum: whole_sum(&input)?,
        kind: input.checksum_type.as_ref().map(|name| checksum_type(name.as_str())).transpose()?,
        size: input.mpu_object_size.and_then(|size| u64::try_from(size).ok()),
        posix: None,
    };
    let access = bridge.access();
    let (key, id, bucket) = (object_key(&input.key)?, upload_id(&input.upload_id)?, input.bucket.clone());
    let (object, sum, versioning, expiration) = bridge
        .change(move |store| {
            // An upload that is not there has no parts that could be wrong.
            let parts = match parts {
                Ok(parts) => parts,
                Err(refusal) => {
                    store.find_upload(&bucket, &key, id).map_err(|error| told(&error))?;
                    return Err(refusal);
                }
            };
            let done = || -> Result<_> {
                let options =
                    CompleteOptions { posix: made_by(store, &access, &principal, (&bucket, &key))?, ..options };
                let object = complete_of(store, &bucket, &key, id, &parts, &options)?;
                let sum = store.sums(&object)?.sum;
                let bucket = store.bucket(&bucket)?;
                let expiration = Some(&object).filter(|object| object.superseded.is_none());
                let expiration = expiration.and_then(|object| store.expiration(&bucket, key.as_str(), object));
                Ok((object, sum, bucket.versioning, expiration))
            };
            done().map_err(|error| told(&error))
        })
        .await?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(etag(&object)),
        expiration,
        version_id: made_version(versioning, &object),
        ..CompleteMultipartUploadOutput::default()
    };
    if let Some(sum) = sum {
        output.checksum_type = Some(s3s::dto::ChecksumType::from_static(sum.kind().name()));
        show_sum!(output, Some((sum.sum.algorithm(), sum.to_string())));
    }
    Ok(of_class(output, object.class))
}

/// Completes an upload of that key, never one of another; one that was completed before answers as it did then (MPU-9).
fn complete_of(
    store: &std::sync::Arc<Store>,
    bucket: &str,
    key: &ObjectKey,
    id: UploadId,
    parts: &[CompletePart],
    options: &CompleteOptions,
) -> Result<crate::model::Object> {
    match store.find_upload(bucket, key, id) {
        Err(error) if error.kind() == Kind::NoSuchUpload => store.completed_upload(bucket, key, id, parts),
        found => found.and_then(|_| store.complete_upload(bucket, id, parts, options)),
    }
}

pub(in super::super) async fn abort(
    bridge: &Bridge,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    if input.if_match_initiated_time.is_some() {
        return Err(not_built("conditions on when an upload began, which are for directory buckets"));
    }
    let (key, id, bucket) = (object_key(&input.key)?, upload_id(&input.upload_id)?, input.bucket);
    bridge
        .change(move |store| {
            let found = store.find_upload(&bucket, &key, id);
            found.and_then(|upload| store.abort_upload(upload.id)).map_err(|error| told(&error))
        })
        .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

fn initiator(bridge: &Bridge) -> Initiator {
    let owner = owner(bridge);
    Initiator { display_name: owner.display_name, id: owner.id }
}

pub(in super::super) async fn list(
    bridge: &Bridge,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let most = limit(input.max_uploads, "max-uploads")?;
    let key_marker = input.key_marker.filter(|marker| !marker.is_empty());
    // MPU-12: it means nothing alone.
    let upload_marker = input.upload_id_marker.as_deref().filter(|marker| key_marker.is_some() && !marker.is_empty());
    let asked = ListUploads {
        prefix: input.prefix.unwrap_or_default(),
        delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()),
        upload_marker: upload_marker.map(upload_id).transpose()?,
        key_marker,
        limit: most,
    };
    let (bucket, wanted) = (input.bucket.clone(), asked.clone());
    let page = bridge.ask(move |store| store.list_uploads(&bucket, &wanted).map_err(|error| told(&error))).await?;
    let said = [Some(asked.prefix.as_str()), asked.delimiter.as_deref(), asked.key_marker.as_deref()];
    let keys = page.uploads.iter().map(|upload| upload.key.as_str());
    let all = keys.chain(page.prefixes.iter().map(String::as_str)).chain(said.into_iter().flatten());
    let names = Names::new(input.encoding_type.as_ref(), all)?;
    let entry = |upload: &Upload| MultipartUpload {
        checksum_algorithm: upload
            .checksum
            .map(|(algorithm, _)| s3s::dto::ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload.checksum.map(|(_, kind)| s3s::dto::ChecksumType::from_static(kind.name())),
        initiated: Some(time(upload.initiated)),
        initiator: Some(initiator(bridge)),
        key: Some(names.spell(&upload.key)),
        owner: Some(owner(bridge)),
        storage_class: Some(StorageClass::from_static(upload.class.name())),
        upload_id: Some(upload.id.to_string()),
    };
    let output = ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: names.prefixes(&page.prefixes),
        delimiter: names.spell_some(asked.delimiter.as_deref()),
        encoding_type: names.encoding(),
        is_truncated: Some(page.next.is_some()),
        key_marker: Some(names.spell(asked.key_marker.as_deref().unwrap_or_default())),
        max_uploads: i32::try_from(most).ok(),
        next_key_marker: names.spell_some(page.next.as_ref().map(|(key, _)| key.as_str())),
        next_upload_id_marker: page.next.as_ref().and_then(|(_, upload)| upload.map(|id| id.to_string())),
        prefix: Some(names.spell(&asked.prefix)),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        uploads: Some(page.uploads.iter().map(entry).collect()),
        ..ListMultipartUploadsOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(in super::super) async fn list_parts(
    bridge: &Bridge,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let most = limit(input.max_parts, "max-parts")?;
    let after = u32::try_from(input.part_number_marker.unwrap_or_default())
        .map_err(|_| super::super::error::invalid("part-number-marker is not negative"))?;
    let (key, id, bucket) = (object_key(&input.key)?, upload_id(&input.upload_id)?, input.bucket.clone());
    let (upload, page, ends) = bridge
        .ask(move |store| {
            let found = store.find_upload(&bucket, &key, id);
            let page = found.and_then(|upload| Ok((upload, store.list_parts(id, after, most)?)));
            let (upload, page) = page.map_err(|error| told(&error))?;
            let ends = upload_ends(store, &bucket, &upload);
            Ok((upload, page, ends))
        })
        .await?;
    let (abort_date, abort_rule_id) = ends.unzip();
    let entry = |part: &PartInfo| {
        let mut shown = Part {
            e_tag: Some(part_etag(part)),
            last_modified: Some(time(part.modified)),
            part_number: i32::try_from(part.number).ok(),
            size: Some(length(part.size)),
            ..Part::default()
        };
        show_sum!(shown, part.sum.map(|sum| (sum.algorithm(), sum.to_string())));
        shown
    };
    let output = ListPartsOutput {
        abort_date: abort_date.map(time),
        abort_rule_id,
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        checksum_algorithm: upload
            .checksum
            .map(|(algorithm, _)| s3s::dto::ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload.checksum.map(|(_, kind)| s3s::dto::ChecksumType::from_static(kind.name())),
        initiator: Some(initiator(bridge)),
        owner: Some(owner(bridge)),
        is_truncated: Some(page.next.is_some()),
        max_parts: i32::try_from(most).ok(),
        next_part_number_marker: page.next.and_then(|number| i32::try_from(number).ok()),
        part_number_marker: i32::try_from(after).ok(),
        parts: Some(page.parts.iter().map(entry).collect()),
        storage_class: Some(StorageClass::from_static(upload.class.name())),
        ..ListPartsOutput::default()
    };
    Ok(S3Response::new(output))
}

#[cfg(test)]
mod tests {
    use super::{source_range, upload_id};

    #[test]
    fn mpu_15_ranges_of_sources_say_both_ends() {
        assert_eq!(source_range("bytes=0-4").unwrap(), 0..5);
        for bad in ["0-4", "bytes=0", "bytes=0-", "bytes=-4", "bytes=4-0", "bytes=hello-world", "bytes=0-bar"] {
            assert_eq!(source_range(bad).unwrap_err().code().as_str(), "InvalidArgument", "{bad}");
        }
    }

    #[test]
    fn mpu_10_an_id_that_cannot_be_one_is_of_no_upload() {
        assert_eq!(upload_id("abc").unwrap_err().code().as_str(), "NoSuchUpload");
        assert_eq!(upload_id("12").unwrap().0, 12);
    }
}
