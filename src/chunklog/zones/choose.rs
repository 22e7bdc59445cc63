//! Where files go and which copies they want: decisions alone.

use super::super::tier::TierSettings;
use super::catalog::{Spots, mask, places};

/// Bytes that a zone must have free for new files to go there while others have room.
const ROOM: u64 = 16 << 20;

/// A zone as a new file sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) zone: usize,
    /// Bytes free.
    pub(super) free: u64,
}

/// The order in which zones are tried for a file of a tier: those of the tier with room, the most first; then those that
/// have little; then any others, since a file in a wrong place is better than none.
pub(super) fn order(tier: &TierSettings, there: &[Place]) -> Vec<usize> {
    let rank = |place: &Place| {
        let named = tier.zones.iter().position(|zone| *zone == place.zone);
        let class = match named {
            Some(_) if place.free >= ROOM => 0,
            Some(_) => 1,
            None => 2,
        };
        (class, std::cmp::Reverse(place.free), named, place.zone)
    };
    let mut order = there.to_vec();
    order.sort_by_key(rank);
    order.into_iter().map(|place| place.zone).collect()
}

/// What a file lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::chunklog) struct Plan {
    /// Zones that are to get a copy, or a whole one for what they have: as many of these as `more` says.
    pub(in crate::chunklog) into: u32,
    pub(in crate::chunklog) more: u32,
    /// Zones whose copy is to go once there are enough others.
    pub(in crate::chunklog) from: u32,
}

impl Plan {
    pub(in crate::chunklog) const fn is_nothing(self) -> bool {
        self.more == 0 && self.from == 0
    }
}

/// What is to be done for a file: `there` are the zones that are, `expected` those that are lost and believed to come back with
/// what they had.
pub(in crate::chunklog) fn plan(tier: &TierSettings, spots: Spots, there: u32, expected: u32) -> Plan {
    let wanted = mask(tier.zones.iter().copied());
    let copies = tier.copies as u32;
    let good = spots.good() & there & wanted;
    // Best first stay, and those that will be back count as well.
    let mut keep = 0u32;
    for zone in &tier.zones {
        if keep.count_ones() < copies {
            keep |= good & 1 << zone;
        }
    }
    let waiting = (spots.has & expected & wanted).count_ones();
    let more = copies.saturating_sub(keep.count_ones() + waiting);
    let into = there & wanted & !keep;
    let more = more.min(into.count_ones());
    // What is too much stays until there are enough.
    let from = if keep.count_ones() >= copies { spots.has & there & !keep } else { 0 };
    Plan { into: if more == 0 { 0 } else { into }, more, from }
}

/// Zones in the order in which a file is read from them: whole copies, those nobody is sure of, and, when none is known, all that
/// are there.
pub(super) fn readers(spots: Option<Spots>, there: u32, id: u64) -> Vec<usize> {
    let Some(spots) = spots.filter(|spots| spots.has & there != 0) else { return places(there).collect() };
    let mut good: Vec<usize> = places(spots.good() & there).collect();
    if !good.is_empty() {
        // Each file has one that is asked first, so that its pages are in memory once and all disks have work.
        let first = (id % good.len() as u64) as usize;
        good.rotate_left(first);
    }
    good.extend(places(spots.has & spots.bad & there));
    good
}

/// Bytes that can still be written with `copies` copies of each, on disks with so much free.
pub(in crate::chunklog) fn writable(free: &[u64], copies: usize) -> u64 {
    let mut free = free.to_vec();
    free.sort_unstable();
    let copies = copies.clamp(1, free.len().max(1));
    // No zone holds more than one copy: what a large one has beyond the sum is of no use.
    let (mut low, mut high) = (0, free.iter().sum::<u64>() / copies as u64);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let fits: u128 = free.iter().map(|free| u128::from((*free).min(middle))).sum();
        if fits >= u128::from(middle) * copies as u128 { low = middle } else { high = middle - 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::{Place, Plan, Spots, order, plan, readers, writable};
    use crate::chunklog::TierSettings;

    fn tier(zones: &[usize], copies: usize) -> TierSettings {
        TierSettings { zones: zones.to_vec(), copies, ..TierSettings::default() }
    }

    #[test]
    fn new_files_go_where_most_room_is() {
        let place = |zone, free| Place { zone, free };
        const GIB: u64 = 1 << 30;
        for (zones, there, tried) in [
            (&[0, 1][..], vec![place(0, GIB), place(1, 2 * GIB), place(2, 9 * GIB)], vec![1, 0, 2]),
            (&[1, 0], vec![place(0, GIB), place(1, GIB)], vec![1, 0]),
            (&[0, 1], vec![place(0, 100), place(1, GIB)], vec![1, 0]),
            (&[1], vec![place(0, GIB), place(2, 100)], vec![0, 2]),
        ] {
            assert_eq!(order(&tier(zones, 1), &there), tried);
        }
    }

    #[test]
    fn a_file_gets_what_it_lacks_and_loses_what_is_too_much() {
        let spots = |has, bad| Spots { has, bad, ..Spots::default() };
        let nothing = Plan::default();
        for (n, (tier, spots, there, expected, wanted)) in [
            (tier(&[0, 1, 2], 3), spots(0b111, 0), 0b111, 0, nothing),
            (tier(&[0, 1, 2], 3), spots(0b001, 0), 0b001, 0, nothing),
            (tier(&[0, 1, 2], 3), spots(0b001, 0), 0b111, 0, Plan { into: 0b110, more: 2, from: 0 }),
            (tier(&[0, 1, 2], 3), spots(0b111, 0b010), 0b111, 0, Plan { into: 0b010, more: 1, from: 0 }),
            // One of three is lost: for a while it is waited for, then another has its copy.
            (tier(&[0, 1, 2], 2), spots(0b011, 0), 0b101, 0b010, nothing),
            (tier(&[0, 1, 2], 2), spots(0b011, 0), 0b101, 0, Plan { into: 0b100, more: 1, from: 0 }),
            // And it comes back.
            (tier(&[0, 1, 2], 2), spots(0b111, 0), 0b111, 0, Plan { into: 0, more: 0, from: 0b100 }),
            // In a place that is not wanted it stays until there are others.
            (tier(&[1], 1), spots(0b001, 0), 0b001, 0, nothing),
            (tier(&[1], 1), spots(0b001, 0), 0b011, 0, Plan { into: 0b010, more: 1, from: 0 }),
            (tier(&[1], 1), spots(0b011, 0), 0b011, 0, Plan { into: 0, more: 0, from: 0b001 }),
            // The only one there is, is bad: it is mended as far as it can be.
            (tier(&[0], 1), spots(0b001, 0b001), 0b001, 0, Plan { into: 0b001, more: 1, from: 0 }),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(plan(&tier, spots, there, expected), wanted, "case {n}");
        }
    }

    #[test]
    fn whole_copies_are_read_first_and_in_turn() {
        let spots = |has, bad| Some(Spots { has, bad, ..Spots::default() });
        assert_eq!(readers(spots(0b111, 0b001), 0b111, 0), [1, 2, 0]);
        assert_eq!(readers(spots(0b111, 0b001), 0b111, 1), [2, 1, 0]);
        assert_eq!(readers(spots(0b011, 0), 0b010, 0), [1]);
        assert_eq!(readers(None, 0b101, 7), [0, 2]);
        assert_eq!(readers(spots(0b010, 0), 0b101, 0), [0, 2]);
    }

    #[test]
    fn what_fits_is_told_with_all_its_copies() {
        for (free, copies, fits) in [
            (&[100][..], 1, 100),
            (&[100, 50], 2, 50),
            (&[100, 50], 1, 150),
            (&[100, 50, 60], 2, 105),
            (&[1000, 50, 60], 2, 110),
            (&[100, 50, 60], 3, 50),
            (&[100], 3, 100),
            (&[], 2, 0),
        ] {
            assert_eq!(writable(free, copies), fits, "{free:?} {copies}");
        }
    }
}
