//! Lifecycle rules as people read them: one thing each, of what it is for.

use super::Random;
use keyfold::model::{StorageClass, Timestamp};
use serde_json::{Value, json};

pub const DAY: i64 = 86_400;

#[derive(Clone, Copy, Debug)]
pub enum Act {
    Expire(i64),
    EndLoneMarkers,
    EndOld { days: i64, newer: usize },
    Move { days: i64, to: StorageClass },
    MoveOld { days: i64, to: StorageClass },
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub prefix: &'static str,
    pub color: Option<&'static str>,
    /// Only objects over so many bytes; without it none of this size moves (LC-15, LC-16).
    pub larger: Option<u64>,
    pub act: Act,
}

/// What is done to one entry.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    End,
    Mark,
    Move(StorageClass),
}

const GOALS: [StorageClass; 5] = [
    StorageClass::StandardIa,
    StorageClass::OnezoneIa,
    StorageClass::GlacierIr,
    StorageClass::Glacier,
    StorageClass::DeepArchive,
];

impl Rule {
    pub fn any(random: &mut Random) -> Self {
        let days = |random: &mut Random, least: u64| (least + random.below(90)) as i64;
        let to = random.one_of(&GOALS);
        let least = if matches!(to, StorageClass::StandardIa | StorageClass::OnezoneIa) { 30 } else { 1 };
        let act = match random.below(6) {
            0 => Act::Expire(days(random, 1)),
            1 => Act::EndLoneMarkers,
            2 | 3 => Act::EndOld { days: days(random, 1), newer: random.below(4) as usize },
            4 => Act::Move { days: days(random, least), to },
            _ => Act::MoveOld { days: days(random, least), to },
        };
        let color = match act {
            // LC-20
            Act::EndLoneMarkers => None,
            _ => (random.below(3) == 0).then(|| random.one_of(&super::COLORS)),
        };
        let larger = match act {
            Act::Move { .. } | Act::MoveOld { .. } => (random.below(4) > 0).then(|| random.below(200)),
            _ => None,
        };
        Self { prefix: random.one_of(&["", "", "logs/", "logs/old/", "a"]), color, larger, act }
    }

    fn json(&self, id: usize) -> Value {
        let mut and = json!({ "Prefix": self.prefix });
        if let Some(color) = self.color {
            and["Tags"] = json!([{ "Key": "color", "Value": color }]);
        }
        if let Some(size) = self.larger {
            and["ObjectSizeGreaterThan"] = json!(size);
        }
        let filter = if self.color.is_none() && self.larger.is_none() { and } else { json!({ "And": and }) };
        let mut rule = json!({ "ID": format!("r{id}"), "Status": "Enabled", "Filter": filter });
        match self.act {
            Act::Expire(days) => rule["Expiration"] = json!({ "Days": days }),
            Act::EndLoneMarkers => rule["Expiration"] = json!({ "ExpiredObjectDeleteMarker": true }),
            Act::EndOld { days, newer: 0 } => {
                rule["NoncurrentVersionExpiration"] = json!({ "NoncurrentDays": days });
            }
            Act::EndOld { days, newer } => {
                rule["NoncurrentVersionExpiration"] =
                    json!({ "NoncurrentDays": days, "NewerNoncurrentVersions": newer });
            }
            Act::Move { days, to } => rule["Transitions"] = json!([{ "Days": days, "StorageClass": to.name() }]),
            Act::MoveOld { days, to } => {
                rule["NoncurrentVersionTransitions"] = json!([{ "NoncurrentDays": days, "StorageClass": to.name() }]);
            }
        }
        rule
    }
}

pub fn document(rules: &[Rule]) -> String {
    let rules: Vec<_> = rules.iter().enumerate().map(|(id, rule)| rule.json(id)).collect();
    json!({ "Rules": rules }).to_string()
}

/// LC-7: the midnight after so many days, of a midnight the next one.
pub fn due(from: Timestamp, days: i64) -> Timestamp {
    Timestamp::new((from.secs.div_euclid(DAY) + days + 1) * DAY, 0)
}

/// LC-13: one step down.
fn goes(from: StorageClass, to: StorageClass) -> bool {
    use StorageClass::{DeepArchive, Glacier, GlacierIr, OnezoneIa, Standard, StandardIa};
    match from {
        Standard => to != Standard,
        StandardIa => matches!(to, OnezoneIa | GlacierIr | Glacier | DeepArchive),
        OnezoneIa | GlacierIr => matches!(to, Glacier | DeepArchive),
        Glacier => to == DeepArchive,
        _ => false,
    }
}

/// Where the moves that are due lead, each day's to the cheapest class there is a way to (LC-25).
pub fn journey(from: StorageClass, mut moves: Vec<(Timestamp, StorageClass)>) -> Option<StorageClass> {
    moves.sort_by_key(|(day, _)| *day);
    let cheapness = |class: &StorageClass| GOALS.iter().position(|other| other == class);
    let mut at = from;
    for day in moves.chunk_by(|one, other| one.0 == other.0) {
        let ways = day.iter().map(|(_, to)| *to).filter(|to| *to == at || goes(at, *to));
        at = ways.max_by_key(cheapness).unwrap_or(at);
    }
    (at != from).then_some(at)
}
