//! `keyfold tag`: an object's tags.

use super::arguments::Global;
use super::failure::Done;
use super::pairs::{self, pair};
use crate::control::{Attribute, Edit};
use std::path::PathBuf;

/// Show, set or remove an object's tags; no new version is made.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// Of this version instead of the current one
    #[arg(long, value_name = "ID", global = true)]
    version: Option<String>,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Show tags
    #[command(after_help = "Examples:
  keyfold tag get ~/keyfold/photos/cat.jpg
  keyfold tag get --json photos/cat.jpg project")]
    Get {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Only these
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Set tags and keep the others
    #[command(after_help = "Examples:
  keyfold tag set ~/keyfold/photos/cat.jpg project=x
  keyfold tag set photos/cat.jpg project=x team=blue")]
    Set {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Tags to set
        #[arg(value_name = "NAME=VALUE", required = true, value_parser = pair)]
        pairs: Vec<(String, String)>,
    },
    /// Remove tags
    #[command(after_help = "Examples:
  keyfold tag rm ~/keyfold/photos/cat.jpg project
  keyfold tag rm photos/cat.jpg --all")]
    Rm {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Tags to remove
        #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
        names: Vec<String>,
        /// Remove all
        #[arg(long)]
        all: bool,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (path, edit) = match &args.verb {
        Verb::Get { path, names } => (path, Edit::Get(names.clone())),
        Verb::Set { path, pairs } => (path, Edit::Set(pairs.clone())),
        Verb::Rm { path, names, .. } => (path, pairs::removal(names)),
    };
    pairs::run(global, path, Attribute::Tags, args.version.as_ref(), edit)
}
