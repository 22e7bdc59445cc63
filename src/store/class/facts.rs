//! What S3 promises of each class, and what its bills reckon with (SC-1 to SC-7, SC-10, SC-14 to SC-16).

use crate::model::StorageClass;

/// What is known of a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClassFacts {
    /// Zones that hold its objects at least.
    pub zones: u8,
    /// Hundredths of the time, in words, for which they can be had.
    pub availability: &'static str,
    /// Days that are billed at least (SC-13).
    pub days_min: u32,
    /// Bytes that are billed at least (SC-14).
    pub bytes_min: u64,
    /// Bytes that are billed beside each object, at the class's rate and at that of `STANDARD` (SC-15).
    pub overhead: (u64, u64),
    /// Whether reading is billed by the byte.
    pub retrieval_fee: bool,
    /// Whether objects must be restored before they are read.
    pub archive: bool,
    /// When the first byte comes.
    pub first_byte: &'static str,
}

/// What every class promises of the objects it holds (SC-10).
pub const DURABILITY: &str = "99.999999999%";
/// The same in words (SC-10).
pub const DURABILITY_IN_WORDS: &str = "durability in S3's words: of 10,000,000 objects one is lost in 10,000 years; here it is that of your disks and backups";

/// What is known of `class`.
#[must_use]
pub const fn facts(class: StorageClass) -> ClassFacts {
    const SMALL: u64 = 128 << 10;
    const AT_ONCE: &str = "100-200 ms";
    let base = ClassFacts {
        zones: 3,
        availability: "99.9%",
        days_min: 0,
        bytes_min: 0,
        overhead: (0, 0),
        retrieval_fee: false,
        archive: false,
        first_byte: AT_ONCE,
    };
    let infrequent = ClassFacts { days_min: 30, bytes_min: SMALL, retrieval_fee: true, ..base };
    let archive = ClassFacts {
        availability: "99.99%",
        days_min: 90,
        overhead: (32 << 10, 8 << 10),
        retrieval_fee: true,
        archive: true,
        ..base
    };
    match class {
        StorageClass::Standard => ClassFacts { availability: "99.99%", ..base },
        StorageClass::IntelligentTiering => base,
        StorageClass::StandardIa => infrequent,
        StorageClass::OnezoneIa => ClassFacts { zones: 1, availability: "99.5%", ..infrequent },
        StorageClass::GlacierIr => ClassFacts { days_min: 90, ..infrequent },
        StorageClass::Glacier => ClassFacts { first_byte: "1 min-12 h after a restore", ..archive },
        StorageClass::DeepArchive => ClassFacts { days_min: 180, first_byte: "12-48 h after a restore", ..archive },
    }
}

#[cfg(test)]
mod tests {
    use super::{ClassFacts, facts};
    use crate::model::StorageClass::{
        self, DeepArchive, Glacier, GlacierIr, IntelligentTiering, OnezoneIa, Standard, StandardIa,
    };

    /// The numbers of the rules; that bills and disks follow them is their own matter.
    #[test]
    fn sc_1_to_sc_7_and_sc_13_to_sc_16_what_each_class_promises() {
        let kib = |n: u64| n << 10;
        for (class, zones, availability, days, bytes, fee, archive) in [
            (Standard, 3, "99.99%", 0, 0, false, false),
            (StandardIa, 3, "99.9%", 30, kib(128), true, false),
            (OnezoneIa, 1, "99.5%", 30, kib(128), true, false),
            (GlacierIr, 3, "99.9%", 90, kib(128), true, false),
            (Glacier, 3, "99.99%", 90, 0, true, true),
            (DeepArchive, 3, "99.99%", 180, 0, true, true),
            (IntelligentTiering, 3, "99.9%", 0, 0, false, false),
        ] {
            let ClassFacts { overhead, first_byte, .. } = facts(class);
            let overhead_kib = if archive { (kib(32), kib(8)) } else { (0, 0) };
            assert_eq!((overhead, first_byte.contains("restore")), (overhead_kib, archive), "{class:?}");
            let found = facts(class);
            assert_eq!((found.zones, found.availability, found.days_min), (zones, availability, days), "{class:?}");
            assert_eq!((found.bytes_min, found.retrieval_fee, found.archive), (bytes, fee, archive), "{class:?}");
        }
        assert_eq!(StorageClass::ALL.len(), 7);
    }
}
