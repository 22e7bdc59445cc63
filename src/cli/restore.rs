//! `keyfold restore`: makes an older version current again.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::{stat, target};
use crate::control::Request;
use std::path::PathBuf;

/// Make an older version current again; no data moves and nothing is lost.
///
/// Without a version: the one before the current, or before the deletion.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold restore ~/keyfold/photos/cat.jpg
  keyfold restore ~/keyfold/photos/cat.jpg --at 2026-11-01T00:00:00Z")]
pub(super) struct Args {
    /// A path on a mount, or bucket/key
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// This version
    #[arg(long, value_name = "ID", conflicts_with = "at")]
    version: Option<String>,
    /// The version that was current at this instant
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, target) = target::target(global, &args.path)?;
    let which = stat::which(args.version.as_deref(), args.at.as_deref());
    show(global, &store, &Request::Restore { target, which }, View::ACTS)
}
