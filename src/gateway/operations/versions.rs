//! Listings of versions and delete markers (LIST-11 to LIST-15).

use super::super::bridge::Bridge;
use super::super::error::{invalid, told};
use super::names::Names;
use super::{etag, length, limit, owner, time, version_id};
use crate::store::ListVersions;
use s3s::dto::{
    DeleteMarkerEntry, ListObjectVersionsInput, ListObjectVersionsOutput, ObjectVersion, ObjectVersionStorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

pub(in super::super) async fn list(
    bridge: &Bridge,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = request.input;
    let most = limit(input.max_keys, "max-keys")?;
    // LIST-13.
    if input.version_id_marker.as_deref() == Some("") {
        return Err(invalid("A version-id marker cannot be empty."));
    }
    let asked = ListVersions {
        prefix: input.prefix.unwrap_or_default(),
        delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()),
        key_marker: input.key_marker.filter(|marker| !marker.is_empty()),
        version_marker: version_id(input.version_id_marker.as_deref())?,
        limit: most,
    };
    let (bucket, wanted) = (input.bucket.clone(), asked.clone());
    let page = bridge.ask(move |store| store.list_versions(&bucket, &wanted).map_err(|error| told(&error))).await?;
    let said = [Some(asked.prefix.as_str()), asked.delimiter.as_deref(), asked.key_marker.as_deref()];
    let keys = page.versions.iter().map(|entry| entry.key.as_str());
    let all = keys.chain(page.prefixes.iter().map(String::as_str)).chain(said.into_iter().flatten());
    let names = Names::new(input.encoding_type.as_ref(), all)?;
    let owner = owner(bridge);
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for entry in &page.versions {
        let (key, object) = (Some(names.spell(&entry.key)), &entry.object);
        let (is_latest, last_modified) = (Some(entry.is_latest), Some(time(object.modified)));
        let (owner, version_id) = (Some(owner.clone()), Some(object.version.to_string()));
        if object.marker {
            markers.push(DeleteMarkerEntry { is_latest, key, last_modified, owner, version_id });
        } else {
            versions.push(ObjectVersion {
                e_tag: Some(etag(object)),
                is_latest,
                key,
                last_modified,
                owner,
                size: Some(length(object.size)),
                storage_class: Some(ObjectVersionStorageClass::from_static(object.class.name())),
                version_id,
                ..ObjectVersion::default()
            });
        }
    }
    let next = page.next.as_ref();
    let output = ListObjectVersionsOutput {
        common_prefixes: names.prefixes(&page.prefixes),
        delete_markers: Some(markers).filter(|markers| !markers.is_empty()),
        delimiter: names.spell_some(asked.delimiter.as_deref()),
        encoding_type: names.encoding(),
        is_truncated: Some(next.is_some()),
        key_marker: Some(names.spell(asked.key_marker.as_deref().unwrap_or_default())),
        max_keys: i32::try_from(most).ok(),
        name: Some(input.bucket),
        next_key_marker: names.spell_some(next.map(|(key, _)| key.as_str())),
        next_version_id_marker: next.and_then(|(_, version)| version.as_ref().map(ToString::to_string)),
        prefix: Some(names.spell(&asked.prefix)),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        versions: Some(versions).filter(|versions| !versions.is_empty()),
        ..ListObjectVersionsOutput::default()
    };
    Ok(S3Response::new(output))
}
