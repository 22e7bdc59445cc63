//! How many bytes a version takes on the disk, where classes of storage compress.

use super::Store;
use crate::chunklog::{Run, SegmentId};
use crate::index::Source;
use crate::model::{Object, Result};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Extents that are asked for; of a version with more the others are taken to be like these.
const EXTENTS_MAX: u32 = 4096;

impl Store {
    /// Bytes that a version's bytes take on the disk, once, without what the log says of them; what it shares with others counts
    /// in full. `None` where no class compresses. Reads the heads of its runs.
    ///
    /// # Errors
    /// When index or log cannot be read.
    pub fn disk_bytes(self: &Arc<Self>, object: &Object) -> Result<Option<u64>> {
        if object.marker || self.log.tiers().iter().all(|tier| tier.compression == 0) {
            return Ok(None);
        }
        let content = self.content(object.content)?;
        if content.inline().is_some() {
            return Ok(Some(content.stored()));
        }
        content.settled(|| {
            let (mut asked, mut plain, mut stored, mut failed) = (0, 0, 0, Ok(()));
            content.each_extent(0, &mut |_, extent| {
                let len = match extent.source {
                    Source::Hole | Source::Lost => return ControlFlow::Continue(()),
                    Source::Solo { .. } => Ok(extent.len),
                    Source::Run { segment, offset, len, .. } => {
                        let all = self.log.stored_bytes(Run { segment: SegmentId(segment), offset, len });
                        all.map(|all| extent.len.saturating_mul(u64::from(all)).div_ceil(u64::from(len.max(1))))
                    }
                };
                asked += 1;
                plain += extent.len;
                match len {
                    Ok(len) => stored += len,
                    Err(error) => failed = Err(error),
                }
                if asked < EXTENTS_MAX && failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            failed?;
            let whole = u128::from(stored) * u128::from(content.stored()) / u128::from(plain.max(1));
            Ok(Some(if asked < EXTENTS_MAX { stored } else { u64::try_from(whole).unwrap_or(u64::MAX) }))
        })
    }
}
