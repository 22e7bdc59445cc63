//! `keyfold undelete`: takes a delete marker away.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::Request;
use std::path::PathBuf;

/// Bring a deleted object back by removing the delete marker on top of it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold undelete ~/keyfold/photos/cat.jpg
  keyfold undelete --recursive ~/keyfold/photos/2025")]
pub(super) struct Args {
    /// A path on a mount, or bucket/key
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Everything deleted below a directory or bucket
    #[arg(short, long)]
    recursive: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, target) = target::target(global, &args.path)?;
    show(global, &store, &Request::Undelete { target, recursive: args.recursive }, View::ACTS)
}
