//! What makes a lifecycle configuration valid, by S3's codes.

use super::day::Midnights;
use super::document::{
    ALL_CLASSES, BY_CLASS, ExpirationElement, LifecycleDocument, LifecycleRule, NoncurrentExpirationElement,
    RuleStatus, TagElement, TransitionElement, refusal,
};
use super::rule::{Aged, Expiration, Lifecycle, Rule, Selection, Small, When, leads};
use super::rules::Rules;
use crate::model::{KEY_BYTES_MAX, Kind, Result, StorageClass, TagSet, Timestamp};
use std::collections::BTreeSet;

/// Most rules of a bucket (LC-1).
const RULES_MAX: usize = 1000;
/// Longest ID of a rule, in characters (LC-1).
const ID_CHARS_MAX: usize = 255;
/// Days before and in the classes of infrequent access (LC-11, LC-12).
const IA_DAYS: i32 = 30;
/// Most noncurrent versions that a rule keeps (LC-21).
const NEWER_MAX: i32 = 100;
/// The largest bound of sizes that S3 takes.
const SIZE_MAX: i64 = 1_099_511_627_776_000;

/// What is wrong, with the kind that says it in S3's words.
type Checked<T> = std::result::Result<T, (Kind, String)>;

fn wrong<T>(kind: Kind, why: impl Into<String>) -> Checked<T> {
    Err((kind, why.into()))
}

impl LifecycleDocument {
    /// The rules of it that act. What they say is shown by their IDs, which [`LifecycleDocument::parse`] has given to all.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`], [`Kind::InvalidArgument`] and [`Kind::Malformed`], which name the rule and say what is
    /// wrong (LC-1 to LC-24).
    pub fn check(&self) -> Result<Lifecycle> {
        let count = self.rules.len();
        if !(1..=RULES_MAX).contains(&count) {
            let why = format!("a bucket has 1 to {RULES_MAX} rules, not {count} (LC-1)");
            return Err(refusal(Kind::InvalidRequest, why));
        }
        let small = match self.transition_default_minimum_object_size.as_str() {
            ALL_CLASSES => Small::Stay,
            BY_CLASS => Small::GoToArchives,
            other => {
                let why =
                    format!("TransitionDefaultMinimumObjectSize is {ALL_CLASSES} or {BY_CLASS}, not {other:?} (LC-15)");
                return Err(refusal(Kind::InvalidRequest, why));
            }
        };
        let mut ids = BTreeSet::new();
        let mut rules = Vec::new();
        for rule in &self.rules {
            let id = rule.id.as_deref().unwrap_or_default();
            let checked = name(id, &mut ids).and_then(|()| self.has_one_way(rule)).and_then(|()| checked(rule, id));
            let valid = checked.map_err(|(kind, why)| refusal(kind, format!("rule {id:?}: {why}")))?;
            if rule.status == RuleStatus::Enabled {
                rules.push(valid);
            }
        }
        Ok(Lifecycle { rules: Rules::new(rules), small, midnights: Midnights::UTC })
    }

    /// Rules say by `Filter` what they are for, or all of them by the older `Prefix` (LC-4).
    fn has_one_way(&self, rule: &LifecycleRule) -> Checked<()> {
        if rule.prefix.is_some() && self.rules.iter().any(|rule| rule.filter.is_some()) {
            let why = "it has a Prefix of its own where there is a Filter: the prefix stands in the Filter then (LC-4)";
            return wrong(Kind::InvalidRequest, why);
        }
        Ok(())
    }
}

fn name<'a>(id: &'a str, taken: &mut BTreeSet<&'a str>) -> Checked<()> {
    let chars = id.chars().count();
    if chars > ID_CHARS_MAX {
        return wrong(Kind::InvalidArgument, format!("its ID has {chars} characters, at most {ID_CHARS_MAX} (LC-1)"));
    }
    if !id.is_empty() && !taken.insert(id) {
        return wrong(Kind::InvalidArgument, "another rule has the same ID (LC-1)");
    }
    Ok(())
}

fn checked(rule: &LifecycleRule, id: &str) -> Checked<Rule> {
    let is_idle = rule.expiration.is_none()
        && rule.transitions.is_empty()
        && rule.noncurrent_version_transitions.is_empty()
        && rule.noncurrent_version_expiration.is_none()
        && rule.abort_incomplete_multipart_upload.is_none();
    if is_idle {
        return wrong(Kind::InvalidRequest, "it has no action (LC-1)");
    }
    let selection = selection(rule)?;
    let expiration = rule.expiration.as_ref().map(expiration).transpose()?.flatten();
    let transitions: Vec<_> = rule.transitions.iter().map(transition).collect::<Checked<_>>()?;
    current_order(expiration, &transitions)?;
    let noncurrent_expiration =
        rule.noncurrent_version_expiration.as_ref().map(|element| noncurrent_expiration(rule, element)).transpose()?;
    let noncurrent_transitions = noncurrent_transitions(rule)?;
    noncurrent_order(noncurrent_expiration, &noncurrent_transitions)?;
    let abort = rule.abort_incomplete_multipart_upload.as_ref().map(|element| element.days_after_initiation);
    if abort.is_some_and(|days| days < 1) {
        return wrong(Kind::InvalidArgument, "DaysAfterInitiation is at least 1 (LC-24)");
    }
    let marker = rule.expiration.as_ref().is_some_and(|element| element.expired_object_delete_marker.is_some());
    for (name, is_there, law) in
        [("ExpiredObjectDeleteMarker", marker, "LC-20"), ("AbortIncompleteMultipartUpload", abort.is_some(), "LC-24")]
    {
        if is_there && (!selection.tags.is_empty() || selection.is_by_size()) {
            let why = format!("{name} does not go with a filter by tags or sizes: what it is for has neither ({law})");
            return wrong(Kind::InvalidRequest, why);
        }
    }
    Ok(Rule {
        id: id.to_owned(),
        selection,
        expiration,
        transitions,
        noncurrent_transitions,
        noncurrent_expiration,
        abort,
    })
}

fn selection(rule: &LifecycleRule) -> Checked<Selection> {
    let Some(filter) = &rule.filter else {
        let Some(prefix) = &rule.prefix else {
            let why = "it has no Filter, which says what it is for; an empty one is for everything (LC-4)";
            return wrong(Kind::Malformed, why);
        };
        return selected(Some(prefix), &[], None, None);
    };
    let given = [
        filter.prefix.is_some(),
        filter.tag.is_some(),
        filter.object_size_greater_than.is_some(),
        filter.object_size_less_than.is_some(),
        filter.and.is_some(),
    ];
    if given.iter().filter(|given| **given).count() > 1 {
        let why = "its Filter has more than one of Prefix, Tag, ObjectSizeGreaterThan, ObjectSizeLessThan and And: \
            several stand in And (LC-4)";
        return wrong(Kind::Malformed, why);
    }
    let Some(and) = &filter.and else {
        let tags = filter.tag.as_slice();
        let sizes = (filter.object_size_greater_than, filter.object_size_less_than);
        return selected(filter.prefix.as_deref(), tags, sizes.0, sizes.1);
    };
    let bounds = [and.object_size_greater_than, and.object_size_less_than];
    let count = and.tags.len() + usize::from(and.prefix.is_some()) + bounds.iter().flatten().count();
    if count < 2 {
        return wrong(Kind::Malformed, "its And has fewer than two members, which stand alone in Filter (LC-5)");
    }
    selected(and.prefix.as_deref(), &and.tags, bounds[0], bounds[1])
}

fn selected(prefix: Option<&str>, tags: &[TagElement], above: Option<i64>, below: Option<i64>) -> Checked<Selection> {
    let prefix = prefix.unwrap_or_default();
    if prefix.len() > KEY_BYTES_MAX {
        let why = format!("its prefix has {} bytes, a key has at most {KEY_BYTES_MAX} (KEY-1)", prefix.len());
        return wrong(Kind::InvalidRequest, why);
    }
    let mut set = TagSet::new();
    for tag in tags {
        if set.get(&tag.key).is_some() {
            return wrong(Kind::InvalidRequest, format!("its filter has the tag {:?} twice (LC-5)", tag.key));
        }
        if let Err(error) = set.set(&tag.key, &tag.value) {
            let why = format!("no object has the tag {:?} of its filter: {}", tag.key, error.reason());
            return wrong(Kind::InvalidRequest, why);
        }
    }
    for (name, bound, least) in [("ObjectSizeGreaterThan", above, 0), ("ObjectSizeLessThan", below, 1)] {
        if bound.is_some_and(|bytes| !(least..=SIZE_MAX).contains(&bytes)) {
            return wrong(Kind::InvalidRequest, format!("{name} is {least} to {SIZE_MAX} bytes (LC-6)"));
        }
    }
    if above.zip(below).is_some_and(|(above, below)| below <= above) {
        return wrong(Kind::InvalidRequest, "ObjectSizeLessThan is more than ObjectSizeGreaterThan (LC-6)");
    }
    let bytes = |bound: Option<i64>| bound.and_then(|bytes| u64::try_from(bytes).ok());
    Ok(Selection { prefix: prefix.to_owned(), tags: set, above: bytes(above), below: bytes(below) })
}

/// `None` for one that does nothing.
fn expiration(element: &ExpirationElement) -> Checked<Option<Expiration>> {
    match (element.date, element.days, element.expired_object_delete_marker) {
        (Some(date), None, None) => Ok(Some(Expiration::Of(midnight(date)?))),
        (None, Some(days), None) if days < 1 => {
            wrong(Kind::InvalidArgument, "Days of the Expiration is at least 1 (LC-10)")
        }
        (None, Some(days), None) => Ok(Some(Expiration::Of(When::Days(days)))),
        (None, None, Some(acts)) => Ok(acts.then_some(Expiration::LoneMarker)),
        _ => {
            let why = "its Expiration has one of Days, Date and ExpiredObjectDeleteMarker (LC-10, LC-20)";
            wrong(Kind::Malformed, why)
        }
    }
}

fn midnight(date: Timestamp) -> Checked<When> {
    if Midnights::UTC.not_before(date) == Some(date) {
        return Ok(When::Date(date));
    }
    wrong(Kind::InvalidArgument, format!("the Date {date} is not at midnight in UTC (LC-9)"))
}

const fn is_ia(class: StorageClass) -> bool {
    matches!(class, StorageClass::StandardIa | StorageClass::OnezoneIa)
}

fn transition(element: &TransitionElement) -> Checked<(When, StorageClass)> {
    let class = element.storage_class;
    match (element.date, element.days) {
        (Some(date), None) => Ok((midnight(date)?, class)),
        (None, Some(days)) => Ok((When::Days(days_to("Days", days, class)?), class)),
        _ => wrong(Kind::Malformed, format!("its Transition to {} has one of Days and Date (LC-10)", class.name())),
    }
}

fn days_to(name: &str, days: i32, class: StorageClass) -> Checked<i32> {
    let least = if is_ia(class) { IA_DAYS } else { 0 };
    if days < least {
        let why = format!("{name} of the transition to {} is at least {least} (LC-10, LC-11)", class.name());
        return wrong(Kind::InvalidArgument, why);
    }
    Ok(days)
}

fn newer(versions: Option<i32>, rule: &LifecycleRule) -> Checked<u64> {
    let Some(versions) = versions else { return Ok(0) };
    if rule.filter.is_none() {
        let why = "NewerNoncurrentVersions needs a Filter, the older Prefix does not do (LC-21)";
        return wrong(Kind::InvalidRequest, why);
    }
    if !(1..=NEWER_MAX).contains(&versions) {
        return wrong(Kind::InvalidArgument, format!("NewerNoncurrentVersions is 1 to {NEWER_MAX} (LC-21)"));
    }
    Ok(u64::from(versions.unsigned_abs()))
}

fn noncurrent_expiration(rule: &LifecycleRule, element: &NoncurrentExpirationElement) -> Checked<Aged> {
    let days = element.noncurrent_days;
    if days < 1 {
        let why = "NoncurrentDays of the NoncurrentVersionExpiration is at least 1 (LC-21)";
        return wrong(Kind::InvalidArgument, why);
    }
    Ok(Aged { days, newer: newer(element.newer_noncurrent_versions, rule)? })
}

fn noncurrent_transitions(rule: &LifecycleRule) -> Checked<Vec<(Aged, StorageClass)>> {
    let elements = rule.noncurrent_version_transitions.iter();
    elements
        .map(|element| {
            let class = element.storage_class;
            let days = days_to("NoncurrentDays", element.noncurrent_days, class)?;
            Ok((Aged { days, newer: newer(element.newer_noncurrent_versions, rule)? }, class))
        })
        .collect()
}

fn current_order(expiration: Option<Expiration>, transitions: &[(When, StorageClass)]) -> Checked<()> {
    let end = match expiration {
        Some(Expiration::Of(when)) => Some(when),
        Some(Expiration::LoneMarker) | None => None,
    };
    let is_date = |when: &When| matches!(when, When::Date(_));
    let times = || transitions.iter().map(|(when, _)| when).chain(end.as_ref());
    if times().any(is_date) && !times().all(is_date) {
        return wrong(Kind::InvalidRequest, "it mixes Days and Date (LC-10)");
    }
    // Dates are compared by their days since 1970.
    let day = |when: When| match when {
        When::Days(days) => i64::from(days),
        When::Date(date) => date.secs.div_euclid(86_400),
    };
    let days: Vec<_> = transitions.iter().map(|(when, class)| (day(*when), *class)).collect();
    order("Expiration", end.map(day), &days)
}

fn noncurrent_order(expiration: Option<Aged>, transitions: &[(Aged, StorageClass)]) -> Checked<()> {
    let days: Vec<_> = transitions.iter().map(|(aged, class)| (i64::from(aged.days), *class)).collect();
    order("NoncurrentVersionExpiration", expiration.map(|aged| i64::from(aged.days)), &days)
}

/// One transition to each class, 30 days in a class of infrequent access, and the end after all of them (LC-12).
fn order(name: &str, end: Option<i64>, transitions: &[(i64, StorageClass)]) -> Checked<()> {
    for (nth, (day, class)) in transitions.iter().enumerate() {
        if transitions.iter().take(nth).any(|(_, other)| other == class) {
            return wrong(Kind::InvalidRequest, format!("it has two transitions to {} (LC-12)", class.name()));
        }
        if end.is_some_and(|end| end <= *day) {
            let why = format!("its {name} does not come after its transition to {} (LC-12)", class.name());
            return wrong(Kind::InvalidArgument, why);
        }
        let early = |(next, to): &&(i64, StorageClass)| leads(*class, *to) && *next < day + i64::from(IA_DAYS);
        if is_ia(*class)
            && let Some((_, to)) = transitions.iter().find(early)
        {
            let (from, to) = (class.name(), to.name());
            let why = format!("its transition to {to} comes less than {IA_DAYS} days after that to {from} (LC-12)");
            return wrong(Kind::InvalidArgument, why);
        }
    }
    Ok(())
}
