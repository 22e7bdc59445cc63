//! Access lists: they are off (ACL-1), so the owner has everything, nobody else anything, and no other can be set.

use super::super::bridge::Bridge;
use super::super::error::{refused, told};
use super::settings::exists;
use super::{object_key, owner, version_id};
use hyper::StatusCode;
use s3s::dto::{
    AccessControlPolicy, GetBucketAclInput, GetBucketAclOutput, GetObjectAclInput, GetObjectAclOutput, Grant, Grantee,
    Permission, PutBucketAclInput, PutBucketAclOutput, PutObjectAclInput, PutObjectAclOutput, Type,
};
use s3s::{S3Request, S3Response, S3Result};

fn grants(bridge: &Bridge) -> Vec<Grant> {
    let owner = owner(bridge);
    let grantee = Grantee {
        display_name: owner.display_name,
        email_address: None,
        id: owner.id,
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    vec![Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) }]
}

/// What can be set is what is there already (ACL-2), by its name or, as clients send back what they were told, in full.
fn only_the_owners(bridge: &Bridge, canned: Option<&str>, listed: Option<&AccessControlPolicy>) -> S3Result<()> {
    let same = |one: &Grant, other: &Grant| {
        let id = |grant: &Grant| grant.grantee.as_ref().map(|grantee| grantee.id.clone());
        (id(one), &one.permission) == (id(other), &other.permission)
    };
    let listed = listed.and_then(|policy| policy.grants.as_deref());
    let is_there = match canned {
        Some(name) => matches!(name, "private" | "bucket-owner-full-control"),
        None => matches!((listed, grants(bridge).as_slice()), (Some([one]), [there]) if same(one, there)),
    };
    if is_there {
        return Ok(());
    }
    Err(refused(StatusCode::BAD_REQUEST, "AccessControlListNotSupported", "The bucket does not allow ACLs"))
}

pub(in super::super) async fn of_bucket(
    bridge: &Bridge,
    request: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    exists(bridge, request.input.bucket).await?;
    Ok(S3Response::new(GetBucketAclOutput { grants: Some(grants(bridge)), owner: Some(owner(bridge)) }))
}

pub(in super::super) async fn set_of_bucket(
    bridge: &Bridge,
    request: S3Request<PutBucketAclInput>,
) -> S3Result<S3Response<PutBucketAclOutput>> {
    let input = request.input;
    only_the_owners(bridge, input.acl.as_ref().map(|acl| acl.as_str()), input.access_control_policy.as_ref())?;
    exists(bridge, input.bucket).await?;
    Ok(S3Response::new(PutBucketAclOutput::default()))
}

/// That a version is there.
pub(super) async fn is_there(bridge: &Bridge, bucket: String, key: &str, version: Option<&str>) -> S3Result<()> {
    let (key, version) = (object_key(key)?, version_id(version)?);
    bridge.ask(move |store| store.get(&bucket, &key, version).map(drop).map_err(|error| told(&error))).await
}

pub(in super::super) async fn of_object(
    bridge: &Bridge,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = request.input;
    is_there(bridge, input.bucket, &input.key, input.version_id.as_deref()).await?;
    let (grants, owner) = (Some(grants(bridge)), Some(owner(bridge)));
    Ok(S3Response::new(GetObjectAclOutput { grants, owner, ..GetObjectAclOutput::default() }))
}

pub(in super::super) async fn set_of_object(
    bridge: &Bridge,
    request: S3Request<PutObjectAclInput>,
) -> S3Result<S3Response<PutObjectAclOutput>> {
    let input = request.input;
    only_the_owners(bridge, input.acl.as_ref().map(|acl| acl.as_str()), input.access_control_policy.as_ref())?;
    is_there(bridge, input.bucket, &input.key, input.version_id.as_deref()).await?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}
