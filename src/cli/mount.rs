//! `keyfold mount`: mounts a store, in the background unless told otherwise.

use super::arguments::Global;
use super::failure::Done;
use crate::control::Row;
use crate::node::{Plan, Start};
use std::io::Write;
use std::path::PathBuf;

/// Mount a store.
///
/// Returns when the mount answers. A store that is absent is made first. A second mount of a store joins the process
/// that serves the first.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Options of -o: bucket=NAME[/PREFIX], as_of=TIME, ro, allow_other, allow_root, default_permissions,
  uid=, gid=, umask=, fmask=, dmask=, noatime, relatime, strictatime, dev, suid, noexec, durability=fsync|close,
  publish_interval=DURATION, xattr_list=copy|user|all, versions_dir=, control_dir=, show_hidden, fsname=, threads=
  Words of fstab such as defaults, auto and _netdev are taken and mean nothing here.

Examples:
  keyfold mount ~/.local/share/keyfold/store ~/keyfold
  keyfold mount /srv/keyfold /mnt/photos -o bucket=photos,ro,allow_other"
)]
pub(super) struct Args {
    /// The store's directory
    #[arg(value_name = "STORE")]
    dir: PathBuf,
    /// Where to mount it: a directory, or /dev/fd/N
    #[arg(value_name = "MOUNTPOINT")]
    mountpoint: PathBuf,
    /// Mount options, comma-separated; may be given again
    #[arg(short, value_name = "OPTIONS")]
    options: Vec<String>,
    /// Stay until it is unmounted, and log to stderr
    #[arg(short, long)]
    foreground: bool,
    /// Clear what a dead process left at the mount point
    #[arg(long)]
    replace: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let plan = Plan::new(&args.dir, &args.mountpoint, args.options.clone(), args.replace)?;
    let start = if args.foreground { Start::Foreground } else { Start::Background };
    crate::node::mount(&plan, start, |row| {
        let line = if global.json {
            Row::Mount(row.clone()).json().to_string()
        } else {
            format!("mounted {} at {}", plan.store.display(), row.mountpoint.display())
        };
        // The mount is there whether or not anybody reads this.
        let _ = writeln!(std::io::stdout(), "{line}");
    })?;
    Ok(())
}
