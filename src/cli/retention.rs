//! `keyfold retention`: until when a version is kept.

use super::arguments::Global;
use super::failure::Done;
use super::protect;
use crate::control::{LockEdit, Protection};
use std::path::PathBuf;

/// Show, set or remove the retention of a version, in a bucket with object lock.
///
/// Anybody who may set it may extend it. COMPLIANCE ends on its date and not before, whoever asks.
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
  keyfold retention get ~/keyfold/books/2026.pdf
  keyfold retention get --json books/2026.pdf --version 0123456789abcdef0123456789abcdef")]
    Get {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
    /// Set it
    #[command(after_help = "Examples:
  keyfold retention set ~/keyfold/books/2026.pdf GOVERNANCE 2030-01-01T00:00:00Z
  keyfold retention set books/2026.pdf COMPLIANCE 2036-01-01T00:00:00Z")]
    Set {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// GOVERNANCE or COMPLIANCE
        #[arg(value_name = "MODE")]
        mode: String,
        /// The instant until which it is kept
        #[arg(value_name = "TIME")]
        until: String,
        /// Shorten or weaken GOVERNANCE, for who has the right to
        #[arg(long)]
        bypass_governance: bool,
    },
    /// Remove it
    #[command(after_help = "Examples:
  keyfold retention rm ~/keyfold/books/2026.pdf --bypass-governance
  keyfold retention rm books/2026.pdf")]
    Rm {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// Also GOVERNANCE that is not over, for who has the right to
        #[arg(long)]
        bypass_governance: bool,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (path, edit, bypass) = match &args.verb {
        Verb::Get { path } => (path, LockEdit::Get, false),
        Verb::Set { path, mode, until, bypass_governance } => {
            (path, LockEdit::Set(format!("{mode} {until}")), *bypass_governance)
        }
        Verb::Rm { path, bypass_governance } => (path, LockEdit::Remove, *bypass_governance),
    };
    protect::run(global, path, Protection::Retention, args.version.as_ref(), edit, bypass)
}
