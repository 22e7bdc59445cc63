//! `lifecycle preview`, `explain` and `run`: what rules will do, why, and having it done.

use crate::control::place::{self, version_id};
use crate::control::{ActionRow, Host, OutlookRow, PlanDayRow, PlanRow, Reply, Row, RuleRow, RunRow, Target};
use crate::model::{Bucket, Error, Kind, Result, Timestamp, VersionId, parse_rfc3339};
use crate::store::lifecycle::Action;
use crate::store::{Deed, Planned, Store};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Entries of a step of a pass by hand.
const STEP: u64 = 2000;
/// How often the caller is looked after while nothing is told.
const PULSE: Duration = Duration::from_millis(200);

/// An instant, or a day: its midnight in UTC.
fn instant(text: &str) -> Result<Timestamp> {
    parse_rfc3339(text).or_else(|error| parse_rfc3339(&format!("{text}T00:00:00Z")).map_err(|_| error))
}

/// The word for an action, and where it leads.
fn words(action: Action) -> (String, Option<String>) {
    let to = match action {
        Action::Transition(class) => Some(class.name().to_owned()),
        _ => None,
    };
    (action.word().to_owned(), to)
}

pub(super) fn preview(store: &Store, bucket: &str, until: Option<&str>, reply: &mut dyn Reply) -> Result<()> {
    let now = store.now();
    let until = until.map_or_else(|| Ok(store.preview_end()), instant)?;
    if until < now {
        return Err(Error::new(Kind::InvalidArgument, "cannot make a calendar of the past")
            .why(format!("{until} is over"))
            .mend("name a day that is to come"));
    }
    let mut days: BTreeMap<(Timestamp, String, Option<String>), (u64, u64)> = BTreeMap::new();
    store.preview_lifecycle(bucket, until, usize::MAX, &mut |planned: Planned| {
        let (action, to) = words(planned.action);
        let sum = days.entry((planned.at, action.clone(), to.clone())).or_default();
        *sum = (sum.0.saturating_add(1), sum.1.saturating_add(planned.bytes));
        reply.row(Row::Plan(PlanRow {
            date: planned.at.rfc3339(),
            action,
            to,
            bucket: bucket.to_owned(),
            key: planned.key,
            version: planned.version.map(|version| version.to_string()),
            bytes: planned.bytes,
            rule: planned.rule,
            dry_run: false,
        }))
    })?;
    for ((date, action, to), (objects, bytes)) in days {
        reply.row(Row::PlanDay(PlanDayRow { date: date.rfc3339(), action, to, objects, bytes }))?;
    }
    Ok(())
}

pub(super) fn explain(
    store: &Store,
    host: &dyn Host,
    target: &Target,
    version: Option<&str>,
    reply: &mut dyn Reply,
) -> Result<()> {
    let (bucket, key, entry) = place::object_key(store, host, target)?;
    let version: Option<VersionId> = version.map(version_id).transpose()?.or(entry);
    let outlook = store.explain_lifecycle(bucket.name.as_str(), &key, version)?;
    let act = |action: Action, at: Timestamp| {
        let (action, to) = words(action);
        ActionRow { action, to, date: at.rfc3339() }
    };
    let rules = outlook.reasons.into_iter().map(|reason| RuleRow {
        rule: reason.rule,
        does: reason.verdict.does.into_iter().map(|(action, at)| act(action, at)).collect(),
        why: reason.verdict.why,
    });
    let (next, rule) = match outlook.next {
        Some((action, at, rule)) => (Some(act(action, at)), Some(rule)),
        None => (None, None),
    };
    reply.row(Row::Outlook(OutlookRow {
        bucket: bucket.name.to_string(),
        key: key.as_str().to_owned(),
        version: outlook.object.version.to_string(),
        state: match (outlook.object.marker, outlook.newest) {
            (true, _) => "deleted",
            (false, true) => "current",
            (false, false) => "noncurrent",
        }
        .to_owned(),
        next,
        rule,
        rules: rules.collect(),
    }))
}

/// Does what is due in some buckets, or in all that have rules, without waiting for the background's turn.
pub(super) fn run(
    store: &Store,
    host: &dyn Host,
    buckets: &[String],
    (now, dry_run): (Option<&str>, bool),
    reply: &mut dyn Reply,
) -> Result<()> {
    let now = now.map(instant).transpose()?;
    if let Some(now) = now.filter(|_| !dry_run) {
        store.has_come(now)?;
    }
    let buckets = if buckets.is_empty() {
        let all = store.buckets()?.into_iter();
        all.filter(|bucket| bucket.documents.contains_key("lifecycle")).collect()
    } else {
        buckets.iter().map(|name| store.bucket(name)).collect::<Result<Vec<_>>>()?
    };
    for bucket in buckets {
        run_one(store, host, &bucket, (now, dry_run), reply)?;
    }
    Ok(())
}

fn run_one(
    store: &Store,
    host: &dyn Host,
    bucket: &Bucket,
    (now, dry_run): (Option<Timestamp>, bool),
    reply: &mut dyn Reply,
) -> Result<()> {
    let Some(mut pass) = store.new_lifecycle_pass(bucket, now.unwrap_or_else(|| store.now()))? else {
        return reply.note(&format!("the bucket {} has no lifecycle", bucket.name));
    };
    // In a process of its own nobody else ends this one.
    let serving = !host.is_stopping();
    let mut told = Instant::now();
    while !pass.is_over() {
        store.step_lifecycle(&mut pass, STEP, dry_run, &mut |deed: Deed| {
            let (action, to) = words(deed.action);
            reply.row(Row::Plan(PlanRow {
                date: deed.due.rfc3339(),
                action,
                to,
                bucket: bucket.name.to_string(),
                key: deed.key,
                version: deed.version.map(|version| version.to_string()),
                bytes: deed.bytes,
                rule: deed.rule,
                dry_run,
            }))
        })?;
        if told.elapsed() >= PULSE {
            told = Instant::now();
            reply.alive()?;
        }
        if serving && host.is_stopping() {
            return Err(Error::new(Kind::StoreUnavailable, "the run did not come to its end")
                .why("the process that serves the store is ending")
                .mend("run it again: what is left is due still"));
        }
    }
    if now.is_none() && !dry_run {
        store.end_pass(&pass)?;
    }
    if !dry_run {
        store.sync()?;
    }
    let failed = pass.tally().failed;
    reply.row(Row::Run(RunRow { bucket: bucket.name.to_string(), dry_run, tally: *pass.tally() }))?;
    if failed == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Io, format!("{failed} keys of the bucket {} were not gone through", bucket.name))
        .why("what rules wanted to do to them failed")
        .mend("`keyfold errors` says why, for each"))
}
