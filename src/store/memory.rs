//! How much memory each part of a store may take, so that all of them together stay below a ceiling.

const MIB: usize = 1 << 20;

/// What a process takes beside the parts that are shared out: itself, tables of fixed size, stacks, and a buffer of a
/// mebibyte for each of the threads that usually read at once.
const FIXED: usize = 96 * MIB;
/// The least that is shared out.
const LEAST: usize = 32 * MIB;
/// Memory a file takes that the kernel knows.
const NODE: usize = 256;

/// Shares of a ceiling, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Blocks of the index.
    pub cache: usize,
    /// Recent changes of one family of the index, and of all together.
    pub memtable: usize,
    /// See there.
    pub memtables: usize,
    /// Commits that no round has begun to write; as many are being written, and twice as many copied meanwhile.
    pub stage: usize,
    /// What all write sessions hold in memory; their buffers grow by doubling, so they may take twice that.
    pub drafts: usize,
    /// Files the kernel may know, a number.
    pub nodes: usize,
}

impl Budget {
    /// Shares out `ceiling`; `cache` and `memtable` are what their parts get at most.
    #[must_use]
    pub fn within(ceiling: u64, cache: usize, memtable: usize) -> Self {
        let shared = usize::try_from(ceiling).unwrap_or(usize::MAX).saturating_sub(FIXED).max(LEAST);
        let part = |per_cent: usize| shared / 100 * per_cent;
        let memtables = part(15);
        Self {
            cache: cache.min(part(25)),
            memtable: memtable.min(memtables / 2),
            memtables,
            stage: part(7).min(64 * MIB),
            drafts: part(8),
            nodes: part(12) / NODE,
        }
    }

    /// A ceiling for a machine, or a container, with `total` bytes of memory: a quarter, from 128 MiB to 1 GiB.
    #[must_use]
    pub fn ceiling_of(total: u64) -> u64 {
        (total / 4).clamp(128 << 20, 1 << 30)
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, FIXED, LEAST, MIB, NODE};

    #[test]
    fn the_shares_stay_below_the_ceiling() {
        for ceiling in [128, 192, 256, 512, 1024, 4096, 1 << 20] {
            let budget = Budget::within(ceiling << 20, 1 << 40, 1 << 40);
            let Budget { cache, memtables, stage, drafts, nodes, .. } = budget;
            let sum = FIXED + cache + memtables + 4 * stage + 2 * drafts + NODE * nodes;
            assert!(sum <= (ceiling << 20) as usize, "{ceiling} MiB: {budget:?}");
            assert!(budget.memtable * 2 <= memtables && stage >= MIB && drafts >= MIB, "{budget:?}");
        }
        assert_eq!(Budget::within(0, 1 << 40, 1 << 40), Budget::within((FIXED + LEAST) as u64, 1 << 40, 1 << 40));
    }

    #[test]
    fn what_was_asked_for_is_not_exceeded() {
        let budget = Budget::within(1 << 40, 8 << 20, 1 << 20);
        assert_eq!((budget.cache, budget.memtable), (8 << 20, 1 << 20));
    }

    #[test]
    fn a_container_gets_less() {
        assert_eq!(Budget::ceiling_of(0), 128 << 20);
        assert_eq!(Budget::ceiling_of(2 << 30), 512 << 20);
        assert_eq!(Budget::ceiling_of(u64::MAX), 1 << 30);
    }
}
