//! An object's attributes, as many as are asked for (SUM-15).

use super::super::bridge::Bridge;
use super::super::error::{invalid, told};
use super::checksums::show_sum;
use super::{etag, length, limit, object_key, shown_version, time, version_id};
use crate::model::{ChecksumAlgorithm, ObjectSums};
use s3s::dto::{
    Checksum, ChecksumType, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts, ObjectPart,
    StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

/// Names of attributes.
const KNOWN: &[&str] = &["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

pub(in super::super) async fn get(
    bridge: &Bridge,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    let (key, version) = (object_key(&input.key)?, version_id(input.version_id.as_deref())?);
    let names = input.object_attributes.iter().flat_map(|list| list.as_str().split(','));
    let wanted: Vec<String> = names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = wanted.iter().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(invalid(format!("there is no attribute {unknown:?}")));
    }
    let page = limit(input.max_parts, "max-parts")?;
    let after = u32::try_from(input.part_number_marker.unwrap_or_default()).unwrap_or_default();
    let bucket = input.bucket;
    let (object, versioning, sums) = bridge
        .ask(move |store| {
            let versioning = store.bucket(&bucket).map_err(|error| told(&error))?.versioning;
            let object = store.get(&bucket, &key, version).map_err(|error| told(&error))?;
            let sums = store.sums(&object).map_err(|error| told(&error))?;
            Ok((object, versioning, sums))
        })
        .await?;
    let is_wanted = |name: &str| wanted.iter().any(|wanted| wanted == name);
    let output = GetObjectAttributesOutput {
        e_tag: is_wanted("ETag").then(|| etag(&object)),
        checksum: if is_wanted("Checksum") { checksum(&sums) } else { None },
        object_parts: if is_wanted("ObjectParts") { parts(&sums, after, page) } else { None },
        storage_class: is_wanted("StorageClass").then(|| StorageClass::from(object.class.name().to_owned())),
        object_size: is_wanted("ObjectSize").then(|| length(object.size)),
        last_modified: Some(time(object.modified)),
        version_id: shown_version(versioning, &object),
        ..GetObjectAttributesOutput::default()
    };
    Ok(S3Response::new(output))
}

fn checksum(sums: &ObjectSums) -> Option<Checksum> {
    let sum = sums.sum.as_ref()?;
    let mut checksum =
        Checksum { checksum_type: Some(ChecksumType::from_static(sum.kind().name())), ..Checksum::default() };
    show_sum!(checksum, Some((sum.sum.algorithm(), sum.to_string())));
    Some(checksum)
}

/// The parts of an object that was uploaded in parts; of others nothing is said.
fn parts(sums: &ObjectSums, after: u32, page: usize) -> Option<GetObjectAttributesParts> {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let count = u32::try_from(sums.parts.len()).ok().filter(|count| *count > 0)?;
    let mut rest = sums.parts.iter().filter(|part| part.number > after);
    let shown: Vec<_> = rest.by_ref().take(page).collect();
    let is_truncated = rest.next().is_some();
    let last = shown.last().map_or(after, |part| part.number);
    let parts = shown.into_iter().map(|part| {
        let mut shown = ObjectPart {
            part_number: Some(number(part.number)),
            size: Some(length(part.size)),
            ..ObjectPart::default()
        };
        show_sum!(shown, part.sum.as_ref().map(|sum| (sum.algorithm(), sum.to_string())));
        shown
    });
    Some(GetObjectAttributesParts {
        is_truncated: Some(is_truncated),
        max_parts: i32::try_from(page).ok(),
        next_part_number_marker: Some(number(last)),
        part_number_marker: Some(number(after)),
        parts: Some(parts.collect()),
        total_parts_count: Some(number(count)),
    })
}
