//! Bytes that are the same in each run, where a store wants random ones.

use keyfold::model::Result;
use keyfold::sys::entropy::Entropy;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are the same in each run.
pub struct Counted(AtomicU64);

impl Counted {
    pub const fn new() -> Self {
        Self(AtomicU64::new(7))
    }
}

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        for byte in bytes {
            *byte = (self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) >> 32) as u8;
        }
        Ok(())
    }
}
