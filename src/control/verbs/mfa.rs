//! `mfa`: devices of the account's root that show one-time codes, and taking a code (MFA).

use super::principals::access;
use crate::access::{Principal, serial};
use crate::control::{ActRow, MfaRow, Reply, Row};
use crate::model::{Leave, Result, UserName};
use crate::store::Store;
use std::sync::Arc;

/// What the caller, who is the account's root, may that others may not: a code that is given must be right, and is used up.
pub(super) fn leave(store: &Arc<Store>, governance: bool, mfa: Option<&str>) -> Result<Leave> {
    if let Some(text) = mfa {
        access(store).take_code(&Principal::Owner, text)?;
    }
    Ok(Leave { governance, mfa: mfa.is_some() })
}

pub(super) fn list(store: &Store, reply: &mut dyn Reply) -> Result<()> {
    store.mfa_devices()?.into_iter().try_for_each(|(name, device)| {
        let created = device.created.rfc3339();
        reply.row(Row::Mfa(MfaRow { name: name.to_string(), serial: serial(&name), created, secret: None, uri: None }))
    })
}

pub(super) fn add(store: &Arc<Store>, name: &str, reply: &mut dyn Reply) -> Result<()> {
    let name = UserName::parse(name)?;
    let made = access(store).create_device(&name)?;
    let created = store.mfa_device(&name)?.created.rfc3339();
    let (secret, uri) = (Some(made.secret), Some(made.uri));
    reply.row(Row::Mfa(MfaRow { name: name.to_string(), serial: made.serial, created, secret, uri }))?;
    reply.note("this is the only time that the secret is shown: put it into the device now")
}

pub(super) fn remove(store: &Store, name: &str, dry_run: bool, reply: &mut dyn Reply) -> Result<()> {
    let name = UserName::parse(name)?;
    store.mfa_device(&name)?;
    if !dry_run {
        store.delete_mfa_device(&name)?;
    }
    let on = format!("device {name}");
    reply.row(Row::Act(ActRow { act: "removed".to_owned(), on, dry_run, ..ActRow::default() }))
}
