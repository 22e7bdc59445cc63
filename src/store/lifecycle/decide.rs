//! What rules do with one version, delete marker or upload, and when: pure functions of what is known about it.

use super::rule::{Aged, Expiration, Lifecycle, Rule, leads_from};
use crate::model::{ArchiveTier, Object, StorageClass, TagSet, Timestamp, Versioning};

/// What a rule does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The version or marker goes for good.
    Delete,
    /// A delete marker comes on top of it (LC-17).
    Mark,
    /// A delete marker with the null version's id takes its place: it goes for good (LC-17).
    Replace,
    /// Its bytes move to that class.
    Transition(StorageClass),
    /// The upload is given up.
    Abort,
}

impl Action {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Mark => "mark",
            Self::Replace => "replace",
            Self::Transition(_) => "transition",
            Self::Abort => "abort",
        }
    }
}

/// An action, and since when it is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due<'a> {
    /// What is done.
    pub action: Action,
    /// Not before this instant. For what a lock delays, the first midnight that is not before the lock's end.
    pub at: Timestamp,
    /// The rule's ID.
    pub rule: &'a str,
}

/// What is known of a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BucketState {
    /// Its versioning.
    pub versioning: Versioning,
    /// Whether deleting for good takes a second factor. No rule acts then (LC-34).
    pub mfa_delete: bool,
}

/// What keeps a version from going for good (LOCK-13).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lock {
    /// Its retention's end.
    pub until: Option<Timestamp>,
    /// Legal hold.
    pub hold: bool,
}

impl Lock {
    /// Whether it protects at that instant.
    #[must_use]
    pub fn protects(&self, now: Timestamp) -> bool {
        self.hold || self.until.is_some_and(|until| now < until)
    }
}

/// What is known of one version or delete marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version<'a> {
    /// Its key.
    pub key: &'a str,
    /// Whether it is a delete marker.
    pub marker: bool,
    /// Whether its version id is null.
    pub null: bool,
    /// Length in bytes.
    pub size: u64,
    /// Tags.
    pub tags: &'a TagSet,
    /// Storage class.
    pub class: StorageClass,
    /// What its age counts from: Last-Modified, of a replica the original's (LC-30).
    pub created: Timestamp,
    /// When it came to be in this bucket (LC-38).
    pub written: Timestamp,
    /// When it became noncurrent (LC-8), `None` while it is current.
    pub superseded: Option<Timestamp>,
    /// Noncurrent versions of the key that are newer, markers left out. Only read of noncurrent ones.
    pub newer: u64,
    /// Whether the key has no other version or marker. Only read of current markers.
    pub alone: bool,
    /// What keeps it.
    pub lock: Lock,
    /// Whether it still has to be replicated (LC-29).
    pub replicating: bool,
    /// Whether other names show the same file, whose class would change with it: it stays in its class.
    pub linked: bool,
    /// The archive tier of `INTELLIGENT_TIERING` that it lies in, from which no way leads back up.
    pub archived: Option<ArchiveTier>,
}

impl<'a> Version<'a> {
    /// What an object's record says: replicated, and with nothing else under its key.
    #[must_use]
    pub fn of(key: &'a str, object: &'a Object) -> Self {
        Self {
            key,
            marker: object.marker,
            null: object.version == crate::model::VersionId::Null,
            size: object.size,
            tags: &object.tags,
            class: object.class,
            created: object.modified,
            written: object.since,
            superseded: object.superseded,
            newer: 0,
            alone: true,
            lock: Lock { until: object.lock.retention.map(|retention| retention.until), hold: object.lock.is_held() },
            replicating: false,
            linked: false,
            archived: object.aging.archived.filter(|_| object.class == StorageClass::IntelligentTiering),
        }
    }
}

impl Lifecycle {
    /// What is to be done with it now, `None` for nothing. Done, it may lead to another that is due now too: a version that
    /// was moved may have to be marked, since moves come first (LC-25).
    #[must_use]
    pub fn due(&self, bucket: BucketState, version: &Version<'_>, now: Timestamp) -> Option<Due<'_>> {
        // LC-38: nothing happens to it before it is there.
        if version.replicating || version.written > now {
            return None;
        }
        chosen(&self.plans(bucket, version), version, now)
    }

    /// What is to be done with it next if nothing else happens to it: now or later. `None` for nothing ever, and while
    /// it is not replicated.
    #[must_use]
    pub fn next(&self, bucket: BucketState, version: &Version<'_>, now: Timestamp) -> Option<Due<'_>> {
        if version.replicating {
            return None;
        }
        let plans = self.plans(bucket, version);
        let ends = plans.iter().filter(|plan| !matches!(plan.action, Action::Transition(_)));
        let first = ends.chain(moves(&plans, version).first()).map(|plan| plan.at).min();
        let at = first?.max(now).max(version.written);
        let due = chosen(&plans, version, at)?;
        // What was due before is due since then, but not for a version that is yet to come.
        Some(if at > now { Due { at, ..due } } else { due })
    }

    /// When it goes from sight or for good, as `x-amz-expiration` tells it, whether or not it is replicated yet (LC-27).
    #[must_use]
    pub fn expiration(&self, bucket: BucketState, version: &Version<'_>) -> Option<Due<'_>> {
        earliest(&self.plans(bucket, version), |action| !matches!(action, Action::Transition(_)))
    }

    /// When an upload is given up (LC-24): it is due once that instant has come.
    #[must_use]
    pub fn upload(&self, bucket: BucketState, key: &str, initiated: Timestamp) -> Option<Due<'_>> {
        if bucket.mfa_delete {
            return None;
        }
        let plans: Vec<_> = self
            .rules
            .of(key)
            .filter_map(|rule| {
                let at = self.midnights.after(initiated, rule.abort?)?;
                Some(Due { action: Action::Abort, at, rule: &rule.id })
            })
            .collect();
        earliest(&plans, |_| true)
    }

    /// Everything that rules ever want to do with it as it is, each with its time.
    pub(super) fn plans(&self, bucket: BucketState, version: &Version<'_>) -> Vec<Due<'_>> {
        let mut plans = Vec::new();
        if bucket.mfa_delete {
            return plans;
        }
        for rule in
            self.rules.of(version.key).filter(|rule| rule.selection.takes(version.key, version.tags, version.size))
        {
            let mut plan = |action: Action, at: Option<Timestamp>| {
                let at = at.and_then(|at| self.unlocked(action, version, at));
                plans.extend(at.map(|at| Due { action, at, rule: rule.id.as_str() }));
            };
            match version.superseded {
                None => self.current(rule, bucket, version, &mut plan),
                // LC-23
                Some(_) if bucket.versioning == Versioning::Unversioned => {}
                Some(since) => self.noncurrent(rule, version, since, &mut plan),
            }
        }
        plans
    }

    fn current(
        &self,
        rule: &Rule,
        bucket: BucketState,
        version: &Version<'_>,
        plan: &mut impl FnMut(Action, Option<Timestamp>),
    ) {
        match rule.expiration {
            // LC-18, LC-19
            Some(_) if version.marker && !version.alone => {}
            Some(Expiration::LoneMarker) if version.marker => plan(Action::Delete, Some(version.written)),
            Some(Expiration::Of(when)) => {
                let action = match bucket.versioning {
                    _ if version.marker => Action::Delete,
                    Versioning::Unversioned => Action::Delete,
                    Versioning::Suspended if version.null => Action::Replace,
                    Versioning::Suspended | Versioning::Enabled => Action::Mark,
                };
                plan(action, when.of(self.midnights, version.created));
            }
            Some(Expiration::LoneMarker) | None => {}
        }
        for (when, class) in rule.transitions.iter().filter(|(_, class)| self.goes(rule, version, *class)) {
            plan(Action::Transition(*class), when.of(self.midnights, version.created));
        }
    }

    fn noncurrent(
        &self,
        rule: &Rule,
        version: &Version<'_>,
        since: Timestamp,
        plan: &mut impl FnMut(Action, Option<Timestamp>),
    ) {
        // LC-21, LC-22
        let is_among = |aged: &Aged| version.newer >= aged.newer;
        if let Some(aged) = rule.noncurrent_expiration.as_ref().filter(|aged| is_among(aged)) {
            plan(Action::Delete, self.midnights.after(since, aged.days));
        }
        for (aged, class) in &rule.noncurrent_transitions {
            if is_among(aged) && self.goes(rule, version, *class) {
                plan(Action::Transition(*class), self.midnights.after(since, aged.days));
            }
        }
    }

    /// Markers have nothing that could move.
    fn goes(&self, rule: &Rule, version: &Version<'_>, class: StorageClass) -> bool {
        !version.marker && !version.linked && self.moves(rule, version.size, class)
    }

    /// When a lock allows what is due at `at` (LC-28, LOCK-14, LOCK-15).
    fn unlocked(&self, action: Action, version: &Version<'_>, at: Timestamp) -> Option<Timestamp> {
        if version.marker || !is_for_good(action) {
            return Some(at);
        }
        match version.lock {
            Lock { hold: true, .. } => None,
            Lock { until: Some(until), .. } => Some(at.max(self.midnights.not_before(until)?)),
            Lock { until: None, .. } => Some(at),
        }
    }
}

const fn is_for_good(action: Action) -> bool {
    matches!(action, Action::Delete | Action::Replace)
}

/// Of what is due at that instant the one that is done: going for good before moves before marks, and the shorter of two
/// ends (LC-25, LC-26).
fn chosen<'a>(plans: &[Due<'a>], version: &Version<'_>, at: Timestamp) -> Option<Due<'a>> {
    let due: Vec<_> = plans.iter().filter(|plan| plan.at <= at).copied().collect();
    earliest(&due, is_for_good)
        .or_else(|| transition(&due, version))
        .or_else(|| earliest(&due, |action| action == Action::Mark))
}

/// The first in time, of equal ones the first in the document.
fn earliest<'a>(plans: &[Due<'a>], is_wanted: impl Fn(Action) -> bool) -> Option<Due<'a>> {
    plans.iter().filter(|plan| is_wanted(plan.action)).min_by_key(|plan| plan.at).copied()
}

/// Where the moves that are due lead from its class, in one step what several would have done in time, which for who is late
/// is the same as for who is not.
fn transition<'a>(due: &[Due<'a>], version: &Version<'_>) -> Option<Due<'a>> {
    moves(due, version).pop()
}

/// The moves from its class on, day by day, of one day's the one to the cheapest class that can be reached (LC-25).
fn moves<'a>(plans: &[Due<'a>], version: &Version<'_>) -> Vec<Due<'a>> {
    let target = |plan: &Due<'a>| match plan.action {
        Action::Transition(to) => Some((to, *plan)),
        _ => None,
    };
    let mut moves: Vec<_> = plans.iter().filter_map(target).collect();
    moves.sort_by_key(|(_, plan)| plan.at);
    // The tier counts for the first step only.
    let open = |place: StorageClass, to| leads_from(place, version.archived.filter(|_| place == version.class), to);
    let (mut place, mut taken) = (version.class, Vec::new());
    for day in moves.chunk_by(|(_, one), (_, other)| one.at == other.at) {
        let reached = day.iter().filter(|(to, _)| *to == place || open(place, *to));
        if let Some((to, plan)) = reached.min_by_key(|(to, _)| price(*to))
            && *to != place
        {
            place = *to;
            taken.push(*plan);
        }
    }
    taken
}

/// Which class is taken before which when both are due: the cheaper, and INTELLIGENT_TIERING before all but the archives
/// (LC-25).
const fn price(class: StorageClass) -> u8 {
    match class {
        StorageClass::DeepArchive => 0,
        StorageClass::Glacier => 1,
        StorageClass::IntelligentTiering => 2,
        StorageClass::GlacierIr => 3,
        StorageClass::OnezoneIa => 4,
        StorageClass::StandardIa => 5,
        StorageClass::Standard => 6,
    }
}
