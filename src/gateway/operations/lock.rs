//! Object lock: a bucket's configuration, retention and legal hold of versions, and what requests say of both (LOCK).

use super::super::auth::principal_of;
use super::super::bridge::Bridge;
use super::super::error::{invalid, refused, told};
use super::conditions::instant;
use super::settings::{document, told_of};
use super::{object_key, time, version_id};
use crate::access::{Access, Principal, Resource};
use crate::model::{
    Bucket, Error, Kind, Leave, ObjectKey, ObjectLock, Result, Retention, RetentionMode, VersionId, parse_hold,
    show_hold,
};
use crate::store::{Locked, Promise, Store};
use hyper::StatusCode;
use s3s::dto::{
    DefaultRetention, GetObjectLegalHoldInput, GetObjectLegalHoldOutput, GetObjectLockConfigurationInput,
    GetObjectLockConfigurationOutput, GetObjectRetentionInput, GetObjectRetentionOutput, ObjectLockConfiguration,
    ObjectLockEnabled, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockRetention, ObjectLockRetentionMode,
    ObjectLockRule, PutObjectLegalHoldInput, PutObjectLegalHoldOutput, PutObjectLockConfigurationInput,
    PutObjectLockConfigurationOutput, PutObjectRetentionInput, PutObjectRetentionOutput, Timestamp,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};
use serde_json::{Value, json};

const GET_RETENTION: &str = "s3:GetObjectRetention";
const GET_HOLD: &str = "s3:GetObjectLegalHold";
const PUT_RETENTION: &str = "s3:PutObjectRetention";
const PUT_HOLD: &str = "s3:PutObjectLegalHold";
const BYPASS: &str = "s3:BypassGovernanceRetention";

fn malformed() -> S3Error {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    refused(StatusCode::BAD_REQUEST, "MalformedXML", message)
}

/// What an upload says of its object's lock.
pub(super) fn said(mode: Option<&str>, until: Option<&Timestamp>, hold: Option<&str>) -> S3Result<ObjectLock> {
    let retention = match (mode.filter(|mode| !mode.is_empty()), until) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let mode = RetentionMode::parse(mode).map_err(|_| invalid("Unknown wormMode directive."))?;
            let until = instant(until).ok_or_else(|| invalid("x-amz-object-lock-retain-until-date is no instant"))?;
            Some(Retention { mode, until })
        }
        // LOCK-10.
        _ => {
            let message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
            return Err(invalid(message));
        }
    };
    let hold = hold.filter(|hold| !hold.is_empty()).map(parse_hold).transpose().map_err(|error| told(&error))?;
    Ok(ObjectLock { retention, hold })
}

/// What an input of the protocol says of its object's lock.
macro_rules! lock_of {
    ($input:expr) => {
        $crate::gateway::operations::lock::said(
            $input.object_lock_mode.as_ref().map(|mode| mode.as_str()),
            $input.object_lock_retain_until_date.as_ref(),
            $input.object_lock_legal_hold_status.as_ref().map(|hold| hold.as_str()),
        )
    };
}
pub(super) use lock_of;

/// Puts what is known of an object's lock into an output of the protocol.
macro_rules! show_lock {
    ($output:expr, $lock:expr) => {{
        let shown = $crate::gateway::operations::lock::shown($lock);
        $output.object_lock_mode = shown.0.map(|mode| s3s::dto::ObjectLockMode::from_static(mode));
        $output.object_lock_retain_until_date = shown.1;
        $output.object_lock_legal_hold_status =
            shown.2.map(|hold| s3s::dto::ObjectLockLegalHoldStatus::from_static(hold));
    }};
}
pub(super) use show_lock;

/// Mode, date and hold as answers have them.
pub(super) fn shown(lock: ObjectLock) -> (Option<&'static str>, Option<Timestamp>, Option<&'static str>) {
    let retention = lock.retention;
    (retention.map(|it| it.mode.name()), retention.map(|it| time(it.until)), lock.hold.map(show_hold))
}

/// Who asks, for what is asked of it beside the operation's own permission.
#[derive(Clone)]
pub(super) struct Asker {
    access: std::sync::Arc<Access>,
    principal: Principal,
}

impl Asker {
    pub(super) fn of<T>(bridge: &Bridge, request: &S3Request<T>) -> Self {
        Self { access: bridge.access(), principal: principal_of(request) }
    }

    fn may(&self, action: &str, bucket: &str, key: &ObjectKey) -> Result<()> {
        self.access.authorize(&self.principal, action, Resource::Object(bucket, key.as_str()))
    }

    /// LOCK-17: what of a lock may be told.
    pub(super) fn sees(&self, bucket: &str, key: &ObjectKey, lock: ObjectLock) -> ObjectLock {
        ObjectLock {
            retention: lock.retention.filter(|_| self.may(GET_RETENTION, bucket, key).is_ok()),
            hold: lock.hold.filter(|_| self.may(GET_HOLD, bucket, key).is_ok()),
        }
    }

    /// Whether a new object may be given this lock.
    pub(super) fn may_set(&self, bucket: &str, key: &ObjectKey, lock: ObjectLock) -> Result<()> {
        if lock.retention.is_some() {
            self.may(PUT_RETENTION, bucket, key)?;
        }
        if lock.hold.is_some() { self.may(PUT_HOLD, bucket, key) } else { Ok(()) }
    }

    /// LOCK-4: the explicit word counts with the right to it only. `mfa` is whether a code was taken.
    pub(super) fn leave(&self, bypass: Option<bool>, mfa: bool, bucket: &str, key: &ObjectKey) -> Leave {
        Leave { governance: bypass == Some(true) && self.may(BYPASS, bucket, key).is_ok(), mfa }
    }

    /// Takes the code of an `x-amz-mfa` header where the bucket asks for one; whether it did (MFA-4).
    pub(super) fn factor(&self, bucket: &Bucket, mfa: Option<&str>) -> Result<bool> {
        let Some(text) = mfa.filter(|_| bucket.mfa_delete == Some(true)) else { return Ok(false) };
        self.access.take_code(&self.principal, text).map(|()| true)
    }

    /// Takes a code, whatever the bucket says of it.
    pub(super) fn take_code(&self, text: &str) -> Result<()> {
        self.access.take_code(&self.principal, text)
    }
}

/// LOCK-16: what comes to be retained is compared with what its sender has.
pub(super) fn need_promise(store: &Store, bucket: &str, lock: ObjectLock, promise: &Promise) -> Result<()> {
    let promised = promise.md5.is_some() || !promise.sums.is_empty() || promise.trailer.is_some();
    let locks = || -> Result<bool> {
        let default = store.bucket(bucket)?.lock.and_then(|lock| lock.default);
        Ok(lock != ObjectLock::NONE || default.is_some())
    };
    if promised || !locks()? {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidRequest, "cannot retain the object")
        .why("Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
        .mend("send a checksum with it (LOCK-16)"))
}

pub(in super::super) async fn config(
    bridge: &Bridge,
    request: S3Request<GetObjectLockConfigurationInput>,
) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
    let value = told_of(bridge, request.input.bucket, "object-lock").await?;
    if value.is_null() {
        let message = "Object Lock configuration does not exist for this bucket";
        return Err(refused(StatusCode::NOT_FOUND, Kind::NoBucketLock.s3_code(), message));
    }
    let default = &value["ObjectLockConfiguration"]["Rule"]["DefaultRetention"];
    let count = |name: &str| default[name].as_i64().and_then(|count| i32::try_from(count).ok());
    let rule = default.as_object().map(|_| ObjectLockRule {
        default_retention: Some(DefaultRetention {
            days: count("Days"),
            mode: default["Mode"].as_str().map(|mode| ObjectLockRetentionMode::from(mode.to_owned())),
            years: count("Years"),
        }),
    });
    let enabled = Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED));
    let configuration = ObjectLockConfiguration { object_lock_enabled: enabled, rule };
    Ok(S3Response::new(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) }))
}

pub(in super::super) async fn set_config(
    bridge: &Bridge,
    request: S3Request<PutObjectLockConfigurationInput>,
) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
    let input = request.input;
    let ObjectLockConfiguration { object_lock_enabled, rule } =
        input.object_lock_configuration.ok_or_else(malformed)?;
    let mut value = json!({});
    if let Some(enabled) = object_lock_enabled {
        value["ObjectLockEnabled"] = enabled.as_str().into();
    }
    if let Some(rule) = rule {
        let mut default = json!({});
        if let Some(DefaultRetention { days, mode, years }) = rule.default_retention {
            let members = [
                ("Mode", mode.map(|mode| Value::from(mode.as_str()))),
                ("Days", days.map(Value::from)),
                ("Years", years.map(Value::from)),
            ];
            for (name, member) in members {
                if let Some(member) = member {
                    default[name] = member;
                }
            }
        }
        value["Rule"] = json!({ "DefaultRetention": default });
    }
    let refusal = |error: &Error| match error.kind() {
        Kind::InvalidArgument => malformed(),
        _ => told(error),
    };
    let text = serde_json::to_vec(&value).unwrap_or_default();
    bridge
        .change(move |store| {
            let replaced =
                document("object-lock").and_then(|it| it.replace(store, &store.bucket(&input.bucket)?, &text));
            replaced.map_err(|error| refusal(&error))
        })
        .await?;
    Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
}

/// The lock of a version.
fn lock_of_version(store: &Store, bucket: &str, key: &ObjectKey, version: Option<VersionId>) -> Result<ObjectLock> {
    // LOCK-11: where there is no lock nothing is asked that needs one.
    if store.bucket(bucket)?.lock.is_none() {
        return Err(Error::new(Kind::InvalidRequest, "Bucket is missing Object Lock Configuration"));
    }
    Ok(store.get(bucket, key, version)?.lock)
}

fn none(what: &str) -> Error {
    Error::new(Kind::NoObjectLock, "The specified object does not have a ObjectLock configuration").why(what.to_owned())
}

pub(in super::super) async fn retention(
    bridge: &Bridge,
    request: S3Request<GetObjectRetentionInput>,
) -> S3Result<S3Response<GetObjectRetentionOutput>> {
    let input = request.input;
    let (key, version) = (object_key(&input.key)?, version_id(input.version_id.as_deref())?);
    let found = bridge
        .ask(move |store| {
            let lock = lock_of_version(store, &input.bucket, &key, version);
            let found = lock.and_then(|lock| lock.retention.ok_or_else(|| none("nothing retains it")));
            found.map_err(|error| told(&error))
        })
        .await?;
    let retention = ObjectLockRetention {
        mode: Some(ObjectLockRetentionMode::from_static(found.mode.name())),
        retain_until_date: Some(time(found.until)),
    };
    Ok(S3Response::new(GetObjectRetentionOutput { retention: Some(retention) }))
}

pub(in super::super) async fn set_retention(
    bridge: &Bridge,
    request: S3Request<PutObjectRetentionInput>,
) -> S3Result<S3Response<PutObjectRetentionOutput>> {
    let asker = Asker::of(bridge, &request);
    let input = request.input;
    let (key, version) = (object_key(&input.key)?, version_id(input.version_id.as_deref())?);
    let ObjectLockRetention { mode, retain_until_date } = input.retention.ok_or_else(malformed)?;
    let retention = match (mode, retain_until_date) {
        // An empty document takes the retention away, for who may.
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let mode = RetentionMode::parse(mode.as_str()).map_err(|_| malformed())?;
            Some(Retention { mode, until: instant(&until).ok_or_else(malformed)? })
        }
        _ => return Err(malformed()),
    };
    bridge
        .change(move |store| {
            let leave = asker.leave(input.bypass_governance_retention, false, &input.bucket, &key);
            let set = store.set_retention(&Locked::key(&input.bucket, &key, version), retention, leave);
            set.map_err(|error| told(&error))
        })
        .await?;
    Ok(S3Response::new(PutObjectRetentionOutput::default()))
}

pub(in super::super) async fn legal_hold(
    bridge: &Bridge,
    request: S3Request<GetObjectLegalHoldInput>,
) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
    let input = request.input;
    let (key, version) = (object_key(&input.key)?, version_id(input.version_id.as_deref())?);
    let found = bridge
        .ask(move |store| {
            let lock = lock_of_version(store, &input.bucket, &key, version);
            let found = lock.and_then(|lock| lock.hold.ok_or_else(|| none("nobody said whether it is held")));
            found.map_err(|error| told(&error))
        })
        .await?;
    let hold = ObjectLockLegalHold { status: Some(ObjectLockLegalHoldStatus::from_static(show_hold(found))) };
    Ok(S3Response::new(GetObjectLegalHoldOutput { legal_hold: Some(hold) }))
}

pub(in super::super) async fn set_legal_hold(
    bridge: &Bridge,
    request: S3Request<PutObjectLegalHoldInput>,
) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
    let input = request.input;
    let (key, version) = (object_key(&input.key)?, version_id(input.version_id.as_deref())?);
    let status = input.legal_hold.and_then(|hold| hold.status).ok_or_else(malformed)?;
    let hold = parse_hold(status.as_str()).map_err(|_| malformed())?;
    bridge
        .change(move |store| {
            let set = store.set_legal_hold(&Locked::key(&input.bucket, &key, version), Some(hold));
            set.map_err(|error| told(&error))
        })
        .await?;
    Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
}

#[cfg(test)]
mod tests {
    use super::said;
    use crate::model::{ObjectLock, RetentionMode};
    use s3s::dto::{Timestamp, TimestampFormat};

    #[test]
    fn lock_10_a_mode_and_a_date_come_together() {
        let until = Timestamp::parse(TimestampFormat::DateTime, "2030-01-01T00:00:00.500Z").unwrap();
        let code = |mode, until, hold| said(mode, until, hold).unwrap_err().code().as_str().to_owned();
        assert_eq!(code(Some("GOVERNANCE"), None, None), "InvalidArgument");
        assert_eq!(code(None, Some(&until), None), "InvalidArgument");
        assert_eq!(code(Some("governance"), Some(&until), None), "InvalidArgument");
        assert_eq!(code(None, None, Some("on")), "InvalidArgument");
        assert_eq!(said(None, None, None).unwrap(), ObjectLock::NONE);
        let lock = said(Some("COMPLIANCE"), Some(&until), Some("OFF")).unwrap();
        assert_eq!(lock.retention.unwrap().mode, RetentionMode::Compliance);
        assert_eq!(lock.retention.unwrap().until.to_string(), "2030-01-01T00:00:00.500Z");
        assert_eq!(lock.hold, Some(false));
    }
}
