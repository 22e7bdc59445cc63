//! `keyfold umount`: unmounts, and returns when the store is free if it was the last mount.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Printer, View};
use super::target;
use crate::control::{ActRow, FSTYPE, KernelMount, Reply, Request, Row, all_mounts, connect};
use crate::model::{Error, Kind, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a process may take to answer: it publishes what is open first, for which lazily it takes less time.
const PATIENCE: Duration = Duration::from_secs(60);
const LAZY_PATIENCE: Duration = Duration::from_secs(6);
/// How long a mount may be in use before that is told: who just ended is gone in a moment.
const BUSY: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(50);

/// Unmount, publishing what is open.
///
/// Also clears the mount of a process that died. With the last mount the process that serves the store ends.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold umount ~/keyfold
  keyfold umount --lazy /mnt/photos")]
pub(super) struct Args {
    /// Where it is mounted
    #[arg(value_name = "MOUNTPOINT")]
    mountpoint: PathBuf,
    /// Also when files are open: the mount leaves the tree now and ends when they are closed
    #[arg(short, long)]
    lazy: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let mount = find(&args.mountpoint)?;
    let mut printer = Printer::new(global, View::ACTS);
    let end = Instant::now() + BUSY;
    let done = loop {
        match unmount(&mount, args.lazy, &mut printer) {
            Err(error) if error.kind() == Kind::Conflict && Instant::now() < end => std::thread::sleep(PAUSE),
            done => break done,
        }
    };
    printer.finish(done)
}

fn unmount(mount: &KernelMount, lazy: bool, printer: &mut Printer) -> Result<()> {
    let asked = if mount.source.is_absolute() { connect(&mount.source) } else { Ok(None) };
    // Another user's process cannot be asked, but root can unmount what it serves.
    if let Ok(Some(mut connection)) = asked {
        connection.be_patient(if lazy { LAZY_PATIENCE } else { PATIENCE })?;
        let request = Request::Unmount { mountpoint: mount.mountpoint.clone(), lazy };
        match connection.ask(request, printer) {
            Ok(true) => {
                connection.until_gone();
                return Ok(());
            }
            Ok(false) if lazy => crate::node::let_go(mount),
            Ok(false) => {}
            // A bind mount, or one that an earlier process left: the kernel knows it, the process does not.
            Err(error) if error.kind() == Kind::NotSet => {}
            Err(error) => return Err(error),
        }
    }
    crate::node::detach(&mount.mountpoint, lazy)?;
    let on = mount.mountpoint.display().to_string();
    printer.row(Row::Act(ActRow { act: "unmounted".to_owned(), on, ..ActRow::default() }))
}

/// The mount at a place. Its directory is not touched: nobody may answer for it.
fn find(place: &Path) -> Result<KernelMount> {
    let lexical = target::absolute(place)?;
    let mounts = all_mounts()?;
    let at = |path: &Path| mounts.iter().rev().find(|mount| mount.mountpoint == path).cloned();
    let above = || Some(lexical.parent()?.canonicalize().ok()?.join(lexical.file_name()?));
    let found = at(&lexical).or_else(|| at(&above()?)).or_else(|| at(&lexical.canonicalize().ok()?));
    match found {
        Some(mount) if mount.fstype == FSTYPE => Ok(mount),
        Some(mount) => Err(Error::new(Kind::NoSuchKey, format!("cannot unmount {}", place.display()))
            .why(format!("a filesystem of type {} is mounted there, not Keyfold", mount.fstype))
            .mend("use umount")),
        None => Err(Error::new(Kind::NoSuchKey, format!("cannot unmount {}", place.display()))
            .why("nothing is mounted there")
            .mend("`keyfold status` lists the mounts")),
    }
}
