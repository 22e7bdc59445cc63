//! `keyfold gc`: frees all that can be freed.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::Request;
use std::path::PathBuf;

/// Free, at once, all the space that deleted data still takes.
///
/// A process that serves the store does so by itself, at the rate that `compact_rate` in keyfold.toml allows.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold gc /srv/keyfold
  keyfold gc --pause ~/keyfold")]
pub(super) struct Args {
    /// A store's directory, or a path on a mount
    #[arg(value_name = "STORE")]
    place: Option<PathBuf>,
    /// Only say how much that would be, roughly
    #[arg(long)]
    dry_run: bool,
    /// Keep the process from doing so in the background, until --resume or its end
    #[arg(long, conflicts_with_all = ["dry_run", "resume"])]
    pause: bool,
    /// Let it do so again
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let store = target::store(global, args.place.as_deref())?;
    let request = match (args.pause, args.resume) {
        (false, false) => Request::Gc { dry_run: args.dry_run },
        (pause, _) => Request::Compaction { pause },
    };
    show(global, &store, &request, View::ACTS)
}
