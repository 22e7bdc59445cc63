//! What time does to an object: the archive its bytes lie in, the copy that was fetched from there, when it was last used.

use super::Timestamp;
use serde::{Deserialize, Serialize};

/// Where bytes lie that must be fetched before they can be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum ArchiveTier {
    /// The class `GLACIER`, or the Archive Access tier of `INTELLIGENT_TIERING`.
    Archive,
    /// The class `DEEP_ARCHIVE`, or the Deep Archive Access tier.
    DeepArchive,
}

/// How fast a restore is asked to be, the fastest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum RestoreTier {
    /// `Expedited`: minutes; not from a deep archive (RST-3).
    Expedited,
    /// `Standard`, the default (RST-4): hours.
    #[default]
    Standard,
    /// `Bulk`: the slowest.
    Bulk,
}

impl RestoreTier {
    /// Every tier.
    pub const ALL: &'static [Self] = &[Self::Expedited, Self::Standard, Self::Bulk];

    /// The tier that S3 calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|tier| tier.name() == name)
    }

    /// S3's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expedited => "Expedited",
            Self::Standard => "Standard",
            Self::Bulk => "Bulk",
        }
    }
}

/// A restore that was asked for: it runs until `ready_at`, then its copy can be read until `expires`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Restore {
    /// When it was asked for, or asked for anew.
    pub requested: Timestamp,
    /// How fast.
    pub tier: RestoreTier,
    /// For how long; 0 for what leaves an archive tier of `INTELLIGENT_TIERING` for good (IT-8).
    pub days: u32,
    /// When the copy can be read.
    pub ready_at: Timestamp,
    /// When it cannot be read any more: a midnight in UTC (RST-6). `None` for good.
    pub expires: Option<Timestamp>,
    /// Whether it was announced that the copy is ready.
    pub told: bool,
}

/// What time has done to an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Aging {
    /// When an object in `INTELLIGENT_TIERING` was used, noted once a day at most; of another class, when a step brought it there.
    /// `None` means not since it became current.
    pub accessed: Option<Timestamp>,
    /// The archive tier of `INTELLIGENT_TIERING` it lies in; classes that are archives need none.
    pub archived: Option<ArchiveTier>,
    /// Its restore, if one runs or its copy is there.
    pub restore: Option<Restore>,
}
