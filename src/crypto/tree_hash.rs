//! SHA-256 tree hashes: of each MiB, then of pairs of hashes until one is left, as Glacier has them.

use sha2::{Digest as _, Sha256};

const LEAF_BYTES: usize = 1 << 20;

/// A running tree hash. Takes 32 bytes of memory for each level of the tree.
#[derive(Clone, Debug, Default)]
pub struct TreeHash {
    leaf: Sha256,
    in_leaf: usize,
    /// Whole subtrees from the left: a hash and how many times it was joined, ever smaller.
    stack: Vec<([u8; 32], u32)>,
}

impl TreeHash {
    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(LEAF_BYTES - self.in_leaf));
            self.leaf.update(now);
            self.in_leaf += now.len();
            bytes = rest;
            if self.in_leaf == LEAF_BYTES {
                self.end_leaf();
            }
        }
    }

    fn end_leaf(&mut self) {
        self.in_leaf = 0;
        let mut hash: [u8; 32] = self.leaf.finalize_reset().into();
        let mut level = 0;
        while let Some((left, _)) = self.stack.pop_if(|(_, below)| *below == level) {
            hash = join(left, hash);
            level += 1;
        }
        self.stack.push((hash, level));
    }

    /// The hash of all bytes.
    #[must_use]
    pub fn finish(mut self) -> [u8; 32] {
        if self.in_leaf > 0 || self.stack.is_empty() {
            self.end_leaf();
        }
        let mut hashes = self.stack.into_iter().rev().map(|(hash, _)| hash);
        let last = hashes.next().unwrap_or_default();
        hashes.fold(last, |right, left| join(left, right))
    }
}

fn join(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::{LEAF_BYTES, TreeHash, join};
    use crate::crypto::sha256;

    /// As Glacier's documents put it: pairs, and the odd one goes up as it is.
    fn by_the_book(bytes: &[u8]) -> [u8; 32] {
        let mut hashes: Vec<[u8; 32]> = bytes.chunks(LEAF_BYTES).map(sha256).collect();
        if hashes.is_empty() {
            return sha256(b"");
        }
        while hashes.len() > 1 {
            hashes = hashes
                .chunks(2)
                .map(|pair| if let [left, right] = pair { join(*left, *right) } else { pair[0] })
                .collect();
        }
        hashes[0]
    }

    #[test]
    fn tree_hashes_are_those_of_the_book() {
        let bytes: Vec<u8> = (0..9 * LEAF_BYTES + 3).map(|at| (at / 1000) as u8).collect();
        for len in [
            0,
            1,
            LEAF_BYTES,
            LEAF_BYTES + 1,
            2 * LEAF_BYTES,
            3 * LEAF_BYTES,
            5 * LEAF_BYTES + 7,
            7 * LEAF_BYTES,
            bytes.len(),
        ] {
            let mut hash = TreeHash::default();
            bytes[..len].chunks(700_001).for_each(|piece| hash.update(piece));
            assert_eq!(hash.finish(), by_the_book(&bytes[..len]), "{len}");
        }
    }
}
