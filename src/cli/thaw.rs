//! `keyfold thaw`: restores archived objects.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Collect, Printer, View, size};
use super::progress::ProgressLine;
use super::target;
use crate::control::{Reply, Request, Row, Target, Thaw};
use std::path::PathBuf;
use std::time::Duration;

/// How often it is looked whether copies are there.
const PAUSE: Duration = Duration::from_secs(1);

/// Restore archived objects, so that they can be read for some days.
///
/// What is restored already lives on for as long from now; waiting may be broken off, and begun again by the same command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold thaw ~/keyfold/photos/cat.jpg --wait
  keyfold thaw -r photos/2019/ --days 3 --tier Bulk")]
pub(super) struct Args {
    /// Paths on a mount, or bucket/key
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,
    /// Also everything archived below
    #[arg(short, long, conflicts_with = "version")]
    recursive: bool,
    /// This version instead of the current one
    #[arg(long, value_name = "ID")]
    version: Option<String>,
    /// For how many days; objects in INTELLIGENT_TIERING stay for good
    #[arg(long, value_name = "N", default_value_t = 7)]
    days: u32,
    /// How fast: Expedited, Standard or Bulk
    #[arg(long, value_name = "TIER", default_value = "Standard")]
    tier: String,
    /// Wait until all of it can be read
    #[arg(long)]
    wait: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let mut places = Vec::new();
    for path in &args.paths {
        places.push(target::target(global, path)?);
    }
    let ask = Thaw { days: args.days, tier: args.tier.clone() };
    let request = |target: &Target, ask: Option<Thaw>| Request::Thaw {
        target: target.clone(),
        version: args.version.clone(),
        recursive: args.recursive,
        ask,
    };
    let (mut rows, mut asked) = (Vec::new(), Ok(()));
    for (store, target) in &places {
        let mut found = Collect::default();
        let done = crate::node::ask(store, &request(target, Some(ask.clone())), &mut found);
        rows.extend(found.0);
        // What is restored of the rest is waited for and told.
        asked = asked.and(done);
    }
    let mut line = ProgressLine::new();
    while args.wait && count(&rows).0 > 0 {
        let (left, bytes) = count(&rows);
        line.show(&bar(rows.len() - left, rows.len(), bytes));
        std::thread::sleep(PAUSE);
        rows.clear();
        for (store, target) in &places {
            let mut found = Collect::default();
            crate::node::ask(store, &request(target, None), &mut found)?;
            rows.extend(found.0);
        }
    }
    line.clear();
    let mut printer = Printer::new(global, View { header: &["STATE", "CLASS", "UNTIL", "KEY"], lines });
    let told = rows.into_iter().try_for_each(|row| printer.row(row));
    printer.finish(told.and(asked))
}

/// How many are not there yet, and their bytes.
fn count(rows: &[Row]) -> (usize, u64) {
    let left = rows.iter().filter_map(|row| match row {
        Row::Archive(row) if row.state.as_deref() == Some("restoring") => Some(row.size),
        _ => None,
    });
    left.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
}

fn bar(done: usize, all: usize, left: u64) -> String {
    const WIDTH: usize = 30;
    let filled = (done * WIDTH).checked_div(all).unwrap_or(WIDTH);
    format!("[{}{}] {done} of {all} restored, {} to come", "#".repeat(filled), ".".repeat(WIDTH - filled), size(left))
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Archive(row) = row else { return vec![] };
    let until = row.ready.clone().or_else(|| row.expires.clone()).unwrap_or_else(|| "-".to_owned());
    vec![vec![row.state.clone().unwrap_or_default(), row.class.clone(), until, row.key.clone()]]
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn the_bar_says_how_far_it_is() {
        assert_eq!(bar(1, 3, 1 << 20), "[##########....................] 1 of 3 restored, 1.0 MiB to come");
        assert_eq!(bar(0, 0, 0), "[##############################] 0 of 0 restored, 0 B to come");
    }
}
