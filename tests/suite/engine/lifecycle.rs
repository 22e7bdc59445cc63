//! Lifecycle rules that are obeyed: LC, and what they touch of VER and MPU.

mod background;
mod histories;
mod passes;
mod rules;

use super::harness::{B, Home};
use keyfold::model::{Timestamp, Versioning};
use keyfold::store::{Deed, Document, Store};
use std::sync::Arc;

const DAY: i64 = 86_400;

/// A bucket of that versioning with these rules: a list.
fn ruled(versioning: Versioning, rules: &str) -> (Home, Arc<Store>) {
    let (home, store) = Home::with_bucket(versioning);
    set(&store, rules);
    (home, store)
}

fn set(store: &Store, rules: &str) {
    let bucket = store.bucket(B).unwrap();
    let text = format!(r#"{{"Rules":{rules}}}"#);
    Document::named("lifecycle").unwrap().replace(store, &bucket, text.as_bytes()).unwrap();
}

/// One rule for everything, called `r`, with these members.
fn rule(members: &str) -> String {
    format!(r#"[{{"ID":"r","Status":"Enabled","Filter":{{}},{members}}}]"#)
}

fn days(home: &Home, days: i64) {
    home.clock.advance_millis(days * DAY * 1000);
}

/// What a whole pass does now, in steps of about so many entries: `action key`, in its order.
fn pass_by(store: &Store, budget: u64, now: Timestamp) -> Vec<String> {
    let Some(mut pass) = store.new_lifecycle_pass(&store.bucket(B).unwrap(), now).unwrap() else { return Vec::new() };
    let mut did = Vec::new();
    while !pass.is_over() {
        let mut told = |deed: Deed| {
            did.push(word(&deed));
            Ok(())
        };
        store.step_lifecycle(&mut pass, budget, false, &mut told).unwrap();
    }
    assert_eq!(pass.tally().failed, 0, "{:?}", store.complaints(None));
    did
}

fn pass(store: &Store) -> Vec<String> {
    pass_by(store, 1000, store.now())
}

fn word(deed: &Deed) -> String {
    use keyfold::store::lifecycle::Action;
    let act = match deed.action {
        Action::Delete if deed.marker => "unmark".to_owned(),
        Action::Delete => "delete".to_owned(),
        Action::Mark => "mark".to_owned(),
        Action::Replace => "replace".to_owned(),
        Action::Transition(class) => class.name().to_owned(),
        Action::Abort => "abort".to_owned(),
    };
    format!("{act} {}", deed.key)
}

/// The events of the feed after a commit: `event key`.
fn events(store: &Store, after: u64) -> Vec<String> {
    let changes = store.changes(after, 100_000).unwrap();
    changes.into_iter().map(|(_, change)| format!("{} {}", change.event, change.key)).collect()
}
