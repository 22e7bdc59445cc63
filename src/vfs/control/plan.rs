//! `lifecycle.preview`: a calendar of what a bucket's rules will do, to be read with `cat`.

use crate::model::{Kind, Result, Timestamp};
use crate::store::lifecycle::Action;
use crate::store::{Planned, Store};
use std::fmt::Write as _;
use std::time::Duration;

/// Keys that are looked at: the length of the text is asked for whenever the directory is listed.
const KEYS: usize = 1000;

/// The calendar's text, by days.
///
/// # Errors
/// When the index cannot be read.
pub(super) fn text(store: &Store, bucket: &str) -> Result<Vec<u8>> {
    let until = store.preview_end();
    let mut plans = Vec::new();
    let mut add = |planned: Planned| {
        plans.push(planned);
        Ok(())
    };
    let whole = match store.preview_lifecycle(bucket, until, KEYS, &mut add) {
        Err(error) if error.kind() == Kind::NotSet => {
            return Ok(b"The bucket has no lifecycle rules: write lifecycle.json beside this file.\n".to_vec());
        }
        whole => whole?,
    };
    // Of one day in the order they were told.
    plans.sort_by_key(|planned| planned.at);
    let rows: Vec<_> = plans.iter().map(|planned| row(planned, store.settings().day)).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let mut out = format!(
        "What the rules will do until {}, if nobody else changes anything; nothing is done by reading this.\n",
        date(until, store.settings().day)
    );
    for [date, action, bytes, rule, key] in &rows {
        let [w0, w1, w2, w3] = widths;
        let _ = writeln!(out, "{date:w0$}  {action:w1$}  {bytes:>w2$}  {rule:w3$}  {key}");
    }
    if rows.is_empty() {
        out.push_str("Nothing.\n");
    }
    if !whole {
        let _ = writeln!(out, "Only {KEYS} keys were looked at: `keyfold lifecycle preview {bucket}` tells of all.");
    }
    Ok(out.into_bytes())
}

fn row(planned: &Planned, day: Duration) -> [String; 5] {
    let action = match planned.action {
        Action::Transition(class) => format!("to {}", class.name()),
        action => action.word().to_owned(),
    };
    let key = planned.key.escape_debug();
    let key = match planned.version {
        Some(version) => format!("{key} {version}"),
        None => key.to_string(),
    };
    [date(planned.at, day), action, format!("{} bytes", planned.bytes), planned.rule.clone(), key]
}

/// The day, or where days are short the second.
fn date(at: Timestamp, day: Duration) -> String {
    let text = at.rfc3339();
    let long = day.as_secs() >= 86_400;
    text.split(if long { 'T' } else { '.' }).next().unwrap_or_default().to_owned()
}
