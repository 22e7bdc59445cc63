//! `keyfold zones`: the disks that a store lies on.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show, size};
use super::target;
use crate::control::{Request, Row};
use std::path::PathBuf;

/// Show the zones of a store: the directories, meant to be disks of their own, that copies of its files lie in.
///
/// Zones stand in the store's keyfold.toml, under [zones]; [class.STANDARD] says which of them a storage class uses, and how many copies
/// it asks for. A zone that comes back gets what it missed by itself, at the rate that `compact_rate` allows.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold zones /srv/keyfold
  keyfold zones --adopt fast /srv/keyfold
  keyfold zones --repair ~/keyfold")]
pub(super) struct Args {
    /// A store's directory, or a path on a mount
    #[arg(value_name = "STORE")]
    place: Option<PathBuf>,
    /// Take the empty directory of a lost zone for it: its disk was replaced
    #[arg(long, value_name = "ZONE", conflicts_with = "repair")]
    adopt: Option<String>,
    /// Give every file the copies that it wants, at once and as fast as the disks are
    #[arg(long)]
    repair: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let store = target::store(global, args.place.as_deref())?;
    match (&args.adopt, args.repair) {
        (Some(name), _) => show(global, &store, &Request::ZoneAdopt { name: name.clone() }, View::ACTS),
        (None, true) => show(global, &store, &Request::ZonesRepair, View::ACTS),
        (None, false) => {
            let header = &["ZONE", "STATE", "FILES", "DOUBTFUL", "FREE", ""];
            show(global, &store, &Request::Zones, View { header, lines })
        }
    }
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Zone(zone) = row else { return vec![] };
    let why = match (&zone.since, &zone.why) {
        (Some(since), Some(why)) => format!("since {since}: {why}"),
        _ => String::new(),
    };
    let free = zone.free.map(size).unwrap_or_default();
    vec![vec![zone.name.clone(), zone.state.clone(), zone.files.to_string(), zone.doubtful.to_string(), free, why]]
}
