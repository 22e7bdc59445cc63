//! Conditions of requests as the engine judges them (COND).

use super::super::error::{refused, told};
use crate::model::{Conditions, Object, Tags, Timestamp, Verdict};
use crate::store::Condition;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};
use s3s::dto::{ETagCondition, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result};

fn tags(condition: &ETagCondition) -> Tags {
    match condition {
        ETagCondition::Any => Tags::Any,
        ETagCondition::ETag(tag) => Tags::parse(tag.value()),
    }
}

/// An instant of the protocol's as the engine has it.
pub(super) fn instant(at: &s3s::dto::Timestamp) -> Option<Timestamp> {
    let mut text = Vec::new();
    // As a date it would lose the offset from UTC that a client wrote.
    at.format(TimestampFormat::EpochSeconds, &mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (secs, part) = text.split_once('.').unwrap_or((&text, "0"));
    let nanos = format!("{part:0<9.9}").parse().ok()?;
    Some(Timestamp::new(secs.parse().ok()?, nanos)).filter(|at| at.is_sane()).map(Timestamp::up_to_millis)
}

/// Conditions on what is read or copied.
pub(super) fn of_read(
    (matches, none_match): (Option<&ETagCondition>, Option<&ETagCondition>),
    (modified, unmodified): (Option<&s3s::dto::Timestamp>, Option<&s3s::dto::Timestamp>),
) -> Conditions {
    Conditions {
        matches: matches.map(tags),
        none_match: none_match.map(tags),
        modified_since: modified.and_then(instant),
        unmodified_since: unmodified.and_then(instant),
    }
}

/// COND-1 to COND-3: 412, or 304 with the object's tag and time.
pub(super) fn judge(conditions: &Conditions, object: &Object) -> S3Result<()> {
    match conditions.of_read(object) {
        Verdict::Holds => Ok(()),
        Verdict::Failed => Err(failed()),
        Verdict::NotModified => {
            let mut error = S3Error::new(S3ErrorCode::NotModified);
            let mut headers = HeaderMap::new();
            if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", object.etag)) {
                headers.insert(header::ETAG, tag);
            }
            let mut modified = Vec::new();
            if super::time(object.modified).format(TimestampFormat::HttpDate, &mut modified).is_ok()
                && let Ok(modified) = HeaderValue::from_bytes(&modified)
            {
                headers.insert(header::LAST_MODIFIED, modified);
            }
            error.set_headers(headers);
            Err(error)
        }
    }
}

fn failed() -> S3Error {
    let message = "At least one of the pre-conditions you specified did not hold";
    refused(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message)
}

/// COND-4, COND-5, COND-9, COND-10: the condition of a write.
pub(super) fn of_write(matches: Option<&ETagCondition>, none_match: Option<&ETagCondition>) -> S3Result<Condition> {
    Condition::of(matches.map(tags).as_ref(), none_match.map(tags).as_ref()).map_err(|error| told(&error))
}

#[cfg(test)]
mod tests {
    use super::{TimestampFormat, instant};

    #[test]
    fn lock_10_a_date_has_its_offset_and_its_milliseconds() {
        for (text, utc) in [
            ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000Z"),
            ("2030-01-01T00:00:00-12:00", "2030-01-01T12:00:00.000Z"),
            ("2030-01-01T00:00:00.123+14:00", "2029-12-31T10:00:00.123Z"),
        ] {
            let at = s3s::dto::Timestamp::parse(TimestampFormat::DateTime, text).unwrap();
            assert_eq!(instant(&at).unwrap().rfc3339(), utc, "{text}");
        }
    }
}
