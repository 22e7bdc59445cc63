//! Tiers: what classes of storage ask of the files that their bytes lie in.
//!
//! Numbers of tiers follow the configuration and are never written down. A file says the class of storage that its tier began
//! with when it was made, and belongs to the tier that this class has now.

use crate::model::StorageClass;

/// A tier, by its place in [`Settings::tiers`](super::Settings::tiers). The first is that of `STANDARD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tier(pub u8);

/// What a tier asks of its files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TierSettings {
    /// The classes of storage that ask for it, at least one, in the order of [`StorageClass::ALL`].
    pub classes: Vec<StorageClass>,
    /// Zones in which files may lie, by their place in the list of zones, best first; 0 is the store's own directory.
    pub zones: Vec<usize>,
    /// Copies of each file, each in another zone; 1 to the number of zones.
    pub copies: usize,
    /// Level of zstd, 1 to 19; with 0 bytes are stored as they are.
    pub compression: i32,
}

impl Default for TierSettings {
    /// One copy in the store's directory, for every class.
    fn default() -> Self {
        Self { classes: StorageClass::ALL.to_vec(), zones: vec![0], copies: 1, compression: 0 }
    }
}

impl TierSettings {
    /// The class of storage by which files of the tier are known.
    #[must_use]
    pub fn name(&self) -> StorageClass {
        self.classes.first().copied().unwrap_or_default()
    }
}

/// The tier that has a class of storage.
#[must_use]
pub fn tier_of(tiers: &[TierSettings], class: StorageClass) -> Tier {
    Tier(tiers.iter().position(|tier| tier.classes.contains(&class)).unwrap_or(0) as u8)
}

/// The number stored in files: 0 is `STANDARD`.
#[must_use]
pub fn storage_code(class: StorageClass) -> u32 {
    StorageClass::ALL.iter().position(|other| *other == class).unwrap_or(0) as u32
}

/// The class of storage of a stored number.
#[must_use]
pub fn storage_from_code(code: u32) -> Option<StorageClass> {
    StorageClass::ALL.get(usize::try_from(code).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::{Tier, TierSettings, storage_code, storage_from_code, tier_of};
    use crate::model::StorageClass::{self, DeepArchive, Glacier, OnezoneIa, Standard, StandardIa};

    #[test]
    fn stored_numbers_stay() {
        assert_eq!([Standard, StandardIa, OnezoneIa, Glacier, DeepArchive].map(storage_code), [0, 1, 2, 5, 6]);
        for class in StorageClass::ALL {
            assert_eq!(storage_from_code(storage_code(*class)), Some(*class));
        }
        assert_eq!(storage_from_code(7), None);
    }

    #[test]
    fn a_class_that_no_tier_names_is_in_the_first() {
        let cold = TierSettings { classes: vec![Glacier], ..TierSettings::default() };
        let tiers = [TierSettings { classes: vec![Standard], ..TierSettings::default() }, cold];
        assert_eq!([Standard, Glacier, OnezoneIa].map(|class| tier_of(&tiers, class)), [Tier(0), Tier(1), Tier(0)]);
        assert_eq!(tiers[1].name(), Glacier);
    }
}
