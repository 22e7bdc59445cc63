//! `keyfold ls`: buckets, objects, versions.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Request, Row};
use std::path::PathBuf;

/// List buckets, or what lies in a bucket or directory.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold ls ~/keyfold/photos
  keyfold ls --store /srv/keyfold --recursive --at 2026-11-01T00:00:00Z photos/2026")]
pub(super) struct Args {
    /// A path on a mount, or bucket/key; without one: the buckets
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Also what lies deeper
    #[arg(short, long)]
    recursive: bool,
    /// Also the storage classes
    #[arg(short, long, conflicts_with = "versions")]
    long: bool,
    /// Also noncurrent versions and delete markers
    #[arg(long)]
    versions: bool,
    /// As it was at this instant
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, target) = target::target_or_store(global, args.path.as_deref())?;
    let view = match (args.versions, args.long) {
        (true, _) => View { header: &["MODIFIED", ">SIZE", "VERSION", "STATE", "KEY"], lines: versions },
        (false, true) => View { header: &["MODIFIED", ">SIZE", "CLASS", "KEY"], lines: long },
        (false, false) => View { header: &["MODIFIED", ">SIZE", "KEY"], lines },
    };
    let request = Request::List { target, recursive: args.recursive, versions: args.versions, at: args.at.clone() };
    show(global, &store, &request, view)
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    match row {
        Row::Entry(row) => {
            let size = row.size.map(|size| size.to_string()).unwrap_or_default();
            vec![vec![row.modified.clone().unwrap_or_default(), size, row.key.clone()]]
        }
        Row::Bucket(row) => vec![vec![row.created.clone(), row.bytes.to_string(), format!("{}/", row.bucket)]],
        _ => vec![],
    }
}

fn long(row: &Row) -> Vec<Vec<String>> {
    let class = match row {
        Row::Entry(row) => row.class.clone().unwrap_or_default(),
        _ => String::new(),
    };
    let mut lines = lines(row);
    lines.iter_mut().for_each(|line| line.insert(2, class.clone()));
    lines
}

fn versions(row: &Row) -> Vec<Vec<String>> {
    let Row::Entry(entry) = row else {
        let mut lines = lines(row);
        lines.iter_mut().for_each(|line| line.splice(2..2, [String::new(), String::new()]).for_each(drop));
        return lines;
    };
    let state = match (entry.kind.as_str(), entry.latest) {
        ("marker", _) => "deleted",
        (_, Some(true)) => "current",
        (_, Some(false)) => "noncurrent",
        _ => "",
    };
    let size = entry.size.map(|size| size.to_string()).unwrap_or_default();
    vec![vec![
        entry.modified.clone().unwrap_or_default(),
        size,
        entry.version.clone().unwrap_or_default(),
        state.to_owned(),
        entry.key.clone(),
    ]]
}
