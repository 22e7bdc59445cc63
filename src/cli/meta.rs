//! `keyfold meta`: an object's system headers and user metadata.

use super::arguments::Global;
use super::failure::Done;
use super::pairs::{self, pair};
use crate::control::{Attribute, Edit};
use std::path::PathBuf;

/// Show, set or remove an object's metadata; a change makes a new version, without moving data.
///
/// The names content-type, content-encoding, content-language, content-disposition, cache-control, expires and
/// website-redirect are the system headers; any other name is user metadata (x-amz-meta-NAME).
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Show metadata
    #[command(after_help = "Examples:
  keyfold meta get ~/keyfold/photos/cat.jpg
  keyfold meta get --json photos/cat.jpg content-type")]
    Get {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Only these
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Of this version instead of the current one
        #[arg(long, value_name = "ID")]
        version: Option<String>,
    },
    /// Set metadata and keep the rest
    #[command(after_help = "Examples:
  keyfold meta set ~/keyfold/photos/cat.jpg content-type=image/jpeg
  keyfold meta set photos/cat.jpg title=Cat camera=X100")]
    Set {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Metadata to set
        #[arg(value_name = "NAME=VALUE", required = true, value_parser = pair)]
        pairs: Vec<(String, String)>,
    },
    /// Remove metadata
    #[command(after_help = "Examples:
  keyfold meta rm ~/keyfold/photos/cat.jpg title
  keyfold meta rm photos/cat.jpg --all")]
    Rm {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Names to remove
        #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
        names: Vec<String>,
        /// Remove all
        #[arg(long)]
        all: bool,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (path, edit, version) = match &args.verb {
        Verb::Get { path, names, version } => (path, Edit::Get(names.clone()), version.as_ref()),
        Verb::Set { path, pairs } => (path, Edit::Set(pairs.clone()), None),
        Verb::Rm { path, names, .. } => (path, pairs::removal(names), None),
    };
    pairs::run(global, path, Attribute::Metadata, version, edit)
}
