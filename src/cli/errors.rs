//! `keyfold errors`: what an errno could not explain.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Request, Row};
use std::path::PathBuf;

/// Show the latest errors that programs on a mount could not be told in full.
///
/// The same lines are in the file .keyfold/errors of every bucket.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold errors
  keyfold errors --json ~/keyfold/photos")]
pub(super) struct Args {
    /// Only those of a bucket or below a path
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, target) = target::target_or_store(global, args.path.as_deref())?;
    let view = View { header: &["TIME", "OPERATION", "PATH", "CODE", "WHAT"], lines };
    show(global, &store, &Request::Errors { target }, view)
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Complaint(row) = row else { return vec![] };
    let path = row.bucket.as_ref().map_or_else(|| row.path.clone(), |bucket| format!("{bucket}/{}", row.path));
    let mend = row.mend.as_ref().map(|mend| format!("; {mend}")).unwrap_or_default();
    let what = format!("{}: {}{mend}", row.what, row.why);
    vec![vec![row.time.clone(), row.op.clone(), path, row.code.clone(), what]]
}
