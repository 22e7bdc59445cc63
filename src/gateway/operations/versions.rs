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
use std::ops::Range;

/// LIST-11: which of a listing's entries are delete markers, in order. The protocol's library writes them first.
#[derive(Clone)]
pub(in super::super) struct Order(Vec<bool>);

impl Order {
    /// The listing's XML with its entries in their order. Text of XML that has other entries stays as it is.
    pub(in super::super) fn weave(&self, xml: &str) -> String {
        let (mut versions, mut markers) = (elements(xml, "Version"), elements(xml, "DeleteMarker"));
        let counted = |marker: bool| self.0.iter().filter(|is_marker| **is_marker == marker).count();
        if (versions.len(), markers.len()) != (counted(false), counted(true)) {
            return xml.to_owned();
        }
        let Some(first) = versions.iter().chain(&markers).map(|entry| entry.start).min() else { return xml.to_owned() };
        let mut entries: Vec<Range<usize>> = versions.iter().chain(&markers).cloned().collect();
        entries.sort_by_key(|entry| entry.start);
        let mut woven = String::with_capacity(xml.len());
        woven.push_str(&xml[..first]);
        let (mut versions, mut markers) = (versions.drain(..), markers.drain(..));
        for is_marker in &self.0 {
            let next = if *is_marker { markers.next() } else { versions.next() };
            woven.push_str(next.map_or("", |entry| &xml[entry]));
        }
        let mut at = first;
        for entry in entries {
            woven.push_str(&xml[at..entry.start]);
            at = entry.end;
        }
        woven.push_str(&xml[at..]);
        woven
    }
}

/// Where the elements called `name` stand. No text within can be taken for a tag, as it is escaped.
fn elements(xml: &str, name: &str) -> Vec<Range<usize>> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let ends = |start: usize| xml[start..].find(&end).map(|at| start + at + end.len());
    xml.match_indices(&begin).filter_map(|(start, _)| Some(start..ends(start)?)).collect()
}

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
    let order = Order(page.versions.iter().map(|entry| entry.object.marker).collect());
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
    let mut response = S3Response::new(output);
    response.extensions.insert(order);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn list_11_entries_stand_in_their_order() {
        let xml = "<L><CommonPrefixes/><DeleteMarker>a</DeleteMarker><DeleteMarker>b</DeleteMarker><Max>9</Max>\
                   <VersionIdMarker>x</VersionIdMarker><Version>c</Version><Version>&lt;Version></Version></L>";
        let woven = Order(vec![false, true, false, true]).weave(xml);
        let entries = "<Version>c</Version><DeleteMarker>a</DeleteMarker><Version>&lt;Version></Version>\
                       <DeleteMarker>b</DeleteMarker>";
        let rest = "<Max>9</Max><VersionIdMarker>x</VersionIdMarker></L>";
        assert_eq!(woven, format!("<L><CommonPrefixes/>{entries}{rest}"));
        assert_eq!(Order(vec![]).weave("<L></L>"), "<L></L>");
        assert_eq!(Order(vec![true]).weave(xml), xml);
    }
}
