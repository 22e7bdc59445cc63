//! Policies: documents of statements that allow or deny, and what they say of a request (IAM-1, IAM-7, IAM-8).
//!
//! Pure: a document is read once, strictly, so that a statement which could never hold is refused where it is written; then it
//! is asked. What an owner may without any policy is not its business.

mod condition;
mod pattern;

use self::condition::Condition;
use self::pattern::glob;
use crate::model::{Error, Kind, Result};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;

/// Bytes of a document at most (BPOL-1, VAULT-1).
pub const POLICY_BYTES_MAX: usize = 20 << 10;

/// What statements say of a request: any `Deny` counts for more than every `Allow` (IAM-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Opinion {
    /// No statement is about it.
    Silent,
    /// One allows it.
    Allow,
    /// One denies it.
    Deny,
}

/// A request, as statements see it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The ARN of who asks; nobody has none.
    pub principal: Option<&'a str>,
    /// What is asked for, such as `glacier:DeleteArchive`.
    pub action: &'a str,
    /// The ARN of what it is about.
    pub resource: &'a str,
    /// What else is known of it, by condition key in small letters. A key that is not known has no entry.
    pub context: &'a [(String, Vec<String>)],
}

/// What a service's policies may speak of.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'a> {
    /// Its actions.
    pub actions: &'a [&'a str],
    /// Its condition keys and what their values are; a key that ends in `/` stands for all that begin with it.
    pub keys: &'a [(&'a str, Holds)],
    /// The ARN of what the policy is attached to.
    pub resource: &'a str,
    /// The ARNs of all who could ever ask; empty for anybody.
    pub askers: &'a [&'a str],
}

/// What the values of a condition key are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Text, or a word for true and false.
    Text,
    /// Numbers.
    Numbers,
    /// Instants, as RFC 3339 has them.
    Instants,
    /// Instants as seconds since 1970.
    Seconds,
    /// ARNs.
    Arns,
}

/// A policy that was read.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Clone, PartialEq, Debug)]
struct Statement {
    sid: Option<String>,
    opinion: Opinion,
    principals: Principals,
    actions: Patterns,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

/// `X` or `NotX`.
#[derive(Clone, PartialEq, Debug)]
struct Patterns {
    but: bool,
    list: Vec<String>,
}

#[derive(Clone, PartialEq, Debug)]
struct Principals {
    but: bool,
    list: Vec<Who>,
}

#[derive(Clone, PartialEq, Debug)]
enum Who {
    Everyone,
    /// Everybody of an account.
    Account(String),
    One(String),
}

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    /// [`Kind::MalformedPolicy`], naming the statement, for what is no policy (BPOL-2), or could never say anything: elements,
    /// operators, condition keys, actions or resources that are not in `of`.
    pub fn parse(text: &str, of: &Vocabulary<'_>) -> Result<Self> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(malformed(format!("it has {} bytes, {POLICY_BYTES_MAX} is the limit", text.len())));
        }
        let no_json = |error| malformed(format!("it is no JSON: {error}"));
        serde_json::from_str::<NoRepeats>(text).map_err(no_json)?;
        let document: Value = serde_json::from_str(text).map_err(no_json)?;
        if document.to_string().contains("${") {
            return Err(malformed("it has a policy variable, `${...}`, which is not understood here"));
        }
        let document = document.as_object().ok_or_else(|| malformed("it is no JSON object"))?;
        only(document, &["Version", "Id", "Statement"], "the policy")?;
        match document.get("Version").map(Value::as_str) {
            None | Some(Some("2012-10-17" | "2008-10-17")) => {}
            _ => return Err(malformed("its Version is neither 2012-10-17 nor 2008-10-17")),
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err(malformed("it has no Statement")),
        };
        let read = |(at, value): (usize, &Value)| {
            Statement::parse(value, of).map_err(|why| malformed(format!("statement {}: {why}", at + 1)))
        };
        Ok(Self { statements: statements.into_iter().enumerate().map(read).collect::<Result<_>>()? })
    }

    /// What it says of a request, and the `Sid` of the statement that decided, if it has one.
    #[must_use]
    pub fn ask(&self, request: &Request<'_>) -> (Opinion, Option<&str>) {
        let about = self.statements.iter().filter(|statement| statement.is_about(request));
        let strongest = about.max_by_key(|statement| statement.opinion);
        strongest.map_or((Opinion::Silent, None), |statement| (statement.opinion, statement.sid.as_deref()))
    }
}

/// JSON in which no object has a key twice: of two, one would be silently forgotten.
struct NoRepeats;

impl<'de> serde::Deserialize<'de> for NoRepeats {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NoRepeats {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some((key, Self)) = map.next_entry::<String, Self>()? {
            if let Some(key) = seen.replace(key) {
                return Err(serde::de::Error::custom(format!("the key {key:?} stands there twice")));
            }
        }
        Ok(self)
    }
}

type Read<T> = std::result::Result<T, String>;

impl Statement {
    fn parse(value: &Value, of: &Vocabulary<'_>) -> Read<Self> {
        const ELEMENTS: [&str; 8] =
            ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "Condition"];
        let map = value.as_object().ok_or("it is no JSON object")?;
        only(map, &ELEMENTS, "it").map_err(|error| error.reason().to_owned())?;
        let sid = match map.get("Sid") {
            None => None,
            Some(Value::String(sid)) => Some(sid.clone()),
            Some(_) => return Err("its Sid is no string".into()),
        };
        let opinion = match map.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Opinion::Allow,
            Some("Deny") => Opinion::Deny,
            _ => return Err("its Effect is neither Allow nor Deny".into()),
        };
        let actions = Patterns::parse(map, "Action", "NotAction")?;
        if let Some(unknown) = actions.list.iter().find(|one| !of.actions.iter().any(|action| names(one, action))) {
            return Err(format!("no action here is meant by {unknown:?}; there are {}", of.actions.join(", ")));
        }
        let resources =
            map.get("Resource").and_then(strings).ok_or("it has no Resource, a string or a list of strings")?;
        if let Some(unknown) = resources.iter().find(|one| !glob(one, of.resource)) {
            return Err(format!("{unknown:?} does not mean {}, to which the policy belongs", of.resource));
        }
        let conditions = match map.get("Condition") {
            None => Vec::new(),
            Some(value) => Condition::parse(value, of.keys)?,
        };
        let principals = Principals::parse(map)?;
        if opinion == Opinion::Deny {
            if !of.actions.iter().any(|action| actions.mean(|pattern| names(pattern, action))) {
                return Err("it denies no action that there is here".into());
            }
            if !of.askers.is_empty() && !of.askers.iter().any(|who| principals.mean(Some(who))) {
                return Err(format!("it denies nobody who could ask, who is {}", of.askers.join(", ")));
            }
        }
        Ok(Self { sid, opinion, principals, actions, resources, conditions })
    }

    fn is_about(&self, request: &Request<'_>) -> bool {
        self.principals.mean(request.principal)
            && self.actions.mean(|pattern| names(pattern, request.action))
            && self.resources.iter().any(|pattern| glob(pattern, request.resource))
            && self.conditions.iter().all(|condition| condition.holds(request.context))
    }
}

/// Whether a pattern names an action, in whatever letters (IAM-8).
fn names(pattern: &str, action: &str) -> bool {
    glob(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

impl Patterns {
    fn parse(map: &Map<String, Value>, name: &str, but: &str) -> Read<Self> {
        let (value, is_but) = either(map, name, but)?;
        let list = strings(value).ok_or_else(|| format!("its {name} is neither a string nor a list of strings"))?;
        Ok(Self { but: is_but, list })
    }

    fn mean(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.list.iter().any(|pattern| matches(pattern)) != self.but
    }
}

impl Principals {
    fn parse(map: &Map<String, Value>) -> Read<Self> {
        let (value, but) = either(map, "Principal", "NotPrincipal")?;
        let list = match value {
            Value::String(text) if text == "*" => vec![Who::Everyone],
            Value::Object(kinds) if kinds.len() == 1 => {
                let names =
                    kinds.get("AWS").and_then(strings).ok_or("only principals of the kind AWS are known here")?;
                names.into_iter().map(Who::parse).collect::<Read<_>>()?
            }
            _ => return Err("its Principal is neither \"*\" nor {\"AWS\": ...}".into()),
        };
        Ok(Self { but, list })
    }

    fn mean(&self, who: Option<&str>) -> bool {
        self.list.iter().any(|one| one.is(who)) != self.but
    }
}

impl Who {
    /// BPOL-3
    fn parse(text: String) -> Read<Self> {
        if text == "*" {
            return Ok(Self::Everyone);
        }
        let account = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
        if account(&text) {
            return Ok(Self::Account(text));
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts.as_slice() {
            ["arn", "aws", "iam", "", id, "root"] if account(id) => Ok(Self::Account((*id).to_owned())),
            ["arn", "aws", "iam", "", id, name] if account(id) && !name.contains(['*', '?']) => Ok(Self::One(text)),
            _ => Err(format!(
                "{text:?} names no principal: an account, or an ARN such as arn:aws:iam::ACCOUNT:user/NAME"
            )),
        }
    }

    fn is(&self, who: Option<&str>) -> bool {
        match self {
            Self::Everyone => true,
            Self::Account(id) => who.and_then(|arn| arn.split(':').nth(4)) == Some(id),
            Self::One(arn) => who == Some(arn),
        }
    }
}

/// The one of two elements that is there, and whether it is the second.
fn either<'a>(map: &'a Map<String, Value>, name: &str, but: &str) -> Read<(&'a Value, bool)> {
    match (map.get(name), map.get(but)) {
        (Some(value), None) => Ok((value, false)),
        (None, Some(value)) => Ok((value, true)),
        (None, None) => Err(format!("it has no {name}")),
        (Some(_), Some(_)) => Err(format!("it has both {name} and {but}")),
    }
}

/// One string or a list of some.
fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) if !list.is_empty() => list.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn only(map: &Map<String, Value>, known: &[&str], what: &str) -> Result<()> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(malformed(format!("{what} has an element {key:?}, which is not understood"))),
        None => Ok(()),
    }
}

fn malformed(why: impl Into<String>) -> Error {
    Error::new(Kind::MalformedPolicy, "cannot take the policy")
        .why(why.into())
        .mend("write it as IAM's policy language has it")
}

#[cfg(test)]
mod tests {
    use super::{Holds, Kind, Opinion, POLICY_BYTES_MAX, Policy, Request, Vocabulary};
    use serde_json::{Value, json};

    /// Condition keys and their values.
    type Known<'a> = &'a [(&'a str, &'a [&'a str])];

    const ROOT: &str = "arn:aws:iam::000000000000:root";
    const ANNA: &str = "arn:aws:iam::000000000000:user/anna";
    const OF: Vocabulary<'_> = Vocabulary {
        actions: &["s:Get", "s:Put", "s:Drop"],
        keys: &[
            ("s:age", Holds::Numbers),
            ("s:tag/", Holds::Text),
            ("aws:CurrentTime", Holds::Instants),
            ("aws:PrincipalArn", Holds::Arns),
        ],
        resource: "arn:x",
        askers: &[],
    };

    fn read(statements: &Value) -> crate::model::Result<Policy> {
        Policy::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string(), &OF)
    }

    fn ask(statements: &Value, who: Option<&str>, action: &str, context: Known<'_>) -> Opinion {
        let owned = |(key, values): &(&str, &[&str])| {
            ((*key).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        };
        let context: Vec<(String, Vec<String>)> = context.iter().map(owned).collect();
        let request = Request { principal: who, action, resource: "arn:x", context: &context };
        read(statements).unwrap().ask(&request).0
    }

    #[test]
    fn iam_1_a_deny_counts_for_more_than_every_allow() {
        let all = json!([
            {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Principal": "*", "Action": "s:Drop", "Resource": "arn:x"},
            {"Effect": "Allow", "Principal": "*", "Action": "s:Drop", "Resource": "arn:x"},
        ]);
        assert_eq!(ask(&all, None, "s:Get", &[]), Opinion::Allow);
        assert_eq!(ask(&all, Some(ROOT), "s:Drop", &[]), Opinion::Deny);
        assert_eq!(ask(&json!([all[1]]), Some(ROOT), "s:Get", &[]), Opinion::Silent);
    }

    #[test]
    fn iam_7_iam_8_elements_and_their_opposites() {
        let one = |extra: Value| {
            let mut statement = json!({"Effect": "Deny"});
            statement.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            statement
        };
        let cases = [
            (json!({"Principal": "*", "Action": "S:g?T", "Resource": "arn:*"}), Some(ANNA), "s:Get", true),
            (json!({"Principal": "*", "Action": ["s:Put", "s:Drop"], "Resource": "*"}), Some(ANNA), "s:Get", false),
            (json!({"Principal": "*", "NotAction": "s:Get", "Resource": "*"}), Some(ANNA), "s:Get", false),
            (json!({"Principal": "*", "NotAction": "s:Get", "Resource": "*"}), Some(ANNA), "s:Put", true),
            (json!({"Principal": {"AWS": ANNA}, "Action": "*", "Resource": "*"}), Some(ANNA), "s:Put", true),
            (json!({"Principal": {"AWS": ANNA}, "Action": "*", "Resource": "*"}), Some(ROOT), "s:Put", false),
            (json!({"Principal": {"AWS": [ROOT]}, "Action": "*", "Resource": "*"}), Some(ANNA), "s:Put", true),
            (json!({"Principal": {"AWS": "000000000000"}, "Action": "*", "Resource": "*"}), None, "s:Put", false),
            (json!({"NotPrincipal": {"AWS": ANNA}, "Action": "*", "Resource": "*"}), Some(ANNA), "s:Put", false),
            (json!({"NotPrincipal": {"AWS": ANNA}, "Action": "*", "Resource": "*"}), Some(ROOT), "s:Put", true),
        ];
        for (statement, who, action, denied) in cases {
            let opinion = ask(&json!([one(statement.clone())]), who, action, &[]);
            assert_eq!(opinion == Opinion::Deny, denied, "{statement} {who:?} {action}");
        }
    }

    #[test]
    fn iam_10_to_iam_12_conditions() {
        let cases: &[(Value, Known<'_>, bool)] = &[
            (json!({"NumericLessThanEquals": {"s:age": "365"}}), &[("s:age", &["365"])], true),
            (json!({"NumericLessThanEquals": {"s:age": 365}}), &[("s:age", &["366"])], false),
            (json!({"NumericLessThan": {"s:age": 10}}), &[], false),
            (json!({"NumericLessThanIfExists": {"s:age": 10}}), &[], true),
            (json!({"NumericNotEquals": {"s:age": 10}}), &[], true),
            (json!({"NumericGreaterThan": {"s:age": "9"}}), &[("s:age", &["10"])], true),
            (json!({"StringEquals": {"s:tag/Hold": ["true", "yes"]}}), &[("s:tag/hold", &["yes"])], true),
            (json!({"StringEquals": {"s:tag/Hold": "true"}}), &[("s:tag/hold", &["True"])], false),
            (json!({"StringEqualsIgnoreCase": {"s:tag/Hold": "true"}}), &[("s:tag/hold", &["True"])], true),
            (json!({"StringNotEquals": {"s:tag/Hold": ["a", "b"]}}), &[("s:tag/hold", &["b"])], false),
            (json!({"StringNotEquals": {"s:tag/Hold": ["a", "b"]}}), &[], true),
            (json!({"StringLike": {"s:tag/Hold": "t*e"}}), &[("s:tag/hold", &["t/r/e"])], true),
            (json!({"StringNotLike": {"s:tag/Hold": "t*e"}}), &[("s:tag/hold", &["true"])], false),
            (json!({"Null": {"s:tag/Hold": "true"}}), &[], true),
            (json!({"Null": {"s:tag/Hold": false}}), &[("s:tag/hold", &["x"])], true),
            (json!({"Null": {"s:tag/Hold": "true"}}), &[("s:tag/hold", &["x"])], false),
            (json!({"Bool": {"s:tag/Hold": true}}), &[("s:tag/hold", &["TRUE"])], true),
            (
                json!({"DateLessThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}}),
                &[("aws:currenttime", &["2026-12-31T23:59:59Z"])],
                true,
            ),
            (
                json!({"DateGreaterThan": {"aws:CurrentTime": "1798761600"}}),
                &[("aws:currenttime", &["2026-12-31T23:59:59Z"])],
                false,
            ),
            (json!({"ForAllValues:StringEquals": {"s:tag/a": ["x", "y"]}}), &[("s:tag/a", &["x", "y"])], true),
            (json!({"ForAllValues:StringEquals": {"s:tag/a": ["x"]}}), &[("s:tag/a", &["x", "y"])], false),
            (json!({"ForAllValues:StringEquals": {"s:tag/a": ["x"]}}), &[], true),
            (json!({"ForAnyValue:StringEquals": {"s:tag/a": ["y"]}}), &[("s:tag/a", &["x", "y"])], true),
            (json!({"ForAnyValue:StringNotEquals": {"s:tag/a": ["y"]}}), &[], false),
            (
                json!({"NumericLessThan": {"s:age": 5}, "StringEquals": {"s:tag/a": "x"}}),
                &[("s:age", &["4"]), ("s:tag/a", &["z"])],
                false,
            ),
        ];
        for (condition, context, holds) in cases {
            let statement =
                json!([{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*", "Condition": condition}]);
            assert_eq!(
                ask(&statement, Some(ROOT), "s:Drop", context) == Opinion::Deny,
                *holds,
                "{condition} {context:?}"
            );
        }
    }

    #[test]
    fn iam_13_arn_like_matches_part_by_part() {
        let asked = |operator: &str, pattern: &str| {
            let statement = json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*",
                "Condition": {operator: {"aws:PrincipalArn": pattern}}});
            let policy = Policy::parse(&json!({"Statement": statement}).to_string(), &OF).unwrap();
            let context = [("aws:principalarn".to_owned(), vec![ANNA.to_owned()])];
            policy.ask(&Request { principal: Some(ANNA), action: "s:Get", resource: "arn:x", context: &context }).0
        };
        assert_eq!(asked("ArnLike", "arn:aws:iam::*:user/*"), Opinion::Deny);
        assert_eq!(asked("ArnLike", "arn:aws:*:*:*:role/*"), Opinion::Silent);
        assert_eq!(asked("StringLike", "arn:*:user/*"), Opinion::Deny);
        assert_eq!(asked("ArnNotEquals", ANNA), Opinion::Silent);
    }

    #[test]
    fn bpol_1_bpol_2_what_could_never_say_anything_is_refused() {
        let good = json!({"Effect": "Deny", "Principal": "*", "Action": "s:Get", "Resource": "arn:x"});
        assert!(read(&good).is_ok());
        let with = |key: &str, value: Value| {
            let mut bad = good.clone();
            bad[key] = value;
            json!([bad])
        };
        let bad = [
            json!([]),
            json!(7),
            with("Effect", json!("deny")),
            with("Action", json!("s:Gett")),
            with("Action", json!([])),
            with("Resource", json!("arn:y")),
            with("Resource", json!("arn:${x}")),
            with("Principal", json!({"Service": "x"})),
            with("Principal", json!({"AWS": "anna"})),
            with("Principal", json!({"AWS": "arn:aws:iam::000000000000:user/*"})),
            with("NotAction", json!("s:Get")),
            with("NotResource", json!("arn:y")),
            json!([{"Effect": "Deny", "Principal": "*", "NotAction": "s:*", "Resource": "arn:x"}]),
            with("Condition", json!({"StringEquals": {"s:tag/a": "${aws:username}"}})),
            with("Condition", json!({"DateLessThan": {"aws:CurrentTime": "2030"}})),
            with("Condition", json!({"DateLessThan": {"aws:CurrentTime": "20300101"}})),
            with("Condition", json!({"NumericLessThan": {"aws:CurrentTime": 2_000_000_000}})),
            with("Condition", json!({"Bool": {"s:age": true}})),
            with("Condition", json!({"ArnLike": {"aws:PrincipalArn": "*"}})),
            with("Condition", json!({"ArnLike": {"s:tag/a": "arn:aws:iam::*:user/*"}})),
            with("Conditions", json!({})),
            with("Sid", json!(1)),
            with("Condition", json!({"NumericLess": {"s:age": 1}})),
            with("Condition", json!({"NumericLessThan": {"s:ages": 1}})),
            with("Condition", json!({"NumericLessThan": {"s:age": "ten"}})),
            with("Condition", json!({"NumericLessThan": {"s:age": "NaN"}})),
            with("Condition", json!({"NumericLessThan": {"s:age": []}})),
            with("Condition", json!({"DateLessThan": {"aws:CurrentTime": "soon"}})),
            with("Condition", json!({"Null": {"s:age": "maybe"}})),
            with("Condition", json!({"NullIfExists": {"s:age": "true"}})),
            with("Condition", json!({"StringEquals": {"s:tag/": "x"}})),
            with("Condition", json!([])),
        ];
        for statements in bad {
            assert_eq!(read(&statements).unwrap_err().kind(), Kind::MalformedPolicy, "{statements}");
        }
        // Of two keys alike one would be forgotten.
        let twice = [
            r#"{"Statement": GOOD, "Statement": GOOD}"#,
            r#"{"Statement": {"Action": "s:Put", "Effect": "Deny", "Principal": "*", "Action": "s:Get", "Resource": "*"}}"#,
        ];
        for text in twice.map(|text| text.replace("GOOD", &good.to_string())) {
            let refused = Policy::parse(&text, &OF).unwrap_err();
            assert!(refused.reason().contains("twice"), "{refused}");
        }
        let only_root = Vocabulary { askers: &[ROOT], ..OF };
        for (who, taken) in [
            (json!("*"), true),
            (json!({"AWS": ["000000000000", ANNA]}), true),
            (json!({"AWS": ANNA}), false),
            (json!({"AWS": "111122223333"}), false),
        ] {
            let document = json!({"Statement": with("Principal", who.clone())});
            assert_eq!(Policy::parse(&document.to_string(), &only_root).is_ok(), taken, "{who}");
        }
        for text in ["", "[]", "{}", "{\"Statement\": {}, \"Version\": \"2020-01-01\"}"] {
            assert_eq!(Policy::parse(text, &OF).unwrap_err().kind(), Kind::MalformedPolicy, "{text}");
        }
        let long = json!({"Id": "x".repeat(POLICY_BYTES_MAX), "Statement": good}).to_string();
        assert_eq!(Policy::parse(&long, &OF).unwrap_err().kind(), Kind::MalformedPolicy);
    }
}
