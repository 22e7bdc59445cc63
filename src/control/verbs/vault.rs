//! `vault`: drawers of archives under policies that can be locked for good (VAULT).

use crate::control::{ActRow, Reply, Row, VaultArchiveRow, VaultLockRow, VaultRequest, VaultRow};
use crate::model::{Error, Kind, Result};
use crate::store::{Archive, LockState, Store, Vault, VaultFacts};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Bytes of an archive that are copied at once.
const PIECE: usize = 1 << 20;

pub(super) fn vault(store: &Arc<Store>, request: VaultRequest, reply: &mut dyn Reply) -> Result<()> {
    let act =
        |act: &str, on: String, dry_run| Row::Act(ActRow { act: act.to_owned(), on, dry_run, ..ActRow::default() });
    match request {
        // Without what a policy may deny to be seen.
        VaultRequest::List => store.vaults()?.iter().try_for_each(|vault| {
            let brief = VaultRow { policy: None, lock_policy: None, tags: BTreeMap::new(), ..row(store, vault) };
            reply.row(Row::Vault(brief))
        }),
        VaultRequest::Show { vault } => reply.row(Row::Vault(row(store, &store.vault(&vault)?))),
        VaultRequest::Create { vault } => {
            store.create_vault(&vault)?;
            reply.row(act("created", format!("vault {vault}"), false))
        }
        VaultRequest::Delete { vault, dry_run } => {
            store.delete_vault(&vault, dry_run)?;
            reply.row(act("deleted", format!("vault {vault}"), dry_run))
        }
        VaultRequest::Archives { vault } => {
            let mut after: Option<String> = None;
            loop {
                let page = store.archives(&vault, after.as_deref())?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.id.clone());
                page.iter().try_for_each(|archive| reply.row(archived(archive)))?;
                reply.alive()?;
            }
        }
        VaultRequest::Upload { vault, from, description } => {
            let failed = |error| Error::io(format!("cannot read {}", from.display()), error);
            // A pipe would keep this thread for as long as nobody writes to it.
            if !std::fs::metadata(&from).map_err(failed)?.is_file() {
                return Err(Error::new(Kind::InvalidArgument, format!("cannot put {} into a vault", from.display()))
                    .why("it is no regular file")
                    .mend("write the bytes into a file first"));
            }
            let mut file = File::open(&from).map_err(failed)?;
            reply.row(archived(&store.upload_archive(&vault, &description, &mut file)?))
        }
        VaultRequest::Download { vault, archive, to } => {
            reply.row(archived(&download(store, (&vault, &archive), &to)?))
        }
        VaultRequest::DeleteArchive { vault, archive, dry_run } => {
            store.delete_archive(&vault, &archive, dry_run)?;
            reply.row(act("deleted", format!("archive {archive} in vault {vault}"), dry_run))
        }
        VaultRequest::Tag { vault, set, remove } => {
            store.tag_vault(&vault, &set, &remove)?;
            reply.row(Row::Vault(row(store, &store.vault(&vault)?)))
        }
        VaultRequest::Policy { vault, policy } => {
            store.set_vault_policy(&vault, policy.as_deref())?;
            let word = if policy.is_some() { "set" } else { "removed" };
            reply.row(act(word, format!("access policy of vault {vault}"), false))
        }
        VaultRequest::LockInitiate { vault, policy } => {
            let (lock_id, expires) = store.initiate_vault_lock(&vault, &policy)?;
            reply.row(Row::VaultLock(VaultLockRow { vault, lock_id, expires: expires.rfc3339() }))?;
            reply.note("the policy is in force, for a trial of 24 hours: complete it with this id, after which nobody can change it, or abort it")
        }
        VaultRequest::LockComplete { vault, id } => {
            store.complete_vault_lock(&vault, &id)?;
            reply.row(act("locked", format!("vault {vault} for good"), false))
        }
        VaultRequest::LockAbort { vault } => {
            store.abort_vault_lock(&vault)?;
            reply.row(act("aborted", format!("lock of vault {vault}"), false))
        }
    }
}

fn row(store: &Store, facts: &VaultFacts) -> VaultRow {
    let lock = facts.vault.lock_at(store.lock_time());
    let expires = |state| match state {
        LockState::InProgress { expires } => Some(expires.rfc3339()),
        LockState::Locked => None,
    };
    let word = |state| match state {
        LockState::InProgress { .. } => "InProgress".to_owned(),
        LockState::Locked => "Locked".to_owned(),
    };
    VaultRow {
        vault: facts.name.clone(),
        arn: Vault::arn(&facts.name),
        created: facts.created.rfc3339(),
        archives: facts.archives,
        bytes: facts.bytes,
        inventory: facts.inventory.map(|seen| (seen.at.rfc3339(), seen.archives, seen.bytes)),
        lock: if facts.vault.sealed { Some("Lost".to_owned()) } else { lock.map(|(_, state)| word(state)) },
        lock_expires: lock.and_then(|(_, state)| expires(state)),
        lock_policy: lock.map(|(lock, _)| lock.policy.clone()),
        policy: facts.vault.access().map(str::to_owned),
        tags: facts.vault.tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }
}

fn archived(archive: &Archive) -> Row {
    Row::VaultArchive(VaultArchiveRow {
        archive: archive.id.clone(),
        created: archive.created.rfc3339(),
        bytes: archive.bytes,
        tree_hash: archive.tree_hash.clone(),
        description: archive.description.clone(),
    })
}

/// Into a new file only, of which nothing is left when it fails.
fn download(store: &Arc<Store>, (vault, id): (&str, &str), to: &Path) -> Result<Archive> {
    let (archive, content) = store.open_archive(vault, id)?;
    let failed = |error| Error::io(format!("cannot write {}", to.display()), error);
    let mut file = File::options().write(true).create_new(true).open(to).map_err(failed)?;
    let copied = (|| {
        let (mut at, mut piece) = (0, vec![0; PIECE]);
        loop {
            match content.read_at(at, &mut piece)? {
                0 => return file.sync_all().map_err(failed),
                count => {
                    file.write_all(&piece[..count]).map_err(failed)?;
                    at += count as u64;
                }
            }
        }
    })();
    if copied.is_err() {
        let _ = std::fs::remove_file(to);
    }
    copied.map(|()| archive)
}
