//! `keyfold stat`: all that is known of one thing.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Request, Row, Which};
use serde_json::Value;
use std::path::PathBuf;

/// Show all that is known of an object, a directory or a bucket.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold stat ~/keyfold/photos/cat.jpg
  keyfold stat --json --at 2026-11-01T00:00:00Z photos/cat.jpg")]
pub(super) struct Args {
    /// A path on a mount, or bucket/key
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// This version
    #[arg(long, value_name = "ID", conflicts_with = "at")]
    version: Option<String>,
    /// The version that was current at this instant
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// What `--version` and `--at` choose.
pub(super) fn which(version: Option<&str>, at: Option<&str>) -> Which {
    match (version, at) {
        (Some(id), _) => Which::Version(id.to_owned()),
        (None, Some(at)) => Which::At(at.to_owned()),
        (None, None) => Which::Current,
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, target) = target::target(global, &args.path)?;
    let request = Request::Stat { target, which: which(args.version.as_deref(), args.at.as_deref()) };
    show(global, &store, &request, View { header: &["", ""], lines })
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    if matches!(row, Row::Status(_)) {
        return super::status::lines(row);
    }
    let Value::Object(fields) = row.json() else { return vec![] };
    let mut lines = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Null => {}
            Value::String(text) => lines.push(vec![name, text]),
            Value::Object(pairs) => lines.extend(pairs.into_iter().map(|(below, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                vec![format!("{name}.{below}"), text]
            })),
            Value::Array(items) => lines.extend(items.into_iter().map(|value| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                vec![name.clone(), text]
            })),
            other => lines.push(vec![name, other.to_string()]),
        }
    }
    lines
}
