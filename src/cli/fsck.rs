//! `keyfold fsck`: proves the store's invariants, mends what does not hold, or builds the index anew.

use super::arguments::Global;
use super::failure::{Done, Failed};
use super::output::{Collect, Printer, View};
use super::target;
use crate::control::{Reply as _, Request, Row};
use std::path::PathBuf;

/// Check every invariant of a store; changes nothing without --repair or --rebuild.
///
/// Prints a line for each finding, with the invariant's name. Exit status 7 when there is any; after a repair, when
/// any is left.
///
/// A repair never deletes bytes that can be read, and no version: what has lost its name gets one in the directory
/// `lost+found` of its bucket or in the bucket `lost-found`, records that cannot be read are kept in the store's
/// directory `quarantine`, and a version whose bytes are damaged stays and gives an error for what is lost of it. Such
/// a version stays a finding until it is deleted or restored.
///
/// With --rebuild, builds a new index (names and versions) from the data alone, for a store whose index is lost or
/// hopeless. No process may own the store. The old index is moved to `quarantine`; small objects, tags, metadata and
/// settings, which lie in the index only, are not in the new one.
#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("change").args(["repair", "rebuild"])))]
#[command(after_help = "Examples:
  keyfold fsck /srv/keyfold
  keyfold fsck --repair --dry-run /srv/keyfold
  keyfold fsck --rebuild --dry-run /srv/keyfold
  keyfold fsck --json")]
pub(super) struct Args {
    /// A store's directory, or a path on a mount
    #[arg(value_name = "STORE")]
    place: Option<PathBuf>,
    /// Mend what can be mended; other changes wait meanwhile
    #[arg(long)]
    repair: bool,
    /// Build a new index from the data alone
    #[arg(long)]
    rebuild: bool,
    /// With --repair or --rebuild: only say what would be done
    #[arg(long, requires = "change")]
    dry_run: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let store = target::store(global, args.place.as_deref())?;
    match (args.repair, args.rebuild) {
        (true, _) => repair(args, global, &store),
        (_, true) => super::rebuild::run(&store, args.dry_run, global),
        _ => check(global, &store),
    }
}

fn check(global: &Global, store: &std::path::Path) -> Done {
    let mut printer = Printer::new(global, View { header: &["INVARIANT", "FINDING"], lines });
    let done = crate::node::ask(store, &Request::Fsck, &mut printer);
    let found = printer.count;
    printer.finish(done)?;
    if found > 0 {
        eprintln!("{}; `keyfold fsck --repair` mends what can be mended", counted(found));
        return Err(Failed::DAMAGE);
    }
    eprintln!("no damage found");
    Ok(())
}

fn repair(args: &Args, global: &Global, store: &std::path::Path) -> Done {
    let mut rows = Collect::default();
    let done = crate::node::ask(store, &Request::Repair { dry_run: args.dry_run }, &mut rows);
    let found = rows.0.len();
    let left = rows.0.iter().filter(|row| outcome(row) == "left").count();
    let mut printer = Printer::new(global, View { header: &["OUTCOME", "INVARIANT", "FINDING"], lines: outcomes });
    let printed = rows.0.into_iter().try_for_each(|row| printer.row(row));
    printer.finish(done.and(printed))?;
    match (found, left) {
        (0, _) => eprintln!("no damage found"),
        (_, 0) if args.dry_run => eprintln!("{}, all can be mended; nothing was changed", counted(found)),
        (_, _) if args.dry_run => {
            eprintln!("{}, {left} cannot be mended; nothing was changed", counted(found));
        }
        (_, 0) => eprintln!("{}, all mended", counted(found)),
        _ => eprintln!(
            "{}, {left} left: restore an older version, or put the objects back from a backup",
            counted(found)
        ),
    }
    if left > 0 || (args.dry_run && found > 0) { Err(Failed::DAMAGE) } else { Ok(()) }
}

fn counted(found: usize) -> String {
    format!("{found} {}", if found == 1 { "finding" } else { "findings" })
}

fn outcome(row: &Row) -> &str {
    let Row::Finding(row) = row else { return "" };
    row.outcome.as_deref().unwrap_or_default()
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Finding(row) = row else { return vec![] };
    vec![vec![row.invariant.clone(), row.what.clone()]]
}

fn outcomes(row: &Row) -> Vec<Vec<String>> {
    let Row::Finding(found) = row else { return vec![] };
    vec![vec![outcome(row).to_owned(), found.invariant.clone(), found.what.clone()]]
}
