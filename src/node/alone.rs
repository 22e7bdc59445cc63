//! Asking a store, whoever owns it: the process that does, or this one when none does.

use super::settings;
use crate::control::{ActRow, FindingRow, Host, MountRow, Reply, Request, Row, Spot, Waiting, connect, handle};
use crate::index::is_broken;
use crate::model::{Bucket, Error, Kind, Result};
use crate::store::Store;
use crate::vfs::spelling::{self, Reserved};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait for a process that is starting, ending, or running another command on the store.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Runs a request on the store in `dir`.
///
/// # Errors
/// What the verb says; [`Kind::StoreBusy`] when another process keeps the store and does not answer.
pub fn ask(dir: &Path, request: &Request, reply: &mut dyn Reply) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    let mut salvaged = false;
    loop {
        let refused = if let Some(mut connection) = connect(dir)? {
            if connection.ask(request.clone(), reply)? {
                return Ok(());
            }
            Error::new(Kind::StoreBusy, format!("the process that owns {} does not answer", dir.display()))
                .why("it accepts connections and closes them")
                .mend("look into keyfold.log in the store")
        } else if request.needs_a_process() {
            return Err(Error::new(Kind::StoreUnavailable, format!("no process serves {}", dir.display()))
                .why("the store is not mounted")
                .mend("`keyfold mount STORE MOUNTPOINT` mounts it"));
        } else {
            match super::open::open(dir) {
                Ok(store) if repairs(request) && !salvaged && store.verify_index().is_err() => {
                    let why = store.verify_index().err();
                    store.close()?;
                    salvaged = true;
                    if let Some(why) = why {
                        salvage(dir, request, &why, reply)?;
                    }
                    continue;
                }
                Err(error) if repairs(request) && !salvaged && is_broken(&error) => {
                    salvaged = true;
                    if salvage(dir, request, &error, reply)? {
                        continue;
                    }
                    return Ok(());
                }
                Ok(store) => {
                    let done = handle(&store, &Alone, request.clone(), reply);
                    let closed = store.close();
                    return done.and(closed);
                }
                Err(error) if error.kind() == Kind::StoreBusy => error,
                Err(error) => return Err(error),
            }
        };
        if Instant::now() >= end {
            return Err(refused);
        }
        std::thread::sleep(PAUSE);
    }
}

fn repairs(request: &Request) -> bool {
    matches!(request, Request::Repair { .. })
}

/// Makes a new index of what can be read of a damaged one, unless it is a dry run; whether that was done.
fn salvage(dir: &Path, request: &Request, why: &Error, reply: &mut dyn Reply) -> Result<bool> {
    let dry_run = matches!(request, Request::Repair { dry_run: true });
    let mut what = why.reason().to_owned();
    if !dry_run {
        reply.note("making a new index of what can be read of the old one")?;
        let done = Store::salvage_index(dir, &super::open::options(dir)?)?;
        what = format!("{what}; {} records were read, {} stretches were not", done.records, done.gaps);
    }
    reply.row(Row::Finding(FindingRow {
        invariant: "index-tables".to_owned(),
        what,
        outcome: Some(crate::store::Outcome::Quarantined.word().to_owned()),
    }))?;
    Ok(!dry_run)
}

/// A process without mounts.
struct Alone;

impl Host for Alone {
    fn locate(&self, _device: &str, path: &str) -> Result<Spot> {
        Err(Error::new(Kind::StoreUnavailable, format!("cannot find {path} in the store"))
            .why("the mount it is named on is left from a process that ended")
            .mend("clear the mount with `keyfold umount --lazy`, or name the object as bucket/key with --store"))
    }

    fn file_name(&self, component: &str, shadowed: bool, at_root: bool) -> String {
        file_name(component, shadowed, at_root)
    }

    fn setting(&self, store: &Store, bucket: &Bucket, setting: &str) -> Result<Option<String>> {
        Ok(settings::document(setting)?.read(store, bucket))
    }

    fn change_setting(&self, store: &Store, bucket: &Bucket, setting: &str, text: Option<&str>) -> Result<()> {
        settings::change(store, bucket, setting, text)
    }

    fn mounts(&self) -> Vec<MountRow> {
        Vec::new()
    }

    fn mount(&self, _mountpoint: &Path, _options: &[String]) -> Result<MountRow> {
        Err(no_mounts())
    }

    fn unmount(&self, _mountpoint: &Path, _lazy: bool) -> Result<ActRow> {
        Err(no_mounts())
    }

    fn hand_over(&self) -> Result<Vec<MountRow>> {
        Err(no_mounts())
    }

    fn waiting(&self) -> Waiting {
        Waiting::default()
    }

    /// Nobody else can change a store that this process has opened: there is nothing to wait for.
    fn is_stopping(&self) -> bool {
        true
    }
}

fn no_mounts() -> Error {
    Error::new(Kind::Unsupported, "this process serves no mounts")
}

/// The name that a mount would show, so that a copy of an export onto a mount has the same keys again.
pub(super) fn file_name(component: &str, shadowed: bool, at_root: bool) -> String {
    let reserved = Reserved::default();
    let reserved = if at_root { reserved } else { reserved.below_root() };
    spelling::show(component, shadowed, &reserved).into_owned()
}
