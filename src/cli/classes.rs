//! `keyfold classes`: the storage classes and what they promise.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Printer, View, size};
use super::target;
use crate::config::StoreSettings;
use crate::control::{Reply, Row};
use crate::model::StorageClass;
use crate::store::{DURABILITY, DURABILITY_IN_WORDS, facts};
use serde_json::json;
use std::path::PathBuf;

/// Show the storage classes, what S3 promises of each and what its bills reckon with.
///
/// Of a store that is named also where its files of each class lie, in how many copies, and how they are compressed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold classes
  keyfold classes --json
  keyfold classes ~/keyfold")]
pub(super) struct Args {
    /// A store's directory, or a path on a mount
    #[arg(value_name = "STORE")]
    place: Option<PathBuf>,
}

const HEADER: &[&str] = &[
    "CLASS",
    "DURABILITY",
    "AVAILABILITY",
    ">ZONES",
    ">MIN DAYS",
    ">MIN SIZE",
    ">OVERHEAD",
    "RETRIEVAL FEE",
    "FIRST BYTE",
    "LIES IN",
    ">COPIES",
    ">COMPRESSION",
];
/// Those behind it are a store's own.
const OF_EVERY_STORE: usize = 9;

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let store = match &args.place {
        Some(place) => Some(target::store(global, Some(place))?),
        // They can be shown without any.
        None => target::named(global).ok().flatten(),
    };
    let settings = store.map(|store| crate::node::store_settings(&store)).transpose()?;
    let header = if settings.is_some() { HEADER } else { &HEADER[..OF_EVERY_STORE] };
    let mut printer = Printer::new(global, View { header, lines });
    let mut told = Ok(());
    for class in StorageClass::ALL {
        let found = facts(*class);
        let mut row = json!({
            "class": class.name(),
            "durability": DURABILITY,
            "availability": found.availability,
            "zones": found.zones,
            "min_days": found.days_min,
            "min_bytes": found.bytes_min,
            "overhead_bytes": found.overhead.0,
            "overhead_bytes_standard": found.overhead.1,
            "retrieval_fee": found.retrieval_fee,
            "archive": found.archive,
            "first_byte": found.first_byte,
        });
        if let Some(settings) = &settings {
            here(settings, *class, &mut row);
        }
        told = told.and_then(|()| printer.row(Row::Status(row)));
    }
    printer.finish(told)?;
    eprintln!("{DURABILITY_IN_WORDS}");
    Ok(())
}

/// What a store does for a class.
fn here(settings: &StoreSettings, class: StorageClass, row: &mut serde_json::Value) {
    let Some(tier) = settings.tiers.iter().find(|tier| tier.classes.contains(&class)) else { return };
    let name = |zone: &usize| match zone.checked_sub(1) {
        None => Some("home"),
        Some(zone) => settings.zones.get(zone).map(|zone| zone.name.as_str()),
    };
    row["lies_in"] = tier.zones.iter().filter_map(name).collect::<Vec<_>>().into();
    row["copies"] = tier.copies.into();
    row["compression"] = tier.compression.into();
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Status(row) = row else { return vec![] };
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| row[name].as_u64().unwrap_or_default();
    let bytes = |bytes: u64| if bytes == 0 { "-".to_owned() } else { size(bytes) };
    let mut line = vec![
        text("class"),
        text("durability"),
        text("availability"),
        number("zones").to_string(),
        number("min_days").to_string(),
        bytes(number("min_bytes")),
        bytes(number("overhead_bytes") + number("overhead_bytes_standard")),
        if row["retrieval_fee"] == true { "yes" } else { "no" }.to_owned(),
        text("first_byte"),
    ];
    if let Some(zones) = row["lies_in"].as_array() {
        let zones: Vec<&str> = zones.iter().filter_map(|zone| zone.as_str()).collect();
        line.extend([zones.join(", "), number("copies").to_string(), number("compression").to_string()]);
    }
    vec![line]
}
