//! The `object-lock` document: a bucket's object lock as `aws s3api` prints it and takes it (LOCK-1, LOCK-8).

use crate::model::{BucketLock, DefaultRetention, Error, Kind, Period, Result, RetentionMode};
use serde_json::{Map, Value, json};

/// The word for a bucket that has object lock; there is no other.
const ENABLED: &str = "Enabled";
/// What `aws` prints around it.
const AROUND: &str = "ObjectLockConfiguration";
/// How it is written, for those who wrote it otherwise.
pub(super) const EXAMPLE: &str =
    r#"{"ObjectLockEnabled":"Enabled","Rule":{"DefaultRetention":{"Mode":"GOVERNANCE","Days":30}}}"#;

fn bad(why: impl Into<String>) -> Error {
    Error::new(Kind::InvalidArgument, "cannot set the bucket's object-lock")
        .why(why.into())
        .mend(format!("write it as `aws s3api` takes it, for example {EXAMPLE}"))
}

fn only(members: &Map<String, Value>, known: &[&str]) -> Result<()> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(bad(format!("the member {name:?} is unknown"))),
    }
}

fn members<'a>(value: &'a Value, name: &str) -> Result<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| bad(format!("{name} is a JSON object")))
}

/// Reads the document, with or without the name that is printed around it.
///
/// # Errors
/// [`Kind::InvalidArgument`] for what is none, [`Kind::InvalidRetentionPeriod`] for a period that no bucket has (LOCK-8).
pub(super) fn parse(value: &Value) -> Result<BucketLock> {
    let value = value.get(AROUND).filter(|_| value.as_object().is_some_and(|all| all.len() == 1)).unwrap_or(value);
    let all = members(value, AROUND)?;
    only(all, &["ObjectLockEnabled", "Rule"])?;
    if all.get("ObjectLockEnabled").and_then(Value::as_str) != Some(ENABLED) {
        return Err(bad("ObjectLockEnabled is Enabled: object lock is never switched off (LOCK-1)"));
    }
    let Some(rule) = all.get("Rule") else { return Ok(BucketLock { default: None }) };
    let rule = members(rule, "Rule")?;
    only(rule, &["DefaultRetention"])?;
    let default = rule.get("DefaultRetention").ok_or_else(|| bad("Rule has no DefaultRetention"))?;
    let default = members(default, "DefaultRetention")?;
    only(default, &["Mode", "Days", "Years"])?;
    let mode = default.get("Mode").and_then(Value::as_str).ok_or_else(|| bad("DefaultRetention has no Mode"))?;
    let mode = RetentionMode::parse(mode)?;
    let number =
        |name: &str| default.get(name).map(|value| value.as_i64().ok_or_else(|| bad(format!("{name} is a number"))));
    let period = match (number("Days").transpose()?, number("Years").transpose()?) {
        (Some(days), None) => u32::try_from(days).ok().map(Period::Days),
        (None, Some(years)) => u32::try_from(years).ok().map(Period::Years),
        _ => return Err(bad("DefaultRetention has either Days or Years (LOCK-8)")),
    };
    let period = period.filter(|period| period.is_allowed()).ok_or_else(super::locks::bad_period)?;
    Ok(BucketLock { default: Some(DefaultRetention { mode, period }) })
}

/// The document of a bucket that has object lock, as it is printed.
pub(super) fn print(lock: BucketLock) -> String {
    let mut value = json!({ "ObjectLockEnabled": ENABLED });
    if let Some(DefaultRetention { mode, period }) = lock.default {
        let mut default = json!({ "Mode": mode.name() });
        match period {
            Period::Days(days) => default["Days"] = days.into(),
            Period::Years(years) => default["Years"] = years.into(),
        }
        value["Rule"] = json!({ "DefaultRetention": default });
    }
    let text = serde_json::to_string_pretty(&json!({ AROUND: value })).unwrap_or_default();
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::{EXAMPLE, parse, print};
    use crate::model::Kind;
    use serde_json::{Value, json};

    #[test]
    fn lock_8_a_default_has_a_mode_and_days_or_years() {
        let read = |text: &str| parse(&serde_json::from_str::<Value>(text).unwrap());
        let lock = read(EXAMPLE).unwrap();
        assert_eq!(parse(&serde_json::from_str(&print(lock)).unwrap()).unwrap(), lock);
        assert_eq!(read(r#"{"ObjectLockEnabled":"Enabled"}"#).unwrap().default, None);
        let refused = |default: Value| {
            let rule = json!({ "ObjectLockEnabled": "Enabled", "Rule": { "DefaultRetention": default } });
            parse(&rule).unwrap_err().kind()
        };
        for default in [
            json!({ "Mode": "GOVERNANCE", "Days": 1, "Years": 1 }),
            json!({ "Mode": "GOVERNANCE" }),
            json!({ "Mode": "governance", "Days": 1 }),
            json!({ "Mode": "abc", "Years": 1 }),
            json!({ "Days": 1 }),
            json!({ "Mode": "COMPLIANCE", "Days": "1" }),
            json!({ "Mode": "COMPLIANCE", "Days": 1, "Weeks": 1 }),
            json!(null),
        ] {
            assert_eq!(refused(default.clone()), Kind::InvalidArgument, "{default}");
        }
        for default in [
            json!({ "Mode": "GOVERNANCE", "Days": 0 }),
            json!({ "Mode": "GOVERNANCE", "Days": 36_501 }),
            json!({ "Mode": "GOVERNANCE", "Years": -1 }),
            json!({ "Mode": "GOVERNANCE", "Years": 101 }),
            json!({ "Mode": "GOVERNANCE", "Days": 1_i64 << 40 }),
        ] {
            assert_eq!(refused(default.clone()), Kind::InvalidRetentionPeriod, "{default}");
        }
        for text in [
            "{}",
            "[]",
            "1",
            r#"{"ObjectLockEnabled":"Disabled"}"#,
            r#"{"ObjectLockEnabled":"Enabled","Rule":{}}"#,
            r#"{"ObjectLockEnabled":"Enabled","Rule":1}"#,
            r#"{"ObjectLockEnabled":"Enabled","Other":1}"#,
        ] {
            assert_eq!(read(text).unwrap_err().kind(), Kind::InvalidArgument, "{text}");
        }
    }
}
