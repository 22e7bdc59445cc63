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
pub use shuttle::{sync::atomic, thread, thread_local};
#[cfg(feature = "shuttle")]
pub use shuttle_parking_lot::{Mutex, MutexGuard};
#[cfg(not(feature = "shuttle"))]
pub use std::{sync::atomic, thread, thread_local};

/// Begins a thread of a scope.
///
/// # Errors
/// When the system gives none.
#[cfg(not(feature = "shuttle"))]
pub fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> std::io::Result<thread::ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().spawn_scoped(scope, work)
}

/// The same where there are always threads.
#[cfg(feature = "shuttle")]
pub fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> std::io::Result<thread::ScopedJoinHandle<'scope, T>> {
    Ok(scope.spawn(work))
}

/// Locks `mutex` unless that takes longer than `at_most`.
#[cfg(not(feature = "shuttle"))]
pub fn try_lock_for<T: ?Sized>(mutex: &Mutex<T>, at_most: std::time::Duration) -> Option<MutexGuard<'_, T>> {
    mutex.try_lock_for(at_most)
}

/// The same where no time passes: others have a turn before.
#[cfg(feature = "shuttle")]
pub fn try_lock_for<T: ?Sized>(mutex: &Mutex<T>, _at_most: std::time::Duration) -> Option<MutexGuard<'_, T>> {
    thread::yield_now();
    mutex.try_lock()
}
