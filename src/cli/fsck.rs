//! `keyfold fsck`: proves the store's invariants.

use super::arguments::Global;
use super::failure::{Done, Failed};
use super::output::{Printer, View};
use super::target;
use crate::control::{Request, Row};
use std::path::PathBuf;

/// Check every invariant of a store; changes nothing.
///
/// Prints a line for each finding, with the invariant's name. Exit status 7 when there is any.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold fsck /srv/keyfold
  keyfold fsck --json")]
pub(super) struct Args {
    /// A store's directory, or a path on a mount
    #[arg(value_name = "STORE")]
    place: Option<PathBuf>,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let store = target::store(global, args.place.as_deref())?;
    let mut printer = Printer::new(global, View { header: &["INVARIANT", "FINDING"], lines });
    let done = crate::node::ask(&store, &Request::Fsck, &mut printer);
    let found = printer.count;
    printer.finish(done)?;
    if found > 0 {
        eprintln!("{found} {}", if found == 1 { "finding" } else { "findings" });
        return Err(Failed::DAMAGE);
    }
    eprintln!("no damage found");
    Ok(())
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Finding(row) = row else { return vec![] };
    vec![vec![row.invariant.clone(), row.what.clone()]]
}
