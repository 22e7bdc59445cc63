//! `user` and `access-key`: who may use the S3 API, and by what keys.

use crate::access::Access;
use crate::control::{AccessKeyRow, ActRow, Reply, Row, UserRow};
use crate::model::{AccessKey, Error, Kind, Result, User, UserName};
use crate::store::Store;
use crate::sys::entropy::SystemEntropy;
use crate::sys::process;
use std::sync::Arc;

/// What is decided by it holds at once in every door of this process.
pub(super) fn access(store: &Arc<Store>) -> Access {
    Access::new(Arc::clone(store), Arc::new(SystemEntropy))
}

pub(super) fn users(store: &Arc<Store>, reply: &mut dyn Reply) -> Result<()> {
    let access = access(store);
    let keys = access.keys()?;
    for (name, user) in access.users()? {
        reply.row(Row::User(user_row(&name, &user, &keys)))?;
    }
    Ok(())
}

fn user_row<K>(name: &UserName, user: &User, keys: &[(K, AccessKey)]) -> UserRow {
    UserRow {
        user: name.to_string(),
        uid: user.uid,
        gid: user.gid,
        create_buckets: user.makes_buckets,
        created: user.created.rfc3339(),
        access_keys: keys.iter().filter(|(_, key)| key.user.as_ref() == Some(name)).count() as u64,
    }
}

pub(super) fn add_user(
    store: &Arc<Store>,
    name: &str,
    (uid, gid): (Option<u32>, Option<u32>),
    create_buckets: bool,
    reply: &mut dyn Reply,
) -> Result<()> {
    let name = UserName::parse(name)?;
    let ids = match uid {
        Some(uid) => (uid, gid.unwrap_or(uid)),
        None => {
            let known = process::user_ids(name.as_str())?;
            let (uid, group) = known.ok_or_else(|| {
                Error::new(Kind::InvalidArgument, format!("cannot add the user {name}"))
                    .why("the machine has no user of that name, and none is given a uid")
                    .mend("name one with --uid, best a number that no user of the machine has")
            })?;
            (uid, gid.unwrap_or(group))
        }
    };
    let user = access(store).add_user(&name, ids, create_buckets)?;
    reply.row(Row::User(user_row::<()>(&name, &user, &[])))
}

pub(super) fn remove_user(store: &Arc<Store>, name: &str, dry_run: bool, reply: &mut dyn Reply) -> Result<()> {
    let (access, name) = (access(store), UserName::parse(name)?);
    let keys = if dry_run {
        store.user(&name)?;
        access.keys()?.iter().filter(|(_, key)| key.user.as_ref() == Some(&name)).count() as u64
    } else {
        access.remove_user(&name)?
    };
    let on = format!("user {name}, access keys: {keys}");
    reply.row(Row::Act(ActRow { act: "removed".to_owned(), on, dry_run, ..ActRow::default() }))
}

pub(super) fn keys(store: &Arc<Store>, user: Option<&str>, reply: &mut dyn Reply) -> Result<()> {
    let user = known(store, user)?;
    for (id, key) in access(store).keys()? {
        if user.is_none() || key.user == user {
            reply.row(Row::AccessKey(key_row(id.as_str(), &key)))?;
        }
    }
    Ok(())
}

pub(super) fn create_key(store: &Arc<Store>, user: Option<&str>, reply: &mut dyn Reply) -> Result<()> {
    let (access, user) = (access(store), known(store, user)?);
    let made = access.create_key(user.as_ref())?;
    let row = key_row(&made.id, &access.key(&made.id)?);
    reply.row(Row::AccessKey(AccessKeyRow { secret: Some(made.secret), ..row }))?;
    reply.note("this is the only time that the secret is shown: keep it now")
}

pub(super) fn enable_key(store: &Arc<Store>, id: &str, enabled: bool, reply: &mut dyn Reply) -> Result<()> {
    access(store).enable_key(id, enabled)?;
    act(if enabled { "enabled" } else { "disabled" }, id, false, reply)
}

pub(super) fn delete_key(store: &Arc<Store>, id: &str, dry_run: bool, reply: &mut dyn Reply) -> Result<()> {
    let access = access(store);
    if dry_run {
        access.key(id)?;
    } else {
        access.delete_key(id)?;
    }
    act("deleted", id, dry_run, reply)
}

/// A user that is there, or none was named.
fn known(store: &Store, user: Option<&str>) -> Result<Option<UserName>> {
    let user = user.map(UserName::parse).transpose()?;
    if let Some(user) = &user {
        store.user(user)?;
    }
    Ok(user)
}

fn key_row(id: &str, key: &AccessKey) -> AccessKeyRow {
    AccessKeyRow {
        access_key: id.to_owned(),
        user: key.user.as_ref().map(ToString::to_string),
        enabled: key.enabled,
        created: key.created.rfc3339(),
        secret: None,
    }
}

fn act(act: &str, id: &str, dry_run: bool, reply: &mut dyn Reply) -> Result<()> {
    let on = format!("access key {id}");
    reply.row(Row::Act(ActRow { act: act.to_owned(), on, dry_run, ..ActRow::default() }))
}
