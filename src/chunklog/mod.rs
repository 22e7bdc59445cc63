//! The chunk log: where the bytes of objects lie. Append-only segment files of runs, and large objects as files of
//! their own.
//!
//! It owns the directories `seg/` and `solo/` and the files `journal` and `zones` below its disk's root, and all of its zones. It knows nothing of the index: what is live, who
//! refers to a run and when a file may go is told to it. All I/O goes through [`sys::disk`](crate::sys::disk).
//!
//! Locks, in the order in which they may be taken: a class's lane, the segment's room (`segment.rs`), the file's
//! durability (`durable.rs`); caches and registries alone, those of the zones (`zones/`) among them. None is held while payload is read, written or synced, but for that of
//! who gives files their copies (`refill.rs`), which comes before all others.
#![doc = include_str!("FORMAT.md")]

mod append;
mod cache;
mod durable;
mod files;
pub mod format;
mod frames;
mod health;
mod id;
mod journal;
mod log;
mod maps;
mod packed;
mod read;
mod refill;
mod relocate;
mod same;
mod scan;
mod scrub;
mod segment;
mod solo;
mod sync;
mod tier;
mod zones;

#[cfg(test)]
mod tests;

pub use format::journal::{Entry, RawRun};
pub use format::run::{KEY_TAIL_MAX, RUN_BYTES_MAX};
pub use format::sum::SOLO_BYTES_MAX;
pub use id::{Class, LogFile, Owned, Owner, Run, SegmentId, SoloId, Written, stretches};
pub use journal::Journal;
pub use log::{ChunkLog, SegmentInfo, SegmentState, Settings, SoloInfo, SoloState, Stats, Unnamed, last_epoch};
#[doc(hidden)]
pub use packed::check_frame;
pub use refill::Shortage;
pub use relocate::Fill;
pub use same::{same_bytes, same_segment};
pub use scan::{RunFound, Scanned};
pub use scrub::{Flawed, Reach, Scrubbed};
pub use solo::{BadFrame, SoloFound, SoloWriter};
pub use sync::Lost;
pub use tier::{Tier, TierSettings, storage_code, storage_from_code, tier_of};
pub use zones::{HOME, ZONES_MAX, Zone, ZoneState, Zones, has_zone_list};
