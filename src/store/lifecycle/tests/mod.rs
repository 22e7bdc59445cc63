//! Tests of lifecycle rules: documents, decisions, calendars, and what holds for any of them.

mod calendars;
mod decisions;
mod documents;
mod properties;

use super::{Action, BucketState, Due, Lifecycle, LifecycleDocument, Lock, Version};
use crate::model::{StorageClass, TagSet, Timestamp, Versioning, parse_rfc3339};

static NO_TAGS: TagSet = TagSet::new();

const UNVERSIONED: BucketState = BucketState { versioning: Versioning::Unversioned, mfa_delete: false };
const ENABLED: BucketState = BucketState { versioning: Versioning::Enabled, mfa_delete: false };
const SUSPENDED: BucketState = BucketState { versioning: Versioning::Suspended, mfa_delete: false };

/// A day, or an instant.
fn at(text: &str) -> Timestamp {
    parse_rfc3339(text).or_else(|_| parse_rfc3339(&format!("{text}T00:00:00Z"))).unwrap()
}

/// Rules in short: `[...]`.
fn rules(rules: &str) -> Lifecycle {
    LifecycleDocument::parse(format!(r#"{{"Rules":{rules}}}"#).as_bytes()).unwrap().check().unwrap()
}

/// One rule for everything, called `r`, with these members.
fn rule(members: &str) -> Lifecycle {
    rules(&format!(r#"[{{"ID":"r","Status":"Enabled","Filter":{{}},{members}}}]"#))
}

/// 1 MiB in STANDARD, current, made on that day at half past ten.
fn made(day: &str) -> Version<'static> {
    let created = at(&format!("{day}T10:30:00Z"));
    Version {
        key: "logs/a",
        marker: false,
        null: false,
        size: 1 << 20,
        tags: &NO_TAGS,
        class: StorageClass::Standard,
        created,
        written: created,
        superseded: None,
        newer: 0,
        alone: true,
        lock: Lock::default(),
        replicating: false,
        linked: false,
        archived: None,
    }
}

/// The same, noncurrent since that day.
fn superseded(day: &str, since: &str) -> Version<'static> {
    Version { superseded: Some(at(&format!("{since}T10:30:00Z"))), ..made(day) }
}

fn marker(day: &str) -> Version<'static> {
    Version { marker: true, size: 0, ..made(day) }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Delete => "delete",
        Action::Mark => "mark",
        Action::Replace => "replace",
        Action::Transition(class) => class.name(),
        Action::Abort => "abort",
    }
}

/// `delete 2026-01-19 r`, or `-`.
fn told(due: Option<Due<'_>>) -> String {
    due.map_or_else(|| "-".into(), |due| format!("{} {} {}", word(due.action), &due.at.rfc3339()[..10], due.rule))
}
