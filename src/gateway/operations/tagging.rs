//! Tags of objects and of their versions (TAG).

use super::super::bridge::Bridge;
use super::super::error::told;
use super::describe::tag_set;
use super::{object_key, shown_version, version_id};
use crate::model::{Error, Kind, ObjectKey, Result, TagSet, VersionId};
use crate::store::Store;
use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, Tag, Tagging,
};
use s3s::{S3Request, S3Response, S3Result};

/// An object, or one of its versions.
struct Which {
    bucket: String,
    key: ObjectKey,
    version: Option<VersionId>,
}

fn which(bucket: String, key: &str, version: Option<&str>) -> S3Result<Which> {
    Ok(Which { bucket, key: object_key(key)?, version: version_id(version)? })
}

impl Which {
    /// Replaces the whole set (TAG-5), durably; the id of the version it is now of.
    fn replace(&self, store: &Store, tags: &TagSet) -> Result<Option<String>> {
        let versioning = store.bucket(&self.bucket)?.versioning;
        let object = store.get(&self.bucket, &self.key, self.version)?;
        let (dirs, component) = store.history_place(&self.bucket, &self.key)?;
        let (mut edited, mut missing) = (None, None);
        for dir in dirs {
            let edit = store.edit_tags((dir, &component), Some(object.version), |object| {
                let changes = object.tags != *tags;
                object.tags.clone_from(tags);
                Ok(changes)
            });
            match edit {
                Ok((object, _)) => edited = Some(object),
                Err(error) if matches!(error.kind(), Kind::NoSuchVersion | Kind::NoSuchKey) => missing = Some(error),
                Err(error) => return Err(error),
            }
            if edited.is_some() {
                break;
            }
        }
        let none =
            || Error::new(Kind::NoSuchKey, format!("cannot tag {}", self.key)).why("it was deleted at this moment");
        let object = edited.ok_or_else(|| missing.unwrap_or_else(none))?;
        store.sync()?;
        Ok(shown_version(versioning, &object))
    }
}

/// The tags of a document.
pub(in super::super) fn tags_of(tagging: Tagging) -> S3Result<TagSet> {
    let pair = |tag: Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
    tag_set(tagging.tag_set.into_iter().map(pair).collect())
}

pub(in super::super) async fn get(
    bridge: &Bridge,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = request.input;
    let which = which(input.bucket, &input.key, input.version_id.as_deref())?;
    let (object, versioning) = bridge
        .ask(move |store| {
            let versioning = store.bucket(&which.bucket).map_err(|error| told(&error))?.versioning;
            let object = store.get(&which.bucket, &which.key, which.version).map_err(|error| told(&error))?;
            Ok((object, versioning))
        })
        .await?;
    let tag = |(key, value): (&str, &str)| Tag { key: Some(key.to_owned()), value: Some(value.to_owned()) };
    let tag_set = object.tags.iter().map(tag).collect();
    Ok(S3Response::new(GetObjectTaggingOutput { tag_set, version_id: shown_version(versioning, &object) }))
}

pub(in super::super) async fn put(
    bridge: &Bridge,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let input = request.input;
    let tags = tags_of(input.tagging)?;
    let which = which(input.bucket, &input.key, input.version_id.as_deref())?;
    let version_id = bridge.change(move |store| which.replace(store, &tags).map_err(|error| told(&error))).await?;
    Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
}

pub(in super::super) async fn delete(
    bridge: &Bridge,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let input = request.input;
    let which = which(input.bucket, &input.key, input.version_id.as_deref())?;
    let none = TagSet::new();
    let version_id = bridge.change(move |store| which.replace(store, &none).map_err(|error| told(&error))).await?;
    Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
}
