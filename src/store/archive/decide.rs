//! Archived objects and their restores as pure functions of the object and the instant (RST-1 to RST-9, RST-14, IT-8).

use super::super::lifecycle::Midnights;
use super::super::tiering::TierName;
use crate::model::{
    Aging, ArchiveTier, Error, Kind, Object, Restore, RestoreTier, Result, StorageClass, Timestamp, VersionId,
};
use std::time::Duration;

/// How long restores take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RestoreDelay {
    /// No time: the copy is there at once.
    #[default]
    None,
    /// What S3 promises at most.
    Aws,
}

impl RestoreDelay {
    /// RST-2, RST-3: the later end of each span, in hours and minutes of a day of 24 hours.
    fn of(self, tier: RestoreTier, from: ArchiveTier, day: Duration) -> Duration {
        let minutes: u32 = match (self, from, tier) {
            (Self::None, _, _) => 0,
            (Self::Aws, _, RestoreTier::Expedited) => 5,
            (Self::Aws, ArchiveTier::Archive, RestoreTier::Standard) => 5 * 60,
            (Self::Aws, ArchiveTier::Archive, RestoreTier::Bulk)
            | (Self::Aws, ArchiveTier::DeepArchive, RestoreTier::Standard) => 12 * 60,
            (Self::Aws, ArchiveTier::DeepArchive, RestoreTier::Bulk) => 48 * 60,
        };
        day.saturating_mul(minutes) / (24 * 60)
    }
}

/// Days that a restored copy may live at most: a hundred years.
pub const RESTORE_DAYS_MAX: u32 = 36_500;

/// What is asked of a restore.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RestoreWish {
    /// Days that the copy is to live; none for what leaves an archive tier of `INTELLIGENT_TIERING`, for good.
    pub days: Option<u32>,
    /// How fast.
    pub tier: RestoreTier,
}

impl RestoreWish {
    /// Reads `days=7,tier=Expedited`, as the attribute `restore` takes it; either may be left out.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`].
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: String| {
            Error::new(Kind::InvalidArgument, "cannot restore the object")
                .why(why)
                .mend("write it like days=7,tier=Standard; the tiers are Expedited, Standard and Bulk")
        };
        let mut wish = Self::default();
        let mut seen = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| bad(format!("{part:?} has no value")))?;
            let (name, value) = (name.trim(), value.trim());
            if seen.contains(&name) {
                return Err(bad(format!("{name} is given twice")));
            }
            seen.push(name);
            match name {
                "days" => wish.days = Some(value.parse().map_err(|_| bad(format!("{value:?} is no number of days")))?),
                "tier" => {
                    wish.tier = RestoreTier::named(value).ok_or_else(|| bad(format!("there is no tier {value:?}")))?;
                }
                _ => return Err(bad(format!("{name:?} is unknown"))),
            }
        }
        Ok(wish)
    }
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Granted {
    /// A restore begins (RST-1).
    Begun(Restore),
    /// One that runs goes on faster (RST-5).
    Hastened(Restore),
    /// The copy is there and lives until another day (RST-1, RST-6).
    Renewed(Restore),
}

impl Granted {
    /// The restore as it is now.
    #[must_use]
    pub const fn restore(self) -> Restore {
        match self {
            Self::Begun(restore) | Self::Hastened(restore) | Self::Renewed(restore) => restore,
        }
    }
}

/// The days and delays that a store's restores go by.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Calendar {
    pub(in crate::store) day: Duration,
    pub(in crate::store) delay: RestoreDelay,
}

/// The archive a version's class or tier is.
const fn home(object: &Object) -> Option<ArchiveTier> {
    match object.class {
        StorageClass::Glacier => Some(ArchiveTier::Archive),
        StorageClass::DeepArchive => Some(ArchiveTier::DeepArchive),
        StorageClass::IntelligentTiering => object.aging.archived,
        StorageClass::Standard | StorageClass::StandardIa | StorageClass::OnezoneIa | StorageClass::GlacierIr => None,
    }
}

/// The archive from which a version's bytes must be restored before they are read at `now`; `None` when they can be.
#[must_use]
pub fn archived(object: &Object, now: Timestamp) -> Option<ArchiveTier> {
    let is_there = object.aging.restore.is_some_and(|restore| is_live(&restore, now));
    home(object).filter(|_| !is_there)
}

fn is_live(restore: &Restore, now: Timestamp) -> bool {
    restore.ready_at <= now && restore.expires.is_none_or(|expires| now < expires)
}

/// RST-7: how a version's restore is told of in a header; `None` when there is nothing to tell.
#[must_use]
pub fn restore_text(object: &Object, now: Timestamp) -> Option<String> {
    let restore = object.aging.restore?;
    if now < restore.ready_at {
        return Some("ongoing-request=\"true\"".to_owned());
    }
    let expires = restore.expires.filter(|expires| now < *expires)?;
    Some(format!("ongoing-request=\"false\", expiry-date=\"{}\"", expires.http_date()))
}

/// RST-6: the midnight after so many days since the request; for what takes longer than that, since it is there.
fn expiry(requested: Timestamp, days: u32, ready_at: Timestamp, midnights: Midnights) -> Timestamp {
    let after = |from| midnights.after(from, i32::try_from(days).unwrap_or(i32::MAX)).unwrap_or(Timestamp::LAST);
    let expires = after(requested);
    if expires > ready_at { expires } else { after(ready_at) }
}

/// What becomes of a request to restore `object` at `now`.
///
/// # Errors
/// [`Kind::NotArchived`], [`Kind::InActiveTier`] (RST-14), [`Kind::InvalidArgument`] (RST-1, RST-3, IT-8),
/// [`Kind::Restoring`] (RST-5).
pub(in crate::store) fn grant(
    object: &Object,
    wish: RestoreWish,
    now: Timestamp,
    calendar: Calendar,
) -> Result<Granted> {
    let refused = |kind, why: String| Error::new(kind, "cannot restore the object").why(why);
    let tiered = object.class == StorageClass::IntelligentTiering;
    let running = object.aging.restore.filter(|restore| now < restore.ready_at);
    let live = object.aging.restore.filter(|restore| is_live(restore, now));
    let home = match home(object) {
        Some(home) if !(tiered && live.is_some()) => home,
        _ if tiered => {
            return Err(refused(Kind::InActiveTier, "it lies in no archive tier and can be read (RST-14)".into()));
        }
        _ => {
            let why = format!("its class {} is no archive, so it can be read (RST-14)", object.class.name());
            return Err(refused(Kind::NotArchived, why));
        }
    };
    let days = match wish.days {
        Some(_) if tiered => {
            return Err(refused(
                Kind::InvalidArgument,
                "what leaves an archive tier stays: it takes no days (IT-8)".into(),
            )
            .mend("leave the days out"));
        }
        None if tiered => 0,
        Some(days @ 1..=RESTORE_DAYS_MAX) => days,
        _ => {
            let why = format!("its copy needs a life of 1 to {RESTORE_DAYS_MAX} days (RST-1)");
            return Err(refused(Kind::InvalidArgument, why).mend("say how many, such as days=7"));
        }
    };
    if wish.tier == RestoreTier::Expedited && home == ArchiveTier::DeepArchive {
        let why = "nothing is expedited from a deep archive (RST-3)".to_owned();
        return Err(refused(Kind::InvalidArgument, why).mend("choose the tier Standard or Bulk"));
    }
    let midnights = Midnights::every(calendar.day);
    let ready_at = now.plus(calendar.delay.of(wish.tier, home, calendar.day));
    let ends = |requested, ready_at| (!tiered).then(|| expiry(requested, days, ready_at, midnights));
    if let Some(live) = live {
        return Ok(Granted::Renewed(Restore { requested: now, days, expires: ends(now, now), ..live }));
    }
    let Some(running) = running else {
        let expires = ends(now, ready_at);
        return Ok(Granted::Begun(Restore { requested: now, tier: wish.tier, days, ready_at, expires, told: false }));
    };
    if wish.tier >= running.tier || days != running.days {
        let why = format!("one runs since {}, in the tier {} (RST-5)", running.requested, running.tier.name());
        return Err(refused(Kind::Restoring, why).mend("wait for it, or ask for the same with a faster tier"));
    }
    let ready_at = ready_at.min(running.ready_at);
    let expires = ends(running.requested, ready_at);
    Ok(Granted::Hastened(Restore { tier: wish.tier, ready_at, expires, ..running }))
}

/// When a version's restore changes next: its copy is there, or goes.
pub(in crate::store) const fn due(aging: &Aging) -> Option<Timestamp> {
    match aging.restore {
        Some(Restore { told: false, ready_at, .. }) => Some(ready_at),
        Some(Restore { expires, .. }) => expires,
        None => None,
    }
}

/// Carries out what of a version's restore is due at `now`, one change at a time; returns the event that tells of it (RST-9).
pub(in crate::store) fn step(aging: &mut Aging, now: Timestamp) -> Option<&'static str> {
    if due(aging)? > now {
        return None;
    }
    let restore = aging.restore.as_mut()?;
    if restore.told {
        aging.restore = None;
        return Some("ObjectRestore:Delete");
    }
    restore.told = true;
    if restore.expires.is_none() {
        // IT-8: it is in the frequent tier for good.
        *aging = Aging { accessed: Some(restore.ready_at), ..Aging::default() };
    }
    Some("ObjectRestore:Completed")
}

/// The refusal to read a version that lies in an archive.
pub(in crate::store) fn refusal(object: &Object, tier: ArchiveTier) -> Error {
    let place = match (object.class, tier) {
        (StorageClass::IntelligentTiering, ArchiveTier::Archive) => "the tier ARCHIVE_ACCESS of INTELLIGENT_TIERING",
        (StorageClass::IntelligentTiering, ArchiveTier::DeepArchive) => {
            "the tier DEEP_ARCHIVE_ACCESS of INTELLIGENT_TIERING"
        }
        (class, _) => class.name(),
    };
    let version = match object.version {
        VersionId::Null => String::new(),
        VersionId::Id(_) => format!(" (version {})", object.version),
    };
    let why = match object.aging.restore {
        Some(_) => format!("it lies in {place}{version}, and its restore has not come to its end"),
        None => format!("it lies in {place}{version}"),
    };
    let refusal = Error::new(Kind::Archived, "cannot read the object")
        .why(why)
        .mend("restore it first: `keyfold thaw FILE --wait`")
        .fact("StorageClass", object.class.name());
    match object.class {
        StorageClass::IntelligentTiering => refusal.fact("AccessTier", TierName::of(tier).name()),
        _ => refusal,
    }
}

#[cfg(test)]
mod tests;
