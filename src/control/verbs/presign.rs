//! `presign`: a URL for one request, signed where the secret is.

use super::principals::access;
use crate::access::{Access, Credential, Endpoint, Presign};
use crate::control::place::{self, name};
use crate::control::{Host, Reply, Row, Target, UrlRow};
use crate::model::{Error, Kind, Result, Timestamp};
use crate::store::{Store, no_such_key};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct How {
    pub(super) version: Option<String>,
    pub(super) put: bool,
    /// Seconds.
    pub(super) expires: u64,
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) access_key: Option<String>,
}

pub(super) fn presign(
    store: &Arc<Store>,
    host: &dyn Host,
    target: &Target,
    how: How,
    reply: &mut dyn Reply,
) -> Result<()> {
    let endpoint = Endpoint::parse(&how.endpoint)?;
    let (bucket, key, entry) = place::object_key(store, host, target)?;
    let version = how.version.as_deref().map(place::version_id).transpose()?.or(entry).map(|id| id.to_string());
    if how.put && version.is_some() {
        return Err(Error::new(
            Kind::InvalidArgument,
            format!("cannot write to a version of {}", name(&bucket, key.as_str())),
        )
        .why("a version never changes; a PUT makes a new one (AUTH-12)")
        .mend("name the object without a version"));
    }
    let credential = signer(&access(store), how.access_key.as_deref())?;
    let (now, method) = (store.now(), if how.put { "PUT" } else { "GET" });
    let url = Presign {
        method,
        endpoint: &endpoint,
        region: &how.region,
        bucket: bucket.name.as_str(),
        key: key.as_str(),
        version: version.as_deref(),
        expires: Duration::from_secs(how.expires),
    }
    .url(&credential, now)?;
    // Within seven days, as `url` has seen.
    let end = Timestamp::new(now.secs.saturating_add_unsigned(how.expires), 0);
    let row = UrlRow { url, method: method.to_owned(), expires: end.rfc3339(), access_key: credential.id };
    reply.row(Row::Url(row))
}

/// The key to sign with: the one that is named, or the owner's oldest that is enabled.
fn signer(access: &Access, id: Option<&str>) -> Result<Credential> {
    if let Some(id) = id {
        access.key(id)?;
        return access.credential(id)?.ok_or_else(|| {
            Error::new(Kind::Denied, format!("cannot sign with the access key {id}"))
                .why("it is disabled, and so would be every URL signed with it (AUTH-6)")
                .mend(format!("`keyfold access-key enable {id}`, or name another with --access-key"))
        });
    }
    let keys = access.keys()?;
    let own = keys.iter().filter(|(_, key)| key.user.is_none() && key.enabled).min_by_key(|(_, key)| key.created);
    let none = || {
        Error::new(Kind::NoSuchEntity, "cannot sign the URL")
            .why("the owner has no access key that is enabled")
            .mend("`keyfold access-key create` makes one; --access-key names a user's")
    };
    let (id, _) = own.ok_or_else(none)?;
    access.credential(id.as_str())?.ok_or_else(|| no_such_key(id.as_str()))
}
