//! Locks, atomics and threads of the parts that many threads work in, so that a test may decide who runs when.
//!
//! They are parking_lot's and the standard library's. With the feature `shuttle`, for `tests/schedules` alone, they are
//! shuttle's under the same names: each use is a place where another thread may go on. A lock from here may be held
//! while one from here is taken; one from elsewhere may not, since all threads of a schedule are one to the machine.

#[cfg(feature = "shuttle")]
mod scheduled;

#[cfg(not(feature = "shuttle"))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(feature = "shuttle")]
pub use scheduled::{Condvar, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(feature = "shuttle")]
pub use shuttle::{sync::atomic, thread};
#[cfg(feature = "shuttle")]
pub use shuttle_parking_lot::{Mutex, MutexGuard};
#[cfg(not(feature = "shuttle"))]
pub use std::{sync::atomic, thread};
