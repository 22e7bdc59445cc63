//! `keyfold classes`: the storage classes and what they promise.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Printer, View, size};
use crate::control::{Reply, Row};
use crate::model::StorageClass;
use crate::store::{DURABILITY, DURABILITY_IN_WORDS, facts};
use serde_json::json;

/// Show the storage classes, what S3 promises of each and what its bills reckon with.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold classes
  keyfold classes --json")]
pub(super) struct Args {}

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
];

pub(super) fn run(_args: &Args, global: &Global) -> Done {
    let mut printer = Printer::new(global, View { header: HEADER, lines });
    let mut told = Ok(());
    for class in StorageClass::ALL {
        let found = facts(*class);
        let row = json!({
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
        told = told.and_then(|()| printer.row(Row::Status(row)));
    }
    printer.finish(told)?;
    eprintln!("{DURABILITY_IN_WORDS}");
    Ok(())
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Status(row) = row else { return vec![] };
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| row[name].as_u64().unwrap_or_default();
    let bytes = |bytes: u64| if bytes == 0 { "-".to_owned() } else { size(bytes) };
    vec![vec![
        text("class"),
        text("durability"),
        text("availability"),
        number("zones").to_string(),
        number("min_days").to_string(),
        bytes(number("min_bytes")),
        bytes(number("overhead_bytes") + number("overhead_bytes_standard")),
        if row["retrieval_fee"] == true { "yes" } else { "no" }.to_owned(),
        text("first_byte"),
    ]]
}
