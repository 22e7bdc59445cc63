//! Who asks, and whether it may: signatures' keys, principals and hosts between the protocol's library and `access`.

use super::answer::{Trace, Vouched};
use super::bridge::Bridge;
use super::error::{refused, told};
use super::expires::OddExpires;
use super::guard;
use super::rates::Rates;
use crate::access::{Credential, Principal, Resource, Secret, decided};
use crate::model::{ACCOUNT, Timestamp};
use hyper::StatusCode;
use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{CopyObjectInput, CopySource, UploadPartCopyInput};
use s3s::host::{S3Host, VirtualHost};
use s3s::path::S3Path;
use s3s::{S3Request, S3Result};
use std::cell::Cell;
use std::sync::{Arc, OnceLock};

/// Operations whose permission is not called as they are (IAM-8). That of all others is `s3:` and their name.
const ACTIONS: &[(&str, &str)] = &[
    ("ListBuckets", "s3:ListAllMyBuckets"),
    ("HeadBucket", "s3:ListBucket"),
    ("ListObjects", "s3:ListBucket"),
    ("ListObjectsV2", "s3:ListBucket"),
    ("ListObjectVersions", "s3:ListBucketVersions"),
    ("ListMultipartUploads", "s3:ListBucketMultipartUploads"),
    ("ListParts", "s3:ListMultipartUploadParts"),
    ("HeadObject", "s3:GetObject"),
    ("PostObject", "s3:PutObject"),
    ("CopyObject", "s3:PutObject"),
    ("CreateMultipartUpload", "s3:PutObject"),
    ("UploadPart", "s3:PutObject"),
    ("UploadPartCopy", "s3:PutObject"),
    ("CompleteMultipartUpload", "s3:PutObject"),
    ("DeleteObjects", "s3:DeleteObject"),
    ("DeleteBucketCors", "s3:PutBucketCORS"),
    ("GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
    ("PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
    ("DeleteBucketLifecycle", "s3:PutLifecycleConfiguration"),
    ("DeleteBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
    ("GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration"),
    ("PutObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration"),
    ("GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    ("PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    ("DeletePublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
];
/// Permissions that are others for a version by its id (READ-4, DEL-10).
const OF_VERSIONS: &[(&str, &str)] = &[
    ("s3:GetObject", "s3:GetObjectVersion"),
    ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    ("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"),
    ("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
    ("s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
    ("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"),
];
/// Names under which a host is reached by a bucket's name before it (BKT-18).
const HOSTS: &[&str] = &[".localhost"];

/// What must be allowed for an operation.
pub(super) fn action(operation: &str, of_version: bool) -> String {
    let known = ACTIONS.iter().find(|(name, _)| *name == operation);
    let action = known.map_or_else(|| format!("s3:{operation}"), |(_, action)| (*action).to_owned());
    let versions = OF_VERSIONS.iter().find(|(name, _)| of_version && *name == action);
    versions.map_or(action, |(_, versions)| (*versions).to_owned())
}

tokio::task_local! {
    /// Who signed the request that this task serves, from the look at its key on.
    static SIGNER: Cell<Option<Principal>>;
    /// Where the secret is put that its signature is compared with.
    static PROVED: Proved;
}

/// The secret of the key that a request's head was proved with, for those who read its body behind that.
#[derive(Clone, Default)]
pub(super) struct Proved(Arc<OnceLock<Secret>>);

impl Proved {
    pub(super) fn secret(&self) -> Option<&Secret> {
        self.0.get()
    }

    pub(super) fn tell(&self, secret: Secret) {
        let _ = self.0.set(secret);
    }
}

/// Serves one request: its key is looked up once, for the signature, for who it stands for, and for its body.
pub(super) async fn for_one_request<T>(proved: Proved, serve: impl Future<Output = T>) -> T {
    PROVED.scope(proved, SIGNER.scope(Cell::new(None), serve)).await
}

/// The access key of that id, and the moment when it was looked up.
///
/// # Errors
/// `InvalidAccessKeyId` when requests signed with it are not to be taken.
pub(super) async fn credential(bridge: &Bridge, id: &str) -> S3Result<(Credential, Timestamp)> {
    let (access, id) = (bridge.access(), id.to_owned());
    let look = move |now| access.credential(&id).map(|found| (found, now)).map_err(|error| told(&error));
    let (found, now) = bridge.look(move |store| look(store.now())).await?;
    let credential = found.ok_or_else(|| {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        refused(StatusCode::FORBIDDEN, "InvalidAccessKeyId", message)
    })?;
    Ok((credential, now))
}

/// Whose key was looked up; whose could not be came no further.
fn signer() -> Principal {
    SIGNER.try_with(Cell::take).ok().flatten().unwrap_or(Principal::Anonymous)
}

/// The secrets of access keys.
pub(super) struct Keys(Bridge);

impl Keys {
    pub(super) fn new(bridge: Bridge) -> Self {
        Self(bridge)
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let (credential, _) = credential(&self.0, access_key).await?;
        let secret = SecretKey::from(credential.secret.expose());
        let _ = SIGNER.try_with(|signer| signer.set(Some(credential.principal)));
        let _ = PROVED.try_with(|proved| proved.tell(credential.secret));
        Ok(secret)
    }
}

fn path_of(path: &S3Path) -> S3Path {
    match path {
        S3Path::Root => S3Path::Root,
        S3Path::Bucket { bucket } => S3Path::Bucket { bucket: bucket.clone() },
        S3Path::Object { bucket, key } => S3Path::Object { bucket: bucket.clone(), key: key.clone() },
    }
}

fn resource<'a>(action: &str, path: &'a S3Path) -> Resource<'a> {
    match path {
        _ if action == "s3:CreateBucket" => Resource::Account,
        S3Path::Root => Resource::Account,
        S3Path::Bucket { bucket } => Resource::Bucket(bucket),
        S3Path::Object { bucket, key } => Resource::Object(bucket, key),
    }
}

/// What principals may do, and how often: each operation is asked for before it begins.
pub(super) struct Rights(Bridge, Arc<Rates>);

impl Rights {
    pub(super) fn new(bridge: Bridge, rates: Arc<Rates>) -> Self {
        Self(bridge, rates)
    }

    /// Tells a second look at a signed request, which goes without its signature, who made it.
    pub(super) fn vouch<T>(request: &S3Request<T>) {
        if let (Some(credentials), Some(vouched)) = (&request.credentials, request.extensions.get::<Vouched>()) {
            vouched.tell(signer(), &credentials.access_key);
        }
    }

    /// Lets a request begin, once it is known who makes it; `key` is the access key that proved it.
    ///
    /// # Errors
    /// 403 where the bucket's owner is to be another (BKT-20); `SlowDown` of a key that asks too often.
    pub(super) fn begin(
        &self,
        headers: &HeaderMap,
        trace: Option<&Trace>,
        operation: &str,
        (principal, key): (&Principal, Option<&str>),
    ) -> S3Result<()> {
        for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
            if headers.get_all(name).iter().any(|owner| owner != ACCOUNT) {
                return Err(refused(StatusCode::FORBIDDEN, "AccessDenied", "the bucket's owner is another"));
            }
        }
        if let Some(trace) = trace {
            trace.tell(operation.to_owned(), principal.to_string());
        }
        key.map_or(Ok(()), |key| self.1.key(key))
    }

    /// Whether the principal may do it.
    ///
    /// # Errors
    /// 403 when not.
    pub(super) async fn may(&self, principal: Principal, action: String, path: S3Path) -> S3Result<()> {
        if let Some(decided) = decided(&principal, &action, resource(&action, &path)) {
            return decided.map_err(|error| told(&error));
        }
        let access = self.0.access();
        let may = move || access.authorize(&principal, &action, resource(&action, &path));
        self.0.look(move |_| may().map_err(|error| told(&error))).await
    }

    /// COPY: the source must be readable, besides.
    async fn may_copy<T>(&self, request: &S3Request<T>, source: &CopySource) -> S3Result<()> {
        let CopySource::Bucket { bucket, key, version_id } = source else { return Ok(()) };
        let principal = principal_of(request);
        let path = S3Path::Object { bucket: bucket.clone(), key: key.clone() };
        self.may(principal, action("GetObject", version_id.is_some()), path).await
    }
}

/// Who made a request. Told by [`Rights`] before any operation runs.
pub(super) fn principal_of<T>(request: &S3Request<T>) -> Principal {
    request.extensions.get().cloned().unwrap_or(Principal::Anonymous)
}

#[async_trait::async_trait]
impl S3Access for Rights {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let vouched = cx.extensions_mut().get::<Vouched>().cloned().unwrap_or_default();
        let key = cx.credentials().map(|credentials| credentials.access_key.clone());
        let principal = match &key {
            Some(_) => signer(),
            None => vouched.principal(),
        };
        let of_version = guard::query(cx.uri().query().unwrap_or_default()).contains_key("versionId");
        let (operation, path) = (cx.s3_op().name().to_owned(), path_of(cx.s3_path()));
        let trace = cx.extensions_mut().get::<Trace>().cloned();
        // A second look at a range has been charged for, one at an odd `Expires` has not.
        let charged = match cx.extensions_mut().get::<OddExpires>() {
            Some(_) => key.clone().or_else(|| vouched.key()),
            None => key.clone(),
        };
        self.begin(cx.headers(), trace.as_ref(), &operation, (&principal, charged.as_deref()))?;
        if let Some(key) = key {
            vouched.tell(principal.clone(), &key);
        }
        cx.extensions_mut().insert(principal.clone());
        self.may(principal, action(&operation, of_version), path).await
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        self.may_copy(request, &request.input.copy_source).await
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        self.may_copy(request, &request.input.copy_source).await
    }
}

/// The bucket whose name stands before the host's.
fn bucket_of_host(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    HOSTS.iter().find_map(|end| name.strip_suffix(end))
}

/// The bucket that a request is about, and the key in it, empty where it is about the bucket: by its host (BKT-18) and its path,
/// which the protocol's library decodes before it takes it apart.
pub(super) fn place_of(parts: &Parts) -> (String, String) {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) = match bucket_of_host(host) {
        Some(bucket) => (bucket, path),
        None => path.split_once('/').unwrap_or((path, "")),
    };
    (bucket.to_owned(), key.to_owned())
}

/// BKT-18: a bucket's name before the host's, or in the path.
pub(super) struct Hosts;

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let bucket = bucket_of_host(host);
        let host = VirtualHost::new(host);
        Ok(match bucket {
            Some(bucket) => host.with_bucket(bucket),
            None => host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Hosts, S3Host, action, place_of};
    use hyper::Request;

    #[test]
    fn read_4_and_del_10_versions_have_permissions_of_their_own() {
        assert_eq!(action("GetObject", false), "s3:GetObject");
        assert_eq!(action("HeadObject", true), "s3:GetObjectVersion");
        assert_eq!(action("DeleteObject", true), "s3:DeleteObjectVersion");
        assert_eq!(action("ListObjectsV2", false), "s3:ListBucket");
        assert_eq!(action("GetBucketTagging", false), "s3:GetBucketTagging");
    }

    #[test]
    fn bkt_18_both_styles_of_addressing() {
        for (host, bucket) in [
            ("photos.localhost:9000", Some("photos")),
            ("localhost:9000", None),
            ("example.com", None),
            ("a.b.localhost", Some("a.b")),
        ] {
            assert_eq!(Hosts.parse_host_header(host).unwrap().bucket(), bucket, "{host}");
        }
    }

    #[test]
    fn bkt_18_a_path_is_taken_apart_as_the_library_does() {
        let place = |host: &str, path: &str| {
            place_of(&Request::builder().uri(path).header("host", host).body(()).unwrap().into_parts().0)
        };
        for (path, bucket, key) in [
            ("/", "", ""),
            ("/b", "b", ""),
            ("/b/", "b", ""),
            ("/b//", "b", "/"),
            ("/b/a/c", "b", "a/c"),
            ("/b%2Fa%20c", "b", "a c"),
        ] {
            assert_eq!(place("h:9000", path), (bucket.to_owned(), key.to_owned()), "{path}");
        }
        for (path, key) in [("/", ""), ("/b", "b"), ("//", "/"), ("/a/c", "a/c")] {
            assert_eq!(place("photos.localhost", path), ("photos".to_owned(), key.to_owned()), "{path}");
        }
    }
}
