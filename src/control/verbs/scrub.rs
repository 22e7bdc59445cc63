//! `scrub`: a whole pass by hand, and pausing the one in the background.

use crate::control::{ActRow, DamageRow, Host, HurtRow, ProgressRow, Reply, Row};
use crate::model::Result;
use crate::store::{ScrubFinding, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a step; with a rate less, so that a caller who goes away is noticed soon.
const STEP: u64 = 4 << 20;
/// How often the caller hears how far it is, and is looked after while nothing is read.
const PULSE: Duration = Duration::from_millis(200);

pub(super) fn scrub(store: &Arc<Store>, host: &dyn Host, rate: Option<u64>, reply: &mut dyn Reply) -> Result<()> {
    let mut by_hand = store.scrub_by_hand()?;
    // What a round has not written yet is not on the disk.
    if store.writable().is_ok() {
        store.sync()?;
    }
    // In a process of its own nobody else ends this one.
    let serving = !host.is_stopping();
    let step = rate.map_or(STEP, |rate| (rate / 8).clamp(64 << 10, STEP));
    let begun = Instant::now();
    let (mut told, mut read) = (begun, 0);
    while !by_hand.pass().is_over() {
        let (bytes, found) = by_hand.step(step)?;
        read += bytes;
        for finding in found {
            reply.row(Row::Damage(damage(finding)))?;
        }
        let due = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(read as f64 / rate.max(1) as f64));
        loop {
            if told.elapsed() >= PULSE {
                told = Instant::now();
                let (bytes, total) = by_hand.pass().progress();
                reply.row(Row::Progress(ProgressRow { bytes, total }))?;
            }
            let left = due.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(PULSE));
            if serving && host.is_stopping() {
                // The next step says why.
                store.end_checks();
                break;
            }
        }
    }
    let (bytes, total) = by_hand.pass().progress();
    reply.row(Row::Progress(ProgressRow { bytes, total }))
}

pub(super) fn pause(store: &Arc<Store>, paused: bool, reply: &mut dyn Reply) -> Result<()> {
    store.pause_scrub(paused)?;
    let act = if paused { "paused" } else { "resumed" };
    let on = "scrub in the background".to_owned();
    reply.row(Row::Act(ActRow { act: act.to_owned(), on, ..ActRow::default() }))
}

fn damage(finding: ScrubFinding) -> DamageRow {
    let ScrubFinding { file, at, len, what, objects, more } = finding;
    let hurt = objects.into_iter().map(|object| {
        let (bucket, key, version) = (object.bucket, object.key, object.version);
        HurtRow { bucket, key, version }
    });
    DamageRow { file, at, len, what, objects: hurt.collect(), more }
}
