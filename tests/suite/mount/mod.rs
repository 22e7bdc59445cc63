//! Real mounts through the built binary: what programs and people see, and what survives when it is killed.
//!
//! Each test has its own store and mount point in a temporary directory and leaves neither a mount nor a process.
//! Some tests have a long form, chosen by `KEYFOLD_LONG=1`; the short one is for every run.

mod archives;
mod attributes;
mod backup;
mod buckets;
mod control;
mod crash;
mod damage;
mod directories;
mod doors;
mod ending;
mod explorer;
mod faults;
mod full;
mod group;
mod guard;
mod hang;
mod harness;
mod histories;
mod history;
mod holes;
mod locks;
mod memory;
mod model;
mod names;
mod other;
mod passthrough;
mod past;
mod posix;
mod programs;
mod quotas;
mod rebuild;
mod refusals;
mod renames;
mod replace;
mod scenarios;
mod scrub;
mod semantics;
mod served;
mod sessions;
mod shells;
mod soak;
mod stuck;
mod tools;
mod transport;
mod users;

use crate::long;
pub use group::Group;
pub use harness::{KEYFOLD, Mounted, copy_file_range, end, errno, text};
use harness::{names_in, pattern};
pub use histories::Program;
