//! `keyfold versions`: an object's history.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Request, Row};
use std::path::PathBuf;

/// List an object's versions, newest first, also when it is deleted.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold versions ~/keyfold/photos/cat.jpg
  keyfold versions --json --store /srv/keyfold photos/cat.jpg")]
pub(super) struct Args {
    /// A path on a mount, or bucket/key
    #[arg(value_name = "FILE")]
    path: PathBuf,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, target) = target::target(global, &args.path)?;
    let view = View { header: &["SINCE", ">SIZE", "VERSION", "STATE"], lines };
    show(global, &store, &Request::Versions { target }, view)
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Version(row) = row else { return vec![] };
    vec![vec![row.since.clone(), row.size.to_string(), row.version.clone(), row.state.clone()]]
}
