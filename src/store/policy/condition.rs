//! Conditions of statements (IAM-10 to IAM-13).

use super::Holds;
use super::pattern::{ARN_PARTS, arn, glob};
use crate::model::{Timestamp, parse_rfc3339};
use serde_json::Value;
use std::cmp::Ordering;

/// One operator, one key, its values.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Condition {
    test: Test,
    negated: bool,
    if_exists: bool,
    each: Each,
    /// In small letters.
    key: String,
    values: Vec<String>,
}

/// What of several values a request has.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Each {
    /// A key of one value.
    One,
    All,
    Any,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Test {
    Text,
    AnyCase,
    Like,
    Number(Order),
    Date(Order),
    Bool,
    Arn,
    Null,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Order {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Order {
    fn holds(self, order: Option<Ordering>) -> bool {
        order.is_some_and(|order| match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        })
    }
}

/// The operators, with whether they are the opposite of the test.
const OPERATORS: [(&str, Test, bool); 24] = [
    ("StringEquals", Test::Text, false),
    ("StringNotEquals", Test::Text, true),
    ("StringEqualsIgnoreCase", Test::AnyCase, false),
    ("StringNotEqualsIgnoreCase", Test::AnyCase, true),
    ("StringLike", Test::Like, false),
    ("StringNotLike", Test::Like, true),
    ("NumericEquals", Test::Number(Order::Equal), false),
    ("NumericNotEquals", Test::Number(Order::Equal), true),
    ("NumericLessThan", Test::Number(Order::Less), false),
    ("NumericLessThanEquals", Test::Number(Order::AtMost), false),
    ("NumericGreaterThan", Test::Number(Order::Greater), false),
    ("NumericGreaterThanEquals", Test::Number(Order::AtLeast), false),
    ("DateEquals", Test::Date(Order::Equal), false),
    ("DateNotEquals", Test::Date(Order::Equal), true),
    ("DateLessThan", Test::Date(Order::Less), false),
    ("DateLessThanEquals", Test::Date(Order::AtMost), false),
    ("DateGreaterThan", Test::Date(Order::Greater), false),
    ("DateGreaterThanEquals", Test::Date(Order::AtLeast), false),
    ("Bool", Test::Bool, false),
    ("ArnEquals", Test::Arn, false),
    ("ArnLike", Test::Arn, false),
    ("ArnNotEquals", Test::Arn, true),
    ("ArnNotLike", Test::Arn, true),
    ("Null", Test::Null, false),
];

impl Condition {
    /// The conditions of a statement, all of which must hold.
    pub(super) fn parse(value: &Value, keys: &[(&str, Holds)]) -> Result<Vec<Self>, String> {
        let operators = value.as_object().ok_or("its Condition is no JSON object")?;
        let mut found = Vec::new();
        for (operator, pairs) in operators {
            let (each, rest) = match operator.split_once(':') {
                None => (Each::One, operator.as_str()),
                Some(("ForAllValues", rest)) => (Each::All, rest),
                Some(("ForAnyValue", rest)) => (Each::Any, rest),
                Some(_) => return Err(format!("there is no operator {operator:?}")),
            };
            let (name, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |name| (name, true));
            let known = OPERATORS.iter().find(|(known, ..)| *known == name);
            let (_, test, negated) =
                *known.ok_or_else(|| format!("the operator {operator:?} is not understood here"))?;
            if test == Test::Null && (if_exists || each != Each::One) {
                return Err(format!("there is no operator {operator:?}"));
            }
            let pairs = pairs.as_object().ok_or_else(|| format!("{operator} has no keys"))?;
            for (key, values) in pairs {
                let lower = key.to_ascii_lowercase();
                let knows = |known: &str| {
                    let known = known.to_ascii_lowercase();
                    if known.ends_with('/') {
                        lower.len() > known.len() && lower.starts_with(&known)
                    } else {
                        lower == known
                    }
                };
                let Some((_, holds)) = keys.iter().find(|(known, _)| knows(known)) else {
                    let known: Vec<&str> = keys.iter().map(|(known, _)| *known).collect();
                    return Err(format!("nothing here has the condition key {key:?}; there are {}", known.join(", ")));
                };
                if !test.fits(*holds) {
                    return Err(format!("{operator} never holds of {key}, whose values are {holds:?}"));
                }
                let values =
                    texts(values).ok_or_else(|| format!("the values of {key} are no strings, numbers or booleans"))?;
                if let Some(bad) = values.iter().find(|value| !test.takes(value)) {
                    return Err(format!("{operator} cannot compare {key} with {bad:?}"));
                }
                found.push(Self { test, negated, if_exists, each, key: lower, values });
            }
        }
        Ok(found)
    }

    /// Whether it holds for a request of which this is known.
    pub(super) fn holds(&self, context: &[(String, Vec<String>)]) -> bool {
        let found =
            context.iter().find(|(key, _)| *key == self.key).map(|(_, values)| values).filter(|list| !list.is_empty());
        if self.test == Test::Null {
            return self.values.iter().any(|value| value.eq_ignore_ascii_case("true") == found.is_none());
        }
        let Some(found) = found else {
            return match self.each {
                Each::One => self.if_exists || self.negated,
                Each::All => true,
                Each::Any => self.if_exists,
            };
        };
        let holds = |value: &String| self.values.iter().any(|wanted| self.test.compare(wanted, value)) != self.negated;
        match self.each {
            Each::One | Each::All => found.iter().all(holds),
            Each::Any => found.iter().any(holds),
        }
    }
}

impl Test {
    /// Whether it can hold of such values.
    const fn fits(self, of: Holds) -> bool {
        match self {
            Self::Text | Self::AnyCase | Self::Like | Self::Null => true,
            Self::Bool => matches!(of, Holds::Text),
            Self::Arn => matches!(of, Holds::Arns),
            Self::Number(_) => matches!(of, Holds::Numbers | Holds::Seconds),
            Self::Date(_) => matches!(of, Holds::Instants | Holds::Seconds),
        }
    }

    /// Whether something can be compared with a value.
    fn takes(self, wanted: &str) -> bool {
        match self {
            Self::Text | Self::AnyCase | Self::Like => true,
            Self::Arn => wanted.split(':').count() >= ARN_PARTS,
            Self::Number(_) => number(wanted).is_some(),
            Self::Date(_) => date(wanted).is_some(),
            Self::Bool | Self::Null => wanted.eq_ignore_ascii_case("true") || wanted.eq_ignore_ascii_case("false"),
        }
    }

    fn compare(self, wanted: &str, found: &str) -> bool {
        match self {
            Self::Text => wanted == found,
            Self::AnyCase => wanted.to_lowercase() == found.to_lowercase(),
            Self::Like => glob(wanted, found),
            Self::Arn => arn(wanted, found),
            Self::Bool | Self::Null => wanted.eq_ignore_ascii_case(found),
            Self::Number(order) => {
                order.holds(number(found).zip(number(wanted)).and_then(|(found, wanted)| found.partial_cmp(&wanted)))
            }
            Self::Date(order) => order.holds(date(found).zip(date(wanted)).map(|(found, wanted)| found.cmp(&wanted))),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// As RFC 3339 has it, or seconds since 1970: nine digits at least, since fewer are rather meant as a year or a day.
fn date(text: &str) -> Option<Timestamp> {
    let epoch = text.parse::<i64>().ok().filter(|secs| *secs >= 100_000_000);
    epoch.map(|secs| Timestamp { secs, nanos: 0 }).or_else(|| parse_rfc3339(text).ok())
}

/// One value or a list of some, as text.
fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Array(list) if !list.is_empty() => list.iter().map(text).collect(),
        Value::Array(_) => None,
        one => text(one).map(|one| vec![one]),
    }
}
