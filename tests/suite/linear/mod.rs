//! Linearizability: what clients that run at once were told is what one client after another could have been told.

mod checker;
mod key;
mod recorder;
#[cfg(not(feature = "shuttle"))]
mod tests;

pub use key::{Answer, Key, Op, Value};
pub use recorder::Recorder;
