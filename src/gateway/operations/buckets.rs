//! Buckets: made, found, listed, deleted (BKT).

use super::super::auth::principal_of;
use super::super::bridge::Bridge;
use super::super::error::{invalid, not_built, refused, told};
use super::settings::exists;
use super::{owner, time};
use crate::access::Resource;
use crate::model::{BucketName, FileKind, Kind, Posix, REGION};
use hyper::StatusCode;
use s3s::dto::{
    Bucket, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput, GetBucketLocationInput,
    GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput, ListBucketsOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

/// Most buckets of a page.
const BUCKETS_MAX: i32 = 10_000;

pub(in super::super) async fn create(
    bridge: &Bridge,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let principal = principal_of(&request);
    let input = request.input;
    let locked = input.object_lock_enabled_for_bucket == Some(true);
    if input.object_ownership.is_some_and(|ownership| ownership.as_str() != "BucketOwnerEnforced") {
        return Err(not_built("object ownership other than BucketOwnerEnforced"));
    }
    let grants = [&input.grant_full_control, &input.grant_read, &input.grant_read_acp, &input.grant_write];
    let granted = grants.iter().any(|grant| grant.is_some()) || input.grant_write_acp.is_some();
    if granted || input.acl.is_some_and(|acl| acl.as_str() != "private") {
        let message = "the bucket's owner owns all of it, and access lists that grant more are off";
        return Err(refused(StatusCode::BAD_REQUEST, "InvalidBucketAclWithObjectOwnership", message));
    }
    if let Some(wanted) = input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint)
        && !matches!(wanted.as_str(), "" | REGION)
    {
        let message = format!("the region {:?} is not the store's, which is {REGION}", wanted.as_str());
        return Err(refused(StatusCode::BAD_REQUEST, "IllegalLocationConstraintException", message));
    }
    let name = BucketName::parse(&input.bucket).map_err(|error| told(&error))?;
    let location = format!("/{name}");
    let access = bridge.access();
    bridge
        .change(move |store| {
            let posix = |(uid, gid)| Posix::new(FileKind::Directory, 0o755, uid, gid, store.now());
            let made = access.posix(&principal).and_then(|owner| match locked {
                true => store.create_locked_bucket(&name, &posix(owner)),
                false => store.create_bucket(&name, &posix(owner)),
            });
            made.map_err(|error| {
                // BKT-9: a name that is taken is the caller's or somebody's.
                let own = || access.authorize(&principal, "s3:ListBucket", Resource::Bucket(name.as_str()));
                if error.kind() == Kind::BucketExists && own().is_err() {
                    let message = "the name is taken by another: choose another name";
                    return refused(StatusCode::CONFLICT, "BucketAlreadyExists", message);
                }
                told(&error)
            })
        })
        .await?;
    Ok(S3Response::new(CreateBucketOutput { location: Some(location) }))
}

pub(in super::super) async fn delete(
    bridge: &Bridge,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let name = request.input.bucket;
    bridge.change(move |store| store.delete_bucket(&name).map_err(|error| told(&error))).await?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}

/// The answer for what no bucket can have in this release: that this one has none is true.
pub(in super::super) async fn absent(bridge: &Bridge, bucket: String, code: &str) -> S3Error {
    let none = || refused(StatusCode::NOT_FOUND, code, "the bucket has none");
    exists(bridge, bucket).await.map_or_else(|missing| missing, |()| none())
}

/// The answer that tells of nothing, or takes nothing away, where no bucket can have anything in this release.
pub(in super::super) async fn nothing<T: Default>(bridge: &Bridge, bucket: String) -> S3Result<S3Response<T>> {
    exists(bridge, bucket).await?;
    Ok(S3Response::new(T::default()))
}

pub(in super::super) async fn head(
    bridge: &Bridge,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    exists(bridge, request.input.bucket).await?;
    let output = HeadBucketOutput {
        bucket_region: Some(REGION.to_owned()),
        access_point_alias: Some(false),
        ..HeadBucketOutput::default()
    };
    Ok(S3Response::new(output))
}

/// REG-3: the first region is told by saying nothing.
pub(in super::super) async fn location(
    bridge: &Bridge,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    exists(bridge, request.input.bucket).await?;
    Ok(S3Response::new(GetBucketLocationOutput::default()))
}

pub(in super::super) async fn list(
    bridge: &Bridge,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let (access, principal) = (bridge.access(), principal_of(&request));
    let ListBucketsInput { bucket_region, continuation_token, max_buckets, prefix } = request.input;
    let most = max_buckets.unwrap_or(BUCKETS_MAX);
    if !(1..=BUCKETS_MAX).contains(&most) {
        return Err(invalid(format!("max-buckets is 1 to {BUCKETS_MAX}")));
    }
    let here = bucket_region.is_none_or(|region| region == REGION);
    let (begins, after) = (prefix.clone().unwrap_or_default(), continuation_token.unwrap_or_default());
    let mut found =
        bridge.ask(move |_| access.buckets(&principal).map_err(|error| told(&error))).await?.into_iter().filter(
            |bucket| here && bucket.name.as_str().starts_with(&begins) && bucket.name.as_str() > after.as_str(),
        );
    let page: Vec<_> = found.by_ref().take(usize::try_from(most).unwrap_or_default()).collect();
    // A bucket's name is no secret to who may list them: it serves as the token.
    let next = found.next().and_then(|_| page.last()).map(|last| last.name.to_string());
    let buckets = page.into_iter().map(|bucket| Bucket {
        bucket_region: None,
        creation_date: Some(time(bucket.created)),
        name: Some(bucket.name.to_string()),
    });
    let output = ListBucketsOutput {
        buckets: Some(buckets.collect()),
        continuation_token: next,
        owner: Some(owner(bridge)),
        prefix,
    };
    Ok(S3Response::new(output))
}
