//! What rules will do to everything under a key until a date, by the same decisions and without doing it.

use super::decide::{Action, BucketState, Due, Lock, Version};
use super::rule::Lifecycle;
use crate::model::{StorageClass, TagSet, Timestamp, Versioning};

/// A marker has no tags (VER-11).
static NO_TAGS: TagSet = TagSet::new();

/// One thing that a rule will do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// When: the calendar's beginning for what is due since before.
    pub at: Timestamp,
    /// To which entry of the stack as it was given, `None` for a marker that a rule placed in the meantime.
    pub entry: Option<usize>,
    /// What, since when it is due, and by which rule.
    pub due: Due<'a>,
}

/// An entry of a stack in the future.
struct Entry<'v> {
    given: Option<usize>,
    version: Version<'v>,
}

/// Says of each entry of a key's whole stack, the newest first, how many noncurrent versions are newer, and whether it
/// is alone. Markers are not counted: who keeps the last three versions means three that can be read.
pub fn settle<'s, 'v: 's>(stack: impl ExactSizeIterator<Item = &'s mut Version<'v>>) {
    let alone = stack.len() == 1;
    let mut newer = 0;
    for version in stack {
        (version.alone, version.newer) = (alone, newer);
        newer += u64::from(version.superseded.is_some() && !version.marker);
    }
}

impl Lifecycle {
    /// What happens from `from` to `until`, both included, to a key whose whole stack is given, the newest first, if nobody
    /// else touches it: in order of time, and of one instant in the order of doing. Each round of an instant decides
    /// on all entries before it changes one, as a worker does that reads a key's stack once. What [`settle`] says is
    /// found out here.
    #[must_use]
    pub fn calendar<'a>(
        &'a self,
        bucket: BucketState,
        stack: &[Version<'_>],
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<Event<'a>> {
        let entries = stack.iter().enumerate();
        let mut stack: Vec<_> = entries.map(|(nth, version)| Entry { given: Some(nth), version: *version }).collect();
        let (mut events, mut at) = (Vec::new(), from);
        while at <= until {
            settle(stack.iter_mut().map(|entry| &mut entry.version));
            let due = stack.iter().map(|entry| self.due(bucket, &entry.version, at));
            let due: Vec<_> = due.enumerate().filter_map(|(place, due)| Some((place, due?))).collect();
            events.extend(due.iter().map(|(place, due)| Event { at, entry: stack[*place].given, due: *due }));
            events.extend(swallowed(&stack, bucket, &due).map(|(entry, due)| Event { at, entry, due }));
            // From the bottom, so that the places above stay right.
            for (place, due) in due.iter().rev() {
                done(&mut stack, bucket, *place, due.action, at);
            }
            if due.is_empty() {
                let next = stack.iter().filter_map(|entry| self.next(bucket, &entry.version, at));
                let Some(next) = next.map(|due| due.at).min() else { break };
                at = next;
            }
        }
        events
    }
}

/// The null version below, which goes when a null marker comes: there is one at most (VER-7).
fn swallowed<'a>(
    stack: &[Entry<'_>],
    bucket: BucketState,
    due: &[(usize, Due<'a>)],
) -> Option<(Option<usize>, Due<'a>)> {
    let (_, mark) = due.iter().find(|(_, due)| due.action == Action::Mark)?;
    let place = stack.iter().position(|entry| entry.version.null)?;
    let goes_anyway = due.iter().any(|(other, due)| *other == place && due.action == Action::Delete);
    let goes = bucket.versioning == Versioning::Suspended && !goes_anyway;
    goes.then(|| (stack[place].given, Due { action: Action::Replace, ..*mark }))
}

/// What an action leaves of a stack.
fn done(stack: &mut Vec<Entry<'_>>, bucket: BucketState, place: usize, action: Action, at: Timestamp) {
    match action {
        Action::Delete => drop(stack.remove(place)),
        Action::Transition(class) => {
            (stack[place].version.class, stack[place].version.archived) = (class, None);
        }
        Action::Mark | Action::Replace => {
            let null = bucket.versioning == Versioning::Suspended;
            let key = stack[place].version.key;
            stack[place].version.superseded = Some(at);
            // VER-7
            stack.retain(|entry| !null || !entry.version.null);
            stack.insert(0, Entry { given: None, version: marker(key, null, at) });
        }
        Action::Abort => {}
    }
}

fn marker(key: &str, null: bool, at: Timestamp) -> Version<'_> {
    Version {
        key,
        marker: true,
        null,
        size: 0,
        tags: &NO_TAGS,
        class: StorageClass::Standard,
        created: at,
        written: at,
        superseded: None,
        newer: 0,
        alone: false,
        lock: Lock::default(),
        replicating: false,
        linked: false,
        archived: None,
    }
}
