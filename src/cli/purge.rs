//! `keyfold purge`: deletes one version for good.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::Request;
use std::path::PathBuf;

/// Delete one version of an object for good.
///
/// Of the topmost delete marker: the object is there again.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold purge ~/keyfold/photos/cat.jpg --version 0123456789abcdef0123456789abcdef --dry-run
  keyfold purge photos/cat.jpg --version null")]
pub(super) struct Args {
    /// A path on a mount, or bucket/key
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// The version, as `keyfold versions` lists it
    #[arg(long, value_name = "ID")]
    version: String,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, target) = target::target(global, &args.path)?;
    let request = Request::Purge { target, version: args.version.clone(), dry_run: args.dry_run };
    show(global, &store, &request, View::ACTS)
}
