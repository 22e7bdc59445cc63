//! What a store's configuration asks for its storage classes that can be had and is odd.

use super::Finding;
use crate::model::StorageClass;
use crate::store::TierSettings;

const CHECK: &str = "classes";

/// What is odd about the tiers of a store.
pub(super) fn classes(tiers: &[TierSettings]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(standard) = tiers.first() else { return findings };
    for tier in tiers {
        let name = tier.name().name();
        if tier.zones.len() > 1 && tier.copies == 1 && tier.name() != StorageClass::OnezoneIa {
            let what =
                format!("{name} has {} zones and one copy: each file is lost with the zone it is in", tier.zones.len());
            findings.push(Finding::note(CHECK, what, format!("set `copies` of [class.{name}] to 2, or leave it out")));
        }
        if tier.copies > standard.copies {
            let what =
                format!("{name} has {} copies, and STANDARD, which is read most, {}", tier.copies, standard.copies);
            findings.push(Finding::note(CHECK, what, "give [class.STANDARD] as many"));
        }
    }
    if standard.compression > 0 {
        let what = "STANDARD is compressed: every read goes through the process, none to the kernel alone";
        findings.push(Finding::note(CHECK, what, "compress colder classes, which `keyfold classes STORE` lists"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::classes;
    use crate::model::StorageClass::{Glacier, OnezoneIa, Standard};
    use crate::store::TierSettings;

    #[test]
    fn odd_configurations_are_told() {
        let tier = |class, zones: usize, copies, compression| TierSettings {
            classes: vec![class],
            zones: (0..zones).collect(),
            copies,
            compression,
        };
        assert!(classes(&[TierSettings::default()]).is_empty());
        assert!(classes(&[tier(Standard, 3, 3, 0), tier(OnezoneIa, 1, 1, 3), tier(Glacier, 2, 2, 19)]).is_empty());
        let odd = classes(&[tier(Standard, 2, 1, 3), tier(Glacier, 2, 2, 0)]);
        let said: Vec<_> = odd.iter().map(|finding| finding.what.split(' ').next().unwrap()).collect();
        assert_eq!(said, ["STANDARD", "GLACIER", "STANDARD"]);
        assert!(odd.iter().all(|finding| finding.state == "note" && finding.mend.is_some()));
    }
}
