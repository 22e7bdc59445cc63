//! `keyfold du`: how much lies where.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Printer, View, size};
use super::target;
use crate::control::{Request, Row, Target};
use std::path::PathBuf;

/// Show how much buckets or directories hold.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold du
  keyfold du --versions ~/keyfold/photos ~/keyfold/music")]
pub(super) struct Args {
    /// Paths on a mount, or bucket/key; without one: every bucket
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Also noncurrent versions and delete markers
    #[arg(long)]
    versions: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let mut asked = Vec::new();
    for path in &args.paths {
        asked.push(target::target(global, path)?);
    }
    if asked.is_empty() {
        asked.push((target::store(global, None)?, Target::Store));
    }
    let header: &'static [&'static str] = if args.versions {
        &[">OBJECTS", ">SIZE", ">NONCURRENT", ">SIZE", ">MARKERS", "PATH"]
    } else {
        &[">OBJECTS", ">SIZE", "PATH"]
    };
    let mut printer = Printer::new(global, View { header, lines });
    let mut done = Ok(());
    for (store, target) in asked {
        let request = Request::Usage { target, versions: args.versions };
        done = crate::node::ask(&store, &request, &mut printer);
        if done.is_err() {
            break;
        }
    }
    printer.finish(done)
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Usage(row) = row else { return vec![] };
    let mut line = vec![row.objects.to_string(), size(row.bytes)];
    if let (Some(count), Some(bytes), Some(markers)) = (row.noncurrent, row.noncurrent_bytes, row.markers) {
        line.extend([count.to_string(), size(bytes), markers.to_string()]);
    }
    line.push(row.path.clone());
    vec![line]
}
