//! Who signed a form's policy, if anybody did.

use super::super::auth::credential;
use super::super::bridge::Bridge;
use super::super::error::{invalid, refused};
use super::super::guard;
use super::fields::Fields;
use crate::access::{ALGORITHM, EXPIRES_MAX, PostPolicy, Principal};
use crate::model::{REGION, Timestamp, parse_rfc3339};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use s3s::{S3Error, S3Result};
use std::time::Duration;

/// How far a client's clock may be ahead (AUTH-2).
const SKEW_MAX: Duration = Duration::from_secs(900);
/// The fields by which a form is signed by version 2.
const VERSION_2: &[&str] = &["awsaccesskeyid", "signature"];
/// The fields by which it is signed by version 4: the policy, and what is told of its signature.
const VERSION_4: [&str; 5] = ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"];

/// Who signed a form, with which key, and the policy that was signed; the moment when that was looked at.
pub(super) struct Signer {
    pub(super) principal: Principal,
    pub(super) key: String,
    pub(super) now: Timestamp,
    policy: String,
}

impl Signer {
    /// # Errors
    /// `InvalidPolicyDocument`.
    pub(super) fn policy(&self) -> S3Result<PostPolicy> {
        let bad = |why: String| refused(StatusCode::BAD_REQUEST, "InvalidPolicyDocument", why);
        // Some encoders break lines.
        let text: Vec<u8> = self.policy.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let json = STANDARD.decode(text).map_err(|_| bad("Invalid Policy: it is not in base64".to_owned()))?;
        PostPolicy::parse(&json).map_err(|error| bad(error.to_string()))
    }
}

/// Looks at a form's signature; none is there of a form that nobody signed.
///
/// # Errors
/// `InvalidRequest` for version 2, `InvalidToken` (AUTH-1), `InvalidArgument` for fields that are missing or are none,
/// `AuthorizationHeaderMalformed` for another region (REG-2), `InvalidAccessKeyId`, `SignatureDoesNotMatch`;
/// `RequestTimeTooSkewed` for a date to come (AUTH-2), `AccessDenied` for one more than seven days ago (AUTH-7).
pub(super) async fn of(bridge: &Bridge, fields: &Fields) -> S3Result<Option<Signer>> {
    if VERSION_2.iter().any(|name| fields.get(name).is_some()) {
        return Err(guard::of_version_2());
    }
    if fields.get("x-amz-security-token").is_some() {
        return Err(guard::with_token());
    }
    if VERSION_4.iter().all(|name| fields.get(name).is_none()) {
        return Ok(None);
    }
    let needed = |name: &str| fields.get(name).ok_or_else(|| missing(name));
    let (policy, signature) = (needed("policy")?, needed("x-amz-signature")?);
    let (scope, date) = (needed("x-amz-credential")?, needed("x-amz-date")?);
    if needed("x-amz-algorithm")? != ALGORITHM {
        return Err(guard::of_version_2());
    }
    guard::in_region(scope, REGION, "AuthorizationHeaderMalformed")?;
    let [key, day, _, _, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err(invalid("the field 'x-amz-credential' is KEY/YYYYMMDD/REGION/s3/aws4_request"));
    };
    let at = instant(date).ok_or_else(|| invalid("the field 'x-amz-date' is like 20261123T120000Z"))?;
    let mismatch = || {
        let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
        refused(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message)
    };
    if !date.starts_with(day) || day.len() != 8 {
        return Err(mismatch());
    }
    let (credential, now) = credential(bridge, key).await?;
    if !credential.has_signed(day, REGION, policy.as_bytes(), signature) {
        return Err(mismatch());
    }
    in_time(at, now)?;
    Ok(Some(Signer { principal: credential.principal, key: credential.id, now, policy: policy.to_owned() }))
}

pub(super) fn missing(name: &str) -> S3Error {
    let message = "If it is specified, please check the order of the fields.";
    invalid(format!("Bucket POST must contain a field named '{name}'.  {message}"))
}

/// `20261123T120000Z` as an instant.
fn instant(date: &str) -> Option<Timestamp> {
    let digits =
        |from: usize, to: usize| date.get(from..to).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let (year, month, day) = (digits(0, 4)?, digits(4, 6)?, digits(6, 8)?);
    let (hour, minute, second) = (digits(9, 11)?, digits(11, 13)?, digits(13, 15)?);
    let marked = date.len() == 16 && date.get(8..9) == Some("T") && date.ends_with('Z');
    parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok().filter(|_| marked)
}

/// Such a signature is as old as its page, and holds as long as that of a presigned URL can (AUTH-4); the policy may say less.
fn in_time(at: Timestamp, now: Timestamp) -> S3Result<()> {
    let seconds = |time: Duration| time.as_secs().cast_signed();
    if at.secs > now.secs.saturating_add(seconds(SKEW_MAX)) {
        let message = "The difference between the request time and the current time is too large.";
        return Err(refused(StatusCode::FORBIDDEN, "RequestTimeTooSkewed", message));
    }
    if now.secs > at.secs.saturating_add(seconds(EXPIRES_MAX)) {
        return Err(refused(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, in_time, instant};

    #[test]
    fn auth_2_and_auth_7_signatures_of_forms_hold_for_seven_days() {
        let at = instant("20261123T120000Z").unwrap();
        let code = |secs: i64| {
            in_time(at, Timestamp::new(at.secs + secs, 0)).map_err(|error| error.code().as_str().to_owned())
        };
        assert_eq!(code(-900), Ok(()));
        assert_eq!(code(-901), Err("RequestTimeTooSkewed".into()));
        assert_eq!(code(604_800), Ok(()));
        assert_eq!(code(604_801), Err("AccessDenied".into()));
    }

    #[test]
    fn auth_1_dates_of_signatures_are_read_strictly() {
        assert_eq!(instant("20261123T120000Z").map(|at| at.rfc3339()), Some("2026-11-23T12:00:00.000Z".into()));
        for bad in ["", "20261123", "20261123T120000", "2026-11-23T12:00:00Z", "20261323T120000Z", "20261123T1200é0Z"]
        {
            assert_eq!(instant(bad), None, "{bad}");
        }
        for bad in ["20261123t120000Z", "20261123T120000ZZ", "+2261123T120000Z", "20261123T1200000"] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}
