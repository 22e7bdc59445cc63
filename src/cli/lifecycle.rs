//! `keyfold lifecycle`: what rules will do, why, and having it done now.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Printer, View, show, size};
use super::target;
use crate::control::{ActionRow, PlanRow, Reply, Request, Row, RunRow};
use crate::model::{Error, Kind, Result, parse_rfc3339};
use std::path::PathBuf;

/// See what lifecycle rules will do, why, and have it done now.
///
/// Rules are a bucket's document `lifecycle`: `keyfold bucket edit BUCKET lifecycle`, or `vi BUCKET/.keyfold/lifecycle.json`
/// on a mount. The process that serves the store obeys them by itself, after each midnight in UTC and when they are set.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Show on which day which rule will do what to which object, if nobody else touches it; changes nothing
    #[command(after_help = "Examples:
  keyfold lifecycle preview photos
  keyfold lifecycle preview ~/keyfold/photos --until 2027-06-30 --json")]
    Preview {
        /// A bucket's name, or its path on a mount
        #[arg(value_name = "BUCKET")]
        bucket: PathBuf,
        /// Up to this day or instant, UTC [default: a year ahead]
        #[arg(long, value_name = "DATE")]
        until: Option<String>,
    },
    /// Show what comes next for an object, by which rule, and what each rule says of it and why
    #[command(after_help = "Examples:
  keyfold lifecycle explain ~/keyfold/photos/cat.jpg
  keyfold lifecycle explain --store /srv/keyfold photos/cat.jpg --version null")]
    Explain {
        /// A path on a mount, or bucket/key
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// That version instead of the newest
        #[arg(long, value_name = "ID")]
        version: Option<String>,
    },
    /// Do now what is due, without waiting for the background's turn
    #[command(after_help = "Examples:
  keyfold lifecycle run
  keyfold lifecycle run --dry-run --now 2027-01-01 photos")]
    Run {
        /// Buckets' names, or their paths on a mount; without, all that have rules
        #[arg(value_name = "BUCKET")]
        buckets: Vec<PathBuf>,
        /// As of now; with --dry-run also as of any other day or instant, UTC
        #[arg(long, value_name = "DATE", num_args = 0..=1, default_missing_value = "")]
        now: Option<String>,
        /// Only print what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    match &args.verb {
        Verb::Preview { bucket, until } => {
            let (store, bucket) = target::bucket(global, bucket)?;
            let request = Request::LifecyclePreview { bucket, until: until.clone() };
            if global.json {
                return show(global, &store, &request, View { header: &[], lines: |_| vec![] });
            }
            let mut calendar = Calendar::default();
            crate::node::ask(&store, &request, &mut calendar)?;
            calendar.print(global)
        }
        Verb::Explain { path, version } => {
            let (store, target) = target::target(global, path)?;
            let request = Request::LifecycleExplain { target, version: version.clone() };
            show(global, &store, &request, View { header: &[], lines: outlook })
        }
        Verb::Run { buckets, now, dry_run } => {
            let (now, first) = as_of(now.as_deref());
            let named = first.iter().chain(buckets).map(PathBuf::as_path);
            let named = named.map(|bucket| target::bucket(global, bucket)).collect::<Result<Vec<_>>>()?;
            let store = match named.first() {
                Some((store, _)) => store.clone(),
                None => target::store(global, None)?,
            };
            if let Some((other, bucket)) = named.iter().find(|(other, _)| *other != store) {
                return Err(Error::new(Kind::InvalidArgument, "cannot run the rules of two stores at once")
                    .why(format!("the bucket {bucket} is in {}, another in {}", other.display(), store.display()))
                    .mend("run it for each store by itself")
                    .into());
            }
            let buckets = named.into_iter().map(|(_, bucket)| bucket).collect();
            let header = &["DUE", "ACTION", ">SIZE", "RULE", "VERSION", "OBJECT"];
            let request = Request::LifecycleRun { buckets, now, dry_run: *dry_run };
            show(global, &store, &request, View { header, lines: deeds })
        }
    }
}

/// The instant that `--now` names, if any, and the bucket that stands behind it where no date does.
fn as_of(now: Option<&str>) -> (Option<String>, Option<PathBuf>) {
    let is_date = |text: &str| parse_rfc3339(text).is_ok() || parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok();
    match now {
        None | Some("") => (None, None),
        Some(date) if is_date(date) => (Some(date.to_owned()), None),
        Some(bucket) => (None, Some(PathBuf::from(bucket))),
    }
}

/// Rows of a calendar, which come by keys and are shown by days.
#[derive(Default)]
struct Calendar {
    plans: Vec<PlanRow>,
    days: Vec<Row>,
}

impl Reply for Calendar {
    fn row(&mut self, row: Row) -> Result<()> {
        match row {
            Row::Plan(plan) => self.plans.push(plan),
            row => self.days.push(row),
        }
        Ok(())
    }

    fn note(&mut self, text: &str) -> Result<()> {
        eprintln!("{}", super::output::plain(text));
        Ok(())
    }

    fn alive(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Calendar {
    fn print(mut self, global: &Global) -> Done {
        self.plans.sort_by(|a, b| (&a.date, &a.key).cmp(&(&b.date, &b.key)));
        let header = &["DAY", "ACTION", ">SIZE", "RULE", "VERSION", "OBJECT"];
        let mut printer = Printer::new(global, View { header, lines: planned });
        let nothing = self.plans.is_empty();
        let mut done = self.plans.into_iter().map(Row::Plan).try_for_each(|row| printer.row(row));
        done = done.and_then(|()| self.days.into_iter().try_for_each(|row| printer.row(row)));
        if nothing {
            eprintln!("no rule will do anything to what is there");
        }
        printer.finish(done)
    }
}

/// A midnight as its day.
fn day(date: &str) -> String {
    date.strip_suffix("T00:00:00.000Z").unwrap_or(date).to_owned()
}

fn action(action: &str, to: Option<&String>) -> String {
    match (action, to) {
        (_, Some(class)) => format!("to {class}"),
        ("mark", _) => "delete marker".to_owned(),
        ("replace", _) => "delete, marker in its place".to_owned(),
        ("abort", _) => "abort upload".to_owned(),
        (other, _) => other.to_owned(),
    }
}

fn planned(row: &Row) -> Vec<Vec<String>> {
    match row {
        Row::Plan(plan) => vec![vec![
            day(&plan.date),
            action(&plan.action, plan.to.as_ref()),
            size(plan.bytes),
            plan.rule.clone(),
            plan.version.clone().unwrap_or_else(|| "-".to_owned()),
            format!("{}/{}", plan.bucket, plan.key),
        ]],
        Row::PlanDay(sum) => {
            let objects = format!("{} {}", sum.objects, if sum.objects == 1 { "object" } else { "objects" });
            let none = String::new;
            vec![vec![day(&sum.date), action(&sum.action, sum.to.as_ref()), size(sum.bytes), none(), none(), objects]]
        }
        _ => vec![],
    }
}

fn deeds(row: &Row) -> Vec<Vec<String>> {
    match row {
        Row::Run(run) => vec![vec![
            String::new(),
            if run.dry_run { "would be done" } else { "done" }.to_owned(),
            String::new(),
            String::new(),
            String::new(),
            summary(run),
        ]],
        row => planned(row),
    }
}

fn summary(run: &RunRow) -> String {
    let tally = &run.tally;
    let parts = [
        (tally.deleted, format!("{} deleted ({})", tally.deleted, size(tally.deleted_bytes))),
        (tally.marked, format!("{} delete markers", tally.marked)),
        (tally.unmarked, format!("{} delete markers removed", tally.unmarked)),
        (tally.moved, format!("{} moved ({})", tally.moved, size(tally.moved_bytes))),
        (tally.aborted, format!("{} uploads aborted", tally.aborted)),
        (tally.failed, format!("{} failed (`keyfold errors` says why)", tally.failed)),
    ];
    let mut parts: Vec<_> = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    if parts.is_empty() {
        parts.push("nothing is due".to_owned());
    }
    format!("{}: {} of {} judged", run.bucket, parts.join(", "), tally.judged)
}

fn outlook(row: &Row) -> Vec<Vec<String>> {
    let Row::Outlook(row) = row else { return vec![] };
    let does = |done: &ActionRow| format!("{} on {}", action(&done.action, done.to.as_ref()), day(&done.date));
    let mut lines = vec![vec![format!("{}/{}, version {} ({})", row.bucket, row.key, row.version, row.state)]];
    lines.push(vec![match (&row.next, &row.rule) {
        (Some(next), Some(rule)) => format!("next: {}, by the rule {rule}", does(next)),
        _ => "next: nothing, no rule will ever do anything to it".to_owned(),
    }]);
    for rule in &row.rules {
        let acts = rule.does.iter().map(does).chain(rule.why.iter().cloned()).collect::<Vec<_>>();
        lines.push(vec![format!("rule {}: {}", rule.rule, acts.join("; "))]);
    }
    lines
}
