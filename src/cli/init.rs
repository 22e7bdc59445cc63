//! `keyfold init`: makes a store.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Printer, View};
use crate::control::{ActRow, Reply, Request, Row};
use std::path::PathBuf;

/// Make a store in an absent or empty directory, and show the owner's first access key for the S3 API, once.
///
/// `keyfold mount` makes a store by itself the first time; its owner's key is made by `keyfold access-key create`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold init ~/.local/share/keyfold/store
  keyfold init --json /srv/keyfold")]
pub(super) struct Args {
    /// The store's directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Let days be short, for tests: `day = "10s"` below `[debug]` in its keyfold.toml
    #[arg(long)]
    debug_clock: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let dir = crate::node::init(&args.dir, args.debug_clock)?;
    let mut printer = Printer::new(global, View { header: &[], lines });
    let act = ActRow { act: "created".to_owned(), on: dir.display().to_string(), ..ActRow::default() };
    let done = printer.row(Row::Act(act));
    let done = done.and_then(|()| crate::node::ask(&dir, &Request::AccessKeyCreate { user: None }, &mut printer));
    printer.finish(done)
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let acts = (View::ACTS.lines)(row);
    if acts.is_empty() { super::access_key::made(row) } else { acts }
}
