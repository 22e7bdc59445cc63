//! `zones`: how the zones of a store are doing, and what a person does about them.

use crate::control::{ActRow, Reply, Row};
use crate::model::Result;
use crate::store::Store;
use std::time::{Duration, Instant};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(250);

pub(super) fn list(store: &Store, reply: &mut dyn Reply) -> Result<()> {
    store.tend_zones();
    store.zones().into_iter().try_for_each(|zone| reply.row(Row::Zone(zone)))
}

pub(super) fn adopt(store: &Store, name: &str, reply: &mut dyn Reply) -> Result<()> {
    store.adopt_zone(name)?;
    reply.row(Row::Act(ActRow {
        act: "took a new directory for zone".to_owned(),
        on: name.to_owned(),
        ..ActRow::default()
    }))
}

pub(super) fn repair(store: &Store, reply: &mut dyn Reply) -> Result<()> {
    store.tend_zones();
    let (mut moved, mut told) = (0_u64, Instant::now());
    let done = store.refill(&mut |bytes| {
        moved += bytes;
        if told.elapsed() < TELL_EVERY {
            return Ok(());
        }
        told = Instant::now();
        reply.alive()?;
        reply.note(&format!("read and wrote {} MiB", moved >> 20))
    })?;
    let on = store.dir().display().to_string();
    reply.row(Row::Act(ActRow { act: "made copies in".to_owned(), on, bytes: Some(done.bytes), ..ActRow::default() }))
}
