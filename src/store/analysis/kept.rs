//! What is kept of a configuration in the index.

use super::decide::{EQUAL_DAYS, SeenDay, WINDOW_DAYS, observed_age, recommended};
use super::document::AnalyticsElement;
use crate::index::{Record, decode, fields, id_key, unknown_version};
use crate::model::{BucketId, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What keys of such records in `sys` begin with.
pub(in crate::store) const KEY: &[u8] = b"analysis/";

/// Reads the bytes of one, for those who check it.
///
/// # Errors
/// [`crate::model::Kind::Corrupt`].
pub(in crate::store) fn check_kept(bytes: &[u8]) -> Result<()> {
    decode::<Kept>(bytes).map(drop)
}

/// What is kept of a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The configuration's filter: of another one nothing that was seen counts.
    pub filter: String,
    /// The day that ends next, by number.
    pub day: i64,
    /// Reads of days that have not ended.
    pub reads: BTreeMap<i64, SeenDay>,
    /// The last days, the newest last.
    pub days: Vec<SeenDay>,
    /// How many there were.
    pub count: u64,
    /// The results of the last days, the newest last.
    pub results: Vec<Option<u32>>,
    /// Whether the last of these days is still to be exported.
    pub owed: bool,
}

/// The same as releases before exported days had it.
#[derive(Serialize, Deserialize)]
struct KeptV1 {
    filter: String,
    day: i64,
    reads: BTreeMap<i64, SeenDay>,
    days: Vec<SeenDay>,
    count: u64,
    results: Vec<Option<u32>>,
}

impl From<KeptV1> for Kept {
    fn from(KeptV1 { filter, day, reads, days, count, results }: KeptV1) -> Self {
        Self { filter, day, reads, days, count, results, owed: false }
    }
}

impl Record for Kept {
    const NAME: &'static str = "analysis";
    const VERSION: u8 = 2;

    fn flaw(&self) -> Option<&'static str> {
        let long = self.days.len() > WINDOW_DAYS || self.results.len() > EQUAL_DAYS;
        long.then_some("it tells of more days than are looked back at")
    }

    fn lift(version: u8, body: &[u8]) -> Result<Self> {
        match version {
            1 => fields::<KeptV1>(Self::NAME, body).map(Self::from),
            _ => Err(unknown_version(Self::NAME, version)),
        }
    }
}

impl Kept {
    /// Nothing seen yet: the first whole day is tomorrow (SCA-3).
    pub fn begin(element: &AnalyticsElement, today: i64) -> Self {
        let day = today.saturating_add(1);
        let filter = element.filter_text();
        Self { filter, day, reads: BTreeMap::new(), days: vec![], count: 0, results: vec![], owed: false }
    }

    /// A day has ended; what was read on days before it of which nobody saw the end counts for it.
    pub fn end(&mut self, day: i64, mut seen: SeenDay, threshold: u128) {
        let later = self.reads.split_off(&day.saturating_add(1));
        std::mem::replace(&mut self.reads, later).into_values().for_each(|reads| seen += reads);
        self.days.push(seen);
        self.days.drain(..self.days.len().saturating_sub(WINDOW_DAYS));
        self.count = self.count.saturating_add(1);
        self.results.push(observed_age(&self.days, threshold));
        self.results.drain(..self.results.len().saturating_sub(EQUAL_DAYS));
        self.day = day.saturating_add(1);
    }

    pub fn told(&self) -> (Option<u32>, Option<u32>) {
        let days = usize::try_from(self.count).unwrap_or(usize::MAX);
        (self.results.last().copied().flatten(), recommended(days, &self.results))
    }
}

pub(super) fn kept_key(bucket: BucketId, id: &str) -> Vec<u8> {
    [KEY, &id_key(bucket.0), id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::{AnalyticsElement, EQUAL_DAYS, Kept, KeptV1, SeenDay, WINDOW_DAYS, check_kept, decode};
    use crate::index::{Record, encode};
    use crate::model::Kind;

    impl Record for KeptV1 {
        const NAME: &'static str = "analysis";
    }

    #[test]
    fn reads_of_a_day_without_an_end_count_for_the_next_that_has_one() {
        let mut kept = Kept::begin(&AnalyticsElement::default(), 0);
        let reads = |read| {
            let mut day = SeenDay::default();
            day.ages[0].read = read;
            day
        };
        kept.reads = [(1, reads(1)), (2, reads(20)), (3, reads(300)), (4, reads(4000))].into();
        kept.end(2, SeenDay::default(), 500_000);
        kept.end(3, SeenDay::default(), 500_000);
        assert_eq!(kept.days.iter().map(|day| day.ages[0].read).collect::<Vec<_>>(), [21, 300]);
        assert_eq!((kept.reads.into_keys().collect::<Vec<_>>(), kept.day), (vec![4], 4));
    }

    #[test]
    fn records_of_the_release_before_are_read_and_long_ones_are_none() {
        let mut kept = Kept::begin(&AnalyticsElement::default(), 7);
        for day in 8..50 {
            kept.end(day, SeenDay::default(), 500_000);
        }
        assert_eq!((kept.days.len(), kept.results.len(), kept.count), (WINDOW_DAYS, EQUAL_DAYS, 42));
        let Kept { filter, day, reads, days, count, results, owed: _ } = kept.clone();
        let old = encode(&KeptV1 { filter, day, reads, days, count, results });
        assert_eq!(decode::<Kept>(&old).unwrap(), kept);
        assert!(check_kept(&encode(&kept)).is_ok());
        kept.days.push(SeenDay::default());
        assert_eq!(check_kept(&encode(&kept)).unwrap_err().kind(), Kind::Corrupt);
    }
}
