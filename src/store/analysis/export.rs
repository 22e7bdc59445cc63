//! Exports of days: lines appended to an object, tried until it succeeds or the next day is over (SCA-9).

use super::decide::{self, Line};
use super::document::AnalyticsDocument;
use super::kept::{Kept, kept_key};
use crate::index::{Family, Read};
use crate::model::{BucketId, Error, Kind, Metadata, ObjectKey, Result, SystemHeader, Timestamp};
use crate::store::Store;
use crate::store::configurations::configurations_of;
use crate::store::lifecycle::Midnights;
use crate::store::names::readable;
use crate::store::put::PutOptions;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Longest export that a day is appended to; then another object goes on.
const EXPORT_BYTES_MAX: u64 = 64 << 20;
/// Objects that one configuration exports to at most.
const OBJECTS_MAX: u32 = 1000;
/// Exports that one step makes.
const STEP: usize = 8;
/// After how long those that failed are tried again, in milliseconds.
const AGAIN_MILLIS: i64 = 600_000;

/// A configuration, by its bucket and name.
type Of = (BucketId, String);

/// What may have to be exported: the index says whether it has.
#[derive(Default)]
pub(super) struct Exports {
    owed: BTreeSet<Of>,
    /// Those that failed, as what they failed with was told.
    failed: HashMap<Of, Kind>,
    /// When these are tried again.
    again: Timestamp,
}

impl Exports {
    pub fn owe(&mut self, bucket: BucketId, id: &str) {
        self.owed.insert((bucket, id.to_owned()));
    }

    /// A process before this one may have left something.
    pub fn may_owe(&mut self, bucket: BucketId, document: &AnalyticsDocument) {
        for one in document.configurations.iter().filter(|one| one.destination().is_some()) {
            self.owe(bucket, &one.id);
        }
    }

    /// Some that are to be tried now.
    fn take(&mut self, now: Timestamp) -> Vec<Of> {
        if self.again <= now && !self.failed.is_empty() {
            self.owed.extend(self.failed.keys().cloned());
            self.again = later(now);
        }
        (0..STEP).map_while(|_| self.owed.pop_first()).collect()
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.plus(std::time::Duration::from_millis(AGAIN_MILLIS.unsigned_abs()))
}

impl Store {
    /// Makes some exports; whether there were any to be made.
    ///
    /// # Errors
    /// [`Kind::StoreUnavailable`] when the process is ending; what fails otherwise is told and tried again.
    pub(super) fn export_some(self: &Arc<Self>) -> Result<bool> {
        let some = self.analyses.0.lock().exports.take(self.now());
        for of in &some {
            let done = self.export_day(of);
            let mut state = self.analyses.0.lock();
            let exports = &mut state.exports;
            match done {
                Ok(()) => drop(exports.failed.remove(of)),
                Err(error) if error.kind() == Kind::StoreUnavailable => return Err(error),
                Err(error) => {
                    if exports.failed.is_empty() {
                        exports.again = later(self.now());
                    }
                    let told = exports.failed.insert(of.clone(), error.kind());
                    drop(state);
                    if told != Some(error.kind()) {
                        let bucket = self.bucket_by_id(of.0).ok().map(|bucket| bucket.name.to_string());
                        self.complain("analytics", bucket.as_deref(), &of.1, &error);
                    }
                }
            }
        }
        Ok(!some.is_empty())
    }

    /// Exports the last day of a configuration, if that was not done.
    fn export_day(self: &Arc<Self>, of: &Of) -> Result<()> {
        let (id, name) = (of.0, of.1.as_str());
        let bucket = match self.bucket_by_id(id) {
            Err(error) if error.kind() == Kind::NoSuchBucket => return Ok(()),
            bucket => bucket?,
        };
        let document = configurations_of::<AnalyticsDocument>(&bucket).unwrap_or_default();
        let Some(one) = document.configurations.iter().find(|one| one.id == name) else { return Ok(()) };
        let Some((to, key)) = one.destination() else { return Ok(()) };
        let Some(kept) = self.kept(id, name)?.filter(|kept| kept.owed && kept.filter == one.filter_text()) else {
            return Ok(());
        };
        let midnight = Midnights::every(self.settings.day).begin(kept.day.saturating_sub(1)).unwrap_or(Timestamp::LAST);
        let line = Line { date: &decide::date(midnight), id: name, filter: &kept.filter };
        let text = decide::csv(&line, &kept.days, kept.told());
        self.append_day(to.as_str(), &key, &text)?;
        self.transact(|tx| {
            let of = kept_key(id, name);
            let there = readable(tx.record::<Kept>(Family::Sys, &of))?;
            if let Some(mut there) = there.filter(|there| there.filter == kept.filter && there.day == kept.day) {
                there.owed = false;
                tx.put(Family::Sys, &of, &there);
            }
            Ok(())
        })
    }

    /// Appends the lines of a day to an export, once; to another object, with a number in its name, when one is archived or has
    /// grown long.
    fn append_day(self: &Arc<Self>, bucket: &str, key: &str, lines: &str) -> Result<()> {
        let stem = key.strip_suffix(".csv").unwrap_or(key);
        for number in 1..=OBJECTS_MAX {
            let key = if number == 1 { key.to_owned() } else { format!("{stem}.{number}.csv") };
            if self.append_to(bucket, &ObjectKey::parse(&key)?, lines)? {
                return Ok(());
            }
        }
        Err(foreign(bucket, key, "it and all that follow it are archived, or have grown too long for that"))
    }

    /// The same to one object; `false` when it takes no more.
    fn append_to(self: &Arc<Self>, bucket: &str, key: &ObjectKey, lines: &str) -> Result<bool> {
        let mut text = match self.get(bucket, key, None) {
            Ok(object) if object.size > EXPORT_BYTES_MAX => return Ok(false),
            Ok(object) => {
                let content = match self.open_content(&object) {
                    Err(error) if error.kind() == Kind::Archived => return Ok(false),
                    content => content?,
                };
                let mut bytes = vec![0; usize::try_from(content.size()).unwrap_or(0)];
                content.read_at(0, &mut bytes)?;
                bytes
            }
            Err(error) if matches!(error.kind(), Kind::NoSuchKey | Kind::IsMarker) => Vec::new(),
            Err(error) => return Err(error),
        };
        if text.is_empty() {
            text.extend_from_slice(decide::HEADER.as_bytes());
        }
        if !text.starts_with(decide::HEADER.as_bytes()) {
            return Err(foreign(bucket, key.as_str(), "it is no export of an analysis"));
        }
        // Whatever a second look at the day comes to: date and configuration are told once.
        let day: String = lines.splitn(3, ',').take(2).flat_map(|field| [field, ","]).collect();
        if text.split(|byte| *byte == b'\n').any(|line| line.starts_with(day.as_bytes())) {
            return Ok(true);
        }
        text.extend_from_slice(lines.as_bytes());
        let mut metadata = Metadata::default();
        metadata.set_system(SystemHeader::ContentType, "text/csv")?;
        let options = PutOptions { metadata, ..PutOptions::default() };
        self.put(bucket, key, &mut &text[..], &options).map(|_| true)
    }
}

fn foreign(bucket: &str, key: &str, why: &'static str) -> Error {
    Error::new(Kind::Conflict, format!("cannot append to {bucket}/{key}"))
        .why(why)
        .mend("move it away, or give the analytics configuration another prefix")
}
