//! Which segments are worth compacting: a pure choice over what each of them holds.

use std::cmp::Reverse;

/// Dead bytes that are borne: a part of the live ones.
const BORNE: u64 = 16;
/// The same in a store with little in it: a part of a segment's size.
const BORNE_OF_SEGMENT: u64 = 128;
/// A segment of which less than this part is dead costs more to copy than it gives.
const DEAD_PART_MIN: u64 = 8;
/// Segments below this part of the full size are small, and merged when there are this many.
const SMALL_PART: u64 = 8;
const SMALL_MANY: usize = 32;

/// What a segment holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Use {
    pub id: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// Plain bytes of all its runs, when that is known.
    pub plain: Option<u64>,
    /// Plain bytes of runs that something refers to.
    pub live: u64,
    /// Whether copies of these are compressed.
    pub packs: bool,
}

impl Use {
    /// Bytes that come back when it is compacted, which may be none of a segment whose runs are compressed and would not be
    /// any more. A run's own overhead is not among them where that is known.
    pub(super) fn dead(&self) -> u64 {
        match self.plain {
            Some(plain) if plain <= self.bytes => plain.saturating_sub(self.live),
            _ => self.bytes.saturating_sub(self.kept()),
        }
    }

    /// Bytes that what is alive takes on the disk when it is copied, roughly.
    pub(super) fn kept(&self) -> u64 {
        match self.plain {
            Some(plain) if plain > self.bytes && self.packs => {
                let kept = u128::from(self.live) * u128::from(self.bytes) / u128::from(plain);
                u64::try_from(kept).unwrap_or(u64::MAX)
            }
            _ => self.live,
        }
    }

    /// Of a thousand bytes.
    fn dead_share(&self) -> u64 {
        let all = self.dead().saturating_add(self.kept()).max(1);
        u64::try_from(u128::from(self.dead()) * 1000 / u128::from(all)).unwrap_or(1000)
    }

    fn is_worth_it(&self) -> bool {
        self.dead() >= self.dead().saturating_add(self.kept()) / DEAD_PART_MIN && self.dead() > 0
    }
}

/// Limits of one pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of a full segment.
    pub segment: u64,
    /// Dead bytes that nobody minds.
    pub borne: u64,
    /// Live bytes to copy at most; one segment is always allowed.
    pub copied: u64,
}

impl Limits {
    /// `live`: bytes on the disk that are alive in segments and files of their own.
    pub(super) fn new(segment: u64, live: u64, copied: u64) -> Self {
        Self { segment, borne: (live / BORNE).max(segment / BORNE_OF_SEGMENT), copied }
    }
}

/// The segments to compact now, the emptiest first; none while what is dead is borne. Once it is not, half of that is
/// the aim, so that a pass is not followed by the next at once.
pub(super) fn victims(uses: &[Use], limits: &Limits) -> Vec<u64> {
    let mut dead = uses.iter().fold(0, |sum: u64, found| sum.saturating_add(found.dead()));
    let mut chosen = Vec::new();
    let mut copied = 0;
    let mut take = |found: &Use, chosen: &mut Vec<u64>| {
        let fits = chosen.is_empty() || found.live <= limits.copied.saturating_sub(copied);
        if fits {
            copied = copied.saturating_add(found.live);
            chosen.push(found.id);
        }
        fits
    };
    if dead > limits.borne {
        let mut worth: Vec<&Use> = uses.iter().filter(|found| found.is_worth_it()).collect();
        worth.sort_by_key(|found| (Reverse(found.dead_share()), found.id));
        for found in worth {
            if dead <= limits.borne / 2 || !take(found, &mut chosen) {
                break;
            }
            dead = dead.saturating_sub(found.dead());
        }
    }
    // None that would grow.
    let is_small = |found: &&Use| found.bytes < limits.segment / SMALL_PART && found.kept() <= found.bytes;
    let mut small: Vec<&Use> = uses.iter().filter(is_small).filter(|found| !chosen.contains(&found.id)).collect();
    if chosen.is_empty() && small.len() >= SMALL_MANY {
        small.sort_by_key(|found| (found.bytes, found.id));
        small.iter().all(|found| take(found, &mut chosen));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::{Limits, Use, victims};

    const MIB: u64 = 1 << 20;

    fn sealed(id: u64, plain: u64, live: u64) -> Use {
        Use { id, bytes: plain + plain / 50, plain: Some(plain), live, packs: false }
    }

    fn limits(live: u64) -> Limits {
        Limits::new(256 * MIB, live, 512 * MIB)
    }

    #[test]
    fn what_is_borne_is_left_alone() {
        let whole = [sealed(1, 256 * MIB, 256 * MIB), sealed(2, 256 * MIB, 240 * MIB)];
        assert!(victims(&whole, &limits(496 * MIB)).is_empty());
        // Two mebibytes in a store of nothing.
        assert!(victims(&[sealed(1, 2 * MIB, 0)], &limits(0)).is_empty());
    }

    #[test]
    fn the_emptiest_go_first_until_half_of_what_is_borne_is_left() {
        let uses = [sealed(1, 200 * MIB, 180 * MIB), sealed(2, 200 * MIB, 20 * MIB), sealed(3, 200 * MIB, 100 * MIB)];
        assert_eq!(victims(&uses, &limits(300 * MIB)), [2, 3], "what is left of 1 is an eighth at most");
        let uses = [sealed(1, 200 * MIB, 190 * MIB), sealed(2, 200 * MIB, 20 * MIB)];
        assert_eq!(victims(&uses, &limits(210 * MIB)), [2]);
    }

    #[test]
    fn after_deleting_nine_tenths_at_most_a_seventh_is_dead() {
        // Each segment keeps another share.
        let uses: Vec<Use> = (0..40).map(|n| sealed(n, 250 * MIB, (n % 7) * 8 * MIB)).collect();
        let mut left = uses.clone();
        let live: u64 = uses.iter().map(|found| found.live).sum();
        loop {
            let chosen = victims(&left, &limits(live));
            if chosen.is_empty() {
                break;
            }
            left.retain(|found| !chosen.contains(&found.id));
        }
        let dead: u64 = left.iter().map(Use::dead).sum();
        assert!(dead * 7 < live, "{dead} of {live}");
    }

    #[test]
    fn a_pass_has_a_limit_and_always_does_something() {
        let uses: Vec<Use> = (0..8).map(|n| sealed(n, 256 * MIB, 100 * MIB)).collect();
        assert_eq!(victims(&uses, &limits(800 * MIB)).len(), 5);
        let tight = Limits { copied: MIB, ..limits(800 * MIB) };
        assert_eq!(victims(&uses, &tight).len(), 1);
    }

    #[test]
    fn overhead_of_tiny_runs_is_not_taken_for_dead() {
        let tiny = Use { id: 1, bytes: 200 * MIB, plain: Some(2 * MIB), live: 2 * MIB, packs: false };
        assert!(victims(&[tiny], &limits(2 * MIB)).is_empty());
        // Of a segment that a crash left nobody knows.
        assert_eq!(victims(&[Use { plain: None, ..tiny }], &limits(2 * MIB)), [1]);
    }

    #[test]
    fn what_is_compressed_is_worth_what_it_takes_on_the_disk() {
        // A quarter of what it was.
        let packed = |id, live, packs| Use { id, bytes: 64 * MIB, plain: Some(256 * MIB), live, packs };
        assert_eq!((packed(1, 64 * MIB, true).dead(), packed(1, 64 * MIB, true).kept()), (48 * MIB, 16 * MIB));
        assert_eq!((packed(1, 32 * MIB, false).dead(), packed(1, 96 * MIB, false).dead()), (32 * MIB, 0));
        let small = limits(16 * MIB);
        // Unpacked, what is alive in the second takes more than all of it does now.
        let uses = [packed(1, 32 * MIB, false), packed(2, 96 * MIB, false), packed(3, 96 * MIB, true)];
        assert_eq!(victims(&uses, &small), [3, 1]);
        let many: Vec<Use> =
            (0..40).map(|n| Use { bytes: MIB, plain: Some(4 * MIB), ..packed(n, 4 * MIB, false) }).collect();
        assert!(victims(&many, &small).is_empty());
        let many: Vec<Use> = many.into_iter().map(|one| Use { packs: true, ..one }).collect();
        assert_eq!(victims(&many, &small).len(), 40);
    }

    #[test]
    fn many_small_segments_become_one() {
        let uses: Vec<Use> = (0..40).map(|n| sealed(n, MIB, MIB)).collect();
        assert_eq!(victims(&uses, &limits(40 * MIB)).len(), 40);
        assert!(victims(&uses[..31], &limits(31 * MIB)).is_empty());
    }
}
