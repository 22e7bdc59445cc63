//! What a running process does on its own: work in the background, each on a thread that can be paused and stopped.
//!
//! Decisions are pure functions; threads are in `worker`. May not know: kernels, sockets, terminals.

pub mod aging;
pub mod lifecycle;
mod pace;
pub mod scrub;
mod worker;
pub mod zones;

pub use worker::{Turn, Wait, Worker};
