//! The machine, behind seams that tests replace: clock, randomness, disk, locks, paths, processes, sockets.

pub mod abi;
pub mod allocator;
pub mod clock;
pub mod connection;
pub mod disk;
pub mod entropy;
pub mod lock;
pub mod path;
pub mod process;
pub mod socket;
pub mod sync;
