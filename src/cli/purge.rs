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
    /// Also when GOVERNANCE retains it, for who has the right to
    #[arg(long)]
    bypass_governance: bool,
    /// A device's serial number, a blank, and its code, where the bucket has MFA delete
    #[arg(long, value_name = "SERIAL CODE")]
    mfa: Option<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, target) = target::target(global, &args.path)?;
    let Args { version, dry_run, bypass_governance, mfa, .. } = args;
    let request = Request::Purge {
        target,
        version: version.clone(),
        dry_run: *dry_run,
        bypass_governance: *bypass_governance,
        mfa: mfa.clone(),
    };
    show(global, &store, &request, View::ACTS)
}
