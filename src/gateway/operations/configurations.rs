//! Configurations, one by one, of a document that is a list of them: what analytics and intelligent-tiering share.

use super::super::bridge::Bridge;
use super::super::error::{refused, told};
use super::settings::told_of;
use crate::model::{Error, Kind};
use crate::store::{Configuration, Configurations, TagElement};
use hyper::StatusCode;
use s3s::dto::Tag;
use s3s::{S3Error, S3Result};

/// Configurations of one answer (IT-10).
const PAGE: usize = 100;

fn no_such() -> S3Error {
    refused(StatusCode::NOT_FOUND, "NoSuchConfiguration", "The specified configuration does not exist.")
}

pub(super) fn shown_tag(tag: TagElement) -> Tag {
    Tag { key: Some(tag.key), value: Some(tag.value) }
}

/// Nothing for none.
pub(super) fn shown_tags(tags: Vec<TagElement>) -> Option<Vec<Tag>> {
    Some(tags.into_iter().map(shown_tag).collect::<Vec<_>>()).filter(|tags| !tags.is_empty())
}

pub(super) fn given_tag(tag: Tag) -> TagElement {
    TagElement { key: tag.key.unwrap_or_default(), value: tag.value.unwrap_or_default() }
}

pub(super) fn given_tags(tags: Option<Vec<Tag>>) -> Vec<TagElement> {
    tags.unwrap_or_default().into_iter().map(given_tag).collect()
}

async fn all<D: Configurations>(bridge: &Bridge, bucket: String) -> S3Result<Vec<D::One>> {
    let value = told_of(bridge, bucket, D::DOCUMENT).await?;
    let mut document: D = serde_json::from_value(value).unwrap_or_default();
    Ok(std::mem::take(document.list()))
}

pub(super) async fn get<D: Configurations>(bridge: &Bridge, bucket: String, id: &str) -> S3Result<D::One> {
    all::<D>(bridge, bucket).await?.into_iter().find(|one| one.id() == id).ok_or_else(no_such)
}

/// Some of a bucket's configurations, by Id.
pub(super) struct Page<T> {
    pub found: Vec<T>,
    /// Where the next page goes on, when there is one.
    pub next: Option<String>,
}

/// Those after a token.
pub(super) async fn page<D: Configurations>(
    bridge: &Bridge,
    bucket: String,
    after: Option<&str>,
) -> S3Result<Page<D::One>> {
    let mut all = all::<D>(bridge, bucket).await?;
    all.sort_by(|one, other| one.id().cmp(other.id()));
    let mut rest = all.into_iter().filter(|one| one.id() > after.unwrap_or_default());
    let found: Vec<_> = rest.by_ref().take(PAGE).collect();
    let next = rest.next().and_then(|_| found.last()).map(|last| last.id().to_owned());
    Ok(Page { found, next })
}

pub(super) async fn put<D: Configurations>(bridge: &Bridge, bucket: String, id: &str, wanted: D::One) -> S3Result<()> {
    if wanted.id() != id {
        return Err(told(
            &Error::new(Kind::InvalidArgument, "cannot set the configuration")
                .why("its Id is another than the request names"),
        ));
    }
    let id = id.to_owned();
    let put = move |store: &crate::store::Store| store.set_configuration::<D>(&bucket, &id, Some(wanted));
    bridge.change(move |store| put(store).map_err(|error| told(&error))).await.map(drop)
}

pub(super) async fn delete<D: Configurations>(bridge: &Bridge, bucket: String, id: String) -> S3Result<()> {
    let delete = move |store: &crate::store::Store| store.set_configuration::<D>(&bucket, &id, None);
    let was_there = bridge.change(move |store| delete(store).map_err(|error| told(&error))).await?;
    if was_there { Ok(()) } else { Err(no_such()) }
}
