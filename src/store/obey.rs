//! Obeying lifecycle rules: carries out what they decide (LC), and says what they will.
//!
//! Deciding is `lifecycle`'s, a pure function; here keys are walked and what is due is done. Each act is one transaction that
//! looks again: bucket, rules, and the key's stack are those of its moment, and only what is due by them is done. So a
//! walk may be stopped and begun again anywhere, two may go on at once, and a crash neither skips nor doubles (LC-37).
//!
//! Locks: `known` and `state`, leaves.

mod act;
mod kept;
mod look;
mod pass;
mod walk;

pub(super) use kept::forget;
pub use kept::{LifecycleStatus, LifecycleTurn};
pub use look::{Outlook, Planned, Reason};
pub use pass::{Deed, LifecyclePass, LifecycleTally};

use super::Store;
use super::lifecycle::{BucketState, Lifecycle, LifecycleDocument, Midnights, Version};
use crate::crypto::sha256;
use crate::index::Index;
use crate::model::{Bucket, BucketId, Error, Kind, Object, Result, Timestamp, Versioning};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// The document's name.
pub(super) const DOCUMENT: &str = "lifecycle";
/// Buckets whose rules are kept as they were read last.
const KNOWN: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// What a store knows of its rules.
pub(super) struct Rulebook {
    known: Mutex<LruCache<BucketId, Rules>>,
    state: Mutex<kept::State>,
    /// How often rules were set in this process.
    changes: AtomicU64,
    /// Commits of what rules did in this process.
    pub(super) commits: AtomicU64,
    /// Who wants to know that they were.
    waker: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}

/// A bucket's rules and the text they were read from.
#[derive(Clone)]
struct Rules {
    text: Arc<str>,
    mark: [u8; 32],
    lifecycle: Arc<Lifecycle>,
}

impl Rulebook {
    /// With what an earlier process left.
    pub(super) fn read(index: &Index) -> Self {
        Self {
            known: Mutex::new(LruCache::new(KNOWN)),
            state: Mutex::new(kept::State::read(index)),
            changes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            waker: Mutex::default(),
        }
    }
}

impl BucketState {
    /// What is known of a bucket.
    #[must_use]
    pub const fn of(bucket: &Bucket) -> Self {
        Self { versioning: bucket.versioning, mfa_delete: matches!(bucket.mfa_delete, Some(true)) }
    }
}

/// Where in its key's stack an entry stands.
#[derive(Clone, Copy)]
struct Position {
    /// Whether it is the newest.
    newest: bool,
    /// Whether there is no other.
    alone: bool,
    /// Noncurrent versions above it.
    newer: u64,
    /// Since when the entry above it is there.
    covered: Timestamp,
}

/// What rules are told of an entry. What stands on top is current, whatever was above it once.
fn placed<'a>(key: &'a str, object: &'a Object, at: Position) -> Version<'a> {
    let superseded = if at.newest { None } else { object.superseded.or(Some(at.covered)) };
    Version { superseded, newer: at.newer, alone: at.alone, ..Version::of(key, object) }
}

impl Store {
    /// A bucket's rules that act, as they are now; `None` without. Read once, however often they are asked for.
    ///
    /// # Errors
    /// [`crate::model::Kind::Malformed`] and the like for a document that this release would not have taken.
    pub fn lifecycle(&self, bucket: &Bucket) -> Result<Option<Arc<Lifecycle>>> {
        Ok(self.rules_of(bucket)?.map(|rules| rules.lifecycle))
    }

    fn rules_of(&self, bucket: &Bucket) -> Result<Option<Rules>> {
        let Some(text) = bucket.documents.get(DOCUMENT) else { return Ok(None) };
        if let Some(rules) = self.rulebook.known.lock().get(&bucket.id).filter(|rules| *rules.text == **text) {
            return Ok(Some(rules.clone()));
        }
        let lifecycle = LifecycleDocument::parse(text.as_bytes())?.check()?.with_days_of(self.settings.day);
        let rules = Rules { text: text.as_str().into(), mark: sha256(text.as_bytes()), lifecycle: Arc::new(lifecycle) };
        self.rulebook.known.lock().put(bucket.id, rules.clone());
        Ok(Some(rules))
    }

    fn midnights(&self) -> Midnights {
        Midnights::every(self.settings.day)
    }

    /// Has `wake` called when rules were set, from within the call that sets them.
    pub fn when_rules_change(&self, wake: impl Fn() + Send + Sync + 'static) {
        *self.rulebook.waker.lock() = Some(Box::new(wake));
    }

    /// Rules of a bucket were set or taken away.
    pub(super) fn rules_have_changed(&self, bucket: &str) {
        self.tell_advice(bucket);
        self.rulebook.changes.fetch_add(1, Ordering::SeqCst);
        if let Some(wake) = &*self.rulebook.waker.lock() {
            wake();
        }
    }

    /// Keeps what its owner should know where other doors than the command line show it.
    pub(super) fn tell_advice(&self, bucket: &str) {
        if let Some(advice) = self.bucket(bucket).ok().and_then(|bucket| self.advice(&bucket)) {
            let told = Error::new(Kind::InvalidState, "lifecycle rules free no space of what they expire").why(advice);
            let mend = "add NoncurrentVersionExpiration to a rule, if old versions are not to be kept for good";
            self.complain("lifecycle", Some(bucket), "", &told.mend(mend));
        }
    }

    /// What a bucket's owner should know of its rules: that they hide what expires and free no space (VER-20).
    #[must_use]
    pub fn advice(&self, bucket: &Bucket) -> Option<String> {
        let text = bucket.documents.get(DOCUMENT).filter(|_| bucket.versioning != Versioning::Unversioned)?;
        let document = LifecycleDocument::parse(text.as_bytes()).ok()?;
        let acts = |rule: &&super::lifecycle::LifecycleRule| rule.status == super::lifecycle::RuleStatus::Enabled;
        let ends = |rule: &super::lifecycle::LifecycleRule| {
            rule.expiration.as_ref().is_some_and(|end| end.days.is_some() || end.date.is_some())
        };
        let frees = |rule: &super::lifecycle::LifecycleRule| rule.noncurrent_version_expiration.is_some();
        let rules = || document.rules.iter().filter(acts);
        (rules().any(ends) && !rules().any(frees)).then(|| {
            format!(
                "the bucket {} keeps versions: what its rules expire stays below a delete marker and frees no space, until \
                 a rule has NoncurrentVersionExpiration too (VER-20)",
                bucket.name
            )
        })
    }
}
