//! `keyfold mount`: mounts a store, in the background unless told otherwise.

use super::arguments::Global;
use super::failure::Done;
use crate::control::Row;
use crate::node::{Plan, Replace, Start};
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
  publish_interval=DURATION, xattr_list=copy|user|all, versions_dir=, control_dir=, show_hidden, fsname=, threads=,
  s3=IP:PORT (serve the S3 API too, as long as it is mounted), s3_cert=FILE, s3_key=FILE (by TLS),
  admin=IP:PORT (tell metrics, health and readiness to this machine)
  Words of fstab such as defaults, auto and _netdev are taken and mean nothing here.

Examples:
  keyfold mount ~/.local/share/keyfold/store ~/keyfold
  keyfold mount /srv/keyfold /mnt/photos -o bucket=photos,ro,allow_other
  keyfold mount ~/store ~/mnt -o s3=127.0.0.1:9000   # the same objects for S3 clients
  keyfold mount --replace /srv/keyfold /mnt/photos   # after an upgrade, or a crash"
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
    /// Take the place of what is mounted there: of a dead mount only, of a running process too, or by force
    #[arg(long, value_enum, value_name = "WHAT", num_args = 0..=1, default_missing_value = "running", require_equals = true)]
    replace: Option<What>,
}

/// What may be taken away.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum What {
    /// A mount whose process is gone
    Dead,
    /// Also a running process: it publishes what is open, syncs and ends
    Running,
    /// The same, and a process that does not end is killed
    Force,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let replace = args.replace.map(|what| match what {
        What::Dead => Replace::Dead,
        What::Running => Replace::Running,
        What::Force => Replace::Force,
    });
    let plan = Plan::new(&args.dir, &args.mountpoint, args.options.clone(), replace)?;
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
