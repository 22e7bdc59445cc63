//! Listings of current objects, both versions of the call (LIST-1 to LIST-10).

use super::super::bridge::Bridge;
use super::super::error::{invalid, told};
use super::names::Names;
use super::{etag, length, limit, owner, time};
use crate::model::Object;
use crate::store::{ListRequest, Page};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{
    EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ObjectStorageClass,
    Owner,
};
use s3s::{S3Request, S3Response, S3Result};

/// What a token begins with: the version of its form.
const TOKEN: &str = "1";

/// A page and how its names are spelled.
async fn page(
    bridge: &Bridge,
    bucket: String,
    request: ListRequest,
    encoding: Option<&EncodingType>,
) -> S3Result<(Page, Names, ListRequest)> {
    let asked = request.clone();
    let page = bridge.ask(move |store| store.list(&bucket, &request).map_err(|error| told(&error))).await?;
    let said = [Some(asked.prefix.as_str()), asked.delimiter.as_deref(), asked.after.as_deref()];
    let keys = page.objects.iter().map(|(key, _)| key.as_str());
    let names = keys.chain(page.prefixes.iter().map(String::as_str)).chain(said.into_iter().flatten());
    let names = Names::new(encoding, names)?;
    Ok((page, names, asked))
}

fn contents(page: &Page, names: &Names, owner: Option<&Owner>) -> Option<Vec<s3s::dto::Object>> {
    let entry = |(key, object): &(String, Object)| s3s::dto::Object {
        e_tag: Some(etag(object)),
        key: Some(names.spell(key)),
        last_modified: Some(time(object.modified)),
        owner: owner.cloned(),
        size: Some(length(object.size)),
        storage_class: Some(ObjectStorageClass::from_static(object.class.name())),
        ..s3s::dto::Object::default()
    };
    Some(page.objects.iter().map(entry).collect()).filter(|entries: &Vec<_>| !entries.is_empty())
}

pub(in super::super) async fn objects(
    bridge: &Bridge,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let most = limit(input.max_keys, "max-keys")?;
    let asked = ListRequest {
        prefix: input.prefix.unwrap_or_default(),
        delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()),
        after: input.marker.filter(|marker| !marker.is_empty()),
        limit: most,
    };
    let (page, names, asked) = page(bridge, input.bucket.clone(), asked, input.encoding_type.as_ref()).await?;
    let owner = owner(bridge);
    // LIST-10.
    let next = page.next.as_deref().filter(|_| asked.delimiter.is_some());
    let output = ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(names.spell_what_was_asked(&asked.prefix)),
        marker: Some(names.spell(asked.after.as_deref().unwrap_or_default())),
        max_keys: i32::try_from(most).ok(),
        is_truncated: Some(page.next.is_some()),
        contents: contents(&page, &names, Some(&owner)),
        common_prefixes: names.prefixes(&page.prefixes),
        delimiter: names.spell_some(asked.delimiter.as_deref()),
        next_marker: names.spell_some(next),
        encoding_type: names.encoding(),
        ..ListObjectsOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(in super::super) async fn objects_v2(
    bridge: &Bridge,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let most = limit(input.max_keys, "max-keys")?;
    // LIST-7: the token wins.
    let resumed = input.continuation_token.as_deref().filter(|token| !token.is_empty()).map(after_of).transpose()?;
    let asked = ListRequest {
        prefix: input.prefix.unwrap_or_default(),
        delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()),
        after: resumed.or_else(|| input.start_after.clone().filter(|after| !after.is_empty())),
        limit: most,
    };
    let (page, names, asked) = page(bridge, input.bucket.clone(), asked, input.encoding_type.as_ref()).await?;
    let owner = input.fetch_owner.unwrap_or_default().then(|| owner(bridge));
    let output = ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(names.spell(&asked.prefix)),
        max_keys: i32::try_from(most).ok(),
        key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_deref().map(token_of),
        contents: contents(&page, &names, owner.as_ref()),
        common_prefixes: names.prefixes(&page.prefixes),
        delimiter: names.spell_some(asked.delimiter.as_deref()),
        encoding_type: names.encoding(),
        start_after: names.spell_some(input.start_after.as_deref()),
        ..ListObjectsV2Output::default()
    };
    Ok(S3Response::new(output))
}

/// A token: where the next page begins, whatever has changed by then. It survives restarts (LIST-7).
fn token_of(next: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{TOKEN}{next}"))
}

fn after_of(token: &str) -> S3Result<String> {
    let decoded = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let after = decoded.as_deref().and_then(|text| text.strip_prefix(TOKEN)).map(str::to_owned);
    after.ok_or_else(|| invalid("The continuation token provided is incorrect"))
}

#[cfg(test)]
mod tests {
    use super::{after_of, token_of};

    #[test]
    fn list_7_tokens_read_back_and_others_are_refused() {
        for key in ["a", "photos/", "\u{1}é\u{10ffff}"] {
            assert_eq!(after_of(&token_of(key)).unwrap(), key);
        }
        for bad in ["", "x", "!", "MA"] {
            assert!(after_of(bad).is_err(), "{bad}");
        }
    }
}
