//! The composition root: opens the store, mounts it, serves its socket, and ends everything in order.
//!
//! Knows every room but the command line. One process owns a store; mounts and the command line meet in it. Threads:
//! one that runs tokio (accepting, signals, the tick), tokio's blocking ones (a connection each), and those that the
//! store and the mounts start. Locks: `Node::mounts`, taken alone; a mount ends outside of it.

mod accept;
mod alone;
mod background;
mod endpoint;
mod log;
mod mounted;
mod open;
mod path;
mod plan;
mod rebuild;
mod replace;
mod running;
mod serve;
mod settings;

pub use alone::ask;
pub use background::{Start, mount};
pub use endpoint::{Served, serve_s3};
pub use mounted::{detach, let_go};
pub use open::{init, options, prices, store_settings};
pub use plan::{Plan, check_options};
pub use rebuild::rebuild;
pub use replace::Replace;
