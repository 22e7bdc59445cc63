//! `status`, `errors`, `fsck`: the store as a whole.

use crate::control::place::{Place, place};
use crate::control::{ActRow, ComplaintRow, FindingRow, Host, Reply, Row, Target};
use crate::model::{Error, Kind, Result};
use crate::store::Store;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is asked whether somebody waits for a check.
const PULSE: Duration = Duration::from_millis(200);

pub(super) fn status(store: &Arc<Store>, host: &dyn Host, reply: &mut dyn Reply) -> Result<()> {
    let mut status = json(&store.status()?)?;
    if let Some(fields) = status.as_object_mut() {
        fields.insert("release".to_owned(), env!("CARGO_PKG_VERSION").into());
        fields.insert("mounts".to_owned(), json(&host.mounts())?);
    }
    reply.row(Row::Status(status))
}

pub(super) fn errors(store: &Arc<Store>, host: &dyn Host, target: &Target, reply: &mut dyn Reply) -> Result<()> {
    let (bucket, below) = match place(store, host, target)? {
        Place::Store => (None, String::new()),
        Place::Bucket(bucket) => (Some(bucket), String::new()),
        Place::Key(bucket, key, _) => (Some(bucket), key),
    };
    // What the last scrub found is true in every process.
    store.recall_scrub();
    for complaint in store.complaints(bucket.as_ref().map(|bucket| bucket.name.as_str())) {
        let row: ComplaintRow = serde_json::from_value(json(&complaint)?).unwrap_or_default();
        if row.path.contains(&below) {
            reply.row(Row::Complaint(row))?;
        }
    }
    Ok(())
}

/// Checks the store, or with `repair` mends it: that says whether it is a dry run.
pub(super) fn fsck(store: &Arc<Store>, repair: Option<bool>, reply: &mut dyn Reply) -> Result<()> {
    let (mut told, mut asked) = (Ok(()), Instant::now());
    let listener = RefCell::new(reply);
    let mut progress = |progress: &str| {
        if told.is_ok() {
            told = listener.borrow_mut().note(&format!("checking {progress}"));
        }
    };
    let mut waits = || {
        if asked.elapsed() < PULSE {
            return Ok(());
        }
        asked = Instant::now();
        listener.borrow_mut().alive()
    };
    let findings = match repair {
        None => store.fsck_while(&mut progress, &mut waits)?,
        Some(dry_run) => store.repair_while(dry_run, &mut progress, &mut waits)?,
    };
    told?;
    for finding in findings {
        listener.borrow_mut().row(Row::Finding(FindingRow {
            invariant: finding.invariant.to_owned(),
            what: finding.what,
            outcome: finding.outcome.map(|outcome| outcome.word().to_owned()),
        }))?;
    }
    Ok(())
}

pub(super) fn gc(store: &Store, dry_run: bool, reply: &mut dyn Reply) -> Result<()> {
    let bytes = if dry_run {
        let misplaced = store.misplaced_bytes()?;
        if misplaced > 0 {
            acted("moved to the disks and compression of their classes in", store, Some(misplaced), true, reply)?;
        }
        store.garbage()?
    } else {
        let mut listening = Ok(());
        let freed = store.gc(&mut || {
            listening = reply.alive();
            listening.is_ok()
        })?;
        listening?;
        freed
    };
    acted("freed", store, Some(bytes), dry_run, reply)
}

pub(super) fn compaction(store: &Store, pause: bool, reply: &mut dyn Reply) -> Result<()> {
    store.pause_compaction(pause);
    acted(if pause { "compaction paused in" } else { "compaction resumed in" }, store, None, false, reply)
}

fn acted(act: &str, store: &Store, bytes: Option<u64>, dry_run: bool, reply: &mut dyn Reply) -> Result<()> {
    let on = store.dir().display().to_string();
    reply.row(Row::Act(ActRow { act: act.to_owned(), on, bytes, dry_run, ..ActRow::default() }))
}

fn json(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value)
        .map_err(|error| Error::new(Kind::Io, "cannot put the answer into words").why(error.to_string()))
}
