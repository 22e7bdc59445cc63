//! `keyfold class`: the storage class of objects, and of new files in directories.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{ClassEdit, Request, Row};
use std::path::PathBuf;

/// Show or change storage classes; the steps lead down only, and no new version is made.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Args, Debug)]
struct Where {
    /// A path on a mount, or bucket/key
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Of everything below
    #[arg(short, long, conflicts_with = "version")]
    recursive: bool,
    /// Of this version instead of the current one
    #[arg(long, value_name = "ID")]
    version: Option<String>,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Show the class of an object, or of new files in a directory
    #[command(after_help = "Examples:
  keyfold class get ~/keyfold/photos/cat.jpg
  keyfold class get -r photos/2026/")]
    Get {
        #[command(flatten)]
        at: Where,
    },
    /// Move an object to another class, or say which class new files in a directory get
    #[command(after_help = "Examples:
  keyfold class set ~/keyfold/photos/cat.jpg GLACIER_IR
  keyfold class set -r photos/2019/ DEEP_ARCHIVE --dry-run")]
    Set {
        #[command(flatten)]
        at: Where,
        /// The class; `keyfold classes` shows them
        #[arg(value_name = "CLASS")]
        class: String,
        /// Only say what would be moved
        #[arg(long)]
        dry_run: bool,
    },
    /// Have new files in a directory get the class of the one above again
    #[command(after_help = "Examples:
  keyfold class rm ~/keyfold/photos/2026
  keyfold class rm photos")]
    Rm {
        /// A directory on a mount, or bucket/key/
        #[arg(value_name = "DIR")]
        path: PathBuf,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (at, edit, dry_run) = match &args.verb {
        Verb::Get { at } => (at, ClassEdit::Get, false),
        Verb::Set { at, class, dry_run } => (at, ClassEdit::Set(class.clone()), *dry_run),
        Verb::Rm { path } => (&Where { path: path.clone(), recursive: false, version: None }, ClassEdit::Clear, false),
    };
    let (store, target) = target::target(global, &at.path)?;
    let view = if edit == ClassEdit::Get { View { header: &["CLASS", "KEY"], lines } } else { View::ACTS };
    let (version, recursive) = (at.version.clone(), at.recursive);
    show(global, &store, &Request::Class { target, version, recursive, edit, dry_run }, view)
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Archive(row) = row else { return vec![] };
    vec![vec![row.class.clone(), row.key.clone()]]
}
