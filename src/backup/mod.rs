//! Backups: copies of a store that are stores themselves, one directory each, made while the store is in use.
//!
//! A backup directory holds *generations*. Each is a whole store that is only read; what never changes, complete files
//! of the log, generations share by hard links, so that a new one costs what is new and any may be removed with `rm -r`.
//! A generation has its name only when all of it is on the disk; until then it lies under a hidden one, which the next
//! backup goes on from. Every file is verified when it comes in.
//!
//! May not know: the control socket, terminals. Owns nothing in the store. Locks: the backup directory's file lock
//! before the store's snapshot. Only this room writes to backup directories.
#![doc = include_str!("FORMAT.md")]

mod check;
mod copy;
mod keep;
mod make;
mod place;
mod restore;

pub use make::{Made, Plan, make};
#[doc(hidden)]
pub use place::check_place;
pub use place::{Generation, Record, generations};
pub use restore::restore;

use crate::model::Result;
use crate::store::Finding;

/// Hears how a backup gets on.
pub trait Watch {
    /// So much is done.
    ///
    /// # Errors
    /// When nobody listens any more: the backup stops, and the next goes on from there.
    fn progress(&mut self, text: &str) -> Result<()>;

    /// Damage that was met. The rest is copied all the same.
    ///
    /// # Errors
    /// As [`Watch::progress`].
    fn damage(&mut self, finding: Finding) -> Result<()>;
}

/// A part of a backup, or of what it is made of, that is damaged or missing.
fn not_whole(what: String) -> Finding {
    Finding { invariant: "backup-is-whole", what, outcome: None }
}
