//! `keyfold init`: makes a store.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Printer, View};
use crate::control::{ActRow, Reply, Row};
use std::path::PathBuf;

/// Make a store in an absent or empty directory.
///
/// `keyfold mount` does it by itself the first time.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold init ~/.local/share/keyfold/store
  keyfold init --json /srv/keyfold")]
pub(super) struct Args {
    /// The store's directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let dir = crate::node::init(&args.dir)?;
    let mut printer = Printer::new(global, View::ACTS);
    let act = ActRow { act: "created".to_owned(), on: dir.display().to_string(), ..ActRow::default() };
    let done = printer.row(Row::Act(act));
    printer.finish(done)
}
