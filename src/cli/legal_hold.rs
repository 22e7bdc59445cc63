//! `keyfold legal-hold`: keeps a version until somebody says otherwise.

use super::arguments::Global;
use super::failure::Done;
use super::protect;
use crate::control::{LockEdit, Protection};
use std::path::PathBuf;

/// Show, set or remove the legal hold of a version, in a bucket with object lock.
///
/// A hold has no date and is independent of retention: while either is on, the version stays.
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
    /// Show it
    #[command(after_help = "Examples:
  keyfold legal-hold get ~/keyfold/books/2026.pdf
  keyfold legal-hold get --json books/2026.pdf")]
    Get {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
    /// Put it on or take it off
    #[command(after_help = "Examples:
  keyfold legal-hold set ~/keyfold/books/2026.pdf ON
  keyfold legal-hold set books/2026.pdf OFF")]
    Set {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// ON or OFF
        #[arg(value_name = "ON|OFF")]
        hold: String,
    },
    /// Take it off, as if there never was one
    #[command(after_help = "Examples:
  keyfold legal-hold rm ~/keyfold/books/2026.pdf
  keyfold legal-hold rm books/2026.pdf --version 0123456789abcdef0123456789abcdef")]
    Rm {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (path, edit) = match &args.verb {
        Verb::Get { path } => (path, LockEdit::Get),
        Verb::Set { path, hold } => (path, LockEdit::Set(hold.clone())),
        Verb::Rm { path } => (path, LockEdit::Remove),
    };
    protect::run(global, path, Protection::LegalHold, args.version.as_ref(), edit, false)
}
