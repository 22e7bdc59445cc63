//! What each rule of a document says of one version, and why it says nothing.

use super::day::Midnights;
use super::decide::{Action, BucketState, Version};
use super::document::{LifecycleDocument, RuleStatus};
use super::rule::{Expiration, Lifecycle, Rule, SMALL_BYTES, leads};
use crate::model::{Result, StorageClass, Timestamp, Versioning};
use std::time::Duration;

/// What a rule says of a version.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// What it does and since when that is due, by itself: of several rules the strongest decides (LC-25).
    pub does: Vec<(Action, Timestamp)>,
    /// Why it does not, or not sooner.
    pub why: Vec<String>,
}

impl LifecycleDocument {
    /// What each rule, by its ID, says of a version in a bucket of that state, where a day is as long as that.
    ///
    /// # Errors
    /// As [`LifecycleDocument::check`].
    pub fn explain(&self, bucket: BucketState, version: &Version<'_>, day: Duration) -> Result<Vec<(String, Verdict)>> {
        let mut told = Vec::new();
        for rule in &self.rules {
            let mut alone = Self { rules: vec![rule.clone()], ..self.clone() };
            alone.rules.iter_mut().for_each(|rule| rule.status = RuleStatus::Enabled);
            let lifecycle = alone.check()?.with_days_of(day);
            let id = rule.id.clone().unwrap_or_default();
            let verdict = match lifecycle.rules.all().first() {
                _ if rule.status == RuleStatus::Disabled => not("it is disabled (LC-2)"),
                Some(rule) => lifecycle.verdict(rule, bucket, version),
                None => Verdict::default(),
            };
            told.push((id, verdict));
        }
        Ok(told)
    }
}

fn not(why: impl Into<String>) -> Verdict {
    Verdict { does: Vec::new(), why: vec![why.into()] }
}

impl Lifecycle {
    /// What the only rule says.
    fn verdict(&self, rule: &Rule, bucket: BucketState, version: &Version<'_>) -> Verdict {
        if bucket.mfa_delete {
            return not("the bucket asks for a second factor before anything is deleted, and rules have none (LC-34)");
        }
        if version.replicating {
            return not("it is not replicated yet (LC-29)");
        }
        let unselected = unselected(rule, version);
        if !unselected.is_empty() {
            return Verdict { does: Vec::new(), why: unselected };
        }
        let mut why = match version.superseded {
            None => current(rule, version),
            Some(_) => noncurrent(rule, bucket, version),
        };
        let mut does = Vec::new();
        for plan in self.plans(bucket, version) {
            match plan.action {
                Action::Transition(to) if !leads(version.class, to) => why.push(unreachable(version.class, to)),
                action => does.push((action, plan.at)),
            }
        }
        for to in transitions(rule, version).filter(|to| !self.moves(rule, version.size, *to)) {
            why.push(format!(
                "it has {} bytes, fewer than {SMALL_BYTES}, and small objects are not moved to {} unless the rule's filter \
                 speaks of sizes (LC-15, LC-16)",
                version.size,
                to.name()
            ));
        }
        if !version.marker {
            why.extend(locked(version, self.midnights));
        }
        if does.is_empty() && why.is_empty() {
            why.push("it does nothing to objects like this one".to_owned());
        }
        Verdict { does, why }
    }
}

fn unreachable(from: StorageClass, to: StorageClass) -> String {
    if from == to {
        return format!("it is in {} already", to.name());
    }
    format!("objects do not go from {} to {} (LC-13, LC-14)", from.name(), to.name())
}

/// What of its filter does not hold.
fn unselected(rule: &Rule, version: &Version<'_>) -> Vec<String> {
    let selection = &rule.selection;
    let mut why = Vec::new();
    if !version.key.starts_with(&selection.prefix) {
        why.push(format!("its key does not begin with {:?}", selection.prefix));
    }
    for (key, value) in selection.tags.iter().filter(|(key, value)| version.tags.get(key) != Some(*value)) {
        why.push(match version.tags.get(key) {
            None => format!("it has no tag {key}={value}"),
            Some(other) => format!("its tag {key} is {other:?}, not {value:?}"),
        });
    }
    if let Some(above) = selection.above.filter(|above| version.size <= *above) {
        why.push(format!("it has {} bytes, and the rule is for more than {above} (LC-6)", version.size));
    }
    if let Some(below) = selection.below.filter(|below| version.size >= *below) {
        why.push(format!("it has {} bytes, and the rule is for fewer than {below} (LC-6)", version.size));
    }
    why
}

/// Why a rule does nothing to a current entry.
fn current(rule: &Rule, version: &Version<'_>) -> Vec<String> {
    let mut why = Vec::new();
    match rule.expiration {
        Some(_) if version.marker && !version.alone => {
            why.push("it is a delete marker with versions below (LC-18)".to_owned());
        }
        Some(Expiration::LoneMarker) if !version.marker => {
            why.push("ExpiredObjectDeleteMarker is for delete markers with nothing below (LC-19)".to_owned());
        }
        _ => {}
    }
    let is_of_old = rule.noncurrent_expiration.is_some() || !rule.noncurrent_transitions.is_empty();
    if rule.expiration.is_none() && rule.transitions.is_empty() && is_of_old {
        why.push("it is current, and the rule is for noncurrent versions".to_owned());
    }
    if version.marker && !rule.transitions.is_empty() {
        why.push("delete markers have nothing that could move".to_owned());
    }
    why
}

/// Why a rule does nothing to what is not current.
fn noncurrent(rule: &Rule, bucket: BucketState, version: &Version<'_>) -> Vec<String> {
    if bucket.versioning == Versioning::Unversioned {
        return vec!["the bucket keeps no versions (LC-23)".to_owned()];
    }
    let aged = rule.noncurrent_expiration.iter().chain(rule.noncurrent_transitions.iter().map(|(aged, _)| aged));
    let mut why = Vec::new();
    for newer in aged.map(|aged| aged.newer).filter(|newer| version.newer < *newer) {
        let kept = format!(
            "{} noncurrent versions are newer, and the rule keeps the newest {newer} (LC-21, LC-22)",
            version.newer
        );
        if !why.contains(&kept) {
            why.push(kept);
        }
    }
    if rule.noncurrent_expiration.is_none() && rule.noncurrent_transitions.is_empty() {
        why.push("it is noncurrent, which the rule does not touch (LC-18)".to_owned());
    }
    why
}

/// Where a rule would move it.
fn transitions<'a>(rule: &'a Rule, version: &Version<'_>) -> impl Iterator<Item = StorageClass> + 'a {
    let of_current = rule.transitions.iter().map(|(_, class)| *class);
    let of_old = rule.noncurrent_transitions.iter().map(|(_, class)| *class);
    let (is_current, marker) = (version.superseded.is_none(), version.marker);
    of_current.filter(move |_| is_current && !marker).chain(of_old.filter(move |_| !is_current && !marker))
}

/// How a lock holds up what deletes it for good (LC-28).
fn locked(version: &Version<'_>, midnights: Midnights) -> Option<String> {
    if version.lock.hold {
        return Some("a legal hold keeps it from being deleted (LC-28)".to_owned());
    }
    let until = version.lock.until?;
    let from = midnights.not_before(until)?;
    Some(format!("it is locked until {until}, and deleted on {from} at the earliest (LC-28)"))
}
