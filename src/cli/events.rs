//! `keyfold events`: the change feed.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Request, Row, connect};

/// What happened, and what happens.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Show the latest changes
    #[command(after_help = "Examples:
  keyfold events tail --follow
  keyfold events tail --json --after 1042 photos")]
    Tail {
        /// Only changes of this bucket
        #[arg(value_name = "BUCKET")]
        bucket: Option<String>,
        /// Every change after this number, which each line shows first
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
        /// Wait for more
        #[arg(short, long)]
        follow: bool,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let Verb::Tail { bucket, after, follow } = &args.verb;
    let store = target::store(global, None)?;
    if *follow && connect(&store)?.is_none() {
        eprintln!("no process serves the store, so nothing will happen while this command looks");
    }
    let request = Request::Events { bucket: bucket.clone(), after: *after, follow: *follow };
    show(global, &store, &request, View { header: &[">NUMBER", "TIME", "EVENT", ">SIZE", "KEY"], lines })
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Event(row) = row else { return vec![] };
    let bucket = row.bucket.as_deref().unwrap_or("?");
    let from = row.from.as_ref().map(|from| format!(" (from {from})")).unwrap_or_default();
    let key = format!("{bucket}/{}{from}", row.key);
    vec![vec![row.seq.to_string(), row.time.clone(), row.event.clone(), row.size.to_string(), key]]
}
