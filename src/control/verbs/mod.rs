//! The verbs, and which one answers a request.

mod archive;
mod attributes;
mod backup;
mod buckets;
mod export;
mod feed;
mod history;
mod lifecycle;
mod lock;
mod look;
mod mfa;
mod presign;
mod principals;
mod scrub;
mod store;
mod tree;
mod usage;
mod vault;
mod zones;

pub use backup::{list_backups, restore_backup};

use super::{Host, Reply, Request, Row};
use crate::model::Result;
use crate::store::Store;
use std::sync::Arc;

/// Runs one request to its end.
///
/// # Errors
/// What the store says, or `reply` when nobody listens any more.
pub fn handle(store: &Arc<Store>, host: &dyn Host, request: Request, reply: &mut dyn Reply) -> Result<()> {
    match request {
        Request::Status => store::status(store, host, reply),
        Request::Errors { target } => store::errors(store, host, &target, reply),
        Request::Fsck => store::fsck(store, None, reply),
        Request::Repair { dry_run } => store::fsck(store, Some(dry_run), reply),
        Request::Backup { to, link, keep, dry_run } => {
            let keep = keep.map(|keep| keep as usize);
            backup::backup(store, &crate::backup::Plan { to, link, keep, dry_run }, reply)
        }
        Request::Zones => zones::list(store, reply),
        Request::ZoneAdopt { name } => zones::adopt(store, &name, reply),
        Request::ZonesRepair => zones::repair(store, reply),
        Request::Gc { dry_run } => store::gc(store, dry_run, reply),
        Request::Compaction { pause } => store::compaction(store, pause, reply),
        Request::Scrub { rate } => scrub::scrub(store, host, rate, reply),
        Request::ScrubPause { paused } => scrub::pause(store, paused, reply),
        Request::LifecyclePreview { bucket, until } => lifecycle::preview(store, &bucket, until.as_deref(), reply),
        Request::LifecycleExplain { target, version } => {
            lifecycle::explain(store, host, &target, version.as_deref(), reply)
        }
        Request::LifecycleRun { buckets, now, dry_run } => {
            lifecycle::run(store, host, &buckets, (now.as_deref(), dry_run), reply)
        }
        Request::Buckets => buckets::list(store, reply),
        Request::BucketShow { bucket } => buckets::show(store, &bucket, reply),
        Request::BucketCreate { bucket, object_lock } => buckets::create(store, &bucket, object_lock, reply),
        Request::BucketDelete { bucket, dry_run } => buckets::delete(store, &bucket, dry_run, reply),
        Request::SettingGet { bucket, setting } => buckets::get(store, host, (&bucket, &setting), reply),
        Request::SettingSet { bucket, setting, value, mfa } => {
            let leave = mfa::leave(store, false, mfa.as_deref())?;
            buckets::set(store, host, (&bucket, &setting), value.as_deref(), leave, reply)
        }
        Request::List { target, recursive, versions, at } => {
            look::list(store, host, &target, &look::How { recursive, versions, at }, reply)
        }
        Request::Stat { target, which } => look::stat(store, host, &target, which, reply),
        Request::Versions { target } => history::versions(store, host, &target, reply),
        Request::Restore { target, which } => history::restore(store, host, &target, &which, reply),
        Request::Undelete { target, recursive } => history::undelete(store, host, &target, recursive, reply),
        Request::Purge { target, version, dry_run, bypass_governance, mfa } => {
            let mfa = mfa.filter(|_| !dry_run);
            let leave = mfa::leave(store, bypass_governance, mfa.as_deref())?;
            history::purge(store, host, (&target, &version), leave, dry_run, reply)
        }
        Request::Lock { target, version, protection, edit, bypass_governance } => {
            let leave = mfa::leave(store, bypass_governance, None)?;
            lock::lock(store, host, (&target, version.as_deref()), protection, edit, leave, reply)
        }
        Request::Pairs { target, attribute, version, edit } => {
            attributes::pairs(store, host, &target, (attribute, version.as_deref()), edit, reply)
        }
        Request::Class { target, version, recursive, edit, dry_run } => {
            let how = archive::How { version, recursive, edit, dry_run };
            archive::class(store, host, &target, &how, reply)
        }
        Request::Thaw { target, version, recursive, ask } => {
            archive::thaw(store, host, &target, &archive::Asked { version, recursive, ask }, reply)
        }
        Request::Analyze { bucket, id } => usage::analyze(store, &bucket, id.as_deref(), reply),
        Request::Metered { month, bucket } => usage::metered(store, month.as_deref(), bucket.as_deref(), reply),
        Request::Usage { target, versions } => usage::usage(store, host, &target, versions, reply),
        Request::Events { bucket, after, follow } => {
            feed::events(store, host, bucket.as_deref(), (after, follow), reply)
        }
        Request::Export { target, to, at } => export::export(store, host, &target, (&to, at.as_deref()), reply),
        Request::Vault(request) => vault::vault(store, request, reply),
        Request::MfaDevices => mfa::list(store, reply),
        Request::MfaAdd { name } => mfa::add(store, &name, reply),
        Request::MfaRemove { name, dry_run } => mfa::remove(store, &name, dry_run, reply),
        Request::Users => principals::users(store, reply),
        Request::UserAdd { user, uid, gid, create_buckets } => {
            principals::add_user(store, &user, (uid, gid), create_buckets, reply)
        }
        Request::UserRemove { user, dry_run } => principals::remove_user(store, &user, dry_run, reply),
        Request::AccessKeys { user } => principals::keys(store, user.as_deref(), reply),
        Request::AccessKeyCreate { user } => principals::create_key(store, user.as_deref(), reply),
        Request::AccessKeyEnable { access_key, enabled } => principals::enable_key(store, &access_key, enabled, reply),
        Request::AccessKeyDelete { access_key, dry_run } => principals::delete_key(store, &access_key, dry_run, reply),
        Request::Presign { target, version, put, expires, endpoint, region, access_key } => {
            let how = presign::How { version, put, expires, endpoint, region, access_key };
            presign::presign(store, host, &target, how, reply)
        }
        Request::Mount { mountpoint, options } => reply.row(Row::Mount(host.mount(&mountpoint, &options)?)),
        Request::Unmount { mountpoint, lazy } => reply.row(Row::Act(host.unmount(&mountpoint, lazy)?)),
        Request::Stop => host.hand_over()?.into_iter().try_for_each(|mount| reply.row(Row::Mount(mount))),
    }
}
