//! `keyfold bill`: what a month costs by the store's list of prices.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Collect, Printer, View};
use super::target;
use crate::control::{Reply, Request, Row};
use crate::model::Month;
use crate::store::{BillLine, Prices, bill};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Show what a month costs: what was stored and used, times a list of prices.
///
/// What is stored is metered exactly, by the second and the byte; requests are those of the S3 API, a mount's are free. Prices
/// stand in the store's keyfold.toml under [prices], S3's for us-east-1 where they do not.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold bill
  keyfold bill --month 2026-09 --bucket photos --json")]
pub(super) struct Args {
    /// The month, UTC [default: the one that goes on, up to now]
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
    /// Only this bucket: its name, or its path on a mount
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<PathBuf>,
}

const HEADER: &[&str] = &["BUCKET", "CLASS", "ITEM", ">QUANTITY", "UNIT", ">PRICE", ">AMOUNT"];

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, bucket) = match &args.bucket {
        Some(bucket) => target::bucket(global, bucket).map(|(store, bucket)| (store, Some(bucket)))?,
        None => (target::store(global, None)?, None),
    };
    let prices = crate::node::prices(&store)?;
    let mut found = Collect::default();
    crate::node::ask(&store, &Request::Metered { month: args.month.clone(), bucket }, &mut found)?;
    let mut printer = Printer::new(global, View { header: HEADER, lines });
    let mut all = 0u128;
    let mut told = Ok(());
    for row in &found.0 {
        let Row::Meter(row) = row else { continue };
        let Some(month) = Month::parse(&row.month) else { continue };
        let lines = bill(month, &row.meter, &prices);
        let sum = lines.iter().fold(0u128, |sum, line| sum.saturating_add(line.amount));
        all = all.saturating_add(sum);
        for line in &lines {
            told = told.and_then(|()| printer.row(Row::Status(entry((&row.month, &row.bucket), line, &prices))));
        }
        told = told.and_then(|()| printer.row(Row::Status(total(Some(&row.bucket), sum, &prices))));
        if let Some(begun) = &row.begun {
            eprintln!("{} was metered from {begun} on", row.bucket);
        }
        if row.uncounted {
            eprintln!(
                "{}: what it stores is not in this bill: it is of an older release, and could not be counted by class, since the \
                 index is damaged; `keyfold fsck --repair` mends it",
                row.bucket
            );
        }
    }
    if found.0.is_empty() {
        eprintln!("nothing was stored or used");
    }
    told = told.and_then(|()| printer.row(Row::Status(total(None, all, &prices))));
    printer.finish(told)
}

fn entry((month, bucket): (&str, &str), line: &BillLine, prices: &Prices) -> Value {
    json!({
        "month": month,
        "bucket": bucket,
        "class": line.class.name(),
        "item": line.item,
        "quantity": decimal(line.quantity, 6),
        "unit": line.unit,
        "price": decimal(line.price.into(), 9),
        "amount": decimal(line.amount, 6),
        "currency": prices.currency,
    })
}

fn total(bucket: Option<&str>, amount: u128, prices: &Prices) -> Value {
    json!({ "bucket": bucket, "item": "total", "amount": decimal(amount, 6), "currency": prices.currency })
}

/// A number with that many digits after the point.
fn decimal(number: u128, digits: u32) -> String {
    let one = 10u128.pow(digits);
    format!("{}.{:0width$}", number / one, number % one, width = digits as usize)
}

/// The same without zeros at its end.
fn short(text: &str) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Status(row) = row else { return vec![] };
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let amount = format!("{} {}", text("amount"), text("currency"));
    if row["class"].is_null() {
        let of = row["bucket"].as_str().map_or_else(|| "all buckets".to_owned(), str::to_owned);
        let none = String::new;
        return vec![vec![of, none(), "total".to_owned(), none(), none(), none(), amount]];
    }
    vec![vec![
        text("bucket"),
        text("class"),
        text("item"),
        text("quantity"),
        text("unit"),
        short(&text("price")),
        amount,
    ]]
}

#[cfg(test)]
mod tests {
    use super::{decimal, short};

    #[test]
    fn numbers_are_decimal() {
        assert_eq!(
            [decimal(23_000_000, 9), decimal(1, 6), decimal(12_345_678, 6)],
            ["0.023000000", "0.000001", "12.345678"]
        );
        assert_eq!([short("0.023000000"), short("3.000000000")], ["0.023", "3"]);
    }
}
