//! `keyfold analyze`: what is stored and read by age, and from which age on `STANDARD_IA` is for it.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Printer, View, size};
use super::target;
use crate::control::{AgeRow, AnalysisRow, Request, Row};
use crate::store::WINDOW_DAYS;
use std::path::PathBuf;

/// Show what objects of a bucket were stored and read by age, and from which age on STANDARD_IA is for them.
///
/// What is observed are the bucket's analytics configurations: `keyfold bucket edit BUCKET analytics`. A day counts once it is over;
/// a recommendation takes 30 of them.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold analyze photos
  keyfold analyze ~/keyfold/photos --id logs --json")]
pub(super) struct Args {
    /// A bucket's name, or its path on a mount
    #[arg(value_name = "BUCKET")]
    bucket: PathBuf,
    /// Only the configuration of that name
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

/// Characters of the longest bar.
const WIDTH: u64 = 24;
/// Eighths of a character, a bar's end.
const EIGHTHS: [&str; 8] = ["", "\u{258f}", "\u{258e}", "\u{258d}", "\u{258c}", "\u{258b}", "\u{258a}", "\u{2589}"];
const HEADER: &[&str] = &["AGE", ">STORED", ">READ", ">REQUESTS", ">READ/STORED", "", "STORED ABOVE READ"];

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, bucket) = target::bucket(global, &args.bucket)?;
    let request = Request::Analyze { bucket, id: args.id.clone() };
    let mut printer = Printer::new(global, View { header: HEADER, lines });
    let done = crate::node::ask(&store, &request, &mut printer);
    printer.finish(done)
}

/// A bar of `part` where the longest has `all`.
fn bar(part: u64, all: u64) -> String {
    let eighths = u128::from(part) * u128::from(WIDTH) * 8 / u128::from(all.max(1));
    let (whole, rest) = (usize::try_from(eighths / 8).unwrap_or(0), usize::try_from(eighths % 8).unwrap_or(0));
    let full = "\u{2588}".repeat(whole);
    // What is there is seen.
    if eighths == 0 && part > 0 { EIGHTHS[1].to_owned() } else { full + EIGHTHS[rest] }
}

fn ratio(ratio: Option<u64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{}.{:03}", ratio / 1_000_000, ratio % 1_000_000 / 1000))
}

fn summary(row: &AnalysisRow) -> String {
    match (row.recommended_age, row.observed_age) {
        (Some(age), _) => format!("move objects to STANDARD_IA after {age} days"),
        (None, Some(age)) => format!("objects older than {age} days are seldom read so far"),
        (None, None) => "nothing to move so far".to_owned(),
    }
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Analysis(row) = row else { return vec![] };
    let none = String::new;
    let of = if row.filter.is_empty() { "all objects".to_owned() } else { row.filter.clone() };
    let days = format!("{} of {WINDOW_DAYS} days", row.days.min(WINDOW_DAYS as u64));
    let mut lines = vec![vec![row.id.clone(), none(), none(), none(), none(), none(), format!("{of}, {days}")]];
    let parts = row.groups.iter().filter(|group| group.age != "ALL");
    let longest = parts.map(|group| group.stored.max(group.read)).max().unwrap_or(0);
    for AgeRow { age, stored, read, requests, ratio: share } in &row.groups {
        let numbers = [age.clone(), size(*stored), size(*read), requests.to_string(), ratio(*share)];
        if age == "ALL" {
            lines.push([&numbers[..], &[none(), none()]].concat());
            continue;
        }
        lines.push([&numbers[..], &["stored".to_owned(), bar(*stored, longest)]].concat());
        if *read > 0 {
            lines.push(vec![none(), none(), none(), none(), none(), "read".to_owned(), bar(*read, longest)]);
        }
    }
    lines.push(vec![none(), none(), none(), none(), none(), none(), summary(row)]);
    lines
}

#[cfg(test)]
mod tests {
    use super::{bar, ratio};

    #[test]
    fn bars_are_as_long_as_what_they_show() {
        assert_eq!(bar(100, 100), "\u{2588}".repeat(24));
        assert_eq!(bar(50, 100), "\u{2588}".repeat(12));
        assert_eq!([bar(0, 100), bar(1, 1_000_000), bar(0, 0)], ["", "\u{258f}", ""]);
        assert_eq!(bar(3, 48), "\u{2588}\u{258c}");
        assert_eq!([ratio(None), ratio(Some(1_250_000)), ratio(Some(999))], ["-", "1.250", "0.000"]);
    }
}
