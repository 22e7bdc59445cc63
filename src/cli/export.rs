//! `keyfold export`: plain files.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::Request;
use std::path::PathBuf;

/// Write current objects as plain files into a new directory.
///
/// Mode and times are kept, owners too when root exports. Keys that no path can spell have the names a mount shows
/// them by, so that a copy of the files onto a mount has the same keys again.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold export /backup/keyfold
  keyfold export --at 2026-11-01T00:00:00Z /tmp/photos ~/keyfold/photos")]
pub(super) struct Args {
    /// The directory to make; it must be absent or empty
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only a bucket, or what lies below a path
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// As it was at this instant
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, target) = target::target_or_store(global, args.path.as_deref())?;
    let to = target::absolute(&args.dir)?;
    show(global, &store, &Request::Export { target, to, at: args.at.clone() }, View::ACTS)
}
