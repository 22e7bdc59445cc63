//! What there is, and what a day does to it, by the words of the rules.

use super::rules::{Deed, Rule, due};
use keyfold::model::{
    DefaultRetention, ObjectLock, Retention, RetentionMode, StorageClass, Timestamp, VersionId, Versioning,
};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Not known of markers that have one.
    pub id: VersionId,
    pub marker: bool,
    pub size: u64,
    /// What its bytes all are.
    pub fill: u8,
    pub created: Timestamp,
    pub since: Timestamp,
    pub superseded: Option<Timestamp>,
    pub color: Option<&'static str>,
    pub class: StorageClass,
    pub lock: ObjectLock,
    /// Until when a restored copy lives.
    pub restored: Option<Timestamp>,
}

impl Entry {
    pub fn is_null(&self) -> bool {
        self.id == VersionId::Null
    }

    pub fn body(&self) -> Vec<u8> {
        vec![self.fill; self.size as usize]
    }

    pub fn is_archive(&self) -> bool {
        !self.marker && matches!(self.class, StorageClass::Glacier | StorageClass::DeepArchive)
    }

    pub fn is_readable(&self, now: Timestamp) -> bool {
        !self.is_archive() || self.restored.is_some_and(|until| now < until)
    }

    fn retained(&self, now: Timestamp) -> Option<Retention> {
        self.lock.retention.filter(|retention| now < retention.until)
    }

    pub fn may_end(&self, now: Timestamp, bypass: bool) -> bool {
        let retained = self.retained(now).is_some_and(|it| !bypass || it.mode == RetentionMode::Compliance);
        self.marker || (self.lock.hold != Some(true) && !retained)
    }

    pub fn may_become(&self, new: Option<Retention>, now: Timestamp, bypass: bool) -> bool {
        let Some(old) = self.retained(now) else { return true };
        if old.mode == RetentionMode::Governance && bypass {
            return true;
        }
        let Some(new) = new else { return false };
        let weaker = old.mode == RetentionMode::Compliance && new.mode == RetentionMode::Governance;
        new.until >= old.until && !weaker
    }
}

#[derive(Default)]
pub struct Model {
    pub versioning: Versioning,
    pub locks: bool,
    pub default: Option<DefaultRetention>,
    pub rules: Vec<Rule>,
    /// Stacks, the newest first.
    stacks: BTreeMap<String, Vec<Entry>>,
}

impl Model {
    /// Everything, in the order of a listing of versions.
    pub fn entries(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.stacks.iter().flat_map(|(key, stack)| stack.iter().map(move |entry| (key, entry)))
    }

    pub fn stack(&self, key: &str) -> &[Entry] {
        self.stacks.get(key).map_or(&[], Vec::as_slice)
    }

    /// VER-4, VER-6, VER-7
    pub fn add(&mut self, key: &str, entry: Entry) {
        let null = self.versioning != Versioning::Enabled;
        let stack = self.stacks.entry(key.to_owned()).or_default();
        if let Some(top) = stack.first_mut() {
            top.superseded = Some(entry.since);
        }
        stack.retain(|other| !null || !other.is_null());
        stack.insert(0, entry);
    }

    /// DEL-1 to DEL-4
    pub fn mark(&mut self, key: &str, now: Timestamp) {
        if self.versioning == Versioning::Unversioned {
            self.stacks.remove(key);
            return;
        }
        let id = if self.versioning == Versioning::Suspended { VersionId::Null } else { VersionId::Id([0; 16]) };
        let marker = Entry {
            id,
            marker: true,
            size: 0,
            fill: 0,
            created: now,
            since: now,
            superseded: None,
            color: None,
            class: StorageClass::Standard,
            lock: ObjectLock::NONE,
            restored: None,
        };
        self.add(key, marker);
    }

    fn take(&mut self, key: &str, place: usize) {
        let Some(stack) = self.stacks.get_mut(key) else { return };
        stack.remove(place);
        match stack.first_mut() {
            Some(top) => top.superseded = None,
            None => drop(self.stacks.remove(key)),
        }
    }

    pub fn remove(&mut self, key: &str, entry: &Entry) {
        if let Some(place) = self.stack(key).iter().position(|other| other == entry) {
            self.take(key, place);
        }
    }

    pub fn change(&mut self, key: &str, entry: &Entry, change: impl FnOnce(&mut Entry)) {
        let found = self.stacks.get_mut(key).and_then(|stack| stack.iter_mut().find(|other| *other == entry));
        change(found.unwrap());
    }

    /// Does all that is due, until nothing is.
    pub fn obey(&mut self, now: Timestamp) {
        for key in self.stacks.keys().cloned().collect::<Vec<_>>() {
            loop {
                let count = self.stack(&key).len();
                // From the bottom: what is done to one changes no place above it.
                let deeds: Vec<_> = (0..count).rev().filter_map(|at| Some((at, self.decide(&key, at, now)?))).collect();
                if deeds.is_empty() {
                    break;
                }
                for (at, deed) in deeds {
                    match deed {
                        Deed::End => self.take(&key, at),
                        Deed::Mark => self.mark(&key, now),
                        Deed::Move(to) => self.move_to(&key, at, to),
                    }
                }
            }
        }
    }

    fn move_to(&mut self, key: &str, at: usize, to: StorageClass) {
        let Some(entry) = self.stacks.get_mut(key).and_then(|stack| stack.get_mut(at)) else { return };
        // A copy that was fetched from one archive lives on when the object goes to a deeper one.
        entry.restored = entry.restored.filter(|_| entry.class == StorageClass::Glacier);
        entry.class = to;
    }

    fn decide(&self, key: &str, at: usize, now: Timestamp) -> Option<Deed> {
        let stack = self.stack(key);
        let entry = &stack[at];
        let newer = stack[..at].iter().filter(|other| other.superseded.is_some() && !other.marker).count();
        let (current, alone) = (at == 0, stack.len() == 1);
        let superseded = match at.checked_sub(1) {
            None => None,
            // Nobody notes of a marker when it was covered: what covers it now says so.
            Some(above) if entry.marker => Some(stack[above].since),
            Some(_) => entry.superseded,
        };
        let applies = |rule: &&Rule| {
            key.starts_with(rule.prefix)
                && rule.color.is_none_or(|color| entry.color == Some(color))
                && rule.larger.is_none_or(|size| entry.size > size)
        };
        let (mut end, mut mark, mut moves) = (false, false, Vec::new());
        for rule in self.rules.iter().filter(applies) {
            use super::rules::Act;
            match (rule.act, superseded) {
                (Act::Expire(days), None) if current => {
                    let over = due(entry.created, days) <= now;
                    match self.versioning {
                        _ if entry.marker => end |= over && alone,
                        Versioning::Unversioned => end |= over,
                        Versioning::Suspended if entry.is_null() => mark |= over && entry.may_end(now, false),
                        _ => mark |= over,
                    }
                }
                (Act::EndLoneMarkers, None) => end |= entry.marker && alone,
                (Act::EndOld { days, newer: kept }, Some(since)) if self.versioning != Versioning::Unversioned => {
                    end |= newer >= kept && due(since, days) <= now;
                }
                (Act::Move { days, to }, None) if !entry.marker && rule.larger.is_some() => {
                    moves.push((due(entry.created, days), to));
                }
                (Act::MoveOld { days, to }, Some(since))
                    if !entry.marker && rule.larger.is_some() && self.versioning != Versioning::Unversioned =>
                {
                    moves.push((due(since, days), to));
                }
                _ => {}
            }
        }
        if end && entry.may_end(now, false) {
            return Some(Deed::End);
        }
        moves.retain(|(day, _)| *day <= now);
        match super::rules::journey(entry.class, moves) {
            // A null marker that takes the place of the null version ends it, which comes before a move.
            Some(to) if !(mark && entry.is_null() && self.versioning == Versioning::Suspended) => Some(Deed::Move(to)),
            _ => mark.then_some(Deed::Mark),
        }
    }
}
