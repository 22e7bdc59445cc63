//! Object lock: what protects a version, what may end or change that, and a bucket's default (LOCK).

use super::{Error, Kind, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How strictly a version is retained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RetentionMode {
    /// Who has the right to bypass it, and says that it is to be bypassed, may end it early (LOCK-4).
    Governance,
    /// Nobody may end it early (LOCK-5).
    Compliance,
}

impl RetentionMode {
    /// S3's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    /// Reads `GOVERNANCE` or `COMPLIANCE`.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for any other word.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "GOVERNANCE" => Ok(Self::Governance),
            "COMPLIANCE" => Ok(Self::Compliance),
            _ => Err(Error::new(Kind::InvalidArgument, format!("cannot read the retention mode {name:?}"))
                .why("a version is retained in the mode GOVERNANCE or COMPLIANCE")
                .mend("write one of them, in capitals")),
        }
    }
}

/// A version is kept until an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Retention {
    /// How strictly.
    pub mode: RetentionMode,
    /// From this instant on it may be deleted.
    pub until: Timestamp,
}

impl Retention {
    /// Reads `GOVERNANCE 2030-01-01T00:00:00Z`.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for any other shape.
    pub fn parse(text: &str) -> Result<Self> {
        let (mode, until) = text.trim().split_once(' ').ok_or_else(|| {
            Error::new(Kind::InvalidArgument, format!("cannot read the retention {text:?}"))
                .why("it is a mode, a blank and the instant until which the version is kept (LOCK-10)")
                .mend("write it like GOVERNANCE 2030-01-01T00:00:00Z")
        })?;
        Ok(Self { mode: RetentionMode::parse(mode)?, until: super::parse_rfc3339(until.trim())?.up_to_millis() })
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.mode.name(), self.until)
    }
}

/// S3's word for a legal hold that is on or off.
#[must_use]
pub const fn show_hold(hold: bool) -> &'static str {
    if hold { "ON" } else { "OFF" }
}

/// Reads `ON` or `OFF` (LOCK-12).
///
/// # Errors
/// [`Kind::InvalidArgument`] for any other word.
pub fn parse_hold(text: &str) -> Result<bool> {
    match text.trim() {
        "ON" => Ok(true),
        "OFF" => Ok(false),
        other => Err(Error::new(Kind::InvalidArgument, format!("cannot set the legal hold to {other:?}"))
            .why("Legal Hold must be either of 'ON' or 'OFF'")
            .mend("write one of them, in capitals")),
    }
}

/// What protects a version from being deleted or replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ObjectLock {
    /// Until when it is kept.
    pub retention: Option<Retention>,
    /// Whether a legal hold is on it; `None` while nobody said so or not.
    pub hold: Option<bool>,
}

/// What a caller may do that others may not. Doors grant it by the caller's rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Leave {
    /// The right to bypass GOVERNANCE, and the explicit word that it is to be bypassed (LOCK-4).
    pub governance: bool,
    /// A second factor was given that counts here (MFA-1).
    pub mfa: bool,
}

/// Why a version must stay as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// A legal hold is on it (LOCK-12).
    Held,
    /// It is retained.
    Retained(Retention),
}

impl Kept {
    /// The error for `what`, which must not happen to it.
    #[must_use]
    pub fn refuse(self, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        let error = Error::new(Kind::Locked, what);
        match self {
            Self::Held => error
                .why("a legal hold is on the version (LOCK-12)")
                .mend("remove the hold with `keyfold legal-hold set FILE OFF` if you may"),
            Self::Retained(retention) => match retention.mode {
                RetentionMode::Governance => error
                    .why(format!("the version is retained: {retention} (LOCK-4)"))
                    .mend("wait until then, or use --bypass-governance if you have the right to"),
                RetentionMode::Compliance => error
                    .why(format!("the version is retained: {retention} (LOCK-5)"))
                    .mend("wait until then: nobody can end it earlier"),
            },
        }
    }
}

impl ObjectLock {
    /// Nothing protects it, and nobody ever said so.
    pub const NONE: Self = Self { retention: None, hold: None };

    /// Whether a legal hold is on.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.hold == Some(true)
    }

    /// Whether it must be kept at `now`: retention that is not over, or a hold (LOCK-13).
    #[must_use]
    pub fn protects(&self, now: Timestamp) -> bool {
        self.may_end(now, Leave::default()).is_err()
    }

    /// Whether the version may be destroyed, or another be put in its place, at `now`.
    ///
    /// # Errors
    /// Why not.
    pub fn may_end(&self, now: Timestamp, leave: Leave) -> std::result::Result<(), Kept> {
        if self.is_held() {
            return Err(Kept::Held);
        }
        self.may_retain(None, now, leave)
    }

    /// Whether its retention may become `new` at `now`. Anybody may extend it (LOCK-6), also from GOVERNANCE to COMPLIANCE
    /// (LOCK-7); the mode alone, which extends nothing, is changed by who may bypass.
    ///
    /// # Errors
    /// Why not.
    pub fn may_retain(&self, new: Option<Retention>, now: Timestamp, leave: Leave) -> std::result::Result<(), Kept> {
        let Some(old) = self.retention.filter(|old| now < old.until) else { return Ok(()) };
        let bypassed = old.mode == RetentionMode::Governance && leave.governance;
        let extends = new.is_some_and(|new| match (old.mode, new.mode) {
            // By whole seconds: clients round one and the same date in two ways.
            (RetentionMode::Governance, RetentionMode::Compliance) => new.until.secs > old.until.secs,
            (RetentionMode::Compliance, RetentionMode::Governance) => false,
            _ => new.until >= old.until,
        });
        if bypassed || extends { Ok(()) } else { Err(Kept::Retained(old)) }
    }
}

/// How long new versions are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Period {
    /// Days of 24 hours.
    Days(u32),
    /// Years of the calendar.
    Years(u32),
}

/// Longest period in years, and in days (LOCK-8).
const YEARS_MAX: u32 = 100;
const DAYS_MAX: u32 = 36_500;

impl Period {
    /// Whether a bucket may have it (LOCK-8).
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        match self {
            Self::Days(days) => 1 <= days && days <= DAYS_MAX,
            Self::Years(years) => 1 <= years && years <= YEARS_MAX,
        }
    }
}

/// What a bucket gives its new versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// How strictly.
    pub mode: RetentionMode,
    /// How long, from the version's creation on.
    pub period: Period,
}

impl DefaultRetention {
    /// Reads `GOVERNANCE 30 days` or `COMPLIANCE 7 years`.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for any other shape. Whether a bucket may have the period, [`Period::is_allowed`] says.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(Kind::InvalidArgument, format!("cannot read the default retention {text:?}"))
                .why("it is a mode, a number, and `days` or `years` (LOCK-8)")
                .mend("write it like GOVERNANCE 30 days")
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [mode, count, unit] = words[..] else { return Err(bad()) };
        let count = count.parse().map_err(|_| bad())?;
        let period = match unit {
            "day" | "days" => Period::Days(count),
            "year" | "years" => Period::Years(count),
            _ => return Err(bad()),
        };
        Ok(Self { mode: RetentionMode::parse(mode)?, period })
    }

    /// The retention of a version that is made at `now`.
    #[must_use]
    pub fn from(self, now: Timestamp) -> Retention {
        let until = match self.period {
            Period::Days(days) => now.plus_days(days),
            Period::Years(years) => now.plus_years(years),
        };
        // As it is told: who sets what was shown shortens nothing.
        Retention { mode: self.mode, until: until.up_to_millis() }
    }
}

impl fmt::Display for DefaultRetention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self.period {
            Period::Days(days) => (days, "day"),
            Period::Years(years) => (years, "year"),
        };
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{} {count} {unit}{plural}", self.mode.name())
    }
}

/// Object lock of a bucket that has it; it is never switched off (LOCK-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BucketLock {
    /// What new versions get that do not say otherwise (LOCK-9).
    pub default: Option<DefaultRetention>,
}

#[cfg(test)]
mod tests {
    use super::{DefaultRetention, Kept, Leave, ObjectLock, Period, Retention, RetentionMode};
    use crate::model::{Timestamp, parse_rfc3339};

    const GOVERNANCE: RetentionMode = RetentionMode::Governance;
    const COMPLIANCE: RetentionMode = RetentionMode::Compliance;

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(secs, 0)
    }

    fn kept(mode: RetentionMode, until: i64) -> Option<Retention> {
        Some(Retention { mode, until: at(until) })
    }

    #[test]
    fn lock_4_5_12_13_who_may_end_a_version() {
        let (nobody, bypass) = (Leave::default(), Leave { governance: true, mfa: false });
        // Retention, hold, now: may it be destroyed, and by whom who bypasses.
        let table = [
            (None, None, 0, true, true),
            (None, Some(false), 0, true, true),
            (None, Some(true), 0, false, false),
            (kept(GOVERNANCE, 10), None, 9, false, true),
            (kept(GOVERNANCE, 10), None, 10, true, true),
            (kept(GOVERNANCE, 10), Some(true), 9, false, false),
            (kept(GOVERNANCE, 10), Some(true), 10, false, false),
            (kept(COMPLIANCE, 10), None, 9, false, false),
            (kept(COMPLIANCE, 10), None, 10, true, true),
            (kept(COMPLIANCE, 10), Some(false), 9, false, false),
            (kept(COMPLIANCE, 10), Some(true), 11, false, false),
        ];
        for (retention, hold, now, plain, bypassed) in table {
            let lock = ObjectLock { retention, hold };
            assert_eq!(lock.may_end(at(now), nobody).is_ok(), plain, "{lock:?} at {now}");
            assert_eq!(lock.may_end(at(now), bypass).is_ok(), bypassed, "{lock:?} at {now}");
            assert_eq!(lock.protects(at(now)), !plain, "{lock:?} at {now}");
        }
        let held = ObjectLock { hold: Some(true), ..ObjectLock::NONE };
        assert_eq!(held.may_end(at(0), bypass), Err(Kept::Held));
    }

    #[test]
    fn lock_4_5_6_7_what_a_retention_may_become() {
        let (old_g, old_c) = (kept(GOVERNANCE, 10), kept(COMPLIANCE, 10));
        // Old, new, now: may anybody, and may who bypasses.
        let table = [
            (None, kept(COMPLIANCE, 5), 0, true, true),
            (old_g, kept(GOVERNANCE, 10), 0, true, true),
            (old_g, kept(GOVERNANCE, 11), 0, true, true),
            (old_g, kept(GOVERNANCE, 9), 0, false, true),
            (old_g, kept(COMPLIANCE, 11), 0, true, true),
            (old_g, kept(COMPLIANCE, 10), 0, false, true),
            (old_g, kept(COMPLIANCE, 9), 0, false, true),
            (old_g, None, 0, false, true),
            (old_g, None, 10, true, true),
            (old_c, kept(COMPLIANCE, 10), 0, true, true),
            (old_c, kept(COMPLIANCE, 20), 0, true, true),
            (old_c, kept(COMPLIANCE, 9), 0, false, false),
            (old_c, kept(GOVERNANCE, 20), 0, false, false),
            (old_c, None, 9, false, false),
            (old_c, kept(GOVERNANCE, 12), 10, true, true),
        ];
        for (old, new, now, plain, bypassed) in table {
            let lock = ObjectLock { retention: old, hold: None };
            let may = |governance| lock.may_retain(new, at(now), Leave { governance, mfa: false }).is_ok();
            assert_eq!((may(false), may(true)), (plain, bypassed), "{old:?} to {new:?} at {now}");
        }
        // A hold is no reason against a longer retention, nor does it make a shorter one lawful (LOCK-12).
        let held = ObjectLock { retention: old_c, hold: Some(true) };
        assert!(held.may_retain(kept(COMPLIANCE, 11), at(0), Leave::default()).is_ok());
        assert!(held.may_retain(None, at(0), Leave { governance: true, mfa: false }).is_err());
    }

    #[test]
    fn lock_8_periods_count_days_and_years_of_the_calendar() {
        let now = parse_rfc3339("2028-02-29T10:00:00Z").unwrap();
        let until = |period| DefaultRetention { mode: GOVERNANCE, period }.from(now).until.to_string();
        assert_eq!(until(Period::Days(1)), "2028-03-01T10:00:00.000Z");
        // Never shorter than a year.
        assert_eq!(until(Period::Years(1)), "2029-03-01T10:00:00.000Z");
        assert_eq!(until(Period::Years(4)), "2032-02-29T10:00:00.000Z");
        let allowed = [Period::Days(1), Period::Days(36_500), Period::Years(1), Period::Years(100)];
        assert!(allowed.iter().all(|period| period.is_allowed()));
        let refused = [Period::Days(0), Period::Days(36_501), Period::Years(0), Period::Years(101)];
        assert!(!refused.iter().any(|period| period.is_allowed()));
        // What a damaged record may say ends where time does.
        assert!(until(Period::Years(u32::MAX)) > until(Period::Years(100)));
        assert!(DefaultRetention { mode: GOVERNANCE, period: Period::Days(u32::MAX) }.from(at(i64::MAX)).until >= now);
    }

    #[test]
    fn retention_reads_as_it_is_printed() {
        let retention = Retention::parse("COMPLIANCE 2030-01-01T00:00:00Z").unwrap();
        assert_eq!(retention.to_string(), "COMPLIANCE 2030-01-01T00:00:00.000Z");
        assert_eq!(Retention::parse(&retention.to_string()).unwrap(), retention);
        let default = DefaultRetention { mode: COMPLIANCE, period: Period::Days(1) };
        for nanos in [0, 1, 999_000_000, 999_000_001] {
            let retention = default.from(Timestamp::new(1_000, nanos));
            assert_eq!(Retention::parse(&retention.to_string()).unwrap(), retention);
            assert!(retention.until >= Timestamp::new(87_400, nanos));
        }
        for text in ["GOVERNANCE 30 days", "COMPLIANCE 1 year", "COMPLIANCE 1 day"] {
            assert_eq!(DefaultRetention::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "GOVERNANCE", "GOVERNANCE 30", "GOVERNANCE -1 days", "GOVERNANCE 1 week", "always 1 day"] {
            assert!(DefaultRetention::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "COMPLIANCE", "compliance 2030-01-01T00:00:00Z", "GOVERNANCE soon", "2030-01-01T00:00:00Z"] {
            assert!(Retention::parse(bad).is_err(), "{bad}");
        }
    }
}
