//! `fsck`: every invariant of the index and the log, by name, and how each is mended.
//!
//! A [`Census`](census::Census) walks the index as of one commit and collects what breaks an invariant, with the change
//! that mends it where there is one. A repair takes censuses and makes these changes in one transaction, until none is left.
//! It never deletes bytes that can be read: what nobody names gets a name in `lost+found`, a record that cannot be read
//! is kept in `quarantine/`, and a version whose bytes are lost stays, with an error for what is lost.

mod census;
mod contents;
mod counters;
mod data;
mod directories;
mod files;
mod mend;
mod names;
mod places;
mod quarantine;
mod tables;
mod versions;
mod watch;

use self::census::{Census, Class};
use self::mend::Bench;
use self::watch::{GoesOn, Reading};
use super::Store;
use super::locks::Warrant;
use super::open::SALVAGED_KEY;
use crate::index::{Family, Read, Tx};
use crate::model::{Error, Kind, Result};
use std::collections::HashSet;
use std::sync::Arc;

pub(super) use self::files::file_name;
pub(super) use self::mend::LOST_BUCKET;
pub(super) use self::places::highest_number;
pub(super) use self::quarantine::QUARANTINE;
pub(super) use self::tables::need_index;

/// A repair that needs more censuses does not converge.
const ROUNDS_MAX: usize = 64;

/// What became of a finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The invariant holds again.
    Mended,
    /// What was damaged is kept in the store's `quarantine/`, and the index does without it.
    Quarantined,
    /// Nothing was changed.
    Left,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mended => "mended",
            Self::Quarantined => "quarantined",
            Self::Left => "left",
        }
    }
}

/// An invariant that does not hold.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Finding {
    /// The invariant's name.
    pub invariant: &'static str,
    /// What breaks it.
    pub what: String,
    /// What a repair did about it, or would do.
    pub outcome: Option<Outcome>,
}

impl Finding {
    /// Whether it tells of bytes that are lost: it stays until the version is deleted or restored.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        census::LOSSES.contains(&self.invariant)
    }
}

impl Store {
    /// Checks every invariant as of one commit and reads every stored byte against its checksum, while changes go on.
    ///
    /// # Errors
    /// When the index cannot be read at all.
    pub fn fsck(self: &Arc<Self>, progress: &mut dyn FnMut(&str)) -> Result<Vec<Finding>> {
        self.fsck_while(progress, &mut || Ok(()))
    }

    /// The same, as long as somebody `waits` for it.
    ///
    /// # Errors
    /// What `waits` answers; [`Kind::StoreUnavailable`] when the process is ending.
    pub fn fsck_while(
        self: &Arc<Self>,
        progress: &mut dyn FnMut(&str),
        waits: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Vec<Finding>> {
        let goes_on = self.check_goes_on(waits);
        // Files must not go while they are counted, nor bytes move.
        let _alone = self.reaping.lock();
        let _held = self.brakes.hold();
        let _still = self.compactor.lock();
        self.sync()?;
        let mut findings = self.check_tables(&goes_on, progress)?;
        if !findings.is_empty() {
            return Ok(findings);
        }
        // As of one commit: changes between two of its walks would look like damage.
        let mut census = self.census(&Reading { read: &self.index.frozen(), goes_on: &goes_on }, 0, progress)?;
        findings.extend(census.findings.drain(..).map(|found| found.told(None)));
        progress("data");
        findings.extend(self.read_everything(census, &goes_on)?);
        Ok(findings)
    }

    /// Mends what can be mended, in one transaction, and tells what is left. Changes wait while it runs. With `dry_run`
    /// it tells the same and changes nothing.
    ///
    /// # Errors
    /// [`Kind::ReadOnly`], or when index or disk refuse: then nothing was changed.
    pub fn repair(self: &Arc<Self>, dry_run: bool, progress: &mut dyn FnMut(&str)) -> Result<Vec<Finding>> {
        self.repair_while(dry_run, progress, &mut || Ok(()))
    }

    /// The same, as long as somebody `waits` for it; what is mended stays so.
    ///
    /// # Errors
    /// As [`Store::repair`] and [`Store::fsck_while`].
    pub fn repair_while(
        self: &Arc<Self>,
        dry_run: bool,
        progress: &mut dyn FnMut(&str),
        waits: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Vec<Finding>> {
        let goes_on = self.check_goes_on(waits);
        let _alone = self.reaping.lock();
        let _held = self.brakes.hold();
        let _still = self.compactor.lock();
        self.writable()?;
        self.sync()?;
        let mut findings = self.check_tables(&goes_on, progress)?;
        if !findings.is_empty() {
            findings.iter_mut().for_each(|finding| finding.outcome = Some(Outcome::Left));
            return Ok(findings);
        }
        let mut seen = None;
        // What counters are found to be, no quota refuses.
        self.make_room()?;
        let warrant = Warrant { mends: true, ..Warrant::default() };
        let done = self.commit_with(warrant, |tx| {
            let (mended, first, last) = self.mend(tx, dry_run, &goes_on, progress)?;
            findings.extend(mended);
            seen = first.filter(|_| dry_run).or(Some(last));
            if dry_run { Err(Error::new(Kind::Conflict, "nothing is changed by a dry run")) } else { Ok(()) }
        });
        match (done.map(|_| ()), seen) {
            (Err(error), None) => return Err(error),
            (Err(error), Some(_)) if !dry_run => return Err(error),
            (_, None) => {}
            (_, Some(census)) => {
                if !dry_run {
                    self.nodes.clear();
                    self.gone.lock().retry();
                    self.forget_passed_by();
                    self.sync()?;
                }
                progress("data");
                findings.extend(self.read_everything(census, &goes_on)?.into_iter().map(|finding| {
                    let outcome = Some(Outcome::Left);
                    Finding { outcome, ..finding }
                }));
            }
        }
        Ok(findings)
    }

    fn check_tables(&self, goes_on: GoesOn<'_>, progress: &mut dyn FnMut(&str)) -> Result<Vec<Finding>> {
        progress("index tables");
        let told = |error: Error| {
            let what = format!(
                "{}: {}; the rest can be checked when `keyfold fsck --repair` has made a new index, for which nothing \
                 may have the store open",
                error.what(),
                error.reason()
            );
            Finding { invariant: "index-tables", what, outcome: None }
        };
        let found = self.index.verify_while(goes_on).err();
        // Not of tables.
        goes_on()?;
        Ok(found.map(told).into_iter().collect())
    }

    /// Numbers below `taken` were given out, whatever the index says.
    fn census(&self, read: &Reading<'_, impl Read>, taken: u64, progress: &mut dyn FnMut(&str)) -> Result<Census> {
        let mut census = Census { given: counters::given(read)?, taken, ..Census::default() };
        progress("directories");
        census.read_directories(read)?;
        progress("contents");
        census.read_contents(read)?;
        census.read_sums(read)?;
        progress("names");
        census.read_names(read)?;
        progress("versions");
        census.read_versions(read)?;
        progress("counters");
        census.check_directories();
        census.read_uploads(read)?;
        census.read_the_rest(read)?;
        census.check_key_file(&*self.disk())?;
        census.check_contents();
        census.compare_counters(read)?;
        progress("segments");
        census.compare_files(read, &self.log)?;
        Ok(census)
    }

    /// Mends as part of a transaction: what was found and done, the first census and the last.
    fn mend(
        &self,
        tx: &mut Tx<'_>,
        dry_run: bool,
        goes_on: GoesOn<'_>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Vec<Finding>, Option<Census>, Census)> {
        let mut findings = Vec::new();
        let mut told = HashSet::new();
        let mut first = None;
        let mut silent = |_: &str| {};
        let mut bench = Bench::new(self, tx);
        for round in 0..=ROUNDS_MAX {
            let read = Reading { read: &*bench.tx, goes_on };
            let taken = if round == 0 { 0 } else { bench.ids.end() };
            let mut census = self.census(&read, taken, if round == 0 { &mut *progress } else { &mut silent })?;
            let found = std::mem::take(&mut census.findings);
            let structure = found.iter().any(|found| found.class == Class::Structure && found.cure.is_some());
            let (now, later): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| {
                found.cure.is_some() && (found.class == Class::Structure || !structure) && round < ROUNDS_MAX
            });
            let done = now.is_empty();
            // Cures hand out numbers before the one that mends the counter.
            bench.ids.raise(census.numbers.saturating_add(1));
            for mut found in now {
                let aside = bench.aside.len();
                if let Some(cure) = found.cure.take() {
                    cure(&mut bench)?;
                }
                let outcome = if bench.aside.len() > aside { Outcome::Quarantined } else { Outcome::Mended };
                if told.insert((found.invariant, found.what.clone())) {
                    findings.push(found.told(Some(outcome)));
                }
            }
            if done {
                findings.extend(later.into_iter().map(|found| found.told(Some(Outcome::Left))));
                let aside = std::mem::take(&mut bench.aside);
                if aside.iter().any(|record| matches!(record.family, Family::Content | Family::Node | Family::Seg)) {
                    bench.tx.put(Family::Sys, SALVAGED_KEY.as_bytes(), &u64::from(self.epoch));
                }
                if !dry_run {
                    self.keep_aside(&aside)?;
                }
                return Ok((findings, first, census));
            }
            first.get_or_insert(census);
        }
        Err(Error::new(Kind::Io, "cannot repair the store").why("no end of it was in sight"))
    }
}
